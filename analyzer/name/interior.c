/* SPDX-License-Identifier: GPL-2.0-or-later */
/* interior: see interior.h.  Each check reads at most a few words of the block and of a vtable. */
#include "analyzer/name/interior.h"

#define VTABLES_MAX 65536u /* [bytes] that the vtables of one class may span */

const char *const wh_interior_names[16] = {
	[WH_INTERIOR_TAGGED] = "tagged",
	[WH_INTERIOR_STDSTRING] = "stdstring",
	[WH_INTERIOR_LENGTH64] = "length64",
	[WH_INTERIOR_NEWARRAY] = "newarray",
	[WH_INTERIOR_MULTIPLE] = "multipleinheritance",
	[WH_INTERIOR_DTV] = "dtv",
};

/* Could @need bytes be what was asked for of a block with @room? */
static bool fills(uint64_t need, uint64_t room, unsigned int w)
{
	return need <= room && room - need < 4 * w;
}

static bool is_string(struct wh_abi abi, struct wh_reader *r, uint64_t addr, uint64_t size)
{
	uint64_t length, capacity;

	return wh_read_word(r, addr, &length) && wh_read_word(r, addr + abi.word, &capacity) &&
	       length <= capacity && capacity < size &&
	       fills(3u * abi.word + capacity + 1, size, abi.word);
}

static bool is_counted_array(struct wh_abi abi, struct wh_reader *r, uint64_t addr, uint64_t size,
			     uint64_t off)
{
	uint64_t n;

	if (!wh_read_word(r, addr + off - abi.word, &n) || !n || n > size - off)
		return false;
	return fills((size - off) / n * n + off, size, abi.word);
}

/* May the constants of a module lie at @addr?  Older linkers put them between the code, into its first mapping. */
static bool is_constant(const struct wh_process *p, uint64_t addr)
{
	const struct wh_map_area *m = wh_process_find_map(p, addr);

	return m && m->module != UINT32_MAX && !(addr & (p->abi.word - 1u)) &&
	       (!(m->flags & WH_MAP_X) || !m->file_off);
}

/*
 * Itanium C++ ABI 2.5: a vtable pointer points behind {offset to top, typeinfo}; in a secondary vtable the
 * offset is minus the place of its base class in the object.  All vtables of a class follow each other.
 */
static bool is_base_class(const struct wh_process *p, struct wh_reader *r, uint64_t addr,
			  uint64_t off)
{
	uint64_t mask = p->abi.word == 8 ? UINT64_MAX : UINT32_MAX, before = 2u * p->abi.word;
	uint64_t first, second, top;

	if (!wh_read_word(r, addr, &first) || !wh_read_word(r, addr + off, &second) ||
	    !is_constant(p, first) || !is_constant(p, second))
		return false;
	if (wh_read_word(r, first - before, &top) && top)
		return false;
	if (wh_read_word(r, second - before, &top))
		return top == ((0 - off) & mask);
	/* the tables are not in the core: their places have to do */
	return second > first && second - first < VTABLES_MAX;
}

/*
 * glibc elf/dl-tls.c allocate_dtv(): {length}, {generation}, length times {block, to free}, two words each; a thread's
 * descriptor points at the second.  Threads whose thread pointer is known hold theirs anyway, but cores of 32-bit ARM
 * don't have it.
 */
static bool is_dtv(struct wh_abi abi, struct wh_reader *r, uint64_t addr, uint64_t size)
{
	uint64_t length, unused;

	return wh_read_word(r, addr, &length) && wh_read_word(r, addr + abi.word, &unused) &&
	       length && length < size && !unused &&
	       fills((length + 2) * 2 * abi.word, size, abi.word);
}

unsigned int wh_interior_check(const void *arg, struct wh_reader *r, uint32_t row, uint64_t addr,
			       uint64_t size, uint64_t off)
{
	const struct wh_process *p = arg;
	unsigned int w = p->abi.word;
	uint64_t n;

	(void)row;
	if (off < w)
		return WH_INTERIOR_TAGGED;
	if (off & (w - 1) || off >= size)
		return WH_INTERIOR_NONE;
	if (off == 3 * w && is_string(p->abi, r, addr, size))
		return WH_INTERIOR_STDSTRING;
	if (off == 8 && wh_read_u64(r, addr, &n) && n && fills(n + 8, size, w))
		return WH_INTERIOR_LENGTH64;
	if ((off == w || off == 2 * w) && is_counted_array(p->abi, r, addr, size, off))
		return WH_INTERIOR_NEWARRAY;
	if (off == 2 * w && is_dtv(p->abi, r, addr, size))
		return WH_INTERIOR_DTV;
	if (is_base_class(p, r, addr, off))
		return WH_INTERIOR_MULTIPLE;
	return WH_INTERIOR_NONE;
}
