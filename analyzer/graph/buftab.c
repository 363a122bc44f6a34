/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Problem: hundreds of millions of words are asked "do you point into a buffer, and which?", so the
 * answer must cost one or two cache misses; and the table must stay at about ten bytes a row.
 *
 *	building:  columns grow row by row, each stored as a distance from the last, so that nothing keeps
 *	           8-byte addresses; a run of equal slots (a full slab) is one record, and so is a part,
 *	           which a heap's walker wrote by itself (bufpart.c)
 *	freeze:    buftab_freeze.c
 *
 * Invariants once frozen: rows are in address order; row i ends at or below the start of row i+1; every
 * start is 8-aligned and is exactly one set bit; columns other than `state` never change.
 */
#include "analyzer/graph/buftab_priv.h"

#include <string.h>

#include "analyzer/base/limits.h"

#define DELTA_MAX    UINT32_MAX
#define SEGMENT_ROWS (1u << 16) /* so that workers find segments to share */
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

void wh_buftab_built(struct wh_buftab *t)
{
	for (size_t i = 0; i < t->segments.n; i++)
		wh_buf_part_destroy(t->segments.v[i].part);
	for (size_t i = 0; i < t->writers.n; i++)
		free(t->writers.v[i]);
	WH_VEC_FINI(&t->segments);
	WH_VEC_FINI(&t->writers);
	free(t->delta);
	t->delta = NULL;
}

void wh_buftab_destroy(struct wh_buftab *t)
{
	if (!t)
		return;
	wh_buftab_built(t);
	pthread_mutex_destroy(&t->lock);
	WH_VEC_FINI(&t->classes);
	WH_VEC_FINI(&t->large);
	free(t->size);
	free(t->cls);
	free(t->state);
	WH_VEC_FINI(&t->regions);
	free(t->slots);
	free(t->leaves);
	free(t->page_runs);
	WH_VEC_FINI(&t->kinds);
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

struct wh_err *wh_buftab_row_append(struct wh_buftab *t, uint16_t cls, uint64_t addr, uint64_t size,
				    uint8_t state)
{
	struct segment *s = t->segments.n ? &t->segments.v[t->segments.n - 1] : NULL;
	size_t i = t->n;

	WH_TRY(columns_reserve(t, i + 1));
	if (size >= SIZE_ESCAPE)
		WH_TRY(WH_VEC_PUSH(&t->large, (struct large_size){i, size}));
	if (s && !s->stride && !s->part && s->first + s->n == i && s->n < SEGMENT_ROWS &&
	    addr > s->last && (addr < s->end || addr - s->end < SEGMENT_GAP) &&
	    (addr - s->last) / 8 <= DELTA_MAX) {
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

bool wh_buftab_acceptable(const struct wh_buftab *t, uint16_t cls, uint64_t addr, uint64_t size,
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
	if (t->frozen || !wh_buftab_acceptable(t, cls, addr, size, count, stride)) {
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
			e = wh_buftab_row_append(t, cls, addr + i * stride, size, st);
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

		if (t->frozen || !wh_buftab_acceptable(t, r->cls, r->addr, r->size, 1, 8))
			wh_diag_add(t->ctx->diags, WH_DIAG_WARN, "buffer-refused", r->addr,
				    "buffer at 0x%llx has an impossible address or size",
				    (unsigned long long)r->addr);
		else
			e = wh_buftab_row_append(t, r->cls, r->addr, r->size, r->state);
	}
	pthread_mutex_unlock(&t->lock);
	return e;
}

struct wh_err *wh_buftab_add(struct wh_buftab *t, uint16_t cls, uint64_t addr, uint64_t size,
			     enum wh_buf_state state)
{
	return wh_buftab_add_many(t, &(struct wh_buf_row){addr, size, cls, (uint8_t)state}, 1);
}

/* ---- reading ---- */

size_t wh_buftab_large_from(const struct wh_buftab *t, uint64_t key)
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
	size_t i = wh_buftab_large_from(t, row);

	return i < t->large.n && t->large.v[i].key == row ? t->large.v[i].size : 0;
}

static uint32_t find_start(const struct wh_buftab *t, uint64_t addr, uint64_t *ret_start)
{
	const struct region *r = t->n ? buftab_region(t, addr) : NULL;
	uint32_t row;

	if (!r)
		return WH_ROW_NONE;
	if (!r->dense) {
		*ret_start = r->start;
		return r->first_row;
	}
	row = r->runs ? run_find(t, region_run(r, addr), addr, ret_start) : WH_ROW_NONE;
	return row != WH_ROW_NONE ? row : leaf_find(t, region_leaf(r, addr), addr, ret_start);
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
	const struct region *r = &t->regions.v[buftab_region_of_row(t, row)];
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

uint64_t wh_buftab_memory(const struct wh_buftab *t)
{
	return t->cap * (sizeof(*t->size) + sizeof(*t->cls) + sizeof(*t->state)) +
	       (t->delta ? t->cap * sizeof(*t->delta) : 0) + t->n_leaves * sizeof(*t->leaves) +
	       t->n_page_runs * sizeof(*t->page_runs) + t->regions.cap * sizeof(*t->regions.v) +
	       (t->slots ? (t->slot_mask + 1) * sizeof(*t->slots) : 0);
}

/* ---- iteration ---- */

static void iter_leaf(struct row_iter *it, size_t leaf)
{
	const struct region *r = &it->t->regions.v[it->region];

	it->leaf = leaf;
	it->base = leaf_base(r, leaf);
	it->bits = r->leaves[leaf].bits;
}

static void iter_enter(struct row_iter *it)
{
	const struct region *r = &it->t->regions.v[it->region];

	it->have_large = !r->dense;
	it->next = r->first_row;
	it->bits = 0;
	if (r->dense)
		iter_leaf(it, 0);
}

void wh_row_iter_init(struct row_iter *it, const struct wh_buftab *t, uint64_t addr)
{
	size_t lo = 0, hi = t->regions.n;
	const struct region *r;
	uint64_t start;

	*it = (struct row_iter){.t = t};
	while (lo < hi) { /* first region that ends above addr */
		size_t mid = lo + (hi - lo) / 2;

		if (t->regions.v[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	it->region = lo;
	if (lo == t->regions.n)
		return;
	iter_enter(it);
	r = &t->regions.v[lo];
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

	for (; it->region < t->regions.n;
	     it->region++, it->region < t->regions.n ? iter_enter(it) : (void)0) {
		const struct region *r = &t->regions.v[it->region];
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
