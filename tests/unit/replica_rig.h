/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replica_rig.h: up to seven replicas, a few keys, messages moved one at a time by hand. What each
 * replica persists is kept, so that it can crash and recover. Everything is checked that a worker
 * relies on: log sequences without a gap, replica_check() after each step.
 */
#ifndef CAIRN_TESTS_REPLICA_RIG_H
#define CAIRN_TESTS_REPLICA_RIG_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/hermes.h"
#include "replication/replica.h"

#define RIG_KEYS    72u /* key 0 is "k"; more than one step's actions have room for */
#define RIG_QUEUE   512u
#define RIG_IDS	    256u
#define RIG_RECORDS 256u
#define RIG_CLUSTER 77u
#define MS	    1000000ull

/* rig_packet: a message on its way, with its own copy of key and value. */
struct rig_packet {
	bool used;
	uint8_t from, to;
	uint32_t from_incarnation, to_incarnation, epoch;
	struct wire_message m;
	uint8_t bytes[KEY_BYTES_MAX + VALUE_BYTES_MAX];
};

/* rig_record: what one action put into the log. */
struct rig_record {
	enum action_kind kind;
	uint8_t key, flags;
	uint32_t base;
	uint16_t value_bytes;
	struct op_ts ts;
	struct origin origin;
	uint8_t value[VALUE_BYTES_MAX];
};

struct rig_node {
	void *mem;
	struct replica *r;
	bool present[RIG_KEYS]; /* the key has an entry */
	struct entry e[RIG_KEYS];
	uint8_t blob[RIG_KEYS][KEY_BYTES_MAX + VALUE_BYTES_MAX];
	uint64_t persist_next, durable;
	struct rig_record log[RIG_RECORDS];
	uint32_t log_count;
	uint64_t session, client;
	uint32_t incarnation;
	uint32_t resets, rejoins;
};

extern struct rig_node rig_nodes[NODES_MAX];
extern struct rig_packet rig_net[RIG_QUEUE];
extern uint64_t rig_now;
extern uint8_t rig_count; /* nodes */
/* Changes every replica_config before replica_init; NULL: none. Set it before a world is made. */
extern void (*rig_adjust)(struct replica_config *config);

/* Answers, by request id. */
extern struct wire_message rig_result[RIG_IDS];
extern uint8_t rig_value[RIG_IDS][VALUE_BYTES_MAX];
extern int rig_answers[RIG_IDS];
extern bool rig_lease_marked[RIG_IDS];

/* rig_world: nodes in a static view, linked, a session with each. rig_free: at the end. */
void rig_world(uint8_t nodes);
void rig_free(void);

/*
 * rig_views: nodes with views: `members` in view 1, which begins with nothing anywhere; a lease for
 * ever and a session at each member.
 */
void rig_views(uint8_t nodes, uint8_t members);

/* rig_view: installs a view at one node. rig_lease: a lease of its epoch that ends at ns. */
void rig_view(uint8_t n, const struct view *v);
void rig_lease(uint8_t n, uint32_t epoch, uint64_t ns);
/* rig_install: at all nodes of the write set, with endless leases. */
void rig_install(const struct view *v);

/* rig_start: a new incarnation with nothing in memory; entries as they are. */
void rig_start(uint8_t n, uint32_t incarnation);
/* rig_recover: a new incarnation that finds what of its log was durable. */
void rig_recover(uint8_t n, uint32_t incarnation);
void rig_open(uint8_t n, uint64_t client, uint64_t first);

enum step_next rig_step(uint8_t n, struct event *ev);
void rig_tick(uint8_t n, uint64_t ms);
void rig_durable(uint8_t n);

struct rig_packet *rig_find(enum wire_type type, int from, int to);
uint32_t rig_flying(enum wire_type type);
void rig_give(struct rig_packet *p);
/* rig_deliver, rig_drop: one message of that kind; the test fails when there is none. */
void rig_deliver(enum wire_type type, int from, int to);
void rig_drop(enum wire_type type, int from, int to);
void rig_drop_all(void);
/* rig_settle: everything arrives, every disk finishes, until nothing moves. */
void rig_settle(void);
/* rig_run: settles again and again while time passes. */
void rig_run(uint64_t ms);

/* rig_request: key, value and the rest as in the message. */
void rig_request(uint8_t n, const struct wire_message *m);
/* One request for a key: value may be NULL; INCR: a decimal delta. */
void rig_do(uint8_t n, enum wire_type type, uint8_t key, uint64_t id, const char *value,
	    struct op_ts expected);
void rig_put(uint8_t n, uint8_t key, uint64_t id, const char *value);
void rig_get(uint8_t n, uint8_t key, uint64_t id);
/* rig_retry: a request that was sent to the node with the writer word `prior` before. */
void rig_retry(uint8_t n, enum wire_type type, uint8_t key, uint64_t id, const char *value,
	       uint32_t prior);

struct entry *rig_entry(uint8_t n, uint8_t key);
void rig_forget(uint8_t n, uint8_t key);
void rig_holds(uint8_t n, uint8_t key, enum hermes_state state, uint64_t version,
	       const char *value);
void rig_answered(uint64_t id, enum status status, uint64_t version);
/* rig_newer: of two nodes in incarnation 1, the one whose update of that version wins. */
uint8_t rig_newer(uint8_t a, uint8_t b, uint64_t version);

const struct replica_counters *rig_counters(uint8_t n);

#endif
