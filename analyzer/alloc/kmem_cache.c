/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of caches and what each says of itself. */
#include "analyzer/alloc/kmem_core.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/base/hashmap.h"
#include "analyzer/base/limits.h"
#include "formats/stream.h"

#define WORK_MAX       (1ull << 29) /* steps: some seconds */
#define CACHE_SPAN_MAX 16384

bool wh_kmem_field(struct wh_kmem *k, uint64_t base, struct wh_field f, uint64_t *ret)
{
	uint8_t b[8];

	if (!f.found || f.size > 8 ||
	    wh_read_some(k->r, WH_VIRT, base + f.offset, b, (size_t)f.size, NULL) < f.size)
		return false;
	*ret = wh_get_uint(k->abi, b, (size_t)f.size);
	return true;
}

bool wh_kmem_var_word(struct wh_kmem *k, const char *name, uint64_t *ret)
{
	uint64_t addr;

	return k->symbol(k->symbol_arg, name, &addr) && wh_read_word(k->r, addr, ret);
}

bool wh_kmem_var_u32(struct wh_kmem *k, const char *name, uint32_t *ret)
{
	uint64_t addr;

	return k->symbol(k->symbol_arg, name, &addr) && wh_read_u32(k->r, addr, ret);
}

/* Rounds that a full magazine of this cache holds. */
static uint32_t cache_magsize(struct wh_kmem *k, const struct wh_kmem_cache *c, uint64_t magtype)
{
	uint64_t cpu = c->addr + k->l.cache[WH_KC_CPU].offset, n = 0;

	if (wh_kmem_field(k, cpu, k->l.cpu_magsize, &n) && n && n <= 4096)
		return (uint32_t)n;
	if (!(c->flags & WH_KMF_NOMAGAZINE) && wh_kmem_field(k, magtype, k->l.magtype_size, &n) &&
	    n <= 4096)
		return (uint32_t)n;
	return 0;
}

/* Geometry that contradicts itself would send every walk astray. */
static bool cache_sane(const struct wh_kmem_cache *c)
{
	return c->chunksize && c->chunksize <= c->slabsize && c->slabsize <= 1ull << 40 &&
	       c->bufsize <= c->chunksize && c->hash_shift < 64 && c->bufctl <= c->chunksize &&
	       c->buftag <= c->chunksize;
}

static const char *arena_name(struct wh_kmem *k, uint64_t addr)
{
	for (size_t i = 0; i < k->arenas.n; i++)
		if (k->arenas.v[i].addr == addr)
			return k->arenas.v[i].name;
	return "";
}

static bool cache_read(struct wh_kmem *k, uint64_t addr, struct wh_kmem_cache *c)
{
	const struct wh_field *f = k->l.cache;
	uint8_t p[CACHE_SPAN_MAX];
	uint64_t magtype;

	if (wh_read_some(k->r, WH_VIRT, addr, p, (size_t)k->l.cache_span, NULL) < k->l.cache_span)
		return false;
	memset(c, 0, sizeof(*c));
	c->addr = addr;
	memcpy(c->name, p + f[WH_KC_NAME].offset,
	       f[WH_KC_NAME].size < 32 ? (size_t)f[WH_KC_NAME].size : 32);
	for (char *s = c->name; *s; s++)
		if ((unsigned char)*s < ' ' || (unsigned char)*s > '~')
			*s = '?';
	c->flags = (uint32_t)wh_kmem_get(k, p, f[WH_KC_FLAGS]);
	c->cflags = (uint32_t)wh_kmem_get(k, p, f[WH_KC_CFLAGS]);
	c->bufsize = wh_kmem_get(k, p, f[WH_KC_BUFSIZE]);
	c->align = wh_kmem_get(k, p, f[WH_KC_ALIGN]);
	c->chunksize = wh_kmem_get(k, p, f[WH_KC_CHUNKSIZE]);
	c->slabsize = wh_kmem_get(k, p, f[WH_KC_SLABSIZE]);
	c->constructor = wh_kmem_get(k, p, f[WH_KC_CONSTRUCTOR]);
	c->arena = wh_kmem_get(k, p, f[WH_KC_ARENA]);
	c->arena_name = arena_name(k, c->arena);
	c->bufctl = wh_kmem_get(k, p, f[WH_KC_BUFCTL]);
	c->buftag = wh_kmem_get(k, p, f[WH_KC_BUFTAG]);
	c->verify = wh_kmem_get(k, p, f[WH_KC_VERIFY]);
	c->hash_table = wh_kmem_get(k, p, f[WH_KC_HASH_TABLE]);
	c->hash_shift = wh_kmem_get(k, p, f[WH_KC_HASH_SHIFT]);
	c->hash_mask = wh_kmem_get(k, p, f[WH_KC_HASH_MASK]);
	c->buftotal = wh_kmem_get(k, p, f[WH_KC_BUFTOTAL]);
	c->slab_create = wh_kmem_get(k, p, f[WH_KC_SLAB_CREATE]);
	c->slab_destroy = wh_kmem_get(k, p, f[WH_KC_SLAB_DESTROY]);
	c->slab_alloc = wh_kmem_get(k, p, f[WH_KC_SLAB_ALLOC]);
	c->alloc_fail = wh_kmem_get(k, p, f[WH_KC_ALLOC_FAIL]);
	magtype = wh_kmem_get(k, p, f[WH_KC_MAGTYPE]);
	c->lying = !cache_sane(c);
	c->magsize = cache_magsize(k, c, magtype);
	wh_kmem_field(k, addr + f[WH_KC_FULL].offset, k->l.ml_list, &c->depot_full);
	wh_kmem_field(k, addr + f[WH_KC_FULL].offset, k->l.ml_total, &c->depot_total);
	wh_kmem_field(k, addr + f[WH_KC_FULL].offset, k->l.ml_alloc, &c->depot_alloc);
	if (c->lying)
		wh_diag_add(k->ctx->diags, WH_DIAG_WARN, "kmem-cache-damaged", addr,
			    "cache at %#llx (%s): sizes make no sense (buffer %llu, chunk %llu, "
			    "slab %llu); it is left out",
			    (unsigned long long)addr, c->name, (unsigned long long)c->bufsize,
			    (unsigned long long)c->chunksize, (unsigned long long)c->slabsize);
	return true;
}

/* How to get from a cache to the next: a list_t node, or the circular list of older and user editions. */
struct cache_list {
	uint64_t anchor, first;
	uint64_t next_at; /* [bytes] of the link in a cache */
	uint64_t back;	  /* [bytes] to subtract from a link */
};

static bool cache_list_open(struct wh_kmem *k, struct cache_list *l)
{
	const struct wh_field *link = &k->l.cache[WH_KC_LINK], *next = &k->l.cache[WH_KC_NEXT];
	uint64_t list, off = link->offset;

	if (link->found && k->l.list_next.found &&
	    k->symbol(k->symbol_arg, k->flavour->cache_list, &list)) {
		*l = (struct cache_list){list + k->l.list_next.offset, 0, off, off};
		return wh_read_word(k->r, l->anchor, &l->first);
	}
	if (next->found && (k->symbol(k->symbol_arg, k->flavour->cache_list, &list) ||
			    k->symbol(k->symbol_arg, "kmem_null_cache", &list))) {
		*l = (struct cache_list){list, 0, next->offset, 0};
		return wh_read_word(k->r, list + next->offset, &l->first);
	}
	return false;
}

bool wh_kmem_list_head(struct wh_kmem *k, uint64_t *ret_first)
{
	struct cache_list l;

	if (!cache_list_open(k, &l))
		return false;
	*ret_first = l.first - l.back;
	return true;
}

struct wh_err *wh_kmem_read_caches(struct wh_kmem *k)
{
	struct cache_list l;
	struct wh_map seen = WH_MAP_INIT;
	struct wh_err *e = NULL;
	uint64_t at;
	bool fresh;

	if (!cache_list_open(k, &l)) {
		if (!k->flavour->kernel)
			return wh_err_new(WH_ERR_NOT_FOUND, "the list of %s caches cannot be found",
					  k->flavour->name);
		wh_diag_add(k->ctx->diags, WH_DIAG_ERROR, "kmem-cache-list", 0,
			    "the head of the list of caches cannot be read");
		return NULL;
	}
	for (at = l.first; !e && at != l.anchor;) {
		struct wh_kmem_cache c;
		uint64_t addr = at - l.back;

		e = wh_map_set(&seen, at, 1, &fresh);
		if (e)
			break;
		if (!fresh || k->caches.n >= WH_LIMIT_CACHES || !cache_read(k, addr, &c)) {
			wh_diag_add(k->ctx->diags, WH_DIAG_ERROR, "kmem-cache-list", addr,
				    "the list of caches breaks at %#llx after %zu caches: %s",
				    (unsigned long long)addr, k->caches.n,
				    fresh ? "not readable" : "it loops");
			break;
		}
		e = WH_VEC_PUSH(&k->caches, c);
		if (!e && !wh_read_word(k->r, addr + l.next_at, &at))
			at = 0;
	}
	wh_map_fini(&seen);
	return e;
}

struct wh_kmem_cache *wh_kmem_find_cache(struct wh_kmem *k, uint64_t addr)
{
	for (size_t i = 0; i < k->caches.n; i++)
		if (k->caches.v[i].addr == addr)
			return &k->caches.v[i];
	return NULL;
}

struct wh_kmem_cache *wh_kmem_find_cache_name(struct wh_kmem *k, const char *name)
{
	for (size_t i = 0; i < k->caches.n; i++)
		if (!strcmp(k->caches.v[i].name, name))
			return &k->caches.v[i];
	return NULL;
}

static int seg_cmp(const void *pa, const void *pb)
{
	const struct wh_kmem_seg_row *a = pa, *b = pb;

	return a->start < b->start ? -1 : a->start > b->start;
}

void wh_kmem_sort_seg_rows(struct wh_kmem *k)
{
	if (k->seg_rows.n)
		qsort(k->seg_rows.v, k->seg_rows.n, sizeof(*k->seg_rows.v), seg_cmp);
}

uint64_t wh_kmem_row_ctl(struct wh_kmem *k, uint64_t cls_id, uint64_t addr)
{
	struct wh_kmem_cache *c = wh_kmem_find_cache(k, cls_id);
	const struct wh_kmem_buf *b;
	const struct wh_kmem_seg_row *s;
	struct wh_kmem_seg_row key = {addr, 0};

	if (!c) {
		s = k->seg_rows.n
			    ? bsearch(&key, k->seg_rows.v, k->seg_rows.n, sizeof(key), seg_cmp)
			    : NULL;
		return s ? s->seg : 0;
	}
	b = wh_kmem_find_buf(c, addr);
	return b && b->ctl && (c->flags & WH_KMF_AUDIT) ? b->ctl : c->addr;
}

static void read_limits(struct wh_kmem *k)
{
	uint32_t n = 0, depth;
	uint64_t seg;

	if (!wh_kmem_var_u32(k, k->flavour->cpus[0], &n) || !n || n > WH_LIMIT_CPUS)
		if (!wh_kmem_var_u32(k, k->flavour->cpus[1], &n) || !n || n > WH_LIMIT_CPUS) {
			n = 1;
			/* a process may say it in another way (umem_find.c) */
			if (k->flavour->kernel)
				wh_diag_add(
					k->ctx->diags, WH_DIAG_WARN, "kmem-cpus-unknown", 0,
					"%s: the number of processors is unknown; only the magazines "
					"of the first are seen",
					k->flavour->name);
		}
	k->ncpus = n;
	if (!k->flavour->kernel) {
		/* libumem sizes its records at run time. */
		if (wh_kmem_var_u32(k, "umem_stack_depth", &depth) && depth <= 1000)
			k->stack_depth = depth;
		k->audit_size = k->l.bc_stack.offset + (uint64_t)k->stack_depth * k->abi.word;
	}
	if (wh_kmem_var_word(k, "vmem_seg_size", &seg) && seg >= k->l.vs_type.offset + 3 &&
	    seg < k->l.seg_size)
		k->seg_read = seg;
	k->lite_count = 4;
	if (wh_kmem_var_u32(k, "kmem_lite_count", &n) && n <= 16)
		k->lite_count = n;
}

/* A buffer takes eight bytes or more of the memory that was dumped, or a fraction of that when compressed. */
static uint64_t work_for(const struct wh_dump *d)
{
	uint64_t n = 1u << 24;

	for (size_t i = 0; i < d->n_streams && n < WORK_MAX; i++)
		n += wh_stream_size(d->streams[i]) < WORK_MAX ? 8 * wh_stream_size(d->streams[i])
							      : WORK_MAX;
	return n < WORK_MAX ? n : WORK_MAX;
}

bool wh_kmem_spend(struct wh_kmem *k, uint64_t n)
{
	if (n <= k->work) {
		k->work -= n;
		return true;
	}
	k->work = 0;
	k->spent = true;
	wh_diag_add(k->ctx->diags, WH_DIAG_ERROR, "kmem-work", 0,
		    "the lists of %s name more buffers than the dump has room for: the rest is not "
		    "read",
		    k->flavour->name);
	return false;
}

struct wh_err *wh_kmem_open(struct wh_kmem *k)
{
	k->work = work_for(wh_mem_dump(wh_reader_mem(k->r)));
	WH_TRY(wh_kmem_resolve(k));
	read_limits(k);
	WH_TRY(wh_kmem_read_arenas(k));
	WH_TRY(wh_kmem_read_caches(k));
	return NULL;
}

void wh_kmem_fini(struct wh_kmem *k)
{
	for (size_t i = 0; i < k->caches.n; i++) {
		struct wh_kmem_cache *c = &k->caches.v[i];

		WH_VEC_FINI(&c->bufs);
		WH_VEC_FINI(&c->free);
		WH_VEC_FINI(&c->mags);
		WH_VEC_FINI(&c->unsure);
	}
	WH_VEC_FINI(&k->caches);
	WH_VEC_FINI(&k->arenas);
	WH_VEC_FINI(&k->seg_rows);
}
