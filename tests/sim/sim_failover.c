/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_failover.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/sim.h"

#define MS 1000000ull
#define SLOW_FACTOR 100u
#define SLOTS 128u	     /* of time, after a member has become slow; the first: before */
#define SLOT_NS (10 * MS)
#define BEFORE_NS (80 * MS)
#define BUCKETS 512u	     /* of latencies, 16 to each doubling */
#define LATE_NS (1 * MS)     /* a read that takes longer has waited for something */
#define JOBS_MAX 64u
#define LONG_SEEDS_MAX 50u   /* of a longer window, in which much is done: so many will do */
#define LAST_NS (100 * MS)   /* for what has begun by then */
#define RESUME_NS (100 * MS) /* updates go on by then, at the 99.9th percentile of all seeds */
#define SERVED_NS (600 * MS) /* a link is cut: whoever reaches both leads by then, at the latest */
#define CUT_NS (100 * MS)    /* so much longer it is looked at */
#define NEVER UINT64_MAX

/* What one seed has shown. */
struct outcome {
	bool counts; /* ran to its end, and the victim was there */
	bool violated;
	uint64_t first_ns, all_ns;  /* until updates succeed again: anybody's; everybody's */
	uint64_t reads, failed, late;
	uint64_t read_ns;	    /* slowest */
	uint64_t kept, kept_lost;   /* updates of shards that the victim did not lead */
	uint64_t kept_ns;	    /* slowest */
};

/* Latencies of updates at all but the slow node, by time. */
struct latencies {
	uint32_t count[SLOTS][BUCKETS];
};

struct job {
	struct latencies latencies;
	uint64_t views;
};

static uint32_t bucket_of(uint64_t ns)
{
	uint32_t top = ns < 16 ? 4 : 63 - (uint32_t)__builtin_clzll(ns);

	return (uint32_t)min_u64((top - 4) * 16 + (ns >> (top - 4) & 15), BUCKETS - 1);
}

static uint64_t bucket_ns(uint32_t bucket)
{
	return (16ull + bucket % 16) << (bucket / 16);
}

/* ---- the fault ------------------------------------------------------------------------------- */

static uint32_t shard_leader(const struct sim *s, uint16_t shard)
{
	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		const struct raft *r = s->node[n].up ?
			replica_raft(sim_node_replica((struct sim *)s, n, shard)) : NULL;

		if (r && raft_role(r) == RAFT_LEADER)
			return n;
	}
	return SIM_NONE;
}

static uint32_t victim_of(struct sim *s)
{
	uint64_t word = rng_next(&s->fault_rng);

	switch (s->failover->kind) {
	case FAILOVER_VIEW_LEADER:
		return sim_service_role(s, SIM_ROLE_LEADER, word);
	case FAILOVER_SHARD_LEADER:
	case FAILOVER_CUT_LINK:
		return shard_leader(s, 0);
	case FAILOVER_MEMBER:
	case FAILOVER_SLOW_DISK:
	case FAILOVER_SLOW_LINK:
	case FAILOVER_KINDS:
		break;
	}
	return sim_service_role(s, SIM_ROLE_MEMBER, word);
}

static void slow_links(struct sim *s, uint8_t node)
{
	uint64_t extra_ns = (SLOW_FACTOR - 1) *
			    (s->plan.net.delay_min_ns + s->plan.net.delay_jitter_ns);

	for (uint16_t port = 0; port < s->plan.nodes + s->plan.clients; port++) {
		if (port == node)
			continue;
		sim_net_slow(s->net, node, port, extra_ns, SIM_NEVER);
		sim_net_slow(s->net, port, node, extra_ns, SIM_NEVER);
	}
}

static void cut_link(struct sim *s, uint8_t node)
{
	uint64_t step = 1 + rng_below(&s->fault_rng, s->plan.nodes - 1u);
	uint8_t other = (uint8_t)((node + step) % s->plan.nodes);

	sim_net_cut(s->net, node, other, SIM_CLASS_ALL, SIM_NEVER);
	sim_net_cut(s->net, other, node, SIM_CLASS_ALL, SIM_NEVER);
}

void sim_failover_turn(struct sim *s)
{
	struct sim_failover *f = s->failover;
	uint32_t victim;

	if (f->done && f->end_ns <= s->now_ns && s->phase != PHASE_DONE) {
		s->abandoned = true; /* nobody comes back; what came before is checked */
		s->phase = PHASE_DONE;
		return;
	}
	if (f->done || f->at_ns > s->now_ns || s->phase != PHASE_FAULTS)
		return;
	f->done = true;
	victim = victim_of(s);
	f->victim = (uint8_t)victim;
	if (victim == SIM_NONE)
		return;
	for (uint16_t shard = 0; shard < s->plan.shards; shard++)
		f->led[shard] = shard_leader(s, shard) == victim;
	sim_trace(s, "failover: kind %u, node %u", f->kind, victim);
	if (f->kind == FAILOVER_SLOW_LINK) {
		slow_links(s, f->victim);
	} else if (f->kind == FAILOVER_CUT_LINK) {
		cut_link(s, f->victim);
	} else if (f->kind == FAILOVER_SLOW_DISK) {
		for (uint16_t w = 0; w < s->plan.workers; w++)
			sim_disk_slow(s->node[victim].worker[w].disk, SLOW_FACTOR, SIM_NEVER);
	} else {
		s->node[victim].outage_ns = 10 * f->window_ns;
		sim_node_crash(s, f->victim);
	}
}

/* ---- what the history says ------------------------------------------------------------------- */

static bool is_update(const struct check_op *o)
{
	return o->kind != CHECK_GET;
}

static bool was_done(const struct check_op *o)
{
	return o->outcome == STATUS_OK || o->outcome == STATUS_NOT_FOUND ||
	       o->outcome == STATUS_CONFLICT;
}

/* see_read: of a key that nobody updates; one that is never answered has failed. */
static void see_read(const struct check_op *o, struct outcome *out)
{
	uint64_t took_ns = o->end_ns - o->start_ns;

	out->reads++;
	out->failed += !was_done(o);
	out->late += was_done(o) && took_ns > LATE_NS;
	if (was_done(o))
		out->read_ns = max_u64(out->read_ns, took_ns);
}

/* see_kept: engine raft: updates of a shard that the victim did not lead need not wait. */
static void see_kept(const struct check_op *o, struct outcome *out)
{
	out->kept++;
	out->kept_lost += !was_done(o);
	if (was_done(o))
		out->kept_ns = max_u64(out->kept_ns, o->end_ns - o->start_ns);
}

static void see_killed(const struct sim *s, struct outcome *out)
{
	const struct sim_failover *f = s->failover;
	uint64_t again_ns[NODES_MAX][SIM_GROUPS_MAX];

	memset(again_ns, 0xff, sizeof(again_ns));
	for (uint32_t i = 0; i < s->op_count; i++) {
		const struct check_op *o = &s->op[i];
		uint8_t node = s->op_more[i].server;
		uint64_t *again = &again_ns[node][s->key[o->key].shard];

		if (node == f->victim || o->start_ns < f->at_ns ||
		    o->start_ns > f->at_ns + f->window_ns)
			continue;
		if (!is_update(o) && o->key >= s->plan.keys - s->plan.read_keys)
			see_read(o, out);
		if (is_update(o) && sim_is_raft(s) && !f->led[s->key[o->key].shard])
			see_kept(o, out);
		if (is_update(o) && was_done(o))
			*again = min_u64(*again, o->end_ns - f->at_ns);
	}
	out->first_ns = NEVER;
	for (uint32_t key = 0; key < s->plan.keys - s->plan.read_keys; key++) {
		for (uint8_t n = 0; n < s->plan.nodes; n++) {
			if (n == f->victim)
				continue;
			out->first_ns = min_u64(out->first_ns, again_ns[n][s->key[key].shard]);
			out->all_ns = max_u64(out->all_ns, again_ns[n][s->key[key].shard]);
		}
	}
}

/*
 * see_cut: clients of every node, who all stay with theirs: until each shard's updates succeed
 * there, and what is not done any more after SERVED_NS.
 */
static void see_cut(const struct sim *s, struct outcome *out)
{
	const struct sim_failover *f = s->failover;
	uint64_t again_ns[NODES_MAX][SIM_GROUPS_MAX];

	memset(again_ns, 0xff, sizeof(again_ns));
	for (uint32_t i = 0; i < s->op_count; i++) {
		const struct check_op *o = &s->op[i];
		uint64_t *again = &again_ns[s->op_more[i].server][s->key[o->key].shard];

		if (o->start_ns < f->at_ns || o->start_ns > f->at_ns + f->window_ns)
			continue;
		if (is_update(o) && was_done(o))
			*again = min_u64(*again, o->end_ns - f->at_ns);
		out->kept += o->start_ns >= f->at_ns + SERVED_NS;
		out->kept_lost += o->start_ns >= f->at_ns + SERVED_NS && !was_done(o);
	}
	for (uint32_t key = 0; key < s->plan.keys - s->plan.read_keys; key++)
		for (uint8_t n = 0; n < s->plan.nodes; n++)
			out->all_ns = max_u64(out->all_ns, again_ns[n][s->key[key].shard]);
}

static void see_slow(const struct sim *s, struct latencies *l)
{
	const struct sim_failover *f = s->failover;

	for (uint32_t i = 0; i < s->op_count; i++) {
		const struct check_op *o = &s->op[i];
		uint64_t slot = 0;

		if (!is_update(o) || s->op_more[i].server == f->victim ||
		    o->start_ns + BEFORE_NS < f->at_ns)
			continue;
		if (o->start_ns < f->at_ns && o->end_ns >= f->at_ns)
			continue;
		if (o->start_ns >= f->at_ns)
			slot = 1 + (o->start_ns - f->at_ns) / SLOT_NS;
		if (slot < SLOTS && o->start_ns < f->at_ns + f->window_ns)
			l->count[slot][was_done(o) ? bucket_of(o->end_ns - o->start_ns) :
						     BUCKETS - 1]++;
	}
}

/* ---- many seeds ------------------------------------------------------------------------------ */

struct batch {
	uint64_t from;
	uint32_t seeds, nodes, jobs;
	enum failover_kind kind;
	bool raft;
	struct outcome *outcome; /* by seed */
	struct job *job;
};

static bool is_slow(enum failover_kind kind)
{
	return kind == FAILOVER_SLOW_DISK || kind == FAILOVER_SLOW_LINK;
}

static bool of_raft_only(enum failover_kind kind)
{
	return kind == FAILOVER_SHARD_LEADER || kind == FAILOVER_CUT_LINK;
}

static uint64_t window_of(enum failover_kind kind)
{
	return is_slow(kind) || kind == FAILOVER_CUT_LINK ? SERVED_NS + CUT_NS : 120 * MS;
}

static void run_seed(struct sim *s, const struct batch *b, uint64_t seed, struct outcome *out,
		     struct job *job)
{
	struct rng r = rng_make(seed, 5);
	struct sim_totals totals = { 0 };
	struct sim_failover f = { .kind = b->kind,
				  .at_ns = 120 * MS + rng_below(&r, 40 * MS),
				  .window_ns = window_of(b->kind) };

	f.end_ns = f.at_ns + f.window_ns + LAST_NS;
	s->failover = &f;
	s->profile = b->raft ? PROFILE_PRODUCTION_RAFT : PROFILE_PRODUCTION;
	out->violated = !sim_run(s, seed, b->nodes, &totals);
	if (out->violated)
		fprintf(stderr, "seed %llu: VIOLATION: %s\n", (unsigned long long)seed,
			s->violation);
	out->counts = !out->violated && f.done && f.victim < s->plan.nodes;
	if (out->counts && is_slow(b->kind))
		see_slow(s, &job->latencies);
	else if (out->counts && b->kind == FAILOVER_CUT_LINK)
		see_cut(s, out);
	else if (out->counts)
		see_killed(s, out);
	job->views += s->service.views;
	s->failover = NULL;
}

static void work(const struct batch *b, uint32_t index)
{
	struct sim *s = sim_create();

	must(s != NULL);
	for (uint32_t i = index; i < b->seeds; i += b->jobs)
		run_seed(s, b, b->from + i, &b->outcome[i], &b->job[index]);
	sim_destroy(s);
}

static bool fork_all(const struct batch *b)
{
	pid_t pid[JOBS_MAX];
	bool good = true;

	fflush(NULL);
	for (uint32_t i = 0; i < b->jobs; i++) {
		pid[i] = fork();
		must(pid[i] >= 0);
		if (pid[i] == 0) {
			work(b, i);
			exit(0);
		}
	}
	for (uint32_t i = 0; i < b->jobs; i++) {
		int status;

		good &= waitpid(pid[i], &status, 0) == pid[i] && status == 0;
	}
	return good;
}

/* ---- figures --------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void print_ns(uint64_t ns)
{
	if (ns == NEVER)
		printf(" never");
	else
		printf(" %llu.%02llu", (unsigned long long)(ns / MS),
		       (unsigned long long)(ns % MS / 10000));
}

/* print_spread: p50, p99, p99.9 and worst of some times; returns p99.9. */
static uint64_t print_spread(const char *name, uint64_t *ns, uint32_t count)
{
	static const uint32_t permille[] = { 500, 990, 999, 1000 };

	qsort(ns, count, sizeof(*ns), compare);
	printf("  %s, ms: p50/p99/p99.9/max", name);
	for (uint32_t i = 0; i < ARRAY_LEN(permille) && count > 0; i++)
		print_ns(ns[min_u64((uint64_t)count * permille[i] / 1000, count - 1)]);
	putchar('\n');
	return count > 0 ? ns[min_u64((uint64_t)count * 999 / 1000, count - 1)] : NEVER;
}

/* kept_promises: with hermes reads do not even wait; with raft none stays unanswered. */
static bool kept_promises(const struct batch *b, uint64_t resumed_ns, uint64_t failed,
			  uint64_t late)
{
	bool good = resumed_ns <= RESUME_NS && failed == 0 && (b->raft || late == 0);

	if (!good)
		puts("  NOT KEPT: updates again within 100 ms at p99.9, reads without a gap");
	return good;
}

static bool report_killed(const struct batch *b)
{
	uint64_t *first = calloc(b->seeds, sizeof(*first)), *all = calloc(b->seeds, sizeof(*all));
	uint64_t *read = calloc(b->seeds, sizeof(*read)), *kept = calloc(b->seeds, sizeof(*kept));
	uint64_t reads = 0, failed = 0, late = 0, updates = 0, lost = 0;
	uint64_t resumed_ns;
	uint32_t count = 0;

	must(first && all && read && kept);
	for (uint32_t i = 0; i < b->seeds; i++) {
		const struct outcome *o = &b->outcome[i];

		if (!o->counts)
			continue;
		first[count] = o->first_ns;
		all[count] = o->all_ns;
		kept[count] = o->kept_ns;
		updates += o->kept;
		lost += o->kept_lost;
		read[count++] = o->read_ns;
		reads += o->reads;
		failed += o->failed;
		late += o->late;
	}
	printf("  seeds that count %u; reads of valid keys at survivors %llu, not served %llu, "
	       "over 1 ms %llu\n", count, (unsigned long long)reads, (unsigned long long)failed,
	       (unsigned long long)late);
	print_spread("first update again", first, count);
	resumed_ns = print_spread("updates of every shard at every survivor again", all, count);
	print_spread("slowest such read", read, count);
	if (b->raft) {
		printf("  updates of shards it did not lead at survivors %llu, not answered %llu\n",
		       (unsigned long long)updates, (unsigned long long)lost);
		print_spread("slowest of them", kept, count);
	}
	free(kept);
	free(first);
	free(all);
	free(read);
	return kept_promises(b, resumed_ns, failed, late);
}

static bool report_cut(const struct batch *b)
{
	uint64_t *all = calloc(b->seeds, sizeof(*all));
	uint64_t asked = 0, lost = 0;
	uint32_t count = 0;
	bool good;

	must(all != NULL);
	for (uint32_t i = 0; i < b->seeds; i++) {
		const struct outcome *o = &b->outcome[i];

		if (!o->counts)
			continue;
		all[count++] = o->all_ns;
		asked += o->kept;
		lost += o->kept_lost;
	}
	printf("  seeds that count %u; operations at all nodes after 600 ms %llu, "
	       "not served %llu\n", count, (unsigned long long)asked, (unsigned long long)lost);
	print_spread("updates of every shard at every node again", all, count);
	good = count > 0 && all[count - 1] <= SERVED_NS && asked > 0 && lost == 0;
	if (!good)
		puts("  NOT KEPT: clients of both ends of a cut link served again within 600 ms");
	free(all);
	return good;
}

/* p99_of: UINT64_MAX: some are never answered; 0: there were none. */
static uint64_t p99_of(const uint32_t *count)
{
	uint64_t total = 0, seen = 0;

	for (uint32_t i = 0; i < BUCKETS; i++)
		total += count[i];
	for (uint32_t i = 0; i < BUCKETS; i++) {
		seen += count[i];
		if (total != 0 && seen * 100 >= total * 99)
			return i == BUCKETS - 1 ? NEVER : bucket_ns(i);
	}
	return 0;
}

/* report_slow: pooled over all seeds: what others wait, in each slot of time after the fault. */
static void report_slow(const struct batch *b)
{
	struct latencies *sum = calloc(1, sizeof(*sum));
	uint64_t healthy, worst = 0, well_ns = 0;

	must(sum != NULL);
	for (uint32_t j = 0; j < b->jobs; j++)
		for (uint32_t i = 0; i < SLOTS * BUCKETS; i++)
			sum->count[i / BUCKETS][i % BUCKETS] +=
				b->job[j].latencies.count[i / BUCKETS][i % BUCKETS];
	healthy = p99_of(sum->count[0]);
	for (uint32_t slot = 1; slot < SLOTS; slot++) {
		uint64_t p99 = p99_of(sum->count[slot]);

		worst = max_u64(worst, p99);
		if (p99 > 2 * healthy)
			well_ns = slot * SLOT_NS;
	}
	printf("  p99 of the others' updates, ms: before");
	print_ns(healthy);
	printf(", worst 10 ms");
	print_ns(worst);
	printf(", within twice for good after");
	print_ns(well_ns);
	putchar('\n');
	free(sum);
}

static const char *const kind_names[FAILOVER_KINDS] = {
	[FAILOVER_VIEW_LEADER] = "view leader killed",
	[FAILOVER_MEMBER] = "another member killed",
	[FAILOVER_SHARD_LEADER] = "leader of a shard killed",
	[FAILOVER_SLOW_DISK] = "a member's disk 100 x slower",
	[FAILOVER_SLOW_LINK] = "a member's links 100 x slower",
	[FAILOVER_CUT_LINK] = "the link between a shard's leader and a member cut",
};

static void *shared(uint64_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	must(mem != MAP_FAILED);
	return mem;
}

static bool run_batch(struct batch *b)
{
	uint64_t outcome_bytes = b->seeds * sizeof(struct outcome);
	uint64_t job_bytes = b->jobs * sizeof(struct job);
	bool good;

	b->outcome = shared(outcome_bytes);
	b->job = shared(job_bytes);
	good = fork_all(b);
	for (uint32_t i = 0; i < b->seeds; i++)
		good &= !b->outcome[i].violated;
	printf("%s, %u nodes, %s, %u seeds%s\n", b->raft ? "raft" : "hermes", b->nodes,
	       kind_names[b->kind], b->seeds, good ? "" : ": VIOLATIONS");
	if (is_slow(b->kind))
		report_slow(b);
	else if (b->kind == FAILOVER_CUT_LINK)
		good &= report_cut(b);
	else
		good &= report_killed(b);
	munmap(b->outcome, outcome_bytes);
	munmap(b->job, job_bytes);
	return good;
}

bool sim_failover_run(uint64_t from, uint32_t seeds, uint32_t nodes, int engine, uint32_t jobs)
{
	bool good = true;

	for (uint32_t i = 0; i < 4u * FAILOVER_KINDS; i++) {
		struct batch b = { .from = from,
				   .seeds = seeds,
				   .kind = (enum failover_kind)(i % FAILOVER_KINDS),
				   .nodes = i / FAILOVER_KINDS % 2 == 0 ? 3 : 5,
				   .raft = i / FAILOVER_KINDS / 2 == 1 };

		if ((nodes != 0 && b.nodes != nodes) || (engine >= 0 && b.raft != (engine != 0)) ||
		    (of_raft_only(b.kind) && !b.raft))
			continue;
		if (is_slow(b.kind) || b.kind == FAILOVER_CUT_LINK)
			b.seeds = (uint32_t)min_u64(b.seeds, LONG_SEEDS_MAX);
		b.jobs = (uint32_t)min_u64(jobs, b.seeds);
		good &= run_batch(&b);
	}
	return good;
}
