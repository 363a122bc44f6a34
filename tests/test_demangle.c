/* SPDX-License-Identifier: GPL-2.0-or-later */
/* C++ and Rust names, good and hostile; type names as typeinfo stores them. */
#include <stdlib.h>
#include <string.h>

#include "analyzer/name/frame.h"
#include "dwarf/demangle.h"
#include "tests/gen/expect.h"

static const struct {
	const char *in, *out;
} cases[] = {
	{"6Widget", "Widget"},
	{"N4shop6WidgetE", "shop::Widget"},
	{"N4shop3BoxIdEE", "shop::Box<double>"},
	{"St9exception", "std::exception"},
	{"NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE",
	 "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >"},
	{"St3mapIiN4shop6WidgetESt4lessIiESaISt4pairIKiS1_EEE",
	 "std::map<int, shop::Widget, std::less<int>, std::allocator<std::pair<int const, shop::Widget> > >"},
	{"N12_GLOBAL__N_15InnerE", "(anonymous namespace)::Inner"},
	{"P6Widget", "Widget*"},
	{"PK6Widget", "Widget const*"},
	{"5ArrayILi16EE", "Array<16>"},
	{"4FlagILb1EE", "Flag<true>"},
	{"4PackIJidEE", "Pack<int, double>"},
	{"FvP6WidgetE", "void (Widget*)"},
	/* what is not a type */
	{"", NULL},
	{"999Widget", NULL},
	{"NS9_3FooE", NULL},
	{"N4shop", NULL},
};

START_TEST(types)
{
	char *s = wh_demangle_type(cases[_i].in);

	if (cases[_i].out)
		ck_assert_str_eq(s, cases[_i].out);
	else
		ck_assert_ptr_null(s);
	free(s);
}
END_TEST

static const struct {
	const char *in, *out;
} symbols[] = {
	{"_ZN4shop6Widget4sellEi", "shop::Widget::sell(int)"},
	{"_RNvCskwGfYPst2Cb_3foo16example_function", "foo::example_function"},
	{"_ZN3foo3bar17h05af221e174051e9E", "foo::bar"},
	{"main", NULL},
	{"_Z", NULL},
};

START_TEST(functions)
{
	char *s = wh_demangle(symbols[_i].in, /* with_parameters= */ true);

	if (symbols[_i].out)
		ck_assert_str_eq(s, symbols[_i].out);
	else
		ck_assert_ptr_null(s);
	free(s);
}
END_TEST

START_TEST(classes)
{
	char *s = wh_demangle_class("_ZTVN4shop6WidgetE");

	ck_assert_str_eq(s, "shop::Widget");
	free(s);
	ck_assert_ptr_null(wh_demangle_class("_ZN4shop6Widget4sellEi"));
}
END_TEST

/* Substitutions that double the output each time must neither run away nor take time. */
START_TEST(output_is_bounded)
{
	char name[4096] = "N1a";

	for (int i = 0; i < 200; i++)
		strcat(name, "IS_S_S_E");
	strcat(name, "E");
	ck_assert_ptr_null(wh_demangle_type(name));
	memset(name, 'P', sizeof(name) - 2);
	memcpy(name + sizeof(name) - 2, "i", 2);
	free(wh_demangle_type(name));
}
END_TEST

/* Stacks show source names; signatures, which baselines keep, the names of the symbol table. */
START_TEST(frames)
{
	struct wh_frame f = {.address = 0x1234,
			     .symbol = "_ZN4shop6Widget4sellEi.cold",
			     .offset = 0x10,
			     .module = "shop"};
	struct wh_strbuf sb = WH_STRBUF_INIT;

	wh_frame_stable(&sb, &f);
	ck_assert_str_eq(wh_strbuf_str(&sb), "_ZN4shop6Widget4sellEi");
	wh_strbuf_clear(&sb);
	f.symbol = "_ZN4shop6Widget4sellEi";
	wh_frame_text(&sb, &f);
	ck_assert_str_eq(wh_strbuf_str(&sb), "shop::Widget::sell+0x10 [shop]");
	wh_strbuf_clear(&sb);
	wh_frame_name(&sb, &f);
	ck_assert_str_eq(wh_strbuf_str(&sb), "shop::Widget::sell");
	wh_strbuf_clear(&sb);
	f.symbol = "do_fork.isra.0";
	wh_frame_name(&sb, &f);
	ck_assert_str_eq(wh_strbuf_str(&sb), "do_fork");
	wh_strbuf_fini(&sb);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("demangle");
	TCase *t = tcase_create("names");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, types, 0, (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_loop_test(t, functions, 0, (int)(sizeof(symbols) / sizeof(symbols[0])));
	tcase_add_test(t, classes);
	tcase_add_test(t, output_is_bounded);
	tcase_add_test(t, frames);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
