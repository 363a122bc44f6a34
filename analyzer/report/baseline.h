/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * baseline: what leaked before, by signature, so that only what is new or has grown counts.  The file is
 * text for people and for diff:
 *
 *	# weephole baseline 1
 *	# signature	count	bytes	cache	stack
 *	0123456789abcdef	3	288	kmalloc-96	leaky_probe<really_probe<...
 *
 * Fields are separated by tabs, lines sorted by signature.  A saved JSON report is read as well.
 */
#ifndef WH_REPORT_BASELINE_H
#define WH_REPORT_BASELINE_H

#include "analyzer/base/strbuf.h"
#include "analyzer/report/leaks.h"

#define WH_BASELINE_VERSION 1

struct wh_baseline_entry {
	char signature[20];
	const char *cache;
	const char *stack; /**< stable names, innermost first, joined by '<' */
	struct wh_tally tally;
};

struct wh_baseline {
	WH_VEC(struct wh_baseline_entry) entries; /**< by signature, each once */
	struct wh_arena mem;
};

/** Sums the unsuppressed leaks of each signature.  @ret must be zeroed in all of these. */
struct wh_err *wh_baseline_from_leaks(const struct wh_leaks *l,
				      struct wh_baseline *ret) WH_MUST_CHECK;
/** A baseline file or a saved JSON report, by content.  WH_ERR_USAGE names the line. */
struct wh_err *wh_baseline_read(const char *path, struct wh_baseline *ret) WH_MUST_CHECK;
/** The file's text. */
void wh_baseline_print(const struct wh_baseline *b, struct wh_strbuf *sb);
const struct wh_baseline_entry *wh_baseline_find(const struct wh_baseline *b,
						 const char *signature);
void wh_baseline_fini(struct wh_baseline *b);

/** Writes delta and base into the groups of @l. */
void wh_baseline_apply(const struct wh_baseline *b, const struct wh_baseline *now,
		       struct wh_leaks *l);

/** A signature in two reports; tallies are zero where it is absent. */
struct wh_change {
	const struct wh_baseline_entry *entry; /**< of the newer one, else of the older one */
	struct wh_tally before, after;
};
typedef WH_VEC(struct wh_change) wh_change_vec;
/** Every signature of both: growth in bytes first, then growth in count, then what shrank most. */
struct wh_err *wh_baseline_compare(const struct wh_baseline *before,
				   const struct wh_baseline *after,
				   wh_change_vec *ret) WH_MUST_CHECK;

#endif
