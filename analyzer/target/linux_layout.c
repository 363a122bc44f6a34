/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Members of struct page and struct slab, and the encodings that types do not describe: flag numbers,
 * page types.  Members by name (BTF, DWARF, profile), then VMCOREINFO; numbers by enumerator, then
 * VMCOREINFO, then by the relations that hold in every kernel (PG_reserved precedes PG_private).
 */
#include "analyzer/target/linux.h"

#include <string.h>

static const struct wh_want wants[] = {
	WH_WANT_OPT(struct wh_lx_layout, flags, "page", "flags"),
	WH_WANT_OPT(struct wh_lx_layout, mapcount, "page", "_mapcount|page_type"),
	WH_WANT_OPT(struct wh_lx_layout, refcount, "page", "_refcount|_count"),
	WH_WANT_OPT(struct wh_lx_layout, mapping, "page", "mapping"),
	WH_WANT_OPT(struct wh_lx_layout, private, "page", "private"),
	WH_WANT_OPT(struct wh_lx_layout, compound_head, "page", "compound_head|compound_info"),
	WH_WANT_OPT(struct wh_lx_layout, memcg, "page", "memcg_data|mem_cgroup"),
	WH_WANT_OPT(struct wh_lx_layout, lru, "page", "lru"),
	WH_WANT_OPT(struct wh_lx_layout, slab_cache, "slab|page", "slab_cache"),
	WH_WANT_OPT(struct wh_lx_layout, slab_freelist, "slab|page", "freelist"),
	WH_WANT_OPT(struct wh_lx_layout, slab_counters, "slab|page", "counters|active"),
	WH_WANT_OPT(struct wh_lx_layout, slab_memcg, "slab|page",
		    "obj_exts|memcg_data|obj_cgroups|mem_cgroup"),
	WH_WANT_OPT(struct wh_lx_layout, slab_list, "slab|page", "slab_list|lru"),
	WH_WANT_OPT(struct wh_lx_layout, slab_smem, "slab|page", "s_mem"),
};

/* VMCOREINFO names the same members for kernels without types. */
static void field_from_info(struct wh_lx *x, struct wh_field *f, const char *name, uint64_t size)
{
	uint64_t off;

	if (f->found || !x->ks->vmcoreinfo || !wh_vmcoreinfo_offset(x->ks->vmcoreinfo, name, &off))
		return;
	*f = (struct wh_field){.offset = off, .size = size, .found = true};
}

static bool number(struct wh_lx *x, const char *name, int64_t *ret)
{
	return x->ks->vmcoreinfo && wh_vmcoreinfo_number(x->ks->vmcoreinfo, name, ret);
}

static uint64_t flag_mask(struct wh_lx *x, const char *name)
{
	int64_t v;

	if (!wh_types_enumerator(x->names->types, "pageflags", name, &v) && !number(x, name, &v))
		return 0;
	return v >= 0 && v < 64 ? 1ull << v : 0;
}

static void flags_open(struct wh_lx *x)
{
	struct wh_lx_layout *l = &x->lay;
	uint64_t private = flag_mask(x, "PG_private");
	int64_t v;

	l->lru_bit = flag_mask(x, "PG_lru");
	l->reserved_bit = flag_mask(x, "PG_reserved");
	if (!l->reserved_bit) /* the two have been neighbours since 2.6 */
		l->reserved_bit = private >> 1;
	l->head_bit = flag_mask(x, "PG_head");
	if (!l->head_bit && number(x, "PG_head_mask", &v))
		l->head_bit = (uint64_t)v;
	l->slab_bit = flag_mask(x, "PG_slab");
}

/*
 * page_type encodings.  New (6.12): the top byte is the type.  Old (4.18 to 6.11): a type is a *cleared*
 * bit under a base of 0xf0000000.  Before 4.18: one exact value for buddy pages.  The value of
 * PAGE_BUDDY_MAPCOUNT_VALUE in VMCOREINFO tells which.
 */
static const struct {
	const char *info, *pgty;
	uint8_t top;	  /* 6.12's number, when no type information says so */
	uint32_t old_bit; /* 5.11 to 6.9; 0: not known by number */
} types[WH_LXT_COUNT] = {
	[WH_LXT_SLAB] = {"PAGE_SLAB_MAPCOUNT_VALUE", "PGTY_slab", 0xf5, 0},
	[WH_LXT_BUDDY] = {"PAGE_BUDDY_MAPCOUNT_VALUE", "PGTY_buddy", 0xf0, 0x80},
	[WH_LXT_OFFLINE] = {"PAGE_OFFLINE_MAPCOUNT_VALUE", "PGTY_offline", 0xf1, 0x100},
	[WH_LXT_TABLE] = {NULL, "PGTY_table", 0xf2, 0x200},
	[WH_LXT_GUARD] = {NULL, "PGTY_guard", 0xf3, 0x400},
	[WH_LXT_HUGETLB] = {"PAGE_HUGETLB_MAPCOUNT_VALUE", "PGTY_hugetlb", 0xf4, 0},
	[WH_LXT_ZSMALLOC] = {NULL, "PGTY_zsmalloc", 0xf6, 0},
	[WH_LXT_UNACCEPTED] = {"PAGE_UNACCEPTED_MAPCOUNT_VALUE", "PGTY_unaccepted", 0xf7, 0},
	[WH_LXT_LARGE] = {NULL, "PGTY_large_kmalloc", 0, 0},
};

static void type_open(struct wh_lx *x, enum wh_lx_type i, bool top_byte, bool modern_bits)
{
	struct wh_lx_type_test *t = &x->lay.type[i];
	uint32_t bit = modern_bits ? types[i].old_bit : 0;
	int64_t v;

	if (top_byte) {
		uint32_t top = types[i].top;

		if (wh_types_enumerator(x->names->types, NULL, types[i].pgty, &v))
			top = (uint32_t)v & 0xff;
		if (top)
			*t = (struct wh_lx_type_test){0xff000000, top << 24};
		return;
	}
	if (types[i].info && number(x, types[i].info, &v)) {
		bit = ~(uint32_t)v;
		if (!bit || bit & (bit - 1)) { /* before 4.18: the whole word */
			*t = (struct wh_lx_type_test){0xffffffff, (uint32_t)v};
			return;
		}
	}
	if (bit)
		*t = (struct wh_lx_type_test){0xf0000000 | bit, 0xf0000000};
}

static void types_open(struct wh_lx *x)
{
	bool top_byte, modern = x->lay.memcg_name && !strcmp(x->lay.memcg_name, "memcg_data");
	int64_t v;

	top_byte = wh_types_enumerator(x->names->types, NULL, "PGTY_buddy", &v);
	if (!top_byte && number(x, "PAGE_BUDDY_MAPCOUNT_VALUE", &v))
		top_byte = ((uint32_t)v & 0xffffff) == 0;
	for (int i = 0; i < WH_LXT_COUNT; i++)
		type_open(x, (enum wh_lx_type)i, top_byte, modern);
	/* Where PG_slab is a flag, the type word of a slab means something else. */
	x->lay.slab_by_flag = x->lay.slab_bit && !number(x, "PAGE_SLAB_MAPCOUNT_VALUE", &v) &&
			      !wh_types_enumerator(x->names->types, NULL, "PGTY_slab", &v);
	if (x->lay.slab_by_flag)
		x->lay.type[WH_LXT_SLAB] = (struct wh_lx_type_test){0, 0};
}

/*
 * The free list and the counters of a slab are exchanged as one pair (cmpxchg_double in mm/slub.c), so either
 * tells where the other is when its name is lost.
 */
static void pair_open(struct wh_lx_layout *l, uint64_t word)
{
	const struct wh_field *list = &l->slab_freelist, *counters = &l->slab_counters;

	if (l->is_slab_alloc || list->found == counters->found)
		return;
	if (list->found)
		l->slab_counters = (struct wh_field){
			.offset = list->offset + word, .size = word, .found = true};
	else if (counters->offset >= word)
		l->slab_freelist = (struct wh_field){
			.offset = counters->offset - word, .size = word, .found = true};
}

struct wh_err *wh_lx_layout_need(const struct wh_lx *x, const struct wh_want *want, size_t n,
				 void *host)
{
	struct wh_err *e = wh_layout_resolve(x->names->types, want, n, host);
	uint64_t addr;

	if (!e)
		return NULL;
	if (!strcmp(x->names->type_source, "none") && x->names->have_data_symbols &&
	    !wh_knames_find(x->names, "__start_BTF", &addr))
		return wh_err_wrap(e, "this kernel was built without type information (BTF): give "
				      "its vmlinux with debug information, -s vmlinux");
	return wh_err_wrap(e, "the kernel's types are lost or damaged in this dump (give its "
			      "vmlinux with debug information, -s vmlinux)");
}

struct wh_err *wh_lx_layout_open(struct wh_lx *x)
{
	struct wh_lx_layout *l = &x->lay;
	uint64_t off;

	WH_TRY(wh_lx_layout_need(x, wants, sizeof(wants) / sizeof(wants[0]), l));
	if (!wh_types_sizeof(x->names->types, "page", &l->page_size_of) &&
	    !(x->ks->vmcoreinfo && wh_vmcoreinfo_size(x->ks->vmcoreinfo, "page", &l->page_size_of)))
		return wh_err_new(WH_ERR_NOT_FOUND, "the size of struct page is not known");
	if (l->page_size_of < 32 || l->page_size_of > 256)
		return wh_err_new(WH_ERR_BAD_DATA, "struct page of %llu bytes",
				  (unsigned long long)l->page_size_of);
	field_from_info(x, &l->flags, "page.flags", x->abi.word);
	field_from_info(x, &l->mapcount, "page._mapcount", 4);
	field_from_info(x, &l->refcount, "page._refcount", 4);
	field_from_info(x, &l->mapping, "page.mapping", x->abi.word);
	field_from_info(x, &l->private, "page.private", x->abi.word);
	field_from_info(x, &l->compound_head, "page.compound_head", x->abi.word);
	field_from_info(x, &l->lru, "page.lru", 2u * x->abi.word);
	if (!l->flags.found || !l->mapcount.found || !l->mapping.found)
		return wh_err_new(WH_ERR_NOT_FOUND, "no layout of struct page");
	l->memcg_name = wh_lx_offset(x, "page", "memcg_data", &off)   ? "memcg_data"
			: wh_lx_offset(x, "page", "mem_cgroup", &off) ? "mem_cgroup"
								      : NULL;
	/* Only kernels that charge slab objects to groups define this: then a word of each slab holds a vector. */
	if (!l->memcg_name && wh_types_sizeof(x->names->types, "obj_cgroup", &off)) {
		x->doubt = true;
		wh_diag_add(x->t->ctx->diags, WH_DIAG_WARN, "memcg-layout", 0,
			    "the layout of struct page is not known in full: what slabs hold by it "
			    "is not followed");
	}
	/* mm/slab.c has an array of free indexes instead of a chain. */
	l->is_slab_alloc = wh_lx_offset(x, "kmem_cache", "cpu_cache", &off) &&
			   !wh_lx_offset(x, "kmem_cache", "cpu_slab", &off);
	pair_open(l, x->abi.word);
	flags_open(x);
	types_open(x);
	if (!l->slab_bit && !l->type[WH_LXT_SLAB].mask)
		return wh_err_new(WH_ERR_NOT_FOUND, "no way to tell slab pages is known");
	return NULL;
}
