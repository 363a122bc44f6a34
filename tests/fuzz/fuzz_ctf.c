/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a CTF container, in both byte orders and word sizes: every type and member is asked for. */
#include <string.h>

#include "dwarf/type_ctf.h"
#include "tests/fuzz/fuzz.h"

#define TYPES_MAX   400
#define MEMBERS_MAX 200

static void ask(void *ctf, uint64_t id)
{
	const struct wh_type_provider_ops *ops = &wh_ctf_provider;
	struct wh_type_info info;
	struct wh_member m;
	const char *name;
	int64_t v;

	wh_err_destroy(ops->info(ctf, id, &info));
	for (size_t i = 0; i < MEMBERS_MAX; i++) {
		struct wh_err *e = ops->member(ctf, id, i, &m), *f;

		f = ops->enum_value(ctf, id, i, &name, &v);
		if (e && f)
			i = MEMBERS_MAX;
		wh_err_destroy(e);
		wh_err_destroy(f);
	}
}

static void try_as(struct wh_ctx *ctx, struct wh_abi abi, const uint8_t *data, size_t size)
{
	struct wh_ctf *ctf;
	struct wh_err *e = wh_ctf_create(ctx, abi, &ctf);
	uint64_t id;

	if (e) {
		wh_err_destroy(e);
		return;
	}
	wh_err_destroy(wh_ctf_add(ctf, "genunix", data, size));
	wh_err_destroy(wh_ctf_add(ctf, "child", data, size));
	wh_err_destroy(wh_ctf_freeze(ctf));
	for (uint64_t box = 0; box < 2; box++)
		for (uint64_t t = 0; t < TYPES_MAX; t++)
			ask(ctf, box << 32 | t);
	wh_err_destroy(wh_ctf_provider.find(ctf, "mblk_t", 0, &id));
	wh_ctf_destroy(ctf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wh_ctx *ctx;
	struct wh_err *e = wh_ctx_create(1, &ctx);

	if (e) {
		wh_err_destroy(e);
		return 0;
	}
	for (int i = 0; i < 4; i++)
		try_as(ctx, (struct wh_abi){i & 1, i & 2 ? 8 : 4}, data, size);
	wh_ctx_destroy(ctx);
	return 0;
}

/* struct s { int a; struct s *next; } and a typedef, version 2 and 1, not compressed, little-endian. */
static const uint8_t
	v2_image
		[] =
			{
				0xf1, 0xcf, 2,	 0,		       /* preamble */
				0,    0,    0,	 0, 0,	 0,    0,   0, /* parlabel, parname */
				0,    0,    0,	 0, 0,	 0,    0,   0, 0,   0, 0,   0, 0,
				0,    0,    0,			       /* lbl, objt, func, type */
				68,   0,    0,	 0, 16,	 0,    0,   0, /* stroff, strlen */
				1,    0,    0,	 0, 0,	 0x0c, 4,   0, 32,  0, 0,   1, /* 1: int */
				5,    0,    0,	 0, 2,	 0x34, 16,  0, /* 2: struct s, two members */
				7,    0,    0,	 0, 1,	 0,    0,   0, 9,   0, 0,   0, 3,
				0,    64,   0,			       /* a, next */
				0,    0,    0,	 0, 0,	 0x1c, 2,   0, /* 3: pointer to 2 */
				14,   0,    0,	 0, 0,	 0x54, 2,   0, /* 4: typedef t */
				0,    0,    0,	 0, 0,	 0,    0,   0, 0,   0, 0,   0, 0,
				0,    0,    0,	 0, 'i', 'n',  't', 0, 's', 0, 'a', 0, 'n',
				'e',  'x',  't', 0, 't', 0,
};

bool wh_fuzz_seed(size_t i, struct gen_bytes *out)
{
	if (i > 1)
		return false;
	gen_put(out, 0, v2_image, sizeof(v2_image));
	if (i == 1)
		out->p[3] = 1; /* claims to be compressed */
	return true;
}
