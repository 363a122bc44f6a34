/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SLUB: free objects are chained through the objects themselves.
 *
 *	slab->freelist ─► object ─► object ─► 0		objects - inuse of them, unless a CPU owns the slab
 *	cpu->freelist  ─► object ─► 0			the owning CPU's own chain
 *
 * The link lies at kmem_cache.offset of each free object: plain, or (SLAB_FREELIST_HARDENED) xor-ed with
 * kmem_cache.random and with the address of the link, byte-swapped or not.  Distributions moved that
 * swap between releases, so the dump decides: the variant under which the most chains are whole.
 *
 * Slab counters: inuse in bits 0-15, objects in 16-30, frozen in 31 (mm/slab.h, struct slab).
 */
#include "analyzer/alloc/kslab.h"

#include <string.h>

#include "analyzer/base/order.h"

enum link_code { LINK_PLAIN, LINK_XOR, LINK_XOR_SWAP, LINK_COUNT };

/* Chain of a CPU into its current slab. */
struct cpu_chain {
	uint64_t pfn, head;
};
struct slub {
	enum link_code code;
	WH_VEC(struct cpu_chain) chains; /* sorted by pfn */
	bool have_cpus;			 /* the layout of kmem_cache_cpu is known */
};

static uint32_t slub_objects(const struct wh_kslab *k, const struct wh_lx_slab *s)
{
	(void)k;
	return s->counters >> 16 & 0x7fff;
}

static const struct cpu_chain *chain_find(const struct slub *u, uint64_t pfn)
{
	size_t lo = WH_BOUND(i, u->chains.n, u->chains.v[i].pfn < pfn);

	return lo < u->chains.n && u->chains.v[lo].pfn == pfn ? &u->chains.v[lo] : NULL;
}

/*
 * A CPU that takes a slab freezes it and takes its list of free objects along; what others free goes to a new
 * list.  When no CPU is known to have this one (its kmem_cache_cpu or the layout of that was lost), which
 * objects are free is not known.  Slabs on a CPU's partial list are frozen too (until 6.8), but keep their list.
 */
static bool owner_lost(const struct wh_kslab *k, const struct wh_lx_slab *s)
{
	const struct slub *u = k->priv;

	return (s->counters >> 31 & 1) &&
	       (!s->freelist || !u->have_cpus || !k->caches.v[s->cache].cpu_slab);
}

static bool slub_full(const struct wh_kslab *k, const struct wh_lx_slab *s)
{
	uint32_t inuse = s->counters & 0xffff;

	return !s->freelist && inuse == slub_objects(k, s) && !owner_lost(k, s) &&
	       !chain_find(k->priv, s->pfn);
}

static uint64_t link_decode(enum link_code code, uint64_t stored, uint64_t random, uint64_t at)
{
	switch (code) {
	case LINK_XOR: return stored ^ random ^ at;
	case LINK_XOR_SWAP: return stored ^ random ^ __builtin_bswap64(at);
	default: return stored;
	}
}

/*
 * Follows one chain, setting bits.  Returns its length, or UINT32_MAX when it leaves the slab, hits the
 * middle of an object or comes back to one that is on it already.
 */
static uint32_t walk_chain(const struct wh_kslab *k, enum link_code code,
			   const struct wh_lx_slab *s, const uint8_t *mem, uint64_t head,
			   uint64_t *bits)
{
	const struct wh_kcache *c = &k->caches.v[s->cache];
	uint64_t first = wh_kslab_object(k, s, 0);
	uint32_t n = slub_objects(k, s), len = 0;

	for (uint64_t p = head; p; len++) {
		uint64_t off = p - first, i = off / c->size, at;

		if (off % c->size || i >= n || (bits[i / 64] >> (i % 64) & 1))
			return UINT32_MAX;
		bits[i / 64] |= 1ull << (i % 64);
		at = c->pad + off + c->offset;
		if (at + 8 > s->pages * k->x->page_bytes)
			return UINT32_MAX;
		p = wh_lx_ptr(k->x, link_decode(code, wh_get_u64(k->x->abi, mem + at), c->random,
						p + c->offset));
	}
	return len;
}

static bool slub_free_objects(const struct wh_kslab *k, struct wh_reader *r,
			      const struct wh_lx_slab *s, const uint8_t *mem, uint64_t *bits)
{
	const struct slub *u = k->priv;
	const struct cpu_chain *c = chain_find(u, s->pfn);
	const struct cpu_chain *end = c ? u->chains.v + u->chains.n : NULL;
	uint32_t len = walk_chain(k, u->code, s, mem, s->freelist, bits);
	bool good = len != UINT32_MAX, owned = c != NULL;

	(void)r;
	for (; c && c < end && c->pfn == s->pfn; c++)
		good = walk_chain(k, u->code, s, mem, c->head, bits) != UINT32_MAX && good;
	/* A CPU's slab counts all of its objects as used; others count exactly. */
	return good &&
	       (owned || (len == slub_objects(k, s) - (s->counters & 0xffff) && !owner_lost(k, s)));
}

/* ---- what the CPUs hold ---- */

static int chain_cmp(const void *pa, const void *pb)
{
	const struct cpu_chain *a = pa, *b = pb;

	return a->pfn < b->pfn ? -1 : a->pfn > b->pfn;
}

static struct wh_err *chains_open(struct wh_kslab *k, struct slub *u)
{
	struct wh_lx *x = k->x;
	uint64_t off_list, off_slab, head, slab, pfn;

	if (!wh_lx_offset(x, "kmem_cache_cpu", "freelist", &off_list) ||
	    (!wh_lx_offset(x, "kmem_cache_cpu", "slab", &off_slab) &&
	     !wh_lx_offset(x, "kmem_cache_cpu", "page", &off_slab)))
		return NULL; /* no such thing in this kernel (7.0, SLUB_TINY) */
	u->have_cpus = true;
	for (size_t i = 0; i < k->caches.n; i++) {
		uint64_t cpu_slab = k->caches.v[i].cpu_slab;

		if (!k->caches.v[i].valid || !cpu_slab)
			continue;
		for (size_t c = 0; c < x->cpus.n; c++) {
			uint64_t p = cpu_slab + x->cpus.v[c].offset;

			if (!wh_read_word(x->r, p + off_slab, &slab) || !slab ||
			    !wh_read_word(x->r, p + off_list, &head) ||
			    !wh_lx_page_to_pfn(x, wh_lx_ptr(x, slab), &pfn))
				continue;
			WH_TRY(WH_VEC_PUSH(&u->chains,
					   (struct cpu_chain){pfn, wh_lx_ptr(x, head)}));
		}
	}
	if (u->chains.n)
		qsort(u->chains.v, u->chains.n, sizeof(*u->chains.v), chain_cmp);
	return NULL;
}

/* ---- which encoding ---- */

#define PROBE_SLABS 256

static struct wh_err *probe(struct wh_kslab *k, struct slub *u)
{
	struct wh_lx *x = k->x;
	uint32_t whole[LINK_COUNT] = {0}, tried = 0;
	uint8_t *mem WH_AUTO_FREE = NULL;
	size_t cap = 0;
	uint64_t bits[512];

	for (size_t i = 0; i < x->slabs.n && tried < PROBE_SLABS; i++) {
		const struct wh_lx_slab *s = &x->slabs.v[i];
		size_t len = (size_t)(s->pages * x->page_bytes);
		uint32_t n = slub_objects(k, s), used = s->counters & 0xffff;

		/* A chain of two at least: the last link alone says little. */
		if (s->cache == WH_LX_NO_CACHE || !k->caches.v[s->cache].valid || !s->freelist ||
		    used + 2 > n || chain_find(u, s->pfn) || len > (1u << 20))
			continue;
		if (len > cap)
			WH_TRY(wh_vec_reserve_raw(&mem, &cap, len, 1));
		if (wh_read_some(x->r, WH_PHYS, s->pfn << x->ks->page_shift, mem, len, NULL) != len)
			continue;
		tried++;
		for (int c = 0; c < LINK_COUNT; c++) {
			memset(bits, 0, sizeof(bits));
			whole[c] += walk_chain(k, (enum link_code)c, s, mem, s->freelist, bits) ==
				    n - used;
		}
	}
	for (int c = 1; c < LINK_COUNT; c++)
		if (whole[c] > whole[u->code])
			u->code = (enum link_code)c;
	if (tried && whole[u->code] * 2 < tried)
		wh_diag_add(x->t->ctx->diags, WH_DIAG_WARN, "freelist-encoding", 0,
			    "only %u of %u free lists could be followed: free objects may be "
			    "taken for used ones",
			    whole[u->code], tried);
	return NULL;
}

static struct wh_err *slub_open(struct wh_kslab *k)
{
	struct slub *u = wh_calloc(1, sizeof(*u));

	if (!u)
		return &wh_err_nomem;
	k->priv = u;
	WH_TRY(chains_open(k, u));
	WH_TRY(wh_slub_sheaves_take(k));
	WH_TRY(wh_slub_quarantine_take(k));
	return probe(k, u);
}

static void slub_close(struct wh_kslab *k)
{
	struct slub *u = k->priv;

	if (u)
		WH_VEC_FINI(&u->chains);
	free(u);
}

const struct wh_kslab_ops wh_kslab_slub_ops = {
	.name = "slub",
	.open = slub_open,
	.objects = slub_objects,
	.full = slub_full,
	.free_objects = slub_free_objects,
	.close = slub_close,
};
