/* SPDX-License-Identifier: Apache-2.0 */
/*
 * superblock.h: who a device belongs to, in its first two blocks. Two copies, written one after the
 * other, so that a crash leaves at least one; the valid copy with the higher generation counts.
 * Copy of generation g is block g % 2. Opening for service writes the next incarnation into both
 * and waits for them to be durable before anything is sent (CC-12): then no single damaged copy can
 * make a node use an incarnation twice.
 *
 * Copy (first 128 bytes of its block, rest zero; docs/storage-format.md)
 *   0  u64 magic "CAIRNSUP"   8  u32 format (3)       12  u32 CRC32C of bytes 8..11, 16..127
 *  16  u64 generation        24  u64 cluster id       32  u64 device id (random, at format)
 *  40  u64 shape fingerprint 48  u64 device bytes     56  u32 incarnation
 *  60  u16 shard count       62  u8 node              63  u8 node count
 *  64  u16 stream            66  u16 stream count     68  u8 engine         69  u8 flags
 *  70  58 zero bytes
 */
#ifndef CAIRN_STORAGE_SUPERBLOCK_H
#define CAIRN_STORAGE_SUPERBLOCK_H

#include "replication/types.h"
#include "storage/blockdev.h"

#define SUPERBLOCK_MAGIC 0x5055534e52494143ull
#define SUPERBLOCK_FORMAT 3u /* 1: records without an origin; 2: membership fixed at format */
#define SUPERBLOCK_COPIES 2u
#define SUPERBLOCK_BYTES 128u
#define LOG_OFFSET (SUPERBLOCK_COPIES * BLOCK_BYTES) /* where the log starts on the device */

struct superblock {
	uint32_t format; /* SUPERBLOCK_FORMAT in all that were read; not looked at when written */
	uint64_t generation;
	uint64_t cluster;
	uint64_t device_id;
	uint64_t fingerprint;
	uint64_t device_bytes;
	uint32_t incarnation;
	uint16_t shard_count;
	uint16_t stream;	/* which worker's log this is */
	uint16_t stream_count;
	uint8_t node;
	uint8_t node_count; /* numbers a node may have; NODES_MAX where nodes come and go */
	uint8_t engine;	    /* enum membership_engine; the raft engine is another shape */
	uint8_t flags;	    /* SUPERBLOCK_* */
};

#define SUPERBLOCK_JOINING 0x01u /* formatted to join: founds nothing, is told who takes part */
#define SUPERBLOCK_WITNESS 0x02u /* formatted to vote, not to hold data */

/* superblock_fingerprint: hash of cluster id, node count and shard count: the cluster's shape. */
uint64_t superblock_fingerprint(uint64_t cluster, uint8_t node_count, uint16_t shard_count);

/* superblock_shape: the fingerprint that belongs to what *sb says, its engine included. */
uint64_t superblock_shape(const struct superblock *sb);

/* superblock_encode, superblock_decode: one BLOCK_BYTES copy. decode: false when not valid. */
void superblock_encode(uint8_t *block, const struct superblock *sb);
bool superblock_decode(const uint8_t *block, struct superblock *ret_sb);

/*
 * superblock_format: writes both copies (generation 1 and 2, incarnation 0) and zeroes the first
 * log block. scratch: BLOCK_BYTES, aligned. Blocks. 0 or a negative errno.
 */
int superblock_format(struct blockdev *dev, uint8_t *scratch, const struct superblock *sb);

/*
 * superblock_read: the newest valid copy. -ENODATA: both copies are blank (never formatted);
 * -EBADMSG: no valid copy, and not blank; -EPROTONOSUPPORT: intact, but of another format than
 * ours, which is all that *ret_sb then says (format; the rest is zero): a newer release wrote it,
 * or an older one, whose data must be exported with that release and imported after a new format;
 * -ENXIO: the device is smaller than it was at format (*ret_sb is filled if a copy was left to
 * read, device_bytes says how large it was); or the device's error. Blocks.
 */
int superblock_read(struct blockdev *dev, uint8_t *scratch, struct superblock *ret_sb);

/*
 * superblock_damaged_copy: after a superblock_read that gave 0: the copy, 0 or 1, that is not
 * intact, which superblock_advance will write anew; -ENOENT: both are; or the device's error.
 */
int superblock_damaged_copy(struct blockdev *dev, uint8_t *scratch);

/*
 * superblock_advance: makes the next incarnation, sb->incarnation + 1 or floor if that is more,
 * durable in both copies (generation + 1, then generation + 2; the older copy is overwritten
 * first) and updates *sb. -EOVERFLOW when incarnations are used up. Blocks.
 */
int superblock_advance(struct blockdev *dev, uint8_t *scratch, struct superblock *sb,
		       uint32_t floor);

#endif
