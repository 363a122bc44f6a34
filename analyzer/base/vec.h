/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vec: a growable array of one type.
 *
 *	struct { struct frame *v; size_t n, cap; } frames = {0};	or  WH_VEC(struct frame) frames
 *	WH_TRY(WH_VEC_PUSH(&frames, f));
 *	free(frames.v);
 *
 * Growth is geometric; a size that overflows is out of memory.  Not thread-safe.
 */
#ifndef WH_BASE_VEC_H
#define WH_BASE_VEC_H

#include <stddef.h>
#include <stdlib.h>

#include "analyzer/base/err.h"

#define WH_VEC(type)                                                                               \
	struct {                                                                                   \
		type *v;                                                                           \
		size_t n, cap;                                                                     \
	}

/** Makes room for @need elements in all; @v is the address of the element pointer. */
struct wh_err *wh_vec_reserve_raw(void *v, size_t *cap, size_t need, size_t elem) WH_MUST_CHECK;

#define WH_VEC_RESERVE(vec, need)                                                                  \
	((need) <= (vec)->cap                                                                      \
		 ? NULL                                                                            \
		 : wh_vec_reserve_raw(&(vec)->v, &(vec)->cap, (need), sizeof(*(vec)->v)))

#define WH_VEC_PUSH(vec, ...)                                                                      \
	({                                                                                         \
		struct wh_err *wh_vp_e_ = WH_VEC_RESERVE((vec), (vec)->n + 1);                     \
		if (!wh_vp_e_)                                                                     \
			(vec)->v[(vec)->n++] = (__VA_ARGS__);                                      \
		wh_vp_e_;                                                                          \
	})

#define WH_VEC_FINI(vec)                                                                           \
	do {                                                                                       \
		free((vec)->v);                                                                    \
		(vec)->v = NULL;                                                                   \
		(vec)->n = (vec)->cap = 0;                                                         \
	} while (0)

/** calloc with overflow check; NULL result is &wh_err_nomem for the caller to return. */
static inline void *wh_calloc(size_t n, size_t elem)
{
	return calloc(n ? n : 1, elem);
}

/**
 * Zeroed memory for a big table that is read at random: on huge pages where the host offers them, which
 * saves most of the TLB misses.  NULL when out of memory; release with free().
 */
void *wh_alloc_table(size_t n, size_t elem);

/** qsort that accepts an empty array (whose pointer may be NULL). */
static inline void wh_sort(void *v, size_t n, size_t elem, int (*cmp)(const void *, const void *))
{
	if (n > 1)
		qsort(v, n, elem, cmp);
}

static inline void wh_free_ptr(void *p)
{
	free(*(void **)p);
}
/** A pointer freed when it goes out of scope. */
#define WH_AUTO_FREE WH_CLEANUP(wh_free_ptr)

#endif
