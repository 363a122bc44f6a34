/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/target/linux.h"

#include <string.h>

#include "analyzer/base/limits.h"
#include "analyzer/base/strbuf.h"

static uint64_t field_value(struct wh_abi abi, const uint8_t *p, size_t n, const struct wh_field *f)
{
	uint64_t v = wh_get_uint(abi, p, n);

	if (!f->bit_size)
		return v;
	if (!abi.big_endian)
		v >>= f->bit_off;
	else
		v >>= n * 8 - f->bit_off - f->bit_size;
	return f->bit_size >= 64 ? v : v & ((1ull << f->bit_size) - 1);
}

/* How many bytes to fetch for a field: its storage, or enough of it for a bit-field. */
static size_t field_bytes(const struct wh_field *f)
{
	size_t n = f->bit_size ? (f->bit_off + f->bit_size + 7) / 8 : (size_t)f->size;

	for (size_t k = 1; k <= 8; k *= 2)
		if (n <= k)
			return k;
	return 8;
}

bool wh_lx_field(struct wh_lx *x, uint64_t base, const struct wh_field *f, uint64_t *ret)
{
	uint8_t buf[8];
	size_t n = field_bytes(f);

	if (!f->found || wh_read_some(x->r, WH_VIRT, base + f->offset, buf, n, NULL) != n)
		return false;
	*ret = field_value(x->abi, buf, n, f);
	return true;
}

bool wh_lx_field_buf(const struct wh_lx *x, const uint8_t *buf, size_t len,
		     const struct wh_field *f, uint64_t *ret)
{
	size_t n = field_bytes(f);

	if (!f->found || f->offset > len || len - f->offset < n)
		return false;
	*ret = field_value(x->abi, buf + f->offset, n, f);
	return true;
}

bool wh_lx_offset(const struct wh_lx *x, const char *type, const char *member, uint64_t *ret)
{
	return wh_types_offset(x->names->types, type, member, ret);
}

bool wh_lx_symbol(const struct wh_lx *x, const char *name, uint64_t *ret)
{
	uint64_t off;

	if (wh_knames_find(x->names, name, ret))
		return true;
	for (size_t i = 0; i < x->found.n; i++)
		if (!strcmp(x->found.v[i].name, name)) {
			*ret = x->found.v[i].addr;
			return true;
		}
	if (!x->percpu_named || !wh_types_percpu(x->names->types, name, &off))
		return false;
	*ret = x->pcpu_start + off;
	return true;
}

bool wh_lx_var(struct wh_lx *x, const char *name, uint64_t *ret)
{
	uint64_t addr;

	return wh_lx_symbol(x, name, &addr) && wh_read_word(x->r, addr, ret);
}

bool wh_lx_flag(struct wh_lx *x, const char *name)
{
	uint64_t addr;
	uint8_t v;

	return wh_lx_symbol(x, name, &addr) &&
	       wh_read_some(x->r, WH_VIRT, addr, &v, 1, NULL) == 1 && v;
}

bool wh_lx_is_direct(const struct wh_lx *x, uint64_t va)
{
	return va >= x->ks->direct_start && va < x->ks->direct_end && !(va & 7);
}

bool wh_lx_page_to_pfn(const struct wh_lx *x, uint64_t page, uint64_t *ret_pfn)
{
	uint64_t off = page - x->ks->vmemmap, pfn = off / x->lay.page_size_of;

	if (!x->ks->vmemmap || off % x->lay.page_size_of || pfn >= x->ks->dump->max_pfn)
		return false;
	*ret_pfn = pfn;
	return true;
}

const char *wh_lx_symname(struct wh_lx *x, struct wh_arena *a, uint64_t addr)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;
	struct wh_sym sym;
	uint64_t off;
	char *s;

	if (!wh_symtab_find_addr(x->names->syms, addr, &sym, &off))
		return NULL;
	wh_strbuf_puts(&sb, sym.name);
	if (off)
		wh_strbuf_printf(&sb, "+0x%llx", (unsigned long long)off);
	if (sym.module)
		wh_strbuf_printf(&sb, " [%s]", sym.module);
	s = wh_arena_strdup(a, wh_strbuf_str(&sb));
	wh_strbuf_fini(&sb);
	return s;
}

struct wh_err *wh_lx_list(struct wh_lx *x, uint64_t head, const char *id, wh_lx_list_fn fn,
			  void *arg)
{
	struct wh_map seen = WH_MAP_INIT;
	struct wh_err *e = NULL;
	uint64_t node, next;
	bool fresh;

	if (!wh_read_word(x->r, head, &node))
		return NULL;
	for (size_t steps = 0; !e && (node = wh_lx_ptr(x, node)) != head; steps++) {
		/* An unreadable node is not handed out: its neighbour may be, its members are not. */
		if (steps >= WH_LIMIT_LIST_STEPS || !wh_read_word(x->r, node, &next)) {
			wh_diag_add(x->t->ctx->diags, WH_DIAG_WARN, id, node,
				    "the list at 0x%llx breaks off after %zu entries",
				    (unsigned long long)head, steps);
			break;
		}
		e = wh_map_set(&seen, node, 1, &fresh);
		if (!e && !fresh) {
			wh_diag_add(x->t->ctx->diags, WH_DIAG_WARN, id, node,
				    "the list at 0x%llx runs in a circle after %zu entries",
				    (unsigned long long)head, steps);
			break;
		}
		if (!e)
			e = fn(arg, node);
		node = next;
	}
	wh_map_fini(&seen);
	return e;
}

struct wh_err *wh_lx_root(struct wh_lx *x, uint16_t kind, uint64_t from, uint64_t end)
{
	while (from < end) {
		uint64_t pa, n = x->page_bytes - (from & (x->page_bytes - 1));

		if (n > end - from)
			n = end - from;
		if (wh_virt_to_phys(x->r, from, &pa, NULL) == WH_MEM_PRESENT)
			WH_TRY(wh_plan_add_root(&x->t->plan, kind, WH_PHYS, pa, from, n));
		from += n;
	}
	return NULL;
}

static struct wh_err *reverse_piece(void *arg, uint64_t va, uint64_t pa, uint64_t len)
{
	struct wh_lx *x = arg;

	for (uint64_t off = 0; off < len; off += x->page_bytes)
		WH_TRY(wh_map_set(&x->reverse, (pa + off) >> x->ks->page_shift, va + off, NULL));
	return NULL;
}

/* Which address names the frames behind vmalloc areas; asked for by few commands. */
static void reverse_open(struct wh_lx *x)
{
	struct wh_err *e = NULL;

	if (x->reverse.slots)
		return;
	for (size_t i = 0; i < x->areas.n && !e; i++)
		if (x->areas.v[i].use != WH_LXV_IO)
			e = wh_kspace_each_mapping(x->ks, x->r, x->areas.v[i].start,
						   x->areas.v[i].end, reverse_piece, x);
	if (e)
		wh_diag_add_err(x->t->ctx->diags, WH_DIAG_NOTE, "vmalloc-frames", e);
}

bool wh_lx_phys_to_virt(struct wh_target *t, uint64_t pa, uint64_t *ret_va)
{
	struct wh_lx *x = t->priv;
	uint64_t pfn = pa >> x->ks->page_shift;
	uint8_t c = wh_lx_page_get(x, pfn) & WH_LXP_MASK;

	if (c == WH_LXP_HOLE)
		return false;
	*ret_va = pa + x->ks->page_offset;
	if (c == WH_LXP_IMAGE) {
		*ret_va = pa - x->ks->image_to_phys;
	} else if (c == WH_LXP_VMALLOC || c == WH_LXP_STACK || c == WH_LXP_PERCPU) {
		uint64_t va;

		reverse_open(x);
		if (wh_map_find(&x->reverse, pfn, &va))
			*ret_va = va + (pa & (x->page_bytes - 1));
	}
	return true;
}

struct wh_err *wh_lx_aliases(struct wh_target *t, uint64_t addr, uint64_t size, wh_alias_vec *ret)
{
	struct wh_lx *x = t->priv;
	uint32_t row = wh_buftab_find(t->buftab, addr);
	uint64_t pa, pfn, page;

	if (row != WH_ROW_NONE && wh_buftab_class_of(t->buftab, row) == x->cls_percpu) {
		uint64_t p = addr - x->pcpu_base + x->pcpu_start;

		return WH_VEC_PUSH(ret, (struct wh_alias){"per-CPU pointer", p, p + size - 1});
	}
	if (!size || wh_virt_to_phys(x->r, addr, &pa, NULL) != WH_MEM_PRESENT)
		return NULL;
	pfn = pa >> x->ks->page_shift;
	WH_TRY(WH_VEC_PUSH(ret, (struct wh_alias){"physical address", pa, pa + size - 1}));
	page = x->ks->vmemmap + pfn * x->lay.page_size_of;
	WH_TRY(WH_VEC_PUSH(ret, (struct wh_alias){"struct page pointer", page, page}));
	/* Small frame numbers are small numbers: they would be found everywhere. */
	if (pfn >= 0x10000)
		WH_TRY(WH_VEC_PUSH(ret, (struct wh_alias){"page frame number", pfn, pfn}));
	return NULL;
}

struct clock_layout {
	struct wh_field xtime, mono_sec, mono_nsec, ktime, nsec, shift, tick;
};
static const struct wh_want clock_wants[] = {
	WH_WANT(struct clock_layout, xtime, "timekeeper", "xtime_sec"),
	WH_WANT(struct clock_layout, mono_sec, "timekeeper", "wall_to_monotonic.tv_sec"),
	WH_WANT(struct clock_layout, mono_nsec, "timekeeper", "wall_to_monotonic.tv_nsec"),
	WH_WANT(struct clock_layout, ktime, "timekeeper", "ktime_sec"),
	WH_WANT(struct clock_layout, nsec, "timekeeper", "tkr_mono.xtime_nsec"),
	WH_WANT(struct clock_layout, shift, "timekeeper", "tkr_mono.shift"),
	WH_WANT(struct clock_layout, tick, "timekeeper", "ntp_tick"),
};

/* ktime_sec is the sum of the other two, and the nanoseconds may carry: what does not add up is no clock. */
bool wh_lx_timekeeper(struct wh_lx *x, uint64_t at, struct wh_lx_clock *ret)
{
	uint64_t mono_sec, mono_nsec, ktime, nsec, shift, tick;
	struct clock_layout l;
	struct wh_err *e = wh_layout_resolve(x->names->types, clock_wants,
					     sizeof(clock_wants) / sizeof(clock_wants[0]), &l);
	bool ok = !e && wh_lx_field(x, at, &l.xtime, &ret->wall) &&
		  wh_lx_field(x, at, &l.mono_sec, &mono_sec) &&
		  wh_lx_field(x, at, &l.mono_nsec, &mono_nsec) &&
		  wh_lx_field(x, at, &l.ktime, &ktime) && wh_lx_field(x, at, &l.nsec, &nsec) &&
		  wh_lx_field(x, at, &l.shift, &shift) && wh_lx_field(x, at, &l.tick, &tick);

	wh_err_destroy(e);
	if (!ok || !ret->wall || ret->wall > UINT32_MAX || shift > 63 || mono_nsec >= 1000000000 ||
	    ktime > UINT32_MAX || ktime - (ret->wall + mono_sec) > 1)
		return false;
	ret->tick_ns = tick >> 32;
	ret->since_boot_ns = (ret->wall + mono_sec) * 1000000000 + mono_nsec + (nsec >> shift);
	return true;
}

/*
 * The timekeeper (kernel/time/timekeeping.c): the copy that 4.18 to 6.12 keep beside tk_core, which has no
 * type there; tk_core itself in 6.13 and on; the first of timekeeper_data[] since 6.17.
 */
static bool timekeeper_open(struct wh_lx *x, struct wh_lx_clock *ret)
{
	static const struct {
		const char *symbol, *type;
	} places[] = {{"shadow_timekeeper", NULL},
		      {"tk_core", "tk_data"},
		      {"timekeeper_data", "tk_data"}};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		uint64_t at, off = 0;

		if (wh_lx_symbol(x, places[i].symbol, &at) &&
		    (!places[i].type || wh_lx_offset(x, places[i].type, "timekeeper", &off)) &&
		    wh_lx_timekeeper(x, at + off, ret))
			return true;
	}
	*ret = (struct wh_lx_clock){0};
	return false;
}

void wh_lx_clock_open(struct wh_lx *x)
{
	struct wh_lx_clock c;
	bool have_clock = timekeeper_open(x, &c);
	uint64_t hz;

	x->t->wall_clock = c.wall >= WH_LX_CLOCK_SET ? c.wall : 0;
	/* tick_nsec is NSEC_PER_SEC / HZ, a variable up to 6.12 (kernel/time/ntp.c). */
	if (!wh_lx_var(x, "tick_nsec", &x->tick_ns))
		x->tick_ns = c.tick_ns;
	if (x->tick_ns < 100000 || x->tick_ns > 100000000) {
		x->tick_ns = 0;
		return;
	}
	hz = (1000000000 + x->tick_ns / 2) / x->tick_ns;
	x->tick_ns = 1000000000 / hz;
	/* INITIAL_JIFFIES: (unsigned int)(-300 * HZ), include/linux/jiffies.h. */
	x->jiffies0 = (uint32_t)(0u - 300u * (uint32_t)hz);
	if (!wh_lx_var(x, "jiffies_64", &x->jiffies) && !wh_lx_var(x, "jiffies", &x->jiffies))
		x->jiffies = have_clock ? x->jiffies0 + c.since_boot_ns / x->tick_ns : 0;
	if (x->jiffies > x->jiffies0)
		x->t->dump_time_ns = (x->jiffies - x->jiffies0) * x->tick_ns;
}
