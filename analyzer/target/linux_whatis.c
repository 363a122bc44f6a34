/* SPDX-License-Identifier: GPL-2.0-or-later */
/* whatis: every layer's answer to "what is at this address"; signatures of objects from their contents. */
#include "analyzer/target/linux.h"

#include <string.h>

#include "analyzer/alloc/kslab.h"
#include "analyzer/base/strbuf.h"

struct answer {
	struct wh_lx *x;
	struct wh_arena *a;
	wh_whatis_vec *ret;
	uint64_t addr;
};

static struct wh_err *say(struct answer *w, const char *kind, uint64_t base, uint64_t size,
			  struct wh_strbuf *text)
{
	char *s = wh_arena_strdup(w->a, wh_strbuf_str(text));

	wh_strbuf_fini(text);
	if (!s)
		return &wh_err_nomem;
	return WH_VEC_PUSH(w->ret, (struct wh_whatis){kind, s, base, size});
}

static const char *const state_words[WH_BUF_STATE_COUNT] = {
	[WH_BUF_ALLOCATED] = "allocated",
	[WH_BUF_PENDING] = "freed, waiting to be given back",
	[WH_BUF_UNSURE] = "in a damaged or missing slab",
	[WH_BUF_FREE] = "free",
};

static struct wh_err *say_slab(struct answer *w, const struct wh_lx_slab *s)
{
	struct wh_lx *x = w->x;
	const struct wh_kcache *c = &x->slab->caches.v[s->cache];
	uint64_t first = wh_kslab_object(x->slab, s, 0), i = (w->addr - first) / c->size;
	uint64_t va = wh_kspace_pfn_to_virt(x->ks, s->pfn);
	uint32_t n = x->slab->ops->objects(x->slab, s), row;
	struct wh_strbuf sb = WH_STRBUF_INIT;
	const char *state = "free";

	if (w->addr >= first && i < n) {
		uint64_t obj = first + i * c->size;

		row = wh_buftab_find(x->t->buftab, obj);
		if (row != WH_ROW_NONE)
			state = state_words[wh_buftab_state(x->t->buftab, row)];
		wh_strbuf_printf(&sb, "%s object %llu of %u of slab cache %s, byte %llu of %llu",
				 state, (unsigned long long)i, n, c->name,
				 (unsigned long long)(w->addr - obj),
				 (unsigned long long)c->object_size);
		WH_TRY(say(w, "slab object", obj, c->object_size, &sb));
	}
	sb = (struct wh_strbuf)WH_STRBUF_INIT;
	wh_strbuf_printf(&sb, "slab of cache %s (0x%llx%s): %u objects of %llu bytes", c->name,
			 (unsigned long long)c->addr, c->listed ? "" : ", destroyed", n,
			 (unsigned long long)c->size);
	return say(w, "slab", va, s->pages * x->page_bytes, &sb);
}

static struct wh_err *say_task_stack(struct answer *w)
{
	for (size_t i = 0; i < w->x->tasks.n; i++) {
		const struct wh_lx_task *t = &w->x->tasks.v[i];
		struct wh_strbuf sb = WH_STRBUF_INIT;

		if (w->addr < t->stack || w->addr >= t->stack + w->x->stack_size)
			continue;
		wh_strbuf_printf(&sb, "kernel stack of task %u (%s), %s", t->pid, t->comm,
				 t->sp && w->addr < t->sp ? "below its stack pointer: stale"
							  : "live part");
		return say(w, "task stack", t->stack, w->x->stack_size, &sb);
	}
	return NULL;
}

static struct wh_err *say_vmalloc(struct answer *w)
{
	const struct wh_lx_vmarea *v = wh_lx_vmalloc_find(w->x, w->addr);
	struct wh_strbuf sb = WH_STRBUF_INIT;
	const char *caller;

	if (!v)
		return NULL;
	caller = v->caller ? wh_lx_symname(w->x, w->a, v->caller) : NULL;
	wh_strbuf_printf(&sb, "vmalloc area of %llu bytes",
			 (unsigned long long)(v->end - v->start));
	if (v->use == WH_LXV_DEAD_STACK)
		wh_strbuf_puts(&sb, ", a stack that no task uses");
	else if (v->use == WH_LXV_IRQ_STACK)
		wh_strbuf_puts(&sb, ", an interrupt stack");
	else if (v->use == WH_LXV_IO)
		wh_strbuf_puts(&sb, ", I/O memory");
	if (caller)
		wh_strbuf_printf(&sb, ", for %s", caller);
	return say(w, "vmalloc area", v->start, v->end - v->start, &sb);
}

/* What alloc_percpu returned: no address, but a number that names a block, of which each CPU has a copy. */
static struct wh_err *say_percpu_pointer(struct answer *w)
{
	struct wh_lx *x = w->x;
	uint64_t at = w->addr - x->pcpu_start + x->pcpu_base, base;
	uint32_t row = x->pcpu_base ? wh_buftab_find(x->t->buftab, at) : WH_ROW_NONE;

	if (row == WH_ROW_NONE)
		return NULL;
	base = wh_buftab_addr(x->t->buftab, row);
	for (size_t i = 0; i < x->chunks.n; i++) {
		const struct wh_lx_chunk *c = &x->chunks.v[i];
		struct wh_strbuf sb = WH_STRBUF_INIT;

		if (c->reserved || at - c->base >= c->bytes)
			continue;
		wh_strbuf_printf(
			&sb,
			"per-CPU pointer to byte %llu of the block whose first copy is at 0x%llx",
			(unsigned long long)(at - base), (unsigned long long)base);
		return say(w, "per-CPU pointer", base, wh_buftab_size(x->t->buftab, row), &sb);
	}
	return NULL;
}

/* "runqueues+0x8", for an address as the symbol table has it; false when no symbol is there. */
static bool percpu_name(const struct answer *w, uint64_t addr, struct wh_strbuf *sb)
{
	struct wh_sym sym;
	uint64_t off;

	if (addr - w->x->pcpu_start >= w->x->static_size ||
	    !wh_symtab_find_percpu(w->x->names->syms, addr, &sym, &off))
		return false;
	wh_strbuf_puts(sb, sym.name);
	if (off)
		wh_strbuf_printf(sb, "+0x%llx", (unsigned long long)off);
	return true;
}

/* A static variable's own address: a number that names a copy on each CPU. */
static struct wh_err *say_percpu_static(struct answer *w)
{
	struct wh_lx *x = w->x;
	struct wh_strbuf sb = WH_STRBUF_INIT;

	wh_strbuf_puts(&sb, "per-CPU variable ");
	if (!x->cpus.n || !percpu_name(w, w->addr, &sb)) {
		wh_strbuf_fini(&sb);
		return NULL;
	}
	wh_strbuf_printf(&sb, "; the copy of CPU %u is at 0x%llx", x->cpus.v[0].nr,
			 (unsigned long long)(w->addr + x->cpus.v[0].offset));
	return say(w, "per-CPU pointer", w->addr, 0, &sb);
}

static struct wh_err *say_percpu(struct answer *w)
{
	struct wh_lx *x = w->x;

	for (size_t i = 0; i < x->chunks.n; i++)
		for (size_t c = 0; c < x->cpus.n; c++) {
			uint64_t va = x->chunks.v[i].base + (x->cpus.v[c].base - x->pcpu_base);
			struct wh_strbuf sb = WH_STRBUF_INIT;

			if (w->addr < va || w->addr - va >= x->chunks.v[i].bytes)
				continue;
			wh_strbuf_printf(&sb, "per-CPU memory of CPU %u, per-CPU pointer 0x%llx",
					 x->cpus.v[c].nr,
					 (unsigned long long)(w->addr - x->cpus.v[c].offset));
			return say(w, "per-CPU", va, x->chunks.v[i].bytes, &sb);
		}
	for (size_t c = 0; c < x->cpus.n; c++) {
		uint64_t off = w->addr - x->cpus.v[c].base;
		struct wh_strbuf sb = WH_STRBUF_INIT;

		if (!x->cpus.v[c].base || off >= x->static_size)
			continue;
		wh_strbuf_puts(&sb, "static per-CPU variable ");
		(void)percpu_name(w, off + x->pcpu_start, &sb);
		wh_strbuf_printf(&sb, " of CPU %u", x->cpus.v[c].nr);
		return say(w, "per-CPU", x->cpus.v[c].base, x->static_size, &sb);
	}
	return NULL;
}

static struct wh_err *say_symbol(struct answer *w)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;
	struct wh_sym sym;
	uint64_t off;

	if (!wh_symtab_find_addr(w->x->names->syms, w->addr, &sym, &off))
		return NULL;
	wh_strbuf_printf(&sb, "%s+0x%llx", sym.name, (unsigned long long)off);
	if (sym.module)
		wh_strbuf_printf(&sb, " of module %s", sym.module);
	return say(w, "symbol", sym.addr, sym.size, &sb);
}

static struct wh_err *say_page(struct answer *w)
{
	struct wh_lx *x = w->x;
	struct wh_strbuf sb = WH_STRBUF_INIT;
	uint64_t pa, pfn, run;
	enum wh_mem_state st = wh_virt_to_phys(x->r, w->addr, &pa, &run);
	uint8_t c, buf[1];
	size_t len;

	if (st != WH_MEM_PRESENT) {
		/* A struct page names memory too. */
		if (!wh_lx_page_to_pfn(x, w->addr, &pfn))
			return NULL;
		pa = pfn << x->ks->page_shift;
	}
	pfn = pa >> x->ks->page_shift;
	c = wh_lx_page_get(x, pfn);
	(void)wh_read_some(x->r, WH_PHYS, pa & ~(x->page_bytes - 1), buf, 1, &st);
	len = wh_read_some(x->r, WH_PHYS, pa & ~(x->page_bytes - 1), buf, 1, &st);
	wh_strbuf_printf(&sb, "page frame 0x%llx, physical 0x%llx: %s", (unsigned long long)pfn,
			 (unsigned long long)pa, wh_lx_page_name(c & WH_LXP_MASK));
	if (c & WH_LXP_TAIL)
		wh_strbuf_puts(&sb, ", inside a block");
	if (!len)
		wh_strbuf_printf(&sb, ", not in the dump (%s)", wh_mem_state_name(st));
	return say(w, "page", wh_kspace_pfn_to_virt(x->ks, pfn), x->page_bytes, &sb);
}

static struct wh_err *say_struct_page(struct answer *w)
{
	struct wh_lx *x = w->x;
	uint64_t ps = x->lay.page_size_of, off = w->addr - x->ks->vmemmap, pfn = off / ps;
	struct wh_strbuf sb = WH_STRBUF_INIT;

	if (!x->ks->vmemmap || pfn >= x->ks->dump->max_pfn)
		return NULL;
	wh_strbuf_printf(&sb, "struct page of frame 0x%llx, byte %llu: %s", (unsigned long long)pfn,
			 (unsigned long long)(off % ps),
			 wh_lx_page_name(wh_lx_page_get(x, pfn) & WH_LXP_MASK));
	return say(w, "struct page", x->ks->vmemmap + pfn * ps, ps, &sb);
}

static struct wh_err *say_virtual(struct answer *w)
{
	struct wh_lx *x = w->x;
	const struct wh_lx_slab *s = wh_kslab_find_slab(x->slab, w->addr);

	if (s && s->cache != WH_LX_NO_CACHE && x->slab->caches.v[s->cache].valid)
		WH_TRY(say_slab(w, s));
	WH_TRY(say_task_stack(w));
	WH_TRY(say_percpu_static(w));
	WH_TRY(say_symbol(w)); /* before the area of its module */
	WH_TRY(say_vmalloc(w));
	WH_TRY(say_percpu(w));
	WH_TRY(say_percpu_pointer(w));
	WH_TRY(say_struct_page(w));
	return say_page(w);
}

#define PHYS_MIN (1u << 20) /* below it lie the numbers that are anything but addresses */

/* No address of the kernel: of memory, perhaps. */
static struct wh_err *say_physical(struct answer *w)
{
	struct wh_lx *x = w->x;
	uint64_t pfn = w->addr >> x->ks->page_shift;
	enum wh_mem_state st = WH_MEM_PRESENT;
	struct wh_strbuf sb = WH_STRBUF_INIT;
	struct answer virt = *w;
	uint8_t byte;

	if (w->addr < PHYS_MIN || pfn >= x->ks->dump->max_pfn)
		return NULL;
	(void)wh_read_some(x->r, WH_PHYS, w->addr, &byte, 1, &st);
	if (st == WH_MEM_UNMAPPED)
		return NULL;
	virt.addr = wh_kspace_pfn_to_virt(x->ks, pfn) + (w->addr & (x->page_bytes - 1));
	wh_strbuf_printf(&sb,
			 "physical address of 0x%llx, which is:", (unsigned long long)virt.addr);
	WH_TRY(say(w, "physical", virt.addr & ~(x->page_bytes - 1), x->page_bytes, &sb));
	return say_virtual(&virt);
}

struct wh_err *wh_lx_whatis(struct wh_target *t, uint64_t addr, struct wh_arena *a,
			    wh_whatis_vec *ret)
{
	struct answer w = {t->priv, a, ret, addr};

	WH_TRY(say_virtual(&w));
	return ret->n ? NULL : say_physical(&w);
}

/* ---- signatures ---- */

#define SIG_BYTES 512
#define SIG_NAMES 4

/* A name that a word of the object gives: an operations table, a function, a global. */
static bool word_name(struct wh_lx *x, uint64_t v, struct wh_sym *ret)
{
	uint64_t off;

	if (v < x->ks->kernel_min || !wh_symtab_find_addr(x->names->syms, v, ret, &off))
		return false;
	/* Into the middle of a function points a return address, not a member. */
	return off == 0;
}

static size_t text_at(const uint8_t *p, size_t n)
{
	size_t k = 0;

	while (k < n && p[k] >= 0x20 && p[k] < 0x7f && p[k] != '"')
		k++;
	return k;
}

const char *wh_lx_signature(struct wh_target *t, uint32_t row, struct wh_arena *a)
{
	struct wh_lx *x = t->priv;
	uint64_t addr = wh_buftab_addr(t->buftab, row), size = wh_buftab_size(t->buftab, row);
	struct wh_strbuf sb = WH_STRBUF_INIT;
	uint8_t buf[SIG_BYTES];
	size_t n = wh_read_some(x->r, WH_VIRT, addr, buf,
				size < sizeof(buf) ? (size_t)size : sizeof(buf), NULL);
	const char *seen[SIG_NAMES], *ret = NULL;
	size_t names = 0, text;

	for (size_t off = 0; off + x->abi.word <= n && names < SIG_NAMES; off += x->abi.word) {
		struct wh_sym sym;
		bool again = false;

		if (!word_name(x, wh_lx_ptr(x, wh_get_word(x->abi, buf + off)), &sym))
			continue;
		for (size_t i = 0; i < names; i++)
			again = again || !strcmp(seen[i], sym.name);
		if (again)
			continue;
		wh_strbuf_printf(&sb, "%s+%zu=%s", names ? " " : "", off, sym.name);
		if (sym.module)
			wh_strbuf_printf(&sb, "[%s]", sym.module);
		seen[names++] = sym.name;
	}
	if (!names && (text = text_at(buf, n)) >= 4)
		wh_strbuf_printf(&sb, "text \"%.*s\"", (int)(text < 24 ? text : 24),
				 (const char *)buf);
	if (sb.len)
		ret = wh_arena_strdup(a, wh_strbuf_str(&sb));
	wh_strbuf_fini(&sb);
	return ret;
}
