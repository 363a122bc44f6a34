/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands about the program itself: help, completion, man, version. */
#include "analyzer/cmd/cmd.h"

const char wh_version[] = "weephole " WH_VERSION "\n";

static struct wh_err *named(const struct wh_run *run, const struct wh_command **ret)
{
	*ret = NULL;
	if (!run->cli->args.n)
		return NULL;
	*ret = wh_command_find(run->cli->args.v[0]);
	return *ret ? NULL
		    : wh_err_new(WH_ERR_USAGE, "unknown command '%s'; weephole -h lists them",
				 run->cli->args.v[0]);
}

static struct wh_err *put(struct wh_run *run, struct wh_strbuf *sb)
{
	bool failed = sb->failed;

	fputs(wh_strbuf_str(sb), run->out);
	wh_strbuf_fini(sb);
	return failed ? &wh_err_nomem : NULL;
}

static struct wh_err *help(struct wh_run *run)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;
	const struct wh_command *cmd;

	WH_TRY(named(run, &cmd));
	wh_help_full(&sb, cmd);
	return put(run, &sb);
}

static struct wh_err *man(struct wh_run *run)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;
	const struct wh_command *cmd;

	WH_TRY(named(run, &cmd));
	wh_help_man(&sb, cmd);
	return put(run, &sb);
}

static struct wh_err *completion(struct wh_run *run)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;

	if (run->cli->args.n != 1)
		return wh_err_new(WH_ERR_USAGE, "completion wants one of: bash, zsh, fish");
	WH_TRY(wh_help_completion(&sb, run->cli->args.v[0]));
	return put(run, &sb);
}

static struct wh_err *version(struct wh_run *run)
{
	if (run->cli->args.n)
		return wh_err_new(WH_ERR_USAGE, "version takes no argument");
	fputs(wh_version, run->out);
	return NULL;
}

const struct wh_command wh_cmd_help = {
	.name = "help",
	.synopsis = "[COMMAND]",
	.summary = "full help of a command",
	.help = "The same as weephole COMMAND --help.",
	.examples = "weephole help findleaks\teverything about findleaks\n",
	.args = WH_ARGS_WORDS,
	.run = help,
};

const struct wh_command wh_cmd_man = {
	.name = "man",
	.synopsis = "[COMMAND]",
	.summary = "print the manual page of a command as man(7) source",
	.help = "Manual pages are made from the same tables as the parser; the build installs them.",
	.examples = "weephole man check | man -l -\tread a page\n",
	.args = WH_ARGS_WORDS,
	.run = man,
};

const struct wh_command wh_cmd_completion = {
	.name = "completion",
	.synopsis = "bash|zsh|fish",
	.summary = "print the completion script of a shell",
	.help = "The build installs them; to try one: source it.",
	.examples = "source <(weephole completion bash)\tthis shell only\n",
	.args = WH_ARGS_WORDS,
	.run = completion,
};

const struct wh_command wh_cmd_version = {
	.name = "version",
	.synopsis = "",
	.summary = "print the version",
	.help = "The same as weephole --version.",
	.examples = "weephole version\twhich one is this?\n",
	.args = WH_ARGS_WORDS,
	.run = version,
};
