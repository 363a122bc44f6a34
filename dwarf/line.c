/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each module is a libdwfl session of its own at its link addresses, opened when the first address in
 * it is asked about; run-time addresses are moved there first.  So KASLR, prelinking and the scattered
 * sections of kernel modules are plain arithmetic:
 *
 *	programs, vmlinux   link address = address - bias
 *	.ko                 section by its load address, then libdwfl's own place of that section
 */
#include "dwarf/line.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/vec.h"
#include "dwarf/dwmod.h"

struct lmod {
	uint64_t start, end, bias;
	char *file, *debug_file;
	bool relocatable;
	WH_VEC(struct section {
		char *name;
		uint64_t addr;
	})
	sections;
	struct wh_dwmod *dw; /* NULL until asked for */
	bool tried;
};

struct wh_lines {
	pthread_mutex_t lock;
	WH_VEC(struct lmod) mods;
};

struct wh_err *wh_lines_create(struct wh_lines **ret)
{
	struct wh_lines *l = calloc(1, sizeof(*l));

	if (!l)
		return &wh_err_nomem;
	pthread_mutex_init(&l->lock, NULL);
	*ret = l;
	return NULL;
}

static void lmod_fini(struct lmod *m)
{
	wh_dwmod_close(m->dw);
	for (size_t i = 0; i < m->sections.n; i++)
		free(m->sections.v[i].name);
	WH_VEC_FINI(&m->sections);
	free(m->file);
	free(m->debug_file);
}

void wh_lines_destroy(struct wh_lines *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->mods.n; i++)
		lmod_fini(&l->mods.v[i]);
	WH_VEC_FINI(&l->mods);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

struct wh_err *wh_lines_add(struct wh_lines *l, const struct wh_lines_module *spec)
{
	struct lmod m = {.start = spec->start,
			 .end = spec->end,
			 .bias = spec->bias,
			 .relocatable = spec->n_sections != 0};
	struct wh_err *e = NULL;

	m.file = strdup(spec->file);
	m.debug_file = spec->debug_file ? strdup(spec->debug_file) : NULL;
	if (!m.file || (spec->debug_file && !m.debug_file))
		e = &wh_err_nomem;
	for (size_t i = 0; !e && i < spec->n_sections; i++) {
		struct section s = {strdup(spec->sections[i].name), spec->sections[i].addr};

		e = s.name ? WH_VEC_PUSH(&m.sections, s) : &wh_err_nomem;
	}
	if (!e)
		e = WH_VEC_PUSH(&l->mods, m);
	if (e)
		lmod_fini(&m);
	return e;
}

/* Link address of run-time @addr in a relocatable file: the section it is in has the highest load
 * address not above it. */
static bool place_in_ko(const struct lmod *m, uint64_t addr, uint64_t *ret)
{
	const struct section *best = NULL;
	int n = dwfl_module_relocations(m->dw->mod);
	GElf_Word shndx = 0;

	for (size_t i = 0; i < m->sections.n; i++) {
		const struct section *s = &m->sections.v[i];

		if (s->addr <= addr && (!best || s->addr > best->addr))
			best = s;
	}
	for (int i = 0; best && i < n; i++) {
		const char *name = dwfl_module_relocation_info(m->dw->mod, (unsigned int)i, &shndx);
		GElf_Addr bias = 0;
		GElf_Shdr sh;
		Elf *elf = dwfl_module_getelf(m->dw->mod, &bias);
		Elf_Scn *scn = elf ? elf_getscn(elf, shndx) : NULL;

		if (!name || strcmp(name, best->name) != 0 || !scn || !gelf_getshdr(scn, &sh) ||
		    addr - best->addr >= sh.sh_size)
			continue;
		*ret = sh.sh_addr + bias + (addr - best->addr);
		return true;
	}
	return false;
}

/* The innermost name a scope has: through abstract origins, linkage names left to the symbol table. */
static const char *scope_name(Dwarf_Die *die)
{
	Dwarf_Attribute mem, *a = dwarf_attr_integrate(die, DW_AT_name, &mem);

	return a ? dwarf_formstring(a) : NULL;
}

static bool is_function(Dwarf_Die *die)
{
	int tag = dwarf_tag(die);

	return tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;
}

/* Where an inlined function was called from. */
static void call_site(Dwarf_Die *die, struct wh_line *ret)
{
	Dwarf_Attribute mem;
	Dwarf_Word file = 0, line = 0;
	Dwarf_Files *files = NULL;
	Dwarf_Die cu;
	size_t n = 0;

	if (dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &mem), &file) == 0 &&
	    dwarf_diecu(die, &cu, NULL, NULL) && dwarf_getsrcfiles(&cu, &files, &n) == 0 &&
	    file < n)
		ret->file = dwarf_filesrc(files, (size_t)file, NULL, NULL);
	if (dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &mem), &line) == 0)
		ret->line = (uint32_t)line;
}

/*
 * Fills function names from the inner-most scope outwards; each inlined one gives the place in the next.
 * ret[0] has its file and line already.
 */
static size_t add_scopes(Dwarf_Die *cu, Dwarf_Addr pc, struct wh_line *ret, size_t cap)
{
	Dwarf_Die *inner = NULL, *scopes = NULL;
	int n = dwarf_getscopes(cu, pc, &inner), k = 0;
	size_t used = 1;

	/* The first function scope, then the scopes of its concrete tree. */
	for (; k < n && !is_function(&inner[k]); k++)
		;
	n = k < n ? dwarf_getscopes_die(&inner[k], &scopes) : 0;
	for (int i = 0; i < n; i++) {
		if (!is_function(&scopes[i]))
			continue;
		ret[used - 1].function = scope_name(&scopes[i]);
		if (dwarf_tag(&scopes[i]) != DW_TAG_inlined_subroutine || used == cap)
			break;
		ret[used] = (struct wh_line){0};
		call_site(&scopes[i], &ret[used++]);
	}
	free(scopes);
	free(inner);
	return used;
}

/* The unit that holds @at.  clang writes no .debug_aranges: then every unit is asked. */
static Dwarf_Die *unit_find(Dwfl_Module *mod, uint64_t at, Dwarf_Addr *ret_bias)
{
	Dwarf_Die *cu = dwfl_module_addrdie(mod, at, ret_bias);

	if (cu)
		return cu;
	while ((cu = dwfl_module_nextcu(mod, cu, ret_bias)))
		if (dwarf_haspc(cu, at - *ret_bias) > 0)
			return cu;
	return NULL;
}

static size_t find_in(struct lmod *m, uint64_t addr, struct wh_line *ret, size_t cap)
{
	Dwarf_Addr bias = 0;
	Dwarf_Line *line = NULL;
	Dwarf_Die *cu;
	uint64_t at = addr - m->bias;
	int lineno = 0;

	if (!m->tried) {
		m->tried = true;
		wh_err_destroy(wh_dwmod_open(m->file, m->debug_file, &m->dw));
	}
	if (!m->dw || (m->relocatable && !place_in_ko(m, addr, &at)))
		return 0;
	cu = unit_find(m->dw->mod, at, &bias);
	if (!cu)
		return 0;
	ret[0] = (struct wh_line){0};
	line = dwarf_getsrc_die(cu, at - bias);
	if (line) {
		ret[0].file = dwarf_linesrc(line, NULL, NULL);
		ret[0].line = !dwarf_lineno(line, &lineno) && lineno > 0 ? (uint32_t)lineno : 0;
	}
	return add_scopes(cu, at - bias, ret, cap);
}

size_t wh_lines_find(struct wh_lines *l, uint64_t addr, struct wh_line *ret, size_t cap)
{
	size_t n = 0;

	if (!cap)
		return 0;
	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; !n && i < l->mods.n; i++)
		if (addr >= l->mods.v[i].start && addr < l->mods.v[i].end)
			n = find_in(&l->mods.v[i], addr, ret, cap);
	pthread_mutex_unlock(&l->lock);
	return n;
}
