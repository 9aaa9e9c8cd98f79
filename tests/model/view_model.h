/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view_model.h: the view service (replication/membership.h) under the search of explore.h: three
 * nodes, all of them voters with data. view_core.c runs it, view_watch.c looks on, view_configs.c
 * has the situations.
 *
 * As in raft_model.h, a heartbeat is one tick, and nodes take notice of time when they like. The
 * data path is made up: its workers install views and take leases at once, and a shadow has copied
 * everything the next time it looks around.
 */
#ifndef CAIRN_TESTS_MODEL_VIEW_MODEL_H
#define CAIRN_TESTS_MODEL_VIEW_MODEL_H

#include "replication/membership_priv.h"
#include "tests/model/raft_model.h"

#define VIEW_MODEL_TICK	  1000000u /* ns; more than a promise outlasts its lease by */
#define VIEW_MODEL_BEGIN  (100u * VIEW_MODEL_TICK)
#define VIEW_MODEL_EPOCHS 24u

enum view_model_kind {
	VIEW_MODEL_LOOK = EXPLORE_CORE, /* timers; arg 1: the election's, too */
	VIEW_MODEL_DURABLE,
	VIEW_MODEL_CRASH, /* arg: records not durable yet that survive */
	VIEW_MODEL_RESTART,
	VIEW_MODEL_DRAIN, /* a command, arg: node */
	VIEW_MODEL_REMOVE, /* likewise */
};

struct view_model_config {
	const char *name, *what;
	uint8_t disk;  /* at these nodes records become durable one by one; else at once */
	bool hasty;    /* that it is durable is told before the next TICK */
	uint8_t stand; /* these nodes may lead */
	uint8_t late;  /* these may look around later than they should, or never */
	uint8_t crash; /* these may crash */
	uint8_t hold_nodes, cut_nodes; /* as in explore.h */
	uint8_t copies; /* copies_min; 0: 1 */
	uint8_t holds, cuts, repeats, time_max, crashes, drains, removes;
	uint8_t lease, detect; /* ticks */
	uint8_t inbox_max;
	uint32_t states_max;
	bool ci;
};

/* view_facts: a view is here as the search needs it. */
struct view_facts {
	uint64_t state_hash; /* of the newest agreed state that it knows */
	uint32_t incarnation, term;
	uint32_t member_incarnation[EXPLORE_NODES]; /* of the installed view; 0: no member */
	uint8_t revision, epoch, members, shadows;  /* of the agreed state; installed view */
	uint8_t agreed_epoch, agreed_members, conf, conf_old;
	uint8_t role, pending, life, leader;
	bool alive, lease, due, overdue, election_due, leads, spent;
};

struct view_ghost {
	struct explore_ghost common;
	uint8_t crashes, drains, removes;
	uint64_t state_hash[VIEW_MODEL_EPOCHS]; /* by revision */
	uint64_t view_hash[VIEW_MODEL_EPOCHS];  /* by epoch */
	uint8_t leader[VIEW_MODEL_EPOCHS];	/* by term: node + 1 */
	uint32_t newest_incarnation[EXPLORE_NODES];
	uint8_t revision, spare[3];
};

struct view_said {
	uint8_t restart;
	uint8_t spare[7];
};

void view_core_start(const void *config, uint8_t node, struct explore_out *out);
void view_core_step(const void *config, const uint8_t *local, uint32_t bytes,
		    const struct explore_event *event, const uint8_t *message,
		    uint32_t message_bytes, struct explore_out *out);
bool view_core_stale(const uint8_t *facts, const uint8_t *message, uint32_t bytes);
void view_core_print(const struct explore_event *event, const uint8_t *message, uint32_t bytes);
void view_core_print_facts(const uint8_t *facts);

void view_watch_begin(const void *config, uint8_t *ghost);
void view_watch_events(const void *config, const uint8_t *ghost,
		       const uint8_t *const facts[EXPLORE_NODES], struct explore_events *ret);
bool view_watch_beyond(const void *config, const uint8_t *ghost,
		       const uint8_t *const facts[EXPLORE_NODES]);
const char *view_watch_step(const void *config, uint8_t *ghost, const struct explore_event *event,
			    const uint8_t *const before[EXPLORE_NODES],
			    const uint8_t *const after[EXPLORE_NODES], const uint8_t *said);

const struct view_model_config *view_model_configs(uint32_t *ret_count);
/* view_model_open: until all three are members with leases, and a leads. */
void view_model_open(struct explore *x);

#endif
