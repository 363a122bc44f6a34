/* SPDX-License-Identifier: GPL-2.0-or-later */
/* BTF, whole and split, in both byte orders; and BTF that lies. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/limits.h"
#include "dwarf/btf.h"
#include "dwarf/layout.h"
#include "tests/gen/expect.h"
#include "tests/gen/gen_btf.h"

static const struct wh_abi abis[] = {{false, 8}, {true, 8}};

struct ids {
	uint32_t u32, ulong, chr, page, counters, list;
};

/* A small kernel: ints, list_head, struct slab with anonymous union and bit-fields, enums, homonyms. */
static struct ids make_kernel(struct gen_btf *b)
{
	struct ids i;
	uint32_t ptr, cptr, name, u;

	i.u32 = gen_btf_int(b, "unsigned int", 4, 0, 0, 32);
	i.ulong = gen_btf_int(b, "long unsigned int", 8, 0, 0, 64);
	i.chr = gen_btf_int(b, "char", 1, 1, 0, 8);
	ptr = gen_btf_ref(b, GEN_BTF_PTR, NULL, b->next_id + 1);
	i.list = gen_btf_compound(
		b, GEN_BTF_STRUCT, "list_head", 16,
		(struct gen_btf_member[]){{"next", ptr, 0, 0}, {"prev", ptr, 64, 0}}, 2);
	i.counters = gen_btf_compound(b, GEN_BTF_STRUCT, NULL, 4,
				      (struct gen_btf_member[]){{"inuse", i.u32, 0, 16},
								{"objects", i.u32, 16, 15},
								{"frozen", i.u32, 31, 1}},
				      3);
	u = gen_btf_compound(
		b, GEN_BTF_UNION, NULL, 16,
		(struct gen_btf_member[]){{"slab_list", i.list, 0, 0}, {NULL, i.counters, 0, 0}},
		2);
	gen_btf_compound(b, GEN_BTF_STRUCT, "slab", 32,
			 (struct gen_btf_member[]){{"flags", i.ulong, 0, 0},
						   {NULL, u, 64, 0},
						   {"freelist", ptr, 192, 0}},
			 3);
	name = gen_btf_array(b, i.chr, i.u32, 16);
	cptr = gen_btf_ref(b, GEN_BTF_CONST, NULL, name);
	/* Two structs of one name, and a typedef before them in id order. */
	gen_btf_ref(b, GEN_BTF_TYPEDEF, "page", i.u32);
	gen_btf_compound(b, GEN_BTF_STRUCT, "page", 8,
			 (struct gen_btf_member[]){{"other", i.ulong, 0, 0}}, 1);
	i.page = gen_btf_compound(
		b, GEN_BTF_STRUCT, "page", 24,
		(struct gen_btf_member[]){{"flags", i.ulong, 0, 0}, {"name", cptr, 64, 0}}, 2);
	gen_btf_enum(b, GEN_BTF_ENUM, "pageflags", 4, false,
		     (struct gen_btf_value[]){{"PG_locked", 0}, {"PG_slab", 9}}, 2);
	gen_btf_enum(b, GEN_BTF_ENUM, NULL, 4, true,
		     (struct gen_btf_value[]){{"NEGATIVE", -5}, {"ANON_VALUE", 77}}, 2);
	gen_btf_enum(b, GEN_BTF_ENUM64, "wide", 8, false,
		     (struct gen_btf_value[]){{"WIDE", 0x123456789abcll}}, 1);
	gen_btf_ref(b, GEN_BTF_TYPEDEF, "slab_t", 8);
	gen_btf_ref(b, GEN_BTF_FWD, "unknown_struct", 0);
	gen_btf_ref(b, GEN_BTF_FLOAT, "double", 8);
	gen_btf_raw(b, NULL, GEN_BTF_FUNC_PROTO << 24 | 2, i.u32, (uint32_t[]){0, i.u32, 0, ptr},
		    4);
	gen_btf_raw(b, "var", GEN_BTF_VAR << 24, i.u32, (uint32_t[]){1}, 1);
	gen_btf_raw(b, ".data", GEN_BTF_DATASEC << 24 | 1, 4, (uint32_t[]){1, 0, 4}, 3);
	gen_btf_raw(b, "tag", GEN_BTF_DECL_TAG << 24, i.page, (uint32_t[]){0}, 1);
	return i;
}

static struct wh_btf *parse(const struct gen_btf *g, const struct wh_btf *base)
{
	struct gen_bytes out = {0};
	struct wh_btf *b = NULL;
	uint8_t *copy;
	size_t n;

	gen_btf_write(g, &out);
	n = out.n;
	copy = malloc(n); /* exact size: a sanitizer sees every byte too far */
	ck_assert(copy);
	memcpy(copy, out.p, n);
	gen_fini(&out);
	ck_assert(!wh_btf_create(copy, n, base, g->next_id, g->start_str, &b));
	return b;
}

static struct wh_types *chain(struct wh_btf *b)
{
	struct wh_types *t = NULL;

	ck_assert(!wh_types_create(&t));
	ck_assert(!wh_types_add(t, &wh_btf_ops, b, "btf:test"));
	return t;
}

static struct wh_member member(const struct wh_types *t, const char *type, const char *path)
{
	struct wh_member m;
	struct wh_type ty;

	ck_assert_msg(wh_types_find(t, type, path, &ty), "%s.%s", type, path);
	ck_assert(wh_type_find_member(ty, path, &m));
	return m;
}

START_TEST(reads_layouts)
{
	struct gen_btf g;
	struct wh_types *t;
	struct wh_member m;
	struct wh_btf *b;
	struct wh_type ty;
	struct wh_type_info info;
	uint64_t v = 0;
	int64_t e = 0;

	gen_btf_init(&g, abis[_i], NULL);
	make_kernel(&g);
	b = parse(&g, NULL);
	ck_assert(!wh_btf_damaged(b));
	ck_assert_uint_eq(wh_btf_count(b), g.next_id - 1);
	t = chain(b);

	m = member(t, "slab", "freelist");
	ck_assert_uint_eq(m.offset, 24);
	ck_assert_uint_eq(m.size, 8);
	m = member(t, "struct slab", "slab_list.prev"); /* through the anonymous union */
	ck_assert_uint_eq(m.offset, 16);
	m = member(t, "slab_t", "objects"); /* typedef, anonymous struct, bit-field */
	ck_assert_uint_eq(m.offset * 8 + m.bit_off, 64 + 16);
	ck_assert_uint_eq(m.bit_size, 15);
	m = member(t, "slab", "frozen");
	ck_assert_uint_eq(m.offset, 11);
	ck_assert_uint_eq(m.bit_off, 7);
	/* The homonym that has the member. */
	m = member(t, "page", "name");
	ck_assert_uint_eq(m.offset, 8);
	ck_assert_uint_eq(m.size, 16);
	ck_assert(!wh_type_get_info(wh_type_strip(m.type), &info));
	ck_assert_int_eq((int)info.kind, WH_TYPE_ARRAY);
	ck_assert_uint_eq(info.count, 16);
	ck_assert(!wh_type_get_info(info.elem, &info));
	ck_assert(info.is_char && info.is_signed);
	ck_assert(!wh_types_find(t, "page", "nosuch", &ty));
	ck_assert(!wh_types_find(t, "unknown_struct", NULL, &ty));

	ck_assert(wh_types_sizeof(t, "list_head", &v) && v == 16);
	ck_assert(wh_types_sizeof(t, "double", &v) && v == 8);
	ck_assert(wh_types_enumerator(t, "pageflags", "PG_slab", &e) && e == 9);
	ck_assert(wh_types_enumerator(t, NULL, "ANON_VALUE", &e) && e == 77);
	ck_assert(wh_types_enumerator(t, NULL, "NEGATIVE", &e) && e == -5);
	ck_assert(wh_types_enumerator(t, "wide", "WIDE", &e) && e == 0x123456789abcll);
	ck_assert(!wh_types_enumerator(t, NULL, "PG_nosuch", &e));
	ck_assert_str_eq(wh_types_source(t, "slab"), "btf:test");
	wh_types_destroy(t);
	gen_btf_fini(&g);
}
END_TEST

START_TEST(split_continues_base)
{
	struct gen_btf g, s;
	struct wh_btf *base, *b = NULL;
	struct gen_bytes out = {0};
	struct wh_types *t;
	struct wh_member m;
	struct ids i;
	uint8_t *copy;

	gen_btf_init(&g, abis[_i], NULL);
	i = make_kernel(&g);
	base = parse(&g, NULL);
	ck_assert_uint_eq(wh_btf_end_id(base), g.next_id);
	ck_assert_uint_eq(wh_btf_end_str(base), g.strs.n);
	gen_btf_init(&s, abis[_i], &g);
	gen_btf_compound(&s, GEN_BTF_STRUCT, "mod_node", 24,
			 (struct gen_btf_member[]){{"id", i.ulong, 0, 0}, {"link", i.list, 64, 0}},
			 2);
	gen_btf_write(&s, &out);
	copy = malloc(out.n);
	ck_assert(copy);
	memcpy(copy, out.p, out.n);
	ck_assert(!wh_btf_create(copy, out.n, base, g.next_id, (uint32_t)g.strs.n, &b));
	ck_assert(!wh_btf_damaged(b));
	t = chain(b);
	m = member(t, "mod_node", "link.prev"); /* names of both blobs, types of both */
	ck_assert_uint_eq(m.offset, 16);
	wh_types_destroy(t);
	wh_btf_destroy(base);
	gen_fini(&out);
	gen_btf_fini(&s);
	gen_btf_fini(&g);
}
END_TEST

/* Asks everything of every type: nothing may crash or run on. */
static void ask_everything(struct wh_types *t, const struct wh_btf *b)
{
	const struct wh_type_provider *p = wh_types_provider(t, b);

	for (uint32_t id = 0; id < wh_btf_end_id(b) + 3; id++) {
		struct wh_type ty = {.provider = p, .id = id};
		struct wh_type_info info;
		struct wh_member m;
		const char *name;
		int64_t v;
		struct wh_err *e = wh_type_get_info(ty, &info);

		wh_err_destroy(e);
		(void)wh_type_strip(ty);
		(void)wh_type_find_member(ty, "a.b.c", &m);
		(void)wh_type_find_member(ty, "next.next.next", &m);
		for (size_t i = 0; i < 4; i++) {
			(void)wh_type_get_member(ty, i, &m);
			(void)wh_type_get_enum_value(ty, i, &name, &v);
		}
	}
	(void)wh_types_enumerator(t, NULL, "nosuch", &(int64_t){0});
}

START_TEST(circles_end)
{
	struct gen_btf g;
	struct wh_types *t;
	struct wh_member m;
	struct wh_type ty;
	struct wh_btf *b;
	uint64_t v;

	gen_btf_init(&g, abis[0], NULL);
	gen_btf_ref(&g, GEN_BTF_TYPEDEF, "me", 1); /* 1: itself */
	gen_btf_ref(&g, GEN_BTF_CONST, NULL, 3);   /* 2, 3: each other */
	gen_btf_ref(&g, GEN_BTF_VOLATILE, NULL, 2);
	gen_btf_array(&g, 4, 4, 0xffffffff); /* 4: of itself */
	gen_btf_compound(&g, GEN_BTF_STRUCT, "loop", 8,
			 (struct gen_btf_member[]){{NULL, 5, 0, 0}, {NULL, 5, 0, 0}}, 2); /* 5 */
	gen_btf_array(&g, 7, 1, 0xffffffff); /* 6: 2^32 * 2^32 * … */
	gen_btf_array(&g, 8, 1, 0xffffffff);
	gen_btf_array(&g, 9, 1, 0xffffffff);
	gen_btf_int(&g, "byte", 1, 0, 0, 8);
	gen_btf_ref(&g, GEN_BTF_TYPEDEF, "huge", 6);
	gen_btf_ref(&g, GEN_BTF_TYPEDEF, "beyond", 4000);
	b = parse(&g, NULL);
	t = chain(b);
	ck_assert(!wh_types_sizeof(t, "me", &v));
	ck_assert(!wh_types_sizeof(t, "huge", &v));
	ck_assert(!wh_types_sizeof(t, "beyond", &v));
	ck_assert(wh_types_find(t, "loop", NULL, &ty));
	ck_assert(!wh_type_find_member(ty, "nosuch", &m));
	ask_everything(t, b);
	wh_types_destroy(t);
	gen_btf_fini(&g);
}
END_TEST

/* Damage keeps the types before it. */
START_TEST(damage_keeps_the_front)
{
	struct gen_btf g;
	struct wh_types *t;
	struct wh_btf *b;
	uint64_t v;

	gen_btf_init(&g, abis[0], NULL);
	make_kernel(&g);
	switch (_i) {
	case 0: gen_btf_raw(&g, "bad", 31u << 24, 0, NULL, 0); break;	      /* no such kind */
	case 1: gen_btf_raw(&g, "bad", 4u << 24 | 0xffff, 0, NULL, 0); break; /* vlen too long */
	default: gen_append(&g.types, "xyz", 3);			      /* half a record */
	}
	gen_btf_int(&g, "behind", 4, 0, 0, 32);
	b = parse(&g, NULL);
	ck_assert(wh_btf_damaged(b));
	t = chain(b);
	ck_assert(wh_types_sizeof(t, "slab", &v) && v == 32);
	ask_everything(t, b);
	wh_types_destroy(t);
	gen_btf_fini(&g);
}
END_TEST

/* Types behind damage are found again, under their own ids. */
START_TEST(damage_in_the_middle)
{
	enum { N = 300, HIT = 100 };
	uint32_t word = 0, kind, prev, hit;
	struct gen_bytes out = {0};
	struct wh_btf *b = NULL;
	struct wh_types *t;
	struct gen_btf g;
	char name[32];
	uint64_t v = 0;
	uint8_t *copy;
	size_t at = 0;

	gen_btf_init(&g, abis[_i & 1], NULL);
	make_kernel(&g);
	prev = gen_btf_int(&g, "first", 1, 0, 0, 8);
	for (uint32_t i = 0; i < N; i++) {
		uint32_t size = 1u << i % 4, before = i ? 1u << (i - 1) % 4 : 1;
		uint32_t id;

		if (i == HIT)
			at = g.types.n + 4; /* info of this integer */
		snprintf(name, sizeof(name), "int_%u", i);
		id = gen_btf_int(&g, name, size, 0, 0, 8 * size);
		snprintf(name, sizeof(name), "struct_%u", i);
		gen_btf_compound(&g, GEN_BTF_STRUCT, name, before + size + 4,
				 (struct gen_btf_member[]){{"before", prev, 0, 0},
							   {"own", id, 8 * before, 0},
							   {"tail", 1, 8 * (before + size), 0}},
				 3);
		prev = id;
	}
	gen_btf_write(&g, &out);
	kind = _i < 2 ? 31u << 24 /* nothing */ : 4u << 24 | 40 /* a struct that swallows others */;
	gen_put_uint(&out, g.abi, 24 + at, 4, kind);
	copy = malloc(out.n);
	ck_assert(copy);
	memcpy(copy, out.p, out.n);
	ck_assert(!wh_btf_create(copy, out.n, NULL, 0, 0, &b));
	ck_assert(wh_btf_damaged(b));
	ck_assert_uint_eq(wh_btf_count(b), g.next_id - 1);
	t = chain(b);
	hit = HIT + 60;
	for (uint32_t i = 0; i < N; i++) {
		if (i >= HIT && i < hit)
			continue;
		snprintf(name, sizeof(name), "struct_%u", i);
		word = (i ? 1u << (i - 1) % 4 : 1) + (1u << i % 4) + 4;
		ck_assert_msg(wh_types_sizeof(t, name, &v), "%s", name);
		ck_assert_uint_eq(v, word);
		ck_assert_uint_eq(member(t, name, "own").size, 1u << i % 4);
	}
	ask_everything(t, b);
	wh_types_destroy(t);
	gen_fini(&out);
	gen_btf_fini(&g);
}
END_TEST

/* Cut anywhere: an error or fewer types, never a read behind the end. */
START_TEST(cut_anywhere)
{
	struct gen_bytes out = {0};
	struct gen_btf g;

	gen_btf_init(&g, abis[0], NULL);
	make_kernel(&g);
	gen_btf_write(&g, &out);
	for (size_t n = 0; n < out.n; n++) {
		uint8_t *copy = malloc(n ? n : 1);
		struct wh_btf *b = NULL;
		struct wh_err *e;

		ck_assert(copy);
		memcpy(copy, out.p, n);
		e = wh_btf_create(copy, n, NULL, 0, 0, &b);
		if (!e) {
			struct wh_types *t = chain(b);

			ck_assert(wh_btf_damaged(b));
			ask_everything(t, b);
			wh_types_destroy(t);
		}
		wh_err_destroy(e);
	}
	gen_fini(&out);
	gen_btf_fini(&g);
}
END_TEST

START_TEST(refuses_other_blobs)
{
	static const uint8_t heads[][24] = {
		{0x9f, 0xeb, 2, 0, 24},					 /* version */
		{0x9f, 0xeb, 1, 0, 12},					 /* short header */
		{0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f}, /* types far away */
		{0x7f, 'E', 'L', 'F'},
	};

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		uint8_t *copy = malloc(24);
		struct wh_btf *b = NULL;
		struct wh_err *e;

		ck_assert(copy);
		memcpy(copy, heads[i], 24);
		e = wh_btf_create(copy, 24, NULL, 0, 0, &b);
		ck_assert_msg(wh_err_is(e, WH_ERR_BAD_DATA), "head %zu", i);
		wh_err_destroy(e);
	}
}
END_TEST

struct host {
	struct wh_field flags, list, gone;
};

START_TEST(layout_says_what_is_missing)
{
	static const struct wh_want good[] = {
		WH_WANT(struct host, flags, "nosuch|slab", "gone|flags"),
		WH_WANT(struct host, list, "slab", "slab_list"),
		WH_WANT_OPT(struct host, gone, "slab", "gone"),
	};
	static const struct wh_want bad[] = {
		WH_WANT(struct host, flags, "slab", "flags"),
		WH_WANT(struct host, gone, "slab", "gone"),
	};
	struct host h = {.flags = {.offset = 99}};
	struct wh_types *t;
	struct gen_btf g;
	struct wh_err *e;

	gen_btf_init(&g, abis[0], NULL);
	make_kernel(&g);
	t = chain(parse(&g, NULL));
	e = wh_layout_resolve(t, bad, 2, &h);
	ck_assert(wh_err_is(e, WH_ERR_NOT_FOUND));
	ck_assert(strstr(e->msg, "slab.gone"));
	ck_assert_uint_eq(h.flags.offset, 99);
	wh_err_destroy(e);
	ck_assert(!wh_layout_resolve(t, good, 3, &h));
	ck_assert(h.flags.found && h.flags.offset == 0 && h.flags.size == 8);
	ck_assert(h.list.found && h.list.offset == 8 && h.list.size == 16);
	ck_assert(!h.gone.found);
	wh_types_destroy(t);
	gen_btf_fini(&g);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("btf");
	TCase *c = tcase_create("btf");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(c, reads_layouts, 0, 2);
	tcase_add_loop_test(c, split_continues_base, 0, 2);
	tcase_add_test(c, circles_end);
	tcase_add_loop_test(c, damage_keeps_the_front, 0, 3);
	tcase_add_loop_test(c, damage_in_the_middle, 0, 4);
	tcase_add_test(c, cut_anywhere);
	tcase_add_test(c, refuses_other_blobs);
	tcase_add_test(c, layout_says_what_is_missing);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
