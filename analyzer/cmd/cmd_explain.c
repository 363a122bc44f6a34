/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * explain: why an object got its verdict.  Live: the chain of words from a named root.  Lost: that no
 * word holds it, and everything in the dump that comes near (a stale word in memory that nobody reads any
 * more, an unaligned word, its physical address), so that the reader can judge.
 */
#include <stdlib.h>
#include <string.h>

#include "analyzer/cmd/cmd.h"
#include "analyzer/graph/search.h"
#include "analyzer/report/leaks_emit.h"

/* Forms of mentions; aliases of the target come behind them. */
enum form { FORM_POINTER, FORM_PAST_END, FORM_ALIAS };
#define MISSES_SHOWN 8
#define BATCH	     256 /* addresses that share one search through the dump */

struct subject {
	struct wh_run *run;
	struct wh_target *t;
	const struct wh_marks *marks;
	struct wh_arena *mem;
	uint64_t asked;
	uint32_t row;
	uint64_t addr, size;
	wh_alias_vec aliases;
	uint32_t first_form; /* in the search; its forms are this + enum form */
	const struct wh_search_hit *hits;
	size_t n_hits;
};

typedef WH_VEC(struct wh_search_want) want_vec;

static const struct wh_class *class_of(const struct wh_target *t, uint32_t row)
{
	return wh_buftab_class(t->buftab, wh_buftab_class_of(t->buftab, row));
}

static const char *class_name(const struct wh_target *t, uint32_t row)
{
	return class_of(t, row)->name;
}

/* ---- live: the chain ---- */

/* Where a word outside all objects stands: a symbol, what whatis says, or just its kind. */
static void word_place(struct subject *s, uint64_t where, struct wh_strbuf *sb)
{
	struct wh_frame f = {0};
	wh_whatis_vec v = {0};
	struct wh_err *e = NULL;

	if (s->t->ops->symbolize && s->t->ops->symbolize(s->t, where, &f) && f.symbol) {
		wh_strbuf_puts(sb, f.symbol);
		wh_strbuf_printf(sb, "+0x%llx", (unsigned long long)f.offset);
		if (f.module)
			wh_strbuf_printf(sb, " [%s]", f.module);
		return;
	}
	if (s->t->ops->whatis)
		e = s->t->ops->whatis(s->t, where, s->mem, &v);
	if (!e && v.n)
		wh_strbuf_puts(sb, v.v[0].text);
	wh_err_destroy(e);
	WH_VEC_FINI(&v);
}

static void emit_holder(struct subject *s, const struct wh_holder *h)
{
	struct wh_emit *e = s->run->emit;
	struct wh_strbuf place = WH_STRBUF_INIT;

	wh_emit_object(e, NULL, "");
	if (h->row == WH_ROW_NONE) {
		const char *kind =
			h->kind < s->t->plan.kinds.n ? s->t->plan.kinds.v[h->kind].name : "root";

		if (h->where)
			word_place(s, h->where, &place);
		else if (s->t->ops->word_text)
			s->t->ops->word_text(s->t, h->kind, h->note, &place);
		wh_emit_str(e, "root", NULL, kind);
		wh_emit_str(e, "place", NULL, place.len ? wh_strbuf_str(&place) : NULL);
		wh_emit_hex(e, "where", NULL, h->where);
		if (h->where)
			wh_emit_line(e, WH_STYLE_PLAIN, "root: %s, word at 0x%016llx%s%s", kind,
				     (unsigned long long)h->where, place.len ? "  " : "",
				     wh_strbuf_str(&place));
		else if (s->t->ops->word_text)
			wh_emit_line(e, WH_STYLE_PLAIN, "root: %s%s%s", kind, place.len ? ", " : "",
				     wh_strbuf_str(&place));
		else
			wh_emit_line(e, WH_STYLE_PLAIN, "root: %s (%u)", kind, h->note);
	} else {
		uint64_t base = wh_buftab_addr(s->t->buftab, h->row);

		wh_emit_hex(e, "object", NULL, base);
		wh_emit_str(e, "cache", NULL, class_name(s->t, h->row));
		wh_emit_hex(e, "where", NULL, h->where);
		wh_emit_u64(e, "offset", NULL, h->where - base, WH_UNIT_NONE);
		wh_emit_line(e, WH_STYLE_PLAIN, "  -> 0x%016llx %s, word at +0x%llx",
			     (unsigned long long)base, class_name(s->t, h->row),
			     (unsigned long long)(h->where - base));
	}
	wh_emit_end(e);
	wh_strbuf_fini(&place);
}

static struct wh_err *emit_chain(struct subject *s)
{
	WH_AUTO_FREE struct wh_holder *chain = NULL;
	struct wh_emit *e = s->run->emit;
	size_t n;

	WH_TRY(wh_marks_chain(s->marks, s->row, &chain, &n));
	wh_emit_array(e, "chain", "");
	for (size_t i = 0; i < n; i++)
		emit_holder(s, &chain[i]);
	wh_emit_end(e);
	wh_emit_line(e, WH_STYLE_PLAIN, "      -> 0x%016llx %s: this object",
		     (unsigned long long)s->addr, class_name(s->t, s->row));
	return NULL;
}

/* ---- lost: near misses ---- */

static bool is_lost(const struct subject *s)
{
	enum wh_verdict v;

	if (s->row == WH_ROW_NONE)
		return false;
	v = wh_marks_verdict(s->marks, s->row);
	return v != WH_VERDICT_REACHABLE && v != WH_VERDICT_NONE;
}

/* What the search shall look for on behalf of @s; forms are numbered on from *forms. */
static struct wh_err *want_mentions(struct subject *s, want_vec *wants, uint32_t *forms)
{
	uint32_t f = *forms;
	struct wh_search_want pointer = {s->addr, s->addr + s->size - 1, f + FORM_POINTER, true};
	struct wh_search_want past = {s->addr + s->size, s->addr + s->size, f + FORM_PAST_END,
				      false};

	s->first_form = f;
	WH_TRY(WH_VEC_PUSH(wants, pointer));
	WH_TRY(WH_VEC_PUSH(wants, past));
	if (s->t->ops->aliases)
		WH_TRY(s->t->ops->aliases(s->t, s->addr, s->size, &s->aliases));
	for (size_t i = 0; i < s->aliases.n; i++) {
		struct wh_search_want w = {s->aliases.v[i].first, s->aliases.v[i].last,
					   f + FORM_ALIAS + (uint32_t)i, false};

		WH_TRY(WH_VEC_PUSH(wants, w));
	}
	*forms = f + FORM_ALIAS + (uint32_t)s->aliases.n;
	return NULL;
}

/* One pass through the dump for all lost ones of @subjects; hits come in the order of the forms. */
static struct wh_err *find_mentions(struct wh_run *run, struct subject *subjects, size_t n,
				    wh_search_hits *hits)
{
	want_vec wants = {0};
	struct wh_err *e = NULL;
	uint32_t forms = 0;
	size_t at = 0;

	for (size_t i = 0; !e && i < n; i++)
		if (is_lost(&subjects[i]))
			e = want_mentions(&subjects[i], &wants, &forms);
	if (!e && wants.n)
		e = wh_search_run(run->ctx, run->target->mem, wants.v, wants.n, hits, NULL);
	for (size_t i = 0; !e && i < n; i++) {
		struct subject *s = &subjects[i];

		if (!is_lost(s))
			continue;
		s->hits = hits->n ? hits->v + at : NULL;
		for (; at < hits->n && hits->v[at].form < s->first_form + FORM_ALIAS + s->aliases.n;
		     at++)
			s->n_hits++;
	}
	WH_VEC_FINI(&wants);
	return e;
}

/* The address by which the rest of the program knows the place of a hit. */
static bool place_of(struct subject *s, const struct wh_search_hit *h, uint64_t *ret)
{
	const struct wh_plan *p = &s->t->plan;

	if (h->space == WH_VIRT) {
		*ret = h->addr;
		return true;
	}
	if (s->t->ops->phys_to_virt && s->t->ops->phys_to_virt(s->t, h->addr, ret))
		return true;
	for (size_t i = 0; i < p->nodes.n + p->roots.n; i++) {
		const struct wh_plan_range *r =
			i < p->nodes.n ? &p->nodes.v[i] : &p->roots.v[i - p->nodes.n];

		if (r->space == WH_PHYS && h->addr >= r->addr && h->addr - r->addr < r->len) {
			*ret = r->label + (h->addr - r->addr);
			return true;
		}
	}
	return false;
}

static void put_row(struct subject *s, struct wh_strbuf *sb, uint32_t row, uint64_t va)
{
	static const char *const states[WH_BUF_STATE_COUNT] = {"", "pending-free ", "unsure ",
							       "free "};
	enum wh_verdict v = wh_marks_verdict(s->marks, row);

	if (row == s->row)
		wh_strbuf_puts(sb, "the object itself");
	else
		wh_strbuf_printf(sb, "%s%s%s 0x%016llx",
				 v == WH_VERDICT_REACHABLE || v == WH_VERDICT_NONE ? "" : "leaked ",
				 states[wh_buftab_state(s->t->buftab, row)], class_name(s->t, row),
				 (unsigned long long)wh_buftab_addr(s->t->buftab, row));
	wh_strbuf_printf(sb, " at +0x%llx",
			 (unsigned long long)(va - wh_buftab_addr(s->t->buftab, row)));
}

static void describe_place(struct subject *s, const struct wh_search_hit *h, struct wh_strbuf *sb)
{
	uint64_t va;
	uint32_t row;

	if (!place_of(s, h, &va)) {
		wh_strbuf_puts(sb, "memory that nothing maps");
		return;
	}
	row = wh_buftab_find(s->t->buftab, va);
	if (row != WH_ROW_NONE) {
		put_row(s, sb, row, va);
		return;
	}
	word_place(s, va, sb);
	if (!sb->len)
		wh_strbuf_puts(sb, "memory outside every object and root");
}

static const char *form_name(const struct subject *s, const struct wh_search_hit *h)
{
	uint32_t form = h->form - s->first_form;

	if (form == FORM_POINTER)
		return h->aligned ? "pointer in memory that is not read for references"
				  : "unaligned pointer";
	if (form == FORM_PAST_END)
		return "pointer one past the end";
	return s->aliases.v[form - FORM_ALIAS].form;
}

static bool in_roots(const struct wh_plan *p, uint64_t va)
{
	for (size_t i = 0; i < p->roots.n; i++)
		if (p->roots.v[i].space == WH_VIRT && va >= p->roots.v[i].label &&
		    va - p->roots.v[i].label < p->roots.v[i].len &&
		    !p->kinds.v[p->roots.v[i].kind].off)
			return true;
	return false;
}

/* Who holds a possibly lost object: these are no misses, but all there is. */
static const char *interior_name(struct subject *s, uint64_t va, uint32_t row)
{
	if (row == WH_ROW_NONE)
		return in_roots(&s->t->plan, va) ? "pointer into its middle, in a root" : NULL;
	switch (wh_marks_verdict(s->marks, row)) {
	case WH_VERDICT_REACHABLE: return "pointer into its middle, in a live object";
	case WH_VERDICT_POSSIBLE: return "pointer into its middle, in a possibly lost object";
	default: return NULL;
	}
}

/* Object to itself, or leaked to leaked, is no miss: it explains an indirect leak. */
static const char *miss_name(struct subject *s, const struct wh_search_hit *h)
{
	uint64_t va;
	uint32_t row;

	if (h->form != s->first_form + FORM_POINTER || !h->aligned || !place_of(s, h, &va))
		return form_name(s, h);
	row = wh_buftab_find(s->t->buftab, va);
	if (row == s->row)
		return "pointer in the object itself";
	if (wh_marks_verdict(s->marks, s->row) == WH_VERDICT_POSSIBLE && interior_name(s, va, row))
		return interior_name(s, va, row);
	if (row == WH_ROW_NONE)
		return form_name(s, h);
	switch (wh_marks_verdict(s->marks, row)) {
	case WH_VERDICT_REACHABLE:
		return "stale pointer in a live object, in words that do not count";
	case WH_VERDICT_NONE: return "pointer in memory that is free or does not count";
	default: return "pointer in another leaked object";
	}
}

/* A single word (a register) that points into a possibly lost object; NULL none after @w. */
static const struct wh_plan_word *next_word(const struct subject *s, const struct wh_plan_word *w)
{
	const struct wh_plan *p = &s->t->plan;

	if (wh_marks_verdict(s->marks, s->row) != WH_VERDICT_POSSIBLE)
		return NULL;
	for (w = w ? w + 1 : p->words.v; w < p->words.v + p->words.n; w++)
		if (w->value - s->addr < s->size && !p->kinds.v[w->kind].off)
			return w;
	return NULL;
}

static void emit_words(struct subject *s)
{
	const char *form = "pointer into its middle, in a root";
	struct wh_emit *e = s->run->emit;

	for (const struct wh_plan_word *w = next_word(s, NULL); w; w = next_word(s, w)) {
		const char *kind = s->t->plan.kinds.v[w->kind].name;

		wh_emit_object(e, NULL, "");
		wh_emit_str(e, "form", NULL, form);
		wh_emit_hex(e, "where", NULL, w->where);
		wh_emit_str(e, "space", NULL, "virtual");
		wh_emit_hex(e, "value", NULL, w->value);
		wh_emit_str(e, "in", NULL, kind);
		wh_emit_line(e, WH_STYLE_PLAIN, "%s: 0x%llx in %s (weephole whatis 0x%llx)", form,
			     (unsigned long long)w->value, kind, (unsigned long long)w->value);
		wh_emit_end(e);
	}
}

static void emit_misses(struct subject *s)
{
	struct wh_emit *e = s->run->emit;
	struct wh_strbuf sb = WH_STRBUF_INIT;
	size_t shown = 0;

	wh_emit_line(e, WH_STYLE_PLAIN,
		     s->n_hits || next_word(s, NULL)
			     ? "What comes near:"
			     : "No word in the whole dump comes near: no "
			       "unaligned, shifted or stale pointer either.");
	wh_emit_array(e, "near_misses", "");
	emit_words(s);
	for (size_t i = 0; i < s->n_hits; i++) {
		const struct wh_search_hit *h = &s->hits[i];

		shown = i && h->form == s->hits[i - 1].form ? shown + 1 : 1;
		wh_strbuf_clear(&sb);
		describe_place(s, h, &sb);
		wh_emit_object(e, NULL, shown <= MISSES_SHOWN ? "" : NULL);
		wh_emit_str(e, "form", NULL, miss_name(s, h));
		wh_emit_hex(e, "where", NULL, h->addr);
		wh_emit_str(e, "space", NULL, h->space == WH_PHYS ? "physical" : "virtual");
		wh_emit_hex(e, "value", NULL, h->value);
		wh_emit_str(e, "in", NULL, wh_strbuf_str(&sb));
		wh_emit_line(e, WH_STYLE_PLAIN, "%s: 0x%llx at %s0x%llx, %s", miss_name(s, h),
			     (unsigned long long)h->value, h->space == WH_PHYS ? "physical " : "",
			     (unsigned long long)h->addr, wh_strbuf_str(&sb));
		if (shown == MISSES_SHOWN + 1)
			wh_emit_line(e, WH_STYLE_DIM, "more of the same form (--json lists them)");
		wh_emit_end(e);
	}
	wh_emit_end(e);
	wh_strbuf_fini(&sb);
}

static void emit_lost(struct subject *s, enum wh_verdict v)
{
	struct wh_emit *e = s->run->emit;
	uint32_t head = wh_marks_head(s->marks, s->row);

	if (v == WH_VERDICT_INDIRECT && head != WH_ROW_NONE) {
		wh_emit_hex(e, "head", NULL, wh_buftab_addr(s->t->buftab, head));
		wh_emit_line(e, WH_STYLE_PLAIN,
			     "Only leaked objects refer to it; it hangs off 0x%016llx %s.",
			     (unsigned long long)wh_buftab_addr(s->t->buftab, head),
			     class_name(s->t, head));
	} else if (v == WH_VERDICT_POSSIBLE) {
		wh_emit_line(e, WH_STYLE_PLAIN,
			     "Only words that point into its middle refer to it.");
	} else if (v == WH_VERDICT_UNKNOWN) {
		wh_emit_line(e, WH_STYLE_PLAIN,
			     "No word that is in the dump refers to it, but memory that could hold "
			     "such a word is missing (weephole info).");
	} else {
		wh_emit_line(e, WH_STYLE_PLAIN,
			     "No aligned word in any root or live object lies in 0x%llx-0x%llx.",
			     (unsigned long long)s->addr,
			     (unsigned long long)(s->addr + s->size - 1));
	}
	emit_misses(s);
}

static struct wh_err *type_of(struct subject *s, uint32_t row, struct wh_row_type *ret)
{
	*ret = (struct wh_row_type){0};
	return s->t->ops->type ? s->t->ops->type(s->t, row, s->mem, ret) : NULL;
}

static struct wh_err *emit_object(struct subject *s)
{
	WH_CLEANUP(wh_strbuf_fini) struct wh_strbuf type_text = WH_STRBUF_INIT;
	struct wh_row_type type;
	static const char *const states[WH_BUF_STATE_COUNT] = {"allocated", "pending free",
							       "unsure", "free"};
	enum wh_verdict v = wh_marks_verdict(s->marks, s->row);
	const char *state = states[wh_buftab_state(s->t->buftab, s->row)];
	struct wh_emit *e = s->run->emit;

	WH_TRY(type_of(s, s->row, &type));
	if (type.name) {
		wh_strbuf_puts(&type_text, ", ");
		wh_type_text(&type_text, &type);
	}
	wh_emit_hex(e, "object", NULL, s->addr);
	wh_emit_u64(e, "size", NULL, s->size, WH_UNIT_NONE);
	wh_emit_str(e, "cache", NULL, class_name(s->t, s->row));
	wh_emit_str(e, "state", NULL, state);
	wh_emit_str(e, "verdict", NULL, wh_verdict_name(v));
	wh_emit_type(e, &type);
	wh_emit_line(e, WH_STYLE_BOLD, "0x%016llx: %s object of %s, %llu bytes%s%s: %s",
		     (unsigned long long)s->addr, state, class_name(s->t, s->row),
		     (unsigned long long)s->size, wh_strbuf_str(&type_text),
		     s->asked - s->addr >= s->size ? " (by another name)"
		     : s->asked != s->addr	   ? " (interior address)"
						   : "",
		     v == WH_VERDICT_NONE ? "not judged" : wh_verdict_name(v));
	if (v == WH_VERDICT_REACHABLE)
		return emit_chain(s);
	if (v != WH_VERDICT_NONE)
		emit_lost(s, v);
	else if (class_of(s->t, s->row)->flags & WH_CLASS_NOREPORT)
		wh_emit_line(e, WH_STYLE_PLAIN,
			     "Nothing refers to it, but %s are only searched for references, never "
			     "reported: other numbers than addresses may hold them.",
			     class_name(s->t, s->row));
	return NULL;
}

/* The row that holds @addr, or that @addr names otherwise (a per-CPU pointer). */
static uint32_t row_of(const struct wh_target *t, uint64_t addr)
{
	uint32_t row = wh_buftab_find(t->buftab, addr);

	if (row != WH_ROW_NONE || !wh_plan_alias_find(&t->plan, addr, &addr))
		return row;
	row = wh_buftab_find(t->buftab, addr);
	if (row == WH_ROW_NONE)
		return row;
	return class_of(t, row)->flags & WH_CLASS_ALIASED ? row : WH_ROW_NONE;
}

static struct subject subject_of(struct wh_run *run, const struct wh_marks *marks,
				 struct wh_arena *mem, uint64_t addr)
{
	struct subject s = {
		.run = run, .t = run->target, .marks = marks, .mem = mem, .asked = addr};

	s.row = row_of(s.t, addr);
	if (s.row != WH_ROW_NONE) {
		s.addr = wh_buftab_addr(s.t->buftab, s.row);
		s.size = wh_buftab_size(s.t->buftab, s.row);
	}
	return s;
}

static struct wh_err *emit_subject(struct subject *s)
{
	struct wh_emit *e = s->run->emit;

	wh_emit_object(e, NULL, "");
	wh_emit_hex(e, "address", NULL, s->asked);
	if (s->row == WH_ROW_NONE) {
		wh_emit_null(e, "object");
		wh_emit_line(e, WH_STYLE_BOLD,
			     "0x%016llx lies in no object; weephole whatis says more",
			     (unsigned long long)s->asked);
	} else {
		WH_TRY(emit_object(s));
	}
	wh_emit_end(e);
	return NULL;
}

/* Some of the addresses asked for, from @first on: one search, then their answers in order. */
static struct wh_err *batch(struct wh_run *run, const struct wh_marks *marks, size_t first,
			    size_t n)
{
	WH_AUTO_FREE struct subject *subjects = wh_calloc(n, sizeof(*subjects));
	struct wh_arena mem = WH_ARENA_INIT;
	wh_search_hits hits = {0};
	struct wh_err *e = subjects ? NULL : &wh_err_nomem;

	for (size_t i = 0; !e && i < n; i++)
		subjects[i] = subject_of(run, marks, &mem, run->addrs.v[first + i]);
	if (!e)
		e = find_mentions(run, subjects, n, &hits);
	for (size_t i = 0; !e && i < n; i++)
		e = emit_subject(&subjects[i]);
	for (size_t i = 0; subjects && i < n; i++)
		WH_VEC_FINI(&subjects[i].aliases);
	WH_VEC_FINI(&hits);
	wh_arena_fini(&mem);
	return e;
}

static struct wh_err *explain(struct wh_run *run)
{
	const struct wh_marks *marks;

	WH_TRY(wh_run_target(run, true));
	WH_TRY(wh_target_mark_parents(run->target, &marks));
	wh_emit_u64(run->emit, "schema", NULL, 1, WH_UNIT_NONE);
	wh_run_emit_dump(run);
	wh_emit_array(run->emit, "explanations", "");
	for (size_t i = 0; i < run->addrs.n; i += BATCH)
		WH_TRY(batch(run, marks, i, run->addrs.n - i < BATCH ? run->addrs.n - i : BATCH));
	wh_emit_end(run->emit);
	if (wh_emit_format(run->emit) == WH_FORMAT_JSON)
		wh_run_emit_diags(run);
	return NULL;
}

const struct wh_command wh_cmd_explain = {
	.name = "explain",
	.synopsis = "[options] ADDRESS|SYMBOL... [VMLINUX|PROGRAM] DUMP",
	.summary = "show who holds an object, or that nobody does",
	.help = "For a live object: the chain of words that leads to it from a named root. For a lost "
		"one: the statement that no word holds it, and what comes near: stale pointers in "
		"memory that nobody reads any more, unaligned words, one past the end, and the other "
		"numbers that stand for it (physical address, page frame, struct page).\n\n"
		"Every verdict can be questioned this way.",
	.examples = "weephole explain 0xffff888004a3c200 vmcore\twhy is it (not) a leak?\n",
	.groups = WH_OG_OUT | WH_OG_INPUT | WH_OG_SCAN,
	.args = WH_ARGS_DUMP | WH_ARGS_ADDR,
	.run = explain,
};
