/* SPDX-License-Identifier: GPL-2.0-or-later */
/* order: comparison of plain numbers for qsort, and the search in sorted arrays of them. */
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

/** Index of the first element that is not below @key; @n when all are. */
static inline size_t wh_bound_u32(const uint32_t *v, size_t n, uint32_t key)
{
	size_t lo = 0;

	while (lo < n) {
		size_t mid = lo + (n - lo) / 2;

		if (v[mid] < key)
			lo = mid + 1;
		else
			n = mid;
	}
	return lo;
}

static inline size_t wh_bound_u64(const uint64_t *v, size_t n, uint64_t key)
{
	size_t lo = 0;

	while (lo < n) {
		size_t mid = lo + (n - lo) / 2;

		if (v[mid] < key)
			lo = mid + 1;
		else
			n = mid;
	}
	return lo;
}

#endif
