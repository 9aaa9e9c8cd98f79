/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netdev_dpdk.h: how a program gets its netdevs on DPDK. Once per process: netdev_dpdk_start();
 * then one netdev_dpdk_open() per port, which gives one netdev per worker. Everything after that
 * goes through netdev.h.
 *
 * Devices are named by a string:
 *   memif:SOCKET:ID         shared-memory link, client end; SOCKET is an abstract socket name
 *   memif-server:SOCKET:ID  the listening end
 *   af_packet:IFNAME        a kernel interface through a packet socket (needs CAP_NET_RAW)
 *   af_xdp:IFNAME           a kernel interface through AF_XDP (needs root)
 *   pci:DDDD:BB:DD.F        a NIC bound to vfio-pci or uio_pci_generic
 *
 * A port whose device has fewer queues than there are workers, or cannot steer by UDP port, is
 * shared in software: the owner of a device queue passes a frame for UDP port port_base + s to
 * worker s % queue_count over a ring, and sends for the workers that have no device queue of their
 * own.
 */
#ifndef CAIRN_DATAPLANE_NETDEV_DPDK_H
#define CAIRN_DATAPLANE_NETDEV_DPDK_H

#include "dataplane/netdev.h"
#include "replication/types.h"

#define NETDEV_PORTS_MAX       32u
#define NETDEV_BUFFERS_DEFAULT 8192u
#define NETDEV_BUFFERS_MIN     1024u
#define NETDEV_BUFFERS_MAX     (1u << 20)
#define NETDEV_DEVICE_BYTES    64u /* of a device string, with its final zero */

/* What failed, for the program to print: names the value and says the cure. */
struct netdev_error {
	int code; /* negative errno, as returned */
	char text[240];
};

enum netdev_memory {
	NETDEV_MEMORY_AUTO = 0, /* huge pages when enough are free, else normal pages */
	NETDEV_MEMORY_HUGE,	/* -ENOMEM when there are not enough */
	NETDEV_MEMORY_NORMAL,
};

struct netdev_dpdk_options {
	const char *const
		*devices;      /* all ports the process will open; NICs must be known at start */
	uint32_t device_count; /* <= NETDEV_PORTS_MAX */
	uint32_t buffers;      /* frame buffers of the process; 0: NETDEV_BUFFERS_DEFAULT */
	enum netdev_memory memory;
};

struct netdev_dpdk_port {
	const char *device;
	uint8_t mac[6];	      /* memif only; all zero: a random one */
	uint16_t queue_count; /* one per worker, 1..WORKERS_MAX */
	uint16_t port_base;   /* UDP port of shard 0, for sharing in software */
	uint16_t descriptors; /* of each queue; 0: 1024 */
};

/*
 * netdev_dpdk_start: starts DPDK and makes the buffers. Once per process; takes 0.1 s. The calling
 * thread may poll; its CPU affinity is unchanged. 0, or with *ret_error filled: -EALREADY,
 * -EINVAL an option out of range or a device string that is none, -ENOMEM, -ENODEV a NIC that is
 * not there or not bound to a user-space driver, -EIO DPDK refused for another reason (its words
 * are in the text).
 */
int netdev_dpdk_start(const struct netdev_dpdk_options *options, struct netdev_error *ret_error);

/*
 * netdev_dpdk_open: opens a port; ret_queues gets queue_count netdevs, one for each worker's
 * thread. A memif client need not find its server yet: netdev_maintain connects it. 0, or with
 * *ret_error filled: -EINVAL, -ENODEV no such interface or NIC, -EPERM no right to it, -EBUSY the
 * memif server name is taken, -ENOMEM, -ENOSPC more than NETDEV_PORTS_MAX, -EIO anything else DPDK
 * says.
 */
int netdev_dpdk_open(const struct netdev_dpdk_port *port, struct netdev **ret_queues,
		     struct netdev_error *ret_error);

/*
 * netdev_dpdk_thread_start: call in each further polling thread before its first netdev call; gives
 * it its own buffer cache. 0 or -ENOMEM: works all the same, slower. The starter of DPDK has one
 * already.
 */
int netdev_dpdk_thread_start(void);

/* netdev_dpdk_queue_count: device queues in use; fewer than queue_count: shared in software. */
uint16_t netdev_dpdk_queue_count(const struct netdev *dev);

/* netdev_dpdk_memory: "huge" or "normal" pages; "none" before the start. */
const char *netdev_dpdk_memory(void);

/*
 * netdev_dpdk_stop: stops the ports; the process should end soon after. No other thread may be
 * polling any more, and no netdev may be used afterwards.
 */
void netdev_dpdk_stop(void);

#endif
