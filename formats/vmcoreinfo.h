/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmcoreinfo: the text with which a Linux kernel describes itself ("KEY=value" lines; linux.md §2).
 * Immutable after creation.
 */
#ifndef WH_FORMATS_VMCOREINFO_H
#define WH_FORMATS_VMCOREINFO_H

#include <stddef.h>
#include <stdint.h>

#include "analyzer/base/err.h"

struct wh_vmcoreinfo;
/** Parses a copy of @text; lines that make no sense are left out. */
struct wh_err *wh_vmcoreinfo_create(const char *text, size_t len,
				    struct wh_vmcoreinfo **ret) WH_MUST_CHECK;
void wh_vmcoreinfo_destroy(struct wh_vmcoreinfo *v);
/** Value of a bare key ("OSRELEASE"), borrowed; NULL when absent. */
const char *wh_vmcoreinfo_find(const struct wh_vmcoreinfo *v, const char *key);
/** SYMBOL(name), OFFSET(name), SIZE(name), LENGTH(name), NUMBER(name): false when absent or malformed. */
bool wh_vmcoreinfo_symbol(const struct wh_vmcoreinfo *v, const char *name, uint64_t *ret);
bool wh_vmcoreinfo_offset(const struct wh_vmcoreinfo *v, const char *name, uint64_t *ret);
bool wh_vmcoreinfo_size(const struct wh_vmcoreinfo *v, const char *name, uint64_t *ret);
bool wh_vmcoreinfo_length(const struct wh_vmcoreinfo *v, const char *name, uint64_t *ret);
bool wh_vmcoreinfo_number(const struct wh_vmcoreinfo *v, const char *name, int64_t *ret);
/** The whole text, NUL-terminated, borrowed. */
const char *wh_vmcoreinfo_text(const struct wh_vmcoreinfo *v);

#endif
