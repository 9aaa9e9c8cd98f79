/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cairn-model: searches everything that can happen to three replicas in small situations, with the
 * production step function. usage() below; docs/testing.md says what the figures mean.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/model/model.h"

#ifdef CAIRN_MUTANTS
int mutant_active;
#endif

static void usage(FILE *to)
{
	fputs("usage: cairn-model [--ci | --long | --config NAME]... [--states-max N]\n"
	      "                   [--depth-max N] [--secs-max N] [--every-ack] [--list]\n"
	      "Without --config: the situations of the CI run. --long: the longer ones too.\n"
	      "--every-ack: without the one reduction of order (docs/testing.md); to compare.\n"
	      "Exit 0: nothing violated, and everything that should be was searched to its end;\n"
	      "1: violated, the way there is printed as a script of tests/replay; 2: bad usage.\n",
	      to);
}

struct totals {
	uint64_t states, depth, violations, incomplete;
	double secs;
};

static void print_line(const char *name, const struct search_result *r, bool bounded)
{
	printf("model %s: %llu states, depth %llu, %s, %u violations (%llu transitions, "
	       "%llu node states, %llu messages, %llu steps of the protocol; %.1f s, %llu MB)\n",
	       name, (unsigned long long)r->states, (unsigned long long)r->depth,
	       r->complete ? "complete" : bounded ? "not complete (as intended)" : "not complete",
	       r->violation != NULL, (unsigned long long)r->transitions,
	       (unsigned long long)r->locals, (unsigned long long)r->messages,
	       (unsigned long long)r->steps, r->secs, (unsigned long long)(r->memory >> 20));
	fflush(stdout);
}

static void run(const struct model_config *c, const struct search_limits *limits,
		struct totals *t)
{
	struct search_limits own = *limits;
	struct search_result r;

	if (c->states_max != 0 && c->states_max < own.states_max)
		own.states_max = c->states_max;
	r = search_run(c, &own);
	print_line(c->name, &r, c->states_max != 0);
	/* A search in which clients never get their answers has searched nothing. */
	if (r.complete && r.answered == 0) {
		printf("model %s: no state in which everything was answered\n", c->name);
		t->incomplete++;
	}
	t->states += r.states;
	t->depth = max_u64(t->depth, r.depth);
	t->violations += r.violation != NULL;
	t->incomplete += !r.complete && !r.violation && c->states_max == 0;
	t->secs += r.secs;
}

static const struct model_config *find_config(const char *name)
{
	uint32_t count;
	const struct model_config *c = model_configs(&count);

	for (uint32_t i = 0; i < count; i++)
		if (strcmp(c[i].name, name) == 0)
			return &c[i];
	fprintf(stderr, "cairn-model: there is no situation '%s'; --list shows them\n", name);
	exit(2);
}

static void list(void)
{
	uint32_t count;
	const struct model_config *c = model_configs(&count);

	for (uint32_t i = 0; i < count; i++)
		printf("%-16s %-4s %s\n", c[i].name, c[i].ci ? "ci" : "long", c[i].what);
}

static uint64_t number(const char *text)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (*text == '\0' || *end != '\0') {
		fprintf(stderr, "cairn-model: '%s' is not a number\n", text);
		exit(2);
	}
	return n;
}

struct options {
	const struct model_config *one[32];
	uint32_t ones;
	bool all;
	struct search_limits limits;
};

static void parse(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(a, "--list") == 0) {
			list();
			exit(0);
		} else if (strcmp(a, "--help") == 0) {
			usage(stdout);
			exit(0);
		} else if (strcmp(a, "--long") == 0) {
			o->all = true;
			continue;
		} else if (strcmp(a, "--ci") == 0) {
			continue;
		} else if (strcmp(a, "--every-ack") == 0) {
			o->limits.every_ack = true;
			continue;
		} else if (value && strcmp(a, "--config") == 0 && o->ones < ARRAY_LEN(o->one)) {
			o->one[o->ones++] = find_config(value);
		} else if (value && strcmp(a, "--states-max") == 0) {
			o->limits.states_max = number(value);
		} else if (value && strcmp(a, "--depth-max") == 0) {
			o->limits.depth_max = number(value);
		} else if (value && strcmp(a, "--secs-max") == 0) {
			o->limits.secs_max = number(value);
		} else {
			usage(stderr);
			exit(2);
		}
		i++;
	}
}

int main(int argc, char **argv)
{
	struct options o = { .limits = { .states_max = UINT32_MAX - 2, .depth_max = 1000,
					 .secs_max = 86400 } };
	struct totals t = { 0 };
	uint32_t count, runs = 0;
	const struct model_config *c = model_configs(&count);

#ifdef CAIRN_MUTANTS
	const char *mutant = getenv("CAIRN_MUTANT");

	mutant_active = mutant ? (int)strtol(mutant, NULL, 10) : 0;
#endif
	parse(argc, argv, &o);
	for (uint32_t i = 0; i < o.ones; i++, runs++)
		run(o.one[i], &o.limits, &t);
	for (uint32_t i = 0; i < count && o.ones == 0; i++) {
		if (!c[i].ci && !o.all)
			continue;
		runs++;
		run(&c[i], &o.limits, &t);
	}
	printf("model: %u situations, %llu states, depth up to %llu, %s, %llu violations, %.1f s\n",
	       runs, (unsigned long long)t.states, (unsigned long long)t.depth,
	       t.incomplete == 0 && t.violations == 0 ? "complete" : "not complete",
	       (unsigned long long)t.violations, t.secs);
	return t.violations != 0 || t.incomplete != 0;
}
