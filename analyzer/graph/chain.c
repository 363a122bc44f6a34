/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Problem: every verdict can be questioned.  For a buffer that is not leaked: which root holds it, through
 * whom?  In parents mode the scan stored every reference and marked nothing; here a breadth-first walk from
 * the rows that roots hold gives each row its shortest chain.
 *
 *	root word ──► row 17 ──► row 4 ──► row 99	parent[99] = 4, parent[4] = 17, parent[17] = root
 *
 * Invariants: among equal lengths the lowest parent row wins, and the lowest root word, so that the chain
 * does not depend on threads.  Rows reached only through interior pointers (user rules) come second.
 */
#include "analyzer/graph/mark_priv.h"

#include <string.h>

#include "analyzer/base/order.h"

static int root_hit_cmp(const void *pa, const void *pb)
{
	const struct root_hit *a = pa, *b = pb;

	if (a->row != b->row)
		return a->row < b->row ? -1 : 1;
	if (a->interior != b->interior)
		return a->interior ? 1 : -1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->where != b->where)
		return a->where < b->where ? -1 : 1;
	return a->note < b->note ? -1 : a->note > b->note;
}

/* All workers' root hits, the best one of each row only. */
static struct wh_err *root_hits_merge(struct wh_marks *m)
{
	size_t out = 0;

	for (unsigned int i = 0; i < m->n_workers; i++)
		for (size_t k = 0; k < m->workers[i].root_hits.n; k++)
			WH_TRY(WH_VEC_PUSH(&m->root_hits, m->workers[i].root_hits.v[k]));
	if (!m->root_hits.n)
		return NULL;
	wh_sort(m->root_hits.v, m->root_hits.n, sizeof(*m->root_hits.v), root_hit_cmp);
	for (size_t i = 1; i < m->root_hits.n; i++)
		if (m->root_hits.v[i].row != m->root_hits.v[out].row)
			m->root_hits.v[++out] = m->root_hits.v[i];
	m->root_hits.n = out + 1;
	return NULL;
}

struct bfs {
	struct wh_marks *m;
	WH_VEC(uint32_t) now, next, ruled;
	uint8_t level; /* that this walk gives */
};

static bool row_visit(struct bfs *b, uint32_t row, uint32_t parent)
{
	if (atomic_load_explicit(&b->m->level[row], memory_order_relaxed))
		return false;
	atomic_store_explicit(&b->m->level[row], b->level, memory_order_relaxed);
	b->m->parent[row] = parent;
	return true;
}

static struct wh_err *row_expand(struct bfs *b, uint32_t row)
{
	const struct edges *e = &b->m->edges;

	for (uint32_t i = atomic_load(&e->head[row]); i;) {
		const uint32_t *batch = edge_batch(e, i);

		for (uint32_t k = 0; k < batch[1]; k++) {
			uint32_t to = batch[2 + k] & ~EDGE_INTERIOR;

			if (b->level == LEVEL_FULL && (batch[2 + k] & EDGE_INTERIOR))
				continue;
			if (row_visit(b, to, row))
				WH_TRY(WH_VEC_PUSH(&b->next, to));
		}
		i = batch[0];
	}
	return NULL;
}

static struct wh_err *walk(struct bfs *b)
{
	while (b->now.n) {
		wh_sort(b->now.v, b->now.n, sizeof(*b->now.v), wh_cmp_u32);
		b->next.n = 0;
		for (size_t i = 0; i < b->now.n; i++)
			WH_TRY(row_expand(b, b->now.v[i]));
		b->now.n = 0;
		for (size_t i = 0; i < b->next.n; i++)
			WH_TRY(WH_VEC_PUSH(&b->now, b->next.v[i]));
	}
	return NULL;
}

static struct wh_err *levels_give(struct bfs *b, uint8_t level)
{
	struct wh_marks *m = b->m;

	b->level = level;
	b->now.n = 0;
	/* The second walk starts from everything that the first one reached. */
	for (uint32_t row = 0; level == LEVEL_INTERIOR && row < m->t->n; row++)
		if (atomic_load_explicit(&m->level[row], memory_order_relaxed))
			WH_TRY(WH_VEC_PUSH(&b->now, row));
	for (size_t i = 0; i < m->root_hits.n; i++) {
		const struct root_hit *h = &m->root_hits.v[i];

		if ((level == LEVEL_INTERIOR || !h->interior) && row_visit(b, h->row, ROW_ROOT))
			WH_TRY(WH_VEC_PUSH(&b->now, h->row));
	}
	return walk(b);
}

/* Rows that are reached by rule, not by a word: the scan raised them.  Put back until words had their turn. */
static struct wh_err *ruled_rows_take(struct bfs *b)
{
	for (uint32_t row = 0; row < b->m->t->n; row++)
		if (atomic_load_explicit(&b->m->level[row], memory_order_relaxed)) {
			atomic_store_explicit(&b->m->level[row], LEVEL_NONE, memory_order_relaxed);
			WH_TRY(WH_VEC_PUSH(&b->ruled, row));
		}
	return NULL;
}

static struct wh_err *ruled_rows_walk(struct bfs *b)
{
	b->level = LEVEL_FULL;
	for (size_t i = 0; i < b->ruled.n; i++)
		if (row_visit(b, b->ruled.v[i], b->ruled.v[i]))
			WH_TRY(WH_VEC_PUSH(&b->now, b->ruled.v[i]));
	return walk(b);
}

struct wh_err *wh_chain_run(struct wh_marks *m)
{
	struct bfs b = {.m = m};
	struct wh_err *e;

	if (atomic_load(&m->edges.full))
		return wh_err_new(WH_ERR_LIMIT, "too many references for chains of holders");
	m->parent = malloc((m->t->n ? m->t->n : 1) * sizeof(*m->parent));
	if (!m->parent)
		return &wh_err_nomem;
	for (uint32_t row = 0; row < m->t->n; row++)
		m->parent[row] = row;
	e = root_hits_merge(m);
	if (!e)
		e = ruled_rows_take(&b);
	if (!e)
		e = levels_give(&b, LEVEL_FULL);
	if (!e)
		e = ruled_rows_walk(&b);
	if (!e && m->opts.start_pointers)
		e = levels_give(&b, LEVEL_INTERIOR);
	WH_VEC_FINI(&b.now);
	WH_VEC_FINI(&b.next);
	WH_VEC_FINI(&b.ruled);
	return e;
}

/* The first word of @holder that points into @row; 0 when it cannot be read again. */
static uint64_t word_find(const struct wh_marks *m, struct wh_reader *r, uint32_t holder,
			  uint32_t row)
{
	uint64_t at = wh_buftab_addr(m->t, holder), end = at + buftab_row_size(m->t, holder);
	uint64_t lo = wh_buftab_addr(m->t, row), size = buftab_row_size(m->t, row), v;

	for (at = (at + m->abi.word - 1) & ~(uint64_t)(m->abi.word - 1); at + m->abi.word <= end;
	     at += m->abi.word) {
		if (!wh_read_word(r, at, &v))
			continue;
		v = wh_plan_untag(m->plan, v);
		if (v - lo < size)
			return at;
		if ((m->t->classes.v[m->t->cls[row]].flags & WH_CLASS_ALIASED) &&
		    wh_plan_alias_find(m->plan, v, &v) && v - lo < size)
			return at;
	}
	return 0;
}

static const struct root_hit *root_hit_find(const struct wh_marks *m, uint32_t row)
{
	size_t lo = 0, hi = m->root_hits.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->root_hits.v[mid].row < row)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < m->root_hits.n && m->root_hits.v[lo].row == row ? &m->root_hits.v[lo] : NULL;
}

struct wh_err *wh_marks_chain(const struct wh_marks *m, uint32_t row, struct wh_holder **ret,
			      size_t *ret_n)
{
	WH_VEC(struct wh_holder) chain = {0};
	struct wh_reader *r = NULL;
	struct wh_err *e;

	if (!m->parent || row >= m->t->n)
		return wh_err_new(WH_ERR_INTERNAL, "no chains were kept");
	e = wh_reader_create(m->mem, &r);
	while (!e && m->parent[row] != row) {
		uint32_t holder = m->parent[row];
		struct wh_holder h = {.row = holder};

		if (holder == ROW_ROOT) {
			const struct root_hit *rh = root_hit_find(m, row);

			if (rh)
				h = (struct wh_holder){WH_ROW_NONE, rh->kind, rh->where, rh->note};
			e = WH_VEC_PUSH(&chain, h);
			break;
		}
		h.where = word_find(m, r, holder, row);
		e = WH_VEC_PUSH(&chain, h);
		row = holder;
	}
	wh_reader_destroy(r);
	if (e) {
		WH_VEC_FINI(&chain);
		return e;
	}
	for (size_t i = 0; i < chain.n / 2; i++) { /* root first */
		struct wh_holder x = chain.v[i];

		chain.v[i] = chain.v[chain.n - 1 - i];
		chain.v[chain.n - 1 - i] = x;
	}
	*ret = chain.v;
	*ret_n = chain.n;
	return NULL;
}
