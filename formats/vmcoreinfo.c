/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "KEY=value" and "KIND(name)=value" lines (Linux kernel/vmcore_info.c).  SYMBOL() and KERNELOFFSET are
 * hexadecimal without 0x; SIZE, OFFSET, LENGTH are decimal; NUMBER is signed decimal from generic code
 * and 0x... from some architectures.
 */
#include "formats/vmcoreinfo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/order.h"
#include "analyzer/base/vec.h"

#define TEXT_MAX (1u << 20) /* [bytes] the kernel allows a page; be generous */

struct line {
	const char *key, *val; /* into `cut` */
};

struct wh_vmcoreinfo {
	char *text;		   /* as it came */
	char *cut;		   /* the same with '=' and newline replaced by NUL */
	WH_VEC(struct line) lines; /* sorted by key; of equal keys the last one wins */
};

static int cmp_line(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int c = strcmp(x->key, y->key);

	return c ? c : x->key < y->key ? -1 : x->key > y->key;
}

static struct wh_err *split(struct wh_vmcoreinfo *v)
{
	char *next;

	for (char *s = v->cut; s && *s; s = next) {
		char *eq;

		next = strchr(s, '\n');
		if (next)
			*next++ = 0;
		eq = strchr(s, '=');
		if (!eq || eq == s)
			continue;
		*eq = 0;
		WH_TRY(WH_VEC_PUSH(&v->lines, (struct line){s, eq + 1}));
	}
	wh_sort(v->lines.v, v->lines.n, sizeof(*v->lines.v), cmp_line);
	return NULL;
}

struct wh_err *wh_vmcoreinfo_create(const char *text, size_t len, struct wh_vmcoreinfo **ret)
{
	struct wh_vmcoreinfo *v = wh_calloc(1, sizeof(*v));
	struct wh_err *e;

	if (!v)
		return &wh_err_nomem;
	if (len > TEXT_MAX)
		len = TEXT_MAX;
	v->text = strndup(text, len);
	v->cut = v->text ? strdup(v->text) : NULL;
	e = v->cut ? split(v) : &wh_err_nomem;
	if (e) {
		wh_vmcoreinfo_destroy(v);
		return e;
	}
	*ret = v;
	return NULL;
}

void wh_vmcoreinfo_destroy(struct wh_vmcoreinfo *v)
{
	if (!v)
		return;
	WH_VEC_FINI(&v->lines);
	free(v->text);
	free(v->cut);
	free(v);
}

const char *wh_vmcoreinfo_find(const struct wh_vmcoreinfo *v, const char *key)
{
	size_t lo = WH_BOUND(i, v->lines.n, strcmp(v->lines.v[i].key, key) <= 0);

	return lo && !strcmp(v->lines.v[lo - 1].key, key) ? v->lines.v[lo - 1].val : NULL;
}

static const char *find_kind(const struct wh_vmcoreinfo *v, const char *kind, const char *name)
{
	WH_AUTO_FREE char *key = NULL;

	if (asprintf(&key, "%s(%s)", kind, name) < 0)
		return NULL;
	return wh_vmcoreinfo_find(v, key);
}

static bool parse_u64(const char *s, int base, uint64_t *ret)
{
	char *end;
	unsigned long long x;

	if (!s || !*s || *s == '-' || *s == ' ')
		return false;
	errno = 0;
	x = strtoull(s, &end, base);
	if (errno || end == s || *end)
		return false;
	*ret = x;
	return true;
}

bool wh_vmcoreinfo_symbol(const struct wh_vmcoreinfo *v, const char *name, uint64_t *ret)
{
	return parse_u64(find_kind(v, "SYMBOL", name), 16, ret);
}

bool wh_vmcoreinfo_offset(const struct wh_vmcoreinfo *v, const char *name, uint64_t *ret)
{
	return parse_u64(find_kind(v, "OFFSET", name), 10, ret);
}

bool wh_vmcoreinfo_size(const struct wh_vmcoreinfo *v, const char *name, uint64_t *ret)
{
	return parse_u64(find_kind(v, "SIZE", name), 10, ret);
}

bool wh_vmcoreinfo_length(const struct wh_vmcoreinfo *v, const char *name, uint64_t *ret)
{
	return parse_u64(find_kind(v, "LENGTH", name), 10, ret);
}

bool wh_vmcoreinfo_number(const struct wh_vmcoreinfo *v, const char *name, int64_t *ret)
{
	const char *s = find_kind(v, "NUMBER", name);
	bool minus = s && *s == '-';
	uint64_t x;

	if (!s)
		return false;
	s += minus;
	if (!parse_u64(s, !strncmp(s, "0x", 2) ? 16 : 10, &x))
		return false;
	*ret = (int64_t)(minus ? 0 - x : x);
	return true;
}

const char *wh_vmcoreinfo_text(const struct wh_vmcoreinfo *v)
{
	return v->text;
}
