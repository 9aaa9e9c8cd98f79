/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membership_watch.c: a node's picture of the others, from their reports, which go to all, so that
 * a new leader need not begin to look: who is alive, who cannot hear whom, whose acknowledgements
 * are awaited, who is slow; each since when. A node that comes back must have been well for a while
 * (hold-down), which doubles with every eviction in a row.
 */
#include "replication/membership_priv.h"

/* silent_ns: how long nothing has come from it, not counting when this node itself was away. */
static uint64_t silent_ns(const struct membership *m, uint8_t node)
{
	return m->now_ns - max_u64(m->peer[node].heard_ns, m->awake_ns);
}

bool watch_alive(const struct membership *m, uint8_t node)
{
	if (node == m->config.node)
		return true;
	return m->peer[node].heard_ns != 0 && silent_ns(m, node) <= m->config.detect_ns &&
	       m->peer[node].incarnation > m->buried[node];
}

/* since: keeps in *ns since when something has been so; 0: it is not. */
static void since(const struct membership *m, uint64_t *ns, bool is)
{
	if (!is)
		*ns = 0;
	else if (*ns == 0)
		*ns = m->now_ns;
}

static bool lasts(const struct membership *m, uint64_t since_ns, uint64_t how_long_ns)
{
	return since_ns != 0 && m->now_ns - since_ns >= how_long_ns;
}

/* ---- slow ------------------------------------------------------------------------------------ */

/* median_disk_ns: of the others' durable writes. */
static uint64_t median_disk_ns(const struct membership *m, uint8_t except)
{
	uint64_t list[NODES_MAX];
	uint32_t count = 0;

	for (uint8_t n = 0; n < NODES_MAX; n++) {
		uint64_t ns = m->peer[n].disk_ns;
		uint32_t at = count;

		if (n == except || !membership_has(m->agreed.members, n) || !watch_alive(m, n))
			continue;
		for (; at > 0 && list[at - 1] > ns; at--)
			list[at] = list[at - 1];
		list[at] = ns;
		count++;
	}
	return count == 0 ? UINT64_MAX : list[(count - 1) / 2];
}

/* pair_rtt_us: the better of what the two say about the way between them; 0: not known. */
static uint32_t pair_rtt_us(const struct membership *m, uint8_t a, uint8_t b)
{
	uint32_t one = m->last[a].rtt_us[b];
	uint32_t other = m->last[b].rtt_us[a];

	if (one == 0 || other == 0)
		return one + other;
	return one < other ? one : other;
}

/*
 * best_rtt_ns: the shortest way between this node and another member or witness, or among all but
 * this one. Of two members a witness tells which one is slow.
 */
static uint64_t best_rtt_ns(const struct membership *m, uint8_t node, bool among_others)
{
	uint8_t set = m->agreed.members | membership_bit(node);
	uint64_t best = UINT64_MAX;

	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (m->agreed.node[n].want == WANT_WITNESS && !mutant(158))
			set |= membership_bit(n);

	for (uint8_t a = 0; a < NODES_MAX; a++) {
		for (uint8_t b = 0; b < a; b++) {
			uint64_t rtt_us = pair_rtt_us(m, a, b);
			bool of_node = a == node || b == node;

			if (!membership_has(set, a) || !membership_has(set, b) || rtt_us == 0 ||
			    of_node == among_others || !watch_alive(m, a) || !watch_alive(m, b))
				continue;
			best = min_u64(best, rtt_us * 1000u);
		}
	}
	return best;
}

static bool exceeds(const struct membership *m, uint64_t ns, uint64_t others_ns)
{
	return ns != UINT64_MAX && others_ns != UINT64_MAX && ns > m->config.slow_floor_ns &&
	       ns / m->config.slow_factor > others_ns;
}

/* looks_slow: now; against whoever can be compared with it. */
static bool looks_slow(const struct membership *m, uint8_t node)
{
	if (m->config.slow_factor == 0 || !watch_alive(m, node))
		return false;
	return exceeds(m, m->peer[node].disk_ns, median_disk_ns(m, node)) ||
	       exceeds(m, best_rtt_ns(m, node, false), best_rtt_ns(m, node, true));
}

bool watch_is_slow(const struct membership *m, uint8_t node)
{
	return lasts(m, m->watch[node].slow_ns, m->config.slow_ns);
}

bool watch_is_hung(const struct membership *m, uint8_t node)
{
	return lasts(m, m->watch[node].hung_ns, m->config.detect_ns);
}

/* ---- who cannot reach whom ------------------------------------------------------------------- */

/* apart: by its own words, `a` does not hear `b`; both are alive as far as the leader can tell. */
static bool apart(const struct membership *m, uint8_t a, uint8_t b)
{
	return watch_alive(m, a) && watch_alive(m, b) && !membership_has(m->last[a].seen, b);
}

static bool at_odds(const struct membership *m, uint8_t a, uint8_t b)
{
	const struct membership_watch *one = &m->watch[a];
	const struct membership_watch *other = &m->watch[b];

	return lasts(m, one->apart_ns[b], m->config.detect_ns) ||
	       lasts(m, other->apart_ns[a], m->config.detect_ns) ||
	       lasts(m, one->stuck_ns[b], m->config.slow_ns) ||
	       lasts(m, other->stuck_ns[a], m->config.slow_ns);
}

/* faults: its quarrels with others; of as many, it is rather the one that is waited for. */
static uint32_t faults(const struct membership *m, uint8_t node, uint8_t others)
{
	uint32_t sum = 0;

	for (uint8_t i = 0; i < NODES_MAX; i++) {
		if (i == node || !membership_has(others, i) || !at_odds(m, node, i))
			continue;
		sum += NODES_MAX;
		sum += lasts(m, m->watch[i].stuck_ns[node], m->config.slow_ns) && !mutant(159);
	}
	return sum;
}

/*
 * watch_victims: as long as two of the set are at odds, the one with most faults goes; of equals
 * one that is not the leader, then the one with the highest number: every leader would decide
 * alike.
 */
uint8_t watch_victims(struct membership *m, uint8_t set)
{
	uint8_t victims = 0;

	for (;;) {
		uint8_t left = set & (uint8_t)~victims;
		uint32_t most = 0;
		uint8_t worst = 0;

		for (uint8_t n = 0; n < NODES_MAX; n++) {
			uint32_t sum = membership_has(left, n) ? faults(m, n, left) : 0;
			bool spared = n == m->config.node && sum == most;

			if (sum == 0 || sum < most || spared)
				continue;
			most = sum;
			worst = n;
		}
		if (most == 0)
			return victims;
		victims |= membership_bit(worst);
	}
}

/* ---- coming back ----------------------------------------------------------------------------- */

/* connected: it and all members that live hear each other. */
static bool connected(const struct membership *m, uint8_t node)
{
	for (uint8_t n = 0; n < NODES_MAX; n++) {
		if (n == node || !membership_has(m->agreed.members, n) || !watch_alive(m, n))
			continue;
		if (!membership_has(m->last[n].seen, node) ||
		    !membership_has(m->last[node].seen, n))
			return false;
	}
	return true;
}

static bool is_well(const struct membership *m, uint8_t node)
{
	const struct membership_peer *p = &m->peer[node];

	return watch_alive(m, node) && p->progress && !p->failed && connected(m, node) &&
	       m->watch[node].slow_ns == 0;
}

static uint64_t holddown_ns(const struct membership *m, uint8_t node)
{
	uint32_t times = m->agreed.node[node].evictions;
	uint32_t shift = times > 0 ? times - 1 : 0;

	if (!(m->agreed.node[node].flags & MEMBER_EVICTED) || mutant(150))
		return 2 * m->config.heartbeat_ns;
	return m->config.holddown_ns << (shift < EVICTIONS_SHIFT_MAX ? shift : EVICTIONS_SHIFT_MAX);
}

bool watch_may_return(struct membership *m, uint8_t node)
{
	const struct membership_watch *w = &m->watch[node];
	uint64_t hold_ns = holddown_ns(m, node);

	/* A leader that has not seen the eviction counts from when it began to lead. */
	uint64_t out_ns = w->evicted_ns != 0 ? w->evicted_ns : m->lead_ns;

	if ((m->agreed.node[node].flags & MEMBER_EVICTED) && m->now_ns - out_ns < hold_ns)
		return false;
	return lasts(m, w->well_ns, min_u64(hold_ns, m->config.holddown_ns));
}

/* ---- looking --------------------------------------------------------------------------------- */

static void look_at(struct membership *m, uint8_t node)
{
	struct membership_watch *w = &m->watch[node];

	for (uint8_t n = 0; n < NODES_MAX; n++) {
		bool both = n != node && membership_has(membership_write_set(&m->agreed), n) &&
			    membership_has(membership_write_set(&m->agreed), node);
		bool stuck = membership_has(m->last[node].stuck, n) && watch_alive(m, node);

		since(m, &w->apart_ns[n], both && apart(m, node, n));
		since(m, &w->stuck_ns[n], both && stuck);
	}
	since(m, &w->slow_ns, looks_slow(m, node));
	since(m, &w->hung_ns, watch_alive(m, node) && !m->peer[node].progress);
	since(m, &w->well_ns, is_well(m, node));
	m->peer[node].slow = w->slow_ns != 0;
	m->peer[node].holddown_ns = 0;
	if (m->agreed.node[node].flags & MEMBER_EVICTED)
		m->peer[node].holddown_ns = (w->evicted_ns != 0 ? w->evicted_ns : m->lead_ns) +
					    holddown_ns(m, node);
}

void watch_look(struct membership *m)
{
	for (uint8_t n = 0; n < NODES_MAX; n++)
		if (m->agreed.node[n].want != WANT_NONE)
			look_at(m, n);
}
