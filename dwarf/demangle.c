/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dwarf/demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/limits.h"

#define TEXT_MAX 8191 /* [bytes] of a demangled name */

/*
 * Substitutions let n bytes of a name stand for 2^n of output, and libiberty bounds its depth only.  So it
 * hands its text over in pieces, and past the limit we leave it by longjmp: all that it holds lies on its
 * stack, but for a Rust identifier in punycode, which is lost when the limit falls into it.
 */
struct bounded {
	jmp_buf full;
	size_t len;
	char text[TEXT_MAX + 1];
};

static void collect(const char *s, size_t n, void *arg)
{
	struct bounded *b = arg;

	if (n > TEXT_MAX - b->len)
		longjmp(b->full, 1);
	memcpy(b->text + b->len, s, n);
	b->len += n;
}

static char *run(int (*demangler)(const char *, int, demangle_callbackref, void *),
		 const char *name, int opts)
{
	struct bounded b;

	b.len = 0;
	if (setjmp(b.full) || !demangler(name, opts, collect, &b) || !b.len)
		return NULL;
	return strndup(b.text, b.len);
}

static bool is_mangled(const char *name)
{
	/* _Z: Itanium and legacy Rust; __Z: the same behind an underscore; _R: Rust v0. */
	return !strncmp(name, "_Z", 2) || !strncmp(name, "__Z", 3) || !strncmp(name, "_R", 2);
}

char *wh_demangle(const char *name, bool with_parameters)
{
	int opts = DMGL_AUTO | (with_parameters ? DMGL_PARAMS | DMGL_ANSI : 0);
	char *s;

	if (!is_mangled(name) || strlen(name) > WH_LIMIT_STRING)
		return NULL;
	/* Rust first: legacy Rust names are valid C++ ones, with a hash for a last component. */
	s = run(rust_demangle_callback, name, DMGL_AUTO);
	return s ? s : run(cplus_demangle_v3_callback, name, opts);
}

char *wh_demangle_type(const char *name)
{
	if (!*name || strlen(name) > WH_LIMIT_STRING)
		return NULL;
	return run(cplus_demangle_v3_callback, name, DMGL_TYPES | DMGL_PARAMS | DMGL_ANSI);
}

char *wh_demangle_class(const char *name)
{
	static const char *const prefix[] = {"_ZTV", "_ZTI", "_ZTS", "_ZTT"};

	for (size_t i = 0; i < sizeof(prefix) / sizeof(prefix[0]); i++)
		if (!strncmp(name, prefix[i], strlen(prefix[i])))
			return wh_demangle_type(name + strlen(prefix[i]));
	return NULL;
}
