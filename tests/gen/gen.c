/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/gen/gen.h"

#include <lzo/lzo1x.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

static void reserve(struct gen_bytes *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 4096;

	while (cap < n)
		cap *= 2;
	if (cap > b->cap) {
		b->p = realloc(b->p, cap);
		if (!b->p)
			abort();
		memset(b->p + b->cap, 0, cap - b->cap);
		b->cap = cap;
	}
}

void gen_put(struct gen_bytes *b, size_t off, const void *p, size_t n)
{
	reserve(b, off + n + 1);
	if (n)
		memcpy(b->p + off, p, n);
	if (b->n < off + n)
		b->n = off + n;
}

void gen_append(struct gen_bytes *b, const void *p, size_t n)
{
	gen_put(b, b->n, p, n);
}

void gen_put_uint(struct gen_bytes *b, struct wh_abi abi, size_t off, size_t size, uint64_t v)
{
	uint8_t t[8];

	for (size_t i = 0; i < size; i++)
		t[abi.big_endian ? size - 1 - i : i] = (uint8_t)(v >> (8 * i));
	gen_put(b, off, t, size);
}

void gen_fini(struct gen_bytes *b)
{
	free(b->p);
	*b = (struct gen_bytes){0};
}

uint64_t gen_rand(uint64_t *seed)
{
	uint64_t x = *seed ? *seed : 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *seed = x;
}

static void fill_page(uint8_t *p, uint32_t size, uint64_t kind, uint64_t *seed)
{
	switch (kind) {
	case 0: return; /* zero */
	case 1:
		for (uint32_t i = 0; i < size; i++)
			p[i] = (uint8_t)("slab leak trail "[i % 16] ^ (uint8_t)(i / 512));
		return;
	case 2:
		for (uint32_t i = 0; i + 8 <= size; i += 8) {
			uint64_t w = 0xffff888000000000ull | (gen_rand(seed) & 0xfffff8);

			memcpy(p + i, &w, 8);
		}
		return;
	default:
		for (uint32_t i = 0; i < size; i++)
			p[i] = (uint8_t)gen_rand(seed);
	}
}

void gen_memory_mixed(struct gen_memory *m, uint32_t page_size, uint64_t n, uint64_t seed)
{
	static const uint8_t states[8] = {GEN_PRESENT, GEN_PRESENT,  GEN_PRESENT, GEN_PRESENT,
					  GEN_PRESENT, GEN_EXCLUDED, GEN_HOLE,	  GEN_PRESENT};

	*m = (struct gen_memory){.page_size = page_size, .n = n};
	m->state = calloc(n, 1);
	m->bytes = calloc(n, page_size);
	if (!m->state || !m->bytes)
		abort();
	for (uint64_t i = 0; i < n; i++) {
		m->state[i] = states[gen_rand(&seed) % 8];
		if (m->state[i] == GEN_PRESENT)
			fill_page(m->bytes + i * page_size, page_size, gen_rand(&seed) % 4, &seed);
	}
}

void gen_memory_fini(struct gen_memory *m)
{
	free(m->state);
	free(m->bytes);
}

size_t gen_compress(enum gen_codec c, const void *in, size_t n, void *out, size_t cap)
{
	static lzo_align_t work[LZO1X_1_MEM_COMPRESS / sizeof(lzo_align_t) + 1];
	size_t bound = 2 * n + 1024, got = 0;
	uint8_t *t = malloc(bound);
	uLongf zn = bound;
	lzo_uint ln = bound;

	if (!t)
		abort();
	switch (c) {
	case GEN_ZLIB:
		if (compress2(t, &zn, in, n, 1) == Z_OK)
			got = zn;
		break;
	case GEN_LZO:
		if (lzo1x_1_compress(in, n, t, &ln, work) == LZO_E_OK)
			got = ln;
		break;
	case GEN_SNAPPY:
		got = bound;
		if (snappy_compress(in, n, (char *)t, &got) != SNAPPY_OK)
			got = 0;
		break;
	case GEN_ZSTD:
		got = ZSTD_compress(t, bound, in, n, 1);
		if (ZSTD_isError(got))
			got = 0;
		break;
	default: break;
	}
	if (got > cap)
		got = 0;
	memcpy(out, t, got);
	free(t);
	return got;
}

/* A flattened record; all integers big endian. */
static void put_record(struct gen_bytes *out, uint64_t off, const uint8_t *p, size_t n)
{
	static const struct wh_abi be = {.big_endian = true, .word = 8};

	gen_put_uint(out, be, out->n, 8, off);
	gen_put_uint(out, be, out->n, 8, n);
	gen_append(out, p, n);
}

void gen_flatten(const struct gen_bytes *in, const struct gen_flatten *o, struct gen_bytes *out)
{
	static const struct wh_abi be = {.big_endian = true, .word = 8};
	size_t n = (in->n + o->record - 1) / o->record;
	size_t *order = calloc(n ? n : 1, sizeof(*order));
	uint64_t seed = o->shuffle;
	uint8_t stale[64];

	if (!order)
		abort();
	memset(stale, 0xee, sizeof(stale));
	gen_put(out, 0, "makedumpfile", 12);
	gen_put_uint(out, be, 16, 8, 1);
	gen_put_uint(out, be, 24, 8, 1);
	gen_put_uint(out, be, 4088, 8, 0);
	for (size_t i = 0; i < n; i++)
		order[i] = i;
	for (size_t i = n; o->shuffle && i > 1; i--) {
		size_t j = gen_rand(&seed) % i, t = order[j];

		order[j] = order[i - 1];
		order[i - 1] = t;
	}
	if (o->rewrite)
		for (size_t at = 0; at + sizeof(stale) <= in->n; at += 3 * sizeof(stale) + 7)
			put_record(out, at, stale, sizeof(stale));
	for (size_t i = 0; i < n; i++) {
		size_t at = order[i] * o->record, len = in->n - at;

		put_record(out, at, in->p + at, len < o->record ? len : o->record);
	}
	if (!o->no_end) {
		gen_put_uint(out, be, out->n, 8, UINT64_MAX);
		gen_put_uint(out, be, out->n, 8, UINT64_MAX);
	}
	free(order);
}
