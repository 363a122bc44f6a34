/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/name/shape.h"

#include <string.h>

#include "analyzer/base/limits.h"
#include "analyzer/base/strbuf.h"

#define STEPS	     (1u << 24) /* types looked at in all */
#define SHAPE_STEPS  (1u << 16) /* for one shape */
#define WORDS_MAX    (1u << 14) /* of one shape */
#define PARTS_MAX    256
#define NAME_MAX_LEN 4096
#define SHAPES_MAX   (1u << 20)

void wh_shapes_init(struct wh_shapes *s, struct wh_abi abi)
{
	*s = (struct wh_shapes){.abi = abi, .steps = STEPS};
}

void wh_shapes_fini(struct wh_shapes *s)
{
	wh_arena_fini(&s->mem);
	wh_map_fini(&s->by_type);
	wh_map_fini(&s->by_name);
	WH_VEC_FINI(&s->v);
}

/* ---- what a type is ---- */

/* A type behind its typedefs and qualifiers; `alias` is the name that an anonymous struct goes by. */
struct plain {
	struct wh_type type;
	struct wh_type_info info;
	const char *alias;
};

static bool plain_type(struct wh_type t, struct plain *ret)
{
	struct wh_err *e;

	*ret = (struct plain){.alias = ""};
	for (int i = 0; i < WH_LIMIT_TYPE_DEPTH; i++) {
		ret->type = t;
		e = wh_type_get_info(t, &ret->info);
		if (e) {
			wh_err_destroy(e);
			return false;
		}
		if (ret->info.kind != WH_TYPE_TYPEDEF)
			return true;
		if (ret->info.name[0])
			ret->alias = ret->info.name;
		t = ret->info.elem;
	}
	return false;
}

static void put_name(struct wh_strbuf *sb, const struct plain *p, int depth)
{
	const char *name = p->info.name[0] ? p->info.name : p->alias;
	const char *tag = p->info.kind == WH_TYPE_STRUCT  ? "struct "
			  : p->info.kind == WH_TYPE_UNION ? "union "
			  : p->info.kind == WH_TYPE_ENUM  ? "enum "
							  : "";
	struct plain target;

	if (p->info.kind == WH_TYPE_PTR) {
		if (depth < 8 && plain_type(p->info.elem, &target))
			put_name(sb, &target, depth + 1);
		wh_strbuf_puts(sb, sb->len && sb->s[sb->len - 1] == '*' ? "*" : " *");
		return;
	}
	if (p->info.kind == WH_TYPE_VOID || p->info.kind == WH_TYPE_FUNC ||
	    p->info.kind == WH_TYPE_ARRAY)
		name = p->info.kind == WH_TYPE_VOID ? "void" : "(...)";
	/* A C++ class goes by its name alone; so does a typedef. */
	if (p->info.name[0] && !strpbrk(name, ":<"))
		wh_strbuf_puts(sb, tag);
	else if (!name[0])
		wh_strbuf_printf(sb, "%s{...}", tag);
	for (size_t i = 0; name[i] && i < NAME_MAX_LEN; i++)
		wh_strbuf_putc(sb, name[i] >= ' ' && name[i] <= '~' ? name[i] : '?');
}

/* void, text, code, its addresses (vtables) and incomplete types say nothing of a block. */
static bool says_something(const struct plain *p)
{
	struct plain target;

	switch (p->info.kind) {
	case WH_TYPE_INT:
	case WH_TYPE_FLOAT:
	case WH_TYPE_ENUM: return !p->info.is_char && p->info.size > 1;
	case WH_TYPE_PTR:
		return plain_type(p->info.elem, &target) && target.info.kind != WH_TYPE_FUNC;
	case WH_TYPE_STRUCT:
	case WH_TYPE_UNION: return p->info.size > 0;
	default: return false;
	}
}

static uint64_t type_key(struct wh_type t)
{
	return wh_hash_u64(t.id ^ wh_hash_u64((uint64_t)(uintptr_t)t.provider));
}

static struct wh_err *shape_add(struct wh_shapes *s, const struct plain *p, uint32_t *ret)
{
	struct wh_shape sh = {.type = p->type,
			      .size = p->info.kind == WH_TYPE_PTR ? s->abi.word : p->info.size,
			      .scalar = p->info.kind != WH_TYPE_STRUCT &&
					p->info.kind != WH_TYPE_UNION,
			      .tail = WH_SHAPE_NONE};
	WH_CLEANUP(wh_strbuf_fini) struct wh_strbuf sb = WH_STRBUF_INIT;
	uint64_t key, at;

	put_name(&sb, p, 0);
	if (sb.failed)
		return &wh_err_nomem;
	key = wh_hash_u64(wh_hash_bytes(wh_strbuf_str(&sb), sb.len, WH_HASH_SEED) ^
			  wh_hash_u64(sh.size));
	if ((p->info.name[0] || p->alias[0] || sh.scalar) && wh_map_find(&s->by_name, key, &at)) {
		*ret = (uint32_t)at;
		return wh_map_set(&s->by_type, type_key(p->type), at, NULL);
	}
	if (s->v.n >= SHAPES_MAX)
		return NULL;
	sh.name = wh_arena_strdup(&s->mem, wh_strbuf_str(&sb));
	if (!sh.name)
		return &wh_err_nomem;
	WH_TRY(WH_VEC_PUSH(&s->v, sh));
	*ret = (uint32_t)(s->v.n - 1);
	WH_TRY(wh_map_set(&s->by_name, key, *ret, NULL));
	return wh_map_set(&s->by_type, type_key(p->type), *ret, NULL);
}

struct wh_err *wh_shapes_of(struct wh_shapes *s, struct wh_type t, uint32_t *ret,
			    uint64_t *ret_count)
{
	struct plain p;
	uint64_t at;

	*ret = WH_SHAPE_NONE;
	*ret_count = 1;
	for (int depth = 0; depth < 8; depth++) {
		if (!s->steps)
			return NULL;
		s->steps--;
		if (!plain_type(t, &p))
			return NULL;
		if (p.info.kind != WH_TYPE_ARRAY)
			break;
		if (__builtin_mul_overflow(*ret_count, p.info.count, ret_count))
			return NULL;
		t = p.info.elem;
	}
	if (!says_something(&p))
		return NULL;
	if (wh_map_find(&s->by_type, type_key(p.type), &at)) {
		*ret = (uint32_t)at;
		return NULL;
	}
	return shape_add(s, &p, ret);
}

/* ---- compiling ---- */

struct filling {
	struct wh_shapes *s;
	uint32_t *words;
	uint32_t n;
	uint32_t steps;
	WH_VEC(struct wh_shape_part) parts;
};

static struct wh_err *fill_type(struct filling *f, struct wh_type t, uint64_t off, int depth);

static void put_word(struct filling *f, uint64_t off, uint32_t target)
{
	uint32_t *w = &f->words[off / f->s->abi.word];

	/* two pointers in one place, of a union: nobody knows which */
	*w = *w == WH_SHAPE_NONE || *w == target ? target : WH_SHAPE_ANY;
}

static struct wh_err *fill_pointer(struct filling *f, struct wh_type elem, uint64_t off)
{
	uint64_t count;
	uint32_t target;

	if (off % f->s->abi.word || off / f->s->abi.word >= f->n)
		return NULL;
	WH_TRY(wh_shapes_of(f->s, elem, &target, &count));
	put_word(f, off, target == WH_SHAPE_NONE ? WH_SHAPE_ANY : target);
	return NULL;
}

static struct wh_err *fill_members(struct filling *f, const struct plain *p, uint64_t off,
				   int depth)
{
	struct wh_member m;

	for (size_t i = 0; i < p->info.count && wh_type_get_member(p->type, i, &m); i++) {
		if (f->steps == 0)
			return NULL;
		f->steps--;
		if (!m.bit_size && m.offset < p->info.size)
			WH_TRY(fill_type(f, m.type, off + m.offset, depth + 1));
	}
	return NULL;
}

/* Each member on a sheet of its own, so that only members disagree, not what lies beside the union. */
static struct wh_err *fill_union(struct filling *f, const struct plain *p, uint64_t off, int depth)
{
	uint64_t word = f->s->abi.word, first = off / word, n;
	uint32_t *all = f->words, n_all = f->n;
	WH_AUTO_FREE uint32_t *sheet = NULL;
	struct wh_err *e = NULL;
	struct wh_member m;

	if (off % word || first >= f->n)
		return NULL;
	n = p->info.size / word < f->n - first ? p->info.size / word : f->n - first;
	sheet = malloc(f->n * sizeof(*sheet));
	if (!sheet)
		return &wh_err_nomem;
	for (size_t i = 0; !e && i < p->info.count && wh_type_get_member(p->type, i, &m); i++) {
		if (f->steps <= n)
			break;
		f->steps -= (uint32_t)n + 1;
		memset(sheet + first, 0xff, (size_t)n * sizeof(*sheet));
		f->words = sheet;
		f->n = (uint32_t)(first + n);
		if (!m.bit_size)
			e = fill_type(f, m.type, off + m.offset, depth + 1);
		f->words = all;
		f->n = n_all;
		for (uint64_t k = first; k < first + n; k++)
			if (sheet[k] != WH_SHAPE_NONE)
				put_word(f, k * word, sheet[k]);
	}
	return e;
}

static struct wh_err *fill_array(struct filling *f, const struct plain *p, uint64_t off, int depth)
{
	struct plain elem;
	uint64_t size;

	if (!plain_type(p->info.elem, &elem))
		return NULL;
	size = elem.info.kind == WH_TYPE_PTR ? f->s->abi.word : elem.info.size;
	if (!size || elem.info.kind == WH_TYPE_INT || elem.info.kind == WH_TYPE_FLOAT)
		return NULL;
	for (uint64_t i = 0; i < p->info.count && off / f->s->abi.word < f->n && f->steps; i++) {
		f->steps--;
		WH_TRY(fill_type(f, elem.type, off, depth + 1));
		off += size;
	}
	return NULL;
}

static struct wh_err *add_part(struct filling *f, struct wh_type t, uint64_t off)
{
	struct wh_shape_part part = {.off = off};
	uint64_t count;

	if (f->parts.n >= PARTS_MAX)
		return NULL;
	WH_TRY(wh_shapes_of(f->s, t, &part.shape, &count));
	return part.shape == WH_SHAPE_NONE ? NULL : WH_VEC_PUSH(&f->parts, part);
}

static struct wh_err *fill_type(struct filling *f, struct wh_type t, uint64_t off, int depth)
{
	struct plain p;

	if (depth > 16 || !f->s->steps || !plain_type(t, &p))
		return NULL;
	f->s->steps--;
	switch (p.info.kind) {
	case WH_TYPE_PTR: return fill_pointer(f, p.info.elem, off);
	case WH_TYPE_ARRAY: return fill_array(f, &p, off, depth);
	case WH_TYPE_UNION:
		if (depth)
			WH_TRY(add_part(f, p.type, off));
		return fill_union(f, &p, off, depth);
	case WH_TYPE_STRUCT:
		if (depth)
			WH_TRY(add_part(f, p.type, off));
		return fill_members(f, &p, off, depth);
	default: return NULL;
	}
}

/* struct { ...; struct item items[]; } */
static struct wh_err *find_tail(struct wh_shapes *s, const struct plain *p, uint32_t *ret,
				uint64_t *ret_off)
{
	struct wh_member m;
	struct plain last;
	uint64_t count;

	if (p->info.kind != WH_TYPE_STRUCT || !p->info.count ||
	    !wh_type_get_member(p->type, p->info.count - 1, &m) || !plain_type(m.type, &last) ||
	    last.info.kind != WH_TYPE_ARRAY || last.info.count)
		return NULL;
	*ret_off = m.offset;
	WH_TRY(wh_shapes_of(s, last.info.elem, ret, &count));
	if (*ret == WH_SHAPE_NONE)
		*ret = WH_SHAPE_ANY; /* text, say */
	return NULL;
}

static struct wh_err *compile(struct wh_shapes *s, uint32_t shape, struct filling *f)
{
	struct wh_shape *sh = &s->v.v[shape];
	uint32_t tail = WH_SHAPE_NONE;
	struct wh_shape_part *parts;
	uint64_t tail_off = 0;
	struct plain p;

	WH_TRY(fill_type(f, sh->type, 0, 0));
	if (plain_type(s->v.v[shape].type, &p))
		WH_TRY(find_tail(s, &p, &tail, &tail_off));
	parts = wh_arena_alloc(&s->mem, (f->parts.n + 1) * sizeof(*parts));
	if (!parts)
		return &wh_err_nomem;
	if (f->parts.n)
		memcpy(parts, f->parts.v, f->parts.n * sizeof(*parts));
	sh = &s->v.v[shape]; /* it may have moved */
	sh->words = f->words;
	sh->n_words = f->n;
	sh->parts = parts;
	sh->n_parts = (uint32_t)f->parts.n;
	sh->tail = tail;
	sh->tail_off = tail_off;
	sh->pointers = tail < WH_SHAPE_ANY;
	for (uint32_t i = 0; i < f->n; i++)
		sh->pointers |= f->words[i] < WH_SHAPE_ANY;
	sh->compiled = true;
	return NULL;
}

static struct wh_err *compile_once(struct wh_shapes *s, uint32_t shape)
{
	const struct wh_shape *sh = &s->v.v[shape];
	struct filling f = {.s = s, .steps = SHAPE_STEPS};
	struct wh_err *e;

	if (sh->compiled)
		return NULL;
	f.n = sh->size / s->abi.word < WORDS_MAX ? (uint32_t)(sh->size / s->abi.word) : WORDS_MAX;
	f.words = wh_arena_alloc(&s->mem, (f.n + 1u) * sizeof(*f.words));
	if (!f.words)
		return &wh_err_nomem;
	memset(f.words, 0xff, (f.n + 1u) * sizeof(*f.words));
	e = compile(s, shape, &f);
	WH_VEC_FINI(&f.parts);
	return e;
}

struct wh_err *wh_shapes_get(struct wh_shapes *s, uint32_t shape, const struct wh_shape **ret)
{
	WH_TRY(compile_once(s, shape));
	if (s->v.v[shape].tail < WH_SHAPE_ANY)
		WH_TRY(compile_once(s, s->v.v[shape].tail));
	*ret = &s->v.v[shape];
	return NULL;
}

/* ---- asking ---- */

static uint32_t word_of(const struct wh_shapes *s, const struct wh_shape *sh, uint64_t off)
{
	if (off % s->abi.word || off / s->abi.word >= sh->n_words)
		return WH_SHAPE_NONE;
	return sh->words[off / s->abi.word];
}

uint32_t wh_shape_target(const struct wh_shapes *s, const struct wh_shape *sh, uint64_t n,
			 uint64_t off)
{
	const struct wh_shape *tail = sh->tail < s->v.n ? &s->v.v[sh->tail] : NULL;

	if (n > 1)
		return off / sh->size < n ? word_of(s, sh, off % sh->size) : WH_SHAPE_NONE;
	if (tail && tail->compiled && off >= sh->tail_off)
		return word_of(s, tail, (off - sh->tail_off) % tail->size);
	return off < sh->size ? word_of(s, sh, off) : WH_SHAPE_NONE;
}

bool wh_shape_has_part(const struct wh_shape *sh, uint32_t part, uint64_t off)
{
	for (uint32_t i = 0; i < sh->n_parts; i++)
		if (sh->parts[i].shape == part && sh->parts[i].off == off)
			return true;
	return false;
}
