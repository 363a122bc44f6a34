/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Generic KASAN (mm/kasan/{kasan.h,quarantine.c,generic.c}, 5.12 to 6.18).  What kfree was given waits in a
 * quarantine, whole and with all its pointers, while its slab still counts it as in use; and behind each object
 * stands which stack allocated it.
 *
 *	cpu_quarantine, cpu_shrink_qlist (per-CPU), global_quarantine[]   qlist_head ─► qlist_node ─► qlist_node
 *	object + kasan_cache.alloc_meta_offset	kasan_alloc_meta.alloc_track	{ pid, stack depot handle }
 *	object + kasan_cache.free_meta_offset	kasan_free_meta { quarantine_link, free_track }
 *
 * A node lies in the slot of the object that it stands for, wherever in it.
 */
#include <string.h>

#include "analyzer/alloc/kslab.h"

#define BATCHES_MAX 65536 /* QUARANTINE_BATCHES: 1024 and four for each possible CPU */

struct queue {
	struct wh_kslab *k;
	uint64_t head, next; /* offsets of qlist_head.head, qlist_node.next */
};

static bool object_of(const struct wh_kslab *k, uint64_t node, uint64_t *ret)
{
	const struct wh_lx_slab *s = wh_kslab_find_slab(k, node);
	uint64_t first, size;

	if (!s || s->cache == WH_LX_NO_CACHE || !k->caches.v[s->cache].valid)
		return false;
	first = wh_kslab_object(k, s, 0);
	size = k->caches.v[s->cache].size;
	if (node < first)
		return false;
	*ret = first + (node - first) / size * size;
	return true;
}

/* Brent's algorithm finds a list that bites its own tail. */
static struct wh_err *queue_take(const struct queue *q, uint64_t at)
{
	struct wh_lx *x = q->k->x;
	uint64_t node, seen = 0, steps = 0, power = 1, obj;

	if (!wh_read_word(x->r, at + q->head, &node))
		return NULL;
	for (node = wh_lx_ptr(x, node); node; node = wh_lx_ptr(x, node)) {
		if (node == seen || !object_of(q->k, node, &obj)) {
			wh_diag_add(x->t->ctx->diags, WH_DIAG_WARN, "quarantine-damaged", node,
				    "KASAN's quarantine leads to 0x%llx, which is no object in it",
				    (unsigned long long)node);
			return NULL;
		}
		if (++steps == power) {
			seen = node;
			power *= 2;
		}
		WH_TRY(WH_VEC_PUSH(&q->k->held, obj));
		if (!wh_read_word(x->r, node + q->next, &node))
			return NULL;
	}
	return NULL;
}

struct wh_err *wh_slub_quarantine_take(struct wh_kslab *k)
{
	static const char *const percpu[] = {"cpu_quarantine", "cpu_shrink_qlist"};
	struct wh_lx *x = k->x;
	struct queue q = {.k = k};
	uint64_t at, size, n;
	struct wh_sym s;

	if (!wh_lx_offset(x, "qlist_head", "head", &q.head) ||
	    !wh_lx_offset(x, "qlist_node", "next", &q.next) ||
	    !wh_types_sizeof(x->names->types, "qlist_head", &size) || !size)
		return NULL;
	for (size_t i = 0; i < sizeof(percpu) / sizeof(percpu[0]); i++)
		for (size_t c = 0; wh_lx_symbol(x, percpu[i], &at) && c < x->cpus.n; c++)
			WH_TRY(queue_take(&q, at + x->cpus.v[c].offset));
	if (!wh_symtab_find_name(x->names->syms, NULL, "global_quarantine", 0, &s))
		return NULL;
	n = s.size / size < BATCHES_MAX ? s.size / size : BATCHES_MAX;
	for (uint64_t i = 0; i < n; i++)
		WH_TRY(queue_take(&q, s.addr + i * size));
	return NULL;
}

void wh_kasan_cache_read(const struct wh_kslab *k, struct wh_kcache *c)
{
	uint64_t info, alloc, freed, track, handle;
	uint32_t v;

	if (!wh_lx_offset(k->x, "kmem_cache", "kasan_info", &info) ||
	    !wh_lx_offset(k->x, "kasan_track", "stack", &handle))
		return;
	if (wh_lx_offset(k->x, "kasan_cache", "alloc_meta_offset", &alloc) &&
	    wh_lx_offset(k->x, "kasan_alloc_meta", "alloc_track", &track) &&
	    wh_read_u32(k->x->r, c->addr + info + alloc, &v) && v && v + track < c->size)
		c->kasan_alloc = (uint32_t)(v + track);
	if (wh_lx_offset(k->x, "kasan_cache", "free_meta_offset", &freed) &&
	    wh_lx_offset(k->x, "kasan_free_meta", "free_track", &track) &&
	    wh_read_u32(k->x->r, c->addr + info + freed, &v) && v + track < c->size)
		c->kasan_free = (uint32_t)(v + track);
}

bool wh_kasan_track_read(const struct wh_kslab *k, const struct wh_kcache *c, uint64_t obj,
			 int which, uint32_t *ret_handle, uint32_t *ret_pid)
{
	uint64_t handle, pid, at = which ? c->kasan_free : c->kasan_alloc;

	if (!at || !wh_lx_offset(k->x, "kasan_track", "stack", &handle) ||
	    !wh_read_u32(k->x->r, obj + at + handle, ret_handle) || !*ret_handle)
		return false;
	*ret_pid = 0;
	if (wh_lx_offset(k->x, "kasan_track", "pid", &pid))
		(void)wh_read_u32(k->x->r, obj + at + pid, ret_pid);
	return true;
}
