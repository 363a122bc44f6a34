/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A recursive-descent reader of mangled types.  It writes into one buffer and remembers, for
 * substitutions (S_, S0_ ...), which part of the buffer each earlier component took.  The input is hostile: depth,
 * output and the number of substitutions are bounded, and any surprise gives the raw name back.
 */
#include "analyzer/name/demangle.h"

#include <string.h>

#define DEPTH_MAX 64
#define OUT_MAX	  4096
#define SUBS_MAX  256

struct part {
	size_t at, len; /* in the output */
};

struct dem {
	const char *in;
	struct wh_strbuf *out;
	size_t base; /* where our output starts */
	struct part subs[SUBS_MAX];
	size_t n_subs;
	int depth;
	bool bad;
};

static bool type(struct dem *d);

static bool fail(struct dem *d)
{
	d->bad = true;
	return false;
}

static void put(struct dem *d, const char *s, size_t n)
{
	if (d->out->len - d->base + n > OUT_MAX)
		d->bad = true;
	else
		wh_strbuf_putn(d->out, s, n);
}

static void puts_(struct dem *d, const char *s)
{
	put(d, s, strlen(s));
}

static void remember(struct dem *d, size_t at)
{
	if (d->n_subs < SUBS_MAX)
		d->subs[d->n_subs++] = (struct part){at, d->out->len - at};
	else
		d->bad = true;
}

static const char *builtin(char c)
{
	static const char *const name[26] = {
		['v' - 'a'] = "void",	     ['w' - 'a'] = "wchar_t",
		['b' - 'a'] = "bool",	     ['c' - 'a'] = "char",
		['a' - 'a'] = "signed char", ['h' - 'a'] = "unsigned char",
		['s' - 'a'] = "short",	     ['t' - 'a'] = "unsigned short",
		['i' - 'a'] = "int",	     ['j' - 'a'] = "unsigned int",
		['l' - 'a'] = "long",	     ['m' - 'a'] = "unsigned long",
		['x' - 'a'] = "long long",   ['y' - 'a'] = "unsigned long long",
		['n' - 'a'] = "__int128",    ['o' - 'a'] = "unsigned __int128",
		['f' - 'a'] = "float",	     ['d' - 'a'] = "double",
		['e' - 'a'] = "long double", ['g' - 'a'] = "__float128",
		['z' - 'a'] = "...",
	};

	return c >= 'a' && c <= 'z' ? name[c - 'a'] : NULL;
}

/* <source-name> ::= <length> <identifier> */
static bool source_name(struct dem *d)
{
	size_t n = 0;

	while (*d->in >= '0' && *d->in <= '9' && n < OUT_MAX)
		n = n * 10 + (size_t)(*d->in++ - '0');
	if (!n || strnlen(d->in, n) < n)
		return fail(d);
	if (n >= 10 && strncmp(d->in, "_GLOBAL__N", 10) == 0)
		puts_(d, "(anonymous namespace)");
	else
		put(d, d->in, n);
	d->in += n;
	return !d->bad;
}

/* Literals: L <type> <value> E; only integers and booleans are printed. */
static bool literal(struct dem *d)
{
	char kind = d->in[1];
	const char *start;

	d->in += 2;
	if (!builtin(kind))
		return fail(d);
	if (*d->in == 'n') {
		puts_(d, "-");
		d->in++;
	}
	start = d->in;
	while (*d->in >= '0' && *d->in <= '9')
		d->in++;
	if (*d->in != 'E')
		return fail(d);
	if (kind == 'b')
		puts_(d, *start == '1' ? "true" : "false");
	else
		put(d, start, (size_t)(d->in - start));
	d->in++;
	return !d->bad;
}

/* I <argument>* E; packs (J ... E) are spliced. */
static bool template_args(struct dem *d)
{
	bool first = true;
	int packs = 0;

	d->in++;
	puts_(d, "<");
	while (*d->in && !d->bad) {
		if (*d->in == 'E') {
			d->in++;
			if (packs-- > 0)
				continue;
			puts_(d, ">");
			return !d->bad;
		}
		if (*d->in == 'J') {
			packs++;
			d->in++;
			continue;
		}
		if (!first)
			puts_(d, ", ");
		first = false;
		if (!(*d->in == 'L' ? literal(d) : type(d)))
			return false;
	}
	return fail(d);
}

/* S_ S0_ ... and the abbreviations of std. */
static bool substitution(struct dem *d, bool *ret_is_std)
{
	static const struct {
		char c;
		const char *text;
	} std[] = {
		{'a', "std::allocator"}, {'b', "std::basic_string"}, {'s', "std::string"},
		{'i', "std::istream"},	 {'o', "std::ostream"},	     {'d', "std::iostream"},
	};
	size_t n = 0;

	*ret_is_std = false;
	d->in++;
	if (*d->in == 't') {
		d->in++;
		*ret_is_std = true;
		puts_(d, "std");
		return true;
	}
	for (size_t i = 0; i < sizeof(std) / sizeof(std[0]); i++) {
		if (*d->in == std[i].c) {
			d->in++;
			puts_(d, std[i].text);
			return true;
		}
	}
	if (*d->in != '_') {
		for (; (*d->in >= '0' && *d->in <= '9') || (*d->in >= 'A' && *d->in <= 'Z');
		     d->in++)
			n = n * 36 + (size_t)(*d->in <= '9' ? *d->in - '0' : *d->in - 'A' + 10);
		n++;
	}
	if (*d->in++ != '_' || n >= d->n_subs)
		return fail(d);
	/* the output may move while it grows: copy from where it is now */
	for (size_t i = 0; i < d->subs[n].len && !d->bad; i++) {
		char c = d->out->s[d->subs[n].at + i];

		put(d, &c, 1);
	}
	return !d->bad;
}

/* One component of a name; *ret_new says whether it may be substituted later. */
static bool component(struct dem *d, bool *ret_new)
{
	bool is_std;

	*ret_new = true;
	if (*d->in >= '0' && *d->in <= '9')
		return source_name(d);
	if (*d->in == 'S') {
		*ret_new = false;
		return substitution(d, &is_std);
	}
	if (*d->in == 'L') { /* internal linkage */
		d->in++;
		return source_name(d);
	}
	return fail(d);
}

/* N [qualifiers] <component>+ E */
static bool nested_name(struct dem *d)
{
	size_t at = d->out->len;
	bool first = true, fresh;

	d->in++;
	while (*d->in == 'K' || *d->in == 'V' || *d->in == 'r')
		d->in++;
	while (*d->in && *d->in != 'E' && !d->bad) {
		if (*d->in == 'I') {
			if (!template_args(d))
				return false;
			remember(d, at);
			continue;
		}
		if (!first)
			puts_(d, "::");
		if (!component(d, &fresh))
			return false;
		first = false;
		if (fresh)
			remember(d, at);
	}
	if (*d->in != 'E' || first)
		return fail(d);
	d->in++;
	return !d->bad;
}

/* A name that is not nested: [St] <source-name> [<template-args>], or a substitution with arguments. */
static bool plain_name(struct dem *d)
{
	size_t at = d->out->len;
	bool is_std = false, fresh = true;

	if (*d->in == 'S') {
		if (!substitution(d, &is_std))
			return false;
		fresh = is_std;
		if (is_std)
			puts_(d, "::");
	}
	if (fresh) {
		if (!source_name(d))
			return false;
		remember(d, at);
	}
	if (*d->in == 'I') {
		if (!template_args(d))
			return false;
		remember(d, at);
	}
	return !d->bad;
}

static bool suffixed(struct dem *d, const char *suffix)
{
	size_t at = d->out->len;

	d->in++;
	if (!type(d))
		return false;
	puts_(d, suffix);
	remember(d, at);
	return !d->bad;
}

static bool type_inner(struct dem *d)
{
	const char *b = builtin(*d->in);

	if (b) {
		d->in++;
		puts_(d, b);
		return !d->bad;
	}
	switch (*d->in) {
	case 'P': return suffixed(d, "*");
	case 'R': return suffixed(d, "&");
	case 'O': return suffixed(d, "&&");
	case 'K': return suffixed(d, " const");
	case 'V': return suffixed(d, " volatile");
	case 'N': return nested_name(d);
	default: break;
	}
	if (*d->in == 'S' || (*d->in >= '0' && *d->in <= '9'))
		return plain_name(d);
	return fail(d);
}

static bool type(struct dem *d)
{
	bool ok;

	if (++d->depth > DEPTH_MAX)
		return fail(d);
	ok = type_inner(d);
	d->depth--;
	return ok;
}

bool wh_demangle_type(const char *name, struct wh_strbuf *sb)
{
	struct dem d = {.in = name, .out = sb, .base = sb->len};

	if (!*name)
		return false;
	if (type(&d) && !*d.in && !d.bad)
		return true;
	sb->len = d.base;
	if (sb->s)
		sb->s[d.base] = '\0';
	wh_strbuf_puts(sb, name);
	return true;
}
