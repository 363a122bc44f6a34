/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ::findleaks.  The mark engine says which buffers nobody holds; here they become leaks in mdb's sense:
 * grouped when type, depth, cache and every pc agree, the oldest of a group speaking for it.
 *
 *	leaks sorted by (type, signature, time, address) ─► runs of equal signature = groups ─► print order
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analyzer/base/hashmap.h"
#include "analyzer/cmd/mdb/mdb.h"

/* The first three share a table. */
enum leak_type { LEAK_MMAP, LEAK_SBRK, LEAK_VMEM, LEAK_CACHE, LEAK_AUDITED };
enum { TABLE_VMEM, TABLE_CACHE, TABLE_AUDITED, TABLES };

static int table_of(int type)
{
	return type <= LEAK_VMEM ? TABLE_VMEM : type - LEAK_VMEM;
}

struct wh_mleak {
	uint64_t ctl, buf, cid, signature; /* buf: of the row */
	uint64_t start, data;		   /* of the buffer with malloc's header */
	int64_t time;
	uint32_t group, count; /* of a representative: members */
	uint8_t type, depth;
	uint64_t bytes, min, max; /* of a representative */
	uint64_t pc;		  /* caller, for sorting */
	const char *caller;	  /* in the names arena; "" unknown */
};

#define FRAMES_MAX 64

/* Stack of a leak, without the frame inside the allocator for audited ones. */
static size_t leak_stack(struct wh_mdb *m, const struct wh_mleak *l, uint32_t row, uint64_t *pc)
{
	struct wh_arena a = WH_ARENA_INIT;
	struct wh_origin o = {0};
	struct wh_audit r;
	struct wh_vmem_seg s;
	size_t n = 0;

	if (l->type == LEAK_AUDITED && m->kmem && wh_audit_read(m->kmem, l->ctl, &r)) {
		n = r.depth ? r.depth - 1 : 0;
		memcpy(pc, r.stack + 1, n * sizeof(*pc));
		return n;
	}
	if (l->type == LEAK_VMEM && m->kmem && wh_vmem_read_seg(m->kmem, l->ctl, &s)) {
		memcpy(pc, s.stack, s.depth * sizeof(*pc));
		return s.depth;
	}
	if (m->t->ops->origin && !m->t->ops->origin(m->t, row, &a, &o)) {
		/* LITE keeps a history of callers, of which the newest made the allocation. */
		n = m->il ? (o.n_frames ? 1 : 0) : o.n_frames;
		n = n < FRAMES_MAX ? n : FRAMES_MAX;
		for (size_t i = 0; i < n; i++)
			pc[i] = o.frames[i].address;
	}
	wh_arena_fini(&a);
	return n;
}

static int64_t leak_time(struct wh_mdb *m, const struct wh_mleak *l)
{
	struct wh_audit r;
	struct wh_vmem_seg s;

	if (l->type == LEAK_AUDITED && m->kmem && wh_audit_read(m->kmem, l->ctl, &r))
		return r.timestamp;
	if (l->type == LEAK_VMEM && m->kmem && wh_vmem_read_seg(m->kmem, l->ctl, &s))
		return s.timestamp;
	return 0;
}

static bool is_arena(const struct wh_kmem *k, uint64_t addr)
{
	for (size_t i = 0; i < k->arenas.n; i++)
		if (k->arenas.v[i].addr == addr)
			return true;
	return false;
}

static void segment_extent(struct wh_mdb *m, struct wh_mleak *l)
{
	struct wh_vmem_seg s;

	if (m->kmem && wh_vmem_read_seg(m->kmem, l->ctl, &s) && s.start <= l->buf &&
	    s.end > l->buf) {
		l->start = s.start;
		l->data = s.end - s.start;
	}
}

static void leak_make(struct wh_mdb *m, uint32_t row, struct wh_mleak *l)
{
	const struct wh_buftab *t = m->t->buftab;
	const struct wh_class *cls = wh_buftab_class(t, wh_buftab_class_of(t, row));
	const struct wh_kmem_cache *c = m->kmem ? wh_kmem_find_cache(m->kmem, cls->id) : NULL;
	uint64_t pc[FRAMES_MAX], key[3];
	size_t n;

	*l = (struct wh_mleak){.type = LEAK_CACHE,
			       .buf = wh_buftab_addr(t, row),
			       .data = wh_buftab_size(t, row),
			       .cid = cls->id};
	l->start = l->buf;
	/* A row begins behind malloc's header; mdb counts buffers as the cache has them. */
	if (c) {
		const struct wh_kmem_buf *b = wh_kmem_find_buf(c, l->buf);

		l->start = b ? b->addr : l->buf;
		l->data = c->bufsize;
	}
	l->ctl = l->start;
	if (!strcmp(cls->model, "mapping")) {
		l->type = strcmp(cls->name, "sbrk") ? LEAK_MMAP : LEAK_SBRK;
		l->cid = l->buf; /* a row of its own */
	} else if (!strcmp(cls->model, "vmem") || (m->kmem && !c && is_arena(m->kmem, cls->id))) {
		l->type = LEAK_VMEM;
		l->cid = 0;
		l->ctl = wh_kmem_row_ctl(m->kmem, cls->id, l->buf);
		segment_extent(m, l);
	} else if (c && (c->flags & WH_KMF_AUDIT)) {
		l->ctl = wh_kmem_row_ctl(m->kmem, cls->id, l->buf);
		l->type = l->ctl == c->addr ? LEAK_CACHE : LEAK_AUDITED;
		l->ctl = l->ctl == c->addr ? l->start : l->ctl;
	}
	l->time = leak_time(m, l);
	n = leak_stack(m, l, row, pc);
	l->depth = (uint8_t)n;
	key[0] = l->type;
	key[1] = n;
	key[2] = l->cid;
	l->signature =
		wh_hash_bytes(pc, n * sizeof(*pc), wh_hash_bytes(key, sizeof(key), WH_HASH_SEED));
}

static int leak_cmp(const void *pa, const void *pb)
{
	const struct wh_mleak *a = pa, *b = pb;

	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	if (a->signature != b->signature)
		return a->signature < b->signature ? -1 : 1;
	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return a->buf < b->buf ? -1 : a->buf > b->buf;
}

/* Fills what only the first of a run of equals knows; returns the number of groups. */
static size_t group(struct wh_mleaks *ls)
{
	struct wh_mleak *rep = NULL;
	size_t n = 0;

	for (size_t i = 0; i < ls->n; i++) {
		struct wh_mleak *l = &ls->v[i];

		if (!rep || rep->type != l->type || rep->signature != l->signature) {
			rep = l;
			rep->min = rep->max = l->data;
			ls->order[n++] = i;
		}
		l->group = (uint32_t)(rep - ls->v);
		rep->count++;
		rep->bytes += l->data;
		rep->min = l->data < rep->min ? l->data : rep->min;
		rep->max = l->data > rep->max ? l->data : rep->max;
	}
	return n;
}

static int order_cmp(const void *pa, const void *pb, void *arg)
{
	const struct wh_mleak *v = arg, *a = &v[*(const size_t *)pa], *b = &v[*(const size_t *)pb];
	int c;

	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	c = strcmp(a->caller, b->caller);
	if (c)
		return c;
	if (a->pc != b->pc)
		return a->pc < b->pc ? -1 : 1;
	if (a->data != b->data)
		return a->data < b->data ? -1 : 1;
	return a->ctl < b->ctl ? -1 : a->ctl > b->ctl;
}

void wh_mdb_leaks_fini(struct wh_mdb *m)
{
	for (size_t i = 0; i < m->leaks.n_groups; i++)
		free((char *)(uintptr_t)m->leaks.v[m->leaks.order[i]].caller);
	free(m->leaks.v);
	free(m->leaks.order);
	memset(&m->leaks, 0, sizeof(m->leaks));
}

static struct wh_err *name_groups(struct wh_mdb *m)
{
	for (size_t i = 0; i < m->leaks.n_groups; i++) {
		struct wh_mleak *l = &m->leaks.v[m->leaks.order[i]];
		uint32_t row = wh_buftab_find(m->t->buftab, l->buf);
		uint64_t pc[FRAMES_MAX];
		char sym[256];
		size_t n = leak_stack(m, l, row, pc);

		l->caller = strdup(l->type == LEAK_MMAP ? "MMAP"
				   : l->type == LEAK_SBRK
					   ? "SBRK"
					   : wh_mdb_caller(m, pc, n, sym, sizeof(sym), &l->pc));
		if (!l->caller)
			return &wh_err_nomem;
	}
	qsort_r(m->leaks.order, m->leaks.n_groups, sizeof(*m->leaks.order), order_cmp, m->leaks.v);
	return NULL;
}

/* [ms] on a clock of this machine. */
static uint64_t clock_ms(clockid_t which)
{
	struct timespec ts;

	return clock_gettime(which, &ts)
		       ? 0
		       : (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static struct wh_err *leaks_find(struct wh_mdb *m)
{
	const struct wh_marks *marks;
	const uint32_t *rows;
	size_t n;

	WH_TRY(wh_target_mark(m->t, &marks));
	rows = wh_marks_leaks(marks, &n);
	m->leaks.v = calloc(n + 1, sizeof(*m->leaks.v));
	m->leaks.order = calloc(n + 1, sizeof(*m->leaks.order));
	if (!m->leaks.v || !m->leaks.order)
		return &wh_err_nomem;
	for (size_t i = 0; i < n; i++)
		leak_make(m, rows[i], &m->leaks.v[i]);
	m->leaks.n = n;
	qsort(m->leaks.v, n, sizeof(*m->leaks.v), leak_cmp);
	m->leaks.n_groups = group(&m->leaks);
	m->leaks.done = true;
	return name_groups(m);
}

struct wh_err *wh_mdb_leaks_run(struct wh_mdb *m, bool again)
{
	uint64_t cpu = clock_ms(CLOCK_PROCESS_CPUTIME_ID), wall = clock_ms(CLOCK_MONOTONIC);

	if (m->leaks.done && !again)
		return NULL;
	wh_mdb_leaks_fini(m);
	WH_TRY(leaks_find(m));
	m->leaks.cpu_ms = clock_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	m->leaks.wall_ms = clock_ms(CLOCK_MONOTONIC) - wall;
	return NULL;
}

struct wh_err *wh_mdb_leaks_walk(struct wh_mdb *m, bool has_addr, uint64_t ctl, bool bufs,
				 wh_addr_vec *ret)
{
	const struct wh_mleaks *ls = &m->leaks;
	uint32_t wanted = UINT32_MAX;

	if (!ls->done)
		return wh_err_new(WH_ERR_USAGE, "::findleaks must be run before leaks can be "
						"walked");
	for (size_t i = 0; has_addr && i < ls->n; i++)
		if (ls->v[i].ctl == ctl || ls->v[i].start == ctl || ls->v[i].buf == ctl)
			wanted = ls->v[i].group;
	if (has_addr && wanted == UINT32_MAX)
		return wh_err_new(WH_ERR_NOT_FOUND, "%llx is not a leaked ctl address",
				  (unsigned long long)ctl);
	for (size_t i = 0; i < ls->n; i++)
		if (!has_addr || ls->v[i].group == wanted)
			WH_TRY(WH_VEC_PUSH(ret, bufs ? ls->v[i].start : ls->v[i].ctl));
	return NULL;
}

/* ---- printing ---- */

static const struct wh_mdb_col vmem_cols[] = {{"bytes", "BYTES", -16},
					      {"leaked", " LEAKED", 7},
					      {"vmem_seg", "VMEM_SEG", WH_MDB_PTR},
					      {"caller", "CALLER", -1}};
static const struct wh_mdb_col cache_cols[] = {{"cache", "CACHE", -WH_MDB_PTR},
					       {"leaked", "LEAKED", 7},
					       {"buffer", "BUFFER", WH_MDB_PTR},
					       {"caller", "CALLER", -1}};
static const struct wh_mdb_col audit_cols[] = {{"cache", "CACHE", -WH_MDB_PTR},
					       {"leaked", "LEAKED", 7},
					       {"bufctl", "BUFCTL", WH_MDB_PTR},
					       {"caller", "CALLER", -1}};
static const struct {
	const char *key;
	const struct wh_mdb_col *cols;
} tables[TABLES] = {{"vmem", vmem_cols}, {"cache", cache_cols}, {"audited", audit_cols}};

static void print_row(struct wh_mdb *m, const struct wh_mleak *l)
{
	if (table_of(l->type) == TABLE_VMEM) {
		if (l->min == l->max)
			wh_mdb_cell(m, "%llu", (unsigned long long)l->min);
		else
			wh_mdb_cell(m, "%llu-%llu", (unsigned long long)l->min,
				    (unsigned long long)l->max);
	} else {
		wh_mdb_cell_ptr(m, l->cid, true);
	}
	wh_mdb_cell(m, "%u", l->count);
	wh_mdb_cell_ptr(m, l->ctl, table_of(l->type) != TABLE_VMEM);
	wh_mdb_cell(m, "%s", *l->caller ? l->caller : "?");
	wh_mdb_row(m);
}

static void print_total(struct wh_mdb *m, int table, uint64_t count, uint64_t bytes)
{
	const char *noun = table != TABLE_VMEM ? "buffer"
			   : m->il	       ? "kmem_oversize leak"
					       : "oversized leak";

	if (m->json)
		return;
	wh_mdb_text(m, WH_MDB_DASHES "\n");
	wh_mdb_text(m, "%*s %7llu %s%s, %llu byte%s\n", table == TABLE_VMEM ? 16 : m->pw, "Total",
		    (unsigned long long)count, noun, count == 1 ? "" : "s",
		    (unsigned long long)bytes, bytes == 1 ? "" : "s");
}

/* Does the stack of a group pass through @filter (a pc, or the start of a function)? */
static bool group_matches(struct wh_mdb *m, const struct wh_mleak *l, uint64_t filter)
{
	uint64_t pc[FRAMES_MAX];
	size_t n = leak_stack(m, l, wh_buftab_find(m->t->buftab, l->buf), pc);

	return wh_mdb_stack_passes(m, pc, n, filter);
}

static struct wh_err *print_detail(struct wh_mdb *m, const struct wh_mleak *l)
{
	const struct wh_buftab *t = m->t->buftab;
	uint32_t row = wh_buftab_find(t, l->buf);
	const char *name = wh_buftab_class(t, wh_buftab_class_of(t, row))->name;
	const char *unit = l->type == LEAK_VMEM ? "vmem_seg" : "buffer";

	if (l->type < LEAK_VMEM) {
		wh_mdb_text(m, "%s(2) leak: [%llx, %llx), %llu bytes\n", name,
			    (unsigned long long)l->buf, (unsigned long long)(l->buf + l->data),
			    (unsigned long long)l->data);
		return NULL;
	}

	if (l->count == 1)
		wh_mdb_text(m, "%s leak: 1 %s, %llu bytes", name, unit,
			    (unsigned long long)l->data);
	else if (l->min == l->max)
		wh_mdb_text(m, "%s leak: %u %ss, %llu bytes each, %llu bytes total", name, l->count,
			    unit, (unsigned long long)l->data, (unsigned long long)l->bytes);
	else
		wh_mdb_text(m, "%s leak: %u %ss, %llu-%llu bytes each, %llu bytes total", name,
			    l->count, unit, (unsigned long long)l->min, (unsigned long long)l->max,
			    (unsigned long long)l->bytes);
	if (l->type == LEAK_CACHE) {
		wh_mdb_text(m, ",\n    sample addr %llx%s%s\n", (unsigned long long)l->start,
			    *l->caller ? ", caller " : "", l->caller);
		return NULL;
	}
	wh_mdb_text(m, "\n");
	return l->type == LEAK_VMEM ? wh_mdb_vmem_seg_verbose(m, l->ctl, true)
				    : wh_mdb_bufctl_verbose(m, l->ctl, true);
}

static void count_line(struct wh_mdb *m, const char *label, uint64_t v, uint64_t of)
{
	if (of)
		wh_mdb_text(m, "findleaks: %30s => %-13llu (%llu.%llu%%)\n", label,
			    (unsigned long long)v, (unsigned long long)(v * 100 / of),
			    (unsigned long long)(v * 1000 / of % 10));
	else
		wh_mdb_text(m, "findleaks: %30s => %llu\n", label, (unsigned long long)v);
}

/* mdb's bound before it looks: every slot of the caches that count, and the segments. */
static uint64_t most_buffers(const struct wh_mdb *m, uint64_t actual)
{
	uint64_t n = m->kmem ? m->kmem->seg_rows.n : 0;

	for (size_t i = 0; m->kmem && i < m->kmem->caches.n; i++)
		if (wh_mdb_interesting(m, &m->kmem->caches.v[i]))
			n += m->kmem->caches.v[i].buftotal;
	return n > actual ? n : actual;
}

static void time_line(struct wh_mdb *m, const char *label, uint64_t ms)
{
	wh_mdb_text(m, "findleaks: %30s => %llu.%llu seconds\n", label,
		    (unsigned long long)(ms / 1000), (unsigned long long)(ms / 100 % 10));
}

/*
 * mdb follows a word when its buffer is not marked yet and calls it a dup when it is; here the words were
 * read in another order, but as many buffers are followed as were reached.
 */
static struct wh_err *print_statistics(struct wh_mdb *m)
{
	const struct wh_buftab *t = m->t->buftab;
	const struct wh_marks *marks;
	const struct wh_mark_counts *n;
	uint64_t actual = 0, follows = 0;

	WH_TRY(wh_target_mark(m->t, &marks));
	n = wh_marks_counts(marks);
	for (uint32_t row = 0; row < wh_buftab_count(t); row++) {
		actual += wh_buftab_state(t, row) == WH_BUF_ALLOCATED;
		follows += wh_marks_reached(marks, row);
	}
	follows = follows < n->follows ? follows : n->follows;
	count_line(m, "maximum buffers", most_buffers(m, actual), 0);
	count_line(m, "actual buffers", actual, 0);
	wh_mdb_text(m, "\n");
	count_line(m, "potential pointers", n->words, 0);
	count_line(m, "dismissals", n->words - n->candidates, n->words);
	count_line(m, "misses", n->candidates - n->follows, n->words);
	count_line(m, "dups", n->follows - follows, n->words);
	count_line(m, "follows", follows, n->words);
	wh_mdb_text(m, "\n");
	count_line(m, "peak memory usage (kB)",
		   (n->memory_peak + wh_buftab_memory(m->t->buftab)) >> 10, 0);
	/* JSON says the same each time. */
	if (!m->json) {
		time_line(m, "elapsed CPU time", m->leaks.cpu_ms);
		time_line(m, "elapsed wall time", m->leaks.wall_ms);
	}
	wh_mdb_text(m, "\n");
	return NULL;
}

/* What the dump shows about causes of false findings; mdb only warns, or refuses. */
static void print_caveats(struct wh_mdb *m)
{
	size_t unknown = 0, n;
	const struct wh_marks *marks;
	const uint32_t *rows;
	struct wh_err *e = wh_target_mark(m->t, &marks);

	if (e) {
		wh_err_destroy(e);
		return;
	}
	rows = wh_marks_leaks(marks, &n);
	for (size_t i = 0; i < n; i++)
		unknown += wh_marks_verdict(marks, rows[i]) == WH_VERDICT_UNKNOWN;
	for (size_t i = 0; m->il && i < m->il->threads.n; i++)
		if (!m->il->threads.v[i].loaded)
			wh_mdb_text(m,
				    "findleaks: thread %llx's stack swapped out; false positives "
				    "possible\n",
				    (unsigned long long)m->il->threads.v[i].addr);
	if (m->il && m->il->live)
		wh_mdb_text(m, "findleaks: live dump: its memory is not of one moment; false "
			       "positives possible\n");
	if (unknown)
		wh_mdb_text(m,
			    "findleaks: %zu of these could be held by memory that the dump "
			    "lacks\n",
			    unknown);
}

static struct wh_err *print_tables(struct wh_mdb *m, const struct wh_mdb_call *c, size_t *ret_shown)
{
	const struct wh_mleaks *ls = &m->leaks;
	size_t i = 0;

	for (int table = 0; table < TABLES; table++) {
		uint64_t count = 0, bytes = 0, rows = 0;

		for (; i < ls->n_groups && table_of(ls->v[ls->order[i]].type) == table; i++) {
			const struct wh_mleak *l = &ls->v[ls->order[i]];

			if (c->has_addr && !group_matches(m, l, c->addr))
				continue;
			++*ret_shown;
			if (c->pipe_out) {
				WH_TRY(wh_mdb_yield(c, l->ctl));
				continue;
			}
			if (!rows && *ret_shown > 1 && !m->json)
				wh_mdb_text(m, "\n");
			wh_mdb_table(m, tables[table].key, tables[table].cols, 4, !rows);
			rows++;
			print_row(m, l);
			count += l->count;
			bytes += l->bytes;
		}
		if (rows)
			print_total(m, table, count, bytes);
	}
	return NULL;
}

struct wh_err *wh_dcmd_findleaks(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	enum { D = 1, F = 2, V = 4 };
	bool cached = m->leaks.done;
	size_t shown = 0, rest;
	uint32_t set;
	char sym[256];

	WH_TRY(wh_mdb_opts(c, "dfv", "", &set, NULL, &rest));
	WH_TRY(wh_mdb_leaks_run(m, set & F));
	if (!c->pipe_out && (set & V)) {
		if (cached && !(set & F))
			wh_mdb_text(m, "findleaks: using cached results (use '-f' to force a full "
				       "run)\n");
		else
			WH_TRY(print_statistics(m));
	}
	if (!c->pipe_out)
		print_caveats(m);
	WH_TRY(print_tables(m, c, &shown));
	if (!shown && !c->pipe_out) {
		if (c->has_addr)
			wh_mdb_text(m, "findleaks: no memory leaks matching %s found\n",
				    wh_mdb_symbol(m, c->addr, sym, sizeof(sym)));
		else
			wh_mdb_text(m, "findleaks: no memory leaks detected\n");
	}
	for (size_t i = 0; (set & D) && !c->pipe_out && i < m->leaks.n_groups; i++) {
		const struct wh_mleak *l = &m->leaks.v[m->leaks.order[i]];

		if (c->has_addr && !group_matches(m, l, c->addr))
			continue;
		wh_mdb_text(m, "\n");
		WH_TRY(print_detail(m, l));
	}
	return NULL;
}
