/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dwarf/dwarf_die.h"

#define STEPS_MAX  (1u << 28)
#define WALK_READS ((uint64_t)2 * WH_DW_DEPTH_MAX) /* each level reads what is below it once */

void wh_dw_drop_error(struct wh_dwarf *d, Dwarf_Error *e)
{
	if (*e)
		dwarf_dealloc_error(d->dbg, *e);
	*e = NULL;
}

void wh_dw_drop(struct wh_dwarf *d, Dwarf_Die die)
{
	if (die)
		dwarf_dealloc(d->dbg, die, DW_DLA_DIE);
}

Dwarf_Attribute wh_dw_attr(struct wh_dwarf *d, Dwarf_Die die, Dwarf_Half at)
{
	Dwarf_Attribute a = NULL;
	Dwarf_Error e = NULL;

	if (dwarf_attr(die, at, &a, &e) == DW_DLV_OK)
		return a;
	wh_dw_drop_error(d, &e);
	return NULL;
}

void wh_dw_attr_drop(struct wh_dwarf *d, Dwarf_Attribute a)
{
	if (a)
		dwarf_dealloc(d->dbg, a, DW_DLA_ATTR);
}

bool wh_dw_num(struct wh_dwarf *d, Dwarf_Die die, Dwarf_Half at, int64_t *ret)
{
	Dwarf_Attribute a = wh_dw_attr(d, die, at);
	Dwarf_Error e = NULL;
	Dwarf_Unsigned u = 0;
	Dwarf_Signed s = 0;
	bool ok = false;

	if (!a)
		return false;
	if (dwarf_formudata(a, &u, &e) == DW_DLV_OK) {
		*ret = (int64_t)u;
		ok = true;
	} else {
		wh_dw_drop_error(d, &e);
		if (dwarf_formsdata(a, &s, &e) == DW_DLV_OK) {
			*ret = s;
			ok = true;
		}
	}
	wh_dw_drop_error(d, &e);
	wh_dw_attr_drop(d, a);
	return ok;
}

bool wh_dw_flag(struct wh_dwarf *d, Dwarf_Die die, Dwarf_Half at)
{
	Dwarf_Attribute a = wh_dw_attr(d, die, at);
	Dwarf_Error e = NULL;
	Dwarf_Bool b = false;

	if (!a)
		return false;
	if (dwarf_formflag(a, &b, &e) != DW_DLV_OK)
		wh_dw_drop_error(d, &e);
	wh_dw_attr_drop(d, a);
	return b;
}

bool wh_dw_in_types(Dwarf_Die die)
{
	return !dwarf_get_die_infotypes_flag(die);
}

uint64_t wh_dw_ref(struct wh_dwarf *d, Dwarf_Die die, Dwarf_Half at)
{
	Dwarf_Attribute a = wh_dw_attr(d, die, at);
	Dwarf_Error e = NULL;
	Dwarf_Half form = 0;
	Dwarf_Off off = 0;
	uint64_t id = 0;

	if (!a)
		return 0;
	if (dwarf_whatform(a, &form, &e) == DW_DLV_OK && form == DW_FORM_ref_sig8) {
		Dwarf_Sig8 sig;
		Dwarf_Die target = NULL;
		Dwarf_Bool info = true;

		if (dwarf_formsig8(a, &sig, &e) == DW_DLV_OK &&
		    dwarf_find_die_given_sig8(d->dbg, &sig, &target, &info, &e) == DW_DLV_OK &&
		    dwarf_dieoffset(target, &off, &e) == DW_DLV_OK)
			id = off | (info ? 0 : WH_DW_TYPES);
		wh_dw_drop(d, target);
	} else if (dwarf_global_formref(a, &off, &e) == DW_DLV_OK) {
		id = off | (wh_dw_in_types(die) ? WH_DW_TYPES : 0);
	}
	wh_dw_drop_error(d, &e);
	wh_dw_attr_drop(d, a);
	return id;
}

const char *wh_dw_name(struct wh_dwarf *d, Dwarf_Die die)
{
	Dwarf_Error e = NULL;
	char *name = NULL;

	if (dwarf_diename(die, &name, &e) == DW_DLV_OK)
		return name;
	wh_dw_drop_error(d, &e);
	return NULL;
}

uint16_t wh_dw_tag(struct wh_dwarf *d, Dwarf_Die die)
{
	Dwarf_Error e = NULL;
	Dwarf_Half tag = 0;

	if (dwarf_tag(die, &tag, &e) != DW_DLV_OK)
		wh_dw_drop_error(d, &e);
	return tag;
}

uint64_t wh_dw_id(struct wh_dwarf *d, Dwarf_Die die)
{
	Dwarf_Error e = NULL;
	Dwarf_Off off = 0;

	if (dwarf_dieoffset(die, &off, &e) != DW_DLV_OK) {
		wh_dw_drop_error(d, &e);
		return 0;
	}
	return off | (wh_dw_in_types(die) ? WH_DW_TYPES : 0);
}

Dwarf_Die wh_dw_at(struct wh_dwarf *d, uint64_t id)
{
	Dwarf_Error e = NULL;
	Dwarf_Die die = NULL;

	if (!d->dbg || !id)
		return NULL;
	if (dwarf_offdie_b(d->dbg, id & ~WH_DW_TYPES, !(id & WH_DW_TYPES), &die, &e) != DW_DLV_OK) {
		wh_dw_drop_error(d, &e);
		return NULL;
	}
	return die;
}

Dwarf_Die wh_dw_child(struct wh_dwarf *d, Dwarf_Die die)
{
	Dwarf_Error e = NULL;
	Dwarf_Die child = NULL;

	if (dwarf_child(die, &child, &e) != DW_DLV_OK) {
		wh_dw_drop_error(d, &e);
		return NULL;
	}
	return child;
}

Dwarf_Die wh_dw_next(struct wh_dwarf *d, Dwarf_Die die)
{
	Dwarf_Error e = NULL;
	Dwarf_Die next = NULL;

	if (d->steps >= STEPS_MAX ||
	    dwarf_siblingof_b(d->dbg, die, !wh_dw_in_types(die), &next, &e) != DW_DLV_OK) {
		wh_dw_drop_error(d, &e);
		next = NULL;
	}
	d->steps++;
	wh_dw_drop(d, die);
	return next;
}

/* @die when it lies behind all that the walk has seen, else NULL. */
static Dwarf_Die walk_to(struct wh_dwarf *d, Dwarf_Die die)
{
	uint64_t id = die ? wh_dw_id(d, die) : 0;

	if (die && (id <= d->high || !d->left)) {
		wh_dw_drop(d, die);
		return NULL;
	}
	if (die)
		d->high = id;
	return die;
}

Dwarf_Die wh_dw_walk_child(struct wh_dwarf *d, Dwarf_Die die)
{
	return d->left ? walk_to(d, wh_dw_child(d, die)) : NULL;
}

Dwarf_Die wh_dw_walk_next(struct wh_dwarf *d, Dwarf_Die die)
{
	uint64_t from = wh_dw_id(d, die), read;
	Dwarf_Die next;

	if (!d->left) {
		wh_dw_drop(d, die);
		return NULL;
	}
	next = wh_dw_next(d, die);
	read = next && wh_dw_id(d, next) > d->high ? wh_dw_id(d, next) - from : d->high - from;
	d->left -= read < d->left ? read : d->left;
	return walk_to(d, next);
}

/* The root DIE of the next unit; NULL after the last.  libdwarf wants a place for every field. */
Dwarf_Die wh_dw_next_unit(struct wh_dwarf *d)
{
	Dwarf_Unsigned len = 0, type_off = 0, next = 0;
	Dwarf_Half version, addr_size, off_size, ext_size, unit_type;
	Dwarf_Error e = NULL;
	Dwarf_Die die = NULL;
	Dwarf_Off abbrev = 0;
	Dwarf_Sig8 sig;

	for (;;) {
		int rc = dwarf_next_cu_header_d(d->dbg, !d->in_types, &len, &version, &abbrev,
						&addr_size, &off_size, &ext_size, &sig, &type_off,
						&next, &unit_type, &e);

		if (rc == DW_DLV_OK) {
			if (dwarf_siblingof_b(d->dbg, NULL, !d->in_types, &die, &e) == DW_DLV_OK) {
				d->high = wh_dw_id(d, die);
				d->left = WALK_READS * len;
				return die;
			}
			wh_dw_drop_error(d, &e);
			continue;
		}
		wh_dw_drop_error(d, &e);
		if (d->in_types || rc == DW_DLV_ERROR)
			return NULL;
		d->in_types = true;
	}
}
