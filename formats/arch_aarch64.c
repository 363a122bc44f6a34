/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Register order: Linux arch/arm64/include/uapi/asm/ptrace.h (struct user_pt_regs). */
#include <elf.h>

#include "formats/arch_tables.h"

static const char *const regs[] = {"x0",  "x1",	 "x2",	"x3",  "x4",  "x5",  "x6",     "x7",  "x8",
				   "x9",  "x10", "x11", "x12", "x13", "x14", "x15",    "x16", "x17",
				   "x18", "x19", "x20", "x21", "x22", "x23", "x24",    "x25", "x26",
				   "x27", "x28", "x29", "x30", "sp",  "pc",  "pstate", NULL};

/* No thread pointer among them: TPIDR_EL0 is in NT_ARM_TLS. */
#define AARCH64(text, order)                                                                       \
	{                                                                                          \
		.name = (text), .elf_machine = EM_AARCH64,                                         \
		.abi = {.big_endian = (order), .word = 8}, .reg_names = regs, .reg_sp = 31,        \
		.reg_pc = 32, .reg_tp = -1, .prstatus_pid = 32, .prstatus_regs = 112,              \
		.red_zone = 0, .user_tag_mask = 0xffull << 56,                                     \
	}

const struct wh_arch wh_arch_aarch64 = AARCH64("aarch64", false);
const struct wh_arch wh_arch_aarch64_be = AARCH64("aarch64_be", true);
