/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter: which of up to 64 words lie in one of a few ranges?  The first question of the scan, asked of
 * every word of the dump; all but a few say no, so it is answered for several words at a time where the
 * host can.  Thread-safe.
 */
#ifndef WH_GRAPH_FILTER_H
#define WH_GRAPH_FILTER_H

#include <stddef.h>
#include <stdint.h>

#define FILTER_RANGES 8

struct filter;
typedef uint64_t (*filter_fn)(const struct filter *f, const uint8_t *p, size_t n);

struct filter {
	uint64_t start[FILTER_RANGES], len[FILTER_RANGES];
	unsigned int n;
	filter_fn run; /* chosen for this host */
	/* The same, four times over and shifted by 2^63, as the vector loop wants them. */
	uint64_t start4[FILTER_RANGES][4], len4[FILTER_RANGES][4];
};

/* Adds [start, start+len), which must not contain 0; more than FILTER_RANGES is a bug of the caller. */
void wh_filter_add(struct filter *f, uint64_t start, uint64_t len);
/* Chooses the implementation; after the last wh_filter_add. */
void wh_filter_freeze(struct filter *f);

/* Bit i: the i-th of @n <= 64 little-endian 64-bit words at @p lies in a range. */
static inline uint64_t filter_run(const struct filter *f, const uint8_t *p, size_t n)
{
	return f->run(f, p, n);
}

#endif
