/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/strbuf.h"

static char msg_nomem[] = "out of memory";
static char msg_not_found[] = "not found";
static char msg_not_mine[] = "not this format";
static char msg_cancelled[] = "interrupted";

struct wh_err wh_err_nomem = {
	.code = WH_ERR_NOMEM, .msg = msg_nomem, .is_static = true, .offset = UINT64_MAX};
struct wh_err wh_err_not_found = {
	.code = WH_ERR_NOT_FOUND, .msg = msg_not_found, .is_static = true, .offset = UINT64_MAX};
struct wh_err wh_err_not_mine = {
	.code = WH_ERR_NOT_MINE, .msg = msg_not_mine, .is_static = true, .offset = UINT64_MAX};
struct wh_err wh_err_cancelled = {
	.code = WH_ERR_CANCELLED, .msg = msg_cancelled, .is_static = true, .offset = UINT64_MAX};

static WH_PRINTF(2, 0) struct wh_err *err_vnew(enum wh_err_code code, const char *fmt, va_list ap)
{
	struct wh_err *e = calloc(1, sizeof(*e));

	if (!e)
		return &wh_err_nomem;
	e->code = code;
	e->offset = UINT64_MAX;
	if (vasprintf(&e->msg, fmt, ap) < 0) {
		free(e);
		return &wh_err_nomem;
	}
	return e;
}

struct wh_err *wh_err_new(enum wh_err_code code, const char *fmt, ...)
{
	va_list ap;
	struct wh_err *e;

	va_start(ap, fmt);
	e = err_vnew(code, fmt, ap);
	va_end(ap);
	return e;
}

struct wh_err *wh_err_os(const char *path, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	struct wh_err *e;

	va_start(ap, fmt);
	e = err_vnew(WH_ERR_OS, fmt, ap);
	va_end(ap);
	if (!e->is_static) {
		e->os_errno = saved;
		e->path = path ? strdup(path) : NULL;
	}
	return e;
}

struct wh_err *wh_err_bad(const char *path, uint64_t offset, const char *fmt, ...)
{
	va_list ap;
	struct wh_err *e;

	va_start(ap, fmt);
	e = err_vnew(WH_ERR_BAD_DATA, fmt, ap);
	va_end(ap);
	if (!e->is_static) {
		e->offset = offset;
		e->path = path ? strdup(path) : NULL;
	}
	return e;
}

struct wh_err *wh_err_wrap(struct wh_err *inner, const char *fmt, ...)
{
	va_list ap;
	struct wh_err *e;

	if (inner == &wh_err_nomem || inner == &wh_err_cancelled)
		return inner;
	va_start(ap, fmt);
	e = err_vnew(inner->code, fmt, ap);
	va_end(ap);
	if (e->is_static) {
		wh_err_destroy(inner);
		return e;
	}
	e->os_errno = inner->os_errno;
	e->cause = inner;
	return e;
}

void wh_err_destroy(struct wh_err *e)
{
	while (e && !e->is_static) {
		struct wh_err *cause = e->cause;

		free(e->path);
		free(e->msg);
		free(e);
		e = cause;
	}
}

void wh_err_drop(struct wh_err **e)
{
	wh_err_destroy(*e);
	*e = NULL;
}

bool wh_err_is(const struct wh_err *e, enum wh_err_code code)
{
	return e && e->code == code;
}

char *wh_err_text(const struct wh_err *e)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;

	for (; e; e = e->cause) {
		if (e->path)
			wh_strbuf_printf(&sb, "%s: ", e->path);
		wh_strbuf_puts(&sb, e->msg);
		if (e->offset != UINT64_MAX)
			wh_strbuf_printf(&sb, " (file offset 0x%llx)",
					 (unsigned long long)e->offset);
		if (e->code == WH_ERR_OS && !e->cause)
			wh_strbuf_printf(&sb, ": %s", strerror(e->os_errno));
		if (e->cause)
			wh_strbuf_puts(&sb, ": ");
	}
	return wh_strbuf_steal(&sb);
}
