/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pool of threads that take unit numbers from one counter:
 *
 *	caller ── run(n) ──► wake ──► next = 0,1,2,…  each worker: unit = next++ ; fn(unit)
 *	   └──────────── is worker 0 itself, reports progress ─────────┘
 *
 * Invariants: a run's units are claimed exactly once; `err` holds the error of the lowest-numbered
 * failed unit; no worker touches a job after the last one has left it (active == 0).
 */
#include "analyzer/base/ctx.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "analyzer/base/vec.h"

struct job {
	wh_work_fn fn;
	void *arg;
	size_t n;
	atomic_size_t next, done;
	size_t err_unit;
	struct wh_err *err;
};

struct wh_workers {
	pthread_mutex_t lock;
	pthread_cond_t wake, idle;
	struct job *job;
	uint64_t generation;
	unsigned int count, started, active;
	bool quit;
	struct wh_ctx *ctx;
	pthread_t threads[];
};

static void job_fail(struct wh_workers *w, struct job *j, size_t unit, struct wh_err *e)
{
	pthread_mutex_lock(&w->lock);
	if (!j->err || unit < j->err_unit) {
		wh_err_destroy(j->err);
		j->err = e;
		j->err_unit = unit;
		e = NULL;
	}
	pthread_mutex_unlock(&w->lock);
	wh_err_destroy(e);
}

static void job_work(struct wh_workers *w, struct job *j, unsigned int worker, const char *phase)
{
	for (;;) {
		size_t unit = atomic_fetch_add(&j->next, 1);
		struct wh_err *e;

		if (unit >= j->n)
			return;
		e = wh_ctx_cancelled(w->ctx) ? &wh_err_cancelled : j->fn(j->arg, worker, unit);
		if (e) {
			job_fail(w, j, unit, e);
			/* Later units need not start; earlier ones are already claimed. */
			atomic_store(&j->next, j->n);
		}
		atomic_fetch_add(&j->done, 1);
		if (phase)
			wh_ctx_progress(w->ctx, phase, atomic_load(&j->done), j->n);
	}
}

struct thread_arg {
	struct wh_workers *w;
	unsigned int worker;
};

static void *worker_main(void *p)
{
	struct thread_arg a = *(struct thread_arg *)p;
	uint64_t seen = 0;

	free(p);
	pthread_mutex_lock(&a.w->lock);
	for (;;) {
		struct job *j;

		while (!a.w->quit && (a.w->generation == seen || !a.w->job))
			pthread_cond_wait(&a.w->wake, &a.w->lock);
		if (a.w->quit)
			break;
		seen = a.w->generation;
		j = a.w->job;
		a.w->active++;
		pthread_mutex_unlock(&a.w->lock);
		job_work(a.w, j, a.worker, NULL);
		pthread_mutex_lock(&a.w->lock);
		if (--a.w->active == 0)
			pthread_cond_signal(&a.w->idle);
	}
	pthread_mutex_unlock(&a.w->lock);
	return NULL;
}

static void workers_destroy(struct wh_workers *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->quit = true;
	pthread_cond_broadcast(&w->wake);
	pthread_mutex_unlock(&w->lock);
	for (unsigned int i = 0; i < w->started; i++)
		pthread_join(w->threads[i], NULL);
	pthread_cond_destroy(&w->wake);
	pthread_cond_destroy(&w->idle);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* A thread that cannot be started is done without: the caller always works too. */
static void workers_start(struct wh_workers *w)
{
	for (unsigned int i = 1; i < w->count; i++) {
		struct thread_arg *a = malloc(sizeof(*a));

		if (!a)
			return;
		*a = (struct thread_arg){.w = w, .worker = i};
		if (pthread_create(&w->threads[w->started], NULL, worker_main, a)) {
			free(a);
			return;
		}
		w->started++;
	}
}

struct wh_err *wh_ctx_create(unsigned int threads, struct wh_ctx **ret)
{
	struct wh_ctx *c = calloc(1, sizeof(*c));

	if (!threads) {
		long n = sysconf(_SC_NPROCESSORS_ONLN);

		threads = n < 1 ? 1 : n > 16 ? 16 : (unsigned int)n;
	}
	if (threads > 256)
		threads = 256;
	if (!c)
		return &wh_err_nomem;
	c->memory_budget = 2ull << 30;
	c->diags = wh_diags_create();
	c->workers = calloc(1, sizeof(*c->workers) + threads * sizeof(pthread_t));
	if (!c->diags || !c->workers) {
		wh_diags_destroy(c->diags);
		free(c->workers);
		free(c);
		return &wh_err_nomem;
	}
	c->workers->count = threads;
	c->workers->ctx = c;
	pthread_mutex_init(&c->workers->lock, NULL);
	pthread_cond_init(&c->workers->wake, NULL);
	pthread_cond_init(&c->workers->idle, NULL);
	workers_start(c->workers);
	*ret = c;
	return NULL;
}

void wh_ctx_destroy(struct wh_ctx *c)
{
	if (!c)
		return;
	workers_destroy(c->workers);
	wh_diags_destroy(c->diags);
	free(c);
}

unsigned int wh_workers_count(const struct wh_ctx *c)
{
	return c->workers->count;
}

struct wh_err *wh_workers_run(struct wh_ctx *c, const char *phase, size_t n_units, wh_work_fn fn,
			      void *arg)
{
	struct wh_workers *w = c->workers;
	struct job j = {.fn = fn, .arg = arg, .n = n_units};

	pthread_mutex_lock(&w->lock);
	w->job = &j;
	w->generation++;
	if (n_units > 1)
		pthread_cond_broadcast(&w->wake);
	pthread_mutex_unlock(&w->lock);
	job_work(w, &j, 0, phase);
	pthread_mutex_lock(&w->lock);
	w->job = NULL;
	while (w->active)
		pthread_cond_wait(&w->idle, &w->lock);
	pthread_mutex_unlock(&w->lock);
	if (!j.err && wh_ctx_cancelled(c))
		return &wh_err_cancelled;
	return j.err;
}
