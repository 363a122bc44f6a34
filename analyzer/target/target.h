/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * target: a dump understood: what ran there, which allocators, which roots.  One target_*.c per kind
 * (Linux kernel, process, illumos kernel), listed in one table in target.c.  A target fills the buffer
 * table and the plan; everything above asks it only through these calls.
 */
#ifndef WH_TARGET_TARGET_H
#define WH_TARGET_TARGET_H

#include "analyzer/base/arena.h"
#include "analyzer/graph/buftab.h"
#include "analyzer/graph/mark.h"
#include "analyzer/graph/plan.h"
#include "formats/mem.h"

/** What the user said; strings borrowed. */
struct wh_target_opts {
	const char *const *symbol_files; /**< -s, --symbols */
	size_t n_symbol_files;
	const char *const *debug_dirs; /**< --debug-dir */
	size_t n_debug_dirs;
	const char *sysroot;	     /**< --sysroot */
	bool debuginfod;	     /**< --debuginfod: the network may be asked */
	bool broad_roots;	     /**< --roots=broad */
	const char *const *no_roots; /**< --no-roots=KIND */
	size_t n_no_roots;
};

/** A code address with its name; strings live as long as the target. */
struct wh_frame {
	uint64_t address;
	const char *
		symbol; /**< NULL unknown; of a frame that is not inlined: the symbol table's name */
	uint64_t offset;    /**< into symbol; without symbol into the module (ASLR-free), else 0 */
	const char *module; /**< NULL: image or unknown */
	const char *file;   /**< NULL unknown */
	uint32_t line;
	bool inlined;
};

/** What was recorded of a buffer's allocation. */
struct wh_origin {
	const struct wh_frame *frames; /**< innermost first; in the arena given to describe */
	size_t n_frames;
	uint64_t
		stack_id; /**< equal for equal recorded stacks within a dump; 0 = nothing recorded */
	const char *
		source; /**< "slub track", "vmalloc caller", "bufctl audit", NULL nothing recorded */
	bool has_pid, has_cpu, has_time;
	uint64_t pid;
	uint64_t thread; /**< address of the kernel thread (illumos), 0 unknown */
	uint64_t tid;	 /**< of the process's thread (libumem), 0 unknown */
	uint32_t cpu;
	uint64_t time_ns;   /**< since boot */
	uint64_t age_ns;    /**< before the dump; valid with has_time */
	uint64_t requested; /**< [bytes] asked for, 0 unknown */
};

/** The type of a buffer's contents. */
struct wh_row_type {
	const char *name; /**< "struct node", "long *[]", "struct item[7]"; NULL unknown */
	/**
	 * "pointer": a declared pointer leads to it, from a variable; "vtable"; "inferred": it looks like
	 * others whose type is known, or is held by such a one.  A stable word.
	 */
	const char *source;
	uint64_t offset; /**< [bytes] from the buffer's start to the (first) object */
};

/** One event of a buffer's life, for `trail`. */
struct wh_event {
	uint64_t time_ns; /**< since boot (or epoch for wall-clock sources); valid with has_time */
	bool has_time, has_cpu, has_pid;
	uint32_t cpu;
	uint64_t pid, thread, tid; /**< as in wh_origin */
	const char *source;	   /**< "slub alloc track", "flow trace", "transaction log" */
	const char *what;	   /**< "alloc", "free", "putnext" … */
	const char *detail;	   /**< free text or NULL, e.g. "ptem -> pts" */
	uint64_t address;	   /**< of the record itself, 0 none */
	const struct wh_frame *frames;
	size_t n_frames;
};

struct wh_target;
/** An answer of `whatis`: what one layer knows of an address. */
struct wh_whatis {
	const char *
		kind; /**< stable word: "slab object", "slab", "page", "symbol", "task stack", "chunk" … */
	const char *text;    /**< one sentence, in the arena */
	uint64_t base, size; /**< of the thing, size 0 unknown */
};
typedef WH_VEC(struct wh_whatis) wh_whatis_vec;
typedef WH_VEC(struct wh_event) wh_event_vec;

/** A line of `info`: section, key, value; values are text, keys stable (they are JSON keys). */
struct wh_fact {
	const char *section; /**< "dump", "kernel", "coverage", "recorded", "missing" */
	const char *key;
	const char *value;
	uint64_t number; /**< when is_number; value then is its unit or NULL */
	bool is_number;
};
typedef WH_VEC(struct wh_fact) wh_fact_vec;

/** A row of `caches`. */
struct wh_cache_stat {
	const char *name, *model;
	uint64_t addr, obj_size, slot_size;
	uint64_t objects, used, free, pending, unsure, slabs, bytes;
	bool recorded;	/**< allocation stacks are kept */
	bool destroyed; /**< gone from the list, objects left */
};
typedef WH_VEC(struct wh_cache_stat) wh_cache_vec;

/** Values that stand for a buffer in a form that no scan accepts; explain looks for them. */
struct wh_alias {
	const char *form;     /**< "physical address", "page frame number", "struct page pointer" */
	uint64_t first, last; /**< values, inclusive */
};
typedef WH_VEC(struct wh_alias) wh_alias_vec;

struct wh_strbuf;

struct wh_target_ops {
	const char *name; /**< "linux", "process", "illumos"; JSON */
	/** Opens the dump's world; &wh_err_not_mine when the dump is another target's. */
	struct wh_err *(*open)(struct wh_target *t);
	/** Fills t->buftab (not frozen) and t->plan.  Called once. */
	struct wh_err *(*build)(struct wh_target *t);
	/** After freeze: corrections of states, if any.  May be NULL. */
	struct wh_err *(*correct)(struct wh_target *t);
	/** What was recorded about a row; *ret zeroed when nothing.  Strings and frames in @a. */
	struct wh_err *(*origin)(struct wh_target *t, uint32_t row, struct wh_arena *a,
				 struct wh_origin *ret);
	/** Appends answers, most specific first. */
	struct wh_err *(*whatis)(struct wh_target *t, uint64_t addr, struct wh_arena *a,
				 wh_whatis_vec *ret);
	/** Appends events of the buffer at (or around) @addr, any order. */
	struct wh_err *(*trail)(struct wh_target *t, uint64_t addr, struct wh_arena *a,
				wh_event_vec *ret);
	struct wh_err *(*caches)(struct wh_target *t, struct wh_arena *a, wh_cache_vec *ret);
	struct wh_err *(*info)(struct wh_target *t, struct wh_arena *a, wh_fact_vec *ret);
	/** Code or data address to name; false when unknown. */
	bool (*symbolize)(struct wh_target *t, uint64_t addr, struct wh_frame *ret);
	/** Name to address: "name", or "module`name"; false when unknown.  May be NULL. */
	bool (*find_symbol)(struct wh_target *t, const char *name, uint64_t *ret);
	/** Content signature of a row without recorded stack ("ops=ext4_file_ops"), in @a; NULL none. */
	const char *(*signature)(struct wh_target *t, uint32_t row, struct wh_arena *a);
	/** The type of a row, strings in @a; *ret zeroed when unknown.  May mark.  May be NULL. */
	struct wh_err *(*type)(struct wh_target *t, uint32_t row, struct wh_arena *a,
			       struct wh_row_type *ret);
	/** Appends the aliases of the buffer [addr, addr+size).  May be NULL. */
	struct wh_err *(*aliases)(struct wh_target *t, uint64_t addr, uint64_t size,
				  wh_alias_vec *ret);
	/** Adds what a root word that has no address is ("rdi of CPU 0"), if that is known.  May be NULL. */
	void (*word_text)(struct wh_target *t, uint16_t kind, uint16_t note, struct wh_strbuf *sb);
	/** The VIRT address by which pointers name physical memory; false when none.  May be NULL. */
	bool (*phys_to_virt)(struct wh_target *t, uint64_t pa, uint64_t *ret_va);
	void (*close)(struct wh_target *t);
};

struct wh_target {
	const struct wh_target_ops *ops;
	void *priv;
	struct wh_ctx *ctx;		   /**< borrowed */
	const struct wh_dump *dump;	   /**< borrowed */
	const struct wh_target_opts *opts; /**< borrowed */
	struct wh_mem *mem;		   /**< borrowed from or owned by priv */
	struct wh_buftab *buftab;	   /**< owned by target.c */
	struct wh_plan plan;
	struct wh_reader *reader;      /**< of the main thread; owned by target.c */
	struct wh_mark_opts mark_opts; /**< the target's marking rules */
	bool recorded;		       /**< some allocation stacks were recorded */
	const char *unjudged; /**< why nothing at all could be judged; NULL when something was */
	const char
		*record_advice; /**< how to boot/run next time so that they are; NULL if recorded */
	uint64_t dump_time_ns;	/**< since boot, on the clock of the records; 0 unknown */
	uint64_t wall_clock; /**< [s since 1970, UTC] as the system's own clock said; 0 unknown */
};

/** Finds the target kind and opens it (names, layouts), without walking allocators. */
struct wh_err *wh_target_open(struct wh_ctx *ctx, const struct wh_dump *d,
			      const struct wh_target_opts *opts,
			      struct wh_target **ret) WH_MUST_CHECK;
/** The same with a target kind given by the caller (NULL: asks all): for tests, which bring their own. */
struct wh_err *wh_target_open_with(struct wh_ctx *ctx, const struct wh_dump *d,
				   const struct wh_target_opts *opts,
				   const struct wh_target_ops *ops,
				   struct wh_target **ret) WH_MUST_CHECK;
/** Builds and freezes the buffer table and the plan, once; later calls do nothing. */
struct wh_err *wh_target_build(struct wh_target *t) WH_MUST_CHECK;
/** Marks, once; the result is borrowed from the target. */
struct wh_err *wh_target_mark(struct wh_target *t, const struct wh_marks **ret) WH_MUST_CHECK;
/** Marks again, single-threaded, keeping parents, once; for explain. */
struct wh_err *wh_target_mark_parents(struct wh_target *t,
				      const struct wh_marks **ret) WH_MUST_CHECK;
void wh_target_close(struct wh_target *t);

#endif
