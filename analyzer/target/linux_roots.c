/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Roots that belong to no task and no CPU, and page-allocator memory as nodes.
 *
 *	kernel image	data and bss, where the frames are still PG_reserved: init memory was freed and
 *			belongs to somebody else now
 *	modules		all but text
 *	reserved	memblock memory: boot-time tables; not the memmap, not per-CPU units
 *	page nodes	one row a block: reached by its address or by a struct page pointer (alias)
 */
#include "analyzer/target/linux.h"

#include <string.h>

#include "formats/scratch.h"

/* ---- image ---- */

static uint64_t image_pfn(const struct wh_lx *x, uint64_t va)
{
	return (va + x->ks->image_to_phys) >> x->ks->page_shift;
}

/* Frames of the image that are still its own; what was freed keeps the class that it has now. */
void wh_lx_image_frames(struct wh_lx *x)
{
	for (uint64_t va = x->ks->image_start; va < x->ks->image_end; va += x->page_bytes) {
		uint64_t pfn = image_pfn(x, va);

		if ((wh_lx_page_get(x, pfn) & WH_LXP_MASK) == WH_LXP_RESERVED)
			wh_lx_page_set(x, pfn, WH_LXP_IMAGE);
	}
}

static struct wh_err *image_root(struct wh_lx *x, uint64_t from, uint64_t end)
{
	if (from < x->ks->image_start)
		from = x->ks->image_start;
	if (end > x->ks->image_end)
		end = x->ks->image_end;
	while (from < end) {
		uint64_t n = x->page_bytes - (from & (x->page_bytes - 1));

		if (n > end - from)
			n = end - from;
		if ((wh_lx_page_get(x, image_pfn(x, from)) & WH_LXP_MASK) == WH_LXP_IMAGE)
			WH_TRY(wh_plan_add_root(&x->t->plan, x->kind_image, WH_PHYS,
						from + x->ks->image_to_phys, from, n));
		from += n;
	}
	return NULL;
}

static const struct {
	const char *start, *end;
} sections[] = {
	{"_sdata", "_edata"},
	{"__bss_start", "__bss_stop"},
	{"__start_ro_after_init", "__end_ro_after_init"},
};

static struct wh_err *image_roots(struct wh_lx *x)
{
	uint64_t start, end, text_end;
	size_t found = 0;

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		if (wh_lx_symbol(x, sections[i].start, &start) &&
		    wh_lx_symbol(x, sections[i].end, &end) && start < end)
			found++;
	if (found < sizeof(sections) / sizeof(sections[0])) {
		/* Without data symbols: everything behind the text. */
		start = x->ks->image_start;
		if (wh_lx_symbol(x, "_etext", &text_end) && text_end > start &&
		    text_end < x->ks->image_end)
			start = text_end & ~7ull;
		return image_root(x, start, x->ks->image_end);
	}
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		if (wh_lx_symbol(x, sections[i].start, &start) &&
		    wh_lx_symbol(x, sections[i].end, &end))
			WH_TRY(image_root(x, (start + 7) & ~7ull, end));
	return NULL;
}

/* ---- modules ---- */

static struct wh_err *module_roots(struct wh_lx *x)
{
	for (size_t i = 0; i < x->names->n_modules; i++) {
		const struct wh_kmodule *m = &x->names->modules[i];

		for (uint32_t k = 0; k < m->n_ranges; k++) {
			const struct wh_kmodule_range *g = &m->ranges[k];

			if (g->kind == WH_KMOD_TEXT || g->size > (256u << 20))
				continue;
			WH_TRY(wh_lx_root(x, x->kind_module, (g->start + 7) & ~7ull,
					  g->start + g->size));
		}
	}
	return NULL;
}

/* ---- interrupt stacks ---- */

static bool any_sp_in(const struct wh_lx *x, uint64_t start, uint64_t end, uint64_t *ret)
{
	int sp = x->t->dump->arch ? x->t->dump->arch->reg_sp : -1;

	for (size_t i = 0; sp >= 0 && i < x->regs.n; i++)
		if (x->regs.v[i].regs.v[sp] >= start && x->regs.v[i].regs.v[sp] < end) {
			*ret = x->regs.v[i].regs.v[sp];
			return true;
		}
	return false;
}

/*
 * x86: the stacks lie in static per-CPU memory and are mapped elsewhere as well; the pointer names the end of
 * the mapping, or (since 5.13) its last word.  What no CPU is on holds only stale words.  The mapping is an
 * area that nothing else holds, and is no buffer.
 */
static struct wh_err *irq_stack_x86(struct wh_lx *x, const struct wh_lx_cpu *c, uint64_t store,
				    uint64_t top_var)
{
	uint64_t at = c->base + (store - x->pcpu_start), size = 16384, top, sp;
	struct wh_lx_vmarea *a;

	if (x->t->dump->arch && strcmp(x->t->dump->arch->name, "x86_64") != 0)
		return NULL;
	if (!top_var || !wh_read_word(x->r, top_var + c->offset, &top))
		return wh_plan_add_mask(&x->t->plan, at, at + size);
	top = (top + 15) & ~15ull;
	a = (struct wh_lx_vmarea *)wh_lx_vmalloc_find(x, top - size);
	if (a && a->use == WH_LXV_NODE && a->end == top)
		a->use = WH_LXV_IRQ_STACK;
	if (any_sp_in(x, top - size, top, &sp))
		size = sp - (top - size);
	return wh_plan_add_mask(&x->t->plan, at, at + size);
}

/* arm64: an area a CPU, named by irq_stack_ptr. */
static struct wh_err *irq_stack_area(struct wh_lx *x, const struct wh_lx_cpu *c, uint64_t var)
{
	struct wh_lx_vmarea *a;
	uint64_t p, sp;

	if (!wh_read_word(x->r, var + c->offset, &p) ||
	    !(a = (struct wh_lx_vmarea *)wh_lx_vmalloc_find(x, wh_lx_ptr(x, p))) ||
	    a->use != WH_LXV_NODE)
		return NULL;
	a->use = WH_LXV_IRQ_STACK;
	if (any_sp_in(x, a->start, a->end, &sp))
		return wh_lx_root(x, x->kind_stack, sp & ~7ull, a->end);
	return NULL;
}

struct wh_err *wh_lx_irq_stacks(struct wh_lx *x)
{
	uint64_t store = 0, exc = 0, exc_size, top = 0, hot, off, ptr = 0, sp;
	bool have_store = wh_lx_symbol(x, "irq_stack_backing_store", &store);
	bool have_exc = wh_lx_symbol(x, "exception_stacks", &exc) &&
			wh_types_sizeof(x->names->types, "exception_stacks", &exc_size);

	if (!wh_lx_symbol(x, "hardirq_stack_ptr", &top) && wh_lx_symbol(x, "pcpu_hot", &hot) &&
	    wh_lx_offset(x, "pcpu_hot", "hardirq_stack_ptr", &off))
		top = hot + off;
	(void)wh_lx_symbol(x, "irq_stack_ptr", &ptr);
	for (size_t i = 0; i < x->cpus.n; i++) {
		const struct wh_lx_cpu *c = &x->cpus.v[i];

		if (have_store && c->base)
			WH_TRY(irq_stack_x86(x, c, store, top));
		/* cpu_entry_area, where the exception stacks are mapped: fffffe0000000000, 512 GiB */
		if (have_exc && c->base && exc_size <= (1u << 20) &&
		    !any_sp_in(x, 0xfffffe0000000000ull, 0xfffffe8000000000ull, &sp))
			WH_TRY(wh_plan_add_mask(&x->t->plan, c->base + (exc - x->pcpu_start),
						c->base + (exc - x->pcpu_start) + exc_size));
		if (ptr && !have_store)
			WH_TRY(irq_stack_area(x, c, ptr));
	}
	return NULL;
}

/* ---- reserved memory and page nodes ---- */

struct page_walk {
	struct wh_lx *x;
	struct wh_scratch *sc;
};

static bool present(struct page_walk *w, uint64_t pfn)
{
	const struct wh_dump *d = w->x->ks->dump;
	uint64_t run;

	return d->ops->page_state(d, w->sc, pfn, &run) == WH_MEM_PRESENT;
}

static struct wh_err *block_row(struct wh_lx *x, uint64_t pfn, uint64_t n, uint16_t cls)
{
	uint64_t va = wh_kspace_pfn_to_virt(x->ks, pfn), len = n << x->ks->page_shift;

	WH_TRY(wh_buftab_add(x->t->buftab, cls, va, len, WH_BUF_ALLOCATED));
	return wh_plan_add_node(&x->t->plan, WH_PHYS, pfn << x->ks->page_shift, va, len);
}

static struct wh_err *unit_pages(struct page_walk *w, const uint8_t *u, uint64_t first)
{
	struct wh_lx *x = w->x;

	for (uint64_t i = 0; i < WH_LX_UNIT;) {
		uint8_t c = u[i] & WH_LXP_MASK;
		uint64_t n = 1;

		if (c == WH_LXP_KERNEL || c == WH_LXP_LARGE) {
			while (i + n < WH_LX_UNIT && (u[i + n] & WH_LXP_TAIL) &&
			       (u[i + n] & WH_LXP_MASK) == c)
				n++;
			WH_TRY(block_row(x, first + i, n,
					 c == WH_LXP_LARGE    ? x->cls_large
					 : u[i] & WH_LXP_COMP ? x->cls_compound
							      : x->cls_page));
		} else if (c == WH_LXP_RESERVED || (c == WH_LXP_UNKNOWN && present(w, first + i))) {
			WH_TRY(wh_plan_add_root(&x->t->plan, x->kind_reserved, WH_PHYS,
						(first + i) << x->ks->page_shift,
						wh_kspace_pfn_to_virt(x->ks, first + i),
						x->page_bytes));
		}
		i += n;
	}
	return NULL;
}

static struct wh_err *page_nodes(struct wh_lx *x)
{
	struct page_walk w = {.x = x};
	struct wh_err *e = NULL;

	WH_TRY(wh_scratch_create(&w.sc));
	for (size_t u = 0; u < x->n_units && !e; u++)
		if (x->units[u])
			e = unit_pages(&w, x->units[u], (uint64_t)u << WH_LX_UNIT_SHIFT);
	wh_scratch_destroy(w.sc);
	return e;
}

/*
 * makedumpfile -E leaves out pages of zeros just as it leaves out user pages.  What is planned here is
 * memory of the kernel, which it never takes for a user's: if it is absent, it was zero, and holds nothing.
 */
static struct wh_err *drop_zero(struct page_walk *w, struct wh_plan_range **v, size_t *n,
				size_t *cap)
{
	const struct wh_dump *d = w->x->ks->dump;
	uint32_t shift = w->x->ks->page_shift;
	WH_VEC(struct wh_plan_range) out = {0};
	struct wh_err *e = NULL;

	for (size_t i = 0; i < *n && !e; i++) {
		struct wh_plan_range r = (*v)[i];
		uint64_t run, len;

		for (uint64_t off = 0; off < r.len && !e && r.space == WH_PHYS; off += len) {
			struct wh_plan_range piece = r;
			enum wh_mem_state st =
				d->ops->page_state(d, w->sc, (r.addr + off) >> shift, &run);

			len = ((((r.addr + off) >> shift) + run) << shift) - (r.addr + off);
			if (len > r.len - off)
				len = r.len - off;
			piece.addr += off;
			piece.label += off;
			piece.len = len;
			if (st != WH_MEM_EXCLUDED)
				e = WH_VEC_PUSH(&out, piece);
		}
		if (!e && r.space != WH_PHYS)
			e = WH_VEC_PUSH(&out, r);
	}
	if (e) {
		WH_VEC_FINI(&out);
		return e;
	}
	free(*v);
	*v = out.v;
	*n = out.n;
	*cap = out.cap;
	return NULL;
}

static struct wh_err *drop_zero_pages(struct wh_lx *x)
{
	const struct wh_dump *d = x->ks->dump;
	struct wh_plan *p = &x->t->plan;
	struct page_walk w = {.x = x};
	struct wh_err *e;

	if (strcmp(d->ops->name, "elf") != 0 || !d->pages[WH_MEM_EXCLUDED])
		return NULL;
	WH_TRY(wh_scratch_create(&w.sc));
	e = drop_zero(&w, &p->roots.v, &p->roots.n, &p->roots.cap);
	if (!e)
		e = drop_zero(&w, &p->nodes.v, &p->nodes.n, &p->nodes.cap);
	wh_scratch_destroy(w.sc);
	return e;
}

/* Every struct page names its frame. */
static struct wh_err *page_alias(struct wh_lx *x)
{
	uint64_t ps = x->lay.page_size_of, first, end;

	wh_lx_pages_range(x, &first, &end);
	return wh_plan_add_alias(&x->t->plan, x->ks->vmemmap + first * ps,
				 x->ks->vmemmap + end * ps, ps, wh_kspace_pfn_to_virt(x->ks, first),
				 x->page_bytes);
}

struct wh_err *wh_lx_roots_build(struct wh_lx *x)
{

	WH_TRY(image_roots(x));
	WH_TRY(module_roots(x));
	WH_TRY(page_nodes(x));
	WH_TRY(drop_zero_pages(x));
	return page_alias(x);
}
