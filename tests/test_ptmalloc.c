/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * glibc's malloc in every layout that releases 2.17 to 2.42 and both word sizes have, made up from a table:
 * which members malloc_state has, how the tcache counts, whether links are mangled.  Each core holds blocks
 * that are held, lost, in bins, in tcache and in fastbins; then damage.  The writer shares no layout code
 * with the reader.
 */
#include <check.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/target/target_user.h"

enum tcache { TC_NONE, TC_U8, TC_U16, TC_SLOTS };

struct spec {
	const char *release;
	unsigned int word, align;
	bool have_fastchunks, attached_threads, mangled;
	enum tcache tcache;
	unsigned int heap_header; /* in words */
	bool fastbins;
};

static const struct spec specs[] = {
	{"2.17", 8, 16, false, false, false, TC_NONE, 4, true},
	{"2.23", 8, 16, false, true, false, TC_NONE, 4, true},
	{"2.26", 8, 16, false, true, false, TC_U8, 4, true},
	{"2.28", 8, 16, true, true, false, TC_U8, 4, true},
	{"2.31", 8, 16, true, true, false, TC_U16, 4, true},
	{"2.32", 8, 16, true, true, true, TC_U16, 4, true},
	{"2.36", 8, 16, true, true, true, TC_U16, 6, true},
	{"2.42", 8, 16, true, true, true, TC_SLOTS, 6, true},
	{"no fastbins", 8, 16, false, true, true, TC_SLOTS, 6, false},
	{"2.17 i386", 4, 8, false, false, false, TC_NONE, 4, true},
	{"2.28 i386", 4, 16, true, true, false, TC_U8, 4, true},
	{"2.36 i386", 4, 16, true, true, true, TC_U16, 8, true},
};

#define DATA	   0x10000000u /* where the arena lies */
#define HEAP	   0x20000000u
#define THREAD	   0x40000000u /* a heap of another arena */
#define ROOTS	   0x50000000u
#define SEG_SIZE   0x21000u
#define N_SEGS	   4
#define BLOCKS	   24 /* of each size */
#define MAX_ROWS   4096
#define SMALL_SIZE 4

struct world {
	const struct spec *s;
	uint8_t *mem[N_SEGS];
	uint64_t lost[MAX_ROWS], held[MAX_ROWS], freed[MAX_ROWS];
	size_t n_lost, n_held, n_freed;
	uint64_t next_root;
	uint64_t tcache_heads[64], fast_heads[10], arena[2], bins[2];
	unsigned int tcache_counts[64];
};

static const uint32_t seg_addr[N_SEGS] = {DATA, HEAP, THREAD, ROOTS};

static uint8_t *at(struct world *w, uint64_t addr)
{
	for (int i = 0; i < N_SEGS; i++)
		if (addr >= seg_addr[i] && addr < seg_addr[i] + SEG_SIZE)
			return w->mem[i] + (addr - seg_addr[i]);
	ck_abort_msg("0x%llx is nowhere", (unsigned long long)addr);
	return NULL;
}

static void put(struct world *w, uint64_t addr, uint64_t v, unsigned int size)
{
	memcpy(at(w, addr), &v, size); /* little-endian host and target */
}

static void put_word(struct world *w, uint64_t addr, uint64_t v)
{
	put(w, addr, v, w->s->word);
}

static uint64_t link_of(const struct world *w, uint64_t where, uint64_t to)
{
	return w->s->mangled ? (where >> 12) ^ to : to;
}

/* ---- malloc_state ---- */

static unsigned int n_fast(const struct spec *s)
{
	return !s->fastbins ? 0 : s->word == 8 ? 10 : 11;
}

/* Distance from malloc_state to bins[0]. */
static unsigned int front(const struct spec *s)
{
	unsigned int at_fast = 8 + (s->have_fastchunks ? (s->word == 8 ? 8 : 4) : 0);

	return at_fast + n_fast(s) * s->word + 2 * s->word;
}

static uint64_t state_size(const struct spec *s)
{
	return front(s) + 254u * s->word + 16 + (s->attached_threads ? 5u : 4u) * s->word;
}

static void write_arena(struct world *w, int i, uint64_t top, uint64_t unsorted_first,
			uint64_t unsorted_last, uint64_t system_mem)
{
	const struct spec *s = w->s;
	uint64_t a = w->arena[i], bins = a + front(s), tail = bins + 254ull * s->word + 16;
	unsigned int at_fast = front(s) - (n_fast(s) + 2) * s->word;

	w->bins[i] = bins;
	for (unsigned int k = 0; k < n_fast(s); k++)
		put_word(w, a + at_fast + k * s->word, i == 0 && k < 10 ? w->fast_heads[k] : 0);
	put_word(w, bins - 2 * s->word, top);
	for (unsigned int k = 0; k < 127; k++) {
		uint64_t pair = bins + 2ull * k * s->word, bin = pair - 2 * s->word;

		put_word(w, pair, k == 0 && unsorted_first ? unsorted_first : bin);
		put_word(w, pair + s->word, k == 0 && unsorted_last ? unsorted_last : bin);
	}
	put_word(w, tail, w->arena[1 - i]);
	if (s->attached_threads)
		put_word(w, tail + 2 * s->word, 1);
	tail += (s->attached_threads ? 3u : 2u) * s->word;
	put_word(w, tail, system_mem);
	put_word(w, tail + s->word, system_mem);
}

/* ---- chunks ---- */

static uint64_t aligned_chunk(const struct spec *s, uint64_t addr)
{
	return ((addr + 2 * s->word + s->align - 1) & ~(uint64_t)(s->align - 1)) - 2 * s->word;
}

static void write_chunk(struct world *w, uint64_t c, uint64_t size, unsigned int flags)
{
	put_word(w, c + w->s->word, size | flags);
}

static uint64_t tcache_struct_size(const struct spec *s)
{
	unsigned int bins = s->tcache == TC_SLOTS ? 76 : 64, count = s->tcache == TC_U8 ? 1 : 2;
	uint64_t need = bins * (count + s->word) + s->word;

	return (need + s->align - 1) & ~(uint64_t)(s->align - 1);
}

static void to_tcache(struct world *w, uint64_t user, uint64_t size)
{
	unsigned int bin = (unsigned int)((size - 4 * w->s->word) / w->s->align);

	put_word(w, user, link_of(w, user, w->tcache_heads[bin]));
	put_word(w, user + w->s->word, 0x5a5a5a5a);
	w->tcache_heads[bin] = user;
	w->tcache_counts[bin]++;
	w->freed[w->n_freed++] = user;
}

static void to_fastbin(struct world *w, uint64_t chunk, uint64_t size)
{
	unsigned int bin = (unsigned int)(size >> (w->s->word == 8 ? 4 : 3)) - 2;
	uint64_t user = chunk + 2 * w->s->word;

	put_word(w, user, link_of(w, user, w->fast_heads[bin]));
	w->fast_heads[bin] = chunk;
	w->freed[w->n_freed++] = user;
}

static void write_tcache(struct world *w, uint64_t user)
{
	const struct spec *s = w->s;
	unsigned int bins = s->tcache == TC_SLOTS ? 76 : 64, count = s->tcache == TC_U8 ? 1 : 2;

	for (unsigned int i = 0; i < bins; i++) {
		unsigned int n = i < 64 ? w->tcache_counts[i] : 0;

		put(w, user + i * count, s->tcache == TC_SLOTS ? 16 - n : n, count);
		put_word(w, user + bins * count + i * s->word, i < 64 ? w->tcache_heads[i] : 0);
	}
}

static void hold(struct world *w, uint64_t user)
{
	put_word(w, w->next_root, user);
	w->next_root += w->s->word;
	w->held[w->n_held++] = user;
}

/* Fills [from, to) with blocks of all fates; returns the top chunk.  A freed one is the whole unsorted bin. */
static uint64_t fill(struct world *w, uint64_t c, unsigned int non_main, uint64_t *ret_free)
{
	static const unsigned int units[SMALL_SIZE] = {2, 3, 5, 20};
	const struct spec *s = w->s;
	unsigned int prev = 1;

	*ret_free = 0;
	for (unsigned int k = 0; k < SMALL_SIZE; k++) {
		uint64_t size = units[k] * 2u * s->word + 2u * s->word;

		size = (size + s->align - 1) & ~(uint64_t)(s->align - 1);
		for (unsigned int i = 0; i < BLOCKS; i++, c += size) {
			uint64_t user = c + 2 * s->word;

			write_chunk(w, c, size, prev | non_main);
			prev = 1;
			if (i == 5 && k == 3) {
				*ret_free = c;
				prev = 0;
				put_word(w, c + size, size);
				w->freed[w->n_freed++] = user;
			} else if (i % 6 == 1 && s->tcache && !non_main) {
				to_tcache(w, user, size);
			} else if (i % 6 == 2 && s->fastbins && k < 2 && !non_main) {
				to_fastbin(w, c, size);
			} else if (i % 6 == 3) {
				w->lost[w->n_lost++] = user;
			} else {
				hold(w, user);
			}
		}
	}
	return c;
}

static void finish_heap(struct world *w, int i, uint64_t top, uint64_t end, uint64_t free_chunk,
			uint64_t system_mem)
{
	write_chunk(w, top, end - top, 1);
	write_arena(w, i, top, free_chunk, free_chunk, system_mem);
	if (!free_chunk)
		return;
	put_word(w, free_chunk + 2 * w->s->word, w->bins[i] - 2 * w->s->word);
	put_word(w, free_chunk + 3 * w->s->word, w->bins[i] - 2 * w->s->word);
}

static void build_world(struct world *w, const struct spec *s)
{
	uint64_t c, free_chunk, tcache = 0;

	memset(w, 0, sizeof(*w));
	w->s = s;
	for (int i = 0; i < N_SEGS; i++)
		w->mem[i] = calloc(1, SEG_SIZE);
	w->next_root = ROOTS + 0x100;
	w->arena[0] = DATA + 0xc60;
	w->arena[1] = THREAD + s->heap_header * s->word;

	c = aligned_chunk(s, HEAP);
	if (s->tcache) {
		tcache = c + 2 * s->word;
		write_chunk(w, c, tcache_struct_size(s), 1);
		hold(w, tcache);
		c += tcache_struct_size(s);
	}
	c = fill(w, c, 0, &free_chunk);
	if (s->tcache)
		write_tcache(w, tcache);
	finish_heap(w, 0, c, HEAP + SEG_SIZE, free_chunk, SEG_SIZE);

	put_word(w, THREAD, w->arena[1]);
	put_word(w, THREAD + 2 * s->word, SEG_SIZE);
	put_word(w, THREAD + 3 * s->word, SEG_SIZE);
	c = fill(w, aligned_chunk(s, w->arena[1] + state_size(s)), 4, &free_chunk);
	finish_heap(w, 1, c, THREAD + SEG_SIZE, free_chunk, SEG_SIZE);
}

/* ---- the core ---- */

static size_t make_core(const struct world *w, uint8_t **ret)
{
	size_t size = 4096 + (size_t)N_SEGS * SEG_SIZE;
	uint8_t *b = calloc(1, size);

	if (w->s->word == 8) {
		Elf64_Ehdr h = {.e_type = ET_CORE,
				.e_machine = EM_X86_64,
				.e_version = 1,
				.e_phoff = 64,
				.e_ehsize = 64,
				.e_phentsize = 56,
				.e_phnum = N_SEGS};

		memcpy(h.e_ident, "\177ELF\2\1\1", 7);
		memcpy(b, &h, sizeof(h));
		for (int i = 0; i < N_SEGS; i++) {
			Elf64_Phdr p = {PT_LOAD,     PF_R | PF_W, 4096 + (uint64_t)i * SEG_SIZE,
					seg_addr[i], 0,		  SEG_SIZE,
					SEG_SIZE,    4096};
			memcpy(b + 64 + i * 56, &p, sizeof(p));
		}
	} else {
		Elf32_Ehdr h = {.e_type = ET_CORE,
				.e_machine = EM_386,
				.e_version = 1,
				.e_phoff = 52,
				.e_ehsize = 52,
				.e_phentsize = 32,
				.e_phnum = N_SEGS};

		memcpy(h.e_ident, "\177ELF\1\1\1", 7);
		memcpy(b, &h, sizeof(h));
		for (int i = 0; i < N_SEGS; i++) {
			Elf32_Phdr p = {PT_LOAD,     4096 + (uint32_t)i * SEG_SIZE,
					seg_addr[i], 0,
					SEG_SIZE,    SEG_SIZE,
					PF_R | PF_W, 4096};
			memcpy(b + 52 + i * 32, &p, sizeof(p));
		}
	}
	for (int i = 0; i < N_SEGS; i++)
		memcpy(b + 4096 + (size_t)i * SEG_SIZE, w->mem[i], SEG_SIZE);
	*ret = b;
	return size;
}

struct opened {
	struct wh_ctx *ctx;
	struct wh_dump *dump;
	struct wh_target *target;
	const struct wh_marks *marks;
	uint8_t *bytes;
};

static void ok(struct wh_err *e)
{
	char *text = e ? wh_err_text(e) : NULL;

	ck_assert_msg(!e, "%s", text);
}

static void open_world(struct world *w, struct opened *o)
{
	static const struct wh_target_opts opts;
	size_t n = make_core(w, &o->bytes);

	ok(wh_ctx_create(1, &o->ctx));
	ok(wh_dump_open_mem(o->ctx, o->bytes, n, &o->dump));
	ok(wh_target_open(o->ctx, o->dump, &opts, &o->target));
	ok(wh_target_mark(o->target, &o->marks));
}

static void close_world(struct world *w, struct opened *o)
{
	wh_target_close(o->target);
	wh_dump_close(o->dump);
	wh_ctx_destroy(o->ctx);
	free(o->bytes);
	for (int i = 0; i < N_SEGS; i++)
		free(w->mem[i]);
}

static enum wh_verdict verdict_of(const struct opened *o, uint64_t user)
{
	uint32_t row = wh_buftab_find(o->target->buftab, user);

	if (row == WH_ROW_NONE || wh_buftab_addr(o->target->buftab, row) != user)
		return WH_VERDICT_COUNT;
	return wh_marks_verdict(o->marks, row);
}

static void check_totals(const struct opened *o)
{
	struct wh_user *u = wh_target_get_user(o->target);
	struct wh_heap_totals t;

	ck_assert_uint_eq(u->heaps.n, 1);
	u->heaps.v[0].ops->totals(u->heaps.v[0].priv, &t);
	ck_assert_uint_eq(t.bytes,
			  t.used_bytes + t.free_bytes + t.overhead_bytes + t.damaged_bytes);
}

START_TEST(every_layout)
{
	static struct world w;
	struct opened o;
	size_t n;

	build_world(&w, &specs[_i]);
	open_world(&w, &o);
	for (size_t i = 0; i < w.n_lost; i++)
		ck_assert_msg(verdict_of(&o, w.lost[i]) == WH_VERDICT_DEFINITE, "%s: lost %llx",
			      w.s->release, (unsigned long long)w.lost[i]);
	for (size_t i = 0; i < w.n_held; i++)
		ck_assert_msg(verdict_of(&o, w.held[i]) == WH_VERDICT_REACHABLE, "%s: held %llx",
			      w.s->release, (unsigned long long)w.held[i]);
	for (size_t i = 0; i < w.n_freed; i++)
		ck_assert_msg(verdict_of(&o, w.freed[i]) >= WH_VERDICT_NONE, "%s: freed %llx",
			      w.s->release, (unsigned long long)w.freed[i]);
	wh_marks_leaks(o.marks, &n);
	ck_assert_uint_eq(n, w.n_lost);
	check_totals(&o);
	close_world(&w, &o);
}
END_TEST

/* One destroyed header loses that chunk, not the heap; what the gap holds is held. */
START_TEST(damage_is_contained)
{
	static struct world w;
	struct opened o;
	uint64_t victim;
	size_t n, right = 0;

	build_world(&w, &specs[_i]);
	victim = w.lost[w.n_lost / 4];
	put_word(&w, victim - w.s->word, 0xfffffff3u);
	open_world(&w, &o);
	for (size_t i = 0; i < w.n_lost; i++)
		right += verdict_of(&o, w.lost[i]) == WH_VERDICT_DEFINITE;
	ck_assert_uint_ge(right, w.n_lost - 3);
	for (size_t i = 0; i < w.n_held; i++)
		ck_assert(verdict_of(&o, w.held[i]) == WH_VERDICT_REACHABLE ||
			  verdict_of(&o, w.held[i]) == WH_VERDICT_COUNT);
	wh_marks_leaks(o.marks, &n);
	ck_assert_uint_le(n, w.n_lost + 1);
	check_totals(&o);
	close_world(&w, &o);
}
END_TEST

/* A few destroyed bins, a cut ring, a tcache list that loops: found and survived. */
START_TEST(damaged_arena)
{
	static struct world w;
	struct opened o;
	size_t right = 0;

	build_world(&w, &specs[_i]);
	for (unsigned int k = 40; k < 44; k++)
		put_word(&w, w.bins[0] + 2ull * k * w.s->word, 0x41414141);
	if (w.s->tcache) {
		uint64_t head = w.tcache_heads[1];

		if (head)
			put_word(&w, head, link_of(&w, head, head));
	}
	open_world(&w, &o);
	for (size_t i = 0; i < w.n_lost; i++)
		right += verdict_of(&o, w.lost[i]) == WH_VERDICT_DEFINITE;
	ck_assert_uint_eq(right, w.n_lost);
	close_world(&w, &o);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptmalloc");
	TCase *t = tcase_create("layouts");
	SRunner *r;
	int failed, n = (int)(sizeof(specs) / sizeof(specs[0]));

	tcase_add_loop_test(t, every_layout, 0, n);
	tcase_add_loop_test(t, damage_is_contained, 0, n);
	tcase_add_loop_test(t, damaged_arena, 0, n);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
