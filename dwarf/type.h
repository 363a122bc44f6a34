/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * type: struct layouts by name, from whatever the dump or the debug files carry: BTF (type_btf.c), DWARF
 * (type_dwarf.c, libdwarf), CTF (type_ctf.c), built-in profiles (type_profile.c).  A `wh_types` is an
 * ordered chain of providers; the first that answers wins.  Read-only and thread-safe after set-up
 * (providers that are not inside lock themselves).
 */
#ifndef WH_DWARF_TYPE_H
#define WH_DWARF_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/base/ctx.h"
#include "formats/arch.h"

enum wh_type_kind {
	WH_TYPE_VOID,
	WH_TYPE_INT,
	WH_TYPE_FLOAT,
	WH_TYPE_PTR,
	WH_TYPE_ARRAY,
	WH_TYPE_STRUCT,
	WH_TYPE_UNION,
	WH_TYPE_ENUM,
	WH_TYPE_FUNC,
	WH_TYPE_TYPEDEF,
	WH_TYPE_OTHER,
};

/** A type of one provider.  Value; compare by (provider, id). */
struct wh_type {
	const struct wh_type_provider *provider; /**< NULL: void / invalid */
	uint64_t id;
};

/** What a generic printer needs to know of a type. */
struct wh_type_info {
	enum wh_type_kind kind;
	/** "" when anonymous; borrowed from the provider.  With its namespaces when those were read. */
	const char *name;
	uint64_t size;	     /**< [bytes]; 0 unknown */
	struct wh_type elem; /**< PTR target, ARRAY element, TYPEDEF target */
	uint64_t count;	     /**< ARRAY elements, STRUCT/UNION members, ENUM values */
	bool is_signed, is_char, is_bool;
};

/** A member, possibly reached through anonymous structs and dotted paths. */
struct wh_member {
	const char *name; /**< borrowed; "" when anonymous */
	struct wh_type type;
	uint64_t offset;   /**< [bytes] from the start of the outer struct */
	uint32_t bit_off;  /**< [bits] within the byte at `offset` for bit-fields */
	uint32_t bit_size; /**< 0 unless a bit-field */
	uint64_t size;	   /**< [bytes] of the member's type */
};

/**
 * What a provider implements.  Ids are its own; 0 is void.  In the wh_types that it fills in (elem, member
 * type) it sets only `id`: the chain adds the provider.  Outputs arrive zeroed.
 */
struct wh_type_provider_ops {
	const char *name; /**< "btf" "dwarf" "ctf" "profile" */
	/** Struct/union/enum/typedef by name, the @nth of that name; &wh_err_not_found. */
	struct wh_err *(*find)(void *priv, const char *name, size_t nth, uint64_t *ret_id);
	struct wh_err *(*info)(void *priv, uint64_t id, struct wh_type_info *ret);
	/** The @i-th direct member (not flattened). */
	struct wh_err *(*member)(void *priv, uint64_t id, size_t i, struct wh_member *ret);
	struct wh_err *(*enum_value)(void *priv, uint64_t id, size_t i, const char **ret_name,
				     int64_t *ret_value);
	/** An enumerator of any enum, anonymous ones too; may be NULL. */
	struct wh_err *(*enumerator)(void *priv, const char *name, int64_t *ret_value);
	/** Place of a per-CPU variable of the kernel in its section; may be NULL. */
	struct wh_err *(*percpu)(void *priv, const char *name, uint64_t *ret_bytes);
	void (*close)(void *priv);
};
struct wh_type_provider {
	const struct wh_type_provider_ops *ops;
	void *priv;
	char *label; /**< for reports: "btf:vmlinux", "ctf:genunix"; owned */
};

struct wh_types;
struct wh_err *wh_types_create(struct wh_types **ret) WH_MUST_CHECK;
void wh_types_destroy(struct wh_types *t);
/** Appends a provider; @priv is owned afterwards (also when this fails). */
struct wh_err *wh_types_add(struct wh_types *t, const struct wh_type_provider_ops *ops, void *priv,
			    const char *label) WH_MUST_CHECK;

/** The provider whose private part is @priv; NULL none. */
const struct wh_type_provider *wh_types_provider(const struct wh_types *t, const void *priv);

/**
 * Finds a struct, union, enum or typedef by name (no "struct " prefix needed).  Where names are not
 * unique, the first one that has the member @with (NULL: any) wins.
 */
bool wh_types_find(const struct wh_types *t, const char *name, const char *with,
		   struct wh_type *ret);
struct wh_err *wh_type_get_info(struct wh_type t, struct wh_type_info *ret) WH_MUST_CHECK;
/** Through typedefs and qualifiers to the real thing. */
struct wh_type wh_type_strip(struct wh_type t);
/** Member by dotted path, anonymous members flattened: "rcu.next", "node_page_ext". */
bool wh_type_find_member(struct wh_type t, const char *path, struct wh_member *ret);
/** The @i-th direct member or enum value; false past the end. */
bool wh_type_get_member(struct wh_type t, size_t i, struct wh_member *ret);
bool wh_type_get_enum_value(struct wh_type t, size_t i, const char **ret_name, int64_t *ret_value);

/* Short forms used by layouts: false when any part is unknown. */
bool wh_types_offset(const struct wh_types *t, const char *type, const char *member,
		     uint64_t *ret_bytes);
bool wh_types_sizeof(const struct wh_types *t, const char *type, uint64_t *ret_bytes);
/** Value of an enumerator by name, in any enum (or in @enum_name when not NULL). */
bool wh_types_enumerator(const struct wh_types *t, const char *enum_name, const char *name,
			 int64_t *ret);
/** Place of a static per-CPU variable of the kernel, [bytes] from the start of each CPU's copy. */
bool wh_types_percpu(const struct wh_types *t, const char *name, uint64_t *ret_bytes);
/** Who answered for this type: provider label, borrowed; NULL when unknown. */
const char *wh_types_source(const struct wh_types *t, const char *type);

#endif
