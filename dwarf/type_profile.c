/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dwarf/type_profile.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/arena.h"
#include "analyzer/base/vec.h"

struct prof_member {
	const char *name;
	uint32_t type;
	uint64_t offset;
};

struct prof_type {
	enum wh_type_kind kind;
	const char *name;
	uint64_t size, align;
	uint32_t elem, count; /* PTR, ARRAY, TYPEDEF; members of a STRUCT */
	uint32_t first;	      /* member of a STRUCT */
	bool is_signed, is_char;
};

struct wh_profile {
	struct wh_abi abi;
	unsigned int u64_align;
	struct wh_arena arena;
	WH_VEC(struct prof_type) types; /* [0] is void */
	WH_VEC(struct prof_member) members;
};

static const struct {
	const char *name;
	uint8_t size; /* 0: a word */
	bool is_signed, is_char;
} basic[] = {
	{"char", 1, true, true},  {"u8", 1, false, false},    {"i8", 1, true, false},
	{"u16", 2, false, false}, {"i16", 2, true, false},    {"u32", 4, false, false},
	{"i32", 4, true, false},  {"u64", 8, false, false},   {"i64", 8, true, false},
	{"long", 0, true, false}, {"ulong", 0, false, false},
};

static struct wh_err *prof_bad(const char *at)
{
	return wh_err_new(WH_ERR_INTERNAL, "layout profile: cannot read \"%.30s\"", at);
}

static uint32_t prof_find(const struct wh_profile *p, const char *name, size_t len,
			  enum wh_type_kind kind)
{
	for (uint32_t i = 1; i < p->types.n; i++)
		if (p->types.v[i].kind == kind && strlen(p->types.v[i].name) == len &&
		    !memcmp(p->types.v[i].name, name, len))
			return i;
	return 0;
}

/* The id of a struct by name; made as an empty one when a pointer mentions it before its declaration. */
static struct wh_err *prof_struct(struct wh_profile *p, const char *name, size_t len, uint32_t *ret)
{
	char *copy;

	*ret = prof_find(p, name, len, WH_TYPE_STRUCT);
	if (*ret)
		return NULL;
	copy = wh_arena_strndup(&p->arena, name, len);
	if (!copy)
		return &wh_err_nomem;
	*ret = (uint32_t)p->types.n;
	return WH_VEC_PUSH(&p->types,
			   (struct prof_type){.kind = WH_TYPE_STRUCT, .name = copy, .align = 1});
}

static struct wh_err *prof_pointer(struct wh_profile *p, uint32_t to, uint32_t *ret)
{
	for (*ret = 1; *ret < p->types.n; ++*ret)
		if (p->types.v[*ret].kind == WH_TYPE_PTR && p->types.v[*ret].elem == to)
			return NULL;
	return WH_VEC_PUSH(&p->types, (struct prof_type){.kind = WH_TYPE_PTR,
							 .name = "",
							 .size = p->abi.word,
							 .align = p->abi.word,
							 .elem = to});
}

static struct wh_err *prof_member_type(struct wh_profile *p, const char *s, size_t len,
				       uint32_t *ret)
{
	uint32_t to = 0;

	if (*s == '*') {
		if (len == 5 && !memcmp(s, "*void", 5))
			to = 0;
		else if (s[1] == '*' || !(to = prof_find(p, s + 1, len - 1, WH_TYPE_INT)))
			WH_TRY(s[1] == '*' ? prof_member_type(p, s + 1, len - 1, &to)
					   : prof_struct(p, s + 1, len - 1, &to));
		return prof_pointer(p, to, ret);
	}
	if (*s == '=')
		*ret = prof_find(p, s + 1, len - 1, WH_TYPE_STRUCT);
	else
		*ret = prof_find(p, s, len, WH_TYPE_INT);
	return *ret ? NULL : prof_bad(s);
}

static const char *skip_space(const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

static size_t word_len(const char *s)
{
	size_t n = 0;

	while (isalnum((unsigned char)s[n]) || s[n] == '_')
		n++;
	return n;
}

/* "8/4": the number for this word size. */
static uint64_t prof_number(const struct wh_profile *p, const char *s, const char **ret_end)
{
	char *end;
	unsigned long a = strtoul(s, &end, 10), b = a;

	if (*end == '/')
		b = strtoul(end + 1, &end, 10);
	*ret_end = skip_space(end);
	return p->abi.word == 8 ? a : b;
}

static uint64_t align_up(uint64_t v, uint64_t a)
{
	return a > 1 ? (v + a - 1) / a * a : v;
}

struct prof_at {
	const char *s;
	uint64_t offset, align;
};

static struct wh_err *prof_add_member(struct wh_profile *p, struct prof_at *at)
{
	const char *type, *name;
	size_t type_len, name_len;
	uint32_t id;
	struct prof_type t;
	struct prof_member m;

	if (*at->s == '@')
		at->offset = prof_number(p, at->s + 1, &at->s);
	type = at->s;
	type_len = strspn(type, "*=");
	type_len += word_len(type + type_len);
	WH_TRY(prof_member_type(p, type, type_len, &id));
	name = skip_space(type + type_len);
	name_len = word_len(name);
	at->s = name + name_len;
	if (*at->s == '[') {
		struct prof_type a = {.kind = WH_TYPE_ARRAY, .name = "", .elem = id};

		a.count = (uint32_t)prof_number(p, at->s + 1, &at->s);
		a.size = a.count * p->types.v[id].size;
		a.align = p->types.v[id].align;
		at->s += *at->s == ']';
		id = (uint32_t)p->types.n;
		WH_TRY(WH_VEC_PUSH(&p->types, a));
	}
	t = p->types.v[id];
	at->offset = align_up(at->offset, t.align);
	m = (struct prof_member){wh_arena_strndup(&p->arena, name, name_len), id, at->offset};
	if (!m.name)
		return &wh_err_nomem;
	if (!name_len)
		return prof_bad(type);
	at->offset += t.size;
	at->align = t.align > at->align ? t.align : at->align;
	at->s = skip_space(at->s);
	at->s = skip_space(at->s + (*at->s == ';'));
	return WH_VEC_PUSH(&p->members, m);
}

/* One line; *s moves behind it. */
static struct wh_err *prof_declare(struct wh_profile *p, const char **s)
{
	struct prof_at at = {.s = *s, .align = 1};
	size_t len = word_len(at.s);
	uint32_t id, first = (uint32_t)p->members.n;
	struct prof_type *t;

	WH_TRY(prof_struct(p, at.s, len, &id));
	at.s = skip_space(at.s + len);
	len = word_len(at.s);
	if (len) {
		struct prof_type alias = {.kind = WH_TYPE_TYPEDEF,
					  .name = wh_arena_strndup(&p->arena, at.s, len),
					  .elem = id};

		if (!alias.name)
			return &wh_err_nomem;
		WH_TRY(WH_VEC_PUSH(&p->types, alias));
		at.s = skip_space(at.s + len);
	}
	if (*at.s != '=')
		return prof_bad(*s);
	at.s = skip_space(at.s + 1);
	while (*at.s && *at.s != '\n' && *at.s != '#')
		WH_TRY(prof_add_member(p, &at));
	at.offset = align_up(at.offset, at.align);
	if (*at.s == '#')
		at.offset = prof_number(p, at.s + 1, &at.s);
	t = &p->types.v[id];
	t->size = at.offset;
	t->align = at.align;
	t->first = first;
	t->count = (uint32_t)p->members.n - first;
	*s = at.s + (*at.s == '\n');
	return NULL;
}

static struct wh_err *prof_basics(struct wh_profile *p)
{
	WH_TRY(WH_VEC_PUSH(&p->types, (struct prof_type){.kind = WH_TYPE_VOID, .name = "void"}));
	for (size_t i = 0; i < sizeof(basic) / sizeof(*basic); i++) {
		uint64_t size = basic[i].size ? basic[i].size : p->abi.word;

		WH_TRY(WH_VEC_PUSH(&p->types,
				   (struct prof_type){.kind = WH_TYPE_INT,
						      .name = basic[i].name,
						      .size = size,
						      .align = size == 8 ? p->u64_align : size,
						      .is_signed = basic[i].is_signed,
						      .is_char = basic[i].is_char}));
	}
	return NULL;
}

struct wh_err *wh_profile_create(struct wh_abi abi, unsigned int u64_align, const char *text,
				 struct wh_profile **ret)
{
	struct wh_profile *p = calloc(1, sizeof(*p));
	struct wh_err *e;

	if (!p)
		return &wh_err_nomem;
	p->abi = abi;
	p->u64_align = abi.word == 8 ? 8 : u64_align;
	e = prof_basics(p);
	while (!e && *text)
		e = prof_declare(p, &text);
	if (e) {
		wh_profile_destroy(p);
		return e;
	}
	*ret = p;
	return NULL;
}

void wh_profile_hide(struct wh_profile *p, const struct wh_types *known)
{
	struct wh_type t;

	for (uint32_t i = 1; i < p->types.n; i++) {
		struct prof_type *own = &p->types.v[i];

		if (own->kind == WH_TYPE_STRUCT && own->count &&
		    wh_types_find(known, own->name, NULL, &t))
			own->count = 0;
	}
}

void wh_profile_destroy(struct wh_profile *p)
{
	if (!p)
		return;
	WH_VEC_FINI(&p->types);
	WH_VEC_FINI(&p->members);
	wh_arena_fini(&p->arena);
	free(p);
}

/* ---- the provider ---- */

static struct wh_err *profile_find(void *priv, const char *name, size_t nth, uint64_t *ret_id)
{
	const struct wh_profile *p = priv;

	for (uint32_t i = 1; i < p->types.n; i++) {
		const struct prof_type *t = &p->types.v[i], *real = t;

		if (t->kind == WH_TYPE_TYPEDEF)
			real = &p->types.v[t->elem];
		if (strcmp(t->name, name) || (real->kind == WH_TYPE_STRUCT && !real->count) ||
		    nth--)
			continue;
		*ret_id = i;
		return NULL;
	}
	return &wh_err_not_found;
}

static struct wh_err *profile_info(void *priv, uint64_t id, struct wh_type_info *ret)
{
	const struct wh_profile *p = priv;
	const struct prof_type *t = &p->types.v[id < p->types.n ? id : 0];

	*ret = (struct wh_type_info){.kind = t->kind,
				     .name = t->name,
				     .size = t->size,
				     .elem = {.id = t->elem},
				     .count = t->count,
				     .is_signed = t->is_signed,
				     .is_char = t->is_char};
	if (t->kind == WH_TYPE_TYPEDEF)
		ret->size = p->types.v[t->elem].size;
	return NULL;
}

static struct wh_err *profile_member(void *priv, uint64_t id, size_t i, struct wh_member *ret)
{
	const struct wh_profile *p = priv;
	const struct prof_type *t = &p->types.v[id < p->types.n ? id : 0];
	const struct prof_member *m;

	if (t->kind != WH_TYPE_STRUCT || i >= t->count)
		return &wh_err_not_found;
	m = &p->members.v[t->first + i];
	*ret = (struct wh_member){.name = m->name,
				  .type = {.id = m->type},
				  .offset = m->offset,
				  .size = p->types.v[m->type].size};
	return NULL;
}

static struct wh_err *profile_enum_value(void *priv, uint64_t id, size_t i, const char **ret_name,
					 int64_t *ret_value)
{
	(void)priv, (void)id, (void)i, (void)ret_name, (void)ret_value;
	return &wh_err_not_found;
}

static void profile_close(void *priv)
{
	wh_profile_destroy(priv);
}

const struct wh_type_provider_ops wh_profile_provider = {
	.name = "profile",
	.find = profile_find,
	.info = profile_info,
	.member = profile_member,
	.enum_value = profile_enum_value,
	.close = profile_close,
};
