/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -h and --help, from the command and option tables. */
#include <string.h>

#include "analyzer/cmd/cmd.h"

#define WIDTH 98

static const struct {
	uint32_t groups;
	const char *title;
} sections[] = {
	{WH_OG_FINDLEAKS | WH_OG_INFO | WH_OG_SHELL, "This command"},
	{WH_OG_GROUPS, "Groups"},
	{WH_OG_GATE, "Policy"},
	{WH_OG_SCAN, "Scan"},
	{WH_OG_INPUT, "Input"},
	{WH_OG_OUT, "Output"},
	{WH_OG_ALL, "General"},
};

/* Breaks @text at spaces; the first line starts at column @at, later ones at @margin. */
static void wrap(struct wh_strbuf *sb, const char *text, size_t at, size_t margin)
{
	while (*text) {
		size_t n = strcspn(text, " \n");

		if (at > margin && at + n > WIDTH) {
			wh_strbuf_putc(sb, '\n');
			for (at = 0; at < margin; at++)
				wh_strbuf_putc(sb, ' ');
		}
		wh_strbuf_putn(sb, text, n);
		at += n;
		text += n;
		if (*text) {
			wh_strbuf_putc(sb, ' ');
			at++;
			text++;
		}
	}
	wh_strbuf_putc(sb, '\n');
}

static void put_option(struct wh_strbuf *sb, const struct wh_option *o)
{
	size_t start = sb->len, w;

	wh_strbuf_printf(sb, "  %c%c%s", o->short_name ? '-' : ' ',
			 o->short_name ? o->short_name : ' ',
			 o->short_name && o->long_name ? ", " : "  ");
	if (o->long_name)
		wh_strbuf_printf(sb, "--%s", o->long_name);
	if (o->arg)
		wh_strbuf_printf(sb, "%s%s", o->long_name ? "=" : " ", o->arg);
	w = sb->len - start;
	do
		wh_strbuf_putc(sb, ' ');
	while (++w < 32);
	wrap(sb, o->help, w, 32);
	if (o->type == WH_OPT_CHOICE || o->type == WH_OPT_SET)
		wh_strbuf_printf(sb, "%32s%s: %s\n", "",
				 o->type == WH_OPT_SET ? "comma list of" : "one of", o->values);
}

static void put_options(struct wh_strbuf *sb, const struct wh_command *cmd)
{
	for (size_t s = 0; s < sizeof(sections) / sizeof(sections[0]); s++) {
		bool titled = false;

		for (size_t i = 0; i < wh_n_options; i++) {
			const struct wh_option *o = &wh_options[i];

			if (!(o->groups & sections[s].groups) || !wh_option_applies(o, cmd))
				continue;
			if (!titled)
				wh_strbuf_printf(sb, "\n%s:\n", sections[s].title);
			titled = true;
			put_option(sb, o);
		}
	}
}

static void put_examples(struct wh_strbuf *sb, const char *examples)
{
	while (*examples) {
		size_t line = strcspn(examples, "\n"), cmd = strcspn(examples, "\t\n");

		wh_strbuf_puts(sb, "  ");
		wh_strbuf_putn(sb, examples, cmd);
		if (cmd < line) {
			wh_strbuf_printf(sb, "%*s", cmd < 46 ? (int)(46 - cmd) : 2, "");
			wh_strbuf_putn(sb, examples + cmd + 1, line - cmd - 1);
		}
		wh_strbuf_putc(sb, '\n');
		examples += line + (examples[line] == '\n');
	}
}

static void put_commands(struct wh_strbuf *sb)
{
	for (size_t i = 0; wh_commands[i]; i++)
		wh_strbuf_printf(sb, "  %-12s %s\n", wh_commands[i]->name, wh_commands[i]->summary);
}

static const char overview_examples[] =
	"weephole findleaks vmcore\tleaked objects by stack\n"
	"weephole explain 0xffff888004a3c200 vmcore\twho holds it\n"
	"weephole info vmcore\twhat is in the dump, what is missing\n"
	"weephole check --baseline=ok.txt vmcore\ta gate for CI\n";

void wh_help_short(struct wh_strbuf *sb, const struct wh_command *cmd)
{
	if (!cmd) {
		wh_strbuf_puts(sb, "weephole finds the memory that nobody refers to any more in a "
				   "crash dump.\n\nExamples:\n");
		put_examples(sb, overview_examples);
		wh_strbuf_puts(sb, "\nCommands:\n");
		put_commands(sb);
		wh_strbuf_puts(sb, "\nweephole COMMAND -h shows examples, --help everything.\n");
		return;
	}
	wh_strbuf_printf(sb, "weephole %s: %s\n\nExamples:\n", cmd->name, cmd->summary);
	put_examples(sb, cmd->examples);
	wh_strbuf_printf(sb, "\nUsage: weephole %s %s\n", cmd->name, cmd->synopsis);
	wh_strbuf_printf(sb, "weephole %s --help explains the options.\n", cmd->name);
}

void wh_help_full(struct wh_strbuf *sb, const struct wh_command *cmd)
{
	if (!cmd) {
		wh_help_short(sb, NULL);
		put_options(sb, NULL);
		wh_strbuf_puts(sb,
			       "\nExit codes: 0 done, nothing over policy; 1 findings over policy; "
			       "2 usage; 3 the input could\nnot be opened or identified; 4 the "
			       "analysis was incomplete, with --strict; 5 internal error;\n"
			       "130 interrupted.\n");
		return;
	}
	wh_strbuf_printf(sb, "weephole %s: %s\n\nUsage: weephole %s %s\n\n", cmd->name,
			 cmd->summary, cmd->name, cmd->synopsis);
	for (const char *p = cmd->help; *p;) {
		const char *end = strstr(p, "\n\n");
		size_t n = end ? (size_t)(end - p) : strlen(p);
		WH_AUTO_FREE char *para = strndup(p, n);

		if (para)
			wrap(sb, para, 0, 0);
		p += n;
		while (*p == '\n')
			p++;
		wh_strbuf_puts(sb, *p ? "\n" : "");
	}
	wh_strbuf_puts(sb, "\nExamples:\n");
	put_examples(sb, cmd->examples);
	put_options(sb, cmd);
}
