/* SPDX-License-Identifier: Apache-2.0 */
/* floor_priv.h: what client and echo processes of the floor say to each other. */
#ifndef CAIRN_PERF_FLOOR_PRIV_H
#define CAIRN_PERF_FLOOR_PRIV_H

#include "dataplane/frame.h"
#include "dataplane/netdev.h"

#define FLOOR_MAGIC	  0x524f4f4cu
#define FLOOR_PORT	  7401u
#define FLOOR_CLIENT	  3u /* host number, after the nodes 0..2 */
#define FLOOR_HEAD_BYTES  16u
#define FLOOR_MAINTAIN_NS 5000000u
/* What a request of the product carries besides its value: frame header, message head, a short key.
 */
#define FLOOR_OVERHEAD_BYTES (32u + 32u + 12u)

enum floor_type {
	FLOOR_REQUEST = 1, /* client to leader */
	FLOOR_FORWARD,	   /* leader to follower */
	FLOOR_ECHO,	   /* follower to leader */
	FLOOR_DONE,	   /* leader to client */
};

struct floor_message {
	enum floor_type type;
	uint32_t from; /* host number */
	uint64_t seq;
};

/* floor_send: one message of payload_bytes; a full queue loses it, the client asks again. */
void floor_send(struct netdev *net, uint32_t from, uint32_t to, uint32_t payload_bytes,
		const struct floor_message *m);

/* floor_receive: parses a frame for host self. false: not one of ours. */
bool floor_receive(const struct netdev_buf *buf, uint32_t self, struct floor_message *ret_message);

#endif
