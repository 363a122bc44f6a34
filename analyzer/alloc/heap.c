/* SPDX-License-Identifier: GPL-2.0-or-later */
/* heap: the table of heap models and the loop that asks them. */
#include "analyzer/alloc/heap.h"

#include <string.h>

static const struct wh_heap_ops *const models[] = {
	&wh_heap_ptmalloc,
	&wh_heap_umem,
};

void wh_heap_totals_add(struct wh_heap_totals *to, const struct wh_heap_totals *from)
{
	to->bytes += from->bytes;
	to->used += from->used;
	to->used_bytes += from->used_bytes;
	to->free += from->free;
	to->free_bytes += from->free_bytes;
	to->cached += from->cached;
	to->cached_bytes += from->cached_bytes;
	to->overhead_bytes += from->overhead_bytes;
	to->damaged_bytes += from->damaged_bytes;
}

/* "jemalloc" once, however many of its marks are there */
static bool is_listed(const wh_heap_vec *v, const struct wh_heap_finding *f)
{
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->v[i].finding.version, f->version) == 0)
			return true;
	return false;
}

static struct wh_err *detect_others(struct wh_process *p, wh_heap_vec *ret)
{
	struct wh_heap h = {.ops = &wh_heap_other};
	size_t at = 0;

	for (;;) {
		struct wh_err *e = wh_heap_find_other(p, at, &at, &h.finding);

		if (wh_err_is(e, WH_ERR_NOT_FOUND))
			break;
		WH_TRY(e);
		if (is_listed(ret, &h.finding))
			continue;
		WH_TRY(WH_VEC_PUSH(ret, h));
	}
	if (!ret->n) {
		struct wh_err *e = wh_heap_find_shape(p, &h.finding);

		if (!wh_err_is(e, WH_ERR_NOT_FOUND)) {
			WH_TRY(e);
			WH_TRY(WH_VEC_PUSH(ret, h));
		}
	}
	return NULL;
}

struct wh_err *wh_heaps_detect(struct wh_process *p, wh_heap_vec *ret)
{
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
		struct wh_heap h = {.ops = models[i]};
		struct wh_err *e = h.ops->detect(p, &h.priv, &h.finding);

		if (wh_err_is(e, WH_ERR_NOT_MINE))
			continue;
		if (wh_err_is(e, WH_ERR_NOMEM) || wh_err_is(e, WH_ERR_CANCELLED))
			return e;
		if (e) {
			wh_diag_add_err(p->ctx->diags, WH_DIAG_ERROR, "heap-model", e);
			continue;
		}
		WH_TRY(WH_VEC_PUSH(ret, h));
	}
	return detect_others(p, ret);
}

void wh_heaps_close(wh_heap_vec *v)
{
	for (size_t i = 0; i < v->n; i++)
		v->v[i].ops->close(v->v[i].priv);
	WH_VEC_FINI(v);
}
