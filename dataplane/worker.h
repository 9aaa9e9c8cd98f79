/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h: one polling core. A worker owns its shards entirely: their replicas, the store, one log
 * and one queue pair. One round of the loop is worker_poll(); the thread (dataplane/poller.c) only
 * reads the clock and calls it, and the simulator calls the same function with virtual time.
 */
#ifndef CAIRN_DATAPLANE_WORKER_H
#define CAIRN_DATAPLANE_WORKER_H

#include "dataplane/frame.h"
#include "dataplane/netdev.h"
#include "dataplane/stats.h"
#include "replication/replica.h"
#include "storage/store.h"
#include "storage/wal.h"

struct worker;

/* WORKER_BATCH_BYTES_MIN: a log batch must take the records of one step, with room to go on. */
#define WORKER_BATCH_BYTES_MIN (128u * 1024u)

struct worker_config {
	uint64_t seed;
	uint64_t retransmit_ns, replay_ns, hello_ns; /* as in replica_config */
	uint64_t housekeeping_ns; /* counters, space, link, ARP: at least this often */
	struct store_config store;
	struct wal_config wal; /* batch_bytes_max >= WORKER_BATCH_BYTES_MIN */
	uint32_t ops_max, held_max, sessions_max; /* of each shard; as in replica_config */
	uint32_t ip[NODES_MAX];	  /* by node, host byte order */
	uint16_t port_base;	  /* UDP port of shard 0; shard s is at port_base + s */
	uint16_t worker_index;	  /* owns shards s with s % worker_count == worker_index */
	uint16_t worker_count;
	uint32_t space_low_permille; /* less of store or log free: SPACE_LOW; FULL at half of it */
};

/*
 * worker_size, worker_init: mem (BLOCK_BYTES aligned) stays the caller's. disk is open and
 * formatted; *sb is its superblock after superblock_advance (the incarnation is durable).
 * stats: this worker's slot of the shared region, or private memory; the worker alone writes it.
 */
uint64_t worker_size(const struct worker_config *config, const struct superblock *sb);
_Static_assert(WORKER_BATCH_BYTES_MIN > ACTIONS_MAX * RECORD_BYTES_MAX, "one step, one batch");

struct worker *worker_init(void *mem, const struct worker_config *config,
			   const struct superblock *sb, struct netdev *net, struct blockdev *disk,
			   struct worker_stats *stats);

/*
 * worker_recover: reads the whole log into the store; blocks. 0, or a negative errno:
 * -EBADMSG rot at *ret_offset, -ENOSPC the store is smaller than the log's content, or the
 * device's error. Call once, before the first poll.
 */
int worker_recover(struct worker *w, uint64_t *ret_offset);

/*
 * worker_poll: one round: receive burst, disk completions, step, actions, transmit burst, and
 * housekeeping when due. Never blocks. Returns how much it did (frames, completions, timers), 0
 * when idle.
 */
uint32_t worker_poll(struct worker *w, uint64_t now_ns);

/* worker_deadline_ns: when the next poll is useful if nothing arrives. */
uint64_t worker_deadline_ns(const struct worker *w);

/* worker_io_pending: a disk transfer is in flight (its completion needs polling). */
bool worker_io_pending(const struct worker *w);

/* For tests, digests and checks; never called on the hot path. */
struct store *worker_store(struct worker *w);
struct replica *worker_replica(struct worker *w, uint16_t shard); /* NULL: not ours */

#endif
