/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replica_priv.h: the inside of a replica, shared by replica.c (door, timers, held promises),
 * view.c (who takes part), request.c (clients), join.c (bulk copy) and hermes.c (per-key protocol).
 * Nobody else includes it, except tests that look inside.
 */
#ifndef CAIRN_REPLICATION_REPLICA_PRIV_H
#define CAIRN_REPLICATION_REPLICA_PRIV_H

#include "replication/hermes.h"
#include "replication/lane.h"
#include "replication/replica.h"
#include "replication/session.h"

#define WHEEL_SLOTS 256u
#define TICKS_PER_RETRANSMIT 8u
#define BACKOFF_SHIFT_MAX 4u /* retransmission slows down to 16 times its first interval */
#define ENTRY_VIEW_MASK 0xffffffu

/* A peer silent for this many HELLO intervals makes updates fail fast instead of hanging. */
#define SILENT_HELLOS 50u

/* Room one protocol event may need in struct actions: commit, VAL, reply, next update, copies. */
#define ACTIONS_PER_EVENT 12u

_Static_assert((TICKS_PER_RETRANSMIT << BACKOFF_SHIFT_MAX) < WHEEL_SLOTS, "wheel spans all delays");
_Static_assert(WALK_MAX + 1 <= ACTIONS_PER_EVENT, "a chunk of copies is one event");
_Static_assert(WALK_STUBS_MAX + 1 + ACTIONS_PER_EVENT <= ACTIONS_MAX, "so is one of stubs");
_Static_assert(WALK_STUBS_MAX < 32, "a bitmap of them");

/*
 * op: one client operation under way or waiting; at most one per key is the key's front
 * (entry->op). A front that waits on an Invalid key also drives the key's replay. Free ops are
 * linked by next. Everything about an update under way is here, not in the entry (CC-7, CC-8).
 */
struct op {
	struct entry *entry;
	uint64_t seq;	      /* unique within the incarnation; 0 while free */
	struct op_ts ts;      /* of its own update; {0,0}: not started (or an aborted RMW) */
	struct op_ts tried;   /* newest ts it ever had: it may exist elsewhere */
	struct op_ts target;  /* what acks must cover: own ts, or that of the update replayed */
	struct op_ts expected; /* CAS; CASV: version is the bytes of the expected value */
	int64_t delta;	      /* INCR */
	uint32_t base;	      /* in Trans: writer of the version its own update was made from */
	int64_t result;	      /* INCR, started: the new value */
	uint64_t session;
	uint64_t request;
	uint64_t expires_ns; /* its client has given up by then; 0: never */
	struct client_addr client;
	enum wire_type type; /* GET .. CASV */
	uint32_t link;	     /* updates: its outcome in the session table */
	uint16_t value_bytes; /* of its value in values[], while it waits */
	uint8_t acks;	      /* bitmap of replicas known to hold >= target durably */
	uint8_t attempts;
	bool newer;	      /* somebody acknowledged with a newer ts than target */
	bool validated;	      /* in Trans: the newer update is known to be committed */
	bool retry;	      /* was sent to another node before: RMW rules (docs/protocol.md) */
	bool armed;	      /* on the timer wheel */
	bool ready;	      /* its index is in the ready ring (survives free and alloc) */
	uint32_t wheel_next, wheel_prev;
	uint32_t next; /* free list, or the key's queue (circular) */
};

/* held: a promise waiting for the disk, in log order. */
struct held {
	uint64_t persist_seq;
	struct op_ts ts;
	uint64_t id;	      /* ACK: the coordinator's op id; own: the op's seq */
	struct entry *entry;  /* ACK */
	uint32_t about;	      /* ACK: count of views installed; own: op index */
	uint8_t to;	      /* ACK: node; own: HELD_OWN */
};

#define HELD_OWN 0xffu

struct peer {
	uint32_t incarnation; /* static: newest heard of; views: the view's; 0: none */
	uint64_t heard_ns;
	uint64_t hello_ns; /* when the next HELLO is due */
	uint8_t space;	   /* enum space it announced */
};

/*
 * PEER_NOBODY: in the write set of a view that is read-only (M-MIN-SIZE): no such node, so nothing
 * is heard from it, updates are refused, and none that is under way completes.
 */
#define PEER_NOBODY NODES_MAX
_Static_assert(PEER_NOBODY < 8, "a bit of the write set");

/* Why a joiner looks at what comes before anybody else does. */
#define GUARD_RESET 0x01u    /* what this node holds is void, and must go first */
#define GUARD_UNPROVEN 0x02u /* some of it is unproven: absent, until a member confirms it */

/* join: a shadow's pull of everything from a member, chunk by chunk (docs/protocol.md, Join). */
struct join {
	bool active, done;
	uint8_t guard;	 /* GUARD_* */
	bool stubs;	 /* ask what there is before asking for it */
	bool keys_done;	 /* the donor's keys have all been seen */
	bool sessions;	 /* second half: session tables */
	bool sweeping;	 /* what is still unproven is being removed */
	uint8_t donor;
	uint32_t donor_incarnation;
	struct lanes lanes;
	uint32_t whole;	 /* chunks to ask for without stubs, since stubs were of no use lately */
	uint32_t sweep_at;
	bool complete;	 /* the donor's session table is */
	uint64_t persist_seq; /* of the last merge */
	uint64_t proof_seq; /* of the record that began the join: a proof rests on it */
};

struct replica {
	struct replica_config config;
	struct replica_counters counters;
	struct session_table sessions;
	struct group *group; /* engine raft: what it has beside this; the rest of ops stays empty */
	struct peer peers[PEER_NOBODY + 1];
	struct view view;    /* static: epoch is the checksum of all incarnations */
	uint32_t view_count; /* views installed, modulo ENTRY_VIEW_MASK + 1 */
	uint8_t write_set;   /* bitmap: who must acknowledge; 0: this node is out */
	bool member;	     /* this node serves clients */
	bool was_in;	     /* it has been in a write set in this incarnation */
	bool spent;	     /* and was left out since: this incarnation is over */
	bool closed;	     /* out, or joining: what peers send passes join_guards first */
	uint8_t space;
	bool failed;
	bool linked; /* replica_linked */
	bool upheaval; /* after a view: ops are being dismissed, or entries must be dropped */
	uint64_t lease_ns;
	uint64_t floor; /* keys without entry get versions above it */
	struct join join;
	uint64_t stuck_seen; /* retransmissions when replica_stuck last looked */
	uint8_t stuck;	     /* and what it found */

	uint64_t now_ns;
	uint64_t tick_ns;
	uint64_t silent_ns; /* a peer silent for so long makes updates fail fast */
	uint64_t tick;	/* of the wheel's last turn */
	uint32_t armed; /* ops on the wheel */
	bool turning;	/* the wheel is being turned right now */
	uint32_t wheel[WHEEL_SLOTS];

	struct op *ops;
	uint8_t *values; /* VALUE_BYTES_MAX per op */
	uint32_t op_free;
	uint32_t ops_open;
	uint64_t op_seq;
	uint32_t dismiss_next; /* ops below have been dismissed since this node left; or ops_max */

	uint64_t persist_next;
	uint64_t durable_seq;
	struct held *held;
	uint64_t held_head, held_tail; /* free running */

	/* Bytes that actions point at until they are executed. */
	uint8_t hello[WIRE_HELLO_BYTES];
	uint8_t opened[WIRE_OPEN_BYTES];
	uint8_t copied[WIRE_COPIED_BYTES];
	uint8_t stubs[WALK_STUBS_MAX][WIRE_STUB_BYTES];
	uint8_t pack[SESSION_PACK_BYTES];

	uint32_t *ready; /* ring of op indices: fronts whose key can go on */
	uint64_t ready_head, ready_tail;
};

static inline uint8_t replica_bit(uint8_t node)
{
	return (uint8_t)(1u << node);
}

/* replica_others: everybody an update needs, but this node. */
static inline uint8_t replica_others(const struct replica *r)
{
	return r->write_set & (uint8_t)~replica_bit(r->config.node);
}

static inline bool op_started(const struct op *op)
{
	return op->ts.version != 0;
}

static inline bool op_is_update(const struct op *op)
{
	return op->type != WIRE_GET;
}

/* op_is_rmw: RMW rules: from Valid, version + 1, refused rather than acknowledged when stale. */
static inline bool op_is_rmw(const struct op *op)
{
	return op->type == WIRE_CAS || op->type == WIRE_INCR || op->type == WIRE_CASV || op->retry;
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

/* replica.c, for the others */
struct action *replica_action(struct actions *a, enum action_kind kind);
/* replica_send: a message to these nodes, zero but for its type; the caller fills it in. */
struct wire_message *replica_send(const struct replica *r, struct actions *a, uint8_t to,
				  enum wire_type type);
struct action *replica_reply(struct actions *a, uint64_t session, const struct client_addr *client,
			     const struct wire_message *result);
void replica_persist(struct replica *r, struct entry *e, struct origin origin, struct actions *a);
void replica_hold_ack(struct replica *r, const struct event *ev, uint64_t persist_seq,
		      struct actions *a);
void replica_hold_own(struct replica *r, uint64_t persist_seq, const struct op *op);
struct op *replica_op_alloc(struct replica *r);
void replica_op_free(struct replica *r, struct op *op);
void replica_arm(struct replica *r, struct op *op, uint64_t delay_ns);
void replica_disarm(struct replica *r, struct op *op);
void replica_ready(struct replica *r, const struct op *op);

/* request.c: clients */
void request_on(struct replica *r, const struct event *ev, struct actions *a);
/* request_finish: answers an op, and keeps the outcome of an update. */
void request_finish(struct replica *r, struct actions *a, const struct op *op,
		    const struct wire_message *result, bool lease);

/*
 * origin.c: what became of whose update. origin_settle: the key's update is overtaken by one made
 * from `base` (known false: nobody knows from which); _by: by that of an INV, COPY or record.
 */
void origin_settle(struct replica *r, const struct entry *e, bool known, struct op_ts base);
void origin_settle_by(struct replica *r, const struct entry *e, const struct wire_message *m);
/* origin_note: remembers whose update this is; returns the link for entry->origin. */
uint32_t origin_note(struct replica *r, const struct wire_message *m, uint64_t key,
		     enum outcome_fate fate);
/* origin_note_stale: one overtaken before it came; returns the sequence of its record, or 0. */
uint64_t origin_note_stale(struct replica *r, const struct wire_message *m, uint64_t key,
			   struct actions *a);
/* origin_of: whose update the key's newest is; {0, 0} when that was forgotten. */
struct origin origin_of(const struct replica *r, const struct entry *e);

/* view.c: who takes part */
void view_start(struct replica *r);
void view_install(struct replica *r, const struct view *v);
void view_lease(struct replica *r, const struct event *ev);
/* view_accepts: the frame comes from and goes to whom the view means, in its epoch. Counts. */
bool view_accepts(struct replica *r, const struct event *ev);
void view_on_hello(struct replica *r, const struct event *ev);
void view_send_hellos(struct replica *r, struct actions *a);
/* view_gone: the node is not in the view any more in this incarnation, and can finish nothing. */
bool view_gone(const struct replica *r, uint32_t writer);
static inline bool view_dismissing(const struct replica *r)
{
	return r->dismiss_next < r->config.ops_max;
}
/* view_heard: the peer is known, and spoke recently. */
static inline bool view_heard(const struct replica *r, const struct peer *p)
{
	return p->incarnation != 0 && r->now_ns - p->heard_ns < r->silent_ns;
}
void view_dismiss(struct replica *r, struct actions *a);

/* join.c: bulk copy. join_guards: true: the message is not for anybody else. */
bool join_guards(struct replica *r, const struct event *ev, struct actions *a);
void join_on_walk(struct replica *r, const struct event *ev, struct actions *a);
void join_view(struct replica *r, bool from_nothing);
void join_on_fetch(struct replica *r, const struct event *ev, struct actions *a);
void join_on_copy(struct replica *r, const struct event *ev, struct actions *a);
void join_on_copy_session(struct replica *r, const struct event *ev, struct actions *a);
void join_on_copied(struct replica *r, const struct event *ev, struct actions *a);
void join_tick(struct replica *r, struct actions *a);
/* join_walk_due: STEP_WALK: some more of what is still unproven is to be removed. */
static inline bool join_walk_due(const struct replica *r)
{
	return r->join.active && r->join.sweeping && r->now_ns >= r->join.lanes.paid_ns &&
	       !r->failed;
}
/* join_walk_max: how many entries this FETCH asks for at most. */
uint32_t join_walk_max(const struct wire_message *fetch);
uint64_t join_deadline_ns(const struct replica *r);

#endif
