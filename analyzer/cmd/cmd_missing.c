/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/cmd/cmd.h"
#include "analyzer/target/target_user.h"

static const char *state_text(const struct wh_umodule *m)
{
	switch (m->file_state) {
	case WH_UFILE_FOUND:
		return m->debug_file || m->have_types ? "found, with debug information" : "found";
	case WH_UFILE_UNVERIFIED: return "given, but not verified: no build-id";
	case WH_UFILE_MISMATCH: return "another build is there";
	case WH_UFILE_NONE: return "not a file";
	default: return "not found";
	}
}

static const char *build_id_text(const struct wh_umodule *m, struct wh_strbuf *sb)
{
	wh_strbuf_clear(sb);
	for (size_t i = 0; i < m->build_id_len; i++)
		wh_strbuf_printf(sb, "%02x", m->build_id[i]);
	return m->build_id_len ? wh_strbuf_str(sb) : NULL;
}

static bool is_absent(const struct wh_umodule *m)
{
	return m->file_state == WH_UFILE_NOT_FOUND || m->file_state == WH_UFILE_MISMATCH;
}

static uint64_t emit_modules(struct wh_run *run, const struct wh_unames *names)
{
	static const struct wh_column cols[] = {
		{"path", "file", false},       {"build_id", "build-id", false},
		{"state", "state", false},     {"local", "used", false},
		{"symbols", "symbols", false}, {"absent", NULL, false},
		{"debug", NULL, false},
	};
	struct wh_strbuf sb = WH_STRBUF_INIT;
	uint64_t absent = 0;

	wh_emit_table(run->emit, "modules", "", cols, sizeof(cols) / sizeof(cols[0]));
	for (size_t i = 0; i < names->n_modules; i++) {
		const struct wh_umodule *m = &names->modules[i];

		absent += is_absent(m);
		wh_emit_row(run->emit);
		wh_emit_cell_str(run->emit, m->path);
		wh_emit_cell_str(run->emit, build_id_text(m, &sb));
		wh_emit_cell_str(run->emit, state_text(m));
		wh_emit_cell_str(run->emit, m->file);
		wh_emit_cell_str(run->emit, m->sym_source);
		wh_emit_cell_bool(run->emit, is_absent(m));
		wh_emit_cell_str(run->emit, m->debug_file);
	}
	wh_emit_end(run->emit);
	wh_strbuf_fini(&sb);
	return absent;
}

static struct wh_err *missing(struct wh_run *run)
{
	struct wh_user *u;
	uint64_t absent;

	WH_TRY(wh_run_target(run, false));
	u = wh_target_get_user(run->target);
	if (!u)
		return wh_err_new(WH_ERR_USAGE,
				  "missing is for process cores, and this is a dump of a kernel");
	wh_emit_u64(run->emit, "schema", NULL, 1, WH_UNIT_NONE);
	wh_run_emit_dump(run);
	absent = emit_modules(run, u->names);
	wh_emit_u64(run->emit, "absent", NULL, absent, WH_UNIT_NONE);
	if (absent) {
		wh_emit_line(run->emit, WH_STYLE_PLAIN, "%s", "");
		wh_emit_line(
			run->emit, WH_STYLE_BOLD,
			"%llu of %zu files are absent: leaks are found all the same; names, lines and "
			"unwound stacks of these modules are weaker.",
			(unsigned long long)absent, u->names->n_modules);
		wh_emit_line(
			run->emit, WH_STYLE_PLAIN,
			"Fetch them by build-id where the process ran, or with --debuginfod, and give "
			"--sysroot=DIR or --debug-dir=DIR.");
	}
	wh_run_emit_diags(run);
	return NULL;
}

const struct wh_command wh_cmd_missing = {
	.name = "missing",
	.synopsis = "[options] [PROGRAM] CORE",
	.summary = "list the program and libraries of a core that are not at hand",
	.help = "The program and every library of a process core with its build-id, and whether a file of that "
		"build was found: in --sysroot, in each --debug-dir, under /usr/lib/debug/.build-id, beside the "
		"core, and by debuginfod when --debuginfod was given. A file with another build-id is never "
		"used.",
	.examples = "weephole missing core\twhat to fetch\n"
		    "weephole missing --json --sysroot=/srv/rootfs core\tfor programs\n",
	.groups = WH_OG_OUT | WH_OG_INPUT,
	.args = WH_ARGS_DUMP,
	.run = missing,
};
