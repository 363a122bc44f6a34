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

static struct wh_err *utc(struct facts *f, uint64_t sec)
{
	char buf[64];
	time_t t = (time_t)sec;
	struct tm tm;

	if (!sec || sec > (1ull << 40) || !gmtime_r(&t, &tm) ||
	    !strftime(buf, sizeof(buf), "%Y-%m-%d %H:%M:%S UTC", &tm))
		return NULL;
	return text(f, "dump", "crash_time", buf);
}

static struct wh_err *dump_facts(struct facts *f)
{
	const struct wh_dump *d = f->x->t->dump;

	WH_TRY(text(f, "dump", "format", d->ops->name));
	WH_TRY(text(f, "dump", "codec", d->codec));
	if (d->dump_level >= 0)
		WH_TRY(number(f, "dump", "dump_level", (uint64_t)d->dump_level, NULL));
	if (d->incomplete)
		WH_TRY(text(f, "dump", "incomplete",
			    "yes: the writer ran out of space or was cut"));
	WH_TRY(text(f, "dump", "vmcoreinfo", f->x->ks->vmcoreinfo_source));
	WH_TRY(text(f, "dump", "page_tables", f->x->ks->pgd_source));
	WH_TRY(utc(f, d->crash_time));
	WH_TRY(text(f, "dump", "panic", wh_lx_last_words(f->x, f->a)));
	for (int s = 0; s < WH_MEM_STATE_COUNT; s++)
		if (d->pages[s])
			WH_TRY(number(f, "dump",
				      s == WH_MEM_PRESENT     ? "pages_present"
				      : s == WH_MEM_EXCLUDED  ? "pages_excluded"
				      : s == WH_MEM_TRUNCATED ? "pages_truncated"
				      : s == WH_MEM_CORRUPT   ? "pages_corrupt"
							      : "pages_absent",
				      d->pages[s], "pages"));
	return NULL;
}

static struct wh_err *kernel_facts(struct facts *f)
{
	struct wh_lx *x = f->x;
	const struct wh_dump *d = x->t->dump;
	const char *rel = d->utsname[2];

	if (!*rel && x->ks->vmcoreinfo)
		rel = wh_vmcoreinfo_find(x->ks->vmcoreinfo, "OSRELEASE");
	WH_TRY(text(f, "kernel", "release", rel));
	WH_TRY(text(f, "kernel", "version", d->utsname[3]));
	WH_TRY(text(f, "kernel", "node", d->utsname[1]));
	WH_TRY(text(f, "kernel", "arch", d->arch ? d->arch->name : d->utsname[4]));
	WH_TRY(number(f, "kernel", "page_size", x->page_bytes, "bytes"));
	WH_TRY(number(f, "kernel", "cpus", x->cpus.n, NULL));
	WH_TRY(text(f, "kernel", "symbols", x->names->sym_source));
	WH_TRY(text(f, "kernel", "types", x->names->type_source));
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
		if (*c == ' ' || *c == '-' || *c == '\'')
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

static struct wh_err *recorded_facts(struct facts *f)
{
	struct wh_lx *x = f->x;
	uint64_t n = 0, sym;

	for (size_t i = 0; i < x->slab->caches.n; i++)
		n += x->slab->caches.v[i].valid && x->slab->caches.v[i].store_user;
	WH_TRY(number(f, "recorded", "slub_tracks", n, "caches"));
	WH_TRY(text(f, "recorded", "stack_depot", x->depot ? "yes" : "no"));
	WH_TRY(text(f, "recorded", "page_owner",
		    wh_lx_flag(x, "page_owner_enabled")		 ? "yes"
		    : wh_lx_symbol(x, "page_owner_inited", &sym) ? "no: boot with page_owner=on"
								 : "no: not in this kernel"));
	WH_TRY(text(f, "recorded", "kmemleak",
		    wh_kslab_find_cache(x->slab, "kmemleak_object", 0) ? "yes"
								       : "no: not in this kernel"));
	WH_TRY(text(f, "recorded", "kfence",
		    x->slab->kfence_start ? "yes"
		    : wh_lx_symbol(x, "__kfence_pool", &sym)
			    ? "no: boot with kfence.sample_interval=100"
			    : "no: not in this kernel"));
	if (x->ring_used)
		WH_TRY(number(f, "recorded", "ftrace", x->ring_used, "pages of events"));
	else
		WH_TRY(text(f, "recorded", "ftrace",
			    "no: boot with trace_event=kmem:kmalloc,kmem:kfree for a trail"));
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

	WH_TRY(dump_facts(&f));
	WH_TRY(wh_target_build(t)); /* what follows was counted there */
	WH_TRY(kernel_facts(&f));
	WH_TRY(coverage_facts(&f));
	WH_TRY(recorded_facts(&f));
	return missing_facts(&f);
}
