/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmem arenas and their segments. */
#include "analyzer/alloc/kmem_core.h"

#include <string.h>

#include "analyzer/base/hashmap.h"
#include "analyzer/base/limits.h"

#define ARENAS_MAX     4096
#define SEG_MAX	       4096
#define VMC_IDENTIFIER 0x40000 /* illumos uts/common/sys/vmem.h: not backed by memory */

static uint64_t kstat(struct wh_kmem *k, uint64_t arena, struct wh_field f)
{
	uint64_t v = 0;

	/* A kstat value is a union that begins with the 64-bit member. */
	if (f.size > 8 || f.size < 4)
		f.size = 8;
	wh_kmem_field(k, arena, f, &v);
	return v;
}

static bool arena_read(struct wh_kmem *k, uint64_t addr, struct wh_vmem *v)
{
	const struct wh_kmem_layout *l = &k->l;
	size_t len = l->vm_name.size < 30 ? (size_t)l->vm_name.size : 30;
	uint64_t cflags;

	memset(v, 0, sizeof(*v));
	v->addr = addr;
	if (wh_read_some(k->r, WH_VIRT, addr + l->vm_name.offset, v->name, len, NULL) < len)
		return false;
	for (char *s = v->name; *s; s++)
		if ((unsigned char)*s < ' ' || (unsigned char)*s > '~')
			*s = '?';
	v->identifier = wh_kmem_field(k, addr, l->vm_cflags, &cflags) && cflags & VMC_IDENTIFIER;
	wh_kmem_field(k, addr, l->vm_quantum, &v->quantum);
	wh_kmem_field(k, addr, l->vm_source, &v->source);
	v->seg0 = addr + l->vm_seg0.offset;
	v->inuse = kstat(k, addr, l->vk_inuse);
	v->import = kstat(k, addr, l->vk_import);
	v->total = kstat(k, addr, l->vk_total);
	v->alloc = kstat(k, addr, l->vk_alloc);
	v->free = kstat(k, addr, l->vk_free);
	v->fail = kstat(k, addr, l->vk_fail);
	return true;
}

struct wh_err *wh_kmem_read_arenas(struct wh_kmem *k)
{
	struct wh_map seen = WH_MAP_INIT;
	struct wh_err *e = NULL;
	uint64_t at = 0;
	bool fresh;

	/* a process may find them without symbols (wh_kmem_add_arena) */
	if (!wh_kmem_var_word(k, "vmem_list", &at) && k->flavour->kernel)
		wh_diag_add(k->ctx->diags, WH_DIAG_WARN, "vmem-list", 0,
			    "the list of vmem arenas (vmem_list) cannot be found");
	while (at && !e) {
		struct wh_vmem v;

		e = wh_map_set(&seen, at, 1, &fresh);
		if (!e && (!fresh || k->arenas.n >= ARENAS_MAX || !arena_read(k, at, &v))) {
			wh_diag_add(k->ctx->diags, WH_DIAG_ERROR, "vmem-list", at,
				    "the list of vmem arenas breaks at %#llx after %zu arenas",
				    (unsigned long long)at, k->arenas.n);
			break;
		}
		if (!e)
			e = WH_VEC_PUSH(&k->arenas, v);
		if (!e && !wh_kmem_field(k, at, k->l.vm_next, &at))
			at = 0;
	}
	wh_map_fini(&seen);
	return e;
}

struct wh_err *wh_kmem_add_arena(struct wh_kmem *k, uint64_t addr)
{
	struct wh_vmem v;

	for (size_t i = 0; i < k->arenas.n; i++)
		if (k->arenas.v[i].addr == addr)
			return NULL;
	if (k->arenas.n >= ARENAS_MAX || !arena_read(k, addr, &v))
		return NULL;
	return WH_VEC_PUSH(&k->arenas, v);
}

struct wh_vmem *wh_kmem_find_arena(struct wh_kmem *k, const char *name)
{
	for (size_t i = 0; i < k->arenas.n; i++)
		if (!strcmp(k->arenas.v[i].name, name))
			return &k->arenas.v[i];
	return NULL;
}

bool wh_vmem_read_seg(struct wh_kmem *k, uint64_t addr, struct wh_vmem_seg *ret)
{
	const struct wh_kmem_layout *l = &k->l;
	uint8_t p[SEG_MAX] = {0};
	struct wh_vmem_seg s = {.addr = addr};

	if (wh_read_some(k->r, WH_VIRT, addr, p, (size_t)k->seg_read, NULL) < k->seg_read)
		return false;
	s.start = wh_kmem_get(k, p, l->vs_start);
	s.end = wh_kmem_get(k, p, l->vs_end);
	s.type = (uint8_t)wh_kmem_get(k, p, l->vs_type);
	s.depth = (uint8_t)wh_kmem_get(k, p, l->vs_depth);
	/* Without auditing the segments stop before these. */
	s.thread = wh_kmem_get(k, p, l->vs_thread);
	s.timestamp = (int64_t)wh_kmem_get(k, p, l->vs_timestamp);
	if (s.depth > 20 || l->vs_stack.offset + (uint64_t)s.depth * k->abi.word > k->seg_read)
		s.depth = 0;
	for (size_t i = 0; i < s.depth; i++)
		s.stack[i] = wh_get_word(k->abi, p + l->vs_stack.offset + i * k->abi.word);
	*ret = s;
	return true;
}

struct wh_err *wh_vmem_each_seg(struct wh_kmem *k, const struct wh_vmem *v, wh_vmem_seg_fn fn,
				void *arg)
{
	struct wh_map seen = WH_MAP_INIT;
	struct wh_err *e = NULL;
	uint64_t at = 0, steps = 0;
	bool fresh;

	if (!wh_kmem_field(k, v->seg0, k->l.vs_anext, &at))
		at = 0;
	while (!e && at != v->seg0) {
		struct wh_vmem_seg s;

		e = wh_map_set(&seen, at, 1, &fresh);
		if (e)
			break;
		if (!at || !fresh || ++steps > WH_LIMIT_LIST_STEPS ||
		    !wh_vmem_read_seg(k, at, &s)) {
			wh_diag_add(k->ctx->diags, WH_DIAG_WARN, "vmem-segs-damaged", at,
				    "vmem arena %s: the list of segments breaks at %#llx after "
				    "%llu segments",
				    v->name, (unsigned long long)at, (unsigned long long)steps);
			break;
		}
		e = fn(arg, &s);
		if (!e && !wh_kmem_field(k, at, k->l.vs_anext, &at))
			at = 0;
	}
	wh_map_fini(&seen);
	return e;
}
