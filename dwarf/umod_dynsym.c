/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dynamic symbols as they lie in the process: PT_DYNAMIC names the tables, a hash table tells how many
 * symbols there are (ELF gABI; GNU hash: Solaris linkers guide and binutils bfd/elflink.c).  Read by
 * hand: where part of a table is not in the core libdwfl walks zeros for minutes.  The dynamic linker may have
 * made the pointers absolute; a value that lies in the module is one.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/limits.h"
#include "dwarf/umod_priv.h"

#define DYNAMIC_MAX 4096
#define SYMS_MAX    (1u << 20)
#define STRTAB_MAX  (64u << 20)

struct dyn {
	uint64_t symtab, strtab, strsz, hash, gnu_hash;
};

/* An address in the module from a value that may be relative; 0 when it is neither. */
static uint64_t resolve(const struct wh_umod *u, uint64_t v)
{
	if (v >= u->m.base && v < u->m.end)
		return v;
	v += u->m.bias;
	return v >= u->m.base && v < u->m.end ? v : 0;
}

static bool read_dynamic(struct wh_un_priv *p, const struct wh_umod *u, struct dyn *ret)
{
	size_t w = p->abi.word;

	for (size_t i = 0; i < DYNAMIC_MAX; i++) {
		uint64_t tag = 0, v = 0;

		if (!wh_read_word(p->r, u->m.dynamic + 2 * i * w, &tag) || tag == DT_NULL ||
		    !wh_read_word(p->r, u->m.dynamic + (2 * i + 1) * w, &v))
			break;
		switch (tag) {
		case DT_SYMTAB: ret->symtab = resolve(u, v); break;
		case DT_STRTAB: ret->strtab = resolve(u, v); break;
		case DT_STRSZ: ret->strsz = v; break;
		case DT_HASH: ret->hash = resolve(u, v); break;
		case DT_GNU_HASH: ret->gnu_hash = resolve(u, v); break;
		default: break;
		}
	}
	return ret->symtab && ret->strtab;
}

/* One past the last symbol of a GNU hash table: the end of the longest-reaching chain. */
static uint64_t gnu_hash_count(struct wh_un_priv *p, uint64_t at)
{
	uint32_t n_buckets = 0, first = 0, bloom = 0, max = 0, v = 0;
	uint64_t buckets, chains;

	if (!wh_read_u32(p->r, at, &n_buckets) || !wh_read_u32(p->r, at + 4, &first) ||
	    !wh_read_u32(p->r, at + 8, &bloom) || n_buckets > SYMS_MAX || bloom > SYMS_MAX)
		return 0;
	buckets = at + 16 + (uint64_t)bloom * p->abi.word;
	chains = buckets + 4ull * n_buckets;
	for (uint32_t i = 0; i < n_buckets; i++) {
		if (!wh_read_u32(p->r, buckets + 4ull * i, &v))
			return 0;
		if (v > max)
			max = v;
	}
	if (max < first)
		return first;
	for (; max < SYMS_MAX; max++)
		if (!wh_read_u32(p->r, chains + 4ull * (max - first), &v))
			return 0;
		else if (v & 1)
			return (uint64_t)max + 1;
	return 0;
}

static uint64_t symbol_count(struct wh_un_priv *p, const struct dyn *d, size_t size)
{
	uint32_t chains = 0;
	uint64_t n = 0;

	if (d->hash && wh_read_u32(p->r, d->hash + 4, &chains))
		n = chains;
	if (!n && d->gnu_hash)
		n = gnu_hash_count(p, d->gnu_hash);
	/* Linkers put the names right behind the symbols. */
	if (!n && d->strtab > d->symtab)
		n = (d->strtab - d->symtab) / size;
	return n < SYMS_MAX ? n : SYMS_MAX;
}

static char letter(uint8_t info)
{
	bool object = ELF64_ST_TYPE(info) == STT_OBJECT;

	switch (ELF64_ST_BIND(info)) {
	case STB_WEAK: return object ? 'V' : 'W';
	case STB_LOCAL: return object ? 'd' : 't';
	default: return object ? 'D' : 'T';
	}
}

bool wh_umod_symbol(struct wh_abi abi, const uint8_t *q, const char *strs, size_t strs_len,
		    struct wh_usym *ret)
{
	bool w8 = abi.word == 8;
	uint32_t name = wh_get_u32(abi, q);
	uint8_t info = w8 ? q[4] : q[12];
	uint16_t shndx = wh_get_u16(abi, q + (w8 ? 6 : 14));

	ret->value = w8 ? wh_get_u64(abi, q + 8) : wh_get_u32(abi, q + 4);
	ret->size = w8 ? wh_get_u64(abi, q + 16) : wh_get_u32(abi, q + 8);
	ret->type = ELF64_ST_TYPE(info);
	ret->letter = letter(info);
	if (name >= strs_len || !strs[name] || shndx == SHN_UNDEF || shndx == SHN_ABS ||
	    !ret->value ||
	    (ret->type != STT_FUNC && ret->type != STT_OBJECT && ret->type != STT_NOTYPE &&
	     ret->type != STT_GNU_IFUNC))
		return false;
	ret->name = strs + name;
	return true;
}

struct wh_err *wh_umod_dynsym(struct wh_un_priv *p, const struct wh_umod *u, struct wh_symtab *t,
			      size_t *ret_n)
{
	size_t size = p->abi.word == 8 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym), n, strs_len;
	WH_AUTO_FREE uint8_t *syms = NULL;
	WH_AUTO_FREE char *strs = NULL;
	struct dyn d = {0};
	struct wh_usym s;

	*ret_n = 0;
	if (!u->m.dynamic || !read_dynamic(p, u, &d))
		return NULL;
	n = (size_t)symbol_count(p, &d, size);
	strs_len = d.strsz < STRTAB_MAX ? (size_t)d.strsz : STRTAB_MAX;
	syms = malloc(n * size + 1);
	strs = malloc(strs_len + 1);
	if (!syms || !strs)
		return &wh_err_nomem;
	n = wh_read_some(p->r, WH_VIRT, d.symtab, syms, n * size, NULL) / size;
	strs_len = wh_read_some(p->r, WH_VIRT, d.strtab, strs, strs_len, NULL);
	strs[strs_len] = '\0';
	for (size_t i = 1; i < n; i++)
		if (wh_umod_symbol(p->abi, syms + i * size, strs, strs_len, &s))
			WH_TRY(wh_symtab_add(t, s.value + u->m.bias, s.size, s.letter, s.name,
					     u->m.sym_id));
	*ret_n = n;
	return NULL;
}
