/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK (64u << 10)

struct wh_arena_block {
	struct wh_arena_block *next;
	size_t used, size;
	_Alignas(16) unsigned char data[];
};

void *wh_arena_alloc(struct wh_arena *a, size_t size)
{
	struct wh_arena_block *b = a->head;
	size_t want, bsize;
	void *p;

	if (size > SIZE_MAX / 2)
		return NULL;
	want = (size + 15) & ~(size_t)15;
	if (!b || b->size - b->used < want) {
		bsize = want > ARENA_BLOCK / 4 ? want : ARENA_BLOCK;
		b = calloc(1, sizeof(*b) + bsize);
		if (!b)
			return NULL;
		b->size = bsize;
		/* A big one goes behind the head, so that the head's free tail is still used. */
		if (a->head && bsize == want) {
			b->next = a->head->next;
			a->head->next = b;
		} else {
			b->next = a->head;
			a->head = b;
		}
	}
	p = b->data + b->used;
	b->used += want;
	a->used += want;
	return p;
}

char *wh_arena_strndup(struct wh_arena *a, const char *s, size_t n)
{
	char *p = wh_arena_alloc(a, n + 1);

	if (p)
		memcpy(p, s, n);
	return p;
}

char *wh_arena_strdup(struct wh_arena *a, const char *s)
{
	return wh_arena_strndup(a, s, strlen(s));
}

void wh_arena_fini(struct wh_arena *a)
{
	struct wh_arena_block *b = a->head, *next;

	for (; b; b = next) {
		next = b->next;
		free(b);
	}
	*a = (struct wh_arena)WH_ARENA_INIT;
}
