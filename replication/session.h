/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h: what one shard at one node remembers about clients, so that a request that arrives
 * twice, here or elsewhere, takes effect once (S-ONCE, S-CACHE, H22; docs/protocol.md, Clients).
 *
 * A client has a number of its own, the same at every node, and numbers its requests. Where it
 * opened a session it also has a session id, made up by that node: unguessable, it proves that the
 * client receives at the address it claims. Of every update that passes through this node, as
 * coordinator or as replica, the table keeps what is known about it. Sessions are bounded: the
 * least recently used one makes room, and what was forgotten is never executed again (S-EVICT):
 * requests below a session's floor that are not in its window are EVICTED.
 */
#ifndef CAIRN_REPLICATION_SESSION_H
#define CAIRN_REPLICATION_SESSION_H

#include "replication/step.h"

enum outcome_fate {
	OUTCOME_NONE = 0, /* nothing took effect as far as this node knows */
	OUTCOME_SEEN,	  /* an update with this ts is, or was, the key's newest: fate open */
	OUTCOME_TOOK,	  /* took effect at ts */
	OUTCOME_DEAD,	  /* the update at ts has lost for ever: it may be tried again */
	OUTCOME_UNSURE,	  /* overtaken in a way that leaves it open: never try again */
	OUTCOME_DONE,	  /* this node has answered: status, ts, number */
};

struct session_outcome {
	uint64_t request; /* 0: never used */
	uint64_t key;	  /* entry->hash: a timestamp is unique among those of one key only */
	struct op_ts ts;
	int64_t number; /* has_number: INCR's result; lease: count of views; else: log seq */
	uint8_t fate;	/* enum outcome_fate */
	uint8_t status; /* DONE: enum status */
	bool has_number;
	bool running;	/* this node has an op for it */
	bool noted;	/* the log has it: with the key's update, or as a note */
	bool lease;	/* DONE: refused after a look at the key: stands while the lease holds */
};

struct session {
	uint64_t id;	 /* this node's number for it; 0: not opened here */
	uint64_t client; /* 0: free */
	uint64_t floor;	 /* lower requests that are not in the window may have been forgotten */
	uint64_t used_ns;
	uint32_t running;	   /* outcomes that run here */
	struct client_addr addr;   /* newest one it was heard from */
	struct session_outcome *window;
};

struct session_table {
	uint64_t seed;
	uint32_t count, window, index_mask;
	uint32_t dropped; /* sessions since it was cleared that had to make room, or found none */
	bool complete;	  /* none was ever dropped: a client that is not here was never here */
	bool blind;	  /* an update came whose origin nobody knew any more */
	uint32_t window_shift;	/* window is 1 << this */
	struct session *list;
	struct session_outcome *outcomes; /* all windows, one after the other */
	uint16_t *index; /* hash of client to slot + 1; open addressing */
};

enum session_verdict {
	SESSION_NEW,	 /* nothing known: execute it */
	SESSION_RUNNING, /* a copy is being executed: drop this one, the answer will come */
	SESSION_DONE,	 /* answer from *ret_outcome */
	SESSION_KNOWN,	 /* seen as somebody's update: resolve *ret_outcome first */
	SESSION_OLD,	 /* left the window long ago: drop */
	SESSION_FULL,	 /* its place belongs to an older update that runs: drop */
};

/* session_table_size: bytes; window: outcomes per session, a power of two, 4..SESSION_WINDOW. */
uint64_t session_table_size(uint32_t count, uint32_t window);

/* session_table_init: in mem (8-byte aligned, the caller's), empty and complete. */
void session_table_init(struct session_table *t, void *mem, uint32_t count, uint32_t window,
			uint64_t seed);

/* session_table_clear: forgets everything; complete: nothing was forgotten by that. */
void session_table_clear(struct session_table *t, bool complete);

/*
 * session_open: the session of this client, made if new: `first` is the lowest request id it has
 * not used. The least recently used session that runs nothing makes room (*ret_evicted). NULL when
 * every session runs something.
 */
struct session *session_open(struct session_table *t, uint64_t client, uint64_t first,
			     uint64_t now_ns, bool *ret_evicted);

/* session_find: by this node's number. session_of: by the client's. NULL when not known. */
struct session *session_find(struct session_table *t, uint64_t id);
struct session *session_of(struct session_table *t, uint64_t client);

/* session_check: what to do with update `request` (> 0). */
enum session_verdict session_check(struct session_table *t, struct session *s, uint64_t request,
				   struct session_outcome **ret_outcome);

/* session_place: the link (see session_seen) to this request's place. */
uint32_t session_place(const struct session_table *t, const struct session *s, uint64_t request);

/* session_begin: this node runs a NEW or KNOWN update. */
struct session_outcome *session_begin(struct session_table *t, struct session *s, uint64_t request);

/*
 * session_forget: an update answered EVICTED: should it come again, even after news of it has, it
 * is still not to be executed.
 */
void session_forget(struct session_table *t, struct session *s, uint64_t request);

/* session_stop: it runs no more; what is known about it stays. */
void session_stop(struct session *s, struct session_outcome *o);

/*
 * session_seen: an update with this origin is the key's newest at this node (fate SEEN), or was
 * overtaken at once (UNSURE). Makes the session when there is room. Returns a link for
 * entry->origin, 0 when it could not be kept (then the table is no longer complete).
 * *ret_outcome: the place, NULL without one.
 */
uint32_t session_seen(struct session_table *t, const struct origin *origin, uint64_t key,
		      struct op_ts ts, enum outcome_fate fate, uint64_t now_ns,
		      struct session_outcome **ret_outcome);

/*
 * session_at: what a link leads to now, NULL when it is 0. The place may have been given away:
 * compare request, or key and ts. session_origin: whose it is; its link is not 0.
 */
static inline struct session_outcome *session_at(const struct session_table *t, uint32_t link)
{
	must_dbg(link <= t->count << t->window_shift);
	return link == 0 ? NULL : &t->outcomes[link - 1];
}

static inline struct origin session_origin(const struct session_table *t, uint32_t link)
{
	return (struct origin){ t->list[(link - 1) >> t->window_shift].client,
				t->outcomes[link - 1].request };
}

/*
 * Bulk copy to a shadow. session_pack: outcomes from *cursor on into out (SESSION_PACK_BYTES),
 * returns bytes, 0 when there are none left; moves *cursor. session_unpack: merges such bytes;
 * false when they are malformed.
 */
#define SESSION_PACK_HEAD 24u
#define SESSION_PACK_ONE 32u
#define SESSION_PACK_MAX 24u
#define SESSION_PACK_BYTES (SESSION_PACK_HEAD + SESSION_PACK_MAX * SESSION_PACK_ONE)

uint32_t session_pack(const struct session_table *t, uint32_t *cursor, uint8_t *out);
bool session_unpack(struct session_table *t, const uint8_t *in, uint32_t bytes, uint64_t now_ns);

/* session_unpacked: all has been copied; complete: the donor's table was. */
void session_unpacked(struct session_table *t, bool complete);

#endif
