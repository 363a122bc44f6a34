/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/cmd/gate.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/cmd/output.h"

#define KINDS_CHECK (1u << WH_LEAK_DEFINITE)
#define KINDS_ALL   ((1u << WH_LEAK_SUPPRESSED) - 1)

struct wh_err *wh_gate_parse_threshold(const char *s, uint64_t *ret, bool *ret_objects)
{
	static const char units[] = "kmgt";
	bool objects = false;
	const char *u;
	char *end;
	uint64_t v;

	errno = 0;
	v = strtoull(s, &end, 10);
	u = *end ? strchr(units, tolower((unsigned char)*end)) : NULL;
	if (u) {
		unsigned int shift = 10 * (unsigned int)(u - units + 1);

		if (v > UINT64_MAX >> shift)
			errno = ERANGE;
		v <<= shift;
		end++;
	} else if (*end == 'x') {
		objects = true;
		end++;
	}
	if (!isdigit((unsigned char)*s) || *end || errno)
		return wh_err_new(WH_ERR_USAGE,
				  "--threshold wants bytes (4096, 64K, 1M) or objects (10x), not "
				  "'%s'",
				  s);
	*ret = v;
	*ret_objects = objects;
	return NULL;
}

struct wh_err *wh_gate_open(const struct wh_cli *cli, bool is_check, struct wh_gate *ret)
{
	ret->active = is_check || cli->fail_on.given || cli->baseline || cli->threshold;
	ret->kinds = cli->fail_on.given ? (uint32_t)cli->fail_on.value & KINDS_ALL : KINDS_CHECK;
	if (cli->error_exitcode.value > 255)
		return wh_err_new(WH_ERR_USAGE, "--error-exitcode wants 0 to 255");
	if (cli->threshold)
		WH_TRY(wh_gate_parse_threshold(cli->threshold, &ret->threshold,
					       &ret->threshold_objects));
	if (!cli->baseline)
		return NULL;
	ret->has_baseline = true;
	return wh_baseline_read(cli->baseline, &ret->old);
}

static bool over(const struct wh_gate *gate, const struct wh_leak_group *g)
{
	struct wh_tally t = {0, 0};
	uint64_t v, base;

	for (int k = 0; k < WH_LEAK_KIND_COUNT; k++)
		if (gate->kinds >> k & 1)
			wh_tally_add(&t, g->kinds[k].count, g->kinds[k].bytes);
	if (!t.count || (gate->has_baseline && g->delta == WH_DELTA_SAME))
		return false;
	if (!gate->threshold)
		return true;
	v = gate->threshold_objects ? t.count : t.bytes;
	base = gate->threshold_objects ? g->base.count : g->base.bytes;
	return v > base && v - base > gate->threshold;
}

static void count_deltas(struct wh_gate *g)
{
	for (size_t i = 0; i < g->old.entries.n; i++)
		g->gone += !wh_baseline_find(&g->now, g->old.entries.v[i].signature);
	for (size_t i = 0; i < g->now.entries.n; i++) {
		const struct wh_baseline_entry *e = &g->now.entries.v[i];
		const struct wh_baseline_entry *old = wh_baseline_find(&g->old, e->signature);

		g->deltas[!old ? WH_DELTA_NEW
			  : e->tally.count > old->tally.count || e->tally.bytes > old->tally.bytes
				  ? WH_DELTA_GROWN
				  : WH_DELTA_SAME]++;
	}
}

static struct wh_err *write_baseline(const struct wh_gate *g, const char *path)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;
	struct wh_err *e;

	wh_baseline_print(&g->now, &sb);
	e = sb.failed ? &wh_err_nomem : wh_output_replace(path, wh_strbuf_str(&sb), sb.len);
	wh_strbuf_fini(&sb);
	return e;
}

struct wh_err *wh_gate_judge(struct wh_run *run, struct wh_findings *f, struct wh_gate *g)
{
	struct wh_leaks *l = &f->leaks;

	WH_TRY(wh_baseline_from_leaks(l, &g->now));
	if (run->cli->write_baseline)
		WH_TRY(write_baseline(g, run->cli->write_baseline));
	if (!g->active)
		return NULL;
	if (g->has_baseline) {
		wh_baseline_apply(&g->old, &g->now, l);
		count_deltas(g);
	}
	g->findings = wh_calloc(l->groups.n, sizeof(*g->findings));
	if (!g->findings)
		return &wh_err_nomem;
	for (size_t i = 0; i < l->groups.n; i++) {
		g->findings[i] = over(g, &l->groups.v[i]);
		g->n_findings += g->findings[i];
	}
	return NULL;
}

static void emit_gone(struct wh_emit *e, const struct wh_gate *g, bool verbose)
{
	static const struct wh_column cols[] = {
		{"signature", "gone since the baseline", false},
		{"count", "objects", true},
		{"bytes", "bytes", true},
		{"cache", "cache", false},
		{"stack", NULL, false},
	};

	wh_emit_table(e, "gone_groups", verbose && g->gone ? "" : NULL, cols, 5);
	for (size_t i = 0; i < g->old.entries.n; i++) {
		const struct wh_baseline_entry *o = &g->old.entries.v[i];

		if (wh_baseline_find(&g->now, o->signature))
			continue;
		wh_emit_row(e);
		wh_emit_cell_str(e, o->signature);
		wh_emit_cell_u64(e, o->tally.count);
		wh_emit_cell_u64(e, o->tally.bytes);
		wh_emit_cell_str(e, o->cache);
		wh_emit_cell_str(e, o->stack);
	}
	wh_emit_end(e);
}

void wh_gate_emit(struct wh_emit *e, const struct wh_gate *g, bool verbose)
{
	if (!g->active)
		return;
	wh_emit_object(e, "check", "");
	wh_emit_bool(e, "passed", NULL, !g->n_findings);
	wh_emit_u64(e, "findings", NULL, g->n_findings, WH_UNIT_NONE);
	wh_emit_line(e, g->n_findings ? WH_STYLE_BAD : WH_STYLE_GOOD,
		     g->n_findings ? "FAIL: %llu groups over policy" : "PASS: no group over policy",
		     (unsigned long long)g->n_findings);
	if (g->has_baseline) {
		wh_emit_u64(e, "new", NULL, g->deltas[WH_DELTA_NEW], WH_UNIT_NONE);
		wh_emit_u64(e, "grown", NULL, g->deltas[WH_DELTA_GROWN], WH_UNIT_NONE);
		wh_emit_u64(e, "unchanged", NULL, g->deltas[WH_DELTA_SAME], WH_UNIT_NONE);
		wh_emit_u64(e, "gone", NULL, g->gone, WH_UNIT_NONE);
		wh_emit_line(
			e, WH_STYLE_PLAIN,
			"against the baseline: %llu new, %llu grown, %llu unchanged, %llu gone",
			(unsigned long long)g->deltas[WH_DELTA_NEW],
			(unsigned long long)g->deltas[WH_DELTA_GROWN],
			(unsigned long long)g->deltas[WH_DELTA_SAME], (unsigned long long)g->gone);
		emit_gone(e, g, verbose);
	}
	wh_emit_end(e);
}

int wh_gate_exit_code(const struct wh_cli *cli, const struct wh_gate *g)
{
	if (!g->active || !g->n_findings)
		return WH_EXIT_OK;
	return cli->error_exitcode.given ? (int)cli->error_exitcode.value : WH_EXIT_FINDINGS;
}

void wh_gate_close(struct wh_gate *g)
{
	wh_baseline_fini(&g->old);
	wh_baseline_fini(&g->now);
	free(g->findings);
}
