/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flattened dumps (makedumpfile -F, QEMU): a file as a pipe can carry it.  Layout (makedumpfile 1.7.2,
 * IMPLEMENTATION "Flattened format"): a 4096-byte prologue, then records {s64 offset, s64 size, size
 * bytes}, all integers big endian; the end record has -1 in both.  Records come in any order and may
 * overlap; a later one wins.
 *
 *	stream  | prologue | o=0 headers | o=8192 data ... | o=0 header again | end |
 *	content [header again][headers'  rest][data ...
 *
 * One pass over the record headers makes a sorted array of disjoint pieces {offset, length, place in
 * the stream}; reads search it.  Bytes that no record wrote are zero, as in the file that
 * makedumpfile -R would write.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/order.h"
#include "analyzer/base/vec.h"
#include "formats/arch.h"
#include "formats/stream_priv.h"

#define PROLOGUE 4096
#define RECORD	 16

struct piece {
	uint64_t off;	/* in the content */
	uint64_t len;	/* [bytes] */
	uint64_t place; /* in the stream below */
};

struct wh_flat {
	WH_VEC(struct piece) pieces; /* sorted by off, disjoint */
};

void wh_flat_destroy(struct wh_flat *f)
{
	if (!f)
		return;
	WH_VEC_FINI(&f->pieces);
	free(f);
}

struct wh_flat_records {
	WH_VEC(struct piece) v; /* in stream order: place ascends */
};

static const struct wh_abi be64 = {.big_endian = true, .word = 8};

/* Record headers, a small window at a time: records are anything from 100 bytes to 64 KiB, and reading
 * all of the file for 16 bytes a record would make opening as slow as decoding. */
struct head_window {
	uint64_t off;
	size_t len;
	uint8_t buf[4096];
};

static const uint8_t *head_at(struct head_window *w, const struct wh_stream *in, uint64_t pos)
{
	if (pos < w->off || pos - w->off > w->len || w->len - (pos - w->off) < RECORD) {
		w->off = pos;
		w->len = wh_stream_read(in, pos, w->buf, sizeof(w->buf));
		if (w->len < RECORD)
			return NULL;
	}
	return w->buf + (pos - w->off);
}

/* Lists the records; *ret_cut when the end record is missing. */
static struct wh_err *list_records(struct wh_ctx *ctx, const struct wh_stream *in,
				   struct wh_flat_records *recs, bool *ret_cut)
{
	struct head_window w = {.len = 0};
	uint64_t pos = PROLOGUE;

	*ret_cut = true;
	for (;;) {
		struct piece r;
		const uint8_t *h = head_at(&w, in, pos);

		if (!h)
			return NULL;
		if (wh_ctx_cancelled(ctx))
			return &wh_err_cancelled;
		r.off = wh_get_u64(be64, h);
		r.len = wh_get_u64(be64, h + 8);
		if (r.off == UINT64_MAX && r.len == UINT64_MAX) {
			*ret_cut = false;
			return NULL;
		}
		if (r.off > INT64_MAX || r.len > INT64_MAX - r.off)
			return wh_err_bad(in->path, pos,
					  "flattened record with offset %#llx and size %#llx",
					  (unsigned long long)r.off, (unsigned long long)r.len);
		pos += RECORD;
		r.place = pos;
		if (r.len > in->size - pos)
			r.len = in->size - pos; /* cut: keep what is there */
		if (r.len)
			WH_TRY(WH_VEC_PUSH(&recs->v, r));
		pos += r.len;
	}
}

static int cmp_off(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->off != y->off)
		return x->off < y->off ? -1 : 1;
	return x->place < y->place ? 1 : x->place > y->place ? -1 : 0;
}

/* A heap of records by place, latest on top: those that cover the current offset. */
struct heap {
	WH_VEC(struct piece) h;
};

static struct wh_err *heap_push(struct heap *q, struct piece r)
{
	size_t i = q->h.n;

	WH_TRY(WH_VEC_PUSH(&q->h, r));
	while (i && q->h.v[(i - 1) / 2].place < q->h.v[i].place) {
		struct piece t = q->h.v[i];

		q->h.v[i] = q->h.v[(i - 1) / 2];
		q->h.v[(i - 1) / 2] = t;
		i = (i - 1) / 2;
	}
	return NULL;
}

static void heap_pop(struct heap *q)
{
	size_t i = 0;

	q->h.v[0] = q->h.v[--q->h.n];
	for (;;) {
		size_t best = i;

		for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < q->h.n; c++)
			if (q->h.v[c].place > q->h.v[best].place)
				best = c;
		if (best == i)
			return;
		struct piece t = q->h.v[i];

		q->h.v[i] = q->h.v[best];
		q->h.v[best] = t;
		i = best;
	}
}

static struct wh_err *emit(struct wh_flat *f, const struct piece *top, uint64_t from, uint64_t to)
{
	struct piece p = {from, to - from, top->place + (from - top->off)};

	if (f->pieces.n) {
		struct piece *last = &f->pieces.v[f->pieces.n - 1];

		if (last->off + last->len == p.off && last->place + last->len == p.place) {
			last->len += p.len;
			return NULL;
		}
	}
	return WH_VEC_PUSH(&f->pieces, p);
}

/* Sweeps the sorted records; at each offset the latest record that covers it wins. */
static struct wh_err *sweep(struct wh_flat *f, const struct wh_flat_records *recs, struct heap *q)
{
	uint64_t at = 0;
	size_t i = 0;

	while (i < recs->v.n || q->h.n) {
		const struct piece *top;
		uint64_t to;

		if (!q->h.n && at < recs->v.v[i].off)
			at = recs->v.v[i].off;
		while (i < recs->v.n && recs->v.v[i].off <= at)
			WH_TRY(heap_push(q, recs->v.v[i++]));
		while (q->h.n && q->h.v[0].off + q->h.v[0].len <= at)
			heap_pop(q);
		if (!q->h.n)
			continue;
		top = &q->h.v[0];
		to = top->off + top->len;
		if (i < recs->v.n && recs->v.v[i].off < to)
			to = recs->v.v[i].off;
		WH_TRY(emit(f, top, at, to));
		at = to;
	}
	return NULL;
}

static struct wh_err *build(struct wh_ctx *ctx, struct wh_flat *f, const struct wh_stream *in,
			    struct wh_stream *out)
{
	struct wh_flat_records recs = {0};
	struct heap q = {0};
	struct wh_err *e = list_records(ctx, in, &recs, &out->truncated);

	if (!e) {
		wh_sort(recs.v.v, recs.v.n, sizeof(*recs.v.v), cmp_off);
		e = sweep(f, &recs, &q);
	}
	if (!e && !f->pieces.n)
		e = wh_err_bad(in->path, PROLOGUE, "flattened dump without any record");
	if (!e) {
		const struct piece *last = &f->pieces.v[f->pieces.n - 1];

		out->size = last->off + last->len;
		if (out->truncated)
			wh_diag_add(
				ctx->diags, WH_DIAG_WARN, "input-cut", in->size,
				"%s: flattened dump without an end record: the transfer was cut",
				in->path);
	}
	WH_VEC_FINI(&recs.v);
	WH_VEC_FINI(&q.h);
	return e;
}

struct wh_err *wh_stream_peel_flat(struct wh_ctx *ctx, struct wh_stream *in, struct wh_stream **ret)
{
	static const char magic[16] = "makedumpfile";
	uint8_t head[32];
	WH_AUTO_FREE char *names = NULL;
	struct wh_stream *out = NULL;
	struct wh_err *e;

	if (wh_stream_read(in, 0, head, sizeof(head)) < sizeof(head) ||
	    memcmp(head, magic, sizeof(magic)) != 0)
		return &wh_err_not_mine;
	if (wh_get_u64(be64, head + 16) != 1 || wh_get_u64(be64, head + 24) != 1)
		return wh_err_bad(in->path, 16,
				  "flattened dump of type %llu version %llu, expected 1 and 1",
				  (unsigned long long)wh_get_u64(be64, head + 16),
				  (unsigned long long)wh_get_u64(be64, head + 24));
	if (asprintf(&names, "%s%sflattened", in->wrappers, *in->wrappers ? ", " : "") < 0)
		return &wh_err_nomem;
	WH_TRY(wh_stream_new(in->path, names, &out));
	out->flat = wh_calloc(1, sizeof(*out->flat));
	e = out->flat ? build(ctx, out->flat, in, out) : &wh_err_nomem;
	if (e) {
		wh_stream_close(out);
		return e;
	}
	out->under = in;
	*ret = out;
	return NULL;
}

/* Index of the first piece that ends after @off. */
static size_t find_piece(const struct wh_flat *f, uint64_t off)
{
	return WH_BOUND(i, f->pieces.n, f->pieces.v[i].off + f->pieces.v[i].len <= off);
}

size_t wh_flat_read(const struct wh_stream *s, uint64_t off, uint8_t *buf, size_t len)
{
	size_t done = 0;

	for (size_t i = find_piece(s->flat, off); done < len; i++) {
		const struct piece *p = i < s->flat->pieces.n ? &s->flat->pieces.v[i] : NULL;
		uint64_t at = off + done, skip, n;

		if (!p || p->off >= off + len) {
			memset(buf + done, 0, len - done);
			return len;
		}
		if (p->off > at) {
			memset(buf + done, 0, (size_t)(p->off - at));
			done += (size_t)(p->off - at);
			at = p->off;
		}
		skip = at - p->off;
		n = p->len - skip;
		if (n > len - done)
			n = len - done;
		if (wh_stream_read(s->under, p->place + skip, buf + done, (size_t)n) < n)
			return done;
		done += (size_t)n;
	}
	return done;
}

const void *wh_flat_borrow(const struct wh_stream *s, uint64_t off, size_t len)
{
	size_t i = find_piece(s->flat, off);
	const struct piece *p = i < s->flat->pieces.n ? &s->flat->pieces.v[i] : NULL;

	if (!p || off < p->off || len > p->len - (off - p->off))
		return NULL;
	return wh_stream_borrow(s->under, p->place + (off - p->off), len);
}
