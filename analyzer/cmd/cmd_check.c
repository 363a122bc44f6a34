/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/cmd/findings.h"

static struct wh_err *check(struct wh_run *run)
{
	return wh_findings_run(run, /* is_check= */ true);
}

const struct wh_command wh_cmd_check = {
	.name = "check",
	.synopsis = "[--baseline=FILE] [options] [VMLINUX|PROGRAM] DUMP",
	.summary = "the gate for CI: exit with 1 when there are leaks over policy",
	.help = "The same analysis as findleaks, with a verdict for machines: 0 nothing over policy, 1 "
		"findings, 3 the dump could not be read, 4 the analysis was incomplete and --strict. "
		"'Found a leak' and 'could not look' never share a code.\n\n"
		"With --baseline only groups that are new or have grown are findings. Groups are "
		"recognised by their signature: allocator, cache and the functions of the stack, so "
		"the same leak has the same signature in another dump, under KASLR and in a rebuilt "
		"kernel. --write-baseline writes the present state; a saved JSON report is a baseline "
		"too.\n\n"
		"--threshold lets small findings pass, --fail-on chooses the kinds that count "
		"(default: definite), suppressions hide what is known.",
	.examples =
		"weephole check --write-baseline=ok.txt vmcore\taccept what leaks now\n"
		"weephole check --baseline=ok.txt vmcore\tred only for what is new or has grown\n"
		"weephole check --format=junit -o leaks.xml vmcore\tfor a CI server\n"
		"weephole check --strict --threshold=4K vmcore\tignore up to 4 KiB a group\n",
	.groups = WH_OG_OUT | WH_OG_INPUT | WH_OG_SCAN | WH_OG_GROUPS | WH_OG_GATE,
	.args = WH_ARGS_DUMP,
	.formats = WH_REPORT_FORMATS,
	.run = check,
};
