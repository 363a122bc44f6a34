/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dead holders: memory that is in use, but whose words are no references.  Each was seen to hide leaks.
 *
 *	kfree_rcu	per-CPU arrays of objects to be freed: what is in them is pending; what lies behind
 *			nr_records, and in spare pages, is left from earlier rounds
 *	napi		per-CPU cache of freed sk_buffs that SLUB counts as used; stale above skb_count
 *	struct net	freed (passive == 0) but kept for RCU, full of pointers into the dead namespace
 *	stacks		of tasks that ended; only the link of the RCU chain through them is real
 *	kmemleak	objects that refer to every allocation; again all but the RCU chain
 *	ftrace		ring-buffer pages: events carry raw pointers
 *
 * Layouts by member name: kernel/rcu/tree.c and mm/slab_common.c (kfree_rcu_cpu), net/core/skbuff.c
 * (napi_alloc_cache), kernel/rcu/rcu_segcblist.h, kernel/trace/ring_buffer.c.
 */
#include "analyzer/target/linux.h"

#include <string.h>

#include "analyzer/alloc/kslab.h"
#include "analyzer/base/limits.h"

#define CHAIN_MAX (1u << 22) /* callbacks of one CPU believed */

static uint64_t percpu(const struct wh_lx_cpu *c, uint64_t sym)
{
	return sym + c->offset;
}

static struct wh_err *pending_add(struct wh_lx *x, uint64_t addr)
{
	addr = wh_lx_ptr(x, addr);
	return addr >= x->ks->kernel_min ? WH_VEC_PUSH(&x->pending, addr) : NULL;
}

/* ---- kfree_rcu ---- */

struct krc_layout {
	struct wh_field head, bulk_head, krw, bkvcache;
	struct wh_field w_head, w_bulk;
	struct wh_field nr_records, next, records;
	uint64_t work_size;
	bool lists; /* bulk pages hang on list_heads (6.4), not on next pointers */
};
static const struct wh_want krc_wants[] = {
	WH_WANT_OPT(struct krc_layout, head, "kfree_rcu_cpu", "head"),
	WH_WANT(struct krc_layout, bulk_head, "kfree_rcu_cpu", "bulk_head|bkvhead|bhead"),
	WH_WANT(struct krc_layout, krw, "kfree_rcu_cpu", "krw_arr"),
	WH_WANT_OPT(struct krc_layout, bkvcache, "kfree_rcu_cpu", "bkvcache|bcached"),
	WH_WANT_OPT(struct krc_layout, w_head, "kfree_rcu_cpu_work", "head_free"),
	WH_WANT(struct krc_layout, w_bulk, "kfree_rcu_cpu_work",
		"bulk_head_free|bkvhead_free|bhead_free"),
	WH_WANT(struct krc_layout, nr_records, "kvfree_rcu_bulk_data|kfree_rcu_bulk_data",
		"nr_records"),
	WH_WANT(struct krc_layout, next, "kvfree_rcu_bulk_data|kfree_rcu_bulk_data", "list|next"),
	WH_WANT(struct krc_layout, records, "kvfree_rcu_bulk_data|kfree_rcu_bulk_data", "records"),
};

struct krc {
	struct wh_lx *x;
	struct krc_layout l;
};

/* One page of records: the first nr_records are to be freed, the rest is old. */
static struct wh_err *bulk_page(void *arg, uint64_t node)
{
	struct krc *k = arg;
	struct wh_lx *x = k->x;
	uint64_t p = node - (k->l.lists ? k->l.next.offset : 0), n, obj;
	uint64_t page = p & ~(x->page_bytes - 1), rec = p + k->l.records.offset;

	if (!wh_lx_field(x, p, &k->l.nr_records, &n))
		return NULL;
	if (n > (page + x->page_bytes - rec) / x->abi.word)
		n = 0;
	for (uint64_t i = 0; i < n; i++)
		if (wh_read_word(x->r, rec + i * x->abi.word, &obj))
			WH_TRY(pending_add(x, obj));
	return wh_plan_add_mask(&x->t->plan, rec, page + x->page_bytes);
}

/* A chain of bulk pages before 6.4. */
static struct wh_err *bulk_chain(struct krc *k, uint64_t p)
{
	for (uint32_t n = 0; p && n < CHAIN_MAX; n++) {
		WH_TRY(bulk_page(k, p));
		if (!wh_read_word(k->x->r, p + k->l.next.offset, &p))
			break;
		p = wh_lx_ptr(k->x, p);
	}
	return NULL;
}

static struct wh_err *bulk_heads(struct krc *k, uint64_t at, uint64_t size)
{
	uint64_t step = (k->l.lists ? 2u : 1u) * k->x->abi.word, p;

	for (uint64_t i = 0; i + step <= size && i < 64; i += step) {
		if (k->l.lists)
			WH_TRY(wh_lx_list(k->x, at + i, "kfree-rcu-list", bulk_page, k));
		else if (wh_read_word(k->x->r, at + i, &p))
			WH_TRY(bulk_chain(k, wh_lx_ptr(k->x, p)));
	}
	return NULL;
}

/* The channel without pages: rcu_heads inside the objects. */
static struct wh_err *head_chain(struct wh_lx *x, uint64_t at)
{
	struct wh_map seen = WH_MAP_INIT;
	struct wh_err *e = NULL;
	uint64_t p;
	bool fresh = true;

	if (!wh_read_word(x->r, at, &p))
		return NULL;
	for (uint32_t n = 0; p && n < CHAIN_MAX && !e; n++) {
		p = wh_lx_ptr(x, p);
		e = wh_map_set(&seen, p, 1, &fresh);
		if (!e && fresh)
			e = pending_add(x, p);
		if (!fresh || !wh_read_word(x->r, p, &p))
			break;
	}
	wh_map_fini(&seen);
	return e;
}

/* Spare pages: a chain through their first word; everything behind it is stale. */
static struct wh_err *bulk_cache(struct krc *k, uint64_t at)
{
	struct wh_lx *x = k->x;
	uint64_t p;

	if (!wh_read_word(x->r, at, &p))
		return NULL;
	for (uint32_t n = 0; p >= x->ks->kernel_min && n < 4096; n++) {
		uint64_t page = wh_lx_ptr(x, p) & ~(x->page_bytes - 1);

		WH_TRY(wh_plan_add_mask(&x->t->plan, page + x->abi.word, page + x->page_bytes));
		if (!wh_read_word(x->r, page, &p))
			break;
	}
	return NULL;
}

static struct wh_err *krc_cpu(struct krc *k, uint64_t at)
{
	const struct krc_layout *l = &k->l;

	WH_TRY(bulk_heads(k, at + l->bulk_head.offset, l->bulk_head.size));
	if (l->head.found)
		WH_TRY(head_chain(k->x, at + l->head.offset));
	for (uint64_t w = 0; w + l->work_size <= l->krw.size; w += l->work_size) {
		uint64_t work = at + l->krw.offset + w;

		WH_TRY(bulk_heads(k, work + l->w_bulk.offset, l->w_bulk.size));
		if (l->w_head.found)
			WH_TRY(head_chain(k->x, work + l->w_head.offset));
	}
	return l->bkvcache.found ? bulk_cache(k, at + l->bkvcache.offset) : NULL;
}

static struct wh_err *krc_build(struct wh_lx *x)
{
	struct krc k = {.x = x};
	uint64_t sym, off;
	struct wh_err *e;

	if (!wh_lx_symbol(x, "krc", &sym))
		return NULL;
	e = wh_layout_resolve(x->names->types, krc_wants, sizeof(krc_wants) / sizeof(krc_wants[0]),
			      &k.l);
	if (e || !wh_types_sizeof(x->names->types, "kfree_rcu_cpu_work", &k.l.work_size) ||
	    !k.l.work_size) {
		wh_err_destroy(e);
		return NULL; /* before 5.9 kfree_rcu had no pages */
	}
	k.l.lists = wh_lx_offset(x, "kvfree_rcu_bulk_data", "list", &off);
	for (size_t i = 0; i < x->cpus.n; i++)
		WH_TRY(krc_cpu(&k, percpu(&x->cpus.v[i], sym)));
	return NULL;
}

/* ---- napi ---- */

static struct wh_err *napi_build(struct wh_lx *x)
{
	struct wh_member cache;
	struct wh_type t;
	uint64_t sym, count_off, obj;
	uint32_t count;

	if (!wh_lx_symbol(x, "napi_alloc_cache", &sym) ||
	    !wh_types_find(x->names->types, "napi_alloc_cache", "skb_cache", &t) ||
	    !wh_type_find_member(t, "skb_cache", &cache) ||
	    !wh_lx_offset(x, "napi_alloc_cache", "skb_count", &count_off))
		return NULL;
	for (size_t i = 0; i < x->cpus.n; i++) {
		uint64_t at = percpu(&x->cpus.v[i], sym);

		if (!wh_read_u32(x->r, at + count_off, &count))
			continue;
		at += cache.offset;
		for (uint32_t k = 0; k < count && k < cache.size / x->abi.word; k++)
			if (wh_read_word(x->r, at + (uint64_t)k * x->abi.word, &obj))
				WH_TRY(pending_add(x, obj));
		WH_TRY(wh_plan_add_mask(&x->t->plan, at, at + cache.size));
	}
	return NULL;
}

/* ---- dead namespaces ---- */

struct net_arg {
	struct wh_lx *x;
	struct wh_field passive;
	uint64_t ops_off, ops; /* net.ns.ops, netns_operations; 0 unknown */
};

static struct wh_err *net_object(void *arg, uint64_t addr)
{
	struct net_arg *a = arg;
	uint64_t passive;

	uint64_t ops;

	if (!wh_lx_field(a->x, addr, &a->passive, &passive) || (uint32_t)passive)
		return NULL;
	/* The cache may be shared with other structs of that size. */
	if (a->ops_off && (!wh_read_word(a->x->r, addr + a->ops_off, &ops) || ops != a->ops))
		return NULL;
	return pending_add(a->x, addr);
}

static struct wh_err *nets_build(struct wh_lx *x)
{
	struct net_arg a = {.x = x};
	const struct wh_kcache *c;

	if (!wh_lx_offset(x, "net", "passive", &a.passive.offset))
		return NULL;
	if (!wh_lx_symbol(x, "netns_operations", &a.ops) ||
	    !wh_lx_offset(x, "net", "ns.ops", &a.ops_off))
		a.ops_off = 0;
	a.passive.size = 4;
	a.passive.found = true;
	for (size_t i = 0; (c = wh_kslab_find_cache(x->slab, "net_namespace", i)); i++)
		WH_TRY(wh_kslab_each_object(x->slab, c, net_object, &a));
	return NULL;
}

/*
 * ---- RCU ----
 * The chains of callbacks run through memory that is not scanned otherwise: kmemleak's objects, struct
 * pages, stacks that wait to be freed.
 */

static struct wh_err *rcu_chain(struct wh_lx *x, uint64_t at)
{
	uint64_t p;

	if (!wh_read_word(x->r, at, &p))
		return NULL;
	for (uint32_t n = 0; p >= x->ks->kernel_min && n < CHAIN_MAX; n++) {
		WH_TRY(wh_plan_add_word(&x->t->plan, x->kind_rcu, p, at, 0));
		at = wh_lx_ptr(x, p);
		if (!wh_read_word(x->r, at, &p))
			break;
	}
	return NULL;
}

static struct wh_err *rcu_build(struct wh_lx *x)
{
	uint64_t sym, off;

	if (!wh_lx_symbol(x, "rcu_data", &sym) || !wh_lx_offset(x, "rcu_data", "cblist.head", &off))
		return NULL;
	for (size_t i = 0; i < x->cpus.n; i++)
		WH_TRY(rcu_chain(x, percpu(&x->cpus.v[i], sym) + off));
	return NULL;
}

/*
 * A stack that is to be freed after a grace period begins with its rcu_head (kernel/fork.c, vm_stack);
 * in those that wait for the next task that word is old.
 */
static struct wh_err *dead_stacks(struct wh_lx *x)
{
	struct wh_map cached = WH_MAP_INIT;
	struct wh_err *e = NULL;
	uint64_t sym, vm;

	for (size_t c = 0; c < x->cpus.n && wh_lx_symbol(x, "cached_stacks", &sym); c++)
		for (uint64_t i = 0; i < 2 && !e; i++) /* NR_CACHED_STACKS */
			if (wh_read_word(x->r, percpu(&x->cpus.v[c], sym) + i * x->abi.word, &vm) &&
			    vm)
				e = wh_map_set(&cached, wh_lx_ptr(x, vm), 1, NULL);
	for (size_t i = 0; i < x->areas.n && !e; i++) {
		const struct wh_lx_vmarea *a = &x->areas.v[i];

		if (a->use == WH_LXV_DEAD_STACK && !wh_map_find(&cached, a->vm, &vm))
			e = wh_lx_root(x, x->kind_rcu, a->start, a->start + x->abi.word);
	}
	wh_map_fini(&cached);
	return e;
}

/* ---- ftrace ---- */

struct ring {
	struct wh_lx *x;
	uint64_t list, buffer[2], n_buffers, bufs, pages, reader, page;
	uint64_t frames; /* of one sub-buffer */
};

static void ring_page(struct ring *g, uint64_t bpage)
{
	uint64_t va, pfn, commit;

	if (!wh_read_word(g->x->r, bpage + g->page, &va) ||
	    !wh_kspace_virt_to_pfn(g->x->ks, wh_lx_ptr(g->x, va), &pfn))
		return;
	/* a page begins with its time stamp and how many bytes of events it has */
	if (wh_read_word(g->x->r, wh_lx_ptr(g->x, va) + 8, &commit) && (commit & 0xfffff))
		g->x->ring_used++;
	for (uint64_t i = 0; i < g->frames; i++)
		if ((wh_lx_page_get(g->x, pfn + i) & WH_LXP_MASK) == WH_LXP_KERNEL)
			wh_lx_page_set(g->x, pfn + i, WH_LXP_RECORDER);
}

/* The pages of one CPU form a ring; low bits of its pointers are flags. */
static struct wh_err *ring_cpu(struct ring *g, uint64_t cpu_buffer)
{
	struct wh_map seen = WH_MAP_INIT;
	struct wh_err *e = NULL;
	uint64_t p;
	bool fresh = true;

	if (wh_read_word(g->x->r, cpu_buffer + g->reader, &p) && p)
		ring_page(g, wh_lx_ptr(g->x, p));
	if (!wh_read_word(g->x->r, cpu_buffer + g->pages, &p))
		return NULL;
	for (uint32_t n = 0; p && n < CHAIN_MAX && !e; n++) {
		p = wh_lx_ptr(g->x, p & ~3ull);
		e = wh_map_set(&seen, p, 1, &fresh);
		if (e || !fresh)
			break;
		ring_page(g, p); /* list is the first member of buffer_page */
		if (!wh_read_word(g->x->r, p, &p))
			break;
	}
	wh_map_fini(&seen);
	return e;
}

static struct wh_err *ring_array(void *arg, uint64_t node)
{
	struct ring *g = arg;
	struct wh_lx *x = g->x;
	uint64_t tr = node - g->list, buf, bufs, p;

	for (uint64_t b = 0; b < g->n_buffers; b++) {
		if (!wh_read_word(x->r, tr + g->buffer[b], &buf) || !buf ||
		    !wh_read_word(x->r, wh_lx_ptr(x, buf) + g->bufs, &bufs))
			continue;
		for (size_t c = 0; c < x->cpus.n; c++)
			if (wh_read_word(x->r, wh_lx_ptr(x, bufs) + c * x->abi.word, &p) && p)
				WH_TRY(ring_cpu(g, wh_lx_ptr(x, p)));
	}
	return NULL;
}

static struct wh_err *ring_build(struct wh_lx *x)
{
	struct ring g = {.x = x, .frames = 1};
	uint64_t head;

	if (!wh_lx_symbol(x, "ftrace_trace_arrays", &head) ||
	    !wh_lx_offset(x, "trace_array", "list", &g.list) ||
	    !wh_lx_offset(x, "trace_buffer", "buffers", &g.bufs) ||
	    !wh_lx_offset(x, "ring_buffer_per_cpu", "pages", &g.pages) ||
	    !wh_lx_offset(x, "ring_buffer_per_cpu", "reader_page", &g.reader) ||
	    !wh_lx_offset(x, "buffer_page", "page", &g.page))
		return NULL;
	if (wh_lx_offset(x, "trace_array", "array_buffer.buffer", &g.buffer[g.n_buffers]))
		g.n_buffers++;
	if (wh_lx_offset(x, "trace_array", "max_buffer.buffer", &g.buffer[g.n_buffers]))
		g.n_buffers++;
	return wh_lx_list(x, head, "trace-array-list", ring_array, &g);
}

struct wh_err *wh_lx_dead_build(struct wh_lx *x)
{
	WH_TRY(krc_build(x));
	WH_TRY(napi_build(x));
	WH_TRY(nets_build(x));
	WH_TRY(rcu_build(x));
	WH_TRY(dead_stacks(x));
	return ring_build(x);
}

struct wh_err *wh_lx_dead_correct(struct wh_lx *x)
{
	struct wh_buftab *t = x->t->buftab;

	for (size_t i = 0; i < x->pending.n; i++) {
		uint32_t row = wh_buftab_find(t, x->pending.v[i]);
		struct wh_kcache *c;

		if (row == WH_ROW_NONE || wh_buftab_state(t, row) != WH_BUF_ALLOCATED ||
		    wh_buftab_class(t, wh_buftab_class_of(t, row))->flags & WH_CLASS_NOREPORT)
			continue;
		wh_buftab_set_row_state(t, row, WH_BUF_PENDING);
		c = wh_lx_row_cache(x, row);
		if (c)
			c->pending++;
	}
	return NULL;
}
