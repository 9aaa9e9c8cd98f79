/* SPDX-License-Identifier: Apache-2.0 */
/* rig_watch.c: the invariants R-*, looked at from outside, after every step. */
#include "tests/raft/rig_priv.h"

#define LL(n) ((unsigned long long)(n))

static bool same_conf(const struct raft_conf *a, const struct raft_conf *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* legal_step: from one conf to the next, majorities must overlap (dissertation 4.1, 4.3). */
static bool legal_step(const struct raft_conf *from, const struct raft_conf *to)
{
	if (to->voters_old != 0)
		return from->voters_old == 0 && to->voters_old == from->voters;
	if (from->voters_old != 0)
		return to->voters == from->voters || to->voters == from->voters_old;
	return raft_bits(from->voters ^ to->voters) <= 1;
}

static void watch_conf(struct rig *rig, struct rig_node *n, const struct raft_record *record)
{
	const struct rig_entry *last = &n->mirror.log[record->entry.index - 1];
	struct raft_conf conf;

	if (raft_role(n->raft) != RAFT_LEADER || record->entry.term != raft_term(n->raft))
		return;
	if (!raft_conf_decode(record->entry.data, &conf) || !legal_step(&last->conf, &conf))
		rig_fail(rig, "R-CONF-ONE: %c goes from a conf to one without a common majority",
			 rig_letter(n->node));
	if (last->conf_index > raft_commit(n->raft))
		rig_fail(rig,
			 "R-CONF-ONE: %c changes its conf at %llu, that of %u is not committed",
			 rig_letter(n->node), LL(record->entry.index), last->conf_index);
}

void rig_watch_record(struct rig *rig, struct rig_node *n, const struct raft_record *record)
{
	const struct rig_mirror *m = &n->mirror;
	const struct raft_entry *e = &record->entry;
	bool leads = n->role == RAFT_LEADER && raft_role(n->raft) == RAFT_LEADER &&
		     n->term == raft_term(n->raft);

	if (record->kind == RAFT_RECORD_HARD) {
		if (record->term < m->term || record->term > raft_term(n->raft) ||
		    (record->term == m->term && m->vote != RAFT_NODE_NONE &&
		     m->vote != record->vote))
			rig_fail(rig, "R-VOTE-ONCE: %c writes term %u vote %c over term %u vote %c",
				 rig_letter(n->node), record->term, rig_letter(record->vote),
				 m->term, rig_letter(m->vote));
		return;
	}
	if (record->kind == RAFT_RECORD_SNAPSHOT) {
		struct raft_conf conf;

		if (e->index <= rig->commit_max && e->bytes >= RAFT_CONF_BYTES &&
		    raft_conf_decode(e->data, &conf) &&
		    same_conf(&conf, &rig->committed[e->index].conf))
			return;
		rig_fail(rig, "R-CONF-ONE: %c writes a snapshot at %llu with a conf of elsewhere",
			 rig_letter(n->node), LL(e->index));
		return;
	}
	if (e->term > raft_term(n->raft))
		rig_fail(rig, "R-DURABLE-ACK: %c writes an entry of a term to come",
			 rig_letter(n->node));
	if (e->index <= n->commit)
		rig_fail(rig, "R-STATE-SAFE: %c overwrites entry %llu, committed up to %llu",
			 rig_letter(n->node), LL(e->index), LL(n->commit));
	if (leads && e->index != m->last + 1)
		rig_fail(rig, "R-LOG-MATCH: leader %c overwrites its own entry %llu",
			 rig_letter(n->node), LL(e->index));
	if (e->kind == RAFT_ENTRY_CONF && e->index > m->base && e->index <= m->last + 1)
		watch_conf(rig, n, record);
}

/* rig_watch_entry: R-LOG-MATCH: one index and one term is one log up to there, everywhere. */
void rig_watch_entry(struct rig *rig, struct rig_node *n, uint64_t index, const uint8_t *data,
		     uint32_t bytes)
{
	const struct rig_entry *e = &n->mirror.log[index];
	uint64_t key = rig->run << 40 | index << 20 | e->term;
	uint32_t at = (uint32_t)rng_mix(key) % RIG_PAIRS;
	bool stripped = (e->flags & RAFT_STRIPPED) != 0;
	struct rig_pair *p = &rig->pairs[at];

	(void)data, (void)bytes;
	rig->last_max = max_u64(rig->last_max, index);
	for (; p->key >> 40 == rig->run && p->key != key; p = &rig->pairs[at])
		at = (at + 1) % RIG_PAIRS;
	if (p->key != key) {
		*p = (struct rig_pair) { key, e->chain, e->hash, e->kind, stripped };
		return;
	}
	if (p->chain != e->chain || p->kind != e->kind ||
	    (!stripped && !p->stripped && p->hash != e->hash))
		rig_fail(rig,
			 "R-LOG-MATCH: %c holds another entry %llu of term %u, or another log "
			 "below it",
			 rig_letter(n->node), LL(index), e->term);
	if (p->stripped && !stripped) {
		p->stripped = false;
		p->hash = e->hash;
	}
}

/* promise: a term the node must know in all its lives to come, and knows durably. */
static void promise(struct rig *rig, struct rig_node *n, uint32_t term, const char *what)
{
	const struct rig_mirror *m = &n->mirror;
	bool durable = (m->hard_seq <= n->told_seq && m->term >= term) ||
		       m->log[rig_log_durable(n)].term >= term;

	if (!durable || n->failed)
		rig_fail(rig, "R-DURABLE-ACK: %c sends %s of term %u, which is not on its disk",
			 rig_letter(n->node), what, term);
	if (term > n->promised_term)
		n->promised_term = term;
}

static void promise_vote(struct rig *rig, struct rig_node *n, uint32_t term, uint8_t vote)
{
	const struct rig_mirror *m = &n->mirror;

	if (m->term != term || m->vote != vote || m->hard_seq > n->told_seq || n->failed)
		rig_fail(rig, "R-DURABLE-ACK: %c votes for %c in term %u, which is not on its disk",
			 rig_letter(n->node), rig_letter(vote), term);
	promise(rig, n, term, "a vote");
	if (term >= RIG_TERM_MAX) {
		rig_fail(rig, "R-TERM-CALM: term %u", term);
		return;
	}
	if (n->votes[term] != 0 && n->votes[term] != vote + 1)
		rig_fail(rig, "R-VOTE-ONCE: %c votes for %c in term %u, before that for %c",
			 rig_letter(n->node), rig_letter(vote), term,
			 rig_letter((uint8_t)(n->votes[term] - 1)));
	n->votes[term] = (uint8_t)(vote + 1);
}

/* advertise: what a candidate says of its log must be what the disk has, no more and no less. */
static void advertise(struct rig *rig, struct rig_node *n, const struct raft_message *m)
{
	uint64_t durable = rig_log_durable(n);

	if (m->index != durable || m->log_term != n->mirror.log[durable].term)
		rig_fail(rig, "R-PERSIST-VIEW: %c stands with %llu of term %u; on disk: %llu of %u",
			 rig_letter(n->node), LL(m->index), m->log_term, LL(durable),
			 n->mirror.log[durable].term);
	if (n->failed || rig_clock(rig, n->node) < n->start_ns + n->config.election_ns)
		rig_fail(rig, "R-DURABLE-ACK: %c stands, too early in its life or with no disk",
			 rig_letter(n->node));
}

/* rig_watch_arrival: whom its leader wants to be elected; it may have asked several in turn. */
void rig_watch_arrival(struct rig *rig, struct rig_node *n, uint8_t from,
		       const struct raft_message *m)
{
	bool late = m->term == n->heard_term + 1 && m->id < n->heard_round;

	(void)rig;
	if (m->type != RAFT_VOTE || (m->flags & RAFT_TRANSFER) == 0 || late ||
	    m->term < n->transfer_term)
		return;
	if (m->term > n->transfer_term)
		n->transfer_from = 0;
	n->transfer_term = m->term;
	n->transfer_from |= (uint8_t)(1u << from);
}

/* rig_watch_heard: a new round of the leader that the node follows: a promise begins anew (9.6). */
void rig_watch_heard(struct rig *rig, struct rig_node *n, uint8_t from,
		     const struct raft_message *m)
{
	if ((m->type != RAFT_HEARTBEAT && m->type != RAFT_APPEND) || m->id == 0 ||
	    n->leader != from || m->term != n->term || rig->failed)
		return;
	if (m->term == n->heard_term && m->id <= n->heard_round)
		return;
	n->heard_ns = rig_clock(rig, n->node);
	n->heard_round = m->id;
	n->heard_term = m->term;
	n->heard_from = from;
}

/* watch_promise: whoever heard a leader just now votes for nobody else, but at its wish. */
static void watch_promise(struct rig *rig, struct rig_node *n, uint8_t to, uint32_t term)
{
	bool wished = n->transfer_term == term && (n->transfer_from >> to & 1) != 0;

	if (n->heard_ns == 0 || n->heard_from == to || wished || n->heard_term >= term)
		return;
	if (rig_clock(rig, n->node) < n->heard_ns + n->config.election_ns)
		rig_fail(rig, "R-READ-FENCE: %c votes for %c, and has heard %c just now",
			 rig_letter(n->node), rig_letter(to), rig_letter(n->heard_from));
}

static void watch_granted(struct rig *rig, struct rig_node *n)
{
	if (rig_clock(rig, n->node) < n->start_ns + n->config.election_ns)
		rig_fail(rig, "R-READ-FENCE: %c votes right after its start: leases may run",
			 rig_letter(n->node));
	if (n->failed)
		rig_fail(rig, "R-DURABLE-ACK: %c grants a vote without a disk",
			 rig_letter(n->node));
}

static void watch_ack(struct rig *rig, struct rig_node *n, const struct raft_message *m)
{
	const struct rig_mirror *log = &n->mirror;

	if (m->type == RAFT_APPEND_ACK)
		promise(rig, n, m->term, "APPEND_ACK");
	if (m->index > log->last ||
	    (m->index > log->base && log->log[m->index].seq > n->told_seq) ||
	    (m->index == log->base && log->base == log->last &&
	     log->log[log->base].seq > n->told_seq))
		rig_fail(rig, "R-DURABLE-ACK: %c acknowledges %llu; on disk: %llu",
			 rig_letter(n->node), LL(m->index), LL(rig_log_durable(n)));
	if (n->hold != 0 && m->index >= n->hold && m->index > raft_commit(n->raft))
		rig_fail(rig, "R-DURABLE-ACK: %c acknowledges %llu, held from %llu on",
			 rig_letter(n->node), LL(m->index), LL(n->hold));
}

/* watch_append: what a leader says of its log is so; witnesses get no data. */
static void watch_append(struct rig *rig, struct rig_node *n, const struct raft_action *action)
{
	const struct raft_message *m = &action->message;
	const struct rig_mirror *log = &n->mirror;
	const struct raft_entry *e = &m->entry;
	const struct rig_entry *own = &log->log[m->index + 1];
	bool stripped = (e->flags & RAFT_STRIPPED) != 0;

	if (m->index > log->last ||
	    (m->index > log->base && m->log_term != log->log[m->index].term))
		rig_fail(rig,
			 "R-LOG-MATCH: leader %c names %llu of term %u, which it does not hold",
			 rig_letter(n->node), LL(m->index), m->log_term);
	if (e->index == 0 || m->index + 1 <= log->base)
		return;
	if (e->index != m->index + 1 || e->index > log->last || e->term != own->term ||
	    e->kind != own->kind || (!stripped && rig_hash(e->data, e->bytes) != own->hash))
		rig_fail(rig, "R-LOG-MATCH: leader %c sends another entry %llu than it holds",
			 rig_letter(n->node), LL(e->index));
	if (stripped && (!n->config.strip || e->kind != RAFT_ENTRY_DATA))
		rig_fail(rig, "R-LOG-MATCH: leader %c strips an entry it must not",
			 rig_letter(n->node));
	for (uint8_t to = 0; to < rig->nodes; to++) {
		bool witness = (raft_conf(n->raft)->witnesses >> to & 1) != 0;

		if ((action->to >> to & 1) == 0)
			continue;
		if (e->kind == RAFT_ENTRY_DATA && n->config.strip && witness != stripped)
			rig_fail(rig,
				 "R-LOG-MATCH: leader %c sends %c data of entry %llu, witness "
				 "%d",
				 rig_letter(n->node), rig_letter(to), LL(e->index), witness);
		if (witness && own->seq > n->told_seq)
			rig_fail(rig,
				 "R-DURABLE-ACK: witness %c is sent %llu, not on the disk of "
				 "leader %c yet",
				 rig_letter(to), LL(e->index), rig_letter(n->node));
	}
}

static void watch_leader_message(struct rig *rig, struct rig_node *n,
				 const struct raft_action *action)
{
	const struct raft_message *m = &action->message;

	if (n->raft && raft_role(n->raft) != RAFT_LEADER && m->type != RAFT_TIMEOUT_NOW &&
	    n->role != RAFT_LEADER)
		rig_fail(rig, "R-ONE-LEADER: %c speaks as leader in term %u, and is none",
			 rig_letter(n->node), m->term);
	if (m->commit > raft_commit(n->raft))
		rig_fail(rig, "R-COMMIT-TERM: %c says that %llu is committed", rig_letter(n->node),
			 LL(m->commit));
	if (m->type == RAFT_APPEND)
		watch_append(rig, n, action);
	if (m->type == RAFT_SNAPSHOT && m->index > rig->commit_max)
		rig_fail(rig, "R-CONF-ONE: %c sends a snapshot of what is not committed",
			 rig_letter(n->node));
}

/* watch_prevoted: nobody raises its term before a majority said that it might win (9.6, R11). */
static void watch_prevoted(struct rig *rig, struct rig_node *n, const struct raft_message *m)
{
	uint8_t yes = n->pre_voted_term == m->term ? n->pre_voted : 0;

	if ((m->flags & RAFT_TRANSFER) == 0 &&
	    !raft_conf_quorum(raft_conf(n->raft), yes | (uint8_t)(1u << n->node)))
		rig_fail(rig, "R-PREVOTE-PURE: %c stands in term %u, no majority said it might win",
			 rig_letter(n->node), m->term);
}

static void watch_pre_granted(struct rig *rig, struct rig_node *n, const struct raft_action *action)
{
	for (uint32_t i = 0; i < rig->nodes; i++) {
		struct rig_node *to = &rig->node[i];

		if ((action->to >> i & 1) == 0 || action->message.term < to->pre_voted_term)
			continue;
		if (to->pre_voted_term != action->message.term)
			to->pre_voted = 0;
		to->pre_voted_term = action->message.term;
		to->pre_voted |= (uint8_t)(1u << n->node);
	}
}

static void watch_vote(struct rig *rig, struct rig_node *n, const struct raft_action *action)
{
	const struct raft_message *m = &action->message;
	bool granted = (m->flags & RAFT_REJECT) == 0;

	if (m->type == RAFT_PRE_VOTE || m->type == RAFT_VOTE) {
		advertise(rig, n, m);
		if (m->type == RAFT_VOTE) {
			watch_prevoted(rig, n, m);
			promise_vote(rig, n, m->term, n->node);
		}
	} else if (granted) {
		watch_granted(rig, n);
		if (m->type == RAFT_PRE_VOTE_ACK)
			watch_pre_granted(rig, n, action);
		if (m->type == RAFT_VOTE_ACK) {
			uint8_t to = (uint8_t)__builtin_ctz(action->to | 256u);

			watch_promise(rig, n, to, m->term);
			promise_vote(rig, n, m->term, to);
		}
	}
}

void rig_watch_send(struct rig *rig, struct rig_node *n, const struct raft_action *action)
{
	const struct raft_message *m = &action->message;
	bool granted = (m->flags & RAFT_REJECT) == 0;
	uint32_t term = raft_term(n->raft);

	rig_mix(rig, m->index << 32 ^ m->commit << 20 ^ m->term << 8 ^ m->type);
	if ((action->to >> n->node & 1) != 0 || action->to >> rig->nodes != 0 || action->to == 0)
		rig_fail(rig, "X-BOUND: %c sends to itself or nobody", rig_letter(n->node));
	if (m->type == RAFT_PRE_VOTE		      ? m->term != term + 1
	    : m->type == RAFT_PRE_VOTE_ACK && granted ? m->term < term
						      : m->term != term)
		rig_fail(rig, "R-PREVOTE-PURE: %c in term %u sends a message (type %u) of term %u",
			 rig_letter(n->node), term, m->type, m->term);
	if (m->type >= RAFT_PRE_VOTE && m->type <= RAFT_VOTE_ACK)
		watch_vote(rig, n, action);
	else if ((m->type == RAFT_APPEND_ACK && granted) || m->type == RAFT_HEARTBEAT_ACK)
		watch_ack(rig, n, m);
	else if (m->type == RAFT_APPEND || m->type == RAFT_HEARTBEAT || m->type == RAFT_SNAPSHOT ||
		 m->type == RAFT_TIMEOUT_NOW)
		watch_leader_message(rig, n, action);
}

/* rig_watch_read: R-READ-FENCE: not older than what anybody knew committed when it was asked. */
void rig_watch_read(struct rig *rig, struct rig_node *n, uint64_t id, uint64_t index)
{
	struct rig_read *read = &n->reads[id % RIG_READS];

	if (id == 0 || read->id != id) {
		rig_fail(rig, "R-READ-FENCE: %c answers read %llu, which is not open",
			 rig_letter(n->node), LL(id));
		return;
	}
	rig_mix(rig, id << 32 ^ index);
	if (index != 0 &&
	    (index < read->fence || index > max_u64(rig->commit_max, raft_commit(n->raft))))
		rig_fail(rig,
			 "R-READ-FENCE: %c answers read %llu with %llu; committed when it was "
			 "asked: %llu, now: %llu",
			 rig_letter(n->node), LL(id), LL(index), LL(read->fence),
			 LL(rig->commit_max));
	read->id = 0;
	n->reads_open--;
	if (index == 0)
		rig->reads_refused++;
	else
		rig->reads++;
	rig->driver->read(rig, n->node, id, index);
}

void rig_watch_restore(struct rig *rig, struct rig_node *n, const struct raft_message *message)
{
	const struct rig_committed *c = &rig->committed[message->index % RIG_INDEX_MAX];
	struct raft_conf conf;

	if (message->index <= n->applied || message->index <= n->commit)
		rig_fail(rig, "R-APPLY-ONCE: %c is to restore %llu, it has applied %llu",
			 rig_letter(n->node), LL(message->index), LL(n->applied));
	if (message->index > rig->commit_max || c->term != message->log_term ||
	    message->payload_bytes < RAFT_CONF_BYTES ||
	    !raft_conf_decode(message->payload, &conf) || !same_conf(&conf, &c->conf))
		rig_fail(rig, "R-CONF-ONE: %c is to restore %llu, not what was committed",
			 rig_letter(n->node), LL(message->index));
}

/* holds: the node's log has what was committed at that index. */
static bool holds(const struct rig *rig, const struct rig_node *n, uint64_t index)
{
	const struct rig_mirror *m = &n->mirror;

	return index <= m->base ||
	       (index <= m->last && m->log[index].chain == rig->committed[index].chain);
}

/* watch_leader: R-ONE-LEADER, R-LEADER-COMPLETE. */
static void watch_leader(struct rig *rig, struct rig_node *n)
{
	uint32_t term = raft_term(n->raft);
	uint64_t index = rig->commit_max;
	uint8_t voted = (uint8_t)(1u << n->node);

	if (term >= RIG_TERM_MAX) {
		rig_fail(rig, "R-TERM-CALM: term %u", term);
		return;
	}
	if (rig->leaders[term] != 0 &&
	    (rig->leaders[term] != n->node + 1 || rig->leader_lives[term] != n->life))
		rig_fail(rig, "R-ONE-LEADER: %c leads term %u, as did %c", rig_letter(n->node),
			 term, rig_letter((uint8_t)(rig->leaders[term] - 1)));
	if (rig->leaders[term] != 0)
		return;
	rig->leaders[term] = (uint8_t)(n->node + 1);
	rig->leader_lives[term] = n->life;
	rig->leader_term_max = term > rig->leader_term_max ? term : rig->leader_term_max;
	rig->leader_count++;
	for (uint8_t i = 0; i < rig->nodes; i++)
		voted |= (uint8_t)((rig->node[i].votes[term] == n->node + 1 ||
				    rig->node[i].lost_votes[term] == n->node + 1)
				   << i);
	if (!raft_conf_quorum(raft_conf(n->raft), voted))
		rig_fail(rig, "R-ONE-LEADER: %c leads term %u, no majority has voted for it",
			 rig_letter(n->node), term);
	while (index > 1 && rig->committed[index].by_term >= term)
		index--;
	if (!holds(rig, n, index))
		rig_fail(rig,
			 "R-LEADER-COMPLETE: %c leads term %u without entry %llu, committed in "
			 "term %u",
			 rig_letter(n->node), term, LL(index), rig->committed[index].by_term);
	if ((raft_conf(n->raft)->witnesses >> n->node & 1) != 0 || n->config.passive)
		rig_fail(rig, "R-ONE-LEADER: %c leads, and must not", rig_letter(n->node));
}

/* begun: the leader's log has its own first entry. */
static bool begun(const struct rig_node *n)
{
	const struct rig_mirror *m = &n->mirror;
	bool ret = false;

	for (uint64_t i = m->last; i > m->base && m->log[i].term == raft_term(n->raft); i--)
		ret = ret || m->log[i].kind == RAFT_ENTRY_NOOP;
	return ret;
}

/* holders: on whose disks entry `index` of n's log is. */
static uint8_t holders(const struct rig *rig, const struct rig_node *n, uint64_t index)
{
	uint64_t chain = n->mirror.log[index].chain;
	uint8_t have = 0;

	for (uint8_t i = 0; i < rig->nodes; i++) {
		const struct rig_node *other = &rig->node[i];
		const struct rig_mirror *m = &other->mirror;

		if (m->base >= index || (m->last >= index && m->log[index].chain == chain &&
					 (!other->up || m->log[index].seq <= other->told_seq)))
			have |= (uint8_t)(1u << i);
	}
	return have;
}

/*
 * watch_older: the last entry that a leader commits is of its own term; or, before it could begin,
 * on the disks of every voter: of the conf at what it knew to be committed, and of each one behind
 * that in its log. A disk that is new since may be missing, where nobody counts it any more.
 */
static void watch_older(struct rig *rig, const struct rig_node *n, uint64_t index)
{
	const struct rig_mirror *m = &n->mirror;
	uint8_t have = holders(rig, n, index), lack = 0, wiped = 0;

	for (uint8_t i = 0; i < rig->nodes; i++)
		wiped |= (uint8_t)((rig->node[i].wipes != 0) << i);
	for (uint64_t i = max_u64(n->commit, m->base); i <= m->last; i++) {
		uint8_t voters = m->log[i].conf.voters | m->log[i].conf.voters_old;

		lack |= voters & (uint8_t)~have & (i < rig->commit_max ? (uint8_t)~wiped : 0xff);
	}
	if (lack != 0 || begun(n))
		rig_fail(rig, "R-COMMIT-TERM: %c commits %llu of term %u in term %u; lacked by %x",
			 rig_letter(n->node), LL(index), m->log[index].term, raft_term(n->raft),
			 lack);
	rig->older_commits++;
}

/* watch_quorum: what a leader counts as committed is on the disks of a majority. */
static void watch_quorum(struct rig *rig, struct rig_node *n, uint64_t index)
{
	const struct rig_entry *e = &n->mirror.log[index];
	uint8_t have = holders(rig, n, index);

	if (!raft_conf_quorum(raft_conf(n->raft), have))
		rig_fail(rig, "R-DURABLE-ACK: %c commits %llu, which is on no majority of disks",
			 rig_letter(n->node), LL(index));
	if (n->hold != 0 && index >= n->hold &&
	    !raft_conf_quorum(raft_conf(n->raft), have & (uint8_t) ~(1u << n->node)))
		rig_fail(rig, "R-DURABLE-ACK: %c counts itself for %llu, held from %llu on",
			 rig_letter(n->node), LL(index), LL(n->hold));
	for (uint8_t i = 0; i < rig->nodes; i++) {
		const struct rig_node *other = &rig->node[i];

		if (other->up && i != n->node && raft_role(other->raft) == RAFT_LEADER &&
		    raft_term(other->raft) > raft_term(n->raft) &&
		    (other->mirror.last < index || other->mirror.log[index].chain != e->chain))
			rig_fail(rig,
				 "R-LEADER-COMPLETE: %c commits %llu in term %u; %c leads a "
				 "later one without it",
				 rig_letter(n->node), LL(index), raft_term(n->raft), rig_letter(i));
	}
}

static void watch_commit(struct rig *rig, struct rig_node *n, uint64_t commit)
{
	const struct rig_mirror *m = &n->mirror;
	bool leads = raft_role(n->raft) == RAFT_LEADER || n->role == RAFT_LEADER;

	if (commit > m->last) {
		rig_fail(rig, "R-STATE-SAFE: %c knows %llu committed, its log ends at %llu",
			 rig_letter(n->node), LL(commit), LL(m->last));
		return;
	}
	if (commit > rig->commit_max && !leads)
		rig_fail(rig, "R-COMMIT-TERM: %c commits %llu, and leads nobody",
			 rig_letter(n->node), LL(commit));
	if (leads && commit > rig->commit_max)
		watch_quorum(rig, n, commit);
	if (leads && raft_leader(n->raft) == n->node && m->log[commit].term != raft_term(n->raft))
		watch_older(rig, n, commit);
	for (uint64_t i = max_u64(n->commit, m->base) + 1; i <= commit && !rig->failed; i++) {
		struct rig_committed *c = &rig->committed[i];
		const struct rig_entry *e = &m->log[i];

		if (i > rig->commit_max) {
			*c = (struct rig_committed) { e->chain,		  e->hash, e->term,
						      raft_term(n->raft), e->kind, e->conf };
			rig->commit_max = i;
			rig->committed_count++;
		} else if (c->chain != e->chain || c->term != e->term) {
			rig_fail(rig, "R-STATE-SAFE: %c commits %llu of term %u; it was one of %u",
				 rig_letter(n->node), LL(i), e->term, c->term);
		}
	}
}

/* watch_lease: while it runs nobody else leads, and a ready leader knows all that is committed. */
static void watch_lease(struct rig *rig, const struct rig_node *n)
{
	uint64_t lease_ns = raft_lease_ns(n->raft);

	if (lease_ns == 0 || rig_clock(rig, n->node) >= lease_ns)
		return;
	if (raft_term(n->raft) < rig->leader_term_max)
		rig_fail(rig, "R-READ-FENCE: %c has a lease in term %u, and term %u has a leader",
			 rig_letter(n->node), raft_term(n->raft), rig->leader_term_max);
	if (!raft_ready(n->raft))
		return;
	rig->lease_reads++;
	if (raft_commit(n->raft) < rig->commit_max)
		rig_fail(rig, "R-READ-FENCE: %c reads by lease at %llu, committed is %llu",
			 rig_letter(n->node), LL(raft_commit(n->raft)), LL(rig->commit_max));
}

/* watch_disk: R12: a leader that cannot write is none. */
static void watch_disk(struct rig *rig, const struct rig_node *n)
{
	uint64_t patience_ns = n->config.disk_ns + 2 * n->config.heartbeat_ns;
	const struct rig_record *oldest = &n->records[n->told_count];

	if (n->told_count < n->record_count &&
	    rig->now_ns - oldest->at_ns > patience_ns + patience_ns / 1000)
		rig_fail(rig, "R-TERM-CALM: %c leads, its disk has not answered for %llu ns",
			 rig_letter(n->node), LL(rig->now_ns - oldest->at_ns));
}

/* watch_member: who is not in a conf that is committed leads it no more (4.2.2). */
static void watch_member(struct rig *rig, const struct rig_node *n)
{
	const struct rig_entry *last = &n->mirror.log[n->mirror.last];

	if (((last->conf.voters | last->conf.voters_old) >> n->node & 1) == 0 &&
	    last->conf_index <= raft_commit(n->raft))
		rig_fail(rig, "R-CONF-ONE: %c leads a group that it has left", rig_letter(n->node));
}

static void watch_memory(struct rig *rig, const struct rig_node *n)
{
	const struct rig_mirror *m = &n->mirror;
	const struct rig_entry *last = &m->log[m->last];

	if (raft_last(n->raft) != m->last || raft_base(n->raft) < m->base)
		rig_fail(rig, "X-BOUND: %c holds %llu..%llu, its records say %llu..%llu",
			 rig_letter(n->node), LL(raft_base(n->raft)), LL(raft_last(n->raft)),
			 LL(m->base), LL(m->last));
	if (!same_conf(raft_conf(n->raft), &last->conf) ||
	    (last->conf_index > m->base && raft_conf_index(n->raft) != last->conf_index))
		rig_fail(rig, "R-CONF-ONE: %c's conf (of %llu) is not its log's newest, of %u",
			 rig_letter(n->node), LL(raft_conf_index(n->raft)), last->conf_index);
	if (m->term != raft_term(n->raft) && m->term != 0)
		rig_fail(rig, "R-VOTE-ONCE: %c is in term %u, its records say %u",
			 rig_letter(n->node), raft_term(n->raft), m->term);
}

/* watch_pure: R-PREVOTE-PURE: whoever is asked, and whoever asks, changes nothing on disk. */
static void watch_pure(struct rig *rig, const struct rig_node *n, const struct raft_event *event,
		       bool persisted_hard)
{
	bool asked = event->kind == RAFT_EVENT_MESSAGE && event->message->type == RAFT_PRE_VOTE;
	enum raft_role role = raft_role(n->raft);
	uint32_t term = raft_term(n->raft);

	/* Its own timer may be due in the same step; what comes of that is a vote for itself. */
	if (asked && (persisted_hard || term != n->term) && n->mirror.vote != n->node)
		rig_fail(rig, "R-PREVOTE-PURE: a pre-vote request changes %c", rig_letter(n->node));
	if (event->kind == RAFT_EVENT_TICK && role == RAFT_PRE_CANDIDATE && term != n->term)
		rig_fail(rig, "R-PREVOTE-PURE: %c asks in pre-vote with a new term already",
			 rig_letter(n->node));
}

void rig_watch_step(struct rig *rig, struct rig_node *n, const struct raft_event *event,
		    bool role_said, bool persisted_hard)
{
	enum raft_role role = raft_role(n->raft);
	uint32_t term = raft_term(n->raft);
	uint64_t commit = raft_commit(n->raft), commit_max = rig->commit_max;
	uint32_t leader_term_max = rig->leader_term_max;

	rig_mix(rig, (uint64_t)term << 32 ^ commit << 8 ^ (uint64_t)role << 4 ^ n->node);
	if (term < n->term || commit < n->commit || term < n->promised_term)
		rig_fail(rig, "R-APPLY-ONCE: %c goes back: term %u to %u, commit %llu to %llu",
			 rig_letter(n->node), n->term, term, LL(n->commit), LL(commit));
	if (!role_said && (role != n->role || term != n->term || raft_leader(n->raft) != n->leader))
		rig_fail(rig, "X-BOUND: %c's role has changed, and nobody was told",
			 rig_letter(n->node));
	watch_memory(rig, n);
	watch_pure(rig, n, event, persisted_hard);
	if (role == RAFT_LEADER) {
		watch_leader(rig, n);
		watch_member(rig, n);
	}
	if (commit != n->commit && !rig->failed)
		watch_commit(rig, n, commit);
	if (role == RAFT_LEADER && event->kind == RAFT_EVENT_TICK)
		watch_disk(rig, n);
	if (rig->commit_max != commit_max || rig->leader_term_max != leader_term_max) {
		for (uint32_t i = 0; i < rig->nodes; i++) {
			if (rig->node[i].up && i != n->node)
				watch_lease(rig, &rig->node[i]);
		}
	}
	watch_lease(rig, n);
}

/* rig_watch_recovered: nothing that was promised is forgotten. */
void rig_watch_recovered(struct rig *rig, struct rig_node *n)
{
	const struct rig_mirror *m = &n->mirror;
	uint32_t term = raft_term(n->raft);
	struct raft_entry e;

	watch_memory(rig, n);
	if (term < n->promised_term || raft_role(n->raft) != RAFT_FOLLOWER)
		rig_fail(rig, "R-DURABLE-ACK: %c comes back in term %u, it has promised in %u",
			 rig_letter(n->node), term, n->promised_term);
	if (term < RIG_TERM_MAX && n->votes[term] != 0 && m->vote + 1 != n->votes[term])
		rig_fail(rig, "R-VOTE-ONCE: %c forgets its vote in term %u", rig_letter(n->node),
			 term);
	for (uint64_t i = raft_base(n->raft) + 1; i <= m->last && !rig->failed; i++) {
		raft_entry(n->raft, i, &e);
		if (e.index != i || e.term != m->log[i].term || e.kind != m->log[i].kind ||
		    rig_hash(e.data, e.bytes) != m->log[i].hash)
			rig_fail(rig, "R-LOG-MATCH: %c recovers another entry %llu",
				 rig_letter(n->node), LL(i));
	}
	if (raft_commit(n->raft) > rig->commit_max || !holds(rig, n, raft_commit(n->raft)))
		rig_fail(rig, "R-STATE-SAFE: %c recovers and calls %llu committed",
			 rig_letter(n->node), LL(raft_commit(n->raft)));
}
