/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Symbols of an ELF file.  libdwfl chooses the table: .symtab of the file, else of the debug file, else
 * .dynsym joined with .gnu_debugdata.
 */
#include <string.h>

#include "dwarf/dwmod.h"

/* nm's letter for a symbol: good enough to tell text, data and bss, local and global. */
static char sym_letter(const GElf_Sym *s, GElf_Word shndx, Elf *elf)
{
	unsigned int bind = GELF_ST_BIND(s->st_info), type = GELF_ST_TYPE(s->st_info);
	char c = 'd';
	GElf_Shdr sh;
	Elf_Scn *scn = shndx < SHN_LORESERVE ? elf_getscn(elf, shndx) : NULL;

	if (shndx == SHN_ABS)
		c = 'a';
	else if (type == STT_FUNC || type == STT_GNU_IFUNC)
		c = 't';
	else if (scn && gelf_getshdr(scn, &sh)) {
		if (sh.sh_flags & SHF_EXECINSTR)
			c = 't';
		else if (sh.sh_type == SHT_NOBITS)
			c = 'b';
		else if (!(sh.sh_flags & SHF_WRITE))
			c = 'r';
	}
	if (bind == STB_WEAK)
		return type == STT_OBJECT ? 'V' : 'W';
	return (char)(bind == STB_LOCAL ? c : c - 'a' + 'A');
}

static bool sym_wanted(const GElf_Sym *s, GElf_Word shndx, const char *name)
{
	unsigned int type = GELF_ST_TYPE(s->st_info);

	if (!name || !name[0] || shndx == SHN_UNDEF || s->st_value == 0)
		return false;
	/* TLS values are offsets into the block, not addresses; $x and .L mark code for tools. */
	return (type == STT_FUNC || type == STT_OBJECT || type == STT_NOTYPE ||
		type == STT_GNU_IFUNC) &&
	       name[0] != '$' && strncmp(name, ".L", 2) != 0;
}

static bool has_section(Elf *elf, GElf_Word type)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;

	while (elf && (scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, &sh) && sh.sh_type == type && sh.sh_size)
			return true;
	return false;
}

struct wh_err *wh_sym_elf_add(struct wh_dwmod *m, uint64_t bias, uint16_t module,
			      struct wh_symtab *t, const char **ret_source)
{
	int n = dwfl_module_getsymtab(m->mod);
	Elf *from = NULL;

	for (int i = 1; i < n; i++) {
		GElf_Word shndx = 0;
		GElf_Addr addr = 0;
		Elf *elf = NULL;
		GElf_Sym s;
		const char *name =
			dwfl_module_getsym_info(m->mod, i, &s, &addr, &shndx, &elf, NULL);

		if (!sym_wanted(&s, shndx, name))
			continue;
		WH_TRY(wh_symtab_add(t, addr + bias, s.st_size, sym_letter(&s, shndx, elf), name,
				     module));
		from = elf;
	}
	*ret_source = !from ? "none" : has_section(from, SHT_SYMTAB) ? "symtab" : "dynsym";
	return NULL;
}
