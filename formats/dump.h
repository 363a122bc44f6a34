/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dump: one opened dump, whatever its format.  `struct wh_dump` is filled by a fmt_*.c (see
 * wh_dump_ops) and immutable afterwards; any number of threads may use it.
 *
 *	physical dumps (kdump, ELF vmcore, QEMU)  pages by frame number
 *	process cores (ELF)                       bytes by virtual address (segments)
 *	illumos dumps                             pages by frame number and by (as, va)
 */
#ifndef WH_FORMATS_DUMP_H
#define WH_FORMATS_DUMP_H

#include "analyzer/base/ctx.h"
#include "formats/arch.h"
#include "formats/stream.h"
#include "formats/vmcoreinfo.h"

enum wh_dump_class {
	WH_DUMP_PHYSICAL, /**< memory of a machine, by page frame */
	WH_DUMP_PROCESS,  /**< memory of a process, by virtual address */
	WH_DUMP_ILLUMOS,  /**< kernel memory, by page frame and by (as, va) */
};

/** What is known of a byte of the target.  Absent is never zero. */
enum wh_mem_state {
	WH_MEM_PRESENT,	    /**< its contents are in the dump */
	WH_MEM_FILE_BACKED, /**< taken from the file on disk whose build-id matches */
	WH_MEM_EXCLUDED,    /**< existed, left out by the dump filter */
	WH_MEM_TRUNCATED,   /**< existed, lost because the file is cut or the dump incomplete */
	WH_MEM_UNMAPPED,    /**< nothing was there */
	WH_MEM_CORRUPT,	    /**< stored, but cannot be decoded */
	WH_MEM_STATE_COUNT
};

/** "present", "excluded" …: stable words, also used in JSON. */
const char *wh_mem_state_name(enum wh_mem_state s);

/** An ELF note; name and desc borrowed from the dump. */
struct wh_note {
	const char *name; /**< NUL-terminated */
	uint32_t type;
	const uint8_t *desc;
	size_t desc_len;
};

/** A piece of an ELF core: program header, checked against the file. */
struct wh_segment {
	uint64_t vaddr, paddr, memsz;
	uint64_t offset,
		filesz; /**< [bytes] in stream `file`; filesz counts what the file really has */
	uint64_t
		filesz_claimed; /**< p_filesz as written: larger than filesz when the file is cut */
	uint32_t flags;		/**< PF_R | PF_W | PF_X and OS bits */
};

struct wh_dump;
struct wh_scratch;
/** One instance a format; listed in one table in dump.c. */
struct wh_dump_ops {
	const char *name; /**< stable, appears in JSON: "kdump", "elf", "illumos" */
	/** Fills @d from @d->streams; &wh_err_not_mine when the magic is another's. */
	struct wh_err *(*probe)(struct wh_dump *d);
	/**
	 * State of a frame without decoding it; *ret_run (never 0) counts the frames from @pfn on
	 * that are known to share it.  Thread-safe, each thread with its own scratch; formats with
	 * `borrow` need none.
	 */
	enum wh_mem_state (*page_state)(const struct wh_dump *d, struct wh_scratch *sc,
					uint64_t pfn, uint64_t *ret_run);
	/**
	 * Decodes one frame into @buf (d->page_size bytes), or points *ret at d->page_size bytes that
	 * stay valid until the next call with @sc.  Returns WH_MEM_PRESENT or why not.
	 * NULL for formats that are read by byte (see `borrow`).
	 */
	enum wh_mem_state (*get_page)(const struct wh_dump *d, struct wh_scratch *sc, uint64_t pfn,
				      void *buf, const uint8_t **ret);
	/**
	 * Formats that store plain bytes (ELF), else NULL: points at *ret_len (1..want) bytes at
	 * @addr (VIRT of a process core, PHYS of a machine), valid until the next call with @sc.
	 * NULL when the first byte is absent: *ret_state says why, *ret_len how many bytes share that.
	 */
	const uint8_t *(*borrow)(const struct wh_dump *d, struct wh_scratch *sc, uint64_t addr,
				 uint64_t want, uint64_t *ret_len, enum wh_mem_state *ret_state);
	/** illumos only, else NULL: frame behind (as, va page); false when not in the dump. */
	bool (*virt_to_pfn)(const struct wh_dump *d, uint64_t as, uint64_t va, uint64_t *ret_pfn);
	void (*close)(struct wh_dump *d);
};

struct wh_dump {
	struct wh_ctx *ctx; /**< borrowed */
	const struct wh_dump_ops *ops;
	void *priv; /**< the format's own */
	enum wh_dump_class cls;
	struct wh_stream **streams; /**< owned; more than one for split dumps, unix.N + vmcore.N */
	size_t n_streams;

	const struct wh_arch *arch; /**< NULL when the machine is unknown to us */
	struct wh_abi abi;
	uint32_t page_size;	 /**< [bytes] of the dumped kernel; 4096 for process cores */
	uint64_t max_pfn;	 /**< exclusive bound of frames (not for process cores) */
	struct wh_segment *segs; /**< ELF only, in file order; owned */
	size_t n_segs;
	struct wh_note *notes; /**< owned array */
	size_t n_notes;
	struct wh_vmcoreinfo
		*vmcoreinfo; /**< from header or note; NULL when there is none; owned */

	/* what `info` prints */
	const char *
		codec; /**< "zlib", "lzo", "snappy", "zstd", "none", "lzjb", "bzip2", mixed: "zlib+none" */
	int dump_level;	 /**< makedumpfile -d, -1 unknown */
	bool incomplete; /**< the writer or the file says that it is cut */
	bool split;
	uint32_t header_version;
	uint64_t crash_time; /**< [s since 1970, UTC], 0 unknown */
	char utsname[6]
		    [258]; /**< sysname nodename release version machine domainname, "" unknown */
	uint64_t pages[WH_MEM_STATE_COUNT]; /**< frames by state (not for process cores) */
};

/** Opens the dump that these files make up (one; several for split dumps; unix.N + vmcore.N). */
struct wh_err *wh_dump_open(struct wh_ctx *ctx, const char *const *paths, size_t n,
			    struct wh_dump **ret) WH_MUST_CHECK;
/** The same from bytes in memory, for tests and fuzzing; @p is borrowed until close. */
struct wh_err *wh_dump_open_mem(struct wh_ctx *ctx, const void *p, size_t n,
				struct wh_dump **ret) WH_MUST_CHECK;
void wh_dump_close(struct wh_dump *d);
/** First note with this name and type, after @prev (NULL: from the start); NULL when there is none. */
const struct wh_note *wh_dump_find_note(const struct wh_dump *d, const char *name, uint32_t type,
					const struct wh_note *prev);

#endif
