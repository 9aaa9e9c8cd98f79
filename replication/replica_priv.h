/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replica_priv.h: the inside of a replica, shared by replica.c (door, peers, timers, held messages)
 * and hermes.c (per-key protocol). Nobody else includes it.
 */
#ifndef CAIRN_REPLICATION_REPLICA_PRIV_H
#define CAIRN_REPLICATION_REPLICA_PRIV_H

#include "replication/hermes.h"
#include "replication/replica.h"
#include "replication/session.h"

#define WHEEL_SLOTS 256u
#define TICKS_PER_RETRANSMIT 8u
#define BACKOFF_SHIFT_MAX 4u /* retransmission slows down to 16 times its first interval */

/* Room one protocol event may need in struct actions: commit, VAL, reply, next update. */
#define ACTIONS_PER_EVENT 8u

_Static_assert((TICKS_PER_RETRANSMIT << BACKOFF_SHIFT_MAX) < WHEEL_SLOTS, "wheel spans all delays");

/*
 * op: one client operation under way or waiting; at most one per key is the key's front
 * (entry->op). A front that waits on an Invalid key also drives the key's replay. Free ops are
 * linked by next.
 */
struct op {
	struct entry *entry;
	uint64_t seq;	      /* unique within the incarnation; 0 while free */
	struct op_ts ts;      /* of its own update; {0,0}: not started (or an aborted RMW) */
	struct op_ts target;  /* what acks must cover: own ts, or that of the update replayed */
	struct op_ts expected; /* CAS */
	int64_t delta;	      /* INCR */
	int64_t result;	      /* INCR, started: the new value */
	uint64_t session;
	uint64_t request;
	struct client_addr client;
	enum wire_type type; /* GET .. INCR */
	uint16_t value_bytes; /* of its value in values[], while it waits */
	uint8_t acks;	      /* bitmap of replicas known to hold >= target durably */
	uint8_t attempts;
	bool newer;	      /* somebody acknowledged with a newer ts than target */
	bool armed;	      /* on the timer wheel */
	bool ready;	      /* its index is in the ready ring (survives free and alloc) */
	uint32_t wheel_next, wheel_prev;
	uint32_t next; /* free list, or the key's queue */
};

/* held: a promise waiting for the disk, in log order. */
struct held {
	uint64_t persist_seq;
	struct op_ts ts;
	uint64_t id;	      /* ACK: the coordinator's op id; own: the op's seq */
	uint32_t incarnation; /* ACK: of the node it goes to; own: op index */
	uint8_t to;	      /* ACK: node; own: HELD_OWN */
};

#define HELD_OWN 0xffu

struct peer {
	uint32_t incarnation; /* 0: never heard of */
	uint64_t heard_ns;
	uint64_t hello_ns; /* when the next HELLO is due */
	uint8_t space;	   /* enum space it announced */
};

struct replica {
	struct replica_config config;
	struct replica_counters counters;
	struct session_table sessions;
	struct peer peers[NODES_MAX];
	uint32_t epoch; /* checksum of all members' incarnations */
	uint8_t all; /* bitmap of all replicas */
	uint8_t space;
	bool failed;

	uint64_t now_ns;
	uint64_t tick_ns;
	uint64_t tick;	/* of the wheel's last turn */
	uint32_t armed; /* ops on the wheel */
	uint32_t wheel[WHEEL_SLOTS];

	struct op *ops;
	uint8_t *values; /* VALUE_BYTES_MAX per op */
	uint32_t op_free;
	uint32_t ops_open;
	uint64_t op_seq;

	uint64_t persist_next;
	uint64_t durable_seq;
	struct held *held;
	uint64_t held_head, held_tail; /* free running */

	/* Bytes that actions point at until they are executed. */
	uint8_t hello[WIRE_HELLO_BYTES];
	uint8_t opened[WIRE_OPEN_BYTES];

	uint32_t *ready; /* ring of op indices: fronts whose key can go on */
	uint64_t ready_head, ready_tail;
};

static inline uint8_t replica_bit(uint8_t node)
{
	return (uint8_t)(1u << node);
}

static inline bool op_started(const struct op *op)
{
	return op->ts.version != 0;
}

static inline bool op_is_update(const struct op *op)
{
	return op->type != WIRE_GET;
}

static inline bool op_is_rmw(const struct op *op)
{
	return op->type == WIRE_CAS || op->type == WIRE_INCR;
}

static inline uint32_t op_index(const struct replica *r, const struct op *op)
{
	return (uint32_t)(op - r->ops);
}

static inline uint8_t *op_value(const struct replica *r, const struct op *op)
{
	return r->values + (size_t)op_index(r, op) * VALUE_BYTES_MAX;
}

static inline bool actions_room(const struct actions *a)
{
	return a->count + ACTIONS_PER_EVENT <= ACTIONS_MAX;
}

static inline bool held_room(const struct replica *r)
{
	return r->held_tail - r->held_head < r->config.held_max;
}

/* replica.c, for hermes.c */
struct action *replica_action(struct actions *a, enum action_kind kind);
void replica_send(struct replica *r, struct actions *a, uint8_t to,
		  const struct wire_message *message);
void replica_reply(struct replica *r, struct actions *a, const struct op *op,
		   const struct wire_message *result);
void replica_hold_ack(struct replica *r, const struct event *ev, struct actions *a);
void replica_hold_own(struct replica *r, uint64_t persist_seq, const struct op *op);
struct op *replica_op_alloc(struct replica *r);
void replica_op_free(struct replica *r, struct op *op);
void replica_arm(struct replica *r, struct op *op, uint64_t delay_ns);
void replica_disarm(struct replica *r, struct op *op);
void replica_ready(struct replica *r, const struct op *op);

#endif
