/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * layout: "I need these members of that struct".  A module declares a table of wanted members beside a
 * host struct of wh_field, and resolves it once; who answered is remembered for the report.
 *
 *	struct cache_layout { struct wh_field name, size, list; };
 *	static const struct wh_want want[] = {
 *		WH_WANT(struct cache_layout, name, "kmem_cache", "name"),
 *		WH_WANT_OPT(struct cache_layout, list, "kmem_cache", "list"),
 *	};
 */
#ifndef WH_DWARF_LAYOUT_H
#define WH_DWARF_LAYOUT_H

#include "dwarf/type.h"

struct wh_field {
	uint64_t offset; /**< [bytes] */
	uint64_t size;	 /**< [bytes] */
	uint32_t bit_off, bit_size;
	bool found; /**< false only for optional members */
};

struct wh_want {
	const char *type;   /**< struct name; alternatives separated by '|': "slab|page" */
	const char *member; /**< dotted path; alternatives separated by '|' */
	size_t out;	    /**< offset of the wh_field in the host struct */
	bool optional;
};
#define WH_WANT(host, field, type_, member_)                                                       \
	{                                                                                          \
		type_, member_, offsetof(host, field), false                                       \
	}
#define WH_WANT_OPT(host, field, type_, member_)                                                   \
	{                                                                                          \
		type_, member_, offsetof(host, field), true                                        \
	}

/** Resolves all; WH_ERR_NOT_FOUND names the first missing non-optional member.  @host untouched then. */
struct wh_err *wh_layout_resolve(const struct wh_types *t, const struct wh_want *want, size_t n,
				 void *host) WH_MUST_CHECK;

#endif
