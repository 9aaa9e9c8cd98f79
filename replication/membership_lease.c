/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membership_lease.c: reports, grants and promises. Why a lease holds (M-LEASE-GAP): let a majority
 * G of voters have granted one, and a majority Q acknowledge an entry that excludes the member.
 * Some voter is in both. If it granted first, it acknowledged only when its promise had run out,
 * which is later than the member's lease: that counts from when the member asked. If it
 * acknowledged first, the entry was in its log, and it granted nothing. Changes of the voters
 * themselves: an entry that enters a joint conf waits likewise for all promises made before, and
 * grants name the voter's conf.
 */
#include "replication/membership_priv.h"

/* Two clocks may run apart, each by drift_ppm. */
uint64_t lease_promise_ns(const struct membership *m)
{
	uint64_t lease_ns = m->config.lease_ns;

	return lease_ns + lease_ns / 1000000u * 2u * m->config.drift_ppm + lease_ns / 1000u + 1000u;
}

static uint32_t lease_us(const struct membership *m)
{
	return (uint32_t)min_u64(m->config.lease_ns / 1000u, UINT32_MAX);
}

static bool is_member(const struct membership_state *s, uint8_t node, uint32_t incarnation)
{
	return membership_has(s->members, node) && s->node[node].incarnation == incarnation;
}

static bool is_voter(const struct membership *m)
{
	const struct raft_conf *conf = raft_conf(m->raft);

	return membership_has(conf->voters | conf->voters_old, m->config.node);
}

/* may_promise: nothing this voter knows of, agreed on or not, excludes that member. */
static bool may_promise(const struct membership *m, uint8_t node, uint32_t incarnation)
{
	return is_voter(m) && incarnation > m->buried[node] &&
	       is_member(&m->agreed, node, incarnation) &&
	       (is_member(&m->latest, node, incarnation) || mutant(141));
}

static void promise(struct membership *m, uint8_t node, uint32_t incarnation)
{
	struct membership_promise *p = &m->promise[node];

	p->incarnation = incarnation;
	p->until_ns = m->now_ns + lease_promise_ns(m);
}

/* promised: the member may be serving on the word of this voter. */
static bool promised(const struct membership *m, uint8_t node)
{
	const struct membership_promise *p = &m->promise[node];

	return p->incarnation != 0 && m->now_ns < p->until_ns;
}

uint64_t membership_promised_ns(const struct membership *m, uint8_t node)
{
	return m->promise[node].incarnation != 0 ? m->promise[node].until_ns : 0;
}

/*
 * lease_start: what this voter promised in its last life it does not know any more (CC-10): it
 * behaves as if it had promised everything, to everybody, just now.
 */
void lease_start(struct membership *m)
{
	m->boot_ns = mutant(142) ? 0 : m->now_ns + lease_promise_ns(m);
	m->joint_ns = m->boot_ns;
}

/* ---- what the log says ----------------------------------------------------------------------- */

/*
 * excludes: the state leaves out somebody who may be serving on this voter's word: of this life,
 * or, for a while, of the last one. before: the state it was made from.
 */
static bool excludes(const struct membership *m, const struct membership_state *before,
		     const struct membership_state *s)
{
	for (uint8_t n = 0; n < NODES_MAX; n++) {
		uint32_t incarnation = before->node[n].incarnation;

		if (promised(m, n) && !is_member(s, n, m->promise[n].incarnation))
			return true;
		if (m->now_ns < m->boot_ns && is_member(before, n, incarnation) &&
		    !is_member(s, n, incarnation) && m->peer[n].incarnation <= incarnation &&
		    m->buried[n] < incarnation && n != m->config.node)
			return true;
	}
	return false;
}

static bool enters_joint(const struct raft_entry *e)
{
	struct raft_conf conf;

	return e->kind == RAFT_ENTRY_CONF && e->bytes == RAFT_CONF_BYTES &&
	       raft_conf_decode(e->data, &conf) && conf.voters_old != 0;
}

/*
 * joint_waits: promises made before this entry came have not all run out. After a restart the log
 * may have two of its kind again: the newest speaks for all, or each would make the other one look
 * new for ever.
 */
static bool joint_waits(struct membership *m, uint64_t index, uint32_t term)
{
	if (m->joint_index != index || m->joint_term != term) {
		m->joint_index = index;
		m->joint_term = term;
		m->joint_ns = m->boot_ns;
		for (uint8_t n = 0; n < NODES_MAX; n++)
			if (promised(m, n))
				m->joint_ns = max_u64(m->joint_ns, m->promise[n].until_ns);
	}
	return m->now_ns < m->joint_ns && !mutant(143);
}

void lease_look_at_log(struct membership *m)
{
	uint64_t last = raft_last(m->raft);
	uint64_t hold = UINT64_MAX, joint = UINT64_MAX; /* the first of each kind */
	struct raft_entry newest_joint = { 0 };

	m->latest = m->agreed;
	for (uint64_t i = max_u64(m->applied, raft_base(m->raft)) + 1; i <= last; i++) {
		struct membership_state s;
		struct raft_entry e;

		raft_entry(m->raft, i, &e);
		if (enters_joint(&e)) {
			joint = min_u64(joint, i);
			newest_joint = e;
			if (mutant(213))
				joint_waits(m, e.index, e.term);
		}
		if (e.kind == RAFT_ENTRY_DATA && membership_entry_state(&e, &m->latest, &s)) {
			if (excludes(m, &m->latest, &s) && !mutant(140))
				hold = min_u64(hold, i);
			m->latest = s;
		}
	}
	if (joint != UINT64_MAX && joint_waits(m, newest_joint.index, newest_joint.term))
		hold = min_u64(hold, joint);
	hold = hold == UINT64_MAX ? 0 : hold;
	m->counters.acks_withheld += hold != 0 && hold != m->hold;
	m->hold_wanted = hold;
}

/* ---- reports --------------------------------------------------------------------------------- */

/* may_ask: reads may rest on a lease as far as this node itself is concerned (M-DATA-ALIVE). */
static bool may_ask(const struct membership *m)
{
	return m->agreed.node[m->config.node].ident == m->config.ident &&
	       is_member(&m->agreed, m->config.node, m->config.incarnation) &&
	       is_member(&m->latest, m->config.node, m->config.incarnation) && !m->failed &&
	       !m->health.failed && !m->health.spent && m->health.progress;
}

static void fill_report(struct membership *m, struct membership_report *r)
{
	*r = (struct membership_report){
		.seq = ++m->report_seq,
		.revision = m->agreed.revision,
		.sent_ns = m->now_ns,
		.disk_ns = m->health.disk_ns,
		.epoch = m->health.epoch,
		.flags = REPORT_ANSWER,
		.stuck = m->health.stuck,
		.heard = m->health.heard,
		.groups = m->health.groups,
	};
	r->flags |= m->giving_up && m->health.unleased ? REPORT_GAVE_UP : 0;
	r->flags |= !m->giving_up && may_ask(m) ? REPORT_ASK : 0;
	r->flags |= m->health.joined ? REPORT_JOINED : 0;
	r->flags |= m->health.failed || m->failed ? REPORT_FAILED : 0;
	r->flags |= m->health.progress ? REPORT_PROGRESS : 0;
	for (uint8_t n = 0; n < NODES_MAX; n++) {
		r->rtt_us[n] = (uint32_t)min_u64(m->peer[n].rtt_ns / 1000u, UINT32_MAX);
		if (m->peer[n].heard_ns != 0 &&
		    m->now_ns - m->peer[n].heard_ns <= m->config.detect_ns)
			r->seen |= membership_bit(n);
	}
	r->seen |= membership_bit(m->config.node);
}

static void keep_report(struct membership *m, uint8_t node, uint32_t incarnation,
			const struct membership_report *r)
{
	struct membership_peer *p = &m->peer[node];

	m->last[node] = *r;
	p->heard_ns = m->now_ns;
	p->incarnation = incarnation;
	p->epoch = r->epoch;
	p->disk_ns = r->disk_ns;
	p->heard = r->heard;
	p->stuck = r->stuck;
	p->joined = (r->flags & REPORT_JOINED) != 0;
	p->failed = (r->flags & REPORT_FAILED) != 0;
	p->progress = (r->flags & REPORT_PROGRESS) != 0;
}

/* consider_giving_up: somebody is about to exclude this node: it need not wait for the lease. */
static void consider_giving_up(struct membership *m, struct membership_actions *a)
{
	bool wanted = !is_member(&m->latest, m->config.node, m->config.incarnation);
	struct membership_action *lease;

	if (wanted == m->giving_up)
		return;
	m->giving_up = wanted;
	if (!wanted)
		return;
	memset(m->granted_ns, 0, sizeof(m->granted_ns));
	m->gave_up_seq = m->report_seq;
	m->health.unleased = false; /* the next HEALTH tells */
	m->lease_ns = 0;
	lease = membership_act(a, MEMBERSHIP_ACTION_LEASE);
	lease->epoch = m->view.epoch;
}

void lease_send_report(struct membership *m, struct membership_actions *a)
{
	struct membership_report r;

	consider_giving_up(m, a);
	fill_report(m, &r);
	if (r.flags & REPORT_GAVE_UP)
		m->gave_up_seq = r.seq;
	keep_report(m, m->config.node, m->config.incarnation, &r);
	if ((r.flags & REPORT_ASK) && may_promise(m, m->config.node, m->config.incarnation)) {
		promise(m, m->config.node, m->config.incarnation);
		m->granted_ns[m->config.node] = m->now_ns;
	}
	if (r.flags & REPORT_GAVE_UP)
		m->promise[m->config.node].incarnation = 0;
	membership_report_encode(m->report_out, &r);
	if (m->reach != 0)
		membership_send(a, m->reach, MEMBERSHIP_REPORT, m->report_out,
				MEMBERSHIP_REPORT_BYTES);
	m->counters.reports_sent++;
}

/* newer_life: whatever was promised to the last one is void: it can answer nobody (CC-25). */
static void newer_life(struct membership *m, uint8_t node, uint32_t incarnation)
{
	m->peer[node].incarnation = incarnation;
	m->peer[node].rtt_ns = 0;
	m->peer_seq[node] = 0;
	if (m->promise[node].incarnation < incarnation)
		m->promise[node].incarnation = 0;
}

void lease_on_obituary(struct membership *m, uint8_t node, uint32_t incarnation)
{
	if (node >= NODES_MAX || node == m->config.node)
		return;
	if (mutant(230))
		incarnation = INCARNATION_MAX;
	m->buried[node] = max_u32(m->buried[node], incarnation);
	if (m->promise[node].incarnation <= incarnation)
		m->promise[node].incarnation = 0;
	if (m->peer[node].incarnation <= incarnation)
		raft_bury(m->raft, node, m->now_ns);
}

static void answer_report(struct membership *m, const struct membership_event *ev,
			  const struct membership_report *r, struct membership_actions *a)
{
	const struct membership_node *node = &m->agreed.node[ev->from];
	bool current = membership_has(membership_write_set(&m->agreed), ev->from) &&
		       node->incarnation == ev->incarnation;
	struct membership_grant g = {
		.seq = r->seq,
		.sent_ns = r->sent_ns,
		.conf_index = raft_conf_index(m->raft),
		.floor = max_u32(node->floor, node->incarnation),
		.conf = *raft_conf(m->raft),
		.lease_us = lease_us(m),
	};

	if (m->agreed.revision == 0)
		return;
	if (!current && ev->incarnation <= g.floor) {
		/* Not if that was an earlier disk's life. */
		m->watch[ev->from].ghost |= ev->incarnation == node->incarnation &&
					    ev->incarnation > node->floor;
		g.flags |= GRANT_LOW;
	}
	if ((r->flags & REPORT_ASK) && may_promise(m, ev->from, ev->incarnation)) {
		promise(m, ev->from, ev->incarnation);
		g.flags |= GRANT_GIVEN;
	}
	if (r->revision < m->agreed.revision) {
		g.flags |= GRANT_STATE;
		g.state = m->agreed;
	}
	m->counters.grants_sent += (g.flags & GRANT_GIVEN) != 0;
	m->counters.grants_refused += (r->flags & REPORT_ASK) && !(g.flags & GRANT_GIVEN);
	membership_send(a, membership_bit(ev->from), MEMBERSHIP_GRANT, m->grant_out,
			membership_grant_encode(m->grant_out, &g));
}

/*
 * may_be_former: a number was given anew, and nobody has said yet to which disk: up to the floor,
 * this may as well be the former one, by a frame that the network kept (R19).
 */
static bool may_be_former(const struct membership *m, const struct membership_event *ev)
{
	const struct membership_node *node = &m->agreed.node[ev->from];

	return node->want != WANT_NONE && node->ident == 0 && ev->incarnation <= node->floor &&
	       !mutant(210);
}

void lease_on_report(struct membership *m, const struct membership_event *ev,
		     struct membership_actions *a)
{
	struct membership_report r;

	if (!membership_report_decode(ev->message->payload, ev->message->payload_bytes, &r))
		return;
	if (may_be_former(m, ev)) {
		answer_report(m, ev, &r, a); /* a new disk starts anew, above the floor */
		return;
	}
	if (ev->incarnation < m->peer[ev->from].incarnation && !mutant(144))
		return;
	if (ev->incarnation > m->peer[ev->from].incarnation)
		newer_life(m, ev->from, ev->incarnation);
	/* A late copy of an old request is no request, and no report (etcd #20418, R09). */
	if (r.seq <= m->peer_seq[ev->from] && !mutant(145))
		return;
	m->peer_seq[ev->from] = r.seq;
	m->peer_ident[ev->from] = ev->ident;
	m->counters.reports_received++;
	keep_report(m, ev->from, ev->incarnation, &r);
	if ((r.flags & REPORT_GAVE_UP) && m->promise[ev->from].incarnation <= ev->incarnation)
		m->promise[ev->from].incarnation = 0;
	answer_report(m, ev, &r, a);
}

/* ---- grants ---------------------------------------------------------------------------------- */

static void measure(struct membership *m, uint8_t node, uint64_t sent_ns)
{
	uint64_t rtt_ns = m->now_ns - sent_ns;
	struct membership_peer *p = &m->peer[node];

	p->rtt_ns = p->rtt_ns == 0 ? rtt_ns : (7u * p->rtt_ns + rtt_ns) / 8u;
}

/*
 * granted_since: when the lease may be counted from. Timers may differ while they are changed: a
 * voter that promises less than this node would count has promised that much earlier.
 */
static uint64_t granted_since(const struct membership *m, const struct membership_grant *g)
{
	uint64_t less_ns = (lease_us(m) - min_u64(g->lease_us, lease_us(m))) * 1000ull;

	return mutant(309) ? g->sent_ns : g->sent_ns - min_u64(less_ns, g->sent_ns);
}

void lease_on_grant(struct membership *m, const struct membership_event *ev,
		    struct membership_actions *a)
{
	struct membership_grant g;

	if (!membership_grant_decode(ev->message->payload, ev->message->payload_bytes, &g) ||
	    g.seq > m->report_seq || g.sent_ns > m->now_ns)
		return;
	measure(m, ev->from, g.sent_ns);
	if ((g.flags & GRANT_LOW) && g.floor >= m->config.incarnation)
		membership_want_restart(m, g.floor, a);
	if ((g.flags & GRANT_STATE) && g.state.revision > m->agreed.revision)
		membership_adopt(m, &g.state, a);
	if ((g.flags & GRANT_GIVEN) && g.seq > m->gave_up_seq && !m->giving_up &&
	    granted_since(m, &g) > m->granted_ns[ev->from]) {
		m->granted_ns[ev->from] = granted_since(m, &g);
		if (g.conf_index >= m->granted_conf_index[ev->from] || !mutant(161)) {
			m->granted_conf[ev->from] = g.conf;
			m->granted_conf_index[ev->from] = g.conf_index;
		}
	}
	lease_update(m, a);
}

/*
 * suffices: by the newest conf that one of the granting voters has, or this node itself; of two of
 * one index, by both: of the entries they are from one will not last. A voter that names another
 * one later no longer has what it named before.
 */
static bool suffices(const struct membership *m, uint8_t set)
{
	uint64_t newest = raft_conf_index(m->raft);

	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (membership_has(set, n) && n != m->config.node)
			newest = max_u64(newest, m->granted_conf_index[n]);
	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (membership_has(set, n) && n != m->config.node &&
		    m->granted_conf_index[n] == newest &&
		    !raft_conf_quorum(&m->granted_conf[n], set))
			return false;
	return raft_conf_index(m->raft) < newest || raft_conf_quorum(raft_conf(m->raft), set);
}

/* granted: the latest moment since which a majority's promises count; 0: none. */
static uint64_t granted(const struct membership *m)
{
	uint64_t best_ns = 0;

	for (uint8_t n = 0; n < NODES_MAX; n++) {
		uint64_t since_ns = m->granted_ns[n];
		uint8_t set = 0;

		for (uint8_t i = 0; i < NODES_MAX; i++)
			if (m->granted_ns[i] >= since_ns)
				set |= membership_bit(i);
		if (since_ns > best_ns && (suffices(m, set) || mutant(147)))
			best_ns = since_ns;
	}
	return best_ns;
}

void lease_update(struct membership *m, struct membership_actions *a)
{
	uint64_t since_ns = m->giving_up ? 0 : granted(m);
	uint64_t until_ns = since_ns + m->config.lease_ns, little_ns;
	struct membership_action *lease;

	if (since_ns == 0 || until_ns <= m->now_ns ||
	    !membership_has(m->view.members, m->config.node) ||
	    m->view.incarnation[m->config.node] != m->config.incarnation)
		return;
	/* A little longer is not worth a message to every worker. */
	little_ns = min_u64(m->config.lease_ns / 16u, (until_ns - m->now_ns) / 2u);
	if (m->lease_epoch == m->view.epoch && until_ns < m->lease_ns + little_ns)
		return;
	m->lease_ns = until_ns;
	m->lease_epoch = m->view.epoch;
	m->counters.leases++;
	lease = membership_act(a, MEMBERSHIP_ACTION_LEASE);
	lease->epoch = m->view.epoch;
	lease->lease_ns = until_ns;
}
