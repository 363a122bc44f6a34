/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The roots of an illumos kernel, in the order and with the extents of ::findleaks: page counters, free but
 * constructed buffers, module data, thread stacks (illumos_threads.c), kstats.  Without a layout of modules
 * that fits the dump the extents of all variables stand in for module data, and what they leave out makes
 * verdicts unknown.
 */
#include "analyzer/target/illumos.h"

/* ---- the plan ---- */

struct planner {
	struct wh_illumos_target *il;
	uint16_t counters, constructed, modules, stacks, kstats;
};

/*
 * Memory that belongs to the kernel's data or to a stack exists even when the dump lacks it: what it
 * could hold is unknown, whatever the container calls the hole.
 */
static struct wh_err *note_missing(struct planner *p, uint64_t start, uint64_t end)
{
	uint64_t ps = p->il->page_size, missing = 0;

	for (uint64_t at = start; at < end; at = (at & ~(ps - 1)) + ps) {
		enum wh_mem_state why = WH_MEM_PRESENT;
		size_t n;

		if (!wh_reader_borrow(p->il->r, WH_VIRT, at, 1, &n, &why) && why == WH_MEM_UNMAPPED)
			missing += ps;
		if (end - at <= ps)
			break;
	}
	return missing ? wh_plan_add_missing(&p->il->t->plan, WH_CLASS_ANY, 0, missing,
					     WH_MEM_EXCLUDED)
		       : NULL;
}

/* Aligned as the scan wants it: an unaligned start moves up, a trailing part word is left out. */
static struct wh_err *root(struct planner *p, uint16_t kind, uint64_t start, uint64_t len)
{
	uint64_t w = p->il->kmem.abi.word, end = start + len;

	if (end < start || !start)
		return NULL;
	start = (start + w - 1) & ~(w - 1);
	end &= ~(w - 1);
	if (end <= start)
		return NULL;
	if ((kind == p->modules || kind == p->stacks) && end - start < 1u << 30)
		WH_TRY(note_missing(p, start, end));
	return wh_plan_add_root(&p->il->t->plan, kind, WH_VIRT, start, start, end - start);
}

/* Without type data of what they point to, the rest of the page counts: those maps are small. */
static struct wh_err *plan_page_counters(struct planner *p)
{
	struct wh_illumos_target *il = p->il;
	uint64_t size, w = il->kmem.abi.word;
	bool typed = wh_types_sizeof(il->types, "hw_page_map_t", &size) && size <= 65536;
	uint32_t nodes = 0;
	struct wh_sym s;

	if (!wh_symtab_find_name(il->syms, NULL, "page_counters", 0, &s) ||
	    (typed && (!wh_kmem_var_u32(&il->kmem, "max_mem_nodes", &nodes) || nodes > 4096))) {
		wh_diag_add(il->t->ctx->diags, WH_DIAG_NOTE, "page-counters", 0,
			    "page_counters or max_mem_nodes is missing: page counters are not "
			    "roots");
		return NULL;
	}
	for (uint64_t i = 0; i < s.size / w && i < 65536; i++) {
		uint64_t at;

		if (wh_read_word(il->r, s.addr + i * w, &at) && at)
			WH_TRY(root(p, p->counters, at,
				    typed ? size * nodes
					  : il->page_size - (at & (il->page_size - 1))));
	}
	return NULL;
}

static struct wh_err *plan_constructed(struct planner *p)
{
	struct wh_illumos_target *il = p->il;

	for (size_t i = 0; i < il->kmem.caches.n; i++) {
		const struct wh_kmem_cache *c = &il->kmem.caches.v[i];

		if (!wh_illumos_interesting(c) || !wh_illumos_constructed(c))
			continue;
		for (size_t k = 0; k < c->mags.n; k++) {
			WH_TRY(root(p, p->constructed, c->mags.v[k], c->bufsize));
			/* A free LITE buffer keeps its first word in the redzone. */
			if (c->flags & WH_KMF_LITE)
				WH_TRY(root(p, p->constructed,
					    c->mags.v[k] + c->buftag + il->kmem.l.bt_redzone.offset,
					    8));
		}
	}
	return NULL;
}

/* Whole pages that hold variables: a module's data has more than what carries a symbol. */
static struct wh_err *plan_variables(struct planner *p)
{
	const wh_ksyms_ranges *r = &p->il->objects;
	uint64_t mask = p->il->page_size - 1, done = 0;

	for (size_t i = 0; i < r->n; i++) {
		uint64_t start = r->v[i].start & ~mask, end = (r->v[i].end + mask) & ~mask;

		if (start < done)
			start = done;
		if (end <= start)
			continue;
		WH_TRY(root(p, p->modules, start, end - start));
		done = end;
	}
	return NULL;
}

static struct wh_err *plan_modules(struct planner *p)
{
	struct wh_illumos_target *il = p->il;

	if (!il->module_layout || !il->modules.n) {
		wh_diag_add(
			il->t->ctx->diags, WH_DIAG_WARN, "module-layout", 0,
			"no layout of struct module fits (no CTF in the dump): the pages of all "
			"variables that have symbols are roots instead of module data and bss; "
			"what only other data refer to is unknown");
		WH_TRY(wh_plan_add_missing(&il->t->plan, WH_CLASS_ANY, 0, il->page_size,
					   WH_MEM_EXCLUDED));
		return plan_variables(p);
	}
	for (size_t i = 0; i < il->modules.n; i++) {
		const struct wh_imodule *m = &il->modules.v[i];

		WH_TRY(root(p, p->modules, m->mp, il->module_size));
		WH_TRY(root(p, p->modules, m->data, m->data_size));
		WH_TRY(root(p, p->modules, m->bss, m->bss_size));
	}
	return NULL;
}

static struct wh_err *plan_stacks(struct planner *p)
{
	struct wh_illumos_target *il = p->il;
	uint64_t ps = il->page_size;

	for (size_t i = 0; i < il->threads.n; i++) {
		const struct wh_ithread *t = &il->threads.v[i];

		if (!t->loaded) {
			il->swapped++;
			wh_diag_add(il->t->ctx->diags, WH_DIAG_WARN, "stack-swapped-out", t->addr,
				    "thread %#llx's stack swapped out; false positives possible",
				    (unsigned long long)t->addr);
			continue;
		}
		if (t->state != WH_TS_FREE && t->stk > t->stkbase && t->stk - t->stkbase < 1u << 30)
			WH_TRY(root(p, p->stacks, t->stkbase, t->stk - t->stkbase));
		WH_TRY(root(p, p->stacks, t->stk, ps - (t->stk & (ps - 1))));
	}
	return NULL;
}

static struct wh_err *kstat_seg(void *arg, const struct wh_vmem_seg *s)
{
	struct planner *p = arg;

	return s->type == WH_VMEM_ALLOC && s->end > s->start
		       ? root(p, p->kstats, s->start, s->end - s->start)
		       : NULL;
}

static struct wh_err *plan_kstats(struct planner *p)
{
	struct wh_illumos_target *il = p->il;
	uint64_t addr;

	if (!wh_kmem_var_word(&il->kmem, "kstat_arena", &addr) || !addr)
		return NULL;
	for (size_t i = 0; i < il->kmem.arenas.n; i++)
		if (il->kmem.arenas.v[i].addr == addr)
			return wh_vmem_each_seg(&il->kmem, &il->kmem.arenas.v[i], kstat_seg, p);
	return NULL;
}

struct wh_err *wh_illumos_plan_roots(struct wh_illumos_target *il)
{
	struct planner p = {.il = il};
	struct wh_plan *plan = &il->t->plan;

	WH_TRY(wh_plan_add_kind(plan, "page counters", &p.counters));
	WH_TRY(wh_plan_add_kind(plan, "free constructed buffers", &p.constructed));
	WH_TRY(wh_plan_add_kind(plan, "module data", &p.modules));
	WH_TRY(wh_plan_add_kind(plan, "thread stacks", &p.stacks));
	WH_TRY(wh_plan_add_kind(plan, "kstats", &p.kstats));
	WH_TRY(plan_page_counters(&p));
	WH_TRY(plan_constructed(&p));
	WH_TRY(plan_modules(&p));
	WH_TRY(plan_stacks(&p));
	return plan_kstats(&p);
}
