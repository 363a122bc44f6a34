/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <elf.h>
#include <unistd.h>

#include "formats/mem.h"
#include "formats/scratch.h"
#include "tests/gen/expect.h"
#include "tests/gen/gen.h"

static struct wh_ctx *ctx;
static uint8_t noise[1 << 20];

static void setup(void)
{
	uint64_t seed = 42;

	expect_ok(wh_ctx_create(2, &ctx));
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)gen_rand(&seed);
}

static void teardown(void)
{
	wh_ctx_destroy(ctx);
}

static const struct {
	const char *name;
	uint16_t machine;
	struct wh_abi abi;
	uint32_t pid, regs, n_regs, status; /* NT_PRSTATUS: offsets, count, size */
} machines[] = {
	{"x86_64", EM_X86_64, {false, 8}, 32, 112, 27, 336},
	{"aarch64", EM_AARCH64, {false, 8}, 32, 112, 34, 392},
	{"i386", EM_386, {false, 4}, 24, 72, 17, 144},
	{"arm", EM_ARM, {false, 4}, 24, 72, 18, 148},
	{"aarch64_be", EM_AARCH64, {true, 8}, 32, 112, 34, 392},
	{"armeb", EM_ARM, {true, 4}, 24, 72, 18, 148},
	{"sparc", EM_SPARC, {true, 4}, 0, 0, 0, 0},
	{"sparcv9", EM_SPARCV9, {true, 8}, 0, 0, 0, 0},
	{NULL, EM_PPC64, {true, 8}, 0, 0, 0, 0}, /* readable, though we know no registers */
};
#define N_MACHINES (sizeof(machines) / sizeof(machines[0]))

static struct wh_dump *open_bytes(const struct gen_bytes *b)
{
	struct wh_dump *d = NULL;

	expect_ok(wh_dump_open_mem(ctx, b->p, b->n, &d));
	return d;
}

/* A process: text not dumped, data with a tail, two mappings that touch, a stack. */
static const struct gen_segment process[] = {
	{.vaddr = 0x10000, .memsz = 0x3000, .filesz = 0, .flags = PF_R | PF_X},
	{.vaddr = 0x20000, .memsz = 0x3000, .filesz = 0x1800, .flags = PF_R | PF_W, .data = noise},
	{.vaddr = 0x30000, .memsz = 0x2000, .filesz = 0x2000, .flags = 6, .data = noise + 0x2000},
	{.vaddr = 0x32000, .memsz = 0x2000, .filesz = 0x2000, .flags = 6, .data = noise + 0x4000},
	{.vaddr = 0x7ff00000, .memsz = 0x1000, .filesz = 0x1000, .flags = 6, .data = noise},
};

/* VIRT as the table above says, byte by byte at every edge. */
static const struct {
	uint64_t va;
	enum wh_mem_state state;
	const uint8_t *byte;
	uint64_t run; /* bytes that share the state (absent) or continue (present) */
} truth[] = {
	{0, WH_MEM_UNMAPPED, NULL, 0x10000},
	{0x10000, WH_MEM_EXCLUDED, NULL, 0x3000},
	{0x12fff, WH_MEM_EXCLUDED, NULL, 1},
	{0x13000, WH_MEM_UNMAPPED, NULL, 0xd000},
	{0x20000, WH_MEM_PRESENT, noise, 0x1800},
	{0x217ff, WH_MEM_PRESENT, noise + 0x17ff, 1},
	{0x21800, WH_MEM_EXCLUDED, NULL, 0x1800},
	{0x30000, WH_MEM_PRESENT, noise + 0x2000, 0x4000}, /* across the edge of two segments */
	{0x33ff0, WH_MEM_PRESENT, noise + 0x5ff0, 16},
	{0x34000, WH_MEM_UNMAPPED, NULL, 0x7ff00000 - 0x34000},
	{0x7ff00fff, WH_MEM_PRESENT, noise + 0xfff, 1},
	{0x7ff01000, WH_MEM_UNMAPPED, NULL, UINT64_MAX - 0x7ff01000},
};

START_TEST(process_cores)
{
	struct gen_bytes notes = {0}, b = {0};
	struct gen_elf o = {.abi = machines[_i].abi,
			    .machine = machines[_i].machine,
			    .segs = process,
			    .n_segs = 5,
			    .notes = &notes};
	struct wh_dump *d;
	struct wh_mem *m = NULL;
	struct wh_reader *r = NULL;
	enum wh_mem_state s;
	size_t len;

	gen_note(&notes, o.abi, "CORE", 3, "psinfo", 6);
	gen_note(&notes, o.abi, "LINUX", 0x202, "xstate", 7);
	gen_elf(&o, &b);
	d = open_bytes(&b);
	ck_assert_str_eq(d->ops->name, "elf");
	ck_assert_uint_eq(d->cls, WH_DUMP_PROCESS);
	ck_assert_uint_eq(d->n_segs, 5);
	ck_assert_uint_eq(d->segs[1].filesz, 0x1800);
	ck_assert_uint_eq(d->abi.word, o.abi.word);
	ck_assert(machines[_i].name ? !strcmp(d->arch->name, machines[_i].name) : !d->arch);
	ck_assert_ptr_nonnull(wh_dump_find_note(d, "LINUX", 0x202, NULL));
	ck_assert_ptr_null(wh_dump_find_note(d, "LINUX", 3, NULL));
	expect_ok(wh_mem_create(d, &m));
	expect_ok(wh_reader_create(m, &r));
	for (size_t i = 0; i < sizeof(truth) / sizeof(truth[0]); i++) {
		const uint8_t *p = wh_reader_borrow(r, WH_VIRT, truth[i].va, SIZE_MAX, &len, &s);

		ck_assert_uint_eq(s, truth[i].state);
		ck_assert_uint_eq(len, truth[i].run);
		ck_assert_int_eq(p != NULL, truth[i].byte != NULL);
		if (p)
			ck_assert_int_eq(memcmp(p, truth[i].byte, len), 0);
	}
	ck_assert_ptr_null(wh_reader_borrow(r, WH_PHYS, 0x20000, 1, &len, &s));
	wh_reader_destroy(r);
	wh_mem_destroy(m);
	wh_dump_close(d);
	gen_fini(&b);
	gen_fini(&notes);
}
END_TEST

START_TEST(words_and_strings)
{
	struct gen_bytes notes = {0}, b = {0}, mem = {0};
	const struct wh_abi a = machines[_i].abi;
	struct gen_segment seg = {.vaddr = 0x5ff0, .memsz = 0x3000, .filesz = 0x2010, .flags = 6};
	struct gen_elf o = {.abi = a,
			    .machine = machines[_i].machine,
			    .segs = &seg,
			    .n_segs = 1,
			    .notes = &notes};
	struct wh_dump *d;
	struct wh_mem *m = NULL;
	struct wh_reader *r = NULL;
	uint16_t v16 = 7;
	uint32_t v32 = 7;
	uint64_t v64 = 7, word = 7;
	char text[16];
	uint8_t buf[64];
	enum wh_mem_state s;

	gen_put_uint(&mem, a, 0x0c, 8, 0x1122334455667788ull); /* crosses a page */
	gen_put_uint(&mem, a, 0x20, a.word, 0x99aabbcc);
	gen_put_uint(&mem, a, 0x30, 2, 0xbeef);
	gen_put(&mem, 0x1ffe, "across the edge", 16);
	gen_put(&mem, 0x200f, "", 1);
	memset(mem.p + 0x2000, 'z', 0x10); /* the last string has no end */
	seg.data = mem.p;
	gen_note(&notes, a, "CORE", 6, "auxv", 4);
	gen_elf(&o, &b);
	d = open_bytes(&b);
	expect_ok(wh_mem_create(d, &m));
	expect_ok(wh_reader_create(m, &r));
	ck_assert(wh_read_u64(r, 0x5ffc, &v64) && v64 == 0x1122334455667788ull);
	ck_assert(wh_read_word(r, 0x6010, &word) && word == 0x99aabbcc);
	ck_assert(wh_read_u16(r, 0x6020, &v16) && v16 == 0xbeef);
	ck_assert(!wh_read_u32(r, 0x7ffe, &v32) && v32 == 7); /* half of it is not in the file */
	ck_assert(!wh_read_u32(r, UINT64_MAX - 1, &v32) && v32 == 7);
	ck_assert(wh_read_str(r, 0x7fee, text, sizeof(text)));
	ck_assert_int_eq(strncmp(text, "aczzzz", 6), 0);
	ck_assert(wh_read_str(r, 0x7ffe, text, sizeof(text)));
	ck_assert_str_eq(text, "zz"); /* ends where memory ends */
	ck_assert(wh_read_str(r, 0x7ff0, text, 4));
	ck_assert_str_eq(text, "zzz");
	ck_assert(!wh_read_str(r, 0x9000, text, sizeof(text)));
	ck_assert_uint_eq(wh_read_some(r, WH_VIRT, 0x7ff0, buf, 64, &s), 16);
	ck_assert_uint_eq(s, WH_MEM_EXCLUDED);
	wh_reader_destroy(r);
	wh_mem_destroy(m);
	wh_dump_close(d);
	gen_fini(&b);
	gen_fini(&notes);
	gen_fini(&mem);
}
END_TEST

START_TEST(prstatus)
{
	const struct wh_arch *a = wh_arch_find(machines[_i].machine, machines[_i].abi);
	struct gen_bytes b = {0};
	struct wh_regs regs;
	uint32_t pid = 0;

	if (!machines[_i].n_regs)
		return;
	gen_put_uint(&b, a->abi, machines[_i].status - 1, 1, 0);
	gen_put_uint(&b, a->abi, machines[_i].pid, 4, 4711);
	for (uint32_t i = 0; i < machines[_i].n_regs; i++)
		gen_put_uint(&b, a->abi, machines[_i].regs + i * a->abi.word, a->abi.word,
			     1000 + i);
	expect_ok(wh_arch_prstatus(a, b.p, b.n, &pid, &regs));
	ck_assert_uint_eq(pid, 4711);
	ck_assert_uint_eq(regs.n, machines[_i].n_regs);
	for (uint32_t i = 0; i < regs.n; i++)
		ck_assert_uint_eq(regs.v[i], 1000 + i);
	ck_assert(strstr(a->reg_names[a->reg_sp], "sp"));
	expect_error(wh_arch_prstatus(a, b.p, 100, &pid, &regs), "NT_PRSTATUS of 100 bytes");
	gen_fini(&b);
}
END_TEST

/* More than 65,534 mappings, and program headers wherever e_phoff says. */
START_TEST(program_headers_anywhere)
{
	static const struct {
		bool xnum, last;
		size_t phoff;
	} where[] = {{false, false, 0}, {false, true, 0}, {false, false, 192},
		     {true, false, 0},	{true, true, 0},  {true, false, 4096}};
	struct gen_bytes notes = {0}, b = {0};
	struct gen_elf o = {.abi = machines[0].abi,
			    .machine = EM_X86_64,
			    .segs = process,
			    .n_segs = 5,
			    .notes = &notes,
			    .xnum = where[_i].xnum,
			    .phs_last = where[_i].last,
			    .phoff = where[_i].phoff};
	struct wh_dump *d;

	gen_note(&notes, o.abi, "CORE", 3, "psinfo", 6);
	gen_elf(&o, &b);
	d = open_bytes(&b);
	ck_assert_uint_eq(d->n_segs, 5);
	ck_assert_uint_eq(d->n_notes, 1);
	wh_dump_close(d);
	gen_fini(&b);
	gen_fini(&notes);
}
END_TEST

/* Each byte of a cut core is either right or known to be cut off. */
START_TEST(cut_core)
{
	struct gen_bytes notes = {0}, b = {0};
	struct gen_elf o = {.abi = machines[2 * _i].abi,
			    .machine = machines[2 * _i].machine,
			    .segs = process,
			    .n_segs = 5,
			    .notes = &notes};

	gen_note(&notes, o.abi, "CORE", 3, "psinfo", 6);
	gen_elf(&o, &b);
	for (size_t n = 0; n < b.n; n += n < 512 ? 13 : 997) {
		struct wh_dump *d = NULL;
		struct wh_mem *m = NULL;
		struct wh_reader *r = NULL;
		struct wh_err *e = wh_dump_open_mem(ctx, b.p, n, &d);

		if (e) { /* only when the headers themselves are cut */
			ck_assert_uint_lt(n, 64 + 7 * 56);
			wh_err_destroy(e);
			continue;
		}
		ck_assert(d->incomplete);
		expect_ok(wh_mem_create(d, &m));
		expect_ok(wh_reader_create(m, &r));
		for (size_t i = 0; i < d->n_segs; i++)
			for (uint64_t at = 0; at < process[i].filesz; at += 64) {
				enum wh_mem_state s;
				size_t len;
				const uint8_t *p = wh_reader_borrow(
					r, WH_VIRT, process[i].vaddr + at, 1, &len, &s);

				ck_assert_uint_eq(s, p ? WH_MEM_PRESENT : WH_MEM_TRUNCATED);
				ck_assert(!p || *p == process[i].data[at]);
			}
		wh_reader_destroy(r);
		wh_mem_destroy(m);
		wh_dump_close(d);
	}
	gen_fini(&b);
	gen_fini(&notes);
}
END_TEST

/* A vmcore as the kernel, QEMU and makedumpfile -E write them, all in one: p_vaddr 0 and not, a range
 * stored twice, edges inside a page, excluded tails, memory that is no RAM. */
static const struct gen_segment machine[] = {
	{.vaddr = 0xffffffff81000000,
	 .paddr = 0x4000,
	 .memsz = 0x2000,
	 .filesz = 0x2000,
	 .data = noise + 0x4000},
	{.paddr = 0x0, .memsz = 0x3a80, .filesz = 0x3a80, .data = noise},
	{.paddr = 0x3a80, .memsz = 0x4580, .filesz = 0x4580, .data = noise + 0x3a80},
	{.paddr = 0xa000, .memsz = 0x4000, .filesz = 0x1000, .data = noise + 0xa000},
	{.paddr = 0xc000, .memsz = 0x1000, .filesz = 0x1000, .data = noise + 0xc000},
	{.paddr = 0xfd000000, .memsz = 0x1000, .filesz = 0x800, .data = noise + 0xf000},
};

START_TEST(vmcore)
{
	static const char info[] = "OSRELEASE=5.0\nPAGESIZE=4096\n";
	static const struct {
		uint64_t pfn;
		enum wh_mem_state state;
		uint64_t noise;
	} frames[] = {{0, WH_MEM_PRESENT, 0},	     {3, WH_MEM_PRESENT, 0x3000},
		      {5, WH_MEM_PRESENT, 0x5000},   {7, WH_MEM_PRESENT, 0x7000},
		      {8, WH_MEM_UNMAPPED, 0},	     {10, WH_MEM_PRESENT, 0xa000},
		      {11, WH_MEM_EXCLUDED, 0},	     {12, WH_MEM_PRESENT, 0xc000},
		      {13, WH_MEM_EXCLUDED, 0},	     {14, WH_MEM_UNMAPPED, 0},
		      {0xfd000, WH_MEM_EXCLUDED, 0}, {0xfd001, WH_MEM_UNMAPPED, 0}};
	struct gen_bytes notes = {0}, b = {0};
	struct gen_elf o = {.abi = machines[0].abi,
			    .machine = EM_X86_64,
			    .segs = machine,
			    .n_segs = 6,
			    .notes = &notes,
			    .phoff = 192};
	struct wh_scratch *sc = NULL;
	struct wh_mem *m = NULL;
	struct wh_reader *r = NULL;
	struct wh_dump *d;
	enum wh_mem_state s;
	const uint8_t *p;
	uint64_t run;
	size_t len;

	gen_note(&notes, o.abi, "VMCOREINFO", 0, info, strlen(info));
	gen_elf(&o, &b);
	d = open_bytes(&b);
	ck_assert_uint_eq(d->cls, WH_DUMP_PHYSICAL);
	ck_assert_ptr_nonnull(d->vmcoreinfo);
	ck_assert_uint_eq(d->max_pfn, 0xfd001);
	ck_assert_uint_eq(d->pages[WH_MEM_PRESENT], 10);
	ck_assert_uint_eq(d->pages[WH_MEM_EXCLUDED], 3);
	ck_assert_uint_eq(d->pages[WH_MEM_UNMAPPED], 0xfd001 - 13);
	expect_ok(wh_scratch_create(&sc));
	expect_ok(wh_mem_create(d, &m));
	expect_ok(wh_reader_create(m, &r));
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		ck_assert_uint_eq(d->ops->page_state(d, sc, frames[i].pfn, &run), frames[i].state);
		if (frames[i].state != WH_MEM_PRESENT)
			continue;
		for (size_t at = 0; at < 4096; at += len) { /* pieces when an edge is inside */
			p = wh_reader_borrow(r, WH_PHYS, frames[i].pfn * 4096 + at, 4096 - at, &len,
					     &s);
			ck_assert_ptr_nonnull(p);
			ck_assert_int_eq(memcmp(p, noise + frames[i].noise + at, len), 0);
		}
	}
	p = wh_reader_borrow(r, WH_PHYS, 0xfd000000, 4096, &len, &s);
	ck_assert(p && len == 0x800 && !memcmp(p, noise + 0xf000, len));
	wh_reader_destroy(r);
	wh_mem_destroy(m);
	wh_scratch_destroy(sc);
	wh_dump_close(d);
	gen_fini(&b);
	gen_fini(&notes);
}
END_TEST

/* What people open by mistake, and headers that lie: one clear line each. */
static const struct {
	const char *bytes;
	size_t n;
	const char *error;
} strangers[] = {
	{"", 0, "the file is empty"},
	{"hello, world\n", 13, "a text file"},
	{"\x01\x02\x03\x04", 4, "nothing that weephole knows"},
	{"MDMP....", 8, "a Windows minidump"},
	{"PK\3\4....", 8, "a zip archive"},
	{"\177ELF", 4, "ends inside the ELF header"},
	{"KDUMP   ", 8, "ends inside the kdump header"},
	{"\177ELF\7\1\1.........................................................", 64,
	 "ELF class 7"},
};

START_TEST(strangers_get_one_clear_line)
{
	struct wh_dump *d = NULL;

	expect_error(wh_dump_open_mem(ctx, strangers[_i].bytes, strangers[_i].n, &d),
		     strangers[_i].error);
}
END_TEST

static const struct {
	size_t off, size;
	uint64_t value;
	const char *error; /* NULL: opens, perhaps with less */
} lies[] = {
	{16, 2, ET_EXEC, "this is an executable, expected a core"},
	{16, 2, ET_DYN, "executable or shared library"},
	{16, 2, ET_REL, "object file or kernel module"},
	{32, 8, UINT64_MAX, "without any memory"},
	{32, 8, 1ull << 40, "without any memory"},
	{54, 2, 0, "program headers of 0 bytes"},
	{54, 2, 55, "program headers of 55 bytes"},
	{56, 2, 0, "without any memory"},
	{56, 2, 0xfffe, NULL},
	{56, 2, 0xffff, "no section header"},
	{64 + 8, 8, UINT64_MAX - 5, NULL},  /* notes: offset */
	{64 + 32, 8, UINT64_MAX, NULL},	    /* notes: size */
	{120 + 8, 8, UINT64_MAX - 1, NULL}, /* first segment: offset */
	{120 + 16, 8, UINT64_MAX - 1, NULL},
	{120 + 32, 8, UINT64_MAX, NULL},
	{120 + 40, 8, UINT64_MAX, NULL},
	{176 + 32, 8, UINT64_MAX, NULL},
	{176 + 16, 8, UINT64_MAX, NULL},
};

START_TEST(lying_headers)
{
	struct gen_bytes notes = {0}, b = {0};
	struct gen_elf o = {.abi = machines[0].abi,
			    .machine = EM_X86_64,
			    .segs = process,
			    .n_segs = 5,
			    .notes = &notes};
	struct wh_dump *d = NULL;
	struct wh_mem *m = NULL;
	struct wh_reader *r = NULL;
	uint64_t va = 0;

	gen_note(&notes, o.abi, "CORE", 3, "psinfo", 6);
	gen_elf(&o, &b);
	gen_put_uint(&b, o.abi, lies[_i].off, lies[_i].size, lies[_i].value);
	if (lies[_i].error) {
		expect_error(wh_dump_open_mem(ctx, b.p, b.n, &d), lies[_i].error);
	} else {
		d = open_bytes(&b);
		expect_ok(wh_mem_create(d, &m));
		expect_ok(wh_reader_create(m, &r));
		for (int i = 0; i < 1000 && va != UINT64_MAX; i++) { /* runs always move on */
			enum wh_mem_state s;
			size_t len = 0;

			wh_reader_borrow(r, WH_VIRT, va, 4096, &len, &s);
			ck_assert_uint_gt(len, 0);
			va = len < UINT64_MAX - va ? va + len : UINT64_MAX;
		}
		ck_assert_uint_eq(va, UINT64_MAX);
		wh_reader_destroy(r);
		wh_mem_destroy(m);
		wh_dump_close(d);
	}
	gen_fini(&b);
	gen_fini(&notes);
}
END_TEST

/* Notes that lie about their sizes: what comes before them is kept. */
START_TEST(lying_notes)
{
	static const struct {
		size_t off;
		uint32_t value;
		size_t kept;
	} cases[] = {{0, 0xffffffff, 0},  {4, 0xffffffff, 0}, {4, 0xfffffffc, 0},
		     {28, 0x7fffffff, 1}, {32, 1000, 1},      {0, 0, 1}};
	struct gen_bytes notes = {0}, b = {0};
	struct gen_elf o = {.abi = machines[0].abi,
			    .machine = EM_X86_64,
			    .segs = process,
			    .n_segs = 5,
			    .notes = &notes};
	struct wh_dump *d;

	gen_note(&notes, o.abi, "CORE", 3, "12345678", 8);
	gen_note(&notes, o.abi, "CORE", 6, "12345678", 8);
	gen_put_uint(&notes, o.abi, cases[_i].off, 4, cases[_i].value);
	gen_elf(&o, &b);
	d = open_bytes(&b);
	ck_assert_uint_ge(d->n_notes, cases[_i].kept);
	wh_dump_close(d);
	gen_fini(&b);
	gen_fini(&notes);
}
END_TEST

/* Files laid over addresses: the dump wins, the file fills, the rest stays absent. */
START_TEST(overlay)
{
	struct gen_bytes notes = {0}, b = {0};
	struct gen_elf o = {.abi = machines[0].abi,
			    .machine = EM_X86_64,
			    .segs = process,
			    .n_segs = 5,
			    .notes = &notes};
	struct wh_dump *d;
	struct wh_mem *m = NULL;
	struct wh_reader *r = NULL;
	struct wh_stream *f = NULL;
	static const struct {
		uint64_t va;
		enum wh_mem_state s;
		size_t len;
		size_t at; /* in noise, 0x80000 on: the file */
	} want[] = {
		{0x10000, WH_MEM_EXCLUDED, 0x1000, 0},
		{0x11000, WH_MEM_FILE_BACKED, 0x2000, 0x80000},
		{0x12fff, WH_MEM_FILE_BACKED, 1, 0x81fff},
		{0x13000, WH_MEM_FILE_BACKED, 0x800, 0x82000}, /* unmapped in the dump */
		{0x13800, WH_MEM_UNMAPPED, 0xc800, 0},
		{0x20000, WH_MEM_PRESENT, 0x1800, 0},
		{0x21800, WH_MEM_FILE_BACKED, 0x800, 0x80800},
		{0x22000, WH_MEM_EXCLUDED, 0x1000, 0},
	};

	gen_note(&notes, o.abi, "CORE", 3, "psinfo", 6);
	gen_elf(&o, &b);
	d = open_bytes(&b);
	expect_ok(wh_mem_create(d, &m));
	expect_ok(wh_stream_open_mem(ctx, noise + 0x80000, 0x2800, "lib.so", &f));
	expect_ok(wh_mem_add_file(m, 0x11000, 0x10000, f, 0)); /* longer than the file */
	expect_ok(wh_stream_open_mem(ctx, noise + 0x80000, 0x1000, "lib.so", &f));
	expect_ok(wh_mem_add_file(m, 0x21000, 0x1000, f, 0));
	expect_ok(wh_reader_create(m, &r));
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		enum wh_mem_state s;
		size_t len;
		const uint8_t *p = wh_reader_borrow(r, WH_VIRT, want[i].va, SIZE_MAX, &len, &s);

		ck_assert_uint_eq(s, want[i].s);
		ck_assert_uint_eq(len, want[i].len);
		if (p)
			ck_assert_int_eq(memcmp(p, noise + want[i].at, len), 0);
	}
	wh_reader_destroy(r);
	wh_mem_destroy(m);
	wh_dump_close(d);
	gen_fini(&b);
	gen_fini(&notes);
}
END_TEST

START_TEST(vmcoreinfo_values)
{
	static const char text[] =
		"OSRELEASE=6.1\nSYMBOL(a)=ffffffff81000000\nOFFSET(p.q)=24\nSIZE(p)=64\n"
		"LENGTH(z)=5\nNUMBER(neg)=-2097152\nNUMBER(hex)=0xfffffbffff000000\n"
		"SYMBOL(bad)=xyz\nSIZE(neg)=-1\nnonsense\n=empty\nKEY=\nSYMBOL(a)=10\nOFFSET(p.r)=";
	struct wh_vmcoreinfo *v = NULL;
	uint64_t x = 77;
	int64_t n = 0;

	expect_ok(wh_vmcoreinfo_create(text, strlen(text), &v));
	ck_assert_str_eq(wh_vmcoreinfo_find(v, "OSRELEASE"), "6.1");
	ck_assert_str_eq(wh_vmcoreinfo_find(v, "KEY"), "");
	ck_assert_ptr_null(wh_vmcoreinfo_find(v, "OSRELEAS"));
	ck_assert(wh_vmcoreinfo_symbol(v, "a", &x) && x == 0x10); /* the last one wins */
	ck_assert(wh_vmcoreinfo_offset(v, "p.q", &x) && x == 24);
	ck_assert(wh_vmcoreinfo_size(v, "p", &x) && x == 64);
	ck_assert(wh_vmcoreinfo_length(v, "z", &x) && x == 5);
	ck_assert(wh_vmcoreinfo_number(v, "neg", &n) && n == -2097152);
	ck_assert(wh_vmcoreinfo_number(v, "hex", &n) && (uint64_t)n == 0xfffffbffff000000);
	x = 77;
	ck_assert(!wh_vmcoreinfo_symbol(v, "bad", &x) && !wh_vmcoreinfo_size(v, "neg", &x));
	ck_assert(!wh_vmcoreinfo_offset(v, "p.r", &x) && !wh_vmcoreinfo_symbol(v, "none", &x));
	ck_assert_uint_eq(x, 77);
	ck_assert_str_eq(wh_vmcoreinfo_text(v), text);
	wh_vmcoreinfo_destroy(v);
}
END_TEST

#define N(a) (int)(sizeof(a) / sizeof((a)[0]))
static void add(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, process_cores, 0, (int)N_MACHINES);
	tcase_add_loop_test(t, words_and_strings, 0, (int)N_MACHINES);
	tcase_add_loop_test(t, prstatus, 0, (int)N_MACHINES);
	tcase_add_loop_test(t, program_headers_anywhere, 0, 6);
	tcase_add_loop_test(t, cut_core, 0, 3);
	tcase_add_test(t, vmcore);
	tcase_add_loop_test(t, strangers_get_one_clear_line, 0, N(strangers));
	tcase_add_loop_test(t, lying_headers, 0, N(lies));
	tcase_add_loop_test(t, lying_notes, 0, 6);
	tcase_add_test(t, overlay);
	tcase_add_test(t, vmcoreinfo_values);
}

int main(void)
{
	return run_suite("formats-elf", add);
}
