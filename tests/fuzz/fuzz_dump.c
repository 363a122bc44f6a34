/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a dump: opened, its pages read, its kernel space looked for. */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "formats/kspace.h"
#include "formats/scratch.h"
#include "tests/fuzz/fuzz.h"
#include "tests/gen/gen_kernel.h"

#define PAGES_MAX 300

/* Reads on from @addr, over what is absent too; stops when it has seen enough. */
static void sweep(struct wh_reader *r, enum wh_space space, uint64_t addr)
{
	volatile uint8_t sink = 0;

	for (int i = 0; i < PAGES_MAX; i++) {
		enum wh_mem_state s;
		size_t len = 0;
		const uint8_t *p = wh_reader_borrow(r, space, addr, 1 << 20, &len, &s);

		if (!len)
			abort(); /* no progress: a caller would hang */
		for (size_t at = 0; p && at < len; at += 512)
			sink ^= p[at];
		if (p)
			sink ^= p[len - 1];
		if (len > UINT64_MAX - addr)
			return;
		addr += len;
	}
	(void)sink;
}

static void read_all(const struct wh_dump *d)
{
	struct wh_mem *m = NULL;
	struct wh_reader *r = NULL;
	uint64_t v;
	char text[64];

	wh_err_destroy(wh_mem_create(d, &m));
	wh_err_destroy(wh_reader_create(m, &r));
	sweep(r, WH_PHYS, 0);
	sweep(r, WH_VIRT, 0);
	for (size_t i = 0; i < d->n_segs && i < 8; i++) {
		sweep(r, WH_VIRT, d->segs[i].vaddr);
		wh_read_u64(r, d->segs[i].vaddr + d->segs[i].filesz - 4, &v);
		wh_read_str(r, d->segs[i].vaddr, text, sizeof(text));
	}
	wh_reader_destroy(r);
	wh_mem_destroy(m);
}

static void read_kernel(const struct wh_dump *d)
{
	struct wh_kspace *k = NULL;
	struct wh_reader *r = NULL;
	struct wh_err *e = wh_kspace_open(d, &k);
	uint64_t v;

	wh_err_destroy(e);
	if (e)
		return;
	wh_err_destroy(wh_reader_create(k->mem, &r));
	sweep(r, WH_VIRT, k->image_start);
	sweep(r, WH_VIRT, k->direct_start);
	wh_read_u64(r, k->vmemmap, &v);
	for (uint64_t va = k->kernel_min; va >= k->kernel_min; va += 0x123456789000)
		wh_read_u64(r, va, &v);
	wh_reader_destroy(r);
	wh_kspace_close(k);
}

static void read_states(const struct wh_dump *d)
{
	struct wh_scratch *sc = NULL;
	uint64_t pfn = 0;

	wh_err_destroy(wh_scratch_create(&sc));
	for (int i = 0; i < PAGES_MAX && pfn < d->max_pfn; i++) {
		uint64_t run = 0;

		d->ops->page_state(d, sc, pfn, &run);
		if (!run)
			abort();
		pfn += run < d->max_pfn - pfn ? run : d->max_pfn - pfn;
	}
	wh_scratch_destroy(sc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wh_ctx *ctx = NULL;
	struct wh_dump *d = NULL;
	struct wh_err *e = wh_ctx_create(1, &ctx);

	if (!e)
		e = wh_dump_open_mem(ctx, data, size, &d);
	if (e) {
		free(wh_err_text(e));
		wh_err_destroy(e);
		wh_ctx_destroy(ctx);
		return 0;
	}
	if (d->cls != WH_DUMP_PROCESS)
		read_states(d);
	read_all(d);
	if (d->cls == WH_DUMP_PHYSICAL)
		read_kernel(d);
	wh_dump_close(d);
	wh_ctx_destroy(ctx);
	return 0;
}

static void seed_kdump(struct gen_bytes *out, enum gen_codec codec, enum gen_layout layout,
		       const char *machine, uint32_t version)
{
	const struct wh_abi abi = {.big_endian = false, .word = layout == GEN_LP64 ? 8 : 4};
	struct gen_memory m;
	struct gen_bytes notes = {0};
	struct gen_kdump o = {.abi = abi,
			      .layout = layout,
			      .machine = machine,
			      .version = version,
			      .codec = codec,
			      .notes = &notes,
			      .vmcoreinfo = "OSRELEASE=6.1\nPAGESIZE=4096\n"};

	gen_note(&notes, abi, "CORE", 1, "status", 6);
	gen_memory_mixed(&m, 4096, 48, 3);
	gen_kdump(&m, &o, out);
	gen_memory_fini(&m);
	gen_fini(&notes);
}

static void seed_process(struct gen_bytes *out, struct wh_abi abi, uint16_t machine)
{
	static uint8_t data[8192];
	const struct gen_segment segs[] = {
		{.vaddr = 0x1000, .memsz = 0x2000, .filesz = 0x1800, .flags = 6, .data = data},
		{.vaddr = 0x3000, .memsz = 0x2000, .filesz = 0x2000, .flags = 5, .data = data},
		{.vaddr = 0x70000000, .memsz = 0x1000, .filesz = 0, .flags = 4}};
	struct gen_bytes notes = {0};
	struct gen_elf o = {
		.abi = abi, .machine = machine, .segs = segs, .n_segs = 3, .notes = &notes};

	gen_note(&notes, abi, "CORE", 3, "psinfo", 6);
	gen_elf(&o, out);
	gen_fini(&notes);
}

/* The kernel of gen_kernel, as an ELF or compressed so that a mutation is soon read. */
static void seed_kernel(struct gen_bytes *out, bool arm64, bool kdump, bool note)
{
	struct gen_kernel k = {.page_shift = 12,
			       .va_bits = 48,
			       .arm64 = arm64,
			       .ram_base = arm64 ? 0x40000000 : 0,
			       .image_va = arm64 ? 0xffff800008200000 : 0xffffffff81000000,
			       .page_offset =
				       arm64 ? 0xffff000000000000 - 0x40000000 : 0xffff888000000000,
			       .vmemmap = 0xffffea0000000000,
			       .vmalloc_va = 0xffffc90000005000};

	gen_kernel_make(&k);
	if (kdump) {
		struct gen_memory m = {.page_size = 4096, .n = k.ram_size / 4096, .bytes = k.ram};
		struct gen_kdump o = {.abi = {false, 8},
				      .machine = "x86_64",
				      .version = 6,
				      .codec = GEN_LZO,
				      .vmcoreinfo = k.info};

		m.state = malloc(m.n);
		if (!m.state)
			abort();
		memset(m.state, GEN_PRESENT, m.n);
		gen_kdump(&m, &o, out);
		free(m.state);
	} else {
		gen_kernel_elf(&k, !note, note ? k.root_pa : 0, out);
	}
	gen_kernel_fini(&k);
}

static void wrap(struct gen_bytes *out, bool zstd)
{
	struct gen_bytes in = *out;
	const struct gen_flatten o = {.record = 1000, .shuffle = 3};

	*out = (struct gen_bytes){0};
	if (zstd) {
		size_t cap = ZSTD_compressBound(in.n);

		gen_put(out, cap, NULL, 0);
		out->n = ZSTD_compress(out->p, cap, in.p, in.n, 1);
	} else {
		gen_flatten(&in, &o, out);
	}
	gen_fini(&in);
}

bool wh_fuzz_seed(size_t i, struct gen_bytes *out)
{
	const struct wh_abi le64 = {false, 8}, be32 = {true, 4};

	switch (i) {
	case 0: seed_kdump(out, GEN_ZLIB, GEN_LP64, "x86_64", 6); return true;
	case 1: seed_kdump(out, GEN_LZO, GEN_LP64, "aarch64", 6); return true;
	case 2: seed_kdump(out, GEN_SNAPPY, GEN_ILP32_ALIGN4, "i686", 5); return true;
	case 3: seed_kdump(out, GEN_ZSTD, GEN_ILP32_ALIGN8, "armv7l", 6); return true;
	case 4:
		seed_kdump(out, GEN_ZLIB, GEN_LP64, "x86_64", 6);
		wrap(out, false);
		return true;
	case 5: seed_process(out, le64, EM_X86_64); return true;
	case 6: seed_process(out, be32, EM_SPARC); return true;
	case 7:
		seed_process(out, le64, EM_AARCH64);
		wrap(out, true);
		return true;
	case 8: seed_kernel(out, false, true, false); return true;
	case 9: seed_kernel(out, true, false, false); return true;
	case 10: seed_kernel(out, false, false, true); return true;
	default: return false;
	}
}
