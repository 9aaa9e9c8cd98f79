/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/herald.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mgmt/log.h"

#define HERALD_TIMES	4u	  /* a word that is lost costs a lease */
#define HERALD_AGAIN_NS 20000000u /* after the first; each pause is twice the one before */
#define HERALD_HEAR_MAX 32u	  /* datagrams in one go: nobody keeps cairnd busy */

static struct sockaddr_in address_of(const struct config_endpoint *e)
{
	return (struct sockaddr_in) {
		.sin_family = AF_INET,
		.sin_port = htons(e->port),
		.sin_addr.s_addr = htonl(e->ip),
	};
}

static int open_socket(const struct config_endpoint *listen)
{
	struct sockaddr_in address = address_of(listen);
	int on = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	/* When a machine starts, the address may come later than cairnd. */
	(void)setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	int error = errno;
	close(fd);
	return -error;
}

void herald_open(struct herald *h, const struct config *config)
{
	char where[24];

	*h = (struct herald) { .config = config, .fd = -1 };
	if (config->control_listen.port == 0)
		return;
	h->fd = open_socket(&config->control_listen);
	if (h->fd >= 0)
		return;
	problem_set(&h->problem, PROBLEM_CONTROL_LISTEN, "cannot listen at %s: %s",
		    config_endpoint_text(&config->control_listen, where), strerror(-h->fd));
	log_problem(LOG_LEVEL_WARNING, "listen", &h->problem);
	h->fd = -1;
}

/* send_all: errors do not matter more than loss. */
static void send_all(const struct herald *h)
{
	const struct config *c = h->config;
	uint8_t data[OBITUARY_BYTES];

	obituary_encode(data, &h->last);
	for (uint32_t i = 0; i < c->peer_count; i++) {
		struct sockaddr_in to = address_of(&c->peer[i].control);

		if (c->peer[i].control.port != 0 && c->peer[i].id != c->node_id)
			(void)sendto(h->fd, data, sizeof(data), MSG_DONTWAIT,
				     (const struct sockaddr *)&to, sizeof(to));
	}
}

void herald_ended(struct herald *h, const struct service *service, uint64_t now_ns)
{
	if (h->fd < 0 || !service->known ||
	    !obituary_write(h->config, &service->status, &h->last))
		return;
	log_event(LOG_LEVEL_INFO, "obituary_sent", "incarnation=%u", h->last.incarnation);
	h->left = HERALD_TIMES;
	h->next_ns = now_ns;
	herald_tick(h, now_ns);
}

void herald_tick(struct herald *h, uint64_t now_ns)
{
	if (h->left == 0 || now_ns < h->next_ns)
		return;
	send_all(h);
	h->next_ns = now_ns + ((uint64_t)HERALD_AGAIN_NS << (HERALD_TIMES - h->left));
	h->left--;
}

uint64_t herald_deadline_ns(const struct herald *h)
{
	return h->left != 0 ? h->next_ns : UINT64_MAX;
}

/* receive: the next datagram that is one of ours; how many to look at is the caller's to bound. */
static ssize_t receive(int fd, struct obituary *ret_obituary, struct config_endpoint *ret_source)
{
	uint8_t data[OBITUARY_BYTES + 1]; /* a longer one shows as such */
	struct sockaddr_in from = { 0 };
	socklen_t bytes = sizeof(from);
	ssize_t n = recvfrom(fd, data, sizeof(data), MSG_DONTWAIT, (struct sockaddr *)&from,
			     &bytes);

	if (n < 0)
		return -1;
	*ret_source =
		(struct config_endpoint) { ntohl(from.sin_addr.s_addr), ntohs(from.sin_port) };
	return bytes == sizeof(from) && obituary_decode(data, (size_t)n, ret_obituary);
}

void herald_hear(struct herald *h, struct service *service)
{
	struct config_endpoint source;
	struct obituary o;
	ssize_t n;

	for (uint32_t i = 0; i < HERALD_HEAR_MAX && (n = receive(h->fd, &o, &source)) >= 0; i++)
		if (n > 0 && service->region && service->known &&
		    obituary_judge(h->config, &service->status, &source, &o) == OBITUARY_TAKEN)
			service_bury(service, o.node, o.incarnation);
}
