/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names and layouts of an illumos kernel, from the dump alone:
 *
 *	ksyms ─► `modules` ─► modctl list ─► struct module ─► CTF in memory ─► every other layout
 *
 * The first steps need layouts before there are any: modctl from the built-in profile, and where in struct
 * module the CTF pointer lies is found by looking (a word that points at CTF's magic, its length beside it).
 * What CTF does not tell, the profile answers.
 */
#include "analyzer/target/illumos.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/hashmap.h"
#include "analyzer/base/limits.h"
#include "dwarf/dwarf_types.h"
#include "dwarf/type_ctf.h"
#include "dwarf/type_profile.h"

#define CTF_MAX	     (64u << 20)
#define MODULE_PROBE 1024
#define MODULE_MAX   (1u << 30) /* [bytes]; no module has as much text, data or bss */
#define CTF_PREAMBLE 0xcff1
#define CTF_SLACK    4096
enum { CTF_HEADER_V1 = 24, CTF_HEADER = 36 };
#define SYMFILE_MAX (1ull << 30)

bool wh_illumos_find_symbol(void *arg, const char *name, uint64_t *ret_addr)
{
	const struct wh_illumos_target *il = arg;
	struct wh_sym s;

	if (!wh_symtab_find_name(il->syms, NULL, name, 0, &s))
		return false;
	*ret_addr = s.addr;
	return true;
}

bool wh_illumos_symbol(const struct wh_illumos_target *il, uint64_t addr, struct wh_sym *ret,
		       uint64_t *ret_off)
{
	return addr && wh_symtab_find_addr(il->syms, addr, ret, ret_off);
}

/* ---- symbol files ---- */

/* A whole symbol file in memory; NULL when it is no ELF file of this kernel. */
static uint8_t *file_load(struct wh_ctx *ctx, const char *path, size_t *ret_len)
{
	struct wh_stream *st;
	struct wh_abi abi;
	uint8_t *p = NULL;
	struct wh_err *e = wh_stream_open(ctx, path, &st);

	if (e) {
		wh_diag_add_err(ctx->diags, WH_DIAG_WARN, "symbol-file", e);
		return NULL;
	}
	if (wh_stream_size(st) <= SYMFILE_MAX && (p = malloc((size_t)wh_stream_size(st) + 1))) {
		*ret_len = wh_stream_read(st, 0, p, (size_t)wh_stream_size(st));
		if (!wh_ksyms_abi(p, *ret_len, &abi)) {
			free(p);
			p = NULL;
		}
	}
	wh_stream_close(st);
	return p;
}

struct ctf_section {
	struct wh_ctf *ctf;
	struct wh_ctx *ctx;
};

static struct wh_err *ctf_section(void *arg, const char *name, uint64_t addr, const uint8_t *data,
				  size_t len)
{
	struct ctf_section *s = arg;
	struct wh_err *e;

	(void)addr;
	if (strcmp(name, ".SUNW_ctf"))
		return NULL;
	e = wh_ctf_add(s->ctf, "unix", data, len);
	if (e)
		wh_diag_add_err(s->ctx->diags, WH_DIAG_WARN, "ctf-damaged", e);
	return NULL;
}

static struct wh_err *symbols_from(struct wh_illumos_target *il, const uint8_t *p, size_t len)
{
	bool ours = il->t->dump->cls == WH_DUMP_ILLUMOS;
	struct wh_err *e = wh_ksyms_load(ours ? il->t->ctx : NULL, p, len, il->syms, &il->segments,
					 &il->objects);

	if (!e || ours || wh_err_is(e, WH_ERR_NOMEM))
		return e;
	wh_err_destroy(e); /* whose file it is, the symbols must tell: this one has none */
	return NULL;
}

struct wh_err *wh_illumos_symbols_open(struct wh_illumos_target *il)
{
	struct wh_target *t = il->t;
	const uint8_t *p;
	size_t len;

	WH_TRY(wh_symtab_create(&il->syms));
	if (wh_illumos_ksyms(t->dump, &p, &len)) {
		struct wh_err *e = symbols_from(il, p, len);

		if (e)
			wh_diag_add_err(t->ctx->diags, WH_DIAG_ERROR, "illumos-ksyms", e);
		il->sym_source = "ksyms of the dump";
	}
	for (size_t i = 0; !wh_symtab_count(il->syms) && i < t->opts->n_symbol_files; i++) {
		uint8_t *f = file_load(t->ctx, t->opts->symbol_files[i], &len);
		struct wh_err *e = f ? symbols_from(il, f, len) : NULL;

		free(f);
		WH_TRY(e);
		il->sym_source = "symbol file";
	}
	return wh_symtab_freeze(il->syms);
}

/* ---- modules ---- */

struct modctl_layout {
	struct wh_field next, mp, name;
};
static const struct wh_want modctl_wants[] = {
	WH_WANT(struct modctl_layout, next, "modctl", "mod_next"),
	WH_WANT(struct modctl_layout, mp, "modctl", "mod_mp"),
	WH_WANT(struct modctl_layout, name, "modctl", "mod_modname"),
};
struct module_layout {
	struct wh_field text, text_size, data, data_size, bss, bss_size;
};
static const struct wh_want module_wants[] = {
	WH_WANT(struct module_layout, text, "module", "text"),
	WH_WANT(struct module_layout, text_size, "module", "text_size"),
	WH_WANT(struct module_layout, data, "module", "data"),
	WH_WANT(struct module_layout, data_size, "module", "data_size"),
	WH_WANT(struct module_layout, bss, "module", "bss"),
	WH_WANT(struct module_layout, bss_size, "module", "bss_size"),
};

static bool word_at(struct wh_illumos_target *il, uint64_t base, struct wh_field f, uint64_t *ret)
{
	return f.found && wh_read_word(il->r, base + f.offset, ret);
}

static struct wh_err *modules_list(struct wh_illumos_target *il, const char *var)
{
	struct modctl_layout l;
	struct wh_map seen = WH_MAP_INIT;
	uint64_t head, at;
	struct wh_err *e = NULL;

	if (!wh_illumos_find_symbol(il, var, &head))
		return NULL;
	if (!strcmp(var, "kdi_dmods") && (!wh_read_word(il->r, head, &head) || !head))
		return NULL;
	WH_TRY(wh_layout_resolve(il->types, modctl_wants,
				 sizeof(modctl_wants) / sizeof(*modctl_wants), &l));
	at = head;
	do {
		struct wh_imodule m = {.ctl = at};
		uint64_t name;
		bool fresh;

		e = wh_map_set(&seen, at, 1, &fresh);
		if (e)
			break;
		if (!at || !fresh || il->modules.n >= WH_LIMIT_MODULES ||
		    !word_at(il, at, l.mp, &m.mp) || !word_at(il, at, l.name, &name)) {
			wh_diag_add(il->t->ctx->diags, WH_DIAG_WARN, "module-list", at,
				    "the list of modules breaks at %#llx after %zu modules",
				    (unsigned long long)at, il->modules.n);
			break;
		}
		if (!name || !wh_read_str(il->r, name, m.name, sizeof(m.name)))
			snprintf(m.name, sizeof(m.name), "?");
		if (m.mp)
			e = WH_VEC_PUSH(&il->modules, m);
		if (!e && !word_at(il, at, l.next, &at))
			at = 0;
	} while (!e && at != head);
	wh_map_fini(&seen);
	return e;
}

/*
 * [bytes] to read for the container at @p, by its header; 0 when it is none.  Compressed tables are never
 * longer than expanded ones by more than a little, and their end shows in themselves.
 */
static size_t ctf_extent(struct wh_illumos_target *il, uint64_t p)
{
	struct wh_abi abi = il->kmem.abi;
	uint8_t h[CTF_HEADER];
	size_t head;
	uint64_t want;

	if (!p || wh_read_some(il->r, WH_VIRT, p, h, sizeof(h), NULL) < sizeof(h) ||
	    wh_get_u16(abi, h) != CTF_PREAMBLE || !h[2] || h[2] > 2 || h[3] > 1)
		return 0;
	head = h[2] == 1 ? CTF_HEADER_V1 : CTF_HEADER;
	want = (uint64_t)wh_get_u32(abi, h + head - 8) + wh_get_u32(abi, h + head - 4);
	return want && want < CTF_MAX ? (size_t)want + head + CTF_SLACK : 0;
}

/* Where struct module keeps its CTF pointer: the first word of any module that really points at CTF. */
static bool ctf_probe(struct wh_illumos_target *il, uint64_t *ret_off)
{
	for (size_t m = 0; m < il->modules.n; m++)
		for (uint64_t off = 0; off < MODULE_PROBE; off += il->kmem.abi.word) {
			uint64_t p;

			if (!wh_read_word(il->r, il->modules.v[m].mp + off, &p))
				break;
			if (ctf_extent(il, p)) {
				*ret_off = off;
				return true;
			}
		}
	return false;
}

static void ctf_add_module(struct wh_illumos_target *il, struct wh_ctf *ctf,
			   const struct wh_imodule *m, uint64_t off)
{
	uint64_t p = 0;
	size_t n, got;
	uint8_t *buf;
	struct wh_err *e;

	if (!wh_read_word(il->r, m->mp + off, &p) || !p)
		return;
	n = ctf_extent(il, p);
	buf = n ? malloc(n) : NULL;
	if (!buf) {
		wh_diag_add(il->t->ctx->diags, WH_DIAG_WARN, "ctf-damaged", p,
			    "module %s: no CTF header at %#llx", m->name, (unsigned long long)p);
		return;
	}
	got = wh_read_some(il->r, WH_VIRT, p, buf, n, NULL);
	e = wh_ctf_add(ctf, m->name, buf, got);
	if (e)
		wh_diag_add_err(il->t->ctx->diags, WH_DIAG_WARN, "ctf-damaged", e);
	free(buf);
}

/* Parents first, then as listed, so that a plain name means the kernel's own type. */
static void ctf_add_modules(struct wh_illumos_target *il, struct wh_ctf *ctf)
{
	static const char *const first[] = {"genunix", "unix"};
	uint64_t off;

	if (!ctf_probe(il, &off))
		return;
	for (size_t pass = 0; pass < 3; pass++)
		for (size_t i = 0; i < il->modules.n; i++) {
			const struct wh_imodule *m = &il->modules.v[i];
			size_t rank = !strcmp(m->name, first[0])   ? 0
				      : !strcmp(m->name, first[1]) ? 1
								   : 2;

			if (rank == pass)
				ctf_add_module(il, ctf, m, off);
		}
}

static struct wh_err *ctf_open(struct wh_illumos_target *il, struct wh_types *into)
{
	struct wh_ctf *ctf;
	struct wh_err *e = NULL;

	WH_TRY(wh_ctf_create(il->t->ctx, il->kmem.abi, &ctf));
	ctf_add_modules(il, ctf);
	for (size_t i = 0; !e && i < il->t->opts->n_symbol_files; i++) {
		struct ctf_section s = {ctf, il->t->ctx};
		size_t len;
		uint8_t *f = file_load(il->t->ctx, il->t->opts->symbol_files[i], &len);

		if (f)
			e = wh_ksyms_each_section(f, len, ctf_section, &s);
		free(f);
	}
	if (!e)
		e = wh_ctf_freeze(ctf);
	il->ctf_count = wh_ctf_count(ctf);
	if (e || !il->ctf_count) {
		wh_ctf_destroy(ctf);
		return e;
	}
	return wh_types_add(into, &wh_ctf_provider, ctf, "ctf");
}

static void module_read(struct wh_illumos_target *il, const struct module_layout *l,
			struct wh_imodule *m)
{
	word_at(il, m->mp, l->text, &m->text);
	word_at(il, m->mp, l->text_size, &m->text_size);
	word_at(il, m->mp, l->data, &m->data);
	word_at(il, m->mp, l->data_size, &m->data_size);
	word_at(il, m->mp, l->bss, &m->bss);
	word_at(il, m->mp, l->bss_size, &m->bss_size);
}

/* A layout that is not the dump's own must make sense: a function in each text, no extent beyond reason. */
static bool modules_make_sense(const struct wh_illumos_target *il)
{
	size_t good = 0;

	for (size_t i = 0; i < il->modules.n; i++) {
		const struct wh_imodule *m = &il->modules.v[i];
		struct wh_sym s;
		uint64_t off;

		if (m->text_size >= MODULE_MAX || m->data_size >= MODULE_MAX ||
		    m->bss_size >= MODULE_MAX)
			continue;
		good += !m->text_size ||
			(wh_illumos_symbol(il, m->text + m->text_size - 1, &s, &off) &&
			 s.addr >= m->text);
	}
	return good * 2 > il->modules.n;
}

static void modules_detail(struct wh_illumos_target *il)
{
	struct module_layout l;
	struct wh_err *e = wh_layout_resolve(il->types, module_wants,
					     sizeof(module_wants) / sizeof(*module_wants), &l);

	if (e) {
		wh_err_destroy(e);
		return;
	}
	wh_types_sizeof(il->types, "module", &il->module_size);
	for (size_t i = 0; i < il->modules.n; i++)
		module_read(il, &l, &il->modules.v[i]);
	il->module_layout = modules_make_sense(il);
}

/* ---- types ---- */

static struct wh_err *profile_add(struct wh_illumos_target *il, struct wh_types *to,
				  const char *text)
{
	struct wh_profile *p;
	unsigned int align = il->kmem.abi.big_endian || il->kmem.abi.word == 8 ? 8 : 4;

	WH_TRY(wh_profile_create(il->kmem.abi, align, text, &p));
	wh_profile_hide(p, to);
	return wh_types_add(to, &wh_profile_provider, p, "profile");
}

/* DWARF of the files that the user gave: a kernel image dumped by a hypervisor has no CTF in memory. */
static struct wh_err *dwarf_open(struct wh_illumos_target *il, struct wh_types *into)
{
	for (size_t i = 0; i < il->t->opts->n_symbol_files; i++) {
		struct wh_dwarf *d;

		if (!wh_dwarf_has_info(il->t->opts->symbol_files[i]))
			continue;
		WH_TRY(wh_dwarf_create(il->t->opts->symbol_files[i], &d));
		WH_TRY(wh_types_add(into, &wh_dwarf_ops, d, "dwarf"));
	}
	return NULL;
}

struct wh_err *wh_illumos_names_open(struct wh_illumos_target *il)
{
	struct wh_types *boot, *final;
	uint64_t list;
	/* The list of caches got its own head when slabs were put into trees, in 2008. */
	const char *kmem = !wh_illumos_find_symbol(il, "kmem_caches", &list) ? wh_profile_kmem_2005
									     : wh_profile_kmem;

	/* First with what is built in: enough to walk the module list. */
	WH_TRY(wh_types_create(&il->types));
	boot = il->types;
	WH_TRY(profile_add(il, boot, kmem));
	WH_TRY(modules_list(il, "modules"));
	WH_TRY(modules_list(il, "kdi_dmods"));

	WH_TRY(wh_types_create(&final));
	il->types = final;
	wh_types_destroy(boot);
	WH_TRY(ctf_open(il, final));
	WH_TRY(dwarf_open(il, final));
	WH_TRY(profile_add(il, final, kmem));
	modules_detail(il);
	return NULL;
}
