/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The windows.  A reader walks a few places of the file at once: descriptors, page data, page tables,
 * lists.  Each of VIEWS windows follows one of them:
 *
 *	file  ----[ desc window ]--------[ data window      ]-----[ table window ]----
 *
 * A read that continues where a window ends doubles that window (VIEW_MIN .. VIEW_SEQ), any other miss
 * takes the window used longest ago and starts it small, so random reads cost one small pread and
 * sequential ones one larger pread in many.  A caller that asks for more than VIEW_SEQ gets it at once,
 * in a window of its own.
 *
 * pread instead of mmap, by measurement (400 MB ELF in the page cache, each word looked at, Xeon with
 * 2 MiB L2): pread into one 64 KiB .. 1 MiB window 7.1-7.6 GB/s, 2 MB resident; mmap with
 * MADV_SEQUENTIAL and MADV_DONTNEED behind 8.4-8.8 GB/s, and 385 MB resident where nobody may drop what
 * is behind because access is not sequential.  15 ms a GB buy a resident size that we control, no
 * SIGBUS when a file shrinks under us, no mmap lock between threads, and one path for flattened files.
 */
#include "formats/scratch.h"

#include "analyzer/base/vec.h"
#include "formats/inflate.h"

#include <lzo/lzo1x.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define VIEWS	 64
#define BULK	 VIEWS		    /* the window for large requests */
#define VIEW_MIN ((size_t)4 << 10)  /* [bytes] first read of a window */
#define VIEW_SEQ ((size_t)64 << 10) /* [bytes] largest read of a window that grows by itself */

struct view {
	const struct wh_stream *st;
	uint64_t off;
	size_t len; /* valid bytes */
	size_t cap;
	size_t step; /* size of the last fill */
	uint8_t *buf;
	uint64_t used; /* clock of the last use */
};

struct wh_scratch {
	struct view views[VIEWS + 1];
	unsigned int last; /* view that answered last */
	uint64_t clock;
	struct wh_inflate inflate;
	z_stream zlib; /* has the last word on what `inflate` rejects */
	bool zlib_ready;
	ZSTD_DCtx *zstd;
};

struct wh_err *wh_scratch_create(struct wh_scratch **ret)
{
	struct wh_scratch *sc = wh_calloc(1, sizeof(*sc));

	if (!sc)
		return &wh_err_nomem;
	*ret = sc;
	return NULL;
}

void wh_scratch_destroy(struct wh_scratch *sc)
{
	if (!sc)
		return;
	for (size_t i = 0; i <= VIEWS; i++)
		free(sc->views[i].buf);
	if (sc->zlib_ready)
		inflateEnd(&sc->zlib);
	ZSTD_freeDCtx(sc->zstd);
	free(sc);
}

static const uint8_t *view_at(const struct view *v, const struct wh_stream *st, uint64_t off,
			      size_t want)
{
	if (v->st != st || off < v->off || off - v->off >= v->len)
		return NULL;
	return v->len - (off - v->off) >= want ? v->buf + (off - v->off) : NULL;
}

/* The window that @off continues, else the one used longest ago. */
static struct view *view_choose(struct wh_scratch *sc, const struct wh_stream *st, uint64_t off,
				bool *ret_sequential)
{
	struct view *oldest = &sc->views[0];

	for (size_t i = 0; i < VIEWS; i++) {
		struct view *v = &sc->views[i];

		if (v->st == st && v->len && off >= v->off && off - v->off <= v->len + v->step) {
			*ret_sequential = true;
			return v;
		}
		if (v->used < oldest->used)
			oldest = v;
	}
	*ret_sequential = false;
	return oldest;
}

static bool view_fill(struct view *v, const struct wh_stream *st, uint64_t off, size_t size)
{
	if (v->cap < size) {
		uint8_t *p = realloc(v->buf, size);

		if (!p)
			return false;
		v->buf = p;
		v->cap = size;
	}
	v->st = st;
	v->off = off;
	v->step = size;
	v->len = wh_stream_read(st, off, v->buf, size);
	return true;
}

const uint8_t *wh_scratch_bytes(struct wh_scratch *sc, const struct wh_stream *st, uint64_t off,
				size_t want, size_t *ret_len)
{
	uint64_t size = wh_stream_size(st);
	const uint8_t *p;
	struct view *v;
	bool sequential;
	size_t step;

	*ret_len = 0;
	if (off >= size || !want)
		return NULL;
	if (want > WH_VIEW_MAX)
		want = WH_VIEW_MAX;
	if (want > size - off)
		want = (size_t)(size - off);
	*ret_len = want;
	p = wh_stream_borrow(st, off, want);
	if (p)
		return p;
	p = view_at(&sc->views[sc->last], st, off, want);
	if (p)
		return p;
	for (unsigned int i = 0; i <= VIEWS; i++) {
		p = view_at(&sc->views[i], st, off, want);
		if (p) {
			sc->last = i;
			sc->views[i].used = ++sc->clock;
			return p;
		}
	}
	if (want > VIEW_SEQ) {
		v = &sc->views[BULK];
		step = want;
	} else {
		v = view_choose(sc, st, off, &sequential);
		step = sequential ? v->step * 2 : VIEW_MIN;
		if (step > VIEW_SEQ)
			step = VIEW_SEQ;
		if (step < want)
			step = want;
	}
	if (!view_fill(v, st, off, step) || !v->len) {
		v->len = 0;
		*ret_len = 0;
		return NULL;
	}
	v->used = ++sc->clock;
	sc->last = (unsigned int)(v - sc->views);
	if (v->len < want)
		*ret_len = v->len;
	return v->buf;
}

static bool decode_zlib(struct wh_scratch *sc, const void *in, size_t in_len, void *out,
			size_t out_len)
{
	z_stream *z = &sc->zlib;

	if (wh_inflate_page(&sc->inflate, in, in_len, out, out_len))
		return true;

	if (!sc->zlib_ready) {
		if (inflateInit(z) != Z_OK)
			return false;
		sc->zlib_ready = true;
	} else if (inflateReset(z) != Z_OK) {
		return false;
	}
	z->next_in = (Bytef *)(uintptr_t)in;
	z->avail_in = (uInt)in_len;
	z->next_out = out;
	z->avail_out = (uInt)out_len;
	return inflate(z, Z_FINISH) == Z_STREAM_END && !z->avail_out;
}

static bool decode_lzo(struct wh_scratch *sc WH_UNUSED, const void *in, size_t in_len, void *out,
		       size_t out_len)
{
	lzo_uint n = out_len;

	return lzo1x_decompress_safe(in, in_len, out, &n, NULL) == LZO_E_OK && n == out_len;
}

static bool decode_snappy(struct wh_scratch *sc WH_UNUSED, const void *in, size_t in_len, void *out,
			  size_t out_len)
{
	size_t n;

	/* The length comes first in the stream: a lie there must not write past @out. */
	if (snappy_uncompressed_length(in, in_len, &n) != SNAPPY_OK || n != out_len)
		return false;
	return snappy_uncompress(in, in_len, out, &n) == SNAPPY_OK && n == out_len;
}

static bool decode_zstd(struct wh_scratch *sc, const void *in, size_t in_len, void *out,
			size_t out_len)
{
	size_t n;

	if (!sc->zstd) {
		sc->zstd = ZSTD_createDCtx();
		if (!sc->zstd)
			return false;
	}
	n = ZSTD_decompressDCtx(sc->zstd, out, out_len, in, in_len);
	return !ZSTD_isError(n) && n == out_len;
}

static bool decode_none(struct wh_scratch *sc WH_UNUSED, const void *in, size_t in_len, void *out,
			size_t out_len)
{
	if (in_len != out_len)
		return false;
	memcpy(out, in, out_len);
	return true;
}

static const struct {
	const char *name;
	bool (*decode)(struct wh_scratch *sc, const void *in, size_t in_len, void *out,
		       size_t out_len);
} codecs[WH_CODEC_COUNT] = {
	[WH_CODEC_ZLIB] = {"zlib", decode_zlib},       [WH_CODEC_LZO] = {"lzo", decode_lzo},
	[WH_CODEC_SNAPPY] = {"snappy", decode_snappy}, [WH_CODEC_ZSTD] = {"zstd", decode_zstd},
	[WH_CODEC_NONE] = {"none", decode_none},
};

bool wh_scratch_decode(struct wh_scratch *sc, enum wh_codec codec, const void *in, size_t in_len,
		       void *out, size_t out_len)
{
	if (in_len > UINT32_MAX || out_len > UINT32_MAX)
		return false;
	return codecs[codec].decode(sc, in, in_len, out, out_len);
}

const char *wh_codec_name(enum wh_codec codec)
{
	return codecs[codec].name;
}
