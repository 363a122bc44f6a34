/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Modules as the core itself shows them, from three sources that complete each other:
 *
 *	NT_FILE    path, address and file offset of every file mapping (Linux 3.7; gcore writes it too)
 *	link map   AT_PHDR -> PT_DYNAMIC of the program -> DT_DEBUG -> r_debug -> list of link_map
 *	           (glibc elf/link.h, musl the same: l_addr, l_name, l_ld, l_next, l_prev)
 *	segments   those that begin with an ELF header, when neither of the others is there
 *	sections   of an illumos core: objects whose header is not in the core (umod_sections.c)
 *
 * A file mapping is a module when it maps offset 0 and memory begins with \177ELF.
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/hashmap.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/order.h"
#include "dwarf/umod_priv.h"

#define PHDRS_MAX   256
#define NOTES_MAX   (64u << 10) /* [bytes] of notes read from memory */
#define DYNAMIC_MAX 4096	/* entries */
#define PATH_CAP    1024
#define NT_FILE_ID  0x46494c45u

/* Core segments by address, for flags. */
struct seg_index {
	const struct wh_segment **v;
	size_t n;
};

struct finder {
	struct wh_un_priv *p;
	const struct wh_dump *d;
	struct seg_index segs;
};

static int seg_cmp(const void *a, const void *b)
{
	const struct wh_segment *x = *(const struct wh_segment *const *)a;
	const struct wh_segment *y = *(const struct wh_segment *const *)b;

	return (x->vaddr > y->vaddr) - (x->vaddr < y->vaddr);
}

static struct wh_err *seg_index_init(struct seg_index *s, const struct wh_dump *d)
{
	s->v = wh_calloc(d->n_segs, sizeof(const struct wh_segment *));
	if (!s->v)
		return &wh_err_nomem;
	for (size_t i = 0; i < d->n_segs; i++)
		s->v[s->n++] = &d->segs[i];
	if (s->n)
		qsort(s->v, s->n, sizeof(const struct wh_segment *), seg_cmp);
	return NULL;
}

static const struct wh_segment *seg_find(const struct seg_index *s, uint64_t addr)
{
	size_t lo = WH_BOUND(i, s->n, s->v[i]->vaddr <= addr);

	return lo && addr - s->v[lo - 1]->vaddr < s->v[lo - 1]->memsz ? s->v[lo - 1] : NULL;
}

static uint32_t seg_flags(const struct finder *f, uint64_t addr)
{
	const struct wh_segment *s = seg_find(&f->segs, addr);

	return s ? s->flags & (PF_R | PF_W | PF_X) : 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static void read_auxv(struct finder *f)
{
	const struct wh_note *n = wh_dump_find_note(f->d, "CORE", NT_AUXV, NULL);
	bool illumos = wh_dump_find_note(f->d, "CORE", NT_PSTATUS, NULL) != NULL;
	size_t w = f->p->abi.word;

	for (size_t at = 0; n && at + 2 * w <= n->desc_len; at += 2 * w) {
		/* auxv_t of illumos begins with an int, that of Linux with a long */
		uint64_t key = illumos ? wh_get_u32(f->p->abi, n->desc + at)
				       : wh_get_word(f->p->abi, n->desc + at);

		if (key == AT_NULL)
			break;
		if (key < sizeof(f->p->aux) / sizeof(f->p->aux[0]))
			f->p->aux[key] = wh_get_word(f->p->abi, n->desc + at + w);
	}
}

/* ---- ELF headers in memory ---- */

static bool is_elf(struct wh_un_priv *p, uint64_t addr)
{
	uint8_t id[EI_NIDENT];
	struct wh_abi abi;

	return wh_read_some(p->r, WH_VIRT, addr, id, sizeof(id), NULL) == sizeof(id) &&
	       wh_elf_abi(id, &abi) && abi.word == p->abi.word &&
	       abi.big_endian == p->abi.big_endian;
}

static struct wh_err *read_phdrs(struct wh_un_priv *p, struct wh_umod *u)
{
	uint8_t head[WH_ELF_EHDR_MAX], buf[WH_ELF_PHDR_MAX];
	size_t hsize = wh_elf_ehdr_size(p->abi), size = wh_elf_phdr_size(p->abi);
	struct wh_elf_ehdr h;

	if (wh_read_some(p->r, WH_VIRT, u->m.base, head, hsize, NULL) != hsize)
		return NULL;
	h = wh_elf_ehdr(p->abi, head);
	if (h.phentsize != size || h.phnum > PHDRS_MAX)
		return NULL;
	for (size_t i = 0; i < h.phnum; i++) {
		if (wh_read_some(p->r, WH_VIRT, u->m.base + h.phoff + i * size, buf, size, NULL) !=
		    size)
			break;
		WH_TRY(WH_VEC_PUSH(&u->phdrs, wh_elf_phdr(p->abi, buf)));
	}
	return NULL;
}

static uint64_t page_down(const struct wh_un_priv *p, uint64_t v)
{
	return v & ~(p->page - 1);
}

static uint64_t page_up(const struct wh_un_priv *p, uint64_t v)
{
	return page_down(p, v + p->page - 1);
}

/* The build-id among the notes at @addr. */
static void find_build_id(struct wh_un_priv *p, struct wh_umod *u, uint64_t addr, uint64_t size)
{
	uint8_t head[12 + 4], *id = u->m.build_id;
	uint64_t at = 0;

	if (size > NOTES_MAX)
		size = NOTES_MAX;
	while (!u->m.build_id_len && at + sizeof(head) <= size &&
	       wh_read_some(p->r, WH_VIRT, addr + at, head, sizeof(head), NULL) == sizeof(head)) {
		uint32_t namesz = wh_get_u32(p->abi, head), descsz = wh_get_u32(p->abi, head + 4);
		uint64_t name = ((uint64_t)namesz + 3) & ~3ull;

		if (wh_get_u32(p->abi, head + 8) == NT_GNU_BUILD_ID && namesz == 4 &&
		    !memcmp(head + 12, "GNU", 4) && descsz && descsz <= sizeof(u->m.build_id) &&
		    wh_read_some(p->r, WH_VIRT, addr + at + 12 + name, id, descsz, NULL) == descsz)
			u->m.build_id_len = descsz;
		at += 12 + name + (((uint64_t)descsz + 3) & ~3ull);
	}
}

static struct wh_err *add_bss(const struct finder *f, struct wh_umod *u,
			      const struct wh_elf_phdr *ph)
{
	uint64_t start = page_up(f->p, u->m.bias + ph->vaddr + ph->filesz);
	uint64_t end = page_up(f->p, u->m.bias + ph->vaddr + ph->memsz);
	struct wh_umodule_range r = {.start = start, .end = end, .bss = true};

	if (ph->memsz <= ph->filesz || start >= end)
		return NULL;
	r.flags = seg_flags(f, start);
	return WH_VEC_PUSH(&u->ranges, r);
}

/* What the program headers tell, once `base` is known. */
static struct wh_err *use_phdrs(const struct finder *f, struct wh_umod *u)
{
	struct wh_un_priv *p = f->p;
	bool have_bias = false;

	WH_TRY(read_phdrs(p, u));
	u->m.bias = u->m.base;
	for (size_t i = 0; i < u->phdrs.n && !have_bias; i++)
		if (u->phdrs.v[i].type == PT_LOAD) {
			u->m.bias = u->m.base - page_down(p, u->phdrs.v[i].vaddr) +
				    page_down(p, u->phdrs.v[i].offset);
			have_bias = true;
		}
	for (size_t i = 0; i < u->phdrs.n; i++) {
		const struct wh_elf_phdr *ph = &u->phdrs.v[i];

		switch (ph->type) {
		case PT_LOAD:
			if (!u->m.data && (ph->flags & PF_W))
				u->m.data = u->m.bias + ph->vaddr;
			WH_TRY(add_bss(f, u, ph));
			break;
		case PT_DYNAMIC: u->m.dynamic = u->m.bias + ph->vaddr; break;
		case PT_PHDR: u->m.phdr = u->m.bias + ph->vaddr; break;
		case PT_NOTE: find_build_id(p, u, u->m.bias + ph->vaddr, ph->memsz); break;
		case PT_TLS:
			u->m.tls_size = ph->memsz;
			u->m.tls_filesz = ph->filesz;
			u->m.tls_align = ph->align;
			u->m.tls_image = u->m.bias + ph->vaddr;
			break;
		default: break;
		}
	}
	return NULL;
}

static struct wh_err *new_module(const struct finder *f, const char *path, uint64_t base,
				 struct wh_umod **ret)
{
	struct wh_umod u = {.image_fd = -1};

	if (f->p->mods.n >= WH_LIMIT_MODULES)
		return wh_err_new(WH_ERR_LIMIT, "more than %u modules", WH_LIMIT_MODULES);
	u.m.path = wh_arena_strdup(&f->p->strings, path);
	if (!u.m.path)
		return &wh_err_nomem;
	u.m.name = base_name(u.m.path);
	u.m.base = base;
	u.m.sym_source = "none";
	u.m.sym_id = WH_SYM_NO_MODULE;
	WH_TRY(WH_VEC_PUSH(&f->p->mods, u));
	*ret = &f->p->mods.v[f->p->mods.n - 1];
	return NULL;
}

static struct wh_err *add_range(const struct finder *f, struct wh_umod *u, uint64_t start,
				uint64_t end, uint64_t off)
{
	struct wh_umodule_range r = {
		.start = start, .end = end, .file_off = off, .flags = seg_flags(f, start)};

	return WH_VEC_PUSH(&u->ranges, r);
}

/* ---- NT_FILE ---- */

/* One file mapping; it opens a module, belongs to the one opened before, or is data. */
static struct wh_err *file_mapping(const struct finder *f, const char *path, uint64_t start,
				   uint64_t end, uint64_t off)
{
	struct wh_umod *u = NULL;

	if (off == 0 && is_elf(f->p, start)) {
		WH_TRY(new_module(f, path, start, &u));
		WH_TRY(add_range(f, u, start, end, off));
		return NULL;
	}
	/* Mappings of one module follow each other; another file can only be in between by MAP_FIXED. */
	for (size_t k = 1; k <= f->p->mods.n && k <= 4; k++) {
		u = &f->p->mods.v[f->p->mods.n - k];
		if (!strcmp(u->m.path, path))
			return add_range(f, u, start, end, off);
	}
	/* Text whose first page was not dumped: a module without a header. */
	if (!(seg_flags(f, start) & PF_X))
		return NULL;
	WH_TRY(new_module(f, path, off < start ? start - off : start, &u));
	return add_range(f, u, start, end, off);
}

static struct wh_err *read_nt_file(struct finder *f)
{
	const struct wh_note *n = wh_dump_find_note(f->d, "CORE", NT_FILE_ID, NULL);
	size_t w = f->p->abi.word, names;
	uint64_t count, page;

	if (!n || n->desc_len < 2 * w)
		return NULL;
	count = wh_get_word(f->p->abi, n->desc);
	page = wh_get_word(f->p->abi, n->desc + w);
	if (count > (n->desc_len - 2 * w) / (3 * w)) {
		wh_diag_add(f->p->diags, WH_DIAG_WARN, "nt-file-short", 0,
			    "NT_FILE claims %llu mappings and is too short for them",
			    (unsigned long long)count);
		count = (n->desc_len - 2 * w) / (3 * w);
	}
	/* gcore writes 1 here and byte offsets. */
	if (page && (page & (page - 1)) == 0 && page <= (1u << 20)) {
		if (page >= 4096)
			f->p->page = page;
	} else {
		page = 1;
	}
	names = (size_t)(2 * w + count * 3 * w);
	for (uint64_t i = 0; i < count && names < n->desc_len; i++) {
		const uint8_t *e = n->desc + 2 * w + i * 3 * w;
		const char *path = (const char *)n->desc + names;
		size_t len = strnlen(path, n->desc_len - names);
		uint64_t start = wh_get_word(f->p->abi, e), end = wh_get_word(f->p->abi, e + w);
		uint64_t off = wh_get_word(f->p->abi, e + 2 * w);

		if (len == n->desc_len - names)
			break;
		names += len + 1;
		if (end > start && off <= UINT64_MAX / page && len < PATH_CAP)
			WH_TRY(file_mapping(f, path, start, end, off * page));
	}
	return NULL;
}

/* ---- vdso, plain segments ---- */

static struct wh_err *add_vdso(struct finder *f)
{
	uint64_t base = f->p->aux[AT_SYSINFO_EHDR];
	const struct wh_segment *s = base ? seg_find(&f->segs, base) : NULL;
	struct wh_umod *u = NULL;

	if (!s || !is_elf(f->p, base))
		return NULL;
	WH_TRY(new_module(f, "[vdso]", base, &u));
	u->m.file_state = WH_UFILE_NONE;
	return add_range(f, u, base, s->vaddr + s->memsz, 0);
}

static bool has_range(const struct wh_umod *u, uint64_t addr)
{
	for (size_t k = 0; k < u->ranges.n; k++)
		if (addr >= u->ranges.v[k].start && addr < u->ranges.v[k].end)
			return true;
	return false;
}

/* Without file mappings the program headers say where an object lies. */
static struct wh_err *add_loads(const struct finder *f, struct wh_umod *u)
{
	for (size_t i = 0; i < u->phdrs.n; i++) {
		const struct wh_elf_phdr *ph = &u->phdrs.v[i];
		uint64_t start = page_down(f->p, u->m.bias + ph->vaddr);
		uint64_t end = page_up(f->p, u->m.bias + ph->vaddr + ph->filesz);

		if (ph->type == PT_LOAD && start < end && !has_range(u, start) &&
		    seg_find(&f->segs, start))
			WH_TRY(add_range(f, u, start, end, page_down(f->p, ph->offset)));
	}
	return NULL;
}

static struct wh_err *scan_segments(struct finder *f)
{
	for (size_t i = 0; i < f->segs.n; i++) {
		const struct wh_segment *s = f->segs.v[i];
		struct wh_umod *u = NULL;
		char name[40];

		if (!is_elf(f->p, s->vaddr))
			continue;
		snprintf(name, sizeof(name), "[elf at 0x%llx]", (unsigned long long)s->vaddr);
		WH_TRY(new_module(f, name, s->vaddr, &u));
		WH_TRY(add_range(f, u, s->vaddr, s->vaddr + s->memsz, 0));
		WH_TRY(use_phdrs(f, u));
		WH_TRY(add_loads(f, u));
	}
	return NULL;
}

/* ---- objects that only sections tell of ---- */

/* Values in the file's own addresses: those of a program that is linked where it runs lie in its text. */
static uint64_t object_bias(const struct finder *f, const struct wh_uobject *o, uint64_t text_end)
{
	struct wh_usym s;

	for (size_t i = 1; i < wh_umod_object_count(f->p, o); i++)
		if (wh_umod_object_symbol(f->p, o, i, &s) && s.type == STT_FUNC)
			return s.value >= o->base && s.value < text_end ? 0 : o->base;
	return o->base;
}

/* The segments in which its variables lie; _end and its like have no size. */
static struct wh_err *object_data(const struct finder *f, struct wh_umod *u,
				  const struct wh_uobject *o)
{
	struct wh_usym s;

	for (size_t i = 1; i < wh_umod_object_count(f->p, o); i++) {
		const struct wh_segment *seg;

		if (!wh_umod_object_symbol(f->p, o, i, &s) || s.type != STT_OBJECT || !s.size ||
		    has_range(u, s.value + u->m.bias))
			continue;
		seg = seg_find(&f->segs, s.value + u->m.bias);
		if (seg)
			WH_TRY(add_range(f, u, seg->vaddr, seg->vaddr + seg->memsz,
					 seg->vaddr - o->base));
	}
	return NULL;
}

static struct wh_err *add_object(struct finder *f, const struct wh_uobject *o)
{
	const struct wh_segment *s = seg_find(&f->segs, o->base);
	struct wh_umod *u = NULL;
	char name[48];

	if (!s || !o->syms)
		return NULL;
	snprintf(name, sizeof(name), "[object at 0x%llx]", (unsigned long long)o->base);
	WH_TRY(new_module(f, name, o->base, &u));
	WH_TRY(add_range(f, u, o->base, s->vaddr + s->memsz, 0));
	u->m.bias = object_bias(f, o, s->vaddr + s->memsz);
	if (wh_umod_object_find(f->p, o, "_DYNAMIC", &u->m.dynamic))
		u->m.dynamic += u->m.bias;
	return object_data(f, u, o);
}

static struct wh_err *add_objects(struct finder *f)
{
	for (size_t i = 0; i < f->p->objects.n; i++) {
		const struct wh_uobject *o = &f->p->objects.v[i];
		bool known = false;

		for (size_t k = 0; k < f->p->mods.n && !known; k++)
			known = f->p->mods.v[k].m.base == o->base;
		if (!known)
			WH_TRY(add_object(f, o));
	}
	return NULL;
}

/* ---- link map ---- */

static bool dynamic_find(struct wh_un_priv *p, uint64_t dyn, uint64_t tag, uint64_t *ret)
{
	uint64_t key = 0, val = 0;
	size_t w = p->abi.word;

	for (size_t i = 0; i < DYNAMIC_MAX; i++) {
		if (!wh_read_word(p->r, dyn + i * 2 * w, &key) || key == DT_NULL ||
		    !wh_read_word(p->r, dyn + i * 2 * w + w, &val))
			return false;
		if (key == tag) {
			*ret = val;
			return true;
		}
	}
	return false;
}

static struct wh_umod *module_at(struct wh_un_priv *p, uint64_t addr)
{
	for (size_t i = 0; i < p->mods.n; i++) {
		struct wh_umod *u = &p->mods.v[i];

		for (size_t k = 0; k < u->ranges.n; k++)
			if (addr >= u->ranges.v[k].start && addr < u->ranges.v[k].end)
				return u;
	}
	return NULL;
}

/* A module that only the link map knows: its header lies at l_addr. */
static struct wh_err *module_from_map(struct finder *f, const char *name, uint64_t addr,
				      uint64_t ld, struct wh_umod **ret)
{
	const struct wh_segment *s;
	struct wh_umod *u = NULL;

	*ret = NULL;
	if (!addr || !name[0] || !is_elf(f->p, addr))
		return NULL;
	WH_TRY(new_module(f, name, addr, &u));
	s = seg_find(&f->segs, addr);
	WH_TRY(add_range(f, u, addr, s ? s->vaddr + s->memsz : addr + f->p->page, 0));
	if ((s = seg_find(&f->segs, ld)) && s->vaddr > addr)
		WH_TRY(add_range(f, u, s->vaddr, s->vaddr + s->memsz, s->vaddr - addr));
	WH_TRY(use_phdrs(f, u));
	WH_TRY(add_loads(f, u));
	*ret = u;
	return NULL;
}

/* An object without a header in the core: l_addr is its bias, and l_ld lies in its data. */
static struct wh_err *object_from_map(struct finder *f, uint64_t addr, uint64_t ld,
				      struct wh_umod **ret)
{
	const struct wh_segment *s = seg_find(&f->segs, ld);

	*ret = NULL;
	for (size_t i = 0; s && i < f->p->mods.n; i++) {
		struct wh_umod *u = &f->p->mods.v[i];

		if (u->phdrs.n || u->m.link_map || u->m.bias != addr ||
		    !wh_umod_object(f->p, u->m.base))
			continue;
		*ret = u;
		return add_range(f, u, s->vaddr, s->vaddr + s->memsz, s->vaddr - u->m.base);
	}
	return NULL;
}

/* Modules that were found by their headers or sections have no name of their own. */
static struct wh_err *take_name(struct wh_un_priv *p, struct wh_umod *u, const char *name)
{
	if (u->m.name[0] != '[' || u->m.file_state == WH_UFILE_NONE || !name[0])
		return NULL;
	u->m.path = wh_arena_strdup(&p->strings, name);
	if (!u->m.path)
		return &wh_err_nomem;
	u->m.name = base_name(u->m.path);
	return NULL;
}

/* glibc numbers the modules that have TLS in the order in which it links them. */
static struct wh_err *walk_link_map(struct finder *f, uint64_t at)
{
	WH_CLEANUP(wh_map_fini) struct wh_map seen = WH_MAP_INIT;
	size_t w = f->p->abi.word;
	uint32_t tls = 0;
	bool fresh;

	while (at) {
		uint64_t addr = 0, namep = 0, ld = 0, next = 0;
		char name[PATH_CAP] = "";
		struct wh_umod *u;

		WH_TRY(wh_map_set(&seen, at, 1, &fresh));
		if (!fresh || seen.n > WH_LIMIT_MODULES) {
			wh_diag_add(f->p->diags, WH_DIAG_WARN, "link-map-loops", at,
				    "the link map runs in circles");
			return NULL;
		}
		if (!wh_read_word(f->p->r, at, &addr) || !wh_read_word(f->p->r, at + w, &namep) ||
		    !wh_read_word(f->p->r, at + 2 * w, &ld) ||
		    !wh_read_word(f->p->r, at + 3 * w, &next)) {
			wh_diag_add(f->p->diags, WH_DIAG_WARN, "link-map-broken", at,
				    "the link map cannot be followed");
			return NULL;
		}
		(void)wh_read_str(f->p->r, namep, name, sizeof(name));
		u = module_at(f->p, ld);
		if (!u)
			WH_TRY(object_from_map(f, addr, ld, &u));
		if (!u)
			WH_TRY(module_from_map(f, name, addr, ld, &u));
		if (u) {
			u->m.link_map = at;
			u->m.dynamic = ld;
			WH_TRY(take_name(f->p, u, name));
			u->m.tls_index = u->m.tls_size ? ++tls : 0;
		}
		at = next;
	}
	return NULL;
}

/* By the names that glibc and illumos give to it. */
static uint64_t r_debug_of_loader(struct wh_un_priv *p)
{
	static const char *const names[] = {"_r_debug", "r_debug"};

	for (size_t i = 0; i < p->mods.n; i++) {
		const struct wh_umodule *m = &p->mods.v[i].m;
		const struct wh_uobject *o = m->is_loader ? wh_umod_object(p, m->base) : NULL;
		uint64_t value;

		for (size_t k = 0; o && k < 2; k++)
			if (wh_umod_object_find(p, o, names[k], &value))
				return value + m->bias;
	}
	return 0;
}

static struct wh_err *use_link_map(struct finder *f, uint64_t *ret_r_debug)
{
	struct wh_un_priv *p = f->p;
	uint64_t r_debug = 0, map = 0;

	for (size_t i = 0; i < p->mods.n && !r_debug; i++)
		if (p->mods.v[i].m.is_main && p->mods.v[i].m.dynamic)
			(void)dynamic_find(p, p->mods.v[i].m.dynamic, DT_DEBUG, &r_debug);
	if (!r_debug)
		r_debug = r_debug_of_loader(p);
	if (!r_debug || !wh_read_word(p->r, r_debug + p->abi.word, &map) || !map)
		return NULL;
	*ret_r_debug = r_debug;
	return walk_link_map(f, map);
}

/* ---- all together ---- */

static void mark_roles(struct wh_un_priv *p)
{
	const uint64_t hint[] = {p->aux[AT_PHDR], p->aux[AT_ENTRY]};
	struct wh_umod *u;

	for (size_t i = 0; i < sizeof(hint) / sizeof(hint[0]); i++)
		if (hint[i] && (u = module_at(p, hint[i]))) {
			u->m.is_main = true;
			u->m.entry = p->aux[AT_ENTRY];
			u->m.phdr = p->aux[AT_PHDR] ? p->aux[AT_PHDR] : u->m.phdr;
			break;
		}
	if (p->aux[AT_BASE] && (u = module_at(p, p->aux[AT_BASE])))
		u->m.is_loader = true;
}

/* Protection of a range that the core has no segment for (gcore leaves clean text out): the file's. */
static void flags_from_phdrs(const struct wh_un_priv *p, const struct wh_umod *u,
			     struct wh_umodule_range *r)
{
	for (size_t i = 0; !r->flags && i < u->phdrs.n; i++) {
		const struct wh_elf_phdr *ph = &u->phdrs.v[i];

		if (ph->type == PT_LOAD && r->start >= page_down(p, u->m.bias + ph->vaddr) &&
		    r->start < u->m.bias + ph->vaddr + ph->memsz)
			r->flags = ph->flags & (PF_R | PF_W | PF_X);
	}
}

static int range_cmp(const void *a, const void *b)
{
	const struct wh_umodule_range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static int umod_cmp(const void *a, const void *b)
{
	const struct wh_umod *x = a, *y = b;

	return (x->m.base > y->m.base) - (x->m.base < y->m.base);
}

static void finish(struct wh_un_priv *p)
{
	for (size_t i = 0; i < p->mods.n; i++) {
		struct wh_umod *u = &p->mods.v[i];

		if (u->ranges.n)
			qsort(u->ranges.v, u->ranges.n, sizeof(*u->ranges.v), range_cmp);
		for (size_t k = 0; k < u->ranges.n; k++) {
			flags_from_phdrs(p, u, &u->ranges.v[k]);
			if (u->ranges.v[k].end > u->m.end)
				u->m.end = u->ranges.v[k].end;
		}
		u->m.ranges = u->ranges.v;
		u->m.n_ranges = u->ranges.n;
		/* A static program has no link map, but a dtv like any other. */
		if (u->m.is_main && u->m.tls_size && !u->m.tls_index)
			u->m.tls_index = 1;
	}
	if (p->mods.n)
		qsort(p->mods.v, p->mods.n, sizeof(*p->mods.v), umod_cmp);
}

struct wh_err *wh_umod_core_find(struct wh_un_priv *p, const struct wh_dump *d,
				 uint64_t *ret_r_debug)
{
	struct finder f = {.p = p, .d = d};
	struct wh_err *e = seg_index_init(&f.segs, d);
	size_t i;

	read_auxv(&f);
	if (!e)
		e = wh_umod_objects_read(p, d);
	if (!e)
		e = read_nt_file(&f);
	if (!e)
		e = add_vdso(&f);
	for (i = 0; !e && i < p->mods.n; i++)
		e = use_phdrs(&f, &p->mods.v[i]);
	mark_roles(p);
	if (!e)
		e = use_link_map(&f, ret_r_debug);
	if (!e && p->mods.n <= 1) {
		if (!p->mods.n)
			e = scan_segments(&f);
		if (!e)
			e = add_objects(&f);
		mark_roles(p);
		if (!e && !*ret_r_debug)
			e = use_link_map(&f, ret_r_debug);
	}
	free(f.segs.v);
	if (!e)
		finish(p);
	return e;
}
