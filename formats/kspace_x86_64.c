/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x86-64: page tables and image (Linux Documentation/arch/x86/x86_64/mm.rst, arch/x86/kernel/
 * vmcore_info_64.c; QEMU target/i386/arch_dump.c for the note).
 *
 * With VMCOREINFO: SYMBOL(init_top_pgt) lies in the image, pa = va - MAP + phys_base.  phys_base is
 * NUMBER(phys_base), or what a PT_LOAD of the image says, or (before 4.10) the 2 MiB step at which the
 * table translates its own address.  Header fields with that name are not believed: QEMU fills them
 * with a decimal number read as hexadecimal.
 *
 * Without: CR3 of a processor.  Under PTI bit 12 selects the user's half of a pair of tables, so the
 * lower page is tried first; the tables must map the IDT and a kernel image.
 */
#include <string.h>

#include "formats/kspace_priv.h"

#define MAP	   0xffffffff80000000ull /* __START_KERNEL_map */
#define IMAGE_MAX  0x40000000ull	 /* KERNEL_IMAGE_SIZE with KASLR */
#define LINK_BASE  0xffffffff81000000ull /* _text without KASLR: CONFIG_PHYSICAL_START is 16 MiB */
#define MIN_4LEVEL 0xffff800000000000ull
#define MIN_5LEVEL 0xff00000000000000ull
#define STEP	   0x200000ull /* alignment of the image in PHYS */
#define CR4_LA57   (1ull << 12)

static struct wh_pgtable make_tables(uint64_t root, bool la57, uint64_t sme_mask)
{
	return (struct wh_pgtable){
		.root = root,
		.levels = la57 ? 5 : 4,
		.page_shift = 12,
		.va_bits = la57 ? 57 : 48,
		.address_mask = sme_mask,
		.decode = wh_pgtable_decode_x86,
	};
}

static void adopt(struct wh_kspace *k, const struct wh_pgtable *t, const char *source)
{
	struct wh_kspace_priv *p = k->priv;

	p->pt = *t;
	p->pt_ok = true;
	k->pgd_phys = t->root;
	k->pgd_source = source;
	k->levels = t->levels;
	k->kernel_min = t->levels == 5 ? MIN_5LEVEL : MIN_4LEVEL;
}

/* Tables at @va in the image, if the image lies @phys_base bytes above physical 0. */
static bool try_base(struct wh_kspace *k, struct wh_reader *r, uint64_t va, uint64_t phys_base,
		     bool la57, uint64_t sme_mask, const char *source)
{
	struct wh_kspace_priv *p = k->priv;
	uint64_t pa = va - MAP + phys_base;
	struct wh_pgtable t = make_tables(pa, la57, sme_mask);

	if (pa & 0xfff || !wh_kspace_maps(&t, r, va, pa, p->lenient))
		return false;
	adopt(k, &t, source);
	k->image_to_phys = phys_base - MAP;
	p->image_hint = va;
	return true;
}

/* The image lies at some 2 MiB step: that at which its table translates itself. */
static bool search_base(struct wh_kspace *k, struct wh_reader *r, uint64_t va, bool la57,
			uint64_t sme_mask, const char *source)
{
	uint64_t off = (va & (STEP - 1)) >> 12, step = STEP >> 12, pfn = off;

	/* Absent memory is skipped in runs: the highest frame may be far away. */
	while ((pfn = wh_kspace_next_frame(k->mem, pfn)) < k->dump->max_pfn) {
		uint64_t pa = pfn << 12;

		if (pfn % step != off) {
			pfn += (off - pfn) % step;
			continue;
		}
		pfn += step;
		if (try_base(k, r, va, pa - (va - MAP), la57, sme_mask, source))
			return true;
	}
	return false;
}

static bool segment_base(const struct wh_kspace *k, uint64_t *ret)
{
	for (size_t i = 0; i < k->dump->n_segs; i++) {
		const struct wh_segment *s = &k->dump->segs[i];

		if (s->vaddr >= MAP && s->vaddr - MAP < IMAGE_MAX) {
			*ret = s->paddr - (s->vaddr - MAP);
			return true;
		}
	}
	return false;
}

static bool from_vmcoreinfo(struct wh_kspace *k, struct wh_reader *r)
{
	static const char *const names[] = {"init_top_pgt", "init_level4_pgt", "swapper_pg_dir"};
	const struct wh_kspace_priv *p = k->priv;
	const struct wh_vmcoreinfo *v = k->vmcoreinfo;
	const char *source = NULL, *kaslr = wh_vmcoreinfo_find(v, "KERNELOFFSET");
	uint64_t va, base;
	int64_t n = 0, la57 = 0, sme = 0;

	for (size_t i = 0; !source && i < sizeof(names) / sizeof(names[0]); i++)
		if (wh_vmcoreinfo_symbol(v, names[i], &va) && va >= MAP && va - MAP < IMAGE_MAX)
			source = names[i];
	if (!source)
		return false;
	wh_vmcoreinfo_number(v, "pgtable_l5_enabled", &la57);
	wh_vmcoreinfo_number(v, "sme_mask", &sme);
	if (kaslr)
		k->kaslr_offset = strtoull(kaslr, NULL, 16);
	if (wh_vmcoreinfo_number(v, "phys_base", &n) &&
	    try_base(k, r, va, (uint64_t)n, la57, (uint64_t)sme, source))
		return true;
	if (segment_base(k, &base) && try_base(k, r, va, base, la57, (uint64_t)sme, source))
		return true;
	/* A search needs proof; with lost tables the first step would do. */
	return !p->lenient && search_base(k, r, va, la57, (uint64_t)sme, source);
}

/* QEMU's note of one processor (version 1): IDT base at 376 + 16, CR3 at 416, CR4 at 424. */
enum { QEMU_SIZE = 432, QEMU_IDT_BASE = 152 + 9 * 24 + 16, QEMU_CR3 = 416, QEMU_CR4 = 424 };

struct first_leaf {
	uint64_t va, pa;
};

static struct wh_err *keep_first(void *arg, uint64_t va, uint64_t pa, uint64_t len)
{
	struct first_leaf *f = arg;

	/* The entry trampoline that the user half maps is smaller than any kernel. */
	if (len < STEP)
		return NULL;
	f->va = va;
	f->pa = pa;
	return &wh_err_not_found; /* enough */
}

/* Tables at @root, if they map the IDT and a kernel image. */
static bool try_root(struct wh_kspace *k, struct wh_reader *r, uint64_t root, bool la57,
		     uint64_t idt)
{
	struct wh_kspace_priv *p = k->priv;
	struct wh_pgtable t = make_tables(root, la57, 0);
	struct first_leaf f = {0};
	uint64_t pa, run;

	if (wh_pgtable_walk(&t, r, idt, &pa, &run) != WH_MEM_PRESENT)
		return false;
	wh_err_destroy(wh_pgtable_each(&t, r, MAP, MAP + IMAGE_MAX, keep_first, &f));
	if (!f.va)
		return false;
	adopt(k, &t, "QEMU cr3");
	k->image_to_phys = f.pa - f.va;
	p->image_hint = f.va;
	k->kaslr_offset = f.va > LINK_BASE ? f.va - LINK_BASE : 0;
	return true;
}

static bool from_qemu(struct wh_kspace *k, struct wh_reader *r)
{
	const struct wh_dump *d = k->dump;
	const struct wh_note *n = NULL;

	while ((n = wh_dump_find_note(d, "QEMU", 0, n))) {
		uint64_t idt, cr3, la57;

		if (n->desc_len < QEMU_SIZE || wh_get_u32(d->abi, n->desc) != 1)
			continue;
		idt = wh_get_u64(d->abi, n->desc + QEMU_IDT_BASE);
		cr3 = wh_get_u64(d->abi, n->desc + QEMU_CR3) & 0x000ffffffffff000ull;
		la57 = wh_get_u64(d->abi, n->desc + QEMU_CR4) & CR4_LA57;
		if (try_root(k, r, cr3 & ~0x1000ull, la57 != 0, idt) ||
		    try_root(k, r, cr3, la57 != 0, idt))
			return true;
	}
	return false;
}

static struct wh_err *find_tables(struct wh_kspace *k, struct wh_reader *r)
{
	k->page_shift = 12;
	k->levels = 4;
	k->kernel_min = MIN_4LEVEL;
	if (k->vmcoreinfo && from_vmcoreinfo(k, r))
		return NULL;
	return from_qemu(k, r) ? NULL : &wh_err_not_found;
}

/* PT_LOADs of /proc/vmcore and of QEMU with paging carry direct-map addresses. */
static size_t direct_candidates(const struct wh_kspace *k, uint64_t *ret, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; n < cap && i < k->dump->n_segs; i++) {
		const struct wh_segment *s = &k->dump->segs[i];

		if (s->vaddr >= k->kernel_min && s->vaddr < MAP && s->filesz)
			ret[n++] = s->vaddr - s->paddr;
	}
	return n;
}

static void image_window(const struct wh_kspace *k, uint64_t *ret_start, uint64_t *ret_end)
{
	int64_t size = IMAGE_MAX;

	if (k->vmcoreinfo)
		wh_vmcoreinfo_number(k->vmcoreinfo, "KERNEL_IMAGE_SIZE", &size);
	*ret_start = MAP;
	*ret_end = MAP + ((uint64_t)size - 1 < IMAGE_MAX ? (uint64_t)size : IMAGE_MAX);
}

const struct wh_kspace_arch wh_kspace_x86_64 = {
	.name = "x86_64",
	.find_tables = find_tables,
	.direct_candidates = direct_candidates,
	.image_window = image_window,
	.direct_align = 1ull << 30,
};
