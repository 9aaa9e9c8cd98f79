/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/idle.h"
#include "dataplane/netdev_dpdk.h"
#include "perf/cairn_bench.h"

#define MAINTAIN_NS 5000000u
#define CLIENT_PORT 7399u

void port_device(const struct target *target, uint32_t client, char *out)
{
	snprintf(out, NETDEV_DEVICE_BYTES, "memif:%s:%u", target->memif_socket,
		 target->memif_client_first + client);
}

static int wait_for_link(struct port *p)
{
	uint64_t start_ns = idle_clock_ns(), now_ns = start_ns;
	struct idle idle;

	idle_init(&idle, IDLE_ADAPTIVE);
	while (now_ns < start_ns + 5000000000ull) {
		if (netdev_maintain(p->net, now_ns))
			return 0;
		idle_wait(&idle, now_ns, now_ns + 1000000);
		now_ns = idle_clock_ns();
	}
	return -ETIMEDOUT;
}

int port_memif(struct port *p, const struct target *target, uint32_t client)
{
	char device[NETDEV_DEVICE_BYTES];
	struct netdev_dpdk_port config = { .device = device, .queue_count = 1 };
	struct netdev_error error;
	int rc;

	*p = (struct port) { .target = target, .self = target_client_addr(client, CLIENT_PORT) };
	memset(p->socket, 0xff, sizeof(p->socket));
	port_device(target, client, device);
	memcpy(config.mac, p->self.mac, sizeof(config.mac));
	rc = netdev_dpdk_open(&config, &p->net, &error);
	if (rc < 0)
		return bench_fail(rc, "%s", error.text);
	if (wait_for_link(p) < 0)
		return bench_fail(-ETIMEDOUT,
				  "%s: no link after 5 s; is the lab up ('cairnctl lab "
				  "status'), and client port %u free?",
				  device, client);
	return 0;
}

int port_udp(struct port *p, const struct target *target)
{
	*p = (struct port) { .target = target };
	memset(p->socket, 0xff, sizeof(p->socket));
	for (uint32_t i = 0; i < target->node_count; i++) {
		int size = 4 << 20;

		p->socket[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (p->socket[i] < 0)
			return bench_fail(-errno, "UDP socket: %s", strerror(errno));
		(void)setsockopt(p->socket[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	}
	return 0;
}

static uint32_t receive_memif(struct port *p, struct client_core *core, uint64_t now_ns)
{
	struct netdev_buf bufs[NETDEV_BURST];
	uint32_t n = netdev_receive(p->net, bufs, NETDEV_BURST);

	for (uint32_t i = 0; i < n; i++) {
		struct frame_info info;
		uint32_t node;

		switch (frame_parse(bufs[i].data, bufs[i].bytes, &p->self, &info)) {
		case FRAME_UDP:
			node = info.source.ip - TARGET_NETWORK - 1;
			if (node < p->target->node_count)
				client_core_input(core, (uint8_t)node, info.payload,
						  info.payload_bytes, now_ns);
			break;
		case FRAME_ARP_REQUEST:
			bufs[i].bytes = frame_arp_reply(bufs[i].data, &p->self);
			netdev_send(p->net, &bufs[i], 1);
			continue;
		case FRAME_ARP_REPLY:
		case FRAME_PING:
		case FRAME_SHORT:
		case FRAME_NOT_OURS:
		case FRAME_BAD_ETHERTYPE:
		case FRAME_BAD_IP:
		case FRAME_FRAGMENT:
		case FRAME_BAD_PROTOCOL:
		case FRAME_BAD_UDP:
		case FRAME_BAD_ARP:
		case FRAME_VERDICT_COUNT:
			break;
		}
		netdev_free(p->net, &bufs[i], 1);
	}
	if (now_ns >= p->maintain_ns) {
		netdev_maintain(p->net, now_ns);
		p->maintain_ns = now_ns + MAINTAIN_NS;
	}
	return n;
}

static uint32_t receive_udp(struct port *p, struct client_core *core, uint64_t now_ns)
{
	uint8_t payload[FRAME_PAYLOAD_MAX + 1];
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->target->node_count; i++) {
		for (uint32_t k = 0; k < NETDEV_BURST; k++) {
			ssize_t bytes = recv(p->socket[i], payload, sizeof(payload), 0);

			if (bytes <= 0)
				break;
			client_core_input(core, (uint8_t)i, payload, (uint32_t)bytes, now_ns);
			n++;
		}
	}
	return n;
}

uint32_t port_receive(struct port *p, struct client_core *core, uint64_t now_ns)
{
	return p->net ? receive_memif(p, core, now_ns) : receive_udp(p, core, now_ns);
}

static uint32_t send_memif(struct port *p, struct client_core *core, uint64_t now_ns)
{
	struct netdev_buf bufs[NETDEV_BURST];
	uint32_t n = 0;

	while (n < NETDEV_BURST && netdev_alloc(p->net, &bufs[n])) {
		struct frame_addr to;
		uint16_t shard;
		uint8_t server;
		uint32_t bytes = client_core_output(core, bufs[n].data + FRAME_HEADERS_BYTES,
						    &server, &shard, now_ns);

		if (bytes == 0) {
			netdev_free(p->net, &bufs[n], 1);
			break;
		}
		to = target_node_addr(server, (uint16_t)(p->target->port_base + shard));
		bufs[n].bytes = frame_udp_finish(bufs[n].data, bytes, &p->self, &to);
		n++;
	}
	if (n > 0)
		p->tx_dropped += n - netdev_send(p->net, bufs, n);
	return n;
}

static uint32_t send_udp(struct port *p, struct client_core *core, uint64_t now_ns)
{
	uint8_t payload[FRAME_PAYLOAD_MAX];
	uint32_t n = 0, bytes;
	uint16_t shard;
	uint8_t server;

	while (n < NETDEV_BURST &&
	       (bytes = client_core_output(core, payload, &server, &shard, now_ns)) > 0) {
		const struct target_server *s = &p->target->udp[server];
		uint32_t add = p->target->udp_port_per_shard ? shard : 0;
		struct sockaddr_in to = { .sin_family = AF_INET,
					  .sin_port = htons((uint16_t)(s->port + add)),
					  .sin_addr.s_addr = htonl(s->ip) };

		if (sendto(p->socket[server], payload, bytes, 0, (struct sockaddr *)&to,
			   sizeof(to)) < 0)
			p->tx_dropped++;
		n++;
	}
	return n;
}

uint32_t port_send(struct port *p, struct client_core *core, uint64_t now_ns)
{
	return p->net ? send_memif(p, core, now_ns) : send_udp(p, core, now_ns);
}

void port_close(struct port *p)
{
	for (uint32_t i = 0; i < NODES_MAX; i++)
		if (p->socket[i] >= 0)
			close(p->socket[i]);
}
