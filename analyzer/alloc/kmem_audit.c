/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Audit records and logs.  Each transaction writes the buffer's record and copies it to the log; the copy
 * keeps the address of the copy before it:
 *
 *	bufctl ──bc_lastlog──► copy ──bc_lastlog──► older copy ──► …   (overwritten when the log wraps)
 */
#include "analyzer/alloc/kmem_core.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/base/limits.h"

#define LOG_SIZE_MAX   (1ull << 34)
#define LOG_CHUNKS_MAX (1u << 16) /* the kernel makes four a processor */

static void audit_decode(const struct wh_kmem *k, const uint8_t *p, uint64_t ctl,
			 struct wh_audit *a)
{
	const struct wh_kmem_layout *l = &k->l;
	uint32_t room = k->stack_depth;

	memset(a, 0, offsetof(struct wh_audit, stack));
	a->ctl = ctl;
	a->next = wh_kmem_get(k, p, l->bc_next);
	a->addr = wh_kmem_get(k, p, l->bc_addr);
	a->slab = wh_kmem_get(k, p, l->bc_slab);
	a->cache = wh_kmem_get(k, p, l->bc_cache);
	a->timestamp = (int64_t)wh_kmem_get(k, p, l->bc_timestamp);
	a->thread = wh_kmem_get(k, p, l->bc_thread);
	a->lastlog = wh_kmem_get(k, p, l->bc_lastlog);
	a->contents = wh_kmem_get(k, p, l->bc_contents);
	a->raw_depth = (int32_t)wh_kmem_get(k, p, l->bc_depth);
	if (room > sizeof(a->stack) / sizeof(*a->stack))
		room = sizeof(a->stack) / sizeof(*a->stack);
	a->depth = a->raw_depth < 0 ? 0 : (uint32_t)a->raw_depth;
	if (a->depth > room)
		a->depth = room;
	for (uint32_t i = 0; i < a->depth; i++)
		a->stack[i] = wh_get_word(k->abi, p + l->bc_stack.offset + i * k->abi.word);
}

bool wh_audit_read(struct wh_kmem *k, uint64_t ctl, struct wh_audit *ret)
{
	uint8_t p[16384];

	if (k->audit_size > sizeof(p) ||
	    wh_read_some(k->r, WH_VIRT, ctl, p, (size_t)k->audit_size, NULL) < k->audit_size)
		return false;
	audit_decode(k, p, ctl, ret);
	return true;
}

static bool same_moment(const struct wh_audit *a, const struct wh_audit *b)
{
	return a->addr == b->addr && a->cache == b->cache && a->slab == b->slab &&
	       a->timestamp == b->timestamp && a->thread == b->thread;
}

bool wh_audit_previous(struct wh_kmem *k, const struct wh_audit *a, bool first,
		       struct wh_audit *ret)
{
	struct wh_audit b;

	if (!a->lastlog || a->lastlog == a->ctl || !wh_audit_read(k, a->lastlog, &b))
		return false;
	/* The newest copy is the record itself: step over it. */
	if (first && same_moment(a, &b))
		return wh_audit_previous(k, &b, false, ret);
	if (b.addr != a->addr || b.cache != a->cache || b.slab != a->slab ||
	    b.timestamp >= a->timestamp)
		return false;
	*ret = b;
	return true;
}

bool wh_kmem_log_read(struct wh_kmem *k, uint64_t header, struct wh_kmem_log *ret)
{
	const struct wh_kmem_layout *l = &k->l;
	struct wh_kmem_log g = {.addr = header, .whole = true};

	if (!header || !wh_kmem_field(k, header, l->lh_base, &g.base) ||
	    !wh_kmem_field(k, header, l->lh_chunksize, &g.chunksize) ||
	    !wh_kmem_field(k, header, l->lh_nchunks, &g.nchunks))
		return false;
	if (!g.base || g.chunksize < k->audit_size || g.nchunks > LOG_CHUNKS_MAX ||
	    g.chunksize > LOG_SIZE_MAX / (g.nchunks + 1))
		return false;
	*ret = g;
	return true;
}

bool wh_kmem_log_open(struct wh_kmem *k, const char *var, struct wh_kmem_log *ret)
{
	uint64_t header;

	return wh_kmem_var_word(k, var, &header) && wh_kmem_log_read(k, header, ret);
}

static int entry_cmp(const void *pa, const void *pb)
{
	const struct wh_log_entry *a = pa, *b = pb;

	if (a->timestamp != b->timestamp)
		return a->timestamp > b->timestamp ? -1 : 1;
	return a->addr < b->addr ? -1 : a->addr > b->addr;
}

/* The record that a processor writes next; what lies before it in its chunk is its own. */
struct log_cpu {
	uint64_t chunk, current;
};

static int32_t log_cpu_of(const struct log_cpu *cpus, uint64_t n, uint64_t chunk, uint64_t addr)
{
	for (uint64_t i = 0; i < n; i++)
		if (cpus[i].chunk == chunk && addr < cpus[i].current)
			return (int32_t)i;
	return -1;
}

/* Records back to back; what the dump lacks is stepped over, not asked for record by record. */
static struct wh_err *log_chunk(struct wh_kmem *k, const struct wh_kmem_log *log, uint64_t chunk,
				wh_log_vec *ret)
{
	uint64_t base = log->base + chunk * log->chunksize;
	const struct wh_kmem_layout *l = &k->l;

	for (uint64_t off = 0; off + k->audit_size <= log->chunksize;) {
		struct wh_log_entry en = {.addr = base + off, .cpu = -1};
		size_t run = 0;
		enum wh_mem_state why;
		uint64_t ts = 0;

		if (!wh_reader_borrow(k->r, WH_VIRT, en.addr, 1, &run, &why)) {
			off += (run ? run + k->audit_size - 1 : k->audit_size) / k->audit_size *
			       k->audit_size;
			continue;
		}
		off += k->audit_size;
		if (!wh_kmem_field(k, en.addr, l->bc_timestamp, &ts) || !ts ||
		    !wh_kmem_field(k, en.addr, l->bc_addr, &en.bufaddr))
			continue;
		en.timestamp = (int64_t)ts;
		WH_TRY(WH_VEC_PUSH(ret, en));
	}
	return NULL;
}

static struct wh_err *log_cpus(struct wh_kmem *k, const struct wh_kmem_log *log, uint64_t n,
			       struct log_cpu **ret)
{
	const struct wh_kmem_layout *l = &k->l;

	*ret = wh_calloc((size_t)n + 1, sizeof(**ret));
	if (!*ret)
		return &wh_err_nomem;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t cpu = log->addr + l->lh_cpu.offset + i * l->clh_size;

		if (!wh_kmem_field(k, cpu, l->clh_current, &(*ret)[i].current) ||
		    !wh_kmem_field(k, cpu, l->clh_chunk, &(*ret)[i].chunk))
			(*ret)[i].current = 0;
	}
	return NULL;
}

struct wh_err *wh_kmem_log_list(struct wh_kmem *k, const struct wh_kmem_log *log, wh_log_vec *ret)
{
	uint64_t n = k->l.clh_current.found ? k->ncpus : 0;
	WH_AUTO_FREE struct log_cpu *cpus = NULL;

	WH_TRY(log_cpus(k, log, n, &cpus));
	for (uint64_t c = 0; c < log->nchunks; c++) {
		size_t from = ret->n;

		WH_TRY(log_chunk(k, log, c, ret));
		for (size_t i = from; i < ret->n; i++)
			ret->v[i].cpu = log_cpu_of(cpus, n, c, ret->v[i].addr);
		if (wh_ctx_cancelled(k->ctx))
			return &wh_err_cancelled;
	}
	if (ret->n)
		wh_sort(ret->v, ret->n, sizeof(*ret->v), entry_cmp);
	return NULL;
}
