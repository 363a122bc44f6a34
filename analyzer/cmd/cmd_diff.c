/* SPDX-License-Identifier: GPL-2.0-or-later */
/* diff: two dumps, two saved reports or baselines, or one of each; growth first. */
#include <stdlib.h>
#include <string.h>

#include "analyzer/cmd/findings.h"
#include "analyzer/report/baseline.h"

/* A dump in the place of OLD or NEW is analysed with the same options, in a run of its own. */
static struct wh_err *from_dump(struct wh_run *run, const char *path, struct wh_baseline *ret)
{
	struct wh_run one = {.ctx = run->ctx, .cli = run->cli, .cmd = run->cmd};
	struct wh_findings f = {0};
	struct wh_err *e = WH_VEC_PUSH(&one.files, path);

	one.symbols = run->symbols; /* borrowed */
	if (!e)
		e = wh_findings_build(&one, &f);
	if (!e)
		e = wh_baseline_from_leaks(&f.leaks, ret);
	wh_findings_fini(&f);
	wh_target_close(one.target);
	wh_dump_close(one.dump);
	WH_VEC_FINI(&one.files);
	return e ? wh_err_wrap(e, "%s", path) : NULL;
}

static struct wh_err *load(struct wh_run *run, const char *path, struct wh_baseline *ret)
{
	enum wh_file_kind kind;
	char head[20] = "";
	FILE *f;

	WH_TRY(wh_file_sniff(path, &kind));
	f = fopen(path, "re");
	if (f) {
		if (!fgets(head, sizeof(head), f))
			head[0] = '\0';
		fclose(f);
	}
	if (kind == WH_FILE_REPORT || !strncmp(head, "# weephole baseline", 19))
		return wh_baseline_read(path, ret);
	return from_dump(run, path, ret);
}

static const char *state_of(const struct wh_change *c)
{
	if (!c->before.count)
		return "new";
	if (!c->after.count)
		return "gone";
	if (c->after.bytes > c->before.bytes || c->after.count > c->before.count)
		return "grown";
	return c->after.bytes < c->before.bytes || c->after.count < c->before.count ? "shrunk"
										    : "unchanged";
}

static void emit_changes(struct wh_run *run, const wh_change_vec *v)
{
	static const struct wh_column cols[] = {
		{"state", "state", false},	   {"delta_bytes", "bytes", true},
		{"delta_count", "objects", true},  {"before_bytes", NULL, true},
		{"before_count", NULL, true},	   {"after_bytes", "now", true},
		{"after_count", NULL, true},	   {"cache", "cache", false},
		{"signature", "signature", false}, {"stack", "allocated by", false},
	};
	uint64_t limit = run->cli->limit.given ? run->cli->limit.value : 50, left = 0;
	bool text = wh_emit_format(run->emit) == WH_FORMAT_TEXT;

	wh_emit_table(run->emit, "groups", "By stack", cols, sizeof(cols) / sizeof(cols[0]));
	for (size_t i = 0; i < v->n; i++) {
		const struct wh_change *c = &v->v[i];

		if (text && (!strcmp(state_of(c), "unchanged") || (limit && i >= limit))) {
			left++;
			continue;
		}
		wh_emit_row(run->emit);
		wh_emit_cell_str(run->emit, state_of(c));
		wh_emit_cell_i64(run->emit, (int64_t)(c->after.bytes - c->before.bytes));
		wh_emit_cell_i64(run->emit, (int64_t)(c->after.count - c->before.count));
		wh_emit_cell_u64(run->emit, c->before.bytes);
		wh_emit_cell_u64(run->emit, c->before.count);
		wh_emit_cell_u64(run->emit, c->after.bytes);
		wh_emit_cell_u64(run->emit, c->after.count);
		wh_emit_cell_str(run->emit, c->entry->cache);
		wh_emit_cell_str(run->emit, c->entry->signature);
		wh_emit_cell_str(run->emit, c->entry->stack);
	}
	wh_emit_end(run->emit);
	if (left)
		wh_emit_line(run->emit, WH_STYLE_DIM,
			     "%llu more, unchanged or beyond --limit, not shown",
			     (unsigned long long)left);
}

/* ---- per cache ---- */

struct cache_sum {
	const char *name;
	struct wh_tally before, after;
};

static int cache_name_cmp(const void *pa, const void *pb)
{
	const struct cache_sum *a = pa, *b = pb;

	return strcmp(a->name, b->name);
}

static int cache_growth_cmp(const void *pa, const void *pb)
{
	const struct cache_sum *a = pa, *b = pb;
	int64_t da = (int64_t)(a->after.bytes - a->before.bytes);
	int64_t db = (int64_t)(b->after.bytes - b->before.bytes);

	return da != db ? (da > db ? -1 : 1) : strcmp(a->name, b->name);
}

static struct wh_err *emit_caches(struct wh_emit *e, const wh_change_vec *v)
{
	static const struct wh_column cols[] = {
		{"cache", "cache", false},	  {"delta_bytes", "bytes", true},
		{"delta_count", "objects", true}, {"before_bytes", "before", true},
		{"after_bytes", "now", true},
	};
	WH_AUTO_FREE struct cache_sum *sums = wh_calloc(v->n, sizeof(*sums));
	size_t n = 0;

	if (!sums)
		return &wh_err_nomem;
	for (size_t i = 0; i < v->n; i++)
		sums[i] = (struct cache_sum){v->v[i].entry->cache, v->v[i].before, v->v[i].after};
	wh_sort(sums, v->n, sizeof(*sums), cache_name_cmp);
	for (size_t i = 0; i < v->n; i++) {
		if (n && !strcmp(sums[n - 1].name, sums[i].name)) {
			wh_tally_add(&sums[n - 1].before, sums[i].before.count,
				     sums[i].before.bytes);
			wh_tally_add(&sums[n - 1].after, sums[i].after.count, sums[i].after.bytes);
		} else {
			sums[n++] = sums[i];
		}
	}
	wh_sort(sums, n, sizeof(*sums), cache_growth_cmp);
	wh_emit_table(e, "caches", "By cache", cols, sizeof(cols) / sizeof(cols[0]));
	for (size_t i = 0; i < n; i++) {
		wh_emit_row(e);
		wh_emit_cell_str(e, sums[i].name);
		wh_emit_cell_i64(e, (int64_t)(sums[i].after.bytes - sums[i].before.bytes));
		wh_emit_cell_i64(e, (int64_t)(sums[i].after.count - sums[i].before.count));
		wh_emit_cell_u64(e, sums[i].before.bytes);
		wh_emit_cell_u64(e, sums[i].after.bytes);
	}
	wh_emit_end(e);
	return NULL;
}

static void put_tally(struct wh_strbuf *sb, const struct wh_tally *t)
{
	wh_text_u64(sb, t->count);
	wh_strbuf_puts(sb, " objects (");
	wh_text_u64(sb, t->bytes);
	wh_strbuf_puts(sb, " bytes)");
}

static void emit_totals(struct wh_emit *e, const wh_change_vec *v)
{
	WH_CLEANUP(wh_strbuf_fini) struct wh_strbuf sb = WH_STRBUF_INIT;
	struct wh_tally before = {0, 0}, after = {0, 0};

	for (size_t i = 0; i < v->n; i++) {
		wh_tally_add(&before, v->v[i].before.count, v->v[i].before.bytes);
		wh_tally_add(&after, v->v[i].after.count, v->v[i].after.bytes);
	}
	wh_emit_object(e, "totals", NULL);
	wh_emit_u64(e, "before_count", NULL, before.count, WH_UNIT_NONE);
	wh_emit_u64(e, "before_bytes", NULL, before.bytes, WH_UNIT_NONE);
	wh_emit_u64(e, "after_count", NULL, after.count, WH_UNIT_NONE);
	wh_emit_u64(e, "after_bytes", NULL, after.bytes, WH_UNIT_NONE);
	wh_emit_end(e);
	wh_emit_line(e, WH_STYLE_PLAIN, "%s", "");
	wh_strbuf_puts(&sb, "SUMMARY: ");
	put_tally(&sb, &before);
	wh_strbuf_puts(&sb, " before, ");
	put_tally(&sb, &after);
	wh_emit_line(e, WH_STYLE_BOLD, "%s now", wh_strbuf_str(&sb));
}

static struct wh_err *emit_diff(struct wh_run *run, const struct wh_baseline *before,
				const struct wh_baseline *after)
{
	wh_change_vec v = {0};
	size_t states[3] = {0};
	struct wh_err *e = wh_baseline_compare(before, after, &v);

	for (size_t i = 0; !e && i < v.n; i++) {
		const char *s = state_of(&v.v[i]);

		states[0] += !strcmp(s, "new");
		states[1] += !strcmp(s, "grown");
		states[2] += !strcmp(s, "gone");
	}
	if (!e) {
		wh_emit_u64(run->emit, "schema", NULL, WH_REPORT_SCHEMA, WH_UNIT_NONE);
		wh_emit_line(run->emit, states[0] + states[1] ? WH_STYLE_BAD : WH_STYLE_GOOD,
			     "%zu new, %zu grown, %zu gone of %zu leak signatures.", states[0],
			     states[1], states[2], v.n);
		emit_changes(run, &v);
		e = emit_caches(run->emit, &v);
	}
	if (!e) {
		emit_totals(run->emit, &v);
		wh_run_emit_diags(run);
	}
	WH_VEC_FINI(&v);
	return e;
}

static struct wh_err *diff(struct wh_run *run)
{
	struct wh_baseline before = {0}, after = {0};
	struct wh_err *e = load(run, run->files.v[0], &before);

	if (!e)
		e = load(run, run->files.v[1], &after);
	if (!e)
		e = emit_diff(run, &before, &after);
	wh_baseline_fini(&before);
	wh_baseline_fini(&after);
	return e;
}

const struct wh_command wh_cmd_diff = {
	.name = "diff",
	.synopsis = "[options] OLD NEW",
	.summary = "compare the leaks of two dumps or saved reports, growth first",
	.help = "OLD and NEW are dumps, saved JSON reports or baselines, in any mixture. Leaks are "
		"compared by signature, not by address, so the two need not be of one boot or one "
		"build. Per stack and per cache: new, grown, shrunk, gone; growth first.",
	.examples = "weephole diff monday.vmcore friday.vmcore\twhat leaks more now\n"
		    "weephole diff old.json new.json\tsaved reports: findleaks --json -o\n",
	.groups = WH_OG_OUT | WH_OG_INPUT | WH_OG_SCAN | WH_OG_GROUPS,
	.args = WH_ARGS_PAIR,
	.run = diff,
};
