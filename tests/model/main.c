/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cairn-model: searches everything that can happen to three replicas in small situations, with the
 * production step function. usage() below; docs/testing.md says what the figures mean.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/model/model.h"

#define STATES_MAX (UINT32_MAX - 2) /* numbers of states are 32 bits */
#define DEPTH_MAX 1000u

#ifdef CAIRN_MUTANTS
int mutant_active;
#endif

static void usage(FILE *to)
{
	fputs("usage: cairn-model [--ci | --long | --config NAME]... [--states-max N]\n"
	      "                   [--depth-max N] [--secs-max N] [--jobs N] [--every-ack]\n"
	      "                   [--list]\n"
	      "Without --config: the situations of the CI run. --long: the longer ones too.\n"
	      "--every-ack: without the one reduction of order (docs/testing.md); to compare.\n"
	      "Exit 0: nothing violated, and everything that should be was searched to its end;\n"
	      "1: violated, the way there is printed as a script of tests/replay; 2: bad usage.\n",
	      to);
}

#define RUNS_MAX 64u

/* run: one situation; in memory that the processes of --jobs share. */
struct run {
	const struct model_config *config;
	struct search_result result;
	bool done; /* its process lived to say so */
	bool violated, incomplete;
};

static void print_line(const struct run *run)
{
	const struct search_result *r = &run->result;
	bool bounded = run->config->states_max != 0;

	printf("model %s: %llu states, depth %llu, %s, %u violations (%llu transitions, "
	       "%llu node states, %llu messages, %llu steps of the protocol; %.1f s, %llu MB)\n",
	       run->config->name, (unsigned long long)r->states, (unsigned long long)r->depth,
	       r->complete ? "complete" : bounded ? "not complete (as intended)" : "not complete",
	       run->violated, (unsigned long long)r->transitions, (unsigned long long)r->locals,
	       (unsigned long long)r->messages, (unsigned long long)r->steps, r->secs,
	       (unsigned long long)(r->memory >> 20));
	fflush(stdout);
}

static void search(struct run *run, const struct search_limits *limits)
{
	struct search_limits own = *limits;
	uint64_t bound = run->config->states_max;

	if (bound != 0)
		own.states_max = min_u64(own.states_max, bound);
	run->result = search_run(run->config, &own);
	run->violated = run->result.violation != NULL;
	run->incomplete = !run->result.complete && !run->violated && bound == 0;
	print_line(run);
	/* A search in which clients never get their answers has searched nothing. */
	if (run->result.complete && run->result.answered == 0) {
		printf("model %s: no state in which everything was answered\n",
		       run->config->name);
		run->incomplete = true;
	}
	run->done = true;
}

/* search_all: by `jobs` processes; each takes the next situation that nobody has taken yet. */
static void search_all(struct run *run, uint32_t runs, uint32_t jobs,
		       const struct search_limits *limits, uint32_t *taken)
{
	uint32_t i;

	for (uint32_t job = 1; job < jobs; job++) {
		pid_t pid = fork();

		if (pid < 0)
			break; /* then with fewer */
		if (pid == 0) {
			while ((i = __atomic_fetch_add(taken, 1, __ATOMIC_RELAXED)) < runs)
				search(&run[i], limits);
			fflush(stdout);
			_exit(0);
		}
	}
	while ((i = __atomic_fetch_add(taken, 1, __ATOMIC_RELAXED)) < runs)
		search(&run[i], limits);
	while (wait(NULL) > 0)
		;
}

/* sum_up: the last line; true when all is well. */
static bool sum_up(const struct run *run, uint32_t runs, double secs)
{
	uint64_t states = 0, depth = 0;
	uint32_t violations = 0, incomplete = 0;

	for (uint32_t i = 0; i < runs; i++) {
		states += run[i].result.states;
		depth = max_u64(depth, run[i].result.depth);
		violations += run[i].violated;
		incomplete += run[i].incomplete || !run[i].done;
	}
	printf("model: %u situations, %llu states, depth up to %llu, %s, %u violations, %.1f s\n",
	       runs, (unsigned long long)states, (unsigned long long)depth,
	       incomplete + violations == 0 ? "complete" : "not complete", violations, secs);
	return incomplete + violations == 0;
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
	const struct model_config *one[RUNS_MAX];
	uint32_t ones;
	bool all;
	uint64_t jobs;
	struct search_limits limits;
};

/* parse_value: an option that is followed by a value; false: it is none. */
static bool parse_value(const char *a, const char *value, struct options *o)
{
	if (!value)
		return false;
	if (strcmp(a, "--config") == 0 && o->ones < RUNS_MAX)
		o->one[o->ones++] = find_config(value);
	else if (strcmp(a, "--states-max") == 0)
		o->limits.states_max = min_u64(number(value), STATES_MAX);
	else if (strcmp(a, "--depth-max") == 0)
		o->limits.depth_max = min_u64(number(value), DEPTH_MAX);
	else if (strcmp(a, "--secs-max") == 0)
		o->limits.secs_max = number(value);
	else if (strcmp(a, "--jobs") == 0)
		o->jobs = number(value);
	else
		return false;
	return true;
}

static void parse(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (strcmp(a, "--list") == 0) {
			list();
			exit(0);
		} else if (strcmp(a, "--help") == 0) {
			usage(stdout);
			exit(0);
		} else if (strcmp(a, "--long") == 0) {
			o->all = true;
		} else if (strcmp(a, "--every-ack") == 0) {
			o->limits.every_ack = true;
		} else if (parse_value(a, i + 1 < argc ? argv[i + 1] : NULL, o)) {
			i++;
		} else if (strcmp(a, "--ci") != 0) {
			usage(stderr);
			exit(2);
		}
	}
}

/* choose: the situations to search, in memory that forked processes share. */
static struct run *choose(const struct options *o, uint32_t *ret_runs, uint32_t **ret_taken)
{
	uint32_t count, runs = 0;
	const struct model_config *c = model_configs(&count);
	size_t bytes = RUNS_MAX * sizeof(struct run) + sizeof(uint32_t);
	struct run *run = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			       0);

	if (run == MAP_FAILED) {
		fputs("cairn-model: out of memory\n", stderr);
		exit(2);
	}
	must(count <= RUNS_MAX);
	for (uint32_t i = 0; i < o->ones; i++)
		run[runs++].config = o->one[i];
	for (uint32_t i = 0; i < count && o->ones == 0; i++)
		if (c[i].ci || o->all)
			run[runs++].config = &c[i];
	*ret_runs = runs;
	*ret_taken = (uint32_t *)(void *)(run + RUNS_MAX);
	return run;
}

int main(int argc, char **argv)
{
	struct options o = { .jobs = 1,
			     .limits = { .states_max = STATES_MAX, .depth_max = DEPTH_MAX,
					 .secs_max = 86400 } };
	uint32_t runs, *taken;
	struct run *run;
	double begin;

#ifdef CAIRN_MUTANTS
	const char *mutant = getenv("CAIRN_MUTANT");

	mutant_active = mutant ? (int)strtol(mutant, NULL, 10) : 0;
#endif
	parse(argc, argv, &o);
	run = choose(&o, &runs, &taken);
	begin = search_secs();
	search_all(run, runs, (uint32_t)min_u64(o.jobs, runs), &o.limits, taken);
	return sum_up(run, runs, search_secs() - begin) ? 0 : 1;
}
