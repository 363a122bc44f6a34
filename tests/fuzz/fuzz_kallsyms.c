/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a kernel image: kallsyms looked for by shape, then decoded from wherever it seems to be. */
#include <stdlib.h>
#include <string.h>

#include "dwarf/kallsyms.h"
#include "tests/fuzz/fuzz.h"
#include "tests/gen/gen_kallsyms.h"

#define BASE 0xffffffff81000000ull

/* Bytes from @off on, at most @want. */
static size_t part(const uint8_t *data, size_t size, uint64_t off, size_t want, const uint8_t **ret)
{
	if (off >= size)
		return 0;
	*ret = data + off;
	return want < size - off ? want : size - (size_t)off;
}

static void decode(const uint8_t *data, size_t size, struct wh_abi abi,
		   const struct wh_kallsyms_place *pl)
{
	struct wh_kallsyms_raw r = {.abi = abi,
				    .num_syms = pl->num_syms,
				    .have_relative_base = pl->have_relative_base,
				    .relative_base = pl->relative_base,
				    .offsets_va = BASE + pl->offsets,
				    .stext = BASE,
				    .image_lo = BASE,
				    .image_hi = BASE + size};
	struct wh_kallsyms_info info;
	struct wh_symtab *t = NULL;
	const uint8_t *p = NULL;
	struct wh_sym s;

	r.names_len = part(data, size, pl->names, SIZE_MAX, &r.names);
	r.token_table_len = part(data, size, pl->token_table, 65536, &p);
	r.token_table = (const char *)p;
	r.token_index_len = part(data, size, pl->token_index, 512, &r.token_index);
	r.offsets_len = part(data, size, pl->offsets, 4ull * pl->num_syms, &r.offsets);
	r.addresses_len = part(data, size, pl->addresses, 8ull * pl->num_syms, &r.addresses);
	if (wh_symtab_create(&t))
		abort();
	wh_err_destroy(wh_kallsyms_decode(&r, t, &info));
	if (wh_symtab_freeze(t))
		abort();
	(void)wh_symtab_find_addr(t, BASE + 100, &s, NULL);
	(void)wh_symtab_find_name(t, NULL, "_stext", 0, &s);
	wh_symtab_destroy(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct wh_abi abis[] = {{false, 8}, {false, 4}};

	for (size_t i = 0; i < 2; i++) {
		struct wh_kallsyms_place pl;
		struct wh_err *e = wh_kallsyms_search(abis[i], data, size, BASE, &pl);

		wh_err_destroy(e);
		if (!e)
			decode(data, size, abis[i], &pl);
	}
	/* And places that the bytes themselves claim, as VMCOREINFO could. */
	if (size >= 28) {
		struct wh_kallsyms_place pl = {
			.names = wh_get_u32(abis[0], data) % (size + 8),
			.token_table = wh_get_u32(abis[0], data + 4) % (size + 8),
			.token_index = wh_get_u32(abis[0], data + 8) % (size + 8),
			.offsets = wh_get_u32(abis[0], data + 12) % (size + 8),
			.addresses = wh_get_u32(abis[0], data + 16) % (size + 8),
			.num_syms = wh_get_u32(abis[0], data + 20) % 100000,
			.have_relative_base = data[24] & 1,
			.relative_base = BASE};
		decode(data, size, abis[0], &pl);
	}
	return 0;
}

bool wh_fuzz_seed(size_t i, struct gen_bytes *out)
{
	static const struct gen_ksym syms[] = {
		{BASE, 'T', "_stext"},		 {BASE + 16, 't', "kmem_cache_alloc"},
		{BASE + 32, 'T', "sys_read"},	 {BASE + 48, 'd', "init_task"},
		{BASE + 64, 'D', "slab_caches"}, {BASE + 80, 'b', "list_lock"},
	};
	struct gen_ksym many[300];
	struct gen_kallsyms k = {.abi = {.word = 8},
				 .encoding =
					 (enum gen_kallsyms_encoding)(i % GEN_KALLSYMS_ENCODINGS),
				 .uleb = true,
				 .new_order = i >= GEN_KALLSYMS_ENCODINGS,
				 .seqs = i % 2,
				 .va = BASE + 32,
				 .relative_base = BASE,
				 .syms = many,
				 .n = 300};
	uint32_t head[8];

	if (i >= 2 * GEN_KALLSYMS_ENCODINGS)
		return false;
	for (uint32_t n = 0; n < 300; n++) {
		many[n] = syms[n % 6];
		many[n].addr = BASE + 16 * n;
	}
	gen_put(out, 31, "", 1);
	gen_kallsyms_write(&k, out);
	head[0] = (uint32_t)k.names;
	head[1] = (uint32_t)k.token_table;
	head[2] = (uint32_t)k.token_index;
	head[3] = (uint32_t)k.offsets;
	head[4] = (uint32_t)k.addresses;
	head[5] = k.n;
	head[6] = k.encoding != GEN_KALLSYMS_PLACE;
	head[7] = 0;
	for (size_t n = 0; n < 8; n++)
		gen_put_uint(out, k.abi, 4 * n, 4, head[n]);
	return true;
}
