/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trio.h: three replicas and their stores in one thread's memory, messages delivered at once and in
 * order, every record durable at once: the cost of the protocol alone.
 */
#ifndef CAIRN_PERF_TRIO_H
#define CAIRN_PERF_TRIO_H

#include "replication/replica.h"
#include "storage/store.h"

struct trio;

/* trio_create: linked, with a client session at every replica. NULL: no memory. */
struct trio *trio_create(uint32_t keys_max);
void trio_destroy(struct trio *t);

/*
 * trio_request: one client operation at a node, run until nothing is left to deliver. Returns the
 * status of the reply. key, value as in the message.
 */
enum status trio_request(struct trio *t, uint8_t node, const struct wire_message *m);

/* trio_events: steps taken so far, all replicas. */
uint64_t trio_events(const struct trio *t);

#endif
