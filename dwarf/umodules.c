/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Modules of a process: what the core shows (umod_core.c), then per module the file on this machine, its
 * debug file, symbols, read-only bytes, types and lines.  A file counts only when its build-id is the one
 * in memory; one without build-id must at least begin with the very bytes that memory begins with.
 */
#include "dwarf/umodules.h"

#include <elf.h>
#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/base/limits.h"
#include "dwarf/dwarf_types.h"
#include "dwarf/dwmod.h"
#include "dwarf/elffile.h"
#include "dwarf/type_ctf.h"
#include "dwarf/umod_priv.h"

struct opener {
	struct wh_unames *n;
	struct wh_un_priv *p;
	const struct wh_unames_opts *opts;
};

static struct wh_err *keep_path(struct wh_un_priv *p, char *path, const char **ret)
{
	*ret = wh_arena_strdup(&p->strings, path);
	free(path);
	return *ret ? NULL : &wh_err_nomem;
}

/* Whether a file without build-id begins with the bytes that memory has there. */
static bool same_first_page(struct wh_un_priv *p, const struct wh_umod *u, const char *path)
{
	uint8_t mem[4096], file[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;
	size_t n;

	if (fd < 0)
		return false;
	n = wh_read_some(p->r, WH_VIRT, u->m.base, mem, sizeof(mem), NULL);
	got = pread(fd, file, sizeof(file), 0);
	close(fd);
	if (got < 64 || n < 64)
		return false;
	return !memcmp(mem, file, n < (size_t)got ? n : (size_t)got);
}

/* -s FILE: by build-id; without one on both sides by name and first page. */
static struct wh_err *use_symbol_files(const struct opener *o, struct wh_umod *u)
{
	for (size_t i = 0; i < o->opts->n_symbol_files; i++) {
		const char *path = o->opts->symbol_files[i], *slash = strrchr(path, '/');
		uint8_t id[64];
		size_t n = wh_locate_build_id(path, id, sizeof(id));
		char *copy;

		if (n && u->m.build_id_len) {
			if (n != u->m.build_id_len || memcmp(id, u->m.build_id, n) != 0)
				continue;
			u->m.file_state = WH_UFILE_FOUND;
		} else {
			if (strcmp(slash ? slash + 1 : path, u->m.name) != 0)
				continue;
			u->m.file_state = WH_UFILE_UNVERIFIED;
		}
		copy = strdup(path);
		if (!copy)
			return &wh_err_nomem;
		return keep_path(o->p, copy, &u->m.file);
	}
	return NULL;
}

/* The file where the target had it, for programs linked without a build-id. */
static struct wh_err *use_same_path(const struct opener *o, struct wh_umod *u)
{
	const char *root = o->opts->locate.sysroot ? o->opts->locate.sysroot : "";
	size_t len = strlen(root) + strlen(u->m.path) + 1;
	char *path;

	if (u->m.build_id_len || u->m.path[0] != '/')
		return NULL;
	path = malloc(len);
	if (!path)
		return &wh_err_nomem;
	memcpy(path, root, strlen(root));
	memcpy(path + strlen(root), u->m.path, strlen(u->m.path) + 1);
	if (access(path, R_OK) != 0) {
		free(path);
		return NULL;
	}
	if (!same_first_page(o->p, u, path)) {
		u->m.file_state = WH_UFILE_MISMATCH;
		free(path);
		return NULL;
	}
	u->m.file_state = WH_UFILE_UNVERIFIED;
	return keep_path(o->p, path, &u->m.file);
}

static struct wh_err *find_file(const struct opener *o, struct wh_umod *u)
{
	struct wh_locate_query q = {.kind = WH_LOCATE_EXEC,
				    .build_id = u->m.build_id_len ? u->m.build_id : NULL,
				    .build_id_len = u->m.build_id_len,
				    .path = u->m.path};
	bool mismatch = false;
	char *path = NULL;
	struct wh_err *e;

	WH_TRY(use_symbol_files(o, u));
	if (u->m.file)
		return NULL;
	e = wh_locate(&o->opts->locate, &q, &path, &mismatch);
	if (!e) {
		u->m.file_state = WH_UFILE_FOUND;
		return keep_path(o->p, path, &u->m.file);
	}
	if (e != &wh_err_not_found)
		return e;
	if (mismatch)
		u->m.file_state = WH_UFILE_MISMATCH;
	return use_same_path(o, u);
}

/* Name in .gnu_debuglink; NULL none.  In the arena. */
static const char *debuglink(struct wh_un_priv *p, const char *file)
{
	WH_CLEANUP(wh_elffile_close) struct wh_elffile f = wh_elffile_open(file);
	GElf_Word crc;
	const char *name = f.elf ? dwelf_elf_gnu_debuglink(f.elf, &crc) : NULL;

	return name && !strchr(name, '/') ? wh_arena_strdup(&p->strings, name) : NULL;
}

static struct wh_err *find_debug(const struct opener *o, struct wh_umod *u)
{
	struct wh_locate_query q = {.kind = WH_LOCATE_DEBUG,
				    .build_id = u->m.build_id,
				    .build_id_len = u->m.build_id_len,
				    .path = u->m.path};
	char *path = NULL;
	struct wh_err *e;

	if (!u->m.build_id_len)
		return NULL;
	if (u->m.file && wh_dwarf_has_info(u->m.file))
		return NULL;
	q.debuglink = u->m.file ? debuglink(o->p, u->m.file) : NULL;
	e = wh_locate(&o->opts->locate, &q, &path, NULL);
	if (!e)
		return keep_path(o->p, path, &u->m.debug_file);
	return e == &wh_err_not_found ? NULL : e;
}

/* Read-only parts of a verified file where the core has none. */
static struct wh_err *overlay(const struct opener *o, struct wh_umod *u)
{
	struct wh_dump *d = (struct wh_dump *)(uintptr_t)o->n->dump;

	if (u->m.file_state != WH_UFILE_FOUND)
		return NULL;
	for (size_t i = 0; i < u->phdrs.n; i++) {
		const struct wh_elf_phdr *ph = &u->phdrs.v[i];
		struct wh_stream *s = NULL;
		struct wh_err *e;

		if (ph->type != PT_LOAD || (ph->flags & PF_W) || !ph->filesz)
			continue;
		e = wh_stream_open(d->ctx, u->m.file, &s);
		if (!e)
			e = wh_mem_add_file(o->n->mem, u->m.bias + ph->vaddr, ph->filesz, s,
					    ph->offset);
		if (wh_err_is(e, WH_ERR_NOMEM))
			return e;
		if (e)
			wh_diag_add_err(o->p->diags, WH_DIAG_WARN, "module-file", e);
	}
	return NULL;
}

/* The core's own table of an object has its local symbols as well. */
static struct wh_err *symbols_from_core(const struct opener *o, struct wh_umod *u,
					const struct wh_uobject *obj)
{
	struct wh_usym s;

	for (size_t i = 1; i < wh_umod_object_count(o->p, obj); i++)
		if (wh_umod_object_symbol(o->p, obj, i, &s))
			WH_TRY(wh_symtab_add(o->n->syms, s.value + u->m.bias, s.size, s.letter,
					     s.name, u->m.sym_id));
	u->m.sym_source = "section of the core";
	return NULL;
}

static struct wh_err *symbols_from_memory(const struct opener *o, struct wh_umod *u)
{
	const struct wh_uobject *obj = wh_umod_object(o->p, u->m.base);
	size_t n = 0;

	if (obj && obj->syms_len)
		return symbols_from_core(o, u, obj);
	WH_TRY(wh_umod_dynsym(o->p, u, o->n->syms, &n));
	if (n)
		u->m.sym_source = "memory dynsym";
	return NULL;
}

static struct wh_err *add_symbols(const struct opener *o, struct wh_umod *u)
{
	const char *path = u->m.file ? u->m.file : u->m.debug_file;
	struct wh_dwmod *m = NULL;
	struct wh_err *e;

	WH_TRY(wh_symtab_add_module(o->n->syms, u->m.name, &u->m.sym_id));
	for (size_t i = 0; i < u->ranges.n; i++)
		WH_TRY(wh_symtab_add_range(o->n->syms, u->m.sym_id, u->ranges.v[i].start,
					   u->ranges.v[i].end));
	if (!path)
		return symbols_from_memory(o, u);
	e = wh_dwmod_open(path, u->m.file ? u->m.debug_file : NULL, &m);
	if (!e)
		e = wh_sym_elf_add(m, u->m.bias, u->m.sym_id, o->n->syms, &u->m.sym_source);
	wh_dwmod_close(m);
	if (!e || wh_err_is(e, WH_ERR_NOMEM))
		return e;
	wh_diag_add_err(o->p->diags, WH_DIAG_WARN, "module-file", e);
	return NULL;
}

static struct wh_err *add_types(const struct opener *o, struct wh_umod *u)
{
	const char *path = u->m.debug_file ? u->m.debug_file : u->m.file;
	struct wh_dwarf *d = NULL;
	char label[256] = "dwarf:";

	if (!path || !wh_dwarf_has_info(path))
		return NULL;
	u->m.have_types = true;
	WH_TRY(wh_dwarf_create(path, &d));
	u->dwarf = d;
	strncat(label, u->m.name, sizeof(label) - strlen(label) - 1);
	return wh_types_add(o->n->types, &wh_dwarf_ops, d, label);
}

/* Types that the core itself carries, of every object; children find their parents by name. */
static struct wh_err *add_ctf(const struct opener *o)
{
	struct wh_ctf *ctf;
	struct wh_err *e = NULL;

	WH_TRY(wh_ctf_create(o->n->dump->ctx, o->p->abi, &ctf));
	for (size_t i = 0; !e && i < o->p->mods.n; i++) {
		struct wh_umodule *m = &o->p->mods.v[i].m;
		const struct wh_uobject *obj = wh_umod_object(o->p, m->base);

		if (!obj || !obj->ctf)
			continue;
		e = wh_ctf_add(ctf, m->name, obj->ctf, obj->ctf_len);
		if (!e) {
			m->have_types = true;
		} else if (!wh_err_is(e, WH_ERR_NOMEM)) {
			wh_diag_add_err(o->p->diags, WH_DIAG_WARN, "ctf-damaged", e);
			e = NULL;
		}
	}
	if (!e)
		e = wh_ctf_freeze(ctf);
	if (e || !wh_ctf_count(ctf)) {
		wh_ctf_destroy(ctf);
		return e;
	}
	return wh_types_add(o->n->types, &wh_ctf_provider, ctf, "ctf");
}

static struct wh_err *add_lines(const struct opener *o, struct wh_umod *u)
{
	struct wh_lines_module lm = {.file = u->m.file ? u->m.file : u->m.debug_file,
				     .debug_file = u->m.file ? u->m.debug_file : NULL,
				     .bias = u->m.bias};

	if (!lm.file)
		return NULL;
	for (size_t i = 0; i < u->ranges.n; i++) {
		if (!(u->ranges.v[i].flags & PF_X))
			continue;
		lm.start = u->ranges.v[i].start;
		lm.end = u->ranges.v[i].end;
		WH_TRY(wh_lines_add(o->p->lines, &lm));
	}
	return NULL;
}

static struct wh_err *open_module(const struct opener *o, struct wh_umod *u)
{
	if (u->m.file_state != WH_UFILE_NONE && !o->opts->no_files) {
		WH_TRY(find_file(o, u));
		WH_TRY(find_debug(o, u));
	}
	WH_TRY(overlay(o, u));
	WH_TRY(add_symbols(o, u));
	WH_TRY(add_types(o, u));
	return add_lines(o, u);
}

/* The program first: its types and names are the ones meant. */
static struct wh_err *open_modules(const struct opener *o)
{
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < o->p->mods.n; i++)
			if (o->p->mods.v[i].m.is_main == (pass == 0))
				WH_TRY(open_module(o, &o->p->mods.v[i]));
	WH_TRY(add_ctf(o));
	o->n->modules = wh_calloc(o->p->mods.n, sizeof(*o->n->modules));
	if (!o->n->modules)
		return &wh_err_nomem;
	for (size_t i = 0; i < o->p->mods.n; i++) {
		o->n->modules[i] = o->p->mods.v[i].m;
		if (o->n->modules[i].is_main)
			o->n->main = &o->n->modules[i];
	}
	o->n->n_modules = o->p->mods.n;
	return NULL;
}

struct wh_err *wh_unames_open(struct wh_mem *mem, const struct wh_unames_opts *opts,
			      struct wh_unames **ret)
{
	struct wh_unames *n = calloc(1, sizeof(*n));
	struct wh_un_priv *p = calloc(1, sizeof(*p));
	struct opener o = {.n = n, .p = p, .opts = opts};
	struct wh_err *e = &wh_err_nomem;

	if (!n || !p) {
		free(n);
		free(p);
		return e;
	}
	n->priv = p;
	n->mem = mem;
	n->dump = wh_mem_dump(mem);
	p->abi = n->dump->abi;
	p->diags = n->dump->ctx->diags;
	p->page = n->dump->page_size ? n->dump->page_size : 4096;
	e = wh_reader_create(mem, &p->r);
	if (!e)
		e = wh_symtab_create(&n->syms);
	if (!e)
		e = wh_types_create(&n->types);
	if (!e)
		e = wh_lines_create(&p->lines);
	if (!e)
		e = wh_umod_core_find(p, n->dump, &n->r_debug);
	if (!e)
		e = open_modules(&o);
	wh_umod_objects_fini(p);
	if (!e)
		e = wh_symtab_freeze(n->syms);
	if (e) {
		wh_unames_close(n);
		return e;
	}
	*ret = n;
	return NULL;
}

void wh_unames_close(struct wh_unames *n)
{
	struct wh_un_priv *p;

	if (!n)
		return;
	p = n->priv;
	wh_types_destroy(n->types);
	wh_symtab_destroy(n->syms);
	wh_lines_destroy(p->lines);
	wh_reader_destroy(p->r);
	for (size_t i = 0; i < p->mods.n; i++) {
		WH_VEC_FINI(&p->mods.v[i].ranges);
		WH_VEC_FINI(&p->mods.v[i].phdrs);
		if (p->mods.v[i].image_fd >= 0)
			close(p->mods.v[i].image_fd);
	}
	WH_VEC_FINI(&p->mods);
	wh_arena_fini(&p->strings);
	free(n->modules);
	free(p);
	free(n);
}

const struct wh_umodule *wh_unames_find_module(const struct wh_unames *n, uint64_t addr)
{
	for (size_t i = 0; i < n->n_modules; i++) {
		const struct wh_umodule *m = &n->modules[i];

		if (addr < m->base || addr >= m->end)
			continue;
		for (size_t k = 0; k < m->n_ranges; k++)
			if (addr >= m->ranges[k].start && addr < m->ranges[k].end)
				return m;
	}
	return NULL;
}

bool wh_unames_find(const struct wh_unames *n, const struct wh_umodule *module, const char *name,
		    uint64_t *ret_addr)
{
	struct wh_sym s;

	if (!module && n->main && wh_symtab_find_name(n->syms, n->main->name, name, 0, &s)) {
		*ret_addr = s.addr;
		return true;
	}
	if (!wh_symtab_find_name(n->syms, module ? module->name : NULL, name, 0, &s))
		return false;
	*ret_addr = s.addr;
	return true;
}

size_t wh_unames_lines(const struct wh_unames *n, uint64_t addr, struct wh_line *ret, size_t cap)
{
	const struct wh_un_priv *p = n->priv;

	return wh_lines_find(p->lines, addr, ret, cap);
}

/* Hands a file's variables on at their run-time addresses. */
struct var_walk {
	const struct wh_umodule *module;
	const struct wh_type_provider *provider;
	wh_uvar_fn fn;
	void *arg;
};

static struct wh_err *each_variable(void *arg, const struct wh_dwarf_var *v)
{
	const struct var_walk *w = arg;
	struct wh_uvar u = {.name = v->name,
			    .addr = v->tls ? v->addr : v->addr + w->module->bias,
			    .module = w->module,
			    .tls = v->tls};

	if (v->type_id)
		u.type = (struct wh_type){.provider = w->provider, .id = v->type_id};
	return w->fn(w->arg, &u);
}

struct wh_err *wh_unames_each_variable(const struct wh_unames *n, const struct wh_umodule *m,
				       wh_uvar_fn fn, void *arg)
{
	const struct wh_un_priv *p = n->priv;
	struct var_walk w = {.module = m, .fn = fn, .arg = arg};
	struct wh_dwarf *d = p->mods.v[m - n->modules].dwarf;

	if (!d)
		return NULL;
	w.provider = wh_types_provider(n->types, d);
	return wh_dwarf_each_variable(d, each_variable, &w);
}
