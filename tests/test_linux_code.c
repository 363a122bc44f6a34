/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pointers in instructions: what counts as a constant that the kernel patched in at boot, and what does not. */
#include <stdlib.h>
#include <string.h>

#include "analyzer/target/linux.h"
#include "tests/gen/expect.h"

/* movz x3, #0x2340; movk x3, #0x8451, lsl #16; movk x3, #0x0012, lsl #32; movk x3, #0xffff, lsl #48 */
static const uint32_t arm[4] = {0xd2846803, 0xf2b08a23, 0xf2c00243, 0xf2ffffe3};

static void put(uint8_t *p, const uint32_t *w)
{
	for (int i = 0; i < 16; i++)
		p[i] = (uint8_t)(w[i / 4] >> 8 * (i % 4));
}

START_TEST(arm64)
{
	uint32_t w[4];
	uint8_t p[16];
	uint64_t v = 0;

	put(p, arm);
	ck_assert(wh_lx_code_operand("aarch64", p, sizeof(p), &v));
	ck_assert_uint_eq(v, 0xffff001284512340);
	ck_assert(!wh_lx_code_operand("aarch64", p, 15, &v));
	for (int i = 0; i < 4; i++) { /* another register, another shift, 32 bits only */
		static const uint32_t wrong[] = {1, 1u << 21, 1u << 31};

		for (size_t k = 0; k < 3; k++) {
			memcpy(w, arm, sizeof(w));
			w[i] ^= wrong[k];
			put(p, w);
			ck_assert(!wh_lx_code_operand("aarch64", p, sizeof(p), &v));
		}
	}
	memcpy(w, arm, sizeof(w));
	w[3] = 0xf2e00003; /* lsl #48 of zero: an address of a program */
	put(p, w);
	ck_assert(!wh_lx_code_operand("aarch64", p, sizeof(p), &v));
}
END_TEST

START_TEST(x86)
{
	uint8_t p[10] = {0x49, 0xbf, 0x40, 0x23, 0x51, 0x84, 0x12, 0x88, 0xff, 0xff};
	uint64_t v = 0;

	ck_assert(wh_lx_code_operand("x86_64", p, sizeof(p), &v));
	ck_assert_uint_eq(v, 0xffff881284512340);
	p[0] = 0x41; /* mov $imm32, %r15d */
	ck_assert(!wh_lx_code_operand("x86_64", p, sizeof(p), &v));
	ck_assert(!wh_lx_code_operand("sparcv9", p, sizeof(p), &v));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("linux code");
	TCase *t = tcase_create("operands");
	SRunner *r;
	int failed;

	tcase_add_test(t, arm64);
	tcase_add_test(t, x86);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
