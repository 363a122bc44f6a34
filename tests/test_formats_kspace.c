/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "formats/kspace.h"
#include "formats/pgtable.h"
#include "tests/gen/expect.h"
#include "tests/gen/gen_kernel.h"

static struct wh_ctx *ctx;

static void setup(void)
{
	expect_ok(wh_ctx_create(2, &ctx));
}

static void teardown(void)
{
	wh_ctx_destroy(ctx);
}

/* Addresses as KASLR gives them: nothing but the alignments is usual. */
static const struct gen_kernel x86[] = {
	{.page_shift = 12,
	 .va_bits = 48,
	 .image_va = 0xffffffff81000000,
	 .page_offset = 0xffff888000000000,
	 .vmemmap = 0xffffea0000000000,
	 .vmalloc_va = 0xffffc90000005000},
	{.page_shift = 12,
	 .va_bits = 48,
	 .image_va = 0xffffffffb7400000,
	 .page_offset = 0xffff8d4940000000,
	 .vmemmap = 0xfffff62fc0000000,
	 .vmalloc_va = 0xffffd29340010000,
	 .pti = true},
	{.page_shift = 12,
	 .va_bits = 57,
	 .image_va = 0xffffffffa8e00000,
	 .page_offset = 0xff49ea3b40000000,
	 .vmemmap = 0xffafdfca40000000,
	 .vmalloc_va = 0xffa0000000005000},
};

static const struct gen_kernel arm64[] = {
	{.arm64 = true,
	 .page_shift = 12,
	 .va_bits = 48,
	 .ram_base = 0x40000000,
	 .image_va = 0xffffd6cb9e800000,
	 .page_offset = 0xffff000000000000 - 0x40000000,
	 .vmemmap = 0xfffffbffff000000,
	 .vmalloc_va = 0xffff800008005000},
	{.arm64 = true,
	 .page_shift = 12,
	 .va_bits = 39,
	 .ram_base = 0x80000000,
	 .image_va = 0xffffffc008200000,
	 .page_offset = 0xffffff8000000000 - 0x80000000,
	 .vmemmap = 0xfffffffe00000000,
	 .vmalloc_va = 0xffffffc010005000},
	{.arm64 = true,
	 .page_shift = 12,
	 .va_bits = 52,
	 .ram_base = 0x40000000,
	 .image_va = 0xffff95cb88e00000,
	 .page_offset = 0xfff0000000000000 - 0x40000000,
	 .vmemmap = 0xffffc1ffbf000000,
	 .vmalloc_va = 0xffff800080005000},
	{.arm64 = true,
	 .page_shift = 14,
	 .va_bits = 47,
	 .ram_base = 0x40000000,
	 .image_va = 0xffffc00008200000,
	 .page_offset = 0xffff800000000000 - 0x40000000,
	 .vmemmap = 0xfffffe0000000000,
	 .vmalloc_va = 0xffffc00010004000},
	{.arm64 = true,
	 .page_shift = 16,
	 .va_bits = 48,
	 .ram_base = 0x40000000,
	 .image_va = 0xffff800008200000,
	 .page_offset = 0xffff000000000000 - 0x40000000,
	 .vmemmap = 0xfffffc0000000000,
	 .vmalloc_va = 0xffff800010010000},
	{.arm64 = true,
	 .page_shift = 16,
	 .va_bits = 42,
	 .ram_base = 0x40000000,
	 .image_va = 0xfffffe0008200000,
	 .page_offset = 0xfffffc0000000000 - 0x40000000,
	 .vmemmap = 0xffffffc000000000,
	 .vmalloc_va = 0xfffffe0010010000},
	/* before 5.4: the linear map is the upper half */
	{.arm64 = true,
	 .page_shift = 12,
	 .va_bits = 48,
	 .ram_base = 0x40000000,
	 .image_va = 0xffff000008200000,
	 .page_offset = 0xffff800000000000 - 0x40000000,
	 .vmemmap = 0xffff7e0000000000,
	 .vmalloc_va = 0xffff000010005000,
	 .old_offset = true},
};

/* Everything about the kernel's space is what was made. */
static void expect_space(struct gen_kernel *g, const struct gen_bytes *b, const char *info_source,
			 const char *pgd_source)
{
	struct wh_dump *d = NULL;
	struct wh_kspace *k = NULL;
	struct wh_reader *r = NULL;
	uint64_t pa, run, pfn;
	char text[32];

	expect_ok(wh_dump_open_mem(ctx, b->p, b->n, &d));
	ck_assert_uint_eq(d->cls, WH_DUMP_PHYSICAL);
	expect_ok(wh_kspace_open(d, &k));
	ck_assert_str_eq(k->vmcoreinfo_source, info_source);
	ck_assert_str_eq(k->pgd_source, pgd_source);
	ck_assert_uint_eq(k->page_shift, g->page_shift);
	ck_assert_uint_eq(k->dump->page_size, 1u << g->page_shift);
	ck_assert_uint_eq(k->dump->max_pfn, (g->ram_base + g->ram_size) >> g->page_shift);
	ck_assert_uint_eq(k->dump->pages[WH_MEM_PRESENT], g->ram_size >> g->page_shift);
	ck_assert_uint_eq(k->pgd_phys, g->root_pa);
	ck_assert_uint_eq(k->page_offset, g->page_offset);
	ck_assert_uint_eq(k->direct_start, g->page_offset + (g->arm64 ? g->ram_base : 0));
	ck_assert_uint_eq(k->direct_end, g->page_offset + g->ram_base + g->ram_size);
	ck_assert_uint_eq(k->image_start, g->image_va);
	ck_assert_uint_eq(k->image_end, g->image_va + (4ull << 20));
	ck_assert_uint_eq(k->image_to_phys, g->image_pa - g->image_va);
	ck_assert_uint_eq(k->vmemmap, g->vmemmap);
	ck_assert(wh_kspace_virt_to_pfn(k, g->info_pa + g->page_offset, &pfn) &&
		  pfn == g->info_pa >> g->page_shift);
	ck_assert_uint_eq(wh_kspace_pfn_to_virt(k, pfn), g->info_pa + g->page_offset);
	ck_assert(!wh_kspace_virt_to_pfn(k, g->image_va, &pfn));

	expect_ok(wh_reader_create(k->mem, &r));
	ck_assert(wh_read_str(r, g->vmalloc_va, text, sizeof(text)));
	ck_assert_str_eq(text, "vmalloc page"); /* by the tables */
	ck_assert(wh_read_str(r, g->vmalloc_pa + g->page_offset + 8, text, sizeof(text)));
	ck_assert_str_eq(text, "page"); /* by the direct map */
	ck_assert_uint_eq(wh_virt_to_phys(r, g->image_va + 0x1234, &pa, &run), WH_MEM_PRESENT);
	ck_assert_uint_eq(pa, g->image_pa + 0x1234);
	ck_assert_uint_eq(wh_virt_to_phys(r, g->vmalloc_va + (1ull << g->page_shift), &pa, &run),
			  WH_MEM_UNMAPPED);
	ck_assert_uint_eq(wh_virt_to_phys(r, 0x400000, &pa, &run), WH_MEM_UNMAPPED);
	wh_reader_destroy(r);
	wh_kspace_close(k);
	wh_dump_close(d);
}

#define N(a) (sizeof(a) / sizeof((a)[0]))

static struct gen_kernel kernel_of(int i)
{
	struct gen_kernel g = (size_t)i < N(x86) ? x86[i] : arm64[(size_t)i - N(x86)];

	gen_kernel_make(&g);
	return g;
}

START_TEST(with_vmcoreinfo)
{
	struct gen_kernel g = kernel_of(_i);
	struct gen_bytes b = {0};

	gen_kernel_elf(&g, true, 0, &b);
	expect_space(&g, &b, "note", g.arm64 ? "swapper_pg_dir" : "init_top_pgt");
	gen_fini(&b);
	gen_kernel_fini(&g);
}
END_TEST

START_TEST(vmcoreinfo_found_in_memory)
{
	struct gen_kernel g = kernel_of(_i);
	struct gen_bytes b = {0};

	/* A guest's page comes first: it parses, but its addresses lead nowhere here. */
	memcpy(gen_kernel_at(&g, g.ram_base + (1 << 20)),
	       "OSRELEASE=5.4\nPAGESIZE=4096\nSYMBOL(init_top_pgt)=ffffffff82000000\n"
	       "SYMBOL(swapper_pg_dir)=ffff800012340000\nNUMBER(kimage_voffset)=0x0\n",
	       130);
	gen_kernel_elf(&g, false, 0, &b);
	expect_space(&g, &b, "memory scan", g.arm64 ? "swapper_pg_dir" : "init_top_pgt");
	gen_fini(&b);
	gen_kernel_fini(&g);
}
END_TEST

/* QEMU's kdump of arm64: the machine "Unknown", blocks of 64 KiB whatever the kernel's pages are. */
START_TEST(blocks_larger_than_pages)
{
	struct gen_kernel g = arm64[3 * _i]; /* 4 and 16 KiB pages */
	struct gen_bytes b = {0}, notes = {0};
	struct gen_memory m = {.page_size = 65536};
	struct gen_kdump o = {
		.abi = {false, 8}, .machine = "Unknown", .version = 6, .codec = GEN_LZO};
	uint8_t status[392] = {0};

	g.ram_base = 0x4000000;
	g.page_offset = _i ? 0xffff800000000000 - 0x4000000 : 0xffff000000000000 - 0x4000000;
	gen_kernel_make(&g);
	m.n = (g.ram_base + g.ram_size) / m.page_size;
	m.bytes = calloc(m.n, m.page_size);
	m.state = calloc(m.n, 1);
	ck_assert(m.bytes && m.state);
	memcpy(m.bytes + g.ram_base, g.ram, g.ram_size);
	memset(m.state + g.ram_base / m.page_size, GEN_PRESENT, g.ram_size / m.page_size);
	gen_note(&notes, o.abi, "CORE", 1, status, sizeof(status));
	o.notes = &notes;
	o.vmcoreinfo = g.info;
	gen_kdump(&m, &o, &b);
	expect_space(&g, &b, "header", "swapper_pg_dir");
	free(m.bytes);
	free(m.state);
	gen_fini(&b);
	gen_fini(&notes);
	gen_kernel_fini(&g);
}
END_TEST

/* CR3 with PCID bits; under PTI of the user's half. */
START_TEST(qemu_note_only)
{
	struct gen_kernel g = kernel_of(_i);
	struct gen_bytes b = {0};

	memset(gen_kernel_at(&g, g.info_pa), 0, 4096);
	gen_kernel_elf(&g, false, (g.pti ? g.user_root_pa : g.root_pa) | 0x5, &b);
	g.vmemmap = 0; /* nothing says where mem_section is */
	expect_space(&g, &b, "none", "QEMU cr3");
	gen_fini(&b);

	/* With the text in memory, the kernel's own table is preferred to a process's. */
	memcpy(gen_kernel_at(&g, g.info_pa), g.info, strlen(g.info));
	g.vmemmap = x86[_i].vmemmap;
	gen_kernel_elf(&g, false, g.root_pa, &b);
	expect_space(&g, &b, "memory scan", "init_top_pgt");
	gen_fini(&b);
	gen_kernel_fini(&g);
}
END_TEST

/* NUMBER(phys_base) absent (before 4.10) or wrong: the tables decide. */
START_TEST(phys_base_not_trusted)
{
	struct gen_kernel g = kernel_of(_i % 3);
	struct gen_bytes b = {0};
	char *s = strstr(g.info, "NUMBER(phys_base)=");

	if (_i < 3)
		memcpy(s, "NUMBER(phys_xxxx)=", 18);
	else
		s[18] = s[18] == '-' ? '1' : '-';
	gen_kernel_elf(&g, true, 0, &b);
	expect_space(&g, &b, "note", "init_top_pgt");
	gen_fini(&b);
	gen_kernel_fini(&g);
}
END_TEST

/* The tables below the top are lost with the end of the file: what is left is still read. */
START_TEST(tables_lost)
{
	struct gen_kernel g = kernel_of(_i);
	struct gen_bytes b = {0};
	struct wh_dump *d = NULL;
	struct wh_kspace *k = NULL;

	gen_kernel_elf(&g, true, 0, &b);
	/* gen_kernel puts all tables but the top one behind 8 MiB */
	expect_ok(wh_dump_open_mem(ctx, b.p, b.n - (3 << 20), &d));
	if (g.arm64) { /* VMCOREINFO says where the direct map is */
		struct wh_reader *r = NULL;
		uint64_t pa, run;

		expect_ok(wh_kspace_open(d, &k));
		ck_assert(has_diag(ctx, "page-tables-lost"));
		ck_assert_uint_eq(k->page_offset, g.page_offset);
		expect_ok(wh_reader_create(k->mem, &r));
		ck_assert_uint_eq(wh_virt_to_phys(r, g.image_va + 0x10000, &pa, &run),
				  WH_MEM_PRESENT); /* swapper_pg_dir, the one symbol in the image */
		ck_assert_uint_eq(pa, g.root_pa);
		ck_assert_uint_eq(wh_virt_to_phys(r, g.vmalloc_va, &pa, &run), WH_MEM_TRUNCATED);
		wh_reader_destroy(r);
		wh_kspace_close(k);
	} else { /* only the tables do */
		expect_error(wh_kspace_open(d, &k), "the dump is incomplete");
	}
	wh_dump_close(d);
	gen_fini(&b);
	gen_kernel_fini(&g);
}
END_TEST

/* Page tables full of entries that point at the table itself, at nothing, and of noise. */
START_TEST(garbage_tables)
{
	struct gen_kernel g = kernel_of(_i / 3);
	struct gen_bytes b = {0};
	struct wh_dump *d = NULL;
	struct wh_kspace *k = NULL;
	struct wh_err *e;
	uint64_t seed = 5, ps = 1ull << g.page_shift;
	uint8_t *root = gen_kernel_at(&g, g.root_pa);

	for (uint64_t i = 0; i < ps; i += 8) {
		uint64_t v = _i % 3 == 0   ? g.root_pa | 0x63
			     : _i % 3 == 1 ? gen_rand(&seed) | 1
					   : 0xfffffffff003;

		if (i % 64) /* leave some of the real ones */
			memcpy(root + i, &v, 8);
	}
	gen_kernel_elf(&g, true, g.root_pa, &b);
	expect_ok(wh_dump_open_mem(ctx, b.p, b.n, &d));
	e = wh_kspace_open(d, &k);
	if (e)
		expect_error(e, "page tables");
	else
		wh_kspace_close(k);
	wh_dump_close(d);
	gen_fini(&b);
	gen_kernel_fini(&g);
}
END_TEST

struct count {
	uint64_t n, bytes, last;
};

static struct wh_err *count_mapping(void *arg, uint64_t va, uint64_t pa WH_UNUSED, uint64_t len)
{
	struct count *c = arg;

	ck_assert(!c->n || va >= c->last);
	c->n++;
	c->bytes += len;
	c->last = va + len;
	return NULL;
}

START_TEST(each_mapping)
{
	struct gen_kernel g = kernel_of(_i);
	struct gen_bytes b = {0};
	struct wh_dump *d = NULL;
	struct wh_kspace *k = NULL;
	struct wh_reader *r = NULL;
	struct count c = {0};
	uint64_t ps = 1ull << g.page_shift;

	for (uint64_t i = 2; i < 6; i++) /* a hole, then four pages that continue each other */
		gen_kernel_map(&g, g.root_pa, g.vmalloc_va + i * ps, g.ram_base + i * ps, 0);
	gen_kernel_elf(&g, true, 0, &b);
	expect_ok(wh_dump_open_mem(ctx, b.p, b.n, &d));
	expect_ok(wh_kspace_open(d, &k));
	expect_ok(wh_reader_create(k->mem, &r));
	expect_ok(wh_kspace_each_mapping(k, r, g.vmalloc_va, g.vmalloc_va + 100 * ps, count_mapping,
					 &c));
	ck_assert_uint_eq(c.n, 2);
	ck_assert_uint_eq(c.bytes, 5 * ps);
	c = (struct count){0};
	/* clipped on both sides, inside one leaf */
	expect_ok(wh_kspace_each_mapping(k, r, k->image_start + 100, k->image_start + 5000,
					 count_mapping, &c));
	ck_assert_uint_eq(c.n, 1);
	ck_assert_uint_eq(c.bytes, 4900);
	c = (struct count){0};
	expect_ok(wh_kspace_each_mapping(k, r, k->kernel_min, UINT64_MAX, count_mapping, &c));
	ck_assert_uint_eq(c.bytes, (14ull << 20) + 5 * ps);
	wh_reader_destroy(r);
	wh_kspace_close(k);
	wh_dump_close(d);
	gen_fini(&b);
	gen_kernel_fini(&g);
}
END_TEST

START_TEST(entries)
{
	static const struct {
		bool arm64;
		uint8_t shift, bits;
		unsigned int level;
		uint64_t pte, pa;
		enum wh_pte_kind kind;
	} cases[] = {
		{false, 12, 48, 0, 0x8000000012345063, 0x12345000, WH_PTE_LEAF},
		{false, 12, 48, 0, 0x12345062, 0, WH_PTE_ABSENT},
		{false, 12, 48, 0, 0x123450e3, 0x12345000, WH_PTE_LEAF}, /* PAT, not PSE */
		{false, 12, 48, 1, 0x123450e3 | 1 << 12, 0x12200000, WH_PTE_LEAF},
		{false, 12, 48, 2, 0xc00000e3, 0xc0000000, WH_PTE_LEAF},
		{false, 12, 48, 3, 0xc00000e3, 0, WH_PTE_ABSENT}, /* no 512 GiB leaf */
		{false, 12, 48, 3, 0xc0001063, 0xc0001000, WH_PTE_TABLE},
		{true, 12, 48, 0, 0x68000040001703, 0x40001000, WH_PTE_LEAF},
		{true, 12, 48, 0, 0x40001701, 0, WH_PTE_ABSENT}, /* reserved at the last level */
		{true, 12, 48, 1, 0x40201701, 0x40200000, WH_PTE_LEAF},
		{true, 12, 48, 1, 0x40201703, 0x40201000, WH_PTE_TABLE},
		{true, 12, 48, 1, 0x40201700, 0, WH_PTE_ABSENT},
		{true, 16, 52, 0, 0x4000a703, 0xa000040000000, WH_PTE_LEAF},
		{true, 12, 52, 0, 0x0003000040001303, 0xf000040001000, WH_PTE_LEAF},
		{true, 12, 48, 0, 0x0003000040001303, 0x40001000, WH_PTE_LEAF},
	};

	for (size_t i = 0; i < N(cases); i++) {
		struct wh_pgtable t = {.page_shift = cases[i].shift, .va_bits = cases[i].bits};
		uint64_t pa = 0;
		enum wh_pte_kind k =
			cases[i].arm64
				? wh_pgtable_decode_arm64(&t, cases[i].level, cases[i].pte, &pa)
				: wh_pgtable_decode_x86(&t, cases[i].level, cases[i].pte, &pa);

		ck_assert_uint_eq(k, cases[i].kind);
		if (k != WH_PTE_ABSENT)
			ck_assert_uint_eq(pa, cases[i].pa);
	}
}
END_TEST

START_TEST(what_is_not_a_kernel)
{
	static const struct wh_abi le64 = {.big_endian = false, .word = 8};
	uint8_t page[4096] = {0};
	struct gen_segment seg = {.paddr = 0x1000, .memsz = 4096, .filesz = 4096, .data = page};
	struct gen_elf o = {.abi = le64, .machine = 62, .segs = &seg, .n_segs = 1};
	struct gen_bytes b = {0};
	struct wh_dump *d = NULL;
	struct wh_kspace *k = NULL;

	gen_elf(&o, &b);
	expect_ok(wh_dump_open_mem(ctx, b.p, b.n, &d));
	expect_error(wh_kspace_open(d, &k), "no VMCOREINFO in header, notes or memory");
	wh_dump_close(d);
	gen_fini(&b);
	o.machine = 21; /* PowerPC */
	gen_elf(&o, &b);
	expect_ok(wh_dump_open_mem(ctx, b.p, b.n, &d));
	expect_error(wh_kspace_open(d, &k), "not supported");
	wh_dump_close(d);
	gen_fini(&b);
	o.machine = 62;
	seg.vaddr = 0x400000;
	seg.paddr = 0;
	gen_elf(&o, &b);
	expect_ok(wh_dump_open_mem(ctx, b.p, b.n, &d));
	expect_error(wh_kspace_open(d, &k), "not the dump of a machine");
	wh_dump_close(d);
	gen_fini(&b);
}
END_TEST

static void add(TCase *t)
{
	const int all = (int)(N(x86) + N(arm64));

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, with_vmcoreinfo, 0, all);
	tcase_add_loop_test(t, vmcoreinfo_found_in_memory, 0, all);
	tcase_add_loop_test(t, blocks_larger_than_pages, 0, 2);
	tcase_add_loop_test(t, qemu_note_only, 0, (int)N(x86));
	tcase_add_loop_test(t, phys_base_not_trusted, 0, 6);
	tcase_add_loop_test(t, tables_lost, 0, all - 1); /* not for the layout before 5.4 */
	tcase_add_loop_test(t, garbage_tables, 0, 3 * all);
	tcase_add_loop_test(t, each_mapping, 0, all);
	tcase_add_test(t, entries);
	tcase_add_test(t, what_is_not_a_kernel);
}

int main(void)
{
	return run_suite("formats-kspace", add);
}
