/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membership_plan.c: from what is to what is wanted, one proposal at a time: who cannot stay
 * leaves, the whole cluster starts anew from its disks, commands, newcomers become shadows, shadows
 * members, voters follow. Only a leader that has applied everything plans (membership_leads).
 */
#include "replication/membership_priv.h"

#define HAND_OVERS_MAX 3u
#define UNHEARD_STARTS 256u /* more often no process starts before anybody hears of it */

struct membership_state *plan_edit(struct membership *m)
{
	m->pending.propose = true;
	m->pending.asked = -1;
	m->pending.state = m->agreed;
	return &m->pending.state;
}

/* settled: recovered members that are known to have installed such a view need no word of it. */
static uint8_t settled(const struct membership *m)
{
	uint8_t set = 0;

	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (m->peer[n].incarnation == m->agreed.node[n].incarnation &&
		    m->peer[n].epoch >= m->agreed.node[n].since)
			set |= membership_bit(n);
	return set;
}

static uint32_t newest_incarnation(const struct membership *m, uint8_t node)
{
	return node == m->config.node ? m->config.incarnation : m->peer[node].incarnation;
}

/* new_life: it runs, on the disk agreed on, in an incarnation that was never in a view. */
static bool new_life(const struct membership *m, uint8_t node)
{
	const struct membership_node *n = &m->agreed.node[node];

	return watch_alive(m, node) && n->ident != 0 &&
	       newest_incarnation(m, node) > max_u32(n->incarnation, n->floor);
}

static bool unwanted(const struct membership_node *node)
{
	return node->want != WANT_DATA || (node->flags & (MEMBER_DRAINED | MEMBER_LEAVING));
}

/* reaped: the life that was last heard of is over, says its supervisor. */
static bool reaped(const struct membership *m, uint8_t node)
{
	return m->buried[node] != 0 && m->peer[node].incarnation <= m->buried[node];
}

/* ---- who cannot stay ------------------------------------------------------------------------- */

/* casualties: of the write set, those that are dead, or of no use any more. */
static uint8_t casualties(struct membership *m)
{
	uint8_t set = 0;

	for (uint8_t n = 0; n < NODES_MAX; n++) {
		bool alive = watch_alive(m, n);
		bool anew = new_life(m, n);
		bool failed = m->peer[n].failed || (n == m->config.node && m->health.failed);

		if (!membership_has(membership_write_set(&m->agreed), n))
			continue;
		if (!anew && alive && !failed)
			continue;
		set |= membership_bit(n);
		if (m->watch[n].told_dead)
			continue;
		m->watch[n].told_dead = true;
		if (anew)
			membership_note(m, NOTE_RESTARTED, n, newest_incarnation(m, n));
		else
			membership_note(m, failed ? NOTE_DISK_FAILED : NOTE_DEAD, n,
					reaped(m, n) ? m->buried[n] : 0);
	}
	return set;
}

/*
 * evictees: alive, and yet in the way of the others, as many as can go without the copies of new
 * updates becoming too few (M-MIN-SIZE).
 */
static uint8_t evictees(struct membership *m, uint8_t leaving)
{
	uint8_t left = membership_write_set(&m->agreed) & (uint8_t)~leaving;
	uint8_t wrong = watch_victims(m, left);
	uint8_t members = m->agreed.members & (uint8_t)~leaving;
	uint32_t least = m->agreed.copies_min > 1 ? m->agreed.copies_min : 1;
	uint8_t set = 0;

	for (uint8_t n = 0; n < NODES_MAX; n++) {
		bool slow = membership_has(left, n) && watch_is_slow(m, n) && !mutant(151);
		bool hung = membership_has(left, n) && watch_is_hung(m, n);
		bool spare = !membership_has(members, n) || raft_bits(members) > least;

		if (!spare || (!slow && !hung && !membership_has(wrong, n)))
			continue;
		set |= membership_bit(n);
		members &= (uint8_t)~membership_bit(n);
		membership_note(m, slow ? NOTE_SLOW : NOTE_UNREACHABLE, n,
				slow ? m->peer[n].disk_ns : 0);
	}
	return set;
}

static uint8_t dismissed(const struct membership *m)
{
	uint8_t set = 0;

	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (unwanted(&m->agreed.node[n]))
			set |= membership_bit(n);
	return set & membership_write_set(&m->agreed);
}

/*
 * hand_over: the leader itself is to go: one that stays leads first, the one whose log is the
 * longest. true: wait for that.
 */
static bool hand_over(struct membership *m, uint8_t staying)
{
	const struct raft_conf *conf = raft_conf(m->raft);
	uint8_t best = RAFT_NODE_NONE;

	for (uint8_t n = 0; n < NODES_MAX; n++) {
		uint8_t may = conf->voters & (uint8_t)~conf->witnesses & staying;

		if (n == m->config.node || !membership_has(may, n) || !watch_alive(m, n))
			continue;
		if (best == RAFT_NODE_NONE || raft_match(m->raft, n) > raft_match(m->raft, best))
			best = n;
	}
	if (best == RAFT_NODE_NONE || m->hand_overs >= HAND_OVERS_MAX)
		return false;
	if (m->now_ns < m->hand_over_ns)
		return true;
	m->hand_over_ns = m->now_ns + m->config.election_ns;
	m->hand_overs++;
	m->pending.transfer = true;
	m->pending.transfer_to = best;
	return true;
}

static void mark_evicted(struct membership *m, struct membership_state *s, uint8_t set)
{
	for (uint8_t n = 0; n < NODES_MAX; n++) {
		uint64_t before_ns = m->watch[n].evicted_ns;
		bool long_ago = m->now_ns - max_u64(before_ns, m->lead_ns) >
				16u * m->config.holddown_ns;

		if (!membership_has(set, n))
			continue;
		s->node[n].flags |= MEMBER_EVICTED;
		if (s->node[n].evictions < 32 || long_ago)
			s->node[n].evictions = long_ago ? 1 : s->node[n].evictions + 1;
		m->counters.evictions++;
	}
}

/* exclude: true: something was planned, or must be waited for. */
static bool exclude(struct membership *m)
{
	uint8_t dead = casualties(m);
	uint8_t evicted = evictees(m, dead);
	uint8_t gone = dead | evicted | dismissed(m);
	uint8_t alive_gone = gone & (uint8_t)~dead;
	struct membership_state *s;

	if (gone == 0)
		return false;
	if ((m->agreed.members & ~gone) == 0) {
		/* Who is only unwanted or in the way stays while there is nobody else. */
		gone = dead;
		alive_gone = evicted = 0;
		if ((m->agreed.members & ~gone) == 0 || gone == 0)
			return false;
	}
	if (membership_has(alive_gone, m->config.node) && hand_over(m, (uint8_t)~gone))
		return true;
	s = plan_edit(m);
	s->members &= (uint8_t)~gone;
	s->shadows &= (uint8_t)~gone;
	s->recovered &= s->members & (uint8_t)~settled(m);
	mark_evicted(m, s, evicted);
	m->counters.exclusions += raft_bits(gone);
	return true;
}

/*
 * blame: who was left out as dead and then spoke again, in the same life, was cut off, or stopped:
 * it is held down like one evicted, or a flapping link would make a view of every flap (M-FLAP).
 */
static bool blame(struct membership *m)
{
	uint8_t set = 0;

	for (uint8_t n = 0; n < NODES_MAX; n++) {
		bool ghost = m->watch[n].ghost;

		m->watch[n].ghost = false;
		if (ghost && !unwanted(&m->agreed.node[n]) &&
		    !(m->agreed.node[n].flags & MEMBER_EVICTED) && m->agreed.members != 0 &&
		    !membership_has(membership_write_set(&m->agreed), n))
			set |= membership_bit(n);
	}
	if (set != 0)
		mark_evicted(m, plan_edit(m), set);
	return set != 0;
}

/* ---- the whole cluster from its disks -------------------------------------------------------- */

/*
 * recover: every member of the last view is gone, or there never was one: those that come back with
 * what their disks hold are the members (3.11: with all copies durable, any one of them has
 * everything). It waits a while for all of them: who is missing must copy everything later.
 */
static bool recover(struct membership *m)
{
	uint8_t awaited = m->agreed.members;
	uint8_t present = 0;
	struct membership_state *s;

	for (uint8_t n = 0; n < NODES_MAX && (m->agreed.members == 0 || mutant(211)); n++)
		if (!unwanted(&m->agreed.node[n]))
			awaited |= membership_bit(n);
	for (uint8_t n = 0; n < NODES_MAX; n++) {
		if (!membership_has(awaited, n))
			continue;
		if (watch_alive(m, n) && !new_life(m, n))
			return false; /* it lives: not everybody is gone */
		if (new_life(m, n) && !m->peer[n].failed &&
		    (n == m->config.node || m->peer[n].progress))
			present |= membership_bit(n);
	}
	if (m->all_gone_ns == 0)
		m->all_gone_ns = m->now_ns;
	if (present == 0 ||
	    (present != awaited && m->now_ns - m->all_gone_ns < m->config.recover_ns))
		return true;
	s = plan_edit(m);
	s->members = s->recovered = present;
	s->shadows = 0;
	for (uint8_t n = 0; n < NODES_MAX; n++) {
		if (!membership_has(present, n))
			continue;
		s->node[n].incarnation = newest_incarnation(m, n);
		s->node[n].since = MEMBERSHIP_SELF;
		s->node[n].flags &= (uint8_t)~MEMBER_EVICTED;
		m->watch[n].told_dead = false;
	}
	m->all_gone_ns = 0;
	m->counters.recoveries++;
	membership_note(m, NOTE_RECOVERED, m->config.node, raft_bits(present));
	return true;
}

/* ---- who comes in ---------------------------------------------------------------------------- */

static bool bring_back(struct membership *m)
{
	struct membership_state *s = NULL;

	for (uint8_t n = 0; n < NODES_MAX; n++) {
		if (unwanted(&m->agreed.node[n]) || !new_life(m, n) ||
		    membership_has(membership_write_set(&m->agreed), n) || !watch_may_return(m, n))
			continue;
		s = s ? s : plan_edit(m);
		s->recovered &= (uint8_t)~settled(m);
		s->shadows |= membership_bit(n);
		s->node[n].incarnation = newest_incarnation(m, n);
		s->node[n].since = MEMBERSHIP_SELF;
		s->node[n].flags &= (uint8_t)~MEMBER_EVICTED;
		m->watch[n].told_dead = false;
		m->counters.readmissions++;
		membership_note(m, NOTE_SHADOW, n, newest_incarnation(m, n));
	}
	return s != NULL;
}

/* has_joined: by a report from the very view that made it a shadow, or a later one (H-LAG-JOIN). */
static bool has_joined(const struct membership *m, uint8_t node)
{
	const struct membership_node *s = &m->agreed.node[node];
	const struct membership_peer *p = &m->peer[node];

	return membership_has(m->agreed.shadows, node) && watch_alive(m, node) &&
	       newest_incarnation(m, node) == s->incarnation && (p->joined || mutant(212)) &&
	       p->epoch >= s->since;
}

static bool promote(struct membership *m)
{
	struct membership_state *s = NULL;

	for (uint8_t n = 0; n < NODES_MAX; n++) {
		uint8_t old;

		if (!has_joined(m, n) || (m->agreed.node[n].flags & MEMBER_LEARNER))
			continue;
		s = s ? s : plan_edit(m);
		s->recovered &= (uint8_t)~settled(m);
		s->shadows &= (uint8_t)~membership_bit(n);
		s->members |= membership_bit(n);
		old = s->node[n].replaces;
		s->node[n].replaces = 0;
		if (old != 0 && s->node[old - 1].want != WANT_NONE)
			s->node[old - 1].flags |= MEMBER_LEAVING;
		m->counters.promotions++;
		membership_note(m, NOTE_MEMBER, n, m->agreed.node[n].incarnation);
	}
	return s != NULL;
}

/* ---- the raft engine ------------------------------------------------------------------------- */

/* follow: members stay members when they die; the view tells their newest incarnation. */
static bool follow(struct membership *m)
{
	uint8_t dismiss = dismissed(m);
	struct membership_state *s = NULL;

	if ((m->agreed.members & ~dismiss) == 0)
		dismiss = 0;
	if (membership_has(dismiss, m->config.node) && hand_over(m, (uint8_t)~dismiss))
		return true;
	if (dismiss != 0) {
		s = plan_edit(m);
		s->members &= (uint8_t)~dismiss;
		s->shadows &= (uint8_t)~dismiss;
		s->recovered &= s->members;
	}
	for (uint8_t n = 0; n < NODES_MAX; n++) {
		if (!membership_has(membership_write_set(&m->agreed) & (uint8_t)~dismiss, n) ||
		    !new_life(m, n))
			continue;
		s = s ? s : plan_edit(m);
		s->node[n].incarnation = newest_incarnation(m, n);
		s->node[n].since = MEMBERSHIP_SELF;
		s->recovered |= membership_bit(n) & s->members;
	}
	return s != NULL;
}

/*
 * spare_the_slow: a member whose disk or links are slow holds nobody up but as leader of shards: it
 * leads none until it has been well for its hold-down.
 */
static bool spare_the_slow(struct membership *m)
{
	uint8_t slow = 0, well = 0;

	for (uint8_t n = 0; n < NODES_MAX; n++) {
		bool marked = (m->agreed.node[n].flags & MEMBER_EVICTED) != 0;

		if (!membership_has(m->agreed.members, n))
			continue;
		if (!marked && watch_is_slow(m, n))
			slow |= membership_bit(n);
		if (marked && watch_may_return(m, n))
			well |= membership_bit(n);
	}
	if ((slow | well) == 0)
		return false;
	plan_edit(m);
	mark_evicted(m, &m->pending.state, slow);
	for (uint8_t n = 0; n < NODES_MAX; n++) {
		if (membership_has(well, n))
			m->pending.state.node[n].flags &= (uint8_t)~MEMBER_EVICTED;
		if (membership_has(slow, n))
			membership_note(m, NOTE_SLOW, n, m->peer[n].disk_ns);
	}
	return true;
}

/* ---- identities, voters ---------------------------------------------------------------------- */

/* identify: from now on only that very disk counts as this node (R19, R20). */
static bool identify(struct membership *m)
{
	struct membership_state *s = NULL;

	for (uint8_t n = 0; n < NODES_MAX; n++) {
		uint32_t ident = n == m->config.node ? m->config.ident : m->peer_ident[n];

		if (m->agreed.node[n].want == WANT_NONE || m->agreed.node[n].ident != 0 ||
		    ident == 0 || !watch_alive(m, n) ||
		    (newest_incarnation(m, n) <= m->agreed.node[n].floor && !mutant(210)))
			continue;
		s = s ? s : plan_edit(m);
		s->node[n].ident = ident;
	}
	return s != NULL;
}

static bool caught_up(const struct membership *m, uint8_t node)
{
	return watch_alive(m, node) && raft_match(m->raft, node) + 1 >= raft_commit(m->raft);
}

static struct raft_conf wanted_conf(const struct membership *m)
{
	const struct raft_conf *now = raft_conf(m->raft);
	struct raft_conf conf = { 0 };

	for (uint8_t n = 0; n < NODES_MAX; n++) {
		const struct membership_node *node = &m->agreed.node[n];
		bool in_view = membership_has(membership_write_set(&m->agreed), n);

		if (node->want == WANT_NONE || ((node->flags & MEMBER_LEAVING) && !in_view))
			continue;
		if (membership_has(now->voters, n) ||
		    (membership_has(now->learners, n) && caught_up(m, n) && node->replaces == 0))
			conf.voters |= membership_bit(n);
		else
			conf.learners |= membership_bit(n);
		if (node->want == WANT_WITNESS)
			conf.witnesses |= membership_bit(n);
	}
	return conf;
}

/* set_voters: never so that the new voters have no majority that lives. */
static bool set_voters(struct membership *m)
{
	const struct raft_conf *now = raft_conf(m->raft);
	struct raft_conf conf = wanted_conf(m);
	uint8_t alive = 0;

	if (raft_configuring(m->raft) ||
	    (conf.voters == now->voters && conf.learners == now->learners &&
	     conf.witnesses == now->witnesses))
		return false;
	for (uint8_t n = 0; n < NODES_MAX; n++)
		alive |= watch_alive(m, n) ? membership_bit(n) : 0;
	if (!raft_is_majority(alive, conf.voters))
		return false;
	if (!membership_has(conf.voters, m->config.node) && hand_over(m, conf.voters))
		return true;
	m->pending.configure = true;
	m->pending.conf = conf;
	return true;
}

/*
 * in_groups: some shard's group may still count on the node (raft engine): its disk must not be
 * wiped and its number not be given away before every living member, and a majority of all, has
 * seen it go.
 */
static bool in_groups(const struct membership *m, uint8_t node)
{
	uint8_t sure = 0;

	if (m->agreed.engine != ENGINE_RAFT)
		return false;
	for (uint8_t n = 0; n < NODES_MAX; n++) {
		if (!membership_has(m->agreed.members, n) || !watch_alive(m, n))
			continue;
		if (membership_has(m->last[n].groups, node) || m->last[n].epoch < m->agreed.epoch)
			return true;
		sure |= membership_bit(n);
	}
	return !raft_is_majority(sure, m->agreed.members) && !mutant(216);
}

/*
 * clear_slots: who has left everything is forgotten, but for the incarnation. Its process may have
 * started again since anybody here last heard it, and clients have met it: its next disk begins
 * beyond that, or they would take what it says for something old.
 */
static bool clear_slots(struct membership *m)
{
	const struct raft_conf *conf = raft_conf(m->raft);
	uint8_t known = conf->voters | conf->voters_old | conf->learners;
	struct membership_state *s = NULL;

	for (uint8_t n = 0; n < NODES_MAX; n++) {
		uint32_t incarnation = m->agreed.node[n].incarnation;
		uint32_t since = m->agreed.node[n].since;
		uint32_t heard = max_u32(incarnation, newest_incarnation(m, n));
		uint32_t above = mutant(217) ? 0 : UNHEARD_STARTS;
		uint32_t floor = max_u32(m->agreed.node[n].floor,
					 (uint32_t)min_u64(heard + above, INCARNATION_MAX));

		if (!(m->agreed.node[n].flags & MEMBER_LEAVING) || membership_has(known, n) ||
		    membership_has(membership_write_set(&m->agreed), n) ||
		    raft_configuring(m->raft) || in_groups(m, n))
			continue;
		s = s ? s : plan_edit(m);
		/* What replicas see of it does not change. */
		s->node[n] = (struct membership_node){ .incarnation = incarnation, .since = since,
						       .floor = floor };
	}
	return s != NULL;
}

void plan_next(struct membership *m)
{
	bool anew = m->agreed.members == 0;

	if (m->now_ns < m->hand_over_ns && m->hand_overs < HAND_OVERS_MAX)
		return;
	if (identify(m))
		return;
	if (m->agreed.engine == ENGINE_HERMES ? exclude(m) :
						!anew && (follow(m) || spare_the_slow(m)))
		return;
	if (m->agreed.engine == ENGINE_HERMES || anew) {
		bool gone = anew;

		/* Members that nothing can be excluded from, and none of which lives. */
		gone |= (m->agreed.members & ~casualties(m)) == 0;
		if (gone && recover(m))
			return;
		if (!gone)
			m->all_gone_ns = 0;
	}
	if (command_plan(m) || blame(m) || promote(m) || bring_back(m) || set_voters(m) ||
	    clear_slots(m))
		return;
	m->hand_overs = 0;
}
