/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses and the target: ::whatis, ::kgrep, ::trail, ::status, ::help, ::dcmds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/cmd/mdb/mdb.h"

/* ---- ::whatis ---- */

enum { WHATIS_ALL = 1, WHATIS_QUIET = 4, WHATIS_BUFCTL = 8, WHATIS_ID = 16 };

static void whatis_json(struct wh_mdb *m, uint64_t addr, const struct wh_whatis *w,
			const struct wh_kmem_hit *hit)
{
	static const struct wh_mdb_col cols[] = {
		{"address", "", 0}, {"kind", "", 0}, {"base", "", 0},  {"offset", "", 0},
		{"size", "", 0},    {"what", "", 0}, {"cache", "", 0}, {"bufctl", "", 0}};

	wh_mdb_table(m, "whatis", cols, 8, false);
	wh_mdb_cell_ptr(m, addr, true);
	wh_mdb_cell(m, "%s", w->kind);
	wh_mdb_cell_ptr(m, w->base, true);
	wh_mdb_cell(m, "%llu", (unsigned long long)(addr - w->base));
	wh_mdb_cell(m, "%llu", (unsigned long long)w->size);
	wh_mdb_cell(m, "%s", w->text);
	wh_mdb_cell(m, "%s", hit ? hit->cache->name : "");
	if (hit && hit->ctl)
		wh_mdb_cell_ptr(m, hit->ctl, true);
	else
		wh_mdb_cell(m, "%s", "");
	wh_mdb_row(m);
}

static struct wh_err *whatis_kmem(struct wh_mdb *m, const struct wh_mdb_call *c, uint32_t set,
				  const struct wh_whatis *w, bool *ret_found)
{
	struct wh_kmem_hit hit;
	bool audit;

	if (!m->kmem || !wh_kmem_find_hit(m->kmem, c->addr, &hit))
		return NULL;
	*ret_found = true;
	if (c->pipe_out)
		return wh_mdb_yield(c, (set & WHATIS_BUFCTL) && hit.ctl ? hit.ctl : hit.buf);
	audit = !(set & WHATIS_QUIET) && hit.ctl && (hit.cache->flags & WH_KMF_AUDIT);
	if (m->json) {
		whatis_json(m, c->addr, w, &hit);
		return audit ? wh_mdb_bufctl_verbose(m, hit.ctl, true) : NULL;
	}
	wh_mdb_text(m, "%llx is ", (unsigned long long)c->addr);
	if (c->addr != hit.buf)
		wh_mdb_text(m, "%llx+%llx, ", (unsigned long long)hit.buf,
			    (unsigned long long)(c->addr - hit.buf));
	if ((set & WHATIS_BUFCTL) && hit.ctl)
		wh_mdb_text(m, "bufctl %llx ", (unsigned long long)hit.ctl);
	wh_mdb_text(m, "%s %s%s\n", hit.free ? "freed from" : "allocated from", hit.cache->name,
		    audit ? ":" : "");
	return audit ? wh_mdb_bufctl_verbose(m, hit.ctl, true) : NULL;
}

struct wh_err *wh_dcmd_whatis(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	wh_whatis_vec v = {0};
	bool found = false;
	uint32_t set;
	size_t rest;
	struct wh_err *e;

	WH_TRY(wh_mdb_need_addr(c));
	WH_TRY(wh_mdb_opts(c, "avqbik", "", &set, NULL, &rest));
	if (!m->il)
		WH_TRY(wh_target_build(m->t));
	if (set & WHATIS_ID)
		e = m->il ? wh_illumos_whatis_id(m->il, c->addr, &m->arena, &v) : NULL;
	else
		e = m->t->ops->whatis ? m->t->ops->whatis(m->t, wh_plan_untag(&m->t->plan, c->addr),
							  &m->arena, &v)
				      : NULL;
	for (size_t i = 0; !e && i < v.n; i++) {
		/* kmem answers in mdb's own form. */
		if (!strcmp(v.v[i].kind, "kmem buffer") || !strcmp(v.v[i].kind, "umem buffer")) {
			e = whatis_kmem(m, c, set, &v.v[i], &found);
		} else if (c->pipe_out) {
			found = true;
			e = wh_mdb_yield(c, v.v[i].base);
		} else {
			found = true;
			if (m->json)
				whatis_json(m, c->addr, &v.v[i], NULL);
			else
				wh_mdb_text(m, "%llx is %s\n", (unsigned long long)c->addr,
					    v.v[i].text);
		}
		if (found && !(set & WHATIS_ALL))
			break;
	}
	WH_VEC_FINI(&v);
	if (!e && !found && !c->pipe_out && m->json)
		whatis_json(m, c->addr, &(struct wh_whatis){"unknown", "unknown", c->addr, 0},
			    NULL);
	else if (!e && !found && !c->pipe_out)
		wh_mdb_text(m, "%llx is unknown\n", (unsigned long long)c->addr);
	return e;
}

/* ---- ::kgrep ---- */

struct grep {
	struct wh_mdb *m;
	const struct wh_mdb_call *c;
	uint64_t value, mask, dist; /* value..value + dist, or value under mask */
	uint64_t from, to;	    /* addresses */
	size_t size;		    /* [bytes] of a word */
	bool verbose;
	struct wh_err *e;
};

static bool grep_match(const struct grep *g, uint64_t v)
{
	return g->dist ? v - g->value < g->dist : (v & g->mask) == g->value;
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
	start = (start + g->size - 1) & ~(uint64_t)(g->size - 1);
	end = end > g->to ? g->to : end;
	while (start < end && !g->e) {
		size_t n, want = end - start > 1u << 20 ? 1u << 20 : (size_t)(end - start);
		enum wh_mem_state why;
		const uint8_t *p =
			wh_reader_borrow(g->m->t->reader, WH_VIRT, start, want, &n, &why);

		n = n && n < want ? n : want;
		for (size_t i = 0; p && i + g->size <= n && !g->e; i += g->size) {
			uint64_t v = wh_get_uint(g->m->abi, p + i, g->size);

			/* The hit only writes: what was borrowed stays. */
			if (grep_match(g, v))
				grep_hit(g, start + i, v);
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
	enum { MIN_ADDR, MAX_ADDR, DIST, MASK, INVERSE, SIZE, ARGS };
	const char *arg[ARGS] = {NULL};
	uint64_t v[ARGS] = {0, UINT64_MAX, 0, UINT64_MAX, 0, m->abi.word};
	struct grep g = {.m = m, .c = c, .value = c->addr};
	uint32_t set;
	size_t rest;

	WH_TRY(wh_mdb_need_addr(c));
	WH_TRY(wh_mdb_opts(c, "v", "aAdmMs", &set, arg, &rest));
	for (size_t i = 0; i < ARGS; i++)
		if (arg[i])
			WH_TRY(wh_mdb_value(m, arg[i], &v[i]));
	if (v[SIZE] != 1 && v[SIZE] != 2 && v[SIZE] != 4 && v[SIZE] != 8)
		return wh_err_new(WH_ERR_USAGE, "%s: -s wants 1, 2, 4 or 8", c->name);
	if ((arg[DIST] != NULL) + (arg[MASK] != NULL) + (arg[INVERSE] != NULL) > 1)
		return wh_err_new(WH_ERR_USAGE, "%s: one of -d, -m and -M", c->name);
	g.verbose = set & 1;
	g.from = v[MIN_ADDR];
	g.to = v[MAX_ADDR];
	g.dist = v[DIST];
	g.mask = arg[INVERSE] ? ~v[INVERSE] : v[MASK];
	g.size = (size_t)v[SIZE];
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
	if (!e && m->json) {
		struct wh_emit *out = m->run->emit;

		wh_mdb_json_flush(m);
		wh_emit_object(out, NULL, NULL);
		wh_emit_object(out, "status", NULL);
		wh_emit_str(out, "target", NULL, m->t->ops->name);
		wh_emit_u64(out, "bits", NULL, m->abi.word * 8, WH_UNIT_NONE);
		wh_emit_bool(out, "big_endian", NULL, m->abi.big_endian);
		wh_emit_facts(out, &v);
		wh_emit_end(out);
		wh_emit_end(out);
		WH_VEC_FINI(&v);
		return NULL;
	}
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
		if (!wh_mdb_suits(m, wh_mdb_dcmds[i].targets))
			continue;
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
	if (d->options)
		wh_mdb_text(m, "\n%s", d->options);
	return NULL;
}

struct wh_err *wh_dcmd_quit(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	(void)c;
	m->quit = true;
	return NULL;
}
