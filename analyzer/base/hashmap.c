/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/base/hashmap.h"

#include <stdlib.h>

uint64_t wh_hash_u64(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

uint64_t wh_hash_bytes(const void *p, size_t n, uint64_t seed)
{
	const unsigned char *c = p;

	for (size_t i = 0; i < n; i++)
		seed = (seed ^ c[i]) * 0x100000001b3ull;
	return seed;
}

static struct wh_map_slot *map_slot(const struct wh_map *m, uint64_t key)
{
	size_t i = (size_t)wh_hash_u64(key) & m->mask;

	while (m->slots[i].used && m->slots[i].key != key)
		i = (i + 1) & m->mask;
	return &m->slots[i];
}

static struct wh_err *map_grow(struct wh_map *m)
{
	size_t cap = m->slots ? (m->mask + 1) * 2 : 64;
	struct wh_map bigger = {.slots = calloc(cap, sizeof(*m->slots)), .mask = cap - 1};

	if (!bigger.slots)
		return &wh_err_nomem;
	for (size_t i = 0; m->slots && i <= m->mask; i++)
		if (m->slots[i].used)
			*map_slot(&bigger, m->slots[i].key) = m->slots[i];
	bigger.n = m->n;
	free(m->slots);
	*m = bigger;
	return NULL;
}

struct wh_err *wh_map_set(struct wh_map *m, uint64_t key, uint64_t val, bool *ret_new)
{
	struct wh_map_slot *s;

	if (!m->slots || m->n * 3 >= (m->mask + 1) * 2)
		WH_TRY(map_grow(m));
	s = map_slot(m, key);
	if (ret_new)
		*ret_new = !s->used;
	if (!s->used)
		m->n++;
	*s = (struct wh_map_slot){.key = key, .val = val, .used = true};
	return NULL;
}

bool wh_map_find(const struct wh_map *m, uint64_t key, uint64_t *ret_val)
{
	struct wh_map_slot *s;

	if (!m->slots)
		return false;
	s = map_slot(m, key);
	if (!s->used)
		return false;
	if (ret_val)
		*ret_val = s->val;
	return true;
}

void wh_map_fini(struct wh_map *m)
{
	free(m->slots);
	*m = (struct wh_map)WH_MAP_INIT;
}
