/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frame: what a stack frame is called, so that the same call site has the same name in another dump:
 * compiler suffixes folded, allocator functions recognised, addresses left out.
 */
#ifndef WH_NAME_FRAME_H
#define WH_NAME_FRAME_H

#include "analyzer/base/strbuf.h"
#include "analyzer/target/target.h"

/** For people: "leaky_init+0x33 [leaky] leaky.c:17", or the bare address. */
void wh_frame_text(struct wh_strbuf *sb, const struct wh_frame *f);
/**
 * Length of @symbol without what compilers and linkers append to copies of a function (.isra.0,
 * .constprop.0, .part.0, .cold, .llvm.123, .lto_priv.0).
 */
size_t wh_symbol_stem(const char *symbol);
/**
 * Stable name, for signatures: without offset or address: folded symbol, else "module+0x…" (user modules), else "?".
 */
void wh_frame_stable(struct wh_strbuf *sb, const struct wh_frame *f);
/** The same for people: C++ and Rust names as the source has them. */
void wh_frame_name(struct wh_strbuf *sb, const struct wh_frame *f);
/** True for the functions that allocators and their recorders are made of. */
bool wh_frame_is_allocator(const struct wh_frame *f);
/** Index of the first frame that is not an allocator's; 0 when all are. */
size_t wh_frames_skip_allocator(const struct wh_frame *f, size_t n);

#endif
