/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/arena.h"
#include "analyzer/base/ctx.h"
#include "analyzer/base/hashmap.h"
#include "analyzer/base/strbuf.h"
#include "analyzer/base/vec.h"
#include "tests/gen/expect.h"

START_TEST(err_text_goes_outward)
{
	struct wh_err *e = wh_err_bad("core", 0x40, "bad size %d", 7);
	char *text;

	e = wh_err_wrap(e, "reading header");
	text = wh_err_text(e);
	ck_assert_str_eq(text, "reading header: core: bad size 7 (file offset 0x40)");
	ck_assert(wh_err_is(e, WH_ERR_BAD_DATA));
	free(text);
	wh_err_destroy(e);
	wh_err_destroy(&wh_err_not_found);
	wh_err_destroy(NULL);
}
END_TEST

START_TEST(map_keeps_every_key)
{
	struct wh_map m = WH_MAP_INIT;
	uint64_t v;
	bool fresh;

	for (uint64_t i = 0; i < 5000; i++)
		ck_assert_ptr_null(wh_map_set(&m, i * 4096, i, &fresh));
	ck_assert_ptr_null(wh_map_set(&m, 4096, 77, &fresh));
	ck_assert(!fresh);
	ck_assert(wh_map_find(&m, 4096, &v) && v == 77);
	ck_assert(wh_map_find(&m, 4999 * 4096, &v) && v == 4999);
	ck_assert(!wh_map_find(&m, 1, &v));
	ck_assert_uint_eq(m.n, 5000);
	wh_map_fini(&m);
}
END_TEST

static struct wh_err *count_unit(void *arg, unsigned int worker, size_t unit)
{
	uint8_t *seen = arg;

	(void)worker;
	seen[unit]++;
	if (unit == 700 || unit == 300)
		return wh_err_new(WH_ERR_INTERNAL, "unit %zu", unit);
	return NULL;
}

START_TEST(workers_report_the_lowest_unit)
{
	struct wh_ctx *c;
	uint8_t seen[1000] = {0};
	struct wh_err *e;

	ck_assert_ptr_null(wh_ctx_create(4, &c));
	e = wh_workers_run(c, NULL, 300, count_unit, seen);
	ck_assert_ptr_null(e);
	for (int i = 0; i < 300; i++)
		ck_assert_int_eq(seen[i], 1);
	e = wh_workers_run(c, NULL, 1000, count_unit, seen);
	ck_assert_ptr_nonnull(e);
	ck_assert_str_eq(e->msg, "unit 300");
	wh_err_destroy(e);
	atomic_store(&c->cancel, true);
	ck_assert_ptr_eq(wh_workers_run(c, NULL, 10, count_unit, seen), &wh_err_cancelled);
	wh_ctx_destroy(c);
}
END_TEST

START_TEST(diags_aggregate_by_id)
{
	struct wh_diags *d = wh_diags_create();
	const struct wh_diag *l;
	size_t n;

	wh_diag_add(d, WH_DIAG_WARN, "b", 0x20, "at %x", 0x20);
	wh_diag_add(d, WH_DIAG_WARN, "b", 0x10, "at %x", 0x10);
	wh_diag_add(d, WH_DIAG_ERROR, "c", 0, "worst");
	l = wh_diags_list(d, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(l[0].id, "c");
	ck_assert_str_eq(l[1].text, "at 10");
	ck_assert_uint_eq(l[1].count, 2);
	wh_diags_destroy(d);
}
END_TEST

START_TEST(vec_arena_strbuf)
{
	WH_VEC(uint64_t) v = {0};
	struct wh_arena a = WH_ARENA_INIT;
	struct wh_strbuf sb = WH_STRBUF_INIT;
	char *s;

	for (uint64_t i = 0; i < 1000; i++)
		ck_assert_ptr_null(WH_VEC_PUSH(&v, i));
	ck_assert_uint_eq(v.v[999], 999);
	WH_VEC_FINI(&v);
	ck_assert_str_eq(wh_arena_strdup(&a, "x"), "x");
	ck_assert_ptr_nonnull(wh_arena_alloc(&a, 1 << 20));
	ck_assert_str_eq(wh_arena_strndup(&a, "hello", 4), "hell");
	wh_arena_fini(&a);
	wh_strbuf_printf(&sb, "%d-%s", 1, "two");
	s = wh_strbuf_steal(&sb);
	ck_assert_str_eq(s, "1-two");
	free(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base");
	TCase *t = tcase_create("base");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, err_text_goes_outward);
	tcase_add_test(t, map_keeps_every_key);
	tcase_add_test(t, workers_report_the_lowest_unit);
	tcase_add_test(t, diags_aggregate_by_id);
	tcase_add_test(t, vec_arena_strbuf);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
