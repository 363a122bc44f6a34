/* SPDX-License-Identifier: GPL-2.0-or-later */
/* note: the ELF note encoding, as ELF cores and kdump headers carry it; private to formats/. */
#ifndef WH_FORMATS_NOTE_H
#define WH_FORMATS_NOTE_H

#include "formats/dump.h"

#define WH_NT_PRSTATUS 1
#define WH_NT_PRPSINFO 3
#define WH_NT_AUXV     6
#define WH_NT_PSTATUS  10
#define WH_NT_PSINFO   13
#define WH_NT_FILE     0x46494c45

/**
 * Appends the notes in @p to @d->notes; they borrow from @p, which must outlive @d.  Stops at the
 * first one that does not fit and says so in *ret_used, the number of bytes that made sense.
 */
struct wh_err *wh_notes_parse(struct wh_dump *d, const uint8_t *p, size_t n,
			      size_t *ret_used) WH_MUST_CHECK;
/** Sets @d->vmcoreinfo and what follows from it (crash time, release) from text or from the notes. */
struct wh_err *wh_dump_set_vmcoreinfo(struct wh_dump *d, const char *text, size_t n) WH_MUST_CHECK;
struct wh_err *wh_dump_vmcoreinfo_from_notes(struct wh_dump *d) WH_MUST_CHECK;

#endif
