/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h: three replicas of one shard at nodes a, b, c, stepped by hand. No network, no disk, no
 * clock: messages wait on links until the script delivers or drops them, records wait until it says
 * they are durable, time passes when it says so. Every action becomes a line of text and is folded
 * into a digest. HELLOs are not shown; world_link exchanges them.
 */
#ifndef CAIRN_TESTS_REPLAY_WORLD_H
#define CAIRN_TESTS_REPLAY_WORLD_H

#include <stdio.h>

#include "replication/replica.h"

#define WORLD_NODES 3u
#define WORLD_KEYS 8u
#define WORLD_QUEUE 64u /* messages waiting on one link */
#define WORLD_BLOB (KEY_BYTES_MAX + VALUE_BYTES_MAX)
#define WORLD_MESSAGE (WIRE_MESSAGE_BYTES + WORLD_BLOB)

struct world_packet {
	struct wire_header header;
	uint32_t bytes;
	uint8_t data[WORLD_MESSAGE];
};

struct world_link {
	uint32_t count;
	struct world_packet list[WORLD_QUEUE];
};

/* A record as the log would hold it. */
struct world_record {
	uint64_t seq;
	uint32_t key; /* index of the entry */
	uint32_t value_bytes;
	struct op_ts ts;
	uint8_t flags;
	uint8_t value[VALUE_BYTES_MAX];
};

#define WORLD_RECORDS 64u

struct world_node {
	struct replica *replica;
	void *mem;
	uint32_t incarnation, keys;
	uint64_t seq_next, durable;
	uint64_t session;
	uint64_t request; /* id of the newest request */
	struct world_packet last; /* the newest request, for `again` */
	struct entry entry[WORLD_KEYS];
	uint8_t blob[WORLD_KEYS][WORLD_BLOB];
	struct world_record record[WORLD_RECORDS];
	uint32_t records;
};

struct world {
	FILE *out;
	uint64_t now_ns, digest;
	bool quiet;
	struct world_node node[WORLD_NODES];
	struct world_link link[WORLD_NODES][WORLD_NODES];
};

struct world *world_create(FILE *out);
void world_destroy(struct world *w);

/* world_link: HELLOs until every node knows every incarnation. */
void world_link(struct world *w);

/* world_request: a client's message to a node; key, value, expected, delta as the type needs. */
void world_request(struct world *w, uint32_t node, const struct wire_message *m);

/* world_again: the newest request of the node arrives once more. */
void world_again(struct world *w, uint32_t node);

/* world_deliver: the oldest message of that type (0: any) on a link; false: there is none. */
bool world_deliver(struct world *w, uint32_t from, uint32_t to, uint8_t type, bool keep);
bool world_drop(struct world *w, uint32_t from, uint32_t to, uint8_t type);

/* world_durable: every record appended so far is on the node's disk. */
void world_durable(struct world *w, uint32_t node);

/* world_tick: time passes, every node's timers turn. */
void world_tick(struct world *w, uint64_t ns);

/* world_restart: the node dies and comes back with what was durable, one incarnation later. */
void world_restart(struct world *w, uint32_t node);

/* world_show: state of a key at every node. world_queues: what waits on links. */
void world_show(struct world *w, const char *key);
void world_queues(struct world *w);

/* world_type: INV, ACK, ... by name; 0: unknown. */
uint8_t world_type(const char *name);

#endif
