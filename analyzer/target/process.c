/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mappings of a process core, with what each of them is.
 *
 *	PT_LOAD     [7f01..000 7f01..000) rw-  ─┐
 *	NT_FILE     which file lies there       ├─►  map: file, offset, module, bss, guard below
 *	wh_unames   which module, bss          ─┘
 *
 * Invariants after wh_process_open: maps are sorted, disjoint and not empty; a module's maps carry its
 * index (the same as in wh_unames); claims are added by the heap models and sorted once.
 */
#include "analyzer/target/process.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/limits.h"
#include "analyzer/base/order.h"

#define NO_MODULE UINT32_MAX
#define PAGE	  4096u

static int by_start(const void *a, const void *b)
{
	const struct wh_map_area *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* ---- maps ---- */

static struct wh_err *add_segments(struct wh_process *p)
{
	const struct wh_dump *d = p->t->dump;

	for (size_t i = 0; i < d->n_segs; i++) {
		const struct wh_segment *s = &d->segs[i];
		struct wh_map_area m = {.start = s->vaddr, .module = NO_MODULE};
		uint64_t mem = s->memsz > s->filesz ? s->memsz : s->filesz;

		if (!mem || __builtin_add_overflow(s->vaddr, mem, &m.end))
			continue;
		m.present_end = s->vaddr + s->filesz;
		m.cut = s->filesz_claimed > s->filesz;
		if (m.cut) {
			p->truncated = true;
			p->cut_bytes += s->filesz_claimed - s->filesz;
		}
		m.flags = (s->flags & PF_R ? WH_MAP_R : 0u) | (s->flags & PF_W ? WH_MAP_W : 0u) |
			  (s->flags & PF_X ? WH_MAP_X : 0u);
		WH_TRY(WH_VEC_PUSH(&p->maps, m));
	}
	return NULL;
}

/* Sorts; where two overlap, the later one loses the part that the earlier one has. */
static void settle_maps(struct wh_process *p)
{
	size_t n = 0;
	uint64_t end = 0;

	if (p->maps.n)
		wh_sort(p->maps.v, p->maps.n, sizeof(*p->maps.v), by_start);
	for (size_t i = 0; i < p->maps.n; i++) {
		struct wh_map_area m = p->maps.v[i];

		if (m.start < end) {
			wh_diag_add(p->ctx->diags, WH_DIAG_WARN, "segment-overlap", m.start,
				    "two segments of the core overlap; the first one is believed");
			m.start = end;
		}
		if (m.start >= m.end)
			continue;
		if (m.present_end < m.start)
			m.present_end = m.start;
		end = m.end;
		p->maps.v[n++] = m;
	}
	p->maps.n = n;
}

/* The first map that ends after @addr; one past the last when there is none. */
static struct wh_map_area *find_map_from(const struct wh_process *p, uint64_t addr)
{
	return p->maps.v + WH_BOUND(i, p->maps.n, p->maps.v[i].end <= addr);
}

static struct wh_map_area *find_map(const struct wh_process *p, uint64_t addr)
{
	struct wh_map_area *m = find_map_from(p, addr);

	return m < p->maps.v + p->maps.n && m->start <= addr ? m : NULL;
}

/*
 * illumos joins the heap to the bss in front of it when both are anonymous memory: the end of the bss, pr_brkbase of
 * pstatus_t (at 48), divides them.
 */
static struct wh_err *split_at_brk(struct wh_process *p)
{
	const struct wh_note *n = wh_dump_find_note(p->t->dump, "CORE", NT_PSTATUS, NULL);
	struct wh_map_area *m, upper;
	uint64_t at;

	if (!n || n->desc_len < 48u + p->abi.word)
		return NULL;
	at = (wh_get_word(p->abi, n->desc + 48) + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	m = find_map(p, at);
	if (!m || m->start >= at)
		return NULL;
	upper = *m;
	upper.start = at;
	upper.present_end = m->present_end > at ? m->present_end : at;
	m->end = at;
	m->present_end = m->present_end < at ? m->present_end : at;
	WH_TRY(WH_VEC_PUSH(&p->maps, upper));
	wh_sort(p->maps.v, p->maps.n, sizeof(*p->maps.v), by_start);
	return NULL;
}

static void note_guards(struct wh_process *p)
{
	for (size_t i = 0; i < p->maps.n; i++) {
		struct wh_map_area *m = &p->maps.v[i];
		const struct wh_map_area *below = i ? m - 1 : NULL;

		if (!below || below->end != m->start || !(below->flags & WH_MAP_W))
			m->flags |= WH_MAP_GUARD;
	}
}

const struct wh_map_area *wh_process_find_map(const struct wh_process *p, uint64_t addr)
{
	return find_map(p, addr);
}

bool wh_process_is_data(const struct wh_process *p, uint64_t addr, uint64_t len)
{
	const struct wh_map_area *m = find_map(p, addr);

	return m && (m->flags & WH_MAP_W) && addr < m->present_end && len <= m->present_end - addr;
}

/* ---- NT_FILE ---- */

/*
 * Linux fs/binfmt_elf.c fill_files_note(): long count, long page_size, count times {long start, end,
 * file_ofs (in pages)}, then count NUL-terminated names.
 */
static struct wh_err *read_file_note(struct wh_process *p, const struct wh_note *n)
{
	const uint8_t *d = n->desc;
	size_t w = p->abi.word, len = n->desc_len, name_at;
	uint64_t count, unit;

	if (len < 2 * w)
		return NULL;
	count = wh_get_word(p->abi, d);
	unit = wh_get_word(p->abi, d + w);
	if (count > (len - 2 * w) / (3 * w))
		return NULL;
	name_at = 2 * w + (size_t)count * 3 * w;
	for (uint64_t i = 0; i < count; i++) {
		const uint8_t *e = d + 2 * w + i * 3 * w;
		uint64_t start = wh_get_word(p->abi, e), end = wh_get_word(p->abi, e + w);
		size_t max = len - name_at, n_name = strnlen((const char *)d + name_at, max);
		char *name;

		if (n_name == max)
			break;
		name = wh_arena_strndup(&p->strings, (const char *)d + name_at, n_name);
		if (!name)
			return &wh_err_nomem;
		name_at += n_name + 1;
		for (struct wh_map_area *m = find_map(p, start);
		     m && m < p->maps.v + p->maps.n && m->start < end; m++) {
			m->file = name;
			m->file_off = wh_get_word(p->abi, e + 2 * w) * unit + (m->start - start);
		}
	}
	p->have_files = count > 0;
	return NULL;
}

/* ---- modules ---- */

static void mark_range(struct wh_process *p, const struct wh_umodule_range *r, uint32_t module)
{
	for (struct wh_map_area *m = find_map_from(p, r->start);
	     m < p->maps.v + p->maps.n && m->start < r->end; m++) {
		m->module = module;
		m->flags |= WH_MAP_ELF | (r->bss ? WH_MAP_BSS : 0u);
	}
}

static struct wh_err *take_modules(struct wh_process *p)
{
	for (size_t i = 0; i < p->names->n_modules; i++) {
		const struct wh_umodule *u = &p->names->modules[i];
		struct wh_process_module m = {u->path, u->name, u->base, u->end, 0};

		for (size_t k = 0; k < u->n_ranges; k++)
			mark_range(p, &u->ranges[k], (uint32_t)i);
		WH_TRY(WH_VEC_PUSH(&p->modules, m));
	}
	return NULL;
}

/* ---- claims ---- */

struct wh_err *wh_process_claim(struct wh_process *p, uint64_t start, uint64_t end,
				enum wh_claim_kind kind)
{
	if (start >= end)
		return NULL;
	return WH_VEC_PUSH(&p->claims, (struct wh_claim){start, end, kind});
}

static int by_claim(const void *a, const void *b)
{
	const struct wh_claim *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

void wh_process_sort_claims(struct wh_process *p)
{
	size_t n = 0;

	if (p->claims.n)
		wh_sort(p->claims.v, p->claims.n, sizeof(*p->claims.v), by_claim);
	for (size_t i = 0; i < p->claims.n; i++) {
		struct wh_claim c = p->claims.v[i];

		if (n && c.start < p->claims.v[n - 1].end)
			c.start = p->claims.v[n - 1].end;
		if (c.start >= c.end)
			continue;
		if (n && c.kind == p->claims.v[n - 1].kind && c.start == p->claims.v[n - 1].end)
			p->claims.v[n - 1].end = c.end;
		else
			p->claims.v[n++] = c;
	}
	p->claims.n = n;
}

/* Index of the first claim that ends after @addr. */
static size_t claim_after(const struct wh_process *p, uint64_t addr)
{
	return WH_BOUND(i, p->claims.n, p->claims.v[i].end <= addr);
}

const struct wh_claim *wh_process_find_claim(const struct wh_process *p, uint64_t addr)
{
	size_t i = claim_after(p, addr);

	return i < p->claims.n && p->claims.v[i].start <= addr ? &p->claims.v[i] : NULL;
}

struct wh_err *wh_process_each_free(struct wh_process *p, wh_piece_fn fn, void *arg)
{
	for (size_t i = 0; i < p->maps.n; i++) {
		const struct wh_map_area *m = &p->maps.v[i];
		uint64_t at = m->start;

		if (!(m->flags & WH_MAP_W))
			continue;
		for (size_t c = claim_after(p, at); at < m->end; c++) {
			bool more = c < p->claims.n && p->claims.v[c].start < m->end;
			uint64_t stop = more ? p->claims.v[c].start : m->end;

			if (at < stop)
				WH_TRY(fn(arg, m, at, stop));
			if (!more)
				break;
			at = p->claims.v[c].end > at ? p->claims.v[c].end : at;
		}
	}
	return NULL;
}

/* ---- opening ---- */

/*
 * Who it was.  Linux struct elf_prpsinfo ends with pr_fname[16] pr_psargs[80]; illumos psinfo_t has pr_pid at
 * 8 and pr_fname[16] at 136 (LP64) or 88 (ILP32).
 */
static struct wh_err *identify(struct wh_process *p)
{
	const struct wh_note *n = wh_dump_find_note(p->t->dump, "CORE", NT_PSINFO, NULL);
	size_t at = p->abi.word == 8 ? 136 : 88;

	p->command = "";
	if (p->threads.n) {
		p->pid = p->threads.v[0].tid;
		p->signal = p->threads.v[0].signal;
	}
	if (n && n->desc_len >= at + 16) {
		p->pid = wh_get_u32(p->abi, n->desc + 8);
	} else {
		n = wh_dump_find_note(p->t->dump, "CORE", NT_PRPSINFO, NULL);
		if (!n || n->desc_len < 16 + 80)
			return NULL;
		at = n->desc_len - (16 + 80);
	}
	p->command = wh_arena_strndup(&p->strings, (const char *)n->desc + at,
				      strnlen((const char *)n->desc + at, 16));
	return p->command ? NULL : &wh_err_nomem;
}

struct wh_err *wh_process_open(struct wh_target *t, struct wh_reader *r,
			       const struct wh_unames *names, struct wh_process **ret)
{
	struct wh_process *p = wh_calloc(1, sizeof(*p));
	const struct wh_note *files;
	struct wh_err *e;

	if (!p)
		return &wh_err_nomem;
	p->t = t;
	p->ctx = t->ctx;
	p->r = r;
	p->names = names;
	p->arch = t->dump->arch;
	p->abi = t->dump->abi;
	e = add_segments(p);
	settle_maps(p);
	if (!e)
		e = split_at_brk(p);
	note_guards(p);
	files = wh_dump_find_note(t->dump, "CORE", NT_FILE, NULL);
	if (!e && files)
		e = read_file_note(p, files);
	if (!e)
		e = take_modules(p);
	if (!e)
		e = wh_process_find_stacks(p);
	if (!e)
		e = identify(p);
	if (e) {
		wh_process_close(p);
		return e;
	}
	*ret = p;
	return NULL;
}

void wh_process_close(struct wh_process *p)
{
	if (!p)
		return;
	WH_VEC_FINI(&p->maps);
	WH_VEC_FINI(&p->modules);
	WH_VEC_FINI(&p->threads);
	WH_VEC_FINI(&p->claims);
	WH_VEC_FINI(&p->dead_tcbs);
	wh_arena_fini(&p->strings);
	free(p);
}
