/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/cmd/cmd.h"
#include "analyzer/report/leaks_emit.h"

/* The buffer's own record: row, state, who allocated it. */
static struct wh_err *emit_buffer(struct wh_run *run, uint64_t addr, struct wh_arena *mem)
{
	static const char *const states[WH_BUF_STATE_COUNT] = {"allocated", "pending", "unsure",
							       "free"};
	struct wh_target *t = run->target;
	uint32_t row = wh_buftab_find(t->buftab, addr);
	WH_CLEANUP(wh_strbuf_fini) struct wh_strbuf sb = WH_STRBUF_INIT;
	struct wh_row_type type = {0};
	struct wh_origin o = {0};
	uint64_t base;

	if (row == WH_ROW_NONE) {
		wh_emit_null(run->emit, "buffer");
		return NULL;
	}
	if (t->ops->origin)
		WH_TRY(t->ops->origin(t, row, mem, &o));
	if (t->ops->type)
		WH_TRY(t->ops->type(t, row, mem, &type));
	base = wh_buftab_addr(t->buftab, row);
	wh_emit_object(run->emit, "buffer", "");
	wh_emit_hex(run->emit, "address", "object", base);
	wh_emit_u64(run->emit, "offset", "offset into it", addr - base, WH_UNIT_NONE);
	wh_emit_u64(run->emit, "size", "size", wh_buftab_size(t->buftab, row), WH_UNIT_BYTES);
	wh_emit_str(run->emit, "cache", "cache",
		    wh_buftab_class(t->buftab, wh_buftab_class_of(t->buftab, row))->name);
	wh_emit_str(run->emit, "state", "state", states[wh_buftab_state(t->buftab, row)]);
	wh_emit_type(run->emit, &type);
	if (type.name)
		wh_type_text(&sb, &type);
	wh_emit_str(run->emit, NULL, type.name ? "type" : NULL, wh_strbuf_str(&sb));
	wh_emit_str(run->emit, "source", o.n_frames ? "allocated by" : NULL, o.source);
	wh_emit_frames(run->emit, "stack", o.frames, o.n_frames);
	wh_emit_frames_text(run->emit, o.frames, o.n_frames, 0, 0);
	if (o.has_pid)
		wh_emit_u64(run->emit, "pid", "pid", o.pid, WH_UNIT_NONE);
	if (o.thread)
		wh_emit_hex(run->emit, "thread", "thread", o.thread);
	if (o.tid)
		wh_emit_u64(run->emit, "tid", "thread", o.tid, WH_UNIT_NONE);
	if (o.has_time)
		wh_emit_ns(run->emit, "age_s", "age", o.age_ns);
	wh_emit_end(run->emit);
	return NULL;
}

static struct wh_err *one(struct wh_run *run, uint64_t addr, struct wh_arena *mem)
{
	static const struct wh_column cols[] = {
		{"kind", "kind", false},
		{"base", "base", false},
		{"size", "size", true},
		{"text", "what", false},
	};
	wh_whatis_vec v = {0};
	struct wh_err *e = NULL;

	if (run->target->ops->whatis)
		e = run->target->ops->whatis(run->target, addr, mem, &v);
	if (!e) {
		wh_emit_object(run->emit, NULL, "");
		wh_emit_hex(run->emit, "address", NULL, addr);
		wh_emit_line(run->emit, WH_STYLE_BOLD, "0x%016llx%s", (unsigned long long)addr,
			     v.n ? "" : ": nothing is known of this address");
		wh_emit_table(run->emit, "answers", v.n ? "" : NULL, cols, 4);
		for (size_t i = 0; i < v.n; i++) {
			wh_emit_row(run->emit);
			wh_emit_cell_str(run->emit, v.v[i].kind);
			wh_emit_cell_hex(run->emit, v.v[i].base);
			wh_emit_cell_u64(run->emit, v.v[i].size);
			wh_emit_cell_str(run->emit, v.v[i].text);
		}
		wh_emit_end(run->emit);
		e = emit_buffer(run, addr, mem);
		wh_emit_end(run->emit);
	}
	WH_VEC_FINI(&v);
	return e;
}

static struct wh_err *whatis(struct wh_run *run)
{
	WH_TRY(wh_run_each_addr(run, one));
	if (wh_emit_format(run->emit) == WH_FORMAT_JSON)
		wh_run_emit_diags(run);
	return NULL;
}

const struct wh_command wh_cmd_whatis = {
	.name = "whatis",
	.synopsis = "[options] ADDRESS|SYMBOL... [VMLINUX|PROGRAM] DUMP",
	.summary = "say what an address is: object, slab, page, symbol, stack",
	.help = "Everything that is known of an address, most specific first: the object and its cache, "
		"slab, page and its class, vmalloc area, symbol, task stack, per-CPU area; and, when it "
		"lies in an object, the object's state and who allocated it.\n\n"
		"An address is hexadecimal, with or without 0x, or a symbol: slab_caches, "
		"ext4`ext4_iget+0x10.",
	.examples = "weephole whatis 0xffff888004a3c200 vmcore\none address\n"
		    "weephole whatis --json ffffffff81e0a2c0 ffff888004a3c200 vmcore\tseveral\n"
		    "weephole whatis init_task+0x10 vmcore\tby name\n",
	.groups = WH_OG_OUT | WH_OG_INPUT,
	.args = WH_ARGS_DUMP | WH_ARGS_ADDR,
	.run = whatis,
};
