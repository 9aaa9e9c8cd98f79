/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log in memory: a ring of entries, a ring of their bytes, and how far it is durable. An entry
 * is known by the sequence of its own record, not by its index: what was durable and then
 * overwritten is not durable until the new record is (R13).
 */
#include "replication/raft_priv.h"

uint64_t raft_log_size(const struct raft_config *config)
{
	return (uint64_t)config->entries_max * sizeof(struct raft_slot) + config->bytes_max;
}

uint32_t raft_log_term(const struct raft *r, uint64_t index)
{
	must(index >= r->base);
	must(index <= r->last);
	return index == r->base ? r->base_term : raft_log_slot(r, index)->term;
}

uint64_t raft_log_below(const struct raft *r, uint64_t index, uint32_t term)
{
	uint64_t low = r->base, high = min_u64(index, r->last);

	if (high < low || r->base_term > term)
		return r->base == 0 ? 0 : r->base - 1;
	while (low < high) { /* terms never fall along a log */
		uint64_t middle = high - (high - low) / 2;

		if (raft_log_term(r, middle) <= term)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* raft_log_place: where `bytes` in one piece would go. */
static uint64_t raft_log_place(const struct raft *r, uint32_t bytes)
{
	uint64_t at = r->data_tail % r->config.bytes_max;

	return at + bytes <= r->config.bytes_max ? r->data_tail
						 : r->data_tail + (r->config.bytes_max - at);
}

bool raft_log_room(const struct raft *r, uint32_t bytes)
{
	if (r->last - r->base >= r->config.entries_max)
		return false;
	return raft_log_place(r, bytes) + bytes - r->data_head <= r->config.bytes_max;
}

static void raft_log_conf_of(const struct raft *r, uint64_t index, struct raft_conf *ret_conf)
{
	const struct raft_slot *s = raft_log_slot(r, index);

	must(raft_conf_decode(r->data + s->offset % r->config.bytes_max, ret_conf));
}

void raft_log_append(struct raft *r, const struct raft_entry *e, struct raft_actions *a)
{
	struct raft_slot *s = raft_log_slot(r, r->last + 1);
	struct raft_conf conf;

	must(e->index == r->last + 1);
	must(e->term >= raft_log_term(r, r->last));
	must(raft_log_room(r, e->bytes));
	*s = (struct raft_slot) { .term = e->term,
				  .bytes = e->bytes,
				  .kind = e->kind,
				  .flags = e->flags,

				  .offset = raft_log_place(r, e->bytes) };
	if (e->bytes)
		memcpy(r->data + s->offset % r->config.bytes_max, e->data, e->bytes);
	r->data_tail = s->offset + e->bytes;
	r->last++;
	if (e->flags & RAFT_STRIPPED)
		r->stripped++;
	if (a) {
		struct raft_record *record = raft_persist(r, a, RAFT_RECORD_ENTRY);

		raft_entry(r, r->last, &record->entry);
		s->seq = r->persist_next - 1;
	}
	if (e->kind == RAFT_ENTRY_CONF) {
		raft_log_conf_of(r, r->last, &conf);
		raft_conf_set(r, &conf, r->last);
	}
}

void raft_log_add(struct raft *r, enum raft_entry_kind kind, const uint8_t *data, uint32_t bytes,
		  struct raft_actions *a)
{
	struct raft_entry e = { .index = r->last + 1,
				.term = r->term,
				.kind = (uint8_t)kind,
				.bytes = (uint16_t)bytes,
				.data = data };

	raft_log_append(r, &e, a);
}

uint64_t raft_log_conf_at(const struct raft *r, uint64_t index, struct raft_conf *ret_conf)
{
	while (index > r->base && raft_log_slot(r, index)->kind != RAFT_ENTRY_CONF)
		index--;
	if (index > r->base) {
		raft_log_conf_of(r, index, ret_conf);
		return index;
	}
	*ret_conf = r->base_conf;
	return r->base_conf_index;
}

void raft_log_truncate(struct raft *r, uint64_t last)
{
	bool conf = false;

	must(last >= r->commit);
	must(last >= r->base);
	for (; r->last > last; r->last--) {
		struct raft_slot *s = raft_log_slot(r, r->last);

		r->data_tail = s->offset;
		conf = conf || s->kind == RAFT_ENTRY_CONF;
		if (s->flags & RAFT_STRIPPED)
			r->stripped--;
		r->counters.entries_truncated++;
	}
	if (!mutant(105))
		r->durable = min_u64(r->durable, r->last);
	r->matched = min_u64(r->matched, r->last);
	if (conf && !mutant(106)) { /* the one before takes force again (R05) */
		struct raft_conf before;
		uint64_t index = raft_log_conf_at(r, r->last, &before);

		raft_conf_set(r, &before, index);
	}
}

void raft_log_compact(struct raft *r, uint64_t index)
{
	must(index > r->base);
	must(index <= r->last);
	for (uint64_t i = r->base + 1; i <= index; i++) {
		const struct raft_slot *s = raft_log_slot(r, i);

		if (s->kind == RAFT_ENTRY_CONF) {
			raft_log_conf_of(r, i, &r->base_conf);
			r->base_conf_index = i;
		}
		if (s->flags & RAFT_STRIPPED)
			r->stripped--;
		r->base_term = s->term;
		r->data_head = s->offset + s->bytes;
	}
	if (mutant(131))
		r->base_conf = r->conf;
	r->base = index;
	if (r->base == r->last)
		r->data_head = r->data_tail;
}

void raft_log_reset(struct raft *r, uint64_t index, uint32_t term)
{
	r->base = r->last = index;
	r->base_term = term;
	r->data_head = r->data_tail;
	r->stripped = 0;
	r->durable = min_u64(r->durable, index - 1);
}

void raft_log_durable(struct raft *r)
{
	if (r->durable < r->base) {
		if (r->base_seq > r->durable_seq)
			return;
		r->durable = r->base;
	}
	while (r->durable < r->last && raft_log_slot(r, r->durable + 1)->seq <= r->durable_seq)
		r->durable++;
}

void raft_entry(const struct raft *r, uint64_t index, struct raft_entry *ret_entry)
{
	const struct raft_slot *s = raft_log_slot(r, index);

	must(index > r->base);
	must(index <= r->last);
	*ret_entry = (struct raft_entry) { .index = index,
					   .term = s->term,
					   .kind = s->kind,
					   .flags = s->flags,
					   .bytes = s->bytes,
					   .data = r->data + s->offset % r->config.bytes_max };
}
