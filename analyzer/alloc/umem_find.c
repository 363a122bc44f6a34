/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where is libumem, and how are its structures laid out in this build?
 *
 *	umem_null_cache ─next─► cache ─next─► cache ─next─► umem_null_cache
 *	                        name "umem_magazine_1" at a fixed distance from next
 *
 * With symbols the anchor is known and only the layout is in question; without, the name of the first
 * internal cache is looked for in writable memory.  A layout is believed when the ring closes and the
 * caches on it have sensible names and sizes; each layout that we know is tried (CTF or DWARF of the library,
 * when it is there, goes first).  Facts: illumos usr/src/lib/libumem (2019); omniti-labs/portableumem; and
 * gburd/libumem 2.4.0, as measured on cores.
 *
 * Without symbols the arenas are found through the caches (cache_arena), up vm_source, along vm_next, and
 * by their names in the library's data; the number of processors is cache_cpu_mask + 1; the depth of
 * recorded stacks follows from the size of the records' own cache.
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/alloc/umem.h"
#include "analyzer/base/hashmap.h"
#include "analyzer/base/limits.h"
#include "dwarf/type_profile.h"

#define RING_MAX   4096
#define WINDOW	   (1u << 20)
#define FIRST_NAME "umem_magazine_1"

/* gburd 2.4.0, LP64: four more counters in front, per-CPU parts in another order and place. */
static const char gburd[] =
	"umem_bufctl umem_bufctl_t = *umem_bufctl bc_next; *void bc_addr; *umem_slab bc_slab;\n"
	"umem_bufctl_audit umem_bufctl_audit_t = *umem_bufctl bc_next; *void bc_addr; "
	"*umem_slab bc_slab; *umem_cache bc_cache; i64 bc_timestamp; ulong bc_thread; "
	"*umem_bufctl bc_lastlog; *void bc_contents; i32 bc_depth; ulong bc_stack[15];\n"
	"umem_buftag umem_buftag_t = u64 bt_redzone; *umem_bufctl bt_bufctl; ulong bt_bxstat;\n"
	"umem_magazine umem_magazine_t = *void mag_next; *void mag_round[1];\n"
	"umem_maglist umem_maglist_t = *umem_magazine ml_list;\n"
	"umem_slab umem_slab_t = *umem_cache slab_cache; *void slab_base; *umem_slab slab_next; "
	"*umem_slab slab_prev; *umem_bufctl slab_head; long slab_refcnt; long slab_chunks; #72/72\n"
	"umem_magtype umem_magtype_t = i32 mt_magsize; i32 mt_align; ulong mt_minbuf; "
	"ulong mt_maxbuf; *umem_cache mt_cache;\n"
	"umem_cpu_cache umem_cpu_cache_t = u64 cc_lock[5]; i32 cc_rounds; i32 cc_prounds; "
	"*umem_magazine cc_loaded; *umem_magazine cc_ploaded; i32 cc_magsize; i32 cc_flags; "
	"u32 cc_alloc; u32 cc_free; #128/128\n"
	"vmem_seg vmem_seg_t = ulong vs_start; ulong vs_end; *vmem_seg vs_knext; *vmem_seg vs_kprev; "
	"*vmem_seg vs_anext; *vmem_seg vs_aprev; u8 vs_type; u8 vs_import; u8 vs_depth; "
	"ulong vs_thread; i64 vs_timestamp; ulong vs_stack[20];\n"
	"vmem vmem_t = char vm_name[30]; @136/136 ulong vm_quantum; @168/168 *vmem vm_source; "
	"*vmem vm_next; @232/232 =vmem_seg vm_seg0;\n"
	"umem_cache umem_cache_t = u64 counters[15]; char cache_name[32]; ulong cache_bufsize; "
	"ulong cache_align; *void cache_constructor; *void cache_destructor; *umem_magazine cache_reclaim; "
	"*void cache_private; *vmem cache_arena; i32 cache_cflags; i32 cache_flags; u32 cache_uflags; "
	"u32 cache_mtbf; *umem_cache cache_next; *umem_cache cache_prev; *umem_cache cache_unext; "
	"*umem_cache cache_uprev; u32 cache_cpu_mask; u64 cache_lock[5]; ulong cache_chunksize; "
	"ulong cache_slabsize; ulong cache_bufctl; ulong cache_buftag; ulong cache_verify; "
	"ulong cache_contents; ulong cache_color; ulong cache_mincolor; ulong cache_maxcolor; "
	"ulong cache_hash_shift; ulong cache_hash_mask; *umem_slab cache_freelist; "
	"=umem_slab cache_nullslab; *umem_cache cache_bufctl_cache; **umem_bufctl cache_hash_table; "
	"*umem_magtype cache_magtype; @184/184 =umem_maglist cache_full; @832/832 "
	"=umem_cpu_cache cache_cpu[1];\n";

struct layout {
	const char *name, *text;
	bool lp64, ilp32;
};
static const struct layout layouts[] = {
	{"portable", wh_profile_umem_portable, true, false},
	{"illumos", wh_profile_umem, true, true},
	{"gburd", gburd, true, false},
};

static struct wh_err *types_of(const struct wh_umem *u, const struct layout *l, unsigned int align,
			       struct wh_types **ret)
{
	struct wh_types *t = NULL;
	struct wh_profile *prof = NULL;
	struct wh_err *e = wh_types_create(&t);

	if (!e)
		e = wh_profile_create(u->p->abi, align, l->text, &prof);
	if (!e)
		e = wh_types_add(t, &wh_profile_provider, prof, l->name);
	if (e) {
		wh_types_destroy(t);
		return e;
	}
	*ret = t;
	return NULL;
}

/* ---- the ring ---- */

struct ring_layout {
	uint64_t name, next, bufsize, chunksize;
};

static bool ring_layout_of(const struct wh_types *t, struct ring_layout *r)
{
	return wh_types_offset(t, "umem_cache", "cache_name", &r->name) &&
	       wh_types_offset(t, "umem_cache", "cache_next", &r->next) &&
	       wh_types_offset(t, "umem_cache", "cache_bufsize", &r->bufsize) &&
	       wh_types_offset(t, "umem_cache", "cache_chunksize", &r->chunksize);
}

static bool is_cache(struct wh_umem *u, const struct ring_layout *r, uint64_t addr)
{
	uint64_t bufsize, chunksize;
	char name[33];

	if (!wh_read_str(u->p->r, addr + r->name, name, sizeof(name)) || !name[0] ||
	    !wh_read_word(u->p->r, addr + r->bufsize, &bufsize) ||
	    !wh_read_word(u->p->r, addr + r->chunksize, &chunksize))
		return false;
	for (const char *c = name; *c; c++)
		if (*c < ' ' || *c > '~')
			return false;
	return bufsize && bufsize <= chunksize && chunksize < (1ull << 32);
}

/*
 * From cache @at round the ring; true when it closes.  The anchor is the member that is no cache: it has
 * no sizes.
 */
static bool ring_closes(struct wh_umem *u, const struct ring_layout *r, uint64_t at,
			uint64_t *ret_anchor)
{
	uint64_t here = at, anchor = 0;

	for (unsigned int n = 0; n < RING_MAX; n++) {
		if (!is_cache(u, r, here)) {
			if (anchor)
				return false;
			anchor = here;
		}
		if (!wh_read_word(u->p->r, here + r->next, &here) || !here)
			return false;
		if (here == at) {
			*ret_anchor = anchor;
			return anchor != 0 && n >= 3;
		}
	}
	return false;
}

/* ---- searching without symbols ---- */

static bool try_name(struct wh_umem *u, const struct ring_layout *r, uint64_t name)
{
	uint64_t anchor;

	if (name < r->name || !ring_closes(u, r, name - r->name, &anchor))
		return false;
	u->anchor = anchor;
	return true;
}

static bool search_map(struct wh_umem *u, const struct ring_layout *r, const struct wh_map_area *m)
{
	uint64_t at = m->start;

	while (at < m->present_end) {
		size_t want = m->present_end - at < WINDOW ? (size_t)(m->present_end - at) : WINDOW,
		       len = 0;
		enum wh_mem_state state;
		const uint8_t *b = wh_reader_borrow(u->p->r, WH_VIRT, at, want, &len, &state), *hit;

		if (!b) {
			at += len ? len : 4096;
			continue;
		}
		hit = memmem(b, len, FIRST_NAME, sizeof(FIRST_NAME));
		if (hit && !((at + (uint64_t)(hit - b)) & (u->p->abi.word - 1u))) {
			uint64_t name = at + (uint64_t)(hit - b);

			if (try_name(u, r, name))
				return true;
			at = name + 1;
			continue;
		}
		/* a name may straddle two windows */
		at += len > sizeof(FIRST_NAME) && len == want && at + len < m->present_end
			      ? len - sizeof(FIRST_NAME)
			      : len;
	}
	return false;
}

static bool search(struct wh_umem *u, const struct ring_layout *r)
{
	for (size_t i = 0; i < u->p->maps.n; i++)
		if ((u->p->maps.v[i].flags & WH_MAP_W) && search_map(u, r, &u->p->maps.v[i]))
			return true;
	return false;
}

/* ---- choosing ---- */

static bool symbol(void *arg, const char *name, uint64_t *ret)
{
	struct wh_umem *u = arg;
	struct wh_sym s;

	if (strcmp(name, "umem_null_cache") == 0 && u->anchor) {
		*ret = u->anchor;
		return true;
	}
	if (!wh_symtab_find_name(u->p->names->syms, NULL, name, 0, &s))
		return false;
	*ret = s.addr;
	return true;
}

static bool fits(struct wh_umem *u, const struct wh_types *t, uint64_t anchor)
{
	struct ring_layout r;
	uint64_t first, found;

	if (!ring_layout_of(t, &r))
		return false;
	if (!anchor)
		return search(u, &r);
	if (!wh_read_word(u->p->r, anchor + r.next, &first) || first == anchor ||
	    !ring_closes(u, &r, first, &found))
		return false;
	u->anchor = anchor;
	return true;
}

static uint32_t library(const struct wh_process *p)
{
	for (size_t i = 0; i < p->modules.n; i++)
		if (strncmp(p->modules.v[i].name, "libumem", 7) == 0)
			return (uint32_t)i;
	return UINT32_MAX;
}

static struct wh_err *try_layout(struct wh_umem *u, const struct layout *l, unsigned int align,
				 uint64_t anchor, bool *ret_found)
{
	struct wh_types *t;

	WH_TRY(types_of(u, l, align, &t));
	if (!fits(u, t, anchor)) {
		wh_types_destroy(t);
		return NULL;
	}
	u->types = t;
	u->k.types = t;
	u->layout = l->name;
	*ret_found = true;
	return NULL;
}

struct wh_err *wh_umem_find(struct wh_umem *u, bool own)
{
	uint64_t anchor = 0;
	bool found = false;
	/* i386 aligns 64-bit integers to 4 bytes, every other ABI to 8 */
	unsigned int align = u->p->arch && u->p->arch->elf_machine == EM_386 ? 4 : 8;

	u->module = library(u->p);
	if (!symbol(u, "umem_null_cache", &anchor) && u->module == UINT32_MAX)
		return &wh_err_not_mine;
	u->k = (struct wh_kmem){.ctx = u->p->ctx,
				.r = u->p->r,
				.flavour = &wh_kmem_user,
				.symbol = symbol,
				.symbol_arg = u,
				.abi = u->p->abi,
				.page_size = 4096};
	if (own && fits(u, u->p->names->types, anchor)) {
		const char *source = wh_types_source(u->p->names->types, "umem_cache");

		u->k.types = u->p->names->types;
		u->own = true;
		u->layout = source && !strncmp(source, "ctf", 3) ? "CTF" : "DWARF";
		return NULL;
	}
	u->own = false;
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]) && !found; i++) {
		const struct layout *l = &layouts[i];

		if (!(u->p->abi.word == 8 ? l->lp64 : l->ilp32))
			continue;
		WH_TRY(try_layout(u, l, align, anchor, &found));
	}
	if (!found)
		return wh_err_new(WH_ERR_UNSUPPORTED,
				  "libumem is mapped, but its caches fit no layout that is known");
	return NULL;
}

/* ---- what symbols would have said ---- */

static bool is_arena(struct wh_umem *u, uint64_t addr)
{
	static const char *const starts[] = {"umem_", "vmem", "sbrk_", "mmap_"};
	char name[31];

	if (!addr || (addr & (u->p->abi.word - 1u)) ||
	    !wh_read_str(u->p->r, addr + u->k.l.vm_name.offset, name, sizeof(name)))
		return false;
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (strncmp(name, starts[i], strlen(starts[i])) == 0)
			return true;
	return false;
}

static unsigned int chain_length(struct wh_umem *u, uint64_t arena)
{
	unsigned int n = 0;

	while (n < RING_MAX && is_arena(u, arena)) {
		n++;
		if (!wh_kmem_field(&u->k, arena, u->k.l.vm_next, &arena))
			break;
	}
	return n;
}

/* vmem_list is the word of the library's data from which vm_next leads past the most arenas. */
static uint64_t find_vmem_list(struct wh_umem *u)
{
	uint64_t best = 0;
	unsigned int best_n = 0;

	for (size_t i = 0; i < u->p->maps.n; i++) {
		const struct wh_map_area *m = &u->p->maps.v[i];

		if (m->module != u->module || !(m->flags & WH_MAP_W))
			continue;
		for (uint64_t at = m->start; at + u->p->abi.word <= m->present_end;
		     at += u->p->abi.word) {
			uint64_t v;
			unsigned int n;

			if (!wh_read_word(u->p->r, at, &v) || v < 4096 || !is_arena(u, v))
				continue;
			n = chain_length(u, v);
			if (n > best_n && n < RING_MAX) {
				best_n = n;
				best = v;
			}
		}
	}
	return best;
}

static struct wh_err *add_arenas(struct wh_umem *u)
{
	uint64_t at = find_vmem_list(u);

	for (unsigned int n = 0; n < RING_MAX && is_arena(u, at); n++) {
		WH_TRY(wh_kmem_add_arena(&u->k, at));
		if (!wh_kmem_field(&u->k, at, u->k.l.vm_next, &at))
			break;
	}
	/* at least those that the caches name, and what they import from */
	for (size_t i = 0; i < u->k.caches.n; i++) {
		at = u->k.caches.v[i].arena;
		for (int depth = 0; depth < 32 && is_arena(u, at); depth++) {
			WH_TRY(wh_kmem_add_arena(&u->k, at));
			if (!wh_kmem_field(&u->k, at, u->k.l.vm_source, &at))
				break;
		}
	}
	return NULL;
}

static void name_arenas(struct wh_umem *u)
{
	for (size_t i = 0; i < u->k.caches.n; i++)
		for (size_t a = 0; a < u->k.arenas.n; a++)
			if (u->k.arenas.v[a].addr == u->k.caches.v[i].arena)
				u->k.caches.v[i].arena_name = u->k.arenas.v[a].name;
}

static void complete_numbers(struct wh_umem *u)
{
	const struct wh_kmem_cache *records =
		wh_kmem_find_cache_name(&u->k, "umem_bufctl_audit_cache");
	uint64_t addr, stack = u->k.l.bc_stack.offset, mask_at;
	uint32_t mask;

	if (records && records->bufsize >= stack + u->p->abi.word && records->bufsize < 16384) {
		u->k.audit_size = records->bufsize;
		u->k.stack_depth = (uint32_t)((records->bufsize - stack) / u->p->abi.word);
	}
	if (!symbol(u, "umem_max_ncpus", &addr) && u->k.caches.n &&
	    wh_types_offset(u->k.types, "umem_cache", "cache_cpu_mask", &mask_at) &&
	    wh_read_u32(u->p->r, u->k.caches.v[0].addr + mask_at, &mask) && mask < WH_LIMIT_CPUS)
		u->k.ncpus = mask + 1;
}

struct wh_err *wh_umem_complete(struct wh_umem *u)
{
	complete_numbers(u);
	WH_TRY(add_arenas(u));
	name_arenas(u);
	return NULL;
}
