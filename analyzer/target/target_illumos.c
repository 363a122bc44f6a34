/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An illumos kernel.  The container does not matter: a crash dump translates (kas, va), an ELF core has
 * segments; after that everything is read by virtual address.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/target/illumos.h"
#include "analyzer/target/targets.h"
#include "dwarf/type_profile.h"

static struct wh_illumos_target *priv_of(struct wh_target *t)
{
	return t->priv;
}

struct wh_illumos_target *wh_target_get_illumos(struct wh_target *t)
{
	return t->ops == &wh_target_illumos_ops ? t->priv : NULL;
}

/* ---- opening ---- */

static enum wh_mem_state translate_kas(const void *arg, struct wh_reader *r, uint64_t va,
				       uint64_t *ret_pa, uint64_t *ret_run)
{
	const struct wh_illumos_target *il = arg;
	const struct wh_dump *d = il->t->dump;
	uint64_t off = va & (il->page_size - 1), pfn;

	(void)r;
	*ret_run = il->page_size - off;
	if (!d->ops->virt_to_pfn(d, il->kas, va, &pfn))
		return d->incomplete ? WH_MEM_TRUNCATED : WH_MEM_EXCLUDED;
	*ret_pa = pfn * il->page_size + off;
	return WH_MEM_PRESENT;
}

/* ELF cores of machines carry virtual addresses beside the physical ones. */
static enum wh_mem_state translate_segments(const void *arg, struct wh_reader *r, uint64_t va,
					    uint64_t *ret_pa, uint64_t *ret_run)
{
	const struct wh_illumos_target *il = arg;
	const struct wh_dump *d = il->t->dump;
	size_t lo = 0, hi = d->n_segs;

	(void)r;
	*ret_run = 1;
	for (; lo < hi; lo++) {
		const struct wh_segment *s = &d->segs[lo];

		if (va - s->vaddr >= s->memsz)
			continue;
		*ret_pa = s->paddr + (va - s->vaddr);
		*ret_run = s->memsz - (va - s->vaddr);
		return WH_MEM_PRESENT;
	}
	return WH_MEM_UNMAPPED;
}

static struct wh_err *mem_open(struct wh_illumos_target *il)
{
	struct wh_target *t = il->t;

	WH_TRY(wh_mem_create(t->dump, &il->mem));
	if (t->dump->cls == WH_DUMP_ILLUMOS)
		wh_mem_set_translator(il->mem, translate_kas, il);
	else if (t->dump->cls == WH_DUMP_PHYSICAL)
		wh_mem_set_translator(il->mem, translate_segments, il);
	t->mem = il->mem;
	return wh_reader_create(il->mem, &t->reader);
}

/* Which edition of the flow trace: the size of its objects tells when CTF does not. */
static struct wh_err *streams_profile(struct wh_illumos_target *il)
{
	struct wh_abi abi = il->kmem.abi;
	struct wh_kmem_cache *c = wh_kmem_find_cache_name(&il->kmem, "streams_fthdr");
	uint64_t old_size = abi.word == 8 ? 264 : 168;
	bool old = c && c->bufsize == old_size;
	struct wh_profile *p;

	WH_TRY(wh_profile_create(abi, abi.big_endian || abi.word == 8 ? 8 : 4,
				 old ? wh_profile_streams_old : wh_profile_streams, &p));
	wh_profile_hide(p, il->types);
	return wh_types_add(il->types, &wh_profile_provider, p, "profile");
}

static void dump_time(struct wh_illumos_target *il)
{
	uint64_t addr, hr = 0, panicstr = 1;
	const struct wh_illumos_header *h = wh_illumos_header(il->t->dump);

	if (wh_illumos_find_symbol(il, "panic_hrtime", &addr) && wh_read_u64(il->r, addr, &hr))
		il->t->dump_time_ns = hr;
	wh_kmem_var_word(&il->kmem, "panicstr", &panicstr);
	il->live = (h && (h->flags & WH_ILLUMOS_LIVE)) || !panicstr;
	if (il->live)
		wh_diag_add(il->t->ctx->diags, WH_DIAG_WARN, "live-dump", 0,
			    "the dump was taken of a running system: its memory is not of one "
			    "moment; findings may be false");
}

static struct wh_err *open_rest(struct wh_illumos_target *il)
{
	struct wh_target *t = il->t;

	il->r = t->reader;
	il->kmem = (struct wh_kmem){.ctx = t->ctx,
				    .r = t->reader,
				    .flavour = &wh_kmem_kernel,
				    .symbol = wh_illumos_find_symbol,
				    .symbol_arg = il,
				    .abi = t->dump->abi,
				    .page_size = il->page_size};
	WH_TRY(wh_illumos_names_open(il));
	il->kmem.types = il->types;
	WH_TRY(wh_kmem_open(&il->kmem));
	WH_TRY(streams_profile(il));
	il->streams.r = t->reader;
	il->streams.abi = t->dump->abi;
	WH_TRY(wh_streams_open(&il->streams, il->types));
	dump_time(il);
	return wh_illumos_read_threads(il);
}

static void illumos_close(struct wh_target *t)
{
	struct wh_illumos_target *il = priv_of(t);

	if (!il)
		return;
	wh_kmem_fini(&il->kmem);
	wh_types_destroy(il->types);
	wh_symtab_destroy(il->syms);
	wh_mem_destroy(il->mem);
	WH_VEC_FINI(&il->segments);
	WH_VEC_FINI(&il->objects);
	WH_VEC_FINI(&il->modules);
	WH_VEC_FINI(&il->threads);
	free(il);
	t->priv = NULL;
}

static struct wh_err *no_symbols(struct wh_illumos_target *il)
{
	const struct wh_illumos *file = il->t->dump->priv;
	const struct wh_illumos_header *h = &file->hdr;

	return wh_err_new(
		WH_ERR_BAD_DATA,
		"%s: symbol image at offset %llu (%llu bytes): expected an ELF file that names "
		"kmem_caches, found %zu symbols: give unix.N of this dump with -s",
		wh_stream_path(file->st), (unsigned long long)h->ksyms,
		(unsigned long long)h->ksyms_size, wh_symtab_count(il->syms));
}

static struct wh_err *open_all(struct wh_target *t, struct wh_illumos_target *il)
{
	uint64_t addr;

	il->page_size = t->dump->page_size ? t->dump->page_size : 4096;
	/* Symbols decide: only this kernel has that list. */
	if (t->dump->cls != WH_DUMP_ILLUMOS && !t->opts->n_symbol_files)
		return &wh_err_not_mine;
	WH_TRY(wh_illumos_symbols_open(il));
	if (!wh_illumos_find_symbol(il, "kmem_caches", &addr) &&
	    !wh_illumos_find_symbol(il, "kmem_null_cache", &addr)) {
		if (t->dump->cls != WH_DUMP_ILLUMOS)
			return &wh_err_not_mine;
		return no_symbols(il);
	}
	if (!wh_illumos_find_symbol(il, "kas", &il->kas) && t->dump->cls == WH_DUMP_ILLUMOS)
		return wh_err_new(WH_ERR_BAD_DATA, "no symbol kas: kernel addresses cannot be "
						   "translated");
	WH_TRY(mem_open(il));
	return open_rest(il);
}

static struct wh_err *illumos_open(struct wh_target *t)
{
	struct wh_illumos_target *il = calloc(1, sizeof(*il));
	struct wh_err *e;

	if (!il)
		return &wh_err_nomem;
	t->priv = il;
	il->t = t;
	e = open_all(t, il);
	if (wh_err_is(e, WH_ERR_NOT_MINE))
		illumos_close(t);
	return e;
}

/* ---- the table of buffers ---- */

bool wh_illumos_interesting(const struct wh_kmem_cache *c)
{
	static const char *const arenas[] = {"kmem_default", "kmem_firewall", "static"};
	static const char *const not [] = {"sfmmu1_cache", "sf_hment_cache", "pa_hment_cache"};

	if (c->lying)
		return false;
	for (size_t i = 0; i < sizeof(not ) / sizeof(*not ); i++)
		if (!strcmp(c->name, not [i]))
			return false;
	for (size_t i = 0; i < sizeof(arenas) / sizeof(*arenas); i++)
		if (!strcmp(c->arena_name, arenas[i]))
			return true;
	return false;
}

bool wh_illumos_constructed(const struct wh_kmem_cache *c)
{
	return c->constructor && (!(c->flags & WH_KMF_DEADBEEF) || (c->flags & WH_KMF_LITE));
}

struct page_run {
	uint64_t start, end;
};
struct builder {
	struct wh_illumos_target *il;
	WH_VEC(struct page_run) runs;
	uint64_t rows;
	uint16_t cls;
};

/* Remembers the pages of a row, joined while rows come in address order. */
static struct wh_err *run_add(struct builder *b, uint64_t addr, uint64_t size)
{
	uint64_t mask = b->il->page_size - 1, start = addr & ~mask,
		 end = (addr + size + mask) & ~mask;
	struct page_run *last = b->runs.n ? &b->runs.v[b->runs.n - 1] : NULL;

	if (end < start)
		return NULL;
	if (last && start >= last->start && start <= last->end) {
		last->end = end > last->end ? end : last->end;
		return NULL;
	}
	return WH_VEC_PUSH(&b->runs, (struct page_run){start, end});
}

static struct wh_err *row_add(struct builder *b, uint64_t addr, uint64_t size,
			      enum wh_buf_state state)
{
	if (!size || addr + size < addr)
		return NULL;
	WH_TRY(run_add(b, addr, size));
	b->rows++;
	return wh_buftab_add(b->il->t->buftab, b->cls, addr, size, state);
}

static struct wh_err *cache_rows(struct builder *b, struct wh_kmem_cache *c)
{
	struct wh_class cls = {.name = c->name,
			       .model = "kmem",
			       .id = c->addr,
			       .obj_size = c->bufsize,
			       .slot_size = c->chunksize,
			       .flags = strncmp(c->name, "kmem_alloc_", 11) ? WH_CLASS_TYPED : 0};

	WH_TRY(wh_kmem_walk(&b->il->kmem, c));
	if (!c->bufs.n && !c->unsure.n)
		return NULL;
	WH_TRY(wh_buftab_add_class(b->il->t->buftab, &cls, &b->cls));
	for (size_t i = 0; i < c->bufs.n; i++)
		WH_TRY(row_add(b, c->bufs.v[i].addr, c->bufsize, WH_BUF_ALLOCATED));
	for (size_t i = 0; i < c->unsure.n; i++)
		WH_TRY(row_add(b, c->unsure.v[i], c->bufsize, WH_BUF_UNSURE));
	if (c->flags & WH_KMF_AUDIT)
		b->il->t->recorded = true;
	return NULL;
}

static struct wh_err *arena_seg(void *arg, const struct wh_vmem_seg *s)
{
	struct builder *b = arg;

	if (s->type != WH_VMEM_ALLOC || s->end <= s->start)
		return NULL;
	WH_TRY(WH_VEC_PUSH(&b->il->kmem.seg_rows, (struct wh_kmem_seg_row){s->start, s->addr}));
	if (s->depth)
		b->il->t->recorded = true;
	return row_add(b, s->start, s->end - s->start, WH_BUF_ALLOCATED);
}

static struct wh_err *arena_rows(struct builder *b, const char *name)
{
	struct wh_vmem *v = wh_kmem_find_arena(&b->il->kmem, name);
	struct wh_class cls;

	if (!v)
		return NULL;
	cls = (struct wh_class){.name = v->name, .model = "vmem", .id = v->addr};
	WH_TRY(wh_buftab_add_class(b->il->t->buftab, &cls, &b->cls));
	return wh_vmem_each_seg(&b->il->kmem, v, arena_seg, b);
}

static int run_cmp(const void *pa, const void *pb)
{
	const struct page_run *a = pa, *b = pb;

	return a->start < b->start ? -1 : a->start > b->start;
}

static struct wh_err *plan_nodes(struct builder *b)
{
	uint64_t done = 0;

	if (b->runs.n)
		qsort(b->runs.v, b->runs.n, sizeof(*b->runs.v), run_cmp);
	for (size_t i = 0; i < b->runs.n; i++) {
		uint64_t start = b->runs.v[i].start < done ? done : b->runs.v[i].start;

		if (b->runs.v[i].end <= start)
			continue;
		WH_TRY(wh_plan_add_node(&b->il->t->plan, WH_VIRT, start, start,
					b->runs.v[i].end - start));
		done = b->runs.v[i].end;
	}
	return NULL;
}

static struct wh_err *build_with(struct builder *b)
{
	struct wh_illumos_target *il = b->il;

	WH_TRY(arena_rows(b, "kmem_oversize"));
	WH_TRY(arena_rows(b, "static_alloc"));
	wh_kmem_sort_seg_rows(&il->kmem);
	for (size_t i = 0; i < il->kmem.caches.n; i++) {
		if (wh_illumos_interesting(&il->kmem.caches.v[i]))
			WH_TRY(cache_rows(b, &il->kmem.caches.v[i]));
		wh_ctx_progress(il->t->ctx, "walk", i, il->kmem.caches.n);
	}
	/* What was not read may hold anything. */
	if (il->kmem.spent)
		WH_TRY(wh_plan_add_missing(&il->t->plan, WH_CLASS_ANY, 0, il->page_size,
					   WH_MEM_CORRUPT));
	return plan_nodes(b);
}

/* The same for an ELF core: the segment that should hold it, or the program headers that name none. */
static void why_no_segment(const struct wh_dump *d, uint64_t va, char *buf, size_t cap)
{
	const char *path = wh_stream_path(d->streams[0]);
	uint64_t phoff = 0;
	uint8_t h[64];

	for (size_t i = 0; i < d->n_segs; i++) {
		const struct wh_segment *s = &d->segs[i];
		uint64_t off = va - s->vaddr;

		if (off >= s->memsz)
			continue;
		if (off < s->filesz)
			snprintf(
				buf, cap,
				"%s: offset %llu: what %#llx leads to is something else (damaged, or the "
				"symbols are another dump's: give its own unix.N with -s)",
				path, (unsigned long long)(s->offset + off),
				(unsigned long long)va);
		else
			snprintf(buf, cap,
				 "%s: offset %llu: expected the memory of %#llx there, %s", path,
				 (unsigned long long)(s->offset + off), (unsigned long long)va,
				 off < s->filesz_claimed ? "the file is cut"
							 : "the segment has no bytes for it");
		return;
	}
	if (wh_stream_read(d->streams[0], 0, h, sizeof(h)) == sizeof(h))
		phoff = wh_get_word(d->abi, h + (d->abi.word == 8 ? 32 : 28));
	snprintf(
		buf, cap,
		"%s: offset %llu: expected a program header for %#llx, none of %zu covers it: dump "
		"the whole kernel, and give its own unix.N with -s",
		path, (unsigned long long)phoff, (unsigned long long)va, d->n_segs);
}

/* Why @va cannot be read: file, offset and what was expected there. */
static void why_not(struct wh_illumos_target *il, uint64_t va, char *buf, size_t cap)
{
	if (il->t->dump->cls == WH_DUMP_ILLUMOS)
		wh_illumos_why(il->t->dump, il->kas, va, buf, cap);
	else
		why_no_segment(il->t->dump, va, buf, cap);
}

/* Without a single cache there is nothing to judge; "no leaks" would be a lie. */
static struct wh_err *no_caches(struct wh_illumos_target *il)
{
	const char *var = "kmem_caches";
	uint64_t list, first = 0;
	char why[512];

	if (!wh_illumos_find_symbol(il, var, &list)) {
		var = "kmem_null_cache";
		if (!wh_illumos_find_symbol(il, var, &list))
			list = 0;
	}
	if (!wh_kmem_list_head(&il->kmem, &first)) {
		why_not(il, list, why, sizeof(why));
		return wh_err_new(
			WH_ERR_BAD_DATA,
			"no buffer can be found, %s at %#llx, the list of caches, cannot be "
			"read: %s",
			var, (unsigned long long)list, why);
	}
	why_not(il, first, why, sizeof(why));
	return wh_err_new(
		WH_ERR_BAD_DATA,
		"no buffer can be found, %s at %#llx leads to no cache: the first should be "
		"at %#llx%s: %s",
		var, (unsigned long long)list, (unsigned long long)first,
		il->ctf_count ? "" : " by the built-in layout (the dump has no CTF)", why);
}

/* The caches are there, but nothing of what they hold: the first structure that is missing says why. */
static struct wh_err *no_buffers(struct wh_illumos_target *il)
{
	const struct wh_kmem_cache *c = &il->kmem.caches.v[0];
	char why[512];

	for (size_t i = 0; i < il->kmem.caches.n; i++)
		if (wh_illumos_interesting(&il->kmem.caches.v[i]) &&
		    il->kmem.caches.v[i].hash_table)
			c = &il->kmem.caches.v[i];
	why_not(il, c->hash_table ? c->hash_table : c->addr, why, sizeof(why));
	return wh_err_new(
		WH_ERR_BAD_DATA,
		"no buffers found: the list names %zu caches, from %#llx on, but nothing can "
		"be read of what they hold, such as the hash table of %s: %s",
		il->kmem.caches.n, (unsigned long long)il->kmem.caches.v[0].addr, c->name, why);
}

struct wh_err *wh_illumos_build_table(struct wh_target *t)
{
	struct builder b = {.il = priv_of(t)};
	struct wh_err *e;

	if (!b.il->kmem.caches.n)
		return no_caches(b.il);
	e = build_with(&b);
	WH_VEC_FINI(&b.runs);
	if (e)
		return e;
	if (!b.rows)
		return no_buffers(b.il);
	if (!t->recorded)
		t->record_advice = "set kmem_flags=0xf in /etc/system (or boot a DEBUG kernel) to "
				   "record who allocates";
	return wh_illumos_plan_roots(b.il);
}

struct wh_kmem_cache *wh_illumos_row_cache(struct wh_illumos_target *il, uint32_t row)
{
	const struct wh_buftab *tab = il->t->buftab;
	const struct wh_class *c = wh_buftab_class(tab, wh_buftab_class_of(tab, row));

	return strcmp(c->model, "kmem") ? NULL : wh_kmem_find_cache(&il->kmem, c->id);
}

uint64_t wh_illumos_row_ctl(struct wh_illumos_target *il, uint32_t row)
{
	const struct wh_buftab *tab = il->t->buftab;

	return wh_kmem_row_ctl(&il->kmem, wh_buftab_class(tab, wh_buftab_class_of(tab, row))->id,
			       wh_buftab_addr(tab, row));
}

static bool illumos_find_symbol(struct wh_target *t, const char *name, uint64_t *ret)
{
	const char *quote = strrchr(name, '`');

	return wh_illumos_find_symbol(t->priv, quote ? quote + 1 : name, ret);
}

const struct wh_target_ops wh_target_illumos_ops = {
	.name = "illumos",
	.open = illumos_open,
	.build = wh_illumos_build_table,
	.origin = wh_illumos_origin,
	.whatis = wh_illumos_whatis,
	.trail = wh_illumos_trail,
	.caches = wh_illumos_caches,
	.info = wh_illumos_info,
	.symbolize = wh_illumos_symbolize,
	.find_symbol = illumos_find_symbol,
	.close = illumos_close,
};
