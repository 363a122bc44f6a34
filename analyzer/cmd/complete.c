/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Completion scripts for bash, zsh and fish, from the command and option tables. */
#include <string.h>

#include "analyzer/cmd/cmd.h"

static void words(struct wh_strbuf *sb, const char *values)
{
	for (; *values; values++)
		wh_strbuf_putc(sb, *values == '|' ? ' ' : *values);
}

static bool is_choice(const struct wh_option *o)
{
	return o->type == WH_OPT_CHOICE || o->type == WH_OPT_SET;
}

static void command_words(struct wh_strbuf *sb)
{
	for (size_t i = 0; wh_commands[i]; i++)
		wh_strbuf_printf(sb, "%s%s", i ? " " : "", wh_commands[i]->name);
}

static void bash_options(struct wh_strbuf *sb, const struct wh_command *cmd)
{
	wh_strbuf_printf(sb, "\t%s) opts=\"", cmd ? cmd->name : "*");
	for (size_t i = 0; i < wh_n_options; i++) {
		const struct wh_option *o = &wh_options[i];

		if (!wh_option_applies(o, cmd))
			continue;
		if (o->long_name)
			wh_strbuf_printf(sb, "--%s%s ", o->long_name, o->arg ? "=" : "");
		else
			wh_strbuf_printf(sb, "-%c ", o->short_name);
	}
	wh_strbuf_puts(sb, "\";;\n");
}

static void bash(struct wh_strbuf *sb)
{
	wh_strbuf_puts(
		sb,
		"# bash completion for weephole\n_weephole() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} "
		"prev=${COMP_WORDS[COMP_CWORD-1]} cmd= opts= w\n"
		"\t# bash splits words at '='\n"
		"\tif [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then "
		"prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
		"\tfor w in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
		"\t\t[[ $w != -* ]] && { cmd=$w; break; }\n\tdone\n\tCOMPREPLY=()\n"
		"\tcase $prev in\n");
	for (size_t i = 0; i < wh_n_options; i++) {
		const struct wh_option *o = &wh_options[i];

		if (!is_choice(o))
			continue;
		wh_strbuf_printf(sb, "\t--%s) COMPREPLY=($(compgen -W \"", o->long_name);
		words(sb, o->values);
		wh_strbuf_puts(sb, "\" -- \"$cur\")); return;;\n");
	}
	wh_strbuf_puts(sb, "\tesac\n\tcase $cmd in\n");
	for (size_t i = 0; wh_commands[i]; i++)
		bash_options(sb, wh_commands[i]);
	bash_options(sb, NULL);
	wh_strbuf_puts(
		sb, "\tesac\n\tif [[ $cur == -* ]]; then\n\t\tCOMPREPLY=($(compgen -W "
		    "\"$opts\" -- \"$cur\"))\n\t\t[[ ${COMPREPLY-} == *= ]] && compopt -o nospace\n"
		    "\telif [[ -z $cmd ]]; then\n\t\tCOMPREPLY=($(compgen -W \"");
	command_words(sb);
	wh_strbuf_puts(
		sb, "\" -- \"$cur\"))\n\telse\n\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n\tfi\n}\n"
		    "complete -o filenames -o bashdefault -F _weephole weephole\n");
}

/* In zsh's _arguments, ' [ ] : are special. */
static void zsh_text(struct wh_strbuf *sb, const char *s)
{
	for (; *s; s++) {
		if (*s == '\'')
			wh_strbuf_puts(sb, "'\\''");
		else {
			if (strchr("[]:\\", *s))
				wh_strbuf_putc(sb, '\\');
			wh_strbuf_putc(sb, *s);
		}
	}
}

static void zsh_option(struct wh_strbuf *sb, const struct wh_option *o)
{
	const char *multi = o->type == WH_OPT_LIST || o->type == WH_OPT_COUNT ? "*" : "";

	wh_strbuf_printf(sb, " \\\n\t\t'%s", multi);
	if (o->long_name)
		wh_strbuf_printf(sb, "--%s%s", o->long_name, o->arg ? "=" : "");
	else
		wh_strbuf_printf(sb, "-%c", o->short_name);
	wh_strbuf_putc(sb, '[');
	zsh_text(sb, o->help);
	wh_strbuf_putc(sb, ']');
	if (o->arg) {
		wh_strbuf_printf(sb, ":%s:", o->arg);
		if (is_choice(o)) {
			wh_strbuf_putc(sb, '(');
			words(sb, o->values);
			wh_strbuf_putc(sb, ')');
		} else if (!strcmp(o->values, "file")) {
			wh_strbuf_puts(sb, "_files");
		} else if (!strcmp(o->values, "dir")) {
			wh_strbuf_puts(sb, "_files -/");
		}
	}
	wh_strbuf_putc(sb, '\'');
}

static void zsh(struct wh_strbuf *sb)
{
	wh_strbuf_puts(sb, "#compdef weephole\n# zsh completion for weephole\n_weephole() {\n"
			   "\tlocal -a commands=(");
	for (size_t i = 0; wh_commands[i]; i++) {
		wh_strbuf_printf(sb, "\n\t\t'%s:", wh_commands[i]->name);
		zsh_text(sb, wh_commands[i]->summary);
		wh_strbuf_putc(sb, '\'');
	}
	wh_strbuf_puts(
		sb, "\n\t)\n\tif (( CURRENT == 2 )); then\n\t\t_describe command commands\n\t\t"
		    "return\n\tfi\n\tlocal cmd=$words[2]\n\tshift words; (( CURRENT-- ))\n\tcase "
		    "$cmd in\n");
	for (size_t i = 0; wh_commands[i]; i++) {
		wh_strbuf_printf(sb, "\t%s)\n\t\t_arguments", wh_commands[i]->name);
		for (size_t o = 0; o < wh_n_options; o++)
			if (wh_option_applies(&wh_options[o], wh_commands[i]))
				zsh_option(sb, &wh_options[o]);
		wh_strbuf_puts(sb, " \\\n\t\t'*:file:_files' ;;\n");
	}
	wh_strbuf_puts(sb, "\tesac\n}\n_weephole \"$@\"\n");
}

static void fish_text(struct wh_strbuf *sb, const char *s)
{
	for (; *s; s++) {
		if (*s == '\'' || *s == '\\')
			wh_strbuf_putc(sb, '\\');
		wh_strbuf_putc(sb, *s);
	}
}

static void fish_option(struct wh_strbuf *sb, const struct wh_option *o)
{
	wh_strbuf_puts(sb, "complete -c weephole");
	if (!(o->groups & WH_OG_ALL)) {
		wh_strbuf_puts(sb, " -n '__fish_seen_subcommand_from");
		for (size_t i = 0; wh_commands[i]; i++)
			if (wh_option_applies(o, wh_commands[i]))
				wh_strbuf_printf(sb, " %s", wh_commands[i]->name);
		wh_strbuf_putc(sb, '\'');
	}
	if (o->short_name)
		wh_strbuf_printf(sb, " -s %c", o->short_name);
	if (o->long_name)
		wh_strbuf_printf(sb, " -l %s", o->long_name);
	if (o->arg) {
		wh_strbuf_puts(sb, " -r");
		if (is_choice(o)) {
			wh_strbuf_puts(sb, " -f -a '");
			words(sb, o->values);
			wh_strbuf_putc(sb, '\'');
		}
	}
	wh_strbuf_puts(sb, " -d '");
	fish_text(sb, o->help);
	wh_strbuf_puts(sb, "'\n");
}

static void fish(struct wh_strbuf *sb)
{
	wh_strbuf_puts(sb, "# fish completion for weephole\n");
	for (size_t i = 0; wh_commands[i]; i++) {
		wh_strbuf_printf(sb, "complete -c weephole -f -n __fish_use_subcommand -a %s -d '",
				 wh_commands[i]->name);
		fish_text(sb, wh_commands[i]->summary);
		wh_strbuf_puts(sb, "'\n");
	}
	for (size_t i = 0; i < wh_n_options; i++)
		fish_option(sb, &wh_options[i]);
}

struct wh_err *wh_help_completion(struct wh_strbuf *sb, const char *shell)
{
	static const struct {
		const char *name;
		void (*put)(struct wh_strbuf *sb);
	} shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
		if (!strcmp(shell, shells[i].name)) {
			shells[i].put(sb);
			return NULL;
		}
	return wh_err_new(WH_ERR_USAGE, "no completion for '%s' (bash, zsh, fish)", shell);
}
