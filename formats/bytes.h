/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bytes: small helpers on host memory; private to formats/. */
#ifndef WH_FORMATS_BYTES_H
#define WH_FORMATS_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline bool wh_bytes_zero(const uint8_t *p, size_t n)
{
	return !n || (!p[0] && !memcmp(p, p + 1, n - 1));
}

#endif
