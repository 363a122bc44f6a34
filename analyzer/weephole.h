/* SPDX-License-Identifier: GPL-2.0-or-later */
/**
 * @mainpage libweephole
 *
 * The engine of weephole as a library: what the command line itself calls.  A program goes through these
 * steps, each a function that returns NULL or an owned `struct wh_err *`:
 *
 *	wh_ctx_create      workers, diagnostics, the cancel flag
 *	wh_dump_open       a file (or several) into a dump: what format it is, what memory it has
 *	wh_target_open     the dump into a target: which system ran there, its names and layouts
 *	wh_target_build    the allocators into one frozen table of buffers
 *	wh_leaks_build     mark, and group what nothing refers to
 *
 * and then reads `struct wh_leaks`, or has it printed (wh_emit_create, wh_leaks_emit_…, wh_report_write).
 * Destroy in the opposite order.  The library never prints and never exits; see the headers for ownership
 * and threads.  examples/list-leaks.c is a whole program.
 *
 * The library is an archive.  The functions named here are its interface and keep their meaning within a
 * major version; other wh_ functions may change with any.
 *
 *	errors       wh_err_text wh_err_destroy wh_err_is wh_mem_state_name
 *	context      wh_ctx_create wh_ctx_destroy wh_diags_list wh_severity_name
 *	dump         wh_dump_open wh_dump_open_mem wh_dump_close
 *	target       wh_target_open wh_target_build wh_target_mark wh_target_close
 *	buffers      wh_buftab_count wh_buftab_find wh_buftab_addr wh_buftab_size wh_buftab_state
 *	             wh_buftab_class_of wh_buftab_class
 *	leaks        wh_leaks_build wh_leaks_fini wh_leak_group_kind wh_leak_kind_name
 *	suppressions wh_suppressions_add_builtin wh_suppressions_add_file wh_suppressions_fini
 *	baselines    wh_baseline_from_leaks wh_baseline_read wh_baseline_compare wh_baseline_fini
 *	reports      wh_report_write wh_emit_create wh_emit_finish wh_emit_destroy wh_leaks_emit_verdict
 *	             wh_leaks_emit_groups wh_leaks_emit_totals wh_leaks_emit_summary wh_emit_diags
 *	names        wh_frame_text wh_frame_stable wh_strbuf_str wh_strbuf_fini
 */
#ifndef WH_WEEPHOLE_H
#define WH_WEEPHOLE_H

#include "analyzer/base/ctx.h"
#include "analyzer/base/diag.h"
#include "analyzer/base/err.h"
#include "analyzer/base/strbuf.h"
#include "analyzer/name/frame.h"
#include "analyzer/report/baseline.h"
#include "analyzer/report/formats.h"
#include "analyzer/report/leaks.h"
#include "analyzer/report/leaks_emit.h"
#include "analyzer/report/suppress.h"
#include "analyzer/target/target.h"
#include "formats/dump.h"

#endif
