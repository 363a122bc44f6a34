/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rows on their way to the table, when there are tens of millions and several threads find them.
 *
 *	writer   one thread's; a dictionary of {distance to the row before, size, class, state}
 *	part     rows of one stretch of memory: one u16 a row, its place in the writer's dictionary
 *
 *	code  17 17 3 17 WIDE d d d d s s s s c t 17 …		WIDE: did not fit, spelled out
 *
 * A heap's rows repeat a few hundred combinations, so that nearly all rows are one u16: a fifth of what the
 * columns take, and no thread waits for another.  Freeze turns parts into columns and leaves, in parallel.
 *
 * Invariants: rows of a part rise and do not overlap (others go to the table's own columns); an entry of a
 * dictionary never changes once it is set, so that parts may be read when all writers are done.
 */
#include "analyzer/graph/buftab_priv.h"

#include <string.h>

#include "analyzer/base/limits.h"

#define WIDE_WORDS 10 /* behind PART_WIDE: distance (4), size (4), class, state */

struct wh_err *wh_buf_writer_create(struct wh_buftab *t, struct wh_buf_writer **ret)
{
	struct wh_buf_writer *w = wh_calloc(1, sizeof(*w));
	struct wh_err *e;

	if (!w)
		return &wh_err_nomem;
	w->t = t;
	pthread_mutex_lock(&t->lock);
	e = WH_VEC_PUSH(&t->writers, w);
	pthread_mutex_unlock(&t->lock);
	if (e) {
		free(w);
		return e;
	}
	*ret = w;
	return NULL;
}

struct wh_err *wh_buf_part_create(struct wh_buf_writer *w, struct wh_buf_part **ret)
{
	struct wh_buf_part *p = wh_calloc(1, sizeof(*p));

	if (!p)
		return &wh_err_nomem;
	p->w = w;
	*ret = p;
	return NULL;
}

void wh_buf_part_destroy(struct wh_buf_part *p)
{
	if (!p)
		return;
	WH_VEC_FINI(&p->code);
	WH_VEC_FINI(&p->regions);
	WH_VEC_FINI(&p->large);
	free(p);
}

static inline uint32_t slot_hash(uint32_t delta, uint32_t size, uint16_t cls)
{
	return (delta * 0x9e3779b1u ^ size * 0x85ebca6bu ^ cls) >> 16;
}

/* The place of an entry in the dictionary; PART_WIDE when both of its places are taken. */
static inline uint16_t slot_of(struct wh_buf_writer *w, uint32_t delta, uint32_t size, uint16_t cls,
			       uint8_t state)
{
	uint32_t h = slot_hash(delta, size, cls);

	for (uint32_t k = 0; k < 2; k++) {
		uint32_t i = (h ^ k) & (PART_SLOTS - 1);
		struct part_slot *s = &w->slots[i];

		if (!s->size)
			*s = (struct part_slot){delta, size, cls, state};
		if (s->delta == delta && s->size == size && s->cls == cls && s->state == state)
			return (uint16_t)i;
	}
	return PART_WIDE;
}

struct wh_err *wh_regions_add(region_vec *v, struct region next)
{
	struct region *r = v->n ? &v->v[v->n - 1] : NULL;

	if (next.dense && r && r->dense && next.start < r->end + LEAF_GAP) {
		r->end = next.end;
		return NULL;
	}
	return WH_VEC_PUSH(v, next);
}

static struct wh_err *put_wide(struct wh_buf_part *p, uint64_t delta, uint64_t size, uint16_t cls,
			       uint8_t state)
{
	uint16_t *c;

	WH_TRY(WH_VEC_RESERVE(&p->code, p->code.n + WIDE_WORDS + 1));
	c = p->code.v + p->code.n;
	c[0] = PART_WIDE;
	memcpy(c + 1, &delta, sizeof(delta));
	memcpy(c + 5, &size, sizeof(size));
	c[9] = cls;
	c[10] = state;
	p->code.n += WIDE_WORDS + 1;
	return NULL;
}

/* Any row. */
static __attribute__((noinline)) struct wh_err *
part_add(struct wh_buf_part *p, uint16_t cls, uint64_t addr, uint64_t size, enum wh_buf_state state)
{
	uint64_t delta = p->n ? (addr - p->last) / 8 : 0;
	uint16_t code = PART_WIDE;

	if (!wh_buftab_acceptable(p->w->t, cls, addr, size, 1, 8) || (p->n && addr < p->end) ||
	    p->n == UINT32_MAX)
		return wh_buftab_add(p->w->t, cls, addr, size, state);
	if (delta <= UINT32_MAX && size < SIZE_ESCAPE)
		code = slot_of(p->w, (uint32_t)delta, (uint32_t)size, cls, (uint8_t)state);
	if (size >= SIZE_ESCAPE)
		WH_TRY(WH_VEC_PUSH(&p->large, (struct large_size){p->n, size}));
	WH_TRY(wh_regions_add(&p->regions, row_as_region((uint32_t)p->n, addr, size)));
	if (code != PART_WIDE)
		WH_TRY(WH_VEC_PUSH(&p->code, code));
	else
		WH_TRY(put_wide(p, delta, size, cls, (uint8_t)state));
	if (!p->n)
		p->base = addr;
	p->last = addr;
	p->end = addr + size;
	p->dense = size < LARGE_ROW;
	p->n++;
	return NULL;
}

/*
 * Called once for each block of a heap, hence the usual row is settled here: small, in the region of the row
 * before, and as the dictionary knows it.
 */
struct wh_err *wh_buf_part_add(struct wh_buf_part *p, uint16_t cls, uint64_t addr, uint64_t size,
			       enum wh_buf_state state)
{
	uint64_t delta = (addr - p->last) / 8, end = addr + size;
	const struct part_slot *s;
	uint32_t i;

	if (!p->dense || addr - p->end >= LEAF_GAP || (addr & 7) || size - 1 >= LARGE_ROW - 1 ||
	    end < addr || p->code.n == p->code.cap || p->n == UINT32_MAX)
		return part_add(p, cls, addr, size, state);
	i = slot_hash((uint32_t)delta, (uint32_t)size, cls) & (PART_SLOTS - 1);
	s = &p->w->slots[i];
	if (s->delta != delta || s->size != size || s->cls != cls || s->state != state)
		return part_add(p, cls, addr, size, state);
	p->code.v[p->code.n++] = (uint16_t)i;
	p->regions.v[p->regions.n - 1].end = end;
	p->last = addr;
	p->end = end;
	p->n++;
	return NULL;
}

struct wh_err *wh_buftab_add_part(struct wh_buftab *t, struct wh_buf_part *p)
{
	struct segment g = {
		.base = p->base, .last = p->last, .end = p->end, .n = (uint32_t)p->n, .part = p};
	struct wh_err *e = NULL;

	pthread_mutex_lock(&t->lock);
	if (t->n + t->run_rows + p->n > WH_LIMIT_ROWS)
		e = wh_err_new(WH_ERR_LIMIT, "more than %llu buffers",
			       (unsigned long long)WH_LIMIT_ROWS);
	else if (p->n && !t->frozen)
		e = WH_VEC_PUSH(&t->segments, g);
	if (!e && p->n && !t->frozen) {
		t->run_rows += p->n;
		p = NULL;
	}
	pthread_mutex_unlock(&t->lock);
	wh_buf_part_destroy(p);
	return e;
}

void wh_part_wide(struct part_iter *it)
{
	const uint16_t *c = it->code;
	uint64_t delta;

	memcpy(&delta, c, sizeof(delta));
	memcpy(&it->size, c + 4, sizeof(it->size));
	it->addr += 8 * delta;
	it->cls = c[8];
	it->state = (uint8_t)c[9];
	it->code = c + WIDE_WORDS;
}
