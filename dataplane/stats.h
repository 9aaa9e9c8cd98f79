/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.h: what a node tells about itself: a file mapped by the dataplane (writes) and by anyone
 * who may read it (cairnd). Reading never disturbs the writer. Every worker has its own slot, on
 * its own cache lines, one writer: the worker, which copies its counters out at housekeeping.
 * 64-bit values are written whole; a reader may see counters of two neighbouring housekeepings.
 */
#ifndef CAIRN_DATAPLANE_STATS_H
#define CAIRN_DATAPLANE_STATS_H

#include "dataplane/frame.h"
#include "dataplane/netdev.h"
#include "replication/replica.h"
#include "storage/store.h"
#include "storage/wal.h"

#define STATS_MAGIC 0x54415453524e4143ull
#define STATS_FORMAT 4u

/* dataplane_state: the life of the process, written by its main thread or its worker. */
enum dataplane_state {
	DATAPLANE_STARTING = 0,	  /* opening ports and disks */
	DATAPLANE_RECOVERING = 1, /* reading the log */
	DATAPLANE_WAITING = 2,	  /* recovered; a peer is not linked yet; views: no lease */
	DATAPLANE_SERVING = 3,
	DATAPLANE_DISK_FAILED = 4, /* makes no promises any more */
	DATAPLANE_STOPPED = 5,
};

/* What the worker itself counts. Names are the counter names users see. */
#define WORKER_COUNTERS(X)                                                                         \
	X(polls) X(polls_idle) X(rx_messages) X(tx_messages) X(arp_answered) X(pings_answered)     \
	X(drop_shard) X(drop_unknown_peer) X(drop_other_disk) X(drop_no_room) X(drop_no_mac)       \
	X(drop_no_buffer) X(reads_voided)

struct worker_stats {
	_Alignas(64) uint64_t updated_ns; /* monotonic time of the last copy-out */
	uint32_t state;			  /* enum dataplane_state of this worker */
	int32_t disk_error;		  /* 0, or the negative errno that failed the log */
	uint32_t shards, linked_peers;	  /* shards owned; peers linked, summed over shards */
	uint64_t store_keys, store_keys_max, store_blob_used, store_blob_bytes;
	uint64_t wal_remaining_bytes, wal_device_bytes;
	uint64_t recovered_records, recovered_torn_bytes; /* by worker_recover */
	uint64_t ops_open;
	uint8_t leader[SHARDS_MAX]; /* engine raft: of its shards: node, RAFT_NODE_NONE: unknown */
	uint32_t space; /* enum space */
	uint32_t reserved;
	struct replica_counters replica; /* summed over shards */
	struct wal_counters wal;
	struct netdev_counters netdev;
	uint64_t drop_frame[FRAME_VERDICT_COUNT]; /* by enum frame_verdict; answered kinds too */
	uint64_t drop_wire[WIRE_VERDICT_COUNT];
#define STATS_COUNTER(name) uint64_t name;
	WORKER_COUNTERS(STATS_COUNTER)
#undef STATS_COUNTER
};

struct stats_region {
	uint64_t magic;
	uint32_t format;
	uint32_t bytes;		/* sizeof(struct stats_region): both sides must agree */
	uint64_t cluster;
	uint64_t started_ns;	/* monotonic */
	uint64_t recovered_records, recovered_torn_bytes;
	uint64_t recovery_ns;
	int32_t pid;
	uint32_t state;		/* enum dataplane_state */
	uint32_t incarnation;
	uint16_t shard_count, worker_count;
	uint8_t node, node_count;
	uint8_t memory_huge;	/* 1: buffers and workers' memory are on huge pages */
	uint8_t idle_spin;	/* 1: workers spin; 0: adaptive */
	uint8_t disk_uring;	/* 1: io_uring writes every log; 0: pwritev2 at least one */
	uint8_t disk_direct;	/* 1: direct I/O on every log; 0: through the page cache */
	struct worker_stats worker[WORKERS_MAX];
};

#endif
