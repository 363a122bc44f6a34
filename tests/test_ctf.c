/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CTF by the byte: version 2, parent and child, bit-fields, large structs; and what lies. */
#include <stdlib.h>
#include <string.h>

#include "dwarf/type_ctf.h"
#include "tests/gen/expect.h"
#include "tests/gen/gen.h"

/* A container being written. */
struct box {
	struct wh_abi abi;
	struct gen_bytes types, strings;
};

static uint32_t text(struct box *b, const char *s)
{
	size_t at = b->strings.n;

	gen_append(&b->strings, s, strlen(s) + 1);
	return (uint32_t)at;
}

static void u16(struct box *b, unsigned int v)
{
	gen_put_uint(&b->types, b->abi, b->types.n, 2, v);
}

static void u32(struct box *b, uint32_t v)
{
	gen_put_uint(&b->types, b->abi, b->types.n, 4, v);
}

static void record(struct box *b, const char *name, unsigned int kind, unsigned int vlen,
		   unsigned int size_or_type)
{
	u32(b, *name ? text(b, name) : 0);
	u16(b, kind << 11 | 1u << 10 | vlen);
	u16(b, size_or_type);
}

static void member(struct box *b, const char *name, unsigned int type, unsigned int bits)
{
	u32(b, text(b, name));
	u16(b, type);
	u16(b, bits);
}

static void box_open(struct box *b, struct wh_abi abi)
{
	memset(b, 0, sizeof(*b));
	b->abi = abi;
	text(b, "");
}

static struct gen_bytes box_close(struct box *b, const char *parent)
{
	struct gen_bytes out = {0};
	uint32_t name = parent ? text(b, parent) : 0;

	gen_put_uint(&out, b->abi, 0, 2, 0xcff1);
	gen_put_uint(&out, b->abi, 2, 1, 2);
	gen_put_uint(&out, b->abi, 8, 4, name);
	gen_put_uint(&out, b->abi, 24, 4, 0);
	gen_put_uint(&out, b->abi, 28, 4, b->types.n);
	gen_put_uint(&out, b->abi, 32, 4, b->strings.n);
	gen_append(&out, b->types.p, b->types.n);
	gen_append(&out, b->strings.p, b->strings.n);
	gen_fini(&b->types);
	gen_fini(&b->strings);
	return out;
}

/* 1 int, 2 struct node, 3 node *, 4 node_t, 5 bits of int, 6 struct with a bit-field, 7 enum */
static struct gen_bytes make_parent(struct wh_abi abi)
{
	struct box b;

	box_open(&b, abi);
	record(&b, "int", 1, 0, 4);
	u32(&b, 1u << 24 | 32);
	record(&b, "node", 6, 2, abi.word == 8 ? 16 : 8);
	member(&b, "value", 1, 0);
	member(&b, "next", 3, abi.word * 8u);
	record(&b, "", 3, 0, 2);
	record(&b, "node_t", 10, 0, 2);
	record(&b, "unsigned", 1, 0, 4);
	u32(&b, 3);
	record(&b, "flags", 6, 1, 4);
	member(&b, "mode", 5, 5);
	record(&b, "color", 8, 2, 4);
	u32(&b, text(&b, "RED"));
	u32(&b, 7);
	u32(&b, text(&b, "BLUE"));
	u32(&b, (uint32_t)-1);
	return box_close(&b, NULL);
}

static const struct wh_abi abis[] = {{false, 8}, {true, 8}, {false, 4}, {true, 4}};

START_TEST(test_types)
{
	struct wh_abi abi = abis[_i];
	struct gen_bytes parent = make_parent(abi), child;
	struct wh_ctx *ctx;
	struct wh_ctf *ctf;
	struct wh_types *t;
	struct wh_type ty;
	struct wh_member m;
	struct box b;
	uint64_t v;
	int64_t n;

	box_open(&b, abi);
	record(&b, "holder", 6, 1, abi.word);
	member(&b, "first", 3, 0); /* a type of the parent */
	child = box_close(&b, "genunix");
	ck_assert(!wh_ctx_create(1, &ctx));
	ck_assert(!wh_ctf_create(ctx, abi, &ctf));
	ck_assert(!wh_ctf_add(ctf, "pts", child.p, child.n));
	ck_assert(!wh_ctf_add(ctf, "genunix", parent.p, parent.n));
	ck_assert(!wh_ctf_freeze(ctf));
	ck_assert(!wh_types_create(&t));
	ck_assert(!wh_types_add(t, &wh_ctf_provider, ctf, "ctf"));

	ck_assert(wh_types_sizeof(t, "node_t", &v));
	ck_assert_uint_eq(v, abi.word * 2u);
	ck_assert(wh_types_offset(t, "struct node", "next", &v));
	ck_assert_uint_eq(v, abi.word);
	ck_assert(wh_types_find(t, "holder", "first", &ty));
	ck_assert(wh_type_find_member(ty, "first", &m));
	ck_assert_uint_eq(m.size, abi.word);
	ck_assert(wh_types_find(t, "flags", NULL, &ty));
	ck_assert(wh_type_find_member(ty, "mode", &m));
	ck_assert_uint_eq(m.bit_size, 3);
	ck_assert_uint_eq(m.bit_off, 5);
	ck_assert(wh_types_enumerator(t, "color", "BLUE", &n));
	ck_assert_int_eq(n, -1);
	ck_assert(!wh_types_sizeof(t, "nothing", &v));
	wh_types_destroy(t);
	wh_ctx_destroy(ctx);
	gen_fini(&parent);
	gen_fini(&child);
}
END_TEST

/* Every cut of a container is refused or gives the types before the cut. */
START_TEST(test_cuts)
{
	struct gen_bytes parent = make_parent(abis[0]);
	struct wh_ctx *ctx;

	ck_assert(!wh_ctx_create(1, &ctx));
	for (size_t n = 0; n < parent.n; n++) {
		struct wh_ctf *ctf;
		struct wh_err *e;

		ck_assert(!wh_ctf_create(ctx, abis[0], &ctf));
		e = wh_ctf_add(ctf, "genunix", parent.p, n);
		ck_assert_msg(e, "a container cut at %zu of %zu was taken", n, parent.n);
		wh_err_destroy(e);
		wh_ctf_destroy(ctf);
	}
	wh_ctx_destroy(ctx);
	gen_fini(&parent);
}
END_TEST

START_TEST(test_versions)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum wh_err_code code;
	} cases[] = {{0, 0xf2, WH_ERR_BAD_DATA}, /* binutils' magic */
		     {2, 3, WH_ERR_UNSUPPORTED}, /* FreeBSD's version */
		     {2, 0, WH_ERR_UNSUPPORTED},
		     {3, 1, WH_ERR_BAD_DATA}, /* compressed, it says */
		     {27, 0xff, WH_ERR_BAD_DATA}};
	struct gen_bytes parent = make_parent(abis[0]);
	struct wh_ctx *ctx;

	ck_assert(!wh_ctx_create(1, &ctx));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint8_t keep = parent.p[cases[i].at];
		struct wh_ctf *ctf;
		struct wh_err *e;

		ck_assert(!wh_ctf_create(ctx, abis[0], &ctf));
		parent.p[cases[i].at] = cases[i].value;
		e = wh_ctf_add(ctf, "genunix", parent.p, parent.n);
		parent.p[cases[i].at] = keep;
		ck_assert_msg(wh_err_is(e, cases[i].code), "case %zu", i);
		wh_err_destroy(e);
		wh_ctf_destroy(ctf);
	}
	wh_ctx_destroy(ctx);
	gen_fini(&parent);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ctf");
	TCase *tc = tcase_create("reader");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(tc, test_types, 0, 4);
	tcase_add_test(tc, test_cuts);
	tcase_add_test(tc, test_versions);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
