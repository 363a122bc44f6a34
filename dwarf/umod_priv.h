/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files behind umodules.h share: a module as the core shows it (umod_core.c), an ELF file put
 * together again from memory (umod_image.c), and the search for files (umodules.c).
 */
#ifndef WH_DWARF_UMOD_PRIV_H
#define WH_DWARF_UMOD_PRIV_H

#include "analyzer/base/arena.h"
#include "analyzer/base/vec.h"
#include "dwarf/umodules.h"
#include "formats/elfhdr.h"

struct wh_dwarf;

/** A module under construction; `m.ranges` is set from `ranges` at the end. */
struct wh_umod {
	struct wh_umodule m;
	WH_VEC(struct wh_umodule_range) ranges;
	WH_VEC(struct wh_elf_phdr) phdrs; /* empty when the header is not in the core */
	const char *image;		  /* its name, while image_fd >= 0 */
	int image_fd;			  /* memfd of umod_image.c, -1 none */
	struct wh_dwarf *dwarf;		  /* owned by the type chain; NULL none */
};
typedef WH_VEC(struct wh_umod) wh_umod_vec;

/** A symbol as ELF has it; the name borrowed from its table. */
struct wh_usym {
	const char *name;
	uint64_t value, size;
	unsigned int type; /* STT_* */
	char letter;	   /* nm's */
};

/** What the sections of an illumos core say of one mapped object; all owned, NULL when not there. */
struct wh_uobject {
	uint64_t base; /* VIRT */
	uint8_t *syms, *strs, *ctf;
	size_t syms_len, strs_len, ctf_len;
};

/** Everything that opening needs; also wh_unames.priv. */
struct wh_un_priv {
	struct wh_reader *r;
	struct wh_abi abi;
	struct wh_diags *diags;
	uint64_t page; /* [bytes] of NT_FILE, else 4096 */
	struct wh_arena strings;
	wh_umod_vec mods;		   /* by base; parallel to wh_unames.modules once open */
	WH_VEC(struct wh_uobject) objects; /* while opening */
	struct wh_lines *lines;
	uint64_t aux[64]; /* AT_* below 64; 0 absent */
};

/** Finds the modules of the core, sorted by base; sets *ret_r_debug (0 unknown). */
struct wh_err *wh_umod_core_find(struct wh_un_priv *p, const struct wh_dump *d,
				 uint64_t *ret_r_debug) WH_MUST_CHECK;
/** Reads the core's own sections (umod_sections.c); nothing when it has none. */
struct wh_err *wh_umod_objects_read(struct wh_un_priv *p, const struct wh_dump *d) WH_MUST_CHECK;
void wh_umod_objects_fini(struct wh_un_priv *p);
/** The object mapped at @base; NULL when no section speaks of it. */
struct wh_uobject *wh_umod_object(struct wh_un_priv *p, uint64_t base);
size_t wh_umod_object_count(const struct wh_un_priv *p, const struct wh_uobject *o);
/** The @i-th entry of its symbol table; false when it names nothing of the object. */
bool wh_umod_object_symbol(const struct wh_un_priv *p, const struct wh_uobject *o, size_t i,
			   struct wh_usym *ret);
/** *ret is the value in the file's own addresses. */
bool wh_umod_object_find(const struct wh_un_priv *p, const struct wh_uobject *o, const char *name,
			 uint64_t *ret);
/** Decodes the entry at @q; false unless it is a code or data symbol with a name and a place. */
bool wh_umod_symbol(struct wh_abi abi, const uint8_t *q, const char *strs, size_t strs_len,
		    struct wh_usym *ret);
/** Adds the dynamic symbols that lie in memory; *ret_n entries were read. */
struct wh_err *wh_umod_dynsym(struct wh_un_priv *p, const struct wh_umod *u, struct wh_symtab *t,
			      size_t *ret_n) WH_MUST_CHECK;
/**
 * Writes what memory holds of @u's file into an anonymous file, so that readers of ELF files can use it.
 * *ret_path (arena) names it.  For unwinding only.
 * &wh_err_not_found when there is nothing to write.
 */
struct wh_err *wh_umod_image(struct wh_un_priv *p, struct wh_umod *u,
			     const char **ret_path) WH_MUST_CHECK;

#endif
