/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One run: arguments to files and addresses, files to a target, the command, errors to exit codes. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/cmd/findings.h"
#include "analyzer/cmd/output.h"
#include "analyzer/cmd/progress.h"
#include "analyzer/report/leaks_emit.h"

/* ---- what the arguments are ---- */

static struct wh_err *add_file(struct wh_run *run, const char *path)
{
	enum wh_file_kind kind;

	WH_TRY(wh_file_sniff(path, &kind));
	if (run->cmd->args & WH_ARGS_PAIR)
		return WH_VEC_PUSH(&run->files, path);
	if (kind == WH_FILE_SYMBOLS)
		return WH_VEC_PUSH(&run->symbols, path);
	if (kind == WH_FILE_REPORT) {
		if (!(run->cmd->args & WH_ARGS_REPORT))
			return wh_err_new(WH_ERR_USAGE,
					  "%s looks like a saved report; %s wants a dump", path,
					  run->cmd->name);
		return WH_VEC_PUSH(&run->reports, path);
	}
	return WH_VEC_PUSH(&run->files, path);
}

static struct wh_err *add_address(struct wh_run *run, uint64_t addr, const char *name)
{
	WH_TRY(WH_VEC_PUSH(&run->addrs, addr));
	return WH_VEC_PUSH(&run->names, name);
}

/* What is no file may be a symbol of the dump: "slab_caches", "ext4`ext4_iget+0x10", "ns::var". */
static bool looks_like_symbol(const char *s)
{
	return (isalpha((unsigned char)*s) || *s == '_' || *s == '.') && !strchr(s, '/') &&
	       access(s, F_OK) != 0;
}

static struct wh_err *sort_args(struct wh_run *run)
{
	const struct wh_cli *cli = run->cli;

	for (size_t i = 0; i < cli->symbols.n; i++)
		WH_TRY(WH_VEC_PUSH(&run->symbols, cli->symbols.v[i]));
	for (size_t i = 0; i < cli->cores.n; i++)
		WH_TRY(WH_VEC_PUSH(&run->files, cli->cores.v[i]));
	if (run->cmd->args & WH_ARGS_WORDS)
		return NULL;
	for (size_t i = 0; i < cli->args.n; i++) {
		uint64_t addr;

		if ((run->cmd->args & WH_ARGS_ADDR) && wh_parse_address(cli->args.v[i], &addr))
			WH_TRY(add_address(run, addr, NULL));
		else if ((run->cmd->args & WH_ARGS_ADDR) && looks_like_symbol(cli->args.v[i]))
			WH_TRY(add_address(run, 0, cli->args.v[i]));
		else
			WH_TRY(add_file(run, cli->args.v[i]));
	}
	return NULL;
}

static struct wh_err *check_args(const struct wh_run *run)
{
	const struct wh_command *c = run->cmd;

	if ((c->args & WH_ARGS_PAIR) && run->files.n != 2)
		return wh_err_new(WH_ERR_USAGE, "%s wants two dumps or reports: weephole %s %s",
				  c->name, c->name, c->synopsis);
	if ((c->args & WH_ARGS_DUMP) && !run->files.n && !run->reports.n && run->symbols.n)
		return wh_err_new(
			WH_ERR_USAGE,
			"%s is a program or its symbols, no dump: which core or vmcore of "
			"it?  usage: weephole %s %s",
			run->symbols.v[0], c->name, c->synopsis);
	/* Without a dump, the last word that is no address was meant to be one. */
	for (size_t i = run->names.n; !run->files.n && i-- > 0;)
		if (run->names.v[i]) {
			errno = ENOENT;
			return wh_err_os(run->names.v[i], "cannot open");
		}
	if ((c->args & WH_ARGS_DUMP) && !run->files.n && !run->reports.n)
		return wh_err_new(WH_ERR_USAGE, "which dump?  usage: weephole %s %s", c->name,
				  c->synopsis);
	if ((c->args & WH_ARGS_ADDR) && !run->addrs.n)
		return wh_err_new(WH_ERR_USAGE, "which address?  usage: weephole %s %s", c->name,
				  c->synopsis);
	return NULL;
}

/* ---- dump and target ---- */

struct wh_err *wh_run_dump(struct wh_run *run)
{
	if (run->dump)
		return NULL;
	return wh_dump_open(run->ctx, run->files.v, run->files.n, &run->dump);
}

/* "symbol", "symbol+0x10", "symbol-8" */
static struct wh_err *resolve(struct wh_run *run, const char *text, uint64_t *ret)
{
	const struct wh_target *t = run->target;
	size_t len = strlen(text), at = len;
	char name[512], *end;
	uint64_t off = 0;

	/* Operators have signs in their names too: only one with a number behind it is a distance. */
	while (at && text[at] != '+' && text[at] != '-')
		at--;
	if (at && isdigit((unsigned char)text[at + 1])) {
		off = strtoull(text + at + 1, &end, 0);
		if (!*end)
			len = at;
	}
	if (len >= sizeof(name))
		return wh_err_new(WH_ERR_USAGE, "%.40s…: too long for an address", text);
	memcpy(name, text, len);
	name[len] = '\0';
	if (!t->ops->find_symbol || !t->ops->find_symbol(run->target, name, ret))
		return wh_err_new(WH_ERR_NOT_FOUND,
				  "%s is no file, and the dump has no symbol of that name", text);
	if (!text[len])
		return NULL;
	*ret += text[len] == '+' ? off : 0 - off;
	return NULL;
}

/* What was asked for may come from a register or a stack, with a tag or a signature. */
static struct wh_err *resolve_names(struct wh_run *run)
{
	for (size_t i = 0; i < run->names.n; i++) {
		if (run->names.v[i])
			WH_TRY(resolve(run, run->names.v[i], &run->addrs.v[i]));
		run->addrs.v[i] = wh_plan_untag(&run->target->plan, run->addrs.v[i]);
	}
	return NULL;
}

struct wh_err *wh_run_target(struct wh_run *run, bool build)
{
	const struct wh_cli *cli = run->cli;

	if (!run->target) {
		WH_TRY(wh_run_dump(run));
		run->target_opts = (struct wh_target_opts){
			.symbol_files = run->symbols.v,
			.n_symbol_files = run->symbols.n,
			.debug_dirs = cli->debug_dirs.v,
			.n_debug_dirs = cli->debug_dirs.n,
			.sysroot = cli->sysroot,
			.debuginfod = cli->debuginfod,
			.broad_roots = cli->roots && !strcmp(cli->roots, "broad"),
			.no_roots = cli->no_roots.v,
			.n_no_roots = cli->no_roots.n,
		};
		WH_TRY(wh_target_open(run->ctx, run->dump, &run->target_opts, &run->target));
		WH_TRY(resolve_names(run));
	}
	return build ? wh_target_build(run->target) : NULL;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

const char *wh_run_identity(struct wh_run *run, struct wh_arena *mem)
{
	wh_fact_vec facts = {0};
	const char *found = NULL;
	struct wh_err *e = NULL;

	if (run->target->ops->info)
		e = run->target->ops->info(run->target, mem, &facts);
	for (size_t i = 0; !e && i < facts.n && !found; i++)
		if ((!strcmp(facts.v[i].section, "kernel") && !strcmp(facts.v[i].key, "release")) ||
		    (!strcmp(facts.v[i].section, "process") && !strcmp(facts.v[i].key, "program")))
			found = facts.v[i].value;
	wh_err_destroy(e);
	WH_VEC_FINI(&facts);
	return found;
}

void wh_run_emit_dump(struct wh_run *run)
{
	struct wh_arena mem = WH_ARENA_INIT;

	wh_emit_object(run->emit, "dump", NULL);
	wh_emit_str(run->emit, "file", NULL, base_name(run->files.v[0]));
	wh_emit_str(run->emit, "target", NULL, run->target->ops->name);
	wh_emit_str(run->emit, "arch", NULL, run->dump->arch ? run->dump->arch->name : NULL);
	wh_emit_str(run->emit, "identity", NULL, wh_run_identity(run, &mem));
	wh_emit_end(run->emit);
	wh_arena_fini(&mem);
}

struct wh_err *wh_run_each_addr(struct wh_run *run,
				struct wh_err *(*one)(struct wh_run *run, uint64_t addr,
						      struct wh_arena *mem))
{
	struct wh_arena mem = WH_ARENA_INIT;
	struct wh_err *e = NULL;

	WH_TRY(wh_run_target(run, true));
	wh_emit_u64(run->emit, "schema", NULL, 1, WH_UNIT_NONE);
	wh_run_emit_dump(run);
	wh_emit_array(run->emit, "addresses", "");
	for (size_t i = 0; !e && i < run->addrs.n; i++)
		e = one(run, run->addrs.v[i], &mem);
	wh_emit_end(run->emit);
	wh_arena_fini(&mem);
	return e;
}

void wh_run_emit_diags(struct wh_run *run)
{
	wh_emit_diags(run->emit, run->ctx->diags);
}

bool wh_run_incomplete(const struct wh_run *run)
{
	size_t n;
	const struct wh_diag *d = wh_diags_list(run->ctx->diags, &n);

	/* Worst first. */
	if (n && d[0].severity >= WH_DIAG_WARN)
		return true;
	return run->target && run->target->plan.missing.n;
}

/* ---- the run ---- */

static enum wh_format format_of(const struct wh_cli *cli)
{
	if (cli->format)
		for (int f = 0; f < WH_FORMAT_COUNT; f++)
			if (!strcmp(cli->format, wh_format_name((enum wh_format)f)))
				return (enum wh_format)f;
	return cli->json     ? WH_FORMAT_JSON
	       : cli->ndjson ? WH_FORMAT_NDJSON
	       : cli->plain  ? WH_FORMAT_PLAIN
			     : WH_FORMAT_TEXT;
}

#define FORMATS_ALL_HAVE (1u << WH_FORMAT_TEXT | 1u << WH_FORMAT_JSON | 1u << WH_FORMAT_PLAIN)

static struct wh_err *check_format(const struct wh_command *cmd, enum wh_format f)
{
	if ((FORMATS_ALL_HAVE | cmd->formats) >> f & 1)
		return NULL;
	return wh_err_new(WH_ERR_USAGE, "%s has no %s output", cmd->name, wh_format_name(f));
}

static enum wh_progress_mode progress_of(const struct wh_cli *cli)
{
	if (cli->quiet || (cli->progress && !strcmp(cli->progress, "never")))
		return WH_PROGRESS_NEVER;
	if (cli->progress && !strcmp(cli->progress, "always"))
		return WH_PROGRESS_ALWAYS;
	return WH_PROGRESS_AUTO;
}

static int exit_code_of(const struct wh_err *e)
{
	switch (e->code) {
	case WH_ERR_USAGE: return WH_EXIT_USAGE;
	case WH_ERR_CANCELLED: return WH_EXIT_INTERRUPTED;
	case WH_ERR_NOMEM:
	case WH_ERR_INTERNAL: return WH_EXIT_INTERNAL;
	default: return WH_EXIT_INPUT;
	}
}

static int report_error(struct wh_err *e)
{
	int code = exit_code_of(e);
	WH_AUTO_FREE char *text = wh_err_text(e);

	wh_progress_clear();
	if (code == WH_EXIT_INTERRUPTED)
		wh_progress_say_interrupted();
	else
		fprintf(stderr, "weephole: %s\n", text ? text : "out of memory");
	wh_err_destroy(e);
	return code;
}

static struct wh_err *run_command(struct wh_run *run, struct wh_output *out)
{
	struct wh_emit_opts opts = {
		.format = format_of(run->cli), .color = out->color, .redact = run->cli->redact};

	opts.silent = WH_REPORT_FORMATS >> opts.format & 1;
	WH_TRY(check_format(run->cmd, opts.format));
	WH_TRY(sort_args(run));
	WH_TRY(check_args(run));
	run->out = out->f;
	WH_TRY(wh_emit_create(out->f, &opts, &run->emit));
	WH_TRY(run->cmd->run(run));
	run->writing = true;
	return wh_emit_finish(run->emit);
}

static void run_fini(struct wh_run *run)
{
	wh_target_close(run->target);
	wh_dump_close(run->dump);
	wh_emit_destroy(run->emit);
	WH_VEC_FINI(&run->files);
	WH_VEC_FINI(&run->symbols);
	WH_VEC_FINI(&run->reports);
	WH_VEC_FINI(&run->addrs);
	WH_VEC_FINI(&run->names);
}

static int run_all(const struct wh_cli *cli)
{
	struct wh_run run = {.cli = cli, .cmd = cli->cmd};
	struct wh_output out = {0};
	struct wh_err *e;
	int code;

	e = wh_ctx_create((unsigned int)(cli->threads.value > 256 ? 256 : cli->threads.value),
			  &run.ctx);
	if (e)
		return report_error(e);
	wh_progress_start(run.ctx, progress_of(cli));
	e = wh_output_open(cli->output,
			   (cli->cmd->groups & WH_OG_OUT) && !(cli->cmd->groups & WH_OG_SHELL) &&
				   !cli->no_pager && format_of(cli) == WH_FORMAT_TEXT,
			   !cli->no_color, &out);
	if (!e)
		e = run_command(&run, &out);
	wh_progress_clear();
	if (e) {
		wh_output_discard(&out);
		code = report_error(e);
		if (run.writing && code == WH_EXIT_INPUT)
			code = WH_EXIT_INTERNAL;
	} else {
		code = run.exit_code;
		if (!code && cli->strict && wh_run_incomplete(&run))
			code = WH_EXIT_INCOMPLETE;
		e = wh_output_commit(&out);
		if (e) {
			report_error(e);
			code = WH_EXIT_INTERNAL;
		}
	}
	wh_progress_stop(cli->verbose > 0 && code != WH_EXIT_INTERRUPTED);
	run_fini(&run);
	wh_ctx_destroy(run.ctx);
	return code;
}

static int print_help(const struct wh_cli *cli)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;

	if (cli->help_full)
		wh_help_full(&sb, cli->cmd);
	else
		wh_help_short(&sb, cli->cmd);
	fputs(wh_strbuf_str(&sb), stdout);
	wh_strbuf_fini(&sb);
	return fflush(stdout) ? WH_EXIT_INTERNAL : WH_EXIT_OK;
}

int wh_main(int argc, char **argv)
{
	struct wh_cli cli = {0};
	struct wh_err *e = wh_cli_parse(argc, argv, &cli);
	int code;

	if (e)
		code = report_error(e);
	else if (cli.version)
		code = fputs(wh_version, stdout) < 0 ? WH_EXIT_INTERNAL : WH_EXIT_OK;
	else if (cli.print_suppressions) {
		wh_findings_print_suppressions(stdout);
		code = fflush(stdout) ? WH_EXIT_INTERNAL : WH_EXIT_OK;
	} else if (cli.help_short || cli.help_full)
		code = print_help(&cli);
	else if (!cli.cmd) {
		print_help(&cli);
		code = argc > 1 ? WH_EXIT_USAGE : WH_EXIT_OK;
	} else
		code = run_all(&cli);
	wh_cli_fini(&cli);
	return code;
}
