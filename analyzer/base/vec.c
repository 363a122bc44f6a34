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
	uintptr_t start, end;
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(n ? n : 1, elem, &bytes))
		return NULL;
	if (bytes < 2 * HUGE_PAGE)
		return calloc(n ? n : 1, elem);
	/* Zero from the kernel: pages come into being where they are touched first, not all of them here. */
	p = calloc(1, bytes);
	if (!p)
		return NULL;
	start = ((uintptr_t)p + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
	end = ((uintptr_t)p + bytes) & ~(uintptr_t)(HUGE_PAGE - 1);
	madvise((void *)start, end - start, MADV_HUGEPAGE); /* a host without them ignores it */
	return p;
}
