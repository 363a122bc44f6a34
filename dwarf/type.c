/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The provider chain and everything that can be said of types without knowing where they come from:
 * stripping, dotted paths, flattening of anonymous members.  Types of a dump may lie in circles: every
 * chain is followed at most WH_LIMIT_TYPE_DEPTH steps, and a search through nested anonymous members
 * has a budget.
 */
#include "dwarf/type.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/base/limits.h"
#include "analyzer/base/vec.h"

#define MEMBER_BUDGET 100000 /* members looked at in one search */

struct wh_types {
	WH_VEC(struct wh_type_provider *)
	providers; /* each allocated alone: wh_type points at it */
};

struct wh_err *wh_types_create(struct wh_types **ret)
{
	struct wh_types *t = calloc(1, sizeof(*t));

	if (!t)
		return &wh_err_nomem;
	*ret = t;
	return NULL;
}

void wh_types_destroy(struct wh_types *t)
{
	if (!t)
		return;
	/* Backwards: later providers may lean on earlier ones. */
	for (size_t i = t->providers.n; i-- > 0;) {
		struct wh_type_provider *p = t->providers.v[i];

		if (p->ops->close)
			p->ops->close(p->priv);
		free(p->label);
		free(p);
	}
	WH_VEC_FINI(&t->providers);
	free(t);
}

struct wh_err *wh_types_add(struct wh_types *t, const struct wh_type_provider_ops *ops, void *priv,
			    const char *label)
{
	struct wh_type_provider *p = calloc(1, sizeof(*p));
	struct wh_err *e = p ? NULL : &wh_err_nomem;

	if (!e) {
		p->label = strdup(label);
		e = p->label ? WH_VEC_PUSH(&t->providers, p) : &wh_err_nomem;
	}
	if (e) {
		if (p)
			free(p->label);
		free(p);
		if (ops->close)
			ops->close(priv);
		return e;
	}
	p->ops = ops;
	p->priv = priv;
	return NULL;
}

const struct wh_type_provider *wh_types_provider(const struct wh_types *t, const void *priv)
{
	for (size_t i = 0; i < t->providers.n; i++)
		if (t->providers.v[i]->priv == priv)
			return t->providers.v[i];
	return NULL;
}

struct wh_err *wh_type_get_info(struct wh_type t, struct wh_type_info *ret)
{
	struct wh_type_info info = {.name = ""};

	if (!t.provider) {
		*ret = info;
		return NULL;
	}
	WH_TRY(t.provider->ops->info(t.provider->priv, t.id, &info));
	if (info.elem.id)
		info.elem.provider = t.provider;
	*ret = info;
	return NULL;
}

static bool type_info(struct wh_type t, struct wh_type_info *ret)
{
	struct wh_err *e = wh_type_get_info(t, ret);

	if (!e)
		return true;
	wh_err_destroy(e);
	return false;
}

struct wh_type wh_type_strip(struct wh_type t)
{
	struct wh_type_info info;

	for (int i = 0; i < WH_LIMIT_TYPE_DEPTH && t.provider; i++) {
		if (!type_info(t, &info))
			break;
		if (info.kind != WH_TYPE_TYPEDEF)
			return t;
		t = info.elem;
	}
	return (struct wh_type){0};
}

bool wh_type_get_member(struct wh_type t, size_t i, struct wh_member *ret)
{
	struct wh_member m = {.name = ""};
	struct wh_err *e;

	if (!t.provider || !t.provider->ops->member)
		return false;
	e = t.provider->ops->member(t.provider->priv, t.id, i, &m);
	if (e) {
		wh_err_destroy(e);
		return false;
	}
	if (m.type.id)
		m.type.provider = t.provider;
	*ret = m;
	return true;
}

bool wh_type_get_enum_value(struct wh_type t, size_t i, const char **ret_name, int64_t *ret_value)
{
	struct wh_err *e;

	if (!t.provider || !t.provider->ops->enum_value)
		return false;
	e = t.provider->ops->enum_value(t.provider->priv, t.id, i, ret_name, ret_value);
	wh_err_destroy(e);
	return !e;
}

static bool is_compound(struct wh_type t, struct wh_type_info *ret)
{
	return type_info(t, ret) && (ret->kind == WH_TYPE_STRUCT || ret->kind == WH_TYPE_UNION);
}

/* A member by plain name, through anonymous structs and unions; nearest level first. */
static bool member_search(struct wh_type t, const char *name, size_t len, int depth, int *budget,
			  struct wh_member *ret)
{
	struct wh_type_info info, sub;
	struct wh_member m;

	if (depth >= WH_LIMIT_TYPE_DEPTH || !is_compound(t, &info))
		return false;
	for (size_t i = 0; wh_type_get_member(t, i, &m); i++) {
		if (--*budget <= 0)
			return false;
		if (!strncmp(m.name, name, len) && !m.name[len]) {
			*ret = m;
			return true;
		}
	}
	for (size_t i = 0; wh_type_get_member(t, i, &m); i++) {
		uint64_t outer = m.offset;
		struct wh_type inner;

		if (--*budget <= 0)
			return false;
		if (m.name[0])
			continue;
		inner = wh_type_strip(m.type);
		if (!is_compound(inner, &sub) ||
		    !member_search(inner, name, len, depth + 1, budget, &m))
			continue;
		m.offset += outer;
		*ret = m;
		return true;
	}
	return false;
}

bool wh_type_find_member(struct wh_type t, const char *path, struct wh_member *ret)
{
	struct wh_member m = {.name = ""}, out;
	int budget = MEMBER_BUDGET;
	uint64_t base = 0;

	for (int part = 0; part < WH_LIMIT_TYPE_DEPTH; part++) {
		size_t len = strcspn(path, ".");

		if (!len || !member_search(wh_type_strip(t), path, len, 0, &budget, &m))
			return false;
		out = m;
		out.offset += base;
		if (!path[len]) {
			*ret = out;
			return true;
		}
		base = out.offset;
		t = m.type;
		path += len + 1;
	}
	return false;
}

static bool provider_find(const struct wh_type_provider *p, const char *name, size_t nth,
			  struct wh_type *ret)
{
	uint64_t id = 0;
	struct wh_err *e = p->ops->find(p->priv, name, nth, &id);

	if (e) {
		wh_err_destroy(e);
		return false;
	}
	*ret = (struct wh_type){.provider = p, .id = id};
	return true;
}

/* "struct page" is "page". */
static const char *bare_name(const char *name)
{
	static const char *const prefix[] = {"struct ", "union ", "enum "};

	for (size_t i = 0; i < sizeof(prefix) / sizeof(prefix[0]); i++)
		if (!strncmp(name, prefix[i], strlen(prefix[i])))
			return name + strlen(prefix[i]);
	return name;
}

bool wh_types_find(const struct wh_types *t, const char *name, const char *with,
		   struct wh_type *ret)
{
	struct wh_member m;
	struct wh_type ty;

	name = bare_name(name);
	for (size_t i = 0; i < t->providers.n; i++)
		for (size_t nth = 0; provider_find(t->providers.v[i], name, nth, &ty); nth++)
			if (!with || wh_type_find_member(ty, with, &m)) {
				*ret = ty;
				return true;
			}
	return false;
}

bool wh_types_offset(const struct wh_types *t, const char *type, const char *member,
		     uint64_t *ret_bytes)
{
	struct wh_member m;
	struct wh_type ty;

	if (!wh_types_find(t, type, member, &ty) || !wh_type_find_member(ty, member, &m))
		return false;
	*ret_bytes = m.offset;
	return true;
}

bool wh_types_sizeof(const struct wh_types *t, const char *type, uint64_t *ret_bytes)
{
	struct wh_type_info info;
	struct wh_type ty;

	if (!wh_types_find(t, type, NULL, &ty) || !type_info(wh_type_strip(ty), &info) ||
	    !info.size)
		return false;
	*ret_bytes = info.size;
	return true;
}

/* @name among the values of the enum @ty. */
static bool enum_search(struct wh_type ty, const char *name, int64_t *ret)
{
	const char *n = NULL;
	int64_t v = 0;

	for (size_t i = 0; wh_type_get_enum_value(ty, i, &n, &v); i++)
		if (!strcmp(n, name)) {
			*ret = v;
			return true;
		}
	return false;
}

bool wh_types_enumerator(const struct wh_types *t, const char *enum_name, const char *name,
			 int64_t *ret)
{
	struct wh_type_info info;
	struct wh_type ty;

	for (size_t i = 0; i < t->providers.n; i++) {
		const struct wh_type_provider *p = t->providers.v[i];

		if (!enum_name) {
			struct wh_err *e = p->ops->enumerator
						   ? p->ops->enumerator(p->priv, name, ret)
						   : &wh_err_not_found;
			if (!e)
				return true;
			wh_err_destroy(e);
			continue;
		}
		for (size_t nth = 0; provider_find(p, bare_name(enum_name), nth, &ty); nth++) {
			ty = wh_type_strip(ty);
			if (type_info(ty, &info) && info.kind == WH_TYPE_ENUM &&
			    enum_search(ty, name, ret))
				return true;
		}
	}
	return false;
}

bool wh_types_percpu(const struct wh_types *t, const char *name, uint64_t *ret_bytes)
{
	for (size_t i = 0; i < t->providers.n; i++) {
		const struct wh_type_provider *p = t->providers.v[i];
		struct wh_err *e = p->ops->percpu ? p->ops->percpu(p->priv, name, ret_bytes)
						  : &wh_err_not_found;

		if (!e)
			return true;
		wh_err_destroy(e);
	}
	return false;
}

const char *wh_types_source(const struct wh_types *t, const char *type)
{
	struct wh_type ty;

	return wh_types_find(t, type, NULL, &ty) ? ty.provider->label : NULL;
}
