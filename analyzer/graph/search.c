/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/graph/search.h"

#include <stdlib.h>
#include <string.h>

#include "formats/scratch.h"

#define UNIT (2u << 20) /* [bytes] a unit of work */

/*
 * The ranges wanted, for words at one kind of place.  A bit for each hashed page of values turns nearly
 * every word away; the rest look among the ranges, sorted by their first value.
 */
#define FILTER_BITS 18
#define VALUE_PAGE  12

struct range {
	struct wh_search_want want;
	uint64_t reach; /* the highest last value of this range and all before it */
};

struct index {
	struct range *ranges;
	size_t n;
	uint64_t lo, hi; /* around all of them */
	uint64_t *filter;
};

struct area {
	uint64_t addr, len;
	enum wh_space space;
};

struct search {
	struct wh_ctx *ctx;
	const struct wh_mem *mem;
	struct wh_abi abi;
	struct index aligned, unaligned;
	WH_VEC(struct area) units;
	struct wh_reader **readers;
	wh_search_hits *found; /* one vector a unit, so that the order does not depend on threads */
	uint32_t **counts;     /* per worker: hits of each form in the unit at work */
	uint32_t n_forms;
};

static size_t filter_bit(uint64_t page)
{
	return (size_t)(page * 0x9e3779b97f4a7c15u >> (64 - FILTER_BITS));
}

static void filter_add(uint64_t *filter, uint64_t first, uint64_t last)
{
	uint64_t page = first >> VALUE_PAGE, n = (last >> VALUE_PAGE) - page;

	if (n >> FILTER_BITS) {
		memset(filter, 0xff, (size_t)1 << (FILTER_BITS - 3));
		return;
	}
	for (uint64_t i = 0; i <= n; i++)
		filter[filter_bit(page + i) / 64] |= UINT64_C(1) << (filter_bit(page + i) % 64);
}

static int range_cmp(const void *pa, const void *pb)
{
	const struct range *a = pa, *b = pb;

	if (a->want.first != b->want.first)
		return a->want.first < b->want.first ? -1 : 1;
	return a->want.form < b->want.form ? -1 : a->want.form > b->want.form;
}

static struct wh_err *index_make(struct index *x, const struct wh_search_want *wants, size_t n,
				 bool unaligned)
{
	x->lo = UINT64_MAX;
	x->ranges = wh_calloc(n, sizeof(*x->ranges));
	x->filter = wh_calloc((size_t)1 << (FILTER_BITS - 6), sizeof(*x->filter));
	if (!x->ranges || !x->filter)
		return &wh_err_nomem;
	for (size_t i = 0; i < n; i++) {
		if (wants[i].first > wants[i].last || (unaligned && !wants[i].unaligned))
			continue;
		x->ranges[x->n++].want = wants[i];
		x->lo = wants[i].first < x->lo ? wants[i].first : x->lo;
		x->hi = wants[i].last > x->hi ? wants[i].last : x->hi;
		filter_add(x->filter, wants[i].first, wants[i].last);
	}
	wh_sort(x->ranges, x->n, sizeof(*x->ranges), range_cmp);
	for (size_t i = 0; i < x->n; i++) {
		uint64_t before = i ? x->ranges[i - 1].reach : 0, last = x->ranges[i].want.last;

		x->ranges[i].reach = last > before ? last : before;
	}
	return NULL;
}

static void index_fini(struct index *x)
{
	free(x->ranges);
	free(x->filter);
}

static inline bool index_may(const struct index *x, uint64_t v)
{
	size_t bit;

	if (v < x->lo || v > x->hi)
		return false;
	bit = filter_bit(v >> VALUE_PAGE);
	return x->filter[bit / 64] >> (bit % 64) & 1;
}

/* How many ranges begin at or below @v. */
static size_t index_upto(const struct index *x, uint64_t v)
{
	size_t lo = 0, hi = x->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (x->ranges[mid].want.first <= v)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* A word that came through the filter.  No unit keeps more of a form than the answer may have. */
static struct wh_err *try_word(const struct index *x, wh_search_hits *hits, uint32_t *counts,
			       struct wh_search_hit h)
{
	for (size_t i = index_upto(x, h.value); i && x->ranges[i - 1].reach >= h.value; i--) {
		if (x->ranges[i - 1].want.last < h.value)
			continue;
		h.form = x->ranges[i - 1].want.form;
		if (counts[h.form]++ <= WH_SEARCH_MAX)
			WH_TRY(WH_VEC_PUSH(hits, h));
	}
	return NULL;
}

static struct wh_err *scan(const struct search *s, wh_search_hits *hits, uint32_t *counts,
			   const uint8_t *p, size_t len, uint64_t addr, enum wh_space space)
{
	size_t word = s->abi.word, step = s->unaligned.n ? 1 : word;
	size_t off = s->unaligned.n ? 0 : (size_t)(-addr & (word - 1));

	for (; off + word <= len; off += step) {
		bool aligned = ((addr + off) & (word - 1)) == 0;
		const struct index *x = aligned ? &s->aligned : &s->unaligned;
		uint64_t v = wh_get_word(s->abi, p + off);

		if (index_may(x, v))
			WH_TRY(try_word(x, hits, counts,
					(struct wh_search_hit){.addr = addr + off,
							       .value = v,
							       .space = (uint8_t)space,
							       .aligned = aligned}));
	}
	return NULL;
}

static struct wh_err *search_unit(void *arg, unsigned int worker, size_t unit)
{
	struct search *s = arg;
	const struct area *a = &s->units.v[unit];

	for (uint64_t off = 0; off < a->len;) {
		enum wh_mem_state state;
		size_t len;
		const uint8_t *p = wh_reader_borrow(s->readers[worker], a->space, a->addr + off,
						    (size_t)(a->len - off), &len, &state);

		if (!len)
			break;
		if (p)
			WH_TRY(scan(s, &s->found[unit], s->counts[worker], p, len, a->addr + off,
				    a->space));
		off += len;
	}
	for (size_t i = 0; i < s->found[unit].n; i++)
		s->counts[worker][s->found[unit].v[i].form] = 0;
	return NULL;
}

static struct wh_err *add_area(struct search *s, enum wh_space space, uint64_t addr, uint64_t len)
{
	struct area *last = s->units.n ? &s->units.v[s->units.n - 1] : NULL;

	/* Single frames in a row make one unit. */
	if (last && last->space == space && last->addr + last->len == addr && last->len < UNIT) {
		uint64_t more = UNIT - last->len < len ? UNIT - last->len : len;

		last->len += more;
		addr += more;
		len -= more;
	}
	while (len) {
		struct area a = {.addr = addr, .len = len < UNIT ? len : UNIT, .space = space};

		WH_TRY(WH_VEC_PUSH(&s->units, a));
		addr += a.len;
		len -= a.len;
	}
	return NULL;
}

/* Stretches of frames that the dump has; a hole is one step, however big. */
static struct wh_err *add_frames(struct search *s, const struct wh_dump *d)
{
	struct wh_scratch *sc;
	struct wh_err *e = NULL;
	uint64_t run;

	WH_TRY(wh_scratch_create(&sc));
	for (uint64_t pfn = 0; !e && pfn < d->max_pfn; pfn += run) {
		enum wh_mem_state state = d->ops->page_state(d, sc, pfn, &run);

		if (run > d->max_pfn - pfn)
			run = d->max_pfn - pfn;
		if (state == WH_MEM_PRESENT)
			e = add_area(s, WH_PHYS, pfn * d->page_size, run * d->page_size);
		if (!e && wh_ctx_cancelled(s->ctx))
			e = &wh_err_cancelled;
	}
	wh_scratch_destroy(sc);
	return e;
}

static struct wh_err *add_all(struct search *s)
{
	const struct wh_dump *d = wh_mem_dump(s->mem);

	if (d->cls != WH_DUMP_PROCESS)
		return add_frames(s, d);
	for (size_t i = 0; i < d->n_segs; i++)
		WH_TRY(add_area(s, WH_VIRT, d->segs[i].vaddr, d->segs[i].filesz));
	return NULL;
}

static int hit_cmp(const void *pa, const void *pb)
{
	const struct wh_search_hit *a = pa, *b = pb;

	if (a->form != b->form)
		return a->form < b->form ? -1 : 1;
	if (a->space != b->space)
		return a->space < b->space ? -1 : 1;
	return a->addr < b->addr ? -1 : a->addr > b->addr;
}

/* One sorted list, each form cut at WH_SEARCH_MAX. */
static struct wh_err *gather(struct search *s, wh_search_hits *ret, bool *ret_cut)
{
	wh_search_hits all = {0};
	struct wh_err *e = NULL;
	size_t same = 0;

	for (size_t u = 0; !e && u < s->units.n; u++)
		for (size_t i = 0; !e && i < s->found[u].n; i++)
			e = WH_VEC_PUSH(&all, s->found[u].v[i]);
	if (all.n)
		wh_sort(all.v, all.n, sizeof(*all.v), hit_cmp);
	for (size_t i = 0; !e && i < all.n; i++) {
		same = i && all.v[i - 1].form == all.v[i].form ? same + 1 : 0;
		if (same < WH_SEARCH_MAX)
			e = WH_VEC_PUSH(ret, all.v[i]);
		else if (ret_cut)
			*ret_cut = true;
	}
	WH_VEC_FINI(&all);
	return e;
}

static struct wh_err *search_all(struct search *s, wh_search_hits *ret, bool *ret_cut)
{
	unsigned int n = wh_workers_count(s->ctx);

	WH_TRY(add_all(s));
	s->readers = wh_calloc(n, sizeof(*s->readers));
	s->found = wh_calloc(s->units.n, sizeof(*s->found));
	s->counts = wh_calloc(n, sizeof(*s->counts));
	if (!s->readers || !s->found || !s->counts)
		return &wh_err_nomem;
	for (unsigned int i = 0; i < n; i++) {
		s->counts[i] = wh_calloc(s->n_forms, sizeof(*s->counts[i]));
		if (!s->counts[i])
			return &wh_err_nomem;
		WH_TRY(wh_reader_create(s->mem, &s->readers[i]));
	}
	WH_TRY(wh_workers_run(s->ctx, "searching", s->units.n, search_unit, s));
	return gather(s, ret, ret_cut);
}

struct wh_err *wh_search_run(struct wh_ctx *ctx, const struct wh_mem *mem,
			     const struct wh_search_want *wants, size_t n, wh_search_hits *ret,
			     bool *ret_cut)
{
	struct search s = {.ctx = ctx, .mem = mem, .abi = wh_mem_dump(mem)->abi};
	struct wh_err *e = index_make(&s.aligned, wants, n, false);

	if (ret_cut)
		*ret_cut = false;
	for (size_t i = 0; i < n; i++)
		s.n_forms = wants[i].form >= s.n_forms ? wants[i].form + 1 : s.n_forms;
	if (!e)
		e = index_make(&s.unaligned, wants, n, true);
	if (!e)
		e = search_all(&s, ret, ret_cut);
	for (unsigned int i = 0; s.readers && i < wh_workers_count(ctx); i++)
		wh_reader_destroy(s.readers[i]);
	for (unsigned int i = 0; s.counts && i < wh_workers_count(ctx); i++)
		free(s.counts[i]);
	for (size_t i = 0; s.found && i < s.units.n; i++)
		WH_VEC_FINI(&s.found[i]);
	free(s.readers);
	free(s.found);
	free(s.counts);
	WH_VEC_FINI(&s.units);
	index_fini(&s.aligned);
	index_fini(&s.unaligned);
	return e;
}
