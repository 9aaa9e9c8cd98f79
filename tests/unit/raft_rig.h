/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raft_rig.h: a few Raft members, their logs and the wires between them, for scripts. Nothing moves
 * by itself: a test delivers messages, lets disks finish and time pass, or has rig_run do all that.
 */
#ifndef CAIRN_TESTS_UNIT_RAFT_RIG_H
#define CAIRN_TESTS_UNIT_RAFT_RIG_H

#include "replication/raft.h"
#include "replication/raft_priv.h"

#define MS	      1000000ull
#define HEARTBEAT     (10 * MS)
#define ELECTION      (50 * MS)
#define RIG_RECORDS   4096u
#define RIG_PACKETS   4096u
#define RIG_READS     64u
#define RIG_INDEX_MAX 2048u

struct rig_record {
	struct raft_record record;
	uint64_t seq;
	uint8_t data[RAFT_ENTRY_BYTES_MAX];
};

struct rig_packet {
	uint8_t from, to;
	struct raft_message message;
	uint8_t data[RAFT_ENTRY_BYTES_MAX];
};

struct rig_node {
	struct raft *raft;
	struct raft_config config;
	void *mem;
	struct rig_record *records;
	uint32_t records_count;
	uint64_t seq_next, seq_durable;
	bool slow_disk; /* only rig_disk() makes records durable */
	bool up;
	uint64_t applied; /* entries up to here were seen committed, and are in `chosen` */
	uint64_t read_id[RIG_READS], read_index[RIG_READS];
	uint32_t reads_count;
	uint64_t restore; /* index of the last RESTORE */
	bool no_restore;  /* the test answers RESTORE itself */
	uint32_t roles;	  /* ROLE actions seen */
	struct raft_actions actions;
};

struct rig {
	uint32_t count;
	uint64_t now_ns;
	uint8_t cut[NODES_MAX]; /* cut[a] bit b: nothing gets from a to b */
	struct rig_node node[NODES_MAX];
	struct rig_packet *packets;
	uint32_t packets_count;
	uint32_t chosen[RIG_INDEX_MAX]; /* index: term of the entry applied there; 0: none yet */
	struct raft_conf founding;
};

extern struct rig rig;

/* rig_start: nodes 0..count-1 with an empty disk; the first members are bootstrapped. */
void rig_start(uint32_t count, const struct raft_conf *conf);
void rig_config(struct raft_config *ret_config, uint8_t node);
void rig_boot(uint8_t node, bool member);
void rig_end(void);

/* rig_crash: what is not durable is gone. rig_restart: from what its log holds. */
void rig_crash(uint8_t node);
void rig_restart(uint8_t node);

/* rig_event: one event, time and sequences filled in, its actions carried out. */
void rig_event(uint8_t node, struct raft_event *ev);
void rig_tick(uint8_t node);
void rig_disk(uint8_t node);
uint64_t rig_propose(uint8_t node, const char *text);
uint64_t rig_configure(uint8_t node, struct raft_conf conf);
void rig_read(uint8_t node, uint64_t id);
void rig_transfer(uint8_t node, uint8_t to);
void rig_compact(uint8_t node, uint64_t index, const char *state);
void rig_hold(uint8_t node, uint64_t index);

/* rig_message: as if `from` had sent it. */
void rig_message(uint8_t node, uint8_t from, const struct raft_message *m);
/* rig_deliver: the oldest packet that gets through; false: none. rig_settle: all of them. */
bool rig_deliver(void);
void rig_settle(void);
/* rig_drop: packets of this type to this node are lost (RAFT_NODE_ANY: to all); how many. */
uint32_t rig_drop(uint8_t to, uint8_t type);
/* rig_find: the newest packet of this type from..to that is under way, or NULL. */
const struct raft_message *rig_find(uint8_t from, uint8_t to, uint8_t type);
uint32_t rig_count(uint8_t type);

/* rig_run: everything moves, for so long. rig_pass: time alone, nothing moves. */
void rig_run(uint64_t ns);
void rig_pass(uint64_t ns);
void rig_cut(uint8_t a, uint8_t b);
void rig_isolate(uint8_t node);
void rig_heal(void);

/* rig_lead: elects this node, the others standing still. rig_leader: of the newest term. */
void rig_lead(uint8_t node);
uint8_t rig_leader(void);
/* rig_read_of: RAFT_ACTION_READ's index; UINT64_MAX: not answered. */
uint64_t rig_read_of(uint8_t node, uint64_t id);

#endif
