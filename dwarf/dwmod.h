/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dwmod: one ELF file with its separate debug file, opened through libdwfl at its own link addresses.
 * Private to dwarf/: symbols (sym_elf.c) and lines (line.c) share it; the unwinder has a session of its own
 * with the same callbacks.  Not thread-safe.
 */
#ifndef WH_DWARF_DWMOD_H
#define WH_DWARF_DWMOD_H

#include <elfutils/libdwfl.h>

#include "analyzer/base/err.h"

/** For dwfl_begin: no file but the one that wh_dwfl_set_debug_file names is opened. */
extern const Dwfl_Callbacks wh_dwfl_callbacks;
/** @path: the separate debug file of @mod, NULL none; borrowed for the life of the session. */
void wh_dwfl_set_debug_file(Dwfl_Module *mod, const char *path);

struct wh_dwmod {
	Dwfl *dwfl;
	Dwfl_Module *mod;
	char *file, *debug_file; /* owned */
};

/** Opens @file; @debug_file may be NULL.  A relocatable file is laid out as libdwfl likes. */
struct wh_err *wh_dwmod_open(const char *file, const char *debug_file,
			     struct wh_dwmod **ret) WH_MUST_CHECK;
void wh_dwmod_close(struct wh_dwmod *m);

#include "dwarf/sym.h"
/**
 * Adds the symbols of the file (.symtab, else .dynsym and .gnu_debugdata) to @t at st_value + @bias.
 * *ret_source: "symtab", "dynsym", "none".
 */
struct wh_err *wh_sym_elf_add(struct wh_dwmod *m, uint64_t bias, uint16_t module,
			      struct wh_symtab *t, const char **ret_source) WH_MUST_CHECK;

#endif
