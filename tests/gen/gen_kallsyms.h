/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gen_kallsyms: writer of the tables that scripts/kallsyms.c links into a kernel image: every address
 * encoding, both length rules, both orders of the tables, with and without the seqs table.
 */
#ifndef WH_TESTS_GEN_KALLSYMS_H
#define WH_TESTS_GEN_KALLSYMS_H

#include "tests/gen/gen.h"

struct gen_ksym {
	uint64_t addr;
	char type;
	const char *name;
};

enum gen_kallsyms_encoding {
	GEN_KALLSYMS_ABSOLUTE,
	GEN_KALLSYMS_RELATIVE,
	GEN_KALLSYMS_PERCPU, /**< relative, non-negative offsets are absolute */
	GEN_KALLSYMS_PLACE,
	GEN_KALLSYMS_ENCODINGS
};

struct gen_kallsyms {
	/* what to make */
	struct wh_abi abi;
	enum gen_kallsyms_encoding encoding;
	bool uleb;	/**< lengths of 128 and more take two bytes (6.1) */
	bool new_order; /**< 6.4 on: addresses behind the tokens */
	bool seqs;	/**< 3 bytes a symbol, 6.2 on */
	bool wide;	/**< markers of a word each, before 4.20 */
	uint64_t va;	/**< VIRT of out[0], aligned to 8 */
	uint64_t relative_base;
	const struct gen_ksym *syms;
	uint32_t n;

	/* where it went: offsets into out */
	size_t num_syms, names, token_table, token_index, offsets, addresses, base;
	size_t names_len;
};

/** Appends the tables to @out, whose length must be a multiple of 8. */
void gen_kallsyms_write(struct gen_kallsyms *k, struct gen_bytes *out);

#endif
