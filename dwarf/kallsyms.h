/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kallsyms: the symbol table that a Linux kernel carries in its own image (scripts/kallsyms.c,
 * kernel/kallsyms.c).  Names are strings of tokens; addresses come in four encodings:
 *
 *	absolute          addresses[i]                                        (< 4.6, some machines < 6.11)
 *	base-relative     relative_base + (u32) offsets[i]                    (4.6 .. 6.x)
 *	absolute-percpu   offsets[i] >= 0: itself; else relative_base - 1 - offsets[i]  (x86-64 SMP < 6.15)
 *	place-relative    &offsets[i] + (s32) offsets[i]                      (7.0)
 *
 * Which one, and whether name lengths are ULEB128 (6.1 on), is decided by decoding, not by version.
 * The functions here work on bytes; knames.c fetches them from a dump.
 */
#ifndef WH_DWARF_KALLSYMS_H
#define WH_DWARF_KALLSYMS_H

#include "dwarf/sym.h"
#include "formats/arch.h"

#define WH_KALLSYMS_TOKENS 256

/** The tables as bytes; a length is what was readable from the table's start, not its real one. */
struct wh_kallsyms_raw {
	struct wh_abi abi;
	uint32_t num_syms;
	const uint8_t *names;
	size_t names_len;
	const char *token_table;
	size_t token_table_len;
	const uint8_t *token_index; /**< 256 x u16 */
	size_t token_index_len;
	const uint8_t *offsets; /**< 32-bit table; NULL none */
	size_t offsets_len;
	uint64_t offsets_va;	  /**< VIRT of offsets[0] (place-relative) */
	const uint8_t *addresses; /**< word table; NULL none */
	size_t addresses_len;
	bool have_relative_base;
	uint64_t relative_base;
	uint64_t stext;		     /**< known address of _stext; 0 unknown */
	uint64_t image_lo, image_hi; /**< kernel image; hi 0 unknown */
};

enum wh_kallsyms_encoding {
	WH_KALLSYMS_ABSOLUTE,
	WH_KALLSYMS_BASE_RELATIVE,
	WH_KALLSYMS_ABSOLUTE_PERCPU,
	WH_KALLSYMS_PLACE_RELATIVE,
	WH_KALLSYMS_ENCODING_COUNT
};

struct wh_kallsyms_info {
	enum wh_kallsyms_encoding encoding;
	bool uleb;	       /**< name lengths are ULEB128 */
	bool anchored;	       /**< _stext was found where it should be */
	bool have_data;	       /**< KALLSYMS_ALL */
	uint64_t end_of_names; /**< [bytes] from names: where decoding stopped */
	uint32_t n;	       /**< symbols added; fewer than num_syms when the table is damaged */
};

/** "kallsyms (absolute)" …: stable text for reports. */
const char *wh_kallsyms_encoding_name(enum wh_kallsyms_encoding e);

/**
 * Adds every symbol to @t as image symbols.  Damage in the middle keeps what came before it (n says how
 * many); WH_ERR_BAD_DATA when not even the shape is right.
 */
struct wh_err *wh_kallsyms_decode(const struct wh_kallsyms_raw *raw, struct wh_symtab *t,
				  struct wh_kallsyms_info *ret) WH_MUST_CHECK;

/** Where the tables lie, as offsets into the image that was searched; UINT64_MAX unknown. */
struct wh_kallsyms_place {
	uint64_t names, token_table, token_index, offsets, addresses;
	uint32_t num_syms;
	bool have_relative_base;
	uint64_t relative_base;
};
/**
 * Finds the tables by their shape in @image, the bytes at VIRT @va (8-byte aligned): the index of 256
 * ascending offsets behind the strings that they point into, then the neighbours (linux.md §3.1).
 * &wh_err_not_found when there is no such thing.
 */
struct wh_err *wh_kallsyms_search(struct wh_abi abi, const uint8_t *image, size_t len, uint64_t va,
				  struct wh_kallsyms_place *ret) WH_MUST_CHECK;

#endif
