/* SPDX-License-Identifier: GPL-2.0-or-later */
/* weephole shell: the prompt, or -e EXPR and -x FILE, in the language of mdb (cmd/mdb/). */
#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/cmd/cmd.h"
#include "analyzer/cmd/mdb/mdb.h"

#define HISTORY_LINES 1000

static const char *prompt(EditLine *el)
{
	(void)el;
	return "> ";
}

/* The word before the cursor: after "::" a dcmd, after "walk " a walker. */
static const char *candidate(bool walker, size_t i)
{
	return walker ? wh_mdb_walkers[i].name : wh_mdb_dcmds[i].name;
}

static unsigned char complete(EditLine *el, int ch)
{
	const LineInfo *li = el_line(el);
	const char *word = li->cursor;
	const char *only = NULL;
	size_t len, common = 0, n = 0;
	bool walker;
	char add[64];

	(void)ch;
	while (word > li->buffer && word[-1] != ':' && word[-1] != ' ' && word[-1] != '|')
		word--;
	len = (size_t)(li->cursor - word);
	walker = word - li->buffer >= 5 && !strncmp(word - 5, "walk ", 5);
	for (size_t i = 0; candidate(walker, i); i++) {
		const char *c = candidate(walker, i);

		if (strncmp(c, word, len))
			continue;
		if (!n++) {
			only = c;
			common = strlen(c);
		}
		while (strncmp(only, c, common))
			common--;
	}
	if (!n || common <= len || common - len >= sizeof(add))
		return CC_ERROR;
	memcpy(add, only + len, common - len);
	add[common - len] = '\0';
	return el_insertstr(el, add) ? CC_ERROR : CC_REFRESH;
}

static void say_error(const struct wh_run *run, struct wh_err *e)
{
	char *text = wh_err_text(e);

	fflush(run->out);
	fprintf(stderr, "weephole: %s\n", text ? text : "out of memory");
	free(text);
	wh_err_destroy(e);
}

/* Errors of one line do not end the session. */
static void interactive(struct wh_run *run, struct wh_mdb *m)
{
	EditLine *el = el_init("weephole", stdin, stdout, stderr);
	History *hist = history_init();
	HistEvent ev;
	const char *line;
	int n;

	if (!el || !hist)
		return;
	history(hist, &ev, H_SETSIZE, HISTORY_LINES);
	el_set(el, EL_PROMPT, prompt);
	el_set(el, EL_EDITOR, "emacs");
	el_set(el, EL_HIST, history, hist);
	el_set(el, EL_ADDFN, "mdb-complete", "complete a dcmd or walker", complete);
	el_set(el, EL_BIND, "^I", "mdb-complete", NULL);
	while (!m->quit && (line = el_gets(el, &n)) && n > 0) {
		struct wh_err *e;

		if (n > 1)
			history(hist, &ev, H_ENTER, line);
		e = wh_mdb_eval(m, line);
		if (e)
			say_error(run, e);
		fflush(run->out);
		atomic_store(&run->ctx->cancel, false);
	}
	history_end(hist);
	el_end(el);
}

/* A script stops at its first error. */
static struct wh_err *script(struct wh_mdb *m, FILE *f, const char *name)
{
	char *line = NULL;
	size_t cap = 0, at = 0;
	struct wh_err *e = NULL;

	while (!e && !m->quit && getline(&line, &cap, f) >= 0) {
		at++;
		line[strcspn(line, "\n")] = '\0';
		if (*line && *line != '#')
			e = wh_mdb_eval(m, line);
	}
	free(line);
	return e ? wh_err_wrap(e, "%s, line %zu", name, at) : NULL;
}

static struct wh_err *script_file(struct wh_mdb *m, const char *path)
{
	FILE *f = fopen(path, "re");
	struct wh_err *e;

	if (!f)
		return wh_err_os(path, "cannot open the script");
	e = script(m, f, path);
	fclose(f);
	return e;
}

static struct wh_err *session(struct wh_run *run, struct wh_mdb *m)
{
	const struct wh_cli *cli = run->cli;
	struct wh_err *e = NULL;

	for (size_t i = 0; !e && i < cli->expressions.n; i++)
		e = wh_mdb_eval(m, cli->expressions.v[i]);
	if (!e && cli->script)
		e = script_file(m, cli->script);
	if (e || cli->expressions.n || cli->script)
		return e;
	if (!isatty(STDIN_FILENO) || m->json)
		return script(m, stdin, "standard input");
	interactive(run, m);
	return NULL;
}

static struct wh_err *shell(struct wh_run *run)
{
	struct wh_mdb m;
	struct wh_err *e;

	WH_TRY(wh_mdb_open(run, &m));
	wh_emit_u64(run->emit, "schema", NULL, 1, WH_UNIT_NONE);
	if (m.json)
		wh_run_emit_dump(run);
	wh_emit_array(run->emit, "commands", NULL);
	e = session(run, &m);
	wh_emit_end(run->emit);
	if (m.json)
		wh_run_emit_diags(run);
	wh_mdb_close(&m);
	return e;
}

const struct wh_command wh_cmd_shell = {
	.name = "shell",
	.synopsis = "[options] [-e EXPR]... [-x FILE] [VMLINUX|PROGRAM|UNIX] DUMP",
	.summary = "the prompt: dcmds, walkers and pipes in the language of mdb",
	.help = "Without -e and -x a prompt with history and completion (^I); with them the commands "
		"are run in order and the first error ends the run. A command is [ADDR]::DCMD "
		"[OPTIONS]; dcmds are joined with |, and ! pipes into a shell command unless "
		"--no-shell is given. Numbers are hexadecimal. ::dcmds, ::walkers and ::help DCMD "
		"explain the rest.\n\n"
		"Kernel dcmds (kmem_cache, kmastat, kmalog ...) have twins for libumem in processes "
		"(umem_cache, umastat, umalog ...). ::findleaks, ::whatis, ::kgrep, ::print and "
		"::walk work on every target.",
	.examples = "weephole shell vmcore.0\ta prompt\n"
		    "weephole shell -e '::findleaks ! grep allocb' vmcore.0\tone command\n"
		    "weephole shell -e '6001507f880::walk strftblk | ::strftevent' vmcore.0\tthe "
		    "flow trace of a message\n",
	.groups = WH_OG_OUT | WH_OG_INPUT | WH_OG_SCAN | WH_OG_SHELL,
	.args = WH_ARGS_DUMP,
	.run = shell,
};
