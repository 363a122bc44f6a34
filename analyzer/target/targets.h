/* SPDX-License-Identifier: GPL-2.0-or-later */
/* targets: the kinds of target there are, for the table in target.c. */
#ifndef WH_TARGET_TARGETS_H
#define WH_TARGET_TARGETS_H

#include "analyzer/target/target.h"

extern const struct wh_target_ops wh_target_linux_ops;	 /* target_linux.c */
extern const struct wh_target_ops wh_target_illumos_ops; /* target_illumos.c */
extern const struct wh_target_ops wh_target_user_ops;	 /* target_user.c */

#endif
