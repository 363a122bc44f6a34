/* SPDX-License-Identifier: GPL-2.0-or-later */
/* STREAMS: ::strftevent, ::mblk, ::mblk2dblk, ::mblk_verify. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/cmd/mdb/mdb.h"

static struct wh_err *need_streams(const struct wh_mdb *m, const struct wh_mdb_call *c)
{
	if (!m->il || !m->il->streams.have)
		return wh_err_new(WH_ERR_UNSUPPORTED, "%s: this dump has no STREAMS", c->name);
	return wh_mdb_need_addr(c);
}

/* ---- ::strftevent ---- */

static void event_stack(struct wh_mdb *m, const struct wh_ft_event *ev, uint64_t *pc, uint32_t *n,
			char *first, size_t cap)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;
	char sym[256];

	if (!ev->stk) {
		snprintf(first, cap, "--");
	} else if (!wh_ft_stack_read(&m->il->streams, ev, pc, n) || !*n) {
		snprintf(first, cap, "?");
	} else if (m->json) {
		for (uint32_t i = 0; i < *n; i++)
			wh_strbuf_printf(&sb, "%s%s", i ? " " : "",
					 wh_mdb_symbol(m, pc[i], sym, sizeof(sym)));
		snprintf(first, cap, "%s", wh_strbuf_str(&sb));
	} else {
		wh_mdb_symbol(m, pc[0], first, cap);
	}
	wh_strbuf_fini(&sb);
}

struct wh_err *wh_dcmd_strftevent(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	static const struct wh_mdb_col cols[] = {
		{"addr", "ADDR", WH_MDB_PTR}, {"caller", "Q/CALLER", -18}, {"qnext", "QNEXT", -9},
		{"stack", "STACK", -18},      {"data", "DATA", 4},	   {"event", "EVENT", -1},
	};
	struct wh_ft_event ev;
	uint64_t pc[WH_FT_DEPTH];
	uint32_t n = 0;
	char name[32], from[256], to[10] = "--", first[1024], sym[256];

	WH_TRY(need_streams(m, c));
	if (!wh_ft_event_read(&m->il->streams, c->addr, &ev))
		return wh_err_new(WH_ERR_NOT_FOUND, "no flow trace event can be read at %llx",
				  (unsigned long long)c->addr);
	if (c->pipe_out)
		return wh_mdb_yield(c, c->addr);
	if (wh_ft_is_queue(ev.code))
		wh_ft_module_name(&m->il->streams, ev.mid, from);
	else
		wh_mdb_symbol(m, ev.mid, from, sizeof(from));
	if ((ev.code & WH_FT_CODE) == WH_FT_PUTNEXT && m->il->streams.with_stacks)
		wh_ft_module_name(&m->il->streams, ev.midnext, to);
	event_stack(m, &ev, pc, &n, first, sizeof(first));
	wh_ft_event_name(ev.code, name, sizeof(name));
	wh_mdb_table(m, "strftevent", cols, 6, c->first);
	wh_mdb_cell_ptr(m, ev.addr, false);
	wh_mdb_cell(m, "%s", from);
	wh_mdb_cell(m, "%s", to);
	wh_mdb_cell(m, "%s", first);
	wh_mdb_cell(m, "%x", ev.data);
	wh_mdb_cell(m, "%s", name);
	wh_mdb_row(m);
	for (uint32_t i = 1; i < n && !m->json; i++)
		wh_mdb_text(m, "%*s %-18s %-9s %s\n", m->pw, "", "", "",
			    wh_mdb_symbol(m, pc[i], sym, sizeof(sym)));
	return NULL;
}

/* ---- ::mblk ---- */

static const char *const flag_names[] = {"MSGMARK",    "MSGNOLOOP",   "MSGDELIM",
					 "MSG_unused", "MSGMARKNEXT", "MSGNOTMARKNEXT"};

static struct wh_err *flag_value(struct wh_mdb *m, const char *text, uint64_t *ret)
{
	for (size_t i = 0; i < 6; i++)
		if (!strcmp(flag_names[i], text)) {
			*ret = 1ull << i;
			return NULL;
		}
	return wh_mdb_value(m, text, ret);
}

static struct wh_err *type_value(struct wh_mdb *m, const char *text, uint64_t *ret)
{
	uint8_t type;

	if (!strncmp(text, "M_", 2))
		text += 2;
	if (wh_mblk_type_find(text, &type)) {
		*ret = type;
		return NULL;
	}
	return wh_mdb_value(m, text, ret);
}

enum { MB_F, MB_NF, MB_T, MB_NT, MB_L, MB_LESS, MB_G, MB_B, MB_D, MB_ARGS };
#define MB_LETTERS "fFtTlLGbd"

/* False: the message does not pass the filters. */
static struct wh_err *mblk_passes(struct wh_mdb *m, const char *const *arg, const struct wh_mblk *b,
				  const struct wh_dblk *d, bool *ret)
{
	uint64_t len = b->wptr - b->rptr, v = 0;

	*ret = true;
	for (size_t i = 0; i < MB_ARGS; i++) {
		bool ok = true;

		if (!arg[i])
			continue;
		if (i == MB_F || i == MB_NF)
			WH_TRY(flag_value(m, arg[i], &v));
		else if (i == MB_T || i == MB_NT)
			WH_TRY(type_value(m, arg[i], &v));
		else
			WH_TRY(wh_mdb_value(m, arg[i], &v));
		switch (i) {
		case MB_F: ok = b->flag & v; break;
		case MB_NF: ok = !(b->flag & v); break;
		case MB_T: ok = d->type == v; break;
		case MB_NT: ok = d->type != v; break;
		case MB_L: ok = len == v; break;
		case MB_LESS: ok = len < v; break;
		case MB_G: ok = len > v; break;
		case MB_B: ok = d->lim - d->base == v; break;
		default: ok = b->datap == v; break;
		}
		*ret = *ret && ok;
	}
	return NULL;
}

static void mblk_row(struct wh_mdb *m, const struct wh_mdb_call *c, const struct wh_mblk *b,
		     const struct wh_dblk *d, bool verbose)
{
	static const struct wh_mdb_col cols[] = {
		{"addr", "ADDR", -WH_MDB_PTR}, {"flags", "FL", 2},
		{"type", "TYPE", -7},	       {"len", "LEN", -5},
		{"blen", "BLEN", -5},	       {"rptr", "RPTR", -WH_MDB_PTR},
		{"dblk", "DBLK", -WH_MDB_PTR},
	};
	const char *type = wh_mblk_type_name(d->type);

	wh_mdb_table(m, "mblk", cols, 7, c->first);
	wh_mdb_cell_ptr(m, b->addr, true);
	wh_mdb_cell(m, "%x", b->flag);
	if (type)
		wh_mdb_cell(m, "%s", type);
	else
		wh_mdb_cell(m, "%x", d->type);
	wh_mdb_cell(m, "%lld", (long long)(b->wptr - b->rptr));
	wh_mdb_cell(m, "%lld", (long long)(d->lim - d->base));
	wh_mdb_cell_ptr(m, b->rptr, true);
	wh_mdb_cell_ptr(m, b->datap, true);
	wh_mdb_row(m);
	for (size_t i = 0; verbose && !m->json && i < 6; i++)
		if (b->flag & 1u << i)
			wh_mdb_text(m, "%*s|\n%*s+-->  %s\n", m->pw + 2, "", m->pw + 2, "",
				    flag_names[i]);
}

struct wh_err *wh_dcmd_mblk(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	enum { Q = 1, V = 2 };
	const char *arg[MB_ARGS] = {NULL};
	struct wh_mblk b;
	struct wh_dblk d = {0};
	bool filters = false, ok;
	uint32_t set;
	size_t rest;

	WH_TRY(need_streams(m, c));
	WH_TRY(wh_mdb_opts(c, "qv", MB_LETTERS, &set, arg, &rest));
	if (!wh_mblk_read(&m->il->streams, c->addr, &b))
		return wh_err_new(WH_ERR_NOT_FOUND, "no mblk can be read at %llx",
				  (unsigned long long)c->addr);
	if (!wh_dblk_read(&m->il->streams, b.datap, &d))
		return wh_err_new(WH_ERR_NOT_FOUND, "mblk %llx: no dblk can be read at %llx",
				  (unsigned long long)c->addr, (unsigned long long)b.datap);
	for (size_t i = 0; i < MB_ARGS; i++)
		filters |= arg[i] != NULL;
	WH_TRY(mblk_passes(m, arg, &b, &d, &ok));
	if (!ok)
		return NULL;
	if (c->pipe_out)
		return wh_mdb_yield(c, c->addr);
	if (filters || (set & Q))
		wh_mdb_text(m, "%0*llx\n", m->pw, (unsigned long long)c->addr);
	else
		mblk_row(m, c, &b, &d, set & V);
	return NULL;
}

struct wh_err *wh_dcmd_mblk2dblk(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	struct wh_mblk b;

	WH_TRY(need_streams(m, c));
	if (!wh_mblk_read(&m->il->streams, c->addr, &b))
		return wh_err_new(WH_ERR_NOT_FOUND, "no mblk can be read at %llx",
				  (unsigned long long)c->addr);
	if (c->pipe_out)
		return wh_mdb_yield(c, b.datap);
	wh_mdb_text(m, "%0*llx\n", m->pw, (unsigned long long)b.datap);
	return NULL;
}

static void verify_one(struct wh_mdb *m, uint64_t addr)
{
	struct wh_mblk b;
	struct wh_dblk d;
	bool r, w;

	if (!wh_mblk_read(&m->il->streams, addr, &b))
		return;
	if (!wh_dblk_read(&m->il->streams, b.datap, &d)) {
		wh_mdb_text(m, "%0*llx: invalid b_datap pointer\n", m->pw,
			    (unsigned long long)addr);
		return;
	}
	r = b.rptr < d.base || b.rptr > d.lim;
	w = b.wptr < d.base || b.wptr > d.lim;
	if (r || w)
		wh_mdb_text(m, "%0*llx: %s%s%s\n", m->pw, (unsigned long long)addr,
			    r ? "b_rptr out of range" : "", r && w ? ", " : "",
			    w ? "b_wptr out of range" : "");
}

struct wh_err *wh_dcmd_mblk_verify(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	struct wh_kmem_cache *k;

	if (!m->il || !m->il->streams.have)
		return wh_err_new(WH_ERR_UNSUPPORTED, "%s: this dump has no STREAMS", c->name);
	if (c->has_addr) {
		verify_one(m, c->addr);
		return NULL;
	}
	k = wh_kmem_find_cache_name(m->kmem, "streams_mblk");
	if (!k)
		return NULL;
	WH_TRY(wh_kmem_walk(m->kmem, k));
	for (size_t i = 0; i < k->bufs.n; i++)
		verify_one(m, k->bufs.v[i].addr);
	return NULL;
}
