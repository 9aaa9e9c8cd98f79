/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/netdev_dpdk.h"
#include "mgmt/node_priv.h"
#include "storage/blockdev_file.h"

#define RECOVER_RECORDS 32u /* of the log, between two looks at the clock */

/* In the worker's thread: says that a step is done, waits to be told the next one. */
static int meet(struct node_worker *w, int rc)
{
	struct node *node = w->node;

	pthread_mutex_lock(&node->mutex);
	int done = node->step;
	w->rc = rc;
	node->arrived++;
	pthread_cond_broadcast(&node->moved);
	while (node->step == done)
		pthread_cond_wait(&node->moved, &node->mutex);
	int next = node->step;
	pthread_mutex_unlock(&node->mutex);
	return next;
}

static int recover(struct node_worker *w)
{
	struct node *node = w->node;
	_Alignas(BLOCK_BYTES) uint8_t scratch[BLOCK_BYTES];
	struct worker_config config;
	struct worker_stats *stats = &node->region->worker[w->index];
	struct idle idle;
	uint64_t offset = 0;

	stats->state = DATAPLANE_RECOVERING;
	/* Every file gets the same number, one above the highest, whatever a crash left behind. */
	int rc = superblock_advance(w->disk, scratch, &w->sb, node->incarnation);
	if (rc < 0)
		return node_log_problem(w, rc, "cannot write the superblock");
	(void)netdev_dpdk_thread_start();
	node_worker_config(w, &config);
	w->mem_bytes = worker_size(&config, &w->sb);
	idle_init(&idle, node->idle);
	idle_background(&idle, true);
	w->mem = node_memory(node, w->mem_bytes, &idle, &w->problem);
	if (!w->mem)
		return -EINVAL;
	w->worker = worker_init(w->mem, &config, &w->sb, w->net, w->disk, stats);
	uint64_t start_ns = idle_clock_ns();
	while ((rc = worker_recover(w->worker, RECOVER_RECORDS, &offset)) > 0 && !node->stop)
		idle_busy(&idle);
	idle_background(&idle, false);
	w->recovery_ns = idle_clock_ns() - start_ns;
	if (rc == 0)
		return 0;
	if (rc > 0)
		return -EINTR;
	node_log_problem(w, rc, "cannot recover");
	if (rc == -ENOSPC)
		return problem_set(
			&w->problem, PROBLEM_STORE_TOO_SMALL,
			"the log of worker %u holds more than its share of keys_max = %llu and"
			" value_bytes = %llu",
			w->index, (unsigned long long)node->config->memory_keys_max,
			(unsigned long long)node->config->memory_value_bytes);
	if (rc == -EBADMSG)
		problem_set(&w->problem, PROBLEM_LOG_ROT,
			    "%s: the log of worker %u is damaged at offset %llu",
			    node->config->node_data, w->index, (unsigned long long)offset);
	return -EINVAL;
}

static void *worker_thread(void *argument)
{
	struct node_worker *w = argument;
	char name[16];

	snprintf(name, sizeof(name), "cairn-w%u", w->index);
	pthread_setname_np(pthread_self(), name);
	if (meet(w, node_disk_open(w)) == NODE_STEP_RECOVER && meet(w, recover(w)) == NODE_STEP_RUN)
		w->rc = poller_run(&w->poller);
	/* The thread that made the disk's queue also ends it. */
	if (w->disk)
		blockdev_file_close(w->disk);
	w->disk = NULL;
	return NULL;
}

static void go(struct node *node, int step)
{
	pthread_mutex_lock(&node->mutex);
	node->arrived = 0;
	node->step = step;
	pthread_cond_broadcast(&node->moved);
	pthread_mutex_unlock(&node->mutex);
}

/* Waits until every worker has done the step. -EINTR: told to stop; -EINVAL and *p: one failed. */
static int gather(struct node *node, struct problem *p)
{
	struct timespec pause = { .tv_nsec = 1000000 };
	uint32_t arrived = 0;

	while (arrived < node->worker_count) {
		nanosleep(&pause, NULL);
		if (node->should_stop())
			return -EINTR;
		pthread_mutex_lock(&node->mutex);
		arrived = node->arrived;
		pthread_mutex_unlock(&node->mutex);
	}
	for (uint16_t i = 0; i < node->worker_count; i++) {
		if (node->worker[i].rc < 0) {
			*p = node->worker[i].problem;
			return -EINVAL;
		}
	}
	return 0;
}

static enum idle_policy choose_idle(const struct config *c)
{
	cpu_set_t cpus;

	if (c->cpu_idle != CONFIG_IDLE_AUTO)
		return c->cpu_idle == CONFIG_IDLE_SPIN ? IDLE_SPIN : IDLE_ADAPTIVE;
	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return IDLE_ADAPTIVE;
	bool room = c->cpu_cores.count != 0 && (uint64_t)CPU_COUNT(&cpus) > c->cpu_workers;
	return room ? IDLE_SPIN : IDLE_ADAPTIVE;
}

static int check_cores(const struct config *c, struct problem *p)
{
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return 0;
	for (uint32_t i = 0; i < c->cpu_cores.count; i++) {
		if (CPU_ISSET(c->cpu_cores.core[i], &cpus))
			continue;
		problem_set(p, PROBLEM_CONFIG_OUT_OF_RANGE,
			    "[cpu] cores: core %u does not exist or is not allowed to this process",
			    c->cpu_cores.core[i]);
		return problem_cure(p, "name cores that \"taskset -p\" of this process shows");
	}
	return 0;
}

static int start_threads(struct node *node, struct problem *p)
{
	const struct config *c = node->config;

	node->step = NODE_STEP_OPEN;
	for (uint16_t i = 0; i < node->worker_count; i++) {
		struct node_worker *w = &node->worker[i];
		w->node = node;
		w->index = i;
		w->poller =
			(struct poller) { .stop = &node->stop,
					  .policy = node->idle,
					  .core = c->cpu_cores.count ? c->cpu_cores.core[i] : -1 };
		int rc = pthread_create(&w->thread, NULL, worker_thread, w);
		if (rc != 0)
			return problem_set(p, PROBLEM_NO_MEMORY, "cannot start a thread: %s",
					   strerror(rc));
		w->thread_started = true;
	}
	return 0;
}

static int net_problem(struct problem *p, const struct netdev_error *e, const char *device)
{
	return problem_set(p, e->code == -ENOMEM ? PROBLEM_NO_MEMORY : PROBLEM_NIC_UNUSABLE,
			   "[net] device \"%s\": %s", device, e->text);
}

static int open_net(struct node *node, struct problem *p)
{
	const struct config *c = node->config;
	const char *devices[] = { c->net_device };
	struct netdev *queues[WORKERS_MAX];
	struct netdev_error error = { 0 };
	bool never = c->memory_hugepages == CONFIG_HUGEPAGES_NEVER;
	struct netdev_dpdk_options options = {
		.devices = devices,
		.device_count = 1,
		.memory = never ? NETDEV_MEMORY_NORMAL : NETDEV_MEMORY_AUTO,
	};
	/* memif has no address of its own: one that follows from the node id helps a reader of
	 * dumps. */
	struct netdev_dpdk_port port = {
		.device = c->net_device,
		.mac = { 0x02, 0xca, 0x1a, 0, 0, (uint8_t)(c->node_id + 1) },
		.queue_count = node->worker_count,
		.port_base = (uint16_t)c->net_port,
	};

	if (netdev_dpdk_start(&options, &error) < 0)
		return net_problem(p, &error, c->net_device);
	node->net_started = true;
	node->memory_huge = strcmp(netdev_dpdk_memory(), "huge") == 0;
	if (netdev_dpdk_open(&port, queues, &error) < 0)
		return net_problem(p, &error, c->net_device);
	for (uint16_t i = 0; i < node->worker_count; i++)
		node->worker[i].net = queues[i];
	return 0;
}

static int choose_incarnation(struct node *node, struct problem *p)
{
	for (uint16_t i = 0; i < node->worker_count; i++)
		if (node->worker[i].sb.incarnation > node->incarnation)
			node->incarnation = node->worker[i].sb.incarnation;
	node->floor = node_floor_read(node);
	if (node->floor > node->incarnation)
		node->incarnation = node->floor;
	if (node->incarnation++ < INCARNATION_MAX)
		return 0;
	return problem_set(p, PROBLEM_INCARNATIONS_USED, "this node has been started %u times",
			   INCARNATION_MAX);
}

/* The superblock has been written by now, so each disk knows how it writes. */
static void tell_disks(struct node *node)
{
	bool uring = true, direct = true;

	for (uint16_t i = 0; i < node->worker_count; i++) {
		const struct blockdev *disk = node->worker[i].disk;

		uring = uring && strcmp(blockdev_file_backend(disk), "io_uring") == 0;
		direct = direct && blockdev_file_direct(disk);
	}
	node->region->disk_uring = uring;
	node->region->disk_direct = direct;
}

static int recover_all(struct node *node, struct problem *p)
{
	struct stats_region *r = node->region;

	r->state = DATAPLANE_RECOVERING;
	go(node, NODE_STEP_RECOVER);
	int rc = gather(node, p);
	if (rc < 0)
		return rc;
	for (uint16_t i = 0; i < node->worker_count; i++) {
		r->recovered_records += r->worker[i].recovered_records;
		r->recovered_torn_bytes += r->worker[i].recovered_torn_bytes;
		r->recovery_ns = max_u64(r->recovery_ns, node->worker[i].recovery_ns);
	}
	r->incarnation = node->incarnation;
	r->shard_count = node->worker[0].sb.shard_count;
	r->memory_huge = node->memory_huge;
	r->idle_spin = node->idle == IDLE_SPIN;
	tell_disks(node);
	node_floor_write(node, 0);
	return 0;
}

/* The ladder; what it took is given back by node_stop. */
static int bring_up(struct node *node, struct problem *p)
{
	int rc = check_cores(node->config, p);

	if (rc == 0)
		rc = node_lock(node, p);
	if (rc == 0)
		rc = node_regions_create(node, p);
	if (rc == 0)
		rc = start_threads(node, p);
	if (rc == 0)
		rc = gather(node, p);
	if (rc == 0)
		rc = node_disks_agree(node, p);
	config_founding(node->config, (enum membership_engine)node->worker[0].sb.engine,
			&node->first);
	if (rc == 0)
		rc = choose_incarnation(node, p);
	if (rc == 0)
		rc = open_net(node, p);
	if (rc == 0)
		rc = recover_all(node, p);
	if (rc < 0)
		return rc;
	for (uint16_t i = 0; i < node->worker_count; i++)
		node->worker[i].poller.worker = node->worker[i].worker;
	go(node, NODE_STEP_RUN);
	return 0;
}

int node_start(const struct config *config, bool (*should_stop)(void), struct node **ret_node,
	       struct problem *p)
{
	struct node *node = calloc(1, sizeof(*node));

	if (!node)
		return problem_set(p, PROBLEM_NO_MEMORY, "out of memory at start");
	node->config = config;
	node->should_stop = should_stop;
	node->runtime_lock = node->data_lock = -1;
	node->worker_count = (uint16_t)config->cpu_workers;
	node->idle = choose_idle(config);
	pthread_mutex_init(&node->mutex, NULL);
	pthread_cond_init(&node->moved, NULL);
	int rc = bring_up(node, p);
	if (rc < 0) {
		node_stop(node);
		return rc;
	}
	*ret_node = node;
	return 0;
}

/* The state of the whole: the least of its workers', and a failed disk above all. */
static uint32_t whole_state(const struct stats_region *r)
{
	uint32_t state = DATAPLANE_SERVING;

	for (uint16_t i = 0; i < r->worker_count; i++) {
		uint32_t s = __atomic_load_n(&r->worker[i].state, __ATOMIC_RELAXED);
		if (s == DATAPLANE_DISK_FAILED)
			return s;
		if (s < state)
			state = s;
	}
	return state;
}

bool node_watch(struct node *node, uint32_t *ret_state)
{
	struct stats_region *r = node->region;
	uint32_t state = whole_state(r);

	*ret_state = state;
	if (state == r->state)
		return false;
	__atomic_store_n(&r->state, state, __ATOMIC_RELEASE);
	return true;
}

bool node_must_restart(struct node *node)
{
	uint32_t above = 0;

	if (!worker_wants_restart(node->worker[0].worker, &above))
		return false;
	node_floor_write(node, above > node->incarnation ? above : node->incarnation);
	return true;
}

void node_summary(const struct node *node, char *out, size_t bytes)
{
	const struct stats_region *r = node->region;
	const struct config *c = node->config;
	char ip[16];

	snprintf(out, bytes,
		 "node=%s id=%u cluster=%016llx engine=%s incarnation=%u shards=%u workers=%u "
		 "device=%s"
		 " address=%s port=%u idle=%s memory=%s worker_mib=%llu disk=%s direct=%s"
		 " recovered=%llu torn_bytes=%llu recovery_ms=%llu",
		 c->node_name, (unsigned)c->node_id, (unsigned long long)c->cluster_id,
		 node->worker[0].sb.engine == ENGINE_RAFT ? "raft" : "hermes", r->incarnation,
		 r->shard_count, r->worker_count, c->net_device,
		 config_ip_text(c->net_address.ip, ip), (unsigned)c->net_port,
		 idle_policy_name(node->idle), node->memory_huge ? "huge" : "normal",
		 (unsigned long long)(node->worker[0].mem_bytes >> 20),
		 r->disk_uring ? "io_uring" : "pwritev2", r->disk_direct ? "yes" : "no",
		 (unsigned long long)r->recovered_records,
		 (unsigned long long)r->recovered_torn_bytes,
		 (unsigned long long)(r->recovery_ns / 1000000u));
}

void node_stop(struct node *node)
{
	atomic_store(&node->stop, true);
	if (node->step != NODE_STEP_RUN)
		go(node, 0);
	for (uint16_t i = 0; i < node->worker_count; i++)
		if (node->worker[i].thread_started)
			pthread_join(node->worker[i].thread, NULL);
	if (node->net_started)
		netdev_dpdk_stop();
	if (node->region) {
		node->region->state = DATAPLANE_STOPPED;
		munmap(node->region, sizeof(*node->region));
	}
	if (node->control)
		munmap(node->control, sizeof(*node->control));
	free(node->board);
	/* Memory of the workers goes with the process: releasing gigabytes here only takes time. */
	if (node->runtime_lock >= 0)
		close(node->runtime_lock);
	if (node->data_lock >= 0)
		close(node->data_lock);
	free(node);
}
