/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/target/streams.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "analyzer/base/hashmap.h"

#define BLOCKS_MAX (1u << 20)

#define S struct wh_streams
static const struct wh_want message_wants[] = {
	WH_WANT(S, b_next, "msgb|mblk_t", "b_next"),
	WH_WANT(S, b_cont, "msgb|mblk_t", "b_cont"),
	WH_WANT(S, b_rptr, "msgb|mblk_t", "b_rptr"),
	WH_WANT(S, b_wptr, "msgb|mblk_t", "b_wptr"),
	WH_WANT(S, b_datap, "msgb|mblk_t", "b_datap"),
	WH_WANT(S, b_flag, "msgb|mblk_t", "b_flag"),
	WH_WANT(S, db_base, "datab|dblk_t", "db_base"),
	WH_WANT(S, db_lim, "datab|dblk_t", "db_lim"),
	WH_WANT(S, db_ref, "datab|dblk_t", "db_ref"),
	WH_WANT(S, db_type, "datab|dblk_t", "db_type"),
	WH_WANT(S, db_mblk, "datab|dblk_t", "db_mblk"),
	WH_WANT_OPT(S, db_fthdr, "datab|dblk_t", "db_fthdr"),
};
static const struct wh_want flow_wants[] = {
	WH_WANT(S, ev_ts, "ftevnt|ftevnt_t", "ts"),
	WH_WANT(S, ev_mid, "ftevnt|ftevnt_t", "mid"),
	WH_WANT_OPT(S, ev_midnext, "ftevnt|ftevnt_t", "midnext"),
	WH_WANT(S, ev_evnt, "ftevnt|ftevnt_t", "evnt"),
	WH_WANT(S, ev_data, "ftevnt|ftevnt_t", "data"),
	WH_WANT_OPT(S, ev_stk, "ftevnt|ftevnt_t", "stk"),
	WH_WANT(S, blk_nxt, "ftblk|ftblk_t", "nxt"),
	WH_WANT(S, blk_ix, "ftblk|ftblk_t", "ix"),
	WH_WANT(S, blk_ev, "ftblk|ftblk_t", "ev"),
	WH_WANT(S, hdr_tail, "fthdr|fthdr_t", "tail"),
	WH_WANT(S, hdr_hash, "fthdr|fthdr_t", "hash"),
	WH_WANT_OPT(S, hdr_thread, "fthdr|fthdr_t", "thread"),
	WH_WANT(S, hdr_first, "fthdr|fthdr_t", "first"),
	WH_WANT_OPT(S, fs_depth, "ftstk|ftstk_t", "fs_depth"),
	WH_WANT_OPT(S, fs_stk, "ftstk|ftstk_t", "fs_stk"),
};

static bool resolve(const struct wh_types *types, const struct wh_want *w, size_t n, S *s)
{
	struct wh_err *e = wh_layout_resolve(types, w, n, s);

	wh_err_destroy(e);
	return !e;
}

struct wh_err *wh_streams_open(struct wh_streams *s, struct wh_types *types)
{
	s->have = resolve(types, message_wants, sizeof(message_wants) / sizeof(*message_wants), s);
	s->have_flow = s->have && s->db_fthdr.found &&
		       resolve(types, flow_wants, sizeof(flow_wants) / sizeof(*flow_wants), s);
	s->with_stacks = s->have_flow && s->ev_stk.found;
	if (s->have && !wh_types_sizeof(types, "msgb", &s->mblk_size))
		wh_types_sizeof(types, "mblk_t", &s->mblk_size);
	if (s->have && !wh_types_sizeof(types, "datab", &s->dblk_size))
		wh_types_sizeof(types, "dblk_t", &s->dblk_size);
	if (!wh_types_sizeof(types, "ftevnt", &s->ev_size) &&
	    !wh_types_sizeof(types, "ftevnt_t", &s->ev_size))
		s->have_flow = false;
	return NULL;
}

static bool field(const struct wh_streams *s, uint64_t base, struct wh_field f, uint64_t *ret)
{
	uint8_t b[8];

	if (!f.found || !f.size || f.size > 8 ||
	    wh_read_some(s->r, WH_VIRT, base + f.offset, b, (size_t)f.size, NULL) < f.size)
		return false;
	*ret = wh_get_uint(s->abi, b, (size_t)f.size);
	return true;
}

bool wh_mblk_read(const struct wh_streams *s, uint64_t addr, struct wh_mblk *ret)
{
	struct wh_mblk m = {.addr = addr};
	uint64_t flag;

	if (!s->have || !field(s, addr, s->b_next, &m.next) ||
	    !field(s, addr, s->b_cont, &m.cont) || !field(s, addr, s->b_rptr, &m.rptr) ||
	    !field(s, addr, s->b_wptr, &m.wptr) || !field(s, addr, s->b_datap, &m.datap) ||
	    !field(s, addr, s->b_flag, &flag))
		return false;
	m.flag = (uint16_t)flag;
	*ret = m;
	return true;
}

bool wh_dblk_read(const struct wh_streams *s, uint64_t addr, struct wh_dblk *ret)
{
	struct wh_dblk d = {.addr = addr};
	uint64_t ref, type;

	if (!s->have || !field(s, addr, s->db_base, &d.base) ||
	    !field(s, addr, s->db_lim, &d.lim) || !field(s, addr, s->db_ref, &ref) ||
	    !field(s, addr, s->db_type, &type) || !field(s, addr, s->db_mblk, &d.mblk))
		return false;
	field(s, addr, s->db_fthdr, &d.fthdr);
	d.ref = (uint8_t)ref;
	d.type = (uint8_t)type;
	*ret = d;
	return true;
}

bool wh_ft_event_read(const struct wh_streams *s, uint64_t addr, struct wh_ft_event *ret)
{
	struct wh_ft_event e = {.addr = addr};
	uint64_t ts, code, data;

	if (!s->have_flow || !field(s, addr, s->ev_ts, &ts) || !field(s, addr, s->ev_mid, &e.mid) ||
	    !field(s, addr, s->ev_evnt, &code) || !field(s, addr, s->ev_data, &data))
		return false;
	field(s, addr, s->ev_midnext, &e.midnext);
	field(s, addr, s->ev_stk, &e.stk);
	e.time = (int64_t)ts;
	e.code = (uint16_t)code;
	e.data = (uint16_t)data;
	*ret = e;
	return true;
}

bool wh_ft_stack_read(const struct wh_streams *s, const struct wh_ft_event *ev, uint64_t *ret,
		      uint32_t *ret_n)
{
	uint64_t depth;

	*ret_n = 0;
	if (!ev->stk)
		return true;
	if (!field(s, ev->stk, s->fs_depth, &depth) || depth > WH_FT_DEPTH)
		return false;
	for (uint32_t i = 0; i < depth; i++)
		if (!wh_read_word(s->r, ev->stk + s->fs_stk.offset + i * s->abi.word, &ret[i]))
			return false;
	*ret_n = (uint32_t)depth;
	return true;
}

uint32_t wh_ft_hash(uint32_t hash, const struct wh_ft_event *ev)
{
	hash *= 513;
	hash += (uint32_t)ev->code << 16 | ev->data;
	return hash + (uint32_t)ev->mid;
}

static struct wh_err *block_read(const struct wh_streams *s, uint64_t blk, struct wh_ft_trace *t,
				 uint64_t *ret_next)
{
	uint64_t ix = 0;

	if (!field(s, blk, s->blk_ix, &ix) || !field(s, blk, s->blk_nxt, ret_next)) {
		t->why = "unreadable";
	} else if ((int32_t)ix < 0 || ix > WH_FT_EVENTS) {
		t->why = "incorrect index value";
	}
	for (uint64_t i = 0; !t->why && i < ix; i++) {
		struct wh_ft_event ev;

		if (!wh_ft_event_read(s, blk + s->blk_ev.offset + i * s->ev_size, &ev)) {
			t->why = "unreadable";
			break;
		}
		WH_TRY(WH_VEC_PUSH(&t->events, ev));
		t->computed = wh_ft_hash(t->computed, &ev);
	}
	if (t->why) {
		t->check = WH_FT_BROKEN;
		t->broken_at = blk;
	}
	return NULL;
}

struct wh_err *wh_ft_trace_read(const struct wh_streams *s, uint64_t dblk, struct wh_ft_trace *ret)
{
	struct wh_ft_trace t = {.check = WH_FT_NONE};
	struct wh_map seen = WH_MAP_INIT;
	struct wh_err *e = NULL;
	uint64_t blk, hash = 0;
	bool fresh = true;

	if (!s->have_flow || !field(s, dblk, s->db_fthdr, &t.hdr) || !t.hdr) {
		*ret = t;
		return NULL;
	}
	t.check = WH_FT_VERIFIED;
	if (!field(s, t.hdr, s->hdr_hash, &hash)) {
		t.check = WH_FT_BROKEN;
		t.broken_at = t.hdr;
		t.why = "unreadable";
	}
	t.hash = (uint32_t)hash;
	blk = t.hdr + s->hdr_first.offset;
	for (uint32_t n = 0; !e && blk && t.check != WH_FT_BROKEN; n++) {
		uint64_t next = 0;

		e = wh_map_set(&seen, blk, 1, &fresh);
		if (!e && (!fresh || n > BLOCKS_MAX)) {
			t.check = WH_FT_BROKEN;
			t.broken_at = blk;
			t.why = "the list loops";
		} else if (!e) {
			e = block_read(s, blk, &t, &next);
		}
		blk = next;
	}
	wh_map_fini(&seen);
	if (e) {
		wh_ft_trace_fini(&t);
		return e;
	}
	if (t.check == WH_FT_VERIFIED && t.hash != t.computed)
		t.check = WH_FT_MISMATCH;
	*ret = t;
	return NULL;
}

void wh_ft_trace_fini(struct wh_ft_trace *t)
{
	WH_VEC_FINI(&t->events);
}

/* ---- names ---- */

static const char *const alloc_events[] = {
	"allocb",  "esballoc", "desballoc", "esballoca", "desballoca", "allocbig",
	"allocbw", "bcallocb", "freeb",	    "dupb",	 "copyb",
};
static const char *const queue_events[] = {
	"put",	"0x101", "0x102",  "0x103", "0x104", "putq",	"getq",	  "rmvq",
	"insq", "putbq", "flushq", "0x10b", "0x10c", "putnext", "rwnext",
};

void wh_ft_event_name(uint16_t code, char *buf, size_t cap)
{
	const char *name = "undefined";
	unsigned int i;
	char flags[5];
	size_t n = 0;

	if (code & 0x100) {
		i = (code & 0x1ffu) - 0x100;
		if (i < sizeof(queue_events) / sizeof(*queue_events))
			name = queue_events[i];
	} else {
		i = code & 0xf;
		if (i < sizeof(alloc_events) / sizeof(*alloc_events))
			name = alloc_events[i];
	}
	if (code & WH_FT_WRITE)
		flags[n++] = 'W';
	if (code & WH_FT_CS)
		flags[n++] = 'C';
	if (code & WH_FT_PS)
		flags[n++] = 'P';
	flags[n] = '\0';
	snprintf(buf, cap, "%s%s%s", name, n ? "|" : "", flags);
}

static bool printable(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || (unsigned char)*s > '~')
			return false;
	return true;
}

void wh_ft_module_name(const struct wh_streams *s, uint64_t addr, char buf[10])
{
	char name[9];

	/* Nine bytes are read, so that at most eight characters show. */
	if (addr && wh_read_str(s->r, addr, name, sizeof(name)) && printable(name))
		snprintf(buf, 10, "%s", name);
	else
		snprintf(buf, 10, "?");
}

static const struct {
	uint8_t type;
	const char *name;
} mblk_types[] = {
	{0x00, "data"},	   {0x01, "proto"},    {0x02, "multidata"}, {0x08, "break"},
	{0x09, "passfp"},  {0x0a, "event"},    {0x0b, "sig"},	    {0x0c, "delay"},
	{0x0d, "ctl"},	   {0x0e, "ioctl"},    {0x10, "setopts"},   {0x11, "rse"},
	{0x81, "iocack"},  {0x82, "iocnak"},   {0x83, "pcproto"},   {0x84, "pcsig"},
	{0x85, "read"},	   {0x86, "flush"},    {0x87, "stop"},	    {0x88, "start"},
	{0x89, "hangup"},  {0x8a, "error"},    {0x8b, "copyin"},    {0x8c, "copyout"},
	{0x8d, "iocdata"}, {0x8e, "pcrse"},    {0x8f, "stopi"},	    {0x90, "starti"},
	{0x91, "pcevent"}, {0x92, "unhangup"}, {0x93, "cmd"},
};

const char *wh_mblk_type_name(uint8_t type)
{
	for (size_t i = 0; i < sizeof(mblk_types) / sizeof(*mblk_types); i++)
		if (mblk_types[i].type == type)
			return mblk_types[i].name;
	return NULL;
}

bool wh_mblk_type_find(const char *name, uint8_t *ret)
{
	for (size_t i = 0; i < sizeof(mblk_types) / sizeof(*mblk_types); i++)
		if (!strcasecmp(mblk_types[i].name, name)) {
			*ret = mblk_types[i].type;
			return true;
		}
	return false;
}
