/* SPDX-License-Identifier: Apache-2.0 */
/* The door of a Raft member: memory, recovery, events in, timers, actions out. */
#include "replication/raft_priv.h"

static const char *const role_names[] = {
	[RAFT_FOLLOWER] = "follower",
	[RAFT_PRE_CANDIDATE] = "pre-candidate",
	[RAFT_CANDIDATE] = "candidate",
	[RAFT_LEADER] = "leader",
};

const char *raft_role_name(enum raft_role role)
{
	return (unsigned)role < ARRAY_LEN(role_names) ? role_names[role] : "invalid";
}

/* Memory and recovery. */

static uint64_t raft_struct_size(void)
{
	return round_up(sizeof(struct raft), 16);
}

static uint64_t raft_reads_size(const struct raft_config *config)
{
	return round_up((uint64_t)config->reads_max * sizeof(struct raft_read), 16);
}

uint64_t raft_size(const struct raft_config *config)
{
	return raft_struct_size() + raft_reads_size(config) + raft_log_size(config);
}

static void raft_config_check(const struct raft_config *c)
{
	must(c->node < NODES_MAX);
	must(c->heartbeat_ns > 0);
	must(c->election_ns > c->heartbeat_ns);
	must(c->entries_max > 0 && (c->entries_max & (c->entries_max - 1)) == 0);
	must(c->reads_max > 0 && (c->reads_max & (c->reads_max - 1)) == 0);
	must(c->open_max > 0 && c->open_max <= c->entries_max / 4);
	must(c->inflight_max > 0);
	/* So that what may be uncommitted fits, and one more, wherever the ring turns. */
	must(c->bytes_max >= (uint64_t)(c->open_max + 3) * RAFT_ENTRY_BYTES_MAX);
	must(c->incarnation <= INCARNATION_MAX);
}

struct raft *raft_init(void *mem, const struct raft_config *config)
{
	struct raft *r = mem;
	uint8_t *at = (uint8_t *)mem + raft_struct_size();

	must(((uintptr_t)mem & 15) == 0);
	raft_config_check(config);
	memset(r, 0, sizeof(*r));
	r->config = *config;
	r->random = config->seed ^ (uint64_t)config->node << 56;
	r->vote = RAFT_NODE_NONE;
	r->leader = r->told_leader = RAFT_NODE_NONE;
	r->farewell = r->transfer_to = RAFT_NODE_NONE;
	r->reads = (struct raft_read *)at;
	r->read_head = r->read_tail = config->reads_before;
	r->read_refuse = r->read_indexed = r->read_sent = config->reads_before;
	at += raft_reads_size(config);
	r->slots = (struct raft_slot *)at;
	at += (uint64_t)config->entries_max * sizeof(struct raft_slot);
	r->data = at;
	return r;
}

static void raft_recover_entry(struct raft *r, const struct raft_entry *e)
{
	if (r->last == 0 && r->base == 0 && e->index > 1) {
		r->base = r->last = e->index - 1;
		r->floating = true;
	}
	if (e->index <= r->base)
		return; /* the snapshot has it */
	must(e->index <= r->last + 1);
	must(e->term <= r->term);
	if (e->index <= r->last)
		raft_log_truncate(r, e->index - 1);
	raft_log_append(r, e, NULL);
	/* Whoever made it had committed all but open_max before: DATA waits for that. */
	if ((e->kind == RAFT_ENTRY_DATA || (mutant(272) && e->kind == RAFT_ENTRY_CONF)) &&
	    e->index > r->config.open_max)
		r->commit = max_u64(r->commit, e->index - (mutant(137) ? 0 : r->config.open_max));
}

void raft_recover(struct raft *r, const struct raft_record *record)
{
	must(!r->started);
	switch (record->kind) {
	case RAFT_RECORD_HARD:
		must(record->term >= r->term);
		r->term = record->term;
		r->vote = record->vote;
		return;
	case RAFT_RECORD_ENTRY:
		raft_recover_entry(r, &record->entry);
		return;
	case RAFT_RECORD_SNAPSHOT:
		raft_snapshot_recover(r, &record->entry);
		r->term = r->term > record->entry.term ? r->term : record->entry.term;
		r->unrecorded = false;
		return;
	case RAFT_RECORD_USER:
		break;
	}
	must(false);
}

uint64_t raft_recover_apply(const struct raft *r)
{
	if (raft_log_room(r, RAFT_ENTRY_BYTES_MAX))
		return 0;
	return r->commit > r->base && !r->floating ? r->commit : 0;
}

void raft_start(struct raft *r, uint64_t now_ns)
{
	must(!r->started);
	must(!r->floating); /* a log without its beginning */
	r->started = true;
	r->now_ns = now_ns;
	r->matched = r->commit;
	raft_log_durable(r);
	must(r->durable == r->last);
	if (!mutant(118))
		r->silent_ns = now_ns + r->config.election_ns;
	raft_election_rearm(r, r->config.election_ns);
}

/* Helpers for the other files. */

uint64_t raft_random(struct raft *r, uint64_t below)
{
	uint64_t z = r->random += 0x9e3779b97f4a7c15ull; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (z ^ z >> 31) % below;
}

struct raft_action *raft_act(struct raft_actions *a, enum raft_action_kind kind)
{
	struct raft_action *action = &a->list[a->count];

	must(raft_room(a));
	a->count++;
	memset(action, 0, sizeof(*action));
	action->kind = kind;
	return action;
}

struct raft_message *raft_send(const struct raft *r, struct raft_actions *a, uint8_t to,
			       enum raft_type type)
{
	struct raft_action *action = raft_act(a, RAFT_ACTION_SEND);

	action->to = to;
	action->message.type = (uint8_t)type;
	action->message.term = r->term;
	return &action->message;
}

/* raft_write_begun: a record was handed out; those of about one time share a place. */
static void raft_write_begun(struct raft *r, uint64_t seq)
{
	struct raft_open_write *w = &r->writes[(r->write_tail - 1) & (RAFT_WRITES - 1)];
	uint64_t apart_ns = r->config.disk_ns / (RAFT_WRITES / 2);

	if (r->write_tail == r->write_head ||
	    (r->now_ns - w->since_ns > apart_ns && r->write_tail - r->write_head < RAFT_WRITES)) {
		w = &r->writes[r->write_tail++ & (RAFT_WRITES - 1)];
		w->since_ns = r->now_ns;
	}
	w->seq = seq;
}

static void raft_on_durable(struct raft *r, uint64_t seq)
{
	r->durable_seq = max_u64(r->durable_seq, seq);
	raft_log_durable(r);
	while (r->write_head < r->write_tail &&
	       r->writes[r->write_head & (RAFT_WRITES - 1)].seq <= r->durable_seq)
		r->write_head++;
}

struct raft_record *raft_persist(struct raft *r, struct raft_actions *a, enum raft_record_kind kind)
{
	struct raft_action *action;

	must(!r->failed);
	if (r->unrecorded) { /* a bootstrapped log begins with what it was bootstrapped from */
		r->unrecorded = false;
		if (kind != RAFT_RECORD_SNAPSHOT)
			raft_snapshot_record(r, raft_persist(r, a, RAFT_RECORD_SNAPSHOT));
	}
	if (kind == RAFT_RECORD_ENTRY && r->hard_dirty)
		raft_persist_hard(r, a); /* no entry of a term before the term */
	action = raft_act(a, RAFT_ACTION_PERSIST);
	action->persist_seq = r->persist_next++;
	raft_write_begun(r, action->persist_seq);
	action->record.kind = kind;
	return &action->record;
}

void raft_persist_hard(struct raft *r, struct raft_actions *a)
{
	struct raft_record *record;

	r->hard_dirty = false;
	record = raft_persist(r, a, RAFT_RECORD_HARD);
	record->term = r->term;
	record->vote = r->vote;
	r->hard_seq = r->persist_next - 1;
}

static uint64_t raft_kth_of(uint8_t set, const uint64_t value[NODES_MAX])
{
	uint64_t sorted[NODES_MAX];
	uint32_t count = 0;

	for (uint8_t i = 0; i < NODES_MAX; i++) {
		uint32_t at = count;

		if (!(set & raft_bit(i)))
			continue;
		for (; at > 0 && sorted[at - 1] < value[i]; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = value[i];
		count++;
	}
	return count == 0 ? 0 : sorted[count / 2]; /* of the largest, a majority's last */
}

uint64_t raft_kth(const struct raft *r, const uint64_t value[NODES_MAX])
{
	uint64_t kth = raft_kth_of(r->conf.voters, value);

	if (r->conf.voters_old == 0 || mutant(120))
		return kth;
	return min_u64(kth, raft_kth_of(r->conf.voters_old, value));
}

/* Events. */

/* raft_on_current: the message's term is ours. */
static void raft_on_current(struct raft *r, uint8_t from, const struct raft_message *m,
			    struct raft_actions *a)
{
	switch ((enum raft_type)m->type) {
	case RAFT_APPEND:
		raft_append_on_append(r, from, m, a);
		return;
	case RAFT_HEARTBEAT:
		raft_read_on_heartbeat(r, from, m);
		return;
	case RAFT_SNAPSHOT:
		raft_snapshot_on_snapshot(r, from, m);
		return;
	case RAFT_TIMEOUT_NOW:
		raft_election_on_timeout_now(r, from, m);
		return;
	case RAFT_APPEND_ACK:
	case RAFT_SNAPSHOT_ACK:
		raft_append_on_ack(r, from, m);
		return;
	case RAFT_HEARTBEAT_ACK:
		raft_read_on_heartbeat_ack(r, from, m);
		return;
	case RAFT_READ:
		raft_read_on_read(r, from, m);
		return;
	case RAFT_READ_ACK:
		raft_read_on_read_ack(r, from, m, a);
		return;
	case RAFT_VOTE_ACK:
		raft_election_on_vote_ack(r, from, m);
		return;
	case RAFT_PRE_VOTE:
	case RAFT_PRE_VOTE_ACK:
	case RAFT_VOTE:
	case RAFT_TYPE_USER:
		return;
	}
}

static bool raft_from_leader(uint8_t type)
{
	return type == RAFT_APPEND || type == RAFT_HEARTBEAT || type == RAFT_SNAPSHOT;
}

/* Rules for all servers (5.1): a newer term ends ours, an older one is told so. */
static void raft_on_message(struct raft *r, uint8_t from, const struct raft_message *m,
			    struct raft_actions *a)
{
	bool promise = m->type == RAFT_PRE_VOTE_ACK && !(m->flags & RAFT_REJECT);

	if (from >= NODES_MAX || from == r->config.node || m->term == 0 || m->term > RAFT_TERM_MAX)
		return;
	r->peers[from].heard_ns = r->now_ns;
	if (r->failed || m->type == 0 || m->type > RAFT_READ_ACK)
		return;
	if (m->type == RAFT_PRE_VOTE) {
		raft_election_on_pre_vote(r, from, m);
	} else if (m->type == RAFT_VOTE) {
		raft_election_on_vote(r, from, m);
	} else if (promise) {
		raft_election_on_vote_ack(r, from, m);
	} else {
		if (m->term > r->term)
			raft_election_adopt(r, m->term);
		if (m->term == r->term)
			raft_on_current(r, from, m, a);
		else if (raft_from_leader(m->type))
			r->stale_to |= raft_bit(from);
	}
}

bool raft_open(const struct raft *r, uint32_t bytes)
{
	return r->last - r->commit < r->config.open_max && raft_log_room(r, bytes);
}

static void raft_on_propose(struct raft *r, const struct raft_event *ev, struct raft_actions *a)
{
	if (!raft_can_propose(r, ev->bytes)) {
		r->counters.proposals_refused++;
		return;
	}
	raft_log_add(r, RAFT_ENTRY_DATA, ev->data, ev->bytes, a);
	a->proposed = r->last;
	r->counters.proposals++;
}

/* raft_on_fail: nothing it says from now on can be kept (R12, R28). */
static void raft_on_fail(struct raft *r)
{
	if (mutant(248))
		return;
	if (r->role == RAFT_LEADER)
		raft_election_farewell(r);
	else if (r->role != RAFT_FOLLOWER)
		raft_election_move(r, RAFT_FOLLOWER);
	r->leader = RAFT_NODE_NONE;
	raft_read_refuse_all(r);
	r->failed = true;
}

static void raft_on_event(struct raft *r, const struct raft_event *ev, struct raft_actions *a)
{
	switch (ev->kind) {
	case RAFT_EVENT_TICK:
		return;
	case RAFT_EVENT_MESSAGE:
		raft_on_message(r, ev->from, ev->message, a);
		return;
	case RAFT_EVENT_DURABLE:
		raft_on_durable(r, ev->durable_seq);
		return;
	case RAFT_EVENT_PROPOSE:
		raft_on_propose(r, ev, a);
		return;
	case RAFT_EVENT_READ:
		raft_read_on_event(r, ev->id, a);
		return;
	case RAFT_EVENT_TRANSFER:
		raft_conf_on_transfer(r, ev->node);
		return;
	case RAFT_EVENT_CONFIGURE:
		raft_conf_on_configure(r, &ev->conf, a);
		return;
	case RAFT_EVENT_COMPACT:
		if (!r->failed)
			raft_snapshot_on_compact(r, ev, a);
		return;
	case RAFT_EVENT_HOLD:
		r->hold = ev->index;
		return;
	case RAFT_EVENT_RESTORED:
		if (!r->failed)
			raft_snapshot_on_restored(r, ev->index, a);
		return;
	case RAFT_EVENT_FAIL:
		raft_on_fail(r);
		return;
	}
}

/* Timers. */

uint64_t raft_disk_ns(const struct raft *r)
{
	if (r->write_head == r->write_tail || mutant(116))
		return UINT64_MAX;
	return r->writes[r->write_head & (RAFT_WRITES - 1)].since_ns + r->config.disk_ns;
}

static bool raft_has_quorum(const struct raft *r)
{
	uint8_t heard = raft_bit(r->config.node);

	for (uint8_t i = 0; i < NODES_MAX; i++) {
		if (r->now_ns - r->peers[i].acked_ns < r->config.election_ns)
			heard |= raft_bit(i);
	}
	return raft_conf_quorum(&r->conf, heard) || mutant(138);
}

static void raft_tick(struct raft *r)
{
	if (r->failed)
		return;
	raft_election_tick(r);
	raft_conf_tick(r);
	if (r->role == RAFT_LEADER && r->now_ns >= raft_disk_ns(r)) {
		r->counters.disk_step_downs++;
		raft_election_farewell(r);
	}
	if (r->role != RAFT_LEADER || r->now_ns < r->beat_ns)
		return;
	if (!raft_has_quorum(r)) { /* check-quorum (6.2) */
		r->counters.quorum_step_downs++;
		raft_election_step_down(r);
		return;
	}
	raft_read_round(r);
}

uint64_t raft_deadline_ns(const struct raft *r)
{
	uint64_t ns = UINT64_MAX;

	if (!r->started || r->failed)
		return ns;
	if (r->role == RAFT_LEADER) {
		ns = min_u64(r->beat_ns, min_u64(raft_disk_ns(r), raft_append_deadline_ns(r)));
		if (r->transfer_to != RAFT_NODE_NONE)
			ns = min_u64(ns, r->transfer_ns);
		if (r->leaving != 0)
			ns = min_u64(ns, r->leaving_ns);
	} else {
		ns = r->election_at_ns;
		if (raft_election_asking(r))
			ns = min_u64(ns, r->retry_ns);
	}
	return min_u64(ns, raft_read_deadline_ns(r));
}

/* Actions out. */

static bool raft_pump_user(struct raft *r, struct raft_actions *a)
{
	if (r->role != r->told_role || r->leader != r->told_leader || r->term != r->told_term) {
		if (!raft_room(a))
			return true;
		raft_act(a, RAFT_ACTION_ROLE);
		r->told_role = r->role;
		r->told_leader = r->leader;
		r->told_term = r->term;
	}
	if (r->restore_due) {
		struct raft_message *m;

		if (!raft_room(a))
			return true;
		m = &raft_act(a, RAFT_ACTION_RESTORE)->message;
		m->type = RAFT_SNAPSHOT;
		m->index = r->restoring;
		m->log_term = r->restoring_term;
		m->payload = r->restore;
		m->payload_bytes = (uint16_t)r->restore_bytes;
		r->restore_due = false;
	}
	return false;
}

static bool raft_pump(struct raft *r, struct raft_actions *a)
{
	if (raft_pump_user(r, a) || raft_election_pump_farewell(r, a))
		return true;
	if (r->failed)
		return raft_read_pump(r, a);
	if (raft_election_pump(r, a) || raft_conf_pump(r, a) || raft_read_pump(r, a))
		return true;
	if (raft_append_pump_follower(r, a))
		return true;
	return r->role == RAFT_LEADER && raft_append_pump_leader(r, a);
}

bool raft_step(struct raft *r, const struct raft_event *ev, struct raft_actions *a)
{
	a->count = 0;
	a->proposed = 0;
	if (!r->started) {
		must(ev->kind == RAFT_EVENT_COMPACT);
		raft_snapshot_on_compact(r, ev, a);
		return false;
	}
	must(ev->now_ns >= r->now_ns);
	r->now_ns = ev->now_ns;
	must(ev->persist_seq_next >= r->persist_next);
	r->persist_next = ev->persist_seq_next;
	raft_on_event(r, ev, a);
	raft_tick(r);
	if (!r->failed) {
		raft_election_settle(r);
		raft_append_settle(r, a);
		raft_conf_settle(r, a);
		raft_read_settle(r);
		if (r->hard_dirty)
			raft_persist_hard(r, a);
	}
	return raft_pump(r, a);
}

void raft_set_copies(struct raft *r, uint8_t copies)
{
	r->copies = copies;
}

void raft_set_void(struct raft *r, bool is_void)
{
	must(r->role != RAFT_LEADER);
	if (is_void && r->role != RAFT_FOLLOWER)
		raft_election_move(r, RAFT_FOLLOWER);
	r->is_void = is_void;
}

/* What it knows. */

enum raft_role raft_role(const struct raft *r)
{
	return r->role;
}

uint8_t raft_leader(const struct raft *r)
{
	return r->leader;
}

uint32_t raft_term(const struct raft *r)
{
	return r->term;
}

const struct raft_conf *raft_conf(const struct raft *r)
{
	return &r->conf;
}

uint64_t raft_conf_index(const struct raft *r)
{
	return r->conf_index;
}

uint64_t raft_commit(const struct raft *r)
{
	return r->commit;
}

uint64_t raft_reads(const struct raft *r)
{
	return r->read_tail;
}

uint64_t raft_last(const struct raft *r)
{
	return r->last;
}

uint64_t raft_base(const struct raft *r)
{
	return r->base;
}

uint32_t raft_bytes(const struct raft *r)
{
	return (uint32_t)(r->data_tail - r->data_head);
}

bool raft_ready(const struct raft *r)
{
	return r->role == RAFT_LEADER && r->ready;
}

bool raft_settled(const struct raft *r)
{
	return r->role == RAFT_LEADER && r->settled;
}

bool raft_can_propose(const struct raft *r, uint32_t bytes)
{
	return r->role == RAFT_LEADER && !r->noop_due && r->transfer_to == RAFT_NODE_NONE &&
	       bytes <= RAFT_ENTRY_BYTES_MAX && raft_open(r, bytes);
}

uint64_t raft_match(const struct raft *r, uint8_t node)
{
	must(node < NODES_MAX);
	return node == r->config.node ? raft_acked(r) : r->peers[node].match;
}

uint64_t raft_heard_ns(const struct raft *r, uint8_t node)
{
	must(node < NODES_MAX);
	return r->peers[node].heard_ns;
}

const struct raft_counters *raft_counters(const struct raft *r)
{
	return &r->counters;
}

void raft_check(const struct raft *r)
{
	must(r->base <= r->commit);
	must(r->commit <= r->last);
	must(r->durable <= r->last);
	must(r->matched <= r->last);
	must(r->last - r->base <= r->config.entries_max);
	must(r->data_tail - r->data_head <= r->config.bytes_max);
	must(r->conf_index <= r->last);
	must(r->last == 0 || raft_log_term(r, r->last) <= r->term);
	must(r->role != RAFT_LEADER || r->leader == r->config.node);
	must(r->role != RAFT_LEADER || r->quorum_round <= r->round);
	must(r->role == RAFT_LEADER || (r->transfer_to == RAFT_NODE_NONE && r->leaving == 0));
	must(r->read_head <= r->read_tail);
	must(r->read_tail - r->read_head <= r->config.reads_max);
	must(r->read_sent >= r->read_head || r->leader == RAFT_NODE_NONE || r->role == RAFT_LEADER);
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		const struct raft_peer *p = &r->peers[i];

		if (r->role != RAFT_LEADER || i == r->config.node)
			continue;
		must(p->match < p->next);
		must(p->match <= r->last);
		must(p->next <= r->last + 1);
		must(p->round <= r->round);
	}
}
