/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Problem: hundreds of millions of words are asked "do you point into a buffer, and which?", so the
 * answer must cost one or two cache misses; and the table must stay at about ten bytes a row.
 *
 *	building:  columns grow row by row; a segment is a run of rows with rising addresses, each
 *	           stored as a distance from the last, so that nothing keeps 8-byte addresses
 *	freeze:    segments sorted (usually they already are), else merged ─► overlaps, if there are any,
 *	           settled ─► regions and leaves (buftab_priv.h) ─► distances dropped
 *
 * Invariants once frozen: rows are in address order; row i ends at or below the start of row i+1; every
 * start is 8-aligned and is exactly one set bit; columns other than `state` never change.
 */
#include "analyzer/graph/buftab_priv.h"

#include <string.h>

#include "analyzer/base/limits.h"

#define DELTA_MAX UINT32_MAX

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
	if (need > WH_LIMIT_ROWS)
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
	if (s && addr > s->last && (addr - s->last) / 8 <= DELTA_MAX) {
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

static bool segments_disjoint(const struct wh_buftab *t)
{
	for (size_t i = 1; i < t->segments.n; i++)
		if (t->segments.v[i].base < t->segments.v[i - 1].end)
			return false;
	return true;
}

static bool segments_in_order(const struct wh_buftab *t)
{
	for (size_t i = 1; i < t->segments.n; i++)
		if (t->segments.v[i].first < t->segments.v[i - 1].first)
			return false;
	return true;
}

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

static uint64_t large_lookup(const struct wh_buftab *t, uint64_t key)
{
	size_t lo = 0, hi = t->large.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->large.v[mid].key < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < t->large.n && t->large.v[lo].key == key ? t->large.v[lo].size : 0;
}

uint64_t wh_buftab_large_size(const struct wh_buftab *t, uint32_t row)
{
	return large_lookup(t, row);
}

static struct wh_err *widen(const struct wh_buftab *t, struct wide **ret)
{
	struct wide *w = wh_calloc(t->n, sizeof(*w));

	if (!w)
		return &wh_err_nomem;
	for (size_t s = 0; s < t->segments.n; s++) {
		const struct segment *g = &t->segments.v[s];
		uint64_t addr = g->base;

		for (size_t i = g->first; i < g->first + g->n; i++) {
			addr += 8 * (uint64_t)t->delta[i];
			w[i] = (struct wide){addr, buftab_row_size(t, (uint32_t)i), t->cls[i],
					     t->state[i]};
		}
	}
	*ret = w;
	return NULL;
}

/* Cuts or drops rows until each ends below the next; returns how many are left. */
static size_t settle(struct wh_buftab *t, struct wide *w)
{
	size_t out = 0;

	for (size_t i = 0; i < t->n; i++) {
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

/* The slow path: some rows were written out of order or overlap. */
static struct wh_err *rebuild_sorted(struct wh_buftab *t)
{
	WH_AUTO_FREE struct wide *w = NULL;
	size_t n;

	WH_TRY(widen(t, &w));
	wh_sort(w, t->n, sizeof(*w), wide_cmp);
	n = settle(t, w);
	t->n = t->large.n = t->segments.n = 0;
	for (size_t i = 0; i < n; i++)
		WH_TRY(row_append(t, w[i].cls, w[i].addr, w[i].size, w[i].state));
	return NULL;
}

/* One segment on its way through the merge. */
struct cursor {
	uint64_t addr; /* of its next row */
	size_t i, end; /* columns not yet taken */
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

/* Takes rows of @from in address order; *ret_overlap when two overlap, and then @t is incomplete. */
static struct wh_err *merge_into(struct wh_buftab *t, const struct wh_buftab *from,
				 bool *ret_overlap)
{
	WH_AUTO_FREE struct cursor *heap = wh_calloc(from->segments.n, sizeof(*heap));
	size_t n = from->segments.n;
	uint64_t prev_end = 0;

	if (!heap)
		return &wh_err_nomem;
	WH_TRY(columns_reserve(t, from->n));
	for (size_t s = 0; s < n; s++) { /* sorted by base: a heap already */
		const struct segment *g = &from->segments.v[s];

		heap[s] = (struct cursor){.addr = g->base, .i = g->first, .end = g->first + g->n};
	}
	while (n) {
		struct cursor *c = &heap[0];
		/* While no other segment comes in between, rows flow without touching the heap. */
		uint64_t next = n < 2 ? UINT64_MAX : heap[1].addr;

		if (n > 2 && heap[2].addr < next)
			next = heap[2].addr;
		do {
			uint64_t size = buftab_row_size(from, (uint32_t)c->i);

			if (c->addr < prev_end) {
				*ret_overlap = true;
				return NULL;
			}
			prev_end = c->addr + size;
			WH_TRY(row_append(t, from->cls[c->i], c->addr, size, from->state[c->i]));
			c->i++;
			c->addr += c->i < c->end ? 8 * (uint64_t)from->delta[c->i] : 0;
		} while (c->i < c->end && c->addr < next);
		if (c->i == c->end)
			heap[0] = heap[--n];
		heap_sift(heap, n, 0);
	}
	return NULL;
}

static void columns_free(struct wh_buftab *t)
{
	free(t->size);
	free(t->cls);
	free(t->state);
	free(t->delta);
	WH_VEC_FINI(&t->large);
	WH_VEC_FINI(&t->segments);
}

/* Rows rise within segments, but segments interleave: merge them. */
static struct wh_err *merge(struct wh_buftab *t, bool *ret_overlap)
{
	struct wh_buftab from = *t;
	struct wh_err *e;

	t->size = NULL, t->cls = NULL, t->state = NULL, t->delta = NULL;
	t->n = t->cap = 0;
	memset(&t->large, 0, sizeof(t->large));
	memset(&t->segments, 0, sizeof(t->segments));
	*ret_overlap = false;
	e = merge_into(t, &from, ret_overlap);
	if (!e && *ret_overlap) {
		struct wh_buftab half = *t;

		columns_free(&half);
		t->size = from.size, t->cls = from.cls, t->state = from.state,
		t->delta = from.delta;
		t->n = from.n, t->cap = from.cap;
		t->large.v = from.large.v, t->large.n = from.large.n, t->large.cap = from.large.cap;
		t->segments.v = from.segments.v, t->segments.n = from.segments.n;
		t->segments.cap = from.segments.cap;
		return NULL;
	}
	columns_free(&from);
	return e;
}

/* Within a segment rows rise, but one may still reach into the next. */
static bool rows_disjoint(const struct wh_buftab *t)
{
	uint64_t prev_end = 0;

	for (size_t s = 0; s < t->segments.n; s++) {
		const struct segment *g = &t->segments.v[s];
		uint64_t addr = g->base;

		for (size_t i = g->first; i < g->first + g->n; i++) {
			addr += 8 * (uint64_t)t->delta[i];
			if (addr < prev_end)
				return false;
			prev_end = addr + buftab_row_size(t, (uint32_t)i);
		}
	}
	return true;
}

/* Calls @fn for each row in address order. */
typedef struct wh_err *(*row_fn)(struct wh_buftab *t, uint32_t row, uint64_t addr, uint64_t size);
static struct wh_err *each_row(struct wh_buftab *t, row_fn fn)
{
	uint32_t row = 0;

	for (size_t s = 0; s < t->segments.n; s++) {
		const struct segment *g = &t->segments.v[s];
		uint64_t addr = g->base;

		for (size_t i = g->first; i < g->first + g->n; i++, row++) {
			addr += 8 * (uint64_t)t->delta[i];
			WH_TRY(fn(t, row, addr, buftab_row_size(t, row)));
		}
	}
	return NULL;
}

/* First walk: cut the address space into regions and count their leaves. */
static struct wh_err *region_row(struct wh_buftab *t, uint32_t row, uint64_t addr, uint64_t size)
{
	bool dense = size < LARGE_ROW;
	struct region *r = t->n_regions ? &t->regions[t->n_regions - 1] : NULL;

	if (dense && r && r->dense && addr < r->end + LEAF_GAP) {
		r->end = addr + size;
		return NULL;
	}
	WH_TRY(wh_vec_reserve_raw(&t->regions, &t->cap_regions, t->n_regions + 1,
				  sizeof(*t->regions)));
	t->regions[t->n_regions++] = (struct region){
		.start = addr, .end = addr + size, .first_row = row, .dense = dense};
	return NULL;
}

static struct wh_err *regions_make(struct wh_buftab *t)
{
	size_t leaves = 0, at = 0;

	t->n_regions = 0;
	WH_TRY(each_row(t, region_row));
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

/* Second walk: set the start bits of dense regions. */
static struct wh_err *bits_fill(struct wh_buftab *t)
{
	size_t ri = 0;
	uint32_t row = 0;

	for (size_t s = 0; s < t->segments.n; s++) {
		const struct segment *g = &t->segments.v[s];
		uint64_t addr = g->base;

		for (size_t i = g->first; i < g->first + g->n; i++, row++) {
			addr += 8 * (uint64_t)t->delta[i];
			while (ri + 1 < t->n_regions && t->regions[ri + 1].first_row <= row)
				ri++;
			if (t->regions[ri].dense)
				t->regions[ri]
					.leaves[(addr >> LEAF_SHIFT) -
						(t->regions[ri].start >> LEAF_SHIFT)]
					.bits |= 1ull << ((addr >> 3) & 63);
		}
	}
	return NULL;
}

/* Third: ranks and back references, from the bits alone. */
static void ranks_fill(struct wh_buftab *t)
{
	for (size_t i = 0; i < t->n_regions; i++) {
		struct region *r = &t->regions[i];
		size_t n = r->dense ? region_leaf_count(r) : 0;
		uint32_t rank = r->first_row;
		uint64_t last = 0;
		bool have = false;

		for (size_t k = 0; k < n; k++) {
			struct leaf *l = &r->leaves[k];
			uint64_t base = leaf_base(r, k);

			l->rank = rank;
			l->back = have && (base - last) / 8 < UINT32_MAX
					  ? (uint32_t)((base - last) / 8)
					  : 0;
			if (!l->bits)
				continue;
			rank += bits_count(l->bits);
			last = base + 8 * (uint64_t)(63 - __builtin_clzll(l->bits));
			have = true;
		}
	}
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

struct wh_err *wh_buftab_freeze(struct wh_buftab *t)
{
	bool overlap = false;

	if (t->frozen)
		return NULL;
	wh_sort(t->segments.v, t->segments.n, sizeof(*t->segments.v), segment_cmp);
	/* The usual case needs no work; interleaved segments are merged; overlaps are sorted out slowly. */
	if (!segments_disjoint(t) || !segments_in_order(t) || !rows_disjoint(t))
		WH_TRY(merge(t, &overlap));
	if (overlap)
		WH_TRY(rebuild_sorted(t));
	WH_TRY(regions_make(t));
	WH_TRY(bits_fill(t));
	ranks_fill(t);
	WH_TRY(slots_fill(t));
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

/* First region whose rows reach @row; regions are in row order. */
static const struct region *region_of_row(const struct wh_buftab *t, uint32_t row)
{
	size_t lo = 0, hi = t->n_regions;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->regions[mid].first_row <= row)
			lo = mid;
		else
			hi = mid;
	}
	return &t->regions[lo];
}

uint64_t wh_buftab_addr(const struct wh_buftab *t, uint32_t row)
{
	const struct region *r = region_of_row(t, row);
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
	return t->n;
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

bool wh_row_iter_next(struct row_iter *it)
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
