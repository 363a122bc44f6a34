/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux: what the parts of the Linux kernel target share.  Private to analyzer/target/linux_*.c,
 * target_linux.c and the kernel's allocator models in analyzer/alloc/.
 *
 *	linux_layout   members and encodings, by name and by probing
 *	linux_probe    variables of kernels whose symbol table has functions only
 *	linux_percpu   units of per-CPU memory, chunks and their areas
 *	linux_pages    what every page frame is, from the memmap, in one parallel pass
 *	linux_vmalloc  vmalloc areas, labels of their pages
 *	linux_tasks    tasks, their stacks, registers
 *	linux_roots    image, modules, reserved memory, page nodes
 *	linux_dead     memory whose words are no references (dead holders, recorders)
 *
 * Order of build: percpu, pages, slabs, vmalloc, tasks, dead, roots.  Everything is immutable afterwards.
 */
#ifndef WH_TARGET_LINUX_H
#define WH_TARGET_LINUX_H

#include "analyzer/base/hashmap.h"
#include "analyzer/target/target.h"
#include "dwarf/knames.h"
#include "dwarf/layout.h"
#include "formats/kspace.h"

struct wh_lx;
struct wh_kslab;
struct wh_depot;

/** What a page frame is.  Kept apart because a scanner treats each differently. */
enum wh_lx_page {
	WH_LXP_HOLE,	/**< no struct page: no memory there */
	WH_LXP_UNKNOWN, /**< its struct page is not in the dump */
	WH_LXP_BUDDY,	/**< free, in the buddy allocator */
	WH_LXP_PCP,	/**< free, on a CPU's list */
	WH_LXP_SLAB,
	WH_LXP_TABLE,	 /**< page table of a process */
	WH_LXP_RESERVED, /**< memblock: boot-time data */
	WH_LXP_ANON,
	WH_LXP_FILE,
	WH_LXP_HUGETLB,
	WH_LXP_MOVABLE,	 /**< zsmalloc, balloon: compressed or foreign data */
	WH_LXP_OFFLINE,	 /**< ballooned out, guard, unaccepted */
	WH_LXP_LARGE,	 /**< kmalloc too large for a slab, where the kernel says so */
	WH_LXP_KERNEL,	 /**< page allocator memory of the kernel itself */
	WH_LXP_VMALLOC,	 /**< behind a vmalloc area */
	WH_LXP_STACK,	 /**< kernel stack */
	WH_LXP_PERCPU,	 /**< behind a per-CPU chunk */
	WH_LXP_MEMMAP,	 /**< struct pages */
	WH_LXP_IMAGE,	 /**< kernel image that is still in use as such */
	WH_LXP_RECORDER, /**< trace buffers, stack depot, page_ext …: words are no references */
	WH_LXP_COUNT
};
#define WH_LXP_MASK 0x1f
#define WH_LXP_TAIL 0x20 /**< continues the block that an earlier frame heads */
#define WH_LXP_COMP 0x40 /**< head of a compound page */

const char *wh_lx_page_name(enum wh_lx_page c);

#define WH_LX_UNIT_SHIFT 15 /**< frames are handled in units of 32768 */
#define WH_LX_UNIT	 (1u << WH_LX_UNIT_SHIFT)

/** A slab as its struct page describes it. */
struct wh_lx_slab {
	uint64_t pfn;
	uint64_t freelist;
	uint64_t cache_addr; /**< kmem_cache */
	uint32_t counters;   /**< inuse | objects << 16 | frozen << 31 (SLAB: active) */
	uint16_t cache;	     /**< index of the cache, WH_LX_NO_CACHE until resolved */
	uint16_t pages;	     /**< frames */
	uint32_t base;	     /**< [bytes] from the slab's start to its first slot (SLAB's colour) */
};
#define WH_LX_NO_CACHE UINT16_MAX
typedef WH_VEC(struct wh_lx_slab) wh_lx_slabs;

/** One test on the page_type word: (type & mask) == value.  mask 0: this kernel has no such type. */
struct wh_lx_type_test {
	uint32_t mask, value;
};
enum wh_lx_type {
	WH_LXT_SLAB,
	WH_LXT_BUDDY,
	WH_LXT_OFFLINE,
	WH_LXT_TABLE,
	WH_LXT_GUARD,
	WH_LXT_HUGETLB,
	WH_LXT_ZSMALLOC,
	WH_LXT_UNACCEPTED,
	WH_LXT_LARGE,
	WH_LXT_COUNT
};

/** Members of struct page and struct slab, and the encodings that types do not tell. */
struct wh_lx_layout {
	uint64_t page_size_of; /**< sizeof(struct page) */
	struct wh_field flags, mapcount, refcount, mapping, private, compound_head, memcg, lru;
	struct wh_field slab_cache, slab_freelist, slab_counters, slab_memcg, slab_list, slab_smem;
	uint64_t lru_bit, reserved_bit, head_bit, slab_bit; /**< masks of page.flags; 0 unknown */
	struct wh_lx_type_test type[WH_LXT_COUNT];
	bool slab_by_flag;  /**< PG_slab is a flag (before 6.10) */
	bool is_slab_alloc; /**< mm/slab.c, not SLUB */
	const char *memcg_name;
};

/** A vmalloc area that is busy. */
struct wh_lx_vmarea {
	uint64_t start, end; /**< VIRT; end without the guard page */
	uint64_t vm;	     /**< vm_struct, 0 for vm_map_ram */
	uint64_t va;	     /**< vmap_area */
	uint64_t caller, flags;
	enum {
		WH_LXV_NODE,
		WH_LXV_STACK,
		WH_LXV_DEAD_STACK,
		WH_LXV_IRQ_STACK,
		WH_LXV_MODULE,
		WH_LXV_PERCPU,
		WH_LXV_IO,
		WH_LXV_OTHER
	} use;
};

/** A task that has a kernel stack. */
struct wh_lx_task {
	uint64_t addr, stack, sp; /**< sp 0: unknown, scan everything */
	uint32_t pid;
	char comm[16];
	bool running;
};

/** Copies of per-CPU memory. */
struct wh_lx_cpu {
	uint32_t nr;
	uint64_t offset; /**< __per_cpu_offset */
	uint64_t base;	 /**< VIRT of the first chunk's unit; 0 unknown */
};

/** A per-CPU chunk. */
struct wh_lx_chunk {
	uint64_t addr, base, bound_map, alloc_map;
	uint64_t bytes; /**< of one unit */
	int64_t start_off, end_off;
	bool first, reserved;
};

/** A processor's registers from a note. */
struct wh_lx_regs {
	uint32_t cpu;
	struct wh_regs regs;
};

/** A variable that no symbol names, found by what it holds. */
struct wh_lx_found {
	const char *name;
	uint64_t addr;
};

struct wh_lx_pagecounts {
	uint64_t n[WH_LXP_COUNT];      /**< frames by class */
	uint64_t absent[WH_LXP_COUNT]; /**< of these, not in the dump */
};

struct wh_lx {
	struct wh_target *t; /**< borrowed */
	struct wh_kspace *ks;
	struct wh_knames *names;
	struct wh_reader *r;	    /**< main thread's */
	struct wh_reader **readers; /**< one a worker */
	unsigned int n_readers;
	struct wh_abi abi;
	uint64_t page_bytes;
	struct wh_arena arena; /**< strings that live as long as the target */

	struct wh_lx_layout lay;
	WH_VEC(struct wh_lx_found) found;
	bool percpu_named; /**< pcpu_start is known without symbols: BTF names per-CPU variables */
	WH_VEC(struct wh_lx_cpu) cpus;
	uint64_t pcpu_base, pcpu_start; /**< pcpu_base_addr, __per_cpu_start */
	uint64_t unit_size, static_size;
	uint32_t pcpu_slots; /**< lists of chunks; 0: pcpu_nr_slots says */
	WH_VEC(struct wh_lx_chunk) chunks;

	uint8_t **units; /**< [n_units] of WH_LX_UNIT classes; NULL: all holes */
	size_t n_units;
	struct wh_lx_pagecounts pages;
	struct wh_map pcp; /**< pfn -> order of pages on CPU lists */
	wh_lx_slabs slabs;
	uint64_t memmap_missing; /**< [bytes] of struct pages that are not in the dump */
	bool doubt; /**< what holds much was not found or not decoded: nothing is certain to be leaked */

	struct wh_kslab *slab;
	struct wh_depot *depot;
	WH_VEC(struct wh_lx_vmarea) areas; /**< sorted by start */
	WH_VEC(struct wh_lx_task) tasks;
	WH_VEC(struct wh_lx_regs) regs;
	uint64_t stack_size;
	WH_VEC(uint64_t) pending; /**< object addresses that are logically free */

	uint16_t kind_struct_page, kind_image, kind_module, kind_percpu, kind_stack, kind_regs,
		kind_reserved, kind_rcu, kind_kmemleak;
	uint16_t cls_page, cls_compound, cls_large, cls_vmalloc, cls_percpu;
	uint64_t tick_ns, jiffies, jiffies0; /**< length of a tick, now, at boot; 0 unknown */
	bool built;
	uint64_t ring_used;	/**< pages of trace buffers that have events */
	struct wh_map kmemleak; /**< start of an allocation -> kmemleak_object */
	struct wh_map reverse;	/**< frame -> vmalloc address, once somebody asks */
};

/* ---- small helpers (linux_util.c) ---- */

/** Reads a member of at most 8 bytes (bit-fields too) of the struct at @base; false when absent. */
bool wh_lx_field(struct wh_lx *x, uint64_t base, const struct wh_field *f, uint64_t *ret);
/** The same from a copy of the struct of @len bytes. */
bool wh_lx_field_buf(const struct wh_lx *x, const uint8_t *buf, size_t len,
		     const struct wh_field *f, uint64_t *ret);
/** Offset of a member; false when unknown. */
bool wh_lx_offset(const struct wh_lx *x, const char *type, const char *member, uint64_t *ret);
/** Address of an image or per-CPU symbol. */
bool wh_lx_symbol(const struct wh_lx *x, const char *name, uint64_t *ret);
/** Value of the pointer-sized variable @name. */
bool wh_lx_var(struct wh_lx *x, const char *name, uint64_t *ret);
/** True when the first byte of variable @name (a bool, a static key) is set. */
bool wh_lx_flag(struct wh_lx *x, const char *name);
/** A pointer without its tag. */
static inline uint64_t wh_lx_ptr(const struct wh_lx *x, uint64_t p)
{
	return wh_plan_untag(&x->t->plan, p);
}
/** True when @va can be an object: aligned direct-map address. */
bool wh_lx_is_direct(const struct wh_lx *x, uint64_t va);
/** Frame of a struct page address. */
bool wh_lx_page_to_pfn(const struct wh_lx *x, uint64_t page, uint64_t *ret_pfn);
/** "%pS"-like name of a code or data address in the target's arena; NULL unknown. */
const char *wh_lx_symname(struct wh_lx *x, struct wh_arena *a, uint64_t addr);

/**
 * Walks a circular list_head from @head; calls @fn with each node's address (the list_head).  Stops at
 * a cycle, an unreadable node or after WH_LIMIT_LIST_STEPS, and reports that as diagnostic @id.
 */
typedef struct wh_err *(*wh_lx_list_fn)(void *arg, uint64_t node);
struct wh_err *wh_lx_list(struct wh_lx *x, uint64_t head, const char *id, wh_lx_list_fn fn,
			  void *arg) WH_MUST_CHECK;

/** Makes [from, end) of VIRT a root of @kind, frame by frame; what is not mapped is left out. */
struct wh_err *wh_lx_root(struct wh_lx *x, uint16_t kind, uint64_t from,
			  uint64_t end) WH_MUST_CHECK;

/* ---- without data symbols ---- */

/** Looks for what the rest asks for by symbol, where the kernel's table has none of variables. */
struct wh_err *wh_lx_probe_open(struct wh_lx *x) WH_MUST_CHECK;

/** The line of a panic or an oops in the kernel's log, in @a; NULL none (linux_log.c). */
const char *wh_lx_last_words(struct wh_lx *x, struct wh_arena *a);

/* ---- pages ---- */

struct wh_err *wh_lx_layout_open(struct wh_lx *x) WH_MUST_CHECK;
/** wh_layout_resolve for what nothing goes without: the error tells what to do. */
struct wh_err *wh_lx_layout_need(const struct wh_lx *x, const struct wh_want *want, size_t n,
				 void *host) WH_MUST_CHECK;
struct wh_err *wh_lx_pages_build(struct wh_lx *x) WH_MUST_CHECK;
/** Class with its flags of a frame; WH_LXP_HOLE when unknown. */
static inline uint8_t wh_lx_page_get(const struct wh_lx *x, uint64_t pfn)
{
	const uint8_t *u;

	if (pfn >> WH_LX_UNIT_SHIFT >= x->n_units)
		return WH_LXP_HOLE;
	u = x->units[pfn >> WH_LX_UNIT_SHIFT];
	return u ? u[pfn & (WH_LX_UNIT - 1)] : WH_LXP_HOLE;
}
/** Changes the class of a frame (keeps nothing of its flags). */
void wh_lx_page_set(struct wh_lx *x, uint64_t pfn, uint8_t cls);
/** First frame that has a struct page, and the end: outside there may be other things (arm64). */
void wh_lx_pages_range(const struct wh_lx *x, uint64_t *ret_first, uint64_t *ret_end);
/** Counts frames by class and presence; after all reclassification. */
void wh_lx_pages_count(struct wh_lx *x);
/** Struct page of a frame into @buf; false when unreadable. */
bool wh_lx_page_read(struct wh_lx *x, struct wh_reader *r, uint64_t pfn, uint8_t *buf);

/* ---- recorders beside SLUB's tracks (linux_owner.c) ---- */

/** What one of them kept of an allocation. */
struct wh_lx_record {
	const char *source;
	uint64_t addrs[64]; /**< return addresses, innermost first */
	uint32_t n, pid;
	bool has_pid, has_time;
	uint64_t time_ns; /**< since boot */
	uint64_t requested;
};
/** page_owner was compiled in and switched on. */
bool wh_lx_owner_runs(struct wh_lx *x);
bool wh_lx_owner_page(struct wh_lx *x, uint64_t pfn, struct wh_lx_record *ret);
/** @addr is the start of the allocation. */
bool wh_lx_owner_kmemleak(struct wh_lx *x, uint64_t addr, struct wh_lx_record *ret);
bool wh_lx_owner_kfence(struct wh_lx *x, uint64_t addr, struct wh_lx_record *ret);
/** Indexes kmemleak's objects; what the kernel declared to be no leak is reachable. */
struct wh_err *wh_lx_kmemleak_build(struct wh_lx *x) WH_MUST_CHECK;
struct wh_err *wh_lx_kfence_build(struct wh_lx *x) WH_MUST_CHECK;

/* ---- the other parts ---- */

struct wh_err *wh_lx_percpu_open(struct wh_lx *x) WH_MUST_CHECK;
struct wh_err *wh_lx_percpu_build(struct wh_lx *x) WH_MUST_CHECK;
struct wh_err *wh_lx_vmalloc_build(struct wh_lx *x) WH_MUST_CHECK;
struct wh_err *wh_lx_vmalloc_label(struct wh_lx *x) WH_MUST_CHECK;
/** The area that holds @va, or NULL. */
const struct wh_lx_vmarea *wh_lx_vmalloc_find(const struct wh_lx *x, uint64_t va);
struct wh_err *wh_lx_tasks_build(struct wh_lx *x) WH_MUST_CHECK;
struct wh_err *wh_lx_tasks_roots(struct wh_lx *x) WH_MUST_CHECK;
struct wh_err *wh_lx_dead_build(struct wh_lx *x) WH_MUST_CHECK;
struct wh_err *wh_lx_dead_correct(struct wh_lx *x) WH_MUST_CHECK;
/** Labels the frames of the kernel image; before any other relabelling. */
void wh_lx_image_frames(struct wh_lx *x);
struct wh_err *wh_lx_roots_build(struct wh_lx *x) WH_MUST_CHECK;
/** The kernel address that the instructions at @p load, in the form that the kernel patches at boot. */
bool wh_lx_code_operand(const char *arch, const uint8_t *p, size_t len, uint64_t *ret);
/** Pointers that stand in instructions only; after vmalloc. */
struct wh_err *wh_lx_code_roots(struct wh_lx *x) WH_MUST_CHECK;
/** Masks interrupt and exception stacks that no CPU is on; after vmalloc and tasks. */
struct wh_err *wh_lx_irq_stacks(struct wh_lx *x) WH_MUST_CHECK;

struct wh_err *wh_lx_info(struct wh_target *t, struct wh_arena *a, wh_fact_vec *ret) WH_MUST_CHECK;
struct wh_err *wh_lx_whatis(struct wh_target *t, uint64_t addr, struct wh_arena *a,
			    wh_whatis_vec *ret) WH_MUST_CHECK;
struct wh_err *wh_lx_origin(struct wh_target *t, uint32_t row, struct wh_arena *a,
			    struct wh_origin *ret) WH_MUST_CHECK;
struct wh_err *wh_lx_trail(struct wh_target *t, uint64_t addr, struct wh_arena *a,
			   wh_event_vec *ret) WH_MUST_CHECK;
bool wh_lx_phys_to_virt(struct wh_target *t, uint64_t pa, uint64_t *ret_va);
struct wh_err *wh_lx_aliases(struct wh_target *t, uint64_t addr, uint64_t size,
			     wh_alias_vec *ret) WH_MUST_CHECK;
bool wh_lx_symbolize(struct wh_target *t, uint64_t addr, struct wh_frame *ret);
const char *wh_lx_signature(struct wh_target *t, uint32_t row, struct wh_arena *a);
struct wh_kcache;
/** The slab cache of a row, or NULL. */
struct wh_kcache *wh_lx_row_cache(struct wh_lx *x, uint32_t row);
/** wh_target_ops.word_text: the register behind a root word. */
void wh_lx_word_text(struct wh_target *t, uint16_t kind, uint16_t note, struct wh_strbuf *sb);
#define WH_LX_CLOCK_SET 315532800u /* [s] 1980; a clock that nobody set counts from 1970 */
/** What a struct timekeeper says. */
struct wh_lx_clock {
	uint64_t wall;		/**< [s since 1970, UTC] */
	uint64_t since_boot_ns; /**< CLOCK_MONOTONIC at the last tick */
	uint64_t tick_ns;	/**< length of a tick */
};
/** Reads the timekeeper at @at; false when it contradicts itself. */
bool wh_lx_timekeeper(struct wh_lx *x, uint64_t at, struct wh_lx_clock *ret);
/** Ticks and boot time, for ages; the time of day. */
void wh_lx_clock_open(struct wh_lx *x);

#endif
