/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dwarf_die: the opened file of type_dwarf.c and small wrappers of libdwarf, in which every error means "not
 * there".  Private to type_dwarf.c and dwarf_vars.c; the caller holds the lock.
 */
#ifndef WH_DWARF_DWARF_DIE_H
#define WH_DWARF_DWARF_DIE_H

#include <dwarf.h>
#include <libdwarf/libdwarf.h>
#include <pthread.h>

#include "analyzer/base/arena.h"
#include "analyzer/base/hashmap.h"
#include "analyzer/base/vec.h"
#include "dwarf/dwarf_types.h"

#define WH_DW_TYPES	(1ull << 63) /* in ids: of .debug_types */
#define WH_DW_DEPTH_MAX 16	     /* nesting of namespaces and scopes */

struct wh_dw_entry {
	const char *name; /* in the arena */
	uint64_t id, size;
	uint32_t next; /* of the same bucket, in order of arrival */
	uint16_t tag;
};

struct wh_dw_enumerator {
	const char *name;
	int64_t value;
};

/* A decoded struct, union or enum. */
struct wh_dw_compound {
	struct wh_member *members; /* in the arena */
	struct wh_dw_enumerator *values;
	size_t n;
};

struct wh_dwarf {
	char *path;
	pthread_mutex_t lock;
	struct wh_arena arena;
	Dwarf_Debug dbg;
	bool opened, usable, whole; /* whole: every unit is indexed */
	bool in_types;		    /* the walk has come to .debug_types */
	bool nests;		    /* classes of the unit that is indexed may hold others */
	uint32_t steps;		    /* from DIE to DIE, so far */
	uint64_t high, left;	    /* the walk of a unit: see wh_dw_walk_next */
	bool big_endian;
	uint16_t addr_size;
	WH_VEC(struct wh_dw_entry) entries;
	uint32_t *bucket; /* first entry, NONE */
	uint32_t *last;	  /* last entry, for appending */
	size_t bucket_mask;
	WH_VEC(struct wh_dw_compound) compounds;
	struct wh_map by_id; /* id -> index of compounds */
	struct wh_map
		whole_names; /* id -> const char * with namespaces, of types that lie in one */
};

void wh_dw_drop_error(struct wh_dwarf *d, Dwarf_Error *e);
void wh_dw_drop(struct wh_dwarf *d, Dwarf_Die die);
/** An attribute; NULL when @die has none.  Dropped by the caller. */
Dwarf_Attribute wh_dw_attr(struct wh_dwarf *d, Dwarf_Die die, Dwarf_Half at);
void wh_dw_attr_drop(struct wh_dwarf *d, Dwarf_Attribute a);
/** A constant attribute, signed or not. */
bool wh_dw_num(struct wh_dwarf *d, Dwarf_Die die, Dwarf_Half at, int64_t *ret);
bool wh_dw_flag(struct wh_dwarf *d, Dwarf_Die die, Dwarf_Half at);
/** True when @die lies in .debug_types. */
bool wh_dw_in_types(Dwarf_Die die);
/** The type that @at refers to, as an id; 0 none. */
uint64_t wh_dw_ref(struct wh_dwarf *d, Dwarf_Die die, Dwarf_Half at);
/** Borrowed from the file; NULL when it has none. */
const char *wh_dw_name(struct wh_dwarf *d, Dwarf_Die die);
uint16_t wh_dw_tag(struct wh_dwarf *d, Dwarf_Die die);
uint64_t wh_dw_id(struct wh_dwarf *d, Dwarf_Die die);
/** The DIE of @id; the caller drops it; NULL when there is none. */
Dwarf_Die wh_dw_at(struct wh_dwarf *d, uint64_t id);
Dwarf_Die wh_dw_child(struct wh_dwarf *d, Dwarf_Die die);
/** The next sibling; drops @die. */
Dwarf_Die wh_dw_next(struct wh_dwarf *d, Dwarf_Die die);
/**
 * The same two for a walk of a whole unit, parents before children.  There each DIE lies behind all that came
 * before it; where damage has subtrees reach into each other the walk ends, instead of taking each part as often as
 * there are ways to it.  What libdwarf reads to find a sibling counts, too: no more than WALK_READS times the unit.
 */
Dwarf_Die wh_dw_walk_child(struct wh_dwarf *d, Dwarf_Die die);
Dwarf_Die wh_dw_walk_next(struct wh_dwarf *d, Dwarf_Die die);
/** The root DIE of the next unit, where a walk begins; NULL after the last. */
Dwarf_Die wh_dw_next_unit(struct wh_dwarf *d);
/** Opens the file and indexes every unit, so that the walk over units starts anew. */
struct wh_err *wh_dw_index_whole(struct wh_dwarf *d) WH_MUST_CHECK;

#endif
