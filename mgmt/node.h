/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.h: a node's life as a process: locks, log files, port, memory, one thread per worker, stop.
 * node_start's order is the order of the promises: nothing is sent before the log files are known
 * to be ours and the new incarnation is durable on them.
 *
 * Each worker's thread opens its own log file, because the kernel ties a file's queue to the thread
 * that made it. The main thread meets them at three points: files open, log recovered, stopped.
 */
#ifndef CAIRN_MGMT_NODE_H
#define CAIRN_MGMT_NODE_H

#include <stdbool.h>

#include "mgmt/config.h"

struct node;

/*
 * node_start: 0 and *ret_node, which polls; -EINVAL with *p filled: nothing runs, nothing was sent;
 * -EINTR: should_stop returned true before the node ran. should_stop is asked every few ms.
 * config stays the caller's and must stay.
 */
int node_start(const struct config *config, bool (*should_stop)(void), struct node **ret_node,
	       struct problem *p);

/*
 * node_watch: call every some 10 ms: publishes the state for the whole node in the counters' file.
 * Returns true when the state has changed; *ret_state is enum dataplane_state.
 */
bool node_watch(struct node *node, uint32_t *ret_state);

/*
 * node_must_restart: the cluster goes on without this incarnation: the process must end and a new
 * one start. Leaves word of the next one's incarnation in the runtime folder.
 */
bool node_must_restart(struct node *node);

/* node_summary: what came up, as key=value pairs for the log. */
void node_summary(const struct node *node, char *out, size_t bytes);

/* node_stop: stops the workers, closes everything, releases the locks. node is gone. */
void node_stop(struct node *node);

#endif
