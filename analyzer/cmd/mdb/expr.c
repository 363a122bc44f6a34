/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Expressions: numbers are hexadecimal unless a prefix says otherwise (0t decimal, 0o octal, 0i binary),
 * names are symbols, "." is the current address, unary - ~ * (word at an address), and the binary
 * operators of mdb: * % (divide) #(round up), + -, << >>, == !=, & ^ | from tight to loose.  Outside
 * of parentheses "|" is a pipe.
 */
#include <ctype.h>
#include <string.h>

#include "analyzer/base/limits.h"
#include "analyzer/cmd/mdb/mdb.h"

struct parser {
	struct wh_mdb *m;
	const char *s;
	int depth; /* of parentheses */
	int nest;
};

static struct wh_err *binary(struct parser *p, int level, uint64_t *ret);

static void space(struct parser *p)
{
	while (*p->s == ' ' || *p->s == '\t')
		p->s++;
}

static bool is_name(int c, bool first)
{
	return isalpha(c) || c == '_' || c == '`' || c == '$' ||
	       (!first && (isdigit(c) || c == '.'));
}

static int digit(int c)
{
	if (isdigit(c))
		return c - '0';
	if (isxdigit(c))
		return tolower(c) - 'a' + 10;
	return 99;
}

static struct wh_err *number(struct parser *p, uint64_t *ret)
{
	static const struct {
		char letter;
		int radix;
	} prefixes[] = {{'x', 16}, {'t', 10}, {'o', 8}, {'i', 2}};
	int radix = 16;
	uint64_t v = 0;
	const char *start = p->s;

	for (size_t i = 0; i < 4; i++)
		if (p->s[0] == '0' && tolower((unsigned char)p->s[1]) == prefixes[i].letter) {
			radix = prefixes[i].radix;
			p->s += 2;
			start = p->s;
			break;
		}
	for (; digit((unsigned char)*p->s) < radix; p->s++)
		v = v * (uint64_t)radix + (uint64_t)digit((unsigned char)*p->s);
	if (p->s == start)
		return wh_err_new(WH_ERR_USAGE, "expected a number at \"%.20s\"", p->s);
	*ret = v;
	return NULL;
}

/* "ffff0000" is a number unless a longer name starts there: "faddr", "cafe_list". */
static bool looks_like_number(const char *s)
{
	size_t n = 0, hex = 0;

	if (isdigit((unsigned char)*s))
		return true;
	while (is_name((unsigned char)s[n], n == 0))
		n++;
	while (isxdigit((unsigned char)s[hex]))
		hex++;
	return hex && hex == n;
}

static struct wh_err *name(struct parser *p, uint64_t *ret)
{
	char buf[256];
	size_t n = 0;

	while (is_name((unsigned char)p->s[n], n == 0))
		n++;
	if (!n || n >= sizeof(buf))
		return wh_err_new(WH_ERR_USAGE, "expected an expression at \"%.20s\"", p->s);
	memcpy(buf, p->s, n);
	buf[n] = '\0';
	p->s += n;
	if (!wh_mdb_find_symbol(p->m, buf, ret))
		return wh_err_new(WH_ERR_NOT_FOUND, "unknown symbol name: %s", buf);
	return NULL;
}

static struct wh_err *unary(struct parser *p, uint64_t *ret)
{
	uint64_t v;

	if (++p->nest > WH_MDB_STACK_MAX)
		return wh_err_new(WH_ERR_USAGE, "the expression is nested too deeply");
	space(p);
	if (*p->s == '(') {
		p->s++;
		p->depth++;
		WH_TRY(binary(p, 0, &v));
		space(p);
		if (*p->s != ')')
			return wh_err_new(WH_ERR_USAGE, "missing )");
		p->s++;
		p->depth--;
	} else if (*p->s == '-' || *p->s == '~' || *p->s == '*') {
		char op = *p->s++;

		WH_TRY(unary(p, &v));
		if (op == '*') {
			uint64_t at = v;

			if (!wh_read_word(p->m->t->reader, at, &v))
				return wh_err_new(WH_ERR_NOT_FOUND, "no word can be read at %#llx",
						  (unsigned long long)at);
		} else {
			v = op == '-' ? -v : ~v;
		}
	} else if (*p->s == '.' && !is_name((unsigned char)p->s[1], true)) {
		p->s++;
		v = p->m->dot;
	} else if (looks_like_number(p->s)) {
		WH_TRY(number(p, &v));
	} else {
		WH_TRY(name(p, &v));
	}
	p->nest--;
	*ret = v;
	return NULL;
}

static const struct {
	char text[3];
	int level;
} operators[] = {
	{"<<", 4}, {">>", 4}, {"==", 3}, {"!=", 3}, {"*", 6}, {"%", 6},
	{"#", 6},  {"+", 5},  {"-", 5},	 {"&", 2},  {"^", 1}, {"|", 0},
};

static int find_operator(const struct parser *p)
{
	for (int i = 0; i < 12; i++) {
		size_t n = strlen(operators[i].text);

		if (strncmp(p->s, operators[i].text, n))
			continue;
		if (operators[i].text[0] == '|' && !p->depth)
			return -1;
		return i;
	}
	return -1;
}

static struct wh_err *apply(int op, uint64_t a, uint64_t b, uint64_t *ret)
{
	if ((operators[op].text[0] == '%' || operators[op].text[0] == '#') && !b)
		return wh_err_new(WH_ERR_USAGE, "division by zero");
	switch (operators[op].text[0]) {
	case '<': *ret = b < 64 ? a << b : 0; break;
	case '>': *ret = b < 64 ? a >> b : 0; break;
	case '=': *ret = a == b; break;
	case '!': *ret = a != b; break;
	case '*': *ret = a * b; break;
	case '%': *ret = a / b; break;
	case '#': *ret = (a + b - 1) / b * b; break;
	case '+': *ret = a + b; break;
	case '-': *ret = a - b; break;
	case '&': *ret = a & b; break;
	case '^': *ret = a ^ b; break;
	default: *ret = a | b; break;
	}
	return NULL;
}

static struct wh_err *binary(struct parser *p, int level, uint64_t *ret)
{
	uint64_t a, b;

	WH_TRY(unary(p, &a));
	for (;;) {
		int op;

		space(p);
		op = find_operator(p);
		if (op < 0 || operators[op].level < level)
			break;
		p->s += strlen(operators[op].text);
		WH_TRY(binary(p, operators[op].level + 1, &b));
		WH_TRY(apply(op, a, b, &a));
	}
	*ret = a;
	return NULL;
}

struct wh_err *wh_mdb_expr(struct wh_mdb *m, const char **s, uint64_t *ret)
{
	struct parser p = {.m = m, .s = *s};

	WH_TRY(binary(&p, 0, ret));
	if (m->abi.word == 4)
		*ret &= UINT32_MAX;
	*s = p.s;
	return NULL;
}

struct wh_err *wh_mdb_value(struct wh_mdb *m, const char *text, uint64_t *ret)
{
	const char *s = text;

	WH_TRY(wh_mdb_expr(m, &s, ret));
	while (*s == ' ')
		s++;
	if (*s)
		return wh_err_new(WH_ERR_USAGE, "cannot read \"%s\" as an expression", text);
	return NULL;
}
