/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decoding of kallsyms.  Two passes over the names: the first only walks lengths, for both length rules,
 * and is checked against the markers (u32 offset of every 256th name, right behind the names); the second
 * expands tokens.  Then _stext is decoded in every encoding that the tables allow, and the one that hits
 * the known address is taken; without a known address the one that keeps most symbols inside the image.
 */
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/limits.h"
#include "analyzer/base/vec.h"
#include "dwarf/kallsyms.h"

/* KSYM_NAME_LEN is 512 since 6.1, 128 before, 256 in between (kernel/kallsyms.c); ours is a ceiling. */
#define NAME_MAX_LEN 1024
/* Name lengths in tokens: 14 bits in ULEB form (scripts/kallsyms.c, 6.1). */
#define TOKEN_COPY 16

struct token {
	const char *s;
	size_t len;
};

struct decoder {
	const struct wh_kallsyms_raw *raw;
	struct token tokens[WH_KALLSYMS_TOKENS];
	char pad[WH_KALLSYMS_TOKENS][TOKEN_COPY]; /* short tokens, for copies of fixed length */
};

const char *wh_kallsyms_encoding_name(enum wh_kallsyms_encoding e)
{
	static const char *const names[WH_KALLSYMS_ENCODING_COUNT] = {
		[WH_KALLSYMS_ABSOLUTE] = "kallsyms (absolute)",
		[WH_KALLSYMS_BASE_RELATIVE] = "kallsyms (base-relative)",
		[WH_KALLSYMS_ABSOLUTE_PERCPU] = "kallsyms (absolute-percpu)",
		[WH_KALLSYMS_PLACE_RELATIVE] = "kallsyms (place-relative)",
	};

	return e < WH_KALLSYMS_ENCODING_COUNT ? names[e] : "kallsyms";
}

static struct wh_err *tokens_init(struct decoder *d)
{
	const struct wh_kallsyms_raw *raw = d->raw;

	if (raw->token_index_len < 2 * WH_KALLSYMS_TOKENS)
		return wh_err_bad(NULL, UINT64_MAX, "kallsyms token index is cut");
	for (unsigned int i = 0; i < WH_KALLSYMS_TOKENS; i++) {
		size_t off = wh_get_u16(raw->abi, raw->token_index + 2 * (size_t)i), len;

		if (off >= raw->token_table_len)
			return wh_err_bad(NULL, UINT64_MAX,
					  "kallsyms token %u lies outside its table", i);
		len = strnlen(raw->token_table + off, raw->token_table_len - off);
		if (len == raw->token_table_len - off || len > NAME_MAX_LEN)
			return wh_err_bad(NULL, UINT64_MAX, "kallsyms token %u has no end", i);
		d->tokens[i] = (struct token){raw->token_table + off, len};
		memcpy(d->pad[i], raw->token_table + off, len < TOKEN_COPY ? len : TOKEN_COPY);
	}
	return NULL;
}

/* Length of the name at @pos and where its tokens begin; false past the end. */
static bool name_len(const struct wh_kallsyms_raw *raw, bool uleb, size_t pos, size_t *ret_len,
		     size_t *ret_data)
{
	size_t len;

	if (pos >= raw->names_len)
		return false;
	len = raw->names[pos++];
	if (uleb && (len & 0x80)) {
		if (pos >= raw->names_len)
			return false;
		len = (len & 0x7f) | (size_t)raw->names[pos++] << 7;
	}
	if (len > raw->names_len - pos)
		return false;
	*ret_len = len;
	*ret_data = pos;
	return true;
}

/* How well a length rule fits: names walked, and markers that agree. */
struct walk {
	uint32_t n;
	uint64_t end;
	size_t markers_ok, markers_bad;
};

static size_t names_align(size_t pos, size_t align)
{
	return (pos + align - 1) & ~(align - 1);
}

static struct wh_err *walk_names(const struct wh_kallsyms_raw *raw, bool uleb, struct walk *ret)
{
	size_t n_marks = ((size_t)raw->num_syms + 255) / 256, pos = 0, len = 0, data = 0, at;
	WH_AUTO_FREE uint32_t *marks = wh_calloc(n_marks, sizeof(*marks));
	struct walk w = {0};

	if (!marks)
		return &wh_err_nomem;
	for (; w.n < raw->num_syms; w.n++) {
		if (!(w.n & 255))
			marks[w.n / 256] = (uint32_t)pos;
		if (!name_len(raw, uleb, pos, &len, &data))
			break;
		pos = data + len;
	}
	w.end = pos;
	at = names_align(pos, raw->abi.word);
	for (size_t i = 0; w.n == raw->num_syms && i < n_marks; i++) {
		if (at + 4 * i + 4 > raw->names_len)
			break;
		if (wh_get_u32(raw->abi, raw->names + at + 4 * i) == marks[i])
			w.markers_ok++;
		else
			w.markers_bad++;
	}
	*ret = w;
	return NULL;
}

/* The rule that walks the whole table and lands on the markers. */
static struct wh_err *choose_rule(const struct wh_kallsyms_raw *raw, bool *ret_uleb,
				  struct walk *ret)
{
	struct walk uleb, plain;

	WH_TRY(walk_names(raw, true, &uleb));
	WH_TRY(walk_names(raw, false, &plain));
	*ret_uleb = true;
	if (plain.markers_ok != uleb.markers_ok)
		*ret_uleb = uleb.markers_ok > plain.markers_ok;
	else if (plain.n != uleb.n)
		*ret_uleb = uleb.n > plain.n;
	*ret = *ret_uleb ? uleb : plain;
	return NULL;
}

/* Expands a name into @out (NAME_MAX_LEN + TOKEN_COPY + 1 bytes); its length, 0 when it is too long. */
static size_t name_expand(const struct decoder *d, const uint8_t *tok, size_t n, char *out)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		const struct token *t = &d->tokens[tok[i]];

		if (len + t->len > NAME_MAX_LEN)
			return 0;
		if (t->len <= TOKEN_COPY)
			memcpy(out + len, d->pad[tok[i]], TOKEN_COPY);
		else
			memcpy(out + len, t->s, t->len);
		len += t->len;
	}
	out[len] = '\0';
	return len;
}

static bool addr_decode(const struct wh_kallsyms_raw *raw, enum wh_kallsyms_encoding e, uint32_t i,
			uint64_t *ret)
{
	size_t off = e == WH_KALLSYMS_ABSOLUTE ? (size_t)i * raw->abi.word : (size_t)i * 4;
	int64_t rel;

	if (e == WH_KALLSYMS_ABSOLUTE) {
		if (!raw->addresses || off + raw->abi.word > raw->addresses_len)
			return false;
		*ret = wh_get_word(raw->abi, raw->addresses + off);
		return true;
	}
	if (!raw->offsets || off + 4 > raw->offsets_len)
		return false;
	/* A kernel has a relative base, or places offsets by themselves; never both. */
	if ((e == WH_KALLSYMS_PLACE_RELATIVE) == raw->have_relative_base)
		return false;
	rel = (int32_t)wh_get_u32(raw->abi, raw->offsets + off);
	switch (e) {
	case WH_KALLSYMS_BASE_RELATIVE: *ret = raw->relative_base + (uint32_t)rel; break;
	case WH_KALLSYMS_ABSOLUTE_PERCPU:
		*ret = rel >= 0 ? (uint64_t)rel : raw->relative_base - 1 - (uint64_t)rel;
		break;
	default: *ret = raw->offsets_va + off + (uint64_t)rel; break;
	}
	if (raw->abi.word == 4)
		*ret = (uint32_t)*ret;
	return true;
}

/* Index of the symbol called _stext; UINT32_MAX when there is none. */
static uint32_t find_stext(const struct decoder *d, bool uleb, uint32_t n)
{
	char buf[NAME_MAX_LEN + TOKEN_COPY + 1];
	size_t pos = 0, len = 0, data = 0;

	for (uint32_t i = 0; i < n && name_len(d->raw, uleb, pos, &len, &data); i++) {
		pos = data + len;
		/* "T_stext" is at most seven tokens. */
		if (len <= 7 && name_expand(d, d->raw->names + data, len, buf) == 7 &&
		    !strcmp(buf + 1, "_stext"))
			return i;
	}
	return UINT32_MAX;
}

/* Of a sample spread over the table, the symbols that lie in the image and ascend, as the table does. */
static uint32_t count_plausible(const struct wh_kallsyms_raw *raw, enum wh_kallsyms_encoding e,
				uint32_t n)
{
	uint32_t step = n / 1024 + 1, good = 0;
	uint64_t a = 0, last = 0;

	for (uint32_t i = 0; i < n; i += step, last = a) {
		if (!addr_decode(raw, e, i, &a))
			return 0;
		good += a >= last && (raw->image_hi ? a >= raw->image_lo && a < raw->image_hi
						    : a >> (8 * raw->abi.word - 1) == 1);
	}
	return good;
}

static struct wh_err *choose_encoding(const struct decoder *d, const struct walk *w, bool uleb,
				      struct wh_kallsyms_info *info)
{
	uint32_t best = 0, stext = find_stext(d, uleb, w->n);
	uint64_t a = 0;
	bool any = false;

	for (int e = 0; e < WH_KALLSYMS_ENCODING_COUNT; e++) {
		uint32_t good = count_plausible(d->raw, (enum wh_kallsyms_encoding)e, w->n);
		bool hit = d->raw->stext && stext != UINT32_MAX &&
			   addr_decode(d->raw, (enum wh_kallsyms_encoding)e, stext, &a) &&
			   a == d->raw->stext;

		if (hit < info->anchored || (hit == info->anchored && good <= best))
			continue;
		info->anchored = hit;
		info->encoding = (enum wh_kallsyms_encoding)e;
		best = good;
		any = true;
	}
	if (!any)
		return wh_err_bad(NULL, UINT64_MAX,
				  "no kallsyms address encoding gives kernel addresses");
	return NULL;
}

static struct wh_err *add_symbols(const struct decoder *d, bool uleb, struct wh_symtab *t,
				  struct wh_kallsyms_info *info)
{
	char buf[NAME_MAX_LEN + TOKEN_COPY + 1];
	size_t pos = 0, len = 0, data = 0, n_data = 0;

	for (uint32_t i = 0; i < d->raw->num_syms; i++) {
		uint64_t addr = 0;

		if (!name_len(d->raw, uleb, pos, &len, &data) ||
		    !addr_decode(d->raw, info->encoding, i, &addr))
			break;
		pos = data + len;
		if (name_expand(d, d->raw->names + data, len, buf) < 2)
			continue;
		/* Text and, in any build, a few markers; hundreds of d and b need KALLSYMS_ALL. */
		n_data += strchr("bBdD", buf[0]) != NULL;
		WH_TRY(wh_symtab_add(t, addr, 0, buf[0], buf + 1, WH_SYM_NO_MODULE));
		info->n++;
	}
	info->end_of_names = pos;
	info->have_data = n_data > info->n / 50;
	return NULL;
}

struct wh_err *wh_kallsyms_decode(const struct wh_kallsyms_raw *raw, struct wh_symtab *t,
				  struct wh_kallsyms_info *ret)
{
	WH_AUTO_FREE struct decoder *d = calloc(1, sizeof(*d));
	struct wh_kallsyms_info info = {0};
	struct walk w = {0};
	bool uleb = false;

	if (!d)
		return &wh_err_nomem;
	d->raw = raw;
	if (!raw->num_syms || raw->num_syms > WH_LIMIT_SYMBOLS)
		return wh_err_bad(NULL, UINT64_MAX, "kallsyms claims %u symbols", raw->num_syms);
	WH_TRY(tokens_init(d));
	WH_TRY(choose_rule(raw, &uleb, &w));
	if (!w.n)
		return wh_err_bad(NULL, UINT64_MAX, "kallsyms has no names");
	info.uleb = uleb;
	WH_TRY(choose_encoding(d, &w, uleb, &info));
	WH_TRY(add_symbols(d, uleb, t, &info));
	*ret = info;
	return NULL;
}
