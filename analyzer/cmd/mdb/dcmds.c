/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of dcmds, and opening a target for them. */
#include <stdlib.h>
#include <string.h>

#include "analyzer/alloc/umem.h"
#include "analyzer/cmd/mdb/mdb.h"
#include "analyzer/target/linux.h"
#include "analyzer/target/target_user.h"
#include "analyzer/target/targets.h"

/* Kernel dcmds and their twins for libumem are the same functions. */
const struct wh_mdb_dcmd wh_mdb_dcmds[] = {
	{"bufctl", ":[-vh] [-a addr] [-c caller] [-e earliest] [-l latest] [-t thread]",
	 "print or filter a bufctl", wh_dcmd_bufctl, "ku"},
	{"bufctl_audit", ":", "print an audit record with its stack", wh_dcmd_bufctl_audit, "ku"},
	{"dcmds", "", "list the dcmds", wh_dcmd_dcmds, "*"},
	{"findleaks", "?[-dfv]", "search for leaked memory", wh_dcmd_findleaks, "*"},
	{"formats", "", "list the letters of formats", wh_dcmd_formats, "*"},
	{"help", "[DCMD]", "explain a dcmd", wh_dcmd_help, "*"},
	{"kgrep", ":[-v] [-a min_addr] [-A max_addr] [-d dist] [-m min] [-M max]",
	 "search memory for a word", wh_dcmd_kgrep, "*"},
	{"kmalog", "?[fail | slab]", "print the transaction, failure or slab log with stacks",
	 wh_dcmd_kmalog, "k"},
	{"kmastat", "[-kmg]", "statistics of caches and arenas", wh_dcmd_kmastat, "k"},
	{"kmausers", "?[-ef] [cache ...]", "current allocations by stack", wh_dcmd_kmausers, "k"},
	{"kmem_cache", "?[name]", "print a cache, or all", wh_dcmd_kmem_cache, "k"},
	{"kmem_log", "?[-b]", "print the transaction log", wh_dcmd_kmem_log, "k"},
	{"kmem_verify", "?", "check the patterns behind and in buffers", wh_dcmd_kmem_verify, "k"},
	{"mblk", ":[-q|v] [-f|F flag] [-t|T type] [-l|L|G|b len] [-d dblk]",
	 "print or filter an mblk", wh_dcmd_mblk, "k"},
	{"mblk2dblk", ":", "the dblk of an mblk", wh_dcmd_mblk2dblk, "k"},
	{"mblk_verify", "?", "check the pointers of one mblk, or all", wh_dcmd_mblk_verify, "k"},
	{"offsetof", "TYPE MEMBER", "offset of a member", wh_dcmd_offsetof, "*"},
	{"print", ":[-aCdhLtx] [-c chars] [-l elements] [-s depth] TYPE [MEMBER ...]",
	 "print a value by its type (a addresses, t types, d decimal, x hex, h holes, C L whole)",
	 wh_dcmd_print, "*"},
	{"q", "", "leave", wh_dcmd_quit, "*"},
	{"quit", "", "leave", wh_dcmd_quit, "*"},
	{"sizeof", "TYPE", "size of a type", wh_dcmd_sizeof, "*"},
	{"status", "", "what the dump is", wh_dcmd_status, "*"},
	{"strftevent", ":", "print an event of a flow trace", wh_dcmd_strftevent, "k"},
	{"trail", ":", "everything recorded about a buffer, in time order", wh_dcmd_trail, "*"},
	{"umalog", "?[fail | slab]", "print the transaction, failure or slab log with stacks",
	 wh_dcmd_kmalog, "u"},
	{"umastat", "[-kmg]", "statistics of caches and arenas", wh_dcmd_kmastat, "u"},
	{"umausers", "?[-ef] [cache ...]", "current allocations by stack", wh_dcmd_kmausers, "u"},
	{"umem_cache", "?[name]", "print a cache, or all", wh_dcmd_kmem_cache, "u"},
	{"umem_log", "?[-b]", "print the transaction log", wh_dcmd_kmem_log, "u"},
	{"umem_verify", "?", "check the patterns behind and in buffers", wh_dcmd_kmem_verify, "u"},
	{"vmem", "?", "print an arena, or all", wh_dcmd_vmem, "ku"},
	{"vmem_seg", ":[-vs]", "print a segment of an arena", wh_dcmd_vmem_seg, "ku"},
	{"walk", "?NAME", "walk a data structure (::walkers)", wh_dcmd_walk, "*"},
	{"walkers", "", "list the walkers", wh_dcmd_walkers, "*"},
	{"whatis", ":[-abqv]", "say what an address is", wh_dcmd_whatis, "*"},
	{NULL, NULL, NULL, NULL, NULL},
};

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
	struct wh_user *u = wh_target_get_user(m->t);

	if (m->il)
		return wh_illumos_find_symbol(m->il, name, ret);
	if (u)
		return u->names && wh_unames_find(u->names, NULL, name, ret);
	if (m->t->ops == &wh_target_linux_ops)
		return wh_knames_find(((struct wh_lx *)m->t->priv)->names, name, ret);
	return false;
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
