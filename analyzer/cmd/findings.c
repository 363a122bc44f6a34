/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/cmd/findings.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/cmd/gate.h"
#include "analyzer/name/frame.h"

#define TEXT_LIMIT   50
#define TEXT_CALLERS 16
#define KINDS_SHOWN  (1u << WH_LEAK_DEFINITE | 1u << WH_LEAK_POSSIBLE | 1u << WH_LEAK_UNKNOWN)

static unsigned int choice(const char *value, const char *const *words, size_t n)
{
	for (unsigned int i = 0; value && i < n; i++)
		if (!strcmp(value, words[i]))
			return i;
	return 0;
}

static void options(const struct wh_cli *cli, struct wh_leaks_opts *ret)
{
	static const char *const group_by[] = {"stack", "site", "signature", "cache"};
	static const char *const sort[] = {"bytes", "count", "retained", "age"};

	ret->group_by = (enum wh_group_by)choice(cli->group_by, group_by, 4);
	ret->sort = (enum wh_sort_by)choice(cli->sort, sort, 4);
}

static struct wh_err *read_suppressions(const struct wh_cli *cli, struct wh_suppressions *s)
{
	for (size_t i = 0; i < cli->suppressions.n; i++)
		WH_TRY(wh_suppressions_add_file(s, cli->suppressions.v[i]));
	return cli->no_builtin_suppressions ? NULL : wh_suppressions_add_builtin(s);
}

struct wh_err *wh_findings_build(struct wh_run *run, struct wh_findings *ret)
{
	const struct wh_cli *cli = run->cli;
	struct wh_leaks_opts opts = {.suppressions = &ret->suppressions};

	options(cli, &opts);
	opts.with_possible =
		(cli->show_kinds.given && cli->show_kinds.value >> WH_LEAK_POSSIBLE & 1) ||
		(cli->fail_on.given && cli->fail_on.value >> WH_LEAK_POSSIBLE & 1);
	opts.possible_apart = ret->list_possible && !opts.with_possible;
	WH_TRY(read_suppressions(cli, &ret->suppressions));
	WH_TRY(wh_run_target(run, true));
	WH_TRY(wh_leaks_build(run->target, &opts, &ret->leaks));
	ret->view = (struct wh_leaks_view){
		.leaks = &ret->leaks,
		.target = run->target,
		.suppressions = &ret->suppressions,
		.limit = cli->limit.given ? cli->limit.value : TEXT_LIMIT,
		.num_callers = cli->num_callers.given ? cli->num_callers.value : TEXT_CALLERS,
		.show_kinds = cli->show_kinds.given ? (uint32_t)cli->show_kinds.value : KINDS_SHOWN,
		.details = cli->details,
		.verbose = cli->verbose > 0,
		.incomplete = wh_run_incomplete(run),
	};
	return NULL;
}

void wh_findings_fini(struct wh_findings *f)
{
	wh_leaks_fini(&f->leaks);
	wh_suppressions_fini(&f->suppressions);
}

void wh_findings_print_suppressions(FILE *out)
{
	struct wh_suppressions s = {0};
	struct wh_err *e = wh_suppressions_add_builtin(&s);

	wh_err_destroy(e);
	for (size_t i = 0; i < s.rules.n; i++) {
		const struct wh_suppression *r = &s.rules.v[i];

		fprintf(out, "# %s\n", r->reason);
		if (r->content)
			fprintf(out,
				"# built in only: cache %s, no stack recorded, contents %s\n\n",
				r->cache, r->content);
		else
			fprintf(out, "leak:%s\n\n", r->pattern);
	}
	wh_suppressions_fini(&s);
}

/* LSan's form; the first named frame that is not the allocator's says most; without one, the cache. */
static void gen_suppressions(struct wh_run *run, const struct wh_findings *f)
{
	for (size_t i = 0; i < f->leaks.groups.n; i++) {
		const struct wh_leak_group *g = &f->leaks.groups.v[i];
		const struct wh_frame *site = NULL;

		if (wh_leak_group_kind(g) == WH_LEAK_SUPPRESSED)
			continue;
		for (size_t k = g->skip; k < g->n_frames && !site; k++)
			if (g->frames[k].symbol && !g->frames[k].inlined)
				site = &g->frames[k];
		fprintf(run->out, "# group %u: %llu bytes in %llu objects of %s\n", g->id,
			(unsigned long long)g->all.bytes, (unsigned long long)g->all.count,
			g->cache);
		if (site)
			fprintf(run->out, "leak:^%.*s\n", (int)wh_symbol_stem(site->symbol),
				site->symbol);
		else
			fprintf(run->out, "leak:^%s$\n", g->cache);
	}
}

static void emit_report(struct wh_run *run, const struct wh_findings *f, const struct wh_gate *g)
{
	wh_leaks_emit_verdict(run->emit, &f->view);
	wh_gate_emit(run->emit, g, run->cli->verbose > 0);
	wh_run_emit_dump(run);
	wh_leaks_emit_groups(run->emit, &f->view);
	wh_leaks_emit_totals(run->emit, &f->view);
	if (!run->cli->quiet || wh_emit_format(run->emit) != WH_FORMAT_TEXT)
		wh_run_emit_diags(run);
	wh_leaks_emit_summary(run->emit, &f->view);
}

static struct wh_err *write_other(struct wh_run *run, const struct wh_findings *f,
				  const struct wh_gate *g)
{
	const char *slash = strrchr(run->files.v[0], '/');
	struct wh_arena mem = WH_ARENA_INIT;
	wh_cache_vec caches = {0};
	struct wh_report r = {.view = &f->view,
			      .file = slash ? slash + 1 : run->files.v[0],
			      .version = WH_VERSION,
			      .diags = run->ctx->diags,
			      .redact = run->cli->redact,
			      .findings = g->findings,
			      .caches = &caches};
	struct wh_err *e = NULL;

	r.identity = wh_run_identity(run, &mem);
	if (wh_emit_format(run->emit) == WH_FORMAT_HTML && run->target->ops->caches)
		e = run->target->ops->caches(run->target, &mem, &caches);
	if (!e)
		e = wh_report_write(run->out, wh_emit_format(run->emit), &r);
	WH_VEC_FINI(&caches);
	wh_arena_fini(&mem);
	return e;
}

static struct wh_err *judge_and_report(struct wh_run *run, struct wh_findings *f, struct wh_gate *g)
{
	enum wh_format format = wh_emit_format(run->emit);

	f->list_possible = format == WH_FORMAT_JSON;
	WH_TRY(wh_findings_build(run, f));
	WH_TRY(wh_gate_judge(run, f, g));
	if (g->active)
		f->view.policy_findings = g->findings;
	run->exit_code = wh_gate_exit_code(run->cli, g);
	if (run->cli->gen_suppressions)
		gen_suppressions(run, f);
	else if (WH_REPORT_FORMATS >> format & 1)
		return write_other(run, f, g);
	else
		emit_report(run, f, g);
	return NULL;
}

struct wh_err *wh_findings_run(struct wh_run *run, bool is_check)
{
	struct wh_findings f = {0};
	struct wh_gate g = {0};
	struct wh_err *e = wh_gate_open(run->cli, is_check, &g);

	if (!e)
		e = judge_and_report(run, &f, &g);
	wh_findings_fini(&f);
	wh_gate_close(&g);
	return e;
}
