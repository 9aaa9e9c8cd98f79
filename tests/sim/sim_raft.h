/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_raft.h: what all members of one Raft group show of themselves, put together: the group of the
 * view service (number 0) and one group per shard (1 + shard). Checked here, by name: R-ONE-LEADER,
 * R-VOTE-ONCE, R-LEADER-COMPLETE, R-STATE-SAFE, R-DURABLE-ACK, R-TERM-MONO, C-EQUAL, M-MIN-SIZE.
 */
#ifndef CAIRN_TESTS_SIM_SIM_RAFT_H
#define CAIRN_TESTS_SIM_SIM_RAFT_H

#include "replication/raft.h"

#define SIM_GROUPS_MAX 5u
#define SIM_GROUP_VIEW 0u
#define SIM_TERMS_KEPT 256u
#define SIM_LOG_KEPT 32768u /* entries of a group; more than any seed makes */

struct sim_log_entry {
	uint64_t hash;
	uint32_t term;
	uint32_t state; /* C-EQUAL: digest after it was applied; 0: not seen */
	uint8_t key;	/* 1 + the key that a store has shown at this version; 0: none */
	bool deleted;	/* as a tombstone */
};

/* What one member has shown and promised. */
struct sim_raft_member {
	uint64_t commit, acked; /* acked: to the leader of acked_term */
	uint32_t term, acked_term, promised_term;
	struct sim_held {      /* the furthest its log was ever durable, on any of its disks */
		uint64_t index;
		uint32_t term; /* of the entry there, or of the leader it said so to */
	} held;
	uint8_t copies;	       /* that its view asked for when its last round ended */
	uint8_t role;
	uint64_t vote[SIM_TERMS_KEPT]; /* term << 8 | for whom; 0: none */
};

struct sim_group {
	struct sim_log_entry log[SIM_LOG_KEPT]; /* committed, by index */
	uint64_t committed;			 /* anywhere */
	uint64_t known;			 /* highest index in log[] */
	uint64_t leader[SIM_TERMS_KEPT]; /* term << 8 | node; 0: none */
	uint64_t elections;
	struct sim_raft_member member[NODES_MAX];
};

struct sim;
struct sim_rafts;
struct wire_header;

/* sim_raft_create: NULL when out of memory. */
struct sim_rafts *sim_raft_create(void);
void sim_raft_destroy(struct sim_rafts *rafts);
void sim_raft_reset(struct sim_rafts *rafts, uint32_t groups);

/* sim_raft_look: after each round of the node; cheap when nothing happened. */
void sim_raft_look(struct sim *s, uint8_t node, uint32_t group, const struct raft *r);

/* sim_raft_frame: the node sends this message of the group. */
void sim_raft_frame(struct sim *s, uint8_t node, const struct wire_header *h, uint32_t group,
		    const struct raft_message *m);

/* sim_raft_started: a new life of the node; sim_raft_lied: on another disk. */
void sim_raft_started(struct sim *s, uint8_t node, uint32_t group, const struct raft *r);
void sim_raft_lied(struct sim *s, uint8_t node);

/* sim_raft_applied: the member's state after entry index was applied (C-EQUAL). */
void sim_raft_applied(struct sim *s, uint8_t node, uint32_t group, uint64_t index, uint32_t digest);

/*
 * sim_raft_shown: a store holds the key at version index. sim_raft_key: which one it was, or
 * SIM_NONE.
 */
void sim_raft_shown(struct sim_rafts *rafts, uint32_t group, uint64_t index, uint32_t key,
		    bool deleted);
uint32_t sim_raft_key(const struct sim_rafts *rafts, uint32_t group, uint64_t index,
		      bool *ret_deleted);

/* Over all members: committed up to, leaders of all groups so far. */
uint64_t sim_raft_held(const struct sim_rafts *rafts, uint32_t group, uint8_t node);
uint64_t sim_raft_committed(const struct sim_rafts *rafts, uint32_t group);
uint64_t sim_raft_elections(const struct sim_rafts *rafts);

#endif
