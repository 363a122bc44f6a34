/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ::print TYPE [MEMBER…]: any value of any type that CTF, BTF, DWARF or a profile describes.  A member path
 * is names, "->" or "." between them, and [n] into arrays; pointers on the way are followed.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/limits.h"
#include "analyzer/cmd/mdb/mdb.h"

#define PRINT_DEPTH	12
#define PRINT_CHARS	255
#define PRINT_ELEMENTS	64
#define PRINT_LINES_MAX 20000
#define TEXT_MAX	4096 /* [bytes] of one string */

/* Letters of ::print, in the order of the option string. */
#define PRINT_FLAGS "aCdhLtxipT"
#define PRINT_WITH  "cls"
enum {
	P_ADDR = 1,
	P_ALL_CHARS = 2,
	P_DECIMAL = 4,
	P_HOLES = 8,
	P_ALL_ELEMENTS = 16,
	P_TYPE = 32,
	P_HEX = 64,
	P_IMMEDIATE = 128,
	P_PHYSICAL = 256,
	P_BASE_TYPE = 512
};

struct printer {
	struct wh_mdb *m;
	unsigned int lines;
	uint32_t set;
	uint64_t chars, elements, depth; /* at most */
	uint8_t value[8];		 /* what -i prints, as the target would keep it */
};

enum space { IN_VIRTUAL, IN_PHYSICAL, IN_VALUE };

/* A place of the target with its type. */
struct place {
	struct wh_type type;
	uint64_t addr; /* IN_VALUE: offset into it */
	uint32_t bit_off, bit_size;
	enum space space;
};

static bool info_of(struct wh_type t, struct wh_type_info *ret)
{
	struct wh_err *e = wh_type_get_info(t, ret);

	wh_err_destroy(e);
	return !e;
}

static size_t read_bytes(const struct printer *p, const struct place *at, void *buf, size_t n)
{
	if (at->space != IN_VALUE)
		return wh_read_some(p->m->t->reader, at->space == IN_PHYSICAL ? WH_PHYS : WH_VIRT,
				    at->addr, buf, n, NULL);
	if (at->addr > sizeof(p->value) || n > sizeof(p->value) - at->addr)
		return 0;
	memcpy(buf, p->value + at->addr, n);
	return n;
}

static const char *indent(unsigned int depth)
{
	static const char spaces[] = "                                                ";

	depth = depth * 4 < sizeof(spaces) - 1 ? depth * 4 : sizeof(spaces) - 1;
	return spaces + sizeof(spaces) - 1 - depth;
}

/* Reads an integer of up to 8 bytes, bit-fields included. */
static bool read_integer(struct printer *p, const struct place *at, uint64_t size, uint64_t *ret)
{
	uint8_t b[16] = {0};
	struct wh_abi abi = p->m->abi;
	size_t n = (size_t)size;
	uint64_t v;

	if (!at->bit_size) {
		if (!n || n > 8 || read_bytes(p, at, b, n) < n)
			return false;
		*ret = wh_get_uint(abi, b, n);
		return true;
	}
	n = (at->bit_off + at->bit_size + 7) / 8;
	if (n > 8 || read_bytes(p, at, b, n) < n)
		return false;
	v = 0;
	for (size_t i = 0; i < n; i++)
		v = abi.big_endian ? v << 8 | b[i] : v | (uint64_t)b[i] << (8 * i);
	v >>= abi.big_endian ? n * 8 - at->bit_off - at->bit_size : at->bit_off;
	*ret = at->bit_size < 64 ? v & ((1ull << at->bit_size) - 1) : v;
	return true;
}

static const char *enum_name(struct wh_type t, int64_t v)
{
	const char *name;
	int64_t value;

	for (size_t i = 0; wh_type_get_enum_value(t, i, &name, &value); i++)
		if (value == v)
			return name;
	return NULL;
}

/* Characters at @at, up to @n (0: as many as are printed at most); false when there is nothing to read. */
static bool read_text(struct printer *p, const struct place *at, uint64_t n, char text[TEXT_MAX])
{
	uint64_t most = p->chars < TEXT_MAX - 1 ? p->chars : TEXT_MAX - 1;
	size_t got;

	n = n && n < most ? n : most;
	got = read_bytes(p, at, text, (size_t)n);
	text[got] = '\0';
	/* A string may end where memory does. */
	return got;
}

static void print_text(struct printer *p, const struct place *at, uint64_t n)
{
	char text[TEXT_MAX];

	if (!read_text(p, at, n, text)) {
		wh_mdb_text(p->m, "?");
		return;
	}
	wh_mdb_text(p->m, "\"");
	for (const char *s = text; *s; s++)
		if ((unsigned char)*s >= ' ' && (unsigned char)*s <= '~')
			wh_mdb_text(p->m, "%c", *s);
		else
			wh_mdb_text(p->m, "\\%03o", (unsigned char)*s);
	wh_mdb_text(p->m, "\"");
}

static bool is_char_type(struct wh_type t)
{
	struct wh_type_info i;

	/* Unsigned characters are bytes, not text. */
	return info_of(wh_type_strip(t), &i) && i.kind == WH_TYPE_INT && i.size == 1 &&
	       !strcmp(i.name, "char");
}

static void print_pointer(struct printer *p, const struct wh_type_info *i, uint64_t v)
{
	char sym[256];
	struct wh_type_info to;

	wh_mdb_text(p->m, v ? "0x%llx" : "%llu", (unsigned long long)v);
	if (!v)
		return;
	if (is_char_type(i->elem)) {
		wh_mdb_text(p->m, " ");
		print_text(p, &(struct place){.addr = v}, 0);
		return;
	}
	if (info_of(wh_type_strip(i->elem), &to) && to.kind == WH_TYPE_FUNC)
		wh_mdb_text(p->m, " (%s)", wh_mdb_symbol(p->m, v, sym, sizeof(sym)));
}

static int64_t signed_value(const struct wh_type_info *i, const struct place *at, uint64_t v)
{
	unsigned int bits = at->bit_size ? at->bit_size : (unsigned int)i->size * 8;

	return i->is_signed && bits && bits < 64 ? (int64_t)(v << (64 - bits)) >> (64 - bits)
						 : (int64_t)v;
}

static void print_scalar(struct printer *p, const struct place *at, const struct wh_type_info *i)
{
	uint64_t v;
	const char *name;

	if (!read_integer(p, at, i->size, &v)) {
		wh_mdb_text(p->m, "?");
		return;
	}
	if (i->kind == WH_TYPE_PTR) {
		print_pointer(p, i, v);
	} else if (i->kind == WH_TYPE_ENUM) {
		name = enum_name(wh_type_strip(at->type), (int32_t)v);
		wh_mdb_text(p->m, "%lld", (long long)(int32_t)v);
		if (name)
			wh_mdb_text(p->m, " (%s)", name);
	} else if (i->is_char && v >= ' ' && v <= '~') {
		wh_mdb_text(p->m, "'%c'", (char)v);
	} else if (p->set & P_DECIMAL) {
		wh_mdb_text(p->m, "%lld", (long long)signed_value(i, at, v));
	} else if (v < 10 && !(p->set & P_HEX)) {
		wh_mdb_text(p->m, "%llu", (unsigned long long)v);
	} else {
		wh_mdb_text(p->m, "0x%llx", (unsigned long long)v);
	}
}

static void print_value(struct printer *p, const struct place *at, unsigned int depth);

/* "kthread_t *", "char [9]": names as far as they are known. */
static void type_name(struct wh_type t, struct wh_strbuf *sb, unsigned int depth)
{
	struct wh_type_info i;

	if (depth > 8 || !info_of(t, &i)) {
		wh_strbuf_puts(sb, "void");
		return;
	}
	if (i.name && *i.name) {
		wh_strbuf_printf(sb, "%s%s",
				 i.kind == WH_TYPE_STRUCT  ? "struct "
				 : i.kind == WH_TYPE_UNION ? "union "
				 : i.kind == WH_TYPE_ENUM  ? "enum "
							   : "",
				 i.name);
	} else if (i.kind == WH_TYPE_PTR) {
		type_name(i.elem, sb, depth + 1);
		wh_strbuf_puts(sb, " *");
	} else if (i.kind == WH_TYPE_ARRAY) {
		type_name(i.elem, sb, depth + 1);
		wh_strbuf_printf(sb, " [%llu]", (unsigned long long)i.count);
	} else {
		wh_strbuf_puts(sb, i.kind == WH_TYPE_STRUCT  ? "struct"
				   : i.kind == WH_TYPE_UNION ? "union"
				   : i.kind == WH_TYPE_FUNC  ? "function"
				   : i.kind == WH_TYPE_VOID  ? "void"
							     : "int");
	}
}

/* What stands in front of a name: address (-a) and type (-t). */
static void print_lead(struct printer *p, const struct place *at)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;

	if (p->set & P_ADDR)
		wh_mdb_text(p->m, "%llx ", (unsigned long long)at->addr);
	if (p->set & (P_TYPE | P_BASE_TYPE)) {
		type_name(at->type, &sb, 0);
		wh_mdb_text(p->m, "%s ", wh_strbuf_str(&sb));
	}
	if (p->set & P_BASE_TYPE) {
		wh_strbuf_clear(&sb);
		type_name(wh_type_strip(at->type), &sb, 0);
		wh_mdb_text(p->m, "(%s) ", wh_strbuf_str(&sb));
	}
	wh_strbuf_fini(&sb);
}

/* -h: bytes that belong to no member. */
static void print_hole(struct printer *p, uint64_t from, uint64_t to, unsigned int depth)
{
	if ((p->set & P_HOLES) && to > from)
		wh_mdb_text(p->m, "%s<<HOLE>> /* %llu bytes */\n", indent(depth),
			    (unsigned long long)(to - from));
}

static uint64_t member_end(const struct wh_member *m)
{
	struct wh_type_info i;

	if (m->bit_size)
		return m->offset + (m->bit_off + m->bit_size + 7) / 8;
	return m->offset + (info_of(wh_type_strip(m->type), &i) ? i.size : 0);
}

static void print_struct(struct printer *p, const struct place *at, unsigned int depth)
{
	struct wh_type t = wh_type_strip(at->type);
	struct wh_type_info info = {0};
	struct wh_member mem;
	uint64_t end = 0;
	bool holes = info_of(t, &info) && info.kind == WH_TYPE_STRUCT;

	wh_mdb_text(p->m, "{\n");
	for (size_t i = 0; wh_type_get_member(t, i, &mem) && p->lines < PRINT_LINES_MAX; i++) {
		struct place to = {mem.type, at->addr + mem.offset, mem.bit_off, mem.bit_size,
				   at->space};

		if (holes) {
			print_hole(p, end, mem.offset, depth + 1);
			if (member_end(&mem) > end)
				end = member_end(&mem);
		}
		wh_mdb_text(p->m, "%s", indent(depth + 1));
		print_lead(p, &to);
		wh_mdb_text(p->m, "%s%s", mem.name, *mem.name ? " = " : "");
		print_value(p, &to, depth + 1);
		wh_mdb_text(p->m, "\n");
		p->lines++;
	}
	if (holes)
		print_hole(p, end, info.size, depth + 1);
	wh_mdb_text(p->m, "%s}", indent(depth));
}

static void print_array(struct printer *p, const struct place *at, const struct wh_type_info *i,
			unsigned int depth)
{
	struct wh_type_info elem;
	uint64_t n = i->count;

	if (!info_of(wh_type_strip(i->elem), &elem) || !elem.size || !n) {
		wh_mdb_text(p->m, "[ ... ]");
		return;
	}
	if (is_char_type(i->elem)) {
		wh_mdb_text(p->m, "[ ");
		print_text(p, at, n);
		wh_mdb_text(p->m, " ]");
		return;
	}
	wh_mdb_text(p->m, "[ ");
	for (uint64_t k = 0; k < n && k < p->elements && p->lines < PRINT_LINES_MAX; k++) {
		struct place to = {i->elem, at->addr + k * elem.size, 0, 0, at->space};

		if (k)
			wh_mdb_text(p->m, ", ");
		print_value(p, &to, depth + 1);
	}
	wh_mdb_text(p->m, n > p->elements ? ", ... ]" : " ]");
}

static void print_value(struct printer *p, const struct place *at, unsigned int depth)
{
	struct wh_type_info i;

	if (depth > p->depth || !info_of(wh_type_strip(at->type), &i)) {
		wh_mdb_text(p->m, "...");
		return;
	}
	switch (i.kind) {
	case WH_TYPE_STRUCT:
	case WH_TYPE_UNION: print_struct(p, at, depth); break;
	case WH_TYPE_ARRAY: print_array(p, at, &i, depth); break;
	case WH_TYPE_INT:
	case WH_TYPE_ENUM:
	case WH_TYPE_PTR: print_scalar(p, at, &i); break;
	default: wh_mdb_text(p->m, "%llx", (unsigned long long)at->addr); break;
	}
}

/* ---- the same for programs ---- */

static void json_value(struct printer *p, const struct place *at, unsigned int depth);

static void json_type(struct printer *p, const struct place *at)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;

	type_name(at->type, &sb, 0);
	wh_emit_str(p->m->run->emit, "type", NULL, wh_strbuf_str(&sb));
	wh_strbuf_fini(&sb);
	if (at->space != IN_VALUE)
		wh_emit_hex(p->m->run->emit, "address", NULL, at->addr);
}

static void json_struct(struct printer *p, const struct place *at, unsigned int depth)
{
	struct wh_emit *e = p->m->run->emit;
	struct wh_type t = wh_type_strip(at->type);
	struct wh_member mem;

	wh_emit_array(e, "members", NULL);
	for (size_t i = 0; wh_type_get_member(t, i, &mem) && p->lines < PRINT_LINES_MAX; i++) {
		struct place to = {mem.type, at->addr + mem.offset, mem.bit_off, mem.bit_size,
				   at->space};

		p->lines++;
		wh_emit_object(e, NULL, NULL);
		wh_emit_str(e, "name", NULL, mem.name);
		json_type(p, &to);
		json_value(p, &to, depth + 1);
		wh_emit_end(e);
	}
	wh_emit_end(e);
}

static void json_array(struct printer *p, const struct place *at, const struct wh_type_info *i,
		       unsigned int depth)
{
	struct wh_emit *e = p->m->run->emit;
	struct wh_type_info elem;
	char text[TEXT_MAX];

	if (!info_of(wh_type_strip(i->elem), &elem) || !elem.size) {
		wh_emit_null(e, "value");
		return;
	}
	if (is_char_type(i->elem)) {
		if (i->count && read_text(p, at, i->count, text))
			wh_emit_str(e, "value", NULL, text);
		else
			wh_emit_null(e, "value");
		return;
	}
	wh_emit_u64(e, "count", NULL, i->count, WH_UNIT_NONE);
	wh_emit_array(e, "elements", NULL);
	for (uint64_t k = 0; k < i->count && k < p->elements && p->lines < PRINT_LINES_MAX; k++) {
		struct place to = {i->elem, at->addr + k * elem.size, 0, 0, at->space};

		p->lines++;
		wh_emit_object(e, NULL, NULL);
		json_value(p, &to, depth + 1);
		wh_emit_end(e);
	}
	wh_emit_end(e);
}

/* Pointers are addresses; what they lead to stands beside them when it is text or a function. */
static void json_pointer(struct printer *p, const struct wh_type_info *i, uint64_t v)
{
	struct wh_emit *e = p->m->run->emit;
	struct wh_type_info to;
	char text[TEXT_MAX];

	wh_emit_hex(e, "value", NULL, v);
	if (v && is_char_type(i->elem) && read_text(p, &(struct place){.addr = v}, 0, text))
		wh_emit_str(e, "string", NULL, text);
	else if (v && info_of(wh_type_strip(i->elem), &to) && to.kind == WH_TYPE_FUNC)
		wh_emit_str(e, "symbol", NULL, wh_mdb_symbol(p->m, v, text, sizeof(text)));
}

static void json_scalar(struct printer *p, const struct place *at, const struct wh_type_info *i)
{
	struct wh_emit *e = p->m->run->emit;
	const char *name;
	uint64_t v;

	if (!read_integer(p, at, i->size, &v)) {
		wh_emit_null(e, "value");
	} else if (i->kind == WH_TYPE_PTR) {
		json_pointer(p, i, v);
	} else if (i->kind == WH_TYPE_ENUM) {
		name = enum_name(wh_type_strip(at->type), (int32_t)v);
		wh_emit_i64(e, "value", NULL, (int32_t)v);
		if (name)
			wh_emit_str(e, "enumerator", NULL, name);
	} else if (i->is_signed) {
		wh_emit_i64(e, "value", NULL, signed_value(i, at, v));
	} else {
		wh_emit_u64(e, "value", NULL, v, WH_UNIT_NONE);
	}
}

static void json_value(struct printer *p, const struct place *at, unsigned int depth)
{
	struct wh_type_info i;

	if (depth > p->depth || !info_of(wh_type_strip(at->type), &i)) {
		wh_emit_null(p->m->run->emit, "value");
		return;
	}
	switch (i.kind) {
	case WH_TYPE_STRUCT:
	case WH_TYPE_UNION: json_struct(p, at, depth); break;
	case WH_TYPE_ARRAY: json_array(p, at, &i, depth); break;
	case WH_TYPE_INT:
	case WH_TYPE_ENUM:
	case WH_TYPE_PTR: json_scalar(p, at, &i); break;
	default: wh_emit_null(p->m->run->emit, "value"); break;
	}
}

static void json_place(struct printer *p, const struct place *at, const char *path)
{
	struct wh_emit *e = p->m->run->emit;

	wh_mdb_json_flush(p->m);
	wh_emit_object(e, NULL, NULL);
	wh_emit_object(e, "print", NULL);
	if (path)
		wh_emit_str(e, "name", NULL, path);
	json_type(p, at);
	json_value(p, at, 0);
	wh_emit_end(e);
	wh_emit_end(e);
}

/* ---- member paths ---- */

/* Through a pointer, so that its target's members can be named. */
static struct wh_err *follow(struct printer *p, struct place *at)
{
	struct wh_type_info i;
	uint64_t v;

	if (!info_of(wh_type_strip(at->type), &i) || i.kind != WH_TYPE_PTR)
		return NULL;
	if (!read_integer(p, at, p->m->abi.word, &v))
		return wh_err_new(WH_ERR_NOT_FOUND, "no pointer can be read at %llx",
				  (unsigned long long)at->addr);
	*at = (struct place){.type = i.elem, .addr = v};
	return NULL;
}

static struct wh_err *step_index(struct printer *p, const char **s, struct place *at)
{
	struct wh_type_info i, elem;
	uint64_t n;

	++*s;
	WH_TRY(wh_mdb_expr(p->m, s, &n));
	if (**s != ']')
		return wh_err_new(WH_ERR_USAGE, "missing ]");
	++*s;
	if (!info_of(wh_type_strip(at->type), &i) ||
	    (i.kind != WH_TYPE_ARRAY && i.kind != WH_TYPE_PTR))
		return wh_err_new(WH_ERR_USAGE, "[] after something that is no array");
	if (i.kind == WH_TYPE_PTR)
		WH_TRY(follow(p, at));
	if (!info_of(wh_type_strip(i.elem), &elem) || !elem.size)
		return wh_err_new(WH_ERR_NOT_FOUND, "the size of the elements is unknown");
	at->type = i.elem;
	at->addr += n * elem.size;
	return NULL;
}

static struct wh_err *step_member(struct printer *p, const char **s, struct place *at)
{
	char name[256];
	size_t n = 0;
	struct wh_member mem;

	while (isalnum((unsigned char)(*s)[n]) || (*s)[n] == '_')
		n++;
	if (!n || n >= sizeof(name))
		return wh_err_new(WH_ERR_USAGE, "expected a member at \"%.20s\"", *s);
	memcpy(name, *s, n);
	name[n] = '\0';
	*s += n;
	WH_TRY(follow(p, at));
	if (!wh_type_find_member(at->type, name, &mem))
		return wh_err_new(WH_ERR_USAGE, "no member named %s", name);
	*at = (struct place){mem.type, at->addr + mem.offset, mem.bit_off, mem.bit_size, at->space};
	return NULL;
}

static struct wh_err *walk_path(struct printer *p, const char *path, struct place *at)
{
	while (*path) {
		if (*path == '[') {
			WH_TRY(step_index(p, &path, at));
		} else if (*path == '.') {
			path++;
		} else if (!strncmp(path, "->", 2)) {
			path += 2;
		} else {
			WH_TRY(step_member(p, &path, at));
		}
	}
	return NULL;
}

/* ---- the dcmd ---- */

/* "struct foo", "foo_t", "module`foo_t", with "*" behind for a pointer; *ret_used words. */
static struct wh_err *find_type(struct wh_mdb *m, const struct wh_mdb_call *c, size_t from,
				struct wh_type *ret, size_t *ret_used)
{
	const char *name = from < c->argc ? c->argv[from] : NULL, *tick;

	if (!m->types)
		return wh_err_new(WH_ERR_UNSUPPORTED, "%s: no type information in this dump",
				  c->name);
	if (!name)
		return wh_err_new(WH_ERR_USAGE, "%s wants the name of a type", c->name);
	*ret_used = 1;
	if ((!strcmp(name, "struct") || !strcmp(name, "union") || !strcmp(name, "enum")) &&
	    from + 1 < c->argc) {
		name = c->argv[from + 1];
		*ret_used = 2;
	}
	tick = strrchr(name, '`');
	if (!wh_types_find(m->types, tick ? tick + 1 : name, NULL, ret))
		return wh_err_new(WH_ERR_USAGE, "unknown type: %s", name);
	return NULL;
}

static struct wh_err *yield_place(struct printer *p, const struct wh_mdb_call *c,
				  const struct place *at)
{
	struct wh_type_info i;
	uint64_t v;

	if (!info_of(wh_type_strip(at->type), &i))
		return wh_mdb_yield(c, at->addr);
	if ((i.kind == WH_TYPE_INT || i.kind == WH_TYPE_PTR || i.kind == WH_TYPE_ENUM)) {
		if (!read_integer(p, at, i.size, &v))
			return wh_err_new(WH_ERR_NOT_FOUND, "no value can be read at %llx",
					  (unsigned long long)at->addr);
		return wh_mdb_yield(c, v);
	}
	return wh_mdb_yield(c, at->addr);
}

/* Numbers of options are decimal. */
static struct wh_err *limit(const char *text, uint64_t most, uint64_t *ret)
{
	char *end;
	unsigned long long v;

	if (!text)
		return NULL;
	v = strtoull(text, &end, 10);
	if (end == text || *end)
		return wh_err_new(WH_ERR_USAGE, "print: \"%s\" is no number", text);
	*ret = v < most ? v : most;
	return NULL;
}

static struct wh_err *printer_open(struct wh_mdb *m, const struct wh_mdb_call *c, struct printer *p,
				   size_t *ret_rest)
{
	const char *with[3] = {NULL};

	*p = (struct printer){
		.m = m, .chars = PRINT_CHARS, .elements = PRINT_ELEMENTS, .depth = PRINT_DEPTH};
	WH_TRY(wh_mdb_opts(c, PRINT_FLAGS, PRINT_WITH, &p->set, with, ret_rest));
	WH_TRY(limit(with[0], UINT64_MAX, &p->chars));
	WH_TRY(limit(with[1], UINT64_MAX, &p->elements));
	WH_TRY(limit(with[2], PRINT_DEPTH, &p->depth));
	if (p->set & P_ALL_CHARS)
		p->chars = UINT64_MAX;
	if (p->set & P_ALL_ELEMENTS)
		p->elements = UINT64_MAX;
	return NULL;
}

/* Where the value lies: at the address, in physical memory (-p), or in the address itself (-i). */
static struct wh_err *place_base(struct printer *p, const struct wh_mdb_call *c, struct place *at)
{
	struct wh_type_info i;
	size_t size = p->m->abi.word;

	at->addr = c->addr;
	if (p->set & P_PHYSICAL) {
		at->space = IN_PHYSICAL;
		return p->m->t->dump->cls != WH_DUMP_PROCESS
			       ? NULL
			       : wh_err_new(WH_ERR_UNSUPPORTED,
					    "%s: a process core has no physical addresses",
					    c->name);
	}
	if (!(p->set & P_IMMEDIATE))
		return NULL;
	if (info_of(wh_type_strip(at->type), &i) && i.size)
		size = (size_t)i.size;
	if (size > sizeof(p->value))
		return wh_err_new(WH_ERR_USAGE, "%s: a value of %zu bytes is no immediate one",
				  c->name, size);
	for (size_t b = 0; b < size; b++)
		p->value[p->m->abi.big_endian ? size - 1 - b : b] = (uint8_t)(c->addr >> (8 * b));
	at->addr = 0;
	at->space = IN_VALUE;
	return NULL;
}

static struct wh_err *print_place(struct printer *p, const struct wh_mdb_call *c,
				  const struct place *at, const char *path)
{
	if (c->pipe_out)
		return yield_place(p, c, at);
	if (p->m->json) {
		json_place(p, at, path);
		return NULL;
	}
	print_lead(p, at);
	if (path)
		wh_mdb_text(p->m, "%s = ", path);
	print_value(p, at, 0);
	wh_mdb_text(p->m, "\n");
	return NULL;
}

struct wh_err *wh_dcmd_print(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	struct printer p;
	struct place base = {0}, at;
	size_t rest, used;

	WH_TRY(wh_mdb_need_addr(c));
	WH_TRY(printer_open(m, c, &p, &rest));
	WH_TRY(find_type(m, c, rest, &base.type, &used));
	WH_TRY(place_base(&p, c, &base));
	rest += used;
	if (rest == c->argc)
		return print_place(&p, c, &base, NULL);
	for (; rest < c->argc; rest++) {
		at = base;
		WH_TRY(walk_path(&p, c->argv[rest], &at));
		WH_TRY(print_place(&p, c, &at, c->argv[rest]));
	}
	return NULL;
}

struct wh_err *wh_dcmd_sizeof(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	struct wh_type t;
	struct wh_type_info i;
	size_t used;

	WH_TRY(find_type(m, c, 0, &t, &used));
	if (!info_of(wh_type_strip(t), &i))
		return wh_err_new(WH_ERR_NOT_FOUND, "the size is unknown");
	wh_mdb_text(m, "sizeof (%s) = 0x%llx\n", c->argv[used - 1], (unsigned long long)i.size);
	return NULL;
}

struct wh_err *wh_dcmd_offsetof(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	struct wh_type t;
	struct wh_member mem;
	size_t used;

	WH_TRY(find_type(m, c, 0, &t, &used));
	if (used >= c->argc)
		return wh_err_new(WH_ERR_USAGE, "offsetof TYPE MEMBER");
	if (!wh_type_find_member(t, c->argv[used], &mem))
		return wh_err_new(WH_ERR_USAGE, "no member named %s", c->argv[used]);
	wh_mdb_text(m, "offsetof (%s, %s) = 0x%llx\n", c->argv[used - 1], c->argv[used],
		    (unsigned long long)mem.offset);
	return NULL;
}
