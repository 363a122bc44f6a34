/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Caches and bufctls: ::bufctl, $<bufctl_audit, ::kmem_cache, ::kmausers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/hashmap.h"
#include "analyzer/cmd/mdb/mdb.h"

bool wh_mdb_interesting(const struct wh_mdb *m, const struct wh_kmem_cache *c)
{
	if (m->il)
		return wh_illumos_interesting(c);
	return !c->lying &&
	       (!strcmp(c->arena_name, "umem_default") || !strcmp(c->arena_name, "umem_firewall"));
}

static bool in_allocator(const struct wh_mdb *m, const struct wh_frame *f)
{
	if (!m->il && f->module && !strncmp(f->module, "libumem.so", 10))
		return true;
	return !strncmp(f->symbol, "kmem_", 5) || !strncmp(f->symbol, "vmem_", 5) ||
	       !strncmp(f->symbol, "umem_", 5);
}

const char *wh_mdb_caller(struct wh_mdb *m, const uint64_t *pc, size_t n, char *buf, size_t cap,
			  uint64_t *ret_pc)
{
	*ret_pc = n ? pc[n - 1] : 0;
	for (size_t i = 0; i < n; i++) {
		struct wh_frame f;

		if (!m->t->ops->symbolize || !m->t->ops->symbolize(m->t, pc[i], &f) || !f.symbol ||
		    in_allocator(m, &f))
			continue;
		*ret_pc = pc[i];
		return wh_mdb_symbol(m, pc[i], buf, cap);
	}
	snprintf(buf, cap, "%s", "");
	return buf;
}

bool wh_mdb_stack_passes(struct wh_mdb *m, const uint64_t *pc, size_t n, uint64_t caller)
{
	for (size_t i = 0; i < n; i++) {
		struct wh_frame f;

		if (pc[i] == caller)
			return true;
		if (m->t->ops->symbolize && m->t->ops->symbolize(m->t, pc[i], &f) && f.symbol &&
		    pc[i] - f.offset == caller)
			return true;
	}
	return false;
}

/* ---- bufctls ---- */

static const struct wh_mdb_col verbose_cols[] = {
	{"addr", "ADDR", 16},	      {"bufaddr", "BUFADDR", 16}, {"timestamp", "TIMESTAMP", 16},
	{"thread", "THREAD", 16},     {"cache", "CACHE", 16},	  {"lastlog", "LASTLOG", 16},
	{"contents", "CONTENTS", 16}, {"stack", "STACK", 1},
};

static void verbose_json(struct wh_mdb *m, const struct wh_audit *r)
{
	wh_mdb_table(m, "bufctl", verbose_cols, 8, false);
	wh_mdb_cell_ptr(m, r->ctl, false);
	wh_mdb_cell_ptr(m, r->addr, false);
	wh_mdb_cell_ptr(m, (uint64_t)r->timestamp, false);
	wh_mdb_cell_ptr(m, r->thread, false);
	wh_mdb_cell_ptr(m, r->cache, false);
	wh_mdb_cell_ptr(m, r->lastlog, false);
	wh_mdb_cell_ptr(m, r->contents, false);
	wh_mdb_cell_stack(m, r->stack, r->depth);
	wh_mdb_row(m);
}

static void verbose_header(struct wh_mdb *m, bool header)
{
	if (header && !m->json)
		wh_mdb_text(m, "%16s %16s %16s %16s\n%16s %16s %16s %16s\n", "ADDR", "BUFADDR",
			    "TIMESTAMP", "THREAD", "", "CACHE", "LASTLOG", "CONTENTS");
}

struct wh_err *wh_mdb_bufctl_verbose(struct wh_mdb *m, uint64_t ctl, bool header)
{
	struct wh_audit r;
	char sym[256];

	if (!wh_audit_read(m->kmem, ctl, &r))
		return wh_err_new(WH_ERR_NOT_FOUND, "no bufctl can be read at %llx",
				  (unsigned long long)ctl);
	if (m->json) {
		verbose_json(m, &r);
		return NULL;
	}
	verbose_header(m, header);
	wh_mdb_text(m, m->il ? "%16llx %16llx %16llx %16llx\n" : "%16llx %16llx %16llx %16lld\n",
		    (unsigned long long)ctl, (unsigned long long)r.addr,
		    (unsigned long long)r.timestamp, (unsigned long long)r.thread);
	wh_mdb_text(m, "%16s %16llx %16llx %16llx\n", "", (unsigned long long)r.cache,
		    (unsigned long long)r.lastlog, (unsigned long long)r.contents);
	for (uint32_t i = 0; i < r.depth; i++)
		wh_mdb_text(m, "%17s%s\n", "", wh_mdb_symbol(m, r.stack[i], sym, sizeof(sym)));
	wh_mdb_text(m, "\n");
	return NULL;
}

/* What -a -c -e -l -t ask for. */
struct filter {
	bool by_addr, by_caller, by_thread, by_earliest, by_latest;
	uint64_t addr, caller, thread, earliest, latest;
};

static struct wh_err *filter_parse(struct wh_mdb *m, const char *const *arg, struct filter *f)
{
	uint64_t *const to[] = {&f->addr, &f->caller, &f->earliest, &f->latest, &f->thread};
	bool *const by[] = {&f->by_addr, &f->by_caller, &f->by_earliest, &f->by_latest,
			    &f->by_thread};

	for (size_t i = 0; i < 5; i++)
		if (arg[i]) {
			WH_TRY(wh_mdb_value(m, arg[i], to[i]));
			*by[i] = true;
		}
	return NULL;
}

static bool filter_passes(struct wh_mdb *m, const struct filter *f, const struct wh_audit *r)
{
	return (!f->by_addr || r->addr == f->addr) && (!f->by_thread || r->thread == f->thread) &&
	       (!f->by_earliest || (uint64_t)r->timestamp >= f->earliest) &&
	       (!f->by_latest || (uint64_t)r->timestamp <= f->latest) &&
	       (!f->by_caller || wh_mdb_stack_passes(m, r->stack, r->depth, f->caller));
}

static struct wh_err *bufctl_one(struct wh_mdb *m, const struct wh_mdb_call *c,
				 const struct filter *f, uint64_t ctl, bool verbose, bool header)
{
	static const struct wh_mdb_col cols[] = {
		{"addr", "ADDR", -WH_MDB_PTR},	 {"bufaddr", "BUFADDR", -WH_MDB_PTR},
		{"timestamp", "TIMESTAMP", -12}, {"thread", "THREAD", -WH_MDB_PTR},
		{"caller", "CALLER", -1},
	};
	struct wh_audit r;
	char sym[256];
	uint64_t pc;

	if (!wh_audit_read(m->kmem, ctl, &r))
		return wh_err_new(WH_ERR_NOT_FOUND, "no bufctl can be read at %llx",
				  (unsigned long long)ctl);
	if (c->pipe_out)
		return filter_passes(m, f, &r) ? wh_mdb_yield(c, ctl) : NULL;
	/* The header comes even when the first one does not pass. */
	if (verbose)
		verbose_header(m, header);
	else
		wh_mdb_table(m, "bufctl", cols, 5, header);
	if (!filter_passes(m, f, &r))
		return NULL;
	if (verbose)
		return wh_mdb_bufctl_verbose(m, ctl, false);
	wh_mdb_cell_ptr(m, ctl, true);
	wh_mdb_cell_ptr(m, r.addr, true);
	wh_mdb_cell(m, "%12llx", (unsigned long long)r.timestamp);
	if (m->il)
		wh_mdb_cell_ptr(m, r.thread, true);
	else
		wh_mdb_cell(m, "%5llu", (unsigned long long)r.thread);
	wh_mdb_cell(m, "%s", wh_mdb_caller(m, r.stack, r.depth, sym, sizeof(sym), &pc));
	wh_mdb_row(m);
	return NULL;
}

struct wh_err *wh_dcmd_bufctl(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	enum { V = 1, H = 2 };
	const char *arg[5] = {NULL};
	struct filter f = {0};
	wh_addr_vec history = {0};
	uint32_t set;
	size_t rest;
	struct wh_err *e = NULL;

	WH_TRY(wh_mdb_need_kmem(m, c));
	WH_TRY(wh_mdb_need_addr(c));
	WH_TRY(wh_mdb_opts(c, "vh", "acelt", &set, arg, &rest));
	WH_TRY(filter_parse(m, arg, &f));
	if (!(set & H))
		return bufctl_one(m, c, &f, c->addr, set & V, c->first);
	e = wh_mdb_walk(m, "bufctl_history", true, c->addr, &history);
	for (size_t i = 0; !e && i < history.n; i++)
		e = bufctl_one(m, c, &f, history.v[i], set & V, c->first && i == 0);
	WH_VEC_FINI(&history);
	return e;
}

struct wh_err *wh_dcmd_bufctl_audit(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	WH_TRY(wh_mdb_need_kmem(m, c));
	WH_TRY(wh_mdb_need_addr(c));
	return wh_mdb_bufctl_verbose(m, c->addr, true);
}

/* ---- caches ---- */

struct wh_err *wh_dcmd_kmem_cache(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	static const struct wh_mdb_col cols[] = {
		{"addr", "ADDR", -WH_MDB_PTR}, {"name", "NAME", -25},	  {"flag", "FLAG", 4},
		{"cflag", "CFLAG", 6},	       {"bufsize", "BUFSIZE", 8}, {"buftotl", "BUFTOTL", 8},
	};
	bool header = c->first;

	WH_TRY(wh_mdb_need_kmem(m, c));
	for (size_t i = 0; i < m->kmem->caches.n; i++) {
		const struct wh_kmem_cache *k = &m->kmem->caches.v[i];

		if ((c->has_addr && k->addr != c->addr) ||
		    (c->argc && !strstr(k->name, c->argv[0])))
			continue;
		if (c->pipe_out) {
			WH_TRY(wh_mdb_yield(c, k->addr));
			continue;
		}
		wh_mdb_table(m, "caches", cols, 6, header);
		header = false;
		wh_mdb_cell_ptr(m, k->addr, true);
		wh_mdb_cell(m, "%s", k->name);
		wh_mdb_cell(m, "%04x", k->flags);
		wh_mdb_cell(m, m->il ? "%06x" : "%08x", k->cflags);
		wh_mdb_cell(m, "%llu", (unsigned long long)k->bufsize);
		wh_mdb_cell(m, "%llu", (unsigned long long)k->buftotal);
		wh_mdb_row(m);
	}
	return NULL;
}

/* ---- kmausers ---- */

struct user {
	uint64_t data, bytes, count;
	uint64_t first; /* bufctl of the first seen */
};
/* Allocations of one size by one stack are one entry: memory grows with the stacks, not with the buffers. */
struct users {
	WH_VEC(struct user) v;
	struct wh_map by_stack; /* hash of size and stack to index */
	bool each;
};

static int user_by_bytes(const void *pa, const void *pb)
{
	const struct user *a = pa, *b = pb;

	if (a->bytes != b->bytes)
		return a->bytes > b->bytes ? -1 : 1;
	return a->first < b->first ? -1 : a->first > b->first;
}

static struct wh_err *users_add(struct users *u, const struct wh_kmem_cache *k,
				const struct wh_audit *r)
{
	uint64_t at, hash = wh_hash_bytes(r->stack, r->depth * sizeof(*r->stack),
					  k->bufsize ^ WH_HASH_SEED);
	bool fresh;

	if (!wh_map_find(&u->by_stack, hash, &at)) {
		at = u->v.n;
		WH_TRY(wh_map_set(&u->by_stack, hash, at, &fresh));
		WH_TRY(WH_VEC_PUSH(&u->v, (struct user){.data = k->bufsize, .first = r->ctl}));
	}
	u->v.v[at].bytes += k->bufsize;
	u->v.v[at].count++;
	return NULL;
}

static struct wh_err *users_collect(struct wh_mdb *m, struct wh_kmem_cache *k, struct users *u)
{
	static const struct wh_mdb_col cols[] = {
		{"size", "", 0}, {"addr", "", 0}, {"thread", "", 0}, {"cache", "", 0}};
	struct wh_audit r;

	WH_TRY(wh_kmem_walk(m->kmem, k));
	for (size_t i = 0; i < k->bufs.n; i++) {
		if (!wh_audit_read(m->kmem, k->bufs.v[i].ctl, &r))
			continue;
		WH_TRY(users_add(u, k, &r));
		if (!u->each)
			continue;
		if (!m->json) {
			wh_mdb_text(m, "size %llu, addr %llx, thread %llx, cache %s\n",
				    (unsigned long long)k->bufsize, (unsigned long long)r.addr,
				    (unsigned long long)r.thread, k->name);
			continue;
		}
		wh_mdb_table(m, "allocations", cols, 4, false);
		wh_mdb_cell(m, "%llu", (unsigned long long)k->bufsize);
		wh_mdb_cell_ptr(m, r.addr, true);
		wh_mdb_cell_ptr(m, r.thread, true);
		wh_mdb_cell(m, "%s", k->name);
		wh_mdb_row(m);
	}
	return NULL;
}

static void user_print(struct wh_mdb *m, const struct user *u, const struct wh_audit *r)
{
	static const struct wh_mdb_col cols[] = {
		{"bytes", "", 0}, {"allocations", "", 0}, {"size", "", 0}, {"stack", "", 0}};
	char sym[256];

	if (m->json) {
		wh_mdb_table(m, "users", cols, 4, false);
		wh_mdb_cell(m, "%llu", (unsigned long long)u->bytes);
		wh_mdb_cell(m, "%llu", (unsigned long long)u->count);
		wh_mdb_cell(m, "%llu", (unsigned long long)u->data);
		wh_mdb_cell_stack(m, r->stack, r->depth);
		wh_mdb_row(m);
		return;
	}
	wh_mdb_text(m, "%llu bytes for %llu allocations with data size %llu:\n",
		    (unsigned long long)u->bytes, (unsigned long long)u->count,
		    (unsigned long long)u->data);
	for (uint32_t d = 0; d < r->depth; d++)
		wh_mdb_text(m, "\t %s\n", wh_mdb_symbol(m, r->stack[d], sym, sizeof(sym)));
}

static void users_print(struct wh_mdb *m, struct users *u, bool all)
{
	struct wh_audit r;

	if (u->v.n)
		qsort(u->v.v, u->v.n, sizeof(*u->v.v), user_by_bytes);
	for (size_t i = 0; i < u->v.n; i++)
		if ((all || u->v.v[i].bytes >= 8192 || u->v.v[i].count >= 100) &&
		    wh_audit_read(m->kmem, u->v.v[i].first, &r))
			user_print(m, &u->v.v[i], &r);
}

/* The caches that arguments name, or all. */
static struct wh_err *users_all(struct wh_mdb *m, const struct wh_mdb_call *c, size_t rest,
				struct users *u)
{
	for (size_t a = rest; a < c->argc; a++)
		if (!wh_kmem_find_cache_name(m->kmem, c->argv[a]))
			return wh_err_new(WH_ERR_NOT_FOUND, "%s: there is no cache named %s",
					  c->name, c->argv[a]);
	for (size_t i = 0; i < m->kmem->caches.n; i++) {
		struct wh_kmem_cache *k = &m->kmem->caches.v[i];
		bool named = rest == c->argc;

		for (size_t a = rest; a < c->argc; a++)
			named |= !strcmp(c->argv[a], k->name);
		if (named && (k->flags & WH_KMF_AUDIT) && !k->lying)
			WH_TRY(users_collect(m, k, u));
	}
	return NULL;
}

struct wh_err *wh_dcmd_kmausers(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	enum { E = 1, F = 2 };
	struct users u = {.by_stack = WH_MAP_INIT};
	uint32_t set;
	size_t rest;
	struct wh_err *e = NULL;

	WH_TRY(wh_mdb_need_kmem(m, c));
	WH_TRY(wh_mdb_opts(c, "ef", "", &set, NULL, &rest));
	u.each = set & F;
	e = users_all(m, c, rest, &u);
	if (!e)
		users_print(m, &u, set & E);
	WH_VEC_FINI(&u.v);
	wh_map_fini(&u.by_stack);
	return e;
}
