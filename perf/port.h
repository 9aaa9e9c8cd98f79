/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port.h: carries the datagrams of a client core: over a polled memif port on a lab's switch
 * (kernel bypass on the client's side too), or over kernel UDP sockets. One thread owns a port.
 */
#ifndef CAIRN_PERF_PORT_H
#define CAIRN_PERF_PORT_H

#include "dataplane/client/core.h"
#include "dataplane/netdev.h"
#include "perf/target.h"

struct port {
	const struct target *target;
	struct netdev *net; /* NULL: UDP */
	struct frame_addr self;
	uint64_t maintain_ns; /* next look at the link */
	int socket[NODES_MAX];
	uint64_t tx_dropped;
};

/*
 * port_memif: opens client port number `client` of the target's lab; DPDK must be started with
 * port_device() among its devices. Waits up to 5 s for the link. port_udp: opens sockets.
 * 0, or a negative errno after printing what is wrong.
 */
int port_memif(struct port *p, const struct target *target, uint32_t client);
int port_udp(struct port *p, const struct target *target);

/* port_device: the DPDK name of that port. out: NETDEV_DEVICE_BYTES. */
void port_device(const struct target *target, uint32_t client, char *out);

/* port_receive: gives the core what has arrived. Returns the number of datagrams. Never blocks. */
uint32_t port_receive(struct port *p, struct client_core *core, uint64_t now_ns);

/* port_send: sends what the core has to say. Returns the number of datagrams. */
uint32_t port_send(struct port *p, struct client_core *core, uint64_t now_ns);

void port_close(struct port *p);

#endif
