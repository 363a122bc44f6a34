/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening a stream: the plain file, then one wrapper after the other.
 *
 *	file -> zstd -> flattened -> kdump
 *	        spooled to an unlinked     interval map over the spool,
 *	        temporary file             nothing copied
 */
#include "formats/stream_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyzer/base/vec.h"
#include "formats/bytes.h"

#define PEEL_MAX  6		      /* wrappers around each other */
#define PIPE_STEP ((size_t)256 << 10) /* [bytes] read from a pipe at once */
#define ZERO_STEP ((size_t)4096)      /* [bytes] granularity of holes in the spool */

struct wh_err *wh_stream_new(const char *path, const char *wrappers, struct wh_stream **ret)
{
	struct wh_stream *s = wh_calloc(1, sizeof(*s));

	if (!s)
		return &wh_err_nomem;
	s->fd = -1;
	s->path = strdup(path);
	s->wrappers = strdup(wrappers);
	if (!s->path || !s->wrappers) {
		wh_stream_close(s);
		return &wh_err_nomem;
	}
	*ret = s;
	return NULL;
}

void wh_stream_close(struct wh_stream *s)
{
	if (!s)
		return;
	wh_flat_destroy(s->flat);
	wh_stream_close(s->under);
	if (s->fd >= 0)
		close(s->fd);
	free(s->path);
	free(s->wrappers);
	free(s);
}

struct wh_err *wh_spool_open(int *ret_fd)
{
	const char *dirs[] = {getenv("TMPDIR"), "/var/tmp", "/tmp"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		WH_AUTO_FREE char *name = NULL;
		int fd;

		if (!dirs[i] || !*dirs[i])
			continue;
		fd = open(dirs[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		if (fd < 0 && asprintf(&name, "%s/weephole-XXXXXX", dirs[i]) > 0) {
			fd = mkostemp(name, O_CLOEXEC);
			if (fd >= 0)
				unlink(name);
		}
		if (fd >= 0) {
			*ret_fd = fd;
			return NULL;
		}
	}
	return wh_err_os(dirs[0], "no place for a temporary file");
}

static struct wh_err *pwrite_all(int fd, uint64_t off, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t w = pwrite(fd, p, n, (off_t)off);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return wh_err_os(NULL, "cannot write the temporary copy of the input");
		p += w;
		off += (uint64_t)w;
		n -= (size_t)w;
	}
	return NULL;
}

struct wh_err *wh_spool_write(int fd, uint64_t off, const uint8_t *p, size_t n)
{
	size_t start = 0, i = 0;

	/* [start, i) is the run of blocks that hold something. */
	while (i < n) {
		size_t step = n - i < ZERO_STEP ? n - i : ZERO_STEP;

		if (wh_bytes_zero(p + i, step)) {
			WH_TRY(pwrite_all(fd, off + start, p + start, i - start));
			start = i + step;
		}
		i += step;
	}
	return pwrite_all(fd, off + start, p + start, n - start);
}

/* A pipe can be read once only: keep what comes out of it. */
static struct wh_err *spool_pipe(struct wh_ctx *ctx, struct wh_stream *s, int pipe_fd)
{
	WH_AUTO_FREE uint8_t *buf = malloc(PIPE_STEP);

	if (!buf)
		return &wh_err_nomem;
	WH_TRY(wh_spool_open(&s->fd));
	for (;;) {
		ssize_t n = read(pipe_fd, buf, PIPE_STEP);

		if (wh_ctx_cancelled(ctx))
			return &wh_err_cancelled;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return wh_err_os(s->path, "cannot read");
		if (!n)
			break;
		WH_TRY(wh_spool_write(s->fd, s->size, buf, (size_t)n));
		s->size += (uint64_t)n;
	}
	if (ftruncate(s->fd, (off_t)s->size))
		return wh_err_os(NULL, "cannot size the temporary copy of the input");
	return NULL;
}

static struct wh_err *open_plain(struct wh_ctx *ctx, struct wh_stream *s)
{
	struct stat st;
	int fd = open(s->path, O_RDONLY | O_CLOEXEC);
	struct wh_err *e;
	off_t end;

	if (fd < 0)
		return wh_err_os(s->path, "cannot open");
	if (fstat(fd, &st)) {
		e = wh_err_os(s->path, "cannot stat");
		close(fd);
		return e;
	}
	if (S_ISDIR(st.st_mode)) {
		close(fd);
		return wh_err_bad(s->path, UINT64_MAX, "is a directory, expected a dump file");
	}
	end = lseek(fd, 0, SEEK_END);
	if (end < 0 || S_ISCHR(st.st_mode)) {
		e = spool_pipe(ctx, s, fd);
		close(fd);
		return e;
	}
	s->fd = fd;
	s->size = (uint64_t)end;
	return NULL;
}

/* Peels wrappers from *ps until none is left; *ps stays owned by the caller, also on error. */
static struct wh_err *peel(struct wh_ctx *ctx, struct wh_stream **ps)
{
	for (unsigned int i = 0; i < PEEL_MAX; i++) {
		struct wh_stream *inner = NULL;
		struct wh_err *e = wh_stream_peel_codec(ctx, *ps, &inner);

		if (!e) {
			/* The spool is a copy: what it was made from is not needed any more. */
			wh_stream_close(*ps);
			*ps = inner;
			continue;
		}
		if (!wh_err_is(e, WH_ERR_NOT_MINE))
			return e;
		wh_err_destroy(e);
		e = wh_stream_peel_flat(ctx, *ps, &inner);
		if (!e) {
			*ps = inner;
			continue;
		}
		if (!wh_err_is(e, WH_ERR_NOT_MINE))
			return e;
		wh_err_destroy(e);
		return NULL;
	}
	return wh_err_bad((*ps)->path, 0, "more than %d wrappers around each other", PEEL_MAX);
}

struct wh_err *wh_stream_open(struct wh_ctx *ctx, const char *path, struct wh_stream **ret)
{
	struct wh_stream *s = NULL;
	struct wh_err *e;

	WH_TRY(wh_stream_new(path, "", &s));
	e = open_plain(ctx, s);
	if (!e)
		e = peel(ctx, &s);
	if (e) {
		wh_stream_close(s);
		return e;
	}
	*ret = s;
	return NULL;
}

struct wh_err *wh_stream_open_mem(struct wh_ctx *ctx, const void *p, size_t n, const char *name,
				  struct wh_stream **ret)
{
	static const uint8_t nothing[1];
	struct wh_stream *s = NULL;
	struct wh_err *e;

	WH_TRY(wh_stream_new(name, "", &s));
	s->mem = n ? p : nothing;
	s->size = n;
	e = peel(ctx, &s);
	if (e) {
		wh_stream_close(s);
		return e;
	}
	*ret = s;
	return NULL;
}

uint64_t wh_stream_size(const struct wh_stream *s)
{
	return s->size;
}

const char *wh_stream_path(const struct wh_stream *s)
{
	return s->path;
}

const char *wh_stream_wrappers(const struct wh_stream *s)
{
	return s->wrappers;
}

bool wh_stream_truncated(const struct wh_stream *s)
{
	return s->truncated || (s->under && wh_stream_truncated(s->under));
}

size_t wh_stream_read(const struct wh_stream *s, uint64_t off, void *buf, size_t len)
{
	size_t got = 0;

	if (off >= s->size)
		return 0;
	if (len > s->size - off)
		len = (size_t)(s->size - off);
	if (s->flat)
		return wh_flat_read(s, off, buf, len);
	if (s->mem) {
		memcpy(buf, s->mem + off, len);
		return len;
	}
	while (got < len) {
		ssize_t n = pread(s->fd, (uint8_t *)buf + got, len - got, (off_t)(off + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	return got;
}

const void *wh_stream_borrow(const struct wh_stream *s, uint64_t off, size_t len)
{
	if (off >= s->size || len > s->size - off)
		return NULL;
	if (s->flat)
		return wh_flat_borrow(s, off, len);
	return s->mem ? s->mem + off : NULL;
}
