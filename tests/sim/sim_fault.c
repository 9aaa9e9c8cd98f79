/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of processes, links and disks, as the plan says: when, whom, how long. */
#include <errno.h>

#include "tests/sim/sim.h"

#define BUSY_RETRY_NS 3000ull /* a crash that waits for a write in flight looks again after this */
#define BUSY_TRIES 60u

static uint64_t next_after(struct sim *s, const struct plan_fault *fault)
{
	if (fault->every_ns == 0)
		return SIM_NEVER;
	return s->now_ns + 1 + rng_exponential(&s->fault_rng, fault->every_ns);
}

static uint64_t length_of(struct sim *s, const struct plan_fault *fault)
{
	return 1 + rng_exponential(&s->fault_rng, fault->length_ns);
}

static uint8_t some_node(struct sim *s)
{
	return (uint8_t)rng_below(&s->fault_rng, s->plan.nodes);
}

/* fault_schedule: when sim_fault_turn has something to do. */
static void fault_schedule(struct sim *s)
{
	uint64_t due_ns = min_u64(min_u64(s->crash_ns, s->partition_ns),
				  min_u64(s->pause_ns, s->disk_error_ns));

	due_ns = min_u64(due_ns, s->heal_ns);
	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		if (!s->node[n].up)
			due_ns = min_u64(due_ns, s->node[n].restart_ns);
		else
			due_ns = min_u64(due_ns, s->node[n].disk_error_ns);
	}
	s->fault_due_ns = due_ns;
}

void sim_fault_start(struct sim *s)
{
	s->crash_ns = next_after(s, &s->plan.crash);
	s->partition_ns = next_after(s, &s->plan.partition);
	s->pause_ns = next_after(s, &s->plan.pause);
	s->disk_error_ns = next_after(s, &s->plan.disk_error);
	s->heal_ns = SIM_NEVER;
	sim_net_set_faults(s->net, &s->plan.net);
	fault_schedule(s);
}

static void crash_one(struct sim *s, uint8_t node)
{
	if (!s->node[node].up)
		return;
	sim_node_crash(s, node);
	s->node[node].restart_ns = s->now_ns + length_of(s, &s->plan.crash);
}

static bool node_writes(const struct sim *s, uint8_t node)
{
	const struct sim_node *n = &s->node[node];

	for (uint16_t w = 0; n->up && w < s->plan.workers; w++) {
		if (sim_disk_next_ns(n->worker[w].disk) != SIM_NEVER)
			return true;
	}
	return false;
}

static void crash(struct sim *s)
{
	uint8_t node = some_node(s);
	uint64_t kind = rng_below(&s->fault_rng, 1000000);

	if (rng_chance(&s->fault_rng, s->plan.crash_busy_ppm) && !node_writes(s, node) &&
	    rng_below(&s->fault_rng, BUSY_TRIES) != 0) {
		s->crash_ns = s->now_ns + BUSY_RETRY_NS;
		return;
	}
	crash_one(s, node);
	if (kind < s->plan.crash_all_ppm) {
		for (uint8_t n = 0; n < s->plan.nodes; n++)
			crash_one(s, n);
	} else if (kind < 2 * s->plan.crash_all_ppm) {
		crash_one(s, (uint8_t)((node + 1u) % s->plan.nodes));
	}
	s->crash_ns = next_after(s, &s->plan.crash);
}

/* partition: isolate one, split in two, cut one pair, each in one or both directions. */
static void partition(struct sim *s)
{
	uint64_t kind = rng_below(&s->fault_rng, 3);
	bool both = rng_chance(&s->fault_rng, 600000);
	uint8_t one = some_node(s), other = some_node(s);
	uint64_t side = rng_next(&s->fault_rng);

	for (uint8_t a = 0; a < s->plan.nodes; a++) {
		for (uint8_t b = 0; b < s->plan.nodes; b++) {
			bool a_in = kind == 0 ? a == one : (side >> a & 1) != 0;
			bool b_in = kind == 0 ? b == one : (side >> b & 1) != 0;
			bool cut = a_in && !b_in;

			if (kind == 2)
				cut = a == one && b == other;
			if (!cut || a == b)
				continue;
			sim_net_cut(s->net, a, b, true);
			if (both)
				sim_net_cut(s->net, b, a, true);
		}
	}
	s->partitions++;
	sim_trace(s, "partition kind %llu of node %u", (unsigned long long)kind, one);
	s->heal_ns = s->now_ns + length_of(s, &s->plan.partition);
	s->partition_ns = SIM_NEVER;
}

static void heal(struct sim *s)
{
	sim_net_heal(s->net);
	sim_trace(s, "partition heals");
	s->heal_ns = SIM_NEVER;
	s->partition_ns = next_after(s, &s->plan.partition);
}

static void pause_node(struct sim *s)
{
	uint8_t node = some_node(s);

	if (s->node[node].up) {
		sim_node_pause(s, node, s->now_ns + length_of(s, &s->plan.pause));
		s->pauses++;
	}
	s->pause_ns = next_after(s, &s->plan.pause);
}

/* disk_error: one of the next writes fails; later the process is replaced. */
static void disk_error(struct sim *s)
{
	uint8_t node = some_node(s);
	struct sim_node *n = &s->node[node];
	uint16_t worker = (uint16_t)rng_below(&s->fault_rng, s->plan.workers);

	if (n->up && n->disk_error_ns == SIM_NEVER) {
		sim_disk_fail_write(n->worker[worker].disk, rng_range(&s->fault_rng, 1, 3), -EIO);
		n->disk_error_ns = s->now_ns + length_of(s, &s->plan.disk_error);
		s->disk_errors++;
		sim_trace(s, "disk of node %u worker %u will fail", node, worker);
	}
	s->disk_error_ns = next_after(s, &s->plan.disk_error);
}

static void replace_process(struct sim *s, uint8_t node)
{
	sim_node_crash(s, node);
	sim_node_start(s, node);
}

void sim_fault_turn(struct sim *s)
{
	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		if (!s->node[n].up && s->node[n].restart_ns <= s->now_ns)
			sim_node_start(s, n);
		else if (s->node[n].up && s->node[n].disk_error_ns <= s->now_ns)
			replace_process(s, n);
	}
	if (s->crash_ns <= s->now_ns)
		crash(s);
	if (s->partition_ns <= s->now_ns)
		partition(s);
	if (s->heal_ns <= s->now_ns)
		heal(s);
	if (s->pause_ns <= s->now_ns)
		pause_node(s);
	if (s->disk_error_ns <= s->now_ns)
		disk_error(s);
	fault_schedule(s);
}

void sim_fault_stop(struct sim *s)
{
	struct sim_net_faults healthy = { .delay_min_ns = s->plan.net.delay_min_ns,
					  .delay_jitter_ns = s->plan.net.delay_jitter_ns };

	s->crash_ns = s->partition_ns = s->heal_ns = s->pause_ns = s->disk_error_ns = SIM_NEVER;
	sim_net_set_faults(s->net, &healthy);
	sim_net_heal(s->net);
	sim_trace(s, "faults stop");
	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		s->node[n].paused_ns = 0;
		for (uint16_t w = 0; s->node[n].up && w < s->plan.workers; w++)
			s->node[n].worker[w].due_ns = max_u64(s->now_ns, s->node[n].ready_ns);
		if (!s->node[n].up)
			sim_node_start(s, n);
		else if (s->node[n].disk_error_ns != SIM_NEVER)
			replace_process(s, n);
	}
	fault_schedule(s);
}
