/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockdev.h: the seam between storage and the disk. A block device is a fixed-size array of
 * blocks. Two sides implement it, chosen at link time: storage/blockdev_file.c (io_uring, or
 * pwritev2 where the kernel has no io_uring) and tests/sim/sim_disk.c (virtual time, torn and lost
 * writes). One thread owns a device.
 *
 * A write is durable when its completion arrives with result == bytes, and not before: there is no
 * separate flush, because one write with a durability flag beats write-plus-flush on every device
 * measured. Until then a crash may leave any subset of its 512-byte sectors old or new.
 * What can be read when a device has just been opened is durable: opening flushes it.
 * Any error is final for the device (W-FSYNC-DEAD): the caller must stop acknowledging.
 */
#ifndef CAIRN_STORAGE_BLOCKDEV_H
#define CAIRN_STORAGE_BLOCKDEV_H

#include "replication/base.h"

#define BLOCK_BYTES 4096u	/* offset, length and memory alignment of every transfer */
#define BLOCKDEV_DEPTH 8u	/* transfers in flight */
#define BLOCKDEV_TRANSFER_MAX (1u << 20) /* bytes of one transfer */

struct blockdev;

struct blockdev_completion {
	uint64_t token;	 /* the caller's, from the submission */
	int32_t result;	 /* bytes transferred, or a negative errno; short counts are errors */
};

/* blockdev_bytes: size of the device, a multiple of BLOCK_BYTES, constant while open. */
uint64_t blockdev_bytes(const struct blockdev *dev);

/* blockdev_blank_from: from here on it reads as zeros; blockdev_bytes() if it cannot tell. */
uint64_t blockdev_blank_from(const struct blockdev *dev);

/*
 * blockdev_write, blockdev_read: start one transfer. data, bytes and offset are multiples of
 * BLOCK_BYTES, bytes in (0, BLOCKDEV_TRANSFER_MAX], inside the device; data stays untouched until
 * the completion. At most BLOCKDEV_DEPTH in flight (a must). Return 0, or a negative errno when
 * the transfer could not be started (then there is no completion).
 */
int blockdev_write(struct blockdev *dev, uint64_t token, const void *data, uint32_t bytes,
		   uint64_t offset);
int blockdev_read(struct blockdev *dev, uint64_t token, void *data, uint32_t bytes,
		  uint64_t offset);

/* blockdev_poll: takes up to max finished transfers; never blocks. Returns how many. */
uint32_t blockdev_poll(struct blockdev *dev, struct blockdev_completion *out, uint32_t max);

/*
 * blockdev_wait: blocks until at least one transfer has finished (start-up and recovery only).
 * The simulator advances virtual time. Must not be called with nothing in flight.
 */
void blockdev_wait(struct blockdev *dev);

#endif
