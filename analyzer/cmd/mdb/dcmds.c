/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of dcmds, and opening a target for them. */
#include <stdlib.h>
#include <string.h>

#include "analyzer/alloc/umem.h"
#include "analyzer/cmd/mdb/mdb.h"
#include "analyzer/target/linux.h"
#include "analyzer/target/target_user.h"
#include "analyzer/target/targets.h"

static const char bufctl_options[] =
	"  -v         the whole record with its stack\n"
	"  -h         the buffer's history, newest first\n"
	"  -a ADDR    only of the buffer at ADDR\n"
	"  -c CALLER  only with CALLER (a pc, or a function) in the stack\n"
	"  -e TIME    only at TIME or later\n"
	"  -l TIME    only at TIME or earlier\n"
	"  -t THREAD  only by THREAD\n";
static const char findleaks_options[] =
	"  ADDR  only leaks with ADDR (a pc, or a function) in the stack\n"
	"  -d    one of each group in detail\n"
	"  -f    search again instead of using the result of the last search\n"
	"  -v    count what was looked at\n";
static const char kgrep_options[] = "  -v        the value as well\n"
				    "  -a MIN    only at addresses from MIN\n"
				    "  -A MAX    only at addresses below MAX\n"
				    "  -d DIST   values in [ADDR, ADDR + DIST)\n"
				    "  -m MASK   values with (value & MASK) == ADDR\n"
				    "  -M MASK   values with (value & ~MASK) == ADDR\n"
				    "  -s SIZE   words of 1, 2, 4 or 8 bytes instead of pointers\n";
static const char mblk_options[] =
	"  -v        names of the flags\n"
	"  -q        the address only\n"
	"  -f FLAG   only with this flag (MSGMARK, MSGNOLOOP, MSGDELIM, MSGMARKNEXT,\n"
	"            MSGNOTMARKNEXT, or a number); -F only without\n"
	"  -t TYPE   only of this type (data, M_FLUSH, or a number); -T only of others\n"
	"  -l LEN    only of this length; -L shorter, -G longer\n"
	"  -b LEN    only with a block of this length\n"
	"  -d DBLK   only of this dblk\n";
static const char print_options[] = "  -a        addresses of members\n"
				    "  -C        strings in full; -c N: N characters\n"
				    "  -d        numbers in decimal; -x: in hexadecimal\n"
				    "  -h        holes between members\n"
				    "  -i        ADDR is the value itself\n"
				    "  -L        arrays in full; -l N: N elements\n"
				    "  -p        ADDR is a physical address\n"
				    "  -s DEPTH  no deeper than this\n"
				    "  -t        types; -T: what they are behind their names\n";
static const char stat_options[] = "  -k -m -g  memory in KiB, MiB, GiB\n";
static const char users_options[] =
	"  -e  those of less than 8192 bytes and 100 allocations as well\n"
	"  -f  each allocation\n";
static const char seg_options[] =
	"  -v         size, thread, time and stack\n"
	"  -s         the size instead of the end\n"
	"  -c CALLER  only with CALLER (a pc, or a function) in the stack\n"
	"  -e TIME    only at TIME or later\n"
	"  -l TIME    only at TIME or earlier\n"
	"  -m SIZE    only of SIZE bytes or more; -M: or less\n"
	"  -t THREAD  only by THREAD\n"
	"  -T TYPE    only ALLOC, FREE, SPAN, ROTOR or WALKER\n";
static const char whatis_options[] = "  -a  all answers, not only the first\n"
				     "  -b  the bufctl of a buffer (in a pipe: instead of it)\n"
				     "  -i  ADDR is an identifier: only arenas of those\n"
				     "  -k  in the order of the input, as always here\n"
				     "  -q  no audit records\n"
				     "  -v  as always here\n";

/* Kernel dcmds and their twins for libumem are the same functions. */
const struct wh_mdb_dcmd wh_mdb_dcmds[] = {
	{"bufctl", ":[-vh] [-a addr] [-c caller] [-e earliest] [-l latest] [-t thread]",
	 "print or filter a bufctl", wh_dcmd_bufctl, "ku", bufctl_options},
	{"bufctl_audit", ":", "print an audit record with its stack", wh_dcmd_bufctl_audit, "ku",
	 NULL},
	{"dcmds", "", "list the dcmds", wh_dcmd_dcmds, "*", NULL},
	{"findleaks", "?[-dfv]", "search for leaked memory", wh_dcmd_findleaks, "*",
	 findleaks_options},
	{"formats", "", "list the letters of formats", wh_dcmd_formats, "*", NULL},
	{"help", "[DCMD]", "explain a dcmd", wh_dcmd_help, "*", NULL},
	{"kgrep", ":[-v] [-d dist|-m mask|-M invmask] [-a minad] [-A maxad] [-s sz]",
	 "search memory for a word", wh_dcmd_kgrep, "*", kgrep_options},
	{"kmalog", "?[fail | slab]", "print the transaction, failure or slab log with stacks",
	 wh_dcmd_kmalog, "k", NULL},
	{"kmastat", "[-kmg]", "statistics of caches and arenas", wh_dcmd_kmastat, "k",
	 stat_options},
	{"kmausers", "?[-ef] [cache ...]", "current allocations by stack", wh_dcmd_kmausers, "k",
	 users_options},
	{"kmem_cache", "?[name]", "print a cache, or all", wh_dcmd_kmem_cache, "k", NULL},
	{"kmem_log", "?[-b]", "print the transaction log (of a record; -b: of a buffer)",
	 wh_dcmd_kmem_log, "k", NULL},
	{"kmem_verify", "?", "check the patterns behind and in buffers", wh_dcmd_kmem_verify, "k",
	 NULL},
	{"mblk", ":[-q|v] [-f|F flag] [-t|T type] [-l|L|G|b len] [-d dblk]",
	 "print or filter an mblk", wh_dcmd_mblk, "k", mblk_options},
	{"mblk2dblk", ":", "the dblk of an mblk", wh_dcmd_mblk2dblk, "k", NULL},
	{"mblk_verify", "?", "check the pointers of one mblk, or all", wh_dcmd_mblk_verify, "k",
	 NULL},
	{"offsetof", "TYPE MEMBER", "offset of a member", wh_dcmd_offsetof, "*", NULL},
	{"print", ":[-aCdhiLpTtx] [-c chars] [-l elements] [-s depth] TYPE [MEMBER ...]",
	 "print a value by its type", wh_dcmd_print, "*", print_options},
	{"q", "", "leave", wh_dcmd_quit, "*", NULL},
	{"quit", "", "leave", wh_dcmd_quit, "*", NULL},
	{"sizeof", "TYPE", "size of a type", wh_dcmd_sizeof, "*", NULL},
	{"status", "", "what the dump is", wh_dcmd_status, "*", NULL},
	{"strftevent", ":", "print an event of a flow trace", wh_dcmd_strftevent, "k", NULL},
	{"trail", ":", "everything recorded about a buffer, in time order", wh_dcmd_trail, "*",
	 NULL},
	{"ugrep", ":[-v] [-d dist|-m mask|-M invmask] [-a minad] [-A maxad] [-s sz]",
	 "search memory for a word", wh_dcmd_kgrep, "u", kgrep_options},
	{"umalog", "?[fail | slab]", "print the transaction, failure or slab log with stacks",
	 wh_dcmd_kmalog, "u", NULL},
	{"umastat", "[-kmg]", "statistics of caches, arenas and threads", wh_dcmd_kmastat, "u",
	 stat_options},
	{"umausers", "?[-ef] [cache ...]", "current allocations by stack", wh_dcmd_kmausers, "u",
	 users_options},
	{"umem_cache", "?[name]", "print a cache, or all", wh_dcmd_kmem_cache, "u", NULL},
	{"umem_log", "?[-b]", "print the transaction log (of a record; -b: of a buffer)",
	 wh_dcmd_kmem_log, "u", NULL},
	{"umem_verify", "?", "check the patterns behind and in buffers", wh_dcmd_kmem_verify, "u",
	 NULL},
	{"vmem", "?", "print an arena, or all", wh_dcmd_vmem, "ku", NULL},
	{"vmem_seg",
	 ":[-vs] [-c caller] [-e earliest] [-l latest] [-m minsize] [-M maxsize] [-t thread] [-T type]",
	 "print or filter a segment of an arena", wh_dcmd_vmem_seg, "ku", seg_options},
	{"walk", "?NAME", "walk a data structure (::walkers)", wh_dcmd_walk, "*", NULL},
	{"walkers", "", "list the walkers", wh_dcmd_walkers, "*", NULL},
	{"whatis", ":[-abikqv]", "say what an address is", wh_dcmd_whatis, "*", whatis_options},
	{NULL, NULL, NULL, NULL, NULL, NULL},
};

bool wh_mdb_suits(const struct wh_mdb *m, const char *targets)
{
	bool kernel = m->t->ops == &wh_target_linux_ops;

	return strchr(targets, '*') || (m->il && strchr(targets, 'k')) ||
	       (m->umem && strchr(targets, 'u')) || (kernel && strchr(targets, 'l'));
}

const struct wh_mdb_dcmd *wh_mdb_find_dcmd(const char *name)
{
	if (*name == '$')
		name++;
	for (size_t i = 0; wh_mdb_dcmds[i].name; i++)
		if (!strcmp(wh_mdb_dcmds[i].name, name))
			return &wh_mdb_dcmds[i];
	return NULL;
}

bool wh_mdb_find_symbol(struct wh_mdb *m, const char *name, uint64_t *ret)
{
	return m->t->ops->find_symbol && m->t->ops->find_symbol(m->t, name, ret);
}

struct wh_err *wh_mdb_open(struct wh_run *run, struct wh_mdb *m)
{
	struct wh_user *u;

	WH_TRY(wh_run_target(run, /* build= */ false));
	memset(m, 0, sizeof(*m));
	m->run = run;
	m->t = run->target;
	m->t->mark_opts.count_hits = true; /* ::findleaks -v tells them */
	m->abi = run->dump->abi;
	m->pw = m->abi.word == 8 ? 16 : 8;
	m->json = wh_emit_format(run->emit) == WH_FORMAT_JSON;
	m->no_shell = run->cli->no_shell;
	m->il = wh_target_get_illumos(m->t);
	u = wh_target_get_user(m->t);
	if (m->il) {
		m->kmem = &m->il->kmem;
		m->types = m->il->types;
	} else if (u) {
		m->types = u->names ? u->names->types : NULL;
		for (size_t i = 0; i < u->heaps.n; i++)
			if (u->heaps.v[i].ops == &wh_heap_umem)
				m->umem = u->heaps.v[i].priv;
		m->kmem = m->umem ? &m->umem->k : NULL;
	} else if (m->t->ops == &wh_target_linux_ops) {
		m->types = ((struct wh_lx *)m->t->priv)->names->types;
	}
	return NULL;
}

void wh_mdb_close(struct wh_mdb *m)
{
	wh_mdb_leaks_fini(m);
	wh_strbuf_fini(&m->out);
	wh_arena_fini(&m->arena);
}
