/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/gen/gen_btf.h"

#include <stdlib.h>
#include <string.h>

#define HEADER 24

void gen_btf_init(struct gen_btf *b, struct wh_abi abi, const struct gen_btf *base)
{
	*b = (struct gen_btf){.abi = abi, .next_id = 1};
	if (base) {
		b->next_id = base->next_id;
		b->start_str = base->start_str + (uint32_t)base->strs.n;
		return;
	}
	gen_append(&b->strs, "", 1);
}

void gen_btf_fini(struct gen_btf *b)
{
	gen_fini(&b->types);
	gen_fini(&b->strs);
}

static uint32_t str(struct gen_btf *b, const char *s)
{
	uint32_t off = b->start_str + (uint32_t)b->strs.n;

	if (!s || !s[0])
		return 0;
	gen_append(&b->strs, s, strlen(s) + 1);
	return off;
}

static void put32(struct gen_btf *b, uint32_t v)
{
	gen_put_uint(&b->types, b->abi, b->types.n, 4, v);
}

uint32_t gen_btf_raw(struct gen_btf *b, const char *name, uint32_t info, uint32_t val,
		     const uint32_t *extra, size_t n_extra)
{
	put32(b, str(b, name));
	put32(b, info);
	put32(b, val);
	for (size_t i = 0; i < n_extra; i++)
		put32(b, extra[i]);
	return b->next_id++;
}

uint32_t gen_btf_int(struct gen_btf *b, const char *name, uint32_t size, uint32_t encoding,
		     uint32_t bit_off, uint32_t bits)
{
	uint32_t word = encoding << 24 | bit_off << 16 | bits;

	return gen_btf_raw(b, name, GEN_BTF_INT << 24, size, &word, 1);
}

uint32_t gen_btf_ref(struct gen_btf *b, enum gen_btf_kind kind, const char *name, uint32_t type)
{
	return gen_btf_raw(b, name, (uint32_t)kind << 24, type, NULL, 0);
}

uint32_t gen_btf_array(struct gen_btf *b, uint32_t type, uint32_t index, uint32_t n)
{
	uint32_t words[3] = {type, index, n};

	return gen_btf_raw(b, NULL, GEN_BTF_ARRAY << 24, 0, words, 3);
}

uint32_t gen_btf_compound(struct gen_btf *b, enum gen_btf_kind kind, const char *name,
			  uint32_t size, const struct gen_btf_member *m, size_t n)
{
	uint32_t flag = 0, id;

	for (size_t i = 0; i < n; i++)
		if (m[i].bits)
			flag = 1;
	id = gen_btf_raw(b, name, flag << 31 | (uint32_t)kind << 24 | (uint32_t)n, size, NULL, 0);
	for (size_t i = 0; i < n; i++) {
		put32(b, str(b, m[i].name));
		put32(b, m[i].type);
		put32(b, flag ? m[i].bits << 24 | m[i].bit_off : m[i].bit_off);
	}
	return id;
}

uint32_t gen_btf_enum(struct gen_btf *b, enum gen_btf_kind kind, const char *name, uint32_t size,
		      bool is_signed, const struct gen_btf_value *v, size_t n)
{
	uint32_t id =
		gen_btf_raw(b, name, (uint32_t)is_signed << 31 | (uint32_t)kind << 24 | (uint32_t)n,
			    size, NULL, 0);

	for (size_t i = 0; i < n; i++) {
		put32(b, str(b, v[i].name));
		put32(b, (uint32_t)v[i].value);
		if (kind == GEN_BTF_ENUM64)
			put32(b, (uint32_t)((uint64_t)v[i].value >> 32));
	}
	return id;
}

void gen_btf_write(const struct gen_btf *b, struct gen_bytes *out)
{
	size_t at = out->n;

	gen_put_uint(out, b->abi, at, 2, 0xeb9f);
	gen_put_uint(out, b->abi, at + 2, 1, 1);
	gen_put_uint(out, b->abi, at + 3, 1, 0);
	gen_put_uint(out, b->abi, at + 4, 4, HEADER);
	gen_put_uint(out, b->abi, at + 8, 4, 0);
	gen_put_uint(out, b->abi, at + 12, 4, b->types.n);
	gen_put_uint(out, b->abi, at + 16, 4, b->types.n);
	gen_put_uint(out, b->abi, at + 20, 4, b->strs.n);
	gen_append(out, b->types.p, b->types.n);
	gen_append(out, b->strs.p, b->strs.n);
}
