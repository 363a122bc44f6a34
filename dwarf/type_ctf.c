/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A container is a header and, maybe compressed, five tables; we use two:
 *
 *	header | labels | objects | functions | types | strings
 *
 * Types are records of varying length, numbered from 1 in order, so one pass at load time writes down where
 * each begins and checks that it lies inside the table.  Everything after that pass may index freely.
 */
#include "dwarf/type_ctf.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "analyzer/base/hashmap.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/order.h"
#include "analyzer/base/vec.h"

enum {
	CTF_MAGIC = 0xcff1,
	CTF_F_COMPRESS = 1,
	CTF_HEADER_V1 = 24,
	CTF_HEADER_V2 = 36,
	CTF_CHILD = 0x8000,
	CTF_LSIZE_SENT = 0xffff,
	CTF_LSTRUCT = 8192, /* members of larger structs have 64-bit offsets */
	CTF_INT_SIGNED = 1,
	CTF_INT_CHAR = 2,
	CTF_INT_BOOL = 4,
};
#define CTF_EXPANDED_MAX (256ull << 20)

enum ctf_kind {
	CTF_K_NONE,
	CTF_K_INTEGER,
	CTF_K_FLOAT,
	CTF_K_POINTER,
	CTF_K_ARRAY,
	CTF_K_FUNCTION,
	CTF_K_STRUCT,
	CTF_K_UNION,
	CTF_K_ENUM,
	CTF_K_FORWARD,
	CTF_K_TYPEDEF,
	CTF_K_VOLATILE,
	CTF_K_CONST,
	CTF_K_RESTRICT,
};

struct ctf_box {
	char *module;
	uint8_t *buf; /* tables, expanded */
	size_t len;
	uint8_t version;
	bool child;
	uint32_t parent_name; /* name reference */
	size_t parent;	      /* box index; own index when there is none */
	uint32_t typeoff, stroff, strlen;
	uint32_t *at; /* at[id] = offset of type id in buf */
	uint32_t n;   /* ids 1..n-1 are valid */
};

struct ctf_name {
	uint64_t hash;
	uint32_t box, id;
};

struct wh_ctf {
	struct wh_ctx *ctx;
	struct wh_abi abi;
	WH_VEC(struct ctf_box) boxes;
	WH_VEC(struct ctf_name) names;
};

/* One decoded type record. */
struct ctf_rec {
	const struct ctf_box *box;
	size_t box_index;
	enum ctf_kind kind;
	uint32_t vlen;
	uint32_t name;
	uint32_t type; /* the size-or-type half word, as a type */
	uint64_t size;
	const uint8_t *var; /* what follows */
	size_t var_len;	    /* [bytes] that `var` occupies by kind and vlen */
};

static const char *box_str(const struct ctf_box *b, uint32_t ref)
{
	/* Bit 31 chooses the ELF string table, which type names do not use in practice. */
	if (ref & 0x80000000u || ref >= b->strlen)
		return "";
	return (const char *)b->buf + b->stroff + ref;
}

static size_t ctf_var_len(enum ctf_kind k, uint32_t vlen, uint64_t size)
{
	switch (k) {
	case CTF_K_INTEGER:
	case CTF_K_FLOAT: return 4;
	case CTF_K_ARRAY: return 8;
	case CTF_K_FUNCTION: return 2 * ((size_t)vlen + (vlen & 1));
	case CTF_K_STRUCT:
	case CTF_K_UNION: return (size_t)vlen * (size < CTF_LSTRUCT ? 8 : 16);
	case CTF_K_ENUM: return (size_t)vlen * 8;
	default: return 0;
	}
}

/* Decodes the record at @off; false when it does not fit before the strings. */
static bool ctf_decode(const struct wh_ctf *c, const struct ctf_box *b, size_t off,
		       struct ctf_rec *ret, size_t *ret_next)
{
	const uint8_t *p = b->buf + off;
	size_t left = b->stroff - off, head = 8;
	unsigned int info;

	if (left < head)
		return false;
	ret->name = wh_get_u32(c->abi, p);
	info = wh_get_u16(c->abi, p + 4);
	ret->type = wh_get_u16(c->abi, p + 6);
	ret->size = ret->type;
	if (b->version == 1) {
		ret->kind = (enum ctf_kind)(info >> 12 & 0xf);
		ret->vlen = info & 0x7ff;
	} else {
		ret->kind = (enum ctf_kind)(info >> 11 & 0x1f);
		ret->vlen = info & 0x3ff;
	}
	if (ret->type == CTF_LSIZE_SENT) {
		head = 16;
		if (left < head)
			return false;
		ret->size = (uint64_t)wh_get_u32(c->abi, p + 8) << 32 | wh_get_u32(c->abi, p + 12);
	}
	if (ret->kind > CTF_K_RESTRICT)
		return false;
	ret->var = p + head;
	ret->var_len = ctf_var_len(ret->kind, ret->vlen, ret->size);
	if (ret->var_len > left - head)
		return false;
	*ret_next = off + head + ret->var_len;
	return true;
}

static struct wh_err *ctf_index_types(struct wh_ctf *c, struct ctf_box *b)
{
	WH_VEC(uint32_t) at = {0};
	size_t off = b->typeoff, next = 0;
	struct ctf_rec r;
	struct wh_err *e = WH_VEC_PUSH(&at, 0);

	while (!e && off < b->stroff && at.n < CTF_CHILD) {
		if (!ctf_decode(c, b, off, &r, &next)) {
			wh_diag_add(c->ctx->diags, WH_DIAG_WARN, "ctf-damaged", 0,
				    "CTF of %s: type %zu at offset %zu does not fit; later types "
				    "are lost",
				    b->module, at.n, off);
			break;
		}
		e = WH_VEC_PUSH(&at, (uint32_t)off);
		off = next;
	}
	b->at = at.v;
	b->n = (uint32_t)at.n;
	return e;
}

/* Expands or copies the tables behind the header into b->buf. */
static struct wh_err *ctf_expand(struct ctf_box *b, const uint8_t *data, size_t len, bool packed,
				 uint64_t want)
{
	uLongf out = (uLongf)want;

	if (want > CTF_EXPANDED_MAX)
		return wh_err_new(WH_ERR_LIMIT, "CTF of %s claims %llu bytes", b->module,
				  (unsigned long long)want);
	b->buf = malloc((size_t)want + 1);
	if (!b->buf)
		return &wh_err_nomem;
	b->buf[want] = '\0'; /* the last string always ends */
	b->len = (size_t)want;
	if (!packed) {
		if (want > len)
			return wh_err_new(WH_ERR_BAD_DATA,
					  "CTF of %s is cut: %zu of %llu bytes are there",
					  b->module, len, (unsigned long long)want);
		memcpy(b->buf, data, (size_t)want);
		return NULL;
	}
	/* deflate expands at most about 1032 times */
	if (want / 1100 > len || uncompress(b->buf, &out, data, (uLong)len) != Z_OK || out != want)
		return wh_err_new(WH_ERR_BAD_DATA,
				  "CTF of %s: expected a zlib stream of %llu bytes", b->module,
				  (unsigned long long)want);
	return NULL;
}

static struct wh_err *ctf_parse(struct wh_ctf *c, struct ctf_box *b, const uint8_t *p, size_t len)
{
	size_t head;
	uint64_t want;

	if (len < 4 || wh_get_u16(c->abi, p) != CTF_MAGIC)
		return wh_err_new(WH_ERR_BAD_DATA, "CTF of %s: bad magic", b->module);
	b->version = p[2];
	if (b->version < 1 || b->version > 2)
		return wh_err_new(WH_ERR_UNSUPPORTED, "CTF of %s: version %u, expected 1 or 2",
				  b->module, b->version);
	head = b->version == 1 ? CTF_HEADER_V1 : CTF_HEADER_V2;
	if (len < head)
		return wh_err_new(WH_ERR_BAD_DATA, "CTF of %s: header is cut", b->module);
	/* Both headers end with objtoff funcoff typeoff stroff strlen. */
	b->typeoff = wh_get_u32(c->abi, p + head - 12);
	b->stroff = wh_get_u32(c->abi, p + head - 8);
	b->strlen = wh_get_u32(c->abi, p + head - 4);
	if (b->version == 2)
		b->parent_name = wh_get_u32(c->abi, p + 8);
	want = (uint64_t)b->stroff + b->strlen;
	if (b->typeoff > b->stroff || b->typeoff % 4)
		return wh_err_new(WH_ERR_BAD_DATA,
				  "CTF of %s: types at %u, strings at %u make no sense", b->module,
				  b->typeoff, b->stroff);
	WH_TRY(ctf_expand(b, p + head, len - head, p[3] & CTF_F_COMPRESS, want));
	b->child = b->parent_name != 0 && *box_str(b, b->parent_name);
	return ctf_index_types(c, b);
}

static void ctf_box_fini(struct ctf_box *b)
{
	free(b->module);
	free(b->buf);
	free(b->at);
}

struct wh_err *wh_ctf_create(struct wh_ctx *ctx, struct wh_abi abi, struct wh_ctf **ret)
{
	struct wh_ctf *c = calloc(1, sizeof(*c));

	if (!c)
		return &wh_err_nomem;
	c->ctx = ctx;
	c->abi = abi;
	*ret = c;
	return NULL;
}

void wh_ctf_destroy(struct wh_ctf *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->boxes.n; i++)
		ctf_box_fini(&c->boxes.v[i]);
	WH_VEC_FINI(&c->boxes);
	WH_VEC_FINI(&c->names);
	free(c);
}

size_t wh_ctf_count(const struct wh_ctf *c)
{
	return c->boxes.n;
}

struct wh_err *wh_ctf_add(struct wh_ctf *c, const char *module, const void *data, size_t len)
{
	struct ctf_box b = {.module = strdup(module), .parent = c->boxes.n};
	struct wh_err *e = b.module ? NULL : &wh_err_nomem;

	if (!e && c->boxes.n >= WH_LIMIT_MODULES)
		e = wh_err_new(WH_ERR_LIMIT, "too many CTF containers");
	if (!e)
		e = ctf_parse(c, &b, data, len);
	if (!e)
		e = WH_VEC_PUSH(&c->boxes, b);
	if (e)
		ctf_box_fini(&b);
	return e;
}

static bool ctf_named_kind(enum ctf_kind k)
{
	return k == CTF_K_INTEGER || k == CTF_K_FLOAT || k == CTF_K_STRUCT || k == CTF_K_UNION ||
	       k == CTF_K_ENUM || k == CTF_K_TYPEDEF;
}

static int name_cmp(const void *pa, const void *pb)
{
	const struct ctf_name *a = pa, *b = pb;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	if (a->box != b->box)
		return a->box < b->box ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

static struct wh_err *ctf_index_names(struct wh_ctf *c, size_t box)
{
	const struct ctf_box *b = &c->boxes.v[box];
	size_t next;

	for (uint32_t id = 1; id < b->n; id++) {
		struct ctf_rec r;
		const char *name;

		if (!ctf_decode(c, b, b->at[id], &r, &next) || !ctf_named_kind(r.kind))
			continue;
		name = box_str(b, r.name);
		if (*name)
			WH_TRY(WH_VEC_PUSH(
				&c->names,
				(struct ctf_name){wh_hash_bytes(name, strlen(name), WH_HASH_SEED),
						  (uint32_t)box, id}));
	}
	return NULL;
}

struct wh_err *wh_ctf_freeze(struct wh_ctf *c)
{
	for (size_t i = 0; i < c->boxes.n; i++) {
		struct ctf_box *b = &c->boxes.v[i];

		for (size_t k = 0; b->child && k < c->boxes.n; k++)
			if (k != i && !c->boxes.v[k].child &&
			    !strcmp(c->boxes.v[k].module, box_str(b, b->parent_name)))
				b->parent = k;
		if (b->child && b->parent == i)
			wh_diag_add(c->ctx->diags, WH_DIAG_WARN, "ctf-no-parent", 0,
				    "CTF of %s needs the types of %s, which are not there",
				    b->module, box_str(b, b->parent_name));
		WH_TRY(ctf_index_names(c, i));
	}
	if (c->names.n)
		wh_sort(c->names.v, c->names.n, sizeof(*c->names.v), name_cmp);
	return NULL;
}

/* ---- the provider ---- */

/* Id of the provider for CTF id @type as seen from container @box; 0 (void) when it does not exist. */
static uint64_t ctf_id(const struct wh_ctf *c, size_t box, uint32_t type)
{
	const struct ctf_box *b = &c->boxes.v[box];

	if (b->child && type < CTF_CHILD) {
		if (b->parent == box)
			return 0;
		box = b->parent;
		b = &c->boxes.v[box];
	}
	type &= CTF_CHILD - 1;
	return type && type < b->n ? (uint64_t)box << 32 | type : 0;
}

static bool ctf_get(const struct wh_ctf *c, uint64_t id, struct ctf_rec *ret)
{
	size_t box = (size_t)(id >> 32), next;
	uint32_t n = (uint32_t)id;

	if (!n || box >= c->boxes.n || n >= c->boxes.v[box].n)
		return false;
	ret->box = &c->boxes.v[box];
	ret->box_index = box;
	return ctf_decode(c, ret->box, ret->box->at[n], ret, &next);
}

static bool ctf_is_alias(enum ctf_kind k)
{
	return k == CTF_K_TYPEDEF || k == CTF_K_CONST || k == CTF_K_VOLATILE || k == CTF_K_RESTRICT;
}

/* [bytes]; 0 for what has none.  Lying references cannot loop: the depth is bounded. */
static uint64_t ctf_sizeof(const struct wh_ctf *c, uint64_t id, int depth)
{
	struct ctf_rec r;
	uint64_t n, elem;

	if (depth > WH_LIMIT_TYPE_DEPTH || !ctf_get(c, id, &r))
		return 0;
	if (ctf_is_alias(r.kind))
		return ctf_sizeof(c, ctf_id(c, r.box_index, r.type), depth + 1);
	switch (r.kind) {
	case CTF_K_POINTER: return c->abi.word;
	case CTF_K_FUNCTION:
	case CTF_K_FORWARD: return 0;
	case CTF_K_ARRAY:
		n = wh_get_u32(c->abi, r.var + 4);
		elem = ctf_sizeof(c, ctf_id(c, r.box_index, wh_get_u16(c->abi, r.var)), depth + 1);
		return n && elem > UINT64_MAX / n ? 0 : n * elem;
	default: return r.size;
	}
}

static struct wh_err *ctf_find(void *priv, const char *name, size_t nth, uint64_t *ret_id)
{
	const struct wh_ctf *c = priv;
	uint64_t hash = wh_hash_bytes(name, strlen(name), WH_HASH_SEED);
	size_t lo = WH_BOUND(i, c->names.n, c->names.v[i].hash < hash);

	for (; lo < c->names.n && c->names.v[lo].hash == hash; lo++) {
		uint64_t id = (uint64_t)c->names.v[lo].box << 32 | c->names.v[lo].id;
		struct ctf_rec r;

		if (!ctf_get(c, id, &r) || strcmp(box_str(r.box, r.name), name) || nth--)
			continue;
		*ret_id = id;
		return NULL;
	}
	return &wh_err_not_found;
}

static const enum wh_type_kind kind_of[] = {
	[CTF_K_NONE] = WH_TYPE_VOID,	   [CTF_K_INTEGER] = WH_TYPE_INT,
	[CTF_K_FLOAT] = WH_TYPE_FLOAT,	   [CTF_K_POINTER] = WH_TYPE_PTR,
	[CTF_K_ARRAY] = WH_TYPE_ARRAY,	   [CTF_K_FUNCTION] = WH_TYPE_FUNC,
	[CTF_K_STRUCT] = WH_TYPE_STRUCT,   [CTF_K_UNION] = WH_TYPE_UNION,
	[CTF_K_ENUM] = WH_TYPE_ENUM,	   [CTF_K_FORWARD] = WH_TYPE_STRUCT,
	[CTF_K_TYPEDEF] = WH_TYPE_TYPEDEF, [CTF_K_VOLATILE] = WH_TYPE_TYPEDEF,
	[CTF_K_CONST] = WH_TYPE_TYPEDEF,   [CTF_K_RESTRICT] = WH_TYPE_TYPEDEF,
};

/* A forward declaration stands for the struct of that name in any container. */
static uint64_t ctf_resolve_forward(const struct wh_ctf *c, const struct ctf_rec *r)
{
	uint64_t id;
	struct ctf_rec to;

	for (size_t i = 0; !ctf_find((void *)(uintptr_t)c, box_str(r->box, r->name), i, &id); i++)
		if (ctf_get(c, id, &to) && (to.kind == CTF_K_STRUCT || to.kind == CTF_K_UNION))
			return id;
	return 0;
}

static void ctf_int_info(const struct wh_ctf *c, const struct ctf_rec *r, struct wh_type_info *ret)
{
	uint32_t enc = wh_get_u32(c->abi, r->var);

	ret->is_signed = enc >> 24 & CTF_INT_SIGNED;
	ret->is_char = enc >> 24 & CTF_INT_CHAR || !strcmp(box_str(r->box, r->name), "char");
	ret->is_bool = enc >> 24 & CTF_INT_BOOL;
	/* "void" is an integer of no bits */
	if (!(enc & 0xffff))
		ret->kind = WH_TYPE_VOID;
}

static struct wh_err *ctf_info(void *priv, uint64_t id, struct wh_type_info *ret)
{
	const struct wh_ctf *c = priv;
	struct ctf_rec r;
	struct wh_type_info i = {.name = ""};

	if (!ctf_get(c, id, &r)) {
		i.kind = WH_TYPE_VOID;
		*ret = i;
		return NULL;
	}
	if (r.kind == CTF_K_FORWARD) {
		uint64_t to = *box_str(r.box, r.name) ? ctf_resolve_forward(c, &r) : 0;

		if (to)
			return ctf_info(priv, to, ret);
	}
	i.kind = kind_of[r.kind];
	i.name = box_str(r.box, r.name);
	i.size = ctf_sizeof(c, id, 0);
	if (r.kind == CTF_K_POINTER || ctf_is_alias(r.kind))
		i.elem.id = ctf_id(c, r.box_index, r.type);
	else if (r.kind == CTF_K_ARRAY) {
		i.elem.id = ctf_id(c, r.box_index, wh_get_u16(c->abi, r.var));
		i.count = wh_get_u32(c->abi, r.var + 4);
	} else if (r.kind == CTF_K_STRUCT || r.kind == CTF_K_UNION || r.kind == CTF_K_ENUM)
		i.count = r.vlen;
	else if (r.kind == CTF_K_INTEGER)
		ctf_int_info(c, &r, &i);
	else if (r.kind == CTF_K_FUNCTION)
		i.elem.id = ctf_id(c, r.box_index, r.type);
	*ret = i;
	return NULL;
}

static struct wh_err *ctf_member(void *priv, uint64_t id, size_t n, struct wh_member *ret)
{
	const struct wh_ctf *c = priv;
	struct ctf_rec r, mr;
	const uint8_t *p;
	uint64_t bits;

	if (ctf_get(c, id, &r) && r.kind == CTF_K_FORWARD && (id = ctf_resolve_forward(c, &r)))
		return ctf_member(priv, id, n, ret);
	if (!ctf_get(c, id, &r) || (r.kind != CTF_K_STRUCT && r.kind != CTF_K_UNION) || n >= r.vlen)
		return &wh_err_not_found;
	memset(ret, 0, sizeof(*ret));
	if (r.size < CTF_LSTRUCT) {
		p = r.var + n * 8;
		bits = wh_get_u16(c->abi, p + 6);
	} else {
		p = r.var + n * 16;
		bits = (uint64_t)wh_get_u32(c->abi, p + 8) << 32 | wh_get_u32(c->abi, p + 12);
	}
	ret->name = box_str(r.box, wh_get_u32(c->abi, p));
	ret->type.id = ctf_id(c, r.box_index, wh_get_u16(c->abi, p + 4));
	ret->offset = bits / 8;
	ret->size = ctf_sizeof(c, ret->type.id, 0);
	/* A bit-field is a member whose integer has fewer bits than its storage. */
	for (uint64_t t = ret->type.id, d = 0; d < WH_LIMIT_TYPE_DEPTH && ctf_get(c, t, &mr); d++) {
		if (ctf_is_alias(mr.kind)) {
			t = ctf_id(c, mr.box_index, mr.type);
			continue;
		}
		if (mr.kind == CTF_K_INTEGER) {
			uint32_t w = wh_get_u32(c->abi, mr.var) & 0xffff;

			if (w && (w != mr.size * 8 || bits % 8)) {
				ret->bit_size = w;
				ret->bit_off = (uint32_t)(bits % 8);
			}
		}
		break;
	}
	return NULL;
}

static struct wh_err *ctf_enum_value(void *priv, uint64_t id, size_t n, const char **ret_name,
				     int64_t *ret_value)
{
	const struct wh_ctf *c = priv;
	struct ctf_rec r;

	if (!ctf_get(c, id, &r) || r.kind != CTF_K_ENUM || n >= r.vlen)
		return &wh_err_not_found;
	*ret_name = box_str(r.box, wh_get_u32(c->abi, r.var + n * 8));
	*ret_value = (int32_t)wh_get_u32(c->abi, r.var + n * 8 + 4);
	return NULL;
}

static void ctf_close(void *priv)
{
	wh_ctf_destroy(priv);
}

const struct wh_type_provider_ops wh_ctf_provider = {
	.name = "ctf",
	.find = ctf_find,
	.info = ctf_info,
	.member = ctf_member,
	.enum_value = ctf_enum_value,
	.close = ctf_close,
};
