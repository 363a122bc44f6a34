/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arch: what depends on the machine that was dumped: byte order, word size, registers, pointer tags,
 * page tables.  All run-time values; a 64-bit x86 host reads 32-bit big-endian SPARC.
 */
#ifndef WH_FORMATS_ARCH_H
#define WH_FORMATS_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/base/err.h"

/** Byte order and word size of the target: all that is needed to decode its data. */
struct wh_abi {
	bool big_endian;
	uint8_t word; /**< [bytes] 4 or 8 */
};

static inline uint16_t wh_get_u16(struct wh_abi abi, const void *p)
{
	const uint8_t *c = p;

	return (uint16_t)(abi.big_endian ? c[0] << 8 | c[1] : c[1] << 8 | c[0]);
}

static inline uint32_t wh_get_u32(struct wh_abi abi, const void *p)
{
	uint32_t v;

	__builtin_memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return abi.big_endian ? __builtin_bswap32(v) : v;
#else
	return abi.big_endian ? v : __builtin_bswap32(v);
#endif
}

static inline uint64_t wh_get_u64(struct wh_abi abi, const void *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return abi.big_endian ? __builtin_bswap64(v) : v;
#else
	return abi.big_endian ? v : __builtin_bswap64(v);
#endif
}

/** A target word: pointer or unsigned long. */
static inline uint64_t wh_get_word(struct wh_abi abi, const void *p)
{
	return abi.word == 8 ? wh_get_u64(abi, p) : wh_get_u32(abi, p);
}

/** Unsigned integer of 1, 2, 4 or 8 bytes; 0 for other sizes. */
static inline uint64_t wh_get_uint(struct wh_abi abi, const void *p, size_t size)
{
	switch (size) {
	case 1: return *(const uint8_t *)p;
	case 2: return wh_get_u16(abi, p);
	case 4: return wh_get_u32(abi, p);
	case 8: return wh_get_u64(abi, p);
	default: return 0;
	}
}

#define WH_REGS_MAX 64
/** General registers of one thread or processor. */
struct wh_regs {
	uint64_t v[WH_REGS_MAX]; /**< in the order of wh_arch.reg_names */
	uint32_t n;
};

struct wh_arch {
	const char *
		name; /**< "x86_64", "aarch64", "aarch64_be", "i386", "arm", "armeb", "sparc", "sparcv9" */
	uint16_t elf_machine; /**< EM_* */
	struct wh_abi abi;
	const char *const *reg_names; /**< NULL-terminated, in the order of Linux NT_PRSTATUS */
	int reg_sp, reg_pc,
		reg_tp; /**< index of stack pointer, program counter, thread pointer; -1 none */
	uint32_t prstatus_pid;	/**< [bytes] offset of pr_pid in Linux NT_PRSTATUS */
	uint32_t prstatus_regs; /**< [bytes] offset of pr_reg */
	uint32_t red_zone;	/**< [bytes] below sp that the ABI lets a leaf use */
	uint64_t user_tag_mask; /**< bits to clear from a user pointer before lookup (TBI, MTE) */
};

/** By ELF e_machine, class (word) and data (byte order); NULL when unknown. */
const struct wh_arch *wh_arch_find(uint16_t elf_machine, struct wh_abi abi);
/** By utsname machine ("x86_64", "aarch64" …); NULL when unknown. */
const struct wh_arch *wh_arch_find_name(const char *machine);
/** Decodes the register part of a Linux NT_PRSTATUS descriptor. */
struct wh_err *wh_arch_prstatus(const struct wh_arch *a, const void *desc, size_t len,
				uint32_t *ret_pid, struct wh_regs *ret) WH_MUST_CHECK;

#endif
