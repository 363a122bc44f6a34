/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * locate: finds executables and separate debug files on this machine by build-id: in --sysroot, in each
 * --debug-dir, under /usr/lib/debug/.build-id, beside the dump, and by debuginfod only when asked.
 * A file is taken only when its own build-id note agrees.
 */
#ifndef WH_DWARF_LOCATE_H
#define WH_DWARF_LOCATE_H

#include "analyzer/base/ctx.h"

struct wh_locate_opts {
	const char *sysroot;	       /**< --sysroot; NULL: / */
	const char *const *debug_dirs; /**< --debug-dir */
	size_t n_debug_dirs;
	const char *dump_path; /**< files beside the dump are looked at; NULL none */
	bool debuginfod;       /**< the network may be asked */
};

enum wh_locate_kind { WH_LOCATE_EXEC, WH_LOCATE_DEBUG };

struct wh_locate_query {
	enum wh_locate_kind kind;
	const uint8_t *build_id; /**< may be NULL when there is none: then nothing is found */
	size_t build_id_len;
	const char *path;      /**< as the target spells it; NULL unknown */
	const char *debuglink; /**< .gnu_debuglink's file name; NULL none */
};

/**
 * Path of the file (caller frees) and NULL, or &wh_err_not_found.  *ret_mismatch (may be NULL) is set
 * when a file of the right name had another build-id.
 */
struct wh_err *wh_locate(const struct wh_locate_opts *opts, const struct wh_locate_query *q,
			 char **ret_path, bool *ret_mismatch) WH_MUST_CHECK;
/** Build-id of an ELF file on this machine; 0 when it has none or is no ELF file. */
size_t wh_locate_build_id(const char *path, uint8_t *ret, size_t cap);
/** An ELF file at @path has one of the sections @names (to NULL); @filled: with its contents. */
bool wh_locate_has_section(const char *path, const char *const *names, bool filled);

#endif
