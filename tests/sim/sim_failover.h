/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_failover.h: how long others notice it when one node dies or becomes slow: production timers,
 * a wire and disks of today's speed, a steady load, one fault; and what the histories of many seeds
 * say. Every run is checked like any other.
 */
#ifndef CAIRN_TESTS_SIM_SIM_FAILOVER_H
#define CAIRN_TESTS_SIM_SIM_FAILOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "replication/types.h"

struct sim;

/* What happens, to whom. */
enum failover_kind {
	FAILOVER_VIEW_LEADER, /* killed: the leader of the view service */
	FAILOVER_MEMBER,      /* killed: another member */
	FAILOVER_SHARD_LEADER, /* killed: the leader of shard 0 (raft engine) */
	FAILOVER_SLOW_DISK,   /* a member's disk takes a hundred times as long, and stays so */
	FAILOVER_SLOW_LINK,   /* likewise all links of a member */
	FAILOVER_CUT_LINK,    /* that between shard 0's leader and another one (raft engine) */
	FAILOVER_KINDS
};

struct sim_failover {
	enum failover_kind kind;
	uint64_t at_ns, window_ns; /* the fault; what begins so long after it counts */
	uint64_t end_ns;	   /* the run is over */
	bool done;
	uint8_t victim;
	bool led[SHARDS_MAX]; /* engine raft: the victim led that shard */
};

/* sim_failover_turn: with the other faults; does it when it is time. */
void sim_failover_turn(struct sim *s);

/*
 * sim_failover_run: `seeds` seeds of each kind, for 3 and 5 nodes (nodes 0: both) and both engines
 * (engine < 0), in `jobs` processes; prints a line for each. True when nothing was violated, and
 * all kept what is promised of a single node's death, or a single link's.
 */
bool sim_failover_run(uint64_t from, uint32_t seeds, uint32_t nodes, int engine, uint32_t jobs);

#endif
