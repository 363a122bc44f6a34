/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Variables with static or thread storage, from DWARF: file scope, namespaces, and statics inside
 * functions.
 */
#include "dwarf/dwarf_die.h"

/* The ULEB128 at @p; *ret_used: its bytes. */
static bool uleb_read(const uint8_t *p, uint64_t len, uint64_t *ret, uint64_t *ret_used)
{
	uint64_t v = 0;

	for (uint64_t i = 0; i < len && i < 9; i++) {
		v |= (uint64_t)(p[i] & 0x7f) << (7 * i);
		if (!(p[i] & 0x80)) {
			*ret = v;
			*ret_used = i + 1;
			return true;
		}
	}
	return false;
}

/*
 * The constant that an expression begins with: DW_OP_addr, DW_OP_constNu of the width of an address (gcc,
 * for thread-local variables), or an index into .debug_addr (clang, split DWARF).  *ret_used: its bytes.
 */
static bool op_constant(struct wh_dwarf *d, Dwarf_Die die, const uint8_t *op, uint64_t len,
			uint64_t *ret, uint64_t *ret_used)
{
	struct wh_abi abi = {.big_endian = d->big_endian, .word = (uint8_t)d->addr_size};
	uint8_t constant = d->addr_size == 8 ? DW_OP_const8u : DW_OP_const4u;
	Dwarf_Error e = NULL;
	uint64_t index;
	Dwarf_Addr addr;

	if (op[0] == DW_OP_addr || op[0] == constant) {
		*ret_used = 1u + d->addr_size;
		if (len < *ret_used)
			return false;
		*ret = wh_get_word(abi, op + 1);
		return true;
	}
	if ((op[0] != DW_OP_addrx && op[0] != DW_OP_constx && op[0] != DW_OP_GNU_addr_index &&
	     op[0] != DW_OP_GNU_const_index) ||
	    !uleb_read(op + 1, len - 1, &index, ret_used))
		return false;
	++*ret_used;
	if (dwarf_debug_addr_index_to_addr(die, index, &addr, &e) != DW_DLV_OK) {
		wh_dw_drop_error(d, &e);
		return false;
	}
	*ret = addr;
	return true;
}

/* An object at a fixed address, or at a fixed place of the TLS block: nothing but these. */
static bool var_address(struct wh_dwarf *d, Dwarf_Die die, struct wh_dwarf_var *ret)
{
	Dwarf_Attribute a = wh_dw_attr(d, die, DW_AT_location);
	Dwarf_Unsigned len = 0;
	Dwarf_Error e = NULL;
	Dwarf_Ptr p = NULL;
	bool ok = false;

	if (!a)
		return false;
	if (dwarf_formexprloc(a, &len, &p, &e) == DW_DLV_OK && len > 1) {
		const uint8_t *op = p;
		uint64_t used = 0;

		ok = op_constant(d, die, op, len, &ret->addr, &used);
		ret->tls = ok && used + 1 == len &&
			   (op[used] == DW_OP_GNU_push_tls_address ||
			    op[used] == DW_OP_form_tls_address);
		ok = ok &&
		     (ret->tls || (used == len && (op[0] == DW_OP_addr || op[0] == DW_OP_addrx ||
						   op[0] == DW_OP_GNU_addr_index)));
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
	if (tag != DW_TAG_variable || !var_address(d, die, &v))
		return NULL;
	v.name = wh_dw_name(d, die);
	v.type_id = wh_dw_ref(d, die, DW_AT_type);
	spec = wh_dw_ref(d, die, DW_AT_specification);
	spec = spec ? spec : wh_dw_ref(d, die, DW_AT_abstract_origin);
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
	Dwarf_Die die = depth < WH_DW_DEPTH_MAX ? wh_dw_walk_child(w->d, scope) : NULL;
	struct wh_err *e = NULL;

	for (; !e && die; die = wh_dw_walk_next(w->d, die))
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
