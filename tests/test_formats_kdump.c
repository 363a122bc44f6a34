/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <unistd.h>

#include "formats/mem.h"
#include "formats/pagemap.h"
#include "formats/scratch.h"
#include "tests/gen/expect.h"
#include "tests/gen/gen.h"

static const struct wh_abi le64 = {.big_endian = false, .word = 8};
static const char vmcoreinfo[] = "OSRELEASE=6.1.0-gen\nPAGESIZE=4096\nCRASHTIME=1700000000\n";

static struct wh_ctx *ctx;

static void setup(void)
{
	expect_ok(wh_ctx_create(2, &ctx));
}

static void teardown(void)
{
	wh_ctx_destroy(ctx);
}

static enum wh_mem_state expected_state(uint8_t s)
{
	static const enum wh_mem_state map[] = {[GEN_HOLE] = WH_MEM_UNMAPPED,
						[GEN_EXCLUDED] = WH_MEM_EXCLUDED,
						[GEN_PRESENT] = WH_MEM_PRESENT,
						[GEN_LOST] = WH_MEM_TRUNCATED};

	return map[s];
}

/* Every frame: its state, its bytes; through page_state, whole borrows and small reads. */
static void expect_memory(const struct wh_dump *d, const struct gen_memory *m, bool holes_known)
{
	struct wh_scratch *sc = NULL;
	struct wh_mem *mem = NULL;
	struct wh_reader *r = NULL;
	uint64_t counts[WH_MEM_STATE_COUNT] = {0};

	expect_ok(wh_scratch_create(&sc));
	expect_ok(wh_mem_create(d, &mem));
	expect_ok(wh_reader_create(mem, &r));
	for (uint64_t i = 0; i < m->n; i++) {
		enum wh_mem_state want = expected_state(m->state[i]), got;
		const uint8_t *src = m->bytes + i * m->page_size, *p;
		uint64_t run;
		uint8_t small[16];
		size_t len;

		if (want == WH_MEM_UNMAPPED && !holes_known)
			want = WH_MEM_EXCLUDED;
		counts[want]++;
		ck_assert_uint_eq(d->ops->page_state(d, sc, i, &run), want);
		ck_assert_uint_ge(run, 1);
		for (uint64_t j = 1; j < run && i + j < m->n; j++)
			ck_assert(m->state[i + j] != GEN_PRESENT);
		p = wh_reader_borrow(r, WH_PHYS, i * m->page_size, m->page_size, &len, &got);
		ck_assert_uint_eq(got, want);
		ck_assert_int_eq(p != NULL, want == WH_MEM_PRESENT);
		if (p) {
			ck_assert_uint_eq(len, m->page_size);
			ck_assert_int_eq(memcmp(p, src, len), 0);
		}
		len = wh_read_some(r, WH_PHYS, i * m->page_size + 64, small, sizeof(small), &got);
		ck_assert_uint_eq(len, want == WH_MEM_PRESENT ? sizeof(small) : 0);
		ck_assert_int_eq(memcmp(small, src + 64, len), 0);
	}
	for (size_t s = 0; s < WH_MEM_STATE_COUNT; s++)
		ck_assert_uint_eq(d->pages[s], counts[s]);
	ck_assert_uint_eq(d->ops->page_state(d, sc, d->max_pfn, &(uint64_t){0}), WH_MEM_UNMAPPED);
	wh_reader_destroy(r);
	wh_mem_destroy(mem);
	wh_scratch_destroy(sc);
}

static struct gen_kdump usual(enum gen_codec codec)
{
	return (struct gen_kdump){.abi = le64,
				  .layout = GEN_LP64,
				  .machine = "x86_64",
				  .version = 6,
				  .codec = codec,
				  .dump_level = 31,
				  .vmcoreinfo = vmcoreinfo,
				  .time = 1600000000};
}

static struct wh_dump *open_bytes(const struct gen_bytes *b)
{
	struct wh_dump *d = NULL;

	expect_ok(wh_dump_open_mem(ctx, b->p, b->n, &d));
	return d;
}

static const char *const codec_names[GEN_CODECS] = {"none", "zlib+none", "lzo+none", "snappy+none",
						    "zstd+none"};

START_TEST(codecs_and_page_sizes)
{
	static const uint32_t sizes[] = {4096, 16384, 65536};
	struct gen_kdump o = usual((enum gen_codec)(_i / 3));
	struct gen_memory m;
	struct gen_bytes b = {0}, flat = {0};
	const struct gen_flatten fo = {.record = 3000, .shuffle = 5};
	struct wh_dump *d;

	gen_memory_mixed(&m, sizes[_i % 3], 100, (uint64_t)_i + 1);
	gen_kdump(&m, &o, &b);
	d = open_bytes(&b);
	ck_assert_str_eq(d->ops->name, "kdump");
	ck_assert_str_eq(d->codec, codec_names[o.codec]);
	ck_assert_uint_eq(d->page_size, m.page_size);
	ck_assert_uint_eq(d->max_pfn, m.n);
	ck_assert_int_eq(d->dump_level, 31);
	ck_assert_uint_eq(d->crash_time, 1700000000);
	ck_assert_str_eq(d->utsname[2], "6.1.0-gen");
	ck_assert_str_eq(d->arch->name, "x86_64");
	ck_assert_ptr_nonnull(d->vmcoreinfo);
	ck_assert(!d->incomplete && !d->split);
	expect_memory(d, &m, true);
	wh_dump_close(d);

	gen_flatten(&b, &fo, &flat);
	d = open_bytes(&flat);
	expect_memory(d, &m, true);
	wh_dump_close(d);
	gen_fini(&b);
	gen_fini(&flat);
	gen_memory_fini(&m);
}
END_TEST

/* Which fields count depends on the version; every word size and byte order. */
static const struct {
	const char *machine;
	struct wh_abi abi;
	enum gen_layout layout;
} machines[] = {
	{"x86_64", {false, 8}, GEN_LP64},	  {"aarch64", {false, 8}, GEN_LP64},
	{"ppc64", {true, 8}, GEN_LP64},		  {"i686", {false, 4}, GEN_ILP32_ALIGN4},
	{"armv7l", {false, 4}, GEN_ILP32_ALIGN8}, {"sparc64", {true, 8}, GEN_LP64},
};
#define N_MACHINES (sizeof(machines) / sizeof(machines[0]))

START_TEST(versions_and_machines)
{
	uint32_t version = (uint32_t)(_i / (int)N_MACHINES) + 1;
	size_t mi = (size_t)_i % N_MACHINES;
	struct gen_kdump o = usual(GEN_ZLIB);
	struct gen_bytes b = {0}, notes = {0};
	struct gen_memory m;
	struct wh_dump *d;

	o.machine = machines[mi].machine;
	o.abi = machines[mi].abi;
	o.layout = machines[mi].layout;
	o.version = version;
	o.one_bitmap = version == 2;
	if (version == 4)
		o.vmcoreinfo = NULL; /* then the note has it */
	gen_note(&notes, o.abi, "CORE", 1, "status", 6);
	gen_note(&notes, o.abi, "VMCOREINFO", 0, vmcoreinfo, strlen(vmcoreinfo));
	o.notes = &notes;
	gen_memory_mixed(&m, 4096, 333, 3);
	m.state[20] = m.state[300] = GEN_LOST;
	gen_kdump(&m, &o, &b);
	d = open_bytes(&b);
	ck_assert_uint_eq(d->header_version, version);
	ck_assert_int_eq(d->abi.big_endian, o.abi.big_endian);
	ck_assert_int_eq(d->vmcoreinfo != NULL, version >= 3);
	ck_assert_int_eq(wh_dump_find_note(d, "CORE", 1, NULL) != NULL, version >= 4);
	expect_memory(d, &m, !o.one_bitmap);
	wh_dump_close(d);
	gen_fini(&b);
	gen_fini(&notes);
	gen_memory_fini(&m);
}
END_TEST

/* Writes @b to a file of its own; *path is its name. */
static void to_file(const struct gen_bytes *b, char path[32])
{
	int fd;

	strcpy(path, "/tmp/weephole-test-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, b->p, b->n), (ssize_t)b->n);
	close(fd);
}

static const uint64_t cuts[4] = {0, 100, 101, 500};

START_TEST(split_in_any_order)
{
	static const size_t orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}};
	struct gen_memory m;
	char names[3][32];
	const char *paths[3];
	struct wh_dump *d = NULL;

	gen_memory_mixed(&m, 4096, 500, 77);
	for (size_t i = 0; i < 3; i++) {
		struct gen_kdump o = usual(GEN_LZO);
		struct gen_bytes b = {0};

		o.split = true;
		o.start = cuts[i];
		o.end = cuts[i + 1];
		gen_kdump(&m, &o, &b);
		to_file(&b, names[i]);
		gen_fini(&b);
	}
	for (size_t i = 0; i < 3; i++)
		paths[i] = names[orders[_i][i]];
	expect_ok(wh_dump_open(ctx, paths, 3, &d));
	ck_assert(d->split);
	expect_memory(d, &m, true);
	wh_dump_close(d);

	/* One part is missing: its pages are lost, the others are all there. */
	paths[0] = names[0];
	paths[1] = names[2];
	expect_ok(wh_dump_open(ctx, paths, 2, &d));
	ck_assert(has_diag(ctx, "split-part-missing"));
	m.state[100] = m.state[100] == GEN_PRESENT ? GEN_LOST : m.state[100];
	expect_memory(d, &m, true);
	wh_dump_close(d);

	/* The same part twice. */
	paths[1] = names[0];
	expect_error(wh_dump_open(ctx, paths, 2, &d), "another part owns");
	for (size_t i = 0; i < 3; i++)
		unlink(names[i]);
	gen_memory_fini(&m);
}
END_TEST

START_TEST(mixed_up_files)
{
	struct gen_memory m;
	struct gen_kdump o = usual(GEN_ZLIB);
	struct gen_bytes b[3] = {0};
	char names[3][32];
	const char *paths[2] = {names[0], names[1]};
	struct wh_dump *d = NULL;

	gen_memory_mixed(&m, 4096, 500, 78);
	gen_kdump(&m, &o, &b[0]);
	o.split = true;
	o.end = 250;
	gen_kdump(&m, &o, &b[1]);
	o.start = 250;
	o.end = 500;
	o.time++;
	gen_kdump(&m, &o, &b[2]);
	for (size_t i = 0; i < 3; i++)
		to_file(&b[i], names[i]);
	expect_error(wh_dump_open(ctx, paths, 2, &d), "not a part of a split dump");
	paths[0] = names[2];
	expect_error(wh_dump_open(ctx, paths, 2, &d), "belongs to another split dump");
	paths[0] = names[1];
	paths[1] = "/bin/sh";
	expect_error(wh_dump_open(ctx, paths, 2, &d), "not a kdump");
	for (size_t i = 0; i < 3; i++) {
		unlink(names[i]);
		gen_fini(&b[i]);
	}
	gen_memory_fini(&m);
}
END_TEST

/* A cut anywhere: an error, or every frame that reads reads right and the others say why not. */
START_TEST(cut_anywhere)
{
	struct gen_memory m;
	struct gen_kdump o = usual(GEN_ZSTD);
	struct gen_bytes b = {0};

	gen_memory_mixed(&m, 4096, 200, 5);
	gen_kdump(&m, &o, &b);
	for (size_t n = 0; n < b.n; n += n < 20000 ? 509 : 20011) {
		struct wh_dump *d = NULL;
		struct wh_mem *mem = NULL;
		struct wh_reader *r = NULL;
		struct wh_err *e = wh_dump_open_mem(ctx, b.p, n, &d);

		if (e) {
			ck_assert_uint_lt(n, 3 * 4096);
			wh_err_destroy(e);
			continue;
		}
		ck_assert_uint_gt(d->pages[WH_MEM_TRUNCATED], 0);
		ck_assert(d->incomplete);
		expect_ok(wh_mem_create(d, &mem));
		expect_ok(wh_reader_create(mem, &r));
		for (uint64_t i = 0; i < m.n; i++) {
			enum wh_mem_state s;
			size_t len;
			const uint8_t *p = wh_reader_borrow(r, WH_PHYS, i * 4096, 4096, &len, &s);

			if (p)
				ck_assert_int_eq(memcmp(p, m.bytes + i * 4096, 4096), 0);
			else if (m.state[i] == GEN_PRESENT)
				ck_assert_uint_eq(s, WH_MEM_TRUNCATED);
		}
		wh_reader_destroy(r);
		wh_mem_destroy(mem);
		wh_dump_close(d);
	}
	gen_fini(&b);
	gen_memory_fini(&m);
}
END_TEST

/* One field with one value that no writer puts there: the error, or NULL when it can be lived with. */
static const struct {
	size_t off, size;
	uint64_t value;
	const char *error, *diag;
} lies[] = {
	{428, 4, 0, "block size 0", NULL},
	{428, 4, 4095, "block size 4095", NULL},
	{428, 4, 0xffffffff, "block size", NULL},
	{432, 4, 0, "sub header of 0 blocks", NULL},
	{432, 4, 0x7fffffff, "sub header of", NULL},
	{436, 4, 0, NULL, "kdump-bad-header"},
	{436, 4, 0xffffffff, NULL, NULL},
	{4096 + 96, 8, 1ull << 60, NULL, "kdump-bad-header"},
	{4096 + 96, 8, UINT64_MAX, NULL, "kdump-bad-header"},
	{4096 + 32, 8, UINT64_MAX - 10, NULL, "kdump-bad-header"},
	{4096 + 40, 8, 1ull << 62, NULL, "kdump-bad-header"},
	{4096 + 48, 8, 1ull << 40, NULL, NULL},
	{4096 + 12, 4, 77, NULL, NULL},
	{8, 4, 0xffffffff, NULL, NULL},
};

START_TEST(lying_headers)
{
	struct gen_memory m;
	struct gen_kdump o = usual(GEN_ZLIB);
	struct gen_bytes b = {0};
	struct wh_dump *d = NULL;

	gen_memory_mixed(&m, 4096, 200, 6);
	gen_kdump(&m, &o, &b);
	gen_put_uint(&b, le64, lies[_i].off, lies[_i].size, lies[_i].value);
	if (lies[_i].error) {
		expect_error(wh_dump_open_mem(ctx, b.p, b.n, &d), lies[_i].error);
	} else {
		expect_ok(wh_dump_open_mem(ctx, b.p, b.n, &d));
		wh_dump_close(d);
	}
	if (lies[_i].diag)
		ck_assert(has_diag(ctx, lies[_i].diag));
	gen_fini(&b);
	gen_memory_fini(&m);
}
END_TEST

/* Page descriptors that lie: the page is CORRUPT or TRUNCATED, its neighbours are untouched. */
static const struct {
	size_t off, size;
	uint64_t value;
	enum wh_mem_state want;
} desc_lies[] = {
	{0, 8, 0, WH_MEM_TRUNCATED},	    {0, 8, 1ull << 40, WH_MEM_TRUNCATED},
	{0, 8, UINT64_MAX, WH_MEM_CORRUPT}, {0, 8, 4096, WH_MEM_CORRUPT},
	{8, 4, 0, WH_MEM_CORRUPT},	    {8, 4, 0xffffffff, WH_MEM_CORRUPT},
	{12, 4, 0x40, WH_MEM_CORRUPT},	    {12, 4, 3, WH_MEM_CORRUPT},
	{12, 4, 0, WH_MEM_CORRUPT}, /* "stored plainly", with the size of compressed data */
	{12, 4, 2, WH_MEM_CORRUPT},	    {12, 4, 4, WH_MEM_CORRUPT},
	{12, 4, 0x20, WH_MEM_CORRUPT},
};

START_TEST(lying_descriptors)
{
	struct gen_memory m;
	struct gen_kdump o = usual(GEN_ZLIB);
	struct gen_bytes b = {0};
	struct wh_dump *d;
	struct wh_mem *mem = NULL;
	struct wh_reader *r = NULL;
	enum wh_mem_state s;
	const uint8_t *p;
	size_t len;

	gen_memory_mixed(&m, 4096, 64, 9);
	memset(m.state, GEN_PRESENT, 64);
	memset(m.bytes, 'a', 3 * 4096); /* compresses */
	gen_kdump(&m, &o, &b);
	/* header, sub header, two bitmaps, then the descriptors; the second one is that of frame 1 */
	gen_put_uint(&b, le64, 4 * 4096 + 24 + desc_lies[_i].off, desc_lies[_i].size,
		     desc_lies[_i].value);
	d = open_bytes(&b);
	expect_ok(wh_mem_create(d, &mem));
	expect_ok(wh_reader_create(mem, &r));
	for (uint64_t i = 0; i < 3; i++) {
		p = wh_reader_borrow(r, WH_PHYS, i * 4096, 4096, &len, &s);
		ck_assert_uint_eq(s, i == 1 ? desc_lies[_i].want : WH_MEM_PRESENT);
		if (p)
			ck_assert_int_eq(memcmp(p, m.bytes + i * 4096, 4096), 0);
		else
			ck_assert_uint_eq(len, 4096);
	}
	wh_reader_destroy(r);
	wh_mem_destroy(mem);
	wh_dump_close(d);
	gen_fini(&b);
	gen_memory_fini(&m);
}
END_TEST

/* A header that claims 2^40 frames over a flattened stream of the right size costs next to nothing. */
START_TEST(huge_max_mapnr)
{
	static const struct wh_abi be = {.big_endian = true, .word = 8};
	struct gen_memory m;
	struct gen_kdump o = usual(GEN_ZLIB);
	const struct gen_flatten fo = {.record = 4096};
	struct gen_bytes b = {0}, f = {0};
	struct wh_dump *d = NULL;

	gen_memory_mixed(&m, 4096, 100, 6);
	gen_kdump(&m, &o, &b);
	gen_put_uint(&b, le64, 436, 4, 1u << 18); /* bitmap blocks: 2^32 frames each */
	gen_put_uint(&b, le64, 4096 + 96, 8, 1ull << 31);
	gen_flatten(&b, &fo, &f);
	f.n -= 16; /* instead of the end: a record far away */
	gen_put_uint(&f, be, f.n, 8, 1ull << 45);
	gen_put_uint(&f, be, f.n, 8, 4);
	gen_append(&f, "abcd", 4);
	expect_ok(wh_dump_open_mem(ctx, f.p, f.n, &d));
	ck_assert_uint_eq(d->max_pfn, 1ull << 31);
	wh_dump_close(d);
	gen_fini(&b);
	gen_fini(&f);
	gen_memory_fini(&m);
}
END_TEST

START_TEST(pagemap_ranks)
{
	const uint64_t n = (2ull << WH_PAGEMAP_CHUNK) + 12345;
	struct gen_bytes b = {0};
	struct wh_stream *s = NULL;
	struct wh_pagemap m;
	uint64_t seed = 3, rank = 0, next = 0;

	gen_put(&b, (n + 7) / 8 - 1, "\xff", 1); /* the padding bits are not frames */
	for (int i = 0; i < 5000; i++) {
		uint64_t bit = gen_rand(&seed) % n;

		if (bit >> WH_PAGEMAP_CHUNK != 1) /* the second chunk stays empty */
			b.p[bit / 8] |= (uint8_t)(1u << bit % 8);
	}
	expect_ok(wh_stream_open_mem(ctx, b.p, b.n, "bits", &s));
	expect_ok(wh_pagemap_load(&m, ctx, s, 0, n));
	ck_assert_ptr_null(m.chunks[1]);
	for (uint64_t i = 0; i < n; i++) {
		bool set = b.p[i / 8] >> (i % 8) & 1;

		if (i % 97 == 0 || set)
			ck_assert_uint_eq(wh_pagemap_rank(&m, i), rank);
		if (i >= next) {
			next = wh_pagemap_next(&m, i, UINT64_MAX);
			ck_assert(next >= n || (b.p[next / 8] >> (next % 8) & 1));
		}
		if (set) {
			ck_assert_uint_eq(i, next); /* nothing was skipped */
			next = i + 1;
		}
		ck_assert_int_eq(wh_pagemap_test(&m, i), set);
		rank += set;
	}
	ck_assert_uint_eq(m.set, rank);
	ck_assert_uint_eq(wh_pagemap_rank(&m, n), rank);
	wh_pagemap_fini(&m);
	wh_stream_close(s);
	gen_fini(&b);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, codecs_and_page_sizes, 0, 3 * GEN_CODECS);
	tcase_add_loop_test(t, versions_and_machines, 0, 6 * (int)N_MACHINES);
	tcase_add_loop_test(t, split_in_any_order, 0, 3);
	tcase_add_test(t, mixed_up_files);
	tcase_add_test(t, cut_anywhere);
	tcase_add_loop_test(t, lying_headers, 0, sizeof(lies) / sizeof(lies[0]));
	tcase_add_loop_test(t, lying_descriptors, 0, sizeof(desc_lies) / sizeof(desc_lies[0]));
	tcase_add_test(t, huge_max_mapnr);
	tcase_add_test(t, pagemap_ranks);
}

int main(void)
{
	return run_suite("formats-kdump", add);
}
