/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BTF of modules.  The loader keeps each module's blob behind the list `btf_modules`
 * (kernel/bpf/btf.c): struct btf_module {list, module, btf}; struct btf {data, data_size, start_id,
 * start_str_off}.  A blob continues vmlinux's ids and strings from start_id and start_str_off; distilled
 * bases (6.11) are already relocated in memory.
 *
 * Most questions are about core structs, so nothing is read until a name comes up that vmlinux does not
 * know.  An id is (module index + 1) << 32 | type id.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/hashmap.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/vec.h"
#include "dwarf/btf.h"
#include "dwarf/kmodules.h"
#include "dwarf/layout.h"

#define BLOB_MAX (64u << 20) /* [bytes] believed of one module's BTF */

struct layout {
	struct wh_field list, btf, data, data_size, start_id, start_str;
};

struct mod_btfs {
	const struct wh_kspace *ks;
	const struct wh_btf *base;
	uint64_t list;
	struct layout lay;
	pthread_mutex_t lock;
	bool loaded;
	WH_VEC(struct wh_btf *) mods; /* complete once loaded */
};

static const struct wh_want wants[] = {
	WH_WANT(struct layout, list, "btf_module", "list"),
	WH_WANT(struct layout, btf, "btf_module", "btf"),
	WH_WANT(struct layout, data, "btf", "data"),
	WH_WANT(struct layout, data_size, "btf", "data_size"),
	WH_WANT(struct layout, start_id, "btf", "start_id"),
	WH_WANT(struct layout, start_str, "btf", "start_str_off"),
};

static struct wh_err *load_one(struct mod_btfs *m, struct wh_reader *r, uint64_t btf)
{
	const struct layout *l = &m->lay;
	uint32_t size = 0, start_id = 0, start_str = 0;
	struct wh_btf *b = NULL;
	struct wh_err *e;
	uint64_t data = 0;
	uint8_t *p;
	size_t got;

	if (!wh_read_word(r, btf + l->data.offset, &data) ||
	    !wh_read_u32(r, btf + l->data_size.offset, &size) ||
	    !wh_read_u32(r, btf + l->start_id.offset, &start_id) ||
	    !wh_read_u32(r, btf + l->start_str.offset, &start_str) || !size || size > BLOB_MAX)
		return wh_err_new(WH_ERR_BAD_DATA, "struct btf at 0x%llx makes no sense",
				  (unsigned long long)btf);
	p = malloc(size);
	if (!p)
		return &wh_err_nomem;
	got = wh_read_some(r, WH_VIRT, data, p, size, NULL);
	e = wh_btf_create(p, got, m->base, start_id, start_str, &b);
	if (e)
		return e;
	e = WH_VEC_PUSH(&m->mods, b);
	if (e)
		wh_btf_destroy(b);
	return e;
}

static struct wh_err *load_all(struct mod_btfs *m, struct wh_reader *r)
{
	struct wh_diags *diags = m->ks->dump->ctx->diags;
	WH_CLEANUP(wh_map_fini) struct wh_map seen = WH_MAP_INIT;
	uint64_t at = m->list, next = 0, btf = 0;
	bool fresh;

	while (wh_read_word(r, at, &next) && next != m->list) {
		WH_TRY(wh_map_set(&seen, next, 1, &fresh));
		if (!fresh || seen.n > WH_LIMIT_MODULES)
			return wh_err_new(WH_ERR_BAD_DATA, "the list btf_modules runs in circles");
		at = next;
		if (wh_read_word(r, at - m->lay.list.offset + m->lay.btf.offset, &btf)) {
			struct wh_err *e = load_one(m, r, btf);

			if (wh_err_is(e, WH_ERR_NOMEM))
				return e;
			if (e)
				wh_diag_add_err(diags, WH_DIAG_NOTE, "module-btf", e);
		}
	}
	return NULL;
}

static void load_once(struct mod_btfs *m)
{
	struct wh_reader *r = NULL;
	struct wh_err *e;

	pthread_mutex_lock(&m->lock);
	if (!m->loaded) {
		e = wh_reader_create(m->ks->mem, &r);
		if (!e)
			e = load_all(m, r);
		wh_reader_destroy(r);
		if (e)
			wh_diag_add_err(m->ks->dump->ctx->diags, WH_DIAG_NOTE, "module-btf", e);
		m->loaded = true;
	}
	pthread_mutex_unlock(&m->lock);
}

static struct wh_err *mods_find(void *priv, const char *name, size_t nth, uint64_t *ret_id)
{
	struct mod_btfs *m = priv;
	uint64_t id = 0;
	struct wh_err *e;

	/* A name that vmlinux knows is vmlinux's. */
	e = wh_btf_ops.find((void *)(uintptr_t)m->base, name, 0, &id);
	if (!e)
		return &wh_err_not_found;
	wh_err_destroy(e);
	load_once(m);
	for (size_t i = 0; i < m->mods.n; i++)
		for (size_t k = 0; !wh_btf_ops.find(m->mods.v[i], name, k, &id); k++)
			if (!nth--) {
				*ret_id = (uint64_t)(i + 1) << 32 | id;
				return NULL;
			}
	return &wh_err_not_found;
}

static struct wh_btf *mod_of(const struct mod_btfs *m, uint64_t id)
{
	uint64_t i = id >> 32;

	return i && i <= m->mods.n ? m->mods.v[i - 1] : NULL;
}

/* Ids that a module's types refer to are in that module's numbering. */
static uint64_t id_in(uint64_t outer, uint64_t id)
{
	return id ? (outer & ~(uint64_t)UINT32_MAX) | id : 0;
}

static struct wh_err *mods_info(void *priv, uint64_t id, struct wh_type_info *ret)
{
	struct wh_btf *b = mod_of(priv, id);

	if (!b)
		return &wh_err_not_found;
	WH_TRY(wh_btf_ops.info(b, (uint32_t)id, ret));
	ret->elem.id = id_in(id, ret->elem.id);
	return NULL;
}

static struct wh_err *mods_member(void *priv, uint64_t id, size_t i, struct wh_member *ret)
{
	struct wh_btf *b = mod_of(priv, id);

	if (!b)
		return &wh_err_not_found;
	WH_TRY(wh_btf_ops.member(b, (uint32_t)id, i, ret));
	ret->type.id = id_in(id, ret->type.id);
	return NULL;
}

static struct wh_err *mods_enum_value(void *priv, uint64_t id, size_t i, const char **ret_name,
				      int64_t *ret_value)
{
	struct wh_btf *b = mod_of(priv, id);

	return b ? wh_btf_ops.enum_value(b, (uint32_t)id, i, ret_name, ret_value)
		 : &wh_err_not_found;
}

static void mods_close(void *priv)
{
	struct mod_btfs *m = priv;

	for (size_t i = 0; i < m->mods.n; i++)
		wh_btf_destroy(m->mods.v[i]);
	WH_VEC_FINI(&m->mods);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static const struct wh_type_provider_ops mods_ops = {
	.name = "btf",
	.find = mods_find,
	.info = mods_info,
	.member = mods_member,
	.enum_value = mods_enum_value,
	.close = mods_close,
};

struct wh_err *wh_kmodules_add_btf(struct wh_types *types, const struct wh_kspace *ks,
				   const struct wh_btf *base, uint64_t list)
{
	struct mod_btfs *m = calloc(1, sizeof(*m));
	struct wh_err *e;

	if (!m)
		return &wh_err_nomem;
	m->ks = ks;
	m->base = base;
	m->list = list;
	e = wh_layout_resolve(types, wants, sizeof(wants) / sizeof(wants[0]), &m->lay);
	if (e) {
		free(m);
		return e;
	}
	pthread_mutex_init(&m->lock, NULL);
	return wh_types_add(types, &mods_ops, m, "btf:modules");
}
