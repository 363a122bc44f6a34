/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mark_priv: what the parts of the mark engine share: mark.c (passes and propagation), scan.c (words of a
 * piece of memory to hits), verdict.c (what is left over, judged), chain.c (who holds it).
 */
#ifndef WH_GRAPH_MARK_PRIV_H
#define WH_GRAPH_MARK_PRIV_H

#include "analyzer/graph/buftab_priv.h"
#include "analyzer/graph/edges.h"
#include "analyzer/graph/filter.h"
#include "analyzer/graph/mark.h"

#define LEVEL_NONE     0u
#define LEVEL_INTERIOR 1u /* reached, but some link of the chain is only an interior pointer */
#define LEVEL_FULL     2u
#define LEVEL_MASK     3u
#define LEVEL_STORED   0x80u /* beside the level: the row has stored edges, to follow when it rises */

#define HITS_MAX      64
#define DRAIN_ROWS    32
#define DRAIN_TARGETS 128
#define BLOCK_BYTES   (64u << 10)
#define TEXT_MAX      (8u << 10) /* [bytes] size of a row that may be one copied string */
#define SEEN_MAX      1024
#define BOUNDS_MAX    3		   /* with the aliases' no more than FILTER_RANGES */
#define BOUNDS_GAP    (1ull << 30) /* [bytes] between two of them at least */
#define ROW_ROOT      WH_ROW_NONE  /* source of a hit that comes from a root */

/* A word that lies within the bounds of the table, on its way through the three stages of a flush. */
struct hit {
	uint64_t value;
	uint64_t where;		     /* label address of the word */
	uint64_t start;		     /* of row */
	const struct region *region; /* that holds value; NULL: none */
	uint32_t row;
	uint32_t src;
	bool inside; /* value is known to lie in the row */
	bool interior;
	bool alias; /* value was translated: only rows of aliased classes */
};

/* Remembered in parents mode: a root word that holds a row. */
struct root_hit {
	uint32_t row;
	uint16_t kind, note;
	bool interior;
	uint64_t where;
};

struct worker {
	struct wh_marks *m;
	struct wh_reader *reader; /* of the memory being scanned */
	struct wh_reader *aux;	  /* of what else has to be read, which must not disturb it */
	struct edge_writer edges;
	uint64_t block_label; /* of the block being scanned */
	const uint8_t *block; /* its bytes */
	size_t block_len;
	uint64_t block_mask[BLOCK_BYTES / 8 / 64]; /* its words that passed the filter */
	bool block_filtered;			   /* else every word has to be asked */
	uint64_t seen[SEEN_MAX];		   /* values that led to a fully reached row */
	const struct region *region;		   /* of the last hit */
	struct hit hits[HITS_MAX];
	unsigned int n_hits;
	uint32_t src;		  /* whose targets are being collected; ROW_ROOT none */
	uint16_t kind, note;	  /* of the root being scanned */
	WH_VEC(uint32_t) targets; /* of src, not yet stored */
	WH_VEC(uint32_t) stack;	  /* rows whose stored edges are to be followed */
	WH_VEC(struct root_hit) root_hits;
	bool trial;			 /* the directions of references are counted */
	uint64_t points_up, points_down; /* references to higher and lower addresses in this unit */
	struct wh_mark_counts counts;
	struct wh_err *err; /* out of memory in the middle of a flush */
};

enum unit_order { ORDER_OPEN, ORDER_UP, ORDER_DOWN };

/* A portion of the plan for one worker. */
struct unit {
	size_t range;
	uint64_t offset; /* into that range */
	uint64_t bytes;	 /* over as many ranges as it takes */
};
typedef WH_VEC(struct unit) unit_vec;

struct wh_marks {
	struct wh_ctx *ctx;
	const struct wh_mem *mem;
	const struct wh_buftab *t;
	struct wh_plan *plan;
	struct wh_mark_opts opts;
	struct wh_abi abi;
	/* The table's memory: a kernel's lies in a few places far apart, with its own image between. */
	struct wh_plan_mask bounds[BOUNDS_MAX];
	uint32_t n_bounds;
	struct filter filter; /* the table and the aliases, for the first rejection */

	_Atomic(uint8_t) *level; /* and LEVEL_STORED */
	struct edges edges;
	_Atomic(uint64_t) *rescan; /* bitmap: rows to scan again; NULL in the first pass */
	struct worker *workers;
	unsigned int n_workers;
	unit_vec units;
	size_t trial,
		trial_end; /* units of the nodes pass that tell in which order to take the rest */
	_Atomic(uint64_t) points_up, points_down; /* in those */
	atomic_int order;			  /* enum unit_order */
	const struct wh_plan_range *ranges;	  /* of the pass that runs */
	size_t n_ranges;
	bool nodes_pass, first_pass;
	bool only_reaching; /* of a hit nothing counts but what it newly reaches */

	/* What an unreadable buffer could have held: classes its readable siblings point at. */
	bool track_classes;
	uint16_t n_classes;
	_Atomic(uint8_t) *class_edges; /* [from * n_classes + to] */
	_Atomic(uint8_t) *class_seen;  /* some row of the class was scanned */
	_Atomic(uint8_t)
		*class_absent; /* some row's contents were unreadable; [n_classes] = roots */

	/* verdicts */
	WH_VEC(uint32_t) leaks;
	uint8_t *leak_verdict;
	uint32_t *leak_head;		   /* row */
	uint64_t *hang_count, *hang_bytes; /* by leak index of the head */
	struct wh_mark_counts counts;

	/* parents mode */
	uint32_t *parent; /* row, ROW_ROOT: see root_hits, or itself: not reached */
	WH_VEC(struct root_hit) root_hits; /* sorted by row, the best one first */
};

/* scan.c: feeds every word of [label, label+len) at @p to the hits; nodes find their rows themselves. */
void wh_scan_piece(struct worker *w, uint64_t label, const uint8_t *p, size_t len);
/* A single reference word. */
void wh_scan_word(struct worker *w, uint64_t value, uint64_t where);
/* Resolves what is buffered and finishes the current source. */
void wh_scan_finish(struct worker *w);
/* Raises @row to @level and remembers to follow its edges. */
void wh_mark_raise(struct worker *w, uint32_t row, uint8_t level);
/* Follows stored edges until nothing is left to do. */
void wh_mark_drain(struct worker *w);

struct wh_err *wh_verdict_run(struct wh_marks *m) WH_MUST_CHECK;
struct wh_err *wh_chain_run(struct wh_marks *m) WH_MUST_CHECK;

static inline uint8_t level_of(const struct wh_marks *m, uint32_t row)
{
	return atomic_load_explicit(&m->level[row], memory_order_relaxed) & LEVEL_MASK;
}

/* May this row be judged, i.e. is it an allocated buffer of an ordinary class? */
static inline bool row_judged(const struct wh_buftab *t, uint32_t row)
{
	return t->state[row] == WH_BUF_ALLOCATED &&
	       !(t->classes.v[t->cls[row]].flags & (WH_CLASS_OPAQUE | WH_CLASS_ROOT));
}

#endif
