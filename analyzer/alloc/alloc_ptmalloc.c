/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ptmalloc model: glibc's malloc as the rest of the program sees it.  How it is rebuilt is told in
 * ptmalloc.h and the files it names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/alloc/ptmalloc.h"

static void pt_close(void *priv)
{
	struct wh_ptmalloc *m = priv;

	if (!m)
		return;
	WH_VEC_FINI(&m->arenas);
	WH_VEC_FINI(&m->regions);
	WH_VEC_FINI(&m->tcaches);
	wh_map_fini(&m->tls_words);
	free(m);
}

static struct wh_err *pt_detect(struct wh_process *p, void **ret_priv, struct wh_heap_finding *ret)
{
	struct wh_ptmalloc *m;
	struct wh_err *e;

	m = wh_calloc(1, sizeof(*m));
	if (!m)
		return &wh_err_nomem;
	m->p = p;
	m->abi = p->abi;
	m->w = p->abi.word;
	e = wh_pt_find_arenas(m);
	if (e) {
		pt_close(m);
		return e;
	}
	wh_pt_init_tcache(m);
	snprintf(ret->version, sizeof(ret->version), "glibc malloc, %zu arena%s", m->arenas.n,
		 m->arenas.n == 1 ? "" : "s");
	snprintf(ret->evidence, sizeof(ret->evidence),
		 "%u of %u bins of the main arena at 0x%llx agree", m->arenas.v[0].good_bins,
		 WH_PT_BINS, (unsigned long long)m->arenas.v[0].addr);
	*ret_priv = m;
	return NULL;
}

/* ---- build ---- */

static struct wh_err *add_class(struct wh_ptmalloc *m, const char *text, uint64_t id, uint64_t size,
				uint32_t flags, uint16_t *ret)
{
	struct wh_class c = {.model = "ptmalloc", .id = id, .obj_size = size, .flags = flags};

	c.name = wh_arena_strdup(&m->p->strings, text);
	if (!c.name)
		return &wh_err_nomem;
	return wh_buftab_add_class(m->p->t->buftab, &c, ret);
}

static const char *human(uint64_t n, char *buf, size_t cap)
{
	if (n >= 1u << 30)
		snprintf(buf, cap, "%lluG", (unsigned long long)(n >> 30));
	else if (n >= 1u << 20)
		snprintf(buf, cap, "%lluM", (unsigned long long)(n >> 20));
	else if (n >= 1u << 10)
		snprintf(buf, cap, "%lluk", (unsigned long long)(n >> 10));
	else
		snprintf(buf, cap, "%llu", (unsigned long long)n);
	return buf;
}

/* One class an exact chunk size while chunks are small, then one a power of two. */
static struct wh_err *add_classes(struct wh_ptmalloc *m)
{
	char text[64], lo[24], hi[24];

	for (uint32_t u = 0; u < WH_PT_SMALL; u++) {
		uint64_t size = u * m->align;

		if (size < m->min_chunk)
			continue;
		snprintf(text, sizeof(text), "malloc-%llu", (unsigned long long)(size - m->w));
		WH_TRY(add_class(m, text, size, size - m->w, 0, &m->cls_small[u]));
	}
	for (unsigned int b = 8; b < 44; b++) {
		if ((2ull << b) <= WH_PT_SMALL * m->align)
			continue;
		snprintf(text, sizeof(text), "malloc-%s..%s", human(1ull << b, lo, sizeof(lo)),
			 human(2ull << b, hi, sizeof(hi)));
		WH_TRY(add_class(m, text, 1ull << b, 0, 0, &m->cls_large[b]));
	}
	for (unsigned int b = 44; b < 64; b++)
		m->cls_large[b] = m->cls_large[43];
	return add_class(m, "malloc-mmapped", 0, 0, 0, &m->cls_mmapped);
}

static struct wh_err *pt_build(void *priv)
{
	struct wh_ptmalloc *m = priv;

	WH_TRY(add_classes(m));
	WH_TRY(wh_pt_collect_tls(m));
	WH_TRY(wh_pt_find_regions(m));
	WH_TRY(wh_pt_walk(m));
	for (size_t i = 0; i < m->arenas.n; i++)
		wh_heap_totals_add(&m->sum, &m->arenas.v[i].sum);
	return NULL;
}

static struct wh_err *pt_correct(void *priv)
{
	struct wh_ptmalloc *m = priv;

	WH_TRY(wh_pt_lists(m));
	/* what the lists hold is free after all */
	m->sum.used -= m->sum.cached;
	m->sum.used_bytes -= m->sum.cached_bytes;
	m->sum.free += m->sum.cached;
	m->sum.free_bytes += m->sum.cached_bytes;
	return NULL;
}

static void pt_totals(void *priv, struct wh_heap_totals *ret)
{
	const struct wh_ptmalloc *m = priv;

	*ret = m->sum;
}

/* ---- questions ---- */

static const char *chunk_state(const struct wh_ptmalloc *m, const struct wh_pt_chunk *c,
			       uint32_t row)
{
	if (c->top)
		return "top (free)";
	if (!c->in_use)
		return "free";
	if (row != WH_ROW_NONE && wh_buftab_state(m->p->t->buftab, row) == WH_BUF_FREE)
		return "free, in tcache or a fastbin";
	return "in use";
}

static struct wh_err *say(struct wh_arena *a, wh_whatis_vec *ret, const char *kind, uint64_t base,
			  uint64_t size, const char *text)
{
	struct wh_whatis w = {
		.kind = kind, .base = base, .size = size, .text = wh_arena_strdup(a, text)};

	return w.text ? WH_VEC_PUSH(ret, w) : &wh_err_nomem;
}

static struct wh_err *whatis_arena(struct wh_ptmalloc *m, uint64_t addr, struct wh_arena *a,
				   wh_whatis_vec *ret)
{
	char text[200];

	for (size_t i = 0; i < m->arenas.n; i++) {
		const struct wh_pt_arena *x = &m->arenas.v[i];

		if (addr < x->addr || addr >= x->end)
			continue;
		if (addr >= x->bins && addr < x->bins + 2ull * WH_PT_BINS * m->w)
			snprintf(text, sizeof(text), "bin %llu of malloc arena %zu at 0x%llx",
				 (unsigned long long)((addr - x->bins) / (2 * m->w) + 1), i,
				 (unsigned long long)x->addr);
		else
			snprintf(text, sizeof(text),
				 "0x%llx bytes into malloc arena %zu (%s) at 0x%llx",
				 (unsigned long long)(addr - x->addr), i,
				 x->main ? "main" : "thread", (unsigned long long)x->addr);
		WH_TRY(say(a, ret, "malloc arena", x->addr, x->end - x->addr, text));
	}
	return NULL;
}

static struct wh_err *pt_whatis(void *priv, uint64_t addr, struct wh_arena *a, wh_whatis_vec *ret)
{
	struct wh_ptmalloc *m = priv;
	const struct wh_buftab *t = m->p->t->buftab;
	const struct wh_pt_region *r = NULL;
	struct wh_pt_chunk c;
	char text[256];
	uint32_t row = wh_buftab_find(t, addr);

	WH_TRY(whatis_arena(m, addr, a, ret));
	if (wh_pt_find_chunk(m, addr, &c, &r)) {
		uint64_t user = wh_pt_to_user(m, c.addr);

		row = c.top ? WH_ROW_NONE : wh_buftab_find(t, user);
		snprintf(
			text, sizeof(text),
			"%llu bytes %s block 0x%llx of %llu bytes: malloc chunk 0x%llx, size 0x%llx, "
			"arena %u, %s",
			(unsigned long long)(addr < user ? user - addr : addr - user),
			addr < user ? "before" : "into", (unsigned long long)user,
			(unsigned long long)(c.size - m->w), (unsigned long long)c.addr,
			(unsigned long long)c.size, r->arena, chunk_state(m, &c, row));
		return say(a, ret, "chunk", user, c.size - m->w, text);
	}
	if (row != WH_ROW_NONE && wh_buftab_class_of(t, row) == m->cls_mmapped) {
		uint64_t user = wh_buftab_addr(t, row);

		snprintf(text, sizeof(text),
			 "%llu bytes into block 0x%llx of %llu bytes: mmapped malloc chunk, in use",
			 (unsigned long long)(addr - user), (unsigned long long)user,
			 (unsigned long long)wh_buftab_size(t, row));
		return say(a, ret, "chunk", user, wh_buftab_size(t, row), text);
	}
	return NULL;
}

static struct wh_err *pt_caches(void *priv, struct wh_arena *a, wh_cache_vec *ret)
{
	struct wh_ptmalloc *m = priv;
	const struct wh_buftab *t = m->p->t->buftab;
	size_t n_cls = wh_buftab_class_count(t);
	WH_AUTO_FREE struct wh_cache_stat *by_class = wh_calloc(n_cls, sizeof(*by_class));

	(void)a;
	if (!by_class)
		return &wh_err_nomem;
	for (uint32_t row = 0; row < wh_buftab_count(t); row++) {
		struct wh_cache_stat *s = &by_class[wh_buftab_class_of(t, row)];

		s->objects++;
		s->bytes += wh_buftab_size(t, row);
		if (wh_buftab_state(t, row) == WH_BUF_ALLOCATED)
			s->used++;
		else
			s->free++;
	}
	for (size_t i = 0; i < n_cls; i++) {
		const struct wh_class *c = wh_buftab_class(t, (uint16_t)i);

		if (!by_class[i].objects || strcmp(c->model, "ptmalloc") != 0)
			continue;
		by_class[i].name = c->name;
		by_class[i].model = c->model;
		by_class[i].obj_size = c->obj_size;
		by_class[i].slot_size = c->obj_size ? c->obj_size + m->w : 0;
		WH_TRY(WH_VEC_PUSH(ret, by_class[i]));
	}
	return NULL;
}

const struct wh_heap_ops wh_heap_ptmalloc = {
	.name = "ptmalloc",
	.detect = pt_detect,
	.build = pt_build,
	.correct = pt_correct,
	.totals = pt_totals,
	.whatis = pt_whatis,
	.caches = pt_caches,
	.close = pt_close,
};
