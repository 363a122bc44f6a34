/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "analyzer/cmd/cmd.h"

/* What must not leave the house. */
static bool is_sensitive(const struct wh_fact *f)
{
	static const char *const keys[] = {"nodename",	   "hostname",	"domainname",  "cmdline",
					   "command_line", "arguments", "environment", "panic",
					   "psargs",	   "user"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(f->key, keys[i]))
			return true;
	return false;
}

static void put_fact(struct wh_emit *e, const struct wh_fact *f)
{
	bool hide = wh_emit_redacts(e) && is_sensitive(f);
	char label[64];
	size_t i = 0;

	for (; f->key[i] && i < sizeof(label) - 1; i++)
		label[i] = f->key[i] == '_' ? ' ' : f->key[i];
	label[i] = '\0';
	if (f->is_number && f->value && !strcmp(f->value, "bytes")) {
		wh_emit_u64(e, f->key, label, f->number, WH_UNIT_BYTES);
	} else if (f->is_number) {
		WH_CLEANUP(wh_strbuf_fini) struct wh_strbuf sb = WH_STRBUF_INIT;

		wh_text_u64(&sb, f->number);
		wh_strbuf_printf(&sb, "%s%s", f->value ? " " : "", f->value ? f->value : "");
		wh_emit_u64(e, f->key, NULL, f->number, WH_UNIT_NONE);
		wh_emit_str(e, NULL, label, wh_strbuf_str(&sb));
	} else {
		wh_emit_str(e, f->key, label, hide ? "(redacted)" : f->value);
	}
}

/* Facts come in any order; a section is printed where its first fact stands. */
void wh_emit_facts(struct wh_emit *e, const wh_fact_vec *v)
{
	for (size_t i = 0; i < v->n; i++) {
		bool seen = false;

		for (size_t k = 0; k < i && !seen; k++)
			seen = !strcmp(v->v[k].section, v->v[i].section);
		if (seen)
			continue;
		wh_emit_object(e, v->v[i].section, v->v[i].section);
		for (size_t k = i; k < v->n; k++)
			if (!strcmp(v->v[k].section, v->v[i].section))
				put_fact(e, &v->v[k]);
		wh_emit_end(e);
	}
}

static void iso_time(uint64_t t, char *buf, size_t cap)
{
	time_t secs = (time_t)t;
	struct tm tm;

	if (!gmtime_r(&secs, &tm) || !strftime(buf, cap, "%Y-%m-%dT%H:%M:%SZ", &tm))
		buf[0] = '\0';
}

static void emit_utsname(struct wh_emit *e, const struct wh_dump *d)
{
	static const char *const keys[] = {"sysname", "nodename", "release",
					   "version", "machine",  "domainname"};

	for (size_t i = 0; i < 6; i++) {
		bool hide = wh_emit_redacts(e) && (i == 1 || i == 5);

		if (d->utsname[i][0])
			wh_emit_str(e, keys[i], keys[i], hide ? "(redacted)" : d->utsname[i]);
	}
}

static void emit_file(struct wh_run *run)
{
	static const char *const classes[] = {"machine, by page frame",
					      "process, by virtual address", "illumos kernel"};
	const struct wh_dump *d = run->dump;
	struct wh_emit *e = run->emit;
	const char *slash = strrchr(run->files.v[0], '/');
	const char *wrappers = wh_stream_wrappers(d->streams[0]);
	uint64_t pages = 0, crashed = d->crash_time;
	char when[40];

	if (!crashed && run->target)
		crashed = run->target->wall_clock;

	wh_emit_object(e, "file", "file");
	wh_emit_str(e, "name", "name", slash ? slash + 1 : run->files.v[0]);
	wh_emit_u64(e, "files", d->n_streams > 1 ? "files" : NULL, d->n_streams, WH_UNIT_NONE);
	wh_emit_str(e, "format", "format", d->ops->name);
	wh_emit_str(e, "wrappers", *wrappers ? "inside" : NULL, wrappers);
	wh_emit_u64(e, "header_version", d->header_version ? "header version" : NULL,
		    d->header_version, WH_UNIT_NONE);
	wh_emit_str(e, "codec", "codec", d->codec);
	wh_emit_str(e, "class", "memory of a", classes[d->cls]);
	wh_emit_str(e, "arch", "architecture", d->arch ? d->arch->name : NULL);
	wh_emit_u64(e, "page_size", "page size", d->page_size, WH_UNIT_BYTES);
	if (d->dump_level >= 0)
		wh_emit_i64(e, "dump_level", "makedumpfile -d", d->dump_level);
	wh_emit_bool(e, "cut", d->incomplete ? "cut short" : NULL, d->incomplete);
	if (crashed) {
		iso_time(crashed, when, sizeof(when));
		wh_emit_str(e, "crash_time", "crash time", when);
	}
	emit_utsname(e, d);
	for (int s = 0; s < WH_MEM_STATE_COUNT; s++)
		pages += d->pages[s];
	if (pages) {
		wh_emit_object(e, "pages", "pages");
		for (int s = 0; s < WH_MEM_STATE_COUNT; s++)
			if (d->pages[s])
				wh_emit_u64(e, wh_mem_state_name((enum wh_mem_state)s),
					    wh_mem_state_name((enum wh_mem_state)s), d->pages[s],
					    WH_UNIT_NONE);
		wh_emit_end(e);
	}
	wh_emit_end(e);
}

/* ---- --decode-only: what reading alone costs ---- */

#define CHUNK (2u << 20) /* [bytes] a unit of work */

struct chunk {
	uint64_t addr;
	uint32_t len;
	uint8_t space;
};

struct decode {
	struct wh_target *t;
	WH_VEC(struct chunk) chunks;
	struct wh_reader **readers;
	_Atomic uint64_t bytes, absent, sum;
};

static struct wh_err *decode_unit(void *arg, unsigned int worker, size_t unit)
{
	struct decode *d = arg;
	const struct chunk *c = &d->chunks.v[unit];
	uint64_t sum = 0, bytes = 0, absent = 0;

	for (uint64_t off = 0; off < c->len;) {
		enum wh_mem_state state;
		size_t len;
		const uint8_t *p = wh_reader_borrow(d->readers[worker], (enum wh_space)c->space,
						    c->addr + off, c->len - off, &len, &state);

		if (!len)
			break;
		/* One byte a cache line: the memory must come into being, not be understood. */
		for (size_t i = 0; p && i < len; i += 64)
			sum += p[i];
		*(p ? &bytes : &absent) += len;
		off += len;
	}
	atomic_fetch_add(&d->bytes, bytes);
	atomic_fetch_add(&d->absent, absent);
	atomic_fetch_add(&d->sum, sum);
	return NULL;
}

static struct wh_err *add_chunks(struct decode *d, const struct wh_plan_range *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (uint64_t off = 0; off < r[i].len; off += CHUNK) {
			uint64_t left = r[i].len - off;
			struct chunk c = {.addr = r[i].addr + off,
					  .len = left < CHUNK ? (uint32_t)left : CHUNK,
					  .space = r[i].space};

			WH_TRY(WH_VEC_PUSH(&d->chunks, c));
		}
	return NULL;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static struct wh_err *decode_run(struct wh_run *run, struct decode *d)
{
	unsigned int n = wh_workers_count(run->ctx);
	double start;

	d->readers = wh_calloc(n, sizeof(*d->readers));
	if (!d->readers)
		return &wh_err_nomem;
	for (unsigned int i = 0; i < n; i++)
		WH_TRY(wh_reader_create(d->t->mem, &d->readers[i]));
	WH_TRY(add_chunks(d, d->t->plan.roots.v, d->t->plan.roots.n));
	WH_TRY(add_chunks(d, d->t->plan.nodes.v, d->t->plan.nodes.n));
	start = now();
	WH_TRY(wh_workers_run(run->ctx, "decoding", d->chunks.n, decode_unit, d));
	wh_emit_object(run->emit, "decode", "decode");
	wh_emit_ns(run->emit, "seconds", "seconds", (uint64_t)((now() - start) * 1e9));
	wh_emit_u64(run->emit, "bytes", "bytes", d->bytes, WH_UNIT_BYTES);
	wh_emit_u64(run->emit, "absent", "absent", d->absent, WH_UNIT_BYTES);
	wh_emit_u64(run->emit, "checksum", NULL, d->sum, WH_UNIT_NONE);
	wh_emit_end(run->emit);
	return NULL;
}

static struct wh_err *decode_only(struct wh_run *run)
{
	struct decode d = {0};
	struct wh_err *e;

	WH_TRY(wh_run_target(run, true));
	d.t = run->target;
	e = decode_run(run, &d);
	for (unsigned int i = 0; d.readers && i < wh_workers_count(run->ctx); i++)
		wh_reader_destroy(d.readers[i]);
	free(d.readers);
	WH_VEC_FINI(&d.chunks);
	return e;
}

static struct wh_err *info(struct wh_run *run)
{
	struct wh_arena mem = WH_ARENA_INIT;
	wh_fact_vec v = {0};
	struct wh_err *e;

	WH_TRY(wh_run_dump(run));
	e = wh_run_target(run, false);
	if (!e && run->target->ops->info)
		e = run->target->ops->info(run->target, &mem, &v);
	wh_emit_u64(run->emit, "schema", NULL, 1, WH_UNIT_NONE);
	emit_file(run);
	if (e && (e->code == WH_ERR_CANCELLED || e->code == WH_ERR_NOMEM))
		goto out;
	if (run->target) {
		wh_emit_str(run->emit, "target", NULL, run->target->ops->name);
		wh_emit_facts(run->emit, &v);
	}
	if (e) {
		/* The file is known, what ran there is not, or in part: still an answer. */
		wh_diag_add_err(run->ctx->diags, WH_DIAG_ERROR, "target-not-understood", e);
		wh_run_emit_diags(run);
		run->exit_code = WH_EXIT_INPUT;
		e = NULL;
		goto out;
	}
	if (run->target->record_advice)
		wh_emit_str(run->emit, "advice", "next time", run->target->record_advice);
	if (run->cli->decode_only)
		e = decode_only(run);
	if (!e)
		wh_run_emit_diags(run);
out:
	WH_VEC_FINI(&v);
	wh_arena_fini(&mem);
	return e;
}

const struct wh_command wh_cmd_info = {
	.name = "info",
	.synopsis = "[options] [VMLINUX|PROGRAM] DUMP",
	.summary = "say what the dump is, what is recorded in it and what is missing",
	.help = "Format, codec, architecture, kernel or program, crash time, how much memory of each "
		"class is present, excluded by the filter or lost; which sources of allocation stacks "
		"the dump has, and how to get them next time.\n\n"
		"--decode-only also reads and decodes every page that findleaks would read, and "
		"prints the time: the floor under any analysis of this dump.",
	.examples = "weephole info vmcore\tformat, kernel, coverage, recorders\n"
		    "weephole info --json vmcore\tfor programs\n",
	.groups = WH_OG_OUT | WH_OG_INPUT | WH_OG_SCAN | WH_OG_INFO,
	.args = WH_ARGS_DUMP,
	.run = info,
};
