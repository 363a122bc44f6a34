/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kmodules: the loaded modules of a Linux vmcore: the list, where each lies, its symbols, its BTF.
 */
#ifndef WH_DWARF_KMODULES_H
#define WH_DWARF_KMODULES_H

#include "dwarf/knames.h"

/**
 * Walks the list at @head (the symbol `modules`), adds each module, its ranges and its symbols to
 * @syms, and returns the modules sorted by address (caller frees).  What cannot be read is a
 * diagnostic; an error only when the layouts of struct module are unknown.
 */
struct wh_err *wh_kmodules_read(struct wh_reader *r, const struct wh_types *types, uint64_t head,
				struct wh_symtab *syms, struct wh_kmodule **ret,
				size_t *ret_n) WH_MUST_CHECK;

/**
 * The head of the module list where no symbol names it (KALLSYMS_ALL off): the list_head in @image, the
 * bytes of the kernel image at @va, whose next and prev lead to structs that look like modules (the
 * name, the state, memory that holds the struct itself) and back.  False when there is none.
 */
bool wh_kmodules_find_head(struct wh_reader *r, const struct wh_types *types, const uint8_t *image,
			   size_t len, uint64_t va, uint64_t *ret_head);

struct wh_btf;
/**
 * Appends one provider that stands for the BTF of all modules, read on first need: when a name is
 * asked for that @base does not know.  @list is the symbol `btf_modules`.  All borrowed.
 */
struct wh_err *wh_kmodules_add_btf(struct wh_types *types, const struct wh_kspace *ks,
				   const struct wh_btf *base, uint64_t list) WH_MUST_CHECK;

#endif
