/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SLAB (mm/slab.c, until 6.7): a slab has an array of object numbers, of which the entries from `active`
 * on are free:
 *
 *	index array:	[ used … | active: free … num )		on the slab or in another object
 *	objects:	s_mem + i * size
 *
 * Objects in per-CPU, shared and alien arrays are free as well, although the slab counts them as active.
 */
#include "analyzer/alloc/kslab.h"

#include <string.h>

#include "analyzer/base/limits.h"

#define MAX_ARRAY 4096 /* entries of an array_cache believed */

struct slab_model {
	size_t index_size;     /* [bytes] of freelist_idx_t */
	uint64_t avail, entry; /* array_cache */
};

static uint32_t slab_objects(const struct wh_kslab *k, const struct wh_lx_slab *s)
{
	uint32_t n = k->caches.v[s->cache].num;

	return n <= 32767 && s->counters <= n ? n : 0;
}

static bool slab_full(const struct wh_kslab *k, const struct wh_lx_slab *s)
{
	return s->counters == slab_objects(k, s);
}

static bool slab_free_objects(const struct wh_kslab *k, struct wh_reader *r,
			      const struct wh_lx_slab *s, const uint8_t *mem, uint64_t *bits)
{
	const struct slab_model *m = k->priv;
	uint32_t n = slab_objects(k, s);
	uint64_t va = wh_kspace_pfn_to_virt(k->x->ks, s->pfn);
	uint64_t bytes = s->pages * k->x->page_bytes, len = n * m->index_size;
	uint8_t far[65536];
	const uint8_t *idx = far;

	if (s->freelist >= va && s->freelist < va + bytes) {
		if (len > va + bytes - s->freelist)
			return false;
		idx = mem + (s->freelist - va);
	} else if (len > sizeof(far) ||
		   wh_read_some(r, WH_VIRT, s->freelist, far, len, NULL) != len) {
		return false;
	}
	for (uint32_t i = s->counters; i < n; i++) {
		uint64_t o = wh_get_uint(k->x->abi, idx + i * m->index_size, m->index_size);

		if (o >= n || (bits[o / 64] >> (o % 64) & 1))
			return false;
		bits[o / 64] |= 1ull << (o % 64);
	}
	return true;
}

/* Remembers what one array_cache holds. */
static struct wh_err *array_cache(struct wh_kslab *k, uint64_t ac)
{
	const struct slab_model *m = k->priv;
	uint32_t avail;
	uint64_t obj;

	if (!ac || !wh_read_u32(k->x->r, ac + m->avail, &avail) || avail > MAX_ARRAY)
		return NULL;
	for (uint32_t i = 0; i < avail; i++)
		if (wh_read_word(k->x->r, ac + m->entry + (uint64_t)i * k->x->abi.word, &obj) &&
		    obj)
			WH_TRY(WH_VEC_PUSH(&k->held, wh_lx_ptr(k->x, obj)));
	return NULL;
}

struct node_layout {
	uint64_t node, shared, alien, alien_ac, nr_nodes;
	bool have_node, have_shared, have_alien;
};

static struct wh_err *node_arrays(struct wh_kslab *k, const struct node_layout *l, uint64_t node)
{
	struct wh_lx *x = k->x;
	uint64_t p, alien;

	if (l->have_shared && wh_read_word(x->r, node + l->shared, &p))
		WH_TRY(array_cache(k, wh_lx_ptr(x, p)));
	if (!l->have_alien || !wh_read_word(x->r, node + l->alien, &alien) || !alien)
		return NULL;
	for (uint64_t i = 0; i < l->nr_nodes; i++)
		if (wh_read_word(x->r, alien + i * x->abi.word, &p) && p)
			WH_TRY(array_cache(k, wh_lx_ptr(x, p) + l->alien_ac));
	return NULL;
}

static struct wh_err *cache_arrays(struct wh_kslab *k, const struct node_layout *l, uint64_t addr,
				   uint64_t off_cpu)
{
	struct wh_lx *x = k->x;
	uint64_t cpu, node;

	if (wh_read_word(x->r, addr + off_cpu, &cpu) && cpu)
		for (size_t c = 0; c < x->cpus.n; c++)
			WH_TRY(array_cache(k, cpu + x->cpus.v[c].offset));
	for (uint64_t i = 0; l->have_node && i < l->nr_nodes; i++)
		if (wh_read_word(x->r, addr + l->node + i * x->abi.word, &node) && node)
			WH_TRY(node_arrays(k, l, wh_lx_ptr(x, node)));
	return NULL;
}

static struct wh_err *slab_open(struct wh_kslab *k)
{
	struct wh_lx *x = k->x;
	struct slab_model *m = wh_calloc(1, sizeof(*m));
	struct node_layout l = {.nr_nodes = 1};
	struct wh_type_info info;
	struct wh_type t;
	uint64_t off_cpu, nodes;

	if (!m)
		return &wh_err_nomem;
	k->priv = m;
	m->index_size = x->page_bytes >> 8 <= 16 ? 1 : 2; /* FREELIST_BYTE_INDEX, mm/slab.c */
	if (wh_types_find(x->names->types, "freelist_idx_t", NULL, &t)) {
		struct wh_err *e = wh_type_get_info(wh_type_strip(t), &info);

		if (!e && (info.size == 1 || info.size == 2))
			m->index_size = (size_t)info.size;
		wh_err_destroy(e);
	}
	if (!wh_lx_offset(x, "array_cache", "avail", &m->avail) ||
	    !wh_lx_offset(x, "array_cache", "entry", &m->entry) ||
	    !wh_lx_offset(x, "kmem_cache", "cpu_cache", &off_cpu))
		return NULL;
	l.have_node = wh_lx_offset(x, "kmem_cache", "node", &l.node);
	l.have_shared = wh_lx_offset(x, "kmem_cache_node", "shared", &l.shared);
	l.have_alien = wh_lx_offset(x, "kmem_cache_node", "alien", &l.alien) &&
		       wh_lx_offset(x, "alien_cache", "ac", &l.alien_ac);
	if (wh_lx_symbol(x, "nr_node_ids", &nodes)) {
		uint32_t n;

		if (wh_read_u32(x->r, nodes, &n) && n <= 1024)
			l.nr_nodes = n;
	}
	for (size_t i = 0; i < k->caches.n; i++)
		if (k->caches.v[i].valid)
			WH_TRY(cache_arrays(k, &l, k->caches.v[i].addr, off_cpu));
	return NULL;
}

static void slab_close(struct wh_kslab *k)
{
	free(k->priv);
}

const struct wh_kslab_ops wh_kslab_slab_ops = {
	.name = "slab",
	.open = slab_open,
	.objects = slab_objects,
	.full = slab_full,
	.free_objects = slab_free_objects,
	.close = slab_close,
};
