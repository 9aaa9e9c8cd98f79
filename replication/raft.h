/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raft.h: one member of one Raft group (Ongaro and Ousterhout, USENIX ATC 2014, and Ongaro's
 * dissertation, 2014: chapter 3 the core, 4 joint consensus and pre-vote, 6.4 reads, 10 batching
 * and the leader's own write in parallel). Sans-I/O: one event in, bounded actions out; no clock,
 * no allocation after raft_init. Two users: the view service (membership.h) and the raft engine
 * (group.h); to both an entry is opaque bytes.
 *
 * Promises wait for the disk in here (R-DURABLE-ACK): a vote, a candidate's request for votes, an
 * acknowledgement of entries and the leader's own part leave only after EVENT_DURABLE covers the
 * records they rest on. Elections advertise what is durable, nothing else (R-PERSIST-VIEW, R02).
 */
#ifndef CAIRN_REPLICATION_RAFT_H
#define CAIRN_REPLICATION_RAFT_H

#include "replication/types.h"

struct raft;

/* Largest entry: one entry and its message head fit one frame (RAFT_MESSAGE_BYTES, wire.h). */
#define RAFT_ENTRY_BYTES_MAX (32u + KEY_BYTES_MAX + VALUE_BYTES_MAX)

/*
 * raft_conf: who takes part. Joint (voters_old != 0): elections, commits and reads need a majority
 * of voters and a majority of voters_old (dissertation 4.3). Learners get entries and have no vote.
 * witnesses: subset of the rest: a vote without data; it never leads. With config.strip it is sent
 * DATA entries without their bytes (flag RAFT_STRIPPED).
 */
struct raft_conf {
	uint8_t voters;
	uint8_t voters_old;
	uint8_t learners;
	uint8_t witnesses;
};

enum raft_entry_kind {
	RAFT_ENTRY_NOOP = 0, /* a new leader's first (5.4.2, R01, R08) */
	RAFT_ENTRY_DATA = 1, /* the user's */
	RAFT_ENTRY_CONF = 2, /* struct raft_conf as 4 bytes; in force as soon as it is in the log */
};

#define RAFT_STRIPPED 0x01u /* entry: a witness's copy, its bytes left out */

struct raft_entry {
	uint64_t index; /* 1, 2, ... */
	uint32_t term;	/* in which a leader made it */
	uint8_t kind;	/* enum raft_entry_kind */
	uint8_t flags;	/* RAFT_STRIPPED */
	uint16_t bytes; /* 0..RAFT_ENTRY_BYTES_MAX */
	const uint8_t *data;
};

/*
 * Messages. Numbers are those of the wire. Every one carries the sender's term; fields that a type
 * does not name are zero. `entry` of APPEND: at index + 1, absent (kind NOOP, index 0) in a probe.
 */
enum raft_type {
	RAFT_PRE_VOTE = 1,	/* term: the one it would stand in; index, log_term: durable last */
	RAFT_PRE_VOTE_ACK = 2,	/* term: as asked when granted (R07), else own; flag REJECT */
	RAFT_VOTE = 3,		/* RequestVote; index, log_term; TRANSFER: leader asked for it, in
				 * round id */
	RAFT_VOTE_ACK = 4,	/* flag REJECT */
	RAFT_APPEND = 5,	/* AppendEntries: index, log_term: of the one before; commit;
				 * id: round (old ones do not show that the leader lives) */
	RAFT_APPEND_ACK = 6,	/* index: durable and matching up to here; commit: received and
				 * matching up to here, not a promise;
				 * flag REJECT: index: the one before that did not match, id: hint,
				 * highest index that may match, log_term: its term (5.3) */
	RAFT_HEARTBEAT = 7,	/* commit; id: round, 0: no answer wanted */
	RAFT_HEARTBEAT_ACK = 8, /* id: of the round; index, commit: as in APPEND_ACK; flag VOID:
				 * index, log_term: committed up to here, and nothing is
				 * acknowledged */
	RAFT_SNAPSHOT = 9,	/* index, log_term: last included; id: round; payload: conf, user's
				 * state */
	RAFT_SNAPSHOT_ACK = 10, /* reserved: a snapshot in place is acknowledged as entries are */
	RAFT_TIMEOUT_NOW = 11,	/* leadership transfer: stand at once (3.10); id: newest round */
	RAFT_READ = 12,		/* follower asks for a read index; id: its own */
	RAFT_READ_ACK = 13,	/* id; index; flag REJECT: not now, ask again */
	RAFT_TYPE_USER = 32,	/* 32..63: the user's own; raft_step never sees them */
};

#define RAFT_REJECT 0x01u
#define RAFT_TRANSFER 0x02u
#define RAFT_VOID 0x04u

struct raft_message {
	uint8_t type; /* enum raft_type, or the user's */
	uint8_t flags;
	uint32_t term;
	uint64_t index;
	uint32_t log_term;
	uint64_t commit;
	uint64_t id;
	struct raft_entry entry; /* APPEND */
	const uint8_t *payload;	 /* SNAPSHOT, user's: into the frame, or the sender's memory */
	uint16_t payload_bytes;
	uint32_t promise_us;	 /* HEARTBEAT_ACK: no vote for others for so long (9.6) */
};

struct raft_config {
	uint64_t seed;	      /* of election timeouts */
	uint64_t heartbeat_ns;
	uint64_t election_ns; /* a follower stands after 1..2 of these without a leader */
	uint64_t disk_ns;     /* a leader whose own write takes longer gives up (R12, R28) */
	uint32_t incarnation; /* of this node: read ids are unique by it (R09) */
	uint32_t entries_max; /* kept in memory; a power of two */
	uint32_t bytes_max;   /* of their data; >= (open_max + 3) RAFT_ENTRY_BYTES_MAX */
	uint32_t open_max;    /* uncommitted entries of a leader, <= entries_max / 4; the same
			       * at all members and never less than before: for recovery */
	uint32_t inflight_max; /* entries sent to one follower and not acknowledged */
	uint32_t reads_max;    /* read requests waiting for an index; a power of two */
	uint64_t reads_before; /* asked in this life of an earlier core: ids are not used twice */
	uint16_t drift_ppm;    /* clocks run apart by at most this */
	uint8_t node;	       /* 0..NODES_MAX-1 */
	bool strip;	       /* witnesses get no data */
	bool passive;	       /* never stands for election (a node that only learns) */
};

enum raft_role { RAFT_FOLLOWER, RAFT_PRE_CANDIDATE, RAFT_CANDIDATE, RAFT_LEADER };
const char *raft_role_name(enum raft_role role);

enum raft_event_kind {
	RAFT_EVENT_TICK,
	RAFT_EVENT_MESSAGE,   /* from, message (valid during the step) */
	RAFT_EVENT_DURABLE,   /* the log is durable up to durable_seq */
	RAFT_EVENT_PROPOSE,   /* data, bytes: append; leader only, see raft_can_propose */
	RAFT_EVENT_READ,      /* id (the user's, unique while open): when may it be read? */
	RAFT_EVENT_TRANSFER,  /* node: hand leadership over to it, RAFT_NODE_ANY: to the best */
	RAFT_EVENT_CONFIGURE, /* conf (voters, learners, witnesses): change to it; leader only;
			       * who is to vote must be there already, as a learner, and hold
			       * the entry that took it in (raft_match) */
	RAFT_EVENT_COMPACT,   /* index <= commit: entries up to it go; data: the state there */
	RAFT_EVENT_HOLD,      /* index: acknowledge, and count here, lower entries only; 0: all */
	RAFT_EVENT_RESTORED,  /* index: the snapshot of the last RESTORE is in place */
	RAFT_EVENT_FAIL,      /* the disk failed: step down, promise nothing any more */
};

#define RAFT_NODE_ANY 0xffu
#define RAFT_NODE_NONE 0xfeu

struct raft_event {
	enum raft_event_kind kind;
	uint8_t from, node;
	uint64_t now_ns;	   /* monotonic; never goes back */
	uint64_t persist_seq_next; /* log sequence the next RAFT_ACTION_PERSIST will get */
	uint64_t durable_seq;
	uint64_t index, id;
	const struct raft_message *message;
	const uint8_t *data;
	uint32_t bytes;
	struct raft_conf conf;
};

enum raft_action_kind {
	RAFT_ACTION_SEND,    /* message to the nodes in `to` */
	RAFT_ACTION_PERSIST, /* append this record to the log; its sequence: persist_seq */
	RAFT_ACTION_READ,    /* the read `id` may be served once `index` is applied; index 0: not
			      * now (no leader, a table is full): ask again later */
	RAFT_ACTION_RESTORE, /* message (SNAPSHOT; its payload: conf, then state): take its state
			      * over, then RESTORED; a newer one may come first and replace it */
	RAFT_ACTION_ROLE,    /* role, term or leader changed; look at raft_role() etc. */
};

enum raft_record_kind {
	RAFT_RECORD_ENTRY = 0,	  /* entry; voids all entries at >= its index from before */
	RAFT_RECORD_HARD = 1,	  /* term, vote */
	RAFT_RECORD_SNAPSHOT = 2, /* index, term: the log begins behind it; data: conf, state */
	RAFT_RECORD_USER = 3, /* the user's own: entry, but for its index; raft_recover: never */
};

/* raft_record: what the log must keep; also what recovery gives back, in log order. */
struct raft_record {
	enum raft_record_kind kind;
	struct raft_entry entry; /* ENTRY; SNAPSHOT: index, term, data and bytes */
	uint32_t term;		 /* HARD */
	uint8_t vote;		 /* HARD: node, or RAFT_NODE_NONE */
};

struct raft_action {
	enum raft_action_kind kind;
	uint8_t to; /* SEND: bitmap */
	uint64_t id, index;
	uint64_t persist_seq;
	struct raft_message message; /* SEND, RESTORE; data valid until the next step */
	struct raft_record record;   /* PERSIST; likewise */
};

#define RAFT_ACTIONS_MAX 48u

struct raft_actions {
	uint32_t count;
	uint64_t proposed; /* PROPOSE, CONFIGURE: index of the new entry; 0: refused */
	struct raft_action list[RAFT_ACTIONS_MAX];
};

uint64_t raft_size(const struct raft_config *config);

/* raft_init: in mem, 16-byte aligned, the caller's. A member of nothing: no conf, term 0. */
struct raft *raft_init(void *mem, const struct raft_config *config);

/*
 * raft_recover: records in log order, before raft_start. DATA lies in the log only when all that is
 * open_max before it was committed (a leader waits), so memory need not hold the whole log:
 * raft_recover_apply: > 0: before the next raft_recover apply all entries up to this index, then
 * give a COMPACT event (which makes no actions before raft_start).
 */
void raft_recover(struct raft *r, const struct raft_record *record);
uint64_t raft_recover_apply(const struct raft *r);

/*
 * raft_bootstrap: the group begins: as if a snapshot at index 1, term 1 with this conf and state
 * had been recovered; the same at all its first members. After a recovery that found no record at
 * all, before raft_start. The first record this node makes says so.
 */
void raft_bootstrap(struct raft *r, const struct raft_conf *conf, const uint8_t *state,
		    uint32_t bytes);

/*
 * raft_start: recovery is over. This node answers no vote, and does not stand, for one election_ns
 * from now: it may have promised a leader before it stopped (leases, 6.4.1).
 */
void raft_start(struct raft *r, uint64_t now_ns);

/* raft_step: fills *actions (from zero). true: call again with TICK at once, there is more. */
bool raft_step(struct raft *r, const struct raft_event *event, struct raft_actions *actions);

uint64_t raft_deadline_ns(const struct raft *r);

/*
 * raft_set_copies: a leader from now on commits DATA only when so many voters and learners that are
 * no witnesses hold it durably, beside the quorum (M-MIN-SIZE); 0, 1: the quorum alone counts.
 */
void raft_set_copies(struct raft *r, uint8_t copies);

/*
 * raft_set_void: what the log goes on from is lost, and being fetched again. Meanwhile this node
 * votes with its log, which says truly what it once acknowledged; it does not stand, for it could
 * give nobody what it lacks, and neither takes nor acknowledges entries: they would count as
 * copies. Not for a leader.
 */
void raft_set_void(struct raft *r, bool is_void);

/* What it knows. leader: RAFT_NODE_NONE: unknown. */
enum raft_role raft_role(const struct raft *r);
uint8_t raft_leader(const struct raft *r);
uint32_t raft_term(const struct raft *r);
const struct raft_conf *raft_conf(const struct raft *r); /* the newest in the log */
uint64_t raft_conf_index(const struct raft *r);		 /* of that one */
uint64_t raft_commit(const struct raft *r);		 /* committed up to */
uint64_t raft_last(const struct raft *r);		 /* last index in the log */
uint64_t raft_reads(const struct raft *r);		 /* reads asked, reads_before, too */
uint64_t raft_base(const struct raft *r);		 /* entries above it are in memory */

/* raft_bytes: of config.bytes_max in use. A user that does not compact in time stops the group. */
uint32_t raft_bytes(const struct raft *r);

/*
 * raft_wants_compact: leader: COMPACT at this index or a later one, soon; 0: no need. A node that
 * was taken into the conf (again) there waits for a snapshot: it is told nothing from before, for
 * in a conf of before its number may have been another's, and decided alone (R19).
 */
uint64_t raft_wants_compact(const struct raft *r);

/* raft_entry: base < index <= last. Its data stays until the next step. */
void raft_entry(const struct raft *r, uint64_t index, struct raft_entry *ret_entry);

/*
 * raft_ready: this node leads, and an entry of its own term is committed: what it has applied by
 * then is everything (R08). raft_can_propose: ready to take one more entry of that size: leads, is
 * not handing over, has room in memory and in open_max.
 */
bool raft_ready(const struct raft *r);

/*
 * raft_settled: this node leads, and a quorum holds an entry of its own term durably: the group can
 * be changed (4.1, R34). Copies (raft_set_copies) may be wanting still, and come by that change.
 */
bool raft_settled(const struct raft *r);
bool raft_can_propose(const struct raft *r, uint32_t bytes);

/* raft_configuring: a change of conf is under way (joint, or not committed). */
bool raft_configuring(const struct raft *r);

/*
 * raft_lease_ns: until then (this node's clock) no other node can have become leader, so a leader
 * that is raft_ready may answer reads from what it applied, once raft_commit at the read's arrival
 * is applied. 0: none. Given up before a transfer begins (R10).
 */
uint64_t raft_lease_ns(const struct raft *r);

/*
 * raft_bury: that node's process has surely ended (CC-25): what this node promised it as its leader
 * is void, and an election comes soon. Only for a group whose leaders answer no reads by lease: the
 * node may lead again already, in its next life.
 */
void raft_bury(struct raft *r, uint8_t node, uint64_t now_ns);

/* raft_match: leader: durable and matching at that node up to. raft_heard_ns: last word from it. */
uint64_t raft_match(const struct raft *r, uint8_t node);
uint64_t raft_heard_ns(const struct raft *r, uint8_t node);

#define RAFT_COUNTERS(X)                                                                           \
	X(elections) X(pre_votes) X(leaderships) X(step_downs) X(term_changes) X(proposals)        \
	X(proposals_refused) X(appends_sent) X(appends_received) X(appends_rejected)               \
	X(entries_truncated) X(snapshots_sent) X(snapshots_restored) X(heartbeats_sent) X(reads)   \
	X(reads_refused) X(transfers) X(transfers_failed) X(conf_changes) X(retransmits)           \
	X(votes_granted) X(votes_refused) X(disk_step_downs) X(quorum_step_downs)

struct raft_counters {
#define RAFT_COUNTER(name) uint64_t name;
	RAFT_COUNTERS(RAFT_COUNTER)
#undef RAFT_COUNTER
};
const struct raft_counters *raft_counters(const struct raft *r);

/* raft_check: invariants of its own tables; for tests and the simulator. */
void raft_check(const struct raft *r);

/* Majorities, for users that count promises of their own (leases). */
static inline uint32_t raft_bits(uint8_t set)
{
	return (uint32_t)__builtin_popcount(set);
}

static inline bool raft_is_majority(uint8_t set, uint8_t of)
{
	return raft_bits(set & of) > raft_bits(of) / 2;
}

/* raft_conf_quorum: the nodes in set decide for conf. */
static inline bool raft_conf_quorum(const struct raft_conf *conf, uint8_t set)
{
	return raft_is_majority(set, conf->voters) &&
	       (conf->voters_old == 0 || raft_is_majority(set, conf->voters_old));
}

#endif
