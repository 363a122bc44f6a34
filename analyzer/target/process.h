/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * process: what a process core says before any allocator is asked: mappings, threads with their stacks,
 * the modules that are mapped.  Shared by target_user.c (which owns it) and the heap models
 * (heap.h), which claim the parts of memory that are theirs; what nobody claims is a root.
 *
 *	PT_LOAD + NT_FILE ──► maps (sorted, disjoint) ──► claims of the heaps ──► the rest: roots
 *
 * Thread-safe for reading once built.
 */
#ifndef WH_TARGET_PROCESS_H
#define WH_TARGET_PROCESS_H

#include "analyzer/base/vec.h"
#include "analyzer/target/target.h"
#include "dwarf/umodules.h"

enum wh_map_flags {
	WH_MAP_R = 1u << 0,
	WH_MAP_W = 1u << 1,
	WH_MAP_X = 1u << 2,
	WH_MAP_ELF = 1u << 3,	/**< part of a mapped ELF module */
	WH_MAP_BSS = 1u << 4,	/**< anonymous tail of a module's data */
	WH_MAP_GUARD = 1u << 5, /**< the neighbour below is a guard or a hole */
};

struct wh_map_area {
	uint64_t start, end;
	uint64_t
		present_end; /**< contents of [start, present_end) are in the core; later ones are not */
	uint32_t flags;	     /**< enum wh_map_flags */
	uint32_t module;   /**< index into modules, UINT32_MAX none */
	const char *file;  /**< mapped file, NULL anonymous; borrowed from the process */
	uint64_t file_off; /**< [bytes] */
	bool cut;	   /**< contents were written but the file is truncated */
};

struct wh_process_module {
	const char *path;    /**< as the process saw it */
	const char *name;    /**< last component */
	uint64_t start, end; /**< of all its mappings */
	uint16_t root_kind;  /**< of its writable data */
};

struct wh_thread {
	uint64_t tid;
	struct wh_regs regs;
	uint64_t sp, pc, tp;	     /**< 0 unknown */
	uint64_t stack_lo, stack_hi; /**< of the stack that sp lies in; 0 unknown */
	uint64_t own_lo, own_hi;     /**< of the thread's own stack, when sp is on another one */
	uint64_t own_sp;	     /**< lowest live address there */
	int signal;		     /**< pr_cursig */
};

/** A part of memory that some model accounts for; roots leave it out. */
enum wh_claim_kind {
	WH_CLAIM_HEAP,	   /**< holds buffers: a node range, never a root */
	WH_CLAIM_INTERNAL, /**< the allocator's own structures: neither */
	WH_CLAIM_DEAD,	   /**< dead stacks: a root only on request */
};
struct wh_claim {
	uint64_t start, end;
	enum wh_claim_kind kind;
};

struct wh_process {
	struct wh_target *t; /**< borrowed */
	struct wh_ctx *ctx;  /**< borrowed */
	struct wh_reader *r; /**< borrowed */
	const struct wh_arch *arch;
	struct wh_abi abi;
	struct wh_arena strings;
	WH_VEC(struct wh_map_area) maps;
	WH_VEC(struct wh_process_module) modules;
	WH_VEC(struct wh_thread) threads;
	WH_VEC(struct wh_claim) claims;
	WH_VEC(uint64_t)
	dead_tcbs; /**< thread descriptors of exited threads whose stack is cached */
	const struct wh_unames *names; /**< modules and their symbols; borrowed */
	const char *command;	       /**< from NT_PRPSINFO, "" unknown */
	uint64_t pid;
	int signal;	    /**< that killed it, 0 none */
	bool have_files;    /**< NT_FILE was there */
	bool memory_nodes;  /**< anonymous memory that no heap claimed is a buffer, not a root */
	bool tp_known;	    /**< every thread's thread pointer is known */
	bool tls_above_tp;  /**< static TLS lies above the thread pointer: TLS variant I (ARM) */
	bool truncated;	    /**< some mapping lost its contents to the end of the file */
	uint64_t cut_bytes; /**< [bytes] that were cut off */
};

/** @r and @names are borrowed until close. */
struct wh_err *wh_process_open(struct wh_target *t, struct wh_reader *r,
			       const struct wh_unames *names,
			       struct wh_process **ret) WH_MUST_CHECK;
void wh_process_close(struct wh_process *p);
/** The map that holds @addr; NULL when none does; borrowed. */
const struct wh_map_area *wh_process_find_map(const struct wh_process *p, uint64_t addr);
/** True when [addr, addr+len) is writable and its contents are in the core. */
bool wh_process_is_data(const struct wh_process *p, uint64_t addr, uint64_t len);
struct wh_err *wh_process_claim(struct wh_process *p, uint64_t start, uint64_t end,
				enum wh_claim_kind kind) WH_MUST_CHECK;
/** Sorts and joins the claims; before wh_process_each_free. */
void wh_process_sort_claims(struct wh_process *p);
/** The claim that holds @addr (claims must be sorted); NULL when none does. */
const struct wh_claim *wh_process_find_claim(const struct wh_process *p, uint64_t addr);
/** Calls @fn for each piece of a writable map that no claim covers, in address order. */
typedef struct wh_err *(*wh_piece_fn)(void *arg, const struct wh_map_area *m, uint64_t start,
				      uint64_t end);
struct wh_err *wh_process_each_free(struct wh_process *p, wh_piece_fn fn, void *arg) WH_MUST_CHECK;

/** Finds stacks, alternate stacks and dead ones (user_threads.c); called by wh_process_open. */
struct wh_err *wh_process_find_stacks(struct wh_process *p) WH_MUST_CHECK;
/** Adds roots and registers to the plan (user_roots.c); after all claims. */
struct wh_err *wh_process_plan_roots(struct wh_process *p) WH_MUST_CHECK;

#endif
