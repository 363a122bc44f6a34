/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tasks, stacks, registers.  Tasks are the allocated objects of cache "task_struct" (that finds idle
 * tasks and zombies as well, and needs no list) and init_task.
 *
 *	stack ┌──────────────┬──────────────────┐ stack + THREAD_SIZE
 *	      │ dead, stale  │ live: root       │
 *	      └──────────────┴──────────────────┘
 *	                     sp: thread.sp of a sleeping task, the note's register of a running one
 *
 * Stacks of tasks that ended wait in a cache for the next one and are not read at all.
 */
#include "analyzer/target/linux.h"

#include <string.h>

#include "analyzer/alloc/kslab.h"
#include "analyzer/base/strbuf.h"
#include "analyzer/base/limits.h"

struct task_layout {
	struct wh_field stack, pid, comm, sp, on_cpu, cpu;
};
static const struct wh_want wants[] = {
	WH_WANT(struct task_layout, stack, "task_struct", "stack"),
	WH_WANT(struct task_layout, pid, "task_struct", "pid"),
	WH_WANT(struct task_layout, comm, "task_struct", "comm"),
	WH_WANT_OPT(struct task_layout, sp, "task_struct", "thread.sp|thread.cpu_context.sp"),
	WH_WANT_OPT(struct task_layout, on_cpu, "task_struct", "on_cpu"),
	WH_WANT_OPT(struct task_layout, cpu, "task_struct", "thread_info.cpu|cpu"),
};

struct task_walk {
	struct wh_lx *x;
	struct task_layout l;
};

/* sp of a running task: a note's stack pointer that lies in its stack. */
static uint64_t running_sp(const struct wh_lx *x, uint64_t stack)
{
	int sp = x->t->dump->arch ? x->t->dump->arch->reg_sp : -1;

	for (size_t i = 0; sp >= 0 && i < x->regs.n; i++) {
		uint64_t v = x->regs.v[i].regs.v[sp];

		if (v >= stack && v < stack + x->stack_size)
			return v;
	}
	return 0;
}

static struct wh_err *task_read(void *arg, uint64_t addr)
{
	struct task_walk *w = arg;
	struct wh_lx *x = w->x;
	struct wh_lx_task t = {.addr = addr};
	uint64_t pid = 0, on_cpu = 0;

	if (x->tasks.n >= WH_LIMIT_TASKS)
		return NULL;
	if (!wh_lx_field(x, addr, &w->l.stack, &t.stack) || !wh_lx_field(x, addr, &w->l.pid, &pid))
		return NULL;
	t.stack = wh_lx_ptr(x, t.stack);
	t.pid = (uint32_t)pid;
	(void)wh_read_some(x->r, WH_VIRT, addr + w->l.comm.offset, t.comm, sizeof(t.comm) - 1,
			   NULL);
	(void)wh_lx_field(x, addr, &w->l.on_cpu, &on_cpu);
	t.running = (on_cpu & 0xffffffff) != 0;
	if (t.stack < x->ks->kernel_min || (t.stack & (x->page_bytes - 1)))
		return NULL; /* ended: its stack is given back */
	if (!t.running && wh_lx_field(x, addr, &w->l.sp, &t.sp)) {
		if (t.sp < t.stack || t.sp >= t.stack + x->stack_size)
			t.sp = 0;
	} else {
		t.sp = running_sp(x, t.stack);
	}
	return WH_VEC_PUSH(&x->tasks, t);
}

static void stack_size_open(struct wh_lx *x)
{
	uint64_t size;

	x->stack_size = x->page_bytes < 65536 ? 16384 : 65536;
	if (wh_types_sizeof(x->names->types, "thread_union", &size) && size >= x->page_bytes &&
	    size <= (1u << 20))
		x->stack_size = size;
}

static struct wh_err *regs_open(struct wh_lx *x)
{
	const struct wh_dump *d = x->t->dump;
	const struct wh_note *n = NULL;
	uint32_t cpu = 0;

	if (!d->arch)
		return NULL;
	while ((n = wh_dump_find_note(d, "CORE", 1, n)) && cpu < WH_LIMIT_CPUS) {
		struct wh_lx_regs r = {.cpu = cpu++};
		uint32_t pid;
		struct wh_err *e = wh_arch_prstatus(d->arch, n->desc, n->desc_len, &pid, &r.regs);

		if (e) {
			wh_diag_add_err(x->t->ctx->diags, WH_DIAG_NOTE, "prstatus", e);
			continue;
		}
		WH_TRY(WH_VEC_PUSH(&x->regs, r));
	}
	return NULL;
}

/* Marks the areas of the tasks' stacks, and those of dead stacks: same size, same caller. */
static void stack_areas(struct wh_lx *x)
{
	uint64_t caller = 0;

	for (size_t i = 0; i < x->tasks.n; i++) {
		struct wh_lx_vmarea *a =
			(struct wh_lx_vmarea *)wh_lx_vmalloc_find(x, x->tasks.v[i].stack);

		if (!a || a->start != x->tasks.v[i].stack)
			continue;
		a->use = WH_LXV_STACK;
		caller = a->caller ? a->caller : caller;
	}
	for (size_t i = 0; caller && i < x->areas.n; i++) {
		struct wh_lx_vmarea *a = &x->areas.v[i];

		if (a->use == WH_LXV_NODE && a->caller == caller &&
		    a->end - a->start == x->stack_size)
			a->use = WH_LXV_DEAD_STACK;
	}
}

/* Stacks outside vmalloc: their frames are neither nodes nor reserved memory. */
static void stack_frames(struct wh_lx *x, uint64_t stack)
{
	for (uint64_t off = 0; off < x->stack_size; off += x->page_bytes) {
		uint64_t pfn;

		if (wh_kspace_virt_to_pfn(x->ks, stack + off, &pfn) &&
		    (wh_lx_page_get(x, pfn) & WH_LXP_MASK) == WH_LXP_KERNEL)
			wh_lx_page_set(x, pfn, WH_LXP_STACK);
	}
}

struct wh_err *wh_lx_tasks_build(struct wh_lx *x)
{
	struct task_walk w = {.x = x};
	const struct wh_kcache *c;
	uint64_t init;
	struct wh_err *e =
		wh_layout_resolve(x->names->types, wants, sizeof(wants) / sizeof(wants[0]), &w.l);

	if (e) {
		wh_diag_add_err(x->t->ctx->diags, WH_DIAG_WARN, "task-layout", e);
		x->doubt = true;
		return NULL;
	}
	stack_size_open(x);
	WH_TRY(regs_open(x));
	if (wh_lx_symbol(x, "init_task", &init))
		WH_TRY(task_read(&w, init));
	for (size_t i = 0; (c = wh_kslab_find_cache(x->slab, "task_struct", i)); i++)
		WH_TRY(wh_kslab_each_object(x->slab, c, task_read, &w));
	stack_areas(x);
	for (size_t i = 0; i < x->tasks.n; i++)
		stack_frames(x, x->tasks.v[i].stack);
	return NULL;
}

#define STACK_MAX  65536 /* [bytes] of stack looked at */
#define DEAD_WORDS 16

static bool is_in(struct wh_lx *x, uint64_t v, const char *name, bool prefix)
{
	struct wh_sym sym;
	uint64_t off;

	return v >= x->ks->image_start && v < x->ks->image_end &&
	       wh_symtab_find_addr(x->names->syms, v, &sym, &off) && off && !sym.module &&
	       (prefix ? !strncmp(sym.name, name, strlen(name)) : !strcmp(sym.name, name));
}

/*
 * kthread() runs as long as its thread, and keeps a pointer to the request that created it, freed long ago:
 * in its frame, in the frame below it (ret_from_fork) and among the registers that its callees saved.
 *
 *	… saved registers … │ return into kthread() │ … │ return into ret_from_fork │ … │ user registers
 *	                                              ^ these values, wherever they lie in the stack, are dead
 *
 * What is live of them (data, struct kthread) task_struct and struct kthread hold as well.
 */
static size_t dead_values(struct wh_lx *x, const uint8_t *buf, size_t len, uint64_t *ret)
{
	size_t word = x->abi.word, fork = 0, n = 0, off;

	/* arm64 signs return addresses. */
	for (off = len; off >= word && !fork; off -= word)
		if (is_in(x, wh_lx_ptr(x, wh_get_word(x->abi, buf + off - word)), "ret_from_fork",
			  true))
			fork = off;
	for (; off >= word; off -= word)
		if (is_in(x, wh_lx_ptr(x, wh_get_word(x->abi, buf + off - word)), "kthread", false))
			break;
	if (!fork || off < word)
		return 0;
	/* Where a frame begins with its return address (arm64), kthread()'s is behind the outer one. */
	if (x->t->dump->arch && !strcmp(x->t->dump->arch->name, "aarch64"))
		off = fork;
	for (; off + word <= len && off < fork + 8 * word && n < DEAD_WORDS; off += word) {
		uint64_t v = wh_lx_ptr(x, wh_get_word(x->abi, buf + off));

		if (wh_lx_is_direct(x, v))
			ret[n++] = v;
	}
	return n;
}

static struct wh_err *mask_kthread(struct wh_lx *x, const struct wh_lx_task *t, uint64_t from)
{
	size_t word = x->abi.word, n, len = (size_t)(t->stack + x->stack_size - from);
	uint8_t *buf WH_AUTO_FREE = NULL;
	uint64_t dead[DEAD_WORDS];

	if (len > STACK_MAX || len < word || !(buf = malloc(len)) ||
	    wh_read_some(x->r, WH_VIRT, from, buf, len, NULL) != len)
		return NULL;
	n = dead_values(x, buf, len, dead);
	for (size_t off = 0; n && off + word <= len; off += word) {
		uint64_t v = wh_lx_ptr(x, wh_get_word(x->abi, buf + off));

		for (size_t i = 0; i < n; i++)
			if (v == dead[i]) {
				WH_TRY(wh_plan_add_mask(&x->t->plan, from + off,
							from + off + word));
				break;
			}
	}
	return NULL;
}

struct wh_err *wh_lx_tasks_roots(struct wh_lx *x)
{
	for (size_t i = 0; i < x->tasks.n; i++) {
		const struct wh_lx_task *t = &x->tasks.v[i];
		uint64_t from = t->sp ? t->sp & ~7ull : t->stack;

		if (t->stack >= x->ks->image_start && t->stack < x->ks->image_end)
			/* init_task's stack is part of the image, which is a root already */
			WH_TRY(wh_plan_add_mask(&x->t->plan, t->stack, from));
		else
			WH_TRY(wh_lx_root(x, x->kind_stack, from, t->stack + x->stack_size));
		WH_TRY(mask_kthread(x, t, from));
	}
	for (size_t i = 0; i < x->regs.n; i++)
		for (uint32_t r = 0; r < x->regs.v[i].regs.n; r++) {
			size_t note = i * WH_REGS_MAX + r;

			WH_TRY(wh_plan_add_word(&x->t->plan, x->kind_regs, x->regs.v[i].regs.v[r],
						0,
						note < UINT16_MAX ? (uint16_t)note : UINT16_MAX));
		}
	return NULL;
}

void wh_lx_word_text(struct wh_target *t, uint16_t kind, uint16_t note, struct wh_strbuf *sb)
{
	const struct wh_lx *x = t->priv;
	size_t i = note / WH_REGS_MAX;

	if (kind == x->kind_regs && note != UINT16_MAX && i < x->regs.n && t->dump->arch)
		wh_strbuf_printf(sb, "%s of CPU %u", t->dump->arch->reg_names[note % WH_REGS_MAX],
				 x->regs.v[i].cpu);
}
