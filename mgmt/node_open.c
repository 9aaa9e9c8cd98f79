/* SPDX-License-Identifier: Apache-2.0 */
/* node_open.c: what a node takes from the machine: folders, locks, log files, memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/netdev_dpdk.h"
#include "mgmt/ctl_proto.h"
#include "mgmt/lock.h"
#include "mgmt/log.h"
#include "mgmt/node_priv.h"
#include "replication/lane.h"
#include "storage/blockdev_file.h"

#define HUGE_PAGE_BYTES (2ull << 20)
#define POPULATE_BYTES	(128ull << 10) /* a part of HUGE_PAGE_BYTES */

/* Tables of each shard, log batches and timing that no one has needed to change yet. */
#define NODE_OPS_MAX		1024u
#define NODE_HELD_MAX		4096u
#define NODE_SESSIONS_MAX	128u
#define NODE_HOUSEKEEPING_NS	2000000u
#define NODE_BATCH_BYTES	262144u
#define NODE_BATCHES_IN_FLIGHT	2u
#define NODE_SEAL_NS		100000000u
#define NODE_BUSY_TRIES		300 /* of 10 ms */
#define NODE_SPACE_LOW_PERMILLE 50u
#define NODE_DRIFT_PPM		1000u /* crystals are ten times better, virtual clocks may not be */
#define NODE_JOIN_QUESTIONS	64u
#define NODE_RAFT_ENTRIES	8192u
#define NODE_RAFT_BYTES		(4u << 20)
#define NODE_WITNESS_KEYS	1024u
#define NODE_WITNESS_BYTES	(1ull << 20)

static int make_folders(const char *path)
{
	char part[CONFIG_PATH_BYTES];

	snprintf(part, sizeof(part), "%s", path);
	for (char *p = part + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		if (mkdir(part, 0755) < 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
			return -errno;
		*p = '/';
	}
	return mkdir(part, 0750) < 0 && errno != EEXIST ? -errno : 0;
}

static int lock_folder(const char *folder, enum problem_id unusable, int *ret_fd, struct problem *p)
{
	char path[CONFIG_PATH_BYTES + 32];
	int pid = 0;

	snprintf(path, sizeof(path), "%s/" CTL_FILE_LOCK, folder);
	int rc = lock_take(path, ret_fd, &pid);
	if (rc == 0)
		return 0;
	if (rc == -EBUSY) {
		problem_set(p, PROBLEM_ALREADY_RUNNING, "%s is in use by process %d", folder, pid);
		return problem_cure(
			p, "stop process %d first, or give this node folders of its own", pid);
	}
	return problem_set(p, rc == -ENOSPC ? PROBLEM_DISK_FULL : unusable, "%s: cannot lock: %s",
			   path, strerror(-rc));
}

int node_lock(struct node *node, struct problem *p)
{
	const struct config *c = node->config;
	int rc = make_folders(c->node_runtime);

	if (rc < 0)
		return problem_set(p, PROBLEM_RUNTIME_UNUSABLE, "%s: cannot make folder: %s",
				   c->node_runtime, strerror(-rc));
	/* Data first: two nodes on one log is the mistake that matters. */
	rc = lock_folder(c->node_data, PROBLEM_DATA_UNUSABLE, &node->data_lock, p);
	if (rc < 0)
		return rc;
	return lock_folder(c->node_runtime, PROBLEM_RUNTIME_UNUSABLE, &node->runtime_lock, p);
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A fresh file under a temporary name, so that a reader of the old one keeps what it mapped. */
static int region_map(const char *path, size_t bytes, void **ret_region)
{
	char temporary[CONFIG_PATH_BYTES + 40];
	int rc = 0;

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	int fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	rc = -posix_fallocate(fd, 0, (off_t)bytes);
	void *map = MAP_FAILED;
	if (rc == 0) {
		map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
		rc = map == MAP_FAILED ? -errno : 0;
	}
	close(fd);
	if (rc == 0)
		*ret_region = map;
	else
		unlink(temporary);
	return rc;
}

/* Shown under its name only when it says whose it is. */
static int region_show(const char *path)
{
	char temporary[CONFIG_PATH_BYTES + 40];

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	if (rename(temporary, path) == 0)
		return 0;
	int rc = -errno;
	unlink(temporary);
	return rc;
}

static int region_problem(struct problem *p, const char *path, int rc)
{
	return problem_set(p, rc == -ENOSPC ? PROBLEM_DISK_FULL : PROBLEM_RUNTIME_UNUSABLE,
			   "%s: cannot make: %s", path, strerror(-rc));
}

static int stats_create(struct node *node, struct problem *p)
{
	const struct config *c = node->config;
	char path[CONFIG_PATH_BYTES + 32];
	void *map = NULL;

	config_runtime_path(c, CTL_FILE_STATS, path);
	int rc = region_map(path, sizeof(*node->region), &map);
	if (rc < 0)
		return region_problem(p, path, rc);
	struct stats_region *r = node->region = map;
	r->format = STATS_FORMAT;
	r->bytes = sizeof(*r);
	r->cluster = c->cluster_id;
	r->started_ns = monotonic_ns();
	r->pid = (int32_t)getpid();
	r->state = DATAPLANE_STARTING;
	r->worker_count = node->worker_count;
	r->node = (uint8_t)c->node_id;
	r->node_count = (uint8_t)c->node_count;
	__atomic_store_n(&r->magic, STATS_MAGIC, __ATOMIC_RELEASE);
	rc = region_show(path);
	return rc < 0 ? region_problem(p, path, rc) : 0;
}

static int control_create(struct node *node, struct problem *p)
{
	char path[CONFIG_PATH_BYTES + 32];
	void *map = NULL;

	config_runtime_path(node->config, CTL_FILE_CONTROL, path);
	int rc = region_map(path, sizeof(*node->control), &map);
	if (rc < 0)
		return region_problem(p, path, rc);
	node->control = map;
	control_init(node->control, node->config->cluster_id, node->region->started_ns);
	rc = region_show(path);
	return rc < 0 ? region_problem(p, path, rc) : 0;
}

int node_regions_create(struct node *node, struct problem *p)
{
	int rc = stats_create(node, p);

	if (rc == 0)
		rc = control_create(node, p);
	if (rc < 0)
		return rc;
	node->board = aligned_alloc(64, round_up(sizeof(*node->board), 64));
	if (!node->board)
		return problem_set(p, PROBLEM_NO_MEMORY, "out of memory at start");
	view_board_init(node->board);
	return 0;
}

uint32_t node_floor_read(const struct node *node)
{
	char path[CONFIG_PATH_BYTES + 32];
	unsigned floor = 0;

	config_runtime_path(node->config, CTL_FILE_RESTART, path);
	FILE *f = fopen(path, "re");
	if (f && (fscanf(f, "%u", &floor) != 1 || floor > INCARNATION_MAX))
		floor = 0;
	if (f)
		fclose(f);
	return floor;
}

/* Not durable: without it the next incarnation only has to end once more, and leaves it again. */
void node_floor_write(const struct node *node, uint32_t floor)
{
	char path[CONFIG_PATH_BYTES + 32];

	config_runtime_path(node->config, CTL_FILE_RESTART, path);
	if (floor == 0) {
		unlink(path);
		return;
	}
	FILE *f = fopen(path, "we");
	if (!f)
		return;
	fprintf(f, "%u\n", floor);
	fclose(f);
}

static int not_formatted(struct node_worker *w, const char *path, const char *what)
{
	problem_set(&w->problem, PROBLEM_NOT_FORMATTED, "%s: %s", path, what);
	return problem_cure(&w->problem, "format this node once: cairnutil format -c %s",
			    w->node->config->file);
}

/* A log file only ever has the size it was formatted with, so waiting cures nothing. */
static int cut(struct node_worker *w, const char *path)
{
	struct stat st = { 0 };

	(void)stat(path, &st);
	if (w->sb.device_bytes == 0)
		return problem_set(&w->problem, PROBLEM_LOG_ROT,
				   "%s: the file is %lld bytes, which no log is: it was cut", path,
				   (long long)st.st_size);
	return problem_set(&w->problem, PROBLEM_LOG_ROT,
			   "%s: the file is %lld bytes, formatted for %llu: it was cut", path,
			   (long long)st.st_size, (unsigned long long)w->sb.device_bytes);
}

static int other_format(struct node_worker *w, const char *path)
{
	bool newer = w->sb.format > SUPERBLOCK_FORMAT;

	return problem_set(&w->problem, newer ? PROBLEM_FORMAT_NEWER : PROBLEM_FORMAT_OLDER,
			   "%s: its format is %u, written by %s release; this one reads and"
			   " writes format %u",
			   path, w->sb.format, newer ? "a newer" : "an older", SUPERBLOCK_FORMAT);
}

int node_log_problem(struct node_worker *w, int error, const char *doing)
{
	char path[CONFIG_PATH_BYTES + 32];
	enum problem_id id = PROBLEM_DISK_ERROR;

	config_stream_path(w->node->config, w->index, path);
	switch (error) {
	case -ENOENT:
		return not_formatted(w, path, "there is no such file: not formatted");
	case -ENODATA:
		return not_formatted(w, path, "not formatted");
	case -ENXIO:
		return cut(w, path);
	case -EBADMSG:
		id = PROBLEM_LOG_ROT;
		break;
	case -EPROTONOSUPPORT:
		return other_format(w, path);
	case -EOVERFLOW:
		id = PROBLEM_INCARNATIONS_USED;
		break;
	case -EISDIR:
	case -ENOTBLK:
		return problem_set(&w->problem, PROBLEM_WRONG_DATA,
				   "%s: not a regular file or block device", path);
	case -EACCES:
	case -EPERM:
	case -EROFS:
		id = PROBLEM_DATA_UNUSABLE;
		break;
	case -EAGAIN:
	case -EBUSY:
		id = PROBLEM_ALREADY_RUNNING;
		break;
	case -ENOSPC:
		id = PROBLEM_DISK_FULL;
		break;
	default:
		break;
	}
	return problem_set(&w->problem, id, "%s: %s: %s", path, doing,
			   error == -EBADMSG ? "damaged" : strerror(-error));
}

static int wrong(struct node_worker *w, const char *path, const char *what, uint64_t is,
		 uint64_t wanted)
{
	const char *form = strcmp(what, "cluster") == 0 ? "%s: belongs to %s %llx, not %llx"
							: "%s: was formatted for %s %llu, not %llu";

	return problem_set(&w->problem, PROBLEM_WRONG_DATA, form, path, what,
			   (unsigned long long)is, (unsigned long long)wanted);
}

static int check_owner(struct node_worker *w, const char *path)
{
	const struct config *c = w->node->config;
	const struct superblock *sb = &w->sb;

	if (sb->cluster != c->cluster_id)
		return wrong(w, path, "cluster", sb->cluster, c->cluster_id);
	if (sb->node != c->node_id)
		return wrong(w, path, "node id", sb->node, c->node_id);
	if (c->cluster_shards != 0 && sb->shard_count != c->cluster_shards)
		return wrong(w, path, "shard count", sb->shard_count, c->cluster_shards);
	if (sb->stream_count != c->cpu_workers)
		return wrong(w, path, "worker count", sb->stream_count, c->cpu_workers);
	if (sb->stream != w->index)
		return wrong(w, path, "worker", sb->stream, w->index);
	if (c->cluster_engine != CONFIG_ENGINE_AUTO && sb->engine + 1u != c->cluster_engine)
		return problem_set(&w->problem, PROBLEM_WRONG_DATA,
				   "%s: was formatted for engine %s, [cluster] engine is another",
				   path, sb->engine == ENGINE_RAFT ? "raft" : "hermes");
	if (c->node_witness && !(sb->flags & SUPERBLOCK_WITNESS))
		return problem_set(&w->problem, PROBLEM_WRONG_DATA,
				   "%s: was not formatted for a witness", path);
	if (sb->fingerprint != superblock_shape(sb))
		return problem_set(&w->problem, PROBLEM_WRONG_DATA,
				   "%s: shape fingerprint is wrong", path);
	return 0;
}

/*
 * A killed process's disk queue lives on in the kernel for some ms and keeps the file locked. Our
 * own lock says that no node runs on this folder, so it is worth waiting.
 */
static int open_patiently(const char *path, struct node_worker *w)
{
	const struct blockdev_file_options options = { .shared = w->node->idle == IDLE_ADAPTIVE };
	struct timespec pause = { .tv_nsec = 10000000 };
	int rc = blockdev_file_open(path, &options, &w->disk);

	for (int i = 0; rc == -EBUSY && i < NODE_BUSY_TRIES && !w->node->stop; i++) {
		nanosleep(&pause, NULL);
		rc = blockdev_file_open(path, &options, &w->disk);
	}
	return rc;
}

int node_disk_open(struct node_worker *w)
{
	_Alignas(BLOCK_BYTES) uint8_t scratch[BLOCK_BYTES];
	char path[CONFIG_PATH_BYTES + 32];

	config_stream_path(w->node->config, w->index, path);
	int rc = open_patiently(path, w);
	if (rc < 0)
		return node_log_problem(w, rc, "cannot open");
	rc = superblock_read(w->disk, scratch, &w->sb);
	if (rc < 0)
		return node_log_problem(w, rc, "cannot read the superblock");
	rc = superblock_damaged_copy(w->disk, scratch);
	if (rc >= 0)
		log_event(LOG_LEVEL_WARNING, "superblock_copy_damaged",
			  "file=\"%s\" copy=%d data=intact cure=\"this start rewrites it\"", path,
			  rc);
	return check_owner(w, path);
}

int node_disks_agree(const struct node *node, struct problem *p)
{
	const struct superblock *first = &node->worker[0].sb;

	for (uint16_t i = 1; i < node->worker_count; i++) {
		const struct superblock *sb = &node->worker[i].sb;
		if (sb->fingerprint != first->fingerprint ||
		    sb->shard_count != first->shard_count || sb->flags != first->flags)
			return problem_set(p, PROBLEM_WRONG_DATA,
					   "%s: log files 0 and %u come from different clusters",
					   node->config->node_data, i);
		if (sb->device_id == first->device_id)
			return problem_set(p, PROBLEM_WRONG_DATA,
					   "%s: log files 0 and %u are copies of one",
					   node->config->node_data, i);
	}
	if (node->worker_count > first->shard_count)
		return problem_set(p, PROBLEM_CONFIG_CONFLICT, "%u workers, but only %u shards",
				   node->worker_count, first->shard_count);
	return 0;
}

static uint64_t memory_available(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib == 0 ? UINT64_MAX : kib * 1024u;
}

/* populate: bit by bit, for others may need the core. false: there is not so much memory. */
static bool populate(const struct node *node, uint8_t *mem, uint64_t bytes, struct idle *idle)
{
	for (uint64_t at = 0; at < bytes && !node->stop; at += POPULATE_BYTES) {
		if (madvise(mem + at, POPULATE_BYTES, MADV_POPULATE_WRITE) == 0)
			idle_busy(idle);
		else if (errno == EINVAL) /* before Linux 5.14 the first access does it */
			break;
		else if (errno != EAGAIN)
			return false;
	}
	return true;
}

void *node_memory(struct node *node, uint64_t bytes, struct idle *idle, struct problem *p)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	uint64_t available = memory_available();
	void *mem = MAP_FAILED;

	bytes = round_up(bytes, HUGE_PAGE_BYTES);
	if (node->config->memory_hugepages == CONFIG_HUGEPAGES_AUTO)
		mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_POPULATE | MAP_HUGETLB,
			   -1, 0);
	if (mem != MAP_FAILED)
		return mem;
	node->memory_huge = false;
	/* Better one clear error now than the kernel's out-of-memory killer later. */
	if (bytes <= available)
		mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (mem != MAP_FAILED && populate(node, mem, bytes, idle))
		return mem;
	if (mem != MAP_FAILED)
		munmap(mem, bytes);
	problem_set(p, PROBLEM_NO_MEMORY,
		    "a worker needs %llu MiB of memory, %llu MiB are available",
		    (unsigned long long)(bytes >> 20), (unsigned long long)(available >> 20));
	return NULL;
}

static uint64_t clock_ns(void *context)
{
	(void)context;
	return idle_clock_ns();
}

static void membership_settings(const struct config *c, struct membership_config *m)
{
	m->heartbeat_ns = c->timers_heartbeat_us * 1000u;
	m->election_ns = c->timers_election_us * 1000u;
	m->lease_ns = c->timers_lease_us * 1000u;
	m->detect_ns = c->timers_detect_us * 1000u;
	m->recover_ns = c->timers_recover_ms * 1000000u;
	m->holddown_ns = c->timers_holddown_ms * 1000000u;
	m->slow_ns = c->timers_slow_ms * 1000000u;
	m->slow_floor_ns = c->timers_slow_floor_us * 1000u;
	m->slow_factor = (uint32_t)c->timers_slow_factor;
	m->drift_ppm = NODE_DRIFT_PPM;
}

/* Of the groups of the shards, engine raft. Times like those of the view service. */
static void raft_settings(const struct config *c, struct raft_config *raft)
{
	raft->heartbeat_ns = c->timers_heartbeat_us * 1000u;
	raft->election_ns = c->timers_election_us * 1000u;
	raft->disk_ns = c->timers_slow_ms * 1000000u;
	raft->entries_max = NODE_RAFT_ENTRIES;
	raft->bytes_max = NODE_RAFT_BYTES;
	raft->drift_ppm = NODE_DRIFT_PPM;
}

/* How this node takes part: what it was formatted for, and founds. */
static void service_settings(const struct node_worker *w, struct worker_config *ret)
{
	struct node *node = w->node;
	const struct superblock *first = &node->worker[0].sb;

	ret->views = ret->service = true;
	ret->clock_ns = clock_ns;
	membership_settings(node->config, &ret->membership);
	raft_settings(node->config, &ret->raft);
	ret->membership.seed = ret->seed;
	ret->membership.ident = worker_ident(first);
	ret->first = first->flags & SUPERBLOCK_JOINING ? NULL : &node->first;
	ret->board = node->board;
	ret->control = w->index == 0 ? node->control : NULL;
	/* A witness keeps nothing that would need room. */
	if (first->flags & SUPERBLOCK_WITNESS) {
		ret->store.keys_max = NODE_WITNESS_KEYS;
		ret->store.blob_bytes = NODE_WITNESS_BYTES;
	}
}

/* join_rate: of one shard, so that all of them together pull what the node may. */
static uint64_t join_rate(const struct config *c, uint16_t shard_count)
{
	uint64_t bytes = c->net_join_mib_s << 20;

	return bytes == 0 ? 0 : bytes / shard_count + 1;
}

/* join_lanes: likewise, with so many questions under way. */
static uint32_t join_lanes(uint16_t shard_count)
{
	uint32_t lanes = NODE_JOIN_QUESTIONS / shard_count;

	return lanes == 0 ? 1 : lanes < LANES_MAX ? lanes : LANES_MAX;
}

void node_worker_config(const struct node_worker *w, struct worker_config *ret_config)
{
	const struct config *c = w->node->config;
	uint64_t keys = (c->memory_keys_max + c->cpu_workers - 1) / c->cpu_workers;
	uint64_t seed[2];

	/* Session ids and the key hash must not be predictable, nor repeat over restarts. */
	must(getrandom(seed, sizeof(seed), 0) == sizeof(seed));
	*ret_config = (struct worker_config) {
		.seed = seed[0],
		.retransmit_ns = c->timers_retransmit_us * 1000u,
		.replay_ns = c->timers_replay_us * 1000u,
		.hello_ns = c->timers_hello_us * 1000u,
		.join_delta = true,
		.join_bytes_per_s = join_rate(c, w->sb.shard_count),
		.join_lanes = join_lanes(w->sb.shard_count),
		.housekeeping_ns = NODE_HOUSEKEEPING_NS,
		.store = { .keys_max = (uint32_t)keys,
			   .blob_bytes = c->memory_value_bytes / c->cpu_workers,
			   .seed = seed[1] },
		.wal = { .batch_bytes_max = NODE_BATCH_BYTES,
			 .batches_in_flight_max = NODE_BATCHES_IN_FLIGHT,
			 .seal_ns = NODE_SEAL_NS },
		.ops_max = NODE_OPS_MAX,
		.held_max = NODE_HELD_MAX,
		.sessions_max = NODE_SESSIONS_MAX,
		.session_window = SESSION_WINDOW,
		.port_base = (uint16_t)c->net_port,
		.worker_index = w->index,
		.worker_count = w->node->worker_count,
		.space_low_permille = NODE_SPACE_LOW_PERMILLE,
	};
	memcpy(ret_config->ip, c->ip, sizeof(c->ip));
	service_settings(w, ret_config);
}
