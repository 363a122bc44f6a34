/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fast marker against a slow, obvious one, on random heaps in an in-memory core: the same rows
 * reached, the same heads, for any number of threads, with a starved edge budget, and in parents mode.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/graph/mark.h"
#include "analyzer/graph/plan.h"
#include "tests/gen/expect.h"

#define HEAP	   0x7f0000000000ull
#define HEAP_BYTES (1u << 20)
#define ROOTS	   0x560000000000ull
#define ROOT_BYTES 8192u
#define FILE_HEAP  4096u
#define FILE_ROOTS (FILE_HEAP + HEAP_BYTES)
#define FILE_BYTES (FILE_ROOTS + ROOT_BYTES)
#define ROWS_MAX   20000

struct world {
	uint8_t *file;
	struct {
		uint64_t addr, size;
		bool node, free, noscan;
	} row[ROWS_MAX];
	size_t n;
	bool start_pointers;
};

static uint64_t rnd(uint64_t *s)
{
	*s = *s * 6364136223846793005ull + 1442695040888963407ull;
	return *s >> 33;
}

static void core_headers(uint8_t *f, uint64_t heap_bytes)
{
	Elf64_Ehdr eh = {.e_type = ET_CORE,
			 .e_machine = EM_X86_64,
			 .e_version = 1,
			 .e_phoff = 64,
			 .e_ehsize = 64,
			 .e_phentsize = 56,
			 .e_phnum = 2};
	Elf64_Phdr ph[2] = {
		{.p_type = PT_LOAD,
		 .p_flags = PF_R | PF_W,
		 .p_offset = FILE_HEAP,
		 .p_vaddr = HEAP,
		 .p_filesz = heap_bytes,
		 .p_memsz = heap_bytes,
		 .p_align = 4096},
		{.p_type = PT_LOAD,
		 .p_flags = PF_R | PF_W,
		 .p_offset = FILE_HEAP + heap_bytes,
		 .p_vaddr = ROOTS,
		 .p_filesz = ROOT_BYTES,
		 .p_memsz = ROOT_BYTES,
		 .p_align = 4096},
	};

	memcpy(eh.e_ident, "\177ELF\2\1\1", 7);
	memcpy(f, &eh, sizeof(eh));
	memcpy(f + 64, ph, sizeof(ph));
}

/* Rows of all sizes; words that are nothing, starts, insides, one-past-ends and tagged pointers. */
static struct world *world_make(uint64_t seed, size_t max_rows, unsigned int density)
{
	struct world *w = calloc(1, sizeof(*w));
	uint64_t at = HEAP;

	w->file = calloc(1, FILE_BYTES);
	core_headers(w->file, HEAP_BYTES);
	while (w->n < max_rows && w->n < ROWS_MAX) {
		uint64_t size = 8 + rnd(&seed) % (rnd(&seed) % 40 ? 200 : 9000);

		at += (rnd(&seed) % 4) * 8;
		if (at + size > HEAP + HEAP_BYTES)
			break;
		w->row[w->n].addr = at;
		w->row[w->n].size = size;
		w->row[w->n].free = rnd(&seed) % 10 == 0;
		w->row[w->n].node = rnd(&seed) % 12 == 0;
		w->row[w->n].noscan = rnd(&seed) % 20 == 0;
		w->n++;
		at = (at + size + 7) & ~7ull;
	}
	for (size_t i = FILE_HEAP; i < FILE_BYTES; i += 8) {
		size_t k = rnd(&seed) % w->n;
		uint64_t v = 0, r = rnd(&seed) % 8;

		if (rnd(&seed) % (i >= FILE_ROOTS ? 60 : density))
			continue;
		v = w->row[k].addr;
		if (r == 0)
			v += w->row[k].size; /* one past the end */
		else if (r < 3)
			v += rnd(&seed) % w->row[k].size;
		memcpy(w->file + i, &v, 8);
	}
	return w;
}

static void world_free(struct world *w)
{
	free(w->file);
	free(w);
}

static uint64_t word_at(const struct world *w, uint64_t addr)
{
	uint64_t v;

	memcpy(&v,
	       w->file + (addr >= HEAP ? FILE_HEAP + (addr - HEAP) : FILE_ROOTS + (addr - ROOTS)),
	       8);
	return v;
}

static size_t slow_find(const struct world *w, uint64_t v)
{
	for (size_t i = 0; i < w->n; i++)
		if (v >= w->row[i].addr && v < w->row[i].addr + w->row[i].size)
			return i;
	return SIZE_MAX;
}

struct slow {
	uint8_t level[ROWS_MAX];
	uint32_t head[ROWS_MAX];
};

static bool judged(const struct world *w, size_t i)
{
	return !w->row[i].free;
}

static void slow_mark(const struct world *w, struct slow *s)
{
	bool changed = true;

	memset(s->level, 0, sizeof(s->level));
	for (uint64_t a = ROOTS; a < ROOTS + ROOT_BYTES; a += 8) {
		size_t k = slow_find(w, word_at(w, a));

		if (k != SIZE_MAX) {
			uint8_t l = w->start_pointers && word_at(w, a) != w->row[k].addr ? 1 : 2;

			s->level[k] = s->level[k] > l ? s->level[k] : l;
		}
	}
	while (changed) {
		changed = false;
		for (size_t i = 0; i < w->n; i++) {
			if (!s->level[i] || w->row[i].free || w->row[i].noscan)
				continue;
			for (uint64_t a = w->row[i].addr; a + 8 <= w->row[i].addr + w->row[i].size;
			     a += 8) {
				size_t k = slow_find(w, word_at(w, a));
				uint8_t l;

				if (k == SIZE_MAX || k == i)
					continue;
				l = w->start_pointers && word_at(w, a) != w->row[k].addr ? 1 : 2;
				l = l < s->level[i] ? l : s->level[i];
				if (s->level[k] < l) {
					s->level[k] = l;
					changed = true;
				}
			}
		}
	}
}

/* Should @i be the head of its cycle rather than @j?  Owners have many holders, and few are like them. */
static bool slow_above(const struct world *w, const uint8_t *edge, const uint8_t *reach, size_t i,
		       size_t j)
{
	size_t n = w->n, pair[2] = {i, j};
	double score[2];

	for (int p = 0; p < 2; p++) {
		size_t v = pair[p], holders = 0, targets = 0, same = 1;

		for (size_t k = 0; k < n; k++) {
			bool cycle = reach[v * n + k] && reach[k * n + v];

			targets += edge[v * n + k];
			holders += cycle && edge[k * n + v];
			same += cycle && k != v && w->row[k].size == w->row[v].size &&
				w->row[k].node == w->row[v].node;
		}
		score[p] = ((double)(2 * holders + targets) - 3) / (double)same;
	}
	if (score[0] != score[1])
		return score[0] > score[1];
	return w->row[i].size != w->row[j].size ? w->row[i].size > w->row[j].size : i < j;
}

/* reach[i * n + k]: a chain of unmarked rows leads from i to k. */
static void slow_heads(const struct world *w, struct slow *s)
{
	size_t n = w->n;
	uint8_t *reach = calloc(n, n), *edge = calloc(n, n);
	bool changed = true;

	for (size_t i = 0; i < n; i++)
		for (uint64_t a = w->row[i].addr;
		     !s->level[i] && judged(w, i) && !w->row[i].noscan &&
		     a + 8 <= w->row[i].addr + w->row[i].size;
		     a += 8) {
			size_t k = slow_find(w, word_at(w, a));

			if (k != SIZE_MAX && k != i && !s->level[k] && judged(w, k))
				edge[i * n + k] = reach[i * n + k] = 1;
		}
	while (changed) {
		changed = false;
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; k < n; k++)
				for (size_t j = 0; reach[i * n + k] && j < n; j++)
					if (reach[k * n + j] && !reach[i * n + j])
						reach[i * n + j] = changed = true;
	}
	for (size_t k = 0; k < n; k++) {
		s->head[k] = UINT32_MAX;
		if (s->level[k] || !judged(w, k))
			continue;
		/* A head: a reported row that no reported row outside its own cycle reaches; the best of it. */
		for (size_t i = 0; i < n; i++) {
			bool head = !w->row[i].node && judged(w, i) && !s->level[i] &&
				    (i == k || reach[i * n + k]);

			for (size_t j = 0; head && j < n; j++)
				if (reach[j * n + i] && !w->row[j].node &&
				    (!reach[i * n + j] ||
				     (j != i && slow_above(w, edge, reach, j, i))))
					head = false;
			if (head && i < s->head[k])
				s->head[k] = (uint32_t)i;
		}
	}
	free(edge);
	free(reach);
}

static void plan_make(struct wh_plan *p)
{
	uint16_t kind;

	ck_assert_ptr_null(wh_plan_add_kind(p, "data", &kind));
	ck_assert_ptr_null(wh_plan_add_root(p, kind, WH_VIRT, ROOTS, ROOTS, ROOT_BYTES));
	ck_assert_ptr_null(wh_plan_add_node(p, WH_VIRT, HEAP, HEAP, HEAP_BYTES));
}

static struct wh_buftab *table_make(struct wh_ctx *ctx, const struct world *w)
{
	struct wh_buftab *t;
	uint16_t cls;

	ck_assert_ptr_null(wh_buftab_create(ctx, &t));
	for (uint32_t flags = 0; flags < 4; flags++) {
		struct wh_class c = {.name = "c",
				     .model = "test",
				     .flags = (flags & 1 ? WH_CLASS_NOSCAN : 0) |
					      (flags & 2 ? WH_CLASS_NOREPORT : 0)};

		ck_assert_ptr_null(wh_buftab_add_class(t, &c, &cls));
	}
	for (size_t i = 0; i < w->n; i++)
		ck_assert_ptr_null(wh_buftab_add(t,
						 (uint16_t)(w->row[i].noscan | w->row[i].node << 1),
						 w->row[i].addr, w->row[i].size, WH_BUF_ALLOCATED));
	ck_assert_ptr_null(wh_buftab_freeze(t));
	for (size_t i = 0; i < w->n; i++)
		if (w->row[i].free)
			ck_assert(wh_buftab_set_state(t, w->row[i].addr, WH_BUF_FREE));
	return t;
}

static void compare(const struct world *w, const struct slow *s, const struct wh_marks *m,
		    bool heads)
{
	for (uint32_t i = 0; i < w->n; i++) {
		enum wh_verdict v = wh_marks_verdict(m, i);

		if (!judged(w, i) || (w->row[i].node && s->level[i] != 2)) {
			ck_assert_int_eq(v, WH_VERDICT_NONE);
			continue;
		}
		if (s->level[i] == 2)
			ck_assert_int_eq(v, WH_VERDICT_REACHABLE);
		else if (s->level[i] == 1)
			ck_assert_int_eq(v, WH_VERDICT_POSSIBLE);
		else
			ck_assert(v == WH_VERDICT_DEFINITE || v == WH_VERDICT_INDIRECT);
		if (heads && !s->level[i]) {
			ck_assert_uint_eq(wh_marks_head(m, i), s->head[i]);
			ck_assert_int_eq(v == WH_VERDICT_DEFINITE, s->head[i] == i);
		}
	}
}

/* The chain of every reached row starts at a root and each link really points at the next. */
static void check_chains(const struct world *w, const struct slow *s, const struct wh_marks *m)
{
	for (uint32_t i = 0; i < w->n; i += 37) {
		struct wh_holder *h = NULL;
		size_t n = 0;

		ck_assert_ptr_null(wh_marks_chain(m, i, &h, &n));
		ck_assert_int_eq(n > 0, s->level[i] > 0);
		for (size_t k = 0; k < n; k++) {
			uint32_t next = k + 1 < n ? h[k + 1].row : i;

			ck_assert_int_eq(h[k].row == WH_ROW_NONE, k == 0);
			ck_assert_uint_eq(slow_find(w, word_at(w, h[k].where)), next);
		}
		free(h);
	}
}

static void run(const struct world *w, const struct slow *s, unsigned int threads,
		struct wh_mark_opts o, bool heads)
{
	struct wh_plan plan = {0};
	struct wh_ctx *ctx;
	struct wh_dump *d;
	struct wh_mem *mem;
	struct wh_buftab *t;
	struct wh_marks *m;

	ck_assert_ptr_null(wh_ctx_create(threads, &ctx));
	ck_assert_ptr_null(wh_dump_open_mem(ctx, w->file, FILE_BYTES, &d));
	ck_assert_ptr_null(wh_mem_create(d, &mem));
	t = table_make(ctx, w);
	plan_make(&plan);
	o.start_pointers = w->start_pointers;
	ck_assert_ptr_null(wh_mark_run(ctx, mem, t, &plan, &o, &m));
	compare(w, s, m, heads);
	if (o.keep_parents)
		check_chains(w, s, m);
	wh_marks_destroy(m);
	wh_buftab_destroy(t);
	wh_plan_fini(&plan);
	wh_mem_destroy(mem);
	wh_dump_close(d);
	wh_ctx_destroy(ctx);
}

static void compare_with_slow(uint64_t seed, size_t rows, unsigned int density, bool start_pointers,
			      bool heads)
{
	struct world *w = world_make(seed, rows, density);
	struct slow *s = calloc(1, sizeof(*s));
	size_t reached = 0;

	w->start_pointers = start_pointers;
	slow_mark(w, s);
	for (size_t i = 0; i < w->n; i++)
		reached += s->level[i] > 0;
	ck_assert_uint_gt(reached, 0); /* neither all nor nothing, or the test tests nothing */
	ck_assert_uint_lt(reached, w->n);
	if (heads)
		slow_heads(w, s);
	run(w, s, 1, (struct wh_mark_opts){0}, heads);
	run(w, s, 4, (struct wh_mark_opts){0}, heads);
	run(w, s, 3, (struct wh_mark_opts){.edge_budget = 1}, heads);
	run(w, s, 2, (struct wh_mark_opts){.keep_parents = true}, heads);
	free(s);
	world_free(w);
}

START_TEST(small_heaps_with_heads)
{
	for (uint64_t seed = 1; seed <= 12; seed++)
		compare_with_slow(seed, 150, 5 + (unsigned int)seed * 6,
				  /* start_pointers= */ seed & 1,
				  /* heads= */ true);
}
END_TEST

START_TEST(larger_heaps)
{
	for (uint64_t seed = 50; seed < 53; seed++)
		compare_with_slow(seed, 1500, 9 + (unsigned int)(seed % 3) * 6, seed & 1, false);
}
END_TEST

#define TREE_NODE  1024u
#define TREE_NODES 65536u
#define TREE_BYTES (TREE_NODE * TREE_NODES)

/*
 * A tree in which each node is named by one that lies higher (or, with @up, lower), some by none; the root names
 * the last (first).  Fills held[]: is the node reached?
 */
static uint8_t *tree_make(bool up, bool *held)
{
	uint8_t *file = calloc(1, FILE_HEAP + TREE_BYTES + ROOT_BYTES), used[TREE_NODES] = {0};
	uint64_t seed = 7, root = HEAP + (up ? 0 : (uint64_t)(TREE_NODES - 1) * TREE_NODE);

	core_headers(file, TREE_BYTES);
	memcpy(file + FILE_HEAP + TREE_BYTES, &root, 8);
	held[up ? 0 : TREE_NODES - 1] = true;
	for (uint32_t k = 1; k < TREE_NODES; k++) {
		uint32_t holder = (uint32_t)(rnd(&seed) % k), child = k;
		uint64_t link;

		if (k % 1000 == 7)
			continue;
		if (!up) {
			holder = TREE_NODES - 1 - holder;
			child = TREE_NODES - 1 - child;
		}
		ck_assert_uint_lt(used[holder], TREE_NODE / 8 - 1);
		link = HEAP + (uint64_t)child * TREE_NODE;
		memcpy(file + FILE_HEAP + (uint64_t)holder * TREE_NODE + 8u * used[holder]++, &link,
		       8);
		held[child] = held[holder];
	}
	return file;
}

static void tree_run(const uint8_t *file, const bool *held, unsigned int threads)
{
	struct wh_class c = {.name = "c", .model = "test"};
	struct wh_mark_opts o = {0};
	struct wh_plan plan = {0};
	struct wh_ctx *ctx;
	struct wh_dump *d;
	struct wh_mem *mem;
	struct wh_buftab *t;
	struct wh_marks *m;
	uint16_t kind, cls;

	ck_assert_ptr_null(wh_ctx_create(threads, &ctx));
	ck_assert_ptr_null(wh_dump_open_mem(ctx, file, FILE_HEAP + TREE_BYTES + ROOT_BYTES, &d));
	ck_assert_ptr_null(wh_mem_create(d, &mem));
	ck_assert_ptr_null(wh_buftab_create(ctx, &t));
	ck_assert_ptr_null(wh_buftab_add_class(t, &c, &cls));
	ck_assert_ptr_null(wh_buftab_add_run(t, cls, HEAP, TREE_NODE, TREE_NODE, TREE_NODES, NULL));
	ck_assert_ptr_null(wh_buftab_freeze(t));
	ck_assert_ptr_null(wh_plan_add_kind(&plan, "data", &kind));
	ck_assert_ptr_null(wh_plan_add_root(&plan, kind, WH_VIRT, ROOTS, ROOTS, ROOT_BYTES));
	ck_assert_ptr_null(wh_plan_add_node(&plan, WH_VIRT, HEAP, HEAP, TREE_BYTES));
	ck_assert_ptr_null(wh_mark_run(ctx, mem, t, &plan, &o, &m));
	for (uint32_t i = 0; i < TREE_NODES; i++)
		ck_assert_int_eq(wh_marks_verdict(m, i) == WH_VERDICT_REACHABLE, held[i]);
	if (threads == 1) /* the trial and the lost parts, hardly more */
		ck_assert_uint_lt(wh_marks_counts(m)->edges_stored, TREE_NODES / 2);
	wh_marks_destroy(m);
	wh_buftab_destroy(t);
	wh_plan_fini(&plan);
	wh_mem_destroy(mem);
	wh_dump_close(d);
	wh_ctx_destroy(ctx);
}

/* Whichever way references point, most nodes are reached before they are read. */
START_TEST(trees_in_both_directions)
{
	for (int up = 0; up <= 1; up++) {
		bool *held = calloc(TREE_NODES, sizeof(*held));
		uint8_t *file = tree_make(up, held);

		tree_run(file, held, 1);
		tree_run(file, held, 3);
		free(file);
		free(held);
	}
}
END_TEST

/*
 * A buffer of the first class could not be read; another of that class, which is reachable, holds one of the
 * second class.  Nothing holds the second of that class (at 512) nor the one of the third class (at 320).
 */
static enum wh_verdict verdict_beside_missing(uint32_t flags, size_t which)
{
	struct world *w = calloc(1, sizeof(*w));
	struct wh_plan plan = {0};
	struct wh_buftab *t;
	struct wh_marks *m;
	enum wh_verdict v;
	struct wh_dump *d;
	struct wh_mem *mem;
	struct wh_ctx *ctx;
	uint16_t cls = 0;

	w->file = calloc(1, FILE_BYTES);
	core_headers(w->file, HEAP_BYTES);
	memcpy(w->file + FILE_ROOTS, &(uint64_t){HEAP + 64},
	       8); /* another of the first's class … */
	memcpy(w->file + FILE_HEAP + 64, &(uint64_t){HEAP + 192},
	       8); /* … holds one of the second's */
	ck_assert_ptr_null(wh_ctx_create(2, &ctx));
	ck_assert_ptr_null(wh_dump_open_mem(ctx, w->file, FILE_BYTES, &d));
	ck_assert_ptr_null(wh_mem_create(d, &mem));
	ck_assert_ptr_null(wh_buftab_create(ctx, &t));
	for (uint64_t i = 0; i < 3; i++) {
		struct wh_class c = {.name = "c", .model = "test", .flags = flags};

		ck_assert_ptr_null(wh_buftab_add_class(t, &c, &cls));
		ck_assert_ptr_null(
			wh_buftab_add(t, cls, HEAP + i * 128 + 64, 64, WH_BUF_ALLOCATED));
	}
	ck_assert_ptr_null(wh_buftab_add(t, 1, HEAP + 512, 64, WH_BUF_ALLOCATED));
	ck_assert_ptr_null(wh_buftab_freeze(t));
	plan_make(&plan);
	ck_assert_ptr_null(wh_plan_add_missing(&plan, 0, 1, 64, WH_MEM_TRUNCATED));
	ck_assert_ptr_null(wh_mark_run(ctx, mem, t, &plan, &(struct wh_mark_opts){0}, &m));
	ck_assert_int_eq(wh_marks_verdict(m, 1), WH_VERDICT_REACHABLE);
	v = wh_marks_verdict(m, wh_buftab_find(t, HEAP + which));
	wh_marks_destroy(m);
	wh_buftab_destroy(t);
	wh_plan_fini(&plan);
	wh_mem_destroy(mem);
	wh_dump_close(d);
	wh_ctx_destroy(ctx);
	world_free(w);
	return v;
}

START_TEST(what_a_lost_buffer_could_hold)
{
	ck_assert_int_eq(verdict_beside_missing(WH_CLASS_TYPED, 512), WH_VERDICT_UNKNOWN);
	ck_assert_int_eq(verdict_beside_missing(WH_CLASS_TYPED, 320), WH_VERDICT_DEFINITE);
	ck_assert_int_eq(verdict_beside_missing(0, 512), WH_VERDICT_UNKNOWN);
	ck_assert_int_eq(verdict_beside_missing(0, 320), WH_VERDICT_UNKNOWN);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mark");
	TCase *c = tcase_create("mark");
	SRunner *r;
	int failed;

	suite_add_tcase(s, c);
	tcase_set_timeout(c, EXPECT_HANG);
	tcase_add_test(c, small_heaps_with_heads);
	tcase_add_test(c, larger_heaps);
	tcase_add_test(c, what_a_lost_buffer_could_hold);
	tcase_add_test(c, trees_in_both_directions);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
