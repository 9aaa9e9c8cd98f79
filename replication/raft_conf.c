/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who takes part: joint consensus (dissertation 4.3) and leadership transfer (3.10). One change at
 * a time, and none before a quorum holds an entry of the leader's own term (4.1, R34): the conf in
 * force is the newest in the log, and the one before it is committed, so it can always be rolled
 * back.
 */
#include "replication/raft_priv.h"

static uint8_t raft_conf_all(const struct raft_conf *conf)
{
	return conf->voters | conf->voters_old | conf->learners;
}

bool raft_conf_valid(const struct raft_conf *conf)
{
	uint8_t all = raft_conf_all(conf);

	if (conf->voters == 0 || (all & ~RAFT_NODES_ALL) != 0 || (conf->witnesses & ~all) != 0)
		return false;
	if (conf->voters & conf->learners)
		return false;
	return (conf->voters & ~conf->witnesses) != 0; /* somebody must lead */
}

void raft_conf_set(struct raft *r, const struct raft_conf *conf, uint64_t index)
{
	uint8_t before = raft_conf_all(&r->conf), now = raft_conf_all(conf);

	r->conf = *conf;
	r->conf_index = index;
	if (r->role != RAFT_LEADER)
		return;
	for (uint8_t i = 0; i < NODES_MAX; i++) {
		if ((now & ~before) & raft_bit(i)) {
			raft_append_fresh(r, i);
			r->peers[i].since = mutant(58) ? 0 : index;
		}
	}
	r->leaving = (uint8_t)((r->leaving | before) & ~now & ~raft_bit(r->config.node));
	r->leaving_ns = r->now_ns + 2 * r->config.election_ns;
}

/* raft_conf_since: which confs of the log took whom in. */
static void raft_conf_since(struct raft *r)
{
	uint8_t all = raft_conf_all(&r->base_conf);

	for (uint8_t i = 0; i < NODES_MAX; i++)
		r->peers[i].since = 0;
	for (uint64_t index = r->base + 1; index <= r->conf_index; index++) {
		struct raft_conf conf;

		if (raft_log_slot(r, index)->kind != RAFT_ENTRY_CONF)
			continue;
		raft_log_conf_at(r, index, &conf);
		for (uint8_t i = 0; i < NODES_MAX; i++) {
			if ((raft_conf_all(&conf) & ~all) & raft_bit(i))
				r->peers[i].since = mutant(58) ? 0 : index;
		}
		all = raft_conf_all(&conf);
	}
}

uint64_t raft_wants_compact(const struct raft *r)
{
	uint64_t since = 0;

	if (r->role != RAFT_LEADER)
		return 0;
	for (uint8_t i = 0; i < NODES_MAX; i++) {
		const struct raft_peer *p = &r->peers[i];

		if ((raft_targets(r) & raft_bit(i)) && p->state == RAFT_SNAPSHOTS &&
		    p->since <= r->commit)
			since = max_u64(since, p->since);
	}
	return since > r->base ? since : 0;
}

void raft_conf_lead(struct raft *r)
{
	struct raft_conf before;

	raft_conf_since(r);
	r->leaving = 0;
	if (r->conf_index <= r->base)
		return;
	raft_log_conf_at(r, r->conf_index - 1, &before);
	r->leaving = (uint8_t)(raft_conf_all(&before) & ~raft_conf_all(&r->conf) &
			       ~raft_bit(r->config.node));
	r->leaving_ns = r->now_ns + 2 * r->config.election_ns;
}

bool raft_configuring(const struct raft *r)
{
	return r->conf.voters_old != 0 || r->conf_index > r->commit;
}

/*
 * raft_conf_room: for one more conf. It does not wait for what is open before it to be committed:
 * that may lack the copies which are to come by it (raft_append_copied).
 */
static bool raft_conf_room(const struct raft *r)
{
	return r->settled && raft_log_room(r, RAFT_CONF_BYTES) &&
	       (raft_open(r, RAFT_CONF_BYTES) || !mutant(273));
}

static void raft_conf_add(struct raft *r, const struct raft_conf *conf, struct raft_actions *a)
{
	uint8_t data[RAFT_CONF_BYTES];

	raft_conf_encode(data, conf);
	raft_log_add(r, RAFT_ENTRY_CONF, data, sizeof(data), a);
	r->counters.conf_changes++;
}

void raft_conf_on_configure(struct raft *r, const struct raft_conf *conf, struct raft_actions *a)
{
	struct raft_conf next = *conf;

	if (r->role != RAFT_LEADER || r->transfer_to != RAFT_NODE_NONE || conf->voters_old != 0 ||
	    !raft_conf_valid(conf) || memcmp(conf, &r->conf, sizeof(*conf)) == 0)
		return;
	if ((!raft_conf_room(r) || raft_configuring(r)) && !mutant(117))
		return;
	for (uint8_t i = 0; i < NODES_MAX; i++) {
		const struct raft_peer *p = &r->peers[i];
		/* An old answer may say that it has something: it must have what took it in. */
		bool known = (r->conf.learners & raft_bit(i)) && p->match > 0 &&
			     (p->match >= p->since || mutant(255));

		if (((conf->voters & ~r->conf.voters) & raft_bit(i)) && !known && !mutant(124))
			return; /* blank: it would have a say in what it knows nothing of (R19) */
	}
	if (conf->voters != r->conf.voters) { /* 4.3: both majorities, until this is committed */
		next.voters_old = r->conf.voters;
		next.witnesses |=
			r->conf.witnesses & r->conf.voters & (uint8_t)~raft_conf_all(conf);
	}
	raft_conf_add(r, &next, a);
	a->proposed = r->last;
}

uint8_t raft_conf_best(const struct raft *r)
{
	uint8_t may = raft_voters(r) & (uint8_t) ~(r->conf.witnesses | raft_bit(r->config.node));
	uint8_t best = RAFT_NODE_NONE;

	if (r->conf.voters_old != 0 && (may & r->conf.voters) != 0)
		may &= r->conf.voters; /* who stays */
	for (uint8_t i = 0; i < NODES_MAX; i++) {
		const struct raft_peer *p = &r->peers[i];

		if (!(may & raft_bit(i)) || r->now_ns - p->acked_ns >= r->config.election_ns)
			continue;
		if (best == RAFT_NODE_NONE || p->match > r->peers[best].match)
			best = i;
	}
	return best;
}

void raft_conf_on_transfer(struct raft *r, uint8_t node)
{
	uint8_t to = node == RAFT_NODE_ANY ? raft_conf_best(r) : node;
	uint8_t may = raft_voters(r) & (uint8_t) ~(r->conf.witnesses | raft_bit(r->config.node));

	if (r->role != RAFT_LEADER || r->transfer_to != RAFT_NODE_NONE)
		return;
	if (to >= NODES_MAX || !(may & raft_bit(to)) ||
	    r->now_ns - r->peers[to].acked_ns >= r->config.election_ns) {
		r->counters.transfers_failed++;
		return;
	}
	r->transfer_to = to; /* no lease and no new entries from here */
	r->transfer_ns = r->now_ns + r->config.election_ns;
	r->counters.transfers++;
}

/* raft_conf_abort: the transfer took too long; a later round than it named makes it void. */
static void raft_conf_abort(struct raft *r)
{
	r->transfer_to = RAFT_NODE_NONE;
	r->transfer_due = false;
	r->counters.transfers_failed++;
	if (r->transfer_sent) {
		r->transfer_sent = false;
		raft_read_round(r);
	}
}

void raft_conf_tick(struct raft *r)
{
	if (r->role != RAFT_LEADER)
		return;
	if (r->transfer_to != RAFT_NODE_NONE && r->now_ns >= r->transfer_ns)
		raft_conf_abort(r);
	if (r->leaving != 0 && r->now_ns >= r->leaving_ns)
		r->leaving = 0;
}

/* raft_conf_hand_over: the one that is to lead has everything: now it may stand. */
static void raft_conf_hand_over(struct raft *r)
{
	if (r->transfer_to == RAFT_NODE_NONE || r->transfer_sent ||
	    r->peers[r->transfer_to].match < r->last)
		return;
	r->transfer_sent = r->transfer_due = true;
	r->transfer_round = r->round;
	/* No new round until it is over: not for so long that followers miss their leader. */
	r->transfer_ns = min_u64(r->transfer_ns, r->now_ns + r->config.election_ns / 2);
}

void raft_conf_settle(struct raft *r, struct raft_actions *a)
{
	struct raft_conf last = r->conf;

	if (r->role != RAFT_LEADER)
		return;
	raft_conf_hand_over(r);
	if (r->conf_index > r->commit)
		return;
	if (r->conf.voters_old != 0) {
		last.voters_old = 0;
		last.witnesses &= last.voters | last.learners;
		if (raft_conf_room(r) && !mutant(134))
			raft_conf_add(r, &last, a);
	} else if (!(r->conf.voters & raft_bit(r->config.node)) && !mutant(133)) {
		raft_election_farewell(r); /* 4.2.2: it led a group that it is not in */
	}
}

bool raft_conf_pump(struct raft *r, struct raft_actions *a)
{
	if (r->role != RAFT_LEADER || !r->transfer_due)
		return false;
	if (!raft_room(a))
		return true;
	raft_send(r, a, raft_bit(r->transfer_to), RAFT_TIMEOUT_NOW)->id = r->transfer_round;
	r->transfer_due = false;
	return false;
}
