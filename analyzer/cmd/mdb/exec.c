/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a line to calls:
 *
 *	line     := command { ';' command }
 *	command  := pipeline [ '!' shell ]  |  '!' shell
 *	pipeline := stage { '|' stage }
 *	stage    := [expr] [',' expr] ( '::' name words | '$<' macro | '/' format | '=' format )
 *
 * Each stage is called once for each address that the stage before yields.
 */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/cmd/mdb/mdb.h"

#define STAGES_MAX   32
#define WARNINGS_MAX 20 /* of one line */

struct stage {
	char *name;  /* of a dcmd; "" when the stage is an expression alone */
	char format; /* '/' or '=': name is the format */
	char *words[WH_MDB_ARGS_MAX];
	size_t n_words;
	bool has_addr, has_count;
	uint64_t addr, count;
};

static const char *skip(const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

static bool ends_stage(const char *s)
{
	return !*s || *s == ';' || *s == '\n' || *s == '|' || *s == '!';
}

/* One word, with quotes; *ret in the arena. */
static struct wh_err *parse_word(struct wh_mdb *m, const char **s, char **ret)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;
	const char *p = *s;

	while (!ends_stage(p) && *p != ' ' && *p != '\t') {
		if (*p == '"' || *p == '\'') {
			char quote = *p++;

			while (*p && *p != quote)
				wh_strbuf_putc(&sb, *p++);
			if (!*p) {
				wh_strbuf_fini(&sb);
				return wh_err_new(WH_ERR_USAGE, "missing closing quote");
			}
			p++;
		} else {
			wh_strbuf_putc(&sb, *p++);
		}
	}
	*ret = wh_arena_strdup(&m->arena, wh_strbuf_str(&sb));
	wh_strbuf_fini(&sb);
	*s = p;
	return *ret ? NULL : &wh_err_nomem;
}

static struct wh_err *parse_dcmd(struct wh_mdb *m, const char **s, struct stage *st)
{
	WH_TRY(parse_word(m, s, &st->name));
	if (!*st->name)
		return wh_err_new(WH_ERR_USAGE, "expected the name of a dcmd after ::");
	for (*s = skip(*s); !ends_stage(*s); *s = skip(*s)) {
		if (st->n_words == WH_MDB_ARGS_MAX)
			return wh_err_new(WH_ERR_USAGE, "too many arguments of %s", st->name);
		WH_TRY(parse_word(m, s, &st->words[st->n_words++]));
	}
	return NULL;
}

/* Address and count in front are evaluated later, when "." is known; here they are only delimited. */
static struct wh_err *parse_stage(struct wh_mdb *m, const char **s, struct stage *st)
{
	*st = (struct stage){.name = (char *)(uintptr_t) "", .count = 1};
	*s = skip(*s);
	if (**s && strncmp(*s, "::", 2) && **s != ',' && **s != '$' && **s != '/' && **s != '=' &&
	    !ends_stage(*s)) {
		WH_TRY(wh_mdb_expr(m, s, &st->addr));
		st->has_addr = true;
		*s = skip(*s);
	}
	if (**s == ',') {
		++*s;
		WH_TRY(wh_mdb_expr(m, s, &st->count));
		st->has_count = true;
		*s = skip(*s);
	}
	if (!strncmp(*s, "::", 2)) {
		*s += 2;
		return parse_dcmd(m, s, st);
	}
	if (!strncmp(*s, "$<", 2)) {
		*s += 2;
		return parse_dcmd(m, s, st);
	}
	if (**s == '$' && isalpha((unsigned char)(*s)[1])) {
		WH_TRY(parse_word(m, s, &st->name));
		return NULL;
	}
	if (**s == '/' || **s == '=') {
		st->format = *(*s)++;
		*s = skip(*s);
		return parse_word(m, s, &st->name);
	}
	if (!st->has_addr || !ends_stage(*s))
		return wh_err_new(WH_ERR_USAGE, "expected an expression or ::dcmd at \"%.30s\"",
				  *s);
	return NULL;
}

/* ---- running ---- */

/* A dcmd that knows nothing of pipes: each line that begins with an address counts. */
static struct wh_err *text_to_addresses(struct wh_mdb *m, wh_addr_vec *ret)
{
	char *text = wh_strbuf_steal(&m->out), *save = NULL;
	struct wh_err *e = NULL;

	for (char *l = text ? strtok_r(text, "\n", &save) : NULL; l && !e;
	     l = strtok_r(NULL, "\n", &save)) {
		char *end;
		unsigned long long v;

		l += strspn(l, " ");
		v = strtoull(l, &end, 16);
		if (end != l && (*end == ' ' || !*end))
			e = WH_VEC_PUSH(ret, v);
	}
	free(text);
	return e;
}

static struct wh_err *call_stage(struct wh_mdb *m, const struct stage *st, bool has_addr,
				 uint64_t addr, bool last, bool first, wh_addr_vec *yield)
{
	const struct wh_mdb_dcmd *d;
	struct wh_mdb_call c = {.name = st->name,
				.addr = has_addr ? addr : m->dot,
				.has_addr = has_addr,
				.count = st->count,
				.has_count = st->has_count,
				.pipe_out = !last,
				.first = first,
				.argc = st->n_words,
				.argv = (const char *const *)st->words,
				.yield = yield};

	if (has_addr)
		m->dot = addr;
	if (st->format)
		return wh_mdb_format(m, st->name, st->format == '/', has_addr ? addr : m->dot,
				     st->count);
	if (!*st->name)
		return last ? NULL : WH_VEC_PUSH(yield, addr);
	d = wh_mdb_find_dcmd(st->name);
	if (!d)
		return wh_err_new(WH_ERR_NOT_FOUND,
				  "invalid command '::%s': unknown dcmd name "
				  "(::dcmds lists them)",
				  st->name);
	return d->fn(m, &c);
}

/* What one address of many lacks is no reason to stop: mdb warns and goes on, and so do we. */
static struct wh_err *warn(struct wh_mdb *m, struct wh_err *e)
{
	char *text;

	if (!wh_err_is(e, WH_ERR_NOT_FOUND))
		return e;
	if (m->warned++ < WARNINGS_MAX && (text = wh_err_text(e))) {
		fprintf(stderr, "weephole: %s\n", text);
		free(text);
	}
	wh_err_destroy(e);
	return NULL;
}

static struct wh_err *run_stage(struct wh_mdb *m, const struct stage *st, const wh_addr_vec *in,
				bool last, wh_addr_vec *out)
{
	struct wh_err *e = NULL;

	if (!in)
		e = call_stage(m, st, st->has_addr, st->addr, last, true, out);
	for (size_t i = 0; in && !e && i < in->n; i++) {
		e = call_stage(m, st, true, in->v[i], last, i == 0, out);
		if (e && in->n > 1)
			e = warn(m, e);
		if (!e && wh_ctx_cancelled(m->t->ctx))
			e = &wh_err_cancelled;
	}
	if (!e && !last && !out->n && m->out.len)
		e = text_to_addresses(m, out);
	return e;
}

static struct wh_err *run_pipeline(struct wh_mdb *m, const char **s)
{
	wh_addr_vec a = {0}, b = {0}, *in = NULL, *out = &a;
	struct wh_err *e = NULL;

	for (unsigned int n = 0; !e && n < STAGES_MAX; n++) {
		struct stage st;
		bool last;

		e = parse_stage(m, s, &st);
		if (e)
			break;
		last = **s != '|';
		out->n = 0;
		e = run_stage(m, &st, in, last, out);
		if (last || e)
			break;
		++*s;
		in = out;
		out = in == &a ? &b : &a;
	}
	WH_VEC_FINI(&a);
	WH_VEC_FINI(&b);
	return e;
}

static struct wh_err *to_shell(struct wh_mdb *m, const char *command)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	FILE *f;

	if (m->no_shell)
		return wh_err_new(WH_ERR_USAGE, "no shell: --no-shell was given");
	if (m->json)
		return wh_err_new(WH_ERR_USAGE, "no shell: with --json there is no text for it");
	fflush(m->run->out);
	f = popen(command, "w");
	if (!f)
		return wh_err_os(NULL, "cannot run \"%s\"", command);
	/* The command may have enough before we are done ("! head"); it was started with the usual signals. */
	sigaction(SIGPIPE, &ignore, &before);
	fputs(wh_strbuf_str(&m->out), f);
	wh_strbuf_clear(&m->out);
	pclose(f);
	sigaction(SIGPIPE, &before, NULL);
	return NULL;
}

static void flush_output(struct wh_mdb *m)
{
	if (m->json)
		wh_mdb_json_flush(m);
	else
		fwrite(wh_strbuf_str(&m->out), 1, m->out.len, m->run->out);
	wh_strbuf_clear(&m->out);
}

/* A line as JSON: the command, then its tables and texts in order. */
static void json_begin(struct wh_mdb *m, const char *line)
{
	if (!m->json)
		return;
	wh_emit_object(m->run->emit, NULL, NULL);
	wh_emit_str(m->run->emit, "command", NULL, line);
	wh_emit_array(m->run->emit, "output", NULL);
}

struct wh_err *wh_mdb_eval(struct wh_mdb *m, const char *line)
{
	const char *s = skip(line);
	struct wh_err *e = NULL;

	m->warned = 0;
	json_begin(m, line);
	while (!e && *s && !m->quit) {
		if (*s == ';' || *s == '\n') {
			s = skip(s + 1);
			continue;
		}
		if (*s != '!')
			e = run_pipeline(m, &s);
		if (!e && *s == '!') {
			e = to_shell(m, skip(s + 1));
			s += strlen(s);
		}
		flush_output(m);
	}
	if (m->json) {
		flush_output(m);
		wh_emit_end(m->run->emit);
		wh_emit_end(m->run->emit);
	}
	wh_arena_fini(&m->arena);
	m->arena = (struct wh_arena)WH_ARENA_INIT;
	if (m->warned > WARNINGS_MAX)
		fprintf(stderr, "weephole: and %zu more like that\n", m->warned - WARNINGS_MAX);
	return e;
}
