/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cairn-model: searches everything that can happen to three replicas in small situations, with the
 * production step function. runs.h has the options; docs/testing.md says what the figures mean.
 */
#include <stdio.h>

#include "tests/model/model.h"
#include "tests/model/runs.h"

#define DEPTH_MAX 1000u

static void print_line(const struct model_config *config, const struct search_result *r)
{
	printf("model %s: %llu states, depth %llu, %s, %u violations (%llu transitions, "
	       "%llu node states, %llu messages, %llu steps of the protocol; %.1f s, %llu MB)\n",
	       config->name, (unsigned long long)r->states, (unsigned long long)r->depth,
	       runs_outcome(r->complete, config->states_max != 0), r->violation != NULL,
	       (unsigned long long)r->transitions, (unsigned long long)r->locals,
	       (unsigned long long)r->messages, (unsigned long long)r->steps, r->secs,
	       (unsigned long long)(r->memory >> 20));
}

static struct runs_result search(uint32_t situation, const struct runs_options *o)
{
	uint32_t count;
	const struct model_config *config = &model_configs(&count)[situation];
	struct search_limits limits = { o->states_max, o->depth_max, o->secs_max, o->every_ack };
	uint64_t bound = config->states_max;
	struct search_result r;
	bool incomplete;

	if (bound != 0)
		limits.states_max = min_u64(limits.states_max, bound);
	r = search_run(config, &limits);
	incomplete = !r.complete && !r.violation && bound == 0;
	print_line(config, &r);
	/* A search in which clients never get their answers has searched nothing. */
	if (r.complete && r.answered == 0) {
		printf("model %s: no state in which everything was answered\n", config->name);
		incomplete = true;
	}
	return (struct runs_result){ r.states, r.depth, r.violation != NULL, incomplete };
}

int main(int argc, char **argv)
{
	static struct runs_situation situations[RUNS_MAX];
	struct runs_program p = {
		.name = "cairn-model",
		.more_usage = "--every-ack: without the one reduction of order "
			      "(docs/testing.md); to compare.\n",
		.situations = situations,
		.depth_max = DEPTH_MAX,
		.search = search,
	};
	const struct model_config *c = model_configs(&p.count);

	must(p.count <= RUNS_MAX);
	for (uint32_t i = 0; i < p.count; i++)
		situations[i] = (struct runs_situation){ c[i].name, c[i].what, c[i].ci };
	return runs_main(argc, argv, &p);
}
