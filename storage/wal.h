/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal.h: the write-ahead log of one worker: one device, one stream of batches, group commit.
 * Records are appended to an open batch; wal_submit seals it and starts one contiguous durable
 * write, as soon as fewer than batches_in_flight_max are under way. While they are, the next batch
 * grows: that is the group commit, and it never waits to fill. Batches become durable in order:
 * completions that overtake are held.
 *
 * A log that has been idle for seal_ns writes an empty batch, whose head states that the batch
 * before it is durable: from then on damage to that one is rot, not a torn tail (W-NO-FALSE-TRUNC).
 *
 * There are no checkpoints at this stage: the log only grows, until the device is full.
 */
#ifndef CAIRN_STORAGE_WAL_H
#define CAIRN_STORAGE_WAL_H

#include "storage/record.h"
#include "storage/superblock.h"

struct wal;

struct wal_config {
	uint32_t batch_bytes_max;	/* head and padding included; multiple of BLOCK_BYTES,
					 * <= BLOCKDEV_TRANSFER_MAX, room for at least one record */
	uint32_t batches_in_flight_max; /* 1..WAL_DEPTH_MAX */
	uint64_t seal_ns;		/* idle time before the tail is sealed; 0: never */
};

#define WAL_DEPTH_MAX 4u

struct wal_counters {
	uint64_t records, batches, bytes, seals;
	uint64_t full; /* submits after which not even one record fitted: batches or device full */
};

uint64_t wal_size(const struct wal_config *config);

/* wal_init: in mem (BLOCK_BYTES aligned, the caller's) over dev, whose superblock is *sb. */
struct wal *wal_init(void *mem, const struct wal_config *config, struct blockdev *dev,
		     const struct superblock *sb);

/*
 * Recovery, before the first append; blocks. Call wal_recover_next until it returns <= 0; records
 * come in log order and point into the log's own memory until the next call.
 *   1: *ret_record filled; 0: end of the log, the log may now be written;
 *   -EBADMSG: a batch that was durable is damaged (rot): *ret_offset says where; the log refuses
 *   writes for good. Other negatives: the device's error. Recovery never writes to the device.
 */
int wal_recover_next(struct wal *w, struct record *ret_record, uint64_t *ret_offset);

/*
 * wal_recovered_torn: bytes of a torn, never acknowledged tail that recovery cut off (0: none). May
 * count leftovers of an earlier cut that happen to lie behind the end.
 */
uint64_t wal_recovered_torn(const struct wal *w);

/* wal_seq_next: the sequence the next appended record gets: 1, 2, ... since this start. */
uint64_t wal_seq_next(const struct wal *w);

/*
 * wal_can_append: n records of the largest size surely fit now, in open batches and on the device.
 * wal_append: appends one record; returns its sequence. Must not be called when it cannot fit.
 */
bool wal_can_append(const struct wal *w, uint32_t n);
uint64_t wal_append(struct wal *w, const struct record *record);

/* wal_submit: starts what may be started. 0 or a negative errno, which is final (wal_failed). */
int wal_submit(struct wal *w, uint64_t now_ns);

/*
 * wal_poll: takes completions. Returns the highest sequence up to which every record is durable.
 * After an error it never moves again.
 */
uint64_t wal_poll(struct wal *w);

/* wal_failed: 0, or the negative errno of the first write that failed; final (W-FSYNC-DEAD). */
int wal_failed(const struct wal *w);

/*
 * wal_busy: batches are waiting or in flight (false after a failure). wal_deadline_ns: when
 * wal_submit would seal the idle tail; UINT64_MAX: not at all as things stand.
 */
bool wal_busy(const struct wal *w);
uint64_t wal_deadline_ns(const struct wal *w);

/*
 * wal_latency_ns: how long a durable write takes: mean of the last ones, halved for every second
 * without one; or the age of the oldest that is under way, if that is more.
 */
uint64_t wal_latency_ns(const struct wal *w, uint64_t now_ns);

/* wal_remaining_bytes: device space not yet used by batches. */
uint64_t wal_remaining_bytes(const struct wal *w);

const struct wal_counters *wal_counters(const struct wal *w);

#endif
