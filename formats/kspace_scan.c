/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VMCOREINFO in memory: the kernel keeps the text in a zeroed page of its own (vmcoreinfo_data, Linux
 * kernel/vmcore_info.c), so it starts a frame with "OSRELEASE=".  Guests of a dumped host and earlier
 * kernels leave such pages too; whoever asks must check what the text leads to.
 */
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/hashmap.h"
#include "formats/kspace_priv.h"

#define WAVE	   ((uint64_t)1 << 16) /* frames searched before the hits are looked at */
#define UNIT	   ((uint64_t)1 << 11) /* frames a worker takes at once */
#define HITS	   16		       /* candidates kept a unit */
#define FOLLOW_MAX 65536	       /* frames looked at because the image points there */

static const char magic[] = "OSRELEASE=";

struct unit_hits {
	uint64_t pfn[HITS];
	size_t n;
};

struct scan {
	const struct wh_mem *mem;
	uint64_t first, end;
	struct wh_reader **readers; /* one a worker */
	struct unit_hits *hits;	    /* one a unit */
};

static struct wh_err *scan_unit(void *arg, unsigned int worker, size_t unit)
{
	struct scan *s = arg;
	struct unit_hits *h = &s->hits[unit];
	const uint64_t ps = wh_mem_dump(s->mem)->page_size;
	uint64_t pfn = s->first + unit * UNIT, end = pfn + UNIT < s->end ? pfn + UNIT : s->end;

	if (!s->readers[worker])
		WH_TRY(wh_reader_create(s->mem, &s->readers[worker]));
	h->n = 0;
	while (pfn < end) {
		enum wh_mem_state state;
		size_t len;
		const uint8_t *p = wh_reader_borrow(s->readers[worker], WH_PHYS, pfn * ps,
						    (size_t)((end - pfn) * ps), &len, &state);

		for (size_t at = 0; p && at + sizeof(magic) <= len; at += ps)
			if (!memcmp(p + at, magic, sizeof(magic) - 1) && h->n < HITS)
				h->pfn[h->n++] = pfn + at / ps;
		pfn += len / ps ? len / ps : 1;
	}
	return NULL;
}

/* Text that lies in the page at @pa, if it is VMCOREINFO. */
static struct wh_err *try_page(struct wh_reader *r, enum wh_space space, uint64_t addr,
			       struct wh_vmcoreinfo **ret)
{
	const struct wh_dump *d = wh_mem_dump(wh_reader_mem(r));
	WH_AUTO_FREE char *text = malloc(d->page_size + 1);
	size_t n;

	if (!text)
		return &wh_err_nomem;
	n = wh_read_some(r, space, addr, text, d->page_size, NULL);
	text[n] = 0;
	if (n < d->page_size || strlen(text) >= n || strncmp(text, magic, sizeof(magic) - 1) != 0)
		return &wh_err_not_found;
	WH_TRY(wh_vmcoreinfo_create(text, strlen(text), ret));
	if (wh_vmcoreinfo_find(*ret, "PAGESIZE"))
		return NULL;
	wh_vmcoreinfo_destroy(*ret);
	*ret = NULL;
	return &wh_err_not_found;
}

static struct wh_err *try_hits(struct scan *s, size_t n_units, uint64_t *pfn,
			       struct wh_vmcoreinfo **ret)
{
	const uint64_t ps = wh_mem_dump(s->mem)->page_size;

	for (size_t u = 0; u < n_units; u++)
		for (size_t i = 0; i < s->hits[u].n; i++) {
			uint64_t at = s->hits[u].pfn[i];
			struct wh_err *e = try_page(s->readers[0], WH_PHYS, at * ps, ret);

			if (!e)
				*pfn = at + 1;
			if (!wh_err_is(e, WH_ERR_NOT_FOUND))
				return e;
			wh_err_destroy(e);
		}
	return &wh_err_not_found;
}

static struct wh_err *scan_waves(struct scan *s, uint64_t *pfn, struct wh_vmcoreinfo **ret)
{
	const struct wh_dump *d = wh_mem_dump(s->mem);

	for (;;) {
		struct wh_err *e;
		size_t n_units;

		*pfn = wh_kspace_next_frame(s->mem, *pfn);
		if (*pfn >= d->max_pfn)
			return &wh_err_not_found;

		s->first = *pfn;
		s->end = d->max_pfn - s->first < WAVE ? d->max_pfn : s->first + WAVE;
		n_units = (size_t)((s->end - s->first + UNIT - 1) / UNIT);
		WH_TRY(wh_workers_run(d->ctx, "searching VMCOREINFO", n_units, scan_unit, s));
		e = try_hits(s, n_units, pfn, ret);
		if (!wh_err_is(e, WH_ERR_NOT_FOUND))
			return e;
		wh_err_destroy(e);
		*pfn = s->end;
	}
}

struct wh_err *wh_kspace_scan_vmcoreinfo(const struct wh_mem *m, uint64_t *pfn,
					 struct wh_vmcoreinfo **ret)
{
	const struct wh_dump *d = wh_mem_dump(m);
	unsigned int n = wh_workers_count(d->ctx);
	struct scan s = {.mem = m};
	struct wh_err *e = &wh_err_nomem;

	s.readers = wh_calloc(n, sizeof(struct wh_reader *));
	s.hits = wh_calloc(WAVE / UNIT, sizeof(*s.hits));
	if (s.readers && s.hits)
		e = wh_reader_create(m, &s.readers[0]);
	if (!e)
		e = scan_waves(&s, pfn, ret);
	for (unsigned int i = 0; s.readers && i < n; i++)
		wh_reader_destroy(s.readers[i]);
	free(s.readers);
	free(s.hits);
	return e;
}

/* Follows the page-aligned direct-map pointers of the image, each frame once. */
static struct wh_err *follow_pointers(const struct wh_kspace *k, struct wh_reader *r,
				      struct wh_map *seen, struct wh_vmcoreinfo **ret)
{
	const uint64_t mask = (1ull << k->page_shift) - 1;
	uint8_t page[4096];

	for (uint64_t va = k->image_start; va < k->image_end; va += sizeof(page)) {
		size_t n =
			wh_read_some(r, WH_PHYS, va + k->image_to_phys, page, sizeof(page), NULL);

		for (size_t i = 0; i + 8 <= n; i += 8) {
			uint64_t p = wh_get_u64(k->dump->abi, page + i), pfn;
			struct wh_err *e;
			bool fresh;

			if (p & mask || !wh_kspace_virt_to_pfn(k, p, &pfn))
				continue;
			WH_TRY(wh_map_set(seen, pfn, 0, &fresh));
			if (!fresh)
				continue;
			if (seen->n > FOLLOW_MAX)
				return &wh_err_not_found;
			e = try_page(r, WH_PHYS, pfn << k->page_shift, ret);
			if (!wh_err_is(e, WH_ERR_NOT_FOUND))
				return e;
			wh_err_destroy(e);
		}
	}
	return &wh_err_not_found;
}

struct wh_err *wh_kspace_image_vmcoreinfo(const struct wh_kspace *k, struct wh_reader *r,
					  struct wh_vmcoreinfo **ret)
{
	struct wh_map seen = WH_MAP_INIT;
	struct wh_err *e = follow_pointers(k, r, &seen, ret);

	wh_map_fini(&seen);
	return e;
}
