/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * opts: the command line, parsed by the table in options.def.  Order-free: what a positional argument
 * is (a dump, a file with symbols, a saved report, an address) is decided by its content.
 */
#ifndef WH_CMD_OPTS_H
#define WH_CMD_OPTS_H

#include "analyzer/base/err.h"
#include "analyzer/base/strbuf.h"
#include "analyzer/base/vec.h"

/** Which commands take an option. */
enum wh_opt_group {
	WH_OG_ALL = 1u << 0,	   /**< every command */
	WH_OG_OUT = 1u << 1,	   /**< commands that report */
	WH_OG_INPUT = 1u << 2,	   /**< commands that open a dump */
	WH_OG_SCAN = 1u << 3,	   /**< commands that mark */
	WH_OG_GROUPS = 1u << 4,	   /**< commands that print groups */
	WH_OG_GATE = 1u << 5,	   /**< commands with a policy */
	WH_OG_FINDLEAKS = 1u << 6, /**< findleaks */
	WH_OG_INFO = 1u << 7,	   /**< info */
	WH_OG_SHELL = 1u << 8,	   /**< shell */
};

enum wh_opt_type {
	WH_OPT_FLAG,
	WH_OPT_COUNT,
	WH_OPT_STR,
	WH_OPT_LIST,
	WH_OPT_NUM,
	WH_OPT_CHOICE,
	WH_OPT_SET
};

typedef WH_VEC(const char *) wh_str_vec;

struct wh_number {
	uint64_t value;
	bool given;
};

/** Storage of the option types. */
typedef bool wh_opt_FLAG;
typedef unsigned int wh_opt_COUNT;
typedef const char *wh_opt_STR;
typedef wh_str_vec wh_opt_LIST;
typedef struct wh_number wh_opt_NUM;
typedef const char *wh_opt_CHOICE;
typedef struct wh_number wh_opt_SET;

struct wh_command;
struct wh_cli {
#define WH_OPTION(short_, long_, type, field, arg, groups, values, help) wh_opt_##type field;
#include "analyzer/cmd/options.def"
#undef WH_OPTION
	const struct wh_command *cmd; /**< NULL: none was named */
	wh_str_vec args;	      /**< positional arguments, borrowed from argv */
};

struct wh_option {
	char short_name;
	const char *long_name; /**< NULL: only the short one */
	enum wh_opt_type type;
	size_t field; /**< offset in struct wh_cli */
	const char *arg;
	uint32_t groups;
	const char *values;
	const char *help;
};
/** The table, in the order of options.def. */
extern const struct wh_option wh_options[];
extern const size_t wh_n_options;

/** True when @cmd (NULL: no command) takes @o. */
bool wh_option_applies(const struct wh_option *o, const struct wh_command *cmd);

/**
 * Parses argv; strings are borrowed from it.  WH_ERR_USAGE says what is wrong and what was probably
 * meant.  @ret must be zeroed; wh_cli_fini also after an error.
 */
struct wh_err *wh_cli_parse(int argc, char *const *argv, struct wh_cli *ret) WH_MUST_CHECK;
void wh_cli_fini(struct wh_cli *cli);

/** The i-th word of "a|b|c"; false past the end. */
bool wh_values_word(const char *values, size_t i, const char **ret, size_t *ret_len);
/** What a mistyped word may have meant; starts as {.typed = ...}. */
struct wh_suggestion {
	const char *typed,
		*word; /**< word: the nearest so far, NULL when none is near; both borrowed */
	unsigned int distance; /**< edits between the two */
};
/** Considers @word; of equally near ones the first stays. */
void wh_suggest(struct wh_suggestion *s, const char *word);
/** "0x…", or bare hexadecimal of at least 6 digits that is not the name of a file. */
bool wh_parse_address(const char *s, uint64_t *ret);

/** What a file is, by its first bytes. */
enum wh_file_kind {
	WH_FILE_DUMP,	 /**< core, kdump, flattened … or unknown: the formats decide */
	WH_FILE_SYMBOLS, /**< ELF program, shared object, module */
	WH_FILE_REPORT,	 /**< starts like JSON */
};
struct wh_err *wh_file_sniff(const char *path, enum wh_file_kind *ret) WH_MUST_CHECK;

/* help.c, man.c, complete.c: all from the tables; into a string buffer. */
void wh_help_short(struct wh_strbuf *sb, const struct wh_command *cmd);
void wh_help_full(struct wh_strbuf *sb, const struct wh_command *cmd);
/** man(7) source; @cmd NULL: the overview page weephole(1). */
void wh_help_man(struct wh_strbuf *sb, const struct wh_command *cmd);
/** @shell "bash", "zsh" or "fish". */
struct wh_err *wh_help_completion(struct wh_strbuf *sb, const char *shell) WH_MUST_CHECK;

#endif
