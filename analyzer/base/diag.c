/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/base/diag.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/vec.h"

/* Ids come from our own code, but some name what a dump says; keep the table bounded. */
#define DIAG_IDS_MAX 512

struct wh_diags {
	pthread_mutex_t lock;
	WH_VEC(struct wh_diag) list;
};

struct wh_diags *wh_diags_create(void)
{
	struct wh_diags *d = calloc(1, sizeof(*d));

	if (d)
		pthread_mutex_init(&d->lock, NULL);
	return d;
}

void wh_diags_destroy(struct wh_diags *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->list.n; i++) {
		free(d->list.v[i].id);
		free(d->list.v[i].text);
	}
	WH_VEC_FINI(&d->list);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static struct wh_diag *diags_get(struct wh_diags *d, enum wh_severity sev, const char *id)
{
	struct wh_diag fresh = {.severity = sev};
	struct wh_err *e;

	for (size_t i = 0; i < d->list.n; i++)
		if (!strcmp(d->list.v[i].id, id))
			return &d->list.v[i];
	if (d->list.n >= DIAG_IDS_MAX)
		return NULL;
	fresh.id = strdup(id);
	if (!fresh.id)
		return NULL;
	e = WH_VEC_PUSH(&d->list, fresh);
	if (e) {
		wh_err_destroy(e);
		free(fresh.id);
		return NULL;
	}
	return &d->list.v[d->list.n - 1];
}

void wh_diag_add(struct wh_diags *d, enum wh_severity sev, const char *id, uint64_t addr,
		 const char *fmt, ...)
{
	struct wh_diag *g;
	char *text = NULL;
	va_list ap;

	if (!d)
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	pthread_mutex_lock(&d->lock);
	g = diags_get(d, sev, id);
	if (g && text) {
		bool better = !g->text || addr < g->addr ||
			      (addr == g->addr && strcmp(text, g->text) < 0);

		g->count++;
		if (sev > g->severity)
			g->severity = sev;
		if (better) {
			free(g->text);
			g->text = text;
			g->addr = addr;
			text = NULL;
		}
	}
	pthread_mutex_unlock(&d->lock);
	free(text);
}

void wh_diag_add_err(struct wh_diags *d, enum wh_severity sev, const char *id, struct wh_err *e)
{
	char *text = wh_err_text(e);

	wh_diag_add(d, sev, id, 0, "%s", text ? text : "out of memory");
	free(text);
	wh_err_destroy(e);
}

static int diag_cmp(const void *pa, const void *pb)
{
	const struct wh_diag *a = pa, *b = pb;

	if (a->severity != b->severity)
		return a->severity > b->severity ? -1 : 1;
	return strcmp(a->id, b->id);
}

const struct wh_diag *wh_diags_list(struct wh_diags *d, size_t *ret_n)
{
	if (d->list.n)
		wh_sort(d->list.v, d->list.n, sizeof(*d->list.v), diag_cmp);
	*ret_n = d->list.n;
	return d->list.v;
}

const char *wh_severity_name(enum wh_severity s)
{
	static const char *const names[WH_SEVERITY_COUNT] = {"note", "warning", "error"};

	return (unsigned int)s < WH_SEVERITY_COUNT ? names[s] : "?";
}
