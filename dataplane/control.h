/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h: how the view service of a node is seen and told from outside: a file mapped by worker
 * 0 of the dataplane and by cairnd. The service's status, its last events, and one place for an
 * operator's command. Each part has one writer: the command's is cairnd, of all else worker 0.
 * Nobody waits for anybody.
 */
#ifndef CAIRN_DATAPLANE_CONTROL_H
#define CAIRN_DATAPLANE_CONTROL_H

#include "dataplane/seqlock.h"
#include "replication/membership.h"

#define CONTROL_MAGIC  0x4c54434e52494143ull
#define CONTROL_FORMAT 4u
#define CONTROL_EVENTS 1024u /* the last so many are kept */
#define CONTROL_NEVER  UINT64_MAX

/* What this node knows of another one; ages as of control_status.updated_ns. */
struct control_peer {
	uint64_t age_ns;	/* since it was last heard of; CONTROL_NEVER */
	uint64_t holddown_ns;	/* it stays out for so long yet; 0: no */
	uint64_t disk_ns, rtt_ns;
	uint64_t raft_age_ns;	/* since the last word of its Raft member; CONTROL_NEVER */
	uint64_t match;		/* leader: durable and matching there up to */
	uint32_t incarnation, epoch;
	uint8_t heard, stuck;	/* bitmaps, as in membership_health */
	bool joined, failed, progress, slow;
};

/* A whole one is written at every housekeeping of worker 0. */
struct control_status {
	uint64_t updated_ns; /* monotonic */
	struct membership_state state; /* revision 0: none agreed on yet */
	struct view installed;	       /* epoch 0: none */
	struct membership_health health; /* of this node, as last reported */
	struct control_peer peer[NODES_MAX];
	struct membership_counters counters;
	struct raft_counters raft;
	uint64_t commit, last, base; /* of the log */
	uint64_t lease_ns;	     /* left of this node's lease at updated_ns; 0: none */
	uint32_t term, incarnation, ident;
	struct raft_conf conf; /* newest in the log */
	bool configuring;
	uint8_t node;
	uint8_t role;	/* enum raft_role */
	uint8_t leader; /* node, or RAFT_NODE_NONE */
	uint8_t engine; /* enum membership_engine: what this node is formatted for */
};

struct control_event {
	uint64_t sequence; /* 1, 2, ... since this start */
	uint64_t at_ns;	   /* monotonic */
	uint64_t value;
	uint8_t note; /* enum membership_note */
	uint8_t node;
};

struct control_answer {
	uint64_t index;	 /* of the log, when something was agreed on */
	uint32_t number; /* of the command */
	uint8_t code;	 /* enum membership_result_code */
};

/* A process of this machine ended, and was seen to: what its supervisor says. */
struct control_obituary {
	uint64_t sequence; /* 1, 2, ... */
	uint32_t incarnation;
	uint8_t node;
};

#define CONTROL_OBITUARIES 8u

#define CONTROL_EVENT_WORDS SEQLOCK_WORDS(struct control_event)

struct control_slot {
	_Atomic uint32_t seq;
	_Atomic uint64_t word[CONTROL_EVENT_WORDS];
};

struct control_grave {
	_Atomic uint32_t seq;
	_Atomic uint64_t word[SEQLOCK_WORDS(struct control_obituary)];
};

struct control_region {
	uint64_t magic;
	uint32_t format;
	uint32_t bytes; /* sizeof(struct control_region): both sides must agree */
	uint64_t cluster;
	uint64_t started_ns; /* of the dataplane, monotonic; a new one makes a new file */

	_Alignas(64) _Atomic uint32_t status_seq;
	_Atomic uint64_t status[SEQLOCK_WORDS(struct control_status)];

	/* Written by cairnd; the lock's version is the command's number. */
	_Alignas(64) _Atomic uint32_t command_seq;
	_Atomic uint64_t command[SEQLOCK_WORDS(struct membership_command)];

	/* Written by cairnd: a ring of the last obituaries. */
	_Alignas(64) _Atomic uint64_t obituary_count; /* sequence of the newest; 0: none */
	struct control_grave grave[CONTROL_OBITUARIES];

	/* Written by worker 0. */
	_Alignas(64) _Atomic uint32_t answer_seq;
	_Atomic uint64_t answer[SEQLOCK_WORDS(struct control_answer)];

	_Alignas(64) _Atomic uint64_t event_count; /* sequence of the newest event; 0: none */
	struct control_slot event[CONTROL_EVENTS];
};

/* control_init: a fresh region, of zeros. The dataplane, before it shows the file. */
void control_init(struct control_region *c, uint64_t cluster, uint64_t started_ns);

/* ---- cairnd, tests: any process that has it mapped ------------------------------------------- */

/* control_valid: a region of this release. */
bool control_valid(const struct control_region *c);

/* control_status: false: none written yet, or (rarely) not to be had just now: ask again. */
bool control_status(const struct control_region *c, struct control_status *ret_status);

/*
 * control_events: up to max events with sequence > after, oldest first; returns how many. Those
 * that the ring has lost are left out: the first one's sequence shows it.
 */
uint32_t control_events(const struct control_region *c, uint64_t after,
			struct control_event *out, uint32_t max);

/*
 * control_command: hands a command over; the id is the service's to choose. Returns its number.
 * One at a time, by one process: a command before the answer to the last gives that answer up.
 * control_answer: true: the command of that number was answered.
 */
uint32_t control_command(struct control_region *c, const struct membership_command *command);
bool control_answer(const struct control_region *c, uint32_t number,
		    struct control_answer *ret_answer);

/* control_bury: the process of that node, in that incarnation, has surely ended. */
void control_bury(struct control_region *c, uint8_t node, uint32_t incarnation);

/* ---- worker 0 -------------------------------------------------------------------------------- */

void control_publish(struct control_region *c, const struct control_status *status);
void control_note(struct control_region *c, uint64_t now_ns, uint8_t note, uint8_t node,
		  uint64_t value);
/* control_take: a command of another number than *number: *number is its own from here on. */
bool control_take(const struct control_region *c, uint32_t *number,
		  struct membership_command *ret_command);
/* control_mourn: the next obituary with sequence > *sequence, which moves on; false: none. */
bool control_mourn(const struct control_region *c, uint64_t *sequence,
		   struct control_obituary *ret_obituary);
void control_reply(struct control_region *c, const struct control_answer *answer);

#endif
