/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h: puts load on a cluster through one client core and one port, and remembers every
 * operation for the checker. Single thread, polled.
 *
 * Open loop (the default): operations arrive as a Poisson process at a given rate, whatever the
 * cluster does, and latency counts from the moment an operation should have been sent. Closed loop:
 * a fixed number of operations is in flight, each answer triggers the next; its latencies are not
 * latencies under load.
 *
 * The history is recorded into memory that is touched before the load starts. Keys are the load's
 * own ("bench<client>-..."), and all are written once before the load, so that the history begins
 * with known values.
 */
#ifndef CAIRN_PERF_LOAD_H
#define CAIRN_PERF_LOAD_H

#include "dataplane/idle.h"
#include "perf/histogram.h"
#include "perf/port.h"
#include "tests/check/check.h"

#define LOAD_VALUE_MIN 8u    /* room for the operation's number, which makes values unique */
#define LOAD_OPS_OPEN  8192u /* open loop: operations under way at once; more wait, and count so */

struct load_config {
	const struct target *target;
	struct port *port;
	uint32_t weight[CHECK_KIND_COUNT]; /* of each kind of operation; sum > 0 */
	uint64_t keys;			   /* 1..; INCR uses counters of its own, as many */
	uint32_t value_bytes;		   /* LOAD_VALUE_MIN..VALUE_BYTES_MAX */
	double rate;			   /* operations per second, open loop; 0: closed loop */
	uint32_t in_flight;		   /* closed loop, 1..LOAD_OPS_OPEN */
	int32_t server;			   /* the only node asked, or -1: all in turn */
	uint32_t client;		   /* distinguishes loads that run at the same time */
	uint64_t seed;
	uint64_t timeout_ns;
	uint64_t failover_ns; /* struct client_core_config; 0: never */
	uint64_t records_max; /* operations that can be remembered */
	enum idle_policy idle;
};

struct load_result {
	struct histogram latency[CHECK_KIND_COUNT]; /* OK, NOT_FOUND, CONFLICT */
	struct histogram all;
	uint64_t outcome[CHECK_KIND_COUNT][STATUS_COUNT];
	double secs;	   /* length of the measured part */
	uint64_t unsent;   /* open loop: arrivals given up because the cluster was too slow */
	bool records_full; /* ended early because nothing more could be remembered */
	enum durability durability; /* as the replies to updates said; of reads if there are none */
};

struct load;

/* load_create: allocates and touches memory. 0 or a negative errno, printed. */
int load_create(const struct load_config *config, struct load **ret_load);

/* load_prepare: writes every key once. 0 or a negative errno, printed. */
int load_prepare(struct load *l);

/*
 * load_run: load for warmup + secs seconds, then waits for the last answers. Only operations that
 * should have been sent in the last `secs` seconds count in the result. May be called again.
 */
void load_run(struct load *l, double warmup, double secs, struct load_result *ret_result);

/* load_history: every operation so far, preparation and warm-up included; the load's memory. */
const struct check_op *load_history(const struct load *l, uint64_t *ret_count);

/* load_key_text: a key of the history as it was sent. Returns its bytes; a zero follows. */
uint32_t load_key_text(const struct load *l, uint64_t key, char out[64]);

const struct client_core *load_core(const struct load *l);

void load_destroy(struct load *l);

#endif
