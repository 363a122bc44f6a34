/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * elfhdr: the headers of an ELF file in host form, both classes and byte orders (System V gABI, chapters 4
 * and 5: Elf32_Ehdr ... Elf64_Shdr).  For bytes that are no file of their own: a core that is read as a
 * stream, a module's head in a process's memory, a kernel's symbol image.  Nothing is checked but the
 * identification; offsets and counts are the caller's to doubt.  Thread-safe: plain functions of bytes.
 */
#ifndef WH_FORMATS_ELFHDR_H
#define WH_FORMATS_ELFHDR_H

#include <stddef.h>

#include "formats/arch.h"

#define WH_ELF_EHDR_MAX 64u /* [bytes] sizeof(Elf64_Ehdr) */
#define WH_ELF_PHDR_MAX 56u /* [bytes] sizeof(Elf64_Phdr) */
#define WH_ELF_SHDR_MAX 64u /* [bytes] sizeof(Elf64_Shdr) */

struct wh_elf_ehdr {
	uint16_t type, machine;
	uint16_t phentsize, phnum, shentsize, shnum, shstrndx;
	uint32_t flags;
	uint64_t phoff, shoff;
};

struct wh_elf_phdr {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct wh_elf_shdr {
	uint32_t name, type, link, info;
	uint64_t addr, offset, size, entsize;
};

/** Word size and byte order from e_ident; false when the first 16 bytes at @p are no ELF file's. */
bool wh_elf_abi(const uint8_t *p, struct wh_abi *ret);
/** sizeof(Elf*_Ehdr), Phdr, Shdr [bytes]: what the decoders below read. */
size_t wh_elf_ehdr_size(struct wh_abi abi);
size_t wh_elf_phdr_size(struct wh_abi abi);
size_t wh_elf_shdr_size(struct wh_abi abi);
struct wh_elf_ehdr wh_elf_ehdr(struct wh_abi abi, const uint8_t *p);
struct wh_elf_phdr wh_elf_phdr(struct wh_abi abi, const uint8_t *p);
struct wh_elf_shdr wh_elf_shdr(struct wh_abi abi, const uint8_t *p);

#endif
