/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Layout of a blob (all offsets from the end of the header, byte order that of the magic):
 *
 *	header 24+   u16 magic 0xEB9F, u8 version, u8 flags, u32 hdr_len, type_off, type_len, str_off, str_len
 *	types        records of u32 name, u32 info, u32 size_or_type, then by kind
 *	strings      NUL-terminated, the first one empty
 *
 * One pass at creation gives offs[] (id -> record) and a hash of the named structs, unions, enums and
 * typedefs; nothing else is decoded before it is asked for, and no type has memory of its own.
 *
 * A record that makes no sense is damage.  Types behind it are found again by a run of sound records; their
 * ids depend on how many types the damage swallowed, which is the number that makes structs fit together.
 */
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/hashmap.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/vec.h"
#include "dwarf/btf.h"

#define BTF_MAGIC   0xeb9f
#define BTF_HDR_MIN 24
#define NONE	    UINT32_MAX

#define RESERVED_BITS  0x60ff0000u /* of info: must be zero */
#define RESYNC_REACH   (1u << 20)  /* [bytes] behind damage that are searched for the next record */
#define RESYNC_RUN     64	   /* records that must follow each other there */
#define LOST_MAX       256	   /* types that one damage may have swallowed */
#define LOST_SAMPLE    300	   /* structs asked about each number */
#define LOST_MIN_SCORE 20
#define GAPS_MAX       16

/* include/uapi/linux/btf.h */
enum btf_kind {
	BTF_VOID,
	BTF_INT,
	BTF_PTR,
	BTF_ARRAY,
	BTF_STRUCT,
	BTF_UNION,
	BTF_ENUM,
	BTF_FWD,
	BTF_TYPEDEF,
	BTF_VOLATILE,
	BTF_CONST,
	BTF_RESTRICT,
	BTF_FUNC,
	BTF_FUNC_PROTO,
	BTF_VAR,
	BTF_DATASEC,
	BTF_FLOAT,
	BTF_DECL_TAG,
	BTF_TYPE_TAG,
	BTF_ENUM64,
	BTF_KIND_COUNT
};

/* Bytes behind the 12 of every record: fixed, and per vlen element. */
static const struct {
	uint8_t fixed, each;
	uint8_t kind; /* enum wh_type_kind */
} kinds[BTF_KIND_COUNT] = {
	[BTF_VOID] = {0, 0, WH_TYPE_VOID},	  [BTF_INT] = {4, 0, WH_TYPE_INT},
	[BTF_PTR] = {0, 0, WH_TYPE_PTR},	  [BTF_ARRAY] = {12, 0, WH_TYPE_ARRAY},
	[BTF_STRUCT] = {0, 12, WH_TYPE_STRUCT},	  [BTF_UNION] = {0, 12, WH_TYPE_UNION},
	[BTF_ENUM] = {0, 8, WH_TYPE_ENUM},	  [BTF_FWD] = {0, 0, WH_TYPE_OTHER},
	[BTF_TYPEDEF] = {0, 0, WH_TYPE_TYPEDEF},  [BTF_VOLATILE] = {0, 0, WH_TYPE_TYPEDEF},
	[BTF_CONST] = {0, 0, WH_TYPE_TYPEDEF},	  [BTF_RESTRICT] = {0, 0, WH_TYPE_TYPEDEF},
	[BTF_FUNC] = {0, 0, WH_TYPE_OTHER},	  [BTF_FUNC_PROTO] = {0, 8, WH_TYPE_FUNC},
	[BTF_VAR] = {4, 0, WH_TYPE_OTHER},	  [BTF_DATASEC] = {0, 12, WH_TYPE_OTHER},
	[BTF_FLOAT] = {0, 0, WH_TYPE_FLOAT},	  [BTF_DECL_TAG] = {4, 0, WH_TYPE_OTHER},
	[BTF_TYPE_TAG] = {0, 0, WH_TYPE_TYPEDEF}, [BTF_ENUM64] = {0, 12, WH_TYPE_ENUM},
};

struct wh_btf {
	uint8_t *data;
	struct wh_abi abi;
	const uint8_t *types, *strs;
	size_t types_len, strs_len;
	const struct wh_btf *base;
	uint32_t start_id, start_str;
	uint32_t *offs; /* of id start_id + i, in types */
	uint32_t n;
	bool damaged;
	uint32_t *bucket, *next; /* by name hash; values are indexes into offs */
	uint32_t bucket_mask;
};

/* A decoded record head. */
struct rec {
	const struct wh_btf *owner;
	const uint8_t *p; /* behind the 12 bytes */
	uint32_t name, info, val;
	uint32_t kind, vlen;
	bool kflag;
};

static bool probe(const uint8_t *p, size_t len, struct wh_abi *ret_abi)
{
	if (len < BTF_HDR_MIN)
		return false;
	*ret_abi = (struct wh_abi){.big_endian = p[0] == 0xeb, .word = 8};
	return wh_get_u16(*ret_abi, p) == BTF_MAGIC && p[2] == 1 && p[3] == 0;
}

size_t wh_btf_probe(const uint8_t *p, size_t len)
{
	struct wh_abi abi;
	uint64_t hdr, types, strs;

	if (!probe(p, len, &abi))
		return 0;
	hdr = wh_get_u32(abi, p + 4);
	types = (uint64_t)wh_get_u32(abi, p + 8) + wh_get_u32(abi, p + 12);
	strs = (uint64_t)wh_get_u32(abi, p + 16) + wh_get_u32(abi, p + 20);
	if (hdr < BTF_HDR_MIN || hdr > 4096)
		return 0;
	return (size_t)(hdr + (types > strs ? types : strs));
}

static void rec_read(const struct wh_btf *b, uint32_t off, struct rec *ret)
{
	const uint8_t *p = b->types + off;

	*ret = (struct rec){.owner = b,
			    .p = p + 12,
			    .name = wh_get_u32(b->abi, p),
			    .info = wh_get_u32(b->abi, p + 4),
			    .val = wh_get_u32(b->abi, p + 8)};
	ret->kind = (ret->info >> 24) & 0x1f;
	ret->vlen = ret->info & 0xffff;
	ret->kflag = ret->info >> 31;
}

/* The record of @id, in @b or below it; false for void and for ids that do not exist. */
static bool rec_find(const struct wh_btf *b, uint64_t id, struct rec *ret)
{
	while (b && id < b->start_id)
		b = b->base;
	if (!b || !id || id - b->start_id >= b->n || b->offs[id - b->start_id] == NONE)
		return false;
	rec_read(b, b->offs[id - b->start_id], ret);
	return true;
}

/* A name that @b uses; "" when its offset lies outside the strings. */
static const char *str_get(const struct wh_btf *b, uint32_t off)
{
	while (b->base && off < b->start_str)
		b = b->base;
	off -= b->start_str;
	return off < b->strs_len ? (const char *)b->strs + off : "";
}

static bool kind_is_named(uint32_t kind)
{
	return kind == BTF_STRUCT || kind == BTF_UNION || kind == BTF_ENUM || kind == BTF_ENUM64 ||
	       kind == BTF_TYPEDEF || kind == BTF_INT || kind == BTF_FLOAT;
}

static bool kind_is_compound(uint32_t kind)
{
	return kind == BTF_STRUCT || kind == BTF_UNION;
}

static struct wh_err *parse_header(struct wh_btf *b, size_t len)
{
	uint64_t hdr, toff, tlen, soff, slen;

	if (!probe(b->data, len, &b->abi))
		return wh_err_bad(NULL, 0, "no BTF header");
	hdr = wh_get_u32(b->abi, b->data + 4);
	toff = wh_get_u32(b->abi, b->data + 8);
	tlen = wh_get_u32(b->abi, b->data + 12);
	soff = wh_get_u32(b->abi, b->data + 16);
	slen = wh_get_u32(b->abi, b->data + 20);
	if (hdr < BTF_HDR_MIN || hdr + toff > len || hdr + soff > len)
		return wh_err_bad(NULL, 0, "BTF sections begin behind its end");
	if (tlen > len - hdr - toff) {
		tlen = len - hdr - toff;
		b->damaged = true;
	}
	if (slen > len - hdr - soff) {
		slen = len - hdr - soff;
		b->damaged = true;
	}
	b->types = b->data + hdr + toff;
	b->types_len = (size_t)tlen;
	b->strs = b->data + hdr + soff;
	/* Every string must end inside: what follows the last NUL is no string. */
	for (b->strs_len = (size_t)slen; b->strs_len && b->strs[b->strs_len - 1];)
		b->strs_len--;
	b->damaged |= b->strs_len != slen;
	return NULL;
}

typedef WH_VEC(uint32_t) off_vec;

/* [bytes] of the record at @off; 0 when it makes no sense: unknown kind, reserved bits, too long. */
static size_t rec_size(const struct wh_btf *b, size_t off)
{
	struct rec r;
	size_t size;

	if (off + 12 > b->types_len)
		return 0;
	rec_read(b, (uint32_t)off, &r);
	if (r.kind == BTF_VOID || r.kind >= BTF_KIND_COUNT || (r.info & RESERVED_BITS))
		return 0;
	size = 12 + kinds[r.kind].fixed + (size_t)kinds[r.kind].each * r.vlen;
	return size <= b->types_len - off ? size : 0;
}

/* Appends records from @off on until one makes no sense; where that is. */
static struct wh_err *scan_records(const struct wh_btf *b, size_t off, off_vec *v, size_t *ret_off)
{
	size_t size;

	while (v->n < WH_LIMIT_TYPES && (size = rec_size(b, off)) != 0) {
		WH_TRY(WH_VEC_PUSH(v, (uint32_t)off));
		off += size;
	}
	*ret_off = off;
	return NULL;
}

/* Whether a name begins at @off: nothing, or right behind the end of another. */
static bool is_name_start(const struct wh_btf *b, uint32_t off)
{
	const struct wh_btf *o = b;

	if (!off)
		return true;
	while (o->base && off < o->start_str)
		o = o->base;
	off -= o->start_str;
	return off < o->strs_len && (!off || !o->strs[off - 1]);
}

/* The next place behind damage from which a long run of records with proper names follows. */
static bool resync(const struct wh_btf *b, size_t off, size_t *ret)
{
	for (size_t end = off + RESYNC_REACH; off < end && off + 12 < b->types_len; off += 4) {
		size_t at = off, size = 0;
		struct rec r;
		int run = 0;

		for (; run < RESYNC_RUN && at < b->types_len; run++, at += size) {
			size = rec_size(b, at);
			if (!size)
				break;
			rec_read(b, (uint32_t)at, &r);
			if (!is_name_start(b, r.name))
				break;
		}
		if (run == RESYNC_RUN || (run && at == b->types_len)) {
			*ret = off;
			return true;
		}
	}
	return false;
}

/* The record of @id if the second part @tail had @lost types missing before it; false when unknown. */
static bool rec_guess(const struct wh_btf *b, const off_vec *head, const off_vec *tail, size_t lost,
		      uint32_t id, struct rec *ret)
{
	size_t i = id - b->start_id;
	uint32_t off;

	if (id < b->start_id)
		return false;
	if (i < head->n)
		off = head->v[i];
	else if (i >= head->n + lost && i - head->n - lost < tail->n)
		off = tail->v[i - head->n - lost];
	else
		return false;
	if (off == NONE)
		return false;
	rec_read(b, off, ret);
	return true;
}

/* Members whose type fills the room before the next one exactly, less those that would not fit. */
static long struct_score(const struct wh_btf *b, const off_vec *head, const off_vec *tail,
			 size_t lost, const struct rec *s)
{
	long score = 0;

	for (uint32_t i = 0; i + 1 < s->vlen && !s->kflag; i++) {
		const uint8_t *m = s->p + 12 * (size_t)i;
		uint32_t room = (wh_get_u32(b->abi, m + 20) - wh_get_u32(b->abi, m + 8)) / 8, size;
		struct rec t;

		if (!rec_guess(b, head, tail, lost, wh_get_u32(b->abi, m + 4), &t))
			continue;
		if (t.kind == BTF_PTR)
			size = b->abi.word;
		else if (t.kind == BTF_INT || t.kind == BTF_STRUCT || t.kind == BTF_UNION ||
			 t.kind == BTF_ENUM)
			size = t.val;
		else
			continue;
		score += size == room ? 1 : size > room ? -1 : 0;
	}
	return score;
}

/*
 * How many types the damage swallowed, and with it the ids of all behind it: the number with which the
 * members of structs fit best.  False when no number does.
 */
static bool count_lost(const struct wh_btf *b, const off_vec *head, const off_vec *tail,
		       size_t *ret)
{
	long best = LOST_MIN_SCORE;
	bool found = false;

	for (size_t lost = 0; lost <= LOST_MAX; lost++) {
		size_t structs = 0;
		long score = 0;

		for (size_t i = 0; i < tail->n && structs < LOST_SAMPLE; i++) {
			struct rec r;

			rec_read(b, tail->v[i], &r);
			if (r.kind != BTF_STRUCT)
				continue;
			structs++;
			score += struct_score(b, head, tail, lost, &r);
		}
		if (score > best) {
			best = score;
			*ret = lost;
			found = true;
		}
	}
	return found;
}

/* Takes up the records behind damage at @off; false when their ids cannot be told. */
static struct wh_err *index_tail(const struct wh_btf *b, off_vec *v, size_t *off, bool *ret_more)
{
	off_vec tail = {0};
	size_t at = 0, lost = 0;
	struct wh_err *e = NULL;

	*ret_more = resync(b, *off, &at);
	if (*ret_more)
		e = scan_records(b, at, &tail, off);
	*ret_more = *ret_more && !e && count_lost(b, v, &tail, &lost);
	for (size_t i = 0; !e && *ret_more && i < lost; i++)
		e = WH_VEC_PUSH(v, NONE);
	for (size_t i = 0; !e && *ret_more && i < tail.n; i++)
		e = WH_VEC_PUSH(v, tail.v[i]);
	WH_VEC_FINI(&tail);
	return e;
}

/* id -> offset, NONE for what damage swallowed. */
static struct wh_err *index_types(struct wh_btf *b)
{
	off_vec v = {0};
	struct wh_err *e = WH_VEC_RESERVE(&v, b->types_len / 24 + 1);
	bool more = true;
	size_t off = 0;

	if (!e)
		e = scan_records(b, 0, &v, &off);
	for (int gaps = 0; !e && more && off != b->types_len && gaps < GAPS_MAX; gaps++) {
		b->damaged = true;
		e = index_tail(b, &v, &off, &more);
	}
	b->damaged |= off != b->types_len;
	b->offs = v.v;
	b->n = (uint32_t)v.n;
	return e;
}

static uint32_t name_bucket(const struct wh_btf *b, const char *name)
{
	return (uint32_t)wh_hash_u64(wh_hash_bytes(name, strlen(name), WH_HASH_SEED)) &
	       b->bucket_mask;
}

/* Puts all types of one class in front of their buckets, last first, so that chains ascend. */
static void index_class(struct wh_btf *b, bool compound)
{
	struct rec r;

	for (uint32_t i = b->n; i-- > 0;) {
		const char *name;
		uint32_t k;

		if (b->offs[i] == NONE)
			continue;
		rec_read(b, b->offs[i], &r);
		if (!kind_is_named(r.kind) || kind_is_compound(r.kind) != compound || !r.name)
			continue;
		name = str_get(b, r.name);
		if (!name[0])
			continue;
		k = name_bucket(b, name);
		b->next[i] = b->bucket[k];
		b->bucket[k] = i;
	}
}

static struct wh_err *index_names(struct wh_btf *b)
{
	uint32_t cap = 64;

	while (cap < b->n / 2)
		cap *= 2;
	b->bucket_mask = cap - 1;
	b->bucket = malloc(cap * sizeof(*b->bucket));
	b->next = malloc(((size_t)b->n + 1) * sizeof(*b->next));
	if (!b->bucket || !b->next)
		return &wh_err_nomem;
	memset(b->bucket, 0xff, cap * sizeof(*b->bucket));
	/* Structs end up before typedefs of the same name. */
	index_class(b, false);
	index_class(b, true);
	return NULL;
}

struct wh_err *wh_btf_create(uint8_t *data, size_t len, const struct wh_btf *base,
			     uint32_t start_id, uint32_t start_str, struct wh_btf **ret)
{
	struct wh_btf *b = calloc(1, sizeof(*b));
	struct wh_err *e;

	if (!b) {
		free(data);
		return &wh_err_nomem;
	}
	b->data = data;
	b->base = base;
	b->start_id = base ? start_id : 1;
	b->start_str = base ? start_str : 0;
	e = b->start_id ? parse_header(b, len) : wh_err_bad(NULL, 0, "split BTF starts at void");
	if (!e && base && base->abi.big_endian != b->abi.big_endian)
		e = wh_err_bad(NULL, 0, "split BTF has another byte order than its base");
	if (!e)
		e = index_types(b);
	if (!e)
		e = index_names(b);
	if (e) {
		wh_btf_destroy(b);
		return e;
	}
	*ret = b;
	return NULL;
}

void wh_btf_destroy(struct wh_btf *b)
{
	if (!b)
		return;
	free(b->data);
	free(b->offs);
	free(b->bucket);
	free(b->next);
	free(b);
}

uint32_t wh_btf_count(const struct wh_btf *b)
{
	return b->n;
}

uint32_t wh_btf_end_id(const struct wh_btf *b)
{
	return b->start_id + b->n;
}

uint32_t wh_btf_end_str(const struct wh_btf *b)
{
	return b->start_str + (uint32_t)b->strs_len;
}

bool wh_btf_damaged(const struct wh_btf *b)
{
	return b->damaged;
}

static struct wh_err *btf_find(void *priv, const char *name, size_t nth, uint64_t *ret_id)
{
	const struct wh_btf *b = priv;
	struct rec r;

	for (uint32_t i = b->bucket[name_bucket(b, name)]; i != NONE; i = b->next[i]) {
		rec_read(b, b->offs[i], &r);
		if (strcmp(str_get(b, r.name), name) != 0)
			continue;
		if (nth--)
			continue;
		*ret_id = (uint64_t)b->start_id + i;
		return NULL;
	}
	return &wh_err_not_found;
}

static uint8_t word_size(const struct wh_btf *b)
{
	/* BTF does not say; every kernel that has it and that we read is 64-bit (arch.h: LP64). */
	return b->abi.word;
}

/* [bytes] of a type, through modifiers and arrays; 0 when unknown, circular or absurd. */
static uint64_t type_size(const struct wh_btf *b, uint64_t id)
{
	uint64_t count = 1;
	struct rec r;

	for (int i = 0; i < WH_LIMIT_TYPE_DEPTH && rec_find(b, id, &r); i++) {
		uint64_t size = 0;

		switch (r.kind) {
		case BTF_INT:
		case BTF_STRUCT:
		case BTF_UNION:
		case BTF_ENUM:
		case BTF_ENUM64:
		case BTF_FLOAT:
		case BTF_DATASEC: size = r.val; break;
		case BTF_PTR: size = word_size(b); break;
		case BTF_ARRAY:
			if (__builtin_mul_overflow(count, wh_get_u32(r.owner->abi, r.p + 8),
						   &count))
				return 0;
			id = wh_get_u32(r.owner->abi, r.p);
			continue;
		case BTF_FWD:
		case BTF_FUNC:
		case BTF_FUNC_PROTO: return 0;
		default: id = r.val; continue;
		}
		return __builtin_mul_overflow(count, size, &count) ? 0 : count;
	}
	return 0;
}

static void int_info(const struct rec *r, struct wh_type_info *ret)
{
	uint32_t enc = wh_get_u32(r->owner->abi, r->p) >> 24;

	ret->is_signed = enc & 1;
	ret->is_char = (enc & 2) != 0;
	ret->is_bool = (enc & 4) != 0;
	/* Compilers leave BTF_INT_CHAR out: a one-byte integer called so is text. */
	if (ret->size == 1 && strstr(ret->name, "char"))
		ret->is_char = true;
}

static struct wh_err *btf_info(void *priv, uint64_t id, struct wh_type_info *ret)
{
	const struct wh_btf *b = priv;
	struct rec r;

	ret->name = "";
	if (!id)
		return NULL;
	if (!rec_find(b, id, &r))
		return wh_err_bad(NULL, UINT64_MAX, "BTF type %llu does not exist",
				  (unsigned long long)id);
	ret->kind = (enum wh_type_kind)kinds[r.kind].kind;
	ret->name = str_get(r.owner, r.name);
	ret->size = type_size(b, id);
	switch (r.kind) {
	case BTF_INT: int_info(&r, ret); break;
	case BTF_ARRAY:
		ret->elem.id = wh_get_u32(r.owner->abi, r.p);
		ret->count = wh_get_u32(r.owner->abi, r.p + 8);
		break;
	case BTF_STRUCT:
	case BTF_UNION: ret->count = r.vlen; break;
	case BTF_ENUM:
	case BTF_ENUM64:
		ret->count = r.vlen;
		ret->is_signed = r.kflag;
		break;
	case BTF_VOLATILE:
	case BTF_CONST:
	case BTF_RESTRICT:
	case BTF_TYPE_TAG:
		ret->name = "";
		ret->elem.id = r.val;
		break;
	case BTF_PTR:
	case BTF_TYPEDEF:
	case BTF_FUNC_PROTO: ret->elem.id = r.val; break;
	default: break;
	}
	return NULL;
}

/* Bit-fields of blobs without kind_flag sit in the integer type: its width and offset. */
static void old_bitfield(const struct wh_btf *b, uint64_t id, uint32_t *bits, uint64_t *off)
{
	uint32_t v, width;
	struct rec r;

	for (int i = 0; i < WH_LIMIT_TYPE_DEPTH && rec_find(b, id, &r); i++) {
		if (kinds[r.kind].kind == WH_TYPE_TYPEDEF) {
			id = r.val;
			continue;
		}
		if (r.kind != BTF_INT)
			return;
		v = wh_get_u32(r.owner->abi, r.p);
		width = v & 0xff;
		if (width && width < (uint64_t)r.val * 8) {
			*bits = width;
			*off += (v >> 16) & 0xff;
		}
		return;
	}
}

static struct wh_err *btf_member(void *priv, uint64_t id, size_t i, struct wh_member *ret)
{
	const struct wh_btf *b = priv;
	const uint8_t *p;
	uint32_t bits = 0;
	uint64_t off;
	struct rec r;

	if (!rec_find(b, id, &r) || !kind_is_compound(r.kind) || i >= r.vlen)
		return &wh_err_not_found;
	p = r.p + 12 * i;
	off = wh_get_u32(r.owner->abi, p + 8);
	ret->name = str_get(r.owner, wh_get_u32(r.owner->abi, p));
	ret->type.id = wh_get_u32(r.owner->abi, p + 4);
	if (r.kflag) {
		bits = (uint32_t)(off >> 24);
		off &= 0xffffff;
	} else {
		old_bitfield(b, ret->type.id, &bits, &off);
	}
	ret->offset = off / 8;
	ret->bit_size = bits;
	ret->bit_off = (uint32_t)(off % 8);
	ret->size = type_size(b, ret->type.id);
	return NULL;
}

static int64_t enum_get(const struct rec *r, size_t i, uint32_t *ret_name)
{
	struct wh_abi abi = r->owner->abi;
	const uint8_t *p = r->p + (size_t)kinds[r->kind].each * i;
	uint32_t lo = wh_get_u32(abi, p + 4);

	*ret_name = wh_get_u32(abi, p);
	if (r->kind == BTF_ENUM64)
		return (int64_t)((uint64_t)wh_get_u32(abi, p + 8) << 32 | lo);
	/* kind_flag (signed) is new with 6.0; without it negative values are still written as s32. */
	return (int32_t)lo;
}

static struct wh_err *btf_enum_value(void *priv, uint64_t id, size_t i, const char **ret_name,
				     int64_t *ret_value)
{
	const struct wh_btf *b = priv;
	uint32_t name;
	struct rec r;

	if (!rec_find(b, id, &r) || (r.kind != BTF_ENUM && r.kind != BTF_ENUM64) || i >= r.vlen)
		return &wh_err_not_found;
	*ret_value = enum_get(&r, i, &name);
	*ret_name = str_get(r.owner, name);
	return NULL;
}

static struct wh_err *btf_enumerator(void *priv, const char *name, int64_t *ret_value)
{
	const struct wh_btf *b = priv;
	uint32_t off;
	struct rec r;

	for (uint32_t i = 0; i < b->n; i++) {
		if (b->offs[i] == NONE)
			continue;
		rec_read(b, b->offs[i], &r);
		if (r.kind != BTF_ENUM && r.kind != BTF_ENUM64)
			continue;
		for (uint32_t k = 0; k < r.vlen; k++) {
			int64_t v = enum_get(&r, k, &off);

			if (!strcmp(str_get(b, off), name)) {
				*ret_value = v;
				return NULL;
			}
		}
	}
	return &wh_err_not_found;
}

/*
 * pahole writes a section of variables for per-CPU memory alone: ".data..percpu", each entry a BTF_VAR, its offset
 * and its size.  A module's own section says nothing about the kernel's.
 */
static struct wh_err *btf_percpu(void *priv, const char *name, uint64_t *ret_bytes)
{
	const struct wh_btf *b = priv;
	struct rec r, var;

	for (uint32_t i = 0; i < b->n && !b->base; i++) {
		if (b->offs[i] == NONE)
			continue;
		rec_read(b, b->offs[i], &r);
		if (r.kind != BTF_DATASEC || strcmp(str_get(b, r.name), ".data..percpu") != 0)
			continue;
		for (uint32_t k = 0; k < r.vlen; k++) {
			const uint8_t *p = r.p + 12 * (size_t)k;

			if (rec_find(b, wh_get_u32(b->abi, p), &var) && var.kind == BTF_VAR &&
			    !strcmp(str_get(b, var.name), name)) {
				*ret_bytes = wh_get_u32(b->abi, p + 4);
				return NULL;
			}
		}
	}
	return &wh_err_not_found;
}

static void btf_close(void *priv)
{
	wh_btf_destroy(priv);
}

const struct wh_type_provider_ops wh_btf_ops = {
	.name = "btf",
	.find = btf_find,
	.info = btf_info,
	.member = btf_member,
	.enum_value = btf_enum_value,
	.enumerator = btf_enumerator,
	.percpu = btf_percpu,
	.close = btf_close,
};
