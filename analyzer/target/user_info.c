/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a process core says of itself (`info`) and of an address (`whatis`, symbols). */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/base/strbuf.h"
#include "analyzer/target/target_user.h"

/* ---- info ---- */

static struct wh_err *fact(struct wh_arena *a, wh_fact_vec *ret, const char *section,
			   const char *key, const char *fmt, ...) WH_PRINTF(5, 6);
static struct wh_err *fact(struct wh_arena *a, wh_fact_vec *ret, const char *section,
			   const char *key, const char *fmt, ...)
{
	struct wh_fact f = {.section = section, .key = key};
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	f.value = wh_arena_strdup(a, text);
	return f.value ? WH_VEC_PUSH(ret, f) : &wh_err_nomem;
}

static struct wh_err *number(wh_fact_vec *ret, const char *section, const char *key, uint64_t n,
			     const char *unit)
{
	return WH_VEC_PUSH(ret, (struct wh_fact){.section = section,
						 .key = key,
						 .value = unit,
						 .number = n,
						 .is_number = true});
}

static struct wh_err *heap_facts(const struct wh_heap *h, const char *section, struct wh_arena *a,
				 wh_fact_vec *ret)
{
	struct wh_heap_totals t = {0};

	WH_TRY(fact(a, ret, section, "allocator", "%s", h->finding.version));
	WH_TRY(fact(a, ret, section, "evidence", "%s", h->finding.evidence));
	if (!h->ops->build)
		return fact(
			a, ret, section, "analysis",
			"recognised, not rebuilt: its memory counts as roots and none of it is judged");
	if (!h->ops->totals)
		return NULL;
	h->ops->totals(h->priv, &t);
	if (!t.bytes) /* not built: info asked before the walk */
		return NULL;
	WH_TRY(number(ret, section, "bytes", t.bytes, "bytes"));
	WH_TRY(number(ret, section, "blocks_in_use", t.used, NULL));
	WH_TRY(number(ret, section, "bytes_in_use", t.used_bytes, "bytes"));
	WH_TRY(number(ret, section, "blocks_free", t.free, NULL));
	WH_TRY(number(ret, section, "bytes_free", t.free_bytes, "bytes"));
	WH_TRY(number(ret, section, "blocks_cached", t.cached, NULL));
	WH_TRY(number(ret, section, "bytes_cached", t.cached_bytes, "bytes"));
	WH_TRY(number(ret, section, "bytes_overhead", t.overhead_bytes, "bytes"));
	return number(ret, section, "bytes_damaged", t.damaged_bytes, "bytes");
}

static struct wh_err *coverage(const struct wh_process *p, wh_fact_vec *ret)
{
	uint64_t mapped = 0, writable = 0, present = 0;

	for (size_t i = 0; i < p->maps.n; i++) {
		const struct wh_map_area *m = &p->maps.v[i];

		mapped += m->end - m->start;
		present += m->present_end - m->start;
		if (m->flags & WH_MAP_W)
			writable += m->end - m->start;
	}
	WH_TRY(number(ret, "coverage", "mapped", mapped, "bytes"));
	WH_TRY(number(ret, "coverage", "writable", writable, "bytes"));
	WH_TRY(number(ret, "coverage", "in_core", present, "bytes"));
	return number(ret, "coverage", "cut_off", p->cut_bytes, "bytes");
}

struct wh_err *wh_user_info(struct wh_user *u, struct wh_arena *a, wh_fact_vec *ret)
{
	const struct wh_process *p = u->p;

	WH_TRY(fact(a, ret, "process", "command", "%s", p->command[0] ? p->command : "(unknown)"));
	WH_TRY(number(ret, "process", "pid", p->pid, NULL));
	WH_TRY(number(ret, "process", "signal", (uint64_t)p->signal, NULL));
	WH_TRY(number(ret, "process", "threads", p->threads.n, NULL));
	WH_TRY(number(ret, "process", "mappings", p->maps.n, NULL));
	WH_TRY(number(ret, "process", "modules", p->modules.n, NULL));
	if (!u->heaps.n)
		WH_TRY(fact(a, ret, "heap", "allocator", "none that weephole knows"));
	for (size_t i = 0; i < u->heaps.n; i++) {
		char name[32] = "heap"; /* an object in JSON: each heap has its own */
		const char *section;

		if (i)
			snprintf(name, sizeof(name), "heap_%zu", i + 1);
		section = wh_arena_strdup(a, name);
		if (!section)
			return &wh_err_nomem;
		WH_TRY(heap_facts(&u->heaps.v[i], section, a, ret));
	}
	return coverage(p, ret);
}

/* ---- names of addresses ---- */

/* The source line of the code itself; inlined callers are for unwound stacks only. */
static void add_line(struct wh_user *u, uint64_t addr, struct wh_frame *ret)
{
	struct wh_line line;

	if (wh_unames_lines(u->names, addr, &line, 1)) {
		ret->file = line.file;
		ret->line = line.line;
	}
}

bool wh_user_symbolize(struct wh_user *u, uint64_t addr, struct wh_frame *ret)
{
	const struct wh_map_area *m = wh_process_find_map(u->p, addr);
	struct wh_sym s;

	memset(ret, 0, sizeof(*ret));
	ret->address = addr;
	if (!m || m->module == UINT32_MAX)
		return false;
	ret->module = u->p->modules.v[m->module].name;
	if (wh_symtab_find_addr(u->names->syms, addr, &s, &ret->offset)) {
		ret->symbol = s.name;
		if (m->flags & WH_MAP_X)
			add_line(u, addr, ret);
		return true;
	}
	ret->offset = addr - u->p->modules.v[m->module].start;
	return true;
}

/* ---- whatis ---- */

static struct wh_err *answer(struct wh_arena *a, wh_whatis_vec *ret, const char *kind,
			     uint64_t base, uint64_t size, struct wh_strbuf *text)
{
	struct wh_whatis w = {.kind = kind, .base = base, .size = size};

	w.text = wh_arena_strdup(a, wh_strbuf_str(text));
	wh_strbuf_fini(text);
	return w.text ? WH_VEC_PUSH(ret, w) : &wh_err_nomem;
}

static struct wh_err *in_stack(const struct wh_process *p, uint64_t addr, struct wh_arena *a,
			       wh_whatis_vec *ret)
{
	uint64_t red = p->arch ? p->arch->red_zone : 0;

	for (size_t i = 0; i < p->threads.n; i++) {
		const struct wh_thread *th = &p->threads.v[i];
		struct wh_strbuf sb = WH_STRBUF_INIT;
		bool own = th->own_hi && addr >= th->own_lo && addr < th->own_hi;
		uint64_t sp = own ? th->own_sp : th->sp, lo = own ? th->own_lo : th->stack_lo;
		uint64_t hi = own ? th->own_hi : th->stack_hi;

		if (!own && !(th->stack_hi && addr >= th->stack_lo && addr < th->stack_hi))
			continue;
		wh_strbuf_printf(&sb, "in the stack of thread %llu", (unsigned long long)th->tid);
		if (th->tp && addr >= th->tp && addr < th->tp + 0x900)
			wh_strbuf_puts(&sb, ", in its thread descriptor");
		else if (addr + red < sp)
			wh_strbuf_puts(&sb, " (below sp: dead)");
		else if (addr < sp)
			wh_strbuf_puts(&sb, " (red zone)");
		else
			wh_strbuf_printf(&sb, ", sp + 0x%llx", (unsigned long long)(addr - sp));
		WH_TRY(answer(a, ret, "stack", lo, hi - lo, &sb));
	}
	return NULL;
}

static struct wh_err *in_registers(const struct wh_process *p, uint64_t addr, struct wh_arena *a,
				   wh_whatis_vec *ret)
{
	for (size_t i = 0; i < p->threads.n; i++) {
		const struct wh_thread *th = &p->threads.v[i];

		for (uint32_t k = 0; k < th->regs.n; k++) {
			struct wh_strbuf sb = WH_STRBUF_INIT;

			if (th->regs.v[k] != addr || addr < 4096)
				continue;
			wh_strbuf_printf(&sb, "in register %s of thread %llu",
					 p->arch->reg_names[k], (unsigned long long)th->tid);
			WH_TRY(answer(a, ret, "register", addr, 0, &sb));
		}
	}
	return NULL;
}

static struct wh_err *in_map(struct wh_user *u, uint64_t addr, struct wh_arena *a,
			     wh_whatis_vec *ret)
{
	const struct wh_map_area *m = wh_process_find_map(u->p, addr);
	struct wh_strbuf sb = WH_STRBUF_INIT;
	struct wh_frame f;

	if (!m)
		return NULL;
	if (wh_user_symbolize(u, addr, &f) && f.symbol) {
		wh_strbuf_printf(&sb, "%s+0x%llx in %s", f.symbol, (unsigned long long)f.offset,
				 f.module);
		WH_TRY(answer(a, ret, "symbol", addr - f.offset, 0, &sb));
	}
	wh_strbuf_printf(&sb, "in mapping 0x%llx-0x%llx %c%c%c", (unsigned long long)m->start,
			 (unsigned long long)m->end, m->flags & WH_MAP_R ? 'r' : '-',
			 m->flags & WH_MAP_W ? 'w' : '-', m->flags & WH_MAP_X ? 'x' : '-');
	if (m->file)
		wh_strbuf_printf(&sb, " of %s at file offset 0x%llx", m->file,
				 (unsigned long long)(m->file_off + (addr - m->start)));
	else if (m->module != UINT32_MAX)
		wh_strbuf_printf(&sb, ", .bss of %s", u->p->modules.v[m->module].name);
	else
		wh_strbuf_puts(&sb, ", anonymous");
	if (addr >= m->present_end)
		wh_strbuf_puts(&sb, m->cut ? ", contents cut off" : ", contents not in the core");
	return answer(a, ret, "mapping", m->start, m->end - m->start, &sb);
}

struct wh_err *wh_user_whatis(struct wh_user *u, uint64_t addr, struct wh_arena *a,
			      wh_whatis_vec *ret)
{
	WH_TRY(in_stack(u->p, addr, a, ret));
	WH_TRY(in_registers(u->p, addr, a, ret));
	return in_map(u, addr, a, ret);
}
