/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * btf: reader of BTF, the type format that Linux kernels carry in themselves
 * (Documentation/bpf/btf.rst; linux.md §3.4).  Works on bytes that nobody has checked: ids, offsets,
 * counts and chains are bounded here, whatever the blob says.
 */
#ifndef WH_DWARF_BTF_H
#define WH_DWARF_BTF_H

#include "dwarf/type.h"

struct wh_btf;

/**
 * Parses @data (owned afterwards, also on error; from malloc).  Split BTF of a module continues @base
 * (borrowed, must outlive it; NULL for a whole one) at type @start_id and string @start_str.  A blob
 * damaged in the middle keeps the types before the damage; see wh_btf_damaged.
 */
struct wh_err *wh_btf_create(uint8_t *data, size_t len, const struct wh_btf *base,
			     uint32_t start_id, uint32_t start_str,
			     struct wh_btf **ret) WH_MUST_CHECK;
void wh_btf_destroy(struct wh_btf *b);
/** Number of types, base not included. */
uint32_t wh_btf_count(const struct wh_btf *b);
/** First type id past the end: where a split BTF on top begins; likewise for strings. */
uint32_t wh_btf_end_id(const struct wh_btf *b);
uint32_t wh_btf_end_str(const struct wh_btf *b);
/** True when some of the blob could not be used. */
bool wh_btf_damaged(const struct wh_btf *b);
/** Total bytes that the header claims (header, types, strings); 0 when @p is no BTF header. */
size_t wh_btf_probe(const uint8_t *p, size_t len);

/** The provider operations on a wh_btf (priv is the wh_btf, destroyed by close). */
extern const struct wh_type_provider_ops wh_btf_ops;

#endif
