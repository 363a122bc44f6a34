/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sheaves (Linux 6.18 and later, mm/slub.c): arrays of free objects that a CPU or a node keeps at hand.  The slab
 * counts them as in use, and no freelist runs through them, so they have to be taken from the sheaves.  Those in
 * rcu_free wait for a grace period.  The array of a sheaf holds nothing: behind `size` it is old.
 *
 *	kmem_cache.cpu_sheaves (per-CPU) ─► main, spare, rcu_free ─► slab_sheaf { size, objects[size] }
 *	kmem_cache_node.barn ─► sheaves_full, sheaves_empty ─► slab_sheaf ─► slab_sheaf …
 *
 * By 7.3 the barns have moved out of kmem_cache_node: kmem_cache.per_node[] has a { barn, node } each (struct
 * kmem_cache_per_node_ptrs), and kmem_cache.node and cpu_slab are gone.
 */
#include "analyzer/alloc/kslab.h"

/* A sheaf has a few dozen objects (kmem_cache.sheaf_capacity); more than this is garbage. */
#define SHEAF_MAX 4096

struct sheaf_layout {
	struct wh_field cpu_sheaves, node, main, spare, rcu_free, barn, full, empty, list, size,
		objects, capacity;
	uint64_t
		pair; /* [bytes] of one per_node[]; 0: node[] of pointers to nodes that have a barn */
};
#define L struct sheaf_layout
static const struct wh_want want[] = {
	WH_WANT(L, cpu_sheaves, "kmem_cache", "cpu_sheaves"),
	WH_WANT_OPT(L, node, "kmem_cache", "per_node|node"),
	WH_WANT(L, main, "slub_percpu_sheaves", "main"),
	WH_WANT_OPT(L, spare, "slub_percpu_sheaves", "spare"),
	WH_WANT_OPT(L, rcu_free, "slub_percpu_sheaves", "rcu_free"),
	WH_WANT_OPT(L, barn, "kmem_cache_per_node_ptrs|kmem_cache_node", "barn"),
	WH_WANT_OPT(L, full, "node_barn", "sheaves_full"),
	WH_WANT_OPT(L, empty, "node_barn", "sheaves_empty"),
	WH_WANT_OPT(L, capacity, "kmem_cache", "sheaf_capacity"),
	WH_WANT_OPT(L, list, "slab_sheaf", "barn_list"),
	WH_WANT(L, size, "slab_sheaf", "size"),
	WH_WANT(L, objects, "slab_sheaf", "objects"),
};
#undef L

/* The cache at hand. */
struct take {
	struct wh_kslab *k;
	const struct sheaf_layout *l;
	uint64_t capacity; /* objects of one of its sheaves, 0 unknown */
};

static struct wh_err *sheaf_take(const struct take *t, uint64_t sheaf, bool pending)
{
	struct wh_lx *x = t->k->x;
	uint64_t obj, at = sheaf + t->l->objects.offset, n_mask;
	uint32_t n;

	if (!sheaf || !wh_read_u32(x->r, sheaf + t->l->size.offset, &n))
		return NULL;
	if (n > SHEAF_MAX) {
		wh_diag_add(x->t->ctx->diags, WH_DIAG_WARN, "sheaf-damaged", sheaf,
			    "sheaf at 0x%llx says that it holds %u objects",
			    (unsigned long long)sheaf, n);
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (!wh_read_word(x->r, at + 8ull * i, &obj) || !obj)
			continue;
		if (pending)
			WH_TRY(WH_VEC_PUSH(&x->pending, wh_lx_ptr(x, obj)));
		else
			WH_TRY(WH_VEC_PUSH(&t->k->held, wh_lx_ptr(x, obj)));
	}
	n_mask = n > t->capacity ? n : t->capacity;
	return wh_plan_add_mask(&x->t->plan, at, at + 8 * n_mask);
}

static struct wh_err *cpu_take(const struct take *t, uint64_t percpu)
{
	const struct wh_field *which[] = {&t->l->main, &t->l->spare, &t->l->rcu_free};
	struct wh_lx *x = t->k->x;
	uint64_t sheaf;

	for (size_t c = 0; c < x->cpus.n; c++)
		for (size_t i = 0; i < sizeof(which) / sizeof(which[0]); i++)
			if (which[i]->found &&
			    wh_read_word(x->r, percpu + x->cpus.v[c].offset + which[i]->offset,
					 &sheaf))
				WH_TRY(sheaf_take(t, wh_lx_ptr(x, sheaf),
						  which[i] == &t->l->rcu_free));
	return NULL;
}

static struct wh_err *listed_sheaf(void *arg, uint64_t node)
{
	const struct take *t = arg;

	return sheaf_take(t, node - t->l->list.offset, /* pending= */ false);
}

static struct wh_err *barn_take(struct take *t, uint64_t node)
{
	struct wh_lx *x = t->k->x;
	uint64_t barn;

	if (!wh_read_word(x->r, node + t->l->barn.offset, &barn) || !barn)
		return NULL;
	barn = wh_lx_ptr(x, barn);
	WH_TRY(wh_lx_list(x, barn + t->l->full.offset, "sheaf-damaged", listed_sheaf, t));
	return t->l->empty.found
		       ? wh_lx_list(x, barn + t->l->empty.offset, "sheaf-damaged", listed_sheaf, t)
		       : NULL;
}

/* What has the member `barn` of node @i of a cache: the cache's pair for it, or its kmem_cache_node. */
static bool node_find(struct wh_lx *x, const struct sheaf_layout *l, uint64_t cache, uint64_t i,
		      uint64_t *ret)
{
	uint64_t at = cache + l->node.offset + i * (l->pair ? l->pair : x->abi.word);

	if (!l->pair)
		return wh_read_word(x->r, at, ret) && *ret && (*ret = wh_lx_ptr(x, *ret));
	*ret = at;
	return true;
}

static struct wh_err *cache_take(struct wh_kslab *k, const struct sheaf_layout *l, uint64_t cache,
				 uint64_t nodes)
{
	struct wh_lx *x = k->x;
	struct take t = {.k = k, .l = l};
	uint64_t p, node;

	if (!wh_lx_field(x, cache, &l->capacity, &t.capacity) || t.capacity > SHEAF_MAX)
		t.capacity = 0;
	if (wh_read_word(x->r, cache + l->cpu_sheaves.offset, &p) && p)
		WH_TRY(cpu_take(&t, p));
	if (!l->node.found || !l->barn.found || !l->full.found || !l->list.found)
		return NULL;
	for (uint64_t i = 0; i < nodes; i++)
		if (node_find(x, l, cache, i, &node))
			WH_TRY(barn_take(&t, node));
	return NULL;
}

struct wh_err *wh_slub_sheaves_take(struct wh_kslab *k)
{
	struct wh_lx *x = k->x;
	struct sheaf_layout l;
	struct wh_err *e =
		wh_layout_resolve(x->names->types, want, sizeof(want) / sizeof(want[0]), &l);
	uint64_t nodes = 1, sym;
	uint32_t n;

	if (e) { /* a kernel without sheaves */
		wh_err_destroy(e);
		return NULL;
	}
	if (!wh_types_sizeof(x->names->types, "kmem_cache_per_node_ptrs", &l.pair))
		l.pair = 0;
	if (wh_lx_symbol(x, "nr_node_ids", &sym) && wh_read_u32(x->r, sym, &n) && n && n <= 1024)
		nodes = n;
	for (size_t i = 0; i < k->caches.n; i++)
		if (k->caches.v[i].valid)
			WH_TRY(cache_take(k, &l, k->caches.v[i].addr, nodes));
	return NULL;
}
