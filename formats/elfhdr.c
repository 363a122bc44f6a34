/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "formats/elfhdr.h"

#include <elf.h>
#include <string.h>

/* Of the three headers the fields stand in one order in both classes, but for p_flags. */
struct cursor {
	struct wh_abi abi;
	const uint8_t *p;
};

static uint16_t half(struct cursor *c)
{
	uint16_t v = wh_get_u16(c->abi, c->p);

	c->p += 2;
	return v;
}

static uint32_t word(struct cursor *c)
{
	uint32_t v = wh_get_u32(c->abi, c->p);

	c->p += 4;
	return v;
}

static uint64_t wide(struct cursor *c)
{
	uint64_t v = wh_get_word(c->abi, c->p);

	c->p += c->abi.word;
	return v;
}

bool wh_elf_abi(const uint8_t *p, struct wh_abi *ret)
{
	if (memcmp(p, ELFMAG, SELFMAG) != 0 ||
	    (p[EI_CLASS] != ELFCLASS32 && p[EI_CLASS] != ELFCLASS64) ||
	    (p[EI_DATA] != ELFDATA2LSB && p[EI_DATA] != ELFDATA2MSB))
		return false;
	ret->word = p[EI_CLASS] == ELFCLASS64 ? 8 : 4;
	ret->big_endian = p[EI_DATA] == ELFDATA2MSB;
	return true;
}

size_t wh_elf_ehdr_size(struct wh_abi abi)
{
	return abi.word == 8 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
}

size_t wh_elf_phdr_size(struct wh_abi abi)
{
	return abi.word == 8 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
}

size_t wh_elf_shdr_size(struct wh_abi abi)
{
	return abi.word == 8 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
}

struct wh_elf_ehdr wh_elf_ehdr(struct wh_abi abi, const uint8_t *p)
{
	struct cursor c = {abi, p + EI_NIDENT};
	struct wh_elf_ehdr h = {.type = half(&c)};

	h.machine = half(&c);
	(void)word(&c); /* e_version */
	(void)wide(&c); /* e_entry */
	h.phoff = wide(&c);
	h.shoff = wide(&c);
	h.flags = word(&c);
	(void)half(&c); /* e_ehsize */
	h.phentsize = half(&c);
	h.phnum = half(&c);
	h.shentsize = half(&c);
	h.shnum = half(&c);
	h.shstrndx = half(&c);
	return h;
}

struct wh_elf_phdr wh_elf_phdr(struct wh_abi abi, const uint8_t *p)
{
	struct cursor c = {abi, p};
	struct wh_elf_phdr h = {.type = word(&c)};

	if (abi.word == 8)
		h.flags = word(&c);
	h.offset = wide(&c);
	h.vaddr = wide(&c);
	h.paddr = wide(&c);
	h.filesz = wide(&c);
	h.memsz = wide(&c);
	if (abi.word == 4)
		h.flags = word(&c);
	h.align = wide(&c);
	return h;
}

struct wh_elf_shdr wh_elf_shdr(struct wh_abi abi, const uint8_t *p)
{
	struct cursor c = {abi, p};
	struct wh_elf_shdr h = {.name = word(&c)};

	h.type = word(&c);
	(void)wide(&c); /* sh_flags */
	h.addr = wide(&c);
	h.offset = wide(&c);
	h.size = wide(&c);
	h.link = word(&c);
	h.info = word(&c);
	(void)wide(&c); /* sh_addralign */
	h.entsize = wide(&c);
	return h;
}
