/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "formats/lzjb.h"

#include <stdint.h>
#include <string.h>

enum { LZJB_MIN_MATCH = 3, LZJB_LEN_SHIFT = 2, LZJB_DIST_HIGH = 3 };

/* Copies that overlap their own output repeat it, so they go byte by byte. */
static void lzjb_copy(uint8_t *out, size_t at, size_t dist, size_t len)
{
	if (dist >= len) {
		memcpy(out + at, out + at - dist, len);
		return;
	}
	for (size_t i = 0; i < len; i++)
		out[at + i] = out[at + i - dist];
}

bool wh_lzjb_decode(const void *src, size_t src_len, void *dst, size_t dst_len)
{
	const uint8_t *in = src, *end = in + src_len;
	uint8_t *out = dst;
	size_t at = 0;

	if (src_len >= dst_len) {
		memcpy(dst, src, dst_len);
		return true;
	}
	while (at < dst_len) {
		unsigned int control;

		if (in == end)
			return false;
		control = *in++;
		for (int bit = 0; bit < 8 && at < dst_len; bit++, control >>= 1) {
			size_t len, dist;

			if (!(control & 1)) {
				if (in == end)
					return false;
				out[at++] = *in++;
				continue;
			}
			if (end - in < 2)
				return false;
			len = (size_t)(in[0] >> LZJB_LEN_SHIFT) + LZJB_MIN_MATCH;
			dist = (size_t)(in[0] & LZJB_DIST_HIGH) << 8 | in[1];
			in += 2;
			if (!dist || dist > at)
				return false;
			if (len > dst_len - at)
				len = dst_len - at;
			lzjb_copy(out, at, dist, len);
			at += len;
		}
	}
	return true;
}
