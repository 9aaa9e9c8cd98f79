/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h: what one seed means. Swarm testing: every seed draws which faults exist at all, how
 * strong they are, how big the cluster and its tables are and what the clients do, so that many
 * runs lack a fault altogether and some have nothing but one.
 */
#ifndef CAIRN_TESTS_SIM_PLAN_H
#define CAIRN_TESTS_SIM_PLAN_H

#include <stdio.h>

#include "dataplane/worker.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_net.h"

#define SIM_DEVICE_BYTES (64ull << 20)
#define SIM_CLIENTS_MAX 16u
#define SIM_KEYS_MAX 16u
#define SIM_SLOTS_MAX 8u /* operations one client has open at once */
#define SIM_OPS_MAX 16384u
#define SIM_FINAL_OPS 4000u /* of these are for the final phases */
#define SIM_KINDS 6u	 /* of operations: get, put, del, cas, incr, casv */

/* A fault that comes again and again: mean time between two, mean length. 0: never. */
struct plan_fault {
	uint64_t every_ns;
	uint64_t length_ns;
};

/* The scripted view authority (sim_authority.c), if worker.views. Times are means, or exact. */
struct plan_views {
	uint64_t lease_ns;   /* of the node's clock, exactly */
	uint64_t renew_ns;   /* exactly */
	uint64_t margin_ns;  /* what the authority waits beyond a lease and its drift, exactly */
	uint64_t notice_ns;  /* until a crash is noticed */
	uint64_t install_ns; /* from a view's making to its installation, by node */
	uint64_t late_ns;    /* the same, when it is a late one */
	uint64_t return_ns;  /* from a restart to being a shadow; from joined to being a member */
	uint32_t late_ppm, skip_ppm;
	struct plan_fault exclude, demote;
};

/*
 * The production view service, if on: views and leases come from the nodes themselves. Nodes
 * 0..founders-1 begin; the rest is formatted to join and added by commands. Times: membership.h.
 */
struct plan_service {
	bool on;
	uint8_t engine; /* enum membership_engine */
	uint8_t founders;
	uint8_t witness; /* node + 1 of one that holds no data; 0: none */
	uint8_t copies_min;
	uint64_t heartbeat_ns, election_ns, lease_ns, detect_ns, recover_ns, holddown_ns, slow_ns;
	uint64_t slow_floor_ns;
	uint64_t spawn_ns; /* a process that must restart is back after this */
	uint32_t slow_factor;
	uint32_t entries_max; /* engine raft: of a shard's log, in memory */
	uint32_t careless_ppm; /* new disks of founders that are formatted as on the first day */
	uint32_t role_ppm; /* faults that look for a victim by what it is in the cluster */
	struct plan_fault command, flap, slow_node;
};

struct plan {
	uint8_t nodes;
	uint16_t shards, workers;
	uint64_t poll_gap_ns; /* a worker's round takes this long: frames gather meanwhile */

	struct sim_net_faults net;
	struct plan_fault crash, partition, pause, disk_error, slow, clog, replay;
	struct plan_fault lost_write, misdirect, rot; /* views only: static ones cannot survive */
	struct plan_fault clock;
	uint32_t crash_all_ppm;	 /* of crashes: every node at once; as many hit two */
	uint32_t crash_busy_ppm; /* of crashes: right when a write is in flight */
	uint32_t crash_step_ppm; /* of crashes: between two frames or writes of one round */
	uint32_t stale_ppm;	 /* of pauses: the clock was read before, and is used after */
	uint32_t drift_ppm;	 /* clocks run at most this much faster or slower than time */
	struct sim_disk_options disk;
	struct plan_views views;
	struct plan_service service;

	struct worker_config worker; /* timers and sizes; addresses are filled by the node */

	uint32_t clients, keys, counters, slots; /* the first `counters` keys hold numbers */
	uint32_t ops;
	uint32_t weight[SIM_KINDS], weight_sum;
	uint32_t read_keys;	 /* so many of the last keys are only read */
	uint32_t hot_ppm;	 /* operations on key 0, beyond its share */
	uint32_t value_bytes_max;
	uint64_t think_ns, timeout_ns, retransmit_ns;
	uint64_t failover_ns;	 /* a silent server is left after this; 0: never */
	uint32_t any_ppm;	 /* operations that another server may do */
	uint32_t hasty_ppm;	 /* operations whose client gives up after about hasty_ns */
	uint64_t hasty_ns;
	uint64_t safety_ns;	 /* the faulty phase ends here at the latest */
};

/* What a run is about; the list with one line each is plan_profiles. */
enum plan_profile {
	PROFILE_DEFAULT = 0,
	PROFILE_STATIC,
	PROFILE_VIEWS,
	PROFILE_CRASH,
	PROFILE_NET,
	PROFILE_DISK,
	PROFILE_CLOCK,
	PROFILE_HOT,
	PROFILE_CALM,
	PROFILE_SERVICE,
	PROFILE_RAFT,
	PROFILE_PRODUCTION,
	PROFILE_PRODUCTION_RAFT,
	PROFILE_COUNT
};

extern const char *const plan_profiles[PROFILE_COUNT][2]; /* name, what it is */

/* plan_draw: the plan of a seed; nodes 0: drawn. */
void plan_draw(struct plan *plan, uint64_t seed, uint32_t nodes, enum plan_profile profile);

/*
 * plan_write: one line "plan NAME VALUE" for each field that is not zero. plan_set: sets one;
 * false: no such name, or too large. plan_valid: within the limits of the simulator's tables.
 */
void plan_write(const struct plan *plan, FILE *f);
bool plan_set(struct plan *plan, const char *name, uint64_t value);
bool plan_valid(const struct plan *plan);

#endif
