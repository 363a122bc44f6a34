/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A name for a block of a process that nobody recorded: what its first words say.
 *
 *	vtable pointer   Itanium C++ ABI: vtable[-1] is the typeinfo, whose second word is the mangled
 *	                 name; or the symbol "_ZTV..." that the pointer lies in
 *	leading pointer  to code or constant data of a module: "-> symbol"
 *	text             printable bytes from the start
 *
 * Nothing of the contents gets into the name but names of the program's own symbols, so that blocks of
 * one kind group and a report gives no data away.
 */
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/strbuf.h"
#include "analyzer/target/target_user.h"
#include "dwarf/demangle.h"

#define NAME_MAX_LEN 512
#define TEXT_MIN     6

static const struct wh_map_area *constant_map(const struct wh_process *p, uint64_t addr)
{
	const struct wh_map_area *m = wh_process_find_map(p, addr);

	return m && m->module != UINT32_MAX ? m : NULL;
}

/* The mangled name behind a typeinfo; false when it does not look like one. */
static bool typeinfo_name(struct wh_user *u, uint64_t typeinfo, char *buf, size_t cap)
{
	uint64_t name;

	if (!typeinfo || !constant_map(u->p, typeinfo) ||
	    !wh_read_word(u->r, typeinfo + u->p->abi.word, &name) || !constant_map(u->p, name) ||
	    !wh_read_str(u->r, name, buf, cap))
		return false;
	/* a leading '*' says that names are compared by address */
	if (buf[0] == '*')
		memmove(buf, buf + 1, strlen(buf));
	for (const char *c = buf; *c; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	return buf[0] != '\0';
}

static bool class_name(struct wh_user *u, uint64_t vptr, struct wh_strbuf *sb)
{
	char raw[NAME_MAX_LEN];
	uint64_t typeinfo;
	const char *mangled;
	struct wh_sym s;
	uint64_t off;
	char *name;

	if (wh_symtab_find_addr(u->names->syms, vptr, &s, &off) && !strncmp(s.name, "_ZTV", 4)) {
		mangled = s.name + 4;
		name = wh_demangle_class(s.name);
	} else if (wh_read_word(u->r, vptr - u->p->abi.word, &typeinfo) &&
		   typeinfo_name(u, typeinfo, raw, sizeof(raw))) {
		mangled = raw;
		name = wh_demangle_type(raw);
	} else {
		return false;
	}
	wh_strbuf_puts(sb, name ? name : mangled);
	free(name);
	return true;
}

bool wh_user_class_name(struct wh_user *u, uint64_t first, struct wh_strbuf *sb)
{
	/* also in a mapping of code: older linkers put constants there */
	return constant_map(u->p, first) && !(first & (u->p->abi.word - 1u)) &&
	       class_name(u, first, sb);
}

static bool is_text(struct wh_user *u, uint64_t addr, uint64_t size)
{
	char buf[TEXT_MIN];

	if (size < sizeof(buf) ||
	    wh_read_some(u->r, WH_VIRT, addr, buf, sizeof(buf), NULL) < sizeof(buf))
		return false;
	for (size_t i = 0; i < sizeof(buf); i++)
		if ((buf[i] < ' ' || buf[i] > '~') && buf[i] != '\n' && buf[i] != '\t')
			return false;
	return true;
}

const char *wh_user_signature(struct wh_user *u, uint32_t row, struct wh_arena *a)
{
	const struct wh_buftab *t = u->t->buftab;
	uint64_t addr = wh_buftab_addr(t, row), size = wh_buftab_size(t, row), first;
	struct wh_strbuf sb = WH_STRBUF_INIT;
	const struct wh_map_area *m;
	const char *ret = NULL;
	struct wh_frame f;

	if (size < u->p->abi.word || !wh_read_word(u->r, addr, &first))
		return NULL;
	m = constant_map(u->p, first);
	wh_strbuf_puts(&sb, "class ");
	if (wh_user_class_name(u, first, &sb)) {
		ret = wh_arena_strdup(a, wh_strbuf_str(&sb));
	} else if (m && wh_user_symbolize(u, first, &f)) {
		wh_strbuf_clear(&sb);
		wh_strbuf_printf(&sb, "-> %s", f.symbol ? f.symbol : f.module);
		if (!f.symbol || f.offset)
			wh_strbuf_printf(&sb, "+0x%llx", (unsigned long long)f.offset);
		ret = wh_arena_strdup(a, wh_strbuf_str(&sb));
	} else if (is_text(u, addr, size)) {
		ret = "text";
	}
	wh_strbuf_fini(&sb);
	return ret;
}
