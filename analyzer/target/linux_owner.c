/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recorders that know of allocations beside SLUB's tracks:
 *
 *	page_owner	page_ext of a frame: stack handle, pid, time		pages
 *	kmemleak	one object of its own an allocation: stack, pid, jiffies	anything
 *	KFENCE		metadata of a sampled object: stack addresses		slab objects in its pool
 *
 * kmemleak also says what the kernel itself does not want reported: objects whose min_count is 0 (gray) or
 * -1 (black) are reachable.
 *
 * Layouts by member name; page_ext: mm/page_ext.c (a section's page_ext is biased by its first frame, bit 0
 * says invalid), mm/page_owner.c; mm/kmemleak.c; mm/kfence/kfence.h.
 */
#include "analyzer/target/linux.h"

#include <string.h>

#include "analyzer/alloc/kslab.h"
#include "analyzer/alloc/stackdepot.h"

/* ---- page_owner ---- */

struct owner_layout {
	struct wh_field handle, pid, ts;
};
static const struct wh_want owner_wants[] = {
	WH_WANT(struct owner_layout, handle, "page_owner", "handle"),
	WH_WANT_OPT(struct owner_layout, pid, "page_owner", "pid"),
	WH_WANT_OPT(struct owner_layout, ts, "page_owner", "ts_nsec"),
};

/* Section of a frame through the two-level table (SPARSEMEM_EXTREME). */
static bool section_find(struct wh_lx *x, uint64_t pfn, uint64_t *ret)
{
	const struct wh_vmcoreinfo *v = x->ks->vmcoreinfo;
	uint64_t roots, size, n, per, sec, root;
	int64_t bits;

	if (!v || !wh_vmcoreinfo_symbol(v, "mem_section", &roots) ||
	    !wh_vmcoreinfo_size(v, "mem_section", &size) || !size ||
	    !wh_vmcoreinfo_length(v, "mem_section", &n) ||
	    !wh_vmcoreinfo_number(v, "SECTION_SIZE_BITS", &bits) || bits < 12 || bits > 60)
		return false;
	sec = pfn >> ((uint64_t)bits - x->ks->page_shift);
	per = x->page_bytes / size;
	if (!per || sec / per >= n || !wh_read_word(x->r, roots + sec / per * x->abi.word, &root) ||
	    !root)
		return false;
	*ret = wh_lx_ptr(x, root) + sec % per * size;
	return true;
}

/* The page_owner record of a frame that is allocated; false when none is kept. */
static bool owner_find(struct wh_lx *x, uint64_t pfn, uint64_t *ret)
{
	uint64_t sec, off, ext, ext_size, ops, ops_off, flags;
	int64_t bit;

	if (!wh_lx_offset(x, "mem_section", "page_ext", &off) || !section_find(x, pfn, &sec) ||
	    !wh_read_word(x->r, sec + off, &ext) || !ext || (ext & 1) ||
	    !wh_lx_var(x, "page_ext_size", &ext_size) || !ext_size || ext_size > 4096 ||
	    !wh_lx_symbol(x, "page_owner_ops", &ops) ||
	    !wh_lx_offset(x, "page_ext_operations", "offset", &off) ||
	    !wh_read_word(x->r, ops + off, &ops_off) || ops_off >= ext_size)
		return false;
	ext = wh_lx_ptr(x, ext) + ext_size * pfn;
	if (!wh_types_enumerator(x->names->types, NULL, "PAGE_EXT_OWNER_ALLOCATED", &bit))
		bit = 1;
	if (!wh_read_word(x->r, ext, &flags) || bit < 0 || bit > 62 ||
	    !(flags >> (unsigned int)bit & 1))
		return false;
	*ret = ext + ops_off;
	return true;
}

/* A bool before 4.6, then a static key whose count is its first member; page_owner_enabled is __initdata. */
bool wh_lx_owner_runs(struct wh_lx *x)
{
	return wh_lx_flag(x, "page_owner_inited");
}

bool wh_lx_owner_page(struct wh_lx *x, uint64_t pfn, struct wh_lx_record *ret)
{
	struct owner_layout l;
	uint64_t rec, v;
	struct wh_err *e;

	if (!x->depot || !owner_find(x, pfn, &rec))
		return false;
	e = wh_layout_resolve(x->names->types, owner_wants,
			      sizeof(owner_wants) / sizeof(owner_wants[0]), &l);
	if (e) {
		wh_err_destroy(e);
		return false;
	}
	*ret = (struct wh_lx_record){.source = "page_owner"};
	if (!wh_lx_field(x, rec, &l.handle, &v))
		return false;
	ret->n = wh_depot_fetch(x->depot, (uint32_t)v, ret->addrs);
	if (wh_lx_field(x, rec, &l.pid, &v)) {
		ret->has_pid = true;
		ret->pid = (uint32_t)v;
	}
	ret->has_time = wh_lx_field(x, rec, &l.ts, &ret->time_ns);
	return ret->n > 0;
}

/* ---- kmemleak ---- */

struct leak_layout {
	struct wh_field pointer, size, min_count, flags, handle, trace, trace_len, jiffies, pid;
};
static const struct wh_want leak_wants[] = {
	WH_WANT(struct leak_layout, pointer, "kmemleak_object", "pointer"),
	WH_WANT(struct leak_layout, size, "kmemleak_object", "size"),
	WH_WANT(struct leak_layout, min_count, "kmemleak_object", "min_count"),
	WH_WANT_OPT(struct leak_layout, flags, "kmemleak_object", "flags"),
	WH_WANT_OPT(struct leak_layout, handle, "kmemleak_object", "trace_handle"),
	WH_WANT_OPT(struct leak_layout, trace, "kmemleak_object", "trace"),
	WH_WANT_OPT(struct leak_layout, trace_len, "kmemleak_object", "trace_len"),
	WH_WANT_OPT(struct leak_layout, jiffies, "kmemleak_object", "jiffies"),
	WH_WANT_OPT(struct leak_layout, pid, "kmemleak_object", "pid"),
};
enum { LEAK_ALLOCATED = 1, LEAK_PHYS = 0x10, LEAK_PERCPU = 0x20 }; /* mm/kmemleak.c */

struct leak_walk {
	struct wh_lx *x;
	struct leak_layout l;
};

static struct wh_err *leak_object(void *arg, uint64_t obj)
{
	struct leak_walk *w = arg;
	struct wh_lx *x = w->x;
	uint64_t ptr, min = 1, flags = LEAK_ALLOCATED;

	(void)wh_lx_field(x, obj, &w->l.flags, &flags);
	if (!(flags & LEAK_ALLOCATED) || (flags & (LEAK_PHYS | LEAK_PERCPU)) ||
	    !wh_lx_field(x, obj, &w->l.pointer, &ptr) || ptr < x->ks->kernel_min)
		return NULL;
	ptr = wh_lx_ptr(x, ptr);
	WH_TRY(wh_map_set(&x->kmemleak, ptr, obj, NULL));
	if (wh_lx_field(x, obj, &w->l.min_count, &min) && (int32_t)(uint32_t)min <= 0)
		return wh_plan_add_word(&x->t->plan, x->kind_kmemleak, ptr,
					obj + w->l.min_count.offset, 0);
	return NULL;
}

struct wh_err *wh_lx_kmemleak_build(struct wh_lx *x)
{
	struct leak_walk w = {.x = x};
	const struct wh_kcache *c = wh_kslab_find_cache(x->slab, "kmemleak_object", 0);
	struct wh_err *e;

	if (!c)
		return NULL;
	e = wh_layout_resolve(x->names->types, leak_wants,
			      sizeof(leak_wants) / sizeof(leak_wants[0]), &w.l);
	if (e) {
		wh_diag_add_err(x->t->ctx->diags, WH_DIAG_NOTE, "kmemleak-layout", e);
		return NULL;
	}
	WH_TRY(wh_kslab_each_object(x->slab, c, leak_object, &w));
	x->t->recorded = x->t->recorded || x->kmemleak.n;
	return NULL;
}

bool wh_lx_owner_kmemleak(struct wh_lx *x, uint64_t addr, struct wh_lx_record *ret)
{
	struct leak_layout l;
	uint64_t obj, v, n = 0;
	struct wh_err *e;

	if (!wh_map_find(&x->kmemleak, addr, &obj))
		return false;
	e = wh_layout_resolve(x->names->types, leak_wants,
			      sizeof(leak_wants) / sizeof(leak_wants[0]), &l);
	if (e) {
		wh_err_destroy(e);
		return false;
	}
	*ret = (struct wh_lx_record){.source = "kmemleak"};
	if (wh_lx_field(x, obj, &l.handle, &v))
		ret->n = wh_depot_fetch(x->depot, (uint32_t)v, ret->addrs);
	else if (l.trace.found && wh_lx_field(x, obj, &l.trace_len, &n))
		while (ret->n < n && ret->n < WH_DEPOT_FRAMES &&
		       (ret->n + 1) * (uint64_t)x->abi.word <= l.trace.size &&
		       wh_read_word(x->r, obj + l.trace.offset + ret->n * (uint64_t)x->abi.word,
				    &ret->addrs[ret->n]))
			ret->n++;
	if (wh_lx_field(x, obj, &l.pid, &v)) {
		ret->has_pid = true;
		ret->pid = (uint32_t)v;
	}
	if (x->tick_ns && wh_lx_field(x, obj, &l.jiffies, &v) && v >= x->jiffies0 &&
	    v <= x->jiffies) {
		ret->has_time = true;
		ret->time_ns = (v - x->jiffies0) * x->tick_ns;
	}
	if (wh_lx_field(x, obj, &l.size, &v))
		ret->requested = v;
	return ret->n > 0;
}

/* ---- KFENCE ---- */

struct fence_layout {
	struct wh_field state, addr, size, cache, track;
};
static const struct wh_want fence_wants[] = {
	WH_WANT(struct fence_layout, state, "kfence_metadata", "state"),
	WH_WANT(struct fence_layout, addr, "kfence_metadata", "addr"),
	WH_WANT(struct fence_layout, size, "kfence_metadata", "size"),
	WH_WANT(struct fence_layout, cache, "kfence_metadata", "cache"),
	WH_WANT(struct fence_layout, track, "kfence_metadata", "alloc_track"),
};

/* Metadata are an array, or (6.5 and later) behind a pointer. */
static bool fence_open(struct wh_lx *x, struct fence_layout *l, uint64_t *ret_base,
		       uint64_t *ret_size, uint64_t *ret_n)
{
	uint64_t sym, p;
	struct wh_err *e;

	if (!x->slab->kfence_start || !wh_lx_symbol(x, "kfence_metadata", &sym) ||
	    !wh_types_sizeof(x->names->types, "kfence_metadata", ret_size) || !*ret_size)
		return false;
	e = wh_layout_resolve(x->names->types, fence_wants,
			      sizeof(fence_wants) / sizeof(fence_wants[0]), l);
	if (e) {
		wh_err_destroy(e);
		return false;
	}
	*ret_base = sym;
	if (wh_read_word(x->r, sym, &p) && wh_lx_is_direct(x, wh_lx_ptr(x, p)) &&
	    !(p & (x->page_bytes - 1)))
		*ret_base = wh_lx_ptr(x, p);
	*ret_n = (x->slab->kfence_end - x->slab->kfence_start) / (2 * x->page_bytes) - 1;
	return *ret_n > 0 && *ret_n < (1u << 20);
}

/* Rows of the sampled objects; metadata name every one and hold none. */
struct wh_err *wh_lx_kfence_build(struct wh_lx *x)
{
	struct fence_layout l;
	uint64_t base, size, n, i, state, addr, len, cache, pfn;

	if (!fence_open(x, &l, &base, &size, &n))
		return NULL;
	WH_TRY(wh_plan_add_mask(&x->t->plan, base, base + n * size));
	for (uint64_t k = 0; k < n; k++) {
		uint64_t m = base + k * size;

		if (!wh_lx_field(x, m, &l.state, &state) || (uint32_t)state != 1 || /* allocated */
		    !wh_lx_field(x, m, &l.addr, &addr) || !wh_lx_field(x, m, &l.size, &len) ||
		    !wh_lx_field(x, m, &l.cache, &cache) || !len || len > x->page_bytes ||
		    addr < x->slab->kfence_start || addr >= x->slab->kfence_end || (addr & 7) ||
		    !wh_map_find(&x->slab->by_addr, wh_lx_ptr(x, cache), &i) ||
		    !wh_kspace_virt_to_pfn(x->ks, addr, &pfn))
			continue;
		WH_TRY(wh_buftab_add(x->t->buftab, x->slab->caches.v[i].cls, addr, len,
				     WH_BUF_ALLOCATED));
		/* The pool's mapping is taken away from free objects: read by frame. */
		WH_TRY(wh_plan_add_node(&x->t->plan, WH_PHYS, pfn << x->ks->page_shift,
					wh_kspace_pfn_to_virt(x->ks, pfn), x->page_bytes));
		x->slab->caches.v[i].used++;
		x->slab->caches.v[i].objects++;
	}
	return NULL;
}

bool wh_lx_owner_kfence(struct wh_lx *x, uint64_t addr, struct wh_lx_record *ret)
{
	struct fence_layout l;
	uint64_t base, size, n, k, m, v, entries, depth = 0;
	uint32_t frames;

	if (addr < x->slab->kfence_start || addr >= x->slab->kfence_end ||
	    !fence_open(x, &l, &base, &size, &n))
		return false;
	k = (addr - x->slab->kfence_start) / (2 * x->page_bytes);
	if (!k || k > n)
		return false;
	m = base + (k - 1) * size;
	if (!wh_lx_field(x, m, &l.addr, &v) || v != addr ||
	    !wh_lx_offset(x, "kfence_track", "stack_entries", &entries) ||
	    !wh_lx_offset(x, "kfence_track", "num_stack_entries", &depth) ||
	    !wh_read_u32(x->r, m + l.track.offset + depth, &frames) || frames > WH_DEPOT_FRAMES)
		return false;
	*ret = (struct wh_lx_record){.source = "kfence"};
	while (ret->n < frames &&
	       wh_read_word(x->r, m + l.track.offset + entries + ret->n * (uint64_t)x->abi.word,
			    &ret->addrs[ret->n]))
		ret->n++;
	if (wh_lx_offset(x, "kfence_track", "pid", &v)) {
		uint32_t pid;

		ret->has_pid = wh_read_u32(x->r, m + l.track.offset + v, &pid);
		ret->pid = ret->has_pid ? pid : 0;
	}
	if (wh_lx_offset(x, "kfence_track", "ts_nsec", &v))
		ret->has_time = wh_read_u64(x->r, m + l.track.offset + v, &ret->time_ns);
	return ret->n > 0;
}
