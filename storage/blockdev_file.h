/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockdev_file.h: the real side of blockdev.h: a regular file (pre-written with zeros) or a block
 * device, opened past the page cache, written with a durability flag on each write. io_uring where
 * the kernel has it, otherwise one pwritev2 per write, finished before blockdev_write returns.
 *
 * One thread uses a device at a time; it may be opened on one thread and then handed to another
 * while nothing is in flight.
 */
#ifndef CAIRN_STORAGE_BLOCKDEV_FILE_H
#define CAIRN_STORAGE_BLOCKDEV_FILE_H

#include "storage/blockdev.h"

struct blockdev_file_options {
	bool uring_disabled; /* use pwritev2 even if there is io_uring */
	bool read_only;	     /* for inspection: blockdev_write gives -EROFS */
	bool shared;	     /* others use the disk, too: blockdev_read first sleeps for as long as
			      * the last one and its use took, 1 ms at most */
};

/*
 * blockdev_file_create: a new file of the given size (a multiple of BLOCK_BYTES, > 0), written with
 * zeros and durable, its directory entry too. Blocks. -EINVAL: size; -EEXIST: something is there,
 * untouched; -ENOSPC, -EIO, ...: the partial file is removed.
 */
int blockdev_file_create(const char *path, uint64_t bytes);

/*
 * blockdev_file_rename: gives a closed file its final name, durably. 0; -EEXIST: something has that
 * name, untouched; or another negative errno.
 */
int blockdev_file_rename(const char *from, const char *to);

/*
 * blockdev_file_open: locks the file (released by close or by the end of the process), and flushes
 * it, so that what a killed process left in a volatile cache is durable before it is believed.
 * options may be NULL. Allocates. -EBUSY: another open holds it (already in use), or its process
 * was killed some milliseconds ago and the kernel still completes its writes: try again for a
 * moment; -EISDIR, -ENOTBLK: neither file nor block device; -ENXIO: size is zero or not a multiple
 * of BLOCK_BYTES, so not what blockdev_file_create made; or open's error.
 */
int blockdev_file_open(const char *path, const struct blockdev_file_options *options,
		       struct blockdev **ret_dev);

/* blockdev_file_close: waits for what is in flight, unlocks, frees. NULL is allowed. */
void blockdev_file_close(struct blockdev *dev);

/* blockdev_file_direct: false: no direct I/O on this file system; the page cache is used. */
bool blockdev_file_direct(const struct blockdev *dev);

/* blockdev_file_backend: "io_uring" or "pwritev2"; known after the first transfer. */
const char *blockdev_file_backend(const struct blockdev *dev);

#endif
