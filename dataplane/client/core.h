/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.h: the client protocol without I/O: operations and datagrams in, datagrams and completions
 * out. libcairn puts UDP sockets around it (client.c), cairn-bench a polled port, the simulator
 * virtual time. One thread owns a core. No clock, no system call, no allocation after init.
 *
 * One session per (server, shard), opened on first use and again when a server says NO_SESSION or
 * shows another incarnation. Operations waiting to go to one (server, shard) share datagrams.
 *
 * Outcomes are honest (S-UNKNOWN): an update that may have reached a server and got no answer before
 * its deadline, or whose session died, ends as STATUS_UNKNOWN, and is never sent under another
 * session. Reads are simply sent again. Resending within a session is safe: the server remembers
 * request ids.
 */
#ifndef CAIRN_DATAPLANE_CLIENT_CORE_H
#define CAIRN_DATAPLANE_CLIENT_CORE_H

#include "replication/wire.h"

#define CLIENT_SERVERS_MAX NODES_MAX

struct client_core;

struct client_core_config {
	uint64_t seed;		/* nonces of sessions: must differ between clients */
	uint64_t cluster;	/* cluster id; 0: learn it from the first OPENED */
	uint64_t retransmit_ns;	/* first resend of an unanswered request; doubles, up to 16 times it */
	uint64_t timeout_ns;	/* default deadline of an operation */
	uint32_t ops_max;	/* operations open at once */
	uint32_t server_count;
	uint32_t shard_count;	/* of the cluster; 0: learn it from the first OPENED */
};

/* One operation. key and value are copied by submit. */
struct client_op {
	enum wire_type type;	/* WIRE_GET .. WIRE_INCR */
	uint8_t server;		/* which server coordinates it */
	const uint8_t *key;
	uint32_t key_bytes;
	const uint8_t *value;
	uint32_t value_bytes;
	struct op_ts expected;	/* CAS */
	int64_t delta;		/* INCR */
	uint64_t timeout_ns;	/* 0: the default */
	uint64_t tag;		/* the caller's, comes back in the completion */
};

struct client_completion {
	uint64_t tag;
	enum status status;
	enum durability durability;
	struct op_ts ts;	/* the key's version; {0,0} when nothing is known */
	int64_t number;		/* INCR: the new value */
	uint32_t value_bytes;	/* GET */
	uint8_t value[VALUE_BYTES_MAX];
};

uint64_t client_core_size(const struct client_core_config *config);
struct client_core *client_core_init(void *mem, const struct client_core_config *config);

/*
 * client_core_submit: takes an operation. STATUS_OK: accepted, a completion will come;
 * STATUS_BUSY: ops_max are open; STATUS_TOO_LARGE; STATUS_BAD_REQUEST (empty key, bad server).
 */
enum status client_core_submit(struct client_core *c, const struct client_op *op,
			       uint64_t now_ns);

/*
 * client_core_output: the next datagram to send, into payload (FRAME_PAYLOAD_MAX bytes). Returns its
 * length, 0 when there is nothing to send. *ret_server, *ret_shard say where it goes.
 */
uint32_t client_core_output(struct client_core *c, uint8_t *payload, uint8_t *ret_server,
			    uint16_t *ret_shard, uint64_t now_ns);

/* client_core_input: a datagram that came from a server. Anything malformed is ignored, counted. */
void client_core_input(struct client_core *c, uint8_t server, const uint8_t *payload,
		       uint32_t bytes, uint64_t now_ns);

/* client_core_tick: timers. client_core_deadline_ns: when the next tick is useful. */
void client_core_tick(struct client_core *c, uint64_t now_ns);
uint64_t client_core_deadline_ns(const struct client_core *c);

/* client_core_complete: takes the next finished operation; false when there is none. */
bool client_core_complete(struct client_core *c, struct client_completion *ret_completion);

/* client_core_open: operations open (submitted, completion not yet taken). */
uint32_t client_core_open(const struct client_core *c);

#endif
