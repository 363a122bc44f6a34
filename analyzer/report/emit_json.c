/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON as people can still read and diff it: the members of the root, and the elements of the arrays
 * right below it, stand on lines of their own; deeper things stay on the line of their parent.
 */
#include "analyzer/report/emit_priv.h"

#define DEEP 3

/* NDJSON is the same on one line. */
static bool breaks(const struct wh_emit *e, size_t depth)
{
	return depth < DEEP && e->opts.format != WH_FORMAT_NDJSON;
}

/* Comma, line break and key of the next member. */
static void json_lead(struct wh_emit *e, const char *key)
{
	size_t depth = e->levels.n;
	const struct wh_emit_level *l = depth ? &e->levels.v[depth - 1] : NULL;

	if (!l)
		return;
	if (l->n)
		wh_strbuf_putc(&e->sb, ',');
	if (breaks(e, depth)) {
		wh_strbuf_putc(&e->sb, '\n');
		for (size_t i = 0; i < depth; i++)
			wh_strbuf_puts(&e->sb, "  ");
	} else if (l->n) {
		wh_strbuf_putc(&e->sb, ' ');
	}
	if (!l->array && key) {
		wh_json_quote(&e->sb, key);
		wh_strbuf_puts(&e->sb, ": ");
	}
}

static void json_open(struct wh_emit *e, const char *key, WH_UNUSED const char *title, bool array)
{
	json_lead(e, key);
	wh_strbuf_putc(&e->sb, array ? '[' : '{');
}

static void json_shut(struct wh_emit *e, char bracket, uint64_t members)
{
	size_t depth = e->levels.n;

	if (members && breaks(e, depth)) {
		wh_strbuf_putc(&e->sb, '\n');
		for (size_t i = 1; i < depth; i++)
			wh_strbuf_puts(&e->sb, "  ");
	}
	wh_strbuf_putc(&e->sb, bracket);
}

static void json_close(struct wh_emit *e)
{
	const struct wh_emit_level *l;

	if (!e->levels.n) { /* the root */
		wh_strbuf_puts(&e->sb, breaks(e, 0) ? "\n}\n" : "}\n");
		return;
	}
	l = &e->levels.v[e->levels.n - 1];
	json_shut(e, l->array ? ']' : '}', l->n);
}

static void json_put(struct wh_emit *e, const struct wh_value *v)
{
	switch (v->kind) {
	case WH_VALUE_STR: wh_json_quote(&e->sb, v->s); break;
	case WH_VALUE_HEX:
		wh_strbuf_putc(&e->sb, '"');
		wh_emit_put_hex(&e->sb, v->u);
		wh_strbuf_putc(&e->sb, '"');
		break;
	case WH_VALUE_NULL: wh_strbuf_puts(&e->sb, "null"); break;
	default: wh_emit_put_value(&e->sb, v);
	}
}

static void json_value(struct wh_emit *e, const char *key, WH_UNUSED const char *label,
		       const struct wh_value *v)
{
	json_lead(e, key);
	json_put(e, v);
}

static void json_table(struct wh_emit *e, const char *key, const char *title)
{
	json_open(e, key, title, true);
}

static void json_row(struct wh_emit *e)
{
	if (e->row_open)
		wh_strbuf_putc(&e->sb, '}');
	json_lead(e, NULL);
	wh_strbuf_putc(&e->sb, '{');
}

static void json_cell(struct wh_emit *e, const struct wh_column *col, const struct wh_value *v)
{
	if (!col->key)
		return;
	if (wh_strbuf_str(&e->sb)[e->sb.len - 1] != '{')
		wh_strbuf_puts(&e->sb, ", ");
	wh_json_quote(&e->sb, col->key);
	wh_strbuf_puts(&e->sb, ": ");
	json_put(e, v);
}

static void json_end_table(struct wh_emit *e)
{
	if (e->row_open)
		wh_strbuf_putc(&e->sb, '}');
	json_shut(e, ']', e->levels.v[e->levels.n - 1].n);
}

static void json_line(WH_UNUSED struct wh_emit *e, WH_UNUSED enum wh_style style,
		      WH_UNUSED const char *text)
{
}

const struct wh_emit_ops wh_emit_json_ops = {
	json_open, json_close, json_value,     json_table,
	json_row,  json_cell,  json_end_table, json_line,
};
