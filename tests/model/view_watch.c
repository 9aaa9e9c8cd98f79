/* SPDX-License-Identifier: Apache-2.0 */
/* view_watch.c: what may happen to the view service, and what must not: the invariants M-*. */
#include "tests/model/view_model.h"

static const struct view_facts *facts(const uint8_t *const all[EXPLORE_NODES], uint32_t node)
{
	return (const struct view_facts *)(const void *)all[node];
}

void view_watch_begin(const void *config, uint8_t *ghost)
{
	(void)config;
	(void)ghost;
}

/* ---- what may happen ------------------------------------------------------------------------- */

static void node_events(const struct view_model_config *c, const struct view_ghost *g,
			const struct view_facts *f, uint8_t n, struct explore_events *ret)
{
	if (!f->alive) {
		explore_may(ret, VIEW_MODEL_RESTART, n, 0);
		return;
	}
	if (f->due)
		explore_may(ret, VIEW_MODEL_LOOK, n, 0);
	if (f->election_due && (c->stand >> n & 1))
		explore_may(ret, VIEW_MODEL_LOOK, n, 1);
	if (f->pending != 0)
		explore_may(ret, VIEW_MODEL_DURABLE, n, 0);
	for (uint8_t i = 0; i <= f->pending && g->crashes < c->crashes; i++)
		if (c->crash >> n & 1)
			explore_may(ret, VIEW_MODEL_CRASH, n, i);
	for (uint8_t i = 0; i < EXPLORE_NODES && f->leads; i++) {
		if (g->drains < c->drains)
			explore_may(ret, VIEW_MODEL_DRAIN, n, i);
		if (g->removes < c->removes)
			explore_may(ret, VIEW_MODEL_REMOVE, n, i);
	}
}

void view_watch_events(const void *config, const uint8_t *ghost,
		       const uint8_t *const all[EXPLORE_NODES], struct explore_events *ret)
{
	const struct view_ghost *g = (const struct view_ghost *)(const void *)ghost;

	for (uint8_t n = 0; n < EXPLORE_NODES; n++)
		node_events(config, g, facts(all, n), n, ret);
}

bool view_watch_beyond(const void *config, const uint8_t *ghost,
		       const uint8_t *const all[EXPLORE_NODES])
{
	const struct view_model_config *c = config;

	(void)ghost;
	for (uint32_t n = 0; n < EXPLORE_NODES; n++) {
		const struct view_facts *f = facts(all, n);

		if (f->revision + 4u >= DISK_LOG || f->term > 5)
			return true;
		/* Who is not said to be late looks around in time. */
		if (f->alive && f->overdue && !(c->late >> n & 1))
			return true;
	}
	return false;
}

/* ---- what must not --------------------------------------------------------------------------- */

/*
 * gaps: M-LEASE-GAP: a node that may still read by its lease is in every newer view that anybody
 * knows to be agreed on.
 */
static const char *gaps(const uint8_t *const after[EXPLORE_NODES])
{
	for (uint32_t n = 0; n < EXPLORE_NODES; n++) {
		const struct view_facts *holder = facts(after, n);

		if (!holder->alive || !holder->lease)
			continue;
		for (uint32_t i = 0; i < EXPLORE_NODES; i++) {
			const struct view_facts *f = facts(after, i);

			if (f->alive && f->epoch > holder->epoch &&
			    f->member_incarnation[n] != holder->incarnation)
				return "M-LEASE-GAP: a view is agreed on without a member whose "
				       "lease runs";
		}
	}
	return NULL;
}

/* same: M-EPOCH-LOG: one revision is one state, one epoch is one view; neither goes back. */
static const char *same(struct view_ghost *g, const struct view_facts *was,
			const struct view_facts *is)
{
	uint64_t view = is->members | (uint64_t)is->shadows << 8;

	for (uint32_t n = 0; n < EXPLORE_NODES; n++)
		view = view << 16 ^ view >> 40 ^ is->member_incarnation[n];
	if (is->revision != 0) {
		if (g->state_hash[is->revision] == 0)
			g->state_hash[is->revision] = is->state_hash;
		if (g->state_hash[is->revision] != is->state_hash)
			return "M-EPOCH-LOG: two states of one revision";
		if (is->revision > g->revision)
			g->revision = is->revision;
	}
	if (is->epoch != 0) {
		if (g->view_hash[is->epoch] == 0)
			g->view_hash[is->epoch] = view;
		if (g->view_hash[is->epoch] != view)
			return "M-EPOCH-LOG: two views of one epoch";
	}
	if (was->alive && was->incarnation == is->incarnation &&
	    (is->revision < was->revision || is->epoch < was->epoch))
		return "M-EPOCH-LOG: an agreed state or a view goes back";
	return NULL;
}

static const char *lives(struct view_ghost *g, const struct view_facts *is)
{
	for (uint32_t n = 0; n < EXPLORE_NODES; n++) {
		if (is->member_incarnation[n] == 0 || is->revision < g->revision)
			continue;
		if (is->member_incarnation[n] < g->newest_incarnation[n])
			return "M-INCARN: a view takes back an older life";
		g->newest_incarnation[n] = is->member_incarnation[n];
	}
	return NULL;
}

static const char *leaders(struct view_ghost *g, uint8_t n, const struct view_facts *is)
{
	if (is->role != RAFT_LEADER)
		return NULL;
	if (g->leader[is->term] != 0 && g->leader[is->term] != n + 1)
		return "R-ONE-LEADER: two leaders in one term";
	g->leader[is->term] = n + 1;
	return NULL;
}

/* copies: M-MIN-SIZE: while everybody lives and is heard no command leaves too few. */
static const char *copies(const struct view_model_config *c, const struct view_ghost *g,
			  const struct view_facts *is)
{
	if (g->crashes == 0 && g->common.cuts == 0 && g->common.holds == 0 && c->late == 0 &&
	    is->epoch != 0 && raft_bits(is->members) < c->copies)
		return "M-MIN-SIZE: a command leaves fewer members than copies_min";
	return NULL;
}

const char *view_watch_step(const void *config, uint8_t *ghost, const struct explore_event *event,
			    const uint8_t *const before[EXPLORE_NODES],
			    const uint8_t *const after[EXPLORE_NODES], const uint8_t *said)
{
	struct view_ghost *g = (struct view_ghost *)(void *)ghost;
	const struct view_facts *was = facts(before, event->node), *is = facts(after, event->node);
	const char *wrong = NULL;

	if (!said)
		return gaps(after);
	if (event->kind == VIEW_MODEL_CRASH)
		g->crashes++;
	if (event->kind == VIEW_MODEL_DRAIN)
		g->drains++;
	if (event->kind == VIEW_MODEL_REMOVE)
		g->removes++;
	if (is->alive) {
		wrong = same(g, was, is);
		if (!wrong)
			wrong = lives(g, is);
		if (!wrong)
			wrong = leaders(g, event->node, is);
		if (!wrong)
			wrong = copies(config, g, is);
	}
	return wrong ? wrong : gaps(after);
}
