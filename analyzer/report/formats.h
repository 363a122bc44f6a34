/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * formats: the leak model in the forms that other tools read.  Each is one function over the same view;
 * JSON parts go through the emitter.
 *
 *	ndjson  one JSON object a group, for databases
 *	folded  "outer;inner bytes", for flame graphs
 *	sarif   SARIF 2.1.0, for code scanning
 *	junit   one test case a group, for CI servers
 *	html    one self-contained page
 */
#ifndef WH_REPORT_FORMATS_H
#define WH_REPORT_FORMATS_H

#include "analyzer/report/leaks_emit.h"

struct wh_report {
	const struct wh_leaks_view *view;
	const char *file;     /**< name of the dump, without folders */
	const char *identity; /**< kernel release or program; NULL unknown */
	const char *version;  /**< of weephole */
	struct wh_diags *diags;
	bool redact;
	/** Is this group a finding of the policy?  Indexed like groups; NULL: every unsuppressed one. */
	const bool *findings;
	const wh_cache_vec *caches; /**< html; NULL none */
};

struct wh_err *wh_report_ndjson(FILE *out, const struct wh_report *r) WH_MUST_CHECK;
struct wh_err *wh_report_folded(FILE *out, const struct wh_report *r) WH_MUST_CHECK;
struct wh_err *wh_report_sarif(FILE *out, const struct wh_report *r) WH_MUST_CHECK;
struct wh_err *wh_report_junit(FILE *out, const struct wh_report *r) WH_MUST_CHECK;
struct wh_err *wh_report_html(FILE *out, const struct wh_report *r) WH_MUST_CHECK;

/** Dispatches to one of the above; WH_ERR_INTERNAL for a format that is the emitter's. */
struct wh_err *wh_report_write(FILE *out, enum wh_format f,
			       const struct wh_report *r) WH_MUST_CHECK;
#define WH_REPORT_FORMATS                                                                          \
	(1u << WH_FORMAT_NDJSON | 1u << WH_FORMAT_FOLDED | 1u << WH_FORMAT_SARIF |                 \
	 1u << WH_FORMAT_JUNIT | 1u << WH_FORMAT_HTML)

/** "site [module]" of a group, or its cache when nothing was recorded. */
void wh_report_site(struct wh_strbuf *sb, const struct wh_leak_group *g);
/** Whether the group counts against the policy. */
bool wh_report_is_finding(const struct wh_report *r, size_t group);
/** Array "caches". */
void wh_report_emit_caches(struct wh_emit *e, const wh_cache_vec *v);

#endif
