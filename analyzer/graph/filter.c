/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/graph/filter.h"

#include "formats/arch.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

void wh_filter_add(struct filter *f, uint64_t start, uint64_t len)
{
	if (f->n < FILTER_RANGES && len) {
		f->start[f->n] = start;
		f->len[f->n] = len;
		f->n++;
	}
}

static uint64_t run_plain(const struct filter *f, const uint8_t *p, size_t n)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t v = wh_get_u64((struct wh_abi){false, 8}, p + i * 8), in = 0;

		for (unsigned int k = 0; k < f->n; k++)
			in |= v - f->start[k] < f->len[k];
		mask |= in << i;
	}
	return mask;
}

#if defined(__x86_64__)
/* AVX2 has no unsigned compare: both sides are shifted by 2^63.  x < len  <=>  len ^ sign > x ^ sign. */
__attribute__((target("avx2"))) static uint64_t run_avx2(const struct filter *f, const uint8_t *p,
							 size_t n)
{
	const __m256i sign = _mm256_set1_epi64x(INT64_MIN);
	uint64_t mask = 0;
	size_t i = 0;

	for (; i + 4 <= n; i += 4) {
		__m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(p + i * 8));
		__m256i in = _mm256_setzero_si256();

		if (_mm256_testz_si256(v, v)) /* most of memory; no range holds 0 */
			continue;
		for (unsigned int k = 0; k < f->n; k++) {
			__m256i start =
				_mm256_loadu_si256((const __m256i *)(const void *)f->start4[k]);
			__m256i len = _mm256_loadu_si256((const __m256i *)(const void *)f->len4[k]);
			__m256i x = _mm256_xor_si256(_mm256_sub_epi64(v, start), sign);

			in = _mm256_or_si256(in, _mm256_cmpgt_epi64(len, x));
		}
		mask |= (uint64_t)(unsigned int)_mm256_movemask_pd(_mm256_castsi256_pd(in)) << i;
	}
	if (i < n)
		mask |= run_plain(f, p + i * 8, n - i) << i;
	return mask;
}

/* AVX-512 compares unsigned, into a mask; two vectors at a time, as one waits for its masks. */
__attribute__((target("avx512f"))) static uint64_t run_avx512(const struct filter *f,
							      const uint8_t *p, size_t n)
{
	uint64_t mask = 0;
	size_t i = 0;

	for (; i + 16 <= n; i += 16) {
		__m512i a = _mm512_loadu_si512((const void *)(p + i * 8));
		__m512i b = _mm512_loadu_si512((const void *)(p + i * 8 + 64));
		__m512i any = _mm512_or_si512(a, b);
		unsigned int in = 0, in2 = 0;

		if (!_mm512_test_epi64_mask(any, any))
			continue;
		for (unsigned int k = 0; k < f->n; k++) {
			__m512i start = _mm512_set1_epi64((long long)f->start[k]);
			__m512i len = _mm512_set1_epi64((long long)f->len[k]);

			in |= _mm512_cmplt_epu64_mask(_mm512_sub_epi64(a, start), len);
			in2 |= _mm512_cmplt_epu64_mask(_mm512_sub_epi64(b, start), len);
		}
		mask |= (uint64_t)(in | in2 << 8) << i;
	}
	if (i < n)
		mask |= run_plain(f, p + i * 8, n - i) << i;
	return mask;
}
#endif

void wh_filter_freeze(struct filter *f)
{
	for (unsigned int k = 0; k < f->n; k++)
		for (int i = 0; i < 4; i++) {
			f->start4[k][i] = f->start[k];
			f->len4[k][i] = f->len[k] ^ 1ull << 63;
		}
	f->run = run_plain;
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2"))
		f->run = run_avx2;
	if (__builtin_cpu_supports("avx512f"))
		f->run = run_avx512;
#endif
}
