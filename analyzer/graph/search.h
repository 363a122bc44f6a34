/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * search: every word of the dump whose value lies in given ranges, wherever it stands: in roots, live,
 * free or leaked objects, dead stacks, page cache.  It answers "who mentions this address at all", which
 * the marks, which obey the plan, do not.
 *
 * Memory is read once, in parallel, for all ranges together, so that a question about a thousand objects
 * costs little more than one about a single object.  Aligned words are tried against every range; ranges
 * that say so are also tried at every byte.  Hits come sorted by form, space and address, the same for
 * any number of threads.
 */
#ifndef WH_GRAPH_SEARCH_H
#define WH_GRAPH_SEARCH_H

#include "analyzer/base/ctx.h"
#include "analyzer/base/vec.h"
#include "formats/mem.h"

struct wh_search_want {
	uint64_t first, last; /**< values, inclusive */
	uint32_t form;	      /**< the caller's number, small, copied to hits */
	bool unaligned;	      /**< at any byte, not only at word boundaries */
};

struct wh_search_hit {
	uint64_t addr;	/**< where the word stands, in `space` */
	uint64_t value; /**< the word */
	uint32_t form;
	uint8_t space; /**< enum wh_space */
	bool aligned;
};
typedef WH_VEC(struct wh_search_hit) wh_search_hits;

#define WH_SEARCH_MAX 4096 /**< hits of one form that are kept; the lowest addresses win */

/**
 * Searches all memory of the dump: physical frames of machines, segments of processes.  Appends to @ret;
 * *ret_cut (may be NULL) is set when a form had more than WH_SEARCH_MAX hits.  Words that straddle the end
 * of a run of readable memory are not seen.
 */
struct wh_err *wh_search_run(struct wh_ctx *ctx, const struct wh_mem *mem,
			     const struct wh_search_want *wants, size_t n, wh_search_hits *ret,
			     bool *ret_cut) WH_MUST_CHECK;

#endif
