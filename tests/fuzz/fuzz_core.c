/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as a process core: its modules, dynamic symbols and link map read, its threads unwound, with
 * nothing but the core at hand.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "dwarf/unwind.h"
#include "tests/fuzz/fuzz.h"

#define BASE  0x400000ull
#define STACK 0x7ff000ull

static void unwind_all(struct wh_unames *n, struct wh_reader *r)
{
	const struct wh_note *note = NULL;
	struct wh_unwinder *u = NULL;
	struct wh_uframe f[32];

	if (wh_unwinder_create(n, r, &u))
		abort();
	for (int i = 0; i < 4; i++) {
		struct wh_regs regs;
		struct wh_err *e;
		uint32_t pid;
		size_t k;

		note = wh_dump_find_note(n->dump, "CORE", NT_PRSTATUS, note);
		if (!note || !n->dump->arch)
			break;
		e = wh_arch_prstatus(n->dump->arch, note->desc, note->desc_len, &pid, &regs);
		wh_err_destroy(e);
		if (e)
			continue;
		k = wh_unwind_thread(u, &regs, STACK + 0x1000, f, 32);
		for (size_t j = 0; j < k; j++)
			if (!wh_unwind_how_name(f[j].how))
				abort();
	}
	wh_unwinder_destroy(u);
}

static void use(struct wh_dump *d)
{
	struct wh_unames_opts opts = {.no_files = true};
	struct wh_unames *n = NULL;
	struct wh_reader *r = NULL;
	struct wh_mem *m = NULL;
	struct wh_err *e = wh_mem_create(d, &m);
	uint64_t v;

	if (!e)
		e = wh_unames_open(m, &opts, &n);
	if (!e)
		e = wh_reader_create(m, &r);
	if (!e) {
		(void)wh_unames_find(n, NULL, "func", &v);
		(void)wh_unames_find_module(n, BASE);
		unwind_all(n, r);
	}
	wh_err_destroy(e);
	wh_reader_destroy(r);
	wh_unames_close(n);
	wh_mem_destroy(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wh_ctx *ctx = NULL;
	struct wh_dump *d = NULL;

	if (wh_ctx_create(1, &ctx))
		abort();
	wh_err_destroy(wh_dump_open_mem(ctx, data, size, &d));
	if (d && d->cls == WH_DUMP_PROCESS)
		use(d);
	wh_dump_close(d);
	wh_ctx_destroy(ctx);
	return 0;
}

/* ---- the seed: one module, a link map that names it, one thread ---- */

struct module_page {
	Elf64_Ehdr h;
	Elf64_Phdr ph[4];
	Elf64_Nhdr note;
	char note_name[4];
	uint8_t note_id[20];
	Elf64_Dyn dyn[6];
	Elf64_Sym sym[3];
	char str[16];
	uint32_t hash[8];
	uint64_t r_debug[5];
	uint64_t map[5];
	char path[16];
};
#define VA(field) (BASE + offsetof(struct module_page, field))

static void make_module(struct module_page *p)
{
	const Elf64_Phdr all = {.p_type = PT_LOAD,
				.p_flags = PF_R | PF_X,
				.p_vaddr = BASE,
				.p_filesz = 0x1000,
				.p_memsz = 0x1000,
				.p_align = 0x1000};

	memset(p, 0, sizeof(*p));
	memcpy(p->h.e_ident, ELFMAG, SELFMAG);
	p->h.e_ident[EI_CLASS] = ELFCLASS64;
	p->h.e_ident[EI_DATA] = ELFDATA2LSB;
	p->h.e_ident[EI_VERSION] = EV_CURRENT;
	p->h.e_type = ET_EXEC;
	p->h.e_machine = EM_X86_64;
	p->h.e_version = EV_CURRENT;
	p->h.e_phoff = offsetof(struct module_page, ph);
	p->h.e_ehsize = sizeof(p->h);
	p->h.e_phentsize = sizeof(p->ph[0]);
	p->h.e_phnum = 4;
	p->ph[0] = all;
	p->ph[1] = (Elf64_Phdr){.p_type = PT_DYNAMIC,
				.p_offset = offsetof(struct module_page, dyn),
				.p_vaddr = VA(dyn),
				.p_filesz = sizeof(p->dyn),
				.p_memsz = sizeof(p->dyn)};
	p->ph[2] = (Elf64_Phdr){.p_type = PT_NOTE, .p_vaddr = VA(note), .p_memsz = 36};
	p->ph[3] = (Elf64_Phdr){.p_type = PT_TLS, .p_vaddr = VA(str), .p_memsz = 64};
	p->note = (Elf64_Nhdr){4, 20, NT_GNU_BUILD_ID};
	memcpy(p->note_name, "GNU", 4);
	memset(p->note_id, 0xab, sizeof(p->note_id));
	p->dyn[0] = (Elf64_Dyn){DT_SYMTAB, {VA(sym)}};
	p->dyn[1] = (Elf64_Dyn){DT_STRTAB, {VA(str)}};
	p->dyn[2] = (Elf64_Dyn){DT_STRSZ, {sizeof(p->str)}};
	p->dyn[3] = (Elf64_Dyn){DT_GNU_HASH, {VA(hash)}};
	p->dyn[4] = (Elf64_Dyn){DT_DEBUG, {VA(r_debug)}};
	p->sym[1] = (Elf64_Sym){1, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1, BASE + 0x800, 64};
	p->sym[2] = (Elf64_Sym){6, ELF64_ST_INFO(STB_WEAK, STT_OBJECT), 0, 1, BASE + 0x900, 8};
	memcpy(p->str, "\0func\0data\0", 11);
	/* one bucket, symbols from 1 on, one bloom word, chain of two */
	memcpy(p->hash, (uint32_t[]){1, 1, 1, 0, 0, 0, 1, 2}, 32);
	p->r_debug[0] = 1;
	p->r_debug[1] = VA(map);
	p->map[1] = VA(path);
	p->map[2] = VA(dyn);
	p->map[3] = VA(map); /* a circle */
	memcpy(p->path, "/bin/fuzz", 10);
}

static void add_notes(struct gen_bytes *notes, struct wh_abi abi)
{
	uint8_t prstatus[336] = {0};
	uint64_t aux[8] = {AT_PHDR, BASE + 64, AT_ENTRY, BASE + 0x800, AT_BASE, 0, AT_NULL, 0};
	struct gen_bytes file = {0};
	uint64_t pc = BASE + 0x810, sp = STACK + 0x100, bp = STACK + 0x180;

	memcpy(prstatus + 112 + 8 * 16, &pc, 8);
	memcpy(prstatus + 112 + 8 * 19, &sp, 8);
	memcpy(prstatus + 112 + 8 * 4, &bp, 8);
	gen_note(notes, abi, "CORE", NT_PRSTATUS, prstatus, sizeof(prstatus));
	gen_note(notes, abi, "CORE", NT_AUXV, aux, sizeof(aux));
	gen_put_uint(&file, abi, 0, 8, 1);
	gen_put_uint(&file, abi, 8, 8, 4096);
	gen_put_uint(&file, abi, 16, 8, BASE);
	gen_put_uint(&file, abi, 24, 8, BASE + 0x1000);
	gen_put_uint(&file, abi, 32, 8, 0);
	gen_append(&file, "/bin/fuzz", 10);
	gen_note(notes, abi, "CORE", 0x46494c45, file.p, file.n);
	gen_fini(&file);
}

bool wh_fuzz_seed(size_t i, struct gen_bytes *out)
{
	struct wh_abi abi = {.word = 8};
	static uint8_t page[0x1000], stack[0x1000];
	struct gen_bytes notes = {0};
	struct gen_segment segs[2] = {
		{.vaddr = BASE,
		 .memsz = 0x1000,
		 .filesz = 0x1000,
		 .flags = PF_R | PF_X,
		 .data = page},
		{.vaddr = STACK,
		 .memsz = 0x1000,
		 .filesz = 0x1000,
		 .flags = PF_R | PF_W,
		 .data = stack},
	};
	struct gen_elf o = {
		.abi = abi, .machine = EM_X86_64, .segs = segs, .n_segs = 2, .notes = &notes};

	if (i >= 1)
		return false;
	make_module((struct module_page *)(void *)page);
	for (size_t at = 0x800; at < sizeof(page); at += 8)
		memcpy(page + at, "\xe8\0\0\0\0\x90\x90\x90", 8);
	for (size_t at = 0; at < sizeof(stack); at += 16) {
		uint64_t w[2] = {STACK + at + 0x20, BASE + 0x805 + at % 64};

		memcpy(stack + at, w, 16);
	}
	add_notes(&notes, abi);
	gen_elf(&o, out);
	gen_fini(&notes);
	return true;
}
