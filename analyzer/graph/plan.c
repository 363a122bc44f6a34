/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/graph/plan.h"

struct wh_err *wh_plan_add_kind(struct wh_plan *p, const char *name, uint16_t *ret_kind)
{
	if (p->kinds.n >= UINT16_MAX)
		return wh_err_new(WH_ERR_LIMIT, "too many root kinds");
	WH_TRY(WH_VEC_PUSH(&p->kinds, (struct wh_root_kind){.name = name}));
	*ret_kind = (uint16_t)(p->kinds.n - 1);
	return NULL;
}

/* Joins @r to the last range when it continues it in both address spaces. */
static struct wh_err *plan_add_range(struct wh_plan_range **v, size_t *n, size_t *cap,
				     const struct wh_plan_range *r)
{
	struct wh_plan_range *last = *n ? &(*v)[*n - 1] : NULL;

	if (!r->len)
		return NULL;
	if (last && last->space == r->space && last->kind == r->kind &&
	    last->addr + last->len == r->addr && last->label + last->len == r->label) {
		last->len += r->len;
		return NULL;
	}
	if (*n == *cap)
		WH_TRY(wh_vec_reserve_raw(v, cap, *n + 1, sizeof(**v)));
	if (!*v)
		return &wh_err_nomem;
	(*v)[(*n)++] = *r;
	return NULL;
}

struct wh_err *wh_plan_add_root(struct wh_plan *p, uint16_t kind, enum wh_space space,
				uint64_t addr, uint64_t label, uint64_t len)
{
	struct wh_plan_range r = {
		.label = label, .addr = addr, .len = len, .kind = kind, .space = (uint8_t)space};

	return plan_add_range(&p->roots.v, &p->roots.n, &p->roots.cap, &r);
}

struct wh_err *wh_plan_add_node(struct wh_plan *p, enum wh_space space, uint64_t addr,
				uint64_t label, uint64_t len)
{
	struct wh_plan_range r = {
		.label = label, .addr = addr, .len = len, .space = (uint8_t)space};

	return plan_add_range(&p->nodes.v, &p->nodes.n, &p->nodes.cap, &r);
}

struct wh_err *wh_plan_add_word(struct wh_plan *p, uint16_t kind, uint64_t value, uint64_t where,
				uint16_t note)
{
	return WH_VEC_PUSH(&p->words, (struct wh_plan_word){value, where, kind, note});
}

struct wh_err *wh_plan_add_mask(struct wh_plan *p, uint64_t start, uint64_t end)
{
	if (start >= end)
		return NULL;
	return WH_VEC_PUSH(&p->masks, (struct wh_plan_mask){start, end});
}

struct wh_err *wh_plan_add_alias(struct wh_plan *p, uint64_t start, uint64_t end, uint64_t unit,
				 uint64_t to, uint64_t step)
{
	if (start >= end || !start || !unit)
		return NULL;
	return WH_VEC_PUSH(&p->aliases, (struct wh_plan_alias){start, end, unit, to, step});
}

bool wh_plan_alias_find(const struct wh_plan *p, uint64_t word, uint64_t *ret)
{
	size_t lo = 0, hi = p->aliases.n;
	const struct wh_plan_alias *a;

	if (!wh_plan_covered(p->alias_envelope, p->n_envelopes, word))
		return false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->aliases.v[mid].end <= word)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == p->aliases.n || word < p->aliases.v[lo].start)
		return false;
	a = &p->aliases.v[lo];
	*ret = a->to + (word - a->start) / a->unit * a->step;
	return true;
}

struct wh_err *wh_plan_add_missing(struct wh_plan *p, uint16_t cls, uint64_t objects,
				   uint64_t bytes, enum wh_mem_state why)
{
	for (size_t i = 0; i < p->missing.n; i++) {
		struct wh_plan_missing *m = &p->missing.v[i];

		if (m->cls == cls && m->why == why) {
			m->objects += objects;
			m->bytes += bytes;
			return NULL;
		}
	}
	return WH_VEC_PUSH(&p->missing, (struct wh_plan_missing){cls, objects, bytes, why});
}

static int mask_cmp(const void *pa, const void *pb)
{
	const struct wh_plan_mask *a = pa, *b = pb;

	return a->start < b->start ? -1 : a->start > b->start;
}

static int alias_cmp(const void *pa, const void *pb)
{
	const struct wh_plan_alias *a = pa, *b = pb;

	return a->start < b->start ? -1 : a->start > b->start;
}

/* Cuts at the widest gaps, one after the other. */
uint32_t wh_plan_cover(wh_plan_span_fn span, const void *arg, size_t n, uint64_t least_gap,
		       uint32_t max, struct wh_plan_mask *out)
{
	size_t cuts[WH_PLAN_ENVELOPES] = {0}; /* index of the first span of each stretch */
	uint32_t made = 1;

	for (; n && made < max && made < WH_PLAN_ENVELOPES; made++) {
		uint64_t widest = least_gap;
		size_t at = 0, k;

		for (size_t i = 1; i < n; i++) {
			uint64_t gap = span(arg, i).start - span(arg, i - 1).end;
			bool cut = false;

			for (k = 0; k < made; k++)
				cut = cut || cuts[k] == i;
			if (!cut && gap > widest) {
				widest = gap;
				at = i;
			}
		}
		if (!at)
			break;
		for (k = made; k > 1 && cuts[k - 1] > at; k--)
			cuts[k] = cuts[k - 1];
		cuts[k] = at;
	}
	for (uint32_t k = 0; n && k < made; k++)
		out[k] = (struct wh_plan_mask){span(arg, cuts[k]).start,
					       span(arg, (k + 1 < made ? cuts[k + 1] : n) - 1).end};
	return n ? made : 0;
}

static struct wh_plan_mask alias_span(const void *arg, size_t i)
{
	const struct wh_plan *p = arg;

	return (struct wh_plan_mask){p->aliases.v[i].start, p->aliases.v[i].end};
}

static void aliases_freeze(struct wh_plan *p)
{
	wh_sort(p->aliases.v, p->aliases.n, sizeof(*p->aliases.v), alias_cmp);
	p->n_envelopes = wh_plan_cover(alias_span, p, p->aliases.n, 1u << 20, WH_PLAN_ENVELOPES,
				       p->alias_envelope);
}

/* Sorted and disjoint afterwards, so that one binary search a block finds them. */
void wh_plan_freeze(struct wh_plan *p)
{
	size_t out = 0;

	aliases_freeze(p);
	if (p->masks.n < 2)
		return;
	wh_sort(p->masks.v, p->masks.n, sizeof(*p->masks.v), mask_cmp);
	for (size_t i = 1; i < p->masks.n; i++) {
		struct wh_plan_mask *a = &p->masks.v[out], *b = &p->masks.v[i];

		if (b->start <= a->end)
			a->end = b->end > a->end ? b->end : a->end;
		else
			p->masks.v[++out] = *b;
	}
	p->masks.n = out + 1;
}

void wh_plan_fini(struct wh_plan *p)
{
	WH_VEC_FINI(&p->kinds);
	WH_VEC_FINI(&p->roots);
	WH_VEC_FINI(&p->nodes);
	WH_VEC_FINI(&p->words);
	WH_VEC_FINI(&p->masks);
	WH_VEC_FINI(&p->aliases);
	WH_VEC_FINI(&p->missing);
}
