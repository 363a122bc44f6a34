/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as an illumos dump, and as LZJB: header, frame table, map and packed pages are all read. */
#include <stdlib.h>
#include <string.h>

#include "formats/illumos.h"
#include "formats/lzjb.h"
#include "tests/fuzz/fuzz.h"

#define PAGES_MAX 64

static bool count_some(void *arg, uint64_t va, uint64_t pfn)
{
	(void)va, (void)pfn;
	return ++*(unsigned int *)arg < 1000;
}

static void read_dump(struct wh_dump *d)
{
	struct wh_scratch *sc;
	uint8_t *buf = malloc(d->page_size);
	const uint8_t *p;
	size_t len;
	unsigned int n = 0;
	uint64_t pfn, run;

	if (!buf || wh_scratch_create(&sc)) {
		free(buf);
		return;
	}
	for (uint64_t f = 0; f < d->max_pfn && f < PAGES_MAX; f++) {
		p = buf;
		if (d->ops->page_state(d, sc, f, &run) == WH_MEM_PRESENT)
			(void)d->ops->get_page(d, sc, f, buf, &p);
	}
	if (wh_illumos_header(d)) {
		(void)d->ops->virt_to_pfn(d, 0x1000, 0x2000, &pfn);
		wh_illumos_each(d, 0x1000, count_some, &n);
		(void)wh_illumos_ksyms(d, &p, &len);
	}
	wh_scratch_destroy(sc);
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wh_ctx *ctx;
	struct wh_dump *d;
	uint8_t out[4096];
	struct wh_err *e = wh_ctx_create(1, &ctx);

	if (e) {
		wh_err_destroy(e);
		return 0;
	}
	(void)wh_lzjb_decode(data, size < 4095 ? size : 4095, out, sizeof(out));
	e = wh_dump_open_mem(ctx, data, size, &d);
	if (!e) {
		if (d->cls == WH_DUMP_ILLUMOS)
			read_dump(d);
		wh_dump_close(d);
	}
	wh_err_destroy(e);
	wh_ctx_destroy(ctx);
	return 0;
}

/* Two pages, frames 1 and 2, mapped at 0x2000 and 0x3000 of address space 0x1000. */
struct shape {
	struct wh_abi abi;
	bool packed;
};

static void word(struct gen_bytes *b, const struct shape *s, size_t off, uint64_t v)
{
	gen_put_uint(b, s->abi, off, s->abi.word, v);
}

static void header(struct gen_bytes *b, const struct shape *s, size_t at)
{
	static const uint64_t offsets[] = {0, 0x1000, 0x2000, 0x3000, 0x4000};
	size_t w = s->abi.word;
	const uint64_t longs[] = {1234, 12, 4096, 1, 2, 2, 64, 64};

	gen_put_uint(b, s->abi, at, 4, 0xdefec8ed);
	gen_put_uint(b, s->abi, at + 4, 4, 10);
	gen_put_uint(b, s->abi, at + 8, 4, 3 | (s->packed ? 8 : 0));
	gen_put_uint(b, s->abi, at + 12, 4, w * 8);
	for (size_t i = 0; i < 5; i++)
		gen_put_uint(b, s->abi, at + 16 + i * 8, 8, offsets[i]);
	for (size_t i = 0; i < 8; i++)
		word(b, s, at + 1800 + i * w, longs[i]);
}

static void packed_part(struct gen_bytes *b, const struct shape *s)
{
	size_t w = s->abi.word, at = 0x4000;
	static const uint8_t zeros[] = {0x02, 0, 0xfc, 0x01}; /* cut on purpose: 4 bytes of LZJB */

	for (size_t i = 0; i < 2; i++) {
		word(b, s, 0x3000 + i * 3 * w, 0x1000);
		word(b, s, 0x3000 + (i * 3 + 1) * w, 0x2000 + i * 0x1000);
		word(b, s, 0x3000 + (i * 3 + 2) * w, i + 1);
	}
	/* A block of stream 1 with a run of two pages. */
	gen_put_uint(b, s->abi, at, 4, 1u << 20 | (uint32_t)(8 + 2 * w + 16));
	gen_put(b, at + 4, "StrmHdr", 8);
	word(b, s, at + 12, 0);
	word(b, s, at + 12 + w, 2);
	for (size_t i = 0; i < 2; i++) {
		gen_put_uint(b, s->abi, at + 12 + 2 * w + i * 8, 4, sizeof(zeros));
		gen_put(b, at + 16 + 2 * w + i * 8, zeros, sizeof(zeros));
	}
	gen_put_uint(b, s->abi, at + 12 + 2 * w + 16, 4, 0);
	header(b, s, 0x10000);
	at = 0x10000 + (w == 8 ? 1912 : 1876);
	gen_put_uint(b, s->abi, at, 4, 0x64686472);
	gen_put_uint(b, s->abi, at + 16, 4, 1 << 17);
	gen_put_uint(b, s->abi, at + 24, 2, 1);
	gen_put_uint(b, s->abi, at + 26, 2, 1);
	gen_put_uint(b, s->abi, 0x1fffc, 4, 0);
}

bool wh_fuzz_seed(size_t i, struct gen_bytes *out)
{
	struct shape s = {{i & 1, i & 2 ? 8 : 4}, i & 4};
	size_t slot = s.abi.word == 8 ? 40 : 32;

	if (i >= 8)
		return false;
	header(out, &s, 0);
	word(out, &s, 0x2000, 1);
	word(out, &s, 0x2000 + s.abi.word, 2);
	if (s.packed) {
		packed_part(out, &s);
		return true;
	}
	for (size_t k = 0; k < 2; k++) {
		size_t at = 0x3000 + k * slot;

		gen_put_uint(out, s.abi, at, 8, 0x3000 + (1 - k) * slot);
		gen_put_uint(out, s.abi, at + 16, 8, 0x4000 + k * 0x1000);
		word(out, &s, at + 24, 0x1000);
		word(out, &s, at + 24 + s.abi.word, 0x2000 + k * 0x1000);
	}
	gen_put_uint(out, s.abi, 0x5ff8, 8, 0);
	return true;
}
