/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_udp.h: a port of the switch that leads to kernel UDP on the loopback interface, so that a
 * plain UDP client reaches nodes that live on shared-memory links. One socket per node:
 *
 *   datagram to 127.0.0.1:<the node's port>   ->  frame from the gateway's address, source port =
 * the sender's port, to the node, UDP port = port_base + the shard in the payload's wire header
 *   frame from a node to the gateway's address ->  datagram from that node's socket to
 *                                                 127.0.0.1:<the frame's target port>
 *
 * It answers ARP and ping for its own address. It checks neither sessions nor checksums; the node
 * does. One thread; never blocks.
 */
#ifndef CAIRN_DATAPLANE_GATEWAY_UDP_H
#define CAIRN_DATAPLANE_GATEWAY_UDP_H

#include "dataplane/frame.h"
#include "dataplane/netdev.h"
#include "dataplane/netdev_dpdk.h"

#define GATEWAY_UDP_HOT_NS \
	500000u /* a socket this long after a datagram is looked at every round */
#define GATEWAY_UDP_COLD_NS 20000u /* the others together this often */

struct gateway_udp;

struct gateway_udp_config {
	uint32_t node_count;		   /* 1..NODES_MAX */
	struct frame_addr node[NODES_MAX]; /* port: the node's UDP port of shard 0 */
	struct frame_addr self;		   /* the gateway's address on the switch; port unused */
	uint16_t listen_port[NODES_MAX];   /* on 127.0.0.1; 0: any free one */
};

struct gateway_udp_counters {
	uint64_t rx_datagrams, tx_datagrams;
	uint64_t rx_refused; /* too short or long, no such shard, not from 127.0.0.1 */
	uint64_t tx_refused; /* frames that are no UDP of a node, or that the kernel did not take */
	uint64_t no_buffer;
};

/*
 * gateway_udp_open: opens the sockets. The gateway is freed with gateway_udp_close. 0, or with
 * *ret_error filled: -EADDRINUSE a port is taken, -EACCES no right to a port below 1024, -ENOMEM,
 * or another errno of the socket calls.
 */
int gateway_udp_open(const struct gateway_udp_config *config, struct gateway_udp **ret_gateway,
		     struct netdev_error *ret_error);

/* gateway_udp_port: the UDP port on 127.0.0.1 that leads to a node. */
uint16_t gateway_udp_port(const struct gateway_udp *gateway, uint32_t node);

/*
 * gateway_udp_receive: frames for the switch, made in buffers of `pool`; the caller owns them. At
 * most max (<= NETDEV_BURST). Returns how many.
 */
uint32_t gateway_udp_receive(struct gateway_udp *gateway, struct netdev *pool, uint64_t now_ns,
			     struct netdev_buf *bufs, uint32_t max);

/* gateway_udp_send: takes all count (<= NETDEV_BURST) buffers; what it cannot deliver is counted.
 */
void gateway_udp_send(struct gateway_udp *gateway, struct netdev *pool, struct netdev_buf *bufs,
		      uint32_t count);

const struct gateway_udp_counters *gateway_udp_counters(const struct gateway_udp *gateway);

/* gateway_udp_close: closes the sockets and gives buffers back to pool. */
void gateway_udp_close(struct gateway_udp *gateway, struct netdev *pool);

#endif
