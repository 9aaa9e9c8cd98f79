/* SPDX-License-Identifier: Apache-2.0 */
/* test_blockdev_file.c: the real disk side, in a temporary folder: both backends, locks, refusals.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "storage/blockdev_file.h"

#define FILE_BYTES (64u * BLOCK_BYTES)

static char folder[200];
static char path[256];
static _Alignas(BLOCK_BYTES) uint8_t out[4 * BLOCK_BYTES], in[4 * BLOCK_BYTES];

static int set_up(void **state)
{
	/* Not /tmp, which may be in memory and then has no direct I/O. */
	const char *base = getenv("TMPDIR");

	(void)state;
	snprintf(folder, sizeof(folder), "%s/blockdev-test-XXXXXX", base ? base : "/var/tmp");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/file", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static int32_t finish(struct blockdev *dev, uint64_t token)
{
	struct blockdev_completion c;

	while (blockdev_poll(dev, &c, 1) == 0)
		blockdev_wait(dev);
	assert_int_equal(c.token, token);
	return c.result;
}

static void round_trip(struct blockdev *dev, uint8_t fill)
{
	struct blockdev_completion c;

	memset(out, fill, sizeof(out));
	memset(in, 0, sizeof(in));
	assert_int_equal(blockdev_poll(dev, &c, 1), 0);
	assert_int_equal(blockdev_write(dev, 7, out, sizeof(out), 8 * BLOCK_BYTES), 0);
	assert_int_equal(finish(dev, 7), sizeof(out));
	assert_int_equal(blockdev_read(dev, 8, in, sizeof(in), 8 * BLOCK_BYTES), 0);
	assert_int_equal(finish(dev, 8), sizeof(in));
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(blockdev_poll(dev, &c, 1), 0);
}

static void create_refuses(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(blockdev_file_create(path, 0), -EINVAL);
	assert_int_equal(blockdev_file_create(path, 5000), -EINVAL);
	assert_int_equal(blockdev_file_create("/nonexistent/folder/file", FILE_BYTES), -ENOENT);
	assert_true(blockdev_file_create(path, 1ull << 60) < 0); /* -ENOSPC or -EFBIG */
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(blockdev_file_create(path, FILE_BYTES), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, FILE_BYTES);
	assert_int_equal(blockdev_file_create(path, FILE_BYTES), -EEXIST);
}

static void open_refuses(void **state)
{
	struct blockdev *dev = NULL, *second = NULL;

	(void)state;
	assert_int_equal(blockdev_file_open("/nonexistent", NULL, &dev), -ENOENT);
	assert_int_equal(blockdev_file_open("/dev/null", NULL, &dev), -ENOTBLK);
	assert_null(dev);
	assert_int_equal(blockdev_file_open(path, NULL, &dev), 0);
	assert_int_equal(blockdev_file_open(path, NULL, &second), -EBUSY);
	assert_null(second);
	round_trip(dev, 1);
	blockdev_file_close(dev);
	assert_int_equal(blockdev_file_open(path, NULL, &dev), 0); /* at once */
	blockdev_file_close(dev);
}

static void both_backends(void **state)
{
	struct blockdev_file_options options = { 0 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct blockdev *dev;

		options.uring_disabled = i == 1;
		assert_int_equal(blockdev_file_open(path, &options, &dev), 0);
		assert_int_equal(blockdev_bytes(dev), FILE_BYTES);
		round_trip(dev, (uint8_t)(2 + i));
		if (i == 1)
			assert_string_equal(blockdev_file_backend(dev), "pwritev2");
		blockdev_file_close(dev);
	}
}

static void many_in_flight(void **state)
{
	struct blockdev_completion c[BLOCKDEV_DEPTH];
	struct blockdev *dev;
	uint32_t seen = 0;

	(void)state;
	assert_int_equal(blockdev_file_open(path, NULL, &dev), 0);
	for (uint64_t round = 0; round < 10; round++) {
		for (uint64_t i = 0; i < BLOCKDEV_DEPTH; i++)
			assert_int_equal(blockdev_write(dev, i, out, BLOCK_BYTES, i * BLOCK_BYTES),
					 0);
		for (seen = 0; seen != (1u << BLOCKDEV_DEPTH) - 1;) {
			uint32_t n = blockdev_poll(dev, c, 3);

			for (uint32_t i = 0; i < n; i++) {
				assert_int_equal(c[i].result, BLOCK_BYTES);
				assert_false(seen & 1u << c[i].token); /* W-CQE-ONCE */
				seen |= 1u << c[i].token;
			}
			if (n == 0)
				blockdev_wait(dev);
		}
	}
	blockdev_file_close(dev);
}

static void *other_thread(void *dev)
{
	round_trip(dev, 9);
	return NULL;
}

/* Opened and used here, then by another thread, then here again. */
static void handed_over(void **state)
{
	struct blockdev *dev;
	pthread_t thread;

	(void)state;
	assert_int_equal(blockdev_file_open(path, NULL, &dev), 0);
	round_trip(dev, 8);
	assert_int_equal(pthread_create(&thread, NULL, other_thread, dev), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	round_trip(dev, 10);
	blockdev_file_close(dev);
}

/*
 * R29: the kernel has no io_uring to give any more (limits, sysctl), at the first transfer, or when
 * the device is handed over to another thread: transfers go another way, none is lost.
 */
static void without_io_uring(void **state)
{
	struct rlimit before, none;
	struct blockdev *dev;
	pthread_t thread;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (int handed = 0; handed < 2; handed++) {
		assert_int_equal(blockdev_file_open(path, NULL, &dev), 0);
		if (handed)
			round_trip(dev, 11);
		none = (struct rlimit){ .rlim_cur = 0, .rlim_max = before.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0); /* no new descriptors */
		if (handed) {
			assert_int_equal(pthread_create(&thread, NULL, other_thread, dev), 0);
			assert_int_equal(pthread_join(thread, NULL), 0);
		}
		round_trip(dev, 12);
		assert_string_equal(blockdev_file_backend(dev), "pwritev2");
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		blockdev_file_close(dev);
	}
}

/* Who shares the disk reads the same, and has paused. */
static void shared(void **state)
{
	struct blockdev_file_options options = { .shared = true };
	struct timespec began, ended;
	struct blockdev *dev;

	(void)state;
	unlink(path);
	assert_int_equal(blockdev_file_create(path, FILE_BYTES), 0);
	assert_int_equal(blockdev_file_open(path, &options, &dev), 0);
	clock_gettime(CLOCK_MONOTONIC, &began);
	assert_int_equal(blockdev_read(dev, 2, in, BLOCK_BYTES, 0), 0);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	assert_int_equal(finish(dev, 2), BLOCK_BYTES);
	round_trip(dev, 0x5c);
	assert_true((ended.tv_sec - began.tv_sec) * 1000000000l + ended.tv_nsec - began.tv_nsec >=
		    1000000); /* the first read pauses for the longest time there is */
	blockdev_file_close(dev);
}

static void read_only(void **state)
{
	struct blockdev_file_options options = { .read_only = true };
	struct blockdev *dev;

	(void)state;
	assert_int_equal(blockdev_file_open(path, &options, &dev), 0);
	assert_int_equal(blockdev_write(dev, 1, out, BLOCK_BYTES, 0), -EROFS);
	assert_int_equal(blockdev_read(dev, 2, in, BLOCK_BYTES, 0), 0);
	assert_int_equal(finish(dev, 2), BLOCK_BYTES);
	blockdev_file_close(dev);
}

/* A file system without direct I/O is served through the page cache, and says so. */
static void without_direct_io(void **state)
{
	char name[64];
	struct blockdev *dev;

	(void)state;
	snprintf(name, sizeof(name), "/dev/shm/blockdev-test-%d", (int)getpid());
	assert_int_equal(blockdev_file_create(name, FILE_BYTES), 0);
	assert_int_equal(blockdev_file_open(name, NULL, &dev), 0);
	round_trip(dev, 3);
	if (!blockdev_file_direct(dev))
		assert_string_equal(blockdev_file_backend(dev), "pwritev2");
	blockdev_file_close(dev);
	unlink(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create_refuses),    cmocka_unit_test(open_refuses),
		cmocka_unit_test(both_backends),     cmocka_unit_test(many_in_flight),
		cmocka_unit_test(handed_over),	     cmocka_unit_test(without_io_uring),
		cmocka_unit_test(read_only),	     cmocka_unit_test(without_direct_io),
		cmocka_unit_test(shared),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
