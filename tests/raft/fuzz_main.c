/* SPDX-License-Identifier: Apache-2.0 */
/* cairn-raft-fuzz: the command line, and one process per job over the seeds. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/raft/fuzz.h"

#define JOBS_MAX 64u
#define LL(n)	 ((unsigned long long)(n))

#ifdef CAIRN_MUTANTS
int mutant_active;
#endif

struct options {
	uint64_t from, count, events_min;
	uint32_t nodes, jobs;
	bool trace, digest_only, one;
};

struct totals {
	uint64_t seeds, events, digest, violations;
#define TOTAL(name) uint64_t name;
	FUZZ_COUNTS(TOTAL)
	RIG_COUNTS(TOTAL)
#undef TOTAL
};

static uint64_t current_seed;

_Noreturn void must_failed(const char *expression, const char *file, int line)
{
	fflush(stdout);
	fprintf(stderr, "seed %llu: VIOLATION: must: %s:%d: %s\n", LL(current_seed), file, line,
		expression);
	_exit(1);
}

static void usage(FILE *out)
{
	fputs("usage: cairn-raft-fuzz [--seeds N] [--from S] [--nodes 1..7] [--jobs J]\n"
	      "                       [--digest-only]\n"
	      "                       [--events-min N]: fail with fewer events\n"
	      "       cairn-raft-fuzz --seed S [--nodes 1..7] [--trace]\n"
#ifdef CAIRN_MUTANTS
	      "       --mutant N: with this deliberate fault (tests/mutants.h)\n"
#endif
	      "Random runs of the Raft core. Exit: 0 clean, 1 violation or too little done, "
	      "2 wrong usage.\n",
	      out);
}

static uint64_t number(const char *name, const char *text, uint64_t low, uint64_t high)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || *text == '-' || n < low || n > high) {
		fprintf(stderr, "cairn-raft-fuzz: --%s %s: give a number from %llu to %llu\n", name,
			text, LL(low), LL(high));
		exit(2);
	}
	return n;
}

static void parse_one(struct options *o, int code, const char *name)
{
	if (code == 's') {
		o->from = number(name, optarg, 0, UINT64_MAX);
		o->one = true;
	} else if (code == 'c') {
		o->count = number(name, optarg, 1, 1000000000);
	} else if (code == 'f') {
		o->from = number(name, optarg, 0, UINT64_MAX / 2);
	} else if (code == 'e') {
		o->events_min = number(name, optarg, 0, UINT64_MAX);
	} else if (code == 'n') {
		o->nodes = (uint32_t)number(name, optarg, 1, NODES_MAX);
	} else if (code == 'j') {
		o->jobs = (uint32_t)number(name, optarg, 1, JOBS_MAX);
	} else if (code == 't') {
		o->trace = true;
	} else if (code == 'd') {
		o->digest_only = true;
#ifdef CAIRN_MUTANTS
	} else if (code == 'm') {
		mutant_active = (int)number(name, optarg, 0, 1000);
#endif
	} else {
		usage(code == 'H' ? stdout : stderr);
		exit(code == 'H' ? 0 : 2);
	}
}

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "seeds", required_argument, NULL, 'c' },
		{ "from", required_argument, NULL, 'f' },
		{ "nodes", required_argument, NULL, 'n' },
		{ "events-min", required_argument, NULL, 'e' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "trace", no_argument, NULL, 't' },
		{ "digest-only", no_argument, NULL, 'd' },
#ifdef CAIRN_MUTANTS
		{ "mutant", required_argument, NULL, 'm' },
#endif
		{ "help", no_argument, NULL, 'H' },
		{ NULL, 0, NULL, 0 },
	};
	int code, which = 0;

	*o = (struct options) { .from = 1, .count = 100, .jobs = 1 };
	while ((code = getopt_long(argc, argv, "", longs, &which)) != -1)
		parse_one(o, code, longs[which].name);
	if (optind != argc || (!o->one && o->trace)) {
		usage(stderr);
		exit(2);
	}
	if (o->one)
		o->count = o->jobs = 1;
	if (o->jobs > o->count)
		o->jobs = (uint32_t)o->count;
}

static void explain(const struct fuzz *f, const struct options *o)
{
	fflush(stdout);
	fprintf(stderr, "seed %llu: VIOLATION: %s\n", LL(f->seed), f->rig->failure);
	fprintf(stderr, "seed %llu: replay: cairn-raft-fuzz --seed %llu", LL(f->seed), LL(f->seed));
	if (o->nodes != 0)
		fprintf(stderr, " --nodes %u", o->nodes);
#ifdef CAIRN_MUTANTS
	fprintf(stderr, " --mutant %d", mutant_active);
#endif
	fputs(" --trace\n", stderr);
}

/* work: every jobs-th seed, until all are done or one is violated. */
static void work(const struct options *o, struct totals *t, uint32_t index)
{
	struct fuzz *f = fuzz_create();

	f->trace = o->trace;
	for (uint64_t i = index; i < o->count; i += o->jobs) {
		current_seed = o->from + i;
		if (!fuzz_run(f, current_seed, o->nodes)) {
			explain(f, o);
			t->violations++;
			break;
		}
		t->seeds++;
		t->digest += rng_mix(f->rig->digest ^ current_seed);
	}
	t->events = f->events;
#define TOTAL(name) t->name = f->name;
	FUZZ_COUNTS(TOTAL)
#undef TOTAL
#define TOTAL(name) t->name = f->rig->name;
	RIG_COUNTS(TOTAL)
#undef TOTAL
	fuzz_destroy(f);
}

static void fork_jobs(const struct options *o, struct totals *totals)
{
	pid_t pid[JOBS_MAX];

	fflush(NULL);
	for (uint32_t i = 0; i < o->jobs; i++) {
		pid[i] = fork();
		if (pid[i] < 0) {
			fprintf(stderr, "cairn-raft-fuzz: fork: %s\n", strerror(errno));
			exit(1);
		}
		if (pid[i] == 0) {
			work(o, &totals[i], i);
			exit(0);
		}
	}
	for (uint32_t i = 0; i < o->jobs; i++) {
		int status;

		if (waitpid(pid[i], &status, 0) != pid[i] || status != 0)
			totals[i].violations++;
	}
}

static void add(struct totals *sum, const struct totals *t)
{
	sum->seeds += t->seeds;
	sum->events += t->events;
	sum->digest += t->digest;
	sum->violations += t->violations;
#define TOTAL(name) sum->name += t->name;
	FUZZ_COUNTS(TOTAL)
	RIG_COUNTS(TOTAL)
#undef TOTAL
}

static uint64_t wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void report(const struct options *o, const struct totals *t, uint64_t spent_ns)
{
	if (o->digest_only) {
		printf("%016llx\n", LL(t->digest));
		return;
	}
	printf("raft: seeds %llu, events %llu (", LL(t->seeds), LL(t->events));
#define TOTAL(name) printf(#name " %llu ", LL(t->name));
	FUZZ_COUNTS(TOTAL)
	RIG_COUNTS(TOTAL)
#undef TOTAL
	printf("), violations %llu, %llu events/s, digest %016llx\n", LL(t->violations),
	       LL(t->events * 1000 / (spent_ns / 1000000 + 1)), LL(t->digest));
}

int main(int argc, char **argv)
{
	struct totals *totals, sum = { 0 };
	uint64_t start_ns = wall_ns();
	struct options o;

	parse(argc, argv, &o);
	totals = mmap(NULL, o.jobs * sizeof(*totals), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (totals == MAP_FAILED) {
		fprintf(stderr, "cairn-raft-fuzz: mmap: %s\n", strerror(errno));
		return 1;
	}
	if (o.jobs == 1)
		work(&o, &totals[0], 0);
	else
		fork_jobs(&o, totals);
	for (uint32_t i = 0; i < o.jobs; i++)
		add(&sum, &totals[i]);
	report(&o, &sum, wall_ns() - start_ns);
	if (sum.violations == 0 && (sum.seeds < o.count || sum.events < o.events_min)) {
		fprintf(stderr, "cairn-raft-fuzz: %llu of %llu seeds, %llu events\n", LL(sum.seeds),
			LL(o.count), LL(sum.events));
		return 1;
	}
	return sum.violations == 0 ? 0 : 1;
}
