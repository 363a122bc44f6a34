/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list `modules` and, per module, its memory and its kallsyms.
 *
 *	before 4.5   module_core, core_size, module_init, init_size
 *	4.5 .. 6.3   core_layout, init_layout (data_layout on some machines): {base, size, text_size …}
 *	6.4 on       mem[MOD_TEXT … MOD_INIT_RODATA]: {base, size}
 *
 * Init parts are freed once the module runs, and their addresses reused: they have size 0 then, and their
 * symbols fall outside every range, so that the symbol table never answers with them.
 */
#include "dwarf/kmodules.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/base/hashmap.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/vec.h"
#include "dwarf/layout.h"

#define ELF64_SYM_SIZE	24
#define ELF32_SYM_SIZE	16
#define MODULE_MEM_MAX	(1ull << 30) /* [bytes] believed of one range */
#define STRTAB_MAX	(32u << 20)
#define STRTAB_SLACK	512    /* KSYM_NAME_LEN of 6.1 */
#define FIND_TRIES	100000 /* list heads looked into */
#define MODULE_UNFORMED 3      /* enum module_state, include/linux/module.h */

struct layout {
	struct wh_field list, name, state, kallsyms, percpu, percpu_size;
	struct wh_field core_base, core_size, init_base, init_size, data_base, data_size;
	struct wh_field mem;
	struct wh_field ks_symtab, ks_num, ks_strtab, ks_typetab;
};

static const struct wh_want wants[] = {
	WH_WANT(struct layout, list, "module", "list"),
	WH_WANT(struct layout, name, "module", "name"),
	WH_WANT_OPT(struct layout, state, "module", "state"),
	WH_WANT_OPT(struct layout, kallsyms, "module", "kallsyms"),
	WH_WANT_OPT(struct layout, percpu, "module", "percpu"),
	WH_WANT_OPT(struct layout, percpu_size, "module", "percpu_size"),
	WH_WANT_OPT(struct layout, core_base, "module", "core_layout.base|module_core"),
	WH_WANT_OPT(struct layout, core_size, "module", "core_layout.size|core_size"),
	WH_WANT_OPT(struct layout, init_base, "module", "init_layout.base|module_init"),
	WH_WANT_OPT(struct layout, init_size, "module", "init_layout.size|init_size"),
	WH_WANT_OPT(struct layout, data_base, "module", "data_layout.base"),
	WH_WANT_OPT(struct layout, data_size, "module", "data_layout.size"),
	WH_WANT_OPT(struct layout, mem, "module", "mem"),
	WH_WANT_OPT(struct layout, ks_symtab, "mod_kallsyms", "symtab"),
	WH_WANT_OPT(struct layout, ks_num, "mod_kallsyms", "num_symtab"),
	WH_WANT_OPT(struct layout, ks_strtab, "mod_kallsyms", "strtab"),
	WH_WANT_OPT(struct layout, ks_typetab, "mod_kallsyms", "typetab"),
};

/* One element of module.mem[]. */
struct mem_layout {
	uint64_t stride, count;
	struct wh_member base, size;
	uint8_t kind[16];
};

struct walk {
	struct wh_reader *r;
	struct wh_abi abi;
	struct wh_diags *diags;
	const struct wh_types *types;
	struct wh_symtab *syms;
	struct layout lay;
	struct mem_layout mem;
	uint64_t head;
	struct wh_map seen;
	WH_VEC(struct wh_kmodule) mods;
};

static bool field_read(struct walk *w, uint64_t base, const struct wh_field *f, uint64_t *ret)
{
	uint8_t buf[8];

	if (!f->found || f->size > sizeof(buf) ||
	    wh_read_some(w->r, WH_VIRT, base + f->offset, buf, (size_t)f->size, NULL) != f->size)
		return false;
	*ret = wh_get_uint(w->abi, buf, (size_t)f->size);
	return true;
}

static struct wh_field field_of(const struct wh_member *m)
{
	return (struct wh_field){.offset = m->offset, .size = m->size, .found = true};
}

/* enum mod_mem_type (6.4) to our kinds; by name, since types were inserted before and may be again. */
static void mem_kinds(struct walk *w)
{
	static const struct {
		const char *name;
		uint8_t kind;
	} map[] = {{"MOD_TEXT", WH_KMOD_TEXT},	     {"MOD_DATA", WH_KMOD_DATA},
		   {"MOD_RODATA", WH_KMOD_RODATA},   {"MOD_RO_AFTER_INIT", WH_KMOD_RO_AFTER_INIT},
		   {"MOD_INIT_TEXT", WH_KMOD_INIT},  {"MOD_INIT_DATA", WH_KMOD_INIT},
		   {"MOD_INIT_RODATA", WH_KMOD_INIT}};

	memset(w->mem.kind, WH_KMOD_CORE, sizeof(w->mem.kind));
	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		int64_t v = 0;

		if (wh_types_enumerator(w->types, "mod_mem_type", map[i].name, &v) && v >= 0 &&
		    v < (int64_t)sizeof(w->mem.kind))
			w->mem.kind[v] = map[i].kind;
	}
}

static bool mem_resolve(struct walk *w)
{
	struct wh_type_info info;
	struct wh_member m;
	struct wh_type ty;
	struct wh_err *e;

	if (!wh_types_find(w->types, "module", "mem", &ty) || !wh_type_find_member(ty, "mem", &m))
		return false;
	e = wh_type_get_info(wh_type_strip(m.type), &info);
	if (e || info.kind != WH_TYPE_ARRAY || !info.count || !m.size) {
		wh_err_destroy(e);
		return false;
	}
	w->mem.count = info.count < 16 ? info.count : 16;
	w->mem.stride = m.size / info.count;
	if (!wh_type_find_member(info.elem, "base", &w->mem.base) ||
	    !wh_type_find_member(info.elem, "size", &w->mem.size))
		return false;
	mem_kinds(w);
	return true;
}

static void range_add(struct wh_kmodule *m, uint64_t start, uint64_t size, uint8_t kind)
{
	if (!start || !size || size > MODULE_MEM_MAX || start + size < start ||
	    m->n_ranges == WH_KMODULE_RANGES)
		return;
	m->ranges[m->n_ranges++] =
		(struct wh_kmodule_range){.start = start, .size = size, .kind = kind};
}

static void ranges_old(struct walk *w, struct wh_kmodule *m)
{
	const struct {
		const struct wh_field *base, *size;
		uint8_t kind;
	} part[] = {{&w->lay.core_base, &w->lay.core_size, WH_KMOD_CORE},
		    {&w->lay.init_base, &w->lay.init_size, WH_KMOD_INIT},
		    {&w->lay.data_base, &w->lay.data_size, WH_KMOD_DATA}};

	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		uint64_t base = 0, size = 0;

		if (field_read(w, m->addr, part[i].base, &base) &&
		    field_read(w, m->addr, part[i].size, &size))
			range_add(m, base, size, part[i].kind);
	}
}

static void ranges_mem(struct walk *w, struct wh_kmodule *m)
{
	struct wh_field fb = field_of(&w->mem.base), fs = field_of(&w->mem.size);

	for (uint64_t i = 0; i < w->mem.count; i++) {
		uint64_t at = m->addr + w->lay.mem.offset + i * w->mem.stride, base = 0, size = 0;

		if (field_read(w, at, &fb, &base) && field_read(w, at, &fs, &size))
			range_add(m, base, size, w->mem.kind[i]);
	}
}

static bool in_ranges(const struct wh_kmodule *m, uint64_t addr)
{
	for (uint32_t i = 0; i < m->n_ranges; i++)
		if (addr - m->ranges[i].start < m->ranges[i].size)
			return true;
	return false;
}

/* The raw tables of one module. */
struct tables {
	uint8_t *sym;
	char *str, *type;
	size_t n, str_len, n_type;
};

static void tables_fini(struct tables *t)
{
	free(t->sym);
	free(t->str);
	free(t->type);
}

static struct wh_err *read_table(struct walk *w, uint64_t va, size_t want, void *pbuf, size_t *ret)
{
	uint8_t *p = malloc(want + 1);

	if (!p)
		return &wh_err_nomem;
	*ret = wh_read_some(w->r, WH_VIRT, va, p, want, NULL);
	p[*ret] = 0;
	memcpy(pbuf, &p, sizeof(p));
	return NULL;
}

static struct wh_err *tables_read(struct walk *w, uint64_t ks, struct tables *t)
{
	uint64_t symtab = 0, num = 0, strtab = 0, typetab = 0;
	size_t esz = w->abi.word == 8 ? ELF64_SYM_SIZE : ELF32_SYM_SIZE, got = 0;
	uint32_t max_name = 0;

	if (!field_read(w, ks, &w->lay.ks_symtab, &symtab) ||
	    !field_read(w, ks, &w->lay.ks_num, &num) ||
	    !field_read(w, ks, &w->lay.ks_strtab, &strtab))
		return &wh_err_not_found;
	if (!num || num > WH_LIMIT_SYMBOLS / 16)
		return &wh_err_not_found;
	WH_TRY(read_table(w, symtab, (size_t)num * esz, &t->sym, &got));
	t->n = got / esz;
	for (size_t i = 0; i < t->n; i++) {
		uint32_t name = wh_get_u32(w->abi, t->sym + i * esz);

		if (name < STRTAB_MAX && name > max_name)
			max_name = name;
	}
	WH_TRY(read_table(w, strtab, (size_t)max_name + STRTAB_SLACK, &t->str, &t->str_len));
	if (field_read(w, ks, &w->lay.ks_typetab, &typetab))
		WH_TRY(read_table(w, typetab, t->n, &t->type, &t->n_type));
	return NULL;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* One entry; false for those that name nothing: undefined, empty, ARM mapping symbols. */
static bool entry_get(struct walk *w, const struct tables *t, size_t i, struct wh_sym *ret)
{
	bool w8 = w->abi.word == 8;
	const uint8_t *p = t->sym + i * (w8 ? ELF64_SYM_SIZE : ELF32_SYM_SIZE);
	uint32_t name = wh_get_u32(w->abi, p);
	char type = (char)(w8 ? p[4] : p[12]);

	if (name >= t->str_len || !wh_get_u16(w->abi, p + (w8 ? 6 : 14)))
		return false;
	ret->name = t->str + name;
	if (!ret->name[0] || ret->name[0] == '$' || !strncmp(ret->name, ".L", 2) ||
	    strlen(ret->name) > WH_LIMIT_STRING)
		return false;
	ret->addr = w8 ? wh_get_u64(w->abi, p + 8) : wh_get_u32(w->abi, p + 4);
	ret->size = w8 ? wh_get_u64(w->abi, p + 16) : wh_get_u32(w->abi, p + 8);
	/* Before 5.2 the loader kept the letter in st_info (kernel/module.c add_kallsyms). */
	if (i < t->n_type)
		type = t->type[i];
	ret->type = is_letter(type) ? type : '?';
	return true;
}

static struct wh_err *module_symbols(struct walk *w, const struct wh_kmodule *m)
{
	WH_CLEANUP(tables_fini) struct tables t = {0};
	struct wh_sym s = {0};
	struct wh_err *e;
	uint64_t ks = 0;

	if (!field_read(w, m->addr, &w->lay.kallsyms, &ks))
		return NULL;
	e = tables_read(w, ks, &t);
	if (e) {
		if (wh_err_is(e, WH_ERR_NOMEM))
			return e;
		wh_err_destroy(e);
		wh_diag_add(w->diags, WH_DIAG_WARN, "module-symbols", m->addr,
			    "the symbols of module %s cannot be read", m->name);
		return NULL;
	}
	for (size_t i = 0; i < t.n; i++)
		if (entry_get(w, &t, i, &s))
			WH_TRY(wh_symtab_add(w->syms, s.addr, s.size, s.type, s.name, m->sym_id));
	return NULL;
}

static bool name_ok(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

static struct wh_err *module_add(struct walk *w, uint64_t addr)
{
	struct wh_kmodule m = {.addr = addr};
	uint64_t state = 0, v = 0;
	size_t cap = sizeof(m.name);

	if (w->lay.name.size && w->lay.name.size < cap)
		cap = (size_t)w->lay.name.size;
	if (!wh_read_str(w->r, addr + w->lay.name.offset, m.name, cap) || !name_ok(m.name)) {
		wh_diag_add(w->diags, WH_DIAG_WARN, "module-name", addr,
			    "a module on the list has no readable name");
		return NULL;
	}
	if (field_read(w, addr, &w->lay.state, &state) && state == MODULE_UNFORMED)
		return NULL;
	if (w->mem.count)
		ranges_mem(w, &m);
	else
		ranges_old(w, &m);
	if (field_read(w, addr, &w->lay.percpu_size, &v) && v && v < MODULE_MEM_MAX) {
		m.percpu_size = v;
		if (!field_read(w, addr, &w->lay.percpu, &m.percpu))
			m.percpu_size = 0;
	}
	/* A struct module lies in its module's own memory: a free check of the whole decoding. */
	if (!in_ranges(&m, addr))
		wh_diag_add(w->diags, WH_DIAG_WARN, "module-outside", addr,
			    "struct module of %s lies outside the memory it claims", m.name);
	WH_TRY(wh_symtab_add_module(w->syms, m.name, &m.sym_id));
	for (uint32_t i = 0; i < m.n_ranges; i++)
		WH_TRY(wh_symtab_add_range(w->syms, m.sym_id, m.ranges[i].start,
					   m.ranges[i].start + m.ranges[i].size));
	if (!m.n_ranges) /* bounded all the same: nothing answers by address */
		WH_TRY(wh_symtab_add_range(w->syms, m.sym_id, addr, addr + 1));
	WH_TRY(module_symbols(w, &m));
	return WH_VEC_PUSH(&w->mods, m);
}

/* Follows one of the two link words until the head, damage, or a module seen before. */
static struct wh_err *walk_list(struct walk *w, bool backwards, bool *ret_whole)
{
	uint64_t at = w->head, step = backwards ? w->abi.word : 0, next = 0;
	bool fresh;

	*ret_whole = false;
	for (;;) {
		if (!wh_read_word(w->r, at + step, &next)) {
			wh_diag_add(w->diags, WH_DIAG_WARN, "module-list-broken", at,
				    "the module list cannot be followed%s",
				    backwards ? " backwards either" : "");
			return NULL;
		}
		if (next == w->head) {
			*ret_whole = true;
			return NULL;
		}
		WH_TRY(wh_map_set(&w->seen, next, 1, &fresh));
		if (!fresh || w->seen.n > WH_LIMIT_MODULES) {
			if (!backwards)
				wh_diag_add(w->diags, WH_DIAG_WARN, "module-list-loops", at,
					    "the module list runs in circles");
			return NULL;
		}
		WH_TRY(module_add(w, next - w->lay.list.offset));
		at = next;
	}
}

static int module_cmp(const void *a, const void *b)
{
	const struct wh_kmodule *x = a, *y = b;
	uint64_t p = x->n_ranges ? x->ranges[0].start : x->addr;
	uint64_t q = y->n_ranges ? y->ranges[0].start : y->addr;

	return (p > q) - (p < q);
}

static struct wh_err *walk_init(struct walk *w, struct wh_reader *r, const struct wh_types *types)
{
	const struct wh_dump *dump = wh_mem_dump(wh_reader_mem(r));

	w->r = r;
	w->abi = dump->abi;
	w->diags = dump->ctx->diags;
	w->types = types;
	WH_TRY(wh_layout_resolve(types, wants, sizeof(wants) / sizeof(wants[0]), &w->lay));
	if (!mem_resolve(w))
		w->mem.count = 0;
	if (!w->mem.count && !w->lay.core_base.found)
		return wh_err_new(WH_ERR_NOT_FOUND, "no layout for the memory of struct module");
	return NULL;
}

/* Whether a struct module is linked at @link; takes no symbols, reports nothing. */
static bool looks_like_module(struct walk *w, uint64_t link)
{
	struct wh_kmodule m = {.addr = link - w->lay.list.offset};
	uint64_t state = 0;

	if (!wh_read_str(w->r, m.addr + w->lay.name.offset, m.name, 56) || !name_ok(m.name))
		return false;
	if (field_read(w, m.addr, &w->lay.state, &state) && state > MODULE_UNFORMED)
		return false;
	if (w->mem.count)
		ranges_mem(w, &m);
	else
		ranges_old(w, &m);
	return in_ranges(&m, m.addr);
}

bool wh_kmodules_find_head(struct wh_reader *r, const struct wh_types *types, const uint8_t *image,
			   size_t len, uint64_t va, uint64_t *ret_head)
{
	struct walk w = {0};
	struct wh_err *e = walk_init(&w, r, types);
	size_t word = w.abi.word;
	int tries = 0;

	wh_err_destroy(e);
	if (e)
		return false;
	for (size_t at = 0; at + 2 * word <= len && tries < FIND_TRIES; at += word) {
		uint64_t next = wh_get_word(w.abi, image + at), back = 0;
		uint64_t prev = wh_get_word(w.abi, image + at + word);

		/* Both outside the image, in the kernel's half, and aligned: few words are left. */
		if (next >> (8 * word - 1) != 1 || prev >> (8 * word - 1) != 1 || next - va < len ||
		    prev - va < len || ((next | prev) & (word - 1)))
			continue;
		if (!wh_read_word(r, next + word, &back) || back != va + at ||
		    !wh_read_word(r, prev, &back) || back != va + at)
			continue;
		tries++;
		if (looks_like_module(&w, next) && looks_like_module(&w, prev)) {
			*ret_head = va + at;
			return true;
		}
	}
	return false;
}

struct wh_err *wh_kmodules_read(struct wh_reader *r, const struct wh_types *types, uint64_t head,
				struct wh_symtab *syms, struct wh_kmodule **ret, size_t *ret_n)
{
	struct walk w = {.syms = syms, .head = head};
	struct wh_err *e = walk_init(&w, r, types);
	bool whole = false;

	if (!e)
		e = walk_list(&w, false, &whole);
	if (!e && !whole)
		e = walk_list(&w, true, &whole);
	wh_map_fini(&w.seen);
	if (e) {
		WH_VEC_FINI(&w.mods);
		return e;
	}
	if (w.mods.n)
		wh_sort(w.mods.v, w.mods.n, sizeof(*w.mods.v), module_cmp);
	*ret = w.mods.v;
	*ret_n = w.mods.n;
	return NULL;
}
