/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * list-leaks DUMP: the leak groups of a dump, through libweephole.
 *
 *	cc list-leaks.c $(pkg-config --cflags --libs libweephole) -o list-leaks
 */
#include <stdio.h>
#include <stdlib.h>

#include <analyzer/weephole.h>

static void print(const struct wh_leaks *leaks)
{
	for (size_t i = 0; i < leaks->groups.n; i++) {
		const struct wh_leak_group *g = &leaks->groups.v[i];
		struct wh_strbuf site = WH_STRBUF_INIT;

		if (g->n_frames)
			wh_frame_stable(&site, &g->frames[g->skip]);
		printf("%10llu bytes %6llu objects %-10s %-20s %s\n",
		       (unsigned long long)g->all.bytes, (unsigned long long)g->all.count,
		       wh_leak_kind_name(wh_leak_group_kind(g)), g->cache, wh_strbuf_str(&site));
		wh_strbuf_fini(&site);
	}
	printf("total %llu bytes in %llu objects\n", (unsigned long long)leaks->all.bytes,
	       (unsigned long long)leaks->all.count);
}

int main(int argc, char **argv)
{
	const char *paths[] = {argc == 2 ? argv[1] : NULL};
	struct wh_target_opts target_opts = {0};
	struct wh_suppressions suppressions = {0};
	struct wh_leaks_opts opts = {.suppressions = &suppressions};
	struct wh_leaks leaks = {0};
	struct wh_ctx *ctx = NULL;
	struct wh_dump *dump = NULL;
	struct wh_target *target = NULL;
	struct wh_err *e;

	if (argc != 2) {
		fprintf(stderr, "usage: list-leaks DUMP\n");
		return 2;
	}
	e = wh_ctx_create(/* threads= */ 0, &ctx);
	if (!e)
		e = wh_dump_open(ctx, paths, 1, &dump);
	if (!e)
		e = wh_target_open(ctx, dump, &target_opts, &target);
	if (!e)
		e = wh_target_build(target);
	if (!e)
		e = wh_suppressions_add_builtin(&suppressions);
	if (!e)
		e = wh_leaks_build(target, &opts, &leaks);
	if (e) {
		char *text = wh_err_text(e);

		fprintf(stderr, "list-leaks: %s\n", text ? text : "out of memory");
		free(text);
		wh_err_destroy(e);
	} else {
		print(&leaks);
	}
	wh_leaks_fini(&leaks);
	wh_suppressions_fini(&suppressions);
	wh_target_close(target);
	wh_dump_close(dump);
	wh_ctx_destroy(ctx);
	return e ? 1 : 0;
}
