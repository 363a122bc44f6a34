/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * buftab_priv: the index of the buffer table, shared with the mark engine only, whose inner loop it is.
 *
 *	region   a stretch of address space with rows in it, cut where 256 KiB hold none;
 *	         a row of 64 KiB or more is a region of its own
 *	leaf     512 bytes of a dense region: one bit per 8 bytes says "a row starts here"
 *
 *	leaf.bits   . . 1 . . . . 1 . . . 1 .	row = leaf.rank + popcount(bits up to the address) - 1
 *	leaf.rank   rows that start before this leaf (in the whole table)
 *	leaf.back   distance to the start of row rank-1 [8-byte units], 0 when it is in no way near
 *
 * A lookup touches one leaf (16 bytes) and the row's size, whatever the allocator.  Leaves are 3 % of the
 * memory that holds buffers, too much for any cache; but most of a kernel's memory is full slabs:
 *
 *	page_run 4096 bytes of a dense region whose first byte a run's slot covers: that row, how far
 *	         into its slot the page begins, and which stride, for all rows of the run from there on
 *
 * which tells row, start and size from 8 bytes, a sixteenth of the page's leaves.
 */
#ifndef WH_GRAPH_BUFTAB_PRIV_H
#define WH_GRAPH_BUFTAB_PRIV_H

#include "analyzer/base/vec.h"
#include "analyzer/graph/buftab.h"

#include <pthread.h>

#define LEAF_SHIFT 9
#define LEAF_BYTES (1u << LEAF_SHIFT)
#define LEAF_GAP   (256u << 10) /* a region ends where this many bytes hold no row */
#define LARGE_ROW  (64u << 10)	/* a row that is a region of its own */
#define SLOT_SHIFT 30		/* the region directory has one slot per GiB */

#define RUN_PAGE_SHIFT 12
#define RUN_KINDS_MAX  512u  /* what page_run.kind can tell */
#define RUN_ROWS_MAX   1023u /* and page_run.rows: more than a page holds */

struct leaf {
	uint64_t bits;
	uint32_t rank;
	uint32_t back;
};

/* Distances in units of 8 bytes, as all slots are aligned to that. */
struct page_run {
	uint32_t row;	    /* whose slot covers the page's first byte */
	uint32_t into : 13; /* the slot starts so much before the page */
	uint32_t rows : 10; /* of the run, from `row` on; 0: this page is none */
	uint32_t kind : 9;
};

/* The runs' strides and sizes, a few hundred in all. */
struct run_kind {
	uint32_t stride, size; /* [bytes] */
	uint64_t inverse;      /* of the stride in 8 bytes, times 2^32, rounded up */
};

struct region {
	uint64_t start, end; /* [start, end) */
	struct leaf
		*leaves; /* dense: from the one that holds start to the one that holds end - 1 */
	struct page_run *runs; /* dense: likewise; NULL when the table has no runs */
	uint32_t first_row;
	bool dense; /* else one large row */
};

/* Directory: which regions touch a GiB of address space. */
struct slot {
	uint64_t key; /* address >> SLOT_SHIFT */
	uint32_t lo, hi;
};

/*
 * Rows while the table is built, in rising addresses: listed in the columns, each a distance from the one
 * before, or a run of slots that differ in nothing but their address and take no column.
 */
struct segment {
	uint64_t base;		  /* address of its first row */
	uint64_t end;		  /* highest end of any row so far */
	uint64_t last;		  /* address of its last row */
	size_t first;		  /* listed: index of its first row in the columns */
	uint32_t n;		  /* rows */
	uint32_t row;		  /* freeze: number of its first row */
	uint32_t stride;	  /* [bytes] of a run; 0: listed */
	uint32_t size;		  /* [bytes] of a run's rows */
	uint16_t cls;		  /* of a run */
	struct wh_buf_part *part; /* owned; NULL: listed or a run */
};

struct wh_buf_part;

/* The few sizes that do not fit 32 bits. */
struct large_size {
	uint64_t key, size; /* key: index while building, row when frozen */
};

typedef WH_VEC(struct region) region_vec;
typedef WH_VEC(struct large_size) large_vec;

/* Rows that several threads write at once: see bufpart.c. */
#define PART_SLOTS 4096u
#define PART_WIDE  UINT16_MAX /* no slot: the row follows */

struct part_slot {
	uint32_t delta; /* [8 bytes] from the row before */
	uint32_t size;	/* [bytes]; 0: free */
	uint16_t cls;
	uint8_t state;
};

struct wh_buf_writer {
	struct wh_buftab *t;
	struct part_slot slots[PART_SLOTS];
};

struct wh_buf_part {
	struct wh_buf_writer *w;
	uint64_t base, last; /* address of its first and last row */
	uint64_t end;	     /* of its last row */
	bool dense;	     /* a small row there is, and it came last */
	size_t n;	     /* rows */
	WH_VEC(uint16_t) code;
	region_vec regions; /* first_row counts in the part; leaves unset */
	large_vec large;    /* so does key */
};

struct wh_buftab {
	struct wh_ctx *ctx;
	pthread_mutex_t lock; /* building only */
	WH_VEC(struct wh_class) classes;
	WH_VEC(struct segment) segments;
	/* columns; frozen: indexed by row */
	uint32_t *size; /* [bytes], SIZE_ESCAPE: look in `large` */
	uint16_t *cls;
	uint8_t *state;
	uint32_t *delta; /* building only: [8 bytes] from the row before in its segment */
	size_t n, cap;	 /* building: rows in the columns */
	size_t run_rows; /* building only: rows of runs */
	large_vec large;
	WH_VEC(struct wh_buf_writer *) writers; /* building only; owned */
	bool frozen;

	region_vec regions;
	struct slot *slots; /* open addressing, mask + 1 entries; lo == hi: empty */
	size_t slot_mask;
	struct leaf *leaves; /* all regions' leaves in one block */
	size_t n_leaves;
	struct page_run *page_runs; /* all regions' */
	size_t n_page_runs;
	WH_VEC(struct run_kind) kinds;
};

#define SIZE_ESCAPE UINT32_MAX

/* Building; what buftab.c, bufpart.c and buftab_freeze.c share. */
/** Index of the first of the sizes that do not fit whose key is @key or above; their number when none is. */
size_t wh_buftab_large_from(const struct wh_buftab *t, uint64_t key);
struct wh_err *wh_buftab_row_append(struct wh_buftab *t, uint16_t cls, uint64_t addr, uint64_t size,
				    uint8_t state) WH_MUST_CHECK;
bool wh_buftab_acceptable(const struct wh_buftab *t, uint16_t cls, uint64_t addr, uint64_t size,
			  uint64_t count, uint64_t stride);
/* Releases what only the building phase needs. */
void wh_buftab_built(struct wh_buftab *t);
/* What comes next in address order joins the last region or begins one. */
struct wh_err *wh_regions_add(region_vec *v, struct region next) WH_MUST_CHECK;
static inline struct region row_as_region(uint32_t row, uint64_t addr, uint64_t size)
{
	return (struct region){
		.start = addr, .end = addr + size, .first_row = row, .dense = size < LARGE_ROW};
}

/* Walks a part's rows; addr starts as the part's base. */
struct part_iter {
	const struct part_slot *slots;
	const uint16_t *code;
	uint64_t addr, size;
	uint16_t cls;
	uint8_t state;
};

/* The row that is spelled out at it->code. */
void wh_part_wide(struct part_iter *it);

static inline struct part_iter part_rows(const struct wh_buf_part *p)
{
	return (struct part_iter){.slots = p->w->slots, .code = p->code.v, .addr = p->base};
}

/* To be called once for each of its rows, no more. */
static inline void part_next(struct part_iter *it)
{
	const struct part_slot *s;
	uint16_t c = *it->code++;

	if (c == PART_WIDE) {
		wh_part_wide(it);
		return;
	}
	s = &it->slots[c];
	it->addr += 8 * (uint64_t)s->delta;
	it->size = s->size;
	it->cls = s->cls;
	it->state = s->state;
}

uint64_t wh_buftab_large_size(const struct wh_buftab *t, uint32_t row);

static inline uint64_t buftab_row_size(const struct wh_buftab *t, uint32_t row)
{
	uint32_t s = t->size[row];

	return s != SIZE_ESCAPE ? s : wh_buftab_large_size(t, row);
}

/* The region that holds @addr, NULL when none does. */
static inline const struct region *buftab_region(const struct wh_buftab *t, uint64_t addr)
{
	uint64_t key = addr >> SLOT_SHIFT;
	size_t i = (size_t)(key * 0x9e3779b97f4a7c15ull >> 32) & t->slot_mask;
	uint32_t lo, hi;

	while (t->slots[i].key != key) {
		if (t->slots[i].lo == t->slots[i].hi)
			return NULL;
		i = (i + 1) & t->slot_mask;
	}
	lo = t->slots[i].lo;
	hi = t->slots[i].hi;
	/* Last region that starts at or below addr. */
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (t->regions.v[mid].start <= addr)
			lo = mid;
		else
			hi = mid;
	}
	if (lo == hi || addr < t->regions.v[lo].start || addr >= t->regions.v[lo].end)
		return NULL;
	return &t->regions.v[lo];
}

/* The region that has @row: regions are in row order. */
static inline size_t buftab_region_of_row(const struct wh_buftab *t, uint32_t row)
{
	size_t lo = 0, hi = t->regions.n;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->regions.v[mid].first_row <= row)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* Bits set, without the instruction that the baseline of amd64 lacks (a call otherwise). */
static inline uint32_t bits_count(uint64_t v)
{
	v -= v >> 1 & 0x5555555555555555ull;
	v = (v & 0x3333333333333333ull) + (v >> 2 & 0x3333333333333333ull);
	v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return (uint32_t)(v * 0x0101010101010101ull >> 56);
}

/* The last row of a dense region that starts at or below @addr, whose leaf is @l; sets its start. */
static inline uint32_t leaf_rank(const struct leaf *l, uint64_t addr, uint64_t *ret_start)
{
	uint64_t base = addr & ~(uint64_t)(LEAF_BYTES - 1), m;
	unsigned int bit = (unsigned int)(addr >> 3) & 63;

	m = l->bits & (~0ull >> (63 - bit));
	if (m) {
		*ret_start = base + 8 * (uint64_t)(63 - __builtin_clzll(m));
		return l->rank + bits_count(m) - 1;
	}
	if (!l->back)
		return WH_ROW_NONE;
	*ret_start = base - 8 * (uint64_t)l->back;
	return l->rank - 1;
}

/* The row of a dense region whose extent holds @addr; sets its start. */
static inline uint32_t leaf_find(const struct wh_buftab *t, const struct leaf *l, uint64_t addr,
				 uint64_t *ret_start)
{
	uint64_t start;
	uint32_t row = leaf_rank(l, addr, &start);

	if (row == WH_ROW_NONE || addr - start >= buftab_row_size(t, row))
		return WH_ROW_NONE;
	*ret_start = start;
	return row;
}

static inline const struct page_run *region_run(const struct region *r, uint64_t addr)
{
	return &r->runs[(addr >> RUN_PAGE_SHIFT) - (r->start >> RUN_PAGE_SHIFT)];
}

/* The row that holds @addr, when the run of @addr's page knows it; else ask the leaf. */
static inline uint32_t run_find(const struct wh_buftab *t, const struct page_run *p, uint64_t addr,
				uint64_t *ret_start)
{
	const struct run_kind *k;
	uint64_t page = addr >> RUN_PAGE_SHIFT << RUN_PAGE_SHIFT;
	uint32_t i;

	if (!p->rows)
		return WH_ROW_NONE;
	k = &t->kinds.v[p->kind];
	/* exact, as dividend and divisor are below 2^14 */
	i = (uint32_t)(((addr - page) / 8 + p->into) * k->inverse >> 32);
	*ret_start = page - 8 * (uint64_t)p->into + (uint64_t)i * k->stride;
	return i < p->rows && addr - *ret_start < k->size ? p->row + i : WH_ROW_NONE;
}

static inline const struct leaf *region_leaf(const struct region *r, uint64_t addr)
{
	return &r->leaves[(addr >> LEAF_SHIFT) - (r->start >> LEAF_SHIFT)];
}

static inline size_t region_leaf_count(const struct region *r)
{
	return (size_t)(((r->end - 1) >> LEAF_SHIFT) - (r->start >> LEAF_SHIFT) + 1);
}

static inline size_t region_page_count(const struct region *r)
{
	return (size_t)(((r->end - 1) >> RUN_PAGE_SHIFT) - (r->start >> RUN_PAGE_SHIFT) + 1);
}

/* Address of the first byte of a region's @i-th leaf. */
static inline uint64_t leaf_base(const struct region *r, size_t i)
{
	return ((r->start >> LEAF_SHIFT) + i) << LEAF_SHIFT;
}

/* Walks rows in address order from the first one that ends above @addr. */
struct row_iter {
	const struct wh_buftab *t;
	size_t region, leaf;
	uint64_t base; /* of the leaf */
	uint64_t bits; /* not yet visited starts of the leaf */
	uint32_t next; /* number of the row that comes next */
	uint32_t row;
	uint64_t start;
	bool have_large;
};
void wh_row_iter_init(struct row_iter *it, const struct wh_buftab *t, uint64_t addr);
/* row_iter_next when the leaf has no more starts. */
bool wh_row_iter_leave(struct row_iter *it);

/* False at the end; otherwise it->row and it->start are the current row.  Only every leaf costs a call. */
static inline bool row_iter_next(struct row_iter *it)
{
	if (!it->bits)
		return wh_row_iter_leave(it);
	it->start = it->base + 8 * (uint64_t)__builtin_ctzll(it->bits);
	it->row = it->next++;
	it->bits &= it->bits - 1;
	return true;
}

#endif
