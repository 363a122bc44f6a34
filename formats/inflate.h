/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inflate: one zlib stream (RFC 1950, 1951) that lies in memory as a whole and gives a known number of
 * bytes: a page of a kdump.  Takes two thirds of the time of zlib, because it never has to stop and resume.
 * Private to formats/.
 */
#ifndef WH_FORMATS_INFLATE_H
#define WH_FORMATS_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WH_INFLATE_LIT_BITS  10
#define WH_INFLATE_DIST_BITS 8

/** Decoding tables; one a thread, no initialisation needed. */
struct wh_inflate {
	uint32_t lit[1 << WH_INFLATE_LIT_BITS], dist[1 << WH_INFLATE_DIST_BITS];
	uint16_t lit_sorted[288], dist_sorted[32]; /* symbols by code, for the long ones */
	uint16_t lit_count[16], dist_count[16];	   /* codes of each length */
};

/**
 * True when @in holds a stream that gives exactly @out_len bytes and whose checksum is right.  False
 * says only that this decoder would not do it: zlib has the last word.  @out is scratch then.
 */
bool wh_inflate_page(struct wh_inflate *t, const uint8_t *in, size_t in_len, uint8_t *out,
		     size_t out_len);

#endif
