/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Manual pages in man(7), from the command and option tables. */
#include <string.h>

#include "analyzer/cmd/cmd.h"

static void roff(struct wh_strbuf *sb, const char *s, size_t n)
{
	bool start = true;

	for (size_t i = 0; i < n; i++) {
		if (start && (s[i] == '.' || s[i] == '\''))
			wh_strbuf_puts(sb, "\\&");
		if (s[i] == '\\')
			wh_strbuf_puts(sb, "\\e");
		else if (s[i] == '-')
			wh_strbuf_puts(sb, "\\-");
		else
			wh_strbuf_putc(sb, s[i]);
		start = s[i] == '\n';
	}
}

static void roff_str(struct wh_strbuf *sb, const char *s)
{
	roff(sb, s, strlen(s));
}

static void paragraphs(struct wh_strbuf *sb, const char *p)
{
	while (*p) {
		const char *end = strstr(p, "\n\n");
		size_t n = end ? (size_t)(end - p) : strlen(p);

		wh_strbuf_puts(sb, ".PP\n");
		roff(sb, p, n);
		wh_strbuf_putc(sb, '\n');
		for (p += n; *p == '\n';)
			p++;
	}
}

static void option(struct wh_strbuf *sb, const struct wh_option *o)
{
	wh_strbuf_puts(sb, ".TP\n.B ");
	if (o->short_name)
		wh_strbuf_printf(sb, "\\-%c%s", o->short_name, o->long_name ? ", " : "");
	if (o->long_name) {
		wh_strbuf_puts(sb, "\\-\\-");
		roff_str(sb, o->long_name);
	}
	if (o->arg)
		wh_strbuf_printf(sb, "%s%s", o->long_name ? "=" : " ", o->arg);
	wh_strbuf_putc(sb, '\n');
	roff_str(sb, o->help);
	if (o->type == WH_OPT_CHOICE || o->type == WH_OPT_SET) {
		wh_strbuf_puts(sb, "; ");
		wh_strbuf_puts(sb, o->type == WH_OPT_SET ? "a comma list of " : "one of ");
		for (const char *v = o->values; *v; v++)
			if (*v == '|')
				wh_strbuf_puts(sb, ", ");
			else
				roff(sb, v, 1);
	}
	wh_strbuf_puts(sb, ".\n");
}

static void examples(struct wh_strbuf *sb, const char *e)
{
	while (*e) {
		size_t line = strcspn(e, "\n"), cmd = strcspn(e, "\t\n");

		wh_strbuf_puts(sb, ".TP\n.B ");
		roff(sb, e, cmd);
		wh_strbuf_putc(sb, '\n');
		if (cmd < line)
			roff(sb, e + cmd + 1, line - cmd - 1);
		wh_strbuf_putc(sb, '\n');
		e += line + (e[line] == '\n');
	}
}

static const char *const exit_codes[][2] = {
	{"0",
	 "done; nothing over policy. Commands that only show return 0 also when there are leaks"},
	{"1", "findings over policy: from check, or with --fail-on (--error-exitcode moves it)"},
	{"2",
	 "usage: options, arguments, a suppression or baseline file that cannot be understood"},
	{"3", "the input could not be opened or identified"},
	{"4", "the analysis was incomplete, with --strict"},
	{"5", "internal error"},
	{"130", "interrupted"},
};

static void page_end(struct wh_strbuf *sb, const struct wh_command *cmd)
{
	wh_strbuf_puts(sb, ".SH EXIT STATUS\n");
	for (size_t i = 0; i < sizeof(exit_codes) / sizeof(exit_codes[0]); i++) {
		wh_strbuf_printf(sb, ".TP\n.B %s\n", exit_codes[i][0]);
		roff_str(sb, exit_codes[i][1]);
		wh_strbuf_puts(sb, ".\n");
	}
	wh_strbuf_puts(sb, ".SH SEE ALSO\n");
	if (cmd)
		wh_strbuf_puts(sb, ".BR weephole (1)");
	for (size_t i = 0; wh_commands[i]; i++)
		if (wh_commands[i] != cmd)
			wh_strbuf_printf(sb, "%s.BR weephole\\-%s (1)", cmd || i ? ",\n" : "",
					 wh_commands[i]->name);
	wh_strbuf_putc(sb, '\n');
}

static void overview(struct wh_strbuf *sb)
{
	wh_strbuf_puts(sb, ".TH WEEPHOLE 1 \"\" weephole \"User Commands\"\n.SH NAME\nweephole \\- "
			   "find leaked memory in a crash dump\n.SH SYNOPSIS\n.B weephole\n.I "
			   "COMMAND\n[options] [files] DUMP\n.SH DESCRIPTION\n");
	paragraphs(
		sb,
		"Given a core file or a kernel crash dump, and nothing else if need be, weephole "
		"rebuilds what the allocator knew, marks what is still referred to, and reports "
		"the rest, grouped by allocation stack.\n\nThe order of arguments does not "
		"matter: what a file is, is decided by its content.");
	wh_strbuf_puts(sb, ".SH COMMANDS\n");
	for (size_t i = 0; wh_commands[i]; i++) {
		wh_strbuf_printf(sb, ".TP\n.B %s\n", wh_commands[i]->name);
		roff_str(sb, wh_commands[i]->summary);
		wh_strbuf_puts(sb, ".\n");
	}
	wh_strbuf_puts(sb, ".SH OPTIONS\n");
	for (size_t i = 0; i < wh_n_options; i++)
		if (wh_options[i].groups & WH_OG_ALL)
			option(sb, &wh_options[i]);
	wh_strbuf_puts(sb,
		       ".SH ENVIRONMENT\n.TP\n.B NO_COLOR\nno colors.\n.TP\n.B PAGER\nthe pager of "
		       "long output on a terminal.\n.TP\n.B DEBUGINFOD_URLS\nservers, used only "
		       "with \\-\\-debuginfod.\n");
	page_end(sb, NULL);
}

void wh_help_man(struct wh_strbuf *sb, const struct wh_command *cmd)
{
	if (!cmd) {
		overview(sb);
		return;
	}
	wh_strbuf_printf(sb,
			 ".TH \"WEEPHOLE\\-%s\" 1 \"\" weephole \"User Commands\"\n.SH NAME\n"
			 "weephole\\-%s \\- ",
			 cmd->name, cmd->name);
	roff_str(sb, cmd->summary);
	wh_strbuf_printf(sb, "\n.SH SYNOPSIS\n.B weephole %s\n", cmd->name);
	roff_str(sb, cmd->synopsis);
	wh_strbuf_puts(sb, "\n.SH DESCRIPTION\n");
	paragraphs(sb, cmd->help);
	wh_strbuf_puts(sb, ".SH OPTIONS\n");
	for (size_t i = 0; i < wh_n_options; i++)
		if (wh_option_applies(&wh_options[i], cmd))
			option(sb, &wh_options[i]);
	wh_strbuf_puts(sb, ".SH EXAMPLES\n");
	examples(sb, cmd->examples);
	page_end(sb, cmd);
}
