/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text for people (titles, label and value, aligned tables, sentences), and plain records for awk.
 */
#include "analyzer/report/emit_priv.h"

#include <string.h>

#define LABEL_WIDTH 24
#define GAP	    2

static const char *const styles[] = {
	[WH_STYLE_PLAIN] = "",	      [WH_STYLE_BOLD] = "\033[1m", [WH_STYLE_BAD] = "\033[1;31m",
	[WH_STYLE_GOOD] = "\033[32m", [WH_STYLE_DIM] = "\033[2m",
};

static void styled(struct wh_emit *e, enum wh_style style, const char *text)
{
	bool color = e->opts.color && style != WH_STYLE_PLAIN;

	if (color)
		wh_strbuf_puts(&e->sb, styles[style]);
	wh_text_escape(&e->sb, text);
	if (color)
		wh_strbuf_puts(&e->sb, "\033[0m");
}

static void spaces(struct wh_emit *e, size_t n)
{
	while (n--)
		wh_strbuf_putc(&e->sb, ' ');
}

/* Two columns for every level below the root that has a title. */
static void indent(struct wh_emit *e)
{
	size_t n = 0;

	for (size_t i = 1; i < e->levels.n; i++)
		n += e->levels.v[i].visible && e->levels.v[i].titled;
	spaces(e, 2 * n);
}

static void text_open(struct wh_emit *e, WH_UNUSED const char *key, const char *title,
		      WH_UNUSED bool array)
{
	if (!*title)
		return;
	if (e->levels.n == 1)
		wh_strbuf_putc(&e->sb, '\n');
	indent(e);
	styled(e, WH_STYLE_BOLD, title);
	wh_strbuf_putc(&e->sb, '\n');
}

static void text_close(WH_UNUSED struct wh_emit *e)
{
}

/* How wide UTF-8 text is on a terminal, near enough: one column a character. */
static size_t columns(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void put_ns_short(struct wh_strbuf *sb, uint64_t ns)
{
	uint64_t s = ns / 1000000000;

	if (s < 600)
		wh_strbuf_printf(sb, "%llu.%03u s", (unsigned long long)s,
				 (unsigned int)(ns / 1000000 % 1000));
	else if (s < 172800)
		wh_strbuf_printf(sb, "%llu h %llu min", (unsigned long long)(s / 3600),
				 (unsigned long long)(s / 60 % 60));
	else
		wh_strbuf_printf(sb, "%llu days", (unsigned long long)(s / 86400));
}

static void put_signed(struct wh_strbuf *sb, int64_t v)
{
	if (v < 0)
		wh_strbuf_putc(sb, '-');
	wh_text_u64(sb, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

static void put_people(struct wh_strbuf *sb, const struct wh_value *v)
{
	if (v->kind == WH_VALUE_U64 && v->unit == WH_UNIT_BYTES)
		wh_text_bytes(sb, v->u);
	else if (v->kind == WH_VALUE_U64)
		wh_text_u64(sb, v->u);
	else if (v->kind == WH_VALUE_I64)
		put_signed(sb, v->i);
	else if (v->kind == WH_VALUE_BOOL)
		wh_strbuf_puts(sb, v->u ? "yes" : "no");
	else if (v->kind == WH_VALUE_NS)
		put_ns_short(sb, v->u);
	else
		wh_emit_put_value(sb, v);
}

static void text_value(struct wh_emit *e, WH_UNUSED const char *key, const char *label,
		       const struct wh_value *v)
{
	size_t w = columns(label);

	if (v->kind == WH_VALUE_NULL)
		return;
	indent(e);
	wh_text_escape(&e->sb, label);
	if (*label)
		spaces(e, w < LABEL_WIDTH ? LABEL_WIDTH - w : 1);
	put_people(&e->sb, v);
	wh_strbuf_putc(&e->sb, '\n');
}

/* Tables are kept until their end, because the widths are known only then. */
static void text_table(struct wh_emit *e, const char *key, const char *title)
{
	text_open(e, key, title, true);
}

static void text_row(WH_UNUSED struct wh_emit *e)
{
}

static void text_cell(struct wh_emit *e, const struct wh_column *col, const struct wh_value *v)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;
	const char *s;
	struct wh_err *err;

	if (!col->title)
		return;
	if (v->kind != WH_VALUE_NULL)
		put_people(&sb, v);
	s = wh_arena_strdup(&e->cells_mem, wh_strbuf_str(&sb));
	e->sb.failed |= sb.failed || !s;
	wh_strbuf_fini(&sb);
	err = WH_VEC_PUSH(&e->cells, s ? s : "");
	if (err) {
		wh_err_destroy(err);
		e->sb.failed = true;
	}
}

#define COLS_MAX 24

static void put_cell(struct wh_emit *e, const char *s, size_t width, bool right, bool last)
{
	size_t w = columns(s), pad = w < width ? width - w : 0;

	if (right)
		spaces(e, pad);
	wh_strbuf_puts(&e->sb, s); /* escaped when it was kept */
	if (!last)
		spaces(e, GAP + (right ? 0 : pad));
}

static void text_end_table(struct wh_emit *e)
{
	const struct wh_column *cols[COLS_MAX];
	size_t width[COLS_MAX], n = 0, rows;

	for (size_t i = 0; i < e->n_cols && n < COLS_MAX; i++)
		if (e->cols[i].title) {
			cols[n] = &e->cols[i];
			width[n++] = columns(e->cols[i].title);
		}
	rows = n ? e->cells.n / n : 0;
	for (size_t i = 0; i < rows * n; i++)
		if (columns(e->cells.v[i]) > width[i % n])
			width[i % n] = columns(e->cells.v[i]);
	if (!rows) {
		indent(e);
		wh_strbuf_puts(&e->sb, "(none)\n");
		return;
	}
	indent(e);
	for (size_t c = 0; c < n; c++)
		put_cell(e, cols[c]->title, width[c], cols[c]->right, c + 1 == n);
	wh_strbuf_putc(&e->sb, '\n');
	for (size_t r = 0; r < rows; r++) {
		indent(e);
		for (size_t c = 0; c < n; c++)
			put_cell(e, e->cells.v[r * n + c], width[c], cols[c]->right, c + 1 == n);
		wh_strbuf_putc(&e->sb, '\n');
	}
}

static void text_line(struct wh_emit *e, enum wh_style style, const char *text)
{
	indent(e);
	styled(e, style, text);
	wh_strbuf_putc(&e->sb, '\n');
}

const struct wh_emit_ops wh_emit_text_ops = {
	text_open, text_close, text_value,     text_table,
	text_row,  text_cell,  text_end_table, text_line,
};

/* ---- plain ---- */

static void plain_open(WH_UNUSED struct wh_emit *e, WH_UNUSED const char *key,
		       WH_UNUSED const char *title, WH_UNUSED bool array)
{
}

static void plain_value(struct wh_emit *e, const char *key, WH_UNUSED const char *label,
			const struct wh_value *v)
{
	if (!key)
		return;
	for (size_t i = 1; i < e->levels.n; i++)
		if (e->levels.v[i].key)
			wh_strbuf_printf(&e->sb, "%s.", e->levels.v[i].key);
	wh_strbuf_puts(&e->sb, key);
	wh_strbuf_putc(&e->sb, '\t');
	wh_emit_put_value(&e->sb, v);
	wh_strbuf_putc(&e->sb, '\n');
}

static void plain_table(struct wh_emit *e, const char *key, WH_UNUSED const char *title)
{
	wh_strbuf_printf(&e->sb, "#%s", key ? key : "");
	for (size_t i = 0; i < e->n_cols; i++)
		if (e->cols[i].key)
			wh_strbuf_printf(&e->sb, "\t%s", e->cols[i].key);
	wh_strbuf_putc(&e->sb, '\n');
}

static void plain_row(struct wh_emit *e)
{
	if (e->row_open)
		wh_strbuf_putc(&e->sb, '\n');
}

static void plain_cell(struct wh_emit *e, const struct wh_column *col, const struct wh_value *v)
{
	size_t len = e->sb.len;

	if (!col->key)
		return;
	if (len && wh_strbuf_str(&e->sb)[len - 1] != '\n')
		wh_strbuf_putc(&e->sb, '\t');
	wh_emit_put_value(&e->sb, v);
}

static void plain_end_table(struct wh_emit *e)
{
	if (e->row_open)
		wh_strbuf_putc(&e->sb, '\n');
}

static void plain_line(WH_UNUSED struct wh_emit *e, WH_UNUSED enum wh_style style,
		       WH_UNUSED const char *text)
{
}

const struct wh_emit_ops wh_emit_plain_ops = {
	plain_open, text_close, plain_value,	 plain_table,
	plain_row,  plain_cell, plain_end_table, plain_line,
};
