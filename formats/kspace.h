/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kspace: the kernel address space of a Linux vmcore, found from the dump alone (linux.md §2): direct
 * map, image, page tables, memmap.  x86-64 with 4 and 5 levels, PTI, any KASLR; arm64 with 4K, 16K, 64K.
 * VMCOREINFO from header or note, else found in memory, else KASLR and page tables from the QEMU CPU note.
 */
#ifndef WH_FORMATS_KSPACE_H
#define WH_FORMATS_KSPACE_H

#include "formats/mem.h"

struct wh_kspace {
	/**
	 * Borrowed; or, when its frames are not the kernel's pages (QEMU and arm64, ELF without
	 * VMCOREINFO), a view that counts in those: ask it for states, read through `mem`.
	 */
	const struct wh_dump *dump;
	struct wh_mem *mem; /**< owned; its translator is ours */
	/** Text used for everything; owned by us or by the dump; NULL when there is none at all. */
	const struct wh_vmcoreinfo *vmcoreinfo;
	const char *vmcoreinfo_source; /**< "header", "note", "memory scan", "none" */
	const char
		*pgd_source; /**< how the page tables were found, e.g. "init_top_pgt", "QEMU cr3" */

	uint32_t page_shift;
	uint64_t
		page_offset; /**< VIRT of physical 0 in the direct map: va = pa + page_offset (mod 2^64) */
	uint64_t direct_start, direct_end; /**< VIRT range of the direct map that RAM can occupy */
	uint64_t image_start,
		image_end;	/**< VIRT range in which the kernel image lies (text … bss) */
	uint64_t image_to_phys; /**< pa = va + image_to_phys (mod 2^64) for the image */
	uint64_t kaslr_offset;	/**< KERNELOFFSET; 0 when unknown or off */
	uint64_t pgd_phys;
	uint64_t
		vmemmap; /**< VIRT of the struct page of pfn 0 (mod 2^64); 0 without SPARSEMEM_VMEMMAP */
	uint64_t
		tag_mask; /**< OR into a kernel pointer to strip its tag/PAC before lookup; 0 none */
	uint64_t kernel_min; /**< lowest kernel VIRT address */
	int levels;	     /**< of page tables */
	void *priv;
};

struct wh_err *wh_kspace_open(const struct wh_dump *d, struct wh_kspace **ret) WH_MUST_CHECK;
void wh_kspace_close(struct wh_kspace *k);

/** Direct-map address of a frame. */
static inline uint64_t wh_kspace_pfn_to_virt(const struct wh_kspace *k, uint64_t pfn)
{
	return (pfn << k->page_shift) + k->page_offset;
}

/** True, and the frame, when @va lies in the direct map. */
static inline bool wh_kspace_virt_to_pfn(const struct wh_kspace *k, uint64_t va, uint64_t *ret_pfn)
{
	if (va < k->direct_start || va >= k->direct_end)
		return false;
	*ret_pfn = (va - k->page_offset) >> k->page_shift;
	return true;
}

/** Calls @fn for every present frame-sized mapping in [start, end) of VIRT, in address order. */
typedef struct wh_err *(*wh_kspace_map_fn)(void *arg, uint64_t va, uint64_t pa, uint64_t len);
struct wh_err *wh_kspace_each_mapping(const struct wh_kspace *k, struct wh_reader *r,
				      uint64_t start, uint64_t end, wh_kspace_map_fn fn,
				      void *arg) WH_MUST_CHECK;

#endif
