/* SPDX-License-Identifier: Apache-2.0 */
/* blockdev_file.c: files and block devices through io_uring or pwritev2. */
#include "storage/blockdev_file.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RING_ENTRIES 16u
#define PAUSE_MAX_NS 1000000u

_Static_assert(RING_ENTRIES >= BLOCKDEV_DEPTH, "a submission entry is always free");

enum backend {
	BACKEND_UNDECIDED, /* no transfer yet: the ring belongs to the thread of the first one */
	BACKEND_URING,
	BACKEND_SYNC,
};

struct blockdev {
	uint64_t bytes;
	int fd;
	bool direct;
	bool read_only;
	bool shared;
	uint64_t paused_ns; /* shared: end of the last pause */
	bool no_dsync_flag; /* pwritev2 or its flag is missing: pwrite and fdatasync */
	enum backend backend;
	uint32_t in_flight;
	uint32_t finished_count; /* BACKEND_SYNC: transfers not yet polled */
	struct blockdev_completion finished[BLOCKDEV_DEPTH];
	struct io_uring ring;
};

static int write_zeros(int fd, uint64_t bytes)
{
	void *zeros = mmap(NULL, BLOCKDEV_TRANSFER_MAX, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	int rc = 0;

	if (zeros == MAP_FAILED)
		return -errno;
	for (uint64_t at = 0; at < bytes && rc == 0;) {
		size_t n = min_u64(BLOCKDEV_TRANSFER_MAX, bytes - at);
		ssize_t done = pwrite(fd, zeros, n, (off_t)at);

		if (done > 0)
			at += (uint64_t)done;
		else if (done == 0)
			rc = -EIO;
		else if (errno != EINTR)
			rc = -errno;
	}
	munmap(zeros, BLOCKDEV_TRANSFER_MAX);
	return rc;
}

/* sync_directory: makes the name of a new file durable. */
static int sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
	int fd, rc = 0;

	if (name == NULL)
		return -ENOMEM;
	fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(name);
	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* drop_direct: the file system may refuse O_DIRECT at open, or only at the first transfer. */
static void drop_direct(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags & ~O_DIRECT);
}

int blockdev_file_create(const char *path, uint64_t bytes)
{
	int fd, rc;

	if (bytes == 0 || bytes % BLOCK_BYTES != 0 || bytes > INT64_MAX)
		return -EINVAL;
	fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	/* One long extent, and a full disk shows before minutes of writing; not all can do it. */
	rc = fallocate(fd, 0, 0, (off_t)bytes) < 0 && errno != EOPNOTSUPP && errno != ENOSYS
		     ? -errno
		     : 0;
	if (rc == 0 && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_DIRECT) < 0)
		drop_direct(fd);
	if (rc == 0)
		rc = write_zeros(fd, bytes);
	if (rc == -EINVAL) {
		drop_direct(fd);
		rc = write_zeros(fd, bytes);
	}
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	close(fd);
	if (rc == 0)
		rc = sync_directory(path);
	if (rc < 0)
		unlink(path);
	return rc;
}

int blockdev_file_rename(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) < 0) {
		/* Some file systems have no such flag. */
		if (errno != EINVAL && errno != ENOSYS)
			return -errno;
		if (access(to, F_OK) == 0)
			return -EEXIST;
		if (rename(from, to) < 0)
			return -errno;
	}
	return sync_directory(to);
}

static int find_bytes(struct blockdev *dev)
{
	struct stat st;
	off_t end;

	if (fstat(dev->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -ENOTBLK;
	end = lseek(dev->fd, 0, SEEK_END);
	if (end < 0)
		return -errno;
	if (end == 0 || end % BLOCK_BYTES != 0)
		return -ENXIO;
	dev->bytes = (uint64_t)end;
	return 0;
}

/* probe_direct: reads one block, to see whether direct I/O works here at all. */
static int probe_direct(struct blockdev *dev)
{
	void *block = NULL;
	int rc = 0;

	if (!dev->direct)
		return 0;
	if (posix_memalign(&block, BLOCK_BYTES, BLOCK_BYTES) != 0)
		return -ENOMEM;
	if (pread(dev->fd, block, BLOCK_BYTES, 0) < 0) {
		rc = errno == EINVAL ? 0 : -errno;
		drop_direct(dev->fd);
		dev->direct = false;
	}
	free(block);
	return rc;
}

static int open_locked(struct blockdev *dev, const char *path)
{
	/* A FIFO would wait for its other end here; find_bytes refuses it. */
	int flags = (dev->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK;

	dev->fd = open(path, flags | O_DIRECT);
	dev->direct = dev->fd >= 0;
	if (dev->fd < 0 && errno == EINVAL)
		dev->fd = open(path, flags);
	if (dev->fd < 0)
		return -errno;
	/* For the open alone: with it io_uring may end transfers with EAGAIN. */
	if (fcntl(dev->fd, F_SETFL, fcntl(dev->fd, F_GETFL) & ~O_NONBLOCK) < 0)
		return -errno;
	if (flock(dev->fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return 0;
}

int blockdev_file_open(const char *path, const struct blockdev_file_options *options,
		       struct blockdev **ret_dev)
{
	struct blockdev *dev = calloc(1, sizeof(*dev));
	int rc;

	if (dev == NULL)
		return -ENOMEM;
	dev->read_only = options != NULL && options->read_only;
	dev->shared = options != NULL && options->shared;
	rc = open_locked(dev, path);
	if (rc == 0)
		rc = find_bytes(dev);
	if (rc == 0)
		rc = probe_direct(dev);
	if (rc == 0 && !dev->read_only && fdatasync(dev->fd) < 0)
		rc = -errno;
	if (rc < 0) {
		if (dev->fd >= 0)
			close(dev->fd);
		free(dev);
		return rc;
	}
	/* Buffered writes would go to kernel helper threads, which starve beside polling ones. */
	if (!dev->direct || (options != NULL && options->uring_disabled))
		dev->backend = BACKEND_SYNC;
	*ret_dev = dev;
	return 0;
}

void blockdev_file_close(struct blockdev *dev)
{
	struct blockdev_completion done[BLOCKDEV_DEPTH];

	if (dev == NULL)
		return;
	while (dev->in_flight > 0) {
		blockdev_wait(dev);
		blockdev_poll(dev, done, ARRAY_LEN(done));
	}
	if (dev->backend == BACKEND_URING)
		io_uring_queue_exit(&dev->ring);
	/* The kernel lets go of a ring's files a little later; the lock must not linger with them.
	 */
	(void)flock(dev->fd, LOCK_UN);
	close(dev->fd);
	free(dev);
}

bool blockdev_file_direct(const struct blockdev *dev)
{
	return dev->direct;
}

const char *blockdev_file_backend(const struct blockdev *dev)
{
	return dev->backend == BACKEND_SYNC ? "pwritev2" : "io_uring";
}

uint64_t blockdev_bytes(const struct blockdev *dev)
{
	return dev->bytes;
}

uint64_t blockdev_blank_from(const struct blockdev *dev)
{
	return blockdev_bytes(dev);
}

/*
 * With TASKRUN_FLAG the kernel says in shared memory that completions wait to be collected, so that
 * polling makes a system call only then.
 */
static void start_ring(struct blockdev *dev)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SINGLE_ISSUER |
						   IORING_SETUP_DEFER_TASKRUN |
						   IORING_SETUP_TASKRUN_FLAG };
	int rc = io_uring_queue_init_params(RING_ENTRIES, &dev->ring, &params);

	if (rc == -EINVAL) {
		params = (struct io_uring_params) { 0 };
		rc = io_uring_queue_init_params(RING_ENTRIES, &dev->ring, &params);
	}
	dev->backend = rc < 0 && !mutant(250) ? BACKEND_SYNC : BACKEND_URING;
	if (rc == 0 && io_uring_register_files(&dev->ring, &dev->fd, 1) < 0) {
		io_uring_queue_exit(&dev->ring);
		dev->backend = BACKEND_SYNC;
	}
}

struct transfer {
	uint64_t token;
	void *data;
	uint64_t offset;
	uint32_t bytes;
	bool write;
};

static int uring_submit(struct blockdev *dev, const struct transfer *t)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&dev->ring);
	int rc;

	must(sqe != NULL);
	if (t->write) {
		io_uring_prep_write(sqe, 0, t->data, t->bytes, t->offset);
		sqe->rw_flags = RWF_DSYNC;
	} else {
		io_uring_prep_read(sqe, 0, t->data, t->bytes, t->offset);
	}
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(sqe, t->token);
	do {
		rc = io_uring_submit(&dev->ring);
	} while (rc == -EINTR || rc == -EAGAIN);
	if (rc < 0)
		return rc;
	return rc == 1 ? 0 : -EIO;
}

static ssize_t write_durable(struct blockdev *dev, const struct transfer *t)
{
	struct iovec part = { .iov_base = t->data, .iov_len = t->bytes };
	ssize_t n;

	if (!dev->no_dsync_flag) {
		n = pwritev2(dev->fd, &part, 1, (off_t)t->offset, RWF_DSYNC);
		if (n >= 0 || (errno != ENOSYS && errno != EOPNOTSUPP && errno != EINVAL))
			return n;
		dev->no_dsync_flag = true;
	}
	n = pwrite(dev->fd, t->data, t->bytes, (off_t)t->offset);
	if (n >= 0 && fdatasync(dev->fd) < 0)
		return -1;
	return n;
}

static void sync_transfer(struct blockdev *dev, const struct transfer *t)
{
	struct blockdev_completion *c = &dev->finished[dev->finished_count++];
	ssize_t n;

	do {
		n = t->write ? write_durable(dev, t)
			     : pread(dev->fd, t->data, t->bytes, (off_t)t->offset);
	} while (n < 0 && errno == EINTR);
	c->token = t->token;
	c->result = n < 0 ? -errno : (int32_t)n;
}

static int start(struct blockdev *dev, const struct transfer *t)
{
	int rc = 0;

	must(dev->in_flight < BLOCKDEV_DEPTH);
	must(t->bytes > 0 && t->bytes <= BLOCKDEV_TRANSFER_MAX && t->bytes % BLOCK_BYTES == 0);
	must(t->offset % BLOCK_BYTES == 0 && (uintptr_t)t->data % BLOCK_BYTES == 0);
	must(t->offset <= dev->bytes && t->bytes <= dev->bytes - t->offset);
	if (dev->backend == BACKEND_UNDECIDED)
		start_ring(dev);
	if (dev->backend == BACKEND_URING) {
		rc = uring_submit(dev, t);
		/* The ring is another thread's: the device was handed over. Make our own. */
		if (rc == -EEXIST && dev->in_flight == 0) {
			io_uring_queue_exit(&dev->ring);
			start_ring(dev);
			rc = dev->backend == BACKEND_URING ? uring_submit(dev, t) : 0;
		}
	}
	if (rc == 0 && dev->backend == BACKEND_SYNC)
		sync_transfer(dev, t);
	if (rc == 0)
		dev->in_flight++;
	return rc;
}

int blockdev_write(struct blockdev *dev, uint64_t token, const void *data, uint32_t bytes,
		   uint64_t offset)
{
	if (dev->read_only)
		return -EROFS;
	return start(dev, &(struct transfer) { .token = token,
					       .data = (void *)(uintptr_t)data,
					       .bytes = bytes,
					       .offset = offset,
					       .write = true });
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* pause_reading: for as long as the reader was busy since the last pause. Only recovery reads. */
static void pause_reading(struct blockdev *dev)
{
	struct timespec pause = { .tv_nsec = PAUSE_MAX_NS };

	pause.tv_nsec = (long)min_u64(now_ns() - dev->paused_ns, PAUSE_MAX_NS);
	nanosleep(&pause, NULL);
	dev->paused_ns = now_ns();
}

int blockdev_read(struct blockdev *dev, uint64_t token, void *data, uint32_t bytes, uint64_t offset)
{
	if (dev->shared)
		pause_reading(dev);
	return start(dev, &(struct transfer) {
				  .token = token, .data = data, .bytes = bytes, .offset = offset });
}

static uint32_t sync_poll(struct blockdev *dev, struct blockdev_completion *out, uint32_t max)
{
	uint32_t n = dev->finished_count < max ? dev->finished_count : max;

	memcpy(out, dev->finished, n * sizeof(*out));
	dev->finished_count -= n;
	memmove(dev->finished, dev->finished + n, dev->finished_count * sizeof(*out));
	return n;
}

static uint32_t uring_poll(struct blockdev *dev, struct blockdev_completion *out, uint32_t max)
{
	struct io_uring_cqe *cqes[BLOCKDEV_DEPTH];
	uint32_t n = io_uring_peek_batch_cqe(&dev->ring, cqes,
					     max < BLOCKDEV_DEPTH ? max : BLOCKDEV_DEPTH);

	for (uint32_t i = 0; i < n; i++) {
		out[i].token = cqes[i]->user_data;
		out[i].result = cqes[i]->res;
	}
	io_uring_cq_advance(&dev->ring, n);
	return n;
}

uint32_t blockdev_poll(struct blockdev *dev, struct blockdev_completion *out, uint32_t max)
{
	uint32_t n;

	if (dev->in_flight == 0)
		return 0;
	n = dev->backend == BACKEND_SYNC ? sync_poll(dev, out, max) : uring_poll(dev, out, max);
	must(n <= dev->in_flight);
	dev->in_flight -= n;
	return n;
}

void blockdev_wait(struct blockdev *dev)
{
	struct io_uring_cqe *cqe;
	int rc;

	must(dev->in_flight > 0);
	if (dev->backend == BACKEND_SYNC)
		return;
	do {
		rc = io_uring_wait_cqe(&dev->ring, &cqe);
	} while (rc == -EINTR);
	must(rc == 0);
}
