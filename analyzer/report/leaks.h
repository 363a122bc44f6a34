/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * leaks: the result of findleaks, built once from the target and its marks; every format prints this
 * model, so that no two of them can disagree.
 *
 * A group is what the user reads: buffers of one cache with one recorded allocation stack, or, where
 * nothing was recorded, with one content signature and, where debug information tells, one type (which
 * is not signed: the same leak has the same signature without debug information).  A leak belongs to exactly one group; a group may
 * hold leaks of several kinds (heads and what hangs off them), which are counted apart.
 *
 *	totals.all = sum over kinds = sum over groups      (bytes and buffers; checked by a test)
 */
#ifndef WH_REPORT_LEAKS_H
#define WH_REPORT_LEAKS_H

#include "analyzer/target/target.h"

/** In order of weight; also the bits of --show-leak-kinds and --fail-on. */
enum wh_leak_kind {
	WH_LEAK_DEFINITE,
	WH_LEAK_POSSIBLE,
	WH_LEAK_UNKNOWN,
	WH_LEAK_INDIRECT,
	WH_LEAK_SUPPRESSED,
	WH_LEAK_KIND_COUNT
};
const char *wh_leak_kind_name(enum wh_leak_kind k);

struct wh_tally {
	uint64_t count, bytes;
};
static inline void wh_tally_add(struct wh_tally *t, uint64_t count, uint64_t bytes)
{
	t->count += count;
	t->bytes += bytes;
}

#define WH_SUPPRESSION_NONE UINT32_MAX

/** How a group stands to the baseline. */
enum wh_delta { WH_DELTA_NONE, WH_DELTA_NEW, WH_DELTA_GROWN, WH_DELTA_SAME, WH_DELTA_COUNT };

struct wh_leak_group {
	uint32_t id;	    /**< 1, 2 … in the order of the report */
	char signature[20]; /**< 16 hexadecimal digits, stable between dumps */
	bool weak;	    /**< signed without a stack */
	const char *cache, *model;
	uint16_t cls;
	struct wh_tally all;
	struct wh_tally kinds[WH_LEAK_KIND_COUNT];
	struct wh_tally hanging; /**< what hangs off the heads of this group */
	const struct wh_frame *frames;
	size_t n_frames;
	size_t skip; /**< allocator frames at the top, which do not count for the signature */
	const char *source;	 /**< who recorded it; NULL nobody */
	const char *content;	 /**< content signature, when nothing was recorded; NULL none */
	struct wh_row_type type; /**< of the example; name NULL unknown */
	uint32_t example;	 /**< row: the oldest head, else the one of lowest address */
	uint64_t example_addr, example_size;
	bool has_pid, has_cpu, has_time;
	uint64_t pid, thread, tid, time_ns, age_ns; /**< as in wh_origin */
	uint32_t cpu;
	uint32_t suppression; /**< index of the rule, WH_SUPPRESSION_NONE */
	enum wh_delta delta;
	struct wh_tally base; /**< in the baseline */
};
/** The weightiest kind that a group holds. */
enum wh_leak_kind wh_leak_group_kind(const struct wh_leak_group *g);

struct wh_leak {
	uint32_t row;
	uint32_t group; /**< index into groups */
	uint8_t kind;	/**< enum wh_leak_kind */
};

enum wh_group_by { WH_GROUP_STACK, WH_GROUP_SITE, WH_GROUP_SIGNATURE, WH_GROUP_CACHE };
enum wh_sort_by { WH_SORT_BYTES, WH_SORT_COUNT, WH_SORT_RETAINED, WH_SORT_AGE };

struct wh_suppressions;
struct wh_leaks_opts {
	enum wh_group_by group_by;
	enum wh_sort_by sort;
	struct wh_suppressions *suppressions; /**< use counts are written; NULL none */
	/**
	 * Blocks that only interior pointers hold are listed and count as leaks.  Off by default: many sound
	 * programs hold blocks that way, and something does refer to them.
	 */
	bool with_possible;
	/** Lists them all the same, in a model of their own (wh_leaks.possible), which changes no total. */
	bool possible_apart;
};

struct wh_leaks {
	WH_VEC(struct wh_leak_group) groups; /**< in the order of the report */
	WH_VEC(struct wh_leak) leaks;	     /**< by address */
	struct wh_tally kinds[WH_LEAK_KIND_COUNT];
	struct wh_tally all;
	struct wh_tally
		interior; /**< possibly lost, not counted as leaks (without with_possible) */
	struct wh_leaks *possible; /**< owned; these, with possible_apart; NULL none */
	struct wh_tally allocated; /**< buffers that were judged, and their bytes */
	const struct wh_marks *marks;
	struct wh_arena mem;
};

/** Marks @t if need be and builds the model; @ret must be zeroed. */
struct wh_err *wh_leaks_build(struct wh_target *t, const struct wh_leaks_opts *opts,
			      struct wh_leaks *ret) WH_MUST_CHECK;
void wh_leaks_fini(struct wh_leaks *l);

#endif
