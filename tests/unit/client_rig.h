/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_rig.h: a client core without sockets or clock, for its tests: what it sends is decoded as
 * a server would, and the test makes the answers.
 */
#ifndef CAIRN_TESTS_UNIT_CLIENT_RIG_H
#define CAIRN_TESTS_UNIT_CLIENT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/client/core.h"

#define CLUSTER 0xc1u
#define RETRANSMIT 1000u
#define TIMEOUT 100000u
#define SERVERS 3u
#define SEEN_MAX 64u

/* rig: a core, the time, and what the server side has seen last. */
struct rig {
	void *mem;
	struct client_core *core;
	uint64_t now_ns;
	uint64_t session;     /* next session to give */
	uint32_t incarnation;
	uint16_t shards;
	uint16_t window;
	/* the last datagram the core sent */
	uint8_t server;
	uint16_t shard;
	uint32_t bytes;
	struct wire_header header;
	uint32_t count;
	struct wire_message seen[SEEN_MAX];
	uint8_t payload[FRAME_PAYLOAD_MAX];
	/* retries: one incarnation and one session per server */
	bool any;	      /* submit for any server */
	uint8_t begin;	      /* submit beginning at this one */
	uint64_t timeout_ns;  /* of what is submitted; 0: TIMEOUT */
	uint8_t dead;	      /* bitmap of servers that answer no OPEN */
	uint32_t lives[SERVERS];
	uint64_t sessions[SERVERS];
	uint64_t client; /* from the last OPEN */
	uint64_t first;
};

/* rig_make: shard_count 0: the core learns it; failover_ns 0: never. rig_teardown: frees both. */
void rig_make(struct rig *r, uint32_t ops_max, uint32_t shard_count, uint64_t failover_ns);
int rig_teardown(void **state);

/* pull: the next datagram, decoded as a server would; false: there is none. */
bool pull(struct rig *r);

/* push: a frame of this one message reaches the core. reply_header: as of the server asked last. */
struct wire_header reply_header(const struct rig *r, uint64_t session);
uint32_t frame_make(uint8_t *out, const struct wire_header *h, const struct wire_message *m);
void push(struct rig *r, const struct wire_header *h, const struct wire_message *m);

/* opened: the answer that grants r->session. answer_open: pulls an OPEN and gives that answer. */
struct wire_message opened(const struct rig *r, uint8_t value[WIRE_OPEN_BYTES], uint64_t nonce);
void answer_open(struct rig *r);
void answer(struct rig *r, uint64_t session, uint64_t id, enum status status);

enum status submit(struct rig *r, enum wire_type type, const char *key, uint64_t tag);

/* expect: the next completion is this one. expect_none: there is none. */
struct client_completion expect(struct rig *r, uint64_t tag, enum status status);
void expect_none(struct rig *r);

/* tick: time passes. */
void tick(struct rig *r, uint64_t later_ns);

const struct client_counters *counters(const struct rig *r);
uint64_t random_next(uint64_t *state);

#endif
