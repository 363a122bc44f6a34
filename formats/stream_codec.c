/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compressed files, by content: zstd (RFC 8878), gzip (RFC 1952), xz (its format text, 1.2.0), lz4
 * (frame format 1.6).  None of them can be read at random, so the content is decompressed once into
 * an unlinked temporary file, in steps of STEP bytes; zeros become holes (a core of 18 MB that is
 * mostly zeros takes a few dozen KB).  Concatenated frames are one stream, as their own tools do it.
 */
#include <lz4frame.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "analyzer/base/vec.h"
#include "formats/stream_priv.h"

#define STEP	    ((size_t)256 << 10) /* [bytes] in and out at once */
#define XZ_MEMLIMIT (512ull << 20)	/* [bytes] largest dictionary: xz -9 needs 65 MiB */
#define ZSTD_WINDOW 27			/* [log2 bytes] as zstd(1) without --long */

struct peel {
	struct wh_ctx *ctx;
	const struct wh_stream *in;
	uint64_t in_off; /* of the next refill */
	uint8_t *in_buf, *out_buf;
	size_t in_len; /* valid bytes of in_buf */
	int fd;
	uint64_t out_off;
	const char *damage; /* why decoding stopped early, or NULL */
};

/* Reads the next bytes of the input; false at its end. */
static bool refill(struct peel *p)
{
	p->in_len = wh_stream_read(p->in, p->in_off, p->in_buf, STEP);
	p->in_off += p->in_len;
	return p->in_len != 0;
}

static struct wh_err *flush(struct peel *p, size_t n)
{
	if (wh_ctx_cancelled(p->ctx))
		return &wh_err_cancelled;
	wh_ctx_progress(p->ctx, "decompressing", p->in_off, p->in->size);
	WH_TRY(wh_spool_write(p->fd, p->out_off, p->out_buf, n));
	p->out_off += n;
	return NULL;
}

static struct wh_err *run_zstd(struct peel *p)
{
	ZSTD_DCtx *z = ZSTD_createDCtx();
	struct wh_err *e = NULL;
	size_t hint = 1;

	if (!z)
		return &wh_err_nomem;
	ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, ZSTD_WINDOW);
	while (!e && !p->damage && refill(p)) {
		ZSTD_inBuffer in = {p->in_buf, p->in_len, 0};
		bool more = true;

		while (!e && more) {
			ZSTD_outBuffer out = {p->out_buf, STEP, 0};

			hint = ZSTD_decompressStream(z, &out, &in);
			if (ZSTD_isError(hint)) {
				p->damage = ZSTD_getErrorName(hint);
				more = false;
			}
			e = flush(p, out.pos);
			if (in.pos == in.size && out.pos < out.size)
				more = false;
		}
	}
	if (!e && !p->damage && hint)
		p->damage = "the end of the last frame is missing";
	ZSTD_freeDCtx(z);
	return e;
}

static struct wh_err *run_gzip(struct peel *p)
{
	z_stream z = {0};
	struct wh_err *e = NULL;
	bool over = false; /* what follows is no member */
	int rc = Z_OK;

	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return &wh_err_nomem;
	while (!e && !p->damage && !over && refill(p)) {
		z.next_in = p->in_buf;
		z.avail_in = (uInt)p->in_len;
		while (!e && !p->damage) {
			z.next_out = p->out_buf;
			z.avail_out = (uInt)STEP;
			if (rc == Z_STREAM_END) {
				/* Another member, or the padding that tape blocks leave. */
				while (z.avail_in && !*z.next_in) {
					z.next_in++;
					z.avail_in--;
				}
				/* gzip(1) ignores what comes behind the last member, too. */
				over = z.avail_in && *z.next_in != 0x1f;
				if (!z.avail_in || over)
					break;
				inflateReset(&z);
			}
			rc = inflate(&z, Z_NO_FLUSH);
			e = flush(p, STEP - z.avail_out);
			if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
				p->damage = z.msg ? z.msg : "invalid data";
			if (rc != Z_STREAM_END && !z.avail_in && z.avail_out)
				break;
		}
	}
	if (!e && !p->damage && rc != Z_STREAM_END)
		p->damage = "the end of the stream is missing";
	inflateEnd(&z);
	return e;
}

static const char *xz_error(lzma_ret rc)
{
	switch (rc) {
	case LZMA_MEMLIMIT_ERROR: return "dictionary too large";
	case LZMA_FORMAT_ERROR: return "not xz data";
	case LZMA_OPTIONS_ERROR: return "unsupported options";
	default: return "invalid data";
	}
}

static struct wh_err *run_xz(struct peel *p)
{
	lzma_stream z = LZMA_STREAM_INIT;
	struct wh_err *e = NULL;
	lzma_ret rc = LZMA_OK;
	bool eof = false;

	if (lzma_stream_decoder(&z, XZ_MEMLIMIT, LZMA_CONCATENATED) != LZMA_OK)
		return &wh_err_nomem;
	while (!e && rc == LZMA_OK) {
		if (!z.avail_in && !eof) {
			eof = !refill(p);
			z.next_in = p->in_buf;
			z.avail_in = p->in_len;
		}
		z.next_out = p->out_buf;
		z.avail_out = STEP;
		rc = lzma_code(&z, eof ? LZMA_FINISH : LZMA_RUN);
		e = flush(p, STEP - z.avail_out);
	}
	if (!e && rc == LZMA_BUF_ERROR)
		p->damage = "the end of the stream is missing";
	else if (!e && rc != LZMA_STREAM_END)
		p->damage = xz_error(rc);
	lzma_end(&z);
	return e;
}

static struct wh_err *run_lz4(struct peel *p)
{
	LZ4F_dctx *z = NULL;
	struct wh_err *e = NULL;
	size_t hint = 1;

	if (LZ4F_isError(LZ4F_createDecompressionContext(&z, LZ4F_VERSION)))
		return &wh_err_nomem;
	while (!e && !p->damage && refill(p)) {
		size_t pos = 0;
		bool more = true;

		while (!e && more) {
			size_t n_in = p->in_len - pos, n_out = STEP;

			hint = LZ4F_decompress(z, p->out_buf, &n_out, p->in_buf + pos, &n_in, NULL);
			if (LZ4F_isError(hint)) {
				p->damage = LZ4F_getErrorName(hint);
				break;
			}
			pos += n_in;
			e = flush(p, n_out);
			more = pos < p->in_len || n_out == STEP;
		}
	}
	if (!e && !p->damage && hint)
		p->damage = "the end of the last frame is missing";
	LZ4F_freeDecompressionContext(z);
	return e;
}

static const struct codec {
	const char *name;
	uint8_t magic[6];
	size_t n_magic;
	struct wh_err *(*run)(struct peel *p);
} codecs[] = {
	{"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4, run_zstd},
	{"gzip", {0x1f, 0x8b, 0x08}, 3, run_gzip},
	{"xz", {0xfd, '7', 'z', 'X', 'Z', 0x00}, 6, run_xz},
	{"lz4", {0x04, 0x22, 0x4d, 0x18}, 4, run_lz4},
};

static const struct codec *sniff(const struct wh_stream *in)
{
	uint8_t head[8];
	size_t n = wh_stream_read(in, 0, head, sizeof(head));

	for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
		if (n >= codecs[i].n_magic && !memcmp(head, codecs[i].magic, codecs[i].n_magic))
			return &codecs[i];
	return NULL;
}

static struct wh_err *decompress(struct peel *p, const struct codec *c, struct wh_stream *out)
{
	WH_TRY(c->run(p));
	if (!p->out_off)
		return wh_err_bad(p->in->path, 0, "%s data without content%s%s", c->name,
				  p->damage ? ": " : "", p->damage ? p->damage : "");
	if (ftruncate(out->fd, (off_t)p->out_off))
		return wh_err_os(NULL, "cannot size the temporary copy of the input");
	out->size = p->out_off;
	if (p->damage) {
		out->truncated = true;
		wh_diag_add(p->ctx->diags, WH_DIAG_WARN, "input-cut", p->in_off,
			    "%s: %s data ends early (%s): %llu bytes could be read", p->in->path,
			    c->name, p->damage, (unsigned long long)p->out_off);
	}
	return NULL;
}

struct wh_err *wh_stream_peel_codec(struct wh_ctx *ctx, const struct wh_stream *in,
				    struct wh_stream **ret)
{
	const struct codec *c = sniff(in);
	WH_AUTO_FREE char *names = NULL;
	WH_AUTO_FREE uint8_t *buf = NULL;
	struct wh_stream *out = NULL;
	struct peel p = {.ctx = ctx, .in = in};
	struct wh_err *e;

	if (!c)
		return &wh_err_not_mine;
	if (asprintf(&names, "%s%s%s", in->wrappers, *in->wrappers ? ", " : "", c->name) < 0)
		return &wh_err_nomem;
	buf = malloc(2 * STEP);
	if (!buf)
		return &wh_err_nomem;
	p.in_buf = buf;
	p.out_buf = buf + STEP;
	WH_TRY(wh_stream_new(in->path, names, &out));
	e = wh_spool_open(&out->fd);
	if (!e) {
		p.fd = out->fd;
		e = decompress(&p, c, out);
	}
	if (e) {
		wh_stream_close(out);
		return e;
	}
	out->truncated |= in->truncated;
	*ret = out;
	return NULL;
}
