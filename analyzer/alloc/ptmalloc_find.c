/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The arenas of glibc's malloc, without symbols.
 *
 *	malloc_state   mutex flags [have_fastchunks] fastbinsY[] top last_remainder
 *	               bins[254] binmap[4] next next_free [attached_threads] system_mem max_system_mem
 *
 * An empty bin is a pair of words that both point two words before the pair.  A used bin's first and
 * last chunk point back at it.  127 such pairs in a row are a malloc_state, and nothing else is; what
 * lies before and behind the bins is then at known distances, but for the parts in brackets, which
 * came and went with releases and are told apart by what the words can be:
 *
 *	- `next` of an arena is the start of a malloc_state, so that bins - next is the size of the front;
 *	  with one arena it points at itself.
 *	- attached_threads is a small number, system_mem a non-zero multiple of the page size.
 *
 * The ring of `next` leads to all other arenas.  Those live in heaps of their own, behind a heap_info
 * whose first word points at the arena; its size (the distance) and HEAP_MAX_SIZE (the alignment)
 * follow from the addresses themselves.
 *
 * Damage: a bin or two that are not consistent are tolerated (WH_PT_MIN_BINS of 127); a ring that is cut
 * leaves the arenas up to there, and the heaps of the others are found by their headers.
 */
#include <stdlib.h>
#include <string.h>

#include "analyzer/alloc/ptmalloc.h"

#define WINDOW (1u << 20)
#define PAGE   4096u
#define STRAY_BUDGET                                                                               \
	(1u << 24) /* chunks and pages looked at for runs that begin within a mapping */

static uint64_t word(struct wh_ptmalloc *m, uint64_t addr)
{
	uint64_t v = 0;

	return wh_read_word(m->p->r, addr, &v) ? v : 0;
}

/* ---- one malloc_state ---- */

/* Is the pair at @pair a bin: empty, or with a list whose ends point back? */
static bool is_bin(struct wh_ptmalloc *m, uint64_t pair)
{
	uint64_t bin = pair - 2 * m->w, fd, bk, back;

	if (!wh_read_word(m->p->r, pair, &fd) || !wh_read_word(m->p->r, pair + m->w, &bk))
		return false;
	if (fd == bin || bk == bin)
		return fd == bk;
	if ((fd & (m->w - 1)) || (bk & (m->w - 1)) || !fd || !bk)
		return false;
	return wh_read_word(m->p->r, fd + 3 * m->w, &back) && back == bin &&
	       wh_read_word(m->p->r, bk + 2 * m->w, &back) && back == bin;
}

/*
 * From one empty bin at @pair to the first pair of its run; the number of consistent bins.  A pair that
 * is not consistent is stepped over when bins go on behind it (damage).
 */
static unsigned int bin_run(struct wh_ptmalloc *m, uint64_t pair, uint64_t *ret_first)
{
	uint64_t step = 2 * m->w, first = pair;
	unsigned int good = 0, n = 0;

	for (unsigned int i = 1; i < WH_PT_BINS && pair > i * step; i++) {
		uint64_t at = pair - i * step;

		if (is_bin(m, at))
			first = at;
		else if (!is_bin(m, at - step) && !is_bin(m, at - 2 * step))
			break;
	}
	for (; n < WH_PT_BINS; n++)
		good += is_bin(m, first + n * step);
	*ret_first = first;
	return good;
}

/* The layout behind the bins; false when the words there make no sense. */
static bool read_tail(struct wh_ptmalloc *m, struct wh_pt_arena *a)
{
	uint64_t next_at = a->bins + 2ull * WH_PT_BINS * m->w + 16; /* unsigned int binmap[4] */
	uint64_t after = next_at + 2 * m->w;
	uint64_t first = word(m, after), second = word(m, after + m->w),
		 third = word(m, after + 2 * m->w);
	/* glibc < 2.23 has no attached_threads */
	bool old = first >= PAGE && !(first & 0xfff) && first <= second && !(second & 0xfff);
	uint64_t max = old ? second : third;

	a->system_mem = old ? first : second;
	a->end = after + (old ? 2 : 3) * m->w;
	if (a->system_mem > max || (!a->main && !a->system_mem))
		return false;
	m->off_next = next_at - a->bins;
	m->off_system = after + (old ? 0 : m->w) - a->bins;
	return true;
}

static void read_top(struct wh_ptmalloc *m, struct wh_pt_arena *a)
{
	a->top = word(m, a->bins - 2 * m->w);
	a->top_size = 0;
	/* initial_top(): the unsorted bin plays top until there is memory */
	if (a->top == a->bins - 2 * m->w || !a->top)
		a->top = 0;
	else
		a->top_size = word(m, a->top + m->w) & ~(uint64_t)WH_PT_FLAGS;
}

/* ---- searching ---- */

static bool known_bins(const struct wh_ptmalloc *m, uint64_t bins)
{
	for (size_t i = 0; i < m->arenas.n; i++)
		if (m->arenas.v[i].bins == bins)
			return true;
	return false;
}

/* True when a heap_info right before @state points at it: then it is not the main arena. */
static uint64_t heap_header_of(struct wh_ptmalloc *m, uint64_t state)
{
	for (uint64_t h = 4 * m->w; h <= 16 * m->w; h += m->w)
		if (word(m, state - h) == state && !((state - h) & 0xfffff))
			return h;
	return 0;
}

static unsigned int count_bins(struct wh_ptmalloc *m, uint64_t bins)
{
	unsigned int good = 0;

	for (unsigned int i = 0; i < WH_PT_BINS; i++)
		good += is_bin(m, bins + 2ull * i * m->w);
	return good;
}

/*
 * The size of what lies before bins[]: with one arena `next` is the arena itself, else the bins of the
 * next arena are as far behind its start.
 */
static void learn_front(struct wh_ptmalloc *m, const struct wh_pt_arena *a)
{
	uint64_t next = word(m, a->bins + m->off_next);

	m->off_state = (m->w == 8 ? 14 : 16) * m->w; /* 2.27 and later, if all else fails */
	if (next < a->bins && a->bins - next <= 24 * m->w) {
		m->off_state = a->bins - next;
		return;
	}
	for (uint64_t off = 3 * m->w; off <= 24 * m->w; off += m->w) {
		if (count_bins(m, next + off) == WH_PT_BINS) {
			m->off_state = off;
			return;
		}
	}
}

static struct wh_err *ring_from(struct wh_ptmalloc *m, struct wh_pt_arena *first);

/* An empty bin at @pair: is it part of an arena that we don't know yet? */
static struct wh_err *consider(struct wh_ptmalloc *m, uint64_t pair, uint64_t *ret_skip)
{
	struct wh_pt_arena a = {.main = true};

	a.good_bins = bin_run(m, pair, &a.bins);
	if (a.good_bins < WH_PT_MIN_BINS)
		return NULL;
	*ret_skip = a.bins + 2ull * WH_PT_BINS * m->w;
	if (known_bins(m, a.bins) || !read_tail(m, &a))
		return NULL;
	if (!m->off_state)
		learn_front(m, &a);
	a.addr = a.bins - m->off_state;
	read_top(m, &a);
	return ring_from(m, &a);
}

/* Every word of [start, end) that is an empty bin's first. */
static struct wh_err *scan_range(struct wh_ptmalloc *m, uint64_t start, uint64_t end)
{
	uint64_t at = (start + m->w - 1) & ~(uint64_t)(m->w - 1), w = m->w;

	while (at + 2 * w <= end) {
		size_t want = end - at < WINDOW ? (size_t)(end - at) : WINDOW, len = 0, i;
		enum wh_mem_state state;
		const uint8_t *b = wh_reader_borrow(m->p->r, WH_VIRT, at, want, &len, &state);
		uint64_t skip = 0;

		if (!b) {
			at += len ? (len + w - 1) & ~(w - 1) : PAGE;
			continue;
		}
		for (i = 0; i + 2 * w <= len; i += (size_t)w) {
			uint64_t v = wh_get_word(m->abi, b + i);

			if (v != at + i - 2 * w || wh_get_word(m->abi, b + i + w) != v)
				continue;
			/* reads through the same reader: the window is gone afterwards */
			WH_TRY(consider(m, at + i, &skip));
			i += (size_t)w;
			break;
		}
		at = skip > at + i ? skip : at + (i ? i : w);
	}
	return NULL;
}

/* Follows `next` from the main arena; adds it and all others. */
static struct wh_err *ring_from(struct wh_ptmalloc *m, struct wh_pt_arena *first)
{
	uint64_t at = word(m, first->bins + m->off_next);
	uint64_t start = first->bins - m->off_state;
	size_t base = m->arenas.n;

	first->main = heap_header_of(m, start) == 0;
	WH_TRY(WH_VEC_PUSH(&m->arenas, *first));
	while (at != start && m->arenas.n - base < WH_PT_MAX_ARENAS) {
		struct wh_pt_arena a = {.addr = at, .bins = at + m->off_state};

		a.main = heap_header_of(m, at) == 0;
		a.good_bins = count_bins(m, a.bins);
		if (!wh_process_is_data(m->p, at, m->w) || known_bins(m, a.bins) ||
		    a.good_bins < WH_PT_MIN_BINS) {
			wh_diag_add(m->p->ctx->diags, WH_DIAG_WARN, "arena-ring", at,
				    "the ring of malloc arenas is broken at 0x%llx",
				    (unsigned long long)at);
			break;
		}
		a.system_mem = word(m, a.bins + m->off_system);
		a.end = m->arenas.v[base].end - m->arenas.v[base].bins + a.bins;
		read_top(m, &a);
		WH_TRY(WH_VEC_PUSH(&m->arenas, a));
		at = word(m, a.bins + m->off_next);
	}
	return NULL;
}

/* ---- heaps ---- */

/* Does every arena's top lie in a heap of its own when heaps are @max bytes? */
static bool heaps_agree(struct wh_ptmalloc *m, uint64_t max)
{
	for (size_t i = 0; i < m->arenas.n; i++) {
		const struct wh_pt_arena *a = &m->arenas.v[i];
		uint64_t first = a->addr - m->heap_header, h = a->top & ~(max - 1);

		if (a->main || !a->top)
			continue;
		if ((first & (max - 1)) || word(m, h) != a->addr)
			return false;
	}
	return true;
}

/*
 * sizeof(heap_info) is the distance from a heap's start to its arena.  HEAP_MAX_SIZE is
 * 2 * DEFAULT_MMAP_THRESHOLD_MAX, unless huge pages or a build option changed it: a small heap fits any
 * size, so that the usual one is tried first.
 */
static void learn_heap_layout(struct wh_ptmalloc *m)
{
	uint64_t usual = m->w == 8 ? 64u << 20 : 1u << 20;

	for (size_t i = 0; i < m->arenas.n && !m->heap_header; i++)
		if (!m->arenas.v[i].main)
			m->heap_header = heap_header_of(m, m->arenas.v[i].addr);
	m->heap_max = usual;
	for (uint64_t max = usual; m->heap_header && max <= usual << 8; max <<= 1) {
		if (heaps_agree(m, max)) {
			m->heap_max = max;
			return;
		}
	}
	for (uint64_t max = usual >> 1; m->heap_header && max >= 1u << 16; max >>= 1) {
		if (heaps_agree(m, max)) {
			m->heap_max = max;
			return;
		}
	}
}

/* ---- the memory of each arena ---- */

/* First place at or after @addr where a chunk may start. */
static uint64_t first_chunk(const struct wh_ptmalloc *m, uint64_t addr)
{
	uint64_t mask = m->align - 1;

	return ((addr + 2 * m->w + mask) & ~mask) - 2 * m->w;
}

/* Do @n chunks follow each other from @at, or fewer that end at @stop? */
static bool chain_starts(struct wh_ptmalloc *m, uint64_t at, uint64_t stop, unsigned int n)
{
	for (unsigned int i = 0; i < n && at < stop; i++) {
		uint64_t head = word(m, at + m->w), size = head & ~(uint64_t)WH_PT_FLAGS;

		if ((head & (WH_PT_MMAPPED | WH_PT_NON_MAIN)) || size < m->min_chunk ||
		    (size & (m->align - 1)) || size > stop - at)
			return false;
		at += size;
	}
	return true;
}

/* Do chunks follow each other from @at, some of which lie where no chunk lies when blocks are 16-aligned? */
static bool has_odd_chunks(struct wh_ptmalloc *m, uint64_t at, uint64_t stop)
{
	bool odd = false;

	for (unsigned int i = 0; i < 4096 && at < stop; i++) {
		uint64_t size = word(m, at + m->w) & ~(uint64_t)WH_PT_FLAGS;

		if (size < m->min_chunk || size > stop - at)
			return false;
		odd |= ((at + 8) & 15) != 0;
		at += size;
	}
	return odd;
}

static bool has_odd_bins(struct wh_ptmalloc *m, const struct wh_pt_arena *a)
{
	for (unsigned int i = 0; i < WH_PT_BINS; i++) {
		uint64_t pair = a->bins + 2ull * i * m->w, fd = word(m, pair);

		if (fd != pair - 2 * m->w && is_bin(m, pair) && ((fd + 8) & 15))
			return true;
	}
	return false;
}

/*
 * MALLOC_ALIGNMENT is 2 * SIZE_SZ, but 16 on i386 since 2.26, when chunks moved to 8 mod 16: told by the addresses of
 * chunks: of top, of free ones, and of the first ones of each arena.
 */
static void learn_alignment(struct wh_ptmalloc *m)
{
	m->align = 2 * m->w;
	m->min_chunk = 4 * m->w;
	if (m->w != 4)
		return;
	for (size_t i = 0; i < m->arenas.n; i++) {
		const struct wh_pt_arena *a = &m->arenas.v[i];
		uint64_t end = a->top + a->top_size, first = a->main ? end - a->system_mem : a->end;

		if (!a->top)
			continue;
		if (((a->top + 8) & 15) || has_odd_bins(m, a) ||
		    (first < a->top && has_odd_chunks(m, first_chunk(m, first), a->top)))
			return;
	}
	m->align = 16;
}

static struct wh_err *main_region(struct wh_ptmalloc *m, uint32_t ai)
{
	const struct wh_pt_arena *a = &m->arenas.v[ai];
	const struct wh_map_area *map = wh_process_find_map(m->p, a->top);
	struct wh_pt_region r = {.arena = ai, .has_top = true};
	uint64_t base;

	if (!a->top || !map)
		return NULL;
	r.end = a->top + a->top_size;
	if (!a->top_size || r.end < a->top || r.end > map->end)
		r.end = map->end; /* a damaged top: the map bounds it */
	/* the heap is contiguous unless somebody else moved the break or it had to use mmap */
	base = first_chunk(m, r.end - a->system_mem);
	if (a->system_mem > r.end || !wh_process_is_data(m->p, base, 2 * m->w) || base >= a->top ||
	    !chain_starts(m, base, a->top, 64))
		base = first_chunk(m, map->start);
	r.start = base < a->top ? base : a->top;
	return WH_VEC_PUSH(&m->regions, r);
}

/* A heap_info at @h: {ar_ptr, prev, size, mprotect_size, ...} */
static struct wh_err *heap_region(struct wh_ptmalloc *m, uint32_t ai, uint64_t h,
				  const struct wh_map_area *map)
{
	const struct wh_pt_arena *a = &m->arenas.v[ai];
	uint64_t size = word(m, h + 2 * m->w), mprotected = word(m, h + 3 * m->w);
	struct wh_pt_region r = {.arena = ai, .fenced = true};

	if (size > m->heap_max || (size & (PAGE - 1)) || size > map->end - h ||
	    size < m->heap_header) {
		wh_diag_add(m->p->ctx->diags, WH_DIAG_WARN, "heap-damaged", h,
			    "the heap at 0x%llx has no sensible size", (unsigned long long)h);
		size = map->end - h < m->heap_max ? map->end - h : m->heap_max;
		mprotected = size;
	}
	r.start = first_chunk(m, h + m->heap_header == a->addr ? a->end : h + m->heap_header);
	r.end = h + size;
	if (a->top >= h && a->top < r.end) {
		r.has_top = true;
		r.fenced = false;
	}
	if (r.start >= r.end)
		return NULL;
	m->sum.overhead_bytes += r.start - h;
	m->sum.bytes += r.start - h;
	WH_TRY(wh_process_claim(m->p, h, r.start, WH_CLAIM_INTERNAL));
	if (mprotected > size && mprotected <= map->end - h) /* given back, but still writable */
		WH_TRY(wh_process_claim(m->p, r.end, h + mprotected, WH_CLAIM_INTERNAL));
	return WH_VEC_PUSH(&m->regions, r);
}

/* Heaps are found by their alignment and first word: also those that a damaged `prev` would hide. */
static struct wh_err *heap_regions(struct wh_ptmalloc *m, const struct wh_map *by_addr)
{
	for (size_t i = 0; i < m->p->maps.n; i++) {
		const struct wh_map_area *map = &m->p->maps.v[i];
		uint64_t h = (map->start + m->heap_max - 1) & ~(m->heap_max - 1);

		if (!(map->flags & WH_MAP_W) || map->file)
			continue;
		for (; h >= map->start && h < map->present_end; h += m->heap_max) {
			uint64_t ai;

			if (wh_map_find(by_addr, word(m, h), &ai) && !m->arenas.v[ai].main)
				WH_TRY(heap_region(m, (uint32_t)ai, h, map));
		}
	}
	return NULL;
}

/* One past the fence posts that chunks lead to from @at, 0 when they lead to none before @stop. */
static uint64_t fence_behind(struct wh_ptmalloc *m, uint64_t at, uint64_t stop, uint64_t *budget)
{
	uint64_t fence = 2 * m->w | WH_PT_PREV_INUSE, start = at;

	for (; *budget && chain_starts(m, at, stop, 1) && at < stop; --*budget)
		at += word(m, at + m->w) & ~(uint64_t)WH_PT_FLAGS;
	if (!*budget || at == start || at >= stop || stop - at < 4 * m->w ||
	    (word(m, at + m->w) | WH_PT_PREV_INUSE) != fence || word(m, at + 3 * m->w) != fence)
		return 0;
	return at + 4 * m->w;
}

static struct wh_err *stray_runs(struct wh_ptmalloc *m, uint32_t ai, const struct wh_map_area *map,
				 uint64_t *budget)
{
	uint64_t at = map->start, end = map->present_end;

	for (size_t k = 0; k < m->regions.n; k++)
		if (m->regions.v[k].start < end && at < m->regions.v[k].end)
			at = m->regions.v[k].end;
	for (; at < end && *budget; at = (at | (PAGE - 1)) + 1, --*budget) {
		struct wh_pt_region r = {
			.start = first_chunk(m, at), .end = end, .arena = ai, .fenced = true};
		uint64_t fence;

		if (!(word(m, r.start + m->w) & WH_PT_PREV_INUSE))
			continue;
		fence = fence_behind(m, r.start, end, budget);
		if (fence)
			r.end = fence;
		else if (at != map->start || !chain_starts(m, r.start, end, 8))
			continue;
		WH_TRY(WH_VEC_PUSH(&m->regions, r));
		at = r.end - 1;
	}
	return NULL;
}

/*
 * Memory that a main arena got by mmap when the break could not move, or always (glibc.malloc.hugetlb=2): runs of
 * chunks that start a page and end at fence posts.  The kernel places new memory below and joins it with what is
 * there, so that a run may begin anywhere in a mapping, behind the one with the top chunk, too.
 */
static struct wh_err *stray_main_regions(struct wh_ptmalloc *m, uint32_t ai)
{
	uint64_t budget = STRAY_BUDGET;

	for (size_t i = 0; i < m->p->maps.n; i++) {
		const struct wh_map_area *map = &m->p->maps.v[i];

		if ((map->flags & WH_MAP_W) && !map->file && map->module == UINT32_MAX)
			WH_TRY(stray_runs(m, ai, map, &budget));
	}
	return NULL;
}

struct wh_err *wh_pt_find_regions(struct wh_ptmalloc *m)
{
	struct wh_map by_addr = WH_MAP_INIT;
	struct wh_err *e = NULL;

	for (size_t i = 0; i < m->arenas.n && !e; i++) {
		struct wh_pt_arena *a = &m->arenas.v[i];
		size_t before = m->regions.n;

		e = wh_map_set(&by_addr, a->addr, i, NULL);
		if (!e && a->main)
			e = wh_process_claim(m->p, a->addr, a->end, WH_CLAIM_INTERNAL);
		if (!e && a->main)
			e = main_region(m, (uint32_t)i);
		if (!e && m->regions.n > before &&
		    m->regions.v[before].end - m->regions.v[before].start + PAGE < a->system_mem)
			e = stray_main_regions(m, (uint32_t)i);
	}
	if (!e && m->heap_header)
		e = heap_regions(m, &by_addr);
	wh_map_fini(&by_addr);
	return e;
}

/* Where modules are not known the ring may have been met elsewhere. */
static void main_arena_first(struct wh_ptmalloc *m)
{
	for (size_t i = 1; i < m->arenas.n && !m->arenas.v[0].main; i++) {
		struct wh_pt_arena a = m->arenas.v[i];

		if (a.main) {
			m->arenas.v[i] = m->arenas.v[0];
			m->arenas.v[0] = a;
		}
	}
}

struct wh_err *wh_pt_find_arenas(struct wh_ptmalloc *m)
{
	const struct wh_process *p = m->p;

	/* modules first: main_arena is libc's (or the program's, when static) */
	for (int anonymous = 0; anonymous < 2 && !m->arenas.n; anonymous++) {
		for (size_t i = 0; i < p->maps.n; i++) {
			const struct wh_map_area *a = &p->maps.v[i];

			if (!(a->flags & WH_MAP_W) || (a->module == UINT32_MAX) != (anonymous == 1))
				continue;
			if (wh_ctx_cancelled(p->ctx))
				return &wh_err_cancelled;
			WH_TRY(scan_range(m, a->start, a->present_end));
		}
	}
	if (!m->arenas.n)
		return &wh_err_not_mine;
	main_arena_first(m);
	learn_heap_layout(m);
	learn_alignment(m);
	return NULL;
}
