/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stackdepot: the kernel's store of call stacks.  A 32-bit handle names a record in a pool:
 *
 *	handle = pool index | offset in 16-byte granules | (valid) | extra	widths differ between kernels
 *	record = links, hash, size, handle, entries[size]
 *
 * Bit layout from union handle_parts, members by name; each record is checked against its own handle.
 * lib/stackdepot.c, 4.6 to 6.18.
 */
#ifndef WH_ALLOC_STACKDEPOT_H
#define WH_ALLOC_STACKDEPOT_H

#include "analyzer/target/linux.h"

#define WH_DEPOT_FRAMES 64

/** Finds the pools; *ret is NULL when the kernel has no depot.  Marks the pools' frames. */
struct wh_err *wh_depot_open(struct wh_lx *x, struct wh_depot **ret) WH_MUST_CHECK;
void wh_depot_close(struct wh_depot *d);
/** Return addresses of a stack, innermost first; the number written, 0 when the handle names none. */
uint32_t wh_depot_fetch(struct wh_depot *d, uint32_t handle, uint64_t ret[WH_DEPOT_FRAMES]);

#endif
