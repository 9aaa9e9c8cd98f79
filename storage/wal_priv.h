/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_priv.h: what wal.c (append, group commit) and wal_recover.c (scan and classify) share.
 *
 * Batch sequences, seen from the writer:  durable <= submitted < open
 *   (.., durable]           on disk
 *   (durable, submitted]    being written, at most batches_in_flight_max
 *   (submitted, open)       closed: full, their place on the device is fixed, not yet written
 *   open                    records are appended to this one
 * Buffers are a ring of batches_in_flight_max + 1, so open - durable <= batches_in_flight_max + 1.
 */
#ifndef CAIRN_STORAGE_WAL_PRIV_H
#define CAIRN_STORAGE_WAL_PRIV_H

#include "storage/wal.h"

#define WAL_READ_BYTES (3 * BLOCKDEV_TRANSFER_MAX) /* a batch, read-ahead, and room to move it */

enum wal_mode {
	WAL_RECOVERING, /* only wal_recover_next may be called */
	WAL_WRITABLE,
};

struct wal_batch {
	uint8_t *data;
	uint64_t offset;	/* on the device, once closed */
	uint64_t last_record;	/* record sequence of its last record, or of the one before it */
	uint32_t used;		/* head and records */
	uint32_t write_bytes;	/* used, padded to blocks, once closed */
	uint32_t record_count;
	uint64_t sent_ns;	/* when its write was started */
	bool done;		/* its write has completed, perhaps ahead of an earlier one */
};

/* A window of the device in memory: [base, base + have), growing by one read ahead. */
struct wal_reader {
	uint8_t *data;
	uint64_t base;
	uint32_t have;
	uint32_t pending_bytes; /* of the read in flight, 0: none */
};

struct wal_recovery {
	struct wal_reader reader;
	const uint8_t *body;	/* the accepted batch, records still to hand out */
	uint64_t batch_offset;
	uint64_t torn_bytes;
	uint32_t body_bytes;
	uint32_t body_offset;
	uint32_t records_left;
	uint32_t incarnation;	/* of the last accepted batch */
};

struct wal {
	struct blockdev *dev;
	struct wal_config config;
	uint64_t device_id;
	uint64_t device_bytes;
	uint32_t incarnation;
	enum wal_mode mode;
	int failed;
	uint32_t chain_crc;	/* of the last batch head sent (or recovered) */
	bool tail_sealed;	/* nothing durable lacks a later head that says so */
	uint64_t durable;
	uint64_t submitted;
	uint64_t open;
	uint64_t offset_next;	/* where the open batch will go; recovery: where it reads */
	uint64_t record_next;
	uint64_t record_durable;
	uint64_t latency_ns;	/* of durable writes: mean of the last ones */
	uint64_t latency_at_ns; /* when it last changed */
	uint64_t done_sent_ns;	/* since wal_submit last looked, a write of then became durable */
	uint64_t active_ns;	/* the last time the log was seen busy */
	struct wal_counters counters;
	struct wal_batch batches[WAL_DEPTH_MAX + 1];
	struct wal_recovery recovery;
};

static inline struct wal_batch *wal_priv_batch(struct wal *w, uint64_t seq)
{
	return &w->batches[seq % (w->config.batches_in_flight_max + 1)];
}

/* wal_priv_open: makes the log writable after recovery; durable and offset_next are set. */
void wal_priv_open(struct wal *w);

#endif
