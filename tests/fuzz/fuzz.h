/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz: each fuzz_NAME.c has the two functions below.  With clang and WEEPHOLE_FUZZ they make a libFuzzer
 * program; with any compiler replay.c makes one that mutates the seeds a bounded number of times.
 */
#ifndef WH_TESTS_FUZZ_H
#define WH_TESTS_FUZZ_H

#include "tests/gen/gen.h"

/** libFuzzer's entry: must return whatever the bytes are. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/** Appends seed number @i; false when there are no more. */
bool wh_fuzz_seed(size_t i, struct gen_bytes *out);

#endif
