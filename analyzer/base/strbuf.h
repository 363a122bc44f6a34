/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * strbuf: a growable string.  Out of memory is sticky: later appends do nothing and `failed` is set,
 * so that a caller checks once, at the end.  Not thread-safe.
 */
#ifndef WH_BASE_STRBUF_H
#define WH_BASE_STRBUF_H

#include <stdbool.h>
#include <stddef.h>

#include "analyzer/base/err.h"

struct wh_strbuf {
	char *s; /**< NUL-terminated once anything was appended; owned */
	size_t len, cap;
	bool failed;
};
#define WH_STRBUF_INIT                                                                             \
	{                                                                                          \
		0                                                                                  \
	}

void wh_strbuf_putn(struct wh_strbuf *sb, const char *s, size_t n);
void wh_strbuf_puts(struct wh_strbuf *sb, const char *s);
void wh_strbuf_putc(struct wh_strbuf *sb, char c);
void wh_strbuf_printf(struct wh_strbuf *sb, const char *fmt, ...) WH_PRINTF(2, 3);
/** The text so far, "" when empty; borrowed until the next append. */
const char *wh_strbuf_str(const struct wh_strbuf *sb);
/** Hands the text over (caller frees), NULL when out of memory; the buffer is empty afterwards. */
char *wh_strbuf_steal(struct wh_strbuf *sb);
/** Empties, keeping the storage. */
void wh_strbuf_clear(struct wh_strbuf *sb);
void wh_strbuf_fini(struct wh_strbuf *sb);

#endif
