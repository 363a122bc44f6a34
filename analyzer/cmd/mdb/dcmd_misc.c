/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses and the target: ::whatis, ::kgrep, ::trail, ::status, ::help, ::dcmds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/cmd/mdb/mdb.h"

/* ---- ::whatis ---- */

static struct wh_err *whatis_kmem(struct wh_mdb *m, const struct wh_mdb_call *c, bool audit,
				  bool *ret_found)
{
	struct wh_ihit hit;
	char off[32] = " is ";

	if (!m->il || !wh_illumos_find_buf(m->il, c->addr, &hit))
		return NULL;
	*ret_found = true;
	if (c->pipe_out)
		return wh_mdb_yield(c, hit.buf);
	if (c->addr != hit.buf)
		snprintf(off, sizeof(off), " is %llx+%llx, ", (unsigned long long)hit.buf,
			 (unsigned long long)(c->addr - hit.buf));
	audit = audit && hit.ctl && (hit.cache->flags & WH_KMF_AUDIT);
	wh_mdb_text(m, "%llx%s%s %s%s\n", (unsigned long long)c->addr, off,
		    hit.free ? "freed from" : "allocated from", hit.cache->name, audit ? ":" : "");
	return audit ? wh_mdb_bufctl_verbose(m, hit.ctl, true) : NULL;
}

struct wh_err *wh_dcmd_whatis(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	enum { A = 1, V = 2, Q = 4, B = 8 };
	wh_whatis_vec v = {0};
	bool found = false;
	uint32_t set;
	size_t rest;
	struct wh_err *e;

	WH_TRY(wh_mdb_need_addr(c));
	WH_TRY(wh_mdb_opts(c, "avqb", "", &set, NULL, &rest));
	if (!m->il)
		WH_TRY(wh_target_build(m->t));
	e = m->t->ops->whatis ? m->t->ops->whatis(m->t, c->addr, &m->arena, &v) : NULL;
	for (size_t i = 0; !e && i < v.n; i++) {
		/* kmem answers in mdb's own form. */
		if (m->il && !strcmp(v.v[i].kind, "kmem buffer")) {
			e = whatis_kmem(m, c, !(set & Q), &found);
		} else if (c->pipe_out) {
			found = true;
			e = wh_mdb_yield(c, v.v[i].base);
		} else {
			found = true;
			wh_mdb_text(m, "%llx is %s\n", (unsigned long long)c->addr, v.v[i].text);
		}
		if (found && !(set & A))
			break;
	}
	WH_VEC_FINI(&v);
	if (!e && !found && !c->pipe_out)
		wh_mdb_text(m, "%llx is unknown\n", (unsigned long long)c->addr);
	return e;
}

/* ---- ::kgrep ---- */

struct grep {
	struct wh_mdb *m;
	const struct wh_mdb_call *c;
	uint64_t value, mask;
	uint64_t min, max; /* [min, max] of values with -m/-M */
	uint64_t from, to; /* addresses */
	bool ranged, verbose;
	uint64_t shown;
	struct wh_err *e;
};

static bool grep_match(const struct grep *g, uint64_t v)
{
	return g->ranged ? v >= g->min && v <= g->max : (v & g->mask) == (g->value & g->mask);
}

static void grep_hit(struct grep *g, uint64_t addr, uint64_t v)
{
	if (g->c->pipe_out)
		g->e = wh_mdb_yield(g->c, addr);
	else if (g->verbose)
		wh_mdb_text(g->m, "%0*llx: %llx\n", g->m->pw, (unsigned long long)addr,
			    (unsigned long long)v);
	else
		wh_mdb_text(g->m, "%0*llx\n", g->m->pw, (unsigned long long)addr);
}

static bool grep_range(struct grep *g, uint64_t start, uint64_t len)
{
	uint64_t end = start + len;

	start = start < g->from ? g->from : start;
	end = end > g->to ? g->to : end;
	while (start < end && !g->e) {
		size_t n, want = end - start > 1u << 20 ? 1u << 20 : (size_t)(end - start);
		enum wh_mem_state why;
		const uint8_t *p =
			wh_reader_borrow(g->m->t->reader, WH_VIRT, start, want, &n, &why);

		n = n && n < want ? n : want;
		for (size_t i = 0; p && i + g->m->abi.word <= n && !g->e; i += g->m->abi.word) {
			uint64_t v = wh_get_word(g->m->abi, p + i);

			if (grep_match(g, v)) {
				uint64_t at = start + i;

				/* The hit may read; what was borrowed is then gone. */
				grep_hit(g, at, v);
			}
		}
		start += n;
		if (wh_ctx_cancelled(g->m->t->ctx))
			g->e = &wh_err_cancelled;
	}
	return !g->e;
}

static bool grep_page(void *arg, uint64_t va, uint64_t pfn)
{
	struct grep *g = arg;

	(void)pfn;
	return grep_range(g, va, g->m->il->page_size);
}

static struct wh_err *grep_all(struct grep *g)
{
	struct wh_target *t = g->m->t;

	if (g->m->il && t->dump->cls == WH_DUMP_ILLUMOS) {
		wh_illumos_each(t->dump, g->m->il->kas, grep_page, g);
		return g->e;
	}
	if (t->dump->cls == WH_DUMP_PROCESS || g->m->il) {
		for (size_t i = 0; i < t->dump->n_segs && !g->e; i++)
			grep_range(g, t->dump->segs[i].vaddr, t->dump->segs[i].filesz);
		return g->e;
	}
	/* Otherwise what the scan reads: roots and objects, under the addresses that pointers use. */
	WH_TRY(wh_target_build(t));
	for (size_t i = 0; i < t->plan.roots.n && !g->e; i++)
		if (t->plan.roots.v[i].space == WH_VIRT)
			grep_range(g, t->plan.roots.v[i].addr, t->plan.roots.v[i].len);
	for (size_t i = 0; i < t->plan.nodes.n && !g->e; i++)
		grep_range(g, t->plan.nodes.v[i].label, t->plan.nodes.v[i].len);
	return g->e;
}

struct wh_err *wh_dcmd_kgrep(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	const char *arg[6] = {NULL};
	struct grep g = {.m = m,
			 .c = c,
			 .value = c->addr,
			 .mask = UINT64_MAX,
			 .max = UINT64_MAX,
			 .to = UINT64_MAX};
	uint64_t v;
	uint32_t set;
	size_t rest;

	WH_TRY(wh_mdb_opts(c, "v", "aAdmMs", &set, arg, &rest));
	g.verbose = set & 1;
	for (size_t i = 0; i < 6; i++) {
		if (!arg[i])
			continue;
		WH_TRY(wh_mdb_value(m, arg[i], &v));
		switch (i) {
		case 0: g.from = v; break;
		case 1: g.to = v; break;
		case 2:
			g.ranged = true;
			g.min = c->addr - v;
			g.max = c->addr + v;
			break;
		case 3:
			g.ranged = true;
			g.min = v;
			break;
		case 4:
			g.ranged = true;
			g.max = v;
			break;
		default: break; /* -s: only words of the target's size are searched */
		}
	}
	if (!g.ranged)
		WH_TRY(wh_mdb_need_addr(c));
	return grep_all(&g);
}

/* ---- ::trail ---- */

static int event_cmp(const void *pa, const void *pb)
{
	const struct wh_event *a = pa, *b = pb;

	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns ? -1 : 1;
	return a->address < b->address ? -1 : a->address > b->address;
}

struct wh_err *wh_dcmd_trail(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	wh_event_vec v = {0};
	struct wh_err *e;
	char sym[256];

	WH_TRY(wh_mdb_need_addr(c));
	if (!m->t->ops->trail)
		return wh_err_new(WH_ERR_UNSUPPORTED,
				  "no history is recorded in this kind of dump");
	e = m->t->ops->trail(m->t, c->addr, &m->arena, &v);
	if (!e && v.n)
		qsort(v.v, v.n, sizeof(*v.v), event_cmp);
	for (size_t i = 0; !e && i < v.n; i++) {
		const struct wh_event *ev = &v.v[i];

		wh_mdb_text(m, "%llu.%09llu %-16s %s %s\n",
			    (unsigned long long)(ev->time_ns / 1000000000),
			    (unsigned long long)(ev->time_ns % 1000000000), ev->source, ev->what,
			    ev->detail ? ev->detail : "");
		for (size_t k = 0; k < ev->n_frames; k++)
			wh_mdb_text(m, "%21s%s\n", "",
				    wh_mdb_symbol(m, ev->frames[k].address, sym, sizeof(sym)));
	}
	WH_VEC_FINI(&v);
	return e;
}

/* ---- ::status, ::help ---- */

struct wh_err *wh_dcmd_status(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	wh_fact_vec v = {0};
	struct wh_err *e = m->t->ops->info ? m->t->ops->info(m->t, &m->arena, &v) : NULL;

	(void)c;
	if (!e)
		wh_mdb_text(m, "debugging %s dump (%u-bit%s)\n", m->t->ops->name, m->abi.word * 8,
			    m->abi.big_endian ? ", big-endian" : "");
	for (size_t i = 0; !e && i < v.n; i++) {
		if (v.v[i].is_number)
			wh_mdb_text(m, "%s: %llu%s%s\n", v.v[i].key,
				    (unsigned long long)v.v[i].number, v.v[i].value ? " " : "",
				    v.v[i].value ? v.v[i].value : "");
		else
			wh_mdb_text(m, "%s: %s\n", v.v[i].key, v.v[i].value);
	}
	WH_VEC_FINI(&v);
	return e;
}

struct wh_err *wh_dcmd_dcmds(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	static const struct wh_mdb_col cols[] = {{"name", "DCMD", -16}, {"help", "", -1}};

	wh_mdb_table(m, "dcmds", cols, 2, false);
	for (size_t i = 0; wh_mdb_dcmds[i].name; i++) {
		wh_mdb_cell(m, "%s", wh_mdb_dcmds[i].name);
		wh_mdb_cell(m, "%s", wh_mdb_dcmds[i].help);
		wh_mdb_row(m);
	}
	(void)c;
	return NULL;
}

struct wh_err *wh_dcmd_help(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	const struct wh_mdb_dcmd *d;

	if (!c->argc) {
		wh_mdb_text(
			m, "Each command is [ADDR]::DCMD [OPTIONS]; dcmds are joined with |, and ! "
			   "pipes into a shell command.\n"
			   "  ::dcmds        list the dcmds\n"
			   "  ::walkers      list the walkers, for ADDR::walk NAME\n"
			   "  ::help DCMD    explain one\n"
			   "  $q             leave\n");
		return NULL;
	}
	d = wh_mdb_find_dcmd(c->argv[0]);
	if (!d)
		return wh_err_new(WH_ERR_NOT_FOUND, "unknown dcmd: %s", c->argv[0]);
	wh_mdb_text(m, "%s - %s\n\n  %s::%s %s\n", d->name, d->help,
		    *d->usage == ':'   ? "ADDR"
		    : *d->usage == '?' ? "[ADDR]"
				       : "",
		    d->name, d->usage + (*d->usage == ':' || *d->usage == '?'));
	return NULL;
}

struct wh_err *wh_dcmd_quit(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	(void)c;
	m->quit = true;
	return NULL;
}
