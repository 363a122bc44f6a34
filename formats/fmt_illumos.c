/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/base/vec.h"
#include "formats/illumos.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/base/limits.h"
#include "formats/fmt.h"
#include "formats/lzjb.h"

#define DUMP_MAGIC   0xdefec8edu
#define DUMP_VERSION 10u
#define KSYMS_MAX    (1ull << 30)
enum { HDR_MAX = 1920, UTS_LEN = 257, UTS_COUNT = 5, PLATFORM_AT = 1341, PANIC_AT = 1598 };

static struct wh_illumos *priv_of(const struct wh_dump *d)
{
	return d->priv;
}

/* ---- the header ---- */

static bool magic_of(const uint8_t *p, struct wh_abi *abi)
{
	for (int big = 0; big < 2; big++) {
		abi->big_endian = big;
		if (wh_get_u32(*abi, p) == DUMP_MAGIC)
			return true;
	}
	return false;
}

static void copy_text(char *to, const uint8_t *from, size_t len)
{
	memcpy(to, from, len);
	to[len] = '\0';
}

static void header_strings(struct wh_dump *d, struct wh_illumos_header *h, const uint8_t *p)
{
	for (size_t i = 0; i < UTS_COUNT; i++)
		copy_text(d->utsname[i], p + 56 + i * UTS_LEN, UTS_LEN);
	copy_text(h->platform, p + PLATFORM_AT, UTS_LEN);
	copy_text(h->panicstring, p + PANIC_AT, 200);
	copy_text(h->uuid, p + (h->wordsize == 64 ? 1868 : 1836), 37);
}

/* The part behind the strings, whose integers are C longs. */
static void header_longs(struct wh_dump *d, struct wh_illumos_header *h, const uint8_t *p)
{
	struct wh_abi a = d->abi;
	const uint8_t *q = p + 1800;

	d->crash_time = wh_get_word(a, q);
	q += a.word;
	h->page_shift = (uint32_t)wh_get_word(a, q);
	h->page_size = (uint32_t)wh_get_word(a, q + a.word);
	q += 2u * a.word;
	h->hashmask = wh_get_word(a, q);
	h->nvtop = wh_get_word(a, q + a.word);
	h->npages = wh_get_word(a, q + 2u * a.word);
	h->ksyms_size = wh_get_word(a, q + 3u * a.word);
	h->ksyms_csize = wh_get_word(a, q + 4u * a.word);
}

static struct wh_err *header_check(const struct wh_stream *st, const struct wh_illumos_header *h)
{
	const char *path = wh_stream_path(st);

	if (h->page_shift < 9 || h->page_shift > 26 || h->page_size != 1u << h->page_shift)
		return wh_err_bad(path, 1808, "page size %u does not fit page shift %u",
				  h->page_size, h->page_shift);
	if (h->npages > WH_LIMIT_PFN || h->npages > UINT32_MAX)
		return wh_err_bad(path, 1840, "%llu pages are more than a dump can have",
				  (unsigned long long)h->npages);
	if (h->nvtop > UINT32_MAX)
		return wh_err_bad(path, 1832, "%llu translations are more than a dump can have",
				  (unsigned long long)h->nvtop);
	return NULL;
}

static struct wh_err *header_read(struct wh_dump *d, struct wh_illumos *il)
{
	struct wh_illumos_header *h = &il->hdr;
	const char *path = wh_stream_path(il->st);
	uint8_t p[HDR_MAX] = {0};
	size_t got = wh_stream_read(il->st, 0, p, sizeof(p));

	magic_of(p, &d->abi);
	if (got < sizeof(p))
		return wh_err_bad(path, got, "the file ends inside the dump header");
	h->version = wh_get_u32(d->abi, p + 4);
	if (h->version != DUMP_VERSION)
		return wh_err_bad(path, 4, "illumos dump header of version %u, expected %u",
				  h->version, DUMP_VERSION);
	h->flags = wh_get_u32(d->abi, p + 8);
	h->wordsize = wh_get_u32(d->abi, p + 12);
	if (h->wordsize != 32 && h->wordsize != 64)
		return wh_err_bad(path, 12, "word size %u, expected 32 or 64", h->wordsize);
	d->abi.word = (uint8_t)(h->wordsize / 8);
	h->start = wh_get_u64(d->abi, p + 16);
	h->ksyms = wh_get_u64(d->abi, p + 24);
	h->pfn = wh_get_u64(d->abi, p + 32);
	h->map = wh_get_u64(d->abi, p + 40);
	h->data = wh_get_u64(d->abi, p + 48);
	header_strings(d, h, p);
	header_longs(d, h, p);
	return header_check(il->st, h);
}

/* ---- frame table, symbols ---- */

struct by_pfn {
	uint64_t pfn;
	uint32_t index;
};

static int by_pfn_cmp(const void *pa, const void *pb)
{
	const struct by_pfn *a = pa, *b = pb;

	if (a->pfn != b->pfn)
		return a->pfn < b->pfn ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

/* Memory lists need not ascend: then a permutation does. */
static struct wh_err *pfn_sort(struct wh_illumos *il)
{
	struct by_pfn *v;
	bool sorted = true;

	for (uint64_t i = 1; i < il->n_pages && sorted; i++)
		sorted = il->pfns[i - 1] < il->pfns[i];
	if (sorted)
		return NULL;
	v = calloc((size_t)il->n_pages, sizeof(*v));
	il->order = calloc((size_t)il->n_pages, sizeof(*il->order));
	if (!v || !il->order) {
		free(v);
		return &wh_err_nomem;
	}
	for (uint64_t i = 0; i < il->n_pages; i++)
		v[i] = (struct by_pfn){il->pfns[i], (uint32_t)i};
	wh_sort(v, (size_t)il->n_pages, sizeof(*v), by_pfn_cmp);
	for (uint64_t i = 0; i < il->n_pages; i++)
		il->order[i] = v[i].index;
	free(v);
	return NULL;
}

static struct wh_err *pfn_load(struct wh_dump *d, struct wh_illumos *il)
{
	const struct wh_illumos_header *h = &il->hdr;
	uint64_t have = h->pfn < il->size ? (il->size - h->pfn) / d->abi.word : 0;
	size_t bytes;
	uint8_t *raw;

	il->n_pages = h->npages < have ? h->npages : have;
	bytes = (size_t)il->n_pages * d->abi.word;
	raw = malloc(bytes + 1);
	il->pfns = calloc((size_t)il->n_pages + 1, sizeof(*il->pfns));
	if (!raw || !il->pfns) {
		free(raw);
		return &wh_err_nomem;
	}
	il->n_pages = wh_stream_read(il->st, h->pfn, raw, bytes) / d->abi.word;
	for (uint64_t i = 0; i < il->n_pages; i++) {
		il->pfns[i] = wh_get_word(d->abi, raw + i * d->abi.word);
		if (il->pfns[i] < WH_LIMIT_PFN && il->pfns[i] >= d->max_pfn)
			d->max_pfn = il->pfns[i] + 1;
	}
	free(raw);
	if (il->n_pages < h->npages) {
		d->incomplete = true;
		wh_diag_add(d->ctx->diags, WH_DIAG_ERROR, "illumos-frames-cut", 0,
			    "%s: frame table at offset %llu is cut: %llu of %llu entries",
			    wh_stream_path(il->st), (unsigned long long)h->pfn,
			    (unsigned long long)il->n_pages, (unsigned long long)h->npages);
	}
	return pfn_sort(il);
}

/* Reads the symbol image from @st, decompressing what older kernels packed. */
static struct wh_err *ksyms_load(struct wh_dump *d, struct wh_illumos *il)
{
	const struct wh_illumos_header *h = &il->hdr;
	uint64_t csize = h->ksyms_csize ? h->ksyms_csize : h->ksyms_size;
	uint8_t *raw;
	size_t got;

	if (!h->ksyms_size || h->ksyms_size > KSYMS_MAX || csize > h->ksyms_size ||
	    h->ksyms >= il->size || h->ksyms_size / 70 > csize) {
		wh_diag_add(d->ctx->diags, WH_DIAG_ERROR, "illumos-ksyms", 0,
			    "%s: no symbol image at offset %llu (%llu bytes)",
			    wh_stream_path(il->st), (unsigned long long)h->ksyms,
			    (unsigned long long)h->ksyms_size);
		return NULL;
	}
	raw = malloc((size_t)csize + 1);
	if (!raw)
		return &wh_err_nomem;
	got = wh_stream_read(il->st, h->ksyms, raw, (size_t)csize);
	il->ksyms = raw;
	il->ksyms_len = got;
	if (got == csize && csize < h->ksyms_size) {
		il->ksyms = malloc((size_t)h->ksyms_size);
		il->ksyms_len = (size_t)h->ksyms_size;
		if (il->ksyms && wh_lzjb_decode(raw, got, il->ksyms, il->ksyms_len)) {
			free(raw);
			return NULL;
		}
		free(il->ksyms);
		free(raw);
		il->ksyms = NULL;
		il->ksyms_len = 0;
	} else if (got == csize) {
		return NULL;
	}
	wh_diag_add(d->ctx->diags, WH_DIAG_ERROR, "illumos-ksyms", 0,
		    "%s: the symbol image at offset %llu is %s", wh_stream_path(il->st),
		    (unsigned long long)h->ksyms, got < csize ? "cut" : "not LZJB as it should be");
	return NULL;
}

static bool is_elf(const struct wh_stream *st)
{
	char id[4];

	return wh_stream_read(st, 0, id, 4) == 4 && !memcmp(id, "\177ELF", 4);
}

/* unix.N, when the user gave it, replaces the image inside. */
static struct wh_err *ksyms_from_file(struct wh_dump *d, struct wh_illumos *il)
{
	for (size_t i = 0; i < d->n_streams; i++) {
		uint64_t size = wh_stream_size(d->streams[i]);

		if (d->streams[i] == il->st || !is_elf(d->streams[i]) || size > KSYMS_MAX)
			continue;
		il->ksyms = malloc((size_t)size + 1);
		if (!il->ksyms)
			return &wh_err_nomem;
		il->ksyms_len = wh_stream_read(d->streams[i], 0, il->ksyms, (size_t)size);
		return NULL;
	}
	return ksyms_load(d, il);
}

static void arch_set(struct wh_dump *d, const struct wh_illumos *il)
{
	static const uint16_t by_platform[2][2] = {{3, 62}, {2, 43}}; /* [big][64 bit], EM_* */
	uint16_t machine = by_platform[d->abi.big_endian][d->abi.word == 8];

	if (il->ksyms_len > 20 && !memcmp(il->ksyms, "\177ELF", 4))
		machine = wh_get_u16(d->abi, il->ksyms + 18);
	d->arch = wh_arch_find(machine, d->abi);
}

/* ---- the operations ---- */

static enum wh_mem_state index_state(const struct wh_illumos *il, uint64_t index)
{
	uint64_t ps = il->hdr.page_size;

	if (il->vmdump)
		return wh_vmdump_state(il->vmdump, index);
	if (il->hdr.data >= il->size || (il->size - il->hdr.data) / ps <= index)
		return WH_MEM_TRUNCATED;
	return WH_MEM_PRESENT;
}

static enum wh_mem_state illumos_state(const struct wh_dump *d, struct wh_scratch *sc, uint64_t pfn,
				       uint64_t *ret_run)
{
	uint64_t index;

	(void)sc;
	*ret_run = 1;
	if (!wh_illumos_page_index(priv_of(d), pfn, &index))
		return pfn < d->max_pfn ? WH_MEM_EXCLUDED : WH_MEM_UNMAPPED;
	return index_state(priv_of(d), index);
}

static enum wh_mem_state illumos_page(const struct wh_dump *d, struct wh_scratch *sc, uint64_t pfn,
				      void *buf, const uint8_t **ret)
{
	const struct wh_illumos *il = priv_of(d);
	uint64_t index;
	size_t got, ps = il->hdr.page_size;
	enum wh_mem_state s;

	if (!wh_illumos_page_index(il, pfn, &index))
		return pfn < d->max_pfn ? WH_MEM_EXCLUDED : WH_MEM_UNMAPPED;
	s = index_state(il, index);
	if (s != WH_MEM_PRESENT)
		return s;
	*ret = buf;
	if (il->vmdump)
		return wh_vmdump_page(il->vmdump, sc, index, buf);
	*ret = wh_scratch_bytes(sc, il->st, il->hdr.data + index * ps, ps, &got);
	return *ret && got >= ps ? WH_MEM_PRESENT : WH_MEM_TRUNCATED;
}

static void illumos_close(struct wh_dump *d)
{
	struct wh_illumos *il = priv_of(d);

	if (!il)
		return;
	wh_vmdump_close(il->vmdump);
	free(il->pfns);
	free(il->order);
	free(il->spaces);
	free(il->xlats);
	free(il->ksyms);
	free(il);
	d->priv = NULL;
}

static void count_pages(struct wh_dump *d, const struct wh_illumos *il)
{
	for (uint64_t i = 0; i < il->n_pages; i++)
		d->pages[index_state(il, i)]++;
	d->pages[WH_MEM_TRUNCATED] += il->hdr.npages - il->n_pages;
	if (d->pages[WH_MEM_TRUNCATED] || d->pages[WH_MEM_CORRUPT])
		d->incomplete = true;
}

static struct wh_err *illumos_fill(struct wh_dump *d, struct wh_illumos *il)
{
	WH_TRY(header_read(d, il));
	d->page_size = il->hdr.page_size;
	d->header_version = il->hdr.version;
	d->dump_level = -1;
	d->codec = "none";
	if (!(il->hdr.flags & WH_ILLUMOS_COMPLETE))
		d->incomplete = true;
	WH_TRY(pfn_load(d, il));
	WH_TRY(ksyms_from_file(d, il));
	arch_set(d, il);
	if (il->hdr.flags & WH_ILLUMOS_COMPRESSED) {
		WH_TRY(wh_vmdump_open(d, il, &il->vmdump));
		d->codec = wh_vmdump_codec(il->vmdump);
	}
	WH_TRY(wh_illumos_load_map(d, il));
	count_pages(d, il);
	return NULL;
}

static struct wh_err *illumos_probe(struct wh_dump *d)
{
	struct wh_illumos *il;
	uint8_t p[4];
	struct wh_err *e;

	il = calloc(1, sizeof(*il));
	if (!il)
		return &wh_err_nomem;
	for (size_t i = 0; i < d->n_streams && !il->st; i++)
		if (wh_stream_read(d->streams[i], 0, p, 4) == 4 && magic_of(p, &d->abi))
			il->st = d->streams[i];
	if (!il->st) {
		free(il);
		return &wh_err_not_mine;
	}
	il->size = wh_stream_size(il->st);
	d->cls = WH_DUMP_ILLUMOS;
	d->priv = il;
	e = illumos_fill(d, il);
	if (e)
		illumos_close(d);
	return e;
}

const struct wh_dump_ops wh_fmt_illumos_ops = {
	.name = "illumos",
	.probe = illumos_probe,
	.page_state = illumos_state,
	.get_page = illumos_page,
	.virt_to_pfn = wh_illumos_virt_to_pfn,
	.close = illumos_close,
};

const struct wh_illumos_header *wh_illumos_header(const struct wh_dump *d)
{
	return d->ops == &wh_fmt_illumos_ops ? &priv_of(d)->hdr : NULL;
}

bool wh_illumos_ksyms(const struct wh_dump *d, const uint8_t **ret, size_t *ret_len)
{
	if (d->ops != &wh_fmt_illumos_ops || !priv_of(d)->ksyms_len)
		return false;
	*ret = priv_of(d)->ksyms;
	*ret_len = priv_of(d)->ksyms_len;
	return true;
}
