/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The symbol table: order, sizes, ranges, aliases, homonyms; against a search that is too simple to err. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dwarf/sym.h"
#include "tests/gen/expect.h"
#include "tests/gen/gen.h"

#define IMG WH_SYM_NO_MODULE

static void add(struct wh_symtab *t, uint64_t addr, uint64_t size, char type, const char *name,
		uint16_t mod)
{
	ck_assert(!wh_symtab_add(t, addr, size, type, name, mod));
}

/* "name+off", "module:name+off", or "-". */
static const char *at(const struct wh_symtab *t, uint64_t addr)
{
	static char buf[128];
	struct wh_sym s;
	uint64_t off = 0;

	if (!wh_symtab_find_addr(t, addr, &s, &off))
		return "-";
	snprintf(buf, sizeof(buf), "%s%s%s+%llu", s.module ? s.module : "", s.module ? ":" : "",
		 s.name, (unsigned long long)off);
	return buf;
}

START_TEST(answers)
{
	struct wh_symtab *t;
	uint16_t ext4, gone;
	struct wh_sym s;

	ck_assert(!wh_symtab_create(&t));
	ck_assert(!wh_symtab_add_range(t, IMG, 0x1000, 0x3000));
	ck_assert(!wh_symtab_add_module(t, "ext4", &ext4));
	ck_assert(!wh_symtab_add_range(t, ext4, 0x8000, 0x9000));
	ck_assert(!wh_symtab_add_range(t, ext4, 0xa000, 0xb000));
	ck_assert(!wh_symtab_add_module(t, "gone", &gone));
	ck_assert(!wh_symtab_add_range(t, gone, 0x9000, 0x9100));
	add(t, 0x2000, 0, 'T', "second", IMG);
	add(t, 0x1000, 0, 'T', "first", IMG);
	add(t, 0x2000, 0, 't', "alias", IMG);
	add(t, 0x40, 0, 'A', "percpu", IMG); /* outside: by name only */
	add(t, 0x8010, 0x20, 't', "init", ext4);
	add(t, 0x8100, 0x100, 'T', "outer", ext4);
	add(t, 0x8140, 0x10, 't', "inner", ext4);
	add(t, 0xa000, 0, 'd', "data", ext4);
	add(t, 0x7000, 0x10, 't', "freed_init", ext4);
	add(t, 0x9000, 8, 't', "init", gone);
	add(t, 0x1000, 0, 'W', "weak", IMG);
	ck_assert(!wh_symtab_freeze(t));

	ck_assert_str_eq(at(t, 0x1000), "first+0");
	ck_assert_str_eq(at(t, 0x1fff), "first+4095");
	ck_assert_str_eq(at(t, 0x2000), "second+0");
	ck_assert_str_eq(at(t, 0x2fff), "second+4095");
	ck_assert_str_eq(at(t, 0x3000), "-"); /* the image ends */
	ck_assert_str_eq(at(t, 0x40), "-");
	ck_assert_str_eq(at(t, 0x7008), "-"); /* freed: not its neighbour either */
	ck_assert_str_eq(at(t, 0x8000), "-");
	ck_assert_str_eq(at(t, 0x8020), "ext4:init+16");
	ck_assert_str_eq(at(t, 0x8030), "-"); /* behind its size */
	ck_assert_str_eq(at(t, 0x8148), "ext4:inner+8");
	ck_assert_str_eq(at(t, 0x8160), "ext4:outer+96"); /* around the inner one */
	ck_assert_str_eq(at(t, 0x8200), "-");
	ck_assert_str_eq(at(t, 0xa800), "ext4:data+2048");
	ck_assert_str_eq(at(t, 0x9004), "gone:init+4");
	ck_assert_str_eq(at(t, 0x9010), "-");
	ck_assert_str_eq(at(t, UINT64_MAX), "-");

	ck_assert(wh_symtab_find_name(t, NULL, "percpu", 0, &s) && s.addr == 0x40);
	ck_assert(wh_symtab_find_name(t, NULL, "init", 0, &s) && s.addr == 0x8010);
	ck_assert(wh_symtab_find_name(t, NULL, "init", 1, &s) && s.addr == 0x9000);
	ck_assert(!wh_symtab_find_name(t, NULL, "init", 2, &s));
	ck_assert(wh_symtab_find_name(t, "gone", "init", 0, &s) && s.addr == 0x9000);
	ck_assert(!wh_symtab_find_name(t, "nosuch", "init", 0, &s));
	ck_assert_str_eq(wh_symtab_find_module(t, 0xa123), "ext4");
	ck_assert(!wh_symtab_find_module(t, 0x1000));
	ck_assert(!wh_symtab_find_module(t, 0x9100));
	ck_assert_uint_eq(wh_symtab_count(t), 11);
	wh_symtab_destroy(t);
}
END_TEST

START_TEST(picks_before_freeze)
{
	static const char *const names[] = {"modules", "_end", "nosuch"};
	uint64_t v[3] = {1, 2, 3};
	struct wh_symtab *t;

	ck_assert(!wh_symtab_create(&t));
	add(t, 0x500, 0, 'D', "modules", IMG);
	add(t, 0x700, 0, 'd', "modules", IMG);
	add(t, 0x900, 0, 'B', "_end", IMG);
	ck_assert_uint_eq(wh_symtab_pick(t, names, 3, v), 2);
	ck_assert_uint_eq(v[0], 0x500);
	ck_assert_uint_eq(v[1], 0x900);
	ck_assert_uint_eq(v[2], 3);
	wh_symtab_destroy(t);
}
END_TEST

/* Many symbols in random order: every address answers as a linear search would. */
START_TEST(agrees_with_linear_search)
{
	enum { N = 2000 };
	static uint64_t addr[N], size[N];
	struct wh_symtab *t;
	uint64_t seed = 42;
	char name[32];

	ck_assert(!wh_symtab_create(&t));
	for (int i = 0; i < N; i++) {
		/* Distinct starts, gaps, sizes that end before the next. */
		addr[i] = 0x10000 + (uint64_t)((i * 7919) % N) * 64;
		size[i] = 1 + gen_rand(&seed) % 60;
		snprintf(name, sizeof(name), "s%d", i);
		add(t, addr[i], size[i], 'T', name, IMG);
	}
	ck_assert(!wh_symtab_freeze(t));
	for (int q = 0; q < 20000; q++) {
		uint64_t a = 0x10000 + gen_rand(&seed) % (N * 64), off = 0;
		struct wh_sym s;
		int want = -1;

		for (int i = 0; i < N; i++)
			if (a - addr[i] < size[i])
				want = i;
		if (!wh_symtab_find_addr(t, a, &s, &off)) {
			ck_assert_int_eq(want, -1);
			continue;
		}
		ck_assert_int_eq(atoi(s.name + 1), want);
		ck_assert_uint_eq(off, a - addr[want]);
		ck_assert_uint_eq(s.size, size[want]);
	}
	wh_symtab_destroy(t);
}
END_TEST

/* Thousands of aliases must cost no more than one. */
START_TEST(aliases)
{
	struct wh_symtab *t;
	char name[32];
	struct wh_sym s;

	ck_assert(!wh_symtab_create(&t));
	for (int i = 0; i < 50000; i++) {
		snprintf(name, sizeof(name), "alias%d", i);
		add(t, 0x1000, 0, 't', name, IMG);
	}
	add(t, 0x2000, 0, 't', "end", IMG);
	ck_assert(!wh_symtab_freeze(t));
	for (int i = 0; i < 100000; i++)
		ck_assert(wh_symtab_find_addr(t, 0x1000 + (uint64_t)i % 0x1000, &s, NULL));
	ck_assert_str_eq(s.name, "alias0");
	ck_assert_uint_eq(s.size, 0x1000);
	wh_symtab_destroy(t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sym");
	TCase *c = tcase_create("sym");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(c, answers);
	tcase_add_test(c, picks_before_freeze);
	tcase_add_test(c, agrees_with_linear_search);
	tcase_add_test(c, aliases);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
