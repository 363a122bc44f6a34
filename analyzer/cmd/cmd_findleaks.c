/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/cmd/findings.h"

static struct wh_err *findleaks(struct wh_run *run)
{
	return wh_findings_run(run, /* is_check= */ false);
}

const struct wh_command wh_cmd_findleaks = {
	.name = "findleaks",
	.synopsis = "[options] [VMLINUX|PROGRAM] DUMP",
	.summary = "find and group the objects that nothing refers to",
	.help = "Walks the allocator, marks everything that data, stacks, registers and live objects "
		"refer to, and reports the rest in groups of one cache and one allocation stack, "
		"largest first. Where no stacks were recorded, groups are made by cache, by what "
		"the contents point at and, in processes with debug information, by type.\n\n"
		"A leak is definite (nothing refers to it and it hangs from no other leak), indirect "
		"(only leaked objects refer to it), possible (processes only: just pointers into its "
		"middle; JSON lists them, text counts them, and neither calls them leaks unless "
		"--show-leak-kinds or --fail-on asks for them, since many sound programs hold "
		"blocks so), unknown (what could refer to it is not in the dump) or suppressed.\n\n"
		"JSON lists every such object, not only the groups. The first line of the text is the "
		"verdict, the last one the totals. Finding leaks is no failure: without --fail-on the "
		"exit code is 0; weephole check is the gate for CI.",
	.examples = "weephole findleaks vmcore\tgroups by stack, largest first\n"
		    "weephole findleaks -d vmcore\twith the contents of each representative\n"
		    "weephole findleaks --json -o leaks.json vmcore\tevery object, for programs\n"
		    "weephole findleaks -s vmlinux --debug-dir=ko vmcore\twith file and line\n"
		    "weephole findleaks ./server core.4711\ta process\n",
	.groups =
		WH_OG_OUT | WH_OG_INPUT | WH_OG_SCAN | WH_OG_GROUPS | WH_OG_FINDLEAKS | WH_OG_GATE,
	.args = WH_ARGS_DUMP,
	.formats = WH_REPORT_FORMATS,
	.run = findleaks,
};
