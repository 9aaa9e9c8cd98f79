/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.h: the log of one node under the search of explore.h, as its records say: what is durable,
 * in the shortest form, and records that are not durable yet, in order. A plain struct; equal bytes
 * mean equal disks.
 */
#ifndef CAIRN_TESTS_MODEL_DISK_H
#define CAIRN_TESTS_MODEL_DISK_H

#include "replication/raft.h"

#define DISK_LOG	21u /* indexes 1..20 */
#define DISK_PENDING	16u
#define DISK_DATA_BYTES 328u

struct disk_record {
	uint32_t term; /* of the entry; or HARD's */
	uint8_t kind;  /* enum raft_record_kind */
	uint8_t entry_kind, vote, index;
	uint32_t bytes, spare;
	uint8_t data[DISK_DATA_BYTES];
};

struct disk {
	uint32_t term;
	uint8_t vote, base, last, pending_count;
	uint8_t recorded; /* anything at all */
	uint8_t spare[7];
	struct disk_record snapshot;	   /* at base; base 0: none */
	struct disk_record log[DISK_LOG]; /* base < index <= last */
	struct disk_record pending[DISK_PENDING];
};

void disk_begin(struct disk *d);
/* disk_take: one more record, not durable yet. */
void disk_take(struct disk *d, const struct raft_record *record);
/* disk_done: the oldest that is not durable becomes so. */
void disk_done(struct disk *d);
/* disk_crash: so many of those that are not durable survive. */
void disk_crash(struct disk *d, uint32_t survive);
/* disk_read: the i-th record that a start finds; false: there are no more. */
bool disk_read(const struct disk *d, uint32_t i, struct raft_record *ret_record);

#endif
