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
 * A heap can be all of a process, so it is walked in units, by all workers:
 *
 *	unit  |....g->->->->->->x|....g->->->->->->x|..
 *
 * Each begins at a guess g, a place near its start from where chunks lead on, and ends at the first chunk
 * behind its end, x.  Then the units are joined in order, from the region's first chunk: a unit whose guess is
 * where the one before ended stands; any other is walked again from there.  What stands was therefore reached
 * chunk by chunk from the start, as if by one worker.  A guess is given up where it would have to look beyond
 * its unit, so that no memory is looked at more than twice.
 *
 * Cost: one load a chunk and one code in a part of the buffer table.
 */
#include <stdlib.h>
#include <string.h>

#include "analyzer/alloc/ptmalloc.h"

#define WINDOW	     (256u << 10) /* stays in L2 */
#define PAGE	     4096u
#define RESYNC_CHAIN 8
#define NONE	     UINT64_MAX
#define UNIT_BYTES   ((uint64_t)4 << 20) /* or more, when that makes more than UNITS_MAX */
#define UNITS_MAX    8192u
#define LEAD_BYTES   ((uint64_t)16 << 10) /* a guess looks for chunks so much before its unit */

/* Where the run of good chunks stopped. */
enum gap_kind {
	GAP_DAMAGED, /* a header that is none */
	GAP_MISSING, /* not in the core */
	GAP_FENCE,   /* foreign memory, or the end */
};

struct gap {
	enum gap_kind kind;
	uint64_t at;	   /* the header */
	uint64_t from, to; /* nothing in between is the heap's */
};

/* A piece of a region, and what was found from its first chunk on to the first one behind its end. */
struct unit {
	const struct wh_pt_region *r;
	uint64_t start, end;
	uint64_t entry; /* chunk that the walk began with, NONE: not walked */
	uint64_t exit;	/* chunk that it ended at, or the region's end */
	struct wh_heap_totals sum;
	WH_VEC(struct gap) gaps;
	WH_VEC(uint64_t) tcaches;
	WH_VEC(struct wh_buf_part *) parts; /* one more for each gap */
};

struct walk {
	struct wh_ptmalloc *m;
	const struct wh_pt_region *r;
	const struct wh_pt_arena *arena;
	struct unit *u;
	struct wh_reader *reader;
	struct wh_reader *aux; /* for reads that must leave the window alone */
	struct wh_buf_writer *writer;
	/* window */
	const uint8_t *buf;
	uint64_t at;
	size_t room; /* places in it where a word begins */
	/* the chunk whose use the next header decides */
	uint64_t prev, prev_size;
	uint64_t limit; /* where to stop looking for chunks */
	uint64_t gap;	/* [bytes] that are unreadable like the word that just was */
};

struct heap_walk {
	struct wh_ptmalloc *m;
	WH_VEC(struct unit) units;
	struct walk *walks; /* one a worker */
	unsigned int n_walks;
};

/* A window of present memory; over absent memory as much as is left, to step over it at once. */
static size_t window_size(struct walk *k, uint64_t addr, uint64_t left)
{
	const struct wh_map_area *map = wh_process_find_map(k->m->p, addr);
	uint64_t most = map && addr < map->present_end ? WINDOW : left;

	return (size_t)(left < k->m->w ? k->m->w : left < most ? left : most);
}

/* Moves the window to @addr, and reads the word there; false when it is not in the core. */
static __attribute__((noinline)) bool window_move(struct walk *k, uint64_t addr, uint64_t *ret)
{
	uint32_t w = k->m->w;
	enum wh_mem_state state;
	uint64_t left = k->r->end > addr ? k->r->end - addr : w;
	size_t len;

	/* @want also bounds what is said of unreadable memory: ask for all there is left */
	k->buf = wh_reader_borrow(k->reader, WH_VIRT, addr, window_size(k, addr, left), &len,
				  &state);
	k->at = addr;
	k->room = 0;
	if (!k->buf) {
		k->gap = len;
		return false;
	}
	if (len < w) /* a word that straddles two pieces */
		return wh_read_word(k->m->p->r, addr, ret);
	k->room = len - w + 1;
	*ret = wh_get_word(k->m->abi, k->buf);
	return true;
}

/* The word at @addr through the window; false when it is not in the core. */
static inline bool window_word(struct walk *k, uint64_t addr, uint64_t *ret)
{
	if (__builtin_expect(addr - k->at >= k->room, 0))
		return window_move(k, addr, ret);
	*ret = wh_get_word(k->m->abi, k->buf + (addr - k->at));
	return true;
}

uint16_t wh_pt_class(const struct wh_ptmalloc *m, uint64_t size)
{
	uint64_t units = size >> __builtin_ctz(m->align);

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
	    wh_read_some(k->aux, WH_VIRT, wh_pt_to_user(k->m, chunk), buf, n, NULL) < n ||
	    !wh_pt_tcache_plausible(k->m, buf, size) || k->u->tcaches.n >= WH_PT_MAX_ARENAS)
		return NULL;
	return WH_VEC_PUSH(&k->u->tcaches, wh_pt_to_user(k->m, chunk));
}

static inline struct wh_err *settle_prev(struct walk *k, bool in_use)
{
	struct wh_ptmalloc *m = k->m;
	struct unit *u = k->u;
	uint64_t size = k->prev_size;

	if (!in_use) {
		u->sum.free++;
		u->sum.free_bytes += size;
		return NULL;
	}
	u->sum.used++;
	u->sum.used_bytes += size;
	if (wh_pt_is_tcache_size(m, size))
		WH_TRY(note_tcache(k, k->prev, size));
	return wh_buf_part_add(u->parts.v[u->parts.n - 1], wh_pt_class(m, size),
			       wh_pt_to_user(m, k->prev), size - m->w, WH_BUF_ALLOCATED);
}

/* Rows to come belong to a part of their own: others may lie in the gap. */
static struct wh_err *begin_part(struct walk *k)
{
	struct wh_buf_part *p;
	struct wh_err *e;

	WH_TRY(wh_buf_part_create(k->writer, &p));
	e = WH_VEC_PUSH(&k->u->parts, p);
	if (e)
		wh_buf_part_destroy(p);
	return e;
}

static struct wh_err *note_gap(struct walk *k, enum gap_kind kind, uint64_t at, uint64_t from,
			       uint64_t to)
{
	WH_TRY(WH_VEC_PUSH(&k->u->gaps, (struct gap){kind, at, from, to}));
	return to < k->r->end ? begin_part(k) : NULL;
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

/* The next place behind @at where chunks go on; k->limit when there is none before it. */
static uint64_t resync(struct walk *k, uint64_t at)
{
	uint64_t step = k->m->align, head;

	for (at += step; at < k->limit; at += step) {
		if (!window_word(k, at + k->m->w, &head)) {
			uint64_t next = (at + (k->gap ? k->gap - 1 : 0)) | (PAGE - 1);

			if (next >= k->limit || next < at)
				break;
			next++;
			at = ((next + 2 * k->m->w + step - 1) & ~(step - 1)) - 2 * k->m->w - step;
			continue;
		}
		if (sane_header(k, at, head) && (head & WH_PT_PREV_INUSE) && chain_goes_on(k, at))
			return at;
	}
	return k->limit;
}

/* At a header that is none: steps over the damage.  *pos moves on. */
static struct wh_err *step_over(struct walk *k, uint64_t *pos, bool readable)
{
	uint64_t bad = *pos, at = *pos;

	if (k->prev != NONE) /* its end is as doubtful as this header: neither used nor free */
		bad = k->prev;
	k->prev = NONE;
	*pos = resync(k, at);
	k->u->sum.damaged_bytes += *pos - bad;
	return note_gap(k, readable ? GAP_DAMAGED : GAP_MISSING, at, bad, *pos);
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

/* At a fence: the region ends here, or foreign memory lies in between and chunks go on behind it. */
static struct wh_err *at_fence(struct walk *k, uint64_t *pos)
{
	uint64_t at = *pos, end = at + 4 * k->m->w;

	k->prev = NONE;
	if (k->r->end - at <= PAGE && !k->r->has_top) {
		k->u->sum.overhead_bytes += k->r->end - at;
		*pos = k->r->end;
		return NULL;
	}
	k->u->sum.overhead_bytes += end - at;
	*pos = resync(k, end - k->m->align);
	k->u->sum.bytes -= *pos - end; /* foreign memory is not the heap's */
	return note_gap(k, GAP_FENCE, at, end, *pos);
}

/* ---- a unit ---- */

static void unit_clear(struct unit *u)
{
	for (size_t i = 0; i < u->parts.n; i++)
		wh_buf_part_destroy(u->parts.v[i]);
	WH_VEC_FINI(&u->parts);
	WH_VEC_FINI(&u->gaps);
	WH_VEC_FINI(&u->tcaches);
	memset(&u->sum, 0, sizeof(u->sum));
	u->entry = u->exit = NONE;
}

static void begin_unit(struct walk *k, struct unit *u)
{
	k->u = u;
	k->r = u->r;
	k->arena = &k->m->arenas.v[u->r->arena];
	k->room = 0;
	k->prev = NONE;
	k->limit = u->r->end;
}

static struct wh_err *bad_header(struct walk *k, uint64_t *pos, uint64_t head, bool readable)
{
	if (!readable || !is_fence(k, *pos, head))
		return step_over(k, pos, readable);
	if (k->prev != NONE)
		WH_TRY(settle_prev(k, head & WH_PT_PREV_INUSE));
	return at_fence(k, pos);
}

/*
 * From the chunk at @entry to the first good one at or behind the unit's end.  @guess: gives up, and clears the
 * unit, where only what lies behind the unit could tell how it goes on.
 */
static struct wh_err *walk_unit(struct walk *k, struct unit *u, uint64_t entry, bool guess)
{
	uint64_t pos = entry, head = 0, end = u->r->end, next_look = pos;
	uint64_t top;

	begin_unit(k, u);
	top = u->r->has_top ? k->arena->top : NONE;
	k->limit = guess ? u->end : end;
	u->entry = entry;
	WH_TRY(begin_part(k));
	while (pos < end) {
		bool readable = window_word(k, pos + k->m->w, &head);

		if (pos >= next_look) {
			if (wh_ctx_cancelled(k->m->p->ctx))
				return &wh_err_cancelled;
			next_look = pos + WINDOW;
		}
		if (__builtin_expect(!readable || !sane_header(k, pos, head), 0) && pos != top) {
			WH_TRY(bad_header(k, &pos, head, readable));
			if (guess && pos >= u->end && u->end < end) {
				unit_clear(u);
				return NULL;
			}
			continue;
		}
		if (k->prev != NONE)
			WH_TRY(settle_prev(k, head & WH_PT_PREV_INUSE));
		k->prev = NONE;
		if (pos == top) {
			u->sum.free++;
			u->sum.free_bytes += end - pos;
			pos = end;
		}
		if (pos >= u->end)
			break;
		k->prev = pos;
		k->prev_size = head & ~(uint64_t)WH_PT_FLAGS;
		pos += k->prev_size;
	}
	if (k->prev != NONE)
		WH_TRY(settle_prev(k, true));
	u->exit = pos;
	return NULL;
}

/* The first chunk at or behind the unit's start, as it seems from a little before; NONE when none shows. */
static uint64_t guess_entry(struct walk *k, struct unit *u)
{
	uint64_t step = k->m->align, lead = u->start - u->r->start, pos, head;

	begin_unit(k, u);
	k->limit = u->end;
	lead = (lead < LEAD_BYTES ? lead : LEAD_BYTES) & ~(step - 1);
	pos = u->r->start + ((u->start - lead - u->r->start) & ~(step - 1));
	for (pos = resync(k, pos - step); pos < u->end; pos = resync(k, pos)) {
		while (pos < u->start && window_word(k, pos + k->m->w, &head) &&
		       sane_header(k, pos, head))
			pos += head & ~(uint64_t)WH_PT_FLAGS;
		if (pos >= u->end)
			return NONE;
		if (pos >= u->start && window_word(k, pos + k->m->w, &head) &&
		    sane_header(k, pos, head))
			return pos;
	}
	return NONE;
}

static struct wh_err *guess_unit(void *arg, unsigned int worker, size_t unit)
{
	struct heap_walk *h = arg;
	struct unit *u = &h->units.v[unit];
	struct walk *k = &h->walks[worker];
	uint64_t entry = u->start == u->r->start ? u->start : guess_entry(k, u);

	return entry == NONE ? NULL : walk_unit(k, u, entry, /* guess= */ true);
}

/* ---- all of them ---- */

static struct wh_err *claim_run(struct wh_ptmalloc *m, uint64_t start, uint64_t end)
{
	if (start >= end)
		return NULL;
	WH_TRY(wh_process_claim(m->p, start, end, WH_CLAIM_HEAP));
	return wh_plan_add_node(&m->p->t->plan, WH_VIRT, start, start, end - start);
}

static void report_gap(struct wh_ptmalloc *m, const struct gap *g)
{
	struct wh_diags *d = m->p->ctx->diags;
	unsigned long long at = g->at, bytes = g->to - g->from;

	if (g->kind == GAP_DAMAGED)
		wh_diag_add(
			d, WH_DIAG_WARN, "heap-damaged", at,
			"the chunk header at 0x%llx is damaged; %llu bytes of the heap are not judged",
			at, bytes);
	else if (g->kind == GAP_MISSING)
		wh_diag_add(d, WH_DIAG_WARN, "heap-missing", at,
			    "heap memory from 0x%llx is not in the core (%llu bytes not judged)",
			    at, bytes);
}

/* The unit stands: what it found counts.  @run is where the run of good chunks began, NONE in a gap. */
static struct wh_err *unit_count(struct wh_ptmalloc *m, struct unit *u, uint64_t *run)
{
	struct wh_heap_totals *sum = &m->arenas.v[u->r->arena].sum;

	wh_heap_totals_add(sum, &u->sum);
	for (size_t i = 0; i < u->gaps.n; i++) {
		const struct gap *g = &u->gaps.v[i];

		WH_TRY(claim_run(m, *run, g->from < u->r->end ? g->from : u->r->end));
		report_gap(m, g);
		*run = g->to < u->r->end ? g->to : NONE;
	}
	for (size_t i = 0; i < u->tcaches.n && m->tcaches.n < WH_PT_MAX_ARENAS; i++)
		WH_TRY(WH_VEC_PUSH(&m->tcaches, u->tcaches.v[i]));
	for (size_t i = 0; i < u->parts.n; i++) {
		struct wh_buf_part *p = u->parts.v[i];

		u->parts.v[i] = NULL;
		WH_TRY(wh_buftab_add_part(m->p->t->buftab, p));
	}
	return NULL;
}

/* Units of one region, [i, ...), in order; sets *i behind the last. */
static struct wh_err *join_region(struct heap_walk *h, size_t *i)
{
	const struct wh_pt_region *r = h->units.v[*i].r;
	uint64_t entry = r->start, run = r->start;
	struct wh_err *e = NULL;

	h->m->arenas.v[r->arena].sum.bytes += r->end - r->start;
	for (; *i < h->units.n && h->units.v[*i].r == r && !e; ++*i) {
		struct unit *u = &h->units.v[*i];

		if (entry < u->end && u->entry != entry) {
			wh_ctx_progress(h->m->p->ctx, "walk heap", *i, h->units.n);
			unit_clear(u);
			e = walk_unit(&h->walks[0], u, entry, /* guess= */ false);
		}
		if (!e && entry < u->end) {
			e = unit_count(h->m, u, &run);
			entry = u->exit;
		}
		unit_clear(u);
	}
	return e ? e : claim_run(h->m, run, r->end);
}

static struct wh_err *units_make(struct heap_walk *h)
{
	struct wh_ptmalloc *m = h->m;
	uint64_t all = 0, bytes;

	for (size_t i = 0; i < m->regions.n; i++)
		all += (m->regions.v[i].end - m->regions.v[i].start) / UNITS_MAX;
	bytes = all > UNIT_BYTES ? (all + PAGE) & ~(uint64_t)(PAGE - 1) : UNIT_BYTES;
	for (size_t i = 0; i < m->regions.n; i++) {
		const struct wh_pt_region *r = &m->regions.v[i];

		for (uint64_t at = r->start, n; at < r->end; at += n) {
			n = r->end - at < bytes ? r->end - at : bytes;
			WH_TRY(WH_VEC_PUSH(&h->units, (struct unit){.r = r,
								    .start = at,
								    .end = at + n,
								    .entry = NONE,
								    .exit = NONE}));
		}
	}
	return NULL;
}

static struct wh_err *walks_make(struct heap_walk *h)
{
	struct wh_ptmalloc *m = h->m;
	const struct wh_mem *mem = wh_reader_mem(m->p->r);

	h->n_walks = wh_workers_count(m->p->ctx);
	h->walks = wh_calloc(h->n_walks, sizeof(*h->walks));
	if (!h->walks)
		return &wh_err_nomem;
	for (unsigned int i = 0; i < h->n_walks; i++) {
		struct walk *k = &h->walks[i];

		k->m = m;
		WH_TRY(wh_reader_create(mem, &k->reader));
		WH_TRY(wh_reader_create(mem, &k->aux));
		WH_TRY(wh_buf_writer_create(m->p->t->buftab, &k->writer));
	}
	return NULL;
}

static struct wh_err *walk_heaps(struct heap_walk *h)
{
	WH_TRY(units_make(h));
	WH_TRY(walks_make(h));
	/* One worker needs no guesses: the join walks all. */
	if (h->n_walks > 1)
		WH_TRY(wh_workers_run(h->m->p->ctx, "walk heap", h->units.n, guess_unit, h));
	for (size_t i = 0; i < h->units.n;)
		WH_TRY(join_region(h, &i));
	return NULL;
}

static void heap_walk_fini(struct heap_walk *h)
{
	for (size_t i = 0; i < h->units.n; i++)
		unit_clear(&h->units.v[i]);
	WH_VEC_FINI(&h->units);
	for (unsigned int i = 0; h->walks && i < h->n_walks; i++) {
		wh_reader_destroy(h->walks[i].reader);
		wh_reader_destroy(h->walks[i].aux);
	}
	free(h->walks);
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
	struct heap_walk h = {.m = m};
	struct wh_err *e = walk_heaps(&h);

	heap_walk_fini(&h);
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
