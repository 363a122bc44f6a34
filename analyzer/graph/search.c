/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/graph/search.h"

#include <stdlib.h>
#include <string.h>

#include "formats/scratch.h"

#define UNIT (2u << 20) /* [bytes] a unit of work */

struct area {
	uint64_t addr, len;
	enum wh_space space;
};

struct search {
	struct wh_ctx *ctx;
	const struct wh_mem *mem;
	struct wh_abi abi;
	const struct wh_search_want *wants;
	size_t n_wants;
	uint64_t lo, hi; /* around all wants: a first rejection */
	bool unaligned;	 /* some want is tried at every byte */
	WH_VEC(struct area) units;
	struct wh_reader **readers;
	wh_search_hits *found; /* one vector a unit, so that the order does not depend on threads */
};

static struct wh_err *try_word(struct search *s, wh_search_hits *hits, uint64_t addr,
			       enum wh_space space, uint64_t v, bool aligned)
{
	for (size_t i = 0; i < s->n_wants; i++) {
		const struct wh_search_want *w = &s->wants[i];
		struct wh_search_hit h = {.addr = addr,
					  .value = v,
					  .form = w->form,
					  .space = (uint8_t)space,
					  .aligned = aligned};

		if (v < w->first || v > w->last || (!aligned && !w->unaligned))
			continue;
		WH_TRY(WH_VEC_PUSH(hits, h));
	}
	return NULL;
}

static struct wh_err *scan(struct search *s, wh_search_hits *hits, const uint8_t *p, size_t len,
			   uint64_t addr, enum wh_space space)
{
	size_t word = s->abi.word, step = s->unaligned ? 1 : word;
	size_t off = s->unaligned ? 0 : (size_t)(-addr & (word - 1));

	for (; off + word <= len; off += step) {
		uint64_t v = wh_get_word(s->abi, p + off);

		if (v < s->lo || v > s->hi)
			continue;
		WH_TRY(try_word(s, hits, addr + off, space, v, ((addr + off) & (word - 1)) == 0));
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
			WH_TRY(scan(s, &s->found[unit], p, len, a->addr + off, a->space));
		off += len;
	}
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
	if (!s->readers || !s->found)
		return &wh_err_nomem;
	for (unsigned int i = 0; i < n; i++)
		WH_TRY(wh_reader_create(s->mem, &s->readers[i]));
	WH_TRY(wh_workers_run(s->ctx, "searching", s->units.n, search_unit, s));
	return gather(s, ret, ret_cut);
}

struct wh_err *wh_search_run(struct wh_ctx *ctx, const struct wh_mem *mem,
			     const struct wh_search_want *wants, size_t n, wh_search_hits *ret,
			     bool *ret_cut)
{
	struct search s = {.ctx = ctx,
			   .mem = mem,
			   .abi = wh_mem_dump(mem)->abi,
			   .wants = wants,
			   .n_wants = n,
			   .lo = UINT64_MAX};
	struct wh_err *e;

	if (ret_cut)
		*ret_cut = false;
	for (size_t i = 0; i < n; i++) {
		s.lo = wants[i].first < s.lo ? wants[i].first : s.lo;
		s.hi = wants[i].last > s.hi ? wants[i].last : s.hi;
		s.unaligned |= wants[i].unaligned;
	}
	e = search_all(&s, ret, ret_cut);
	for (unsigned int i = 0; s.readers && i < wh_workers_count(ctx); i++)
		wh_reader_destroy(s.readers[i]);
	for (size_t i = 0; s.found && i < s.units.n; i++)
		WH_VEC_FINI(&s.found[i]);
	free(s.readers);
	free(s.found);
	WH_VEC_FINI(&s.units);
	return e;
}
