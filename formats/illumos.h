/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * illumos: what a dump of the illumos kernel carries beside its pages: the header's facts, the symbol
 * image (ksyms, the same file as unix.N) and the translations (as, va) -> frame.
 *
 *	vmcore.N   header | ksyms | frame table | hashed map | pages		(written by savecore)
 *	vmdump.N   header | ksyms | frame table | raw map | packed pages | header | datahdr
 *
 * Version 10 of the header, both word sizes and byte orders.  Format facts: illumos-gate
 * usr/src/uts/common/sys/dumphdr.h, os/dumpsubr.c, cmd/savecore, lib/libkvm (Nov 2019).
 */
#ifndef WH_FORMATS_ILLUMOS_H
#define WH_FORMATS_ILLUMOS_H

#include "formats/dump.h"
#include "formats/scratch.h"

enum wh_illumos_flags {
	WH_ILLUMOS_VALID = 1,
	WH_ILLUMOS_COMPLETE = 2,
	WH_ILLUMOS_LIVE = 4, /**< taken of a running system: inconsistent */
	WH_ILLUMOS_COMPRESSED = 8,
};

/** dumphdr_t, decoded; offsets are [bytes] in the dump file. */
struct wh_illumos_header {
	uint32_t version, flags, wordsize;
	uint64_t start, ksyms, pfn, map, data;
	uint32_t page_shift, page_size;
	uint64_t hashmask, nvtop, npages, ksyms_size, ksyms_csize;
	char platform[258], panicstring[201], uuid[38];
};

/** Facts of the header of an opened dump of class WH_DUMP_ILLUMOS; NULL for others. */
const struct wh_illumos_header *wh_illumos_header(const struct wh_dump *d);
/**
 * The symbol image: unix.N when it was given, else the one inside, decompressed.  Borrowed until close;
 * false when there is none that can be read.
 */
bool wh_illumos_ksyms(const struct wh_dump *d, const uint8_t **ret, size_t *ret_len);
/** Number of translations known. */
size_t wh_illumos_translations(const struct wh_dump *d);
/**
 * Calls @fn for every translation of @as in rising address order; stops when it returns false.
 * Read-only, thread-safe.
 */
typedef bool (*wh_illumos_map_fn)(void *arg, uint64_t va, uint64_t pfn);
void wh_illumos_each(const struct wh_dump *d, uint64_t as, wh_illumos_map_fn fn, void *arg);

/**
 * What is wrong with the page of (as, va): file, offset, what was expected there.  For a page that can be read but
 * does not hold what it should, where it lies.
 */
void wh_illumos_why(const struct wh_dump *d, uint64_t as, uint64_t va, char *buf, size_t cap);

/* ---- shared by fmt_illumos.c, illumos_map.c and vmdump.c ---- */

/** (as, page address) -> index of the page in dump order. */
struct wh_illumos_xlat {
	uint64_t va;
	uint32_t as, index;
};

/** How packed pages are found (vmdump.c). */
struct wh_vmdump;

struct wh_illumos {
	struct wh_illumos_header hdr;
	const struct wh_stream *st; /**< the dump itself */
	uint64_t size;		    /**< [bytes] of it */
	uint64_t *pfns;		    /**< frame of page i in dump order */
	uint32_t *order;	    /**< permutation that sorts pfns; NULL when they are sorted */
	uint64_t n_pages;	    /**< that the frame table really has */
	uint64_t *spaces;	    /**< addresses of `struct as`, by wh_illumos_xlat.as */
	size_t n_spaces;
	struct wh_illumos_xlat *xlats; /**< sorted by (as, va) */
	size_t n_xlats;
	uint8_t *ksyms; /**< owned */
	size_t ksyms_len;
	struct wh_vmdump *vmdump; /**< NULL: pages are plain */
};

/** Reads the hashed or the raw map into il->xlats; damage becomes diagnostics. */
struct wh_err *wh_illumos_load_map(struct wh_dump *d, struct wh_illumos *il) WH_MUST_CHECK;
/** The format's virt_to_pfn. */
bool wh_illumos_virt_to_pfn(const struct wh_dump *d, uint64_t as, uint64_t va, uint64_t *ret_pfn);
/** Index of the page with this frame; false when the dump has none. */
bool wh_illumos_page_index(const struct wh_illumos *il, uint64_t pfn, uint64_t *ret_index);

/** Finds the packed pages (and expands bzip2 streams to an unlinked temporary file). */
struct wh_err *wh_vmdump_open(struct wh_dump *d, struct wh_illumos *il,
			      struct wh_vmdump **ret) WH_MUST_CHECK;
void wh_vmdump_close(struct wh_vmdump *v);
/** "lzjb", "lzjb streams", "bzip2 streams". */
const char *wh_vmdump_codec(const struct wh_vmdump *v);
enum wh_mem_state wh_vmdump_state(const struct wh_vmdump *v, uint64_t index);
/** Whether page @index can be decoded; *ret_off is where it is packed, 0 unknown. */
bool wh_vmdump_check(const struct wh_vmdump *v, uint64_t index, uint64_t *ret_off);
/** Decodes page @index into @buf (page size bytes). */
enum wh_mem_state wh_vmdump_page(const struct wh_vmdump *v, struct wh_scratch *sc, uint64_t index,
				 uint8_t *buf);

#endif
