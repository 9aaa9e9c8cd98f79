/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netdev.h: the seam between the worker and the network. A netdev is one receive/transmit queue
 * pair of one port, owned by one worker. Two sides implement it, chosen at link time:
 * dataplane/netdev_dpdk.c and tests/sim/sim_net.c. No DPDK type appears here.
 *
 * Buffers hold whole Ethernet frames (no FCS). A buffer belongs to whoever last got it: receive and
 * alloc give it to the caller; send and free take it back. A buffer received from one netdev may be
 * sent on any netdev of the same process.
 */
#ifndef CAIRN_DATAPLANE_NETDEV_H
#define CAIRN_DATAPLANE_NETDEV_H

#include "replication/base.h"

#define NETDEV_BURST 64u
#define NETDEV_FRAME_MAX 1518u /* bytes of the largest frame a buffer must hold */

struct netdev;

struct netdev_buf {
	uint8_t *data;
	uint32_t bytes;	  /* receive: frame length; send: set by the caller */
	void *handle;	  /* the side's own */
};

/* Counters of the side itself, single writer. */
struct netdev_counters {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint64_t tx_dropped;	/* the queue was full */
	uint64_t rx_no_buffer;	/* out of buffers: frames lost below us */
	uint64_t alloc_failed;
	uint64_t handed_off;	/* frames passed to another worker's queue */
	uint64_t link_restarts; /* times a lost link was started again */
};

/* netdev_mac: the port's own address, 6 bytes. */
const uint8_t *netdev_mac(const struct netdev *dev);

/* netdev_receive: up to max (<= NETDEV_BURST) frames; never blocks. Returns how many. */
uint32_t netdev_receive(struct netdev *dev, struct netdev_buf *bufs, uint32_t max);

/* netdev_alloc: one empty buffer with NETDEV_FRAME_MAX bytes at data. false: none left. */
bool netdev_alloc(struct netdev *dev, struct netdev_buf *ret_buf);

/*
 * netdev_send: takes all count (<= NETDEV_BURST) buffers. Returns how many went out; the others
 * were freed and counted in tx_dropped: the protocol resends, as on any wire.
 */
uint32_t netdev_send(struct netdev *dev, struct netdev_buf *bufs, uint32_t count);

/* netdev_free: gives buffers back unsent. */
void netdev_free(struct netdev *dev, struct netdev_buf *bufs, uint32_t count);

/*
 * netdev_maintain: housekeeping every few ms: watches the link and restarts it when it is lost
 * (memif needs that). Returns true while the link is up.
 */
bool netdev_maintain(struct netdev *dev, uint64_t now_ns);

const struct netdev_counters *netdev_counters(const struct netdev *dev);

#endif
