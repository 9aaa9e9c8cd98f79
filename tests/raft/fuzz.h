/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz.h: random runs of a Raft group. The seed decides everything: the plan (which faults exist in
 * this run, how strong), the network, disks, clocks, and what the users ask for.
 */
#ifndef CAIRN_TESTS_RAFT_FUZZ_H
#define CAIRN_TESTS_RAFT_FUZZ_H

#include <stdio.h>

#include "tests/raft/rig.h"

#define FUZZ_PACKETS 4096u
#define FUZZ_MUSEUM  128u /* packets of any age that may come again */
#define FUZZ_ITEMS   16384u
#define FUZZ_MS	     1000000ull

enum fuzz_kind {
	FUZZ_DELIVER, /* packet, to node */
	FUZZ_TIMER,   /* node's deadline */
	FUZZ_DISK,    /* arg: records that are durable now */
	FUZZ_TOLD,    /* and now the core hears of it */
	FUZZ_RESTORED,
	FUZZ_RESTART,
	FUZZ_LOAD,
	FUZZ_FAULT,
	FUZZ_FLAP,
	FUZZ_MEND, /* arg: enum fuzz_mend */
	FUZZ_CALM,
};

enum fuzz_mend { MEND_LINKS, MEND_TYPES, MEND_STOP };

/* Faults of the plan; each has a weight in each run, most often zero for some. */
#define FUZZ_FAULTS(X)                                                                    \
	X(crash)                                                                          \
	X(crash_many)                                                                     \
	X(pause)                                                                          \
	X(split)                                                                          \
	X(isolate)                                                                        \
	X(one_way) X(chain) X(bridge) X(flap) X(deaf_type) X(clock) X(stall) X(disk_fail) \
		X(slow_node) X(stop)

enum fuzz_fault {
#define FUZZ_FAULT_KIND(name) FAULT_##name,
	FUZZ_FAULTS(FUZZ_FAULT_KIND)
#undef FUZZ_FAULT_KIND
		FAULT_COUNT
};

#define FUZZ_COUNTS(X)                                                                             \
	X(sent)                                                                                    \
	X(lost)                                                                                    \
	X(cut)                                                                                     \
	X(doubled)                                                                                 \
	X(old)                                                                                     \
	X(late) X(delivered) X(disk_writes) X(ticks) X(heals) X(transfers) X(holds) X(compactions) \
		X(checkpoints)

struct fuzz_plan {
	uint32_t loss_ppm, double_ppm, old_ppm, late_ppm, told_late_ppm, partial_ppm, lag_ppm;
	uint64_t delay_ns, disk_ns, load_ns, fault_ns, chaos_ns;
	uint32_t entry_bytes, keep_entries, rounds;
	uint32_t fault[FAULT_COUNT], fault_sum;
	uint32_t conf_weight, transfer_weight, hold_weight, read_weight, compact_weight;
	bool fifo, gaps;
	bool keep_disks;   /* no disk is wiped */
	uint8_t witnesses; /* these numbers are witnesses whenever they vote */
};

struct fuzz_packet {
	uint32_t refs, wipes, to_wipes;
	uint16_t bytes;
	uint8_t from;
	uint8_t data[RIG_PACKET_BYTES];
};

struct fuzz_item {
	uint64_t at_ns, order;
	uint32_t arg, life;
	uint8_t kind, node;
};

struct fuzz_kept {
	uint32_t packet; /* index + 1 */
	uint8_t to;
};

/* What the driver knows of a node beyond the rig. */
struct fuzz_node {
	uint64_t timer_ns; /* real time of its timer; UINT64_MAX: none */
	uint32_t timer_gen;
	uint64_t pause_ns; /* paused until then */
	uint64_t stall_ns; /* its disk does nothing until then */
	uint64_t slow_ns;  /* added to each packet from and to it */
	bool disk_busy;
	uint32_t disk_gen;
	uint32_t in_flight; /* records that the running write will make durable */
	uint8_t cut;	    /* bitmap: packets to these are lost */
	uint32_t spin;
	uint64_t spin_ns;
};

struct fuzz {
	struct rig *rig;
	uint64_t seed;
	struct fuzz_plan plan;
	struct fuzz_node node[NODES_MAX];
	struct rng net_rng, disk_rng, load_rng, fault_rng, time_rng;
	struct fuzz_item *items; /* a heap */
	uint32_t item_count;
	uint64_t order;
	struct fuzz_packet *packets;
	uint32_t *free_packets;
	uint32_t free_count;
	struct fuzz_kept museum[FUZZ_MUSEUM];
	uint64_t link_ns[NODES_MAX][NODES_MAX];
	uint32_t deaf_types; /* bitmap: messages of these types are lost */
	uint8_t flap_cut[NODES_MAX];
	uint64_t flap_ns;
	uint8_t stopping;
	uint64_t proposals;
	/* Rounds: chaos, then calm. */
	uint32_t round;
	bool calm, asked;
	uint64_t calm_ns, settled_ns;
	uint32_t settled_term;
	uint64_t events;
	bool trace;
#define FUZZ_COUNT(name) uint64_t name;
	FUZZ_COUNTS(FUZZ_COUNT)
#undef FUZZ_COUNT
};

struct fuzz *fuzz_create(void);
void fuzz_destroy(struct fuzz *f);
/* fuzz_run: true: nothing was violated. nodes 0: the seed chooses. */
bool fuzz_run(struct fuzz *f, uint64_t seed, uint32_t nodes);

/* fuzz_plan.c */
void fuzz_plan_draw(struct fuzz *f, uint32_t nodes);

/* fuzz_net.c */
void fuzz_net_begin(struct fuzz *f);
void fuzz_net_push(struct fuzz *f, uint64_t at_ns, enum fuzz_kind kind, uint8_t node, uint32_t arg);
bool fuzz_net_pop(struct fuzz *f, struct fuzz_item *ret_item);
void fuzz_net_again(struct fuzz *f, struct fuzz_item item, uint64_t at_ns);
void fuzz_net_send(struct rig *rig, uint8_t from, uint8_t to, const struct raft_message *message);
/* fuzz_net_deliver: the packet of an item to its node; drop: its turn is over without that. */
void fuzz_net_deliver(struct fuzz *f, const struct fuzz_item *item, bool drop);

/* fuzz_fault.c */
void fuzz_fault_draw(struct fuzz *f);
void fuzz_fault_flap(struct fuzz *f);
void fuzz_fault_mend(struct fuzz *f, enum fuzz_mend what);
void fuzz_fault_heal(struct fuzz *f); /* all of them end */
void fuzz_fault_restart(struct fuzz *f, uint8_t node);

/* fuzz_load.c */
void fuzz_load_draw(struct fuzz *f);
/* fuzz_load_settle: the calm after a round; true: it is over. */
bool fuzz_load_settle(struct fuzz *f);

/* fuzz.c: what follows every step of a node. */
void fuzz_after(struct fuzz *f, uint8_t node);
void fuzz_checkpoint(struct fuzz *f, uint8_t node);
void fuzz_note(struct fuzz *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline struct fuzz *fuzz_of(struct rig *rig)
{
	return rig->of;
}

#endif
