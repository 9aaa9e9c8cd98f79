/* SPDX-License-Identifier: Apache-2.0 */
/*
 * types.h: the words every folder shares (timestamp, node, shard, status) and every limit of the
 * system, related by static assertions.
 */
#ifndef CAIRN_REPLICATION_TYPES_H
#define CAIRN_REPLICATION_TYPES_H

#include "replication/base.h"

/* Limits. */
#define NODES_MAX 7u		/* replicas of one shard */
#define KEY_BYTES_MAX 512u	/* keys are 1..512 bytes */
#define VALUE_BYTES_MAX 848u	/* this stage: key and value fit one frame; 1 MiB comes later */
#define SHARDS_MAX 64u		/* shards of one cluster, fixed at format */
#define SLOT_COUNT 16384u	/* hash slots, as Redis Cluster defines them */
#define WORKERS_MAX 16u		/* polling threads of one node */
#define FRAME_PAYLOAD_MAX 1472u /* UDP payload of a 1500-byte MTU */
#define SESSIONS_MAX 1024u	/* client sessions of one shard at one node */
#define SESSION_WINDOW 256u	/* most request ids one session may have open; a power of two */
#define INCARNATION_MAX 0xffffffu /* 24 bits; 0 means none */
#define VERSION_MAX (UINT64_MAX >> 1) /* of a key; at 10 M updates/s in 29,000 years (H13) */
#define EPOCH_STATIC 1u		/* in log records: a cluster without a view service */

/*
 * op_ts: the timestamp of an update; it decides every conflict (Hermes 3.2, CC-12, CC-20).
 * writer = node << 24 | incarnation, so a node that lost its memory never reuses a timestamp.
 * Ordered by version, then by lot (op_ts_lot). {0, 0} is the timestamp of a key that was never
 * written. Blind writes advance the version by 2, read-modify-writes by 1.
 */
struct op_ts {
	uint64_t version;
	uint32_t writer;
};

static inline uint32_t writer_make(uint8_t node, uint32_t incarnation)
{
	return (uint32_t)node << 24 | incarnation;
}

static inline uint8_t writer_node(uint32_t writer)
{
	return (uint8_t)(writer >> 24);
}

static inline uint32_t writer_incarnation(uint32_t writer)
{
	return writer & INCARNATION_MAX;
}

/*
 * op_ts_lot: where a writer stands among those that use the same version: drawn anew for every
 * version, so that no node always wins (O2, without virtual node ids).
 */
static inline uint64_t op_ts_lot(struct op_ts ts)
{
	uint64_t z = (ts.version << 32 ^ ts.version >> 32 ^ ts.writer) * 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 29) * 0xbf58476d1ce4e5b9ull;
	return z ^ z >> 32;
}

/* op_ts_compare: <0, 0, >0 as a is older than, equal to, newer than b. */
static inline int op_ts_compare(struct op_ts a, struct op_ts b)
{
	uint64_t lot_a, lot_b;

	if (a.version != b.version)
		return a.version < b.version ? -1 : 1;
	if (a.writer == b.writer)
		return 0;
	lot_a = op_ts_lot(a);
	lot_b = op_ts_lot(b);
	if (lot_a != lot_b)
		return lot_a < lot_b ? -1 : 1;
	return a.writer < b.writer ? -1 : 1;
}

/*
 * origin: the client operation behind an update: the client's number, the same at every node, and
 * its request id. {0, 0}: none. Travels with the update, so that every replica can tell a client
 * that asks again what became of its request (S-ONCE, H22).
 */
struct origin {
	uint64_t client;
	uint64_t request;
};

/*
 * status: the outcome a client sees. Everything but OK, NOT_FOUND, UNKNOWN and EVICTED means
 * "certainly not applied". A node sends UNKNOWN when it must drop an update it has begun (it left
 * the view): another member can still tell what became of it. WAIT never leaves the client library.
 */
enum status {
	STATUS_OK = 0,
	STATUS_NOT_FOUND = 1,	  /* the key does not exist; the version says as of when */
	STATUS_CONFLICT = 2,	  /* compare failed; the version is the current one */
	STATUS_BUSY = 3,	  /* a table is full for the moment: retry */
	STATUS_NO_SPACE = 4,	  /* store or log is nearly full: delete, or give it more */
	STATUS_NOT_SERVING = 5,	  /* this node cannot serve now (disk failed, not linked yet) */
	STATUS_TOO_LARGE = 6,	  /* key or value over its limit */
	STATUS_DENIED = 7,	  /* reserved for access control */
	STATUS_UNKNOWN = 8,	  /* may or may not have been applied */
	STATUS_NO_SESSION = 9,	  /* this node does not know the session (restart, eviction) */
	STATUS_NOT_A_NUMBER = 10, /* fetch-add on a value that is no 64-bit decimal number */
	STATUS_OVERFLOW = 11,	  /* fetch-add would leave the 64-bit range */
	STATUS_BAD_REQUEST = 12,  /* malformed or unknown request */
	STATUS_EVICTED = 13,	  /* sent before, and the node has forgotten: applied or not */
	STATUS_WAIT = 14,	  /* sent before; the node asked then may still do it: ask again */
	STATUS_COUNT
};

/* status_name: "OK", "NOT_FOUND", ...; "INVALID" outside the enum. Static storage. */
const char *status_name(enum status status);

/* durability of an acknowledged write; every reply states it. This stage has one mode. */
enum durability {
	DURABILITY_MEMORY = 0,
	DURABILITY_QUORUM = 1,
	DURABILITY_ALL = 2,
};

_Static_assert((SESSION_WINDOW & (SESSION_WINDOW - 1)) == 0, "window is a power of two");
_Static_assert(32 + 48 + KEY_BYTES_MAX + VALUE_BYTES_MAX <= FRAME_PAYLOAD_MAX, "one op, one frame");

#endif
