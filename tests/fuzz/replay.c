/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a fuzz target without libFuzzer: files given on the command line as they are; with -w DIR writes the
 * seeds there, a corpus for libFuzzer to start from; else every seed and RUNS mutations of each (environment WEEPHOLE_FUZZ_RUNS), the same ones on every run.  A crash, a
 * sanitizer report or the test's time-out is the failure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

#define RUNS 40

/* Values that sizes, counts and offsets like least. */
static const uint64_t nasty[] = {0,	     1,		 0x7f,	     0x80,	     0xff,
				 0xfff,	     0x1000,	 0xffff,     0x10000,	     0x7fffffff,
				 0x80000000, 0xfffffffe, 0xffffffff, 0x100000000ull, 1ull << 40,
				 1ull << 62, INT64_MAX,	 1ull << 63, UINT64_MAX - 1, UINT64_MAX};

/* Where to strike: headers most of the time, anywhere else the rest. */
static size_t place(uint64_t *seed, size_t n)
{
	uint64_t r = gen_rand(seed);

	switch (r % 4) {
	case 0: return (size_t)(r >> 8) % n;
	case 1: return (size_t)(r >> 8) % (n < 16384 ? n : 16384);
	default: return (size_t)(r >> 8) % (n < 600 ? n : 600);
	}
}

static void mutate(struct gen_bytes *b, uint64_t *seed)
{
	unsigned int times = 1 + (unsigned int)(gen_rand(seed) % 4);

	while (times--) {
		struct wh_abi abi = {.big_endian = gen_rand(seed) % 4 == 0, .word = 8};
		size_t at = place(seed, b->n), size = (size_t)1 << gen_rand(seed) % 4;
		uint64_t v = nasty[gen_rand(seed) % (sizeof(nasty) / sizeof(nasty[0]))];

		switch (gen_rand(seed) % 8) {
		case 0: b->p[at] ^= (uint8_t)(1u << gen_rand(seed) % 8); break;
		case 1: b->p[at] = (uint8_t)gen_rand(seed); break;
		case 2: b->n = at + 1; break; /* cut */
		case 3:			      /* copy a piece elsewhere */
			if (b->n - at > 64)
				memmove(b->p + place(seed, b->n - 64), b->p + at, 64);
			break;
		default:
			at &= ~(size_t)3; /* fields are aligned */
			if (at + size <= b->n)
				gen_put_uint(b, abi, at, size, v);
		}
	}
}

static int run_file(const char *path)
{
	struct gen_bytes b = {0};
	uint8_t buf[65536];
	size_t n;
	FILE *f = fopen(path, "rb");

	if (!f) {
		perror(path);
		return 1;
	}
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		gen_append(&b, buf, n);
	fclose(f);
	LLVMFuzzerTestOneInput(b.p, b.n);
	gen_fini(&b);
	return 0;
}

static int write_seeds(const char *dir)
{
	for (size_t i = 0;; i++) {
		struct gen_bytes b = {0};
		char name[4096];
		FILE *f;

		if (!wh_fuzz_seed(i, &b))
			return 0;
		snprintf(name, sizeof(name), "%s/seed-%zu", dir, i);
		f = fopen(name, "wb");
		if (!f || fwrite(b.p, 1, b.n, f) != b.n || fclose(f)) {
			perror(name);
			return 1;
		}
		gen_fini(&b);
	}
}

int main(int argc, char **argv)
{
	const char *env = getenv("WEEPHOLE_FUZZ_RUNS");
	unsigned long runs = env ? strtoul(env, NULL, 10) : RUNS;
	uint64_t seed = 20240229;
	size_t n = 0;

	if (argc == 3 && !strcmp(argv[1], "-w"))
		return write_seeds(argv[2]);
	if (argc > 1) {
		int bad = 0;

		for (int i = 1; i < argc; i++)
			bad |= run_file(argv[i]);
		return bad;
	}
	for (struct gen_bytes base = {0}; wh_fuzz_seed(n, &base); n++) {
		LLVMFuzzerTestOneInput(base.p, base.n);
		for (unsigned long i = 0; i < runs; i++) {
			struct gen_bytes b = {0};

			gen_append(&b, base.p, base.n);
			mutate(&b, &seed);
			/* libFuzzer gives exact allocations, so that one byte too far is seen. */
			uint8_t *exact = malloc(b.n ? b.n : 1);

			if (!exact)
				return 1;
			memcpy(exact, b.p, b.n);
			LLVMFuzzerTestOneInput(exact, b.n);
			free(exact);
			gen_fini(&b);
		}
		gen_fini(&base);
	}
	printf("%zu seeds, %lu mutations each\n", n, runs);
	return n ? 0 : 1;
}
