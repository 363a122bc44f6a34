/* SPDX-License-Identifier: GPL-2.0-or-later */
/* touch-pages FILE: seconds to touch every page of a mapped file once: the yardstick of the benchmarks. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDONLY) : -1;
	struct stat st;
	const volatile char *p;
	double start;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
		return 2;
	start = now();
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return 2;
	for (off_t at = 0; at < st.st_size; at += 4096)
		(void)p[at];
	printf("%.3f\n", now() - start);
	return 0;
}
