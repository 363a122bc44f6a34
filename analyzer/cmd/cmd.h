/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cmd: the commands.  One cmd_*.c each, one line in the table of commands.c; help, man page and
 * completion come from the same struct.  A command reports through run->emit and never exits.
 */
#ifndef WH_CMD_CMD_H
#define WH_CMD_CMD_H

#include <stdio.h>

#include "analyzer/cmd/opts.h"
#include "analyzer/report/emit.h"
#include "analyzer/target/target.h"

/** Exit codes; documented in weephole(1), never reused. */
enum wh_exit {
	WH_EXIT_OK = 0,
	WH_EXIT_FINDINGS = 1,
	WH_EXIT_USAGE = 2,
	WH_EXIT_INPUT = 3,	/**< the input could not be opened or identified */
	WH_EXIT_INCOMPLETE = 4, /**< --strict, and something was lost */
	WH_EXIT_INTERNAL = 5,
	WH_EXIT_INTERRUPTED = 130,
};

/** What positional arguments a command takes. */
enum wh_cmd_args {
	WH_ARGS_DUMP = 1u << 0,	 /**< a dump (and files with symbols) */
	WH_ARGS_ADDR = 1u << 1,	 /**< one or more addresses */
	WH_ARGS_PAIR = 1u << 2,	 /**< two dumps or reports: OLD NEW */
	WH_ARGS_WORDS = 1u << 3, /**< plain words (help, completion), or none (version) */
	WH_ARGS_REPORT = 1u << 4 /**< a saved report is taken instead of a dump */
};

/** One run of one command. */
struct wh_run {
	struct wh_ctx *ctx;
	const struct wh_cli *cli;
	const struct wh_command *cmd;
	wh_str_vec files;   /**< dump files, in order given; PAIR: OLD and NEW */
	wh_str_vec symbols; /**< -s and positional files with symbols */
	wh_str_vec reports; /**< saved reports (WH_ARGS_REPORT) */
	WH_VEC(uint64_t)
	addrs;		  /**< WH_ARGS_ADDR; those given by name are 0 until the target is open */
	wh_str_vec names; /**< beside addrs: "symbol", "symbol+0x10", or NULL */
	struct wh_dump *dump;	  /**< set by wh_run_dump; owned */
	struct wh_target *target; /**< set by wh_run_target; owned */
	struct wh_target_opts target_opts;
	struct wh_emit *emit; /**< where the report goes; owned */
	FILE *out;	      /**< the same place, for formats of their own */
	bool writing;	      /**< the analysis is done: an error now is one of the output */
	int exit_code;	      /**< what the command decided, WH_EXIT_OK by default */
};

struct wh_command {
	const char *name;
	const char *synopsis; /**< after "weephole NAME" */
	const char *summary;  /**< one line, lower case, no full stop */
	const char *help;     /**< paragraphs, separated by empty lines */
	const char *examples; /**< lines "command\tmeaning" */
	uint32_t groups;      /**< enum wh_opt_group it takes beside WH_OG_ALL */
	uint32_t args;	      /**< enum wh_cmd_args */
	uint32_t formats;     /**< 1u << enum wh_format it can print; 0: text, json, plain */
	struct wh_err *(*run)(struct wh_run *run);
};

/** NULL-terminated. */
extern const struct wh_command *const wh_commands[];
const struct wh_command *wh_command_find(const char *name);

/** The line that tells program and version. */
extern const char wh_version[];

/** Opens run->dump from run->files, once. */
struct wh_err *wh_run_dump(struct wh_run *run) WH_MUST_CHECK;
/** Opens run->target, once; @build: also fills and freezes the buffer table and the plan. */
struct wh_err *wh_run_target(struct wh_run *run, bool build) WH_MUST_CHECK;
/** Kernel release or program name; NULL unknown; in @mem. */
const char *wh_run_identity(struct wh_run *run, struct wh_arena *mem);
/** "dump" object of a report: name of the file without its folders, format, target kind, kernel or program. */
void wh_run_emit_dump(struct wh_run *run);
/** Opens the target and reports "addresses": @one of each address asked for; what @mem holds lives as long as that. */
struct wh_err *wh_run_each_addr(struct wh_run *run,
				struct wh_err *(*one)(struct wh_run *run, uint64_t addr,
						      struct wh_arena *mem)) WH_MUST_CHECK;
/** Facts of a target by section; what names people or machines only when it may be told. */
void wh_emit_facts(struct wh_emit *e, const wh_fact_vec *v);
/** Diagnostics collected so far, aggregated by id; nothing in text when there are none. */
void wh_run_emit_diags(struct wh_run *run);
/** True when something was lost that could change the answer (diagnostics of level warning or worse). */
bool wh_run_incomplete(const struct wh_run *run);

/** The program: parses, runs, reports errors; returns the exit code. */
int wh_main(int argc, char **argv);

#endif
