/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dwarf/sym_ksyms.h"

#include <elf.h>
#include <string.h>

#include "analyzer/base/limits.h"
#include "formats/elfhdr.h"

struct elf_view {
	const uint8_t *p;
	size_t len;
	struct wh_abi abi;
	struct wh_elf_ehdr h;
	uint32_t shnum, shstrndx; /* those that the header may have had no room for */
};

bool wh_ksyms_abi(const void *elf, size_t len, struct wh_abi *ret)
{
	return len >= EI_NIDENT && wh_elf_abi(elf, ret) && len >= wh_elf_ehdr_size(*ret);
}

static bool view_section(const struct elf_view *v, uint32_t i, struct wh_elf_shdr *ret)
{
	uint64_t off = v->h.shoff + (uint64_t)i * v->h.shentsize;

	if (v->h.shoff > v->len || off > v->len || v->len - off < v->h.shentsize)
		return false;
	*ret = wh_elf_shdr(v->abi, v->p + off);
	/* What the file does not have is not there. */
	if (ret->type == SHT_NOBITS || ret->offset > v->len)
		ret->size = 0;
	else if (ret->size > v->len - ret->offset)
		ret->size = v->len - ret->offset;
	return true;
}

static struct wh_err *view_open(const void *elf, size_t len, struct elf_view *v)
{
	struct wh_elf_shdr zero;

	*v = (struct elf_view){.p = elf, .len = len};
	if (!wh_ksyms_abi(elf, len, &v->abi))
		return wh_err_new(WH_ERR_BAD_DATA, "symbol image: expected an ELF header");
	v->h = wh_elf_ehdr(v->abi, elf);
	v->shnum = v->h.shnum;
	v->shstrndx = v->h.shstrndx;
	if (v->h.shentsize < wh_elf_shdr_size(v->abi))
		v->shnum = v->shstrndx = 0, v->h.shoff = 0;
	if (v->h.phentsize < wh_elf_phdr_size(v->abi))
		v->h.phnum = 0;
	/* Extended numbering keeps the real counts in section 0. */
	if (v->h.shoff && !v->shnum && view_section(v, 0, &zero))
		v->shnum = zero.size < UINT32_MAX ? (uint32_t)zero.size : 0;
	if (v->shstrndx == SHN_XINDEX && view_section(v, 0, &zero))
		v->shstrndx = zero.link;
	if ((uint64_t)v->shnum * v->h.shentsize > len)
		v->shnum = v->h.shentsize ? (uint32_t)(len / v->h.shentsize) : 0;
	return NULL;
}

/* A string that ends inside its table; "" otherwise. */
static const char *view_string(const struct elf_view *v, const struct wh_elf_shdr *tab,
			       uint64_t off)
{
	const char *s;

	if (off >= tab->size)
		return "";
	s = (const char *)v->p + tab->offset + off;
	return memchr(s, '\0', (size_t)(tab->size - off)) ? s : "";
}

static struct wh_err *add_segments(const struct elf_view *v, wh_ksyms_ranges *ret)
{
	for (uint32_t i = 0; i < v->h.phnum; i++) {
		uint64_t off = v->h.phoff + (uint64_t)i * v->h.phentsize;
		struct wh_elf_phdr ph;

		if (v->h.phoff > v->len || off > v->len || v->len - off < v->h.phentsize)
			break;
		ph = wh_elf_phdr(v->abi, v->p + off);
		if (ph.type == PT_LOAD && ph.vaddr + ph.memsz > ph.vaddr)
			WH_TRY(WH_VEC_PUSH(ret, (struct wh_ksyms_range){
							.start = ph.vaddr,
							.end = ph.vaddr + ph.memsz,
							.flags = ph.flags,
						}));
	}
	return NULL;
}

struct elf_symbol {
	uint32_t name;
	uint64_t value, size;
	uint8_t info;
	uint16_t shndx;
};

static struct elf_symbol view_symbol(const struct elf_view *v, const uint8_t *q)
{
	struct wh_abi a = v->abi;

	if (v->abi.word == 8)
		return (struct elf_symbol){wh_get_u32(a, q), wh_get_u64(a, q + 8),
					   wh_get_u64(a, q + 16), q[4], wh_get_u16(a, q + 6)};
	return (struct elf_symbol){wh_get_u32(a, q), wh_get_u32(a, q + 4), wh_get_u32(a, q + 8),
				   q[12], wh_get_u16(a, q + 14)};
}

static char symbol_letter(uint8_t info)
{
	bool local = ELF32_ST_BIND(info) == STB_LOCAL;

	switch (ELF32_ST_TYPE(info)) {
	case STT_FUNC: return local ? 't' : 'T';
	case STT_OBJECT: return local ? 'd' : 'D';
	default: return local ? 'a' : 'A';
	}
}

static struct wh_err *add_symbols(const struct elf_view *v, const struct wh_elf_shdr *tab,
				  struct wh_symtab *t, wh_ksyms_ranges *objects)
{
	struct wh_elf_shdr str;
	size_t ent = v->abi.word == 8 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
	uint64_t n = tab->size / ent;

	if (!view_section(v, tab->link, &str) || str.type != SHT_STRTAB)
		return wh_err_new(WH_ERR_BAD_DATA, "symbol image: section %u is no string table",
				  tab->link);
	if (n > WH_LIMIT_SYMBOLS)
		n = WH_LIMIT_SYMBOLS;
	for (uint64_t i = 1; i < n; i++) {
		struct elf_symbol s = view_symbol(v, v->p + tab->offset + i * ent);
		unsigned int type = ELF32_ST_TYPE(s.info);
		const char *name = view_string(v, &str, s.name);

		if (!*name || s.shndx == SHN_UNDEF || type == STT_SECTION || type == STT_FILE ||
		    type == STT_TLS)
			continue;
		WH_TRY(wh_symtab_add(t, s.value, s.size, symbol_letter(s.info), name,
				     WH_SYM_NO_MODULE));
		if (objects && type == STT_OBJECT && s.size && s.value <= UINT64_MAX - s.size)
			WH_TRY(WH_VEC_PUSH(objects,
					   (struct wh_ksyms_range){s.value, s.value + s.size, 0}));
	}
	return NULL;
}

static int range_cmp(const void *pa, const void *pb)
{
	const struct wh_ksyms_range *a = pa, *b = pb;

	return a->start < b->start ? -1 : a->start > b->start;
}

static void join_ranges(wh_ksyms_ranges *r)
{
	size_t out = 0;

	if (r->n < 2)
		return;
	wh_sort(r->v, r->n, sizeof(*r->v), range_cmp);
	for (size_t i = 1; i < r->n; i++) {
		if (r->v[i].start <= r->v[out].end) {
			if (r->v[i].end > r->v[out].end)
				r->v[out].end = r->v[i].end;
		} else {
			r->v[++out] = r->v[i];
		}
	}
	r->n = out + 1;
}

struct wh_err *wh_ksyms_load(struct wh_ctx *ctx, const void *elf, size_t len, struct wh_symtab *t,
			     wh_ksyms_ranges *segments, wh_ksyms_ranges *objects)
{
	struct elf_view v;
	bool any = false;

	WH_TRY(view_open(elf, len, &v));
	if (segments)
		WH_TRY(add_segments(&v, segments));
	for (uint32_t i = 1; i < v.shnum; i++) {
		struct wh_elf_shdr s;

		if (!view_section(&v, i, &s) || s.type != SHT_SYMTAB)
			continue;
		WH_TRY(add_symbols(&v, &s, t, objects));
		any = true;
	}
	if (objects)
		join_ranges(objects);
	if (!any && ctx)
		wh_diag_add(ctx->diags, WH_DIAG_ERROR, "ksyms-no-symbols", 0,
			    "the symbol image has no symbol table that can be read");
	return NULL;
}

struct wh_err *wh_ksyms_each_section(const void *elf, size_t len, wh_ksyms_section_fn fn, void *arg)
{
	struct elf_view v;
	struct wh_elf_shdr names = {0};

	WH_TRY(view_open(elf, len, &v));
	if (!view_section(&v, v.shstrndx, &names))
		return NULL;
	for (uint32_t i = 1; i < v.shnum; i++) {
		struct wh_elf_shdr s;

		if (view_section(&v, i, &s) && s.size)
			WH_TRY(fn(arg, view_string(&v, &names, s.name), s.addr, v.p + s.offset,
				  (size_t)s.size));
	}
	return NULL;
}
