/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/disk.h"

#include "tests/model/explore.h"

void disk_begin(struct disk *d)
{
	memset(d, 0, sizeof(*d));
	d->vote = RAFT_NODE_NONE;
}

static void on_snapshot(struct disk *d, const struct disk_record *r)
{
	/* Entries behind it stay if they go on from it. */
	if (r->index > d->last || (r->index > d->base && d->log[r->index].term != r->term)) {
		memset(d->log, 0, sizeof(d->log));
		d->last = r->index;
	}
	memset(d->log, 0, (r->index + 1u) * sizeof(d->log[0]));
	d->base = r->index;
	d->snapshot = *r;
	d->term = d->term > r->term ? d->term : r->term;
}

static void put(struct disk *d, const struct disk_record *r)
{
	d->recorded = 1;
	if (r->kind == RAFT_RECORD_HARD) {
		d->term = r->term;
		d->vote = r->vote;
	} else if (r->kind == RAFT_RECORD_SNAPSHOT) {
		on_snapshot(d, r);
	} else {
		d->log[r->index] = *r;
		d->last = r->index;
		memset(&d->log[r->index + 1], 0, (DISK_LOG - 1u - r->index) * sizeof(d->log[0]));
	}
}

void disk_take(struct disk *d, const struct raft_record *record)
{
	struct disk_record *r = &d->pending[d->pending_count];
	const struct raft_entry *e = &record->entry;

	if (d->pending_count == DISK_PENDING || e->index >= DISK_LOG || e->bytes > DISK_DATA_BYTES)
		explore_fault("the situation is too large for the model's disks");
	d->pending_count++;
	memset(r, 0, sizeof(*r));
	r->kind = (uint8_t)record->kind;
	r->term = record->kind == RAFT_RECORD_HARD ? record->term : e->term;
	r->vote = record->vote;
	if (record->kind == RAFT_RECORD_HARD)
		return;
	r->vote = 0;
	r->index = (uint8_t)e->index;
	r->entry_kind = e->kind;
	r->bytes = e->bytes;
	if (e->bytes)
		memcpy(r->data, e->data, e->bytes);
}

void disk_done(struct disk *d)
{
	must(d->pending_count != 0);
	put(d, &d->pending[0]);
	memmove(d->pending, d->pending + 1, (DISK_PENDING - 1) * sizeof(d->pending[0]));
	memset(&d->pending[DISK_PENDING - 1], 0, sizeof(d->pending[0]));
	d->pending_count--;
}

void disk_crash(struct disk *d, uint32_t survive)
{
	for (uint32_t i = 0; i < survive; i++)
		disk_done(d);
	d->pending_count = 0;
	memset(d->pending, 0, sizeof(d->pending));
}

static void read_record(const struct disk_record *r, struct raft_record *ret_record)
{
	*ret_record = (struct raft_record){
		.kind = (enum raft_record_kind)r->kind,
		.entry = { .index = r->index, .term = r->term, .kind = r->entry_kind,
			   .bytes = (uint16_t)r->bytes, .data = r->data },
	};
}

bool disk_read(const struct disk *d, uint32_t i, struct raft_record *ret_record)
{
	uint32_t snapshots = d->base != 0 ? 1 : 0;

	if (!d->recorded)
		return false;
	if (i < snapshots) {
		read_record(&d->snapshot, ret_record);
		return true;
	}
	i -= snapshots;
	if (i == 0) {
		*ret_record = (struct raft_record){ .kind = RAFT_RECORD_HARD, .term = d->term,
						    .vote = d->vote };
		return true;
	}
	if (d->base + i > d->last)
		return false;
	read_record(&d->log[d->base + i], ret_record);
	return true;
}
