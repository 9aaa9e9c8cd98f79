/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/gateway_udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "replication/wire.h"

#define BATCH	      32u
#define SHARD_OFFSET  30u /* in the wire header */
#define SOCKET_BUFFER (4 << 20)

struct gateway_socket {
	int fd;
	uint16_t port;
	uint64_t hot_until_ns;
};

struct gateway_udp {
	struct gateway_udp_config config;
	struct gateway_udp_counters counters;
	int epoll_fd;
	uint64_t check_ns; /* when all sockets are looked at again */
	struct gateway_socket socket[NODES_MAX];
	/* Buffers that the next recvmmsg writes to; stash_count of them are real. */
	struct netdev_buf stash[BATCH];
	uint32_t stash_count;
	/* Our own answers (ARP, ping) that wait for the next receive. */
	struct netdev_buf answer[BATCH];
	uint32_t answer_count;
	struct mmsghdr message[NETDEV_BURST];
	struct iovec part[NETDEV_BURST];
	struct sockaddr_in peer[NETDEV_BURST];
};

static int socket_open(struct gateway_socket *s, uint16_t port)
{
	struct sockaddr_in here = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t length = sizeof(here);
	int bytes = SOCKET_BUFFER;

	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	/* Only smoother with large buffers: a refusal is no error. */
	if (setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0)
		(void)setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	(void)setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (bind(s->fd, (struct sockaddr *)&here, sizeof(here)) != 0)
		return -errno;
	if (getsockname(s->fd, (struct sockaddr *)&here, &length) != 0)
		return -errno;
	s->port = ntohs(here.sin_port);
	return 0;
}

static int sockets_open(struct gateway_udp *g, uint32_t *ret_node)
{
	g->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (g->epoll_fd < 0)
		return -errno;
	for (uint32_t i = 0; i < g->config.node_count; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };
		int r = socket_open(&g->socket[i], g->config.listen_port[i]);

		*ret_node = i;
		if (r < 0)
			return r;
		if (epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, g->socket[i].fd, &event) != 0)
			return -errno;
	}
	return 0;
}

static void sockets_close(struct gateway_udp *g)
{
	for (uint32_t i = 0; i < NODES_MAX; i++)
		if (g->socket[i].fd >= 0)
			close(g->socket[i].fd);
	if (g->epoll_fd >= 0)
		close(g->epoll_fd);
}

int gateway_udp_open(const struct gateway_udp_config *config, struct gateway_udp **ret_gateway,
		     struct netdev_error *ret_error)
{
	must(config->node_count >= 1 && config->node_count <= NODES_MAX);
	struct gateway_udp *g = calloc(1, sizeof(*g));
	uint32_t node = 0;

	ret_error->code = -ENOMEM;
	snprintf(ret_error->text, sizeof(ret_error->text), "no memory for the UDP gateway");
	if (!g)
		return -ENOMEM;
	g->config = *config;
	g->epoll_fd = -1;
	for (uint32_t i = 0; i < NODES_MAX; i++)
		g->socket[i].fd = -1;
	int r = sockets_open(g, &node);

	if (r == 0) {
		*ret_gateway = g;
		return 0;
	}
	ret_error->code = r;
	snprintf(ret_error->text, sizeof(ret_error->text),
		 r == -EADDRINUSE
			 ? "UDP port 127.0.0.1:%u (node %u) is taken: choose another, or 0 "
			   "for a free one"
			 : "cannot open UDP port 127.0.0.1:%u (node %u): %s",
		 config->listen_port[node], node, strerror(-r));
	sockets_close(g);
	free(g);
	return r;
}

uint16_t gateway_udp_port(const struct gateway_udp *g, uint32_t node)
{
	return g->socket[node].port;
}

const struct gateway_udp_counters *gateway_udp_counters(const struct gateway_udp *g)
{
	return &g->counters;
}

void gateway_udp_close(struct gateway_udp *g, struct netdev *pool)
{
	netdev_free(pool, g->stash, g->stash_count);
	netdev_free(pool, g->answer, g->answer_count);
	sockets_close(g);
	free(g);
}

/* Makes a frame of the datagram at message i; false: refused. */
static bool frame_make(struct gateway_udp *g, uint32_t node, uint32_t i, struct netdev_buf *buf)
{
	const struct mmsghdr *m = &g->message[i];
	struct frame_addr source = g->config.self;
	struct frame_addr target = g->config.node[node];

	if (m->msg_len < WIRE_HEADER_BYTES || (m->msg_hdr.msg_flags & MSG_TRUNC))
		return false;
	if (g->peer[i].sin_addr.s_addr != htonl(INADDR_LOOPBACK))
		return false; /* the answer would go to somebody else */
	uint32_t shard = load_u16(buf->data + FRAME_HEADERS_BYTES + SHARD_OFFSET);

	if (shard >= SHARDS_MAX)
		return false;
	source.port = ntohs(g->peer[i].sin_port);
	target.port = (uint16_t)(target.port + shard);
	buf->bytes = frame_udp_finish(buf->data, m->msg_len, &source, &target);
	return true;
}

static void stash_fill(struct gateway_udp *g, struct netdev *pool)
{
	while (g->stash_count < BATCH) {
		struct netdev_buf *buf = &g->stash[g->stash_count];

		if (!netdev_alloc(pool, buf)) {
			g->counters.no_buffer++;
			return;
		}
		g->stash_count++;
	}
}

static uint32_t socket_receive(struct gateway_udp *g, uint32_t node, uint64_t now_ns,
			       struct netdev_buf *bufs, uint32_t max)
{
	uint32_t want = (uint32_t)min_u64(g->stash_count, max);
	uint32_t count = 0, kept = 0;

	if (want == 0)
		return 0;
	for (uint32_t i = 0; i < want; i++) {
		g->part[i] = (struct iovec) { g->stash[i].data + FRAME_HEADERS_BYTES,
					      FRAME_PAYLOAD_MAX };
		g->message[i].msg_hdr = (struct msghdr) {
			.msg_name = &g->peer[i],
			.msg_namelen = sizeof(g->peer[i]),
			.msg_iov = &g->part[i],
			.msg_iovlen = 1,
		};
	}
	int n = recvmmsg(g->socket[node].fd, g->message, want, MSG_DONTWAIT, NULL);

	if (n <= 0)
		return 0;
	g->socket[node].hot_until_ns = now_ns + GATEWAY_UDP_HOT_NS;
	for (uint32_t i = 0; i < g->stash_count; i++) {
		if (i < (uint32_t)n && frame_make(g, node, i, &g->stash[i])) {
			g->counters.rx_datagrams++;
			bufs[count++] = g->stash[i];
			continue;
		}
		if (i < (uint32_t)n)
			g->counters.rx_refused++;
		g->stash[kept++] = g->stash[i];
	}
	g->stash_count = kept;
	return count;
}

uint32_t gateway_udp_receive(struct gateway_udp *g, struct netdev *pool, uint64_t now_ns,
			     struct netdev_buf *bufs, uint32_t max)
{
	uint32_t count = (uint32_t)min_u64(g->answer_count, max);
	uint32_t ready = 0;

	memcpy(bufs, g->answer, count * sizeof(bufs[0]));
	g->answer_count -= count;
	memmove(g->answer, g->answer + count, g->answer_count * sizeof(g->answer[0]));
	for (uint32_t i = 0; i < g->config.node_count; i++)
		if (now_ns < g->socket[i].hot_until_ns)
			ready |= 1u << i;
	if (now_ns >= g->check_ns) {
		struct epoll_event event[NODES_MAX];
		int n = epoll_wait(g->epoll_fd, event, NODES_MAX, 0);

		for (int i = 0; i < n; i++)
			ready |= 1u << event[i].data.u32;
		g->check_ns = now_ns + GATEWAY_UDP_COLD_NS;
	}
	for (uint32_t i = 0; ready >> i && count < max; i++) {
		if (!(ready >> i & 1))
			continue;
		stash_fill(g, pool);
		count += socket_receive(g, i, now_ns, bufs + count, max - count);
	}
	return count;
}

static uint32_t node_of(const struct gateway_udp *g, uint32_t ip)
{
	for (uint32_t i = 0; i < g->config.node_count; i++)
		if (g->config.node[i].ip == ip)
			return i;
	return NODES_MAX;
}

/* Keeps an answer of ours for the next receive; false: there are enough already. */
static bool answer_keep(struct gateway_udp *g, struct netdev_buf *buf, uint32_t bytes)
{
	if (g->answer_count == BATCH)
		return false;
	buf->bytes = bytes;
	g->answer[g->answer_count++] = *buf;
	return true;
}

static void socket_send(struct gateway_udp *g, uint32_t node, const struct frame_info *info,
			const uint32_t *node_by_frame, uint32_t count)
{
	uint32_t n = 0, sent = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (node_by_frame[i] != node)
			continue;
		g->part[n] = (struct iovec) { info[i].payload, info[i].payload_bytes };
		g->peer[n] = (struct sockaddr_in) {
			.sin_family = AF_INET,
			.sin_port = htons(info[i].target.port),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		};
		g->message[n].msg_hdr = (struct msghdr) {
			.msg_name = &g->peer[n],
			.msg_namelen = sizeof(g->peer[n]),
			.msg_iov = &g->part[n],
			.msg_iovlen = 1,
		};
		n++;
	}
	while (sent < n) {
		int r = sendmmsg(g->socket[node].fd, g->message + sent, n - sent, MSG_DONTWAIT);

		if (r > 0)
			sent += (uint32_t)r;
		g->counters.tx_datagrams += r > 0 ? (uint32_t)r : 0;
		if (r <= 0) { /* leave this one out: UDP may lose it */
			g->counters.tx_refused++;
			sent++;
		}
	}
}

void gateway_udp_send(struct gateway_udp *g, struct netdev *pool, struct netdev_buf *bufs,
		      uint32_t count)
{
	struct frame_info info[NETDEV_BURST];
	uint32_t node[NETDEV_BURST];
	struct netdev_buf done[NETDEV_BURST];
	uint32_t done_count = 0, nodes_seen = 0;

	must_dbg(count <= NETDEV_BURST);
	for (uint32_t i = 0; i < count; i++) {
		struct netdev_buf *b = &bufs[i];
		enum frame_verdict v = frame_parse(b->data, b->bytes, &g->config.self, &info[i]);

		node[i] = NODES_MAX;
		if (v == FRAME_ARP_REQUEST &&
		    answer_keep(g, b, frame_arp_reply(b->data, &g->config.self)))
			continue;
		if (v == FRAME_PING &&
		    answer_keep(g, b, frame_ping_reply(b->data, b->bytes, &g->config.self)))
			continue;
		if (v == FRAME_UDP)
			node[i] = node_of(g, info[i].source.ip);
		if (node[i] < NODES_MAX)
			nodes_seen |= 1u << node[i];
		else if (v != FRAME_NOT_OURS) /* floods come here too */
			g->counters.tx_refused++;
		done[done_count++] = *b;
	}
	for (uint32_t i = 0; nodes_seen >> i; i++)
		if (nodes_seen >> i & 1)
			socket_send(g, i, info, node, count);
	netdev_free(pool, done, done_count);
}
