/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF cores: of machines (/proc/vmcore, makedumpfile -E, QEMU and virsh) and of processes.  Read by
 * byte: segment edges need not be page aligned, and plain files allow large borrows.
 *
 * Each program header becomes up to three ranges of addresses (PHYS for machines, VIRT for processes):
 *
 *	addr ------------ filesz in the file ----- filesz claimed ----------- memsz
 *	     PRESENT                 | TRUNCATED            | EXCLUDED
 *
 * All PRESENT ranges, made disjoint, are one sorted array; all others a second one that is asked
 * when the first has nothing.  So a byte that two segments describe (kexec stores the kernel image
 * twice) is present if either has it.  Ranges that continue each other in address and in the file are
 * joined, and a borrow may cross from one segment into the next.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/base/limits.h"
#include "analyzer/base/order.h"
#include "analyzer/base/vec.h"
#include "formats/elfhdr.h"
#include "formats/fmt.h"
#include "formats/note.h"
#include "formats/scratch.h"

struct range {
	uint64_t addr, len;
	uint64_t off; /* in the file; PRESENT only */
	uint8_t state;
};

struct ranges {
	WH_VEC(struct range) r; /* sorted, disjoint */
};

struct elf {
	const struct wh_stream *st;
	struct ranges present, absent;
	WH_VEC(uint8_t *) notes; /* the PT_NOTEs: what d->notes borrows from */
	size_t notes_len;	 /* [bytes] of them */
};

static const char *type_name(uint16_t type)
{
	switch (type) {
	case ET_REL: return "an object file or kernel module";
	case ET_EXEC: return "an executable";
	case ET_DYN: return "an executable or shared library";
	default: return "an ELF file of unknown type";
	}
}

static struct wh_err *read_ehdr(struct wh_dump *d, const struct wh_stream *st,
				struct wh_elf_ehdr *ret)
{
	uint8_t p[WH_ELF_EHDR_MAX] = {0};
	size_t got = wh_stream_read(st, 0, p, sizeof(p));

	if (got < SELFMAG || memcmp(p, ELFMAG, SELFMAG) != 0)
		return &wh_err_not_mine;
	if (got < EI_NIDENT || (wh_elf_abi(p, &d->abi) && got < wh_elf_ehdr_size(d->abi)))
		return wh_err_bad(wh_stream_path(st), got, "the file ends inside the ELF header");
	if (!wh_elf_abi(p, &d->abi))
		return wh_err_bad(wh_stream_path(st), EI_CLASS,
				  "ELF class %u, data %u, expected 1 or 2 each", p[EI_CLASS],
				  p[EI_DATA]);
	*ret = wh_elf_ehdr(d->abi, p);
	if (ret->type != ET_CORE)
		return wh_err_bad(wh_stream_path(st), 16, "this is %s, expected a core or a vmcore",
				  type_name(ret->type));
	return NULL;
}

/* The number of program headers; when it is above 0xfffe the first section header has it. */
static struct wh_err *real_phnum(const struct wh_dump *d, const struct wh_stream *st,
				 const struct wh_elf_ehdr *h, uint32_t *ret)
{
	uint8_t p[WH_ELF_SHDR_MAX];
	size_t size = wh_elf_shdr_size(d->abi);

	*ret = h->phnum;
	if (h->phnum != PN_XNUM)
		return NULL;
	if (!h->shoff || wh_stream_read(st, h->shoff, p, size) < size)
		return wh_err_bad(
			wh_stream_path(st), h->shoff,
			"too many program headers for the ELF header, and no section header "
			"with their number");
	*ret = wh_elf_shdr(d->abi, p).info;
	return NULL;
}

static struct wh_segment segment_of(const struct wh_elf_phdr *h, uint64_t file_size)
{
	struct wh_segment s = {
		.vaddr = h->vaddr,
		.paddr = h->paddr,
		.memsz = h->memsz,
		.offset = h->offset,
		.filesz_claimed = h->filesz,
		.flags = h->flags,
	};

	/* Some writers (FreeBSD minidumps, old gcore) leave p_memsz 0. */
	if (s.memsz < s.filesz_claimed)
		s.memsz = s.filesz_claimed;
	s.filesz = s.filesz_claimed;
	if (s.offset >= file_size)
		s.filesz = 0;
	else if (s.filesz > file_size - s.offset)
		s.filesz = file_size - s.offset;
	return s;
}

/* Reads and parses one PT_NOTE. */
static struct wh_err *read_notes(struct wh_dump *d, struct elf *f, const struct wh_segment *s)
{
	uint8_t *p;
	size_t n, used;
	struct wh_err *e;

	if (!s->filesz)
		return NULL;
	if (s->filesz > WH_LIMIT_NOTES - f->notes_len) {
		wh_diag_add(d->ctx->diags, WH_DIAG_WARN, "elf-bad-header", s->offset,
			    "%s: %llu bytes of ELF notes: ignored", wh_stream_path(f->st),
			    (unsigned long long)s->filesz);
		return NULL;
	}
	p = malloc((size_t)s->filesz);
	if (!p)
		return &wh_err_nomem;
	e = WH_VEC_PUSH(&f->notes, p);
	if (e) {
		free(p);
		return e;
	}
	n = wh_stream_read(f->st, s->offset, p, (size_t)s->filesz);
	f->notes_len += n;
	return wh_notes_parse(d, p, n, &used);
}

/* Reads all program headers: PT_LOAD to d->segs, PT_NOTE to d->notes. */
static struct wh_err *read_phdrs(struct wh_dump *d, struct elf *f, const struct wh_elf_ehdr *h,
				 uint32_t phnum, struct wh_scratch *sc)
{
	size_t size = wh_elf_phdr_size(d->abi);
	struct {
		struct wh_segment *v;
		size_t n, cap;
	} segs = {0};
	struct wh_err *e = NULL;

	for (uint64_t i = 0; !e && i < phnum; i++) {
		size_t got;
		const uint8_t *p =
			wh_scratch_bytes(sc, f->st, h->phoff + i * h->phentsize, size, &got);
		struct wh_elf_phdr ph;
		struct wh_segment s;

		if (got < size) {
			wh_diag_add(d->ctx->diags, WH_DIAG_WARN, "elf-bad-header", h->phoff,
				    "%s: only %llu of %llu program headers are in the file",
				    wh_stream_path(f->st), (unsigned long long)i,
				    (unsigned long long)phnum);
			d->incomplete = true;
			break;
		}
		ph = wh_elf_phdr(d->abi, p);
		s = segment_of(&ph, wh_stream_size(f->st));
		if (ph.type == PT_NOTE)
			e = read_notes(d, f, &s);
		else if (ph.type == PT_LOAD)
			e = WH_VEC_PUSH(&segs, s);
	}
	d->segs = segs.v;
	d->n_segs = segs.n;
	return e;
}

static int cmp_range(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return x->off < y->off ? -1 : x->off > y->off;
}

/* Sorts, cuts away what an earlier range already covers, joins what continues. */
static void make_disjoint(struct ranges *rs)
{
	size_t out = 0;

	wh_sort(rs->r.v, rs->r.n, sizeof(*rs->r.v), cmp_range);
	for (size_t i = 0; i < rs->r.n; i++) {
		struct range r = rs->r.v[i];
		struct range *last = out ? &rs->r.v[out - 1] : NULL;

		if (last && r.addr - last->addr < last->len) {
			uint64_t cut = last->len - (r.addr - last->addr);

			if (cut >= r.len)
				continue;
			r.addr += cut;
			r.off += cut;
			r.len -= cut;
		}
		if (last && last->addr + last->len == r.addr && last->state == r.state &&
		    (r.state != WH_MEM_PRESENT || last->off + last->len == r.off))
			last->len += r.len;
		else
			rs->r.v[out++] = r;
	}
	rs->r.n = out;
}

static struct wh_err *add_range(struct ranges *rs, uint64_t addr, uint64_t len, uint64_t off,
				enum wh_mem_state state)
{
	/* Nothing lies past the end of the address space; the last byte is given up for it. */
	if (len > UINT64_MAX - addr)
		len = UINT64_MAX - addr;
	return len ? WH_VEC_PUSH(&rs->r, (struct range){addr, len, off, (uint8_t)state}) : NULL;
}

static struct wh_err *build_ranges(struct wh_dump *d, struct elf *f)
{
	for (size_t i = 0; i < d->n_segs; i++) {
		const struct wh_segment *s = &d->segs[i];
		uint64_t a = d->cls == WH_DUMP_PROCESS ? s->vaddr : s->paddr;

		if (s->memsz > UINT64_MAX - a) {
			wh_diag_add(
				d->ctx->diags, WH_DIAG_WARN, "elf-bad-header", a,
				"%s: a segment at %#llx of %#llx bytes leaves the address space",
				wh_stream_path(f->st), (unsigned long long)a,
				(unsigned long long)s->memsz);
			if (s->filesz > UINT64_MAX - a)
				continue;
		}
		WH_TRY(add_range(&f->present, a, s->filesz, s->offset, WH_MEM_PRESENT));
		if (s->filesz_claimed > s->filesz) {
			d->incomplete = true;
			if (s->filesz_claimed <= UINT64_MAX - a)
				WH_TRY(add_range(&f->absent, a + s->filesz,
						 s->filesz_claimed - s->filesz, 0,
						 WH_MEM_TRUNCATED));
		}
		if (s->memsz > s->filesz_claimed && s->filesz_claimed <= UINT64_MAX - a)
			WH_TRY(add_range(&f->absent, a + s->filesz_claimed,
					 s->memsz - s->filesz_claimed, 0, WH_MEM_EXCLUDED));
	}
	make_disjoint(&f->present);
	make_disjoint(&f->absent);
	return NULL;
}

/* A machine or a process?  Notes tell; without any, physical addresses do. */
static enum wh_dump_class classify(const struct wh_dump *d)
{
	static const uint32_t process[] = {WH_NT_PRPSINFO, WH_NT_AUXV, WH_NT_FILE, WH_NT_PSTATUS,
					   WH_NT_PSINFO};
	static const char *const machine[] = {"VMCOREINFO", "QEMU", "VMCOREINFO_XEN", "Xen",
					      "XEN CORE"};
	bool virt = false;

	for (size_t i = 0; i < d->n_notes; i++) {
		const struct wh_note *n = &d->notes[i];

		for (size_t j = 0; j < sizeof(machine) / sizeof(machine[0]); j++)
			if (!strcmp(n->name, machine[j]))
				return WH_DUMP_PHYSICAL;
		for (size_t j = 0; j < sizeof(process) / sizeof(process[0]); j++)
			if (!strcmp(n->name, "CORE") && n->type == process[j])
				return WH_DUMP_PROCESS;
	}
	for (size_t i = 0; i < d->n_segs; i++) {
		if (d->segs[i].paddr)
			return WH_DUMP_PHYSICAL;
		virt |= d->segs[i].vaddr != 0;
	}
	return virt ? WH_DUMP_PROCESS : WH_DUMP_PHYSICAL;
}

/* The range that has @addr, or NULL and in *ret_next where the next one starts. */
static const struct range *find_range(const struct ranges *rs, uint64_t addr, uint64_t *ret_next)
{
	size_t lo = WH_BOUND(i, rs->r.n, rs->r.v[i].addr <= addr);

	*ret_next = lo < rs->r.n ? rs->r.v[lo].addr : UINT64_MAX;
	if (lo && addr - rs->r.v[lo - 1].addr < rs->r.v[lo - 1].len)
		return &rs->r.v[lo - 1];
	return NULL;
}

/* State of the byte at @addr, and how many bytes from there on share it. */
static enum wh_mem_state state_at(const struct elf *f, uint64_t addr, const struct range **ret_r,
				  uint64_t *ret_len)
{
	uint64_t next_present, next_absent;
	const struct range *r = find_range(&f->present, addr, &next_present);

	*ret_r = r;
	if (r) {
		*ret_len = r->len - (addr - r->addr);
		return WH_MEM_PRESENT;
	}
	r = find_range(&f->absent, addr, &next_absent);
	if (r) {
		*ret_len = r->len - (addr - r->addr);
		if (*ret_len > next_present - addr)
			*ret_len = next_present - addr;
		return r->state;
	}
	*ret_len = (next_present < next_absent ? next_present : next_absent) - addr;
	if (!*ret_len)
		*ret_len = 1; /* the very last byte */
	return WH_MEM_UNMAPPED;
}

static const uint8_t *elf_borrow(const struct wh_dump *d, struct wh_scratch *sc, uint64_t addr,
				 uint64_t want, uint64_t *ret_len, enum wh_mem_state *ret_state)
{
	const struct elf *f = d->priv;
	const struct range *r;
	const uint8_t *p;
	size_t got;

	*ret_state = state_at(f, addr, &r, ret_len);
	if (*ret_state != WH_MEM_PRESENT)
		return NULL;
	if (want > *ret_len)
		want = *ret_len;
	p = wh_scratch_bytes(sc, f->st, r->off + (addr - r->addr),
			     want < WH_VIEW_MAX ? (size_t)want : WH_VIEW_MAX, &got);
	if (!got) {
		/* The file shrank under us, or its disk fails. */
		*ret_state = WH_MEM_CORRUPT;
		*ret_len = want;
		return NULL;
	}
	*ret_len = got;
	return p;
}

/* A frame is present when all of it is; else its first absent byte says why it is not. */
static enum wh_mem_state elf_page_state(const struct wh_dump *d, struct wh_scratch *sc WH_UNUSED,
					uint64_t pfn, uint64_t *ret_run)
{
	const struct elf *f = d->priv;
	const uint64_t ps = d->page_size;
	uint64_t len, at, end;
	const struct range *r;
	enum wh_mem_state s;

	*ret_run = 1;
	if (pfn > UINT64_MAX / ps - 1)
		return WH_MEM_UNMAPPED;
	at = pfn * ps;
	end = at + ps;
	s = state_at(f, at, &r, &len);
	if (len >= ps) {
		*ret_run = len / ps;
		return s;
	}
	while (s == WH_MEM_PRESENT && len < end - at) {
		at += len;
		s = state_at(f, at, &r, &len);
	}
	return s;
}

/* Counts whole frames by state; a frame that is cut by a range edge counts by its first absent byte. */
static void count_pages(struct wh_dump *d)
{
	for (uint64_t pfn = 0; pfn < d->max_pfn;) {
		uint64_t run;
		enum wh_mem_state s = elf_page_state(d, NULL, pfn, &run);

		if (run > d->max_pfn - pfn)
			run = d->max_pfn - pfn;
		d->pages[s] += run;
		pfn += run;
	}
}

static void elf_close(struct wh_dump *d)
{
	struct elf *f = d->priv;

	if (!f)
		return;
	for (size_t i = 0; i < f->notes.n; i++)
		free(f->notes.v[i]);
	WH_VEC_FINI(&f->notes);
	WH_VEC_FINI(&f->present.r);
	WH_VEC_FINI(&f->absent.r);
	free(f);
	free(d->segs);
	free(d->notes);
	d->segs = NULL;
	d->notes = NULL;
	d->n_segs = d->n_notes = 0;
	d->priv = NULL;
}

/* The exclusive bound of frames, and the page size that the kernel says it uses. */
static void set_frames(struct wh_dump *d, const struct elf *f)
{
	const char *ps = d->vmcoreinfo ? wh_vmcoreinfo_find(d->vmcoreinfo, "PAGESIZE") : NULL;
	const struct ranges *rs[] = {&f->present, &f->absent};
	unsigned long n = ps ? strtoul(ps, NULL, 10) : 0;

	if (n >= 4096 && n <= 65536 && !(n & (n - 1)))
		d->page_size = (uint32_t)n;
	for (size_t i = 0; i < 2; i++) {
		const struct range *last = rs[i]->r.n ? &rs[i]->r.v[rs[i]->r.n - 1] : NULL;
		uint64_t end = last ? (last->addr + last->len - 1) / d->page_size + 1 : 0;

		if (end > d->max_pfn)
			d->max_pfn = end;
	}
	if (d->max_pfn > WH_LIMIT_PFN)
		d->max_pfn = WH_LIMIT_PFN;
}

/* Bit 0 of e_flags: makedumpfile's "incomplete" (its DUMP_ELF_INCOMPLETE). */
static void set_flags(struct wh_dump *d, const struct wh_elf_ehdr *h)
{
	if (d->cls == WH_DUMP_PHYSICAL && (h->flags & 1) && d->arch &&
	    d->arch->elf_machine == EM_X86_64)
		d->incomplete = true;
}

static struct wh_err *probe_elf(struct wh_dump *d, struct elf *f, struct wh_scratch *sc)
{
	struct wh_elf_ehdr h = {0};
	uint32_t phnum = 0;

	WH_TRY(read_ehdr(d, f->st, &h));
	if (d->n_streams != 1)
		return wh_err_new(WH_ERR_USAGE, "%s: an ELF core is one file, %zu were given",
				  wh_stream_path(f->st), d->n_streams);
	WH_TRY(real_phnum(d, f->st, &h, &phnum));
	if (phnum > WH_LIMIT_SEGMENTS)
		return wh_err_bad(wh_stream_path(f->st), 56, "%u program headers", phnum);
	if (h.phentsize < wh_elf_phdr_size(d->abi))
		return wh_err_bad(wh_stream_path(f->st), d->abi.word == 8 ? 54 : 42,
				  "program headers of %u bytes, expected %zu", h.phentsize,
				  wh_elf_phdr_size(d->abi));
	d->arch = wh_arch_find(h.machine, d->abi);
	WH_TRY(read_phdrs(d, f, &h, phnum, sc));
	if (!d->n_segs)
		return wh_err_bad(
			wh_stream_path(f->st), h.phoff,
			"an ELF core without any memory: expected program headers with a PT_LOAD "
			"that is in the file");
	d->cls = classify(d);
	if (d->cls == WH_DUMP_PHYSICAL)
		WH_TRY(wh_dump_vmcoreinfo_from_notes(d));
	if (wh_dump_find_note(d, "ERASEINFO", 0, NULL))
		wh_diag_add(d->ctx->diags, WH_DIAG_NOTE, "erased", 0,
			    "makedumpfile erased data from this dump");
	set_flags(d, &h);
	WH_TRY(build_ranges(d, f));
	if (d->cls == WH_DUMP_PHYSICAL) {
		set_frames(d, f);
		count_pages(d);
	}
	return NULL;
}

static struct wh_err *elf_probe(struct wh_dump *d)
{
	struct elf *f = wh_calloc(1, sizeof(*f));
	struct wh_scratch *sc = NULL;
	struct wh_err *e;

	if (!f)
		return &wh_err_nomem;
	d->priv = f;
	d->page_size = 4096;
	d->codec = wh_codec_name(WH_CODEC_NONE);
	f->st = d->streams[0];
	e = wh_scratch_create(&sc);
	if (!e)
		e = probe_elf(d, f, sc);
	wh_scratch_destroy(sc);
	if (e)
		elf_close(d);
	return e;
}

const struct wh_dump_ops wh_fmt_elf_ops = {
	.name = "elf",
	.probe = elf_probe,
	.page_state = elf_page_state,
	.borrow = elf_borrow,
	.close = elf_close,
};
