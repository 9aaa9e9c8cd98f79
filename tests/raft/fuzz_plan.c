/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_plan.c: what a seed means: the group, its settings, the weather. */
#include "tests/raft/fuzz.h"

/* some: most faults are absent from most runs; where one exists, how strong is drawn too. */
static uint32_t some(struct rng *r, uint32_t low, uint32_t high)
{
	return rng_below(r, 2) == 0 ? 0 : (uint32_t)rng_range(r, low, high);
}

static uint64_t power(struct rng *r, uint32_t low, uint32_t high)
{
	return 1ull << rng_range(r, low, high);
}

static struct raft_config draw_config(struct rng *r, uint64_t seed)
{
	struct raft_config c = { .seed = rng_mix(seed + 99) };

	c.heartbeat_ns = 10 * FUZZ_MS;
	c.election_ns = rng_range(r, 40, 120) * FUZZ_MS;
	if (rng_below(r, 4) == 0)
		c.election_ns = rng_range(r, 12, 40) * FUZZ_MS;
	c.disk_ns = rng_range(r, 100, 400) * FUZZ_MS;
	c.entries_max = (uint32_t)power(r, 5, 9);
	c.open_max = (uint32_t)rng_range(r, 4, c.entries_max / 4);
	c.bytes_max = (uint32_t)(c.open_max + rng_range(r, 3, 16)) * RAFT_ENTRY_BYTES_MAX;
	c.inflight_max = (uint32_t)rng_range(r, 1, 16);
	c.reads_max = (uint32_t)power(r, 2, 5);
	c.drift_ppm = (uint16_t)some(r, 10, 2000);
	return c;
}

/* draw_conf: who begins. Voters with data are a majority of all voters. */
static struct raft_conf draw_conf(struct rng *r, uint32_t nodes, uint8_t witnesses)
{
	struct raft_conf c = { 0 };
	uint32_t voters = nodes <= 2 ? nodes : (uint32_t)rng_range(r, 1, nodes);

	if (rng_below(r, 3) != 0 && voters < 3 && nodes >= 3)
		voters = 3;
	for (uint32_t i = 0; i < voters; i++)
		c.voters |= (uint8_t)(1u << i);
	for (uint32_t i = voters; i < nodes; i++) {
		if (rng_below(r, 3) == 0 && (witnesses >> i & 1) == 0)
			c.learners |= (uint8_t)(1u << i);
	}
	c.witnesses = c.voters & witnesses;
	return c;
}

static void draw_faults(struct fuzz_plan *p, struct rng *r)
{
	p->fault_sum = 0;
	for (uint32_t i = 0; i < FAULT_COUNT; i++) {
		p->fault[i] = some(r, 1, 10);
		p->fault_sum += p->fault[i];
	}
}

static void draw_weather(struct fuzz_plan *p, struct rng *r)
{
	p->loss_ppm = some(r, 100, 100000);
	p->double_ppm = some(r, 1000, 100000);
	p->old_ppm = some(r, 100, 20000);
	p->late_ppm = some(r, 100, 50000);
	p->told_late_ppm = some(r, 1000, 300000);
	p->partial_ppm = some(r, 10000, 500000);
	p->lag_ppm = some(r, 10000, 500000);
	/* Mostly a network; sometimes one on which nothing arrives in time, in any order. */
	p->delay_ns = power(r, 0, 6) * 50000;
	if (rng_below(r, 8) == 0)
		p->delay_ns = power(r, 0, 4) * 10 * FUZZ_MS;
	p->disk_ns = power(r, 0, 7) * 50000;
	p->load_ns = power(r, 0, 4) * 500000;
	p->fault_ns = rng_range(r, 20, 300) * FUZZ_MS;
	p->chaos_ns = rng_range(r, 500, 2000) * FUZZ_MS;
	p->rounds = (uint32_t)rng_range(r, 1, 3);
	p->entry_bytes = rng_below(r, 8) == 0 ? RAFT_ENTRY_BYTES_MAX : (uint32_t)power(r, 3, 6);
	p->fifo = rng_below(r, 3) == 0;
	p->gaps = rng_below(r, 2) == 0;
	p->conf_weight = some(r, 5, 100);
	p->transfer_weight = some(r, 1, 20);
	p->hold_weight = some(r, 1, 20);
	p->read_weight = some(r, 5, 40);
	p->compact_weight = some(r, 2, 20);
}

/*
 * crowd: a small memory that is full of what leaders began, few updates among it, nothing dropped
 * in time: after a power failure nobody knows of most of it whether it was committed. Who has left
 * keeps its disk: it may have to say so (docs/raft.md, Known holes).
 */
static void crowd(struct fuzz_plan *p, struct raft_config *c, struct rng *r)
{
	c->entries_max = (uint32_t)power(r, 4, 5);
	c->open_max = (uint32_t)rng_range(r, 1, c->entries_max / 4);
	c->bytes_max = c->entries_max * RAFT_ENTRY_BYTES_MAX;
	p->keep_entries = c->entries_max - 1;
	p->keep_disks = true;
	p->load_ns = rng_range(r, 1, 8) * FUZZ_MS;
	p->read_weight = (uint32_t)rng_range(r, 90, 100);
	p->compact_weight = 0;
	p->conf_weight = (uint32_t)rng_range(r, 5, 200);
	p->transfer_weight = (uint32_t)rng_range(r, 20, 200);
	p->chaos_ns = rng_range(r, 2000, 8000) * FUZZ_MS;
	p->fault_ns = rng_range(r, 100, 400) * FUZZ_MS;
	p->fault[FAULT_crash_many] += 20;
	p->fault[FAULT_isolate] += (uint32_t)rng_range(r, 0, 5);
	p->fault_sum = 0;
	for (uint32_t i = 0; i < FAULT_COUNT; i++)
		p->fault_sum += p->fault[i];
}

/* draw_clocks: rates within drift_ppm of one another, origins anywhere. */
static void draw_clocks(struct fuzz *f, uint16_t drift_ppm)
{
	for (uint32_t i = 0; i < f->rig->nodes; i++) {
		struct rig_node *n = &f->rig->node[i];

		n->clock_local = rng_range(&f->time_rng, 1, 1000000 * FUZZ_MS);
		n->rate_ppb =
			(int64_t)rng_below(&f->time_rng, 1000u * drift_ppm + 1) - 500 * drift_ppm;
	}
}

void fuzz_plan_draw(struct fuzz *f, uint32_t nodes)
{
	struct rng r = rng_make(f->seed, 1), crowd_rng = rng_make(f->seed, 7);
	struct raft_config config;
	struct raft_conf conf;

	f->net_rng = rng_make(f->seed, 2);
	f->disk_rng = rng_make(f->seed, 3);
	f->load_rng = rng_make(f->seed, 4);
	f->fault_rng = rng_make(f->seed, 5);
	f->time_rng = rng_make(f->seed, 6);
	if (nodes == 0)
		nodes = rng_below(&r, 2) == 0 ? 3 : (uint32_t)rng_range(&r, 1, NODES_MAX);
	f->plan.witnesses = 0;
	if (nodes >= 3 && rng_below(&r, 4) == 0)
		f->plan.witnesses = (uint8_t)(1u << rng_below(&r, nodes - 1) << 1);
	conf = draw_conf(&r, nodes, f->plan.witnesses);
	if (raft_bits(conf.voters) == 2 && conf.witnesses != 0) {
		conf.voters &= (uint8_t)~conf.witnesses;
		conf.witnesses = 0;
	}
	config = draw_config(&r, f->seed);
	config.strip = f->plan.witnesses != 0 && rng_below(&r, 2) == 0;
	draw_weather(&f->plan, &r);
	f->plan.keep_entries = config.entries_max / 2;
	if (f->plan.entry_bytes > config.bytes_max / config.entries_max)
		f->plan.keep_entries = config.bytes_max / f->plan.entry_bytes / 2;
	draw_faults(&f->plan, &r);
	f->plan.keep_disks = false;
	if (rng_below(&crowd_rng, 8) == 0)
		crowd(&f->plan, &config, &crowd_rng);
	f->rig->state_bytes = rng_below(&r, 8) == 0 ? RAFT_PAYLOAD_MAX - RAFT_CONF_BYTES
						    : (uint32_t)rng_range(&r, 16, 200);
	rig_begin(f->rig, nodes, &conf, &config);
	for (uint32_t i = 0; i < nodes; i++)
		f->rig->node[i].witness = (f->plan.witnesses >> i & 1) != 0;
	draw_clocks(f, config.drift_ppm);
}
