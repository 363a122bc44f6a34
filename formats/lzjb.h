/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lzjb: the page codec of illumos crash dumps.  A control byte goes before each eight items; a set bit
 * (lowest first) is a copy of 3..66 bytes from 1..1023 bytes back, a clear one is a literal byte.
 */
#ifndef WH_FORMATS_LZJB_H
#define WH_FORMATS_LZJB_H

#include <stdbool.h>
#include <stddef.h>

/**
 * Decodes @src into exactly @dst_len bytes.  A source that is not shorter than the result was stored
 * raw.  False when the input ends early or copies from before the start; @dst then holds garbage.
 */
bool wh_lzjb_decode(const void *src, size_t src_len, void *dst, size_t dst_len);

#endif
