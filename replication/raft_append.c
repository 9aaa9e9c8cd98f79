/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log replication (Ongaro and Ousterhout 5.3, 5.4.2; dissertation 10.2). A leader finds out where a
 * follower's log parts from its own (PROBE), then sends entries as soon as they are there
 * (REPLICATE), at most inflight_max unacknowledged. Frames get lost: an acknowledged heartbeat says
 * what the follower has received, and what was sent before that heartbeat and is missing goes
 * again.
 *
 *   PROBE <---- entries refused ---- REPLICATE          what it lacks is gone:
 *     +--------- logs agree ----------> ^               either ---> SNAPSHOTS ---> REPLICATE
 *
 * A witness counts, but holds no data: it gets an uncommitted entry only while the other voters
 * that are heard are no majority. So what is committed is on the data nodes that live, and one of
 * them can lead after any single death (5.4.1 would refuse it otherwise).
 */
#include "replication/raft_priv.h"

/* A follower unheard for so many heartbeats does not keep witnesses out. */
#define WITNESS_HEARTBEATS 4u

static void raft_append_move(struct raft *r, struct raft_peer *p, enum raft_progress to)
{
	must(p->state != to);
	p->state = to;
	p->retry_ns = r->now_ns;
	p->beat_next = p->next;
}

void raft_append_fresh(struct raft *r, uint8_t node)
{
	struct raft_peer *p = &r->peers[node];

	p->match = 0;
	p->next = r->last + 1;
	p->round = 0;
	p->window = r->config.inflight_max;
	p->rewind_ns = r->now_ns;
	p->acked_ns = r->now_ns;
	if (p->state != RAFT_PROBE)
		raft_append_move(r, p, RAFT_PROBE);
	p->retry_ns = r->now_ns;
	p->beat_next = p->next;
}

void raft_append_lost(struct raft *r, struct raft_peer *p, uint64_t received)
{
	p->window = p->window > 1 ? p->window / 2 : 1;
	p->rewind_ns = r->now_ns + r->config.heartbeat_ns;
	p->next = received + 1;
	p->beat_next = p->next;
	r->counters.retransmits++;
}

void raft_append_ask(struct raft *r, struct raft_peer *p)
{
	raft_append_move(r, p, RAFT_PROBE);
}

void raft_append_lead(struct raft *r)
{
	for (uint8_t i = 0; i < NODES_MAX; i++)
		raft_append_fresh(r, i);
	r->noop_due = true;
	r->noop_index = 0;
	r->ready = r->settled = false;
}

void raft_append_follow(struct raft *r)
{
	r->acked = 0;
	r->ack_due = r->ack_now = r->reject_due = r->beat_ack_due = false;
	r->read_sent = r->read_head;
}

void raft_append_learn(struct raft *r, uint64_t commit)
{
	r->commit = max_u64(r->commit, min_u64(commit, mutant(129) ? r->last : r->matched));
}

static bool raft_append_entry_ok(const struct raft_message *m)
{
	const struct raft_entry *e = &m->entry;
	struct raft_conf conf;

	if (m->index > RAFT_INDEX_MAX || m->log_term > m->term)
		return false;
	if (e->index == 0)
		return true;
	if (e->index != m->index + 1 || e->term < m->log_term || e->term > m->term)
		return false;
	if (e->bytes > RAFT_ENTRY_BYTES_MAX || e->kind > RAFT_ENTRY_CONF)
		return false;
	if ((e->flags & RAFT_STRIPPED) && (e->bytes != 0 || e->kind != RAFT_ENTRY_DATA))
		return false;
	return e->kind != RAFT_ENTRY_CONF ||
	       (e->bytes == RAFT_CONF_BYTES && raft_conf_decode(e->data, &conf));
}

static void raft_append_reject(struct raft *r, uint64_t index, uint32_t term)
{
	r->reject_due = true;
	r->reject_index = index;
	r->reject_hint = raft_log_below(r, index, term);
	r->reject_term = r->reject_hint >= r->base ? raft_log_term(r, r->reject_hint) : 0;
	r->counters.appends_rejected++;
}

/* raft_append_take: the entry behind a place where the logs agree; false: not now. */
static bool raft_append_take(struct raft *r, const struct raft_entry *e, struct raft_actions *a)
{
	bool known = e->index <= r->last && raft_log_term(r, e->index) == e->term;

	if (known && !mutant(127))
		return true;
	if (r->is_void && !mutant(266))
		return false;
	if (e->index <= r->last) {
		if (e->index <= (mutant(127) ? r->commit : max_u64(r->commit, r->matched)))
			return false;		    /* no leader of ours contradicts that */
		raft_log_truncate(r, e->index - 1); /* 5.3: a conflict, and all that follow it */
	}
	if (!raft_log_room(r, e->bytes))
		return false;
	raft_log_append(r, e, a);
	return true;
}

/* AppendEntries, receiver (5.3). */
void raft_append_on_append(struct raft *r, uint8_t from, const struct raft_message *m,
			   struct raft_actions *a)
{
	const struct raft_entry *e = &m->entry;

	if (!raft_append_entry_ok(m) || !raft_election_heed(r, from, m->id))
		return;
	r->counters.appends_received++;
	if (r->restoring != 0)
		return;
	if (m->index < r->commit) { /* committed: the same here and there */
		r->matched = max_u64(r->matched, r->commit);
		r->ack_due = r->ack_now = true;
		return;
	}
	if (m->index > r->last || raft_log_term(r, m->index) != m->log_term) {
		raft_append_reject(r, m->index, m->log_term);
		return;
	}
	r->matched = max_u64(r->matched, m->index);
	raft_append_learn(r, m->commit);
	if (e->index == 0)
		r->ack_now = true;
	else if (raft_append_take(r, e, a))
		r->matched = max_u64(r->matched, e->index);
	else
		return; /* no room: it comes again */
	raft_append_learn(r, m->commit);
	r->ack_due = true;
}

/* raft_append_refused: where to look next (5.3): both logs' terms leave out whole terms. */
static void raft_append_refused(struct raft *r, struct raft_peer *p, const struct raft_message *m)
{
	uint64_t hint;

	/* What came out of order may be refused by the dozen: one answer to that at a time. */
	if (p->state == RAFT_REPLICATE && r->now_ns < p->rewind_ns && p->window > 1)
		return;
	if (p->state == RAFT_SNAPSHOTS || m->index < p->match || m->index >= p->next)
		return;
	if (p->state == RAFT_PROBE && m->index != p->next - 1)
		return; /* an answer to an older question */
	if (m->index == p->match) {
		if (p->state != RAFT_PROBE || mutant(268))
			return;
		p->match = 0; /* it was asked, and has lost what it acknowledged */
	}
	if (p->state == RAFT_REPLICATE && m->commit >= p->match && m->commit < m->index) {
		raft_append_lost(r, p, m->commit); /* only a gap */
		return;
	}
	p->rewind_ns = r->now_ns + r->config.heartbeat_ns;
	hint = raft_log_below(r, min_u64(m->id, r->last), m->log_term);
	p->next = max_u64(p->match, min_u64(m->index - 1, hint)) + 1;
	p->beat_next = p->next;
	p->retry_ns = r->now_ns;
	if (p->state != RAFT_PROBE)
		raft_append_move(r, p, RAFT_PROBE);
}

/*
 * raft_append_told: a void follower knows that this much is committed. In this term only this
 * leader commits; what was committed in an earlier one is in its log (leader completeness, 5.4.3),
 * here with the same term, so it may hold it for committed, as if it had heard so before it was
 * elected. It need: the follower may take no copy of before that, and acknowledges nothing without.
 */
static void raft_append_told(struct raft *r, const struct raft_message *m)
{
	if (m->index > r->commit && m->index <= r->last &&
	    raft_log_term(r, m->index) == m->log_term && !mutant(293))
		r->commit = m->index;
}

void raft_append_matched(struct raft *r, uint8_t from, const struct raft_message *m)
{
	struct raft_peer *p = &r->peers[from];
	uint64_t received = min_u64(max_u64(m->index, m->commit), r->last);
	uint64_t index = m->flags & RAFT_VOID ? 0 : m->index;

	if (m->index > r->last)
		return;
	if (m->flags & RAFT_VOID)
		raft_append_told(r, m);
	if (index > p->match && r->now_ns >= p->rewind_ns && p->window < r->config.inflight_max)
		p->window++;
	p->match = max_u64(p->match, mutant(125) ? received : index);
	p->next = max_u64(p->next, p->match + 1);
	received = max_u64(received, p->match);
	if ((p->state == RAFT_PROBE && received >= p->next - 1) ||
	    (p->state == RAFT_SNAPSHOTS && received >= max_u64(r->base, p->since))) {
		p->next = received + 1;
		raft_append_move(r, p, RAFT_REPLICATE);
	}
}

/* AppendEntries, the answer (5.3, 5.4.2). */
void raft_append_on_ack(struct raft *r, uint8_t from, const struct raft_message *m)
{
	struct raft_peer *p = &r->peers[from];

	if (r->role != RAFT_LEADER || !(raft_targets(r) & raft_bit(from)))
		return;
	p->acked_ns = r->now_ns;
	if (m->flags & RAFT_REJECT)
		raft_append_refused(r, p, m);
	else
		raft_append_matched(r, from, m);
}

/*
 * raft_append_copied: of what a quorum holds, what may be committed with as many copies as asked
 * for: DATA entries must be durable at `copies` nodes that keep their bytes; learners are as good
 * as voters for that, and may be all there is: they become voters later. A change of the conf that
 * waits behind such an entry lifts this: else copies might never come.
 */
static uint64_t raft_append_copied(const struct raft *r, const uint64_t value[NODES_MAX],
				   uint64_t quorum)
{
	uint8_t data = (raft_voters(r) | r->conf.learners) & (uint8_t)~r->conf.witnesses;
	uint64_t upto = r->commit;
	struct raft_entry e;

	if (r->copies < 2 || r->conf_index > r->commit || mutant(223))
		return quorum;
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		uint32_t copies = 0;

		for (uint32_t n = 0; n < NODES_MAX; n++)
			copies += (data >> n & 1) && value[n] >= value[i];
		if (copies >= r->copies)
			upto = max_u64(upto, value[i]);
	}
	for (; upto < quorum; upto++) {
		raft_entry(r, upto + 1, &e);
		if (e.kind == RAFT_ENTRY_DATA)
			break;
	}
	return min_u64(upto, quorum);
}

/*
 * raft_append_everywhere: what every voter holds durably, of every conf that may be in force: the
 * newest, each one before it that is not known to be committed, and one that is. No other leader
 * can lack it, whatever its term (5.4.2 names this case). It serves a leader that may not begin for
 * want of room (raft_append_begins): nothing else would ever make any.
 */
static uint64_t raft_append_everywhere(const struct raft *r, const uint64_t value[NODES_MAX])
{
	uint64_t least = r->last, index = r->last + 1;
	struct raft_conf conf;
	uint8_t all = 0;

	do {
		bool skip = mutant(302) && index <= r->last;

		index = raft_log_conf_at(r, skip ? r->commit : index - 1, &conf);
		all |= conf.voters | conf.voters_old;
	} while (index > r->commit);
	for (uint8_t i = 0; i < NODES_MAX; i++)
		if (all & raft_bit(i))
			least = min_u64(least, value[i]);
	return least;
}

/*
 * raft_append_commit: what a quorum holds durably, and is of this term (5.4.2, R01), or what is
 * everywhere, when there is no room for an entry of this term.
 */
static void raft_append_commit(struct raft *r)
{
	uint64_t value[NODES_MAX], quorum, commit;
	bool crowded = r->noop_due && !mutant(289);

	for (uint32_t i = 0; i < NODES_MAX; i++)
		value[i] = r->peers[i].match;
	value[r->config.node] = mutant(111) ? r->last : raft_acked(r);
	quorum = crowded ? raft_append_everywhere(r, value) : raft_kth(r, value);
	if (r->noop_index != 0 && quorum >= r->noop_index && !mutant(271))
		r->settled = true;
	commit = raft_append_copied(r, value, quorum);
	if (commit <= r->commit)
		return;
	if (raft_log_term(r, commit) != r->term && !crowded && !mutant(107))
		return;
	r->commit = commit;
	if (r->noop_index != 0 && commit >= r->noop_index)
		r->ready = r->settled = true;
	/* With nothing behind it to say so, followers would hear of it a heartbeat later. */
	if (commit == r->last)
		r->notice_due = raft_targets(r);
}

/*
 * raft_append_begins: may a new leader add its first entry? One leader after the other that can
 * commit nothing would fill the log: beyond half of it, only who has a quorum that holds all of it.
 */
static bool raft_append_begins(const struct raft *r)
{
	uint64_t value[NODES_MAX];

	if (!r->noop_due || !raft_log_room(r, 0))
		return false;
	if (r->last - r->commit <= r->config.entries_max / 2 || mutant(290))
		return true;
	for (uint32_t i = 0; i < NODES_MAX; i++)
		value[i] = r->peers[i].match;
	value[r->config.node] = r->last;
	return raft_kth(r, value) >= r->last;
}

void raft_append_settle(struct raft *r, struct raft_actions *a)
{
	if (r->role != RAFT_LEADER)
		return;
	if (raft_append_begins(r)) {
		raft_log_add(r, RAFT_ENTRY_NOOP, NULL, 0, a);
		r->noop_index = r->last;
		r->noop_due = false;
	}
	raft_append_commit(r);
}

/* raft_append_held: what one of those who can lead the group after this leader holds. */
static uint64_t raft_append_held(const struct raft *r)
{
	uint64_t held = 0;

	for (uint8_t i = 0; i < NODES_MAX; i++)
		if (r->conf.voters & (uint8_t)~r->conf.witnesses & raft_bit(i))
			held = max_u64(held, r->peers[i].match);
	return held;
}

/* raft_append_limit: the last entry that may go to this node now. */
static uint64_t raft_append_limit(const struct raft *r, uint8_t node)
{
	uint64_t recent_ns = WITNESS_HEARTBEATS * r->config.heartbeat_ns;
	uint8_t heard = raft_bit(r->config.node);
	uint64_t limit;

	if (!(r->conf.witnesses & raft_bit(node)))
		return r->last;
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		if (r->now_ns - r->peers[i].acked_ns <= recent_ns)
			heard |= raft_bit((uint8_t)i);
	}
	heard &= (uint8_t)~r->conf.witnesses;
	/* Never what the leader itself may lose yet: only it could lead a witness that has more. */
	limit = min_u64(r->durable, raft_conf_quorum(&r->conf, heard) ? r->commit : r->last);
	/* Nor what nobody has that stays, when the leader has to go. */
	if (!(r->conf.voters & raft_bit(r->config.node)) && !mutant(274))
		limit = min_u64(limit, raft_append_held(r));
	return limit;
}

static bool raft_append_strips(const struct raft *r, uint8_t node, uint64_t index)
{
	return r->config.strip && (r->conf.witnesses & raft_bit(node)) &&
	       raft_log_slot(r, index)->kind == RAFT_ENTRY_DATA;
}

/* raft_append_send: AppendEntries, sender: what is behind next - 1, or just the question. */
static void raft_append_send(struct raft *r, uint8_t to, uint64_t next, bool entry, bool strip,
			     struct raft_actions *a)
{
	struct raft_message *m = raft_send(r, a, to, RAFT_APPEND);

	m->index = next - 1;
	m->log_term = raft_log_term(r, next - 1);
	m->commit = r->commit;
	m->id = r->round;
	if (entry)
		raft_entry(r, next, &m->entry);
	if (entry && strip) {
		m->entry.flags |= RAFT_STRIPPED;
		m->entry.bytes = 0;
		m->entry.data = NULL;
	}
	r->counters.appends_sent += raft_bits(to);
}

static void raft_append_send_snapshot(struct raft *r, uint8_t node, struct raft_actions *a)
{
	struct raft_message *m = raft_send(r, a, raft_bit(node), RAFT_SNAPSHOT);

	m->index = r->base;
	m->log_term = r->base_term;
	m->commit = r->commit;
	m->id = r->round;
	m->payload = r->snap;
	m->payload_bytes = (uint16_t)r->snap_bytes;
	r->counters.snapshots_sent++;
}

/* raft_append_slow: PROBE and SNAPSHOTS: one message, then wait. */
static void raft_append_slow(struct raft *r, uint8_t node, struct raft_actions *a)
{
	struct raft_peer *p = &r->peers[node];

	if (p->state == RAFT_PROBE) {
		bool entry = p->next <= raft_append_limit(r, node);

		p->retry_ns = r->now_ns + r->config.heartbeat_ns;
		raft_append_send(r, raft_bit(node), p->next, entry,
				 entry && raft_append_strips(r, node, p->next), a);
	} else {
		p->retry_ns = r->now_ns + r->config.election_ns;
		raft_append_send_snapshot(r, node, a);
	}
}

static bool raft_append_open(const struct raft *r, uint8_t node, uint64_t limit)
{
	const struct raft_peer *p = &r->peers[node];

	return p->state == RAFT_REPLICATE && p->next <= limit && p->next - 1 - p->match < p->window;
}

/* raft_append_pipeline: entries to all that are ready for more, the same ones in one action. */
static bool raft_append_pipeline(struct raft *r, struct raft_actions *a)
{
	uint8_t targets = raft_targets(r), first, to;
	uint64_t limit[NODES_MAX], next;
	bool strip;

	for (uint8_t i = 0; i < NODES_MAX; i++)
		limit[i] = targets & raft_bit(i) ? raft_append_limit(r, i) : 0;
	for (;;) {
		first = RAFT_NODE_NONE;
		to = 0;
		for (uint8_t i = 0; i < NODES_MAX; i++) {
			if (!raft_append_open(r, i, limit[i]))
				continue;
			if (first == RAFT_NODE_NONE || r->peers[i].next < r->peers[first].next)
				first = i;
		}
		if (first == RAFT_NODE_NONE)
			return false;
		if (!raft_room(a))
			return true;
		next = r->peers[first].next;
		strip = raft_append_strips(r, first, next);
		for (uint8_t i = 0; i < NODES_MAX; i++) {
			if (raft_append_open(r, i, limit[i]) && r->peers[i].next == next &&
			    raft_append_strips(r, i, next) == strip) {
				to |= raft_bit(i);
				r->peers[i].next++;
			}
		}
		raft_append_send(r, to, next, true, strip, a);
	}
}

/*
 * raft_append_no_snapshot: a newcomer waits for one of after it was taken in (raft_wants_compact);
 * who is leaving needs none: it may be blank by now, and shall not learn that it once had a say.
 */
static bool raft_append_no_snapshot(const struct raft *r, uint8_t node)
{
	return r->base < r->peers[node].since || ((r->leaving & raft_bit(node)) && !mutant(257));
}

bool raft_append_pump_leader(struct raft *r, struct raft_actions *a)
{
	uint8_t targets = raft_targets(r);

	for (uint8_t i = 0; i < NODES_MAX; i++) {
		struct raft_peer *p = &r->peers[i];

		if (!(targets & raft_bit(i)))
			continue;
		if (p->next <= max_u64(r->base, p->since) && p->state != RAFT_SNAPSHOTS)
			raft_append_move(r, p, RAFT_SNAPSHOTS);
		if (p->state == RAFT_REPLICATE || r->now_ns < p->retry_ns)
			continue;
		if (p->state == RAFT_SNAPSHOTS && raft_append_no_snapshot(r, i))
			continue;
		if (!raft_room(a))
			return true;
		raft_append_slow(r, i, a);
	}
	return raft_append_pipeline(r, a);
}

uint64_t raft_append_deadline_ns(const struct raft *r)
{
	uint64_t ns = UINT64_MAX;

	for (uint8_t i = 0; i < NODES_MAX; i++) {
		const struct raft_peer *p = &r->peers[i];

		if (!(raft_targets(r) & raft_bit(i)) || p->state == RAFT_REPLICATE)
			continue;
		if (p->state == RAFT_PROBE || !raft_append_no_snapshot(r, i))
			ns = min_u64(ns, p->retry_ns);
	}
	return ns;
}

/* raft_append_acks: AppendEntries, the receiver's answer, once it is durable (R03, R13). */
static bool raft_append_acks(struct raft *r, uint8_t to, struct raft_actions *a)
{
	uint64_t index = mutant(110) ? r->matched : min_u64(raft_acked(r), r->matched);
	struct raft_message *m;

	if (r->reject_due) {
		if (!raft_room(a))
			return true;
		m = raft_send(r, a, to, RAFT_APPEND_ACK);
		m->flags = RAFT_REJECT;
		m->index = r->reject_index;
		m->id = r->reject_hint;
		m->log_term = r->reject_term;
		m->commit = r->matched;
		r->reject_due = false;
	}
	if (r->ack_now || (r->ack_due && (index > r->acked || index == r->matched))) {
		if (!raft_room(a))
			return true;
		m = raft_send(r, a, to, RAFT_APPEND_ACK);
		m->index = index;
		m->commit = r->matched;
		r->acked = index;
		r->ack_now = false;
		r->ack_due = index < r->matched;
	}
	if (r->beat_ack_due) {
		if (!raft_room(a))
			return true;
		m = raft_send(r, a, to, RAFT_HEARTBEAT_ACK);
		m->id = r->beat_round;
		m->index = r->is_void ? r->commit : index;
		m->log_term = r->is_void ? raft_log_term(r, r->commit) : 0;
		m->flags = r->is_void ? RAFT_VOID : 0;
		m->commit = r->matched;
		m->promise_us = raft_promise_us(r);
		r->beat_ack_due = false;
	}
	return false;
}

bool raft_append_pump_follower(struct raft *r, struct raft_actions *a)
{
	if (!raft_hard_durable(r))
		return false;
	if (r->stale_to != 0) { /* a leader of an older term must hear of ours */
		if (!raft_room(a))
			return true;
		raft_send(r, a, r->stale_to, RAFT_APPEND_ACK)->flags = RAFT_REJECT;
		r->stale_to = 0;
	}
	if (r->role != RAFT_FOLLOWER || r->leader == RAFT_NODE_NONE)
		return false;
	return raft_append_acks(r, raft_bit(r->leader), a);
}
