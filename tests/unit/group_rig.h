/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group_rig.h: replicas of the raft engine in memory: a few keys, a log each that a crash cuts back
 * to what was durable, a network that can lose, delay, double and cut. Clients that count with INCR
 * and repeat what was not answered, at other nodes too, so that sums tell whether every update took
 * effect once, and reads whether they are current.
 */
#ifndef CAIRN_TESTS_GROUP_RIG_H
#define CAIRN_TESTS_GROUP_RIG_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/group_priv.h"
#include "replication/raft_wire.h"

#define GR_KEYS 40u
#define GR_COUNTERS 20u /* the first keys: INCR alone; the others: PUT, DEL, CAS */
#define GR_CLIENTS 24u
#define GR_MS 1000000ull
#define GR_CLUSTER 77u

struct gr_record {
	enum action_kind kind; /* PERSIST, FORGET, RESET, RAFT_PERSIST */
	struct raft_record raft;
	uint8_t key, flags;
	uint16_t bytes;
	uint64_t version;
	uint8_t *data;
};

struct gr_node {
	void *mem;
	struct replica *r; /* NULL: down */
	bool present[GR_KEYS];
	struct entry e[GR_KEYS];
	uint8_t blob[GR_KEYS][KEY_BYTES_MAX + 64];
	struct gr_record *log;
	uint32_t log_count, log_durable; /* records */
	uint32_t log_start;		 /* of this life: sequence 1 is log[log_start] */
	uint32_t incarnation, founders;
	uint64_t durable_at_ns; /* the next write ends */
	uint32_t writing;	/* records it makes durable */
	uint64_t session[GR_CLIENTS + 1];
	uint64_t opening_ns[GR_CLIENTS + 1];
	uint32_t resets, forgotten;
	uint64_t paused_ns, stale_ns; /* stopped until; and what it takes the time for then */
};

/* A client, number i + 1: one request at a time. */
struct gr_client {
	uint64_t id;	     /* of the request under way, or the last one */
	enum wire_type type; /* 0: idle */
	uint8_t key, node, home;
	bool moved; /* the request was sent to more than its home */
	uint64_t sent_ns, begun_ns, prior;
	uint64_t first_used[NODES_MAX]; /* id when the session there was opened */
	int64_t floor_ok; /* GET: increments acknowledged before it was asked */
	uint64_t done, unknown, refused, evicted;
};

struct gr_world {
	uint8_t nodes;
	uint64_t now, random;
	struct gr_node node[NODES_MAX];
	struct gr_client client[GR_CLIENTS];
	uint32_t clients;
	uint8_t cut[NODES_MAX]; /* by sender: bitmap of nodes it does not reach */
	uint32_t loss_permille, delay_max_us, disk_us;
	int64_t ok[GR_KEYS], maybe[GR_KEYS]; /* INCR by key */
	int64_t seen[GR_KEYS];		     /* highest number any answer has told */
	uint64_t reads, last_progress;
	uint32_t hand;		    /* client whose requests are made by hand */
	struct wire_message result; /* of the last reply to one of them */
	uint8_t result_value[VALUE_BYTES_MAX];
	uint32_t results;
	uint32_t prior; /* of requests made by hand */
	bool by_hand; /* no client does anything by itself */
	bool greedy;   /* tombstones are collected as soon as can be */
	uint32_t room; /* for new keys in each store; 0: it never runs out */
	bool quiet;    /* clients begin nothing new */
	uint8_t asked; /* bitmap: nodes that clients use */
};

extern struct gr_world gr;
extern void (*gr_adjust)(struct replica_config *config);

void gr_begin(uint8_t nodes, uint64_t seed, uint8_t founders);
void gr_end(void);
void gr_start(uint8_t n, uint8_t founders);
void gr_crash(uint8_t n);
void gr_wipe(uint8_t n);
/* gr_record: one more record in the log of a node that is down. */
void gr_record(uint8_t n, const struct raft_record *raft);
void gr_pause(uint8_t n, uint64_t ms);
/* gr_run: so much time passes. gr_until: until cond, or the test fails after ms. */
void gr_run(uint64_t ms);
bool gr_all_applied(void);
int gr_leader(void);
void gr_settle(uint64_t ms);
void gr_cut(uint8_t a, uint8_t b, bool on);
void gr_heal(void);
void gr_view(const struct view *v);
uint64_t gr_rand(uint64_t below);
int64_t gr_value(uint8_t n, uint8_t key);
/* gr_check_same: all nodes hold the same, sessions included. */
void gr_check_same(void);
void gr_check_counts(void);
/* gr_finish: faults end, all nodes start, clients finish; then both checks. */
void gr_finish(void);
/* One request by hand, of client gr.hand, to a node. */
void gr_request(uint8_t n, enum wire_type type, uint8_t key, uint64_t id, const char *value,
		struct op_ts expected);

#endif
