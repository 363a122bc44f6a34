/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan: what the scan has to read.  A target writes it once; the mark engine obeys it and knows nothing
 * else of the target.
 *
 *	root ranges    memory outside every buffer whose words are references (data, stacks, per-CPU …)
 *	loose words    single reference words (registers, struct page members), with their root kind
 *	node ranges    where the contents of the buffers lie: a physical page has one label, the address
 *	               under which pointers name it, so each page is read once however often it is mapped
 *	masks          parts whose words are not references (stale tails of arrays, recorders' pointers);
 *	               in label addresses
 *	missing        holder-capable memory that the dump lacks: what it could hold is UNKNOWN
 */
#ifndef WH_GRAPH_PLAN_H
#define WH_GRAPH_PLAN_H

#include "analyzer/base/vec.h"
#include "analyzer/graph/buftab.h"
#include "formats/mem.h"

/** A named, switchable category of roots ("image data", "per-CPU", "task stacks", "registers" …). */
struct wh_root_kind {
	const char *name; /**< borrowed for the target's life */
	bool off;	  /**< switched off by --no-roots */
};

struct wh_plan_range {
	uint64_t label; /**< VIRT address that pointers would use for the first byte */
	uint64_t addr;	/**< where to read it, in `space` */
	uint64_t len;	/**< [bytes] */
	uint16_t kind;	/**< root kind; ignored for nodes */
	uint8_t space;	/**< enum wh_space */
};

struct wh_plan_word {
	uint64_t value;
	uint64_t where; /**< address it was read from, 0 for registers */
	uint16_t kind;
	uint16_t note; /**< free for the target: register number, task index */
};

struct wh_plan_mask {
	uint64_t start, end; /**< label addresses, end exclusive */
};

/**
 * Numbers that name memory without being its address: a `struct page *`, a per-CPU pointer.  A word w in
 * [start, end) refers to the row that holds to + (w - start) / unit * step, if that row's class is
 * WH_CLASS_ALIASED.  Ranges do not overlap and do not contain 0.
 */
struct wh_plan_alias {
	uint64_t start, end;
	uint64_t unit, to, step;
};

/** Memory that could hold references and is not in the dump. */
struct wh_plan_missing {
	uint16_t cls;	  /**< class of what was there, or WH_CLASS_ANY */
	uint64_t objects; /**< how many objects it held, if known */
	uint64_t bytes;
	enum wh_mem_state why;
};
#define WH_CLASS_ANY UINT16_MAX

#define WH_PLAN_ENVELOPES 4
struct wh_plan {
	WH_VEC(struct wh_root_kind) kinds;
	WH_VEC(struct wh_plan_range) roots;
	WH_VEC(struct wh_plan_range) nodes;
	WH_VEC(struct wh_plan_word) words;
	WH_VEC(struct wh_plan_mask) masks;
	WH_VEC(struct wh_plan_alias) aliases;
	/** Set by wh_plan_freeze: a few stretches that cover all aliases, for a quick rejection. */
	struct wh_plan_mask alias_envelope[WH_PLAN_ENVELOPES];
	uint32_t n_envelopes;
	WH_VEC(struct wh_plan_missing) missing;
	uint64_t tag_clear; /**< bits cleared from every candidate word (user TBI) */
	uint64_t tag_set;   /**< bits set in every one whose bit 55 is set (arm64 kernels) */
};

/**
 * A word without the tag and signature that it may carry as a pointer.  Bit 55 tells the halves of arm64's
 * address space apart, with whatever is in the bits above it: tags of KASAN (0x00 to 0xff) and signatures
 * of return addresses.
 */
static inline uint64_t wh_plan_untag(const struct wh_plan *p, uint64_t word)
{
	word &= ~p->tag_clear;
	return word >> 55 & 1 ? word | p->tag_set : word;
}

struct wh_err *wh_plan_add_kind(struct wh_plan *p, const char *name,
				uint16_t *ret_kind) WH_MUST_CHECK;
/** Adjacent ranges are joined when added in order. */
struct wh_err *wh_plan_add_root(struct wh_plan *p, uint16_t kind, enum wh_space space,
				uint64_t addr, uint64_t label, uint64_t len) WH_MUST_CHECK;
struct wh_err *wh_plan_add_node(struct wh_plan *p, enum wh_space space, uint64_t addr,
				uint64_t label, uint64_t len) WH_MUST_CHECK;
struct wh_err *wh_plan_add_word(struct wh_plan *p, uint16_t kind, uint64_t value, uint64_t where,
				uint16_t note) WH_MUST_CHECK;
struct wh_err *wh_plan_add_mask(struct wh_plan *p, uint64_t start, uint64_t end) WH_MUST_CHECK;
struct wh_err *wh_plan_add_alias(struct wh_plan *p, uint64_t start, uint64_t end, uint64_t unit,
				 uint64_t to, uint64_t step) WH_MUST_CHECK;
/** The address that @word is an alias of; false when it is none.  After freeze. */
bool wh_plan_alias_find(const struct wh_plan *p, uint64_t word, uint64_t *ret);
struct wh_err *wh_plan_add_missing(struct wh_plan *p, uint16_t cls, uint64_t objects,
				   uint64_t bytes, enum wh_mem_state why) WH_MUST_CHECK;
/** Whether one of the @n stretches at @c holds @v. */
static inline bool wh_plan_covered(const struct wh_plan_mask *c, uint32_t n, uint64_t v)
{
	for (uint32_t k = 0; k < n; k++)
		if (v - c[k].start < c[k].end - c[k].start)
			return true;
	return false;
}
/** The @i-th of some spans of addresses, which are sorted and disjoint. */
typedef struct wh_plan_mask (*wh_plan_span_fn)(const void *arg, size_t i);
/** Covers @n spans with up to @max <= WH_PLAN_ENVELOPES stretches, cut at the widest gaps above @least_gap. */
uint32_t wh_plan_cover(wh_plan_span_fn span, const void *arg, size_t n, uint64_t least_gap,
		       uint32_t max, struct wh_plan_mask *out);
/** Sorts masks and aliases; called by the engine, harmless when repeated. */
void wh_plan_freeze(struct wh_plan *p);
void wh_plan_fini(struct wh_plan *p);

#endif
