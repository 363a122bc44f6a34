/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JUnit XML, in the form that CI servers agree on: a suite, one case a group; a finding is a failure, a
 * group that the policy lets pass is skipped with the reason.  A dump without groups is one case that
 * passes.
 */
#include "analyzer/name/frame.h"
#include "analyzer/report/formats.h"

#include <string.h>

static void attr(struct wh_strbuf *sb, const char *name, const char *value)
{
	wh_strbuf_printf(sb, " %s=\"", name);
	wh_xml_escape(sb, value);
	wh_strbuf_putc(sb, '"');
}

static void property(struct wh_strbuf *sb, const char *name, uint64_t v)
{
	wh_strbuf_printf(sb, "    <property name=\"%s\" value=\"%llu\"/>\n", name,
			 (unsigned long long)v);
}

static void put_case(struct wh_strbuf *sb, const struct wh_report *r, size_t i)
{
	const struct wh_leak_group *g = &r->view->leaks->groups.v[i];
	struct wh_strbuf text = WH_STRBUF_INIT;
	bool finding = wh_report_is_finding(r, i);

	wh_report_site(&text, g);
	wh_strbuf_puts(sb, "  <testcase");
	attr(sb, "classname", g->cache);
	wh_strbuf_printf(&text, " %s", g->signature);
	attr(sb, "name", wh_strbuf_str(&text));
	wh_strbuf_puts(sb, ">\n    ");
	wh_strbuf_clear(&text);
	wh_strbuf_printf(&text, "%llu bytes in %llu objects, %s", (unsigned long long)g->all.bytes,
			 (unsigned long long)g->all.count,
			 wh_leak_kind_name(wh_leak_group_kind(g)));
	wh_strbuf_puts(sb, finding ? "<failure type=\"leak\"" : "<skipped");
	attr(sb, "message", wh_strbuf_str(&text));
	if (!finding) {
		wh_strbuf_puts(sb, "/>\n");
	} else {
		wh_strbuf_putc(sb, '>');
		for (size_t k = 0; k < g->n_frames; k++) {
			wh_strbuf_clear(&text);
			wh_frame_text(&text, &(struct wh_frame){.address = g->frames[k].address,
								.symbol = g->frames[k].symbol,
								.offset = g->frames[k].offset,
								.module = g->frames[k].module});
			wh_xml_escape(sb, wh_strbuf_str(&text));
			wh_strbuf_putc(sb, '\n');
		}
		wh_strbuf_puts(sb, "</failure>\n");
	}
	wh_strbuf_puts(sb, "  </testcase>\n");
	sb->failed |= text.failed;
	wh_strbuf_fini(&text);
}

struct wh_err *wh_report_junit(FILE *out, const struct wh_report *r)
{
	const struct wh_leaks *l = r->view->leaks;
	struct wh_strbuf sb = WH_STRBUF_INIT;
	size_t failures = 0;
	struct wh_err *e = NULL;

	for (size_t i = 0; i < l->groups.n; i++)
		failures += wh_report_is_finding(r, i);
	wh_strbuf_puts(&sb, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite");
	attr(&sb, "name", "weephole");
	attr(&sb, "package", r->file);
	wh_strbuf_printf(&sb, " tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\">\n",
			 l->groups.n ? l->groups.n : 1, failures, l->groups.n - failures);
	wh_strbuf_puts(&sb, "  <properties>\n");
	property(&sb, "count", l->all.count);
	property(&sb, "bytes", l->all.bytes);
	wh_strbuf_puts(&sb, "  </properties>\n");
	if (!l->groups.n)
		wh_strbuf_puts(&sb, "  <testcase classname=\"weephole\" name=\"no leaks\"/>\n");
	for (size_t i = 0; i < l->groups.n; i++)
		put_case(&sb, r, i);
	wh_strbuf_puts(&sb, "</testsuite>\n</testsuites>\n");
	if (sb.failed)
		e = &wh_err_nomem;
	else if (fwrite(wh_strbuf_str(&sb), 1, sb.len, out) != sb.len)
		e = wh_err_os(NULL, "writing the report");
	wh_strbuf_fini(&sb);
	return e;
}
