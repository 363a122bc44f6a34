/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mem: the address spaces of a dump.  Every byte is present, file-backed, excluded, truncated,
 * unmapped or corrupt.  Nothing above this layer opens the dump file.
 *
 *	wh_mem     which spaces there are and how VIRT is translated; immutable once set up
 *	wh_reader  one thread's window on it, with a small cache of decoded pages
 *
 * Process cores: VIRT is the segments (and read-only files laid over them).  Kernel dumps: PHYS is the
 * frames, VIRT goes through the translator that kspace.h set up.  illumos: VIRT is the kernel's `kas`.
 */
#ifndef WH_FORMATS_MEM_H
#define WH_FORMATS_MEM_H

#include "formats/dump.h"

enum wh_space { WH_PHYS, WH_VIRT };

struct wh_mem;
struct wh_reader;

/**
 * How VIRT becomes PHYS.  Sets *ret_pa, and *ret_run to the number of bytes from @va for which the
 * translation is linear (at least up to the end of the page).  Reads page tables through @r.
 * WH_MEM_PRESENT, or why there is no translation.
 */
typedef enum wh_mem_state (*wh_translate_fn)(const void *arg, struct wh_reader *r, uint64_t va,
					     uint64_t *ret_pa, uint64_t *ret_run);

struct wh_err *wh_mem_create(const struct wh_dump *d, struct wh_mem **ret) WH_MUST_CHECK;
void wh_mem_destroy(struct wh_mem *m);
const struct wh_dump *wh_mem_dump(const struct wh_mem *m);
/** Sets the translator of VIRT (kernel dumps); @arg must outlive @m.  Before readers are shared. */
void wh_mem_set_translator(struct wh_mem *m, wh_translate_fn fn, const void *arg);
/**
 * Lays [off, off+len) of a file over VIRT addresses that the core does not carry (read-only,
 * build-id checked by the caller).  Present bytes of the dump always win.  Takes @s over.
 */
struct wh_err *wh_mem_add_file(struct wh_mem *m, uint64_t va, uint64_t len, struct wh_stream *s,
			       uint64_t off) WH_MUST_CHECK;

struct wh_err *wh_reader_create(const struct wh_mem *m, struct wh_reader **ret) WH_MUST_CHECK;
void wh_reader_destroy(struct wh_reader *r);
const struct wh_mem *wh_reader_mem(const struct wh_reader *r);

/**
 * Points at target memory without copying where that is possible.  Returns a pointer to *ret_len
 * (1..want) bytes at @addr, valid until the next call on this reader; NULL when the first byte is not
 * readable, and then *ret_len (never 0, perhaps more than @want) says how many bytes are known to share
 * that state and *ret_state which it is.
 * The bulk path: compressed dumps give a page at a time, plain ones as much as is contiguous.
 */
const uint8_t *wh_reader_borrow(struct wh_reader *r, enum wh_space space, uint64_t addr,
				size_t want, size_t *ret_len, enum wh_mem_state *ret_state);
/** Copies up to @len bytes; returns how many were good before the first bad one (*ret_state, may be NULL). */
size_t wh_read_some(struct wh_reader *r, enum wh_space space, uint64_t addr, void *buf, size_t len,
		    enum wh_mem_state *ret_state);

/* Small reads of kernel or process memory (VIRT).  Return false when unreadable; *ret untouched. */
bool wh_read_u16(struct wh_reader *r, uint64_t va, uint16_t *ret);
bool wh_read_u32(struct wh_reader *r, uint64_t va, uint32_t *ret);
bool wh_read_u64(struct wh_reader *r, uint64_t va, uint64_t *ret);
bool wh_read_word(struct wh_reader *r, uint64_t va, uint64_t *ret);
/** NUL-terminated text of at most @cap - 1 bytes; false when its first byte is unreadable. */
bool wh_read_str(struct wh_reader *r, uint64_t va, char *buf, size_t cap);

/** VIRT to PHYS; *ret_run as in wh_translate_fn (may be NULL). */
enum wh_mem_state wh_virt_to_phys(struct wh_reader *r, uint64_t va, uint64_t *ret_pa,
				  uint64_t *ret_run);

#endif
