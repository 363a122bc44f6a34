/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "analyzer/cmd/cmd.h"
#include "analyzer/report/leaks_emit.h"

/* Time order; what has no time (the sources' closing remarks) last, as it was reported. */
static int by_time(const void *pa, const void *pb)
{
	const struct wh_event *a = *(const struct wh_event *const *)pa,
			      *b = *(const struct wh_event *const *)pb;
	uint64_t ta = a->has_time ? a->time_ns : UINT64_MAX;
	uint64_t tb = b->has_time ? b->time_ns : UINT64_MAX;

	if (ta != tb)
		return ta < tb ? -1 : 1;
	return a < b ? -1 : a > b;
}

/* The line that heads an event; a remark is its sentence. */
static void emit_headline(struct wh_emit *e, const struct wh_event *v)
{
	const char *detail = v->detail && !wh_emit_redacts(e) ? v->detail : "";

	if (v->has_time)
		wh_emit_line(e, WH_STYLE_BOLD, "%llu.%09u s  %s%s%s  (%s)",
			     (unsigned long long)(v->time_ns / 1000000000),
			     (unsigned int)(v->time_ns % 1000000000), v->what, *detail ? "  " : "",
			     detail, v->source);
	else
		wh_emit_line(e, WH_STYLE_BOLD, "%s", *detail ? detail : v->what);
}

static void emit_event(struct wh_emit *e, const struct wh_event *v)
{
	wh_emit_object(e, NULL, "");
	if (v->has_time)
		wh_emit_ns(e, "time_s", NULL, v->time_ns);
	else
		wh_emit_null(e, "time_s");
	wh_emit_str(e, "what", NULL, v->what);
	wh_emit_str(e, "source", NULL, v->source);
	wh_emit_str(e, "detail", NULL, wh_emit_redacts(e) ? NULL : v->detail);
	if (v->has_pid)
		wh_emit_u64(e, "pid", NULL, v->pid, WH_UNIT_NONE);
	if (v->thread)
		wh_emit_hex(e, "thread", NULL, v->thread);
	if (v->tid)
		wh_emit_u64(e, "tid", NULL, v->tid, WH_UNIT_NONE);
	if (v->has_cpu)
		wh_emit_u64(e, "cpu", NULL, v->cpu, WH_UNIT_NONE);
	if (v->address)
		wh_emit_hex(e, "record", NULL, v->address);
	wh_emit_frames(e, "stack", v->frames, v->n_frames);
	emit_headline(e, v);
	if (v->has_pid)
		wh_emit_line(e, WH_STYLE_PLAIN, "    pid %llu", (unsigned long long)v->pid);
	if (v->thread)
		wh_emit_line(e, WH_STYLE_PLAIN, "    thread 0x%llx", (unsigned long long)v->thread);
	if (v->tid)
		wh_emit_line(e, WH_STYLE_PLAIN, "    thread %llu", (unsigned long long)v->tid);
	if (v->has_cpu)
		wh_emit_line(e, WH_STYLE_PLAIN, "    cpu %u", v->cpu);
	wh_emit_frames_text(e, v->frames, v->n_frames, 0, 0);
	wh_emit_end(e);
}

static struct wh_err *one(struct wh_run *run, uint64_t addr, struct wh_arena *mem)
{
	wh_event_vec v = {0};
	WH_AUTO_FREE const struct wh_event **order = NULL;
	uint32_t row = wh_buftab_find(run->target->buftab, addr);
	struct wh_err *e = NULL;

	if (run->target->ops->trail)
		e = run->target->ops->trail(run->target, addr, mem, &v);
	order = wh_calloc(v.n, sizeof(*order));
	if (!e && !order)
		e = &wh_err_nomem;
	if (!e) {
		for (size_t i = 0; i < v.n; i++)
			order[i] = &v.v[i];
		wh_sort(order, v.n, sizeof(*order), by_time);
		wh_emit_object(run->emit, NULL, "");
		wh_emit_hex(run->emit, "address", NULL, addr);
		wh_emit_line(run->emit, WH_STYLE_BOLD, "0x%016llx: %zu event%s%s",
			     (unsigned long long)addr, v.n, v.n == 1 ? "" : "s",
			     v.n		  ? ""
			     : row == WH_ROW_NONE ? "; it lies in no object"
						  : "; nothing was recorded of this object");
		wh_emit_array(run->emit, "events", "");
		for (size_t i = 0; i < v.n; i++)
			emit_event(run->emit, order[i]);
		wh_emit_end(run->emit);
		wh_emit_end(run->emit);
	}
	WH_VEC_FINI(&v);
	return e;
}

static struct wh_err *trail(struct wh_run *run)
{
	WH_TRY(wh_run_each_addr(run, one));
	if (run->target->record_advice && !run->target->recorded)
		wh_emit_str(run->emit, "advice", "next time", run->target->record_advice);
	if (wh_emit_format(run->emit) == WH_FORMAT_JSON)
		wh_run_emit_diags(run);
	return NULL;
}

const struct wh_command wh_cmd_trail = {
	.name = "trail",
	.synopsis = "[options] ADDRESS|SYMBOL... [VMLINUX|PROGRAM] DUMP",
	.summary = "tell what happened to an object, in time order",
	.help = "Merges every record of an object that lies in the dump: allocation and free tracks, "
		"transaction logs, flow traces. Earlier owners of the same memory are part of the "
		"story and are shown too.",
	.examples = "weephole trail 0xffff888004a3c200 vmcore\tthe life of one object\n",
	.groups = WH_OG_OUT | WH_OG_INPUT,
	.args = WH_ARGS_DUMP | WH_ARGS_ADDR,
	.run = trail,
};
