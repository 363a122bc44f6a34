/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * diag: the second channel, for things that do not stop the run.  Diagnostics are aggregated by id:
 * one line with a count and the example of lowest address, never one line a bad read.  Thread-safe;
 * the result does not depend on the order in which threads report.
 */
#ifndef WH_BASE_DIAG_H
#define WH_BASE_DIAG_H

#include <stddef.h>
#include <stdint.h>

#include "analyzer/base/err.h"

enum wh_severity { WH_DIAG_NOTE, WH_DIAG_WARN, WH_DIAG_ERROR, WH_SEVERITY_COUNT };

struct wh_diag {
	enum wh_severity severity;
	char *id;	/**< stable, kebab-case: "slab-page-missing" */
	char *text;	/**< of the example with the lowest address */
	uint64_t addr;	/**< that address; 0 when it has none */
	uint64_t count; /**< how often it was reported */
};

struct wh_diags;
struct wh_diags *wh_diags_create(void);
void wh_diags_destroy(struct wh_diags *d);
/**
 * Reports one occurrence.  @id is copied.  @addr orders the examples (0 when there is none).
 * Never fails: out of memory loses the diagnostic.  NULL @d is allowed and ignored.
 */
void wh_diag_add(struct wh_diags *d, enum wh_severity sev, const char *id, uint64_t addr,
		 const char *fmt, ...) WH_PRINTF(5, 6);
/** Turns an error into a diagnostic and destroys it. */
void wh_diag_add_err(struct wh_diags *d, enum wh_severity sev, const char *id, struct wh_err *e);
/** Sorted by severity (worst first), then id; borrowed until the next wh_diag_add. */
const struct wh_diag *wh_diags_list(struct wh_diags *d, size_t *ret_n);
const char *wh_severity_name(enum wh_severity s);

#endif
