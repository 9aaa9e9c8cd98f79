/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: production workers, started, stopped, crashed and polled when something is due. */
#include <errno.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

#define CLUSTER_ID 0xca12ca12ca12ca12ull

static struct worker_config node_config(const struct sim *s, uint8_t node, uint16_t worker)
{
	struct worker_config c = s->plan.worker;

	/* Seeds of sessions and hashes must differ between incarnations, as in production. */
	c.seed = rng_mix(c.seed ^ ((uint64_t)node << 48 | (uint64_t)worker << 40 |
				   s->node[node].incarnation));
	c.store.seed = rng_mix(c.seed + 1);
	for (uint8_t n = 0; n < s->plan.nodes; n++)
		c.ip[n] = 0x0a4d0001u + n;
	c.worker_index = worker;
	return c;
}

void sim_node_format(struct sim *s, uint8_t node)
{
	static const uint8_t mac_base[6] = { 0x02, 0xca, 0x1a, 0, 0, 0 };
	struct sim_node *n = &s->node[node];
	uint8_t mac[6];

	memcpy(mac, mac_base, sizeof(mac));
	mac[5] = (uint8_t)(node + 1);
	n->port = sim_net_add_port(s->net, mac, s->plan.workers, s->plan.worker.port_base);
	must(n->port == node);
	for (uint16_t w = 0; w < s->plan.workers; w++) {
		struct superblock sb = {
			.cluster = CLUSTER_ID,
			.device_id = rng_mix(s->seed ^ ((uint64_t)node << 8 | w)),
			.fingerprint = superblock_fingerprint(CLUSTER_ID, s->plan.nodes,
							      s->plan.shards),
			.device_bytes = SIM_DEVICE_BYTES,
			.shard_count = s->plan.shards,
			.stream = w,
			.stream_count = s->plan.workers,
			.node = node,
			.node_count = s->plan.nodes,
		};

		sim_disk_reset(n->worker[w].disk, rng_next(&s->disk_rng), &s->plan.disk);
		must(superblock_format(n->worker[w].disk, s->scratch, &sb) == 0);
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

	/* A new process on the same disk: an armed error is gone. */
	sim_disk_fail_write(w->disk, UINT64_MAX / 2, -EIO);
	rc = superblock_read(w->disk, s->scratch, &sb);
	if (rc == 0)
		rc = superblock_advance(w->disk, s->scratch, &sb);
	if (rc != 0)
		return rc;
	n->incarnation = sb.incarnation;
	config = node_config(s, node, index);
	w->mem = grown(w->mem, &w->mem_bytes, worker_size(&config, &sb));
	memset(&w->stats, 0, sizeof(w->stats));
	w->worker = worker_init(w->mem, &config, &sb, sim_net_queue(s->net, n->port, index),
				w->disk, &w->stats);
	return worker_recover(w->worker, &offset);
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

void sim_node_start(struct sim *s, uint8_t node)
{
	struct sim_node *n = &s->node[node];

	must(!n->up);
	n->ready_ns = s->now_ns;
	for (uint16_t i = 0; i < s->plan.workers; i++) {
		struct sim_worker *w = &n->worker[i];
		int rc;

		sim_disk_advance(w->disk, s->now_ns);
		rc = start_worker(s, node, i);
		n->ready_ns = max_u64(n->ready_ns, disk_time(s, w->disk));
		if (rc != 0)
			sim_violation(s, "worker %u.%u does not start: error %d", node, i, -rc);
	}
	n->up = true;
	n->paused_ns = 0;
	n->restart_ns = SIM_NEVER;
	n->disk_error_ns = SIM_NEVER;
	for (uint16_t i = 0; i < s->plan.workers; i++) {
		n->worker[i].due_ns = n->ready_ns;
		n->worker[i].polled_ns = n->ready_ns;
	}
	sim_event(s, node);
	sim_trace(s, "node %u starts, incarnation %u, ready at %llu ns", node, n->incarnation,
		  (unsigned long long)n->ready_ns);
	if (!s->violated)
		sim_verify_recovered(s, node);
}

void sim_node_crash(struct sim *s, uint8_t node)
{
	struct sim_node *n = &s->node[node];

	must(n->up);
	n->up = false;
	for (uint16_t i = 0; i < s->plan.workers; i++) {
		sim_disk_advance(n->worker[i].disk, s->now_ns);
		s->torn_writes += sim_disk_next_ns(n->worker[i].disk) != SIM_NEVER;
		sim_disk_crash(n->worker[i].disk);
		n->worker[i].due_ns = SIM_NEVER;
	}
	sim_net_port_down(s->net, n->port);
	memset(n->entry, 0, sizeof(n->entry));
	s->crashes++;
	sim_event(s, node);
	sim_trace(s, "node %u crashes", node);
}

/* worker_wake: the earliest moment at which the worker can be polled, not before `want`. */
static uint64_t worker_wake(const struct sim *s, uint8_t node, uint16_t worker, uint64_t want_ns)
{
	const struct sim_node *n = &s->node[node];
	uint64_t free_ns = n->worker[worker].polled_ns + s->plan.poll_gap_ns;

	return max_u64(max_u64(want_ns, free_ns), max_u64(n->paused_ns, n->ready_ns));
}

void sim_node_pause(struct sim *s, uint8_t node, uint64_t until_ns)
{
	struct sim_node *n = &s->node[node];

	n->paused_ns = until_ns;
	for (uint16_t i = 0; i < s->plan.workers; i++)
		n->worker[i].due_ns = max_u64(n->worker[i].due_ns, until_ns);
	sim_trace(s, "node %u pauses until %llu ns", node, (unsigned long long)until_ns);
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

void sim_node_poll(struct sim *s, uint8_t node, uint16_t worker)
{
	struct sim_worker *w = &s->node[node].worker[worker];
	uint64_t want_ns;

	sim_disk_advance(w->disk, s->now_ns);
	worker_poll(w->worker, s->now_ns);
	w->polled_ns = s->now_ns;
	want_ns = min_u64(worker_deadline_ns(w->worker), sim_disk_next_ns(w->disk));
	if (sim_net_waiting(s->net, s->node[node].port, worker) > 0)
		want_ns = s->now_ns;
	w->due_ns = worker_wake(s, node, worker, want_ns);
	sim_event(s, (uint64_t)node << 8 | worker);
}

struct replica *sim_node_replica(struct sim *s, uint8_t node, uint16_t shard)
{
	return worker_replica(s->node[node].worker[shard % s->plan.workers].worker, shard);
}

uint32_t sim_node_ops(struct sim *s, uint8_t node)
{
	uint32_t ops = 0;

	for (uint16_t shard = 0; shard < s->plan.shards; shard++)
		ops += replica_ops(sim_node_replica(s, node, shard));
	return ops;
}
