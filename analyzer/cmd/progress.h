/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * progress: the line on the terminal for work of more than a second, and Ctrl-C.
 *
 * The first Ctrl-C sets ctx->cancel, so that work stops in order.  If it has not stopped 80 ms later,
 * the process says what it was doing and ends: an answer within 100 ms whatever the code is busy with.
 * Signal handlers need one static object; there is at most one run a process.
 */
#ifndef WH_CMD_PROGRESS_H
#define WH_CMD_PROGRESS_H

#include "analyzer/base/ctx.h"

enum wh_progress_mode { WH_PROGRESS_AUTO, WH_PROGRESS_NEVER, WH_PROGRESS_ALWAYS };

/** Hooks progress and signals onto @ctx. */
void wh_progress_start(struct wh_ctx *ctx, enum wh_progress_mode mode);
/** A file to remove when the process is interrupted (NULL: none); borrowed. */
void wh_progress_set_unlink(const char *path);
/** Wipes the line; further progress draws again. */
void wh_progress_clear(void);
/** After an interruption in order: says on standard error what was not done. */
void wh_progress_say_interrupted(void);
/** Wipes the line and gives signals back; with @verbose prints phases with their times. */
void wh_progress_stop(bool verbose);

#endif
