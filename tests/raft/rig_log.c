/* SPDX-License-Identifier: Apache-2.0 */
/* rig_log.c: what a node has on disk, and its log as those records say. */
#include "tests/raft/rig_priv.h"

/* rig_hash: of data, eight bytes at a time. */
uint64_t rig_hash(const uint8_t *data, uint32_t bytes)
{
	uint64_t h = bytes + 1, word;
	uint32_t i = 0;

	for (; i + 8 <= bytes; i += 8)
		h = rng_mix(h ^ load_u64(data + i));
	if (i < bytes) {
		word = 0;
		memcpy(&word, data + i, bytes - i);
		h = rng_mix(h ^ word);
	}
	return h;
}

uint64_t rig_first_chain(void)
{
	return 0x5eed;
}

static uint64_t chain_next(uint64_t chain, const struct raft_record *record)
{
	uint64_t h = chain ^ (record->entry.index << 32 | record->entry.term);

	h = rng_mix(h) ^ record->entry.kind;
	if (record->entry.kind == RAFT_ENTRY_CONF && record->entry.bytes == RAFT_CONF_BYTES)
		h ^= (uint64_t)load_u32(record->entry.data) << 8;
	return rng_mix(h);
}

void rig_log_begin(struct rig *rig, struct rig_node *n)
{
	struct rig_mirror *m = &n->mirror;

	n->record_count = n->durable_count = n->told_count = n->arena_used = 0;
	m->base = m->last = n->first ? 1 : 0;
	m->term = 0;
	m->vote = RAFT_NODE_NONE;
	m->hard_seq = 0;
	m->log[0] = (struct rig_entry) { 0 };
	if (n->first)
		m->log[1] = (struct rig_entry) { .chain = rig_first_chain(),
						 .term = 1,
						 .conf = rig->bootstrap,
						 .conf_index = 1 };
}

/* take_entry: everything at and above its index goes, and it comes. */
static void take_entry(struct rig *rig, struct rig_node *n, const struct raft_record *record,
		       uint64_t seq)
{
	struct rig_mirror *m = &n->mirror;
	const struct raft_entry *e = &record->entry;
	const struct rig_entry *before;
	struct rig_entry *at;

	if (e->index <= m->base || e->index > m->last + 1 || e->index >= RIG_INDEX_MAX) {
		rig_fail(rig, "X-BOUND: %c logs entry %llu behind a log of %llu..%llu",
			 rig_letter(n->node), (unsigned long long)e->index,
			 (unsigned long long)m->base, (unsigned long long)m->last);
		return;
	}
	before = &m->log[e->index - 1];
	at = &m->log[e->index];
	at->seq = seq;
	at->term = e->term;
	at->kind = e->kind;
	at->flags = e->flags;
	at->chain = chain_next(before->chain, record);
	at->hash = rig_hash(e->data, e->bytes);
	at->conf = before->conf;
	at->conf_index = before->conf_index;
	if (e->kind == RAFT_ENTRY_CONF) {
		if (e->bytes != RAFT_CONF_BYTES || !raft_conf_decode(e->data, &at->conf))
			rig_fail(rig, "R-CONF-ONE: %c logs a conf that cannot be read",
				 rig_letter(n->node));
		at->conf_index = (uint32_t)e->index;
	}
	m->last = e->index;
}

static void take_snapshot(struct rig *rig, struct rig_node *n, const struct raft_record *record,
			  uint64_t seq)
{
	struct rig_mirror *m = &n->mirror;
	const struct raft_entry *e = &record->entry;
	const struct rig_committed *c;

	if (e->index > rig->commit_max) {
		rig_fail(rig, "R-CONF-ONE: %c logs a snapshot at %llu; committed is %llu",
			 rig_letter(n->node), (unsigned long long)e->index,
			 (unsigned long long)rig->commit_max);
		return;
	}
	c = &rig->committed[e->index];
	if (c->term != e->term)
		rig_fail(rig, "R-STATE-SAFE: %c logs a snapshot at %llu of term %u; it was %u",
			 rig_letter(n->node), (unsigned long long)e->index, e->term, c->term);
	if (e->index >= m->base && e->index <= m->last && m->log[e->index].term == e->term &&
	    m->last != 0) {
		m->base = e->index;
		return;
	}
	m->base = m->last = e->index;
	m->log[e->index] = (struct rig_entry) { .seq = seq,
						.chain = c->chain,
						.hash = c->hash,
						.term = c->term,
						.kind = c->kind,
						.conf = c->conf,
						.conf_index = (uint32_t)e->index };
}

static void mirror_take(struct rig *rig, struct rig_node *n, const struct raft_record *record,
			uint64_t seq)
{
	if (record->kind == RAFT_RECORD_ENTRY) {
		take_entry(rig, n, record, seq);
	} else if (record->kind == RAFT_RECORD_SNAPSHOT) {
		take_snapshot(rig, n, record, seq);
	} else {
		n->mirror.term = record->term;
		n->mirror.vote = record->vote;
		n->mirror.hard_seq = seq;
	}
}

void rig_log_record(const struct rig_node *n, uint32_t which, struct raft_record *ret_record)
{
	const struct rig_record *at = &n->records[which];

	*ret_record = (struct raft_record) {
		.kind = (enum raft_record_kind)at->kind,
		.entry = { .index = at->index,
			   .term = at->kind == RAFT_RECORD_HARD ? 0 : at->term,
			   .kind = at->entry_kind,
			   .flags = at->flags,
			   .bytes = at->bytes,
			   .data = n->arena + at->offset },
		.term = at->kind == RAFT_RECORD_HARD ? at->term : 0,
		.vote = at->vote,
	};
}

void rig_log_append(struct rig *rig, struct rig_node *n, const struct raft_record *record,
		    uint64_t seq)
{
	bool hard = record->kind == RAFT_RECORD_HARD;
	uint32_t bytes = hard ? 0 : record->entry.bytes;

	if (n->record_count >= RIG_RECORDS || n->arena_used + bytes > RIG_ARENA_BYTES) {
		rig_fail(rig, "X-BOUND: the rig's disk is full");
		return;
	}
	rig_watch_record(rig, n, record);
	n->records[n->record_count++] = (struct rig_record) {
		.seq = seq,
		.at_ns = rig->now_ns,
		.index = hard ? 0 : record->entry.index,
		.term = hard ? record->term : record->entry.term,
		.offset = n->arena_used,
		.bytes = (uint16_t)bytes,
		.kind = (uint8_t)record->kind,
		.entry_kind = hard ? 0 : record->entry.kind,
		.flags = hard ? 0 : record->entry.flags,
		.vote = record->vote,
	};
	if (bytes != 0)
		memcpy(n->arena + n->arena_used, record->entry.data, bytes);
	n->arena_used += bytes;
	mirror_take(rig, n, record, seq);
	if (record->kind == RAFT_RECORD_ENTRY && !rig->failed)
		rig_watch_entry(rig, n, record->entry.index, record->entry.data, bytes);
}

void rig_log_rebuild(struct rig *rig, struct rig_node *n)
{
	struct rig_mirror *m = &n->mirror;
	struct raft_record record;

	m->base = m->last = n->first ? 1 : 0;
	m->term = 0;
	m->vote = RAFT_NODE_NONE;
	m->hard_seq = 0;
	m->log[0] = (struct rig_entry) { 0 };
	if (n->first)
		m->log[1] = (struct rig_entry) { .chain = rig_first_chain(),
						 .term = 1,
						 .conf = rig->bootstrap,
						 .conf_index = 1 };
	for (uint32_t i = 0; i < n->record_count; i++) {
		rig_log_record(n, i, &record);
		mirror_take(rig, n, &record, 0);
		n->records[i].seq = 0;
	}
}

/* rig_log_durable: sequences grow with the index, so this is a search by halves. */
uint64_t rig_log_durable(const struct rig_node *n)
{
	uint64_t low = n->mirror.base, high = n->mirror.last;

	while (low < high) {
		uint64_t middle = low + (high - low + 1) / 2;

		if (n->mirror.log[middle].seq <= n->told_seq)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* checkpoint_log: what of the durable records counts: owner by index, and the newest of the rest.
 */
struct checkpoint {
	uint32_t owner[RIG_INDEX_MAX]; /* record of the entry */
	uint32_t hard, snapshot;       /* UINT32_MAX: none */
	uint64_t base, last;
};

static void walk(const struct rig_node *n, struct checkpoint *c)
{
	uint32_t base_term = n->first ? 1 : 0;

	c->hard = c->snapshot = UINT32_MAX;
	c->base = c->last = n->first ? 1 : 0;
	for (uint32_t i = 0; i < n->durable_count; i++) {
		const struct rig_record *at = &n->records[i];
		uint32_t term = base_term;

		if (at->kind == RAFT_RECORD_HARD) {
			c->hard = i;
		} else if (at->kind == RAFT_RECORD_ENTRY) {
			c->owner[at->index] = i;
			c->last = at->index;
		} else {
			if (at->index > c->base && at->index <= c->last)
				term = n->records[c->owner[at->index]].term;
			if (at->index > c->last || at->index < c->base || term != at->term)
				c->last = at->index;
			c->base = at->index;
			base_term = at->term;
			c->snapshot = i;
		}
	}
}

/* move: one record of the old log to the end of the new one. */
static void move(struct rig_node *n, const struct rig_record *old, const uint8_t *arena)
{
	struct rig_record *at = &n->records[n->record_count++];

	*at = *old;
	at->offset = n->arena_used;
	memcpy(n->arena + n->arena_used, arena + old->offset, old->bytes);
	n->arena_used += old->bytes;
}

/*
 * rig_checkpoint: of the durable records the newest term and vote, the newest snapshot, and the
 * entries above it that nothing has voided. Only when the core knows all of that to be durable.
 */
void rig_checkpoint(struct rig *rig, uint8_t node)
{
	static struct rig_record records[RIG_RECORDS];
	static uint8_t arena[RIG_ARENA_BYTES];
	static struct checkpoint c;
	struct rig_node *n = &rig->node[node];
	uint32_t count = n->record_count, durable = n->durable_count;

	walk(n, &c);
	if (n->told_count != durable || c.snapshot == UINT32_MAX)
		return;
	memcpy(records, n->records, count * sizeof(records[0]));
	memcpy(arena, n->arena, n->arena_used);
	n->record_count = n->arena_used = 0;
	if (c.hard != UINT32_MAX)
		move(n, &records[c.hard], arena);
	move(n, &records[c.snapshot], arena);
	for (uint64_t i = c.base + 1; i <= c.last; i++)
		move(n, &records[c.owner[i]], arena);
	n->durable_count = n->told_count = n->record_count;
	for (uint32_t i = durable; i < count; i++)
		move(n, &records[i], arena);
}
