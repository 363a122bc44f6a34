/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Variables at fixed addresses, from DWARF: file scope, namespaces, and statics inside functions. */
#include "dwarf/dwarf_die.h"

/* The number behind DW_OP_addrx, when it fills the expression. */
static bool uleb_whole(const uint8_t *p, uint64_t len, uint64_t *ret)
{
	uint64_t v = 0;

	for (uint64_t i = 0; i < len && i < 9; i++) {
		v |= (uint64_t)(p[i] & 0x7f) << (7 * i);
		if (!(p[i] & 0x80)) {
			*ret = v;
			return i + 1 == len;
		}
	}
	return false;
}

/* DW_OP_addr, or clang's DW_OP_addrx into .debug_addr, and nothing else: an object at a fixed address. */
static bool var_address(struct wh_dwarf *d, Dwarf_Die die, uint64_t *ret)
{
	struct wh_abi abi = {.big_endian = d->big_endian, .word = (uint8_t)d->addr_size};
	Dwarf_Attribute a = wh_dw_attr(d, die, DW_AT_location);
	Dwarf_Unsigned len = 0;
	Dwarf_Error e = NULL;
	Dwarf_Ptr p = NULL;
	bool ok = false;

	if (!a)
		return false;
	if (dwarf_formexprloc(a, &len, &p, &e) == DW_DLV_OK && len > 1) {
		const uint8_t *op = p;
		Dwarf_Addr addr;
		uint64_t index;

		if (op[0] == DW_OP_addr && len == 1u + d->addr_size) {
			*ret = wh_get_word(abi, op + 1);
			ok = true;
		} else if (op[0] == DW_OP_addrx && uleb_whole(op + 1, len - 1, &index) &&
			   dwarf_debug_addr_index_to_addr(die, index, &addr, &e) == DW_DLV_OK) {
			*ret = addr;
			ok = true;
		}
	}
	wh_dw_drop_error(d, &e);
	wh_dw_attr_drop(d, a);
	return ok;
}

struct var_walk {
	struct wh_dwarf *d;
	wh_dwarf_var_fn fn;
	void *arg;
};

static struct wh_err *vars_in(const struct var_walk *w, Dwarf_Die scope, int depth);

static struct wh_err *var_die(const struct var_walk *w, Dwarf_Die die, int depth)
{
	struct wh_dwarf *d = w->d;
	struct wh_dwarf_var v = {0};
	uint16_t tag = wh_dw_tag(d, die);
	uint64_t spec;
	Dwarf_Die decl;

	if (tag == DW_TAG_namespace || tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block)
		return vars_in(w, die, depth + 1);
	if (tag != DW_TAG_variable || !var_address(d, die, &v.addr))
		return NULL;
	v.name = wh_dw_name(d, die);
	v.type_id = wh_dw_ref(d, die, DW_AT_type);
	spec = wh_dw_ref(d, die, DW_AT_specification);
	decl = spec ? wh_dw_at(d, spec) : NULL;
	if (decl) {
		v.name = v.name ? v.name : wh_dw_name(d, decl);
		v.type_id = v.type_id ? v.type_id : wh_dw_ref(d, decl, DW_AT_type);
		wh_dw_drop(d, decl);
	}
	if (!v.name)
		v.name = "";
	return w->fn(w->arg, &v);
}

static struct wh_err *vars_in(const struct var_walk *w, Dwarf_Die scope, int depth)
{
	Dwarf_Die die = depth < WH_DW_DEPTH_MAX ? wh_dw_child(w->d, scope) : NULL;
	struct wh_err *e = NULL;

	for (; !e && die; die = wh_dw_next(w->d, die))
		e = var_die(w, die, depth);
	wh_dw_drop(w->d, die);
	return e;
}

struct wh_err *wh_dwarf_each_variable(struct wh_dwarf *d, wh_dwarf_var_fn fn, void *arg)
{
	struct var_walk w = {.d = d, .fn = fn, .arg = arg};
	struct wh_err *e;
	Dwarf_Die die;

	pthread_mutex_lock(&d->lock);
	/* libdwarf has one cursor over the units: the index first, so that it starts anew here. */
	e = wh_dw_index_whole(d);
	d->in_types = false;
	while (!e && d->usable && (die = wh_dw_next_unit(d))) {
		e = vars_in(&w, die, 0);
		wh_dw_drop(d, die);
	}
	pthread_mutex_unlock(&d->lock);
	return e;
}
