/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step.h: what goes into the protocol (struct event) and what comes out (struct actions). The core
 * does nothing itself: the worker finds entries, executes actions in order, right after the step,
 * before anything else touches an entry. Pointers in actions live until the next step.
 */
#ifndef CAIRN_REPLICATION_STEP_H
#define CAIRN_REPLICATION_STEP_H

#include "replication/entry.h"
#include "replication/number.h"
#include "replication/raft.h"
#include "replication/view.h"
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
	EVENT_VIEW,    /* a view is installed at this node; only with replica_config.views */
	EVENT_LEASE,   /* the node's lease for an epoch holds until lease_ns; likewise */
	EVENT_RAFT,    /* a message of a Raft frame (engine raft) */
	EVENT_APPLY,   /* the entry asked for by STEP_APPLY */
	EVENT_WALK,    /* entries of the own shard, asked for by STEP_WALK */
};

/* Entries of one chunk of the bulk copy to a shadow, at most. */
#define WALK_MAX 8u
#define WALK_STUBS_MAX 24u /* of a chunk without values */
#define WALK_END UINT32_MAX

struct event {
	enum event_kind kind;
	uint64_t now_ns;	   /* monotonic; never goes back */
	uint64_t persist_seq_next; /* log sequence the next ACTION_PERSIST will get */
	/*
	 * PEER and REQUEST: the message, valid during the step, and the entry of its key:
	 * INV, COPY: never NULL, blob with room for the message's value;
	 * PUT, CAS, CASV, INCR: with room for the value (INCR: INCR_BYTES_MAX; CASV: the larger of
	 * both values), NULL when there is none;
	 * GET, DEL, VAL, ACK with a key: NULL when the key has no entry; without a key: NULL.
	 * APPLY: see STEP_APPLY. RAFT: header alone, and raft instead of message.
	 */
	const struct wire_header *header;
	const struct wire_message *message;
	struct entry *entry;
	struct client_addr from; /* REQUEST */
	uint64_t durable_seq;	 /* DURABLE */
	union {
		const struct view *view;	 /* VIEW, valid during the step */
		const struct raft_message *raft; /* RAFT, likewise */
	};
	uint64_t lease_ns;	 /* LEASE: this node's clock; 0 gives it up */
	uint32_t lease_epoch;
	/*
	 * PEER with FETCH whose cursor (wire.h) is below WALK_END: the entries of this shard at
	 * store index >= cursor, in order, and the index behind the last, WALK_END when
	 * there is none left. replica_walk says whether, which, and how many at most.
	 * WALK: likewise, from replica_walk_from() on, at most WALK_MAX.
	 */
	struct entry *const *walk;
	uint32_t walk_count;
	uint32_t walk_next;
};

#define INCR_BYTES_MAX NUMBER_BYTES_MAX

enum action_kind {
	ACTION_SEND,	/* message to the peers in `to` */
	ACTION_PERSIST, /* append the entry's current state to the log */
	ACTION_REPLY,	/* message to a client */
	ACTION_RESET,	/* drop all entries of the shard, and log that: what came before is void */
	ACTION_NOTE,	/* append a record that changes no key: its origin took effect at ts */
	ACTION_REJOIN,	/* log that what came before is unproven, and void about clients */
	ACTION_FORGET,	/* log that the key's update at ts is void; remove entry, if not NULL */
	ACTION_RAFT_SEND,    /* raft message to the nodes in `to`, in Raft frames of the shard */
	ACTION_RAFT_PERSIST, /* append the Raft record to the log */
};

struct action {
	enum action_kind kind;
	uint8_t to;		 /* SEND: bitmap of nodes */
	bool lease; /* REPLY: a read; void if the clock, read after encoding, is past the lease */
	union {
		struct entry *entry;		  /* PERSIST, FORGET */
		const struct raft_message *raft;  /* RAFT_SEND */
		const struct raft_record *record; /* RAFT_PERSIST */
	};
	uint64_t persist_seq;	 /* all that log: the sequence the log must give it */
	struct origin origin;	 /* PERSIST, NOTE: goes into the record */
	struct wire_message message; /* SEND, REPLY; NOTE, FORGET: key, ts, flags (ENTRY_*) */
	uint64_t session;	 /* REPLY: goes into the frame header */
	struct client_addr client; /* REPLY */
};

/* step_next: what the caller does once it has executed the actions. */
enum step_next {
	STEP_DONE = 0,
	STEP_TICK, /* call again with EVENT_TICK: there is more to say */
	STEP_SAME, /* call again with this very event: its first half is done */
	/*
	 * Engine raft: call again with EVENT_APPLY and the entry that replica_apply_message asks
	 * for. When that cannot be done now, a later step says so again.
	 */
	STEP_APPLY,
	/*
	 * A shadow looks through what it holds: call again with EVENT_WALK. When that cannot be
	 * done now, a later EVENT_TICK says so again.
	 */
	STEP_WALK,
};

/* One step's output. */
#define ACTIONS_MAX 64u

struct actions {
	uint32_t count;
	struct action list[ACTIONS_MAX];
};

#endif
