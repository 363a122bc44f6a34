/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake_target: a dump and a target out of a table of objects, for tests of everything above the buffer
 * table.  The memory is a real ELF core in memory, read by the real readers and marked by the real
 * engine; only names and stacks are invented.
 */
#ifndef WH_TESTS_FAKE_TARGET_H
#define WH_TESTS_FAKE_TARGET_H

#include "analyzer/target/target.h"

#define FAKE_ROOT    (-1) /* a word of the root area holds it */
#define FAKE_NOBODY  (-2) /* lost */
#define FAKE_PASTEND (-3) /* lost; a live word points one past its end */
#define FAKE_ODD     (-4) /* lost; a live unaligned word points at it */

struct fake_obj {
	const char *cache;
	uint64_t size;	     /* [bytes] */
	int holder;	     /* index of the object that points to it, or FAKE_* */
	unsigned int stack;  /* 0 none recorded; else which */
	const char *content; /* content signature when there is no stack */
	uint64_t time_ns;    /* 0 unknown */
	const char *text;    /* written into the object; NULL nothing */
};

struct fake {
	struct wh_ctx *ctx;
	struct wh_dump *dump;
	struct wh_target *target;
	struct wh_target_opts opts;
	const struct fake_obj *objs;
	size_t n;
	uint64_t *addr; /* of each object */
	uint64_t slide; /* added to every code address: ASLR */
	uint8_t *image;
	size_t image_len;
	uint64_t missing; /* when not 0: holder-capable memory of so many bytes is missing */
};

/** Ends the test program when anything fails.  @objs is borrowed. */
struct fake *fake_create(const struct fake_obj *objs, size_t n, uint64_t slide,
			 unsigned int threads, uint64_t missing);
void fake_destroy(struct fake *f);

#endif
