/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <zlib.h>

#include "formats/inflate.h"
#include "tests/gen/expect.h"
#include "tests/gen/gen.h"

#define SIZE_MAX_PAGE 65536

static uint8_t page[SIZE_MAX_PAGE], packed[2 * SIZE_MAX_PAGE], out[SIZE_MAX_PAGE];
static struct wh_inflate tables;

/* Pages that make deflate use all it has: runs, near and far matches, long codes, incompressible. */
static void fill(unsigned int kind, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t r = gen_rand(&seed);

		switch (kind) {
		case 0: page[i] = 0; break;
		case 1: page[i] = (uint8_t)r; break;
		case 2: page[i] = (uint8_t)("next prev name "[i % 15] + (r % 40 == 0)); break;
		case 3:
			page[i] = (uint8_t)__builtin_ctzll(r | 1ull << 40);
			break; /* skewed: long codes */
		case 4: page[i] = i >= 3000 && r % 8 ? page[i - 3000] : (uint8_t)r; break;
		case 5: page[i] = i % 8 > 5 ? 0xff : i % 8 > 2 ? 0x88 : (uint8_t)r; break;
		case 6: page[i] = i < 30000 ? (uint8_t)r : page[i - 30000]; break;
		default: page[i] = i % 700 ? page[i - 1] : (uint8_t)r; break;
		}
	}
}
#define KINDS 8

static size_t pack(size_t n, int level, int strategy, int window)
{
	z_stream z = {0};
	size_t len;

	ck_assert_int_eq(deflateInit2(&z, level, Z_DEFLATED, window, 9, strategy), Z_OK);
	z.next_in = page;
	z.avail_in = (uInt)n;
	z.next_out = packed;
	z.avail_out = sizeof(packed);
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	len = sizeof(packed) - z.avail_out;
	deflateEnd(&z);
	return len;
}

/* Whatever deflate makes of it is decoded, not left to zlib. */
START_TEST(every_stream_that_deflate_writes)
{
	static const size_t sizes[] = {1, 100, 4096, 65536};
	static const int strategies[] = {Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE,
					 Z_FIXED};

	for (size_t s = 0; s < 4; s++)
		for (int level = 0; level <= 9; level += 1 + level / 2)
			for (size_t t = 0; t < 5; t++) {
				size_t len;

				fill((unsigned int)_i, sizes[s], (uint64_t)level + 1);
				len = pack(sizes[s], level, strategies[t], level % 2 ? 15 : 9);
				memset(out, 0xa5, sizeof(out));
				ck_assert(wh_inflate_page(&tables, packed, len, out, sizes[s]));
				ck_assert_int_eq(memcmp(out, page, sizes[s]), 0);
				/* any other length is wrong */
				ck_assert(
					!wh_inflate_page(&tables, packed, len, out, sizes[s] - 1));
				if (sizes[s] < sizeof(out))
					ck_assert(!wh_inflate_page(&tables, packed, len, out,
								   sizes[s] + 1));
			}
}
END_TEST

/* Damage: what is accepted is what zlib accepts, with the same bytes. */
START_TEST(damaged_streams)
{
	static uint8_t other[SIZE_MAX_PAGE];
	uint64_t seed = (uint64_t)_i + 100;
	const size_t n = 4096;

	fill((unsigned int)_i, n, 7);
	for (int i = 0; i < 600; i++) {
		size_t len = pack(n, 1 + i % 9, i % 5, 15), cut = len;
		uint8_t *exact;

		for (uint64_t k = gen_rand(&seed) % 3; k-- > 0;)
			packed[gen_rand(&seed) % len] ^= (uint8_t)(1u << gen_rand(&seed) % 8);
		if (i % 4 == 0)
			cut = gen_rand(&seed) % (len + 1);
		exact = malloc(cut ? cut : 1); /* so that a sanitizer sees one byte too far */
		ck_assert_ptr_nonnull(exact);
		memcpy(exact, packed, cut);
		if (wh_inflate_page(&tables, exact, cut, out, n)) {
			uLongf m = n;

			ck_assert_int_eq(uncompress(other, &m, exact, cut), Z_OK);
			ck_assert_uint_eq(m, n);
			ck_assert_int_eq(memcmp(out, other, n), 0);
		}
		free(exact);
	}
}
END_TEST

static void add(TCase *t)
{
	tcase_add_loop_test(t, every_stream_that_deflate_writes, 0, KINDS);
	tcase_add_loop_test(t, damaged_streams, 0, KINDS);
}

int main(void)
{
	return run_suite("formats-inflate", add);
}
