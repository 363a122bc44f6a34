/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "formats/lzjb.h"
#include "tests/gen/expect.h"

static const uint8_t vector[] = {0x40, 0x79, 0x61, 0x64, 0x64, 0x61, 0x20, 0x20, 0x06,
				 0x2c, 0x20, 0x20, 0x62, 0x6c, 0x61, 0x68, 0x1c, 0x05};
static const char plain[] = "yadda yadda yadda, blah blah blah";

START_TEST(test_vector)
{
	char out[34] = {0};

	ck_assert_uint_eq(sizeof(plain) - 1, 33);
	ck_assert(wh_lzjb_decode(vector, sizeof(vector), out, 33));
	ck_assert_str_eq(out, plain);
}
END_TEST

START_TEST(test_every_cut_is_refused)
{
	char out[33];

	for (size_t n = 0; n < sizeof(vector); n++)
		ck_assert_msg(!wh_lzjb_decode(vector, n, out, sizeof(out)), "cut at %zu", n);
}
END_TEST

START_TEST(test_raw)
{
	char out[6] = {0};

	ck_assert(wh_lzjb_decode("stored!", 7, out, 5));
	ck_assert_str_eq(out, "store");
}
END_TEST

START_TEST(test_copy_before_start)
{
	/* One literal, then a copy from two bytes back: only one byte exists. */
	static const uint8_t bad[] = {0x02, 'a', 0x00, 0x02};
	static const uint8_t zero[] = {0x02, 'a', 0x00, 0x00};
	char out[64];

	ck_assert(!wh_lzjb_decode(bad, sizeof(bad), out, sizeof(out)));
	ck_assert(!wh_lzjb_decode(zero, sizeof(zero), out, sizeof(out)));
}
END_TEST

START_TEST(test_longest_copy)
{
	/* 'a', then 66 + 66 copies of the byte before. */
	static const uint8_t in[] = {0x06, 'a', 0xfc, 0x01, 0xfc, 0x01};
	char out[133];

	ck_assert(wh_lzjb_decode(in, sizeof(in), out, sizeof(out)));
	for (size_t i = 0; i < sizeof(out); i++)
		ck_assert_int_eq(out[i], 'a');
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lzjb");
	TCase *tc = tcase_create("decode");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, test_vector);
	tcase_add_test(tc, test_every_cut_is_refused);
	tcase_add_test(tc, test_raw);
	tcase_add_test(tc, test_copy_before_start);
	tcase_add_test(tc, test_longest_copy);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
