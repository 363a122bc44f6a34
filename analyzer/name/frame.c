/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/name/frame.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/report/emit.h"
#include "dwarf/demangle.h"

void wh_frame_text(struct wh_strbuf *sb, const struct wh_frame *f)
{
	char *name = f->symbol ? wh_demangle(f->symbol, /* with_parameters= */ false) : NULL;

	if (f->symbol) {
		wh_text_escape(sb, name ? name : f->symbol);
		if (!f->inlined)
			wh_strbuf_printf(sb, "+0x%llx", (unsigned long long)f->offset);
	} else {
		wh_strbuf_printf(sb, "0x%016llx", (unsigned long long)f->address);
		if (f->module)
			wh_strbuf_printf(sb, " +0x%llx", (unsigned long long)f->offset);
	}
	if (f->module) {
		wh_strbuf_puts(sb, " [");
		wh_text_escape(sb, f->module);
		wh_strbuf_putc(sb, ']');
	}
	if (f->inlined)
		wh_strbuf_puts(sb, " (inlined)");
	if (f->file) {
		wh_strbuf_putc(sb, ' ');
		wh_text_escape(sb, f->file);
		wh_strbuf_printf(sb, ":%u", f->line);
	}
	free(name);
}

size_t wh_symbol_stem(const char *symbol)
{
	static const char *const suffixes[] = {"isra", "constprop", "part",    "cold",
					       "llvm", "lto_priv",  "ipa_ref", "clone"};
	size_t n = strlen(symbol);

	for (const char *dot = strchr(symbol, '.'); dot; dot = strchr(dot + 1, '.'))
		for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
			size_t len = strlen(suffixes[i]);

			/* The first such suffix ends the name, whatever follows it. */
			if (dot != symbol && !strncmp(dot + 1, suffixes[i], len) &&
			    (!dot[1 + len] || dot[1 + len] == '.'))
				return (size_t)(dot - symbol);
		}
	return n;
}

void wh_frame_stable(struct wh_strbuf *sb, const struct wh_frame *f)
{
	if (f->symbol)
		wh_strbuf_putn(sb, f->symbol, wh_symbol_stem(f->symbol));
	else if (f->module && f->offset)
		wh_strbuf_printf(sb, "%s+0x%llx", f->module, (unsigned long long)f->offset);
	else
		wh_strbuf_puts(sb, f->module ? f->module : "?");
}

void wh_frame_name(struct wh_strbuf *sb, const struct wh_frame *f)
{
	char *name = f->symbol ? wh_demangle(f->symbol, /* with_parameters= */ false) : NULL;

	if (name)
		wh_strbuf_puts(sb, name);
	else
		wh_frame_stable(sb, f);
	free(name);
}

/*
 * Names of Linux mm/slub.c, mm/slab_common.c, mm/util.c, mm/vmalloc.c (5.4 to 6.18, with the _noprof
 * names of 6.10), lib/stackdepot.c; illumos common/os/kmem.c and libumem; glibc malloc, libstdc++ new.
 */
static const char *const allocators[] = {
	"kmem_cache_alloc*",
	"__kmem_cache_alloc*",
	"kmem_cache_zalloc*",
	"___slab_alloc*",
	"__slab_alloc*",
	"slab_alloc*",
	"slab_post_alloc_hook*",
	"alloc_debug_processing*",
	"set_track*",
	"save_stack*",
	"stack_trace_save*",
	"stack_depot_save*",
	"kasan_save_*",
	"__kasan_*",
	"kmalloc",
	"kmalloc_noprof",
	"__kmalloc*",
	"kmalloc_trace*",
	"kmalloc_large*",
	"kmalloc_node*",
	"kmalloc_array*",
	"kmalloc_order*",
	"kzalloc*",
	"kcalloc*",
	"krealloc*",
	"__do_krealloc*",
	"__do_kmalloc*",
	"__alloc_object*",
	"kvmalloc*",
	"kvzalloc*",
	"__kvmalloc*",
	"vmalloc*",
	"vzalloc*",
	"__vmalloc*",
	"kmem_alloc*",
	"kmem_zalloc*",
	"kmem_slab_alloc*",
	"kmem_cache_alloc_debug*",
	"umem_alloc*",
	"umem_zalloc*",
	"umem_cache_alloc*",
	"_umem_*alloc*",
	"malloc",
	"calloc",
	"realloc",
	"memalign",
	"aligned_alloc",
	"posix_memalign",
	"__libc_malloc",
	"__libc_calloc",
	"__libc_realloc",
	"__libc_memalign",
	"operator new*",
	"_Znwm*",
	"_Znam*",
	"_Znwj*",
	"_Znaj*",
};

bool wh_frame_is_allocator(const struct wh_frame *f)
{
	if (!f->symbol)
		return false;
	for (size_t i = 0; i < sizeof(allocators) / sizeof(allocators[0]); i++)
		if (!fnmatch(allocators[i], f->symbol, 0))
			return true;
	return false;
}

size_t wh_frames_skip_allocator(const struct wh_frame *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!wh_frame_is_allocator(&f[i]))
			return i;
	return 0;
}
