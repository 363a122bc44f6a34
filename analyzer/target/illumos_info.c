/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the generic commands ask of an illumos kernel: origins, whatis, caches, info, names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/hashmap.h"
#include "analyzer/base/strbuf.h"
#include "analyzer/target/illumos.h"

bool wh_illumos_symbolize(struct wh_target *t, uint64_t addr, struct wh_frame *ret)
{
	struct wh_illumos_target *il = wh_target_get_illumos(t);
	struct wh_sym s;
	uint64_t off;

	*ret = (struct wh_frame){.address = addr};
	if (!wh_illumos_symbol(il, addr, &s, &off))
		return false;
	ret->symbol = s.name;
	ret->offset = off;
	ret->module = s.module;
	return true;
}

struct wh_err *wh_illumos_frames(struct wh_illumos_target *il, const uint64_t *pc, size_t n,
				 struct wh_arena *a, const struct wh_frame **ret)
{
	struct wh_frame *f = wh_arena_alloc(a, (n + 1) * sizeof(*f));

	if (!f)
		return &wh_err_nomem;
	for (size_t i = 0; i < n; i++)
		wh_illumos_symbolize(il->t, pc[i], &f[i]);
	*ret = f;
	return NULL;
}

static uint64_t stack_hash(const uint64_t *pc, size_t n)
{
	uint64_t h = wh_hash_bytes(pc, n * sizeof(*pc), WH_HASH_SEED);

	return h ? h : 1;
}

static void origin_time(const struct wh_target *t, int64_t ts, struct wh_origin *o)
{
	if (ts <= 0)
		return;
	o->has_time = true;
	o->time_ns = (uint64_t)ts;
	o->age_ns = t->dump_time_ns > o->time_ns ? t->dump_time_ns - o->time_ns : 0;
}

/* [bytes] asked for, which kmem_alloc caches encode behind the buffer; 0 unknown. */
static uint64_t requested_size(struct wh_illumos_target *il, const struct wh_kmem_cache *c,
			       uint64_t buf)
{
	uint64_t at = buf + c->buftag + il->kmem.l.bt_redzone.offset + 4;
	uint32_t word;

	if (!(c->flags & WH_KMF_BUFTAG) || strncmp(c->name, "kmem_alloc_", 11) ||
	    !wh_read_u32(il->r, at, &word) || !wh_kmem_size_valid(word) ||
	    wh_kmem_size_decode(word) > c->bufsize)
		return 0;
	return wh_kmem_size_decode(word);
}

static struct wh_err *origin_lite(struct wh_illumos_target *il, const struct wh_kmem_cache *c,
				  uint64_t buf, struct wh_arena *a, struct wh_origin *o)
{
	uint64_t pc[16];
	size_t n = 0;

	while (n < il->kmem.lite_count && n < 16 &&
	       wh_read_word(il->r, buf + c->buftag + il->kmem.l.buftag_size + n * il->kmem.abi.word,
			    &pc[n]) &&
	       pc[n])
		n++;
	if (!n)
		return NULL;
	o->source = "lite history";
	o->n_frames = n;
	o->stack_id = stack_hash(pc, 1);
	return wh_illumos_frames(il, pc, n, a, &o->frames);
}

struct wh_err *wh_illumos_origin(struct wh_target *t, uint32_t row, struct wh_arena *a,
				 struct wh_origin *ret)
{
	struct wh_illumos_target *il = wh_target_get_illumos(t);
	struct wh_kmem_cache *c = wh_illumos_row_cache(il, row);
	uint64_t ctl = wh_illumos_row_ctl(il, row), addr = wh_buftab_addr(t->buftab, row);
	struct wh_origin o = {0};
	struct wh_vmem_seg seg;
	struct wh_audit rec;

	*ret = o;
	if (!c) {
		if (!ctl || !wh_vmem_read_seg(&il->kmem, ctl, &seg) || !seg.depth)
			return NULL;
		o.source = "vmem segment";
		o.n_frames = seg.depth;
		o.stack_id = stack_hash(seg.stack, seg.depth);
		o.thread = seg.thread;
		origin_time(t, seg.timestamp, &o);
		WH_TRY(wh_illumos_frames(il, seg.stack, seg.depth, a, &o.frames));
	} else if ((c->flags & WH_KMF_AUDIT) && wh_audit_read(&il->kmem, ctl, &rec) &&
		   rec.addr == addr) {
		o.source = "bufctl audit";
		o.n_frames = rec.depth;
		/* Frame 0 lies in the allocator; its offset would split groups. */
		o.stack_id = rec.depth > 1 ? stack_hash(rec.stack + 1, rec.depth - 1)
					   : stack_hash(rec.stack, rec.depth);
		o.thread = rec.thread;
		o.requested = requested_size(il, c, addr);
		origin_time(t, rec.timestamp, &o);
		WH_TRY(wh_illumos_frames(il, rec.stack, rec.depth, a, &o.frames));
	} else if (c->flags & WH_KMF_LITE) {
		WH_TRY(origin_lite(il, c, addr, a, &o));
	}
	*ret = o;
	return NULL;
}

/* ---- whatis ---- */

static struct wh_err *answer(wh_whatis_vec *ret, struct wh_arena *a, const char *kind,
			     uint64_t base, uint64_t size, struct wh_strbuf *sb)
{
	const char *text = wh_arena_strdup(a, wh_strbuf_str(sb));

	wh_strbuf_clear(sb);
	if (!text)
		return &wh_err_nomem;
	return WH_VEC_PUSH(ret, (struct wh_whatis){kind, text, base, size});
}

static struct wh_err *whatis_modules(struct wh_illumos_target *il, uint64_t addr,
				     struct wh_arena *a, struct wh_strbuf *sb, wh_whatis_vec *ret)
{
	struct wh_sym s;
	uint64_t off;

	for (size_t i = 0; i < il->modules.n; i++) {
		const struct wh_imodule *m = &il->modules.v[i];
		const struct {
			uint64_t start, size;
			const char *what;
		} parts[] = {{m->text, m->text_size, "text"},
			     {m->data, m->data_size, "data"},
			     {m->bss, m->bss_size, "bss"}};

		for (size_t k = 0; k < 3; k++) {
			if (addr - parts[k].start >= parts[k].size)
				continue;
			if (wh_illumos_symbol(il, addr, &s, &off))
				wh_strbuf_printf(sb, off ? "%s+0x%llx, " : "%s, ", s.name,
						 (unsigned long long)off);
			wh_strbuf_printf(sb, "in %s's %s segment", m->name, parts[k].what);
			WH_TRY(answer(ret, a, "module", parts[k].start, parts[k].size, sb));
		}
	}
	return NULL;
}

/* What the stack holds at @addr may be left from calls that have returned. */
static const char *stack_state(const struct wh_ithread *t, uint64_t addr)
{
	if (t->state == WH_TS_FREE)
		return " (inactive interrupt thread)";
	if (!t->sp || addr >= t->sp)
		return "";
	/* Of a thread that ran, the saved stack pointer is an old one. */
	return t->state == WH_TS_ONPROC ? " (possibly below sp)" : " (below sp)";
}

static struct wh_err *whatis_threads(struct wh_illumos_target *il, uint64_t addr,
				     struct wh_arena *a, struct wh_strbuf *sb, wh_whatis_vec *ret)
{
	for (size_t i = 0; i < il->threads.n; i++) {
		const struct wh_ithread *t = &il->threads.v[i];

		if (addr < t->stkbase || addr >= t->stk || t->stk - t->stkbase > 1u << 30)
			continue;
		wh_strbuf_printf(sb, "in thread %llx's stack%s", (unsigned long long)t->addr,
				 stack_state(t, addr));
		WH_TRY(answer(ret, a, "thread stack", t->stkbase, t->stk - t->stkbase, sb));
	}
	return NULL;
}

static struct wh_err *whatis_vmem(struct wh_illumos_target *il, uint64_t addr, bool identifiers,
				  struct wh_arena *a, struct wh_strbuf *sb, wh_whatis_vec *ret)
{
	/* An arena is listed behind the one that it imports from: the closest first. */
	for (size_t i = il->kmem.arenas.n; i-- > 0;) {
		struct wh_vmem_seg hit;
		bool found;

		if (il->kmem.arenas.v[i].identifier != identifiers)
			continue;
		WH_TRY(wh_vmem_find_seg(&il->kmem, &il->kmem.arenas.v[i], addr, &hit, &found));
		if (!found)
			continue;
		wh_strbuf_printf(sb, "allocated from the %s vmem arena (segment %llx)",
				 il->kmem.arenas.v[i].name, (unsigned long long)hit.addr);
		WH_TRY(answer(ret, a, "vmem", hit.start, hit.end - hit.start, sb));
	}
	return NULL;
}

struct wh_err *wh_illumos_whatis(struct wh_target *t, uint64_t addr, struct wh_arena *a,
				 wh_whatis_vec *ret)
{
	struct wh_illumos_target *il = wh_target_get_illumos(t);
	struct wh_strbuf sb = WH_STRBUF_INIT;
	struct wh_kmem_hit hit;
	struct wh_err *e = whatis_modules(il, addr, a, &sb, ret);

	if (!e)
		e = whatis_threads(il, addr, a, &sb, ret);
	if (!e && wh_kmem_find_hit(&il->kmem, addr, &hit)) {
		wh_strbuf_printf(&sb, "%s %s%s", hit.free ? "freed from" : "allocated from",
				 hit.cache->name, hit.in_magazine ? " (in a magazine)" : "");
		if (hit.ctl)
			wh_strbuf_printf(&sb, ", bufctl %llx", (unsigned long long)hit.ctl);
		e = answer(ret, a, "kmem buffer", hit.buf, hit.cache->bufsize, &sb);
	}
	if (!e)
		e = whatis_vmem(il, addr, false, a, &sb, ret);
	wh_strbuf_fini(&sb);
	return e;
}

struct wh_err *wh_illumos_whatis_id(struct wh_illumos_target *il, uint64_t id, struct wh_arena *a,
				    wh_whatis_vec *ret)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;
	struct wh_err *e = whatis_vmem(il, id, true, a, &sb, ret);

	wh_strbuf_fini(&sb);
	return e;
}

/* ---- caches, info ---- */

struct wh_err *wh_illumos_caches(struct wh_target *t, struct wh_arena *a, wh_cache_vec *ret)
{
	struct wh_illumos_target *il = wh_target_get_illumos(t);

	(void)a;
	for (size_t i = 0; i < il->kmem.caches.n; i++) {
		struct wh_kmem_cache *c = &il->kmem.caches.v[i];
		struct wh_cache_stat s = {.name = c->name,
					  .model = "kmem",
					  .addr = c->addr,
					  .obj_size = c->bufsize,
					  .slot_size = c->chunksize,
					  .objects = c->buftotal,
					  .recorded = c->flags & WH_KMF_AUDIT};

		WH_TRY(wh_kmem_walk_free(&il->kmem, c));
		s.used = c->bufs.n;
		s.free = c->mags.n + c->free.n;
		s.unsure = c->unsure.n;
		s.slabs = c->slabs;
		s.bytes = (c->slab_create - c->slab_destroy) * c->slabsize;
		WH_TRY(WH_VEC_PUSH(ret, s));
	}
	return NULL;
}

struct info_out {
	wh_fact_vec *v;
	struct wh_arena *a;
	struct wh_err *e;
};

static void fact(struct info_out *o, const char *section, const char *key, const char *value)
{
	char *copy;

	if (o->e || !value || !*value)
		return;
	copy = wh_arena_strdup(o->a, value);
	o->e = copy ? WH_VEC_PUSH(o->v, (struct wh_fact){section, key, copy, 0, false})
		    : &wh_err_nomem;
}

static void number(struct info_out *o, const char *section, const char *key, uint64_t n,
		   const char *unit)
{
	if (!o->e)
		o->e = WH_VEC_PUSH(o->v, (struct wh_fact){section, key, unit, n, true});
}

struct wh_err *wh_illumos_info(struct wh_target *t, struct wh_arena *a, wh_fact_vec *ret)
{
	struct wh_illumos_target *il = wh_target_get_illumos(t);
	const struct wh_illumos_header *h = wh_illumos_header(t->dump);
	struct info_out o = {ret, a, NULL};
	char buf[1024];

	WH_TRY(wh_target_build(t));
	if (h) {
		fact(&o, "kernel", "panic", h->panicstring);
		fact(&o, "kernel", "platform", h->platform);
		fact(&o, "dump", "uuid", h->uuid);
		number(&o, "dump", "translations", wh_illumos_translations(t->dump), NULL);
	}
	snprintf(buf, sizeof(buf), "%s %s %s", t->dump->utsname[0], t->dump->utsname[2],
		 t->dump->utsname[3]);
	if (*t->dump->utsname[0])
		fact(&o, "kernel", "release", buf);
	fact(&o, "kernel", "state", il->live ? "live dump: inconsistent" : "panicked");
	fact(&o, "kernel", "symbols", il->sym_source);
	number(&o, "kernel", "symbol_count", wh_symtab_count(il->syms), NULL);
	fact(&o, "kernel", "layouts", il->kmem.layout_source);
	number(&o, "kernel", "ctf_containers", il->ctf_count, NULL);
	number(&o, "kernel", "modules", il->modules.n, NULL);
	number(&o, "kernel", "threads", il->threads.n, NULL);
	number(&o, "kernel", "cpus", il->kmem.ncpus, NULL);
	fact(&o, "recorded", "flow_trace",
	     !il->streams.have_flow    ? "none"
	     : il->streams.with_stacks ? "with stacks (since 6646362)"
				       : "without stacks (before 6646362)");
	if (il->swapped)
		number(&o, "missing", "stacks_swapped_out", il->swapped, NULL);
	return o.e;
}
