/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scratch: what one thread needs to fetch pages without locks and without allocating: windows on the
 * input files that grow while access is sequential, and one decompressor context a codec.
 */
#ifndef WH_FORMATS_SCRATCH_H
#define WH_FORMATS_SCRATCH_H

#include "formats/stream.h"

/** How the bytes of a page are stored. */
enum wh_codec {
	WH_CODEC_ZLIB,
	WH_CODEC_LZO,
	WH_CODEC_SNAPPY,
	WH_CODEC_ZSTD,
	WH_CODEC_NONE,
	WH_CODEC_COUNT
};

#define WH_VIEW_MAX ((size_t)1 << 20) /**< [bytes] most that one wh_scratch_bytes gives */

struct wh_scratch;
struct wh_err *wh_scratch_create(struct wh_scratch **ret) WH_MUST_CHECK;
void wh_scratch_destroy(struct wh_scratch *sc);
/**
 * Points at min(@want, WH_VIEW_MAX, what the stream has) bytes at @off; *ret_len says how many (0 and
 * NULL at the end of the stream or out of memory).  Valid until the next call with @sc.
 */
const uint8_t *wh_scratch_bytes(struct wh_scratch *sc, const struct wh_stream *st, uint64_t off,
				size_t want, size_t *ret_len);
/** Decodes one page; false unless exactly @out_len bytes come out. */
bool wh_scratch_decode(struct wh_scratch *sc, enum wh_codec codec, const void *in, size_t in_len,
		       void *out, size_t out_len);
/** "zlib", "lzo", "snappy", "zstd", "none". */
const char *wh_codec_name(enum wh_codec codec);

#endif
