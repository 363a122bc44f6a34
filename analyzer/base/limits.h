/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limits: the budgets that keep hostile input from costing more than it should.  One place, so that
 * a reviewer can see them all; each is far above what a real dump needs.
 */
#ifndef WH_BASE_LIMITS_H
#define WH_BASE_LIMITS_H

#define WH_LIMIT_PFN	    (1ull << 40) /**< [pages] highest page frame believed (52-bit physical) */
#define WH_LIMIT_NOTES	    (64ull << 20) /**< [bytes] of ELF notes read */
#define WH_LIMIT_NOTE_COUNT (1u << 16)	  /**< notes kept */
#define WH_LIMIT_SEGMENTS   (1u << 22)	  /**< program headers read */
#define WH_LIMIT_SYMBOLS    (1u << 24)	  /**< symbols of one module */
#define WH_LIMIT_MODULES    (1u << 14)	  /**< modules, shared objects */
#define WH_LIMIT_TYPES	    (1u << 24)	  /**< types of one provider */
#define WH_LIMIT_TYPE_DEPTH 32		  /**< nesting when members are flattened, typedef chains */
#define WH_LIMIT_TASKS	    (1u << 22)	  /**< tasks, threads */
#define WH_LIMIT_CPUS	    8192	  /**< processors */
#define WH_LIMIT_CACHES	    (1u << 15)	  /**< slab caches; fits the class column */
#define WH_LIMIT_ROWS                                                                              \
	0x7ffffff0ull /**< buffers in the table; rows are u32, an edge keeps one bit */
#define WH_LIMIT_LIST_STEPS  (1u << 26) /**< steps of one walk over a target list */
#define WH_LIMIT_STACK_DEPTH 1024	/**< frames of one recorded or unwound stack */
#define WH_LIMIT_STRING	     4096	/**< [bytes] of one target string */

#endif
