/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gen_kernel: a made-up kernel's memory: page tables, image, direct map, VMCOREINFO page, mem_section, a
 * vmalloc page.  x86-64 with 4 or 5 levels, arm64 with any page size.
 */
#ifndef WH_TESTS_GEN_KERNEL_H
#define WH_TESTS_GEN_KERNEL_H

#include "tests/gen/gen.h"

struct gen_kernel {
	/* what to make */
	bool arm64;
	unsigned int page_shift, va_bits;
	uint64_t ram_base;    /**< PHYS of the first byte of RAM, multiple of 2 MiB */
	uint64_t image_va;    /**< VIRT of _text */
	uint64_t page_offset; /**< va - pa of the direct map */
	uint64_t vmemmap;
	uint64_t vmalloc_va;
	bool pti;	 /**< the top-level table is the lower of a pair */
	bool old_offset; /**< arm64 before 5.4: the upper half is the linear map */

	/* what was made */
	uint8_t *ram;
	uint64_t ram_size;
	uint64_t image_pa, root_pa, user_root_pa, info_pa, vmalloc_pa, idt_va;
	char info[1024]; /**< VMCOREINFO */
	uint64_t next;	 /* PHYS of the next free page */
};

void gen_kernel_make(struct gen_kernel *k);
void gen_kernel_fini(struct gen_kernel *k);
/** An ELF vmcore of it.  @with_info: VMCOREINFO note; @cr3: 0, or a QEMU note with this CR3. */
void gen_kernel_elf(const struct gen_kernel *k, bool with_info, uint64_t cr3,
		    struct gen_bytes *out);
/** Maps @va to @pa with a leaf at @level (0: page). */
void gen_kernel_map(struct gen_kernel *k, uint64_t root, uint64_t va, uint64_t pa,
		    unsigned int level);
/** The bytes at @pa. */
uint8_t *gen_kernel_at(struct gen_kernel *k, uint64_t pa);

#endif
