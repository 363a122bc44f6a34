/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scores one made-up dump against the truth that its writer left: every planted leak must be found, with
 * its control address, and nothing else.  score TRUTH.json DUMP [-s SYMBOLS]
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/target/illumos.h"
#include "analyzer/target/targets.h"

struct score {
	struct wh_ctx *ctx;
	struct wh_dump *dump;
	struct wh_target *target;
	const struct wh_marks *marks;
	int bad;
};

static void die(struct wh_err *e)
{
	char *text = wh_err_text(e);

	fprintf(stderr, "error: %s\n", text);
	free(text);
	exit(3);
}

static uint64_t hex_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? strtoull(s, NULL, 16) : 0;
}

/* Rows of libumem begin where malloc's caller sees them: behind a header of 8 or 16 bytes. */
static uint32_t find_row(const struct wh_buftab *t, uint64_t addr)
{
	uint32_t row = wh_buftab_find(t, addr);

	for (uint64_t skip = 8; row == WH_ROW_NONE && skip <= 16; skip += 8)
		row = wh_buftab_find(t, addr + skip);
	return row;
}

static void check_leak(struct score *s, const json_t *leak)
{
	uint64_t addr = hex_of(leak, "addr"), ctl = hex_of(leak, "ctl");
	const char *label = json_string_value(json_object_get(leak, "label"));
	uint32_t row = find_row(s->target->buftab, addr);
	enum wh_verdict v;
	struct wh_illumos_target *il = wh_target_get_illumos(s->target);

	if (row == WH_ROW_NONE) {
		printf("MISSED %s at %" PRIx64 ": no such buffer\n", label, addr);
		s->bad++;
		return;
	}
	v = wh_marks_verdict(s->marks, row);
	if (v == WH_VERDICT_REACHABLE || v == WH_VERDICT_NONE) {
		printf("MISSED %s at %" PRIx64 ": %s\n", label, addr, wh_verdict_name(v));
		s->bad++;
	}
	if (ctl && ctl != addr && il && wh_illumos_row_ctl(il, row) != ctl) {
		printf("CONTROL %s: %" PRIx64 ", expected %" PRIx64 "\n", label,
		       wh_illumos_row_ctl(il, row), ctl);
		s->bad++;
	}
}

static int u64_cmp(const void *pa, const void *pb)
{
	uint64_t a, b;

	memcpy(&a, pa, sizeof(a));
	memcpy(&b, pb, sizeof(b));
	return a < b ? -1 : a > b;
}

/* Addresses of the planted ones, sorted. */
static uint64_t *planted(const json_t *leaks, size_t *ret_n)
{
	size_t i, n = json_array_size(leaks);
	uint64_t *v = calloc(n + 1, sizeof(*v));
	json_t *leak;

	json_array_foreach(leaks, i, leak)
	{
		v[i] = hex_of(leak, "addr");
	}
	qsort(v, n, sizeof(*v), u64_cmp);
	*ret_n = n;
	return v;
}

static void print_diags(struct wh_ctx *ctx)
{
	size_t n;
	const struct wh_diag *d = wh_diags_list(ctx->diags, &n);

	for (size_t i = 0; i < n; i++)
		printf("  %s: %s (%" PRIu64 "): %s\n", wh_severity_name(d[i].severity), d[i].id,
		       d[i].count, d[i].text);
}

static void score(struct score *s, const json_t *truth)
{
	const json_t *leaks = json_object_get(truth, "leaks");
	const uint32_t *rows;
	size_t n, i, n_known;
	uint64_t *known = planted(leaks, &n_known);
	json_t *leak;

	json_array_foreach(leaks, i, leak)
	{
		check_leak(s, leak);
	}
	rows = wh_marks_leaks(s->marks, &n);
	for (i = 0; i < n; i++) {
		uint64_t addr = wh_buftab_addr(s->target->buftab, rows[i]);

		for (uint64_t back = 8; back <= 16; back += 8) {
			uint64_t base = addr - back;

			if (!wh_target_get_illumos(s->target) &&
			    bsearch(&base, known, n_known, sizeof(base), u64_cmp))
				addr = base;
		}
		/* What the dump cannot answer must be called unknown, not leaked. */
		if (bsearch(&addr, known, n_known, sizeof(addr), u64_cmp) ||
		    wh_marks_verdict(s->marks, rows[i]) == WH_VERDICT_UNKNOWN)
			continue;
		printf("FALSE %" PRIx64 " (%s)\n", addr,
		       wh_buftab_class(s->target->buftab,
				       wh_buftab_class_of(s->target->buftab, rows[i]))
			       ->name);
		s->bad++;
	}
	printf("%zu planted, %zu reported, %" PRIu64 " buffers, %d wrong\n", json_array_size(leaks),
	       n, wh_buftab_count(s->target->buftab), s->bad);
	free(known);
}

int main(int argc, char **argv)
{
	struct score s = {0};
	struct wh_target_opts opts = {0};
	const char *symbols[1], *paths[2];
	size_t n_paths = 0;
	json_error_t je;
	json_t *truth;
	struct wh_err *e;

	if (argc < 3)
		return 2;
	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "-s") && i + 1 < argc) {
			symbols[0] = argv[++i];
			opts.symbol_files = symbols;
			opts.n_symbol_files = 1;
		} else if (n_paths < 2) {
			paths[n_paths++] = argv[i];
		}
	}
	truth = json_load_file(argv[1], 0, &je);
	if (!truth) {
		fprintf(stderr, "%s: %s\n", argv[1], je.text);
		return 2;
	}
	e = wh_ctx_create(0, &s.ctx);
	if (!e)
		e = wh_dump_open(s.ctx, paths, n_paths, &s.dump);
	if (!e)
		e = wh_target_open(s.ctx, s.dump, &opts, &s.target);
	if (!e)
		e = wh_target_mark(s.target, &s.marks);
	if (e)
		die(e);
	score(&s, truth);
	if (s.bad || getenv("SCORE_VERBOSE"))
		print_diags(s.ctx);
	wh_target_close(s.target);
	wh_dump_close(s.dump);
	wh_ctx_destroy(s.ctx);
	json_decref(truth);
	return s.bad ? 1 : 0;
}
