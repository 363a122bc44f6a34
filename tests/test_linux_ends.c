/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the contents of a buffer end: behind a copied string that fits its size class, and behind the size
 * that was asked for, words are old and hold nothing.  Everywhere else they hold.  Where blocks end does
 * not matter.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/graph/mark.h"
#include "tests/gen/expect.h"

#define HEAP	  0x7f0000000000ull
#define HEAP_LEN  (132u << 10)
#define FILE_HEAP 4096u
#define SPLIT	  (64u << 10) /* memory is looked at in blocks of so much */
#define TARGET	  (HEAP + SPLIT + 2048)

static uint8_t *core_make(void)
{
	Elf64_Ehdr eh = {.e_type = ET_CORE,
			 .e_machine = EM_X86_64,
			 .e_version = 1,
			 .e_phoff = 64,
			 .e_ehsize = 64,
			 .e_phentsize = 56,
			 .e_phnum = 1};
	Elf64_Phdr ph = {.p_type = PT_LOAD,
			 .p_flags = PF_R | PF_W,
			 .p_offset = FILE_HEAP,
			 .p_vaddr = HEAP,
			 .p_filesz = HEAP_LEN,
			 .p_memsz = HEAP_LEN,
			 .p_align = 4096};
	uint8_t *f = calloc(1, FILE_HEAP + HEAP_LEN);

	memcpy(eh.e_ident, "\177ELF\2\1\1", 7);
	memcpy(f, &eh, sizeof(eh));
	memcpy(f + 64, &ph, sizeof(ph));
	return f;
}

struct end_case {
	const char *what, *text;
	uint64_t size; /* of the holder */
	uint64_t at;   /* where in it the pointer lies */
	uint32_t flags, asked_off, asked;
	bool holds;
};

static const struct end_case cases[] = {
	{"no rule", "a-text-of-20-letters", 32, 24, 0, 0, 0, true},
	{"behind a string of its class", "a-text-of-20-letters", 32, 24, WH_CLASS_TEXT_FIT, 0, 0,
	 false},
	{"the string would fit a smaller class", "fourteen-chars", 32, 24, WH_CLASS_TEXT_FIT, 0, 0,
	 true},
	{"three-quarter class",
	 "a-text-that-is-longer-than-sixty-four-letters-and-so-needs-96-bytes", 96, 88,
	 WH_CLASS_TEXT_FIT, 0, 0, false},
	{"a name in a struct of 96", "a-name-of-the-first-member", 96, 88, WH_CLASS_TEXT_FIT, 0, 0,
	 true},
	{"bytes that are no text", "a-text-\x01-of-20-bytes", 32, 24, WH_CLASS_TEXT_FIT, 0, 0,
	 true},
	{"text without an end", "twenty-four-letters-here", 32, 24, WH_CLASS_TEXT_FIT, 0, 0, true},
	{"inside what was asked for", "", 64, 40, 0, 128, 48, true},
	{"behind what was asked for", "", 64, 48, 0, 128, 48, false},
	{"the last word is partly asked for", "", 64, 40, 0, 128, 41, true},
	{"asked for all", "", 64, 56, 0, 128, 64, true},
	{"the note makes no sense", "", 64, 56, 0, 128, 4000, true},
	{"the note was never written", "", 64, 56, 0, 128, 0, true},
};

static void fill(uint8_t *heap, const struct end_case *c)
{
	uint64_t target = TARGET;

	memcpy(heap, c->text, strlen(c->text));
	memcpy(heap + c->at, &target, sizeof(target));
	if (c->asked_off)
		memcpy(heap + c->asked_off, &c->asked, sizeof(c->asked));
}

static void must(struct wh_err *e)
{
	char *text = e ? wh_err_text(e) : NULL;

	ck_assert_msg(!e, "%s", text ? text : "");
}

/* One holder that a root word reaches, and one buffer that only it points at. */
static enum wh_verdict judge(const struct end_case *c, uint64_t offset)
{
	uint64_t at = HEAP + offset;
	struct wh_class holder = {.name = "holder",
				  .model = "test",
				  .flags = c->flags,
				  .asked_off = c->asked_off},
			target = {.name = "target", .model = "test"};
	uint8_t *file = core_make();
	struct wh_plan plan = {0};
	struct wh_buftab *t;
	struct wh_marks *m;
	struct wh_dump *d;
	struct wh_mem *mem;
	struct wh_ctx *ctx;
	enum wh_verdict v;
	uint16_t cls, kind;

	fill(file + FILE_HEAP + offset, c);
	must(wh_ctx_create(1, &ctx));
	must(wh_dump_open_mem(ctx, file, FILE_HEAP + HEAP_LEN, &d));
	must(wh_mem_create(d, &mem));
	must(wh_buftab_create(ctx, &t));
	must(wh_buftab_add_class(t, &holder, &cls));
	must(wh_buftab_add(t, cls, at, c->size, WH_BUF_ALLOCATED));
	must(wh_buftab_add_class(t, &target, &cls));
	must(wh_buftab_add(t, cls, TARGET, 64, WH_BUF_ALLOCATED));
	must(wh_buftab_freeze(t));
	must(wh_plan_add_kind(&plan, "root", &kind));
	must(wh_plan_add_word(&plan, kind, at, 0, 0));
	must(wh_plan_add_node(&plan, WH_VIRT, HEAP, HEAP, HEAP_LEN));
	must(wh_mark_run(ctx, mem, t, &plan, &(struct wh_mark_opts){0}, &m));
	ck_assert_int_eq(wh_marks_verdict(m, wh_buftab_find(t, at)), WH_VERDICT_REACHABLE);
	v = wh_marks_verdict(m, wh_buftab_find(t, TARGET));
	wh_marks_destroy(m);
	wh_plan_fini(&plan);
	wh_buftab_destroy(t);
	wh_mem_destroy(mem);
	wh_dump_close(d);
	wh_ctx_destroy(ctx);
	free(file);
	return v;
}

START_TEST(ends)
{
	/* Whole in a block; in two, by a word, by half, but for a word; the note only in the next one. */
	static const uint64_t before[] = {0, 8, 16, 24, 40, 56, 64, 128};
	const struct end_case *c = &cases[_i];

	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		uint64_t offset = before[i] ? SPLIT - before[i] : 0;

		ck_assert_msg(judge(c, offset) ==
				      (c->holds ? WH_VERDICT_REACHABLE : WH_VERDICT_DEFINITE),
			      "%s, at 0x%llx", c->what, (unsigned long long)offset);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("linux_ends");
	TCase *c = tcase_create("ends");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(c, ends, 0, (int)(sizeof(cases) / sizeof(cases[0])));
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
