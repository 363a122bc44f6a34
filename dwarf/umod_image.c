/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An ELF file put together again from what memory holds of it: every PT_LOAD's file part at its file
 * offset, section headers struck out (they are not mapped, except in the vdso, which is whole).  It serves
 * dynamic symbols and .eh_frame when the file itself is not on this machine.  The dynamic linker has made
 * the pointers of the dynamic section absolute; they are made relative again.
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dwarf/umod_priv.h"

#define SEGMENT_MAX (512ull << 20) /* [bytes] of one PT_LOAD's file part */
#define DYNAMIC_MAX 4096

static struct wh_err *copy_bytes(struct wh_un_priv *p, int fd, uint64_t va, uint64_t off,
				 uint64_t size, uint64_t *ret_copied)
{
	enum wh_mem_state st;
	uint64_t at = 0;

	while (at < size) {
		size_t n = 0, want = size - at < (1u << 20) ? (size_t)(size - at) : 1u << 20;
		const uint8_t *b = wh_reader_borrow(p->r, WH_VIRT, va + at, want, &n, &st);

		if (!n)
			break;
		if (b && pwrite(fd, b, n, (off_t)(off + at)) != (ssize_t)n)
			return wh_err_os(NULL, "cannot rebuild an ELF image");
		if (b)
			*ret_copied += n;
		at += n;
	}
	return NULL;
}

static bool is_pointer_tag(uint64_t tag)
{
	static const uint64_t tags[] = {DT_HASH,   DT_STRTAB,	DT_SYMTAB, DT_RELA,    DT_REL,
					DT_JMPREL, DT_GNU_HASH, DT_VERSYM, DT_VERNEED, DT_VERDEF,
					DT_INIT,   DT_FINI,	DT_PLTGOT};

	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
		if (tags[i] == tag)
			return true;
	return false;
}

static void put_word(struct wh_abi abi, uint8_t *p, uint64_t v)
{
	for (unsigned int i = 0; i < abi.word; i++)
		p[abi.big_endian ? abi.word - 1u - i : i] = (uint8_t)(v >> (8 * i));
}

/* Absolute pointers of the dynamic section back to link addresses. */
static bool fix_dynamic(struct wh_un_priv *p, const struct wh_umod *u, const struct wh_uphdr *ph)
{
	uint64_t lo = u->m.base, hi = u->m.end;
	size_t w = p->abi.word;
	uint8_t d[16];

	for (size_t i = 0; i < DYNAMIC_MAX && (i + 1) * 2 * w <= ph->filesz; i++) {
		uint64_t at = ph->off + i * 2 * w, val;

		if (pread(u->image_fd, d, 2 * w, (off_t)at) != (ssize_t)(2 * w))
			return false;
		if (wh_get_word(p->abi, d) == DT_NULL)
			return true;
		val = wh_get_word(p->abi, d + w);
		if (!is_pointer_tag(wh_get_word(p->abi, d)) || val < lo || val >= hi)
			continue;
		put_word(p->abi, d + w, val - u->m.bias);
		if (pwrite(u->image_fd, d, 2 * w, (off_t)at) != (ssize_t)(2 * w))
			return false;
	}
	return true;
}

/* Section headers: not there; e_shoff, e_shnum, e_shstrndx. */
static bool strike_sections(struct wh_un_priv *p, int fd)
{
	bool w8 = p->abi.word == 8;
	uint8_t zero[8] = {0};
	size_t w = p->abi.word;

	return pwrite(fd, zero, w, w8 ? 40 : 32) == (ssize_t)w &&
	       pwrite(fd, zero, 4, w8 ? 60 : 48) == 4;
}

struct wh_err *wh_umod_image(struct wh_un_priv *p, struct wh_umod *u, const char **ret_path)
{
	bool vdso = u->m.file_state == WH_UFILE_NONE;
	struct wh_err *e = NULL;
	uint64_t copied = 0;
	char path[64];

	if (!u->phdrs.n || u->image_fd >= 0)
		return &wh_err_not_found;
	u->image_fd = memfd_create("weephole-elf", MFD_CLOEXEC);
	if (u->image_fd < 0)
		return wh_err_os(NULL, "memfd_create");
	if (vdso)
		e = copy_bytes(p, u->image_fd, u->m.base, 0, u->m.end - u->m.base, &copied);
	for (size_t i = 0; !e && !vdso && i < u->phdrs.n; i++) {
		const struct wh_uphdr *ph = &u->phdrs.v[i];

		if (ph->type == PT_LOAD && ph->filesz <= SEGMENT_MAX && ph->off <= SEGMENT_MAX)
			e = copy_bytes(p, u->image_fd, u->m.bias + ph->vaddr, ph->off, ph->filesz,
				       &copied);
	}
	if (!e && (!copied || (!vdso && !strike_sections(p, u->image_fd))))
		e = &wh_err_not_found;
	for (size_t i = 0; !e && i < u->phdrs.n; i++)
		if (u->phdrs.v[i].type == PT_DYNAMIC && !vdso && !fix_dynamic(p, u, &u->phdrs.v[i]))
			e = &wh_err_not_found;
	if (e) {
		close(u->image_fd);
		u->image_fd = -1;
		return e;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", u->image_fd);
	*ret_path = wh_arena_strdup(&p->strings, path);
	return *ret_path ? NULL : &wh_err_nomem;
}
