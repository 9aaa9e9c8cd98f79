/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch_fault.h: decides what happens to a frame on its way through the switch. Sans-I/O: it
 * draws, the switch acts. Every directed link (input port, output port) has its own generator, made
 * from the seed: the same frames in the same order on a link meet the same faults, whatever the
 * other links do.
 *
 * Text of a specification, comma separated, any order:
 *   seed=N             generator seed (default 1)
 *   drop=P             lose the frame
 *   dup=P              deliver it twice
 *   delay=P            hold it for a drawn time; later frames overtake it (reorder=P: the same)
 *   hold=MIN-MAX       the range of that time in microseconds (default 50-500)
 *   corrupt=P          flip one bit
 *   truncate=P         cut the frame short
 *   replay=P           deliver an old frame of the same link once more, besides this one
 *   port=N             only frames that enter or leave at this port (default: all)
 * P is a percentage with at most four decimals: 5%, 0.25%. Example: seed=7,drop=2%,dup=1%,delay=5%
 */
#ifndef CAIRN_DATAPLANE_SWITCH_FAULT_H
#define CAIRN_DATAPLANE_SWITCH_FAULT_H

#include "replication/base.h"

#define SWITCH_FAULT_PORTS	 33u /* SWITCH_PORTS_MAX and the gateway */
#define SWITCH_FAULT_PPM	 1000000u
#define SWITCH_FAULT_HOLD_MAX_US 10000000u
#define SWITCH_FAULT_BYTES_MIN	 14u /* a frame is never cut below its Ethernet header */

struct switch_fault_spec {
	uint64_t seed;
	uint32_t drop, duplicate, delay, corrupt, truncate, replay; /* parts per million */
	uint64_t hold_min_ns, hold_max_ns;
	uint32_t port; /* 1 + the only port concerned; 0: all */
};

struct switch_fault_counters {
	uint64_t dropped, duplicated, delayed, corrupted, truncated, replayed, partitioned;
};

struct switch_fault {
	struct switch_fault_spec spec;
	bool active;  /* anything to do at all; false costs the switch one test a frame */
	bool drawing; /* some probability is not zero */
	uint64_t blocked[SWITCH_FAULT_PORTS]; /* by input port: bit set of outputs cut off */
	uint64_t state[SWITCH_FAULT_PORTS][SWITCH_FAULT_PORTS];
	struct switch_fault_counters counters;
};

/* What to do with one frame, in this order. */
struct switch_fault_plan {
	uint8_t copies;	      /* 0: lost, 1, or 2 */
	bool replay;	      /* besides, deliver an old frame, chosen with replay_draw */
	uint32_t bytes;	      /* new length, <= the old */
	int64_t flip_bit;     /* bit of the (new) frame to invert, or -1 */
	uint64_t hold_ns[2];  /* per copy; 0: at once */
	uint64_t replay_draw; /* uniform 64 bits */
};

/*
 * switch_fault_parse: *ret_spec from text. 0, or -EINVAL: *ret_bad and *ret_bad_bytes mark the part
 * of text that is wrong. An empty text means no faults.
 */
int switch_fault_parse(const char *text, struct switch_fault_spec *ret_spec, const char **ret_bad,
		       uint32_t *ret_bad_bytes);

/* switch_fault_set: this specification from now on; starts all generators anew, keeps partitions.
 */
void switch_fault_set(struct switch_fault *fault, const struct switch_fault_spec *spec);

/* switch_fault_off: no faults; keeps partitions and counters. */
void switch_fault_off(struct switch_fault *fault);

/* switch_fault_block: cuts the links from every port in `from` to every one in `to` (bit sets). */
void switch_fault_block(struct switch_fault *fault, uint64_t from, uint64_t to);

/* switch_fault_heal: no link is cut any more. */
void switch_fault_heal(struct switch_fault *fault);

/* switch_fault_draw: the fate of a frame of `bytes` going from port in to port out; counts it. */
void switch_fault_draw(struct switch_fault *fault, uint32_t in, uint32_t out, uint32_t bytes,
		       struct switch_fault_plan *ret_plan);

#endif
