/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmalloc areas.  Only areas on the busy lists count: freed ones wait in lazy lists and pools, and their
 * vmap_area objects keep stale members.
 *
 *	before 6.9	vmap_area_list ─► vmap_area.list
 *	since 6.9	vmap_nodes[nr_vmap_nodes].busy.head ─► vmap_area.list
 *
 * An area that holds memory (VM_ALLOC, VM_MAP) is one row at its address, and its frames are named by that
 * address.  vm_struct.addr and vmap_area.va_start are book-keeping and do not hold it (kmemleak counts two
 * references for the same reason).  Stacks, modules and per-CPU chunks are areas as well, but are judged
 * by their own rules.
 */
#include "analyzer/target/linux.h"

#include <string.h>

#include "analyzer/base/limits.h"
#include "analyzer/base/order.h"

enum { VM_IOREMAP = 1, VM_ALLOC = 2, VM_MAP = 4, VM_NO_GUARD = 0x40 }; /* include/linux/vmalloc.h */

struct va_layout {
	struct wh_field va_start, va_end, list, vm;
	struct wh_field addr, size, flags, caller, pages;
};
static const struct wh_want wants[] = {
	WH_WANT(struct va_layout, va_start, "vmap_area", "va_start"),
	WH_WANT(struct va_layout, va_end, "vmap_area", "va_end"),
	WH_WANT(struct va_layout, list, "vmap_area", "list"),
	WH_WANT(struct va_layout, vm, "vmap_area", "vm"),
	WH_WANT(struct va_layout, addr, "vm_struct", "addr"),
	WH_WANT(struct va_layout, size, "vm_struct", "size"),
	WH_WANT(struct va_layout, flags, "vm_struct", "flags"),
	WH_WANT_OPT(struct va_layout, caller, "vm_struct", "caller"),
	WH_WANT_OPT(struct va_layout, pages, "vm_struct", "pages"),
};

struct va_walk {
	struct wh_lx *x;
	struct va_layout l;
};

/* Words of the area's book-keeping that name it without holding it. */
static struct wh_err *mask_names(struct va_walk *w, uint64_t va, uint64_t vm)
{
	struct wh_plan *p = &w->x->t->plan;
	uint64_t word = w->x->abi.word;

	WH_TRY(wh_plan_add_mask(p, va + w->l.va_start.offset, va + w->l.va_start.offset + word));
	WH_TRY(wh_plan_add_mask(p, va + w->l.va_end.offset, va + w->l.va_end.offset + word));
	return vm ? wh_plan_add_mask(p, vm + w->l.addr.offset, vm + w->l.addr.offset + word) : NULL;
}

static struct wh_err *area_read(void *arg, uint64_t node)
{
	struct va_walk *w = arg;
	struct wh_lx *x = w->x;
	uint64_t va = node - w->l.list.offset, addr, size;
	struct wh_lx_vmarea a = {.va = va, .use = WH_LXV_OTHER};

	if (!wh_lx_field(x, va, &w->l.va_start, &a.start) ||
	    !wh_lx_field(x, va, &w->l.va_end, &a.end) || a.end <= a.start ||
	    a.start < x->ks->kernel_min || (a.start & (x->page_bytes - 1)))
		return NULL;
	/* vm shares its word with a number while the area is free; busy areas of vm_map_ram have 0. */
	if (wh_lx_field(x, va, &w->l.vm, &a.vm) && a.vm >= x->ks->kernel_min && !(a.vm & 7) &&
	    wh_lx_field(x, a.vm, &w->l.addr, &addr) && wh_lx_ptr(x, addr) == a.start &&
	    wh_lx_field(x, a.vm, &w->l.size, &size) &&
	    wh_lx_field(x, a.vm, &w->l.flags, &a.flags)) {
		if (!(a.flags & VM_NO_GUARD) && size > x->page_bytes)
			size -= x->page_bytes;
		if (size && size <= a.end - a.start)
			a.end = a.start + size;
		(void)wh_lx_field(x, a.vm, &w->l.caller, &a.caller);
		a.use = a.flags & VM_IOREMAP		? WH_LXV_IO
			: a.flags & (VM_ALLOC | VM_MAP) ? WH_LXV_NODE
							: WH_LXV_OTHER;
	} else {
		a.vm = 0;
	}
	WH_TRY(mask_names(w, va, a.vm));
	return WH_VEC_PUSH(&x->areas, a);
}

/* The array of nodes that share the areas since 6.9. */
static bool vmap_nodes(struct wh_lx *x, uint64_t *ret_nodes, uint64_t *ret_size, uint64_t *ret_n)
{
	uint64_t sym;
	uint32_t n = 1;

	if (!wh_lx_var(x, "vmap_nodes", ret_nodes) || !*ret_nodes ||
	    !wh_types_sizeof(x->names->types, "vmap_node", ret_size))
		return false;
	if (wh_lx_symbol(x, "nr_vmap_nodes", &sym))
		(void)wh_read_u32(x->r, sym, &n);
	*ret_nodes = wh_lx_ptr(x, *ret_nodes);
	*ret_n = n < 4096 ? n : 4096;
	return true;
}

static struct wh_err *nodes_walk(struct va_walk *w)
{
	struct wh_lx *x = w->x;
	uint64_t nodes, off, size, n;

	if (!vmap_nodes(x, &nodes, &size, &n) || !wh_lx_offset(x, "vmap_node", "busy.head", &off))
		return NULL;
	for (uint64_t i = 0; i < n; i++)
		WH_TRY(wh_lx_list(x, nodes + i * size + off, "vmap-area-list", area_read, w));
	return NULL;
}

static int area_cmp(const void *pa, const void *pb)
{
	const struct wh_lx_vmarea *a = pa, *b = pb;

	return a->start < b->start ? -1 : a->start > b->start;
}

/* Areas with a purpose of their own; tasks have marked their stacks' callers meanwhile. */
static void area_use(struct wh_lx *x, struct wh_lx_vmarea *a)
{
	struct wh_sym sym;
	uint64_t off;

	/* arm64 registers the pieces of the kernel image as areas. */
	if (a->start < x->ks->image_end && a->end > x->ks->image_start)
		a->use = WH_LXV_OTHER;
	for (size_t i = 0; i < x->names->n_modules; i++)
		for (uint32_t k = 0; k < x->names->modules[i].n_ranges; k++) {
			uint64_t at = x->names->modules[i].ranges[k].start;

			if (x->names->modules[i].ranges[k].size && at >= a->start && at < a->end)
				a->use = WH_LXV_MODULE;
		}
	for (size_t i = 0; i < x->chunks.n; i++)
		for (size_t c = 0; c < x->cpus.n; c++) {
			uint64_t at = x->chunks.v[i].base + (x->cpus.v[c].base - x->pcpu_base);

			if (at >= a->start && at < a->end)
				a->use = WH_LXV_PERCPU;
		}
	/* Chunks that could not be decoded: their memory holds. */
	if (a->use == WH_LXV_NODE && a->caller &&
	    wh_symtab_find_addr(x->names->syms, a->caller, &sym, &off) &&
	    !strcmp(sym.name, "pcpu_get_vm_areas"))
		a->use = WH_LXV_PERCPU;
}

struct dead_walk {
	struct va_walk *w;
	struct wh_map *busy; /* vmap_area -> 1 */
};

/*
 * Areas that are free or wait to be: their ends name the neighbours, and what was their vm_struct is a
 * number or stale.
 */
static struct wh_err *mask_dead(void *arg, uint64_t node)
{
	struct dead_walk *d = arg;
	uint64_t va = node - d->w->l.list.offset, vm = va + d->w->l.vm.offset, v;

	if (wh_map_find(d->busy, va, &v))
		return NULL;
	WH_TRY(mask_names(d->w, va, 0));
	return wh_plan_add_mask(&d->w->x->t->plan, vm, vm + d->w->x->abi.word);
}

/* Since 6.9: lazily freed areas, and pools of them by size. */
static struct wh_err *dead_in_node(struct dead_walk *d, uint64_t node)
{
	struct wh_lx *x = d->w->x;
	uint64_t off, size;
	struct wh_member pool;
	struct wh_type t;

	if (wh_lx_offset(x, "vmap_node", "lazy.head", &off))
		WH_TRY(wh_lx_list(x, node + off, "vmap-lazy-list", mask_dead, d));
	if (wh_lx_offset(x, "vmap_node", "purge_list", &off))
		WH_TRY(wh_lx_list(x, node + off, "vmap-purge-list", mask_dead, d));
	if (!wh_types_find(x->names->types, "vmap_node", "pool", &t) ||
	    !wh_type_find_member(t, "pool", &pool) ||
	    !wh_types_sizeof(x->names->types, "vmap_pool", &size) || !size ||
	    !wh_lx_offset(x, "vmap_pool", "head", &off))
		return NULL;
	for (uint64_t i = 0; i + size <= pool.size && i < (64u << 10); i += size)
		WH_TRY(wh_lx_list(x, node + pool.offset + i + off, "vmap-pool-list", mask_dead, d));
	return NULL;
}

static const char *const dead_lists[] = {"free_vmap_area_list", "purge_vmap_area_list"};

static struct wh_err *dead_walk_all(struct dead_walk *d)
{
	struct wh_lx *x = d->w->x;
	uint64_t head, nodes, size, n;

	for (size_t i = 0; i < sizeof(dead_lists) / sizeof(dead_lists[0]); i++)
		if (wh_lx_symbol(x, dead_lists[i], &head))
			WH_TRY(wh_lx_list(x, head, "free-vmap-area-list", mask_dead, d));
	if (!vmap_nodes(x, &nodes, &size, &n))
		return NULL;
	for (uint64_t i = 0; i < n; i++)
		WH_TRY(dead_in_node(d, nodes + i * size));
	return NULL;
}

static struct wh_err *dead_areas(struct va_walk *w)
{
	struct wh_lx *x = w->x;
	struct wh_map busy = WH_MAP_INIT;
	struct dead_walk d = {w, &busy};
	struct wh_err *e = NULL;

	for (size_t i = 0; i < x->areas.n && !e; i++)
		e = wh_map_set(&busy, x->areas.v[i].va, 1, NULL);
	if (!e)
		e = dead_walk_all(&d);
	wh_map_fini(&busy);
	return e;
}

struct wh_err *wh_lx_vmalloc_build(struct wh_lx *x)
{
	struct va_walk w = {.x = x};
	uint64_t head;
	struct wh_err *e =
		wh_layout_resolve(x->names->types, wants, sizeof(wants) / sizeof(wants[0]), &w.l);

	if (e) {
		wh_diag_add_err(x->t->ctx->diags, WH_DIAG_WARN, "vmalloc-layout", e);
		return NULL;
	}
	if (wh_lx_symbol(x, "vmap_area_list", &head) ||
	    (x->ks->vmcoreinfo && wh_vmcoreinfo_symbol(x->ks->vmcoreinfo, "vmap_area_list", &head)))
		WH_TRY(wh_lx_list(x, head, "vmap-area-list", area_read, &w));
	WH_TRY(nodes_walk(&w));
	WH_TRY(dead_areas(&w));
	if (x->areas.n)
		qsort(x->areas.v, x->areas.n, sizeof(*x->areas.v), area_cmp);
	for (size_t i = 0; i < x->areas.n; i++)
		area_use(x, &x->areas.v[i]);
	return NULL;
}

const struct wh_lx_vmarea *wh_lx_vmalloc_find(const struct wh_lx *x, uint64_t va)
{
	size_t lo = WH_BOUND(i, x->areas.n, x->areas.v[i].start <= va);

	return lo && va < x->areas.v[lo - 1].end ? &x->areas.v[lo - 1] : NULL;
}

/* ---- labels ---- */

struct label_arg {
	struct wh_lx *x;
	uint8_t cls;
	bool node;
	int root; /* kind, -1 none */
};

static struct wh_err *label_piece(void *arg, uint64_t va, uint64_t pa, uint64_t len)
{
	struct label_arg *a = arg;
	struct wh_lx *x = a->x;

	for (uint64_t off = 0; off < len; off += x->page_bytes) {
		uint64_t pfn = (pa + off) >> x->ks->page_shift;
		uint8_t c = wh_lx_page_get(x, pfn) & WH_LXP_MASK;

		/* A page is named once: what another view owns (per-CPU, image, slab) stays. */
		if (c != WH_LXP_KERNEL && c != WH_LXP_RESERVED && c != WH_LXP_LARGE)
			continue;
		wh_lx_page_set(x, pfn, a->cls);
		if (a->node)
			WH_TRY(wh_plan_add_node(&x->t->plan, WH_PHYS, pa + off, va + off,
						x->page_bytes));
		if (a->root >= 0)
			WH_TRY(wh_plan_add_root(&x->t->plan, (uint16_t)a->root, WH_PHYS, pa + off,
						va + off, x->page_bytes));
	}
	return NULL;
}

struct wh_err *wh_lx_vmalloc_label(struct wh_lx *x)
{
	for (size_t i = 0; i < x->areas.n; i++) {
		const struct wh_lx_vmarea *v = &x->areas.v[i];
		struct label_arg a = {.x = x, .cls = WH_LXP_VMALLOC, .root = -1};

		if (v->use == WH_LXV_IO || v->use == WH_LXV_OTHER)
			continue;
		if (v->use == WH_LXV_STACK || v->use == WH_LXV_DEAD_STACK ||
		    v->use == WH_LXV_IRQ_STACK)
			a.cls = WH_LXP_STACK;
		a.node = v->use == WH_LXV_NODE;
		if (v->use == WH_LXV_PERCPU && !x->chunks.n)
			a.root = x->kind_percpu;
		WH_TRY(wh_kspace_each_mapping(x->ks, x->r, v->start, v->end, label_piece, &a));
		if (a.node)
			WH_TRY(wh_buftab_add(x->t->buftab, x->cls_vmalloc, v->start,
					     v->end - v->start, WH_BUF_ALLOCATED));
	}
	return NULL;
}
