/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/cmd/cmd.h"
#include "analyzer/name/frame.h"
#include "analyzer/report/leaks_emit.h"
#include "analyzer/target/target_user.h"
#include "dwarf/unwind.h"

#define FRAMES_MAX 256
#define LINES_MAX  16

/* One unwound frame with the functions that were inlined into it, innermost first. */
static size_t name_frame(struct wh_user *u, const struct wh_uframe *uf, struct wh_frame *ret,
			 size_t cap)
{
	bool exact = uf->how == WH_UNWIND_REGS || uf->signal;
	uint64_t at = exact ? uf->pc : uf->pc - 1; /* the call, not what follows it */
	struct wh_line line[LINES_MAX];
	struct wh_frame base;
	size_t n = wh_unames_lines(u->names, at, line, LINES_MAX), out = 0;

	wh_user_symbolize(u, at, &base);
	base.offset += uf->pc - at;
	base.address = uf->pc;
	for (size_t i = 0; i + 1 < n && out + 1 < cap; i++) {
		ret[out] = base;
		ret[out].symbol = line[i].function ? line[i].function : base.symbol;
		ret[out].offset = 0;
		ret[out].file = line[i].file;
		ret[out].line = line[i].line;
		ret[out++].inlined = true;
	}
	if (n) {
		base.file = line[n - 1].file;
		base.line = line[n - 1].line;
	}
	ret[out++] = base;
	return out;
}

static void emit_frame(struct wh_run *run, const struct wh_frame *f, const struct wh_uframe *uf,
		       uint64_t number)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;

	wh_emit_object(run->emit, NULL, NULL);
	wh_emit_hex(run->emit, "address", NULL, f->address);
	wh_emit_symbol(run->emit, f->symbol);
	wh_emit_u64(run->emit, "offset", NULL, f->offset, WH_UNIT_NONE);
	wh_emit_str(run->emit, "module", NULL, f->module);
	wh_emit_str(run->emit, "file", NULL, f->file);
	wh_emit_u64(run->emit, "line", NULL, f->line, WH_UNIT_NONE);
	wh_emit_bool(run->emit, "inlined", NULL, f->inlined);
	wh_emit_str(run->emit, "found_by", NULL, wh_unwind_how_name(uf->how));
	wh_emit_end(run->emit);
	wh_frame_text(&sb, f);
	if (uf->how == WH_UNWIND_SCAN)
		wh_strbuf_puts(&sb, "  (guessed from the stack)");
	wh_emit_line(run->emit, WH_STYLE_PLAIN, "    #%-2llu %s", (unsigned long long)number,
		     wh_strbuf_str(&sb));
	wh_strbuf_fini(&sb);
}

static void emit_registers(struct wh_run *run, const struct wh_process *p,
			   const struct wh_thread *th)
{
	wh_emit_object(run->emit, "registers", NULL);
	for (uint32_t i = 0; i < th->regs.n && p->arch->reg_names[i]; i++)
		wh_emit_hex(run->emit, p->arch->reg_names[i], NULL, th->regs.v[i]);
	wh_emit_end(run->emit);
}

static void emit_thread(struct wh_run *run, struct wh_user *u, struct wh_unwinder *unwinder,
			size_t index)
{
	const struct wh_thread *th = &u->p->threads.v[index];
	const struct wh_map_area *m = wh_process_find_map(u->p, th->sp);
	struct wh_uframe uf[FRAMES_MAX];
	struct wh_frame f[LINES_MAX + 1];
	size_t n = wh_unwind_thread(unwinder, &th->regs, m ? m->end : th->sp, uf, FRAMES_MAX);
	uint64_t number = 0;

	wh_emit_object(run->emit, NULL, "");
	wh_emit_line(run->emit, WH_STYLE_BOLD, "Thread %llu%s", (unsigned long long)th->tid,
		     index == 0 && u->p->signal ? " (got the signal)" : "");
	wh_emit_u64(run->emit, "tid", NULL, th->tid, WH_UNIT_NONE);
	wh_emit_u64(run->emit, "signal", NULL, (uint64_t)th->signal, WH_UNIT_NONE);
	wh_emit_hex(run->emit, "stack_low", NULL, th->stack_lo);
	wh_emit_hex(run->emit, "stack_high", NULL, th->stack_hi);
	wh_emit_hex(run->emit, "thread_pointer", NULL, th->tp);
	emit_registers(run, u->p, th);
	wh_emit_array(run->emit, "frames", "");
	for (size_t i = 0; i < n; i++) {
		size_t k = name_frame(u, &uf[i], f, LINES_MAX + 1);

		for (size_t x = 0; x < k; x++)
			emit_frame(run, &f[x], &uf[i], number++);
	}
	wh_emit_end(run->emit);
	wh_emit_end(run->emit);
}

static struct wh_err *threads(struct wh_run *run)
{
	struct wh_unwinder *unwinder = NULL;
	struct wh_user *u;

	WH_TRY(wh_run_target(run, false));
	u = wh_target_get_user(run->target);
	if (!u)
		return wh_err_new(WH_ERR_USAGE,
				  "threads is for process cores, and this is a dump of a kernel");
	WH_TRY(wh_unwinder_create(u->names, u->r, &unwinder));
	wh_emit_u64(run->emit, "schema", NULL, 1, WH_UNIT_NONE);
	wh_run_emit_dump(run);
	wh_emit_array(run->emit, "threads", "");
	for (size_t i = 0; i < u->p->threads.n; i++)
		emit_thread(run, u, unwinder, i);
	wh_emit_end(run->emit);
	wh_unwinder_destroy(unwinder);
	wh_run_emit_diags(run);
	return NULL;
}

const struct wh_command wh_cmd_threads = {
	.name = "threads",
	.synopsis = "[options] [PROGRAM] CORE",
	.summary = "print the threads of a process core with their stacks",
	.help = "Every thread with its backtrace, the one that got the signal first. Frames come from unwind "
		"tables where they are at hand (the core's own, or the files that --sysroot and --debug-dir "
		"lead to), then from frame pointers; a frame that was only guessed from a word on the stack "
		"says so.",
	.examples =
		"weephole threads core\tbacktraces\n"
		"weephole threads --sysroot=/srv/rootfs core\twith the files of another machine\n",
	.groups = WH_OG_OUT | WH_OG_INPUT,
	.args = WH_ARGS_DUMP,
	.run = threads,
};
