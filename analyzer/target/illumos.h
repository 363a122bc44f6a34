/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * illumos: an illumos kernel as a target, from a crash dump or from any ELF core of its memory.  What the
 * mdb commands need beyond target.h.
 */
#ifndef WH_TARGET_ILLUMOS_H
#define WH_TARGET_ILLUMOS_H

#include "analyzer/alloc/kmem_core.h"
#include "analyzer/target/streams.h"
#include "analyzer/target/target.h"
#include "dwarf/sym.h"
#include "dwarf/sym_ksyms.h"
#include "formats/illumos.h"

struct wh_imodule {
	uint64_t ctl, mp; /**< modctl, struct module */
	char name[64];
	uint64_t text, text_size, data, data_size, bss, bss_size;
};

/** t_state and t_schedflag of kthread_t: illumos usr/src/uts/common/sys/thread.h (2019). */
enum wh_ithread_state {
	WH_TS_FREE = 0,
	WH_TS_ONPROC = 4,
	WH_TS_ALL = 0x3f, /**< every state that there is */
};
#define WH_TS_LOAD 1u /**< of the flags: the stack is in memory */

struct wh_ithread {
	uint64_t addr, stk, stkbase;
	uint64_t sp; /**< saved when it last left a processor; 0 unknown */
	uint32_t state;
	bool loaded; /**< its stack was in memory */
};

struct wh_ithread_layout {
	struct wh_field next, forw, stk, stkbase, state, schedflag, pcb;
};

struct wh_illumos_target {
	struct wh_target *t; /**< borrowed */
	struct wh_symtab *syms;
	struct wh_types *types;
	struct wh_mem *mem;
	struct wh_reader *r; /**< borrowed: t->reader */
	uint64_t kas;
	uint64_t page_size;
	wh_ksyms_ranges segments, objects;
	struct wh_kmem kmem;
	struct wh_streams streams;
	WH_VEC(struct wh_imodule) modules;
	WH_VEC(struct wh_ithread) threads;
	bool module_layout, thread_layout;
	uint64_t module_size;
	struct wh_ithread_layout thread;
	bool live;	  /**< a dump of a running system */
	uint64_t swapped; /**< threads whose stack was not in memory */
	size_t ctf_count; /**< containers read */
	const char *sym_source;
};

/** The illumos side of a target; NULL when it is none. */
struct wh_illumos_target *wh_target_get_illumos(struct wh_target *t);
/** The caches that findleaks looks at: those on the arenas that hold kernel data. */
bool wh_illumos_interesting(const struct wh_kmem_cache *c);
/** True when free buffers in magazines are constructed and so hold references. */
bool wh_illumos_constructed(const struct wh_kmem_cache *c);
/** The walked cache that a row belongs to (NULL: a segment of an arena). */
struct wh_kmem_cache *wh_illumos_row_cache(struct wh_illumos_target *il, uint32_t row);
/** Control address of a row: bufctl, or vmem_seg, or cache. */
uint64_t wh_illumos_row_ctl(struct wh_illumos_target *il, uint32_t row);
/** Name of a code or data address; false when unknown. */
bool wh_illumos_symbol(const struct wh_illumos_target *il, uint64_t addr, struct wh_sym *ret,
		       uint64_t *ret_off);
bool wh_illumos_find_symbol(void *il, const char *name, uint64_t *ret_addr);

/* ---- parts (illumos_*.c) ---- */
struct wh_err *wh_illumos_symbols_open(struct wh_illumos_target *il) WH_MUST_CHECK;
struct wh_err *wh_illumos_names_open(struct wh_illumos_target *il) WH_MUST_CHECK;
struct wh_err *wh_illumos_read_threads(struct wh_illumos_target *il) WH_MUST_CHECK;
struct wh_err *wh_illumos_plan_roots(struct wh_illumos_target *il) WH_MUST_CHECK;
struct wh_err *wh_illumos_build_table(struct wh_target *t) WH_MUST_CHECK;
struct wh_err *wh_illumos_origin(struct wh_target *t, uint32_t row, struct wh_arena *a,
				 struct wh_origin *ret) WH_MUST_CHECK;
struct wh_err *wh_illumos_whatis(struct wh_target *t, uint64_t addr, struct wh_arena *a,
				 wh_whatis_vec *ret) WH_MUST_CHECK;
/** The same for a number that an arena of identifiers handed out. */
struct wh_err *wh_illumos_whatis_id(struct wh_illumos_target *il, uint64_t id, struct wh_arena *a,
				    wh_whatis_vec *ret) WH_MUST_CHECK;
struct wh_err *wh_illumos_trail(struct wh_target *t, uint64_t addr, struct wh_arena *a,
				wh_event_vec *ret) WH_MUST_CHECK;
struct wh_err *wh_illumos_caches(struct wh_target *t, struct wh_arena *a,
				 wh_cache_vec *ret) WH_MUST_CHECK;
struct wh_err *wh_illumos_info(struct wh_target *t, struct wh_arena *a,
			       wh_fact_vec *ret) WH_MUST_CHECK;
bool wh_illumos_symbolize(struct wh_target *t, uint64_t addr, struct wh_frame *ret);
/** Frames of recorded program counters, in @a. */
struct wh_err *wh_illumos_frames(struct wh_illumos_target *il, const uint64_t *pc, size_t n,
				 struct wh_arena *a, const struct wh_frame **ret) WH_MUST_CHECK;

#endif
