/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/graph/edges.h"

#include <string.h>

struct wh_err *wh_edges_init(struct edges *e, size_t rows, uint64_t budget)
{
	uint64_t chunks = budget >> (EDGE_CHUNK_SHIFT + 2);

	memset(e, 0, sizeof(*e));
	e->max_chunks = chunks < 64		   ? 64
			: chunks > EDGE_CHUNKS_MAX ? EDGE_CHUNKS_MAX
						   : (uint32_t)chunks;
	e->head = wh_calloc(rows, sizeof(*e->head));
	e->chunks = calloc(EDGE_CHUNKS_MAX, sizeof(*e->chunks));
	if (!e->head || !e->chunks)
		return &wh_err_nomem;
	return NULL;
}

void wh_edges_fini(struct edges *e)
{
	unsigned int n = atomic_load(&e->n_chunks);

	if (e->chunks)
		for (unsigned int i = 0; i < n && i < EDGE_CHUNKS_MAX; i++)
			free(atomic_load(&e->chunks[i]));
	free(e->chunks);
	free(e->head);
	memset(e, 0, sizeof(*e));
}

static bool writer_grow(struct edge_writer *w)
{
	uint32_t *c;
	unsigned int i;

	if (atomic_load_explicit(&w->e->n_chunks, memory_order_relaxed) >= w->e->max_chunks)
		return false;
	i = atomic_fetch_add(&w->e->n_chunks, 1);
	if (i >= w->e->max_chunks) {
		atomic_fetch_sub(&w->e->n_chunks, 1);
		return false;
	}
	c = malloc(sizeof(uint32_t) << EDGE_CHUNK_SHIFT);
	if (!c)
		return false;
	atomic_store_explicit(&w->e->chunks[i], c, memory_order_release);
	w->chunk = i;
	w->used = i == 0 ? 1 : 0; /* index 0 means "none" */
	w->have = true;
	return true;
}

bool wh_edges_put(struct edge_writer *w, uint32_t src, const uint32_t *targets, uint32_t n)
{
	uint32_t *b, index, old = 0;

	if ((!w->have || w->used + n + 2 > 1u << EDGE_CHUNK_SHIFT) && !writer_grow(w)) {
		atomic_store(&w->e->full, true);
		return false;
	}
	index = w->chunk << EDGE_CHUNK_SHIFT | w->used;
	b = atomic_load_explicit(&w->e->chunks[w->chunk], memory_order_relaxed) + w->used;
	memcpy(b + 2, targets, n * sizeof(*targets));
	b[1] = n;
	/* Nearly always the first batch; a read before the write would fault the page in twice. */
	do {
		b[0] = old;
	} while (!atomic_compare_exchange_weak(&w->e->head[src], &old, index));
	w->used += n + 2;
	w->stored += n;
	return true;
}

void wh_edges_clear(struct edges *e, size_t rows)
{
	unsigned int n = atomic_load(&e->n_chunks);

	for (unsigned int i = 0; i < n && i < EDGE_CHUNKS_MAX; i++) {
		free(atomic_load(&e->chunks[i]));
		atomic_store(&e->chunks[i], NULL);
	}
	atomic_store(&e->n_chunks, 0);
	atomic_store(&e->full, false);
	for (size_t i = 0; i < rows; i++)
		atomic_store_explicit(&e->head[i], 0, memory_order_relaxed);
}

uint64_t wh_edges_memory(const struct edges *e)
{
	return (uint64_t)atomic_load(&e->n_chunks) * (sizeof(uint32_t) << EDGE_CHUNK_SHIFT);
}
