/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arenas: ::vmem, ::vmem_seg. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "analyzer/cmd/mdb/mdb.h"

#define DEPTH_MAX 16

static size_t arena_at(const struct wh_kmem *k, uint64_t addr)
{
	size_t i = 0;

	while (i < k->arenas.n && k->arenas.v[i].addr != addr)
		i++;
	return i;
}

unsigned int wh_mdb_arena_depth(const struct wh_kmem *k, const struct wh_vmem *v)
{
	unsigned int depth = 0;

	while (v->source && depth < DEPTH_MAX) {
		size_t i = arena_at(k, v->source);

		depth++;
		if (i == k->arenas.n)
			break;
		v = &k->arenas.v[i];
	}
	return depth;
}

/* @parent and all that import from it, those that come first in the list first. */
static void order_from(const struct wh_kmem *k, size_t parent, bool *done, size_t *order, size_t *n,
		       unsigned int depth)
{
	if (done[parent] || depth > DEPTH_MAX)
		return;
	done[parent] = true;
	order[(*n)++] = parent;
	for (size_t i = 0; i < k->arenas.n; i++)
		if (k->arenas.v[i].source == k->arenas.v[parent].addr)
			order_from(k, i, done, order, n, depth + 1);
}

struct wh_err *wh_mdb_arena_order(const struct wh_kmem *k, size_t **ret)
{
	WH_AUTO_FREE bool *done = wh_calloc(k->arenas.n + 1, sizeof(*done));
	size_t n = 0;

	*ret = wh_calloc(k->arenas.n + 1, sizeof(**ret));
	if (!*ret || !done)
		return &wh_err_nomem;
	for (size_t i = 0; i < k->arenas.n; i++)
		if (arena_at(k, k->arenas.v[i].source) == k->arenas.n)
			order_from(k, i, done, *ret, &n, 0);
	/* what imports from itself, in a damaged list */
	for (size_t i = 0; i < k->arenas.n; i++)
		order_from(k, i, done, *ret, &n, 0);
	return NULL;
}

struct wh_err *wh_dcmd_vmem(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	static const struct wh_mdb_col cols[] = {
		{"addr", "ADDR", -WH_MDB_PTR}, {"name", "NAME", -22},	  {"inuse", "INUSE", 10},
		{"total", "TOTAL", 12},	       {"succeed", "SUCCEED", 9}, {"fail", "FAIL", 5},
	};
	WH_AUTO_FREE size_t *order = NULL;
	bool header = c->first;

	WH_TRY(wh_mdb_need_kmem(m, c));
	WH_TRY(wh_mdb_arena_order(m->kmem, &order));
	for (size_t i = 0; i < m->kmem->arenas.n; i++) {
		const struct wh_vmem *v = &m->kmem->arenas.v[order[i]];

		if (c->has_addr && v->addr != c->addr)
			continue;
		if (c->pipe_out) {
			WH_TRY(wh_mdb_yield(c, v->addr));
			continue;
		}
		wh_mdb_table(m, "vmem", cols, 6, header);
		header = false;
		wh_mdb_cell_ptr(m, v->addr, true);
		wh_mdb_cell(m, "%*s%s", (int)(2 * wh_mdb_arena_depth(m->kmem, v)), "", v->name);
		wh_mdb_cell(m, "%llu", (unsigned long long)v->inuse);
		wh_mdb_cell(m, "%llu", (unsigned long long)v->total);
		wh_mdb_cell(m, "%llu", (unsigned long long)v->alloc);
		wh_mdb_cell(m, "%llu", (unsigned long long)v->fail);
		wh_mdb_row(m);
	}
	return NULL;
}

static const char *seg_type(uint8_t type)
{
	switch (type) {
	case WH_VMEM_ALLOC: return "ALLC";
	case WH_VMEM_FREE: return "FREE";
	case WH_VMEM_SPAN: return "SPAN";
	case WH_VMEM_ROTOR: return "ROTR";
	case WH_VMEM_WALKER: return "WLKR";
	default: return "????";
	}
}

static void seg_json(struct wh_mdb *m, const struct wh_vmem_seg *s)
{
	static const struct wh_mdb_col cols[] = {
		{"addr", "", 0}, {"type", "", 0},   {"start", "", 0},	  {"end", "", 0},
		{"size", "", 0}, {"thread", "", 0}, {"timestamp", "", 0}, {"stack", "", 0}};

	wh_mdb_table(m, "vmem_seg", cols, 8, false);
	wh_mdb_cell_ptr(m, s->addr, true);
	wh_mdb_cell(m, "%s", seg_type(s->type));
	wh_mdb_cell_ptr(m, s->start, true);
	wh_mdb_cell_ptr(m, s->end, true);
	wh_mdb_cell(m, "%llu", (unsigned long long)(s->end - s->start));
	wh_mdb_cell_ptr(m, s->thread, true);
	wh_mdb_cell_ptr(m, (uint64_t)s->timestamp, true);
	wh_mdb_cell_stack(m, s->stack, s->depth);
	wh_mdb_row(m);
}

static void seg_verbose_header(struct wh_mdb *m)
{
	if (!m->json)
		wh_mdb_text(m, "%16s %4s %16s %16s %16s\n%16s %4s %16s %16s %16s\n", "ADDR", "TYPE",
			    "START", "END", "SIZE", "", "", "THREAD", "TIMESTAMP", "");
}

struct wh_err *wh_mdb_vmem_seg_verbose(struct wh_mdb *m, uint64_t seg, bool header)
{
	struct wh_vmem_seg s;
	char sym[256];

	if (!wh_vmem_read_seg(m->kmem, seg, &s))
		return wh_err_new(WH_ERR_NOT_FOUND, "no vmem_seg can be read at %llx",
				  (unsigned long long)seg);
	if (m->json) {
		seg_json(m, &s);
		return NULL;
	}
	if (header)
		seg_verbose_header(m);
	wh_mdb_text(m, "%16llx %4s %16llx %16llx %16llu\n", (unsigned long long)seg,
		    seg_type(s.type), (unsigned long long)s.start, (unsigned long long)s.end,
		    (unsigned long long)(s.end - s.start));
	if (s.depth || s.thread || s.timestamp)
		wh_mdb_text(m, "%16s %4s %16llx %16llx\n", "", "", (unsigned long long)s.thread,
			    (unsigned long long)s.timestamp);
	for (size_t i = 0; i < s.depth; i++)
		wh_mdb_text(m, "%21s%s\n", "", wh_mdb_symbol(m, s.stack[i], sym, sizeof(sym)));
	wh_mdb_text(m, "\n");
	return NULL;
}

/* What -c -e -l -m -M -t -T ask for, in this order. */
enum { BY_CALLER, BY_EARLIEST, BY_LATEST, BY_MIN, BY_MAX, BY_THREAD, BY_TYPE, BY_ALL };
struct seg_filter {
	bool by[BY_ALL];
	uint64_t v[BY_ALL];
};

static struct wh_err *seg_filter_parse(struct wh_mdb *m, const char *const *arg,
				       struct seg_filter *f)
{
	static const struct {
		const char *name;
		uint8_t type;
	} types[] = {{"ALLOC", WH_VMEM_ALLOC},
		     {"FREE", WH_VMEM_FREE},
		     {"SPAN", WH_VMEM_SPAN},
		     {"ROTOR", WH_VMEM_ROTOR},
		     {"WALKER", WH_VMEM_WALKER}};

	for (size_t i = 0; i < BY_ALL; i++) {
		f->by[i] = arg[i] != NULL;
		if (arg[i] && i != BY_TYPE)
			WH_TRY(wh_mdb_value(m, arg[i], &f->v[i]));
	}
	if (!f->by[BY_TYPE])
		return NULL;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (!strcasecmp(arg[BY_TYPE], types[i].name)) {
			f->v[BY_TYPE] = types[i].type;
			return NULL;
		}
	return wh_err_new(WH_ERR_USAGE,
			  "vmem_seg: -T wants ALLOC, FREE, SPAN, ROTOR or WALKER, not %s",
			  arg[BY_TYPE]);
}

/* Only segments in use say who made them and when. */
static bool seg_passes(struct wh_mdb *m, const struct seg_filter *f, const struct wh_vmem_seg *s)
{
	uint64_t size = s->end - s->start, time = (uint64_t)s->timestamp;
	bool told = s->type == WH_VMEM_ALLOC && s->depth;

	if ((f->by[BY_TYPE] && s->type != f->v[BY_TYPE]) ||
	    (f->by[BY_MIN] && size < f->v[BY_MIN]) || (f->by[BY_MAX] && size > f->v[BY_MAX]))
		return false;
	if (!told)
		return !f->by[BY_CALLER] && !f->by[BY_THREAD] && !f->by[BY_EARLIEST] &&
		       !f->by[BY_LATEST];
	return (!f->by[BY_THREAD] || s->thread == f->v[BY_THREAD]) &&
	       (!f->by[BY_EARLIEST] || time >= f->v[BY_EARLIEST]) &&
	       (!f->by[BY_LATEST] || time <= f->v[BY_LATEST]) &&
	       (!f->by[BY_CALLER] || wh_mdb_stack_passes(m, s->stack, s->depth, f->v[BY_CALLER]));
}

struct wh_err *wh_dcmd_vmem_seg(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	enum { V = 1, S = 2 };
	static const struct wh_mdb_col cols[2][5] = {{{"addr", "ADDR", -WH_MDB_PTR},
						      {"type", "TYPE", 4},
						      {"start", "START", -WH_MDB_PTR},
						      {"end", "END", -WH_MDB_PTR},
						      {"who", "WHO", -1}},
						     {{"addr", "ADDR", -WH_MDB_PTR},
						      {"type", "TYPE", 4},
						      {"start", "START", -WH_MDB_PTR},
						      {"size", "SIZE", WH_MDB_PTR},
						      {"who", "WHO", -1}}};
	const char *arg[BY_ALL] = {NULL};
	struct seg_filter f;
	struct wh_vmem_seg s;
	char sym[256];
	uint32_t set;
	size_t rest;
	uint64_t pc;

	WH_TRY(wh_mdb_need_kmem(m, c));
	WH_TRY(wh_mdb_need_addr(c));
	WH_TRY(wh_mdb_opts(c, "vs", "celmMtT", &set, arg, &rest));
	WH_TRY(seg_filter_parse(m, arg, &f));
	if (!wh_vmem_read_seg(m->kmem, c->addr, &s))
		return wh_err_new(WH_ERR_NOT_FOUND, "no vmem_seg can be read at %llx",
				  (unsigned long long)c->addr);
	if (c->pipe_out)
		return seg_passes(m, &f, &s) ? wh_mdb_yield(c, c->addr) : NULL;
	/* The header comes even when the first one does not pass. */
	if (!(set & V))
		wh_mdb_table(m, "vmem_seg", cols[(set & S) != 0], 5, c->first);
	else if (c->first)
		seg_verbose_header(m);
	if (!seg_passes(m, &f, &s))
		return NULL;
	if (set & V)
		return wh_mdb_vmem_seg_verbose(m, c->addr, false);
	wh_mdb_cell_ptr(m, c->addr, true);
	wh_mdb_cell(m, "%s", seg_type(s.type));
	wh_mdb_cell_ptr(m, s.start, true);
	if (set & S)
		wh_mdb_cell(m, "%llu", (unsigned long long)(s.end - s.start));
	else
		wh_mdb_cell_ptr(m, s.end, true);
	wh_mdb_cell(m, "%s", wh_mdb_caller(m, s.stack, s.depth, sym, sizeof(sym), &pc));
	wh_mdb_row(m);
	return NULL;
}
