/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel's log says about its end: the line of a panic, else the first line of an oops.
 *
 *	since 5.10	prb ─► printk_ringbuffer: descs[i] say where the text of record i lies, infos[i] how long
 *			it is (kernel/printk/printk_ringbuffer.c)
 *	before		log_buf: records of a struct printk_log and its text, one behind the other
 *
 * Members by name, else from VMCOREINFO, which has them for this very purpose.
 */
#include "analyzer/target/linux.h"

#include <stdio.h>
#include <string.h>

#define BITS_MAX 26	     /* log2 of records and of bytes of text believed */
#define OLD_MAX	 (64u << 20) /* [bytes] of log_buf believed */
#define LOG_LINE 256

/* What begins the last words of a kernel, the most telling first. */
static const char *const last_words[] = {
	"Kernel panic - not syncing",
	"Unable to handle kernel",
	"BUG: ",
	"Internal error: ",
	"general protection fault",
	"Oops: ",
	"sysrq: ",
};
#define WORDS (sizeof(last_words) / sizeof(last_words[0]))

struct words {
	struct wh_lx *x;
	size_t rank; /* index of last_words; WORDS: nothing yet */
	uint64_t seq;
	char line[LOG_LINE];
};

/* Record @seq, @len bytes of text at @va.  Of several panics the last counts, of an oops its first line. */
static void record_look(struct words *w, uint64_t seq, uint64_t va, size_t len)
{
	char text[LOG_LINE];
	size_t n = len < sizeof(text) - 1 ? len : sizeof(text) - 1;

	if (wh_read_some(w->x->r, WH_VIRT, va, text, n, NULL) != n)
		return;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	for (size_t i = 0; i < WORDS && i <= w->rank; i++) {
		if (strncmp(text, last_words[i], strlen(last_words[i])) != 0 ||
		    (i == w->rank && (i ? seq > w->seq : seq < w->seq)))
			continue;
		w->rank = i;
		w->seq = seq;
		for (char *c = text; *c; c++)
			if (*c < 0x20 || *c > 0x7e)
				*c = '?';
		memcpy(w->line, text, strlen(text) + 1);
		return;
	}
}

static bool offset(struct wh_lx *x, const char *type, const char *member, uint64_t *ret)
{
	char name[96];

	if (wh_lx_offset(x, type, member, ret))
		return true;
	snprintf(name, sizeof(name), "%s.%s", type, member);
	return x->ks->vmcoreinfo && wh_vmcoreinfo_offset(x->ks->vmcoreinfo, name, ret);
}

static bool size(struct wh_lx *x, const char *type, uint64_t *ret)
{
	return wh_types_sizeof(x->names->types, type, ret) ||
	       (x->ks->vmcoreinfo && wh_vmcoreinfo_size(x->ks->vmcoreinfo, type, ret));
}

/* Value of the pointer variable @name. */
static bool variable(struct wh_lx *x, const char *name, uint64_t *ret)
{
	uint64_t at;

	if (!(x->ks->vmcoreinfo && wh_vmcoreinfo_symbol(x->ks->vmcoreinfo, name, &at)) &&
	    !wh_lx_symbol(x, name, &at))
		return false;
	if (!wh_read_word(x->r, at, ret) || !*ret)
		return false;
	*ret = wh_lx_ptr(x, *ret);
	return true;
}

struct ring {
	uint64_t descs, infos, data; /* addresses */
	uint32_t desc_bits, data_bits;
	uint64_t desc_size, info_size;
	uint64_t begin, seq, text_len; /* in a desc, in an info */
};

static bool ring_open(struct wh_lx *x, struct ring *g)
{
	uint64_t rb, dr, tr, o[6], lpos;

	if (!variable(x, "prb", &rb) || !offset(x, "printk_ringbuffer", "desc_ring", &dr) ||
	    !offset(x, "printk_ringbuffer", "text_data_ring", &tr) ||
	    !offset(x, "prb_desc_ring", "count_bits", &o[0]) ||
	    !offset(x, "prb_desc_ring", "descs", &o[1]) ||
	    !offset(x, "prb_desc_ring", "infos", &o[2]) ||
	    !offset(x, "prb_data_ring", "size_bits", &o[3]) ||
	    !offset(x, "prb_data_ring", "data", &o[4]) || !size(x, "prb_desc", &g->desc_size) ||
	    !size(x, "printk_info", &g->info_size) ||
	    !offset(x, "prb_desc", "text_blk_lpos", &lpos) ||
	    !offset(x, "prb_data_blk_lpos", "begin", &o[5]) ||
	    !offset(x, "printk_info", "seq", &g->seq) ||
	    !offset(x, "printk_info", "text_len", &g->text_len))
		return false;
	g->begin = lpos + o[5];
	return wh_read_u32(x->r, rb + dr + o[0], &g->desc_bits) && g->desc_bits <= BITS_MAX &&
	       wh_read_word(x->r, rb + dr + o[1], &g->descs) &&
	       wh_read_word(x->r, rb + dr + o[2], &g->infos) &&
	       wh_read_u32(x->r, rb + tr + o[3], &g->data_bits) && g->data_bits <= BITS_MAX &&
	       wh_read_word(x->r, rb + tr + o[4], &g->data);
}

static void ring_look(struct words *w, const struct ring *g)
{
	struct wh_lx *x = w->x;
	uint64_t begin, seq, mask = (1ull << g->data_bits) - 1;
	uint32_t len;

	for (uint64_t i = 0; i < 1ull << g->desc_bits; i++) {
		uint64_t info = wh_lx_ptr(x, g->infos) + i * g->info_size;

		if (!wh_read_word(x->r, wh_lx_ptr(x, g->descs) + i * g->desc_size + g->begin,
				  &begin) ||
		    !wh_read_word(x->r, info + g->seq, &seq) ||
		    !wh_read_u32(x->r, info + g->text_len, &len))
			return;
		len &= 0xffff;
		/* odd positions say that there is no text; a block begins with the number of its record */
		if (!len || (begin & 1) || (begin & mask) + x->abi.word + len > mask + 1)
			continue;
		record_look(w, seq, wh_lx_ptr(x, g->data) + (begin & mask) + x->abi.word, len);
	}
}

/* Before 5.10.  A length of 0 says that the rest of the buffer is empty. */
static void old_look(struct words *w)
{
	struct wh_lx *x = w->x;
	uint64_t buf, at, len_off, text_off, head, end;
	uint32_t bytes, v, text;

	if (!variable(x, "log_buf", &buf) || !offset(x, "printk_log", "len", &len_off) ||
	    !offset(x, "printk_log", "text_len", &text_off) || !size(x, "printk_log", &head) ||
	    !(x->ks->vmcoreinfo && wh_vmcoreinfo_symbol(x->ks->vmcoreinfo, "log_buf_len", &at)) ||
	    !wh_read_u32(x->r, at, &bytes) || bytes > OLD_MAX)
		return;
	end = buf + bytes;
	for (uint64_t seq = 0; buf + head < end; buf += v, seq++) {
		if (!wh_read_u32(x->r, buf + len_off, &v) ||
		    !wh_read_u32(x->r, buf + text_off, &text) || (v &= 0xffff) < head ||
		    (text &= 0xffff) > v - head)
			return;
		record_look(w, seq, buf + head, text);
	}
}

const char *wh_lx_last_words(struct wh_lx *x, struct wh_arena *a)
{
	struct words w = {.x = x, .rank = WORDS};
	struct ring g;

	if (ring_open(x, &g))
		ring_look(&w, &g);
	else
		old_look(&w);
	return w.rank < WORDS ? wh_arena_strdup(a, w.line) : NULL;
}
