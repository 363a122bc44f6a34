/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dwarf/layout.h"

#include <string.h>

/* Copies the @nth '|'-separated alternative of @list into @buf; false when there is none. */
static bool alternative(const char *list, size_t nth, char *buf, size_t cap)
{
	size_t len;

	for (; nth; nth--) {
		list = strchr(list, '|');
		if (!list)
			return false;
		list++;
	}
	len = strcspn(list, "|");
	if (len >= cap)
		return false;
	memcpy(buf, list, len);
	buf[len] = '\0';
	return true;
}

static bool want_find(const struct wh_types *t, const struct wh_want *w, struct wh_member *ret)
{
	char type[128], member[128];

	for (size_t i = 0; alternative(w->type, i, type, sizeof(type)); i++)
		for (size_t k = 0; alternative(w->member, k, member, sizeof(member)); k++) {
			char first[128];
			struct wh_type ty;

			/* Names are not unique: the struct that has the member is the one meant. */
			if (!alternative(w->member, k, first, sizeof(first)))
				continue;
			if (wh_types_find(t, type, first, &ty) &&
			    wh_type_find_member(ty, member, ret))
				return true;
		}
	return false;
}

struct wh_err *wh_layout_resolve(const struct wh_types *t, const struct wh_want *want, size_t n,
				 void *host)
{
	struct wh_member m;

	for (size_t i = 0; i < n; i++)
		if (!want[i].optional && !want_find(t, &want[i], &m))
			return wh_err_new(WH_ERR_NOT_FOUND, "no layout for %s.%s", want[i].type,
					  want[i].member);
	for (size_t i = 0; i < n; i++) {
		struct wh_field f = {0};

		if (want_find(t, &want[i], &m))
			f = (struct wh_field){.offset = m.offset,
					      .size = m.size,
					      .bit_off = m.bit_off,
					      .bit_size = m.bit_size,
					      .found = true};
		memcpy((char *)host + want[i].out, &f, sizeof(f));
	}
	return NULL;
}
