/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * heap: the contract of the heap models of a process.  One static const instance per alloc_*.c, listed in
 * heap.c.  The order of calls is the contract:
 *
 *	detect   is it there? claims nothing, costs little          (all models)
 *	build    rows into the buffer table, claims into the process (those that were detected)
 *	correct  after the table is frozen: free lists, caches      ("    ")
 *	describe, stats, trail, origin                              on demand
 *
 * A model that only recognises an allocator leaves `build` NULL: its memory stays mapped memory, that
 * is, a root, and the report says so.
 */
#ifndef WH_ALLOC_HEAP_H
#define WH_ALLOC_HEAP_H

#include "analyzer/target/process.h"

/** What detect found out. */
struct wh_heap_finding {
	char version[96];  /**< "glibc 2.36 (safe-linking, 2 arenas)": what was inferred or known */
	char evidence[96]; /**< "symbol-free: 127 of 127 bins agree" */
};

/** Totals that add up: bytes = used + free + overhead + lost. */
struct wh_heap_totals {
	uint64_t bytes;		       /**< of all heap memory, headers included */
	uint64_t used, used_bytes;     /**< buffers in use, with their headers */
	uint64_t free, free_bytes;     /**< with top and unused tails */
	uint64_t cached, cached_bytes; /**< of the free ones: in tcache, fastbins, magazines */
	uint64_t overhead_bytes;       /**< the allocator's own structures, fences */
	uint64_t damaged_bytes;	       /**< could not be walked, or is not in the core */
};

void wh_heap_totals_add(struct wh_heap_totals *to, const struct wh_heap_totals *from);

struct wh_heap_ops {
	const char *name; /**< "ptmalloc", "umem", "jemalloc" */
	/** &wh_err_not_mine when it is not there; else *ret_priv and *ret. */
	struct wh_err *(*detect)(struct wh_process *p, void **ret_priv,
				 struct wh_heap_finding *ret);
	struct wh_err *(*build)(void *priv);
	struct wh_err *(*correct)(void *priv);
	void (*totals)(void *priv, struct wh_heap_totals *ret);
	struct wh_err *(*origin)(void *priv, uint32_t row, struct wh_arena *a,
				 struct wh_origin *ret);
	struct wh_err *(*whatis)(void *priv, uint64_t addr, struct wh_arena *a, wh_whatis_vec *ret);
	struct wh_err *(*trail)(void *priv, uint64_t addr, struct wh_arena *a, wh_event_vec *ret);
	struct wh_err *(*caches)(void *priv, struct wh_arena *a, wh_cache_vec *ret);
	void (*close)(void *priv);
};

struct wh_heap {
	const struct wh_heap_ops *ops;
	void *priv;
	struct wh_heap_finding finding;
};
typedef WH_VEC(struct wh_heap) wh_heap_vec;

/** Asks every model; the found ones are appended.  A model that fails is a diagnostic. */
struct wh_err *wh_heaps_detect(struct wh_process *p, wh_heap_vec *ret) WH_MUST_CHECK;
void wh_heaps_close(wh_heap_vec *v);

/**
 * The next allocator that is recognised by name only, from table entry @from on; &wh_err_not_found when
 * there is no more.  It becomes a heap with wh_heap_other, whose build is NULL.
 */
struct wh_err *wh_heap_find_other(struct wh_process *p, size_t from, size_t *ret_next,
				  struct wh_heap_finding *ret) WH_MUST_CHECK;

/** An allocator that shows by the shape of its memory alone; reads all of it.  &wh_err_not_found. */
struct wh_err *wh_heap_find_shape(struct wh_process *p, struct wh_heap_finding *ret) WH_MUST_CHECK;

extern const struct wh_heap_ops wh_heap_ptmalloc, wh_heap_umem, wh_heap_other;

#endif
