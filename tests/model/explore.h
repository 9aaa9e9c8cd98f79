/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explore.h: a breadth-first search over everything that can happen to a few nodes that run a
 * production core, for cores that know nothing of this: the Raft core (raft_core.c) and the view
 * service (view_core.c). A state of the whole is, per node, its state (bytes in which equal means
 * equal) and the messages on their way to it, and a ghost: what the one who looks on knows,
 * promises given, what was committed, how much of each budget is used. What an event does to a node
 * depends on the node's bytes and the event alone, so each pair runs once.
 *
 * Two ways to choose what happens next (explore_core.prompt). Not prompt: everything that can
 * happen may happen, in every order; a message may overtake every other, and may never arrive.
 * Prompt: what was sent arrives at once, in one order, and nothing else happens meanwhile, unless a
 * message is held up (each costs one of holds_max). What is held up may arrive at any later quiet
 * moment, in every order, or never. So that search goes over all behaviours that need so many
 * delays, and goes far deeper for the same effort. Besides, a node may be cut off for a while
 * (cuts_max times): what is sent to it and by it is lost.
 *
 * Arrival takes a message away, unless the budget for repetition pays. When too many are on their
 * way to one node, the one seen first in the search is lost.
 */
#ifndef CAIRN_TESTS_MODEL_EXPLORE_H
#define CAIRN_TESTS_MODEL_EXPLORE_H

#include <stdio.h>

#include "tests/model/intern.h"

#define EXPLORE_NODES	    3u
#define EXPLORE_LOCAL_BYTES (1u << 17)
#define EXPLORE_SENT_MAX    64u
#define EXPLORE_SENT_BYTES  (1u << 16)
#define EXPLORE_SAID_BYTES  96u
#define EXPLORE_GHOST_BYTES 512u
#define EXPLORE_FACTS_BYTES 512u
#define EXPLORE_EVENTS_MAX  64u
#define EXPLORE_INBOX_MAX   16u

enum explore_kind {
	EXPLORE_TIME = 0,    /* time passes, at all nodes */
	EXPLORE_DELIVER = 1, /* arg: message; it is gone */
	EXPLORE_REPEAT = 2,  /* arg: message; it may arrive again */
	EXPLORE_HOLD = 3,    /* arg: message: held up */
	EXPLORE_CUT = 4,     /* the node is cut off: what it sends, and is sent, is lost */
	EXPLORE_HEAL = 5,
	EXPLORE_CORE = 6,    /* 6..15: the core's own */
};

struct explore_event {
	uint8_t kind, node;
	uint32_t arg; /* < 2^28 */
};

struct explore_events {
	struct explore_event list[EXPLORE_EVENTS_MAX];
	uint32_t count;
};

static inline void explore_may(struct explore_events *e, uint8_t kind, uint8_t node, uint32_t arg)
{
	must(e->count < EXPLORE_EVENTS_MAX);
	e->list[e->count++] = (struct explore_event){ kind, node, arg };
}

/* explore_out: what a step of one node came to. */
struct explore_out {
	uint8_t *local; /* EXPLORE_LOCAL_BYTES */
	uint32_t local_bytes;
	struct {
		uint8_t to; /* bitmap */
		uint32_t offset, bytes;
	} sent[EXPLORE_SENT_MAX];
	uint32_t sent_count, sent_used;
	uint8_t sent_bytes[EXPLORE_SENT_BYTES];
	/* Structs of the core's: about the new state, and what was said in this step. */
	uint8_t facts[EXPLORE_FACTS_BYTES] __attribute__((aligned(8)));
	uint8_t said[EXPLORE_SAID_BYTES] __attribute__((aligned(8)));
};

/* explore_ghost: every ghost begins with it. */
struct explore_ghost {
	uint8_t time, repeats, holds, cuts;
	uint8_t cut; /* node + 1 that is cut off */
	uint8_t spare[3];
};

struct explore_core {
	uint32_t facts_bytes, said_bytes, ghost_bytes;
	const void *config;
	uint32_t inbox_max;   /* <= EXPLORE_INBOX_MAX */
	bool prompt;
	uint8_t repeats_max, holds_max, cuts_max;
	uint8_t hold_nodes, cut_nodes; /* to whom messages are held up, who is cut off; 0: all */
	uint8_t time_max; /* how often time passes */

	/* start: the state a node begins in. step: of messages, DELIVER only. */
	void (*start)(const void *config, uint8_t node, struct explore_out *out);
	void (*step)(const void *config, const uint8_t *local, uint32_t bytes,
		     const struct explore_event *event, const uint8_t *message,
		     uint32_t message_bytes, struct explore_out *out);
	/* begin: the ghost at first. */
	void (*begin)(const void *config, uint8_t *ghost);
	/* events: the core's own that may happen now. */
	void (*events)(const void *config, const uint8_t *ghost,
		       const uint8_t *const facts[EXPLORE_NODES], struct explore_events *ret);
	/* stale: the message can never matter to that node any more. NULL: no message is. */
	bool (*stale)(const uint8_t *facts, const uint8_t *message, uint32_t bytes);
	/* beyond: what follows from this state is not looked at. */
	bool (*beyond)(const void *config, const uint8_t *ghost,
		       const uint8_t *const facts[EXPLORE_NODES]);
	/*
	 * watch: after a step, facts of before and after; said is NULL when time passed. Changes
	 * the ghost. Returns what is violated, or NULL.
	 */
	const char *(*watch)(const void *config, uint8_t *ghost, const struct explore_event *event,
			     const uint8_t *const before[EXPLORE_NODES],
			     const uint8_t *const after[EXPLORE_NODES], const uint8_t *said);
	void (*print)(const struct explore_event *event, const uint8_t *message, uint32_t bytes);
	void (*print_facts)(const uint8_t *facts);
};

struct explore_state {
	uint32_t local[EXPLORE_NODES];
	uint32_t inbox[EXPLORE_NODES]; /* prompt: what arrives next */
	uint32_t held[EXPLORE_NODES];  /* what may arrive at any time */
	uint32_t ghost;
};

struct explore;

struct explore *explore_create(const struct explore_core *core);
void explore_destroy(struct explore *x);

/*
 * explore_opening: before the search: the event happens, and whatever is sent arrives, until
 * nothing is on its way.
 */
void explore_opening(struct explore *x, struct explore_event event);
/* explore_search_from_here: the opening has used nothing of the engine's budgets. */
void explore_search_from_here(struct explore *x);
/* explore_facts: of a node, in the state that the opening has come to. */
const void *explore_facts(const struct explore *x, uint8_t node);

struct explore_limits {
	uint64_t states_max, depth_max;
	double secs_max;
};

struct explore_result {
	uint64_t states, depth, transitions, locals, messages, steps, memory;
	uint64_t beyond; /* states whose successors lie outside the bounds */
	double secs;
	bool complete;
	bool violated;
};

/* explore_run: a violation is printed, by the shortest way. */
struct explore_result explore_run(struct explore *x, const char *name,
				  const struct explore_limits *limits);

/* explore_send: for cores: one message of this step. */
uint8_t *explore_send(struct explore_out *out, uint8_t to, uint32_t bytes);
/* explore_fault: for cores: this step must not be; does not return. */
_Noreturn void explore_fault(const char *text);

/* explore_pack, explore_unpack: memory that is mostly zeros, shorter. unpack fills all of room. */
uint32_t explore_pack(const uint8_t *in, uint32_t bytes, uint8_t *out, uint32_t room);
void explore_unpack(const uint8_t *in, uint32_t bytes, uint8_t *out, uint32_t room);

#endif
