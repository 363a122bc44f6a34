/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which cache or arena does an address belong to? */
#include "analyzer/alloc/kmem_core.h"

#include <string.h>

#include "analyzer/base/order.h"

/* Among sorted addresses, the last that is not above @addr. */
static bool below(const uint64_t *v, size_t n, uint64_t addr, uint64_t size, uint64_t *ret)
{
	size_t lo = WH_BOUND(i, n, v[i] <= addr);

	if (!lo || addr - v[lo - 1] >= size)
		return false;
	*ret = v[lo - 1];
	return true;
}

static bool cache_holds(struct wh_kmem *k, struct wh_kmem_cache *c, uint64_t addr,
			struct wh_kmem_hit *ret)
{
	struct wh_err *e = wh_kmem_walk_free(k, c);
	const struct wh_kmem_buf *b;

	wh_err_destroy(e);
	*ret = (struct wh_kmem_hit){.cache = c};
	b = wh_kmem_find_buf(c, addr);
	if (b) {
		ret->buf = b->addr;
		ret->ctl = b->ctl;
		/* A kernel buffer that its cache counts as used is in use, whatever its tag says. */
		ret->free = !k->flavour->kernel && wh_kmem_tag_state(k, c, b->addr) == WH_TAG_FREE;
		return true;
	}
	ret->free = true;
	if (below(c->mags.v, c->mags.n, addr, c->chunksize, &ret->buf)) {
		ret->in_magazine = true;
		ret->ctl = wh_kmem_tag_bufctl(k, c, ret->buf);
		return true;
	}
	for (size_t i = 0; i < c->free.n; i++)
		if (addr - c->free.v[i].addr < c->chunksize) {
			ret->buf = c->free.v[i].addr;
			ret->ctl = c->free.v[i].ctl ? c->free.v[i].ctl
						    : wh_kmem_tag_bufctl(k, c, ret->buf);
			return true;
		}
	return false;
}

/* Its "buffers" are numbers, which look like low addresses. */
static bool is_identifier(const struct wh_kmem *k, const struct wh_kmem_cache *c)
{
	return k->flavour->kernel && c->cflags & WH_KMC_IDENTIFIER;
}

bool wh_kmem_find_hit(struct wh_kmem *k, uint64_t addr, struct wh_kmem_hit *ret)
{
	/* Ordinary caches, then the allocator's own, then those that may not be touched. */
	for (int pass = 0; pass < 3; pass++)
		for (size_t i = 0; i < k->caches.n; i++) {
			struct wh_kmem_cache *c = &k->caches.v[i];
			bool own = !strcmp(c->arena_name,
					   k->flavour->kernel ? "kmem_msb" : "umem_internal");
			int rank = c->cflags & WH_KMC_NOTOUCH && k->flavour->kernel ? 2 : own;

			if (rank == pass && !c->lying && !is_identifier(k, c) &&
			    cache_holds(k, c, addr, ret))
				return true;
		}
	return false;
}

struct seg_search {
	uint64_t addr;
	struct wh_vmem_seg *hit;
	bool or_ctl, found;
};

static struct wh_err *seg_search(void *arg, const struct wh_vmem_seg *s)
{
	struct seg_search *q = arg;

	/* the segment itself may be asked for, like a bufctl */
	if (!q->found && s->type == WH_VMEM_ALLOC &&
	    (q->addr - s->start < s->end - s->start || (q->or_ctl && q->addr == s->addr))) {
		*q->hit = *s;
		q->found = true;
	}
	return NULL;
}

struct wh_err *wh_vmem_find_seg(struct wh_kmem *k, const struct wh_vmem *v, uint64_t addr,
				struct wh_vmem_seg *ret, bool *ret_found)
{
	struct seg_search q = {.addr = addr, .hit = ret};

	WH_TRY(wh_vmem_each_seg(k, v, seg_search, &q));
	*ret_found = q.found;
	return NULL;
}

bool wh_kmem_find_oversize(struct wh_kmem *k, const char *const *arenas, uint64_t addr,
			   struct wh_vmem_seg *ret, const char **ret_arena)
{
	for (; *arenas; arenas++) {
		const struct wh_vmem *v = wh_kmem_find_arena(k, *arenas);
		struct seg_search q = {.addr = addr, .hit = ret, .or_ctl = true};

		if (v)
			wh_err_destroy(wh_vmem_each_seg(k, v, seg_search, &q));
		if (q.found) {
			*ret_arena = *arenas;
			return true;
		}
	}
	return false;
}
