/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Per-CPU memory.  Each CPU has a copy (unit) of every chunk:
 *
 *	pointer p (what alloc_percpu returned)   = address in the chunk - pcpu_base_addr + __per_cpu_start
 *	copy of CPU c                            = p + __per_cpu_offset[c]
 *	chunk: base_addr + pcpu_unit_offsets[c]    bound_map, alloc_map: one bit every 4 bytes
 *
 * The static part of the first chunk is a root.  What alloc_percpu gave out is not: each area is one row
 * at its address in the chunk; p and the addresses of all copies are aliases of it, and the copies are
 * node ranges with its label.  So a leaked per-CPU block holds nothing.
 *
 * Layout facts: mm/percpu.c, mm/percpu-internal.h (PCPU_MIN_ALLOC_SIZE is 4 bytes).
 */
#include "analyzer/target/linux.h"

#include <string.h>

#include "analyzer/base/limits.h"

#define MIN_ALLOC 4	      /* [bytes] a bit of the maps stands for */
#define MAX_UNIT  (64u << 20) /* [bytes] largest unit believed */

static struct wh_err *cpus_open(struct wh_lx *x)
{
	uint64_t offsets, mask, off, prev = 0, n = WH_LIMIT_CPUS;
	uint32_t ids;

	if (wh_lx_symbol(x, "nr_cpu_ids", &mask) && wh_read_u32(x->r, mask, &ids) && ids && ids < n)
		n = ids;
	if (!wh_lx_symbol(x, "__per_cpu_offset", &offsets)) {
		if (wh_lx_symbol(x, "pcpu_base_addr", &off)) /* a kernel without SMP has one copy */
			return NULL;
		return WH_VEC_PUSH(&x->cpus, (struct wh_lx_cpu){0});
	}
	for (uint32_t c = 0; c < n; c++) {
		/* Entries of CPUs that cannot exist keep the initial value: all the same. */
		if (!wh_read_word(x->r, offsets + (uint64_t)c * x->abi.word, &off) || !off ||
		    (c && off == prev))
			break;
		prev = off;
		WH_TRY(WH_VEC_PUSH(&x->cpus, (struct wh_lx_cpu){.nr = c, .offset = off}));
	}
	return NULL;
}

struct chunk_layout {
	struct wh_field list, base_addr, alloc_map, bound_map, nr_pages, start_offset, end_offset;
};
static const struct wh_want wants[] = {
	WH_WANT(struct chunk_layout, list, "pcpu_chunk", "list"),
	WH_WANT(struct chunk_layout, base_addr, "pcpu_chunk", "base_addr"),
	WH_WANT(struct chunk_layout, alloc_map, "pcpu_chunk", "alloc_map"),
	WH_WANT(struct chunk_layout, bound_map, "pcpu_chunk", "bound_map"),
	WH_WANT(struct chunk_layout, nr_pages, "pcpu_chunk", "nr_pages"),
	WH_WANT_OPT(struct chunk_layout, start_offset, "pcpu_chunk", "start_offset"),
	WH_WANT_OPT(struct chunk_layout, end_offset, "pcpu_chunk", "end_offset"),
};

struct chunk_arg {
	struct wh_lx *x;
	const struct chunk_layout *l;
	struct wh_map *seen;
};

static struct wh_err *chunk_read(struct chunk_arg *a, uint64_t addr, bool reserved)
{
	struct wh_lx *x = a->x;
	struct wh_lx_chunk c = {.addr = addr, .reserved = reserved};
	uint64_t pages, start = 0, end = 0;
	bool fresh;

	WH_TRY(wh_map_set(a->seen, addr, 1, &fresh));
	if (!fresh || !wh_lx_field(x, addr, &a->l->base_addr, &c.base) ||
	    !wh_lx_field(x, addr, &a->l->alloc_map, &c.alloc_map) ||
	    !wh_lx_field(x, addr, &a->l->bound_map, &c.bound_map) ||
	    !wh_lx_field(x, addr, &a->l->nr_pages, &pages))
		return NULL;
	(void)wh_lx_field(x, addr, &a->l->start_offset, &start);
	(void)wh_lx_field(x, addr, &a->l->end_offset, &end);
	c.bytes = (uint32_t)pages * x->page_bytes;
	c.start_off = (uint32_t)start;
	c.end_off = (uint32_t)end;
	c.base = wh_lx_ptr(x, c.base);
	if (!c.bytes || c.bytes > MAX_UNIT || c.base < x->ks->kernel_min || (c.base & 7) ||
	    (uint64_t)c.start_off > c.bytes || (uint64_t)c.end_off > c.bytes) {
		wh_diag_add(x->t->ctx->diags, WH_DIAG_WARN, "percpu-chunk", addr,
			    "the per-CPU chunk at 0x%llx makes no sense", (unsigned long long)addr);
		return NULL;
	}
	c.first = c.base >= x->pcpu_base && c.base - x->pcpu_base < x->unit_size;
	return WH_VEC_PUSH(&x->chunks, c);
}

static struct wh_err *listed_chunk(void *arg, uint64_t node)
{
	struct chunk_arg *a = arg;

	return chunk_read(a, node - a->l->list.offset, false);
}

static struct wh_err *chunks_open(struct wh_lx *x)
{
	struct wh_map seen = WH_MAP_INIT;
	struct chunk_layout l;
	struct chunk_arg a = {x, &l, &seen};
	uint64_t lists, v, n = 0;
	struct wh_err *e =
		wh_layout_resolve(x->names->types, wants, sizeof(wants) / sizeof(wants[0]), &l);

	if (e) {
		wh_err_destroy(e);
		return NULL;
	}
	if (wh_lx_var(x, "pcpu_reserved_chunk", &v) && v)
		e = chunk_read(&a, wh_lx_ptr(x, v), true);
	if (!e && wh_lx_var(x, "pcpu_first_chunk", &v) && v)
		e = chunk_read(&a, wh_lx_ptr(x, v), false);
	/* pcpu_slot (before 5.14: one array a type of chunk) is an array of lists by free bytes. */
	if (!e && (wh_lx_var(x, "pcpu_chunk_lists", &lists) || wh_lx_var(x, "pcpu_slot", &lists)) &&
	    ((n = x->pcpu_slots) ||
	     (wh_lx_symbol(x, "pcpu_nr_slots", &v) && wh_read_u32(x->r, v, (uint32_t *)&n))))
		for (uint64_t i = 0; !e && i < n && i < 256; i++)
			e = wh_lx_list(x, lists + i * 2 * x->abi.word, "percpu-chunk-list",
				       listed_chunk, &a);
	wh_map_fini(&seen);
	return e;
}

struct wh_err *wh_lx_percpu_open(struct wh_lx *x)
{
	uint64_t offs, v;
	uint32_t n;

	if (x->percpu_named)
		return x->pcpu_base ? chunks_open(x) : NULL;
	WH_TRY(cpus_open(x));
	if (!wh_lx_var(x, "pcpu_base_addr", &x->pcpu_base) ||
	    !wh_lx_var(x, "pcpu_unit_offsets", &offs) || !wh_lx_symbol(x, "pcpu_unit_size", &v) ||
	    !wh_read_u32(x->r, v, &n) || !n || n > MAX_UNIT) {
		x->pcpu_base = 0;
		return NULL;
	}
	x->unit_size = n;
	x->pcpu_base = wh_lx_ptr(x, x->pcpu_base);
	for (size_t i = 0; i < x->cpus.n; i++)
		if (wh_read_word(x->r, offs + i * x->abi.word, &v))
			x->cpus.v[i].base = x->pcpu_base + v;
	/* offset of CPU 0 = pcpu_base_addr - __per_cpu_start + unit offset (setup_per_cpu_areas) */
	if (x->cpus.n)
		x->pcpu_start = x->cpus.v[0].base - x->cpus.v[0].offset;
	return chunks_open(x);
}

/* ---- roots, rows ---- */

/* The frames behind [va, va+len) become per-CPU memory; @node: they hold the row at @label. */
static struct wh_err *unit_range(struct wh_lx *x, uint64_t va, uint64_t label, uint64_t len,
				 bool node)
{
	while (len) {
		uint64_t pa, run, n;

		if (wh_virt_to_phys(x->r, va, &pa, &run) != WH_MEM_PRESENT) {
			n = x->page_bytes - (va & (x->page_bytes - 1));
		} else {
			n = x->page_bytes - (pa & (x->page_bytes - 1));
			if (n > len)
				n = len;
			if ((wh_lx_page_get(x, pa >> x->ks->page_shift) & WH_LXP_MASK) !=
			    WH_LXP_PERCPU)
				; /* given back to the page allocator */
			else if (node)
				WH_TRY(wh_plan_add_node(&x->t->plan, WH_PHYS, pa, label, n));
			else
				WH_TRY(wh_plan_add_root(&x->t->plan, x->kind_percpu, WH_PHYS, pa,
							va, n));
		}
		if (n >= len)
			break;
		va += n;
		label += n;
		len -= n;
	}
	return NULL;
}

/* The end of a unit of the first chunk may have been given back: then it belongs to somebody else. */
static void unit_frames(struct wh_lx *x, uint64_t va, uint64_t len)
{
	for (uint64_t off = 0; off < len; off += x->page_bytes) {
		uint64_t pa, pfn;
		uint8_t c;

		if (wh_virt_to_phys(x->r, va + off, &pa, NULL) != WH_MEM_PRESENT)
			continue;
		pfn = pa >> x->ks->page_shift;
		c = wh_lx_page_get(x, pfn) & WH_LXP_MASK;
		if (c == WH_LXP_RESERVED || c == WH_LXP_KERNEL)
			wh_lx_page_set(x, pfn, WH_LXP_PERCPU);
	}
}

static bool bit(const uint8_t *map, struct wh_abi abi, uint64_t i)
{
	/* unsigned long bitmaps: on a little-endian machine bits run through the bytes in order */
	if (!abi.big_endian)
		return map[i / 8] >> (i % 8) & 1;
	return wh_get_word(abi, map + i / (abi.word * 8u) * abi.word) >> (i % (abi.word * 8u)) & 1;
}

struct area {
	uint64_t start, len; /* [bytes] in the chunk */
};

static struct wh_err *area_row(struct wh_lx *x, const struct wh_lx_chunk *c, uint64_t start,
			       uint64_t end)
{
	uint64_t uo, from = start & ~7ull;

	/*
	 * Rows begin at multiples of 8: an area that does not takes in the 4 bytes before it, which belong
	 * to none then.  What is smaller than a pointer has no row.
	 */
	end &= ~7ull;
	if (end < from + 8)
		return NULL;
	WH_TRY(wh_buftab_add(x->t->buftab, x->cls_percpu, c->base + from, end - from,
			     WH_BUF_ALLOCATED));
	for (size_t i = 0; i < x->cpus.n; i++) {
		uo = x->cpus.v[i].base - x->pcpu_base;
		WH_TRY(unit_range(x, c->base + uo + from, c->base + from, end - from, true));
	}
	return NULL;
}

/* Areas run from a set bit of bound_map to the next; they are in use when alloc_map says so. */
static struct wh_err *chunk_areas(struct wh_lx *x, const struct wh_lx_chunk *c,
				  const uint8_t *alloc, const uint8_t *bound)
{
	uint64_t bits = c->bytes / MIN_ALLOC, start = 0;

	for (uint64_t i = 1; i <= bits; i++) {
		if (i < bits && !bit(bound, x->abi, i) &&
		    bit(alloc, x->abi, i) == bit(alloc, x->abi, start))
			continue;
		/* What comes before start_offset and after end_offset is not this chunk's. */
		if (bit(alloc, x->abi, start) && start * MIN_ALLOC >= (uint64_t)c->start_off &&
		    i * MIN_ALLOC <= c->bytes - (uint64_t)c->end_off)
			WH_TRY(area_row(x, c, start * MIN_ALLOC, i * MIN_ALLOC));
		start = i;
	}
	return NULL;
}

/* Every number by which memory of the chunk can be named. */
static struct wh_err *chunk_aliases(struct wh_lx *x, const struct wh_lx_chunk *c)
{
	uint64_t from = (uint64_t)c->start_off, len = c->bytes - (uint64_t)c->end_off - from;
	uint64_t p = c->base + from - x->pcpu_base + x->pcpu_start;

	if (p)
		WH_TRY(wh_plan_add_alias(&x->t->plan, p, p + len, 1, c->base + from, 1));
	for (size_t i = 0; i < x->cpus.n; i++) {
		uint64_t va = c->base + from + (x->cpus.v[i].base - x->pcpu_base);

		if (va != c->base + from)
			WH_TRY(wh_plan_add_alias(&x->t->plan, va, va + len, 1, c->base + from, 1));
	}
	return NULL;
}

static struct wh_err *chunk_build(struct wh_lx *x, const struct wh_lx_chunk *c)
{
	size_t n = (size_t)(c->bytes / MIN_ALLOC / 8 + 16);
	uint8_t *alloc WH_AUTO_FREE = wh_calloc(n, 1);
	uint8_t *bound WH_AUTO_FREE = wh_calloc(n, 1);
	size_t len = (size_t)(c->bytes / MIN_ALLOC / 8);

	if (!alloc || !bound)
		return &wh_err_nomem;
	for (size_t i = 0; i < x->cpus.n; i++)
		unit_frames(x, c->base + (x->cpus.v[i].base - x->pcpu_base), c->bytes);
	if (c->reserved)
		return NULL; /* modules' static variables: a root, below */
	if (wh_read_some(x->r, WH_VIRT, wh_lx_ptr(x, c->alloc_map), alloc, len, NULL) != len ||
	    wh_read_some(x->r, WH_VIRT, wh_lx_ptr(x, c->bound_map), bound, len, NULL) != len) {
		wh_diag_add(
			x->t->ctx->diags, WH_DIAG_WARN, "percpu-map", c->addr,
			"the map of the per-CPU chunk at 0x%llx is not readable: all of it holds",
			(unsigned long long)c->addr);
		for (size_t i = 0; i < x->cpus.n; i++)
			WH_TRY(unit_range(x, c->base + (x->cpus.v[i].base - x->pcpu_base), 0,
					  c->bytes, false));
		return NULL;
	}
	WH_TRY(chunk_areas(x, c, alloc, bound));
	return chunk_aliases(x, c);
}

/*
 * Static variables of the kernel and (reserved chunk) of modules: what lies before the part of the first
 * chunk that is given out.
 */
static struct wh_err *static_roots(struct wh_lx *x)
{
	uint64_t len = 0, reach = 0;

	for (size_t i = 0; i < x->chunks.n; i++) {
		const struct wh_lx_chunk *c = &x->chunks.v[i];

		if (c->first && !c->reserved) {
			len = c->base + (uint64_t)c->start_off - x->pcpu_base;
			reach = c->base + c->bytes - x->pcpu_base;
		}
	}
	if (!reach) /* no chunk was decoded: as far as the memory is still boot memory */
		len = reach = x->unit_size;
	x->static_size = len;
	for (size_t i = 0; i < x->cpus.n; i++) {
		unit_frames(x, x->cpus.v[i].base, reach);
		WH_TRY(unit_range(x, x->cpus.v[i].base, 0, len, false));
	}
	return NULL;
}

struct wh_err *wh_lx_percpu_build(struct wh_lx *x)
{
	if (!x->pcpu_base || !x->cpus.n)
		return NULL; /* its frames are reserved memory or vmalloc areas then, and roots */
	WH_TRY(static_roots(x));
	for (size_t i = 0; i < x->chunks.n; i++)
		WH_TRY(chunk_build(x, &x->chunks.v[i]));
	return NULL;
}
