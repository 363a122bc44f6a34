/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * output: where a report goes: a file (through a temporary one, renamed at the end), standard output,
 * or a pager when it is long and standard output is a terminal.
 */
#ifndef WH_CMD_OUTPUT_H
#define WH_CMD_OUTPUT_H

#include <stdio.h>

#include "analyzer/base/err.h"

struct wh_output {
	FILE *f;	  /**< write here */
	bool color;	  /**< wanted and possible */
	const char *path; /**< -o; NULL standard output */
	char *tmp;	  /**< temporary file; owned */
	char *text;	  /**< kept for the pager; owned */
	size_t len;
	bool paged;
};

/** @path NULL or "-": standard output. */
struct wh_err *wh_output_open(const char *path, bool pager, bool color,
			      struct wh_output *ret) WH_MUST_CHECK;
/** Makes the output final; destroys @o in any case. */
struct wh_err *wh_output_commit(struct wh_output *o) WH_MUST_CHECK;
/** Throws away what was written, as far as it has not left yet. */
void wh_output_discard(struct wh_output *o);
/** Writes @text to @path through a temporary file in the same folder: whole or not at all. */
struct wh_err *wh_output_replace(const char *path, const char *text, size_t len) WH_MUST_CHECK;

#endif
