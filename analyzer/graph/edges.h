/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edges: the references that the scan could not settle at once, kept as batches per source row.
 *
 *	head[row] ──► batch {next, n, target, target, …} ──► batch … (newest first)
 *
 * Batches live in chunks of 256 KiB that are never moved or freed before the end; an index is a u32
 * into them.  Each thread fills its own chunk; a batch is published by exchanging head[row].
 */
#ifndef WH_GRAPH_EDGES_H
#define WH_GRAPH_EDGES_H

#include <pthread.h>
#include <stdatomic.h>

#include "analyzer/base/vec.h"

#define EDGE_CHUNK_SHIFT 16 /* u32 words a chunk: 256 KiB */
#define EDGE_CHUNKS_MAX	 65536
#define EDGE_INTERIOR	 0x80000000u /* top bit of a target: the word does not point at its start */

struct edges {
	_Atomic(uint32_t) *head; /* per row: index of the newest batch, 0 none */
	_Atomic(uint32_t *) *chunks;
	atomic_uint n_chunks;
	uint32_t max_chunks; /* the budget */
	atomic_bool full;    /* a batch did not fit: its source row has to be scanned again */
};

/* Per thread: where the next batch goes. */
struct edge_writer {
	struct edges *e;
	uint32_t chunk; /* current chunk number, valid when have */
	uint32_t used;	/* words used in it */
	bool have;
	uint64_t stored; /* targets written, for the counts */
};

struct wh_err *wh_edges_init(struct edges *e, size_t rows, uint64_t budget) WH_MUST_CHECK;
void wh_edges_fini(struct edges *e);
/* Stores one batch for @src; false when the budget is used up.  @n < 65000. */
bool wh_edges_put(struct edge_writer *w, uint32_t src, const uint32_t *targets, uint32_t n);
/** Forgets all batches, keeping the storage; every writer must be reset as well. */
void wh_edges_clear(struct edges *e, size_t rows);
uint64_t wh_edges_memory(const struct edges *e);

static inline const uint32_t *edge_batch(const struct edges *e, uint32_t index)
{
	uint32_t *c =
		atomic_load_explicit(&e->chunks[index >> EDGE_CHUNK_SHIFT], memory_order_acquire);

	return c + (index & ((1u << EDGE_CHUNK_SHIFT) - 1));
}

#endif
