/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The umem model: libumem's buffers as rows of a process.
 *
 *	cache of umem_default/umem_firewall ──► buffers in use ──┐
 *	arenas umem_oversize, umem_memalign ──► segments ────────┤ minus malloc's header = the row
 *
 *	spans of the arena that maps memory for all others, the library's own data: not roots, for the
 *	allocator's metadata names every buffer
 *
 * malloc() puts a header in front of what it hands out ({size, magic - size}); the row starts where the
 * program's pointer does.  A buffer whose buftag says "free" is free whatever the slab says.  With audit
 * records each row has the stack, thread and time of its allocation, and a history along bc_lastlog.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/alloc/umem.h"
#include "analyzer/base/hashmap.h"
#include "formats/note.h"

#define ULWP_SPAN      4096u	   /* [bytes] of ulwp_t that are looked at */
#define MAGIC_HEADER   0x3a10c000u /* one tag of 8 bytes */
#define MAGIC_LP64     0x16ba7000u /* second tag of 16 bytes */
#define MAGIC_OVERSIZE 0x06e47000u /* second tag, low half of the size */
#define MAGIC_MEMALIGN 0x3e3a1000u
#define NEWEST_MAX     (1u << 20) /* records looked at to date the core */

static void umem_close(void *priv)
{
	struct wh_umem *u = priv;

	if (!u)
		return;
	wh_kmem_fini(&u->k);
	wh_types_destroy(u->types);
	WH_VEC_FINI(&u->classes);
	free(u);
}

static const char *debug_flags(const struct wh_umem *u)
{
	uint32_t flags = 0;

	for (size_t i = 0; i < u->k.caches.n; i++)
		if (strncmp(u->k.caches.v[i].name, "umem_alloc_", 11) == 0)
			flags |= u->k.caches.v[i].flags;
	if (flags & WH_KMF_AUDIT)
		return "with audit records";
	return flags & WH_KMF_BUFTAG ? "with buffer tags, without audit records"
				     : "without debugging";
}

static struct wh_err *umem_detect(struct wh_process *p, void **ret_priv,
				  struct wh_heap_finding *ret)
{
	struct wh_umem *u = wh_calloc(1, sizeof(*u));
	struct wh_err *e;

	if (!u)
		return &wh_err_nomem;
	u->p = p;
	u->newest = INT64_MIN;
	e = wh_umem_find(u, /* own= */ true);
	if (!e)
		e = wh_kmem_open(&u->k);
	if (e && u->own) {
		/* types of some part of the library only: a profile has all of it */
		wh_err_destroy(e);
		wh_kmem_fini(&u->k);
		e = wh_umem_find(u, /* own= */ false);
		if (!e)
			e = wh_kmem_open(&u->k);
	}
	if (!e)
		e = wh_umem_complete(u);
	if (e) {
		umem_close(u);
		return e;
	}
	snprintf(ret->version, sizeof(ret->version), "libumem (%s layout), %s", u->layout,
		 debug_flags(u));
	snprintf(ret->evidence, sizeof(ret->evidence),
		 "%zu caches on the ring at 0x%llx, %zu arenas", u->k.caches.n,
		 (unsigned long long)u->anchor, u->k.arenas.n);
	*ret_priv = u;
	return NULL;
}

/* ---- what belongs to the allocator ---- */

static struct wh_err *claim_span(void *arg, const struct wh_vmem_seg *s)
{
	struct wh_umem *u = arg;

	if (!(s->type & WH_VMEM_SPAN) || s->start >= s->end || !wh_process_find_map(u->p, s->start))
		return NULL;
	u->sum.bytes += s->end - s->start;
	WH_TRY(wh_process_claim(u->p, s->start, s->end, WH_CLAIM_HEAP));
	return wh_plan_add_node(&u->p->t->plan, WH_VIRT, s->start, s->start, s->end - s->start);
}

/* The arena without a source above umem_default. */
static const struct wh_vmem *top_arena(struct wh_umem *u)
{
	const struct wh_vmem *at = wh_kmem_find_arena(&u->k, "umem_default");

	for (int depth = 0; at && at->source && depth < 32; depth++) {
		const struct wh_vmem *up = NULL;

		for (size_t i = 0; i < u->k.arenas.n; i++)
			if (u->k.arenas.v[i].addr == at->source)
				up = &u->k.arenas.v[i];
		if (!up)
			break;
		at = up;
	}
	return at;
}

/* A library that neither a note nor the link map names; a program with libumem inside has a name. */
static bool is_nameless(const struct wh_process_module *m)
{
	return m->name[0] == '[';
}

static struct wh_err *claim_memory(struct wh_umem *u)
{
	const struct wh_vmem *top = top_arena(u);

	if (top)
		WH_TRY(wh_vmem_each_seg(&u->k, top, claim_span, u));
	if (!u->sum.bytes)
		wh_diag_add(
			u->p->ctx->diags, WH_DIAG_ERROR, "umem-spans", top ? top->addr : 0,
			"the memory of libumem cannot be told from the program's: its own structures "
			"count as roots and hide leaks");
	for (size_t i = 0; i < u->p->maps.n; i++) {
		const struct wh_map_area *m = &u->p->maps.v[i];
		bool own = m->module != UINT32_MAX && m->module == u->module;

		/* Its list anchor lies in its data, whether or not the mapping has a name. */
		if (u->module == UINT32_MAX && u->anchor - m->start < m->end - m->start)
			own = m->module == UINT32_MAX || is_nameless(&u->p->modules.v[m->module]);
		if (own && (m->flags & WH_MAP_W))
			WH_TRY(wh_process_claim(u->p, m->start, m->end, WH_CLAIM_INTERNAL));
	}
	return NULL;
}

/* ---- malloc's headers ---- */

/* True when the tag at @p adds up to @magic; *ret_size is its size. */
static bool tag_is(struct wh_abi abi, const uint8_t *p, uint32_t magic, uint32_t *ret_size)
{
	*ret_size = wh_get_u32(abi, p);
	return *ret_size + wh_get_u32(abi, p + 4) == magic;
}

/* Bytes before what malloc() returned for the buffer at @addr; 0 when malloc did not make it. */
static uint64_t header_of(struct wh_umem *u, uint64_t addr, uint64_t size, uint64_t *ret_requested)
{
	uint8_t p[16];
	uint32_t low, high;
	bool lp64 = u->p->abi.word == 8;

	*ret_requested = 0;
	if (size < 8 || wh_read_some(u->p->r, WH_VIRT, addr, p, size < 16 ? 8 : 16, NULL) < 8)
		return 0;
	if (lp64 && size >= 16 && tag_is(u->p->abi, p + 8, MAGIC_LP64, &low) && low >= 16 &&
	    low <= size) {
		*ret_requested = low - 16;
		return 16;
	}
	if (lp64 && size >= 16 && tag_is(u->p->abi, p, MAGIC_HEADER, &high) &&
	    tag_is(u->p->abi, p + 8, MAGIC_OVERSIZE, &low)) {
		*ret_requested = ((uint64_t)high << 32 | low) - 16;
		return 16;
	}
	if (lp64 && size >= 16 && tag_is(u->p->abi, p + 8, MAGIC_MEMALIGN, &low))
		return 16;
	if (!lp64 && tag_is(u->p->abi, p, MAGIC_MEMALIGN, &low))
		return 8;
	if (tag_is(u->p->abi, p, MAGIC_HEADER, &low) && low >= 8 && low <= size) {
		*ret_requested = low - 8;
		return 8;
	}
	return 0;
}

/* ---- rows ---- */

static struct wh_err *add_class(struct wh_umem *u, const char *name, uint64_t id, uint64_t size,
				uint64_t slot, uint16_t *ret)
{
	struct wh_class c = {.model = "umem", .id = id, .obj_size = size, .slot_size = slot};

	c.name = wh_arena_strdup(&u->p->strings, name);
	if (slot && strncmp(name, "umem_alloc_", 11))
		c.flags = WH_CLASS_TYPED;
	return c.name ? wh_buftab_add_class(u->p->t->buftab, &c, ret) : &wh_err_nomem;
}

static struct wh_err *add_row(struct wh_umem *u, uint16_t cls, uint64_t addr, uint64_t size,
			      enum wh_buf_state state, uint64_t *ret_row_addr)
{
	uint64_t requested, head = header_of(u, addr, size, &requested);

	*ret_row_addr = addr + head;
	return wh_buftab_add(u->p->t->buftab, cls, addr + head, size - head, state);
}

/* The buffer's own tag: free (in a magazine that was not found, or just given back)? */
static bool tag_says_free(struct wh_umem *u, const struct wh_kmem_cache *c, uint64_t buf)
{
	uint64_t bufctl, state, mask = u->p->abi.word == 8 ? UINT64_MAX : UINT32_MAX;

	return (c->flags & WH_KMF_BUFTAG) && !(c->flags & WH_KMF_LITE) && c->buftag &&
	       wh_kmem_field(&u->k, buf + c->buftag, u->k.l.bt_bufctl, &bufctl) &&
	       wh_kmem_field(&u->k, buf + c->buftag, u->k.l.bt_bxstat, &state) &&
	       ((bufctl ^ WH_KMEM_TAG_FREE) & mask) == state;
}

static bool is_program_cache(const struct wh_kmem_cache *c)
{
	return c->arena_name &&
	       (!strcmp(c->arena_name, "umem_default") || !strcmp(c->arena_name, "umem_firewall"));
}

/*
 * Caches with UMF_PTC give freed buffers to lists of the thread: ulwp_t.ul_tmem.tm_roots[], linked through
 * the first word.  Where in ulwp_t that lies differs; but a word there that is the very start of a buffer
 * (programs hold what follows the header) is a root of such a list.
 */
static struct wh_err *add_thread_list(struct wh_umem *u, const struct wh_kmem_cache *c, uint64_t tp,
				      struct wh_map *ret)
{
	size_t w = u->p->abi.word, got;
	uint8_t ulwp[ULWP_SPAN];

	if (!tp || !wh_kmem_spend(&u->k, sizeof(ulwp) / w))
		return NULL;
	got = wh_read_some(u->p->r, WH_VIRT, tp, ulwp, sizeof(ulwp), NULL);
	for (size_t at = 0; at + w <= got; at += w) {
		const struct wh_kmem_buf *b;
		uint64_t buf = wh_get_word(u->p->abi, ulwp + at);
		bool fresh = true;

		while (fresh && buf && (b = wh_kmem_find_buf(c, buf)) && b->addr == buf) {
			WH_TRY(wh_map_set(ret, buf, 1, &fresh));
			if (!wh_read_word(u->p->r, buf, &buf))
				break;
		}
	}
	return NULL;
}

/* @counts, if given, gets how many each thread keeps. */
static struct wh_err *add_thread_lists(struct wh_umem *u, const struct wh_kmem_cache *c,
				       struct wh_map *ret, uint64_t *counts)
{
	for (size_t i = 0; (c->flags & WH_UMF_PTC) && i < u->p->threads.n; i++) {
		size_t before = ret->n;

		WH_TRY(add_thread_list(u, c, u->p->threads.v[i].tp, ret));
		if (counts)
			counts[i] = ret->n - before;
	}
	return NULL;
}

struct wh_err *wh_umem_thread_cached(struct wh_umem *u, const struct wh_kmem_cache *c,
				     uint64_t *counts)
{
	struct wh_map seen = WH_MAP_INIT;
	struct wh_err *e = add_thread_lists(u, c, &seen, counts);

	wh_map_fini(&seen);
	return e;
}

static struct wh_err *add_bufs(struct wh_umem *u, struct wh_kmem_cache *c, const struct wh_map *ptc)
{
	uint64_t row;
	uint16_t cls;

	WH_TRY(add_class(u, c->name, c->addr, c->bufsize, c->chunksize, &cls));
	for (size_t i = 0; i < c->bufs.n; i++) {
		uint64_t addr = c->bufs.v[i].addr;

		if (tag_says_free(u, c, addr) || wh_map_find(ptc, addr, NULL)) {
			u->sum.cached++;
			u->sum.cached_bytes += c->chunksize;
			continue;
		}
		u->sum.used++;
		u->sum.used_bytes += c->chunksize;
		WH_TRY(add_row(u, cls, addr, c->bufsize, WH_BUF_ALLOCATED, &row));
	}
	for (size_t i = 0; i < c->unsure.n; i++)
		WH_TRY(add_row(u, cls, c->unsure.v[i], c->bufsize, WH_BUF_UNSURE, &row));
	u->sum.cached += c->mags.n;
	u->sum.cached_bytes += c->mags.n * c->chunksize;
	u->sum.free += c->slab_frees;
	u->sum.free_bytes += c->slab_frees * c->chunksize;
	u->p->t->recorded |= (c->flags & WH_KMF_AUDIT) != 0 && c->bufs.n > 0;
	return NULL;
}

static struct wh_err *add_cache(struct wh_umem *u, struct wh_kmem_cache *c)
{
	struct wh_map ptc = WH_MAP_INIT;
	struct wh_err *e = wh_kmem_walk(&u->k, c);

	if (!e)
		e = add_thread_lists(u, c, &ptc, NULL);
	if (!e)
		e = add_bufs(u, c, &ptc);
	wh_map_fini(&ptc);
	return e;
}

struct seg_rows {
	struct wh_umem *u;
	uint16_t cls;
};

static struct wh_err *add_segment(void *arg, const struct wh_vmem_seg *s)
{
	struct seg_rows *r = arg;
	uint64_t row;

	if (s->type != WH_VMEM_ALLOC || s->start >= s->end)
		return NULL;
	r->u->sum.used++;
	r->u->sum.used_bytes += s->end - s->start;
	WH_TRY(add_row(r->u, r->cls, s->start, s->end - s->start, WH_BUF_ALLOCATED, &row));
	return WH_VEC_PUSH(&r->u->k.seg_rows, (struct wh_kmem_seg_row){row, s->addr});
}

static struct wh_err *add_arena(struct wh_umem *u, const char *name, uint16_t *ret_cls)
{
	struct wh_vmem *v = wh_kmem_find_arena(&u->k, name);
	struct seg_rows r = {.u = u};

	WH_TRY(add_class(u, name, v ? v->addr : 0, 0, 0, ret_cls));
	r.cls = *ret_cls;
	return v ? wh_vmem_each_seg(&u->k, v, add_segment, &r) : NULL;
}

static struct wh_err *umem_build(void *priv)
{
	struct wh_umem *u = priv;

	WH_TRY(claim_memory(u));
	/* With findleaks' meaning mappings without a name are buffers of their own. */
	u->p->memory_nodes = wh_dump_find_note(u->p->t->dump, "CORE", WH_NT_PSTATUS, NULL) != NULL;
	for (size_t i = 0; i < u->k.caches.n; i++)
		if (is_program_cache(&u->k.caches.v[i]))
			WH_TRY(add_cache(u, &u->k.caches.v[i]));
	/* What was not read may hold anything. */
	if (u->k.spent)
		WH_TRY(wh_plan_add_missing(&u->p->t->plan, WH_CLASS_ANY, 0, u->k.page_size,
					   WH_MEM_CORRUPT));
	WH_TRY(add_arena(u, "umem_oversize", &u->cls_oversize));
	WH_TRY(add_arena(u, "umem_memalign", &u->cls_memalign));
	wh_kmem_sort_seg_rows(&u->k);
	u->sum.free += u->sum.cached;
	u->sum.free_bytes += u->sum.cached_bytes;
	if (u->sum.bytes > u->sum.used_bytes + u->sum.free_bytes)
		u->sum.overhead_bytes = u->sum.bytes - u->sum.used_bytes - u->sum.free_bytes;
	return NULL;
}

static void umem_totals(void *priv, struct wh_heap_totals *ret)
{
	*ret = ((const struct wh_umem *)priv)->sum;
}

/* ---- records ---- */

/*
 * Nanoseconds of a record's time: illumos and gburd count them since boot; portable libumem stores
 * seconds << 32 | microseconds of the wall clock.
 */
static uint64_t time_ns(int64_t stamp)
{
	uint64_t s = (uint64_t)stamp >> 32, us = (uint64_t)stamp & 0xffffffff;

	if (s >= 1000000000u && s < 4200000000u && us < 1000000)
		return s * 1000000000u + us * 1000;
	return stamp > 0 ? (uint64_t)stamp : 0;
}

/* The newest record stands for the time of the core. */
static int64_t newest(struct wh_umem *u)
{
	size_t n = 0;

	if (u->newest != INT64_MIN)
		return u->newest;
	u->newest = 0;
	for (size_t i = 0; i < u->k.caches.n; i++) {
		const struct wh_kmem_cache *c = &u->k.caches.v[i];

		for (size_t b = 0; (c->flags & WH_KMF_AUDIT) && b < c->bufs.n && n < NEWEST_MAX;
		     b++, n++) {
			uint64_t stamp;

			if (wh_kmem_field(&u->k, c->bufs.v[b].ctl, u->k.l.bc_timestamp, &stamp) &&
			    (int64_t)stamp > u->newest)
				u->newest = (int64_t)stamp;
		}
	}
	return u->newest;
}

static struct wh_err *make_frames(struct wh_umem *u, const uint64_t *pc, size_t n,
				  struct wh_arena *a, const struct wh_frame **ret, size_t *ret_n)
{
	struct wh_frame *f = wh_arena_alloc(a, (n ? n : 1) * sizeof(*f));

	if (!f)
		return &wh_err_nomem;
	for (size_t i = 0; i < n; i++)
		if (!u->p->t->ops->symbolize(u->p->t, pc[i], &f[i]))
			f[i] = (struct wh_frame){.address = pc[i]};
	*ret = f;
	*ret_n = n;
	return NULL;
}

/* mdb's rule: frame 0 lies in the allocator and must not split groups by its offset. */
static uint64_t stack_id(const uint64_t *pc, size_t n)
{
	uint64_t h = WH_HASH_SEED;

	for (size_t i = 1; i < n; i++)
		h = wh_hash_u64(h ^ pc[i]);
	return h ? h : 1;
}

static void set_time(struct wh_umem *u, int64_t stamp, struct wh_origin *ret)
{
	uint64_t now = time_ns(newest(u)), then = time_ns(stamp);

	ret->has_time = then != 0;
	ret->time_ns = then;
	ret->age_ns = now > then ? now - then : 0;
}

/* The cache and the buffer behind a row; NULL for vmem segments. */
static struct wh_kmem_cache *cache_of(struct wh_umem *u, uint32_t row)
{
	const struct wh_buftab *t = u->p->t->buftab;
	const struct wh_class *c = wh_buftab_class(t, wh_buftab_class_of(t, row));

	return wh_kmem_find_cache(&u->k, c->id);
}

static struct wh_err *origin_of_segment(struct wh_umem *u, uint64_t addr, struct wh_arena *a,
					struct wh_origin *ret)
{
	uint64_t seg = wh_kmem_row_ctl(&u->k, /* cls_id= */ 0, addr);
	struct wh_vmem_seg s;

	if (!seg || !wh_vmem_read_seg(&u->k, seg, &s) || !s.depth)
		return NULL;
	ret->source = "vmem audit";
	ret->tid = s.thread;
	ret->stack_id = stack_id(s.stack, s.depth);
	set_time(u, s.timestamp, ret);
	return make_frames(u, s.stack, s.depth, a, &ret->frames, &ret->n_frames);
}

static struct wh_err *umem_origin(void *priv, uint32_t row, struct wh_arena *a,
				  struct wh_origin *ret)
{
	struct wh_umem *u = priv;
	uint64_t addr = wh_buftab_addr(u->p->t->buftab, row);
	const struct wh_kmem_cache *c = cache_of(u, row);
	const struct wh_kmem_buf *b;
	struct wh_audit rec;

	if (!c)
		return origin_of_segment(u, addr, a, ret);
	b = wh_kmem_find_buf(c, addr);
	if (!b || !b->ctl || !(c->flags & WH_KMF_AUDIT) || !wh_audit_read(&u->k, b->ctl, &rec))
		return NULL;
	header_of(u, b->addr, c->bufsize, &ret->requested);
	ret->source = "bufctl audit";
	ret->tid = rec.thread;
	ret->stack_id = rec.depth ? stack_id(rec.stack, rec.depth) : 0;
	set_time(u, rec.timestamp, ret);
	return make_frames(u, rec.stack, rec.depth, a, &ret->frames, &ret->n_frames);
}

/* ---- trail ---- */

static struct wh_err *add_event(struct wh_umem *u, const struct wh_audit *rec, const char *source,
				const char *what, struct wh_arena *a, wh_event_vec *ret)
{
	struct wh_event ev = {.time_ns = time_ns(rec->timestamp),
			      .has_time = rec->timestamp > 0,
			      .tid = rec->thread,
			      .source = source,
			      .what = what,
			      .address = rec->ctl};

	WH_TRY(make_frames(u, rec->stack, rec->depth, a, &ev.frames, &ev.n_frames));
	return WH_VEC_PUSH(ret, ev);
}

/*
 * A record does not say which transaction it was.  The newest of a buffer in use is its allocation; before
 * that allocations and frees alternate.
 */
static struct wh_err *history(struct wh_umem *u, uint64_t ctl, bool in_use, struct wh_arena *a,
			      wh_event_vec *ret)
{
	struct wh_audit rec, older;
	bool alloc = in_use, first = true;

	if (!wh_audit_read(&u->k, ctl, &rec))
		return NULL;
	WH_TRY(add_event(u, &rec, "bufctl audit", alloc ? "alloc" : "free", a, ret));
	for (int n = 0; n < 4096 && wh_audit_previous(&u->k, &rec, first, &older); n++) {
		alloc = !alloc;
		first = false;
		rec = older;
		WH_TRY(add_event(u, &rec, "transaction log", alloc ? "alloc" : "free", a, ret));
	}
	return NULL;
}

/* A segment is a buffer of its own. */
static struct wh_err *segment_event(struct wh_umem *u, const struct wh_vmem_seg *s,
				    const char *arena, struct wh_arena *a, wh_event_vec *ret)
{
	struct wh_event ev = {.time_ns = time_ns(s->timestamp),
			      .has_time = s->timestamp > 0,
			      .tid = s->thread,
			      .source = "vmem audit",
			      .what = "alloc",
			      .detail = arena,
			      .address = s->addr};

	WH_TRY(make_frames(u, s->stack, s->depth, a, &ev.frames, &ev.n_frames));
	return WH_VEC_PUSH(ret, ev);
}

static struct wh_err *umem_trail(void *priv, uint64_t addr, struct wh_arena *a, wh_event_vec *ret)
{
	static const char *const oversize[] = {"umem_oversize", "umem_memalign", NULL};
	struct wh_umem *u = priv;
	struct wh_kmem_hit hit;
	struct wh_vmem_seg seg;
	const char *arena;

	if (wh_kmem_find_oversize(&u->k, oversize, addr, &seg, &arena))
		return segment_event(u, &seg, arena, a, ret);
	if (!wh_kmem_find_hit(&u->k, addr, &hit) || !(hit.cache->flags & WH_KMF_AUDIT) || !hit.ctl)
		return NULL;
	return history(u, hit.ctl, !hit.free, a, ret);
}

/* ---- whatis, caches ---- */

static struct wh_err *answer(const char *kind, uint64_t base, uint64_t size, const char *text,
			     struct wh_arena *a, wh_whatis_vec *ret)
{
	struct wh_whatis w = {.kind = kind, .base = base, .size = size};

	w.text = wh_arena_strdup(a, text);
	return w.text ? WH_VEC_PUSH(ret, w) : &wh_err_nomem;
}

static struct wh_err *whatis_buffer(struct wh_umem *u, uint64_t addr, struct wh_arena *a,
				    wh_whatis_vec *ret)
{
	uint64_t requested, head;
	struct wh_kmem_hit hit;
	char text[256];

	if (!wh_kmem_find_hit(&u->k, addr, &hit))
		return NULL;
	head = header_of(u, hit.buf, hit.cache->bufsize, &requested);
	snprintf(text, sizeof(text), "0x%llx+0x%llx, %s %s, requested %llu bytes%s",
		 (unsigned long long)hit.buf, (unsigned long long)(addr - hit.buf),
		 hit.in_magazine ? "free, in a magazine of"
		 : hit.free	 ? "freed from"
				 : "allocated from",
		 hit.cache->name, (unsigned long long)(requested ? requested : hit.cache->bufsize),
		 hit.ctl && (hit.cache->flags & WH_KMF_AUDIT) ? ", audited" : "");
	return answer("umem buffer", hit.buf + head, hit.cache->bufsize, text, a, ret);
}

static struct wh_err *umem_whatis(void *priv, uint64_t addr, struct wh_arena *a, wh_whatis_vec *ret)
{
	struct wh_umem *u = priv;

	WH_TRY(whatis_buffer(u, addr, a, ret));
	/* An arena is listed behind the one that it imports from: the closest first. */
	for (size_t i = u->k.arenas.n; i-- > 0;) {
		struct wh_vmem_seg hit;
		char text[128];
		bool found;

		WH_TRY(wh_vmem_find_seg(&u->k, &u->k.arenas.v[i], addr, &hit, &found));
		if (!found)
			continue;
		snprintf(text, sizeof(text), "allocated from the %s vmem arena (segment %llx)",
			 u->k.arenas.v[i].name, (unsigned long long)hit.addr);
		WH_TRY(answer("vmem", hit.start, hit.end - hit.start, text, a, ret));
	}
	return NULL;
}

static struct wh_err *umem_caches(void *priv, struct wh_arena *a, wh_cache_vec *ret)
{
	struct wh_umem *u = priv;

	for (size_t i = 0; i < u->k.caches.n; i++) {
		struct wh_kmem_cache *c = &u->k.caches.v[i];
		struct wh_cache_stat s = {.model = "umem",
					  .addr = c->addr,
					  .obj_size = c->bufsize,
					  .slot_size = c->chunksize};

		WH_TRY(wh_kmem_walk(&u->k, c));
		s.name = wh_arena_strdup(a, c->name);
		if (!s.name)
			return &wh_err_nomem;
		s.used = c->bufs.n;
		s.free = c->mags.n + c->slab_frees;
		s.unsure = c->unsure.n;
		s.objects = s.used + s.free + s.unsure;
		s.slabs = c->slabs;
		s.bytes = c->slabs * c->slabsize;
		s.recorded = (c->flags & WH_KMF_AUDIT) != 0;
		WH_TRY(WH_VEC_PUSH(ret, s));
	}
	return NULL;
}

const struct wh_heap_ops wh_heap_umem = {
	.name = "umem",
	.detect = umem_detect,
	.build = umem_build,
	.totals = umem_totals,
	.origin = umem_origin,
	.whatis = umem_whatis,
	.trail = umem_trail,
	.caches = umem_caches,
	.close = umem_close,
};
