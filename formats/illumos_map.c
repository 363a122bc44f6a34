/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The dump map translates (as, va) to a page.  savecore writes it as a hash table inside the file:
 *
 *	slot i:  first | next | data | as | va		first = head of chain i, the rest = record i
 *
 * Two roles in one slot.  We read every record once into a sorted array instead of following chains at
 * each lookup: a damaged chain then loses nothing, and a lookup is one binary search.  The chains are
 * walked once to tell whether they are sound.  A packed dump has plain records {as, va, pfn}.
 */
#include "formats/illumos.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/hashmap.h"
#include "analyzer/base/order.h"
#include "analyzer/base/vec.h"

struct map_load {
	struct wh_dump *d;
	struct wh_illumos *il;
	struct wh_abi abi;
	struct wh_map spaces; /* as -> index */
	WH_VEC(uint64_t) space_list;
	WH_VEC(struct wh_illumos_xlat) out;
};

static int xlat_cmp(const void *pa, const void *pb)
{
	const struct wh_illumos_xlat *a = pa, *b = pb;

	if (a->as != b->as)
		return a->as < b->as ? -1 : 1;
	if (a->va != b->va)
		return a->va < b->va ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static struct wh_err *map_add(struct map_load *l, uint64_t as, uint64_t va, uint64_t index)
{
	uint64_t id;

	if (!wh_map_find(&l->spaces, as, &id)) {
		id = l->space_list.n;
		WH_TRY(wh_map_set(&l->spaces, as, id, NULL));
		WH_TRY(WH_VEC_PUSH(&l->space_list, as));
	}
	return WH_VEC_PUSH(&l->out, (struct wh_illumos_xlat){va, (uint32_t)id, (uint32_t)index});
}

struct map_slot {
	uint64_t first, next, data, as, va;
};

static struct map_slot slot_decode(struct wh_abi abi, const uint8_t *p)
{
	unsigned int w = abi.word;

	return (struct map_slot){wh_get_u64(abi, p), wh_get_u64(abi, p + 8),
				 wh_get_u64(abi, p + 16), wh_get_word(abi, p + 24),
				 wh_get_word(abi, p + 24 + w)};
}

static uint64_t slot_hash(const struct wh_illumos_header *h, const struct map_slot *s)
{
	return ((s->as >> 3) + (s->va >> h->page_shift)) & h->hashmask;
}

/* Follows every chain; what does not fit together is told once, with its place in the file. */
static void map_check_chains(struct map_load *l, const uint8_t *slots, uint64_t n,
			     uint64_t slot_len)
{
	const struct wh_illumos_header *h = &l->il->hdr;
	uint64_t steps = 0, bytes = n * slot_len;

	for (uint64_t b = 0; b < n; b++) {
		uint64_t off = slot_decode(l->abi, slots + b * slot_len).first;

		while (off) {
			struct map_slot s;

			if (off < h->map || off - h->map > bytes - slot_len ||
			    (off - h->map) % slot_len || off % 8) {
				wh_diag_add(l->d->ctx->diags, WH_DIAG_WARN, "illumos-map-chain",
					    h->map + b * slot_len,
					    "%s: dump map, bucket at offset %llu: link %#llx "
					    "leads outside the map",
					    wh_stream_path(l->il->st),
					    (unsigned long long)(h->map + b * slot_len),
					    (unsigned long long)off);
				break;
			}
			s = slot_decode(l->abi, slots + (off - h->map));
			if (slot_hash(h, &s) != b || ++steps > n) {
				wh_diag_add(l->d->ctx->diags, WH_DIAG_WARN, "illumos-map-chain",
					    off,
					    "%s: dump map, slot at offset %llu does not belong to "
					    "bucket %llu%s",
					    wh_stream_path(l->il->st), (unsigned long long)off,
					    (unsigned long long)b,
					    steps > n ? " (the chain loops)" : "");
				if (steps > n)
					return;
				break;
			}
			off = s.next;
		}
	}
}

static struct wh_err *map_load_hashed(struct map_load *l)
{
	const struct wh_illumos_header *h = &l->il->hdr;
	uint64_t slot_len = l->abi.word == 8 ? 40 : 32, n, got;
	uint8_t *slots;
	struct wh_err *e = NULL;

	if (h->map >= l->il->size || h->hashmask >= UINT32_MAX || (h->hashmask & (h->hashmask + 1)))
		return wh_err_bad(wh_stream_path(l->il->st), h->map,
				  "dump map with hash mask %#llx: expected a table of a power of "
				  "two slots inside the file",
				  (unsigned long long)h->hashmask);
	n = (l->il->size - h->map) / slot_len;
	n = n < h->hashmask + 1 ? n : h->hashmask + 1;
	slots = malloc((size_t)(n * slot_len + 1));
	if (!slots)
		return &wh_err_nomem;
	got = wh_stream_read(l->il->st, h->map, slots, (size_t)(n * slot_len)) / slot_len;
	if (got <= h->hashmask) {
		l->d->incomplete = true;
		wh_diag_add(l->d->ctx->diags, WH_DIAG_ERROR, "illumos-map-cut", 0,
			    "%s: dump map at offset %llu is cut: %llu of %llu slots",
			    wh_stream_path(l->il->st), (unsigned long long)h->map,
			    (unsigned long long)got, (unsigned long long)h->hashmask + 1);
	}
	for (uint64_t i = 0; !e && i < got; i++) {
		struct map_slot s = slot_decode(l->abi, slots + i * slot_len);
		uint64_t index = (s.data - h->data) >> h->page_shift;

		if (s.data < h->data || (s.data - h->data) & (h->page_size - 1) ||
		    index >= l->il->n_pages) {
			if (s.data)
				wh_diag_add(l->d->ctx->diags, WH_DIAG_WARN, "illumos-map-data",
					    h->map + i * slot_len,
					    "%s: dump map, slot at offset %llu points at offset "
					    "%#llx, which is no page",
					    wh_stream_path(l->il->st),
					    (unsigned long long)(h->map + i * slot_len),
					    (unsigned long long)s.data);
			continue;
		}
		e = map_add(l, s.as, s.va & ~(uint64_t)(h->page_size - 1), index);
	}
	if (!e && got)
		map_check_chains(l, slots, got, slot_len);
	free(slots);
	return e;
}

static struct wh_err *map_load_raw(struct map_load *l)
{
	const struct wh_illumos_header *h = &l->il->hdr;
	uint8_t buf[24 * 512];
	size_t rec = l->abi.word == 8 ? 24 : 12, w = l->abi.word, n;
	uint64_t done = 0;

	while (done < h->nvtop) {
		size_t want = sizeof(buf) / rec;

		if (want > h->nvtop - done)
			want = (size_t)(h->nvtop - done);
		n = wh_stream_read(l->il->st, h->map + done * rec, buf, want * rec) / rec;
		for (size_t i = 0; i < n; i++) {
			const uint8_t *p = buf + i * rec;
			uint64_t va = wh_get_word(l->abi, p + w), index;

			/* Frames that were not dumped are legal. */
			if (wh_illumos_page_index(l->il, wh_get_word(l->abi, p + 2 * w), &index))
				WH_TRY(map_add(l, wh_get_word(l->abi, p),
					       va & ~(uint64_t)(h->page_size - 1), index));
		}
		done += n;
		if (n < want)
			break;
	}
	if (done < h->nvtop) {
		l->d->incomplete = true;
		wh_diag_add(l->d->ctx->diags, WH_DIAG_ERROR, "illumos-map-cut", 0,
			    "%s: dump map at offset %llu is cut: %llu of %llu records",
			    wh_stream_path(l->il->st), (unsigned long long)h->map,
			    (unsigned long long)done, (unsigned long long)h->nvtop);
	}
	return NULL;
}

struct wh_err *wh_illumos_load_map(struct wh_dump *d, struct wh_illumos *il)
{
	struct map_load l = {.d = d, .il = il, .abi = d->abi};
	struct wh_err *e;

	e = il->hdr.flags & WH_ILLUMOS_COMPRESSED ? map_load_raw(&l) : map_load_hashed(&l);
	wh_map_fini(&l.spaces);
	if (e) {
		WH_VEC_FINI(&l.space_list);
		WH_VEC_FINI(&l.out);
		return e;
	}
	if (l.out.n)
		wh_sort(l.out.v, l.out.n, sizeof(*l.out.v), xlat_cmp);
	il->spaces = l.space_list.v;
	il->n_spaces = l.space_list.n;
	il->xlats = l.out.v;
	il->n_xlats = l.out.n;
	return NULL;
}

/* ---- lookup ---- */

bool wh_illumos_page_index(const struct wh_illumos *il, uint64_t pfn, uint64_t *ret_index)
{
	uint64_t lo = 0, hi = il->n_pages;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;
		uint64_t i = il->order ? il->order[mid] : mid;

		if (il->pfns[i] == pfn) {
			*ret_index = i;
			return true;
		}
		if (il->pfns[i] < pfn)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

static const struct wh_illumos_xlat *xlat_lower(const struct wh_illumos *il, uint32_t as,
						uint64_t va)
{
	const struct wh_illumos_xlat *x = il->xlats;

	return x + WH_BOUND(i, il->n_xlats, x[i].as < as || (x[i].as == as && x[i].va < va));
}

static bool xlat_space(const struct wh_illumos *il, uint64_t as, uint32_t *ret)
{
	for (size_t i = 0; i < il->n_spaces; i++)
		if (il->spaces[i] == as) {
			*ret = (uint32_t)i;
			return true;
		}
	return false;
}

static const struct wh_illumos_xlat *xlat_find(const struct wh_dump *d, uint64_t as, uint64_t va)
{
	const struct wh_illumos *il = d->priv;
	const struct wh_illumos_xlat *x;
	uint32_t id;

	va &= ~(uint64_t)(d->page_size - 1);
	if (!xlat_space(il, as, &id))
		return NULL;
	x = xlat_lower(il, id, va);
	return x == il->xlats + il->n_xlats || x->as != id || x->va != va ? NULL : x;
}

bool wh_illumos_virt_to_pfn(const struct wh_dump *d, uint64_t as, uint64_t va, uint64_t *ret_pfn)
{
	const struct wh_illumos *il = d->priv;
	const struct wh_illumos_xlat *x = xlat_find(d, as, va);

	if (x)
		*ret_pfn = il->pfns[x->index];
	return x != NULL;
}

/* Where in the file the page with number @index begins, and whether it can be had from there. */
static bool page_offset(const struct wh_illumos *il, uint64_t index, uint64_t *ret_off)
{
	const struct wh_illumos_header *h = &il->hdr;

	if (il->vmdump)
		return wh_vmdump_check(il->vmdump, index, ret_off);
	*ret_off = h->data + index * h->page_size;
	return *ret_off < il->size && il->size - *ret_off >= h->page_size;
}

void wh_illumos_why(const struct wh_dump *d, uint64_t as, uint64_t va, char *buf, size_t cap)
{
	const struct wh_illumos *il = d->priv;
	const struct wh_illumos_header *h = &il->hdr;
	const struct wh_illumos_xlat *x = xlat_find(d, as, va);
	const char *file = wh_stream_path(il->st);
	uint64_t off = 0;

	if (il->n_pages < h->npages)
		snprintf(buf, cap,
			 "%s: offset %llu: expected a frame table of %llu entries, found %llu",
			 file, (unsigned long long)h->pfn, (unsigned long long)h->npages,
			 (unsigned long long)il->n_pages);
	else if (!x)
		snprintf(
			buf, cap,
			"%s: offset %llu: expected a translation of %#llx in the dump map, found %zu "
			"of %llu that lead to a page, and not this one",
			file, (unsigned long long)h->map, (unsigned long long)va, il->n_xlats,
			(unsigned long long)h->nvtop);
	else if (page_offset(il, x->index, &off))
		snprintf(buf, cap,
			 "%s: offset %llu: the page of %#llx holds something else (damaged, or the "
			 "symbols are another dump's: give its own unix.N with -s)",
			 file, (unsigned long long)off, (unsigned long long)va);
	else if (off)
		snprintf(
			buf, cap,
			"%s: offset %llu: expected the page of %#llx, found damaged data or the end "
			"of the file (%llu bytes)",
			file, (unsigned long long)off, (unsigned long long)va,
			(unsigned long long)il->size);
	else
		snprintf(buf, cap,
			 "%s: offset %llu: expected the page of %#llx as number %u of those packed "
			 "here, found damaged data or their end before it",
			 file, (unsigned long long)h->data, (unsigned long long)va, x->index);
}

void wh_illumos_each(const struct wh_dump *d, uint64_t as, wh_illumos_map_fn fn, void *arg)
{
	const struct wh_illumos *il = d->priv;
	const struct wh_illumos_xlat *x, *end = il->xlats + il->n_xlats;
	uint32_t id;

	if (!xlat_space(il, as, &id))
		return;
	for (x = xlat_lower(il, id, 0); x < end && x->as == id; x++)
		if (!fn(arg, x->va, il->pfns[x->index]))
			return;
}

size_t wh_illumos_translations(const struct wh_dump *d)
{
	return ((const struct wh_illumos *)d->priv)->n_xlats;
}
