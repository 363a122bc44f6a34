/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * leaks_emit: the leak model through the emitter: text for people, JSON (docs/schema/), plain records.
 * The order of the calls is the order of the report: verdict, groups, suppressions, coverage,
 * diagnostics, advice, summary.
 */
#ifndef WH_REPORT_LEAKS_EMIT_H
#define WH_REPORT_LEAKS_EMIT_H

#include "analyzer/report/emit.h"
#include "analyzer/report/leaks.h"
#include "analyzer/report/suppress.h"

/** Version of the JSON; the schema of the same number is docs/schema/findleaks-N.json. */
#define WH_REPORT_SCHEMA 1

struct wh_leaks_view {
	const struct wh_leaks *leaks;
	struct wh_target *target;
	const struct wh_suppressions *suppressions; /**< NULL none */
	uint64_t limit;				    /**< groups in text; 0 all */
	uint64_t num_callers;			    /**< frames in text; 0 all */
	uint32_t show_kinds; /**< bits of enum wh_leak_kind: what text shows */
	bool groups_only;    /**< without the list of every leak */
	bool details;	     /**< contents of each representative */
	bool verbose;
	const bool *policy_findings; /**< by group; NULL: there is no policy */
	bool incomplete;	     /**< something was lost that could change the answer */
};

/** "findings" (of the policy, where there is one), "clean" or "incomplete": the word of the report. */
const char *wh_leaks_outcome(const struct wh_leaks_view *v);
/** One sentence, the first line of the text. */
void wh_leaks_verdict(struct wh_strbuf *sb, const struct wh_leaks_view *v);
/** The last line. */
void wh_leaks_summary(struct wh_strbuf *sb, const struct wh_leaks *l);

/** Keys "schema", "outcome", "verdict". */
void wh_leaks_emit_verdict(struct wh_emit *e, const struct wh_leaks_view *v);
/** Keys "leaks", "groups". */
void wh_leaks_emit_groups(struct wh_emit *e, const struct wh_leaks_view *v);
/** Keys "totals", "suppressions", "coverage". */
void wh_leaks_emit_totals(struct wh_emit *e, const struct wh_leaks_view *v);
/** Key "advice" and the summary line. */
void wh_leaks_emit_summary(struct wh_emit *e, const struct wh_leaks_view *v);

/** Keys "signature", "weak", "allocator", "cache", "kind", "count", "bytes". */
void wh_emit_group_keys(struct wh_emit *e, const struct wh_leak_group *g);
/** Keys "type", "type_source" ("pointer", "vtable", "inferred"), "type_offset"; none when unknown. */
void wh_emit_type(struct wh_emit *e, const struct wh_row_type *t);
/** "struct node (inferred)": @t->name is not NULL. */
void wh_type_text(struct wh_strbuf *sb, const struct wh_row_type *t);
/** Key "symbol": as the program has it; with "demangled" when that is a C++ or Rust name. */
void wh_emit_symbol(struct wh_emit *e, const char *symbol);
/** Key "stack": frames for machines; text prints none of it. */
void wh_emit_frames(struct wh_emit *e, const char *key, const struct wh_frame *f, size_t n);
/** Lines of a stack for people; @limit 0 = all; @dim frames at the top are the allocator's. */
void wh_emit_frames_text(struct wh_emit *e, const struct wh_frame *f, size_t n, size_t dim,
			 uint64_t limit);
/** Diagnostics by id: key "diagnostics". */
void wh_emit_diags(struct wh_emit *e, struct wh_diags *d);
/** Hexdump of [addr, addr+size) for people, at most 4 KiB; says what is unreadable. */
void wh_emit_contents(struct wh_emit *e, struct wh_target *t, uint64_t addr, uint64_t size);
/** The same for machines: key "contents", the bytes in the order of memory up to the first that is unreadable. */
void wh_emit_contents_hex(struct wh_emit *e, struct wh_target *t, uint64_t addr, uint64_t size);

#endif
