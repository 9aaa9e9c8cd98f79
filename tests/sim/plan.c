/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/plan.h"

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
}

static void draw_processes(struct plan *p, struct rng *r, uint64_t length_ns)
{
	if (rng_chance(r, 550000)) {
		p->crash.every_ns = length_ns / PICK(r, 2, 4, 8, 16);
		p->crash.length_ns = PICK(r, 100 * US, 500 * US, 2 * MS);
		p->crash_all_ppm = (uint32_t)PICK(r, 0, 200000, 500000);
		p->crash_busy_ppm = (uint32_t)PICK(r, 0, 500000, 1000000);
	}
	if (rng_chance(r, 350000)) {
		p->partition.every_ns = length_ns / PICK(r, 2, 5, 10);
		p->partition.length_ns = PICK(r, 300 * US, 1 * MS, 4 * MS);
	}
	if (rng_chance(r, 300000)) {
		p->pause.every_ns = length_ns / PICK(r, 3, 10, 20);
		p->pause.length_ns = PICK(r, 50 * US, 500 * US, 3 * MS);
	}
	if (rng_chance(r, 150000)) {
		p->disk_error.every_ns = length_ns / PICK(r, 1, 3, 6);
		p->disk_error.length_ns = PICK(r, 500 * US, 3 * MS);
	}
	p->disk.latency_base_ns = PICK(r, 5 * US, 20 * US, 50 * US);
	p->disk.latency_tail_ns = PICK(r, 2 * US, 20 * US, 80 * US, 400 * US);
	p->disk.in_order = rng_chance(r, 300000);
	if (rng_chance(r, 150000)) {
		p->disk.stall_ns = PICK(r, 500 * US, 3 * MS);
		p->disk.stalls_per_million = (uint32_t)PICK(r, 1000, 10000);
	}
}

static void draw_worker(struct plan *p, struct rng *r)
{
	struct worker_config *c = &p->worker;

	c->seed = rng_next(r);
	c->retransmit_ns = PICK(r, 300 * US, 1 * MS, 2 * MS);
	c->replay_ns = PICK(r, 300 * US, 1 * MS, 2 * MS);
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

	p->clients = (uint32_t)rng_range(r, 4, SIM_CLIENTS_MAX);
	p->slots = (uint32_t)PICK(r, 1, 2, 4, SIM_SLOTS_MAX);
	p->keys = (uint32_t)PICK(r, 1, 2, 4, 8, SIM_KEYS_MAX);
	p->counters = (uint32_t)rng_below(r, p->keys + 1);
	p->ops = (uint32_t)rng_range(r, 3000, 4200);
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
	p->timeout_ns = PICK(r, 2 * MS, 5 * MS, 20 * MS);
	p->retransmit_ns = PICK(r, 300 * US, 1 * MS, 3 * MS);
	p->safety_ns = 6 * length_ns;
}

/* draw_clients: how they deal with servers that do not answer. */
static void draw_clients(struct plan *p, struct rng *r)
{
	if (rng_chance(r, 750000)) {
		p->failover_ns = PICK(r, 500 * US, 1 * MS, 3 * MS);
		p->any_ppm = (uint32_t)PICK(r, 300000, 800000, 1000000);
	}
	if (rng_chance(r, 250000)) {
		p->hasty_ppm = (uint32_t)PICK(r, 50000, 300000);
		p->hasty_ns = PICK(r, 100 * US, 500 * US, 2 * MS);
	}
	p->worker.broadcast_acks = rng_chance(r, 300000);
	p->worker.session_window = (uint16_t)PICK(r, 16, 64, SESSION_WINDOW);
}

void plan_draw(struct plan *p, uint64_t seed, uint32_t nodes)
{
	struct rng rng = rng_make(seed, 0), *r = &rng;
	uint64_t length_ns = PICK(r, 15 * MS, 30 * MS, 60 * MS);

	memset(p, 0, sizeof(*p));
	p->nodes = (uint8_t)PICK(r, 3, 3, 3, 4, 5);
	if (nodes != 0)
		p->nodes = (uint8_t)nodes;
	p->shards = (uint16_t)PICK(r, 1, 1, 1, 2, 4);
	p->workers = p->shards > 1 && rng_chance(r, 500000) ? 2 : 1;
	p->poll_gap_ns = PICK(r, 300, 1 * US, 5 * US, 20 * US);
	draw_net(p, r);
	draw_processes(p, r, length_ns);
	draw_worker(p, r);
	draw_load(p, r, length_ns);
	draw_clients(p, r);
}
