/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chunk by chunk through the memory of every arena, in one sequential pass.
 *
 *	chunk   [prev_size][size|flags][ user ... ]   next [prev_size][size|PREV_INUSE] ...
 *	                               └─ the row ────────────────────┘
 *
 * Whether a chunk is in use is said by the header behind it, so that the walk is one chunk behind its
 * own tail.  The row is what the program got: from the user address up to and with the next chunk's
 * prev_size word, which belongs to a chunk in use.
 *
 * Damage: a header that cannot be one ends the run; the walk goes on where eight sensible headers in a
 * row (or the top chunk) say that chunks go on.  The gap is claimed by nobody, so that it is a root: it
 * may hold references, and nothing in it is reported.
 *
 * Cost: one load a chunk and one buffer-table row; the windows are borrowed from the reader and each
 * byte of the heap is looked at once.
 */
#include <stdlib.h>
#include <string.h>

#include "analyzer/alloc/ptmalloc.h"

#define WINDOW	     (256u << 10) /* stays in L2 */
#define PAGE	     4096u
#define RESYNC_CHAIN 8
#define NONE	     UINT64_MAX
#define ROWS_MAX     1024

struct walk {
	struct wh_ptmalloc *m;
	const struct wh_pt_region *r;
	struct wh_pt_arena *arena;
	struct wh_heap_totals *sum;
	struct wh_reader *reader;
	/* window */
	const uint8_t *buf;
	uint64_t at;
	size_t len;
	/* the chunk whose use the next header decides */
	uint64_t prev, prev_size;
	uint64_t run; /* start of the run of good chunks that is not claimed yet */
	struct wh_buf_row rows[ROWS_MAX]; /* not yet in the table */
	size_t n_rows;
	uint64_t gap; /* [bytes] that are unreadable like the word that just was */
};

/* A window of present memory; over absent memory as much as is left, to step over it at once. */
static size_t window_size(struct walk *k, uint64_t addr, uint64_t left)
{
	const struct wh_map_area *map = wh_process_find_map(k->m->p, addr);
	uint64_t most = map && addr < map->present_end ? WINDOW : left;

	return (size_t)(left < k->m->w ? k->m->w : left < most ? left : most);
}

/* The word at @addr through the window; false when it is not in the core. */
static bool window_word(struct walk *k, uint64_t addr, uint64_t *ret)
{
	uint32_t w = k->m->w;

	if (__builtin_expect(addr - k->at > k->len - w || addr < k->at || k->len < w, 0)) {
		enum wh_mem_state state;
		uint64_t left = k->r->end > addr ? k->r->end - addr : w;

		/* @want also bounds what is said of unreadable memory: ask for all there is left */
		k->buf = wh_reader_borrow(k->reader, WH_VIRT, addr, window_size(k, addr, left),
					  &k->len, &state);
		k->at = addr;
		if (!k->buf) {
			k->gap = k->len;
			k->len = 0;
			return false;
		}
		if (k->len < w) /* a word that straddles two pieces */
			return k->len = 0, wh_read_word(k->m->p->r, addr, ret);
	}
	*ret = wh_get_word(k->m->abi, k->buf + (addr - k->at));
	return true;
}

uint16_t wh_pt_class(const struct wh_ptmalloc *m, uint64_t size)
{
	uint64_t units = size / m->align;

	if (units < WH_PT_SMALL)
		return m->cls_small[units];
	return m->cls_large[63 - (unsigned int)__builtin_clzll(size)];
}

/* A chunk in use that could be a thread's tcache is remembered. */
static struct wh_err *note_tcache(struct walk *k, uint64_t chunk, uint64_t size)
{
	uint8_t buf[1024];
	size_t n = (size_t)(size - k->m->w);

	if (n > sizeof(buf) ||
	    wh_read_some(k->m->p->r, WH_VIRT, wh_pt_to_user(k->m, chunk), buf, n, NULL) < n ||
	    !wh_pt_tcache_plausible(k->m, buf, size) || k->m->tcaches.n >= WH_PT_MAX_ARENAS)
		return NULL;
	return WH_VEC_PUSH(&k->m->tcaches, wh_pt_to_user(k->m, chunk));
}

static struct wh_err *flush_rows(struct walk *k)
{
	size_t n = k->n_rows;

	k->n_rows = 0;
	return wh_buftab_add_many(k->m->p->t->buftab, k->rows, n);
}

static inline struct wh_err *settle_prev(struct walk *k, bool in_use)
{
	struct wh_ptmalloc *m = k->m;
	uint64_t size = k->prev_size;

	if (!in_use) {
		k->sum->free++;
		k->sum->free_bytes += size;
		return NULL;
	}
	k->sum->used++;
	k->sum->used_bytes += size;
	if (wh_pt_is_tcache_size(m, size))
		WH_TRY(note_tcache(k, k->prev, size));
	k->rows[k->n_rows++] = (struct wh_buf_row){wh_pt_to_user(m, k->prev), size - m->w,
						   wh_pt_class(m, size), WH_BUF_ALLOCATED};
	return k->n_rows == ROWS_MAX ? flush_rows(k) : NULL;
}

static struct wh_err *claim_run(struct walk *k, uint64_t end)
{
	if (k->run == NONE || k->run >= end)
		return NULL;
	WH_TRY(wh_process_claim(k->m->p, k->run, end, WH_CLAIM_HEAP));
	WH_TRY(wh_plan_add_node(&k->m->p->t->plan, WH_VIRT, k->run, k->run, end - k->run));
	k->run = NONE;
	return NULL;
}

static inline bool sane_header(const struct walk *k, uint64_t at, uint64_t head)
{
	uint64_t size = head & ~(uint64_t)WH_PT_FLAGS;
	uint32_t want = k->arena->main ? 0 : WH_PT_NON_MAIN;

	/* chunks of the main arena never have the bit; in others it is set when the chunk is handed out */
	return size >= k->m->min_chunk && !(size & (k->m->align - 1)) && size <= k->r->end - at &&
	       !(head & WH_PT_MMAPPED) && !(head & WH_PT_NON_MAIN & ~want);
}

/* Do sensible headers go on from @at? */
static bool chain_goes_on(struct walk *k, uint64_t at)
{
	for (int i = 0; i < RESYNC_CHAIN; i++) {
		uint64_t head;

		if (k->r->has_top && at == k->arena->top)
			return true;
		if (at >= k->r->end || !window_word(k, at + k->m->w, &head) ||
		    !sane_header(k, at, head))
			return false;
		at += head & ~(uint64_t)WH_PT_FLAGS;
	}
	return true;
}

/* The next place at or after @at where chunks go on; the region's end when there is none. */
static uint64_t resync(struct walk *k, uint64_t at)
{
	uint64_t step = k->m->align, head;

	for (at += step; at < k->r->end; at += step) {
		if (!window_word(k, at + k->m->w, &head)) {
			uint64_t next = (at + (k->gap ? k->gap - 1 : 0)) | (PAGE - 1);

			if (next >= k->r->end || next < at)
				break;
			next++;
			at = ((next + 2 * k->m->w + step - 1) & ~(step - 1)) - 2 * k->m->w - step;
			continue;
		}
		if (sane_header(k, at, head) && (head & WH_PT_PREV_INUSE) && chain_goes_on(k, at))
			return at;
	}
	return k->r->end;
}

/* At a header that is none: claims what was good, steps over the damage.  *pos moves on. */
static struct wh_err *step_over(struct walk *k, uint64_t *pos, bool readable)
{
	uint64_t bad = *pos, next;

	if (k->prev != NONE) /* its end is as doubtful as this header: neither used nor free */
		bad = k->prev;
	WH_TRY(claim_run(k, bad));
	next = resync(k, *pos);
	k->sum->damaged_bytes += next - bad;
	if (readable)
		wh_diag_add(
			k->m->p->ctx->diags, WH_DIAG_WARN, "heap-damaged", *pos,
			"the chunk header at 0x%llx is damaged; %llu bytes of the heap are not judged",
			(unsigned long long)*pos, (unsigned long long)(next - bad));
	else
		wh_diag_add(k->m->p->ctx->diags, WH_DIAG_WARN, "heap-missing", *pos,
			    "heap memory from 0x%llx is not in the core (%llu bytes not judged)",
			    (unsigned long long)*pos, (unsigned long long)(next - bad));
	k->prev = NONE;
	k->run = next < k->r->end ? next : NONE;
	*pos = next;
	return NULL;
}

/* Two headers of 2 * SIZE_SZ (or 0 at the end of a heap) that stop consolidation. */
static bool is_fence(struct walk *k, uint64_t at, uint64_t head)
{
	uint64_t size = head & ~(uint64_t)WH_PT_FLAGS, next;

	if (!(head & WH_PT_PREV_INUSE) && k->prev == NONE)
		return false;
	if (size == 2 * k->m->w && at + 4 * k->m->w <= k->r->end &&
	    window_word(k, at + 3 * k->m->w, &next))
		return (next & ~(uint64_t)WH_PT_FLAGS) <= 2 * k->m->w && (next & WH_PT_PREV_INUSE);
	return size == 0 && k->r->end - at <= 2 * k->m->align + 4 * k->m->w;
}

static struct wh_err *finish(struct walk *k, uint64_t pos, uint64_t overhead)
{
	k->sum->overhead_bytes += overhead;
	return claim_run(k, pos + overhead < k->r->end ? pos + overhead : k->r->end);
}

static struct wh_err *at_top(struct walk *k, uint64_t pos)
{
	k->sum->free++;
	k->sum->free_bytes += k->r->end - pos;
	return claim_run(k, k->r->end);
}

/* At a fence: the region ends here, or foreign memory lies in between and chunks go on behind it. */
static struct wh_err *at_fence(struct walk *k, uint64_t *pos)
{
	uint64_t end = *pos + 4 * k->m->w, next;

	k->prev = NONE;
	if (k->r->end - *pos <= PAGE && !k->r->has_top) {
		WH_TRY(finish(k, *pos, k->r->end - *pos));
		*pos = k->r->end;
		return NULL;
	}
	WH_TRY(finish(k, *pos, end - *pos));
	next = resync(k, end - k->m->align);
	k->sum->bytes -= next - end; /* foreign memory is not the heap's */
	k->run = next < k->r->end ? next : NONE;
	*pos = next;
	return NULL;
}

static struct wh_err *walk_region(struct walk *k)
{
	uint64_t pos = k->r->start, head = 0, top = k->r->has_top ? k->arena->top : NONE;
	uint64_t next_look = pos;

	k->prev = NONE;
	k->run = pos;
	k->sum->bytes += k->r->end - pos;
	while (pos < k->r->end) {
		bool readable = window_word(k, pos + k->m->w, &head);

		if (pos >= next_look) {
			wh_ctx_progress(k->m->p->ctx, "walk heap", pos - k->r->start,
					k->r->end - k->r->start);
			if (wh_ctx_cancelled(k->m->p->ctx))
				return &wh_err_cancelled;
			next_look = pos + WINDOW;
		}
		if (__builtin_expect(!readable || !sane_header(k, pos, head), 0) && pos != top) {
			bool fence = readable && is_fence(k, pos, head);

			if (fence && k->prev != NONE)
				WH_TRY(settle_prev(k, head & WH_PT_PREV_INUSE));
			WH_TRY(fence ? at_fence(k, &pos) : step_over(k, &pos, readable));
			continue;
		}
		if (k->prev != NONE)
			WH_TRY(settle_prev(k, head & WH_PT_PREV_INUSE));
		if (pos == top)
			return at_top(k, pos);
		k->prev = pos;
		k->prev_size = head & ~(uint64_t)WH_PT_FLAGS;
		pos += k->prev_size;
	}
	if (k->prev != NONE)
		WH_TRY(settle_prev(k, true));
	return claim_run(k, k->r->end);
}

/* ---- mmapped chunks ---- */

/*
 * A block of its own mapping: {prev_size, size|2}, where prev_size is what alignment left unused in
 * front.  Up to glibc 2.42 front + size is the whole mapping; since 2.43 two more words lie behind, and
 * bit 0 of prev_size says that it is of huge pages (malloc/malloc.c, mmap_set_chunk).  As the mapping is
 * whole pages, each header tells which it is.  The kernel joins neighbouring mappings, so that a block
 * may start on any page of an anonymous mapping.
 */
#define MMAP_HP 1u

struct mmapped {
	struct wh_ptmalloc *m;
	WH_VEC(struct wh_pt_chunk) found;
};

/* The end of the mapping of a chunk at @chunk whose header is {@front, @head}; 0 when that is none. */
static uint64_t mapping_end(const struct wh_ptmalloc *m, uint64_t chunk, uint64_t front,
			    uint64_t head)
{
	uint64_t size = head & ~(uint64_t)WH_PT_FLAGS, end;

	if ((head & WH_PT_FLAGS) != WH_PT_MMAPPED || size < PAGE / 2 || front > chunk ||
	    ((chunk - front) & (PAGE - 1)) || __builtin_add_overflow(chunk, size, &end))
		return 0;
	if (end & (PAGE - 1))
		end += 2 * m->w;
	return end & (PAGE - 1) ? 0 : end;
}

/* @b is the target memory at @chunk: its header. */
static bool is_mmapped(struct wh_ptmalloc *m, const uint8_t *b, uint64_t chunk, uint64_t start,
		       uint64_t end, struct wh_pt_chunk *ret)
{
	uint64_t front = wh_get_word(m->abi, b) & ~(uint64_t)MMAP_HP;
	uint64_t last = mapping_end(m, chunk, front, wh_get_word(m->abi, b + m->w));

	if (!last || last > end || front > chunk - start)
		return false;
	*ret = (struct wh_pt_chunk){
		.addr = chunk, .size = last - chunk, .flags = WH_PT_MMAPPED, .in_use = true};
	return true;
}

/* An aligned block's chunk can lie at few offsets in a page. */
static bool find_on_page(struct wh_ptmalloc *m, uint64_t page, uint64_t start, uint64_t end,
			 struct wh_pt_chunk *ret)
{
	enum wh_mem_state state;
	size_t len = 0;
	const uint8_t *b = wh_reader_borrow(m->p->r, WH_VIRT, page, PAGE, &len, &state);

	if (!b || len < 2 * m->w)
		return false;
	if (is_mmapped(m, b, page, start, end, ret))
		return true;
	for (uint64_t a = m->w == 4 ? 16 : 32; a <= PAGE && a <= len; a <<= 1)
		if (is_mmapped(m, b + a - 2 * m->w, page + a - 2 * m->w, start, end, ret))
			return true;
	return false;
}

/*
 * memalign leaves the header of the whole mapping behind, in front of the aligned chunk that it gave out:
 * looks for that one among the few places where an alignment can have put it.
 */
static void prefer_aligned(struct wh_ptmalloc *m, struct wh_pt_chunk *c)
{
	uint64_t user = wh_pt_to_user(m, c->addr), end = c->addr + c->size;
	uint64_t start = c->addr & ~(uint64_t)(PAGE - 1); /* of the mapping */

	for (uint64_t a = 2 * m->align; a < c->size; a <<= 1) {
		for (uint64_t u = (user + a - 1) & ~(a - 1), k = 0; k < 2 && u < end; k++, u += a) {
			uint64_t at = u - 2 * m->w, front, head;

			if (u == user || !wh_read_word(m->p->r, at, &front) ||
			    (front & ~(uint64_t)MMAP_HP) != at - start ||
			    !wh_read_word(m->p->r, at + m->w, &head) ||
			    mapping_end(m, at, at - start, head) != end)
				continue;
			c->addr = at;
			c->size = end - at;
			return;
		}
	}
}

static struct wh_err *find_in_piece(void *arg, const struct wh_map_area *map, uint64_t start,
				    uint64_t end)
{
	struct mmapped *x = arg;
	struct wh_ptmalloc *m = x->m;
	uint64_t floor = (start + PAGE - 1) & ~(uint64_t)(PAGE - 1), at = floor;

	if (map->file || map->module != UINT32_MAX)
		return NULL;
	if (end > map->present_end)
		end = map->present_end;
	while (at < end) {
		struct wh_pt_chunk c;

		if (!find_on_page(m, at, floor, end, &c)) {
			at += PAGE;
			continue;
		}
		prefer_aligned(m, &c);
		WH_TRY(WH_VEC_PUSH(&x->found, c));
		at = floor = (c.addr + c.size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	}
	return NULL;
}

static struct wh_err *add_mmapped(struct wh_ptmalloc *m, const struct wh_pt_chunk *c)
{
	uint64_t start = c->addr & ~(uint64_t)(PAGE - 1), end = c->addr + c->size, front = 0;

	if (wh_read_word(m->p->r, c->addr, &front) && front <= c->addr)
		start = c->addr - (front & ~(uint64_t)MMAP_HP);
	m->n_mmapped++;
	m->mmapped_bytes += end - start;
	m->sum.used++;
	m->sum.used_bytes += end - start;
	m->sum.bytes += end - start;
	WH_TRY(wh_process_claim(m->p, start, end, WH_CLAIM_HEAP));
	WH_TRY(wh_plan_add_node(&m->p->t->plan, WH_VIRT, start, start, end - start));
	return wh_buftab_add(m->p->t->buftab, m->cls_mmapped, wh_pt_to_user(m, c->addr),
			     c->size - 2 * m->w, WH_BUF_ALLOCATED);
}

static struct wh_err *walk_mmapped(struct wh_ptmalloc *m)
{
	struct mmapped x = {.m = m};
	struct wh_err *e;

	wh_process_sort_claims(m->p);
	e = wh_process_each_free(m->p, find_in_piece, &x);
	for (size_t i = 0; i < x.found.n && !e; i++)
		e = add_mmapped(m, &x.found.v[i]);
	WH_VEC_FINI(&x.found);
	return e;
}

struct wh_err *wh_pt_walk(struct wh_ptmalloc *m)
{
	WH_AUTO_FREE struct walk *k = wh_calloc(1, sizeof(*k));
	struct wh_err *e;

	if (!k)
		return &wh_err_nomem;
	k->m = m;
	e = wh_reader_create(wh_reader_mem(m->p->r), &k->reader);
	for (size_t i = 0; i < m->regions.n && !e; i++) {
		k->r = &m->regions.v[i];
		k->arena = &m->arenas.v[k->r->arena];
		k->sum = &k->arena->sum;
		k->len = 0;
		e = walk_region(k);
		if (!e)
			e = flush_rows(k);
	}
	wh_reader_destroy(k->reader);
	return e ? e : walk_mmapped(m);
}

/* ---- one chunk, for whatis ---- */

static bool start_of_walk(struct wh_ptmalloc *m, uint64_t addr,
			  const struct wh_pt_region **ret_region, uint64_t *ret_at)
{
	const struct wh_buftab *t = m->p->t->buftab;

	for (size_t i = 0; i < m->regions.n; i++) {
		const struct wh_pt_region *r = &m->regions.v[i];
		uint32_t row;

		if (addr < r->start || addr >= r->end)
			continue;
		row = wh_buftab_lower_bound(t, addr + 1);
		*ret_region = r;
		*ret_at = r->start;
		if (row > 0 && wh_buftab_addr(t, row - 1) - 2 * m->w >= r->start &&
		    wh_buftab_addr(t, row - 1) - 2 * m->w <= addr)
			*ret_at = wh_buftab_addr(t, row - 1) - 2 * m->w;
		return true;
	}
	return false;
}

bool wh_pt_find_chunk(struct wh_ptmalloc *m, uint64_t addr, struct wh_pt_chunk *ret,
		      const struct wh_pt_region **ret_region)
{
	const struct wh_pt_region *r;
	struct walk k = {.m = m, .reader = m->p->r};
	uint64_t at, head, next;

	if (!start_of_walk(m, addr, &r, &at))
		return false;
	k.r = r;
	k.arena = &m->arenas.v[r->arena];
	while (at < r->end && window_word(&k, at + m->w, &head)) {
		uint64_t size = head & ~(uint64_t)WH_PT_FLAGS;
		bool top = r->has_top && at == k.arena->top;

		if (!top && !sane_header(&k, at, head))
			return false;
		if (addr >= at + size) {
			at += size;
			continue;
		}
		*ret = (struct wh_pt_chunk){
			.addr = at, .size = size, .flags = (uint32_t)(head & WH_PT_FLAGS)};
		ret->top = top;
		ret->in_use = !top && (!window_word(&k, at + size + m->w, &next) ||
				       (next & WH_PT_PREV_INUSE));
		*ret_region = r;
		return true;
	}
	return false;
}
