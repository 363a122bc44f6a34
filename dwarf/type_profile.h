/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * type_profile: struct layouts from declarations that we ship, for dumps that carry no type information of
 * their own.  The declarations give member order and types; offsets follow from the target's ABI, so that
 * one text serves LP64 and both kinds of ILP32 (64-bit integers aligned to 4, as on i386, or to 8).
 *
 *	"name [typedef] = TYPE member; TYPE member[n]; ...\n"
 *	TYPE: char u8 i8 u16 i16 u32 i32 u64 i64 long ulong, *name (pointer), =name (embedded struct)
 *	"@8/4" before a TYPE moves the next member to that offset (LP64/ILP32), "#64/32" at the end of a
 *	declaration sets the size.
 */
#ifndef WH_DWARF_TYPE_PROFILE_H
#define WH_DWARF_TYPE_PROFILE_H

#include "dwarf/type.h"

struct wh_profile;
/**
 * Lays @text out for @abi; @u64_align [bytes] is 4 or 8.  A malformed text is WH_ERR_INTERNAL: the
 * declarations are ours.
 */
struct wh_err *wh_profile_create(struct wh_abi abi, unsigned int u64_align, const char *text,
				 struct wh_profile **ret) WH_MUST_CHECK;
/**
 * Takes back every declaration of a struct that @known already tells: layouts of two sources must not be
 * mixed member by member.
 */
void wh_profile_hide(struct wh_profile *p, const struct wh_types *known);
void wh_profile_destroy(struct wh_profile *p);
/** Provider; its `close` destroys the profile. */
extern const struct wh_type_provider_ops wh_profile_provider;

/* The texts (profile_illumos.c). */
extern const char wh_profile_kmem[];	      /**< illumos kernel: kmem, vmem, modules */
extern const char wh_profile_kmem_2005[];     /**< the same before kmem's consolidator of 2008 */
extern const char wh_profile_streams[];	      /**< STREAMS with the flow trace since 6646362 */
extern const char wh_profile_streams_old[];   /**< the flow trace before it */
extern const char wh_profile_umem[];	      /**< libumem of illumos */
extern const char wh_profile_umem_portable[]; /**< portable libumem on Linux x86-64 */

#endif
