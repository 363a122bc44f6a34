/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/cmd/mdb/mdb.h"

void wh_mdb_text(struct wh_mdb *m, const char *fmt, ...)
{
	char buf[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	wh_strbuf_puts(&m->out, buf);
}

/* What was said in words so far becomes a record of its own. */
static void json_text(struct wh_mdb *m)
{
	char *save = NULL, *text = wh_strbuf_steal(&m->out);

	if (!text)
		return;
	if (*text) {
		wh_emit_object(m->run->emit, NULL, NULL);
		wh_emit_array(m->run->emit, "text", NULL);
		for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
			wh_emit_str(m->run->emit, NULL, "", l);
		wh_emit_end(m->run->emit);
		wh_emit_end(m->run->emit);
	}
	free(text);
}

void wh_mdb_json_flush(struct wh_mdb *m)
{
	if (m->in_table) {
		wh_emit_end(m->run->emit);
		wh_emit_end(m->run->emit);
		m->in_table = false;
	}
	json_text(m);
}

static void json_table(struct wh_mdb *m, const char *key, const struct wh_mdb_col *cols, size_t n)
{
	wh_mdb_json_flush(m);
	for (size_t i = 0; i < n; i++)
		m->json_cols[i] = (struct wh_column){cols[i].key, NULL, false};
	wh_emit_object(m->run->emit, NULL, NULL);
	wh_emit_str(m->run->emit, "table", NULL, key);
	wh_emit_table(m->run->emit, "rows", NULL, m->json_cols, n);
}

static int col_width(const struct wh_mdb *m, size_t i)
{
	int w = m->cols[i].width;

	return w == WH_MDB_PTR ? m->pw : w == -WH_MDB_PTR ? -m->pw : w;
}

void wh_mdb_table(struct wh_mdb *m, const char *key, const struct wh_mdb_col *cols, size_t n,
		  bool header)
{
	/* The calls of one pipe go on with the table of the first. */
	bool same = m->in_table && m->cols == cols;

	m->cols = cols;
	m->n_cols = n;
	m->col = 0;
	if (m->json) {
		if (!same)
			json_table(m, key, cols, n);
		m->in_table = true;
		return;
	}
	for (size_t i = 0; header && i < n; i++)
		wh_strbuf_printf(&m->out, "%s%*s", i ? " " : "", col_width(m, i), cols[i].title);
	if (header)
		wh_strbuf_putc(&m->out, '\n');
}

static void cell_str(struct wh_mdb *m, const char *text)
{
	if (m->json) {
		if (!m->col)
			wh_emit_row(m->run->emit);
		wh_emit_cell_str(m->run->emit, text + strspn(text, " "));
		m->col++;
		return;
	}
	wh_strbuf_printf(&m->out, "%s%*s", m->col ? " " : "", col_width(m, m->col), text);
	m->col++;
}

void wh_mdb_cell(struct wh_mdb *m, const char *fmt, ...)
{
	char buf[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	cell_str(m, buf);
}

void wh_mdb_cell_ptr(struct wh_mdb *m, uint64_t v, bool pad)
{
	if (pad)
		wh_mdb_cell(m, "%0*llx", m->pw, (unsigned long long)v);
	else
		wh_mdb_cell(m, "%llx", (unsigned long long)v);
}

void wh_mdb_cell_stack(struct wh_mdb *m, const uint64_t *pc, uint32_t n)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;
	char sym[256];

	for (uint32_t i = 0; i < n; i++)
		wh_strbuf_printf(&sb, "%s%s", i ? " " : "",
				 wh_mdb_symbol(m, pc[i], sym, sizeof(sym)));
	cell_str(m, wh_strbuf_str(&sb));
	wh_strbuf_fini(&sb);
}

void wh_mdb_row(struct wh_mdb *m)
{
	m->col = 0;
	if (!m->json)
		wh_strbuf_putc(&m->out, '\n');
}

const char *wh_mdb_symbol(struct wh_mdb *m, uint64_t addr, char *buf, size_t cap)
{
	struct wh_frame f;

	if (m->t->ops->symbolize && m->t->ops->symbolize(m->t, addr, &f) && f.symbol) {
		if (f.offset)
			snprintf(buf, cap, "%s+0x%llx", f.symbol, (unsigned long long)f.offset);
		else
			snprintf(buf, cap, "%s", f.symbol);
	} else {
		snprintf(buf, cap, "%llx", (unsigned long long)addr);
	}
	return buf;
}

struct wh_err *wh_mdb_yield(const struct wh_mdb_call *c, uint64_t addr)
{
	return WH_VEC_PUSH(c->yield, addr);
}

struct wh_err *wh_mdb_need_addr(const struct wh_mdb_call *c)
{
	return c->has_addr ? NULL
			   : wh_err_new(WH_ERR_USAGE, "%s wants an address in front: ADDR::%s",
					c->name, c->name);
}

struct wh_err *wh_mdb_need_kmem(const struct wh_mdb *m, const struct wh_mdb_call *c)
{
	return m->kmem ? NULL
		       : wh_err_new(WH_ERR_UNSUPPORTED,
				    "%s: this dump has no kmem (illumos kernel) and no libumem",
				    c->name);
}

struct wh_err *wh_mdb_opts(const struct wh_mdb_call *c, const char *flags, const char *with,
			   uint32_t *ret_set, const char **ret_arg, size_t *ret_rest)
{
	size_t i;

	*ret_set = 0;
	for (i = 0; i < c->argc && c->argv[i][0] == '-' && c->argv[i][1]; i++)
		for (const char *o = c->argv[i] + 1; *o; o++) {
			const char *f = strchr(flags, *o), *w = strchr(with, *o);

			if (f) {
				*ret_set |= 1u << (f - flags);
				continue;
			}
			if (!w)
				return wh_err_new(WH_ERR_USAGE,
						  "%s: unknown option -%c (::help %s)", c->name, *o,
						  c->name);
			*ret_set |= 1u << (strlen(flags) + (size_t)(w - with));
			if (o[1])
				ret_arg[w - with] = o + 1;
			else if (i + 1 < c->argc)
				ret_arg[w - with] = c->argv[++i];
			else
				return wh_err_new(WH_ERR_USAGE, "%s: -%c wants an argument",
						  c->name, *o);
			break;
		}
	*ret_rest = i;
	return NULL;
}
