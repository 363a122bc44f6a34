/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address spaces and the readers on them.
 *
 *	borrow(VIRT, va)            process core          machine
 *	      |                          |                   |
 *	      |                     bytes by VIRT       translate (TLB, translator)
 *	      |                          |                   |
 *	      +--- files laid over <-----+                PHYS: bytes (ELF) or decoded pages
 *
 * Decoded pages live in one of two places of the reader: reads of a whole page or more go through one
 * bulk page, so that a scan in address order does not throw the cache out and writes into memory that
 * is still in L1/L2; smaller reads go through a 4-way cache, in which page tables and struct pages stay.
 * Pages that are stored plainly are never copied: they are borrowed from the scratch's window.
 *
 * `recent` remembers the last small borrow; the wh_read_uXX fast path is one compare and one load.
 * Whatever it points at must still be valid: every new borrow resets it first.
 */
#include "formats/mem.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/base/order.h"
#include "analyzer/base/vec.h"
#include "formats/scratch.h"

#define CACHE_BYTES ((size_t)512 << 10) /* of decoded pages kept for small reads */
#define CACHE_WAYS  4
#define TLB_SIZE    512
#define DEPTH_MAX   4 /* a translator's own reads may not need translation without end */

struct overlay {
	uint64_t va, len, off;
	struct wh_stream *st; /* owned */
};

struct wh_mem {
	const struct wh_dump *dump;
	wh_translate_fn translate;
	const void *translate_arg;
	WH_VEC(struct overlay) files; /* sorted by va */
};

struct slot {
	uint64_t pfn;
	uint64_t used;
	bool valid;
	uint8_t *buf;
};

struct tlb_entry {
	uint64_t page; /* va >> 12, plus one so that 0 is empty */
	uint64_t pa;
	uint64_t run;
};

struct recent {
	enum wh_space space;
	uint64_t addr;
	uint64_t len; /* 0: nothing */
	const uint8_t *p;
};

struct wh_reader {
	const struct wh_mem *mem;
	struct wh_scratch *sc, *file_sc; /* the second for overlays, created when needed */
	struct slot *slots;
	size_t n_sets;
	struct slot bulk;
	uint64_t clock;
	struct recent recent;
	struct tlb_entry *tlb;
	unsigned int depth;
	bool small; /* the read under way goes through the cache */
};

struct wh_err *wh_mem_create(const struct wh_dump *d, struct wh_mem **ret)
{
	struct wh_mem *m = wh_calloc(1, sizeof(*m));

	if (!m)
		return &wh_err_nomem;
	m->dump = d;
	*ret = m;
	return NULL;
}

void wh_mem_destroy(struct wh_mem *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->files.n; i++)
		wh_stream_close(m->files.v[i].st);
	WH_VEC_FINI(&m->files);
	free(m);
}

const struct wh_dump *wh_mem_dump(const struct wh_mem *m)
{
	return m->dump;
}

void wh_mem_set_translator(struct wh_mem *m, wh_translate_fn fn, const void *arg)
{
	m->translate = fn;
	m->translate_arg = arg;
}

static int cmp_overlay(const void *a, const void *b)
{
	const struct overlay *x = a, *y = b;

	return x->va < y->va ? -1 : x->va > y->va;
}

struct wh_err *wh_mem_add_file(struct wh_mem *m, uint64_t va, uint64_t len, struct wh_stream *s,
			       uint64_t off)
{
	uint64_t size = wh_stream_size(s);
	struct wh_err *e;

	if (off >= size || va + len < va) {
		wh_stream_close(s);
		return NULL;
	}
	if (len > size - off)
		len = size - off;
	e = WH_VEC_PUSH(&m->files, (struct overlay){va, len, off, s});
	if (e) {
		wh_stream_close(s);
		return e;
	}
	wh_sort(m->files.v, m->files.n, sizeof(*m->files.v), cmp_overlay);
	return NULL;
}

static struct wh_err *reader_alloc(struct wh_reader *r)
{
	const struct wh_dump *d = r->mem->dump;
	size_t n;

	WH_TRY(wh_scratch_create(&r->sc));
	r->tlb = wh_calloc(TLB_SIZE, sizeof(*r->tlb));
	if (!r->tlb)
		return &wh_err_nomem;
	if (d->ops->borrow)
		return NULL;
	n = CACHE_BYTES / d->page_size;
	r->n_sets = n > CACHE_WAYS ? n / CACHE_WAYS : 1;
	r->slots = wh_calloc(r->n_sets * CACHE_WAYS, sizeof(*r->slots));
	r->bulk.buf = malloc(d->page_size);
	return r->slots && r->bulk.buf ? NULL : &wh_err_nomem;
}

struct wh_err *wh_reader_create(const struct wh_mem *m, struct wh_reader **ret)
{
	struct wh_reader *r = wh_calloc(1, sizeof(*r));
	struct wh_err *e;

	if (!r)
		return &wh_err_nomem;
	r->mem = m;
	e = reader_alloc(r);
	if (e) {
		wh_reader_destroy(r);
		return e;
	}
	*ret = r;
	return NULL;
}

void wh_reader_destroy(struct wh_reader *r)
{
	if (!r)
		return;
	for (size_t i = 0; r->slots && i < r->n_sets * CACHE_WAYS; i++)
		free(r->slots[i].buf);
	free(r->slots);
	free(r->bulk.buf);
	free(r->tlb);
	wh_scratch_destroy(r->sc);
	wh_scratch_destroy(r->file_sc);
	free(r);
}

const struct wh_mem *wh_reader_mem(const struct wh_reader *r)
{
	return r->mem;
}

/* The slot that has @pfn, or the one to put it into. */
static struct slot *choose_slot(struct wh_reader *r, uint64_t pfn)
{
	struct slot *set = &r->slots[(pfn ^ pfn >> 9) % r->n_sets * CACHE_WAYS], *victim = set;

	for (size_t i = 0; i < CACHE_WAYS; i++) {
		if (set[i].valid && set[i].pfn == pfn)
			return &set[i];
		if (!set[i].valid || (victim->valid && set[i].used < victim->used))
			victim = &set[i];
	}
	return victim;
}

/* A whole decoded page, or NULL and why not. */
static const uint8_t *borrow_page(struct wh_reader *r, uint64_t pfn, bool bulk,
				  enum wh_mem_state *ret_state)
{
	const struct wh_dump *d = r->mem->dump;
	struct slot *s = bulk ? &r->bulk : choose_slot(r, pfn);
	const uint8_t *p;

	*ret_state = WH_MEM_PRESENT;
	s->used = ++r->clock;
	if (s->valid && s->pfn == pfn)
		return s->buf;
	s->valid = false;
	if (!s->buf) {
		s->buf = malloc(d->page_size);
		if (!s->buf) {
			*ret_state = WH_MEM_CORRUPT;
			return NULL;
		}
	}
	*ret_state = d->ops->get_page(d, r->sc, pfn, s->buf, &p);
	if (*ret_state != WH_MEM_PRESENT)
		return NULL;
	s->pfn = pfn;
	s->valid = p == s->buf;
	return p;
}

static const uint8_t *borrow_phys(struct wh_reader *r, uint64_t pa, uint64_t want,
				  uint64_t *ret_len, enum wh_mem_state *ret_state)
{
	const struct wh_dump *d = r->mem->dump;
	uint64_t ps = d->page_size, in_page = pa & (ps - 1), run;
	const uint8_t *p;

	if (d->cls == WH_DUMP_PROCESS) {
		*ret_state = WH_MEM_UNMAPPED;
		*ret_len = UINT64_MAX - pa;
		return NULL;
	}
	if (d->ops->borrow)
		return d->ops->borrow(d, r->sc, pa, want, ret_len, ret_state);
	p = borrow_page(r, pa / ps, !r->small && want >= ps, ret_state);
	if (p) {
		*ret_len = want < ps - in_page ? want : ps - in_page;
		return p + in_page;
	}
	run = 1;
	if (*ret_state != WH_MEM_CORRUPT)
		d->ops->page_state(d, r->sc, pa / ps, &run);
	*ret_len = run > (UINT64_MAX - pa) / ps ? UINT64_MAX - pa : run * ps - in_page;
	return NULL;
}

static enum wh_mem_state translate(struct wh_reader *r, uint64_t va, uint64_t *ret_pa,
				   uint64_t *ret_run)
{
	const struct wh_mem *m = r->mem;
	struct tlb_entry *t = &r->tlb[(va >> 12) % TLB_SIZE];
	uint64_t off = va & 0xfff;
	enum wh_mem_state s;
	bool small;

	if (t->page == (va >> 12) + 1) {
		*ret_pa = t->pa + off;
		*ret_run = t->run - off;
		return WH_MEM_PRESENT;
	}
	*ret_run = 4096 - off;
	if (!m->translate || r->depth >= DEPTH_MAX)
		return WH_MEM_UNMAPPED;
	r->depth++;
	small = r->small;
	s = m->translate(m->translate_arg, r, va, ret_pa, ret_run);
	r->small = small;
	r->recent.len = 0; /* what the walk read last may be overwritten next */
	r->depth--;
	if (!*ret_run)
		*ret_run = 1;
	if (s == WH_MEM_PRESENT && *ret_run >= 4096 - off)
		*t = (struct tlb_entry){(va >> 12) + 1, *ret_pa - off, *ret_run + off};
	return s;
}

/* Bytes of a file laid over @va; bounds *len, the extent of the state found in the dump. */
static const uint8_t *borrow_file(struct wh_reader *r, uint64_t va, uint64_t want, uint64_t *len)
{
	const struct wh_mem *m = r->mem;
	const struct overlay *o;
	const uint8_t *p;
	uint64_t skip;
	size_t lo = WH_BOUND(i, m->files.n, m->files.v[i].va <= va), got;

	if (lo < m->files.n && m->files.v[lo].va - va < *len)
		*len = m->files.v[lo].va - va;
	if (!lo || va - m->files.v[lo - 1].va >= m->files.v[lo - 1].len)
		return NULL;
	o = &m->files.v[lo - 1];
	skip = va - o->va;
	if (want > o->len - skip)
		want = o->len - skip;
	if (want > *len)
		want = *len;
	if (!r->file_sc) {
		struct wh_err *e = wh_scratch_create(&r->file_sc);

		wh_err_destroy(e);
		if (e)
			return NULL;
	}
	p = wh_scratch_bytes(r->file_sc, o->st, o->off + skip,
			     want < WH_VIEW_MAX ? (size_t)want : WH_VIEW_MAX, &got);
	if (got)
		*len = got;
	return got ? p : NULL;
}

static const uint8_t *borrow_virt(struct wh_reader *r, uint64_t va, uint64_t want,
				  uint64_t *ret_len, enum wh_mem_state *ret_state)
{
	const struct wh_dump *d = r->mem->dump;
	const uint8_t *p = NULL;
	uint64_t pa, run;

	if (d->cls == WH_DUMP_PROCESS) {
		p = d->ops->borrow(d, r->sc, va, want, ret_len, ret_state);
	} else {
		*ret_state = translate(r, va, &pa, &run);
		if (*ret_state == WH_MEM_PRESENT) {
			p = borrow_phys(r, pa, want < run ? want : run, ret_len, ret_state);
			if (*ret_len > run)
				*ret_len = run;
		} else {
			*ret_len = run;
		}
	}
	if (p || !r->mem->files.n)
		return p;
	p = borrow_file(r, va, want, ret_len);
	if (p)
		*ret_state = WH_MEM_FILE_BACKED;
	return p;
}

static const uint8_t *borrow(struct wh_reader *r, enum wh_space space, uint64_t addr, uint64_t want,
			     uint64_t *ret_len, enum wh_mem_state *ret_state)
{
	if (!want)
		want = 1;
	r->recent.len = 0;
	r->small = false;
	return space == WH_PHYS ? borrow_phys(r, addr, want, ret_len, ret_state)
				: borrow_virt(r, addr, want, ret_len, ret_state);
}

const uint8_t *wh_reader_borrow(struct wh_reader *r, enum wh_space space, uint64_t addr,
				size_t want, size_t *ret_len, enum wh_mem_state *ret_state)
{
	uint64_t len;
	const uint8_t *p = borrow(r, space, addr, want, &len, ret_state);

	if (!len)
		len = 1; /* the very last byte of the address space */
	*ret_len = len < SIZE_MAX ? (size_t)len : SIZE_MAX;
	return p;
}

#define SMALL ((uint64_t)4096) /* what a small read brings near */

/* Borrows up to SMALL bytes around the small read at @addr and remembers them. */
static const uint8_t *borrow_small(struct wh_reader *r, enum wh_space space, uint64_t addr,
				   uint64_t *ret_len, enum wh_mem_state *ret_state)
{
	uint64_t want = SMALL - (addr & (SMALL - 1));
	const uint8_t *p;

	r->recent.len = 0;
	r->small = true;
	p = space == WH_PHYS ? borrow_phys(r, addr, want, ret_len, ret_state)
			     : borrow_virt(r, addr, want, ret_len, ret_state);
	if (p)
		r->recent = (struct recent){space, addr, *ret_len, p};
	return p;
}

/* The bytes at @addr if the last small borrow has @len of them. */
static const uint8_t *recent_at(const struct wh_reader *r, enum wh_space space, uint64_t addr,
				uint64_t len)
{
	const struct recent *c = &r->recent;

	if (c->len >= len && c->space == space && addr - c->addr <= c->len - len)
		return c->p + (addr - c->addr);
	return NULL;
}

size_t wh_read_some(struct wh_reader *r, enum wh_space space, uint64_t addr, void *buf, size_t len,
		    enum wh_mem_state *ret_state)
{
	const uint8_t *p = recent_at(r, space, addr, len);
	enum wh_mem_state state = WH_MEM_PRESENT;
	size_t done = 0;

	if (p) {
		memcpy(buf, p, len);
		done = len;
	}
	while (done < len) {
		uint64_t n, left = len - done, at = addr + done;

		if (at < addr) {
			state = WH_MEM_UNMAPPED;
			break;
		}
		p = left < SMALL ? borrow_small(r, space, at, &n, &state)
				 : borrow(r, space, at, left, &n, &state);
		if (!p)
			break;
		if (n > left)
			n = left;
		memcpy((uint8_t *)buf + done, p, (size_t)n);
		done += (size_t)n;
	}
	if (ret_state)
		*ret_state = state;
	return done;
}

bool wh_read_u16(struct wh_reader *r, uint64_t va, uint16_t *ret)
{
	uint8_t b[2];

	if (wh_read_some(r, WH_VIRT, va, b, sizeof(b), NULL) < sizeof(b))
		return false;
	*ret = wh_get_u16(r->mem->dump->abi, b);
	return true;
}

bool wh_read_u32(struct wh_reader *r, uint64_t va, uint32_t *ret)
{
	uint8_t b[4];

	if (wh_read_some(r, WH_VIRT, va, b, sizeof(b), NULL) < sizeof(b))
		return false;
	*ret = wh_get_u32(r->mem->dump->abi, b);
	return true;
}

bool wh_read_u64(struct wh_reader *r, uint64_t va, uint64_t *ret)
{
	uint8_t b[8];

	if (wh_read_some(r, WH_VIRT, va, b, sizeof(b), NULL) < sizeof(b))
		return false;
	*ret = wh_get_u64(r->mem->dump->abi, b);
	return true;
}

bool wh_read_word(struct wh_reader *r, uint64_t va, uint64_t *ret)
{
	uint8_t b[8];
	size_t n = r->mem->dump->abi.word;

	if (wh_read_some(r, WH_VIRT, va, b, n, NULL) < n)
		return false;
	*ret = wh_get_word(r->mem->dump->abi, b);
	return true;
}

bool wh_read_str(struct wh_reader *r, uint64_t va, char *buf, size_t cap)
{
	size_t done = 0;

	while (done + 1 < cap) {
		enum wh_mem_state state;
		uint64_t n;
		const uint8_t *p = recent_at(r, WH_VIRT, va + done, 1);

		if (p)
			n = r->recent.len - (va + done - r->recent.addr);
		else
			p = borrow_small(r, WH_VIRT, va + done, &n, &state);
		if (!p)
			break;
		for (uint64_t i = 0; i < n && done + 1 < cap; i++) {
			buf[done] = (char)p[i];
			if (!buf[done])
				return true;
			done++;
		}
	}
	if (!done)
		return false;
	buf[done] = 0;
	return true;
}

enum wh_mem_state wh_virt_to_phys(struct wh_reader *r, uint64_t va, uint64_t *ret_pa,
				  uint64_t *ret_run)
{
	uint64_t pa, run;
	enum wh_mem_state s;

	if (r->mem->dump->cls == WH_DUMP_PROCESS)
		return WH_MEM_UNMAPPED;
	r->recent.len = 0;
	s = translate(r, va, &pa, &run);
	if (ret_run)
		*ret_run = run;
	if (s == WH_MEM_PRESENT)
		*ret_pa = pa;
	return s;
}
