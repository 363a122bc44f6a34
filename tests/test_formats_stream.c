/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <lz4frame.h>
#include <lzma.h>
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "formats/scratch.h"
#include "formats/stream.h"
#include "tests/gen/expect.h"
#include "tests/gen/gen.h"

/* Content with runs of zeros (holes in the spool) and noise, not a multiple of any block size. */
static void make_content(struct gen_bytes *b, size_t n)
{
	uint64_t seed = 7;

	for (size_t i = 0; i < n; i++) {
		uint8_t c = i / 5000 % 3 ? (uint8_t)gen_rand(&seed) : 0;

		gen_append(b, &c, 1);
	}
}

static void wrap_zstd(const struct gen_bytes *in, struct gen_bytes *out)
{
	size_t cap = ZSTD_compressBound(in->n);
	void *t = malloc(cap);
	ZSTD_CCtx *z = ZSTD_createCCtx();

	ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
	gen_append(out, t, ZSTD_compress2(z, t, cap, in->p, in->n));
	ZSTD_freeCCtx(z);
	free(t);
}

static void wrap_gzip(const struct gen_bytes *in, struct gen_bytes *out)
{
	z_stream z = {0};
	size_t cap = in->n + in->n / 100 + 1024;
	uint8_t *t = malloc(cap);

	ck_assert_int_eq(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = in->p;
	z.avail_in = (uInt)in->n;
	z.next_out = t;
	z.avail_out = (uInt)cap;
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	gen_append(out, t, cap - z.avail_out);
	deflateEnd(&z);
	free(t);
}

static void wrap_xz(const struct gen_bytes *in, struct gen_bytes *out)
{
	size_t cap = lzma_stream_buffer_bound(in->n), n = 0;
	uint8_t *t = malloc(cap);

	ck_assert_int_eq(
		lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, in->p, in->n, t, &n, cap),
		LZMA_OK);
	gen_append(out, t, n);
	free(t);
}

static void wrap_lz4(const struct gen_bytes *in, struct gen_bytes *out)
{
	const LZ4F_preferences_t prefs = {
		.frameInfo = {.contentChecksumFlag = LZ4F_contentChecksumEnabled}};
	size_t cap = LZ4F_compressFrameBound(in->n, &prefs);
	void *t = malloc(cap);

	gen_append(out, t, LZ4F_compressFrame(t, cap, in->p, in->n, &prefs));
	free(t);
}

static const struct {
	const char *name;
	void (*wrap)(const struct gen_bytes *in, struct gen_bytes *out);
} wrappers[] = {{"zstd", wrap_zstd}, {"gzip", wrap_gzip}, {"xz", wrap_xz}, {"lz4", wrap_lz4}};
#define N_WRAPPERS (sizeof(wrappers) / sizeof(wrappers[0]))

static struct wh_ctx *ctx;

static void setup(void)
{
	expect_ok(wh_ctx_create(1, &ctx));
}

static void teardown(void)
{
	wh_ctx_destroy(ctx);
}

static struct wh_stream *open_bytes(const struct gen_bytes *b)
{
	struct wh_stream *s = NULL;

	expect_ok(wh_stream_open_mem(ctx, b->p, b->n, "test", &s));
	return s;
}

/* Every byte, through reads of odd sizes. */
static void expect_content(const struct wh_stream *s, const struct gen_bytes *want, size_t n)
{
	uint8_t buf[1500];

	for (size_t at = 0; at < n;) {
		size_t got = wh_stream_read(s, at, buf, sizeof(buf)), k = n - at;

		ck_assert_uint_ge(got, k < sizeof(buf) ? k : sizeof(buf));
		ck_assert_int_eq(memcmp(buf, want->p + at, k < got ? k : got), 0);
		at += got;
	}
}

START_TEST(plain_memory)
{
	struct gen_bytes b = {0};
	struct wh_stream *s;
	uint8_t t[8];

	make_content(&b, 10000);
	s = open_bytes(&b);
	ck_assert_uint_eq(wh_stream_size(s), b.n);
	ck_assert_str_eq(wh_stream_wrappers(s), "");
	expect_content(s, &b, b.n);
	ck_assert_ptr_eq(wh_stream_borrow(s, 100, 9900), b.p + 100);
	ck_assert_ptr_null(wh_stream_borrow(s, 100, 9901));
	ck_assert_ptr_null(wh_stream_borrow(s, UINT64_MAX, 1));
	ck_assert_uint_eq(wh_stream_read(s, 9996, t, 8), 4);
	ck_assert_uint_eq(wh_stream_read(s, UINT64_MAX, t, 8), 0);
	wh_stream_close(s);
	gen_fini(&b);
}
END_TEST

START_TEST(every_wrapper)
{
	struct gen_bytes b = {0}, z = {0}, twice = {0}, both = {0};
	struct wh_stream *s;

	make_content(&b, 700001);
	wrappers[_i].wrap(&b, &z);
	s = open_bytes(&z);
	ck_assert_uint_eq(wh_stream_size(s), b.n);
	ck_assert_str_eq(wh_stream_wrappers(s), wrappers[_i].name);
	ck_assert(!wh_stream_truncated(s));
	expect_content(s, &b, b.n);
	wh_stream_close(s);

	/* Two frames after each other are one content, as cat a.gz b.gz is. */
	gen_append(&twice, z.p, z.n);
	gen_append(&twice, z.p, z.n);
	gen_append(&both, b.p, b.n);
	gen_append(&both, b.p, b.n);
	s = open_bytes(&twice);
	ck_assert_uint_eq(wh_stream_size(s), both.n);
	ck_assert(!wh_stream_truncated(s));
	expect_content(s, &both, both.n);
	wh_stream_close(s);
	gen_fini(&b);
	gen_fini(&z);
	gen_fini(&twice);
	gen_fini(&both);
}
END_TEST

START_TEST(cut_wrapper_gives_a_prefix)
{
	struct gen_bytes b = {0}, z = {0};
	struct wh_stream *s = NULL;

	make_content(&b, 900000);
	wrappers[_i].wrap(&b, &z);
	z.n = z.n * 2 / 3;
	s = open_bytes(&z);
	ck_assert(wh_stream_truncated(s));
	ck_assert(has_diag(ctx, "input-cut"));
	ck_assert_uint_gt(wh_stream_size(s), 0);
	ck_assert_uint_lt(wh_stream_size(s), b.n);
	expect_content(s, &b, wh_stream_size(s));
	wh_stream_close(s);

	z.n = 9; /* not even a header */
	expect_error(wh_stream_open_mem(ctx, z.p, z.n, "test", &s), "without content");
	gen_fini(&b);
	gen_fini(&z);
}
END_TEST

START_TEST(damaged_wrapper)
{
	struct gen_bytes b = {0}, z = {0};
	struct wh_stream *s = NULL;

	make_content(&b, 900000);
	wrappers[_i].wrap(&b, &z);
	for (size_t i = z.n / 2; i < z.n / 2 + 64; i++)
		z.p[i] ^= 0x5a;
	s = open_bytes(&z);
	ck_assert(wh_stream_truncated(s));
	ck_assert(has_diag(ctx, "input-cut"));
	wh_stream_close(s);
	gen_fini(&b);
	gen_fini(&z);
}
END_TEST

/* Padding and rubbish behind the last gzip member are no damage. */
START_TEST(gzip_tail)
{
	struct gen_bytes b = {0}, z = {0};
	struct wh_stream *s;

	make_content(&b, 50000);
	wrap_gzip(&b, &z);
	if (_i)
		gen_append(&z, "rubbish", 7);
	else
		gen_put(&z, z.n + 512, "", 1);
	s = open_bytes(&z);
	ck_assert_uint_eq(wh_stream_size(s), b.n);
	ck_assert(!wh_stream_truncated(s));
	expect_content(s, &b, b.n);
	wh_stream_close(s);
	gen_fini(&b);
	gen_fini(&z);
}
END_TEST

static const struct gen_flatten flats[] = {
	{.record = 4096},
	{.record = 100},
	{.record = 777, .shuffle = 3},
	{.record = 65536, .rewrite = true},
	{.record = 333, .shuffle = 99, .rewrite = true},
};

START_TEST(flattened)
{
	struct gen_bytes b = {0}, f = {0}, z = {0};
	struct wh_stream *s;

	make_content(&b, 300017);
	gen_flatten(&b, &flats[_i], &f);
	s = open_bytes(&f);
	ck_assert_uint_eq(wh_stream_size(s), b.n);
	ck_assert_str_eq(wh_stream_wrappers(s), "flattened");
	ck_assert(!wh_stream_truncated(s));
	expect_content(s, &b, b.n);
	wh_stream_close(s);

	wrap_zstd(&f, &z); /* makedumpfile -F | zstd */
	s = open_bytes(&z);
	ck_assert_str_eq(wh_stream_wrappers(s), "zstd, flattened");
	expect_content(s, &b, b.n);
	wh_stream_close(s);
	gen_fini(&b);
	gen_fini(&f);
	gen_fini(&z);
}
END_TEST

/* Records of any place and length, checked against writing them into an array one after the other. */
START_TEST(flattened_against_a_model)
{
	static const struct wh_abi be = {.big_endian = true, .word = 8};
	uint64_t seed = (uint64_t)_i + 1;
	struct gen_bytes model = {0}, f = {0};
	struct wh_stream *s;

	gen_put(&f, 0, "makedumpfile", 12);
	gen_put_uint(&f, be, 16, 8, 1);
	gen_put_uint(&f, be, 24, 8, 1);
	gen_put_uint(&f, be, 4088, 8, 0);
	for (int i = 0; i < 60; i++) {
		uint8_t buf[300];
		size_t off = gen_rand(&seed) % 3000, n = gen_rand(&seed) % sizeof(buf);

		memset(buf, i + 1, sizeof(buf));
		gen_put_uint(&f, be, f.n, 8, off);
		gen_put_uint(&f, be, f.n, 8, n);
		gen_append(&f, buf, n);
		if (n)
			gen_put(&model, off, buf, n);
	}
	gen_put_uint(&f, be, f.n, 8, UINT64_MAX);
	gen_put_uint(&f, be, f.n, 8, UINT64_MAX);
	s = open_bytes(&f);
	ck_assert_uint_eq(wh_stream_size(s), model.n);
	expect_content(s, &model, model.n);
	for (size_t off = 0; off < model.n; off += 37) {
		const uint8_t *p = wh_stream_borrow(s, off, 20);

		if (p)
			ck_assert_int_eq(memcmp(p, model.p + off, 20), 0);
	}
	wh_stream_close(s);
	gen_fini(&model);
	gen_fini(&f);
}
END_TEST

START_TEST(flattened_damage)
{
	const struct gen_flatten o = {.record = 1000, .no_end = true};
	static const struct wh_abi be = {.big_endian = true, .word = 8};
	struct gen_bytes b = {0}, f = {0};
	struct wh_stream *s;

	make_content(&b, 50000);
	gen_flatten(&b, &o, &f);
	s = open_bytes(&f);
	ck_assert(wh_stream_truncated(s));
	ck_assert(has_diag(ctx, "input-cut"));
	expect_content(s, &b, b.n);
	wh_stream_close(s);

	f.n -= 500; /* cut inside the last record */
	s = open_bytes(&f);
	ck_assert(wh_stream_truncated(s));
	ck_assert_uint_eq(wh_stream_size(s), b.n - 500);
	expect_content(s, &b, b.n - 500);
	wh_stream_close(s);

	gen_put_uint(&f, be, 4096, 8, 1ull << 63);
	expect_error(wh_stream_open_mem(ctx, f.p, f.n, "test", &s), "flattened record with offset");
	gen_put_uint(&f, be, 24, 8, 2);
	expect_error(wh_stream_open_mem(ctx, f.p, f.n, "test", &s), "version 2");
	f.n = 4096;
	gen_put_uint(&f, be, 24, 8, 1);
	expect_error(wh_stream_open_mem(ctx, f.p, f.n, "test", &s), "without any record");
	gen_fini(&b);
	gen_fini(&f);
}
END_TEST

START_TEST(files_pipes_and_what_is_neither)
{
	char path[64];
	struct gen_bytes b = {0};
	struct wh_stream *s = NULL;
	int fds[2];

	make_content(&b, 30000);
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(write(fds[1], b.p, b.n), (ssize_t)b.n);
	close(fds[1]);
	snprintf(path, sizeof(path), "/dev/fd/%d", fds[0]);
	expect_ok(wh_stream_open(ctx, path, &s));
	ck_assert_uint_eq(wh_stream_size(s), b.n);
	expect_content(s, &b, b.n);
	wh_stream_close(s);
	close(fds[0]);
	expect_error(wh_stream_open(ctx, "/", &s), "is a directory");
	expect_error(wh_stream_open(ctx, "/does/not/exist", &s), "cannot open");
	gen_fini(&b);
}
END_TEST

/* Windows: any order of any sizes gives the bytes of the file. */
START_TEST(scratch_windows)
{
	char path[] = "/tmp/weephole-test-XXXXXX";
	struct gen_bytes b = {0};
	struct wh_stream *s = NULL;
	struct wh_scratch *sc = NULL;
	uint64_t seed = 11, seq = 0;
	int fd = mkstemp(path);

	make_content(&b, 3000003);
	ck_assert_int_eq(write(fd, b.p, b.n), (ssize_t)b.n);
	close(fd);
	expect_ok(wh_stream_open(ctx, path, &s));
	unlink(path);
	expect_ok(wh_scratch_create(&sc));
	ck_assert_ptr_null(wh_stream_borrow(s, 0, 1));
	for (int i = 0; i < 20000; i++) {
		uint64_t r = gen_rand(&seed), off = i % 3 ? seq : r % (b.n + 100);
		size_t want = i % 50 ? (size_t)(r >> 32) % 5000 + 1
				     : (size_t)(r >> 32) % (2u << 20),
		       got, most = want < WH_VIEW_MAX ? want : WH_VIEW_MAX;
		const uint8_t *p = wh_scratch_bytes(sc, s, off, want, &got);

		if (off >= b.n || !want) {
			ck_assert_uint_eq(got, 0);
			ck_assert_ptr_null(p);
		} else {
			ck_assert_uint_eq(got, most < b.n - off ? most : b.n - off);
			ck_assert_int_eq(memcmp(p, b.p + off, got), 0);
		}
		seq = off + want < b.n ? off + want : 0;
	}
	wh_scratch_destroy(sc);
	wh_stream_close(s);
	gen_fini(&b);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, plain_memory);
	tcase_add_loop_test(t, every_wrapper, 0, N_WRAPPERS);
	tcase_add_loop_test(t, cut_wrapper_gives_a_prefix, 0, N_WRAPPERS);
	tcase_add_loop_test(t, damaged_wrapper, 0, N_WRAPPERS);
	tcase_add_loop_test(t, gzip_tail, 0, 2);
	tcase_add_loop_test(t, flattened, 0, sizeof(flats) / sizeof(flats[0]));
	tcase_add_loop_test(t, flattened_against_a_model, 0, 40);
	tcase_add_test(t, flattened_damage);
	tcase_add_test(t, files_pipes_and_what_is_neither);
	tcase_add_test(t, scratch_windows);
}

int main(void)
{
	return run_suite("formats-stream", add);
}
