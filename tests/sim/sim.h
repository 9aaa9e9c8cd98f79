/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.h: a whole cluster in one thread and virtual time. Nodes are the production worker, store,
 * log, protocol and frames over two simulated seams (sim_net, sim_disk); clients are the production
 * client core. Everything that happens comes from the seed. The event loop is sim_run (sim.c);
 * nodes, clients, faults and checks are in the sources named below.
 */
#ifndef CAIRN_TESTS_SIM_SIM_H
#define CAIRN_TESTS_SIM_SIM_H

#include <setjmp.h>
#include <stdio.h>

#include "dataplane/client/core.h"
#include "dataplane/worker.h"
#include "tests/check/check.h"
#include "tests/sim/plan.h"
#include "tests/sim/script.h"
#include "tests/sim/sim_authority.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_failover.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_raft.h"
#include "tests/sim/sim_service.h"
#include "tests/sim/sim_watch.h"

#define SIM_NODES_MAX NODES_MAX
#define SIM_KEY_TEXT 24u
#define SIM_NEVER UINT64_MAX
#define SIM_NONE UINT32_MAX
#define SIM_SHOWN_MAX 65536u
#define SIM_CLIENT_PORT 9000u /* UDP port of client 0 */

/* What the seeds did to the cluster, summed: faults of frames, of links, of nodes, of disks. */
#define SIM_FAULTS(X)                                                                              \
	X(lost) X(duplicated) X(spiked) X(corrupted) X(truncated) X(misdelivered) X(replayed)      \
	X(cut) X(clogged) X(partitions) X(slow_links) X(clogs) X(pauses) X(clocks) X(crashes)      \
	X(step_crashes) X(torn_writes) X(disk_errors) X(lost_writes) X(misdirected) X(rotted)      \
	X(refused_starts) X(careless) X(exclusions) X(demotions) X(recoveries) X(evictions)        \
	X(commands) X(slow_nodes) X(replacements) X(abandoned)

struct sim_totals {
	uint64_t seeds, events, ops, unknown, violations, digest;
	uint64_t views, leases, promotions, agreed, elections;
	uint64_t virtual_ns;
#define SIM_FAULT(name) uint64_t name;
	SIM_FAULTS(SIM_FAULT)
#undef SIM_FAULT
};

/* One polling thread of a node. */
struct sim_worker {
	struct worker *worker;
	struct blockdev *disk;
	struct worker_stats stats;
	void *mem;
	uint64_t mem_bytes;
	uint64_t due_ns, polled_ns;
};

/* A node's own clock: rate_ppm parts per million of the true one, since base_ns (true time). */
struct sim_clock {
	const uint64_t *true_ns;
	uint64_t base_ns, local_ns;
	uint32_t rate_ppm;
	uint64_t lag_ns; /* reading it in the middle of a round shows this much more */
};

struct sim_node {
	bool up;
	uint16_t port;
	struct sim_clock clock;
	uint64_t ready_ns;	/* recovery ends: not polled before */
	uint64_t paused_ns;	/* not polled before */
	uint64_t stale_ns;	/* 0, or: the clock was read then, and nothing done since */
	uint64_t outage_ns, tear; /* of the next crash: how long, and what tears */
	uint32_t tried_incarnation;
	bool damaged;		/* its disk holds something wrong; until it is formatted */
	bool blank;		/* formatted since it was a member last */
	uint8_t damaged_starts; /* with the damage, unnoticed */
	uint64_t clock_end_ns, clock_frozen_ns; /* its clock runs right again; froze until then */
	uint32_t rate_ppm; /* of its clock when nothing is wrong with it */
	uint64_t restart_ns;	/* when down: comes back then */
	uint64_t disk_error_ns; /* the failed disk is replaced (the process restarts) then */
	uint32_t incarnation;
	/* With the view service. */
	bool joining;	/* its disk was formatted to join */
	bool careless;	/* it replaces a founder's, and was formatted to found */
	bool spent;	/* wants to end, and to begin anew above floor */
	uint32_t floor; /* of its next incarnation */
	uint32_t disks; /* it has had before this one */
	struct view_board *board;
	struct control_region *control;
	struct sim_worker worker[SIM_QUEUES_MAX];
	uint64_t hash[SIM_KEYS_MAX];	   /* of the keys, under this incarnation's seed */
	struct op_ts seen[SIM_KEYS_MAX];   /* newest timestamp seen (H-MONO) */
	uint64_t resets[SHARDS_MAX];	   /* counted by its replicas when last looked at */
	uint32_t member_epoch;		   /* newest view it was seen to be a member of */
	/* Engine raft: by copy, until; the newest version of each key it must have; applied to. */
	uint64_t copied[SHARDS_MAX], copied_index[SHARDS_MAX];
	uint64_t due[SIM_KEYS_MAX], due_index[SHARDS_MAX];
};

struct sim_key {
	uint8_t text[SIM_KEY_TEXT];
	uint32_t bytes;
	uint16_t shard;
	struct op_ts acked; /* newest version any client was told is committed */
	struct op_ts committed; /* newest version that is, whoever knows */
	struct op_ts deleted; /* newest delete, committed or not */
	uint32_t open_updates; /* updates of it that ended UNKNOWN or EVICTED */
};

/* A value a client has seen, if it was not too long to remember. */
#define SIM_VALUE_KEPT 64u

struct sim_value {
	uint32_t bytes;
	uint8_t data[SIM_VALUE_KEPT];
};

struct sim_client {
	struct client_core *core;
	void *mem;
	uint64_t mem_bytes;
	uint16_t port;
	struct frame_addr addr;
	uint64_t due_ns;
	uint64_t slot_ns[SIM_SLOTS_MAX]; /* next operation of the slot; SIM_NEVER: one is open */
	uint32_t slot_final[SIM_SLOTS_MAX]; /* final operation it works on, or SIM_NONE */
	struct op_ts known[SIM_KEYS_MAX]; /* version it heard of last, for CAS; {0,0}: absent */
	struct sim_value value[SIM_KEYS_MAX]; /* likewise, for CASV */
};

/* What the history line of an operation needs beyond struct check_op. */
struct sim_op {
	uint8_t client, slot, server;
	bool any; /* another server will do */
	uint64_t timeout_ns; /* 0: the plan's */
	int64_t delta;
	uint32_t value_bytes; /* PUT, CAS, CASV: written; GET: read */
	struct op_ts floor;   /* acknowledged before it began (H-READ-VALID) */
	struct sim_value expected; /* CASV */
};

enum sim_phase {
	PHASE_FAULTS = 0, /* faults and load */
	PHASE_DRAIN,	  /* everything healed: open operations end */
	PHASE_READ,	  /* every key at every node */
	PHASE_WRITE,	  /* every key once */
	PHASE_READ_AGAIN,
	PHASE_QUIET,	  /* nothing open at any node */
	PHASE_DONE,
};

/* Faults that come again and again; sim_fault.c. */
enum sim_fault {
	FAULT_CRASH,
	FAULT_PARTITION,
	FAULT_SLOW,
	FAULT_CLOG,
	FAULT_REPLAY,
	FAULT_PAUSE,
	FAULT_DISK_ERROR,
	FAULT_LOST_WRITE,
	FAULT_MISDIRECT,
	FAULT_ROT,
	FAULT_CLOCK,
	FAULT_EXCLUDE,
	FAULT_DEMOTE,
	FAULT_COMMAND,
	FAULT_FLAP,
	FAULT_SLOW_NODE,
	FAULT_COUNT
};

struct sim {
	/* Options. */
	FILE *trace, *history;
	enum plan_profile profile;
	struct script *record; /* what is drawn goes in here, or NULL */
	struct script *follow; /* nothing is drawn, this is done instead, or NULL */
	struct sim_failover *failover; /* the one fault of this run, or NULL */

	uint64_t seed;
	struct plan plan;
	struct rng fault_rng, load_rng, disk_rng;
	uint64_t now_ns;
	uint64_t events, digest;
	struct sim_net *net;
	struct sim_node node[SIM_NODES_MAX];
	struct sim_client client[SIM_CLIENTS_MAX];
	struct sim_key key[SIM_KEYS_MAX];
	uint8_t *scratch; /* BLOCK_BYTES, aligned */

	enum sim_phase phase;
	uint64_t phase_end_ns; /* not over by then: stuck */
	uint32_t final_count, final_next, final_done; /* operations of this phase */

	uint64_t fault_due_ns, view_due_ns;
	uint64_t fault_ns[FAULT_COUNT]; /* next ones */
	struct script_event flap;	/* cut again and again; so many times yet */
	uint32_t flaps;
	uint64_t injected[SCRIPT_KIND_COUNT];
	uint64_t crashes, step_crashes, torn_writes, refused_starts, careless;
	struct sim_authority authority;
	struct sim_service service;
	struct sim_rafts *rafts;
	jmp_buf step; /* where a node lands that crashes in the middle of a round */
	bool stepping; /* stepping_node is in the middle of a round */
	uint8_t stepping_node;

	uint32_t op_count, ops_open, ops_unknown;
	struct check_op op[SIM_OPS_MAX];
	/* Engine raft: every version that a store showed, as a read of it that ended then. */
	uint32_t shown_count;
	struct check_op shown[SIM_SHOWN_MAX];
	struct sim_op op_more[SIM_OPS_MAX];
	struct sim_watch *watch;
	uint64_t verify_turn, verify_at; /* events */

	bool abandoned; /* every copy was destroyed: ends early */
	bool violated;
	char violation[1536];
	jmp_buf escape; /* where a failed must() of the production code lands */
};

/* sim_create: allocates; NULL when out of memory. sim_destroy frees all of it. */
struct sim *sim_create(void);
void sim_destroy(struct sim *s);

/*
 * sim_run: one seed, nodes 0: drawn; with s->follow that, seed and nodes do not count. Adds to
 * *totals; true when nothing was violated.
 */
bool sim_run(struct sim *s, uint64_t seed, uint32_t nodes, struct sim_totals *totals);

/* sim_violation: the run is over; the first explanation stays. */
void sim_violation(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* sim_event: counts something that happened and folds it into the digest. */
static inline void sim_event(struct sim *s, uint64_t what)
{
	s->events++;
	s->digest = rng_mix(s->digest ^ (s->now_ns * 0x9e3779b97f4a7c15ull)) + what;
}

/* sim_node.c */
void sim_node_format(struct sim *s, uint8_t node);
void sim_node_start(struct sim *s, uint8_t node);
void sim_node_crash(struct sim *s, uint8_t node);
void sim_node_pause(struct sim *s, uint8_t node, uint64_t until_ns, bool stale);
void sim_node_calm(struct sim *s, uint8_t node); /* no pause, no armed crash any more */
/* sim_node_arm: crash at the n-th frame sent (seam 0, 1) or write (before: 2, after: 3). */
void sim_node_arm(struct sim *s, uint8_t node, uint32_t n, uint8_t seam);
void sim_node_arrival(struct sim *s, const struct sim_delivery *delivery);
void sim_node_poll(struct sim *s, uint8_t node, uint16_t worker);
void sim_node_wake(struct sim *s, uint8_t node);    /* something outside has changed */
void sim_node_replace(struct sim *s, uint8_t node); /* stops; a new disk, formatted to join */
uint32_t sim_node_ip(uint8_t node);
const struct membership *sim_node_service(const struct sim *s, uint8_t node); /* NULL: down */
struct replica *sim_node_replica(struct sim *s, uint8_t node, uint16_t shard);
uint32_t sim_node_ops(struct sim *s, uint8_t node);
uint64_t sim_node_applied(struct sim *s, uint8_t node, uint16_t shard); /* engine raft */
struct entry *sim_node_entry(struct sim *s, uint8_t node, uint32_t key); /* NULL: has none */

/*
 * A node's own clock, in which its worker lives and its leases are told. Its rate: 1,000,000 is
 * true, 0 frozen; it stays over restarts.
 */
uint64_t sim_node_clock(const struct sim *s, uint8_t node);
void sim_node_clock_rate(struct sim *s, uint8_t node, uint32_t rate_ppm);

/*
 * What the view service would call: at all workers of the node. false: it is down or paused, or not
 * all could take it: call again later. lease_ns: the node's clock.
 */
bool sim_node_install(struct sim *s, uint8_t node, const struct view *view);
bool sim_node_lease(struct sim *s, uint8_t node, uint32_t epoch, uint64_t lease_ns);
uint32_t sim_node_epoch(const struct sim *s, uint8_t node); /* oldest installed; 0: none, or down */
bool sim_node_joined(const struct sim *s, uint8_t node);
bool sim_node_holds(const struct sim *s, uint8_t node); /* is up, and no witness */

/* sim_load.c */
void sim_load_start(struct sim *s);
void sim_load_arrival(struct sim *s, const struct sim_delivery *delivery);
void sim_load_turn(struct sim *s, uint32_t client);
void sim_load_final(struct sim *s, uint32_t count); /* starts handing out final operations */
void sim_load_history(struct sim *s);

/* sim_fault.c */
bool sim_fault_precious(struct sim *s, uint8_t node); /* leave it alone for now */
void sim_fault_start(struct sim *s);
void sim_fault_turn(struct sim *s);
void sim_fault_stop(struct sim *s);

/*
 * sim_view.c: where views come from. Those agreed on, the newest, all nodes that should be are
 * members and know it.
 */
const struct view *sim_view_of(const struct sim *s, uint32_t epoch);
const struct view *sim_view_latest(const struct sim *s);
bool sim_view_whole(const struct sim *s);
bool sim_view_member(const struct sim *s, uint8_t node); /* up, and in the newest one */
bool sim_view_holds(const struct sim *s, uint8_t node);	 /* is to hold data: no witness */

/* sim_is_raft: the engine is raft: a majority holds what is committed, and nobody needs a lease. */
static inline bool sim_is_raft(const struct sim *s)
{
	return s->plan.service.engine == ENGINE_RAFT;
}
void sim_view_start(struct sim *s);
void sim_view_stop(struct sim *s); /* faults are over */
void sim_view_turn(struct sim *s);
void sim_view_order(struct sim *s, const struct script_event *e); /* exclude, demote */
void sim_view_crashed(struct sim *s, uint8_t node);
void sim_view_started(struct sim *s, uint8_t node);
void sim_view_frozen(struct sim *s, uint8_t node, uint64_t length_ns);

/* sim_verify.c */
void sim_verify_start(struct sim *s);
void sim_verify_step(struct sim *s);	      /* invariants that hold at any moment */
void sim_verify_recovered(struct sim *s, uint8_t node);
void sim_verify_view(struct sim *s, uint8_t node);    /* it has just got one, or a lease */
void sim_verify_groups(struct sim *s, uint8_t node);  /* engine raft: after a round */
void sim_verify_resets(struct sim *s, uint8_t node); /* shards that began anew are noticed */
void sim_verify_quiet(struct sim *s);	      /* all nodes equal, to the byte */
void sim_verify_history(struct sim *s);

/* sim_trace.c: one line per event, only when s->trace. */
void sim_trace(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_trace_frame(struct sim *s, const struct sim_delivery *delivery);

#endif
