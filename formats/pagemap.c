/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "formats/pagemap.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/base/vec.h"
#include "formats/bytes.h"
#include "formats/arch.h"

#define CHUNK_BITS  (1ull << WH_PAGEMAP_CHUNK)
#define CHUNK_WORDS (CHUNK_BITS / 64)
#define RANK_WORDS  8 /* one running count every 512 bits */

struct wh_pagemap_chunk {
	uint64_t base;				 /* set bits in the chunks before */
	uint32_t rank[CHUNK_WORDS / RANK_WORDS]; /* set bits of this chunk before the group */
	uint64_t w[CHUNK_WORDS];
};

static const struct wh_abi le = {.big_endian = false, .word = 8};

static struct wh_err *load_chunk(struct wh_pagemap *m, size_t c, const uint8_t *p)
{
	struct wh_pagemap_chunk *k = malloc(sizeof(*k));
	uint64_t bits = m->n - c * CHUNK_BITS;
	uint32_t sum = 0;

	if (!k)
		return &wh_err_nomem;
	for (size_t i = 0; i < CHUNK_WORDS; i++) {
		uint64_t w = wh_get_u64(le, p + 8 * i);

		/* Bits past the end are padding, whatever they say. */
		if (bits < 64 * (i + 1))
			w = bits <= 64 * i ? 0 : w & ~(~0ull << (bits & 63));
		if (i % RANK_WORDS == 0)
			k->rank[i / RANK_WORDS] = sum;
		k->w[i] = w;
		sum += (uint32_t)__builtin_popcountll(w);
	}
	k->base = m->set;
	m->set += sum;
	m->chunks[c] = k;
	return NULL;
}

static struct wh_err *load(struct wh_pagemap *m, struct wh_ctx *ctx, const struct wh_stream *st,
			   uint64_t off, uint8_t *buf)
{
	for (size_t c = 0; c < m->n_chunks; c++) {
		uint64_t first = c * (CHUNK_BITS / 8), left = (m->n + 7) / 8 - first;
		size_t want = left < CHUNK_BITS / 8 ? (size_t)left : CHUNK_BITS / 8;
		size_t got = wh_stream_read(st, off + first, buf, want);

		if (wh_ctx_cancelled(ctx))
			return &wh_err_cancelled;
		memset(buf + got, 0, CHUNK_BITS / 8 - got);
		if (!wh_bytes_zero(buf, got))
			WH_TRY(load_chunk(m, c, buf));
		m->loaded = (first + got) * 8;
		if (got < want)
			break;
	}
	if (m->loaded > m->n)
		m->loaded = m->n;
	return NULL;
}

struct wh_err *wh_pagemap_load(struct wh_pagemap *m, struct wh_ctx *ctx, const struct wh_stream *st,
			       uint64_t off, uint64_t n)
{
	WH_AUTO_FREE uint8_t *buf = malloc(CHUNK_BITS / 8);

	*m = (struct wh_pagemap){.n = n, .n_chunks = (size_t)((n + CHUNK_BITS - 1) / CHUNK_BITS)};
	m->chunks = wh_calloc(m->n_chunks, sizeof(struct wh_pagemap_chunk *));
	if (!m->chunks || !buf)
		return &wh_err_nomem;
	return load(m, ctx, st, off, buf);
}

void wh_pagemap_fini(struct wh_pagemap *m)
{
	for (size_t c = 0; m->chunks && c < m->n_chunks; c++)
		free(m->chunks[c]);
	free(m->chunks);
	*m = (struct wh_pagemap){0};
}

bool wh_pagemap_test(const struct wh_pagemap *m, uint64_t i)
{
	const struct wh_pagemap_chunk *k;

	if (i >= m->n)
		return false;
	k = m->chunks[i >> WH_PAGEMAP_CHUNK];
	i &= CHUNK_BITS - 1;
	return k && (k->w[i / 64] >> (i % 64) & 1);
}

uint64_t wh_pagemap_rank(const struct wh_pagemap *m, uint64_t i)
{
	size_t c = (size_t)(i >> WH_PAGEMAP_CHUNK);
	const struct wh_pagemap_chunk *k;
	uint64_t r;
	size_t w, g;

	/* A chunk of zeros stands for the next one that has bits. */
	while (c < m->n_chunks && !m->chunks[c]) {
		c++;
		i = c * CHUNK_BITS;
	}
	if (c >= m->n_chunks)
		return m->set;
	k = m->chunks[c];
	i &= CHUNK_BITS - 1;
	w = (size_t)(i / 64);
	g = w / RANK_WORDS;
	r = k->base + k->rank[g];
	for (size_t j = g * RANK_WORDS; j < w; j++)
		r += (uint64_t)__builtin_popcountll(k->w[j]);
	if (i % 64)
		r += (uint64_t)__builtin_popcountll(k->w[w] & ~(~0ull << (i % 64)));
	return r;
}

/* First bit in [i, end) whose value is @want, or end. */
static uint64_t scan(const struct wh_pagemap *m, uint64_t i, uint64_t end, bool want)
{
	if (end > m->n)
		end = m->n;
	while (i < end) {
		const struct wh_pagemap_chunk *k = m->chunks[i >> WH_PAGEMAP_CHUNK];
		uint64_t stop = ((i >> WH_PAGEMAP_CHUNK) + 1) << WH_PAGEMAP_CHUNK;

		if (!k) {
			if (!want)
				return i;
			i = stop;
			continue;
		}
		if (stop > end)
			stop = end;
		while (i < stop) {
			uint64_t w = k->w[(i & (CHUNK_BITS - 1)) / 64];

			w = (want ? w : ~w) >> (i % 64);
			if (w) {
				i += (uint64_t)__builtin_ctzll(w);
				return i < end ? i : end;
			}
			i = (i | 63) + 1;
		}
	}
	return end;
}

uint64_t wh_pagemap_next(const struct wh_pagemap *m, uint64_t i, uint64_t end)
{
	return scan(m, i, end, true);
}

uint64_t wh_pagemap_run_end(const struct wh_pagemap *m, uint64_t i, uint64_t end)
{
	return scan(m, i, end, !wh_pagemap_test(m, i));
}
