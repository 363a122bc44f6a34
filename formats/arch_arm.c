/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Register order: Linux arch/arm/include/uapi/asm/ptrace.h (struct pt_regs). */
#include <elf.h>

#include "formats/arch_tables.h"

static const char *const regs[] = {"r0", "r1", "r2",   "r3",	  "r4", "r5", "r6",
				   "r7", "r8", "r9",   "r10",	  "fp", "ip", "sp",
				   "lr", "pc", "cpsr", "orig_r0", NULL};

/* No thread pointer among them: TPIDRURO is in NT_ARM_TLS. */
#define ARM(text, order)                                                                           \
	{                                                                                          \
		.name = (text), .elf_machine = EM_ARM, .abi = {.big_endian = (order), .word = 4},  \
		.reg_names = regs, .reg_sp = 13, .reg_pc = 15, .reg_tp = -1, .prstatus_pid = 24,   \
		.prstatus_regs = 72, .red_zone = 0,                                                \
	}

const struct wh_arch wh_arch_arm = ARM("arm", false);
const struct wh_arch wh_arch_armeb = ARM("armeb", true);
