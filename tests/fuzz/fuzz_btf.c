/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as BTF, whole and as a split blob on itself: everything is asked of every type. */
#include <stdlib.h>
#include <string.h>

#include "dwarf/btf.h"
#include "tests/fuzz/fuzz.h"
#include "tests/gen/gen_btf.h"

#define ASK_MAX 2000 /* types */

static void ask(struct wh_types *t, const struct wh_btf *b)
{
	const struct wh_type_provider *p = wh_types_provider(t, b);
	uint32_t end = wh_btf_end_id(b);
	int64_t v;

	for (uint32_t id = 0; id < end + 2 && id < ASK_MAX; id++) {
		struct wh_type ty = {.provider = p, .id = id};
		struct wh_type_info info;
		struct wh_member m;
		const char *name;

		wh_err_destroy(wh_type_get_info(ty, &info));
		(void)wh_type_strip(ty);
		(void)wh_type_find_member(ty, "next.prev", &m);
		for (size_t i = 0; i < 3; i++) {
			(void)wh_type_get_member(ty, i, &m);
			(void)wh_type_get_enum_value(ty, i, &name, &v);
		}
	}
	(void)wh_types_enumerator(t, NULL, "nosuch", &v);
}

static uint8_t *copy_of(const uint8_t *data, size_t size)
{
	uint8_t *p = malloc(size ? size : 1);

	if (!p)
		abort();
	if (size)
		memcpy(p, data, size);
	return p;
}

static void use(struct wh_btf *b)
{
	struct wh_types *t = NULL;

	if (wh_types_create(&t) || wh_types_add(t, &wh_btf_ops, b, "fuzz"))
		abort();
	ask(t, b);
	wh_types_destroy(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wh_btf *base = NULL, *split = NULL;
	struct wh_err *e;

	(void)wh_btf_probe(data, size);
	e = wh_btf_create(copy_of(data, size), size, NULL, 0, 0, &base);
	wh_err_destroy(e);
	if (e)
		return 0;
	e = wh_btf_create(copy_of(data, size), size, base, wh_btf_end_id(base),
			  wh_btf_end_str(base), &split);
	wh_err_destroy(e);
	if (!e)
		use(split);
	use(base);
	return 0;
}

bool wh_fuzz_seed(size_t i, struct gen_bytes *out)
{
	struct gen_btf b;
	uint32_t u, p, l;

	if (i >= 2)
		return false;
	gen_btf_init(&b, (struct wh_abi){.big_endian = i == 1, .word = 8}, NULL);
	u = gen_btf_int(&b, "unsigned int", 4, 0, 0, 32);
	p = gen_btf_ref(&b, GEN_BTF_PTR, NULL, 3);
	l = gen_btf_compound(&b, GEN_BTF_STRUCT, "list_head", 16,
			     (struct gen_btf_member[]){{"next", p, 0, 0}, {"prev", p, 64, 0}}, 2);
	gen_btf_compound(&b, GEN_BTF_UNION, "u", 16,
			 (struct gen_btf_member[]){{NULL, l, 0, 0}, {"bits", u, 3, 5}}, 2);
	gen_btf_array(&b, l, u, 7);
	gen_btf_ref(&b, GEN_BTF_TYPEDEF, "alias", 5);
	gen_btf_ref(&b, GEN_BTF_CONST, NULL, 6);
	gen_btf_enum(&b, GEN_BTF_ENUM, "e", 4, true, (struct gen_btf_value[]){{"A", -1}, {"B", 2}},
		     2);
	gen_btf_enum(&b, GEN_BTF_ENUM64, NULL, 8, false, (struct gen_btf_value[]){{"C", 1ll << 40}},
		     1);
	gen_btf_raw(&b, "s", GEN_BTF_DATASEC << 24 | 1, 4, (uint32_t[]){1, 0, 4}, 3);
	gen_btf_write(&b, out);
	gen_btf_fini(&b);
	return true;
}
