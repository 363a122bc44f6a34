/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Formats: "addr[,count]/FORMAT" prints memory, "value=FORMAT" prints a number.  A format is letters of
 * mdb's ::formats, each with a count in front if wanted; "." moves on by what each letter reads, and
 * ",count" does the whole again.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analyzer/cmd/mdb/mdb.h"

#define REPEAT_MAX 65536u
#define TEXT_MAX   4096

enum kind {
	K_HEX,
	K_OCTAL,
	K_SIGNED,
	K_UNSIGNED,
	K_CHAR,	   /* as it is */
	K_ESCAPED, /* as C writes it */
	K_FLOAT,
	K_TIME,
	K_BINARY,
	K_SYMBOL,
	K_STRING,
	K_STRING_ESCAPED,
	K_SWAP,	 /* bytes of it in the other order */
	K_DOT,	 /* the address itself */
	K_ADD,	 /* dot + count */
	K_SUB,	 /* dot - count */
	K_BACK,	 /* dot - what the last letter read */
	K_LAYOUT /* blank, tab, newline */
};

struct letter {
	char c;
	uint8_t size; /* [bytes]; 0: a word, or none */
	uint8_t kind;
	const char *text; /* what it is, for ::formats and K_LAYOUT's output */
};

static const struct letter letters[] = {
	{'+', 0, K_ADD, "increment dot by the count"},
	{'-', 0, K_SUB, "decrement dot by the count"},
	{'B', 1, K_HEX, "hexadecimal int"},
	{'C', 1, K_ESCAPED, "character using C character notation"},
	{'D', 4, K_SIGNED, "decimal signed int"},
	{'E', 8, K_UNSIGNED, "decimal unsigned long long"},
	{'F', 8, K_FLOAT, "double"},
	{'G', 8, K_OCTAL, "octal unsigned long long"},
	{'H', 4, K_SWAP, "swap bytes and shorts"},
	{'J', 8, K_HEX, "hexadecimal long long"},
	{'K', 0, K_HEX, "hexadecimal uintptr_t"},
	{'N', 0, K_LAYOUT, "\n"},
	{'O', 4, K_OCTAL, "octal unsigned int"},
	{'P', 0, K_SYMBOL, "symbol"},
	{'Q', 4, K_OCTAL, "octal signed int"},
	{'R', 4, K_BINARY, "binary int"},
	{'S', 0, K_STRING_ESCAPED, "string using C string notation"},
	{'T', 0, K_LAYOUT, "\t"},
	{'U', 4, K_UNSIGNED, "decimal unsigned int"},
	{'V', 1, K_UNSIGNED, "decimal unsigned int"},
	{'W', 4, K_HEX, "default radix unsigned int"},
	{'X', 4, K_HEX, "hexadecimal int"},
	{'Y', 4, K_TIME, "decoded time32_t"},
	{'Z', 8, K_HEX, "hexadecimal long long"},
	{'^', 0, K_BACK, "decrement dot by increment * count"},
	{'a', 0, K_DOT, "dot as symbol+offset"},
	{'b', 1, K_OCTAL, "octal unsigned int"},
	{'c', 1, K_CHAR, "character"},
	{'d', 2, K_SIGNED, "decimal signed short"},
	{'e', 8, K_SIGNED, "decimal signed long long"},
	{'f', 4, K_FLOAT, "float"},
	{'g', 8, K_OCTAL, "octal signed long long"},
	{'h', 2, K_SWAP, "swap bytes"},
	{'j', 8, K_HEX, "hexadecimal long long"},
	{'k', 0, K_HEX, "hexadecimal uintptr_t"},
	{'n', 0, K_LAYOUT, "\n"},
	{'o', 2, K_OCTAL, "octal unsigned short"},
	{'p', 0, K_SYMBOL, "symbol"},
	{'q', 2, K_OCTAL, "octal signed short"},
	{'r', 0, K_LAYOUT, " "},
	{'s', 0, K_STRING, "raw string"},
	{'t', 0, K_LAYOUT, "\t"},
	{'u', 2, K_UNSIGNED, "decimal unsigned short"},
	{'v', 1, K_SIGNED, "decimal signed int"},
	{'w', 2, K_HEX, "default radix unsigned short"},
	{'x', 2, K_HEX, "hexadecimal short"},
	{'y', 8, K_TIME, "decoded time64_t"},
};

static const struct letter *find_letter(char c)
{
	for (size_t i = 0; i < sizeof(letters) / sizeof(*letters); i++)
		if (letters[i].c == c)
			return &letters[i];
	return NULL;
}

struct fmt {
	struct wh_mdb *m;
	bool memory;	    /* '/': dot is an address; else a value */
	uint64_t dot, last; /* last: [bytes] of the letter before */
};

static void put_escaped(struct wh_mdb *m, unsigned char c)
{
	static const char from[] = "\n\t\r\\\"", to[] = "ntr\\\"";
	const char *s = c ? strchr(from, c) : NULL;

	if (s)
		wh_mdb_text(m, "\\%c", to[s - from]);
	else if (c < ' ' || c > '~')
		wh_mdb_text(m, "\\%o", c);
	else
		wh_mdb_text(m, "%c", c);
}

static int64_t sign_extend(uint64_t v, size_t size)
{
	unsigned int shift = 64 - 8 * (unsigned int)size;

	return (int64_t)(v << shift) >> shift;
}

static uint64_t swapped(uint64_t v, size_t size)
{
	uint64_t r = 0;

	for (size_t i = 0; i < size; i++, v >>= 8)
		r = r << 8 | (v & 0xff);
	return r;
}

static void put_time(struct wh_mdb *m, int64_t v)
{
	time_t t = (time_t)v;
	char text[64];
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(text, sizeof(text), "%Y %b %e %H:%M:%S UTC", &tm))
		snprintf(text, sizeof(text), "%lld", (long long)v);
	wh_mdb_text(m, "%-24s", text);
}

static void put_binary(struct wh_mdb *m, uint64_t v)
{
	char text[65], *p = text + sizeof(text) - 1;

	*p = '\0';
	do
		*--p = (char)('0' + (v & 1));
	while (v >>= 1);
	wh_mdb_text(m, "%-16s", p);
}

static void put_float(struct wh_mdb *m, uint64_t v, size_t size)
{
	uint32_t half = (uint32_t)v;
	double d;
	float f;

	memcpy(&f, &half, sizeof(f));
	memcpy(&d, &v, sizeof(d));
	wh_mdb_text(m, "%-16.15g", size == 4 ? (double)f : d);
}

static void put_value(struct fmt *f, const struct letter *l, uint64_t v, size_t size)
{
	struct wh_mdb *m = f->m;
	char sym[256];

	switch (l->kind) {
	case K_OCTAL: wh_mdb_text(m, "%-16llo", (unsigned long long)v); break;
	case K_SIGNED: wh_mdb_text(m, "%-16lld", (long long)sign_extend(v, size)); break;
	case K_UNSIGNED: wh_mdb_text(m, "%-16llu", (unsigned long long)v); break;
	case K_CHAR: wh_mdb_text(m, "%c", v >= ' ' && v <= '~' ? (char)v : '.'); break;
	case K_ESCAPED: put_escaped(m, (unsigned char)v); break;
	case K_FLOAT: put_float(m, v, size); break;
	case K_TIME: put_time(m, sign_extend(v, size)); break;
	case K_BINARY: put_binary(m, v); break;
	case K_SYMBOL: wh_mdb_text(m, "%-16s", wh_mdb_symbol(m, v, sym, sizeof(sym))); break;
	case K_SWAP: v = swapped(v, size); /* fall through */
	default: wh_mdb_text(m, "%-16llx", (unsigned long long)v); break;
	}
}

static struct wh_err *unreadable(uint64_t addr)
{
	return wh_err_new(WH_ERR_NOT_FOUND, "no memory can be read at %#llx",
			  (unsigned long long)addr);
}

static struct wh_err *put_string(struct fmt *f, bool escaped)
{
	char text[TEXT_MAX];

	if (!f->memory)
		return wh_err_new(WH_ERR_USAGE, "strings are printed from memory: use /");
	if (!wh_read_str(f->m->t->reader, f->dot, text, sizeof(text)))
		return unreadable(f->dot);
	for (const char *s = text; *s; s++)
		if (escaped)
			put_escaped(f->m, (unsigned char)*s);
		else
			wh_mdb_text(f->m, "%c", *s);
	f->last = strlen(text) + 1;
	f->dot += f->last;
	return NULL;
}

static struct wh_err *put_letter(struct fmt *f, const struct letter *l)
{
	size_t size = l->size ? l->size : f->m->abi.word;
	uint64_t v = f->dot;
	uint8_t b[8];

	if (f->memory) {
		if (wh_read_some(f->m->t->reader, WH_VIRT, f->dot, b, size, NULL) < size)
			return unreadable(f->dot);
		v = wh_get_uint(f->m->abi, b, size);
		f->dot += size;
		f->last = size;
	} else if (size < 8) {
		v &= (1ull << (8 * size)) - 1;
	}
	put_value(f, l, v, size);
	return NULL;
}

static struct wh_err *run_letter(struct fmt *f, const struct letter *l, uint64_t count)
{
	char sym[256];

	if (l->kind == K_ADD || l->kind == K_SUB || l->kind == K_BACK) {
		f->dot += l->kind == K_ADD ? count : l->kind == K_SUB ? -count : -f->last * count;
		return NULL;
	}
	for (uint64_t i = 0; i < count; i++) {
		if (l->kind == K_LAYOUT)
			wh_mdb_text(f->m, "%s", l->text);
		else if (l->kind == K_DOT)
			wh_mdb_text(f->m, "%-16s", wh_mdb_symbol(f->m, f->dot, sym, sizeof(sym)));
		else if (l->kind == K_STRING || l->kind == K_STRING_ESCAPED)
			WH_TRY(put_string(f, l->kind == K_STRING_ESCAPED));
		else
			WH_TRY(put_letter(f, l));
	}
	return NULL;
}

/* A pass over the whole format. */
static struct wh_err *run_format(struct fmt *f, const char *s)
{
	while (*s) {
		unsigned long long count = 1;
		const struct letter *l;

		if (isdigit((unsigned char)*s)) {
			char *end;

			count = strtoull(s, &end, 10);
			s = end;
		}
		l = find_letter(*s);
		if (!l)
			return wh_err_new(WH_ERR_USAGE,
					  "unknown format letter '%c' (::formats lists them)", *s);
		if (count > REPEAT_MAX && l->kind != K_ADD && l->kind != K_SUB)
			return wh_err_new(WH_ERR_USAGE, "format count %llu is too large", count);
		WH_TRY(run_letter(f, l, count));
		s++;
	}
	return NULL;
}

/* Lines end without the blanks that fill the last column. */
static void end_line(struct wh_mdb *m)
{
	while (m->out.len && m->out.s[m->out.len - 1] == ' ')
		m->out.s[--m->out.len] = '\0';
	wh_mdb_text(m, "\n");
}

struct wh_err *wh_mdb_format(struct wh_mdb *m, const char *format, bool memory, uint64_t addr,
			     uint64_t count)
{
	struct fmt f = {.m = m, .memory = memory, .dot = addr};
	char sym[256], label[260];

	if (!*format)
		format = memory ? "X" : "K";
	if (count > REPEAT_MAX)
		return wh_err_new(WH_ERR_USAGE, "count %llu is too large",
				  (unsigned long long)count);
	for (uint64_t i = 0; i < count; i++) {
		if (memory) {
			snprintf(label, sizeof(label),
				 "%s:", wh_mdb_symbol(m, f.dot, sym, sizeof(sym)));
			wh_mdb_text(m, "%-15s ", label);
		}
		WH_TRY(run_format(&f, format));
		end_line(m);
	}
	return NULL;
}

static const struct wh_mdb_col format_cols[] = {
	{"letter", "FMT", -4}, {"bytes", "BYTES", 5}, {"meaning", "MEANING", -1}};

struct wh_err *wh_dcmd_formats(struct wh_mdb *m, const struct wh_mdb_call *c)
{
	(void)c;
	wh_mdb_table(m, "formats", format_cols, 3, true);
	for (size_t i = 0; i < sizeof(letters) / sizeof(*letters); i++) {
		const struct letter *l = &letters[i];
		bool reads = l->kind < K_STRING || l->kind == K_SWAP;
		const char *text = l->kind != K_LAYOUT ? l->text
				   : *l->text == '\n'  ? "newline"
				   : *l->text == '\t'  ? "horizontal tab"
						       : "whitespace";

		wh_mdb_cell(m, "%c", l->c);
		wh_mdb_cell(m, "%u", reads ? (l->size ? l->size : m->abi.word) : 0);
		wh_mdb_cell(m, "%s", text);
		wh_mdb_row(m);
	}
	return NULL;
}
