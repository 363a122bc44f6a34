/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/alloc/stackdepot.h"

#include <string.h>

#include "analyzer/alloc/kslab.h"

#define POOLS_MAX  8192
#define POOL_PAGES 4 /* DEPOT_POOL_ORDER 2 */
#define GRANULE	   16

struct bits {
	uint32_t shift, width;
};
struct wh_depot {
	struct wh_lx *x;
	uint64_t pools; /* VIRT of the array of pool pointers */
	struct bits index, offset;
	uint32_t bias;	/* 1 when the index is stored plus one */
	uint32_t names; /* mask of the bits that name the record: all but `extra` */
	struct wh_field size, handle, entries;
};

static bool bits_find(struct wh_type t, const char *name, struct bits *ret)
{
	struct wh_member m;

	if (!wh_type_find_member(t, name, &m) || !m.bit_size || m.bit_size > 31)
		return false;
	*ret = (struct bits){(uint32_t)(m.offset * 8 + m.bit_off), m.bit_size};
	return ret->shift + ret->width <= 32;
}

static uint32_t bits_get(struct bits b, uint32_t v)
{
	return v >> b.shift & ((1u << b.width) - 1);
}

static bool layout_open(struct wh_depot *d)
{
	struct wh_types *ty = d->x->names->types;
	struct wh_type t;
	struct wh_member m;
	struct bits extra;
	static const struct wh_want wants[] = {
		WH_WANT(struct wh_depot, size, "stack_record", "size"),
		WH_WANT(struct wh_depot, handle, "stack_record", "handle"),
		WH_WANT(struct wh_depot, entries, "stack_record", "entries"),
	};
	struct wh_err *e = wh_layout_resolve(ty, wants, 3, d);

	if (e) {
		wh_err_destroy(e);
		return false;
	}
	if (!wh_types_find(ty, "handle_parts", "offset", &t) || !bits_find(t, "offset", &d->offset))
		return false;
	if (bits_find(t, "pool_index_plus_1", &d->index))
		d->bias = 1;
	else if (!bits_find(t, "pool_index", &d->index) && !bits_find(t, "slabindex", &d->index))
		return false;
	d->names = ~0u;
	if (bits_find(t, "extra", &extra))
		d->names &= ~(((1u << extra.width) - 1) << extra.shift);
	/* entries is a flexible array or has 64: its offset is what counts */
	return wh_type_find_member(t, "handle", &m);
}

/* Pools hold return addresses: no reference, and nothing to read twice. */
static void mark_pools(struct wh_depot *d)
{
	struct wh_lx *x = d->x;
	uint64_t p, pfn;

	for (uint64_t i = 0; i < POOLS_MAX; i++) {
		if (!wh_read_word(x->r, d->pools + i * x->abi.word, &p) || !p)
			break;
		if (!wh_kspace_virt_to_pfn(x->ks, wh_lx_ptr(x, p), &pfn))
			break;
		for (uint64_t k = 0; k < POOL_PAGES; k++)
			if ((wh_lx_page_get(x, pfn + k) & WH_LXP_MASK) == WH_LXP_KERNEL)
				wh_lx_page_set(x, pfn + k, WH_LXP_RECORDER);
	}
}

/* ---- the table without its symbol ---- */

#define SAMPLES 8

struct samples {
	struct wh_lx *x;
	const struct wh_kcache *c;
	uint32_t handle[SAMPLES];
	size_t n;
};

static struct wh_err *sample_object(void *arg, uint64_t obj)
{
	struct samples *s = arg;
	struct wh_ktrack t;

	if (s->n < SAMPLES && wh_ktrack_read(s->x->slab, s->c, obj, 0, &t) && t.handle &&
	    (!s->n || s->handle[s->n - 1] != t.handle))
		s->handle[s->n++] = t.handle;
	return s->n < SAMPLES ? NULL : &wh_err_cancelled; /* enough */
}

static void sample_handles(struct samples *s)
{
	for (size_t i = 0; i < s->x->slab->caches.n && s->n < SAMPLES; i++) {
		s->c = &s->x->slab->caches.v[i];
		if (s->c->valid && s->c->store_user && s->c->slabs && s->c->slabs < 64)
			wh_err_destroy(wh_kslab_each_object(s->x->slab, s->c, sample_object, s));
	}
}

/* The table is right when it leads from every handle to a record of that handle. */
static bool table_fits(struct wh_depot *d, const struct samples *s)
{
	uint64_t frames[WH_DEPOT_FRAMES];

	for (size_t i = 0; i < s->n; i++)
		if (!wh_depot_fetch(d, s->handle[i], frames))
			return false;
	return s->n > 0;
}

/*
 * A kernel without data symbols: some word of the image is the pool pointer of a handle that we have, and
 * the table begins `index` words before it.
 */
static bool search_table(struct wh_depot *d)
{
	struct wh_lx *x = d->x;
	struct samples s = {.x = x};
	uint64_t index, word = x->abi.word;

	sample_handles(&s);
	if (!s.n)
		return false;
	index = bits_get(d->index, s.handle[0]) - d->bias;
	for (uint64_t va = x->ks->image_start; va < x->ks->image_end; va += x->page_bytes) {
		uint8_t page[4096];

		for (uint64_t part = 0; part < x->page_bytes; part += sizeof(page)) {
			if (wh_read_some(x->r, WH_VIRT, va + part, page, sizeof(page), NULL) !=
			    sizeof(page))
				continue;
			for (uint64_t off = 0; off < sizeof(page); off += word) {
				uint64_t p = wh_lx_ptr(x, wh_get_word(x->abi, page + off));

				if (!wh_lx_is_direct(x, p) || (p & (x->page_bytes - 1)))
					continue;
				d->pools = va + part + off - index * word;
				if (table_fits(d, &s))
					return true;
			}
		}
	}
	return false;
}

struct wh_err *wh_depot_open(struct wh_lx *x, struct wh_depot **ret)
{
	struct wh_depot *d = wh_calloc(1, sizeof(*d));
	uint64_t first, inner;

	if (!d)
		return &wh_err_nomem;
	d->x = x;
	*ret = NULL;
	if (!layout_open(d) || (!wh_lx_symbol(x, "stack_pools", &d->pools) &&
				!wh_lx_symbol(x, "stack_slabs", &d->pools) &&
				(x->names->have_data_symbols || !search_table(d)))) {
		free(d);
		return NULL;
	}
	/* The table itself, or (newer kernels) a pointer to it: then its first word is a pointer too. */
	if (wh_read_word(x->r, d->pools, &first) && first && wh_read_word(x->r, first, &inner) &&
	    wh_lx_is_direct(x, inner) && !(inner & (x->page_bytes - 1)))
		d->pools = wh_lx_ptr(x, first);
	mark_pools(d);
	*ret = d;
	return NULL;
}

void wh_depot_close(struct wh_depot *d)
{
	free(d);
}

uint32_t wh_depot_fetch(struct wh_depot *d, uint32_t handle, uint64_t ret[WH_DEPOT_FRAMES])
{
	struct wh_lx *x = d ? d->x : NULL;
	uint64_t pool, rec, size, own;
	uint32_t index, n = 0;

	if (!d || !handle)
		return 0;
	index = bits_get(d->index, handle) - d->bias;
	if (index >= POOLS_MAX ||
	    !wh_read_word(x->r, d->pools + (uint64_t)index * x->abi.word, &pool) || !pool)
		return 0;
	rec = wh_lx_ptr(x, pool) + (uint64_t)bits_get(d->offset, handle) * GRANULE;
	if (!wh_lx_field(x, rec, &d->size, &size) || !wh_lx_field(x, rec, &d->handle, &own) ||
	    ((uint32_t)own & d->names) != (handle & d->names) || !size || size > WH_DEPOT_FRAMES)
		return 0;
	while (n < size &&
	       wh_read_word(x->r, rec + d->entries.offset + n * (uint64_t)x->abi.word, &ret[n]))
		n++;
	return n;
}
