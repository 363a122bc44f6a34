/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mark: the conservative mark-and-scan over the buffer table, in one pass over the dump's memory, then
 * the verdicts.  See mark.c for the algorithm and its invariants.
 */
#ifndef WH_GRAPH_MARK_H
#define WH_GRAPH_MARK_H

#include "analyzer/graph/plan.h"

enum wh_verdict {
	WH_VERDICT_REACHABLE,
	WH_VERDICT_DEFINITE, /**< nobody holds it and it hangs from no other leak: a head */
	WH_VERDICT_INDIRECT, /**< held only by leaked buffers */
	WH_VERDICT_POSSIBLE, /**< user rules: only interior pointers hold it */
	WH_VERDICT_UNKNOWN,  /**< what could hold it was not readable */
	WH_VERDICT_NONE,     /**< free, pending, unsure or not reportable: not judged */
	WH_VERDICT_COUNT
};

struct wh_mark_opts {
	/**
	 * Valgrind's distinction: a buffer that only interior pointers reach is POSSIBLE.  Off for kernels,
	 * where interior pointers (list_head, rb_node) are the rule.
	 */
	bool start_pointers;
	/**
	 * With start_pointers: may an interior pointer at @off into @row count as a start pointer (C++
	 * array cookie, multiple inheritance, std::string …)?  Called for candidates only; thread-safe;
	 * returns 0 or the number of the heuristic (1..15) for the counts.
	 */
	unsigned int (*interior_ok)(const void *arg, struct wh_reader *r, uint32_t row,
				    uint64_t addr, uint64_t size, uint64_t off);
	const void *interior_arg;
	const char *const
		*interior_names; /**< of the heuristics, by number; 16, NULL where unused */
	/**
	 * Remember the shortest chain of holders of every row (for explain): all references are stored, so
	 * this costs memory (within wh_ctx.memory_budget, else WH_ERR_LIMIT).
	 */
	bool keep_parents;
	bool count_hits; /**< counts.follows is wanted, which costs a look at every hit's size */
	uint64_t
		edge_budget; /**< [bytes] for references not settled at once; 0 = 12 a row + 32 MiB */
};

struct wh_mark_counts {
	uint64_t words, candidates;		   /**< read, inside the bounds */
	uint64_t follows;			   /**< hits on a row; with count_hits only */
	uint64_t bytes_roots, bytes_nodes;	   /**< scanned */
	uint64_t bytes_absent[WH_MEM_STATE_COUNT]; /**< in the plan but not readable, by reason */
	uint64_t heuristics[16];
	uint64_t edges_stored; /**< references that could not be settled at once */
	uint64_t memory_peak;  /**< [bytes] own */
};

struct wh_marks;
struct wh_err *wh_mark_run(struct wh_ctx *ctx, const struct wh_mem *mem, const struct wh_buftab *t,
			   struct wh_plan *plan, const struct wh_mark_opts *opts,
			   struct wh_marks **ret) WH_MUST_CHECK;
void wh_marks_destroy(struct wh_marks *m);
enum wh_verdict wh_marks_verdict(const struct wh_marks *m, uint32_t row);
/** Whether some chain from a root reaches the row, whatever its state (pages, freed buffers …). */
bool wh_marks_reached(const struct wh_marks *m, uint32_t row);
/** Leaked rows (not REACHABLE, not NONE), ascending; borrowed. */
const uint32_t *wh_marks_leaks(const struct wh_marks *m, size_t *ret_n);
/** The head that an INDIRECT row hangs from (the row itself for a head); WH_ROW_NONE otherwise. */
uint32_t wh_marks_head(const struct wh_marks *m, uint32_t row);
/** What hangs off a head, without itself: how many rows and bytes. */
void wh_marks_hanging(const struct wh_marks *m, uint32_t head, uint64_t *ret_count,
		      uint64_t *ret_bytes);
const struct wh_mark_counts *wh_marks_counts(const struct wh_marks *m);
const char *wh_verdict_name(enum wh_verdict v);

/** A step of the chain from a root to a row (needs keep_parents). */
struct wh_holder {
	uint32_t row;	/**< holder, or WH_ROW_NONE for a root */
	uint16_t kind;	/**< root kind, for roots */
	uint64_t where; /**< address of the word that holds the next one; 0 for a register */
	uint16_t note;	/**< wh_plan_word.note */
};
/** Root first; the last holder's word points into @row.  *ret owned by the caller (free). */
struct wh_err *wh_marks_chain(const struct wh_marks *m, uint32_t row, struct wh_holder **ret,
			      size_t *ret_n) WH_MUST_CHECK;

#endif
