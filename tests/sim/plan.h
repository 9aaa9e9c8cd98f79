/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h: what one seed means. Swarm testing: every seed draws which faults exist at all, how
 * strong they are, how big the cluster and its tables are and what the clients do, so that many
 * runs lack a fault altogether and some have nothing but one.
 */
#ifndef CAIRN_TESTS_SIM_PLAN_H
#define CAIRN_TESTS_SIM_PLAN_H

#include "dataplane/worker.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_net.h"

#define SIM_DEVICE_BYTES (16ull << 20)
#define SIM_CLIENTS_MAX 16u
#define SIM_KEYS_MAX 16u
#define SIM_SLOTS_MAX 8u /* operations one client has open at once */
#define SIM_OPS_MAX 8192u
#define SIM_KINDS 6u	 /* of operations: get, put, del, cas, incr, casv */

/* A fault that comes again and again: mean time between two, mean length. 0: never. */
struct plan_fault {
	uint64_t every_ns;
	uint64_t length_ns;
};

struct plan {
	uint8_t nodes;
	uint16_t shards, workers;
	uint64_t poll_gap_ns; /* a worker's round takes this long: frames gather meanwhile */

	struct sim_net_faults net;
	struct plan_fault crash, partition, pause, disk_error;
	uint32_t crash_all_ppm;	 /* of crashes: every node at once; as many hit two */
	uint32_t crash_busy_ppm; /* of crashes: right when a write is in flight */
	struct sim_disk_options disk;

	struct worker_config worker; /* timers and sizes; addresses are filled by the node */

	uint32_t clients, keys, counters, slots; /* the first `counters` keys hold numbers */
	uint32_t ops;
	uint32_t weight[SIM_KINDS], weight_sum;
	uint32_t hot_ppm;	 /* operations on key 0, beyond its share */
	uint32_t value_bytes_max;
	uint64_t think_ns, timeout_ns, retransmit_ns;
	uint64_t failover_ns;	 /* a silent server is left after this; 0: never */
	uint32_t any_ppm;	 /* operations that another server may do */
	uint32_t hasty_ppm;	 /* operations whose client gives up after about hasty_ns */
	uint64_t hasty_ns;
	uint64_t safety_ns;	 /* the faulty phase ends here at the latest */
};

/* plan_draw: the plan of a seed; nodes 0: drawn. */
void plan_draw(struct plan *plan, uint64_t seed, uint32_t nodes);

#endif
