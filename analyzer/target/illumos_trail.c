/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One buffer's life: what it is now (audit record), what it was (transaction log along bc_lastlog) and, for
 * STREAMS messages, where it went (flow trace).  The address may be the data block, the message block, the
 * data, the bufctl, or anything inside one of them; all of these lead to the same dblk.
 */
#include <stdio.h>
#include <string.h>

#include "analyzer/target/illumos.h"

struct trail {
	struct wh_illumos_target *il;
	struct wh_arena *a;
	wh_event_vec *out;
};

static const char *copy(struct trail *t, const char *s)
{
	return wh_arena_strdup(t->a, s);
}

/* ---- audit ---- */

/* The frame in the allocator tells an allocation from a free. */
static const char *audit_what(struct wh_illumos_target *il, const struct wh_audit *r, bool in_use)
{
	for (uint32_t i = 0; i < r->depth && i < 3; i++) {
		struct wh_sym s;
		uint64_t off;

		if (!wh_illumos_symbol(il, r->stack[i], &s, &off))
			continue;
		if (strstr(s.name, "free"))
			return "free";
		if (strstr(s.name, "alloc"))
			return "alloc";
	}
	return in_use ? "alloc" : "free";
}

static struct wh_err *audit_event(struct trail *t, const struct wh_audit *r, const char *source,
				  const char *what)
{
	struct wh_event ev = {.time_ns = (uint64_t)r->timestamp,
			      .has_time = r->timestamp > 0,
			      .thread = r->thread,
			      .source = source,
			      .what = what,
			      .address = r->ctl,
			      .n_frames = r->depth};
	struct wh_kmem_cache *c = wh_kmem_find_cache(&t->il->kmem, r->cache);
	char buf[128];

	snprintf(buf, sizeof(buf), "%s, buffer %llx", c ? c->name : "unknown cache",
		 (unsigned long long)r->addr);
	ev.detail = copy(t, buf);
	WH_TRY(wh_illumos_frames(t->il, r->stack, r->depth, t->a, &ev.frames));
	return WH_VEC_PUSH(t->out, ev);
}

static struct wh_err *trail_audit(struct trail *t, uint64_t ctl, bool in_use)
{
	struct wh_audit r, next;
	unsigned int n = 0;

	if (!ctl || !wh_audit_read(&t->il->kmem, ctl, &r))
		return NULL;
	WH_TRY(audit_event(t, &r, "bufctl audit", audit_what(t->il, &r, in_use)));
	for (bool first = true; n < 100000 && wh_audit_previous(&t->il->kmem, &r, first, &next);
	     first = false, n++) {
		WH_TRY(audit_event(t, &next, "transaction log",
				   audit_what(t->il, &next, !(n & 1) != in_use)));
		r = next;
	}
	return NULL;
}

/* ---- flow trace ---- */

static const char *flow_detail(struct trail *t, const struct wh_ft_event *ev)
{
	const struct wh_streams *s = &t->il->streams;
	char from[10], to[10], buf[192];
	struct wh_sym sym;
	uint64_t off;

	if (wh_ft_is_queue(ev->code)) {
		wh_ft_module_name(s, ev->mid, from);
		wh_ft_module_name(s, ev->midnext, to);
		if ((ev->code & WH_FT_CODE) == WH_FT_PUTNEXT && ev->midnext)
			snprintf(buf, sizeof(buf), "from %s to %s", from, to);
		else
			snprintf(buf, sizeof(buf), "in %s", from);
	} else if (wh_illumos_symbol(t->il, ev->mid, &sym, &off)) {
		snprintf(buf, sizeof(buf), "by %.150s+0x%llx", sym.name, (unsigned long long)off);
	} else {
		snprintf(buf, sizeof(buf), "by %llx", (unsigned long long)ev->mid);
	}
	return copy(t, buf);
}

static struct wh_err *flow_event(struct trail *t, const struct wh_ft_event *ev)
{
	uint64_t pc[WH_FT_DEPTH];
	uint32_t n = 0;
	char name[32];
	struct wh_event out = {.time_ns = (uint64_t)ev->time,
			       .has_time = ev->time > 0,
			       .source = "flow trace",
			       .address = ev->addr};

	wh_ft_event_name(ev->code, name, sizeof(name));
	name[strcspn(name, "|")] = '\0';
	out.what = copy(t, name);
	out.detail = flow_detail(t, ev);
	if (wh_ft_stack_read(&t->il->streams, ev, pc, &n)) {
		out.n_frames = n;
		WH_TRY(wh_illumos_frames(t->il, pc, n, t->a, &out.frames));
	}
	return WH_VEC_PUSH(t->out, out);
}

static const char *flow_verdict(struct trail *t, const struct wh_ft_trace *tr)
{
	char buf[192];

	switch (tr->check) {
	case WH_FT_VERIFIED: return "trace verified: the recorded hash agrees with all events";
	case WH_FT_MISMATCH:
		snprintf(buf, sizeof(buf),
			 "trace not proven: recorded hash %08x, computed %08x over %zu events",
			 tr->hash, tr->computed, tr->events.n);
		return copy(t, buf);
	case WH_FT_BROKEN:
		snprintf(buf, sizeof(buf), "trace breaks at %llx after %zu events: %s",
			 (unsigned long long)tr->broken_at, tr->events.n, tr->why);
		return copy(t, buf);
	default: return NULL;
	}
}

static void ago(char *buf, size_t cap, uint64_t ns)
{
	if (ns < 1000000)
		snprintf(buf, cap, "%.1f us", (double)ns / 1e3);
	else if (ns < 1000000000)
		snprintf(buf, cap, "%.1f ms", (double)ns / 1e6);
	else
		snprintf(buf, cap, "%.1f s", (double)ns / 1e9);
}

/* The sentence that the reader wants: where was it seen last? */
static struct wh_err *last_seen(struct trail *t)
{
	const struct wh_event *last = NULL;
	uint64_t dump = t->il->t->dump_time_ns;
	struct wh_event ev = {
		.source = "summary", .what = "summary", .has_time = dump != 0, .time_ns = dump};
	char buf[320], when[64] = "";

	for (size_t i = 0; i < t->out->n; i++)
		if (t->out->v[i].has_time && strcmp(t->out->v[i].what, "check") &&
		    (!last || t->out->v[i].time_ns >= last->time_ns))
			last = &t->out->v[i];
	if (!last)
		return NULL;
	if (dump >= last->time_ns && dump) {
		char span[32];

		ago(span, sizeof(span), dump - last->time_ns);
		snprintf(when, sizeof(when), ", %s before the dump", span);
	}
	snprintf(buf, sizeof(buf), "last seen: %s %.200s%s; no event after it", last->what,
		 last->detail ? last->detail : "", when);
	ev.detail = copy(t, buf);
	return WH_VEC_PUSH(t->out, ev);
}

static struct wh_err *trail_flow(struct trail *t, uint64_t dblk)
{
	struct wh_ft_trace tr;
	uint64_t dump = t->il->t->dump_time_ns;
	struct wh_event check = {
		.source = "flow trace", .what = "check", .has_time = dump != 0, .time_ns = dump};
	struct wh_err *e;

	WH_TRY(wh_ft_trace_read(&t->il->streams, dblk, &tr));
	e = NULL;
	for (size_t i = 0; !e && i < tr.events.n; i++)
		e = flow_event(t, &tr.events.v[i]);
	check.detail = flow_verdict(t, &tr);
	check.address = tr.hdr;
	if (!e && check.detail)
		e = WH_VEC_PUSH(t->out, check);
	wh_ft_trace_fini(&tr);
	return e;
}

/* ---- from any address to what it belongs to ---- */

static bool prefix(const char *s, const char *p)
{
	return !strncmp(s, p, strlen(p));
}

/* The data block that a buffer is, or leads to; 0 when it is no message. */
static uint64_t dblk_of(struct wh_illumos_target *il, const struct wh_kmem_hit *hit)
{
	struct wh_mblk m;

	if (prefix(hit->cache->name, "streams_dblk"))
		return hit->buf;
	if (!strcmp(hit->cache->name, "streams_mblk") && wh_mblk_read(&il->streams, hit->buf, &m))
		return m.datap;
	return 0;
}

/* A bufctl instead of a buffer: its record names the buffer. */
static bool resolve_ctl(struct wh_illumos_target *il, uint64_t addr, struct wh_kmem_hit *ret)
{
	struct wh_audit r;

	return wh_audit_read(&il->kmem, addr, &r) && wh_kmem_find_cache(&il->kmem, r.cache) &&
	       wh_kmem_find_hit(&il->kmem, r.addr, ret) && ret->buf == r.addr && ret->ctl == addr;
}

/* A buffer that some dblk's data lies in: the dblk whose db_base is this buffer. */
static uint64_t dblk_of_data(struct wh_illumos_target *il, uint64_t buf, uint64_t size)
{
	for (size_t i = 0; i < il->kmem.caches.n; i++) {
		struct wh_kmem_cache *c = &il->kmem.caches.v[i];
		struct wh_dblk d;

		if (!prefix(c->name, "streams_dblk"))
			continue;
		wh_err_destroy(wh_kmem_walk(&il->kmem, c));
		for (size_t k = 0; k < c->bufs.n; k++)
			if (wh_dblk_read(&il->streams, c->bufs.v[k].addr, &d) &&
			    d.base - buf < size)
				return d.addr;
	}
	return 0;
}

/* A segment is a buffer of its own; what it was before nobody wrote down. */
static struct wh_err *trail_segment(struct trail *t, const struct wh_vmem_seg *s, const char *arena)
{
	struct wh_event ev = {.time_ns = (uint64_t)s->timestamp,
			      .has_time = s->timestamp > 0,
			      .thread = s->thread,
			      .source = "vmem segment",
			      .what = "alloc",
			      .address = s->addr,
			      .n_frames = s->depth};
	uint64_t dblk = 0;
	char buf[128];

	snprintf(buf, sizeof(buf), "%s, %llu bytes at %llx", arena,
		 (unsigned long long)(s->end - s->start), (unsigned long long)s->start);
	ev.detail = copy(t, buf);
	WH_TRY(wh_illumos_frames(t->il, s->stack, s->depth, t->a, &ev.frames));
	WH_TRY(WH_VEC_PUSH(t->out, ev));
	if (t->il->streams.have)
		dblk = dblk_of_data(t->il, s->start, s->end - s->start);
	return dblk ? trail_flow(t, dblk) : NULL;
}

struct wh_err *wh_illumos_trail(struct wh_target *target, uint64_t addr, struct wh_arena *a,
				wh_event_vec *ret)
{
	struct wh_illumos_target *il = wh_target_get_illumos(target);
	struct trail t = {il, a, ret};
	static const char *const oversize[] = {"kmem_oversize", "static_alloc", NULL};
	struct wh_kmem_hit hit, msg;
	struct wh_vmem_seg seg;
	const char *arena;
	uint64_t dblk;

	if (wh_kmem_find_oversize(&il->kmem, oversize, addr, &seg, &arena)) {
		WH_TRY(trail_segment(&t, &seg, arena));
		return last_seen(&t);
	}
	if (!resolve_ctl(il, addr, &hit) && !wh_kmem_find_hit(&il->kmem, addr, &hit))
		return NULL;
	dblk = il->streams.have ? dblk_of(il, &hit) : 0;
	if (!dblk && il->streams.have && !hit.free)
		dblk = dblk_of_data(il, hit.buf, hit.cache->bufsize);
	WH_TRY(trail_audit(&t, hit.ctl, !hit.free));
	if (dblk) {
		if (dblk != hit.buf && wh_kmem_find_hit(&il->kmem, dblk, &msg))
			WH_TRY(trail_audit(&t, msg.ctl, !msg.free));
		WH_TRY(trail_flow(&t, dblk));
	}
	return last_seen(&t);
}
