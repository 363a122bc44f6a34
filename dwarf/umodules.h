/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * umodules: programs and libraries of a process core, and their symbols, types and lines.
 *
 * Modules come from the core itself: NT_FILE says which file was mapped where, the dynamic linker's
 * link map (r_debug) says how it was loaded, and the first page of each ELF mapping, which Linux dumps
 * by default, carries the build-id.  The files are then looked for on this machine (locate.h) and
 * believed only when their build-id agrees.  With no file at all everything still works on what the
 * core holds: .dynsym of modules whose text was dumped, names of modules otherwise.
 */
#ifndef WH_DWARF_UMODULES_H
#define WH_DWARF_UMODULES_H

#include "dwarf/line.h"
#include "dwarf/locate.h"
#include "dwarf/sym.h"
#include "dwarf/type.h"
#include "formats/mem.h"

/** What became of the search for a module's file. */
enum wh_ufile_state {
	WH_UFILE_NOT_FOUND,  /**< nowhere */
	WH_UFILE_FOUND,	     /**< build-id agrees */
	WH_UFILE_UNVERIFIED, /**< given by the user with -s, and one of the two has no build-id */
	WH_UFILE_MISMATCH,   /**< a file of that name is there, but it is another build */
	WH_UFILE_NONE,	     /**< not a file: [vdso] */
	WH_UFILE_STATE_COUNT
};

/** A mapping of a module's file; VIRT, end exclusive. */
struct wh_umodule_range {
	uint64_t start, end;
	uint64_t file_off; /**< [bytes] in the module's file of `start` */
	uint32_t flags;	   /**< PF_R | PF_W | PF_X of the core's segment; 0 when it has none */
	bool bss; /**< writable, behind the file's bytes: zero-initialised data, from PT_LOAD */
};

/** A program, shared object or [vdso] of the process.  Strings borrowed from the wh_unames. */
struct wh_umodule {
	const char *path; /**< as NT_FILE or the link map spells it */
	const char *name; /**< last component of `path` */
	uint64_t base;	  /**< VIRT of the ELF header */
	uint64_t bias;	  /**< VIRT = p_vaddr or st_value of the file + bias (mod 2^64) */
	uint64_t end;	  /**< VIRT one past the last mapped byte, bss included */
	const struct wh_umodule_range *ranges; /**< by address */
	size_t n_ranges;
	bool is_main;		       /**< the program itself */
	bool is_loader;		       /**< the dynamic linker */
	uint64_t entry, phdr, dynamic; /**< VIRT; 0 unknown */
	uint64_t data;	   /**< VIRT where its writable segment begins, amid a page; 0 unknown */
	uint64_t link_map; /**< VIRT of its struct link_map; 0 unknown */
	uint64_t tls_size, tls_filesz, tls_align, tls_image; /**< PT_TLS; 0 none; image is VIRT */
	uint32_t tls_index; /**< its entry in every thread's dtv; 0 none or unknown */
	uint8_t build_id[64];
	size_t build_id_len; /**< 0 when the core does not show one */
	enum wh_ufile_state file_state;
	const char *file;	/**< path on this machine that is used; NULL none */
	const char *debug_file; /**< separate debug file that is used; NULL none */
	const char *sym_source; /**< "symtab", "dynsym", "memory dynsym", "none" */
	bool have_types;	/**< DWARF was found (parsed on first use) */
	uint16_t sym_id;	/**< module id in the symbol table */
};

struct wh_unames_opts {
	const char *const *symbol_files; /**< -s */
	size_t n_symbol_files;
	struct wh_locate_opts locate; /**< --sysroot, --debug-dir, --debuginfod, the core's path */
	bool no_files;		      /**< use nothing but the core (tests) */
};

struct wh_unames {
	const struct wh_dump *dump; /**< borrowed */
	struct wh_mem *mem;	    /**< borrowed */
	struct wh_umodule *modules; /**< owned; by base */
	size_t n_modules;
	const struct wh_umodule *main; /**< NULL when unknown */
	struct wh_symtab *syms; /**< owned; run-time addresses; empty when nothing is known */
	struct wh_types *types; /**< owned; DWARF of every module that has it, main first */
	uint64_t r_debug;	/**< VIRT; 0 when the link map was not found */
	void *priv;
};

/**
 * Finds modules, files, symbols.  Lays read-only parts of verified files over @mem
 * (wh_mem_add_file), so that text left out of the core reads as WH_MEM_FILE_BACKED; call it before
 * @mem's readers are shared between threads.  Whatever is missing is a diagnostic, not an error.
 */
struct wh_err *wh_unames_open(struct wh_mem *mem, const struct wh_unames_opts *opts,
			      struct wh_unames **ret) WH_MUST_CHECK;
void wh_unames_close(struct wh_unames *n);
/** The module that has @addr mapped, NULL none. */
const struct wh_umodule *wh_unames_find_module(const struct wh_unames *n, uint64_t addr);
/** Address of a symbol (@module NULL: any, main program first); false when unknown. */
bool wh_unames_find(const struct wh_unames *n, const struct wh_umodule *module, const char *name,
		    uint64_t *ret_addr);

/** Source lines of a code address, inner-most inline frame first; the number written, 0 unknown. */
size_t wh_unames_lines(const struct wh_unames *n, uint64_t addr, struct wh_line *ret, size_t cap);

/** A global or static variable with its type, from DWARF. */
struct wh_uvar {
	const char *name; /**< borrowed until close */
	uint64_t addr;	  /**< VIRT; of a thread's variable [bytes] into the module's TLS block */
	struct wh_type type;
	const struct wh_umodule *module;
	bool tls;
};
typedef struct wh_err *(*wh_uvar_fn)(void *arg, const struct wh_uvar *v);
/** Calls @fn for each static or thread-local variable of @m, in the order of its DWARF. */
struct wh_err *wh_unames_each_variable(const struct wh_unames *n, const struct wh_umodule *m,
				       wh_uvar_fn fn, void *arg) WH_MUST_CHECK;

#endif
