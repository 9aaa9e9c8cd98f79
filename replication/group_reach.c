/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group_reach.c: who reaches whom. Clients of a node that its leader does not hear are not served,
 * though another node may reach both: that one had better lead. Each node tells in its HELLO whom
 * it hears. Two that live and do not hear each other for a while are at odds, and stay so for a
 * hold-down after, which doubles with every time in a row, or a flapping link would move leaders.
 */
#include "replication/group_priv.h"

#define REACH_HELLOS 4u /* who is silent for so many is not heard; apart for so many more: odds */
#define REACH_HOLD_HELLOS 40u
#define REACH_LONG_AGO 16u /* hold-downs */
#define REACH_TIMES_MAX 6u /* doubles so often, less one */

static uint64_t window_ns(const struct replica *r)
{
	return REACH_HELLOS * r->config.hello_ns;
}

uint8_t group_reach_heard(const struct replica *r)
{
	return replica_heard(r, r->now_ns, window_ns(r));
}

/* alive: this node, who it hears, and who these hear. */
static uint8_t alive(const struct replica *r)
{
	uint8_t heard = group_reach_heard(r);
	uint8_t all = heard;

	for (uint8_t n = 0; n < r->config.node_count; n++)
		if (n != r->config.node && (heard & replica_bit(n)))
			all |= r->group->reach[n];
	return all;
}

/* hears: a hears b; of whom nothing is known no harm is believed. */
static bool hears(const struct replica *r, uint8_t heard, uint8_t a, uint8_t b)
{
	uint8_t told = a == r->config.node ? heard : r->group->reach[a];

	return !(heard & replica_bit(a)) || told == 0 || (told & replica_bit(b)) != 0;
}

static void look_at(const struct replica *r, struct odds *o, bool apart)
{
	uint64_t hold_ns = REACH_HOLD_HELLOS * r->config.hello_ns;

	if (!apart)
		o->since_ns = 0;
	else if (o->since_ns == 0)
		o->since_ns = r->now_ns;
	if (!apart || (r->now_ns - o->since_ns < window_ns(r) && !mutant(287)))
		return;
	if (r->now_ns >= o->until_ns) {
		bool again = o->times > 0 && r->now_ns - o->until_ns < REACH_LONG_AGO * hold_ns;

		o->times = again ? (uint8_t)min_u64(o->times + 1u, REACH_TIMES_MAX) : 1;
	}
	o->until_ns = r->now_ns + (mutant(286) ? window_ns(r) : hold_ns << (o->times - 1));
}

void group_reach_look(struct replica *r)
{
	struct group *g = r->group;
	uint8_t heard, living;

	if (r->now_ns < g->reach_ns)
		return;
	g->reach_ns = r->now_ns + r->config.hello_ns;
	heard = group_reach_heard(r);
	living = alive(r);
	for (uint8_t a = 0; a < r->config.node_count; a++) {
		for (uint8_t b = 0; b < a; b++) {
			bool both = (living & replica_bit(a)) && (living & replica_bit(b));

			look_at(r, &g->odds[a][b], both && !(hears(r, heard, a, b) &&
							     hears(r, heard, b, a)));
		}
	}
}

/* odds_of: with how many of `others` is it at odds? */
static uint32_t odds_of(const struct replica *r, uint8_t node, uint8_t others)
{
	const struct group *g = r->group;
	uint32_t sum = 0;

	for (uint8_t n = 0; n < r->config.node_count; n++) {
		const struct odds *o = n < node ? &g->odds[node][n] : &g->odds[n][node];

		sum += n != node && (others & replica_bit(n)) && r->now_ns < o->until_ns;
	}
	return sum;
}

uint8_t group_reach_best(const struct replica *r, uint8_t fit)
{
	const struct raft_conf *c = raft_conf(r->group->raft);
	uint8_t others = (c->voters | c->voters_old | c->learners) & (uint8_t)~c->witnesses;
	uint32_t least = UINT32_MAX;
	uint8_t best = 0;

	if (mutant(285))
		return fit;
	others &= alive(r);
	for (uint8_t n = 0; n < r->config.node_count; n++) {
		uint32_t sum = odds_of(r, n, others);

		if (!(fit & replica_bit(n)) || sum > least)
			continue;
		best = (uint8_t)((sum < least ? 0 : best) | replica_bit(n));
		least = sum;
	}
	return best;
}
