/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ptmalloc: glibc's malloc, 2.17 to current, rebuilt from a core with or without symbols.  Private to
 * the ptmalloc_*.c files.
 *
 *	ptmalloc_find.c   the arenas: where they are and how malloc_state is laid out in this build
 *	ptmalloc_walk.c   the memory of each arena, chunk by chunk, into the buffer table; mmapped chunks
 *	ptmalloc_lists.c  what the chunk headers don't say: tcache and fastbins
 *	alloc_ptmalloc.c  the model that the rest of the program sees
 *
 * Sources of the layout facts: glibc malloc/malloc.c and malloc/arena.c, releases 2.17 to 2.43, and the
 * DWARF of Debian 12's libc6-dbg; every offset that moved between releases is inferred, not looked up.
 */
#ifndef WH_ALLOC_PTMALLOC_H
#define WH_ALLOC_PTMALLOC_H

#include "analyzer/alloc/heap.h"
#include "analyzer/base/hashmap.h"

/* Low bits of a chunk's size field. */
#define WH_PT_PREV_INUSE 1u
#define WH_PT_MMAPPED	 2u
#define WH_PT_NON_MAIN	 4u
#define WH_PT_FLAGS	 7u

#define WH_PT_BINS	 127u /* bins[254]: pairs of fd, bk */
#define WH_PT_MIN_BINS	 100u /* that must agree before an arena is believed */
#define WH_PT_MAX_ARENAS 65536u
#define WH_PT_TCACHES	 4    /* layouts of a tcache_perthread_struct and its chunk */
#define WH_PT_SMALL	 128u /* exact size classes up to 128 alignment units */

struct wh_pt_arena {
	uint64_t addr; /**< malloc_state */
	uint64_t bins; /**< &bins[0] */
	uint64_t end;  /**< one past malloc_state */
	uint64_t top, top_size;
	uint64_t system_mem;
	uint32_t good_bins; /**< that were consistent, of WH_PT_BINS */
	bool main;
	/* totals */
	struct wh_heap_totals sum;
};

/** A run of chunks that belongs to one arena. */
struct wh_pt_region {
	uint64_t start, end; /**< first chunk; one past the last byte of the arena's memory there */
	uint32_t arena;
	bool has_top; /**< the walk ends at the arena's top chunk */
	bool fenced;  /**< the walk ends at fence posts */
};

struct wh_ptmalloc {
	struct wh_process *p;
	struct wh_abi abi;
	uint32_t w;	    /**< [bytes] SIZE_SZ */
	uint32_t align;	    /**< [bytes] MALLOC_ALIGNMENT */
	uint32_t min_chunk; /**< [bytes] MINSIZE */
	/* malloc_state, relative to bins[0] */
	uint64_t off_state;		   /**< [bytes] malloc_state is at bins - off_state */
	uint64_t off_next;		   /**< bins + off_next */
	uint64_t off_system;		   /**< bins + off_system: system_mem */
	uint64_t heap_header;		   /**< [bytes] sizeof(heap_info) */
	uint64_t heap_max;		   /**< [bytes] HEAP_MAX_SIZE, 0 when there is no heap */
	WH_VEC(struct wh_pt_arena) arenas; /**< the main one first; more than one with dlmopen */
	WH_VEC(struct wh_pt_region) regions;
	/* tcache */
	WH_VEC(uint64_t)
	tcaches; /**< user addresses of chunks that look like a tcache_perthread_struct */
	struct wh_map
		tls_words; /**< words just below thread pointers that may be tcache pointers */
	uint64_t tcache_sizes[WH_PT_TCACHES]; /**< [bytes] of chunks, by layout */
	uint32_t tcache_kind;		      /**< layout that was seen + 1, 0 none */
	uint64_t n_tcaches, n_tcache_blocks, n_fast_blocks;
	bool safe_linking, linking_known;
	/* mmapped chunks */
	uint64_t n_mmapped, mmapped_bytes;
	uint16_t cls_small[WH_PT_SMALL], cls_large[64], cls_mmapped, cls_internal;
	struct wh_heap_totals sum;
};

/** Fills arenas and layout; &wh_err_not_mine when there is no arena. */
struct wh_err *wh_pt_find_arenas(struct wh_ptmalloc *m) WH_MUST_CHECK;
/** Finds the memory of every arena. */
struct wh_err *wh_pt_find_regions(struct wh_ptmalloc *m) WH_MUST_CHECK;
/** Walks all regions and finds mmapped chunks: rows, claims, totals. */
struct wh_err *wh_pt_walk(struct wh_ptmalloc *m) WH_MUST_CHECK;
/** Sets tcache_sizes. */
void wh_pt_init_tcache(struct wh_ptmalloc *m);
/** After freeze: blocks in tcache and fastbins become free. */
struct wh_err *wh_pt_lists(struct wh_ptmalloc *m) WH_MUST_CHECK;
/** Chunks of these sizes hold a tcache_perthread_struct, in some release. */
static inline bool wh_pt_is_tcache_size(const struct wh_ptmalloc *m, uint64_t chunk_size)
{
	for (int i = 0; i < WH_PT_TCACHES; i++)
		if (chunk_size == m->tcache_sizes[i])
			return true;
	return false;
}
/** True when the chunk content at @buf could be a tcache_perthread_struct of that chunk size. */
bool wh_pt_tcache_plausible(const struct wh_ptmalloc *m, const uint8_t *buf, uint64_t chunk_size);
/** Collects words below each thread pointer; before wh_pt_walk. */
struct wh_err *wh_pt_collect_tls(struct wh_ptmalloc *m) WH_MUST_CHECK;
/** The class of chunks of @size. */
uint16_t wh_pt_class(const struct wh_ptmalloc *m, uint64_t size);

/** A walk over the chunks from @at, for whatis: the header of the chunk that holds @addr. */
struct wh_pt_chunk {
	uint64_t addr, size;
	uint32_t flags;
	bool in_use; /**< by the next header alone: tcache and fastbin blocks look used */
	bool top, fence;
};
bool wh_pt_find_chunk(struct wh_ptmalloc *m, uint64_t addr, struct wh_pt_chunk *ret,
		      const struct wh_pt_region **ret_region);

static inline uint64_t wh_pt_to_user(const struct wh_ptmalloc *m, uint64_t chunk)
{
	return chunk + 2 * m->w;
}

#endif
