/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/alloc/kmem_core.h"

#include <string.h>

#define L     struct wh_kmem_layout
#define CACHE "kmem_cache|umem_cache"
#define C(i, m)                                                                                    \
	{                                                                                          \
		CACHE, m, offsetof(L, cache) + (i) * sizeof(struct wh_field), false                \
	}
#define C_OPT(i, m)                                                                                \
	{                                                                                          \
		CACHE, m, offsetof(L, cache) + (i) * sizeof(struct wh_field), true                 \
	}

const struct wh_kmem_flavour wh_kmem_kernel = {
	.name = "kmem",
	.cache_list = "kmem_caches",
	.cpus = {"max_ncpus", "ncpus"},
	.transaction_log = "kmem_transaction_log",
	.content_log = "kmem_content_log",
	.failure_log = "kmem_failure_log",
	.slab_log = "kmem_slab_log",
	.kernel = true,
};
const struct wh_kmem_flavour wh_kmem_user = {
	.name = "umem",
	.cache_list = "umem_null_cache",
	.cpus = {"umem_max_ncpus", "max_ncpus"},
	.transaction_log = "umem_transaction_log",
	.content_log = "umem_content_log",
	.failure_log = "umem_failure_log",
	.slab_log = "umem_slab_log",
};

/* Common to both flavours, by the kernel's and libumem's names. */
static const struct wh_want wants[] = {
	C(WH_KC_NAME, "cache_name"),
	C(WH_KC_FLAGS, "cache_flags"),
	C(WH_KC_CFLAGS, "cache_cflags"),
	C(WH_KC_BUFSIZE, "cache_bufsize"),
	C(WH_KC_ALIGN, "cache_align"),
	C(WH_KC_CHUNKSIZE, "cache_chunksize"),
	C(WH_KC_SLABSIZE, "cache_slabsize"),
	C(WH_KC_CONSTRUCTOR, "cache_constructor"),
	C(WH_KC_ARENA, "cache_arena"),
	C(WH_KC_BUFCTL, "cache_bufctl"),
	C(WH_KC_BUFTAG, "cache_buftag"),
	C_OPT(WH_KC_VERIFY, "cache_verify"),
	C(WH_KC_HASH_TABLE, "cache_hash_table"),
	C(WH_KC_HASH_SHIFT, "cache_hash_shift"),
	C(WH_KC_HASH_MASK, "cache_hash_mask"),
	C_OPT(WH_KC_BUFTOTAL, "cache_buftotal"),
	C_OPT(WH_KC_SLAB_CREATE, "cache_slab_create"),
	C_OPT(WH_KC_SLAB_DESTROY, "cache_slab_destroy"),
	C_OPT(WH_KC_SLAB_ALLOC, "cache_slab_alloc"),
	C_OPT(WH_KC_ALLOC_FAIL, "cache_alloc_fail"),
	C(WH_KC_MAGTYPE, "cache_magtype"),
	C(WH_KC_FULL, "cache_full"),
	C_OPT(WH_KC_LINK, "cache_link"),
	C_OPT(WH_KC_NEXT, "cache_next"),
	C_OPT(WH_KC_COMPLETE, "cache_complete_slabs"),
	C_OPT(WH_KC_PARTIAL, "cache_partial_slabs"),
	C_OPT(WH_KC_NULLSLAB, "cache_nullslab"),
	C(WH_KC_CPU, "cache_cpu"),

	WH_WANT(L, cpu_loaded, "kmem_cpu_cache|umem_cpu_cache", "cc_loaded"),
	WH_WANT(L, cpu_ploaded, "kmem_cpu_cache|umem_cpu_cache", "cc_ploaded"),
	WH_WANT(L, cpu_flags, "kmem_cpu_cache|umem_cpu_cache", "cc_flags"),
	WH_WANT(L, cpu_rounds, "kmem_cpu_cache|umem_cpu_cache", "cc_rounds"),
	WH_WANT(L, cpu_prounds, "kmem_cpu_cache|umem_cpu_cache", "cc_prounds"),
	WH_WANT(L, cpu_magsize, "kmem_cpu_cache|umem_cpu_cache", "cc_magsize"),
	WH_WANT_OPT(L, cpu_dump_rounds, "kmem_cpu_cache|umem_cpu_cache", "cc_dump_rounds"),
	WH_WANT_OPT(L, cpu_dump_prounds, "kmem_cpu_cache|umem_cpu_cache", "cc_dump_prounds"),
	WH_WANT_OPT(L, cpu_alloc, "kmem_cpu_cache|umem_cpu_cache", "cc_alloc"),
	WH_WANT(L, mag_next, "kmem_magazine|umem_magazine", "mag_next"),
	WH_WANT(L, mag_round, "kmem_magazine|umem_magazine", "mag_round"),
	WH_WANT(L, magtype_size, "kmem_magtype|umem_magtype", "mt_magsize"),
	WH_WANT(L, ml_list, "kmem_maglist|umem_maglist", "ml_list"),
	WH_WANT_OPT(L, ml_total, "kmem_maglist|umem_maglist", "ml_total"),
	WH_WANT_OPT(L, ml_alloc, "kmem_maglist|umem_maglist", "ml_alloc"),

	WH_WANT(L, slab_cache, "kmem_slab|umem_slab", "slab_cache"),
	WH_WANT(L, slab_base, "kmem_slab|umem_slab", "slab_base"),
	WH_WANT_OPT(L, slab_link, "kmem_slab|umem_slab", "slab_link"),
	WH_WANT_OPT(L, slab_next, "kmem_slab|umem_slab", "slab_next"),
	WH_WANT(L, slab_head, "kmem_slab|umem_slab", "slab_head"),
	WH_WANT(L, slab_refcnt, "kmem_slab|umem_slab", "slab_refcnt"),
	WH_WANT(L, slab_chunks, "kmem_slab|umem_slab", "slab_chunks"),

	WH_WANT(L, bc_next, "kmem_bufctl_audit|umem_bufctl_audit", "bc_next"),
	WH_WANT(L, bc_addr, "kmem_bufctl_audit|umem_bufctl_audit", "bc_addr"),
	WH_WANT(L, bc_slab, "kmem_bufctl_audit|umem_bufctl_audit", "bc_slab"),
	WH_WANT(L, bc_cache, "kmem_bufctl_audit|umem_bufctl_audit", "bc_cache"),
	WH_WANT(L, bc_timestamp, "kmem_bufctl_audit|umem_bufctl_audit", "bc_timestamp"),
	WH_WANT(L, bc_thread, "kmem_bufctl_audit|umem_bufctl_audit", "bc_thread"),
	WH_WANT(L, bc_lastlog, "kmem_bufctl_audit|umem_bufctl_audit", "bc_lastlog"),
	WH_WANT(L, bc_contents, "kmem_bufctl_audit|umem_bufctl_audit", "bc_contents"),
	WH_WANT(L, bc_depth, "kmem_bufctl_audit|umem_bufctl_audit", "bc_depth"),
	WH_WANT(L, bc_stack, "kmem_bufctl_audit|umem_bufctl_audit", "bc_stack"),
	WH_WANT(L, bt_redzone, "kmem_buftag|umem_buftag", "bt_redzone"),
	WH_WANT(L, bt_bufctl, "kmem_buftag|umem_buftag", "bt_bufctl"),
	WH_WANT(L, bt_bxstat, "kmem_buftag|umem_buftag", "bt_bxstat"),

	WH_WANT_OPT(L, list_offset, "list|list_t", "list_offset"),
	WH_WANT_OPT(L, list_next, "list|list_t", "list_head.list_next|list_head.next"),
	WH_WANT_OPT(L, avl_root, "avl_tree|avl_tree_t", "avl_root"),
	WH_WANT_OPT(L, avl_offset, "avl_tree|avl_tree_t", "avl_offset"),
	WH_WANT_OPT(L, avl_child, "avl_node|avl_node_t", "avl_child"),

	WH_WANT_OPT(L, lh_base, "kmem_log_header|umem_log_header", "lh_base"),
	WH_WANT_OPT(L, lh_free, "kmem_log_header|umem_log_header", "lh_free"),
	WH_WANT_OPT(L, lh_chunksize, "kmem_log_header|umem_log_header", "lh_chunksize"),
	WH_WANT_OPT(L, lh_nchunks, "kmem_log_header|umem_log_header", "lh_nchunks"),
	WH_WANT_OPT(L, lh_head, "kmem_log_header|umem_log_header", "lh_head"),
	WH_WANT_OPT(L, lh_tail, "kmem_log_header|umem_log_header", "lh_tail"),
	WH_WANT_OPT(L, lh_cpu, "kmem_log_header|umem_log_header", "lh_cpu"),
	WH_WANT_OPT(L, clh_current, "kmem_cpu_log_header|umem_cpu_log_header", "clh_current"),
	WH_WANT_OPT(L, clh_avail, "kmem_cpu_log_header|umem_cpu_log_header", "clh_avail"),
	WH_WANT_OPT(L, clh_chunk, "kmem_cpu_log_header|umem_cpu_log_header", "clh_chunk"),

	WH_WANT(L, vs_start, "vmem_seg", "vs_start"),
	WH_WANT(L, vs_end, "vmem_seg", "vs_end"),
	WH_WANT(L, vs_anext, "vmem_seg", "vs_anext"),
	WH_WANT(L, vs_type, "vmem_seg", "vs_type"),
	WH_WANT_OPT(L, vs_import, "vmem_seg", "vs_import"),
	WH_WANT(L, vs_depth, "vmem_seg", "vs_depth"),
	WH_WANT(L, vs_thread, "vmem_seg", "vs_thread"),
	WH_WANT(L, vs_timestamp, "vmem_seg", "vs_timestamp"),
	WH_WANT(L, vs_stack, "vmem_seg", "vs_stack"),
	WH_WANT(L, vm_name, "vmem", "vm_name"),
	WH_WANT_OPT(L, vm_cflags, "vmem", "vm_cflags"),
	WH_WANT(L, vm_quantum, "vmem", "vm_quantum"),
	WH_WANT(L, vm_source, "vmem", "vm_source"),
	WH_WANT(L, vm_next, "vmem", "vm_next"),
	WH_WANT(L, vm_seg0, "vmem", "vm_seg0"),
	WH_WANT_OPT(L, vm_kstat, "vmem", "vm_kstat"),
	WH_WANT_OPT(L, vk_inuse, "vmem", "vm_kstat.vk_mem_inuse.value|vm_kstat.vk_mem_inuse"),
	WH_WANT_OPT(L, vk_import, "vmem", "vm_kstat.vk_mem_import.value|vm_kstat.vk_mem_import"),
	WH_WANT_OPT(L, vk_total, "vmem", "vm_kstat.vk_mem_total.value|vm_kstat.vk_mem_total"),
	WH_WANT_OPT(L, vk_alloc, "vmem", "vm_kstat.vk_alloc.value|vm_kstat.vk_alloc"),
	WH_WANT_OPT(L, vk_free, "vmem", "vm_kstat.vk_free.value|vm_kstat.vk_free"),
	WH_WANT_OPT(L, vk_fail, "vmem", "vm_kstat.vk_fail.value|vm_kstat.vk_fail"),
};

static uint64_t size_of(const struct wh_kmem *k, const char *kernel, const char *user)
{
	uint64_t n = 0;

	if (!wh_types_sizeof(k->types, kernel, &n))
		wh_types_sizeof(k->types, user, &n);
	return n;
}

/* Everything that is read as a whole must lie inside what is read. */
static struct wh_err *check_spans(struct wh_kmem_layout *l)
{
	for (size_t i = 0; i < sizeof(wants) / sizeof(*wants); i++) {
		const struct wh_field *f =
			(const struct wh_field *)((const char *)l + wants[i].out);

		if (f->found && (f->offset > 65536 || f->size > 65536))
			return wh_err_new(WH_ERR_BAD_DATA, "layout of %s.%s makes no sense",
					  wants[i].type, wants[i].member);
	}
	for (size_t i = 0; i < WH_KC_CPU; i++)
		if (l->cache[i].found && l->cache[i].offset + l->cache[i].size > l->cache_span)
			l->cache_span = l->cache[i].offset + l->cache[i].size;
	if (l->audit_size < l->bc_stack.offset + 8 || l->audit_size > 65536 ||
	    l->slab_size > 4096 || l->seg_size > 4096 || l->cpu_size > 4096 || !l->cpu_size ||
	    l->cache_span > 16384)
		return wh_err_new(WH_ERR_BAD_DATA, "the sizes of the allocator's structures make "
						   "no sense");
	return NULL;
}

struct wh_err *wh_kmem_resolve(struct wh_kmem *k)
{
	struct wh_kmem_layout *l = &k->l;

	WH_TRY(wh_layout_resolve(k->types, wants, sizeof(wants) / sizeof(*wants), l));
	l->cpu_size = size_of(k, "kmem_cpu_cache", "umem_cpu_cache");
	l->slab_size = size_of(k, "kmem_slab", "umem_slab");
	l->audit_size = size_of(k, "kmem_bufctl_audit", "umem_bufctl_audit");
	l->buftag_size = size_of(k, "kmem_buftag", "umem_buftag");
	l->clh_size = size_of(k, "kmem_cpu_log_header", "umem_cpu_log_header");
	l->seg_size = size_of(k, "vmem_seg", "vmem_seg");
	k->layout_source =
		wh_types_source(k->types, k->flavour->kernel ? "kmem_cache" : "umem_cache");
	WH_TRY(check_spans(l));
	k->audit_size = l->audit_size;
	k->stack_depth = (uint32_t)(l->bc_stack.size / k->abi.word);
	k->seg_read = l->seg_size;
	return NULL;
}
