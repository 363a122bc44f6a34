/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * type_ctf: illumos CTF (versions 1 and 2), one more provider of types.  A `wh_ctf` holds the containers
 * of all modules of a target; a child container refers to its parent by name ("genunix").  Ids of the
 * provider are container index << 32 | CTF id, so that parent and child live in one provider.
 *
 * Format facts: illumos-gate usr/src/uts/common/sys/ctf.h (Nov 2019).  Not the CTF of binutils, which has
 * another magic, and not FreeBSD's version 3.
 */
#ifndef WH_DWARF_TYPE_CTF_H
#define WH_DWARF_TYPE_CTF_H

#include "dwarf/type.h"

struct wh_ctf;
/** @abi of the target: pointer size, byte order of the containers. */
struct wh_err *wh_ctf_create(struct wh_ctx *ctx, struct wh_abi abi,
			     struct wh_ctf **ret) WH_MUST_CHECK;
void wh_ctf_destroy(struct wh_ctf *c);
/**
 * Adds one module's container (as it lies in memory or in .SUNW_ctf; compressed or not); @data is copied.
 * Lookups by name try containers in the order in which they were added.  A type table that breaks off
 * keeps the types before the break and is reported as diagnostic "ctf-damaged".
 */
struct wh_err *wh_ctf_add(struct wh_ctf *c, const char *module, const void *data,
			  size_t len) WH_MUST_CHECK;
/** Connects children to parents and builds the name index; after it the set is read-only. */
struct wh_err *wh_ctf_freeze(struct wh_ctf *c) WH_MUST_CHECK;
size_t wh_ctf_count(const struct wh_ctf *c);
/** Provider; its `close` destroys the set. */
extern const struct wh_type_provider_ops wh_ctf_provider;

#endif
