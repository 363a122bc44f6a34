/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gen_btf: writer of BTF (Documentation/bpf/btf.rst), whole or split, in either byte order.  Types get ids in
 * the order of the calls; ids that do not exist may be named on purpose.
 */
#ifndef WH_TESTS_GEN_BTF_H
#define WH_TESTS_GEN_BTF_H

#include "tests/gen/gen.h"

struct gen_btf {
	struct wh_abi abi;
	struct gen_bytes types, strs;
	uint32_t next_id;   /**< of the next type */
	uint32_t start_str; /**< offset of this blob's first string */
};

enum gen_btf_kind {
	GEN_BTF_INT = 1,
	GEN_BTF_PTR,
	GEN_BTF_ARRAY,
	GEN_BTF_STRUCT,
	GEN_BTF_UNION,
	GEN_BTF_ENUM,
	GEN_BTF_FWD,
	GEN_BTF_TYPEDEF,
	GEN_BTF_VOLATILE,
	GEN_BTF_CONST,
	GEN_BTF_RESTRICT,
	GEN_BTF_FUNC,
	GEN_BTF_FUNC_PROTO,
	GEN_BTF_VAR,
	GEN_BTF_DATASEC,
	GEN_BTF_FLOAT,
	GEN_BTF_DECL_TAG,
	GEN_BTF_TYPE_TAG,
	GEN_BTF_ENUM64
};

struct gen_btf_member {
	const char *name; /**< NULL: anonymous */
	uint32_t type;
	uint32_t bit_off; /**< [bits] from the start of the struct */
	uint32_t bits;	  /**< 0: no bit-field; in blobs with any, kind_flag is set */
};
struct gen_btf_value {
	const char *name;
	int64_t value;
};

/** A whole blob; @base not NULL: a split one on top of it (as it is now). */
void gen_btf_init(struct gen_btf *b, struct wh_abi abi, const struct gen_btf *base);
void gen_btf_fini(struct gen_btf *b);
/** A record by its parts; @extra are u32 words behind the head.  Returns the id. */
uint32_t gen_btf_raw(struct gen_btf *b, const char *name, uint32_t info, uint32_t val,
		     const uint32_t *extra, size_t n_extra);
/** @encoding: 1 signed, 2 char, 4 bool. */
uint32_t gen_btf_int(struct gen_btf *b, const char *name, uint32_t size, uint32_t encoding,
		     uint32_t bit_off, uint32_t bits);
/** Kinds that only refer: PTR, TYPEDEF, CONST …, FWD, FUNC, FLOAT (then @type is the size). */
uint32_t gen_btf_ref(struct gen_btf *b, enum gen_btf_kind kind, const char *name, uint32_t type);
uint32_t gen_btf_array(struct gen_btf *b, uint32_t type, uint32_t index, uint32_t n);
uint32_t gen_btf_compound(struct gen_btf *b, enum gen_btf_kind kind, const char *name,
			  uint32_t size, const struct gen_btf_member *m, size_t n);
/** @kind ENUM or ENUM64. */
uint32_t gen_btf_enum(struct gen_btf *b, enum gen_btf_kind kind, const char *name, uint32_t size,
		      bool is_signed, const struct gen_btf_value *v, size_t n);
/** Header, types and strings, appended to @out. */
void gen_btf_write(const struct gen_btf *b, struct gen_bytes *out);

#endif
