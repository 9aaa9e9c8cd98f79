/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_record.c: arbitrary bytes as a record body, a batch head and a superblock (checksums
 * repaired, too), as a whole log, and as damage to a log that was once good. Recovery of a damaged
 * log returns a prefix of what was written, byte for byte, or says that it is rotten; what it calls
 * the end of the log can be written on and read back.
 */
#include <errno.h>
#include <stdlib.h>

#include "replication/crc.h"
#include "storage/wal.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sim/sim_disk.h"

#define DISK_BYTES (24u * BLOCK_BYTES)
#define RECORDS	   14u

static const struct wal_config config = { .batch_bytes_max = 2 * BLOCK_BYTES,
					  .batches_in_flight_max = 2,
					  .seal_ns = 1000 };

/* Made once: a device, memory for a log, and a good log with its records. */
static struct blockdev *disk;
static struct superblock sb;
static void *memory;
static uint8_t good[DISK_BYTES];
static uint8_t value[VALUE_BYTES_MAX];
static uint64_t now_ns;

/* raft_sample: of one of the kinds that Raft groups keep. */
static struct record raft_sample(uint32_t index)
{
	struct raft_record raft = { .kind = (enum raft_record_kind)(index % 4) };
	struct record r;

	if (raft.kind == RAFT_RECORD_HARD) {
		raft.term = index;
		raft.vote = RAFT_NODE_NONE;
	} else {
		raft.entry = (struct raft_entry) { .index = index, .term = 2, .bytes = 40,
						   .data = value };
	}
	record_of_raft(&r, index % 2 ? RECORD_SHARD_VIEW : 3, &raft);
	r.key = value;
	return r;
}

/* sample: record i of the good log: updates, and now and then another kind. */
static struct record sample(uint32_t index)
{
	static const uint8_t keys[RECORDS + 1] = "abcdefghijklmno";
	struct record r = {
		.key = &keys[index],
		.key_bytes = 1,
		.value = value,
		.value_bytes = (uint16_t)(index * 71),
		.ts = { 2 * index + 2, writer_make(1, 1) },
		.origin = { 100 + index, 1 },
		.base = writer_make(2, index),
		.epoch = 3,
		.shard = (uint16_t)(index % 4),
	};

	if (index >= 10)
		return raft_sample(index);
	if (index % 5 == 2) {
		r.kind = RECORD_NOTE;
	} else if (index % 5 == 3) {
		r.kind = RECORD_FORGET;
		r.flags = ENTRY_TOMBSTONE;
		r.origin = (struct origin) { 0, 0 };
	} else if (index % 5 == 4) {
		r.kind = RECORD_RESET;
		r.key_bytes = 0;
		r.ts = (struct op_ts) { 0, 0 };
		r.origin = (struct origin) { 0, 0 };
	}
	if (r.kind != RECORD_UPDATE) {
		r.value_bytes = 0;
		r.base = 0;
	}
	return r;
}

static bool same(const struct record *a, const struct record *b)
{
	return a->key_bytes == b->key_bytes && memcmp(a->key, b->key, a->key_bytes) == 0 &&
	       a->value_bytes == b->value_bytes &&
	       memcmp(a->value, b->value, a->value_bytes) == 0 &&
	       op_ts_compare(a->ts, b->ts) == 0 && a->shard == b->shard && a->flags == b->flags &&
	       a->kind == b->kind && a->base == b->base && a->epoch == b->epoch &&
	       a->origin.client == b->origin.client && a->origin.request == b->origin.request;
}

/* flush: everything appended becomes durable. */
static void flush(struct wal *w)
{
	uint64_t wanted = wal_seq_next(w) - 1;

	while (wal_poll(w) < wanted) {
		must(wal_submit(w, now_ns) == 0);
		now_ns += 10000000;
		sim_disk_advance(disk, now_ns);
	}
}

static void append(struct wal *w, uint32_t index)
{
	struct record r = sample(index);

	must(wal_can_append(w, 1));
	wal_append(w, &r);
}

static void make_good_log(void)
{
	static _Alignas(BLOCK_BYTES) uint8_t scratch[BLOCK_BYTES];
	struct record record;
	uint64_t offset;

	sb = (struct superblock) { .cluster = 7,
				   .device_id = 9,
				   .fingerprint = 11,
				   .device_bytes = DISK_BYTES,
				   .shard_count = 4,
				   .stream_count = 1,
				   .node = 1,
				   .node_count = 3 };
	disk = sim_disk_create(DISK_BYTES, 1, NULL);
	must(superblock_format(disk, scratch, &sb) == 0);
	must(superblock_read(disk, scratch, &sb) == 0);
	must(superblock_advance(disk, scratch, &sb, 0) == 0);
	memory = aligned_alloc(BLOCK_BYTES, round_up(wal_size(&config), BLOCK_BYTES));
	must(memory != NULL);
	for (uint32_t i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)(i * 7);
	struct wal *w = wal_init(memory, &config, disk, &sb);
	must(wal_recover_next(w, &record, &offset) == 0);
	for (uint32_t i = 0; i < RECORDS; i++) {
		append(w, i);
		if (i % 3 == 2)
			flush(w);
	}
	memcpy(good, sim_disk_image(disk), DISK_BYTES);
}

static void check_lengths(const struct record *r)
{
	must(r->kind <= RECORD_RAFT_USER && r->key_bytes <= KEY_BYTES_MAX);
	if (record_is_raft(r)) {
		must(r->key_bytes == 0 && r->value_bytes <= RAFT_ENTRY_BYTES_MAX);
		must(r->shard < SHARDS_MAX || r->shard == RECORD_SHARD_VIEW);
		return;
	}
	must(r->shard < SHARDS_MAX);
	must(r->key_bytes >= 1 || r->kind != RECORD_UPDATE);
	must(r->value_bytes <= (r->kind == RECORD_UPDATE ? VALUE_BYTES_MAX : 0));
}

/* check_raft: what the log keeps of a Raft record is all there is of it. */
static void check_raft(const struct record *r)
{
	struct raft_record raft;
	struct record again;

	record_to_raft(r, &raft);
	record_of_raft(&again, r->shard, &raft);
	again.key = r->key;
	again.value = r->value;
	must(same(&again, r));
}

/* recover: reads the log; checks that it is a prefix of the good one. Returns records, or < 0. */
static int recover(struct wal *w, bool prefix)
{
	struct record record;
	uint64_t offset = UINT64_MAX;
	int count = 0, rc;

	for (;;) {
		fuzz_pattern(&record, sizeof(record));
		rc = wal_recover_next(w, &record, &offset);
		if (rc <= 0)
			break;
		check_lengths(&record);
		struct record expected = sample((uint32_t)count % (RECORDS + 1));
		must(!prefix || same(&record, &expected));
		count++;
		fuzz_accepted++;
	}
	must(fuzz_untouched(&record, sizeof(record)));
	if (rc == 0)
		return count;
	must(rc == -EBADMSG);
	must(offset >= LOG_OFFSET && offset < DISK_BYTES);
	must(wal_failed(w) == rc);
	return rc;
}

static struct wal *open_log(const uint8_t *image, struct superblock *as)
{
	sim_disk_crash(disk);
	memcpy(sim_disk_image(disk), image, DISK_BYTES);
	return wal_init(memory, &config, disk, as);
}

/* A good log with some bytes changed: input is triples of offset (2 bytes, in 2s) and new byte. */
static void damaged_log(const uint8_t *data, size_t bytes)
{
	static uint8_t image[DISK_BYTES];
	struct superblock as = sb;
	struct wal *w;
	int count;

	memcpy(image, good, DISK_BYTES);
	for (size_t i = 0; i + 3 <= bytes && i < 64; i += 3)
		image[LOG_OFFSET + load_u16(data + i) * 2u % (DISK_BYTES - LOG_OFFSET)] =
			data[i + 2];
	as.incarnation = sb.incarnation + 1;
	w = open_log(image, &as);
	count = recover(w, true);
	if (count < 0 || !wal_can_append(w, 1))
		return;
	append(w, (uint32_t)count);
	flush(w);
	memcpy(image, sim_disk_image(disk), DISK_BYTES);
	as.incarnation++;
	must(recover(open_log(image, &as), true) == count + 1);
}

/* Any bytes as the log area; heads get a right checksum, so that their fields are believed. */
static void arbitrary_log(const uint8_t *data, size_t bytes)
{
	static uint8_t image[DISK_BYTES];

	memcpy(image, good, LOG_OFFSET);
	memset(image + LOG_OFFSET, 0, DISK_BYTES - LOG_OFFSET);
	memcpy(image + LOG_OFFSET, data, min_u64(bytes, DISK_BYTES - LOG_OFFSET));
	for (uint32_t at = LOG_OFFSET; at < DISK_BYTES; at += BLOCK_BYTES) {
		uint64_t body =
			min_u64(load_u32(image + at + 48), DISK_BYTES - at - BATCH_HEAD_BYTES);

		store_u32(image + at + 56, crc32c(image + at + BATCH_HEAD_BYTES, body));
		store_u32(image + at + 60, crc32c(image + at, 60));
	}
	recover(open_log(image, &sb), false);
}

static void decode_records(const uint8_t *body, uint32_t bytes)
{
	static uint8_t again[RECORD_BYTES_MAX];
	struct record record;
	uint32_t offset = 0;

	while (offset < bytes) {
		uint32_t from = offset;

		fuzz_pattern(&record, sizeof(record));
		if (record_decode(body, bytes, &offset, &record) != RECORD_OK) {
			must(offset == from);
			must(fuzz_untouched(&record, sizeof(record)));
			return;
		}
		fuzz_accepted++;
		check_lengths(&record);
		if (record_is_raft(&record))
			check_raft(&record);
		must(offset - from == record_bytes(&record));
		must(offset <= bytes);
		must(record_encode(again, &record) == offset - from);
		must(memcmp(again, body + from, RECORD_HEAD_BYTES) == 0);
	}
}

static void decode_heads(const uint8_t *block)
{
	uint8_t again[BLOCK_BYTES];
	struct batch_head head;
	struct superblock read;

	fuzz_pattern(&head, sizeof(head));
	if (batch_head_decode(block, &head) != RECORD_OK) {
		must(fuzz_untouched(&head, sizeof(head)));
	} else {
		fuzz_accepted++;
		batch_head_encode(again, &head);
		must(memcmp(again, block, BATCH_HEAD_BYTES) == 0);
	}
	fuzz_pattern(&read, sizeof(read));
	if (!superblock_decode(block, &read)) {
		must(fuzz_untouched(&read, sizeof(read)));
	} else {
		fuzz_accepted++;
		superblock_encode(again, &read);
		must(memcmp(again, block, 128) == 0);
	}
}

static void decode(const uint8_t *data, size_t bytes)
{
	uint8_t block[BLOCK_BYTES] = { 0 };
	uint8_t body[RECORD_BYTES_MAX];
	uint32_t n = (uint32_t)min_u64(bytes, sizeof(body));

	decode_records(data, (uint32_t)bytes);
	memcpy(body, data, n);
	if (n >= RECORD_HEAD_BYTES) { /* the first record again, its checksum repaired */
		uint32_t covered = (uint32_t)min_u64(
			n - 4, RECORD_HEAD_BYTES - 4u + load_u16(body + 4) + load_u16(body + 6));

		store_u32(body, crc32c(body + 4, covered));
		decode_records(body, n);
	}
	memcpy(block, data, min_u64(bytes, sizeof(block)));
	decode_heads(block);
	store_u32(block + 60, crc32c(block, 60));
	decode_heads(block);
	store_u32(block + 12, ~crc32c_update(crc32c_update(~0u, block + 8, 4), block + 16, 112));
	decode_heads(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (disk == NULL)
		make_good_log();
	if (bytes == 0)
		return 0;
	switch (data[0] % 3) {
	case 0:
		decode(data + 1, bytes - 1);
		break;
	case 1:
		arbitrary_log(data + 1, bytes - 1);
		break;
	default:
		damaged_log(data + 1, bytes - 1);
	}
	return 0;
}
