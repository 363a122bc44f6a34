/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * buftab: the frozen table of buffers, the hub between allocators (below) and analyses (above).
 *
 * Allocator models write rows in any order; freeze sorts them by address, settles overlaps and builds
 * the index; after that nothing changes, row numbers are identities (and address order), and any number
 * of threads may read.
 *
 *	address ──► region ──► 4 KiB block ──► start bitmap, one bit per 8 bytes ──► rank = row
 *
 * so that "is this word inside a buffer?" costs two or three loads and a popcount whatever the
 * allocator, and a row costs 4 (size) + 2 (class) + 1 (state) bytes plus the bitmap (1/64 of the
 * memory that holds buffers).  Row addresses are not stored: they are the set bits.
 *
 * A class is what rows of one kind share: the slab cache, the glibc size class, "vmalloc area", "kernel
 * page".  Reports group and name by class; marking obeys its flags.
 */
#ifndef WH_GRAPH_BUFTAB_H
#define WH_GRAPH_BUFTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/base/ctx.h"

#define WH_ROW_NONE UINT32_MAX

/** What the allocator knew of a buffer. */
enum wh_buf_state {
	WH_BUF_ALLOCATED,
	WH_BUF_PENDING, /**< logically freed, waiting (kfree_rcu, RCU sheaf): neither holder nor leak */
	WH_BUF_UNSURE, /**< of a damaged slab or arena: a holder, never reported as leaked */
	WH_BUF_FREE,   /**< known and free (kept only by models that want it found) */
	WH_BUF_STATE_COUNT
};

enum wh_class_flags {
	WH_CLASS_NOSCAN = 1u << 0, /**< contents hold no references (recorder memory) */
	WH_CLASS_NOREPORT =
		1u << 1, /**< a node of the graph, never a leak (kernel pages, per-CPU chunks) */
	WH_CLASS_ROOT = 1u << 2,      /**< always reachable */
	WH_CLASS_OPAQUE = 1u << 3,    /**< neither holds nor can be lost: allocator-internal */
	WH_CLASS_FREE_SCAN = 1u << 4, /**< rows in state FREE are constructed and hold references */
	WH_CLASS_ALIASED = 1u << 5,   /**< may be named by another number too: see wh_plan_alias */
	WH_CLASS_TEXT_FIT =
		1u
		<< 6, /**< a size class: text that fits no smaller one ends the buffer's contents */
	/** one type only: what some of its buffers hold tells what the others could hold */
	WH_CLASS_TYPED = 1u << 7,
};

/** Shared by the rows of one kind.  Borrowed strings live as long as the target. */
struct wh_class {
	const char *name;   /**< "kmalloc-96", "dentry", "vmalloc", "chunk 0x30" */
	const char *model;  /**< allocator: "slub", "ptmalloc", "umem" … */
	uint64_t id;	    /**< the model's own handle (address of the kmem_cache) */
	uint64_t obj_size;  /**< [bytes] of an object, 0 when rows differ */
	uint64_t slot_size; /**< [bytes] of an object's slot (stride), 0 when rows differ */
	uint32_t flags;	    /**< enum wh_class_flags */
	/**
	 * [bytes] from a buffer's start to a u32 in which the allocator noted how much of it was asked for
	 * (behind the buffer itself); 0 none.  What lies beyond that is old.
	 */
	uint32_t asked_off;
};

struct wh_buftab;
struct wh_err *wh_buftab_create(struct wh_ctx *ctx, struct wh_buftab **ret) WH_MUST_CHECK;
void wh_buftab_destroy(struct wh_buftab *t);

/* ---- building (one thread, or one writer per thread) ---- */

/** Copies @c; WH_ERR_LIMIT when there are more classes than any allocator has. */
struct wh_err *wh_buftab_add_class(struct wh_buftab *t, const struct wh_class *c,
				   uint16_t *ret_cls) WH_MUST_CHECK;

/**
 * A run of @count slots of @stride bytes from @addr, all of one class.  @states: NULL = all allocated, else
 * one enum wh_buf_state byte a slot; FREE slots make no row unless the class has WH_CLASS_FREE_SCAN.  @size
 * [bytes] counts from each slot's start.
 * Starts must be 8-aligned (rows that are not are refused and counted as damage).
 */
struct wh_err *wh_buftab_add_run(struct wh_buftab *t, uint16_t cls, uint64_t addr, uint64_t stride,
				 uint64_t size, uint32_t count,
				 const uint8_t *states) WH_MUST_CHECK;
/** One buffer.  Cheap when called in rising address order. */
struct wh_err *wh_buftab_add(struct wh_buftab *t, uint16_t cls, uint64_t addr, uint64_t size,
			     enum wh_buf_state state) WH_MUST_CHECK;

/** A row to be, for wh_buftab_add_many. */
struct wh_buf_row {
	uint64_t addr, size;
	uint16_t cls;
	uint8_t state; /**< enum wh_buf_state */
};
/** The same for many at once, which costs one lock; each is refused or taken on its own. */
struct wh_err *wh_buftab_add_many(struct wh_buftab *t, const struct wh_buf_row *rows,
				  size_t n) WH_MUST_CHECK;

/*
 * For tens of millions of rows from several threads: each thread has a writer, and writes parts with it, each
 * a stretch of memory of its own.  A part may be thrown away again; rows count once the part is handed over.
 */
struct wh_buf_writer;
struct wh_buf_part;
/** The table keeps the writer until freeze. */
struct wh_err *wh_buf_writer_create(struct wh_buftab *t, struct wh_buf_writer **ret) WH_MUST_CHECK;
struct wh_err *wh_buf_part_create(struct wh_buf_writer *w, struct wh_buf_part **ret) WH_MUST_CHECK;
/** Addresses must rise and rows not overlap; one that does not keep to that goes to the table at once. */
struct wh_err *wh_buf_part_add(struct wh_buf_part *p, uint16_t cls, uint64_t addr, uint64_t size,
			       enum wh_buf_state state) WH_MUST_CHECK;
void wh_buf_part_destroy(struct wh_buf_part *p);
/** Takes @p over, whatever is returned. */
struct wh_err *wh_buftab_add_part(struct wh_buftab *t, struct wh_buf_part *p) WH_MUST_CHECK;

/**
 * Sorts, settles overlaps (the later-added, i.e. carved, row wins inside a NOREPORT node; otherwise the
 * lower one is kept and the other dropped with diagnostic "buffer-overlap") and builds the index.
 */
struct wh_err *wh_buftab_freeze(struct wh_buftab *t) WH_MUST_CHECK;
/**
 * Between freeze and the first mark: a model corrects a state (free lists, tcache, pending).  @addr may
 * be interior.  False when no row holds it.  Thread-safe for distinct rows.
 */
bool wh_buftab_set_state(struct wh_buftab *t, uint64_t addr, enum wh_buf_state state);
/** The same by row number. */
void wh_buftab_set_row_state(struct wh_buftab *t, uint32_t row, enum wh_buf_state state);

/* ---- reading ---- */

uint64_t wh_buftab_count(const struct wh_buftab *t);
/** The row whose [addr, addr+size) holds @addr, any state; WH_ROW_NONE. */
uint32_t wh_buftab_find(const struct wh_buftab *t, uint64_t addr);
/** First row with start >= @addr; equals wh_buftab_count when none. */
uint32_t wh_buftab_lower_bound(const struct wh_buftab *t, uint64_t addr);
uint64_t wh_buftab_addr(const struct wh_buftab *t, uint32_t row);
uint64_t wh_buftab_size(const struct wh_buftab *t, uint32_t row);
enum wh_buf_state wh_buftab_state(const struct wh_buftab *t, uint32_t row);
uint16_t wh_buftab_class_of(const struct wh_buftab *t, uint32_t row);
const struct wh_class *wh_buftab_class(const struct wh_buftab *t, uint16_t cls);
uint16_t wh_buftab_class_count(const struct wh_buftab *t);
/** [bytes] of own memory. */
uint64_t wh_buftab_memory(const struct wh_buftab *t);

#endif
