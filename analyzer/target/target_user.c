/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process core as a target.  The order matters:
 *
 *	open     mappings, threads, stacks; which heap models are there
 *	build    each model: rows and claims; then everything unclaimed and writable becomes a root
 *	correct  free lists; references that need the table (thread stacks that lie in heap blocks, dtv)
 *
 * A process without any heap model is still opened: threads, mappings and `missing` work, and the verdict
 * says that there is nothing to judge.
 */
#include "analyzer/target/target_user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/name/interior.h"
#include "analyzer/target/targets.h"

struct wh_user *wh_target_get_user(struct wh_target *t)
{
	return t->ops == &wh_target_user_ops ? t->priv : NULL;
}

static void user_close(struct wh_target *t)
{
	struct wh_user *u = t->priv;

	if (!u)
		return;
	wh_user_types_destroy(u->types);
	wh_heaps_close(&u->heaps);
	wh_process_close(u->p);
	wh_reader_destroy(u->r);
	wh_unames_close(u->names);
	wh_mem_destroy(u->mem);
	free(u);
	t->priv = NULL;
}

static struct wh_err *open_user(struct wh_user *u)
{
	struct wh_target *t = u->t;

	struct wh_unames_opts names = {
		.symbol_files = t->opts->symbol_files,
		.n_symbol_files = t->opts->n_symbol_files,
		.locate = {.sysroot = t->opts->sysroot,
			   .debug_dirs = t->opts->debug_dirs,
			   .n_debug_dirs = t->opts->n_debug_dirs,
			   .debuginfod = t->opts->debuginfod},
	};

	if (t->dump->n_streams)
		names.locate.dump_path = wh_stream_path(t->dump->streams[0]);
	WH_TRY(wh_mem_create(t->dump, &u->mem));
	t->mem = u->mem;
	WH_TRY(wh_unames_open(u->mem, &names, &u->names));
	WH_TRY(wh_reader_create(u->mem, &u->r));
	WH_TRY(wh_process_open(t, u->r, u->names, &u->p));
	t->mark_opts.start_pointers = true;
	t->mark_opts.interior_ok = wh_interior_check;
	t->mark_opts.interior_arg = u->p;
	t->mark_opts.interior_names = wh_interior_names;
	if (t->dump->arch)
		t->plan.tag_clear = t->dump->arch->user_tag_mask;
	return wh_heaps_detect(u->p, &u->heaps);
}

static struct wh_err *user_open(struct wh_target *t)
{
	struct wh_user *u;
	struct wh_err *e;

	if (t->dump->cls != WH_DUMP_PROCESS)
		return &wh_err_not_mine;
	/* without registers nothing tells live stacks from dead ones: no verdict would be worth much */
	if (!t->dump->arch)
		return wh_err_new(
			WH_ERR_UNSUPPORTED,
			"%s: a core of a machine that is not known (%u-bit, %s-endian): expected x86-64, i386, "
			"AArch64, ARM, SPARC or SPARC V9",
			t->dump->n_streams ? wh_stream_path(t->dump->streams[0]) : "the core",
			t->dump->abi.word * 8u, t->dump->abi.big_endian ? "big" : "little");
	u = wh_calloc(1, sizeof(*u));
	if (!u)
		return &wh_err_nomem;
	u->t = t;
	t->priv = u;
	e = open_user(u);
	if (e)
		user_close(t);
	return e;
}

/* ---- build, correct ---- */

/* An allocator that is recognised but not rebuilt; NULL when there is none. */
static const struct wh_heap *other_heap(const struct wh_user *u)
{
	for (size_t i = 0; i < u->heaps.n; i++)
		if (!u->heaps.v[i].ops->build)
			return &u->heaps.v[i];
	return NULL;
}

static const char *unjudged(const struct wh_user *u)
{
	const struct wh_heap *other = other_heap(u);
	char text[200];

	if (!other && u->p->truncated)
		return "the part of the core that holds the allocator's own structures was cut off";
	if (!other && u->heaps.n)
		return "the heap holds no block";
	if (!other)
		return "no heap of an allocator that weephole knows was found in this process";
	snprintf(text, sizeof(text), "this process uses %s, whose heap weephole does not rebuild",
		 other->finding.version);
	return wh_arena_strdup(&u->p->strings, text);
}

/* Beside a heap with blocks in it another allocator may be idle: then worth a note only. */
static void note_others(struct wh_user *u, bool any)
{
	for (size_t i = 0; i < u->heaps.n; i++) {
		const struct wh_heap *h = &u->heaps.v[i];

		if (!h->ops->build)
			wh_diag_add(
				u->t->ctx->diags, any ? WH_DIAG_NOTE : WH_DIAG_WARN,
				"allocator-not-rebuilt", 0,
				"this process uses %s (%s), which weephole does not rebuild: what "
				"it allocated counts as roots and none of it is judged",
				h->finding.version, h->finding.evidence);
	}
	if (any)
		return;
	u->t->unjudged = unjudged(u);
	wh_diag_add(u->t->ctx->diags, WH_DIAG_ERROR, "no-heap", 0,
		    "no heap that could be rebuilt was found in this process: nothing was judged");
}

/* How to know next time who allocated. */
static const char *advice(const struct wh_user *u)
{
	for (size_t i = 0; i < u->heaps.n; i++)
		if (u->heaps.v[i].ops == &wh_heap_umem)
			return "run with UMEM_DEBUG=default (or audit) in the environment, so that libumem "
			       "records who allocated";
	if (!wh_buftab_count(u->t->buftab))
		return "the heaps of glibc's malloc and libumem can be judged: run the program with one of them "
		       "(LD_PRELOAD=libc.so.6, unless its allocator is linked into it)";
	return "glibc's malloc records no stacks; run with UMEM_DEBUG=default and libumem, or under "
	       "a heap profiler, to know who allocated";
}

static struct wh_err *user_build(struct wh_target *t)
{
	struct wh_user *u = t->priv;

	for (size_t i = 0; i < u->heaps.n; i++) {
		const struct wh_heap *h = &u->heaps.v[i];

		if (!h->ops->build)
			continue;
		WH_TRY(h->ops->build(h->priv));
	}
	if (u->p->truncated)
		wh_diag_add(
			t->ctx->diags, WH_DIAG_WARN, "core-truncated", 0,
			"the core is cut: %llu bytes of memory are lost (stacks and libraries come last); "
			"raise the size limit (ulimit -c, ExternalSizeMax= of coredump.conf)",
			(unsigned long long)u->p->cut_bytes);
	wh_process_sort_claims(u->p);
	t->record_advice = advice(u);
	return wh_process_plan_roots(u->p);
}

/* A reference that is interior by construction counts as one to the start of its block. */
static struct wh_err *hold_block_of(struct wh_user *u, uint64_t addr, uint16_t kind, uint64_t where,
				    uint32_t *ret_row)
{
	const struct wh_buftab *b = u->t->buftab;
	uint32_t row = wh_buftab_find(b, addr);

	*ret_row = row;
	if (row == WH_ROW_NONE)
		return NULL;
	return wh_plan_add_word(&u->t->plan, kind, wh_buftab_addr(b, row), where, 0);
}

/*
 * A thread descriptor names the dtv, which points behind the first slot of its block.  tcbhead_t of glibc's
 * sysdeps/ARCH/nptl/tls.h: {tcb, dtv, self, ...} on x86, {dtv, private} on ARM.
 */
static struct wh_err *hold_dtv(struct wh_user *u, uint64_t tcb, uint16_t kind)
{
	uint64_t at = tcb + (u->p->tls_above_tp ? 0 : u->p->abi.word), dtv;
	uint32_t row;

	return tcb && wh_read_word(u->r, at, &dtv) ? hold_block_of(u, dtv, kind, at, &row) : NULL;
}

static struct wh_err *hold_by_threads(struct wh_user *u)
{
	struct wh_plan *plan = &u->t->plan;
	uint64_t red = u->p->arch ? u->p->arch->red_zone : 0;
	uint16_t kind;

	WH_TRY(wh_plan_add_kind(plan, "threads", &kind));
	for (size_t i = 0; i < u->p->threads.n; i++) {
		const struct wh_thread *th = &u->p->threads.v[i];
		uint32_t row;

		/* a stack inside a heap block: held by its thread, dead below sp */
		WH_TRY(hold_block_of(u, th->sp, kind, 0, &row));
		if (row != WH_ROW_NONE && th->sp > red)
			WH_TRY(wh_plan_add_mask(plan, wh_buftab_addr(u->t->buftab, row),
						th->sp - red));
		WH_TRY(hold_dtv(u, th->tp, kind));
	}
	for (size_t i = 0; i < u->p->dead_tcbs.n; i++)
		WH_TRY(hold_dtv(u, u->p->dead_tcbs.v[i], kind));
	return NULL;
}

static struct wh_err *user_correct(struct wh_target *t)
{
	struct wh_user *u = t->priv;

	for (size_t i = 0; i < u->heaps.n; i++)
		if (u->heaps.v[i].ops->correct)
			WH_TRY(u->heaps.v[i].ops->correct(u->heaps.v[i].priv));
	note_others(u, wh_buftab_count(t->buftab) > 0);
	return hold_by_threads(u);
}

/* ---- questions ---- */

/* The heap model that made a row; NULL when none did. */
static const struct wh_heap *heap_of(const struct wh_user *u, uint32_t row)
{
	const struct wh_buftab *b = u->t->buftab;
	const struct wh_class *c = wh_buftab_class(b, wh_buftab_class_of(b, row));

	for (size_t i = 0; i < u->heaps.n; i++)
		if (strcmp(u->heaps.v[i].ops->name, c->model) == 0)
			return &u->heaps.v[i];
	return NULL;
}

static struct wh_err *user_origin(struct wh_target *t, uint32_t row, struct wh_arena *a,
				  struct wh_origin *ret)
{
	const struct wh_heap *h = heap_of(t->priv, row);

	memset(ret, 0, sizeof(*ret));
	return h && h->ops->origin ? h->ops->origin(h->priv, row, a, ret) : NULL;
}

static struct wh_err *user_trail(struct wh_target *t, uint64_t addr, struct wh_arena *a,
				 wh_event_vec *ret)
{
	struct wh_user *u = t->priv;

	for (size_t i = 0; i < u->heaps.n; i++)
		if (u->heaps.v[i].ops->trail)
			WH_TRY(u->heaps.v[i].ops->trail(u->heaps.v[i].priv, addr, a, ret));
	return NULL;
}

static struct wh_err *user_caches(struct wh_target *t, struct wh_arena *a, wh_cache_vec *ret)
{
	struct wh_user *u = t->priv;

	for (size_t i = 0; i < u->heaps.n; i++)
		if (u->heaps.v[i].ops->caches)
			WH_TRY(u->heaps.v[i].ops->caches(u->heaps.v[i].priv, a, ret));
	return NULL;
}

static struct wh_err *user_whatis(struct wh_target *t, uint64_t addr, struct wh_arena *a,
				  wh_whatis_vec *ret)
{
	struct wh_user *u = t->priv;

	for (size_t i = 0; i < u->heaps.n; i++)
		if (u->heaps.v[i].ops->whatis)
			WH_TRY(u->heaps.v[i].ops->whatis(u->heaps.v[i].priv, addr, a, ret));
	return wh_user_whatis(u, addr, a, ret);
}

static struct wh_err *user_info(struct wh_target *t, struct wh_arena *a, wh_fact_vec *ret)
{
	WH_TRY(wh_target_build(t));
	return wh_user_info(t->priv, a, ret);
}

static bool user_symbolize(struct wh_target *t, uint64_t addr, struct wh_frame *ret)
{
	return wh_user_symbolize(t->priv, addr, ret);
}

static bool user_find_symbol(struct wh_target *t, const char *name, uint64_t *ret)
{
	struct wh_user *u = t->priv;
	const char *quote = strrchr(name, '`');

	return u->names && wh_unames_find(u->names, NULL, quote ? quote + 1 : name, ret);
}

static const char *user_signature(struct wh_target *t, uint32_t row, struct wh_arena *a)
{
	return wh_user_signature(t->priv, row, a);
}

static struct wh_err *user_type(struct wh_target *t, uint32_t row, struct wh_arena *a,
				struct wh_row_type *ret)
{
	memset(ret, 0, sizeof(*ret));
	return wh_user_type(t->priv, row, a, ret);
}

const struct wh_target_ops wh_target_user_ops = {
	.name = "process",
	.open = user_open,
	.build = user_build,
	.correct = user_correct,
	.origin = user_origin,
	.whatis = user_whatis,
	.trail = user_trail,
	.caches = user_caches,
	.info = user_info,
	.symbolize = user_symbolize,
	.find_symbol = user_find_symbol,
	.signature = user_signature,
	.type = user_type,
	.close = user_close,
};
