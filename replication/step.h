/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step.h: what goes into the protocol (struct event) and what comes out (struct actions). The core
 * does nothing itself: the worker finds entries, executes actions in order, right after the step,
 * before anything else touches an entry. Pointers in actions live until the next step.
 */
#ifndef CAIRN_REPLICATION_STEP_H
#define CAIRN_REPLICATION_STEP_H

#include "replication/entry.h"
#include "replication/wire.h"

/* client_addr: where a session's replies go; opaque here, filled and read by the worker. */
struct client_addr {
	uint8_t mac[6];
	uint16_t port;
	uint32_t ip;
};

enum event_kind {
	EVENT_PEER,    /* a message of a peer frame */
	EVENT_REQUEST, /* a message of a client frame */
	EVENT_DURABLE, /* the log is durable up to a sequence */
	EVENT_TICK,    /* time passed: timers */
};

struct event {
	enum event_kind kind;
	uint64_t now_ns;	   /* monotonic; never goes back */
	uint64_t persist_seq_next; /* log sequence the next ACTION_PERSIST will get */
	/*
	 * PEER and REQUEST: the message, valid during the step, and the entry of its key:
	 * INV: never NULL, blob with room for the message's value;
	 * PUT, CAS, INCR: with room for the value (INCR: INCR_BYTES_MAX), NULL when there is none;
	 * GET, DEL, VAL: NULL when the key has no entry; types without a key: NULL.
	 */
	const struct wire_header *header;
	const struct wire_message *message;
	struct entry *entry;
	struct client_addr from; /* REQUEST */
	uint64_t durable_seq;	 /* DURABLE */
};

#define INCR_BYTES_MAX 20u /* "-9223372036854775808" */

enum action_kind {
	ACTION_SEND,	/* message to the peers in `to` */
	ACTION_PERSIST, /* append the entry's current state to the log */
	ACTION_REPLY,	/* message to a client */
};

struct action {
	enum action_kind kind;
	uint8_t to;		 /* SEND: bitmap of nodes */
	struct entry *entry;	 /* PERSIST */
	uint64_t persist_seq;	 /* PERSIST: the sequence the log must give it */
	struct wire_message message; /* SEND, REPLY */
	uint64_t session;	 /* REPLY: goes into the frame header */
	struct client_addr client; /* REPLY */
};

/* One step's output. A step that has more to say returns true and is called again (replica.h). */
#define ACTIONS_MAX 64u

struct actions {
	uint32_t count;
	struct action list[ACTIONS_MAX];
};

#endif
