/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cairn-core-model: searches everything that can happen to a Raft group (raft_*) and to the view
 * service (view_*) in small situations, with the production cores. usage() below; docs/testing.md
 * says what the figures mean.
 */
#include <stdlib.h>

#include "tests/model/view_model.h"

#define STATES_MAX (UINT32_MAX - 2)
#define RUNS_MAX   64u

#ifdef CAIRN_MUTANTS
int mutant_active;
#endif

static void usage(FILE *to)
{
	fputs("usage: cairn-core-model [--ci | --long | --config NAME]... [--states-max N]\n"
	      "                        [--depth-max N] [--secs-max N] [--list]\n"
	      "Without --config: the situations of the CI run. --long: the longer ones, too.\n"
	      "Exit 0: nothing violated, and everything that should be was searched to its end;\n"
	      "1: violated (the shortest way there is printed), or not; 2: bad usage.\n",
	      to);
}

/* situation: of either core. */
struct situation {
	const char *name, *what;
	const struct raft_model_config *raft;
	const struct view_model_config *view;
	uint32_t states_max;
	bool ci;
};

struct options {
	struct situation all[RUNS_MAX];
	uint32_t count;
	const struct situation *one[RUNS_MAX];
	uint32_t ones;
	bool longer;
	struct explore_limits limits;
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

static bool run(const struct situation *s, const struct options *o, uint64_t *states)
{
	struct explore_core core = s->raft ? raft_core(s->raft) : view_core(s->view);
	struct explore_limits limits = o->limits;
	struct explore *x = explore_create(&core);
	struct explore_result r;
	bool bounded = s->states_max != 0 && !o->longer;

	if (bounded)
		limits.states_max = min_u64(limits.states_max, s->states_max);
	if (s->raft)
		open_raft(x, s->raft);
	else
		view_model_open(x);
	explore_search_from_here(x);
	r = explore_run(x, s->name, &limits);
	printf("model %s: %llu states, depth %llu, %s, %u violations (%llu transitions, "
	       "%llu node states, %llu messages, %llu steps of the core, %llu states at the "
	       "bounds; %.1f s, %llu MB)\n",
	       s->name, (unsigned long long)r.states, (unsigned long long)r.depth,
	       r.complete ? "complete" : bounded ? "not complete (as intended)" : "not complete",
	       r.violated, (unsigned long long)r.transitions, (unsigned long long)r.locals,
	       (unsigned long long)r.messages, (unsigned long long)r.steps,
	       (unsigned long long)r.beyond, r.secs, (unsigned long long)(r.memory >> 20));
	fflush(stdout);
	explore_destroy(x);
	*states += r.states;
	return !r.violated && (r.complete || bounded);
}

static uint64_t number(const char *text)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (*text == '\0' || *end != '\0') {
		fprintf(stderr, "cairn-core-model: '%s' is not a number\n", text);
		exit(2);
	}
	return n;
}

static void collect(struct options *o)
{
	uint32_t rafts, views;
	const struct raft_model_config *r = raft_model_configs(&rafts);
	const struct view_model_config *v = view_model_configs(&views);

	must(rafts + views <= RUNS_MAX);
	for (uint32_t i = 0; i < rafts; i++, r++)
		o->all[o->count++] = (struct situation){ .name = r->name, .what = r->what,
							 .raft = r, .ci = r->ci,
							 .states_max = r->states_max };
	for (uint32_t i = 0; i < views; i++, v++)
		o->all[o->count++] = (struct situation){ .name = v->name, .what = v->what,
							 .view = v, .ci = v->ci,
							 .states_max = v->states_max };
}

static const struct situation *find(const struct options *o, const char *name)
{
	for (uint32_t i = 0; i < o->count; i++)
		if (strcmp(o->all[i].name, name) == 0)
			return &o->all[i];
	fprintf(stderr, "cairn-core-model: there is no situation '%s'; --list shows them\n", name);
	exit(2);
}

static void list(const struct options *o)
{
	for (uint32_t i = 0; i < o->count; i++)
		printf("%-18s %-4s %s\n", o->all[i].name, o->all[i].ci ? "ci" : "long",
		       o->all[i].what);
	exit(0);
}

static bool parse_value(const char *a, const char *value, struct options *o)
{
	if (!value)
		return false;
	if (strcmp(a, "--config") == 0 && o->ones < RUNS_MAX)
		o->one[o->ones++] = find(o, value);
	else if (strcmp(a, "--states-max") == 0)
		o->limits.states_max = min_u64(number(value), STATES_MAX);
	else if (strcmp(a, "--depth-max") == 0)
		o->limits.depth_max = number(value);
	else if (strcmp(a, "--secs-max") == 0)
		o->limits.secs_max = (double)number(value);
	else
		return false;
	return true;
}

static void parse(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (strcmp(a, "--list") == 0) {
			list(o);
		} else if (strcmp(a, "--help") == 0) {
			usage(stdout);
			exit(0);
		} else if (strcmp(a, "--long") == 0) {
			o->longer = true;
		} else if (parse_value(a, i + 1 < argc ? argv[i + 1] : NULL, o)) {
			i++;
		} else if (strcmp(a, "--ci") != 0) {
			usage(stderr);
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	static struct options o = { .limits = { .states_max = STATES_MAX, .depth_max = 4000,
						.secs_max = 86400 } };
	uint32_t runs = 0, failed = 0;
	uint64_t states = 0;

#ifdef CAIRN_MUTANTS
	const char *mutant = getenv("CAIRN_MUTANT");

	mutant_active = mutant ? (int)strtol(mutant, NULL, 10) : 0;
#endif
	collect(&o);
	parse(argc, argv, &o);
	for (uint32_t i = 0; i < o.ones; i++, runs++)
		failed += !run(o.one[i], &o, &states);
	for (uint32_t i = 0; i < o.count && o.ones == 0; i++) {
		if (!o.all[i].ci && !o.longer)
			continue;
		failed += !run(&o.all[i], &o, &states);
		runs++;
	}
	printf("model: %u situations, %llu states, %u failed\n", runs, (unsigned long long)states,
	       failed);
	return failed == 0 ? 0 : 1;
}
