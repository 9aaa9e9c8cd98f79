/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/plan.h"

#include <stddef.h>

#define US 1000ull
#define MS 1000000ull

/* pick: one of a few values. */
static uint64_t pick(struct rng *r, const uint64_t *values, uint32_t count)
{
	return values[rng_below(r, count)];
}

#define PICK(r, ...)                                                                               \
	pick(r, (const uint64_t[]){ __VA_ARGS__ }, ARRAY_LEN(((const uint64_t[]){ __VA_ARGS__ })))

static void draw_net(struct plan *p, struct rng *r)
{
	struct sim_net_faults *f = &p->net;

	f->delay_min_ns = PICK(r, 500, 2 * US, 5 * US, 20 * US);
	f->delay_jitter_ns = PICK(r, 200, 2 * US, 10 * US, 50 * US);
	f->fifo = rng_chance(r, 350000);
	if (rng_chance(r, 400000))
		f->loss_ppm = (uint32_t)PICK(r, 1000, 10000, 50000, 150000, 300000);
	if (rng_chance(r, 250000)) {
		f->burst_enter_ppm = (uint32_t)PICK(r, 500, 2000, 5000);
		f->burst_leave_ppm = (uint32_t)PICK(r, 50000, 150000);
	}
	if (rng_chance(r, 400000))
		f->duplicate_ppm = (uint32_t)PICK(r, 5000, 50000, 200000);
	if (rng_chance(r, 300000)) {
		f->spike_ppm = (uint32_t)PICK(r, 1000, 10000, 50000);
		f->spike_ns = PICK(r, 200 * US, 1 * MS, 5 * MS);
	}
	if (rng_chance(r, 250000))
		f->corrupt_ppm = (uint32_t)PICK(r, 2000, 20000, 100000);
	if (rng_chance(r, 250000))
		f->truncate_ppm = (uint32_t)PICK(r, 2000, 20000);
	if (rng_chance(r, 150000))
		f->misdeliver_ppm = (uint32_t)PICK(r, 500, 5000, 50000);
}

/* some: a fault that exists in this seed with this chance, so many times in its length. */
static struct plan_fault some(struct rng *r, uint32_t ppm, uint64_t length_ns, uint64_t times)
{
	struct plan_fault f = { 0, 0 };

	if (rng_chance(r, ppm)) {
		f.every_ns = length_ns / times;
		f.length_ns = PICK(r, 100 * US, 300 * US, 1 * MS, 4 * MS);
	}
	return f;
}

static void draw_links(struct plan *p, struct rng *r, uint64_t length_ns)
{
	p->partition = some(r, 350000, length_ns, PICK(r, 2, 5, 10, 30));
	p->slow = some(r, 200000, length_ns, PICK(r, 2, 5, 10));
	p->clog = some(r, 200000, length_ns, PICK(r, 5, 20, 60));
	p->replay = some(r, 400000, length_ns, PICK(r, 20, 100, 400));
	p->net.keep_old = p->replay.every_ns != 0;
}

static void draw_processes(struct plan *p, struct rng *r, uint64_t length_ns)
{
	if (rng_chance(r, 700000)) {
		p->crash.every_ns = length_ns / PICK(r, 3, 6, 12, 24);
		p->crash.length_ns = PICK(r, 50 * US, 100 * US, 300 * US, 1 * MS);
		p->crash_all_ppm = (uint32_t)PICK(r, 0, 100000, 300000);
		p->crash_busy_ppm = (uint32_t)PICK(r, 0, 500000, 1000000);
		p->crash_step_ppm = (uint32_t)PICK(r, 0, 300000, 700000);
	}
	p->pause = some(r, 300000, length_ns, PICK(r, 3, 10, 30));
	p->stale_ppm = (uint32_t)PICK(r, 0, 500000, 1000000);
	p->clock = some(r, 200000, length_ns, PICK(r, 2, 6, 20));
	p->drift_ppm = (uint32_t)PICK(r, 0, 100, 500);
}

static void draw_disk(struct plan *p, struct rng *r, uint64_t length_ns)
{
	p->disk_error = some(r, 150000, length_ns, PICK(r, 1, 3, 6));
	p->disk.latency_base_ns = PICK(r, 5 * US, 20 * US, 50 * US);
	p->disk.latency_tail_ns = PICK(r, 2 * US, 20 * US, 80 * US, 400 * US);
	p->disk.in_order = rng_chance(r, 300000);
	if (rng_chance(r, 150000)) {
		p->disk.stall_ns = PICK(r, 500 * US, 3 * MS);
		p->disk.stalls_per_million = (uint32_t)PICK(r, 1000, 10000);
	}
}

/* draw_views: what only a cluster with a view authority can go through. */
static void draw_views(struct plan *p, struct rng *r, uint64_t length_ns)
{
	struct plan_views *v = &p->views;

	p->worker.views = true;
	v->lease_ns = PICK(r, 100 * US, 300 * US, 1 * MS);
	v->renew_ns = v->lease_ns / PICK(r, 2, 4);
	v->margin_ns = PICK(r, 1, 10 * US);
	v->notice_ns = PICK(r, 20 * US, 100 * US, 500 * US);
	v->install_ns = PICK(r, 2 * US, 20 * US, 100 * US);
	v->late_ns = PICK(r, 200 * US, 1 * MS);
	v->late_ppm = (uint32_t)PICK(r, 0, 100000, 300000);
	v->skip_ppm = (uint32_t)PICK(r, 0, 200000, 1000000);
	v->return_ns = PICK(r, 20 * US, 100 * US, 500 * US);
	v->exclude = some(r, 400000, length_ns, PICK(r, 3, 10, 30));
	v->demote = some(r, 300000, length_ns, PICK(r, 3, 10, 30));
	p->lost_write = some(r, 150000, length_ns, PICK(r, 5, 20));
	p->misdirect = some(r, 150000, length_ns, PICK(r, 3, 10));
	p->rot = some(r, 200000, length_ns, PICK(r, 5, 20));
}

static void draw_worker(struct plan *p, struct rng *r)
{
	struct worker_config *c = &p->worker;

	c->seed = rng_next(r);
	c->retransmit_ns = PICK(r, 150 * US, 300 * US, 1 * MS);
	c->replay_ns = PICK(r, 150 * US, 300 * US, 1 * MS);
	c->hello_ns = PICK(r, 500 * US, 1 * MS, 2 * MS);
	c->housekeeping_ns = PICK(r, 1 * MS, 2 * MS, 5 * MS);
	c->store = (struct store_config){ .keys_max = 64, .blob_bytes = 256 << 10,
					  .seed = rng_next(r) };
	c->wal.batch_bytes_max = (uint32_t)PICK(r, 128 << 10, 160 << 10);
	c->wal.batches_in_flight_max = (uint32_t)rng_range(r, 1, WAL_DEPTH_MAX);
	c->wal.seal_ns = PICK(r, 0, 500 * US, 5 * MS);
	c->ops_max = (uint32_t)PICK(r, 32, 64, 256);
	c->held_max = (uint32_t)PICK(r, 64, 256, 1024);
	c->sessions_max = (uint32_t)PICK(r, 16, 24, 32);
	if (rng_chance(r, 50000))
		c->sessions_max = (uint32_t)PICK(r, 3, 6);
	c->port_base = 7000;
	c->worker_count = p->workers;
	c->space_low_permille = 50;
}

static void draw_load(struct plan *p, struct rng *r, uint64_t length_ns)
{
	static const uint32_t mixes[][SIM_KINDS] = {
		{ 40, 28, 8, 8, 10, 6 }, { 50, 50, 0, 0, 0, 0 },  { 30, 40, 30, 0, 0, 0 },
		{ 30, 20, 0, 30, 0, 20 }, { 20, 10, 0, 0, 70, 0 }, { 10, 25, 15, 15, 20, 15 },
		{ 80, 10, 2, 3, 3, 2 },	 { 30, 10, 20, 40, 0, 0 }, { 30, 10, 15, 0, 0, 45 },
	};
	uint64_t mix = rng_below(r, ARRAY_LEN(mixes));

	p->clients = (uint32_t)rng_range(r, 6, SIM_CLIENTS_MAX);
	p->slots = (uint32_t)PICK(r, 2, 4, SIM_SLOTS_MAX, SIM_SLOTS_MAX);
	p->keys = (uint32_t)PICK(r, 1, 2, 4, 8, SIM_KEYS_MAX);
	p->counters = (uint32_t)rng_below(r, p->keys + 1);
	p->ops = (uint32_t)rng_range(r, 10500, 12300);
	for (uint32_t i = 0; i < SIM_KINDS; i++) {
		p->weight[i] = mixes[mix][i];
		p->weight_sum += p->weight[i];
	}
	if (p->weight[4] >= 25)
		p->counters = p->keys;
	if (rng_chance(r, 250000))
		p->hot_ppm = (uint32_t)PICK(r, 300000, 800000);
	p->value_bytes_max = (uint32_t)PICK(r, 24, 24, 64, VALUE_BYTES_MAX);
	p->think_ns = length_ns * p->clients * p->slots / p->ops;
	p->timeout_ns = PICK(r, 5 * MS, 10 * MS, 20 * MS);
	p->retransmit_ns = PICK(r, 150 * US, 300 * US, 1 * MS);
	p->safety_ns = 10 * length_ns;
}

/* draw_clients: how they deal with servers that do not answer. */
static void draw_clients(struct plan *p, struct rng *r)
{
	if (rng_chance(r, 900000)) {
		p->failover_ns = PICK(r, 500 * US, 1 * MS, 3 * MS);
		p->any_ppm = (uint32_t)PICK(r, 300000, 800000, 1000000);
	}
	if (rng_chance(r, 250000)) {
		p->hasty_ppm = (uint32_t)PICK(r, 20000, 100000);
		p->hasty_ns = PICK(r, 100 * US, 500 * US, 2 * MS);
	}
	p->worker.broadcast_acks = rng_chance(r, 300000);
	p->worker.session_window = (uint16_t)PICK(r, 16, 64, SESSION_WINDOW);
}

const char *const plan_profiles[PROFILE_COUNT][2] = {
	[PROFILE_DEFAULT] = { "default",
			      "everything; views static, scripted, the nodes' own; both engines" },
	[PROFILE_STATIC] = { "static", "the view never changes: production today" },
	[PROFILE_VIEWS] = { "views", "a scripted authority changes the view in every seed" },
	[PROFILE_CRASH] = { "crash", "crashes only, about 100 a seed, at every step" },
	[PROFILE_NET] = { "net", "faults of frames and links only" },
	[PROFILE_DISK] = { "disk", "crashes and faults of disks only" },
	[PROFILE_CLOCK] = { "clock", "views; pauses, drift, frozen clocks and exclusions only" },
	[PROFILE_HOT] = { "hot", "everything, on one key" },
	[PROFILE_CALM] = { "calm", "no faults" },
	[PROFILE_SERVICE] = { "service", "the production view service; everything" },
	[PROFILE_RAFT] = { "raft", "the same with the raft engine" },
	[PROFILE_PRODUCTION] = { "production", "production timers, no faults, the view service" },
	[PROFILE_PRODUCTION_RAFT] = { "production-raft", "the same with the raft engine" },
};

static void no_net(struct plan *p)
{
	p->net = (struct sim_net_faults){ .delay_min_ns = p->net.delay_min_ns,
					  .delay_jitter_ns = p->net.delay_jitter_ns };
	p->partition.every_ns = p->slow.every_ns = p->clog.every_ns = p->replay.every_ns = 0;
}

static void no_processes(struct plan *p)
{
	p->crash.every_ns = p->pause.every_ns = 0;
	p->views.exclude.every_ns = p->views.demote.every_ns = 0;
}

static void no_disk(struct plan *p)
{
	p->disk_error.every_ns = p->lost_write.every_ns = p->misdirect.every_ns = 0;
	p->rot.every_ns = 0;
}

static void restrict_to(struct plan *p, struct rng *r, enum plan_profile profile,
			uint64_t length_ns)
{
	struct plan_fault clock = { length_ns / 20, 300 * US };
	struct plan_fault crash = { length_ns / 100, PICK(r, 50 * US, 200 * US) };
	bool only = profile >= PROFILE_CRASH && profile <= PROFILE_CALM && profile != PROFILE_HOT;

	if (profile == PROFILE_CRASH || profile == PROFILE_DISK || profile == PROFILE_CLOCK ||
	    profile == PROFILE_CALM)
		no_net(p);
	if (profile == PROFILE_NET || profile == PROFILE_CLOCK || profile == PROFILE_CALM)
		no_processes(p);
	if (only && profile != PROFILE_DISK)
		no_disk(p);
	if (profile == PROFILE_CRASH || profile == PROFILE_DISK) {
		p->crash.every_ns = crash.every_ns;
		p->crash.length_ns = crash.length_ns;
	}
	if (profile == PROFILE_CLOCK) {
		p->pause = p->clock = clock;
		p->views.exclude = p->views.demote = clock;
		p->drift_ppm = 500;
		p->stale_ppm = 700000;
	} else if (only) {
		p->clock.every_ns = 0;
	}
	if (profile == PROFILE_HOT)
		p->keys = 1;
	p->counters = (uint32_t)min_u64(p->counters, p->keys);
}

/* draw_times: of the service, so that a healthy wire and disk of this seed can keep them. */
static void draw_times(struct plan *p, struct rng *r)
{
	struct plan_service *v = &p->service;
	uint64_t wire_ns = p->net.delay_min_ns + p->net.delay_jitter_ns + p->poll_gap_ns;
	uint64_t disk_ns = p->disk.latency_base_ns + p->disk.latency_tail_ns;

	v->election_ns = max_u64(PICK(r, 1 * MS, 2 * MS), 8 * wire_ns + 6 * disk_ns);
	v->heartbeat_ns = v->election_ns / PICK(r, 4, 6);
	v->lease_ns = v->election_ns * PICK(r, 1, 3, 3, 4);
	v->detect_ns = v->election_ns * PICK(r, 1, 1, 2);
	v->recover_ns = v->election_ns * PICK(r, 1, 3);
	v->holddown_ns = v->election_ns * PICK(r, 2, 4, 8);
	v->slow_ns = v->election_ns * PICK(r, 2, 4);
	v->slow_floor_ns = 5 * (wire_ns + disk_ns);
	v->slow_factor = (uint32_t)PICK(r, 0, 10, 20);
	v->spawn_ns = PICK(r, 20 * US, 200 * US, 2 * MS);
}

static void draw_shape(struct plan *p, struct rng *r, uint32_t nodes)
{
	struct plan_service *v = &p->service;

	p->nodes = (uint8_t)PICK(r, 2, 3, 3, 3, 3, 3, 4, 5, 5, 5, 7);
	if (nodes != 0)
		p->nodes = (uint8_t)nodes;
	v->founders = p->nodes;
	if (p->nodes > 2 && rng_chance(r, 300000))
		v->founders = (uint8_t)rng_range(r, 2, p->nodes);
	if (v->founders > 2 && rng_chance(r, 200000))
		v->witness = (uint8_t)rng_range(r, 1, v->founders);
	v->copies_min = (uint8_t)PICK(r, 1, 1, 2);
}

/* draw_service: what only a cluster that decides for itself can go through. */
static void draw_service(struct plan *p, struct rng *r, uint64_t length_ns, bool raft)
{
	struct plan_service *v = &p->service;

	p->views = (struct plan_views){ 0 };
	p->worker.views = true;
	v->on = true;
	v->engine = raft ? ENGINE_RAFT : ENGINE_HERMES;
	draw_times(p, r);
	v->entries_max = (uint32_t)PICK(r, 64, 256, 1024);
	v->role_ppm = (uint32_t)PICK(r, 0, 500000, 800000);
	v->command = some(r, 500000, length_ns, PICK(r, 4, 10, 20));
	v->flap = some(r, 250000, length_ns, PICK(r, 2, 4));
	v->flap.length_ns = v->lease_ns / 2;
	v->slow_node = some(r, 250000, length_ns, PICK(r, 2, 4));
	v->slow_node.length_ns = v->election_ns * PICK(r, 3, 10);
	p->partition = some(r, 800000, length_ns, PICK(r, 10, 25, 50));
	p->partition.length_ns = v->election_ns * PICK(r, 1, 2, 4);
	p->crash.length_ns = PICK(r, 100 * US, v->election_ns, 3 * v->election_ns);
	p->pause.length_ns = v->lease_ns / 2 * PICK(r, 1, 2, 4);
	p->lost_write = some(r, 100000, length_ns, PICK(r, 3, 6));
	p->misdirect = some(r, 100000, length_ns, PICK(r, 3, 6));
	p->rot = some(r, 150000, length_ns, PICK(r, 3, 6));
	p->drift_ppm = (uint32_t)PICK(r, 0, 100, 500);
}

/* draw_source: who decides on views: 0 as ever, 1 the service, 2 the same with the raft engine. */
static uint32_t draw_source(struct rng *r, enum plan_profile profile)
{
	if (profile == PROFILE_SERVICE || profile == PROFILE_RAFT)
		return profile == PROFILE_SERVICE ? 1 : 2;
	if (profile != PROFILE_DEFAULT)
		return 0;
	return (uint32_t)PICK(r, 0, 0, 0, 1, 1);
}

static bool draw_authority(struct rng *r, enum plan_profile profile)
{
	bool on = rng_chance(r, 500000);

	if (profile == PROFILE_STATIC)
		return false;
	return on || profile == PROFILE_VIEWS || profile == PROFILE_CLOCK;
}

/* production: mgmt/default.toml and mgmt/node_open.c; the load is for sim_failover.c. */
static void production(struct plan *p, uint64_t seed, uint32_t nodes, bool raft)
{
	*p = (struct plan){
		.nodes = (uint8_t)(nodes != 0 ? nodes : 3),
		.shards = 4,
		.workers = 1,
		.poll_gap_ns = 1 * US,
		.net = { .delay_min_ns = 5 * US, .delay_jitter_ns = 2 * US },
		.disk = { .latency_base_ns = 15 * US, .latency_tail_ns = 5 * US },
		.drift_ppm = 100,
		.service = { .on = true, .engine = raft ? ENGINE_RAFT : ENGINE_HERMES,
			     .copies_min = 1, .heartbeat_ns = 2 * MS, .election_ns = 20 * MS,
			     .lease_ns = 40 * MS, .detect_ns = 30 * MS, .recover_ns = 1000 * MS,
			     .holddown_ns = 2000 * MS, .slow_ns = 250 * MS,
			     .slow_floor_ns = 1 * MS, .spawn_ns = 100 * MS, .slow_factor = 20,
			     .entries_max = 4096 },
		.worker = { .seed = rng_mix(seed), .retransmit_ns = 10 * MS, .replay_ns = 20 * MS,
			    .hello_ns = 50 * MS, .housekeeping_ns = 2 * MS, .views = true,
			    /* far more than a log holds, as there: nobody waits for room */
			    .store = { .keys_max = 1 << 16, .blob_bytes = 64 << 20,
				       .seed = rng_mix(seed + 1) },
			    .wal = { .batch_bytes_max = 256 << 10, .batches_in_flight_max = 2,
				     .seal_ns = 100 * MS },
			    .ops_max = 1024, .held_max = 4096, .sessions_max = 32,
			    .session_window = SESSION_WINDOW, .port_base = 7000,
			    .worker_count = 1, .space_low_permille = 50 },
		.clients = 12, .slots = SIM_SLOTS_MAX, .keys = 16, .read_keys = 8,
		.ops = SIM_OPS_MAX - SIM_FINAL_OPS, .weight = { 45, 45, 0, 0, 10, 0 },
		.weight_sum = 100, .value_bytes_max = 64, .timeout_ns = 400 * MS,
		.retransmit_ns = 20 * MS, .safety_ns = 1000 * MS,
	};
	p->counters = 4;
	p->service.founders = p->nodes;
}

void plan_draw(struct plan *p, uint64_t seed, uint32_t nodes, enum plan_profile profile)
{
	struct rng rng = rng_make(seed, 0), *r = &rng;
	struct rng service_rng = rng_make(seed, 1); /* leaves the other seeds as they were */
	struct rng join_rng = rng_make(seed, 2);    /* likewise */
	struct rng raft_rng = rng_make(seed, 3);    /* likewise */
	struct rng careless_rng = rng_make(seed, 6); /* likewise */
	uint32_t source = draw_source(&service_rng, profile);
	uint64_t length_ns = PICK(r, 25 * MS, 50 * MS, 100 * MS);

	if (profile == PROFILE_PRODUCTION || profile == PROFILE_PRODUCTION_RAFT) {
		production(p, seed, nodes, profile == PROFILE_PRODUCTION_RAFT);
		p->think_ns = p->safety_ns * p->clients * p->slots / p->ops;
		return;
	}
	memset(p, 0, sizeof(*p));
	/* One default seed in five. */
	if (profile == PROFILE_DEFAULT && source == 0 && rng_chance(&raft_rng, 333333))
		source = 2;
	if (source != 0)
		length_ns *= 3;
	p->nodes = (uint8_t)PICK(r, 2, 3, 3, 3, 3, 3, 3, 4, 4, 5, 5, 6, 7);
	if (nodes != 0)
		p->nodes = (uint8_t)nodes;
	if (source != 0)
		draw_shape(p, &service_rng, nodes);
	p->shards = (uint16_t)PICK(r, 1, 1, 1, 2, 4);
	p->workers = p->shards > 1 && rng_chance(r, 500000) ? 2 : 1;
	p->poll_gap_ns = PICK(r, 300, 1 * US, 5 * US, 20 * US);
	draw_net(p, r);
	draw_links(p, r, length_ns);
	draw_processes(p, r, length_ns);
	draw_disk(p, r, length_ns);
	if (draw_authority(r, profile))
		draw_views(p, r, length_ns);
	draw_worker(p, r);
	p->worker.join_delta = rng_chance(&join_rng, 700000);
	p->worker.join_bytes_per_s = PICK(&join_rng, 0, 0, 1000000);
	p->worker.join_lanes = (uint32_t)PICK(&join_rng, 1, 2, 4, 16);
	p->worker.join_places = (uint32_t)PICK(&join_rng, 0, 1, 3, 8, 20);
	draw_load(p, r, length_ns);
	draw_clients(p, r);
	restrict_to(p, r, profile, length_ns);
	if (source != 0)
		draw_service(p, &service_rng, length_ns, source == 2);
	if (source != 0)
		p->service.careless_ppm = (uint32_t)PICK(&careless_rng, 0, 500000, 1000000);
}

/* The fields of a plan, by name, as traces carry them. */
struct field {
	const char *name;
	size_t offset, bytes;
};

#define FIELD(name) { #name, offsetof(struct plan, name), sizeof(((struct plan *)0)->name) }
#define FAULT(name) FIELD(name.every_ns), FIELD(name.length_ns)

static const struct field fields[] = {
	FIELD(nodes), FIELD(shards), FIELD(workers), FIELD(poll_gap_ns),
	FIELD(net.delay_min_ns), FIELD(net.delay_jitter_ns), FIELD(net.fifo), FIELD(net.loss_ppm),
	FIELD(net.burst_enter_ppm), FIELD(net.burst_leave_ppm), FIELD(net.duplicate_ppm),
	FIELD(net.spike_ppm), FIELD(net.spike_ns), FIELD(net.corrupt_ppm), FIELD(net.truncate_ppm),
	FIELD(net.misdeliver_ppm), FIELD(net.keep_old),
	FAULT(crash), FAULT(partition), FAULT(pause), FAULT(disk_error), FAULT(slow), FAULT(clog),
	FAULT(replay), FAULT(lost_write), FAULT(misdirect), FAULT(rot), FAULT(clock),
	FIELD(crash_all_ppm), FIELD(crash_busy_ppm), FIELD(crash_step_ppm), FIELD(stale_ppm),
	FIELD(drift_ppm), FIELD(disk.latency_base_ns), FIELD(disk.latency_tail_ns),
	FIELD(disk.stall_ns), FIELD(disk.stalls_per_million), FIELD(disk.in_order),
	FIELD(views.lease_ns), FIELD(views.renew_ns), FIELD(views.margin_ns),
	FIELD(views.notice_ns), FIELD(views.install_ns), FIELD(views.late_ns),
	FIELD(views.return_ns), FIELD(views.late_ppm), FIELD(views.skip_ppm),
	FAULT(views.exclude), FAULT(views.demote),
	FIELD(service.on), FIELD(service.engine), FIELD(service.founders), FIELD(service.witness),
	FIELD(service.copies_min), FIELD(service.heartbeat_ns), FIELD(service.election_ns),
	FIELD(service.lease_ns), FIELD(service.detect_ns), FIELD(service.recover_ns),
	FIELD(service.holddown_ns), FIELD(service.slow_ns), FIELD(service.slow_floor_ns),
	FIELD(service.spawn_ns), FIELD(service.slow_factor), FIELD(service.role_ppm),
	FIELD(service.careless_ppm),
	FIELD(service.entries_max),
	FAULT(service.command), FAULT(service.flap), FAULT(service.slow_node),
	FIELD(worker.seed), FIELD(worker.retransmit_ns), FIELD(worker.replay_ns),
	FIELD(worker.hello_ns), FIELD(worker.housekeeping_ns), FIELD(worker.store.keys_max),
	FIELD(worker.store.blob_bytes), FIELD(worker.store.seed), FIELD(worker.wal.batch_bytes_max),
	FIELD(worker.wal.batches_in_flight_max), FIELD(worker.wal.seal_ns), FIELD(worker.ops_max),
	FIELD(worker.held_max), FIELD(worker.sessions_max), FIELD(worker.port_base),
	FIELD(worker.worker_count), FIELD(worker.space_low_permille),
	FIELD(worker.views), FIELD(worker.session_window), FIELD(worker.broadcast_acks),
	FIELD(worker.join_delta), FIELD(worker.join_bytes_per_s),
	FIELD(worker.join_lanes), FIELD(worker.join_places),
	FIELD(clients), FIELD(keys), FIELD(counters), FIELD(slots), FIELD(ops), FIELD(weight[0]),
	FIELD(weight[1]), FIELD(weight[2]), FIELD(weight[3]), FIELD(weight[4]), FIELD(weight[5]),
	FIELD(weight_sum),
	FIELD(read_keys), FIELD(hot_ppm), FIELD(value_bytes_max), FIELD(think_ns),
	FIELD(timeout_ns), FIELD(retransmit_ns), FIELD(safety_ns), FIELD(failover_ns),
	FIELD(any_ppm),
	FIELD(hasty_ppm), FIELD(hasty_ns),
};

static uint64_t field_get(const struct plan *p, const struct field *f)
{
	const uint8_t *at = (const uint8_t *)p + f->offset;
	uint64_t value = 0;

	/* Both machines we build for are little-endian. */
	memcpy(&value, at, f->bytes);
	return value;
}

void plan_write(const struct plan *p, FILE *f)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		uint64_t value = field_get(p, &fields[i]);

		if (value != 0)
			fprintf(f, "plan %s %llu\n", fields[i].name, (unsigned long long)value);
	}
}

bool plan_set(struct plan *p, const char *name, uint64_t value)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const struct field *f = &fields[i];

		if (strcmp(f->name, name) != 0)
			continue;
		if (f->bytes < 8 && value >> (8 * f->bytes) != 0)
			return false;
		memcpy((uint8_t *)p + f->offset, &value, f->bytes);
		return true;
	}
	return false;
}

bool plan_valid(const struct plan *p)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < SIM_KINDS; i++)
		sum += p->weight[i];
	return p->nodes >= 1 && p->nodes <= NODES_MAX && p->shards >= 1 && p->shards <= 4 &&
	       p->workers >= 1 && p->workers <= SIM_QUEUES_MAX && p->workers <= p->shards &&
	       p->workers == p->worker.worker_count && p->clients >= 1 &&
	       p->clients <= SIM_CLIENTS_MAX && p->keys >= 1 && p->keys <= SIM_KEYS_MAX &&
	       p->counters <= p->keys && p->slots >= 1 && p->slots <= SIM_SLOTS_MAX &&
	       p->ops <= SIM_OPS_MAX - SIM_FINAL_OPS && sum == p->weight_sum && sum > 0 &&
	       p->read_keys < p->keys && p->service.founders <= p->nodes &&
	       p->service.witness <= p->service.founders &&
	       p->value_bytes_max >= 12 && p->value_bytes_max <= VALUE_BYTES_MAX;
}
