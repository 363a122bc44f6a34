/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernels whose symbol table has functions only (KALLSYMS_ALL off: Debian's arm64).  What the rest asks for by
 * name is found by what it must hold:
 *
 *	init_task		its own leader and its own parent, called swapper
 *	CPUs			task ─► se.cfs_rq ─► rq, which is the per-CPU variable "runqueues": BTF tells
 *				its place in each CPU's copy, rq.cpu and rq.idle confirm it
 *	__per_cpu_start		the words of __per_cpu_offset are the copies less it
 *	chunks			a pointer beside pcpu_base_addr leads to a chunk of the first copy
 *	trace arrays		array_buffer.tr of the first one points back at it
 *	the timekeeper		its two clocks and the distance of them add up
 *
 * From then on every per-CPU variable has an address: __per_cpu_start and its place in the section.
 *
 * Facts: kernel/sched/sched.h, mm/percpu.c, kernel/trace/trace.h, include/linux/init_task.h.
 */
#include <string.h>

#include "analyzer/base/limits.h"
#include "analyzer/target/linux.h"

#define IMAGE_MAX (256u << 20) /* [bytes] of data searched */
#define NEAR	  512	       /* [bytes] around pcpu_base_addr in which its file's variables lie */
#define SLOTS_MAX 64	       /* lists of chunks believed */
#define PLACES	  16	       /* words equal to pcpu_base_addr looked around */
#define CHUNKS	  4096	       /* steps from a chunk to the head of its list */

/* The kernel's data, unreadable pages as zeros. */
struct image {
	struct wh_lx *x;
	uint64_t va;
	size_t len;
	uint8_t *buf;
};

static uint64_t word_at(const struct image *im, size_t off)
{
	return wh_get_word(im->x->abi, im->buf + off);
}

static struct wh_err *image_open(struct image *im)
{
	struct wh_lx *x = im->x;
	uint64_t text_end, end = x->ks->image_end;

	im->va = x->ks->image_start & ~(x->page_bytes - 1);
	if (wh_lx_symbol(x, "_etext", &text_end) && text_end > im->va && text_end < end)
		im->va = text_end & ~(x->page_bytes - 1);
	im->len = end > im->va && end - im->va < IMAGE_MAX ? (size_t)(end - im->va) : 0;
	im->len -= im->len % x->abi.word;
	im->buf = wh_calloc(im->len ? im->len : 1, 1);
	if (!im->buf)
		return &wh_err_nomem;
	for (size_t at = 0, n; at < im->len; at += n) {
		n = im->len - at < x->page_bytes ? im->len - at : (size_t)x->page_bytes;
		(void)wh_read_some(x->r, WH_VIRT, im->va + at, im->buf + at, n, NULL);
	}
	return NULL;
}

static struct wh_err *found(struct wh_lx *x, const char *name, uint64_t addr)
{
	return WH_VEC_PUSH(&x->found, (struct wh_lx_found){name, addr});
}

static bool in_image(const struct wh_lx *x, uint64_t va)
{
	return va >= x->ks->image_start && va < x->ks->image_end;
}

/* ---- the first task ---- */

struct task_layout {
	struct wh_field leader, parent, real_parent, comm, tasks, cfs_rq, rq, cpu, idle;
};
static const struct wh_want task_wants[] = {
	WH_WANT(struct task_layout, leader, "task_struct", "group_leader"),
	WH_WANT(struct task_layout, parent, "task_struct", "parent"),
	WH_WANT(struct task_layout, real_parent, "task_struct", "real_parent"),
	WH_WANT(struct task_layout, comm, "task_struct", "comm"),
	WH_WANT(struct task_layout, tasks, "task_struct", "tasks"),
	WH_WANT(struct task_layout, cfs_rq, "task_struct", "se.cfs_rq"),
	WH_WANT(struct task_layout, rq, "cfs_rq", "rq"),
	WH_WANT(struct task_layout, cpu, "rq", "cpu"),
	WH_WANT(struct task_layout, idle, "rq", "idle"),
};

static bool is_swapper(struct wh_lx *x, const struct task_layout *l, uint64_t task)
{
	char comm[8];

	return wh_read_some(x->r, WH_VIRT, task + l->comm.offset, comm, 7, NULL) == 7 &&
	       !memcmp(comm, "swapper", 7);
}

static bool init_task_find(const struct image *im, const struct task_layout *l, uint64_t *ret)
{
	struct wh_lx *x = im->x;
	uint64_t task, v, w;

	for (size_t off = 0; off < im->len; off += x->abi.word) {
		task = im->va + off - l->leader.offset;
		if (word_at(im, off) != task || !wh_lx_field(x, task, &l->parent, &v) ||
		    !wh_lx_field(x, task, &l->real_parent, &w) || v != task || w != task ||
		    !is_swapper(x, l, task))
			continue;
		*ret = task;
		return true;
	}
	return false;
}

/* ---- copies of per-CPU memory ---- */

struct copies {
	struct wh_lx *x;
	const struct task_layout *l;
	uint64_t runqueues;	      /* place in each copy */
	uint64_t base[WH_LIMIT_CPUS]; /* 0 unknown */
};

/* The copy that belongs to the CPU on which a task runs. */
static void copy_of_task(struct copies *c, uint64_t task)
{
	struct wh_lx *x = c->x;
	uint64_t cfs, rq, cpu, idle;

	if (!wh_lx_field(x, task, &c->l->cfs_rq, &cfs) || !cfs ||
	    !wh_lx_field(x, wh_lx_ptr(x, cfs), &c->l->rq, &rq))
		return;
	rq = wh_lx_ptr(x, rq);
	if (rq < x->ks->kernel_min || ((rq - c->runqueues) & (x->page_bytes - 1)) ||
	    !wh_lx_field(x, rq, &c->l->cpu, &cpu) || (uint32_t)cpu >= WH_LIMIT_CPUS ||
	    c->base[(uint32_t)cpu] || !wh_lx_field(x, rq, &c->l->idle, &idle) ||
	    !is_swapper(x, c->l, wh_lx_ptr(x, idle)))
		return;
	c->base[(uint32_t)cpu] = rq - c->runqueues;
}

static struct wh_err *copy_of_listed(void *arg, uint64_t node)
{
	struct copies *c = arg;

	copy_of_task(c, node - c->l->tasks.offset);
	return NULL;
}

/* True when the words from @off on are the copies less @start. */
static bool is_offsets(const struct image *im, size_t off, const struct copies *c, size_t n,
		       uint64_t start)
{
	if (im->len - off < n * im->x->abi.word)
		return false;
	for (size_t i = 0; i < n; i++)
		if (word_at(im, off + i * im->x->abi.word) != c->base[i] - start)
			return false;
	return true;
}

/*
 * The one page of the image from which all copies are counted.  x86-64 linked the section at 0 until 6.15: there
 * offsets are addresses.
 */
static bool start_find(const struct image *im, const struct copies *c, size_t n, uint64_t *ret)
{
	struct wh_lx *x = im->x;
	uint64_t start;
	bool have = false;

	for (size_t off = 0; off < im->len; off += x->abi.word) {
		start = c->base[0] - word_at(im, off);
		if (!in_image(x, start) || (start & (x->page_bytes - 1)) ||
		    (have && start == *ret) || !is_offsets(im, off, c, n, start))
			continue;
		if (have)
			return false;
		have = true;
		*ret = start;
	}
	if (!have && x->t->dump->arch && !strcmp(x->t->dump->arch->name, "x86_64")) {
		*ret = 0;
		have = true;
	}
	return have;
}

static struct wh_err *cpus_find(const struct image *im, struct copies *c, uint64_t init)
{
	struct wh_lx *x = im->x;
	size_t n = 0;

	if (!wh_types_percpu(x->names->types, "runqueues", &c->runqueues))
		return NULL;
	copy_of_task(c, init);
	WH_TRY(wh_lx_list(x, init + c->l->tasks.offset, "task-list", copy_of_listed, c));
	while (n < WH_LIMIT_CPUS && c->base[n])
		n++;
	if (!n || !start_find(im, c, n, &x->pcpu_start))
		return NULL;
	for (size_t i = 0; i < n; i++)
		WH_TRY(WH_VEC_PUSH(&x->cpus,
				   (struct wh_lx_cpu){.nr = (uint32_t)i,
						      .offset = c->base[i] - x->pcpu_start,
						      .base = c->base[i]}));
	x->percpu_named = true;
	return NULL;
}

/* ---- chunks ---- */

struct chunk_layout {
	struct wh_field list, base_addr, nr_pages;
};
static const struct wh_want chunk_wants[] = {
	WH_WANT(struct chunk_layout, list, "pcpu_chunk", "list"),
	WH_WANT(struct chunk_layout, base_addr, "pcpu_chunk", "base_addr"),
	WH_WANT(struct chunk_layout, nr_pages, "pcpu_chunk", "nr_pages"),
};

static bool list_closes(struct wh_lx *x, uint64_t node)
{
	uint64_t next, prev;

	return !(node & 7) && wh_read_word(x->r, node, &next) &&
	       wh_read_word(x->r, wh_lx_ptr(x, next) + x->abi.word, &prev) &&
	       wh_lx_ptr(x, prev) == node;
}

/* [bytes] of a chunk that begins at *ret_base; 0: no chunk. */
static uint64_t chunk_size(struct wh_lx *x, const struct chunk_layout *l, uint64_t addr,
			   uint64_t *ret_base)
{
	uint64_t n;

	if (!wh_lx_field(x, addr, &l->base_addr, ret_base) ||
	    !wh_lx_field(x, addr, &l->nr_pages, &n) || !(uint32_t)n || (uint32_t)n > 65536)
		return 0;
	*ret_base = wh_lx_ptr(x, *ret_base);
	if (*ret_base < x->ks->kernel_min || (*ret_base & (x->page_bytes - 1)))
		return 0;
	return (uint32_t)n * x->page_bytes;
}

/* The first chunk that is given out: part of the first copy, and on a list. */
static bool is_first_chunk(struct wh_lx *x, const struct chunk_layout *l, uint64_t addr)
{
	uint64_t base, size, next;

	if (!wh_lx_is_direct(x, addr) || !(size = chunk_size(x, l, addr, &base)) ||
	    base <= x->pcpu_base || base - x->pcpu_base > (64u << 20) ||
	    !list_closes(x, addr + l->list.offset) ||
	    !wh_read_word(x->r, addr + l->list.offset, &next) ||
	    wh_lx_ptr(x, next) == addr + l->list.offset)
		return false;
	x->unit_size = base + size - x->pcpu_base;
	return true;
}

/* The head of the list on which a chunk is: the one node that is no chunk. */
static uint64_t chunk_head(struct wh_lx *x, const struct chunk_layout *l, uint64_t addr)
{
	uint64_t node = addr + l->list.offset, base;

	for (int i = 0; i < CHUNKS && wh_read_word(x->r, node, &node); i++) {
		node = wh_lx_ptr(x, node);
		if (!chunk_size(x, l, node - l->list.offset, &base))
			return node;
	}
	return 0;
}

/* The array of lists, one by how much is free: what a pointer names that has @head in it. */
static struct wh_err *chunk_lists_find(const struct image *im, size_t from, size_t end,
				       uint64_t head)
{
	struct wh_lx *x = im->x;
	uint64_t step = 2u * x->abi.word;

	for (size_t off = from; off < end; off += x->abi.word) {
		uint64_t v = wh_lx_ptr(x, word_at(im, off));
		uint32_t n = 0;

		if (v > head || (head - v) % step || (head - v) / step >= SLOTS_MAX)
			continue;
		while (n < SLOTS_MAX && list_closes(x, v + n * step))
			n++;
		if (n <= (head - v) / step)
			continue;
		x->pcpu_slots = n;
		return found(x, "pcpu_chunk_lists", im->va + off);
	}
	return NULL;
}

static struct wh_err *chunks_near(const struct image *im, const struct chunk_layout *l, size_t at)
{
	struct wh_lx *x = im->x;
	size_t from = at < NEAR ? 0 : at - NEAR, end = im->len - at < NEAR ? im->len : at + NEAR;

	for (size_t off = from; off < end; off += x->abi.word) {
		uint64_t v = wh_lx_ptr(x, word_at(im, off)), head;

		if (!is_first_chunk(x, l, v) || !(head = chunk_head(x, l, v)))
			continue;
		WH_TRY(found(x, "pcpu_first_chunk", im->va + off));
		return chunk_lists_find(im, from, end, head);
	}
	return NULL;
}

static struct wh_err *chunks_find(const struct image *im)
{
	struct wh_lx *x = im->x;
	uint64_t lowest = UINT64_MAX;
	struct chunk_layout l;
	struct wh_err *e = wh_layout_resolve(x->names->types, chunk_wants,
					     sizeof(chunk_wants) / sizeof(chunk_wants[0]), &l);

	if (e) {
		wh_err_destroy(e);
		return NULL;
	}
	for (size_t i = 0; i < x->cpus.n; i++)
		lowest = x->cpus.v[i].base < lowest ? x->cpus.v[i].base : lowest;
	x->pcpu_base = lowest;
	for (size_t off = 0, places = 0; off < im->len && !x->pcpu_slots && places < PLACES;
	     off += x->abi.word)
		if (word_at(im, off) == lowest) {
			WH_TRY(chunks_near(im, &l, off));
			places++;
		}
	if (!x->pcpu_slots)
		x->pcpu_base = 0; /* all per-CPU memory holds */
	return NULL;
}

/* ---- trace arrays ---- */

static struct wh_err *trace_find(const struct image *im)
{
	struct wh_lx *x = im->x;
	uint64_t back, list, head;

	if (!wh_lx_offset(x, "trace_array", "array_buffer.tr", &back) ||
	    !wh_lx_offset(x, "trace_array", "list", &list))
		return NULL;
	for (size_t off = 0; off < im->len; off += x->abi.word) {
		uint64_t tr = im->va + off - back;

		/* Later arrays come in front, so that behind the first one is the head. */
		if (word_at(im, off) == tr && list_closes(x, tr + list) &&
		    wh_read_word(x->r, tr + list, &head) && in_image(x, head) && head != tr + list)
			return found(x, "ftrace_trace_arrays", head);
	}
	return NULL;
}

/* ---- the clock ---- */

static struct wh_err *timekeeper_find(const struct image *im)
{
	struct wh_lx *x = im->x;
	struct wh_lx_clock c;
	uint64_t wall;

	if (!wh_lx_offset(x, "timekeeper", "xtime_sec", &wall))
		return NULL;
	for (size_t off = (size_t)wall; off < im->len; off += x->abi.word) {
		uint64_t v = word_at(im, off), at = im->va + off - wall;

		if (v >= WH_LX_CLOCK_SET && v <= UINT32_MAX && wh_lx_timekeeper(x, at, &c) &&
		    c.tick_ns >= 100000 && c.tick_ns <= 100000000)
			return found(x, "shadow_timekeeper", at);
	}
	return NULL;
}

static struct wh_err *probe_all(const struct image *im, const struct task_layout *l)
{
	struct wh_lx *x = im->x;
	struct copies *c WH_AUTO_FREE = wh_calloc(1, sizeof(*c));
	uint64_t init;

	if (!c)
		return &wh_err_nomem;
	*c = (struct copies){.x = x, .l = l};
	WH_TRY(trace_find(im));
	WH_TRY(timekeeper_find(im));
	if (!init_task_find(im, l, &init))
		return NULL;
	WH_TRY(found(x, "init_task", init));
	WH_TRY(cpus_find(im, c, init));
	return x->percpu_named ? chunks_find(im) : NULL;
}

struct wh_err *wh_lx_probe_open(struct wh_lx *x)
{
	struct image im = {.x = x};
	struct task_layout l;
	struct wh_err *e;

	if (x->names->have_data_symbols)
		return NULL;
	e = wh_layout_resolve(x->names->types, task_wants,
			      sizeof(task_wants) / sizeof(task_wants[0]), &l);
	if (e) { /* nothing of the kind can be found without types */
		wh_err_destroy(e);
		return NULL;
	}
	e = image_open(&im);
	if (!e)
		e = probe_all(&im, &l);
	free(im.buf);
	return e;
}
