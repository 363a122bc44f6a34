/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tokens: printable characters stand for themselves at their own code, as in the kernel; the other codes are
 * common pieces of names, so that names really are compressed.
 */
#include "tests/gen/gen_kallsyms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS 256

static const char *const pieces[] = {"kmem_cache_", "alloc", "free", "init_", "__",    "get_",
				     "put_",	    "sys_",  "page", "slab",  "list_", "task",
				     "_start",	    "_stop", "text", "data"};
#define N_PIECES (sizeof(pieces) / sizeof(pieces[0]))

static void token(unsigned int code, char *buf, size_t cap)
{
	if (code > ' ' && code < 0x7f)
		snprintf(buf, cap, "%c", (char)code);
	else if (code >= 0x80 && code < 0x80 + N_PIECES)
		snprintf(buf, cap, "%s", pieces[code - 0x80]);
	else
		snprintf(buf, cap, "q%02x", code); /* never used: no name has it */
}

static void align(struct gen_bytes *b, const struct gen_kallsyms *k)
{
	while (b->n % k->abi.word)
		gen_append(b, "", 1);
}

/* Tokens of "type name"; their number. */
static size_t compress(const struct gen_ksym *s, uint8_t *out)
{
	const char *p = s->name;
	size_t n = 0;

	out[n++] = (uint8_t)s->type;
	while (*p) {
		size_t i = 0;

		while (i < N_PIECES && strncmp(p, pieces[i], strlen(pieces[i])) != 0)
			i++;
		out[n++] = i < N_PIECES ? (uint8_t)(0x80 + i) : (uint8_t)*p;
		p += i < N_PIECES ? strlen(pieces[i]) : 1;
	}
	return n;
}

static void put_names(struct gen_kallsyms *k, struct gen_bytes *out)
{
	uint32_t *marks = calloc(k->n / 256 + 1, sizeof(*marks));
	size_t n_marks = 0;

	if (!marks)
		abort();
	align(out, k);
	k->num_syms = out->n;
	gen_put_uint(out, k->abi, out->n, 4, k->n);
	align(out, k);
	k->names = out->n;
	for (uint32_t i = 0; i < k->n; i++) {
		uint8_t tok[4096];
		size_t n = compress(&k->syms[i], tok);

		if (i % 256 == 0)
			marks[n_marks++] = (uint32_t)(out->n - k->names);
		if (k->uleb && n >= 0x80) {
			gen_put_uint(out, k->abi, out->n, 1, (n & 0x7f) | 0x80);
			gen_put_uint(out, k->abi, out->n, 1, n >> 7);
		} else {
			gen_put_uint(out, k->abi, out->n, 1, n);
		}
		gen_append(out, tok, n);
	}
	k->names_len = out->n - k->names;
	align(out, k);
	for (size_t i = 0; i < n_marks; i++)
		gen_put_uint(out, k->abi, out->n, k->wide ? k->abi.word : 4, marks[i]);
	free(marks);
}

static void put_seqs(const struct gen_kallsyms *k, struct gen_bytes *out)
{
	align(out, k);
	for (uint32_t i = 0; k->seqs && i < k->n; i++) {
		uint8_t be[3] = {(uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};

		gen_append(out, be, 3);
	}
}

static void put_tokens(struct gen_kallsyms *k, struct gen_bytes *out)
{
	uint16_t index[TOKENS];
	char buf[32];

	align(out, k);
	k->token_table = out->n;
	for (unsigned int i = 0; i < TOKENS; i++) {
		index[i] = (uint16_t)(out->n - k->token_table);
		token(i, buf, sizeof(buf));
		gen_append(out, buf, strlen(buf) + 1);
	}
	align(out, k);
	k->token_index = out->n;
	for (unsigned int i = 0; i < TOKENS; i++)
		gen_put_uint(out, k->abi, out->n, 2, index[i]);
}

static uint64_t encode(const struct gen_kallsyms *k, uint64_t addr, uint64_t place)
{
	switch (k->encoding) {
	case GEN_KALLSYMS_RELATIVE: return addr - k->relative_base;
	case GEN_KALLSYMS_PERCPU:
		return addr < k->relative_base ? addr : k->relative_base - 1 - addr;
	default: return addr - place;
	}
}

static void put_addresses(struct gen_kallsyms *k, struct gen_bytes *out)
{
	align(out, k);
	if (k->encoding == GEN_KALLSYMS_ABSOLUTE) {
		k->addresses = out->n;
		for (uint32_t i = 0; i < k->n; i++)
			gen_put_uint(out, k->abi, out->n, k->abi.word, k->syms[i].addr);
		return;
	}
	k->offsets = out->n;
	for (uint32_t i = 0; i < k->n; i++)
		gen_put_uint(out, k->abi, out->n, 4,
			     (uint32_t)encode(k, k->syms[i].addr, k->va + out->n));
	align(out, k);
	k->base = out->n;
	if (k->encoding != GEN_KALLSYMS_PLACE)
		gen_put_uint(out, k->abi, out->n, k->abi.word, k->relative_base);
}

void gen_kallsyms_write(struct gen_kallsyms *k, struct gen_bytes *out)
{
	if (!k->new_order)
		put_addresses(k, out);
	put_names(k, out);
	if (!k->new_order)
		put_seqs(k, out);
	put_tokens(k, out);
	if (k->new_order) {
		put_addresses(k, out);
		put_seqs(k, out);
	}
}
