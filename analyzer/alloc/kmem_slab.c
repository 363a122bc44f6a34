/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Slabs.  A small slab is a page: chunks from the start, its own struct in the last bytes, and the free
 * chunks linked through themselves:
 *
 *	base │chunk│free ──►│chunk│◄── free│ … │struct slab│
 *	            └─ link at chunk + cache_bufctl, to the link of the next
 *
 * slab_chunks - slab_refcnt says how many free ones there must be.  When the list breaks before, the missing
 * ones are among those chunks whose link word could be a link.  If just as many could be, they are the
 * ones; or if those form one chain of the right length that ends in 0.  Otherwise they stay unsure.
 */
#include "analyzer/alloc/kmem_core.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/base/hashmap.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/order.h"

#define SLABS_MAX   (1u << 26)
#define CHUNKS_MAX  65536
#define REFCNT_LIES -1

struct slab {
	uint64_t addr, base, head;
	int64_t refcnt, chunks;
};

enum chunk_state { CHUNK_USED, CHUNK_FREE, CHUNK_UNSURE };

static void damage(struct wh_kmem *k, struct wh_kmem_cache *c, uint64_t addr, const char *what)
{
	c->damaged = true;
	wh_diag_add(k->ctx->diags, WH_DIAG_WARN, "kmem-slab-damaged", addr, "cache %s: %s at %#llx",
		    c->name, what, (unsigned long long)addr);
}

static bool slab_read(struct wh_kmem *k, const struct wh_kmem_cache *c, uint64_t addr,
		      struct slab *s)
{
	uint8_t p[4096];

	if (wh_read_some(k->r, WH_VIRT, addr, p, (size_t)k->l.slab_size, NULL) < k->l.slab_size)
		return false;
	s->addr = addr;
	s->base = wh_kmem_get(k, p, k->l.slab_base);
	s->head = wh_kmem_get(k, p, k->l.slab_head);
	s->refcnt = (int64_t)wh_kmem_get(k, p, k->l.slab_refcnt);
	s->chunks = (int64_t)wh_kmem_get(k, p, k->l.slab_chunks);
	if (k->abi.word == 4) {
		s->refcnt = (int32_t)s->refcnt;
		s->chunks = (int32_t)s->chunks;
	}
	if (s->refcnt < 0 || s->refcnt > s->chunks)
		s->refcnt = REFCNT_LIES;
	return wh_kmem_get(k, p, k->l.slab_cache) == c->addr && s->chunks > 0 &&
	       s->chunks <= CHUNKS_MAX && (uint64_t)s->chunks <= c->slabsize / c->chunksize;
}

/* ---- lists of slabs ---- */

struct slab_lister {
	struct wh_kmem *k;
	struct wh_kmem_cache *c;
	struct wh_map seen;
	wh_slab_vec *out;
};

static struct wh_err *lister_add(struct slab_lister *l, uint64_t slab, bool *ret_fresh)
{
	WH_TRY(wh_map_set(&l->seen, slab, 1, ret_fresh));
	return *ret_fresh ? WH_VEC_PUSH(l->out, slab) : NULL;
}

/* One direction of a circular list; false in *ret_whole when it does not come back to @anchor. */
static struct wh_err *ring_walk(struct slab_lister *l, uint64_t anchor, uint64_t link_at,
				uint64_t back, bool *ret_whole)
{
	uint64_t at = 0;
	struct slab s;
	bool fresh;

	*ret_whole = false;
	if (!wh_read_word(l->k->r, anchor + link_at, &at))
		return NULL;
	for (unsigned int n = 0; at != anchor; n++) {
		if (!at || n > SLABS_MAX || !slab_read(l->k, l->c, at - back, &s))
			return NULL;
		WH_TRY(lister_add(l, at - back, &fresh));
		if (!fresh || !wh_read_word(l->k->r, at + link_at, &at))
			return NULL;
	}
	*ret_whole = true;
	return NULL;
}

/* Forwards, and when that breaks also backwards: one broken link then loses nothing. */
static struct wh_err *ring_both(struct slab_lister *l, uint64_t anchor, uint64_t next_at,
				uint64_t back)
{
	bool whole;

	WH_TRY(ring_walk(l, anchor, next_at, back, &whole));
	if (whole)
		return NULL;
	damage(l->k, l->c, anchor, "the list of slabs breaks");
	return ring_walk(l, anchor, next_at + l->k->abi.word, back, &whole);
}

static struct wh_err *tree_walk(struct slab_lister *l, uint64_t tree)
{
	struct wh_kmem *k = l->k;
	WH_VEC(uint64_t) stack = {0};
	uint64_t root = 0, back = k->l.slab_link.offset;
	struct wh_err *e = NULL;

	wh_kmem_field(k, tree, k->l.avl_offset, &back);
	if (wh_kmem_field(k, tree, k->l.avl_root, &root) && root)
		e = WH_VEC_PUSH(&stack, root);
	while (!e && stack.n) {
		uint64_t node = stack.v[--stack.n], child;
		struct slab s;
		bool fresh = true;

		if (slab_read(k, l->c, node - back, &s))
			e = lister_add(l, node - back, &fresh);
		else
			fresh = false;
		if (!fresh) {
			damage(k, l->c, node, "the tree of partial slabs breaks");
			continue;
		}
		for (unsigned int i = 0; !e && i < 2; i++)
			if (wh_read_word(k->r, node + k->l.avl_child.offset + i * k->abi.word,
					 &child) &&
			    child)
				e = WH_VEC_PUSH(&stack, child);
	}
	WH_VEC_FINI(&stack);
	return e;
}

struct wh_err *wh_kmem_list_slabs(struct wh_kmem *k, struct wh_kmem_cache *c, wh_slab_vec *ret)
{
	const struct wh_field *complete = &k->l.cache[WH_KC_COMPLETE],
			      *partial = &k->l.cache[WH_KC_PARTIAL],
			      *null = &k->l.cache[WH_KC_NULLSLAB];
	struct slab_lister l = {.k = k, .c = c, .out = ret};
	struct wh_err *e = NULL;

	if (complete->found && partial->found && k->l.list_next.found && k->l.avl_child.found) {
		uint64_t list = c->addr + complete->offset, back = k->l.slab_link.offset;

		wh_kmem_field(k, list, k->l.list_offset, &back);
		/* A list node is {next, prev}; the anchor is one inside the list_t. */
		e = ring_both(&l, list + k->l.list_next.offset, 0, back);
		if (!e)
			e = tree_walk(&l, c->addr + partial->offset);
	} else if (null->found && k->l.slab_next.found) {
		e = ring_both(&l, c->addr + null->offset, k->l.slab_next.offset, 0);
	} else {
		damage(k, c, c->addr, "no layout for its lists of slabs");
	}
	wh_map_fini(&l.seen);
	if (ret->n)
		wh_sort(ret->v, ret->n, sizeof(*ret->v), wh_cmp_u64);
	c->slabs = ret->n;
	return e;
}

/* ---- small slabs ---- */

static bool chunk_index(const struct wh_kmem_cache *c, const struct slab *s, uint64_t link,
			uint32_t *ret)
{
	uint64_t off = link - c->bufctl - s->base;

	if (off % c->chunksize || off / c->chunksize >= (uint64_t)s->chunks)
		return false;
	*ret = (uint32_t)(off / c->chunksize);
	return true;
}

static bool chunk_link(struct wh_kmem *k, const struct wh_kmem_cache *c, const struct slab *s,
		       uint32_t i, uint64_t *ret)
{
	return wh_kmem_field(k, s->base + i * c->chunksize + c->bufctl, k->l.bc_next, ret);
}

/*
 * Marks what the free list reaches; true when it is whole: as long as the slab says or, when the slab's
 * count lies, when it ends or comes back to itself.
 */
static bool freelist_walk(struct wh_kmem *k, const struct wh_kmem_cache *c, const struct slab *s,
			  uint8_t *state, int64_t *ret_missing)
{
	bool counted = s->refcnt != REFCNT_LIES, sound = true;
	int64_t want = counted ? s->chunks - s->refcnt : s->chunks, n = 0;
	uint64_t at = s->head;
	uint32_t i;

	while (at && n <= want) {
		sound = chunk_index(c, s, at, &i);
		if (!sound || state[i] != CHUNK_USED)
			break;
		state[i] = CHUNK_FREE;
		n++;
		sound = chunk_link(k, c, s, i, &at);
		if (!sound)
			break;
	}
	*ret_missing = want - n;
	return counted ? n >= want : sound;
}

/* The chunks that could be the @missing free ones; see the top of the file. */
static void freelist_guess(struct wh_kmem *k, const struct wh_kmem_cache *c, const struct slab *s,
			   uint8_t *state, int64_t missing)
{
	uint32_t n = (uint32_t)s->chunks, to, heads = 0, head = 0;
	int64_t could = 0, length = 0;
	uint32_t *next = calloc(n, sizeof(*next));
	uint8_t *target = calloc(n, 1);

	for (uint32_t i = 0; next && target && i < n; i++) {
		uint64_t link;

		if (state[i] != CHUNK_USED || wh_kmem_in_magazine(c, s->base + i * c->chunksize) ||
		    !chunk_link(k, c, s, i, &link) || (link && !chunk_index(c, s, link, &to)))
			continue;
		state[i] = CHUNK_UNSURE;
		could++;
		next[i] = link ? to + 1 : 0;
		if (link)
			target[to] = 1;
	}
	if (could > missing) {
		for (uint32_t i = 0; next && target && i < n; i++)
			if (state[i] == CHUNK_UNSURE && next[i] && !target[i]) {
				heads++;
				head = i + 1;
			}
		for (uint32_t at = head; heads == 1 && at && length <= missing; length++)
			at = state[at - 1] == CHUNK_UNSURE ? next[at - 1] : 0;
		if (heads == 1 && length == missing) {
			for (uint32_t at = head; at; at = next[at - 1])
				state[at - 1] = CHUNK_FREE;
			for (uint32_t i = 0; i < n; i++)
				state[i] = state[i] == CHUNK_UNSURE ? CHUNK_USED : state[i];
		}
	} else {
		for (uint32_t i = 0; i < n; i++)
			state[i] = state[i] == CHUNK_UNSURE ? CHUNK_FREE : state[i];
	}
	free(next);
	free(target);
}

static struct wh_err *small_slab(struct wh_kmem *k, struct wh_kmem_cache *c, uint64_t addr)
{
	uint8_t state[CHUNKS_MAX];
	struct slab s;
	int64_t missing;

	if (!slab_read(k, c, addr, &s)) {
		damage(k, c, addr, "a slab that contradicts itself");
		return NULL;
	}
	if (!wh_kmem_spend(k, 4 * (uint64_t)s.chunks)) {
		c->damaged = true;
		return NULL;
	}
	memset(state, CHUNK_USED, (size_t)s.chunks);
	if (!freelist_walk(k, c, &s, state, &missing)) {
		damage(k, c, addr, "a broken free list of the slab");
		if (!(c->flags & WH_KMF_BUFTAG))
			freelist_guess(k, c, &s, state, missing);
	}
	for (uint32_t i = 0; i < (uint32_t)s.chunks; i++) {
		uint64_t buf = s.base + i * c->chunksize;

		if (state[i] == CHUNK_UNSURE)
			WH_TRY(WH_VEC_PUSH(&c->unsure, buf));
		else if (state[i] == CHUNK_FREE)
			WH_TRY(WH_VEC_PUSH(&c->free, (struct wh_kmem_buf){buf, 0}));
		else if (!wh_kmem_in_magazine(c, buf))
			WH_TRY(WH_VEC_PUSH(&c->bufs, (struct wh_kmem_buf){buf, 0}));
	}
	return NULL;
}

struct wh_err *wh_kmem_walk_small(struct wh_kmem *k, struct wh_kmem_cache *c)
{
	wh_slab_vec slabs = {0};
	struct wh_err *e = wh_kmem_list_slabs(k, c, &slabs);

	for (size_t i = 0; !e && i < slabs.n; i++)
		e = small_slab(k, c, slabs.v[i]);
	WH_VEC_FINI(&slabs);
	c->slab_frees = c->free.n;
	if (!e)
		wh_kmem_sort_bufs(c);
	return e;
}

/* ---- caches with a hash ---- */

/* The free bufctls of a slab; true when there are as many as there should be. */
static struct wh_err *slab_free_bufctls(struct wh_kmem *k, struct wh_kmem_cache *c,
					const struct slab *s, bool *ret_whole)
{
	uint64_t at = s->head, addr;
	int64_t want = s->refcnt == REFCNT_LIES ? s->chunks : s->chunks - s->refcnt, n = 0;

	for (; at && n <= want && wh_kmem_spend(k, 4); n++) {
		uint64_t off;

		if (!wh_kmem_field(k, at, k->l.bc_addr, &addr))
			break;
		off = addr - s->base;
		if (off % c->chunksize || off / c->chunksize >= (uint64_t)s->chunks)
			break;
		WH_TRY(WH_VEC_PUSH(&c->free, (struct wh_kmem_buf){addr, at}));
		if (!wh_kmem_field(k, at, k->l.bc_next, &at))
			break;
	}
	*ret_whole = n >= want || (s->refcnt == REFCNT_LIES && !at);
	return NULL;
}

static int buf_cmp(const void *pa, const void *pb)
{
	const struct wh_kmem_buf *a = pa, *b = pb;

	return a->addr < b->addr ? -1 : a->addr > b->addr;
}

static bool known_free(const struct wh_kmem_cache *c, uint64_t buf)
{
	struct wh_kmem_buf key = {buf, 0};

	return c->free.n && bsearch(&key, c->free.v, c->free.n, sizeof(key), buf_cmp);
}

struct wh_err *wh_kmem_walk_free(struct wh_kmem *k, struct wh_kmem_cache *c)
{
	wh_slab_vec slabs = {0};
	struct wh_err *e;

	WH_TRY(wh_kmem_walk(k, c));
	if (c->walked_free || c->lying)
		return NULL;
	c->walked_free = true;
	e = wh_kmem_list_slabs(k, c, &slabs);
	for (size_t i = 0; !e && i < slabs.n; i++) {
		struct slab s;
		bool whole = true;

		if (slab_read(k, c, slabs.v[i], &s))
			e = slab_free_bufctls(k, c, &s, &whole);
		if (!whole)
			damage(k, c, slabs.v[i], "a broken free list of the slab");
	}
	WH_VEC_FINI(&slabs);
	c->slab_frees = c->free.n;
	if (c->free.n)
		wh_sort(c->free.v, c->free.n, sizeof(*c->free.v), buf_cmp);
	return e;
}

static struct wh_err *recover_slab(struct wh_kmem *k, struct wh_kmem_cache *c, const struct slab *s,
				   bool whole)
{
	for (uint32_t i = 0; i < (uint32_t)s->chunks; i++) {
		uint64_t buf = s->base + i * c->chunksize;
		const struct wh_kmem_buf *known = wh_kmem_find_buf(c, buf);

		if ((known && known->addr == buf) || known_free(c, buf) ||
		    wh_kmem_in_magazine(c, buf) || wh_kmem_tag_state(k, c, buf) == WH_TAG_FREE)
			continue;
		if (whole || wh_kmem_tag_state(k, c, buf) == WH_TAG_ALLOC)
			WH_TRY(WH_VEC_PUSH(&c->unsure, buf)); /* sorted in below */
		else
			WH_TRY(WH_VEC_PUSH(&c->unsure, buf | 1));
	}
	return NULL;
}

struct wh_err *wh_kmem_recover(struct wh_kmem *k, struct wh_kmem_cache *c)
{
	wh_slab_vec slabs = {0};
	struct wh_err *e = wh_kmem_walk_free(k, c);
	size_t unsure, found, start = c->unsure.n;

	if (!e)
		e = wh_kmem_list_slabs(k, c, &slabs);
	for (size_t i = 0; !e && i < slabs.n; i++) {
		struct slab s;
		int64_t n = 0;

		if (!slab_read(k, c, slabs.v[i], &s) || !wh_kmem_spend(k, 4 * (uint64_t)s.chunks))
			continue;
		for (int64_t j = 0; j < s.chunks; j++)
			n += known_free(c, s.base + (uint64_t)j * c->chunksize);
		e = recover_slab(k, c, &s, s.refcnt != REFCNT_LIES && n >= s.chunks - s.refcnt);
	}
	WH_VEC_FINI(&slabs);
	/* Bit 0 tells the undecided ones from those that are in use after all. */
	found = c->unsure.n;
	unsure = start;
	for (size_t i = start; !e && i < found; i++) {
		uint64_t buf = c->unsure.v[i];

		if (buf & 1)
			c->unsure.v[unsure++] = buf & ~1ull;
		else
			e = WH_VEC_PUSH(&c->bufs,
					(struct wh_kmem_buf){buf, wh_kmem_tag_bufctl(k, c, buf)});
	}
	c->unsure.n = unsure;
	wh_kmem_sort_bufs(c);
	return e;
}
