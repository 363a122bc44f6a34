/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Slab rows.  Caches come from the list and from the slabs themselves (a cache that was destroyed with
 * objects left in it is on no list).  Decoding runs over slabs in parallel, rows are then written in
 * address order, so that threads make no difference.
 *
 *	slab states:	FULL	no free object, its memory is not touched here
 *			BITS	one bit an object says free
 *			UNSURE	damaged or not in the dump: objects hold, and are never reported
 */
#include "analyzer/alloc/kslab.h"

#include <stdio.h>
#include <string.h>

#include "analyzer/base/limits.h"
#include "analyzer/base/order.h"
#include "formats/scratch.h"

#define BATCH	       512 /* slabs a unit of parallel work */
#define MAX_SLAB_BYTES (8ull << 20)

struct cache_layout {
	struct wh_field name, list, flags, size, object_size, offset, inuse, red_left_pad, random,
		cpu_slab, ctor, num, refcount;
};
static const struct wh_want cache_wants[] = {
	WH_WANT(struct cache_layout, name, "kmem_cache", "name"),
	WH_WANT(struct cache_layout, size, "kmem_cache", "size"),
	WH_WANT(struct cache_layout, object_size, "kmem_cache", "object_size"),
	WH_WANT_OPT(struct cache_layout, list, "kmem_cache", "list"),
	WH_WANT_OPT(struct cache_layout, flags, "kmem_cache", "flags"),
	WH_WANT_OPT(struct cache_layout, offset, "kmem_cache", "offset"),
	WH_WANT_OPT(struct cache_layout, inuse, "kmem_cache", "inuse"),
	WH_WANT_OPT(struct cache_layout, red_left_pad, "kmem_cache", "red_left_pad|obj_offset"),
	WH_WANT_OPT(struct cache_layout, random, "kmem_cache", "random"),
	WH_WANT_OPT(struct cache_layout, cpu_slab, "kmem_cache", "cpu_slab"),
	WH_WANT_OPT(struct cache_layout, ctor, "kmem_cache", "ctor"),
	WH_WANT_OPT(struct cache_layout, num, "kmem_cache", "num"),
	WH_WANT_OPT(struct cache_layout, refcount, "kmem_cache", "refcount"),
};

enum slab_kind { SLAB_FULL, SLAB_BITS, SLAB_DAMAGED, SLAB_MISSING, SLAB_SKIP };
struct slab_state {
	uint32_t bits; /* index of its first word in the unit's bits */
	uint8_t kind;
	uint8_t why; /* enum wh_mem_state, SLAB_MISSING */
};
struct batch {
	struct slab_state st[BATCH];
	WH_VEC(uint64_t) bits;
};
struct decode {
	struct wh_kslab *k;
	struct batch **out;
	struct wh_scratch **scratch; /* one a worker */
	uint8_t **mem;		     /* one a worker, MAX_SLAB_BYTES at most */
	size_t *mem_cap;
};

/* ---- caches ---- */

static uint64_t flag(const struct wh_lx *x, const char *bit, uint64_t before)
{
	int64_t v;

	/* From 6.9 on the numbers depend on the configuration: enum _slab_flag_bits. */
	if (wh_types_enumerator(x->names->types, NULL, bit, &v))
		return v >= 0 && v < 64 ? 1ull << v : 0;
	return wh_types_enumerator(x->names->types, NULL, "_SLAB_RED_ZONE", &v) ? 0 : before;
}

static void flags_open(struct wh_kslab *k)
{
	k->flags = (struct wh_kslab_flags){
		.red_zone = flag(k->x, "_SLAB_RED_ZONE", 0x400),
		.poison = flag(k->x, "_SLAB_POISON", 0x800),
		.store_user = flag(k->x, "_SLAB_STORE_USER", 0x10000),
		.kmalloc = flag(k->x, "_SLAB_KMALLOC", 0x1000),
		.typesafe = flag(k->x, "_SLAB_TYPESAFE_BY_RCU", 0x80000),
		.account = flag(k->x, "_SLAB_ACCOUNT", 0x4000000),
	};
}

static bool cache_plausible(const struct wh_kcache *c)
{
	return c->size >= 8 && c->size <= MAX_SLAB_BYTES && !(c->size & 7) && c->object_size &&
	       c->object_size <= c->size && c->offset <= c->size && c->pad < c->size &&
	       c->inuse <= c->size;
}

static struct wh_err *cache_read(struct wh_kslab *k, const struct cache_layout *l, uint64_t addr,
				 bool listed)
{
	struct wh_kcache c = {.addr = addr, .listed = listed};
	struct wh_lx *x = k->x;
	uint64_t name = 0, v = 0;
	char buf[128] = "";

	if (wh_map_find(&k->by_addr, addr, &v))
		return NULL;
	if (k->caches.n >= WH_LIMIT_CACHES)
		return wh_err_new(WH_ERR_LIMIT, "more than %d slab caches", WH_LIMIT_CACHES);
	(void)wh_lx_field(x, addr, &l->flags, &c.flags);
	(void)wh_lx_field(x, addr, &l->offset, &c.offset);
	(void)wh_lx_field(x, addr, &l->inuse, &c.inuse);
	(void)wh_lx_field(x, addr, &l->random, &c.random);
	(void)wh_lx_field(x, addr, &l->cpu_slab, &c.cpu_slab);
	(void)wh_lx_field(x, addr, &l->ctor, &c.ctor);
	if (wh_lx_field(x, addr, &l->num, &v))
		c.num = (uint32_t)v;
	/* Negative: a cache that must not be merged. */
	if (wh_lx_field(x, addr, &l->refcount, &v))
		c.single = (int32_t)v <= 1;
	if (k->x->lay.is_slab_alloc || !l->flags.found || (c.flags & k->flags.red_zone))
		(void)wh_lx_field(x, addr, &l->red_left_pad, &c.pad);
	c.valid = wh_lx_field(x, addr, &l->size, &c.size) &&
		  wh_lx_field(x, addr, &l->object_size, &c.object_size) && cache_plausible(&c);
	c.store_user = (c.flags & k->flags.store_user) != 0;
	if (c.valid)
		wh_kasan_cache_read(k, &c);
	if (wh_lx_field(x, addr, &l->name, &name))
		(void)wh_read_str(x->r, wh_lx_ptr(x, name), buf, sizeof(buf));
	for (char *s = buf; *s; s++)
		if (*s < 0x20 || *s > 0x7e)
			*s = '?';
	c.name = wh_arena_strdup(&x->arena, *buf ? buf : "?");
	if (!c.name)
		return &wh_err_nomem;
	WH_TRY(wh_map_set(&k->by_addr, addr, k->caches.n, NULL));
	return WH_VEC_PUSH(&k->caches, c);
}

struct list_arg {
	struct wh_kslab *k;
	const struct cache_layout *l;
};

static struct wh_err *listed_cache(void *arg, uint64_t node)
{
	struct list_arg *a = arg;

	return cache_read(a->k, a->l, node - a->l->list.offset, true);
}

/* The page cannot be a slab of this cache: damage, or a struct page of a page in flight. */
static bool slab_plausible(const struct wh_kslab *k, const struct wh_lx_slab *s)
{
	const struct wh_kcache *c = &k->caches.v[s->cache];
	uint32_t n = c->valid ? k->ops->objects(k, s) : 0;
	uint64_t bytes = (uint64_t)s->pages * k->x->page_bytes;

	return n && bytes <= MAX_SLAB_BYTES && s->base <= bytes &&
	       (uint64_t)n * c->size <= bytes - s->base;
}

/*
 * Without data symbols: the list leads from any cache to its head, which is the one link that lies in the
 * image.
 */
static bool list_head_find(struct wh_kslab *k, const struct cache_layout *l, uint64_t *ret)
{
	struct wh_lx *x = k->x;

	for (size_t i = 0; i < k->caches.n && i < 16; i++) {
		uint64_t node = k->caches.v[i].addr + l->list.offset;

		for (uint32_t n = 0; n < WH_LIMIT_CACHES; n++) {
			if (!wh_read_word(x->r, node, &node))
				break;
			node = wh_lx_ptr(x, node);
			/* the caches of the caches are in the image too, but they are slab caches */
			if (node >= x->ks->image_start && node < x->ks->image_end &&
			    !wh_map_find(&k->by_addr, node - l->list.offset, &(uint64_t){0})) {
				*ret = node;
				return true;
			}
		}
	}
	return false;
}

static struct wh_err *mark_listed(void *arg, uint64_t node)
{
	struct list_arg *a = arg;
	uint64_t i;

	if (wh_map_find(&a->k->by_addr, node - a->l->list.offset, &i))
		a->k->caches.v[i].listed = true;
	return NULL;
}

static struct wh_err *caches_open(struct wh_kslab *k)
{
	struct wh_lx *x = k->x;
	struct cache_layout l;
	struct list_arg a = {k, &l};
	uint64_t head, i;
	bool symbol;

	WH_TRY(wh_lx_layout_need(x, cache_wants, sizeof(cache_wants) / sizeof(cache_wants[0]), &l));
	symbol = wh_lx_symbol(x, "slab_caches", &head);
	if (l.list.found && symbol)
		WH_TRY(wh_lx_list(x, head, "slab-cache-list", listed_cache, &a));
	for (size_t n = 0; n < x->slabs.n; n++) {
		struct wh_lx_slab *s = &x->slabs.v[n];

		if (!wh_lx_is_direct(x, s->cache_addr) &&
		    (s->cache_addr < x->ks->image_start || s->cache_addr >= x->ks->image_end))
			continue;
		WH_TRY(cache_read(k, &l, s->cache_addr, false));
		if (wh_map_find(&k->by_addr, s->cache_addr, &i))
			s->cache = (uint16_t)i;
	}
	if (l.list.found && !symbol && list_head_find(k, &l, &head)) {
		WH_TRY(wh_lx_list(x, head, "slab-cache-list", mark_listed, &a));
		WH_TRY(wh_lx_list(x, head, "slab-cache-list", listed_cache, &a));
	}
	return NULL;
}

static void kfence_open(struct wh_kslab *k)
{
	uint64_t pool, size = 0, sym;

	/* mm/kfence: the pool's size is fixed when the kernel is built; metadata tell how many. */
	if (!wh_lx_var(k->x, "__kfence_pool", &pool) || !wh_lx_is_direct(k->x, pool))
		return;
	if (wh_lx_symbol(k->x, "kfence_pool_size", &sym))
		(void)wh_read_word(k->x->r, sym, &size);
	if (!size || size > (1ull << 32))
		size = 512 * k->x->page_bytes; /* 255 objects and their guards, the default */
	k->kfence_start = pool;
	k->kfence_end = pool + size;
}

struct wh_err *wh_kslab_open(struct wh_lx *x, struct wh_kslab **ret)
{
	struct wh_kslab *k = wh_calloc(1, sizeof(*k));
	struct wh_err *e;

	if (!k)
		return &wh_err_nomem;
	k->x = x;
	k->ops = x->lay.is_slab_alloc ? &wh_kslab_slab_ops : &wh_kslab_slub_ops;
	flags_open(k);
	kfence_open(k);
	e = caches_open(k);
	if (!e)
		e = k->ops->open(k);
	if (e) {
		wh_kslab_close(k);
		return e;
	}
	*ret = k;
	return NULL;
}

void wh_kslab_close(struct wh_kslab *k)
{
	if (!k)
		return;
	if (k->ops->close)
		k->ops->close(k);
	WH_VEC_FINI(&k->caches);
	WH_VEC_FINI(&k->held);
	wh_map_fini(&k->by_addr);
	free(k);
}

/* ---- decoding, in parallel ---- */

/* Objects in sheaves or array caches are free although the slab counts them as used. */
static void free_held(const struct wh_kslab *k, const struct wh_lx_slab *s, uint32_t n,
		      uint64_t *bits)
{
	const struct wh_kcache *c = &k->caches.v[s->cache];
	uint64_t first = wh_kslab_object(k, s, 0), end = first + (uint64_t)n * c->size;

	for (size_t i = wh_bound_u64(k->held.v, k->held.n, first);
	     i < k->held.n && k->held.v[i] < end; i++) {
		uint64_t off = k->held.v[i] - first;

		if (off % c->size == 0)
			bits[off / c->size / 64] |= 1ull << (off / c->size % 64);
	}
}

static bool has_held(const struct wh_kslab *k, const struct wh_lx_slab *s)
{
	uint64_t va = wh_kspace_pfn_to_virt(k->x->ks, s->pfn);
	size_t i = wh_bound_u64(k->held.v, k->held.n, va);

	return i < k->held.n && k->held.v[i] < va + s->pages * k->x->page_bytes;
}

static enum wh_mem_state slab_presence(struct decode *d, unsigned int worker,
				       const struct wh_lx_slab *s)
{
	const struct wh_dump *dump = d->k->x->ks->dump;
	uint64_t run;

	for (uint64_t i = 0; i < s->pages; i += run) {
		enum wh_mem_state st =
			dump->ops->page_state(dump, d->scratch[worker], s->pfn + i, &run);

		if (st != WH_MEM_PRESENT)
			return st;
	}
	return WH_MEM_PRESENT;
}

static struct wh_err *slab_memory(struct decode *d, unsigned int worker, const struct wh_lx_slab *s,
				  size_t *ret_len, enum wh_mem_state *ret_why)
{
	size_t len = (size_t)(s->pages * d->k->x->page_bytes);

	if (len > d->mem_cap[worker])
		WH_TRY(wh_vec_reserve_raw(&d->mem[worker], &d->mem_cap[worker], len, 1));
	*ret_len = wh_read_some(d->k->x->readers[worker], WH_PHYS,
				s->pfn << d->k->x->ks->page_shift, d->mem[worker], len, ret_why);
	return NULL;
}

static struct wh_err *decode_slab(struct decode *d, unsigned int worker, const struct wh_lx_slab *s,
				  struct batch *b, struct slab_state *st)
{
	struct wh_kslab *k = d->k;
	uint32_t n;
	size_t words, len;
	enum wh_mem_state why;

	st->kind = SLAB_SKIP;
	if (s->cache == WH_LX_NO_CACHE || !slab_plausible(k, s))
		return NULL;
	st->why = (uint8_t)slab_presence(d, worker, s);
	if (st->why != WH_MEM_PRESENT) {
		st->kind = SLAB_MISSING;
		return NULL;
	}
	st->kind = SLAB_FULL;
	if (k->ops->full(k, s) && !has_held(k, s))
		return NULL;
	n = k->ops->objects(k, s);
	words = (n + 63) / 64;
	WH_TRY(slab_memory(d, worker, s, &len, &why));
	if (len != s->pages * k->x->page_bytes) {
		st->kind = SLAB_MISSING;
		st->why = (uint8_t)why;
		return NULL;
	}
	WH_TRY(WH_VEC_RESERVE(&b->bits, b->bits.n + words));
	memset(b->bits.v + b->bits.n, 0, words * sizeof(*b->bits.v));
	st->bits = (uint32_t)b->bits.n;
	st->kind = k->ops->free_objects(k, k->x->readers[worker], s, d->mem[worker],
					b->bits.v + b->bits.n)
			   ? SLAB_BITS
			   : SLAB_DAMAGED;
	free_held(k, s, n, b->bits.v + b->bits.n);
	b->bits.n += words;
	return NULL;
}

static struct wh_err *decode_batch(void *arg, unsigned int worker, size_t unit)
{
	struct decode *d = arg;
	struct wh_lx *x = d->k->x;
	size_t first = unit * BATCH, n = x->slabs.n - first < BATCH ? x->slabs.n - first : BATCH;
	struct batch *b = wh_calloc(1, sizeof(*b));

	d->out[unit] = b;
	if (!b)
		return &wh_err_nomem;
	for (size_t i = 0; i < n; i++)
		WH_TRY(decode_slab(d, worker, &x->slabs.v[first + i], b, &b->st[i]));
	return NULL;
}

/* ---- rows ---- */

static struct wh_err *add_slab_rows(struct wh_kslab *k, const struct wh_lx_slab *s,
				    const struct slab_state *st, const uint64_t *bits,
				    uint8_t *states)
{
	struct wh_lx *x = k->x;
	struct wh_kcache *c = &k->caches.v[s->cache];
	uint32_t n = k->ops->objects(k, s), used = n;
	uint64_t va = wh_kspace_pfn_to_virt(x->ks, s->pfn), bytes = s->pages * x->page_bytes;
	uint8_t rest = st->kind == SLAB_BITS ? WH_BUF_ALLOCATED : WH_BUF_UNSURE;

	c->slabs++;
	c->objects += n;
	c->bytes += bytes;
	if (st->kind == SLAB_FULL) {
		c->used += n;
		WH_TRY(wh_buftab_add_run(x->t->buftab, c->cls, wh_kslab_object(k, s, 0), c->size,
					 c->object_size, n, NULL));
		return wh_plan_add_node(&x->t->plan, WH_PHYS, s->pfn << x->ks->page_shift, va,
					bytes);
	}
	for (uint32_t i = 0; i < n; i++) {
		bool is_free = bits && (bits[i / 64] >> (i % 64) & 1);

		states[i] = is_free ? WH_BUF_FREE : rest;
		used -= is_free;
	}
	c->free += n - used;
	if (st->kind == SLAB_BITS)
		c->used += used;
	else
		c->unsure += used;
	WH_TRY(wh_buftab_add_run(x->t->buftab, c->cls, wh_kslab_object(k, s, 0), c->size,
				 c->object_size, n, states));
	if (st->kind == SLAB_MISSING) {
		/* inuse counts what the lost slab held; CPU slabs overstate it, which is the safe side */
		uint32_t lost = k->ops->full(k, s) ? n : (s->counters & 0xffff);

		c->missing += lost;
		k->slabs_missing++;
		k->slabs_excluded += st->why == WH_MEM_EXCLUDED;
		k->objects_missing += lost;
		return wh_plan_add_missing(&x->t->plan, c->cls, lost, bytes,
					   (enum wh_mem_state)st->why);
	}
	return wh_plan_add_node(&x->t->plan, WH_PHYS, s->pfn << x->ks->page_shift, va, bytes);
}

static void diag_slab(struct wh_kslab *k, const struct wh_lx_slab *s, const struct slab_state *st)
{
	struct wh_diags *d = k->x->t->ctx->diags;
	uint64_t va = wh_kspace_pfn_to_virt(k->x->ks, s->pfn);
	const char *name = s->cache != WH_LX_NO_CACHE ? k->caches.v[s->cache].name : "?";

	if (st->kind == SLAB_DAMAGED) {
		k->slabs_damaged++;
		wh_diag_add(
			d, WH_DIAG_WARN, "slab-damaged", va,
			"slab 0x%llx of %s: its free list is lost or contradicts its counters; the "
			"objects count as holders and are not reported",
			(unsigned long long)va, name);
	} else if (st->kind == SLAB_SKIP) {
		k->slabs_unusable++;
		wh_diag_add(d, WH_DIAG_WARN, "slab-unusable", va,
			    "page 0x%llx says slab, but its cache or its counters make no sense",
			    (unsigned long long)va);
	}
}

void wh_kslab_missing_text(const struct wh_kslab *k, char *buf, size_t cap)
{
	snprintf(buf, cap, "%llu slabs with about %llu objects are not in the dump%s",
		 (unsigned long long)k->slabs_missing, (unsigned long long)k->objects_missing,
		 k->slabs_excluded
			 ? ": makedumpfile took them for user pages (1.7.2 does so with kernels "
			   "since 6.10 at -d 8 and above); dump with -d 17, or with a newer "
			   "makedumpfile"
			 : "");
}

static void diag_missing(struct wh_kslab *k)
{
	char buf[256];

	if (!k->slabs_missing)
		return;
	wh_kslab_missing_text(k, buf, sizeof(buf));
	wh_diag_add(k->x->t->ctx->diags, WH_DIAG_WARN, "slabs-missing", 0,
		    "%s; what they could hold is UNKNOWN", buf);
}

/*
 * A page or two may be caught between slab and something else.  More of them mean that the layout is not what
 * it was taken for: objects that nobody knows of are neither judged nor trusted to be all there is.
 */
static void diag_unusable(struct wh_kslab *k)
{
	struct wh_lx *x = k->x;

	if (!k->slabs_unusable ||
	    (k->slabs_unusable <= 8 + x->slabs.n / 50 && k->slabs_unusable < x->slabs.n))
		return;
	x->doubt = true;
	wh_diag_add(
		x->t->ctx->diags, WH_DIAG_ERROR, "slabs-not-understood", 0,
		"%llu of %zu slabs cannot be understood: their objects are not judged, and what "
		"they could hold is UNKNOWN",
		(unsigned long long)k->slabs_unusable, x->slabs.n);
}

/* A page that says slab and cannot be one is still memory that may hold references. */
static void demote_slab(struct wh_lx *x, const struct wh_lx_slab *s)
{
	for (uint64_t i = 0; i < s->pages; i++)
		wh_lx_page_set(x, s->pfn + i, WH_LXP_KERNEL | (i ? WH_LXP_TAIL : 0));
}

static struct wh_err *write_rows(struct wh_kslab *k, struct batch **out)
{
	struct wh_lx *x = k->x;
	uint8_t *states WH_AUTO_FREE = wh_calloc(1u << 16, 1);

	if (!states)
		return &wh_err_nomem;
	for (size_t i = 0; i < x->slabs.n; i++) {
		struct batch *b = out[i / BATCH];
		const struct slab_state *st = &b->st[i % BATCH];
		const struct wh_lx_slab *s = &x->slabs.v[i];
		const uint64_t *bits = st->kind == SLAB_BITS || st->kind == SLAB_DAMAGED
					       ? b->bits.v + st->bits
					       : NULL;
		uint64_t va = wh_kspace_pfn_to_virt(x->ks, s->pfn);

		if (va >= k->kfence_start && va < k->kfence_end)
			continue;
		if (st->kind >= SLAB_DAMAGED)
			diag_slab(k, s, st);
		if (st->kind == SLAB_SKIP)
			demote_slab(x, s);
		else
			WH_TRY(add_slab_rows(k, s, st, bits, states));
	}
	diag_missing(k);
	diag_unusable(k);
	return NULL;
}

/* Recorders' objects refer to what they watch, and thread stacks are scanned by their live part. */
static const char *const opaque_caches[] = {"kmemleak_object", "kmemleak_scan_area",
					    "debug_objects_cache"};

static uint32_t class_flags(const struct wh_kcache *c)
{
	for (size_t i = 0; i < sizeof(opaque_caches) / sizeof(opaque_caches[0]); i++)
		if (!strcmp(c->name, opaque_caches[i]))
			return WH_CLASS_OPAQUE;
	if (strstr(c->name, "kmalloc-")) /* also dma-kmalloc-, of old */
		return WH_CLASS_TEXT_FIT;
	return (strcmp(c->name, "thread_stack") ? 0 : WH_CLASS_NOSCAN) |
	       (c->single ? WH_CLASS_TYPED : 0);
}

static struct wh_err *add_classes(struct wh_kslab *k)
{
	for (size_t i = 0; i < k->caches.n; i++) {
		struct wh_kcache *c = &k->caches.v[i];
		struct wh_class cls = {
			.name = c->name,
			.model = k->ops->name,
			.id = c->addr,
			.obj_size = c->object_size,
			.slot_size = c->size,
			.flags = class_flags(c),
			.asked_off =
				wh_ktrack_requested_exact(k) ? wh_ktrack_requested_off(k, c) : 0,
		};

		WH_TRY(wh_buftab_add_class(k->x->t->buftab, &cls, &c->cls));
		if (c->store_user || c->kasan_alloc)
			k->x->t->recorded = true;
		/* Its slabs name a cache, on the list or not: one word each stands for them. */
		if (!c->listed)
			WH_TRY(wh_plan_add_word(&k->x->t->plan, k->x->kind_struct_page, c->addr, 0,
						0));
	}
	return NULL;
}

static struct wh_err *decode_open(struct decode *d, size_t units)
{
	unsigned int n = d->k->x->n_readers;

	d->out = wh_calloc(units, sizeof(*d->out));
	d->scratch = wh_calloc(n, sizeof(*d->scratch));
	d->mem = wh_calloc(n, sizeof(*d->mem));
	d->mem_cap = wh_calloc(n, sizeof(*d->mem_cap));
	if (!d->out || !d->scratch || !d->mem || !d->mem_cap)
		return &wh_err_nomem;
	for (unsigned int i = 0; i < n; i++)
		WH_TRY(wh_scratch_create(&d->scratch[i]));
	return NULL;
}

static void decode_close(struct decode *d, size_t units)
{
	for (size_t u = 0; d->out && u < units; u++)
		if (d->out[u]) {
			WH_VEC_FINI(&d->out[u]->bits);
			free(d->out[u]);
		}
	for (unsigned int i = 0; d->scratch && i < d->k->x->n_readers; i++)
		if (d->scratch[i])
			wh_scratch_destroy(d->scratch[i]);
	for (unsigned int i = 0; d->mem && i < d->k->x->n_readers; i++)
		free(d->mem[i]);
	free(d->out);
	free(d->scratch);
	free(d->mem);
	free(d->mem_cap);
}

struct wh_err *wh_kslab_build(struct wh_kslab *k)
{
	size_t units = (k->x->slabs.n + BATCH - 1) / BATCH;
	struct decode d = {.k = k};
	struct wh_err *e;

	WH_TRY(add_classes(k));
	if (k->held.n)
		qsort(k->held.v, k->held.n, sizeof(*k->held.v), wh_cmp_u64);
	e = decode_open(&d, units);
	if (!e)
		e = wh_workers_run(k->x->t->ctx, "reading slabs", units, decode_batch, &d);
	if (!e)
		e = write_rows(k, d.out);
	decode_close(&d, units);
	return e;
}

/* ---- questions ---- */

const struct wh_kcache *wh_kslab_find_cache(const struct wh_kslab *k, const char *name, size_t nth)
{
	for (size_t i = 0; i < k->caches.n; i++)
		if (k->caches.v[i].valid && !strcmp(k->caches.v[i].name, name) && !nth--)
			return &k->caches.v[i];
	return NULL;
}

const struct wh_lx_slab *wh_kslab_find_slab(const struct wh_kslab *k, uint64_t va)
{
	size_t lo;
	uint64_t pfn;

	if (!wh_kspace_virt_to_pfn(k->x->ks, va, &pfn))
		return NULL;
	lo = WH_BOUND(i, k->x->slabs.n, k->x->slabs.v[i].pfn <= pfn);
	if (!lo || pfn - k->x->slabs.v[lo - 1].pfn >= k->x->slabs.v[lo - 1].pages)
		return NULL;
	return &k->x->slabs.v[lo - 1];
}

struct wh_err *wh_kslab_each_object(const struct wh_kslab *k, const struct wh_kcache *c,
				    wh_kslab_object_fn fn, void *arg)
{
	struct wh_lx *x = k->x;
	uint16_t idx = (uint16_t)(c - k->caches.v);
	uint8_t *mem WH_AUTO_FREE = NULL;
	size_t cap = 0, len;
	uint64_t bits[512];

	for (size_t i = 0; i < x->slabs.n; i++) {
		const struct wh_lx_slab *s = &x->slabs.v[i];
		uint32_t n;

		if (s->cache != idx || !slab_plausible(k, s) || (n = k->ops->objects(k, s)) > 32767)
			continue;
		memset(bits, 0, sizeof(bits));
		if (!k->ops->full(k, s)) {
			len = (size_t)(s->pages * x->page_bytes);
			if (len > cap)
				WH_TRY(wh_vec_reserve_raw(&mem, &cap, len, 1));
			if (wh_read_some(x->r, WH_PHYS, s->pfn << x->ks->page_shift, mem, len,
					 NULL) != len)
				continue;
			(void)k->ops->free_objects(k, x->r, s, mem, bits);
		}
		if (k->held.n)
			free_held(k, s, n, bits);
		for (uint32_t o = 0; o < n; o++)
			if (!(bits[o / 64] >> (o % 64) & 1))
				WH_TRY(fn(arg, wh_kslab_object(k, s, o)));
	}
	return NULL;
}
