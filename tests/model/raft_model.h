/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raft_model.h: the Raft core (replication/raft.h) under the search of explore.h. raft_core.c runs
 * it, raft_watch.c looks on, raft_main.c has the situations.
 *
 * Time goes by in ticks, a heartbeat is one, an election time RAFT_ELECTION of them. A node takes
 * notice of it when it has an event, or a TICK, which comes any time after it is due, or never: so
 * every node may be late, or stopped, for any time. A follower may stand as soon as one election
 * time is over; that covers every random timeout.
 */
#ifndef CAIRN_TESTS_MODEL_RAFT_MODEL_H
#define CAIRN_TESTS_MODEL_RAFT_MODEL_H

#include "replication/raft_priv.h"
#include "tests/model/disk.h"
#include "tests/model/explore.h"

#define RAFT_MODEL_TICK	    1000u /* ns */
#define RAFT_MODEL_ELECTION 2u	  /* ticks */
#define RAFT_MODEL_BEGIN    (100u * RAFT_MODEL_TICK)
#define RAFT_MODEL_LOG	    11u /* indexes 1..10 */
#define RAFT_MODEL_TERMS    8u

enum raft_model_kind {
	RAFT_MODEL_TICKS = EXPLORE_CORE, /* its timers */
	RAFT_MODEL_DURABLE,		 /* one more record */
	RAFT_MODEL_CRASH,		 /* arg: records not durable yet that survive */
	RAFT_MODEL_RESTART,
	RAFT_MODEL_PROPOSE,   /* arg: value */
	RAFT_MODEL_READ,      /* arg: id */
	RAFT_MODEL_CONFIGURE, /* arg: voters, learners << 8 */
	RAFT_MODEL_TRANSFER,  /* arg: node */
	RAFT_MODEL_COMPACT,   /* arg: index */
};

struct raft_model_config {
	const char *name, *what;
	struct raft_conf conf;
	/* The opening: a and everybody else take part in the election of a, or nothing. */
	bool leader;
	uint8_t disk;  /* at these nodes records become durable one by one; else at once */
	uint8_t stand; /* these nodes may stand for election; 0: all */
	bool every_order; /* else prompt, with so many held up and cut off (explore.h) */
	uint8_t holds, cuts, repeats;
	uint8_t time_max, crashes, proposals, reads, transfers;
	uint8_t compacts;
	uint16_t next[2]; /* confs to go to, voters and learners << 8; 0: none */
	uint8_t term_max;
	uint8_t inbox_max;	 /* 0: all there is room for */
	uint8_t entries;	 /* its memory holds so many; 0: more than there ever are */
	bool no_crash_of_others; /* only a crashes */
	bool slow_clock;	 /* a's clock is slow, by the drift that is allowed for */
	uint32_t states_max;	 /* 0: to its end; else it is searched so far */
	bool ci;
};

/* raft_facts: about one node. Of indexes above `last`, and of what it holds no longer: 0. */
struct raft_facts {
	uint64_t chain[RAFT_MODEL_LOG];	 /* of all entries up to there */
	uint64_t dchain[RAFT_MODEL_LOG]; /* likewise on its disk */
	struct raft_conf conf;
	uint32_t term, dterm;
	uint8_t terms[RAFT_MODEL_LOG];
	uint8_t voters[RAFT_MODEL_LOG]; /* of the conf in force there, old and new */
	uint8_t commit, base, last, dbase, dlast, conf_index;
	uint8_t role, leader, vote, dvote, life;
	uint8_t pending; /* records not durable yet */
	uint8_t reads;	 /* open */
	bool alive, ready, lease, due, can_propose, transferring;
	bool conf_astray; /* what is in force is not the newest conf of its log */
};

/* raft_said: promises and answers of one step. */
struct raft_said {
	uint32_t vote_term[2];
	uint8_t vote_to[2], votes;
	uint8_t read_id, read_index, answered;
	uint8_t acked; /* highest index that it said it holds */
};

struct raft_ghost {
	struct explore_ghost common;
	uint8_t crashes, proposals, reads, transfers, confs, compacts;
	uint8_t commit;			   /* committed anywhere */
	uint8_t by_term[RAFT_MODEL_LOG];   /* in which it was, first */
	uint8_t leader[RAFT_MODEL_TERMS];  /* node + 1 */
	uint8_t life[RAFT_MODEL_TERMS];
	uint8_t leader_term;		   /* newest that had one */
	uint8_t vote[EXPLORE_NODES][RAFT_MODEL_TERMS]; /* to node + 1 */
	uint8_t read_node, read_id, fence; /* the open read; id 0: none */
	uint64_t chain[RAFT_MODEL_LOG];
};

void raft_core_start(const void *config, uint8_t node, struct explore_out *out);
void raft_core_step(const void *config, const uint8_t *local, uint32_t bytes,
		    const struct explore_event *event, const uint8_t *message,
		    uint32_t message_bytes, struct explore_out *out);
bool raft_core_stale(const uint8_t *facts, const uint8_t *message, uint32_t bytes);
void raft_core_print(const struct explore_event *event, const uint8_t *message, uint32_t bytes);
void raft_core_print_facts(const uint8_t *facts);

/* For the view service, which has such a core inside. tidy: without what does not matter. */
void raft_core_tidy(struct raft *r);
/* raft_core_hold_election: its timer runs out in a TICK of its own only, any time from now on. */
void raft_core_hold_election(struct raft *r);
/* raft_core_shorten: the shortest of all random times, if the timer was set anew. */
void raft_core_shorten(struct raft *r, uint64_t before_ns);
void raft_core_print_message(const uint8_t *encoded, uint32_t bytes);

void raft_watch_begin(const void *config, uint8_t *ghost);
void raft_watch_events(const void *config, const uint8_t *ghost,
		       const uint8_t *const facts[EXPLORE_NODES], struct explore_events *ret);
bool raft_watch_beyond(const void *config, const uint8_t *ghost,
		       const uint8_t *const facts[EXPLORE_NODES]);
const char *raft_watch_step(const void *config, uint8_t *ghost, const struct explore_event *event,
			    const uint8_t *const before[EXPLORE_NODES],
			    const uint8_t *const after[EXPLORE_NODES], const uint8_t *said);

const struct raft_model_config *raft_model_configs(uint32_t *ret_count);

#endif
