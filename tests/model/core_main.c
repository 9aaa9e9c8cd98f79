/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cairn-core-model: searches everything that can happen to a Raft group (raft_*) and to the view
 * service (view_*) in small situations, with the production cores. runs.h has the options;
 * docs/testing.md says what the figures mean.
 */
#include "tests/model/runs.h"
#include "tests/model/view_model.h"

#define DEPTH_MAX 4000u

/* What is searched, of either core. */
struct situation {
	const struct raft_model_config *raft;
	const struct view_model_config *view;
	uint32_t states_max;
};

static void open_raft(struct explore *x, const struct raft_model_config *c)
{
	if (!c->leader)
		return;
	for (uint32_t i = 0; i < RAFT_MODEL_ELECTION; i++)
		explore_opening(x, (struct explore_event){ EXPLORE_TIME, 0, 0 });
	explore_opening(x, (struct explore_event){ RAFT_MODEL_TICKS, 0, 0 });
	for (uint8_t n = 0; n < EXPLORE_NODES;) {
		const struct raft_facts *f = explore_facts(x, n);

		if (f->pending != 0)
			explore_opening(x, (struct explore_event){ RAFT_MODEL_DURABLE, n, 0 });
		n = f->pending != 0 ? 0 : n + 1;
	}
}

static struct explore_core raft_core(const struct raft_model_config *c)
{
	return (struct explore_core){
		.facts_bytes = sizeof(struct raft_facts),
		.said_bytes = sizeof(struct raft_said),
		.ghost_bytes = sizeof(struct raft_ghost),
		.config = c,
		.inbox_max = c->inbox_max ? c->inbox_max : EXPLORE_INBOX_MAX,
		.prompt = !c->every_order,
		.repeats_max = c->repeats,
		.holds_max = c->holds,
		.cuts_max = c->cuts,
		.time_max = c->time_max,
		.start = raft_core_start,
		.step = raft_core_step,
		.begin = raft_watch_begin,
		.events = raft_watch_events,
		.stale = raft_core_stale,
		.beyond = raft_watch_beyond,
		.watch = raft_watch_step,
		.print = raft_core_print,
		.print_facts = raft_core_print_facts,
	};
}

static struct explore_core view_core(const struct view_model_config *c)
{
	return (struct explore_core){
		.facts_bytes = sizeof(struct view_facts),
		.said_bytes = sizeof(struct view_said),
		.ghost_bytes = sizeof(struct view_ghost),
		.config = c,
		.inbox_max = c->inbox_max ? c->inbox_max : EXPLORE_INBOX_MAX,
		.prompt = true,
		.hold_nodes = c->hold_nodes,
		.cut_nodes = c->cut_nodes,
		.repeats_max = c->repeats,
		.holds_max = c->holds,
		.cuts_max = c->cuts,
		.time_max = c->time_max,
		.start = view_core_start,
		.step = view_core_step,
		.begin = view_watch_begin,
		.events = view_watch_events,
		.stale = view_core_stale,
		.beyond = view_watch_beyond,
		.watch = view_watch_step,
		.print = view_core_print,
		.print_facts = view_core_print_facts,
	};
}

/* situation_of: the Raft core's first, then those of the view service. */
static struct situation situation_of(uint32_t index)
{
	uint32_t rafts, views;
	const struct raft_model_config *r = raft_model_configs(&rafts);
	const struct view_model_config *v = view_model_configs(&views);

	if (index < rafts)
		return (struct situation){ &r[index], NULL, r[index].states_max };
	return (struct situation){ NULL, &v[index - rafts], v[index - rafts].states_max };
}

static struct runs_result search(uint32_t index, const struct runs_options *o)
{
	struct situation s = situation_of(index);
	struct explore_core core = s.raft ? raft_core(s.raft) : view_core(s.view);
	struct explore_limits limits = { o->states_max, o->depth_max, (double)o->secs_max };
	struct explore *x = explore_create(&core);
	const char *name = s.raft ? s.raft->name : s.view->name;
	bool bounded = s.states_max != 0 && !o->longer;
	struct explore_result r;

	if (bounded)
		limits.states_max = min_u64(limits.states_max, s.states_max);
	if (s.raft)
		open_raft(x, s.raft);
	else
		view_model_open(x);
	explore_search_from_here(x);
	r = explore_run(x, name, &limits);
	printf("model %s: %llu states, depth %llu, %s, %u violations (%llu transitions, "
	       "%llu node states, %llu messages, %llu steps of the core, %llu states at the "
	       "bounds; %.1f s, %llu MB)\n",
	       name, (unsigned long long)r.states, (unsigned long long)r.depth,
	       runs_outcome(r.complete, bounded), r.violated, (unsigned long long)r.transitions,
	       (unsigned long long)r.locals, (unsigned long long)r.messages,
	       (unsigned long long)r.steps, (unsigned long long)r.beyond, r.secs,
	       (unsigned long long)(r.memory >> 20));
	explore_destroy(x);
	return (struct runs_result){ r.states, r.depth, r.violated,
				     !r.violated && !r.complete && !bounded };
}

int main(int argc, char **argv)
{
	static struct runs_situation situations[RUNS_MAX];
	struct runs_program p = {
		.name = "cairn-core-model",
		.situations = situations,
		.depth_max = DEPTH_MAX,
		.search = search,
	};
	uint32_t rafts, views;
	const struct raft_model_config *r = raft_model_configs(&rafts);
	const struct view_model_config *v = view_model_configs(&views);

	must(rafts + views <= RUNS_MAX);
	for (uint32_t i = 0; i < rafts; i++)
		situations[p.count++] = (struct runs_situation){ r[i].name, r[i].what, r[i].ci };
	for (uint32_t i = 0; i < views; i++)
		situations[p.count++] = (struct runs_situation){ v[i].name, v[i].what, v[i].ci };
	return runs_main(argc, argv, &p);
}
