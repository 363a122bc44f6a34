/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * demangle: C++ (Itanium ABI) and Rust (legacy and v0) names into source names, by libiberty: it is plain
 * C, knows both, limits its recursion, and is what gdb, binutils and perf print.
 */
#ifndef WH_DWARF_DEMANGLE_H
#define WH_DWARF_DEMANGLE_H

#include <stdbool.h>

/**
 * All return new text that the caller frees, or NULL: not mangled, not understood, longer than any
 * name that a person would read (a short hostile name can stand for terabytes), or no memory.  Thread-safe.
 */

/** A function or variable; without parameters, as a stack shows it, unless @with_parameters. */
char *wh_demangle(const char *name, bool with_parameters);
/** A type as typeinfo stores its name ("N4shop6WidgetE": "shop::Widget"; Itanium C++ ABI 5.1, <type>). */
char *wh_demangle_type(const char *name);
/** Class of a vtable or typeinfo symbol ("_ZTV3Foo", "_ZTI3Foo": "Foo"). */
char *wh_demangle_class(const char *name);

#endif
