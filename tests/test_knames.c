/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of a made-up kernel: kallsyms, BTF and modules written into its image and module area, in the
 * layouts before and since 6.4, whole, and damaged in the ways that dumps are.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dwarf/knames.h"
#include "tests/gen/expect.h"
#include "tests/gen/gen_btf.h"
#include "tests/gen/gen_kallsyms.h"
#include "tests/gen/gen_kernel.h"

#define AT_KALLSYMS 0x100000 /* offsets into the image */
#define AT_BTF	    0x180000
#define AT_MODULES  0x210000
#define AT_INIT	    0x211000
#define IMAGE_LEN   0x400000
#define AREA	    0xffffffffc0200000ull
#define N_MODULES   3
#define N_TEXT	    200
#define N_DATA	    100

/* struct module as our BTF describes it */
#define M_LIST	 8
#define M_NAME	 24
#define M_MEM	 128 /* mem[7] of {base, size}, or core_layout and init_layout */
#define M_KALL	 256
#define M_PERCPU 264
#define M_PCSIZE 272
#define M_SIZE	 512

enum damage {
	WHOLE,
	LOOPS,	   /* the second module leads back to the first */
	BREAKS,	   /* the first module's next is nowhere */
	WILD_SYMS, /* a module claims two billion symbols */
	NO_NAME,   /* one module's name is not text */
	NO_DATA,   /* KALLSYMS_ALL off: no symbol for anything but text */
	NO_INFO,   /* VMCOREINFO does not know kallsyms */
	NO_BTF,	   /* neither symbols nor bytes of BTF */
	DAMAGES
};

static const struct wh_abi le64 = {false, 8};

struct world {
	struct gen_kernel k;
	struct gen_bytes elf;
	struct wh_ctx *ctx;
	struct wh_dump *dump;
	struct wh_kspace *ks;
	struct wh_knames *names;
};

static void poke(struct gen_kernel *k, uint64_t pa, size_t size, uint64_t v)
{
	for (size_t i = 0; i < size; i++)
		gen_kernel_at(k, pa)[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t module_va(int i)
{
	return AREA + (uint64_t)i * 0x10000;
}

/* struct module lies at the start of its data page; its tables behind it. */
static void make_module(struct gen_kernel *k, int i, bool new_layout, enum damage damage)
{
	static const char *const names[N_MODULES] = {"alpha", "beta", "gamma"};
	uint64_t va = module_va(i), pa = k->next, head = k->image_va + AT_MODULES;
	uint64_t next = i + 1 < N_MODULES ? module_va(i + 1) + 0x1000 + M_LIST : head;
	uint64_t prev = i ? module_va(i - 1) + 0x1000 + M_LIST : head;
	uint64_t mod = pa + 0x1000, syms = mod + 0x400, strs = mod + 0x600;

	k->next += 0x2000;
	for (uint64_t off = 0; off < 0x2000; off += 0x1000)
		gen_kernel_map(k, k->root_pa, va + off, pa + off, 0);
	if (damage == LOOPS && i == 1)
		next = module_va(0) + 0x1000 + M_LIST;
	if (damage == BREAKS && i == 0)
		next = 0xffffffffdead0008;
	poke(k, mod + M_LIST, 8, next);
	poke(k, mod + M_LIST + 8, 8, prev);
	memcpy(gen_kernel_at(k, mod + M_NAME), names[i], strlen(names[i]) + 1);
	if (damage == NO_NAME && i == 1)
		poke(k, mod + M_NAME, 2, 0x0107);
	if (new_layout) {
		poke(k, mod + M_MEM, 8, va); /* MOD_TEXT */
		poke(k, mod + M_MEM + 8, 4, 0x1000);
		poke(k, mod + M_MEM + 16, 8, va + 0x1000); /* MOD_DATA */
		poke(k, mod + M_MEM + 24, 4, 0x1000);
	} else {
		poke(k, mod + M_MEM, 8, va);
		poke(k, mod + M_MEM + 8, 4, 0x2000);
	}
	poke(k, mod + M_KALL, 8, va + 0x1000 + 0x300);
	poke(k, mod + M_PERCPU, 8, 0x34000);
	poke(k, mod + M_PCSIZE, 4, 8);
	poke(k, mod + 0x300, 8, va + 0x1400);
	poke(k, mod + 0x308, 4, damage == WILD_SYMS && i == 1 ? 2000000000u : 4);
	poke(k, mod + 0x310, 8, va + 0x1600);
	poke(k, mod + 0x318, 8, va + 0x1700);
	/* symbol 0 is null; 1 a function; 2 from freed init text; 3 undefined */
	poke(k, syms + 24, 4, 1);
	poke(k, syms + 24 + 6, 2, 5);
	poke(k, syms + 24 + 8, 8, va + 0x40);
	poke(k, syms + 24 + 16, 8, 0x20);
	poke(k, syms + 48, 4, 10);
	poke(k, syms + 48 + 6, 2, 6);
	poke(k, syms + 48 + 8, 8, va + 0x8000);
	poke(k, syms + 72, 4, 1);
	memcpy(gen_kernel_at(k, strs), "\0mod_func\0mod_init\0", 20);
	memcpy(gen_kernel_at(k, mod + 0x700), "?ttU", 4);
}

static uint32_t memory_struct(struct gen_btf *b, const char *name, uint32_t ptr, uint32_t u32)
{
	return gen_btf_compound(
		b, GEN_BTF_STRUCT, name, 16,
		(struct gen_btf_member[]){{"base", ptr, 0, 0}, {"size", u32, 64, 0}}, 2);
}

static void make_btf(struct gen_bytes *out, bool new_layout)
{
	struct gen_btf_member m[9];
	uint32_t u32, u64, chr, ptr, list, name, kall, mem;
	struct gen_btf b;
	size_t n = 0;

	gen_btf_init(&b, le64, NULL);
	u32 = gen_btf_int(&b, "unsigned int", 4, 0, 0, 32);
	u64 = gen_btf_int(&b, "long unsigned int", 8, 0, 0, 64);
	chr = gen_btf_int(&b, "char", 1, 1, 0, 8);
	ptr = gen_btf_ref(&b, GEN_BTF_PTR, NULL, 0);
	list = gen_btf_compound(
		&b, GEN_BTF_STRUCT, "list_head", 16,
		(struct gen_btf_member[]){{"next", ptr, 0, 0}, {"prev", ptr, 64, 0}}, 2);
	name = gen_btf_array(&b, chr, u32, 56);
	gen_btf_compound(&b, GEN_BTF_STRUCT, "mod_kallsyms", 32,
			 (struct gen_btf_member[]){{"symtab", ptr, 0, 0},
						   {"num_symtab", u32, 64, 0},
						   {"strtab", ptr, 128, 0},
						   {"typetab", ptr, 192, 0}},
			 4);
	kall = ptr;
	gen_btf_compound(&b, GEN_BTF_STRUCT, "task_struct", 8,
			 (struct gen_btf_member[]){{"stack", u64, 0, 0}}, 1);
	m[n++] = (struct gen_btf_member){"state", u32, 0, 0};
	m[n++] = (struct gen_btf_member){"list", list, 8 * M_LIST, 0};
	m[n++] = (struct gen_btf_member){"name", name, 8 * M_NAME, 0};
	if (new_layout) {
		mem = memory_struct(&b, "module_memory", ptr, u32);
		mem = gen_btf_array(&b, mem, u32, 7);
		m[n++] = (struct gen_btf_member){"mem", mem, 8 * M_MEM, 0};
		gen_btf_enum(&b, GEN_BTF_ENUM, "mod_mem_type", 4, true,
			     (struct gen_btf_value[]){{"MOD_INVALID", -1},
						      {"MOD_TEXT", 0},
						      {"MOD_DATA", 1},
						      {"MOD_INIT_TEXT", 4}},
			     4);
	} else {
		mem = memory_struct(&b, "module_layout", ptr, u32);
		m[n++] = (struct gen_btf_member){"core_layout", mem, 8 * M_MEM, 0};
		m[n++] = (struct gen_btf_member){"init_layout", mem, 8 * (M_MEM + 16), 0};
	}
	m[n++] = (struct gen_btf_member){"kallsyms", kall, 8 * M_KALL, 0};
	m[n++] = (struct gen_btf_member){"percpu", ptr, 8 * M_PERCPU, 0};
	m[n++] = (struct gen_btf_member){"percpu_size", u32, 8 * M_PCSIZE, 0};
	gen_btf_compound(&b, GEN_BTF_STRUCT, "module", M_SIZE, m, n);
	/* As large as the search by magic expects a kernel's to be. */
	for (int i = 0; i < 3000; i++) {
		char pad[32];

		snprintf(pad, sizeof(pad), "padding_type_%d", i);
		gen_btf_int(&b, pad, 4, 0, 0, 32);
	}
	gen_btf_write(&b, out);
	gen_btf_fini(&b);
}

static void make_kallsyms(struct gen_kernel *k, size_t btf_len, enum damage damage)
{
	static char text[N_TEXT + N_DATA][32];
	struct gen_ksym s[N_TEXT + N_DATA + 8];
	uint32_t n = 0;
	struct gen_kallsyms t = {.abi = le64,
				 .encoding = GEN_KALLSYMS_PERCPU,
				 .uleb = true,
				 .va = k->image_va + AT_KALLSYMS,
				 .relative_base = k->image_va,
				 .syms = s};
	struct gen_bytes out = {0};
	size_t len = strlen(k->info);

	s[n++] = (struct gen_ksym){0x100, 'A', "this_cpu_off"};
	s[n++] = (struct gen_ksym){k->image_va, 'T', "_text"};
	s[n++] = (struct gen_ksym){k->image_va, 'T', "_stext"};
	for (int i = 0; i < N_TEXT; i++) {
		snprintf(text[i], sizeof(text[i]), "function_%d", i);
		s[n++] =
			(struct gen_ksym){k->image_va + 0x1000 + 64ull * (unsigned)i, 't', text[i]};
	}
	if (damage != NO_DATA) {
		if (damage != NO_BTF) {
			s[n++] = (struct gen_ksym){k->image_va + AT_BTF, 'R', "__start_BTF"};
			s[n++] = (struct gen_ksym){k->image_va + AT_BTF + btf_len, 'R',
						   "__stop_BTF"};
		}
		s[n++] = (struct gen_ksym){k->image_va + AT_MODULES, 'd', "modules"};
		for (int i = N_TEXT; i < N_TEXT + N_DATA; i++) {
			snprintf(text[i], sizeof(text[i]), "variable_%d", i);
			s[n++] = (struct gen_ksym){k->image_va + AT_INIT + 64ull * (unsigned)i, 'd',
						   text[i]};
		}
		s[n++] = (struct gen_ksym){k->image_va + 0x300000, 'B', "_end"};
	}
	t.n = n;
	gen_kallsyms_write(&t, &out);
	memcpy(gen_kernel_at(k, k->image_pa + AT_KALLSYMS), out.p, out.n);
	gen_fini(&out);
	if (damage != NO_INFO)
		snprintf(k->info + len, sizeof(k->info) - len,
			 "SYMBOL(_stext)=%" PRIx64 "\nSYMBOL(kallsyms_names)=%" PRIx64
			 "\nSYMBOL(kallsyms_num_syms)=%" PRIx64
			 "\nSYMBOL(kallsyms_token_table)=%" PRIx64
			 "\nSYMBOL(kallsyms_token_index)=%" PRIx64
			 "\nSYMBOL(kallsyms_offsets)=%" PRIx64
			 "\nSYMBOL(kallsyms_relative_base)=%" PRIx64 "\n",
			 k->image_va, t.va + t.names, t.va + t.num_syms, t.va + t.token_table,
			 t.va + t.token_index, t.va + t.offsets, t.va + t.base);
}

static void open_world_with(struct world *w, bool new_layout, enum damage damage,
			    const struct wh_knames_opts *opts)
{
	struct gen_bytes btf = {0};
	size_t len;

	memset(w, 0, sizeof(*w));
	w->k = (struct gen_kernel){.page_shift = 12,
				   .va_bits = 48,
				   .image_va = 0xffffffffb7400000,
				   .page_offset = 0xffff8d4940000000,
				   .vmemmap = 0xffffea0000000000,
				   .vmalloc_va = 0xffffc90000005000};
	gen_kernel_make(&w->k);
	make_btf(&btf, new_layout);
	if (damage != NO_BTF)
		memcpy(gen_kernel_at(&w->k, w->k.image_pa + AT_BTF), btf.p, btf.n);
	make_kallsyms(&w->k, btf.n, damage);
	poke(&w->k, w->k.image_pa + AT_MODULES, 8, module_va(0) + 0x1000 + M_LIST);
	poke(&w->k, w->k.image_pa + AT_MODULES + 8, 8, module_va(N_MODULES - 1) + 0x1000 + M_LIST);
	for (int i = 0; i < N_MODULES; i++)
		make_module(&w->k, i, new_layout, damage);
	len = strlen(w->k.info);
	snprintf(w->k.info + len, sizeof(w->k.info) - len,
		 "BUILD-ID=00112233445566778899aabbccddeeff00112233\n");
	gen_kernel_elf(&w->k, true, 0, &w->elf);
	ck_assert(!wh_ctx_create(2, &w->ctx));
	ck_assert(!wh_dump_open_mem(w->ctx, w->elf.p, w->elf.n, &w->dump));
	ck_assert(!wh_kspace_open(w->dump, &w->ks));
	ck_assert(!wh_knames_open(w->ks, opts, &w->names));
	gen_fini(&btf);
}

static void open_world(struct world *w, bool new_layout, enum damage damage)
{
	open_world_with(w, new_layout, damage, NULL);
}

static void close_world(struct world *w)
{
	wh_knames_close(w->names);
	wh_kspace_close(w->ks);
	wh_dump_close(w->dump);
	wh_ctx_destroy(w->ctx);
	gen_fini(&w->elf);
	gen_kernel_fini(&w->k);
}

static void expect_module(const struct world *w, size_t i, const char *name, bool new_layout)
{
	const struct wh_kmodule *m = &w->names->modules[i];

	ck_assert_str_eq(m->name, name);
	ck_assert_uint_eq(m->addr, module_va((int)i) + 0x1000);
	ck_assert_uint_eq(m->n_ranges, new_layout ? 2 : 1);
	ck_assert_uint_eq(m->ranges[0].start, module_va((int)i));
	ck_assert_int_eq(m->ranges[0].kind, new_layout ? WH_KMOD_TEXT : WH_KMOD_CORE);
	ck_assert_uint_eq(m->percpu, 0x34000);
	ck_assert_uint_eq(m->percpu_size, 8);
}

static void expect_symbols(const struct world *w)
{
	struct wh_symtab *t = w->names->syms;
	uint64_t off = 0;
	struct wh_sym s;

	ck_assert(wh_symtab_find_addr(t, w->k.image_va + 0x1000 + 64 * 7 + 5, &s, &off));
	ck_assert_str_eq(s.name, "function_7");
	ck_assert_uint_eq(off, 5);
	ck_assert_ptr_null(s.module);
	ck_assert(wh_symtab_find_addr(t, module_va(2) + 0x50, &s, &off));
	ck_assert_str_eq(s.name, "mod_func");
	ck_assert_str_eq(s.module, "gamma");
	ck_assert_uint_eq(off, 0x10);
	ck_assert(!wh_symtab_find_addr(t, module_va(2) + 0x8000, &s, &off)); /* freed init */
	ck_assert(!wh_symtab_find_addr(t, 0x100, &s, &off));		     /* per-CPU */
	ck_assert(wh_symtab_find_name(t, "beta", "mod_func", 0, &s));
	ck_assert_int_eq(s.type, 't');
}

START_TEST(whole)
{
	bool new_layout = _i & 1;
	enum damage d = _i & 2 ? NO_INFO : _i & 4 ? NO_DATA : WHOLE;
	struct world w;
	uint64_t v;

	open_world(&w, new_layout, d);
	ck_assert_str_eq(w.names->sym_source, "kallsyms (absolute-percpu)");
	ck_assert_str_eq(w.names->type_source, "BTF");
	ck_assert(w.names->have_data_symbols == (d != NO_DATA));
	ck_assert_uint_eq(w.names->n_modules, N_MODULES);
	expect_module(&w, 0, "alpha", new_layout);
	expect_module(&w, 1, "beta", new_layout);
	expect_module(&w, 2, "gamma", new_layout);
	expect_symbols(&w);
	ck_assert(wh_types_sizeof(w.names->types, "module", &v) && v == M_SIZE);
	if (d != NO_DATA)
		ck_assert(wh_knames_find(w.names, "modules", &v) && v == w.k.image_va + AT_MODULES);
	ck_assert(!wh_knames_find(w.names, "mod_func", &v)); /* of the image only */
	close_world(&w);
}
END_TEST

START_TEST(damaged_lists)
{
	struct world w;

	open_world(&w, true, LOOPS);
	ck_assert(has_diag(w.ctx, "module-list-loops"));
	ck_assert_uint_eq(w.names->n_modules, N_MODULES); /* the third from behind */
	close_world(&w);

	open_world(&w, true, BREAKS);
	ck_assert(has_diag(w.ctx, "module-list-broken"));
	ck_assert_uint_eq(w.names->n_modules, N_MODULES);
	expect_symbols(&w);
	close_world(&w);

	open_world(&w, true, NO_NAME);
	ck_assert(has_diag(w.ctx, "module-name"));
	ck_assert_uint_eq(w.names->n_modules, N_MODULES - 1);
	close_world(&w);

	open_world(&w, true, WILD_SYMS);
	ck_assert(has_diag(w.ctx, "module-symbols"));
	ck_assert_uint_eq(w.names->n_modules, N_MODULES);
	close_world(&w);
}
END_TEST

START_TEST(no_types)
{
	struct world w;

	open_world(&w, true, NO_BTF);
	ck_assert(has_diag(w.ctx, "no-btf"));
	ck_assert(has_diag(w.ctx, "no-modules"));
	ck_assert_uint_eq(w.names->n_modules, 0);
	ck_assert_str_eq(w.names->sym_source, "kallsyms (absolute-percpu)");
	close_world(&w);
}
END_TEST

/* Files that do not belong to the dump are told and left alone. */
START_TEST(foreign_files)
{
	static const char *const files[] = {"/proc/self/exe"};
	static const char *const gone[] = {"/nonexistent/vmlinux"};
	struct wh_knames_opts opts = {.symbol_files = files, .n_symbol_files = 1};
	struct wh_line line;
	struct world w;

	/* By its build-id, or because it is no kernel at all. */
	open_world_with(&w, true, WHOLE, &opts);
	ck_assert(has_diag(w.ctx, "symbol-file-mismatch"));
	expect_symbols(&w);
	ck_assert_uint_eq(wh_knames_lines(w.names, w.k.image_va + 0x3fffff, &line, 1), 0);
	close_world(&w);
	opts.symbol_files = gone;
	open_world_with(&w, true, WHOLE, &opts);
	ck_assert(has_diag(w.ctx, "symbol-file"));
	close_world(&w);
}
END_TEST

/* A dump that ends anywhere: the searches through what is left of the image stay inside it. */
START_TEST(cut_anywhere)
{
	struct world w;
	size_t opened = 0;

	open_world(&w, true, NO_INFO);
	for (size_t n = w.elf.n; n > (2u << 20); n -= 700001) {
		struct wh_kspace *ks = NULL;
		struct wh_knames *names = NULL;
		struct wh_dump *d = NULL;
		struct wh_err *e = wh_dump_open_mem(w.ctx, w.elf.p, n, &d);

		if (!e)
			e = wh_kspace_open(d, &ks);
		if (!e) {
			ck_assert(!wh_knames_open(ks, NULL, &names));
			opened++;
		}
		wh_err_destroy(e);
		wh_knames_close(names);
		wh_kspace_close(ks);
		wh_dump_close(d);
	}
	ck_assert_uint_gt(opened, 1);
	close_world(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("knames");
	TCase *c = tcase_create("knames");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(c, whole, 0, 6);
	tcase_add_test(c, damaged_lists);
	tcase_add_test(c, no_types);
	tcase_add_test(c, foreign_files);
	tcase_add_test(c, cut_anywhere);
	tcase_set_timeout(c, EXPECT_HANG);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
