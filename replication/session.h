/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h: what one shard remembers about its clients, so that a request that arrives twice takes
 * effect once while this node lives (S-ONCE, S-CACHE). A session is opened by a client nonce and
 * named by an unguessable number, which also proves that the client receives at the address it
 * claims. Sessions die with the node: an update must never be resent under another one (S-UNKNOWN).
 *
 * Every update gets exactly one recorded outcome, refusals included: otherwise the second copy of a
 * request that was answered BUSY could still be applied.
 */
#ifndef CAIRN_REPLICATION_SESSION_H
#define CAIRN_REPLICATION_SESSION_H

#include "replication/step.h"

/* session_outcome: what the client was told; kept until its request id leaves the window. */
struct session_outcome {
	uint64_t request; /* 0: slot never used */
	struct op_ts ts;
	bool done;	  /* false: still under way */
	uint8_t status;	  /* enum status */
	bool has_number;  /* INCR: number is its new value */
	int64_t number;
};

struct session {
	uint64_t id;	/* 0: free */
	uint64_t nonce; /* the client's, from OPEN */
	uint64_t used_ns;
	uint32_t open;	/* updates under way */
	struct client_addr client; /* newest address it was heard from */
	struct session_outcome window[SESSION_WINDOW];
};

struct session_table {
	uint64_t seed;
	uint32_t count;
	struct session *list;
};

enum session_verdict {
	SESSION_NEW,	   /* never seen: execute it */
	SESSION_UNDER_WAY, /* a copy is being executed: drop this one, the answer will come */
	SESSION_DONE,	   /* answer from *ret_outcome */
	SESSION_OLD,	   /* left the window long ago: drop */
	SESSION_FULL,	   /* its slot belongs to an older update under way: drop */
};

/* session_table_init: list has room for count sessions and is zeroed here. */
void session_table_init(struct session_table *t, struct session *list, uint32_t count,
			uint64_t seed);

/*
 * session_open: the session of this nonce, made if new; the least recently used session without
 * updates under way makes room (*ret_evicted). NULL when every session has some.
 */
struct session *session_open(struct session_table *t, uint64_t nonce, uint64_t now_ns,
			     bool *ret_evicted);

/* session_find: by its number; NULL when this node does not know it. */
struct session *session_find(struct session_table *t, uint64_t id);

/* session_check: what to do with update `request` (> 0). *ret_outcome only with SESSION_DONE. */
enum session_verdict session_check(const struct session *s, uint64_t request,
				   const struct session_outcome **ret_outcome);

/* session_begin: marks a SESSION_NEW update as under way. */
void session_begin(struct session *s, uint64_t request);

/* session_finish: records the outcome of an update under way. */
void session_finish(struct session *s, const struct session_outcome *outcome);

#endif
