/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/report/suppress.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Allocations whose pointer the kernel throws away on purpose.  Found in every Linux dump; each is
 * marked for kmemleak in the source (kmemleak_not_leak in fs/proc/proc_sysctl.c and fs/file_table.c,
 * kmemleak_ignore in kernel/ucount.c, 6.1): the headers of sysctl tables that are never unregistered.
 * Without stacks they are known by what they point at; the cache must fit too, so that a leaked header
 * of a module, which is larger, is still reported.
 */
static const struct wh_suppression builtin[] = {
	{.pattern = "^init_fs_stat_sysctls$",
	 .reason = "sysctl table of fs/, registered for ever; the header is dropped on purpose"},
	{.pattern = "^user_namespace_sysctl_init$",
	 .reason = "sysctl directory user/, registered for ever; the header is dropped on purpose"},
	{.pattern = "^__register_sysctl_base$",
	 .reason =
		 "sysctl base directories, registered for ever; the headers are dropped on purpose"},
	{.pattern = "^__register_sysctl_init$",
	 .reason = "sysctl tables of boot code, registered for ever; the headers are dropped"},
	{.pattern = "^__register_sysctl_paths$",
	 .reason = "sysctl path of boot code (6.1), registered for ever; the header is dropped"},
	{.content = "sysctl_table_root",
	 .cache = "^kmalloc*-96$",
	 .reason = "header of an empty sysctl table, registered for ever and dropped on purpose"},
	{.content = "sysctl_table_root",
	 .cache = "^kmalloc-128$",
	 .reason = "header of a sysctl path (6.1), registered for ever and dropped on purpose"},
	{.content = "sysctl_mount_point",
	 .cache = "^kmalloc*-128$",
	 .reason =
		 "header of a mount point below sysctl (6.6 to 6.8 count an entry for it), registered for ever"},
	{.content = "kernel_base_table",
	 .cache = "^kmalloc-128$",
	 .reason = "header of the path kernel/ (6.1), registered for ever and dropped on purpose"},
	{.content = "sysctl_base_table",
	 .cache = "^kmalloc-192$",
	 .reason =
		 "header of all base directories (5.10), registered for ever and dropped on purpose"},
};

/* Does @pattern, to its end, match a prefix of @text (all of it when @tied)? */
static bool match_here(const char *p, size_t n, const char *text, bool tied)
{
	const char *star = NULL, *resume = NULL;
	size_t i = 0;

	for (;;) {
		if (i == n) {
			if (!tied || !*text)
				return true;
		} else if (p[i] == '*') {
			star = p + ++i;
			resume = text;
			continue;
		} else if (*text && p[i] == *text) {
			i++;
			text++;
			continue;
		}
		if (!star || !*resume)
			return false;
		i = (size_t)(star - p);
		text = ++resume;
	}
}

bool wh_suppression_matches(const char *pattern, const char *text)
{
	size_t n = strlen(pattern);
	bool start = *pattern == '^', end;

	pattern += start;
	n -= start;
	end = n && pattern[n - 1] == '$';
	n -= end;
	if (start)
		return match_here(pattern, n, text, end);
	for (;; text++) {
		if (match_here(pattern, n, text, end))
			return true;
		if (!*text)
			return false;
	}
}

static bool stack_matches(const char *pattern, const struct wh_leak_group *g, bool names_only)
{
	for (size_t i = 0; i < g->n_frames; i++) {
		const struct wh_frame *f = &g->frames[i];

		if (f->symbol && wh_suppression_matches(pattern, f->symbol))
			return true;
		if (names_only)
			continue;
		if ((f->module && wh_suppression_matches(pattern, f->module)) ||
		    (f->file && wh_suppression_matches(pattern, f->file)))
			return true;
	}
	return false;
}

static bool rule_matches(const struct wh_suppression *r, const struct wh_leak_group *g)
{
	if (!r->reason)
		return stack_matches(r->pattern, g, false) ||
		       wh_suppression_matches(r->pattern, g->cache) ||
		       (g->content && wh_suppression_matches(r->pattern, g->content));
	if (strcmp(g->model, "slub") && strcmp(g->model, "slab"))
		return false;
	if (r->cache && !wh_suppression_matches(r->cache, g->cache))
		return false;
	if (r->content)
		return !g->n_frames && g->content && wh_suppression_matches(r->content, g->content);
	return stack_matches(r->pattern, g, true);
}

uint32_t wh_suppressions_find(const struct wh_suppressions *s, const struct wh_leak_group *g)
{
	for (size_t i = 0; i < s->rules.n; i++)
		if (rule_matches(&s->rules.v[i], g))
			return (uint32_t)i;
	return WH_SUPPRESSION_NONE;
}

struct wh_err *wh_suppressions_add_builtin(struct wh_suppressions *s)
{
	for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++)
		WH_TRY(WH_VEC_PUSH(&s->rules, builtin[i]));
	return NULL;
}

static struct wh_err *add_line(struct wh_suppressions *s, const char *path, const char *name,
			       uint32_t number, char *line)
{
	char *p = line, *end = line + strlen(line);
	struct wh_suppression r = {.file = name, .line = number};

	while (isspace((unsigned char)*p))
		p++;
	while (end > p && isspace((unsigned char)end[-1]))
		*--end = '\0';
	if (!*p || *p == '#')
		return NULL;
	if (strncmp(p, "leak:", 5) || !p[5])
		return wh_err_new(WH_ERR_USAGE,
				  "%s:%u: not a suppression: '%s' (want leak:PATTERN or # comment)",
				  path, number, p);
	r.pattern = wh_arena_strdup(&s->mem, p + 5);
	if (!r.pattern)
		return &wh_err_nomem;
	return WH_VEC_PUSH(&s->rules, r);
}

struct wh_err *wh_suppressions_add_file(struct wh_suppressions *s, const char *path)
{
	const char *base = strrchr(path, '/');
	const char *name = wh_arena_strdup(&s->mem, base ? base + 1 : path);
	FILE *f = fopen(path, "re");
	struct wh_err *e = name ? NULL : &wh_err_nomem;
	char *line = NULL;
	size_t cap = 0;
	uint32_t number = 0;

	if (!f) {
		return wh_err_new(WH_ERR_USAGE, "%s: cannot open the suppressions: %s", path,
				  strerror(errno));
	}
	while (!e && getline(&line, &cap, f) >= 0)
		e = add_line(s, path, name, ++number, line);
	if (!e && ferror(f))
		e = wh_err_os(path, "reading the suppressions");
	free(line);
	fclose(f);
	return e;
}

void wh_suppressions_fini(struct wh_suppressions *s)
{
	WH_VEC_FINI(&s->rules);
	wh_arena_fini(&s->mem);
}
