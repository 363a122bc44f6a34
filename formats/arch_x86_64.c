/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Register order: Linux arch/x86/include/uapi/asm/ptrace.h and asm/user_64.h (struct user_regs_struct). */
#include <elf.h>

#include "formats/arch_tables.h"

static const char *const regs[] = {"r15",     "r14",	  "r13", "r12", "rbp",	  "rbx", "r11",
				   "r10",     "r9",	  "r8",	 "rax", "rcx",	  "rdx", "rsi",
				   "rdi",     "orig_rax", "rip", "cs",	"eflags", "rsp", "ss",
				   "fs_base", "gs_base",  "ds",	 "es",	"fs",	  "gs",	 NULL};

const struct wh_arch wh_arch_x86_64 = {
	.name = "x86_64",
	.elf_machine = EM_X86_64,
	.abi = {.big_endian = false, .word = 8},
	.reg_names = regs,
	.reg_sp = 19,
	.reg_pc = 16,
	.reg_tp = 21,
	.prstatus_pid = 32,
	.prstatus_regs = 112,
	.red_zone = 128,
};
