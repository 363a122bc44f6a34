/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * interior: the idioms in which a pointer into the middle of a block holds it as well as one to its start.
 * The first four are memcheck's --leak-check-heuristics, with sizes compared up to the allocator's
 * rounding, since a core knows the room of a block but not what was asked for.
 */
#ifndef WH_NAME_INTERIOR_H
#define WH_NAME_INTERIOR_H

#include "analyzer/target/process.h"

enum wh_interior {
	WH_INTERIOR_NONE,
	WH_INTERIOR_TAGGED,    /**< the start with bits below the alignment used as a tag */
	WH_INTERIOR_STDSTRING, /**< the text behind {length, capacity, count} of an old std::string */
	WH_INTERIOR_LENGTH64, /**< behind a 64-bit word that holds the size of the rest */
	WH_INTERIOR_NEWARRAY, /**< behind the count that new[] keeps for destructors */
	WH_INTERIOR_MULTIPLE, /**< a base class of an object with several vtables */
	WH_INTERIOR_DTV,      /**< behind the length of a thread's table of TLS blocks */
	WH_INTERIOR_COUNT
};

/** For wh_mark_opts.interior_ok; @arg is a const struct wh_process.  Thread-safe (own reader @r). */
unsigned int wh_interior_check(const void *arg, struct wh_reader *r, uint32_t row, uint64_t addr,
			       uint64_t size, uint64_t off);
/** "tagged", "stdstring", "length64", "newarray", "multipleinheritance", "dtv": also JSON; 16 entries. */
extern const char *const wh_interior_names[16];

#endif
