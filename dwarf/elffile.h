/* SPDX-License-Identifier: GPL-2.0-or-later */
/* elffile: a file on this machine, read through libelf.  Private to dwarf/. */
#ifndef WH_DWARF_ELFFILE_H
#define WH_DWARF_ELFFILE_H

#include <fcntl.h>
#include <libelf.h>
#include <unistd.h>

struct wh_elffile {
	int fd;
	Elf *elf; /* NULL: cannot be read, or no ELF file */
};

static inline struct wh_elffile wh_elffile_open(const char *path)
{
	struct wh_elffile f = {.fd = open(path, O_RDONLY | O_CLOEXEC)};

	elf_version(EV_CURRENT);
	f.elf = f.fd >= 0 ? elf_begin(f.fd, ELF_C_READ_MMAP, NULL) : NULL;
	if (f.elf && elf_kind(f.elf) != ELF_K_ELF) {
		elf_end(f.elf);
		f.elf = NULL;
	}
	return f;
}

static inline void wh_elffile_close(struct wh_elffile *f)
{
	elf_end(f->elf);
	if (f->fd >= 0)
		close(f->fd);
}

#endif
