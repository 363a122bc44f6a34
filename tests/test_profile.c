/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The declarations, laid out for each ABI, against offsets that were measured with a compiler. */
#include <stdlib.h>
#include <string.h>

#include "dwarf/type_profile.h"
#include "tests/gen/expect.h"

enum abi { LP64, I386, SPARC };
static const struct {
	struct wh_abi abi;
	unsigned int u64_align;
} abis[] = {{{false, 8}, 8}, {{false, 4}, 4}, {{true, 4}, 8}};

struct want {
	enum abi abi;
	const char *type, *member; /* NULL: the size */
	uint64_t offset;
};

static uint64_t offset_of(struct wh_profile *p, const struct want *w)
{
	const struct wh_type_provider_ops *ops = &wh_profile_provider;
	struct wh_type_info info;
	struct wh_member m;
	uint64_t id;

	ck_assert_msg(!ops->find(p, w->type, 0, &id), "no type %s", w->type);
	ck_assert(!ops->info(p, id, &info));
	if (!w->member)
		return info.size;
	for (size_t i = 0; !ops->member(p, id, i, &m); i++)
		if (!strcmp(m.name, w->member))
			return m.offset;
	ck_abort_msg("no %s.%s", w->type, w->member);
	return 0;
}

static void check(const char *text, const struct want *w, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct wh_profile *p;
		uint64_t got;

		ck_assert(
			!wh_profile_create(abis[w[i].abi].abi, abis[w[i].abi].u64_align, text, &p));
		got = offset_of(p, &w[i]);
		ck_assert_msg(got == w[i].offset, "%s.%s: got %llu, want %llu (abi %d)", w[i].type,
			      w[i].member ? w[i].member : "sizeof", (unsigned long long)got,
			      (unsigned long long)w[i].offset, w[i].abi);
		wh_profile_destroy(p);
	}
}
#define CHECK(text, w) check(text, w, sizeof(w) / sizeof(*(w)))

START_TEST(test_kmem)
{
	static const struct want w[] = {
		{LP64, "kmem_bufctl", NULL, 24},
		{LP64, "kmem_bufctl_audit", NULL, 192},
		{LP64, "kmem_bufctl_audit", "bc_cache", 24},
		{LP64, "kmem_bufctl_audit", "bc_timestamp", 32},
		{LP64, "kmem_bufctl_audit", "bc_thread", 40},
		{LP64, "kmem_bufctl_audit", "bc_lastlog", 48},
		{LP64, "kmem_bufctl_audit", "bc_contents", 56},
		{LP64, "kmem_bufctl_audit", "bc_depth", 64},
		{LP64, "kmem_bufctl_audit", "bc_stack", 72},
		{LP64, "kmem_buftag", NULL, 24},
		{LP64, "kmem_buftag_lite", "bt_history", 24},
		{LP64, "kmem_slab", NULL, 72},
		{LP64, "kmem_slab", "slab_link", 16},
		{LP64, "kmem_slab", "slab_head", 40},
		{LP64, "kmem_slab", "slab_chunks", 56},
		{LP64, "kmem_slab", "slab_flags", 70},
		{LP64, "kmem_magtype", "mt_minbuf", 8},
		{LP64, "kmem_magtype", NULL, 32},
		{LP64, "kmem_cpu_cache", NULL, 64},
		{LP64, "kmem_cpu_cache", "cc_loaded", 24},
		{LP64, "kmem_cpu_cache", "cc_flags", 40},
		{LP64, "kmem_cpu_cache", "cc_rounds", 44},
		{LP64, "kmem_cpu_cache", "cc_dump_prounds", 52},
		{LP64, "kmem_maglist", "ml_alloc", 32},
		{LP64, "kmem_cache", "cache_name", 104},
		{LP64, "kmem_cache", "cache_bufsize", 136},
		{LP64, "kmem_cache", "cache_constructor", 152},
		{LP64, "kmem_cache", "cache_arena", 192},
		{LP64, "kmem_cache", "cache_flags", 204},
		{LP64, "kmem_cache", "cache_link", 224},
		{LP64, "kmem_cache", "cache_chunksize", 248},
		{LP64, "kmem_cache", "cache_buftag", 280},
		{LP64, "kmem_cache", "cache_hash_shift", 328},
		{LP64, "kmem_cache", "cache_complete_slabs", 344},
		{LP64, "kmem_cache", "cache_partial_slabs", 384},
		{LP64, "kmem_cache", "cache_hash_table", 440},
		{LP64, "kmem_cache", "cache_magtype", 464},
		{LP64, "kmem_cache", "cache_full", 472},
		{LP64, "kmem_cache", "cache_empty", 512},
		{LP64, "kmem_cache", "cache_cpu", 568},
		{LP64, "kmem_log_header", "lh_chunksize", 24},
		{LP64, "kmem_log_header", "lh_head", 36},
		{LP64, "kmem_log_header", "lh_cpu", 48},
		{LP64, "kmem_cpu_log_header", "clh_chunk", 24},
		{LP64, "vmem_seg", NULL, 232},
		{LP64, "vmem_seg", "vs_type", 48},
		{LP64, "vmem_seg", "vs_thread", 56},
		{LP64, "vmem_seg", "vs_stack", 72},
		{LP64, "vmem", NULL, 3640},
		{LP64, "vmem", "vm_quantum", 56},
		{LP64, "vmem", "vm_source", 96},
		{LP64, "vmem", "vm_next", 104},
		{LP64, "vmem", "vm_hash_table", 136},
		{LP64, "vmem", "vm_seg0", 168},
		{LP64, "vmem", "vm_rotor", 400},
		{LP64, "vmem", "vm_hash0", 632},
		{LP64, "vmem", "vm_freelist", 888},
		{LP64, "vmem", "vm_kstat", 2968},
		{LP64, "modctl", "mod_mp", 24},
		{LP64, "modctl", "mod_modname", 64},
		{LP64, "module", "shdrs", 72},
		{LP64, "module", "text_size", 128},
		{LP64, "module", "text", 144},
		{LP64, "module", "bss", 224},
		{LP64, "module", "ctfdata", 272},
		{LP64, "module", NULL, 376},
		{I386, "module", "shdrs", 56},
		{I386, "module", "text_size", 84},
		{I386, "module", "bss", 136},
		{I386, "module", "ctfdata", 160},
		{I386, "kmem_bufctl_audit", NULL, 100},
		{I386, "kmem_bufctl_audit", "bc_stack", 40},
		{I386, "kmem_buftag", NULL, 16},
	};

	/* Before 2008; those offsets from the declarations of 2005, by hand. */
	static const struct want old[] = {
		{LP64, "kmem_slab", NULL, 56},
		{LP64, "kmem_cpu_cache", "cc_rounds", 40},
		{LP64, "kmem_cpu_cache", "cc_flags", 52},
		{LP64, "kmem_cache", "cache_name", 88},
		{LP64, "kmem_cache", "cache_next", 200},
		{LP64, "kmem_cache", "cache_chunksize", 224},
		{LP64, "kmem_cache", "cache_freelist", 312},
		{LP64, "kmem_cache", "cache_hash_table", 384},
		{LP64, "kmem_cache", "cache_cpu", 504},
	};

	CHECK(wh_profile_kmem, w);
	CHECK(wh_profile_kmem_2005, old);
}
END_TEST

START_TEST(test_streams)
{
	static const struct want w[] = {
		{LP64, "ftstk", NULL, 128},
		{LP64, "ftevnt", NULL, 40},
		{LP64, "ftevnt", "evnt", 24},
		{LP64, "ftevnt", "stk", 32},
		{LP64, "ftblk", NULL, 376},
		{LP64, "ftblk", "ev", 16},
		{LP64, "fthdr", NULL, 408},
		{LP64, "fthdr", "first", 32},
		{LP64, "fthdr", "cpu_seqid", 24},
		{LP64, "msgb", NULL, 64},
		{LP64, "msgb", "b_datap", 40},
		{LP64, "msgb", "b_flag", 50},
		{LP64, "datab", NULL, 112},
		{LP64, "datab", "db_mblk", 40},
		{LP64, "datab", "db_fthdr", 96},
		{LP64, "queue", NULL, 248},
		{LP64, "queue", "q_stream", 112},
		{LP64, "qinit", "qi_minfo", 40},
		{LP64, "module_info", "mi_idname", 8},
		{I386, "ftstk", NULL, 64},
		{I386, "ftevnt", NULL, 24},
		{I386, "ftblk", NULL, 224},
		{I386, "fthdr", NULL, 240},
		{I386, "msgb", NULL, 32},
		{I386, "msgb", "b_queue", 28},
		{I386, "datab", NULL, 64},
		{I386, "datab", "db_fthdr", 56},
		{I386, "qinit", "qi_minfo", 20},
		{SPARC, "ftevnt", NULL, 24},
		{SPARC, "ftblk", NULL, 224},
		{SPARC, "fthdr", NULL, 240},
		{SPARC, "fthdr", "first", 16},
		{SPARC, "ftevnt", "stk", 20},
	};
	static const struct want old[] = {
		{LP64, "ftevnt", NULL, 24},  {LP64, "ftblk", NULL, 232}, {LP64, "fthdr", NULL, 264},
		{I386, "ftevnt", NULL, 16},  {I386, "ftblk", NULL, 152}, {I386, "fthdr", NULL, 168},
		{SPARC, "fthdr", NULL, 168},
	};

	CHECK(wh_profile_streams, w);
	CHECK(wh_profile_streams_old, old);
}
END_TEST

START_TEST(test_umem)
{
	static const struct want w[] = {
		{LP64, "umem_bufctl_audit", NULL, 192},
		{LP64, "umem_slab", NULL, 56},
		{LP64, "umem_slab", "slab_head", 32},
		{LP64, "umem_cpu_cache", NULL, 64},
		{LP64, "umem_cpu_cache", "cc_loaded", 32},
		{LP64, "umem_cpu_cache", "cc_flags", 60},
		{LP64, "umem_cache", "cache_name", 88},
		{LP64, "umem_cache", "cache_arena", 168},
		{LP64, "umem_cache", "cache_next", 192},
		{LP64, "umem_cache", "cache_cpu_mask", 224},
		{LP64, "umem_cache", "cache_chunksize", 256},
		{LP64, "umem_cache", "cache_nullslab", 352},
		{LP64, "umem_cache", "cache_hash_table", 416},
		{LP64, "umem_cache", "cache_full", 456},
		{LP64, "umem_cache", "cache_cpu", 536},
		{LP64, "umem_log_header", "lh_cpu", 64},
		{LP64, "umem_cpu_log_header", "clh_hits", 44},
		{LP64, "vmem_seg", NULL, 224},
		{LP64, "vmem_seg", "vs_stack", 64},
		{LP64, "vmem", "vm_source", 120},
		{LP64, "vmem", "vm_seg0", 184},
		{LP64, "vmem", "vm_kstat", 2968},
		{I386, "umem_bufctl", NULL, 12},
		{I386, "umem_slab", NULL, 28},
		{I386, "umem_cpu_cache", "cc_magsize", 48},
		{I386, "umem_cache", "cache_chunksize", 208},
		{I386, "umem_cache", "cache_bufctl_cache", 284},
		{I386, "umem_cache", "cache_magtype", 316},
		{I386, "umem_cache", "cache_full", 320},
		{I386, "umem_cache", "cache_cpu", 368},
		{I386, "umem_log_header", "lh_cpu", 52},
		{I386, "vmem_seg", NULL, 120},
		{I386, "vmem", "vm_seg0", 136},
		{I386, "vmem", "vm_kstat", 1032},
		{I386, "vmem_kstat", "vk_alloc", 28},
		{SPARC, "umem_cache", "cache_depot_lock", 296},
		{SPARC, "umem_cache", "cache_magtype", 320},
		{SPARC, "umem_cache", "cache_full", 328},
		{SPARC, "umem_cache", "cache_empty", 352},
		{SPARC, "umem_cache", "cache_cpu", 376},
		{SPARC, "umem_log_header", "lh_cpu", 56},
		{SPARC, "vmem_kstat", "vk_alloc", 32},
	};
	static const struct want portable[] = {
		{LP64, "umem_bufctl_audit", "bc_thread", 40},
		{LP64, "umem_cache", "cache_lock", 232},
		{LP64, "umem_cache", "cache_chunksize", 272},
		{LP64, "umem_cache", "cache_nullslab", 368},
		{LP64, "umem_cache", "cache_hash_table", 432},
		{LP64, "umem_cache", "cache_magtype", 480},
		{LP64, "umem_cache", "cache_cpu", 568},
		{LP64, "umem_cpu_cache", NULL, 128},
		{LP64, "vmem", "vm_seg0", 232},
		{LP64, "vmem", "vm_next", 176},
		{LP64, "vmem_seg", NULL, 232},
	};

	CHECK(wh_profile_umem, w);
	CHECK(wh_profile_umem_portable, portable);
}
END_TEST

START_TEST(test_bad_text)
{
	static const char *const bad[] = {"a", "a = q b;\n", "a = u8;\n", "a = =nope x;\n"};
	struct wh_profile *p;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct wh_err *e = wh_profile_create(abis[0].abi, 8, bad[i], &p);

		ck_assert_msg(wh_err_is(e, WH_ERR_INTERNAL), "accepted \"%s\"", bad[i]);
		wh_err_destroy(e);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("profile");
	TCase *tc = tcase_create("offsets");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, test_kmem);
	tcase_add_test(tc, test_streams);
	tcase_add_test(tc, test_umem);
	tcase_add_test(tc, test_bad_text);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
