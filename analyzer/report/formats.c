/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Line formats: ndjson and folded stacks; and what the other formats share. */
#include "analyzer/report/formats.h"

#include <string.h>

#include "analyzer/name/frame.h"

struct wh_err *wh_report_write(FILE *out, enum wh_format f, const struct wh_report *r)
{
	switch (f) {
	case WH_FORMAT_NDJSON: return wh_report_ndjson(out, r);
	case WH_FORMAT_FOLDED: return wh_report_folded(out, r);
	case WH_FORMAT_SARIF: return wh_report_sarif(out, r);
	case WH_FORMAT_JUNIT: return wh_report_junit(out, r);
	case WH_FORMAT_HTML: return wh_report_html(out, r);
	default: return wh_err_new(WH_ERR_INTERNAL, "no writer for %s", wh_format_name(f));
	}
}

bool wh_report_is_finding(const struct wh_report *r, size_t group)
{
	const struct wh_leak_group *g = &r->view->leaks->groups.v[group];

	return r->findings ? r->findings[group] : wh_leak_group_kind(g) != WH_LEAK_SUPPRESSED;
}

void wh_report_site(struct wh_strbuf *sb, const struct wh_leak_group *g)
{
	for (size_t i = g->skip; i < g->n_frames; i++) {
		const struct wh_frame *f = &g->frames[i];

		if (f->inlined)
			continue;
		wh_frame_name(sb, f);
		if (f->symbol && f->module)
			wh_strbuf_printf(sb, " [%s]", f->module);
		return;
	}
	wh_strbuf_puts(sb, g->cache);
}

static void emit_line(struct wh_emit *e, const struct wh_report *r, const struct wh_leak_group *g)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;

	wh_emit_u64(e, "schema", NULL, WH_REPORT_SCHEMA, WH_UNIT_NONE);
	wh_emit_str(e, "file", NULL, r->file);
	wh_emit_str(e, "target", NULL, r->view->target->ops->name);
	wh_emit_str(e, "identity", NULL, r->identity);
	wh_emit_group_keys(e, g);
	wh_emit_u64(e, "hanging_bytes", NULL, g->hanging.bytes, WH_UNIT_NONE);
	wh_report_site(&sb, g);
	wh_emit_str(e, "site", NULL, wh_strbuf_str(&sb));
	wh_emit_hex(e, "example", NULL, g->example_addr);
	wh_emit_array(e, "stack", NULL);
	for (size_t i = 0; i < g->n_frames; i++) {
		wh_strbuf_clear(&sb);
		wh_frame_name(&sb, &g->frames[i]);
		wh_emit_str(e, NULL, NULL, wh_strbuf_str(&sb));
	}
	wh_emit_end(e);
	wh_strbuf_fini(&sb);
}

struct wh_err *wh_report_ndjson(FILE *out, const struct wh_report *r)
{
	struct wh_emit_opts opts = {.format = WH_FORMAT_NDJSON, .redact = r->redact};

	for (size_t i = 0; i < r->view->leaks->groups.n; i++) {
		struct wh_emit *e;
		struct wh_err *err;

		WH_TRY(wh_emit_create(out, &opts, &e));
		emit_line(e, r, &r->view->leaks->groups.v[i]);
		err = wh_emit_finish(e);
		wh_emit_destroy(e);
		if (err)
			return err;
	}
	return NULL;
}

/* Folded stacks know only ';' and the last space. */
static void put_folded(struct wh_strbuf *sb, const char *s)
{
	size_t from = sb->len;

	wh_text_escape(sb, s);
	for (size_t i = from; i < sb->len; i++)
		if (sb->s[i] == ';')
			sb->s[i] = ':';
}

struct wh_err *wh_report_folded(FILE *out, const struct wh_report *r)
{
	struct wh_strbuf sb = WH_STRBUF_INIT, name = WH_STRBUF_INIT;
	bool failed;

	for (size_t i = 0; i < r->view->leaks->groups.n; i++) {
		const struct wh_leak_group *g = &r->view->leaks->groups.v[i];
		uint64_t bytes = g->all.bytes - g->kinds[WH_LEAK_SUPPRESSED].bytes;

		if (!bytes)
			continue;
		wh_strbuf_clear(&sb);
		for (size_t k = g->n_frames; k-- > 0;) {
			wh_strbuf_clear(&name);
			wh_frame_name(&name, &g->frames[k]);
			put_folded(&sb, wh_strbuf_str(&name));
			wh_strbuf_putc(&sb, ';');
		}
		if (!g->n_frames)
			wh_strbuf_puts(&sb, "(no stack recorded);");
		put_folded(&sb, g->cache);
		fprintf(out, "%s %llu\n", wh_strbuf_str(&sb), (unsigned long long)bytes);
	}
	failed = sb.failed || name.failed;
	wh_strbuf_fini(&sb);
	wh_strbuf_fini(&name);
	if (failed)
		return &wh_err_nomem;
	return ferror(out) ? wh_err_os(NULL, "writing the report") : NULL;
}

void wh_report_emit_caches(struct wh_emit *e, const wh_cache_vec *v)
{
	static const struct wh_column cols[] = {
		{"name", "cache", false},     {"allocator", NULL, false},
		{"address", NULL, false},     {"object_size", "size", true},
		{"slot_size", "slot", true},  {"objects", "objects", true},
		{"used", "used", true},	      {"free", "free", true},
		{"pending", "pending", true}, {"unsure", "unsure", true},
		{"slabs", "slabs", true},     {"bytes", "bytes", true},
		{"recorded", NULL, false},    {"destroyed", NULL, false},
		{NULL, "notes", false},
	};

	wh_emit_table(e, "caches", "", cols, sizeof(cols) / sizeof(cols[0]));
	for (size_t i = 0; i < v->n; i++) {
		const struct wh_cache_stat *c = &v->v[i];

		wh_emit_row(e);
		wh_emit_cell_str(e, c->name);
		wh_emit_cell_str(e, c->model);
		wh_emit_cell_hex(e, c->addr);
		wh_emit_cell_u64(e, c->obj_size);
		wh_emit_cell_u64(e, c->slot_size);
		wh_emit_cell_u64(e, c->objects);
		wh_emit_cell_u64(e, c->used);
		wh_emit_cell_u64(e, c->free);
		wh_emit_cell_u64(e, c->pending);
		wh_emit_cell_u64(e, c->unsure);
		wh_emit_cell_u64(e, c->slabs);
		wh_emit_cell_u64(e, c->bytes);
		wh_emit_cell_bool(e, c->recorded);
		wh_emit_cell_bool(e, c->destroyed);
		wh_emit_cell_str(e, c->destroyed ? "destroyed" : c->recorded ? "stacks" : NULL);
	}
	wh_emit_end(e);
}
