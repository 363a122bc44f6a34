/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arm64: page tables and image (Linux Documentation/arch/arm64/memory.rst, arch/arm64/kernel/
 * vmcore_info.c).  swapper_pg_dir lies in the image: pa = va - kimage_voffset.  Its depth follows from
 * the page size and the address bits in use, 64 - TCR_EL1.T1SZ (older kernels: VA_BITS).
 *
 * Direct map: PAGE_OFFSET is -(1 << VA_BITS) since 5.4 and was -(1 << (VA_BITS - 1)) before, and holds
 * physical PHYS_OFFSET, which a 52-bit kernel on 48-bit hardware lowers so that the sum still holds.
 * Which of them it is, the tables decide (wh_kspace_open).
 */
#include <stdlib.h>

#include "formats/kspace_priv.h"

#define IMAGE_MAX (512ull << 20) /* [bytes] searched around swapper_pg_dir for the image */

static uint64_t find_hex(const struct wh_vmcoreinfo *v, const char *key)
{
	const char *s = wh_vmcoreinfo_find(v, key);

	return s ? strtoull(s, NULL, 16) : 0;
}

static unsigned int page_shift(const struct wh_kspace *k)
{
	const char *s = wh_vmcoreinfo_find(k->vmcoreinfo, "PAGESIZE");
	unsigned long n = s ? strtoul(s, NULL, 10) : k->dump->page_size;

	return n == 65536 ? 16 : n == 16384 ? 14 : 12;
}

static bool try_bits(struct wh_kspace *k, struct wh_reader *r, uint64_t va, uint64_t voffset,
		     unsigned int bits)
{
	struct wh_kspace_priv *p = k->priv;
	unsigned int shift = page_shift(k), per = shift - 3;
	struct wh_pgtable t = {
		.root = va - voffset,
		.levels = (uint8_t)((bits - shift + per - 1) / per),
		.page_shift = (uint8_t)shift,
		.va_bits = (uint8_t)bits,
		.decode = wh_pgtable_decode_arm64,
	};

	if (!wh_kspace_maps(&t, r, va, va - voffset, p->lenient))
		return false;
	p->pt = t;
	p->pt_ok = true;
	k->pgd_phys = t.root;
	k->pgd_source = "swapper_pg_dir";
	k->levels = t.levels;
	return true;
}

static struct wh_err *find_tables(struct wh_kspace *k, struct wh_reader *r)
{
	static const uint8_t usual[] = {48, 39, 52, 47, 42, 36};
	struct wh_kspace_priv *p = k->priv;
	const struct wh_vmcoreinfo *v = k->vmcoreinfo;
	int64_t voffset, bits = 48, t1sz;
	uint64_t va;

	if (!v || !wh_vmcoreinfo_symbol(v, "swapper_pg_dir", &va) ||
	    !wh_vmcoreinfo_number(v, "kimage_voffset", &voffset))
		return &wh_err_not_found;
	wh_vmcoreinfo_number(v, "VA_BITS", &bits);
	if (bits < 36 || bits > 52)
		bits = 48;
	k->page_shift = page_shift(k);
	k->kernel_min = ~0ull << bits;
	k->image_to_phys = 0 - (uint64_t)voffset;
	k->kaslr_offset = find_hex(v, "KERNELOFFSET");
	/* Tags of hardware or software KASAN are in the top byte, pointer signatures where the mask says. */
	k->tag_mask = 0xffull << 56 | find_hex(v, "NUMBER(KERNELPACMASK)");
	p->image_hint = va;
	if (wh_vmcoreinfo_number(v, "TCR_EL1_T1SZ", &t1sz) && t1sz >= 12 && t1sz <= 28 &&
	    try_bits(k, r, va, (uint64_t)voffset, (unsigned int)(64 - t1sz)))
		return NULL;
	if (try_bits(k, r, va, (uint64_t)voffset, (unsigned int)bits))
		return NULL;
	for (size_t i = 0; i < sizeof(usual); i++)
		if (try_bits(k, r, va, (uint64_t)voffset, usual[i]))
			return NULL;
	return &wh_err_not_found;
}

static size_t direct_candidates(const struct wh_kspace *k, uint64_t *ret, size_t cap)
{
	int64_t bits, phys;

	if (cap < 2 || !k->vmcoreinfo || !wh_vmcoreinfo_number(k->vmcoreinfo, "VA_BITS", &bits) ||
	    !wh_vmcoreinfo_number(k->vmcoreinfo, "PHYS_OFFSET", &phys) || bits < 36 || bits > 52)
		return 0;
	ret[0] = (~0ull << bits) - (uint64_t)phys;
	ret[1] = (~0ull << (bits - 1)) - (uint64_t)phys;
	return 2;
}

static void image_window(const struct wh_kspace *k, uint64_t *ret_start, uint64_t *ret_end)
{
	const struct wh_kspace_priv *p = k->priv;
	uint64_t hint = p->image_hint;

	*ret_start = hint - k->kernel_min > IMAGE_MAX ? hint - IMAGE_MAX : k->kernel_min;
	*ret_end = hint < UINT64_MAX - IMAGE_MAX ? hint + IMAGE_MAX : UINT64_MAX;
}

const struct wh_kspace_arch wh_kspace_arm64 = {
	.name = "aarch64",
	.find_tables = find_tables,
	.direct_candidates = direct_candidates,
	.image_window = image_window,
	.direct_align = 1ull << 16,
};
