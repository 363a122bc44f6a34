/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel recorded of an allocation: SLUB tracks, vmalloc callers; names for addresses. */
#include "analyzer/target/linux.h"

#include <stdio.h>
#include <string.h>

#include "analyzer/alloc/kslab.h"
#include "analyzer/alloc/stackdepot.h"

bool wh_lx_symbolize(struct wh_target *t, uint64_t addr, struct wh_frame *ret)
{
	struct wh_lx *x = t->priv;
	struct wh_sym sym;
	uint64_t off;

	if (!wh_symtab_find_addr(x->names->syms, addr, &sym, &off)) {
		const char *module = wh_symtab_find_module(x->names->syms, addr);

		if (!module)
			return false;
		*ret = (struct wh_frame){.address = addr, .module = module};
		return true;
	}
	*ret = (struct wh_frame){
		.address = addr, .symbol = sym.name, .offset = off, .module = sym.module};
	return true;
}

/* A return address: the call is the instruction before it.  Inlined functions become frames. */
static struct wh_err *add_frame(struct wh_lx *x, struct wh_frame *f, size_t *n, size_t cap,
				uint64_t ret_addr)
{
	struct wh_line lines[16];
	size_t k = wh_knames_lines(x->names, ret_addr - 1, lines, 16);
	struct wh_frame base = {.address = ret_addr};

	if (wh_lx_symbolize(x->t, ret_addr - 1, &base)) {
		base.address = ret_addr;
		if (base.symbol)
			base.offset++;
	}
	for (size_t i = 0; i < k && *n < cap; i++) {
		struct wh_frame one = base;

		one.file = lines[i].file;
		one.line = lines[i].line;
		if (i + 1 < k) {
			one.symbol = lines[i].function;
			one.offset = 0;
			one.inlined = true;
		}
		f[(*n)++] = one;
	}
	if (!k && *n < cap)
		f[(*n)++] = base;
	return NULL;
}

/* Frames of the allocator itself say nothing about who wanted the memory. */
static const char *const wrappers[] = {
	"set_track",	    "save_stack",	  "stack_trace_save",
	"stack_depot_save", "__slab_alloc",	  "___slab_alloc",
	"slab_alloc",	    "__kmem_cache_alloc", "kmem_cache_alloc",
	"__kmalloc",	    "__kfence_alloc",	  "kmalloc_",
	"__do_kmalloc",	    "kmemleak_alloc",	  "kmem_cache_zalloc",
	"set_page_owner",   "__set_page_owner",	  "kasan_save",
	"__kasan_",	    "post_alloc_hook",	  "get_page_from_freelist",
	"__alloc_pages",    "prep_new_page",	  "alloc_debug_processing",
	"new_slab_objects",
};

/* The same, where they are inlined into their callers, modules too. */
static const char *const inlines[] = {"kmalloc",  "kzalloc",  "kcalloc",
				      "kvmalloc", "kvzalloc", "kmem_cache_zalloc"};

static bool starts_with_any(const char *s, const char *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strncmp(s, v[i], strlen(v[i])))
			return true;
	return false;
}

static bool is_wrapper(const struct wh_frame *f)
{
	if (!f->symbol)
		return false;
	if (f->inlined)
		return starts_with_any(f->symbol, inlines, sizeof(inlines) / sizeof(inlines[0]));
	return !f->module &&
	       starts_with_any(f->symbol, wrappers, sizeof(wrappers) / sizeof(wrappers[0]));
}

#define FRAMES_MAX 256

/* Return addresses into frames in the arena. */
static struct wh_err *frames_make(struct wh_lx *x, struct wh_arena *a, const uint64_t *addrs,
				  size_t n, const struct wh_frame **ret, size_t *ret_n)
{
	struct wh_frame f[FRAMES_MAX], *copy;
	size_t k = 0, skip = 0;

	for (size_t i = 0; i < n; i++)
		WH_TRY(add_frame(x, f, &k, FRAMES_MAX, addrs[i]));
	while (skip + 1 < k && is_wrapper(&f[skip]))
		skip++;
	copy = wh_arena_alloc(a, (k - skip) * sizeof(*copy) + 1);
	if (!copy)
		return &wh_err_nomem;
	memcpy(copy, f + skip, (k - skip) * sizeof(*copy));
	*ret = copy;
	*ret_n = k - skip;
	return NULL;
}

static uint64_t ticks_to_ns(const struct wh_lx *x, uint64_t when)
{
	return (when - x->jiffies0) * x->tick_ns;
}

/* Return addresses of a track; its caller alone when no stack is kept. */
static size_t track_addrs(struct wh_lx *x, const struct wh_ktrack *t, uint64_t *ret)
{
	uint32_t n = wh_depot_fetch(x->depot, t->handle, ret);

	if (!n && t->n_addrs) {
		memcpy(ret, t->addrs, t->n_addrs * sizeof(*ret));
		n = t->n_addrs;
	}
	if (!n) {
		ret[0] = t->addr;
		n = 1;
	}
	return n;
}

struct wh_kcache *wh_lx_row_cache(struct wh_lx *x, uint32_t row)
{
	uint16_t cls = wh_buftab_class_of(x->t->buftab, row);

	for (size_t i = 0; i < x->slab->caches.n; i++)
		if (x->slab->caches.v[i].cls == cls)
			return &x->slab->caches.v[i];
	return NULL;
}

static struct wh_err *track_origin(struct wh_lx *x, const struct wh_kcache *c, uint64_t obj,
				   struct wh_arena *a, struct wh_origin *ret)
{
	uint64_t addrs[WH_DEPOT_FRAMES];
	struct wh_ktrack t;
	size_t n;

	if (!wh_ktrack_read(x->slab, c, obj, 0, &t))
		return NULL;
	n = track_addrs(x, &t, addrs);
	ret->source = "slub track";
	ret->stack_id = wh_hash_bytes(addrs, n * sizeof(*addrs), WH_HASH_SEED) | 1;
	ret->has_pid = ret->has_cpu = true;
	ret->pid = t.pid;
	ret->cpu = t.cpu;
	if (x->tick_ns && t.when >= x->jiffies0 && t.when <= x->jiffies) {
		ret->has_time = true;
		ret->time_ns = ticks_to_ns(x, t.when);
		ret->age_ns = (x->jiffies - t.when) * x->tick_ns;
	}
	ret->requested = wh_ktrack_requested(x->slab, c, obj);
	return frames_make(x, a, addrs, n, &ret->frames, &ret->n_frames);
}

/* KASAN's own record: a stack and a process.  False when none is kept, or its stack is lost. */
static bool kasan_record(struct wh_lx *x, const struct wh_kcache *c, uint64_t obj, int which,
			 struct wh_lx_record *ret)
{
	uint32_t handle, pid;

	if (!wh_kasan_track_read(x->slab, c, obj, which, &handle, &pid))
		return false;
	*ret = (struct wh_lx_record){.source = which ? "kasan free track" : "kasan alloc track",
				     .has_pid = true,
				     .pid = pid};
	ret->n = wh_depot_fetch(x->depot, handle, ret->addrs);
	return ret->n != 0;
}

static struct wh_err *record_origin(struct wh_lx *x, const struct wh_lx_record *r,
				    struct wh_arena *a, struct wh_origin *ret)
{
	ret->source = r->source;
	ret->stack_id = wh_hash_bytes(r->addrs, r->n * sizeof(*r->addrs), WH_HASH_SEED) | 1;
	ret->has_pid = r->has_pid;
	ret->pid = r->pid;
	ret->requested = r->requested;
	ret->has_time = r->has_time;
	ret->time_ns = r->time_ns;
	if (r->has_time && x->t->dump_time_ns > r->time_ns)
		ret->age_ns = x->t->dump_time_ns - r->time_ns;
	return frames_make(x, a, r->addrs, r->n, &ret->frames, &ret->n_frames);
}

/* Whatever another recorder kept of the buffer at @addr. */
static bool other_record(struct wh_lx *x, uint32_t row, uint64_t addr, struct wh_lx_record *ret)
{
	uint16_t cls = wh_buftab_class_of(x->t->buftab, row);
	uint64_t pfn;

	if (wh_lx_owner_kfence(x, addr, ret) || wh_lx_owner_kmemleak(x, addr, ret))
		return true;
	/* The owner of a slab's page is whoever needed a new slab: it says nothing of the object. */
	return (cls == x->cls_compound || cls == x->cls_large || cls == x->cls_page) &&
	       wh_kspace_virt_to_pfn(x->ks, addr, &pfn) && wh_lx_owner_page(x, pfn, ret);
}

struct wh_err *wh_lx_origin(struct wh_target *t, uint32_t row, struct wh_arena *a,
			    struct wh_origin *ret)
{
	struct wh_lx *x = t->priv;
	uint64_t addr = wh_buftab_addr(t->buftab, row);
	const struct wh_lx_vmarea *v;
	const struct wh_kcache *c;
	struct wh_lx_record r;

	memset(ret, 0, sizeof(*ret));
	c = wh_lx_row_cache(x, row);
	if (c)
		WH_TRY(track_origin(x, c, addr, a, ret));
	if (ret->source)
		return NULL;
	if ((c && kasan_record(x, c, addr, 0, &r)) || other_record(x, row, addr, &r))
		return record_origin(x, &r, a, ret);
	if (wh_buftab_class_of(t->buftab, row) != x->cls_vmalloc)
		return NULL;
	v = wh_lx_vmalloc_find(x, addr);
	if (!v || !v->caller)
		return NULL;
	ret->source = "vmalloc caller";
	ret->stack_id = wh_hash_u64(v->caller) | 1;
	return frames_make(x, a, &v->caller, 1, &ret->frames, &ret->n_frames);
}

static struct wh_err *track_event(struct wh_lx *x, const struct wh_kcache *c, uint64_t obj,
				  int which, struct wh_arena *a, wh_event_vec *ret)
{
	uint64_t addrs[WH_DEPOT_FRAMES];
	struct wh_event ev = {.has_cpu = true, .has_pid = true};
	struct wh_ktrack t;

	if (!wh_ktrack_read(x->slab, c, obj, which, &t))
		return NULL;
	ev.source = which ? "slub free track" : "slub alloc track";
	ev.what = which ? "free" : "alloc";
	ev.cpu = t.cpu;
	ev.pid = t.pid;
	if (x->tick_ns && t.when >= x->jiffies0) {
		ev.has_time = true;
		ev.time_ns = ticks_to_ns(x, t.when);
	}
	WH_TRY(frames_make(x, a, addrs, track_addrs(x, &t, addrs), &ev.frames, &ev.n_frames));
	return WH_VEC_PUSH(ret, ev);
}

static struct wh_err *record_event(struct wh_lx *x, const struct wh_lx_record *r, const char *what,
				   struct wh_arena *a, wh_event_vec *ret)
{
	struct wh_event ev = {.source = r->source,
			      .what = what,
			      .has_pid = r->has_pid,
			      .pid = r->pid,
			      .has_time = r->has_time,
			      .time_ns = r->time_ns};

	WH_TRY(frames_make(x, a, r->addrs, r->n, &ev.frames, &ev.n_frames));
	return WH_VEC_PUSH(ret, ev);
}

/* The free track lies in the object itself: it is one only while the object is free. */
static struct wh_err *kasan_events(struct wh_lx *x, const struct wh_kcache *c, uint64_t obj,
				   struct wh_arena *a, wh_event_vec *ret)
{
	uint32_t row = wh_buftab_find(x->t->buftab, obj);
	struct wh_lx_record r;

	if (kasan_record(x, c, obj, 0, &r))
		WH_TRY(record_event(x, &r, "alloc", a, ret));
	if (row == WH_ROW_NONE || wh_buftab_state(x->t->buftab, row) != WH_BUF_FREE ||
	    !kasan_record(x, c, obj, 1, &r))
		return NULL;
	return record_event(x, &r, "free", a, ret);
}

struct wh_err *wh_lx_trail(struct wh_target *t, uint64_t addr, struct wh_arena *a,
			   wh_event_vec *ret)
{
	struct wh_lx *x = t->priv;
	const struct wh_lx_slab *s = wh_kslab_find_slab(x->slab, addr);
	uint32_t row = wh_buftab_find(t->buftab, addr);
	const struct wh_kcache *c;
	struct wh_lx_record r;
	uint64_t first;

	if (row != WH_ROW_NONE && other_record(x, row, wh_buftab_addr(t->buftab, row), &r))
		WH_TRY(record_event(x, &r, "alloc", a, ret));
	if (!s || s->cache == WH_LX_NO_CACHE)
		return NULL;
	c = &x->slab->caches.v[s->cache];
	first = wh_kslab_object(x->slab, s, 0);
	if (!c->valid || addr < first)
		return NULL;
	addr = first + (addr - first) / c->size * c->size;
	WH_TRY(track_event(x, c, addr, 0, a, ret));
	WH_TRY(track_event(x, c, addr, 1, a, ret));
	return kasan_events(x, c, addr, a, ret);
}
