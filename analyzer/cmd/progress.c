/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "analyzer/cmd/progress.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PHASES_MAX 32

/* A line is drawn over the last one and wiped with blanks, never with an escape sequence: the terminal may be a dumb
 * one, and NO_COLOR promises none at all. */
#define COLUMNS 79
#define BLANKS	"                                                                               "
#define WIPE	"\r" BLANKS "\r"
_Static_assert(sizeof(BLANKS) == COLUMNS + 1, "as many blanks as a line has columns");

struct phase {
	const char *name; /* phases are named by string constants */
	double seconds;
};

/* The one object that signal handlers see. */
static struct {
	struct wh_ctx *ctx;
	bool draw, drawn;
	double started, phase_started, next;
	const char *volatile phase;
	volatile uint64_t done, total;
	const char *volatile unlink_path;
	struct phase phases[PHASES_MAX];
	size_t n_phases;
	struct sigaction old_int, old_term, old_alrm;
} run;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void phase_end(double t)
{
	size_t i = 0;

	if (!run.phase)
		return;
	while (i < run.n_phases && strcmp(run.phases[i].name, run.phase))
		i++;
	if (i == PHASES_MAX)
		return;
	if (i == run.n_phases)
		run.phases[run.n_phases++] = (struct phase){.name = run.phase};
	run.phases[i].seconds += t - run.phase_started;
}

static void draw(double t)
{
	double spent = t - run.phase_started;
	char left[32] = "", line[COLUMNS + 1];
	int percent = 0;

	if (run.total) {
		double part = (double)run.done / (double)run.total;

		percent = (int)(part * 100);
		if (part > 0.02 && spent > 0.5)
			snprintf(left, sizeof(left), ", %.0f s left", spent / part - spent);
	}
	if (run.total >= (1u << 20))
		snprintf(line, sizeof(line), "%s: %3d %%, %llu of %llu M, %.0f M/s%s", run.phase,
			 percent, (unsigned long long)(run.done >> 20),
			 (unsigned long long)(run.total >> 20),
			 spent > 0 ? (double)run.done / 1048576 / spent : 0.0, left);
	else
		snprintf(line, sizeof(line), "%s: %3d %%, %llu of %llu%s", run.phase, percent,
			 (unsigned long long)run.done, (unsigned long long)run.total, left);
	fprintf(stderr, "\r%-*s", COLUMNS, line);
	fflush(stderr);
	run.drawn = true;
}

static void progress(WH_UNUSED void *arg, const char *phase, uint64_t done, uint64_t total)
{
	double t = now();

	if (!run.phase || strcmp(phase, run.phase)) {
		phase_end(t);
		run.phase = phase;
		run.phase_started = t;
	}
	run.done = done;
	run.total = total;
	if (!run.draw || t < run.next)
		return;
	run.next = t + 0.1;
	draw(t);
}

/* Only async-signal-safe calls from here on. */
static void say(const char *s)
{
	ssize_t n = write(STDERR_FILENO, s, strlen(s));

	(void)n;
}

static void say_percent(void)
{
	unsigned int p = run.total ? (unsigned int)(run.done * 100 / run.total) : 0;
	char buf[] = " (at 000 %)";

	if (!run.total || p > 100)
		return;
	buf[5] = p == 100 ? '1' : ' ';
	buf[6] = p >= 10 ? (char)('0' + p / 10 % 10) : ' ';
	buf[7] = (char)('0' + p % 10);
	say(buf);
}

void wh_progress_say_interrupted(void)
{
	if (run.drawn)
		say(WIPE);
	say("weephole: interrupted");
	if (run.phase) {
		say(" while ");
		say(run.phase);
		say_percent();
	}
	say("; what came after was not done, and no report was written\n");
}

static void on_alarm(WH_UNUSED int sig)
{
	wh_progress_say_interrupted();
	if (run.unlink_path)
		unlink(run.unlink_path);
	_exit(130);
}

static void on_interrupt(int sig)
{
	struct itimerval soon = {.it_value = {.tv_usec = 80000}};
	int saved = errno;

	if (atomic_load(&run.ctx->cancel))
		on_alarm(sig);
	atomic_store(&run.ctx->cancel, true);
	setitimer(ITIMER_REAL, &soon, NULL);
	errno = saved;
}

void wh_progress_start(struct wh_ctx *ctx, enum wh_progress_mode mode)
{
	struct sigaction interrupt = {.sa_handler = on_interrupt}, alarm = {.sa_handler = on_alarm};

	memset(&run, 0, sizeof(run));
	run.ctx = ctx;
	run.draw =
		mode == WH_PROGRESS_ALWAYS || (mode == WH_PROGRESS_AUTO && isatty(STDERR_FILENO));
	run.started = now();
	run.next = run.started + (mode == WH_PROGRESS_ALWAYS ? 0 : 1);
	ctx->progress = progress;
	sigemptyset(&interrupt.sa_mask);
	sigemptyset(&alarm.sa_mask);
	sigaction(SIGINT, &interrupt, &run.old_int);
	sigaction(SIGTERM, &interrupt, &run.old_term);
	sigaction(SIGALRM, &alarm, &run.old_alrm);
}

void wh_progress_set_unlink(const char *path)
{
	run.unlink_path = path;
}

void wh_progress_clear(void)
{
	if (!run.drawn)
		return;
	fputs(WIPE, stderr);
	fflush(stderr);
	run.drawn = false;
}

void wh_progress_stop(bool verbose)
{
	struct itimerval never = {0};
	struct rusage ru;

	setitimer(ITIMER_REAL, &never, NULL);
	wh_progress_clear();
	phase_end(now());
	if (verbose) {
		for (size_t i = 0; i < run.n_phases; i++)
			fprintf(stderr, "%-28s %8.3f s\n", run.phases[i].name,
				run.phases[i].seconds);
		getrusage(RUSAGE_SELF, &ru);
		fprintf(stderr, "%-28s %8.3f s, peak memory %ld MiB\n", "in all",
			now() - run.started, ru.ru_maxrss / 1024);
	}
	sigaction(SIGINT, &run.old_int, NULL);
	sigaction(SIGTERM, &run.old_term, NULL);
	sigaction(SIGALRM, &run.old_alrm, NULL);
	run.ctx->progress = NULL;
}
