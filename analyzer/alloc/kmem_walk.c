/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which buffers of a cache are in use?
 *
 *	hash table ─► bufctl ─► bufctl ─► 0		every allocated buffer, and those in magazines
 *	minus the contents of the magazines
 *
 * Chains are short but their bufctls lie all over memory.  They are therefore followed level by level:
 * all first elements sorted by address, then all second ones; a page of the dump is then decoded a few
 * times, not once a bufctl.  A chain element must hash back to its bucket, so that a wild link ends its
 * chain instead of leading into other data; a loop is seen by remembering the long chains.
 */
#include "analyzer/alloc/kmem_core.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/base/hashmap.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/order.h"

#define HASH_MAX      (1ull << 28)
#define LONG_CHAIN    64
#define MAGAZINES_MAX (1u << 22)
#define TABLE_READ    4096

static void damage(struct wh_kmem *k, struct wh_kmem_cache *c, const char *id, uint64_t addr,
		   const char *what)
{
	c->damaged = true;
	wh_diag_add(k->ctx->diags, WH_DIAG_WARN, id, addr, "cache %s: %s at %#llx", c->name, what,
		    (unsigned long long)addr);
}

/* ---- magazines ---- */

static struct wh_err *mag_rounds(struct wh_kmem *k, struct wh_kmem_cache *c, uint64_t mag,
				 uint64_t rounds)
{
	if (!wh_kmem_spend(k, 4 * rounds))
		rounds = 0;
	for (uint64_t i = 0; i < rounds; i++) {
		uint64_t buf;

		if (!wh_read_word(k->r, mag + k->l.mag_round.offset + i * k->abi.word, &buf)) {
			damage(k, c, "kmem-magazine-damaged", mag, "unreadable magazine");
			break;
		}
		if (buf)
			WH_TRY(WH_VEC_PUSH(&c->mags, buf));
	}
	return NULL;
}

static struct wh_err *mag_depot(struct wh_kmem *k, struct wh_kmem_cache *c)
{
	struct wh_map seen = WH_MAP_INIT;
	struct wh_err *e = NULL;
	uint64_t mag = c->depot_full;
	bool fresh;

	for (unsigned int n = 0; mag && !e; n++) {
		e = wh_map_set(&seen, mag, 1, &fresh);
		if (e)
			break;
		if (!fresh || n >= MAGAZINES_MAX || !wh_kmem_spend(k, 4)) {
			damage(k, c, "kmem-magazine-damaged", mag, "the depot list loops");
			break;
		}
		e = mag_rounds(k, c, mag, c->magsize);
		if (!e && !wh_kmem_field(k, mag, k->l.mag_next, &mag)) {
			damage(k, c, "kmem-magazine-damaged", mag, "the depot list breaks");
			break;
		}
	}
	wh_map_fini(&seen);
	return e;
}

/* A signed count of 16 or 32 bits; the panicking CPU parks its own elsewhere and leaves -1 here. */
static int64_t cpu_rounds(struct wh_kmem *k, uint64_t cpu, struct wh_field f)
{
	uint64_t v = 0;

	if (!wh_kmem_field(k, cpu, f, &v))
		return 0;
	return f.size == 2 ? (int16_t)v : (int32_t)v;
}

/* A magazine whose count lies: any of its slots may be stale.  Tags decide, or nobody can. */
static struct wh_err *mag_doubtful(struct wh_kmem *k, struct wh_kmem_cache *c, uint64_t mag)
{
	uint64_t buf;

	for (uint32_t i = 0; i < c->magsize; i++)
		if (wh_read_word(k->r, mag + k->l.mag_round.offset + i * k->abi.word, &buf) && buf)
			WH_TRY(WH_VEC_PUSH(&c->unsure, buf));
	return NULL;
}

static struct wh_err *mag_cpu(struct wh_kmem *k, struct wh_kmem_cache *c, uint64_t cpu)
{
	const struct wh_kmem_layout *l = &k->l;
	uint64_t flags = 0, mag, allocs = 0;
	bool diverted;

	if (!wh_kmem_spend(k, 8) || !wh_kmem_field(k, cpu, l->cpu_flags, &flags))
		return NULL;
	wh_kmem_field(k, cpu, l->cpu_alloc, &allocs);
	c->cpu_allocs += allocs;
	diverted = k->flavour->kernel && (flags & WH_KMF_DUMPDIVERT) && l->cpu_dump_rounds.found;
	for (int previous = 0; previous < 2; previous++) {
		struct wh_field f = previous ? (diverted ? l->cpu_dump_prounds : l->cpu_prounds)
					     : (diverted ? l->cpu_dump_rounds : l->cpu_rounds);
		int64_t n = cpu_rounds(k, cpu, f);

		if (n <= 0 ||
		    !wh_kmem_field(k, cpu, previous ? l->cpu_ploaded : l->cpu_loaded, &mag) || !mag)
			continue;
		if (n > (c->magsize ? c->magsize : 4096)) {
			damage(k, c, "kmem-magazine-damaged", cpu, "more rounds than fit");
			WH_TRY(mag_doubtful(k, c, mag));
			continue;
		}
		WH_TRY(mag_rounds(k, c, mag, (uint64_t)n));
	}
	return NULL;
}

struct wh_err *wh_kmem_walk_magazines(struct wh_kmem *k, struct wh_kmem_cache *c)
{
	uint64_t first = c->addr + k->l.cache[WH_KC_CPU].offset;

	if (c->magsize)
		WH_TRY(mag_depot(k, c));
	for (uint64_t i = 0; i < k->ncpus; i++)
		WH_TRY(mag_cpu(k, c, first + i * k->l.cpu_size));
	if (c->mags.n) {
		size_t out = 0;

		wh_sort(c->mags.v, c->mags.n, sizeof(*c->mags.v), wh_cmp_u64);
		for (size_t i = 1; i < c->mags.n; i++)
			if (c->mags.v[i] != c->mags.v[out])
				c->mags.v[++out] = c->mags.v[i];
		c->mags.n = out + 1;
	}
	return NULL;
}

bool wh_kmem_in_magazine(const struct wh_kmem_cache *c, uint64_t buf)
{
	return c->mags.n && bsearch(&buf, c->mags.v, c->mags.n, sizeof(buf), wh_cmp_u64);
}

/* ---- the hash ---- */

struct link {
	uint64_t ctl, bucket;
};
struct hash_walk {
	struct wh_kmem *k;
	struct wh_kmem_cache *c;
	WH_VEC(struct link) now, next;
	struct wh_map seen;  /* bufctls of long chains */
	struct wh_map slabs; /* slab -> base, of slabs that are this cache's */
};

static int link_cmp(const void *pa, const void *pb)
{
	const struct link *a = pa, *b = pb;

	return a->ctl < b->ctl ? -1 : a->ctl > b->ctl;
}

static struct wh_err *hash_heads(struct hash_walk *w)
{
	struct wh_kmem *k = w->k;
	uint64_t n = w->c->hash_mask + 1, done = 0;
	uint8_t p[TABLE_READ];

	if (n & (n - 1) || !n || n > HASH_MAX) {
		damage(k, w->c, "kmem-hash-damaged", w->c->hash_table, "impossible hash mask");
		return NULL;
	}
	while (done < n) {
		size_t want = (size_t)(n - done) * k->abi.word, got;

		want = n - done > sizeof(p) / k->abi.word ? sizeof(p) : want;
		got = wh_read_some(k->r, WH_VIRT, w->c->hash_table + done * k->abi.word, p, want,
				   NULL);
		if (!wh_kmem_spend(k, 1 + got / k->abi.word))
			break;
		for (size_t i = 0; i < got / k->abi.word; i++) {
			uint64_t ctl = wh_get_word(k->abi, p + i * k->abi.word);

			if (ctl)
				WH_TRY(WH_VEC_PUSH(&w->next, (struct link){ctl, done + i}));
		}
		if (got < want)
			damage(k, w->c, "kmem-hash-damaged",
			       w->c->hash_table + done * k->abi.word + got,
			       "unreadable hash table");
		done += want / k->abi.word;
	}
	return NULL;
}

/* Does @buf lie in the slab that the bufctl names, and is that slab ours?  Asked once a slab. */
static bool slab_holds(struct hash_walk *w, uint64_t slab, uint64_t buf)
{
	struct wh_kmem *k = w->k;
	uint64_t base = 0, cache;

	if (!wh_map_find(&w->slabs, slab, &base)) {
		if (!wh_kmem_field(k, slab, k->l.slab_cache, &cache) || cache != w->c->addr ||
		    !wh_kmem_field(k, slab, k->l.slab_base, &base))
			return false;
		if (wh_map_set(&w->slabs, slab, base, NULL))
			return false;
	}
	return buf - base < w->c->slabsize;
}

static bool record_sane(struct hash_walk *w, const uint8_t *p, uint64_t buf, uint64_t bucket)
{
	const struct wh_kmem *k = w->k;
	const struct wh_kmem_cache *c = w->c;

	if (((buf >> c->hash_shift) & c->hash_mask) != bucket || buf % k->abi.word)
		return false;
	if (c->flags & WH_KMF_AUDIT)
		return wh_kmem_get(k, p, k->l.bc_cache) == c->addr;
	return slab_holds(w, wh_kmem_get(k, p, k->l.bc_slab), buf);
}

static struct wh_err *hash_element(struct hash_walk *w, const struct link *at)
{
	struct wh_kmem *k = w->k;
	const struct wh_field *last = w->c->flags & WH_KMF_AUDIT ? &k->l.bc_cache : &k->l.bc_slab;
	size_t len = (size_t)(last->offset + last->size);
	uint8_t p[256];
	uint64_t buf, next;

	if (!wh_kmem_spend(k, 4) || len > sizeof(p) ||
	    wh_read_some(k->r, WH_VIRT, at->ctl, p, len, NULL) < len) {
		damage(k, w->c, "kmem-hash-damaged", at->ctl, "unreadable bufctl");
		return NULL;
	}
	buf = wh_kmem_get(k, p, k->l.bc_addr);
	next = wh_kmem_get(k, p, k->l.bc_next);
	if (!record_sane(w, p, buf, at->bucket)) {
		damage(k, w->c, "kmem-hash-damaged", at->ctl, "a bufctl that is not this chain's");
		return NULL;
	}
	if (!wh_kmem_in_magazine(w->c, buf))
		WH_TRY(WH_VEC_PUSH(&w->c->bufs, (struct wh_kmem_buf){buf, at->ctl}));
	if (next)
		WH_TRY(WH_VEC_PUSH(&w->next, (struct link){next, at->bucket}));
	return NULL;
}

/* Level after level; chains longer than any real one are watched for loops. */
static struct wh_err *hash_levels(struct hash_walk *w)
{
	for (unsigned int level = 0; w->next.n; level++) {
		struct link *v = w->now.v;
		size_t cap = w->now.cap;

		w->now.v = w->next.v;
		w->now.n = w->next.n;
		w->now.cap = w->next.cap;
		w->next.v = v;
		w->next.n = 0;
		w->next.cap = cap;
		wh_sort(w->now.v, w->now.n, sizeof(*w->now.v), link_cmp);
		for (size_t i = 0; i < w->now.n; i++) {
			bool fresh = true;

			if (level >= LONG_CHAIN)
				WH_TRY(wh_map_set(&w->seen, w->now.v[i].ctl, 1, &fresh));
			if (!fresh) {
				damage(w->k, w->c, "kmem-hash-damaged", w->now.v[i].ctl,
				       "a hash chain loops");
				continue;
			}
			WH_TRY(hash_element(w, &w->now.v[i]));
		}
		if (wh_ctx_cancelled(w->k->ctx))
			return &wh_err_cancelled;
	}
	return NULL;
}

static int buf_cmp(const void *pa, const void *pb)
{
	const struct wh_kmem_buf *a = pa, *b = pb;

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	return a->ctl < b->ctl ? -1 : a->ctl > b->ctl;
}

void wh_kmem_sort_bufs(struct wh_kmem_cache *c)
{
	size_t out = 0;

	if (c->bufs.n < 2)
		return;
	wh_sort(c->bufs.v, c->bufs.n, sizeof(*c->bufs.v), buf_cmp);
	for (size_t i = 1; i < c->bufs.n; i++)
		if (c->bufs.v[i].addr != c->bufs.v[out].addr)
			c->bufs.v[++out] = c->bufs.v[i];
	c->bufs.n = out + 1;
}

struct wh_err *wh_kmem_walk_hash(struct wh_kmem *k, struct wh_kmem_cache *c)
{
	struct hash_walk w = {.k = k, .c = c};
	struct wh_err *e = hash_heads(&w);

	if (!e)
		e = hash_levels(&w);
	WH_VEC_FINI(&w.now);
	WH_VEC_FINI(&w.next);
	wh_map_fini(&w.seen);
	wh_map_fini(&w.slabs);
	if (!e)
		wh_kmem_sort_bufs(c);
	return e;
}

/* ---- a cache ---- */

enum wh_kmem_tag wh_kmem_tag_state(struct wh_kmem *k, const struct wh_kmem_cache *c, uint64_t buf)
{
	uint64_t ctl, x;

	if (!(c->flags & WH_KMF_BUFTAG) ||
	    !wh_kmem_field(k, buf + c->buftag, k->l.bt_bufctl, &ctl) ||
	    !wh_kmem_field(k, buf + c->buftag, k->l.bt_bxstat, &x))
		return WH_TAG_NONE;
	x = (uint32_t)(ctl ^ x);
	return x == WH_KMEM_TAG_ALLOC  ? WH_TAG_ALLOC
	       : x == WH_KMEM_TAG_FREE ? WH_TAG_FREE
				       : WH_TAG_NONE;
}

/*
 * After damage: what the buffers say themselves outweighs the lists; what is in doubt is not in use.
 * Doubtful addresses that are no buffers of the cache vanish here too: they are in neither list.
 */
static struct wh_err *settle(struct wh_kmem *k, struct wh_kmem_cache *c)
{
	size_t out = 0, kept = 0;

	if (c->unsure.n)
		qsort(c->unsure.v, c->unsure.n, sizeof(*c->unsure.v), wh_cmp_u64);
	for (size_t i = 0; i < c->unsure.n; i++) {
		uint64_t buf = c->unsure.v[i];
		enum wh_kmem_tag tag = wh_kmem_tag_state(k, c, buf);
		const struct wh_kmem_buf *known = wh_kmem_find_buf(c, buf);
		bool twice = i && buf == c->unsure.v[i - 1];

		if (tag == WH_TAG_NONE && !twice && (!known || known->addr == buf))
			c->unsure.v[kept++] = buf;
	}
	c->unsure.n = kept;
	for (size_t i = 0; i < c->bufs.n; i++) {
		struct wh_kmem_buf b = c->bufs.v[i];

		if (wh_kmem_tag_state(k, c, b.addr) == WH_TAG_FREE)
			WH_TRY(WH_VEC_PUSH(&c->free, b));
		else if (!kept || !bsearch(&b.addr, c->unsure.v, kept, sizeof(b.addr), wh_cmp_u64))
			c->bufs.v[out++] = b;
	}
	c->bufs.n = out;
	return NULL;
}

struct wh_err *wh_kmem_walk(struct wh_kmem *k, struct wh_kmem_cache *c)
{
	if (c->walked)
		return NULL;
	c->walked = true;
	if (c->lying)
		return NULL;
	WH_TRY(wh_kmem_walk_magazines(k, c));
	if (!(c->flags & WH_KMF_HASH)) {
		c->walked_free = true;
		WH_TRY(wh_kmem_walk_small(k, c));
	} else {
		WH_TRY(wh_kmem_walk_hash(k, c));
		if (c->damaged)
			WH_TRY(wh_kmem_recover(k, c));
	}
	return c->damaged ? settle(k, c) : NULL;
}

const struct wh_kmem_buf *wh_kmem_find_buf(const struct wh_kmem_cache *c, uint64_t addr)
{
	size_t lo = WH_BOUND(i, c->bufs.n, c->bufs.v[i].addr <= addr);

	if (!lo || addr - c->bufs.v[lo - 1].addr >= c->chunksize)
		return NULL;
	return &c->bufs.v[lo - 1];
}

uint64_t wh_kmem_tag_bufctl(struct wh_kmem *k, const struct wh_kmem_cache *c, uint64_t buf)
{
	uint64_t ctl = 0, addr = 0;

	if (!(c->flags & WH_KMF_BUFTAG) || !(c->flags & WH_KMF_HASH) ||
	    !wh_kmem_field(k, buf + c->buftag, k->l.bt_bufctl, &ctl) ||
	    !wh_kmem_field(k, ctl, k->l.bc_addr, &addr) || addr != buf)
		return 0;
	return ctl;
}
