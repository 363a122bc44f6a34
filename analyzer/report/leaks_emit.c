/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/report/leaks_emit.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/name/frame.h"
#include "dwarf/demangle.h"

const char *wh_leaks_outcome(const struct wh_leaks_view *v)
{
	const struct wh_leaks *l = v->leaks;
	bool any = !v->policy_findings && l->all.count > l->kinds[WH_LEAK_SUPPRESSED].count;

	for (size_t i = 0; v->policy_findings && i < l->groups.n; i++)
		any |= v->policy_findings[i];
	return any ? "findings" : v->incomplete || !l->allocated.count ? "incomplete" : "clean";
}

static void put_objects(struct wh_strbuf *sb, const struct wh_tally *t)
{
	wh_text_u64(sb, t->count);
	wh_strbuf_puts(sb, t->count == 1 ? " object (" : " objects (");
	wh_text_u64(sb, t->bytes);
	wh_strbuf_puts(sb, t->bytes == 1 ? " byte)" : " bytes)");
}

static void put_site(struct wh_strbuf *sb, const struct wh_leak_group *g)
{
	const struct wh_frame *f;

	wh_text_escape(sb, g->cache);
	if (!g->n_frames)
		return;
	f = &g->frames[g->skip < g->n_frames ? g->skip : 0];
	wh_strbuf_puts(sb, " from ");
	wh_frame_text(sb, &(struct wh_frame){.address = f->address,
					     .symbol = f->symbol,
					     .offset = f->offset,
					     .module = f->module});
}

void wh_leaks_verdict(struct wh_strbuf *sb, const struct wh_leaks_view *v)
{
	const struct wh_leaks *l = v->leaks;
	const struct wh_tally *unknown = &l->kinds[WH_LEAK_UNKNOWN];
	const struct wh_tally *hidden = &l->kinds[WH_LEAK_SUPPRESSED];
	struct wh_tally lost = {.count = l->all.count - unknown->count - hidden->count,
				.bytes = l->all.bytes - unknown->bytes - hidden->bytes};
	const struct wh_leak_group *top = NULL;

	for (size_t i = 0; i < l->groups.n && !top; i++)
		if (wh_leak_group_kind(&l->groups.v[i]) < WH_LEAK_UNKNOWN)
			top = &l->groups.v[i];
	if (lost.count) {
		wh_strbuf_puts(sb, "Leaks: nothing refers to ");
		put_objects(sb, &lost);
		if (top) {
			wh_strbuf_puts(sb, "; most: ");
			wh_text_u64(sb, top->all.bytes);
			wh_strbuf_puts(sb, " bytes of ");
			put_site(sb, top);
		}
		wh_strbuf_putc(sb, '.');
	} else if (v->target->unjudged) {
		wh_strbuf_printf(sb, "Nothing was judged: %s.", v->target->unjudged);
	} else if (unknown->count) {
		wh_strbuf_puts(sb, "No leak is certain: what could refer to ");
		put_objects(sb, unknown);
		wh_strbuf_puts(sb, " is not in the dump.");
	} else {
		wh_strbuf_puts(sb, "No leaks: something refers to each of ");
		put_objects(sb, &l->allocated);
		wh_strbuf_puts(sb, hidden->count ? ", suppressed ones aside." : ".");
	}
	if (lost.count && unknown->count) {
		wh_strbuf_puts(sb, " Of ");
		put_objects(sb, unknown);
		wh_strbuf_puts(sb, " it is unknown.");
	}
	if (v->target->plan.missing.n)
		wh_strbuf_puts(sb, " The dump is incomplete: see coverage.");
	else if (v->incomplete && !v->target->unjudged)
		wh_strbuf_puts(sb, " The analysis is incomplete: see diagnostics.");
}

void wh_leaks_summary(struct wh_strbuf *sb, const struct wh_leaks *l)
{
	wh_strbuf_puts(sb, "SUMMARY: ");
	put_objects(sb, &l->all);
	wh_strbuf_puts(sb, " unreferenced = ");
	for (int k = 0; k < WH_LEAK_KIND_COUNT; k++) {
		wh_strbuf_printf(sb, "%s%s ", k ? " + " : "",
				 wh_leak_kind_name((enum wh_leak_kind)k));
		wh_text_u64(sb, l->kinds[k].count);
		wh_strbuf_puts(sb, " (");
		wh_text_u64(sb, l->kinds[k].bytes);
		wh_strbuf_putc(sb, ')');
	}
	wh_strbuf_printf(sb, ", in %zu group%s, of ", l->groups.n, l->groups.n == 1 ? "" : "s");
	put_objects(sb, &l->allocated);
	wh_strbuf_puts(sb, " allocated");
	if (l->interior.count) {
		wh_strbuf_puts(sb, "; only interior pointers hold ");
		put_objects(sb, &l->interior);
	}
}

void wh_leaks_emit_verdict(struct wh_emit *e, const struct wh_leaks_view *v)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;
	const char *outcome = wh_leaks_outcome(v);

	wh_leaks_verdict(&sb, v);
	wh_emit_u64(e, "schema", NULL, WH_REPORT_SCHEMA, WH_UNIT_NONE);
	wh_emit_str(e, "outcome", NULL, outcome);
	wh_emit_str(e, "verdict", NULL, wh_strbuf_str(&sb));
	wh_emit_line(e, strcmp(outcome, "clean") ? WH_STYLE_BAD : WH_STYLE_GOOD, "%s",
		     wh_strbuf_str(&sb));
	wh_strbuf_fini(&sb);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

void wh_emit_symbol(struct wh_emit *e, const char *symbol)
{
	char *name = symbol ? wh_demangle(symbol, /* with_parameters= */ true) : NULL;

	wh_emit_str(e, "symbol", NULL, symbol);
	if (name)
		wh_emit_str(e, "demangled", NULL, name);
	free(name);
}

void wh_emit_frames(struct wh_emit *e, const char *key, const struct wh_frame *f, size_t n)
{
	wh_emit_array(e, key, NULL);
	for (size_t i = 0; i < n; i++) {
		const char *file = f[i].file;

		if (file && wh_emit_redacts(e))
			file = base_name(file);
		wh_emit_object(e, NULL, NULL);
		wh_emit_hex(e, "address", NULL, f[i].address);
		wh_emit_symbol(e, f[i].symbol);
		wh_emit_u64(e, "offset", NULL, f[i].offset, WH_UNIT_NONE);
		wh_emit_str(e, "module", NULL, f[i].module);
		wh_emit_str(e, "file", NULL, file);
		if (file)
			wh_emit_u64(e, "line", NULL, f[i].line, WH_UNIT_NONE);
		else
			wh_emit_null(e, "line");
		if (f[i].inlined)
			wh_emit_bool(e, "inlined", NULL, true);
		wh_emit_end(e);
	}
	wh_emit_end(e);
}

void wh_emit_frames_text(struct wh_emit *e, const struct wh_frame *f, size_t n, size_t dim,
			 uint64_t limit)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;
	size_t shown = limit && n > limit ? (size_t)limit : n;

	for (size_t i = 0; i < shown; i++) {
		struct wh_frame g = f[i];

		if (g.file && wh_emit_redacts(e))
			g.file = base_name(g.file);
		wh_strbuf_clear(&sb);
		wh_frame_text(&sb, &g);
		wh_emit_line(e, i < dim ? WH_STYLE_DIM : WH_STYLE_PLAIN, "    %s",
			     wh_strbuf_str(&sb));
	}
	if (shown < n)
		wh_emit_line(e, WH_STYLE_DIM, "    ... %zu more frames (--num-callers=0)",
			     n - shown);
	wh_strbuf_fini(&sb);
}

void wh_emit_type(struct wh_emit *e, const struct wh_row_type *t)
{
	if (!t->name)
		return;
	wh_emit_str(e, "type", NULL, t->name);
	wh_emit_str(e, "type_source", NULL, t->source);
	if (t->offset)
		wh_emit_u64(e, "type_offset", NULL, t->offset, WH_UNIT_NONE);
}

void wh_type_text(struct wh_strbuf *sb, const struct wh_row_type *t)
{
	wh_text_escape(sb, t->name);
	if (t->offset)
		wh_strbuf_printf(sb, " from +0x%llx", (unsigned long long)t->offset);
	if (!strcmp(t->source, "inferred"))
		wh_strbuf_puts(sb, " (inferred)");
}

static void emit_tally(struct wh_emit *e, const char *key, const struct wh_tally *t)
{
	wh_emit_object(e, key, NULL);
	wh_emit_u64(e, "count", NULL, t->count, WH_UNIT_NONE);
	wh_emit_u64(e, "bytes", NULL, t->bytes, WH_UNIT_NONE);
	wh_emit_end(e);
}

/* The possibly lost ones that are listed apart, after the others: NULL when there are none. */
static const struct wh_leaks *apart(const struct wh_leaks_view *v)
{
	return v->leaks->possible;
}

static void emit_leak(struct wh_emit *e, const struct wh_leaks_view *v, const struct wh_leak *k,
		      uint32_t group)
{
	const struct wh_buftab *tab = v->target->buftab;

	wh_emit_row(e);
	wh_emit_cell_hex(e, wh_buftab_addr(tab, k->row));
	wh_emit_cell_u64(e, wh_buftab_size(tab, k->row));
	wh_emit_cell_str(e, wh_buftab_class(tab, wh_buftab_class_of(tab, k->row))->name);
	wh_emit_cell_str(e, wh_leak_kind_name((enum wh_leak_kind)k->kind));
	wh_emit_cell_u64(e, group);
}

/* By address: both lists are. */
static void emit_leaks(struct wh_emit *e, const struct wh_leaks_view *v)
{
	static const struct wh_column cols[] = {
		{"address", NULL, false}, {"size", NULL, true},	 {"cache", NULL, false},
		{"kind", NULL, false},	  {"group", NULL, true},
	};
	const struct wh_leaks *l = v->leaks, *p = apart(v);
	size_t i = 0, k = 0, n = p ? p->leaks.n : 0;

	wh_emit_table(e, "leaks", NULL, cols, sizeof(cols) / sizeof(cols[0]));
	while (i < l->leaks.n || k < n) {
		if (k >= n || (i < l->leaks.n && l->leaks.v[i].row < p->leaks.v[k].row)) {
			emit_leak(e, v, &l->leaks.v[i], l->groups.v[l->leaks.v[i].group].id);
			i++;
		} else {
			emit_leak(e, v, &p->leaks.v[k],
				  (uint32_t)l->groups.n + p->groups.v[p->leaks.v[k].group].id);
			k++;
		}
	}
	wh_emit_end(e);
}

static const char *const delta_names[WH_DELTA_COUNT] = {NULL, "new", "grown", "unchanged"};

void wh_emit_group_keys(struct wh_emit *e, const struct wh_leak_group *g)
{
	wh_emit_str(e, "signature", NULL, g->signature);
	wh_emit_bool(e, "weak", NULL, g->weak);
	wh_emit_str(e, "allocator", NULL, g->model);
	wh_emit_str(e, "cache", NULL, g->cache);
	wh_emit_str(e, "kind", NULL, wh_leak_kind_name(wh_leak_group_kind(g)));
	wh_emit_u64(e, "count", NULL, g->all.count, WH_UNIT_NONE);
	wh_emit_u64(e, "bytes", NULL, g->all.bytes, WH_UNIT_NONE);
}

static void emit_group_json(struct wh_emit *e, const struct wh_leaks_view *v,
			    const struct wh_leak_group *g, uint64_t id, bool counted)
{
	wh_emit_object(e, NULL, NULL);
	wh_emit_u64(e, "id", NULL, id, WH_UNIT_NONE);
	if (!counted)
		wh_emit_bool(e, "counted", NULL, false);
	wh_emit_group_keys(e, g);
	wh_emit_object(e, "kinds", NULL);
	for (int k = 0; k < WH_LEAK_KIND_COUNT; k++)
		if (g->kinds[k].count)
			emit_tally(e, wh_leak_kind_name((enum wh_leak_kind)k), &g->kinds[k]);
	wh_emit_end(e);
	emit_tally(e, "hanging", &g->hanging);
	if (g->delta) {
		wh_emit_str(e, "delta", NULL, delta_names[g->delta]);
		emit_tally(e, "baseline", &g->base);
	}
	if (g->suppression != WH_SUPPRESSION_NONE)
		wh_emit_str(e, "suppressed_by", NULL,
			    v->suppressions->rules.v[g->suppression].pattern
				    ? v->suppressions->rules.v[g->suppression].pattern
				    : v->suppressions->rules.v[g->suppression].content);
	wh_emit_str(e, "source", NULL, g->source);
	wh_emit_str(e, "content", NULL, wh_emit_redacts(e) ? NULL : g->content);
	wh_emit_type(e, &g->type);
	wh_emit_object(e, "example", NULL);
	wh_emit_hex(e, "address", NULL, g->example_addr);
	wh_emit_u64(e, "size", NULL, g->example_size, WH_UNIT_NONE);
	if (g->has_pid)
		wh_emit_u64(e, "pid", NULL, g->pid, WH_UNIT_NONE);
	if (g->thread)
		wh_emit_hex(e, "thread", NULL, g->thread);
	if (g->tid)
		wh_emit_u64(e, "tid", NULL, g->tid, WH_UNIT_NONE);
	if (g->has_cpu)
		wh_emit_u64(e, "cpu", NULL, g->cpu, WH_UNIT_NONE);
	if (g->has_time) {
		wh_emit_ns(e, "time_s", NULL, g->time_ns);
		wh_emit_ns(e, "age_s", NULL, g->age_ns);
	}
	if (v->details && !wh_emit_redacts(e))
		wh_emit_contents_hex(e, v->target, g->example_addr, g->example_size);
	wh_emit_end(e);
	wh_emit_frames(e, "stack", g->frames, g->n_frames);
	wh_emit_end(e);
}

/* "12 objects", or "1 definite + 11 indirect objects" when kinds are mixed. */
static void put_kinds(struct wh_strbuf *sb, const struct wh_leak_group *g)
{
	size_t n = 0;

	for (int k = 0; k < WH_LEAK_KIND_COUNT; k++) {
		if (!g->kinds[k].count)
			continue;
		wh_strbuf_puts(sb, n++ ? " + " : "");
		wh_text_u64(sb, g->kinds[k].count);
		wh_strbuf_printf(sb, " %s", wh_leak_kind_name((enum wh_leak_kind)k));
	}
}

static void put_age(struct wh_strbuf *sb, uint64_t ns)
{
	wh_strbuf_printf(sb, ", %llu.%03u s before the dump", (unsigned long long)(ns / 1000000000),
			 (unsigned int)(ns / 1000000 % 1000));
}

static void group_head_text(struct wh_strbuf *sb, const struct wh_leak_group *g)
{
	wh_strbuf_printf(sb, "#%u  ", g->id);
	wh_text_bytes(sb, g->all.bytes);
	wh_strbuf_puts(sb, " of ");
	wh_text_escape(sb, g->cache);
	wh_strbuf_puts(sb, ": ");
	put_kinds(sb, g);
	if (g->hanging.count) {
		wh_strbuf_puts(sb, ", holding ");
		wh_text_u64(sb, g->hanging.count);
		wh_strbuf_puts(sb, " more (");
		wh_text_u64(sb, g->hanging.bytes);
		wh_strbuf_puts(sb, " bytes)");
	}
	if (g->delta)
		wh_strbuf_printf(sb, "  [%s]", delta_names[g->delta]);
	wh_strbuf_printf(sb, "  %s%s", g->signature, g->weak ? " (weak)" : "");
}

static void group_example_text(struct wh_strbuf *sb, const struct wh_leak_group *g)
{
	wh_strbuf_printf(sb, "    %s 0x%016llx",
			 g->has_time	    ? "oldest"
			 : g->all.count > 1 ? "e.g."
					    : "at",
			 (unsigned long long)g->example_addr);
	if (g->has_pid)
		wh_strbuf_printf(sb, ", pid %llu", (unsigned long long)g->pid);
	if (g->thread)
		wh_strbuf_printf(sb, ", thread 0x%llx", (unsigned long long)g->thread);
	if (g->tid)
		wh_strbuf_printf(sb, ", thread %llu", (unsigned long long)g->tid);
	if (g->has_cpu)
		wh_strbuf_printf(sb, ", cpu %u", g->cpu);
	if (g->has_time)
		put_age(sb, g->age_ns);
	if (g->source)
		wh_strbuf_printf(sb, " (%s)", g->source);
}

static void emit_group_text(struct wh_emit *e, const struct wh_leaks_view *v,
			    const struct wh_leak_group *g)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;

	group_head_text(&sb, g);
	wh_emit_line(e, WH_STYLE_PLAIN, "%s", "");
	wh_emit_line(e, WH_STYLE_BOLD, "%s", wh_strbuf_str(&sb));
	wh_emit_frames_text(e, g->frames, g->n_frames, g->skip, v->num_callers);
	if (g->content && !wh_emit_redacts(e))
		wh_emit_line(e, WH_STYLE_PLAIN, "    contents: %s", g->content);
	wh_strbuf_clear(&sb);
	if (g->type.name) {
		wh_type_text(&sb, &g->type);
		wh_emit_line(e, WH_STYLE_PLAIN, "    type: %s", wh_strbuf_str(&sb));
	}
	wh_strbuf_clear(&sb);
	group_example_text(&sb, g);
	wh_emit_line(e, WH_STYLE_PLAIN, "%s", wh_strbuf_str(&sb));
	if (g->suppression != WH_SUPPRESSION_NONE && v->suppressions) {
		const struct wh_suppression *r = &v->suppressions->rules.v[g->suppression];

		wh_emit_line(e, WH_STYLE_DIM, "    suppressed: %s",
			     r->reason ? r->reason : r->pattern);
	}
	if (v->details && !wh_emit_redacts(e))
		wh_emit_contents(e, v->target, g->example_addr, g->example_size);
	wh_strbuf_fini(&sb);
}

static void emit_groups_plain(struct wh_emit *e, const struct wh_leaks *l)
{
	static const struct wh_column cols[] = {
		{"id", "", true},      {"signature", "", false}, {"cache", "", false},
		{"kind", "", false},   {"count", "", true},	 {"bytes", "", true},
		{"hanging", "", true}, {"address", "", false},	 {"site", "", false},
	};
	struct wh_strbuf sb = WH_STRBUF_INIT;

	wh_emit_table(e, "groups", "", cols, sizeof(cols) / sizeof(cols[0]));
	for (size_t i = 0; i < l->groups.n; i++) {
		const struct wh_leak_group *g = &l->groups.v[i];

		wh_strbuf_clear(&sb);
		if (g->n_frames)
			wh_frame_name(&sb, &g->frames[g->skip]);
		wh_emit_row(e);
		wh_emit_cell_u64(e, g->id);
		wh_emit_cell_str(e, g->signature);
		wh_emit_cell_str(e, g->cache);
		wh_emit_cell_str(e, wh_leak_kind_name(wh_leak_group_kind(g)));
		wh_emit_cell_u64(e, g->all.count);
		wh_emit_cell_u64(e, g->all.bytes);
		wh_emit_cell_u64(e, g->hanging.bytes);
		wh_emit_cell_hex(e, g->example_addr);
		wh_emit_cell_str(e, sb.len ? wh_strbuf_str(&sb) : NULL);
	}
	wh_emit_end(e);
	wh_strbuf_fini(&sb);
}

static void emit_groups_text(struct wh_emit *e, const struct wh_leaks_view *v)
{
	uint64_t shown = 0, beyond = 0, other = 0;

	for (size_t i = 0; i < v->leaks->groups.n; i++) {
		const struct wh_leak_group *g = &v->leaks->groups.v[i];

		if (!(v->show_kinds >> wh_leak_group_kind(g) & 1))
			other++;
		else if (v->limit && shown >= v->limit)
			beyond++;
		else {
			emit_group_text(e, v, g);
			shown++;
		}
	}
	if (beyond || other)
		wh_emit_line(e, WH_STYLE_PLAIN, "%s", "");
	if (beyond)
		wh_emit_line(e, WH_STYLE_BOLD, "%llu more groups not shown (--limit=0 shows all)",
			     (unsigned long long)beyond);
	if (other)
		wh_emit_line(
			e, WH_STYLE_DIM,
			"%llu groups of other kinds not shown: what hangs off the above, or is "
			"suppressed (--show-leak-kinds=all)",
			(unsigned long long)other);
}

void wh_leaks_emit_groups(struct wh_emit *e, const struct wh_leaks_view *v)
{
	enum wh_format f = wh_emit_format(e);

	if (f == WH_FORMAT_TEXT)
		emit_groups_text(e, v);
	if (f == WH_FORMAT_PLAIN)
		emit_groups_plain(e, v->leaks);
	if (f == WH_FORMAT_TEXT || f == WH_FORMAT_PLAIN)
		return;
	if (!v->groups_only)
		emit_leaks(e, v);
	wh_emit_array(e, "groups", NULL);
	for (size_t i = 0; i < v->leaks->groups.n; i++)
		emit_group_json(e, v, &v->leaks->groups.v[i], v->leaks->groups.v[i].id, true);
	for (size_t i = 0; apart(v) && i < apart(v)->groups.n; i++)
		emit_group_json(e, v, &apart(v)->groups.v[i],
				v->leaks->groups.n + apart(v)->groups.v[i].id, false);
	wh_emit_end(e);
}

static void emit_suppressions(struct wh_emit *e, const struct wh_leaks_view *v)
{
	static const struct wh_column cols[] = {
		{"count", "objects", true},
		{"bytes", "bytes", true},
		{"pattern", "suppression", false},
		{"from", "from", false},
	};
	const struct wh_suppressions *s = v->suppressions;
	bool any = false;

	for (size_t i = 0; s && i < s->rules.n; i++)
		any |= s->rules.v[i].used.count || (v->verbose && s->rules.v[i].file);
	wh_emit_table(e, "suppressions", any ? "Suppressions used" : NULL, cols,
		      sizeof(cols) / sizeof(cols[0]));
	for (size_t i = 0; s && i < s->rules.n; i++) {
		const struct wh_suppression *r = &s->rules.v[i];
		struct wh_strbuf from = WH_STRBUF_INIT;

		if (!r->used.count && !(v->verbose && r->file))
			continue;
		if (r->file)
			wh_strbuf_printf(&from, "%s:%u%s", r->file, r->line,
					 r->used.count ? "" : " (unused)");
		else
			wh_strbuf_puts(&from, "built-in");
		wh_emit_row(e);
		wh_emit_cell_u64(e, r->used.count);
		wh_emit_cell_u64(e, r->used.bytes);
		wh_emit_cell_str(e, r->pattern ? r->pattern : r->content);
		wh_emit_cell_str(e, wh_strbuf_str(&from));
		wh_strbuf_fini(&from);
	}
	wh_emit_end(e);
}

static void emit_missing(struct wh_emit *e, const struct wh_leaks_view *v)
{
	static const struct wh_column cols[] = {
		{"what", "missing", false},
		{"objects", "objects", true},
		{"bytes", "bytes", true},
		{"why", "why", false},
	};
	const struct wh_plan *p = &v->target->plan;

	wh_emit_table(e, "missing", p->missing.n ? "" : NULL, cols, 4);
	for (size_t i = 0; i < p->missing.n; i++) {
		const struct wh_plan_missing *m = &p->missing.v[i];
		const struct wh_class *c = NULL;

		if (m->cls < wh_buftab_class_count(v->target->buftab))
			c = wh_buftab_class(v->target->buftab, m->cls);
		wh_emit_row(e);
		wh_emit_cell_str(e, c ? c->name : "of any kind");
		wh_emit_cell_u64(e, m->objects);
		wh_emit_cell_u64(e, m->bytes);
		wh_emit_cell_str(e, wh_mem_state_name(m->why));
	}
	wh_emit_end(e);
}

/* Interior pointers that count as pointers to the start, by idiom. */
static void emit_heuristics(struct wh_emit *e, const struct wh_leaks_view *v)
{
	static const struct wh_column cols[] = {
		{"heuristic", "interior pointers accepted as", false},
		{"objects", "objects", true},
	};
	const struct wh_mark_counts *c = wh_marks_counts(v->leaks->marks);
	const char *const *names = v->target->mark_opts.interior_names;
	bool any = false;

	for (int i = 1; names && i < 16; i++)
		any |= c->heuristics[i] > 0;
	wh_emit_table(e, "heuristics", any ? "" : NULL, cols, 2);
	for (int i = 1; names && i < 16; i++) {
		if (!names[i] || !c->heuristics[i])
			continue;
		wh_emit_row(e);
		wh_emit_cell_str(e, names[i]);
		wh_emit_cell_u64(e, c->heuristics[i]);
	}
	wh_emit_end(e);
}

/* The categories of roots, by the names that --no-roots takes. */
static void emit_roots(struct wh_emit *e, const struct wh_leaks_view *v)
{
	static const struct wh_column cols[] = {
		{"kind", "roots", false},
		{"bytes", "bytes", true},
		{"words", "single words", true},
		{"used", "used", false},
	};
	const struct wh_plan *p = &v->target->plan;
	/* count is of single words, bytes of ranges */
	WH_AUTO_FREE struct wh_tally *sums = wh_calloc(p->kinds.n, sizeof(*sums));

	for (size_t i = 0; sums && i < p->roots.n; i++)
		if (p->roots.v[i].kind < p->kinds.n)
			sums[p->roots.v[i].kind].bytes += p->roots.v[i].len;
	for (size_t i = 0; sums && i < p->words.n; i++)
		if (p->words.v[i].kind < p->kinds.n)
			sums[p->words.v[i].kind].count++;
	wh_emit_table(e, "roots", v->verbose ? "" : NULL, cols, 4);
	for (size_t k = 0; sums && k < p->kinds.n; k++) {
		wh_emit_row(e);
		wh_emit_cell_str(e, p->kinds.v[k].name);
		wh_emit_cell_u64(e, sums[k].bytes);
		wh_emit_cell_u64(e, sums[k].count);
		wh_emit_cell_bool(e, !p->kinds.v[k].off);
	}
	wh_emit_end(e);
}

static void emit_coverage(struct wh_emit *e, const struct wh_leaks_view *v)
{
	const struct wh_mark_counts *c = wh_marks_counts(v->leaks->marks);

	wh_emit_object(e, "coverage", "Coverage");
	wh_emit_bool(e, "complete", "complete", !v->incomplete);
	wh_emit_u64(e, "bytes_roots", "scanned as roots", c->bytes_roots, WH_UNIT_BYTES);
	wh_emit_u64(e, "bytes_nodes", "scanned in objects", c->bytes_nodes, WH_UNIT_BYTES);
	wh_emit_object(e, "absent", NULL);
	for (int s = WH_MEM_EXCLUDED; s < WH_MEM_STATE_COUNT; s++)
		wh_emit_u64(e, wh_mem_state_name((enum wh_mem_state)s), NULL, c->bytes_absent[s],
			    WH_UNIT_BYTES);
	wh_emit_end(e);
	for (int s = WH_MEM_EXCLUDED; s < WH_MEM_STATE_COUNT; s++)
		if (c->bytes_absent[s])
			wh_emit_u64(e, NULL, wh_mem_state_name((enum wh_mem_state)s),
				    c->bytes_absent[s], WH_UNIT_BYTES);
	emit_roots(e, v);
	emit_missing(e, v);
	emit_heuristics(e, v);
	wh_emit_end(e);
}

static void emit_sum(struct wh_emit *e, const char *key, const struct wh_tally *a,
		     const struct wh_tally *b)
{
	emit_tally(e, key,
		   &(struct wh_tally){.count = a->count + b->count, .bytes = a->bytes + b->bytes});
}

void wh_leaks_emit_totals(struct wh_emit *e, const struct wh_leaks_view *v)
{
	static const struct wh_leaks none;
	const struct wh_leaks *l = v->leaks, *p = apart(v) ? apart(v) : &none;

	wh_emit_object(e, "totals", NULL);
	emit_sum(e, "all", &l->all, &p->all);
	for (int k = 0; k < WH_LEAK_KIND_COUNT; k++)
		emit_sum(e, wh_leak_kind_name((enum wh_leak_kind)k), &l->kinds[k], &p->kinds[k]);
	emit_tally(e, "interior_only", &l->interior);
	emit_tally(e, "allocated", &l->allocated);
	wh_emit_u64(e, "groups", NULL, l->groups.n + p->groups.n, WH_UNIT_NONE);
	wh_emit_end(e);
	emit_suppressions(e, v);
	emit_coverage(e, v);
}

void wh_leaks_emit_summary(struct wh_emit *e, const struct wh_leaks_view *v)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;
	const char *advice = v->target->recorded ? NULL : v->target->record_advice;

	wh_emit_str(e, "advice", NULL, advice);
	wh_emit_line(e, WH_STYLE_PLAIN, "%s", "");
	if (advice) {
		wh_emit_line(e, WH_STYLE_BOLD, "Advice: %s", advice);
		wh_emit_line(e, WH_STYLE_PLAIN, "%s", "");
	}
	wh_leaks_summary(&sb, v->leaks);
	wh_emit_line(e, WH_STYLE_BOLD, "%s", wh_strbuf_str(&sb));
	wh_strbuf_fini(&sb);
}

void wh_emit_diags(struct wh_emit *e, struct wh_diags *d)
{
	static const struct wh_column cols[] = {
		{"severity", "severity", false}, {"id", "id", false},
		{"count", "count", true},	 {"address", NULL, false},
		{"text", "example", false},
	};
	size_t n;
	const struct wh_diag *list = wh_diags_list(d, &n);

	wh_emit_table(e, "diagnostics", n ? "Diagnostics" : NULL, cols,
		      sizeof(cols) / sizeof(cols[0]));
	for (size_t i = 0; i < n; i++) {
		wh_emit_row(e);
		wh_emit_cell_str(e, wh_severity_name(list[i].severity));
		wh_emit_cell_str(e, list[i].id);
		wh_emit_cell_u64(e, list[i].count);
		if (list[i].addr)
			wh_emit_cell_hex(e, list[i].addr);
		else
			wh_emit_cell_str(e, NULL);
		wh_emit_cell_str(e, wh_emit_redacts(e) ? NULL : list[i].text);
	}
	wh_emit_end(e);
}

#define CONTENTS_MAX 4096 /* [bytes] of one object that are shown */

static void hexdump_line(struct wh_strbuf *sb, struct wh_abi abi, uint64_t addr, const uint8_t *p,
			 size_t n)
{
	wh_strbuf_printf(sb, "    %016llx ", (unsigned long long)addr);
	for (size_t i = 0; i < 16; i += abi.word) {
		if (i + abi.word <= n)
			wh_strbuf_printf(sb, " %0*llx", abi.word * 2,
					 (unsigned long long)wh_get_word(abi, p + i));
		else
			wh_strbuf_printf(sb, " %*s", abi.word * 2, "");
	}
	wh_strbuf_puts(sb, "  ");
	for (size_t i = 0; i < n; i++)
		wh_strbuf_putc(sb, isprint(p[i]) ? (char)p[i] : '.');
}

/* Rows that say the same as the one before are folded into a "*", as hexdump does. */
void wh_emit_contents(struct wh_emit *e, struct wh_target *t, uint64_t addr, uint64_t size)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;
	uint64_t shown = size > CONTENTS_MAX ? CONTENTS_MAX : size;
	uint8_t buf[16], last[16];
	bool folded = false;

	for (uint64_t off = 0; off < shown; off += sizeof(buf)) {
		size_t want = shown - off < sizeof(buf) ? (size_t)(shown - off) : sizeof(buf);
		enum wh_mem_state state = WH_MEM_PRESENT;
		size_t got = wh_read_some(t->reader, WH_VIRT, addr + off, buf, want, &state);

		if (off && got == sizeof(buf) && !memcmp(buf, last, sizeof(buf)) &&
		    off + sizeof(buf) < shown) {
			if (!folded)
				wh_emit_line(e, WH_STYLE_DIM, "    *");
			folded = true;
			continue;
		}
		folded = false;
		memcpy(last, buf, sizeof(buf));
		wh_strbuf_clear(&sb);
		if (got)
			hexdump_line(&sb, t->dump->abi, addr + off, buf, got);
		if (got < want)
			wh_strbuf_printf(&sb, "    %016llx  %s", (unsigned long long)(addr + off),
					 wh_mem_state_name(state));
		wh_emit_line(e, WH_STYLE_DIM, "%s", wh_strbuf_str(&sb));
		if (got < want)
			break;
	}
	if (shown < size)
		wh_emit_line(e, WH_STYLE_DIM, "    ... %llu more bytes",
			     (unsigned long long)(size - shown));
	wh_strbuf_fini(&sb);
}

void wh_emit_contents_hex(struct wh_emit *e, struct wh_target *t, uint64_t addr, uint64_t size)
{
	WH_CLEANUP(wh_strbuf_fini) struct wh_strbuf sb = WH_STRBUF_INIT;
	uint8_t buf[CONTENTS_MAX];
	size_t n = wh_read_some(t->reader, WH_VIRT, addr, buf,
				size > CONTENTS_MAX ? CONTENTS_MAX : (size_t)size, NULL);

	for (size_t i = 0; i < n; i++)
		wh_strbuf_printf(&sb, "%02x", buf[i]);
	wh_emit_str(e, "contents", NULL, wh_strbuf_str(&sb));
}
