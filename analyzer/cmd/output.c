/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/cmd/output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "analyzer/base/strbuf.h"
#include "analyzer/cmd/progress.h"

static bool wants_color(bool color)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return color && isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb");
}

/* A file that is not a regular one (/dev/null, a pipe) is written in place. */
static bool in_place(const char *path)
{
	struct stat st;

	return !stat(path, &st) && !S_ISREG(st.st_mode);
}

static struct wh_err *temp_open(const char *path, char **ret_tmp, FILE **ret)
{
	char *tmp = NULL;
	mode_t mask = umask(0);
	FILE *f;
	int fd;

	umask(mask);
	if (asprintf(&tmp, "%s.XXXXXX", path) < 0)
		return &wh_err_nomem;
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0) {
		free(tmp);
		return wh_err_os(path, "cannot create");
	}
	fchmod(fd, 0666 & ~mask);
	f = fdopen(fd, "w");
	if (!f) {
		close(fd);
		unlink(tmp);
		free(tmp);
		return &wh_err_nomem;
	}
	*ret_tmp = tmp;
	*ret = f;
	return NULL;
}

struct wh_err *wh_output_open(const char *path, bool pager, bool color, struct wh_output *ret)
{
	struct wh_output o = {0};
	struct wh_err *e = NULL;

	if (path && strcmp(path, "-")) {
		o.path = path;
		if (in_place(path)) {
			o.f = fopen(path, "we");
			e = o.f ? NULL : wh_err_os(path, "cannot write");
		} else {
			e = temp_open(path, &o.tmp, &o.f);
			wh_progress_set_unlink(o.tmp);
		}
		if (e)
			return e;
		*ret = o;
		return NULL;
	}
	o.color = wants_color(color);
	o.paged = pager && isatty(STDOUT_FILENO) && wants_color(true);
	*ret = o;
	if (o.paged) {
		ret->f = open_memstream(&ret->text, &ret->len);
		return ret->f ? NULL : &wh_err_nomem;
	}
	ret->f = stdout;
	return NULL;
}

static size_t count_lines(const char *s, size_t n)
{
	size_t lines = 0;

	for (size_t i = 0; i < n; i++)
		lines += s[i] == '\n';
	return lines;
}

static bool page(const char *text, size_t len)
{
	const char *pager = getenv("PAGER");
	char *argv[] = {"sh", "-c", pager && *pager ? NULL : "less -FIRX", NULL};
	posix_spawn_file_actions_t fa;
	int fds[2], status;
	pid_t pid;
	FILE *f;

	if (!argv[2])
		argv[2] = getenv("PAGER");
	if (pipe2(fds, O_CLOEXEC))
		return false;
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, fds[0], STDIN_FILENO);
	if (posix_spawn(&pid, "/bin/sh", &fa, NULL, argv, environ)) {
		close(fds[0]);
		close(fds[1]);
		posix_spawn_file_actions_destroy(&fa);
		return false;
	}
	posix_spawn_file_actions_destroy(&fa);
	close(fds[0]);
	f = fdopen(fds[1], "w");
	if (f) {
		fwrite(text, 1, len, f); /* leaving the pager early is no error */
		fclose(f);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) != 127;
}

static struct wh_err *commit_terminal(struct wh_output *o)
{
	struct winsize ws = {0};
	struct wh_err *e = NULL;
	void (*old)(int);
	bool done = false;

	if (fclose(o->f)) {
		free(o->text);
		return &wh_err_nomem;
	}
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) || !ws.ws_row)
		ws.ws_row = 24;
	if (count_lines(o->text, o->len) >= ws.ws_row) {
		old = signal(SIGPIPE, SIG_IGN);
		done = page(o->text, o->len);
		signal(SIGPIPE, old);
	}
	if (!done && (fwrite(o->text, 1, o->len, stdout) != o->len || fflush(stdout)))
		e = wh_err_os(NULL, "writing the report");
	free(o->text);
	return e;
}

struct wh_err *wh_output_commit(struct wh_output *o)
{
	struct wh_err *e = NULL;

	if (o->paged)
		return commit_terminal(o);
	if (o->f == stdout)
		return fflush(stdout) ? wh_err_os(NULL, "writing the report") : NULL;
	if (fclose(o->f))
		e = wh_err_os(o->path, "writing the report");
	if (!e && o->tmp && rename(o->tmp, o->path))
		e = wh_err_os(o->path, "cannot write");
	wh_progress_set_unlink(NULL);
	if (e && o->tmp)
		unlink(o->tmp);
	free(o->tmp);
	return e;
}

void wh_output_discard(struct wh_output *o)
{
	if (!o->f)
		return;
	if (o->f != stdout)
		fclose(o->f);
	if (o->tmp) {
		wh_progress_set_unlink(NULL);
		unlink(o->tmp);
	}
	free(o->tmp);
	free(o->text);
}

struct wh_err *wh_output_replace(const char *path, const char *text, size_t len)
{
	struct wh_output o = {.path = path};

	WH_TRY(temp_open(path, &o.tmp, &o.f));
	if (fwrite(text, 1, len, o.f) != len) {
		struct wh_err *e = wh_err_os(path, "cannot write");

		wh_output_discard(&o);
		return e;
	}
	return wh_output_commit(&o);
}
