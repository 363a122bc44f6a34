/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sym: addresses into names.  A symbol table is a sorted array filled by providers (ELF symtab,
 * kallsyms from the dump, module kallsyms, illumos ksyms), frozen, then read by any thread.
 */
#ifndef WH_DWARF_SYM_H
#define WH_DWARF_SYM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/base/err.h"

#define WH_SYM_NO_MODULE UINT16_MAX

struct wh_sym {
	uint64_t addr;
	uint64_t size;	    /**< [bytes]; derived from the next symbol when the provider has none */
	const char *name;   /**< borrowed from the table */
	const char *module; /**< NULL for the kernel image or main program; borrowed */
	char type;	    /**< nm letter, lower case = local; '?' unknown */
};

struct wh_symtab;
struct wh_err *wh_symtab_create(struct wh_symtab **ret) WH_MUST_CHECK;
void wh_symtab_destroy(struct wh_symtab *t);
/**
 * Declares a module with the address ranges it occupies; symbols never answer outside the ranges of
 * their module (freed init text must print raw, not as its neighbour).  *ret_id for wh_symtab_add.
 */
struct wh_err *wh_symtab_add_module(struct wh_symtab *t, const char *name,
				    uint16_t *ret_id) WH_MUST_CHECK;
struct wh_err *wh_symtab_add_range(struct wh_symtab *t, uint16_t module, uint64_t start,
				   uint64_t end) WH_MUST_CHECK;
/** @name is copied; @module WH_SYM_NO_MODULE for the image; size 0 when unknown. */
struct wh_err *wh_symtab_add(struct wh_symtab *t, uint64_t addr, uint64_t size, char type,
			     const char *name, uint16_t module) WH_MUST_CHECK;
/**
 * Before freeze: addresses of the first symbol of each of @names (@n, all passes in one); ret[i]
 * untouched when there is none.  Returns how many were found.
 */
size_t wh_symtab_pick(const struct wh_symtab *t, const char *const *names, size_t n, uint64_t *ret);
/** Sorts, derives sizes, builds the name index; after this the table is read-only. */
struct wh_err *wh_symtab_freeze(struct wh_symtab *t) WH_MUST_CHECK;
size_t wh_symtab_count(const struct wh_symtab *t);
/** The symbol that contains @addr, and the offset into it.  False when none does. */
bool wh_symtab_find_addr(const struct wh_symtab *t, uint64_t addr, struct wh_sym *ret,
			 uint64_t *ret_off);
/**
 * The image's last symbol at or below @addr, in range or not: for static per-CPU variables, whose addresses
 * are small numbers on x86-64 before 6.15.  Looks at every symbol.
 */
bool wh_symtab_find_percpu(const struct wh_symtab *t, uint64_t addr, struct wh_sym *ret,
			   uint64_t *ret_off);
/** The @nth (0 = first, in address order) symbol of that name in @module (NULL: image first, then any). */
bool wh_symtab_find_name(const struct wh_symtab *t, const char *module, const char *name,
			 size_t nth, struct wh_sym *ret);
/** The module whose range holds @addr; NULL when none does; borrowed. */
const char *wh_symtab_find_module(const struct wh_symtab *t, uint64_t addr);

#endif
