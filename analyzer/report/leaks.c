/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Marks become the model in three passes, each linear in the leaks:
 *
 *	1  every leaked row asks for its origin and joins a group      key: hash(cache, stack id | content, type)
 *	2  suppressions are matched against groups; what hangs off a suppressed head is suppressed too
 *	3  tallies per kind, per group and in all; groups are sorted and numbered
 *
 * Memory: 12 bytes a leak and about 300 a group.  Origins live in a scratch arena that is emptied now and
 * then; only the first row of a group keeps its stack.
 */
#include "analyzer/report/leaks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/hashmap.h"
#include "analyzer/base/strbuf.h"
#include "analyzer/name/frame.h"
#include "analyzer/report/suppress.h"

#define SCRATCH_MAX (1u << 20) /* [bytes] of origins before the scratch arena is emptied */

const char *wh_leak_kind_name(enum wh_leak_kind k)
{
	static const char *const names[WH_LEAK_KIND_COUNT] = {"definite", "possible", "unknown",
							      "indirect", "suppressed"};

	return (unsigned int)k < WH_LEAK_KIND_COUNT ? names[k] : "?";
}

enum wh_leak_kind wh_leak_group_kind(const struct wh_leak_group *g)
{
	for (int k = 0; k < WH_LEAK_KIND_COUNT; k++)
		if (g->kinds[k].count)
			return (enum wh_leak_kind)k;
	return WH_LEAK_INDIRECT;
}

static bool kind_of(enum wh_verdict v, enum wh_leak_kind *ret)
{
	switch (v) {
	case WH_VERDICT_DEFINITE: *ret = WH_LEAK_DEFINITE; return true;
	case WH_VERDICT_POSSIBLE: *ret = WH_LEAK_POSSIBLE; return true;
	case WH_VERDICT_UNKNOWN: *ret = WH_LEAK_UNKNOWN; return true;
	case WH_VERDICT_INDIRECT: *ret = WH_LEAK_INDIRECT; return true;
	default: return false;
	}
}

struct builder {
	struct wh_target *t;
	const struct wh_leaks_opts *opts;
	struct wh_leaks *l;
	bool only_possible;  /* the model of those that are listed apart */
	struct wh_map index; /* key -> index of group */
	struct wh_arena scratch;
	uint64_t *class_hash;  /* by class: model and name */
	struct wh_strbuf text; /* of signatures and sites */
};

static struct wh_err *hash_classes(struct builder *b)
{
	uint16_t n = wh_buftab_class_count(b->t->buftab);

	b->class_hash = wh_calloc(n, sizeof(*b->class_hash));
	if (!b->class_hash)
		return &wh_err_nomem;
	for (uint16_t i = 0; i < n; i++) {
		const struct wh_class *c = wh_buftab_class(b->t->buftab, i);
		uint64_t h = wh_hash_bytes(c->model, strlen(c->model) + 1, WH_HASH_SEED);

		b->class_hash[i] = wh_hash_bytes(c->name, strlen(c->name) + 1, h);
	}
	return NULL;
}

/* First frame that is real (not inlined) and not the allocator's; NULL when there is none. */
static const struct wh_frame *site_of(const struct wh_frame *f, size_t n)
{
	for (size_t i = wh_frames_skip_allocator(f, n); i < n; i++)
		if (!f[i].inlined)
			return &f[i];
	return n ? &f[n - 1] : NULL;
}

/*
 * The text behind the signature, in b->text: what of a group survives KASLR, a rebuild and another
 * dump.  Inlined frames are left out, because they are known only where debug information is.
 */
static void sign_text(struct builder *b, struct wh_leak_group *g)
{
	bool named = false;

	wh_strbuf_clear(&b->text);
	wh_strbuf_printf(&b->text, "%s\n%s", g->model, g->cache);
	for (size_t i = g->skip; i < g->n_frames; i++) {
		if (g->frames[i].inlined)
			continue;
		named |= g->frames[i].symbol || g->frames[i].module;
		wh_strbuf_putc(&b->text, '\n');
		wh_frame_stable(&b->text, &g->frames[i]);
		if (b->opts->group_by == WH_GROUP_SITE)
			break;
	}
	g->weak = !named;
	if (!named && g->content)
		wh_strbuf_printf(&b->text, "\n= %s", g->content);
}

static void sign(struct builder *b, struct wh_leak_group *g)
{
	uint64_t h;

	sign_text(b, g);
	h = wh_hash_u64(wh_hash_bytes(wh_strbuf_str(&b->text), b->text.len, WH_HASH_SEED));
	snprintf(g->signature, sizeof(g->signature), "%016llx", (unsigned long long)h);
}

static uint64_t text_key(uint64_t seed, const char *s)
{
	return wh_hash_u64(wh_hash_bytes(s, strlen(s), seed));
}

static struct wh_err *type_of(struct builder *b, uint32_t row, struct wh_arena *a,
			      struct wh_row_type *ret)
{
	*ret = (struct wh_row_type){0};
	return b->t->ops->type ? b->t->ops->type(b->t, row, a, ret) : NULL;
}

/* What makes one group; *ret_content is set where nothing was recorded. */
static uint64_t group_key(struct builder *b, uint32_t row, uint16_t cls, const struct wh_origin *o,
			  const struct wh_row_type *type, const char **ret_content)
{
	uint64_t h = b->class_hash[cls];
	const struct wh_target_ops *ops = b->t->ops;

	*ret_content = NULL;
	if (b->opts->group_by == WH_GROUP_CACHE)
		return h;
	if (!o->n_frames && !o->stack_id) {
		*ret_content = ops->signature ? ops->signature(b->t, row, &b->scratch) : NULL;
		if (*ret_content)
			h = text_key(h, *ret_content);
		return type->name && b->opts->group_by == WH_GROUP_STACK ? text_key(h, type->name)
									 : h;
	}
	if (b->opts->group_by == WH_GROUP_STACK && o->stack_id)
		return wh_hash_u64(h ^ wh_hash_u64(o->stack_id));
	wh_strbuf_clear(&b->text);
	if (b->opts->group_by == WH_GROUP_SITE) {
		const struct wh_frame *f = site_of(o->frames, o->n_frames);

		if (f)
			wh_frame_stable(&b->text, f);
	} else {
		for (size_t i = 0; i < o->n_frames; i++) {
			if (o->frames[i].inlined)
				continue;
			wh_frame_stable(&b->text, &o->frames[i]);
			if (b->opts->group_by == WH_GROUP_STACK)
				wh_strbuf_printf(&b->text, "+%llx",
						 (unsigned long long)o->frames[i].offset);
			wh_strbuf_putc(&b->text, '\n');
		}
	}
	return text_key(h, wh_strbuf_str(&b->text));
}

static struct wh_err *group_create(struct builder *b, uint32_t row, uint16_t cls,
				   const char *content, uint32_t *ret)
{
	const struct wh_class *c = wh_buftab_class(b->t->buftab, cls);
	struct wh_leak_group g = {.cache = c->name,
				  .model = c->model,
				  .cls = cls,
				  .example = WH_ROW_NONE,
				  .suppression = WH_SUPPRESSION_NONE};
	struct wh_origin o = {0};

	/* Again, into the arena that stays. */
	if (b->t->ops->origin && b->opts->group_by != WH_GROUP_CACHE)
		WH_TRY(b->t->ops->origin(b->t, row, &b->l->mem, &o));
	g.frames = o.frames;
	g.n_frames = o.n_frames;
	g.skip = wh_frames_skip_allocator(o.frames, o.n_frames);
	g.source = o.source;
	if (content) {
		g.content = wh_arena_strdup(&b->l->mem, content);
		if (!g.content)
			return &wh_err_nomem;
	}
	sign(b, &g);
	*ret = (uint32_t)b->l->groups.n;
	return WH_VEC_PUSH(&b->l->groups, g);
}

/* The oldest head represents its group; without times the one of lowest address. */
static void consider_example(struct wh_leak_group *g, uint32_t row, enum wh_leak_kind kind,
			     enum wh_leak_kind *best, const struct wh_origin *o)
{
	bool better = g->example == WH_ROW_NONE || kind < *best ||
		      (kind == *best && o->has_time && (!g->has_time || o->time_ns < g->time_ns));

	if (!better)
		return;
	*best = kind;
	g->example = row;
	g->has_pid = o->has_pid;
	g->has_cpu = o->has_cpu;
	g->has_time = o->has_time;
	g->pid = o->pid;
	g->thread = o->thread;
	g->tid = o->tid;
	g->cpu = o->cpu;
	g->time_ns = o->time_ns;
	g->age_ns = o->age_ns;
}

typedef WH_VEC(enum wh_leak_kind) kind_vec;

static struct wh_err *join_group(struct builder *b, uint32_t row, enum wh_leak_kind kind,
				 kind_vec *best)
{
	struct wh_leak leak = {.row = row, .kind = (uint8_t)kind};
	uint16_t cls = wh_buftab_class_of(b->t->buftab, row);
	struct wh_row_type type = {0};
	struct wh_origin o = {0};
	const char *content;
	uint64_t key, at;

	if (b->t->ops->origin)
		WH_TRY(b->t->ops->origin(b->t, row, &b->scratch, &o));
	if (!o.n_frames && !o.stack_id)
		WH_TRY(type_of(b, row, &b->scratch, &type));
	key = group_key(b, row, cls, &o, &type, &content);
	if (wh_map_find(&b->index, key, &at)) {
		leak.group = (uint32_t)at;
	} else {
		WH_TRY(group_create(b, row, cls, content, &leak.group));
		WH_TRY(wh_map_set(&b->index, key, leak.group, NULL));
		WH_TRY(WH_VEC_PUSH(best, kind));
	}
	consider_example(&b->l->groups.v[leak.group], row, kind, &best->v[leak.group], &o);
	return WH_VEC_PUSH(&b->l->leaks, leak);
}

static struct wh_err *join_all(struct builder *b, kind_vec *best)
{
	size_t n;
	const uint32_t *rows = wh_marks_leaks(b->l->marks, &n);

	for (size_t i = 0; i < n; i++) {
		enum wh_leak_kind kind;

		if (!kind_of(wh_marks_verdict(b->l->marks, rows[i]), &kind))
			continue;
		if (!b->opts->with_possible && (kind == WH_LEAK_POSSIBLE) != b->only_possible) {
			if (kind == WH_LEAK_POSSIBLE)
				wh_tally_add(&b->l->interior, 1,
					     wh_buftab_size(b->t->buftab, rows[i]));
			continue;
		}
		if (b->scratch.used > SCRATCH_MAX)
			wh_arena_fini(&b->scratch);
		if (i % 1024 == 0) {
			if (wh_ctx_cancelled(b->t->ctx))
				return &wh_err_cancelled;
			wh_ctx_progress(b->t->ctx, "grouping leaks", i, n);
		}
		WH_TRY(join_group(b, rows[i], kind, best));
	}
	return NULL;
}

static int leak_row_cmp(const void *key, const void *elem)
{
	uint32_t row = *(const uint32_t *)key, other = ((const struct wh_leak *)elem)->row;

	return row < other ? -1 : row > other;
}

/* What hangs off a suppressed head is suppressed with it. */
static void suppress_leaks(struct wh_leaks *l)
{
	for (size_t i = 0; i < l->leaks.n; i++) {
		struct wh_leak *k = &l->leaks.v[i];
		const struct wh_leak *head = NULL;

		if (k->kind == WH_LEAK_INDIRECT) {
			uint32_t row = wh_marks_head(l->marks, k->row);

			head = bsearch(&row, l->leaks.v, l->leaks.n, sizeof(*k), leak_row_cmp);
		}
		if (l->groups.v[k->group].suppression != WH_SUPPRESSION_NONE ||
		    (head && l->groups.v[head->group].suppression != WH_SUPPRESSION_NONE))
			k->kind = WH_LEAK_SUPPRESSED;
	}
}

static void suppress(struct builder *b)
{
	struct wh_leaks *l = b->l;
	bool any = false;

	if (!b->opts->suppressions)
		return;
	for (size_t i = 0; i < l->groups.n; i++) {
		struct wh_leak_group *g = &l->groups.v[i];

		g->suppression = wh_suppressions_find(b->opts->suppressions, g);
		any |= g->suppression != WH_SUPPRESSION_NONE;
	}
	if (any)
		suppress_leaks(l);
}

static struct wh_err *tally(struct builder *b)
{
	struct wh_leaks *l = b->l;

	for (size_t i = 0; i < l->leaks.n; i++) {
		const struct wh_leak *k = &l->leaks.v[i];
		struct wh_leak_group *g = &l->groups.v[k->group];
		uint64_t size = wh_buftab_size(b->t->buftab, k->row), n, bytes;

		wh_tally_add(&g->all, 1, size);
		wh_tally_add(&g->kinds[k->kind], 1, size);
		wh_tally_add(&l->kinds[k->kind], 1, size);
		wh_tally_add(&l->all, 1, size);
		if (k->kind == WH_LEAK_SUPPRESSED && !b->only_possible &&
		    g->suppression != WH_SUPPRESSION_NONE)
			wh_tally_add(&b->opts->suppressions->rules.v[g->suppression].used, 1, size);
		if (wh_marks_head(l->marks, k->row) != k->row)
			continue;
		wh_marks_hanging(l->marks, k->row, &n, &bytes);
		wh_tally_add(&g->hanging, n, bytes);
	}
	for (size_t i = 0; i < l->groups.n; i++) {
		struct wh_leak_group *g = &l->groups.v[i];

		g->example_addr = wh_buftab_addr(b->t->buftab, g->example);
		g->example_size = wh_buftab_size(b->t->buftab, g->example);
		WH_TRY(type_of(b, g->example, &l->mem, &g->type));
	}
	return NULL;
}

static int cmp_u64_desc(uint64_t a, uint64_t b)
{
	return a > b ? -1 : a < b;
}

static int group_cmp(const struct wh_leak_group *a, const struct wh_leak_group *b,
		     enum wh_sort_by by)
{
	int c = 0;

	if (by == WH_SORT_COUNT)
		c = cmp_u64_desc(a->all.count, b->all.count);
	else if (by == WH_SORT_RETAINED)
		c = cmp_u64_desc(a->all.bytes + a->hanging.bytes, b->all.bytes + b->hanging.bytes);
	else if (by == WH_SORT_AGE)
		c = cmp_u64_desc(a->age_ns, b->age_ns);
	if (!c)
		c = cmp_u64_desc(a->all.bytes, b->all.bytes);
	if (!c)
		c = cmp_u64_desc(a->all.count, b->all.count);
	if (!c)
		c = strcmp(a->signature, b->signature);
	/* Two groups of one signature are told apart by where they lie: same in every run. */
	return c ? c : a->example < b->example ? -1 : a->example > b->example;
}

static int order_cmp(const void *pa, const void *pb, void *arg)
{
	const struct builder *b = arg;

	return group_cmp(&b->l->groups.v[*(const uint32_t *)pa],
			 &b->l->groups.v[*(const uint32_t *)pb], b->opts->sort);
}

static struct wh_err *sort_groups(struct builder *b)
{
	struct wh_leaks *l = b->l;
	size_t n = l->groups.n;
	WH_AUTO_FREE uint32_t *order = wh_calloc(n, sizeof(*order));
	WH_AUTO_FREE uint32_t *place = wh_calloc(n, sizeof(*place));
	struct wh_leak_group *sorted = wh_calloc(n, sizeof(*sorted));

	if (!order || !place || !sorted) {
		free(sorted);
		return &wh_err_nomem;
	}
	for (size_t i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, n, sizeof(*order), order_cmp, b);
	for (size_t i = 0; i < n; i++) {
		sorted[i] = l->groups.v[order[i]];
		sorted[i].id = (uint32_t)i + 1;
		place[order[i]] = (uint32_t)i;
	}
	free(l->groups.v);
	l->groups.v = sorted;
	l->groups.cap = n ? n : 1;
	for (size_t i = 0; i < l->leaks.n; i++)
		l->leaks.v[i].group = place[l->leaks.v[i].group];
	return NULL;
}

#define COUNT_ROWS (1u << 18) /* rows a unit of counting */

struct counting {
	const struct wh_buftab *tab;
	struct wh_tally *units;
};

static struct wh_err *count_unit(void *arg, WH_UNUSED unsigned int worker, size_t unit)
{
	struct counting *c = arg;
	uint64_t end = wh_buftab_count(c->tab), row = (uint64_t)unit * COUNT_ROWS;
	struct wh_tally sum = {0};

	if (end > row + COUNT_ROWS)
		end = row + COUNT_ROWS;
	for (; row < end; row++) {
		const struct wh_class *cls;

		if (wh_buftab_state(c->tab, (uint32_t)row) != WH_BUF_ALLOCATED)
			continue;
		cls = wh_buftab_class(c->tab, wh_buftab_class_of(c->tab, (uint32_t)row));
		if (!(cls->flags & (WH_CLASS_NOREPORT | WH_CLASS_OPAQUE)))
			wh_tally_add(&sum, 1, wh_buftab_size(c->tab, (uint32_t)row));
	}
	c->units[unit] = sum;
	return NULL;
}

static struct wh_err *count_allocated(struct builder *b)
{
	struct counting c = {.tab = b->t->buftab};
	size_t n = (size_t)((wh_buftab_count(c.tab) + COUNT_ROWS - 1) / COUNT_ROWS);
	WH_AUTO_FREE struct wh_tally *units = wh_calloc(n, sizeof(*units));

	if (!units)
		return &wh_err_nomem;
	c.units = units;
	WH_TRY(wh_workers_run(b->t->ctx, NULL, n, count_unit, &c));
	for (size_t i = 0; i < n; i++)
		wh_tally_add(&b->l->allocated, units[i].count, units[i].bytes);
	return NULL;
}

static struct wh_err *build(struct builder *b)
{
	kind_vec best = {0};
	struct wh_err *e;

	WH_TRY(hash_classes(b));
	e = join_all(b, &best);
	WH_VEC_FINI(&best);
	if (e)
		return e;
	suppress(b);
	WH_TRY(tally(b));
	WH_TRY(sort_groups(b));
	if (b->text.failed)
		return &wh_err_nomem;
	return b->only_possible ? NULL : count_allocated(b);
}

static struct wh_err *build_in(struct builder *b)
{
	struct wh_err *e = build(b);

	wh_map_fini(&b->index);
	wh_arena_fini(&b->scratch);
	wh_strbuf_fini(&b->text);
	free(b->class_hash);
	return e;
}

struct wh_err *wh_leaks_build(struct wh_target *t, const struct wh_leaks_opts *opts,
			      struct wh_leaks *ret)
{
	struct builder b = {.t = t, .opts = opts, .l = ret};

	WH_TRY(wh_target_mark(t, &ret->marks));
	WH_TRY(build_in(&b));
	if (!opts->possible_apart || !ret->interior.count)
		return NULL;
	ret->possible = wh_calloc(1, sizeof(*ret->possible));
	if (!ret->possible)
		return &wh_err_nomem;
	ret->possible->marks = ret->marks;
	b = (struct builder){.t = t, .opts = opts, .l = ret->possible, .only_possible = true};
	return build_in(&b);
}

void wh_leaks_fini(struct wh_leaks *l)
{
	if (l->possible)
		wh_leaks_fini(l->possible);
	free(l->possible);
	l->possible = NULL;
	WH_VEC_FINI(&l->groups);
	WH_VEC_FINI(&l->leaks);
	wh_arena_fini(&l->mem);
}
