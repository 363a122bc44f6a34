/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "formats/pgtable.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/base/limits.h"
#include "analyzer/base/vec.h"

static const struct wh_abi le = {.big_endian = false, .word = 8};

/* Entries of the table at @level; the top one may be smaller than a page. */
static uint64_t n_entries(const struct wh_pgtable *t, unsigned int level)
{
	unsigned int shift = wh_pgtable_shift(t, level);

	if (level + 1u == t->levels && t->va_bits - shift < t->page_shift - 3u)
		return 1ull << (t->va_bits - shift);
	return 1ull << (t->page_shift - 3);
}

enum wh_mem_state wh_pgtable_walk(const struct wh_pgtable *t, struct wh_reader *r, uint64_t va,
				  uint64_t *ret_pa, uint64_t *ret_run)
{
	uint64_t table = t->root;

	for (unsigned int level = t->levels; level-- > 0;) {
		unsigned int shift = wh_pgtable_shift(t, level);
		uint64_t index = va >> shift & (n_entries(t, level) - 1);
		uint64_t in_entry = va & ((1ull << shift) - 1), pa;
		enum wh_mem_state state;
		uint8_t pte[8];

		*ret_run = (1ull << shift) - in_entry;
		if (wh_read_some(r, WH_PHYS, table + index * 8, pte, 8, &state) < 8)
			return state;
		switch (t->decode(t, level, wh_get_u64(le, pte), &pa)) {
		case WH_PTE_ABSENT: return WH_MEM_UNMAPPED;
		case WH_PTE_LEAF: *ret_pa = pa + in_entry; return WH_MEM_PRESENT;
		case WH_PTE_TABLE: table = pa; break;
		}
	}
	return WH_MEM_CORRUPT; /* a table below the last level */
}

struct each {
	const struct wh_pgtable *t;
	struct wh_reader *r;
	uint64_t start, last; /* inclusive, so that the end of the address space can be named */
	wh_kspace_map_fn fn;
	void *arg;
	uint64_t budget;
	uint64_t va, pa, len; /* the mapping that may still grow */
	uint8_t *tables;      /* one page for each level */
};

static struct wh_err *each_flush(struct each *e)
{
	uint64_t len = e->len;

	e->len = 0;
	return len ? e->fn(e->arg, e->va, e->pa, len) : NULL;
}

static struct wh_err *each_leaf(struct each *e, uint64_t va, uint64_t pa, uint64_t len)
{
	if (va < e->start) {
		pa += e->start - va;
		len -= e->start - va;
		va = e->start;
	}
	if (len - 1 > e->last - va)
		len = e->last - va + 1;
	if (e->len && e->va + e->len == va && e->pa + e->len == pa) {
		e->len += len;
		return NULL;
	}
	WH_TRY(each_flush(e));
	e->va = va;
	e->pa = pa;
	e->len = len;
	return NULL;
}

static struct wh_err *each_table(struct each *e, unsigned int level, uint64_t table, uint64_t base)
{
	const struct wh_pgtable *t = e->t;
	unsigned int shift = wh_pgtable_shift(t, level);
	uint64_t n = n_entries(t, level), size = 1ull << shift;
	uint8_t *p = e->tables + ((size_t)level << t->page_shift);
	size_t got = wh_read_some(e->r, WH_PHYS, table, p, (size_t)(n * 8), NULL);
	uint64_t i = e->start > base ? (e->start - base) >> shift : 0;

	for (; i < got / 8 && e->budget; i++) {
		uint64_t va = base + i * size, pa;

		if (va > e->last)
			break;
		e->budget--;
		switch (t->decode(t, level, wh_get_u64(le, p + i * 8), &pa)) {
		case WH_PTE_ABSENT: break;
		case WH_PTE_LEAF: WH_TRY(each_leaf(e, va, pa, size)); break;
		case WH_PTE_TABLE:
			if (level)
				WH_TRY(each_table(e, level - 1, pa, va));
			break;
		}
	}
	return NULL;
}

struct wh_err *wh_pgtable_each(const struct wh_pgtable *t, struct wh_reader *r, uint64_t start,
			       uint64_t end, wh_kspace_map_fn fn, void *arg)
{
	WH_AUTO_FREE uint8_t *tables = malloc((size_t)t->levels << t->page_shift);
	uint64_t base = t->va_bits < 64 ? ~0ull << t->va_bits : 0;
	struct each e = {.t = t,
			 .r = r,
			 .start = start,
			 .last = end - 1,
			 .fn = fn,
			 .arg = arg,
			 .budget = WH_LIMIT_LIST_STEPS,
			 .tables = tables};

	if (!tables)
		return &wh_err_nomem;
	if (start < base)
		e.start = base;
	if (e.start > e.last)
		return NULL;
	WH_TRY(each_table(&e, t->levels - 1u, t->root, base));
	return each_flush(&e);
}

#define X86_PRESENT 0x1u
#define X86_PSE	    0x80u
#define X86_ADDR    0x000ffffffffff000ull

enum wh_pte_kind wh_pgtable_decode_x86(const struct wh_pgtable *t, unsigned int level, uint64_t pte,
				       uint64_t *ret_pa)
{
	uint64_t pa = pte & X86_ADDR & ~t->address_mask;

	if (!(pte & X86_PRESENT))
		return WH_PTE_ABSENT;
	if (level && !(pte & X86_PSE)) {
		*ret_pa = pa;
		return WH_PTE_TABLE;
	}
	if (level > 2)
		return WH_PTE_ABSENT; /* reserved bit: no such leaf */
	/* Of a large leaf bit 12 is PAT, not address. */
	*ret_pa = pa & (~0ull << wh_pgtable_shift(t, level));
	return WH_PTE_LEAF;
}

/*
 * arm64 (Arm ARM D8.3): bits 1:0 are 3 for a table or a last-level page, 1 for a block.  Address bits
 * 47:page_shift; with 64 KiB pages bits 51:48 are in 15:12; with LPA2 (4 and 16 KiB pages and more
 * than 48 bits of VIRT) bits 49:48 are in place and 51:50 in 9:8.
 */
enum wh_pte_kind wh_pgtable_decode_arm64(const struct wh_pgtable *t, unsigned int level,
					 uint64_t pte, uint64_t *ret_pa)
{
	uint64_t low = ~0ull << t->page_shift, pa = pte & 0x0000ffffffffffffull & low;

	if (!(pte & 1))
		return WH_PTE_ABSENT;
	if (t->page_shift == 16)
		pa |= (pte >> 12 & 0xf) << 48;
	else if (t->va_bits > 48)
		pa |= (pte & (3ull << 48)) | (pte >> 8 & 3) << 50;
	pa &= ~t->address_mask;
	*ret_pa = pa;
	if (pte & 2)
		return level ? WH_PTE_TABLE : WH_PTE_LEAF;
	if (!level)
		return WH_PTE_ABSENT; /* reserved */
	*ret_pa = pa & (~0ull << wh_pgtable_shift(t, level));
	return WH_PTE_LEAF;
}
