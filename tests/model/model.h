/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h: an explicit-state search over the production step function. What a state consists of:
 *
 *   local      one node: its replica (memory as replica_init laid it out), its one key, its disk.
 *              Numbered by content: everything that time or history named (clock, log sequence, op
 *              slots and ids) is left out or renamed first (canon.c), so that equal situations are
 *              one, however they came about.
 *   inbox      what was ever sent to the node and could still be accepted: a set that only grows.
 *              Delivery takes nothing out, so loss, duplication and any order are all in it.
 *   authority  the views decided on so far, who has died or lost its lease, what may still happen
 *   history    the updates ever made, what clients asked and were told (checked in history.c)
 *
 * A step of a node depends on its local and the event alone. So the production code runs once for
 * each (local, event), and the search over states combines the remembered outcomes.
 */
#ifndef CAIRN_TESTS_MODEL_MODEL_H
#define CAIRN_TESTS_MODEL_MODEL_H

#include "replication/replica.h"
#include "tests/model/intern.h"

#define MODEL_NODES 3u
#define MODEL_OPS 6u
#define MODEL_UPDATES 16u
#define MODEL_VIEWS 10u
#define MODEL_VALUE 24u
#define MODEL_PACK 256u	  /* value of a message: bytes, at most */
#define MODEL_SENDS 48u	  /* messages of one event */
#define MODEL_RECORDS 24u /* of one node's log, since its newest reset */
#define MODEL_CLUSTER 0x5eedull
#define MODEL_CLIENT 100u /* client of op i has number MODEL_CLIENT + i; its request is 1 */
#define MODEL_CLIENT_PROBE 99u
#define NOBODY 0xffu

/* ---- what to search -------------------------------------------------------------------------- */

struct model_op {
	uint8_t type;  /* WIRE_GET .. WIRE_CASV */
	uint8_t node;  /* asked first */
	uint8_t retry; /* asked when that one does not answer, or NOBODY */
	uint8_t after; /* not before this op was answered, or NOBODY */
	bool again;    /* its request may arrive once more at the same node */
	uint8_t expect_node; /* CAS: writer of the version expected, first incarnation */
	uint8_t expect;	     /* CAS: version, 0: no key; CASV: the value as a number */
};

struct model_config {
	const char *name, *what;
	struct model_op op[MODEL_OPS];
	uint8_t op_count;
	uint8_t crashes;  /* of single nodes */
	uint8_t lapses;	  /* leases that run out at a live node: then excluded or demoted */
	uint8_t rejoins;  /* nodes put back as shadows */
	uint8_t powers;	  /* power failures of all nodes at once, and restart with `recovered` */
	uint8_t epochs;	  /* views at most, the first included */
	uint8_t first_members; /* bitmap; the others are outside at first. 0: all */
	bool disk;	  /* records become durable in steps of their own */
	bool broadcast_acks;
	bool collect;	  /* tombstones may be collected */
	bool keep_old;	  /* frames of old epochs stay in the inboxes for ever */
	bool ci;	  /* part of the CI run; else long */
	uint64_t states_max; /* of a bounded run; 0: must be complete */
};

/* model_configs: the table; *ret_count entries. */
const struct model_config *model_configs(uint32_t *ret_count);

/* ---- events at one node ---------------------------------------------------------------------- */

enum model_kind {
	MODEL_DELIVER = 0, /* arg: message */
	MODEL_TIMER,	   /* every timer that runs fires */
	MODEL_DURABLE,	   /* the next record is durable */
	MODEL_ISSUE,	   /* arg: op, | MODEL_AGAIN: a client's request arrives, or once more */
	MODEL_RETRY,	   /* arg: op | incarnation of the node asked before << 8 */
	MODEL_INSTALL,	   /* arg: view << 1 | with a lease */
	MODEL_LAPSE,	   /* the lease has run out */
	MODEL_CRASH,
	MODEL_RESTART,	   /* with the next incarnation */
	MODEL_COLLECT,	   /* the tombstone goes */
	MODEL_POWER,	   /* all nodes at once; not a node's event */
};

#define MODEL_AGAIN 0x100u

static inline uint32_t model_event(enum model_kind kind, uint32_t arg)
{
	return (uint32_t)kind << 28 | arg;
}

static inline enum model_kind event_kind_of(uint32_t event)
{
	return (enum model_kind)(event >> 28);
}

static inline uint32_t event_arg_of(uint32_t event)
{
	return event & 0xfffffffu;
}

/* A frame with one message. Bytes behind value_bytes are zero. */
struct model_message {
	struct op_ts ts;
	uint64_t id; /* INV, ACK: 1 + op index, whatever the coordinator called it */
	struct origin origin;
	uint32_t epoch, from_incarnation, to_incarnation, prior;
	uint16_t key_bytes, value_bytes;
	uint8_t type, flags, from, to;
	uint8_t value[MODEL_PACK];
};

/* An update a node has logged. */
struct model_made {
	struct op_ts ts;
	struct op_ts base; /* what the node held before, when it made the update */
	int64_t value;
	uint8_t op; /* NOBODY: no origin */
	uint8_t flags;
	uint8_t node;
	bool own; /* timestamp of this node in this incarnation */
};

struct model_reply {
	struct op_ts ts;
	int64_t value;
	uint8_t op, status;
	bool has_value;
};

/* What an event at a local leads to; fault: index of a text, 0: none. */
struct model_outcome {
	uint32_t local;
	uint32_t fault;
	uint16_t sends, replies, mades;
	uint32_t send[MODEL_SENDS];
	struct model_reply reply[4];
	struct model_made made[4];
};

/* What the search needs to know of a local without waking it. */
struct local_facts {
	struct op_ts ts;      /* of the entry */
	struct op_ts durable; /* newest in the log, durably */
	struct op_ts read;    /* what a GET would be answered with, if readable */
	int64_t read_value;
	struct op_ts target[MODEL_OPS]; /* of live ops: what ACKs must cover */
	uint32_t epoch, incarnation;
	uint64_t floor;
	uint32_t chunk; /* of the bulk copy it waits for; 0: none */
	uint32_t voice; /* number of all that says which answers it waits for */
	uint8_t node, state, write_set;
	uint8_t live; /* bitmap of ops it runs */
	bool alive, member, joined, readable, read_exists, timer, undurable, collectable;
	bool resetting; /* about to drop its entry */
	uint64_t raw_at;
	uint32_t raw_bytes;
};

/* ---- node.c: locals and steps ---------------------------------------------------------------- */

struct model {
	const struct model_config *config;
	uint32_t nodes;
	struct intern locals, messages, outcomes, views, sets, histories, authorities, states;
	struct intern voices;
	struct local_facts *facts; /* per local */
	uint64_t facts_room;
	uint8_t *raws; /* packed memory of locals */
	uint64_t raws_used, raws_room;
	struct map memo; /* (local, event) to outcome */
	const char **fault; /* texts */
	uint64_t fault_room;
	uint32_t fault_count;
	uint64_t steps; /* calls of replica_step */
};

void node_init(struct model *m);
void node_free(struct model *m);

/* node_start: the local of a node that has just started, with an empty disk. */
uint32_t node_start(struct model *m, uint8_t node);

/*
 * node_outcome: what the event does, from memory or by running it. Valid until the next call. NULL:
 * nothing at all.
 */
const struct model_outcome *node_outcome(struct model *m, uint32_t local, uint32_t event);

/* node_dump: prints what a local looks like. */
void node_dump(struct model *m, uint32_t local);

static inline const struct local_facts *facts(const struct model *m, uint32_t local)
{
	return &m->facts[local];
}

/* ---- history.c: what clients may see --------------------------------------------------------- */

struct history_update {
	struct op_ts ts, base;
	int64_t value;
	uint8_t op, flags;
	bool committed; /* a client was told of it, or could have been */
	uint8_t pad;
};

enum request_state { REQUEST_NOT_YET = 0, REQUEST_OPEN, REQUEST_DONE };

struct history_request {
	struct op_ts known; /* newest update known when it was issued; {0,0} when DONE */
	uint8_t state;	    /* enum request_state */
	uint8_t status;
	uint8_t incarnation; /* of the node asked first, then */
	bool moved;	     /* its client has asked the second node */
};

struct history {
	struct op_ts known; /* the newest update that a client knows, or could know, of */
	struct history_update update[MODEL_UPDATES];
	struct history_request request[MODEL_OPS];
	uint32_t update_count;
};

/* Each returns NULL, or what is wrong. */
const char *history_issue(struct history *h, uint8_t op, uint8_t incarnation);
const char *history_made(struct history *h, const struct model_config *c,
			 const struct model_made *made);
const char *history_reply(struct history *h, const struct model_config *c,
			  const struct model_reply *reply, uint8_t node);
const char *history_readable(struct history *h, const struct local_facts *f);

/* history_answered: every op has its answer. */
bool history_answered(const struct history *h, const struct model_config *c);

/* model_delta, model_put_value: what op i adds (INCR) or writes. */
int64_t model_delta(uint8_t op);
int64_t model_put_value(uint8_t op);

/* ---- search.c -------------------------------------------------------------------------------- */

struct authority {
	uint32_t view[MODEL_VIEWS];
	uint8_t views;
	uint8_t crashes, lapses, rejoins, powers; /* left */
	uint8_t lapsed; /* bitmap: live, without a lease, and will get none before it is excluded */
	bool powered;	/* power failed, and no view was made since */
	uint8_t pad;
};

struct state {
	uint32_t local[MODEL_NODES];
	uint32_t inbox[MODEL_NODES];
	uint32_t history, authority;
};

struct search_limits {
	uint64_t states_max, depth_max, secs_max;
	bool every_ack; /* do not take ACKs first that only complete a set (search.c) */
};

struct search_result {
	uint64_t states, transitions, depth, locals, messages, steps, memory;
	uint64_t answered; /* states in which every op was answered */
	double secs;
	bool complete;
	const char *violation; /* NULL: none */
};

/* search_run: breadth first. On a violation prints the way there. */
struct search_result search_run(const struct model_config *config,
				const struct search_limits *limits);

/* ---- trace.c --------------------------------------------------------------------------------- */

struct trace_step {
	uint32_t event;
	uint8_t node;
};

/* trace_print: the steps as a script of tests/replay. */
void trace_print(struct model *m, const struct trace_step *step, uint32_t count,
		 const char *violation);

#endif
