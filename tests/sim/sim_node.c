/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: production workers, started, stopped, crashed and polled when something is due. */
#include <errno.h>
#include <stdlib.h>

#include "dataplane/control.h"
#include "dataplane/view_board.h"
#include "replication/group.h"
#include "tests/sim/sim.h"

#define CLUSTER_ID 0xca12ca12ca12ca12ull
#define RATE_TRUE 1000000u
#define DAMAGED_STARTS 2u
#define DAMAGED_NS 3000000ull

__extension__ typedef unsigned __int128 u128;

/* ---- clocks ---------------------------------------------------------------------------------- */

static uint64_t clock_at(const struct sim_clock *c, uint64_t true_ns)
{
	return c->local_ns + (uint64_t)((u128)(true_ns - c->base_ns) * c->rate_ppm / RATE_TRUE);
}

/* clock_reaches: the true time at which the clock shows local_ns; SIM_NEVER as things stand. */
static uint64_t clock_reaches(const struct sim_clock *c, uint64_t local_ns)
{
	u128 at;

	if (local_ns <= clock_at(c, *c->true_ns))
		return *c->true_ns;
	if (local_ns == SIM_NEVER || c->rate_ppm == 0)
		return SIM_NEVER;
	at = ((u128)(local_ns - c->local_ns) * RATE_TRUE + c->rate_ppm - 1) / c->rate_ppm;
	at += c->base_ns;
	return at >= SIM_NEVER ? SIM_NEVER : (uint64_t)at;
}

/* clock_read: the worker asks what time it is; its round has been going on for a while (CC-26). */
static uint64_t clock_read(void *context)
{
	const struct sim_clock *c = context;

	return clock_at(c, *c->true_ns) + c->lag_ns;
}

uint64_t sim_node_clock(const struct sim *s, uint8_t node)
{
	return clock_at(&s->node[node].clock, s->now_ns);
}

/* ---- start ----------------------------------------------------------------------------------- */

uint32_t sim_node_ip(uint8_t node)
{
	return 0x0a4d0001u + node;
}

/* service_config: who joins knows nobody but itself. */
static void service_config(const struct sim *s, uint8_t node, struct worker_config *c)
{
	const struct plan_service *p = &s->plan.service;
	const struct sim_node *n = &s->node[node];

	c->service = true;
	c->board = n->board;
	c->control = n->control;
	c->first = n->joining ? NULL : &s->service.first;
	for (uint8_t i = 0; i < s->plan.nodes; i++)
		if (i != node && (n->joining || i >= p->founders))
			c->ip[i] = 0;
	c->raft = (struct raft_config){
		.heartbeat_ns = p->heartbeat_ns,
		.election_ns = p->election_ns,
		.disk_ns = p->election_ns * 4,
		.entries_max = p->entries_max,
		.bytes_max = p->entries_max / 2 * RAFT_ENTRY_BYTES_MAX,
		.drift_ppm = (uint16_t)s->plan.drift_ppm,
	};
	c->membership = (struct membership_config){
		.seed = rng_mix(c->seed + 2),
		.heartbeat_ns = p->heartbeat_ns,
		.election_ns = p->election_ns,
		.lease_ns = p->lease_ns,
		.detect_ns = p->detect_ns,
		.recover_ns = p->recover_ns,
		.holddown_ns = p->holddown_ns,
		.slow_ns = p->slow_ns,
		.slow_floor_ns = p->slow_floor_ns,
		.slow_factor = p->slow_factor,
		.drift_ppm = (uint16_t)s->plan.drift_ppm,
		.ident = s->service.node[node].ident,
	};
}

static struct worker_config node_config(const struct sim *s, uint8_t node, uint16_t worker)
{
	struct worker_config c = s->plan.worker;

	/* Seeds of sessions and hashes must differ between incarnations, as in production. */
	c.seed = rng_mix(c.seed ^ ((uint64_t)node << 48 | (uint64_t)worker << 40 |
				   s->node[node].incarnation));
	c.store.seed = rng_mix(c.seed + 1);
	for (uint8_t n = 0; n < s->plan.nodes; n++)
		c.ip[n] = sim_node_ip(n);
	c.worker_index = worker;
	c.store.shard_count = s->plan.shards;
	if (c.views) {
		c.clock_ns = clock_read;
		c.clock_context = (void *)&s->node[node].clock;
	}
	if (s->plan.service.on)
		service_config(s, node, &c);
	return c;
}

/* format_disk: as the format program does. */
static void format_disk(struct sim *s, uint8_t node, uint16_t w)
{
	struct superblock sb = {
		.cluster = CLUSTER_ID,
		.device_id = rng_mix(s->seed ^ ((uint64_t)s->node[node].incarnation << 16 |
						(uint64_t)node << 8 | w)),
		.fingerprint = superblock_fingerprint(CLUSTER_ID, s->plan.nodes, s->plan.shards),
		.device_bytes = SIM_DEVICE_BYTES,
		.shard_count = s->plan.shards,
		.stream = w,
		.stream_count = s->plan.workers,
		.node = node,
		.node_count = s->plan.nodes,
	};

	if (s->plan.service.on) {
		sb.node_count = NODES_MAX; /* they come and go */
		sb.engine = s->plan.service.engine;
		sb.flags = s->node[node].joining ? SUPERBLOCK_JOINING : 0;
		if (s->plan.service.witness == node + 1)
			sb.flags |= SUPERBLOCK_WITNESS;
		sb.device_id = rng_mix(sb.device_id + s->node[node].disks);
		sb.fingerprint = superblock_shape(&sb);
	}
	if (w == 0)
		s->service.node[node].ident = worker_ident(&sb);
	must(superblock_format(s->node[node].worker[w].disk, s->scratch, &sb) == 0);
}

/* keep_incarnation: a formatted disk goes on counting where the one before it stopped. */
static void keep_incarnation(struct sim *s, struct blockdev *disk, uint32_t incarnation)
{
	struct blockdev_completion c;
	struct superblock sb;

	must(superblock_read(disk, s->scratch, &sb) == 0);
	sb.incarnation = incarnation;
	for (uint32_t i = 0; i < SUPERBLOCK_COPIES; i++) {
		sb.generation++;
		superblock_encode(s->scratch, &sb);
		must(blockdev_write(disk, 0, s->scratch, BLOCK_BYTES,
				    sb.generation % SUPERBLOCK_COPIES * BLOCK_BYTES) == 0);
		blockdev_wait(disk);
		must(blockdev_poll(disk, &c, 1) == 1);
	}
}

/*
 * is_careless: the operator formats the disk of a founder as on the first day. Nobody can tell it
 * from a first disk, unless the others know which one that was.
 */
static bool is_careless(const struct sim *s, uint8_t node)
{
	struct rng r = rng_make(s->seed, 128u + NODES_MAX * s->node[node].disks + node);

	return node < s->plan.service.founders && sim_service_knows(s, node) &&
	       rng_chance(&r, s->plan.service.careless_ppm);
}

/*
 * reformat: a disk that the node refuses is given up, and a new one takes its place. Who does that
 * must see to it that no incarnation comes back; nothing in the product does so far
 * (docs/testing.md).
 */
static void reformat(struct sim *s, uint8_t node, bool careless)
{
	struct sim_node *n = &s->node[node];
	uint64_t random = rng_mix(s->seed ^ ((uint64_t)n->tried_incarnation << 8 | node));

	/* With the service it begins at zero, and is told. */
	n->incarnation = s->plan.service.on ? 0 : n->tried_incarnation;
	n->joining = s->plan.service.on && !careless;
	n->careless = careless;
	s->careless += careless;
	n->disks++;
	n->floor = 0;
	for (uint16_t w = 0; w < s->plan.workers; w++) {
		struct blockdev *disk = n->worker[w].disk;

		sim_disk_reset(disk, random + w, &s->plan.disk);
		sim_disk_advance(disk, s->now_ns);
		format_disk(s, node, w);
		if (!s->plan.service.on)
			keep_incarnation(s, disk, n->incarnation);
	}
	sim_watch_lied(s, node);
	sim_raft_lied(s, node);
	n->damaged = false;
	n->damaged_starts = 0;
}

void sim_node_replace(struct sim *s, uint8_t node)
{
	s->node[node].tear = rng_mix(s->now_ns);
	s->node[node].outage_ns = s->plan.service.spawn_ns;
	sim_node_crash(s, node);
	reformat(s, node, false);
}

void sim_node_format(struct sim *s, uint8_t node)
{
	static const uint8_t mac_base[6] = { 0x02, 0xca, 0x1a, 0, 0, 0 };
	struct sim_node *n = &s->node[node];
	uint8_t mac[6];

	memcpy(mac, mac_base, sizeof(mac));
	mac[5] = (uint8_t)(node + 1);
	n->clock = (struct sim_clock){ .true_ns = &s->now_ns, .rate_ppm = RATE_TRUE,
				       .lag_ns = s->plan.poll_gap_ns / 2 };
	n->rate_ppm = RATE_TRUE;
	n->port = sim_net_add_port(s->net, mac, s->plan.workers, s->plan.worker.port_base);
	must(n->port == node);
	for (uint16_t w = 0; w < s->plan.workers; w++) {
		sim_disk_reset(n->worker[w].disk, rng_next(&s->disk_rng), &s->plan.disk);
		format_disk(s, node, w);
		n->worker[w].due_ns = SIM_NEVER;
	}
}

static void *grown(void *mem, uint64_t *bytes, uint64_t needed)
{
	if (*bytes >= needed)
		return mem;
	free(mem);
	*bytes = round_up(needed, BLOCK_BYTES);
	mem = aligned_alloc(BLOCK_BYTES, *bytes);
	must(mem != NULL);
	return mem;
}

/* start_worker: what the dataplane program does before its first poll. */
static int start_worker(struct sim *s, uint8_t node, uint16_t index)
{
	struct sim_node *n = &s->node[node];
	struct sim_worker *w = &n->worker[index];
	struct worker_config config;
	struct superblock sb;
	uint64_t offset = 0;
	int rc;

	rc = superblock_read(w->disk, s->scratch, &sb);
	if (rc == 0)
		rc = superblock_advance(w->disk, s->scratch, &sb, n->floor + 1);
	if (rc != 0)
		return rc;
	n->incarnation = sb.incarnation;
	config = node_config(s, node, index);
	w->mem = grown(w->mem, &w->mem_bytes, worker_size(&config, &sb));
	memset(&w->stats, 0, sizeof(w->stats));
	w->worker = worker_init(w->mem, &config, &sb, sim_net_queue(s->net, n->port, index),
				w->disk, &w->stats);
	return worker_recover(w->worker, UINT32_MAX, &offset);
}

/* disk_time: start-up blocks on the disk, whose own time has gone on: one more read tells. */
static uint64_t disk_time(struct sim *s, struct blockdev *disk)
{
	struct blockdev_completion c;
	uint64_t now_ns;

	must(blockdev_read(disk, 0, s->scratch, BLOCK_BYTES, 0) == 0);
	blockdev_wait(disk);
	now_ns = sim_disk_next_ns(disk);
	must(blockdev_poll(disk, &c, 1) == 1);
	return now_ns;
}

/* restarted: a new life begins with a clean slate. */
static void restarted(struct sim *s, struct sim_node *n)
{
	n->up = true;
	n->paused_ns = n->stale_ns = 0;
	n->spent = false;
	n->restart_ns = SIM_NEVER;
	n->disk_error_ns = SIM_NEVER;
	n->member_epoch = 0;
	memset(n->resets, 0, sizeof(n->resets));
	memset(n->copied, 0, sizeof(n->copied));
	for (uint16_t shard = 0; shard < s->plan.shards; shard++)
		n->copied_index[shard] = sim_raft_committed(s->rafts, shard + 1u);
	for (uint16_t i = 0; i < s->plan.workers; i++) {
		n->worker[i].due_ns = n->ready_ns;
		n->worker[i].polled_ns = n->ready_ns;
	}
	for (uint32_t key = 0; key < s->plan.keys; key++) {
		const struct sim_key *k = &s->key[key];
		struct worker *w = n->worker[k->shard % s->plan.workers].worker;

		n->hash[key] = store_hash(worker_store(w), k->text, k->bytes);
	}
}

static int start_workers(struct sim *s, uint8_t node)
{
	struct sim_node *n = &s->node[node];

	n->ready_ns = s->now_ns;
	n->tried_incarnation = n->incarnation + 1;
	view_board_init(n->board);
	control_init(n->control, CLUSTER_ID, s->now_ns);
	for (uint16_t i = 0; i < s->plan.workers; i++) {
		struct sim_worker *w = &n->worker[i];
		int rc;

		sim_disk_advance(w->disk, s->now_ns);
		rc = start_worker(s, node, i);
		n->ready_ns = max_u64(n->ready_ns, disk_time(s, w->disk));
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* refuse: it does not start on a damaged disk, and rightly so. Later it gets another one. */
static void refuse(struct sim *s, uint8_t node, int rc)
{
	struct sim_node *n = &s->node[node];

	s->refused_starts++;
	sim_trace(s, "node %u refuses to start: error %d", node, -rc);
	sim_event(s, node);
	for (uint16_t i = 0; i < s->plan.workers; i++)
		sim_disk_crash(n->worker[i].disk);
	reformat(s, node, is_careless(s, node));
	sim_trace(s, "node %u gets another disk%s", node,
		  n->careless ? ", formatted to found" : "");
	n->blank = true;
	sim_service_copies(s);
	n->restart_ns = s->now_ns + 1 + n->outage_ns;
	s->fault_due_ns = min_u64(s->fault_due_ns, n->restart_ns);
}

void sim_node_start(struct sim *s, uint8_t node)
{
	struct sim_node *n = &s->node[node];
	uint32_t before = n->incarnation;
	int rc;

	must(!n->up);
	rc = start_workers(s, node);
	/*
	 * What a start does not see is found sooner or later: the disk is replaced all the same.
	 * A voter of the view service must not come back without what it promised: at once.
	 */
	if (rc == 0 && n->damaged &&
	    (s->plan.service.on || ++n->damaged_starts > DAMAGED_STARTS))
		rc = -EBADMSG;
	if (rc != 0 && n->damaged) {
		refuse(s, node, rc);
		return;
	}
	if (rc != 0) {
		sim_violation(s, "node %u does not start: error %d", node, -rc);
		return;
	}
	restarted(s, n);
	sim_event(s, node);
	sim_trace(s, "node %u starts, incarnation %u, ready at %llu ns", node, n->incarnation,
		  (unsigned long long)n->ready_ns);
	if (n->incarnation <= before)
		sim_violation(s, "M-INCARN: node %u starts as incarnation %u after %u", node,
			      n->incarnation, before);
	/* What a lying disk has lost shows in nothing. */
	if (n->damaged) {
		n->disk_error_ns = n->ready_ns + DAMAGED_NS;
		sim_watch_lied(s, node);
	}
	if (sim_node_holds(s, node)) {
		sim_watch_started(s, node);
		sim_verify_recovered(s, node);
	}
	sim_view_started(s, node);
}

void sim_node_crash(struct sim *s, uint8_t node)
{
	struct sim_node *n = &s->node[node];

	must(n->up);
	if (s->plan.service.on)
		sim_verify_resets(s, node);
	n->up = false;
	for (uint16_t i = 0; i < s->plan.workers; i++) {
		sim_disk_advance(n->worker[i].disk, s->now_ns);
		s->torn_writes += sim_disk_next_ns(n->worker[i].disk) != SIM_NEVER;
		sim_disk_crash_by(n->worker[i].disk, rng_mix(n->tear + i));
		n->worker[i].due_ns = SIM_NEVER;
	}
	sim_net_port_down(s->net, n->port);
	n->restart_ns = s->now_ns + n->outage_ns;
	s->fault_due_ns = min_u64(s->fault_due_ns, n->restart_ns);
	sim_view_crashed(s, node);
	s->crashes++;
	sim_event(s, node);
	sim_trace(s, "node %u crashes", node);
}

/* ---- rounds ---------------------------------------------------------------------------------- */

/* worker_wake: the earliest moment at which the worker can be polled, not before `want`. */
static uint64_t worker_wake(const struct sim *s, uint8_t node, uint16_t worker, uint64_t want_ns)
{
	const struct sim_node *n = &s->node[node];
	uint64_t free_ns = n->worker[worker].polled_ns + s->plan.poll_gap_ns;

	return max_u64(max_u64(want_ns, free_ns), max_u64(n->paused_ns, n->ready_ns));
}

/* schedule: when the worker has something to do next, as things stand. */
static void schedule(struct sim *s, uint8_t node, uint16_t worker)
{
	struct sim_node *n = &s->node[node];
	struct sim_worker *w = &n->worker[worker];
	uint64_t want_ns = clock_reaches(&n->clock, worker_deadline_ns(w->worker));

	want_ns = min_u64(want_ns, sim_disk_next_ns(w->disk));
	if (sim_net_waiting(s->net, n->port, worker) > 0)
		want_ns = s->now_ns;
	w->due_ns = worker_wake(s, node, worker, want_ns);
}

void sim_node_clock_rate(struct sim *s, uint8_t node, uint32_t rate_ppm)
{
	struct sim_node *n = &s->node[node];

	n->clock.local_ns = clock_at(&n->clock, s->now_ns);
	n->clock.base_ns = s->now_ns;
	n->clock.rate_ppm = rate_ppm;
	for (uint16_t i = 0; n->up && i < s->plan.workers; i++)
		schedule(s, node, i);
	sim_trace(s, "the clock of node %u runs at %u ppm", node, rate_ppm);
}

void sim_node_pause(struct sim *s, uint8_t node, uint64_t until_ns, bool stale)
{
	struct sim_node *n = &s->node[node];

	if (!n->up || n->paused_ns > s->now_ns)
		return;
	n->paused_ns = until_ns;
	if (stale && s->now_ns >= n->ready_ns)
		n->stale_ns = sim_node_clock(s, node);
	for (uint16_t i = 0; i < s->plan.workers; i++)
		n->worker[i].due_ns = max_u64(n->worker[i].due_ns, until_ns);
	sim_trace(s, "node %u pauses until %llu ns", node, (unsigned long long)until_ns);
}

void sim_node_calm(struct sim *s, uint8_t node)
{
	struct sim_node *n = &s->node[node];

	n->paused_ns = n->stale_ns = 0;
	sim_net_arm(s->net, n->port, 0, NULL, NULL);
	for (uint16_t w = 0; w < s->plan.workers; w++) {
		sim_disk_arm(n->worker[w].disk, 0, false, NULL, NULL);
		if (n->up)
			n->worker[w].due_ns = max_u64(s->now_ns, n->ready_ns);
	}
}

/* step_crash: in the middle of a round; the round ends here (sim_node_poll). */
static void step_crash(void *context)
{
	struct sim *s = context;

	if (s->stepping && !sim_fault_precious(s, s->stepping_node))
		longjmp(s->step, 1);
}

void sim_node_arm(struct sim *s, uint8_t node, uint32_t n, uint8_t seam)
{
	if (seam < 2)
		sim_net_arm(s->net, s->node[node].port, n, step_crash, s);
	for (uint16_t w = 0; seam >= 2 && w < s->plan.workers; w++)
		sim_disk_arm(s->node[node].worker[w].disk, n, seam == 3, step_crash, s);
}

void sim_node_arrival(struct sim *s, const struct sim_delivery *delivery)
{
	struct sim_node *n = &s->node[delivery->to];
	struct sim_worker *w = &n->worker[delivery->queue];

	if (!n->up) {
		sim_net_release(s->net, delivery);
		return;
	}
	sim_net_push(s->net, delivery);
	w->due_ns = min_u64(w->due_ns, worker_wake(s, (uint8_t)delivery->to, delivery->queue,
						   s->now_ns));
}

/* round_of: false: the node crashed on the way. *ret_did is what worker_poll returned. */
static bool round_of(struct sim *s, uint8_t node, uint16_t worker, uint32_t *ret_did)
{
	struct sim_node *n = &s->node[node];
	/* A round that began before a pause goes on with the time it read then. */
	uint64_t now_ns = n->stale_ns != 0 ? n->stale_ns : sim_node_clock(s, node);

	s->stepping = true;
	s->stepping_node = node;
	if (setjmp(s->step) != 0) {
		s->stepping = false;
		return false;
	}
	*ret_did = worker_poll(n->worker[worker].worker, now_ns);
	s->stepping = false;
	return true;
}

void sim_node_wake(struct sim *s, uint8_t node)
{
	struct sim_node *n = &s->node[node];

	for (uint16_t i = 0; n->up && i < s->plan.workers; i++)
		n->worker[i].due_ns = min_u64(n->worker[i].due_ns,
					      worker_wake(s, node, i, s->now_ns));
}

/* look_service: what the round has done to the node; its other workers may have news, too. */
static void look_service(struct sim *s, uint8_t node, uint16_t worker)
{
	for (uint16_t i = 0; i < s->plan.workers; i++)
		if (i != worker)
			schedule(s, node, i);
	sim_service_look(s, node);
}

void sim_node_poll(struct sim *s, uint8_t node, uint16_t worker)
{
	struct sim_worker *w = &s->node[node].worker[worker];
	uint32_t did = 0;

	s->events += sim_disk_advance(w->disk, s->now_ns);
	if (!round_of(s, node, worker, &did)) {
		sim_trace(s, "node %u: in the middle of a round", node);
		s->step_crashes++;
		if (s->plan.service.on)
			sim_service_cut_short(s, node);
		sim_node_crash(s, node);
		return;
	}
	s->node[node].stale_ns = 0;
	w->polled_ns = s->now_ns;
	schedule(s, node, worker);
	if (s->plan.service.on)
		look_service(s, node, worker);
	if (did != 0)
		sim_event(s, (uint64_t)node << 8 | worker);
}

/* ---- what the view service calls ------------------------------------------------------------- */

static bool listens(const struct sim *s, const struct sim_node *n)
{
	return n->up && n->ready_ns <= s->now_ns && n->paused_ns <= s->now_ns;
}

bool sim_node_install(struct sim *s, uint8_t node, const struct view *view)
{
	struct sim_node *n = &s->node[node];
	bool all = true;

	if (!listens(s, n))
		return false;
	n->stale_ns = 0;
	for (uint16_t i = 0; i < s->plan.workers; i++) {
		sim_disk_advance(n->worker[i].disk, s->now_ns);
		all &= worker_install_view(n->worker[i].worker, view, sim_node_clock(s, node));
		schedule(s, node, i);
	}
	sim_event(s, (uint64_t)view->epoch << 8 | node);
	sim_trace(s, "node %u installs view %u: members %#x shadows %#x%s", node, view->epoch,
		  view->members, view->shadows, all ? "" : " (not all of it yet)");
	sim_verify_view(s, node);
	return all;
}

bool sim_node_lease(struct sim *s, uint8_t node, uint32_t epoch, uint64_t lease_ns)
{
	struct sim_node *n = &s->node[node];
	bool all = true;

	if (!listens(s, n))
		return false;
	n->stale_ns = 0;
	for (uint16_t i = 0; i < s->plan.workers; i++) {
		sim_disk_advance(n->worker[i].disk, s->now_ns);
		all &= worker_set_lease(n->worker[i].worker, epoch, lease_ns,
					sim_node_clock(s, node));
		schedule(s, node, i);
	}
	sim_event(s, (uint64_t)epoch << 8 | node);
	sim_trace(s, "node %u has a lease for view %u until %llu of its clock", node, epoch,
		  (unsigned long long)lease_ns);
	sim_verify_view(s, node);
	return all;
}

uint32_t sim_node_epoch(const struct sim *s, uint8_t node)
{
	const struct sim_node *n = &s->node[node];
	uint64_t epoch = UINT32_MAX;

	for (uint16_t i = 0; sim_node_holds(s, node) && i < s->plan.workers; i++)
		epoch = min_u64(epoch, worker_epoch(n->worker[i].worker));
	return sim_node_holds(s, node) ? (uint32_t)epoch : 0;
}

bool sim_node_joined(const struct sim *s, uint8_t node)
{
	const struct sim_node *n = &s->node[node];

	for (uint16_t i = 0; i < s->plan.workers; i++)
		if (!n->up || !worker_joined(n->worker[i].worker))
			return false;
	return true;
}

bool sim_node_holds(const struct sim *s, uint8_t node)
{
	return s->node[node].up && sim_view_holds(s, node);
}

const struct membership *sim_node_service(const struct sim *s, uint8_t node)
{
	return s->node[node].up ? worker_membership(s->node[node].worker[0].worker) : NULL;
}

/* ---- looking inside -------------------------------------------------------------------------- */

struct entry *sim_node_entry(struct sim *s, uint8_t node, uint32_t key)
{
	const struct sim_key *k = &s->key[key];
	struct worker *w = s->node[node].worker[k->shard % s->plan.workers].worker;

	struct entry *e = store_find(worker_store(w), s->node[node].hash[key], k->text, k->bytes);

	return e && e->version != 0 ? e : NULL; /* one made for an update that is yet to start */
}

struct replica *sim_node_replica(struct sim *s, uint8_t node, uint16_t shard)
{
	return worker_replica(s->node[node].worker[shard % s->plan.workers].worker, shard);
}

uint64_t sim_node_applied(struct sim *s, uint8_t node, uint16_t shard)
{
	return group_applied(sim_node_replica(s, node, shard));
}

uint32_t sim_node_ops(struct sim *s, uint8_t node)
{
	uint32_t ops = 0;

	for (uint16_t shard = 0; sim_node_holds(s, node) && shard < s->plan.shards; shard++)
		ops += replica_ops(sim_node_replica(s, node, shard));
	return ops;
}
