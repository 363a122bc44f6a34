/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SPARC as illumos dumps it.  Register order: illumos usr/src/uts/sparc/v9/sys/procfs_isa.h,
 * prgregset_t (R_G0 .. R_TBR for ILP32; R_G0 .. R_FPRS for LP64).  These registers come in
 * NT_LWPSTATUS, not in a Linux NT_PRSTATUS, so the offsets of the latter stay 0.
 */
#include <elf.h>

#include "formats/arch_tables.h"

#define WINDOW                                                                                     \
	"g0", "g1", "g2", "g3", "g4", "g5", "g6", "g7", "o0", "o1", "o2", "o3", "o4", "o5", "sp",  \
		"o7", "l0", "l1", "l2", "l3", "l4", "l5", "l6", "l7", "i0", "i1", "i2", "i3",      \
		"i4", "i5", "fp", "i7"

static const char *const regs32[] = {WINDOW, "psr", "pc", "npc", "y", "wim", "tbr", NULL};
static const char *const regs64[] = {WINDOW, "ccr", "pc", "npc", "y", "asi", "fprs", NULL};

const struct wh_arch wh_arch_sparc = {
	.name = "sparc",
	.elf_machine = EM_SPARC,
	.abi = {.big_endian = true, .word = 4},
	.reg_names = regs32,
	.reg_sp = 14,
	.reg_pc = 33,
	.reg_tp = 7,
};

const struct wh_arch wh_arch_sparcv9 = {
	.name = "sparcv9",
	.elf_machine = EM_SPARCV9,
	.abi = {.big_endian = true, .word = 8},
	.reg_names = regs64,
	.reg_sp = 14,
	.reg_pc = 33,
	.reg_tp = 7,
};
