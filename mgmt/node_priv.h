/* SPDX-License-Identifier: Apache-2.0 */
/* node_priv.h: what node.c (order of events) and node_open.c (files, memory) share. */
#ifndef CAIRN_MGMT_NODE_PRIV_H
#define CAIRN_MGMT_NODE_PRIV_H

#include <pthread.h>

#include "dataplane/control.h"
#include "dataplane/poller.h"
#include "dataplane/view_board.h"
#include "dataplane/worker.h"
#include "mgmt/node.h"
#include "storage/superblock.h"

/* Where a worker's thread is; each step is a meeting with the main thread. */
enum node_step {
	NODE_STEP_OPEN = 1,    /* its log file is open, its superblock read */
	NODE_STEP_RECOVER = 2, /* incarnation durable, log read */
	NODE_STEP_RUN = 3,     /* polling, until stop */
};

struct node_worker {
	struct node *node;
	uint16_t index;
	pthread_t thread;
	bool thread_started;
	struct blockdev *disk;
	struct superblock sb;
	struct netdev *net;
	struct worker *worker;
	void *mem;
	uint64_t mem_bytes;
	uint64_t recovery_ns; /* how long reading the log took */
	struct poller poller;
	int rc; /* of the step just done; problem filled when < 0 */
	struct problem problem;
};

struct node {
	const struct config *config;
	bool (*should_stop)(void);
	int runtime_lock, data_lock;
	struct stats_region *region;
	struct control_region *control;
	struct view_board *board;
	struct membership_state first; /* of founding nodes */
	bool net_started, memory_huge;
	enum idle_policy idle;
	uint32_t incarnation;
	uint32_t floor; /* the incarnation before had to end: this one must be above; 0: no */
	uint16_t worker_count;
	struct node_worker worker[WORKERS_MAX];

	pthread_mutex_t mutex; /* of the three below */
	pthread_cond_t moved;
	uint32_t arrived; /* workers that have done `step` */
	int step;	  /* the step workers may do; 0: go home */
	atomic_bool stop; /* read by pollers */
};

/* node_lock: makes the runtime folder, takes both locks. 0 or -EINVAL and *p. */
int node_lock(struct node *node, struct problem *p);

/*
 * node_regions_create: the files of counters and of the view service, of zeros but for identity,
 * and the workers' board. 0 or -EINVAL and *p.
 */
int node_regions_create(struct node *node, struct problem *p);

/*
 * node_floor_read, node_floor_write: the word an incarnation that had to end leaves for the next
 * one, and for cairnd, in the runtime folder. write with 0 takes it away.
 */
uint32_t node_floor_read(const struct node *node);
void node_floor_write(const struct node *node, uint32_t floor);

/* node_disk_open: in the worker's thread: opens its log file and checks whose it is. */
int node_disk_open(struct node_worker *w);

/* node_disks_agree: all log files are of one node and one format. 0 or -EINVAL and *p. */
int node_disks_agree(const struct node *node, struct problem *p);

/*
 * node_memory: bytes of zeroed memory, touched (with Linux 5.14 and later); huge pages if the node
 * wants and gets them. NULL and *p: there is not so much.
 */
void *node_memory(struct node *node, uint64_t bytes, struct idle *idle, struct problem *p);

/* node_worker_config: what a worker is told. */
void node_worker_config(const struct node_worker *w, struct worker_config *ret_config);

/* node_log_problem: says what a negative errno of superblock or log means for file w. -EINVAL. */
int node_log_problem(struct node_worker *w, int error, const char *doing);

#endif
