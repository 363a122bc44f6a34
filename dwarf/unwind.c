/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One libdwfl session holds all modules at their run-time addresses and unwinds by CFI through callbacks
 * that read registers and memory from the core.  Where it stops before the outermost frame:
 *
 *	frame pointer   [fp] = caller's fp, [fp + word] = return address; fp must rise and stay on the stack
 *	scan            one word after the other: executable, and behind something that looks like a call
 *
 * From a frame that a scan found CFI takes over again when it can: only pc and sp are known there, which is
 * enough for code that keeps its frame by sp.  A scan may name stale frames; it is labelled, and bounded.
 */
#include "dwarf/unwind.h"

#include <elf.h>
#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzer/base/limits.h"
#include "analyzer/base/order.h"
#include "dwarf/dwmod.h"
#include "dwarf/umod_priv.h"

#define SCAN_BYTES (64u << 10) /* [bytes] of stack scanned for return addresses */
#define DWARF_REGS 34	       /* more than any of our machines numbers */
#define ROUNDS_MAX 16	       /* changes from CFI to a guess and back */
#define START_MAX  64	       /* [bytes] of _start up to its call of __libc_start_main */
#define THE_TID	   1

/* DWARF register numbers, as names of wh_arch.reg_names; sp and fp among them. */
struct dwarf_regs {
	uint16_t machine;
	const char *const *names;
	unsigned int n;
	int sp, fp; /* DWARF numbers */
};

/* x86-64 psABI figure 3.36; 16 is the return address */
static const char *const x86_64_names[] = {"rax", "rdx", "rcx", "rbx", "rsi", "rdi",
					   "rbp", "rsp", "r8",	"r9",  "r10", "r11",
					   "r12", "r13", "r14", "r15", "rip"};
/* i386 psABI table 2.14 */
static const char *const i386_names[] = {"eax", "ecx", "edx", "ebx", "esp",
					 "ebp", "esi", "edi", "eip"};
/* DWARF for the Arm 64-bit Architecture, AADWARF64 */
static const char *const aarch64_names[] = {"x0",  "x1",  "x2",	 "x3",	"x4",  "x5",  "x6",  "x7",
					    "x8",  "x9",  "x10", "x11", "x12", "x13", "x14", "x15",
					    "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23",
					    "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp"};
/* DWARF for the Arm Architecture, AADWARF32 */
static const char *const arm_names[] = {"r0", "r1", "r2",  "r3", "r4", "r5", "r6", "r7",
					"r8", "r9", "r10", "fp", "ip", "sp", "lr", "pc"};

static const struct dwarf_regs dwarf_regs[] = {
	{EM_X86_64, x86_64_names, 17, 7, 6},
	{EM_386, i386_names, 9, 4, 5},
	{EM_AARCH64, aarch64_names, 32, 31, 29},
	{EM_ARM, arm_names, 16, 13, 11},
};

/* Executable memory of the core, whatever file it is of. */
struct text {
	uint64_t start, end;
};

struct wh_unwinder {
	const struct wh_unames *n;
	struct wh_reader *r;
	WH_VEC(struct text) text; /* by address */
	const struct wh_arch *arch;
	uint64_t signature;	     /* bits of a return address that may hold a signature */
	const struct dwarf_regs *dr; /* NULL: machine without CFI support here */
	Dwfl *dwfl;		     /* NULL: CFI cannot be used */
	bool attached;
	const struct wh_regs *regs; /* of the thread at hand */
};

/* Frames of one thread while they are found. */
struct collect {
	struct wh_unwinder *u;
	struct wh_uframe *v;
	size_t n, cap;
	uint64_t stack_end;
	uint64_t fp;	      /* of the last frame; valid with have_fp */
	bool resumed;	      /* the first frame that libdwfl gives is the last one here */
	bool have_fp, no_cfi; /* no_cfi: none covers the last frame's pc */
	bool ended;	      /* the chain of frame records says that there is no more */
};

const char *wh_unwind_how_name(enum wh_unwind_how h)
{
	static const char *const names[WH_UNWIND_HOW_COUNT] = {
		[WH_UNWIND_REGS] = "registers",
		[WH_UNWIND_CFI] = "cfi",
		[WH_UNWIND_FP] = "frame pointer",
		[WH_UNWIND_SCAN] = "scan",
	};

	return h < WH_UNWIND_HOW_COUNT ? names[h] : "unknown";
}

static bool reg_by_name(const struct wh_unwinder *u, const char *name, uint64_t *ret)
{
	for (uint32_t i = 0; u->arch->reg_names[i] && i < u->regs->n && i < WH_REGS_MAX; i++)
		if (!strcmp(u->arch->reg_names[i], name)) {
			*ret = u->regs->v[i];
			return true;
		}
	return false;
}

/*
 * Whether @addr can be a return address: the call before it lies in executable memory, of a module or not (code
 * made at run time; cores that do not tell what was mapped).
 */
static bool is_code(const struct wh_unwinder *u, uint64_t addr)
{
	const struct wh_umodule *m = wh_unames_find_module(u->n, --addr);
	size_t at;

	for (size_t i = 0; m && i < m->n_ranges; i++)
		if (addr >= m->ranges[i].start && addr < m->ranges[i].end)
			return (m->ranges[i].flags & PF_X) != 0;
	at = WH_BOUND(i, u->text.n, u->text.v[i].start <= addr);
	return at && addr < u->text.v[at - 1].end;
}

/*
 * AArch64's pointer authentication keeps a signature in the bits of a saved return address that its place in the
 * address space leaves free.  Which they are is told by NT_ARM_PAC_MASK {data, code} (Linux 5.0,
 * arch/arm64/include/uapi/asm/ptrace.h, struct user_pac_mask), which QEMU 7.2 leaves out: then
 * those above 48 bits, the size of a process that asked for no more.
 */
static uint64_t signature_bits(const struct wh_dump *d)
{
	const struct wh_note *n = wh_dump_find_note(d, "LINUX", NT_ARM_PAC_MASK, NULL);
	uint64_t mask = n && n->desc_len >= 16 ? wh_get_u64(d->abi, n->desc + 8) : 0;

	if (!d->arch || d->arch->elf_machine != EM_AARCH64)
		return 0;
	return mask >> 32 && !(mask & UINT32_MAX) ? mask : 0xffffull << 48;
}

/* A word from a stack or register: without its signature when that makes it code. */
static uint64_t unsigned_word(const struct wh_unwinder *u, uint64_t v)
{
	uint64_t plain = v & ~u->signature;

	return plain != v && is_code(u, plain) ? plain : v;
}

/* The same, read from the core. */
static bool read_word(const struct wh_unwinder *u, uint64_t addr, uint64_t *ret)
{
	if (!wh_read_word(u->r, addr, ret))
		return false;
	*ret = unsigned_word(u, *ret);
	return true;
}

/* ---- libdwfl ---- */

static pid_t next_thread(Dwfl *dwfl WH_UNUSED, void *arg, void **state)
{
	if (*state)
		return 0;
	*state = arg;
	return THE_TID;
}

static bool memory_read(Dwfl *dwfl WH_UNUSED, Dwarf_Addr addr, Dwarf_Word *ret, void *arg)
{
	struct wh_unwinder *u = arg;
	uint64_t v = 0;

	if (!read_word(u, addr, &v))
		return false;
	*ret = v;
	return true;
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
	struct wh_unwinder *u = arg;

	for (unsigned int i = 0; i < u->dr->n && i < DWARF_REGS; i++) {
		uint64_t v = 0;
		Dwarf_Word w;

		if (!reg_by_name(u, u->dr->names[i], &v))
			continue;
		w = unsigned_word(u, v);
		if (!dwfl_thread_state_registers(thread, (int)i, 1, &w))
			return false;
	}
	if (u->arch->reg_pc >= 0)
		dwfl_thread_state_register_pc(thread, u->regs->v[u->arch->reg_pc]);
	return true;
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
	.next_thread = next_thread,
	.memory_read = memory_read,
	.set_initial_registers = set_registers,
};

/* Whether CFI covers @pc: else libdwfl falls back on the frame pointer, without saying so. */
static bool has_cfi(const struct wh_unwinder *u, uint64_t pc)
{
	Dwfl_Module *mod = dwfl_addrmodule(u->dwfl, pc);
	Dwarf_Addr bias = 0;
	Dwarf_Frame *frame = NULL;
	Dwarf_CFI *cfi;

	if (!mod)
		return false;
	/* .debug_frame means loading the debug file: only when .eh_frame has nothing. */
	cfi = dwfl_module_eh_cfi(mod, &bias);
	if (!cfi || dwarf_cfi_addrframe(cfi, pc - bias, &frame) != 0) {
		cfi = dwfl_module_dwarf_cfi(mod, &bias);
		if (!cfi || dwarf_cfi_addrframe(cfi, pc - bias, &frame) != 0)
			return false;
	}
	free(frame);
	return true;
}

static int on_frame(Dwfl_Frame *frame, void *arg)
{
	struct collect *c = arg;
	struct wh_uframe f = {.how = WH_UNWIND_REGS};
	Dwarf_Addr pc = 0;
	Dwarf_Word w = 0;
	bool activation = false;

	if (!dwfl_frame_pc(frame, &pc, &activation) || !pc || c->n == c->cap)
		return DWARF_CB_ABORT;
	/* Found by libdwfl's own trust in the frame pointer: walk_fp checks what it follows. */
	if (c->no_cfi && !c->resumed)
		return DWARF_CB_ABORT;
	if (c->resumed) {
		c->resumed = false;
		c->no_cfi = !has_cfi(c->u, pc);
		return c->no_cfi ? DWARF_CB_ABORT : DWARF_CB_OK;
	}
	f.pc = pc;
	f.signal = activation && c->n;
	if (c->n)
		f.how = WH_UNWIND_CFI;
	if (dwfl_frame_reg(frame, (unsigned int)c->u->dr->sp, &w) == 0)
		f.sp = w;
	/* A stack that does not grow towards its end is damage, or a loop. */
	if (c->n && f.sp && c->v[c->n - 1].sp && !f.signal && f.sp < c->v[c->n - 1].sp &&
	    !c->v[c->n - 1].signal)
		return DWARF_CB_ABORT;
	c->v[c->n++] = f;
	c->have_fp = dwfl_frame_reg(frame, (unsigned int)c->u->dr->fp, &w) == 0;
	c->fp = w;
	c->no_cfi = !has_cfi(c->u, activation ? pc : pc - 1);
	return DWARF_CB_OK;
}

/* The file of a module, else what memory has of it. */
static const char *module_path(struct wh_unwinder *u, struct wh_umod *m)
{
	struct wh_un_priv *p = u->n->priv;
	const char *path = m->m.file;
	struct wh_err *e;

	if (path)
		return path;
	if (m->image_fd < 0) {
		e = wh_umod_image(p, m, &m->image);
		wh_err_destroy(e); /* then this module's frames are guessed */
	}
	return m->image_fd >= 0 ? m->image : NULL;
}

static void report_modules(struct wh_unwinder *u)
{
	const struct wh_un_priv *p = u->n->priv;

	dwfl_report_begin(u->dwfl);
	for (size_t i = 0; i < p->mods.n; i++) {
		struct wh_umod *m = &p->mods.v[i];
		const char *path = module_path(u, m);
		Dwfl_Module *mod;

		if (!path)
			continue;
		mod = dwfl_report_elf(u->dwfl, m->m.name, path, -1, m->m.bias, true);
		if (mod) /* else it overlaps another, or is no ELF file: unwound without it */
			wh_dwfl_set_debug_file(mod, m->m.debug_file);
	}
	dwfl_report_end(u->dwfl, NULL, NULL);
}

static int text_cmp(const void *a, const void *b)
{
	const struct text *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static struct wh_err *find_text(struct wh_unwinder *u)
{
	const struct wh_dump *d = u->n->dump;

	for (size_t i = 0; i < d->n_segs; i++) {
		struct text t = {.start = d->segs[i].vaddr};

		if ((d->segs[i].flags & PF_X) &&
		    !__builtin_add_overflow(t.start, d->segs[i].memsz, &t.end))
			WH_TRY(WH_VEC_PUSH(&u->text, t));
	}
	if (u->text.n)
		qsort(u->text.v, u->text.n, sizeof(*u->text.v), text_cmp);
	return NULL;
}

struct wh_err *wh_unwinder_create(const struct wh_unames *n, struct wh_reader *r,
				  struct wh_unwinder **ret)
{
	struct wh_unwinder *u = calloc(1, sizeof(*u));
	struct wh_err *e;

	if (!u)
		return &wh_err_nomem;
	u->n = n;
	u->r = r;
	e = find_text(u);
	if (e) {
		wh_unwinder_destroy(u);
		return e;
	}
	u->arch = n->dump->arch;
	u->signature = signature_bits(n->dump);
	for (size_t i = 0; u->arch && i < sizeof(dwarf_regs) / sizeof(dwarf_regs[0]); i++)
		if (dwarf_regs[i].machine == u->arch->elf_machine)
			u->dr = &dwarf_regs[i];
	if (u->dr)
		u->dwfl = dwfl_begin(&wh_dwfl_callbacks);
	if (u->dwfl) {
		report_modules(u);
		u->attached = dwfl_attach_state(u->dwfl, NULL, THE_TID, &thread_callbacks, u);
	}
	*ret = u;
	return NULL;
}

void wh_unwinder_destroy(struct wh_unwinder *u)
{
	if (!u)
		return;
	if (u->dwfl)
		dwfl_end(u->dwfl);
	WH_VEC_FINI(&u->text);
	free(u);
}

/* ---- without CFI ---- */

/* Whether a call could end right before @addr.  Unreadable text counts: nothing speaks against it. */
static bool after_call(const struct wh_unwinder *u, uint64_t addr)
{
	uint8_t b[7];

	if (addr < sizeof(b) ||
	    wh_read_some(u->r, WH_VIRT, addr - sizeof(b), b, sizeof(b), NULL) != sizeof(b))
		return true;
	switch (u->arch->elf_machine) {
	case EM_386:
	case EM_X86_64:
		if (b[2] == 0xe8) /* call rel32 */
			return true;
		for (int len = 2; len <= 7; len++) /* call r/m: ff /2, with its length of operand */
			if (b[7 - len] == 0xff && (b[8 - len] & 0x38) == 0x10)
				return true;
		return false;
	case EM_AARCH64: /* bl imm26; blr xn (also with pointer authentication) */
		return (b[6] & 0xfc) == 0x94 || (b[6] == 0xd6 && (b[5] & 0xe0) == 0x20) ||
		       (b[6] == 0xd7 && (b[5] & 0xe0) == 0x20);
	default: return true;
	}
}

static bool push(struct collect *c, uint64_t pc, uint64_t sp, enum wh_unwind_how how)
{
	if (c->n == c->cap)
		return false;
	c->v[c->n++] = (struct wh_uframe){.pc = pc, .sp = sp, .how = how};
	return true;
}

/* Follows saved frame pointers from c->fp; true when at least one frame was found. */
static bool walk_fp(struct collect *c)
{
	uint64_t low = c->v[c->n - 1].sp, fp = c->fp, word = c->u->n->dump->abi.word;
	size_t before = c->n;

	/* 32-bit ARM has no common convention for frame pointers. */
	if (!c->have_fp || c->u->arch->elf_machine == EM_ARM)
		return false;
	/* the frame record may lie at sp, the next ones above it */
	for (low -= low != 0; fp > low && fp < c->stack_end && !(fp & (word - 1));) {
		uint64_t next = 0, pc = 0;

		if (!wh_read_word(c->u->r, fp, &next) || !read_word(c->u, fp + word, &pc) ||
		    !is_code(c->u, pc) || !after_call(c->u, pc) ||
		    !push(c, pc, fp + 2 * word, WH_UNWIND_FP))
			break;
		low = fp;
		fp = next;
	}
	/* AAPCS64: the last frame record names none; all code of Linux on AArch64 keeps such records */
	c->ended = !fp && c->u->arch->elf_machine == EM_AARCH64;
	c->have_fp = false;
	return c->n > before;
}

/* The next word up the stack that can be a return address becomes a frame. */
static bool walk_scan(struct collect *c)
{
	uint64_t word = c->u->n->dump->abi.word;
	uint64_t at = (c->v[c->n - 1].sp + word - 1) & ~(word - 1);

	for (uint64_t end = at + SCAN_BYTES; at < end && at < c->stack_end; at += word) {
		uint64_t pc = 0;

		if (!read_word(c->u, at, &pc))
			break;
		if (is_code(c->u, pc) && after_call(c->u, pc))
			return push(c, pc, at + word, WH_UNWIND_SCAN);
	}
	return false;
}

/* CFI from the last frame on, of which only pc and sp are known; true when it reaches the outermost. */
static bool resume_cfi(struct collect *c)
{
	struct wh_unwinder *u = c->u;
	uint64_t pc = c->v[c->n - 1].pc - 1; /* inside the call, for the row that holds there */
	struct wh_regs known = {.n = u->regs->n};
	const struct wh_regs *all = u->regs;
	bool whole;

	if (!u->attached || !has_cfi(u, pc))
		return false;
	known.v[u->arch->reg_pc] = pc;
	known.v[u->arch->reg_sp] = c->v[c->n - 1].sp;
	c->resumed = true;
	u->regs = &known;
	whole = dwfl_getthread_frames(u->dwfl, THE_TID, on_frame, c) == 0;
	u->regs = all;
	c->resumed = false;
	return whole;
}

/* True when the last frame is where threads begin: nothing above it is missing. */
static bool at_bottom(const struct collect *c)
{
	static const char *const starts[] = {
		"_start", "__libc_start_main", "clone",	       "__clone3",
		"clone3", "__clone",	       "start_thread", "_dl_start_user"};
	const struct wh_umodule *main = c->u->n->main;
	uint64_t pc = c->v[c->n - 1].pc;
	struct wh_sym s;

	/* _start, which a stripped program has no name for */
	if (main && main->entry && pc - main->entry <= START_MAX)
		return true;
	if (!wh_symtab_find_addr(c->u->n->syms, pc ? pc - 1 : 0, &s, NULL))
		return false;
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (!strcmp(s.name, starts[i]))
			return true;
	return false;
}

size_t wh_unwind_thread(struct wh_unwinder *u, const struct wh_regs *regs, uint64_t stack_end,
			struct wh_uframe *ret, size_t cap)
{
	struct collect c = {.u = u, .v = ret, .cap = cap, .stack_end = stack_end};
	bool whole = false;

	if (!cap || !u->arch || u->arch->reg_pc < 0 || u->arch->reg_sp < 0 ||
	    regs->n <= (uint32_t)u->arch->reg_pc || regs->n <= (uint32_t)u->arch->reg_sp)
		return 0;
	u->regs = regs;
	if (c.cap > WH_LIMIT_STACK_DEPTH)
		c.cap = WH_LIMIT_STACK_DEPTH;
	if (u->attached)
		whole = dwfl_getthread_frames(u->dwfl, THE_TID, on_frame, &c) == 0;
	if (!c.n) {
		if (!regs->v[u->arch->reg_pc])
			return 0;
		(void)push(&c, regs->v[u->arch->reg_pc], regs->v[u->arch->reg_sp], WH_UNWIND_REGS);
		c.have_fp = u->dr && reg_by_name(u, u->dr->names[u->dr->fp], &c.fp);
	}
	for (int round = 0; !whole && !c.ended && round < ROUNDS_MAX && !at_bottom(&c); round++) {
		size_t before = c.n;

		if (walk_fp(&c))
			continue;
		if (!walk_scan(&c))
			break;
		c.have_fp = false;
		whole = resume_cfi(&c);
		if (c.n == before)
			break;
	}
	return c.n;
}
