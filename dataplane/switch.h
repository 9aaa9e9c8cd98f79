/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch.h: a learning Ethernet switch over netdevs, one per port, with an optional UDP gateway as
 * one more port and a fault injector on every link. One thread polls it:
 *
 *   receive from every port -> learn the sender -> find the output -> (faults) -> gather per output
 *   -> one transmit burst per output at the end of the round
 *
 * Unknown and group addresses go to every other port as copies. Ports are numbered as given;
 * the gateway's number is port_count.
 */
#ifndef CAIRN_DATAPLANE_SWITCH_H
#define CAIRN_DATAPLANE_SWITCH_H

#include "dataplane/gateway_udp.h"
#include "dataplane/netdev.h"
#include "dataplane/switch_fault.h"

#define SWITCH_PORTS_MAX   32u
#define SWITCH_MACS_MAX	   512u	 /* learned addresses; further ones are flooded */
#define SWITCH_HELD_MAX	   1024u /* frames held by `delay` at once; further ones pass at once */
#define SWITCH_MAINTAIN_NS 5000000u

_Static_assert(SWITCH_FAULT_PORTS == SWITCH_PORTS_MAX + 1, "every port has its links");

struct switch_plane;

struct switch_config {
	struct netdev *port[SWITCH_PORTS_MAX];
	uint32_t port_count;	     /* 1..SWITCH_PORTS_MAX */
	struct gateway_udp *gateway; /* NULL: none */
};

struct switch_counters {
	uint64_t rx_frames, tx_frames;
	uint64_t dropped;   /* malformed, for its own port, or the output queue was full */
	uint64_t flooded;   /* copies made for unknown and group addresses */
	uint64_t no_buffer; /* copies not made */
	uint64_t moved;	    /* addresses that changed their port */
	uint64_t held_full; /* frames that `delay` could not hold */
};

/* switch_size, switch_init: mem (64-byte aligned) stays the caller's. */
uint64_t switch_size(void);
struct switch_plane *switch_init(void *mem, const struct switch_config *config);

/* switch_poll: one round. Never blocks. Returns the number of frames moved, 0 when idle. */
uint32_t switch_poll(struct switch_plane *sw, uint64_t now_ns);

/* switch_deadline_ns: when the next poll is useful if nothing arrives. */
uint64_t switch_deadline_ns(const struct switch_plane *sw);

/* switch_faults: change faults and partitions through it, between polls. */
struct switch_fault *switch_faults(struct switch_plane *sw);

const struct switch_counters *switch_counters(const struct switch_plane *sw);
uint32_t switch_port_count(const struct switch_plane *sw); /* the gateway included */
bool switch_port_up(const struct switch_plane *sw, uint32_t port);

/* switch_flush: gives every held buffer back; before the ports close. */
void switch_flush(struct switch_plane *sw);

#endif
