/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every page frame is, from its struct page, in one parallel pass over the memmap.
 *
 *	unit of 32768 frames ─► 512 pages of memmap ─► for each struct page: class, slab record, words
 *
 * Units do not depend on each other (buddy and slab blocks are naturally aligned and smaller than a
 * unit); what they find is joined in unit order, so that any number of threads gives the same result.
 *
 * A page is free only if the buddy allocator or a CPU's list says so: the reference count of a tail of a
 * high-order block that is not compound is 0 as well (blk-mq request pages).
 *
 * Words of struct pages that are references (page->private, memcg_data, lru, rcu_head) are collected
 * here, so that the memmap is decoded once and its stale words never count.
 */
#include "analyzer/target/linux.h"

#include <string.h>

#include "analyzer/base/limits.h"
#include "formats/scratch.h"

#define RECENT 256 /* words of the last struct pages, to drop repetitions (mapping, memcg) */

struct unit_out {
	uint8_t *cls; /* NULL when the unit is all holes */
	wh_lx_slabs slabs;
	WH_VEC(struct wh_plan_word) words;
	uint64_t missing; /* [bytes] of memmap */
	uint64_t lost; /* frames whose struct page is cut off or damaged, not left out on purpose */
};

struct scan {
	struct wh_lx *x;
	struct unit_out *out;
	struct wh_scratch **scratch; /* one a worker */
	uint64_t word_off[8];	     /* members of struct page that refer, all pages */
	size_t n_words;
	uint64_t table_off; /* one more for page tables: their lock */
};

/* What a unit's loop knows of the frames before the current one. */
struct walk {
	struct scan *s;
	struct unit_out *o;
	uint64_t first, pfn;
	uint64_t memory_until; /* no hole of the dump before that frame */
	uint64_t free_until;   /* buddy or pcp block */
	uint8_t free_cls;
	uint64_t foreign_head; /* head before this unit, UINT64_MAX none */
	uint8_t foreign_cls;
	uint8_t last;	/* class of the block that the frame before belongs to */
	uint64_t block; /* its head */
	uint64_t recent[RECENT];
};

static const char *const page_names[WH_LXP_COUNT] = {
	[WH_LXP_HOLE] = "hole",		  [WH_LXP_UNKNOWN] = "unknown",
	[WH_LXP_BUDDY] = "free",	  [WH_LXP_PCP] = "free on a CPU list",
	[WH_LXP_SLAB] = "slab",		  [WH_LXP_TABLE] = "page table",
	[WH_LXP_RESERVED] = "reserved",	  [WH_LXP_ANON] = "anonymous",
	[WH_LXP_FILE] = "page cache",	  [WH_LXP_HUGETLB] = "hugetlb",
	[WH_LXP_MOVABLE] = "movable",	  [WH_LXP_OFFLINE] = "offline",
	[WH_LXP_LARGE] = "large kmalloc", [WH_LXP_KERNEL] = "kernel",
	[WH_LXP_VMALLOC] = "vmalloc",	  [WH_LXP_STACK] = "kernel stack",
	[WH_LXP_PERCPU] = "per-CPU",	  [WH_LXP_MEMMAP] = "memmap",
	[WH_LXP_IMAGE] = "kernel image",  [WH_LXP_RECORDER] = "recorder",
};

const char *wh_lx_page_name(enum wh_lx_page c)
{
	return c < WH_LXP_COUNT ? page_names[c] : "?";
}

static uint64_t get(const struct wh_lx *x, const uint8_t *p, const struct wh_field *f)
{
	/* Fields were checked against the size of struct page when the pass was set up. */
	return f->found ? wh_get_uint(x->abi, p + f->offset, f->size > 8 ? 8 : (size_t)f->size) : 0;
}

static bool type_is(const struct wh_lx *x, uint32_t type, enum wh_lx_type t)
{
	const struct wh_lx_type_test *w = &x->lay.type[t];

	return w->mask && (type & w->mask) == w->value;
}

static uint8_t classify_mapping(const struct wh_lx *x, uint64_t flags, uint64_t mapping)
{
	uint64_t at = wh_lx_ptr(x, mapping & ~3ull);

	if ((mapping & 3) == 2)
		return WH_LXP_MOVABLE;
	if (mapping & 1)
		return WH_LXP_ANON;
	/* Poison and tail marks are not kernel addresses of memory. */
	if (mapping &&
	    (wh_lx_is_direct(x, at) || (at >= x->ks->image_start && at < x->ks->image_end)))
		return WH_LXP_FILE;
	return flags & x->lay.lru_bit ? WH_LXP_FILE : WH_LXP_KERNEL;
}

/* Class of a head or single page by its own struct page. */
static uint8_t classify(const struct wh_lx *x, const uint8_t *p)
{
	const struct wh_lx_layout *l = &x->lay;
	uint64_t flags = get(x, p, &l->flags);
	uint32_t type = (uint32_t)wh_get_u32(x->abi, p + l->mapcount.offset);

	if (l->slab_by_flag ? (flags & l->slab_bit) != 0 : type_is(x, type, WH_LXT_SLAB))
		return WH_LXP_SLAB;
	if (type_is(x, type, WH_LXT_BUDDY))
		return WH_LXP_BUDDY;
	if (type_is(x, type, WH_LXT_OFFLINE) || type_is(x, type, WH_LXT_GUARD) ||
	    type_is(x, type, WH_LXT_UNACCEPTED))
		return WH_LXP_OFFLINE;
	if (type_is(x, type, WH_LXT_TABLE))
		return WH_LXP_TABLE;
	if (type_is(x, type, WH_LXT_HUGETLB))
		return WH_LXP_HUGETLB;
	if (type_is(x, type, WH_LXT_ZSMALLOC))
		return WH_LXP_MOVABLE;
	if (flags & l->reserved_bit)
		return WH_LXP_RESERVED;
	if (type_is(x, type, WH_LXT_LARGE))
		return WH_LXP_LARGE;
	return classify_mapping(x, flags, get(x, p, &l->mapping));
}

static struct wh_err *add_word(struct walk *w, uint64_t off, const uint8_t *p, bool pages)
{
	const struct wh_lx *x = w->s->x;
	uint64_t raw = wh_get_word(x->abi, p + off), v = wh_lx_ptr(x, raw), *slot;

	if (v < x->ks->kernel_min ||
	    (!pages && v - x->ks->vmemmap < x->ks->dump->max_pfn * x->lay.page_size_of))
		return NULL;
	slot = &w->recent[wh_hash_u64(raw) % RECENT];
	if (*slot == raw)
		return NULL;
	*slot = raw;
	return WH_VEC_PUSH(&w->o->words,
			   (struct wh_plan_word){
				   .value = raw,
				   .where = x->ks->vmemmap + w->pfn * x->lay.page_size_of + off});
}

static struct wh_err *add_words(struct walk *w, uint8_t cls, const uint8_t *p)
{
	const struct wh_lx_layout *l = &w->s->x->lay;
	bool kernel = cls == WH_LXP_KERNEL; /* drivers link their pages through lru */

	if (cls == WH_LXP_SLAB) {
		/* Between slab lists and while it is freed by RCU: list or rcu_head; objcg vector. */
		if (l->slab_list.found) {
			WH_TRY(add_word(w, l->slab_list.offset, p, false));
			WH_TRY(add_word(w, l->slab_list.offset + w->s->x->abi.word, p, false));
		}
		return l->slab_memcg.found ? add_word(w, l->slab_memcg.offset, p, false) : NULL;
	}
	for (size_t i = 0; i < w->s->n_words; i++)
		WH_TRY(add_word(w, w->s->word_off[i], p, kernel));
	if (cls == WH_LXP_TABLE && w->s->table_off)
		WH_TRY(add_word(w, w->s->table_off, p, false));
	return NULL;
}

static struct wh_err *add_slab(struct walk *w, const uint8_t *p)
{
	const struct wh_lx *x = w->s->x;
	const struct wh_lx_layout *l = &x->lay;
	struct wh_lx_slab s = {
		.pfn = w->pfn,
		.freelist = wh_lx_ptr(x, get(x, p, &l->slab_freelist)),
		.cache_addr = wh_lx_ptr(x, get(x, p, &l->slab_cache)),
		.counters = (uint32_t)get(x, p, &l->slab_counters),
		.cache = WH_LX_NO_CACHE,
		.pages = 1,
	};

	if (l->is_slab_alloc && l->slab_smem.found)
		s.base = (uint32_t)(wh_lx_ptr(x, get(x, p, &l->slab_smem)) -
				    wh_kspace_pfn_to_virt(x->ks, w->pfn));
	return WH_VEC_PUSH(&w->o->slabs, s);
}

/* A frame of the free block that @cls heads. */
static uint8_t begin_free(struct walk *w, uint8_t cls, uint64_t order)
{
	if (order > WH_LX_UNIT_SHIFT)
		order = 0;
	w->free_until = w->pfn + (1ull << order);
	w->free_cls = cls;
	return cls;
}

/*
 * Where the head of tail page @pfn is, by the tail's word: the address of its struct page; or, where struct
 * pages are a power of two (compound_info, include/linux/page-flags.h; in 7.3, not in 6.18), a mask for the tail's own.
 */
static bool head_find(const struct wh_lx *x, uint64_t pfn, uint64_t word, uint64_t *ret)
{
	uint64_t at = word - 1, low = ~at;

	if (!(low & (low + 1)))
		at &= x->ks->vmemmap + pfn * x->lay.page_size_of;
	else
		at = wh_lx_ptr(x, at);
	return wh_lx_page_to_pfn(x, at, ret) && *ret < pfn;
}

static uint8_t tail_class(struct walk *w, uint64_t word)
{
	uint64_t head;
	uint8_t c;

	if (!head_find(w->s->x, w->pfn, word, &head))
		return WH_LXP_KERNEL;
	if (head < w->first)
		return head == w->foreign_head ? w->foreign_cls | WH_LXP_TAIL : WH_LXP_KERNEL;
	c = w->o->cls[head - w->first];
	w->o->cls[head - w->first] |= WH_LXP_COMP;
	if ((c & WH_LXP_MASK) == WH_LXP_SLAB && w->o->slabs.n &&
	    w->o->slabs.v[w->o->slabs.n - 1].pfn == head) {
		struct wh_lx_slab *s = &w->o->slabs.v[w->o->slabs.n - 1];

		s->pages = (uint16_t)(w->pfn - head + 1);
	}
	w->block = head;
	return (uint8_t)(c & WH_LXP_MASK) | WH_LXP_TAIL;
}

/* One struct page. */
static struct wh_err *step(struct walk *w, const uint8_t *p)
{
	const struct wh_lx *x = w->s->x;
	uint8_t *ret = &w->o->cls[w->pfn - w->first];
	uint64_t head = get(x, p, &x->lay.compound_head), order;
	uint32_t refs;

	if (w->pfn < w->free_until) {
		*ret = w->free_cls | WH_LXP_TAIL;
		return NULL;
	}
	if (x->lay.compound_head.found && (head & 1)) {
		*ret = tail_class(w, head);
		return NULL;
	}
	if (wh_map_find(&x->pcp, w->pfn, &order)) {
		*ret = begin_free(w, WH_LXP_PCP, order);
		return NULL;
	}
	*ret = classify(x, p);
	if (*ret == WH_LXP_BUDDY) {
		begin_free(w, WH_LXP_BUDDY, get(x, p, &x->lay.private));
		return NULL;
	}
	if (*ret == WH_LXP_SLAB)
		WH_TRY(add_slab(w, p));
	refs = (uint32_t)get(x, p, &x->lay.refcount);
	/* A kernel block that is not compound: the pages behind the first have no count of their own. */
	if (*ret == WH_LXP_KERNEL && !refs && w->pfn > w->first &&
	    (ret[-1] & WH_LXP_MASK) == WH_LXP_KERNEL &&
	    (w->pfn ^ w->block) < (w->block & -w->block)) {
		*ret |= WH_LXP_TAIL; /* and what its struct page says is old */
		return NULL;
	}
	w->block = w->pfn;
	return add_words(w, *ret, p);
}

/* A unit whose first frame is a tail: what is its head? */
static void find_foreign(struct walk *w, struct wh_reader *r)
{
	struct wh_lx *x = w->s->x;
	uint8_t buf[256];
	uint64_t head;

	w->foreign_head = UINT64_MAX;
	if (!x->lay.compound_head.found || !wh_lx_page_read(x, r, w->first, buf))
		return;
	head = get(x, buf, &x->lay.compound_head);
	if (!(head & 1) || !head_find(x, w->first, head, &head) ||
	    !wh_lx_page_read(x, r, head, buf))
		return;
	w->foreign_head = head;
	w->foreign_cls = classify(x, buf);
}

/* Struct pages that are not there: no memory, or memory whose struct page was left out. */
static void step_missing(struct walk *w, uint64_t n, enum wh_mem_state why)
{
	uint8_t c = why == WH_MEM_UNMAPPED ? WH_LXP_HOLE : WH_LXP_UNKNOWN;

	memset(&w->o->cls[w->pfn - w->first], c, n);
	if (c == WH_LXP_UNKNOWN)
		w->o->missing += n * w->s->x->lay.page_size_of;
	/* makedumpfile -e leaves out only struct pages of pages that it left out too */
	if (c == WH_LXP_UNKNOWN && why != WH_MEM_EXCLUDED)
		w->o->lost += n;
	w->pfn += n;
}

/* How many frames from w->pfn on the dump knows to be no memory. */
static uint64_t skip_hole(struct walk *w, struct wh_scratch *sc)
{
	const struct wh_dump *d = w->s->x->ks->dump;
	uint64_t run;

	if (w->pfn < w->memory_until)
		return 0;
	if (d->ops->page_state(d, sc, w->pfn, &run) == WH_MEM_UNMAPPED)
		return run;
	w->memory_until = run < UINT64_MAX - w->pfn ? w->pfn + run : UINT64_MAX;
	return 0;
}

static struct wh_err *scan_unit(void *arg, unsigned int worker, size_t unit)
{
	struct scan *s = arg;
	struct wh_lx *x = s->x;
	struct wh_reader *r = x->readers[worker];
	uint64_t ps = x->lay.page_size_of, end = (uint64_t)(unit + 1) << WH_LX_UNIT_SHIFT;
	struct walk w = {.s = s, .o = &s->out[unit], .first = (uint64_t)unit << WH_LX_UNIT_SHIFT};
	uint8_t one[256];

	if (end > x->ks->dump->max_pfn)
		end = x->ks->dump->max_pfn;
	for (w.pfn = w.first; w.pfn < end;) {
		enum wh_mem_state why = WH_MEM_UNMAPPED;
		uint64_t run = skip_hole(&w, s->scratch[worker]);

		if (run) { /* what the memmap would say of it is something else's memory */
			w.pfn += run;
			continue;
		}
		uint64_t va = x->ks->vmemmap + w.pfn * ps;
		size_t want = (size_t)((end - w.pfn) * ps), len;
		const uint8_t *p = wh_reader_borrow(r, WH_VIRT, va, want, &len, &why);

		if (!p) {
			uint64_t n = len / ps ? len / ps : 1;

			if (!w.o->cls && why == WH_MEM_UNMAPPED && len >= want)
				return NULL; /* no memory in the whole unit */
			if (!w.o->cls && !(w.o->cls = wh_calloc(WH_LX_UNIT, 1)))
				return &wh_err_nomem;
			step_missing(&w, n < end - w.pfn ? n : end - w.pfn, why);
			continue;
		}
		if (!w.o->cls) {
			if (!(w.o->cls = wh_calloc(WH_LX_UNIT, 1)))
				return &wh_err_nomem;
			find_foreign(&w, r); /* moves the reader's window */
			continue;
		}
		if (len < ps) { /* a struct page across two pages */
			if (!wh_lx_page_read(x, r, w.pfn, one)) {
				step_missing(&w, 1, WH_MEM_EXCLUDED);
				continue;
			}
			p = one;
			len = ps;
		}
		for (; len >= ps && w.pfn < end; len -= ps, p += ps, w.pfn++)
			WH_TRY(step(&w, p));
	}
	return NULL;
}

bool wh_lx_page_read(struct wh_lx *x, struct wh_reader *r, uint64_t pfn, uint8_t *buf)
{
	uint64_t ps = x->lay.page_size_of;

	return x->ks->vmemmap && ps <= 256 &&
	       wh_read_some(r, WH_VIRT, x->ks->vmemmap + pfn * ps, buf, ps, NULL) == ps;
}

void wh_lx_page_set(struct wh_lx *x, uint64_t pfn, uint8_t cls)
{
	uint8_t *u =
		pfn >> WH_LX_UNIT_SHIFT < x->n_units ? x->units[pfn >> WH_LX_UNIT_SHIFT] : NULL;

	if (u)
		u[pfn & (WH_LX_UNIT - 1)] = cls;
}

/* ---- pages on CPU lists ---- */

struct pcp_walk {
	struct wh_lx *x;
	uint64_t lru, order;
};

static struct wh_err *pcp_page(void *arg, uint64_t node)
{
	struct pcp_walk *p = arg;
	uint64_t pfn;

	if (!wh_lx_page_to_pfn(p->x, node - p->lru, &pfn))
		return NULL;
	return wh_map_set(&p->x->pcp, pfn, p->order, NULL);
}

/* One CPU's lists of one zone: lists[] by order and migrate type (mm/page_alloc.c, order_to_pindex). */
static struct wh_err *pcp_lists(struct wh_lx *x, uint64_t pcp, uint64_t n_lists)
{
	struct pcp_walk p = {.x = x, .lru = x->lay.lru.offset};

	for (uint64_t i = 0; i < n_lists && i < 64; i++) {
		p.order = n_lists <= 3 ? 0 : i / 3 > 3 ? 9 : i / 3;
		WH_TRY(wh_lx_list(x, pcp + i * 2 * x->abi.word, "pcp-list", pcp_page, &p));
	}
	return NULL;
}

static const char *const zone_pcp[] = {"per_cpu_pageset", "pageset"};

static struct wh_err *pcp_zone(struct wh_lx *x, uint64_t zone)
{
	struct wh_types *ty = x->names->types;
	struct wh_type pages;
	struct wh_member lists;
	uint64_t off = 0, inner = 0, ptr;
	bool found = false;

	for (size_t i = 0; i < 2 && !found; i++)
		found = wh_lx_offset(x, "zone", zone_pcp[i], &off);
	if (!found || !wh_types_find(ty, "per_cpu_pages", "lists", &pages) ||
	    !wh_type_find_member(pages, "lists", &lists) || !wh_read_word(x->r, zone + off, &ptr) ||
	    !ptr)
		return NULL;
	(void)wh_lx_offset(x, "per_cpu_pageset", "pcp", &inner); /* before 5.14 */
	for (size_t c = 0; c < x->cpus.n; c++)
		WH_TRY(pcp_lists(x, ptr + x->cpus.v[c].offset + inner + lists.offset,
				 lists.size / (2u * x->abi.word)));
	return NULL;
}

static struct wh_err *pcp_node(struct wh_lx *x, uint64_t node)
{
	uint64_t zones, nr, zone_size, n = 0;

	if (!wh_lx_offset(x, "pglist_data", "node_zones", &zones) ||
	    !wh_lx_offset(x, "pglist_data", "nr_zones", &nr) ||
	    !wh_types_sizeof(x->names->types, "zone", &zone_size))
		return NULL;
	if (!wh_read_u32(x->r, node + nr, (uint32_t *)&n))
		return NULL;
	for (uint64_t i = 0; i < n && i < 8; i++)
		WH_TRY(pcp_zone(x, node + zones + i * zone_size));
	return NULL;
}

static struct wh_err *pcp_build(struct wh_lx *x)
{
	uint64_t nodes, node, len = 1;

	if (wh_lx_symbol(x, "contig_page_data", &node))
		return pcp_node(x, node);
	if (!wh_lx_symbol(x, "node_data", &nodes))
		return NULL;
	if (x->ks->vmcoreinfo)
		(void)wh_vmcoreinfo_length(x->ks->vmcoreinfo, "node_data", &len);
	for (uint64_t i = 0; i < len && i < 1024; i++)
		if (wh_read_word(x->r, nodes + i * x->abi.word, &node) && node)
			WH_TRY(pcp_node(x, wh_lx_ptr(x, node)));
	return NULL;
}

/* ---- the pass ---- */

static struct wh_err *check_fields(struct wh_lx *x)
{
	const struct wh_field *f[] = {
		&x->lay.flags,	    &x->lay.mapcount,	   &x->lay.refcount,
		&x->lay.mapping,    &x->lay.private,	   &x->lay.compound_head,
		&x->lay.slab_cache, &x->lay.slab_freelist, &x->lay.slab_counters,
		&x->lay.slab_memcg, &x->lay.memcg,	   &x->lay.slab_list,
		&x->lay.lru,	    &x->lay.slab_smem};

	for (size_t i = 0; i < sizeof(f) / sizeof(f[0]); i++)
		if (f[i]->found && (f[i]->size > 16 || f[i]->offset > x->lay.page_size_of ||
				    x->lay.page_size_of - f[i]->offset < f[i]->size))
			return wh_err_new(WH_ERR_BAD_DATA, "a member lies outside struct page");
	if (x->lay.mapcount.offset + 4 > x->lay.page_size_of)
		return wh_err_new(WH_ERR_BAD_DATA, "_mapcount lies outside struct page");
	return NULL;
}

static void scan_words(struct scan *s)
{
	const struct wh_lx_layout *l = &s->x->lay;
	uint64_t word = s->x->abi.word, off;

	if (l->lru.found && l->lru.size == 2 * word) {
		s->word_off[s->n_words++] = l->lru.offset;
		s->word_off[s->n_words++] = l->lru.offset + word;
	}
	s->word_off[s->n_words++] = l->mapping.offset;
	if (l->private.found)
		s->word_off[s->n_words++] = l->private.offset;
	if (l->memcg.found)
		s->word_off[s->n_words++] = l->memcg.offset;
	/* Newer kernels have the members of page tables in a struct of their own over struct page. */
	if ((wh_lx_offset(s->x, "ptdesc", "pt_mm", &off) ||
	     wh_lx_offset(s->x, "page", "pt_mm", &off)) &&
	    off + word <= l->page_size_of)
		s->table_off = off;
}

static struct wh_err *join_units(struct wh_lx *x, struct unit_out *out)
{
	struct wh_err *e = NULL;
	size_t slabs = 0, words = 0;
	uint64_t lost = 0;

	for (size_t u = 0; u < x->n_units; u++) {
		slabs += out[u].slabs.n;
		words += out[u].words.n;
	}
	WH_TRY(WH_VEC_RESERVE(&x->slabs, slabs));
	WH_TRY(WH_VEC_RESERVE(&x->t->plan.words, x->t->plan.words.n + words));
	for (size_t u = 0; u < x->n_units && !e; u++) {
		x->units[u] = out[u].cls;
		out[u].cls = NULL;
		x->memmap_missing += out[u].missing;
		lost += out[u].lost;
		for (size_t i = 0; i < out[u].slabs.n && !e; i++)
			e = WH_VEC_PUSH(&x->slabs, out[u].slabs.v[i]);
		for (size_t i = 0; i < out[u].words.n && !e; i++) {
			out[u].words.v[i].kind = x->kind_struct_page;
			e = WH_VEC_PUSH(&x->t->plan.words, out[u].words.v[i]);
		}
	}
	if (e || !lost)
		return e;
	wh_diag_add(
		x->t->ctx->diags, WH_DIAG_WARN, "memmap-missing", 0,
		"the struct pages of %llu page frames are not in the dump: what these hold is not "
		"known",
		(unsigned long long)lost);
	return wh_plan_add_missing(&x->t->plan, WH_CLASS_ANY, 0, lost << x->ks->page_shift,
				   WH_MEM_TRUNCATED);
}

void wh_lx_pages_range(const struct wh_lx *x, uint64_t *ret_first, uint64_t *ret_end)
{
	uint64_t first = 0, end = x->n_units;

	while (first < end && !x->units[first])
		first++;
	while (end > first && !x->units[end - 1])
		end--;
	first <<= WH_LX_UNIT_SHIFT;
	end <<= WH_LX_UNIT_SHIFT;
	if (end > x->ks->dump->max_pfn)
		end = x->ks->dump->max_pfn;
	while (first < end && wh_lx_page_get(x, first) == WH_LXP_HOLE)
		first++;
	*ret_first = first;
	*ret_end = end;
}

/* Frames that hold the memmap itself: their words are known, and stale ones must not count. */
static struct wh_err *memmap_frames(void *arg, uint64_t va, uint64_t pa, uint64_t len)
{
	struct wh_lx *x = arg;

	(void)va;
	for (uint64_t p = pa >> x->ks->page_shift; p < (pa + len) >> x->ks->page_shift; p++) {
		if ((wh_lx_page_get(x, p) & WH_LXP_MASK) == WH_LXP_RESERVED ||
		    (wh_lx_page_get(x, p) & WH_LXP_MASK) == WH_LXP_KERNEL)
			wh_lx_page_set(x, p, WH_LXP_MEMMAP);
	}
	return NULL;
}

struct wh_err *wh_lx_pages_build(struct wh_lx *x)
{
	uint64_t max = x->ks->dump->max_pfn, first, end;
	struct scan s = {.x = x};
	struct wh_err *e;

	if (!x->ks->vmemmap)
		return wh_err_new(
			WH_ERR_UNSUPPORTED, "%s",
			x->ks->dump->incomplete
				? "the struct pages cannot be found: what says where they "
				  "are was cut off with the end of the dump"
				: "the struct pages cannot be found: no section table "
				  "(mem_section) in the dump, or a memory model without "
				  "virtual memmap, which is not supported");
	if (max > WH_LIMIT_PFN)
		return wh_err_new(WH_ERR_LIMIT, "too many page frames");
	WH_TRY(check_fields(x));
	WH_TRY(pcp_build(x));
	scan_words(&s);
	x->n_units = (size_t)((max + WH_LX_UNIT - 1) >> WH_LX_UNIT_SHIFT);
	x->units = wh_calloc(x->n_units, sizeof(*x->units));
	s.out = wh_calloc(x->n_units, sizeof(*s.out));
	s.scratch = wh_calloc(x->n_readers, sizeof(*s.scratch));
	e = x->units && s.out && s.scratch ? NULL : &wh_err_nomem;
	for (unsigned int i = 0; i < x->n_readers && !e; i++)
		e = wh_scratch_create(&s.scratch[i]);
	if (!e)
		e = wh_workers_run(x->t->ctx, "reading struct pages", x->n_units, scan_unit, &s);
	if (!e)
		e = join_units(x, s.out);
	for (unsigned int i = 0; s.scratch && i < x->n_readers; i++)
		if (s.scratch[i])
			wh_scratch_destroy(s.scratch[i]);
	free(s.scratch);
	for (size_t u = 0; s.out && u < x->n_units; u++) {
		free(s.out[u].cls);
		WH_VEC_FINI(&s.out[u].slabs);
		WH_VEC_FINI(&s.out[u].words);
	}
	free(s.out);
	if (e)
		return e;
	wh_lx_pages_range(x, &first, &end);
	return wh_kspace_each_mapping(x->ks, x->r, x->ks->vmemmap + first * x->lay.page_size_of,
				      x->ks->vmemmap + end * x->lay.page_size_of, memmap_frames, x);
}

void wh_lx_pages_count(struct wh_lx *x)
{
	const struct wh_dump *d = x->ks->dump;
	struct wh_scratch *sc;
	struct wh_err *e = wh_scratch_create(&sc);
	uint64_t run;

	if (e) {
		wh_err_destroy(e);
		return;
	}
	memset(&x->pages, 0, sizeof(x->pages));
	for (uint64_t pfn = 0; pfn < d->max_pfn;) {
		enum wh_mem_state st = d->ops->page_state(d, sc, pfn, &run);

		if (run > d->max_pfn - pfn)
			run = d->max_pfn - pfn;
		for (uint64_t i = 0; i < run; i++) {
			uint8_t c = wh_lx_page_get(x, pfn + i) & WH_LXP_MASK;

			x->pages.n[c]++;
			if (st != WH_MEM_PRESENT)
				x->pages.absent[c]++;
		}
		pfn += run;
	}
	wh_scratch_destroy(sc);
}
