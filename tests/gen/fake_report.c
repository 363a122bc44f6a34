/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake_report FORMAT GROUPS: the report of an invented dump with so many groups, to standard output; for
 * tests of the formats at sizes that no shipped dump has.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/report/formats.h"
#include "tests/gen/fake_target.h"

static int fail(struct wh_err *e)
{
	char *text = wh_err_text(e);

	fprintf(stderr, "fake_report: %s\n", text ? text : "out of memory");
	return 1;
}

static struct wh_err *report(struct fake *f, enum wh_format format)
{
	struct wh_suppressions sup = {0};
	struct wh_leaks_opts opts = {.suppressions = &sup};
	struct wh_leaks leaks = {0};
	struct wh_arena mem = WH_ARENA_INIT;
	wh_cache_vec caches = {0};
	struct wh_leaks_view view = {.leaks = &leaks, .target = f->target, .suppressions = &sup};
	struct wh_report r = {.view = &view,
			      .file = "fake.core",
			      .identity = "6.1-fake",
			      .version = "0",
			      .diags = f->ctx->diags,
			      .caches = &caches};

	WH_TRY(wh_leaks_build(f->target, &opts, &leaks));
	WH_TRY(f->target->ops->caches(f->target, &mem, &caches));
	WH_TRY(wh_report_write(stdout, format, &r));
	WH_VEC_FINI(&caches);
	wh_arena_fini(&mem);
	wh_leaks_fini(&leaks);
	wh_suppressions_fini(&sup);
	return NULL;
}

int main(int argc, char **argv)
{
	static const char *const caches[] = {"kmalloc-64", "kmalloc-128", "dentry", "filp"};
	size_t n = argc == 3 ? (size_t)strtoull(argv[2], NULL, 10) : 0;
	struct fake_obj *objs = calloc(n ? n : 1, sizeof(*objs));
	struct wh_err *e = NULL;
	int format = 0;

	while (argc == 3 && format < WH_FORMAT_COUNT &&
	       strcmp(argv[1], wh_format_name((enum wh_format)format)))
		format++;
	if (!n || format == WH_FORMAT_COUNT || !objs) {
		fprintf(stderr, "usage: fake_report FORMAT GROUPS\n");
		return 2;
	}
	for (size_t i = 0; i < n; i++)
		objs[i] = (struct fake_obj){.cache = caches[i % 4],
					    .size = 64 + i % 100 * 8,
					    .holder = i % 5 == 4 ? (int)i - 1 : FAKE_NOBODY,
					    .stack = (unsigned int)i + 1,
					    .time_ns = 1000000000 + i};
	{
		struct fake *f = fake_create(objs, n, 0, 1, 0);

		e = report(f, (enum wh_format)format);
		fake_destroy(f);
	}
	free(objs);
	return e ? fail(e) : 0;
}
