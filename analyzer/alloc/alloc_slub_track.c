/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SLUB's tracks: who allocated and who freed an object last, kept behind it (slub_debug=U).
 *
 *	object … inuse │ free pointer, if it lies outside │ alloc track │ free track │ requested size
 *
 * A track has a stack depot handle, or before 5.19 the addresses themselves (mm/slub.c, struct track).
 */
#include "analyzer/alloc/kslab.h"

#include <string.h>

struct track_layout {
	struct wh_field addr, handle, addrs, cpu, pid, when;
};
static const struct wh_want wants[] = {
	WH_WANT(struct track_layout, addr, "track", "addr"),
	WH_WANT(struct track_layout, when, "track", "when"),
	WH_WANT_OPT(struct track_layout, handle, "track", "handle"),
	WH_WANT_OPT(struct track_layout, addrs, "track", "addrs"),
	WH_WANT_OPT(struct track_layout, cpu, "track", "cpu"),
	WH_WANT_OPT(struct track_layout, pid, "track", "pid"),
};

static uint64_t info_end(const struct wh_kcache *c)
{
	return c->offset >= c->inuse ? c->inuse + 8 : c->inuse;
}

static bool read_field(const struct wh_kslab *k, const uint8_t *buf, size_t len,
		       const struct wh_field *f, uint64_t *ret)
{
	*ret = 0;
	return wh_lx_field_buf(k->x, buf, len, f, ret);
}

bool wh_ktrack_read(const struct wh_kslab *k, const struct wh_kcache *c, uint64_t obj, int which,
		    struct wh_ktrack *ret)
{
	struct wh_types *ty = k->x->names->types;
	struct track_layout l;
	struct wh_ktrack t = {.valid = true};
	uint64_t size, v;
	uint8_t buf[256];
	struct wh_err *e;

	if (!c->store_user || !wh_types_sizeof(ty, "track", &size) || size > sizeof(buf) ||
	    info_end(c) + 2 * size > c->size)
		return false;
	e = wh_layout_resolve(ty, wants, sizeof(wants) / sizeof(wants[0]), &l);
	if (e) {
		wh_err_destroy(e);
		return false;
	}
	if (wh_read_some(k->x->r, WH_VIRT, obj + info_end(c) + (uint64_t)which * size, buf, size,
			 NULL) != size)
		return false;
	read_field(k, buf, size, &l.addr, &t.addr);
	read_field(k, buf, size, &l.when, &t.when);
	read_field(k, buf, size, &l.handle, &v);
	t.handle = (uint32_t)v;
	read_field(k, buf, size, &l.cpu, &v);
	t.cpu = (uint32_t)v;
	read_field(k, buf, size, &l.pid, &v);
	t.pid = (uint32_t)v;
	for (uint64_t off = 0; l.addrs.found && off + 8 <= l.addrs.size && t.n_addrs < 16;
	     off += 8) {
		v = wh_get_u64(k->x->abi, buf + l.addrs.offset + off);
		if (!v || v == UINT64_MAX)
			break;
		t.addrs[t.n_addrs++] = v;
	}
	if (!t.addr || t.addr < k->x->ks->kernel_min)
		return false; /* never set */
	*ret = t;
	return true;
}

uint32_t wh_ktrack_requested_off(const struct wh_kslab *k, const struct wh_kcache *c)
{
	uint64_t size;

	if (!c->store_user || !(c->flags & k->flags.kmalloc) || k->x->lay.is_slab_alloc ||
	    !wh_types_sizeof(k->x->names->types, "track", &size) || size > 256 ||
	    info_end(c) + 2 * size + 4 > c->size)
		return 0;
	return (uint32_t)(info_end(c) + 2 * size);
}

/*
 * krealloc and ksize correct the note since 6.2 only; before, an array that grew within its object has
 * members behind it.  Struct slab was turned round in the same release: the cache comes first since.
 */
bool wh_ktrack_requested_exact(const struct wh_kslab *k)
{
	const struct wh_lx_layout *l = &k->x->lay;

	return l->slab_list.found && l->slab_cache.offset < l->slab_list.offset;
}

uint64_t wh_ktrack_requested(const struct wh_kslab *k, const struct wh_kcache *c, uint64_t obj)
{
	uint32_t off = wh_ktrack_requested_off(k, c), v;

	return off && wh_read_u32(k->x->r, obj + off, &v) && v <= c->object_size ? v : 0;
}
