/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stream_priv: what the stream_*.c files share; private to formats/. */
#ifndef WH_FORMATS_STREAM_PRIV_H
#define WH_FORMATS_STREAM_PRIV_H

#include "analyzer/base/strbuf.h"
#include "formats/stream.h"

struct wh_flat;

struct wh_stream {
	char *path;		 /**< as the user gave it; owned */
	char *wrappers;		 /**< "flattened", "zstd, flattened" …, "" plain; owned */
	uint64_t size;		 /**< [bytes] of the content */
	bool truncated;		 /**< the content is known to be cut */
	int fd;			 /**< owned; -1 for memory and wrapped streams */
	const uint8_t *mem;	 /**< borrowed bytes, or NULL */
	struct wh_flat *flat;	 /**< flattened: where each piece lies in `under`; owned */
	struct wh_stream *under; /**< flattened: the stream that holds the records; owned */
};

/** A new stream with no bytes yet; *ret owned by the caller. */
struct wh_err *wh_stream_new(const char *path, const char *wrappers,
			     struct wh_stream **ret) WH_MUST_CHECK;
/** An unlinked temporary file, in $TMPDIR or else /var/tmp or /tmp. */
struct wh_err *wh_spool_open(int *ret_fd) WH_MUST_CHECK;
/** Writes @n bytes at @off, leaving holes for blocks of zeros. */
struct wh_err *wh_spool_write(int fd, uint64_t off, const uint8_t *p, size_t n) WH_MUST_CHECK;

/**
 * Decompresses @in when it is compressed: *ret is then a new stream over a spooled copy, else
 * &wh_err_not_mine.  Damage and a missing end leave what could be had, with `truncated` set.
 */
struct wh_err *wh_stream_peel_codec(struct wh_ctx *ctx, const struct wh_stream *in,
				    struct wh_stream **ret) WH_MUST_CHECK;
/** Takes @in over on success when it is a flattened dump, else &wh_err_not_mine. */
struct wh_err *wh_stream_peel_flat(struct wh_ctx *ctx, struct wh_stream *in,
				   struct wh_stream **ret) WH_MUST_CHECK;
void wh_flat_destroy(struct wh_flat *f);
size_t wh_flat_read(const struct wh_stream *s, uint64_t off, uint8_t *buf, size_t len);
const void *wh_flat_borrow(const struct wh_stream *s, uint64_t off, size_t len);

#endif
