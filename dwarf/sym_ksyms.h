/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sym_ksyms: the symbol image of an illumos kernel (unix.N, or the copy inside the dump): an ELF file of
 * either class and byte order that has a symbol table with absolute symbols of all modules and program
 * headers for the kernel's text and data.
 */
#ifndef WH_DWARF_SYM_KSYMS_H
#define WH_DWARF_SYM_KSYMS_H

#include "analyzer/base/ctx.h"
#include "analyzer/base/vec.h"
#include "dwarf/sym.h"
#include "formats/arch.h"

struct wh_ksyms_range {
	uint64_t start, end;
	uint32_t flags; /**< PF_R | PF_W | PF_X of a program header; 0 for variables */
};
typedef WH_VEC(struct wh_ksyms_range) wh_ksyms_ranges;

/**
 * Adds the symbols of the image @elf (borrowed for the call) to @t, which the caller freezes.
 * @segments gets the loaded program headers, @objects the extents of variables with a size, joined where
 * they touch, in address order; both may be NULL.  Symbols that make no sense are left out and counted.
 * @ctx is told of an image without symbols; NULL when that is no news (the file may be another system's).
 */
struct wh_err *wh_ksyms_load(struct wh_ctx *ctx, const void *elf, size_t len, struct wh_symtab *t,
			     wh_ksyms_ranges *segments, wh_ksyms_ranges *objects) WH_MUST_CHECK;
/** Byte order and class of an ELF image; false when it is none. */
bool wh_ksyms_abi(const void *elf, size_t len, struct wh_abi *ret);
/**
 * Calls @fn with each section of the image: name, address, contents (inside @elf).  For .SUNW_ctf.
 */
typedef struct wh_err *(*wh_ksyms_section_fn)(void *arg, const char *name, uint64_t addr,
					      const uint8_t *data, size_t len);
struct wh_err *wh_ksyms_each_section(const void *elf, size_t len, wh_ksyms_section_fn fn,
				     void *arg) WH_MUST_CHECK;

#endif
