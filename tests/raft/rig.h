/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.h: up to seven members of one Raft group, production code of replication/raft*.c, with what
 * each of them has on disk, and the invariants R-* (docs/testing.md), checked after every step.
 * The rig knows everything: each node's log as its records say (the mirror), what of it is
 * durable, what was committed anywhere. Who drives it decides what travels when: cairn-raft-fuzz
 * (from a seed), cairn-raft-script (by hand), cairn-raft-model (in every order).
 */
#ifndef CAIRN_TESTS_RAFT_RIG_H
#define CAIRN_TESTS_RAFT_RIG_H

#include "replication/raft_wire.h"
#include "tests/sim/rng.h"

#define RIG_INDEX_MAX	 8192u /* of one run; drivers stop proposing in time */
#define RIG_TERM_MAX	 4096u
#define RIG_PAIRS	 65536u /* (index, term) pairs of one run, hashed */
#define RIG_RECORDS	 16384u /* of one node between two checkpoints */
#define RIG_ARENA_BYTES	 (4u << 20)
#define RIG_READS	 256u /* open reads of one node; ids modulo this */
#define RIG_STATE_BYTES	 16u  /* least state: index, chain */
#define RIG_PACKET_BYTES (RAFT_HEAD_BYTES + RAFT_PAYLOAD_MAX)

struct rig;

/* rig_record: one record in a node's log on disk, in order. */
struct rig_record {
	uint64_t seq;
	uint64_t at_ns; /* when it was made, true time */
	uint64_t index;
	uint32_t term;
	uint32_t offset; /* of its data in the arena */
	uint16_t bytes;
	uint8_t kind; /* enum raft_record_kind */
	uint8_t entry_kind, flags, vote;
};

/* rig_entry: what the mirror keeps of an entry. chain covers all entries up to it. */
struct rig_entry {
	uint64_t seq; /* of its record */
	uint64_t chain, hash;
	uint32_t term;
	uint8_t kind, flags;
	struct raft_conf conf; /* the newest at or below it */
	uint32_t conf_index;
};

/* rig_mirror: a node's log, term and vote, as its records say. log[base] is the snapshot's. */
struct rig_mirror {
	struct rig_entry *log; /* RIG_INDEX_MAX */
	uint64_t base, last;
	uint32_t term;
	uint8_t vote;
	uint64_t hard_seq; /* of the record that said term and vote */
};

struct rig_read {
	uint64_t id, fence; /* id 0: not open */
	uint64_t asked_ns;
};

struct rig_node {
	uint8_t node;
	bool up;
	bool first;   /* a first member: bootstraps */
	bool witness; /* whenever it votes */
	bool failed;  /* EVENT_FAIL was given in this life */
	bool restoring;
	uint32_t life, wipes;
	uint64_t start_ns; /* of this life, its clock */
	struct raft_config config;
	struct raft *raft;
	void *mem;

	/* Clock: local = clock_local + (now - clock_real) * (1 + rate / 1e9). */
	uint64_t clock_real, clock_local;
	int64_t rate_ppb;

	/* Disk. The first durable_count records survive a crash; told_seq: what the core knows. */
	struct rig_record *records;
	uint8_t *arena;
	uint32_t record_count, durable_count, told_count, arena_used;
	uint64_t seq_next, told_seq;
	struct rig_mirror mirror;

	/* The user. */
	uint64_t applied, chain;
	uint64_t restore_index, restore_chain;
	uint64_t hold;
	struct rig_read reads[RIG_READS];
	uint64_t read_next;
	uint32_t reads_open;

	/* What it looked like after the last step, and what it has promised in all its lives. */
	enum raft_role role;
	uint32_t term;
	uint8_t leader;
	uint64_t commit;
	uint32_t promised_term;
	/* Who it last heard as leader, by a new round, and when (its clock); votes a leader asked
	 * for: transfer_from is a bitmap. */
	uint64_t heard_ns, heard_round;
	uint32_t heard_term, transfer_term;
	uint8_t heard_from, transfer_from;
	uint32_t pre_voted_term; /* and who said that it might win that one */
	uint8_t pre_voted;
	uint8_t *votes;	     /* RIG_TERM_MAX: granted in that term to node + 1 */
	uint8_t *lost_votes; /* likewise, on a disk that is gone */
};

/* rig_committed: by index: committed by somebody; by_term: of the first who knew. */
struct rig_committed {
	uint64_t chain, hash;
	uint32_t term, by_term;
	uint8_t kind;
	struct raft_conf conf; /* in force there */
};

struct rig_pair {
	uint64_t key; /* run << 40 | index << 20 | term; 0: free */
	uint64_t chain, hash;
	uint8_t kind;
	bool stripped; /* nobody has shown the data yet */
};

/* What a driver must do for the rig. message points into the sender: valid during the call. */
struct rig_driver {
	void (*send)(struct rig *rig, uint8_t from, uint8_t to, const struct raft_message *message);
	void (*restore)(struct rig *rig, uint8_t node); /* give RESTORED when it suits */
	void (*read)(struct rig *rig, uint8_t node, uint64_t id, uint64_t index);
};

#define RIG_COUNTS(X)      \
	X(steps)           \
	X(committed_count) \
	X(older_commits)   \
	X(proposed)        \
	X(leader_count)    \
	X(confs) X(snapshots) X(reads) X(lease_reads) X(reads_refused) X(crashes) X(wipes)

struct rig {
	const struct rig_driver *driver;
	void *of;	 /* the driver's */
	uint64_t now_ns; /* true time */
	uint32_t nodes;
	struct raft_conf bootstrap;
	uint32_t state_bytes; /* of a snapshot's state */
	struct rig_node node[NODES_MAX];

	uint64_t commit_max; /* committed anywhere */
	uint64_t last_max;
	uint32_t leader_term_max;	 /* newest term that had a leader */
	struct rig_committed *committed; /* RIG_INDEX_MAX */
	struct rig_pair *pairs;
	uint8_t *leaders;	/* by term: node + 1 */
	uint32_t *leader_lives; /* by term */
	uint64_t run;

	struct raft_actions actions;
	bool failed;
	char failure[256];
	bool trace;
	uint64_t digest;
#define RIG_COUNT(name) uint64_t name;
	RIG_COUNTS(RIG_COUNT)
#undef RIG_COUNT
};

/* rig_create: memory for all runs; exits when there is none. */
struct rig *rig_create(const struct rig_driver *driver, void *of);
void rig_destroy(struct rig *rig);

/*
 * rig_begin: a new run of so many nodes, all down, disks empty. conf: the first members'. The
 * config's node and incarnation are the rig's business.
 */
void rig_begin(struct rig *rig, uint32_t nodes, const struct raft_conf *conf,
	       const struct raft_config *config);

/* rig_start: from its disk. rig_crash: keep: records that survive, >= durable_count. */
void rig_start(struct rig *rig, uint8_t node);
void rig_crash(struct rig *rig, uint8_t node, uint32_t keep);
/* rig_wipe: a node that is down comes back with an empty disk, under its old number. */
void rig_wipe(struct rig *rig, uint8_t node);
bool rig_may_wipe(const struct rig *rig, uint8_t node);
/* rig_checkpoint: the disk keeps the newest durable snapshot and what still counts. */
void rig_checkpoint(struct rig *rig, uint8_t node);

uint64_t rig_clock(const struct rig *rig, uint8_t node);
/* rig_real: when its clock will show local, at the earliest. */
uint64_t rig_real(const struct rig *rig, uint8_t node, uint64_t local);

/* rig_step: kind and its fields are the caller's, the rest is filled in. Returns `proposed`. */
uint64_t rig_step(struct rig *rig, uint8_t node, struct raft_event *event);

/* The more frequent events. */
void rig_tick(struct rig *rig, uint8_t node);
void rig_message(struct rig *rig, uint8_t to, uint8_t from, const struct raft_message *message);
/* rig_durable: the first count records are on disk; told: and the core hears of it. */
void rig_durable(struct rig *rig, uint8_t node, uint32_t count, bool told);
uint64_t rig_propose(struct rig *rig, uint8_t node, const uint8_t *data, uint32_t bytes);
uint64_t rig_configure(struct rig *rig, uint8_t node, const struct raft_conf *conf);
uint64_t rig_read(struct rig *rig, uint8_t node); /* its id; 0: too many are open */
void rig_hold(struct rig *rig, uint8_t node, uint64_t index);
uint64_t rig_transfer(struct rig *rig, uint8_t node, uint8_t to);
void rig_disk_fails(struct rig *rig, uint8_t node);
void rig_apply(struct rig *rig, uint8_t node, uint64_t limit);
void rig_compact(struct rig *rig, uint8_t node, uint64_t index);
void rig_restored(struct rig *rig, uint8_t node);

/* rig_fail: the first violation of a run; name of the invariant first. */
void rig_fail(struct rig *rig, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void rig_mix(struct rig *rig, uint64_t what)
{
	rig->digest = rng_mix(rig->digest ^ what) + 0x9e3779b97f4a7c15ull;
}

#endif
