/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dwarf/demangle.h"

#include <libiberty/demangle.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/limits.h"

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
	s = rust_demangle(name, DMGL_AUTO);
	return s ? s : cplus_demangle_v3(name, opts);
}

char *wh_demangle_class(const char *name)
{
	static const char *const prefix[] = {"_ZTV", "_ZTI", "_ZTS", "_ZTT"};
	const char *of;
	char *s, *ret;

	for (size_t i = 0; i < sizeof(prefix) / sizeof(prefix[0]); i++) {
		if (strncmp(name, prefix[i], strlen(prefix[i])) != 0)
			continue;
		s = wh_demangle(name, true);
		of = s ? strstr(s, " for ") : NULL;
		ret = of ? strdup(of + 5) : NULL;
		free(s);
		return ret;
	}
	return NULL;
}
