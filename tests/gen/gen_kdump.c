/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kdump writer (makedumpfile 1.7.2 IMPLEMENTATION and diskdump_mod.h). */
#include <stdlib.h>
#include <string.h>

#include "tests/gen/gen.h"

/* Offsets that differ between 64-bit and 32-bit writers. */
static const struct {
	uint16_t time, status, level, split, start, end, info, note, erase, start64;
	uint8_t word;
} layouts[] = {
	[GEN_LP64] = {408, 424, 8, 12, 16, 24, 32, 48, 64, 80, 8},
	[GEN_ILP32_ALIGN4] = {404, 412, 4, 8, 12, 16, 20, 32, 44, 56, 4},
	[GEN_ILP32_ALIGN8] = {404, 412, 4, 8, 12, 16, 24, 40, 56, 72, 4},
};

static const uint32_t codec_flag[GEN_CODECS] = {0, 1, 2, 4, 0x20};

static void put_bitmap(struct gen_bytes *out, size_t off, const struct gen_memory *m, bool dumpable,
		       size_t bytes)
{
	uint8_t *bits = calloc(bytes, 1);

	if (!bits)
		abort();
	for (uint64_t i = 0; i < m->n; i++) {
		uint8_t s = m->state[i];

		if (dumpable ? s == GEN_PRESENT || s == GEN_LOST : s != GEN_HOLE)
			bits[i / 8] |= (uint8_t)(1u << (i % 8));
	}
	gen_put(out, off, bits, bytes);
	free(bits);
}

static void put_pages(struct gen_bytes *out, size_t descs, const struct gen_memory *m,
		      const struct gen_kdump *o)
{
	size_t n = 0, data, at = descs;
	uint8_t *buf = malloc(m->page_size);

	if (!buf)
		abort();
	for (uint64_t i = 0; i < m->n; i++)
		n += (m->state[i] == GEN_PRESENT || m->state[i] == GEN_LOST) &&
		     (!o->split || (i >= o->start && i < o->end));
	data = descs + 24 * n;
	gen_put(out, data, NULL, 0);
	for (uint64_t i = 0; i < m->n; i++) {
		const uint8_t *p = m->bytes + i * m->page_size;
		size_t len;

		if (o->split && (i < o->start || i >= o->end))
			continue;
		if (m->state[i] == GEN_LOST) {
			gen_put_uint(out, o->abi, at + 16, 8, 0);
			at += 24;
		}
		if (m->state[i] != GEN_PRESENT)
			continue;
		/* As the writers do: stored plainly when compression does not make it smaller. */
		len = gen_compress(o->codec, p, m->page_size, buf, m->page_size - 1);
		gen_put_uint(out, o->abi, at, 8, data);
		gen_put_uint(out, o->abi, at + 8, 4, len ? len : m->page_size);
		gen_put_uint(out, o->abi, at + 12, 4, len ? codec_flag[o->codec] : 0);
		gen_put_uint(out, o->abi, at + 16, 8, 0);
		gen_put(out, data, len ? buf : p, len ? len : m->page_size);
		data += len ? len : m->page_size;
		at += 24;
	}
	free(buf);
}

/* Blobs follow the sub header; returns how many blocks it takes with them. */
static size_t put_sub_header(struct gen_bytes *out, const struct gen_memory *m,
			     const struct gen_kdump *o)
{
	size_t bs = m->page_size, sub = bs, at = bs + 104;
	const unsigned int w = layouts[o->layout].word, l = (unsigned int)o->layout;

	gen_put_uint(out, o->abi, sub + layouts[l].level, 4, o->dump_level);
	gen_put_uint(out, o->abi, sub + layouts[l].split, 4, o->split);
	gen_put_uint(out, o->abi, sub + layouts[l].start, w, o->start);
	gen_put_uint(out, o->abi, sub + layouts[l].end, w, o->end);
	if (o->vmcoreinfo && o->version >= 3) {
		gen_put_uint(out, o->abi, sub + layouts[l].info, 8, at);
		gen_put_uint(out, o->abi, sub + layouts[l].info + 8, w, strlen(o->vmcoreinfo));
		gen_put(out, at, o->vmcoreinfo, strlen(o->vmcoreinfo));
		at = (at + strlen(o->vmcoreinfo) + 7) & ~(size_t)7;
	}
	if (o->notes && o->version >= 4) {
		gen_put_uint(out, o->abi, sub + layouts[l].note, 8, at);
		gen_put_uint(out, o->abi, sub + layouts[l].note + 8, w, o->notes->n);
		gen_put(out, at, o->notes->p, o->notes->n);
		at += o->notes->n;
	}
	if (o->version >= 6) {
		gen_put_uint(out, o->abi, sub + layouts[l].start64, 8, o->start);
		gen_put_uint(out, o->abi, sub + layouts[l].start64 + 8, 8, o->end);
		gen_put_uint(out, o->abi, sub + layouts[l].start64 + 16, 8, m->n);
	}
	return (at - bs + bs - 1) / bs;
}

void gen_kdump(const struct gen_memory *m, const struct gen_kdump *o, struct gen_bytes *out)
{
	static const char *const uts[6] = {"Linux", "gen", "6.1.0-gen", "#1", NULL, "(none)"};
	const unsigned int w = layouts[o->layout].word, st = layouts[o->layout].status;
	size_t bs = m->page_size, map = ((m->n + 7) / 8 + bs - 1) / bs, maps, sub;

	gen_put(out, 0, "KDUMP   ", 8);
	gen_put_uint(out, o->abi, 8, 4, o->version);
	for (size_t i = 0; i < 6; i++) {
		const char *s = uts[i] ? uts[i] : o->machine;

		gen_put(out, 12 + 65 * i, s, strlen(s));
	}
	sub = put_sub_header(out, m, o);
	maps = o->one_bitmap ? map : 2 * map;
	gen_put_uint(out, o->abi, layouts[o->layout].time, w, o->time);
	gen_put_uint(out, o->abi, st, 4, o->status | codec_flag[o->codec]);
	gen_put_uint(out, o->abi, st + 4, 4, bs);
	gen_put_uint(out, o->abi, st + 8, 4, sub);
	gen_put_uint(out, o->abi, st + 12, 4, maps);
	gen_put_uint(out, o->abi, st + 16, 4, m->n);
	if (!o->one_bitmap)
		put_bitmap(out, (1 + sub) * bs, m, false, map * bs);
	put_bitmap(out, (1 + sub + maps - map) * bs, m, true, map * bs);
	put_pages(out, (1 + sub + maps) * bs, m, o);
}
