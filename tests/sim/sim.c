/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: what is due next happens next. Phases: enum sim_phase. */
#include "tests/sim/sim.h"

#include "dataplane/control.h"
#include "dataplane/view_board.h"

#include <stdarg.h>
#include <stdlib.h>

#define EVENTS_MAX 30000000ull	       /* of one seed; more is a livelock */
#define VERIFY_EVENTS 64u	       /* between two looks at the invariants */
#define PHASE_BOUND_NS 1000000000ull   /* when healthy, all ends within this */
#define SLOW_FADES_NS 8000000000ull
#define QUIET_LOOK_NS 500000ull

static struct sim *running; /* for must_failed */

_Noreturn void must_failed(const char *expression, const char *file, int line)
{
	if (!running) {
		fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
		abort();
	}
	sim_violation(running, "assertion failed: %s (%s:%d)", expression, file, line);
	longjmp(running->escape, 1);
}

void sim_violation(struct sim *s, const char *format, ...)
{
	va_list args;

	if (s->violated)
		return;
	s->violated = true;
	va_start(args, format);
	vsnprintf(s->violation, sizeof(s->violation), format, args);
	va_end(args);
	sim_trace(s, "VIOLATION %s", s->violation);
}

struct sim *sim_create(void)
{
	struct sim *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->net = sim_net_create();
	s->watch = sim_watch_create();
	s->rafts = sim_raft_create();
	s->scratch = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
	for (uint32_t n = 0; n < SIM_NODES_MAX; n++) {
		for (uint32_t w = 0; w < SIM_QUEUES_MAX; w++)
			s->node[n].worker[w].disk = sim_disk_create(SIM_DEVICE_BYTES, 0, NULL);
		s->node[n].board = aligned_alloc(64, round_up(sizeof(struct view_board), 64));
		s->node[n].control = aligned_alloc(64, round_up(sizeof(struct control_region), 64));
		must(s->node[n].board && s->node[n].control);
	}
	if (s->net && s->scratch && s->watch && s->rafts) {
		sim_net_watch(s->net, sim_watch_frame, s);
		return s;
	}
	sim_destroy(s);
	return NULL;
}

void sim_destroy(struct sim *s)
{
	for (uint32_t n = 0; n < SIM_NODES_MAX; n++) {
		for (uint32_t w = 0; w < SIM_QUEUES_MAX; w++) {
			sim_disk_destroy(s->node[n].worker[w].disk);
			free(s->node[n].worker[w].mem);
		}
		free(s->node[n].board);
		free(s->node[n].control);
	}
	for (uint32_t c = 0; c < SIM_CLIENTS_MAX; c++)
		free(s->client[c].mem);
	sim_net_destroy(s->net);
	sim_watch_destroy(s->watch);
	sim_raft_destroy(s->rafts);
	free(s->scratch);
	free(s);
}

static void reset_node(struct sim_node *n)
{
	n->up = false;
	n->ready_ns = n->paused_ns = 0;
	n->restart_ns = n->disk_error_ns = n->clock_end_ns = SIM_NEVER;
	n->stale_ns = n->outage_ns = n->tear = n->clock_frozen_ns = 0;
	n->tried_incarnation = 0;
	n->damaged = n->blank = false;
	n->damaged_starts = 0;
	n->incarnation = n->floor = n->disks = 0;
	n->joining = n->careless = n->spent = false;
	memset(n->seen, 0, sizeof(n->seen));
}

static void reset(struct sim *s, uint64_t seed, uint32_t nodes)
{
	s->stepping = false;
	s->seed = s->follow ? s->follow->seed : seed;
	seed = s->seed;
	s->fault_rng = rng_make(seed, 2);
	s->load_rng = rng_make(seed, 3);
	s->disk_rng = rng_make(seed, 4);
	s->now_ns = 0;
	s->events = 0;
	s->digest = rng_mix(seed + 1);
	s->phase = PHASE_FAULTS;
	s->crashes = s->step_crashes = s->torn_writes = s->refused_starts = s->careless = 0;
	s->op_count = s->ops_open = s->ops_unknown = s->shown_count = 0;
	s->violated = s->abandoned = false;
	s->violation[0] = '\0';
	if (s->follow)
		s->plan = s->follow->plan;
	else
		plan_draw(&s->plan, seed, nodes, s->profile);
	if (s->follow)
		script_rewind(s->follow);
	if (s->failover) {
		s->plan.safety_ns = s->failover->at_ns + s->failover->window_ns;
		s->plan.think_ns = s->plan.safety_ns * s->plan.clients * s->plan.slots /
				   s->plan.ops;
	}
	if (s->record)
		script_clear(s->record, seed, &s->plan);
	s->authority.epoch = 0;
	s->fault_due_ns = s->view_due_ns = SIM_NEVER;
	sim_net_reset(s->net, seed);
	sim_net_script(s->net, s->record, s->follow);
	sim_verify_start(s);
	sim_service_reset(s);
	sim_raft_reset(s->rafts, s->plan.service.engine == ENGINE_RAFT ? s->plan.shards + 1u : 1);
	for (uint8_t n = 0; n < SIM_NODES_MAX; n++) {
		reset_node(&s->node[n]);
		s->node[n].joining = s->plan.service.on && n >= s->plan.service.founders;
	}
	for (uint8_t n = 0; n < s->plan.nodes; n++)
		sim_node_format(s, n);
	sim_load_start(s);
	for (uint8_t n = 0; n < s->plan.nodes; n++)
		sim_node_start(s, n);
	sim_fault_start(s);
	s->phase_end_ns = s->plan.safety_ns;
}

/* Who is due. Ties: frames, workers, clients, faults, in this order. */
struct due {
	uint64_t ns;
	enum { DUE_FRAME, DUE_WORKER, DUE_CLIENT, DUE_FAULT } kind;
	uint32_t index, worker;
};

static struct due next_due(const struct sim *s)
{
	struct due d = { .ns = sim_net_next_ns(s->net), .kind = DUE_FRAME };

	for (uint32_t n = 0; n < s->plan.nodes; n++) {
		for (uint32_t w = 0; w < s->plan.workers; w++) {
			if (s->node[n].worker[w].due_ns < d.ns)
				d = (struct due){ s->node[n].worker[w].due_ns, DUE_WORKER, n, w };
		}
	}
	for (uint32_t c = 0; c < s->plan.clients; c++) {
		if (s->client[c].due_ns < d.ns)
			d = (struct due){ s->client[c].due_ns, DUE_CLIENT, c, 0 };
	}
	if (s->fault_due_ns < d.ns)
		d = (struct due){ s->fault_due_ns, DUE_FAULT, 0, 0 };
	return d;
}

static void deliver(struct sim *s)
{
	struct sim_delivery delivery = sim_net_pop(s->net);
	/* The checksum field alone says what the frame holds, headers aside. */
	uint64_t what = delivery.bytes;

	if (delivery.bytes >= FRAME_HEADERS_BYTES + WIRE_HEADER_BYTES)
		what |= (uint64_t)load_u32(delivery.data + FRAME_HEADERS_BYTES + 4) << 32;
	sim_event(s, what ^ (uint64_t)delivery.to << 16);
	sim_trace_frame(s, &delivery);
	if (delivery.to < s->plan.nodes)
		sim_node_arrival(s, &delivery);
	else
		sim_load_arrival(s, &delivery);
}

static bool phase_over(const struct sim *s)
{
	switch (s->phase) {
	case PHASE_FAULTS:
		if (s->follow)
			return s->now_ns >= s->follow->end_ns && s->follow->ops_left == 0;
		return s->op_count >= s->plan.ops || s->now_ns >= s->plan.safety_ns;
	case PHASE_DRAIN:
		return s->ops_open == 0 && sim_view_whole(s);
	case PHASE_READ:
	case PHASE_WRITE:
	case PHASE_READ_AGAIN:
		return s->final_done == s->final_count;
	case PHASE_QUIET:
	case PHASE_DONE:
		break;
	}
	return false;
}

static void next_phase(struct sim *s)
{
	if (s->phase == PHASE_FAULTS && s->record)
		s->record->end_ns = s->now_ns;
	s->phase++;
	/*
	 * Who was evicted again and again comes back after 32 hold-downs; who had a slow disk when
	 * that is forgotten: what a node measured fades by half each second (wal_latency_ns).
	 */
	s->phase_end_ns = s->now_ns + PHASE_BOUND_NS;
	if (s->plan.service.on)
		s->phase_end_ns += 33 * s->plan.service.holddown_ns + SLOW_FADES_NS;
	sim_trace(s, "phase %u", s->phase);
	if (s->phase == PHASE_DRAIN)
		sim_fault_stop(s);
	if (s->phase == PHASE_READ || s->phase == PHASE_READ_AGAIN)
		sim_load_final(s, s->plan.keys * s->plan.nodes);
	if (s->phase == PHASE_WRITE)
		sim_load_final(s, s->plan.keys);
	if (s->phase == PHASE_QUIET)
		s->fault_due_ns = s->now_ns + QUIET_LOOK_NS;
}

/* caught_up: engine raft: it has applied what everybody has. */
static bool caught_up(struct sim *s, uint8_t node)
{
	for (uint16_t shard = 0; sim_node_holds(s, node) && shard < s->plan.shards; shard++)
		if (sim_node_applied(s, node, shard) != sim_raft_committed(s->rafts, shard + 1u))
			return false;
	return true;
}

/* look_quiet: in the last phase the fault timer looks whether every node has come to rest. */
static void look_quiet(struct sim *s)
{
	/* A node whose failed disk was replaced late is still coming back. */
	if (!sim_view_whole(s))
		sim_fault_turn(s);
	s->fault_due_ns = min_u64(s->phase == PHASE_QUIET ? s->now_ns + QUIET_LOOK_NS : SIM_NEVER,
				  max_u64(s->fault_due_ns, s->now_ns + 1));
	if (s->violated || !sim_view_whole(s))
		return;
	for (uint8_t n = 0; n < s->plan.nodes; n++) {
		if (sim_node_ops(s, n) != 0 || (sim_is_raft(s) && !caught_up(s, n)))
			return;
	}
	sim_verify_quiet(s);
	s->phase = PHASE_DONE;
	s->fault_due_ns = SIM_NEVER;
}

static void stuck(struct sim *s)
{
	char why[512] = "";
	uint32_t busy = 0;

	for (uint8_t n = 0; n < s->plan.nodes; n++)
		busy += sim_node_ops(s, n);
	if (s->plan.service.on && s->phase == PHASE_DRAIN)
		sim_service_explain(s, why, sizeof(why));
	sim_violation(s, "stuck in phase %u: %u client operations open, %u of %u final ones done, "
			 "%u operations at nodes%s", s->phase, s->ops_open, s->final_done,
		      s->final_count, busy, why);
}

static void run(struct sim *s)
{
	while (s->phase != PHASE_DONE && !s->violated) {
		struct due d = next_due(s);

		must(d.ns != SIM_NEVER && d.ns >= s->now_ns);
		s->now_ns = d.ns;
		sim_net_set_now(s->net, s->now_ns);
		if (d.kind == DUE_FRAME)
			deliver(s);
		else if (d.kind == DUE_WORKER)
			sim_node_poll(s, (uint8_t)d.index, (uint16_t)d.worker);
		else if (d.kind == DUE_CLIENT)
			sim_load_turn(s, d.index);
		else if (s->phase == PHASE_QUIET)
			look_quiet(s);
		else
			sim_fault_turn(s);
		if (s->events >= s->verify_at && !s->abandoned) {
			s->verify_at = s->events + VERIFY_EVENTS;
			sim_verify_step(s);
		}
		while (phase_over(s))
			next_phase(s);
		if (s->phase != PHASE_FAULTS && s->phase != PHASE_DONE &&
		    s->now_ns > s->phase_end_ns)
			stuck(s);
		if (s->events > EVENTS_MAX)
			sim_violation(s, "livelock: %llu events", (unsigned long long)s->events);
	}
	if (!s->violated && !s->abandoned)
		sim_verify_step(s);
	if (!s->violated)
		sim_verify_history(s);
}

static void add_totals(const struct sim *s, struct sim_totals *t)
{
	const struct sim_net_counters *net = sim_net_counters(s->net);

	t->seeds++;
	t->events += s->events + net->lost + net->burst_lost + net->duplicated + net->spiked +
		     net->corrupted + net->truncated + net->misdelivered + net->replayed +
		     net->cut + net->clogged;
	t->ops += s->op_count;
	t->unknown += s->ops_unknown;
	t->violations += s->violated;
	/* A sum of mixed values: the same however the seeds were dealt out to processes. */
	t->digest += rng_mix(s->digest ^ rng_mix(s->seed));
	t->virtual_ns += s->now_ns;
	t->lost += net->lost + net->burst_lost;
	t->duplicated += net->duplicated;
	t->spiked += net->spiked;
	t->corrupted += net->corrupted;
	t->truncated += net->truncated;
	t->misdelivered += net->misdelivered;
	t->replayed += net->replayed;
	t->cut += net->cut;
	t->clogged += net->clogged;
	t->partitions += s->injected[SCRIPT_cut];
	t->slow_links += s->injected[SCRIPT_slow];
	t->clogs += s->injected[SCRIPT_clog];
	t->pauses += s->injected[SCRIPT_pause];
	t->clocks += s->injected[SCRIPT_clock];
	t->crashes += s->crashes;
	t->step_crashes += s->step_crashes;
	t->torn_writes += s->torn_writes;
	t->disk_errors += s->injected[SCRIPT_disk_error];
	t->lost_writes += s->injected[SCRIPT_lost_write];
	t->misdirected += s->injected[SCRIPT_misdirect];
	t->rotted += s->injected[SCRIPT_rot];
	t->refused_starts += s->refused_starts;
	t->careless += s->careless;
	t->views += s->authority.epoch;
	t->leases += s->authority.leases;
	t->promotions += s->authority.promotions;
	t->exclusions += s->authority.exclusions;
	t->demotions += s->authority.demotions;
	t->recoveries += s->authority.recoveries + s->service.recoveries;
	t->agreed += s->service.views;
	t->leases += s->service.leases;
	t->promotions += s->service.promotions;
	t->exclusions += s->service.exclusions;
	t->evictions += s->service.evictions;
	t->commands += s->service.commands;
	t->replacements += s->service.replacements;
	t->abandoned += s->abandoned;
	t->slow_nodes += s->injected[SCRIPT_slow_disk];
	t->elections += sim_raft_elections(s->rafts);
}

bool sim_run(struct sim *s, uint64_t seed, uint32_t nodes, struct sim_totals *totals)
{
	s->violated = false;
	running = s;
	if (setjmp(s->escape) == 0) {
		reset(s, seed, nodes);
		run(s);
	}
	running = NULL;
	if (s->history)
		sim_load_history(s);
	add_totals(s, totals);
	return !s->violated;
}
