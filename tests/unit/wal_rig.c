/* SPDX-License-Identifier: Apache-2.0 */
/* wal_rig.c: a log on a simulated disk, for tests. */
#include "tests/unit/wal_rig.h"

#include <stdlib.h>

#define TURNS_MAX 20000u /* no disk is so slow: the log is stuck */

static _Alignas(BLOCK_BYTES) uint8_t scratch[BLOCK_BYTES];

void wal_rig_make(struct wal_rig *rig, uint64_t disk_bytes, uint64_t seed)
{
	struct superblock sb = { .cluster = 1,
				 .device_id = 0x1000 + seed,
				 .device_bytes = disk_bytes,
				 .shard_count = 4,
				 .stream_count = 1,
				 .node_count = 3 };

	*rig = (struct wal_rig) {
		.config = { 4 * BLOCK_BYTES, 4, 1000000 },
		.dev = sim_disk_create(disk_bytes, seed, NULL),
	};
	must(superblock_format(rig->dev, scratch, &sb) == 0);
	rig->mem = aligned_alloc(BLOCK_BYTES, round_up(wal_size(&rig->config), BLOCK_BYTES));
	must(rig->mem != NULL);
	must(wal_rig_recover(rig) == 0);
}

void wal_rig_free(struct wal_rig *rig)
{
	sim_disk_destroy(rig->dev);
	free(rig->mem);
}

/* The content of record i follows from i and its length, so that a wrong one shows. */
static void content(uint64_t i, uint32_t value_bytes, uint8_t *key, uint8_t *value)
{
	memcpy(key, "key-", 4);
	store_u64(key + 4, i);
	for (uint32_t b = 0; b < value_bytes; b++)
		value[b] = (uint8_t)(i * 31 + b);
}

static void check(const struct record *r, uint64_t i)
{
	uint8_t key[12], value[VALUE_BYTES_MAX];

	content(i, r->value_bytes, key, value);
	must(r->key_bytes == 12 && memcmp(r->key, key, 12) == 0);
	must(memcmp(r->value, value, r->value_bytes) == 0);
	must(r->ts.version == i && r->shard == 3 && r->epoch == EPOCH_STATIC);
}

int64_t wal_rig_recover(struct wal_rig *rig)
{
	struct record r;
	int64_t n = 0;
	int rc;

	must(superblock_read(rig->dev, scratch, &rig->sb) == 0);
	must(superblock_advance(rig->dev, scratch, &rig->sb, 0) == 0);
	rig->wal = wal_init(rig->mem, &rig->config, rig->dev, &rig->sb);
	rig->lives++;
	while ((rc = wal_recover_next(rig->wal, &r, &rig->offset)) == 1)
		check(&r, (uint64_t)++n);
	if (rc < 0)
		return rc;
	rig->base = (uint64_t)n;
	rig->appended = (uint64_t)n;
	must(wal_seq_next(rig->wal) == 1 && wal_poll(rig->wal) == 0);
	return n;
}

void wal_rig_append(struct wal_rig *rig, uint32_t value_bytes)
{
	uint8_t key[12], value[VALUE_BYTES_MAX];
	struct record r = { .key = key,
			    .value = value,
			    .ts = { .version = ++rig->appended, .writer = 1 },
			    .epoch = EPOCH_STATIC,
			    .key_bytes = 12,
			    .value_bytes = (uint16_t)value_bytes,
			    .shard = 3 };

	content(rig->appended, value_bytes, key, value);
	must(wal_can_append(rig->wal, 1));
	must(wal_append(rig->wal, &r) == rig->appended - rig->base);
}

int wal_rig_turn(struct wal_rig *rig, uint64_t ns)
{
	int rc = wal_submit(rig->wal, rig->now_ns);
	uint64_t seq;

	rig->now_ns += ns;
	sim_disk_advance(rig->dev, rig->now_ns);
	seq = wal_poll(rig->wal);
	must(seq < wal_seq_next(rig->wal));
	if (seq > 0) {
		must(rig->base + seq >= rig->acked);
		rig->acked = rig->base + seq;
	}
	return rc;
}

void wal_rig_drain(struct wal_rig *rig)
{
	for (uint32_t turns = 0; wal_busy(rig->wal); turns++) {
		must(turns < TURNS_MAX);
		wal_rig_turn(rig, 10000);
	}
}

void wal_rig_seal(struct wal_rig *rig)
{
	for (uint32_t turns = 0;
	     wal_busy(rig->wal) || wal_deadline_ns(rig->wal) != UINT64_MAX; turns++) {
		must(turns < TURNS_MAX);
		wal_rig_turn(rig, 100000);
	}
}
