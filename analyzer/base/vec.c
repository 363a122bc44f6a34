/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/base/vec.h"

#include <stdint.h>
#include <string.h>

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
