/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A child of this very program is stopped in a known chain of calls and turned into a core, with and without
 * its text; then everything that names and unwinds is asked about it.  Parent and child share addresses, so
 * the answers are known exactly.  Skipped where one process may not trace another.
 */
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dwarf/dwarf_types.h"
#include "dwarf/unwind.h"
#include "tests/gen/expect.h"
#include "tests/gen/gen.h"

#define MAPS	 512
#define MAP_READ (8u << 20) /* [bytes] of one mapping taken into the core */

struct live_inner {
	unsigned int low : 3, high : 5;
	int count;
};
struct live_node {
	struct live_node *next;
	union {
		long number;
		double real;
	};
	struct live_inner inner;
	char name[12];
	enum live_color { LIVE_RED = -1, LIVE_GREEN = 7 } color;
};
static struct live_node live_global = {.number = 5, .color = LIVE_GREEN};
static __thread volatile struct live_node live_local;

#ifdef __clang__
#define KEEP __attribute__((noinline, used))
#else
#define KEEP __attribute__((noinline, noclone, used))
#endif
void live_c(int *sum);
void live_b(int *sum);
void live_a(int *sum);

KEEP void live_c(int *sum)
{
	if (raise(SIGSTOP) == 0)
		*sum += (int)live_global.color + (int)live_local.color;
	__asm__ volatile("" ::: "memory");
}

KEEP void live_b(int *sum)
{
	live_c(sum);
	*sum += 2;
	__asm__ volatile("" ::: "memory");
}

KEEP void live_a(int *sum)
{
	live_b(sum);
	*sum += 3;
	__asm__ volatile("" ::: "memory");
}

/* The core and what was opened on it. */
struct world {
	struct gen_bytes core;
	struct wh_ctx *ctx;
	struct wh_dump *dump;
	struct wh_mem *mem;
	struct wh_unames *names;
	struct wh_reader *reader;
};

struct map {
	uint64_t start, end, off;
	char perms[8], path[256];
};

static size_t read_maps(pid_t pid, struct map *v)
{
	char path[64], line[512];
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	f = fopen(path, "r");
	ck_assert(f);
	while (n < MAPS && fgets(line, sizeof(line), f)) {
		unsigned long long a, b, o;

		v[n].path[0] = '\0';
		if (sscanf(line, "%llx-%llx %7s %llx %*s %*s %255s", &a, &b, v[n].perms, &o,
			   v[n].path) < 4)
			continue;
		v[n].start = a;
		v[n].end = b;
		v[n++].off = o;
	}
	fclose(f);
	return n;
}

static void add_nt_file(struct gen_bytes *notes, struct wh_abi abi, const struct map *v, size_t n)
{
	struct gen_bytes d = {0};
	size_t count = 0, at = 16;

	for (size_t i = 0; i < n; i++)
		count += v[i].path[0] == '/';
	gen_put_uint(&d, abi, 0, 8, count);
	gen_put_uint(&d, abi, 8, 8, 4096);
	for (size_t i = 0; i < n; i++) {
		if (v[i].path[0] != '/')
			continue;
		gen_put_uint(&d, abi, at, 8, v[i].start);
		gen_put_uint(&d, abi, at + 8, 8, v[i].end);
		gen_put_uint(&d, abi, at + 16, 8, v[i].off / 4096);
		at += 24;
	}
	for (size_t i = 0; i < n; i++)
		if (v[i].path[0] == '/')
			gen_append(&d, v[i].path, strlen(v[i].path) + 1);
	gen_note(notes, abi, "CORE", 0x46494c45, d.p, d.n);
	gen_fini(&d);
}

static void add_regs(struct gen_bytes *notes, const struct wh_arch *arch, pid_t pid)
{
	uint8_t desc[512] = {0};
	struct iovec iov = {.iov_base = desc + arch->prstatus_regs,
			    .iov_len = sizeof(desc) - arch->prstatus_regs};

	ck_assert_int_eq((int)ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &iov), 0);
	gen_note(notes, arch->abi, "CORE", NT_PRSTATUS, desc, sizeof(desc));
}

static void add_auxv(struct gen_bytes *notes, struct wh_abi abi, pid_t pid)
{
	char path[64];
	uint8_t buf[1024];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/auxv", (int)pid);
	fd = open(path, O_RDONLY);
	n = read(fd, buf, sizeof(buf));
	close(fd);
	ck_assert(n > 0);
	gen_note(notes, abi, "CORE", NT_AUXV, buf, (size_t)n);
}

/* As the kernel does by default: of clean file text only the first page. */
static void write_core(struct gen_bytes *out, const struct wh_arch *arch, pid_t pid, bool with_text)
{
	static struct map maps[MAPS];
	static struct gen_segment segs[MAPS];
	struct gen_elf o = {.abi = arch->abi, .machine = arch->elf_machine, .segs = segs};
	size_t n = read_maps(pid, maps);
	struct gen_bytes notes = {0};
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = open(path, O_RDONLY);
	ck_assert(fd >= 0);
	for (size_t i = 0; i < n; i++) {
		struct gen_segment *s = &segs[o.n_segs];
		uint64_t len = maps[i].end - maps[i].start;
		/* What the linker made read-only after writing it (relro) is dirty: it stays. */
		bool relro = i + 1 < n && maps[i + 1].perms[1] == 'w' &&
			     !strcmp(maps[i].path, maps[i + 1].path);
		bool clean = maps[i].path[0] == '/' && maps[i].perms[1] != 'w' && !relro;
		uint8_t *data;
		ssize_t got;

		if (maps[i].perms[0] != 'r' || !strcmp(maps[i].path, "[vvar]"))
			continue;
		*s = (struct gen_segment){.vaddr = maps[i].start, .memsz = len};
		s->flags = PF_R | (maps[i].perms[1] == 'w' ? PF_W : 0) |
			   (maps[i].perms[2] == 'x' ? PF_X : 0);
		if (clean && !with_text)
			len = maps[i].off ? 0 : 4096;
		if (len > MAP_READ)
			continue;
		data = malloc(len + 1);
		ck_assert(data);
		got = pread(fd, data, len, (off_t)maps[i].start);
		s->filesz = got > 0 ? (uint64_t)got : 0;
		s->data = data;
		o.n_segs++;
	}
	close(fd);
	add_regs(&notes, arch, pid);
	add_auxv(&notes, arch->abi, pid);
	add_nt_file(&notes, arch->abi, maps, n);
	o.notes = &notes;
	gen_elf(&o, out);
	for (size_t i = 0; i < o.n_segs; i++)
		free((void *)(uintptr_t)segs[i].data);
	gen_fini(&notes);
}

static bool stopped_child(pid_t *ret)
{
	pid_t pid = fork();
	int status = 0, sum = 0;

	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(77);
		live_a(&sum);
		_exit(sum == 12 ? 0 : 1);
	}
	*ret = pid;
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFSTOPPED(status);
}

static void open_world(struct world *w, bool with_text, bool no_files)
{
	struct wh_unames_opts opts = {.no_files = no_files};
	const struct wh_arch *arch;
	struct utsname un;
	pid_t pid;

	memset(w, 0, sizeof(*w));
	uname(&un);
	arch = wh_arch_find_name(un.machine);
	ck_assert(arch);
	ck_assert(stopped_child(&pid));
	write_core(&w->core, arch, pid, with_text);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ck_assert(!wh_ctx_create(1, &w->ctx));
	ck_assert(!wh_dump_open_mem(w->ctx, w->core.p, w->core.n, &w->dump));
	ck_assert(!wh_mem_create(w->dump, &w->mem));
	ck_assert(!wh_unames_open(w->mem, &opts, &w->names));
	ck_assert(!wh_reader_create(w->mem, &w->reader));
}

static void close_world(struct world *w)
{
	wh_reader_destroy(w->reader);
	wh_unames_close(w->names);
	wh_mem_destroy(w->mem);
	wh_dump_close(w->dump);
	wh_ctx_destroy(w->ctx);
	gen_fini(&w->core);
}

static size_t unwind(struct world *w, struct wh_uframe *f, size_t cap)
{
	const struct wh_note *n = wh_dump_find_note(w->dump, "CORE", NT_PRSTATUS, NULL);
	struct wh_unwinder *u;
	struct wh_regs regs;
	uint64_t sp, end = 0;
	uint32_t pid;
	size_t k;

	ck_assert(n);
	ck_assert(!wh_arch_prstatus(w->dump->arch, n->desc, n->desc_len, &pid, &regs));
	sp = regs.v[w->dump->arch->reg_sp];
	for (size_t i = 0; i < w->dump->n_segs; i++)
		if (sp - w->dump->segs[i].vaddr < w->dump->segs[i].memsz)
			end = w->dump->segs[i].vaddr + w->dump->segs[i].memsz;
	ck_assert_uint_gt(end, sp);
	ck_assert(!wh_unwinder_create(w->names, w->reader, &u));
	k = wh_unwind_thread(u, &regs, end, f, cap);
	wh_unwinder_destroy(u);
	return k;
}

/* Index of the frame whose call lies in @fn, i.e. the last of the three to start below it; -1 none. */
static int frame_in(const struct wh_uframe *f, size_t n, void (*fn)(int *))
{
	void (*const live[])(int *) = {live_a, live_b, live_c};
	uint64_t lo = (uint64_t)(uintptr_t)fn, end = lo + 400;

	for (size_t i = 0; i < sizeof(live) / sizeof(live[0]); i++) {
		uint64_t start = (uint64_t)(uintptr_t)live[i];

		if (start > lo && start < end)
			end = start;
	}
	for (size_t i = 0; i < n; i++)
		if (f[i].pc > lo && f[i].pc <= end)
			return (int)i;
	return -1;
}

static const struct wh_umodule *module_named(const struct wh_unames *n, const char *prefix)
{
	for (size_t i = 0; i < n->n_modules; i++)
		if (!strncmp(n->modules[i].name, prefix, strlen(prefix)))
			return &n->modules[i];
	return NULL;
}

START_TEST(modules_and_symbols)
{
	const struct wh_umodule *libc;
	struct world w;
	uint64_t addr = 0;
	struct wh_sym s;

	open_world(&w, false, false);
	ck_assert(w.names->main);
	ck_assert(strstr(w.names->main->name, "test_debuginfo"));
	ck_assert_msg(w.names->main->file_state == WH_UFILE_FOUND ||
			      w.names->main->file_state == WH_UFILE_UNVERIFIED,
		      "state %d", w.names->main->file_state);
	ck_assert(wh_unames_find(w.names, w.names->main, "live_b", &addr));
	ck_assert_uint_eq(addr, (uint64_t)(uintptr_t)live_b);
	ck_assert(wh_symtab_find_addr(w.names->syms, addr + 1, &s, NULL));
	ck_assert_str_eq(s.name, "live_b");
	ck_assert_ptr_eq(wh_unames_find_module(w.names, w.names->main->entry), w.names->main);
	libc = module_named(w.names, "libc.so");
	ck_assert(libc);
	ck_assert(wh_unames_find(w.names, libc, "raise", &addr));
	ck_assert_ptr_eq(wh_unames_find_module(w.names, addr), libc);
	ck_assert(w.names->r_debug);
	ck_assert(libc->link_map && w.names->main->link_map);
	for (size_t i = 1; i < w.names->n_modules; i++)
		ck_assert_uint_le(w.names->modules[i - 1].base, w.names->modules[i].base);
	ck_assert(module_named(w.names, "[vdso]"));
	close_world(&w);
}
END_TEST

/* Text left out of the core comes from the file, and says so. */
START_TEST(text_from_files)
{
	const uint8_t *p;
	enum wh_mem_state st = WH_MEM_UNMAPPED;
	struct world w;
	size_t n = 0;

	open_world(&w, false, false);
	if (w.names->main->file_state == WH_UFILE_FOUND) {
		p = wh_reader_borrow(w.reader, WH_VIRT, (uint64_t)(uintptr_t)live_b, 16, &n, &st);
		ck_assert(p && n);
		ck_assert(!memcmp(p, (const void *)(uintptr_t)live_b, n));
	}
	close_world(&w);
	open_world(&w, false, true);
	ck_assert(!wh_reader_borrow(w.reader, WH_VIRT, (uint64_t)(uintptr_t)live_b, 16, &n, &st));
	close_world(&w);
}
END_TEST

static void expect_chain(const struct wh_uframe *f, size_t n)
{
	int c = frame_in(f, n, live_c), b = frame_in(f, n, live_b), a = frame_in(f, n, live_a);

	ck_assert_int_gt(c, 0);
	ck_assert_int_gt(b, c);
	ck_assert_int_gt(a, b);
	ck_assert_int_eq((int)f[0].how, WH_UNWIND_REGS);
}

/* With files: CFI all the way. */
START_TEST(unwinds_with_files)
{
	struct wh_uframe f[64];
	struct world w;
	size_t n;

	open_world(&w, false, false);
	n = unwind(&w, f, 64);
	expect_chain(f, n);
	ck_assert_int_eq(frame_in(f, n, live_b), frame_in(f, n, live_c) + 1);
	for (size_t i = 1; i < n; i++) {
		ck_assert_msg(f[i].how == WH_UNWIND_CFI, "frame %zu: %s", i,
			      wh_unwind_how_name(f[i].how));
		ck_assert_uint_ge(f[i].sp, f[i - 1].sp);
	}
	ck_assert_uint_eq(unwind(&w, f, 3), 3);
	close_world(&w);
}
END_TEST

/* No file at all, but the text in the core: the ELF images are put together again. */
START_TEST(unwinds_from_memory)
{
	struct wh_uframe f[64];
	struct world w;
	size_t n;

	open_world(&w, true, true);
	n = unwind(&w, f, 64);
	expect_chain(f, n);
	ck_assert_int_eq((int)f[frame_in(f, n, live_a)].how, WH_UNWIND_CFI);
	close_world(&w);
}
END_TEST

/*
 * Neither: guesses, which call themselves so.  Where code keeps frame pointers (sanitizers) but libc does not, the
 * chain of frame pointers starts at live_c's caller: live_c itself may be missing.
 */
START_TEST(unwinds_by_guessing)
{
	struct wh_uframe f[64];
	struct world w;
	size_t n;
	int a, b;

	open_world(&w, false, true);
	n = unwind(&w, f, 64);
	b = frame_in(f, n, live_b);
	a = frame_in(f, n, live_a);
	ck_assert_int_gt(b, 0);
	ck_assert_int_gt(a, b);
	ck_assert_int_ne((int)f[a].how, WH_UNWIND_CFI);
	close_world(&w);
}
END_TEST

START_TEST(lines)
{
	uint64_t addr = (uint64_t)(uintptr_t)live_b + 4;
	struct wh_line l[4];
	struct world w;
	size_t n;

	open_world(&w, false, false);
	if (w.names->main->have_types) { /* built with -g */
		n = wh_unames_lines(w.names, addr, l, 4);
		ck_assert_uint_ge(n, 1);
		ck_assert_str_eq(l[0].function, "live_b");
		ck_assert(l[0].file && strstr(l[0].file, "test_debuginfo.c"));
		ck_assert_uint_gt(l[0].line, 0);
	}
	ck_assert_uint_eq(wh_unames_lines(w.names, 16, l, 4), 0);
	close_world(&w);
}
END_TEST

static struct wh_err *find_global(void *arg, const struct wh_uvar *v)
{
	struct wh_uvar *ret = arg;

	if (!strcmp(v->name, "live_global"))
		ret[0] = *v;
	if (!strcmp(v->name, "live_local"))
		ret[1] = *v;
	return NULL;
}

static void expect_member(struct wh_type t, const char *path, uint64_t off, uint64_t size)
{
	struct wh_member m;

	ck_assert_msg(wh_type_find_member(t, path, &m), "%s", path);
	ck_assert_uint_eq(m.offset, off);
	ck_assert_uint_eq(m.size, size);
}

START_TEST(types_of_variables)
{
	struct wh_uvar vars[2] = {0}, v;
	struct wh_member m;
	struct wh_type ty;
	struct world w;
	int64_t e = 0;

	open_world(&w, false, false);
	ck_assert(!wh_unames_each_variable(w.names, w.names->main, find_global, vars));
	v = vars[0];
	if (w.names->main->have_types) {
		ck_assert(vars[1].name && vars[1].tls);
		ck_assert_uint_lt(vars[1].addr, w.names->main->tls_size);
		ck_assert_uint_eq(w.names->main->tls_index, 1);
		expect_member(vars[1].type, "next", offsetof(struct live_node, next),
			      sizeof(void *));
		ck_assert(v.name);
		ck_assert_uint_eq(v.addr, (uint64_t)(uintptr_t)&live_global);
		ck_assert_ptr_eq(v.module, w.names->main);
		expect_member(v.type, "next", offsetof(struct live_node, next), sizeof(void *));
		expect_member(v.type, "real", offsetof(struct live_node, real), sizeof(double));
		expect_member(v.type, "inner.count", offsetof(struct live_node, inner.count), 4);
		expect_member(v.type, "name", offsetof(struct live_node, name), 12);
		ck_assert(wh_type_find_member(v.type, "inner.high", &m));
		ck_assert_uint_eq(m.offset * 8 + m.bit_off,
				  offsetof(struct live_node, inner) * 8 + 3);
		ck_assert_uint_eq(m.bit_size, 5);
		ck_assert(wh_types_find(w.names->types, "live_node", "color", &ty));
		ck_assert(wh_types_enumerator(w.names->types, "live_color", "LIVE_RED", &e));
		ck_assert_int_eq(e, -1);
	}
	ck_assert(!wh_types_find(w.names->types, "live_nosuch", NULL, &ty));
	close_world(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("debuginfo");
	TCase *c = tcase_create("debuginfo");
	SRunner *r = srunner_create(s);
	bool traced;
	int failed;
	pid_t pid;

	traced = stopped_child(&pid);
	if (traced) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	if (traced) {
		tcase_add_test(c, modules_and_symbols);
		tcase_add_test(c, text_from_files);
		tcase_add_test(c, unwinds_with_files);
		tcase_add_test(c, unwinds_from_memory);
		/* A sanitizer's redzones keep old return addresses, which guessing takes for frames. */
		tcase_add_test(c, unwinds_by_guessing);
		tcase_add_test(c, lines);
		tcase_add_test(c, types_of_variables);
	}
	tcase_set_timeout(c, EXPECT_HANG);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	if (failed)
		return EXIT_FAILURE;
	return traced ? EXIT_SUCCESS : 77;
}
