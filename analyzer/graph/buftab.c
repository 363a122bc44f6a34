/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Problem: hundreds of millions of words are asked "do you point into a buffer, and which?", so the
 * answer must cost one or two cache misses; and the table must stay at about ten bytes a row.
 *
 *	building:  columns grow row by row, each stored as a distance from the last, so that nothing keeps
 *	           8-byte addresses; a run of equal slots (a full slab) is one record
 *	freeze:    segments sorted; those that interleave are cut ─► overlaps looked for, regions found (in
 *	           parallel) ─► overlaps, if there are any, settled ─► columns, leaves (buftab_priv.h) and
 *	           ranks written (in parallel) ─► distances dropped
 *
 * Invariants once frozen: rows are in address order; row i ends at or below the start of row i+1; every
 * start is 8-aligned and is exactly one set bit; columns other than `state` never change.
 */
#include "analyzer/graph/buftab_priv.h"

#include <string.h>

#include "analyzer/base/limits.h"

#define DELTA_MAX    UINT32_MAX
#define SEGMENT_ROWS (1u << 16) /* a segment is the least that one worker takes */
#define SEGMENT_GAP  4096 /* [bytes] without rows end a segment: another may have rows there */
#define RUN_ROWS     8	  /* a shorter run is cheaper in the columns */

struct wh_err *wh_buftab_create(struct wh_ctx *ctx, struct wh_buftab **ret)
{
	struct wh_buftab *t = calloc(1, sizeof(*t));

	if (!t)
		return &wh_err_nomem;
	t->ctx = ctx;
	pthread_mutex_init(&t->lock, NULL);
	*ret = t;
	return NULL;
}

void wh_buftab_destroy(struct wh_buftab *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	WH_VEC_FINI(&t->classes);
	WH_VEC_FINI(&t->segments);
	WH_VEC_FINI(&t->large);
	free(t->size);
	free(t->cls);
	free(t->state);
	free(t->delta);
	free(t->regions);
	free(t->slots);
	free(t->leaves);
	free(t);
}

struct wh_err *wh_buftab_add_class(struct wh_buftab *t, const struct wh_class *c, uint16_t *ret_cls)
{
	if (t->classes.n >= WH_LIMIT_CACHES)
		return wh_err_new(WH_ERR_LIMIT, "more than %u buffer classes", WH_LIMIT_CACHES);
	WH_TRY(WH_VEC_PUSH(&t->classes, *c));
	*ret_cls = (uint16_t)(t->classes.n - 1);
	return NULL;
}

void wh_buftab_set_class_flags(struct wh_buftab *t, uint16_t cls, uint32_t flags)
{
	if (cls < t->classes.n)
		t->classes.v[cls].flags = flags;
}

/* ---- building ---- */

static struct wh_err *columns_reserve(struct wh_buftab *t, size_t need)
{
	size_t cap;

	if (need <= t->cap)
		return NULL;
	if (need > WH_LIMIT_ROWS - t->run_rows)
		return wh_err_new(WH_ERR_LIMIT, "more than %llu buffers",
				  (unsigned long long)WH_LIMIT_ROWS);
	cap = t->cap;
	WH_TRY(wh_vec_reserve_raw(&t->size, &cap, need, sizeof(*t->size)));
	need = cap;
	/* wh_vec_reserve_raw grows from its cap argument: give each column the same one. */
	cap = t->cap;
	WH_TRY(wh_vec_reserve_raw(&t->cls, &cap, need, sizeof(*t->cls)));
	cap = t->cap;
	WH_TRY(wh_vec_reserve_raw(&t->state, &cap, need, sizeof(*t->state)));
	cap = t->cap;
	WH_TRY(wh_vec_reserve_raw(&t->delta, &cap, need, sizeof(*t->delta)));
	t->cap = need;
	return t->size && t->cls && t->state && t->delta ? NULL : &wh_err_nomem;
}

static struct wh_err *row_append(struct wh_buftab *t, uint16_t cls, uint64_t addr, uint64_t size,
				 uint8_t state)
{
	struct segment *s = t->segments.n ? &t->segments.v[t->segments.n - 1] : NULL;
	size_t i = t->n;

	WH_TRY(columns_reserve(t, i + 1));
	if (size >= SIZE_ESCAPE)
		WH_TRY(WH_VEC_PUSH(&t->large, (struct large_size){i, size}));
	if (s && !s->stride && s->n < SEGMENT_ROWS && addr > s->last &&
	    (addr < s->end || addr - s->end < SEGMENT_GAP) && (addr - s->last) / 8 <= DELTA_MAX) {
		t->delta[i] = (uint32_t)((addr - s->last) / 8);
		s->last = addr;
		s->n++;
	} else {
		WH_TRY(WH_VEC_PUSH(
			&t->segments,
			(struct segment){.base = addr, .last = addr, .first = i, .n = 1}));
		s = &t->segments.v[t->segments.n - 1];
		t->delta[i] = 0;
	}
	if (addr + size > s->end)
		s->end = addr + size;
	t->size[i] = size >= SIZE_ESCAPE ? SIZE_ESCAPE : (uint32_t)size;
	t->cls[i] = cls;
	t->state[i] = state;
	t->n = i + 1;
	return NULL;
}

/* Slots that are all allocated, as one record. */
static struct wh_err *run_append(struct wh_buftab *t, uint16_t cls, uint64_t addr, uint32_t stride,
				 uint32_t size, uint32_t count)
{
	uint64_t last = addr + (uint64_t)(count - 1) * stride;

	if (t->n + t->run_rows + count > WH_LIMIT_ROWS)
		return wh_err_new(WH_ERR_LIMIT, "more than %llu buffers",
				  (unsigned long long)WH_LIMIT_ROWS);
	WH_TRY(WH_VEC_PUSH(&t->segments, (struct segment){.base = addr,
							  .last = last,
							  .end = last + size,
							  .n = count,
							  .stride = stride,
							  .size = size,
							  .cls = cls}));
	t->run_rows += count;
	return NULL;
}

static bool row_acceptable(const struct wh_buftab *t, uint16_t cls, uint64_t addr, uint64_t size,
			   uint64_t count, uint64_t stride)
{
	uint64_t span, end;

	if (cls >= t->classes.n || (addr & 7) || !size ||
	    (count > 1 && ((stride & 7) || stride < size)))
		return false;
	return !__builtin_mul_overflow(stride, count - 1, &span) &&
	       !__builtin_add_overflow(addr, span, &end) &&
	       !__builtin_add_overflow(end, size, &end);
}

struct wh_err *wh_buftab_add_run(struct wh_buftab *t, uint16_t cls, uint64_t addr, uint64_t stride,
				 uint64_t size, uint32_t count, const uint8_t *states)
{
	struct wh_err *e = NULL;
	bool keep_free;

	if (!count)
		return NULL;
	if (t->frozen || !row_acceptable(t, cls, addr, size, count, stride)) {
		wh_diag_add(t->ctx->diags, WH_DIAG_WARN, "buffer-refused", addr,
			    "buffer run at 0x%llx has an impossible address or size",
			    (unsigned long long)addr);
		return NULL;
	}
	keep_free = t->classes.v[cls].flags & WH_CLASS_FREE_SCAN;
	pthread_mutex_lock(&t->lock);
	if (!states && count >= RUN_ROWS && stride < LARGE_ROW) {
		e = run_append(t, cls, addr, (uint32_t)stride, (uint32_t)size, count);
		count = 0;
	}
	for (uint32_t i = 0; i < count && !e; i++) {
		uint8_t st = states ? states[i] : WH_BUF_ALLOCATED;

		if (st != WH_BUF_FREE || keep_free)
			e = row_append(t, cls, addr + i * stride, size, st);
	}
	pthread_mutex_unlock(&t->lock);
	return e;
}

struct wh_err *wh_buftab_add_many(struct wh_buftab *t, const struct wh_buf_row *rows, size_t n)
{
	struct wh_err *e = NULL;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < n && !e; i++) {
		const struct wh_buf_row *r = &rows[i];

		if (t->frozen || !row_acceptable(t, r->cls, r->addr, r->size, 1, 8))
			wh_diag_add(t->ctx->diags, WH_DIAG_WARN, "buffer-refused", r->addr,
				    "buffer at 0x%llx has an impossible address or size",
				    (unsigned long long)r->addr);
		else
			e = row_append(t, r->cls, r->addr, r->size, r->state);
	}
	pthread_mutex_unlock(&t->lock);
	return e;
}

struct wh_err *wh_buftab_add(struct wh_buftab *t, uint16_t cls, uint64_t addr, uint64_t size,
			     enum wh_buf_state state)
{
	return wh_buftab_add_many(t, &(struct wh_buf_row){addr, size, cls, (uint8_t)state}, 1);
}

/* ---- freeze ---- */

static int segment_cmp(const void *pa, const void *pb)
{
	const struct segment *a = pa, *b = pb;

	return a->base < b->base ? -1 : a->base > b->base;
}

/* Walks the rows of a segment.  The columns are those of the building phase. */
struct seg_iter {
	const struct wh_buftab *t;
	const struct segment *g;
	uint32_t i;
	uint64_t addr, size; /* of the current row */
};

static inline bool seg_next(struct seg_iter *it, bool first)
{
	const struct segment *g = it->g;

	it->i = first ? 0 : it->i + 1;
	if (it->i >= g->n)
		return false;
	if (g->stride) {
		it->addr = g->base + (uint64_t)it->i * g->stride;
		it->size = g->size;
	} else {
		/* the first distance may lead from a row that a cut left in another segment */
		it->addr =
			first ? g->base : it->addr + 8 * (uint64_t)it->t->delta[g->first + it->i];
		it->size = buftab_row_size(it->t, (uint32_t)(g->first + it->i));
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

/* First of the sizes that do not fit whose key is @key or above. */
static size_t large_from(const struct wh_buftab *t, uint64_t key)
{
	size_t lo = 0, hi = t->large.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->large.v[mid].key < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint64_t wh_buftab_large_size(const struct wh_buftab *t, uint32_t row)
{
	size_t i = large_from(t, row);

	return i < t->large.n && t->large.v[i].key == row ? t->large.v[i].size : 0;
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
		w[out++] = (struct wide){it.addr, it.size,
					 g->stride ? g->cls : t->cls[g->first + it.i],
					 g->stride ? WH_BUF_ALLOCATED : t->state[g->first + it.i]};
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
	t->n = t->run_rows = t->large.n = t->segments.n = 0;
	for (size_t i = 0; i < n; i++)
		WH_TRY(row_append(t, w[i].cls, w[i].addr, w[i].size, w[i].state));
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

/* Segments in address order; where some reach into others, all of those are cut. */
static struct wh_err *segments_order(struct wh_buftab *t)
{
	segment_vec out = {0};
	struct wh_err *e = NULL;
	size_t n = t->segments.n;

	wh_sort(t->segments.v, n, sizeof(*t->segments.v), segment_cmp);
	for (size_t i = 0, k; i < n && !e; i = k) {
		uint64_t end = t->segments.v[i].end;

		for (k = i + 1; k < n && t->segments.v[k].base < end; k++)
			if (t->segments.v[k].end > end)
				end = t->segments.v[k].end;
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
	WH_VEC(struct region) regions;
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
		f->in_place = f->in_place && !g->stride && g->first == row;
		row += g->n;
		p.end = i + 1;
		if (row - from < SEGMENT_ROWS && i + 1 < t->segments.n)
			continue;
		WH_TRY(WH_VEC_PUSH(&f->portions, p));
		p.first = i + 1;
		from = row;
	}
	return NULL;
}

/* First walk: cut the address space into regions. */
static struct wh_err *region_add(struct portion *p, uint32_t row, uint64_t addr, uint64_t end,
				 bool dense)
{
	struct region *r = p->regions.n ? &p->regions.v[p->regions.n - 1] : NULL;

	if (dense && r && r->dense && addr < r->end + LEAF_GAP) {
		r->end = end;
		return NULL;
	}
	return WH_VEC_PUSH(
		&p->regions,
		(struct region){.start = addr, .end = end, .first_row = row, .dense = dense});
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
			WH_TRY(region_add(p, g->row, g->base, g->end, true));
			continue;
		}
		EACH_ROW(it, t, g)
		{
			p->overlap |= it.addr < prev_end;
			prev_end = it.addr + it.size;
			WH_TRY(region_add(p, g->row + it.i, it.addr, prev_end,
					  it.size < LARGE_ROW));
		}
	}
	return NULL;
}

static struct wh_err *regions_join(struct freeze *f)
{
	struct wh_buftab *t = f->t;
	size_t leaves = 0, at = 0;
	struct portion all = {0};
	struct wh_err *e = NULL;

	for (size_t i = 0; i < f->portions.n; i++) {
		struct portion *p = &f->portions.v[i];

		for (size_t k = 0; k < p->regions.n && !e; k++) {
			const struct region *r = &p->regions.v[k];

			e = region_add(&all, r->first_row, r->start, r->end, r->dense);
		}
		WH_VEC_FINI(&p->regions);
	}
	t->regions = all.regions.v;
	t->n_regions = all.regions.n;
	t->cap_regions = all.regions.cap;
	if (e)
		return e;
	for (size_t i = 0; i < t->n_regions; i++)
		if (t->regions[i].dense)
			leaves += region_leaf_count(&t->regions[i]);
	t->leaves = wh_alloc_table(leaves, sizeof(*t->leaves));
	if (!t->leaves)
		return &wh_err_nomem;
	t->n_leaves = leaves;
	for (size_t i = 0; i < t->n_regions; i++) {
		struct region *r = &t->regions[i];

		if (!r->dense)
			continue;
		r->leaves = &t->leaves[at];
		at += region_leaf_count(r);
	}
	return NULL;
}

/* The region that has @row, by number. */
static size_t region_of(const struct wh_buftab *t, uint32_t row)
{
	size_t lo = 0, hi = t->n_regions;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->regions[mid].first_row <= row)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
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

	if (p->ri + 1 < t->n_regions && t->regions[p->ri + 1].first_row == row) {
		pen_end(p, row);
		p->r = &t->regions[++p->ri];
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
		p->ri = region_of(t, g->row - 1);
		p->last = g[-1].last;
	}
	p->r = &t->regions[p->ri];
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

		for (uint32_t i = 0; i < g->n; i++) {
			if (i)
				addr += g->stride ? g->stride
						  : 8 * (uint64_t)t->delta[g->first + i];
			pen_row(&pen, g->row + i, addr);
		}
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
	struct large_size *v;
	size_t out = 0;

	if (!t->large.n)
		return NULL;
	v = wh_calloc(t->large.n, sizeof(*v));
	if (!v)
		return &wh_err_nomem;
	for (size_t s = 0; s < t->segments.n; s++) {
		const struct segment *g = &t->segments.v[s];

		for (size_t i = g->stride ? t->large.n : large_from(t, g->first);
		     i < t->large.n && t->large.v[i].key < g->first + g->n; i++)
			v[out++] = (struct large_size){g->row + t->large.v[i].key - g->first,
						       t->large.v[i].size};
	}
	free(t->large.v);
	t->large.v = v;
	t->large.cap = t->large.n;
	return NULL;
}

static struct wh_err *columns_make(struct freeze *f, size_t rows)
{
	if (f->in_place)
		return NULL;
	f->size = wh_alloc_table(rows, sizeof(*f->size)); /* looked up at random, like the leaves */
	f->cls = wh_calloc(rows, sizeof(*f->cls));
	f->state = wh_calloc(rows, sizeof(*f->state));
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

	for (size_t i = 0; i < t->n_regions; i++)
		want += ((t->regions[i].end - 1) >> SLOT_SHIFT) -
			(t->regions[i].start >> SLOT_SHIFT) + 1;
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
	for (size_t i = 0; i < t->n_regions; i++)
		for (uint64_t k = t->regions[i].start >> SLOT_SHIFT;
		     k <= (t->regions[i].end - 1) >> SLOT_SHIFT; k++)
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
	if (e)
		return e;
	if (t->n) {
		t->min = t->regions[0].start;
		t->max = t->regions[t->n_regions - 1].end;
	}
	free(t->delta);
	t->delta = NULL;
	WH_VEC_FINI(&t->segments);
	t->frozen = true;
	return NULL;
}

/* ---- reading ---- */

static uint32_t find_start(const struct wh_buftab *t, uint64_t addr, uint64_t *ret_start)
{
	const struct region *r = t->n ? buftab_region(t, addr) : NULL;

	if (!r)
		return WH_ROW_NONE;
	if (r->dense)
		return leaf_find(t, region_leaf(r, addr), addr, ret_start);
	*ret_start = r->start;
	return r->first_row;
}

uint32_t wh_buftab_find(const struct wh_buftab *t, uint64_t addr)
{
	uint64_t start;

	return find_start(t, addr, &start);
}

bool wh_buftab_set_state(struct wh_buftab *t, uint64_t addr, enum wh_buf_state state)
{
	uint32_t row = wh_buftab_find(t, addr);

	if (row == WH_ROW_NONE)
		return false;
	t->state[row] = (uint8_t)state;
	return true;
}

void wh_buftab_set_row_state(struct wh_buftab *t, uint32_t row, enum wh_buf_state state)
{
	t->state[row] = (uint8_t)state;
}

uint64_t wh_buftab_addr(const struct wh_buftab *t, uint32_t row)
{
	const struct region *r = &t->regions[region_of(t, row)];
	size_t lo = 0, hi;
	uint64_t bits;
	uint32_t k;

	if (!r->dense)
		return r->start;
	hi = region_leaf_count(r);
	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->leaves[mid].rank <= row)
			lo = mid;
		else
			hi = mid;
	}
	bits = r->leaves[lo].bits;
	for (k = row - r->leaves[lo].rank; k && bits; k--)
		bits &= bits - 1;
	return leaf_base(r, lo) + 8 * (uint64_t)(bits ? __builtin_ctzll(bits) : 0);
}

uint32_t wh_buftab_lower_bound(const struct wh_buftab *t, uint64_t addr)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (wh_buftab_addr(t, (uint32_t)mid) < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (uint32_t)lo;
}

uint64_t wh_buftab_count(const struct wh_buftab *t)
{
	return t->n + t->run_rows;
}

uint64_t wh_buftab_size(const struct wh_buftab *t, uint32_t row)
{
	return buftab_row_size(t, row);
}

enum wh_buf_state wh_buftab_state(const struct wh_buftab *t, uint32_t row)
{
	return t->state[row];
}

uint16_t wh_buftab_class_of(const struct wh_buftab *t, uint32_t row)
{
	return t->cls[row];
}

const struct wh_class *wh_buftab_class(const struct wh_buftab *t, uint16_t cls)
{
	return &t->classes.v[cls];
}

uint16_t wh_buftab_class_count(const struct wh_buftab *t)
{
	return (uint16_t)t->classes.n;
}

void wh_buftab_bounds(const struct wh_buftab *t, uint64_t *ret_min, uint64_t *ret_max)
{
	*ret_min = t->min;
	*ret_max = t->max;
}

uint64_t wh_buftab_memory(const struct wh_buftab *t)
{
	return t->cap * (sizeof(*t->size) + sizeof(*t->cls) + sizeof(*t->state)) +
	       (t->delta ? t->cap * sizeof(*t->delta) : 0) + t->n_leaves * sizeof(*t->leaves) +
	       t->cap_regions * sizeof(*t->regions) +
	       (t->slots ? (t->slot_mask + 1) * sizeof(*t->slots) : 0);
}

/* ---- iteration ---- */

static void iter_leaf(struct row_iter *it, size_t leaf)
{
	const struct region *r = &it->t->regions[it->region];

	it->leaf = leaf;
	it->base = leaf_base(r, leaf);
	it->bits = r->leaves[leaf].bits;
}

static void iter_enter(struct row_iter *it)
{
	const struct region *r = &it->t->regions[it->region];

	it->have_large = !r->dense;
	it->next = r->first_row;
	it->bits = 0;
	if (r->dense)
		iter_leaf(it, 0);
}

void wh_row_iter_init(struct row_iter *it, const struct wh_buftab *t, uint64_t addr)
{
	size_t lo = 0, hi = t->n_regions;
	const struct region *r;
	uint64_t start;

	*it = (struct row_iter){.t = t};
	while (lo < hi) { /* first region that ends above addr */
		size_t mid = lo + (hi - lo) / 2;

		if (t->regions[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	it->region = lo;
	if (lo == t->n_regions)
		return;
	iter_enter(it);
	r = &t->regions[lo];
	if (!r->dense || addr <= r->start)
		return;
	if (leaf_find(t, region_leaf(r, addr), addr, &start) == WH_ROW_NONE)
		start = addr;
	iter_leaf(it, (size_t)((start >> LEAF_SHIFT) - (r->start >> LEAF_SHIFT)));
	it->next = r->leaves[it->leaf].rank;
	while (it->bits && it->base + 8 * (uint64_t)__builtin_ctzll(it->bits) < start) {
		it->bits &= it->bits - 1;
		it->next++;
	}
}

bool wh_row_iter_leave(struct row_iter *it)
{
	const struct wh_buftab *t = it->t;

	for (; it->region < t->n_regions;
	     it->region++, it->region < t->n_regions ? iter_enter(it) : (void)0) {
		const struct region *r = &t->regions[it->region];
		size_t n;

		if (!r->dense) {
			if (!it->have_large)
				continue;
			it->have_large = false;
			it->start = r->start;
			it->row = it->next++;
			return true;
		}
		n = region_leaf_count(r);
		while (!it->bits && it->leaf + 1 < n)
			iter_leaf(it, it->leaf + 1);
		if (it->bits)
			return row_iter_next(it);
	}
	return false;
}
