/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The threads of an illumos kernel and where their stacks lie.
 *
 * CTF or DWARF says how kthread_t is laid out.  Without them it is worked out from the dump itself: the head
 * of the structure has been the same from Solaris 2.6 (1996) to illumos (2019), usr/src/uts/common/sys/thread.h:
 *
 *	t_link, t_stk, t_startpc, t_bound_cpu: a word each
 *	t_affinitycnt, t_bind_cpu, t_flag, t_proc_flag, t_schedflag: u16; two chars; t_state: u32
 *	t_pri, t_epri [, t_cpri]: i16 [; two chars]; t_pcb: longs, the second of which is the stack pointer
 *
 * What follows moves from release to release, but must hold together: t_next and t_prev are neighbours, and
 * following one from `allthreads` comes back through the other past every thread; t_forw and t_back do so
 * for each process; t_stkbase is the page-aligned word a stack's length below t_stk, in every thread.
 */
#include <string.h>

#include "analyzer/base/hashmap.h"
#include "analyzer/base/limits.h"
#include "analyzer/target/illumos.h"

#define THREAD_SPAN 2048u      /* [bytes] of kthread_t that are looked at */
#define STACK_MAX   (1u << 20) /* [bytes]; a stack that is larger is none */

#define T struct wh_ithread_layout
static const struct wh_want thread_wants[] = {
	WH_WANT(T, next, "_kthread|kthread_t", "t_next"),
	WH_WANT_OPT(T, forw, "_kthread|kthread_t", "t_forw"),
	WH_WANT(T, stk, "_kthread|kthread_t", "t_stk"),
	WH_WANT(T, stkbase, "_kthread|kthread_t", "t_stkbase"),
	WH_WANT_OPT(T, state, "_kthread|kthread_t", "t_state"),
	WH_WANT_OPT(T, schedflag, "_kthread|kthread_t", "t_schedflag"),
	WH_WANT_OPT(T, pcb, "_kthread|kthread_t", "t_pcb"),
};

/* ---- solving the layout ---- */

typedef WH_VEC(uint64_t) addr_vec;

struct solver {
	struct wh_illumos_target *il;
	uint64_t w, first;
	addr_vec ring; /* every thread */
};

static bool word(const struct solver *s, uint64_t addr, uint64_t *ret)
{
	return wh_read_word(s->il->r, addr, ret);
}

/* Threads on the ring through @first whose links are the words at @o and behind it; 0 when it does not close. */
static size_t ring_length(const struct solver *s, uint64_t first, uint64_t o, addr_vec *ret)
{
	uint64_t at = first, next, back;
	size_t n = 0;

	do {
		struct wh_err *e = ret ? WH_VEC_PUSH(ret, at) : NULL;

		if (e || n++ >= WH_LIMIT_TASKS || !word(s, at + o, &next) || !next ||
		    next & (s->w - 1) || !word(s, next + o + s->w, &back) || back != at) {
			wh_err_destroy(e);
			return 0;
		}
		at = next;
	} while (at != first);
	return n;
}

/* The longest ring is that of all threads: those of a process or a sleep queue are parts of it. */
static bool solve_next(struct solver *s, T *l)
{
	size_t best = 0;

	for (uint64_t o = 4 * s->w + 16; o + 2 * s->w <= THREAD_SPAN; o += s->w) {
		size_t n = ring_length(s, s->first, o, NULL);

		if (n && n >= best) {
			best = n;
			l->next = (struct wh_field){.offset = o, .size = s->w, .found = true};
		}
	}
	return best && ring_length(s, s->first, l->next.offset, &s->ring) == best;
}

static void solve_forw(struct solver *s, T *l)
{
	for (uint64_t o = 4 * s->w + 16; o + 2 * s->w <= l->next.offset; o += s->w) {
		size_t i = 0;
		uint64_t next, back;

		while (i < s->ring.n && word(s, s->ring.v[i] + o, &next) && next &&
		       word(s, next + o + s->w, &back) && back == s->ring.v[i])
			i++;
		if (i == s->ring.n) {
			l->forw = (struct wh_field){.offset = o, .size = s->w, .found = true};
			return;
		}
	}
}

/* How many threads have a page-aligned word at @o a stack's length below t_stk; *ret_sum: their lengths. */
static size_t bases_at(const struct solver *s, const T *l, uint64_t o, uint64_t *ret_sum)
{
	size_t good = 0;

	*ret_sum = 0;
	for (size_t i = 0; i < s->ring.n; i++) {
		uint64_t stk, base;

		if (!word(s, s->ring.v[i] + l->stk.offset, &stk) ||
		    !word(s, s->ring.v[i] + o, &base) || base >= stk || stk - base > STACK_MAX ||
		    base & (s->il->page_size - 1))
			continue;
		good++;
		*ret_sum += stk - base;
	}
	return good;
}

static bool solve_stkbase(const struct solver *s, T *l)
{
	size_t best = 0;
	uint64_t best_sum = 0, sum;

	for (uint64_t o = 2 * s->w; o + s->w <= THREAD_SPAN; o += s->w) {
		size_t good = bases_at(s, l, o, &sum);

		if (good < best || (good == best && sum < best_sum) || !good)
			continue;
		best = good;
		best_sum = sum;
		l->stkbase = (struct wh_field){.offset = o, .size = s->w, .found = true};
	}
	return best && best * 4 >= s->ring.n * 3;
}

/* The states are single bits; when some thread says otherwise, neither state nor flags are believed. */
static void solve_state(const struct solver *s, T *l)
{
	uint64_t o = 4 * s->w + 12;
	size_t loaded = 0, states = 0;

	for (size_t i = 0; i < s->ring.n; i++) {
		uint32_t v;
		uint16_t flag;

		if (!wh_read_u32(s->il->r, s->ring.v[i] + o, &v) || v & ~(uint32_t)WH_TS_ALL ||
		    v & (v - 1) || !wh_read_u16(s->il->r, s->ring.v[i] + o - 4, &flag))
			return;
		states += v != 0;
		loaded += flag & WH_TS_LOAD;
	}
	if (!states || !loaded)
		return;
	l->state = (struct wh_field){.offset = o, .size = 4, .found = true};
	l->schedflag = (struct wh_field){.offset = o - 4, .size = 2, .found = true};
}

/* Two or three priorities in front of it: the stack pointer of most threads must lie in their stacks. */
static void solve_pcb(const struct solver *s, T *l)
{
	const uint64_t starts[] = {4 * s->w + 24, (4 * s->w + 20 + s->w - 1) & ~(s->w - 1)};

	for (size_t k = 0; k < 2; k++) {
		size_t inside = 0;

		for (size_t i = 0; i < s->ring.n; i++) {
			uint64_t stk, base, sp;

			inside += word(s, s->ring.v[i] + l->stk.offset, &stk) &&
				  word(s, s->ring.v[i] + l->stkbase.offset, &base) &&
				  word(s, s->ring.v[i] + starts[k] + s->w, &sp) && sp >= base &&
				  sp < stk;
		}
		if (inside * 2 < s->ring.n)
			continue;
		l->pcb = (struct wh_field){.offset = starts[k], .size = 2 * s->w, .found = true};
		return;
	}
}

static bool solve(struct wh_illumos_target *il, T *l)
{
	struct solver s = {.il = il, .w = il->kmem.abi.word};
	bool ok;

	*l = (T){.stk = {.offset = s.w, .size = s.w, .found = true}};
	ok = wh_kmem_var_word(&il->kmem, "allthreads", &s.first) && s.first &&
	     !(s.first & (s.w - 1)) && solve_next(&s, l) && solve_stkbase(&s, l);
	if (ok) {
		solve_forw(&s, l);
		solve_state(&s, l);
		solve_pcb(&s, l);
		wh_diag_add(il->t->ctx->diags, WH_DIAG_NOTE, "thread-layout", s.first,
			    "no type data for kthread_t: its layout was worked out from the list "
			    "of %zu threads (t_next +%llu, t_stkbase +%llu%s)",
			    s.ring.n, (unsigned long long)l->next.offset,
			    (unsigned long long)l->stkbase.offset,
			    l->state.found ? "" : "; no t_state: free threads count as live");
	}
	WH_VEC_FINI(&s.ring);
	return ok;
}

/* ---- reading threads ---- */

static bool thread_read(struct wh_illumos_target *il, uint64_t addr, struct wh_ithread *ret)
{
	struct wh_ithread t = {.addr = addr, .loaded = true, .state = 1};
	uint64_t state, flag, bias = 0;

	if (!wh_read_word(il->r, addr + il->thread.stk.offset, &t.stk) ||
	    !wh_read_word(il->r, addr + il->thread.stkbase.offset, &t.stkbase))
		return false;
	if (wh_kmem_field(&il->kmem, addr, il->thread.state, &state))
		t.state = (uint32_t)state;
	if (wh_kmem_field(&il->kmem, addr, il->thread.schedflag, &flag))
		t.loaded = flag & WH_TS_LOAD;
	/* SPARC V9 keeps its stack pointer 2047 bytes below the stack. */
	if (il->kmem.abi.big_endian && il->kmem.abi.word == 8)
		bias = 2047;
	if (il->thread.pcb.found &&
	    wh_read_word(il->r, addr + il->thread.pcb.offset + il->kmem.abi.word, &t.sp) && t.sp)
		t.sp += bias;
	*ret = t;
	return true;
}

/* Follows @link from @at until it comes back or ends. */
static struct wh_err *thread_list(struct wh_illumos_target *il, struct wh_map *seen, uint64_t at,
				  uint64_t link, const char *what)
{
	bool fresh;

	while (at) {
		struct wh_ithread t;

		WH_TRY(wh_map_set(seen, at, 1, &fresh));
		if (!fresh)
			break;
		if (il->threads.n >= WH_LIMIT_TASKS || !thread_read(il, at, &t)) {
			wh_diag_add(il->t->ctx->diags, WH_DIAG_WARN, "thread-list", at,
				    "%s: the list of threads breaks at %#llx after %zu threads",
				    what, (unsigned long long)at, il->threads.n);
			break;
		}
		WH_TRY(WH_VEC_PUSH(&il->threads, t));
		if (!wh_read_word(il->r, at + link, &at))
			break;
	}
	return NULL;
}

struct wh_err *wh_illumos_read_threads(struct wh_illumos_target *il)
{
	static const char *const deathrow[] = {"thread_deathrow", "lwp_deathrow"};
	struct wh_map seen = WH_MAP_INIT;
	uint64_t at;
	struct wh_err *e = wh_layout_resolve(
		il->types, thread_wants, sizeof(thread_wants) / sizeof(*thread_wants), &il->thread);

	if (e && !solve(il, &il->thread)) {
		wh_err_destroy(e);
		wh_diag_add(il->t->ctx->diags, WH_DIAG_WARN, "thread-layout", 0,
			    "no layout of kthread_t (no CTF in the dump, and allthreads leads to "
			    "no ring of threads with stacks): thread stacks are not scanned, so "
			    "that buffers held only from stacks look leaked");
		return NULL;
	}
	wh_err_destroy(e);
	e = NULL;
	il->thread_layout = true;
	if (wh_kmem_var_word(&il->kmem, "allthreads", &at))
		e = thread_list(il, &seen, at, il->thread.next.offset, "allthreads");
	for (size_t i = 0; !e && i < 2; i++)
		if (il->thread.forw.found && wh_kmem_var_word(&il->kmem, deathrow[i], &at))
			e = thread_list(il, &seen, at, il->thread.forw.offset, deathrow[i]);
	wh_map_fini(&seen);
	return e;
}
