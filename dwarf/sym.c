/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table is built in two steps.  While it is filled, symbols are records in order of arrival and
 * names lie end to end in one growing text.  Freeze sorts the records that lie in a range of their
 * module by address, puts the rest (absolute and per-CPU symbols, leftovers) behind them, and adds
 *
 *	addrs[]   the addresses alone, for the binary search
 *	bucket[]  name hash -> first record, next[] -> following ones, in table order
 *
 * kallsyms arrives sorted, so that freeze only sorts the few thousand module symbols and merges.
 */
#include "dwarf/sym.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/base/hashmap.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/order.h"
#include "analyzer/base/vec.h"

#define NONE UINT32_MAX
/* How far back an enclosing symbol is looked for when the nearest one ends before the address. */
#define NEST_STEPS 16

struct sym_rec {
	uint64_t addr, size;
	uint32_t name; /* offset in text; grows with arrival, hence also breaks ties */
	uint16_t module;
	char type;
	uint8_t rank; /* among symbols of one address the lowest answers */
};

struct sym_range {
	uint64_t start, end;
	uint16_t module;
};

struct sym_module {
	uint32_t name;
	bool bounded; /* has ranges */
};

struct wh_symtab {
	WH_VEC(struct sym_rec) recs;
	WH_VEC(char) text;
	WH_VEC(struct sym_module) modules;
	WH_VEC(struct sym_range) ranges;
	bool image_bounded;
	bool frozen;
	size_t n_addr;	 /* records that answer by address */
	uint64_t *addrs; /* n_addr of them */
	uint32_t *bucket, *next;
	size_t bucket_mask;
};

struct wh_err *wh_symtab_create(struct wh_symtab **ret)
{
	struct wh_symtab *t = calloc(1, sizeof(*t));

	if (!t)
		return &wh_err_nomem;
	*ret = t;
	return NULL;
}

void wh_symtab_destroy(struct wh_symtab *t)
{
	if (!t)
		return;
	WH_VEC_FINI(&t->recs);
	WH_VEC_FINI(&t->text);
	WH_VEC_FINI(&t->modules);
	WH_VEC_FINI(&t->ranges);
	free(t->addrs);
	free(t->bucket);
	free(t->next);
	free(t);
}

static struct wh_err *sym_put_text(struct wh_symtab *t, const char *s, size_t len, uint32_t *ret)
{
	if (t->text.n + len + 1 > UINT32_MAX)
		return wh_err_new(WH_ERR_LIMIT, "more than 4 GiB of symbol names");
	WH_TRY(WH_VEC_RESERVE(&t->text, t->text.n + len + 1));
	*ret = (uint32_t)t->text.n;
	memcpy(t->text.v + t->text.n, s, len);
	t->text.v[t->text.n + len] = '\0';
	t->text.n += len + 1;
	return NULL;
}

struct wh_err *wh_symtab_add_module(struct wh_symtab *t, const char *name, uint16_t *ret_id)
{
	struct sym_module m = {0};

	if (t->modules.n >= WH_LIMIT_MODULES)
		return wh_err_new(WH_ERR_LIMIT, "more than %u modules", WH_LIMIT_MODULES);
	WH_TRY(sym_put_text(t, name, strlen(name), &m.name));
	WH_TRY(WH_VEC_PUSH(&t->modules, m));
	*ret_id = (uint16_t)(t->modules.n - 1);
	return NULL;
}

struct wh_err *wh_symtab_add_range(struct wh_symtab *t, uint16_t module, uint64_t start,
				   uint64_t end)
{
	if (start >= end)
		return NULL;
	if (module == WH_SYM_NO_MODULE)
		t->image_bounded = true;
	else if (module < t->modules.n)
		t->modules.v[module].bounded = true;
	else
		return wh_err_new(WH_ERR_INTERNAL, "symbol range of an unknown module");
	return WH_VEC_PUSH(&t->ranges, (struct sym_range){start, end, module});
}

/* Weak and sizeless symbols give way to proper ones at the same address. */
static uint8_t sym_rank(char type, uint64_t size)
{
	return (uint8_t)((size ? 0 : 2) + (strchr("wWvV", type) ? 1 : 0));
}

struct wh_err *wh_symtab_add(struct wh_symtab *t, uint64_t addr, uint64_t size, char type,
			     const char *name, uint16_t module)
{
	struct sym_rec r = {.addr = addr,
			    .size = size,
			    .module = module,
			    .type = type ? type : '?',
			    .rank = sym_rank(type, size)};

	if (t->recs.n >= WH_LIMIT_SYMBOLS * 4ull)
		return wh_err_new(WH_ERR_LIMIT, "too many symbols");
	WH_TRY(sym_put_text(t, name, strlen(name), &r.name));
	return WH_VEC_PUSH(&t->recs, r);
}

size_t wh_symtab_pick(const struct wh_symtab *t, const char *const *names, size_t n, uint64_t *ret)
{
	uint64_t done = 0;
	size_t found = 0;

	for (size_t i = 0; i < t->recs.n && found < n; i++) {
		const char *name = t->text.v + t->recs.v[i].name;

		for (size_t k = 0; k < n && k < 64; k++) {
			if (name[0] != names[k][0] || (done >> k & 1) ||
			    strcmp(name, names[k]) != 0)
				continue;
			done |= 1ull << k;
			ret[k] = t->recs.v[i].addr;
			found++;
		}
	}
	return found;
}

static int range_cmp(const void *a, const void *b)
{
	const struct sym_range *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return (x->module > y->module) - (x->module < y->module);
}

static int rec_cmp(const void *a, const void *b)
{
	const struct sym_rec *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return (x->name > y->name) - (x->name < y->name);
}

/* The range that holds @addr; ranges are sorted and, in sane dumps, disjoint. */
static const struct sym_range *range_find(const struct wh_symtab *t, uint64_t addr)
{
	size_t lo = WH_BOUND(i, t->ranges.n, t->ranges.v[i].start <= addr);

	if (!lo || addr >= t->ranges.v[lo - 1].end)
		return NULL;
	return &t->ranges.v[lo - 1];
}

static bool rec_in_range(const struct wh_symtab *t, const struct sym_rec *r)
{
	bool bounded = r->module == WH_SYM_NO_MODULE
			       ? t->image_bounded
			       : r->module < t->modules.n && t->modules.v[r->module].bounded;
	const struct sym_range *g;

	if (!bounded)
		return true;
	g = range_find(t, r->addr);
	return g && g->module == r->module;
}

/* Moves in-range records to the front, keeping the order of both parts. */
static struct wh_err *freeze_partition(struct wh_symtab *t)
{
	struct sym_rec *out = malloc((t->recs.n ? t->recs.n : 1) * sizeof(*out));
	size_t n_in = 0, n_out = 0;

	if (!out)
		return &wh_err_nomem;
	for (size_t i = 0; i < t->recs.n; i++) {
		if (rec_in_range(t, &t->recs.v[i]))
			t->recs.v[n_in++] = t->recs.v[i];
		else
			out[n_out++] = t->recs.v[i];
	}
	if (n_out)
		memcpy(t->recs.v + n_in, out, n_out * sizeof(*out));
	free(out);
	t->n_addr = n_in;
	return NULL;
}

/* Sorts [0, n_addr): what already is in order stays, the rest is sorted and merged in. */
static struct wh_err *freeze_sort(struct wh_symtab *t)
{
	struct sym_rec *v = t->recs.v, *tail;
	size_t n = t->n_addr, head = n ? 1 : 0, n_tail, i, k, o;

	while (head < n && rec_cmp(&v[head - 1], &v[head]) <= 0)
		head++;
	n_tail = n - head;
	if (n_tail) {
		tail = malloc(n_tail * sizeof(*tail));
		if (!tail)
			return &wh_err_nomem;
		memcpy(tail, v + head, n_tail * sizeof(*tail));
		wh_sort(tail, n_tail, sizeof(*tail), rec_cmp);
		for (i = head, k = n_tail, o = n; k;) {
			if (i && rec_cmp(&v[i - 1], &tail[k - 1]) > 0)
				v[--o] = v[--i];
			else
				v[--o] = tail[--k];
		}
		free(tail);
	}
	if (t->recs.n > n)
		wh_sort(v + n, t->recs.n - n, sizeof(*v), rec_cmp);
	return NULL;
}

/* A symbol without a size ends where the next one of another address begins, or its range does. */
static void freeze_sizes(struct wh_symtab *t)
{
	uint64_t next_addr = UINT64_MAX;
	const struct sym_range *g = NULL;

	for (size_t i = t->n_addr; i-- > 0;) {
		struct sym_rec *r = &t->recs.v[i];
		uint64_t end;

		if (i + 1 < t->n_addr && t->recs.v[i + 1].addr != r->addr)
			next_addr = t->recs.v[i + 1].addr;
		if (!g || r->addr < g->start || r->addr >= g->end)
			g = range_find(t, r->addr);
		end = next_addr;
		if (g && g->end < end)
			end = g->end;
		if (!r->size && end != UINT64_MAX)
			r->size = end - r->addr;
		else if (g && r->size > g->end - r->addr)
			r->size = g->end - r->addr;
	}
}

/* Eight bytes a step: the index of 150,000 kernel names must cost a few milliseconds. */
static size_t name_bucket(const struct wh_symtab *t, const char *name)
{
	size_t len = strlen(name);
	uint64_t h = WH_HASH_SEED ^ len, w;

	for (; len >= sizeof(w); len -= sizeof(w), name += sizeof(w)) {
		memcpy(&w, name, sizeof(w));
		h = (h ^ w) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 32;
	}
	w = 0;
	memcpy(&w, name, len);
	return (size_t)wh_hash_u64(h ^ w) & t->bucket_mask;
}

static struct wh_err *freeze_index(struct wh_symtab *t)
{
	size_t cap = 64;

	while (cap < t->recs.n)
		cap *= 2;
	t->bucket_mask = cap - 1;
	t->bucket = malloc(cap * sizeof(*t->bucket));
	t->next = malloc((t->recs.n ? t->recs.n : 1) * sizeof(*t->next));
	t->addrs = malloc((t->n_addr ? t->n_addr : 1) * sizeof(*t->addrs));
	if (!t->bucket || !t->next || !t->addrs)
		return &wh_err_nomem;
	memset(t->bucket, 0xff, cap * sizeof(*t->bucket));
	for (size_t i = t->recs.n; i-- > 0;) {
		size_t b = name_bucket(t, t->text.v + t->recs.v[i].name);

		t->next[i] = t->bucket[b];
		t->bucket[b] = (uint32_t)i;
	}
	for (size_t i = 0; i < t->n_addr; i++)
		t->addrs[i] = t->recs.v[i].addr;
	return NULL;
}

struct wh_err *wh_symtab_freeze(struct wh_symtab *t)
{
	if (t->frozen)
		return NULL;
	if (t->ranges.n)
		wh_sort(t->ranges.v, t->ranges.n, sizeof(*t->ranges.v), range_cmp);
	WH_TRY(freeze_partition(t));
	WH_TRY(freeze_sort(t));
	freeze_sizes(t);
	WH_TRY(freeze_index(t));
	t->frozen = true;
	return NULL;
}

size_t wh_symtab_count(const struct wh_symtab *t)
{
	return t->recs.n;
}

static const char *module_name(const struct wh_symtab *t, uint16_t id)
{
	return id < t->modules.n ? t->text.v + t->modules.v[id].name : NULL;
}

static void rec_to_sym(const struct wh_symtab *t, const struct sym_rec *r, struct wh_sym *ret)
{
	*ret = (struct wh_sym){.addr = r->addr,
			       .size = r->size,
			       .name = t->text.v + r->name,
			       .module = module_name(t, r->module),
			       .type = r->type};
}

/* Index of the first of the n_addr addresses that is not below @addr. */
static size_t addr_lower_bound(const struct wh_symtab *t, uint64_t addr)
{
	return WH_BOUND(i, t->n_addr, t->addrs[i] < addr);
}

bool wh_symtab_find_addr(const struct wh_symtab *t, uint64_t addr, struct wh_sym *ret,
			 uint64_t *ret_off)
{
	const struct sym_range *g;
	size_t lo, first;

	if (!t->frozen)
		return false;
	lo = addr == UINT64_MAX ? t->n_addr : addr_lower_bound(t, addr + 1);
	g = t->ranges.n ? range_find(t, addr) : NULL;
	for (int steps = 0; lo && steps < NEST_STEPS; steps++) {
		const struct sym_rec *r;

		/* Of those that share the address the first is the best. */
		first = addr_lower_bound(t, t->addrs[lo - 1]);
		r = &t->recs.v[first];
		if (g && (r->addr < g->start || r->module != g->module))
			return false;
		if (addr - r->addr < r->size || addr == r->addr) {
			rec_to_sym(t, r, ret);
			if (ret_off)
				*ret_off = addr - r->addr;
			return true;
		}
		lo = first;
	}
	return false;
}

bool wh_symtab_find_percpu(const struct wh_symtab *t, uint64_t addr, struct wh_sym *ret,
			   uint64_t *ret_off)
{
	const struct sym_rec *best = NULL;

	for (size_t i = 0; i < t->recs.n; i++) {
		const struct sym_rec *r = &t->recs.v[i];

		if (r->module == WH_SYM_NO_MODULE && r->addr <= addr &&
		    (!best || r->addr > best->addr))
			best = r;
	}
	if (!best)
		return false;
	rec_to_sym(t, best, ret);
	*ret_off = addr - best->addr;
	return true;
}

static bool rec_wanted(const struct wh_symtab *t, const struct sym_rec *r, const char *module,
		       const char *name)
{
	const char *m;

	if (strcmp(t->text.v + r->name, name) != 0)
		return false;
	if (!module)
		return true;
	m = module_name(t, r->module);
	return m && !strcmp(m, module);
}

enum scope { SCOPE_IMAGE, SCOPE_MODULES, SCOPE_ALL };

/* The @nth match in @scope; *ret_seen counts the matches before giving up. */
static bool name_scan(const struct wh_symtab *t, const char *module, const char *name, size_t nth,
		      enum scope scope, struct wh_sym *ret, size_t *ret_seen)
{
	size_t seen = 0;

	for (uint32_t i = t->bucket[name_bucket(t, name)]; i != NONE; i = t->next[i]) {
		const struct sym_rec *r = &t->recs.v[i];

		bool image = r->module == WH_SYM_NO_MODULE;

		if (scope != SCOPE_ALL && image != (scope == SCOPE_IMAGE))
			continue;
		if (!rec_wanted(t, r, module, name))
			continue;
		if (seen++ == nth) {
			rec_to_sym(t, r, ret);
			return true;
		}
	}
	*ret_seen = seen;
	return false;
}

bool wh_symtab_find_name(const struct wh_symtab *t, const char *module, const char *name,
			 size_t nth, struct wh_sym *ret)
{
	size_t seen = 0;

	if (!t->frozen)
		return false;
	if (module)
		return name_scan(t, module, name, nth, SCOPE_ALL, ret, &seen);
	if (name_scan(t, NULL, name, nth, SCOPE_IMAGE, ret, &seen))
		return true;
	return name_scan(t, NULL, name, nth - seen, SCOPE_MODULES, ret, &seen);
}

const char *wh_symtab_find_module(const struct wh_symtab *t, uint64_t addr)
{
	const struct sym_range *g = t->frozen ? range_find(t, addr) : NULL;

	return g ? module_name(t, g->module) : NULL;
}
