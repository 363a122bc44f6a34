/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmdump: the packed pages of vmdump.N, as the kernel wrote them to the dump device.  The data section is
 * a sequence of words, each followed by that many bytes:
 *
 *	tag << 20 | size	tag 0: one LZJB page (0/0 ends); tag t: a block of stream t
 *
 * The blocks of a stream, put together, are runs {"StrmHdr", first page, pages} of pages.  LZJB pages are
 * found by reading the words alone and are decoded when asked for.  bzip2 has no random access: its
 * streams are expanded once, each by one worker, to an unlinked temporary file.
 *
 * Of LZJB streams damage loses what lies between it and the next run header of the stream: a run says which
 * pages it has, so that reading takes up again there.  Serial dumps have nothing to take up from.
 */
#include "formats/illumos.h"

#include <bzlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/base/vec.h"
#include "formats/lzjb.h"

#define VMDUMP_BLOCK	  65536ull
#define VMDUMP_DATA_MAGIC 0x64686472u
#define STREAM_MAGIC	  "StrmHdr"
#define WORD_SIZE(w)	  ((w)&0xfffff)
#define WORD_TAG(w)	  ((w) >> 20)
enum { DATAHDR_LEN = 32, OUT_CHUNK = 1 << 17 };

enum vmdump_level { LEVEL_SERIAL, LEVEL_LZJB, LEVEL_BZIP2 };

struct vm_block {
	uint64_t off;
	uint32_t size, stream;
};

struct vm_stream {
	uint64_t page, left; /* next page of the run, pages left in it */
	bool lost;	     /* damage: the next run header has to be looked for */
};

struct wh_vmdump {
	struct wh_dump *d;
	const struct wh_illumos *il;
	enum vmdump_level level;
	uint32_t max_size, n_streams;
	uint64_t *where; /* by page index: offset << 20 | size; bzip2: 1 = in the spool; 0 absent */
	enum wh_mem_state absent;
	FILE *spool;
	uint64_t stream_pages;
	bool pages_lost; /* how many pages the streams had is unknown */
	struct vm_stream *streams;
	WH_VEC(struct vm_block) blocks; /* bzip2 */
	WH_VEC(uint64_t) singles;
};

static void vm_damage(struct wh_vmdump *v, uint64_t off, const char *what)
{
	v->absent = WH_MEM_CORRUPT;
	v->d->incomplete = true;
	wh_diag_add(v->d->ctx->diags, WH_DIAG_ERROR, "vmdump-damaged", off, "%s: offset %llu: %s",
		    wh_stream_path(v->il->st), (unsigned long long)off, what);
}

static void vm_cut(struct wh_vmdump *v, uint64_t off)
{
	v->absent = WH_MEM_TRUNCATED;
	v->d->incomplete = true;
	wh_diag_add(v->d->ctx->diags, WH_DIAG_ERROR, "vmdump-cut", off,
		    "%s: the file ends at offset %llu, inside the dumped pages: expected an end "
		    "record",
		    wh_stream_path(v->il->st), (unsigned long long)off);
}

/* ---- finding out how the pages are packed ---- */

/* Without the terminal header the first block tells. */
static void vm_guess(struct wh_vmdump *v)
{
	uint8_t p[16];

	v->level = LEVEL_SERIAL;
	if (wh_stream_read(v->il->st, v->il->hdr.data, p, sizeof(p)) < sizeof(p))
		return;
	if (WORD_TAG(wh_get_u32(v->d->abi, p)) == 0)
		return;
	v->level = memcmp(p + 4, "BZh", 3) ? LEVEL_LZJB : LEVEL_BZIP2;
	v->n_streams = 4095;
	v->max_size = 0xfffff;
}

static bool vm_read_datahdr(struct wh_vmdump *v)
{
	const struct wh_illumos_header *h = &v->il->hdr;
	size_t hdr_len = h->wordsize == 64 ? 1912 : 1876;
	uint64_t at = v->il->size < VMDUMP_BLOCK
			      ? UINT64_MAX
			      : (v->il->size - VMDUMP_BLOCK) & ~(VMDUMP_BLOCK - 1);
	uint8_t p[2048], first[2048];

	if (at <= h->data || wh_stream_read(v->il->st, at, p, sizeof(p)) < sizeof(p) ||
	    wh_stream_read(v->il->st, 0, first, sizeof(first)) < sizeof(first) ||
	    memcmp(p, first, 8)) {
		v->d->incomplete = true;
		wh_diag_add(v->d->ctx->diags, WH_DIAG_WARN, "vmdump-no-terminal-header", 0,
			    "%s: no second header in the last 64 KiB: the file is cut; the codec "
			    "is guessed from the first block",
			    wh_stream_path(v->il->st));
		return false;
	}
	p[8] = first[8]; /* VALID may differ, and the flags beside it are in the same byte or not */
	p[11] = first[11];
	if (memcmp(p, first, hdr_len))
		wh_diag_add(v->d->ctx->diags, WH_DIAG_WARN, "vmdump-headers-differ", at,
			    "%s: the header at offset %llu differs from the one at 0",
			    wh_stream_path(v->il->st), (unsigned long long)at);
	/* sizeof is rounded to 8 where 64-bit integers are aligned so (SPARC). */
	for (size_t off = hdr_len; off <= hdr_len + 4; off += 4) {
		const uint8_t *q = p + off;

		if (wh_get_u32(v->d->abi, q) != VMDUMP_DATA_MAGIC)
			continue;
		v->max_size = wh_get_u32(v->d->abi, q + 16);
		v->n_streams = wh_get_u16(v->d->abi, q + 24);
		v->level = (enum vmdump_level)wh_get_u16(v->d->abi, q + 26);
		if (v->level > LEVEL_BZIP2) {
			vm_damage(v, at + off, "unknown compression level in the data header");
			return false;
		}
		return true;
	}
	v->level = LEVEL_SERIAL; /* before parallel dumps existed */
	v->max_size = h->page_size;
	return true;
}

/* ---- reading the words ---- */

static void vm_put(struct wh_vmdump *v, uint64_t page, uint64_t off, uint32_t size)
{
	if (page < v->il->n_pages)
		v->where[page] = off << 20 | size;
}

/* Decodes a run header at @p; false when it is none. */
static bool vm_run_header(const struct wh_vmdump *v, const uint8_t *p, struct vm_stream *s)
{
	unsigned int w = v->d->abi.word;

	if (memcmp(p, STREAM_MAGIC, 8))
		return false;
	s->page = wh_get_word(v->d->abi, p + 8);
	s->left = wh_get_word(v->d->abi, p + 8 + w);
	return s->left <= v->il->n_pages && s->page <= v->il->n_pages;
}

static uint32_t vm_run_header_len(const struct wh_vmdump *v)
{
	return v->d->abi.word == 8 ? 24 : 16;
}

static void vm_lose(struct wh_vmdump *v, struct vm_stream *s)
{
	s->left = 0;
	s->lost = true;
	v->pages_lost = true;
}

/* Where in @p from @at the next run header lies; @size when there is none. */
static uint32_t vm_find_run(const struct wh_vmdump *v, const uint8_t *p, uint32_t at, uint32_t size)
{
	uint32_t head = vm_run_header_len(v);
	struct vm_stream s = {0};

	while (size - at >= head) {
		const uint8_t *hit = memmem(p + at, size - at, STREAM_MAGIC, 8);

		if (!hit || (uint32_t)(hit - p) > size - head)
			break;
		at = (uint32_t)(hit - p);
		if (vm_run_header(v, hit, &s) && s.left)
			return at;
		at++;
	}
	return size;
}

/* A block of an LZJB stream: headers and pages do not straddle blocks. */
static void vm_index_block(struct wh_vmdump *v, const uint8_t *p, uint64_t off, uint32_t size,
			   struct vm_stream *s)
{
	uint32_t at = 0, head = vm_run_header_len(v);

	while (at < size) {
		uint32_t w;

		if (s->lost) {
			at = vm_find_run(v, p, at, size);
			if (at == size)
				return;
			s->lost = false;
		}
		if (!s->left) {
			if (size - at < head || !vm_run_header(v, p + at, s)) {
				vm_damage(v, off + at, "expected a stream header (StrmHdr)");
				vm_lose(v, s);
				continue;
			}
			v->stream_pages += s->left;
			at += head;
			continue;
		}
		if (size - at < 4)
			break;
		w = wh_get_u32(v->d->abi, p + at);
		at += 4;
		if (WORD_TAG(w) || !WORD_SIZE(w) || WORD_SIZE(w) > size - at) {
			vm_damage(v, off + at - 4, "size word of a page does not fit its block");
			vm_lose(v, s);
			continue;
		}
		vm_put(v, s->page++, off + at, WORD_SIZE(w));
		s->left--;
		at += WORD_SIZE(w);
	}
}

static struct wh_err *vm_block(struct wh_vmdump *v, struct wh_scratch *sc, uint64_t off,
			       uint32_t tag, uint32_t size)
{
	size_t got;
	const uint8_t *p;

	if (v->level == LEVEL_BZIP2)
		return WH_VEC_PUSH(&v->blocks, (struct vm_block){off, size, tag - 1});
	p = wh_scratch_bytes(sc, v->il->st, off, size, &got);
	if (!p || got < size)
		return NULL; /* the caller finds the end of the file */
	vm_index_block(v, p, off, size, &v->streams[tag - 1]);
	return NULL;
}

/* Does the word at @off belong to a block of a stream, and the word behind that block to another (or to the end)? */
static bool vm_block_at(const struct wh_vmdump *v, struct wh_scratch *sc, uint64_t off)
{
	for (int i = 0; i < 2; i++) {
		size_t got;
		const uint8_t *p = wh_scratch_bytes(sc, v->il->st, off, 4, &got);
		uint32_t w = p && got == 4 ? wh_get_u32(v->d->abi, p) : UINT32_MAX;

		if (i && !w)
			return true;
		if (!WORD_SIZE(w) || WORD_TAG(w) > v->n_streams || (!i && !WORD_TAG(w)) ||
		    WORD_SIZE(w) > v->max_size || WORD_SIZE(w) > v->il->size - off)
			return false;
		off += 4 + WORD_SIZE(w);
	}
	return true;
}

/*
 * After a word that makes no sense: the next block that begins with a run header, and so does not need what
 * came before.  0 when there is none.  Which streams lost blocks is unknown, so all of them have to wait for
 * a header.
 */
static uint64_t vm_resync(struct wh_vmdump *v, struct wh_scratch *sc, uint64_t off)
{
	while (off < v->il->size) {
		size_t got;
		const uint8_t *p = wh_scratch_bytes(sc, v->il->st, off, OUT_CHUNK, &got), *hit;
		uint64_t at;

		if (!p || got < 12)
			return 0;
		hit = memmem(p + 4, got - 4, STREAM_MAGIC, 8);
		if (!hit) {
			off += got - 11;
			continue;
		}
		at = off + (uint64_t)(hit - p) - 4;
		if (vm_block_at(v, sc, at)) {
			for (uint32_t i = 0; i < v->n_streams; i++)
				vm_lose(v, &v->streams[i]);
			return at;
		}
		off = at + 1;
	}
	return 0;
}

/* Reads the words from the start of the data; damage ends the walk, what came before stays. */
static struct wh_err *vm_walk(struct wh_vmdump *v, struct wh_scratch *sc)
{
	uint64_t off = v->il->hdr.data, size = v->il->size;

	for (;;) {
		size_t got;
		const uint8_t *p = wh_scratch_bytes(sc, v->il->st, off, 4, &got);
		uint32_t w, len, tag;

		if (!p || got < 4) {
			vm_cut(v, size);
			return NULL;
		}
		w = wh_get_u32(v->d->abi, p);
		len = WORD_SIZE(w);
		tag = WORD_TAG(w);
		off += 4;
		if (!w)
			return NULL;
		if (len > size - off && len <= v->max_size) {
			vm_cut(v, size);
			return NULL;
		}
		if (!len || tag > v->n_streams ||
		    len > (tag ? v->max_size : v->il->hdr.page_size)) {
			vm_damage(v, off - 4, "expected a page or block with a sensible size");
			off = v->level == LEVEL_LZJB ? vm_resync(v, sc, off) : 0;
			if (!off)
				return NULL;
			continue;
		}
		if (wh_ctx_cancelled(v->d->ctx))
			return &wh_err_cancelled;
		if (tag)
			WH_TRY(vm_block(v, sc, off, tag, len));
		else if (v->singles.n < v->il->n_pages)
			WH_TRY(WH_VEC_PUSH(&v->singles, off << 20 | len));
		off += len;
	}
}

/* ---- bzip2 ---- */

/* One stream's decoder: compressed blocks in, runs of pages out. */
struct bz_run {
	struct wh_vmdump *v;
	struct vm_stream s;
	uint8_t *page; /* what is being put together: a run header or a page */
	size_t fill;
	uint64_t pages; /* decoded */
	bool bad;
};

static void bz_flush_page(struct bz_run *r)
{
	struct wh_vmdump *v = r->v;
	uint64_t ps = v->il->hdr.page_size;

	if (r->s.page < v->il->n_pages &&
	    pwrite(fileno(v->spool), r->page, ps, (off_t)(r->s.page * ps)) == (ssize_t)ps)
		v->where[r->s.page] = 1;
	r->s.page++;
	r->s.left--;
	r->pages++;
}

static void bz_take(struct bz_run *r, const uint8_t *p, size_t n)
{
	size_t head = r->v->d->abi.word == 8 ? 24 : 16;

	while (n && !r->bad) {
		size_t want = r->s.left ? r->v->il->hdr.page_size : head;
		size_t part = want - r->fill < n ? want - r->fill : n;

		memcpy(r->page + r->fill, p, part);
		r->fill += part;
		p += part;
		n -= part;
		if (r->fill < want)
			return;
		r->fill = 0;
		if (r->s.left)
			bz_flush_page(r);
		else
			r->bad = !vm_run_header(r->v, r->page, &r->s);
	}
}

/* Decodes what a block adds; restarts at the end of each bzip2 stream. */
static bool bz_block(struct bz_run *r, bz_stream *z, bool *open, const uint8_t *in, size_t n,
		     uint8_t *out)
{
	z->next_in = (char *)(uintptr_t)in;
	z->avail_in = (unsigned int)n;
	while (z->avail_in) {
		int rc;

		if (!*open) {
			char *next = z->next_in;
			unsigned int avail = z->avail_in;

			memset(z, 0, sizeof(*z));
			if (BZ2_bzDecompressInit(z, 0, 0) != BZ_OK)
				return false;
			z->next_in = next;
			z->avail_in = avail;
			*open = true;
		}
		do {
			z->next_out = (char *)out;
			z->avail_out = OUT_CHUNK;
			rc = BZ2_bzDecompress(z);
			bz_take(r, out, OUT_CHUNK - z->avail_out);
		} while (rc == BZ_OK && !z->avail_out && !r->bad);
		if (rc == BZ_STREAM_END) {
			BZ2_bzDecompressEnd(z);
			*open = false;
		} else if (rc != BZ_OK) {
			return false;
		}
		/* No more pages than the dump has: a bomb ends here. */
		if (r->bad || r->pages > r->v->il->n_pages)
			return false;
	}
	return true;
}

struct bz_job {
	struct wh_vmdump *v;
	uint64_t *pages; /* by stream */
};

static struct wh_err *bz_stream_job(void *arg, unsigned int worker, size_t unit)
{
	struct bz_job *j = arg;
	struct wh_vmdump *v = j->v;
	struct bz_run r = {.v = v, .page = malloc(v->il->hdr.page_size + 64)};
	uint8_t *in = malloc(v->max_size + 1u), *out = malloc(OUT_CHUNK);
	bz_stream z = {0};
	bool open = false;

	(void)worker;
	for (size_t i = 0; r.page && in && out && i < v->blocks.n; i++) {
		const struct vm_block *b = &v->blocks.v[i];

		if (b->stream != unit)
			continue;
		if (wh_stream_read(v->il->st, b->off, in, b->size) != b->size ||
		    !bz_block(&r, &z, &open, in, b->size, out)) {
			vm_damage(v, b->off, "bzip2 data that cannot be decoded");
			break;
		}
	}
	if (open)
		BZ2_bzDecompressEnd(&z);
	j->pages[unit] = r.pages;
	open = r.page && in && out;
	free(r.page);
	free(in);
	free(out);
	return open ? NULL : &wh_err_nomem;
}

static struct wh_err *bz_expand(struct wh_vmdump *v)
{
	struct bz_job j = {v, calloc(v->n_streams + 1u, sizeof(*j.pages))};
	uint32_t n = 0;
	struct wh_err *e;

	if (!j.pages)
		return &wh_err_nomem;
	v->spool = tmpfile();
	if (!v->spool) {
		free(j.pages);
		return wh_err_os(NULL, "cannot create a temporary file for %llu pages",
				 (unsigned long long)v->il->n_pages);
	}
	for (size_t i = 0; i < v->blocks.n; i++)
		if (v->blocks.v[i].stream >= n)
			n = v->blocks.v[i].stream + 1;
	e = wh_workers_run(v->d->ctx, "expand", n, bz_stream_job, &j);
	for (uint32_t i = 0; i < n; i++)
		v->stream_pages += j.pages[i];
	free(j.pages);
	return e;
}

/* ---- opening and reading ---- */

static struct wh_err *vm_open(struct wh_vmdump *v)
{
	struct wh_scratch *sc;
	struct wh_err *e;

	if (!vm_read_datahdr(v))
		vm_guess(v);
	if (v->n_streams > 4095)
		v->n_streams = 4095; /* what the tag of a word can say */
	v->max_size = v->max_size && v->max_size <= 0xfffff ? v->max_size : 0xfffff;
	v->where = calloc((size_t)v->il->n_pages + 1, sizeof(*v->where));
	v->streams = calloc(v->n_streams + 1u, sizeof(*v->streams));
	if (!v->where || !v->streams)
		return &wh_err_nomem;
	WH_TRY(wh_scratch_create(&sc));
	e = vm_walk(v, sc);
	wh_scratch_destroy(sc);
	if (!e && v->level == LEVEL_BZIP2)
		e = bz_expand(v);
	/* Single pages continue where the streams ended, if that is known. */
	for (size_t i = 0; !e && !v->pages_lost && i < v->singles.n; i++)
		if (v->stream_pages + i < v->il->n_pages)
			v->where[v->stream_pages + i] = v->singles.v[i];
	WH_VEC_FINI(&v->singles);
	WH_VEC_FINI(&v->blocks);
	return e;
}

struct wh_err *wh_vmdump_open(struct wh_dump *d, struct wh_illumos *il, struct wh_vmdump **ret)
{
	struct wh_vmdump *v = calloc(1, sizeof(*v));
	struct wh_err *e;

	if (!v)
		return &wh_err_nomem;
	v->d = d;
	v->il = il;
	v->absent = WH_MEM_TRUNCATED;
	e = vm_open(v);
	if (e) {
		wh_vmdump_close(v);
		return e;
	}
	*ret = v;
	return NULL;
}

void wh_vmdump_close(struct wh_vmdump *v)
{
	if (!v)
		return;
	if (v->spool)
		fclose(v->spool);
	WH_VEC_FINI(&v->singles);
	WH_VEC_FINI(&v->blocks);
	free(v->where);
	free(v->streams);
	free(v);
}

const char *wh_vmdump_codec(const struct wh_vmdump *v)
{
	static const char *const names[] = {"lzjb", "lzjb streams", "bzip2 streams"};

	return names[v->level];
}

enum wh_mem_state wh_vmdump_state(const struct wh_vmdump *v, uint64_t index)
{
	return v->where[index] ? WH_MEM_PRESENT : v->absent;
}

enum wh_mem_state wh_vmdump_page(const struct wh_vmdump *v, struct wh_scratch *sc, uint64_t index,
				 uint8_t *buf)
{
	uint64_t at = v->where[index];
	size_t ps = v->il->hdr.page_size, got;
	const uint8_t *p;

	if (!at)
		return v->absent;
	if (at == 1)
		return pread(fileno(v->spool), buf, ps, (off_t)(index * ps)) == (ssize_t)ps
			       ? WH_MEM_PRESENT
			       : WH_MEM_CORRUPT;
	p = wh_scratch_bytes(sc, v->il->st, at >> 20, WORD_SIZE(at), &got);
	if (!p || got < WORD_SIZE(at))
		return WH_MEM_TRUNCATED;
	if (WORD_SIZE(at) > ps || !wh_lzjb_decode(p, got, buf, ps))
		return WH_MEM_CORRUPT;
	return WH_MEM_PRESENT;
}

bool wh_vmdump_check(const struct wh_vmdump *v, uint64_t index, uint64_t *ret_off)
{
	WH_AUTO_FREE uint8_t *buf = malloc(v->il->hdr.page_size);
	struct wh_scratch *sc = NULL;
	struct wh_err *e = wh_scratch_create(&sc);
	bool ok = !e && buf && wh_vmdump_page(v, sc, index, buf) == WH_MEM_PRESENT;

	wh_err_destroy(e);
	wh_scratch_destroy(sc);
	/* What bzip2 expanded lies in no one place. */
	*ret_off = v->where[index] > 1 ? v->where[index] >> 20 : 0;
	return ok;
}
