/* SPDX-License-Identifier: GPL-2.0-or-later */
/* C++ type names as typeinfo stores them, good and hostile. */
#include <check.h>
#include <string.h>

#include "analyzer/name/demangle.h"

static const struct {
	const char *in, *out;
} cases[] = {
	{"6Widget", "Widget"},
	{"N4shop6WidgetE", "shop::Widget"},
	{"N4shop3BoxIdEE", "shop::Box<double>"},
	{"St9exception", "std::exception"},
	{"NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE",
	 "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char>>"},
	{"St3mapIiN4shop6WidgetESt4lessIiESaISt4pairIKiS1_EEE",
	 "std::map<int, shop::Widget, std::less<int>, std::allocator<std::pair<int const, shop::Widget>>>"},
	{"N12_GLOBAL__N_15InnerE", "(anonymous namespace)::Inner"},
	{"P6Widget", "Widget*"},
	{"PK6Widget", "Widget const*"},
	{"5ArrayILi16EE", "Array<16>"},
	{"4FlagILb1EE", "Flag<true>"},
	{"4PackIJidEE", "Pack<int, double>"},
	{"N1aS_E", "a::a"},
	/* what is not understood comes back as it is */
	{"F6WidgetvE", "F6WidgetvE"},
	{"999Widget", "999Widget"},
	{"NS9_3FooE", "NS9_3FooE"},
	{"N4shop", "N4shop"},
	{"PPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPi",
	 "PPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPi"},
};

START_TEST(demangles)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;

	wh_strbuf_puts(&sb, "class ");
	ck_assert(wh_demangle_type(cases[_i].in, &sb));
	ck_assert_str_eq(wh_strbuf_str(&sb) + strlen("class "), cases[_i].out);
	ck_assert(strncmp(wh_strbuf_str(&sb), "class ", 6) == 0);
	wh_strbuf_fini(&sb);
}
END_TEST

START_TEST(empty_is_refused)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;

	ck_assert(!wh_demangle_type("", &sb));
	wh_strbuf_fini(&sb);
}
END_TEST

/* Substitutions that double the output each time must not run away. */
START_TEST(output_is_bounded)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;
	char name[4096] = "N1a";

	for (int i = 0; i < 200; i++)
		strcat(name, "IS_S_S_E");
	strcat(name, "E");
	ck_assert(wh_demangle_type(name, &sb));
	ck_assert_uint_lt(sb.len, 16384);
	wh_strbuf_fini(&sb);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("demangle");
	TCase *t = tcase_create("types");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, demangles, 0, (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(t, empty_is_refused);
	tcase_add_test(t, output_is_bounded);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
