/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An ELF file put together again from what memory holds of it: every PT_LOAD's file part at its file
 * offset, section headers struck out (they are not mapped, except in the vdso, which is whole).  It serves
 * .eh_frame to the unwinder when the file itself is not on this machine.  The dynamic linker has made
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
#define HASH_MAX    (1u << 22) /* buckets of a hash table */
#define CHAIN_MAX   (1u << 16) /* symbols of one bucket */

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
static bool fix_dynamic(struct wh_un_priv *p, const struct wh_umod *u, const struct wh_elf_phdr *ph)
{
	uint64_t lo = u->m.base, hi = u->m.end;
	size_t w = p->abi.word;
	uint8_t d[16];

	for (size_t i = 0; i < DYNAMIC_MAX && (i + 1) * 2 * w <= ph->filesz; i++) {
		uint64_t at = ph->offset + i * 2 * w, val;

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

/* Value of a dynamic tag in the image, link address; 0 when absent. */
static uint64_t dynamic_value(struct wh_un_priv *p, const struct wh_umod *u, uint64_t tag)
{
	size_t w = p->abi.word;
	uint8_t d[16];

	for (size_t i = 0; i < u->phdrs.n; i++) {
		const struct wh_elf_phdr *ph = &u->phdrs.v[i];

		for (size_t k = 0; ph->type == PT_DYNAMIC && k < DYNAMIC_MAX; k++) {
			if ((k + 1) * 2 * w > ph->filesz ||
			    pread(u->image_fd, d, 2 * w, (off_t)(ph->offset + k * 2 * w)) !=
				    (ssize_t)(2 * w) ||
			    wh_get_word(p->abi, d) == DT_NULL)
				break;
			if (wh_get_word(p->abi, d) == tag)
				return wh_get_word(p->abi, d + w);
		}
	}
	return 0;
}

/*
 * The number of dynamic symbols follows from the hash table.  libdw walks the last chain of DT_GNU_HASH to its
 * end; where the core has no such memory the image holds zeros, which never end: it would go on, slower and
 * slower, to the end of the file.
 */
static bool gnu_hash_ends(struct wh_un_priv *p, uint64_t va)
{
	uint32_t n_buckets, first, bloom, last = 0, v;
	uint64_t buckets, chain;

	if (!wh_read_u32(p->r, va, &n_buckets) || !wh_read_u32(p->r, va + 4, &first) ||
	    !wh_read_u32(p->r, va + 8, &bloom) || !n_buckets || n_buckets > HASH_MAX ||
	    bloom > HASH_MAX)
		return false;
	buckets = va + 16 + (uint64_t)bloom * p->abi.word;
	for (uint32_t i = 0; i < n_buckets; i++) {
		if (!wh_read_u32(p->r, buckets + 4ull * i, &v))
			return false;
		last = v > last ? v : last;
	}
	if (last < first)
		return true;
	chain = buckets + 4ull * n_buckets + 4ull * (last - first);
	for (uint32_t i = 0; i < CHAIN_MAX; i++, chain += 4) {
		if (!wh_read_u32(p->r, chain, &v))
			return false;
		if (v & 1)
			return true;
	}
	return false;
}

static bool symbols_are_whole(struct wh_un_priv *p, const struct wh_umod *u)
{
	uint64_t gnu = dynamic_value(p, u, DT_GNU_HASH), old = dynamic_value(p, u, DT_HASH);
	uint32_t n;

	if (old && wh_read_u32(p->r, u->m.bias + old + 4, &n) && n && n < HASH_MAX && !gnu)
		return true;
	return gnu && gnu_hash_ends(p, u->m.bias + gnu);
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
		const struct wh_elf_phdr *ph = &u->phdrs.v[i];

		if (ph->type == PT_LOAD && ph->filesz <= SEGMENT_MAX && ph->offset <= SEGMENT_MAX)
			e = copy_bytes(p, u->image_fd, u->m.bias + ph->vaddr, ph->offset,
				       ph->filesz, &copied);
	}
	if (!e && (!copied || (!vdso && !strike_sections(p, u->image_fd))))
		e = &wh_err_not_found;
	for (size_t i = 0; !e && i < u->phdrs.n; i++)
		if (u->phdrs.v[i].type == PT_DYNAMIC && !vdso && !fix_dynamic(p, u, &u->phdrs.v[i]))
			e = &wh_err_not_found;
	if (!e && !vdso && !symbols_are_whole(p, u))
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
