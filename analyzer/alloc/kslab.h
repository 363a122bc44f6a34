/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kslab: the Linux kernel's slab objects, whatever the slab allocator (SLUB, SLAB).  Walks the slabs that
 * the memmap names, asks the model which objects of each are free, and writes rows.
 *
 *	struct page says slab ─► kmem_cache ─► model decodes the free objects ─► run of rows
 *
 * Lists of slabs are never trusted for completeness: SLUB keeps none of its full slabs.
 */
#ifndef WH_ALLOC_KSLAB_H
#define WH_ALLOC_KSLAB_H

#include "analyzer/target/linux.h"

/** SLAB_* flags, whatever their numbers are in this kernel. */
struct wh_kslab_flags {
	uint64_t red_zone, poison, store_user, kmalloc, typesafe, account;
};

struct wh_kcache {
	uint64_t addr; /**< kmem_cache */
	const char *name;
	uint64_t flags, size, object_size, offset, inuse, pad; /**< pad: red_left_pad if in use */
	uint64_t random, cpu_slab, ctor;
	uint32_t num;			  /**< SLAB: objects a slab */
	uint32_t kasan_alloc, kasan_free; /**< [bytes] from an object to KASAN's tracks, 0 none */
	uint16_t cls;
	bool listed; /**< on slab_caches */
	bool single; /**< no other cache was merged into it */
	bool valid;
	bool store_user;
	/* counted */
	uint64_t slabs, objects, used, free, pending, unsure, missing, bytes;
};

struct wh_kslab;
/** How one slab allocator marks free objects. */
struct wh_kslab_ops {
	const char *name; /**< "slub", "slab" */
	/** Layouts and encodings; after caches and slabs are known. */
	struct wh_err *(*open)(struct wh_kslab *k);
	/** How many objects a slab holds; 0: nonsense. */
	uint32_t (*objects)(const struct wh_kslab *k, const struct wh_lx_slab *s);
	/** True when every object is in use, without looking at the slab's memory. */
	bool (*full)(const struct wh_kslab *k, const struct wh_lx_slab *s);
	/**
	 * Sets the bit of every free object in @bits.  @mem is the slab's memory.  False when the slab
	 * contradicts itself (the bits set so far stay).  Thread-safe.
	 */
	bool (*free_objects)(const struct wh_kslab *k, struct wh_reader *r,
			     const struct wh_lx_slab *s, const uint8_t *mem, uint64_t *bits);
	void (*close)(struct wh_kslab *k);
};
extern const struct wh_kslab_ops wh_kslab_slub_ops, wh_kslab_slab_ops;

struct wh_kslab {
	struct wh_lx *x; /**< borrowed */
	const struct wh_kslab_ops *ops;
	void *priv; /**< the model's */
	struct wh_kslab_flags flags;
	WH_VEC(struct wh_kcache) caches;
	struct wh_map by_addr;		   /**< kmem_cache -> index */
	uint64_t kfence_start, kfence_end; /**< VIRT; 0 none */
	/** Objects that the allocator has handed out but holds itself (sheaves, array caches), sorted. */
	WH_VEC(uint64_t) held;
	uint64_t slabs_damaged, slabs_missing, slabs_excluded, objects_missing;
	uint64_t slabs_unusable; /**< of no known cache, or with impossible counters */
};

struct wh_err *wh_kslab_open(struct wh_lx *x, struct wh_kslab **ret) WH_MUST_CHECK;
/** Decodes all slabs and writes their rows, node ranges and what is missing. */
struct wh_err *wh_kslab_build(struct wh_kslab *k) WH_MUST_CHECK;
void wh_kslab_close(struct wh_kslab *k);
/** One line about the slabs that are not in the dump, with what to do about it. */
void wh_kslab_missing_text(const struct wh_kslab *k, char *buf, size_t cap);
/** Cache by name; the @nth of that name; NULL. */
const struct wh_kcache *wh_kslab_find_cache(const struct wh_kslab *k, const char *name, size_t nth);
/** The slab that holds direct-map address @va, or NULL. */
const struct wh_lx_slab *wh_kslab_find_slab(const struct wh_kslab *k, uint64_t va);
/** Start of object @i of a slab. */
static inline uint64_t wh_kslab_object(const struct wh_kslab *k, const struct wh_lx_slab *s,
				       uint32_t i)
{
	const struct wh_kcache *c = &k->caches.v[s->cache];

	return wh_kspace_pfn_to_virt(k->x->ks, s->pfn) + s->base + c->pad + (uint64_t)i * c->size;
}
/** Calls @fn for each allocated object of a cache, in address order. */
typedef struct wh_err *(*wh_kslab_object_fn)(void *arg, uint64_t addr);
struct wh_err *wh_kslab_each_object(const struct wh_kslab *k, const struct wh_kcache *c,
				    wh_kslab_object_fn fn, void *arg) WH_MUST_CHECK;

/* ---- SLUB's sheaves (alloc_slub_sheaf.c) ---- */

/** Adds every object that lies in a sheaf to k->held. */
struct wh_err *wh_slub_sheaves_take(struct wh_kslab *k) WH_MUST_CHECK;

/* ---- KASAN (alloc_slub_kasan.c) ---- */

/** Adds every object in the quarantine to k->held. */
struct wh_err *wh_slub_quarantine_take(struct wh_kslab *k) WH_MUST_CHECK;
/** Fills c->kasan_alloc and c->kasan_free. */
void wh_kasan_cache_read(const struct wh_kslab *k, struct wh_kcache *c);
/** Stack depot handle of who allocated (@which 0) or freed (1) an object; false when none is kept. */
bool wh_kasan_track_read(const struct wh_kslab *k, const struct wh_kcache *c, uint64_t obj,
			 int which, uint32_t *ret_handle, uint32_t *ret_pid);

/* ---- SLUB's tracks (alloc_slub_track.c) ---- */

struct wh_ktrack {
	uint64_t addr, when;
	uint32_t handle, cpu, pid;
	uint64_t addrs[16]; /**< kernels before 5.19 */
	uint32_t n_addrs;
	bool valid;
};
/** Reads the alloc (@which 0) or free (1) track of an object of @c; false when none is kept. */
bool wh_ktrack_read(const struct wh_kslab *k, const struct wh_kcache *c, uint64_t obj, int which,
		    struct wh_ktrack *ret);
/** [bytes] from an object to the size that kmalloc was asked for; 0 when that is not kept. */
uint32_t wh_ktrack_requested_off(const struct wh_kslab *k, const struct wh_kcache *c);
/** True when that note follows what becomes of the object, so that nothing lies behind it. */
bool wh_ktrack_requested_exact(const struct wh_kslab *k);
/** Size that kmalloc was asked for; 0 unknown. */
uint64_t wh_ktrack_requested(const struct wh_kslab *k, const struct wh_kcache *c, uint64_t obj);

#endif
