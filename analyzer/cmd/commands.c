/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of commands.  A new one is a new cmd_*.c and two lines here. */
#include <string.h>

#include "analyzer/cmd/cmd.h"

extern const struct wh_command wh_cmd_findleaks, wh_cmd_caches, wh_cmd_whatis, wh_cmd_explain,
	wh_cmd_info, wh_cmd_trail, wh_cmd_help, wh_cmd_man, wh_cmd_completion, wh_cmd_check,
	wh_cmd_diff, wh_cmd_threads, wh_cmd_missing, wh_cmd_shell, wh_cmd_version;

const struct wh_command *const wh_commands[] = {
	&wh_cmd_findleaks, &wh_cmd_check,      &wh_cmd_diff,	&wh_cmd_explain,
	&wh_cmd_whatis,	   &wh_cmd_trail,      &wh_cmd_caches,	&wh_cmd_info,
	&wh_cmd_threads,   &wh_cmd_missing,    &wh_cmd_shell,	&wh_cmd_help,
	&wh_cmd_man,	   &wh_cmd_completion, &wh_cmd_version, NULL,
};

const struct wh_command *wh_command_find(const char *name)
{
	for (size_t i = 0; wh_commands[i]; i++)
		if (!strcmp(wh_commands[i]->name, name))
			return wh_commands[i];
	return NULL;
}
