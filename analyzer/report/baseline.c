/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/report/baseline.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/strbuf.h"
#include "analyzer/name/frame.h"
#include "analyzer/report/emit.h"
#include "analyzer/report/leaks_emit.h"

static int entry_cmp(const void *pa, const void *pb)
{
	const struct wh_baseline_entry *a = pa, *b = pb;

	return strcmp(a->signature, b->signature);
}

/* Sorts, and joins groups that share a signature. */
static void settle(struct wh_baseline *b)
{
	size_t o = 0;

	if (!b->entries.n)
		return;
	wh_sort(b->entries.v, b->entries.n, sizeof(*b->entries.v), entry_cmp);
	for (size_t i = 1; i < b->entries.n; i++) {
		struct wh_baseline_entry *last = &b->entries.v[o], *e = &b->entries.v[i];

		if (!strcmp(last->signature, e->signature))
			wh_tally_add(&last->tally, e->tally.count, e->tally.bytes);
		else
			b->entries.v[++o] = *e;
	}
	b->entries.n = o + 1;
}

static struct wh_err *add(struct wh_baseline *b, const char *signature, const char *cache,
			  const char *stack, struct wh_tally tally)
{
	struct wh_baseline_entry e = {.tally = tally};

	snprintf(e.signature, sizeof(e.signature), "%s", signature);
	e.cache = wh_arena_strdup(&b->mem, cache);
	e.stack = wh_arena_strdup(&b->mem, stack);
	if (!e.cache || !e.stack)
		return &wh_err_nomem;
	return WH_VEC_PUSH(&b->entries, e);
}

static void put_stack(struct wh_strbuf *sb, const struct wh_leak_group *g)
{
	struct wh_strbuf name = WH_STRBUF_INIT;

	for (size_t i = g->skip; i < g->n_frames; i++) {
		if (g->frames[i].inlined)
			continue;
		wh_strbuf_clear(&name);
		wh_frame_stable(&name, &g->frames[i]);
		wh_strbuf_puts(sb, sb->len ? "<" : "");
		wh_text_escape(sb, wh_strbuf_str(&name));
	}
	sb->failed |= name.failed;
	wh_strbuf_fini(&name);
}

struct wh_err *wh_baseline_from_leaks(const struct wh_leaks *l, struct wh_baseline *ret)
{
	struct wh_strbuf stack = WH_STRBUF_INIT;
	struct wh_err *e = NULL;

	for (size_t i = 0; !e && i < l->groups.n; i++) {
		const struct wh_leak_group *g = &l->groups.v[i];
		const struct wh_tally *hidden = &g->kinds[WH_LEAK_SUPPRESSED];
		struct wh_tally t = {g->all.count - hidden->count, g->all.bytes - hidden->bytes};

		if (!t.count)
			continue;
		wh_strbuf_clear(&stack);
		put_stack(&stack, g);
		e = add(ret, g->signature, g->cache, wh_strbuf_str(&stack), t);
	}
	if (!e && stack.failed)
		e = &wh_err_nomem;
	wh_strbuf_fini(&stack);
	settle(ret);
	return e;
}

void wh_baseline_print(const struct wh_baseline *b, struct wh_strbuf *sb)
{
	wh_strbuf_printf(sb, "# weephole baseline %d\n# signature\tcount\tbytes\tcache\tstack\n",
			 WH_BASELINE_VERSION);
	for (size_t i = 0; i < b->entries.n; i++) {
		const struct wh_baseline_entry *e = &b->entries.v[i];

		wh_strbuf_printf(sb, "%s\t%llu\t%llu\t", e->signature,
				 (unsigned long long)e->tally.count,
				 (unsigned long long)e->tally.bytes);
		wh_text_escape(sb, e->cache);
		wh_strbuf_printf(sb, "\t%s\n", e->stack);
	}
}

const struct wh_baseline_entry *wh_baseline_find(const struct wh_baseline *b, const char *signature)
{
	struct wh_baseline_entry key = {{0}, NULL, NULL, {0, 0}};

	if (!b->entries.n)
		return NULL;
	snprintf(key.signature, sizeof(key.signature), "%s", signature);
	return bsearch(&key, b->entries.v, b->entries.n, sizeof(key), entry_cmp);
}

void wh_baseline_fini(struct wh_baseline *b)
{
	WH_VEC_FINI(&b->entries);
	wh_arena_fini(&b->mem);
}

/* ---- reading ---- */

static struct wh_err *bad_line(const char *path, size_t line, const char *why)
{
	return wh_err_new(WH_ERR_USAGE, "%s:%zu: %s", path, line, why);
}

static bool parse_u64(const char *s, uint64_t *ret)
{
	char *end;

	if (!isdigit((unsigned char)*s))
		return false;
	errno = 0;
	*ret = strtoull(s, &end, 10);
	return !*end && !errno;
}

static bool is_signature(const char *s)
{
	return strlen(s) == 16 && strspn(s, "0123456789abcdef") == 16;
}

static struct wh_err *parse_line(struct wh_baseline *b, const char *path, size_t number, char *line)
{
	char *field[5];
	struct wh_tally t;
	size_t n = 0;

	for (char *p = line; p && n < 5; n++) {
		field[n] = p;
		p = strchr(p, '\t');
		if (p && n < 4)
			*p++ = '\0';
	}
	if (n != 5)
		return bad_line(path, number, "want five fields separated by tabs");
	if (!is_signature(field[0]))
		return bad_line(path, number, "the signature is not 16 hexadecimal digits");
	if (!parse_u64(field[1], &t.count) || !parse_u64(field[2], &t.bytes))
		return bad_line(path, number, "count or bytes is not a number");
	return add(b, field[0], field[3], field[4], t);
}

static struct wh_err *read_text(FILE *f, const char *path, struct wh_baseline *ret)
{
	static const char magic[] = "# weephole baseline ";
	char *line = NULL;
	size_t cap = 0, number = 0;
	struct wh_err *e = NULL;
	ssize_t n;

	while (!e && (n = getline(&line, &cap, f)) >= 0) {
		number++;
		while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
			line[--n] = '\0';
		if (strlen(line) != (size_t)n)
			e = bad_line(path, number, "this is not text");
		else if (number == 1 && strncmp(line, magic, sizeof(magic) - 1))
			e = bad_line(
				path, 1,
				"not a baseline (want '# weephole baseline 1') and not a JSON report");
		else if (number == 1 && strcmp(line + sizeof(magic) - 1, "1"))
			e = bad_line(
				path, 1,
				"a baseline of another version; this weephole knows version 1");
		else if (line[0] && line[0] != '#')
			e = parse_line(ret, path, number, line);
	}
	if (!e && !number)
		e = bad_line(path, 1, "the file is empty; a baseline has at least its first line");
	free(line);
	return e;
}

static struct wh_err *read_group(const char *path, size_t i, const json_t *g,
				 struct wh_baseline *ret)
{
	const char *sig = json_string_value(json_object_get(g, "signature"));
	const char *cache = json_string_value(json_object_get(g, "cache"));
	const json_t *stack = json_object_get(g, "stack"), *frame;
	const json_t *hidden = json_object_get(json_object_get(g, "kinds"), "suppressed");
	json_int_t count = json_integer_value(json_object_get(g, "count")) -
			   json_integer_value(json_object_get(hidden, "count"));
	json_int_t bytes = json_integer_value(json_object_get(g, "bytes")) -
			   json_integer_value(json_object_get(hidden, "bytes"));
	struct wh_strbuf sb = WH_STRBUF_INIT;
	struct wh_err *e;
	size_t k;

	if (!sig || !is_signature(sig) || !cache || count < 0 || bytes < 0)
		return wh_err_new(WH_ERR_USAGE, "%s: group %zu of the report is malformed", path,
				  i + 1);
	if (!count || json_is_false(json_object_get(g, "counted")))
		return NULL;
	json_array_foreach(stack, k, frame)
	{
		const char *s = json_string_value(json_object_get(frame, "symbol"));
		struct wh_frame f = {.symbol = s};

		if (json_is_true(json_object_get(frame, "inlined")) ||
		    (!sb.len && s && wh_frame_is_allocator(&f)))
			continue;
		wh_strbuf_puts(&sb, sb.len ? "<" : "");
		wh_frame_stable(&sb, &f);
	}
	e = add(ret, sig, cache, wh_strbuf_str(&sb),
		(struct wh_tally){(uint64_t)count, (uint64_t)bytes});
	wh_strbuf_fini(&sb);
	return e;
}

static struct wh_err *read_json(FILE *f, const char *path, struct wh_baseline *ret)
{
	json_error_t err;
	json_t *root = json_loadf(f, 0, &err), *groups = json_object_get(root, "groups"), *g;
	json_t *schema = json_object_get(root, "schema");
	struct wh_err *e = NULL;
	size_t i;

	if (!root)
		return wh_err_new(WH_ERR_USAGE, "%s:%d: %s", path, err.line, err.text);
	if (!json_is_integer(schema) || !json_is_array(groups))
		e = wh_err_new(WH_ERR_USAGE, "%s: JSON, but no report of findleaks or check", path);
	else if (json_integer_value(schema) != WH_REPORT_SCHEMA)
		e = wh_err_new(WH_ERR_USAGE,
			       "%s: a report of schema %lld; this weephole knows schema %d", path,
			       (long long)json_integer_value(schema), WH_REPORT_SCHEMA);
	else
		json_array_foreach(groups, i, g)
		{
			e = e ? e : read_group(path, i, g, ret);
		}
	json_decref(root);
	return e;
}

struct wh_err *wh_baseline_read(const char *path, struct wh_baseline *ret)
{
	FILE *f = fopen(path, "re");
	struct wh_err *e;
	int c;

	if (!f)
		return wh_err_new(WH_ERR_USAGE, "%s: cannot open the baseline: %s", path,
				  strerror(errno));
	do
		c = getc(f);
	while (c != EOF && isspace(c));
	rewind(f);
	e = c == '{' ? read_json(f, path, ret) : read_text(f, path, ret);
	if (!e && ferror(f))
		e = wh_err_new(WH_ERR_USAGE, "%s: cannot read the baseline: %s", path,
			       strerror(errno));
	fclose(f);
	settle(ret);
	return e;
}

/* ---- comparing ---- */

void wh_baseline_apply(const struct wh_baseline *b, const struct wh_baseline *now,
		       struct wh_leaks *l)
{
	for (size_t i = 0; i < l->groups.n; i++) {
		struct wh_leak_group *g = &l->groups.v[i];
		const struct wh_baseline_entry *old = wh_baseline_find(b, g->signature);
		const struct wh_baseline_entry *cur = wh_baseline_find(now, g->signature);

		if (!cur)
			continue;
		g->base = old ? old->tally : (struct wh_tally){0, 0};
		g->delta =
			!old ? WH_DELTA_NEW
			: cur->tally.count > old->tally.count || cur->tally.bytes > old->tally.bytes
				? WH_DELTA_GROWN
				: WH_DELTA_SAME;
	}
}

static int64_t grown(uint64_t before, uint64_t after)
{
	return (int64_t)(after - before);
}

static int change_cmp(const void *pa, const void *pb)
{
	const struct wh_change *a = pa, *b = pb;
	int64_t da = grown(a->before.bytes, a->after.bytes);
	int64_t db = grown(b->before.bytes, b->after.bytes);

	if (da == db) {
		da = grown(a->before.count, a->after.count);
		db = grown(b->before.count, b->after.count);
	}
	if (da != db)
		return da > db ? -1 : 1;
	return strcmp(a->entry->signature, b->entry->signature);
}

struct wh_err *wh_baseline_compare(const struct wh_baseline *before,
				   const struct wh_baseline *after, wh_change_vec *ret)
{
	for (size_t i = 0; i < after->entries.n; i++) {
		const struct wh_baseline_entry *e = &after->entries.v[i];
		const struct wh_baseline_entry *old = wh_baseline_find(before, e->signature);
		struct wh_change c = {.entry = e, .after = e->tally};

		if (old)
			c.before = old->tally;
		WH_TRY(WH_VEC_PUSH(ret, c));
	}
	for (size_t i = 0; i < before->entries.n; i++) {
		const struct wh_baseline_entry *e = &before->entries.v[i];
		struct wh_change c = {.entry = e, .before = e->tally};

		if (!wh_baseline_find(after, e->signature))
			WH_TRY(WH_VEC_PUSH(ret, c));
	}
	wh_sort(ret->v, ret->n, sizeof(*ret->v), change_cmp);
	return NULL;
}
