/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * err: what went wrong, as an object.  NULL means success.
 *
 * A fallible function returns `struct wh_err *`; the caller owns it and must destroy it, wrap it or
 * return it.  Expected misses on hot paths are the statics below and never allocate.  An error is
 * either returned or turned into a diagnostic (diag.h), never both.  Thread-safe: an error belongs
 * to one thread at a time; the statics are immutable.
 */
#ifndef WH_BASE_ERR_H
#define WH_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#define WH_MUST_CHECK	__attribute__((warn_unused_result))
#define WH_PRINTF(a, b) __attribute__((format(printf, a, b)))
#define WH_CLEANUP(fn)	__attribute__((cleanup(fn)))
#define WH_UNUSED	__attribute__((unused))

enum wh_err_code {
	WH_ERR_NOMEM,	    /**< the host has no memory left */
	WH_ERR_OS,	    /**< a system call failed; os_errno says how */
	WH_ERR_USAGE,	    /**< the user asked for something that makes no sense */
	WH_ERR_NOT_FOUND,   /**< an expected miss */
	WH_ERR_NOT_MINE,    /**< a probe: this is some other format */
	WH_ERR_UNSUPPORTED, /**< recognised, but not handled */
	WH_ERR_BAD_DATA,    /**< the input contradicts itself or its format */
	WH_ERR_LIMIT,	    /**< a budget of limits.h was hit */
	WH_ERR_CANCELLED,   /**< the user pressed Ctrl-C */
	WH_ERR_INTERNAL,    /**< a bug of ours */
	WH_ERR_COUNT
};

struct wh_err {
	enum wh_err_code code;
	int os_errno;	      /**< WH_ERR_OS */
	uint64_t offset;      /**< WH_ERR_BAD_DATA: file offset, UINT64_MAX when it has none */
	char *path;	      /**< file concerned, or NULL; owned */
	char *msg;	      /**< lower case, no full stop; owned */
	struct wh_err *cause; /**< inner error, owned, or NULL */
	bool is_static;	      /**< one of the statics: never freed */
};

extern struct wh_err wh_err_nomem, wh_err_not_found, wh_err_not_mine, wh_err_cancelled;

/** All creators return an owned error; they fall back to &wh_err_nomem. */
struct wh_err *wh_err_new(enum wh_err_code code, const char *fmt, ...)
	WH_PRINTF(2, 3) WH_MUST_CHECK;
struct wh_err *wh_err_os(const char *path, const char *fmt, ...) WH_PRINTF(2, 3) WH_MUST_CHECK;
struct wh_err *wh_err_bad(const char *path, uint64_t offset, const char *fmt, ...)
	WH_PRINTF(3, 4) WH_MUST_CHECK;
/** Puts @fmt in front of @inner (which it takes over). */
struct wh_err *wh_err_wrap(struct wh_err *inner, const char *fmt, ...)
	WH_PRINTF(2, 3) WH_MUST_CHECK;
void wh_err_destroy(struct wh_err *e);
/** For WH_CLEANUP(wh_err_drop). */
void wh_err_drop(struct wh_err **e);
bool wh_err_is(const struct wh_err *e, enum wh_err_code code);
/** Outer-to-inner text "a: b: c" with path and offset; caller frees; never NULL unless out of memory. */
char *wh_err_text(const struct wh_err *e);

/** Returns the error of @expr from the calling function. */
#define WH_TRY(expr)                                                                               \
	do {                                                                                       \
		struct wh_err *wh_try_e_ = (expr);                                                 \
		if (wh_try_e_)                                                                     \
			return wh_try_e_;                                                          \
	} while (0)

#endif
