/* SPDX-License-Identifier: GPL-2.0-or-later */
/* heap: the table of heap models and the loop that asks them. */
#include "analyzer/alloc/heap.h"

static const struct wh_heap_ops *const models[] = {
	&wh_heap_ptmalloc,
};

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
	return NULL;
}

void wh_heaps_close(wh_heap_vec *v)
{
	for (size_t i = 0; i < v->n; i++)
		v->v[i].ops->close(v->v[i].priv);
	WH_VEC_FINI(v);
}
