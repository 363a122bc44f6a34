/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inner loop: which words of a piece of memory point into a buffer, and into which?
 *
 *	words ─► in bounds? ─► region ─► hits[64]            (prefetch page_run, else leaf)
 *	                                   stage 1: run to row     (prefetch level; no run: leaf)
 *	                                   stage 2: leaf to row    (prefetch level)
 *	                                   stage 3: reached before? done (else prefetch size)
 *	                                   stage 4: row to effect
 *
 * Nearly all words fail the bounds test.  The rest would each wait for three cache misses one after
 * the other; taken 64 at a time, the misses of different words overlap, the first of them with the search for
 * more words.  Most of them name a row that is
 * reached already, and for those the size, which was the dearest of the three, need not be known.
 *
 * What a hit means depends on the source.  From a root or from a source that is already reached, the
 * target is reached too, at once.  From a source not (yet) reached, the edge is stored unless the
 * target is reached already; when the source is reached later, its stored edges are followed.
 */
#include "analyzer/graph/mark_priv.h"

#include <string.h>

/* Where the value would be if it had been seen lately to point at a row that is fully reached. */
static inline uint64_t *seen_slot(struct worker *w, uint64_t value)
{
	return &w->seen[(value >> 3 ^ value >> 13 ^ value >> 23) & (SEEN_MAX - 1)];
}

static void push_u32(struct worker *w, void *v, size_t *n, size_t *cap, uint32_t val)
{
	uint32_t *a;

	if (*n == *cap) {
		struct wh_err *e = wh_vec_reserve_raw(v, cap, *n + 1, sizeof(uint32_t));

		if (e) {
			wh_err_destroy(w->err);
			w->err = e;
			return;
		}
	}
	memcpy(&a, v, sizeof(a));
	a[(*n)++] = val;
}

void wh_mark_raise(struct worker *w, uint32_t row, uint8_t level)
{
	_Atomic(uint8_t) *l = &w->m->level[row];
	uint8_t old = atomic_load_explicit(l, memory_order_relaxed);

	do {
		if ((old & LEVEL_MASK) >= level)
			return;
	} while (!atomic_compare_exchange_weak(l, &old, (old & LEVEL_STORED) | level));
	/* One byte, one order: either we see that edges are stored, or their writer sees the level. */
	if (old & LEVEL_STORED) {
		__builtin_prefetch(&w->m->edges.head[row]);
		push_u32(w, &w->stack.v, &w->stack.n, &w->stack.cap, row);
	}
}

/* Targets of stored edges, with the level that they are to have. */
struct raises {
	uint32_t row[DRAIN_TARGETS];
	uint8_t level[DRAIN_TARGETS];
	unsigned int n;
};

static void raises_apply(struct worker *w, struct raises *r)
{
	for (unsigned int i = 0; i < r->n; i++)
		wh_mark_raise(w, r->row[i], r->level[i]);
	r->n = 0;
}

/* Gathers what is stored with @row. */
static void raises_gather(struct worker *w, struct raises *r, uint32_t row)
{
	const struct edges *e = &w->m->edges;
	uint8_t level = level_of(w->m, row);

	for (uint32_t i = atomic_load(&e->head[row]); i;) {
		const uint32_t *b = edge_batch(e, i);

		for (uint32_t k = 0; k < b[1]; k++) {
			uint8_t cap = b[2 + k] & EDGE_INTERIOR ? LEVEL_INTERIOR : LEVEL_FULL;

			if (r->n == DRAIN_TARGETS)
				raises_apply(w, r);
			r->row[r->n] = b[2 + k] & ~EDGE_INTERIOR;
			r->level[r->n] = level < cap ? level : cap;
			__builtin_prefetch(&w->m->level[r->row[r->n]]);
			r->n++;
		}
		i = b[0];
	}
}

/* Some rows at a time, so that their cache misses overlap. */
void wh_mark_drain(struct worker *w)
{
	const struct edges *e = &w->m->edges;
	uint32_t rows[DRAIN_ROWS];
	struct raises r = {.n = 0};

	while (w->stack.n) {
		size_t n = w->stack.n < DRAIN_ROWS ? w->stack.n : DRAIN_ROWS;

		w->stack.n -= n;
		memcpy(rows, w->stack.v + w->stack.n, n * sizeof(*rows));
		for (size_t i = 0; i < n; i++)
			__builtin_prefetch(edge_batch(e, atomic_load(&e->head[rows[i]])));
		for (size_t i = 0; i < n; i++)
			raises_gather(w, &r, rows[i]);
		raises_apply(w, &r);
	}
}

static void drop_source(struct worker *w, uint32_t src)
{
	if (w->m->rescan)
		atomic_fetch_or_explicit(&w->m->rescan[src >> 6], 1ull << (src & 63),
					 memory_order_relaxed);
}

/* All words of the current source in this piece are through: store what is left of it. */
static void finish_source(struct worker *w)
{
	uint32_t src = w->src;
	size_t at = 0;

	w->src = ROW_ROOT;
	if (src == ROW_ROOT || !w->targets.n)
		return;
	while (at < w->targets.n) {
		size_t n = w->targets.n - at < 60000 ? w->targets.n - at : 60000;

		if (!wh_edges_put(&w->edges, src, w->targets.v + at, (uint32_t)n)) {
			drop_source(w, src);
			break;
		}
		at += n;
	}
	w->targets.n = 0;
	/* Reached while we were collecting: nobody else knows of these edges. */
	if (!w->m->opts.keep_parents &&
	    atomic_fetch_or(&w->m->level[src], LEVEL_STORED) & LEVEL_MASK)
		push_u32(w, &w->stack.v, &w->stack.n, &w->stack.cap, src);
}

static void add_target(struct worker *w, uint32_t edge)
{
	size_t n = w->targets.n;

	/* list_head next and prev, rb children: the same target tends to come twice in a row. */
	for (size_t i = n > 4 ? n - 4 : 0; i < n; i++)
		if (w->targets.v[i] == edge)
			return;
	push_u32(w, &w->targets.v, &w->targets.n, &w->targets.cap, edge);
}

static void root_hit(struct worker *w, const struct hit *h)
{
	struct root_hit r = {h->row, w->kind, w->note, h->interior, h->where};
	struct wh_err *e = WH_VEC_PUSH(&w->root_hits, r);

	if (e) {
		wh_err_destroy(w->err);
		w->err = e;
	}
}

static bool interior_accepted(struct worker *w, const struct hit *h, uint64_t start)
{
	const struct wh_mark_opts *o = &w->m->opts;
	unsigned int why;

	if (!o->interior_ok)
		return false;
	why = o->interior_ok(o->interior_arg, w->aux, h->row, start,
			     buftab_row_size(w->m->t, h->row), h->value - start);
	if (!why)
		return false;
	w->counts.heuristics[why & 15]++;
	return true;
}

static void note_classes(struct worker *w, const struct hit *h)
{
	struct wh_marks *m = w->m;
	size_t i;

	if (h->src == ROW_ROOT)
		return;
	i = (size_t)m->t->cls[h->src] * m->n_classes + m->t->cls[h->row];
	if (!atomic_load_explicit(&m->class_edges[i], memory_order_relaxed))
		atomic_store_explicit(&m->class_edges[i], 1, memory_order_relaxed);
}

/* What the resolved hit means. */
static void hit_apply(struct worker *w, const struct hit *h)
{
	struct wh_marks *m = w->m;
	uint8_t cap = h->interior ? LEVEL_INTERIOR : LEVEL_FULL, from, to;

	if (h->row == WH_ROW_NONE || h->row == h->src ||
	    (h->alias && !(m->t->classes.v[m->t->cls[h->row]].flags & WH_CLASS_ALIASED)))
		return;
	w->counts.follows++;
	if (w->trial) {
		w->points_up += h->value > h->where;
		w->points_down += h->value < h->where;
	}
	if (m->track_classes)
		note_classes(w, h);
	if (m->opts.keep_parents) {
		if (h->src == ROW_ROOT)
			root_hit(w, h);
		else
			add_target(w, h->row | (h->interior ? EDGE_INTERIOR : 0));
		return;
	}
	to = level_of(m, h->row);
	if (to == LEVEL_FULL) {
		/* Pointers into a buffer are counted one by one (interior_accepted). */
		if (!h->alias && !m->track_classes &&
		    (!m->opts.start_pointers || h->value == h->start))
			*seen_slot(w, h->value) = h->value;
		return;
	}
	if (to >= cap)
		return;
	if (h->src == ROW_ROOT) {
		wh_mark_raise(w, h->row, cap);
		return;
	}
	from = level_of(m, h->src);
	if (from)
		wh_mark_raise(w, h->row, from < cap ? from : cap);
	if (from < cap)
		add_target(w, h->row | (h->interior ? EDGE_INTERIOR : 0));
}

/* A word that no row holds may still be an alias; true when it became one. */
static bool hit_retarget(const struct worker *w, struct hit *h)
{
	if (h->alias || !w->m->plan->n_envelopes ||
	    !wh_plan_alias_find(w->m->plan, h->value, &h->value))
		return false;
	h->alias = true;
	return true;
}

static inline bool region_holds(const struct region *r, uint64_t value)
{
	return r && value - r->start < r->end - r->start;
}

/* The region of the last word is the best guess for the next. */
static const struct region *region_guess(struct worker *w, uint64_t value)
{
	const struct region *r = w->region;

	if (region_holds(r, value))
		return r;
	r = buftab_region(w->m->t, value);
	if (r)
		w->region = r;
	return r;
}

/* When the word is found: what will tell its row? */
static void hit_locate(struct worker *w, struct hit *h)
{
	const struct region *r = region_guess(w, h->value);

	if (!r && hit_retarget(w, h))
		r = buftab_region(w->m->t, h->value);
	h->region = r;
	if (!r || !r->dense)
		return;
	if (r->runs)
		__builtin_prefetch(region_run(r, h->value));
	else
		__builtin_prefetch(region_leaf(r, h->value));
}

/* Stage 1: which row, by region or run?  False when only the leaf can tell. */
static bool hit_row(struct worker *w, struct hit *h)
{
	const struct region *r = h->region;

	h->row = WH_ROW_NONE;
	h->inside = false;
	if (!r)
		return true;
	if (!r->dense) {
		h->row = r->first_row;
		h->start = r->start;
		return true;
	}
	if (!r->runs)
		return false;
	h->row = run_find(w->m->t, region_run(r, h->value), h->value, &h->start);
	h->inside = h->row != WH_ROW_NONE;
	__builtin_prefetch(h->inside ? (const void *)&w->m->level[h->row]
				     : region_leaf(r, h->value));
	return h->inside;
}

/* Stage 2: which row starts at or below? */
static void hit_rank(struct worker *w, struct hit *h)
{
	h->row = leaf_rank(region_leaf(h->region, h->value), h->value, &h->start);
	if (h->row != WH_ROW_NONE)
		__builtin_prefetch(&w->m->level[h->row]);
}

/* Stage 3: a word that can only mean a fully reached row changes nothing, whether it means it or not. */
static bool hit_settled(struct worker *w, const struct hit *h)
{
	const struct wh_marks *m = w->m;

	if (h->row == WH_ROW_NONE)
		return false;
	if (m->only_reaching && level_of(m, h->row) == LEVEL_FULL &&
	    (h->inside ||
	     !wh_plan_covered(m->plan->alias_envelope, m->plan->n_envelopes, h->value))) {
		*seen_slot(w, h->value) = h->value;
		return true;
	}
	if (h->value != h->start && !h->inside)
		__builtin_prefetch(&m->t->size[h->row]);
	return false;
}

/* Stage 4: does the row reach up to the word? */
static void hit_resolve(struct worker *w, struct hit *h)
{
	const struct wh_buftab *t = w->m->t;

	/* No buffer is empty: a pointer to its start needs no look at its size. */
	if (h->row != WH_ROW_NONE && !h->inside && h->value != h->start &&
	    h->value - h->start >= buftab_row_size(t, h->row))
		h->row = WH_ROW_NONE;
	if (h->row == WH_ROW_NONE && h->region && h->region->dense && hit_retarget(w, h)) {
		h->row = wh_buftab_find(t, h->value);
		h->start = h->value;
	}
	h->interior = false;
	if (h->row == WH_ROW_NONE || !w->m->opts.start_pointers)
		return;
	h->interior = h->value != h->start && !h->alias;
	if (h->interior && interior_accepted(w, h, h->start))
		h->interior = false;
}

static void hits_flush(struct worker *w)
{
	unsigned int n = w->n_hits, left = 0;
	uint8_t open[HITS_MAX]; /* numbers of those that are not through the stage */

	w->n_hits = 0;
	for (unsigned int i = 0; i < n; i++)
		if (!hit_row(w, &w->hits[i]))
			open[left++] = (uint8_t)i;
	for (unsigned int i = 0; i < left; i++)
		hit_rank(w, &w->hits[open[i]]);
	left = 0;
	for (unsigned int i = 0; i < n; i++)
		if (!hit_settled(w, &w->hits[i]))
			open[left++] = (uint8_t)i;
	for (unsigned int i = 0; i < left; i++) {
		struct hit *h = &w->hits[open[i]];

		hit_resolve(w, h);
		if (h->src != w->src) {
			finish_source(w);
			w->src = h->src;
		}
		hit_apply(w, h);
	}
	wh_mark_drain(w);
}

void wh_scan_finish(struct worker *w)
{
	hits_flush(w);
	finish_source(w);
	wh_mark_drain(w);
}

static inline void hit_add(struct worker *w, uint32_t src, uint64_t value, uint64_t where,
			   bool alias)
{
	struct hit *h = &w->hits[w->n_hits++];

	w->counts.candidates++;
	h->value = value;
	h->where = where;
	h->src = src;
	h->alias = alias;
	hit_locate(w, h);
	if (w->n_hits == HITS_MAX)
		hits_flush(w);
}

/* A word outside the bounds of the table: perhaps it names memory by another number. */
static inline __attribute__((always_inline)) void alias_try(struct worker *w, uint32_t src,
							    uint64_t v, uint64_t where)
{
	const struct wh_plan *p = w->m->plan;
	uint64_t to;

	if (wh_plan_covered(p->alias_envelope, p->n_envelopes, v) && wh_plan_alias_find(p, v, &to))
		hit_add(w, src, to, where, true);
}

/* The words to scan: part of a source, whose own extent a word may point into without meaning anything. */
struct piece {
	uint32_t src;
	uint64_t self, self_size;
	uint64_t label;
	const uint8_t *p;
	size_t len;
};

/*
 * A word that passed the filter.  Two kinds are so common in a kernel that they are settled here: pointers of
 * a buffer to itself (empty list heads), and values that were seen lately and led to a row that was reached
 * already.
 */
static inline __attribute__((always_inline)) void
word_take(struct worker *w, const struct piece *pc, uint64_t v, uint64_t where)
{
	const struct wh_marks *m = w->m;

	if (!region_holds(w->region, v) && !wh_plan_covered(m->bounds, m->n_bounds, v)) {
		if (v)
			alias_try(w, pc->src, v, where);
	} else if (v - pc->self < pc->self_size) {
		return;
	} else if (*seen_slot(w, v) == v) {
		w->counts.candidates++;
		w->counts.follows++;
	} else {
		hit_add(w, pc->src, v, where, false);
	}
}

/*
 * The usual case, 64-bit little-endian without tags: block_filter has looked at the whole block, and only the
 * words that passed are visited.
 */
static inline __attribute__((always_inline)) void scan_fast(struct worker *w,
							    const struct piece *pc)
{
	size_t first = (size_t)(pc->label - w->block_label) / 8, end = first + pc->len / 8;
	uint64_t keep = ~0ull << (first & 63);

	for (size_t base = first & ~(size_t)63; base < end; base += 64) {
		uint64_t mask = w->block_mask[base / 64] & keep;

		if (end - base < 64)
			mask &= (1ull << (end - base)) - 1;
		for (; mask; mask &= mask - 1) {
			size_t at = (base + (size_t)__builtin_ctzll(mask)) * 8;

			word_take(w, pc, wh_get_u64((struct wh_abi){false, 8}, w->block + at),
				  w->block_label + at);
		}
		keep = ~0ull;
	}
	w->counts.words += pc->len / 8;
}

static void scan_any(struct worker *w, const struct piece *pc)
{
	const struct wh_abi abi = w->m->abi;

	for (size_t i = 0; i + abi.word <= pc->len; i += abi.word) {
		uint64_t v = wh_plan_untag(w->m->plan, wh_get_word(abi, pc->p + i));

		word_take(w, pc, v, pc->label + i);
	}
	w->counts.words += pc->len / abi.word;
}

static void scan_unmasked(struct worker *w, struct piece *pc)
{
	const struct wh_abi abi = w->m->abi;
	size_t skip = (size_t)(-pc->label & (uint64_t)(abi.word - 1));

	if (skip >= pc->len)
		return;
	pc->label += skip;
	pc->p += skip;
	pc->len -= skip;
	if (w->block_filtered)
		scan_fast(w, pc);
	else
		scan_any(w, pc);
}

/* Index of the first mask that ends above @label. */
static size_t mask_find(const struct wh_plan *p, uint64_t label)
{
	size_t lo = 0, hi = p->masks.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->masks.v[mid].end <= label)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The part [lo, hi) of @whole, in label addresses. */
static void scan_stretch(struct worker *w, struct piece *part, const struct piece *whole,
			 uint64_t lo, uint64_t hi)
{
	part->label = lo;
	part->p = whole->p + (lo - whole->label);
	part->len = (size_t)(hi - lo);
	scan_unmasked(w, part);
}

/* Leaves out what the masks cover; @mask is a cursor that only moves up. */
static void scan_masked(struct worker *w, struct piece *pc, size_t *mask)
{
	const struct wh_plan *plan = w->m->plan;
	uint64_t end = pc->label + pc->len, at = pc->label;
	struct piece part;

	while (*mask < plan->masks.n && plan->masks.v[*mask].end <= at)
		++*mask;
	if (*mask == plan->masks.n || plan->masks.v[*mask].start >= end) {
		scan_unmasked(w, pc);
		return;
	}
	part = *pc;
	for (size_t i = *mask; i < plan->masks.n && plan->masks.v[i].start < end; i++) {
		if (plan->masks.v[i].start > at)
			scan_stretch(w, &part, pc, at, plan->masks.v[i].start);
		at = plan->masks.v[i].end < end ? plan->masks.v[i].end : end;
	}
	if (at < end)
		scan_stretch(w, &part, pc, at, end);
}

/* Does this row hold references, and if so, from which level does it start? */
static bool row_scannable(struct worker *w, uint32_t row)
{
	struct wh_marks *m = w->m;
	uint32_t flags = m->t->classes.v[m->t->cls[row]].flags;
	uint8_t state = m->t->state[row];

	if (flags & (WH_CLASS_NOSCAN | WH_CLASS_OPAQUE))
		return false;
	if (m->rescan && !m->first_pass &&
	    !(atomic_load_explicit(&m->rescan[row >> 6], memory_order_relaxed) >> (row & 63) & 1))
		return false;
	if (state == WH_BUF_UNSURE || (flags & WH_CLASS_ROOT) ||
	    (state == WH_BUF_FREE && (flags & WH_CLASS_FREE_SCAN))) {
		wh_mark_raise(w, row, LEVEL_FULL);
		return true;
	}
	return state == WH_BUF_ALLOCATED;
}

/* Asks the filter about every word of the block at once, where words are as the filter wants them. */
static void block_filter(struct worker *w, uint64_t label, const uint8_t *p, size_t len)
{
	const struct wh_marks *m = w->m;
	size_t words = len / 8;

	w->block_label = label;
	w->block = p;
	w->block_len = len;
	w->block_filtered = m->abi.word == 8 && !m->abi.big_endian && !m->plan->tag_clear &&
			    !m->plan->tag_set && !(label & 7);
	for (size_t i = 0; w->block_filtered && i < words; i += 64)
		w->block_mask[i / 64] =
			filter_run(&m->filter, p + i * 8, words - i < 64 ? words - i : 64);
}

/*
 * A buffer of a size class that begins with text which needs more than the next smaller class is a copied
 * string (kstrdup): what lies behind its end is left from the buffer's last user.  A struct that begins
 * with a name has a NUL in its first half, as the name is not all of it.
 */
static size_t text_fit(const uint8_t *p, size_t size)
{
	size_t n = 0, least = size & (size - 1) ? size / 3 * 2 : size / 2; /* 96 follows 64 */

	while (n < size && p[n] >= 0x20 && p[n] < 0x7f)
		n++;
	return n < size && !p[n] && n + 1 > least ? (n + 8) & ~(size_t)7 : size;
}

/* The same of a row that ends in another block. */
static __attribute__((noinline)) size_t text_fit_apart(struct worker *w, uint64_t start,
						       size_t size)
{
	uint8_t copy[TEXT_MAX];

	return wh_read_some(w->aux, WH_VIRT, start, copy, size, NULL) == size ? text_fit(copy, size)
									      : size;
}

/*
 * How much of a row holds anything: what was asked for, where the allocator noted it, or a copied string.  The
 * answer must not depend on where blocks end, so what is not in this one is read on its own.
 */
static uint64_t live_size(struct worker *w, const struct wh_class *c, uint64_t start, uint64_t size)
{
	uint64_t from = w->block_label, left = 0;
	const uint8_t *p = NULL;
	uint32_t n = 0;

	if (start >= from && start - from < w->block_len) {
		p = w->block + (start - from);
		left = w->block_len - (start - from);
	}
	if (c->asked_off) {
		if (left >= 4 && c->asked_off <= left - 4)
			n = wh_get_u32(w->m->abi, p + c->asked_off);
		else
			(void)wh_read_u32(w->aux, start + c->asked_off, &n);
		if (n && n < size)
			return (n + 7) & ~7ull;
	}
	if (!(c->flags & WH_CLASS_TEXT_FIT) || size > TEXT_MAX)
		return size;
	return left < size ? text_fit_apart(w, start, (size_t)size) : text_fit(p, (size_t)size);
}

static void scan_block(struct worker *w, uint64_t label, const uint8_t *p, size_t len)
{
	struct wh_marks *m = w->m;
	size_t mask = mask_find(m->plan, label);
	uint64_t end = label + len;
	struct piece pc = {.src = ROW_ROOT, .label = label, .p = p, .len = len};
	const struct wh_class *cls;
	struct row_iter it;
	bool plain; /* nothing is masked, and rows begin on a word */

	block_filter(w, label, p, len);
	if (!m->nodes_pass) {
		w->counts.bytes_roots += len;
		scan_masked(w, &pc, &mask);
		return;
	}
	plain = w->block_filtered &&
		(mask == m->plan->masks.n || m->plan->masks.v[mask].start >= end);
	wh_row_iter_init(&it, m->t, label);
	while (row_iter_next(&it) && it.start < end) {
		uint64_t lo = it.start > label ? it.start : label;
		uint64_t size = buftab_row_size(m->t, it.row);
		uint64_t hi = it.start + size < end ? it.start + size : end;

		if (lo >= hi || !row_scannable(w, it.row))
			continue;
		if (m->track_classes)
			atomic_store_explicit(&m->class_seen[m->t->cls[it.row]], 1,
					      memory_order_relaxed);
		pc = (struct piece){.src = it.row,
				    .self = it.start,
				    .self_size = size,
				    .label = lo,
				    .p = p + (lo - label),
				    .len = (size_t)(hi - lo)};
		cls = &m->t->classes.v[m->t->cls[it.row]];
		if (cls->asked_off || (cls->flags & WH_CLASS_TEXT_FIT)) {
			uint64_t live_end = it.start + live_size(w, cls, it.start, size);

			if (live_end <= lo)
				continue;
			if (live_end < hi)
				pc.len = (size_t)(live_end - lo);
		}
		w->counts.bytes_nodes += pc.len;
		if (plain)
			scan_fast(w, &pc);
		else
			scan_masked(w, &pc, &mask);
	}
}

void wh_scan_piece(struct worker *w, uint64_t label, const uint8_t *p, size_t len)
{
	while (len) {
		size_t n = len < BLOCK_BYTES ? len : BLOCK_BYTES;

		scan_block(w, label, p, n);
		label += n;
		p += n;
		len -= n;
	}
}

void wh_scan_word(struct worker *w, uint64_t value, uint64_t where)
{
	const struct wh_marks *m = w->m;

	value = wh_plan_untag(m->plan, value);
	w->counts.words++;
	if (wh_plan_covered(m->bounds, m->n_bounds, value))
		hit_add(w, ROW_ROOT, value, where, false);
	else if (value)
		alias_try(w, ROW_ROOT, value, where);
}
