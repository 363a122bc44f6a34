/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocators that are recognised but not rebuilt: their memory stays mapped memory, that is, roots, and
 * the report says which allocator that is, so that "no leaks" is never mistaken for "all was judged".
 *
 * Told by the name of a mapped library, else by a symbol that only that allocator defines (a program may
 * link it statically), else, for musl, by the shape of its books.
 */
#include <stdio.h>
#include <string.h>

#include "analyzer/alloc/heap.h"

struct other {
	const char *name;
	const char *library;	/**< start of the file name */
	const char *symbols[3]; /**< any of them will do */
};

static const struct other others[] = {
	{"jemalloc", "libjemalloc", {"je_arena_emap_global", "je_arenas", "mallctlbymib"}},
	{"tcmalloc",
	 "libtcmalloc",
	 {"tc_malloc", "TCMalloc_Internal_Malloc", "MallocExtension_GetStats"}},
	{"mimalloc", "libmimalloc", {"_mi_heap_main", "mi_malloc", NULL}},
	{"musl malloc", "ld-musl-", {"__malloc_context", NULL, NULL}},
	{"musl malloc", "libc.musl-", {NULL, NULL, NULL}},
	{"Hoard", "libhoard", {NULL, NULL, NULL}},
	{"scudo", "libscudo", {"__scudo_print_stats", NULL, NULL}},
	{"AddressSanitizer", "libasan", {"__asan_init", NULL, NULL}},
	{"Valgrind", "vgpreload_", {NULL, NULL, NULL}},
	{"Go runtime", NULL, {"runtime.mheap_", NULL, NULL}},
};
#define N_OTHERS (sizeof(others) / sizeof(others[0]))

static const struct wh_process_module *by_library(const struct wh_process *p, const struct other *o)
{
	for (size_t i = 0; o->library && i < p->modules.n; i++)
		if (strncmp(p->modules.v[i].name, o->library, strlen(o->library)) == 0)
			return &p->modules.v[i];
	return NULL;
}

static const char *by_symbol(const struct wh_process *p, const struct other *o)
{
	struct wh_sym sym;

	for (size_t i = 0; i < 3 && o->symbols[i]; i++)
		if (wh_symtab_find_name(p->names->syms, NULL, o->symbols[i], 0, &sym))
			return o->symbols[i];
	return NULL;
}

struct wh_err *wh_heap_find_other(struct wh_process *p, size_t from, size_t *ret_next,
				  struct wh_heap_finding *ret)
{
	for (size_t i = from; i < N_OTHERS; i++) {
		const struct wh_process_module *m = by_library(p, &others[i]);
		const char *symbol = m ? NULL : by_symbol(p, &others[i]);

		if (!m && !symbol)
			continue;
		snprintf(ret->version, sizeof(ret->version), "%s", others[i].name);
		if (m)
			snprintf(ret->evidence, sizeof(ret->evidence), "%s is mapped", m->name);
		else
			snprintf(ret->evidence, sizeof(ret->evidence), "symbol %s", symbol);
		*ret_next = i + 1;
		return NULL;
	}
	return &wh_err_not_found;
}

/*
 * musl's mallocng since 1.2.1, of a static program without symbols (src/malloc/mallocng/meta.h):
 *
 *	struct meta_area { uint64_t check; meta_area *next; int nslots; struct meta slots[]; }	at a page's start
 *	struct meta { prev, next, mem, int avail_mask, freed_mask, bits }
 *	struct group { struct meta *meta; ... }							what mem points at
 *
 * nslots is what fits a page, and each group names the meta that names it.
 */
static bool is_meta_area(const struct wh_process *p, uint64_t at)
{
	uint8_t buf[4096];
	size_t w = p->abi.word, head = w == 8 ? 24 : 16, meta = w == 8 ? 40 : 24;
	uint32_t slots = (uint32_t)((sizeof(buf) - head) / meta);

	if (wh_read_some(p->r, WH_VIRT, at, buf, sizeof(buf), NULL) != sizeof(buf) ||
	    !wh_get_u64(p->abi, buf) || wh_get_u32(p->abi, buf + 8 + w) != slots)
		return false;
	for (uint32_t i = 0; i < slots; i++) {
		uint64_t mem = wh_get_word(p->abi, buf + head + i * meta + 2 * w), back;

		if (mem && wh_process_is_data(p, mem, w) && wh_read_word(p->r, mem, &back) &&
		    back == at + head + i * meta)
			return true;
	}
	return false;
}

struct wh_err *wh_heap_find_shape(struct wh_process *p, struct wh_heap_finding *ret)
{
	for (size_t i = 0; i < p->maps.n; i++) {
		const struct wh_map_area *m = &p->maps.v[i];

		if (!(m->flags & WH_MAP_W) || m->file)
			continue;
		for (uint64_t at = (m->start + 4095) & ~4095ull; at < m->present_end; at += 4096) {
			if (wh_ctx_cancelled(p->ctx))
				return &wh_err_cancelled;
			if (!is_meta_area(p, at))
				continue;
			snprintf(ret->version, sizeof(ret->version), "musl malloc");
			snprintf(ret->evidence, sizeof(ret->evidence),
				 "an area of its books is at 0x%llx", (unsigned long long)at);
			return NULL;
		}
	}
	return &wh_err_not_found;
}

static void no_close(void *priv)
{
	(void)priv;
}

const struct wh_heap_ops wh_heap_other = {.name = "other", .close = no_close};
