/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/runs.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "replication/base.h"

#define STATES_MAX (UINT32_MAX - 2) /* numbers of states are 32 bits */

#ifdef CAIRN_MUTANTS
int mutant_active;
#endif

/* run: one situation; in memory that the processes of --jobs share. */
struct run {
	uint32_t situation;
	struct runs_result result;
	bool done; /* its process lived to say so */
};

struct runs {
	const struct runs_program *program;
	struct runs_options options;
	struct run *run;
	uint32_t count;
	uint32_t *taken;
};

double runs_secs(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void usage(const struct runs_program *p, FILE *to)
{
	fprintf(to,
		"usage: %s [--ci | --long | --config NAME]... [--states-max N] [--depth-max N]\n"
		"          [--secs-max N] [--jobs N]%s [--list]\n"
		"Without --config: the situations of the CI run. --long: the longer ones, too.\n"
		"%s"
		"Exit 0: nothing violated, and everything that should be was searched to its end;\n"
		"1: violated (the shortest way there is printed), or not; 2: bad usage.\n",
		p->name, p->more_usage ? " [--every-ack]" : "",
		p->more_usage ? p->more_usage : "");
}

static uint32_t find(const struct runs_program *p, const char *name)
{
	for (uint32_t i = 0; i < p->count; i++)
		if (strcmp(p->situations[i].name, name) == 0)
			return i;
	fprintf(stderr, "%s: there is no situation '%s'; --list shows them\n", p->name, name);
	exit(2);
}

static void list(const struct runs_program *p)
{
	for (uint32_t i = 0; i < p->count; i++)
		printf("%-18s %-4s %s\n", p->situations[i].name,
		       p->situations[i].ci ? "ci" : "long", p->situations[i].what);
}

static uint64_t number(const struct runs_program *p, const char *text)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (*text == '\0' || *end != '\0') {
		fprintf(stderr, "%s: '%s' is not a number\n", p->name, text);
		exit(2);
	}
	return n;
}

/* parse_value: an option that is followed by a value; false: it is none. */
static bool parse_value(struct runs *r, const char *a, const char *value)
{
	const struct runs_program *p = r->program;
	struct runs_options *o = &r->options;

	if (!value)
		return false;
	if (strcmp(a, "--config") == 0 && r->count < RUNS_MAX)
		r->run[r->count++].situation = find(p, value);
	else if (strcmp(a, "--states-max") == 0)
		o->states_max = min_u64(number(p, value), STATES_MAX);
	else if (strcmp(a, "--depth-max") == 0)
		o->depth_max = min_u64(number(p, value), p->depth_max);
	else if (strcmp(a, "--secs-max") == 0)
		o->secs_max = number(p, value);
	else if (strcmp(a, "--jobs") == 0)
		o->jobs = number(p, value);
	else
		return false;
	return true;
}

static void parse(struct runs *r, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (strcmp(a, "--list") == 0) {
			list(r->program);
			exit(0);
		} else if (strcmp(a, "--help") == 0) {
			usage(r->program, stdout);
			exit(0);
		} else if (strcmp(a, "--long") == 0) {
			r->options.longer = true;
		} else if (strcmp(a, "--every-ack") == 0 && r->program->more_usage) {
			r->options.every_ack = true;
		} else if (parse_value(r, a, i + 1 < argc ? argv[i + 1] : NULL)) {
			i++;
		} else if (strcmp(a, "--ci") != 0) {
			usage(r->program, stderr);
			exit(2);
		}
	}
}

/* work: takes the next situation that nobody has taken yet, until there is none. */
static void work(struct runs *r)
{
	uint32_t i;

	while ((i = __atomic_fetch_add(r->taken, 1, __ATOMIC_RELAXED)) < r->count) {
		struct run *run = &r->run[i];

		run->result = r->program->search(run->situation, &r->options);
		run->done = true;
		fflush(stdout);
	}
}

static void work_all(struct runs *r)
{
	for (uint64_t job = 1; job < min_u64(r->options.jobs, r->count); job++) {
		pid_t pid = fork();

		if (pid < 0)
			break; /* then with fewer */
		if (pid == 0) {
			work(r);
			_exit(0);
		}
	}
	work(r);
	while (wait(NULL) > 0)
		;
}

/* sum_up: the last line; true when all is well. */
static bool sum_up(const struct runs *r, double secs)
{
	uint64_t states = 0, depth = 0;
	uint32_t violations = 0, incomplete = 0;

	for (uint32_t i = 0; i < r->count; i++) {
		const struct run *run = &r->run[i];

		states += run->result.states;
		depth = max_u64(depth, run->result.depth);
		violations += run->result.violated;
		incomplete += run->result.incomplete || !run->done;
	}
	printf("model: %u situations, %llu states, depth up to %llu, %s, %u violations, %.1f s\n",
	       r->count, (unsigned long long)states, (unsigned long long)depth,
	       incomplete + violations == 0 ? "complete" : "not complete", violations, secs);
	return incomplete + violations == 0;
}

static struct run *shared(const struct runs_program *p)
{
	size_t bytes = RUNS_MAX * sizeof(struct run) + sizeof(uint32_t);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			    0);

	if (memory == MAP_FAILED) {
		fprintf(stderr, "%s: out of memory\n", p->name);
		exit(2);
	}
	return memory;
}

int runs_main(int argc, char **argv, const struct runs_program *p)
{
	struct runs r = {
		.program = p,
		.options = { .states_max = STATES_MAX, .depth_max = p->depth_max,
			     .secs_max = 86400, .jobs = 1 },
		.run = shared(p),
	};
	double begin = runs_secs();

#ifdef CAIRN_MUTANTS
	const char *mutant = getenv("CAIRN_MUTANT");

	mutant_active = mutant ? (int)strtol(mutant, NULL, 10) : 0;
#endif
	must(p->count <= RUNS_MAX);
	r.taken = (uint32_t *)(void *)(r.run + RUNS_MAX);
	parse(&r, argc, argv);
	for (uint32_t i = 0, named = r.count; i < p->count && named == 0; i++)
		if (p->situations[i].ci || r.options.longer)
			r.run[r.count++].situation = i;
	work_all(&r);
	return sum_up(&r, runs_secs() - begin) ? 0 : 1;
}
