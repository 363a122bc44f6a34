/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "formats/arch.h"

#include <string.h>

#include "formats/arch_tables.h"

static const struct wh_arch *const arches[] = {
	&wh_arch_x86_64, &wh_arch_aarch64, &wh_arch_aarch64_be, &wh_arch_i386,
	&wh_arch_arm,	 &wh_arch_armeb,   &wh_arch_sparcv9,	&wh_arch_sparc,
};
#define N_ARCHES (sizeof(arches) / sizeof(arches[0]))

/* Other names that uname -m may give; a trailing '*' matches any rest. */
static const struct {
	const char *pattern, *name;
} aliases[] = {
	{"amd64", "x86_64"},	{"arm64", "aarch64"}, {"i386", "i386"},	    {"i486", "i386"},
	{"i586", "i386"},	{"i686", "i386"},     {"armv*", "arm"},	    {"arm", "arm"},
	{"sparc64", "sparcv9"}, {"sun4u", "sparcv9"}, {"sun4v", "sparcv9"},
};

const struct wh_arch *wh_arch_find(uint16_t elf_machine, struct wh_abi abi)
{
	for (size_t i = 0; i < N_ARCHES; i++)
		if (arches[i]->elf_machine == elf_machine && arches[i]->abi.word == abi.word &&
		    arches[i]->abi.big_endian == abi.big_endian)
			return arches[i];
	return NULL;
}

static bool matches(const char *pattern, const char *s)
{
	size_t n = strlen(pattern);

	return pattern[n - 1] == '*' ? !strncmp(pattern, s, n - 1) : !strcmp(pattern, s);
}

const struct wh_arch *wh_arch_find_name(const char *machine)
{
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (matches(aliases[i].pattern, machine)) {
			machine = aliases[i].name;
			break;
		}
	for (size_t i = 0; i < N_ARCHES; i++)
		if (!strcmp(arches[i]->name, machine))
			return arches[i];
	return NULL;
}

struct wh_err *wh_arch_prstatus(const struct wh_arch *a, const void *desc, size_t len,
				uint32_t *ret_pid, struct wh_regs *ret)
{
	const uint8_t *p = desc;
	uint32_t n = 0;

	while (a->reg_names[n])
		n++;
	if (len < a->prstatus_regs + (size_t)n * a->abi.word)
		return wh_err_bad(NULL, UINT64_MAX,
				  "NT_PRSTATUS of %zu bytes, expected at least %zu on %s", len,
				  a->prstatus_regs + (size_t)n * a->abi.word, a->name);
	*ret_pid = wh_get_u32(a->abi, p + a->prstatus_pid);
	*ret = (struct wh_regs){.n = n};
	for (uint32_t i = 0; i < n; i++)
		ret->v[i] = wh_get_word(a->abi, p + a->prstatus_regs + (size_t)i * a->abi.word);
	return NULL;
}
