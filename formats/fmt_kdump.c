/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kdump-compressed dumps (makedumpfile 1.7.2 diskdump_mod.h, IMPLEMENTATION; QEMU 7.2 dump/dump.c),
 * header versions 1 to 6, one file or several (makedumpfile --split).
 *
 *	block 0          header: utsname, block size, max_mapnr
 *	block 1          sub header, and what it points at: VMCOREINFO, notes, erase info
 *	block 1+s        bitmap 1: RAM exists      bitmap 2: a descriptor exists
 *	then             descriptors, 24 bytes for each set bit of bitmap 2, in frame order
 *	then             page data, anywhere
 *
 * A frame is found by rank: descriptor number = set bits of bitmap 2 below it, minus those below the
 * first frame that this file of a split set owns.  Descriptors stay in the file (24 bytes a page would
 * make our memory grow with the dump); a window of the scratch follows them.
 *
 *	bit 1  bit 2  descriptor              state
 *	0      0      -                       hole (UNMAPPED)
 *	1      0      -                       left out by the filter (EXCLUDED)
 *	-      1      offset 0, or past the   lost while writing or by a cut (TRUNCATED)
 *	              end of the file
 *	-      1      senseless size, flags   CORRUPT
 *	-      1      else                    PRESENT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/limits.h"
#include "analyzer/base/strbuf.h"
#include "analyzer/base/vec.h"
#include "formats/fmt.h"
#include "formats/note.h"
#include "formats/pagemap.h"
#include "formats/scratch.h"

#define DESC_SIZE	  24
#define STATUS_INCOMPLETE 0x8
#define STATUS_NO_VMEMMAP 0x10
#define RUN_MAX		  (1ull << 22)
#define BLOCK_MIN	  1024u
#define BLOCK_MAX	  (1u << 18) /* a swapped 4096 is 1 MiB: no block size */

/* One file of the set. */
struct part {
	const struct wh_stream *st;
	uint64_t start, end; /* frames it owns */
	uint64_t first_rank; /* set bits of bitmap 2 below start */
	uint64_t descs;	     /* [bytes] offset of the descriptor table */
};

struct kdump {
	struct part *parts; /* sorted by start */
	size_t n_parts;
	struct wh_pagemap ram, dumpable; /* ram.n == 0: the file has one bitmap only */
	uint64_t pfn_base;		 /* frame of bit 0; not 0 on 32-bit ARM only */
	uint8_t *notes;			 /* what d->notes borrows from */
	char codec[48];			 /* what d->codec points at */
};

/* Where the fields lie: 64-bit writers, and 32-bit ones that align 64-bit integers to 4 or to 8. */
struct layout {
	uint16_t timestamp, status; /* header: status is followed by block_size, sub_hdr_size … */
	uint16_t phys_base, dump_level, split, start, end, info, note, erase, start64;
	uint8_t word;
};

static const struct layout layouts[] = {
	{408, 424, 0, 8, 12, 16, 24, 32, 48, 64, 80, 8},
	{404, 412, 0, 4, 8, 12, 16, 20, 32, 44, 56, 4},
	{404, 412, 0, 4, 8, 12, 16, 24, 40, 56, 72, 4},
};
enum { LP64, ILP32_ALIGN4, ILP32_ALIGN8 };

/* The headers of one file, decoded. */
struct header {
	struct wh_abi abi;
	const struct layout *lay;
	uint32_t version;
	uint32_t status, block_size, sub_blocks, bitmap_blocks;
	uint64_t max_mapnr;
	uint64_t time;
	uint64_t phys_base, start, end;
	uint32_t dump_level, split;
	uint64_t info_off, info_len, note_off, note_len, erase_off, erase_len;
	uint8_t raw[512]; /* the first bytes of the file, for utsname */
};

static bool block_size_ok(uint32_t n)
{
	return n >= BLOCK_MIN && n <= BLOCK_MAX && !(n & (n - 1));
}

/* Decides byte order and word size: by machine name, else by which reading gives a block size. */
static const struct layout *guess_layout(const uint8_t *raw, struct wh_abi *ret_abi)
{
	static const struct wh_abi orders[] = {{.big_endian = false, .word = 8},
					       {.big_endian = true, .word = 8}};
	char machine[66] = {0};
	const struct wh_arch *a;

	memcpy(machine, raw + 12 + 4 * 65, 65);
	a = wh_arch_find_name(machine);
	if (a) {
		*ret_abi = a->abi;
		return &layouts[a->abi.word == 8	   ? LP64
				: !strcmp(a->name, "i386") ? ILP32_ALIGN4
							   : ILP32_ALIGN8];
	}
	for (size_t i = 0; i < 2 * sizeof(orders) / sizeof(orders[0]); i++) {
		const struct layout *lay = &layouts[i / 2 ? ILP32_ALIGN8 : LP64];

		*ret_abi = orders[i % 2];
		ret_abi->word = lay->word;
		if (block_size_ok(wh_get_u32(*ret_abi, raw + lay->status + 4)))
			return lay;
	}
	*ret_abi = orders[0];
	return &layouts[LP64];
}

static struct wh_err *read_header(const struct wh_stream *st, struct header *h)
{
	const uint8_t *p = h->raw;
	size_t got;

	/* Fields that the version does not promise stay zero. */
	*h = (struct header){.version = 0};
	got = wh_stream_read(st, 0, h->raw, sizeof(h->raw));

	if (got < 8 || memcmp(p, "KDUMP   ", 8) != 0)
		return &wh_err_not_mine;
	if (got < 464)
		return wh_err_bad(wh_stream_path(st), got,
				  "the file ends inside the kdump header (%zu of 464 bytes)", got);
	h->lay = guess_layout(p, &h->abi);
	h->version = wh_get_u32(h->abi, p + 8);
	h->time = wh_get_word((struct wh_abi){h->abi.big_endian, h->lay->word},
			      p + h->lay->timestamp);
	p += h->lay->status;
	h->status = wh_get_u32(h->abi, p);
	h->block_size = wh_get_u32(h->abi, p + 4);
	h->sub_blocks = wh_get_u32(h->abi, p + 8);
	h->bitmap_blocks = wh_get_u32(h->abi, p + 12);
	h->max_mapnr = wh_get_u32(h->abi, p + 16);
	if (!block_size_ok(h->block_size))
		return wh_err_bad(wh_stream_path(st), h->lay->status + 4u,
				  "kdump block size %u, expected a power of two from %u to %u",
				  h->block_size, BLOCK_MIN, BLOCK_MAX);
	if (!h->sub_blocks || h->sub_blocks > wh_stream_size(st) / h->block_size)
		return wh_err_bad(wh_stream_path(st), h->lay->status + 8u,
				  "kdump sub header of %u blocks in a file of %llu bytes",
				  h->sub_blocks, (unsigned long long)wh_stream_size(st));
	return NULL;
}

static struct wh_err *read_sub_header(const struct wh_stream *st, struct header *h)
{
	const struct layout *l = h->lay;
	uint8_t p[104] = {0};

	if (wh_stream_read(st, h->block_size, p, sizeof(p)) < sizeof(p))
		return wh_err_bad(wh_stream_path(st), h->block_size,
				  "the file ends before the kdump sub header");
	h->phys_base = wh_get_word(h->abi, p + l->phys_base);
	h->dump_level = h->version >= 1 ? wh_get_u32(h->abi, p + l->dump_level) : UINT32_MAX;
	if (h->version >= 2) {
		h->split = wh_get_u32(h->abi, p + l->split);
		h->start = wh_get_word(h->abi, p + l->start);
		h->end = wh_get_word(h->abi, p + l->end);
	}
	if (h->version >= 3) {
		h->info_off = wh_get_u64(h->abi, p + l->info);
		h->info_len = wh_get_word(h->abi, p + l->info + 8);
	}
	if (h->version >= 4) {
		h->note_off = wh_get_u64(h->abi, p + l->note);
		h->note_len = wh_get_word(h->abi, p + l->note + 8);
	}
	if (h->version >= 5) {
		h->erase_off = wh_get_u64(h->abi, p + l->erase);
		h->erase_len = wh_get_word(h->abi, p + l->erase + 8);
	}
	if (h->version >= 6) {
		h->start = wh_get_u64(h->abi, p + l->start64);
		h->end = wh_get_u64(h->abi, p + l->start64 + 8);
		h->max_mapnr = wh_get_u64(h->abi, p + l->start64 + 16);
	}
	return NULL;
}

/* Reads a blob that the sub header points at; *ret NULL when it is absent or not wholly there. */
static struct wh_err *read_blob(struct wh_dump *d, const struct wh_stream *st, uint64_t off,
				uint64_t len, const char *what, uint8_t **ret)
{
	uint8_t *p;

	*ret = NULL;
	if (!len || !off)
		return NULL;
	if (off >= wh_stream_size(st) || len > wh_stream_size(st) - off || len > WH_LIMIT_NOTES) {
		wh_diag_add(d->ctx->diags, WH_DIAG_WARN, "kdump-bad-header", off,
			    "%s: the kdump header puts %s of %llu bytes at offset %llu: ignored",
			    wh_stream_path(st), what, (unsigned long long)len,
			    (unsigned long long)off);
		return NULL;
	}
	p = malloc((size_t)len);
	if (!p)
		return &wh_err_nomem;
	if (wh_stream_read(st, off, p, (size_t)len) < len) {
		free(p);
		return NULL;
	}
	*ret = p;
	return NULL;
}

static struct wh_err *read_blobs(struct wh_dump *d, struct kdump *k, const struct wh_stream *st,
				 const struct header *h)
{
	WH_AUTO_FREE uint8_t *info = NULL;
	size_t used;

	WH_TRY(read_blob(d, st, h->note_off, h->note_len, "notes", &k->notes));
	if (k->notes)
		WH_TRY(wh_notes_parse(d, k->notes, (size_t)h->note_len, &used));
	WH_TRY(read_blob(d, st, h->info_off, h->info_len, "VMCOREINFO", &info));
	if (info)
		WH_TRY(wh_dump_set_vmcoreinfo(d, (const char *)info, (size_t)h->info_len));
	else
		WH_TRY(wh_dump_vmcoreinfo_from_notes(d));
	if (h->erase_len)
		wh_diag_add(d->ctx->diags, WH_DIAG_NOTE, "erased", 0,
			    "makedumpfile erased data from this dump (%llu bytes of erase rules)",
			    (unsigned long long)h->erase_len);
	return NULL;
}

static void set_utsname(struct wh_dump *d, const struct header *h)
{
	for (size_t i = 0; i < 6; i++)
		memcpy(d->utsname[i], h->raw + 12 + 65 * i, 64);
}

/* Where the two bitmaps lie, and how many frames they can describe. */
static struct wh_err *load_bitmaps(struct wh_dump *d, struct kdump *k, const struct wh_stream *st,
				   struct header *h)
{
	uint64_t bs = h->block_size, off = (1 + (uint64_t)h->sub_blocks) * bs;
	uint64_t one = ((h->max_mapnr + 7) / 8 + bs - 1) / bs; /* blocks of one bitmap */
	uint64_t blocks = h->bitmap_blocks;
	bool two;

	if (off >= wh_stream_size(st))
		return wh_err_bad(wh_stream_path(st), off,
				  "the file ends before the page bitmaps of the kdump");
	two = blocks >= 2 * one && blocks >= 2;
	if (two)
		blocks /= 2;
	if (blocks > wh_stream_size(st) / bs + 1)
		blocks = wh_stream_size(st) / bs + 1;
	if (h->max_mapnr > blocks * bs * 8) {
		wh_diag_add(d->ctx->diags, WH_DIAG_WARN, "kdump-bad-header", off,
			    "%s: the kdump header claims %llu frames, its bitmap has room for %llu",
			    wh_stream_path(st), (unsigned long long)h->max_mapnr,
			    (unsigned long long)(blocks * bs * 8));
		h->max_mapnr = blocks * bs * 8;
	}
	if (h->max_mapnr > WH_LIMIT_PFN)
		return wh_err_bad(wh_stream_path(st), 440,
				  "the kdump header claims %llu frames, more than any machine has",
				  (unsigned long long)h->max_mapnr);
	if (two) {
		WH_TRY(wh_pagemap_load(&k->ram, d->ctx, st, off, h->max_mapnr));
		off += blocks * bs;
	}
	return wh_pagemap_load(&k->dumpable, d->ctx, st, off, h->max_mapnr);
}

static uint64_t descs_offset(const struct header *h)
{
	return (1 + (uint64_t)h->sub_blocks + h->bitmap_blocks) * h->block_size;
}

static int cmp_part(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

/* One more file of the set must belong to the first. */
static struct wh_err *add_part(struct wh_dump *d, struct kdump *k, size_t i,
			       const struct header *first, const struct header *h)
{
	const struct wh_stream *st = d->streams[i];
	struct part *p = &k->parts[k->n_parts];

	if (i && (!h->split || !first->split))
		return wh_err_new(
			WH_ERR_USAGE,
			"%s: not a part of a split dump, and more than one file was given",
			wh_stream_path(first->split ? st : d->streams[0]));
	if (i && (memcmp(h->raw + 12, first->raw + 12, 390) != 0 || h->time != first->time ||
		  h->block_size != first->block_size || h->max_mapnr != first->max_mapnr ||
		  h->bitmap_blocks != first->bitmap_blocks))
		return wh_err_bad(
			wh_stream_path(st), 0,
			"belongs to another split dump than %s (different machine, time or "
			"size)",
			wh_stream_path(d->streams[0]));
	*p = (struct part){.st = st, .start = 0, .end = UINT64_MAX, .descs = descs_offset(h)};
	if (h->split) {
		p->start = h->start;
		p->end = h->end;
		if (h->start > h->end)
			return wh_err_bad(wh_stream_path(st), h->block_size + h->lay->start64,
					  "split dump part from frame %llu to %llu",
					  (unsigned long long)h->start, (unsigned long long)h->end);
	}
	k->n_parts++;
	return NULL;
}

/* Sorts the parts, finds gaps and overlaps. */
static struct wh_err *order_parts(struct wh_dump *d, struct kdump *k)
{
	uint64_t at = 0;

	wh_sort(k->parts, k->n_parts, sizeof(*k->parts), cmp_part);
	for (size_t i = 0; i < k->n_parts; i++) {
		struct part *p = &k->parts[i];

		if (p->start < at)
			return wh_err_bad(wh_stream_path(p->st), UINT64_MAX,
					  "this part of the split dump starts at frame %llu, which "
					  "another part owns",
					  (unsigned long long)p->start);
		if (p->end > k->dumpable.n)
			p->end = k->dumpable.n;
		if (p->start > p->end)
			p->start = p->end;
		if (p->start > at && wh_pagemap_next(&k->dumpable, at, p->start) < p->start)
			wh_diag_add(d->ctx->diags, WH_DIAG_WARN, "split-part-missing", at,
				    "a part of the split dump is missing: frames %llu to %llu",
				    (unsigned long long)at, (unsigned long long)p->start);
		p->first_rank = wh_pagemap_rank(&k->dumpable, p->start);
		at = p->end;
	}
	if (wh_pagemap_next(&k->dumpable, at, UINT64_MAX) < k->dumpable.n)
		wh_diag_add(d->ctx->diags, WH_DIAG_WARN, "split-part-missing", at,
			    "a part of the split dump is missing: frames from %llu on",
			    (unsigned long long)at);
	return NULL;
}

/* The file that owns bit @i, or NULL. */
static const struct part *find_part(const struct kdump *k, uint64_t i)
{
	for (size_t j = 0; j < k->n_parts; j++)
		if (i >= k->parts[j].start && i < k->parts[j].end)
			return &k->parts[j];
	return NULL;
}

/* A page descriptor, checked. */
struct desc {
	uint64_t off;
	uint32_t size;
	enum wh_codec codec;
};

static const struct {
	uint32_t flags;
	enum wh_codec codec;
} codec_flags[] = {
	{0x00, WH_CODEC_NONE},	 {0x01, WH_CODEC_ZLIB}, {0x02, WH_CODEC_LZO},
	{0x04, WH_CODEC_SNAPPY}, {0x20, WH_CODEC_ZSTD},
};

static bool find_codec(uint32_t flags, enum wh_codec *ret)
{
	for (size_t i = 0; i < sizeof(codec_flags) / sizeof(codec_flags[0]); i++)
		if (codec_flags[i].flags == flags) {
			*ret = codec_flags[i].codec;
			return true;
		}
	return false;
}

static enum wh_mem_state check_desc(const struct wh_dump *d, const struct part *part,
				    const uint8_t *p, struct desc *ret)
{
	uint64_t size = wh_stream_size(part->st);

	ret->off = wh_get_u64(d->abi, p);
	ret->size = wh_get_u32(d->abi, p + 8);
	if (!ret->off)
		return WH_MEM_TRUNCATED;
	if (!find_codec(wh_get_u32(d->abi, p + 12), &ret->codec) || !ret->size ||
	    ret->size > d->page_size || ret->off > INT64_MAX ||
	    (ret->codec == WH_CODEC_NONE && ret->size != d->page_size))
		return WH_MEM_CORRUPT;
	if (ret->off >= size || ret->size > size - ret->off)
		return WH_MEM_TRUNCATED;
	return WH_MEM_PRESENT;
}

/* State of bit @i; for a present one its descriptor and the file that has it. */
static enum wh_mem_state find_desc(const struct wh_dump *d, struct wh_scratch *sc, uint64_t i,
				   const struct part **ret_part, struct desc *ret)
{
	const struct kdump *k = d->priv;
	const uint8_t *p;
	uint64_t rank;
	size_t got;

	if (i >= k->dumpable.n)
		return WH_MEM_UNMAPPED;
	if (!wh_pagemap_test(&k->dumpable, i)) {
		if (i >= k->dumpable.loaded)
			return WH_MEM_TRUNCATED;
		return !k->ram.n || wh_pagemap_test(&k->ram, i) ? WH_MEM_EXCLUDED : WH_MEM_UNMAPPED;
	}
	*ret_part = find_part(k, i);
	if (!*ret_part)
		return WH_MEM_TRUNCATED;
	rank = wh_pagemap_rank(&k->dumpable, i) - (*ret_part)->first_rank;
	p = wh_scratch_bytes(sc, (*ret_part)->st, (*ret_part)->descs + rank * DESC_SIZE, DESC_SIZE,
			     &got);
	if (got < DESC_SIZE)
		return WH_MEM_TRUNCATED;
	return check_desc(d, *ret_part, p, ret);
}

/* How many frames from the absent bit @i on are known to be so for the same reason.  Looks RUN_MAX
 * frames ahead, so that asking frame by frame does not look at everything each time. */
static uint64_t absent_run(const struct kdump *k, uint64_t i)
{
	uint64_t end = i + RUN_MAX;

	if (i >= k->dumpable.n)
		return UINT64_MAX - i;
	if (i < k->dumpable.loaded && end > k->dumpable.loaded)
		end = k->dumpable.loaded;
	/* First what is usually near: RAM goes on for long. */
	end = wh_pagemap_next(&k->dumpable, i, end);
	return (k->ram.n ? wh_pagemap_run_end(&k->ram, i, end) : end) - i;
}

static enum wh_mem_state kdump_page_state(const struct wh_dump *d, struct wh_scratch *sc,
					  uint64_t pfn, uint64_t *ret_run)
{
	const struct kdump *k = d->priv;
	const struct part *part;
	struct desc desc;
	enum wh_mem_state state;

	if (pfn < k->pfn_base) {
		*ret_run = k->pfn_base - pfn;
		return WH_MEM_UNMAPPED;
	}
	pfn -= k->pfn_base;
	state = find_desc(d, sc, pfn, &part, &desc);
	*ret_run =
		pfn < k->dumpable.n && wh_pagemap_test(&k->dumpable, pfn) ? 1 : absent_run(k, pfn);
	return state;
}

static enum wh_mem_state kdump_get_page(const struct wh_dump *d, struct wh_scratch *sc,
					uint64_t pfn, void *buf, const uint8_t **ret)
{
	const struct kdump *k = d->priv;
	const struct part *part;
	struct desc desc;
	enum wh_mem_state state;
	const uint8_t *p;
	size_t got;

	if (pfn < k->pfn_base)
		return WH_MEM_UNMAPPED;
	state = find_desc(d, sc, pfn - k->pfn_base, &part, &desc);
	if (state != WH_MEM_PRESENT)
		return state;
	p = wh_scratch_bytes(sc, part->st, desc.off, desc.size, &got);
	if (got < desc.size)
		return WH_MEM_TRUNCATED;
	*ret = p;
	if (desc.codec == WH_CODEC_NONE)
		return WH_MEM_PRESENT;
	*ret = buf;
	return wh_scratch_decode(sc, desc.codec, p, desc.size, buf, d->page_size) ? WH_MEM_PRESENT
										  : WH_MEM_CORRUPT;
}

/* Counts the states of the frames that one file owns, and the codecs it uses, from its descriptors. */
static struct wh_err *count_part(struct wh_dump *d, struct wh_scratch *sc, const struct part *p,
				 uint64_t n, uint32_t *codecs)
{
	const size_t step = WH_VIEW_MAX / 8 / DESC_SIZE;

	for (uint64_t i = 0; i < n;) {
		uint64_t left = n - i;
		size_t got, want = left < step ? (size_t)left : step;
		const uint8_t *q = wh_scratch_bytes(sc, p->st, p->descs + i * DESC_SIZE,
						    want * DESC_SIZE, &got);

		if (wh_ctx_cancelled(d->ctx))
			return &wh_err_cancelled;
		got /= DESC_SIZE;
		if (!got)
			break;
		for (size_t j = 0; j < got; j++) {
			struct desc desc;
			enum wh_mem_state s = check_desc(d, p, q + j * DESC_SIZE, &desc);

			d->pages[s]++;
			if (s == WH_MEM_PRESENT)
				*codecs |= 1u << desc.codec;
		}
		i += got;
	}
	return NULL;
}

/* "zlib", "zlib+none" … */
static void name_codecs(struct wh_dump *d, struct kdump *k, uint32_t codecs)
{
	size_t n = 0;

	for (unsigned int c = 0; c < WH_CODEC_COUNT; c++)
		if (codecs >> c & 1)
			n += (size_t)snprintf(k->codec + n, sizeof(k->codec) - n, "%s%s",
					      n ? "+" : "", wh_codec_name(c));
	d->codec = n ? k->codec : wh_codec_name(WH_CODEC_NONE);
}

/* Fills d->pages and d->codec. */
static struct wh_err *count_pages(struct wh_dump *d, struct kdump *k)
{
	struct wh_scratch *sc = NULL;
	struct wh_err *e;
	uint64_t known = 0;
	uint32_t codecs = 0;

	e = wh_scratch_create(&sc);
	for (size_t i = 0; !e && i < k->n_parts; i++) {
		const struct part *p = &k->parts[i];

		e = count_part(d, sc, p, wh_pagemap_rank(&k->dumpable, p->end) - p->first_rank,
			       &codecs);
	}
	wh_scratch_destroy(sc);
	if (e)
		return e;
	/* Every dumpable frame that no descriptor accounts for was cut off, or its part is missing. */
	for (size_t i = 0; i < WH_MEM_STATE_COUNT; i++)
		known += d->pages[i];
	d->pages[WH_MEM_TRUNCATED] += k->dumpable.set - known;
	d->pages[WH_MEM_TRUNCATED] += k->dumpable.n - k->dumpable.loaded;
	for (uint64_t i = 0; i < k->dumpable.loaded;) {
		uint64_t run;

		if (wh_pagemap_test(&k->dumpable, i)) {
			i = wh_pagemap_run_end(&k->dumpable, i, UINT64_MAX);
			continue;
		}
		run = absent_run(k, i);
		d->pages[!k->ram.n || wh_pagemap_test(&k->ram, i) ? WH_MEM_EXCLUDED
								  : WH_MEM_UNMAPPED] += run;
		i += run;
	}
	name_codecs(d, k, codecs);
	d->incomplete |= d->pages[WH_MEM_TRUNCATED] != 0;
	return NULL;
}

static void kdump_close(struct wh_dump *d)
{
	struct kdump *k = d->priv;

	if (!k)
		return;
	wh_pagemap_fini(&k->ram);
	wh_pagemap_fini(&k->dumpable);
	free(k->parts);
	free(k->notes);
	free(k);
	d->priv = NULL;
}

static void describe(struct wh_dump *d, struct kdump *k, const struct header *h)
{
	d->cls = WH_DUMP_PHYSICAL;
	d->abi = h->abi;
	d->page_size = h->block_size;
	set_utsname(d, h);
	d->arch = wh_arch_find_name(d->utsname[4]);
	if (d->arch && !strcmp(d->arch->name, "arm"))
		k->pfn_base = h->phys_base / h->block_size;
	d->header_version = h->version;
	d->dump_level = h->dump_level <= 31 ? (int)h->dump_level : -1;
	d->incomplete = h->status & STATUS_INCOMPLETE;
	d->split = h->split;
	d->crash_time = h->time < INT64_MAX ? h->time : 0;
	if (h->status & STATUS_NO_VMEMMAP)
		wh_diag_add(d->ctx->diags, WH_DIAG_WARN, "vmemmap-excluded", 0,
			    "makedumpfile -e left unused struct pages out of this dump");
}

/* QEMU writes the machine "Unknown" for arm64: then what only one machine's notes have tells. */
static void guess_arch(struct wh_dump *d)
{
	static const struct {
		const char *key, *arch;
	} keys[] = {{"NUMBER(kimage_voffset)", "aarch64"},
		    {"NUMBER(phys_base)", "x86_64"},
		    {"SYMBOL(init_top_pgt)", "x86_64"},
		    {"SYMBOL(init_level4_pgt)", "x86_64"}};
	static const struct {
		size_t len; /* of NT_PRSTATUS */
		const char *arch;
	} sizes[] = {{392, "aarch64"}, {336, "x86_64"}};
	const struct wh_note *n = wh_dump_find_note(d, "CORE", WH_NT_PRSTATUS, NULL);
	const char *name = NULL;

	if (d->abi.word != 8 || d->abi.big_endian)
		return;
	for (size_t i = 0; n && !name && i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (n->desc_len == sizes[i].len)
			name = sizes[i].arch;
	for (size_t i = 0; d->vmcoreinfo && !name && i < sizeof(keys) / sizeof(keys[0]); i++)
		if (wh_vmcoreinfo_find(d->vmcoreinfo, keys[i].key))
			name = keys[i].arch;
	if (!name)
		return;
	d->arch = wh_arch_find_name(name);
	memcpy(d->utsname[4], name, strlen(name) + 1);
}

static struct wh_err *probe_parts(struct wh_dump *d, struct kdump *k, struct header *first)
{
	WH_TRY(read_header(d->streams[0], first));
	WH_TRY(read_sub_header(d->streams[0], first));
	describe(d, k, first);
	WH_TRY(load_bitmaps(d, k, d->streams[0], first));
	d->max_pfn = first->max_mapnr + k->pfn_base;
	for (size_t i = 0; i < d->n_streams; i++) {
		struct header h;
		struct wh_err *e = read_header(d->streams[i], &h);

		if (!e)
			e = read_sub_header(d->streams[i], &h);
		if (i && wh_err_is(e, WH_ERR_NOT_MINE)) {
			wh_err_destroy(e);
			return wh_err_bad(wh_stream_path(d->streams[i]), 0,
					  "not a kdump, unlike the first file");
		}
		if (e)
			return e;
		if (!i)
			h = *first;
		else if (h.max_mapnr > first->max_mapnr)
			h.max_mapnr = first->max_mapnr;
		WH_TRY(add_part(d, k, i, first, &h));
	}
	WH_TRY(order_parts(d, k));
	WH_TRY(read_blobs(d, k, d->streams[0], first));
	if (!d->arch)
		guess_arch(d);
	return count_pages(d, k);
}

static struct wh_err *kdump_probe(struct wh_dump *d)
{
	struct kdump *k = wh_calloc(1, sizeof(*k));
	struct header first;
	struct wh_err *e;

	if (!k)
		return &wh_err_nomem;
	d->priv = k;
	k->parts = wh_calloc(d->n_streams, sizeof(*k->parts));
	e = k->parts ? probe_parts(d, k, &first) : &wh_err_nomem;
	if (e)
		kdump_close(d);
	return e;
}

const struct wh_dump_ops wh_fmt_kdump_ops = {
	.name = "kdump",
	.probe = kdump_probe,
	.page_state = kdump_page_state,
	.get_page = kdump_get_page,
	.close = kdump_close,
};
