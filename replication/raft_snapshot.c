/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots (dissertation 5): the user's state at an index, and the conf as of that index, which is
 * committed (R05). A follower that lacks what is gone from the leader's log takes one over: RESTORE
 * to the user, RESTORED from it, a record, and only then an acknowledgement. What a snapshot holds
 * is committed, so a new term in between changes nothing about it, only whom to tell (R04).
 */
#include "replication/raft_priv.h"

void raft_snapshot_keep(struct raft *r, const struct raft_conf *conf, const uint8_t *state,
			uint32_t bytes)
{
	must(bytes <= RAFT_PAYLOAD_MAX - RAFT_CONF_BYTES);
	raft_conf_encode(r->snap, conf);
	if (bytes)
		memcpy(r->snap + RAFT_CONF_BYTES, state, bytes);
	r->snap_bytes = RAFT_CONF_BYTES + bytes;
}

void raft_snapshot_record(const struct raft *r, struct raft_record *record)
{
	record->entry = (struct raft_entry) { .index = r->base,
					      .term = r->base_term,
					      .bytes = (uint16_t)r->snap_bytes,
					      .data = r->snap };
}

/* raft_snapshot_begin: the log begins behind this snapshot, with nothing in it. */
static void raft_snapshot_begin(struct raft *r, uint64_t index, uint32_t term,
				const uint8_t *payload, uint32_t bytes)
{
	struct raft_conf conf;

	must(bytes >= RAFT_CONF_BYTES);
	must(raft_conf_decode(payload, &conf));
	raft_log_reset(r, index, term);
	raft_snapshot_keep(r, &conf, payload + RAFT_CONF_BYTES, bytes - RAFT_CONF_BYTES);
	r->commit = max_u64(r->commit, index);
	if (mutant(245))
		return;
	r->base_conf = conf;
	r->base_conf_index = index;
	raft_conf_set(r, &conf, index);
}

void raft_snapshot_recover(struct raft *r, const struct raft_entry *e)
{
	struct raft_conf conf;

	if (e->index < r->base && !r->floating)
		return;
	if (e->index < r->base || e->index > r->last || e->index == r->base ||
	    raft_log_term(r, e->index) != e->term || mutant(247)) {
		bool tail = e->index == r->base && (r->floating || r->base_term == e->term);

		if (!tail) {
			raft_snapshot_begin(r, e->index, e->term, e->data, e->bytes);
			r->floating = false;
			return;
		}
	} else {
		raft_log_compact(r, e->index);
	}
	must(e->bytes >= RAFT_CONF_BYTES);
	must(raft_conf_decode(e->data, &conf));
	raft_snapshot_keep(r, &conf, e->data + RAFT_CONF_BYTES, e->bytes - RAFT_CONF_BYTES);
	r->base_term = e->term;
	r->base_conf = conf;
	r->base_conf_index = e->index;
	if (r->conf_index <= e->index)
		raft_conf_set(r, &conf, e->index);
	r->commit = max_u64(r->commit, e->index);
	r->floating = false;
}

void raft_bootstrap(struct raft *r, const struct raft_conf *conf, const uint8_t *state,
		    uint32_t bytes)
{
	must(!r->started);
	must(r->base == 0 && r->last == 0);
	must(raft_conf_valid(conf));
	raft_snapshot_keep(r, conf, state, bytes);
	raft_log_reset(r, 1, 1);
	r->base_conf = *conf;
	r->base_conf_index = 1;
	raft_conf_set(r, conf, 1);
	r->commit = 1;
	r->term = r->term == 0 ? 1 : r->term;
	r->unrecorded = true;
}

/* InstallSnapshot, receiver (dissertation 5.3). */
void raft_snapshot_on_snapshot(struct raft *r, uint8_t from, const struct raft_message *m)
{
	struct raft_conf conf;

	if (m->index == 0 || m->index > RAFT_INDEX_MAX || m->log_term > m->term ||
	    m->payload_bytes < RAFT_CONF_BYTES || m->payload_bytes > RAFT_PAYLOAD_MAX ||
	    !raft_conf_decode(m->payload, &conf))
		return;
	if (!raft_election_heed(r, from, m->id) || (r->restoring != 0 && m->index <= r->restoring))
		return;
	if (m->index <= r->commit ||
	    (m->index <= r->last && raft_log_term(r, m->index) == m->log_term)) {
		r->matched = max_u64(r->matched, max_u64(r->commit, m->index));
		raft_append_learn(r, m->index); /* we have all that it holds */
		r->ack_due = r->ack_now = true;
		return;
	}
	r->restoring = m->index;
	r->restoring_term = m->log_term;
	r->restore_due = true;
	memcpy(r->restore, m->payload, m->payload_bytes);
	r->restore_bytes = m->payload_bytes;
}

void raft_snapshot_on_restored(struct raft *r, uint64_t index, struct raft_actions *a)
{
	if (r->restoring == 0 || index != r->restoring)
		return;
	r->restoring = 0;
	if (index <= r->commit)
		return; /* overtaken by the log itself */
	raft_snapshot_begin(r, index, r->restoring_term, r->restore, r->restore_bytes);
	raft_snapshot_record(r, raft_persist(r, a, RAFT_RECORD_SNAPSHOT));
	r->base_seq = mutant(126) ? 0 : r->persist_next - 1;
	r->matched = max_u64(r->matched, index);
	r->ack_due = true;
	r->counters.snapshots_restored++;
}

void raft_snapshot_on_compact(struct raft *r, const struct raft_event *ev, struct raft_actions *a)
{
	if (ev->index <= r->base)
		return;
	must(ev->index <= r->commit);
	raft_log_compact(r, ev->index);
	raft_snapshot_keep(r, &r->base_conf, ev->data, ev->bytes);
	if (!r->started)
		return;
	raft_snapshot_record(r, raft_persist(r, a, RAFT_RECORD_SNAPSHOT));
	r->base_seq = r->persist_next - 1;
}
