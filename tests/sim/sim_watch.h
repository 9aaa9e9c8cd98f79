/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_watch.h: looks at every frame in the moment in which a node or a client lets go of it, before
 * the wire does anything to it: what is said there is a promise. It keeps the ledger of all updates
 * that ever were, which of them are committed, who has acknowledged what in which epoch, and what
 * clients were answered. The invariants it checks are named in sim_watch.c and sim_ledger.c.
 */
#ifndef CAIRN_TESTS_SIM_SIM_WATCH_H
#define CAIRN_TESTS_SIM_SIM_WATCH_H

#include "replication/entry.h"

struct sim;
struct sim_watch;

/* An update, by key and ts, as first seen; what is 0 was not known then and may come later. */
struct sim_update {
	struct op_ts ts; /* version 0: free */
	uint64_t hash;	 /* of its content */
	struct origin origin;
	uint32_t base;
	uint8_t key;
	uint8_t flags; /* ENTRY_RMW, ENTRY_TOMBSTONE */
	bool seen;     /* hash and flags are known */
	bool committed;
};

/* sim_watch_create: NULL when out of memory. One serves many seeds. */
struct sim_watch *sim_watch_create(void);
void sim_watch_destroy(struct sim_watch *w);
void sim_watch_reset(struct sim_watch *w);

/* sim_watch_frame: port sends this. The callback of sim_net_watch. */
void sim_watch_frame(void *sim, uint16_t port, const uint8_t *data, uint32_t bytes);

/* sim_watch_started: the node is a new process: what it recovered keeps what it promised. */
void sim_watch_started(struct sim *s, uint8_t node);

/* sim_watch_lied: the node's disk lied or is gone: nothing it promised need be there. */
void sim_watch_lied(struct sim *s, uint8_t node);

/* sim_watch_void: what the node promised for the keys of a shard is void: RESET. */
void sim_watch_void(struct sim *s, uint8_t node, uint16_t shard);

/* ---- the ledger (sim_ledger.c) --------------------------------------------------------------- */

struct sim_ledger;

uint64_t sim_ledger_bytes(void);
void sim_ledger_reset(struct sim_ledger *l);

/* sim_ledger_see: the node holds or sends this update: H-UNIQUE-TS, H-REPLAY-SAME, S-EVICT. */
struct sim_update *sim_ledger_see(struct sim *s, uint8_t node, const struct sim_update *u);
struct sim_update *sim_ledger_see_entry(struct sim *s, uint8_t node, uint32_t key,
					const struct entry *e);

/* sim_ledger_seen: somebody held or sent it. */
bool sim_ledger_seen(struct sim *s, uint32_t key, struct op_ts ts);

/* sim_ledger_forgotten: a node that lacks what was committed then may have forgotten a delete. */
bool sim_ledger_forgotten(const struct sim *s, uint32_t key, struct op_ts ts, uint64_t floor);

/* sim_ledger_committed: it is known to have taken effect. */
bool sim_ledger_committed(struct sim *s, uint32_t key, struct op_ts ts);

/* sim_ledger_commit: the update took effect: H-RMW-EXCL, S-ONCE. */
void sim_ledger_commit(struct sim *s, uint32_t key, struct op_ts ts);

struct sim_ledger *sim_watch_ledger(struct sim_watch *w);

/* sim_watch_evicted: this node has told the client behind origin that it has forgotten. */
bool sim_watch_evicted(struct sim *s, uint8_t node, uint32_t key, const struct origin *origin);

#endif
