/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A libdwfl session of one module.  Our own search (locate.c) has decided which files are right, so that
 * libdwfl's callbacks only hand them over: it never looks around by itself, nor asks the network.  A module's
 * user data is the path of its debug file.
 */
#include "dwarf/dwmod.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/base/vec.h"

static int find_elf(Dwfl_Module *mod WH_UNUSED, void **data WH_UNUSED, const char *name WH_UNUSED,
		    Dwarf_Addr base WH_UNUSED, char **ret WH_UNUSED, Elf **elf WH_UNUSED)
{
	return -1;
}

static int find_debuginfo(Dwfl_Module *mod WH_UNUSED, void **data, const char *name WH_UNUSED,
			  Dwarf_Addr base WH_UNUSED, const char *file WH_UNUSED,
			  const char *link WH_UNUSED, GElf_Word crc WH_UNUSED, char **ret)
{
	const char *path = *data;
	int fd;

	if (!path)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		*ret = strdup(path);
	return fd;
}

const Dwfl_Callbacks wh_dwfl_callbacks = {
	.find_elf = find_elf,
	.find_debuginfo = find_debuginfo,
	.section_address = dwfl_offline_section_address,
};

void wh_dwfl_set_debug_file(Dwfl_Module *mod, const char *path)
{
	void **data = NULL;

	dwfl_module_info(mod, &data, NULL, NULL, NULL, NULL, NULL, NULL);
	*data = (void *)path;
}

static int file_type(const char *path)
{
	unsigned char h[18];
	int fd = open(path, O_RDONLY | O_CLOEXEC), type = -1;

	if (fd < 0)
		return -1;
	if (pread(fd, h, sizeof(h), 0) == (ssize_t)sizeof(h) && !memcmp(h, ELFMAG, SELFMAG))
		type = h[EI_DATA] == ELFDATA2MSB ? h[16] << 8 | h[17] : h[17] << 8 | h[16];
	close(fd);
	return type;
}

struct wh_err *wh_dwmod_open(const char *file, const char *debug_file, struct wh_dwmod **ret)
{
	struct wh_dwmod *m = calloc(1, sizeof(*m));
	int type = file_type(file);

	if (!m)
		return &wh_err_nomem;
	m->file = strdup(file);
	m->debug_file = debug_file ? strdup(debug_file) : NULL;
	m->dwfl = dwfl_begin(&wh_dwfl_callbacks);
	if (!m->file || (debug_file && !m->debug_file) || !m->dwfl) {
		wh_dwmod_close(m);
		return &wh_err_nomem;
	}
	dwfl_report_begin(m->dwfl);
	if (type == ET_REL)
		m->mod = dwfl_report_offline(m->dwfl, "", file, -1);
	else if (type == ET_EXEC || type == ET_DYN)
		m->mod = dwfl_report_elf(m->dwfl, "", file, -1, 0, true);
	dwfl_report_end(m->dwfl, NULL, NULL);
	if (!m->mod) {
		const char *why = type < 0 ? "no ELF file" : dwfl_errmsg(-1);

		wh_dwmod_close(m);
		return wh_err_bad(file, UINT64_MAX, "%s", why ? why : "cannot be used");
	}
	wh_dwfl_set_debug_file(m->mod, m->debug_file);
	*ret = m;
	return NULL;
}

void wh_dwmod_close(struct wh_dwmod *m)
{
	if (!m)
		return;
	if (m->dwfl)
		dwfl_end(m->dwfl);
	free(m->file);
	free(m->debug_file);
	free(m);
}
