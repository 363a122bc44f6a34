/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kallsyms without VMCOREINFO.  The tables lie together in .rodata, each label 8-byte aligned (word
 * aligned on 32-bit), in one of two orders (scripts/kallsyms.c write_src, before and since 6.4):
 *
 *	offsets relative_base num_syms names markers [seqs] token_table token_index
 *	num_syms names markers token_table token_index offsets relative_base [seqs]
 *
 * The index gives itself away: 256 ascending u16 that start with 0, and right before it the strings
 * whose ends they all hit.  From there the names are found backwards: the num_syms whose names, walked,
 * end at markers that agree.  Nothing else looks like this, so a hit is as good as a symbol.
 */
#include <string.h>

#include "analyzer/base/limits.h"
#include "dwarf/kallsyms.h"

#define SAMPLE	    64		 /* addresses looked at to tell what a table is */
#define TOKEN_MAX   128		 /* [bytes] of the last token, generous */
#define WALK_BUDGET (256u << 20) /* names walked in all */
#define NAMES_REACH (64u << 20)	 /* [bytes] that names and what follows can take */

struct image {
	struct wh_abi abi;
	const uint8_t *p;
	size_t len;
	uint64_t va;
	size_t budget; /* names that may still be walked: hostile images cost no more than real ones */
};

static uint32_t img_u32(const struct image *m, size_t off)
{
	return wh_get_u32(m->abi, m->p + off);
}

static uint64_t img_word(const struct image *m, size_t off)
{
	return wh_get_word(m->abi, m->p + off);
}

static bool index_shape(const struct image *m, size_t at)
{
	uint16_t last = 0;

	if (wh_get_u16(m->abi, m->p + at))
		return false;
	for (size_t i = 1; i < WH_KALLSYMS_TOKENS; i++) {
		uint16_t v = wh_get_u16(m->abi, m->p + at + 2 * i);

		if (v <= last || v - last > TOKEN_MAX)
			return false;
		last = v;
	}
	return true;
}

/* Strings that begin at every offset of the index at @at, and end in @start + offset - 1. */
static bool table_fits(const struct image *m, size_t at, size_t start)
{
	for (size_t i = 1; i < WH_KALLSYMS_TOKENS; i++) {
		size_t a = wh_get_u16(m->abi, m->p + at + 2 * (i - 1));
		size_t b = wh_get_u16(m->abi, m->p + at + 2 * i);

		if (memchr(m->p + start + a, 0, b - a) != m->p + start + b - 1)
			return false;
	}
	return true;
}

/* Start of the token table whose index is at @at. */
static bool find_table(const struct image *m, size_t at, size_t *ret)
{
	size_t last = wh_get_u16(m->abi, m->p + at + 2 * (WH_KALLSYMS_TOKENS - 1));
	size_t align = m->abi.word, total = last + 2, tries = TOKEN_MAX / align;

	for (size_t k = 0; k < tries; k++) {
		size_t back = ((total + align - 1) & ~(align - 1)) + k * align, end;

		if (back > at)
			return false;
		end = (size_t)(strnlen((const char *)m->p + at - back + last, back - last));
		/* The last string must end inside the padding before the index. */
		if (back - last - end > align || end == back - last)
			continue;
		if (table_fits(m, at, at - back)) {
			*ret = at - back;
			return true;
		}
	}
	return false;
}

/* Walks @n names from @names by one rule; where they end, 0 when they overrun @limit. */
static size_t walk(struct image *m, size_t names, uint32_t n, size_t limit, bool uleb,
		   size_t *ret_256)
{
	size_t pos = names;

	for (uint32_t i = 0; i < n; i++) {
		size_t len;

		if (!m->budget)
			return 0;
		m->budget--;
		if (i == 256)
			*ret_256 = pos - names;
		if (pos + 2 > limit)
			return 0;
		len = m->p[pos++];
		if (!len)
			return 0;
		if (uleb && (len & 0x80))
			len = (len & 0x7f) | (size_t)m->p[pos++] << 7;
		if (len > limit - pos)
			return 0;
		pos += len;
	}
	return pos;
}

/* Whether @at is num_syms, with the names behind it and markers that agree. */
static bool names_fit(struct image *m, size_t at, size_t table, bool uleb, size_t *ret_names)
{
	size_t align = m->abi.word, names = at + (align > 4 ? align : 4), at_256 = 0, marks;
	uint32_t n = img_u32(m, at);

	marks = walk(m, names, n, table, uleb, &at_256);
	if (!marks)
		return false;
	marks = (marks + align - 1) & ~(align - 1);
	if (marks + 8 > table || img_u32(m, marks) != 0)
		return false;
	/* A marker is 32 bits since 4.20, a word before (scripts/kallsyms.c output_label kallsyms_markers). */
	if (n > 256 && img_u32(m, marks + 4) != at_256 &&
	    (marks + 2 * align > table || img_word(m, marks) ||
	     img_word(m, marks + align) != at_256))
		return false;
	*ret_names = names;
	return true;
}

static bool find_names(struct image *m, size_t table, size_t *ret_num, size_t *ret_names)
{
	size_t align = m->abi.word;
	size_t low = table > NAMES_REACH ? table - NAMES_REACH : 0;

	for (size_t at = (table & ~(align - 1)); at >= low + align;) {
		size_t room;
		uint32_t n;

		at -= align;
		n = img_u32(m, at);
		room = table - at;
		/* A name takes 3 to 64 bytes on average; cheap, and true for one place in thousands. */
		if (n < 16 || n > WH_LIMIT_SYMBOLS || room / n < 3 || room / n > 64)
			continue;
		if (align == 8 && img_u32(m, at + 4) != 0)
			continue;
		if (names_fit(m, at, table, true, ret_names) ||
		    names_fit(m, at, table, false, ret_names)) {
			*ret_num = at;
			return true;
		}
	}
	return false;
}

static bool is_kernel_addr(const struct image *m, uint64_t v)
{
	return v >= m->va - (256u << 20) && v < m->va + m->len + (256u << 20);
}

/* Whether a sample of the 32-bit table at @at gives addresses of the image, in one of its encodings. */
static bool offsets_fit(const struct image *m, size_t at, size_t n, bool have_base, uint64_t base)
{
	size_t good[3] = {0}, asked = 0, step = n / SAMPLE + 1;

	if (at > m->len || 4 * n > m->len - at)
		return false;
	for (size_t i = 0; i < n; i += step, asked++) {
		int64_t v = (int32_t)img_u32(m, at + 4 * i);

		good[0] += have_base && is_kernel_addr(m, base + (uint32_t)v);
		/* Per-CPU symbols are small and positive here; those of the image are negative. */
		good[1] += have_base && v < 0 && is_kernel_addr(m, base - 1 - (uint64_t)v);
		good[2] += !have_base && is_kernel_addr(m, m->va + at + 4 * i + (uint64_t)v);
	}
	for (int k = 0; k < 3; k++)
		if (good[k] * 2 > asked)
			return true;
	return false;
}

static bool addresses_fit(const struct image *m, size_t at, size_t n)
{
	size_t good = 0, asked = 0, step = n / SAMPLE + 1;

	for (size_t i = 0; i < n; i += step, asked++)
		good += is_kernel_addr(m, img_word(m, at + i * m->abi.word));
	return good * 2 > asked;
}

static bool try_offsets(const struct image *m, size_t at, size_t base_at, size_t n,
			struct wh_kallsyms_place *pl)
{
	bool have_base = base_at + m->abi.word <= m->len;
	uint64_t base = have_base ? img_word(m, base_at) : 0;

	have_base = have_base && is_kernel_addr(m, base);
	if (!offsets_fit(m, at, n, have_base, base)) {
		have_base = false;
		if (!offsets_fit(m, at, n, false, 0))
			return false;
	}
	pl->offsets = at;
	pl->have_relative_base = have_base;
	pl->relative_base = have_base ? base : 0;
	return true;
}

/* Address tables around what was found, in either order; left unknown when nothing there fits. */
static void find_addresses(const struct image *m, size_t num, size_t index,
			   struct wh_kallsyms_place *pl)
{
	size_t align = m->abi.word, n = pl->num_syms, table = n * align;
	size_t offs = (4 * n + align - 1) & ~(align - 1), after = index + 2 * WH_KALLSYMS_TOKENS;

	if (num >= align + offs && try_offsets(m, num - align - offs, num - align, n, pl))
		return;
	if (try_offsets(m, after, after + offs, n, pl))
		return;
	if (num >= table && addresses_fit(m, num - table, n))
		pl->addresses = num - table;
	else if (after + table <= m->len && addresses_fit(m, after, n))
		pl->addresses = after;
}

struct wh_err *wh_kallsyms_search(struct wh_abi abi, const uint8_t *image, size_t len, uint64_t va,
				  struct wh_kallsyms_place *ret)
{
	struct image m = {.abi = abi, .p = image, .len = len, .va = va, .budget = WALK_BUDGET};
	size_t table, num, names;

	for (size_t at = 0; at + 2 * WH_KALLSYMS_TOKENS <= len; at += abi.word) {
		struct wh_kallsyms_place pl = {.offsets = UINT64_MAX, .addresses = UINT64_MAX};

		if (!index_shape(&m, at) || !find_table(&m, at, &table))
			continue;
		if (!find_names(&m, table, &num, &names))
			continue;
		pl.token_index = at;
		pl.token_table = table;
		pl.names = names;
		pl.num_syms = img_u32(&m, num);
		find_addresses(&m, num, at, &pl);
		*ret = pl;
		return NULL;
	}
	return &wh_err_not_found;
}
