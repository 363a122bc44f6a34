/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * umem: libumem in a process core, on illumos and (its ports) on Linux.  The caches themselves are walked by
 * kmem_core; here is what a process adds: finding the library's structures without its symbols, choosing
 * the layout, malloc's headers, and which memory is the allocator's own.  For umem_find.c, alloc_umem.c
 * and the umem dcmds of the shell.
 */
#ifndef WH_ALLOC_UMEM_H
#define WH_ALLOC_UMEM_H

#include "analyzer/alloc/heap.h"
#include "analyzer/alloc/kmem_core.h"

struct wh_umem {
	struct wh_process *p;
	struct wh_kmem k;
	struct wh_types *types; /**< owned: the chosen profile; NULL with the process's own types */
	const char *layout;	/**< "illumos", "portable", "gburd", "CTF", "DWARF" */
	bool own;		/**< layout from the process's own types */
	uint64_t anchor;	/**< umem_null_cache */
	uint64_t vmem_list;	/**< first arena; 0 unknown */
	uint32_t module;	/**< libumem's, UINT32_MAX when it is linked statically */
	uint64_t top_arena;	/**< the one that maps memory for all others */
	WH_VEC(uint16_t) classes; /**< by cache index */
	uint16_t cls_oversize, cls_memalign;
	struct wh_heap_totals sum;
	int64_t newest; /**< timestamp of the newest audit record; INT64_MIN not looked for yet */
};

/**
 * Sets anchor, layout, types and the parts of k that open needs; &wh_err_not_mine.  @own: the process's own
 * types may be used.
 */
struct wh_err *wh_umem_find(struct wh_umem *u, bool own) WH_MUST_CHECK;
/** After wh_kmem_open: arenas that no symbol led to, the number of processors, the depth of stacks. */
struct wh_err *wh_umem_complete(struct wh_umem *u) WH_MUST_CHECK;

/** How many buffers of walked cache @c each thread keeps (UMF_PTC), to @counts by thread (zeroed). */
struct wh_err *wh_umem_thread_cached(struct wh_umem *u, const struct wh_kmem_cache *c,
				     uint64_t *counts) WH_MUST_CHECK;

#endif
