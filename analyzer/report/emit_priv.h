/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * emit_priv: what a backend of the emitter has to answer.  Backends append to e->sb; emit.c writes it out.
 */
#ifndef WH_REPORT_EMIT_PRIV_H
#define WH_REPORT_EMIT_PRIV_H

#include "analyzer/base/arena.h"
#include "analyzer/base/strbuf.h"
#include "analyzer/base/vec.h"
#include "analyzer/report/emit.h"

enum wh_value_kind {
	WH_VALUE_STR,
	WH_VALUE_U64,
	WH_VALUE_I64,
	WH_VALUE_HEX,
	WH_VALUE_BOOL,
	WH_VALUE_NS,
	WH_VALUE_NULL
};

struct wh_value {
	enum wh_value_kind kind;
	enum wh_unit unit;
	const char *s;
	uint64_t u;
	int64_t i;
};

struct wh_emit_ops {
	void (*open)(struct wh_emit *e, const char *key, const char *title, bool array);
	void (*close)(struct wh_emit *e);
	void (*value)(struct wh_emit *e, const char *key, const char *label,
		      const struct wh_value *v);
	void (*table)(struct wh_emit *e, const char *key, const char *title);
	void (*row)(struct wh_emit *e);
	void (*cell)(struct wh_emit *e, const struct wh_column *col, const struct wh_value *v);
	void (*end_table)(struct wh_emit *e);
	void (*line)(struct wh_emit *e, enum wh_style style, const char *text);
};

struct wh_emit_level {
	bool array;
	bool visible;	 /**< this and everything around it is printed */
	bool titled;	 /**< text is set in below its title */
	uint64_t n;	 /**< members so far */
	const char *key; /**< its own; NULL for the root and elements; borrowed until it ends */
};

struct wh_emit {
	const struct wh_emit_ops *ops;
	struct wh_emit_opts opts;
	FILE *out;
	struct wh_strbuf sb; /**< not yet written */
	bool failed;	     /**< the stream */
	WH_VEC(struct wh_emit_level) levels;

	/* the open table, if any */
	const struct wh_column *cols;
	size_t n_cols, col;
	bool in_table, row_open;
	struct wh_arena cells_mem;
	WH_VEC(const char *) cells;
};

extern const struct wh_emit_ops wh_emit_text_ops, wh_emit_json_ops, wh_emit_plain_ops,
	wh_emit_none_ops;

/** Writes the buffer out when it is big. */
void wh_emit_flush(struct wh_emit *e, bool all);
void wh_emit_put_u64(struct wh_strbuf *sb, uint64_t v);
/** "0x" and 16 digits. */
void wh_emit_put_hex(struct wh_strbuf *sb, uint64_t v);
/** The value as bare text, without unit: plain records. */
void wh_emit_put_value(struct wh_strbuf *sb, const struct wh_value *v);

#endif
