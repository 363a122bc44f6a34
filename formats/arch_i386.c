/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Register order: Linux arch/x86/include/asm/user_32.h (struct user_regs_struct). */
#include <elf.h>

#include "formats/arch_tables.h"

static const char *const regs[] = {"ebx", "ecx", "edx",	   "esi", "edi", "ebp",
				   "eax", "ds",	 "es",	   "fs",  "gs",	 "orig_eax",
				   "eip", "cs",	 "eflags", "esp", "ss",	 NULL};

const struct wh_arch wh_arch_i386 = {
	.name = "i386",
	.elf_machine = EM_386,
	.abi = {.big_endian = false, .word = 4},
	.reg_names = regs,
	.reg_sp = 15,
	.reg_pc = 12,
	.reg_tp = -1, /* a descriptor that %gs selects: not in NT_PRSTATUS */
	.prstatus_pid = 24,
	.prstatus_regs = 72,
	.red_zone = 0,
};
