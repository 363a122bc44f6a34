/* SPDX-License-Identifier: GPL-2.0-or-later */
/* info: what this dump is, what is in it, what was recorded, what is missing and how to get it. */
#include "analyzer/target/linux.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "analyzer/alloc/kslab.h"
#include "analyzer/base/strbuf.h"

struct facts {
	struct wh_lx *x;
	struct wh_arena *a;
	wh_fact_vec *ret;
};

static struct wh_err *text(struct facts *f, const char *section, const char *key, const char *value)
{
	char *s;

	if (!value || !*value)
		return NULL;
	s = wh_arena_strdup(f->a, value);
	if (!s)
		return &wh_err_nomem;
	return WH_VEC_PUSH(f->ret, (struct wh_fact){.section = section, .key = key, .value = s});
}

static struct wh_err *number(struct facts *f, const char *section, const char *key, uint64_t n,
			     const char *unit)
{
	return WH_VEC_PUSH(f->ret, (struct wh_fact){.section = section,
						    .key = key,
						    .value = unit,
						    .number = n,
						    .is_number = true});
}

/* The file itself was told before: its format, its pages, its writer's record of the system. */
static struct wh_err *dump_facts(struct facts *f)
{
	WH_TRY(text(f, "dump", "vmcoreinfo", f->x->ks->vmcoreinfo_source));
	WH_TRY(text(f, "dump", "page_tables", f->x->ks->pgd_source));
	return text(f, "dump", "panic", wh_lx_last_words(f->x, f->a));
}

static struct wh_err *release_facts(struct facts *f)
{
	struct wh_lx *x = f->x;
	const struct wh_dump *d = x->t->dump;
	const char *rel = d->utsname[2];

	if (!*rel && x->ks->vmcoreinfo)
		rel = wh_vmcoreinfo_find(x->ks->vmcoreinfo, "OSRELEASE");
	WH_TRY(text(f, "kernel", "release", rel));
	WH_TRY(text(f, "kernel", "version", d->utsname[3]));
	WH_TRY(text(f, "kernel", "arch", d->arch ? d->arch->name : d->utsname[4]));
	return number(f, "kernel", "page_size", x->page_bytes, "bytes");
}

static struct wh_err *names_facts(struct facts *f)
{
	struct wh_lx *x = f->x;

	WH_TRY(text(f, "kernel", "symbols", x->names->sym_source));
	return text(f, "kernel", "types", x->names->type_source);
}

static struct wh_err *kernel_facts(struct facts *f)
{
	struct wh_lx *x = f->x;

	WH_TRY(release_facts(f));
	WH_TRY(number(f, "kernel", "cpus", x->cpus.n, NULL));
	WH_TRY(names_facts(f));
	WH_TRY(number(f, "kernel", "modules", x->names->n_modules, NULL));
	WH_TRY(number(f, "kernel", "tasks", x->tasks.n, NULL));
	if (x->t->dump_time_ns)
		WH_TRY(number(f, "kernel", "uptime", x->t->dump_time_ns / 1000000000, "s"));
	return text(f, "kernel", "allocator", x->slab->ops->name);
}

static struct wh_err *page_fact(struct facts *f, const char *name, const char *suffix, uint64_t n)
{
	char key[64];
	char *s;

	snprintf(key, sizeof(key), "%s%s", name, suffix);
	s = wh_arena_strdup(f->a, key);
	if (!s)
		return &wh_err_nomem;
	for (char *c = s; *c; c++)
		if (*c == ' ' || *c == '-')
			*c = '_';
	return number(f, "coverage", s, n, "pages");
}

static struct wh_err *coverage_facts(struct facts *f)
{
	struct wh_lx *x = f->x;

	wh_lx_pages_count(x);
	for (int c = WH_LXP_UNKNOWN; c < WH_LXP_COUNT; c++) {
		const char *name = wh_lx_page_name((enum wh_lx_page)c);

		if (!x->pages.n[c])
			continue;
		WH_TRY(page_fact(f, name, "", x->pages.n[c]));
		if (x->pages.absent[c])
			WH_TRY(page_fact(f, name, "_not_in_dump", x->pages.absent[c]));
	}
	return NULL;
}

/*
 * A recorder that has left nothing: @function is always there when it was compiled in, @variable tells that it
 * ran (NULL: that is known by other means), @advice how to switch it on.
 */
static const char *why_not(struct wh_lx *x, const char *function, const char *variable,
			   const char *advice)
{
	uint64_t addr;

	if (!strcmp(x->names->sym_source, "none"))
		return "unknown: the kernel's symbols were not found";
	if (!wh_lx_symbol(x, function, &addr))
		return "no: not in this kernel";
	if (variable && !wh_lx_symbol(x, variable, &addr))
		return "unknown: the kernel's symbol table has functions only; give -s vmlinux";
	return advice;
}

static struct wh_err *recorded_facts(struct facts *f)
{
	struct wh_lx *x = f->x;
	uint64_t n = 0;

	for (size_t i = 0; i < x->slab->caches.n; i++)
		n += x->slab->caches.v[i].valid && x->slab->caches.v[i].store_user;
	WH_TRY(number(f, "recorded", "slub_tracks", n, "caches"));
	WH_TRY(text(f, "recorded", "stack_depot", x->depot ? "yes" : "no"));
	WH_TRY(text(f, "recorded", "page_owner",
		    wh_lx_owner_runs(x) ? "yes"
					: why_not(x, "__set_page_owner", "page_owner_inited",
						  "no: boot with page_owner=on")));
	WH_TRY(text(f, "recorded", "kmemleak",
		    wh_kslab_find_cache(x->slab, "kmemleak_object", 0)
			    ? "yes"
			    : why_not(x, "kmemleak_alloc", NULL, "no: boot with kmemleak=on")));
	WH_TRY(text(f, "recorded", "kfence",
		    x->slab->kfence_start ? "yes"
					  : why_not(x, "__kfence_alloc", "__kfence_pool",
						    "no: boot with kfence.sample_interval=100")));
	if (x->ring_used)
		WH_TRY(number(f, "recorded", "ftrace", x->ring_used, "pages of events"));
	else
		WH_TRY(text(f, "recorded", "ftrace",
			    why_not(x, "ring_buffer_lock_reserve", "global_trace",
				    "no: boot with trace_event=kmem:kmalloc,kmem:kfree for a "
				    "trail")));
	return number(f, "recorded", "vmalloc_callers", x->areas.n, "areas");
}

static struct wh_err *missing_facts(struct facts *f)
{
	struct wh_lx *x = f->x;
	const struct wh_kslab *k = x->slab;
	char buf[256];

	if (k->slabs_missing) {
		wh_kslab_missing_text(k, buf, sizeof(buf));
		WH_TRY(text(f, "missing", "slabs", buf));
	}
	if (k->slabs_damaged)
		WH_TRY(number(f, "missing", "damaged_slabs", k->slabs_damaged, NULL));
	if (x->memmap_missing)
		WH_TRY(number(f, "missing", "memmap", x->memmap_missing, "bytes"));
	if (!x->names->have_data_symbols)
		return text(f, "missing", "data_symbols",
			    "the kernel's symbol table has functions only (KALLSYMS_ALL is off): "
			    "give -s vmlinux");
	return NULL;
}

struct wh_err *wh_lx_info(struct wh_target *t, struct wh_arena *a, wh_fact_vec *ret)
{
	struct facts f = {t->priv, a, ret};
	struct wh_err *e;

	WH_TRY(dump_facts(&f));
	e = wh_target_build(t); /* what follows was counted there */
	if (e) {
		wh_err_destroy(release_facts(&f));
		wh_err_destroy(names_facts(&f));
		return e;
	}
	WH_TRY(kernel_facts(&f));
	WH_TRY(coverage_facts(&f));
	WH_TRY(recorded_facts(&f));
	return missing_facts(&f);
}
