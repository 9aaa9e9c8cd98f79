/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h: what travels in a UDP payload. One frame = one 32-byte header, then one or more messages,
 * each a 32-byte head, its key and its value. All integers little-endian, nothing aligned.
 * docs/wire.md shows the same tables; tests/unit/test_wire.c holds them together.
 *
 * Frame header (32 bytes)
 *   0  u16 magic 0x4e43      2  u8 format (4)         3  u8 kind (enum wire_kind)
 *   4  u32 CRC32C of the whole payload with this field zero
 *   8  u64 cluster id
 *  16  peer frames: u32 epoch (replica_epoch),
 *      u32 incarnation of the sender
 *      client frames: u64 session (0 in an OPEN)
 *      Raft frames: u32 ident of the sender's disk, u32 incarnation of the sender
 *  24  u32 incarnation of the node addressed (HELLO, OPEN: 0, any); replies: of the sender;
 *      Raft frames: ident of the disk addressed, 0: not known. A frame without messages only says
 *      who its sender is: the answer to one for another disk
 *  28  u8 node that sends (client: 0xff)   29  u8 node addressed (client: 0xff)   30  u16 shard,
 *      in Raft frames also WIRE_SHARD_VIEW
 *
 * Message head (32 bytes); that of Raft frames: raft_wire.h
 *   0  u8 type (enum wire_type)   1  u8 flags   2  u16 key bytes   4  u16 value bytes
 *   6  replies: u8 status, u8 durability; requests: u16 patience in ms, 0: no limit
 *   8  u64 version   16  u32 writer   20  u32 prior
 *  24  u64 id: INV, ACK: the coordinator's op id, echoed; requests, replies: request id;
 *      FETCH, COPY, COPIED: see there
 *  32  INV, COPY: u64 client, u64 request (struct origin)
 *  then key, then value
 *
 * prior. INV, COPY: writer of the version the update was made from, 0 unknown; that version is the
 * message's less 1 (RMW) or 2, and an INV that names it says that it is committed, like a VAL.
 * Updates from clients: 0, or the writer word (node, incarnation) of the node this request was sent
 * to before, which may have executed it.
 */
#ifndef CAIRN_REPLICATION_WIRE_H
#define CAIRN_REPLICATION_WIRE_H

#include "replication/types.h"

#define WIRE_MAGIC 0x4e43u
#define WIRE_FORMAT 4u
#define WIRE_HEADER_BYTES 32u
#define WIRE_MESSAGE_BYTES 32u
#define WIRE_ORIGIN_BYTES 16u
#define WIRE_NODE_CLIENT 0xffu
#define WIRE_SHARD_VIEW 0xffffu /* the view service; comes to the port of shard 0 */

enum wire_kind {
	WIRE_PEER = 1,
	WIRE_REQUEST = 2, /* client to node */
	WIRE_REPLY = 3,	  /* node to client */
	WIRE_RAFT = 4,	  /* between nodes: Raft groups and the view service */
};

enum wire_type {
	/* between nodes */
	WIRE_INV = 1,	/* key, ts, flags, value, op id: adopt this update */
	WIRE_ACK = 2,	/* ts, op id: I durably hold this ts, which is >= the INV's */
	WIRE_VAL = 3,	/* key, ts: every replica holds this update */
	WIRE_HELLO = 4, /* "I am here, in this incarnation"; value: HELLO_BYTES below */
	/*
	 * shadow to donor: id: chunk number << 32 | cursor; ts.version: of what (Hermes: enum
	 * wire_walk; WIRE_WALK_SOME: ts.writer: which messages of the chunk, prior: sum of keys)
	 */
	WIRE_FETCH = 5,
	WIRE_COPY = 6,	/* answer: one key as the donor has it; id: chunk number << 32 | index */
	WIRE_COPY_SESSION = 7, /* answer: outcomes of one session; id likewise; value: session.h */
	WIRE_COPIED = 8, /* end of it: id: chunk number << 32 | next cursor; value: below */
	/* client to node */
	WIRE_OPEN = 16, /* id: client nonce; value: WIRE_OPEN_BYTES zero bytes of padding */
	WIRE_GET = 17,	/* key */
	WIRE_PUT = 18,	/* key, value */
	WIRE_DEL = 19,	/* key */
	WIRE_CAS = 20,	/* key, value, version+writer expected ({0,0}: the key must not exist) */
	WIRE_INCR = 21, /* key, value: i64 delta (8 bytes); the stored value is a decimal number */
	WIRE_CASV = 22, /* key, value: expected value, then the new one; version: bytes expected */
	/* node to client */
	WIRE_OPENED = 32, /* id: nonce; value: WIRE_OPEN_BYTES, see below */
	WIRE_RESULT = 33, /* id: request id; status, version; value: GET's, INCR's result */
};

/* What a FETCH of engine Hermes asks for (docs/protocol.md, Join). */
enum wire_walk {
	WIRE_WALK_KEYS = 0,	/* keys with their values */
	WIRE_WALK_SESSIONS = 1, /* session tables */
	WIRE_WALK_STUBS = 2,	/* keys without their values */
	WIRE_WALK_SOME = 3,	/* those of them that are in the bitmap, with their values */
};

/* COPY with WIRE_STUB, of no tombstone: value: u32 CRC32C and u32 bytes of the value. */
#define WIRE_STUB_BYTES 8u

/*
 * WIRE_HELLO value: u64 fingerprint of the cluster's shape, u8 space (enum space), 7 bytes (zero;
 * engine raft: u56, from the leader: the index up to which everybody has the log),
 * then for each of NODES_MAX nodes the u32 incarnation the sender knows of it, u8 whom it hears
 * (engine raft; else zero), 3 zero bytes.
 */
#define WIRE_HELLO_BYTES 48u
/*
 * WIRE_OPENED value: u64 session, u32 incarnation, u16 shards, u8 nodes, u8 node, u16 window,
 * u16 key bytes max, u16 value bytes max, u16 zero, 8 zero bytes.
 * WIRE_OPEN carries as many, so that its answer is never larger than the question: u64 the first
 * request id this client has not used yet (> 0), then zero bytes. Its id is the client's number.
 */
#define WIRE_OPEN_BYTES 32u
/*
 * WIRE_COPIED value: u64 floor (replica_floor), u32 messages of this chunk, u8 about the donor's
 * session table (1 complete, 2 blind: session.h), 3 zero bytes.
 */
#define WIRE_COPIED_BYTES 16u

/* Message flags of INV and COPY (the same bits as ENTRY_*). */
#define WIRE_RMW 0x01u
#define WIRE_TOMBSTONE 0x02u
#define WIRE_REPLAY 0x04u /* INV, not kept; whoever holds something newer answers with that */
#define WIRE_VALID 0x08u  /* COPY: the donor has it Valid */
/* INV: resent by a coordinator that holds something newer: not to be adopted (CC-13). */
#define WIRE_OVERTAKEN 0x10u
/* COPY: the value is left out: who holds this ts has it (docs/protocol.md, Join). */
#define WIRE_STUB 0x40u
/* Updates from clients: sent before, when this session was not open yet (S-EVICT). */
#define WIRE_OLD 0x20u

/* Why a payload was refused; each is counted under this name and the frame dropped. */
enum wire_verdict {
	WIRE_OK = 0,
	WIRE_SHORT,	   /* shorter than a header, or a message runs past the end */
	WIRE_BAD_MAGIC,
	WIRE_BAD_FORMAT,
	WIRE_BAD_KIND,	   /* unknown frame kind, or a message type this kind does not carry */
	WIRE_BAD_CHECKSUM,
	WIRE_BAD_LENGTH,   /* key or value length outside its limits, or odd for the type */
	WIRE_BAD_FIELD,	   /* a field that must be zero is not, node or shard out of range */
	WIRE_VERDICT_COUNT
};

const char *wire_verdict_name(enum wire_verdict verdict);

struct wire_header {
	enum wire_kind kind;
	uint64_t cluster;
	uint64_t session;	   /* client frames */
	uint32_t epoch;		   /* peer frames */
	uint32_t ident, to_ident;  /* Raft frames */
	uint32_t from_incarnation; /* peer and Raft frames */
	uint32_t to_incarnation;   /* all but Raft frames */
	uint8_t from;
	uint8_t to;
	uint16_t shard;
};

/* A message; key and value point into the frame (decode) or wherever the sender has them. */
struct wire_message {
	enum wire_type type;
	uint8_t flags;
	uint8_t status;
	uint8_t durability;
	uint16_t patience_ms; /* requests; shares its place with status and durability */
	uint16_t key_bytes;
	uint16_t value_bytes;
	struct op_ts ts;
	uint32_t prior;
	uint64_t id;
	struct origin origin; /* INV, COPY */
	const uint8_t *key;
	const uint8_t *value;
};

/* wire_header_encode: writes 32 bytes; the checksum is left to wire_seal. */
void wire_header_encode(uint8_t *payload, const struct wire_header *header);

/* wire_seal: stores the checksum of payload[0..bytes). The last step before sending. */
void wire_seal(uint8_t *payload, uint32_t bytes);

/*
 * wire_header_decode: checks length, magic, format, kind, checksum and ranges, in that order.
 * *ret_header is written only on WIRE_OK.
 */
enum wire_verdict wire_header_decode(const uint8_t *payload, uint32_t bytes,
				     struct wire_header *ret_header);

/* wire_message_bytes: encoded size of m. */
static inline uint32_t wire_message_bytes(const struct wire_message *m)
{
	bool origin = m->type == WIRE_INV || m->type == WIRE_COPY;

	return WIRE_MESSAGE_BYTES + (origin ? WIRE_ORIGIN_BYTES : 0u) + m->key_bytes +
	       m->value_bytes;
}

/* wire_message_encode: writes wire_message_bytes(m) bytes at out. Lengths must be within limits. */
void wire_message_encode(uint8_t *out, const struct wire_message *m);

/*
 * wire_message_decode: the message at *offset of a payload whose header was accepted; kind is the
 * header's, not WIRE_RAFT. On WIRE_OK *offset moves past it and *ret_message points into payload;
 * otherwise neither is touched and the rest of the frame must be dropped. Call while
 * *offset < bytes.
 * Checks the type against the kind, the lengths against the type, and the frame's end.
 */
enum wire_verdict wire_message_decode(const uint8_t *payload, uint32_t bytes, enum wire_kind kind,
				      uint32_t *offset, struct wire_message *ret_message);

#endif
