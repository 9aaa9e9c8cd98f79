/* SPDX-License-Identifier: Apache-2.0 */
/* superblock.c: the two copies that say whose device this is, and its incarnation. */
#include "storage/superblock.h"

#include <errno.h>

#include "replication/crc.h"

_Static_assert(SUPERBLOCK_BYTES <= 512, "a copy is one sector: a torn write leaves old or new");

uint64_t superblock_fingerprint(uint64_t cluster, uint8_t node_count, uint16_t shard_count)
{
	uint8_t b[11];
	uint32_t low, high;

	store_u64(b, cluster);
	b[8] = node_count;
	store_u16(b + 9, shard_count);
	low = crc32c(b, sizeof(b));
	high = ~crc32c_update(low, b, sizeof(b));
	return (uint64_t)high << 32 | low;
}

uint64_t superblock_shape(const struct superblock *sb)
{
	return superblock_fingerprint(sb->cluster, (uint8_t)(sb->node_count | sb->engine << 4),
				      sb->shard_count);
}

static uint32_t copy_crc(const uint8_t *block)
{
	uint32_t crc = crc32c_update(~0u, block + 8, 4);

	return ~crc32c_update(crc, block + 16, SUPERBLOCK_BYTES - 16);
}

void superblock_encode(uint8_t *block, const struct superblock *sb)
{
	memset(block, 0, BLOCK_BYTES);
	store_u64(block, SUPERBLOCK_MAGIC);
	store_u32(block + 8, SUPERBLOCK_FORMAT);
	store_u64(block + 16, sb->generation);
	store_u64(block + 24, sb->cluster);
	store_u64(block + 32, sb->device_id);
	store_u64(block + 40, sb->fingerprint);
	store_u64(block + 48, sb->device_bytes);
	store_u32(block + 56, sb->incarnation);
	store_u16(block + 60, sb->shard_count);
	block[62] = sb->node;
	block[63] = sb->node_count;
	store_u16(block + 64, sb->stream);
	store_u16(block + 66, sb->stream_count);
	block[68] = sb->engine;
	block[69] = sb->flags;
	store_u32(block + 12, copy_crc(block));
}

static bool blank(const uint8_t *block)
{
	return block[0] == 0 && memcmp(block, block + 1, BLOCK_BYTES - 1) == 0;
}

static bool fields_ok(const struct superblock *sb)
{
	if (sb->node_count < 1 || sb->node_count > NODES_MAX || sb->node >= sb->node_count)
		return false;
	if (sb->shard_count < 1 || sb->shard_count > SHARDS_MAX)
		return false;
	if (sb->stream_count < 1 || sb->stream_count > WORKERS_MAX ||
	    sb->stream >= sb->stream_count)
		return false;
	if (sb->engine > 1 || (sb->flags & ~(SUPERBLOCK_JOINING | SUPERBLOCK_WITNESS)) != 0)
		return false;
	if (sb->device_bytes % BLOCK_BYTES != 0 || sb->device_bytes <= LOG_OFFSET)
		return false;
	return sb->generation != 0 && sb->incarnation <= INCARNATION_MAX;
}

/*
 * decode: 0; -ENODATA: all zero; -EPROTONOSUPPORT: intact, of another format, which *ret_sb names;
 * -EBADMSG: neither.
 */
static int decode(const uint8_t *block, struct superblock *ret_sb)
{
	struct superblock sb;

	if (blank(block))
		return -ENODATA;
	if (load_u64(block) != SUPERBLOCK_MAGIC || load_u32(block + 12) != copy_crc(block))
		return -EBADMSG;
	sb.format = load_u32(block + 8);
	if (sb.format != SUPERBLOCK_FORMAT) {
		*ret_sb = (struct superblock){ .format = sb.format };
		return -EPROTONOSUPPORT;
	}
	sb.generation = load_u64(block + 16);
	sb.cluster = load_u64(block + 24);
	sb.device_id = load_u64(block + 32);
	sb.fingerprint = load_u64(block + 40);
	sb.device_bytes = load_u64(block + 48);
	sb.incarnation = load_u32(block + 56);
	sb.shard_count = load_u16(block + 60);
	sb.node = block[62];
	sb.node_count = block[63];
	sb.stream = load_u16(block + 64);
	sb.stream_count = load_u16(block + 66);
	sb.engine = block[68];
	sb.flags = block[69];
	if (!fields_ok(&sb))
		return -EBADMSG;
	*ret_sb = sb;
	return 0;
}

bool superblock_decode(const uint8_t *block, struct superblock *ret_sb)
{
	struct superblock sb;

	if (decode(block, &sb) != 0)
		return false;
	*ret_sb = sb;
	return true;
}

/* finish: waits for the one transfer in flight. */
static int finish(struct blockdev *dev)
{
	struct blockdev_completion done;

	while (blockdev_poll(dev, &done, 1) == 0)
		blockdev_wait(dev);
	if (done.result < 0)
		return done.result;
	return done.result == (int32_t)BLOCK_BYTES ? 0 : -EIO;
}

static int write_block(struct blockdev *dev, const uint8_t *block, uint64_t index)
{
	int rc = blockdev_write(dev, index, block, BLOCK_BYTES, index * BLOCK_BYTES);

	return rc < 0 ? rc : finish(dev);
}

static int write_copy(struct blockdev *dev, uint8_t *scratch, const struct superblock *sb)
{
	must(fields_ok(sb));
	superblock_encode(scratch, sb);
	return write_block(dev, scratch, sb->generation % SUPERBLOCK_COPIES);
}

int superblock_format(struct blockdev *dev, uint8_t *scratch, const struct superblock *sb)
{
	struct superblock copy = *sb;
	int rc;

	must(sb->device_bytes <= blockdev_bytes(dev));
	memset(scratch, 0, BLOCK_BYTES);
	rc = write_block(dev, scratch, LOG_OFFSET / BLOCK_BYTES);
	copy.incarnation = 0;
	for (copy.generation = 1; rc == 0 && copy.generation <= SUPERBLOCK_COPIES;
	     copy.generation++)
		rc = write_copy(dev, scratch, &copy);
	return rc;
}

int superblock_read(struct blockdev *dev, uint8_t *scratch, struct superblock *ret_sb)
{
	struct superblock copy, best = { 0 }, other = { 0 };
	bool foreign = false;
	int verdict[SUPERBLOCK_COPIES], rc;

	if (blockdev_bytes(dev) <= LOG_OFFSET)
		return -ENXIO;
	for (uint32_t i = 0; i < SUPERBLOCK_COPIES; i++) {
		rc = blockdev_read(dev, i, scratch, BLOCK_BYTES, (uint64_t)i * BLOCK_BYTES);
		if (rc == 0)
			rc = finish(dev);
		if (rc < 0)
			return rc;
		verdict[i] = decode(scratch, &copy);
		if (verdict[i] == 0 && copy.generation > best.generation)
			best = copy;
		if (verdict[i] == -EPROTONOSUPPORT && copy.format >= other.format) {
			other = copy;
			foreign = true;
		}
	}
	/* Another release may have used incarnations that the other copy does not know of. */
	if (foreign) {
		*ret_sb = other;
		return -EPROTONOSUPPORT;
	}
	if (best.generation == 0)
		return verdict[0] == -ENODATA && verdict[1] == -ENODATA ? -ENODATA : -EBADMSG;
	*ret_sb = best;
	return best.device_bytes > blockdev_bytes(dev) ? -ENXIO : 0;
}

int superblock_damaged_copy(struct blockdev *dev, uint8_t *scratch)
{
	struct superblock copy;
	int rc;

	for (int i = 0; i < (int)SUPERBLOCK_COPIES; i++) {
		rc = blockdev_read(dev, (uint64_t)i, scratch, BLOCK_BYTES,
				   (uint64_t)i * BLOCK_BYTES);
		if (rc == 0)
			rc = finish(dev);
		if (rc < 0)
			return rc;
		if (!superblock_decode(scratch, &copy))
			return i;
	}
	return -ENOENT;
}

int superblock_advance(struct blockdev *dev, uint8_t *scratch, struct superblock *sb,
		       uint32_t floor)
{
	struct superblock next = *sb;
	int rc;

	if (sb->incarnation >= INCARNATION_MAX || floor > INCARNATION_MAX)
		return -EOVERFLOW;
	next.incarnation = (uint32_t)max_u64(sb->incarnation + 1, floor);
	next.incarnation -= mutant(49);
	for (uint32_t i = 0; i < (mutant(78) ? 1 : SUPERBLOCK_COPIES); i++) {
		next.generation++;
		rc = write_copy(dev, scratch, &next);
		if (rc < 0)
			return rc;
	}
	*sb = next;
	return 0;
}
