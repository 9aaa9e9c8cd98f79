/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h: replicas of one shard at nodes a, b, c, ..., stepped by hand. No network, no disk, no
 * clock, no view service: messages wait on links until the script delivers or drops them, records
 * wait until it says they are durable, time passes, views and leases arrive when it says so. The
 * world plays the worker: it finds entries, executes actions in order, and checks the lease of read
 * replies after a step (CC-9, CC-26). Every action becomes a line of text and is folded into a
 * digest. HELLOs are not shown; world_link exchanges them.
 */
#ifndef CAIRN_TESTS_REPLAY_WORLD_H
#define CAIRN_TESTS_REPLAY_WORLD_H

#include <stdio.h>

#include "replication/replica.h"

#define WORLD_NODES 5u
#define WORLD_CLIENTS 26u /* a..z; client x talks to node x unless told otherwise */
#define WORLD_KEYS 16u
#define WORLD_QUEUE 64u	   /* messages waiting on one link, and messages gone that are kept */
#define WORLD_RECORDS 128u /* of one node's log */
#define WORLD_REQUESTS 16u /* of one client */
#define WORLD_VIEWS 16u
#define WORLD_BLOB (KEY_BYTES_MAX + VALUE_BYTES_MAX)
#define WORLD_MESSAGE (WIRE_MESSAGE_BYTES + WIRE_ORIGIN_BYTES + WORLD_BLOB)

struct world_packet {
	struct wire_header header;
	uint32_t bytes;
	uint8_t data[WORLD_MESSAGE];
};

struct world_link {
	uint32_t count, gone_count;
	struct world_packet list[WORLD_QUEUE];
	struct world_packet gone[WORLD_QUEUE]; /* delivered or dropped, oldest first */
};

/* A record as the log would hold it; kind as in storage/record.h. */
enum world_record_kind { WORLD_UPDATE, WORLD_NOTE, WORLD_RESET, WORLD_REJOIN, WORLD_FORGET };

struct world_record {
	enum world_record_kind kind;
	uint64_t seq;
	struct op_ts ts;
	struct origin origin;
	uint32_t base;
	uint16_t key_bytes, value_bytes;
	uint8_t flags;
	uint8_t blob[WORLD_BLOB]; /* key, then value */
};

struct world_node {
	struct replica *replica;
	void *mem;
	bool dead;
	uint32_t incarnation;
	uint64_t seq_next, durable;
	uint64_t stall_ns; /* what the next step takes between its end and its look at the clock */
	struct world_packet last; /* the newest request, for `again`, and whose it is */
	uint32_t last_client;
	struct entry entry[WORLD_KEYS]; /* key_bytes 0: free */
	uint8_t blob[WORLD_KEYS][WORLD_BLOB];
	struct world_record record[WORLD_RECORDS];
	uint32_t records;
};

/* A client keeps its number and its request ids wherever it goes. */
struct world_client {
	uint64_t session[WORLD_NODES];
	uint32_t incarnation[WORLD_NODES]; /* of the node, as its OPENED said */
	uint32_t sent_to[WORLD_REQUESTS];  /* writer word of the node that may execute it */
	uint32_t sent_before[WORLD_REQUESTS]; /* the same before the last try */
	uint32_t count;			   /* requests so far; ids are 1..count */
	uint32_t bytes[WORLD_REQUESTS];
	uint8_t data[WORLD_REQUESTS][WORLD_MESSAGE];
};

struct world {
	FILE *out;
	uint64_t now_ns, digest;
	uint32_t nodes, sessions, walk;
	bool started, views, broadcast_acks, join_delta;
	struct world_node node[WORLD_NODES];
	struct world_client client[WORLD_CLIENTS];
	struct world_link link[WORLD_NODES][WORLD_NODES];
	struct view view[WORLD_VIEWS]; /* by epoch; epoch 0: not defined */
};

/*
 * world_create: three nodes of a static cluster, until nodes, sessions, walk, views or
 * broadcast_acks are changed.
 */
struct world *world_create(FILE *out);
void world_destroy(struct world *w);

/* world_start: makes the nodes. Once, before anything below. */
void world_start(struct world *w);

/* world_link: HELLOs until every node knows every incarnation. */
void world_link(struct world *w);

/* world_request: a client's new message to a node, fields as its type needs them. */
void world_request(struct world *w, uint32_t node, uint32_t client, const struct wire_message *m);

/* world_retry: the client's newest request once more, to that node; false: it has none. */
bool world_retry(struct world *w, uint32_t node, uint32_t client);

/* world_again: the newest request of the node arrives once more. */
void world_again(struct world *w, uint32_t node);

/* What to take from a link: the oldest of that type (0: any) and frame epoch (0: any). */
struct world_pick {
	uint32_t from, to, epoch;
	uint8_t type;
};

/* world_deliver, world_drop: false: nothing there. keep: it is delivered, and stays. */
bool world_deliver(struct world *w, const struct world_pick *pick, bool keep);
bool world_drop(struct world *w, const struct world_pick *pick);

/* world_old: delivers once more what was delivered or dropped before. */
bool world_old(struct world *w, const struct world_pick *pick);

/* world_inject: a message that the sender's replica did not send goes on its way. */
void world_inject(struct world *w, const struct world_pick *pick, const struct wire_message *m);

/* world_flow: among these nodes everything is delivered and durable, until all is quiet. */
void world_flow(struct world *w, uint32_t among);

/* world_durable: every record appended so far is on the node's disk. */
void world_durable(struct world *w, uint32_t node);

/* world_tick: time passes, the timers of all live nodes turn. */
void world_tick(struct world *w, uint64_t ns);

/* world_crash: the node is dead. world_restart: it comes back with what was durable (amnesia: with
 * nothing), one incarnation later. */
void world_crash(struct world *w, uint32_t node);
void world_restart(struct world *w, uint32_t node, bool amnesia);

/* world_plant: a record in the node's log from an earlier life; it counts from the next restart. */
void world_plant(struct world *w, uint32_t node, const char *key, struct op_ts ts,
		 const char *value);

/*
 * world_view: the authority decides on a view; incarnations are those of the nodes now, since is
 * worked out from the views before. world_install: the node learns of it; false: no such view.
 */
void world_view(struct world *w, const struct view *v);
bool world_install(struct world *w, uint32_t node, uint32_t epoch);
void world_lease(struct world *w, uint32_t node, uint32_t epoch, uint64_t lease_ns);

/* world_collect: the node forgets the key's tombstone, or says that it cannot. */
void world_collect(struct world *w, uint32_t node, const char *key);

/* world_show: state of a key at every node. world_queues: what waits on links. */
void world_show(struct world *w, const char *key);
void world_queues(struct world *w);
void world_joined(struct world *w, uint32_t node);

/* world_type: INV, ACK, ... by name; 0: unknown. */
uint8_t world_type(const char *name);

/* world_text.c, for world.c */
char world_letter(uint32_t node);
void world_fold(struct world *w, const void *data, size_t bytes);
void world_print_ts(struct world *w, struct op_ts ts);
void world_print_flags(struct world *w, uint8_t flags);
void world_print_message(struct world *w, const struct wire_message *m);
void world_print_reply(struct world *w, uint32_t node, const struct action *a, bool late);
struct entry *world_entry(struct world_node *n, const uint8_t *key, uint32_t key_bytes);

#endif
