/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The roots of a process: every writable byte that no heap model claimed, each piece under a name that
 * --no-roots can switch off:
 *
 *	registers          general registers of each thread
 *	stacks             from sp (and the red zone) to the end, with TLS and TCB at the top
 *	data:MODULE        .data, .bss and relocated read-only data of one module
 *	anonymous          mappings that are no heap (TLS of the main thread, ld.so's memory, pools, buffers)
 *	files              writable mapped files
 *	dead-stacks        below sp and stacks of exited threads: only with --roots=broad
 *
 * Memory that existed and is not in the core: what a cut file lost, and shared memory that the filter left
 * out, make verdicts UNKNOWN.  An
 * anonymous mapping without contents was never touched or is MADV_DONTDUMP; the core does not tell
 * which, so it is noted, not feared.
 */
#include <stdio.h>
#include <string.h>

#include "analyzer/target/process.h"
#include "formats/note.h"

struct roots {
	struct wh_process *p;
	uint16_t stacks, anonymous, files, dead;
	uint64_t hollow, n_hollow, first_hollow;
	uint16_t cls[2]; /* mmap, sbrk */
	bool have_cls[2];
};

static struct wh_err *module_kind(struct wh_process *p, uint32_t module, uint16_t *ret)
{
	struct wh_process_module *m = &p->modules.v[module];
	char *name;
	size_t n = strlen(m->name) + sizeof("data:");

	if (!m->root_kind) {
		name = wh_arena_alloc(&p->strings, n);
		if (!name)
			return &wh_err_nomem;
		snprintf(name, n, "data:%s", m->name);
		WH_TRY(wh_plan_add_kind(&p->t->plan, name, &m->root_kind));
	}
	*ret = m->root_kind;
	return NULL;
}

/* A data segment that begins amid a page has bytes of the file in front, unwind tables for one. */
static uint64_t skip_file_bytes(const struct wh_process *p, const struct wh_map_area *m,
				uint64_t start)
{
	uint64_t data = m->module == UINT32_MAX ? 0 : p->names->modules[m->module].data;

	return data > start && data - start < 4096 ? data : start;
}

static bool in_stack(const struct wh_process *p, uint64_t addr)
{
	for (size_t i = 0; i < p->threads.n; i++) {
		const struct wh_thread *th = &p->threads.v[i];

		if ((th->stack_hi && addr >= th->stack_lo && addr < th->stack_hi) ||
		    (th->own_hi && addr >= th->own_lo && addr < th->own_hi))
			return true;
	}
	return false;
}

/* The end of the heap that brk(2) grows, from NT_PSTATUS of illumos: brkbase, brksize. */
static bool in_brk(const struct wh_process *p, uint64_t addr)
{
	const struct wh_note *n = wh_dump_find_note(p->t->dump, "CORE", WH_NT_PSTATUS, NULL);
	size_t w = p->abi.word;
	uint64_t base;

	if (!n || n->desc_len < 48 + 2 * w)
		return false;
	base = wh_get_word(p->abi, n->desc + 48);
	return addr - base < wh_get_word(p->abi, n->desc + 48 + w);
}

/* What mmap(2) or sbrk(2) gave to nobody we know: reached through pointers, or lost. */
static struct wh_err *add_memory_node(struct roots *r, uint64_t start, uint64_t end)
{
	static const char *const names[] = {"mmap", "sbrk"};
	int brk = in_brk(r->p, start);
	struct wh_target *t = r->p->t;

	start = (start + 7) & ~7ull;
	if (end <= start)
		return NULL;
	if (!r->have_cls[brk]) {
		struct wh_class c = {.name = names[brk], .model = "mapping"};

		WH_TRY(wh_buftab_add_class(t->buftab, &c, &r->cls[brk]));
		r->have_cls[brk] = true;
	}
	WH_TRY(wh_buftab_add(t->buftab, r->cls[brk], start, end - start, WH_BUF_ALLOCATED));
	return wh_plan_add_node(&t->plan, WH_VIRT, start, start, end - start);
}

/* MAP_SHARED | MAP_ANONYMOUS and System V memory, as NT_FILE spells them. */
static bool is_shared_memory(const char *file)
{
	return strncmp(file, "/dev/zero", 9) == 0 || strncmp(file, "/SYSV", 5) == 0;
}

/* Left out by coredump_filter; unlike a mapped file such memory is like any other. */
static struct wh_err *shared_missing(struct wh_process *p, uint64_t start, uint64_t end)
{
	wh_diag_add(
		p->ctx->diags, WH_DIAG_WARN, "shared-memory-excluded", start,
		"shared memory at 0x%llx is not in the core, and may hold references: set bit 1 of "
		"/proc/PID/coredump_filter",
		(unsigned long long)start);
	return wh_plan_add_missing(&p->t->plan, WH_CLASS_ANY, 0, end - start, WH_MEM_EXCLUDED);
}

static struct wh_err *add_piece(void *arg, const struct wh_map_area *m, uint64_t start,
				uint64_t end)
{
	struct roots *r = arg;
	struct wh_process *p = r->p;
	uint16_t kind = r->anonymous;

	if (m->module != UINT32_MAX)
		WH_TRY(module_kind(p, m->module, &kind));
	else if (m->file)
		kind = r->files;
	else if (in_stack(p, start))
		kind = r->stacks;
	if (m->cut && end > m->present_end)
		WH_TRY(wh_plan_add_missing(&p->t->plan, WH_CLASS_ANY, 0, end - m->present_end,
					   WH_MEM_TRUNCATED));
	if (!m->cut && m->file && m->module == UINT32_MAX && m->present_end <= start &&
	    is_shared_memory(m->file))
		WH_TRY(shared_missing(p, start, end));
	if (!m->cut && !m->file && m->present_end <= start) {
		if (!r->n_hollow++)
			r->first_hollow = start;
		r->hollow += end - start;
	}
	if (end > m->present_end)
		end = m->present_end;
	start = skip_file_bytes(p, m, start);
	if (start >= end)
		return NULL;
	if (p->memory_nodes && kind == r->anonymous)
		return add_memory_node(r, start, end);
	return wh_plan_add_root(&p->t->plan, kind, WH_VIRT, start, start, end - start);
}

static struct wh_err *add_registers(struct wh_process *p)
{
	uint16_t kind;

	WH_TRY(wh_plan_add_kind(&p->t->plan, "registers", &kind));
	for (size_t i = 0; i < p->threads.n; i++) {
		const struct wh_thread *th = &p->threads.v[i];

		for (uint32_t k = 0; k < th->regs.n; k++)
			if (th->regs.v[k] >= 4096)
				WH_TRY(wh_plan_add_word(
					&p->t->plan, kind, th->regs.v[k], 0,
					(uint16_t)(i < UINT16_MAX ? i : UINT16_MAX)));
	}
	return NULL;
}

/* Dead stacks are claims; the user may ask for them all the same. */
static struct wh_err *add_dead(struct roots *r)
{
	struct wh_process *p = r->p;

	WH_TRY(wh_plan_add_kind(&p->t->plan, "dead-stacks", &r->dead));
	p->t->plan.kinds.v[r->dead].off = !p->t->opts->broad_roots;
	if (!p->t->opts->broad_roots)
		return NULL;
	for (size_t i = 0; i < p->claims.n; i++) {
		const struct wh_claim *c = &p->claims.v[i];

		if (c->kind == WH_CLAIM_DEAD)
			WH_TRY(wh_plan_add_root(&p->t->plan, r->dead, WH_VIRT, c->start, c->start,
						c->end - c->start));
	}
	return NULL;
}

/*
 * Was map @i written and then protected?  The dynamic linker does that to a module's relocated data (RELRO: its
 * mapping lies right below the writable one), and start-up code of a static program leaves pointers to the heap there.
 * Anonymous memory has no other contents than what was written to it.  Read-only parts of files hold what the linker
 * wrote: no address of a heap.
 */
static bool is_protected_data(const struct wh_process *p, size_t i)
{
	const struct wh_map_area *m = &p->maps.v[i], *above = i + 1 < p->maps.n ? m + 1 : NULL;

	if ((m->flags & WH_MAP_W) || !(m->flags & WH_MAP_R) || m->present_end <= m->start)
		return false;
	if (m->module == UINT32_MAX)
		return !m->file && !p->memory_nodes;
	return !(m->flags & WH_MAP_X) && above && above->module == m->module &&
	       above->start == m->end && (above->flags & WH_MAP_W);
}

static struct wh_err *add_protected(struct roots *r)
{
	struct wh_process *p = r->p;

	for (size_t i = 0; i < p->maps.n; i++) {
		const struct wh_map_area *m = &p->maps.v[i];
		uint16_t kind = r->anonymous;
		uint64_t start = skip_file_bytes(p, m, m->start);

		if (!is_protected_data(p, i) || start >= m->present_end)
			continue;
		if (m->module != UINT32_MAX)
			WH_TRY(module_kind(p, m->module, &kind));
		WH_TRY(wh_plan_add_root(&p->t->plan, kind, WH_VIRT, start, start,
					m->present_end - start));
	}
	return NULL;
}

struct wh_err *wh_process_plan_roots(struct wh_process *p)
{
	struct roots r = {.p = p};
	struct wh_plan *plan = &p->t->plan;

	WH_TRY(add_registers(p)); /* first: module kinds use 0 for "not yet" */
	WH_TRY(wh_plan_add_kind(plan, "stacks", &r.stacks));
	WH_TRY(wh_plan_add_kind(plan, "anonymous", &r.anonymous));
	WH_TRY(wh_plan_add_kind(plan, "files", &r.files));
	WH_TRY(wh_process_each_free(p, add_piece, &r));
	WH_TRY(add_protected(&r));
	WH_TRY(add_dead(&r));
	if (r.n_hollow)
		wh_diag_add(
			p->ctx->diags, WH_DIAG_NOTE, "empty-mappings", r.first_hollow,
			"%llu anonymous mappings (%llu bytes) have no contents in the core: never "
			"touched, or excluded with MADV_DONTDUMP",
			(unsigned long long)r.n_hollow, (unsigned long long)r.hollow);
	return NULL;
}
