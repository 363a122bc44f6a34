/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kspace_priv: what the kspace*.c files share; private to formats/. */
#ifndef WH_FORMATS_KSPACE_PRIV_H
#define WH_FORMATS_KSPACE_PRIV_H

#include "analyzer/base/vec.h"
#include "formats/pgtable.h"

/** The parts of wh_kspace that callers need not see (wh_kspace.priv). */
struct wh_kspace_priv {
	const struct wh_kspace_arch *arch;
	struct wh_pgtable pt;
	bool pt_ok;		     /**< the tables translate themselves */
	struct wh_vmcoreinfo *found; /**< owned VMCOREINFO from the memory scan, or NULL */
	bool lenient; /**< last resort: tables that lost pages count if nothing contradicts */
	struct wh_dump_ops view_ops; /**< of the view */
	struct wh_dump view;	     /**< the dump in the kernel's page size, when that differs */
	uint64_t image_hint;	     /**< VIRT in the image, 0 unknown */
};

/** One instance a machine; listed in one table in kspace.c. */
struct wh_kspace_arch {
	const char *name; /**< wh_arch.name */
	/**
	 * Finds the page tables (priv->pt, pgd_phys, pgd_source) and the image (image_hint,
	 * image_to_phys, kaslr_offset), with k->vmcoreinfo if there is any, else from the notes of the
	 * processors.  &wh_err_not_found when nothing leads to tables that translate themselves.
	 */
	struct wh_err *(*find_tables)(struct wh_kspace *k, struct wh_reader *r);
	/** What VMCOREINFO alone says of va - pa in the direct map: candidates, best first. */
	size_t (*direct_candidates)(const struct wh_kspace *k, uint64_t *ret, size_t cap);
	/** Bounds of where the image may lie. */
	void (*image_window)(const struct wh_kspace *k, uint64_t *ret_start, uint64_t *ret_end);
	uint64_t direct_align; /**< [bytes] va - pa in the direct map is a multiple of it */
};

extern const struct wh_kspace_arch wh_kspace_x86_64, wh_kspace_arm64;

/** True when @t, walked, maps @va to @pa; with @lenient also when a table on the way is lost. */
bool wh_kspace_maps(const struct wh_pgtable *t, struct wh_reader *r, uint64_t va, uint64_t pa,
		    bool lenient);
/** First frame at or after @pfn whose contents the dump has; max_pfn when there is none. */
uint64_t wh_kspace_next_frame(const struct wh_mem *m, uint64_t pfn);
/**
 * A page that starts like VMCOREINFO and parses.  Searches the frames from *pfn on; &wh_err_not_found
 * at the end of memory, else *ret is owned by the caller and *pfn is the frame after it.
 */
struct wh_err *wh_kspace_scan_vmcoreinfo(const struct wh_mem *m, uint64_t *pfn,
					 struct wh_vmcoreinfo **ret) WH_MUST_CHECK;
/**
 * The same, but only looking where pointers in the kernel image lead (vmcoreinfo_data is one).  Needs
 * the image and the direct map.
 */
struct wh_err *wh_kspace_image_vmcoreinfo(const struct wh_kspace *k, struct wh_reader *r,
					  struct wh_vmcoreinfo **ret) WH_MUST_CHECK;

#endif
