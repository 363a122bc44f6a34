/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * glibc's malloc in every layout that releases 2.17 to 2.42, both word sizes and both byte orders have, made up from a table:
 * which members malloc_state has, how the tcache counts, whether links are mangled.  Each core holds blocks
 * that are held, lost, in bins, in tcache and in fastbins; then damage.  The writer shares no layout code
 * with the reader.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/target/target_user.h"
#include "tests/gen/expect.h"

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
	bool big_endian;
	uint8_t *mem[N_SEGS];
	uint64_t lost[MAX_ROWS], held[MAX_ROWS], freed[MAX_ROWS];
	size_t n_lost, n_held, n_freed;
	uint64_t next_root;
	uint64_t tcache_heads[64], fast_heads[10], arena[2], bins[2];
	unsigned int tcache_counts[64];
	size_t heap_size; /* of the segment HEAP */
};

static const uint32_t seg_addr[N_SEGS] = {DATA, HEAP, THREAD, ROOTS};

static size_t seg_size(const struct world *w, int i)
{
	return seg_addr[i] == HEAP ? w->heap_size : SEG_SIZE;
}

static uint8_t *at(struct world *w, uint64_t addr)
{
	for (int i = 0; i < N_SEGS; i++)
		if (addr >= seg_addr[i] && addr < seg_addr[i] + seg_size(w, i))
			return w->mem[i] + (addr - seg_addr[i]);
	ck_abort_msg("0x%llx is nowhere", (unsigned long long)addr);
	return NULL;
}

static void store(bool big_endian, uint8_t *p, uint64_t v, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++)
		p[big_endian ? size - 1 - i : i] = (uint8_t)(v >> 8 * i);
}

static void put(struct world *w, uint64_t addr, uint64_t v, unsigned int size)
{
	store(w->big_endian, at(w, addr), v, size);
}

static uint64_t get_word(struct world *w, uint64_t addr)
{
	const uint8_t *p = at(w, addr);
	uint64_t v = 0;

	for (unsigned int i = 0; i < w->s->word; i++)
		v = v << 8 | p[w->big_endian ? i : w->s->word - 1 - i];
	return v;
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

/* Fills the rest of a large heap with blocks of all sizes, some freed, that nothing holds; returns the top. */
static uint64_t fill_large(struct world *w, uint64_t c, uint64_t end)
{
	uint64_t seed = 11;
	unsigned int prev = 1;

	while (end - c > 0x20000) {
		uint64_t r = seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		uint64_t size = w->s->align * (2 + (r >> 33) % (r >> 60 ? 12 : 3000));

		write_chunk(w, c, size, prev);
		/* contents that look like chunks, and pointers */
		put_word(w, c + 3 * w->s->word, r >> 40 & 1 ? 0x41 : HEAP + (r >> 42));
		prev = (r >> 20) % 9 != 0;
		c += size;
		if (!prev)
			put_word(w, c, size);
	}
	write_chunk(w, c, 64, prev); /* top follows a chunk in use */
	return c + 64;
}

static void build_world_of(struct world *w, const struct spec *s, bool big_endian, size_t heap_size)
{
	uint64_t c, free_chunk, tcache = 0;

	memset(w, 0, sizeof(*w));
	w->s = s;
	w->big_endian = big_endian;
	w->heap_size = heap_size;
	for (int i = 0; i < N_SEGS; i++)
		w->mem[i] = calloc(1, seg_size(w, i));
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
	if (heap_size > SEG_SIZE)
		c = fill_large(w, c, HEAP + heap_size);
	finish_heap(w, 0, c, HEAP + heap_size, free_chunk, heap_size);

	put_word(w, THREAD, w->arena[1]);
	put_word(w, THREAD + 2 * s->word, SEG_SIZE);
	put_word(w, THREAD + 3 * s->word, SEG_SIZE);
	c = fill(w, aligned_chunk(s, w->arena[1] + state_size(s)), 4, &free_chunk);
	finish_heap(w, 1, c, THREAD + SEG_SIZE, free_chunk, SEG_SIZE);
}

/* The layouts in one byte order, then in the other. */
static void build_world(struct world *w, int i)
{
	build_world_of(w, &specs[i / 2], i % 2, SEG_SIZE);
}

/* ---- the core ---- */

/* Fields of the ELF headers: offset and size, of ELF32 and ELF64 (gABI). */
struct field {
	unsigned int at[2], size[2];
};
static const struct field E_TYPE = {{16, 16}, {2, 2}}, E_MACHINE = {{18, 18}, {2, 2}},
			  E_PHOFF = {{28, 32}, {4, 8}}, E_PHENTSIZE = {{42, 54}, {2, 2}},
			  E_PHNUM = {{44, 56}, {2, 2}}, P_TYPE = {{0, 0}, {4, 4}},
			  P_OFFSET = {{4, 8}, {4, 8}}, P_VADDR = {{8, 16}, {4, 8}},
			  P_FILESZ = {{16, 32}, {4, 8}}, P_MEMSZ = {{20, 40}, {4, 8}},
			  P_FLAGS = {{24, 4}, {4, 4}};

static void set(const struct world *w, uint8_t *p, struct field f, uint64_t v)
{
	int k = w->s->word == 8;

	store(w->big_endian, p + f.at[k], v, f.size[k]);
}

static size_t make_core(const struct world *w, uint8_t **ret)
{
	bool wide = w->s->word == 8;
	unsigned int ehsize = wide ? 64 : 52, phentsize = wide ? 56 : 32;
	size_t size = 4096, off[N_SEGS];
	uint8_t *b;

	for (int i = 0; i < N_SEGS; size += seg_size(w, i++))
		off[i] = size;
	b = calloc(1, size);
	memcpy(b, "\177ELF", 4);
	b[EI_CLASS] = wide ? ELFCLASS64 : ELFCLASS32;
	b[EI_DATA] = w->big_endian ? ELFDATA2MSB : ELFDATA2LSB;
	set(w, b, E_TYPE, ET_CORE);
	if (w->big_endian)
		set(w, b, E_MACHINE, wide ? EM_AARCH64 : EM_ARM);
	else
		set(w, b, E_MACHINE, wide ? EM_X86_64 : EM_386);
	set(w, b, E_PHOFF, ehsize);
	set(w, b, E_PHENTSIZE, phentsize);
	set(w, b, E_PHNUM, N_SEGS);
	for (unsigned int i = 0; i < N_SEGS; i++) {
		uint8_t *p = b + ehsize + i * phentsize;

		set(w, p, P_TYPE, PT_LOAD);
		set(w, p, P_OFFSET, off[i]);
		set(w, p, P_VADDR, seg_addr[i]);
		set(w, p, P_FILESZ, seg_size(w, (int)i));
		set(w, p, P_MEMSZ, seg_size(w, (int)i));
		set(w, p, P_FLAGS, PF_R | PF_W);
		memcpy(b + off[i], w->mem[i], seg_size(w, (int)i));
	}
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

static void open_world_with(struct world *w, struct opened *o, unsigned int threads)
{
	static const struct wh_target_opts opts;
	size_t n = make_core(w, &o->bytes);

	ok(wh_ctx_create(threads, &o->ctx));
	ok(wh_dump_open_mem(o->ctx, o->bytes, n, &o->dump));
	ok(wh_target_open(o->ctx, o->dump, &opts, &o->target));
	ok(wh_target_mark(o->target, &o->marks));
}

static void open_world(struct world *w, struct opened *o)
{
	open_world_with(w, o, 1);
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

	build_world(&w, _i);
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

	build_world(&w, _i);
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

	build_world(&w, _i);
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

/* ---- a heap of several units ---- */

#define LARGE_HEAP ((size_t)22 << 20)
#define UNIT	   ((uint64_t)4 << 20) /* of the walk */

enum harm {
	HARM_NONE,
	HARM_HEADERS, /* destroyed headers, in every unit */
	HARM_SIZES,   /* that lie: chunks that end inside others, one that swallows two units */
	HARM_DECOYS,  /* chains of good-looking headers inside a large chunk, over a unit's start */
	HARM_NOISE,   /* three units without any chunk */
	HARM_ENDS,    /* the last header of each unit */
	HARM_COUNT
};

/* The header of the last chunk that starts below @addr. */
static uint64_t chunk_below(struct world *w, uint64_t addr)
{
	uint64_t c = aligned_chunk(w->s, HEAP), size = 0;

	for (;; c += size) {
		size = get_word(w, c + w->s->word) & ~7ull;
		if (c + size >= addr)
			return c;
	}
}

static void do_harm(struct world *w, enum harm harm)
{
	uint64_t first = chunk_below(w, HEAP + UNIT / 2), big, end;
	uint64_t chunks[5];

	for (unsigned int i = 0; i < 5; i++)
		chunks[i] = chunk_below(w, HEAP + (i + 1) * UNIT - (harm == HARM_ENDS ? 0 : 5000));
	for (unsigned int i = 0; i < 5 && (harm == HARM_HEADERS || harm == HARM_ENDS); i++)
		put_word(w, chunks[i] + w->s->word, 0x1234567);
	if (harm == HARM_SIZES) {
		write_chunk(w, first, 2 * UNIT + 3 * UNIT / 4 + 64, 1);
		write_chunk(w, chunks[3], 0x30, 1);
		write_chunk(w, chunks[4], 0x12340, 1);
	}
	if (harm == HARM_DECOYS) {
		big = chunks[1];
		end = chunk_below(w, HEAP + 2 * UNIT + 300000);
		write_chunk(w, big, end - big, 1);
		for (uint64_t c = big + 48; c + 48 < end; c += 48)
			write_chunk(w, c, 48, 1);
	}
	if (harm == HARM_NOISE)
		memset(at(w, HEAP + UNIT + 1000), 0x5b, 3 * UNIT);
}

static void check_same(const struct opened *a, const struct opened *b)
{
	const struct wh_buftab *s = a->target->buftab, *t = b->target->buftab;
	struct wh_user *u = wh_target_get_user(a->target), *v = wh_target_get_user(b->target);
	struct wh_heap_totals x, y;
	const struct wh_diag *d, *e;
	size_t n, k;

	ck_assert_uint_eq(wh_buftab_count(s), wh_buftab_count(t));
	for (uint32_t i = 0; i < wh_buftab_count(s); i++) {
		ck_assert_uint_eq(wh_buftab_size(s, i), wh_buftab_size(t, i));
		ck_assert_uint_eq(wh_buftab_class_of(s, i), wh_buftab_class_of(t, i));
		ck_assert_int_eq(wh_buftab_state(s, i), wh_buftab_state(t, i));
		ck_assert_int_eq(wh_marks_verdict(a->marks, i), wh_marks_verdict(b->marks, i));
		if (i % 100 == 0)
			ck_assert_uint_eq(wh_buftab_addr(s, i), wh_buftab_addr(t, i));
	}
	u->heaps.v[0].ops->totals(u->heaps.v[0].priv, &x);
	v->heaps.v[0].ops->totals(v->heaps.v[0].priv, &y);
	ck_assert_mem_eq(&x, &y, sizeof(x));
	d = wh_diags_list(a->ctx->diags, &n);
	e = wh_diags_list(b->ctx->diags, &k);
	ck_assert_uint_eq(n, k);
	for (size_t i = 0; i < n; i++) {
		ck_assert_uint_eq(d[i].count, e[i].count);
		ck_assert_str_eq(d[i].text, e[i].text);
	}
}

/* One worker walks chunk by chunk; several guess where chunks lie and must come to the same end. */
START_TEST(any_number_of_workers)
{
	const struct spec *s = &specs[_i & 1 ? 11 : 6];
	static struct world w;
	struct opened one, four;
	uint8_t *bytes;

	build_world_of(&w, s, _i & 2, LARGE_HEAP);
	do_harm(&w, (enum harm)(_i / 4));
	open_world_with(&w, &one, 1);
	bytes = one.bytes;
	open_world_with(&w, &four, 4);
	check_same(&one, &four);
	check_totals(&one);
	ck_assert_uint_gt(wh_buftab_count(one.target->buftab), 5000);
	wh_target_close(one.target);
	wh_dump_close(one.dump);
	wh_ctx_destroy(one.ctx);
	free(bytes);
	close_world(&w, &four);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ptmalloc");
	TCase *t = tcase_create("layouts");
	SRunner *r;
	int failed, n = 2 * (int)(sizeof(specs) / sizeof(specs[0]));

	tcase_add_loop_test(t, every_layout, 0, n);
	tcase_add_loop_test(t, damage_is_contained, 0, n);
	tcase_add_loop_test(t, damaged_arena, 0, n);
	tcase_add_loop_test(t, any_number_of_workers, 0, 4 * HARM_COUNT);
	tcase_set_timeout(t, EXPECT_HANG);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
