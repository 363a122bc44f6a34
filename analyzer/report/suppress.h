/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * suppress: leaks that somebody decided not to hear of.  Files are in LeakSanitizer's form:
 *
 *	# comment
 *	leak:pattern
 *
 * A pattern is a substring; '*' matches anything, '^' and '$' tie it to the start and the end.  It is
 * tried on the function, module and source file of every frame, on the name of the cache and, where no
 * stack was recorded, on the content signature.  The built-in rules are stricter (see suppress.c).
 */
#ifndef WH_REPORT_SUPPRESS_H
#define WH_REPORT_SUPPRESS_H

#include "analyzer/report/leaks.h"

struct wh_suppression {
	const char *pattern; /**< as written; for built-in rules the function or content pattern */
	const char *cache;   /**< built-in: the cache must match too; NULL any */
	const char *content; /**< built-in: pattern on the content signature, without a stack */
	const char *reason;  /**< built-in: why; NULL for files */
	const char *file;    /**< name of the file without its folders; NULL built-in */
	uint32_t line;
	struct wh_tally used; /**< buffers and bytes that it hid */
};

struct wh_suppressions {
	WH_VEC(struct wh_suppression) rules;
	struct wh_arena mem;
};

struct wh_err *wh_suppressions_add_builtin(struct wh_suppressions *s) WH_MUST_CHECK;
/** WH_ERR_USAGE with the line number for a line that is none of ours; an empty file is fine. */
struct wh_err *wh_suppressions_add_file(struct wh_suppressions *s, const char *path) WH_MUST_CHECK;
void wh_suppressions_fini(struct wh_suppressions *s);
/** The first rule that matches, or WH_SUPPRESSION_NONE. */
uint32_t wh_suppressions_find(const struct wh_suppressions *s, const struct wh_leak_group *g);
/** Pattern matching as above; exported for tests. */
bool wh_suppression_matches(const char *pattern, const char *text);

#endif
