/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * line: source lines and inlined frames behind code addresses, through libdwfl.  One wh_lines serves
 * the modules of a kernel or of a process; DWARF is opened on the first question about a module.
 */
#ifndef WH_DWARF_LINE_H
#define WH_DWARF_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "analyzer/base/err.h"

/** One line of source behind a code address; inner-most inline frame first. */
struct wh_line {
	const char *function; /**< borrowed until close; NULL unknown */
	const char *file;     /**< as the debug info spells it; NULL unknown */
	uint32_t line;
};

struct wh_lines;
struct wh_err *wh_lines_create(struct wh_lines **ret) WH_MUST_CHECK;
void wh_lines_destroy(struct wh_lines *l);
/** A section of a relocatable file and where it was loaded. */
struct wh_lines_section {
	const char *name; /**< ".text" */
	uint64_t addr;
};
/** A file with DWARF (or that has a debug file with it) and where it is mapped.  All copied. */
struct wh_lines_module {
	const char *file, *debug_file; /**< debug_file NULL: none */
	uint64_t start, end;	       /**< run-time range of its code, end exclusive */
	uint64_t bias;		       /**< run-time address = the file's + bias (mod 2^64) */
	const struct wh_lines_section *sections; /**< for .ko files, instead of bias */
	size_t n_sections;
};
/** Before the first question.  The same file may be added for several ranges. */
struct wh_err *wh_lines_add(struct wh_lines *l, const struct wh_lines_module *spec) WH_MUST_CHECK;
/** The number of entries written, 0 unknown.  Locks itself. */
size_t wh_lines_find(struct wh_lines *l, uint64_t addr, struct wh_line *ret, size_t cap);

#endif
