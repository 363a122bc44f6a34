/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An ELF core writer (gABI 4.1). */
#include <elf.h>
#include <string.h>

#include "tests/gen/gen.h"

void gen_note(struct gen_bytes *out, struct wh_abi abi, const char *name, uint32_t type,
	      const void *desc, size_t n)
{
	size_t at = out->n, len = strlen(name) + 1;

	gen_put_uint(out, abi, at, 4, len);
	gen_put_uint(out, abi, at + 4, 4, n);
	gen_put_uint(out, abi, at + 8, 4, type);
	gen_put(out, at + 12, name, len);
	gen_put(out, at + 12 + ((len + 3) & ~(size_t)3), desc, n);
	gen_put(out, (out->n + 3) & ~(size_t)3, NULL, 0);
}

static void put_phdr(struct gen_bytes *out, const struct gen_elf *o, size_t at, uint32_t type,
		     const struct gen_segment *s, uint64_t off)
{
	const struct wh_abi a = o->abi;

	gen_put_uint(out, a, at, 4, type);
	if (a.word == 8) {
		const uint64_t v[] = {off, s->vaddr, s->paddr, s->filesz, s->memsz, 4096};

		gen_put_uint(out, a, at + 4, 4, s->flags);
		for (size_t i = 0; i < 6; i++)
			gen_put_uint(out, a, at + 8 + 8 * i, 8, v[i]);
	} else {
		const uint64_t v[] = {off, s->vaddr, s->paddr, s->filesz, s->memsz, s->flags, 4096};

		for (size_t i = 0; i < 7; i++)
			gen_put_uint(out, a, at + 4 + 4 * i, 4, v[i]);
	}
}

static void put_ehdr(struct gen_bytes *out, const struct gen_elf *o, size_t phoff, size_t n_ph)
{
	const struct wh_abi a = o->abi;
	const bool l = a.word == 8;
	const uint8_t ident[7] = {0x7f,
				  'E',
				  'L',
				  'F',
				  l ? ELFCLASS64 : ELFCLASS32,
				  a.big_endian ? ELFDATA2MSB : ELFDATA2LSB,
				  EV_CURRENT};

	gen_put(out, 0, ident, sizeof(ident));
	gen_put_uint(out, a, 16, 2, o->type ? o->type : ET_CORE);
	gen_put_uint(out, a, 18, 2, o->machine);
	gen_put_uint(out, a, 20, 4, EV_CURRENT);
	gen_put_uint(out, a, l ? 32 : 28, a.word, phoff);
	gen_put_uint(out, a, l ? 52 : 40, 2, l ? 64 : 52);
	gen_put_uint(out, a, l ? 54 : 42, 2, l ? 56 : 32);
	gen_put_uint(out, a, l ? 56 : 44, 2, o->xnum ? PN_XNUM : n_ph);
	gen_put_uint(out, a, l ? 58 : 46, 2, l ? 64 : 40);
	gen_put(out, l ? 64 : 52, NULL, 0);
}

void gen_elf(const struct gen_elf *o, struct gen_bytes *out)
{
	const bool l = o->abi.word == 8;
	const size_t eh = l ? 64 : 52, ph = l ? 56 : 32, sh = l ? 64 : 40;
	size_t n_ph = o->n_segs + (o->notes ? 1 : 0), total = 0;
	size_t phoff = o->phoff ? o->phoff : eh, at;

	for (size_t i = 0; i < o->n_segs; i++)
		total += o->segs[i].filesz;
	total += o->notes ? o->notes->n : 0;
	at = ((o->phs_last ? eh : phoff + n_ph * ph) + 3) & ~(size_t)3;
	if (o->phs_last)
		phoff = at + total + sh;
	put_ehdr(out, o, phoff, n_ph);
	if (o->xnum) { /* section header 0 right behind the program headers */
		size_t shoff = o->phs_last ? at + total : at;

		gen_put_uint(out, o->abi, l ? 40 : 32, o->abi.word, shoff);
		gen_put_uint(out, o->abi, shoff + (l ? 44 : 28), 4, n_ph);
		gen_put(out, shoff + sh, NULL, 0);
		if (!o->phs_last)
			at = shoff + sh;
	}
	if (o->notes) {
		struct gen_segment s = {.filesz = o->notes->n};

		put_phdr(out, o, phoff, PT_NOTE, &s, at);
		gen_put(out, at, o->notes->p, o->notes->n);
		at += o->notes->n;
		phoff += ph;
	}
	for (size_t i = 0; i < o->n_segs; i++) {
		put_phdr(out, o, phoff + i * ph, PT_LOAD, &o->segs[i], at);
		gen_put(out, at, o->segs[i].data, o->segs[i].filesz);
		at += o->segs[i].filesz;
	}
}
