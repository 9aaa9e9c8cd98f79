/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_rig.h: what the log tests share: a log on a simulated disk, records numbered from 1 over all
 * its lives, and a recovery that checks that it returns exactly records 1..n, each whole.
 */
#ifndef CAIRN_TESTS_WAL_RIG_H
#define CAIRN_TESTS_WAL_RIG_H

#include "storage/wal.h"
#include "tests/sim/sim_disk.h"

struct wal_rig {
	struct blockdev *dev;
	struct wal *wal;
	void *mem;
	struct wal_config config;
	struct superblock sb;
	uint64_t now_ns;
	uint64_t base;	    /* records found by the last recovery */
	uint64_t acked;	    /* highest record ever reported durable */
	uint64_t appended;  /* highest record ever appended in this life */
	uint64_t offset;    /* of rot, from recovery */
	uint32_t lives;
};

/* wal_rig_make: formatted, recovered, empty. Batches of 16 KiB, 4 in flight, sealing after 1 ms. */
void wal_rig_make(struct wal_rig *rig, uint64_t disk_bytes, uint64_t seed);
void wal_rig_free(struct wal_rig *rig);

/*
 * wal_rig_recover: a new life on the same disk. Returns how many records came back (they were
 * 1..n, in order, intact), or wal_recover_next's error.
 */
int64_t wal_rig_recover(struct wal_rig *rig);

/* wal_rig_append: the next record, of the given value length. wal_rig_turn: submit, time, poll. */
void wal_rig_append(struct wal_rig *rig, uint32_t value_bytes);
int wal_rig_turn(struct wal_rig *rig, uint64_t ns);

/* wal_rig_drain: until all appended is durable (or failed). wal_rig_seal: and the tail sealed. */
void wal_rig_drain(struct wal_rig *rig);
void wal_rig_seal(struct wal_rig *rig);

#endif
