/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h: one polling core. A worker owns its shards entirely: their replicas, the store, one log
 * and one queue pair. One round of the loop is worker_poll(); the thread (dataplane/poller.c) only
 * reads the clock and calls it, and the simulator calls the same function with virtual time. One
 * thread calls everything here, one call after the other.
 */
#ifndef CAIRN_DATAPLANE_WORKER_H
#define CAIRN_DATAPLANE_WORKER_H

#include "dataplane/control.h"
#include "dataplane/frame.h"
#include "dataplane/netdev.h"
#include "dataplane/stats.h"
#include "dataplane/view_board.h"
#include "replication/membership.h"
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
	uint16_t session_window;		  /* likewise */
	bool broadcast_acks;			  /* likewise */
	bool join_delta;			  /* likewise */
	uint64_t join_bytes_per_s;		  /* likewise, of each shard */
	uint32_t join_lanes, join_places;	  /* likewise */
	bool views; /* likewise: worker_install_view says who takes part */
	/*
	 * With views: the clock that leases are told in, the one now_ns is from, read anew at each
	 * call. Once per burst of frames that carries answers to reads. NULL without views.
	 */
	uint64_t (*clock_ns)(void *context);
	void *clock_context;
	/*
	 * service: views come from the view service, which worker 0 hosts; the others follow it
	 * through the board, which all workers of a node share (NULL: worker 0 is the only one).
	 * membership: its times, seed, and in all workers the ident, worker_ident() of worker 0's
	 * disk; node, incarnation and joining are filled in from the superblock. first: the state
	 * that founding nodes begin with; NULL at one that joins. control: worker 0: how it is seen
	 * and told from outside; NULL: not at all. A worker of a node that was formatted as witness
	 * has no shards (engine Hermes).
	 */
	bool service;
	struct membership_config membership;
	const struct membership_state *first; /* copied */
	struct view_board *board;
	struct control_region *control;
	struct raft_config raft; /* engine raft: as in replica_config */
	uint32_t ip[NODES_MAX];	  /* by node, host byte order; 0: not known (yet) */
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
 * worker_recover: reads at most so many records of the log into the store; blocks. 1: there may be
 * more, 0: all of them, or a negative errno: -EBADMSG rot at *ret_offset, -ENOSPC the store is
 * smaller than the log's content, or the device's error. Call until it is not 1, before the first
 * poll.
 */
int worker_recover(struct worker *w, uint32_t records_max, uint64_t *ret_offset);

/*
 * worker_poll: one round: receive burst, disk completions, step, actions, transmit burst, and
 * housekeeping when due. Never blocks. Returns how much it did (frames, completions, timers), 0
 * when idle.
 */
uint32_t worker_poll(struct worker *w, uint64_t now_ns);

/*
 * Views and leases, of all shards of this worker; only with config.views, after worker_recover.
 * What follows from a call has been sent and is on its way to the disk when it returns; a shadow
 * that must begin anew drops its entries in it, which takes the longer the more there are.
 *
 * worker_install_view: gives the view to each shard that has not got it, or a newer one; *view is
 * not kept. worker_set_lease: the node's lease for that epoch holds until lease_ns, 0 gives it up.
 * Both return false when some shard could not take it now, for want of room in the log: some have
 * it, some not; poll, and call again, with the same or something newer. Only after true is a lease
 * given up, or a view installed, at this worker.
 */
bool worker_install_view(struct worker *w, const struct view *view, uint64_t now_ns);
bool worker_set_lease(struct worker *w, uint32_t epoch, uint64_t lease_ns, uint64_t now_ns);

/* worker_ident: of a node, from the superblock of its worker 0: another disk, another ident. */
uint32_t worker_ident(const struct superblock *sb);

/*
 * worker_membership: the view service at worker 0; NULL elsewhere, or without one.
 * worker_wants_restart: this incarnation is over: the process must stop, and start again with
 * superblock_advance(.., *ret_above + 1). Any thread may ask.
 */
const struct membership *worker_membership(const struct worker *w);
bool worker_wants_restart(const struct worker *w, uint32_t *ret_above);

/* worker_epoch: the oldest epoch among the views its shards have installed; 0: none yet. */
uint32_t worker_epoch(const struct worker *w);

/* worker_joined: every shard holds, durably, everything committed (replica_joined). */
bool worker_joined(const struct worker *w);

/* worker_deadline_ns: when the next poll is useful if nothing arrives; 0: the board has news. */
uint64_t worker_deadline_ns(const struct worker *w);

/* worker_io_pending: a disk transfer is in flight (its completion needs polling). */
bool worker_io_pending(const struct worker *w);

/* For tests, digests and checks; never called on the hot path. */
struct store *worker_store(struct worker *w);
struct replica *worker_replica(struct worker *w, uint16_t shard); /* NULL: not ours */

#endif
