/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SARIF 2.1.0 (OASIS, sarif-schema-2.1.0.json): one result a group, its stack as a stack of frames, the
 * signature as a partial fingerprint so that services recognise the leak in the next run.
 */
#include "analyzer/name/frame.h"
#include "analyzer/report/formats.h"

#include <string.h>

static const char *const levels[WH_LEAK_KIND_COUNT] = {
	[WH_LEAK_DEFINITE] = "error",	[WH_LEAK_POSSIBLE] = "warning", [WH_LEAK_UNKNOWN] = "note",
	[WH_LEAK_INDIRECT] = "warning", [WH_LEAK_SUPPRESSED] = "note",
};
static const char *const meanings[WH_LEAK_KIND_COUNT] = {
	[WH_LEAK_DEFINITE] = "Nothing refers to the memory any more.",
	[WH_LEAK_POSSIBLE] = "Only words that point into the middle of the memory refer to it.",
	[WH_LEAK_UNKNOWN] = "What could refer to the memory is not in the dump.",
	[WH_LEAK_INDIRECT] = "Only leaked memory refers to the memory.",
	[WH_LEAK_SUPPRESSED] = "A suppression says that this loss is meant.",
};

static void text_object(struct wh_emit *e, const char *key, const char *text)
{
	wh_emit_object(e, key, NULL);
	wh_emit_str(e, "text", NULL, text);
	wh_emit_end(e);
}

static void emit_rules(struct wh_emit *e)
{
	wh_emit_array(e, "rules", NULL);
	for (int k = 0; k < WH_LEAK_KIND_COUNT; k++) {
		char id[32];

		snprintf(id, sizeof(id), "leak-%s", wh_leak_kind_name((enum wh_leak_kind)k));
		wh_emit_object(e, NULL, NULL);
		wh_emit_str(e, "id", NULL, id);
		text_object(e, "shortDescription", meanings[k]);
		wh_emit_object(e, "defaultConfiguration", NULL);
		wh_emit_str(e, "level", NULL, levels[k]);
		wh_emit_end(e);
		wh_emit_end(e);
	}
	wh_emit_end(e);
}

static void emit_tool(struct wh_emit *e, const struct wh_report *r)
{
	wh_emit_object(e, "tool", NULL);
	wh_emit_object(e, "driver", NULL);
	wh_emit_str(e, "name", NULL, "weephole");
	wh_emit_str(e, "version", NULL, r->version);
	emit_rules(e);
	wh_emit_end(e);
	wh_emit_end(e);
}

/* A SARIF URI reference: what RFC 3986 does not allow as is becomes %XX. */
static void put_uri(struct wh_strbuf *sb, const char *s)
{
	static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "-._~/+=@,";

	if (*s == '/')
		wh_strbuf_puts(sb, "file://");
	for (; *s; s++)
		if (strchr(fine, *s))
			wh_strbuf_putc(sb, *s);
		else
			wh_strbuf_printf(sb, "%%%02X", (unsigned char)*s);
}

static void emit_location(struct wh_emit *e, const struct wh_report *r, const struct wh_frame *f)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;
	const char *file = f->file, *slash = file ? strrchr(file, '/') : NULL;

	if (r->redact && slash)
		file = slash + 1;
	if (file) {
		put_uri(&sb, file);
		wh_emit_object(e, "physicalLocation", NULL);
		wh_emit_object(e, "artifactLocation", NULL);
		wh_emit_str(e, "uri", NULL, wh_strbuf_str(&sb));
		wh_emit_end(e);
		if (f->line) {
			wh_emit_object(e, "region", NULL);
			wh_emit_u64(e, "startLine", NULL, f->line, WH_UNIT_NONE);
			wh_emit_end(e);
		}
		wh_emit_end(e);
	}
	wh_strbuf_clear(&sb);
	wh_frame_name(&sb, f);
	wh_emit_array(e, "logicalLocations", NULL);
	wh_emit_object(e, NULL, NULL);
	wh_emit_str(e, "fullyQualifiedName", NULL, wh_strbuf_str(&sb));
	wh_emit_str(e, "kind", NULL, "function");
	wh_emit_end(e);
	wh_emit_end(e);
	wh_strbuf_fini(&sb);
}

static void emit_stack(struct wh_emit *e, const struct wh_report *r, const struct wh_leak_group *g)
{
	wh_emit_array(e, "stacks", NULL);
	wh_emit_object(e, NULL, NULL);
	text_object(e, "message", "allocation");
	wh_emit_array(e, "frames", NULL);
	for (size_t i = 0; i < g->n_frames; i++) {
		wh_emit_object(e, NULL, NULL);
		if (g->frames[i].module)
			wh_emit_str(e, "module", NULL, g->frames[i].module);
		wh_emit_object(e, "location", NULL);
		emit_location(e, r, &g->frames[i]);
		wh_emit_end(e);
		wh_emit_end(e);
	}
	wh_emit_end(e);
	wh_emit_end(e);
	wh_emit_end(e);
}

/* The first frame with a line, else the first that is not the allocator's. */
static const struct wh_frame *best_frame(const struct wh_leak_group *g)
{
	for (size_t i = g->skip; i < g->n_frames; i++)
		if (g->frames[i].file)
			return &g->frames[i];
	return g->skip < g->n_frames ? &g->frames[g->skip] : NULL;
}

static void emit_result(struct wh_emit *e, const struct wh_report *r, const struct wh_leak_group *g)
{
	enum wh_leak_kind kind = wh_leak_group_kind(g);
	struct wh_strbuf sb = WH_STRBUF_INIT;
	const struct wh_frame *f = best_frame(g);
	char id[32];

	snprintf(id, sizeof(id), "leak-%s", wh_leak_kind_name(kind));
	wh_strbuf_printf(&sb, "%llu bytes in %llu objects of %s leaked, allocated by ",
			 (unsigned long long)g->all.bytes, (unsigned long long)g->all.count,
			 g->cache);
	wh_report_site(&sb, g);
	wh_emit_object(e, NULL, NULL);
	wh_emit_str(e, "ruleId", NULL, id);
	wh_emit_u64(e, "ruleIndex", NULL, kind, WH_UNIT_NONE);
	wh_emit_str(e, "level", NULL, levels[kind]);
	text_object(e, "message", wh_strbuf_str(&sb));
	wh_emit_object(e, "partialFingerprints", NULL);
	wh_emit_str(e, "weepholeSignature/v1", NULL, g->signature);
	wh_emit_end(e);
	wh_emit_u64(e, "occurrenceCount", NULL, g->all.count, WH_UNIT_NONE);
	wh_emit_array(e, "locations", NULL);
	if (f) {
		wh_emit_object(e, NULL, NULL);
		emit_location(e, r, f);
		wh_emit_end(e);
	}
	wh_emit_end(e);
	if (g->n_frames)
		emit_stack(e, r, g);
	wh_emit_array(e, "suppressions", NULL);
	if (kind == WH_LEAK_SUPPRESSED) {
		wh_emit_object(e, NULL, NULL);
		wh_emit_str(e, "kind", NULL, "external");
		wh_emit_end(e);
	}
	wh_emit_end(e);
	wh_emit_object(e, "properties", NULL);
	wh_emit_u64(e, "bytes", NULL, g->all.bytes, WH_UNIT_NONE);
	wh_emit_str(e, "cache", NULL, g->cache);
	wh_emit_end(e);
	wh_emit_end(e);
	wh_strbuf_fini(&sb);
}

struct wh_err *wh_report_sarif(FILE *out, const struct wh_report *r)
{
	struct wh_emit_opts opts = {.format = WH_FORMAT_JSON, .redact = r->redact};
	const struct wh_leaks *l = r->view->leaks;
	struct wh_emit *e;
	struct wh_err *err;

	WH_TRY(wh_emit_create(out, &opts, &e));
	wh_emit_str(e, "$schema", NULL, "https://json.schemastore.org/sarif-2.1.0.json");
	wh_emit_str(e, "version", NULL, "2.1.0");
	wh_emit_array(e, "runs", NULL);
	wh_emit_object(e, NULL, NULL);
	emit_tool(e, r);
	wh_emit_array(e, "results", NULL);
	for (size_t i = 0; i < l->groups.n; i++)
		emit_result(e, r, &l->groups.v[i]);
	wh_emit_end(e);
	wh_emit_object(e, "properties", NULL);
	wh_emit_u64(e, "count", NULL, l->all.count, WH_UNIT_NONE);
	wh_emit_u64(e, "bytes", NULL, l->all.bytes, WH_UNIT_NONE);
	wh_emit_str(e, "outcome", NULL, wh_leaks_outcome(r->view));
	wh_emit_end(e);
	wh_emit_end(e);
	wh_emit_end(e);
	err = wh_emit_finish(e);
	wh_emit_destroy(e);
	return err;
}
