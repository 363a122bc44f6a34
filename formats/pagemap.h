/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pagemap: a bitmap of page frames with ranks, read from a file.  Kept in chunks, and a chunk of zeros
 * takes no memory, so a header that claims 2^40 frames costs what its set bits cost.  Immutable after
 * loading.
 */
#ifndef WH_FORMATS_PAGEMAP_H
#define WH_FORMATS_PAGEMAP_H

#include "formats/stream.h"

#define WH_PAGEMAP_CHUNK                                                                           \
	19 /**< [log2 frames] 512 Ki frames: 2 GiB of 4 KiB pages, 64 KiB of bits */

struct wh_pagemap_chunk;
struct wh_pagemap {
	struct wh_pagemap_chunk **chunks;
	size_t n_chunks;
	uint64_t n;	 /**< frames */
	uint64_t loaded; /**< frames whose bit could be read: below n when the file is cut */
	uint64_t set;	 /**< frames whose bit is set */
};

/** Reads @n bits at @off of @st, least significant bit of each byte first. */
struct wh_err *wh_pagemap_load(struct wh_pagemap *m, struct wh_ctx *ctx, const struct wh_stream *st,
			       uint64_t off, uint64_t n) WH_MUST_CHECK;
void wh_pagemap_fini(struct wh_pagemap *m);
bool wh_pagemap_test(const struct wh_pagemap *m, uint64_t i);
/** Number of set bits below @i (@i at most n). */
uint64_t wh_pagemap_rank(const struct wh_pagemap *m, uint64_t i);
/** First set bit in [i, end), or end (at most n); chunks of zeros cost nothing. */
uint64_t wh_pagemap_next(const struct wh_pagemap *m, uint64_t i, uint64_t end);
/** First bit in [i, end) that differs from bit @i, or end (at most n). */
uint64_t wh_pagemap_run_end(const struct wh_pagemap *m, uint64_t i, uint64_t end);

#endif
