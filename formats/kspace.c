/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finding the kernel's address space.  Nothing is believed because a variable says so; what the page
 * tables show decides.
 *
 *	VMCOREINFO (header, note, memory) ---> page tables: must translate their own address
 *	CR3, IDT of a QEMU note ------------->        |
 *	                                              v
 *	candidates for va - pa (PT_LOADs, mem_section, the tables' own first entries)
 *	      accepted when the tables map (root + candidate) back to root
 *	                                              v
 *	image extent: the run around init_top_pgt with one va - pa
 *	vmemmap: what every section_mem_map says; else the region whose pages describe RAM
 *
 * Translation then is arithmetic for the direct map and the image, which is right even where the
 * tables have no entry (KFENCE clears it for freed objects), and a walk for everything else.
 */
#include "formats/kspace_priv.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/base/limits.h"
#include "formats/scratch.h"

static const struct wh_kspace_arch *const arches[] = {&wh_kspace_x86_64, &wh_kspace_arm64};

bool wh_kspace_maps(const struct wh_pgtable *t, struct wh_reader *r, uint64_t va, uint64_t pa,
		    bool lenient)
{
	uint64_t got, run;
	uint8_t top[8];

	switch (wh_pgtable_walk(t, r, va, &got, &run)) {
	case WH_MEM_PRESENT: return got == pa;
	case WH_MEM_UNMAPPED: return false;
	default: return lenient && wh_read_some(r, WH_PHYS, t->root, top, 8, NULL) == 8;
	}
}

static enum wh_mem_state kspace_translate(const void *arg, struct wh_reader *r, uint64_t va,
					  uint64_t *ret_pa, uint64_t *ret_run)
{
	const struct wh_kspace *k = arg;
	const struct wh_kspace_priv *p = k->priv;

	/* Memory is read at what pointers say, and those may be tagged. */
	if (va >> 55 & 1)
		va |= k->tag_mask;
	if (va - k->direct_start < k->direct_end - k->direct_start) {
		*ret_pa = va - k->page_offset;
		*ret_run = k->direct_end - va;
		return WH_MEM_PRESENT;
	}
	if (va - k->image_start < k->image_end - k->image_start) {
		*ret_pa = va + k->image_to_phys;
		*ret_run = k->image_end - va;
		return WH_MEM_PRESENT;
	}
	if (va < k->kernel_min) {
		*ret_run = k->kernel_min - va;
		return WH_MEM_UNMAPPED;
	}
	if (!p->pt_ok)
		return WH_MEM_TRUNCATED; /* mapped or not: what would tell is lost */
	return wh_pgtable_walk(&p->pt, r, va, ret_pa, ret_run);
}

/* First frame at or after @pfn that is present or, with @absent_too, at least exists. */
static uint64_t next_frame(const struct wh_dump *d, uint64_t pfn, bool absent_too)
{
	struct wh_scratch *sc = NULL;
	struct wh_err *e = wh_scratch_create(&sc);

	wh_err_destroy(e);
	while (!e && pfn < d->max_pfn) {
		uint64_t run;
		enum wh_mem_state s = d->ops->page_state(d, sc, pfn, &run);

		if (s == WH_MEM_PRESENT || (absent_too && s != WH_MEM_UNMAPPED))
			break;
		pfn += run < d->max_pfn - pfn ? run : d->max_pfn - pfn;
	}
	wh_scratch_destroy(sc);
	return pfn < d->max_pfn ? pfn : d->max_pfn;
}

uint64_t wh_kspace_next_frame(const struct wh_mem *m, uint64_t pfn)
{
	return next_frame(wh_mem_dump(m), pfn, false);
}

/* Sets the direct map if va - pa = @delta is consistent with the page tables. */
static bool try_direct(struct wh_kspace *k, struct wh_reader *r, uint64_t delta)
{
	const struct wh_kspace_priv *p = k->priv;
	/* Frames as the dump counts them: without VMCOREINFO it may not know the kernel's page size. */
	uint64_t start = next_frame(k->dump, 0, true) * k->dump->page_size + delta;
	uint64_t end = k->dump->max_pfn * k->dump->page_size + delta;

	if (delta & (p->arch->direct_align - 1) || start < k->kernel_min || end < start)
		return false;
	if (p->pt_ok && !wh_kspace_maps(&p->pt, r, k->pgd_phys + delta, k->pgd_phys, p->lenient))
		return false;
	k->page_offset = delta;
	k->direct_start = start;
	k->direct_end = end;
	return true;
}

/* The lowest leaves of the kernel's half: one of the first is of the direct map. */
#define SAMPLES 64
struct samples {
	uint64_t delta[SAMPLES];
	size_t n;
};

static struct wh_err *add_sample(void *arg, uint64_t va, uint64_t pa, uint64_t len WH_UNUSED)
{
	struct samples *s = arg;

	for (size_t i = 0; i < s->n; i++)
		if (s->delta[i] == va - pa)
			return NULL;
	if (s->n == SAMPLES)
		return &wh_err_not_found;
	s->delta[s->n++] = va - pa;
	return NULL;
}

/* va - pa of SYMBOL(mem_section), a pointer into the direct map on SPARSEMEM_EXTREME. */
static bool mem_section_delta(const struct wh_kspace *k, struct wh_reader *r, uint64_t *ret)
{
	const struct wh_kspace_priv *p = k->priv;
	uint64_t va, pa, run;

	if (!k->vmcoreinfo || !p->pt_ok ||
	    !wh_vmcoreinfo_symbol(k->vmcoreinfo, "mem_section", &va) ||
	    wh_pgtable_walk(&p->pt, r, va, &pa, &run) != WH_MEM_PRESENT)
		return false;
	*ret = va - pa;
	return true;
}

static bool find_direct(struct wh_kspace *k, struct wh_reader *r)
{
	const struct wh_kspace_priv *p = k->priv;
	uint64_t c[16];
	size_t n = p->arch->direct_candidates(k, c, 16);
	struct samples s = {.n = 0};

	for (size_t i = 0; i < n; i++)
		if (try_direct(k, r, c[i]))
			return true;
	if (mem_section_delta(k, r, &c[0]) && try_direct(k, r, c[0]))
		return true;
	if (!p->pt_ok)
		return false;
	wh_err_destroy(wh_pgtable_each(&p->pt, r, k->kernel_min, UINT64_MAX, add_sample, &s));
	for (size_t i = 0; i < s.n; i++)
		if (try_direct(k, r, s.delta[i]))
			return true;
	return false;
}

/* The image: the run of mappings with the right va - pa around the hint, over small gaps (freed init
 * sections lose their mapping under PTI). */
#define IMAGE_GAP (64ull << 20)
struct extent {
	const struct wh_kspace *k;
	uint64_t hint, start, end;
};

static struct wh_err *grow_image(void *arg, uint64_t va, uint64_t pa, uint64_t len)
{
	struct extent *x = arg;

	if (pa - va != x->k->image_to_phys)
		return NULL;
	if (!x->end || (va - x->end > IMAGE_GAP && x->end <= x->hint))
		x->start = va;
	else if (va - x->end > IMAGE_GAP)
		return &wh_err_not_found; /* past the image */
	x->end = va + len;
	return NULL;
}

/* Without tables: from the lowest to the highest of VMCOREINFO's symbols that lie in the window.  The
 * image reaches further on both sides, but how far nothing says. */
static void image_from_symbols(struct wh_kspace *k, uint64_t start, uint64_t end)
{
	const uint64_t ps = 1ull << k->page_shift;
	const char *s = k->vmcoreinfo ? wh_vmcoreinfo_text(k->vmcoreinfo) : "";
	uint64_t lo = UINT64_MAX, hi = 0;

	while ((s = strstr(s, "SYMBOL("))) {
		const char *eq = strchr(s, '=');
		uint64_t va = eq ? strtoull(eq + 1, NULL, 16) : 0;

		s++;
		if (va < start || va >= end)
			continue;
		lo = va < lo ? va : lo;
		hi = va > hi ? va : hi;
	}
	if (lo > hi)
		return;
	k->image_start = lo & ~(ps - 1);
	k->image_end = (hi | (ps - 1)) + 1;
}

static void find_image(struct wh_kspace *k, struct wh_reader *r)
{
	const struct wh_kspace_priv *p = k->priv;
	struct extent x = {.k = k, .hint = p->image_hint};
	uint64_t start, end;

	p->arch->image_window(k, &start, &end);
	if (p->pt_ok) {
		wh_err_destroy(wh_pgtable_each(&p->pt, r, start, end, grow_image, &x));
		if (x.end && x.start <= x.hint && x.hint < x.end) {
			k->image_start = x.start;
			k->image_end = x.end;
			return;
		}
	}
	if (p->image_hint)
		image_from_symbols(k, start, end);
}

#define SECTION_FLAGS	  0x3full /* low bits of section_mem_map: at most 6 flags (6.18) */
#define SECTION_HAS_MAP	  0x2ull
#define SECTION_ROOTS_MAX (1ull << 20)

/* One root: a page of struct mem_section.  False when a section contradicts *vmemmap. */
static bool check_root(struct wh_kspace *k, struct wh_reader *r, uint64_t root, uint64_t size,
		       uint64_t off, uint64_t *seen)
{
	uint64_t n = (1ull << k->page_shift) / size;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t map;

		if (!wh_read_u64(r, root + i * size + off, &map) || !(map & SECTION_HAS_MAP))
			continue;
		map &= ~SECTION_FLAGS;
		if (!*seen)
			k->vmemmap = map;
		if (map != k->vmemmap)
			return false;
		++*seen;
	}
	return true;
}

/* Without SPARSEMEM_VMEMMAP each section has a map of its own: then there is no vmemmap. */
static bool vmemmap_from_sections(struct wh_kspace *k, struct wh_reader *r)
{
	const struct wh_vmcoreinfo *v = k->vmcoreinfo;
	uint64_t array, roots, size, off, seen = 0;

	if (!v || !wh_vmcoreinfo_symbol(v, "mem_section", &array) ||
	    !wh_vmcoreinfo_length(v, "mem_section", &roots) ||
	    !wh_vmcoreinfo_size(v, "mem_section", &size) ||
	    !wh_vmcoreinfo_offset(v, "mem_section.section_mem_map", &off))
		return false;
	if (size < 8 || size > 256 || off > size - 8 || roots > SECTION_ROOTS_MAX)
		return false;
	for (uint64_t i = 0; i < roots; i++) {
		uint64_t root;

		if (!wh_read_u64(r, array + 8 * i, &root) || root < k->kernel_min)
			continue;
		if (!check_root(k, r, root, size, off, &seen)) {
			k->vmemmap = 0;
			return true;
		}
	}
	return seen != 0;
}

static void find_vmemmap(struct wh_kspace *k, struct wh_reader *r)
{
	int64_t n;
	uint64_t va, base;

	if (vmemmap_from_sections(k, r) || !k->vmcoreinfo)
		return;
	if (wh_vmcoreinfo_number(k->vmcoreinfo, "VMEMMAP_START", &n))
		k->vmemmap = (uint64_t)n;
	else if (wh_vmcoreinfo_symbol(k->vmcoreinfo, "vmemmap_base", &va) &&
		 wh_read_u64(r, va, &base) && base >= k->kernel_min)
		k->vmemmap = base;
}

static const struct wh_kspace_arch *arch_of(const struct wh_dump *d)
{
	for (size_t i = 0; d->arch && i < sizeof(arches) / sizeof(arches[0]); i++)
		if (!strcmp(arches[i]->name, d->arch->name))
			return arches[i];
	return NULL;
}

/* Tables, direct map and image from what k->vmcoreinfo and the notes say. */
static struct wh_err *try_open(struct wh_kspace *k, struct wh_reader *r)
{
	const struct wh_kspace_priv *p = k->priv;

	WH_TRY(p->arch->find_tables(k, r));
	if (!find_direct(k, r))
		return &wh_err_not_found;
	find_image(k, r);
	return NULL;
}

/* Text found in memory counts when the addresses in it lead to tables that translate themselves. */
static struct wh_err *open_by_scan(struct wh_kspace *k, struct wh_reader *r)
{
	struct wh_kspace_priv *p = k->priv;
	uint64_t pfn = 0;

	for (;;) {
		struct wh_err *e;

		WH_TRY(wh_kspace_scan_vmcoreinfo(k->mem, &pfn, &p->found));
		k->vmcoreinfo = p->found;
		k->vmcoreinfo_source = "memory scan";
		e = try_open(k, r);
		if (!wh_err_is(e, WH_ERR_NOT_FOUND))
			return e;
		wh_err_destroy(e);
		wh_vmcoreinfo_destroy(p->found);
		p->found = NULL;
		k->vmcoreinfo = NULL;
		k->vmcoreinfo_source = "none";
	}
}

/* The tables came from a note: VMCOREINFO is still wanted, for symbols and offsets. */
static struct wh_err *add_vmcoreinfo(struct wh_kspace *k, struct wh_reader *r)
{
	struct wh_kspace_priv *p = k->priv;
	uint64_t pfn = 0;
	struct wh_err *e = wh_kspace_image_vmcoreinfo(k, r, &p->found);

	if (wh_err_is(e, WH_ERR_NOT_FOUND)) {
		wh_err_destroy(e);
		e = wh_kspace_scan_vmcoreinfo(k->mem, &pfn, &p->found);
	}
	if (wh_err_is(e, WH_ERR_NOT_FOUND)) {
		wh_err_destroy(e);
		return NULL;
	}
	if (e)
		return e;
	k->vmcoreinfo = p->found;
	k->vmcoreinfo_source = "memory scan";
	/* CR3 may be a process's table, whose vmalloc part can lag behind the kernel's own. */
	e = try_open(k, r);
	if (!wh_err_is(e, WH_ERR_NOT_FOUND))
		return e;
	wh_err_destroy(e);
	return NULL;
}

static const char *info_source(const struct wh_dump *d)
{
	if (!d->vmcoreinfo)
		return "none";
	return !strcmp(d->ops->name, "kdump") ? "header" : "note";
}

/* A dump that lost some of its page tables: what they say as far as they go. */
static struct wh_err *open_lenient(struct wh_kspace *k, struct wh_reader *r)
{
	struct wh_kspace_priv *p = k->priv;
	const struct wh_dump *d = k->dump;

	if (!d->vmcoreinfo)
		return &wh_err_not_found;
	k->vmcoreinfo = d->vmcoreinfo;
	k->vmcoreinfo_source = info_source(d);
	p->lenient = true;
	WH_TRY(try_open(k, r));
	wh_diag_add(d->ctx->diags, WH_DIAG_WARN, "page-tables-lost", k->pgd_phys,
		    "some of the kernel's page tables are not in the dump: addresses that they map "
		    "cannot be read");
	return NULL;
}

static struct wh_err *open_tables(struct wh_kspace *k, struct wh_reader *r)
{
	const struct wh_dump *d = k->dump;
	struct wh_err *e;

	k->vmcoreinfo = d->vmcoreinfo;
	k->vmcoreinfo_source = info_source(d);
	e = try_open(k, r);
	if (!wh_err_is(e, WH_ERR_NOT_FOUND))
		return e || k->vmcoreinfo ? e : add_vmcoreinfo(k, r);
	wh_err_destroy(e);
	e = open_by_scan(k, r);
	if (!wh_err_is(e, WH_ERR_NOT_FOUND))
		return e;
	wh_err_destroy(e);
	e = open_lenient(k, r);
	if (!wh_err_is(e, WH_ERR_NOT_FOUND))
		return e;
	wh_err_destroy(e);
	return wh_err_bad(
		wh_stream_path(d->streams[0]), UINT64_MAX,
		d->vmcoreinfo && d->pages[WH_MEM_TRUNCATED] && d->split
			? "the kernel's page tables are in a part of the split dump that was not "
			  "given or is cut; give every part, whole (-c for each)"
		: d->vmcoreinfo && d->pages[WH_MEM_TRUNCATED]
			? "the dump is incomplete, and the kernel's page tables are in the part "
			  "that is lost; copy or take it again, whole"
		: d->vmcoreinfo ? "VMCOREINFO leads to no page tables that translate "
				  "themselves (is the memory encrypted?)"
				: "no VMCOREINFO in header, notes or memory, and no QEMU CPU "
				  "note: cannot find the kernel's page tables");
}

/*
 * The dump's frames need not be the kernel's pages: QEMU dumps arm64 in blocks of 64 KiB whatever the
 * kernel uses, and an ELF vmcore without a VMCOREINFO note was opened with frames of 4 KiB.  Then k->dump
 * is a view that counts in the kernel's pages; reading by address does not care.
 */
static enum wh_mem_state view_page_state(const struct wh_dump *v, struct wh_scratch *sc,
					 uint64_t pfn, uint64_t *ret_run)
{
	const struct wh_dump *d = v->priv;
	uint64_t per = d->page_size / v->page_size; /* pages in a block */
	enum wh_mem_state s = d->ops->page_state(d, sc, pfn / per, ret_run);

	*ret_run = *ret_run > UINT64_MAX / per ? UINT64_MAX - pfn : *ret_run * per - pfn % per;
	return s;
}

static void count_states(struct wh_dump *v, struct wh_scratch *sc)
{
	memset(v->pages, 0, sizeof(v->pages));
	for (uint64_t pfn = 0, run; pfn < v->max_pfn; pfn += run) {
		enum wh_mem_state s = v->ops->page_state(v, sc, pfn, &run);

		if (run > v->max_pfn - pfn)
			run = v->max_pfn - pfn;
		v->pages[s] += run;
	}
}

static struct wh_err *fit_page_size(struct wh_kspace *k)
{
	struct wh_kspace_priv *p = k->priv;
	const uint64_t old = k->dump->page_size, ps = 1ull << k->page_shift;
	struct wh_dump *v = &p->view;
	struct wh_scratch *sc = NULL;

	if (old == ps)
		return NULL;
	if (old < ps && !k->dump->ops->borrow)
		return wh_err_bad(wh_stream_path(k->dump->streams[0]), UINT64_MAX,
				  "the dump has blocks of %llu bytes, its kernel pages of %llu",
				  (unsigned long long)old, (unsigned long long)ps);
	*v = *k->dump;
	v->page_size = (uint32_t)ps;
	v->max_pfn = (v->max_pfn * old + ps - 1) / ps;
	if (!v->ops->borrow) {
		p->view_ops = *v->ops;
		p->view_ops.page_state = view_page_state;
		p->view_ops.get_page = NULL;
		v->ops = &p->view_ops;
		v->priv = (void *)(uintptr_t)k->dump;
	}
	WH_TRY(wh_scratch_create(&sc));
	count_states(v, sc);
	wh_scratch_destroy(sc);
	k->dump = v;
	return NULL;
}

struct wh_err *wh_kspace_open(const struct wh_dump *d, struct wh_kspace **ret)
{
	struct wh_kspace *k;
	struct wh_kspace_priv *p;
	struct wh_reader *r = NULL;
	const struct wh_kspace_arch *arch = arch_of(d);
	struct wh_err *e;

	if (d->cls != WH_DUMP_PHYSICAL)
		return wh_err_new(WH_ERR_USAGE, "%s is not the dump of a machine",
				  wh_stream_path(d->streams[0]));
	if (!arch)
		return wh_err_new(
			WH_ERR_UNSUPPORTED,
			"%s: kernel dumps of %s are not supported (x86_64 and aarch64 are)",
			wh_stream_path(d->streams[0]), d->arch ? d->arch->name : "this machine");
	k = wh_calloc(1, sizeof(*k));
	p = wh_calloc(1, sizeof(*p));
	if (!k || !p) {
		free(k);
		free(p);
		return &wh_err_nomem;
	}
	k->dump = d;
	k->priv = p;
	p->arch = arch;
	e = wh_mem_create(d, &k->mem);
	if (!e)
		e = wh_reader_create(k->mem, &r);
	if (!e)
		e = open_tables(k, r);
	if (!e)
		e = fit_page_size(k);
	if (!e) {
		wh_mem_set_translator(k->mem, kspace_translate, k);
		find_vmemmap(k, r);
	}
	wh_reader_destroy(r);
	if (e) {
		wh_kspace_close(k);
		return e;
	}
	*ret = k;
	return NULL;
}

void wh_kspace_close(struct wh_kspace *k)
{
	struct wh_kspace_priv *p;

	if (!k)
		return;
	p = k->priv;
	wh_vmcoreinfo_destroy(p->found);
	wh_mem_destroy(k->mem);
	free(p);
	free(k);
}

struct wh_err *wh_kspace_each_mapping(const struct wh_kspace *k, struct wh_reader *r,
				      uint64_t start, uint64_t end, wh_kspace_map_fn fn, void *arg)
{
	const struct wh_kspace_priv *p = k->priv;

	if (start >= end || !p->pt_ok)
		return NULL;
	return wh_pgtable_each(&p->pt, r, start, end, fn, arg);
}
