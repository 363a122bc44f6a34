/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gate: the policy of CI.  A group is a finding when it holds leaks of the kinds that count
 * (--fail-on), is new or has grown against the baseline (--baseline), and by more than the threshold
 * (--threshold).
 */
#ifndef WH_CMD_GATE_H
#define WH_CMD_GATE_H

#include "analyzer/cmd/findings.h"
#include "analyzer/report/baseline.h"

struct wh_gate {
	bool active; /**< there is a policy: check, or --fail-on */
	bool has_baseline;
	uint64_t threshold; /**< bytes, or objects */
	bool threshold_objects;
	uint32_t kinds;		/**< bits of enum wh_leak_kind */
	struct wh_baseline old; /**< --baseline */
	struct wh_baseline now; /**< what was found */
	bool *findings;		/**< by group; NULL when there is no policy */
	uint64_t n_findings;
	uint64_t deltas[WH_DELTA_COUNT]; /**< signatures new, grown, unchanged */
	uint64_t gone;			 /**< signatures that only the baseline has */
};

/** Reads the baseline first of all, so that a bad one costs no scan.  @ret must be zeroed. */
struct wh_err *wh_gate_open(const struct wh_cli *cli, bool is_check,
			    struct wh_gate *ret) WH_MUST_CHECK;
/** Judges every group; writes --write-baseline. */
struct wh_err *wh_gate_judge(struct wh_run *run, struct wh_findings *f,
			     struct wh_gate *g) WH_MUST_CHECK;
/** "check" object, and the sentence of the policy in text. */
void wh_gate_emit(struct wh_emit *e, const struct wh_gate *g, bool verbose);
/** 0, 1 or --error-exitcode. */
int wh_gate_exit_code(const struct wh_cli *cli, const struct wh_gate *g);
void wh_gate_close(struct wh_gate *g);
/** "4096", "64K", "1M" bytes or "10x" objects. */
struct wh_err *wh_gate_parse_threshold(const char *s, uint64_t *ret,
				       bool *ret_objects) WH_MUST_CHECK;

#endif
