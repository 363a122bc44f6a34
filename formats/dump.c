/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening a dump: streams first, then each format is asked in turn.  A probe answers "not mine" (the
 * next one is asked), a real error (reported), or success.
 */
#include "formats/dump.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/vec.h"
#include "formats/fmt.h"

static const struct wh_dump_ops *const formats[] = {
	&wh_fmt_kdump_ops,
	&wh_fmt_illumos_ops, /* before ELF: unix.N beside the dump is one */
	&wh_fmt_elf_ops,
};

/* What people open by mistake, to answer in their words. */
static const struct {
	uint32_t offset, len;
	const char *magic, *what;
} strangers[] = {
	{0, 4, "EMiL", "a LiME memory image"},
	{0, 4, "MDMP", "a Windows minidump"},
	{0, 8, "PAGEDUMP", "a Windows crash dump"},
	{0, 8, "PAGEDU64", "a Windows crash dump"},
	{0, 8, "DISKDUMP", "a diskdump of before kdump"},
	{0, 4, "PK\3\4", "a zip archive"},
	{0, 3, "BZh", "bzip2 data"},
	{0, 5, "QEVM\0", "a QEMU migration stream"},
	{0, 4, "QFI\xfb", "a qcow2 disk image"},
	{0, 16, "# systemd-coredu", "a systemd message"},
	{257, 5, "ustar", "a tar archive"},
	{514, 4, "HdrS", "a compressed kernel image (bzImage), not a dump"},
};

static bool is_text(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isprint(p[i]) && !isspace(p[i]) && p[i] < 0x80)
			return false;
	return n != 0;
}

static struct wh_err *unknown(const struct wh_stream *s)
{
	uint8_t head[1024];
	size_t n = wh_stream_read(s, 0, head, sizeof(head));
	const char *what = "nothing that weephole knows";

	if (!wh_stream_size(s))
		return wh_err_bad(wh_stream_path(s), UINT64_MAX,
				  "the file is empty, expected a core or a vmcore");
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++)
		if (n >= strangers[i].offset + strangers[i].len &&
		    !memcmp(head + strangers[i].offset, strangers[i].magic, strangers[i].len))
			return wh_err_new(WH_ERR_UNSUPPORTED,
					  "%s: this is %s, expected an ELF core, a kdump or an "
					  "illumos dump",
					  wh_stream_path(s), strangers[i].what);
	if (is_text(head, n))
		what = "a text file";
	return wh_err_bad(wh_stream_path(s), 0,
			  "this is %s, expected an ELF core, a kdump or an illumos dump", what);
}

static struct wh_err *probe(struct wh_dump *d)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct wh_err *e;

		d->ops = formats[i];
		e = d->ops->probe(d);
		if (!wh_err_is(e, WH_ERR_NOT_MINE))
			return e;
		wh_err_destroy(e);
	}
	d->ops = NULL;
	return unknown(d->streams[0]);
}

static struct wh_err *dump_new(struct wh_ctx *ctx, size_t n, struct wh_dump **ret)
{
	struct wh_dump *d = wh_calloc(1, sizeof(*d));

	if (!d)
		return &wh_err_nomem;
	d->ctx = ctx;
	d->dump_level = -1;
	d->streams = wh_calloc(n, sizeof(struct wh_stream *));
	if (!d->streams) {
		free(d);
		return &wh_err_nomem;
	}
	*ret = d;
	return NULL;
}

static void say_incomplete(const struct wh_dump *d)
{
	unsigned long long lost = d->pages[WH_MEM_TRUNCATED];

	if (lost)
		wh_diag_add(
			d->ctx->diags, WH_DIAG_WARN, "dump-incomplete", 0,
			"%llu pages are lost: the file is cut short, or there was no space when "
			"it was written; copy or take it again, whole",
			lost);
	else
		wh_diag_add(d->ctx->diags, WH_DIAG_WARN, "dump-incomplete", 0,
			    "the dump's writer or the end of the file says that it is incomplete");
}

static struct wh_err *finish(struct wh_dump *d, struct wh_err *e, struct wh_dump **ret)
{
	if (!e)
		e = probe(d);
	if (e) {
		wh_dump_close(d);
		return e;
	}
	for (size_t i = 0; i < d->n_streams; i++)
		d->incomplete |= wh_stream_truncated(d->streams[i]);
	if (d->incomplete)
		say_incomplete(d);
	*ret = d;
	return NULL;
}

struct wh_err *wh_dump_open(struct wh_ctx *ctx, const char *const *paths, size_t n,
			    struct wh_dump **ret)
{
	struct wh_dump *d = NULL;
	struct wh_err *e = NULL;

	if (!n)
		return wh_err_new(WH_ERR_USAGE, "no dump file given");
	WH_TRY(dump_new(ctx, n, &d));
	for (size_t i = 0; !e && i < n; i++) {
		e = wh_stream_open(ctx, paths[i], &d->streams[i]);
		d->n_streams += !e;
	}
	return finish(d, e, ret);
}

struct wh_err *wh_dump_open_mem(struct wh_ctx *ctx, const void *p, size_t n, struct wh_dump **ret)
{
	struct wh_dump *d = NULL;
	struct wh_err *e;

	WH_TRY(dump_new(ctx, 1, &d));
	e = wh_stream_open_mem(ctx, p, n, "(memory)", &d->streams[0]);
	d->n_streams = !e;
	return finish(d, e, ret);
}

void wh_dump_close(struct wh_dump *d)
{
	if (!d)
		return;
	if (d->ops)
		d->ops->close(d);
	for (size_t i = 0; i < d->n_streams; i++)
		wh_stream_close(d->streams[i]);
	wh_vmcoreinfo_destroy(d->vmcoreinfo);
	free(d->streams);
	free(d->segs);
	free(d->notes);
	free(d);
}

const char *wh_mem_state_name(enum wh_mem_state s)
{
	static const char *const names[WH_MEM_STATE_COUNT] = {
		[WH_MEM_PRESENT] = "present",	[WH_MEM_FILE_BACKED] = "file-backed",
		[WH_MEM_EXCLUDED] = "excluded", [WH_MEM_TRUNCATED] = "truncated",
		[WH_MEM_UNMAPPED] = "unmapped", [WH_MEM_CORRUPT] = "corrupt",
	};

	return (unsigned int)s < WH_MEM_STATE_COUNT ? names[s] : "?";
}
