/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where files are looked for, in this order; the first whose build-id agrees wins.
 *
 *	executables    SYSROOT/PATH, DIR/PATH, DIR/NAME, beside the dump, DIR/.build-id/xx/rest
 *	debug files    SYSROOT/usr/lib/debug/.build-id/xx/rest.debug, the same in each DIR, DIR/xx/rest.debug,
 *	               the debuglink's places (beside PATH, .debug/, /usr/lib/debug/PATH), DIR/NAME[.debug],
 *	               beside the dump
 *	both           debuginfod, when the user allowed it
 */
#include "dwarf/locate.h"

#include <elfutils/debuginfod.h>
#include <elfutils/libdwelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/base/strbuf.h"
#include "analyzer/base/vec.h"
#include "dwarf/elffile.h"

#define DEBUG_ROOT "/usr/lib/debug"

struct search {
	const struct wh_locate_opts *opts;
	const struct wh_locate_query *q;
	char id[2 * 64 + 1]; /* hex */
	const char *name;    /* last component of q->path; NULL */
	char *found;
	bool mismatch, failed;
};

size_t wh_locate_build_id(const char *path, uint8_t *ret, size_t cap)
{
	WH_CLEANUP(wh_elffile_close) struct wh_elffile f = wh_elffile_open(path);
	const void *bits = NULL;
	ssize_t n = f.elf ? dwelf_elf_gnu_build_id(f.elf, &bits) : 0;

	if (n <= 0 || (size_t)n > cap)
		return 0;
	memcpy(ret, bits, (size_t)n);
	return (size_t)n;
}

bool wh_locate_has_section(const char *path, const char *const *names, bool filled)
{
	WH_CLEANUP(wh_elffile_close) struct wh_elffile f = wh_elffile_open(path);
	Elf_Scn *scn = NULL;
	bool found = false;
	size_t strndx = 0;
	GElf_Shdr sh;

	if (!f.elf || elf_getshdrstrndx(f.elf, &strndx) != 0)
		return false;
	while (!found && (scn = elf_nextscn(f.elf, scn))) {
		const char *name =
			gelf_getshdr(scn, &sh) ? elf_strptr(f.elf, strndx, sh.sh_name) : NULL;

		for (size_t i = 0; name && !found && names[i]; i++)
			found = !strcmp(name, names[i]) && (!filled || sh.sh_type != SHT_NOBITS);
	}
	return found;
}

/* Takes @path when its build-id is the wanted one; @by_name: a wrong one is worth telling. */
static bool try_path(struct search *s, const char *path, bool by_name)
{
	uint8_t id[64];
	size_t n;

	if (access(path, R_OK) != 0)
		return false;
	n = wh_locate_build_id(path, id, sizeof(id));
	if (n && n == s->q->build_id_len && !memcmp(id, s->q->build_id, n)) {
		s->found = strdup(path);
		s->failed = !s->found;
		return true;
	}
	s->mismatch |= by_name;
	return false;
}

static bool try_fmt(struct search *s, bool by_name, const char *fmt, ...) WH_PRINTF(3, 4);
static bool try_fmt(struct search *s, bool by_name, const char *fmt, ...)
{
	char path[4096];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	return n > 0 && (size_t)n < sizeof(path) && try_path(s, path, by_name);
}

/* The build-id tree under @root: .build-id/xx/rest[.debug]. */
static bool try_id_tree(struct search *s, const char *root, const char *under)
{
	const char *suffix = s->q->kind == WH_LOCATE_DEBUG ? ".debug" : "";

	return try_fmt(s, false, "%s%s/%.2s/%s%s", root, under, s->id, s->id + 2, suffix);
}

static bool try_root(struct search *s, const char *root)
{
	bool debug = s->q->kind == WH_LOCATE_DEBUG;
	const char *path = s->q->path, *link = s->q->debuglink;

	if (try_id_tree(s, root, DEBUG_ROOT "/.build-id"))
		return true;
	if (!path || path[0] != '/')
		return false;
	if (!debug)
		return try_fmt(s, true, "%s%s", root, path);
	if (link &&
	    (try_fmt(s, true, "%s%.*s%s", root, (int)(s->name - path), path, link) ||
	     try_fmt(s, true, "%s%.*s.debug/%s", root, (int)(s->name - path), path, link) ||
	     try_fmt(s, true, "%s" DEBUG_ROOT "%.*s%s", root, (int)(s->name - path), path, link)))
		return true;
	return try_fmt(s, true, "%s" DEBUG_ROOT "%s.debug", root, path) ||
	       try_fmt(s, true, "%s" DEBUG_ROOT "%s", root, path);
}

static bool try_dir(struct search *s, const char *dir)
{
	bool debug = s->q->kind == WH_LOCATE_DEBUG;

	if (try_id_tree(s, dir, "/.build-id") || try_id_tree(s, dir, "") ||
	    try_id_tree(s, dir, DEBUG_ROOT "/.build-id"))
		return true;
	if (debug && s->q->debuglink && try_fmt(s, true, "%s/%s", dir, s->q->debuglink))
		return true;
	if (!s->name)
		return false;
	if (s->q->path[0] == '/' && try_fmt(s, true, "%s%s", dir, s->q->path))
		return true;
	if (debug && (try_fmt(s, true, "%s/%s.debug", dir, s->name) ||
		      (s->q->path[0] == '/' && try_fmt(s, true, "%s%s.debug", dir, s->q->path))))
		return true;
	return try_fmt(s, true, "%s/%s", dir, s->name);
}

static bool try_beside(struct search *s)
{
	const char *dump = s->opts->dump_path, *slash;
	char dir[4096];

	if (!dump)
		return false;
	slash = strrchr(dump, '/');
	if (!slash)
		return try_dir(s, ".");
	if ((size_t)(slash - dump) >= sizeof(dir))
		return false;
	memcpy(dir, dump, (size_t)(slash - dump));
	dir[slash - dump] = '\0';
	return try_dir(s, dir[0] ? dir : "/");
}

static bool try_debuginfod(struct search *s)
{
	debuginfod_client *c = debuginfod_begin();
	char *path = NULL;
	int fd;

	if (!c)
		return false;
	fd = s->q->kind == WH_LOCATE_DEBUG
		     ? debuginfod_find_debuginfo(c, s->q->build_id, (int)s->q->build_id_len, &path)
		     : debuginfod_find_executable(c, s->q->build_id, (int)s->q->build_id_len,
						  &path);
	debuginfod_end(c);
	if (fd < 0)
		return false;
	close(fd);
	s->found = path;
	return true;
}

static bool try_all(struct search *s)
{
	if (try_root(s, s->opts->sysroot ? s->opts->sysroot : ""))
		return true;
	for (size_t i = 0; i < s->opts->n_debug_dirs; i++)
		if (try_dir(s, s->opts->debug_dirs[i]))
			return true;
	return try_beside(s) || (s->opts->debuginfod && try_debuginfod(s));
}

struct wh_err *wh_locate(const struct wh_locate_opts *opts, const struct wh_locate_query *q,
			 char **ret_path, bool *ret_mismatch)
{
	struct search s = {.opts = opts, .q = q};
	const char *slash;

	if (!q->build_id || q->build_id_len < 4 || q->build_id_len > 64)
		return &wh_err_not_found;
	for (size_t i = 0; i < q->build_id_len; i++)
		snprintf(s.id + 2 * i, 3, "%02x", q->build_id[i]);
	if (q->path) {
		slash = strrchr(q->path, '/');
		s.name = slash ? slash + 1 : q->path;
		if (!s.name[0])
			s.name = NULL;
	}
	if (!try_all(&s)) {
		if (ret_mismatch)
			*ret_mismatch = s.mismatch;
		return &wh_err_not_found;
	}
	if (s.failed)
		return &wh_err_nomem;
	if (ret_mismatch)
		*ret_mismatch = false;
	*ret_path = s.found;
	return NULL;
}
