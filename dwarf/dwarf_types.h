/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dwarf_types: struct layouts from DWARF, through libdwarf.  A file is opened and its compilation units are
 * indexed only as far as questions need; the wh_types chain sees it as one provider.
 */
#ifndef WH_DWARF_DWARF_TYPES_H
#define WH_DWARF_DWARF_TYPES_H

#include "dwarf/type.h"

struct wh_dwarf;
/** Prepares @path (copied); nothing is read yet. */
struct wh_err *wh_dwarf_create(const char *path, struct wh_dwarf **ret) WH_MUST_CHECK;
void wh_dwarf_destroy(struct wh_dwarf *d);
/** Provider operations on a wh_dwarf (priv), closed with the chain.  They lock themselves. */
extern const struct wh_type_provider_ops wh_dwarf_ops;
/** True when the file has .debug_info, compressed or not. */
bool wh_dwarf_has_info(const char *path);

/** A variable at a fixed address of the file, or at a fixed place of each thread's TLS block. */
struct wh_dwarf_var {
	const char *name; /**< borrowed until destroy */
	uint64_t addr;	  /**< link address; of a thread's variable [bytes] into the TLS block */
	uint64_t type_id; /**< id of this provider; 0 unknown */
	bool tls;
};
typedef struct wh_err *(*wh_dwarf_var_fn)(void *arg, const struct wh_dwarf_var *v);
/** Variables of file scope and function statics, in the order of the file. */
struct wh_err *wh_dwarf_each_variable(struct wh_dwarf *d, wh_dwarf_var_fn fn,
				      void *arg) WH_MUST_CHECK;

#endif
