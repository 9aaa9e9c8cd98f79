/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target.h: whom a load goes to: a lab, found by its lab.json (mgmt/lab_state.h), or a list of UDP
 * addresses. The lab's network is 10.77.0.0/24: node i is host i + 1, polled client j is host 100 +
 * j.
 */
#ifndef CAIRN_PERF_TARGET_H
#define CAIRN_PERF_TARGET_H

#include "dataplane/frame.h"

#define TARGET_NETWORK	   0x0a4d0000u
#define TARGET_CLIENT_HOST 100u

struct target_server {
	uint32_t ip; /* host byte order */
	uint16_t port;
};

struct target {
	struct target_server udp[NODES_MAX]; /* where kernel UDP reaches shard 0 of each node */
	uint32_t node_count;
	uint32_t shard_count;	 /* 0: not known */
	uint64_t cluster;	 /* 0: not known */
	bool udp_port_per_shard; /* UDP port of shard s is port + s; else the same for all */
	bool memif;		 /* the next three are known */
	char memif_socket[48];
	uint32_t memif_client_first, memif_clients;
	uint16_t port_base; /* UDP port of shard 0 at a node, inside the lab's network */
	char dir[256];	    /* of a lab, else empty */
	bool spin;	    /* idle policy of the nodes */
};

/*
 * target_lab: reads DIR/lab.json; dir NULL: the folder cairnctl uses when told nothing. 0, or a
 * negative errno after printing what is wrong and the cure.
 */
int target_lab(const char *dir, struct target *ret_target);

/* target_endpoints: "ADDRESS:PORT,..", one per node in the order of node numbers. As above. */
int target_endpoints(const char *list, struct target *ret_target);

/* target_node_addr, target_client_addr: addresses inside the lab's network. */
struct frame_addr target_node_addr(uint32_t node, uint16_t port);
struct frame_addr target_client_addr(uint32_t client, uint16_t port);

#endif
