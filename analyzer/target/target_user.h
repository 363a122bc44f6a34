/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * target_user: a process (ELF core) as a target: its mappings and threads (process.h), the heap models
 * that were found in it (heap.h) and the names of its modules.  What the commands that only make sense
 * for processes (threads, missing) need beyond target.h.
 */
#ifndef WH_TARGET_USER_H
#define WH_TARGET_USER_H

#include "analyzer/alloc/heap.h"

struct wh_user_types;
struct wh_user {
	struct wh_target *t;	     /**< borrowed */
	struct wh_mem *mem;	     /**< owned */
	struct wh_reader *r;	     /**< owned */
	struct wh_process *p;	     /**< owned */
	wh_heap_vec heaps;	     /**< owned */
	struct wh_unames *names;     /**< owned */
	struct wh_user_types *types; /**< owned; of user_types.c, made when first asked */
};

/** The process behind a target; NULL when it is no process. */
struct wh_user *wh_target_get_user(struct wh_target *t);

/* user_info.c */
struct wh_err *wh_user_info(struct wh_user *u, struct wh_arena *a, wh_fact_vec *ret) WH_MUST_CHECK;
struct wh_err *wh_user_whatis(struct wh_user *u, uint64_t addr, struct wh_arena *a,
			      wh_whatis_vec *ret) WH_MUST_CHECK;
bool wh_user_symbolize(struct wh_user *u, uint64_t addr, struct wh_frame *ret);
/* user_name.c */
/** What the contents of a row say that it is: "class shop::Widget", "-> symbol", "text"; NULL nothing. */
const char *wh_user_signature(struct wh_user *u, uint32_t row, struct wh_arena *a);
struct wh_strbuf;
/** Appends the class whose vtable @first, the first word of a block, points at; false when it does not. */
bool wh_user_class_name(struct wh_user *u, uint64_t first, struct wh_strbuf *sb);
/* user_types.c */
/** What debug information says of the type of a row; *ret untouched when nothing. */
struct wh_err *wh_user_type(struct wh_user *u, uint32_t row, struct wh_arena *a,
			    struct wh_row_type *ret) WH_MUST_CHECK;
void wh_user_types_destroy(struct wh_user_types *ut);

#endif
