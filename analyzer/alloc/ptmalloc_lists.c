/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Free blocks that look used: tcache and fastbins leave PREV_INUSE of the next chunk set.
 *
 *	tcache_perthread_struct   counts[n] entries[n]		one per thread, in a chunk of its own
 *	   2.26  u8  x 64, pointers x 64			counts = blocks on the list
 *	   2.30  u16 x 64, pointers x 64
 *	   2.42  u16 x 76, pointers x 76			num_slots = free places left on the list
 *	entry                     next, key			at the user address of a cached block
 *	fastbinsY[]               chunks, linked by fd		in malloc_state, before top
 *
 * Since 2.32 `next` and `fd` are stored as value ^ (address of the field >> 12): told from plain ones by
 * which of the two ends a list properly (a word that decodes to 0 at its end).
 *
 * No symbols: a tcache is a used chunk of one of four sizes whose counts and entries agree, which a
 * word just below some thread's TLS names (its `tcache` variable), and each list of which holds nothing
 * but blocks of its own size.  All three must hold, so that a program's block which happens to look
 * alike is not believed.
 */
#include <stdlib.h>
#include <string.h>

#include "analyzer/alloc/ptmalloc.h"

#define TLS_REACH 0x10000u /* static TLS lies directly below (x86) or above the thread pointer */
#define LIST_MAX  65536u   /* GLIBC_TUNABLES lets a bin hold up to 65535 blocks */
#define BINS_MAX  76u

struct tcache_layout {
	uint32_t bins, small_bins, count_size;
	bool slots; /* the counter says how many places are left */
};
static const struct tcache_layout layouts[WH_PT_TCACHES] = {
	{64, 64, 1, false},
	{64, 64, 2, false},
	{76, 64, 2, true},
	{76, 64, 2, true},
};

void wh_pt_init_tcache(struct wh_ptmalloc *m)
{
	for (int i = 0; i < WH_PT_TCACHES; i++) {
		const struct tcache_layout *l = &layouts[i];
		uint64_t need = l->bins * (l->count_size + m->w) + m->w;

		m->tcache_sizes[i] = (need + m->align - 1) & ~(uint64_t)(m->align - 1);
	}
	/* 2.43 rounds the request twice when the first malloc, not the first free, makes the tcache */
	m->tcache_sizes[WH_PT_TCACHES - 1] += m->align;
}

static int layout_of(const struct wh_ptmalloc *m, uint64_t chunk_size)
{
	for (int i = 0; i < WH_PT_TCACHES; i++)
		if (chunk_size == m->tcache_sizes[i])
			return i;
	return -1;
}

static uint64_t count_at(const struct wh_ptmalloc *m, const struct tcache_layout *l,
			 const uint8_t *buf, uint32_t bin)
{
	return wh_get_uint(m->abi, buf + bin * l->count_size, l->count_size);
}

static uint64_t entry_at(const struct wh_ptmalloc *m, const struct tcache_layout *l,
			 const uint8_t *buf, uint32_t bin)
{
	return wh_get_word(m->abi, buf + l->bins * l->count_size + bin * m->w);
}

bool wh_pt_tcache_plausible(const struct wh_ptmalloc *m, const uint8_t *buf, uint64_t chunk_size)
{
	int li = layout_of(m, chunk_size);
	const struct tcache_layout *l = li >= 0 ? &layouts[li] : NULL;

	for (uint32_t i = 0; l && i < l->bins; i++) {
		uint64_t entry = entry_at(m, l, buf, i), count = count_at(m, l, buf, i);

		if (entry & (m->align - 1))
			return false;
		if (!l->slots && (count == 0) != (entry == 0))
			return false;
	}
	return l != NULL;
}

struct wh_err *wh_pt_collect_tls(struct wh_ptmalloc *m)
{
	WH_AUTO_FREE uint8_t *buf = malloc(2 * TLS_REACH);

	if (!buf)
		return &wh_err_nomem;
	for (size_t i = 0; i < m->p->threads.n; i++) {
		uint64_t tp = m->p->threads.v[i].tp & ~(uint64_t)(m->w - 1);
		/* read upwards in pages: what lies far below may not be mapped */
		uint64_t from = tp > TLS_REACH ? (tp - TLS_REACH) & ~0xfffull : 0;
		uint64_t end = tp + (m->p->tls_above_tp ? TLS_REACH : 4096);

		if (!tp)
			continue;
		for (uint64_t at = from; at < end; at = (at | 0xfff) + 1) {
			size_t n = wh_read_some(m->p->r, WH_VIRT, at, buf, 4096, NULL);

			for (size_t k = 0; k + m->w <= n; k += m->w) {
				uint64_t v = wh_get_word(m->abi, buf + k);

				if (v > 4096 && !(v & (m->align - 1)))
					WH_TRY(wh_map_set(&m->tls_words, v, i, NULL));
			}
		}
	}
	return NULL;
}

/* ---- lists ---- */

/* Chunk size of a small bin; large bins of 2.42 hold ranges. */
static bool size_fits(const struct wh_ptmalloc *m, const struct tcache_layout *l, uint32_t bin,
		      uint64_t chunk_size)
{
	if (bin < l->small_bins)
		return chunk_size == m->min_chunk + bin * m->align;
	return chunk_size >= m->min_chunk + l->small_bins * m->align;
}

/* The row that starts at @user and is in use, or WH_ROW_NONE. */
static uint32_t used_row(const struct wh_ptmalloc *m, uint64_t user)
{
	const struct wh_buftab *t = m->p->t->buftab;
	uint32_t row = wh_buftab_find(t, user);

	if (row == WH_ROW_NONE || wh_buftab_addr(t, row) != user ||
	    wh_buftab_state(t, row) != WH_BUF_ALLOCATED)
		return WH_ROW_NONE;
	return row;
}

static uint64_t chunk_size_of(const struct wh_ptmalloc *m, uint32_t row)
{
	return wh_buftab_size(m->p->t->buftab, row) + m->w;
}

/* @raw was read at @where: what it points at, under the linking that this libc uses. */
static uint64_t decode(const struct wh_ptmalloc *m, uint64_t raw, uint64_t where)
{
	return m->safe_linking ? raw ^ (where >> 12) : raw;
}

/* The next block after @user: learns, from the first link seen, whether links are mangled. */
static bool next_link(struct wh_ptmalloc *m, uint64_t user, uint64_t *ret)
{
	uint64_t raw, plain, mangled;

	if (!wh_read_word(m->p->r, user, &raw))
		return false;
	if (!m->linking_known) {
		plain = raw;
		mangled = raw ^ (user >> 12);
		if (!plain != !mangled) /* the end of a list in exactly one reading */
			m->safe_linking = !mangled;
		else if ((used_row(m, mangled) == WH_ROW_NONE) !=
			 (used_row(m, plain) == WH_ROW_NONE))
			m->safe_linking = used_row(m, mangled) != WH_ROW_NONE;
		else
			m->safe_linking = (plain & (m->align - 1)) != 0;
		m->linking_known = true;
	}
	*ret = decode(m, raw, user);
	return true;
}

static void set_cached(struct wh_ptmalloc *m, uint64_t user, uint64_t size)
{
	struct wh_heap_totals *t = &m->sum;

	wh_buftab_set_state(m->p->t->buftab, user, WH_BUF_FREE);
	t->cached++;
	t->cached_bytes += size;
}

/* How many blocks of the list from @head are what they must be, at most @max. */
static uint32_t follow_tcache(struct wh_ptmalloc *m, const struct tcache_layout *l, uint32_t bin,
			      uint64_t head, uint64_t max, bool commit)
{
	uint32_t n = 0;

	for (uint64_t user = head; user && n < max; n++) {
		uint32_t row = used_row(m, user);
		uint64_t next;

		if (row == WH_ROW_NONE || !size_fits(m, l, bin, chunk_size_of(m, row)) ||
		    !next_link(m, user, &next))
			break;
		if (commit)
			set_cached(m, user, chunk_size_of(m, row));
		user = next;
	}
	return n;
}

static bool is_believable(struct wh_ptmalloc *m, const struct tcache_layout *l, const uint8_t *buf,
			  uint64_t user)
{
	uint32_t good = 0, bad = 0;

	if (m->p->tp_known)
		return wh_map_find(&m->tls_words, user, NULL);
	for (uint32_t i = 0; i < l->bins; i++) {
		uint64_t head = entry_at(m, l, buf, i);

		if (head && follow_tcache(m, l, i, head, 1, false))
			good++;
		else if (head)
			bad++;
	}
	return good > 0 && bad <= good / 8;
}

static void take_tcache(struct wh_ptmalloc *m, uint64_t user)
{
	uint8_t buf[1024];
	uint32_t row = used_row(m, user);
	uint64_t size = row == WH_ROW_NONE ? 0 : chunk_size_of(m, row);
	int li = layout_of(m, size);
	const struct tcache_layout *l;

	if (li < 0 ||
	    wh_read_some(m->p->r, WH_VIRT, user, buf, (size_t)(size - m->w), NULL) < size - m->w)
		return;
	l = &layouts[li];
	if (!is_believable(m, l, buf, user))
		return;
	m->tcache_kind = (uint32_t)li + 1;
	m->n_tcaches++;
	for (uint32_t i = 0; i < l->bins; i++) {
		uint64_t head = entry_at(m, l, buf, i), count = count_at(m, l, buf, i);
		uint64_t max = l->slots ? LIST_MAX : count;
		uint32_t n = head ? follow_tcache(m, l, i, head, max, true) : 0;

		m->n_tcache_blocks += n;
		if (!l->slots && n != count)
			wh_diag_add(
				m->p->ctx->diags, WH_DIAG_NOTE, "tcache-in-flux", user,
				"a tcache list holds %u blocks and claims %llu (caught in the middle of "
				"malloc, or damaged)",
				n, (unsigned long long)count);
	}
}

/* fastbinsY: any word between the start of malloc_state and top that names a small used chunk. */
static void take_fastbins(struct wh_ptmalloc *m, const struct wh_pt_arena *a)
{
	for (uint64_t slot = a->addr + 8; slot < a->bins - 2 * m->w; slot += m->w) {
		uint64_t chunk, user, next, size = 0, steps = 0;

		if (!wh_read_word(m->p->r, slot, &chunk) || chunk < 4096)
			continue;
		for (user = wh_pt_to_user(m, chunk); steps < LIST_MAX * 64ull; steps++) {
			uint32_t row = used_row(m, user);

			if (row == WH_ROW_NONE || chunk_size_of(m, row) > 32 * m->w ||
			    (size && chunk_size_of(m, row) != size) || !next_link(m, user, &next))
				break;
			size = chunk_size_of(m, row);
			set_cached(m, user, size);
			m->n_fast_blocks++;
			if (!next)
				break;
			user = wh_pt_to_user(m, next);
		}
	}
}

struct wh_err *wh_pt_lists(struct wh_ptmalloc *m)
{
	for (size_t i = 0; i < m->tcaches.n; i++)
		take_tcache(m, m->tcaches.v[i]);
	for (size_t i = 0; i < m->arenas.n; i++)
		take_fastbins(m, &m->arenas.v[i]);
	return NULL;
}
