/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The structures of illumos' kmem, vmem, STREAMS and libumem as declarations for type_profile.  Member
 * orders and types are facts of illumos-gate, Nov 2019 (uts/common/sys/kmem_impl.h, vmem_impl_user.h,
 * stream.h, strft.h; lib/libumem); checked against the offsets of LP64, i386 and SPARC in
 * tests/test_profile.c.  Used only for what the dump's own CTF or DWARF does not tell.
 */
#include "dwarf/type_profile.h"

/* Shared by the kernel and libumem. */
#define BUFCTL(k, thread)                                                                          \
	k "_bufctl " k "_bufctl_t = *" k "_bufctl bc_next; *void bc_addr; *" k                     \
	  "_slab bc_slab;\n" k "_bufctl_audit " k "_bufctl_audit_t = *" k                          \
	  "_bufctl bc_next; *void bc_addr; *" k "_slab bc_slab; *" k                               \
	  "_cache bc_cache; i64 bc_timestamp; " thread " bc_thread; *" k                           \
	  "_bufctl bc_lastlog; *void bc_contents; i32 bc_depth; "                                  \
	  "ulong bc_stack[15];\n" k "_buftag " k "_buftag_t = u64 bt_redzone; *" k                 \
	  "_bufctl bt_bufctl; ulong bt_bxstat;\n" k "_buftag_lite " k "_buftag_lite_t = =" k       \
	  "_buftag bt_buftag; ulong bt_history[1];\n" k "_magazine " k                             \
	  "_magazine_t = *void mag_next; *void mag_round[1];\n" k "_maglist " k "_maglist_t = *" k \
	  "_magazine ml_list; long ml_total; long ml_min; long ml_reaplimit; "                     \
	  "u64 ml_alloc;\n"

#define VMEM_SEG(thread)                                                                           \
	"vmem_seg vmem_seg_t = ulong vs_start; ulong vs_end; *vmem_seg vs_knext; "                 \
	"*vmem_seg vs_kprev; *vmem_seg vs_anext; *vmem_seg vs_aprev; u8 vs_type; u8 vs_import; "   \
	"u8 vs_depth; " thread " vs_thread; i64 vs_timestamp; ulong vs_stack[20];\n"               \
	"vmem_freelist vmem_freelist_t = ulong vs_start; ulong vs_end; *vmem_seg vs_knext; "       \
	"*vmem_seg vs_kprev;\n"

#define VMEM_TAIL(ksp)                                                                             \
	"u32 vm_id; u32 vm_mtbf; i32 vm_cflags; i32 vm_qshift; ulong vm_quantum; "                 \
	"ulong vm_qcache_max; " ksp                                                                \
	"*vmem_seg vm_segfree; **vmem_seg vm_hash_table; ulong vm_hash_mask; "                     \
	"ulong vm_hash_shift; ulong vm_freemap; =vmem_seg vm_seg0; =vmem_seg vm_rotor; "           \
	"*vmem_seg vm_hash0[16]; *void vm_qcache[16]; =vmem_freelist vm_freelist[65/33]; "         \
	"=vmem_kstat vm_kstat;\n"

#define CACHE_GEOMETRY(k)                                                                          \
	"ulong cache_bufctl; ulong cache_buftag; ulong cache_verify; ulong cache_contents; "       \
	"ulong cache_color; ulong cache_mincolor; ulong cache_maxcolor; ulong cache_hash_shift; "  \
	"ulong cache_hash_mask; "

#define KMEM_LISTS                                                                                 \
	"list_node list_node_t = *list_node list_next; *list_node list_prev;\n"                    \
	"list list_t = ulong list_size; ulong list_offset; =list_node list_head;\n"                \
	"avl_node avl_node_t = *avl_node avl_child[2]; ulong avl_pcb; #24/16\n"                    \
	"avl_tree avl_tree_t = *avl_node avl_root; *void avl_compar; ulong avl_offset; "           \
	"ulong avl_numnodes; ulong avl_size;\n"

#define KMEM_VMEM                                                                                                                                                         \
	"vmem_kstat_named = char name[31]; u8 data_type; u64 value[2];\n"                                                                                                 \
	"vmem_kstat vmem_kstat_t = =vmem_kstat_named vk_mem_inuse; "                                                                                                      \
	"=vmem_kstat_named vk_mem_import; =vmem_kstat_named vk_mem_total; "                                                                                               \
	"=vmem_kstat_named vk_source_id; =vmem_kstat_named vk_alloc; =vmem_kstat_named vk_free; "                                                                         \
	"=vmem_kstat_named vk_wait; =vmem_kstat_named vk_fail; =vmem_kstat_named vk_lookup; "                                                                             \
	"=vmem_kstat_named vk_search; =vmem_kstat_named vk_rest[4];\n" VMEM_SEG("*_kthread") "vmem vmem_t = char vm_name[30]; u16 vm_cv; ulong vm_lock[1/2]; " VMEM_TAIL( \
		"ulong vm_min_import; *void vm_source_alloc; *void vm_source_free; *vmem vm_source; "                                                                     \
		"*vmem vm_next; *void vm_ksp; long vm_nsegfree; ")

#define KMEM_LOGS                                                                                  \
	"kmem_cpu_log_header kmem_cpu_log_header_t = u8 clh_lock[8]; *void clh_current; "          \
	"ulong clh_avail; i32 clh_chunk; i32 clh_hits; #64/64\n"                                   \
	"kmem_log_header kmem_log_header_t = ulong lh_lock[1/2]; *void lh_base; *i32 lh_free; "    \
	"ulong lh_chunksize; i32 lh_nchunks; i32 lh_head; i32 lh_tail; i32 lh_hits; "              \
	"=kmem_cpu_log_header lh_cpu[1];\n"

/* struct module is the same from Solaris 2.6 (1996, up to `tail`) to 2019 (sys/kobj.h); hdr is an ELF header. */
#define MODULES                                                                                    \
	"modctl modctl_t = *modctl mod_next; *modctl mod_prev; i32 mod_id; *module mod_mp; "       \
	"*void mod_inprogress_thread; *void mod_modinfo; *void mod_linkage; *char mod_filename; "  \
	"*char mod_modname;\n"                                                                     \
	"module = i32 total_allocated; ulong hdr[8/13]; *void shdrs; *void symhdr; *void strhdr; " \
	"*char depends_on; ulong symsize; *char symspace; i32 flags; ulong text_size; "            \
	"ulong data_size; *char text; *char data; u32 symtbl_section; *void symtbl; "              \
	"*char strings; u32 hashsize; *void buckets; *void chains; u32 nsyms; u32 bss_align; "     \
	"ulong bss_size; ulong bss; *char filename; *void head; *void tail; *void destination; "   \
	"*void machdata; *char ctfdata; ulong ctfsize; *char fbt_tab; ulong fbt_size; "            \
	"ulong fbt_nentries; *char textwin; *char textwin_base; *void sdt_probes; "                \
	"ulong sdt_nprobes; *char sdt_tab; ulong sdt_size; *char sigdata; ulong sigsize;\n"

#define SLAB_2008                                                                                  \
	"kmem_slab kmem_slab_t = *kmem_cache slab_cache; *void slab_base; =avl_node slab_link; "   \
	"*kmem_bufctl slab_head; long slab_refcnt; long slab_chunks; u32 slab_stuck_offset; "      \
	"u16 slab_later_count; u16 slab_flags;\n"                                                  \
	"kmem_magtype kmem_magtype_t = i16 mt_magsize; i32 mt_align; ulong mt_minbuf; "            \
	"ulong mt_maxbuf; *kmem_cache mt_cache;\n"                                                 \
	"kmem_cpu_cache kmem_cpu_cache_t = u8 cc_lock[8]; u64 cc_alloc; u64 cc_free; "             \
	"*kmem_magazine cc_loaded; *kmem_magazine cc_ploaded; i32 cc_flags; i16 cc_rounds; "       \
	"i16 cc_prounds; i16 cc_magsize; i16 cc_dump_rounds; i16 cc_dump_prounds; #64/64\n"

#define CACHE_2008                                                                                                     \
	"kmem_cache kmem_cache_t = u64 cache_slab_create; u64 cache_slab_destroy; "                                    \
	"u64 cache_slab_alloc; u64 cache_slab_free; u64 cache_alloc_fail; u64 cache_buftotal; "                        \
	"u64 cache_bufmax; u64 cache_bufslab; u64 cache_reap; u64 cache_rescale; "                                     \
	"u64 cache_lookup_depth; u64 cache_depot_contention; u64 cache_depot_contention_prev; "                        \
	"char cache_name[32]; ulong cache_bufsize; ulong cache_align; *void cache_constructor; "                       \
	"*void cache_destructor; *void cache_reclaim; *void cache_move; *void cache_private; "                         \
	"*vmem cache_arena; i32 cache_cflags; i32 cache_flags; u32 cache_mtbf; "                                       \
	"*void cache_kstat; =list_node cache_link; ulong cache_lock[1/2]; ulong cache_chunksize; "                     \
	"ulong cache_slabsize; ulong cache_maxchunks; " CACHE_GEOMETRY(                                                \
		"kmem") "=list cache_complete_slabs; ulong cache_complete_slab_count; =avl_tree cache_partial_slabs; " \
			"ulong cache_partial_binshift; *kmem_cache cache_bufctl_cache; "                               \
			"**kmem_bufctl cache_hash_table; *void cache_defrag; "                                         \
			"ulong cache_depot_lock[1/2]; *kmem_magtype cache_magtype; "                                   \
			"=kmem_maglist cache_full; =kmem_maglist cache_empty; "                                        \
			"*void cache_dumpfreelist; *void cache_dumplog; "                                              \
			"=kmem_cpu_cache cache_cpu[1];\n"

/* Before the slab consolidator of 2008: OpenSolaris of 2005, uts/common/sys/kmem_impl.h 1.16. */
#define SLAB_2005                                                                                  \
	"kmem_slab kmem_slab_t = *kmem_cache slab_cache; *void slab_base; *kmem_slab slab_next; "  \
	"*kmem_slab slab_prev; *kmem_bufctl slab_head; long slab_refcnt; long slab_chunks;\n"      \
	"kmem_magtype kmem_magtype_t = i32 mt_magsize; i32 mt_align; ulong mt_minbuf; "            \
	"ulong mt_maxbuf; *kmem_cache mt_cache;\n"                                                 \
	"kmem_cpu_cache kmem_cpu_cache_t = u8 cc_lock[8]; u64 cc_alloc; u64 cc_free; "             \
	"*kmem_magazine cc_loaded; *kmem_magazine cc_ploaded; i32 cc_rounds; i32 cc_prounds; "     \
	"i32 cc_magsize; i32 cc_flags; #64/64\n"

#define CACHE_2005                                                                                  \
	"kmem_cache kmem_cache_t = u64 cache_slab_create; u64 cache_slab_destroy; "                 \
	"u64 cache_slab_alloc; u64 cache_slab_free; u64 cache_alloc_fail; u64 cache_buftotal; "     \
	"u64 cache_bufmax; u64 cache_rescale; u64 cache_lookup_depth; "                             \
	"u64 cache_depot_contention; u64 cache_depot_contention_prev; char cache_name[32]; "        \
	"ulong cache_bufsize; ulong cache_align; *void cache_constructor; "                         \
	"*void cache_destructor; *void cache_reclaim; *void cache_private; *vmem cache_arena; "     \
	"i32 cache_cflags; i32 cache_flags; u32 cache_mtbf; u32 cache_pad1; *void cache_kstat; "    \
	"*kmem_cache cache_next; *kmem_cache cache_prev; ulong cache_lock[1/2]; "                   \
	"ulong cache_chunksize; ulong cache_slabsize; " CACHE_GEOMETRY(                             \
		"kmem") "*kmem_slab cache_freelist; =kmem_slab cache_nullslab; "                    \
			"*kmem_cache cache_bufctl_cache; **kmem_bufctl cache_hash_table; "          \
			"*void cache_pad2; ulong cache_depot_lock[1/2]; "                           \
			"*kmem_magtype cache_magtype; *void cache_pad3; =kmem_maglist cache_full; " \
			"=kmem_maglist cache_empty; =kmem_cpu_cache cache_cpu[1];\n"

const char wh_profile_kmem[] =
	KMEM_LISTS BUFCTL("kmem", "*_kthread") SLAB_2008 KMEM_VMEM CACHE_2008 KMEM_LOGS MODULES;
const char wh_profile_kmem_2005[] =
	KMEM_LISTS BUFCTL("kmem", "*_kthread") SLAB_2005 KMEM_VMEM CACHE_2005 KMEM_LOGS MODULES;

#define STREAMS_COMMON                                                                             \
	"msgb mblk_t = *msgb b_next; *msgb b_prev; *msgb b_cont; *u8 b_rptr; *u8 b_wptr; "         \
	"*datab b_datap; u8 b_band; u8 b_tag; u16 b_flag; *queue b_queue;\n"                       \
	"datab dblk_t = *void db_frtnp; *u8 db_base; *u8 db_lim; u8 db_ref; u8 db_type; "          \
	"u8 db_flags; u8 db_struioflag; i32 db_cpid; *void db_cache; *msgb db_mblk; "              \
	"*void db_free; *void db_lastfree; long db_cksumstart; long db_cksumend; "                 \
	"long db_cksumstuff; u8 db_struioun[8]; *fthdr db_fthdr; *void db_credp;\n"                \
	"module_info = u16 mi_idnum; *char mi_idname;\n"                                           \
	"qinit = *void qi_putp; *void qi_srvp; *void qi_qopen; *void qi_qclose; *void qi_qadmin; " \
	"*module_info qi_minfo;\n"                                                                 \
	"queue queue_t = *qinit q_qinfo; *msgb q_first; *msgb q_last; *queue q_next; "             \
	"*queue q_link; *void q_ptr; ulong q_count; u32 q_flag; long q_minpsz; long q_maxpsz; "    \
	"ulong q_hiwat; ulong q_lowat; *void q_bandp; u8 q_lock[8]; *void q_stream; "              \
	"*void q_syncq; u8 q_nband; #248/156\n"

#define FLOW_BLOCKS                                                                                \
	"ftblk ftblk_t = *ftblk nxt; i32 ix; =ftevnt ev[9];\n"                                     \
	"fthdr fthdr_t = *ftblk tail; u32 hash; *_kthread thread; i32 cpu_seqid; "                 \
	"=ftblk first;\n"

const char wh_profile_streams[] =
	STREAMS_COMMON "ftstk ftstk_t = u32 fs_depth; ulong fs_stk[15];\n"
		       "ftevnt ftevnt_t = i64 ts; *void mid; *void midnext; u16 evnt; u16 data; "
		       "*ftstk stk;\n" FLOW_BLOCKS;

const char wh_profile_streams_old[] =
	STREAMS_COMMON "ftevnt ftevnt_t = i64 ts; *void mid; u16 evnt; u16 data;\n" FLOW_BLOCKS;

/* mutex and cond are the sizes of their members in 64-bit units: 24 and 16 bytes on illumos. */
#define UMEM(mutex, cond, cpu, log, thread)                                                                                                    \
	BUFCTL("umem", thread)                                                                                                                 \
	"umem_slab umem_slab_t = *umem_cache slab_cache; *void slab_base; *umem_slab slab_next; "                                              \
	"*umem_slab slab_prev; *umem_bufctl slab_head; long slab_refcnt; long slab_chunks;\n"                                                  \
	"umem_magtype umem_magtype_t = i32 mt_magsize; i32 mt_align; ulong mt_minbuf; "                                                        \
	"ulong mt_maxbuf; *umem_cache mt_cache;\n"                                                                                             \
	"umem_cpu_cache umem_cpu_cache_t = u64 cc_lock[" mutex "]; u32 cc_alloc; u32 cc_free; "                                                \
	"*umem_magazine cc_loaded; *umem_magazine cc_ploaded; i32 cc_rounds; i32 cc_prounds; "                                                 \
	"i32 cc_magsize; i32 cc_flags; #" cpu "\n"                                                                                             \
	"vmem_kstat vmem_kstat_t = u64 vk_mem_inuse; u64 vk_mem_import; u64 vk_mem_total; "                                                    \
	"u32 vk_source_id; u64 vk_alloc; u64 vk_free; u64 vk_wait; u64 vk_fail; u64 vk_lookup; "                                               \
	"u64 vk_search;\n" VMEM_SEG(thread) "vmem vmem_t = char vm_name[30]; u64 vm_cv[" cond "]; u64 vm_lock[" mutex "]; " VMEM_TAIL(         \
		"*void vm_source_alloc; *void vm_source_free; *vmem vm_source; *vmem vm_next; "                                                \
		"long vm_nsegfree; ") "umem_cache umem_cache_t = u64 cache_slab_create; u64 cache_slab_destroy; "                              \
				      "u64 cache_slab_alloc; u64 cache_slab_free; u64 cache_alloc_fail; u64 cache_buftotal; "                  \
				      "u64 cache_bufmax; u64 cache_rescale; u64 cache_lookup_depth; u64 cache_depot_contention; "              \
				      "u64 cache_depot_contention_prev; char cache_name[32]; ulong cache_bufsize; "                            \
				      "ulong cache_align; *void cache_constructor; *void cache_destructor; "                                   \
				      "*void cache_reclaim; *void cache_private; *vmem cache_arena; i32 cache_cflags; "                        \
				      "i32 cache_flags; u32 cache_uflags; u32 cache_mtbf; *umem_cache cache_next; "                            \
				      "*umem_cache cache_prev; *umem_cache cache_unext; *umem_cache cache_uprev; "                             \
				      "u32 cache_cpu_mask; u64 cache_lock[" mutex                                                              \
				      "]; ulong cache_chunksize; "                                                                             \
				      "ulong cache_slabsize; " CACHE_GEOMETRY(                                                                 \
					      "umem") "*umem_slab cache_freelist; =umem_slab cache_nullslab; *umem_cache cache_bufctl_cache; " \
						      "**umem_bufctl cache_hash_table; u64 cache_depot_lock[" mutex                            \
						      "]; "                                                                                    \
						      "*umem_magtype cache_magtype; =umem_maglist cache_full; =umem_maglist cache_empty; "     \
						      "=umem_cpu_cache cache_cpu[1];\n"                                                        \
						      "umem_cpu_log_header umem_cpu_log_header_t = u64 clh_lock[" mutex                        \
						      "]; *void clh_current; "                                                                 \
						      "ulong clh_avail; i32 clh_chunk; i32 clh_hits; #" log                                    \
						      "\n"                                                                                     \
						      "umem_log_header umem_log_header_t = u64 lh_lock[" mutex                                 \
						      "]; *void lh_base; "                                                                     \
						      "*i32 lh_free; ulong lh_chunksize; i32 lh_nchunks; i32 lh_head; i32 lh_tail; "           \
						      "i32 lh_hits; =umem_cpu_log_header lh_cpu[1];\n"

const char wh_profile_umem[] = UMEM("3", "2", "64/64", "64/64", "u32");
/* glibc: mutex 40, cond 48 bytes, thread_t a word, per-CPU structs padded to 128. */
const char wh_profile_umem_portable[] = UMEM("5", "6", "128/128", "128/128", "ulong");
