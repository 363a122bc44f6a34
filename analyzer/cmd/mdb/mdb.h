/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mdb: the prompt language.  A line is expressions, dcmds and pipes as illumos' mdb(1) has them:
 *
 *	6001507f880::print dblk_t db_mblk | ::mblk
 *	[expr] [,count] ::dcmd args | ::dcmd args … ! shell command
 *
 * Dcmds and walkers are tables (dcmds.c, walkers.c); a dcmd at the end of a pipe prints, one inside a pipe
 * yields addresses.  Batch (-e, -x) and prompt call wh_mdb_eval.  Output goes to a string first, and from
 * there to the terminal, to a shell command, or as rows to JSON.
 */
#ifndef WH_CMD_MDB_H
#define WH_CMD_MDB_H

#include "analyzer/alloc/umem.h"
#include "analyzer/base/strbuf.h"
#include "analyzer/cmd/cmd.h"
#include "analyzer/target/illumos.h"

typedef WH_VEC(uint64_t) wh_addr_vec;

#define WH_MDB_ARGS_MAX	 64
#define WH_MDB_STACK_MAX 64

/** A column: key for JSON, title for the header, width (negative: left-justified; 0: as it comes). */
struct wh_mdb_col {
	const char *key, *title;
	int width;
};

struct wh_mleak;
/** A leak with its group, as ::findleaks keeps them between commands. */
struct wh_mleaks {
	struct wh_mleak *v;
	size_t n;
	size_t *order; /**< representatives, in print order */
	size_t n_groups;
	uint64_t cpu_ms, wall_ms; /**< that finding them took */
	bool done;
};

struct wh_mdb {
	struct wh_run *run;	      /**< borrowed */
	struct wh_target *t;	      /**< borrowed */
	struct wh_illumos_target *il; /**< NULL when the target is none */
	struct wh_kmem *kmem;	      /**< of the kernel, or libumem's in a process; NULL none */
	struct wh_umem *umem;	      /**< libumem in a process; NULL none */
	struct wh_types *types;	      /**< NULL none */
	struct wh_abi abi;
	int pw; /**< digits of a pointer */
	uint64_t dot;
	struct wh_strbuf out;
	const struct wh_mdb_col *cols; /**< table being printed */
	size_t n_cols, col;
	struct wh_column
		json_cols[WH_MDB_ARGS_MAX]; /**< borrowed by the emitter while a table is open */
	bool json, in_table, no_shell, quit;
	size_t warned; /**< addresses of a pipe that a dcmd could not use */
	struct wh_mleaks leaks;
	struct wh_arena arena; /**< for one command line */
};

/** One call of a dcmd. */
struct wh_mdb_call {
	const char *name;
	uint64_t addr, count;
	bool has_addr, has_count;
	bool pipe_out; /**< yield addresses instead of printing */
	bool first;    /**< of the calls of one pipe: print the header */
	size_t argc;
	const char *const *argv; /**< without the name */
	wh_addr_vec *yield;	 /**< where addresses go */
};

typedef struct wh_err *(*wh_mdb_dcmd_fn)(struct wh_mdb *m, const struct wh_mdb_call *c);
struct wh_mdb_dcmd {
	const char *name;
	const char *usage; /**< "?" address optional, ":" needed; then the options */
	const char *help;  /**< one line */
	wh_mdb_dcmd_fn fn;
	/** Targets on which it makes sense: 'k' illumos kernel, 'u' libumem, 'l' Linux kernel, '*' all. */
	const char *targets;
	const char *options; /**< a line each, for ::help; NULL none */
};
/** Whether one of @targets is what the dump is of. */
bool wh_mdb_suits(const struct wh_mdb *m, const char *targets);
extern const struct wh_mdb_dcmd wh_mdb_dcmds[]; /**< ends with a NULL name */
const struct wh_mdb_dcmd *wh_mdb_find_dcmd(const char *name);

/** Yields addresses; @addr is valid with @has_addr. */
typedef struct wh_err *(*wh_mdb_walk_fn)(struct wh_mdb *m, bool has_addr, uint64_t addr,
					 wh_addr_vec *ret);
struct wh_mdb_walker {
	const char *name, *help;
	wh_mdb_walk_fn fn;
	const char *targets;
};
extern const struct wh_mdb_walker wh_mdb_walkers[];
/** Walks by name; names of caches are walkers too. */
struct wh_err *wh_mdb_walk(struct wh_mdb *m, const char *name, bool has_addr, uint64_t addr,
			   wh_addr_vec *ret) WH_MUST_CHECK;

/* ---- core ---- */
struct wh_err *wh_mdb_open(struct wh_run *run, struct wh_mdb *m) WH_MUST_CHECK;
void wh_mdb_close(struct wh_mdb *m);
/** Runs one line (several commands separated by ';'); output is written when it ends. */
struct wh_err *wh_mdb_eval(struct wh_mdb *m, const char *line) WH_MUST_CHECK;
/** Value of an expression; *end is moved behind it.  WH_ERR_USAGE says what is wrong. */
struct wh_err *wh_mdb_expr(struct wh_mdb *m, const char **s, uint64_t *ret) WH_MUST_CHECK;
/** The whole of @text as an expression. */
struct wh_err *wh_mdb_value(struct wh_mdb *m, const char *text, uint64_t *ret) WH_MUST_CHECK;

/** "addr,count/FORMAT" (@memory) or "value=FORMAT"; see format.c. */
struct wh_err *wh_mdb_format(struct wh_mdb *m, const char *format, bool memory, uint64_t addr,
			     uint64_t count) WH_MUST_CHECK;

/* ---- output ---- */
void wh_mdb_text(struct wh_mdb *m, const char *fmt, ...) WH_PRINTF(2, 3);
#define WH_MDB_DASHES "------------------------------------------------------------------------"
#define WH_MDB_PTR    99 /**< column width: as many digits as a pointer has */
/** Starts a table (header printed with @header), or goes on with the one of the call before. */
void wh_mdb_table(struct wh_mdb *m, const char *key, const struct wh_mdb_col *cols, size_t n,
		  bool header);
void wh_mdb_cell(struct wh_mdb *m, const char *fmt, ...) WH_PRINTF(2, 3);
/** A pointer: zero-padded to the target's width, or right-justified when @pad is false. */
void wh_mdb_cell_ptr(struct wh_mdb *m, uint64_t v, bool pad);
/** Program counters as symbols, in one cell (for JSON). */
void wh_mdb_cell_stack(struct wh_mdb *m, const uint64_t *pc, uint32_t n);
void wh_mdb_row(struct wh_mdb *m);
/** JSON: closes the table and hands over what was said in words. */
void wh_mdb_json_flush(struct wh_mdb *m);
/** "sym+0xoff", or hexadecimal when no symbol holds it. */
const char *wh_mdb_symbol(struct wh_mdb *m, uint64_t addr, char *buf, size_t cap);
/** Ends the call with an address for the pipe. */
struct wh_err *wh_mdb_yield(const struct wh_mdb_call *c, uint64_t addr) WH_MUST_CHECK;

/* ---- options of dcmds ---- */
/**
 * Parses options: @flags lists letters without argument, @with letters that take one.  Sets bits of
 * *ret_set (by position in flags, then with) and @ret_arg by position in @with.  Returns the index of
 * the first argument that is none.
 */
struct wh_err *wh_mdb_opts(const struct wh_mdb_call *c, const char *flags, const char *with,
			   uint32_t *ret_set, const char **ret_arg, size_t *ret_rest) WH_MUST_CHECK;
struct wh_err *wh_mdb_need_addr(const struct wh_mdb_call *c) WH_MUST_CHECK;
struct wh_err *wh_mdb_need_kmem(const struct wh_mdb *m, const struct wh_mdb_call *c) WH_MUST_CHECK;

/* ---- shared by dcmds ---- */
bool wh_mdb_find_symbol(struct wh_mdb *m, const char *name, uint64_t *ret);
/** First frame that is not in the allocator, printed; "" when there is none. */
const char *wh_mdb_caller(struct wh_mdb *m, const uint64_t *pc, size_t n, char *buf, size_t cap,
			  uint64_t *ret_pc);
/** Whether a stack passes through @caller: a pc, or the start of a function that stands for all of it. */
bool wh_mdb_stack_passes(struct wh_mdb *m, const uint64_t *pc, size_t n, uint64_t caller);
struct wh_err *wh_mdb_bufctl_verbose(struct wh_mdb *m, uint64_t ctl, bool header) WH_MUST_CHECK;
struct wh_err *wh_mdb_vmem_seg_verbose(struct wh_mdb *m, uint64_t seg, bool header) WH_MUST_CHECK;
/** Runs the engine and groups the leaks, once (@again: anew). */
struct wh_err *wh_mdb_leaks_run(struct wh_mdb *m, bool again) WH_MUST_CHECK;
void wh_mdb_leaks_fini(struct wh_mdb *m);
/** Members of the group of @ctl, or all representatives' members; @bufs: buffer addresses. */
struct wh_err *wh_mdb_leaks_walk(struct wh_mdb *m, bool has_addr, uint64_t ctl, bool bufs,
				 wh_addr_vec *ret) WH_MUST_CHECK;
/** Interesting caches (what findleaks looks at). */
bool wh_mdb_interesting(const struct wh_mdb *m, const struct wh_kmem_cache *c);

/** How many arenas an arena imports through, for indentation. */
unsigned int wh_mdb_arena_depth(const struct wh_kmem *k, const struct wh_vmem *v);
/** Indices of the arenas, each followed by those that import from it; *ret is the caller's. */
struct wh_err *wh_mdb_arena_order(const struct wh_kmem *k, size_t **ret) WH_MUST_CHECK;

/* ---- dcmds by file ---- */
#define WH_DCMD(f) struct wh_err *f(struct wh_mdb *m, const struct wh_mdb_call *c) WH_MUST_CHECK
WH_DCMD(wh_dcmd_findleaks);
WH_DCMD(wh_dcmd_bufctl);
WH_DCMD(wh_dcmd_bufctl_audit);
WH_DCMD(wh_dcmd_kmem_cache);
WH_DCMD(wh_dcmd_kmem_log);
WH_DCMD(wh_dcmd_kmalog);
WH_DCMD(wh_dcmd_kmastat);
WH_DCMD(wh_dcmd_kmausers);
WH_DCMD(wh_dcmd_kmem_verify);
WH_DCMD(wh_dcmd_vmem);
WH_DCMD(wh_dcmd_vmem_seg);
WH_DCMD(wh_dcmd_strftevent);
WH_DCMD(wh_dcmd_mblk);
WH_DCMD(wh_dcmd_mblk2dblk);
WH_DCMD(wh_dcmd_mblk_verify);
WH_DCMD(wh_dcmd_formats);
WH_DCMD(wh_dcmd_print);
WH_DCMD(wh_dcmd_sizeof);
WH_DCMD(wh_dcmd_offsetof);
WH_DCMD(wh_dcmd_walk);
WH_DCMD(wh_dcmd_whatis);
WH_DCMD(wh_dcmd_kgrep);
WH_DCMD(wh_dcmd_status);
WH_DCMD(wh_dcmd_help);
WH_DCMD(wh_dcmd_dcmds);
WH_DCMD(wh_dcmd_walkers);
WH_DCMD(wh_dcmd_trail);
WH_DCMD(wh_dcmd_quit);

#endif
