/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * demangle: C++ (Itanium ABI) and Rust (legacy and v0) names into source names, by libiberty: it is plain
 * C, knows both, limits its recursion, and is what gdb, binutils and perf print.
 */
#ifndef WH_DWARF_DEMANGLE_H
#define WH_DWARF_DEMANGLE_H

#include <stdbool.h>

/** Demangled text (caller frees), or NULL when @name is not mangled.  Thread-safe. */
char *wh_demangle(const char *name, bool with_parameters);
/** Class of a vtable or typeinfo symbol ("_ZTV3Foo", "_ZTI3Foo": "Foo"); NULL for others; caller frees. */
char *wh_demangle_class(const char *name);

#endif
