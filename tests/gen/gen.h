/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gen: writers of small dumps for tests: kdump, flattened and ELF, in every byte order, word size and
 * codec, from one description of memory.  Written from the formats' documents, not from our readers.
 * Out of memory aborts: a test has nothing better to do.
 */
#ifndef WH_TESTS_GEN_H
#define WH_TESTS_GEN_H

#include <stddef.h>
#include <stdint.h>

#include "formats/arch.h"

/** Growable bytes; unwritten ones are zero. */
struct gen_bytes {
	uint8_t *p;
	size_t n, cap;
};
void gen_put(struct gen_bytes *b, size_t off, const void *p, size_t n);
void gen_append(struct gen_bytes *b, const void *p, size_t n);
/** Writes @v in @size bytes at @off. */
void gen_put_uint(struct gen_bytes *b, struct wh_abi abi, size_t off, size_t size, uint64_t v);
void gen_fini(struct gen_bytes *b);

/** Deterministic pseudo-random numbers (xorshift). */
uint64_t gen_rand(uint64_t *seed);

enum gen_state { GEN_HOLE, GEN_EXCLUDED, GEN_PRESENT, GEN_LOST };

/** A machine's memory, frame by frame. */
struct gen_memory {
	uint32_t page_size;
	uint64_t n; /**< frames */
	uint8_t *state;
	uint8_t *bytes; /**< n * page_size */
};
/** Frames in mixed states, with zero, text-like, word-like and random pages. */
void gen_memory_mixed(struct gen_memory *m, uint32_t page_size, uint64_t n, uint64_t seed);
void gen_memory_fini(struct gen_memory *m);

enum gen_codec { GEN_NONE, GEN_ZLIB, GEN_LZO, GEN_SNAPPY, GEN_ZSTD, GEN_CODECS };
/** Compresses; 0 when the result would not fit @cap. */
size_t gen_compress(enum gen_codec c, const void *in, size_t n, void *out, size_t cap);

enum gen_layout { GEN_LP64, GEN_ILP32_ALIGN4, GEN_ILP32_ALIGN8 };
struct gen_kdump {
	struct wh_abi abi; /**< byte order; the word size follows from the layout */
	enum gen_layout layout;
	const char *machine;
	uint32_t version; /**< 1..6 */
	enum gen_codec codec;
	bool one_bitmap;
	bool split;
	uint64_t start, end; /**< of the part, when split */
	uint32_t status;
	uint32_t dump_level;
	const char *vmcoreinfo; /**< NULL: none */
	const struct gen_bytes *notes;
	uint64_t time;
};
void gen_kdump(const struct gen_memory *m, const struct gen_kdump *o, struct gen_bytes *out);

struct gen_flatten {
	size_t record;	  /**< [bytes] largest record */
	uint64_t shuffle; /**< seed of the order; 0: in order */
	bool rewrite;	  /**< write stale bytes first, so that later records must win */
	bool no_end;	  /**< leave the end record out */
};
void gen_flatten(const struct gen_bytes *in, const struct gen_flatten *o, struct gen_bytes *out);

struct gen_segment {
	uint64_t vaddr, paddr, memsz, filesz;
	uint32_t flags;
	const uint8_t *data; /**< filesz bytes */
};
struct gen_elf {
	struct wh_abi abi;
	uint16_t machine;
	uint16_t type; /**< 0: ET_CORE */
	const struct gen_segment *segs;
	size_t n_segs;
	const struct gen_bytes *notes;
	size_t phoff;  /**< 0: right behind the header */
	bool phs_last; /**< program headers at the end of the file */
	bool xnum;     /**< PN_XNUM: the count is in section header 0 */
};
void gen_elf(const struct gen_elf *o, struct gen_bytes *out);
void gen_note(struct gen_bytes *out, struct wh_abi abi, const char *name, uint32_t type,
	      const void *desc, size_t n);

#endif
