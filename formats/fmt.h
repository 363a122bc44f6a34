/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fmt: the formats that dump.c knows, one table entry each; private to formats/. */
#ifndef WH_FORMATS_FMT_H
#define WH_FORMATS_FMT_H

#include "formats/dump.h"

extern const struct wh_dump_ops wh_fmt_kdump_ops, wh_fmt_elf_ops, wh_fmt_illumos_ops;

#endif
