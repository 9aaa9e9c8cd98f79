/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.c: one run: events in order of time, chaos and calm in turn. */
#include <stdarg.h>
#include <stdlib.h>

#include "tests/raft/fuzz.h"

#define EVENTS_MAX 3000000u /* of one run; far above what a healthy one needs */
#define SPIN_MAX   10000u   /* ticks of one node at one moment */

static void on_restore(struct rig *rig, uint8_t node)
{
	struct fuzz *f = fuzz_of(rig);

	fuzz_net_push(f, rig->now_ns + 1 + rng_exponential(&f->disk_rng, f->plan.disk_ns * 4),
		      FUZZ_RESTORED, node, 0);
}

static void on_read(struct rig *rig, uint8_t node, uint64_t id, uint64_t index)
{
	fuzz_note(fuzz_of(rig), "%c read %llu: %llu", 'a' + node, (unsigned long long)id,
		  (unsigned long long)index);
}

static const struct rig_driver driver = { fuzz_net_send, on_restore, on_read };

static void *memory(size_t count, size_t size)
{
	void *p = calloc(count, size);

	if (!p) {
		fputs("cairn-raft-fuzz: out of memory\n", stderr);
		exit(1);
	}
	return p;
}

struct fuzz *fuzz_create(void)
{
	struct fuzz *f = memory(1, sizeof(*f));

	f->rig = rig_create(&driver, f);
	f->items = memory(FUZZ_ITEMS, sizeof(f->items[0]));
	f->packets = memory(FUZZ_PACKETS, sizeof(f->packets[0]));
	f->free_packets = memory(FUZZ_PACKETS, sizeof(f->free_packets[0]));
	return f;
}

void fuzz_destroy(struct fuzz *f)
{
	rig_destroy(f->rig);
	free(f->items);
	free(f->packets);
	free(f->free_packets);
	free(f);
}

void fuzz_note(struct fuzz *f, const char *format, ...)
{
	va_list arguments;

	if (!f->trace)
		return;
	printf("%12.6f ", (double)f->rig->now_ns / 1e6);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

/* note_state: what a step has changed. */
static void note_state(struct fuzz *f, const struct rig_node *n)
{
	const struct raft_conf *c = raft_conf(n->raft);

	fuzz_note(f,
		  "    %c %s term %u leader %c commit %llu log %llu..%llu/%u durable %u/%u conf "
		  "%x,%x,%x,%x lease %lld",
		  'a' + n->node, raft_role_name(n->role), n->term,
		  n->leader < NODES_MAX ? 'a' + n->leader : '-', (unsigned long long)n->commit,
		  (unsigned long long)n->mirror.base, (unsigned long long)n->mirror.last,
		  n->mirror.log[n->mirror.last].term, n->told_count, n->record_count, c->voters,
		  c->voters_old, c->learners, c->witnesses,
		  raft_lease_ns(n->raft) == 0
			  ? -1
			  : (long long)(raft_lease_ns(n->raft) - rig_clock(f->rig, n->node)));
}

/* kick: starts a write of everything that waits, or of a part. */
static void kick(struct fuzz *f, uint8_t node)
{
	struct rig_node *n = &f->rig->node[node];
	struct fuzz_node *x = &f->node[node];
	uint32_t waiting = n->record_count - n->durable_count;
	uint64_t at_ns = f->rig->now_ns + 1;

	if (x->disk_busy || n->failed || waiting == 0)
		return;
	if (!f->calm && rng_chance(&f->disk_rng, f->plan.partial_ppm))
		waiting = (uint32_t)rng_range(&f->disk_rng, 1, waiting);
	at_ns += rng_exponential(&f->disk_rng, f->calm ? FUZZ_MS / 10 : f->plan.disk_ns);
	if (!f->calm)
		at_ns = max_u64(at_ns, x->stall_ns);
	x->disk_busy = true;
	x->in_flight = n->durable_count + waiting;
	fuzz_net_push(f, at_ns, FUZZ_DISK, node, ++x->disk_gen);
}

/* arm: the node's timer; some ticks come late. */
static void arm(struct fuzz *f, uint8_t node)
{
	uint64_t at_ns = rig_real(f->rig, node, raft_deadline_ns(f->rig->node[node].raft));
	struct fuzz_node *x = &f->node[node];

	at_ns = max_u64(at_ns, f->rig->now_ns) + rng_below(&f->time_rng, 1024) * 64;
	if (at_ns >= x->timer_ns)
		return;
	x->timer_ns = at_ns;
	fuzz_net_push(f, at_ns, FUZZ_TIMER, node, ++x->timer_gen);
}

/* fuzz_checkpoint: the write under way goes on; it covers as many records behind as before. */
void fuzz_checkpoint(struct fuzz *f, uint8_t node)
{
	uint32_t count = f->rig->node[node].record_count;

	rig_checkpoint(f->rig, node);
	f->node[node].in_flight -= count - f->rig->node[node].record_count;
	f->checkpoints++;
}

void fuzz_after(struct fuzz *f, uint8_t node)
{
	struct rig_node *n = &f->rig->node[node];

	if (f->rig->failed)
		return;
	if (f->trace)
		note_state(f, n);
	if (f->calm || !rng_chance(&f->load_rng, f->plan.lag_ppm))
		rig_apply(f->rig, node, UINT64_MAX);
	if (f->plan.gaps)
		n->seq_next += rng_below(&f->disk_rng, 3);
	if (f->rig->failed)
		return;
	if (raft_last(n->raft) - raft_base(n->raft) > f->plan.keep_entries &&
	    n->applied > raft_base(n->raft) && rng_below(&f->load_rng, 8) == 0) {
		f->compactions++;
		rig_compact(f->rig, node, n->applied);
	}
	/* A newcomer waits for a snapshot that is new enough. */
	if (raft_wants_compact(n->raft) != 0 && n->applied >= raft_wants_compact(n->raft) &&
	    (f->calm || rng_below(&f->load_rng, 8) == 0))
		rig_compact(f->rig, node, n->applied);
	if (f->rig->failed)
		return;
	if (n->record_count > RIG_RECORDS / 2 || n->arena_used > RIG_ARENA_BYTES / 2)
		fuzz_checkpoint(f, node);
	if (f->rig->failed)
		return;
	kick(f, node);
	arm(f, node);
}

static void on_timer(struct fuzz *f, const struct fuzz_item *item)
{
	struct fuzz_node *x = &f->node[item->node];

	if (item->arg != x->timer_gen)
		return;
	x->timer_ns = UINT64_MAX;
	if (rig_clock(f->rig, item->node) >= raft_deadline_ns(f->rig->node[item->node].raft)) {
		f->ticks++;
		x->spin = f->rig->now_ns == x->spin_ns ? x->spin + 1 : 0;
		x->spin_ns = f->rig->now_ns;
		if (x->spin > SPIN_MAX)
			rig_fail(f->rig, "X-BOUND: %c's deadline does not move", 'a' + item->node);
		fuzz_note(f, "%c tick", 'a' + item->node);
		rig_tick(f->rig, item->node);
		fuzz_after(f, item->node);
	} else {
		arm(f, item->node);
	}
}

static void on_disk(struct fuzz *f, const struct fuzz_item *item)
{
	bool late = !f->calm && rng_chance(&f->disk_rng, f->plan.told_late_ppm);
	struct fuzz_node *x = &f->node[item->node];

	if (f->rig->node[item->node].failed || item->arg != x->disk_gen || !x->disk_busy)
		return;
	f->disk_writes++;
	x->disk_busy = false;
	fuzz_note(f, "%c disk %u%s", 'a' + item->node, x->in_flight, late ? ", not told" : "");
	rig_durable(f->rig, item->node, x->in_flight, !late);
	if (late)
		fuzz_net_push(f, f->rig->now_ns + rng_exponential(&f->disk_rng, f->plan.disk_ns),
			      FUZZ_TOLD, item->node, 0);
	fuzz_after(f, item->node);
}

/* on_node: an event of one living node; those of earlier lives are void. */
static void on_node(struct fuzz *f, const struct fuzz_item *item)
{
	struct rig_node *n = &f->rig->node[item->node];
	struct fuzz_node *x = &f->node[item->node];

	if (item->kind == FUZZ_DELIVER) {
		fuzz_net_deliver(f, item, x->pause_ns != 0 && rng_below(&f->net_rng, 2) == 0);
	} else if (item->life != n->life) {
		return;
	} else if (item->kind == FUZZ_RESTART) {
		fuzz_fault_restart(f, item->node);
	} else if (!n->up) {
		return;
	} else if (item->kind == FUZZ_TIMER) {
		on_timer(f, item);
	} else if (item->kind == FUZZ_DISK) {
		on_disk(f, item);
	} else if (item->kind == FUZZ_TOLD) {
		rig_durable(f->rig, item->node, n->durable_count, true);
		fuzz_after(f, item->node);
	} else if (item->kind == FUZZ_RESTORED) {
		fuzz_note(f, "%c restored %llu", 'a' + item->node,
			  (unsigned long long)n->restore_index);
		rig_restored(f->rig, item->node);
		fuzz_after(f, item->node);
	}
}

static void begin_chaos(struct fuzz *f)
{
	f->calm = false;
	f->round++;
	fuzz_net_push(f, f->rig->now_ns + f->plan.chaos_ns, FUZZ_CALM, NODES_MAX, 0);
	fuzz_net_push(f, f->rig->now_ns + f->plan.fault_ns, FUZZ_FAULT, NODES_MAX, 0);
	fuzz_net_push(f, f->rig->now_ns + 1, FUZZ_LOAD, NODES_MAX, 0);
}

/* on_calm: chaos ends; then, every now and then, whether all is well; then the next round. */
static bool on_calm(struct fuzz *f)
{
	if (!f->calm) {
		f->calm = true;
		f->asked = false;
		f->settled_ns = 0;
		f->calm_ns = f->rig->now_ns;
		fuzz_note(f, "calm");
		fuzz_fault_heal(f);
	} else if (fuzz_load_settle(f)) {
		if (f->round >= f->plan.rounds || f->rig->failed)
			return false;
		begin_chaos(f);
		return true;
	}
	fuzz_net_push(f, f->rig->now_ns + f->rig->node[0].config.heartbeat_ns, FUZZ_CALM, NODES_MAX,
		      0);
	return true;
}

static bool run_one(struct fuzz *f, const struct fuzz_item *item)
{
	struct fuzz_node *x = &f->node[item->node % NODES_MAX];

	f->rig->now_ns = item->at_ns;
	rig_mix(f->rig, item->at_ns << 8 ^ item->kind << 4 ^ item->node);
	if (item->kind == FUZZ_LOAD) {
		fuzz_load_draw(f);
	} else if (item->kind == FUZZ_FAULT) {
		fuzz_fault_draw(f);
	} else if (item->kind == FUZZ_FLAP) {
		fuzz_fault_flap(f);
	} else if (item->kind == FUZZ_MEND) {
		if (!f->calm)
			fuzz_fault_mend(f, (enum fuzz_mend)item->arg);
	} else if (item->kind == FUZZ_CALM) {
		return on_calm(f);
	} else if (x->pause_ns > item->at_ns) {
		fuzz_net_again(f, *item, x->pause_ns);
		f->events--;
	} else {
		x->pause_ns = 0;
		on_node(f, item);
	}
	return true;
}

bool fuzz_run(struct fuzz *f, uint64_t seed, uint32_t nodes)
{
	struct fuzz_item item;
	uint64_t events = f->events;

	f->seed = seed;
	memset(f->node, 0, sizeof(f->node));
	memset(f->flap_cut, 0, sizeof(f->flap_cut));
	f->flap_ns = f->round = f->stopping = 0;
	fuzz_plan_draw(f, nodes);
	fuzz_net_begin(f);
	begin_chaos(f);
	for (uint8_t i = 0; i < f->rig->nodes && !f->rig->failed; i++)
		fuzz_fault_restart(f, i);
	while (!f->rig->failed && fuzz_net_pop(f, &item)) {
		f->events++;
		if (!run_one(f, &item))
			break;
		if (f->events - events > EVENTS_MAX)
			rig_fail(f->rig, "X-BOUND: %u events, and no end", EVENTS_MAX);
	}
	return !f->rig->failed;
}
