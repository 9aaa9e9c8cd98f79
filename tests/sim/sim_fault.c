/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of processes, links, disks and clocks. Drawn here, when, whom, how long, as the plan says;
 * or taken from a script. Either way each is one struct script_event, and inject() does it.
 */
#include <errno.h>

#include "tests/sim/script.h"
#include "tests/sim/sim.h"

#define BUSY_RETRY_NS 3000ull /* a crash that waits for a write in flight looks again after this */
#define BUSY_TRIES 60u
#define STEP_MAX 12u

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

/* victim: any node, or one that is looked for by what it is in the cluster now. */
static uint8_t victim(struct sim *s)
{
	uint8_t any = some_node(s);
	uint32_t node = SIM_NONE;

	if (rng_chance(&s->fault_rng, s->plan.service.role_ppm)) {
		enum sim_role role = (enum sim_role)rng_below(&s->fault_rng, SIM_ROLE_COUNT);

		node = sim_service_role(s, role, rng_next(&s->fault_rng));
	}
	return node == SIM_NONE ? any : (uint8_t)node;
}

static const struct plan_fault *plan_of(const struct sim *s, enum sim_fault fault)
{
	const struct plan *p = &s->plan;
	const struct plan_fault *const faults[] = {
		[FAULT_CRASH] = &p->crash,	   [FAULT_PARTITION] = &p->partition,
		[FAULT_SLOW] = &p->slow,	   [FAULT_CLOG] = &p->clog,
		[FAULT_REPLAY] = &p->replay,	   [FAULT_PAUSE] = &p->pause,
		[FAULT_DISK_ERROR] = &p->disk_error, [FAULT_LOST_WRITE] = &p->lost_write,
		[FAULT_MISDIRECT] = &p->misdirect, [FAULT_ROT] = &p->rot,
		[FAULT_CLOCK] = &p->clock,	   [FAULT_EXCLUDE] = &p->views.exclude,
		[FAULT_DEMOTE] = &p->views.demote, [FAULT_COMMAND] = &p->service.command,
		[FAULT_FLAP] = &p->service.flap, [FAULT_SLOW_NODE] = &p->service.slow_node,
	};

	return faults[fault];
}

/* fault_schedule: when sim_fault_turn has something to do. */
static void fault_schedule(struct sim *s)
{
	const struct script_event *e = NULL;
	uint64_t due_ns = s->view_due_ns;

	if (s->follow && s->phase == PHASE_FAULTS)
		e = script_peek(s->follow, SCRIPT_FAULTS);
	if (e)
		due_ns = min_u64(due_ns, max_u64(e->ns, s->now_ns));
	for (uint32_t f = 0; f < FAULT_COUNT; f++)
		due_ns = min_u64(due_ns, s->fault_ns[f]);
	if (s->failover)
		due_ns = min_u64(due_ns, s->failover->done ? s->failover->end_ns :
							     s->failover->at_ns);
	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		if (!s->node[n].up)
			due_ns = min_u64(due_ns, s->node[n].restart_ns);
		else
			due_ns = min_u64(due_ns, s->node[n].disk_error_ns);
		due_ns = min_u64(due_ns, s->node[n].clock_end_ns);
	}
	s->fault_due_ns = due_ns;
}

/* set_clocks: each node has an origin and a rate of its own. */
static void set_clocks(struct sim *s)
{
	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		struct rng r = rng_make(s->seed, 16u + n);

		s->node[n].rate_ppm = (uint32_t)(1000000 - s->plan.drift_ppm +
						 rng_range(&r, 0, 2 * s->plan.drift_ppm));
		s->node[n].clock.local_ns = 1 + rng_below(&r, 1000000000);
		sim_node_clock_rate(s, n, s->node[n].rate_ppm);
	}
}

void sim_fault_start(struct sim *s)
{
	memset(s->injected, 0, sizeof(s->injected));
	s->flaps = 0;
	set_clocks(s);
	for (uint32_t f = 0; f < FAULT_COUNT; f++)
		s->fault_ns[f] = s->follow ? SIM_NEVER : next_after(s, plan_of(s, f));
	sim_net_set_faults(s->net, &s->plan.net);
	s->view_due_ns = SIM_NEVER;
	sim_view_start(s);
	fault_schedule(s);
}

/*
 * sim_fault_precious: while a disk is damaged, or a new one not yet filled, all other nodes are
 * left alone: one damage at a time, and what it hit is whole elsewhere (docs/testing.md).
 */
bool sim_fault_precious(struct sim *s, uint8_t node)
{
	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		if (n != node && (s->node[n].damaged || s->node[n].blank))
			return true;
	}
	return false;
}

/* can_replace: the members of the group go on without one of them, and nobody is on the way. */
static bool can_replace(const struct raft *r)
{
	const struct raft_conf *conf = raft_conf(r);

	return raft_bits(conf->voters) >= 3 && conf->voters_old == 0 && conf->learners == 0;
}

/* leaving: an operator has asked for somebody to come or go, or may have. */
static bool leaving(struct sim *s)
{
	/* A witness never leads: what it has acknowledged, the other one's disk alone can tell. */
	if (s->plan.service.witness != 0)
		return true;
	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		const struct membership *m = sim_node_service(s, n);

		if (s->service.newest.node[n].flags != 0 || s->service.node[n].command != 0 ||
		    !m || !can_replace(membership_raft(m)))
			return true;
		for (uint16_t shard = 0; sim_is_raft(s) && shard < s->plan.shards; shard++)
			if (!can_replace(replica_raft(sim_node_replica(s, n, shard))))
				return true;
	}
	return false;
}

/*
 * may_damage: everybody else is well. With the view service the others must be able to decide that
 * the damaged one is replaced.
 */
static bool may_damage(struct sim *s)
{
	if (s->plan.service.on && leaving(s))
		return false;
	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		const struct sim_node *node = &s->node[n];

		if ((sim_view_holds(s, n) && !sim_view_member(s, n)) || !node->up ||
		    node->damaged || node->blank || node->disk_error_ns != SIM_NEVER)
			return false;
	}
	return s->plan.nodes > 1;
}

static void inject_crash(struct sim *s, const struct script_event *e)
{
	struct sim_node *n = &s->node[e->node];

	if (!n->up || sim_fault_precious(s, e->node))
		return;
	n->outage_ns = e->length_ns;
	n->tear = e->arg;
	if (e->kind == SCRIPT_crash_step) {
		sim_node_arm(s, e->node, e->n, e->more);
		return;
	}
	sim_node_crash(s, e->node);
}

/* inject_links: every link in the matrix, or the one named. */
static void inject_link(struct sim *s, const struct script_event *e, uint16_t from, uint16_t to)
{
	uint64_t until_ns = s->now_ns + e->length_ns;

	if (e->kind == SCRIPT_cut)
		sim_net_cut(s->net, from, to, e->n, until_ns);
	else if (e->kind == SCRIPT_slow)
		sim_net_slow(s->net, from, to, e->n, until_ns);
	else
		sim_net_clog(s->net, from, to, until_ns);
}

static void inject_links(struct sim *s, const struct script_event *e)
{
	if (e->arg == 0)
		inject_link(s, e, e->node, e->other);
	for (uint32_t i = 0; e->arg != 0 && i < NODES_MAX * NODES_MAX; i++) {
		uint32_t from = i / NODES_MAX, to = i % NODES_MAX;

		if ((e->arg >> i & 1) && from < s->plan.nodes && to < s->plan.nodes)
			inject_link(s, e, (uint16_t)from, (uint16_t)to);
	}
}

static void inject_disk(struct sim *s, const struct script_event *e)
{
	struct sim_node *n = &s->node[e->node];
	struct blockdev *disk = n->worker[e->other].disk;

	if (!n->up || n->disk_error_ns != SIM_NEVER)
		return;
	if (e->kind == SCRIPT_disk_error) {
		sim_disk_fail_write(disk, e->n, -EIO);
	} else {
		if (!may_damage(s)) {
			s->injected[e->kind]--;
			return;
		}
		n->damaged = true;
		if (e->kind == SCRIPT_lost_write)
			sim_disk_lose_write(disk, e->n);
		else if (e->kind == SCRIPT_misdirect)
			sim_disk_misdirect(disk, e->n, e->arg);
		else
			sim_disk_rot_somewhere(disk, e->arg);
	}
	n->disk_error_ns = s->now_ns + e->length_ns;
}

static void inject_clock(struct sim *s, const struct script_event *e)
{
	struct sim_node *n = &s->node[e->node];

	if (n->clock_end_ns != SIM_NEVER)
		return;
	n->clock_end_ns = s->now_ns + e->length_ns;
	if (e->n == 0) {
		n->clock_frozen_ns = n->clock_end_ns;
		sim_view_frozen(s, e->node, e->length_ns);
	}
	sim_node_clock_rate(s, e->node, e->n);
}

static void mend_clock(struct sim *s, uint8_t node)
{
	s->node[node].clock_end_ns = SIM_NEVER;
	sim_node_clock_rate(s, node, s->node[node].rate_ppm);
}

static void inject_slow_disk(struct sim *s, const struct script_event *e)
{
	for (uint16_t w = 0; w < s->plan.workers; w++)
		sim_disk_slow(s->node[e->node].worker[w].disk, e->n, s->now_ns + e->length_ns);
}

static void inject(struct sim *s, const struct script_event *e)
{
	sim_trace(s, "fault %s node %u other %u more %u n %u length %llu arg %llx",
		  script_kind_name(e->kind), e->node, e->other, e->more, e->n,
		  (unsigned long long)e->length_ns, (unsigned long long)e->arg);
	s->injected[e->kind]++;
	if (e->kind == SCRIPT_crash || e->kind == SCRIPT_crash_step)
		inject_crash(s, e);
	else if (e->kind == SCRIPT_cut || e->kind == SCRIPT_slow || e->kind == SCRIPT_clog)
		inject_links(s, e);
	else if (e->kind == SCRIPT_replay)
		sim_net_replay(s->net, e->n, e->other, (uint32_t)e->arg);
	else if (e->kind == SCRIPT_pause)
		sim_node_pause(s, e->node, s->now_ns + e->length_ns, e->more == 1);
	else if (e->kind == SCRIPT_clock)
		inject_clock(s, e);
	else if (e->kind == SCRIPT_exclude || e->kind == SCRIPT_demote ||
		 e->kind == SCRIPT_command)
		sim_view_order(s, e);
	else if (e->kind == SCRIPT_slow_disk)
		inject_slow_disk(s, e);
	else
		inject_disk(s, e);
}

/* happen: a drawn fault. */
static void happen(struct sim *s, struct script_event e)
{
	e.ns = s->now_ns;
	if (s->record)
		script_add(s->record, &e);
	inject(s, &e);
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

static void crash_one(struct sim *s, uint8_t node)
{
	struct script_event e = { .kind = SCRIPT_crash,
				  .node = node,
				  .length_ns = length_of(s, &s->plan.crash) };

	e.arg = rng_next(&s->fault_rng);
	if (rng_chance(&s->fault_rng, s->plan.crash_step_ppm)) {
		e.kind = SCRIPT_crash_step;
		e.more = (uint8_t)rng_below(&s->fault_rng, 4);
		e.n = (uint32_t)rng_range(&s->fault_rng, 1, STEP_MAX);
	}
	happen(s, e);
}

/* draw_crash: SIM_NEVER when done, or when to look again. */
static uint64_t draw_crash(struct sim *s)
{
	uint8_t node = victim(s);
	uint64_t kind = rng_below(&s->fault_rng, 1000000);

	if (rng_chance(&s->fault_rng, s->plan.crash_busy_ppm) && !node_writes(s, node) &&
	    rng_below(&s->fault_rng, BUSY_TRIES) != 0)
		return s->now_ns + BUSY_RETRY_NS;
	crash_one(s, node);
	if (kind < s->plan.crash_all_ppm) {
		for (uint8_t n = 0; n < s->plan.nodes; n++)
			crash_one(s, n);
	} else if (kind < 2 * s->plan.crash_all_ppm) {
		crash_one(s, (uint8_t)((node + 1u) % s->plan.nodes));
	}
	return SIM_NEVER;
}

static uint64_t link_bit(uint32_t from, uint32_t to)
{
	return from == to ? 0 : 1ull << (from * NODES_MAX + to);
}

/* shape_bits: the links that are cut. One: the node that stands out; side: who is on which side. */
static uint64_t shape_bits(struct sim *s, uint64_t shape, uint8_t one, uint64_t side)
{
	uint8_t other = some_node(s);
	uint64_t bits = 0;

	for (uint8_t a = 0; a < s->plan.nodes; a++) {
		for (uint8_t b = 0; b < s->plan.nodes; b++) {
			uint32_t gap = a < b ? b - a : a - b;
			bool cut = false;

			if (shape == 0) /* one alone */
				cut = a == one && b != one;
			else if (shape == 1) /* two sides */
				cut = (side >> a & 1) != 0 && (side >> b & 1) == 0;
			else if (shape == 2) /* one pair; everybody else reaches both */
				cut = a == one && b == other;
			else if (shape == 3) /* a chain: neighbours only */
				cut = gap > 1;
			else /* two sides that only `one` reaches */
				cut = (side >> a & 1) != 0 && (side >> b & 1) == 0 && a != one &&
				      b != one;
			if (cut)
				bits |= link_bit(a, b);
		}
	}
	return bits;
}

static uint64_t both_ways(uint64_t bits)
{
	uint64_t all = bits;

	for (uint32_t a = 0; a < NODES_MAX; a++) {
		for (uint32_t b = 0; b < NODES_MAX; b++) {
			if (bits & link_bit(a, b))
				all |= link_bit(b, a);
		}
	}
	return all;
}

/* client_link: between one node and one client, in one direction. */
static void client_link(struct sim *s, struct script_event e)
{
	uint8_t client = (uint8_t)(s->plan.nodes + rng_below(&s->fault_rng, s->plan.clients));
	uint8_t node = some_node(s);
	bool out = rng_chance(&s->fault_rng, 500000);

	e.arg = 0;
	e.node = out ? node : client;
	e.other = out ? client : node;
	happen(s, e);
}

static void draw_links(struct sim *s, enum sim_fault fault)
{
	static const uint8_t classes[] = { SIM_CLASS_INV, SIM_CLASS_ACK, SIM_CLASS_VAL,
					   SIM_CLASS_HELLO, SIM_CLASS_COPY,
					   SIM_CLASS_ALL - SIM_CLASS_HELLO,
					   /* The control plane alone, or all but it. */
					   SIM_CLASS_RAFT, SIM_CLASS_ALL - SIM_CLASS_RAFT,
					   SIM_CLASS_RAFT, SIM_CLASS_ALL - SIM_CLASS_RAFT };
	uint64_t kinds = ARRAY_LEN(classes) - (s->plan.service.on ? 0 : 4);
	struct rng *r = &s->fault_rng;
	uint8_t one = victim(s);
	uint64_t shape;
	struct script_event e = { .kind = SCRIPT_cut,
				  .node = one,
				  .n = SIM_CLASS_ALL,
				  .length_ns = length_of(s, plan_of(s, fault)) };

	if (fault == FAULT_SLOW) {
		e.kind = SCRIPT_slow;
		e.n = (uint32_t)rng_range(r, 5000, 500000);
	} else if (fault == FAULT_CLOG) {
		e.kind = SCRIPT_clog;
	} else if (rng_chance(r, 250000)) {
		e.n = classes[rng_below(r, kinds)];
	}
	if (rng_chance(r, 150000)) {
		client_link(s, e);
		return;
	}
	shape = rng_below(r, 5); /* one draw after the other: arguments have no order */
	e.arg = shape_bits(s, shape, one, rng_next(r));
	if (rng_chance(r, 600000))
		e.arg = both_ways(e.arg);
	if (e.arg != 0)
		happen(s, e);
}

/* draw_clogs: swizzle: several clogs that begin together and end one after the other. */
static void draw_clogs(struct sim *s)
{
	uint64_t count = rng_chance(&s->fault_rng, 500000) ? s->plan.nodes : 1;

	for (uint64_t i = 0; i < count; i++)
		draw_links(s, FAULT_CLOG);
}

static void draw_replay(struct sim *s)
{
	struct rng *r = &s->fault_rng;
	uint64_t count = rng_range(r, 1, 8);

	for (uint64_t i = 0; i < count; i++) {
		struct script_event e = { .kind = SCRIPT_replay,
					  .n = (uint32_t)rng_below(r, 1u << 20),
					  .other = 255 };

		if (rng_chance(r, 100000))
			e.other = some_node(s);
		if (rng_chance(r, 100000))
			e.arg = rng_range(r, 1, 200);
		happen(s, e);
	}
}

static void draw_disk(struct sim *s, enum sim_fault fault)
{
	struct rng *r = &s->fault_rng;
	struct script_event e = { .kind = SCRIPT_disk_error, .node = some_node(s) };

	e.other = (uint8_t)rng_below(r, s->plan.workers);
	e.n = (uint32_t)rng_range(r, 1, 3);
	e.length_ns = length_of(s, plan_of(s, fault));
	e.arg = rng_next(r);
	if (fault == FAULT_LOST_WRITE)
		e.kind = SCRIPT_lost_write;
	else if (fault == FAULT_MISDIRECT)
		e.kind = SCRIPT_misdirect;
	else if (fault == FAULT_ROT)
		e.kind = SCRIPT_rot;
	happen(s, e);
}

static void draw_node(struct sim *s, enum sim_fault fault)
{
	struct script_event e = { .kind = SCRIPT_pause, .node = victim(s) };

	e.length_ns = length_of(s, plan_of(s, fault));
	if (fault == FAULT_PAUSE) {
		e.more = rng_chance(&s->fault_rng, s->plan.stale_ppm);
	} else if (fault == FAULT_CLOCK) {
		/* Frozen, or another rate within the bound. */
		e.kind = SCRIPT_clock;
		e.n = (uint32_t)rng_range(&s->fault_rng, 1000000 - s->plan.drift_ppm,
					  1000000 + s->plan.drift_ppm);
		/* One that stands still goes unnoticed so far: not where leases are the nodes'. */
		if (rng_chance(&s->fault_rng, 500000) && !s->plan.service.on)
			e.n = 0;
	} else {
		e.kind = fault == FAULT_EXCLUDE ? SCRIPT_exclude : SCRIPT_demote;
	}
	happen(s, e);
}

/* draw_flap: one node, or one pair, cut off and back again and again; when to go on. */
static uint64_t draw_flap(struct sim *s)
{
	struct rng *r = &s->fault_rng;
	uint64_t length_ns = s->plan.service.flap.length_ns;

	if (s->flaps == 0) {
		uint64_t shape = rng_below(r, 4);

		s->flaps = (uint32_t)rng_range(r, 3, 12);
		s->flap = (struct script_event){ .kind = SCRIPT_cut, .node = victim(s),
						 .n = SIM_CLASS_ALL, .length_ns = length_ns };
		s->flap.arg = shape_bits(s, shape, s->flap.node, rng_next(r));
		if (rng_chance(r, 600000))
			s->flap.arg = both_ways(s->flap.arg);
	}
	if (s->flap.arg != 0)
		happen(s, s->flap);
	return --s->flaps == 0 ? SIM_NEVER : s->now_ns + 2 * length_ns;
}

/* draw_slow_node: its disk, or all its links, a hundred times slower. */
static void draw_slow_node(struct sim *s)
{
	struct rng *r = &s->fault_rng;
	struct script_event e = { .kind = SCRIPT_slow_disk, .node = victim(s), .n = 100 };

	e.length_ns = length_of(s, &s->plan.service.slow_node);
	if (rng_chance(r, 500000)) {
		e.kind = SCRIPT_slow;
		e.n = (uint32_t)(100 * (s->plan.net.delay_min_ns + s->plan.net.delay_jitter_ns));
		e.arg = both_ways(shape_bits(s, 0, e.node, 0));
	}
	if (e.kind == SCRIPT_slow_disk || e.arg != 0)
		happen(s, e);
}

static void draw_command(struct sim *s)
{
	struct script_event e;

	if (sim_operator_draw(s, &e))
		happen(s, e);
}

static uint64_t draw(struct sim *s, enum sim_fault fault)
{
	switch (fault) {
	case FAULT_CRASH:
		return draw_crash(s);
	case FAULT_PARTITION:
	case FAULT_SLOW:
		draw_links(s, fault);
		break;
	case FAULT_CLOG:
		draw_clogs(s);
		break;
	case FAULT_REPLAY:
		draw_replay(s);
		break;
	case FAULT_DISK_ERROR:
	case FAULT_LOST_WRITE:
	case FAULT_MISDIRECT:
	case FAULT_ROT:
		draw_disk(s, fault);
		break;
	case FAULT_PAUSE:
	case FAULT_CLOCK:
	case FAULT_EXCLUDE:
	case FAULT_DEMOTE:
		draw_node(s, fault);
		break;
	case FAULT_COMMAND:
		draw_command(s);
		break;
	case FAULT_FLAP:
		return draw_flap(s);
	case FAULT_SLOW_NODE:
		draw_slow_node(s);
		break;
	case FAULT_COUNT:
		break;
	}
	return SIM_NEVER;
}

/* disk_failed: the node promises and gives nothing any more, until it is started anew. */
static bool disk_failed(const struct sim *s, uint8_t node)
{
	for (uint16_t w = 0; w < s->plan.workers; w++)
		if (s->node[node].worker[w].stats.disk_error != 0)
			return true;
	return false;
}

static void replace_process(struct sim *s, uint8_t node)
{
	/* Others may need what it has; but with a failed disk it does not hand that out. */
	if (sim_fault_precious(s, node) && !disk_failed(s, node) && !s->node[node].spent) {
		s->node[node].disk_error_ns = s->now_ns + 200000;
		return;
	}
	s->node[node].tear = rng_mix(s->now_ns);
	sim_node_crash(s, node);
	sim_node_start(s, node);
}

static void follow(struct sim *s)
{
	const struct script_event *e;

	while (s->phase == PHASE_FAULTS && !s->violated &&
	       (e = script_peek(s->follow, SCRIPT_FAULTS)) != NULL && e->ns <= s->now_ns) {
		script_take(s->follow, SCRIPT_FAULTS);
		inject(s, e);
	}
}

void sim_fault_turn(struct sim *s)
{
	for (uint8_t n = 0; n < s->plan.nodes && !s->violated; n++) {
		if (s->node[n].clock_end_ns <= s->now_ns)
			mend_clock(s, n);
		if (!s->node[n].up && s->node[n].restart_ns <= s->now_ns)
			sim_node_start(s, n);
		else if (s->node[n].up && s->node[n].disk_error_ns <= s->now_ns)
			replace_process(s, n);
	}
	for (uint32_t f = 0; f < FAULT_COUNT && !s->violated; f++) {
		if (s->fault_ns[f] > s->now_ns)
			continue;
		s->fault_ns[f] = draw(s, f);
		if (s->fault_ns[f] == SIM_NEVER)
			s->fault_ns[f] = next_after(s, plan_of(s, f));
	}
	if (s->follow)
		follow(s);
	if (s->failover)
		sim_failover_turn(s);
	if (s->view_due_ns <= s->now_ns && !s->violated)
		sim_view_turn(s);
	fault_schedule(s);
}

void sim_fault_stop(struct sim *s)
{
	struct sim_net_faults healthy = { .delay_min_ns = s->plan.net.delay_min_ns,
					  .delay_jitter_ns = s->plan.net.delay_jitter_ns };

	for (uint32_t f = 0; f < FAULT_COUNT; f++)
		s->fault_ns[f] = SIM_NEVER;
	sim_net_set_faults(s->net, &healthy);
	sim_net_heal(s->net);
	sim_trace(s, "faults stop");
	for (uint8_t n = 0; n < s->plan.nodes && !s->violated; n++) {
		if (s->node[n].clock_end_ns != SIM_NEVER)
			mend_clock(s, n);
		sim_node_calm(s, n);
		for (uint16_t w = 0; w < s->plan.workers; w++)
			sim_disk_slow(s->node[n].worker[w].disk, 1, 0);
		if (!s->node[n].up)
			sim_node_start(s, n);
		else if (s->node[n].disk_error_ns != SIM_NEVER)
			replace_process(s, n);
	}
	sim_view_stop(s);
	fault_schedule(s);
}
