/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One self-contained page: page.html with the report's JSON in the place of its mark.  Within a script
 * element '<' is written as \u003c, so that no name from a dump can end the element.
 */
#include "analyzer/report/formats.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/base/strbuf.h"
#include "analyzer/report/page.h"

static struct wh_err *data(FILE *out, const struct wh_report *r)
{
	struct wh_emit_opts opts = {.format = WH_FORMAT_JSON, .redact = r->redact};
	struct wh_leaks_view view = *r->view;
	struct wh_emit *e;
	struct wh_err *err;
	struct wh_strbuf sb = WH_STRBUF_INIT;

	WH_TRY(wh_emit_create(out, &opts, &e));
	view.groups_only = true;
	wh_leaks_emit_verdict(e, &view);
	wh_leaks_summary(&sb, view.leaks);
	wh_emit_str(e, "summary", NULL, wh_strbuf_str(&sb));
	wh_strbuf_fini(&sb);
	wh_emit_str(e, "file", NULL, r->file);
	wh_emit_str(e, "identity", NULL, r->identity);
	wh_emit_str(e, "version", NULL, r->version);
	wh_leaks_emit_groups(e, &view);
	wh_leaks_emit_totals(e, &view);
	if (r->caches)
		wh_report_emit_caches(e, r->caches);
	wh_emit_diags(e, r->diags);
	wh_leaks_emit_summary(e, &view);
	err = wh_emit_finish(e);
	wh_emit_destroy(e);
	return err;
}

static void put_script(FILE *out, const char *s, size_t n)
{
	while (n) {
		const char *lt = memchr(s, '<', n);
		size_t plain = lt ? (size_t)(lt - s) : n;

		fwrite(s, 1, plain, out);
		if (lt)
			fputs("\\u003c", out);
		s += plain + (lt != NULL);
		n -= plain + (lt != NULL);
	}
}

struct wh_err *wh_report_html(FILE *out, const struct wh_report *r)
{
	const char *page = (const char *)wh_report_page;
	const char *mark =
		memmem(page, wh_report_page_len, WH_REPORT_PAGE_MARK, strlen(WH_REPORT_PAGE_MARK));
	WH_AUTO_FREE char *json = NULL;
	size_t len = 0, before;
	struct wh_err *e;
	FILE *f;

	if (!mark)
		return wh_err_new(WH_ERR_INTERNAL, "the page has no place for data");
	f = open_memstream(&json, &len);
	if (!f)
		return &wh_err_nomem;
	e = data(f, r);
	if (fclose(f) && !e)
		e = &wh_err_nomem;
	if (e)
		return e;
	before = (size_t)(mark - page);
	fwrite(page, 1, before, out);
	put_script(out, json, len);
	fwrite(mark + strlen(WH_REPORT_PAGE_MARK), 1,
	       wh_report_page_len - before - strlen(WH_REPORT_PAGE_MARK), out);
	return ferror(out) ? wh_err_os(NULL, "writing the report") : NULL;
}
