/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "analyzer/cmd/cmd.h"
#include "analyzer/report/formats.h"

static int by_bytes(const void *pa, const void *pb)
{
	const struct wh_cache_stat *a = pa, *b = pb;

	if (a->bytes != b->bytes)
		return a->bytes > b->bytes ? -1 : 1;
	if (strcmp(a->name, b->name))
		return strcmp(a->name, b->name);
	return a->addr < b->addr ? -1 : a->addr > b->addr;
}

static void emit_totals(struct wh_emit *e, const wh_cache_vec *v)
{
	uint64_t objects = 0, used = 0, bytes = 0;

	for (size_t i = 0; i < v->n; i++) {
		objects += v->v[i].objects;
		used += v->v[i].used;
		bytes += v->v[i].bytes;
	}
	wh_emit_object(e, "totals", NULL);
	wh_emit_u64(e, "caches", NULL, v->n, WH_UNIT_NONE);
	wh_emit_u64(e, "objects", NULL, objects, WH_UNIT_NONE);
	wh_emit_u64(e, "used", NULL, used, WH_UNIT_NONE);
	wh_emit_u64(e, "bytes", NULL, bytes, WH_UNIT_BYTES);
	wh_emit_end(e);
	wh_emit_line(e, WH_STYLE_BOLD, "SUMMARY: %zu caches, %llu of %llu objects used, %llu bytes",
		     v->n, (unsigned long long)used, (unsigned long long)objects,
		     (unsigned long long)bytes);
}

static struct wh_err *caches(struct wh_run *run)
{
	struct wh_arena mem = WH_ARENA_INIT;
	wh_cache_vec v = {0};
	struct wh_err *e;

	WH_TRY(wh_run_target(run, true));
	if (!run->target->ops->caches)
		return wh_err_new(WH_ERR_UNSUPPORTED, "a %s target has no caches",
				  run->target->ops->name);
	e = run->target->ops->caches(run->target, &mem, &v);
	if (!e) {
		if (v.n)
			wh_sort(v.v, v.n, sizeof(*v.v), by_bytes);
		wh_emit_u64(run->emit, "schema", NULL, 1, WH_UNIT_NONE);
		wh_run_emit_dump(run);
		wh_report_emit_caches(run->emit, &v);
		emit_totals(run->emit, &v);
		wh_run_emit_diags(run);
	}
	WH_VEC_FINI(&v);
	wh_arena_fini(&mem);
	return e;
}

const struct wh_command wh_cmd_caches = {
	.name = "caches",
	.synopsis = "[options] [VMLINUX|PROGRAM] DUMP",
	.summary = "list the allocator's caches: objects, used, free, bytes",
	.help = "One row a cache (slab cache, size class, arena), largest first: objects, how many are "
		"used, free, pending (freed, but waiting for a grace period) or unsure (of a damaged "
		"slab), slabs and bytes, and whether allocation stacks are kept.",
	.examples = "weephole caches vmcore\tall caches, largest first\n"
		    "weephole caches --plain vmcore | sort -t '\t' -k7nr\tfor scripts\n",
	.groups = WH_OG_OUT | WH_OG_INPUT,
	.args = WH_ARGS_DUMP,
	.run = caches,
};
