/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Logs, statistics and verification: ::kmem_log, ::kmalog, ::kmastat, ::kmem_verify. */
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

struct wh_err *wh_dcmd_kmalog(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	const char *var;
	struct wh_kmem_log log;
	wh_log_vec v = {0};
	struct wh_err *e;
	char sym[256];

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
		uint64_t delta = (uint64_t)(v.v[0].timestamp - v.v[i].timestamp);
		const struct wh_kmem_cache *k;

		if (!wh_audit_read(m->kmem, v.v[i].addr, &r))
			continue;
		k = wh_kmem_find_cache(m->kmem, r.cache);
		wh_mdb_text(m, "\nT-%llu.%09llu  addr=%llx  %s\n",
			    (unsigned long long)(delta / 1000000000),
			    (unsigned long long)(delta % 1000000000), (unsigned long long)r.addr,
			    k ? k->name : "?");
		for (uint32_t d = 0; d < r.depth; d++)
			wh_mdb_text(m, "\t %s\n", wh_mdb_symbol(m, r.stack[d], sym, sizeof(sym)));
	}
	WH_VEC_FINI(&v);
	return e;
}

/* ---- kmastat ---- */

struct unit {
	uint64_t divisor;
	const char *suffix;
};

static void amount(char *buf, size_t cap, uint64_t bytes, const struct unit *u)
{
	snprintf(buf, cap, "%llu%s", (unsigned long long)(bytes / u->divisor), u->suffix);
}

static const struct wh_mdb_col stat_cols[] = {
	{"cache", "cache", -25},    {"buf_size", "buf", 6},	     {"buf_in_use", "buf", 6},
	{"buf_total", "buf", 6},    {"memory_in_use", "memory", 11}, {"alloc_succeed", "alloc", 9},
	{"alloc_fail", "alloc", 5},
};

static struct wh_err *stat_row(struct wh_mdb *m, struct wh_kmem_cache *k, const struct unit *u,
			       uint64_t *ret_bytes)
{
	uint64_t bytes = (k->slab_create - k->slab_destroy) * k->slabsize, in_use;
	char buf[32];

	WH_TRY(wh_kmem_walk_free(m->kmem, k));
	in_use = k->buftotal - k->mags.n - k->slab_frees;
	if (in_use > k->buftotal)
		in_use = k->bufs.n;
	amount(buf, sizeof(buf), bytes, u);
	wh_mdb_cell(m, "%s", k->name);
	wh_mdb_cell(m, "%llu", (unsigned long long)k->bufsize);
	wh_mdb_cell(m, "%llu", (unsigned long long)in_use);
	wh_mdb_cell(m, "%llu", (unsigned long long)k->buftotal);
	wh_mdb_cell(m, "%s", buf);
	wh_mdb_cell(m, "%llu",
		    (unsigned long long)(k->slab_alloc + k->depot_alloc + k->cpu_allocs));
	wh_mdb_cell(m, "%llu", (unsigned long long)k->alloc_fail);
	wh_mdb_row(m);
	*ret_bytes += bytes;
	return NULL;
}

unsigned int wh_mdb_arena_depth(const struct wh_kmem *k, const struct wh_vmem *v)
{
	unsigned int depth = 0;

	for (uint64_t at = v->source; at && depth < 16; depth++) {
		uint64_t next = 0;

		for (size_t i = 0; i < k->arenas.n; i++)
			if (k->arenas.v[i].addr == at)
				next = k->arenas.v[i].source;
		at = next;
	}
	return depth;
}

static void stat_arenas(struct wh_mdb *m, const struct unit *u)
{
	static const struct wh_mdb_col cols[] = {
		{"vmem", "vmem", -25},	  {"in_use", "memory", 11},	 {"total", "memory", 11},
		{"import", "memory", 11}, {"alloc_succeed", "alloc", 9}, {"alloc_fail", "alloc", 5},
	};
	struct wh_kmem *k = m->kmem;

	if (!m->json)
		wh_mdb_text(m, "\n%-25s %11s %11s %11s %9s %5s\n%-25s %11s %11s %11s %9s %5s\n",
			    "vmem", "memory", "memory", "memory", "alloc", "alloc", "name",
			    "in use", "total", "import", "succeed", "fail");
	wh_mdb_table(m, "arenas", cols, 6, false);
	for (size_t i = 0; i < k->arenas.n; i++) {
		const struct wh_vmem *v = &k->arenas.v[i];
		char name[128], buf[32];

		snprintf(name, sizeof(name), "%*s%s", (int)(4 * wh_mdb_arena_depth(k, v)), "",
			 v->name);
		wh_mdb_cell(m, "%s", name);
		amount(buf, sizeof(buf), v->inuse, u);
		wh_mdb_cell(m, "%s", buf);
		amount(buf, sizeof(buf), v->total, u);
		wh_mdb_cell(m, "%s", buf);
		amount(buf, sizeof(buf), v->import, u);
		wh_mdb_cell(m, "%s", buf);
		wh_mdb_cell(m, "%llu", (unsigned long long)v->alloc);
		wh_mdb_cell(m, "%llu", (unsigned long long)v->fail);
		wh_mdb_row(m);
	}
}

struct wh_err *wh_dcmd_kmastat(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	static const struct unit units[] = {
		{1, "B"}, {1 << 10, "K"}, {1 << 20, "M"}, {1 << 30, "G"}};
	const struct unit *u = &units[0];
	uint32_t set;
	size_t rest;

	WH_TRY(wh_mdb_need_kmem(m, c));
	WH_TRY(wh_mdb_opts(c, "kmg", "", &set, NULL, &rest));
	u = set & 4 ? &units[3] : set & 2 ? &units[2] : set & 1 ? &units[1] : &units[0];
	wh_mdb_table(m, "kmastat", stat_cols, 7, true);
	if (!m->json)
		wh_mdb_text(m, "%-25s %6s %6s %6s %11s %9s %5s\n%-25s %6s %6s %6s %11s %9s %5s\n",
			    "name", "size", "in use", "total", "in use", "succeed", "fail",
			    "-------------------------", "------", "------", "------",
			    "-----------", "---------", "-----");
	for (size_t a = 0; a <= m->kmem->arenas.n; a++) {
		uint64_t id = a < m->kmem->arenas.n ? m->kmem->arenas.v[a].addr : 0, bytes = 0;
		bool any = false;
		char buf[32];

		for (size_t i = 0; i < m->kmem->caches.n; i++) {
			struct wh_kmem_cache *k = &m->kmem->caches.v[i];

			if (a < m->kmem->arenas.n ? k->arena != id : *k->arena_name != '\0')
				continue;
			any = true;
			WH_TRY(stat_row(m, k, u, &bytes));
		}
		amount(buf, sizeof(buf), bytes, u);
		if (any && !m->json)
			wh_mdb_text(m, "%-25s %6s %6s %6s %11s\n",
				    a < m->kmem->arenas.n ? m->kmem->arenas.v[a].name : "?",
				    "Total", "", "", buf);
	}
	stat_arenas(m, u);
	return NULL;
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
