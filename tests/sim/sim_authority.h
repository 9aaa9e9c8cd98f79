/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_authority.h: the scripted view authority: one, infallible, outside the network. It grants
 * leases, notices crashes late, excludes and demotes nodes that are alive, brings restarted ones
 * back as shadows, makes members of those that joined, restarts the whole cluster from its disks;
 * and every node hears of every view at a time of its own, or never. Its moods are drawn by (seed,
 * epoch, node), so that they stay the same when a script loses events.
 */
#ifndef CAIRN_TESTS_SIM_SIM_AUTHORITY_H
#define CAIRN_TESTS_SIM_SIM_AUTHORITY_H

#include "replication/view.h"

#define SIM_VIEWS_KEPT 64u

/* What the authority knows of one node, and what it will do about it when. */
struct sim_subject {
	uint32_t installed;    /* newest view this incarnation has; 0 none */
	uint64_t install_ns, renew_ns, back_ns, ready_ns;
	uint64_t notice_ns;    /* a crash is known from then on */
	uint64_t lease_end_ns; /* the node's lease has surely expired, true time */
	uint64_t away_ns;      /* how long an excluded node stays out */
	bool leaving, demoting; /* gets no more leases */
	uint32_t grants;
};

struct sim_authority {
	struct view view[SIM_VIEWS_KEPT]; /* by epoch */
	uint32_t epoch;			  /* newest made; 0: static view */
	bool calm;			  /* faults are over: be quick and kind */
	uint64_t exclusions, demotions, promotions, recoveries, leases;
	struct sim_subject node[NODES_MAX];
};

struct script_event;
struct sim;

/* What sim_view.c asks for when views come from here. */
const struct view *sim_authority_of(const struct sim *s, uint32_t epoch);
bool sim_authority_whole(const struct sim *s);
bool sim_authority_member(const struct sim *s, uint8_t node);
void sim_authority_start(struct sim *s);
void sim_authority_stop(struct sim *s);
void sim_authority_turn(struct sim *s);
void sim_authority_order(struct sim *s, const struct script_event *e);
void sim_authority_crashed(struct sim *s, uint8_t node);
void sim_authority_started(struct sim *s, uint8_t node);
void sim_authority_frozen(struct sim *s, uint8_t node, uint64_t length_ns);

#endif
