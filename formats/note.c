/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "formats/note.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/base/limits.h"
#include "analyzer/base/vec.h"

#define NOTE_HEAD 12 /* namesz, descsz, type: u32 in ELF32 and ELF64 alike */

static size_t pad4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

/* The name must be NUL-terminated text to be compared; writers that leave the NUL out get "". */
static const char *note_name(const uint8_t *p, size_t n)
{
	return n && !p[n - 1] ? (const char *)p : "";
}

struct wh_err *wh_notes_parse(struct wh_dump *d, const uint8_t *p, size_t n, size_t *ret_used)
{
	struct {
		struct wh_note *v;
		size_t n, cap;
	} notes = {d->notes, d->n_notes, d->n_notes};
	struct wh_err *e = NULL;
	size_t at = 0;

	while (!e && n - at >= NOTE_HEAD && notes.n < WH_LIMIT_NOTE_COUNT) {
		size_t namesz = wh_get_u32(d->abi, p + at);
		size_t descsz = wh_get_u32(d->abi, p + at + 4);
		size_t left = n - at - NOTE_HEAD;
		struct wh_note note = {.type = wh_get_u32(d->abi, p + at + 8)};

		if (!namesz && !descsz && !note.type) {
			at += 4; /* padding between the notes of two processors */
			continue;
		}
		if (namesz > left || pad4(namesz) > left || descsz > left - pad4(namesz))
			break;
		note.name = note_name(p + at + NOTE_HEAD, namesz);
		note.desc = p + at + NOTE_HEAD + pad4(namesz);
		note.desc_len = descsz;
		e = WH_VEC_PUSH(&notes, note);
		at += NOTE_HEAD + pad4(namesz) + descsz;
		/* The last descriptor may come without its padding. */
		at = pad4(at) < n ? pad4(at) : n;
	}
	d->notes = notes.v;
	d->n_notes = notes.n;
	*ret_used = at;
	return e;
}

const struct wh_note *wh_dump_find_note(const struct wh_dump *d, const char *name, uint32_t type,
					const struct wh_note *prev)
{
	for (size_t i = prev ? (size_t)(prev - d->notes) + 1 : 0; i < d->n_notes; i++)
		if (d->notes[i].type == type && !strcmp(d->notes[i].name, name))
			return &d->notes[i];
	return NULL;
}

struct wh_err *wh_dump_set_vmcoreinfo(struct wh_dump *d, const char *text, size_t n)
{
	const char *s;

	WH_TRY(wh_vmcoreinfo_create(text, n, &d->vmcoreinfo));
	s = wh_vmcoreinfo_find(d->vmcoreinfo, "CRASHTIME");
	if (s) {
		char *end;
		unsigned long long t = strtoull(s, &end, 10);

		if (end != s && !*end && t < INT64_MAX)
			d->crash_time = t;
	}
	s = wh_vmcoreinfo_find(d->vmcoreinfo, "OSRELEASE");
	if (s && !d->utsname[2][0] && strlen(s) < sizeof(d->utsname[2]))
		memcpy(d->utsname[2], s, strlen(s) + 1);
	return NULL;
}

struct wh_err *wh_dump_vmcoreinfo_from_notes(struct wh_dump *d)
{
	const struct wh_note *note = wh_dump_find_note(d, "VMCOREINFO", 0, NULL);

	if (!note || !note->desc_len)
		return NULL;
	return wh_dump_set_vmcoreinfo(d, (const char *)note->desc, note->desc_len);
}
