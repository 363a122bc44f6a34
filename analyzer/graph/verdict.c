/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Problem: of the buffers that nothing reaches, which one is the leak, and what merely hangs off it?
 *
 *	A ──► B ──► C        A is the head; B and C are indirect
 *	D ◄──► E ──► F       a cycle: its most telling member is the head, the others and F are indirect
 *
 * The edges left over from marking are the graph.  Its strongly connected components (Tarjan) are visited
 * sources first: a component that no covered component points at is a head; everything below takes the
 * lowest head that covers it, so each buffer hangs off exactly one.  Rows that are never reported (a kernel
 * page) are links of the graph but cover nothing by themselves.
 *
 * In a cycle everything holds everything; the head is what looks most like the owner (struct rank): the
 * net_device rather than its queues, the struct with the list head rather than an element.
 *
 * Before that: what an unreadable buffer could have held is UNKNOWN, not leaked.  A class of one type that
 * was unreadable in part "could hold" what its readable members point at (class_edges); one of mixed
 * contents (a size class, pages), one of which nothing was readable, or unreadable root memory could hold
 * anything.  UNKNOWN spreads along edges.
 *
 * Invariants: results depend on the set of edges only, never on their order.
 */
#include "analyzer/graph/mark_priv.h"

#include <string.h>

#include "analyzer/base/order.h"

struct graph {
	struct wh_marks *m;
	WH_VEC(uint32_t) rows; /* unreached and judged, ascending */
	uint32_t *first;       /* CSR: n + 1 offsets into to */
	uint32_t *to;	       /* indices into rows */
	uint8_t *unknown;
	uint32_t *comp; /* component of each node; sources have the highest numbers */
	uint32_t n_comps;
	uint32_t *order; /* nodes sorted by component, descending */
};

static void graph_fini(struct graph *g)
{
	WH_VEC_FINI(&g->rows);
	free(g->first);
	free(g->to);
	free(g->unknown);
	free(g->comp);
	free(g->order);
}

/* The first row from @row on that is not fully reached: eight at a time, as nearly all are. */
static uint32_t row_unreached(const struct wh_marks *m, uint32_t row)
{
	const uint64_t mask = LEVEL_MASK * 0x0101010101010101ull;
	uint32_t n = (uint32_t)m->t->n;

	while (row < n) {
		uint64_t eight;

		if (n - row >= 8) {
			/* Nobody writes any more: plain bytes. */
			memcpy(&eight, (const void *)&m->level[row], 8);
			if ((eight & mask) == LEVEL_FULL * 0x0101010101010101ull) {
				row += 8;
				continue;
			}
		}
		if (level_of(m, row) != LEVEL_FULL)
			break;
		row++;
	}
	return row;
}

static bool row_reported(const struct wh_buftab *t, uint32_t row)
{
	return !(t->classes.v[t->cls[row]].flags & WH_CLASS_NOREPORT);
}

static uint32_t node_find(const struct graph *g, uint32_t row)
{
	size_t i = wh_bound_u32(g->rows.v, g->rows.n, row);

	return i < g->rows.n && g->rows.v[i] == row ? (uint32_t)i : UINT32_MAX;
}

static struct wh_err *nodes_collect(struct graph *g)
{
	const struct wh_buftab *t = g->m->t;

	for (uint32_t row = 0; (row = row_unreached(g->m, row)) < t->n; row++)
		if (level_of(g->m, row) == LEVEL_NONE && row_judged(t, row))
			WH_TRY(WH_VEC_PUSH(&g->rows, row));
	return NULL;
}

/* Calls the body for each stored target of node @i that is a node itself. */
static uint32_t node_targets(const struct graph *g, uint32_t i, uint32_t *out)
{
	const struct edges *e = &g->m->edges;
	uint32_t n = 0;

	for (uint32_t b = atomic_load(&e->head[g->rows.v[i]]); b;) {
		const uint32_t *batch = edge_batch(e, b);

		for (uint32_t k = 0; k < batch[1]; k++) {
			uint32_t to = batch[2 + k] & ~EDGE_INTERIOR, node;

			if (level_of(g->m, to) != LEVEL_NONE)
				continue;
			node = node_find(g, to);
			if (node == UINT32_MAX || node == i)
				continue;
			if (out)
				out[n] = node;
			n++;
		}
		b = batch[0];
	}
	return n;
}

static struct wh_err *graph_build(struct graph *g)
{
	uint64_t total = 0;
	size_t n;

	WH_TRY(nodes_collect(g));
	n = g->rows.n;
	g->first = wh_calloc(n + 1, sizeof(*g->first));
	g->unknown = wh_calloc(n, 1);
	if (!g->first || !g->unknown)
		return &wh_err_nomem;
	for (uint32_t i = 0; i < n; i++) {
		g->first[i] = (uint32_t)total;
		total += node_targets(g, i, NULL);
		if (total >= UINT32_MAX)
			return wh_err_new(WH_ERR_LIMIT,
					  "too many references between leaked buffers");
	}
	g->first[n] = (uint32_t)total;
	g->to = wh_calloc((size_t)total, sizeof(*g->to));
	if (!g->to)
		return &wh_err_nomem;
	for (uint32_t i = 0; i < n; i++)
		node_targets(g, i, g->to + g->first[i]);
	return NULL;
}

/* ---- UNKNOWN ---- */

/* Sets could[c] for each class that something unreadable could have held; false when nothing was. */
static bool classes_suspect(const struct wh_marks *m, uint8_t *could)
{
	bool any = atomic_load(&m->class_absent[m->n_classes]), all = any;
	uint8_t *gone = could + m->n_classes;

	for (uint16_t c = 0; c < m->n_classes; c++)
		gone[c] = atomic_load(&m->class_absent[c]);
	for (size_t i = 0; i < m->plan->missing.n; i++) {
		if (m->plan->missing.v[i].cls < m->n_classes)
			gone[m->plan->missing.v[i].cls] = 1;
		else
			all = true;
	}
	for (uint16_t c = 0; c < m->n_classes; c++) {
		if (!gone[c])
			continue;
		any = true;
		if (!atomic_load(&m->class_seen[c]) || !(m->t->classes.v[c].flags & WH_CLASS_TYPED))
			all = true;
		for (uint16_t d = 0; d < m->n_classes; d++)
			could[d] |= atomic_load(&m->class_edges[(size_t)c * m->n_classes + d]);
	}
	if (all)
		memset(could, 1, m->n_classes);
	return any || all;
}

static struct wh_err *unknown_spread(struct graph *g)
{
	struct wh_marks *m = g->m;
	WH_AUTO_FREE uint8_t *could = wh_calloc((size_t)m->n_classes * 2 + 1, 1);
	WH_AUTO_FREE uint32_t *stack = wh_calloc(g->rows.n, sizeof(*stack));
	size_t n = 0;

	if (!could || !stack)
		return &wh_err_nomem;
	if (!classes_suspect(m, could))
		return NULL;
	for (uint32_t i = 0; i < g->rows.n; i++)
		if (could[m->t->cls[g->rows.v[i]]]) {
			g->unknown[i] = 1;
			stack[n++] = i;
		}
	while (n) {
		uint32_t i = stack[--n];

		for (uint32_t k = g->first[i]; k < g->first[i + 1]; k++)
			if (!g->unknown[g->to[k]]) {
				g->unknown[g->to[k]] = 1;
				stack[n++] = g->to[k];
			}
	}
	return NULL;
}

/* ---- strongly connected components, without recursion ---- */

struct tarjan {
	uint32_t *index, *low, *stack, *call, *edge;
	uint32_t counter;
	size_t sp;
};

static void tarjan_close(struct graph *g, struct tarjan *s, uint32_t v)
{
	uint32_t u;

	do {
		u = s->stack[--s->sp];
		g->comp[u] = g->n_comps;
	} while (u != v);
	g->n_comps++;
}

static void tarjan_visit(struct graph *g, struct tarjan *s, uint32_t root)
{
	size_t depth = 0;

	s->call[0] = root;
	s->index[root] = s->low[root] = ++s->counter;
	s->stack[s->sp++] = root;
	for (;;) {
		uint32_t v = s->call[depth];

		if (s->edge[v] < g->first[v + 1] - g->first[v]) {
			uint32_t u = g->to[g->first[v] + s->edge[v]++];

			if (!s->index[u]) {
				s->index[u] = s->low[u] = ++s->counter;
				s->stack[s->sp++] = u;
				s->call[++depth] = u;
			} else if (g->comp[u] == UINT32_MAX && s->index[u] < s->low[v]) {
				s->low[v] = s->index[u];
			}
			continue;
		}
		if (s->low[v] == s->index[v])
			tarjan_close(g, s, v);
		if (!depth)
			return;
		v = s->call[--depth];
		if (s->low[s->call[depth + 1]] < s->low[v])
			s->low[v] = s->low[s->call[depth + 1]];
	}
}

static struct wh_err *components_find(struct graph *g)
{
	size_t n = g->rows.n;
	WH_AUTO_FREE uint32_t *block = wh_calloc(n * 5, sizeof(*block));
	struct tarjan s = {0};

	g->comp = wh_calloc(n, sizeof(*g->comp));
	if (!block || !g->comp)
		return &wh_err_nomem;
	memset(g->comp, 0xff, n * sizeof(*g->comp));
	s.index = block;
	s.low = block + n;
	s.stack = block + 2 * n;
	s.call = block + 3 * n;
	s.edge = block + 4 * n;
	for (uint32_t i = 0; i < n; i++)
		if (!s.index[i])
			tarjan_visit(g, &s, i);
	return NULL;
}

/* Counting sort of the nodes by component, sources (highest) first, rows ascending within. */
static struct wh_err *components_order(struct graph *g)
{
	size_t n = g->rows.n;
	WH_AUTO_FREE uint32_t *at = wh_calloc((size_t)g->n_comps + 1, sizeof(*at));

	g->order = wh_calloc(n, sizeof(*g->order));
	if (!at || !g->order)
		return &wh_err_nomem;
	for (size_t i = 0; i < n; i++)
		at[g->n_comps - 1 - g->comp[i] + 1]++;
	for (uint32_t c = 0; c < g->n_comps; c++)
		at[c + 1] += at[c];
	for (uint32_t i = 0; i < n; i++)
		g->order[at[g->n_comps - 1 - g->comp[i]]++] = i;
	return NULL;
}

/* ---- the head of a cycle ---- */

/*
 * How much a member looks like the owner: many refer to it (back pointers, list elements), it refers to
 * many, and there are few of its kind.  A member with one holder and one target has nothing to spare.
 * Then: a cache of its own kind before a size class, the larger one, the lower address.
 */
struct rank {
	uint64_t spare, same; /* compared as spare / same */
	uint64_t size;
	bool sized;
};

struct heads {
	struct graph *g;
	uint32_t *holders;     /* by node: members of its own component that refer to it */
	uint32_t *targets;     /* by node: what it refers to */
	WH_VEC(uint64_t) kind; /* of the members of the component at hand, sorted */
	uint32_t *cover;       /* by component: the head row that covers it */
};

static uint64_t node_kind(const struct graph *g, uint32_t v)
{
	uint32_t row = g->rows.v[v];

	return (buftab_row_size(g->m->t, row) << 16 | g->m->t->cls[row]) & INT64_MAX;
}

/* Several words that name one buffer are one reference. */
static struct wh_err *members_count(struct heads *h, size_t lo, size_t hi)
{
	struct graph *g = h->g;
	uint32_t c = g->comp[g->order[lo]];

	h->kind.n = 0;
	for (size_t i = lo; i < hi; i++) {
		uint32_t v = g->order[i], *to = g->to + g->first[v];
		size_t n = g->first[v + 1] - g->first[v];

		qsort(to, n, sizeof(*to), wh_cmp_u32);
		for (size_t k = 0; k < n; k++) {
			if (k && to[k] == to[k - 1])
				continue;
			h->targets[v]++;
			if (g->comp[to[k]] == c)
				h->holders[to[k]]++;
		}
		WH_TRY(WH_VEC_PUSH(&h->kind, node_kind(g, v)));
	}
	qsort(h->kind.v, h->kind.n, sizeof(*h->kind.v), wh_cmp_u64);
	return NULL;
}

static struct rank rank_of(const struct heads *h, uint32_t v)
{
	const struct wh_buftab *t = h->g->m->t;
	uint32_t row = h->g->rows.v[v];
	uint64_t kind = node_kind(h->g, v);

	/* Who is referred to by many owns them more likely than who refers to many: that may be an array. */
	return (struct rank){
		.spare = 2ull * h->holders[v] + h->targets[v] - 3,
		.same = wh_bound_u64(h->kind.v, h->kind.n, kind + 1) -
			wh_bound_u64(h->kind.v, h->kind.n, kind),
		.size = buftab_row_size(t, row),
		.sized = t->classes.v[t->cls[row]].flags & WH_CLASS_TEXT_FIT,
	};
}

static bool rank_above(const struct rank *a, const struct rank *b)
{
	uint64_t x = a->spare * b->same, y = b->spare * a->same;

	if (x != y)
		return x > y;
	if (a->sized != b->sized)
		return b->sized;
	return a->size > b->size;
}

/* The head row of the component order[lo..hi), WH_ROW_NONE when none of it can be one. */
static struct wh_err *component_head(struct heads *h, size_t lo, size_t hi, uint32_t *ret)
{
	const struct graph *g = h->g;
	struct rank best = {0};

	*ret = WH_ROW_NONE;
	if (hi - lo > 1)
		WH_TRY(members_count(h, lo, hi));
	for (size_t i = lo; i < hi; i++) {
		uint32_t v = g->order[i];
		struct rank r = {0};

		if (g->unknown[v] || !row_reported(g->m->t, g->rows.v[v]))
			continue;
		if (hi - lo > 1)
			r = rank_of(h, v);
		if (*ret == WH_ROW_NONE || rank_above(&r, &best)) {
			best = r;
			*ret = g->rows.v[v];
		}
	}
	return NULL;
}

/* ---- heads ---- */

/* One component: nodes order[lo..hi). */
static struct wh_err *component_judge(struct heads *h, size_t lo, size_t hi)
{
	struct graph *g = h->g;
	uint32_t c = g->comp[g->order[lo]], head, *cover = h->cover;

	if (cover[c] == WH_ROW_NONE)
		WH_TRY(component_head(h, lo, hi, &cover[c]));
	head = cover[c];
	if (head == WH_ROW_NONE)
		return NULL;
	for (size_t i = lo; i < hi; i++) {
		uint32_t v = g->order[i];

		for (uint32_t k = g->first[v]; k < g->first[v + 1]; k++) {
			uint32_t d = g->comp[g->to[k]];

			if (d != c && head < cover[d])
				cover[d] = head;
		}
	}
	return NULL;
}

static void heads_fini(struct heads *h)
{
	free(h->holders);
	free(h->targets);
	WH_VEC_FINI(&h->kind);
}

/* *ret_cover: by component, the head row that covers it; owned by the caller (free). */
static struct wh_err *heads_find(struct graph *g, uint32_t **ret_cover)
{
	size_t n = g->rows.n, lo = 0;
	WH_CLEANUP(heads_fini) struct heads h = {.g = g};

	*ret_cover = h.cover = malloc(((size_t)g->n_comps + 1) * sizeof(*h.cover));
	h.holders = wh_calloc(n, sizeof(*h.holders));
	h.targets = wh_calloc(n, sizeof(*h.targets));
	if (!h.cover || !h.holders || !h.targets)
		return &wh_err_nomem;
	memset(h.cover, 0xff, ((size_t)g->n_comps + 1) * sizeof(*h.cover));
	while (lo < n) {
		size_t hi = lo + 1;

		while (hi < n && g->comp[g->order[hi]] == g->comp[g->order[lo]])
			hi++;
		WH_TRY(component_judge(&h, lo, hi));
		lo = hi;
	}
	return NULL;
}

/* ---- the result ---- */

static struct wh_err *leaks_list(struct wh_marks *m)
{
	const struct wh_buftab *t = m->t;

	for (uint32_t row = 0; (row = row_unreached(m, row)) < t->n; row++)
		if (row_judged(t, row) && row_reported(t, row))
			WH_TRY(WH_VEC_PUSH(&m->leaks, row));
	m->leak_verdict = wh_calloc(m->leaks.n, 1);
	m->leak_head = wh_calloc(m->leaks.n, sizeof(*m->leak_head));
	m->hang_count = wh_calloc(m->leaks.n, sizeof(*m->hang_count));
	m->hang_bytes = wh_calloc(m->leaks.n, sizeof(*m->hang_bytes));
	if (!m->leak_verdict || !m->leak_head || !m->hang_count || !m->hang_bytes)
		return &wh_err_nomem;
	return NULL;
}

static size_t leak_index(const struct wh_marks *m, uint32_t row)
{
	size_t lo = 0, hi = m->leaks.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->leaks.v[mid] < row)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < m->leaks.n && m->leaks.v[lo] == row ? lo : SIZE_MAX;
}

static void leak_judge(struct wh_marks *m, const struct graph *g, const uint32_t *cover, size_t i)
{
	uint32_t row = m->leaks.v[i], node;
	size_t head;

	m->leak_head[i] = row;
	if (level_of(m, row) == LEVEL_INTERIOR) {
		m->leak_verdict[i] = WH_VERDICT_POSSIBLE;
		return;
	}
	node = node_find(g, row);
	if (g->unknown[node]) {
		m->leak_verdict[i] = WH_VERDICT_UNKNOWN;
		return;
	}
	m->leak_head[i] = cover[g->comp[node]];
	m->leak_verdict[i] = m->leak_head[i] == row ? WH_VERDICT_DEFINITE : WH_VERDICT_INDIRECT;
	head = leak_index(m, m->leak_head[i]);
	if (m->leak_head[i] != row && head != SIZE_MAX) {
		m->hang_count[head]++;
		m->hang_bytes[head] += buftab_row_size(m->t, row);
	}
}

struct wh_err *wh_verdict_run(struct wh_marks *m)
{
	WH_CLEANUP(graph_fini) struct graph g = {.m = m};
	WH_AUTO_FREE uint32_t *cover = NULL;

	WH_TRY(graph_build(&g));
	WH_TRY(unknown_spread(&g));
	WH_TRY(components_find(&g));
	WH_TRY(components_order(&g));
	WH_TRY(heads_find(&g, &cover));
	WH_TRY(leaks_list(m));
	for (size_t i = 0; i < m->leaks.n; i++)
		leak_judge(m, &g, cover, i);
	return NULL;
}

enum wh_verdict wh_marks_verdict(const struct wh_marks *m, uint32_t row)
{
	size_t i = leak_index(m, row);

	if (i != SIZE_MAX)
		return (enum wh_verdict)m->leak_verdict[i];
	return row_judged(m->t, row) && level_of(m, row) == LEVEL_FULL ? WH_VERDICT_REACHABLE
								       : WH_VERDICT_NONE;
}

bool wh_marks_reached(const struct wh_marks *m, uint32_t row)
{
	return level_of(m, row) != LEVEL_NONE;
}

const uint32_t *wh_marks_leaks(const struct wh_marks *m, size_t *ret_n)
{
	*ret_n = m->leaks.n;
	return m->leaks.v;
}

uint32_t wh_marks_head(const struct wh_marks *m, uint32_t row)
{
	size_t i = leak_index(m, row);

	return i == SIZE_MAX ? WH_ROW_NONE : m->leak_head[i];
}

void wh_marks_hanging(const struct wh_marks *m, uint32_t head, uint64_t *ret_count,
		      uint64_t *ret_bytes)
{
	size_t i = leak_index(m, head);

	*ret_count = i == SIZE_MAX ? 0 : m->hang_count[i];
	*ret_bytes = i == SIZE_MAX ? 0 : m->hang_bytes[i];
}

const char *wh_verdict_name(enum wh_verdict v)
{
	static const char *const names[WH_VERDICT_COUNT] = {"reachable", "definite", "indirect",
							    "possible",	 "unknown",  "none"};

	return (unsigned int)v < WH_VERDICT_COUNT ? names[v] : "?";
}
