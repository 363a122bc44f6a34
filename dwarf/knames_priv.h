/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files behind knames.h share: knames.c (the dump itself) and knames_files.c (debug files).
 */
#ifndef WH_DWARF_KNAMES_PRIV_H
#define WH_DWARF_KNAMES_PRIV_H

#include "analyzer/base/arena.h"
#include "dwarf/btf.h"
#include "dwarf/dwarf_types.h"
#include "dwarf/knames.h"

/** Symbols wanted before the table is frozen. */
enum wh_kn_pick {
	WH_KN_TEXT,
	WH_KN_STEXT,
	WH_KN_END,
	WH_KN_MODULES,
	WH_KN_BTF_START,
	WH_KN_BTF_STOP,
	WH_KN_BTF_MODULES,
	WH_KN_NOTES_START,
	WH_KN_NOTES_STOP,
	WH_KN_PICK_COUNT
};

/** wh_knames.priv */
struct wh_kn_priv {
	struct wh_reader *r;
	uint64_t pick[WH_KN_PICK_COUNT]; /**< 0 unknown */
	struct wh_btf *btf;		 /**< owned by the type chain */
	uint8_t *image;			 /**< copy for searches while opening; NULL until needed */
	size_t image_len;
	struct wh_lines *lines; /**< NULL without debug files */
	char *vmlinux;		/**< file that belongs to the dump; NULL none */
	uint64_t vmlinux_bias;	/**< run-time address = the file's + this */
};

/** Looks for vmlinux among -s and --debug-dir; sets priv->vmlinux when its build-id agrees. */
struct wh_err *wh_kn_find_vmlinux(struct wh_knames *n,
				  const struct wh_knames_opts *opts) WH_MUST_CHECK;
/** Replaces the symbol table by vmlinux's. */
struct wh_err *wh_kn_vmlinux_symbols(struct wh_knames *n) WH_MUST_CHECK;
/** Appends vmlinux's DWARF to the type chain. */
struct wh_err *wh_kn_vmlinux_types(struct wh_knames *n) WH_MUST_CHECK;
/** Lines of vmlinux and of the modules whose files are found; after the symbol table is frozen. */
struct wh_err *wh_kn_open_lines(struct wh_knames *n,
				const struct wh_knames_opts *opts) WH_MUST_CHECK;

#endif
