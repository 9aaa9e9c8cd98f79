/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replica.h: the door to the protocol. One replica is one shard at one node: its view, its peers'
 * incarnations, its client sessions and its Hermes state. Events in, bounded actions out; no clock,
 * no allocation after replica_init, no I/O. It holds back every message that promises durability
 * (an ACK, a client's OK) until EVENT_DURABLE covers the record the promise rests on.
 */
#ifndef CAIRN_REPLICATION_REPLICA_H
#define CAIRN_REPLICATION_REPLICA_H

#include "replication/step.h"

struct replica;

/* How much room store and log have left; the worker says so, peers hear it in HELLO. */
enum space {
	SPACE_OK = 0,
	SPACE_LOW = 1,	/* no new values: PUT, CAS, INCR get NO_SPACE; deletes still go */
	SPACE_FULL = 2, /* nothing: the log is at its end */
};

struct replica_config {
	uint64_t cluster;	/* cluster id, in every frame */
	uint64_t fingerprint;	/* of the cluster's shape; peers with another one are not linked */
	uint64_t seed;		/* for session ids */
	uint32_t incarnation;	/* 1..INCARNATION_MAX, durable before this call (CC-12) */
	uint16_t shard;
	uint16_t shard_count;
	uint8_t node;		/* 0..node_count-1 */
	uint8_t node_count;	/* 1..NODES_MAX */
	uint32_t ops_max;	/* client ops and replays under way or queued, 1..65536 */
	uint32_t held_max;	/* messages waiting for the disk, a power of two */
	uint32_t sessions_max;	/* 1..SESSIONS_MAX */
	uint16_t session_window; /* outcomes kept per session: a power of two, 4..SESSION_WINDOW */
	bool views;		/* EVENT_VIEW says who takes part; else all nodes, for ever */
	bool broadcast_acks;	/* O3: followers validate by ACKs alone; same everywhere */
	uint64_t retransmit_ns; /* message-loss timeout of a coordinator (mlt) */
	uint64_t replay_ns;	/* how long a waited-for key may stay Invalid before a replay */
	uint64_t hello_ns;	/* interval of HELLO to each peer */
	/*
	 * A joiner (docs/protocol.md, Join). join_delta: with engine Hermes a node that comes back
	 * compares what it holds with a member's, else it drops it. How fast it may pull (a quarter
	 * of what is only compared counts), 0: as fast as it can; how many questions may be under
	 * way, and of how many places of the donor's store each may go on by itself (lane.h),
	 * 0: 1 and LANE_PLACES.
	 */
	bool join_delta;
	uint64_t join_bytes_per_s;
	uint32_t join_lanes, join_places;
	uint8_t engine;		/* enum membership_engine; what follows is of raft (group.h) */
	/*
	 * founders: bitmap: whom the group began with, the same at all of them; 0 at a node that
	 * came later. With views it begins when one says so (view.h, first_disk). witnesses: of
	 * them. Without views: 0 means all nodes. witness: this one is.
	 */
	uint8_t founders, witnesses;
	bool witness;
	struct raft_config raft; /* times, drift_ppm, entries_max, bytes_max; no more */
};

/* What happened, one writer, read by the worker. Names are the counter names users see. */
#define REPLICA_COUNTERS(X)                                                                        \
	X(reads) X(writes) X(deletes) X(cas) X(incrs) X(conflicts) X(not_found)                    \
	X(reads_queued) X(inv_sent) X(inv_received) X(inv_stale) X(inv_refused) X(ack_sent)        \
	X(ack_received) X(ack_unmatched) X(val_sent) X(val_received) X(val_ignored) X(retransmits) \
	X(replays) X(rmw_aborts) X(rmw_retries) X(commits) X(acks_held) X(busy) X(no_space)        \
	X(base_validated) X(ack_validated) X(expired) X(views_installed) X(resets) X(joins)        \
	X(copies_sent) X(copies_merged) X(stubs_sent) X(join_confirmed) X(join_voided)             \
	X(lease_refused) X(retries) X(retries_resolved)            \
	X(retries_waiting) X(evicted_requests) X(collected)                                        \
	X(stale_epoch) X(stale_incarnation) X(foreign_cluster) X(shape_mismatch) X(unintroduced)   \
	X(not_linked)                                                                              \
	X(sessions_opened) X(sessions_evicted) X(no_session) X(duplicate_requests)                 \
	X(replies_resent) X(bad_request)

struct replica_counters {
#define REPLICA_COUNTER(name) uint64_t name;
	REPLICA_COUNTERS(REPLICA_COUNTER)
#undef REPLICA_COUNTER
};

/* replica_size: bytes of memory replica_init needs for this configuration; 16-byte aligned use. */
uint64_t replica_size(const struct replica_config *config);

/* replica_init: builds a replica in mem, which the caller owns and frees. Out-of-range: must(). */
struct replica *replica_init(void *mem, const struct replica_config *config);

/*
 * replica_step: one event. Fills *actions (from zero). The caller executes them, and then does what
 * the return value says until it is STEP_DONE.
 */
enum step_next replica_step(struct replica *r, const struct event *event, struct actions *actions);

/*
 * replica_deadline_ns: when the next EVENT_TICK is useful; UINT64_MAX never. Ticks may come
 * earlier or later.
 */
uint64_t replica_deadline_ns(const struct replica *r);

/*
 * replica_set_space: room of this node, as the worker sees it. keys: engine raft: how many updates
 * may be applied until it is called again, each of which may need a new entry; UINT32_MAX: any.
 */
void replica_set_space(struct replica *r, enum space space, uint32_t keys);

/*
 * replica_unapplied: engine raft: entries of the log that are not applied; else 0.
 */
uint64_t replica_unapplied(const struct replica *r);

/* replica_fail: the disk failed. No more promises: every request gets NOT_SERVING from here on. */
void replica_fail(struct replica *r);

/*
 * replica_apply_message: what STEP_APPLY is about: a key, and by type GET: the entry of it, NULL if
 * there is none; PUT: made when missing, with room for value_bytes, NULL only for want of room.
 */
const struct wire_message *replica_apply_message(const struct replica *r);

/*
 * replica_walk: how many entries of the store this FETCH wants at most, those with a version above
 * *ret_above (store_walk); 0: no walk. At most WALK_STUBS_MAX.
 */
uint32_t replica_walk(const struct replica *r, const struct wire_message *fetch,
		      uint64_t *ret_above);

/* replica_walk_from: STEP_WALK: the store index at which the walk goes on. */
uint32_t replica_walk_from(const struct replica *r);

/*
 * replica_proven: false: this node has not heard yet whether what e holds, from before it was left
 * out, still stands: a joiner treats it as absent (CC-24).
 */
bool replica_proven(const struct replica *r, const struct entry *e);

/* replica_raft: the shard's Raft group, NULL with engine Hermes. For tests and status. */
const struct raft *replica_raft(const struct replica *r);

/*
 * replica_groups: engine raft: bitmap of the nodes that the shard's group may count on, as far as
 * this node knows; they must not be forgotten yet. 0 with engine Hermes.
 */
uint8_t replica_groups(const struct replica *r);

/* replica_can_hold: false when the next INV could not be acknowledged for want of room; drop it. */
bool replica_can_hold(const struct replica *r);

/*
 * replica_peer_incarnation: the peer's incarnation this node talks to, 0 while not linked. The
 * worker puts it into the header of peer frames. replica_linked: every peer is linked.
 */
uint32_t replica_peer_incarnation(const struct replica *r, uint8_t node);

/*
 * replica_epoch: of the installed view; in a static cluster a checksum of the incarnations of all
 * nodes as this one knows them. Goes into the header of peer frames. Frames of another epoch are
 * dropped, so that an ACK from before a change never meets one from after it (CC-5).
 */
uint32_t replica_epoch(const struct replica *r);

/* replica_view: the view installed; of a static cluster what amounts to it. epoch 0: none yet. */
const struct view *replica_view(const struct replica *r);

/*
 * replica_spent: this node was in the write set and was then left out. It takes part in no view any
 * more: it must be restarted, with a new incarnation.
 */
bool replica_spent(const struct replica *r);

/*
 * replica_lease_ns: when the lease for the installed view ends (UINT64_MAX: static cluster). A read
 * reply (action.lease) may leave only when the clock, read after its value was copied, is below
 * (CC-9, CC-26); otherwise it becomes NOT_SERVING.
 */
uint64_t replica_lease_ns(const struct replica *r);

/*
 * replica_joined: this shadow holds, durably, everything committed (H-LAG-JOIN); the view service
 * may make it a member.
 */
bool replica_joined(const struct replica *r);
/*
 * replica_alone_short: for a shadow without room: all members have room, and it holds nothing that
 * is about to go, so their data does not fit it.
 */
bool replica_alone_short(const struct replica *r);

/*
 * Tombstones (CC-13, H12). replica_can_collect: the entry is one that can be forgotten now.
 * replica_collect: it is; the caller removes the entry next. replica_floor: no tombstone that this
 * node has forgotten had a larger version; a key without entry gets its next versions above it.
 */
bool replica_can_collect(const struct replica *r, const struct entry *e);
void replica_collect(struct replica *r, const struct entry *e);
uint64_t replica_floor(const struct replica *r);

/*
 * Recovery, records in log order, before the first step. replica_recover: this update (message as
 * an INV would carry it) is about to be merged into e, NULL if the key has none; returns what
 * entry->origin is to be if it is merged; hash: the key's, as the store knows it. _note, _reset:
 * for the other kinds of records; a note without client carries a floor.
 */
uint32_t replica_recover(struct replica *r, const struct entry *e, const struct wire_message *m,
			 uint64_t hash);
void replica_recover_note(struct replica *r, const struct origin *origin, struct op_ts ts);
void replica_recover_reset(struct replica *r);
/* replica_recover_rejoin: keys stay, what is known about clients goes. */
void replica_recover_rejoin(struct replica *r);
/*
 * replica_recover_raft: a Raft record of this shard. STEP_APPLY: before the next record, entries
 * must be applied as in replica_step, whose actions are none then. Merged entries of UPDATE records
 * are to be Valid with engine raft.
 */
enum step_next replica_recover_raft(struct replica *r, const struct raft_record *record);
/*
 * replica_recover_forget: a tombstone of this version was forgotten, which is to be removed next.
 * STEP_APPLY: before that, as above: entries up to it had been applied, and find it there.
 */
enum step_next replica_recover_forget(struct replica *r, uint64_t version);

bool replica_linked(const struct replica *r);

/* replica_peers_heard: peers that spoke recently (within 50 HELLO intervals of the last event). */
uint32_t replica_peers_heard(const struct replica *r);

/*
 * replica_heard: bitmap of this node and of the nodes in the view that spoke, in this epoch, less
 * than within_ns ago. replica_stuck: bitmap of nodes whose acknowledgement some update has awaited
 * for longer than older_ns, give or take a factor of two; looks only when something was sent again.
 */
uint8_t replica_heard(const struct replica *r, uint64_t now_ns, uint64_t within_ns);
uint8_t replica_stuck(struct replica *r, uint64_t older_ns);

/*
 * replica_entry_can_shrink: the entry is a tombstone and no op of this node still counts on room
 * for a value in its blob.
 */
bool replica_entry_can_shrink(const struct entry *e);

/* replica_session_known: the session of a request exists, so that it may cost memory. */
bool replica_session_known(struct replica *r, const struct wire_header *header);

const struct replica_config *replica_config(const struct replica *r);
const struct replica_counters *replica_counters(const struct replica *r);

/* replica_ops: ops under way or queued now; 0 when quiet. */
uint32_t replica_ops(const struct replica *r);

/* replica_check: full invariant check of the replica's own tables (debug, simulator). */
void replica_check(const struct replica *r);

#endif
