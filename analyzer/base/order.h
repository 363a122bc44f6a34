/* SPDX-License-Identifier: GPL-2.0-or-later */
/* order: comparison of plain numbers for qsort, and the search in sorted arrays. */
#ifndef WH_BASE_ORDER_H
#define WH_BASE_ORDER_H

#include <stddef.h>
#include <stdint.h>

static inline int wh_cmp_u32(const void *pa, const void *pb)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	return a < b ? -1 : a > b;
}

static inline int wh_cmp_u64(const void *pa, const void *pb)
{
	uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;

	return a < b ? -1 : a > b;
}

/**
 * Index of the first of @n elements for which @before, an expression over the index @i, does not hold; @n when
 * it holds for all.  Those for which it holds come first, as in a sorted array.
 */
#define WH_BOUND(i, n, before)                                                                     \
	({                                                                                         \
		size_t wh_lo_ = 0, wh_hi_ = (n);                                                   \
                                                                                                   \
		while (wh_lo_ < wh_hi_) {                                                          \
			size_t i = wh_lo_ + (wh_hi_ - wh_lo_) / 2;                                 \
                                                                                                   \
			if (before)                                                                \
				wh_lo_ = i + 1;                                                    \
			else                                                                       \
				wh_hi_ = i;                                                        \
		}                                                                                  \
		wh_lo_;                                                                            \
	})

/** Index of the first element that is not below @key; @n when all are. */
static inline size_t wh_bound_u32(const uint32_t *v, size_t n, uint32_t key)
{
	return WH_BOUND(i, n, v[i] < key);
}

static inline size_t wh_bound_u64(const uint64_t *v, size_t n, uint64_t key)
{
	return WH_BOUND(i, n, v[i] < key);
}

#endif
