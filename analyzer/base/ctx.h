/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctx: what every layer needs from the run: diagnostics, workers, progress and the cancel flag.
 * Created once, borrowed by all; there are no globals.
 */
#ifndef WH_BASE_CTX_H
#define WH_BASE_CTX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/base/diag.h"
#include "analyzer/base/err.h"

struct wh_workers;

/** Called now and then from the thread that started the work, never from a worker. */
typedef void (*wh_progress_fn)(void *arg, const char *phase, uint64_t done, uint64_t total);

struct wh_ctx {
	struct wh_diags *diags;	    /**< owned */
	struct wh_workers *workers; /**< owned */
	atomic_bool cancel;	    /**< set by a signal handler; long loops look at it */
	wh_progress_fn progress;    /**< may be NULL */
	void *progress_arg;
	uint64_t memory_budget; /**< [bytes] for tables that may spill or be recomputed */
};

/** @threads 0 = number of online processors, at most 16. */
struct wh_err *wh_ctx_create(unsigned int threads, struct wh_ctx **ret) WH_MUST_CHECK;
void wh_ctx_destroy(struct wh_ctx *c);

static inline bool wh_ctx_cancelled(const struct wh_ctx *c)
{
	return atomic_load_explicit(&c->cancel, memory_order_relaxed);
}

/** Tells how far a phase is; units are the caller's (bytes, by habit). */
static inline void wh_ctx_progress(const struct wh_ctx *c, const char *phase, uint64_t done,
				   uint64_t total)
{
	if (c->progress)
		c->progress(c->progress_arg, phase, done, total);
}

/**
 * One unit of parallel work.  @worker is 0..wh_workers_count-1 (for per-thread scratch), @unit is
 * 0..n_units-1.  Must not print.
 */
typedef struct wh_err *(*wh_work_fn)(void *arg, unsigned int worker, size_t unit);

unsigned int wh_workers_count(const struct wh_ctx *c);
/**
 * Runs @fn for each unit, in any order, on all workers (the caller is one of them), and waits.
 * Returns the error of the lowest-numbered unit that failed, so that runs agree; &wh_err_cancelled
 * when the cancel flag was set.  @phase (may be NULL) names it for the progress line.  Not
 * reentrant: never call it from a worker.
 */
struct wh_err *wh_workers_run(struct wh_ctx *c, const char *phase, size_t n_units, wh_work_fn fn,
			      void *arg) WH_MUST_CHECK;

#endif
