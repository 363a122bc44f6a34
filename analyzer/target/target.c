/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/target/target.h"

#include <stdlib.h>
#include <string.h>

#include "analyzer/base/strbuf.h"
#include "analyzer/target/targets.h"

/* Asked in this order; the first that does not say "not mine" has it. */
static const struct wh_target_ops *const targets[] = {
	&wh_target_illumos_ops,
	&wh_target_user_ops,
	&wh_target_linux_ops,
	NULL,
};

/* What target.c adds to the public part. */
struct target_full {
	struct wh_target pub;
	bool built;
	struct wh_marks *marks, *parents;
};

static struct wh_err *target_probe(struct target_full *f)
{
	for (size_t i = 0; targets[i]; i++) {
		struct wh_err *e;

		f->pub.ops = targets[i];
		e = targets[i]->open(&f->pub);
		if (e != &wh_err_not_mine)
			return e;
	}
	f->pub.ops = NULL;
	return wh_err_new(WH_ERR_UNSUPPORTED,
			  "the dump was read, but it is of no system that weephole knows");
}

struct wh_err *wh_target_open_with(struct wh_ctx *ctx, const struct wh_dump *d,
				   const struct wh_target_opts *opts,
				   const struct wh_target_ops *ops, struct wh_target **ret)
{
	struct target_full *f = calloc(1, sizeof(*f));
	struct wh_err *e;

	if (!f)
		return &wh_err_nomem;
	f->pub.ctx = ctx;
	f->pub.dump = d;
	f->pub.opts = opts;
	f->pub.ops = ops;
	e = ops ? ops->open(&f->pub) : target_probe(f);
	if (!e && !f->pub.reader)
		e = wh_reader_create(f->pub.mem, &f->pub.reader);
	if (e) {
		wh_target_close(&f->pub);
		return e;
	}
	*ret = &f->pub;
	return NULL;
}

struct wh_err *wh_target_open(struct wh_ctx *ctx, const struct wh_dump *d,
			      const struct wh_target_opts *opts, struct wh_target **ret)
{
	return wh_target_open_with(ctx, d, opts, NULL, ret);
}

/* "data" also names every "data:MODULE". */
static bool kind_named(const char *kind, const char *name)
{
	size_t n = strlen(name);

	return strncmp(kind, name, n) == 0 && (!kind[n] || kind[n] == ':');
}

static void root_unknown(struct wh_target *t, const char *name)
{
	WH_CLEANUP(wh_strbuf_fini) struct wh_strbuf sb = WH_STRBUF_INIT;

	for (size_t k = 0; k < t->plan.kinds.n; k++)
		wh_strbuf_printf(&sb, "%s%s", k ? ", " : "", t->plan.kinds.v[k].name);
	wh_diag_add(t->ctx->diags, WH_DIAG_WARN, "root-kind-unknown", 0,
		    "--no-roots=%s: this dump has no roots of that name; it has: %s", name,
		    wh_strbuf_str(&sb));
}

static void roots_switch(struct wh_target *t)
{
	for (size_t i = 0; i < t->opts->n_no_roots; i++) {
		bool known = false;

		for (size_t k = 0; k < t->plan.kinds.n; k++)
			if (kind_named(t->plan.kinds.v[k].name, t->opts->no_roots[i]))
				known = t->plan.kinds.v[k].off = true;
		if (!known)
			root_unknown(t, t->opts->no_roots[i]);
	}
}

struct wh_err *wh_target_build(struct wh_target *t)
{
	struct target_full *f = (struct target_full *)t;

	if (f->built)
		return NULL;
	WH_TRY(wh_buftab_create(t->ctx, &t->buftab));
	WH_TRY(t->ops->build(t));
	WH_TRY(wh_buftab_freeze(t->buftab));
	if (t->ops->correct)
		WH_TRY(t->ops->correct(t));
	roots_switch(t);
	f->built = true;
	return NULL;
}

static struct wh_err *target_run(struct wh_target *t, bool parents, struct wh_marks **slot)
{
	struct wh_mark_opts o = t->mark_opts;

	WH_TRY(wh_target_build(t));
	o.keep_parents = parents;
	return *slot ? NULL : wh_mark_run(t->ctx, t->mem, t->buftab, &t->plan, &o, slot);
}

struct wh_err *wh_target_mark(struct wh_target *t, const struct wh_marks **ret)
{
	struct target_full *f = (struct target_full *)t;

	/* explain has marked with parents: the verdicts are the same */
	if (!f->parents)
		WH_TRY(target_run(t, /* parents= */ false, &f->marks));
	*ret = f->marks ? f->marks : f->parents;
	return NULL;
}

struct wh_err *wh_target_mark_parents(struct wh_target *t, const struct wh_marks **ret)
{
	struct target_full *f = (struct target_full *)t;

	WH_TRY(target_run(t, /* parents= */ true, &f->parents));
	*ret = f->parents;
	return NULL;
}

void wh_target_close(struct wh_target *t)
{
	struct target_full *f = (struct target_full *)t;

	if (!t)
		return;
	wh_marks_destroy(f->marks);
	wh_marks_destroy(f->parents);
	wh_buftab_destroy(t->buftab);
	wh_plan_fini(&t->plan);
	wh_reader_destroy(t->reader);
	if (t->ops && t->ops->close)
		t->ops->close(t);
	free(f);
}
