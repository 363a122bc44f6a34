/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream: seekable bytes of one input file, whatever wraps it: plain, zstd, lz4, xz, gzip (found by
 * content, decompressed once with bounded memory), flattened makedumpfile.  Knows bytes only.
 *
 * Thread-safe after open: any number of threads may read at once.  Nothing is written next to the
 * dump; a compressed file that is not seekable is spooled to an unlinked temporary file.
 */
#ifndef WH_FORMATS_STREAM_H
#define WH_FORMATS_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "analyzer/base/ctx.h"

struct wh_stream;

/** Opens @path and peels every wrapper that its content shows. */
struct wh_err *wh_stream_open(struct wh_ctx *ctx, const char *path,
			      struct wh_stream **ret) WH_MUST_CHECK;
/** Bytes in memory, borrowed until close (tests, fuzzing); wrappers are peeled as well. */
struct wh_err *wh_stream_open_mem(struct wh_ctx *ctx, const void *p, size_t n, const char *name,
				  struct wh_stream **ret) WH_MUST_CHECK;
void wh_stream_close(struct wh_stream *s);
/** [bytes] of the unwrapped content. */
uint64_t wh_stream_size(const struct wh_stream *s);
/** The path as the user gave it. */
const char *wh_stream_path(const struct wh_stream *s);
/** Outermost first, e.g. "flattened", "zstd"; "" when plain. */
const char *wh_stream_wrappers(const struct wh_stream *s);
/** True when the content is known to be cut (a missing end record, a damaged frame). */
bool wh_stream_truncated(const struct wh_stream *s);
/** Reads up to @len bytes; returns how many there were (short at the end or at damage). */
size_t wh_stream_read(const struct wh_stream *s, uint64_t off, void *buf, size_t len);
/** A pointer to [off, off+len) when it is mapped as a whole, else NULL; borrowed until close. */
const void *wh_stream_borrow(const struct wh_stream *s, uint64_t off, size_t len);

#endif
