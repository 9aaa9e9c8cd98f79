/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of the floor: a switch and an echo with a durable write. See floor.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/netdev_dpdk.h"
#include "dataplane/switch.h"
#include "perf/cairn_bench.h"
#include "perf/floor.h"
#include "perf/floor_priv.h"
#include "perf/target.h"
#include "storage/blockdev_file.h"

#define FILE_BYTES  (32u << 20)
#define ALL_DURABLE ((1u << FLOOR_NODES) - 1)

/* ---- switch ---- */

static int start_dpdk(const char *const *devices, uint32_t count)
{
	struct netdev_dpdk_options options = { .devices = devices, .device_count = count };
	struct netdev_error error;
	int rc = netdev_dpdk_start(&options, &error);

	return rc < 0 ? bench_fail(rc, "floor: %s", error.text) : 0;
}

static int open_device(const char *device, const uint8_t *mac, struct netdev **ret_net)
{
	struct netdev_dpdk_port port = { .device = device, .queue_count = 1 };
	struct netdev_error error;
	int rc;

	if (mac)
		memcpy(port.mac, mac, sizeof(port.mac));
	rc = netdev_dpdk_open(&port, ret_net, &error);
	return rc < 0 ? bench_fail(rc, "floor: %s", error.text) : 0;
}

static _Noreturn void switch_forever(struct switch_plane *sw, enum idle_policy policy)
{
	struct idle idle;

	idle_init(&idle, policy);
	for (;;) {
		uint64_t now_ns = idle_clock_ns();

		if (switch_poll(sw, now_ns) > 0)
			idle_reset(&idle);
		else
			idle_wait(&idle, now_ns, switch_deadline_ns(sw));
	}
}

int bench_floor_switch(int argc, char **argv)
{
	char device[FLOOR_PROCESSES][NETDEV_DEVICE_BYTES];
	const char *devices[FLOOR_PROCESSES];
	struct switch_config config = { .port_count = FLOOR_PROCESSES };
	enum idle_policy policy;
	void *mem;

	if (argc != 3 || !idle_policy_parse(argv[2], &policy))
		return BENCH_EXIT_USAGE;
	for (uint32_t i = 0; i < FLOOR_PROCESSES; i++) {
		snprintf(device[i], sizeof(device[i]), "memif-server:%s:%u", argv[1], i);
		devices[i] = device[i];
	}
	if (start_dpdk(devices, FLOOR_PROCESSES) < 0)
		return BENCH_EXIT_FAILED;
	for (uint32_t i = 0; i < FLOOR_PROCESSES; i++)
		if (open_device(device[i], NULL, &config.port[i]) < 0)
			return BENCH_EXIT_FAILED;
	mem = aligned_alloc(64, round_up(switch_size(), 64));
	if (!mem)
		return bench_fail(BENCH_EXIT_FAILED, "floor: no memory");
	switch_forever(switch_init(mem, &config), policy);
}

/* ---- echo ---- */

struct node {
	struct netdev *net;
	struct blockdev *disk;
	uint8_t *block;
	uint32_t id, payload_bytes;
	uint64_t seq;	    /* of the request under way, or the last one */
	uint32_t durable;   /* bit per node (follower: only its own) */
	uint32_t in_flight; /* writes */
	uint64_t offset;
};

static int write_block(struct node *n)
{
	int rc;

	if (n->in_flight == BLOCKDEV_DEPTH)
		return 0; /* a storm of repeats; the client will ask again */
	store_u64(n->block, n->seq);
	rc = blockdev_write(n->disk, n->seq, n->block, BLOCK_BYTES, n->offset);
	if (rc < 0)
		return bench_fail(rc, "floor: write: %s", strerror(-rc));
	n->offset = (n->offset + BLOCK_BYTES) % FILE_BYTES;
	n->in_flight++;
	return 0;
}

static void say(const struct node *n, uint32_t to, enum floor_type type)
{
	struct floor_message m = { .type = type, .seq = n->seq };

	floor_send(n->net, n->id, to, n->payload_bytes, &m);
}

static void answer_if_done(const struct node *n)
{
	if (n->id == 0 && n->durable == ALL_DURABLE)
		say(n, FLOOR_CLIENT, FLOOR_DONE);
	else if (n->id != 0 && n->durable)
		say(n, 0, FLOOR_ECHO);
}

/* A request (leader) or a forwarded one (follower): new, or a repeat of the current one. */
static int on_request(struct node *n, uint64_t seq)
{
	bool fresh = seq != n->seq;

	if (fresh) {
		n->seq = seq;
		n->durable = 0;
	}
	if (n->id == 0 && n->durable != ALL_DURABLE) {
		say(n, 1, FLOOR_FORWARD);
		say(n, 2, FLOOR_FORWARD);
	}
	if (!fresh)
		answer_if_done(n);
	return fresh ? write_block(n) : 0;
}

static int on_message(struct node *n, const struct floor_message *m)
{
	switch (m->type) {
	case FLOOR_REQUEST:
		return n->id == 0 ? on_request(n, m->seq) : 0;
	case FLOOR_FORWARD:
		return n->id != 0 ? on_request(n, m->seq) : 0;
	case FLOOR_ECHO:
		if (n->id != 0 || m->seq != n->seq || m->from >= FLOOR_NODES ||
		    (n->durable & 1u << m->from))
			return 0;
		n->durable |= 1u << m->from;
		answer_if_done(n);
		return 0;
	case FLOOR_DONE:
		break;
	}
	return 0;
}

static int on_completion(struct node *n, const struct blockdev_completion *c)
{
	n->in_flight--;
	if (c->result != (int32_t)BLOCK_BYTES)
		return bench_fail(-EIO, "floor: write failed: %s",
				  strerror(c->result < 0 ? -c->result : EIO));
	if (c->token != n->seq)
		return 0;
	n->durable |= 1u << n->id;
	answer_if_done(n);
	return 0;
}

/* One round: frames, then completions. Returns how much it did, or a negative errno. */
static int node_poll(struct node *n)
{
	struct blockdev_completion done[BLOCKDEV_DEPTH];
	struct netdev_buf bufs[NETDEV_BURST];
	uint32_t frames = netdev_receive(n->net, bufs, NETDEV_BURST), writes = 0;
	int rc = 0;

	for (uint32_t i = 0; i < frames; i++) {
		struct floor_message m;

		if (rc == 0 && floor_receive(&bufs[i], n->id, &m))
			rc = on_message(n, &m);
	}
	if (frames > 0)
		netdev_free(n->net, bufs, frames);
	if (n->in_flight > 0)
		writes = blockdev_poll(n->disk, done, BLOCKDEV_DEPTH);
	for (uint32_t i = 0; i < writes && rc == 0; i++)
		rc = on_completion(n, &done[i]);
	return rc < 0 ? rc : (int)(frames + writes);
}

static int node_run(struct node *n, enum idle_policy policy)
{
	uint64_t maintain_ns = 0;
	struct idle idle;
	int work;

	idle_init(&idle, policy);
	while ((work = node_poll(n)) >= 0) {
		uint64_t now_ns = idle_clock_ns();

		if (now_ns >= maintain_ns) {
			netdev_maintain(n->net, now_ns);
			maintain_ns = now_ns + FLOOR_MAINTAIN_NS;
		}
		if (work > 0)
			idle_reset(&idle);
		else
			idle_wait(&idle, now_ns, maintain_ns);
	}
	return BENCH_EXIT_FAILED;
}

/* The file is gone from its folder once it is open: no exit can leave it behind. */
static int open_disk(const char *path, struct blockdev **ret_disk)
{
	int rc = blockdev_file_create(path, FILE_BYTES);

	if (rc == 0) {
		rc = blockdev_file_open(path, NULL, ret_disk);
		unlink(path);
	}
	return rc < 0 ? bench_fail(rc, "floor: file '%s': %s; choose another --dir", path,
				   strerror(-rc))
		      : 0;
}

int bench_floor_node(int argc, char **argv)
{
	char device[NETDEV_DEVICE_BYTES];
	const char *devices[] = { device };
	struct node n = { 0 };
	enum idle_policy policy;
	struct frame_addr self;

	if (argc != 6 || !idle_policy_parse(argv[2], &policy))
		return BENCH_EXIT_USAGE;
	n.id = (uint32_t)strtoul(argv[3], NULL, 10);
	n.payload_bytes = (uint32_t)strtoul(argv[5], NULL, 10);
	self = target_node_addr(n.id, FLOOR_PORT);
	snprintf(device, sizeof(device), "memif:%s:%u", argv[1], n.id);
	n.block = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
	if (!n.block || open_disk(argv[4], &n.disk) < 0 || start_dpdk(devices, 1) < 0 ||
	    open_device(device, self.mac, &n.net) < 0)
		return BENCH_EXIT_FAILED;
	memset(n.block, 0x5a, BLOCK_BYTES);
	return node_run(&n, policy);
}
