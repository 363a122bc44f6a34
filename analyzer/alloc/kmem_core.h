/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kmem_core: the object caches of illumos' kmem and of its user copy libumem.  Both keep, per cache,
 *
 *	CPU magazines (loaded, previous)  ─┐
 *	depot: full magazines              ├─ buffers that are free although their slab counts them as used
 *	slabs: complete list, partial tree ─┘
 *	hash of the buffers in use ──► bufctl (audit record with the stack of the last transaction)
 *
 * and below them vmem arenas made of segments.  The layouts are resolved by member name (CTF, DWARF or
 * profile); nothing here knows whether the words came from a crash dump or from a process core.
 *
 * Walks survive damage: what a broken list or chain lost is found again over another structure where there
 * is one, and what then stays undecided is "unsure".  Not thread-safe: one reader.
 */
#ifndef WH_ALLOC_KMEM_CORE_H
#define WH_ALLOC_KMEM_CORE_H

#include "analyzer/base/arena.h"
#include "analyzer/base/ctx.h"
#include "analyzer/base/vec.h"
#include "dwarf/layout.h"
#include "formats/mem.h"

enum wh_kmem_flags {
	WH_KMF_AUDIT = 0x1,
	WH_KMF_DEADBEEF = 0x2,
	WH_KMF_REDZONE = 0x4,
	WH_KMF_CONTENTS = 0x8,
	WH_KMF_NOMAGAZINE = 0x20,
	WH_KMF_FIREWALL = 0x40,
	WH_KMF_LITE = 0x100,
	WH_KMF_HASH = 0x200,
	WH_UMF_PTC = 0x800,
	WH_KMF_DUMPDIVERT = 0x1000,
	WH_KMF_BUFTAG = WH_KMF_DEADBEEF | WH_KMF_REDZONE,
	WH_KMC_NOTOUCH = 0x10000,     /* creation flag */
	WH_KMC_IDENTIFIER = 0x400000, /**< hands out numbers */
};

enum wh_vmem_type {
	WH_VMEM_ALLOC = 1,
	WH_VMEM_FREE = 2,
	WH_VMEM_SPAN = 0x10,
	WH_VMEM_ROTOR = 0x20,
	WH_VMEM_WALKER = 0x40
};

#define WH_KMEM_PATTERN_FREE   0xdeadbeefdeadbeefull
#define WH_KMEM_PATTERN_UNINIT 0xbaddcafebaddcafeull
#define WH_KMEM_REDZONE	       0xfeedfacefeedfaceull
#define WH_KMEM_REDZONE_BYTE   0xbb
#define WH_KMEM_TAG_ALLOC      0xa110c8edu
#define WH_KMEM_TAG_FREE       0xf4eef4eeu

/** Size word of a redzone: 251 * size + 1. */
static inline bool wh_kmem_size_valid(uint32_t word)
{
	return word != 1 && word % 251 == 1;
}
static inline uint32_t wh_kmem_size_decode(uint32_t word)
{
	return word / 251;
}

/** How the two flavours differ in names. */
struct wh_kmem_flavour {
	const char *name;	/**< "kmem", "umem" */
	const char *cache_list; /**< variable that anchors the caches */
	const char *cpus[2];	/**< variables with the number of per-CPU structs */
	const char *transaction_log, *content_log, *failure_log, *slab_log;
	bool kernel;
};
extern const struct wh_kmem_flavour wh_kmem_kernel, wh_kmem_user;

struct wh_kmem_layout {
	struct wh_field cache[32]; /**< by enum kmem_cache_field of kmem_layout.c */
	uint64_t cache_span;	   /**< [bytes] up to cache_cpu */
	struct wh_field cpu_loaded, cpu_ploaded, cpu_flags, cpu_rounds, cpu_prounds, cpu_magsize,
		cpu_dump_rounds, cpu_dump_prounds, cpu_alloc;
	uint64_t cpu_size;
	struct wh_field mag_next, mag_round, magtype_size;
	struct wh_field ml_list, ml_total, ml_alloc;
	struct wh_field slab_cache, slab_base, slab_link, slab_next, slab_head, slab_refcnt,
		slab_chunks;
	uint64_t slab_size;
	struct wh_field bc_next, bc_addr, bc_slab, bc_cache, bc_timestamp, bc_thread, bc_lastlog,
		bc_contents, bc_depth, bc_stack;
	uint64_t audit_size;
	struct wh_field bt_redzone, bt_bufctl, bt_bxstat;
	uint64_t buftag_size;
	struct wh_field list_offset, list_next, avl_root, avl_offset, avl_child;
	struct wh_field lh_base, lh_free, lh_chunksize, lh_nchunks, lh_head, lh_tail, lh_cpu;
	struct wh_field clh_current, clh_avail, clh_chunk;
	uint64_t clh_size;
	struct wh_field vs_start, vs_end, vs_anext, vs_type, vs_import, vs_depth, vs_thread,
		vs_timestamp, vs_stack;
	uint64_t seg_size;
	struct wh_field vm_cflags;
	struct wh_field vm_name, vm_quantum, vm_source, vm_next, vm_seg0, vm_kstat;
	struct wh_field vk_inuse, vk_import, vk_total, vk_alloc, vk_free, vk_fail;
};

/** A buffer in use and what controls it. */
struct wh_kmem_buf {
	uint64_t addr;
	uint64_t ctl; /**< bufctl; 0 for small slabs, or when it was lost */
};

/** A cache; numbers as the dump says. */
struct wh_kmem_cache {
	uint64_t addr;
	char name[33];
	uint32_t flags, cflags;
	uint64_t bufsize, align, chunksize, slabsize;
	uint64_t constructor, arena;
	const char *arena_name;		 /**< "" unknown; borrowed from the core */
	uint64_t bufctl, buftag, verify; /**< [bytes] offsets into a chunk; verify: a length */
	uint64_t hash_table, hash_shift, hash_mask;
	uint64_t buftotal, slab_create, slab_destroy, slab_alloc, alloc_fail;
	uint64_t depot_full; /**< address of the first full magazine */
	uint64_t depot_total, depot_alloc;
	uint32_t magsize;
	bool lying; /**< its geometry makes no sense; not walked */

	/* filled by wh_kmem_walk */
	bool walked, walked_free, damaged;
	WH_VEC(struct wh_kmem_buf) bufs; /**< in use, by address */
	WH_VEC(struct wh_kmem_buf) free; /**< on free lists of slabs */
	WH_VEC(uint64_t) mags;		 /**< in magazines: free but constructed; by address */
	WH_VEC(uint64_t) unsure;	 /**< the damage hides whether these are in use */
	uint64_t slabs, slab_frees;	 /**< slabs found, free slots that their free lists hold */
	uint64_t cpu_allocs;		 /**< allocations that CPU magazines served */
};

struct wh_vmem {
	uint64_t addr;
	char name[31];
	uint64_t quantum, source, seg0;
	uint64_t inuse, import, total, alloc, free, fail;
	bool identifier; /**< of numbers, not of memory */
};

struct wh_vmem_seg {
	uint64_t addr, start, end;
	uint8_t type, depth;
	uint64_t thread;
	int64_t timestamp;
	uint64_t stack[20];
};

#define WH_AUDIT_DEPTH_MAX 1024
/** An audit record. */
struct wh_audit {
	uint64_t ctl; /**< its own address */
	uint64_t next, addr, slab, cache, thread, lastlog, contents;
	int64_t timestamp;
	uint32_t depth;	   /**< frames in `stack` */
	int32_t raw_depth; /**< as stored */
	uint64_t stack[64];
};

/** A row of the buffer table that is a segment of an arena. */
struct wh_kmem_seg_row {
	uint64_t start, seg;
};

typedef bool (*wh_kmem_symbol_fn)(void *arg, const char *name, uint64_t *ret_addr);

struct wh_kmem {
	struct wh_ctx *ctx;	      /**< borrowed */
	struct wh_reader *r;	      /**< borrowed */
	const struct wh_types *types; /**< borrowed */
	const struct wh_kmem_flavour *flavour;
	wh_kmem_symbol_fn symbol;
	void *symbol_arg;
	struct wh_abi abi;
	uint64_t page_size;
	struct wh_kmem_layout l;
	const char *layout_source; /**< label of the type provider: "ctf:genunix", "profile" */
	uint64_t ncpus;
	uint32_t stack_depth; /**< frames an audit record has room for */
	uint64_t audit_size;  /**< [bytes] of one */
	uint64_t seg_read;    /**< [bytes] of a segment that exist (vmem_seg_size) */
	uint32_t lite_count;
	uint64_t work; /**< what may still be spent on walks; see wh_kmem_spend */
	bool spent;    /**< it did not suffice: buffers are missing */
	WH_VEC(struct wh_kmem_cache) caches;	 /**< in list order */
	WH_VEC(struct wh_vmem) arenas;		 /**< in list order */
	WH_VEC(struct wh_kmem_seg_row) seg_rows; /**< by start, once the table is built */
};

/**
 * Resolves layouts and reads the lists of arenas and caches; no walk yet.  @k is zeroed storage with ctx,
 * r, types, flavour, symbol, abi, page_size set.  WH_ERR_NOT_FOUND when the dump has no such allocator.
 */
struct wh_err *wh_kmem_open(struct wh_kmem *k) WH_MUST_CHECK;
void wh_kmem_fini(struct wh_kmem *k);
/** Reads all per-cache structures once; what is found afterwards is in the cache. */
struct wh_err *wh_kmem_walk(struct wh_kmem *k, struct wh_kmem_cache *c) WH_MUST_CHECK;

/**
 * Takes @n steps (words read; four for what is kept) from the budget of all walks together, which grows with
 * the size of the files: structures of a damaged dump may name the same memory again and again.  False, and
 * a diagnostic once, when it is used up.
 */
bool wh_kmem_spend(struct wh_kmem *k, uint64_t n);

/** Adds the free lists of slabs (c->free, c->slabs, c->slab_frees) of caches that keep a hash. */
struct wh_err *wh_kmem_walk_free(struct wh_kmem *k, struct wh_kmem_cache *c) WH_MUST_CHECK;

/** Address of the first cache of the list; false when its head cannot be read. */
bool wh_kmem_list_head(struct wh_kmem *k, uint64_t *ret_first);

/** Value of a pointer-size (or int-size) variable; false when unknown or unreadable. */
bool wh_kmem_var_word(struct wh_kmem *k, const char *name, uint64_t *ret);
bool wh_kmem_var_u32(struct wh_kmem *k, const char *name, uint32_t *ret);

struct wh_kmem_cache *wh_kmem_find_cache(struct wh_kmem *k, uint64_t addr);
struct wh_kmem_cache *wh_kmem_find_cache_name(struct wh_kmem *k, const char *name);
/** The buffer of a walked cache that holds @addr ([start, start + chunk)), or NULL. */
const struct wh_kmem_buf *wh_kmem_find_buf(const struct wh_kmem_cache *c, uint64_t addr);
/** The buffer that holds an address, in use or free; walks what it must.  False when no cache has it. */
struct wh_kmem_hit {
	struct wh_kmem_cache *cache;
	uint64_t buf;
	uint64_t ctl; /**< 0 none */
	bool free;    /**< in a magazine, on a slab's free list, or by its own tag */
	bool in_magazine;
};
bool wh_kmem_find_hit(struct wh_kmem *k, uint64_t addr, struct wh_kmem_hit *ret);
struct wh_vmem *wh_kmem_find_arena(struct wh_kmem *k, const char *name);
/** Adds the arena at @addr, found by other means than vmem_list, unless it is there already. */
struct wh_err *wh_kmem_add_arena(struct wh_kmem *k, uint64_t addr) WH_MUST_CHECK;
/** Bufctl of a buffer through its buftag (AUDIT|BUFTAG caches); 0 when there is none or it lies. */
uint64_t wh_kmem_tag_bufctl(struct wh_kmem *k, const struct wh_kmem_cache *c, uint64_t buf);

/**
 * Control address of a row of the buffer table whose class has @cls_id as id: bufctl of an audited cache,
 * the cache's own address, or the segment; 0 unknown.
 */
uint64_t wh_kmem_row_ctl(struct wh_kmem *k, uint64_t cls_id, uint64_t addr);
void wh_kmem_sort_seg_rows(struct wh_kmem *k);

/** Calls @fn for each segment of @v in address order until it fails; damage ends the walk with a diagnostic. */
typedef struct wh_err *(*wh_vmem_seg_fn)(void *arg, const struct wh_vmem_seg *s);
struct wh_err *wh_vmem_each_seg(struct wh_kmem *k, const struct wh_vmem *v, wh_vmem_seg_fn fn,
				void *arg) WH_MUST_CHECK;
/** The allocated segment of @v that holds @addr. */
struct wh_err *wh_vmem_find_seg(struct wh_kmem *k, const struct wh_vmem *v, uint64_t addr,
				struct wh_vmem_seg *ret, bool *ret_found) WH_MUST_CHECK;
/** The segment of one of @arenas (NULL ends them) that holds @addr, or lies there itself. */
bool wh_kmem_find_oversize(struct wh_kmem *k, const char *const *arenas, uint64_t addr,
			   struct wh_vmem_seg *ret, const char **ret_arena);
bool wh_vmem_read_seg(struct wh_kmem *k, uint64_t addr, struct wh_vmem_seg *ret);

/** Reads the record at @ctl; false when unreadable. */
bool wh_audit_read(struct wh_kmem *k, uint64_t ctl, struct wh_audit *ret);
/**
 * The record before @a on its history chain (bc_lastlog), newest first; false at the end.  A chain whose
 * buffer, cache or slab changes or whose time does not fall has ended.
 */
bool wh_audit_previous(struct wh_kmem *k, const struct wh_audit *a, bool first,
		       struct wh_audit *ret);

/** A log of records. */
struct wh_kmem_log {
	uint64_t addr, base, chunksize, nchunks;
	bool whole; /**< false when part could not be read */
};
/** @var: name of the variable that points at the header; false when the log is off or unreadable. */
bool wh_kmem_log_open(struct wh_kmem *k, const char *var, struct wh_kmem_log *ret);
bool wh_kmem_log_read(struct wh_kmem *k, uint64_t header, struct wh_kmem_log *ret);
struct wh_log_entry {
	uint64_t addr; /**< of the record */
	int64_t timestamp;
	uint64_t bufaddr;
	int32_t cpu; /**< -1: not in any CPU's current chunk */
};
typedef WH_VEC(struct wh_log_entry) wh_log_vec;
/** All records in use, newest first. */
struct wh_err *wh_kmem_log_list(struct wh_kmem *k, const struct wh_kmem_log *log,
				wh_log_vec *ret) WH_MUST_CHECK;

/* ---- inside kmem_*.c ---- */

static inline uint64_t wh_kmem_get(const struct wh_kmem *k, const uint8_t *p, struct wh_field f)
{
	return f.found ? wh_get_uint(k->abi, p + f.offset, (size_t)f.size) : 0;
}
struct wh_err *wh_kmem_resolve(struct wh_kmem *k) WH_MUST_CHECK;
struct wh_err *wh_kmem_read_caches(struct wh_kmem *k) WH_MUST_CHECK;
struct wh_err *wh_kmem_read_arenas(struct wh_kmem *k) WH_MUST_CHECK;
/** Reads a field of a struct at @base. */
bool wh_kmem_field(struct wh_kmem *k, uint64_t base, struct wh_field f, uint64_t *ret);
struct wh_err *wh_kmem_walk_magazines(struct wh_kmem *k, struct wh_kmem_cache *c) WH_MUST_CHECK;
struct wh_err *wh_kmem_walk_hash(struct wh_kmem *k, struct wh_kmem_cache *c) WH_MUST_CHECK;
typedef WH_VEC(uint64_t) wh_slab_vec;
/** Slabs of a cache by address; c->damaged is set when some may be missing. */
struct wh_err *wh_kmem_list_slabs(struct wh_kmem *k, struct wh_kmem_cache *c,
				  wh_slab_vec *ret) WH_MUST_CHECK;
/** Buffers in use and free ones of slabs that link free buffers inside themselves. */
struct wh_err *wh_kmem_walk_small(struct wh_kmem *k, struct wh_kmem_cache *c) WH_MUST_CHECK;
/** Finds what a damaged hash lost: every slot of every slab that is not known to be free. */
struct wh_err *wh_kmem_recover(struct wh_kmem *k, struct wh_kmem_cache *c) WH_MUST_CHECK;
enum wh_kmem_tag { WH_TAG_NONE, WH_TAG_ALLOC, WH_TAG_FREE };
/** What the tag behind a buffer says; NONE when the cache has no tags or this one is overwritten. */
enum wh_kmem_tag wh_kmem_tag_state(struct wh_kmem *k, const struct wh_kmem_cache *c, uint64_t buf);
bool wh_kmem_in_magazine(const struct wh_kmem_cache *c, uint64_t buf);
void wh_kmem_sort_bufs(struct wh_kmem_cache *c);

/* fields of a cache, in wh_kmem_layout.cache */
enum wh_kmem_cache_field {
	WH_KC_NAME,
	WH_KC_FLAGS,
	WH_KC_CFLAGS,
	WH_KC_BUFSIZE,
	WH_KC_ALIGN,
	WH_KC_CHUNKSIZE,
	WH_KC_SLABSIZE,
	WH_KC_CONSTRUCTOR,
	WH_KC_ARENA,
	WH_KC_BUFCTL,
	WH_KC_BUFTAG,
	WH_KC_VERIFY,
	WH_KC_HASH_TABLE,
	WH_KC_HASH_SHIFT,
	WH_KC_HASH_MASK,
	WH_KC_BUFTOTAL,
	WH_KC_SLAB_CREATE,
	WH_KC_SLAB_DESTROY,
	WH_KC_SLAB_ALLOC,
	WH_KC_ALLOC_FAIL,
	WH_KC_MAGTYPE,
	WH_KC_FULL,
	WH_KC_LINK,
	WH_KC_NEXT,
	WH_KC_COMPLETE,
	WH_KC_PARTIAL,
	WH_KC_NULLSLAB,
	WH_KC_CPU,
	WH_KC_COUNT
};

#endif
