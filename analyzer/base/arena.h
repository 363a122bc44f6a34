/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arena: many small things that die together (symbol names, types, stacks).  Allocation never moves
 * what was handed out.  Not thread-safe.
 */
#ifndef WH_BASE_ARENA_H
#define WH_BASE_ARENA_H

#include <stddef.h>

struct wh_arena_block;
struct wh_arena {
	struct wh_arena_block *head;
	size_t used; /**< [bytes] handed out, for memory accounting */
};
#define WH_ARENA_INIT                                                                              \
	{                                                                                          \
		0                                                                                  \
	}

/** Zeroed, 16-byte aligned; NULL when out of memory; lives until wh_arena_fini. */
void *wh_arena_alloc(struct wh_arena *a, size_t size);
/** Copies of text; NULL when out of memory. */
char *wh_arena_strdup(struct wh_arena *a, const char *s);
char *wh_arena_strndup(struct wh_arena *a, const char *s, size_t n);
void wh_arena_fini(struct wh_arena *a);

#endif
