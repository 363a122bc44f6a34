/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/gen/gen_kernel.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAM_SIZE   (10ull << 20)
#define IMAGE_SIZE (4ull << 20)
#define TWO_MIB	   (2ull << 20)
#define MAP	   0xffffffff80000000ull

static const struct wh_abi le64 = {.big_endian = false, .word = 8};

uint8_t *gen_kernel_at(struct gen_kernel *k, uint64_t pa)
{
	if (pa - k->ram_base >= k->ram_size)
		abort();
	return k->ram + (pa - k->ram_base);
}

static uint64_t get(struct gen_kernel *k, uint64_t pa)
{
	return wh_get_u64(le64, gen_kernel_at(k, pa));
}

static void put(struct gen_kernel *k, uint64_t pa, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		gen_kernel_at(k, pa)[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t new_page(struct gen_kernel *k)
{
	uint64_t pa = k->next;

	k->next += 1ull << k->page_shift;
	return pa;
}

static unsigned int levels(const struct gen_kernel *k)
{
	unsigned int per = k->page_shift - 3;

	return k->arm64 ? (k->va_bits - k->page_shift + per - 1) / per : k->va_bits == 57 ? 5 : 4;
}

static uint64_t entry(const struct gen_kernel *k, uint64_t pa, bool leaf, unsigned int level)
{
	/* access flag; shareability, whose bits LPA2 uses for the address */
	if (k->arm64)
		return pa | (k->va_bits > 48 ? 0x400 : 0x700) | (leaf && level ? 1 : 3);
	return pa | 0x63 | (leaf && level ? 0x80 : 0);
}

void gen_kernel_map(struct gen_kernel *k, uint64_t root, uint64_t va, uint64_t pa,
		    unsigned int level)
{
	unsigned int per = k->page_shift - 3;
	uint64_t table = root;

	for (unsigned int l = levels(k); l-- > 0;) {
		unsigned int shift = k->page_shift + l * per;
		unsigned int bits = k->va_bits - shift < per ? k->va_bits - shift : per;
		uint64_t slot = table + (va >> shift & ((1ull << bits) - 1)) * 8;

		if (l == level) {
			put(k, slot, entry(k, pa, true, l));
			return;
		}
		if (!get(k, slot))
			put(k, slot, entry(k, new_page(k), false, l));
		table = get(k, slot) & 0x0000fffffffff000ull & ~((1ull << k->page_shift) - 1);
	}
}

/* The direct map and the image, in leaves of the second level where they fit, else in pages. */
static void map_range(struct gen_kernel *k, uint64_t va, uint64_t pa, uint64_t len)
{
	unsigned int shift = k->page_shift + k->page_shift - 3, level = 1;

	if (((va | pa | len) & ((1ull << shift) - 1)) != 0) {
		shift = k->page_shift;
		level = 0;
	}
	for (uint64_t at = 0; at < len; at += 1ull << shift)
		gen_kernel_map(k, k->root_pa, va + at, pa + at, level);
}

static void make_info(struct gen_kernel *k, uint64_t sections_va)
{
	uint64_t root_va = k->image_va + (k->root_pa - k->image_pa);
	int n = snprintf(k->info, sizeof(k->info),
			 "OSRELEASE=6.1.0-gen\nPAGESIZE=%llu\nSYMBOL(mem_section)=%" PRIx64
			 "\nLENGTH(mem_section)=64\nSIZE(mem_section)=16\n"
			 "OFFSET(mem_section.section_mem_map)=0\nSIZE(page)=64\n",
			 1ull << k->page_shift, sections_va);
	char *p = k->info + n;
	size_t cap = sizeof(k->info) - (size_t)n;

	if (k->arm64)
		snprintf(p, cap,
			 "SYMBOL(swapper_pg_dir)=%" PRIx64 "\nNUMBER(VA_BITS)=%u\n"
			 "NUMBER(kimage_voffset)=0x%" PRIx64 "\nNUMBER(PHYS_OFFSET)=0x%" PRIx64 "\n"
			 "NUMBER(TCR_EL1_T1SZ)=0x%x\nKERNELOFFSET=80000\n",
			 root_va, k->va_bits, k->image_va - k->image_pa, k->ram_base,
			 64 - k->va_bits);
	else
		snprintf(p, cap,
			 "SYMBOL(init_top_pgt)=%" PRIx64 "\nNUMBER(phys_base)=%" PRId64
			 "\nNUMBER(pgtable_l5_enabled)=%d\nKERNELOFFSET=%" PRIx64 "\n",
			 root_va, (int64_t)(k->image_pa - (k->image_va - MAP)), k->va_bits == 57,
			 (uint64_t)(k->image_va - MAP - 0x1000000));
}

void gen_kernel_make(struct gen_kernel *k)
{
	uint64_t sections, section, ram_va;

	k->ram_size = RAM_SIZE;
	k->ram = calloc(1, RAM_SIZE);
	if (!k->ram)
		abort();
	k->image_pa = k->ram_base + 2 * TWO_MIB;
	k->root_pa = k->image_pa + 0x10000;
	if (k->pti)
		k->user_root_pa = k->root_pa + 4096;
	k->next = k->ram_base + (8ull << 20);
	ram_va = k->ram_base + k->page_offset;
	map_range(k, ram_va, k->ram_base, RAM_SIZE);
	map_range(k, k->image_va, k->image_pa, IMAGE_SIZE);
	k->vmalloc_pa = new_page(k);
	memcpy(gen_kernel_at(k, k->vmalloc_pa), "vmalloc page", 13);
	gen_kernel_map(k, k->root_pa, k->vmalloc_va, k->vmalloc_pa, 0);
	k->idt_va = k->vmalloc_va;
	if (k->pti) /* what user mode needs: an entry page, no image */
		gen_kernel_map(k, k->user_root_pa, k->idt_va, k->vmalloc_pa, 0);
	sections = new_page(k);
	section = new_page(k);
	put(k, sections, section + k->page_offset);
	put(k, section + 16, k->vmemmap | 0xf);
	put(k, section + 64, k->vmemmap | 0x1f);
	put(k, section + 80, 0x1234); /* not present: says nothing */
	make_info(k, sections + k->page_offset);
	k->info_pa = new_page(k);
	memcpy(gen_kernel_at(k, k->info_pa), k->info, strlen(k->info));
	/* vmcoreinfo_data, a pointer in the image */
	put(k, k->image_pa + 0x200008, k->info_pa + k->page_offset);
}

void gen_kernel_fini(struct gen_kernel *k)
{
	free(k->ram);
	k->ram = NULL;
}

void gen_kernel_elf(const struct gen_kernel *k, bool with_info, uint64_t cr3, struct gen_bytes *out)
{
	const struct gen_segment seg = {
		.paddr = k->ram_base, .memsz = k->ram_size, .filesz = k->ram_size, .data = k->ram};
	struct gen_bytes notes = {0}, cpu = {0};
	struct gen_elf o = {.abi = le64,
			    .machine = k->arm64 ? EM_AARCH64 : EM_X86_64,
			    .segs = &seg,
			    .n_segs = 1,
			    .notes = &notes};

	gen_note(&notes, le64, "CORE", 1, "x", 1);
	if (cr3) {
		gen_put_uint(&cpu, le64, 0, 4, 1);
		gen_put_uint(&cpu, le64, 4, 4, 432);
		gen_put_uint(&cpu, le64, 384, 8, k->idt_va);
		gen_put_uint(&cpu, le64, 416, 8, cr3);
		gen_put_uint(&cpu, le64, 424, 8, k->va_bits == 57 ? 1 << 12 : 0);
		gen_note(&notes, le64, "QEMU", 0, cpu.p, cpu.n);
	}
	if (with_info)
		gen_note(&notes, le64, "VMCOREINFO", 0, k->info, strlen(k->info));
	gen_elf(&o, out);
	gen_fini(&notes);
	gen_fini(&cpu);
}
