/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_wire.h: what becomes of a frame between two ports (used by sim_net.c alone). Each direction
 * between two ports is a link with a stream of chances of its own, one draw per frame; what goes
 * wrong with the n-th frame of a link is drawn, and recorded if somebody wants a script of the run;
 * or it comes from a script.
 */
#ifndef CAIRN_TESTS_SIM_SIM_WIRE_H
#define CAIRN_TESTS_SIM_SIM_WIRE_H

#include "tests/sim/script.h"
#include "tests/sim/sim_net.h"

struct sim_link {
	struct rng rng;
	uint64_t last_ns;
	uint64_t cut_until_ns, slow_until_ns, clog_until_ns;
	uint64_t slow_ns;
	uint32_t cut_classes;
	uint32_t sent; /* frames so far */
	uint8_t from, to;
	bool burst;
};

/* What becomes of a frame on its link; all zero: it arrives as it was sent. */
struct sim_fate {
	bool lost, duplicated;
	uint64_t late_ns;
	uint64_t flips;	/* 0: none, else which bits */
	uint32_t bytes;	/* left of a truncated frame, + 1 */
	uint32_t other;	/* 1 + port it is delivered to | 256: with that port's address */
};

/* What the fates of a net's frames depend on. */
struct sim_wire {
	struct sim_net_faults faults;
	struct sim_net_counters counters;
	uint64_t now_ns;
	uint32_t port_count;
	struct script *record, *follow;
};

/* sim_wire_is_ip: an IPv4 frame that has all its headers. */
bool sim_wire_is_ip(const uint8_t *data, uint32_t bytes);

/* sim_wire_class: SIM_CLASS_*, by what is in the frame, right or wrong. */
uint32_t sim_wire_class(const uint8_t *data, uint32_t bytes);

/* sim_wire_fate: of the link's next frame; word is its draw. */
struct sim_fate sim_wire_fate(struct sim_wire *w, struct sim_link *l, const uint8_t *data,
			      uint32_t bytes, uint64_t word);

/* sim_wire_arrival: when it gets there. */
uint64_t sim_wire_arrival(struct sim_wire *w, struct sim_link *l, const struct sim_fate *fate,
			  uint64_t word);

/* sim_wire_damage: does to the bytes what fate says; returns how many are left. */
uint32_t sim_wire_damage(struct sim_wire *w, uint8_t *data, uint32_t bytes,
			 const struct sim_fate *fate);

/* sim_wire_readdress: as if its sender had meant this MAC and IP address. */
void sim_wire_readdress(uint8_t *data, const uint8_t mac[6], const uint8_t ip[4]);

#endif
