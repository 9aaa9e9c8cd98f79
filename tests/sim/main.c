/* SPDX-License-Identifier: Apache-2.0 */
/* cairn-sim: the command line, and one process per core over the seeds. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/sim.h"
#include "tests/sim/sim_shrink.h"

#define JOBS_MAX 64u

#ifdef CAIRN_MUTANTS
int mutant_active;
#endif

struct options {
	uint64_t from, count, ops_min, views_min, cuts_min;
	uint32_t nodes, jobs;
	enum plan_profile profile;
	bool trace, digest_only, one, shrink, failover;
	const char *history, *replay, *output;
};

/* One slot per process, in shared memory. */
struct job {
	uint64_t seed; /* the one it works on */
	struct sim_totals totals;
};

static void usage(FILE *out)
{
	fputs("usage: cairn-sim [--seeds N] [--from S] [--nodes 1..7] [--profile NAME]\n"
	      "                 [--jobs J] [--digest-only]\n"
	      "                 [--ops-min N]: fail with fewer operations checked\n"
	      "                 [--views-min N] [--partitions-min N]: or with fewer of these\n"
	      "       cairn-sim --seed S [--nodes 1..7] [--profile NAME] [--trace]\n"
	      "                 [--history FILE]\n"
	      "       cairn-sim --replay FILE [--trace] [--history FILE]\n"
	      "       cairn-sim --failover N [--from S] [--nodes 3|5] [--profile service|raft]\n"
	      "                 N seeds of each fault, production timers: how long others wait\n"
	      "       --no-shrink: leave a failing seed as it is\n"
	      "       --output FILE: where its shortest trace goes (sim-SEED.trace)\n"
#ifdef CAIRN_MUTANTS
	      "       --mutant N: with this deliberate fault (tests/mutants.h)\n"
#endif
	      "A whole cluster in virtual time. Exit: 0 clean, 1 violation or too little done, "
	      "2 wrong usage.\nProfiles:\n",
	      out);
	for (int i = 0; i < PROFILE_COUNT; i++)
		fprintf(out, "  %-15s %s\n", plan_profiles[i][0], plan_profiles[i][1]);
}

static enum plan_profile profile_named(const char *name)
{
	for (int i = 0; i < PROFILE_COUNT; i++) {
		if (strcmp(plan_profiles[i][0], name) == 0)
			return (enum plan_profile)i;
	}
	fprintf(stderr, "cairn-sim: --profile %s: there is no such one; --help lists them\n", name);
	exit(2);
}

static uint64_t number(const char *name, const char *text, uint64_t low, uint64_t high)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || *text == '-' || n < low || n > high) {
		fprintf(stderr, "cairn-sim: --%s %s: give a number from %llu to %llu\n", name, text,
			(unsigned long long)low, (unsigned long long)high);
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
	} else if (code == 'o') {
		o->ops_min = number(name, optarg, 0, UINT64_MAX);
	} else if (code == 'v') {
		o->views_min = number(name, optarg, 0, UINT64_MAX);
	} else if (code == 'P') {
		o->cuts_min = number(name, optarg, 0, UINT64_MAX);
	} else if (code == 'n') {
		o->nodes = (uint32_t)number(name, optarg, 1, NODES_MAX);
	} else if (code == 'j') {
		o->jobs = (uint32_t)number(name, optarg, 1, JOBS_MAX);
	} else if (code == 't') {
		o->trace = true;
	} else if (code == 'd') {
		o->digest_only = true;
	} else if (code == 'h') {
		o->history = optarg;
	} else if (code == 'p') {
		o->profile = profile_named(optarg);
	} else if (code == 'S') {
		o->shrink = false;
	} else if (code == 'O') {
		o->output = optarg;
	} else if (code == 'F') {
		o->count = number(name, optarg, 1, 1000000);
		o->failover = true;
	} else if (code == 'r') {
		o->replay = optarg;
		o->one = true;
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
		{ "ops-min", required_argument, NULL, 'o' },
		{ "views-min", required_argument, NULL, 'v' },
		{ "partitions-min", required_argument, NULL, 'P' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "trace", no_argument, NULL, 't' },
		{ "digest-only", no_argument, NULL, 'd' },
		{ "history", required_argument, NULL, 'h' },
		{ "profile", required_argument, NULL, 'p' },
		{ "no-shrink", no_argument, NULL, 'S' },
		{ "output", required_argument, NULL, 'O' },
		{ "replay", required_argument, NULL, 'r' },
		{ "failover", required_argument, NULL, 'F' },
#ifdef CAIRN_MUTANTS
		{ "mutant", required_argument, NULL, 'm' },
#endif
		{ "help", no_argument, NULL, 'H' },
		{ NULL, 0, NULL, 0 },
	};
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int code, which = 0;

	*o = (struct options){ .from = 1, .count = 100, .shrink = true };
	o->jobs = cores < 1 ? 1 : cores > JOBS_MAX ? JOBS_MAX : (uint32_t)cores;
	while ((code = getopt_long(argc, argv, "", longs, &which)) != -1)
		parse_one(o, code, longs[which].name);
	if (optind != argc || (!o->one && (o->trace || o->history))) {
		usage(stderr);
		exit(2);
	}
	if (o->one)
		o->count = o->jobs = 1;
	if (o->jobs > o->count)
		o->jobs = (uint32_t)o->count;
}

static void explain(const struct sim *s, const struct options *o)
{
	fprintf(stderr, "seed %llu: VIOLATION after %llu events: %s\n", (unsigned long long)s->seed,
		(unsigned long long)s->events, s->violation);
	fprintf(stderr, "seed %llu: replay: cairn-sim --seed %llu", (unsigned long long)s->seed,
		(unsigned long long)s->seed);
	if (o->nodes != 0)
		fprintf(stderr, " --nodes %u", o->nodes);
	if (o->profile != PROFILE_DEFAULT)
		fprintf(stderr, " --profile %s", plan_profiles[o->profile][0]);
#ifdef CAIRN_MUTANTS
	fprintf(stderr, " --mutant %d", mutant_active);
#endif
	fputs(" --trace\n", stderr);
}

/* shrink: the shortest trace that shows the same violation, into a file. */
static void shrink(struct sim *s, const struct options *o, uint64_t seed)
{
	char path[64], note[sizeof(s->violation) + 32];
	struct sim_shrunk shrunk;
	struct script script;
	int rc;

	script_init(&script);
	s->trace = s->history = NULL;
	if (sim_shrink(s, seed, o->nodes, &script, &shrunk)) {
		snprintf(path, sizeof(path), "sim-%llu.trace", (unsigned long long)seed);
		snprintf(note, sizeof(note), "seed %llu: %s", (unsigned long long)seed,
			 shrunk.violation);
		rc = script_write(&script, o->output ? o->output : path, note);
		fprintf(stderr, "seed %llu: %u of %u events do it (%u runs): %s\n",
			(unsigned long long)seed, script.count, shrunk.before, shrunk.runs,
			shrunk.violation);
		fprintf(stderr, "seed %llu: cairn-sim --replay %s --trace%s%s\n",
			(unsigned long long)seed, o->output ? o->output : path,
			rc == 0 ? "" : ": ", rc == 0 ? "" : strerror(-rc));
	} else {
		fprintf(stderr, "seed %llu: recorded, it does not fail the same way again\n",
			(unsigned long long)seed);
	}
	script_free(&script);
}

/* replay: one run from a file. */
static void replay(const struct options *o, struct sim *s, struct job *job)
{
	struct script script;
	uint32_t line;
	int rc;

	script_init(&script);
	rc = script_read(&script, o->replay, &line);
	if (rc != 0) {
		fprintf(stderr, "cairn-sim: %s: line %u: %s\n", o->replay, line, strerror(-rc));
		exit(2);
	}
	s->follow = &script;
	if (!sim_run(s, 0, 0, &job->totals))
		fprintf(stderr, "%s: VIOLATION after %llu events: %s\n", o->replay,
			(unsigned long long)s->events, s->violation);
	s->follow = NULL;
	script_free(&script);
}

/* work: every jobs-th seed, until all are done or one is violated. */
static void work(const struct options *o, struct job *job, uint32_t index)
{
	struct sim *s = sim_create();

	if (!s) {
		fputs("cairn-sim: out of memory\n", stderr);
		exit(1);
	}
	s->trace = o->trace ? stdout : NULL;
	s->profile = o->profile;
	if (o->history) {
		s->history = fopen(o->history, "w");
		if (!s->history) {
			fprintf(stderr, "cairn-sim: %s: %s\n", o->history, strerror(errno));
			exit(2);
		}
	}
	if (o->replay)
		replay(o, s, job);
	for (uint64_t i = index; !o->replay && i < o->count; i += o->jobs) {
		job->seed = o->from + i;
		if (sim_run(s, job->seed, o->nodes, &job->totals))
			continue;
		explain(s, o);
		if (o->shrink)
			shrink(s, o, job->seed);
		break;
	}
	if (s->history)
		fclose(s->history);
	sim_destroy(s);
}

static void fork_jobs(const struct options *o, struct job *jobs)
{
	pid_t pid[JOBS_MAX];

	fflush(NULL);
	for (uint32_t i = 0; i < o->jobs; i++) {
		pid[i] = fork();
		if (pid[i] < 0) {
			fprintf(stderr, "cairn-sim: fork: %s\n", strerror(errno));
			exit(1);
		}
		if (pid[i] == 0) {
			work(o, &jobs[i], i);
			exit(0);
		}
	}
	for (uint32_t i = 0; i < o->jobs; i++) {
		int status;

		if (waitpid(pid[i], &status, 0) == pid[i] && status == 0)
			continue;
		fprintf(stderr, "seed %llu: VIOLATION: the process died, wait status %d\n",
			(unsigned long long)jobs[i].seed, status);
		jobs[i].totals.violations++;
	}
}

static struct sim_totals sum(const struct options *o, const struct job *jobs)
{
	struct sim_totals t = { 0 };

	for (uint32_t i = 0; i < o->jobs; i++) {
		const struct sim_totals *j = &jobs[i].totals;

		t.seeds += j->seeds;
		t.events += j->events;
		t.ops += j->ops;
		t.unknown += j->unknown;
		t.violations += j->violations;
		t.digest += j->digest;
		t.virtual_ns += j->virtual_ns;
		t.views += j->views;
		t.leases += j->leases;
		t.promotions += j->promotions;
		t.agreed += j->agreed;
		t.elections += j->elections;
#define SIM_FAULT(name) t.name += j->name;
		SIM_FAULTS(SIM_FAULT)
#undef SIM_FAULT
	}
	return t;
}

static uint64_t wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void report(const struct options *o, const struct sim_totals *t, uint64_t spent_ns)
{
	const char *gap = "";
	uint64_t faults = 0;

	if (o->digest_only) {
		printf("%016llx\n", (unsigned long long)t->digest);
		return;
	}
	printf("sim: seeds %llu, events %llu, operations checked %llu (%llu unknown), faults",
	       (unsigned long long)t->seeds, (unsigned long long)t->events,
	       (unsigned long long)t->ops, (unsigned long long)t->unknown);
#define SIM_FAULT(name) faults += t->name;
	SIM_FAULTS(SIM_FAULT)
#undef SIM_FAULT
	printf(" %llu (", (unsigned long long)faults);
#define SIM_FAULT(name) printf("%s" #name " %llu", gap, (unsigned long long)t->name), gap = " ";
	SIM_FAULTS(SIM_FAULT)
#undef SIM_FAULT
	putchar(')');
	printf(", views %llu agreed %llu, elections %llu, leases %llu, joined %llu",
	       (unsigned long long)t->views, (unsigned long long)t->agreed,
	       (unsigned long long)t->elections, (unsigned long long)t->leases,
	       (unsigned long long)t->promotions);
	printf(", violations %llu, %llu events/s, digest %016llx\n",
	       (unsigned long long)t->violations,
	       (unsigned long long)(t->events * 1000 / (spent_ns / 1000000 + 1)),
	       (unsigned long long)t->digest);
}

/* A run that did less than it was asked to has shown nothing. */
static bool enough(const struct options *o, const struct sim_totals *t)
{
	if (t->seeds >= o->count && t->ops >= o->ops_min && t->agreed >= o->views_min &&
	    t->partitions >= o->cuts_min)
		return true;
	fprintf(stderr, "cairn-sim: %llu of %llu seeds, %llu of at least %llu operations checked, "
			"%llu of %llu views agreed on, %llu of %llu partitions\n",
		(unsigned long long)t->seeds, (unsigned long long)o->count,
		(unsigned long long)t->ops, (unsigned long long)o->ops_min,
		(unsigned long long)t->agreed, (unsigned long long)o->views_min,
		(unsigned long long)t->partitions, (unsigned long long)o->cuts_min);
	return false;
}

/* failover: figures; of one engine when the profile says so. */
static int failover(const struct options *o)
{
	int engine = o->profile == PROFILE_SERVICE ? ENGINE_HERMES :
		     o->profile == PROFILE_RAFT	   ? ENGINE_RAFT :
						     -1;

	return sim_failover_run(o->from, (uint32_t)o->count, o->nodes, engine, o->jobs) ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct options o;
	struct sim_totals totals;
	struct job *jobs;
	uint64_t start_ns = wall_ns();

	parse(argc, argv, &o);
	if (o.failover)
		return failover(&o);
	jobs = mmap(NULL, o.jobs * sizeof(*jobs), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (jobs == MAP_FAILED) {
		fprintf(stderr, "cairn-sim: mmap: %s\n", strerror(errno));
		return 1;
	}
	if (o.jobs == 1)
		work(&o, &jobs[0], 0);
	else
		fork_jobs(&o, jobs);
	totals = sum(&o, jobs);
	report(&o, &totals, wall_ns() - start_ns);
	return totals.violations == 0 && enough(&o, &totals) ? 0 : 1;
}
