/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Problem: since 6.11 some pointers that are set once, at boot, stand in instructions and nowhere else
 * (include/asm-generic/runtime-const.h; the tables of the futex code since 6.17).  A scan of aligned data
 * words misses them, and what they name would be reported.
 *
 *	x86_64	48|49 b8..bf  imm64		movabs $imm64, %reg
 *	aarch64	movz, movk lsl #16, #32, #48	16 bits each, the same register (arch/arm64/include/asm/runtime-const.h)
 *
 * The kernel's own list of the places lies in init memory, which was freed; so all of the text is looked at,
 * in parallel, and every such instruction whose operand lies in the direct map or in an area is a root word.
 * Only where the list's symbols say that this kernel does such things, or where data have no symbols.
 */
#include "analyzer/target/linux.h"

#include <string.h>

#define UNIT_BYTES (1u << 20)
#define TEXT_MAX   (256u << 20)

/* How an architecture writes a constant of 64 bits. */
struct code_form {
	const char *arch;
	size_t bytes, step; /* of the whole sequence; between places where one may begin */
	uint64_t operand;   /* [bytes] from its start to what `explain` shows as the word */
	size_t mark_at; /* [bytes] from its start to a byte that every one has, and few other places */
	uint8_t mark;
	bool (*decode)(const uint8_t *insn, uint64_t *ret);
};

struct unit_words {
	WH_VEC(struct wh_plan_word) v;
};
struct code_scan {
	struct wh_lx *x;
	const struct code_form *form;
	uint64_t start, end; /* VIRT */
	struct unit_words *out;
};

/* The opcode, and the top of an address in the kernel's half. */
static bool movabs(const uint8_t *insn, uint64_t *ret)
{
	static const struct wh_abi le = {.word = 8};

	if ((insn[1] & 0xf8) != 0xb8 || (insn[0] & 0xfe) != 0x48 || insn[9] != 0xff)
		return false;
	*ret = wh_get_u64(le, insn + 2);
	return true;
}

/* Instructions are little-endian, whatever data are. */
static bool movz_movk(const uint8_t *insn, uint64_t *ret)
{
	static const struct wh_abi le = {.word = 8};
	uint32_t first = wh_get_u32(le, insn), reg = first & 31;
	uint64_t v = first >> 5 & 0xffff;

	if ((first & 0xffe00000) != 0xd2800000)
		return false;
	for (uint32_t i = 1; i < 4; i++) {
		uint32_t w = wh_get_u32(le, insn + 4 * i);

		if ((w & 0xffe0001f) != (0xf2800000 | i << 21 | reg))
			return false;
		v |= (uint64_t)(w >> 5 & 0xffff) << 16 * i;
	}
	*ret = v;
	return v >> 55 & 1; /* the kernel's half, whatever tag is above it */
}

static const struct code_form forms[] = {
	{"x86_64", 10, 1, 2, 9, 0xff, movabs},
	{"aarch64", 16, 4, 0, 3, 0xd2, movz_movk},
};

static const struct code_form *form_of(const char *arch)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (!strcmp(forms[i].arch, arch))
			return &forms[i];
	return NULL;
}

bool wh_lx_code_operand(const char *arch, const uint8_t *p, size_t len, uint64_t *ret)
{
	const struct code_form *f = form_of(arch);

	return f && len >= f->bytes && f->decode(p, ret);
}

/* Text that was init text is somebody else's memory by now. */
static bool page_is_image(const struct wh_lx *x, uint64_t va)
{
	uint64_t pfn = (va + x->ks->image_to_phys) >> x->ks->page_shift;

	return (wh_lx_page_get(x, pfn) & WH_LXP_MASK) == WH_LXP_IMAGE;
}

static struct wh_err *operand(struct code_scan *s, size_t unit, uint64_t value, uint64_t va)
{
	struct wh_plan_word w = {
		.kind = s->x->kind_image, .where = va, .value = wh_lx_ptr(s->x, value)};

	if (!page_is_image(s->x, va) ||
	    !(wh_lx_is_direct(s->x, w.value) || wh_lx_vmalloc_find(s->x, w.value)))
		return NULL;
	return WH_VEC_PUSH(&s->out[unit].v, w);
}

static struct wh_err *scan_unit(void *arg, unsigned int worker, size_t unit)
{
	struct code_scan *s = arg;
	uint64_t va = s->start + (uint64_t)unit * UNIT_BYTES;
	/* an instruction that begins here may end in the next unit */
	size_t bytes = s->form->bytes, want = UNIT_BYTES + bytes - 1, n;
	uint8_t *buf WH_AUTO_FREE = NULL;
	uint64_t value;

	if (want > s->end - va)
		want = (size_t)(s->end - va);
	buf = malloc(want);
	if (!buf)
		return &wh_err_nomem;
	n = wh_read_some(s->x->readers[worker], WH_PHYS, va + s->x->ks->image_to_phys, buf, want,
			 NULL);
	for (size_t at = 0; at + bytes <= n; at++) {
		const uint8_t *mark =
			memchr(buf + at + s->form->mark_at, s->form->mark, n - bytes + 1 - at);

		if (!mark)
			break;
		at = (size_t)(mark - buf) - s->form->mark_at;
		if (at % s->form->step == 0 && s->form->decode(buf + at, &value))
			WH_TRY(operand(s, unit, value, va + at + s->form->operand));
	}
	return NULL;
}

struct wh_err *wh_lx_code_roots(struct wh_lx *x)
{
	struct code_scan s = {.x = x};
	struct wh_err *e;
	uint64_t list;
	size_t units;

	s.form = x->t->dump->arch ? form_of(x->t->dump->arch->name) : NULL;
	if (!s.form ||
	    (x->names->have_data_symbols &&
	     !wh_lx_symbol(x, "__start_runtime_ptr_dentry_hashtable", &list)) ||
	    !wh_lx_symbol(x, "_stext", &s.start) || !wh_lx_symbol(x, "_etext", &s.end) ||
	    s.start < x->ks->image_start || s.end > x->ks->image_end || s.start >= s.end ||
	    s.end - s.start > TEXT_MAX)
		return NULL;
	units = (size_t)((s.end - s.start + UNIT_BYTES - 1) / UNIT_BYTES);
	s.out = wh_calloc(units, sizeof(*s.out));
	if (!s.out)
		return &wh_err_nomem;
	e = wh_workers_run(x->t->ctx, NULL, units, scan_unit, &s);
	for (size_t u = 0; u < units; u++) {
		for (size_t i = 0; i < s.out[u].v.n && !e; i++)
			e = WH_VEC_PUSH(&x->t->plan.words, s.out[u].v.v[i]);
		WH_VEC_FINI(&s.out[u].v);
	}
	free(s.out);
	return e;
}
