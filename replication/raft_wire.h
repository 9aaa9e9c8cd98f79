/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raft_wire.h: Raft messages in frames of kind WIRE_RAFT (wire.h has the frame header: shard
 * WIRE_SHARD_VIEW for the view service, else the shard whose group it is; ident and incarnation of
 * the sender instead of an epoch). A frame holds one or more messages. All integers little-endian.
 *
 * Message head (48 bytes)
 *   0  u8 type (enum raft_type or the user's)   1  u8 flags   2  u16 bytes behind the head
 *   4  u32 term     8  u64 index   16  u32 log_term   20  u32 term of the entry
 *  24  u64 commit  32  u64 id      40  u8 entry kind  41  u8 entry flags
 *  42  u8 1: there is an entry     43  zero
 *  44  u32 promise_us of a HEARTBEAT_ACK, else 0
 *  then the entry's data, or the payload
 */
#ifndef CAIRN_REPLICATION_RAFT_WIRE_H
#define CAIRN_REPLICATION_RAFT_WIRE_H

#include "replication/raft.h"
#include "replication/wire.h"

#define RAFT_HEAD_BYTES 48u
#define RAFT_PAYLOAD_MAX RAFT_ENTRY_BYTES_MAX

_Static_assert(WIRE_HEADER_BYTES + RAFT_HEAD_BYTES + RAFT_ENTRY_BYTES_MAX <= FRAME_PAYLOAD_MAX,
	       "one entry, one frame");

/* raft_message_bytes: encoded size. */
static inline uint32_t raft_message_bytes(const struct raft_message *m)
{
	return RAFT_HEAD_BYTES + (m->entry.index != 0 ? m->entry.bytes : m->payload_bytes);
}

/* raft_message_encode: writes raft_message_bytes(m) bytes at out. */
void raft_message_encode(uint8_t *out, const struct raft_message *m);

/*
 * raft_message_decode: the message at *offset of a payload whose header was accepted. On WIRE_OK
 * moves *offset past it and points *ret_message into payload; otherwise touches neither, and the
 * rest of the frame must be dropped. entry.index is index + 1 where there is an entry.
 */
enum wire_verdict raft_message_decode(const uint8_t *payload, uint32_t bytes, uint32_t *offset,
				      struct raft_message *ret_message);

/* raft_conf as 4 bytes: voters, voters_old, learners, witnesses. decode: false: malformed. */
#define RAFT_CONF_BYTES 4u
void raft_conf_encode(uint8_t *out, const struct raft_conf *conf);
bool raft_conf_decode(const uint8_t *in, struct raft_conf *ret_conf);

#endif
