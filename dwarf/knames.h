/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * knames: symbols, modules and types of a Linux vmcore, from the dump alone (kallsyms, module list,
 * vmlinux and module BTF), made richer by -s vmlinux / --debug-dir when given (DWARF, file:line).
 */
#ifndef WH_DWARF_KNAMES_H
#define WH_DWARF_KNAMES_H

#include "dwarf/line.h"
#include "dwarf/locate.h"
#include "dwarf/sym.h"
#include "dwarf/type.h"
#include "formats/kspace.h"

#define WH_KMODULE_RANGES 8
/** A loaded module; ranges are VIRT. */
struct wh_kmodule {
	char name[64];
	uint64_t addr; /**< struct module */
	struct wh_kmodule_range {
		uint64_t start, size;
		uint8_t kind; /**< enum wh_kmodule_mem */
	} ranges[WH_KMODULE_RANGES];
	uint32_t n_ranges;
	uint64_t percpu, percpu_size; /**< static per-CPU section, 0 when none */
	uint16_t sym_id;	      /**< module id in the symbol table */
};
enum wh_kmodule_mem {
	WH_KMOD_TEXT,
	WH_KMOD_DATA,
	WH_KMOD_RODATA,
	WH_KMOD_RO_AFTER_INIT,
	WH_KMOD_INIT,
	WH_KMOD_CORE
};

struct wh_knames_opts {
	const char *const *symbol_files; /**< -s: vmlinux, *.ko(.debug) */
	size_t n_symbol_files;
	const char *const *debug_dirs; /**< --debug-dir */
	size_t n_debug_dirs;
};

struct wh_knames {
	const struct wh_kspace *ks; /**< borrowed */
	struct wh_symtab *syms;	    /**< owned; NULL never: empty when nothing was found */
	struct wh_types *types;	    /**< owned */
	struct wh_kmodule *modules; /**< owned, sorted by address of their first range */
	size_t n_modules;
	const char *sym_source;	 /**< "kallsyms (base-relative)", "vmlinux", "none" … */
	const char *type_source; /**< "BTF", "DWARF", "profile", "none" */
	bool have_data_symbols;	 /**< KALLSYMS_ALL (or vmlinux): data symbols resolve */
	bool damaged; /**< the dump's own symbols or types are lost in part, and no file replaces them */
	void *priv;
};

struct wh_err *wh_knames_open(struct wh_kspace *ks, const struct wh_knames_opts *opts,
			      struct wh_knames **ret) WH_MUST_CHECK;
void wh_knames_close(struct wh_knames *n);
/** Address of an image symbol by name; false when unknown. */
bool wh_knames_find(const struct wh_knames *n, const char *name, uint64_t *ret_addr);

/** Needs debug files; returns the number of entries written (0 when unknown).  Not thread-safe. */
size_t wh_knames_lines(const struct wh_knames *n, uint64_t addr, struct wh_line *ret, size_t cap);

#endif
