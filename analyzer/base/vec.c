/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/base/vec.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

struct wh_err *wh_vec_reserve_raw(void *v, size_t *cap, size_t need, size_t elem)
{
	size_t c = *cap ? *cap : 16, bytes;
	void *old, *p;

	while (c < need)
		c = c > SIZE_MAX / 2 ? need : c + c / 2 + 8;
	if (__builtin_mul_overflow(c, elem, &bytes))
		return &wh_err_nomem;
	memcpy(&old, v, sizeof(old));
	p = realloc(old, bytes);
	if (!p)
		return &wh_err_nomem;
	memcpy(v, &p, sizeof(p));
	*cap = c;
	return NULL;
}

#define HUGE_PAGE ((size_t)2 << 20)

void *wh_alloc_table(size_t n, size_t elem)
{
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(n ? n : 1, elem, &bytes) || bytes > SIZE_MAX - HUGE_PAGE)
		return NULL;
	if (bytes < 2 * HUGE_PAGE)
		return calloc(n ? n : 1, elem);
	bytes = (bytes + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	p = aligned_alloc(HUGE_PAGE, bytes);
	if (!p)
		return NULL;
	/* Advice before the first touch; a host without huge pages ignores it. */
	madvise(p, bytes, MADV_HUGEPAGE);
	memset(p, 0, bytes);
	return p;
}
