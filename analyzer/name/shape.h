/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * shape: what a type says of the words of a block, for walking typed memory: which words are pointers, and
 * to what.  A shape is made from debug information on first use; the same struct of many units is one shape.
 *
 *	struct node { struct node *next; char *text; long n; }	 ──►	words: [node] [any] [none]
 *
 * Types are as hostile as any other file: nesting, members and array elements are counted, and what is
 * beyond the budget just has no pointers.
 */
#ifndef WH_NAME_SHAPE_H
#define WH_NAME_SHAPE_H

#include "analyzer/base/arena.h"
#include "analyzer/base/hashmap.h"
#include "analyzer/base/vec.h"
#include "dwarf/type.h"

#define WH_SHAPE_NONE UINT32_MAX	/**< a word that is no pointer; a type that says nothing */
#define WH_SHAPE_ANY  (UINT32_MAX - 1u) /**< a pointer to void, text, code or an opaque type */

/** A struct, union or array element that lies inside another one. */
struct wh_shape_part {
	uint64_t off;
	uint32_t shape;
};

struct wh_shape {
	const char *name; /**< "struct node", "shop::Widget", "long *"; owned by the wh_shapes */
	uint64_t size;	  /**< [bytes], never 0 */
	bool scalar;	  /**< number or pointer: arrays of it are the rule */
	bool pointers;	  /**< some word is a pointer to a known type */
	bool compiled;	  /**< the following is filled in */
	uint32_t *words;  /**< per word: the shape that it points at */
	uint32_t n_words; /**< fewer than size / word when the type is huge */
	const struct wh_shape_part *parts;
	uint32_t n_parts;
	uint32_t
		tail; /**< element of an array without length at the end; WH_SHAPE_ANY: says nothing */
	uint64_t tail_off;
	struct wh_type type;
};

struct wh_shapes {
	struct wh_abi abi;
	struct wh_arena mem;
	WH_VEC(struct wh_shape) v;
	struct wh_map by_type, by_name;
	uint64_t steps; /* left of the budget */
};

void wh_shapes_init(struct wh_shapes *s, struct wh_abi abi);
void wh_shapes_fini(struct wh_shapes *s);
/** The shape of @t, typedefs and qualifiers aside; of an array its element's, with the number of them. */
struct wh_err *wh_shapes_of(struct wh_shapes *s, struct wh_type t, uint32_t *ret,
			    uint64_t *ret_count) WH_MUST_CHECK;
/** The compiled shape; borrowed until the next call that may add one. */
struct wh_err *wh_shapes_get(struct wh_shapes *s, uint32_t shape,
			     const struct wh_shape **ret) WH_MUST_CHECK;
/** What the word at @off of @n adjacent ones (0: one, then who knows) points at.  @sh is compiled. */
uint32_t wh_shape_target(const struct wh_shapes *s, const struct wh_shape *sh, uint64_t n,
			 uint64_t off);
/** Whether a @part lies at @off of @sh, which is compiled. */
bool wh_shape_has_part(const struct wh_shape *sh, uint32_t part, uint64_t off);

#endif
