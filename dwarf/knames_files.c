/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Debug files of a kernel: vmlinux and *.ko[.debug].  Each must carry the build-id of what ran:
 *
 *	kernel    the note between __start_notes and __stop_notes, else VMCOREINFO's BUILD-ID (which some
 *	          6.11 and stable kernels printed as garbage: only 40 hex digits count)
 *	modules   the note in the module's own read-only memory
 *
 * KASLR is the difference of _stext in the dump and in the file.  Where a module's sections were loaded
 * is not asked of sysfs structures, whose shape changes: the functions of a section are looked up in the
 * module's kallsyms, and the difference that most of them agree on is the section's address.
 */
#include <ctype.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/base/strbuf.h"
#include "analyzer/base/vec.h"
#include "dwarf/dwmod.h"
#include "dwarf/knames_priv.h"

#define NOTES_MAX (1u << 20) /* [bytes] of kernel notes read */
#define RANGE_MAX (8u << 20) /* [bytes] of a module range searched for its note */
#define TREE_MAX  500000     /* files of a --debug-dir looked at */
#define SECTIONS  32	     /* executable sections of a module */
#define VOTES	  64	     /* functions asked about one section */
#define ID_LEN	  64

struct build_id {
	uint8_t v[ID_LEN];
	size_t n;
};

static void id_text(const struct build_id *id, char *buf, size_t cap)
{
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < id->n && at + 3 <= cap; i++)
		at += (size_t)snprintf(buf + at, cap - at, "%02x", id->v[i]);
}

/* The first GNU build-id note in a piece of memory. */
static bool note_find(struct wh_abi abi, const uint8_t *p, size_t n, struct build_id *ret)
{
	for (size_t at = 0; at + 16 < n; at += 4) {
		uint32_t len;

		if (memcmp(p + at + 12, "GNU", 4) != 0 || wh_get_u32(abi, p + at) != 4 ||
		    wh_get_u32(abi, p + at + 8) != 3)
			continue;
		len = wh_get_u32(abi, p + at + 4);
		if (!len || len > ID_LEN || len > n - at - 16)
			continue;
		memcpy(ret->v, p + at + 16, len);
		ret->n = len;
		return true;
	}
	return false;
}

static bool id_in_memory(struct wh_reader *r, uint64_t va, uint64_t len, struct build_id *ret)
{
	struct wh_abi abi = wh_mem_dump(wh_reader_mem(r))->abi;
	WH_AUTO_FREE uint8_t *p = malloc((size_t)len + 1);
	size_t got;

	if (!p)
		return false;
	got = wh_read_some(r, WH_VIRT, va, p, (size_t)len, NULL);
	return note_find(abi, p, got, ret);
}

static bool id_from_info(const struct wh_vmcoreinfo *v, struct build_id *ret)
{
	const char *s = v ? wh_vmcoreinfo_find(v, "BUILD-ID") : NULL;

	if (!s || strspn(s, "0123456789abcdef") < 40)
		return false;
	for (size_t i = 0; i < 20; i++) {
		unsigned int hi =
			(unsigned int)(isdigit((unsigned char)s[2 * i]) ? s[2 * i] - '0'
									: s[2 * i] - 'a' + 10);
		unsigned int lo = (unsigned int)(isdigit((unsigned char)s[2 * i + 1])
							 ? s[2 * i + 1] - '0'
							 : s[2 * i + 1] - 'a' + 10);

		ret->v[i] = (uint8_t)(hi << 4 | lo);
	}
	ret->n = 20;
	return true;
}

static bool kernel_id(const struct wh_knames *n, struct build_id *ret)
{
	const struct wh_kn_priv *p = n->priv;
	uint64_t start = p->pick[WH_KN_NOTES_START], stop = p->pick[WH_KN_NOTES_STOP];

	if (start && stop > start && stop - start <= NOTES_MAX &&
	    id_in_memory(p->r, start, stop - start, ret))
		return true;
	return id_from_info(n->ks->vmcoreinfo, ret);
}

/* ---- what is a module's file ---- */

struct ko_file {
	char *path;
	char name[64]; /* of the module, "…/nf-conntrack.ko.debug": nf_conntrack */
	bool named;    /* by the user (-s): whatever it is called, its build-id says whose it is */
	bool told;     /* it was used, or it was said why not */
};
typedef WH_VEC(struct ko_file) ko_vec;

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_module_name(const char *path)
{
	const char *ext = strstr(last_part(path), ".ko");

	return ext && (!strcmp(ext, ".ko") || !strcmp(ext, ".ko.debug"));
}

/* By its name, else by the section that modpost gives a module (scripts/mod/modpost.c); debug files too. */
static bool is_module_file(const char *path)
{
	static const char *const sections[] = {".gnu.linkonce.this_module", NULL};

	return is_module_name(path) || wh_locate_has_section(path, sections, false);
}

static struct wh_err *ko_push(ko_vec *v, const char *path, bool named)
{
	struct ko_file f = {.named = named};
	const char *base = last_part(path);
	size_t len = strcspn(base, ".");
	struct wh_err *e;

	if (!len || len >= sizeof(f.name) || !(named ? is_module_file(path) : is_module_name(path)))
		return NULL;
	for (size_t i = 0; i < len; i++)
		f.name[i] = base[i] == '-' ? '_' : base[i];
	f.path = strdup(path);
	if (!f.path)
		return &wh_err_nomem;
	e = WH_VEC_PUSH(v, f);
	if (e)
		free(f.path);
	return e;
}

/* ---- vmlinux ---- */

/* Address of a symbol in a file; 0 when it has none. */
static uint64_t file_symbol(struct wh_dwmod *m, const char *name)
{
	int n = dwfl_module_getsymtab(m->mod);

	for (int i = 1; i < n; i++) {
		GElf_Addr addr = 0;
		GElf_Sym s;
		const char *got = dwfl_module_getsym_info(m->mod, i, &s, &addr, NULL, NULL, NULL);

		if (got && !strcmp(got, name))
			return addr;
	}
	return 0;
}

/* KASLR of the file against the dump.  *ret_kernel: the file has a kernel's symbols. */
static struct wh_err *vmlinux_bias(struct wh_knames *n, const char *path, uint64_t *ret,
				   bool *ret_kernel)
{
	struct wh_kn_priv *p = n->priv;
	uint64_t in_dump = p->pick[WH_KN_STEXT], in_file;
	struct wh_dwmod *m = NULL;

	if (!in_dump && n->ks->vmcoreinfo)
		(void)wh_vmcoreinfo_symbol(n->ks->vmcoreinfo, "_stext", &in_dump);
	WH_TRY(wh_dwmod_open(path, NULL, &m));
	in_file = file_symbol(m, "_stext");
	wh_dwmod_close(m);
	*ret_kernel = in_file != 0;
	*ret = in_dump && in_file ? in_dump - in_file : n->ks->kaslr_offset;
	return NULL;
}

static struct wh_err *use_vmlinux(struct wh_knames *n, const char *path)
{
	struct wh_kn_priv *p = n->priv;
	bool kernel;

	WH_TRY(vmlinux_bias(n, path, &p->vmlinux_bias, &kernel));
	p->vmlinux = strdup(path);
	return p->vmlinux ? NULL : &wh_err_nomem;
}

/*
 * Whether a file that the user named is this kernel's.  Where the dump tells its build-id, only that proves
 * it; of a kernel built without one, whatever has a kernel's symbols is believed, with a warning.
 */
static struct wh_err *symbol_file_fits(struct wh_knames *n, const char *path,
				       const struct build_id *want, bool *ret)
{
	struct wh_diags *diags = n->ks->dump->ctx->diags;
	struct build_id id = {0};
	char a[2 * ID_LEN + 1], b[2 * ID_LEN + 1];
	uint64_t bias;
	bool kernel;

	*ret = false;
	if (access(path, R_OK) != 0)
		return wh_err_os(path, "cannot open");
	id.n = wh_locate_build_id(path, id.v, sizeof(id.v));
	id_text(&id, a, sizeof(a));
	id_text(want, b, sizeof(b));
	if (id.n && want->n && (id.n != want->n || memcmp(id.v, want->v, id.n) != 0)) {
		wh_diag_add(diags, WH_DIAG_ERROR, "symbol-file-mismatch", 0,
			    "%s is another build (build-id %s) than the kernel in the dump (%s): "
			    "it is not used",
			    path, a, b);
		return NULL;
	}
	if (!id.n && want->n) {
		wh_diag_add(
			diags, WH_DIAG_ERROR, "symbol-file-mismatch", 0,
			"%s has no build-id, and the kernel in the dump has one (%s): it is not "
			"used",
			path, b);
		return NULL;
	}
	WH_TRY(vmlinux_bias(n, path, &bias, &kernel));
	if (!kernel && !wh_dwarf_has_info(path)) {
		wh_diag_add(diags, WH_DIAG_ERROR, "symbol-file-stripped", 0,
			    "%s has neither symbols nor debug information: it is not used", path);
		return NULL;
	}
	if (!kernel && !want->n) {
		wh_diag_add(diags, WH_DIAG_ERROR, "symbol-file-mismatch", 0,
			    "%s is no Linux kernel: it is not used", path);
		return NULL;
	}
	if (!want->n)
		wh_diag_add(diags, WH_DIAG_WARN, "symbol-file-unverified", 0,
			    "%s is used, but no build-id proves that it belongs to the dump", path);
	*ret = true;
	return NULL;
}

static struct wh_err *try_symbol_file(struct wh_knames *n, const char *path,
				      const struct build_id *want)
{
	bool fits;

	WH_TRY(symbol_file_fits(n, path, want, &fits));
	return fits ? use_vmlinux(n, path) : NULL;
}

/* Where distributions put it: Debian, Fedora and RHEL, a build tree. */
static struct wh_err *locate_vmlinux(struct wh_knames *n, const struct wh_knames_opts *opts,
				     const struct build_id *want)
{
	static const char *const paths[] = {"/boot/vmlinux-%s", "/lib/modules/%s/vmlinux",
					    "/lib/modules/%s/build/vmlinux", "/vmlinux"};
	struct wh_locate_opts lo = {.debug_dirs = opts->debug_dirs,
				    .n_debug_dirs = opts->n_debug_dirs};
	const char *release =
		n->ks->vmcoreinfo ? wh_vmcoreinfo_find(n->ks->vmcoreinfo, "OSRELEASE") : NULL;

	for (size_t i = 0; want->n && i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct wh_locate_query q = {
			.kind = WH_LOCATE_DEBUG, .build_id = want->v, .build_id_len = want->n};
		char path[512], *found = NULL;
		struct wh_err *e;

		snprintf(path, sizeof(path), paths[i], release ? release : "");
		q.path = path;
		e = wh_locate(&lo, &q, &found, NULL);
		if (e == &wh_err_not_found)
			continue;
		if (!e)
			e = use_vmlinux(n, found);
		free(found);
		return e;
	}
	return NULL;
}

struct wh_err *wh_kn_find_vmlinux(struct wh_knames *n, const struct wh_knames_opts *opts)
{
	struct wh_kn_priv *p = n->priv;
	struct build_id want = {0};

	if (!opts->n_symbol_files && !opts->n_debug_dirs)
		return NULL;
	(void)kernel_id(n, &want);
	for (size_t i = 0; !p->vmlinux && i < opts->n_symbol_files; i++)
		if (!is_module_file(opts->symbol_files[i]))
			WH_TRY(try_symbol_file(n, opts->symbol_files[i], &want));
	if (!p->vmlinux && opts->n_debug_dirs)
		return locate_vmlinux(n, opts, &want);
	return NULL;
}

struct wh_err *wh_kn_vmlinux_symbols(struct wh_knames *n)
{
	struct wh_kn_priv *p = n->priv;
	struct wh_symtab *syms = NULL;
	struct wh_dwmod *m = NULL;
	const char *source = NULL;
	struct wh_err *e;

	WH_TRY(wh_dwmod_open(p->vmlinux, NULL, &m));
	e = wh_symtab_create(&syms);
	if (!e)
		e = wh_sym_elf_add(m, p->vmlinux_bias, WH_SYM_NO_MODULE, syms, &source);
	wh_dwmod_close(m);
	if (e) {
		wh_symtab_destroy(syms);
		return e;
	}
	wh_symtab_destroy(n->syms);
	n->syms = syms;
	n->sym_source = "vmlinux";
	n->have_data_symbols = true;
	n->damaged = false;
	return NULL;
}

struct wh_err *wh_kn_vmlinux_types(struct wh_knames *n)
{
	struct wh_kn_priv *p = n->priv;
	struct wh_dwarf *d = NULL;

	if (!wh_dwarf_has_info(p->vmlinux))
		return NULL;
	WH_TRY(wh_dwarf_create(p->vmlinux, &d));
	n->type_source = "DWARF";
	return wh_types_add(n->types, &wh_dwarf_ops, d, "dwarf:vmlinux");
}

/* ---- modules ---- */

static int fts_by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* All module files below @dir, in order of name, so that runs agree. */
static struct wh_err *ko_tree(ko_vec *v, const char *dir)
{
	char *roots[] = {(char *)(uintptr_t)dir, NULL};
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, fts_by_name);
	struct wh_err *e = NULL;
	FTSENT *f;

	for (int n = 0; fts && !e && n < TREE_MAX && (f = fts_read(fts)); n++)
		if (f->fts_info == FTS_F || f->fts_info == FTS_SL)
			e = ko_push(v, f->fts_path, false);
	if (fts)
		fts_close(fts);
	return e;
}

static bool module_id(const struct wh_knames *n, const struct wh_kmodule *m, struct build_id *ret)
{
	const struct wh_kn_priv *p = n->priv;

	for (uint32_t i = 0; i < m->n_ranges; i++)
		if (m->ranges[i].size <= RANGE_MAX &&
		    id_in_memory(p->r, m->ranges[i].start, m->ranges[i].size, ret))
			return true;
	return false;
}

/* Votes on the load address of one section. */
struct section {
	GElf_Word shndx;
	const char *name;
	uint64_t cand[8];
	unsigned int votes[8], n, asked;
};

static void vote(struct section *s, uint64_t addr)
{
	for (unsigned int i = 0; i < s->n; i++)
		if (s->cand[i] == addr) {
			s->votes[i]++;
			return;
		}
	if (s->n < 8) {
		s->cand[s->n] = addr;
		s->votes[s->n++] = 1;
	}
}

static struct section *section_of(struct section *v, size_t *n, Elf *elf, GElf_Word shndx)
{
	Elf_Scn *scn = elf_getscn(elf, shndx);
	size_t strndx = 0;
	GElf_Shdr sh;

	for (size_t i = 0; i < *n; i++)
		if (v[i].shndx == shndx)
			return &v[i];
	if (*n == SECTIONS || !scn || !gelf_getshdr(scn, &sh) || !(sh.sh_flags & SHF_EXECINSTR) ||
	    elf_getshdrstrndx(elf, &strndx) != 0)
		return NULL;
	v[*n] = (struct section){.shndx = shndx, .name = elf_strptr(elf, strndx, sh.sh_name)};
	return v[*n].name ? &v[(*n)++] : NULL;
}

/* Load addresses of the executable sections of @m's file, by its functions. */
static size_t ko_sections(const struct wh_knames *n, const struct wh_kmodule *mod,
			  struct wh_dwmod *m, struct section *v)
{
	int n_syms = dwfl_module_getsymtab(m->mod);
	size_t n_secs = 0;

	for (int i = 1; i < n_syms; i++) {
		GElf_Word shndx = 0;
		GElf_Addr addr = 0;
		Elf *elf = NULL;
		struct section *sec;
		struct wh_sym in_dump, again;
		GElf_Sym s;
		const char *name =
			dwfl_module_getsym_info(m->mod, i, &s, &addr, &shndx, &elf, NULL);

		if (!name || GELF_ST_TYPE(s.st_info) != STT_FUNC || !elf || shndx >= SHN_LORESERVE)
			continue;
		sec = section_of(v, &n_secs, elf, shndx);
		if (!sec || sec->asked >= VOTES ||
		    !wh_symtab_find_name(n->syms, mod->name, name, 0, &in_dump) ||
		    wh_symtab_find_name(n->syms, mod->name, name, 1, &again))
			continue;
		sec->asked++;
		vote(sec, in_dump.addr - s.st_value);
	}
	return n_secs;
}

static struct wh_err *add_ko(struct wh_knames *n, const struct wh_kmodule *mod, const char *path)
{
	struct wh_lines_section secs[SECTIONS];
	struct wh_lines_module spec = {.file = path, .sections = secs};
	struct section v[SECTIONS];
	struct wh_kn_priv *p = n->priv;
	struct wh_dwmod *m = NULL;
	struct wh_err *e = NULL;
	size_t n_v;

	WH_TRY(wh_dwmod_open(path, NULL, &m));
	n_v = ko_sections(n, mod, m, v);
	for (size_t i = 0; i < n_v; i++) {
		unsigned int best = 0;

		for (unsigned int k = 1; k < v[i].n; k++)
			if (v[i].votes[k] > v[i].votes[best])
				best = k;
		if (v[i].n)
			secs[spec.n_sections++] =
				(struct wh_lines_section){v[i].name, v[i].cand[best]};
	}
	for (uint32_t i = 0; !e && spec.n_sections && i < mod->n_ranges; i++) {
		spec.start = mod->ranges[i].start;
		spec.end = spec.start + mod->ranges[i].size;
		e = wh_lines_add(p->lines, &spec);
	}
	wh_dwmod_close(m);
	return e;
}

/* What was found for one module; the paths are borrowed. */
struct choice {
	const char *file, *mismatch, *stripped;
	struct build_id want, other; /* other: of the mismatch */
};

/* The first file with the module's build-id and debug information: of its name, or named by the user. */
static void choose_file(const struct wh_knames *n, const struct wh_kmodule *mod, ko_vec *files,
			struct choice *c)
{
	for (size_t i = 0; !c->file && i < files->n; i++) {
		struct ko_file *f = &files->v[i];
		bool same = !strcmp(f->name, mod->name);
		struct build_id got = {0};

		if (!same && !f->named)
			continue;
		if (!c->want.n && !module_id(n, mod, &c->want))
			return;
		got.n = wh_locate_build_id(f->path, got.v, sizeof(got.v));
		if (got.n != c->want.n || memcmp(got.v, c->want.v, got.n) != 0) {
			if (!same)
				continue;
			c->mismatch = f->path;
			c->other = got;
		} else if (!wh_dwarf_has_info(f->path)) {
			/* A stripped one is passed over for the sake of a .ko.debug behind it. */
			c->stripped = f->path;
		} else {
			c->file = f->path;
		}
		f->told = true;
	}
}

/* The last resort: the build-id trees of --debug-dir, where a debug file has no name. */
static struct wh_err *locate_module(const struct wh_knames *n, const struct wh_kmodule *mod,
				    const struct wh_knames_opts *opts, struct build_id *want,
				    char **ret)
{
	struct wh_locate_opts lo = {.debug_dirs = opts->debug_dirs,
				    .n_debug_dirs = opts->n_debug_dirs};
	struct wh_locate_query q = {.kind = WH_LOCATE_DEBUG};
	struct wh_err *e;

	if (!opts->n_debug_dirs || (!want->n && !module_id(n, mod, want)))
		return NULL;
	q.build_id = want->v;
	q.build_id_len = want->n;
	e = wh_locate(&lo, &q, ret, NULL);
	return e == &wh_err_not_found ? NULL : e;
}

static void tell_unused(struct wh_diags *diags, const struct wh_kmodule *mod,
			const struct choice *c)
{
	char a[2 * ID_LEN + 1], b[2 * ID_LEN + 1];

	if (c->stripped) {
		wh_diag_add(diags, WH_DIAG_NOTE, "module-file-stripped", mod->addr,
			    "%s has no debug information: module %s gets no lines", c->stripped,
			    mod->name);
	} else if (c->mismatch) {
		id_text(&c->other, a, sizeof(a));
		id_text(&c->want, b, sizeof(b));
		wh_diag_add(
			diags, WH_DIAG_NOTE, "module-file-mismatch", mod->addr,
			"%s is another build (build-id %s) than module %s in the dump (%s): it is "
			"not used",
			c->mismatch, a, mod->name, b);
	}
}

static struct wh_err *module_lines(struct wh_knames *n, const struct wh_kmodule *mod,
				   const struct wh_knames_opts *opts, ko_vec *files)
{
	struct wh_diags *diags = n->ks->dump->ctx->diags;
	WH_AUTO_FREE char *located = NULL;
	struct choice c = {0};
	struct wh_err *e;

	choose_file(n, mod, files, &c);
	if (!c.file) {
		WH_TRY(locate_module(n, mod, opts, &c.want, &located));
		if (located && wh_dwarf_has_info(located))
			c.file = located;
	}
	if (!c.file) {
		tell_unused(diags, mod, &c);
		return NULL;
	}
	e = add_ko(n, mod, c.file);
	if (wh_err_is(e, WH_ERR_NOMEM))
		return e;
	if (e)
		wh_diag_add_err(diags, WH_DIAG_WARN, "module-file", e);
	return NULL;
}

struct wh_err *wh_kn_open_lines(struct wh_knames *n, const struct wh_knames_opts *opts)
{
	struct wh_kn_priv *p = n->priv;
	struct wh_lines_module spec = {.file = p->vmlinux,
				       .start = n->ks->image_start,
				       .end = n->ks->image_end,
				       .bias = p->vmlinux_bias};
	struct wh_err *e = NULL;
	ko_vec files = {0};

	if (!opts->n_symbol_files && !opts->n_debug_dirs)
		return NULL;
	WH_TRY(wh_lines_create(&p->lines));
	for (size_t i = 0; !e && i < opts->n_symbol_files; i++)
		e = ko_push(&files, opts->symbol_files[i], true);
	for (size_t i = 0; !e && i < opts->n_debug_dirs; i++)
		e = ko_tree(&files, opts->debug_dirs[i]);
	for (size_t i = 0; !e && i < n->n_modules; i++)
		e = module_lines(n, &n->modules[i], opts, &files);
	for (size_t i = 0; i < files.n; i++)
		if (files.v[i].named && !files.v[i].told)
			wh_diag_add(n->ks->dump->ctx->diags, WH_DIAG_NOTE, "module-file-unused", 0,
				    "%s is of no module in the dump: it is not used",
				    files.v[i].path);
	if (!e && p->vmlinux)
		e = wh_lines_add(p->lines, &spec);
	for (size_t i = 0; i < files.n; i++)
		free(files.v[i].path);
	WH_VEC_FINI(&files);
	return e;
}
