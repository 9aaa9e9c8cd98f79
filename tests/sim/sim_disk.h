/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_disk.h: the simulated side of storage/blockdev.h: a disk in memory under virtual time, whose
 * latencies, tears and faults come from one seed. Many per process; no two share state.
 *
 * A write reaches the image when it completes. A crash before that loses it, keeps it, or leaves
 * any subset of its 512-byte sectors. Data handed to a write is checksummed at submission and at
 * completion: a caller that changes it in between fails a must (W-CQE-ONCE).
 */
#ifndef CAIRN_TESTS_SIM_DISK_H
#define CAIRN_TESTS_SIM_DISK_H

#include "storage/blockdev.h"

#define SIM_SECTOR_BYTES 512u

struct sim_disk_options {
	uint64_t latency_base_ns;   /* every transfer takes at least this; 0: 20 us */
	uint64_t latency_tail_ns;   /* mean of the exponential part; 0: 10 us */
	uint64_t stall_ns;	    /* length of a stall; 0: 5 ms */
	uint32_t stalls_per_million; /* transfers that stall */
	bool in_order;		    /* completions never overtake */
};

/* sim_disk_create: zeroed. options may be NULL. Aborts when memory is short. destroy: frees. */
struct blockdev *sim_disk_create(uint64_t bytes, uint64_t seed,
				 const struct sim_disk_options *options);
void sim_disk_destroy(struct blockdev *dev);

/* sim_disk_reset: as if newly created with this seed; keeps the memory, zeroes what was touched. */
void sim_disk_reset(struct blockdev *dev, uint64_t seed, const struct sim_disk_options *options);

/* sim_disk_advance: moves the disk's time (never backwards). Returns how many transfers ended. */
uint32_t sim_disk_advance(struct blockdev *dev, uint64_t now_ns);

/* sim_disk_next_ns: when the next transfer completes: a past time if some wait to be polled. */
uint64_t sim_disk_next_ns(const struct blockdev *dev);

/*
 * sim_disk_crash: power cut or kill: afterwards nothing is in flight or waits to be polled, and no
 * error is armed. sim_disk_crash_by: what becomes of the writes in flight is said by word alone.
 */
void sim_disk_crash(struct blockdev *dev);
void sim_disk_crash_by(struct blockdev *dev, uint64_t word);

/* sim_disk_slow: what is submitted until then takes so many times as long. */
void sim_disk_slow(struct blockdev *dev, uint32_t factor, uint64_t until_ns);

/* sim_disk_fail_write: the n-th write from now (1: the next) fails with error (< 0), torn. */
void sim_disk_fail_write(struct blockdev *dev, uint64_t n, int error);

/*
 * A lying disk: the n-th write from now reports success, and is not on the disk; or is in another
 * place, which word says, within what was ever written or just behind.
 */
void sim_disk_lose_write(struct blockdev *dev, uint64_t n);
void sim_disk_misdirect(struct blockdev *dev, uint64_t n, uint64_t word);

/* sim_disk_arm: calls fire at the n-th write from now, before it is submitted or after. 0: no. */
void sim_disk_arm(struct blockdev *dev, uint32_t n, bool after, void (*fire)(void *context),
		  void *context);

/* sim_disk_rot_somewhere: flips a bit that word says, of what was ever written. */
void sim_disk_rot_somewhere(struct blockdev *dev, uint64_t word);

/* sim_disk_rot: flips one bit, chosen by the seed, of the byte at offset. */
void sim_disk_rot(struct blockdev *dev, uint64_t offset);

/* For tests: the image (blockdev_bytes), and how many writes were submitted, ever. */
uint8_t *sim_disk_image(struct blockdev *dev);
uint64_t sim_disk_writes(const struct blockdev *dev);

#endif
