/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DWARF through libdwarf.  libdw serves addresses (lines, unwinding, symbols); types are libdwarf's part,
 * since its form readers are indifferent to producer and version.
 *
 * Index: compilation units are walked in order, once, only as far as the question at hand needs; of each
 * only the children of the unit (and of C++ namespaces) are looked at.  The same struct stands in thousands
 * of units: one entry is kept per (name, tag, size).  Decoded structs and enums are cached, because
 * everything above asks member by member.
 *
 *	id = offset of the DIE in .debug_info; bit 63 set for .debug_types
 */
#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/base/limits.h"
#include "dwarf/dwarf_die.h"
#include "dwarf/locate.h"

#define CHILDREN_MAX (1u << 20) /* members or enumerators of one type */
#define NONE	     UINT32_MAX

/* ---- opening ---- */

bool wh_dwarf_has_info(const char *path)
{
	static const char *const names[] = {".debug_info", ".zdebug_info", NULL};

	return wh_locate_has_section(path, names, true);
}

struct wh_err *wh_dwarf_create(const char *path, struct wh_dwarf **ret)
{
	struct wh_dwarf *d = calloc(1, sizeof(*d));
	pthread_mutexattr_t attr;

	if (!d)
		return &wh_err_nomem;
	/* Recursive: who walks the variables asks for their types. */
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&d->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	d->path = strdup(path);
	if (!d->path) {
		wh_dwarf_destroy(d);
		return &wh_err_nomem;
	}
	*ret = d;
	return NULL;
}

void wh_dwarf_destroy(struct wh_dwarf *d)
{
	Dwarf_Error e = NULL;

	if (!d)
		return;
	if (d->dbg)
		(void)dwarf_finish(d->dbg, &e);
	wh_arena_fini(&d->arena);
	wh_map_fini(&d->by_id);
	wh_map_fini(&d->whole_names);
	WH_VEC_FINI(&d->entries);
	WH_VEC_FINI(&d->compounds);
	free(d->bucket);
	free(d->last);
	pthread_mutex_destroy(&d->lock);
	free(d->path);
	free(d);
}

static struct wh_err *index_resize(struct wh_dwarf *d);

static struct wh_err *open_once(struct wh_dwarf *d)
{
	Dwarf_Error e = NULL;
	Dwarf_Half size = 8;
	unsigned char id[EI_NIDENT] = {0};
	int fd;

	if (d->opened)
		return NULL;
	d->opened = true;
	d->whole = true;
	WH_TRY(index_resize(d));
	fd = open(d->path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		d->big_endian = pread(fd, id, sizeof(id), 0) == (ssize_t)sizeof(id) &&
				id[EI_DATA] == ELFDATA2MSB;
		close(fd);
	}
	if (dwarf_init_path(d->path, NULL, 0, DW_DLC_READ, DW_GROUPNUMBER_ANY, NULL, NULL, &d->dbg,
			    NULL, 0, NULL, &e) != DW_DLV_OK) {
		if (e)
			dwarf_dealloc_error(NULL, e);
		d->dbg = NULL;
		return NULL;
	}
	if (dwarf_get_address_size(d->dbg, &size, &e) != DW_DLV_OK)
		wh_dw_drop_error(d, &e);
	d->addr_size = size;
	d->usable = true;
	d->whole = false;
	return NULL;
}

/* ---- index ---- */

static size_t bucket_of(const struct wh_dwarf *d, const char *name)
{
	return (size_t)wh_hash_u64(wh_hash_bytes(name, strlen(name), WH_HASH_SEED)) &
	       d->bucket_mask;
}

static void index_link(struct wh_dwarf *d, uint32_t i)
{
	size_t b = bucket_of(d, d->entries.v[i].name);

	d->entries.v[i].next = NONE;
	if (d->bucket[b] == NONE)
		d->bucket[b] = i;
	else
		d->entries.v[d->last[b]].next = i;
	d->last[b] = i;
}

static struct wh_err *index_resize(struct wh_dwarf *d)
{
	size_t cap = d->bucket ? (d->bucket_mask + 1) * 4 : 4096;
	uint32_t *bucket = malloc(cap * sizeof(*bucket)), *last = malloc(cap * sizeof(*last));

	if (!bucket || !last) {
		free(bucket);
		free(last);
		return &wh_err_nomem;
	}
	memset(bucket, 0xff, cap * sizeof(*bucket));
	free(d->bucket);
	free(d->last);
	d->bucket = bucket;
	d->last = last;
	d->bucket_mask = cap - 1;
	for (size_t i = 0; i < d->entries.n; i++)
		index_link(d, (uint32_t)i);
	return NULL;
}

static bool is_compound_tag(uint16_t tag)
{
	return tag == DW_TAG_structure_type || tag == DW_TAG_union_type || tag == DW_TAG_class_type;
}

static bool is_named_tag(uint16_t tag)
{
	return is_compound_tag(tag) || tag == DW_TAG_enumeration_type || tag == DW_TAG_typedef ||
	       tag == DW_TAG_base_type;
}

static struct wh_dw_entry *index_find(struct wh_dwarf *d, const char *name,
				      const struct wh_dw_entry *like)
{
	for (uint32_t i = d->bucket[bucket_of(d, name)]; i != NONE; i = d->entries.v[i].next)
		if ((!like ||
		     (d->entries.v[i].size == like->size && d->entries.v[i].tag == like->tag)) &&
		    !strcmp(d->entries.v[i].name, name))
			return &d->entries.v[i];
	return NULL;
}

/* A DIE does not know its namespace: who comes by it on the way down notes the whole name. */
static struct wh_err *note_whole_name(struct wh_dwarf *d, uint64_t id, const char *name)
{
	const struct wh_dw_entry *e = index_find(d, name, NULL);

	name = e ? e->name : wh_arena_strdup(&d->arena, name);
	return name ? wh_map_set(&d->whole_names, id, (uintptr_t)name, NULL) : &wh_err_nomem;
}

static const char *whole_name(const struct wh_dwarf *d, uint64_t id, const char *name)
{
	uint64_t whole;

	return wh_map_find(&d->whole_names, id, &whole) ? (const char *)(uintptr_t)whole : name;
}

static struct wh_err *index_add(struct wh_dwarf *d, const char *prefix, const char *name,
				bool declaration, struct wh_dw_entry e)
{
	char full[1024];

	if (prefix[0]) {
		if (strlen(prefix) + strlen(name) + 3 > sizeof(full))
			return NULL;
		stpcpy(stpcpy(stpcpy(full, prefix), "::"), name);
		name = full;
	}
	if (!declaration && !index_find(d, name, &e) && d->entries.n < WH_LIMIT_TYPES) {
		e.name = wh_arena_strdup(&d->arena, name);
		if (!e.name)
			return &wh_err_nomem;
		WH_TRY(WH_VEC_PUSH(&d->entries, e));
		index_link(d, (uint32_t)(d->entries.n - 1));
		if (d->entries.n > d->bucket_mask)
			WH_TRY(index_resize(d));
	}
	return prefix[0] && d->whole_names.n < WH_LIMIT_TYPES ? note_whole_name(d, e.id, name)
							      : NULL;
}

static struct wh_err *index_scope(struct wh_dwarf *d, Dwarf_Die scope, const char *prefix,
				  int depth);

/* What a namespace or a class holds. */
static struct wh_err *index_inside(struct wh_dwarf *d, Dwarf_Die die, const char *prefix,
				   const char *name, int depth)
{
	char full[1024];

	if (!name)
		name = "(anonymous namespace)";
	if (strlen(prefix) + strlen(name) + 3 > sizeof(full))
		return NULL;
	stpcpy(stpcpy(stpcpy(full, prefix), prefix[0] ? "::" : ""), name);
	return index_scope(d, die, full, depth + 1);
}

static struct wh_err *index_die(struct wh_dwarf *d, Dwarf_Die die, const char *prefix, int depth)
{
	uint16_t tag = wh_dw_tag(d, die);
	bool declaration;
	const char *name;
	int64_t size = 0;

	if (tag != DW_TAG_namespace && !is_named_tag(tag))
		return NULL;
	name = wh_dw_name(d, die);
	if (tag == DW_TAG_namespace)
		return index_inside(d, die, prefix, name, depth);
	declaration = wh_dw_flag(d, die, DW_AT_declaration);
	if (!name || (declaration && !prefix[0]))
		return NULL;
	(void)wh_dw_num(d, die, DW_AT_byte_size, &size);
	WH_TRY(index_add(
		d, prefix, name, declaration,
		(struct wh_dw_entry){.id = wh_dw_id(d, die), .size = (uint64_t)size, .tag = tag}));
	return d->nests && !declaration && is_compound_tag(tag)
		       ? index_inside(d, die, prefix, name, depth)
		       : NULL;
}

/* In C a struct that is declared inside another one lies beside it. */
static bool is_c(int64_t language)
{
	return language == DW_LANG_C89 || language == DW_LANG_C || language == DW_LANG_C99 ||
	       language == DW_LANG_C11;
}

static struct wh_err *index_scope(struct wh_dwarf *d, Dwarf_Die scope, const char *prefix,
				  int depth)
{
	Dwarf_Die die = depth < WH_DW_DEPTH_MAX ? wh_dw_walk_child(d, scope) : NULL;
	bool in_class = is_compound_tag(wh_dw_tag(d, scope));
	struct wh_err *e = NULL;

	/* the typedefs of containers are legion, and name nothing that is looked for */
	for (; !e && die; die = wh_dw_walk_next(d, die))
		if (!in_class || wh_dw_tag(d, die) != DW_TAG_typedef)
			e = index_die(d, die, prefix, depth);
	wh_dw_drop(d, die);
	return e;
}

static struct wh_err *index_more(struct wh_dwarf *d)
{
	Dwarf_Die die = d->usable ? wh_dw_next_unit(d) : NULL;
	int64_t language = DW_LANG_C;
	struct wh_err *e;

	if (!die) {
		d->whole = true;
		return NULL;
	}
	(void)wh_dw_num(d, die, DW_AT_language, &language);
	d->nests = !is_c(language);
	e = index_scope(d, die, "", 0);
	wh_dw_drop(d, die);
	return e;
}

struct wh_err *wh_dw_index_whole(struct wh_dwarf *d)
{
	WH_TRY(open_once(d));
	while (!d->whole)
		WH_TRY(index_more(d));
	return NULL;
}

/* The @nth entry called @name; reads on as long as there are fewer. */
static struct wh_err *find_entry(struct wh_dwarf *d, const char *name, size_t nth, uint64_t *ret)
{
	WH_TRY(open_once(d));
	for (;;) {
		size_t k = nth;

		for (uint32_t i = d->bucket[bucket_of(d, name)]; i != NONE;
		     i = d->entries.v[i].next)
			if (!strcmp(d->entries.v[i].name, name) && !k--) {
				*ret = d->entries.v[i].id;
				return NULL;
			}
		if (d->whole)
			return &wh_err_not_found;
		WH_TRY(index_more(d));
	}
}

/* ---- decoding ---- */

/* [bytes] of a type; 0 unknown. */
static uint64_t type_size(struct wh_dwarf *d, uint64_t id, int depth);

static uint64_t array_count(struct wh_dwarf *d, Dwarf_Die array)
{
	Dwarf_Die die = wh_dw_child(d, array);
	uint64_t count = 1;
	bool known = false;

	for (; die; die = wh_dw_next(d, die)) {
		int64_t n = 0;

		if (wh_dw_tag(d, die) != DW_TAG_subrange_type)
			continue;
		if (!wh_dw_num(d, die, DW_AT_count, &n)) {
			if (!wh_dw_num(d, die, DW_AT_upper_bound, &n) || n == INT64_MAX)
				n = -1;
			n++;
		}
		if (n < 0 || __builtin_mul_overflow(count, (uint64_t)n, &count))
			count = 0;
		known = true;
	}
	return known ? count : 0;
}

static uint64_t die_size(struct wh_dwarf *d, Dwarf_Die die, int depth)
{
	uint64_t count;
	int64_t n = 0;

	if (wh_dw_num(d, die, DW_AT_byte_size, &n))
		return n > 0 ? (uint64_t)n : 0;
	switch (wh_dw_tag(d, die)) {
	case DW_TAG_pointer_type:
	case DW_TAG_reference_type:
	case DW_TAG_rvalue_reference_type: return d->addr_size;
	case DW_TAG_array_type:
		count = array_count(d, die);
		if (__builtin_mul_overflow(
			    count, type_size(d, wh_dw_ref(d, die, DW_AT_type), depth + 1), &count))
			return 0;
		return count;
	case DW_TAG_typedef:
	case DW_TAG_const_type:
	case DW_TAG_volatile_type:
	case DW_TAG_restrict_type:
	case DW_TAG_atomic_type:
	case DW_TAG_enumeration_type: return type_size(d, wh_dw_ref(d, die, DW_AT_type), depth + 1);
	default: return 0;
	}
}

static uint64_t type_size(struct wh_dwarf *d, uint64_t id, int depth)
{
	Dwarf_Die die = depth < WH_LIMIT_TYPE_DEPTH ? wh_dw_at(d, id) : NULL;
	uint64_t size = die ? die_size(d, die, depth) : 0;

	wh_dw_drop(d, die);
	return size;
}

/* [bytes] of a member's place: a constant, or the one operation that old compilers wrote. */
static bool member_place(struct wh_dwarf *d, Dwarf_Die die, uint64_t *ret)
{
	Dwarf_Attribute a;
	Dwarf_Unsigned len = 0;
	Dwarf_Ptr p = NULL;
	Dwarf_Error e = NULL;
	int64_t n = 0;
	bool ok = false;

	*ret = 0;
	if (wh_dw_num(d, die, DW_AT_data_member_location, &n)) {
		*ret = n > 0 ? (uint64_t)n : 0;
		return true;
	}
	a = wh_dw_attr(d, die, DW_AT_data_member_location);
	if (!a)
		return false;
	if (dwarf_formexprloc(a, &len, &p, &e) != DW_DLV_OK) {
		Dwarf_Block *blk = NULL;

		wh_dw_drop_error(d, &e);
		if (dwarf_formblock(a, &blk, &e) == DW_DLV_OK) {
			len = blk->bl_len;
			p = blk->bl_data;
			dwarf_dealloc(d->dbg, blk, DW_DLA_BLOCK);
		}
	}
	if (p && len >= 2 && len <= 10 && *(const uint8_t *)p == DW_OP_plus_uconst) {
		const uint8_t *c = (const uint8_t *)p + 1, *end = (const uint8_t *)p + len;

		for (unsigned int shift = 0; c < end && shift < 63; shift += 7) {
			*ret |= (uint64_t)(*c & 0x7f) << shift;
			ok = !(*c & 0x80);
			if (!(*c++ & 0x80))
				break;
		}
	}
	wh_dw_drop_error(d, &e);
	wh_dw_attr_drop(d, a);
	return ok;
}

static void member_bits(struct wh_dwarf *d, Dwarf_Die die, struct wh_member *m)
{
	int64_t bits = 0, off = 0, storage = 0;
	uint64_t at;

	if (!wh_dw_num(d, die, DW_AT_bit_size, &bits) || bits <= 0 || bits > 128)
		return;
	if (wh_dw_num(d, die, DW_AT_data_bit_offset, &off) && off >= 0) {
		at = (uint64_t)off;
	} else if (wh_dw_num(d, die, DW_AT_bit_offset, &off)) {
		/* DWARF 2 counts from the most significant bit of the storage unit. */
		if (!wh_dw_num(d, die, DW_AT_byte_size, &storage))
			storage = (int64_t)m->size;
		at = m->offset * 8;
		at += d->big_endian ? (uint64_t)off : (uint64_t)(storage * 8 - off - bits);
	} else {
		at = m->offset * 8;
	}
	m->bit_size = (uint32_t)bits;
	m->offset = at / 8;
	m->bit_off = (uint32_t)(at % 8);
}

/* A member or a base class (which flattens like an anonymous struct). */
static bool member_decode(struct wh_dwarf *d, Dwarf_Die die, struct wh_member *ret)
{
	uint16_t tag = wh_dw_tag(d, die);
	const char *name;
	bool placed;

	if (tag != DW_TAG_member && tag != DW_TAG_inheritance)
		return false;
	if (wh_dw_flag(d, die, DW_AT_external) || wh_dw_flag(d, die, DW_AT_declaration))
		return false; /* static data member */
	name = tag == DW_TAG_member ? wh_dw_name(d, die) : NULL;
	*ret = (struct wh_member){.name = name ? name : ""};
	ret->type.id = wh_dw_ref(d, die, DW_AT_type);
	ret->size = type_size(d, ret->type.id, 0);
	placed = member_place(d, die, &ret->offset);
	member_bits(d, die, ret);
	/* A virtual base has no fixed place. */
	return placed || tag == DW_TAG_member;
}

static struct wh_err *decode_members(struct wh_dwarf *d, Dwarf_Die die, struct wh_dw_compound *ret)
{
	WH_VEC(struct wh_member) v = {0};
	Dwarf_Die c = wh_dw_child(d, die);
	struct wh_err *e = NULL;
	struct wh_member m;

	for (; !e && c && v.n < CHILDREN_MAX; c = wh_dw_next(d, c))
		if (member_decode(d, c, &m))
			e = WH_VEC_PUSH(&v, m);
	wh_dw_drop(d, c);
	ret->members = e ? NULL : wh_arena_alloc(&d->arena, (v.n + 1) * sizeof(*v.v));
	if (!e && !ret->members)
		e = &wh_err_nomem;
	if (!e && v.n)
		memcpy(ret->members, v.v, v.n * sizeof(*v.v));
	ret->n = v.n;
	WH_VEC_FINI(&v);
	return e;
}

static struct wh_err *decode_values(struct wh_dwarf *d, Dwarf_Die die, struct wh_dw_compound *ret)
{
	WH_VEC(struct wh_dw_enumerator) v = {0};
	Dwarf_Die c = wh_dw_child(d, die);
	struct wh_err *e = NULL;

	for (; !e && c && v.n < CHILDREN_MAX; c = wh_dw_next(d, c)) {
		struct wh_dw_enumerator x = {.name = wh_dw_name(d, c)};

		if (wh_dw_tag(d, c) == DW_TAG_enumerator && x.name &&
		    wh_dw_num(d, c, DW_AT_const_value, &x.value))
			e = WH_VEC_PUSH(&v, x);
	}
	wh_dw_drop(d, c);
	ret->values = e ? NULL : wh_arena_alloc(&d->arena, (v.n + 1) * sizeof(*v.v));
	if (!e && !ret->values)
		e = &wh_err_nomem;
	if (!e && v.n)
		memcpy(ret->values, v.v, v.n * sizeof(*v.v));
	ret->n = v.n;
	WH_VEC_FINI(&v);
	return e;
}

/* A declaration stands for the definition of the same name, wherever that is. */
static uint64_t definition_of(struct wh_dwarf *d, Dwarf_Die die, uint64_t id)
{
	uint16_t tag = wh_dw_tag(d, die);
	uint64_t def = 0;
	const char *name;
	struct wh_err *e;

	if (!is_compound_tag(tag) && tag != DW_TAG_enumeration_type)
		return id;
	if (!wh_dw_flag(d, die, DW_AT_declaration) || !(name = wh_dw_name(d, die)))
		return id;
	e = find_entry(d, whole_name(d, id, name), 0, &def);
	wh_err_destroy(e);
	return e ? id : def;
}

static struct wh_err *compound_get(struct wh_dwarf *d, uint64_t id,
				   const struct wh_dw_compound **ret)
{
	struct wh_dw_compound c = {0};
	struct wh_err *e;
	uint64_t i = 0;
	uint16_t tag;
	Dwarf_Die die;

	if (wh_map_find(&d->by_id, id, &i)) {
		*ret = &d->compounds.v[i];
		return NULL;
	}
	die = wh_dw_at(d, id);
	if (!die)
		return &wh_err_not_found;
	tag = wh_dw_tag(d, die);
	e = is_compound_tag(tag)	     ? decode_members(d, die, &c)
	    : tag == DW_TAG_enumeration_type ? decode_values(d, die, &c)
					     : &wh_err_not_found;
	wh_dw_drop(d, die);
	if (e)
		return e;
	WH_TRY(WH_VEC_PUSH(&d->compounds, c));
	WH_TRY(wh_map_set(&d->by_id, id, d->compounds.n - 1, NULL));
	*ret = &d->compounds.v[d->compounds.n - 1];
	return NULL;
}

static enum wh_type_kind kind_of(uint16_t tag)
{
	static const struct {
		uint16_t tag, kind;
	} map[] = {
		{DW_TAG_structure_type, WH_TYPE_STRUCT},
		{DW_TAG_class_type, WH_TYPE_STRUCT},
		{DW_TAG_union_type, WH_TYPE_UNION},
		{DW_TAG_enumeration_type, WH_TYPE_ENUM},
		{DW_TAG_pointer_type, WH_TYPE_PTR},
		{DW_TAG_reference_type, WH_TYPE_PTR},
		{DW_TAG_rvalue_reference_type, WH_TYPE_PTR},
		{DW_TAG_array_type, WH_TYPE_ARRAY},
		{DW_TAG_subroutine_type, WH_TYPE_FUNC},
		{DW_TAG_typedef, WH_TYPE_TYPEDEF},
		{DW_TAG_const_type, WH_TYPE_TYPEDEF},
		{DW_TAG_volatile_type, WH_TYPE_TYPEDEF},
		{DW_TAG_restrict_type, WH_TYPE_TYPEDEF},
		{DW_TAG_atomic_type, WH_TYPE_TYPEDEF},
		{DW_TAG_base_type, WH_TYPE_INT},
		{DW_TAG_unspecified_type, WH_TYPE_VOID},
	};

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (map[i].tag == tag)
			return (enum wh_type_kind)map[i].kind;
	return WH_TYPE_OTHER;
}

static void base_info(struct wh_dwarf *d, Dwarf_Die die, struct wh_type_info *ret)
{
	int64_t enc = 0;

	(void)wh_dw_num(d, die, DW_AT_encoding, &enc);
	ret->is_bool = enc == DW_ATE_boolean;
	ret->is_char =
		enc == DW_ATE_signed_char || enc == DW_ATE_unsigned_char || enc == DW_ATE_UTF;
	ret->is_signed = enc == DW_ATE_signed || enc == DW_ATE_signed_char;
	if (enc == DW_ATE_float || enc == DW_ATE_complex_float || enc == DW_ATE_decimal_float)
		ret->kind = WH_TYPE_FLOAT;
}

static struct wh_err *info_of(struct wh_dwarf *d, Dwarf_Die die, uint64_t id,
			      struct wh_type_info *ret)
{
	const struct wh_dw_compound *c = NULL;
	uint16_t tag = wh_dw_tag(d, die);
	const char *name = whole_name(d, id, wh_dw_name(d, die));

	ret->kind = kind_of(tag);
	ret->name = name ? name : "";
	ret->size = die_size(d, die, 0);
	switch (ret->kind) {
	case WH_TYPE_INT: base_info(d, die, ret); break;
	case WH_TYPE_STRUCT:
	case WH_TYPE_UNION:
	case WH_TYPE_ENUM:
		WH_TRY(compound_get(d, id, &c));
		ret->count = c->n;
		break;
	case WH_TYPE_ARRAY: ret->count = array_count(d, die); __attribute__((fallthrough));
	case WH_TYPE_PTR:
	case WH_TYPE_TYPEDEF:
	case WH_TYPE_FUNC: ret->elem.id = wh_dw_ref(d, die, DW_AT_type); break;
	default: break;
	}
	return NULL;
}

/* ---- provider operations: the locked outside ---- */

static struct wh_err *dwarf_find(void *priv, const char *name, size_t nth, uint64_t *ret_id)
{
	struct wh_dwarf *d = priv;
	struct wh_err *e;

	pthread_mutex_lock(&d->lock);
	e = find_entry(d, name, nth, ret_id);
	pthread_mutex_unlock(&d->lock);
	return e;
}

static struct wh_err *dwarf_info(void *priv, uint64_t id, struct wh_type_info *ret)
{
	struct wh_dwarf *d = priv;
	struct wh_err *e = &wh_err_not_found;
	Dwarf_Die die;
	uint64_t def;

	pthread_mutex_lock(&d->lock);
	die = wh_dw_at(d, id);
	if (die) {
		def = definition_of(d, die, id);
		if (def != id) {
			wh_dw_drop(d, die);
			die = wh_dw_at(d, def);
		}
		if (die)
			e = info_of(d, die, def, ret);
		wh_dw_drop(d, die);
	}
	pthread_mutex_unlock(&d->lock);
	return e;
}

/* The decoded compound behind @id or behind the declaration that @id is. */
static struct wh_err *compound_of(struct wh_dwarf *d, uint64_t id,
				  const struct wh_dw_compound **ret)
{
	Dwarf_Die die;

	if (!wh_map_find(&d->by_id, id, NULL)) {
		die = wh_dw_at(d, id);
		if (!die)
			return &wh_err_not_found;
		id = definition_of(d, die, id);
		wh_dw_drop(d, die);
	}
	return compound_get(d, id, ret);
}

static struct wh_err *dwarf_member(void *priv, uint64_t id, size_t i, struct wh_member *ret)
{
	const struct wh_dw_compound *c = NULL;
	struct wh_dwarf *d = priv;
	struct wh_err *e;

	pthread_mutex_lock(&d->lock);
	e = compound_of(d, id, &c);
	if (!e && (!c->members || i >= c->n))
		e = &wh_err_not_found;
	if (!e)
		*ret = c->members[i];
	pthread_mutex_unlock(&d->lock);
	return e;
}

static struct wh_err *dwarf_enum_value(void *priv, uint64_t id, size_t i, const char **ret_name,
				       int64_t *ret_value)
{
	const struct wh_dw_compound *c = NULL;
	struct wh_dwarf *d = priv;
	struct wh_err *e;

	pthread_mutex_lock(&d->lock);
	e = compound_of(d, id, &c);
	if (!e && (!c->values || i >= c->n))
		e = &wh_err_not_found;
	if (!e) {
		*ret_name = c->values[i].name;
		*ret_value = c->values[i].value;
	}
	pthread_mutex_unlock(&d->lock);
	return e;
}

static void dwarf_close(void *priv)
{
	wh_dwarf_destroy(priv);
}

const struct wh_type_provider_ops wh_dwarf_ops = {
	.name = "dwarf",
	.find = dwarf_find,
	.info = dwarf_info,
	.member = dwarf_member,
	.enum_value = dwarf_enum_value,
	.close = dwarf_close,
};
