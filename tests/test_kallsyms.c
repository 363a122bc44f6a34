/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kallsyms tables of every encoding, length rule and order, decoded, found by shape, and damaged. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dwarf/kallsyms.h"
#include "tests/gen/expect.h"
#include "tests/gen/gen_kallsyms.h"

#define BASE	 0xffffffff9a000000ull
#define N_SYMS	 3000
#define LONG_LEN 300 /* tokens: needs the two-byte form */

struct variant {
	enum gen_kallsyms_encoding encoding;
	bool uleb, new_order, seqs;
	struct wh_abi abi;
	bool wide;
};

static const struct wh_abi le64 = {false, 8}, be64 = {true, 8}, le32 = {false, 4};

static const struct variant variants[] = {
	{GEN_KALLSYMS_ABSOLUTE, false, false, false, {false, 8}, false},
	{GEN_KALLSYMS_RELATIVE, false, false, false, {false, 8}, false},
	{GEN_KALLSYMS_PERCPU, false, false, false, {false, 8}, false},
	{GEN_KALLSYMS_RELATIVE, true, false, true, {false, 8}, false},
	{GEN_KALLSYMS_PERCPU, true, false, true, {false, 8}, false},
	{GEN_KALLSYMS_PERCPU, true, true, true, {false, 8}, false},
	{GEN_KALLSYMS_RELATIVE, true, true, true, {false, 8}, false},
	{GEN_KALLSYMS_PLACE, true, true, true, {false, 8}, false},
	{GEN_KALLSYMS_RELATIVE, true, true, true, {true, 8}, false},
	{GEN_KALLSYMS_ABSOLUTE, false, false, false, {true, 8}, false},
	{GEN_KALLSYMS_RELATIVE, true, false, false, {false, 4}, false},
	{GEN_KALLSYMS_PERCPU, false, false, false, {false, 8}, true}, /* 4.15, 4.18 */
	{GEN_KALLSYMS_ABSOLUTE, false, false, false, {true, 8}, true},
};
#define N_VARIANTS ((int)(sizeof(variants) / sizeof(variants[0])))

static char names[N_SYMS][LONG_LEN + 8];
static struct gen_ksym syms[N_SYMS];

static uint64_t base_of(struct wh_abi abi)
{
	return abi.word == 8 ? BASE : 0xc1000000u;
}

static void make_syms(const struct variant *v)
{
	static const char *const stems[] = {"kmem_cache_alloc", "free_pages", "init_task_text",
					    "sys_read", "__list_add"};
	uint64_t base = base_of(v->abi);
	bool percpu = v->encoding == GEN_KALLSYMS_PERCPU;

	for (uint32_t i = 0; i < N_SYMS; i++) {
		bool abs = percpu && i < 40;

		snprintf(names[i], sizeof(names[i]), "%s_%u", stems[i % 5], i);
		syms[i] = (struct gen_ksym){.addr = abs ? i * 64ull : base + i * 80ull,
					    .type = abs	    ? 'A'
						    : i % 3 ? 'T'
							    : 'd',
					    .name = names[i]};
	}
	snprintf(names[50], sizeof(names[50]), "_stext");
	if (v->uleb) {
		memset(names[777], 'x', LONG_LEN);
		names[777][LONG_LEN] = '\0';
	}
}

static struct gen_kallsyms make(const struct variant *v, struct gen_bytes *out)
{
	struct gen_kallsyms k = {.abi = v->abi,
				 .encoding = v->encoding,
				 .uleb = v->uleb,
				 .new_order = v->new_order,
				 .seqs = v->seqs,
				 .wide = v->wide,
				 .va = base_of(v->abi) + 0x100000,
				 .relative_base = base_of(v->abi),
				 .syms = syms,
				 .n = N_SYMS};
	uint64_t seed = 7;

	make_syms(v);
	k.va -= 4096;
	for (int i = 0; i < 4096 / 8; i++) { /* what lies before: not all of it zero */
		uint64_t w = i % 3 ? gen_rand(&seed) : base_of(v->abi) + gen_rand(&seed) % 0x10000;

		gen_append(out, &w, 8);
	}
	gen_kallsyms_write(&k, out);
	for (int i = 0; i < 4096 / 8; i++) {
		uint64_t w = gen_rand(&seed);

		gen_append(out, &w, 8);
	}
	return k;
}

static struct wh_kallsyms_raw raw_of(const struct gen_kallsyms *k, const struct gen_bytes *b)
{
	struct wh_kallsyms_raw r = {.abi = k->abi,
				    .num_syms = k->n,
				    .names = b->p + k->names,
				    .names_len = k->token_table - k->names,
				    .token_table = (const char *)b->p + k->token_table,
				    .token_table_len = b->n - k->token_table,
				    .token_index = b->p + k->token_index,
				    .token_index_len = b->n - k->token_index,
				    .stext = k->syms[50].addr};

	if (k->encoding == GEN_KALLSYMS_ABSOLUTE) {
		r.addresses = b->p + k->addresses;
		r.addresses_len = (size_t)k->n * k->abi.word;
	} else {
		r.offsets = b->p + k->offsets;
		r.offsets_len = 4 * (size_t)k->n;
		r.offsets_va = k->va + k->offsets;
		r.have_relative_base = k->encoding != GEN_KALLSYMS_PLACE;
		r.relative_base = k->relative_base;
	}
	return r;
}

static void check_all(struct wh_symtab *t, const struct wh_kallsyms_info *info,
		      const struct variant *v)
{
	struct wh_sym s;

	ck_assert_uint_eq(info->n, N_SYMS);
	ck_assert_int_eq((int)info->encoding, (int)v->encoding);
	ck_assert(info->anchored);
	ck_assert(info->have_data);
	ck_assert(!wh_symtab_freeze(t));
	for (uint32_t i = 0; i < N_SYMS; i++) {
		ck_assert_msg(wh_symtab_find_name(t, NULL, syms[i].name, 0, &s), "%s",
			      syms[i].name);
		ck_assert_uint_eq(s.addr, syms[i].addr);
		ck_assert_int_eq(s.type, syms[i].type);
	}
}

START_TEST(decodes)
{
	const struct variant *v = &variants[_i];
	struct gen_bytes b = {0};
	struct gen_kallsyms k = make(v, &b);
	struct wh_kallsyms_raw raw = raw_of(&k, &b);
	struct wh_kallsyms_info info;
	struct wh_symtab *t;

	ck_assert(!wh_symtab_create(&t));
	ck_assert(!wh_kallsyms_decode(&raw, t, &info));
	ck_assert_uint_eq(info.end_of_names, k.names_len);
	check_all(t, &info, v);
	wh_symtab_destroy(t);
	gen_fini(&b);
}
END_TEST

/* No VMCOREINFO: places by shape, the encoding by plausibility. */
START_TEST(finds_by_shape)
{
	const struct variant *v = &variants[_i];
	struct gen_bytes b = {0};
	struct gen_kallsyms k = make(v, &b);
	struct wh_kallsyms_place pl;
	struct wh_kallsyms_raw raw = raw_of(&k, &b);
	struct wh_kallsyms_info info;
	struct wh_symtab *t;

	ck_assert(!wh_kallsyms_search(v->abi, b.p, b.n, k.va, &pl));
	ck_assert_uint_eq(pl.num_syms, N_SYMS);
	ck_assert_uint_eq(pl.names, k.names);
	ck_assert_uint_eq(pl.token_table, k.token_table);
	ck_assert_uint_eq(pl.token_index, k.token_index);
	if (v->encoding == GEN_KALLSYMS_ABSOLUTE)
		ck_assert_uint_eq(pl.addresses, k.addresses);
	else
		ck_assert_uint_eq(pl.offsets, k.offsets);
	ck_assert(pl.have_relative_base == raw.have_relative_base);
	ck_assert_uint_eq(pl.relative_base, raw.have_relative_base ? raw.relative_base : 0);
	raw.stext = 0;
	raw.image_lo = base_of(v->abi);
	raw.image_hi = raw.image_lo + 0x200000;
	ck_assert(!wh_symtab_create(&t));
	ck_assert(!wh_kallsyms_decode(&raw, t, &info));
	info.anchored = true;
	check_all(t, &info, v);
	wh_symtab_destroy(t);
	gen_fini(&b);
}
END_TEST

/* Cut names keep what came before; the number says how many. */
START_TEST(cut_names)
{
	const struct variant *v = &variants[5];
	struct gen_bytes b = {0};
	struct gen_kallsyms k = make(v, &b);
	struct wh_kallsyms_raw raw = raw_of(&k, &b);
	struct wh_kallsyms_info info;
	struct wh_symtab *t;
	struct wh_sym s;

	raw.names_len = k.names_len / 2;
	ck_assert(!wh_symtab_create(&t));
	ck_assert(!wh_kallsyms_decode(&raw, t, &info));
	ck_assert(info.anchored);
	ck_assert_uint_gt(info.n, N_SYMS / 3);
	ck_assert_uint_lt(info.n, N_SYMS);
	ck_assert(!wh_symtab_freeze(t));
	ck_assert(wh_symtab_find_name(t, NULL, syms[info.n - 1].name, 0, &s));
	ck_assert(!wh_symtab_find_name(t, NULL, syms[info.n].name, 0, &s));
	wh_symtab_destroy(t);
	gen_fini(&b);
}
END_TEST

START_TEST(refuses_nonsense)
{
	struct gen_bytes b = {0};
	struct gen_kallsyms k = make(&variants[1], &b);
	struct wh_kallsyms_raw good = raw_of(&k, &b);
	struct wh_kallsyms_info info;
	struct wh_symtab *t;

	for (int i = 0; i < 6; i++) {
		struct wh_kallsyms_raw r = good;
		struct wh_err *e;

		switch (i) {
		case 0: r.num_syms = 0; break;
		case 1: r.num_syms = UINT32_MAX; break;
		case 2: r.token_table_len = 100; break;
		case 3: r.token_index_len = 511; break;
		case 4: r.names_len = 0; break;
		default:
			r.offsets = NULL; /* no table of addresses at all */
			r.offsets_len = 0;
		}
		ck_assert(!wh_symtab_create(&t));
		e = wh_kallsyms_decode(&r, t, &info);
		ck_assert_msg(wh_err_is(e, WH_ERR_BAD_DATA), "case %d", i);
		wh_err_destroy(e);
		wh_symtab_destroy(t);
	}
	gen_fini(&b);
}
END_TEST

START_TEST(finds_nothing_in_noise)
{
	struct wh_kallsyms_place pl;
	struct gen_bytes b = {0};
	uint64_t seed = 3;

	for (size_t i = 0; i < 1u << 16; i++) {
		uint64_t w = gen_rand(&seed);

		gen_append(&b, &w, 8);
	}
	ck_assert(wh_kallsyms_search(le64, b.p, b.n, BASE, &pl) == &wh_err_not_found);
	ck_assert(wh_kallsyms_search(be64, b.p, b.n, BASE, &pl) == &wh_err_not_found);
	ck_assert(wh_kallsyms_search(le32, b.p, b.n, 0xc0000000, &pl) == &wh_err_not_found);
	memset(b.p, 0, b.n);
	ck_assert(wh_kallsyms_search(le64, b.p, b.n, BASE, &pl) == &wh_err_not_found);
	gen_fini(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kallsyms");
	TCase *c = tcase_create("kallsyms");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(c, decodes, 0, N_VARIANTS);
	tcase_add_loop_test(c, finds_by_shape, 0, N_VARIANTS);
	tcase_add_test(c, cut_names);
	tcase_add_test(c, refuses_nonsense);
	tcase_add_test(c, finds_nothing_in_noise);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
