/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Logs, statistics and verification: ::kmem_log, ::kmalog, ::kmastat, ::kmem_verify, and libumem's twins. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/cmd/mdb/mdb.h"

static const struct wh_mdb_col log_cols[] = {
	{"cpu", "CPU", 3},
	{"addr", "ADDR", -WH_MDB_PTR},
	{"bufaddr", "BUFADDR", -WH_MDB_PTR},
	{"timestamp", "TIMESTAMP", 16},
	{"thread", "THREAD", -WH_MDB_PTR},
};

static void log_row(struct wh_mdb *m, const struct wh_log_entry *en)
{
	struct wh_audit r;

	if (!wh_audit_read(m->kmem, en->addr, &r))
		return;
	if (en->cpu >= 0)
		wh_mdb_cell(m, "%d", en->cpu);
	else
		wh_mdb_cell(m, "%s", "");
	wh_mdb_cell_ptr(m, en->addr, true);
	wh_mdb_cell_ptr(m, en->bufaddr, true);
	wh_mdb_cell(m, "%llx", (unsigned long long)en->timestamp);
	wh_mdb_cell_ptr(m, r.thread, true);
	wh_mdb_row(m);
}

struct wh_err *wh_dcmd_kmem_log(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	struct wh_kmem_log log;
	wh_log_vec v = {0};
	uint32_t set;
	size_t rest;
	struct wh_err *e;

	WH_TRY(wh_mdb_need_kmem(m, c));
	WH_TRY(wh_mdb_opts(c, "b", "", &set, NULL, &rest));
	if (!wh_kmem_log_open(m->kmem, m->kmem->flavour->transaction_log, &log))
		return wh_err_new(WH_ERR_NOT_FOUND, "the transaction log is off in this dump");
	e = wh_kmem_log_list(m->kmem, &log, &v);
	if (!e && !c->pipe_out)
		wh_mdb_table(m, "log", log_cols, 5, c->first);
	for (size_t i = 0; !e && i < v.n; i++) {
		/* An address picks a record or, with -b, all records of a buffer. */
		if (c->has_addr && (set ? v.v[i].bufaddr : v.v[i].addr) != c->addr)
			continue;
		if (c->pipe_out)
			e = wh_mdb_yield(c, v.v[i].addr);
		else
			log_row(m, &v.v[i]);
	}
	WH_VEC_FINI(&v);
	return e;
}

/* One transaction, as long before the newest as @delta nanoseconds. */
static void log_block(struct wh_mdb *m, const struct wh_audit *r, uint64_t delta)
{
	static const struct wh_mdb_col cols[] = {
		{"before_newest", "", 0}, {"addr", "", 0}, {"cache", "", 0}, {"stack", "", 0}};
	const struct wh_kmem_cache *k = wh_kmem_find_cache(m->kmem, r->cache);
	unsigned long long s = delta / 1000000000, ns = delta % 1000000000;
	char sym[256];

	if (m->json) {
		wh_mdb_table(m, "transactions", cols, 4, false);
		wh_mdb_cell(m, "%llu.%09llu", s, ns);
		wh_mdb_cell_ptr(m, r->addr, true);
		wh_mdb_cell(m, "%s", k ? k->name : "?");
		wh_mdb_cell_stack(m, r->stack, r->depth);
		wh_mdb_row(m);
		return;
	}
	wh_mdb_text(m, "\nT-%llu.%09llu  addr=%llx  %s\n", s, ns, (unsigned long long)r->addr,
		    k ? k->name : "?");
	for (uint32_t d = 0; d < r->depth; d++)
		wh_mdb_text(m, "\t %s\n", wh_mdb_symbol(m, r->stack[d], sym, sizeof(sym)));
}

struct wh_err *wh_dcmd_kmalog(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	const char *var;
	struct wh_kmem_log log;
	wh_log_vec v = {0};
	struct wh_err *e;

	WH_TRY(wh_mdb_need_kmem(m, c));
	var = m->kmem->flavour->transaction_log;
	if (c->argc)
		var = !strcmp(c->argv[0], "fail")   ? m->kmem->flavour->failure_log
		      : !strcmp(c->argv[0], "slab") ? m->kmem->flavour->slab_log
						    : NULL;
	if (!var)
		return wh_err_new(WH_ERR_USAGE, "%s [fail|slab]", c->name);
	if (!wh_kmem_log_open(m->kmem, var, &log))
		return wh_err_new(WH_ERR_NOT_FOUND, "%s is off in this dump", var);
	e = wh_kmem_log_list(m->kmem, &log, &v);
	for (size_t i = 0; !e && i < v.n; i++) {
		struct wh_audit r;

		if (wh_audit_read(m->kmem, v.v[i].addr, &r))
			log_block(m, &r, (uint64_t)v.v[0].timestamp - (uint64_t)v.v[i].timestamp);
	}
	WH_VEC_FINI(&v);
	return e;
}

/* ---- kmastat ---- */

struct unit {
	uint64_t divisor;
	const char *suffix;
};

static void amount(struct wh_mdb *m, uint64_t bytes, const struct unit *u)
{
	wh_mdb_cell(m, "%llu%s", (unsigned long long)(bytes / u->divisor), u->suffix);
}

static const struct wh_mdb_col stat_cols[] = {
	{"cache", "", -25},    {"buf_size", "", 6},	  {"buf_in_use", "", 6},
	{"buf_total", "", 6},  {"memory_in_use", "", 11}, {"alloc_succeed", "", 9},
	{"alloc_fail", "", 5},
};
/* libumem keeps buffers in its threads as well. */
static const struct wh_mdb_col ustat_cols[] = {
	{"cache", "", -25},	  {"buf_size", "", 6},	 {"buf_in_use", "", 6},
	{"buf_in_ptc", "", 6},	  {"buf_total", "", 6},	 {"memory_in_use", "", 11},
	{"alloc_succeed", "", 9}, {"alloc_fail", "", 5},
};
static const struct wh_mdb_col total_cols[] = {{"arena", "", -25},
					       {"memory_in_use", "", 11},
					       {"alloc_succeed", "", 9},
					       {"alloc_fail", "", 5}};
static const struct wh_mdb_col vmem_cols[] = {
	{"vmem", "", -25},  {"in_use", "", 11},	      {"total", "", 11},
	{"import", "", 11}, {"alloc_succeed", "", 9}, {"alloc_fail", "", 5},
};

/* What the caches on one arena add up to. */
struct stat_sum {
	uint64_t bytes, alloc, fail;
};

/* What a thread of a process keeps of one cache. */
struct kept {
	size_t thread, cache;
	uint64_t n;
};
struct stats {
	const struct unit *u;
	struct stat_sum *sums; /* by arena */
	uint64_t *counts;      /* by thread; NULL none */
	WH_VEC(struct kept) kept;
};

static struct wh_err *cached_by_threads(struct wh_mdb *m, size_t cache, struct stats *st,
					uint64_t *ret)
{
	size_t n = m->umem->p->threads.n;

	*ret = 0;
	memset(st->counts, 0, n * sizeof(*st->counts));
	WH_TRY(wh_umem_thread_cached(m->umem, &m->kmem->caches.v[cache], st->counts));
	for (size_t i = 0; i < n; i++) {
		*ret += st->counts[i];
		if (st->counts[i])
			WH_TRY(WH_VEC_PUSH(&st->kept, (struct kept){i, cache, st->counts[i]}));
	}
	return NULL;
}

static struct wh_err *stat_row(struct wh_mdb *m, size_t cache, struct stats *st,
			       struct stat_sum *sum)
{
	struct wh_kmem_cache *k = &m->kmem->caches.v[cache];
	uint64_t bytes = (k->slab_create - k->slab_destroy) * k->slabsize, in_use, kept;

	/* Threads' lists are told by the buffers of the cache. */
	WH_TRY(m->umem ? wh_kmem_walk(m->kmem, k) : NULL);
	WH_TRY(wh_kmem_walk_free(m->kmem, k));
	in_use = k->buftotal - k->mags.n - k->slab_frees;
	if (in_use > k->buftotal)
		in_use = k->bufs.n;
	wh_mdb_cell(m, "%s", k->name);
	wh_mdb_cell(m, "%llu", (unsigned long long)k->bufsize);
	wh_mdb_cell(m, "%llu", (unsigned long long)in_use);
	if (m->umem && (k->flags & WH_UMF_PTC)) {
		WH_TRY(cached_by_threads(m, cache, st, &kept));
		wh_mdb_cell(m, "%llu", (unsigned long long)kept);
	} else if (m->umem) {
		wh_mdb_cell(m, "-");
	}
	wh_mdb_cell(m, "%llu", (unsigned long long)k->buftotal);
	amount(m, bytes, st->u);
	wh_mdb_cell(m, "%llu",
		    (unsigned long long)(k->slab_alloc + k->depot_alloc + k->cpu_allocs));
	wh_mdb_cell(m, "%llu", (unsigned long long)k->alloc_fail);
	wh_mdb_row(m);
	sum->bytes += bytes;
	sum->alloc += k->slab_alloc + k->depot_alloc + k->cpu_allocs;
	sum->fail += k->alloc_fail;
	return NULL;
}

static void dashes(struct wh_mdb *m, const struct wh_mdb_col *cols, size_t n)
{
	if (m->json)
		return;
	for (size_t i = 0; i < n; i++)
		wh_mdb_text(m, "%s%.*s", i ? " " : "", abs(cols[i].width), WH_MDB_DASHES);
	wh_mdb_text(m, "\n");
}

static void stat_header(struct wh_mdb *m)
{
	if (m->json)
		return;
	wh_mdb_text(m, "%-25s %6s %6s %s%6s %11s %9s %5s\n%-25s %6s %6s %s%6s %11s %9s %5s\n",
		    "cache", "buf", "buf", m->umem ? "   buf " : "", "buf", "memory", "alloc",
		    "alloc", "name", "size", "in use", m->umem ? "in ptc " : "", "total", "in use",
		    "succeed", "fail");
}

static void stat_total(struct wh_mdb *m, const struct wh_vmem *v, const struct stat_sum *sum,
		       const struct unit *u)
{
	char name[48];

	if (!sum->alloc)
		return;
	snprintf(name, sizeof(name), "Total [%s]", v->name);
	wh_mdb_cell(m, "%s", m->json ? v->name : name);
	/* the columns between belong to caches */
	if (!m->json)
		wh_mdb_text(m, "%*s", m->umem ? 28 : 21, "");
	amount(m, sum->bytes, u);
	wh_mdb_cell(m, "%llu", (unsigned long long)sum->alloc);
	wh_mdb_cell(m, "%llu", (unsigned long long)sum->fail);
	wh_mdb_row(m);
}

static void stat_arenas(struct wh_mdb *m, const struct unit *u, const size_t *order)
{
	struct wh_kmem *k = m->kmem;

	if (!m->json)
		wh_mdb_text(m, "\n%-25s %11s %11s %11s %9s %5s\n%-25s %11s %11s %11s %9s %5s\n",
			    "vmem", "memory", "memory", "memory", "alloc", "alloc", "name",
			    "in use", "total", "import", "succeed", "fail");
	dashes(m, vmem_cols, 6);
	wh_mdb_table(m, "arenas", vmem_cols, 6, false);
	for (size_t i = 0; i < k->arenas.n; i++) {
		const struct wh_vmem *v = &k->arenas.v[order[i]];

		wh_mdb_cell(m, "%*s%s", (int)(4 * wh_mdb_arena_depth(k, v)), "", v->name);
		amount(m, v->inuse, u);
		amount(m, v->total, u);
		amount(m, v->import, u);
		wh_mdb_cell(m, "%llu", (unsigned long long)v->alloc);
		wh_mdb_cell(m, "%llu", (unsigned long long)v->fail);
		wh_mdb_row(m);
	}
	dashes(m, vmem_cols, 6);
}

static int kept_cmp(const void *pa, const void *pb)
{
	const struct kept *a = pa, *b = pb;

	if (a->thread != b->thread)
		return a->thread < b->thread ? -1 : 1;
	return a->cache < b->cache ? -1 : a->cache > b->cache;
}

/* libumem: how much each thread keeps, and what part of that belongs to which cache. */
static void stat_threads(struct wh_mdb *m, struct stats *st)
{
	static const struct wh_mdb_col cols[] = {
		{"tid", "", 3}, {"cache", "", -25}, {"buffers", "", 8}, {"bytes", "", 11}};

	if (!st->kept.n)
		return;
	qsort(st->kept.v, st->kept.n, sizeof(*st->kept.v), kept_cmp);
	if (!m->json)
		wh_mdb_text(m, "\n%3s %-25s %8s %11s\n", "tid", "cache", "buffers", "bytes");
	wh_mdb_table(m, "threads", cols, 4, false);
	for (size_t i = 0; i < st->kept.n; i++) {
		const struct kept *p = &st->kept.v[i];
		const struct wh_kmem_cache *k = &m->kmem->caches.v[p->cache];

		wh_mdb_cell(m, "%llu", (unsigned long long)m->umem->p->threads.v[p->thread].tid);
		wh_mdb_cell(m, "%s", k->name);
		wh_mdb_cell(m, "%llu", (unsigned long long)p->n);
		wh_mdb_cell(m, "%lluB", (unsigned long long)(p->n * k->bufsize));
		wh_mdb_row(m);
	}
}

static struct wh_err *stat_caches(struct wh_mdb *m, struct stats *st, const size_t *order)
{
	const struct wh_mdb_col *cols = m->umem ? ustat_cols : stat_cols;
	size_t n = m->umem ? 8 : 7;

	stat_header(m);
	dashes(m, cols, n);
	wh_mdb_table(m, "kmastat", cols, n, false);
	for (size_t i = 0; i < m->kmem->caches.n; i++) {
		size_t a = 0;

		while (a < m->kmem->arenas.n &&
		       m->kmem->arenas.v[a].addr != m->kmem->caches.v[i].arena)
			a++;
		WH_TRY(stat_row(m, i, st, &st->sums[a]));
	}
	dashes(m, cols, n);
	wh_mdb_table(m, "totals", total_cols, 4, false);
	for (size_t i = 0; i < m->kmem->arenas.n; i++)
		stat_total(m, &m->kmem->arenas.v[order[i]], &st->sums[order[i]], st->u);
	dashes(m, cols, n);
	return NULL;
}

struct wh_err *wh_dcmd_kmastat(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	static const struct unit units[] = {
		{1, "B"}, {1 << 10, "K"}, {1 << 20, "M"}, {1 << 30, "G"}};
	WH_AUTO_FREE size_t *order = NULL;
	struct stats st = {0};
	uint32_t set;
	size_t rest;
	struct wh_err *e;

	WH_TRY(wh_mdb_need_kmem(m, c));
	WH_TRY(wh_mdb_opts(c, "kmg", "", &set, NULL, &rest));
	WH_TRY(wh_mdb_arena_order(m->kmem, &order));
	st.u = set & 4 ? &units[3] : set & 2 ? &units[2] : set & 1 ? &units[1] : &units[0];
	st.sums = wh_calloc(m->kmem->arenas.n + 1, sizeof(*st.sums));
	st.counts = wh_calloc((m->umem ? m->umem->p->threads.n : 0) + 1, sizeof(*st.counts));
	e = st.sums && st.counts ? stat_caches(m, &st, order) : &wh_err_nomem;
	if (!e) {
		stat_arenas(m, st.u, order);
		stat_threads(m, &st);
	}
	WH_VEC_FINI(&st.kept);
	free(st.sums);
	free(st.counts);
	return e;
}

/* ---- verification ---- */

struct verify {
	struct wh_mdb *m;
	struct wh_kmem_cache *c;
	bool quiet;
	uint64_t corrupt;
};

static void bad(struct verify *v, uint64_t buf, bool is_free, const char *what)
{
	v->corrupt++;
	if (!v->quiet)
		wh_mdb_text(v->m, "buffer %llx (%s) %s\n", (unsigned long long)buf,
			    is_free ? "free" : "allocated", what);
}

static bool tag(struct verify *v, uint64_t buf, uint64_t *redzone, uint32_t *size_word,
		uint32_t *stat)
{
	struct wh_kmem *k = v->m->kmem;
	uint64_t at = buf + v->c->buftag, ctl, x;

	if (!wh_read_u64(k->r, at + k->l.bt_redzone.offset, redzone) ||
	    !wh_read_u32(k->r, at + k->l.bt_redzone.offset + 4, size_word) ||
	    !wh_kmem_field(k, at, k->l.bt_bufctl, &ctl) ||
	    !wh_kmem_field(k, at, k->l.bt_bxstat, &x))
		return false;
	*stat = (uint32_t)(ctl ^ x);
	return true;
}

static void verify_free(struct verify *v, uint64_t buf)
{
	uint64_t redzone, word;
	uint32_t size, stat;
	bool lite = v->c->flags & WH_KMF_LITE;

	for (uint64_t off = 0; (v->c->flags & WH_KMF_DEADBEEF) && off + 8 <= v->c->verify; off += 8)
		if (wh_read_u64(v->m->t->reader, buf + off, &word) &&
		    word != WH_KMEM_PATTERN_FREE) {
			char what[64];

			snprintf(what, sizeof(what), "seems corrupted, at %llx",
				 (unsigned long long)(buf + off));
			bad(v, buf, true, what);
			return;
		}
	if (!tag(v, buf, &redzone, &size, &stat))
		return;
	if ((v->c->flags & WH_KMF_HASH) && !lite && redzone != WH_KMEM_REDZONE)
		bad(v, buf, true, "seems to have a corrupt redzone pattern");
	else if (stat != WH_KMEM_TAG_FREE)
		bad(v, buf, true, "has a corrupt buftag");
}

static void verify_alloc(struct verify *v, uint64_t buf)
{
	uint64_t redzone;
	uint32_t size, stat;
	uint8_t byte = 0;

	if (!tag(v, buf, &redzone, &size, &stat))
		return;
	if (!(v->c->flags & WH_KMF_LITE) && redzone != WH_KMEM_REDZONE) {
		if (!wh_kmem_size_valid(size) || wh_kmem_size_decode(size) > v->c->bufsize) {
			bad(v, buf, false, "has a corrupt redzone size encoding");
			return;
		}
		wh_read_some(v->m->t->reader, WH_VIRT, buf + wh_kmem_size_decode(size), &byte, 1,
			     NULL);
		if (byte != WH_KMEM_REDZONE_BYTE) {
			bad(v, buf, false, "has a corrupt redzone signature");
			return;
		}
	}
	if (stat != WH_KMEM_TAG_ALLOC)
		bad(v, buf, false, "has a corrupt buftag");
}

static struct wh_err *verify_cache(struct verify *v)
{
	struct wh_kmem_cache *c = v->c;

	WH_TRY(wh_kmem_walk_free(v->m->kmem, c));
	for (size_t i = 0; i < c->bufs.n; i++)
		verify_alloc(v, c->bufs.v[i].addr);
	for (size_t i = 0; i < c->mags.n; i++)
		verify_free(v, c->mags.v[i]);
	for (size_t i = 0; i < c->free.n; i++)
		verify_free(v, c->free.v[i].addr);
	return NULL;
}

struct wh_err *wh_dcmd_kmem_verify(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	static const struct wh_mdb_col cols[] = {{"cache", "Cache Name", -31},
						 {"addr", "Addr", -WH_MDB_PTR},
						 {"integrity", "Cache Integrity", -1}};
	bool header = c->first;

	WH_TRY(wh_mdb_need_kmem(m, c));
	for (size_t i = 0; i < m->kmem->caches.n; i++) {
		struct wh_kmem_cache *k = &m->kmem->caches.v[i];
		struct verify v = {.m = m, .c = k, .quiet = !c->has_addr};

		if (!(k->flags & WH_KMF_BUFTAG) || k->lying || (c->has_addr && k->addr != c->addr))
			continue;
		if (c->has_addr && !m->json)
			wh_mdb_text(m, "Summary for cache '%s'\n", k->name);
		WH_TRY(verify_cache(&v));
		if (c->has_addr) {
			if (!v.corrupt)
				wh_mdb_text(m, "clean\n");
			continue;
		}
		wh_mdb_table(m, "verify", cols, 3, header);
		header = false;
		wh_mdb_cell(m, "%s", k->name);
		wh_mdb_cell_ptr(m, k->addr, true);
		if (v.corrupt)
			wh_mdb_cell(m, "%llu corrupt buffer%s", (unsigned long long)v.corrupt,
				    v.corrupt > 1 ? "s" : "");
		else
			wh_mdb_cell(m, "clean");
		wh_mdb_row(m);
	}
	return NULL;
}
