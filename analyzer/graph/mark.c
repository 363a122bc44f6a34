/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Problem: find every buffer that no chain of words from a root reaches, reading (and decompressing) each
 * page of the dump once, with little memory.  The textbook walk (mark, then read what was marked) reads in
 * the order of the pointers: on a compressed dump that means keeping all of it decoded, or decoding it over
 * and over.  So the order is turned round: memory is read once, in the order of the file, and what could
 * not be settled yet is kept:
 *
 *	roots (data, stacks, per-CPU …) ──► mark targets
 *	every node page, those of large buffers first, else in order, in parallel:
 *	    source already marked    ──► mark the target, and follow what is stored for it
 *	    target already marked    ──► nothing: this edge can change nothing
 *	    neither                  ──► store the edge with its source (edges.h)
 *
 * Most of a kernel is one connected piece that a few roots mark at once, so few edges are ever stored;
 * those left over at the end run between unmarked buffers, which is just the graph that the verdicts
 * need (verdict.c).  Measured choice, see docs/design-scan.md.
 *
 * Invariants: level[] only rises.  An edge whose source has a level is either applied or stored before the
 * level was set; both orders are caught (wh_mark_raise, finish_source), because "edges are stored" is a bit of
 * the same byte as the level.  The set of marked rows does not
 * depend on the order of work, so any number of threads gives the same result.
 *
 * When the stored edges exceed their budget, the sources that found no room are noted; after the pass all
 * edges are dropped and the unmarked and the noted sources are scanned again, by then few.
 */
#include "analyzer/graph/mark_priv.h"

#include <string.h>

#define UNIT_MIN    ((uint64_t)1 << 20)
#define UNIT_MAX    ((uint64_t)8 << 20)
#define UNIT_SHARE  64		 /* units that each worker gets at least, above UNIT_MIN */
#define BORROW_MAX  (256u << 10) /* stays in L2 while it is looked at */
#define TRIAL_UNITS 8		 /* tell which way most references point */
#define TRIAL_CLEAR 4		 /* so many times more point down than up */

static void absent(struct worker *w, uint64_t label, uint64_t len, enum wh_mem_state why)
{
	struct wh_marks *m = w->m;
	bool could_hold =
		why == WH_MEM_EXCLUDED || why == WH_MEM_TRUNCATED || why == WH_MEM_CORRUPT;
	struct row_iter it;

	if (m->first_pass)
		w->counts.bytes_absent[why] += len;
	if (!could_hold)
		return;
	if (!m->nodes_pass) {
		atomic_store_explicit(&m->class_absent[m->n_classes], 1, memory_order_relaxed);
		return;
	}
	wh_row_iter_init(&it, m->t, label);
	while (row_iter_next(&it) && it.start < label + len) {
		uint16_t cls = m->t->cls[it.row];

		if (m->t->state[it.row] == WH_BUF_ALLOCATED &&
		    !(m->t->classes.v[cls].flags & (WH_CLASS_NOSCAN | WH_CLASS_OPAQUE)))
			atomic_store_explicit(&m->class_absent[cls], 1, memory_order_relaxed);
	}
}

static struct wh_err *scan_part(struct worker *w, const struct wh_plan_range *r, uint64_t off,
				uint64_t len)
{
	while (len) {
		size_t want = len < BORROW_MAX ? (size_t)len : BORROW_MAX, n = 0;
		enum wh_mem_state why = WH_MEM_PRESENT;
		const uint8_t *p =
			wh_reader_borrow(w->reader, r->space, r->addr + off, want, &n, &why);

		if (wh_ctx_cancelled(w->m->ctx))
			return &wh_err_cancelled;
		if (!n || n > want)
			n = want;
		if (p)
			wh_scan_piece(w, r->label + off, p, n);
		else
			absent(w, r->label + off, n, why);
		off += n;
		len -= n;
	}
	return NULL;
}

/*
 * Which unit comes as number @i: after the trial, from the top down when that is how references point.  The
 * first worker to get there decides; which way it goes changes the work, never the result.
 */
static size_t unit_in_turn(struct wh_marks *m, size_t i)
{
	int undecided = ORDER_OPEN, order;

	if (!m->nodes_pass || i < m->trial_end)
		return i;
	order = atomic_load(&m->points_down) > TRIAL_CLEAR * atomic_load(&m->points_up) ? ORDER_DOWN
											: ORDER_UP;
	if (!atomic_compare_exchange_strong(&m->order, &undecided, order))
		order = undecided;
	return order == ORDER_DOWN ? m->units.n - 1 - (i - m->trial_end) : i;
}

static struct wh_err *scan_unit(void *arg, unsigned int worker, size_t unit)
{
	struct wh_marks *m = arg;
	struct worker *w = &m->workers[worker];
	struct unit u = m->units.v[unit_in_turn(m, unit)];
	struct wh_err *e = NULL;

	w->points_up = w->points_down = 0;
	w->trial = m->nodes_pass && unit >= m->trial && unit < m->trial_end;
	while (u.bytes && u.range < m->n_ranges && !e) {
		const struct wh_plan_range *r = &m->ranges[u.range];
		uint64_t left = r->len - u.offset, n = left < u.bytes ? left : u.bytes;

		if (!m->nodes_pass && r->kind != w->kind) /* what is buffered has the old one */
			wh_scan_finish(w);
		w->kind = r->kind;
		w->note = 0;
		if (m->nodes_pass || !m->plan->kinds.v[r->kind].off)
			e = scan_part(w, r, u.offset, n);
		u.bytes -= n;
		u.offset = 0;
		u.range++;
	}
	wh_scan_finish(w);
	if (w->trial) {
		atomic_fetch_add(&m->points_up, w->points_up);
		atomic_fetch_add(&m->points_down, w->points_down);
	}
	if (!e && w->err) {
		e = w->err;
		w->err = NULL;
	}
	return e;
}

/*
 * Buffers refer to neighbours, and workers have neighbouring units: in units that are too small they write the
 * same lines of level[] all the time, and wait for each other's caches longer than for memory.
 */
static uint64_t unit_bytes(const struct wh_marks *m)
{
	uint64_t n = 0;

	for (size_t i = 0; i < m->n_ranges; i++)
		n += m->ranges[i].len;
	n /= (uint64_t)UNIT_SHARE * m->n_workers;
	return n < UNIT_MIN ? UNIT_MIN : n < UNIT_MAX ? n & ~(uint64_t)4095 : UNIT_MAX;
}

/* Cuts the ranges into units. */
static struct wh_err *units_make(struct wh_marks *m)
{
	uint64_t most = unit_bytes(m);
	struct unit u = {0};

	m->units.n = 0;
	for (size_t i = 0; i < m->n_ranges; i++) {
		const struct wh_plan_range *r = &m->ranges[i];
		uint64_t off = 0;

		while (off < r->len) {
			uint64_t room = most - u.bytes, n = r->len - off;

			if (!u.bytes)
				u = (struct unit){.range = i, .offset = off};
			if (n > room)
				n = room;
			u.bytes += n;
			off += n;
			if (u.bytes >= most) {
				WH_TRY(WH_VEC_PUSH(&m->units, u));
				u.bytes = 0;
			}
		}
	}
	if (u.bytes)
		WH_TRY(WH_VEC_PUSH(&m->units, u));
	return NULL;
}

static bool unit_large(const struct wh_marks *m, const struct unit *u)
{
	const struct region *r = buftab_region(m->t, m->ranges[u->range].label + u->offset);

	return r && !r->dense;
}

/*
 * Large buffers first: the array of a hash table names more buffers than anything else, and what it names
 * need not be stored when it is read later.  Then a few units from everywhere, as a trial: in which direction
 * do references point?  Who inserts at the front of a list makes each node name an older one, that usually lies
 * below; read from the top down, most nodes are reached before they are read, and nothing is stored.
 */
enum turn { TURN_LARGE, TURN_TRIAL, TURN_REST };

static struct wh_err *units_order(struct wh_marks *m)
{
	WH_AUTO_FREE struct unit *sorted = wh_calloc(m->units.n, sizeof(*sorted));
	WH_AUTO_FREE uint8_t *turn = wh_calloc(m->units.n, 1);
	size_t ends[TURN_REST + 1], small = 0, seen = 0, n = 0;

	if (!sorted || !turn)
		return &wh_err_nomem;
	for (size_t i = 0; i < m->units.n; i++) {
		turn[i] = unit_large(m, &m->units.v[i]) ? TURN_LARGE : TURN_REST;
		small += turn[i] != TURN_LARGE;
	}
	for (size_t i = 0; i < m->units.n; i++)
		if (turn[i] != TURN_LARGE && seen++ % (small / TRIAL_UNITS + 1) == 0)
			turn[i] = TURN_TRIAL;
	for (int k = TURN_LARGE; k <= TURN_REST; k++) {
		for (size_t i = 0; i < m->units.n; i++)
			if (turn[i] == k)
				sorted[n++] = m->units.v[i];
		ends[k] = n;
	}
	for (size_t i = 0; i < n; i++)
		m->units.v[i] = sorted[i];
	m->trial = ends[TURN_LARGE];
	m->trial_end = ends[TURN_TRIAL];
	atomic_store(&m->order, ORDER_OPEN);
	atomic_store(&m->points_up, 0);
	atomic_store(&m->points_down, 0);
	return NULL;
}

static struct wh_err *pass(struct wh_marks *m, const char *phase,
			   const struct wh_plan_range *ranges, size_t n, bool nodes)
{
	m->ranges = ranges;
	m->n_ranges = n;
	m->nodes_pass = nodes;
	m->only_reaching = !m->track_classes && !m->opts.keep_parents && !m->opts.start_pointers &&
			   !m->opts.count_hits;
	WH_TRY(units_make(m));
	if (nodes)
		WH_TRY(units_order(m));
	return wh_workers_run(m->ctx, phase, m->units.n, scan_unit, m);
}

static struct wh_err *words_pass(struct wh_marks *m)
{
	struct worker *w = &m->workers[0];

	m->nodes_pass = false;
	for (size_t i = 0; i < m->plan->words.n; i++) {
		const struct wh_plan_word *pw = &m->plan->words.v[i];

		if (m->plan->kinds.v[pw->kind].off)
			continue;
		if (pw->kind != w->kind || pw->note != w->note)
			wh_scan_finish(w);
		w->kind = pw->kind;
		w->note = pw->note;
		wh_scan_word(w, pw->value, pw->where);
	}
	wh_scan_finish(w);
	return NULL;
}

/* Edges were lost for want of room: forget them all, note who has to be looked at again. */
static void rescan_begin(struct wh_marks *m)
{
	size_t rows = m->t->n;

	for (uint32_t i = 0; i < rows; i++) {
		uint8_t level = level_of(m, i);

		atomic_store_explicit(&m->level[i], level, memory_order_relaxed);
		if (!level || (m->opts.start_pointers && level < LEVEL_FULL))
			atomic_fetch_or(&m->rescan[i >> 6], 1ull << (i & 63));
	}
	wh_edges_clear(&m->edges, rows);
	for (unsigned int i = 0; i < m->n_workers; i++)
		m->workers[i].edges = (struct edge_writer){.e = &m->edges};
	/* Twice the room each time: the number of passes is the logarithm of what is needed. */
	m->edges.max_chunks = m->edges.max_chunks > EDGE_CHUNKS_MAX / 2 ? EDGE_CHUNKS_MAX
									: m->edges.max_chunks * 2;
	m->first_pass = false;
}

static struct wh_err *nodes_pass(struct wh_marks *m)
{
	WH_TRY(pass(m, "scan", m->plan->nodes.v, m->plan->nodes.n, true));
	while (atomic_load(&m->edges.full)) {
		if (m->edges.max_chunks == EDGE_CHUNKS_MAX)
			return wh_err_new(WH_ERR_LIMIT,
					  "too many references between unreached buffers");
		rescan_begin(m);
		WH_TRY(pass(m, "scan again", m->plan->nodes.v, m->plan->nodes.n, true));
	}
	return NULL;
}

static bool anything_absent(const struct wh_marks *m)
{
	for (size_t c = 0; c <= m->n_classes; c++)
		if (atomic_load(&m->class_absent[c]))
			return true;
	return false;
}

/*
 * Which class points at which is only needed when something could not be read, and costs a tenth of the
 * scan.  When that shows only in the pass itself, look at everything once more.
 */
static struct wh_err *classes_pass(struct wh_marks *m)
{
	WH_AUTO_FREE struct wh_mark_counts *kept = NULL;
	struct wh_err *e;

	if (m->track_classes || !anything_absent(m))
		return NULL;
	kept = wh_calloc(m->n_workers, sizeof(*kept));
	if (!kept)
		return &wh_err_nomem;
	for (unsigned int i = 0; i < m->n_workers; i++)
		kept[i] = m->workers[i].counts;
	for (size_t i = 0; i < m->t->n / 64 + 1; i++)
		atomic_store(&m->rescan[i], UINT64_MAX);
	m->track_classes = true;
	m->first_pass = false;
	e = pass(m, "scan again", m->plan->nodes.v, m->plan->nodes.n, true);
	for (unsigned int i = 0; i < m->n_workers; i++)
		m->workers[i].counts = kept[i];
	return e;
}

static void worker_fini(struct worker *w)
{
	wh_reader_destroy(w->reader);
	wh_reader_destroy(w->aux);
	WH_VEC_FINI(&w->targets);
	WH_VEC_FINI(&w->stack);
	WH_VEC_FINI(&w->root_hits);
	wh_err_destroy(w->err);
}

static struct wh_err *workers_init(struct wh_marks *m)
{
	m->n_workers = wh_workers_count(m->ctx);
	m->workers = wh_calloc(m->n_workers, sizeof(*m->workers));
	if (!m->workers)
		return &wh_err_nomem;
	for (unsigned int i = 0; i < m->n_workers; i++) {
		struct worker *w = &m->workers[i];

		w->m = m;
		w->src = ROW_ROOT;
		w->edges.e = &m->edges;
		WH_TRY(wh_reader_create(m->mem, &w->reader));
		WH_TRY(wh_reader_create(m->mem, &w->aux));
	}
	return NULL;
}

static struct wh_plan_mask region_span(const void *arg, size_t i)
{
	const struct wh_buftab *t = arg;

	return (struct wh_plan_mask){t->regions.v[i].start, t->regions.v[i].end};
}

static struct wh_err *tables_init(struct wh_marks *m)
{
	size_t rows = m->t->n;
	/* The default has been enough for everything measured; see docs/design-scan.md. */
	uint64_t budget = m->opts.edge_budget	 ? m->opts.edge_budget
			  : m->opts.keep_parents ? m->ctx->memory_budget
						 : rows * 12 + (32u << 20);

	m->n_classes = (uint16_t)m->t->classes.n;
	m->track_classes = m->plan->missing.n > 0;
	m->level = wh_alloc_table(rows, sizeof(*m->level));
	m->rescan = wh_calloc(rows / 64 + 1, sizeof(*m->rescan));
	m->class_edges = wh_calloc((size_t)m->n_classes * m->n_classes, 1);
	m->class_seen = wh_calloc(m->n_classes, 1);
	m->class_absent = wh_calloc((size_t)m->n_classes + 1, 1);
	if (!m->level || !m->rescan || !m->class_edges || !m->class_seen || !m->class_absent)
		return &wh_err_nomem;
	m->n_bounds = wh_plan_cover(region_span, m->t, m->t->regions.n, BOUNDS_GAP, BOUNDS_MAX,
				    m->bounds);
	for (uint32_t k = 0; k < m->n_bounds; k++)
		wh_filter_add(&m->filter, m->bounds[k].start,
			      m->bounds[k].end - m->bounds[k].start);
	for (uint32_t k = 0; k < m->plan->n_envelopes; k++)
		wh_filter_add(&m->filter, m->plan->alias_envelope[k].start,
			      m->plan->alias_envelope[k].end - m->plan->alias_envelope[k].start);
	wh_filter_freeze(&m->filter);
	return wh_edges_init(&m->edges, rows, budget);
}

static void counts_sum(struct wh_marks *m)
{
	for (unsigned int i = 0; i < m->n_workers; i++) {
		const struct wh_mark_counts *c = &m->workers[i].counts;

		m->counts.words += c->words;
		m->counts.candidates += c->candidates;
		m->counts.follows += c->follows;
		m->counts.bytes_roots += c->bytes_roots;
		m->counts.bytes_nodes += c->bytes_nodes;
		m->counts.edges_stored += m->workers[i].edges.stored;
		for (int k = 0; k < WH_MEM_STATE_COUNT; k++)
			m->counts.bytes_absent[k] += c->bytes_absent[k];
		for (int k = 0; k < 16; k++)
			m->counts.heuristics[k] += c->heuristics[k];
	}
	m->counts.memory_peak = wh_buftab_memory(m->t) + wh_edges_memory(&m->edges) +
				m->t->n * (sizeof(*m->edges.head) + sizeof(*m->level));
}

static struct wh_err *run(struct wh_marks *m)
{
	wh_plan_freeze(m->plan);
	WH_TRY(tables_init(m));
	WH_TRY(workers_init(m));
	m->first_pass = true;
	WH_TRY(words_pass(m));
	WH_TRY(pass(m, "roots", m->plan->roots.v, m->plan->roots.n, false));
	WH_TRY(nodes_pass(m));
	WH_TRY(classes_pass(m));
	counts_sum(m);
	if (m->opts.keep_parents)
		WH_TRY(wh_chain_run(m));
	return wh_verdict_run(m);
}

/* What only the run needs. */
static void run_fini(struct wh_marks *m)
{
	for (unsigned int i = 0; m->workers && i < m->n_workers; i++)
		worker_fini(&m->workers[i]);
	free(m->workers);
	m->workers = NULL;
	WH_VEC_FINI(&m->units);
	wh_edges_fini(&m->edges);
	free(m->rescan);
	m->rescan = NULL;
	free(m->class_edges);
	free(m->class_seen);
	free(m->class_absent);
	m->class_edges = m->class_seen = m->class_absent = NULL;
}

struct wh_err *wh_mark_run(struct wh_ctx *ctx, const struct wh_mem *mem, const struct wh_buftab *t,
			   struct wh_plan *plan, const struct wh_mark_opts *opts,
			   struct wh_marks **ret)
{
	struct wh_marks *m = calloc(1, sizeof(*m));
	struct wh_err *e;

	if (!m)
		return &wh_err_nomem;
	m->ctx = ctx;
	m->mem = mem;
	m->t = t;
	m->plan = plan;
	m->opts = *opts;
	m->abi = wh_mem_dump(mem)->abi;
	e = run(m);
	run_fini(m);
	if (e) {
		wh_marks_destroy(m);
		return e;
	}
	*ret = m;
	return NULL;
}

void wh_marks_destroy(struct wh_marks *m)
{
	if (!m)
		return;
	free(m->level);
	WH_VEC_FINI(&m->leaks);
	free(m->leak_verdict);
	free(m->leak_head);
	free(m->hang_count);
	free(m->hang_bytes);
	free(m->parent);
	WH_VEC_FINI(&m->root_hits);
	free(m);
}

const struct wh_mark_counts *wh_marks_counts(const struct wh_marks *m)
{
	return &m->counts;
}
