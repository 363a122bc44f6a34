/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * streams: STREAMS messages and the flow trace that hangs off each data block:
 *
 *	mblk ──b_datap──► dblk ──db_fthdr──► fthdr │ first: ev[0..8] │ ──nxt──► ftblk ev[1..8] ──nxt──► …
 *
 * Each event says what happened (allocb, putnext, freeb …), where (caller, or name of the queue's module),
 * to whom it went, when, and since 6646362 with which stack.  The header keeps a hash over all events, with
 * which a trace that was read can be proven whole.
 */
#ifndef WH_TARGET_STREAMS_H
#define WH_TARGET_STREAMS_H

#include "analyzer/base/ctx.h"
#include "analyzer/base/vec.h"
#include "dwarf/layout.h"
#include "formats/mem.h"

enum wh_ft_flags { WH_FT_WRITE = 0x8000, WH_FT_CS = 0x4000, WH_FT_PS = 0x2000 };
#define WH_FT_CODE    0x1fffu
#define WH_FT_QUEUE   0x1f00u
#define WH_FT_PUTNEXT 0x10du
#define WH_FT_EVENTS  9
#define WH_FT_DEPTH   15

struct wh_streams {
	struct wh_reader *r; /**< borrowed */
	struct wh_abi abi;
	bool have;	  /**< layouts of messages are known */
	bool have_flow;	  /**< layouts of the flow trace are known */
	bool with_stacks; /**< since 6646362: events have midnext and stk */
	struct wh_field b_next, b_cont, b_rptr, b_wptr, b_datap, b_band, b_flag, b_queue;
	struct wh_field db_base, db_lim, db_ref, db_type, db_mblk, db_fthdr;
	uint64_t mblk_size, dblk_size;
	struct wh_field ev_ts, ev_mid, ev_midnext, ev_evnt, ev_data, ev_stk;
	uint64_t ev_size, blk_size, hdr_size;
	struct wh_field blk_nxt, blk_ix, blk_ev, hdr_tail, hdr_hash, hdr_thread, hdr_first;
	struct wh_field fs_depth, fs_stk;
};

struct wh_ft_event {
	uint64_t addr; /**< of the record */
	int64_t time;  /**< [ns] since boot */
	uint64_t mid, midnext, stk;
	uint16_t code, data;
};
typedef WH_VEC(struct wh_ft_event) wh_ft_events;

/** What reading a trace found out about itself. */
enum wh_ft_check {
	WH_FT_NONE,	/**< the block has no trace */
	WH_FT_VERIFIED, /**< the hash agrees */
	WH_FT_MISMATCH, /**< all events were read, the hash differs */
	WH_FT_BROKEN,	/**< the list breaks; the events before are there */
};
struct wh_ft_trace {
	uint64_t hdr;
	enum wh_ft_check check;
	uint32_t hash, computed;
	uint64_t broken_at; /**< address of the block where it breaks */
	const char *why;    /**< "incorrect index", "the list loops", "unreadable" */
	wh_ft_events events;
};

struct wh_mblk {
	uint64_t addr, next, cont, rptr, wptr, datap;
	uint16_t flag;
};
struct wh_dblk {
	uint64_t addr, base, lim, mblk, fthdr;
	uint8_t ref, type;
};

/**
 * Resolves layouts; what is not there is left out (`have`, `have_flow`).
 */
struct wh_err *wh_streams_open(struct wh_streams *s, struct wh_types *types) WH_MUST_CHECK;
bool wh_mblk_read(const struct wh_streams *s, uint64_t addr, struct wh_mblk *ret);
bool wh_dblk_read(const struct wh_streams *s, uint64_t addr, struct wh_dblk *ret);
bool wh_ft_event_read(const struct wh_streams *s, uint64_t addr, struct wh_ft_event *ret);
/** Reads the stack of an event; *ret_n frames (0: none).  False when there is one that cannot be read. */
bool wh_ft_stack_read(const struct wh_streams *s, const struct wh_ft_event *ev, uint64_t *ret,
		      uint32_t *ret_n);
/** All events of the block's trace, oldest first, and whether they are proven. */
struct wh_err *wh_ft_trace_read(const struct wh_streams *s, uint64_t dblk,
				struct wh_ft_trace *ret) WH_MUST_CHECK;
void wh_ft_trace_fini(struct wh_ft_trace *t);
/** The hash over events in order. */
uint32_t wh_ft_hash(uint32_t hash, const struct wh_ft_event *ev);
/** "putnext|W": name and flags. */
void wh_ft_event_name(uint16_t code, char *buf, size_t cap);
/** Is @addr inside a queue event's mid: true for queue events. */
static inline bool wh_ft_is_queue(uint16_t code)
{
	return code & WH_FT_QUEUE;
}
/** A module name as the trace prints it: 8 characters at most, "?" when it is no text. */
void wh_ft_module_name(const struct wh_streams *s, uint64_t addr, char buf[10]);
/** "data", "proto", "flush" …; NULL when the type is none of those. */
const char *wh_mblk_type_name(uint8_t type);
/** Type by name; false when there is none. */
bool wh_mblk_type_find(const char *name, uint8_t *ret);

#endif
