/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Problem: since 6.11 some pointers that are set once, at boot, stand in instructions and nowhere else
 * (include/asm-generic/runtime-const.h; the tables of the futex code since 6.17).  A scan of aligned data
 * words misses them, and what they name would be reported.
 *
 *	x86_64	48|49 b8..bf  imm64	movabs $imm64, %reg
 *
 * The kernel's own list of the places lies in init memory, which was freed; so all of the text is looked at,
 * in parallel, and every such instruction whose operand lies in the direct map or in an area is a root word.
 * Only where the list's symbols say that this kernel does such things.
 */
#include "analyzer/target/linux.h"

#include <string.h>

#define UNIT_BYTES (1u << 20)
#define TEXT_MAX   (256u << 20)
#define INSN_BYTES 10

struct unit_words {
	WH_VEC(struct wh_plan_word) v;
};
struct code_scan {
	struct wh_lx *x;
	uint64_t start, end; /* VIRT */
	struct unit_words *out;
};

/* Text that was init text is somebody else's memory by now. */
static bool page_is_image(const struct wh_lx *x, uint64_t va)
{
	uint64_t pfn = (va + x->ks->image_to_phys) >> x->ks->page_shift;

	return (wh_lx_page_get(x, pfn) & WH_LXP_MASK) == WH_LXP_IMAGE;
}

static struct wh_err *operand(struct code_scan *s, size_t unit, const uint8_t *insn, uint64_t va)
{
	struct wh_plan_word w = {.kind = s->x->kind_image, .where = va + 2};

	w.value = wh_get_u64(s->x->abi, insn + 2);
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
	size_t want = UNIT_BYTES + INSN_BYTES - 1, n;
	uint8_t *buf WH_AUTO_FREE = NULL;

	if (want > s->end - va)
		want = (size_t)(s->end - va);
	buf = malloc(want);
	if (!buf)
		return &wh_err_nomem;
	n = wh_read_some(s->x->readers[worker], WH_PHYS, va + s->x->ks->image_to_phys, buf, want,
			 NULL);
	for (size_t i = 0; i + INSN_BYTES <= n; i++)
		/* the opcode, and the top of an address in the kernel's half */
		if ((buf[i + 1] & 0xf8) == 0xb8 && (buf[i] & 0xfe) == 0x48 && buf[i + 9] == 0xff)
			WH_TRY(operand(s, unit, buf + i, va + i));
	return NULL;
}

struct wh_err *wh_lx_code_roots(struct wh_lx *x)
{
	struct code_scan s = {.x = x};
	struct wh_err *e;
	uint64_t list;
	size_t units;

	if (!x->t->dump->arch || strcmp(x->t->dump->arch->name, "x86_64") != 0 ||
	    !wh_lx_symbol(x, "__start_runtime_ptr_dentry_hashtable", &list) ||
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
