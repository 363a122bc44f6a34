/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The leak model and everything that prints it, on invented targets. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/cmd/findings.h"
#include "analyzer/cmd/gate.h"
#include "analyzer/name/frame.h"
#include "analyzer/report/baseline.h"
#include "analyzer/report/formats.h"
#include "tests/gen/expect.h"
#include "tests/gen/fake_target.h"

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))
#define SECRET	"hunter2-secret-contents"

static const struct fake_obj objs[] = {
	/* cache, size, holder, stack, content, time, text */
	{"kmalloc-64", 64, FAKE_ROOT, 1, NULL, 0, NULL},		       /* 0 live */
	{"kmalloc-64", 64, 0, 1, NULL, 0, NULL},			       /* 1 live, by 0 */
	{"kmalloc-64", 64, FAKE_NOBODY, 2, NULL, 9000000000, SECRET},	       /* 2 head */
	{"kmalloc-128", 128, 2, 3, NULL, 8000000000, NULL},		       /* 3 hangs off 2 */
	{"kmalloc-64", 64, FAKE_NOBODY, 2, NULL, 7000000000, NULL},	       /* 4 as 2, older */
	{"dentry", 192, FAKE_NOBODY, 0, "ops=secret_ops", 0, NULL},	       /* 5 weak */
	{"kmalloc-96", 96, FAKE_PASTEND, 4, NULL, 0, NULL},		       /* 6 */
	{"kmalloc-96", 96, FAKE_ODD, 5, NULL, 0, NULL},			       /* 7 */
	{"kmalloc-cg-96", 96, FAKE_NOBODY, 0, "sysctl_table_root,x", 0, NULL}, /* 8 built in */
	{"kmalloc-64", 64, 8, 6, NULL, 0, NULL},			       /* 9 hangs off 8 */
};

struct world {
	struct fake *f;
	struct wh_suppressions sup;
	struct wh_leaks leaks;
	struct wh_leaks_view view;
};

static void must(struct wh_err *e)
{
	char *text = e ? wh_err_text(e) : NULL;

	ck_assert_msg(!e, "%s", text);
	free(text);
}

static void world_make(struct world *w, const struct fake_obj *o, size_t n, uint64_t slide,
		       unsigned int threads, bool builtin)
{
	struct wh_leaks_opts opts = {.suppressions = &w->sup};

	memset(w, 0, sizeof(*w));
	w->f = fake_create(o, n, slide, threads, 0);
	if (builtin)
		must(wh_suppressions_add_builtin(&w->sup));
	must(wh_leaks_build(w->f->target, &opts, &w->leaks));
	w->view = (struct wh_leaks_view){
		.leaks = &w->leaks,
		.target = w->f->target,
		.suppressions = &w->sup,
		.show_kinds = 7,
		.details = true,
	};
}

static void world_fini(struct world *w)
{
	wh_leaks_fini(&w->leaks);
	wh_suppressions_fini(&w->sup);
	fake_destroy(w->f);
}

/* The whole report in one format, as the command writes it. */
static char *render(struct world *w, enum wh_format format, bool redact)
{
	struct wh_emit_opts opts = {.format = format, .redact = redact};
	struct wh_report r = {.view = &w->view,
			      .file = "fake.core",
			      .identity = "6.1-fake",
			      .version = "0",
			      .diags = w->f->ctx->diags,
			      .redact = redact};
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	struct wh_emit *e;

	if (WH_REPORT_FORMATS >> format & 1) {
		must(wh_report_write(f, format, &r));
	} else {
		must(wh_emit_create(f, &opts, &e));
		wh_leaks_emit_verdict(e, &w->view);
		wh_leaks_emit_groups(e, &w->view);
		wh_leaks_emit_totals(e, &w->view);
		wh_emit_diags(e, w->f->ctx->diags);
		wh_leaks_emit_summary(e, &w->view);
		must(wh_emit_finish(e));
		wh_emit_destroy(e);
	}
	fclose(f);
	return text;
}

static const struct wh_leak *leak_of(struct world *w, size_t obj)
{
	uint32_t row = wh_buftab_find(w->f->target->buftab, w->f->addr[obj]);

	for (size_t i = 0; i < w->leaks.leaks.n; i++)
		if (w->leaks.leaks.v[i].row == row)
			return &w->leaks.leaks.v[i];
	return NULL;
}

START_TEST(kinds_and_groups)
{
	static const int want[N_OF(objs)] = {-1,
					     -1,
					     WH_LEAK_DEFINITE,
					     WH_LEAK_INDIRECT,
					     WH_LEAK_DEFINITE,
					     WH_LEAK_DEFINITE,
					     WH_LEAK_DEFINITE,
					     WH_LEAK_DEFINITE,
					     WH_LEAK_SUPPRESSED,
					     WH_LEAK_SUPPRESSED};
	struct world w;
	const struct wh_leak_group *g;

	world_make(&w, objs, N_OF(objs), 0, 1, true);
	for (size_t i = 0; i < N_OF(objs); i++) {
		const struct wh_leak *k = leak_of(&w, i);

		ck_assert_msg((k ? (int)k->kind : -1) == want[i], "object %zu", i);
	}
	ck_assert_uint_eq(w.leaks.allocated.count, N_OF(objs));
	ck_assert_uint_eq(leak_of(&w, 2)->group, leak_of(&w, 4)->group);
	g = &w.leaks.groups.v[leak_of(&w, 2)->group];
	ck_assert_uint_eq(g->all.count, 2);
	ck_assert_uint_eq(g->hanging.count, 1);
	ck_assert_uint_eq(g->hanging.bytes, 128);
	ck_assert_uint_eq(g->example_addr, w.f->addr[4]); /* the oldest */
	ck_assert(!g->weak);
	ck_assert_uint_eq(g->skip, 1);
	ck_assert(w.leaks.groups.v[leak_of(&w, 5)->group].weak);
	world_fini(&w);
}
END_TEST

/* Headers that the kernel drops on purpose, beside such as a module would have leaked. */
START_TEST(sysctl_headers)
{
	static const struct {
		struct fake_obj obj;
		enum wh_leak_kind want;
	} v[] = {
		{{"kmalloc-cg-96", 96, FAKE_NOBODY, 0, "+0=empty.1 +40=sysctl_table_root", 0, NULL},
		 WH_LEAK_SUPPRESSED},
		{{"kmalloc-cg-128", 128, FAKE_NOBODY, 0,
		  "+0=sysctl_mount_point +40=sysctl_table_root", 0, NULL},
		 WH_LEAK_SUPPRESSED},
		{{"kmalloc-cg-128", 128, FAKE_NOBODY, 0, "+0=lost_table +40=sysctl_table_root", 0,
		  NULL},
		 WH_LEAK_DEFINITE},
		{{"kmalloc-cg-256", 256, FAKE_NOBODY, 0,
		  "+0=sysctl_mount_point +40=sysctl_table_root", 0, NULL},
		 WH_LEAK_DEFINITE},
	};
	struct fake_obj o[N_OF(v)];
	struct world w;

	for (size_t i = 0; i < N_OF(v); i++)
		o[i] = v[i].obj;
	world_make(&w, o, N_OF(v), 0, 1, true);
	for (size_t i = 0; i < N_OF(v); i++)
		ck_assert_msg(leak_of(&w, i) && leak_of(&w, i)->kind == v[i].want, "object %zu", i);
	world_fini(&w);
}
END_TEST

START_TEST(totals_add_up)
{
	struct world w;
	struct wh_tally kinds = {0, 0}, groups = {0, 0};

	world_make(&w, objs, N_OF(objs), 0, 2, true);
	for (int k = 0; k < WH_LEAK_KIND_COUNT; k++)
		wh_tally_add(&kinds, w.leaks.kinds[k].count, w.leaks.kinds[k].bytes);
	for (size_t i = 0; i < w.leaks.groups.n; i++)
		wh_tally_add(&groups, w.leaks.groups.v[i].all.count, w.leaks.groups.v[i].all.bytes);
	ck_assert_uint_eq(kinds.count, w.leaks.all.count);
	ck_assert_uint_eq(kinds.bytes, w.leaks.all.bytes);
	ck_assert_uint_eq(groups.count, w.leaks.all.count);
	ck_assert_uint_eq(groups.bytes, w.leaks.all.bytes);
	ck_assert_uint_eq(w.leaks.all.count, w.leaks.leaks.n);
	ck_assert_uint_eq(w.leaks.all.count, 8);
	ck_assert_uint_eq(w.leaks.all.bytes, 64 + 128 + 64 + 192 + 96 + 96 + 96 + 64);
	world_fini(&w);
}
END_TEST

static json_int_t num(const json_t *o, const char *a, const char *b)
{
	return json_integer_value(json_object_get(json_object_get(o, a), b));
}

static json_t *json_of(const char *text)
{
	json_error_t err;
	json_t *j = json_loads(text, 0, &err);

	ck_assert_msg(j != NULL, "line %d: %s", err.line, err.text);
	return j;
}

static void check_ndjson(const struct world *w, char *text)
{
	uint64_t count = 0, bytes = 0, lines = 0;

	for (char *line = strtok_r(text, "\n", &text); line; line = strtok_r(NULL, "\n", &text)) {
		json_t *j = json_of(line);

		count += (uint64_t)json_integer_value(json_object_get(j, "count"));
		bytes += (uint64_t)json_integer_value(json_object_get(j, "bytes"));
		lines++;
		json_decref(j);
	}
	ck_assert_uint_eq(lines, w->leaks.groups.n);
	ck_assert_uint_eq(count, w->leaks.all.count);
	ck_assert_uint_eq(bytes, w->leaks.all.bytes);
}

static void check_sarif(const struct world *w, const char *text)
{
	json_t *j = json_of(text), *r;
	json_t *run = json_array_get(json_object_get(j, "runs"), 0);
	uint64_t count = 0;
	size_t i;

	json_array_foreach(json_object_get(run, "results"), i, r)
	{
		count += (uint64_t)json_integer_value(json_object_get(r, "occurrenceCount"));
	}
	ck_assert_uint_eq(count, w->leaks.all.count);
	ck_assert_int_eq(num(run, "properties", "count"), (json_int_t)w->leaks.all.count);
	ck_assert_int_eq(num(run, "properties", "bytes"), (json_int_t)w->leaks.all.bytes);
	json_decref(j);
}

static void check_html(const struct world *w, const char *text)
{
	static const char open[] = "<script type=\"application/json\" id=\"data\">";
	const char *start = strstr(text, open), *end;
	char *data;
	json_t *j;

	ck_assert_ptr_nonnull(start);
	start += strlen(open);
	end = strstr(start, "</script>");
	data = strndup(start, (size_t)(end - start));
	j = json_of(data);
	ck_assert_int_eq(num(json_object_get(j, "totals"), "all", "count"),
			 (json_int_t)w->leaks.all.count);
	ck_assert_int_eq(num(json_object_get(j, "totals"), "all", "bytes"),
			 (json_int_t)w->leaks.all.bytes);
	json_decref(j);
	free(data);
}

START_TEST(formats_agree_on_totals)
{
	struct world w;
	char *text[WH_FORMAT_COUNT], want[64];
	json_t *j;
	uint64_t folded = 0;

	world_make(&w, objs, N_OF(objs), 0, 2, true);
	for (int f = 0; f < WH_FORMAT_COUNT; f++)
		text[f] = render(&w, (enum wh_format)f, false);
	snprintf(want, sizeof(want), "SUMMARY: %llu objects (%llu bytes) unreferenced",
		 (unsigned long long)w.leaks.all.count, (unsigned long long)w.leaks.all.bytes);
	ck_assert_ptr_nonnull(strstr(text[WH_FORMAT_TEXT], want));
	j = json_of(text[WH_FORMAT_JSON]);
	ck_assert_int_eq(num(json_object_get(j, "totals"), "all", "bytes"),
			 (json_int_t)w.leaks.all.bytes);
	ck_assert_uint_eq(json_array_size(json_object_get(j, "leaks")), w.leaks.all.count);
	ck_assert_uint_eq(json_array_size(json_object_get(j, "groups")), w.leaks.groups.n);
	json_decref(j);
	snprintf(want, sizeof(want), "totals.all.bytes\t%llu\n",
		 (unsigned long long)w.leaks.all.bytes);
	ck_assert_ptr_nonnull(strstr(text[WH_FORMAT_PLAIN], want));
	snprintf(want, sizeof(want), "<property name=\"bytes\" value=\"%llu\"/>",
		 (unsigned long long)w.leaks.all.bytes);
	ck_assert_ptr_nonnull(strstr(text[WH_FORMAT_JUNIT], want));
	check_sarif(&w, text[WH_FORMAT_SARIF]);
	check_html(&w, text[WH_FORMAT_HTML]);
	check_ndjson(&w, text[WH_FORMAT_NDJSON]);
	for (char *p = text[WH_FORMAT_FOLDED]; (p = strchr(p, '\n')); p++) {
		char *q = p;

		while (q[-1] != ' ')
			q--;
		folded += strtoull(q, NULL, 10);
	}
	ck_assert_uint_eq(folded, w.leaks.all.bytes - w.leaks.kinds[WH_LEAK_SUPPRESSED].bytes);
	for (int f = 0; f < WH_FORMAT_COUNT; f++)
		free(text[f]);
	world_fini(&w);
}
END_TEST

START_TEST(redaction_hides_planted_secrets)
{
	static const char *const secrets[] = {SECRET, "secret_ops", "secret-user"};
	struct world w;
	bool seen[N_OF(secrets)] = {false};

	world_make(&w, objs, N_OF(objs), 0, 1, true);
	wh_diag_add(w.f->ctx->diags, WH_DIAG_NOTE, "quoting", 0, "it said %s", SECRET);
	for (int f = 0; f < WH_FORMAT_COUNT; f++) {
		char *open = render(&w, (enum wh_format)f, false);
		char *closed = render(&w, (enum wh_format)f, true);

		for (size_t i = 0; i < N_OF(secrets); i++) {
			seen[i] |= strstr(open, secrets[i]) != NULL;
			ck_assert_msg(!strstr(closed, secrets[i]), "%s in %s", secrets[i],
				      wh_format_name((enum wh_format)f));
		}
		free(open);
		free(closed);
	}
	/* The test can fail: without --redact each is there. */
	for (size_t i = 0; i < N_OF(secrets); i++)
		ck_assert_msg(seen[i], "%s is nowhere", secrets[i]);
	world_fini(&w);
}
END_TEST

START_TEST(threads_do_not_matter)
{
	struct world a, b;

	world_make(&a, objs, N_OF(objs), 0, 1, true);
	world_make(&b, objs, N_OF(objs), 0, 4, true);
	for (int f = 0; f < WH_FORMAT_COUNT; f++) {
		char *x = render(&a, (enum wh_format)f, false);
		char *y = render(&b, (enum wh_format)f, false);

		ck_assert_str_eq(x, y);
		free(x);
		free(y);
	}
	world_fini(&a);
	world_fini(&b);
}
END_TEST

START_TEST(signatures_survive_aslr)
{
	struct world a, b;

	world_make(&a, objs, N_OF(objs), 0, 1, true);
	world_make(&b, objs, N_OF(objs), 0xffffffff80000000ull, 1, true);
	ck_assert_uint_eq(a.leaks.groups.n, b.leaks.groups.n);
	for (size_t i = 0; i < a.leaks.groups.n; i++) {
		ck_assert_str_eq(a.leaks.groups.v[i].signature, b.leaks.groups.v[i].signature);
		for (size_t k = 0; k < i; k++)
			ck_assert_str_ne(a.leaks.groups.v[i].signature,
					 a.leaks.groups.v[k].signature);
	}
	world_fini(&a);
	world_fini(&b);
}
END_TEST

START_TEST(symbols_fold)
{
	static const struct {
		const char *symbol;
		const char *stem;
	} cases[] = {
		{"kfree", "kfree"},
		{"foo.isra.0", "foo"},
		{"foo.constprop.0.isra.1", "foo"},
		{"foo.part.12.cold", "foo"},
		{"foo.llvm.123456", "foo"},
		{"foo.partial", "foo.partial"},
		{".hidden", ".hidden"},
		{"a.b.c", "a.b.c"},
	};

	for (size_t i = 0; i < N_OF(cases); i++)
		ck_assert_uint_eq(wh_symbol_stem(cases[i].symbol), strlen(cases[i].stem));
}
END_TEST

START_TEST(suppression_patterns)
{
	static const struct {
		const char *pattern, *text;
		bool match;
	} cases[] = {
		{"foo", "a_foo_b", true},
		{"^foo", "a_foo", false},
		{"^foo", "foo_b", true},
		{"foo$", "a_foo", true},
		{"foo$", "foo_b", false},
		{"^foo$", "foo", true},
		{"^f*o$", "fabco", true},
		{"a*c*e", "xaxcxex", true},
		{"a*c*e", "aec", false},
		{"*", "", true},
		{"^$", "", true},
		{"^$", "x", false},
		{"^kmalloc*-96$", "kmalloc-cg-96", true},
		{"^kmalloc*-96$", "kmalloc-cg-96x", false},
		{"^a*b$", "ab_ab", true},
	};

	for (size_t i = 0; i < N_OF(cases); i++)
		ck_assert_msg(wh_suppression_matches(cases[i].pattern, cases[i].text) ==
				      cases[i].match,
			      "%s on %s", cases[i].pattern, cases[i].text);
}
END_TEST

static char *temp_file(const char *text)
{
	static char path[64];
	int fd;

	snprintf(path, sizeof(path), "/tmp/weephole-test.XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return path;
}

START_TEST(suppression_files)
{
	struct wh_suppressions s = {0};
	char *path = temp_file("# comment\n\n  leak:site_2  \nleak:dentry\nleak:never_there\n");
	struct wh_leaks_opts opts = {.suppressions = &s};
	struct wh_leaks l = {0};
	struct fake *f = fake_create(objs, N_OF(objs), 0, 1, 0);
	struct wh_err *e;
	char *text;

	must(wh_suppressions_add_file(&s, path));
	unlink(path);
	ck_assert_uint_eq(s.rules.n, 3);
	must(wh_leaks_build(f->target, &opts, &l));
	ck_assert_uint_eq(s.rules.v[0].used.count, 2); /* 2 and 4; 3 hangs off 2 */
	ck_assert_uint_eq(s.rules.v[1].used.count, 1);
	ck_assert_uint_eq(s.rules.v[2].used.count, 0);
	ck_assert_uint_eq(l.kinds[WH_LEAK_SUPPRESSED].count, 4);
	wh_leaks_fini(&l);
	fake_destroy(f);
	path = temp_file("leak:ok\nfun:no\n");
	e = wh_suppressions_add_file(&s, path);
	unlink(path);
	ck_assert(wh_err_is(e, WH_ERR_USAGE));
	text = wh_err_text(e);
	ck_assert_ptr_nonnull(strstr(text, ":2:"));
	free(text);
	wh_err_destroy(e);
	path = temp_file("");
	must(wh_suppressions_add_file(&s, path));
	unlink(path);
	wh_suppressions_fini(&s);
}
END_TEST

START_TEST(baselines_round_trip)
{
	struct world w;
	struct wh_baseline now = {0}, old = {0};
	struct wh_strbuf sb = WH_STRBUF_INIT, again = WH_STRBUF_INIT;
	wh_change_vec changes = {0};
	char *path;

	world_make(&w, objs, N_OF(objs), 0, 1, true);
	must(wh_baseline_from_leaks(&w.leaks, &now));
	wh_baseline_print(&now, &sb);
	path = temp_file(wh_strbuf_str(&sb));
	must(wh_baseline_read(path, &old));
	unlink(path);
	wh_baseline_print(&old, &again);
	ck_assert_str_eq(wh_strbuf_str(&sb), wh_strbuf_str(&again));
	wh_baseline_apply(&old, &now, &w.leaks);
	for (size_t i = 0; i < w.leaks.groups.n; i++)
		ck_assert(w.leaks.groups.v[i].delta ==
			  (wh_leak_group_kind(&w.leaks.groups.v[i]) == WH_LEAK_SUPPRESSED
				   ? WH_DELTA_NONE
				   : WH_DELTA_SAME));
	old.entries.v[0].tally.count += 5;
	old.entries.v[0].tally.bytes += 500;
	old.entries.n--;
	must(wh_baseline_compare(&old, &now, &changes));
	ck_assert_uint_eq(changes.n, now.entries.n);
	ck_assert_uint_eq(changes.v[0].before.count, 0); /* growth first */
	ck_assert_uint_eq(changes.v[changes.n - 1].before.count,
			  changes.v[changes.n - 1].after.count + 5);
	WH_VEC_FINI(&changes);
	wh_strbuf_fini(&sb);
	wh_strbuf_fini(&again);
	wh_baseline_fini(&old);
	wh_baseline_fini(&now);
	world_fini(&w);
}
END_TEST

START_TEST(json_reports_are_baselines)
{
	struct world w;
	struct wh_baseline from_json = {0}, direct = {0};
	char *text, *path;

	world_make(&w, objs, N_OF(objs), 0, 1, true);
	text = render(&w, WH_FORMAT_JSON, false);
	path = temp_file(text);
	must(wh_baseline_read(path, &from_json));
	unlink(path);
	must(wh_baseline_from_leaks(&w.leaks, &direct));
	ck_assert_uint_eq(from_json.entries.n, direct.entries.n);
	for (size_t i = 0; i < direct.entries.n; i++) {
		ck_assert_str_eq(from_json.entries.v[i].signature, direct.entries.v[i].signature);
		ck_assert_uint_eq(from_json.entries.v[i].tally.bytes,
				  direct.entries.v[i].tally.bytes);
		ck_assert_str_eq(from_json.entries.v[i].stack, direct.entries.v[i].stack);
	}
	free(text);
	wh_baseline_fini(&from_json);
	wh_baseline_fini(&direct);
	world_fini(&w);
}
END_TEST

START_TEST(bad_baselines_name_the_line)
{
	static const struct {
		const char *text, *where;
	} cases[] = {
		{"", ":1:"},
		{"hello\n", ":1:"},
		{"# weephole baseline 2\n", "another version"},
		{"# weephole baseline 1\nxyz\n", ":2:"},
		{"# weephole baseline 1\n0123456789abcdef\t1\t2\tc\n", ":2:"},
		{"# weephole baseline 1\n0123456789abcdeX\t1\t2\tc\ts\n", "signature"},
		{"# weephole baseline 1\n0123456789abcdef\t1\t-2\tc\ts\n", "number"},
		{"{\n\"schema\": 1,\n", ":"},
		{"{\"schema\": 99, \"groups\": []}", "schema 99"},
		{"{\"schema\": 1}", "no report"},
		{"{\"schema\": 1, \"groups\": [{\"signature\": 5}]}", "group 1"},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		struct wh_baseline b = {0};
		char *path = temp_file(cases[i].text);
		struct wh_err *e = wh_baseline_read(path, &b);
		char *text;

		unlink(path);
		ck_assert_msg(wh_err_is(e, WH_ERR_USAGE), "case %zu", i);
		text = wh_err_text(e);
		ck_assert_msg(strstr(text, cases[i].where) != NULL, "case %zu: %s", i, text);
		free(text);
		wh_err_destroy(e);
		wh_baseline_fini(&b);
	}
}
END_TEST

START_TEST(thresholds_parse)
{
	static const struct {
		const char *s;
		uint64_t v;
		bool objects, ok;
	} cases[] = {
		{"4096", 4096, false, true},
		{"64K", 65536, false, true},
		{"1m", 1048576, false, true},
		{"10x", 10, true, true},
		{"", 0, false, false},
		{"x", 0, false, false},
		{"-1", 0, false, false},
		{"5q", 0, false, false},
		{"99999999999T", 0, false, false},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		uint64_t v;
		bool objects;
		struct wh_err *e = wh_gate_parse_threshold(cases[i].s, &v, &objects);

		ck_assert_msg((e == NULL) == cases[i].ok, "%s", cases[i].s);
		if (cases[i].ok) {
			ck_assert_uint_eq(v, cases[i].v);
			ck_assert(objects == cases[i].objects);
		}
		wh_err_destroy(e);
	}
}
END_TEST

START_TEST(json_is_always_valid)
{
	static const char nasty[] = "a\"b\\c\x01\x1b[31m\xff\xc3\x28\xe2\x82\xac</script>";
	struct fake_obj one = {nasty, 64, FAKE_NOBODY, 0, nasty, 0, NULL};
	struct world w;

	world_make(&w, &one, 1, 0, 1, false);
	for (int f = 0; f < WH_FORMAT_COUNT; f++) {
		char *text = render(&w, (enum wh_format)f, false);

		ck_assert_msg(!strchr(text, 0x1b), "escape in %s",
			      wh_format_name((enum wh_format)f));
		if (f == WH_FORMAT_JSON || f == WH_FORMAT_SARIF || f == WH_FORMAT_NDJSON)
			json_decref(json_of(text));
		if (f == WH_FORMAT_HTML)
			check_html(&w, text);
		free(text);
	}
	world_fini(&w);
}
END_TEST

static const char *meant(const char *typed)
{
	static const char *const words[] = {"findleaks", "caches", "whatis", "explain"};
	struct wh_suggestion s = {.typed = typed};

	for (size_t i = 0; i < 4; i++)
		wh_suggest(&s, words[i]);
	return s.word;
}

START_TEST(words_are_suggested)
{
	ck_assert_str_eq(meant("findleeks"), "findleaks");
	ck_assert_str_eq(meant("whatsi"), "whatis");
	ck_assert_str_eq(meant("cahces"), "caches");
	ck_assert_ptr_null(meant("zzzzzz"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("report");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_set_timeout(t, EXPECT_HANG);
	tcase_add_test(t, kinds_and_groups);
	tcase_add_test(t, sysctl_headers);
	tcase_add_test(t, totals_add_up);
	tcase_add_test(t, formats_agree_on_totals);
	tcase_add_test(t, redaction_hides_planted_secrets);
	tcase_add_test(t, threads_do_not_matter);
	tcase_add_test(t, signatures_survive_aslr);
	tcase_add_test(t, symbols_fold);
	tcase_add_test(t, suppression_patterns);
	tcase_add_test(t, suppression_files);
	tcase_add_test(t, baselines_round_trip);
	tcase_add_test(t, json_reports_are_baselines);
	tcase_add_test(t, bad_baselines_name_the_line);
	tcase_add_test(t, thresholds_parse);
	tcase_add_test(t, json_is_always_valid);
	tcase_add_test(t, words_are_suggested);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
