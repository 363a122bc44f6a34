/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Types of the blocks of a process whose program or libraries have debug information.
 *
 *	1  variables ──► pointers ──► blocks ──► their pointers …	breadth first, each block once
 *	2  leaked blocks: no such path leads there.  A vtable names the class; else a block that looks like
 *	   live ones whose type is known (same room, pointers to the right kind of block where the type has
 *	   them, none where it has none) is inferred to be another one.  From there as in 1.
 *
 * What fits exactly goes before what is vague: a pointer to the start of a block that has just the room of
 * its type is followed at once; arrays, blocks that only begin with the type, and elements of intrusive
 * lists (the pointer leads to the middle of a block, where the holder's own type has the same link) wait in
 * `later` until no exact one is left.  The order is that of the variables and addresses, in one thread, so
 * that the answer is always the same.
 *
 * Made when first asked, since nothing but the names of leaks and of single addresses needs it.  Blocks,
 * words and types have budgets; what lies beyond has no type.
 */
#include <string.h>

#include "analyzer/base/strbuf.h"
#include "analyzer/name/shape.h"
#include "analyzer/target/target_user.h"

#define BLOCKS_MAX     (1u << 15) /* that get a type, of the live ones and of the leaked ones */
#define WORDS_MAX      (1ull << 27)
#define LATER_MAX      (1u << 21)
#define ROOTS_MAX      (1u << 20)
#define CANDIDATES_MAX 64	   /* types of one size */
#define CONTENTS_MAX   (64u << 10) /* [bytes] that are read at once */
#define COMPARED_MAX   4096	   /* [bytes] of a block that are compared with a type */
#define COOKIE_MAX     16	   /* [bytes] before the first element of new T[n] */
#define NAME_SHOWN     160

enum how { HOW_POINTER, HOW_VTABLE, HOW_INFERRED };
static const char *const how_names[] = {"pointer", "vtable", "inferred"};

/* n objects from `base` on; n is 0 when the block begins with one and has room for something else. */
struct typed {
	uint32_t row, shape, n, base;
	enum how how;
};
typedef WH_VEC(struct typed) typed_vec;

/* A pointer to @target that was found in an object of type @holder, and the block that it leads to. */
struct arrival {
	uint32_t row, seq, target, holder;
	uint64_t off;
	enum how how;
};

/* A variable, or one thread's copy of it. */
struct root {
	uint64_t addr, n;
	uint32_t shape;
};

/* What live blocks of one size are. */
struct candidate {
	uint64_t size;
	uint32_t shape, n;
	uint64_t lead; /* first word of the first one, when it points into a module; else 0 */
	uint32_t next; /* of the same size, UINT32_MAX none */
};

struct wh_user_types {
	struct wh_user *u;
	const struct wh_buftab *tab;
	struct wh_shapes shapes;
	typed_vec typed; /* in order of arrival: the queue of what is to be walked */
	size_t walked;
	struct wh_map by_row;
	WH_VEC(struct arrival) arrivals; /* the next level */
	typed_vec later;
	WH_VEC(struct root) roots;
	struct wh_map classes; /* vtable -> shape */
	WH_VEC(struct candidate) candidates;
	struct wh_map by_size;		   /* -> the first candidate */
	uint64_t blocks, words;		   /* left */
	bool live;			   /* step 1 */
	uint8_t *buf;			   /* CONTENTS_MAX */
	uint8_t compared[2][COMPARED_MAX]; /* by depth */
};

static const struct typed *typed_of(const struct wh_user_types *ut, uint32_t row)
{
	uint64_t i;

	return wh_map_find(&ut->by_row, row, &i) ? &ut->typed.v[i] : NULL;
}

static uint32_t word_size(const struct wh_user_types *ut)
{
	return ut->u->p->abi.word;
}

/* ---- does a type fit a block? ---- */

enum fit { FIT_NOT, FIT_ONE, FIT_ARRAY, FIT_BEGINNING };

/* [bytes] by which sizes are rounded up: two words, and as much again that is too small to be split off. */
static uint64_t slop(const struct wh_user_types *ut)
{
	return 4u * word_size(ut);
}

static enum fit fits(const struct wh_user_types *ut, const struct wh_shape *sh, uint64_t size,
		     uint32_t *ret_n)
{
	uint64_t rest = size - sh->size, n = size / sh->size;

	*ret_n = 1;
	if (size < sh->size)
		return FIT_NOT;
	if (sh->tail != WH_SHAPE_NONE)
		return FIT_ONE;
	if (!sh->scalar &&
	    (rest < slop(ut) / 2 || size <= 3u * word_size(ut) || (rest < slop(ut) && n == 1)))
		return FIT_ONE;
	*ret_n = n < UINT32_MAX ? (uint32_t)n : 0;
	if (*ret_n && (sh->scalar || size % sh->size < slop(ut)))
		return FIT_ARRAY;
	*ret_n = 0;
	return FIT_BEGINNING;
}

/* Whether what is known of a block agrees with a pointer to @shape at @off of it. */
static bool agrees(const struct wh_user_types *ut, const struct typed *k, uint32_t shape,
		   uint64_t off)
{
	const struct wh_shape *sh = &ut->shapes.v.v[k->shape];

	if (off < k->base)
		return false;
	off -= k->base;
	if (k->n > 1)
		off %= sh->size;
	return (k->shape == shape && !off) || wh_shape_has_part(sh, shape, off);
}

static struct wh_err *score(struct wh_user_types *ut, uint32_t row, uint32_t shape, uint32_t n,
			    int depth, int *ret) WH_MUST_CHECK;

#define ENOUGH                                                                                     \
	2 /* a pointer to a block known to be right, or of the very type that is being tried */

/* A pointer where @shape has one to @target, into a block whose type is not known. */
static struct wh_err *score_unknown(struct wh_user_types *ut, uint32_t shape, uint32_t target,
				    uint32_t row, uint64_t off, int depth, int *ret)
{
	uint64_t size = wh_buftab_size(ut->tab, row);
	const struct wh_shape *sh;
	enum fit fit;
	uint32_t n;

	WH_TRY(wh_shapes_get(&ut->shapes, shape, &sh));
	if (off && !wh_shape_has_part(sh, target, off)) {
		*ret = -1;
		return NULL;
	}
	if (off) /* a neighbour in an intrusive list */
		target = shape;
	WH_TRY(wh_shapes_get(&ut->shapes, target, &sh));
	fit = fits(ut, sh, size, &n);
	*ret = fit == FIT_NOT || (off && fit != FIT_ONE) ? -1 : 0;
	if (fit != FIT_ONE || *ret < 0 || !sh->pointers)
		return NULL;
	if (!depth)
		WH_TRY(score(ut, row, target, 1, depth + 1, ret));
	*ret = *ret < 0 ? -1 : target == shape ? ENOUGH : 1;
	return NULL;
}

/* Evidence that one word of a block gives for its being of type @shape; negative: it is not. */
static struct wh_err *score_word(struct wh_user_types *ut, uint32_t shape, uint32_t target,
				 uint64_t v, int depth, int *ret)
{
	uint32_t row = wh_buftab_find(ut->tab, v);
	const struct typed *k;
	uint64_t off;

	*ret = 0;
	if (row == WH_ROW_NONE) {
		if (target != WH_SHAPE_NONE && !wh_process_find_map(ut->u->p, v))
			*ret = -1;
		return NULL;
	}
	if (wh_buftab_state(ut->tab, row) != WH_BUF_ALLOCATED)
		return NULL;
	off = v - wh_buftab_addr(ut->tab, row);
	if (target == WH_SHAPE_NONE) {
		*ret = off ? 0 : -1;
		return NULL;
	}
	k = typed_of(ut, row);
	if (!k)
		return score_unknown(ut, shape, target, row, off, depth, ret);
	*ret = agrees(ut, k, target, off) ? ENOUGH : k->how == HOW_VTABLE ? 0 : -1;
	return NULL;
}

/*
 * *ret: how much speaks for @row being @n of @shape, negative when something speaks against it.  What
 * the type leaves open (untyped pointers, pointers to freed blocks or into other memory) counts neither
 * way.  A block that this one points at is tried in the same way, at depth 1; what that one points at is not.
 */
static struct wh_err *score(struct wh_user_types *ut, uint32_t row, uint32_t shape, uint32_t n,
			    int depth, int *ret)
{
	uint64_t size = wh_buftab_size(ut->tab, row);
	uint8_t *buf = ut->compared[depth];
	uint32_t w = word_size(ut);
	const struct wh_shape *sh;
	size_t got;
	int add;

	*ret = -1;
	WH_TRY(wh_shapes_get(&ut->shapes, shape, &sh));
	got = wh_read_some(ut->u->r, WH_VIRT, wh_buftab_addr(ut->tab, row), buf,
			   size < COMPARED_MAX ? (size_t)size : COMPARED_MAX, NULL);
	if (got < w)
		return NULL;
	*ret = 0;
	for (size_t off = 0; off + w <= got && *ret >= 0; off += w) {
		uint64_t v = wh_get_word(ut->u->p->abi, buf + off);
		uint32_t target = wh_shape_target(&ut->shapes, &ut->shapes.v.v[shape], n, off);

		if (!v || target == WH_SHAPE_ANY)
			continue;
		WH_TRY(score_word(ut, shape, target, v, depth, &add));
		*ret = add < 0 ? -1 : *ret < 1000 ? *ret + add : *ret;
	}
	return NULL;
}

/* ---- a block gets its type ---- */

static uint64_t first_word(struct wh_user_types *ut, uint32_t row)
{
	uint64_t v;

	return wh_read_word(ut->u->r, wh_buftab_addr(ut->tab, row), &v) ? v : 0;
}

static bool in_module(const struct wh_user_types *ut, uint64_t v)
{
	const struct wh_map_area *m = wh_process_find_map(ut->u->p, v);

	return m && m->module != UINT32_MAX;
}

static struct wh_err *note_candidate(struct wh_user_types *ut, const struct typed *t)
{
	uint64_t size = wh_buftab_size(ut->tab, t->row), first = UINT32_MAX, lead;
	uint32_t at, count = 0;

	(void)wh_map_find(&ut->by_size, size, &first);
	for (at = (uint32_t)first; at != UINT32_MAX; at = ut->candidates.v[at].next, count++)
		if (ut->candidates.v[at].shape == t->shape && ut->candidates.v[at].n == t->n)
			return NULL;
	if (count >= CANDIDATES_MAX)
		return NULL;
	lead = first_word(ut, t->row);
	WH_TRY(WH_VEC_PUSH(&ut->candidates,
			   (struct candidate){.size = size,
					      .shape = t->shape,
					      .n = t->n,
					      .lead = in_module(ut, lead) ? lead : 0,
					      .next = (uint32_t)first}));
	return wh_map_set(&ut->by_size, size, ut->candidates.n - 1, NULL);
}

static struct wh_err *assign(struct wh_user_types *ut, struct typed t)
{
	const struct wh_shape *sh;

	if (!ut->blocks || wh_map_find(&ut->by_row, t.row, NULL))
		return NULL;
	ut->blocks--;
	WH_TRY(wh_shapes_get(&ut->shapes, t.shape, &sh));
	WH_TRY(wh_map_set(&ut->by_row, t.row, ut->typed.n, NULL));
	WH_TRY(WH_VEC_PUSH(&ut->typed, t));
	return ut->live && t.n && !t.base && sh->pointers ? note_candidate(ut, &t) : NULL;
}

/* What hangs off a guess must look like it, or the guess goes no further. */
static struct wh_err *assign_checked(struct wh_user_types *ut, struct typed t)
{
	int s = 0;

	if (t.how == HOW_INFERRED && !t.base)
		WH_TRY(score(ut, t.row, t.shape, t.n, 0, &s));
	return s < 0 ? NULL : assign(ut, t);
}

static struct wh_err *assign_later(struct wh_user_types *ut, struct typed t)
{
	return ut->later.n < LATER_MAX ? WH_VEC_PUSH(&ut->later, t) : NULL;
}

/* The type of the class whose vtable a block begins with; WH_SHAPE_NONE. */
static struct wh_err *class_shape(struct wh_user_types *ut, uint64_t first, uint32_t *ret)
{
	WH_CLEANUP(wh_strbuf_fini) struct wh_strbuf name = WH_STRBUF_INIT;
	uint64_t known, count;
	struct wh_type type;

	*ret = WH_SHAPE_NONE;
	if (!in_module(ut, first))
		return NULL;
	if (wh_map_find(&ut->classes, first, &known)) {
		*ret = (uint32_t)known;
		return NULL;
	}
	if (wh_user_class_name(ut->u, first, &name) && !name.failed &&
	    wh_types_find(ut->u->names->types, wh_strbuf_str(&name), NULL, &type))
		WH_TRY(wh_shapes_of(&ut->shapes, type, ret, &count));
	return wh_map_set(&ut->classes, first, *ret, NULL);
}

static struct wh_err *try_class(struct wh_user_types *ut, uint32_t row, bool *ret)
{
	struct typed t = {.row = row, .how = HOW_VTABLE};
	const struct wh_shape *sh;

	*ret = false;
	WH_TRY(class_shape(ut, first_word(ut, row), &t.shape));
	if (t.shape == WH_SHAPE_NONE)
		return NULL;
	WH_TRY(wh_shapes_get(&ut->shapes, t.shape, &sh));
	if (fits(ut, sh, wh_buftab_size(ut->tab, row), &t.n) == FIT_NOT)
		return NULL;
	*ret = true;
	return assign(ut, t);
}

/* ---- following pointers ---- */

/* new T[n] of a class with a destructor: the count stands before the first one. */
static bool counted_array(struct wh_user_types *ut, const struct wh_shape *sh, struct typed *t,
			  uint64_t off)
{
	uint64_t addr = wh_buftab_addr(ut->tab, t->row), size = wh_buftab_size(ut->tab, t->row), n;

	if (off < word_size(ut) || off > COOKIE_MAX || sh->scalar ||
	    !wh_read_word(ut->u->r, addr + off - word_size(ut), &n) || !n ||
	    n > (size - off) / sh->size || size - off - n * sh->size >= slop(ut))
		return false;
	t->n = (uint32_t)n;
	t->base = (uint32_t)off;
	return true;
}

static struct wh_err *arrive(struct wh_user_types *ut, uint64_t v, uint32_t target, uint32_t holder,
			     enum how how)
{
	uint32_t row = wh_buftab_find(ut->tab, v &= ~ut->u->t->plan.tag_clear);

	if (row == WH_ROW_NONE || wh_buftab_state(ut->tab, row) != WH_BUF_ALLOCATED ||
	    ut->arrivals.n >= LATER_MAX || wh_map_find(&ut->by_row, row, NULL))
		return NULL;
	return WH_VEC_PUSH(&ut->arrivals, (struct arrival){.row = row,
							   .seq = (uint32_t)ut->arrivals.n,
							   .target = target,
							   .holder = holder,
							   .off = v - wh_buftab_addr(ut->tab, row),
							   .how = how});
}

/* Elements of an intrusive list are taken for what their neighbour is. */
static struct wh_err *settle(struct wh_user_types *ut, const struct arrival *a)
{
	struct typed t = {.row = a->row, .shape = a->target};
	uint64_t size = wh_buftab_size(ut->tab, a->row);
	const struct wh_shape *sh, *hs;
	enum fit fit;
	uint32_t n;
	bool done;

	if (wh_map_find(&ut->by_row, a->row, NULL))
		return NULL;
	t.how = a->how == HOW_INFERRED ? a->how : HOW_POINTER;
	WH_TRY(try_class(ut, a->row, &done));
	if (done)
		return NULL;
	WH_TRY(wh_shapes_get(&ut->shapes, a->target, &sh));
	fit = a->off ? FIT_NOT : fits(ut, sh, size, &t.n);
	if (fit == FIT_ONE || (a->off && counted_array(ut, sh, &t, a->off)))
		return assign_checked(ut, t);
	WH_TRY(wh_shapes_get(&ut->shapes, a->holder, &hs));
	if (wh_shape_has_part(hs, a->target, a->off) && fits(ut, hs, size, &n) == FIT_ONE)
		WH_TRY(assign_later(ut, (struct typed){.row = a->row,
						       .shape = a->holder,
						       .n = n,
						       .how = HOW_INFERRED}));
	return fit == FIT_NOT ? NULL : assign_later(ut, t);
}

/* Follows every pointer of @n objects of @shape (0: one) that lie at @addr, within @len bytes. */
static struct wh_err *walk(struct wh_user_types *ut, uint64_t addr, uint64_t len, uint32_t shape,
			   uint32_t n, enum how how)
{
	const struct wh_shape *sh;
	uint32_t w = word_size(ut);
	size_t got;

	WH_TRY(wh_shapes_get(&ut->shapes, shape, &sh));
	if (!sh->pointers)
		return NULL;
	if (n <= 1 && sh->tail >= WH_SHAPE_ANY && len > sh->size)
		len = sh->size;
	for (uint64_t at = 0; at + w <= len; at += got) {
		got = wh_read_some(ut->u->r, WH_VIRT, addr + at, ut->buf,
				   len - at < CONTENTS_MAX ? (size_t)(len - at) : CONTENTS_MAX,
				   NULL);
		got -= got % w;
		if (!got)
			return NULL;
		for (size_t i = 0; i < got; i += w) {
			uint32_t target =
				wh_shape_target(&ut->shapes, &ut->shapes.v.v[shape], n, at + i);
			uint64_t v = wh_get_word(ut->u->p->abi, ut->buf + i);

			if (!ut->words)
				return NULL;
			ut->words--;
			if (v && target < WH_SHAPE_ANY)
				WH_TRY(arrive(ut, v, target, shape, how));
		}
	}
	return NULL;
}

static struct wh_err *take_later(struct wh_user_types *ut, struct typed t)
{
	int s = 0;

	if (wh_map_find(&ut->by_row, t.row, NULL))
		return NULL;
	if (t.n > 1)
		WH_TRY(score(ut, t.row, t.shape, t.n, 0, &s));
	if (s < 0)
		t.n = 0;
	return assign_checked(ut, t);
}

static struct wh_err *walk_new(struct wh_user_types *ut)
{
	while (ut->walked < ut->typed.n) {
		const struct typed t = ut->typed.v[ut->walked++];

		if (ut->walked % 1024 == 0) {
			if (wh_ctx_cancelled(ut->u->t->ctx))
				return &wh_err_cancelled;
			wh_ctx_progress(ut->u->t->ctx, "finding types", ut->walked, ut->typed.n);
		}
		WH_TRY(walk(ut, wh_buftab_addr(ut->tab, t.row) + t.base,
			    wh_buftab_size(ut->tab, t.row) - t.base, t.shape, t.n, t.how));
	}
	return NULL;
}

static int arrival_cmp(const void *pa, const void *pb)
{
	const struct arrival *a = pa, *b = pb;

	if (a->row != b->row)
		return a->row < b->row ? -1 : 1;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

/*
 * What was arrived at, level by level, each in the order of addresses: blocks lie on few pages then, and
 * each is read while it is at hand.
 */
static struct wh_err *settle_all(struct wh_user_types *ut)
{
	struct wh_err *e = walk_new(ut);

	while (!e && ut->arrivals.n) {
		struct arrival *v = ut->arrivals.v;
		size_t n = ut->arrivals.n;

		ut->arrivals.v = NULL;
		ut->arrivals.n = ut->arrivals.cap = 0;
		wh_sort(v, n, sizeof(*v), arrival_cmp);
		for (size_t i = 0; !e && i < n; i++) {
			e = settle(ut, &v[i]);
			if (!e)
				e = walk_new(ut);
		}
		free(v);
	}
	return e;
}

static int typed_cmp(const void *pa, const void *pb)
{
	const struct typed *a = pa, *b = pb;

	return a->row < b->row ? -1 : a->row > b->row;
}

/* The vague ones, the first of each row; whatever is exact beyond one goes before the next one. */
static struct wh_err *settle_later(struct wh_user_types *ut)
{
	struct typed *v = ut->later.v;
	size_t n = ut->later.n, kept = 0;
	struct wh_err *e = NULL;
	struct wh_map seen = WH_MAP_INIT;
	bool fresh = false;

	ut->later.v = NULL;
	ut->later.n = ut->later.cap = 0;
	for (size_t i = 0; !e && i < n; i++) {
		e = wh_map_set(&seen, v[i].row, 1, &fresh);
		if (fresh)
			v[kept++] = v[i];
	}
	wh_map_fini(&seen);
	wh_sort(v, kept, sizeof(*v), typed_cmp);
	for (size_t i = 0; !e && i < kept; i++) {
		e = take_later(ut, v[i]);
		if (!e)
			e = settle_all(ut);
	}
	free(v);
	return e;
}

/* Everything that can be reached from what has a type. */
static struct wh_err *follow(struct wh_user_types *ut)
{
	WH_TRY(settle_all(ut));
	while (ut->later.n)
		WH_TRY(settle_later(ut));
	return NULL;
}

/* ---- 1: from variables ---- */

static struct wh_err *add_root(struct wh_user_types *ut, const struct wh_uvar *v, uint64_t addr)
{
	const struct wh_claim *c = wh_process_find_claim(ut->u->p, addr);
	struct root r = {.addr = addr};

	/* the allocator's own pointers lead to headers and free blocks */
	if (ut->roots.n >= ROOTS_MAX || (c && c->kind == WH_CLAIM_INTERNAL) ||
	    !wh_process_is_data(ut->u->p, addr, word_size(ut)))
		return NULL;
	WH_TRY(wh_shapes_of(&ut->shapes, v->type, &r.shape, &r.n));
	return r.shape == WH_SHAPE_NONE ? NULL : WH_VEC_PUSH(&ut->roots, r);
}

/* Where each thread has a module's TLS block: its dtv says so (glibc: {block, to free} by module). */
static struct wh_err *add_thread_roots(struct wh_user_types *ut, const struct wh_uvar *v)
{
	const struct wh_process *p = ut->u->p;
	uint32_t w = word_size(ut);
	uint64_t dtv, block;

	for (size_t i = 0; v->module->tls_index && i < p->threads.n; i++) {
		uint64_t tp = p->threads.v[i].tp;

		if (tp && wh_read_word(ut->u->r, tp + (p->tls_above_tp ? 0 : w), &dtv) &&
		    wh_read_word(ut->u->r, dtv + (uint64_t)v->module->tls_index * 2 * w, &block))
			WH_TRY(add_root(ut, v, block + v->addr));
	}
	return NULL;
}

static struct wh_err *add_variable(void *arg, const struct wh_uvar *v)
{
	if (!v->type.provider || (v->tls && v->addr >= v->module->tls_size))
		return NULL;
	return v->tls ? add_thread_roots(arg, v) : add_root(arg, v, v->addr);
}

/*
 * The C library is left out: what its variables hold is its own and never leaked, their types are in the
 * program's debug information too, and its is larger than that of most programs.
 */
static bool counts(const struct wh_umodule *m)
{
	return m->have_types && !m->is_loader && strncmp(m->name, "libc.so", 7) != 0 &&
	       strncmp(m->name, "libc-2.", 7) != 0;
}

static struct wh_err *type_live(struct wh_user_types *ut)
{
	const struct wh_unames *names = ut->u->names;

	ut->live = true;
	ut->blocks = BLOCKS_MAX;
	ut->words = WORDS_MAX;
	for (int main = 1; main >= 0; main--) /* the program's own types first */
		for (size_t i = 0; i < names->n_modules; i++)
			if (names->modules[i].is_main == main && counts(&names->modules[i]))
				WH_TRY(wh_unames_each_variable(names, &names->modules[i],
							       add_variable, ut));
	for (size_t i = 0; i < ut->roots.n; i++) {
		const struct root *r = &ut->roots.v[i];
		uint64_t len;

		if (!__builtin_mul_overflow(r->n, ut->shapes.v.v[r->shape].size, &len))
			WH_TRY(walk(ut, r->addr, len, r->shape,
				    r->n < UINT32_MAX ? (uint32_t)r->n : UINT32_MAX, HOW_POINTER));
	}
	return follow(ut);
}

/* ---- 2: what no typed word points at ---- */

/* The one type of which live blocks like this are; nothing when two are as likely. */
static struct wh_err *infer(struct wh_user_types *ut, uint32_t row)
{
	struct typed t = {.row = row, .how = HOW_INFERRED};
	uint64_t first = UINT32_MAX, lead = first_word(ut, row);
	int best = 0, second = 0, s;

	(void)wh_map_find(&ut->by_size, wh_buftab_size(ut->tab, row), &first);
	for (uint32_t at = (uint32_t)first; at != UINT32_MAX; at = ut->candidates.v[at].next) {
		const struct candidate *c = &ut->candidates.v[at];

		WH_TRY(score(ut, row, c->shape, c->n, 0, &s));
		if (s >= 0 && c->lead && c->lead == lead)
			s += ENOUGH;
		if (s > best) {
			second = best;
			best = s;
			t.shape = c->shape;
			t.n = c->n;
		} else if (s > second) {
			second = s;
		}
	}
	return best >= ENOUGH && best > second ? assign(ut, t) : NULL;
}

static struct wh_err *type_leaked(struct wh_user_types *ut)
{
	const struct wh_marks *m;
	const uint32_t *rows;
	bool done;
	size_t n;

	ut->live = false;
	ut->blocks = BLOCKS_MAX;
	ut->words = WORDS_MAX;
	WH_TRY(wh_target_mark(ut->u->t, &m));
	rows = wh_marks_leaks(m, &n);
	for (size_t i = 0; i < n; i++)
		if (!typed_of(ut, rows[i]))
			WH_TRY(try_class(ut, rows[i], &done));
	WH_TRY(follow(ut));
	/* heads first: what hangs off them has its type from them */
	for (int indirect = 0; indirect < 2; indirect++)
		for (size_t i = 0; i < n; i++) {
			if ((wh_marks_verdict(m, rows[i]) == WH_VERDICT_INDIRECT) != indirect ||
			    typed_of(ut, rows[i]))
				continue;
			WH_TRY(infer(ut, rows[i]));
			WH_TRY(follow(ut));
		}
	return NULL;
}

/* ---- asking ---- */

void wh_user_types_destroy(struct wh_user_types *ut)
{
	if (!ut)
		return;
	wh_shapes_fini(&ut->shapes);
	wh_map_fini(&ut->by_row);
	wh_map_fini(&ut->classes);
	wh_map_fini(&ut->by_size);
	WH_VEC_FINI(&ut->typed);
	WH_VEC_FINI(&ut->later);
	WH_VEC_FINI(&ut->arrivals);
	WH_VEC_FINI(&ut->roots);
	WH_VEC_FINI(&ut->candidates);
	free(ut->buf);
	free(ut);
}

static struct wh_err *types_create(struct wh_user *u, struct wh_user_types **ret)
{
	struct wh_user_types *ut = wh_calloc(1, sizeof(*ut));
	struct wh_err *e;

	if (!ut)
		return &wh_err_nomem;
	ut->u = u;
	ut->tab = u->t->buftab;
	wh_shapes_init(&ut->shapes, u->p->abi);
	ut->buf = malloc(CONTENTS_MAX);
	e = ut->buf ? type_live(ut) : &wh_err_nomem;
	if (!e)
		e = type_leaked(ut);
	if (e) {
		wh_user_types_destroy(ut);
		return e;
	}
	if (!ut->blocks || !ut->words || !ut->shapes.steps)
		wh_diag_add(u->t->ctx->diags, WH_DIAG_NOTE, "types-cut", 0,
			    "too many blocks to find the type of each");
	*ret = ut;
	return NULL;
}

static void put_type(const struct wh_user_types *ut, const struct typed *t, struct wh_strbuf *sb)
{
	const struct wh_shape *sh = &ut->shapes.v.v[t->shape];
	uint64_t size = wh_buftab_size(ut->tab, t->row);

	wh_strbuf_printf(sb, "%.*s%s", NAME_SHOWN, sh->name,
			 strlen(sh->name) > NAME_SHOWN ? "..." : "");
	if (!t->n)
		wh_strbuf_printf(sb, " + %llu bytes", (unsigned long long)(size - sh->size));
	else if (t->base)
		wh_strbuf_printf(sb, "[%u]", t->n);
	else if (sh->scalar || (t->n > 1 && size - (t->n - 1) * sh->size < slop(ut)))
		wh_strbuf_puts(sb, "[]"); /* rounding hides how many */
	else if (t->n > 1)
		wh_strbuf_printf(sb, "[%u]", t->n);
}

struct wh_err *wh_user_type(struct wh_user *u, uint32_t row, struct wh_arena *a,
			    struct wh_row_type *ret)
{
	WH_CLEANUP(wh_strbuf_fini) struct wh_strbuf sb = WH_STRBUF_INIT;
	const struct typed *t;
	bool any = false;

	for (size_t i = 0; !u->types && i < u->names->n_modules; i++)
		any |= counts(&u->names->modules[i]);
	if (any)
		WH_TRY(types_create(u, &u->types));
	t = u->types ? typed_of(u->types, row) : NULL;
	if (!t)
		return NULL;
	put_type(u->types, t, &sb);
	ret->name = sb.failed ? NULL : wh_arena_strdup(a, wh_strbuf_str(&sb));
	ret->source = how_names[t->how];
	ret->offset = t->base;
	return ret->name ? NULL : &wh_err_nomem;
}
