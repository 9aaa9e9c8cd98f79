/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor.h: the least a replicated durable write can cost over these ports and disks: a switch
 * process and three bare echo processes, no protocol, no store. Client -> leader; the leader
 * forwards to two followers and starts its own 4 KiB durable write; a follower writes, waits until
 * that is durable, and echoes; the leader answers when its own write and both echoes are in. Same
 * netdev, same frames, same blockdev, same idle policy as the product. One request in flight.
 *
 * The processes die with the caller's process; their files are unlinked as soon as they are open.
 */
#ifndef CAIRN_PERF_FLOOR_H
#define CAIRN_PERF_FLOOR_H

#include <sys/types.h>

#include "dataplane/idle.h"
#include "dataplane/netdev.h"
#include "dataplane/netdev_dpdk.h"
#include "perf/histogram.h"

#define FLOOR_NODES	3u
#define FLOOR_PROCESSES (FLOOR_NODES + 1)

struct floor {
	char socket[32];
	char device[NETDEV_DEVICE_BYTES]; /* the client's; DPDK must be started with it */
	char path[FLOOR_NODES][512];
	pid_t pid[FLOOR_PROCESSES];
	uint32_t payload_bytes;
	enum idle_policy idle;
	struct netdev *net;
	uint64_t seq;
	uint64_t maintain_ns;
	uint64_t resent; /* requests sent again for want of an answer */
};

/*
 * floor_start: starts the processes with their files in dir. value_bytes: of the write that the
 * product would carry. 0, or a negative errno after printing what is wrong.
 */
int floor_start(struct floor *f, const char *dir, uint32_t value_bytes, enum idle_policy idle);

/* floor_connect: opens the client's port and waits for the first answer (at most 10 s). As above.
 */
int floor_connect(struct floor *f);

/* floor_run: one request after the other for secs seconds, recorded in *h. As above. */
int floor_run(struct floor *f, double secs, struct histogram *h);

/* floor_pause: stops the processes, so that they cost nothing, or lets them go on. */
void floor_pause(struct floor *f, bool pause);

/* floor_stop: ends the processes and removes what is left of their files. Safe after any failure.
 */
void floor_stop(struct floor *f);

#endif
