/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From rows in any order to the table that everybody reads.
 *
 *	segments sorted; those that interleave are cut
 *	─► overlaps looked for, regions found (in parallel)
 *	─► overlaps, if there are any, settled
 *	─► columns, leaves (buftab_priv.h) and ranks written (in parallel)
 */
#include "analyzer/graph/buftab_priv.h"

#include <string.h>

#include "analyzer/base/limits.h"

#define PORTION_ROWS (1u << 16) /* the least that one worker takes */

static int segment_cmp(const void *pa, const void *pb)
{
	const struct segment *a = pa, *b = pb;

	return a->base < b->base ? -1 : a->base > b->base;
}

/* Walks the rows of a segment.  The columns are those of the building phase. */
struct seg_iter {
	const struct wh_buftab *t;
	const struct segment *g;
	struct part_iter part;
	uint32_t i;
	uint64_t addr, size; /* of the current row */
	uint16_t cls;
	uint8_t state;
};

static inline void seg_part_row(struct seg_iter *it, bool first)
{
	if (first)
		it->part = part_rows(it->g->part);
	part_next(&it->part);
	it->addr = it->part.addr;
	it->size = it->part.size;
	it->cls = it->part.cls;
	it->state = it->part.state;
}

static inline void seg_listed_row(struct seg_iter *it, bool first)
{
	const struct wh_buftab *t = it->t;
	size_t k = it->g->first + it->i;

	/* the first distance may lead from a row that a cut left in another segment */
	it->addr = first ? it->g->base : it->addr + 8 * (uint64_t)t->delta[k];
	it->size = buftab_row_size(t, (uint32_t)k);
	it->cls = t->cls[k];
	it->state = t->state[k];
}

static inline bool seg_next(struct seg_iter *it, bool first)
{
	const struct segment *g = it->g;

	it->i = first ? 0 : it->i + 1;
	if (it->i >= g->n)
		return false;
	if (g->part) {
		seg_part_row(it, first);
	} else if (g->stride) {
		it->addr = g->base + (uint64_t)it->i * g->stride;
		it->size = g->size;
		it->cls = g->cls;
		it->state = WH_BUF_ALLOCATED;
	} else {
		seg_listed_row(it, first);
	}
	return true;
}

#define EACH_ROW(it, tab, seg)                                                                     \
	for (bool go_ = seg_next(((it) = (struct seg_iter){.t = (tab), .g = (seg)}, &(it)), true); \
	     go_; go_ = seg_next(&(it), false))

/* A row with its address, for the slow path. */
struct wide {
	uint64_t addr, size;
	uint16_t cls;
	uint8_t state;
};

static int wide_cmp(const void *pa, const void *pb)
{
	const struct wide *a = pa, *b = pb;

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	if (a->size != b->size)
		return a->size > b->size ? -1 : 1;
	return a->cls < b->cls ? -1 : a->cls > b->cls;
}

static struct wh_err *widen(const struct wh_buftab *t, size_t rows, struct wide **ret)
{
	struct wide *w = wh_calloc(rows, sizeof(*w));
	struct seg_iter it;
	size_t out = 0;

	if (!w)
		return &wh_err_nomem;
	for (size_t s = 0; s < t->segments.n; s++) {
		const struct segment *g = &t->segments.v[s];

		EACH_ROW(it, t, g)
		w[out++] = (struct wide){it.addr, it.size, it.cls, it.state};
	}
	*ret = w;
	return NULL;
}

/* Cuts or drops rows until each ends below the next; returns how many are left. */
static size_t settle(struct wh_buftab *t, struct wide *w, size_t rows)
{
	size_t out = 0;

	for (size_t i = 0; i < rows; i++) {
		struct wide *last = out ? &w[out - 1] : NULL;

		if (last && w[i].addr < last->addr + last->size) {
			bool node = t->classes.v[last->cls].flags & WH_CLASS_NOREPORT;

			if (node && w[i].addr > last->addr) {
				last->size = w[i].addr -
					     last->addr; /* carved from a node: the child wins */
			} else if (node) {
				*last = w[i];
				continue;
			} else {
				wh_diag_add(
					t->ctx->diags, WH_DIAG_WARN, "buffer-overlap", w[i].addr,
					"buffer 0x%llx (%s) lies inside 0x%llx (%s); the first is kept",
					(unsigned long long)w[i].addr, t->classes.v[w[i].cls].name,
					(unsigned long long)last->addr,
					t->classes.v[last->cls].name);
				continue;
			}
		}
		w[out++] = w[i];
	}
	return out;
}

/* The slow path: some rows overlap. */
static struct wh_err *rebuild_sorted(struct wh_buftab *t)
{
	WH_AUTO_FREE struct wide *w = NULL;
	size_t n = t->n + t->run_rows;

	WH_TRY(widen(t, n, &w));
	wh_sort(w, n, sizeof(*w), wide_cmp);
	n = settle(t, w, n);
	for (size_t i = 0; i < t->segments.n; i++)
		wh_buf_part_destroy(t->segments.v[i].part);
	t->n = t->run_rows = t->large.n = t->segments.n = 0;
	for (size_t i = 0; i < n; i++)
		WH_TRY(wh_buftab_row_append(t, w[i].cls, w[i].addr, w[i].size, w[i].state));
	return NULL;
}

/* One segment on its way through the merge. */
struct cursor {
	uint64_t addr; /* of its next row */
	size_t seg;
	uint32_t i; /* rows taken */
};

static void heap_sift(struct cursor *h, size_t n, size_t i)
{
	for (;;) {
		size_t l = 2 * i + 1, least = i;
		struct cursor x;

		if (l < n && h[l].addr < h[least].addr)
			least = l;
		if (l + 1 < n && h[l + 1].addr < h[least].addr)
			least = l + 1;
		if (least == i)
			return;
		x = h[i];
		h[i] = h[least];
		h[least] = x;
		i = least;
	}
}

typedef WH_VEC(struct segment) segment_vec;

/* Cuts off the rows of the cursor's segment that lie below @next, one at least. */
static struct wh_err *cut(const struct wh_buftab *t, struct cursor *c, uint64_t next,
			  segment_vec *out)
{
	const struct segment *g = &t->segments.v[c->seg];
	struct segment part = *g;

	part.base = part.end = c->addr;
	part.first = g->first + c->i;
	part.n = 0;
	do {
		uint64_t size =
			g->stride ? g->size : buftab_row_size(t, (uint32_t)(g->first + c->i));

		part.last = c->addr;
		if (c->addr + size > part.end)
			part.end = c->addr + size;
		part.n++;
		c->i++;
		if (c->i < g->n)
			c->addr += g->stride ? g->stride : 8 * (uint64_t)t->delta[g->first + c->i];
	} while (c->i < g->n && c->addr < next);
	return WH_VEC_PUSH(out, part);
}

/* Segments [first, end) reach into each other: puts them in order, cut where need be. */
static struct wh_err *interleave(const struct wh_buftab *t, size_t first, size_t end,
				 segment_vec *out)
{
	size_t n = end - first;
	WH_AUTO_FREE struct cursor *heap = wh_calloc(n, sizeof(*heap));

	if (!heap)
		return &wh_err_nomem;
	for (size_t s = 0; s < n; s++) /* sorted by base: a heap already */
		heap[s] = (struct cursor){.addr = t->segments.v[first + s].base, .seg = first + s};
	while (n) {
		struct cursor *c = &heap[0];
		uint64_t next = n < 2 ? UINT64_MAX : heap[1].addr;

		if (n > 2 && heap[2].addr < next)
			next = heap[2].addr;
		WH_TRY(cut(t, c, next, out));
		if (c->i == t->segments.v[c->seg].n)
			heap[0] = heap[--n];
		heap_sift(heap, n, 0);
	}
	return NULL;
}

/* A part's rows, one by one into the columns, as segments at the end of the list. */
static struct wh_err *part_dissolve(struct wh_buftab *t, size_t seg)
{
	struct wh_buf_part *p = t->segments.v[seg].part;
	struct part_iter it = part_rows(p);
	struct wh_err *e = NULL;

	t->run_rows -= p->n;
	t->segments.v[seg].part = NULL;
	t->segments.v[seg].n = 0;
	for (size_t i = 0; i < p->n && !e; i++) {
		part_next(&it);
		e = wh_buftab_row_append(t, it.cls, it.addr, it.size, it.state);
	}
	wh_buf_part_destroy(p);
	return e;
}

/* Behind segment @i, the first one that begins above all that came before. */
static size_t group_end(const struct wh_buftab *t, size_t i, size_t n)
{
	uint64_t end = t->segments.v[i].end;

	for (i++; i < n && t->segments.v[i].base < end; i++)
		if (t->segments.v[i].end > end)
			end = t->segments.v[i].end;
	return i;
}

/* Parts cannot be cut: those that reach into other segments are dissolved. */
static struct wh_err *parts_settle(struct wh_buftab *t)
{
	size_t n = t->segments.n, out = 0;

	for (size_t i = 0, k; i < n; i = k) {
		k = group_end(t, i, n);
		for (size_t s = i; s < k && k > i + 1; s++)
			if (t->segments.v[s].part)
				WH_TRY(part_dissolve(t, s));
	}
	if (t->segments.n == n)
		return NULL;
	for (size_t i = 0; i < t->segments.n; i++)
		if (t->segments.v[i].n)
			t->segments.v[out++] = t->segments.v[i];
	t->segments.n = out;
	wh_sort(t->segments.v, out, sizeof(*t->segments.v), segment_cmp);
	return NULL;
}

/* Segments in address order; where some reach into others, all of those are cut. */
static struct wh_err *segments_order(struct wh_buftab *t)
{
	segment_vec out = {0};
	struct wh_err *e = NULL;
	size_t n;

	wh_sort(t->segments.v, t->segments.n, sizeof(*t->segments.v), segment_cmp);
	WH_TRY(parts_settle(t));
	n = t->segments.n;
	for (size_t i = 0, k; i < n && !e; i = k) {
		k = group_end(t, i, n);
		if (k > i + 1)
			e = interleave(t, i, k, &out);
		else
			e = WH_VEC_PUSH(&out, t->segments.v[i]);
	}
	if (e) {
		WH_VEC_FINI(&out);
		return e;
	}
	WH_VEC_FINI(&t->segments);
	t->segments.v = out.v;
	t->segments.n = out.n;
	t->segments.cap = out.cap;
	return NULL;
}

/* ---- freeze, in parallel ---- */

/* The segments that one worker takes at a time, and what it finds. */
struct portion {
	size_t first, end; /* segments */
	region_vec regions;
	bool overlap;
};

struct freeze {
	struct wh_buftab *t;
	WH_VEC(struct portion) portions;
	/* The columns to be; the table's own when these are in order already. */
	uint32_t *size;
	uint16_t *cls;
	uint8_t *state;
	bool in_place;
	uint16_t *kinds; /* of each class: run_kind of its first run, plus one */
};

/* Numbers the rows and cuts the work. */
static struct wh_err *portions_make(struct freeze *f)
{
	const struct wh_buftab *t = f->t;
	size_t row = 0, from = 0;
	struct portion p = {0};

	f->in_place = true;
	for (size_t i = 0; i < t->segments.n; i++) {
		struct segment *g = &t->segments.v[i];

		g->row = (uint32_t)row;
		f->in_place = f->in_place && !g->stride && !g->part && g->first == row;
		row += g->n;
		p.end = i + 1;
		if (row - from < PORTION_ROWS && i + 1 < t->segments.n)
			continue;
		WH_TRY(WH_VEC_PUSH(&f->portions, p));
		p.first = i + 1;
		from = row;
	}
	return NULL;
}

/* First walk: cut the address space into regions. */
static struct wh_err *part_regions(struct portion *p, const struct segment *g)
{
	for (size_t i = 0; i < g->part->regions.n; i++) {
		struct region r = g->part->regions.v[i];

		r.first_row += g->row;
		WH_TRY(wh_regions_add(&p->regions, r));
	}
	return NULL;
}

static struct wh_err *regions_unit(void *arg, unsigned int worker WH_UNUSED, size_t unit)
{
	struct freeze *f = arg;
	const struct wh_buftab *t = f->t;
	struct portion *p = &f->portions.v[unit];
	uint64_t prev_end = p->first ? t->segments.v[p->first - 1].end : 0;
	struct seg_iter it;

	for (size_t s = p->first; s < p->end; s++) {
		const struct segment *g = &t->segments.v[s];

		if (g->stride) { /* its rows do not overlap and are never large */
			p->overlap |= g->base < prev_end;
			prev_end = g->end;
			WH_TRY(wh_regions_add(&p->regions, (struct region){.start = g->base,
									   .end = g->end,
									   .first_row = g->row,
									   .dense = true}));
			continue;
		}
		if (g->part) {
			p->overlap |= g->base < prev_end;
			prev_end = g->end;
			WH_TRY(part_regions(p, g));
			continue;
		}
		EACH_ROW(it, t, g)
		{
			p->overlap |= it.addr < prev_end;
			prev_end = it.addr + it.size;
			WH_TRY(wh_regions_add(&p->regions,
					      row_as_region(g->row + it.i, it.addr, it.size)));
		}
	}
	return NULL;
}

static struct wh_err *regions_join(struct freeze *f)
{
	struct wh_buftab *t = f->t;
	size_t leaves = 0, at = 0;

	for (size_t i = 0; i < f->portions.n; i++) {
		struct portion *p = &f->portions.v[i];

		for (size_t k = 0; k < p->regions.n; k++)
			WH_TRY(wh_regions_add(&t->regions, p->regions.v[k]));
		WH_VEC_FINI(&p->regions);
	}
	for (size_t i = 0; i < t->regions.n; i++)
		if (t->regions.v[i].dense)
			leaves += region_leaf_count(&t->regions.v[i]);
	t->leaves = wh_alloc_table(leaves, sizeof(*t->leaves));
	if (!t->leaves)
		return &wh_err_nomem;
	t->n_leaves = leaves;
	for (size_t i = 0; i < t->regions.n; i++) {
		struct region *r = &t->regions.v[i];

		if (!r->dense)
			continue;
		r->leaves = &t->leaves[at];
		at += region_leaf_count(r);
	}
	return NULL;
}

static struct wh_err *page_runs_make(struct wh_buftab *t)
{
	size_t pages = 0, at = 0;

	for (size_t i = 0; i < t->regions.n; i++)
		if (t->regions.v[i].dense)
			pages += region_page_count(&t->regions.v[i]);
	t->page_runs = wh_alloc_table(pages, sizeof(*t->page_runs));
	if (!t->page_runs)
		return &wh_err_nomem;
	t->n_page_runs = pages;
	for (size_t i = 0; i < t->regions.n; i++) {
		struct region *r = &t->regions.v[i];

		if (!r->dense)
			continue;
		r->runs = &t->page_runs[at];
		at += region_page_count(r);
	}
	return NULL;
}

/* Which strides and sizes there are.  A class has one of each as a rule; what differs stays with the leaves. */
static struct wh_err *kinds_make(struct freeze *f)
{
	struct wh_buftab *t = f->t;

	f->kinds = wh_calloc(t->classes.n, sizeof(*f->kinds));
	if (!f->kinds)
		return &wh_err_nomem;
	for (size_t s = 0; s < t->segments.n && t->kinds.n < RUN_KINDS_MAX; s++) {
		const struct segment *g = &t->segments.v[s];

		if (!g->stride || f->kinds[g->cls])
			continue;
		WH_TRY(WH_VEC_PUSH(
			&t->kinds,
			(struct run_kind){.stride = g->stride,
					  .size = g->size,
					  .inverse = UINT32_MAX / (g->stride / 8) + 1ull}));
		f->kinds[g->cls] = (uint16_t)t->kinds.n;
	}
	return t->kinds.n ? page_runs_make(t) : NULL;
}

/* The pages whose first byte lies in a slot of the run @g.  No other run can claim them. */
static void runs_fill(const struct freeze *f, const struct region *r, const struct segment *g)
{
	unsigned int kind = f->kinds[g->cls];
	const struct run_kind *k = kind ? &f->t->kinds.v[kind - 1] : NULL;
	uint64_t first = (g->base + (1u << RUN_PAGE_SHIFT) - 1) >> RUN_PAGE_SHIFT;

	if (!k || k->stride != g->stride || k->size != g->size)
		return;
	for (uint64_t page = first; page << RUN_PAGE_SHIFT < g->end; page++) {
		uint64_t at = (page << RUN_PAGE_SHIFT) - g->base;
		uint32_t i = (uint32_t)(at / g->stride), left = g->n - i;

		r->runs[page - (r->start >> RUN_PAGE_SHIFT)] = (struct page_run){
			.row = g->row + i,
			.into = (uint32_t)(at % g->stride) / 8 & 0x1fff,
			.rows = (left < RUN_ROWS_MAX ? left : RUN_ROWS_MAX) & 0x3ff,
			.kind = (kind - 1) & 0x1ff};
	}
}

/*
 * Second walk: start bits and ranks of leaves.  A leaf's bits may come from two portions; its rank and its
 * way back come from whoever puts the first row at or behind its start, or ends the region.
 */
struct leaf_pen {
	struct wh_buftab *t;
	struct region *r;
	size_t ri, k;  /* region, leaf */
	uint64_t bits; /* of leaf k, not yet written */
	uint64_t last; /* start of the row before */
};

static void pen_lift(struct leaf_pen *p)
{
	if (p->bits)
		__atomic_fetch_or(&p->r->leaves[p->k].bits, p->bits, __ATOMIC_RELAXED);
	p->bits = 0;
}

/* Goes on to leaf @k; the next row is @row. */
static void pen_move(struct leaf_pen *p, size_t k, uint32_t row)
{
	pen_lift(p);
	while (p->k < k) {
		uint64_t back = (leaf_base(p->r, ++p->k) - p->last) / 8;

		p->r->leaves[p->k].rank = row;
		p->r->leaves[p->k].back = back < UINT32_MAX ? (uint32_t)back : 0;
	}
}

/* The next row, @row, belongs to another region, or there is none. */
static void pen_end(struct leaf_pen *p, uint32_t row)
{
	if (p->r->dense)
		pen_move(p, region_leaf_count(p->r) - 1, row);
}

static inline void pen_row(struct leaf_pen *p, uint32_t row, uint64_t addr)
{
	struct wh_buftab *t = p->t;
	size_t k;

	if (p->ri + 1 < t->regions.n && t->regions.v[p->ri + 1].first_row == row) {
		pen_end(p, row);
		p->r = &t->regions.v[++p->ri];
	}
	if (!p->r->dense)
		return;
	if (p->r->first_row == row) {
		p->k = 0;
		p->r->leaves[0].rank = row;
	}
	k = (addr >> LEAF_SHIFT) - (p->r->start >> LEAF_SHIFT);
	if (k != p->k)
		pen_move(p, k, row);
	p->bits |= 1ull << ((addr >> 3) & 63);
	p->last = addr;
}

/* Stands behind the row before segment @s. */
static void pen_begin(struct leaf_pen *p, struct wh_buftab *t, size_t s)
{
	const struct segment *g = &t->segments.v[s];

	*p = (struct leaf_pen){.t = t};
	if (g->row) {
		p->ri = buftab_region_of_row(t, g->row - 1);
		p->last = g[-1].last;
	}
	p->r = &t->regions.v[p->ri];
	if (g->row && p->r->dense)
		p->k = (p->last >> LEAF_SHIFT) - (p->r->start >> LEAF_SHIFT);
}

static void columns_fill(struct freeze *f, const struct segment *g)
{
	const struct wh_buftab *t = f->t;

	if (!g->stride) {
		memcpy(f->size + g->row, t->size + g->first, g->n * sizeof(*f->size));
		memcpy(f->cls + g->row, t->cls + g->first, g->n * sizeof(*f->cls));
		memcpy(f->state + g->row, t->state + g->first, g->n * sizeof(*f->state));
		return;
	}
	for (uint32_t i = 0; i < g->n; i++) {
		f->size[g->row + i] = g->size;
		f->cls[g->row + i] = g->cls;
	}
	memset(f->state + g->row, WH_BUF_ALLOCATED, g->n);
}

static void part_fill(struct freeze *f, const struct segment *g, struct leaf_pen *pen)
{
	struct part_iter it = part_rows(g->part);

	for (uint32_t row = g->row; row - g->row < g->n; row++) {
		part_next(&it);
		f->size[row] = it.size >= SIZE_ESCAPE ? SIZE_ESCAPE : (uint32_t)it.size;
		f->cls[row] = it.cls;
		f->state[row] = it.state;
		pen_row(pen, row, it.addr);
	}
}

static struct wh_err *fill_unit(void *arg, unsigned int worker WH_UNUSED, size_t unit)
{
	struct freeze *f = arg;
	struct wh_buftab *t = f->t;
	const struct portion *p = &f->portions.v[unit];
	const struct segment *last = &t->segments.v[p->end - 1];
	uint32_t end = last->row + last->n;
	struct leaf_pen pen;

	pen_begin(&pen, t, p->first);
	for (size_t s = p->first; s < p->end; s++) {
		const struct segment *g = &t->segments.v[s];
		uint64_t addr = g->base;

		if (g->part) {
			part_fill(f, g, &pen);
			continue;
		}
		for (uint32_t i = 0; i < g->n; i++) {
			if (i)
				addr += g->stride ? g->stride
						  : 8 * (uint64_t)t->delta[g->first + i];
			pen_row(&pen, g->row + i, addr);
		}
		if (g->stride)
			runs_fill(f, pen.r, g);
		if (!f->in_place)
			columns_fill(f, g);
	}
	pen_lift(&pen);
	if (p->end == t->segments.n)
		pen_end(&pen, end);
	return NULL;
}

/* Sizes that do not fit go by row number from now on. */
static struct wh_err *large_renumber(struct wh_buftab *t)
{
	large_vec v = {0};
	struct wh_err *e = NULL;

	for (size_t s = 0; s < t->segments.n && !e; s++) {
		const struct segment *g = &t->segments.v[s];
		const large_vec *from = g->part ? &g->part->large : &t->large;

		if (g->stride)
			continue;
		for (size_t i = g->part ? 0 : wh_buftab_large_from(t, g->first);
		     i < from->n && from->v[i].key < g->first + g->n && !e; i++)
			e = WH_VEC_PUSH(&v, (struct large_size){g->row + from->v[i].key - g->first,
								from->v[i].size});
	}
	WH_VEC_FINI(&t->large);
	t->large = v;
	return e;
}

static struct wh_err *columns_make(struct freeze *f, size_t rows)
{
	if (f->in_place)
		return NULL;
	f->size = wh_alloc_table(rows, sizeof(*f->size)); /* looked up at random, like the leaves */
	f->cls = wh_alloc_table(rows, sizeof(*f->cls));
	f->state = wh_alloc_table(rows, sizeof(*f->state));
	return f->size && f->cls && f->state ? NULL : &wh_err_nomem;
}

static void columns_take(struct freeze *f, size_t rows)
{
	struct wh_buftab *t = f->t;

	if (!f->in_place) {
		free(t->size);
		free(t->cls);
		free(t->state);
		t->size = f->size;
		t->cls = f->cls;
		t->state = f->state;
		f->size = NULL, f->cls = NULL, f->state = NULL;
		t->cap = rows;
	}
	t->n = rows;
	t->run_rows = 0;
}

static void slot_put(struct wh_buftab *t, uint64_t key, uint32_t region)
{
	size_t i = (size_t)(key * 0x9e3779b97f4a7c15ull >> 32) & t->slot_mask;

	while (t->slots[i].lo != t->slots[i].hi && t->slots[i].key != key)
		i = (i + 1) & t->slot_mask;
	if (t->slots[i].lo == t->slots[i].hi)
		t->slots[i] = (struct slot){key, region, region + 1};
	else
		t->slots[i].hi = region + 1;
}

/* A single row can span terabytes when a dump lies; its slots are what bounds the directory. */
#define SLOTS_MAX (1u << 22)

static struct wh_err *slots_fill(struct wh_buftab *t)
{
	uint64_t want = 1;
	size_t cap = 16;

	for (size_t i = 0; i < t->regions.n; i++)
		want += ((t->regions.v[i].end - 1) >> SLOT_SHIFT) -
			(t->regions.v[i].start >> SLOT_SHIFT) + 1;
	if (want > SLOTS_MAX)
		return wh_err_new(WH_ERR_LIMIT, "buffers span more than %u GiB of address space",
				  SLOTS_MAX);
	while (cap < want * 2)
		cap *= 2;
	t->slots = calloc(cap, sizeof(*t->slots));
	if (!t->slots)
		return &wh_err_nomem;
	t->slot_mask = cap - 1;
	for (size_t i = 0; i < cap; i++)
		t->slots[i].key = UINT64_MAX; /* no address has it */
	for (size_t i = 0; i < t->regions.n; i++)
		for (uint64_t k = t->regions.v[i].start >> SLOT_SHIFT;
		     k <= (t->regions.v[i].end - 1) >> SLOT_SHIFT; k++)
			slot_put(t, k, (uint32_t)i);
	return NULL;
}

/* Looks for overlaps and regions; with overlaps it settles them and looks once more. */
static struct wh_err *survey(struct freeze *f, bool *ret_overlap)
{
	struct wh_buftab *t = f->t;

	*ret_overlap = false;
	f->portions.n = 0;
	WH_TRY(segments_order(t));
	WH_TRY(portions_make(f));
	WH_TRY(wh_workers_run(t->ctx, NULL, f->portions.n, regions_unit, f));
	for (size_t i = 0; i < f->portions.n; i++)
		*ret_overlap |= f->portions.v[i].overlap;
	for (size_t i = 0; i < f->portions.n && *ret_overlap; i++)
		WH_VEC_FINI(&f->portions.v[i].regions);
	return NULL;
}

static struct wh_err *freeze(struct freeze *f)
{
	struct wh_buftab *t = f->t;
	size_t rows;
	bool overlap;

	WH_TRY(survey(f, &overlap));
	if (overlap) {
		WH_TRY(rebuild_sorted(t));
		WH_TRY(survey(f, &overlap));
	}
	rows = t->n + t->run_rows;
	WH_TRY(regions_join(f));
	WH_TRY(kinds_make(f));
	WH_TRY(columns_make(f, rows));
	WH_TRY(wh_workers_run(t->ctx, NULL, f->portions.n, fill_unit, f));
	WH_TRY(large_renumber(t));
	columns_take(f, rows);
	return slots_fill(t);
}

struct wh_err *wh_buftab_freeze(struct wh_buftab *t)
{
	struct freeze f = {.t = t};
	struct wh_err *e;

	if (t->frozen)
		return NULL;
	e = freeze(&f);
	for (size_t i = 0; i < f.portions.n; i++)
		WH_VEC_FINI(&f.portions.v[i].regions);
	WH_VEC_FINI(&f.portions);
	free(f.size);
	free(f.cls);
	free(f.state);
	free(f.kinds);
	if (e)
		return e;
	wh_buftab_built(t);
	t->frozen = true;
	return NULL;
}
