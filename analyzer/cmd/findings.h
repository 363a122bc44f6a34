/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * findings: what findleaks, check and diff share: options into a leak model, and the policy.
 */
#ifndef WH_CMD_FINDINGS_H
#define WH_CMD_FINDINGS_H

#include "analyzer/cmd/cmd.h"
#include "analyzer/report/formats.h"

struct wh_findings {
	struct wh_suppressions suppressions;
	struct wh_leaks leaks;
	struct wh_leaks_view view; /**< points into this struct */
	bool list_possible;	   /**< set by the caller: see wh_leaks_opts.possible_apart */
};

/** Reads suppressions, marks, groups.  @ret must be zeroed but for list_possible; fini also after an error. */
struct wh_err *wh_findings_build(struct wh_run *run, struct wh_findings *ret) WH_MUST_CHECK;
void wh_findings_fini(struct wh_findings *f);
/** All of findleaks or check: policy, analysis, report in the wanted format, exit code. */
struct wh_err *wh_findings_run(struct wh_run *run, bool is_check) WH_MUST_CHECK;
/** The built-in suppressions as text (--print-suppressions). */
void wh_findings_print_suppressions(FILE *out);

#endif
