/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * emit: one call sequence gives text, JSON or plain records, so that they cannot disagree.
 *
 *	wh_emit_object(e, "totals", "Totals");
 *	wh_emit_u64(e, "bytes", "bytes leaked", 4096, WH_UNIT_BYTES);
 *	wh_emit_end(e);
 *
 * A NULL key means "for people only": JSON does not print it.  A NULL label (or title) means "for
 * machines only": text does not print it.  Everything that lies inside an object or array without label
 * is invisible to text too.  Errors of the stream are sticky (wh_emit_finish tells).  Not thread-safe.
 *
 *	text    titles, aligned tables, sentences; control characters of the dump are escaped
 *	json    objects; keys in the order of the calls; strings made valid UTF-8
 *	plain   one record a line, tab-separated: "key<TAB>value", table rows with a '#' header line
 */
#ifndef WH_REPORT_EMIT_H
#define WH_REPORT_EMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "analyzer/base/err.h"

enum wh_format {
	WH_FORMAT_TEXT,
	WH_FORMAT_JSON,
	WH_FORMAT_PLAIN,
	WH_FORMAT_NDJSON,
	WH_FORMAT_FOLDED,
	WH_FORMAT_SARIF,
	WH_FORMAT_JUNIT,
	WH_FORMAT_HTML,
	WH_FORMAT_COUNT
};
/** "text", "json" … */
const char *wh_format_name(enum wh_format f);

enum wh_unit { WH_UNIT_NONE, WH_UNIT_BYTES };

struct wh_column {
	const char *key;   /**< NULL: text only */
	const char *title; /**< NULL: JSON only */
	bool right;	   /**< aligned right in text: numbers */
};

enum wh_style { WH_STYLE_PLAIN, WH_STYLE_BOLD, WH_STYLE_BAD, WH_STYLE_GOOD, WH_STYLE_DIM };

struct wh_emit_opts {
	enum wh_format
		format; /**< TEXT, JSON or PLAIN; others behave as TEXT that prints nothing */
	bool silent;	/**< prints nothing, whatever the format: somebody else writes it */
	bool color;
	bool redact; /**< for the callers: wh_emit_redacts */
};

struct wh_emit;
/** @out is borrowed. */
struct wh_err *wh_emit_create(FILE *out, const struct wh_emit_opts *opts,
			      struct wh_emit **ret) WH_MUST_CHECK;
void wh_emit_destroy(struct wh_emit *e);
/** Closes the root, flushes; the first error of the stream or of memory, if any. */
struct wh_err *wh_emit_finish(struct wh_emit *e) WH_MUST_CHECK;
enum wh_format wh_emit_format(const struct wh_emit *e);
bool wh_emit_redacts(const struct wh_emit *e);

void wh_emit_object(struct wh_emit *e, const char *key, const char *title);
void wh_emit_array(struct wh_emit *e, const char *key, const char *title);
/** Ends the innermost object, array or table. */
void wh_emit_end(struct wh_emit *e);

void wh_emit_str(struct wh_emit *e, const char *key, const char *label, const char *value);
void wh_emit_u64(struct wh_emit *e, const char *key, const char *label, uint64_t v,
		 enum wh_unit unit);
void wh_emit_i64(struct wh_emit *e, const char *key, const char *label, int64_t v);
/** An address: "0x…", 16 digits. */
void wh_emit_hex(struct wh_emit *e, const char *key, const char *label, uint64_t v);
void wh_emit_bool(struct wh_emit *e, const char *key, const char *label, bool v);
/** [seconds] with nanoseconds, printed exactly. */
void wh_emit_ns(struct wh_emit *e, const char *key, const char *label, uint64_t ns);
/** Nothing known: JSON null, text prints nothing. */
void wh_emit_null(struct wh_emit *e, const char *key);

/** A table: in JSON an array of objects.  Cells must come in the order of the columns. */
void wh_emit_table(struct wh_emit *e, const char *key, const char *title,
		   const struct wh_column *cols, size_t n_cols);
void wh_emit_row(struct wh_emit *e);
void wh_emit_cell_str(struct wh_emit *e, const char *value);
void wh_emit_cell_u64(struct wh_emit *e, uint64_t v);
void wh_emit_cell_i64(struct wh_emit *e, int64_t v);
void wh_emit_cell_hex(struct wh_emit *e, uint64_t v);
void wh_emit_cell_bool(struct wh_emit *e, bool v);

/** A line of prose, for text only. */
void wh_emit_line(struct wh_emit *e, enum wh_style style, const char *fmt, ...) WH_PRINTF(3, 4);

/* Helpers of the backends and of the formats that write their own. */
struct wh_strbuf;
/** JSON string with quotes; bytes that are not UTF-8 become U+FFFD. */
void wh_json_quote(struct wh_strbuf *sb, const char *s);
/** Text for a terminal: control characters and invalid UTF-8 as hexadecimal escapes. */
void wh_text_escape(struct wh_strbuf *sb, const char *s);
/** Text for XML and HTML, attributes included; characters that XML forbids become U+FFFD. */
void wh_xml_escape(struct wh_strbuf *sb, const char *s);
/** 1234567 as "1,234,567". */
void wh_text_u64(struct wh_strbuf *sb, uint64_t v);
/** "4,096 bytes (4.0 KiB)"; the part in brackets from 10 KiB on. */
void wh_text_bytes(struct wh_strbuf *sb, uint64_t v);

#endif
