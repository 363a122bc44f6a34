/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hashmap: uint64_t -> uint64_t, open addressing.  Used for address sets and small indexes; also the
 * visited set of every list walk over target memory.  Any key is allowed.  Not thread-safe for
 * writing; concurrent wh_map_find is fine.
 */
#ifndef WH_BASE_HASHMAP_H
#define WH_BASE_HASHMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/base/err.h"

struct wh_map_slot {
	uint64_t key, val;
	bool used;
};

struct wh_map {
	struct wh_map_slot *slots;
	size_t n, mask; /**< mask + 1 slots when slots is not NULL */
};
#define WH_MAP_INIT                                                                                \
	{                                                                                          \
		0                                                                                  \
	}

/** Sets @key to @val; *ret_new (may be NULL) says whether it was absent. */
struct wh_err *wh_map_set(struct wh_map *m, uint64_t key, uint64_t val,
			  bool *ret_new) WH_MUST_CHECK;
bool wh_map_find(const struct wh_map *m, uint64_t key, uint64_t *ret_val);
void wh_map_fini(struct wh_map *m);

/** 64-bit mixer (splitmix64's finaliser), also used for signatures. */
uint64_t wh_hash_u64(uint64_t x);
/** FNV-1a over bytes, chained through @seed (start with WH_HASH_SEED). */
uint64_t wh_hash_bytes(const void *p, size_t n, uint64_t seed);
#define WH_HASH_SEED 0xcbf29ce484222325ull

#endif
