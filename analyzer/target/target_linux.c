/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Linux kernel as a target: who does what is told in linux.h. */
#include <string.h>

#include "analyzer/alloc/kslab.h"
#include "analyzer/alloc/stackdepot.h"
#include "analyzer/target/linux.h"
#include "analyzer/target/targets.h"

static void linux_close(struct wh_target *t)
{
	struct wh_lx *x = t->priv;

	if (!x)
		return;
	for (size_t u = 0; x->units && u < x->n_units; u++)
		free(x->units[u]);
	free(x->units);
	for (unsigned int i = 0; x->readers && i < x->n_readers; i++)
		wh_reader_destroy(x->readers[i]);
	free(x->readers);
	wh_kslab_close(x->slab);
	wh_depot_close(x->depot);
	wh_map_fini(&x->pcp);
	wh_map_fini(&x->reverse);
	wh_map_fini(&x->kmemleak);
	WH_VEC_FINI(&x->found);
	WH_VEC_FINI(&x->cpus);
	WH_VEC_FINI(&x->chunks);
	WH_VEC_FINI(&x->slabs);
	WH_VEC_FINI(&x->areas);
	WH_VEC_FINI(&x->tasks);
	WH_VEC_FINI(&x->regs);
	WH_VEC_FINI(&x->pending);
	wh_arena_fini(&x->arena);
	wh_knames_close(x->names);
	wh_kspace_close(x->ks);
	free(x);
	t->priv = NULL;
}

static struct wh_err *readers_open(struct wh_lx *x)
{
	x->n_readers = wh_workers_count(x->t->ctx);
	x->readers = wh_calloc(x->n_readers, sizeof(*x->readers));
	if (!x->readers)
		return &wh_err_nomem;
	for (unsigned int i = 0; i < x->n_readers; i++)
		WH_TRY(wh_reader_create(x->ks->mem, &x->readers[i]));
	WH_TRY(wh_reader_create(x->ks->mem, &x->t->reader));
	x->r = x->t->reader;
	return NULL;
}

/* How to boot next time, so that stacks are recorded: with what this kernel has. */
static const char *advice(struct wh_lx *x)
{
	uint64_t addr;

	if (!strcmp(x->slab->ops->name, "slab"))
		return "no allocation stacks were recorded: SLAB keeps none; boot a kernel built "
		       "with SLUB next time, with slub_debug=U";
	if (wh_lx_owner_runs(x))
		return "page_owner recorded who took pages (trail ADDRESS tells it), but nothing "
		       "recorded who took slab objects; boot with slub_debug=U too (slab_debug=U "
		       "since 6.9) next time";
	if (wh_lx_symbol(x, "__set_page_owner", &addr))
		return "no allocation stacks were recorded; boot with slub_debug=U (slab_debug=U "
		       "since 6.9) next time, or with page_owner=on for pages";
	return "no allocation stacks were recorded; boot with slub_debug=U (slab_debug=U since "
	       "6.9) next time";
}

static const char no_memmap[] =
	"the struct pages, which tell what each page is, are not in the dump; copy or take it "
	"again, whole";

/* When the section table is not in the dump, a variable may still say where the memmap is. */
static void vmemmap_open(struct wh_lx *x)
{
	const struct wh_vmcoreinfo *v = x->ks->vmcoreinfo;
	uint64_t base;
	int64_t start;

	if (x->ks->vmemmap)
		return;
	if (wh_lx_var(x, "vmemmap_base", &base) && base >= x->ks->kernel_min &&
	    !(base & (x->page_bytes - 1)))
		x->ks->vmemmap = base;
	else if (v && wh_vmcoreinfo_number(v, "VMEMMAP_START", &start))
		x->ks->vmemmap = (uint64_t)start;
}

/* Opens names and layouts; the allocators are walked by build. */
static struct wh_err *linux_open(struct wh_target *t)
{
	const struct wh_target_opts *o = t->opts;
	struct wh_knames_opts names = {o->symbol_files, o->n_symbol_files, o->debug_dirs,
				       o->n_debug_dirs};
	struct wh_lx *x;
	struct wh_err *e;

	if (t->dump->cls != WH_DUMP_PHYSICAL)
		return &wh_err_not_mine;
	x = wh_calloc(1, sizeof(*x));
	if (!x)
		return &wh_err_nomem;
	x->t = t;
	t->priv = x;
	e = wh_kspace_open(t->dump, &x->ks);
	if (e)
		return e; /* target.c closes us */
	t->mem = x->ks->mem;
	t->plan.tag_set = x->ks->tag_mask;
	x->abi = t->dump->abi;
	x->page_bytes = 1ull << x->ks->page_shift;
	WH_TRY(readers_open(x));
	WH_TRY(wh_knames_open(x->ks, &names, &x->names));
	vmemmap_open(x);
	WH_TRY(wh_lx_layout_open(x));
	WH_TRY(wh_lx_probe_open(x));
	wh_lx_clock_open(x);
	return NULL;
}

static struct wh_err *kinds_open(struct wh_lx *x)
{
	struct wh_plan *p = &x->t->plan;

	WH_TRY(wh_plan_add_kind(p, "image data", &x->kind_image));
	WH_TRY(wh_plan_add_kind(p, "module data", &x->kind_module));
	WH_TRY(wh_plan_add_kind(p, "per-CPU", &x->kind_percpu));
	WH_TRY(wh_plan_add_kind(p, "task stacks", &x->kind_stack));
	WH_TRY(wh_plan_add_kind(p, "registers", &x->kind_regs));
	WH_TRY(wh_plan_add_kind(p, "reserved memory", &x->kind_reserved));
	WH_TRY(wh_plan_add_kind(p, "struct pages", &x->kind_struct_page));
	WH_TRY(wh_plan_add_kind(p, "kmemleak annotations", &x->kind_kmemleak));
	return wh_plan_add_kind(p, "RCU callbacks", &x->kind_rcu);
}

/* Broad roots: every page, area and per-CPU block of the kernel holds, whoever refers to it. */
static struct wh_err *classes_open(struct wh_lx *x)
{
	uint32_t root = x->t->opts->broad_roots ? WH_CLASS_ROOT : 0;
	struct wh_class page = {.name = "kernel pages",
				.model = "page",
				.flags = WH_CLASS_NOREPORT | WH_CLASS_ALIASED | root};
	/* kmalloc of more than two pages, before the kernel marked those; drivers' own blocks too */
	struct wh_class compound = {
		.name = "compound pages", .model = "page", .flags = WH_CLASS_ALIASED | root};
	struct wh_class large = {
		.name = "kmalloc-large", .model = "page", .flags = WH_CLASS_ALIASED | root};
	struct wh_class vm = {.name = "vmalloc", .model = "vmalloc", .flags = root};
	struct wh_class pc = {
		.name = "percpu", .model = "percpu", .flags = WH_CLASS_ALIASED | root};

	WH_TRY(wh_buftab_add_class(x->t->buftab, &page, &x->cls_page));
	WH_TRY(wh_buftab_add_class(x->t->buftab, &compound, &x->cls_compound));
	WH_TRY(wh_buftab_add_class(x->t->buftab, &large, &x->cls_large));
	WH_TRY(wh_buftab_add_class(x->t->buftab, &vm, &x->cls_vmalloc));
	return wh_buftab_add_class(x->t->buftab, &pc, &x->cls_percpu);
}

static struct wh_err *linux_build(struct wh_target *t)
{
	struct wh_lx *x = t->priv;

	WH_TRY(kinds_open(x));
	WH_TRY(classes_open(x));
	WH_TRY(wh_lx_percpu_open(x));
	WH_TRY(wh_lx_pages_build(x));
	wh_lx_image_frames(x);
	WH_TRY(wh_kslab_open(x, &x->slab));
	WH_TRY(wh_kslab_build(x->slab));
	WH_TRY(wh_lx_kfence_build(x));
	WH_TRY(wh_lx_percpu_build(x));
	WH_TRY(wh_lx_vmalloc_build(x));
	WH_TRY(wh_lx_tasks_build(x));
	WH_TRY(wh_lx_irq_stacks(x));
	WH_TRY(wh_lx_vmalloc_label(x));
	WH_TRY(wh_depot_open(x, &x->depot));
	WH_TRY(wh_lx_dead_build(x));
	WH_TRY(wh_lx_kmemleak_build(x));
	WH_TRY(wh_lx_tasks_roots(x));
	WH_TRY(wh_lx_roots_build(x));
	WH_TRY(wh_lx_code_roots(x));
	if (x->doubt || x->names->damaged)
		WH_TRY(wh_plan_add_missing(&t->plan, WH_CLASS_ANY, 0, 0, WH_MEM_CORRUPT));
	if (!t->recorded && x->slabs.n)
		t->record_advice = advice(x);
	if (!x->slabs.n) /* what little is left (vmalloc areas) would pass for all there is */
		t->unjudged = x->memmap_missing ? no_memmap : "no slab was found";
	else if (x->slab->slabs_unusable == x->slabs.n)
		t->unjudged = "the layout of slabs is lost, none can be understood";
	x->built = true;
	return NULL;
}

static struct wh_err *linux_correct(struct wh_target *t)
{
	return wh_lx_dead_correct(t->priv);
}

static struct wh_err *linux_caches(struct wh_target *t, struct wh_arena *a, wh_cache_vec *ret)
{
	struct wh_lx *x = t->priv;
	struct wh_kslab *k = x->slab;

	(void)a;
	for (size_t i = 0; i < k->caches.n; i++) {
		const struct wh_kcache *c = &k->caches.v[i];
		struct wh_cache_stat s = {
			.name = c->name,
			.model = k->ops->name,
			.addr = c->addr,
			.obj_size = c->object_size,
			.slot_size = c->size,
			.objects = c->objects,
			.used = c->used - c->pending,
			.pending = c->pending,
			.free = c->free,
			.unsure = c->unsure,
			.slabs = c->slabs,
			.bytes = c->bytes,
			.recorded = c->store_user || c->kasan_alloc,
			.destroyed = !c->listed && c->slabs,
		};

		if (c->valid)
			WH_TRY(WH_VEC_PUSH(ret, s));
	}
	return NULL;
}

static bool linux_find_symbol(struct wh_target *t, const char *name, uint64_t *ret)
{
	const struct wh_lx *x = t->priv;
	const char *quote = strrchr(name, '`');
	char module[64] = "";
	struct wh_sym s;

	if (quote) {
		if ((size_t)(quote - name) >= sizeof(module))
			return false;
		memcpy(module, name, (size_t)(quote - name));
		name = quote + 1;
	}
	if (!wh_symtab_find_name(x->names->syms, *module ? module : NULL, name, 0, &s))
		return false;
	*ret = s.addr;
	return true;
}

const struct wh_target_ops wh_target_linux_ops = {
	.name = "linux",
	.open = linux_open,
	.build = linux_build,
	.correct = linux_correct,
	.origin = wh_lx_origin,
	.whatis = wh_lx_whatis,
	.trail = wh_lx_trail,
	.caches = linux_caches,
	.info = wh_lx_info,
	.symbolize = wh_lx_symbolize,
	.find_symbol = linux_find_symbol,
	.signature = wh_lx_signature,
	.aliases = wh_lx_aliases,
	.word_text = wh_lx_word_text,
	.phys_to_virt = wh_lx_phys_to_virt,
	.close = linux_close,
};
