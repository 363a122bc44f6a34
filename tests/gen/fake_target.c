/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/gen/fake_target.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE	  0x10000000ull
#define ROOT_LEN  (64u << 10)
#define STACK_MAX 8

static void die(struct wh_err *e)
{
	char *text = wh_err_text(e);

	fprintf(stderr, "fake target: %s\n", text ? text : "out of memory");
	exit(99);
}

static void must(struct wh_err *e)
{
	if (e)
		die(e);
}

static struct fake *fake_of(struct wh_target *t)
{
	return t->priv;
}

/* The fake that is being created: ops->open has no other way to it. */
static struct fake *creating;

static struct wh_err *fake_open(struct wh_target *t)
{
	t->priv = creating;
	t->recorded = true;
	t->dump_time_ns = 100000000000ull;
	t->record_advice = "boot with fake_debug=1";
	return wh_mem_create(t->dump, &t->mem);
}

static uint16_t class_get(struct wh_target *t, const char *name)
{
	struct wh_class c = {.name = name, .model = "slub"};
	uint16_t id;

	for (uint16_t i = 0; i < wh_buftab_class_count(t->buftab); i++)
		if (!strcmp(wh_buftab_class(t->buftab, i)->name, name))
			return i;
	must(wh_buftab_add_class(t->buftab, &c, &id));
	return id;
}

static struct wh_err *fake_build(struct wh_target *t)
{
	struct fake *f = fake_of(t);
	uint16_t kind;

	for (size_t i = 0; i < f->n; i++) {
		WH_TRY(wh_buftab_add(t->buftab, class_get(t, f->objs[i].cache), f->addr[i],
				     f->objs[i].size, WH_BUF_ALLOCATED));
		WH_TRY(wh_plan_add_node(&t->plan, WH_VIRT, f->addr[i], f->addr[i],
					f->objs[i].size));
	}
	WH_TRY(wh_plan_add_kind(&t->plan, "data", &kind));
	if (f->missing)
		WH_TRY(wh_plan_add_missing(&t->plan, WH_CLASS_ANY, 1, f->missing, WH_MEM_EXCLUDED));
	return wh_plan_add_root(&t->plan, kind, WH_VIRT, BASE, BASE, ROOT_LEN);
}

static const char *name_of(struct wh_arena *a, const char *fmt, unsigned int n)
{
	char buf[64];

	snprintf(buf, sizeof(buf), fmt, n);
	return wh_arena_strdup(a, buf);
}

static struct wh_err *fake_origin(struct wh_target *t, uint32_t row, struct wh_arena *a,
				  struct wh_origin *ret)
{
	struct fake *f = fake_of(t);
	uint64_t addr = wh_buftab_addr(t->buftab, row);
	struct wh_frame *fr;
	size_t i = 0;

	while (f->addr[i] != addr)
		i++;
	if (f->objs[i].time_ns) {
		ret->has_time = ret->has_pid = true;
		ret->pid = 42;
		ret->time_ns = f->objs[i].time_ns;
		ret->age_ns = t->dump_time_ns - ret->time_ns;
	}
	if (!f->objs[i].stack)
		return NULL;
	fr = wh_arena_alloc(a, 4 * sizeof(*fr));
	fr[0] = (struct wh_frame){
		.address = f->slide + 0x1000, .symbol = "kmalloc_trace", .offset = 16};
	fr[1] = (struct wh_frame){.address = f->slide + 0x2000 + f->objs[i].stack * 16,
				  .symbol = name_of(a, "site_%u.isra.0", f->objs[i].stack),
				  .offset = 8,
				  .module = "fakemod",
				  .file = "/home/secret-user/src/fakemod.c",
				  .line = f->objs[i].stack};
	fr[2] = (struct wh_frame){.address = f->slide + 0x3000,
				  .symbol = name_of(a, "path_%u", f->objs[i].stack % 7),
				  .offset = 4};
	fr[3] = (struct wh_frame){
		.address = f->slide + 0x4000, .symbol = "start_kernel", .offset = 2};
	ret->frames = fr;
	ret->n_frames = 4;
	ret->stack_id = f->objs[i].stack;
	ret->source = "fake track";
	return NULL;
}

static const char *fake_signature(struct wh_target *t, uint32_t row, struct wh_arena *a)
{
	struct fake *f = fake_of(t);
	uint64_t addr = wh_buftab_addr(t->buftab, row);
	size_t i = 0;

	while (f->addr[i] != addr)
		i++;
	return f->objs[i].content ? wh_arena_strdup(a, f->objs[i].content) : NULL;
}

static struct wh_err *fake_info(WH_UNUSED struct wh_target *t, WH_UNUSED struct wh_arena *a,
				wh_fact_vec *ret)
{
	WH_TRY(WH_VEC_PUSH(
		ret, (struct wh_fact){.section = "kernel", .key = "release", .value = "6.1-fake"}));
	WH_TRY(WH_VEC_PUSH(
		ret,
		(struct wh_fact){.section = "kernel", .key = "nodename", .value = "secret-host"}));
	return WH_VEC_PUSH(ret, (struct wh_fact){.section = "process",
						 .key = "cmdline",
						 .value = "secret-command"});
}

static struct wh_err *fake_caches(struct wh_target *t, WH_UNUSED struct wh_arena *a,
				  wh_cache_vec *ret)
{
	for (uint16_t i = 0; i < wh_buftab_class_count(t->buftab); i++) {
		struct wh_cache_stat c = {.name = wh_buftab_class(t->buftab, i)->name,
					  .model = "slub",
					  .objects = 64,
					  .used = 32,
					  .free = 32,
					  .slabs = 1,
					  .bytes = 4096u * (i + 1u)};

		WH_TRY(WH_VEC_PUSH(ret, c));
	}
	return NULL;
}

static void fake_close(struct wh_target *t)
{
	wh_mem_destroy(t->mem);
}

static const struct wh_target_ops fake_ops = {
	.name = "fake",
	.open = fake_open,
	.build = fake_build,
	.origin = fake_origin,
	.signature = fake_signature,
	.info = fake_info,
	.caches = fake_caches,
	.close = fake_close,
};

/* ELF header, one PT_LOAD, then the memory. */
static void make_core(struct fake *f, size_t mem_len)
{
	size_t hdr = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);
	Elf64_Ehdr eh = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				     EV_CURRENT},
			 .e_type = ET_CORE,
			 .e_machine = EM_X86_64,
			 .e_version = EV_CURRENT,
			 .e_phoff = sizeof(Elf64_Ehdr),
			 .e_ehsize = sizeof(Elf64_Ehdr),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 1};
	Elf64_Phdr ph = {.p_type = PT_LOAD,
			 .p_flags = PF_R | PF_W,
			 .p_offset = hdr,
			 .p_vaddr = BASE,
			 .p_filesz = mem_len,
			 .p_memsz = mem_len,
			 .p_align = 8};

	f->image_len = hdr + mem_len;
	f->image = calloc(1, f->image_len);
	memcpy(f->image, &eh, sizeof(eh));
	memcpy(f->image + sizeof(eh), &ph, sizeof(ph));
}

static void poke(struct fake *f, uint64_t addr, const void *p, size_t n)
{
	memcpy(f->image + sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) + (addr - BASE), p, n);
}

static void write_pointers(struct fake *f)
{
	uint64_t root = BASE;
	size_t *used = calloc(f->n, sizeof(*used));

	for (size_t i = 0; i < f->n; i++) {
		uint64_t v = f->addr[i], at = root;

		switch (f->objs[i].holder) {
		case FAKE_NOBODY: continue;
		case FAKE_ROOT: root += 8; break;
		case FAKE_PASTEND:
			v += f->objs[i].size;
			root += 8;
			break;
		case FAKE_ODD:
			at += 3;
			root += 16;
			break;
		default: at = f->addr[f->objs[i].holder] + 8 * used[f->objs[i].holder]++;
		}
		poke(f, at, &v, sizeof(v));
	}
	free(used);
	for (size_t i = 0; i < f->n; i++)
		if (f->objs[i].text)
			poke(f, f->addr[i] + f->objs[i].size - strlen(f->objs[i].text),
			     f->objs[i].text, strlen(f->objs[i].text));
}

struct fake *fake_create(const struct fake_obj *objs, size_t n, uint64_t slide,
			 unsigned int threads, uint64_t missing)
{
	struct fake *f = calloc(1, sizeof(*f));
	uint64_t at = BASE + ROOT_LEN;

	f->objs = objs;
	f->n = n;
	f->slide = slide;
	f->missing = missing;
	f->addr = calloc(n, sizeof(*f->addr));
	for (size_t i = 0; i < n; i++) {
		f->addr[i] = at;
		at += (objs[i].size + 7) / 8 * 8 + 16; /* a gap: one past the end is nobody's */
	}
	make_core(f, (size_t)(at - BASE));
	write_pointers(f);
	must(wh_ctx_create(threads, &f->ctx));
	must(wh_dump_open_mem(f->ctx, f->image, f->image_len, &f->dump));
	creating = f;
	must(wh_target_open_with(f->ctx, f->dump, &f->opts, &fake_ops, &f->target));
	must(wh_target_build(f->target));
	return f;
}

void fake_destroy(struct fake *f)
{
	wh_target_close(f->target);
	wh_dump_close(f->dump);
	wh_ctx_destroy(f->ctx);
	free(f->image);
	free(f->addr);
	free(f);
}
