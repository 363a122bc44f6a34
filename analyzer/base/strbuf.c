/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/base/strbuf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool strbuf_reserve(struct wh_strbuf *sb, size_t extra)
{
	size_t need = sb->len + extra + 1, cap = sb->cap ? sb->cap : 64;
	char *s;

	if (sb->failed || need <= extra) {
		sb->failed = true;
		return false;
	}
	if (need <= sb->cap)
		return true;
	while (cap < need)
		cap *= 2;
	s = realloc(sb->s, cap);
	if (!s) {
		sb->failed = true;
		return false;
	}
	sb->s = s;
	sb->cap = cap;
	return true;
}

void wh_strbuf_putn(struct wh_strbuf *sb, const char *s, size_t n)
{
	if (!strbuf_reserve(sb, n))
		return;
	memcpy(sb->s + sb->len, s, n);
	sb->len += n;
	sb->s[sb->len] = '\0';
}

void wh_strbuf_puts(struct wh_strbuf *sb, const char *s)
{
	wh_strbuf_putn(sb, s, strlen(s));
}

void wh_strbuf_putc(struct wh_strbuf *sb, char c)
{
	wh_strbuf_putn(sb, &c, 1);
}

void wh_strbuf_printf(struct wh_strbuf *sb, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !strbuf_reserve(sb, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(sb->s + sb->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	sb->len += (size_t)n;
}

const char *wh_strbuf_str(const struct wh_strbuf *sb)
{
	return sb->s ? sb->s : "";
}

char *wh_strbuf_steal(struct wh_strbuf *sb)
{
	char *s = sb->failed ? NULL : sb->s ? sb->s : strdup("");

	if (sb->failed)
		free(sb->s);
	*sb = (struct wh_strbuf)WH_STRBUF_INIT;
	return s;
}

void wh_strbuf_clear(struct wh_strbuf *sb)
{
	sb->len = 0;
	if (sb->s)
		sb->s[0] = '\0';
}

void wh_strbuf_fini(struct wh_strbuf *sb)
{
	free(sb->s);
	*sb = (struct wh_strbuf)WH_STRBUF_INIT;
}
