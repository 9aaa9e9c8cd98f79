/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_net.h: the simulated side of dataplane/netdev.h: one Ethernet segment in virtual time that
 * loses, doubles, delays, reorders, corrupts, cuts and partitions. Ports are nodes and clients; a
 * node's port has one queue (one struct netdev) per worker, steered by UDP destination port; all
 * that is not UDP reaches every queue. No allocation after sim_net_create.
 */
#ifndef CAIRN_TESTS_SIM_SIM_NET_H
#define CAIRN_TESTS_SIM_SIM_NET_H

#include "dataplane/netdev.h"
#include "tests/sim/rng.h"

#define SIM_PORTS_MAX 24u
#define SIM_QUEUES_MAX 2u
#define SIM_NET_FRAMES 8192u /* frames alive at once; beyond that the wire drops */

/* How bad the wire is; all chances in parts per million, per frame and receiver. */
struct sim_net_faults {
	uint64_t delay_min_ns;
	uint64_t delay_jitter_ns; /* mean of the exponential part */
	bool fifo;		  /* frames of one link never overtake each other */
	uint32_t loss_ppm;
	uint32_t burst_enter_ppm; /* a link enters a state in which 7 of 8 frames are lost */
	uint32_t burst_leave_ppm;
	uint32_t duplicate_ppm;
	uint32_t spike_ppm; /* this frame is late by about spike_ns */
	uint64_t spike_ns;
	uint32_t corrupt_ppm;  /* 1..8 bit flips; UDP frames only: ARP relies on the link's check */
	uint32_t truncate_ppm; /* cut to a random length */
	uint32_t misdeliver_ppm; /* to another port; every other one with that port's address */
	bool keep_old; /* remember some frames of all times, for sim_net_replay */
};

struct sim_net_counters {
	uint64_t sent, delivered, lost, burst_lost, duplicated, spiked, corrupted, truncated;
	uint64_t misdelivered, replayed;
	uint64_t cut;	   /* dropped by a partition */
	uint64_t clogged;  /* came late because of a slow or clogged link */
	uint64_t overflow; /* out of frames, or a receive queue was full */
};

/* What sim_net_pop took off the wire. */
struct sim_delivery {
	uint64_t now_ns;
	uint8_t *data;
	uint32_t bytes;
	uint32_t frame;	  /* to be given to sim_net_push or sim_net_release */
	uint16_t from, to; /* ports */
	uint16_t queue;
};

struct sim_net;
struct script;

/* sim_net_create: allocates; NULL when out of memory. One net serves many seeds. */
struct sim_net *sim_net_create(void);
void sim_net_destroy(struct sim_net *net);

/* sim_net_reset: an empty, healthy segment without ports. */
void sim_net_reset(struct sim_net *net, uint64_t seed);

/* sim_net_add_port: returns its number, counted from 0. steer_base: UDP port of queue 0. */
uint16_t sim_net_add_port(struct sim_net *net, const uint8_t mac[6], uint16_t queues,
			  uint16_t steer_base);

/* sim_net_queue: the netdev of one queue. */
struct netdev *sim_net_queue(struct sim_net *net, uint16_t port, uint16_t queue);

void sim_net_set_faults(struct sim_net *net, const struct sim_net_faults *faults);

/*
 * sim_net_watch: called with every frame that a port hands over, before the wire has its way with
 * it. NULL: nobody. sim_net_reset keeps it.
 */
typedef void sim_net_watcher(void *context, uint16_t port, const uint8_t *data, uint32_t bytes);
void sim_net_watch(struct sim_net *net, sim_net_watcher *watcher, void *context);

/* What a frame is, by its first message; bits for sim_net_cut. */
#define SIM_CLASS_INV 0x01u
#define SIM_CLASS_ACK 0x02u
#define SIM_CLASS_VAL 0x04u
#define SIM_CLASS_HELLO 0x08u
#define SIM_CLASS_COPY 0x10u  /* bulk copy */
#define SIM_CLASS_CLIENT 0x20u
#define SIM_CLASS_OTHER 0x40u /* ARP, damaged */
#define SIM_CLASS_RAFT 0x80u  /* Raft groups and the view service */
#define SIM_CLASS_ALL 0xffu

/*
 * sim_net_cut: frames of these classes from one port to another are dropped until then.
 * sim_net_slow: they take so much longer. sim_net_clog: nothing arrives before the end. The last
 * call for a link counts. sim_net_heal: all links are whole again.
 */
void sim_net_cut(struct sim_net *net, uint16_t from, uint16_t to, uint32_t classes,
		 uint64_t until_ns);
void sim_net_slow(struct sim_net *net, uint16_t from, uint16_t to, uint64_t extra_ns,
		  uint64_t until_ns);
void sim_net_clog(struct sim_net *net, uint16_t from, uint16_t to, uint64_t until_ns);
void sim_net_heal(struct sim_net *net);

/*
 * sim_net_replay: sends one of the frames remembered once more: to the port it was meant for, or to
 * another one (port < SIM_PORTS_MAX); bytes: cut to that length, 0: whole.
 */
void sim_net_replay(struct sim_net *net, uint32_t which, uint16_t port, uint32_t bytes);

/*
 * sim_net_script: fates of frames are recorded, or taken from a script instead of being drawn;
 * NULL: not. Not touched by sim_net_reset.
 */
void sim_net_script(struct sim_net *net, struct script *record, struct script *follow);

/* sim_net_arm: calls fire just before (left frames of this port from now on) leave; 0: never. */
void sim_net_arm(struct sim_net *net, uint16_t port, uint32_t left, void (*fire)(void *context),
		 void *context);

/* sim_net_port_down: the process behind the port died: what it held and had queued is gone. */
void sim_net_port_down(struct sim_net *net, uint16_t port);

/* sim_net_set_now: the time at which the frames sent from here on leave. */
void sim_net_set_now(struct sim_net *net, uint64_t now_ns);

/* sim_net_next_ns: when the next frame arrives; UINT64_MAX never. */
uint64_t sim_net_next_ns(const struct sim_net *net);

/* sim_net_pop: takes the frame that arrives next. Only when sim_net_next_ns is not UINT64_MAX. */
struct sim_delivery sim_net_pop(struct sim_net *net);

/* sim_net_push: into the queue's receive ring. sim_net_release: the receiver is done with it. */
void sim_net_push(struct sim_net *net, const struct sim_delivery *delivery);
void sim_net_release(struct sim_net *net, const struct sim_delivery *delivery);

/* sim_net_waiting: frames in the queue's receive ring. sim_net_held: buffers its owner holds. */
uint32_t sim_net_waiting(const struct sim_net *net, uint16_t port, uint16_t queue);
uint32_t sim_net_held(const struct sim_net *net, uint16_t port);

const struct sim_net_counters *sim_net_counters(const struct sim_net *net);

#endif
