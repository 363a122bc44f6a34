/* SPDX-License-Identifier: GPL-2.0-or-later */
/* expect: libcheck, and what the unit tests need beside it. */
#ifndef WH_TESTS_EXPECT_H
#define WH_TESTS_EXPECT_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/ctx.h"
#include "analyzer/base/vec.h"

/*
 * libcheck writes a record of every assertion that holds, to tell after a crash which was the last.  Our loops assert
 * millions of times, and where a crash was is told by the sanitizers.
 */
#define _mark_point(file, line) ((void)0)

/* [seconds] A test that takes longer hangs, also on a busy machine and with sanitizers. */
#define EXPECT_HANG 1200

/** Fails with the error's text unless it is NULL. */
static inline void expect_ok(struct wh_err *e)
{
	char *text = e ? wh_err_text(e) : NULL;

	ck_assert_msg(!e, "unexpected error: %s", text ? text : "?");
	free(text);
}

/** Fails unless there is an error whose text contains @part. */
static inline void expect_error(struct wh_err *e, const char *part)
{
	char *text;

	ck_assert_msg(e != NULL, "no error, expected one with \"%s\"", part);
	text = wh_err_text(e);
	ck_assert_msg(strstr(text, part) != NULL, "error \"%s\", expected \"%s\"", text, part);
	free(text);
	wh_err_destroy(e);
}

/** True when the diagnostics have @id. */
static inline bool has_diag(struct wh_ctx *c, const char *id)
{
	size_t n;
	const struct wh_diag *d = wh_diags_list(c->diags, &n);

	for (size_t i = 0; i < n; i++)
		if (!strcmp(d[i].id, id))
			return true;
	return false;
}

typedef void (*expect_add_fn)(TCase *t);
/** Runs one suite of one test case; the exit status of main. */
static inline int run_suite(const char *name, expect_add_fn add)
{
	Suite *s = suite_create(name);
	TCase *t = tcase_create(name);
	SRunner *r;
	int failed;

	tcase_set_timeout(t, EXPECT_HANG);
	suite_add_tcase(s, t);
	add(t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}

#endif
