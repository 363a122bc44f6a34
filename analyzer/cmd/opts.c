/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/cmd/opts.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyzer/cmd/cmd.h"

#define WH_OPTION(short_, long_, type, field, arg, groups, values, help)                           \
	{short_, long_, WH_OPT_##type, offsetof(struct wh_cli, field), arg, groups, values, help},
const struct wh_option wh_options[] = {
#include "analyzer/cmd/options.def"
};
#undef WH_OPTION
const size_t wh_n_options = sizeof(wh_options) / sizeof(wh_options[0]);

bool wh_option_applies(const struct wh_option *o, const struct wh_command *cmd)
{
	return o->groups & (WH_OG_ALL | (cmd ? cmd->groups : 0));
}

bool wh_values_word(const char *values, size_t i, const char **ret, size_t *ret_len)
{
	while (*values) {
		size_t n = strcspn(values, "|");

		if (!i--) {
			*ret = values;
			*ret_len = n;
			return true;
		}
		values += n + (values[n] == '|');
	}
	return false;
}

/* Index of the word @s[0..n) in @values, or -1. */
static int values_index(const char *values, const char *s, size_t n)
{
	const char *w;
	size_t len;

	for (size_t i = 0; wh_values_word(values, i, &w, &len); i++)
		if (len == n && !memcmp(w, s, n))
			return (int)i;
	return -1;
}

#define SUGGEST_MAX 40

/* Edit distance with swaps of neighbours; words longer than SUGGEST_MAX are never near. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int d[3][SUGGEST_MAX + 1];
	size_t n = strlen(a), m = strlen(b);

	if (n > SUGGEST_MAX || m > SUGGEST_MAX)
		return UINT32_MAX;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned int *cur = d[i % 3], *up = d[(i + 2) % 3], *up2 = d[(i + 1) % 3];

		cur[0] = (unsigned int)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned int best = up[j - 1] + (a[i - 1] != b[j - 1]);

			if (up[j] + 1 < best)
				best = up[j] + 1;
			if (cur[j - 1] + 1 < best)
				best = cur[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    up2[j - 2] + 1 < best)
				best = up2[j - 2] + 1;
			cur[j] = best;
		}
	}
	return d[n % 3][m];
}

void wh_suggest(struct wh_suggestion *s, const char *word)
{
	unsigned int d = distance(s->typed, word);

	if (d > strlen(s->typed) / 3 + 1 || (s->word && d >= s->distance))
		return;
	s->distance = d;
	s->word = word;
}

static struct wh_err *unknown_option(const char *name, const struct wh_command *cmd)
{
	struct wh_suggestion near = {.typed = name};

	for (size_t i = 0; i < wh_n_options; i++)
		if (wh_option_applies(&wh_options[i], cmd) && wh_options[i].long_name)
			wh_suggest(&near, wh_options[i].long_name);
	if (near.word)
		return wh_err_new(WH_ERR_USAGE, "unknown option --%s; did you mean --%s?", name,
				  near.word);
	return wh_err_new(WH_ERR_USAGE, "unknown option --%s; see weephole %s%s--help", name,
			  cmd ? cmd->name : "", cmd ? " " : "");
}

static struct wh_err *wrong_command(const struct wh_option *o, const struct wh_command *cmd)
{
	struct wh_strbuf sb = WH_STRBUF_INIT;
	struct wh_err *e;

	for (size_t i = 0; wh_commands[i]; i++)
		if (wh_commands[i]->groups & o->groups)
			wh_strbuf_printf(&sb, "%s%s", sb.len ? ", " : "", wh_commands[i]->name);
	e = wh_err_new(WH_ERR_USAGE, "%s does not take --%s (an option of: %s)", cmd->name,
		       o->long_name, wh_strbuf_str(&sb));
	wh_strbuf_fini(&sb);
	return e;
}

static struct wh_err *parse_num(const struct wh_option *o, const char *s, uint64_t *ret)
{
	char *end;

	errno = 0;
	if (isdigit((unsigned char)*s)) {
		*ret = strtoull(s, &end, 0);
		if (!*end && !errno)
			return NULL;
	}
	return wh_err_new(WH_ERR_USAGE, "--%s wants a number, not '%s'", o->long_name, s);
}

static struct wh_err *bad_word(const struct wh_option *o, const char *s)
{
	return wh_err_new(WH_ERR_USAGE, "--%s does not know '%s' (it takes: %s)", o->long_name, s,
			  o->values);
}

/* "a,b" to a mask of word indices; "all" is every word before it, "none" is the empty set. */
static struct wh_err *parse_set(const struct wh_option *o, const char *s, uint64_t *ret)
{
	uint64_t mask = 0;

	for (const char *p = s; *p;) {
		size_t n = strcspn(p, ",");
		int i = values_index(o->values, p, n);

		if (i < 0)
			return bad_word(o, s);
		if (n == 3 && !memcmp(p, "all", 3))
			mask |= (1ull << i) - 1;
		else if (n != 4 || memcmp(p, "none", 4))
			mask |= 1ull << i;
		p += n + (p[n] == ',');
	}
	*ret = mask;
	return NULL;
}

static struct wh_err *store(struct wh_cli *cli, const struct wh_option *o, const char *value)
{
	void *field = (char *)cli + o->field;
	struct wh_number num = {.given = true};

	switch (o->type) {
	case WH_OPT_FLAG: *(wh_opt_FLAG *)field = true; return NULL;
	case WH_OPT_COUNT: ++*(wh_opt_COUNT *)field; return NULL;
	case WH_OPT_STR: *(wh_opt_STR *)field = value; return NULL;
	case WH_OPT_LIST: return WH_VEC_PUSH((wh_opt_LIST *)field, value);
	case WH_OPT_CHOICE:
		if (values_index(o->values, value, strlen(value)) < 0)
			return bad_word(o, value);
		*(wh_opt_CHOICE *)field = value;
		return NULL;
	case WH_OPT_NUM:
		WH_TRY(parse_num(o, value, &num.value));
		*(wh_opt_NUM *)field = num;
		return NULL;
	case WH_OPT_SET:
		WH_TRY(parse_set(o, value, &num.value));
		*(wh_opt_SET *)field = num;
		return NULL;
	}
	return NULL;
}

/* A walk over argv; values may come from the next word. */
struct walk {
	int argc, i;
	char *const *argv;
};

static struct wh_err *take(struct wh_cli *cli, struct walk *w, const struct wh_option *o,
			   const char *value, bool *ret_used)
{
	bool wants = o->type != WH_OPT_FLAG && o->type != WH_OPT_COUNT;

	if (!wh_option_applies(o, cli->cmd) && cli->cmd)
		return wrong_command(o, cli->cmd);
	*ret_used = wants;
	if (!wants)
		return store(cli, o, NULL);
	if (!value) {
		if (w->i + 1 >= w->argc)
			return wh_err_new(WH_ERR_USAGE, "--%s needs a value: --%s %s", o->long_name,
					  o->long_name, o->arg);
		value = w->argv[++w->i];
	}
	return store(cli, o, value);
}

static struct wh_err *parse_long(struct wh_cli *cli, struct walk *w, const char *s)
{
	size_t n = strcspn(s, "=");
	const char *value = s[n] ? s + n + 1 : NULL;
	bool used = false;

	for (size_t i = 0; i < wh_n_options; i++) {
		const struct wh_option *o = &wh_options[i];

		if (!o->long_name || strlen(o->long_name) != n || memcmp(o->long_name, s, n))
			continue;
		WH_TRY(take(cli, w, o, value, &used));
		if (value && !used)
			return wh_err_new(WH_ERR_USAGE, "--%s takes no value", o->long_name);
		return NULL;
	}
	{
		WH_AUTO_FREE char *name = strndup(s, n);

		return name ? unknown_option(name, cli->cmd) : &wh_err_nomem;
	}
}

static struct wh_err *parse_short(struct wh_cli *cli, struct walk *w, const char *s)
{
	for (; *s; s++) {
		const struct wh_option *o = NULL;
		bool used = false;

		for (size_t i = 0; i < wh_n_options && !o; i++)
			if (wh_options[i].short_name == *s)
				o = &wh_options[i];
		if (!o)
			return wh_err_new(WH_ERR_USAGE, "unknown option -%c; see weephole %s%s-h",
					  *s, cli->cmd ? cli->cmd->name : "", cli->cmd ? " " : "");
		WH_TRY(take(cli, w, o, s[1] ? s + 1 : NULL, &used));
		if (used)
			return NULL;
	}
	return NULL;
}

static struct wh_err *unknown_command(const char *name)
{
	struct wh_suggestion near = {.typed = name};
	struct stat st;

	for (size_t i = 0; wh_commands[i]; i++)
		wh_suggest(&near, wh_commands[i]->name);
	if (near.word)
		return wh_err_new(WH_ERR_USAGE, "unknown command '%s'; did you mean '%s'?", name,
				  near.word);
	if (!stat(name, &st))
		return wh_err_new(WH_ERR_USAGE,
				  "'%s' is a file, not a command; try: weephole findleaks %s", name,
				  name);
	return wh_err_new(WH_ERR_USAGE, "unknown command '%s'; weephole -h lists them", name);
}

/* The command is the first word that is no option, so that options may stand before it. */
static struct wh_err *find_command(int argc, char *const *argv, struct wh_cli *cli, int *ret_at)
{
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-')
			continue;
		cli->cmd = wh_command_find(argv[i]);
		*ret_at = i;
		return cli->cmd ? NULL : unknown_command(argv[i]);
	}
	*ret_at = argc;
	return NULL;
}

struct wh_err *wh_cli_parse(int argc, char *const *argv, struct wh_cli *ret)
{
	struct walk w = {.argc = argc, .i = 1, .argv = argv};
	bool options = true;
	int cmd_at;

	WH_TRY(find_command(argc, argv, ret, &cmd_at));
	for (; w.i < argc; w.i++) {
		const char *s = argv[w.i];

		if (w.i == cmd_at)
			continue;
		if (options && !strcmp(s, "--"))
			options = false;
		else if (options && s[0] == '-' && s[1] == '-')
			WH_TRY(parse_long(ret, &w, s + 2));
		else if (options && s[0] == '-' && s[1])
			WH_TRY(parse_short(ret, &w, s + 1));
		else
			WH_TRY(WH_VEC_PUSH(&ret->args, s));
	}
	return NULL;
}

void wh_cli_fini(struct wh_cli *cli)
{
	for (size_t i = 0; i < wh_n_options; i++)
		if (wh_options[i].type == WH_OPT_LIST)
			WH_VEC_FINI((wh_opt_LIST *)((char *)cli + wh_options[i].field));
	WH_VEC_FINI(&cli->args);
}

bool wh_parse_address(const char *s, uint64_t *ret)
{
	bool prefixed = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
	const char *digits = prefixed ? s + 2 : s;
	size_t n = strspn(digits, "0123456789abcdefABCDEF");
	struct stat st;

	if (!n || digits[n] || n > 16)
		return false;
	/* "bad" and "fee" are symbols sooner than addresses, and a file is a file */
	if (!prefixed && ((n < 6 && !isdigit((unsigned char)*s)) || !stat(s, &st)))
		return false;
	*ret = strtoull(digits, NULL, 16);
	return true;
}

struct wh_err *wh_file_sniff(const char *path, enum wh_file_kind *ret)
{
	unsigned char head[64];
	size_t i = 0;
	struct stat st;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return wh_err_os(path, "cannot open");
	if (fstat(fd, &st) || S_ISDIR(st.st_mode)) {
		close(fd);
		errno = EISDIR;
		return wh_err_os(path, "cannot read");
	}
	n = pread(fd, head, sizeof(head), 0);
	close(fd);
	if (n < 0)
		return wh_err_os(path, "cannot read");
	*ret = WH_FILE_DUMP;
	if (n >= 18 && !memcmp(head, ELFMAG, SELFMAG)) {
		unsigned int type = head[EI_DATA] == ELFDATA2MSB ? head[17] : head[16];

		if (type != ET_CORE)
			*ret = WH_FILE_SYMBOLS;
		return NULL;
	}
	while (i < (size_t)n && isspace(head[i]))
		i++;
	if (i < (size_t)n && head[i] == '{')
		*ret = WH_FILE_REPORT;
	return NULL;
}
