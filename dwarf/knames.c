/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of a Linux vmcore, in this order:
 *
 *	1. kallsyms   where VMCOREINFO says, else by the shape of its tables in the image
 *	2. BTF        between __start_BTF and __stop_BTF, else by its magic in the image
 *	3. files      -s vmlinux: symbols where the dump has none, DWARF behind BTF, lines
 *	4. profiles   built-in layouts, for kernels that carry no types
 *	5. modules    the list, with what 1 and 2 gave
 *
 * Every step may fail on a damaged dump and costs only itself: the failure becomes a diagnostic.
 */
#include "dwarf/knames_priv.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/base/limits.h"
#include "analyzer/base/vec.h"
#include "dwarf/kallsyms.h"
#include "dwarf/kmodules.h"

#define NAMES_MAX (256u << 20) /* [bytes] believed of the names of kallsyms */
#define BTF_MAX	  (512u << 20)
#define IMAGE_MAX (512u << 20) /* [bytes] of image searched */
#define CHUNK	  (256u << 10) /* [bytes] read by one worker at a time */

static const char *const pick_names[WH_KN_PICK_COUNT] = {
	[WH_KN_TEXT] = "_text",
	[WH_KN_STEXT] = "_stext",
	[WH_KN_END] = "_end",
	[WH_KN_MODULES] = "modules",
	[WH_KN_BTF_START] = "__start_BTF",
	[WH_KN_BTF_STOP] = "__stop_BTF",
	[WH_KN_BTF_MODULES] = "btf_modules",
	[WH_KN_NOTES_START] = "__start_notes",
	[WH_KN_NOTES_STOP] = "__stop_notes",
};

/* ---- bulk reads: tables of megabytes, decompressed on all workers ---- */

struct bulk {
	const struct wh_mem *mem;
	uint64_t va;
	uint8_t *buf;
	size_t len;
	struct wh_reader **readers; /* one a worker, made on first use */
	size_t *got;		    /* readable bytes of each chunk, from its start */
	bool holes;		    /* zero-fill and go on instead of stopping at a bad page */
};

/* Reads one chunk; with holes allowed unreadable stretches stay zero. */
static struct wh_err *bulk_unit(void *arg, unsigned int worker, size_t unit)
{
	struct bulk *b = arg;
	size_t at = unit * CHUNK, end = at + CHUNK < b->len ? at + CHUNK : b->len;

	if (!b->readers[worker])
		WH_TRY(wh_reader_create(b->mem, &b->readers[worker]));
	while (at < end) {
		enum wh_mem_state st;
		size_t n = 0;
		const uint8_t *p = wh_reader_borrow(b->readers[worker], WH_VIRT, b->va + at,
						    end - at, &n, &st);

		if (!n)
			break;
		/* What is absent may be told for more than was asked. */
		if (n > end - at)
			n = end - at;
		if (p)
			memcpy(b->buf + at, p, n);
		else if (!b->holes)
			break;
		at += n < end - at ? n : end - at; /* absence may reach further than was asked */
	}
	b->got[unit] = at - unit * CHUNK;
	return NULL;
}

/* Up to @len bytes at @va, zeroed where @holes are allowed; *ret_got counts those before the first bad. */
static struct wh_err *bulk_read(struct wh_kspace *ks, uint64_t va, size_t len, bool holes,
				uint8_t **ret, size_t *ret_got)
{
	struct wh_ctx *ctx = ks->dump->ctx;
	size_t units = (len + CHUNK - 1) / CHUNK, workers = wh_workers_count(ctx), got = 0;
	struct bulk b = {.mem = ks->mem, .va = va, .len = len, .holes = holes};
	struct wh_err *e = &wh_err_nomem;

	b.buf = calloc(1, len + 1);
	b.got = wh_calloc(units, sizeof(*b.got));
	b.readers = wh_calloc(workers, sizeof(struct wh_reader *));
	if (b.buf && b.got && b.readers)
		e = wh_workers_run(ctx, NULL, units, bulk_unit, &b);
	for (size_t i = 0; !e && i < units; i++) {
		got += b.got[i];
		if (b.got[i] < CHUNK)
			break;
	}
	for (size_t i = 0; b.readers && i < workers; i++)
		wh_reader_destroy(b.readers[i]);
	free(b.readers);
	free(b.got);
	if (e) {
		free(b.buf);
		return e;
	}
	*ret = b.buf;
	*ret_got = got;
	return NULL;
}

static struct wh_err *image_load(struct wh_knames *n, struct wh_kspace *ks)
{
	struct wh_kn_priv *p = n->priv;
	uint64_t len = ks->image_end - ks->image_start;

	if (p->image)
		return NULL;
	if (ks->image_end <= ks->image_start)
		return &wh_err_not_found;
	return bulk_read(ks, ks->image_start, len < IMAGE_MAX ? (size_t)len : IMAGE_MAX,
			 /* holes= */ true, &p->image, &p->image_len);
}

/* ---- kallsyms ---- */

/* The tables as read; freed together. */
struct tables {
	uint8_t *names, *tokens, *index, *offsets, *addresses;
};

static void tables_fini(struct tables *t)
{
	free(t->names);
	free(t->tokens);
	free(t->index);
	free(t->offsets);
	free(t->addresses);
}

/* Places of the tables by VMCOREINFO (since 6.0, widely backported); false without them. */
static bool place_by_info(const struct wh_kspace *ks, struct wh_reader *r,
			  struct wh_kallsyms_place *ret)
{
	const struct wh_vmcoreinfo *v = ks->vmcoreinfo;
	struct wh_kallsyms_place pl = {.offsets = UINT64_MAX, .addresses = UINT64_MAX};
	uint64_t num = 0, base = 0;

	if (!v || !wh_vmcoreinfo_symbol(v, "kallsyms_names", &pl.names) ||
	    !wh_vmcoreinfo_symbol(v, "kallsyms_num_syms", &num) ||
	    !wh_vmcoreinfo_symbol(v, "kallsyms_token_table", &pl.token_table) ||
	    !wh_vmcoreinfo_symbol(v, "kallsyms_token_index", &pl.token_index) ||
	    !wh_read_u32(r, num, &pl.num_syms))
		return false;
	if (wh_vmcoreinfo_symbol(v, "kallsyms_relative_base", &base))
		pl.have_relative_base = wh_read_word(r, base, &pl.relative_base);
	if (!wh_vmcoreinfo_symbol(v, "kallsyms_offsets", &pl.offsets) &&
	    !wh_vmcoreinfo_symbol(v, "kallsyms_addresses", &pl.addresses))
		return false;
	*ret = pl;
	return true;
}

static struct wh_err *place_by_search(struct wh_knames *n, struct wh_kspace *ks,
				      struct wh_kallsyms_place *ret)
{
	struct wh_kn_priv *p = n->priv;
	uint64_t va = ks->image_start;

	WH_TRY(image_load(n, ks));
	WH_TRY(wh_kallsyms_search(ks->dump->abi, p->image, p->image_len, va, ret));
	ret->names += va;
	ret->token_table += va;
	ret->token_index += va;
	ret->offsets += ret->offsets == UINT64_MAX ? 0 : va;
	ret->addresses += ret->addresses == UINT64_MAX ? 0 : va;
	return NULL;
}

/* A bound for the names: the nearest table behind them, else what so many names can take. */
static size_t names_bound(const struct wh_kallsyms_place *pl)
{
	const uint64_t after[] = {pl->token_table, pl->token_index, pl->offsets, pl->addresses};
	uint64_t bound = (uint64_t)pl->num_syms * 64 + 4096;

	for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++)
		if (after[i] > pl->names && after[i] - pl->names < bound)
			bound = after[i] - pl->names;
	return (size_t)(bound < NAMES_MAX ? bound : NAMES_MAX);
}

static struct wh_err *tables_read(struct wh_kspace *ks, const struct wh_kallsyms_place *pl,
				  struct tables *t, struct wh_kallsyms_raw *raw)
{
	size_t n = pl->num_syms;

	if (!n || n > WH_LIMIT_SYMBOLS)
		return wh_err_new(WH_ERR_BAD_DATA, "kallsyms claims %u symbols", pl->num_syms);
	WH_TRY(bulk_read(ks, pl->names, names_bound(pl), false, &t->names, &raw->names_len));
	raw->names = t->names;
	WH_TRY(bulk_read(ks, pl->token_table, 64u << 10, false, &t->tokens, &raw->token_table_len));
	raw->token_table = (const char *)t->tokens;
	WH_TRY(bulk_read(ks, pl->token_index, 2 * WH_KALLSYMS_TOKENS, false, &t->index,
			 &raw->token_index_len));
	raw->token_index = t->index;
	if (pl->offsets != UINT64_MAX) {
		WH_TRY(bulk_read(ks, pl->offsets, 4 * n, false, &t->offsets, &raw->offsets_len));
		raw->offsets = t->offsets;
		raw->offsets_va = pl->offsets;
	}
	if (pl->addresses != UINT64_MAX) {
		WH_TRY(bulk_read(ks, pl->addresses, ks->dump->abi.word * n, false, &t->addresses,
				 &raw->addresses_len));
		raw->addresses = t->addresses;
	}
	return NULL;
}

static struct wh_err *decode_at(struct wh_knames *n, struct wh_kspace *ks,
				const struct wh_kallsyms_place *pl)
{
	WH_CLEANUP(tables_fini) struct tables t = {0};
	struct wh_kallsyms_info info = {0};
	struct wh_kallsyms_raw raw = {.abi = ks->dump->abi,
				      .num_syms = pl->num_syms,
				      .have_relative_base = pl->have_relative_base,
				      .relative_base = pl->relative_base,
				      .image_lo = ks->image_start,
				      .image_hi = ks->image_end};

	if (ks->vmcoreinfo)
		(void)wh_vmcoreinfo_symbol(ks->vmcoreinfo, "_stext", &raw.stext);
	WH_TRY(tables_read(ks, pl, &t, &raw));
	WH_TRY(wh_kallsyms_decode(&raw, n->syms, &info));
	n->sym_source = wh_kallsyms_encoding_name(info.encoding);
	n->have_data_symbols = info.have_data;
	if (raw.stext && !info.anchored)
		wh_diag_add(ks->dump->ctx->diags, WH_DIAG_WARN, "kallsyms-unanchored", raw.stext,
			    "kallsyms does not put _stext where VMCOREINFO says");
	if (info.n < pl->num_syms) {
		n->damaged = true;
		wh_diag_add(ks->dump->ctx->diags, WH_DIAG_WARN, "kallsyms-damaged", 0,
			    "only %u of %u kernel symbols can be decoded", info.n, pl->num_syms);
	}
	return NULL;
}

static struct wh_err *open_kallsyms(struct wh_knames *n, struct wh_kspace *ks)
{
	struct wh_kn_priv *p = n->priv;
	struct wh_kallsyms_place pl;
	struct wh_err *e = NULL;

	if (place_by_info(ks, p->r, &pl)) {
		e = decode_at(n, ks, &pl);
		if (!e || wh_err_is(e, WH_ERR_NOMEM) || wh_err_is(e, WH_ERR_CANCELLED))
			return e;
		wh_diag_add_err(ks->dump->ctx->diags, WH_DIAG_WARN, "kallsyms-bad-place", e);
	}
	WH_TRY(place_by_search(n, ks, &pl));
	return decode_at(n, ks, &pl);
}

/* ---- BTF ---- */

static struct wh_err *btf_add(struct wh_knames *n, uint8_t *data, size_t len,
			      struct wh_diags *diags)
{
	struct wh_kn_priv *p = n->priv;
	struct wh_btf *b = NULL;

	WH_TRY(wh_btf_create(data, len, NULL, 0, 0, &b));
	if (wh_btf_damaged(b)) {
		n->damaged = true;
		wh_diag_add(diags, WH_DIAG_WARN, "btf-damaged", 0,
			    "the kernel's BTF is damaged: %u types can be used", wh_btf_count(b));
	}
	WH_TRY(wh_types_add(n->types, &wh_btf_ops, b, "btf:vmlinux"));
	p->btf = b;
	n->type_source = "BTF";
	return NULL;
}

/* The blob in the image that has struct task_struct; modules' own are smaller and elsewhere. */
static struct wh_err *btf_search(struct wh_knames *n, struct wh_kspace *ks)
{
	struct wh_kn_priv *p = n->priv;

	WH_TRY(image_load(n, ks));
	for (size_t at = 0; at + 32 <= p->image_len; at += 4) {
		size_t size = wh_btf_probe(p->image + at, p->image_len - at);
		uint8_t *copy;

		if (size < (64u << 10) || size > p->image_len - at ||
		    !memmem(p->image + at, size, "\0task_struct", 13))
			continue;
		copy = malloc(size);
		if (!copy)
			return &wh_err_nomem;
		memcpy(copy, p->image + at, size);
		return btf_add(n, copy, size, ks->dump->ctx->diags);
	}
	return &wh_err_not_found;
}

static struct wh_err *open_btf(struct wh_knames *n, struct wh_kspace *ks)
{
	struct wh_kn_priv *p = n->priv;
	uint64_t start = p->pick[WH_KN_BTF_START], stop = p->pick[WH_KN_BTF_STOP];
	uint8_t *data = NULL;
	size_t got = 0;

	if (start && stop > start && stop - start < BTF_MAX) {
		WH_TRY(bulk_read(ks, start, (size_t)(stop - start), false, &data, &got));
		return btf_add(n, data, got, ks->dump->ctx->diags);
	}
	/* A kernel whose symbols are known, yet not these, was built without BTF. */
	if (n->have_data_symbols)
		return &wh_err_not_found;
	return btf_search(n, ks);
}

/* ---- all together ---- */

static struct wh_err *set_image_range(struct wh_knames *n, const struct wh_kspace *ks)
{
	struct wh_kn_priv *p = n->priv;
	uint64_t lo = ks->image_start, hi = ks->image_end;

	if (p->pick[WH_KN_TEXT] && p->pick[WH_KN_TEXT] < lo)
		lo = p->pick[WH_KN_TEXT];
	/* Behind _end lie other things: modules, on x86-64. */
	if (p->pick[WH_KN_END] > lo)
		hi = p->pick[WH_KN_END];
	return wh_symtab_add_range(n->syms, WH_SYM_NO_MODULE, lo, hi);
}

/* Turns an expected kind of failure into a diagnostic; what must stop the run is passed on. */
static struct wh_err *soften(const struct wh_kspace *ks, const char *id, struct wh_err *e)
{
	if (!e || wh_err_is(e, WH_ERR_NOMEM) || wh_err_is(e, WH_ERR_CANCELLED))
		return e;
	wh_diag_add_err(ks->dump->ctx->diags, WH_DIAG_WARN, id, e);
	return NULL;
}

static struct wh_err *open_modules(struct wh_knames *n, struct wh_kspace *ks)
{
	struct wh_kn_priv *p = n->priv;
	struct wh_err *e = NULL;

	if (!p->pick[WH_KN_MODULES]) {
		WH_TRY(image_load(n, ks));
		if (!wh_kmodules_find_head(p->r, n->types, p->image, p->image_len, ks->image_start,
					   &p->pick[WH_KN_MODULES]))
			return n->have_data_symbols
				       ? NULL /* built without modules */
				       : wh_err_new(WH_ERR_NOT_FOUND, "no module list found");
	}
	WH_TRY(wh_kmodules_read(p->r, n->types, p->pick[WH_KN_MODULES], n->syms, &n->modules,
				&n->n_modules));
	if (p->btf && p->pick[WH_KN_BTF_MODULES])
		e = wh_kmodules_add_btf(n->types, ks, p->btf, p->pick[WH_KN_BTF_MODULES]);
	return soften(ks, "module-btf", e);
}

/* -s vmlinux, --debug-dir: symbols where the dump has none, or only text. */
static struct wh_err *open_vmlinux(struct wh_knames *n, struct wh_kspace *ks,
				   const struct wh_knames_opts *opts)
{
	struct wh_kn_priv *p = n->priv;

	WH_TRY(wh_kn_find_vmlinux(n, opts));
	if (!p->vmlinux || (n->have_data_symbols && !n->damaged))
		return NULL;
	WH_TRY(soften(ks, "vmlinux-symbols", wh_kn_vmlinux_symbols(n)));
	(void)wh_symtab_pick(n->syms, pick_names, WH_KN_PICK_COUNT, p->pick);
	return NULL;
}

static struct wh_err *open_types(struct wh_knames *n, struct wh_kspace *ks)
{
	struct wh_kn_priv *p = n->priv;
	struct wh_err *e = open_btf(n, ks);

	if (e == &wh_err_not_found)
		e = p->vmlinux ? NULL : wh_err_new(WH_ERR_NOT_FOUND, "no BTF in the kernel image");
	WH_TRY(soften(ks, "no-btf", e));
	/* Whole BTF says all that layouts ask for; DWARF behind it would be read through for every miss. */
	if (!p->vmlinux || (p->btf && !wh_btf_damaged(p->btf)))
		return NULL;
	n->damaged = false;
	return soften(ks, "vmlinux-types", wh_kn_vmlinux_types(n));
}

static struct wh_err *open_all(struct wh_knames *n, struct wh_kspace *ks,
			       const struct wh_knames_opts *opts)
{
	struct wh_kn_priv *p = n->priv;
	struct wh_err *e;

	WH_TRY(wh_reader_create(ks->mem, &p->r));
	WH_TRY(wh_symtab_create(&n->syms));
	WH_TRY(wh_types_create(&n->types));
	e = open_kallsyms(n, ks);
	if (e == &wh_err_not_found)
		e = wh_err_new(WH_ERR_NOT_FOUND, "no kallsyms in the kernel image");
	WH_TRY(soften(ks, "no-kallsyms", e));
	(void)wh_symtab_pick(n->syms, pick_names, WH_KN_PICK_COUNT, p->pick);
	WH_TRY(soften(ks, "symbol-file", open_vmlinux(n, ks, opts)));
	WH_TRY(set_image_range(n, ks));
	WH_TRY(open_types(n, ks));
	WH_TRY(soften(ks, "no-modules", open_modules(n, ks)));
	free(p->image);
	p->image = NULL;
	WH_TRY(wh_symtab_freeze(n->syms));
	return soften(ks, "symbol-file", wh_kn_open_lines(n, opts));
}

struct wh_err *wh_knames_open(struct wh_kspace *ks, const struct wh_knames_opts *opts,
			      struct wh_knames **ret)
{
	static const struct wh_knames_opts none;
	struct wh_knames *n = calloc(1, sizeof(*n));
	struct wh_err *e = &wh_err_nomem;

	if (!n)
		return e;
	n->ks = ks;
	n->sym_source = n->type_source = "none";
	n->priv = calloc(1, sizeof(struct wh_kn_priv));
	if (n->priv)
		e = open_all(n, ks, opts ? opts : &none);
	if (e) {
		wh_knames_close(n);
		return e;
	}
	*ret = n;
	return NULL;
}

void wh_knames_close(struct wh_knames *n)
{
	struct wh_kn_priv *p;

	if (!n)
		return;
	p = n->priv;
	if (p) {
		wh_lines_destroy(p->lines);
		wh_reader_destroy(p->r);
		free(p->image);
		free(p->vmlinux);
	}
	wh_types_destroy(n->types);
	wh_symtab_destroy(n->syms);
	free(n->modules);
	free(p);
	free(n);
}

bool wh_knames_find(const struct wh_knames *n, const char *name, uint64_t *ret_addr)
{
	struct wh_sym s;

	if (!wh_symtab_find_name(n->syms, NULL, name, 0, &s) || s.module)
		return false;
	*ret_addr = s.addr;
	return true;
}

size_t wh_knames_lines(const struct wh_knames *n, uint64_t addr, struct wh_line *ret, size_t cap)
{
	const struct wh_kn_priv *p = n->priv;

	return p->lines ? wh_lines_find(p->lines, addr, ret, cap) : 0;
}
