/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads of a process core and the live part of their stacks.
 *
 *	          guard │ dead │ red zone │ live frames │ static TLS │ TCB │
 *	own_lo ─────────┘      └ own_sp-rz          tp ──────────────┘     └─ own_hi
 *
 * A thread's own stack is what its TCB says: glibc's struct pthread holds {stackblock, stackblock_size,
 * guardsize} as three neighbouring words (nptl/descr.h); their offset differs between versions, so the
 * triple is looked for and recognised because it encloses the TCB.  When sp lies elsewhere the thread
 * runs on an alternate stack (or a coroutine's): then the lowest word on that stack which points into
 * the own stack (the sp that the signal frame saved) bounds the own stack's live part.
 *
 * A stack with a TCB that no thread's tp names belongs to an exited thread (glibc caches them): it is
 * claimed as dead, so that its stale words hold nothing (but its dtv, which glibc keeps for the next one).
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/limits.h"
#include "analyzer/target/process.h"

#define STACK_BIAS_V9 2047
#define TCB_SIZE      0x1000u  /* struct pthread is 0x900 and less on every version and word size */
#define TOP_OF_STACK  0x20000u /* static TLS and TCB lie in the last part of a stack */

static int reg_index(const struct wh_arch *a, const char *name)
{
	for (int i = 0; a->reg_names && a->reg_names[i]; i++)
		if (strcmp(a->reg_names[i], name) == 0)
			return i;
	return -1;
}

static uint64_t reg(const struct wh_thread *th, int i)
{
	return i >= 0 && (uint32_t)i < th->regs.n ? th->regs.v[i] : 0;
}

/* Linux struct user_desc {entry_number, base_addr, limit, flags}, 16 bytes each, in NT_386_TLS. */
static void i386_thread_pointer(const struct wh_process *p, const struct wh_note *n,
				struct wh_thread *th)
{
	uint64_t gs = reg(th, reg_index(p->arch, "gs"));

	for (size_t at = 0; at + 16 <= n->desc_len; at += 16)
		if (wh_get_u32(p->abi, n->desc + at) == (gs & 0xffff) >> 3)
			th->tp = wh_get_u32(p->abi, n->desc + at + 4);
}

/*
 * illumos keeps registers in NT_LWPSTATUS, in the order of <sys/regset.h>; here by the names of arch.h.
 * Offsets of lwpstatus_t: pr_lwpid 4, pr_cursig 12, pr_reg 544 (LP64) or 344 (ILP32).
 */
static const char *const illumos_amd64[] = {
	"r15", "r14", "r13", "r12", "r11", "r10", "r9",	     "r8",	"rdi", "rsi",
	"rbp", "rbx", "rdx", "rcx", "rax", "",	  "",	     "rip",	"cs",  "eflags",
	"rsp", "ss",  "fs",  "gs",  "es",  "ds",  "fs_base", "gs_base", NULL};
static const char *const illumos_i386[] = {"gs",  "fs",	 "es",	   "ds",  "edi", "esi", "ebp",
					   "",	  "ebx", "edx",	   "ecx", "eax", "",	"",
					   "eip", "cs",	 "eflags", "esp", "ss",	 NULL};

static void lwp_registers(const struct wh_process *p, const uint8_t *reg, size_t n,
			  struct wh_thread *th)
{
	const char *const *order = p->arch->elf_machine == EM_X86_64 ? illumos_amd64
				   : p->arch->elf_machine == EM_386  ? illumos_i386
								     : p->arch->reg_names;

	for (size_t i = 0; i < n && order && order[i]; i++) {
		int at = *order[i] ? reg_index(p->arch, order[i]) : -1;

		if (at < 0 || at >= WH_REGS_MAX)
			continue;
		th->regs.v[at] = wh_get_word(p->abi, reg + i * p->abi.word);
		if (th->regs.n <= (uint32_t)at)
			th->regs.n = (uint32_t)at + 1;
	}
}

static struct wh_err *read_lwps(struct wh_process *p)
{
	const struct wh_note *n = NULL;
	size_t regs = p->abi.word == 8 ? 544 : 344;

	while ((n = wh_dump_find_note(p->t->dump, "CORE", NT_LWPSTATUS, n))) {
		struct wh_thread th = {0};
		bool v9 = p->arch->abi.big_endian && p->abi.word == 8;

		if (n->desc_len < regs + 19u * p->abi.word) {
			wh_diag_add(p->ctx->diags, WH_DIAG_WARN, "thread-note", 0,
				    "NT_LWPSTATUS of %zu bytes has no registers", n->desc_len);
			continue;
		}
		th.tid = wh_get_u32(p->abi, n->desc + 4);
		th.signal = wh_get_u16(p->abi, n->desc + 12);
		lwp_registers(p, n->desc + regs, (n->desc_len - regs) / p->abi.word, &th);
		th.sp = reg(&th, p->arch->reg_sp);
		/* The 64-bit SPARC ABI biases stack pointers. */
		if (v9 && (th.sp & 1))
			th.sp += STACK_BIAS_V9;
		th.pc = reg(&th, p->arch->reg_pc);
		th.tp = reg(&th, p->arch->reg_tp);
		if (p->threads.n >= WH_LIMIT_TASKS)
			break;
		WH_TRY(WH_VEC_PUSH(&p->threads, th));
	}
	return NULL;
}

static struct wh_err *read_threads(struct wh_process *p)
{
	const struct wh_dump *d = p->t->dump;
	struct wh_thread *th = NULL;

	/* NT_PSTATUS is illumos'; its NT_PRSTATUS is a relic without use. */
	if (p->arch && wh_dump_find_note(d, "CORE", NT_PSTATUS, NULL))
		return read_lwps(p);
	for (size_t i = 0; i < d->n_notes && p->arch; i++) {
		const struct wh_note *n = &d->notes[i];
		bool linux_note = strcmp(n->name, "LINUX") == 0;

		if (th && linux_note && n->type == NT_386_TLS)
			i386_thread_pointer(p, n, th);
		if (th && linux_note && n->type == NT_ARM_TLS && n->desc_len >= p->abi.word)
			th->tp = wh_get_word(p->abi, n->desc);
		if (strcmp(n->name, "CORE") != 0 || n->type != NT_PRSTATUS)
			continue;
		if (p->threads.n >= WH_LIMIT_TASKS)
			break;
		WH_TRY(WH_VEC_PUSH(&p->threads, (struct wh_thread){0}));
		th = &p->threads.v[p->threads.n - 1];
		uint32_t tid = 0;
		struct wh_err *e = wh_arch_prstatus(p->arch, n->desc, n->desc_len, &tid, &th->regs);

		if (e) {
			wh_diag_add_err(p->ctx->diags, WH_DIAG_WARN, "thread-note", e);
			p->threads.n--;
			th = NULL;
			continue;
		}
		th->tid = tid;
		th->sp = reg(th, p->arch->reg_sp);
		th->pc = reg(th, p->arch->reg_pc);
		th->tp = reg(th, p->arch->reg_tp);
		/* struct elf_siginfo (12 bytes) comes first, then short pr_cursig */
		th->signal = n->desc_len >= 14 ? wh_get_u16(p->abi, n->desc + 12) : 0;
	}
	return NULL;
}

/* Is [lo, hi) writable memory without holes? */
static bool is_memory(const struct wh_process *p, uint64_t lo, uint64_t hi)
{
	while (lo < hi) {
		const struct wh_map_area *m = wh_process_find_map(p, lo);

		if (!m || !(m->flags & WH_MAP_W))
			return false;
		lo = m->end;
	}
	return true;
}

/* The triple {stackblock, size, guard} in the TCB at @tcb. */
static bool stack_of_tcb(struct wh_process *p, uint64_t tcb, uint64_t *ret_lo, uint64_t *ret_hi)
{
	uint8_t buf[TCB_SIZE];
	size_t w = p->abi.word, n = wh_read_some(p->r, WH_VIRT, tcb, buf, sizeof(buf), NULL);

	for (size_t at = 0; at + 3 * w <= n; at += w) {
		uint64_t lo = wh_get_word(p->abi, buf + at),
			 size = wh_get_word(p->abi, buf + at + w);
		uint64_t guard = wh_get_word(p->abi, buf + at + 2 * w), hi;

		if (!lo || lo >= tcb || size < 4096 || guard >= size || (guard & 0xfff) ||
		    __builtin_add_overflow(lo, size, &hi) || hi <= tcb || hi - tcb > TOP_OF_STACK ||
		    !is_memory(p, lo + guard, hi))
			continue;
		*ret_lo = lo + guard;
		*ret_hi = hi;
		return true;
	}
	return false;
}

/* The lowest live address of the own stack of a thread that runs on another one. */
static uint64_t saved_sp(struct wh_process *p, const struct wh_thread *th)
{
	uint8_t buf[4096];
	uint64_t best = th->own_hi, at = th->sp & ~(uint64_t)(p->abi.word - 1), end = th->stack_hi;

	if (end - at > (1u << 20))
		end = at + (1u << 20);
	while (at < end) {
		size_t want = end - at < sizeof(buf) ? (size_t)(end - at) : sizeof(buf);
		size_t n = wh_read_some(p->r, WH_VIRT, at, buf, want, NULL);

		if (n < p->abi.word)
			break;
		for (size_t i = 0; i + p->abi.word <= n; i += p->abi.word) {
			uint64_t v = wh_get_word(p->abi, buf + i);

			if (v > th->own_lo && v < best)
				best = v;
		}
		at += n;
	}
	return best < th->own_hi ? best : th->own_lo;
}

/* AT_RANDOM and AT_EXECFN point into the main thread's stack. */
static const struct wh_map_area *main_stack(const struct wh_process *p)
{
	const struct wh_note *n = wh_dump_find_note(p->t->dump, "CORE", NT_AUXV, NULL);
	size_t w = p->abi.word;

	for (size_t at = 0; n && at + 2 * w <= n->desc_len; at += 2 * w) {
		uint64_t type = wh_get_word(p->abi, n->desc + at);

		if (type == AT_RANDOM || type == AT_EXECFN)
			return wh_process_find_map(p, wh_get_word(p->abi, n->desc + at + w));
	}
	return NULL;
}

static void locate_stack(struct wh_process *p, struct wh_thread *th,
			 const struct wh_map_area *first)
{
	const struct wh_map_area *m = wh_process_find_map(p, th->sp);

	if (th->tp)
		stack_of_tcb(p, th->tp, &th->own_lo, &th->own_hi);
	if (!th->own_hi && th == p->threads.v && first && first != m) {
		th->own_lo = first->start;
		th->own_hi = first->end;
	}
	if (th->sp >= th->own_lo && th->sp < th->own_hi) {
		th->stack_lo = th->own_lo;
		th->stack_hi = th->own_hi;
		th->own_hi = th->own_lo = 0;
		return;
	}
	if (!m || !(m->flags & WH_MAP_W))
		return;
	th->stack_hi = m->end;
	/* without a guard below we don't know where the stack begins: claim nothing there */
	th->stack_lo = m->flags & WH_MAP_GUARD ? m->start : th->sp;
	if (th->own_hi)
		th->own_sp = saved_sp(p, th);
}

static bool is_live_tcb(const struct wh_process *p, uint64_t tcb)
{
	for (size_t i = 0; i < p->threads.n; i++)
		if (p->threads.v[i].tp == tcb)
			return true;
	return false;
}

/* x86: tcbhead_t {tcb, dtv, self}: tcb and self both point at itself (sysdeps/x86_64/nptl/tls.h). */
static struct wh_err *claim_dead_stack(struct wh_process *p, const struct wh_map_area *m)
{
	uint64_t from = m->end - m->start > TOP_OF_STACK ? m->end - TOP_OF_STACK : m->start, lo, hi;
	size_t w = p->abi.word, n;
	WH_AUTO_FREE uint8_t *buf = malloc(TOP_OF_STACK);

	if (!buf)
		return &wh_err_nomem;
	n = wh_read_some(p->r, WH_VIRT, from, buf, (size_t)(m->end - from), NULL);
	for (size_t at = (64 - (from & 63)) & 63; at + 3 * w <= n; at += 64) {
		uint64_t a = from + at;

		if (wh_get_word(p->abi, buf + at) != a ||
		    wh_get_word(p->abi, buf + at + 2 * w) != a || is_live_tcb(p, a) ||
		    !stack_of_tcb(p, a, &lo, &hi))
			continue;
		WH_TRY(WH_VEC_PUSH(&p->dead_tcbs, a));
		return wh_process_claim(p, lo, hi, WH_CLAIM_DEAD);
	}
	return NULL;
}

static struct wh_err *claim_dead_stacks(struct wh_process *p)
{
	if (!p->tp_known || (p->arch->elf_machine != EM_X86_64 && p->arch->elf_machine != EM_386))
		return NULL;
	for (size_t i = 0; i < p->maps.n; i++) {
		const struct wh_map_area *m = &p->maps.v[i];

		if ((m->flags & WH_MAP_W) && (m->flags & WH_MAP_GUARD) && !m->file &&
		    m->present_end == m->end && m->end - m->start >= 16384)
			WH_TRY(claim_dead_stack(p, m));
	}
	return NULL;
}

/* What lies below the stack pointers is dead. */
static struct wh_err *claim_below_sp(struct wh_process *p)
{
	uint64_t red = p->arch ? p->arch->red_zone : 0;

	for (size_t i = 0; i < p->threads.n; i++) {
		const struct wh_thread *th = &p->threads.v[i];

		if (th->stack_hi && th->sp > red && th->stack_lo < th->sp - red)
			WH_TRY(wh_process_claim(p, th->stack_lo, th->sp - red, WH_CLAIM_DEAD));
		if (th->own_hi && th->own_sp > red && th->own_lo < th->own_sp - red)
			WH_TRY(wh_process_claim(p, th->own_lo, th->own_sp - red, WH_CLAIM_DEAD));
	}
	return NULL;
}

struct wh_err *wh_process_find_stacks(struct wh_process *p)
{
	const struct wh_map_area *first;

	WH_TRY(read_threads(p));
	p->tp_known = p->threads.n > 0;
	p->tls_above_tp =
		p->arch && (p->arch->elf_machine == EM_AARCH64 || p->arch->elf_machine == EM_ARM);
	first = main_stack(p);
	for (size_t i = 0; i < p->threads.n; i++) {
		if (!p->threads.v[i].tp)
			p->tp_known = false;
		locate_stack(p, &p->threads.v[i], first);
	}
	WH_TRY(claim_dead_stacks(p));
	return claim_below_sp(p);
}
