/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sections of an illumos core.  For each mapped object the kernel writes (coreadm(1M) content "symtab", "ctf"):
 *
 *	.symtab .strtab  or  .dynsym .dynstr    sh_addr = where the object is mapped
 *	.SUNW_ctf                               the same; sh_link = its symbol table
 *
 * So local symbols and types are there without any file, and objects are known whose text, with the ELF
 * header in it, is not.  Facts: illumos-gate usr/src/uts/common/exec/elf/elf.c (2019).
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/limits.h"
#include "dwarf/umod_priv.h"

#define SECTIONS_MAX (4u * WH_LIMIT_MODULES)
#define BYTES_MAX    (256u << 20) /* of all sections that are read */

struct section {
	uint32_t name, type, link, info;
	uint64_t addr, off, size;
};

struct table {
	struct wh_un_priv *p;
	const struct wh_stream *st;
	struct section *v;
	size_t n;
	uint64_t left; /* [bytes] that may still be read */
};

static struct section decode(struct wh_abi a, const uint8_t *q)
{
	if (a.word == 8)
		return (struct section){wh_get_u32(a, q),      wh_get_u32(a, q + 4),
					wh_get_u32(a, q + 40), wh_get_u32(a, q + 44),
					wh_get_u64(a, q + 16), wh_get_u64(a, q + 24),
					wh_get_u64(a, q + 32)};
	return (struct section){wh_get_u32(a, q),      wh_get_u32(a, q + 4),  wh_get_u32(a, q + 24),
				wh_get_u32(a, q + 28), wh_get_u32(a, q + 12), wh_get_u32(a, q + 16),
				wh_get_u32(a, q + 20)};
}

/* The section headers; an empty table when there are none. *ret_names: index of their names. */
static struct wh_err *read_headers(struct table *t, size_t *ret_names)
{
	struct wh_abi a = t->p->abi;
	bool w8 = a.word == 8;
	size_t size = w8 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr), n;
	uint8_t h[sizeof(Elf64_Ehdr)] = {0}, first[sizeof(Elf64_Shdr)];
	WH_AUTO_FREE uint8_t *raw = NULL;
	uint64_t off;
	struct section zero;

	(void)wh_stream_read(t->st, 0, h, sizeof(h));
	off = w8 ? wh_get_u64(a, h + 40) : wh_get_u32(a, h + 32);
	if (!off || wh_get_u16(a, h + (w8 ? 58 : 46)) != size ||
	    wh_stream_read(t->st, off, first, size) < size)
		return NULL;
	zero = decode(a, first);
	n = wh_get_u16(a, h + (w8 ? 60 : 48));
	/* More than fit into the header: the numbers are in section 0. */
	n = n ? n : zero.size < SECTIONS_MAX ? (size_t)zero.size : SECTIONS_MAX;
	*ret_names = wh_get_u16(a, h + (w8 ? 62 : 50));
	if (*ret_names == SHN_XINDEX)
		*ret_names = zero.link;
	raw = malloc(n * size + 1);
	t->v = wh_calloc(n + 1, sizeof(*t->v));
	if (!raw || !t->v)
		return &wh_err_nomem;
	t->n = wh_stream_read(t->st, off, raw, n * size) / size;
	for (size_t i = 0; i < t->n; i++)
		t->v[i] = decode(a, raw + i * size);
	return NULL;
}

/* Contents of a section as far as the file has them, with a NUL behind. */
static struct wh_err *load(struct table *t, const struct section *s, uint8_t **ret, size_t *ret_len)
{
	uint64_t have = wh_stream_size(t->st), n;

	have = s->off < have ? have - s->off : 0;
	n = s->size < have ? s->size : have;
	n = n < t->left ? n : t->left;
	t->left -= n;
	*ret = malloc((size_t)n + 1);
	if (!*ret)
		return &wh_err_nomem;
	*ret_len = wh_stream_read(t->st, s->off, *ret, (size_t)n);
	(*ret)[*ret_len] = 0;
	return NULL;
}

struct wh_uobject *wh_umod_object(struct wh_un_priv *p, uint64_t base)
{
	for (size_t i = 0; i < p->objects.n; i++)
		if (p->objects.v[i].base == base)
			return &p->objects.v[i];
	return NULL;
}

static struct wh_err *object_for(struct wh_un_priv *p, uint64_t base, struct wh_uobject **ret)
{
	*ret = wh_umod_object(p, base);
	if (*ret)
		return NULL;
	if (p->objects.n >= WH_LIMIT_MODULES)
		return wh_err_new(WH_ERR_LIMIT, "more than %u objects", WH_LIMIT_MODULES);
	WH_TRY(WH_VEC_PUSH(&p->objects, (struct wh_uobject){.base = base}));
	*ret = &p->objects.v[p->objects.n - 1];
	return NULL;
}

static struct wh_err *take_section(struct table *t, const struct section *s, const char *name)
{
	struct wh_uobject *o;

	if (!s->addr)
		return NULL;
	if (!strcmp(name, ".SUNW_ctf")) {
		WH_TRY(object_for(t->p, s->addr, &o));
		return o->ctf ? NULL : load(t, s, &o->ctf, &o->ctf_len);
	}
	if ((s->type != SHT_SYMTAB && s->type != SHT_DYNSYM) || s->link >= t->n ||
	    t->v[s->link].type != SHT_STRTAB)
		return NULL;
	WH_TRY(object_for(t->p, s->addr, &o));
	if (o->syms)
		return NULL;
	WH_TRY(load(t, s, &o->syms, &o->syms_len));
	return load(t, &t->v[s->link], &o->strs, &o->strs_len);
}

struct wh_err *wh_umod_objects_read(struct wh_un_priv *p, const struct wh_dump *d)
{
	struct table t = {.p = p, .st = d->n_streams ? d->streams[0] : NULL, .left = BYTES_MAX};
	WH_AUTO_FREE uint8_t *names = NULL;
	size_t at = 0, len = 0;
	struct wh_err *e;

	if (!t.st)
		return NULL;
	e = read_headers(&t, &at);
	if (!e && at < t.n)
		e = load(&t, &t.v[at], &names, &len);
	for (size_t i = 1; !e && i < t.n; i++)
		e = take_section(&t, &t.v[i],
				 t.v[i].name < len ? (const char *)names + t.v[i].name : "");
	free(t.v);
	return e;
}

void wh_umod_objects_fini(struct wh_un_priv *p)
{
	for (size_t i = 0; i < p->objects.n; i++) {
		free(p->objects.v[i].syms);
		free(p->objects.v[i].strs);
		free(p->objects.v[i].ctf);
	}
	WH_VEC_FINI(&p->objects);
}

bool wh_umod_object_symbol(const struct wh_un_priv *p, const struct wh_uobject *o, size_t i,
			   struct wh_usym *ret)
{
	size_t size = p->abi.word == 8 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);

	return o->syms && i < o->syms_len / size &&
	       wh_umod_symbol(p->abi, o->syms + i * size, (const char *)o->strs, o->strs_len, ret);
}

size_t wh_umod_object_count(const struct wh_un_priv *p, const struct wh_uobject *o)
{
	return o->syms_len / (p->abi.word == 8 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym));
}

bool wh_umod_object_find(const struct wh_un_priv *p, const struct wh_uobject *o, const char *name,
			 uint64_t *ret)
{
	struct wh_usym s;

	for (size_t i = 1; i < wh_umod_object_count(p, o); i++)
		if (wh_umod_object_symbol(p, o, i, &s) && !strcmp(s.name, name)) {
			*ret = s.value;
			return true;
		}
	return false;
}
