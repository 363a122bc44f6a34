/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/hashmap.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/order.h"
#include "analyzer/cmd/mdb/mdb.h"
#include "analyzer/target/linux.h"

static struct wh_err *want_addr(bool has, const char *what)
{
	return has ? NULL : wh_err_new(WH_ERR_USAGE, "this walker wants the address of a %s", what);
}

/* ---- kmem ---- */

static struct wh_err *cache_bufs(struct wh_mdb *m, struct wh_kmem_cache *c, bool ctl,
				 wh_addr_vec *ret)
{
	WH_TRY(wh_kmem_walk(m->kmem, c));
	for (size_t i = 0; i < c->bufs.n; i++) {
		if (ctl && !c->bufs.v[i].ctl)
			continue;
		WH_TRY(WH_VEC_PUSH(ret, ctl ? c->bufs.v[i].ctl : c->bufs.v[i].addr));
	}
	return NULL;
}

static struct wh_err *each_cache(struct wh_mdb *m, bool has, uint64_t addr, bool ctl,
				 wh_addr_vec *ret)
{
	struct wh_kmem_cache *c;

	if (has) {
		c = wh_kmem_find_cache(m->kmem, addr);
		return c ? cache_bufs(m, c, ctl, ret)
			 : wh_err_new(WH_ERR_NOT_FOUND, "%llx is not a cache",
				      (unsigned long long)addr);
	}
	for (size_t i = 0; i < m->kmem->caches.n; i++)
		if (!ctl || (m->kmem->caches.v[i].flags & WH_KMF_AUDIT))
			WH_TRY(cache_bufs(m, &m->kmem->caches.v[i], ctl, ret));
	return NULL;
}

static struct wh_err *walk_kmem(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	return each_cache(m, has, addr, false, ret);
}

static struct wh_err *walk_bufctl(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	return each_cache(m, has, addr, true, ret);
}

/* Magazine contents and the free lists of slabs. */
static struct wh_err *walk_freemem(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	for (size_t i = 0; i < m->kmem->caches.n; i++) {
		struct wh_kmem_cache *c = &m->kmem->caches.v[i];
		size_t from = ret->n;

		if (has && c->addr != addr)
			continue;
		WH_TRY(wh_kmem_walk_free(m->kmem, c));
		for (size_t k = 0; k < c->mags.n; k++)
			WH_TRY(WH_VEC_PUSH(ret, c->mags.v[k]));
		for (size_t k = 0; k < c->free.n; k++)
			WH_TRY(WH_VEC_PUSH(ret, c->free.v[k].addr));
		if (ret->n > from)
			qsort(ret->v + from, ret->n - from, sizeof(*ret->v), wh_cmp_u64);
	}
	return NULL;
}

static struct wh_err *walk_caches(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	(void)has, (void)addr;
	for (size_t i = 0; i < m->kmem->caches.n; i++)
		WH_TRY(WH_VEC_PUSH(ret, m->kmem->caches.v[i].addr));
	return NULL;
}

static struct wh_err *walk_history(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	struct wh_audit r, next;

	WH_TRY(want_addr(has, "bufctl"));
	if (!wh_audit_read(m->kmem, addr, &r))
		return wh_err_new(WH_ERR_NOT_FOUND, "no bufctl can be read at %llx",
				  (unsigned long long)addr);
	/* The record itself is left out when its newest copy in the log is the same. */
	if (!wh_audit_read(m->kmem, r.lastlog, &next) || next.addr != r.addr ||
	    next.cache != r.cache || next.slab != r.slab || next.timestamp != r.timestamp ||
	    next.thread != r.thread)
		WH_TRY(WH_VEC_PUSH(ret, addr));
	else
		WH_TRY(WH_VEC_PUSH(ret, r.lastlog));
	for (bool first = true; ret->n < 1u << 20 && wh_audit_previous(m->kmem, &r, first, &next);
	     first = false) {
		WH_TRY(WH_VEC_PUSH(ret, next.ctl));
		r = next;
	}
	return NULL;
}

static struct wh_err *walk_log(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	struct wh_kmem_log log;
	wh_log_vec v = {0};
	struct wh_err *e;

	if (has ? !wh_kmem_log_read(m->kmem, addr, &log)
		: !wh_kmem_log_open(m->kmem, m->kmem->flavour->transaction_log, &log))
		return wh_err_new(WH_ERR_NOT_FOUND, "there is no such log in this dump");
	e = wh_kmem_log_list(m->kmem, &log, &v);
	for (size_t i = 0; !e && i < v.n; i++)
		e = WH_VEC_PUSH(ret, v.v[i].addr);
	WH_VEC_FINI(&v);
	return e;
}

/* ---- leaks ---- */

static struct wh_err *walk_leak(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	return wh_mdb_leaks_walk(m, has, addr, /* bufs= */ false, ret);
}

static struct wh_err *walk_leakbuf(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	return wh_mdb_leaks_walk(m, has, addr, /* bufs= */ true, ret);
}

/* ---- vmem ---- */

static struct wh_err *walk_vmem(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	WH_AUTO_FREE size_t *order = NULL;

	(void)has, (void)addr;
	WH_TRY(wh_mdb_arena_order(m->kmem, &order));
	for (size_t i = 0; i < m->kmem->arenas.n; i++)
		WH_TRY(WH_VEC_PUSH(ret, m->kmem->arenas.v[order[i]].addr));
	return NULL;
}

struct seg_walk {
	wh_addr_vec *ret;
	uint8_t type; /* 0: all */
};

static struct wh_err *seg_add(void *arg, const struct wh_vmem_seg *s)
{
	struct seg_walk *w = arg;

	return w->type && s->type != w->type ? NULL : WH_VEC_PUSH(w->ret, s->addr);
}

static struct wh_err *walk_segs(struct wh_mdb *m, bool has, uint64_t addr, uint8_t type,
				wh_addr_vec *ret)
{
	struct seg_walk w = {ret, type};

	WH_TRY(want_addr(has, "vmem arena"));
	for (size_t i = 0; i < m->kmem->arenas.n; i++)
		if (m->kmem->arenas.v[i].addr == addr)
			return wh_vmem_each_seg(m->kmem, &m->kmem->arenas.v[i], seg_add, &w);
	return wh_err_new(WH_ERR_NOT_FOUND, "%llx is not a vmem arena", (unsigned long long)addr);
}

static struct wh_err *walk_vmem_seg(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	return walk_segs(m, has, addr, 0, ret);
}

static struct wh_err *walk_vmem_alloc(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	return walk_segs(m, has, addr, WH_VMEM_ALLOC, ret);
}

static struct wh_err *walk_vmem_free(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	return walk_segs(m, has, addr, WH_VMEM_FREE, ret);
}

static struct wh_err *walk_vmem_span(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	return walk_segs(m, has, addr, WH_VMEM_SPAN, ret);
}

/* ---- STREAMS ---- */

static struct wh_err *walk_strftblk(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	struct wh_ft_trace t;
	struct wh_err *e = NULL;

	WH_TRY(want_addr(has, "dblk"));
	WH_TRY(wh_ft_trace_read(&m->il->streams, addr, &t));
	for (size_t i = 0; !e && i < t.events.n; i++)
		e = WH_VEC_PUSH(ret, t.events.v[i].addr);
	if (!e && t.check == WH_FT_BROKEN)
		wh_diag_add(m->t->ctx->diags, WH_DIAG_WARN, "flow-trace-broken", t.broken_at,
			    "the flow trace of dblk %llx breaks at ftblk %llx after %zu events: %s",
			    (unsigned long long)addr, (unsigned long long)t.broken_at, t.events.n,
			    t.why);
	wh_ft_trace_fini(&t);
	return e;
}

static struct wh_err *walk_messages(struct wh_mdb *m, bool has, uint64_t addr, bool cont,
				    wh_addr_vec *ret)
{
	struct wh_map seen = WH_MAP_INIT;
	struct wh_err *e = want_addr(has, "mblk");
	struct wh_mblk b;
	bool fresh = true;

	while (!e && addr) {
		e = wh_map_set(&seen, addr, 1, &fresh);
		if (e || !fresh || !wh_mblk_read(&m->il->streams, addr, &b))
			break;
		e = WH_VEC_PUSH(ret, addr);
		addr = cont ? b.cont : b.next;
	}
	wh_map_fini(&seen);
	return e;
}

static struct wh_err *walk_b_cont(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	return walk_messages(m, has, addr, true, ret);
}

static struct wh_err *walk_b_next(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	return walk_messages(m, has, addr, false, ret);
}

/* ---- kernel ---- */

static struct wh_err *walk_modctl(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	(void)has, (void)addr;
	for (size_t i = 0; i < m->il->modules.n; i++)
		WH_TRY(WH_VEC_PUSH(ret, m->il->modules.v[i].ctl));
	return NULL;
}

static struct wh_err *walk_thread(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	(void)has, (void)addr;
	for (size_t i = 0; i < m->il->threads.n; i++)
		WH_TRY(WH_VEC_PUSH(ret, m->il->threads.v[i].addr));
	return NULL;
}

static struct wh_err *walk_cpu(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	uint64_t array, cpu;

	(void)has, (void)addr;
	if (!wh_mdb_find_symbol(m, "cpu", &array))
		return wh_err_new(WH_ERR_NOT_FOUND, "no symbol cpu");
	for (uint64_t i = 0; i < m->kmem->ncpus; i++)
		if (wh_read_word(m->t->reader, array + i * m->abi.word, &cpu) && cpu)
			WH_TRY(WH_VEC_PUSH(ret, cpu));
	return NULL;
}

/* ---- any target ---- */

/* Objects in use of one cache (address or, by name, as a walker of its own) or of all. */
static struct wh_err *walk_slab(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	const struct wh_buftab *t;

	WH_TRY(wh_target_build(m->t));
	t = m->t->buftab;
	for (uint32_t row = 0; row < wh_buftab_count(t); row++)
		if (wh_buftab_state(t, row) == WH_BUF_ALLOCATED &&
		    (!has || wh_buftab_class(t, wh_buftab_class_of(t, row))->id == addr))
			WH_TRY(WH_VEC_PUSH(ret, wh_buftab_addr(t, row)));
	return NULL;
}

static const struct wh_lx *linux_of(const struct wh_mdb *m)
{
	return m->t->priv;
}

static struct wh_err *walk_task(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	const struct wh_lx *x = linux_of(m);

	(void)has, (void)addr;
	WH_TRY(wh_target_build(m->t));
	for (size_t i = 0; i < x->tasks.n; i++)
		WH_TRY(WH_VEC_PUSH(ret, x->tasks.v[i].addr));
	return NULL;
}

static struct wh_err *walk_module(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	const struct wh_knames *n = linux_of(m)->names;

	(void)has, (void)addr;
	for (size_t i = 0; i < n->n_modules; i++)
		WH_TRY(WH_VEC_PUSH(ret, n->modules[i].addr));
	return NULL;
}

/* The caches that have rows: struct kmem_cache. */
static struct wh_err *walk_slab_cache(struct wh_mdb *m, bool has, uint64_t addr, wh_addr_vec *ret)
{
	(void)has, (void)addr;
	WH_TRY(wh_target_build(m->t));
	for (uint16_t c = 0; c < wh_buftab_class_count(m->t->buftab); c++)
		if (wh_buftab_class(m->t->buftab, c)->id)
			WH_TRY(WH_VEC_PUSH(ret, wh_buftab_class(m->t->buftab, c)->id));
	return NULL;
}

const struct wh_mdb_walker wh_mdb_walkers[] = {
	{"b_cont", "mblks along b_cont", walk_b_cont, "k"},
	{"b_next", "mblks along b_next", walk_b_next, "k"},
	{"bufctl", "bufctls of buffers in use (of a cache)", walk_bufctl, "ku"},
	{"bufctl_history", "records of one buffer, newest first", walk_history, "ku"},
	{"cpu", "cpu structures", walk_cpu, "k"},
	{"freemem", "free buffers (of a cache)", walk_freemem, "ku"},
	{"kmem", "buffers in use (of a cache)", walk_kmem, "k"},
	{"kmem_cache", "caches", walk_caches, "k"},
	{"kmem_log", "records of a log (the transaction log), newest first", walk_log, "k"},
	{"leak", "bufctls or segments of leaks (of a group)", walk_leak, "*"},
	{"leakbuf", "buffers of leaks (of a group)", walk_leakbuf, "*"},
	{"modctl", "modules", walk_modctl, "k"},
	{"module", "modules: struct module", walk_module, "l"},
	{"slab", "objects in use (of a cache)", walk_slab, "*"},
	{"slab_cache", "caches: struct kmem_cache", walk_slab_cache, "l"},
	{"strftblk", "events of the flow trace of a dblk", walk_strftblk, "k"},
	{"task", "tasks: task_struct", walk_task, "l"},
	{"thread", "kernel threads", walk_thread, "k"},
	{"umem", "buffers in use (of a cache)", walk_kmem, "u"},
	{"umem_cache", "caches", walk_caches, "u"},
	{"umem_log", "records of a log (the transaction log), newest first", walk_log, "u"},
	{"vmem", "vmem arenas", walk_vmem, "ku"},
	{"vmem_alloc", "allocated segments of an arena", walk_vmem_alloc, "ku"},
	{"vmem_free", "free segments of an arena", walk_vmem_free, "ku"},
	{"vmem_seg", "all segments of an arena", walk_vmem_seg, "ku"},
	{"vmem_span", "spans of an arena", walk_vmem_span, "ku"},
	{NULL, NULL, NULL, NULL},
};

/* The class with this name; the walk then yields its rows. */
static struct wh_err *walk_class(struct wh_mdb *m, const char *name, wh_addr_vec *ret, bool *found)
{
	const struct wh_buftab *t;

	WH_TRY(wh_target_build(m->t));
	t = m->t->buftab;
	for (uint16_t c = 0; c < wh_buftab_class_count(t); c++)
		if (!strcmp(wh_buftab_class(t, c)->name, name)) {
			*found = true;
			return walk_slab(m, true, wh_buftab_class(t, c)->id, ret);
		}
	return NULL;
}

struct wh_err *wh_mdb_walk(struct wh_mdb *m, const char *name, bool has_addr, uint64_t addr,
			   wh_addr_vec *ret)
{
	struct wh_kmem_cache *c;
	bool found = false;

	for (size_t i = 0; wh_mdb_walkers[i].name; i++)
		if (!strcmp(wh_mdb_walkers[i].name, name) &&
		    wh_mdb_suits(m, wh_mdb_walkers[i].targets))
			return wh_mdb_walkers[i].fn(m, has_addr, addr, ret);
	c = m->kmem ? wh_kmem_find_cache_name(m->kmem, name) : NULL;
	if (c)
		return cache_bufs(m, c, false, ret);
	WH_TRY(walk_class(m, name, ret, &found));
	return found ? NULL
		     : wh_err_new(
			       WH_ERR_NOT_FOUND,
			       "unknown walk name: %s (::walkers lists them; names of caches are "
			       "walkers too)",
			       name);
}

struct wh_err *wh_dcmd_walk(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	wh_addr_vec v = {0};
	struct wh_err *e;

	if (c->argc < 1)
		return wh_err_new(WH_ERR_USAGE, "walk wants the name of a walker (::walkers)");
	e = wh_mdb_walk(m, c->argv[0], c->has_addr, c->addr, &v);
	for (size_t i = 0; !e && i < v.n; i++) {
		if (c->pipe_out)
			e = wh_mdb_yield(c, v.v[i]);
		else
			wh_mdb_text(m, "%0*llx\n", m->pw, (unsigned long long)v.v[i]);
	}
	WH_VEC_FINI(&v);
	return e;
}

struct wh_err *wh_dcmd_walkers(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	static const struct wh_mdb_col cols[] = {{"name", "NAME", -16}, {"help", "YIELDS", -1}};

	wh_mdb_table(m, "walkers", cols, 2, c->first);
	for (size_t i = 0; wh_mdb_walkers[i].name; i++)
		if (wh_mdb_suits(m, wh_mdb_walkers[i].targets)) {
			wh_mdb_cell(m, "%s", wh_mdb_walkers[i].name);
			wh_mdb_cell(m, "%s", wh_mdb_walkers[i].help);
			wh_mdb_row(m);
		}
	return NULL;
}
