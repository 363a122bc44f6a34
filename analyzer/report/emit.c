/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/report/emit_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define FLUSH_AT (64u << 10)

const char *wh_format_name(enum wh_format f)
{
	static const char *const names[WH_FORMAT_COUNT] = {"text",   "json",  "plain", "ndjson",
							   "folded", "sarif", "junit", "html"};

	return (unsigned int)f < WH_FORMAT_COUNT ? names[f] : "?";
}

static void none_open(WH_UNUSED struct wh_emit *e, WH_UNUSED const char *key,
		      WH_UNUSED const char *title, WH_UNUSED bool array)
{
}
static void none_close(WH_UNUSED struct wh_emit *e)
{
}
static void none_value(WH_UNUSED struct wh_emit *e, WH_UNUSED const char *key,
		       WH_UNUSED const char *label, WH_UNUSED const struct wh_value *v)
{
}
static void none_table(WH_UNUSED struct wh_emit *e, WH_UNUSED const char *key,
		       WH_UNUSED const char *title)
{
}
static void none_cell(WH_UNUSED struct wh_emit *e, WH_UNUSED const struct wh_column *col,
		      WH_UNUSED const struct wh_value *v)
{
}
static void none_line(WH_UNUSED struct wh_emit *e, WH_UNUSED enum wh_style style,
		      WH_UNUSED const char *text)
{
}

/* Formats that are written by code of their own (SARIF, HTML …) keep the emitter silent. */
const struct wh_emit_ops wh_emit_none_ops = {none_open,	 none_close, none_value, none_table,
					     none_close, none_cell,  none_close, none_line};

static const struct wh_emit_ops *const backends[WH_FORMAT_COUNT] = {
	[WH_FORMAT_TEXT] = &wh_emit_text_ops,	[WH_FORMAT_JSON] = &wh_emit_json_ops,
	[WH_FORMAT_PLAIN] = &wh_emit_plain_ops, [WH_FORMAT_NDJSON] = &wh_emit_json_ops,
	[WH_FORMAT_FOLDED] = &wh_emit_none_ops, [WH_FORMAT_SARIF] = &wh_emit_none_ops,
	[WH_FORMAT_JUNIT] = &wh_emit_none_ops,	[WH_FORMAT_HTML] = &wh_emit_none_ops,
};

static void level_push(struct wh_emit *e, const char *key, const char *title, bool array,
		       bool visible)
{
	struct wh_err *err = WH_VEC_PUSH(
		&e->levels,
		(struct wh_emit_level){
			.array = array, .visible = visible, .titled = title && *title, .key = key});

	if (err) {
		wh_err_destroy(err);
		e->sb.failed = true;
	}
}

struct wh_err *wh_emit_create(FILE *out, const struct wh_emit_opts *opts, struct wh_emit **ret)
{
	struct wh_emit *e = calloc(1, sizeof(*e));

	if (!e)
		return &wh_err_nomem;
	e->out = out;
	e->opts = *opts;
	e->ops = opts->silent ? &wh_emit_none_ops : backends[opts->format];
	e->ops->open(e, NULL, "", /* array= */ false);
	level_push(e, NULL, NULL, false, true);
	*ret = e;
	return NULL;
}

void wh_emit_destroy(struct wh_emit *e)
{
	if (!e)
		return;
	wh_strbuf_fini(&e->sb);
	wh_arena_fini(&e->cells_mem);
	WH_VEC_FINI(&e->cells);
	WH_VEC_FINI(&e->levels);
	free(e);
}

void wh_emit_flush(struct wh_emit *e, bool all)
{
	if (e->sb.len < FLUSH_AT && !all)
		return;
	if (e->sb.len && fwrite(wh_strbuf_str(&e->sb), 1, e->sb.len, e->out) != e->sb.len)
		e->failed = true;
	wh_strbuf_clear(&e->sb);
}

struct wh_err *wh_emit_finish(struct wh_emit *e)
{
	while (e->levels.n > 1)
		wh_emit_end(e);
	if (e->levels.n) {
		e->levels.n = 0;
		e->ops->close(e);
	}
	wh_emit_flush(e, true);
	if (e->sb.failed)
		return &wh_err_nomem;
	if (fflush(e->out) || e->failed || ferror(e->out))
		return wh_err_os(NULL, "writing the report");
	return NULL;
}

enum wh_format wh_emit_format(const struct wh_emit *e)
{
	return e->opts.format;
}

bool wh_emit_redacts(const struct wh_emit *e)
{
	return e->opts.redact;
}

/* Whether a member with these names is printed where we are now; counts it when it is. */
static bool enter(struct wh_emit *e, const char *key, const char *title)
{
	struct wh_emit_level *l;

	if (!e->levels.n)
		return false;
	l = &e->levels.v[e->levels.n - 1];
	if (!l->visible)
		return false;
	if (e->opts.format == WH_FORMAT_TEXT)
		return title != NULL;
	return key != NULL || l->array;
}

static void counted(struct wh_emit *e)
{
	e->levels.v[e->levels.n - 1].n++;
}

static void open_level(struct wh_emit *e, const char *key, const char *title, bool array)
{
	bool visible = enter(e, key, title);

	if (visible) {
		e->ops->open(e, key, title, array);
		counted(e);
	}
	level_push(e, key, title, array, visible);
	wh_emit_flush(e, false);
}

void wh_emit_object(struct wh_emit *e, const char *key, const char *title)
{
	open_level(e, key, title, false);
}

void wh_emit_array(struct wh_emit *e, const char *key, const char *title)
{
	open_level(e, key, title, true);
}

void wh_emit_end(struct wh_emit *e)
{
	bool visible;

	if (e->in_table) {
		if (e->levels.v[e->levels.n - 1].visible)
			e->ops->end_table(e);
		e->in_table = e->row_open = false;
		WH_VEC_FINI(&e->cells);
		wh_arena_fini(&e->cells_mem);
		e->levels.n--;
		wh_emit_flush(e, false);
		return;
	}
	if (e->levels.n < 2)
		return;
	visible = e->levels.v[e->levels.n - 1].visible;
	if (visible)
		e->ops->close(e);
	e->levels.n--;
	wh_emit_flush(e, false);
}

static void value(struct wh_emit *e, const char *key, const char *label, const struct wh_value *v)
{
	if (!enter(e, key, label))
		return;
	e->ops->value(e, key, label, v);
	counted(e);
}

void wh_emit_str(struct wh_emit *e, const char *key, const char *label, const char *s)
{
	value(e, key, label, &(struct wh_value){.kind = s ? WH_VALUE_STR : WH_VALUE_NULL, .s = s});
}

void wh_emit_u64(struct wh_emit *e, const char *key, const char *label, uint64_t v,
		 enum wh_unit unit)
{
	value(e, key, label, &(struct wh_value){.kind = WH_VALUE_U64, .u = v, .unit = unit});
}

void wh_emit_i64(struct wh_emit *e, const char *key, const char *label, int64_t v)
{
	value(e, key, label, &(struct wh_value){.kind = WH_VALUE_I64, .i = v});
}

void wh_emit_hex(struct wh_emit *e, const char *key, const char *label, uint64_t v)
{
	value(e, key, label, &(struct wh_value){.kind = WH_VALUE_HEX, .u = v});
}

void wh_emit_bool(struct wh_emit *e, const char *key, const char *label, bool v)
{
	value(e, key, label, &(struct wh_value){.kind = WH_VALUE_BOOL, .u = v});
}

void wh_emit_ns(struct wh_emit *e, const char *key, const char *label, uint64_t ns)
{
	value(e, key, label, &(struct wh_value){.kind = WH_VALUE_NS, .u = ns});
}

void wh_emit_null(struct wh_emit *e, const char *key)
{
	value(e, key, NULL, &(struct wh_value){.kind = WH_VALUE_NULL});
}

void wh_emit_table(struct wh_emit *e, const char *key, const char *title,
		   const struct wh_column *cols, size_t n_cols)
{
	bool visible = enter(e, key, title);

	e->cols = cols;
	e->n_cols = n_cols;
	e->col = 0;
	e->in_table = true;
	e->row_open = false;
	if (visible) {
		e->ops->table(e, key, title);
		counted(e);
	}
	level_push(e, key, title, true, visible);
}

void wh_emit_row(struct wh_emit *e)
{
	/* Before the row: backends look back at what they wrote of it. */
	wh_emit_flush(e, false);
	if (e->levels.n && e->levels.v[e->levels.n - 1].visible) {
		e->ops->row(e);
		counted(e);
	}
	e->col = 0;
	e->row_open = true;
}

static void cell(struct wh_emit *e, const struct wh_value *v)
{
	const struct wh_column *c;

	if (!e->in_table || e->col >= e->n_cols)
		return;
	c = &e->cols[e->col++];
	if (e->levels.v[e->levels.n - 1].visible)
		e->ops->cell(e, c, v);
}

void wh_emit_cell_str(struct wh_emit *e, const char *s)
{
	cell(e, &(struct wh_value){.kind = s ? WH_VALUE_STR : WH_VALUE_NULL, .s = s});
}

void wh_emit_cell_u64(struct wh_emit *e, uint64_t v)
{
	cell(e, &(struct wh_value){.kind = WH_VALUE_U64, .u = v});
}

void wh_emit_cell_i64(struct wh_emit *e, int64_t v)
{
	cell(e, &(struct wh_value){.kind = WH_VALUE_I64, .i = v});
}

void wh_emit_cell_hex(struct wh_emit *e, uint64_t v)
{
	cell(e, &(struct wh_value){.kind = WH_VALUE_HEX, .u = v});
}

void wh_emit_cell_bool(struct wh_emit *e, bool v)
{
	cell(e, &(struct wh_value){.kind = WH_VALUE_BOOL, .u = v});
}

void wh_emit_line(struct wh_emit *e, enum wh_style style, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	if (!e->levels.n || !e->levels.v[e->levels.n - 1].visible)
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text)
		e->ops->line(e, style, text);
	else
		e->sb.failed = true;
	free(text);
	wh_emit_flush(e, false);
}

/* ---- helpers ---- */

void wh_emit_put_u64(struct wh_strbuf *sb, uint64_t v)
{
	char buf[24];
	size_t i = sizeof(buf);

	do {
		buf[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	wh_strbuf_putn(sb, buf + i, sizeof(buf) - i);
}

void wh_emit_put_hex(struct wh_strbuf *sb, uint64_t v)
{
	char buf[18] = "0x";

	for (size_t i = 17; i >= 2; i--, v >>= 4)
		buf[i] = "0123456789abcdef"[v & 15];
	wh_strbuf_putn(sb, buf, sizeof(buf));
}

static void put_ns(struct wh_strbuf *sb, uint64_t ns)
{
	char frac[10];

	wh_emit_put_u64(sb, ns / 1000000000);
	snprintf(frac, sizeof(frac), "%09u", (unsigned int)(ns % 1000000000));
	wh_strbuf_putc(sb, '.');
	wh_strbuf_puts(sb, frac);
}

void wh_emit_put_value(struct wh_strbuf *sb, const struct wh_value *v)
{
	switch (v->kind) {
	case WH_VALUE_STR: wh_text_escape(sb, v->s); break;
	case WH_VALUE_U64: wh_emit_put_u64(sb, v->u); break;
	case WH_VALUE_I64:
		if (v->i < 0)
			wh_strbuf_putc(sb, '-');
		wh_emit_put_u64(sb, v->i < 0 ? 0 - (uint64_t)v->i : (uint64_t)v->i);
		break;
	case WH_VALUE_HEX: wh_emit_put_hex(sb, v->u); break;
	case WH_VALUE_BOOL: wh_strbuf_puts(sb, v->u ? "true" : "false"); break;
	case WH_VALUE_NS: put_ns(sb, v->u); break;
	case WH_VALUE_NULL: wh_strbuf_putc(sb, '-'); break;
	}
}

/*
 * Length of the UTF-8 character at @s (1..4), 0 when it is malformed (overlong forms, surrogates and
 * values past U+10FFFF included).
 */
static size_t utf8_len(const unsigned char *s)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80	 ? 1
		   : s[0] < 0xc2 ? 0
		   : s[0] < 0xe0 ? 2
		   : s[0] < 0xf0 ? 3
		   : s[0] < 0xf5 ? 4
				 : 0;
	uint32_t c = n == 1 ? s[0] : s[0] & (0x7fu >> n);

	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	if (n && (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)))
		return 0;
	return n;
}

#define REPLACEMENT "\xef\xbf\xbd"

void wh_json_quote(struct wh_strbuf *sb, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	wh_strbuf_putc(sb, '"');
	while (*p) {
		size_t n = utf8_len(p);

		if (*p == '"' || *p == '\\') {
			wh_strbuf_putc(sb, '\\');
			wh_strbuf_putc(sb, (char)*p++);
		} else if (*p < 0x20 || *p == 0x7f) {
			wh_strbuf_printf(sb, "\\u%04x", *p++);
		} else if (n) {
			wh_strbuf_putn(sb, (const char *)p, n);
			p += n;
		} else {
			wh_strbuf_puts(sb, REPLACEMENT);
			p++;
		}
	}
	wh_strbuf_putc(sb, '"');
}

void wh_text_escape(struct wh_strbuf *sb, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	while (*p) {
		size_t n = utf8_len(p);
		/* C1 controls (U+0080..U+009F) drive terminals too. */
		bool control = *p < 0x20 || *p == 0x7f || (n == 2 && *p == 0xc2 && p[1] < 0xa0);

		if (n && !control) {
			wh_strbuf_putn(sb, (const char *)p, n);
			p += n;
		} else {
			wh_strbuf_printf(sb, "\\x%02x", *p++);
		}
	}
}

void wh_xml_escape(struct wh_strbuf *sb, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	while (*p) {
		size_t n = utf8_len(p);

		switch (*p) {
		case '&': wh_strbuf_puts(sb, "&amp;"); break;
		case '<': wh_strbuf_puts(sb, "&lt;"); break;
		case '>': wh_strbuf_puts(sb, "&gt;"); break;
		case '"': wh_strbuf_puts(sb, "&quot;"); break;
		case '\'': wh_strbuf_puts(sb, "&#39;"); break;
		default:
			if (n && (*p >= 0x20 || *p == '\t' || *p == '\n'))
				wh_strbuf_putn(sb, (const char *)p, n);
			else
				wh_strbuf_puts(sb, REPLACEMENT);
		}
		p += n ? n : 1;
	}
}

void wh_text_u64(struct wh_strbuf *sb, uint64_t v)
{
	char digits[24], buf[32];
	size_t n = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)v), o = 0;

	for (size_t i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			buf[o++] = ',';
		buf[o++] = digits[i];
	}
	wh_strbuf_putn(sb, buf, o);
}

void wh_text_bytes(struct wh_strbuf *sb, uint64_t v)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	uint64_t tenths = v;
	size_t u = 0;

	wh_text_u64(sb, v);
	wh_strbuf_puts(sb, v == 1 ? " byte" : " bytes");
	if (v < 10240)
		return;
	while (u < 5 && tenths / 1024 >= 1024) {
		tenths /= 1024;
		u++;
	}
	wh_strbuf_printf(sb, " (%llu.%llu %s)", (unsigned long long)(tenths / 1024),
			 (unsigned long long)(tenths % 1024 * 10 / 1024), units[u]);
}
