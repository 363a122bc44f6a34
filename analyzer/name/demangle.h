/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * demangle: C++ type names as typeinfo stores them (Itanium C++ ABI 5.1, <type>), for the classes that
 * vtables name: nested names, templates with their arguments, builtin types, pointers and references,
 * substitutions.  Function types and expressions are not taken apart: such a name is printed as it is.
 */
#ifndef WH_NAME_DEMANGLE_H
#define WH_NAME_DEMANGLE_H

#include "analyzer/base/strbuf.h"

/** Appends the readable form of the mangled type @name ("N4shop6WidgetE"); false when it is empty. */
bool wh_demangle_type(const char *name, struct wh_strbuf *sb);

#endif
