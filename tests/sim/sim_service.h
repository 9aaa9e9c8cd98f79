/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_service.h: the production view service as its nodes show it. Nothing is decided here: each
 * node's state is looked at after each of its rounds, the views agreed on are kept, and what the
 * service promises is checked: M-EPOCH-LOG, M-INCARN, M-IDENT, M-FLAP (M-LEASE-GAP: sim_verify.c,
 * M-MIN-SIZE: sim_watch.c). sim_operator.c is the one who gives it commands.
 */
#ifndef CAIRN_TESTS_SIM_SIM_SERVICE_H
#define CAIRN_TESTS_SIM_SIM_SERVICE_H

#include "replication/membership.h"

#define SIM_SERVICE_VIEWS 256u
#define SIM_LIVES_KEPT 64u

/* A process: which incarnation ran on which disk. */
struct sim_life {
	uint32_t incarnation, ident;
};

/* What is known of one node. */
struct sim_service_node {
	uint64_t revision; /* newest state it has shown in this life */
	uint32_t epoch;	   /* oldest view any of its workers has, when last looked at */
	uint64_t lease_ns; /* likewise, of its lease */
	uint32_t shard_epoch[SHARDS_MAX]; /* of each shard's view: workers take it one by one */
	uint32_t ident;	   /* of its disk */
	uint64_t named;	   /* revision that named the disk agreed on */
	uint32_t left;	   /* incarnation in which it left the write set last */
	uint32_t lives;
	struct sim_life life[SIM_LIVES_KEPT];
	uint64_t evicted_ns; /* true time */
	bool evicted;
	uint32_t command; /* number of its open one; 0: none */
	uint64_t command_ns;
};

struct sim_service {
	struct view view[SIM_SERVICE_VIEWS]; /* agreed on, in a ring */
	uint32_t views;			     /* so many */
	struct membership_state newest;
	struct membership_state first; /* what the founders begin with */
	struct sim_service_node node[NODES_MAX];
	uint64_t leases, exclusions, evictions, promotions, recoveries, commands, replacements;
	uint64_t answers[COMMAND_CODE_COUNT];
	uint64_t operator_ns;
	uint32_t turn;
	bool calm;
};

struct script_event;
struct sim;

/* sim_service_knows: by their logs all other founders know which disk is this founder's. */
bool sim_service_knows(const struct sim *s, uint8_t node);

const struct view *sim_service_of(const struct sim *s, uint32_t epoch);
const struct view *sim_service_latest(const struct sim *s);
bool sim_service_whole(const struct sim *s);
bool sim_service_member(const struct sim *s, uint8_t node);
void sim_service_reset(struct sim *s); /* before the first node starts */

/*
 * sim_service_copies: faults of disks leave one good copy, but not even the simulator knows whom
 * the service leaves out next: when the last member's disk has been lost, the run ends here.
 */
void sim_service_copies(struct sim *s);

/* sim_service_started: a new life of the node. sim_service_look: after each of its rounds. */
void sim_service_started(struct sim *s, uint8_t node);
void sim_service_look(struct sim *s, uint8_t node);
void sim_service_cut_short(struct sim *s, uint8_t node); /* it crashes in the middle of a round */

/* sim_service_explain: why the cluster is not whole. */
void sim_service_explain(const struct sim *s, char *out, size_t bytes);

/* sim_service_role: a node that is this now; SIM_NONE: none. */
enum sim_role {
	SIM_ROLE_LEADER,
	SIM_ROLE_MEMBER,
	SIM_ROLE_SHADOW,
	SIM_ROLE_WITNESS,
	SIM_ROLE_COUNT
};
uint32_t sim_service_role(const struct sim *s, enum sim_role role, uint64_t word);

/* sim_operator.c */
void sim_operator_stop(struct sim *s); /* faults are over: everybody is to come back */
void sim_operator_turn(struct sim *s);
void sim_operator_order(struct sim *s, const struct script_event *e);
bool sim_operator_draw(struct sim *s, struct script_event *ret_event);

#endif
