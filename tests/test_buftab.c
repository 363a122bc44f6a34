/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table against a plain sorted array, on random layouts; then the rules of overlap and order. */
#include <stdlib.h>

#include "analyzer/graph/buftab.h"
#include "analyzer/graph/buftab_priv.h"
#include "tests/gen/expect.h"

static struct wh_ctx *ctx;

static struct wh_buftab *table(uint32_t flags)
{
	struct wh_class c = {.name = "c", .model = "test"};
	struct wh_buftab *t;
	uint16_t cls;

	ck_assert_ptr_null(wh_buftab_create(ctx, &t));
	ck_assert_ptr_null(wh_buftab_add_class(t, &c, &cls));
	c.name = "node";
	c.flags = flags;
	ck_assert_ptr_null(wh_buftab_add_class(t, &c, &cls));
	return t;
}

static uint64_t rnd(uint64_t *s)
{
	*s = *s * 6364136223846793005ull + 1442695040888963407ull;
	return *s >> 33;
}

struct plain {
	uint64_t addr, size;
};

/* Sizes from 8 bytes to beyond LARGE_ROW, gaps from none to beyond LEAF_GAP. */
static size_t random_rows(struct plain *p, size_t n, uint64_t seed)
{
	static const uint64_t sizes[] = {8, 16, 24, 96, 192, 512, 4096, 8192, 70000, 300000};
	static const uint64_t gaps[] = {0, 0, 0, 8, 16, 4096, 300000, 5ull << 30};
	uint64_t at = 0xffff888000000000ull + (rnd(&seed) & 0xfff) * 8;

	for (size_t i = 0; i < n; i++) {
		at += gaps[rnd(&seed) % (i % 50 ? 6 : 8)];
		p[i] = (struct plain){at, sizes[rnd(&seed) % 10] - (rnd(&seed) & 3)};
		at = (at + p[i].size + 7) & ~7ull;
	}
	return n;
}

static void check_against(const struct wh_buftab *t, const struct plain *p, size_t n)
{
	struct row_iter it;

	ck_assert_uint_eq(wh_buftab_count(t), n);
	for (uint32_t i = 0; i < n; i++) {
		ck_assert_uint_eq(wh_buftab_addr(t, i), p[i].addr);
		ck_assert_uint_eq(wh_buftab_size(t, i), p[i].size);
		ck_assert_uint_eq(wh_buftab_find(t, p[i].addr), i);
		ck_assert_uint_eq(wh_buftab_find(t, p[i].addr + p[i].size - 1), i);
		ck_assert_uint_eq(wh_buftab_find(t, p[i].addr + p[i].size / 2), i);
		ck_assert_uint_eq(wh_buftab_lower_bound(t, p[i].addr), i);
		if (i + 1 == n || p[i + 1].addr > p[i].addr + p[i].size)
			ck_assert_uint_eq(wh_buftab_find(t, p[i].addr + p[i].size), WH_ROW_NONE);
		if (i % 7 == 0) {
			wh_row_iter_init(&it, t, p[i].addr + p[i].size - 1);
			for (uint32_t k = i; k < i + 20 && k < n; k++) {
				ck_assert(row_iter_next(&it));
				ck_assert_uint_eq(it.row, k);
				ck_assert_uint_eq(it.start, p[k].addr);
			}
		}
	}
	ck_assert_uint_eq(wh_buftab_find(t, p[0].addr - 1), WH_ROW_NONE);
	ck_assert_uint_eq(wh_buftab_find(t, 0), WH_ROW_NONE);
	ck_assert_uint_eq(wh_buftab_find(t, UINT64_MAX), WH_ROW_NONE);
	wh_row_iter_init(&it, t, p[n - 1].addr + p[n - 1].size);
	ck_assert(!row_iter_next(&it));
}

START_TEST(agrees_with_a_sorted_array)
{
	enum { N = 4000 };
	static struct plain p[N];

	for (uint64_t seed = 1; seed < 6; seed++) {
		struct wh_buftab *t = table(0);
		size_t n = random_rows(p, N, seed);

		if (seed & 1) /* in order */
			for (size_t i = 0; i < n; i++)
				ck_assert_ptr_null(wh_buftab_add(t, 0, p[i].addr, p[i].size,
								 WH_BUF_ALLOCATED));
		else /* in blocks of 100, last block first: the segments must be put in order */
			for (size_t b = n / 100; b-- > 0;)
				for (size_t i = b * 100; i < b * 100 + 100; i++)
					ck_assert_ptr_null(wh_buftab_add(t, 0, p[i].addr, p[i].size,
									 WH_BUF_ALLOCATED));
		ck_assert_ptr_null(wh_buftab_freeze(t));
		check_against(t, p, n);
		wh_buftab_destroy(t);
	}
}
END_TEST

/*
 * Rows of parts, handed over in any order, some rows between them and inside their gaps added alone; with
 * @overlap one row lies inside another part's row, so that all takes the slow path.
 */
static struct wh_buftab *table_of_parts(const struct plain *p, size_t n, uint64_t seed,
					bool overlap)
{
	struct wh_buftab *t = table(0);
	struct wh_buf_writer *w[2];
	struct wh_buf_part *part[64] = {NULL};
	size_t n_parts = 0;

	for (int i = 0; i < 2; i++)
		ck_assert_ptr_null(wh_buf_writer_create(t, &w[i]));
	for (size_t i = 0; i < n;) {
		size_t len = 1 + rnd(&seed) % 300;

		if (n_parts < 64 && rnd(&seed) % 3) {
			ck_assert_ptr_null(wh_buf_part_create(w[rnd(&seed) & 1], &part[n_parts]));
			for (; len && i < n; len--, i++)
				ck_assert_ptr_null(wh_buf_part_add(part[n_parts], 0, p[i].addr,
								   p[i].size, WH_BUF_ALLOCATED));
			n_parts++;
		} else {
			ck_assert_ptr_null(
				wh_buftab_add(t, 0, p[i].addr, p[i].size, WH_BUF_ALLOCATED));
			i++;
		}
	}
	for (size_t k = n_parts; k-- > 0;) { /* every other one from the end, then the rest */
		size_t i = k % 2 ? k : n_parts - 1 - k;

		if (part[i])
			ck_assert_ptr_null(wh_buftab_add_part(t, part[i]));
		part[i] = NULL;
	}
	for (size_t i = 0; i < n_parts; i++)
		if (part[i])
			ck_assert_ptr_null(wh_buftab_add_part(t, part[i]));
	if (overlap) /* dropped: the row that starts lower is kept */
		ck_assert_ptr_null(wh_buftab_add(t, 0, p[n / 2].addr + 8, 8, WH_BUF_ALLOCATED));
	ck_assert_ptr_null(wh_buftab_freeze(t));
	return t;
}

START_TEST(parts_agree_with_a_sorted_array)
{
	enum { N = 4000 };
	static struct plain p[N];

	for (uint64_t seed = 1; seed < 8; seed++) {
		size_t n = random_rows(p, N, seed);
		struct wh_buftab *t;

		while (p[n / 2].size < 24)
			n--;
		p[7].size = 5ull << 32; /* sizes that take no code */
		p[900].size = 6ull << 32;
		for (size_t i = 8; i < n; i++)
			p[i].addr += 16ull << 32;
		for (size_t i = 901; i < n; i++)
			p[i].addr += 64ull << 32; /* nor does the way to this one */
		t = table_of_parts(p, n, seed, /* overlap= */ seed & 1);
		check_against(t, p, n);
		wh_buftab_destroy(t);
	}
}
END_TEST

/* More kinds of rows than a dictionary holds. */
START_TEST(a_full_dictionary_spells_rows_out)
{
	enum { N = 3 * PART_SLOTS };
	struct wh_buftab *t = table(0);
	struct wh_buf_writer *w;
	struct wh_buf_part *part;
	uint64_t at = 0x10000;

	ck_assert_ptr_null(wh_buf_writer_create(t, &w));
	ck_assert_ptr_null(wh_buf_part_create(w, &part));
	for (uint32_t i = 0; i < N; i++, at += 8 * (uint64_t)i)
		ck_assert_ptr_null(wh_buf_part_add(part, i & 1, at, 1 + 7 * (uint64_t)i, i % 3));
	ck_assert_ptr_null(wh_buftab_add_part(t, part));
	ck_assert_ptr_null(wh_buftab_freeze(t));
	ck_assert_uint_eq(wh_buftab_count(t), N);
	at = 0x10000;
	for (uint32_t i = 0; i < N; i++, at += 8 * (uint64_t)i) {
		ck_assert_uint_eq(wh_buftab_addr(t, i), at);
		ck_assert_uint_eq(wh_buftab_size(t, i), 1 + 7 * (uint64_t)i);
		ck_assert_uint_eq(wh_buftab_class_of(t, i), i & 1);
		ck_assert_uint_eq(wh_buftab_state(t, i), i % 3);
	}
	wh_buftab_destroy(t);
}
END_TEST

START_TEST(a_part_takes_only_rising_rows)
{
	struct wh_buftab *t = table(0);
	struct wh_buf_writer *w;
	struct wh_buf_part *part, *dropped;

	ck_assert_ptr_null(wh_buf_writer_create(t, &w));
	ck_assert_ptr_null(wh_buf_part_create(w, &part));
	ck_assert_ptr_null(wh_buf_part_create(w, &dropped));
	ck_assert_ptr_null(wh_buf_part_add(dropped, 0, 0x9000, 64, WH_BUF_ALLOCATED));
	wh_buf_part_destroy(dropped);
	ck_assert_ptr_null(wh_buf_part_add(part, 0, 0x2000, 64, WH_BUF_ALLOCATED));
	ck_assert_ptr_null(wh_buf_part_add(part, 0, 0x1000, 64, WH_BUF_ALLOCATED)); /* falls */
	ck_assert_ptr_null(wh_buf_part_add(part, 0, 0x2020, 64, WH_BUF_ALLOCATED)); /* overlaps */
	ck_assert_ptr_null(wh_buf_part_add(part, 0, 0x3001, 64, WH_BUF_ALLOCATED)); /* refused */
	ck_assert_ptr_null(wh_buf_part_add(part, 0, 0x4000, 64, WH_BUF_ALLOCATED));
	ck_assert_ptr_null(wh_buftab_add_part(t, part));
	ck_assert_ptr_null(wh_buftab_freeze(t));
	ck_assert_uint_eq(wh_buftab_count(t), 3);
	ck_assert_uint_eq(wh_buftab_addr(t, 0), 0x1000);
	ck_assert_uint_eq(wh_buftab_addr(t, 1), 0x2000);
	ck_assert_uint_eq(wh_buftab_addr(t, 2), 0x4000);
	wh_buftab_destroy(t);
}
END_TEST

START_TEST(runs_make_rows_of_allocated_slots)
{
	struct wh_buftab *t = table(WH_CLASS_FREE_SCAN);
	uint8_t st[4] = {WH_BUF_ALLOCATED, WH_BUF_FREE, WH_BUF_PENDING, WH_BUF_ALLOCATED};

	ck_assert_ptr_null(wh_buftab_add_run(t, 0, 0x10000, 96, 88, 4, st));
	ck_assert_ptr_null(wh_buftab_add_run(t, 1, 0x20000, 96, 88, 4, st));
	ck_assert_ptr_null(wh_buftab_freeze(t));
	ck_assert_uint_eq(wh_buftab_count(t), 7);
	ck_assert_uint_eq(wh_buftab_find(t, 0x10000 + 96), WH_ROW_NONE);
	ck_assert_uint_eq(wh_buftab_state(t, wh_buftab_find(t, 0x10000 + 200)), WH_BUF_PENDING);
	ck_assert_uint_eq(wh_buftab_find(t, 0x10000 + 90),
			  WH_ROW_NONE); /* between size and stride */
	ck_assert_uint_eq(wh_buftab_state(t, wh_buftab_find(t, 0x20000 + 96)), WH_BUF_FREE);
	ck_assert(wh_buftab_set_state(t, 0x10004, WH_BUF_FREE));
	ck_assert_uint_eq(wh_buftab_state(t, 0), WH_BUF_FREE);
	wh_buftab_destroy(t);
}
END_TEST

/*
 * Slabs of equal slots, written last slab first, with single rows between the slabs and (class 1) between the
 * slots of some: enough for several workers, and segments that reach into each other.
 */
START_TEST(many_runs_and_singles)
{
	enum { SLABS = 4200, SLOTS = 32, MAX = SLABS * (SLOTS + 2) };
	struct plain *p = calloc(MAX, sizeof(*p));
	struct wh_buftab *t = table(0);
	uint64_t at = 0xffff888000000000ull;
	size_t n = 0;

	ck_assert_ptr_nonnull(p);
	for (uint64_t s = 0; s < SLABS; s++, at += s % 1000 ? 0x2000 : 0x200000)
		for (uint64_t i = 0; i <= SLOTS; i++) {
			if (i < SLOTS)
				p[n++] = (struct plain){at + i * 128, 96};
			if (i == SLOTS || (s % 5 == 0 && i == 7))
				p[n++] = (struct plain){at + i * 128 + (i < SLOTS ? 104 : 0), 16};
		}
	for (size_t i = 0; i < n; i++)
		if (p[i].size == 16)
			ck_assert_ptr_null(
				wh_buftab_add(t, 1, p[i].addr, p[i].size, WH_BUF_PENDING));
	for (size_t i = n; i-- > 0;)
		if (p[i].size == 96 && !(p[i].addr & 0x1fff))
			ck_assert_ptr_null(
				wh_buftab_add_run(t, 0, p[i].addr, 128, 96, SLOTS, NULL));
	ck_assert_ptr_null(wh_buftab_freeze(t));
	ck_assert_uint_eq(wh_buftab_count(t), n);
	for (uint32_t i = 0; i < n; i++) {
		ck_assert_uint_eq(wh_buftab_addr(t, i), p[i].addr);
		ck_assert_uint_eq(wh_buftab_find(t, p[i].addr + p[i].size - 1), i);
		ck_assert_uint_eq(wh_buftab_find(t, p[i].addr + p[i].size), WH_ROW_NONE);
		ck_assert_uint_eq(wh_buftab_size(t, i), p[i].size);
		ck_assert_uint_eq(wh_buftab_class_of(t, i), p[i].size == 16);
		ck_assert_uint_eq(wh_buftab_state(t, i),
				  p[i].size == 16 ? WH_BUF_PENDING : WH_BUF_ALLOCATED);
	}
	wh_buftab_destroy(t);
	free(p);
}
END_TEST

/* Runs over many pages, of all sorts of strides, also in one class: every address, inside, between and behind. */
START_TEST(runs_of_any_stride)
{
	const uint32_t strides[] = {8, 24, 32, 104, 192, 1000, 4096, 4104, 9000, 65528};
	enum { N = sizeof(strides) / sizeof(strides[0]), SPACE = 4 << 20 };
	const uint64_t base = 0xffff888000000000ull;
	struct wh_buftab *t = table(0);
	uint32_t rows[2 * N], first = 0;

	for (uint32_t k = 2; k < N; k++) {
		struct wh_class c = {.name = "c", .model = "test"};
		uint16_t cls;

		ck_assert_ptr_null(wh_buftab_add_class(t, &c, &cls));
	}
	for (uint32_t k = 0; k < 2 * N; k++) {
		uint32_t stride = strides[k % N];
		uint16_t cls = (uint16_t)(k < N ? k : 0); /* class 0: of all */

		rows[k] = 70000 / stride + 20 + k;
		ck_assert_ptr_null(wh_buftab_add_run(t, cls, base + (uint64_t)k * SPACE + 64 * k,
						     stride, stride - (stride > 8 ? 8 : 0), rows[k],
						     NULL));
	}
	ck_assert_ptr_null(wh_buftab_freeze(t));
	for (uint32_t k = 0; k < 2 * N; first += rows[k++]) {
		uint64_t start = base + (uint64_t)k * SPACE + 64 * k, stride = strides[k % N];
		uint64_t size = stride - (stride > 8 ? 8 : 0);

		for (uint64_t at = 0; at < stride * (rows[k] + 1); at += 4)
			ck_assert_uint_eq(wh_buftab_find(t, start + at),
					  at / stride < rows[k] && at % stride < size
						  ? first + at / stride
						  : WH_ROW_NONE);
		ck_assert_uint_eq(wh_buftab_find(t, start - 1), WH_ROW_NONE);
	}
	wh_buftab_destroy(t);
}
END_TEST

START_TEST(overlaps_are_settled_whatever_the_order)
{
	for (int order = 0; order < 2; order++) {
		struct wh_buftab *t = table(WH_CLASS_NOREPORT);
		struct plain rows[] = {
			{0x1000, 0x100}, {0x1080, 0x100}, {0x2000, 0x1000}, {0x2100, 0x80}};
		uint16_t cls[] = {0, 0, 1, 0};
		size_t n;

		for (int i = 0; i < 4; i++) {
			int k = order ? 3 - i : i;

			ck_assert_ptr_null(wh_buftab_add(t, cls[k], rows[k].addr, rows[k].size,
							 WH_BUF_ALLOCATED));
		}
		ck_assert_ptr_null(wh_buftab_freeze(t));
		ck_assert_uint_eq(wh_buftab_count(t), 3);
		ck_assert_uint_eq(wh_buftab_find(t, 0x1120),
				  WH_ROW_NONE);			/* the overlapping one is dropped */
		ck_assert_uint_eq(wh_buftab_size(t, 1), 0x100); /* the node ends at its child */
		ck_assert_uint_eq(wh_buftab_find(t, 0x2110), 2);
		wh_diags_list(ctx->diags, &n);
		ck_assert_uint_ge(n, 1);
		wh_buftab_destroy(t);
	}
}
END_TEST

START_TEST(impossible_rows_are_refused)
{
	struct wh_buftab *t = table(0);

	ck_assert_ptr_null(wh_buftab_add(t, 0, 0x1001, 8, WH_BUF_ALLOCATED));
	ck_assert_ptr_null(wh_buftab_add(t, 0, 0x1000, 0, WH_BUF_ALLOCATED));
	ck_assert_ptr_null(wh_buftab_add(t, 9, 0x1000, 8, WH_BUF_ALLOCATED));
	ck_assert_ptr_null(wh_buftab_add(t, 0, UINT64_MAX - 7, 64, WH_BUF_ALLOCATED));
	ck_assert_ptr_null(wh_buftab_add_run(t, 0, 0x1000, UINT64_MAX / 2 & ~7ull, 8, 4, NULL));
	ck_assert_ptr_null(wh_buftab_add(t, 0, 0x8000, 6ull << 32, WH_BUF_ALLOCATED));
	ck_assert_ptr_null(wh_buftab_freeze(t));
	ck_assert_uint_eq(wh_buftab_count(t), 1);
	ck_assert_uint_eq(wh_buftab_size(t, 0), 6ull << 32);
	ck_assert_uint_eq(wh_buftab_find(t, 0x8000 + (5ull << 32)), 0);
	wh_buftab_destroy(t);
}
END_TEST

START_TEST(an_empty_table_finds_nothing)
{
	struct wh_buftab *t = table(0);

	ck_assert_ptr_null(wh_buftab_freeze(t));
	ck_assert_uint_eq(wh_buftab_count(t), 0);
	ck_assert_uint_eq(wh_buftab_find(t, 0x1000), WH_ROW_NONE);
	wh_buftab_destroy(t);
}
END_TEST

/* In the process of each test, where its threads are. */
static void setup(void)
{
	ck_assert_ptr_null(wh_ctx_create(3, &ctx));
}

static void teardown(void)
{
	wh_ctx_destroy(ctx);
}

int main(void)
{
	Suite *s = suite_create("buftab");
	TCase *c = tcase_create("buftab");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	suite_add_tcase(s, c);
	tcase_add_test(c, agrees_with_a_sorted_array);
	tcase_add_test(c, parts_agree_with_a_sorted_array);
	tcase_add_test(c, a_full_dictionary_spells_rows_out);
	tcase_add_test(c, a_part_takes_only_rising_rows);
	tcase_add_test(c, runs_make_rows_of_allocated_slots);
	tcase_add_test(c, many_runs_and_singles);
	tcase_add_test(c, runs_of_any_stride);
	tcase_add_test(c, overlaps_are_settled_whatever_the_order);
	tcase_add_test(c, impossible_rows_are_refused);
	tcase_add_test(c, an_empty_table_finds_nothing);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
