/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unwind: stacks of the threads of a process core.
 *
 *	CFI            libdw on .eh_frame/.debug_frame of the file, or of the module's image in memory
 *	frame pointer  where CFI ends: chains of saved (fp, return address) that climb the stack
 *	scan           else: words of the stack that lie behind a call instruction in executable memory
 *
 * Each frame says how it was found, so that a report never passes a guess off as a fact.
 */
#ifndef WH_DWARF_UNWIND_H
#define WH_DWARF_UNWIND_H

#include "dwarf/umodules.h"

enum wh_unwind_how {
	WH_UNWIND_REGS, /**< the thread's own pc */
	WH_UNWIND_CFI,
	WH_UNWIND_FP,
	WH_UNWIND_SCAN,
	WH_UNWIND_HOW_COUNT
};

struct wh_uframe {
	uint64_t pc; /**< VIRT; a return address unless how is REGS or `signal` */
	uint64_t sp; /**< VIRT; canonical frame address or place of the return address; 0 unknown */
	enum wh_unwind_how how;
	bool signal; /**< interrupted here: pc is exact, do not subtract 1 */
};

struct wh_unwinder;
/** Not thread-safe; @n and @r are borrowed. */
struct wh_err *wh_unwinder_create(const struct wh_unames *n, struct wh_reader *r,
				  struct wh_unwinder **ret) WH_MUST_CHECK;
void wh_unwinder_destroy(struct wh_unwinder *u);
/**
 * Unwinds from @regs (order of wh_arch.reg_names).  @stack_end bounds scans and frame pointers (end of
 * the mapping that holds sp).  Returns the number of frames written, innermost first: at least 1 when
 * the machine is known and pc is not 0.
 */
size_t wh_unwind_thread(struct wh_unwinder *u, const struct wh_regs *regs, uint64_t stack_end,
			struct wh_uframe *ret, size_t cap);
/** "registers", "cfi", "frame pointer", "scan": stable words, also used in JSON. */
const char *wh_unwind_how_name(enum wh_unwind_how h);

#endif
