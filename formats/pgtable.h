/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pgtable: a walker for radix page tables of any depth and page size; what an entry means is the
 * machine's (a decode function).  Depth is fixed, so a table that points at itself cannot loop.
 */
#ifndef WH_FORMATS_PGTABLE_H
#define WH_FORMATS_PGTABLE_H

#include "formats/kspace.h"

enum wh_pte_kind { WH_PTE_ABSENT, WH_PTE_TABLE, WH_PTE_LEAF };

struct wh_pgtable {
	uint64_t root;	       /**< PHYS of the top-level table */
	uint8_t levels;	       /**< 2..5 */
	uint8_t page_shift;    /**< 12, 14, 16; a table has 2^(page_shift - 3) entries of 8 bytes */
	uint8_t va_bits;       /**< bits of VIRT that the tables translate */
	uint64_t address_mask; /**< further bits to clear from an entry's address (SME) */
	/** Kind and PHYS of entry @pte of a table at @level (0: the last). */
	enum wh_pte_kind (*decode)(const struct wh_pgtable *t, unsigned int level, uint64_t pte,
				   uint64_t *ret_pa);
};

/** VIRT bytes that one entry at @level covers, as a shift. */
static inline unsigned int wh_pgtable_shift(const struct wh_pgtable *t, unsigned int level)
{
	return t->page_shift + level * (t->page_shift - 3u);
}

/**
 * Translates @va.  *ret_run: bytes from @va that the same leaf maps, or that the same absent entry
 * leaves unmapped.  The state of a missing table page is the answer when the walk meets one.
 */
enum wh_mem_state wh_pgtable_walk(const struct wh_pgtable *t, struct wh_reader *r, uint64_t va,
				  uint64_t *ret_pa, uint64_t *ret_run);
/**
 * Calls @fn for each leaf in [start, end), in address order, clipped to the range; neighbours that
 * continue in VIRT and PHYS are joined.  Gives up quietly after WH_LIMIT_LIST_STEPS entries.
 */
struct wh_err *wh_pgtable_each(const struct wh_pgtable *t, struct wh_reader *r, uint64_t start,
			       uint64_t end, wh_kspace_map_fn fn, void *arg) WH_MUST_CHECK;

/** Both halves of x86-64's and arm64's formats. */
extern enum wh_pte_kind wh_pgtable_decode_x86(const struct wh_pgtable *t, unsigned int level,
					      uint64_t pte, uint64_t *ret_pa);
extern enum wh_pte_kind wh_pgtable_decode_arm64(const struct wh_pgtable *t, unsigned int level,
						uint64_t pte, uint64_t *ret_pa);

#endif
