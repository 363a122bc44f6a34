/* SPDX-License-Identifier: GPL-2.0-or-later */
/* arch_tables: the machines, one file each (arch_NAME.c); private to formats/. */
#ifndef WH_FORMATS_ARCH_TABLES_H
#define WH_FORMATS_ARCH_TABLES_H

#include "formats/arch.h"

extern const struct wh_arch wh_arch_x86_64, wh_arch_i386, wh_arch_aarch64, wh_arch_aarch64_be,
	wh_arch_arm, wh_arch_armeb, wh_arch_sparc, wh_arch_sparcv9;

#endif
