/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h: what the log consists of, byte by byte (docs/storage-format.md). A batch is what one
 * write carries: a 64-byte head, records, zero padding to BLOCK_BYTES. All little-endian.
 *
 * Batch head (64 bytes)
 *   0  u64 magic "CAIRNBAT"
 *   8  u64 device id (of the superblock: a batch copied from elsewhere is not ours)
 *  16  u64 offset of this batch on the device (a misdirected write shows)
 *  24  u64 batch sequence, 1, 2, ... over the life of the device
 *  32  u64 durable sequence: every batch <= this was durable when this one was written
 *  40  u32 incarnation that wrote it
 *  44  u32 CRC32C of the previous batch (its field at 60): the chain
 *  48  u32 body bytes, padding excluded
 *  52  u32 record count
 *  56  u32 CRC32C of the body
 *  60  u32 CRC32C of head bytes 0..59
 *
 * Record (48-byte head, key, value, zero padding to 8)
 *   0  u32 CRC32C of bytes 4..end of value     4  u16 key bytes    6  u16 value bytes
 *   8  u64 version   16  u32 writer   20  u16 shard   22  u8 flags (ENTRY_*)   23  u8 kind
 *  24  u32 epoch     28  u32 base (writer of the version it was made from, 0 unknown)
 *  32  u64 client    40  u64 request (struct origin)
 * What a kind does not use is zero. Records of Raft groups (RECORD_RAFT_*) say in
 *   version  the index, but in HARD   writer  the term   shard  its own, 0xffff: view service
 *   base     ENTRY, USER: kind | flags << 8; HARD: vote   value  all but HARD: data
 */
#ifndef CAIRN_STORAGE_RECORD_H
#define CAIRN_STORAGE_RECORD_H

#include "replication/entry.h"
#include "replication/raft.h"
#include "storage/blockdev.h"

#define BATCH_MAGIC 0x5441424e52494143ull /* "CAIRNBAT" as bytes */
#define BATCH_HEAD_BYTES 64u
#define RECORD_HEAD_BYTES 48u
#define RECORD_BYTES_MAX (RECORD_HEAD_BYTES + RAFT_ENTRY_BYTES_MAX)
#define RECORD_SHARD_VIEW 0xffffu /* in records of Raft groups: that of the view service */

_Static_assert(RAFT_ENTRY_BYTES_MAX >= KEY_BYTES_MAX + VALUE_BYTES_MAX, "an entry is the largest");
_Static_assert(RECORD_BYTES_MAX % 8 == 0, "records stay 8-byte aligned");

enum record_kind {
	RECORD_UPDATE = 0, /* the key has this value now, if ts is its newest */
	RECORD_NOTE = 1,   /* no value: operation `origin` was seen at ts, overtaken already;
			    * without key and origin: a floor, docs/protocol.md, Tombstones */
	RECORD_RESET = 2,  /* no key: everything of the shard before this record is void; version
			    * RECORD_RESET_CLIENTS: what is known about clients, and no key */
	RECORD_FORGET = 3, /* no value: the delete at ts need not be remembered any more (CC-13);
			    * not a tombstone: the update at ts is void (CC-24) */
	RECORD_RAFT_ENTRY = 4,	  /* these: what struct raft_record says */
	RECORD_RAFT_HARD = 5,
	RECORD_RAFT_SNAPSHOT = 6,
	RECORD_RAFT_USER = 7,
};

#define RECORD_RESET_CLIENTS 1u

struct record {
	const uint8_t *key;
	const uint8_t *value;
	struct op_ts ts;
	struct origin origin;
	uint32_t epoch;
	uint32_t base;
	uint16_t key_bytes;
	uint16_t value_bytes;
	uint16_t shard;
	uint8_t flags;
	uint8_t kind; /* enum record_kind */
};

struct batch_head {
	uint64_t device_id;
	uint64_t offset;
	uint64_t seq;
	uint64_t durable_seq;
	uint32_t incarnation;
	uint32_t previous_crc;
	uint32_t body_bytes;
	uint32_t record_count;
	uint32_t body_crc;
	uint32_t crc; /* of the head; the next batch's previous_crc */
};

enum record_verdict {
	RECORD_OK = 0,
	RECORD_SHORT,	     /* runs past the end of the body */
	RECORD_BAD_LENGTH,   /* key or value length outside its limits, or not that of the kind */
	RECORD_BAD_CHECKSUM,
	RECORD_BAD_FIELD,    /* kind, flags, shard, padding; a tombstone with a value */
	BATCH_BAD_MAGIC,
	BATCH_BAD_CHECKSUM,
	BATCH_BAD_FIELD,
};

const char *record_verdict_name(enum record_verdict verdict);

/* record_bytes: encoded size, padding included. key and value are not looked at. */
uint32_t record_bytes(const struct record *r);

/* record_encode: writes record_bytes(r) bytes at out; returns that count. */
uint32_t record_encode(uint8_t *out, const struct record *r);

/*
 * record_decode: the record at *offset of body[0..bytes). On RECORD_OK moves *offset past it and
 * points *ret_record into body; otherwise touches neither.
 */
enum record_verdict record_decode(const uint8_t *body, uint32_t bytes, uint32_t *offset,
				  struct record *ret_record);

/*
 * record_of_raft: the record that keeps *raft for the group of a shard, or RECORD_SHARD_VIEW; its
 * value is raft's data. record_to_raft: the way back, of one that record_decode let through and
 * record_is_raft is true of.
 */
void record_of_raft(struct record *ret_record, uint16_t shard, const struct raft_record *raft);
void record_to_raft(const struct record *r, struct raft_record *ret_raft);

static inline bool record_is_raft(const struct record *r)
{
	return r->kind >= RECORD_RAFT_ENTRY;
}

/* batch_head_encode: writes 64 bytes with the head checksum, which it also stores in head->crc. */
void batch_head_encode(uint8_t *out, struct batch_head *head);

/* batch_head_decode: checks magic, head checksum, and sizes. The body is checked by the caller. */
enum record_verdict batch_head_decode(const uint8_t *in, struct batch_head *ret_head);

#endif
