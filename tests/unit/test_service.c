/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_service.c: whole nodes with the view service: one or two workers each on simulated disks,
 * their netdevs joined by memory, under one virtual clock. How a cluster founds itself, loses and
 * regains nodes, obeys an operator, grows, and starts again; and what a node says of its health.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dataplane/worker.h"
#include "replication/slot.h"
#include "tests/sim/sim_disk.h"

#define NODES	   5u
#define WORKERS	   2u
#define SHARDS	   2u
#define DISK_BYTES (8u << 20)
#define CLUSTER	   0xc2u
#define PORT	   4420u
#define TURN_NS	   50000u
#define FRAMES_MAX 1024u
#define CLIENT_IP  0x0a0000ffu
#define MS	   1000000ull
#define NO_ANSWER  0xffu
#define KEPT_MAX   2048u /* frames that the network keeps */

/* ---- the network: frames go by the last byte of their MAC, to the worker of their port ------- */

struct netdev {
	uint8_t mac[6];
	struct netdev_buf queue[FRAMES_MAX];
	uint32_t head, tail;
	struct netdev_counters counters;
};

struct node {
	struct netdev net[WORKERS];
	struct blockdev *disk[WORKERS];
	struct superblock sb[WORKERS];
	struct worker_config config;
	struct worker_stats stats[WORKERS];
	struct worker *worker[WORKERS];
	void *mem[WORKERS];
	struct view_board board;
	struct control_region control;
	uint8_t cut; /* bitmap: nodes no frames come from */
	bool frozen[WORKERS];
	uint32_t restarts;
	uint32_t disks; /* it has had before this one */
};

static struct rig {
	struct node node[NODES];
	uint8_t count, workers;
	uint8_t engine;
	uint64_t now_ns;
	uint64_t ahead_ns; /* what the clock shows beyond now_ns: a thread that was stopped */
	struct membership_state first;
	uint64_t session[NODES][SHARDS];
	uint8_t status; /* of the last answer */
	uint64_t number; /* its session, when it was OPENED */
	char value[64];
	uint8_t keeps; /* node + 1: frames to it are kept, 0: none */
	uint32_t kept_count;
	struct netdev_buf kept[KEPT_MAX];
} rig;

static uint8_t engine_of_rigs; /* enum membership_engine; of rigs made from here on */
static _Alignas(BLOCK_BYTES) uint8_t scratch[BLOCK_BYTES];

static const struct frame_addr client_addr = { { 2, 0, 0, 0, 0, 0xff }, 9, CLIENT_IP };

static struct frame_addr node_addr(uint8_t n, uint16_t shard)
{
	return (struct frame_addr) { { 2, 0, 0, 0, 0, n }, (uint16_t)(PORT + shard),
				     0x0a000000u + n };
}

const uint8_t *netdev_mac(const struct netdev *dev)
{
	return dev->mac;
}

uint32_t netdev_receive(struct netdev *dev, struct netdev_buf *bufs, uint32_t max)
{
	uint32_t n = 0;

	for (; n < max && dev->head != dev->tail; n++)
		bufs[n] = dev->queue[dev->head++ % FRAMES_MAX];
	return n;
}

bool netdev_alloc(struct netdev *dev, struct netdev_buf *ret_buf)
{
	(void)dev;
	*ret_buf = (struct netdev_buf) { .data = calloc(1, NETDEV_FRAME_MAX) };
	assert_non_null(ret_buf->data);
	return true;
}

static void deliver(struct netdev *to, const struct netdev_buf *buf)
{
	struct netdev_buf copy = { .bytes = buf->bytes };

	if (to->tail - to->head == FRAMES_MAX)
		return;
	copy.data = calloc(1, NETDEV_FRAME_MAX);
	memcpy(copy.data, buf->data, buf->bytes);
	to->queue[to->tail++ % FRAMES_MAX] = copy;
}

/* keep: the network still has it when everybody has forgotten it. */
static void keep(uint8_t n, const struct netdev_buf *buf)
{
	struct netdev_buf *copy = &rig.kept[rig.kept_count];

	if (rig.keeps != n + 1u || rig.kept_count == KEPT_MAX)
		return;
	rig.kept_count++;
	*copy = (struct netdev_buf) { .bytes = buf->bytes, .data = calloc(1, NETDEV_FRAME_MAX) };
	memcpy(copy->data, buf->data, buf->bytes);
}

/* to_node: UDP by its port; ARP is for all workers. */
static void to_node(uint8_t n, uint8_t from, const struct netdev_buf *buf)
{
	struct node *node = &rig.node[n];
	bool udp = buf->data[12] == 0x08 && buf->data[13] == 0x00;
	uint16_t port = (uint16_t)(buf->data[36] << 8 | buf->data[37]);

	if (from < NODES && node->cut & 1u << from)
		return;
	keep(n, buf);
	for (uint8_t w = 0; w < rig.workers; w++)
		if (node->worker[w] && (!udp || (port - PORT) % rig.workers == w))
			deliver(&node->net[w], buf);
}

static void to_client(const struct netdev_buf *buf)
{
	struct frame_info info;
	struct wire_header h;
	uint32_t offset = WIRE_HEADER_BYTES;
	struct wire_message m;

	assert_int_equal(frame_parse(buf->data, buf->bytes, &client_addr, &info), FRAME_UDP);
	assert_int_equal(wire_header_decode(info.payload, info.payload_bytes, &h), WIRE_OK);
	while (offset < info.payload_bytes) {
		assert_int_equal(wire_message_decode(info.payload, info.payload_bytes, h.kind,
						     &offset, &m),
				 WIRE_OK);
		rig.status = m.status;
		rig.number = h.session;
		memset(rig.value, 0, sizeof(rig.value));
		memcpy(rig.value, m.value, min_u64(m.value_bytes, sizeof(rig.value) - 1));
	}
}

uint32_t netdev_send(struct netdev *dev, struct netdev_buf *bufs, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint8_t to = bufs[i].data[5];

		for (uint8_t n = 0; n < rig.count; n++)
			if (dev->mac[5] != n && (to == n || bufs[i].data[0] == 0xff))
				to_node(n, dev->mac[5], &bufs[i]);
		if (to == 0xff && bufs[i].data[0] != 0xff)
			to_client(&bufs[i]);
	}
	netdev_free(dev, bufs, count);
	return count;
}

void netdev_free(struct netdev *dev, struct netdev_buf *bufs, uint32_t count)
{
	(void)dev;
	for (uint32_t i = 0; i < count; i++)
		free(bufs[i].data);
}

bool netdev_maintain(struct netdev *dev, uint64_t now_ns)
{
	(void)dev;
	(void)now_ns;
	return true;
}

const struct netdev_counters *netdev_counters(const struct netdev *dev)
{
	return &dev->counters;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static uint64_t clock_ns(void *context)
{
	return *(const uint64_t *)context + rig.ahead_ns;
}

static struct worker_config config_of(uint8_t n)
{
	return (struct worker_config) {
		.seed = 1u + n,
		.retransmit_ns = 1 * MS,
		.replay_ns = 1 * MS,
		.hello_ns = 2 * MS,
		.housekeeping_ns = MS / 2,
		.store = { 256, 1 << 20, 3, 0 },
		.wal = { 2 * WORKER_BATCH_BYTES_MIN, 2, 10 * MS },
		.ops_max = 64,
		.held_max = 256,
		.sessions_max = 8,
		.session_window = 16,
		.views = true,
		.service = true,
		.membership = { .seed = 11u + n, .heartbeat_ns = 1 * MS, .election_ns = 10 * MS,
				.lease_ns = 30 * MS, .detect_ns = 15 * MS, .recover_ns = 50 * MS,
				.holddown_ns = 100 * MS, .slow_ns = 1000 * MS,
				.slow_floor_ns = 50 * MS, .drift_ppm = 100 },
		.raft = { .heartbeat_ns = 1 * MS, .election_ns = 10 * MS, .disk_ns = 100 * MS,
			  .entries_max = 256, .bytes_max = 1 << 18, .drift_ppm = 100 },
		.clock_ns = clock_ns,
		.clock_context = &rig.now_ns,
		.port_base = PORT,
		.space_low_permille = 100,
	};
}

static void make_node(uint8_t n, uint8_t flags)
{
	struct node *node = &rig.node[n];

	node->config = config_of(n);
	for (uint8_t p = 0; p < NODES && !(flags & SUPERBLOCK_JOINING); p++)
		node->config.ip[p] = rig.first.node[p].ip;
	node->config.ip[n] = node_addr(n, 0).ip;
	node->config.first = flags & SUPERBLOCK_JOINING ? NULL : &rig.first;
	node->config.worker_count = rig.workers;
	for (uint8_t w = 0; w < rig.workers; w++) {
		struct superblock sb = { .cluster = CLUSTER,
					 .device_id = 77u + n * 7u + w + node->disks * 100u,
					 .fingerprint = 5,
					 .device_bytes = DISK_BYTES,
					 .shard_count = SHARDS,
					 .stream = w,
					 .stream_count = rig.workers,
					 .node = n,
					 .node_count = NODES_MAX,
					 .engine = rig.engine,
					 .flags = flags };

		memcpy(node->net[w].mac, node_addr(n, 0).mac, 6);
		node->disk[w] = sim_disk_create(DISK_BYTES, 1u + n, NULL);
		assert_int_equal(superblock_format(node->disk[w], scratch, &sb), 0);
	}
}

/* make_rig: founding nodes, of which those in `witnesses` hold no data; then one that joins. */
static void make_rig(uint8_t founders, uint8_t witnesses, uint8_t workers, bool joiner)
{
	memset(&rig, 0, sizeof(rig));
	rig.workers = workers;
	rig.now_ns = MS;
	rig.first.revision = 1;
	rig.first.engine = engine_of_rigs;
	rig.engine = engine_of_rigs;
	rig.first.copies_min = 1;
	for (uint8_t n = 0; n < founders; n++) {
		bool witness = (witnesses & 1u << n) != 0;

		rig.first.node[n].want = witness ? WANT_WITNESS : WANT_DATA;
		rig.first.node[n].ip = node_addr(n, 0).ip;
	}
	for (uint8_t n = 0; n < founders; n++)
		make_node(n, witnesses & 1u << n ? SUPERBLOCK_WITNESS : 0);
	if (joiner)
		make_node(founders, SUPERBLOCK_JOINING);
	rig.count = (uint8_t)(founders + joiner);
}

static void start(uint8_t n, uint32_t above)
{
	struct node *node = &rig.node[n];
	uint64_t offset, bytes;

	view_board_init(&node->board);
	control_init(&node->control, CLUSTER, rig.now_ns);
	for (uint8_t w = 0; w < rig.workers; w++) {
		struct worker_config config = node->config;

		assert_int_equal(superblock_read(node->disk[w], scratch, &node->sb[w]), 0);
		assert_int_equal(superblock_advance(node->disk[w], scratch, &node->sb[w],
						    above + 1),
				 0);
		config.worker_index = w;
		config.board = &node->board;
		config.control = w == 0 ? &node->control : NULL;
		config.membership.ident = worker_ident(&node->sb[0]);
		bytes = round_up(worker_size(&config, &node->sb[w]), BLOCK_BYTES);
		node->mem[w] = aligned_alloc(BLOCK_BYTES, bytes);
		assert_non_null(node->mem[w]);
		memset(node->mem[w], 0xa5, bytes);
		node->worker[w] = worker_init(node->mem[w], &config, &node->sb[w], &node->net[w],
					      node->disk[w], &node->stats[w]);
		assert_int_equal(worker_recover(node->worker[w], UINT32_MAX, &offset), 0);
	}
}

static void stop(uint8_t n)
{
	struct node *node = &rig.node[n];
	struct netdev_buf buf;

	for (uint8_t w = 0; w < rig.workers; w++) {
		while (netdev_receive(&node->net[w], &buf, 1) == 1)
			netdev_free(&node->net[w], &buf, 1);
		sim_disk_crash(node->disk[w]);
		free(node->mem[w]);
		node->mem[w] = NULL;
		node->worker[w] = NULL;
		rig.session[n][w] = 0;
	}
	memset(rig.session[n], 0, sizeof(rig.session[n]));
}

static void end_rig(void)
{
	for (uint8_t n = 0; n < rig.count; n++) {
		if (rig.node[n].worker[0])
			stop(n);
		for (uint8_t w = 0; w < rig.workers; w++)
			sim_disk_destroy(rig.node[n].disk[w]);
	}
}

/* turn: as the program does, a node that asks for it is started again. */
static void turn(uint64_t ns)
{
	for (uint64_t end = rig.now_ns + ns; rig.now_ns < end;) {
		rig.now_ns += TURN_NS;
		for (uint32_t i = 0; i < (uint32_t)rig.count * rig.workers; i++) {
			uint8_t n = (uint8_t)(i / rig.workers), w = (uint8_t)(i % rig.workers);
			struct node *node = &rig.node[n];
			uint32_t above = 0;

			if (!node->worker[w] || node->frozen[w])
				continue;
			sim_disk_advance(node->disk[w], rig.now_ns);
			worker_poll(node->worker[w], rig.now_ns);
			if (w == 0 && worker_wants_restart(node->worker[0], &above)) {
				node->restarts++;
				stop(n);
				start(n, above);
			}
		}
	}
}

static const struct membership *service(uint8_t n)
{
	return worker_membership(rig.node[n].worker[0]);
}

static uint8_t leader(void)
{
	for (uint8_t n = 0; n < rig.count; n++)
		if (rig.node[n].worker[0] && raft_ready(membership_raft(service(n))))
			return n;
	return RAFT_NODE_NONE;
}

/* settled: those who are up have, at every worker, a view of exactly these members, and leases. */
static bool settled(uint8_t members)
{
	for (uint8_t n = 0; n < rig.count; n++) {
		struct node *node = &rig.node[n];

		if (!(members & 1u << n))
			continue;
		for (uint8_t w = 0; w < rig.workers; w++) {
			const struct view *v = replica_view(worker_replica(node->worker[w], w));

			bool leased = rig.engine == ENGINE_RAFT ||
				      replica_lease_ns(worker_replica(node->worker[w], w)) >
					      rig.now_ns;

			if (v->members != members || v->shadows != 0 || !leased)
				return false;
		}
	}
	return true;
}

/* await: until settled; returns how long it took. */
static uint64_t await(uint8_t members)
{
	uint64_t start_ns = rig.now_ns;

	while (!settled(members)) {
		turn(TURN_NS);
		assert_true(rig.now_ns - start_ns < 3000 * MS);
	}
	return rig.now_ns - start_ns;
}

/* ---- a client -------------------------------------------------------------------------------- */

static void send_request(uint8_t n, uint16_t shard, const struct wire_message *m)
{
	const struct frame_addr target = node_addr(n, shard);
	uint8_t data[NETDEV_FRAME_MAX], *payload = data + FRAME_HEADERS_BYTES;
	uint32_t bytes = WIRE_HEADER_BYTES + wire_message_bytes(m);
	struct wire_header h = { .kind = WIRE_REQUEST,
				 .cluster = CLUSTER,
				 .session = m->type == WIRE_OPEN ? 0 : rig.session[n][shard],
				 .to_incarnation =
					 m->type == WIRE_OPEN ? 0 : rig.node[n].sb[0].incarnation,
				 .from = WIRE_NODE_CLIENT,
				 .to = n,
				 .shard = shard };
	struct netdev_buf buf = { .data = data };

	wire_header_encode(payload, &h);
	wire_message_encode(payload + WIRE_HEADER_BYTES, m);
	wire_seal(payload, bytes);
	buf.bytes = frame_udp_finish(data, bytes, &client_addr, &target);
	to_node(n, 0xff, &buf);
}

/* call: the status, or NO_ANSWER within 10 ms. */
static uint8_t call(uint8_t n, enum wire_type type, const char *key, const char *value)
{
	static uint64_t id = 100;
	struct wire_message m = { .type = type,
				  .id = ++id,
				  .key = (const uint8_t *)key,
				  .key_bytes = (uint16_t)strlen(key),
				  .value = (const uint8_t *)value,
				  .value_bytes = (uint16_t)strlen(value) };
	uint16_t shard = slot_shard_of_key(m.key, m.key_bytes, SHARDS);
	uint8_t first[WIRE_OPEN_BYTES] = { 0 };
	struct wire_message open = { .type = WIRE_OPEN, .id = 5u + n, .value = first,
				     .value_bytes = sizeof(first) };

	if (rig.session[n][shard] == 0) {
		store_u64(first, id);
		rig.number = 0;
		send_request(n, shard, &open);
		turn(MS);
		rig.session[n][shard] = rig.number;
	}
	rig.status = NO_ANSWER;
	send_request(n, shard, &m);
	for (uint32_t i = 0; i < 50 && rig.status == NO_ANSWER; i++)
		turn(MS / 5);
	return rig.status;
}

static void expect_get(uint8_t n, const char *key, const char *value)
{
	assert_int_equal(call(n, WIRE_GET, key, ""), STATUS_OK);
	assert_string_equal(rig.value, value);
}

/* fill: keys of both shards. */
static void fill(uint8_t n, const char *value)
{
	char key[16];

	for (uint32_t i = 0; i < 12; i++) {
		snprintf(key, sizeof(key), "key%u", i);
		assert_int_equal(call(n, WIRE_PUT, key, value), STATUS_OK);
	}
}

static void expect_all(uint8_t n, const char *value)
{
	char key[16];

	for (uint32_t i = 0; i < 12; i++) {
		snprintf(key, sizeof(key), "key%u", i);
		expect_get(n, key, value);
	}
}

static void start_all(uint8_t founders)
{
	for (uint8_t n = 0; n < founders; n++)
		start(n, 0);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void a_cluster_founds_itself(void **state)
{
	(void)state;
	for (uint8_t workers = 1; workers <= WORKERS; workers++) {
		make_rig(3, 0, workers, false);
		start_all(3);
		await(0x7);
		assert_int_not_equal(leader(), RAFT_NODE_NONE);
		for (uint8_t n = 0; n < 3; n++) {
			fill(n, n == 0 ? "zero" : n == 1 ? "one" : "two");
			assert_int_equal(rig.node[n].restarts, 0);
		}
		for (uint8_t n = 0; n < 3; n++)
			expect_all(n, "two");
		end_rig();
	}
}

/* Whoever dies is left out after detection and lease; it comes back, and has missed nothing. */
static void a_dead_node_is_replaced_by_its_next_life(void **state)
{
	(void)state;
	for (uint8_t workers = 1; workers <= WORKERS; workers++) {
		uint8_t dead, other;

		make_rig(3, 0, workers, false);
		start_all(3);
		await(0x7);
		fill(0, "before");
		dead = leader();
		other = (uint8_t)((dead + 1) % 3);
		stop(dead);
		assert_true(await((uint8_t)(0x7 & ~(1u << dead))) < 120 * MS);
		fill(other, "without");
		start(dead, 0);
		await(0x7);
		expect_all(dead, "without");
		assert_int_equal(rig.node[other].restarts, 0);
		end_rig();
	}
}

/* CC-25: of a process that was reaped nothing need be waited for: not silence, nor its lease. */
static void who_was_buried_is_left_out_at_once(void **state)
{
	uint8_t dead;

	(void)state;
	make_rig(3, 0, 2, false);
	start_all(3);
	await(0x7);
	dead = (uint8_t)((leader() + 1) % 3);
	for (uint8_t n = 0; n < 3; n++)
		control_bury(&rig.node[n].control, dead, rig.node[dead].sb[0].incarnation - 1);
	turn(10 * MS); /* that was an earlier life */
	assert_true(settled(0x7));
	stop(dead);
	for (uint8_t n = 0; n < 3; n++)
		control_bury(&rig.node[n].control, dead, rig.node[dead].sb[0].incarnation);
	assert_true(await((uint8_t)(0x7 & ~(1u << dead))) < 10 * MS);
	fill((uint8_t)((dead + 1) % 3), "without");
	start(dead, 0);
	await(0x7);
	expect_all(dead, "without");
	end_rig();
}

/* The leader of the view service, too: its followers need not be silent for an election. */
static void a_leader_that_was_buried_is_followed_at_once(void **state)
{
	uint8_t dead;

	(void)state;
	make_rig(3, 0, 1, false);
	start_all(3);
	await(0x7);
	dead = leader();
	stop(dead);
	for (uint8_t n = 0; n < 3; n++)
		control_bury(&rig.node[n].control, dead, rig.node[dead].sb[0].incarnation);
	assert_true(await((uint8_t)(0x7 & ~(1u << dead))) < 15 * MS);
	start(dead, 0);
	await(0x7);
	end_rig();
}

/* A node cut off loses its lease, is left out, and learns on its return that it must restart. */
static void a_node_cut_off_comes_back_as_another_life(void **state)
{
	uint32_t incarnation;

	(void)state;
	make_rig(3, 0, 2, false);
	start_all(3);
	await(0x7);
	fill(0, "before");
	incarnation = rig.node[2].sb[0].incarnation;
	rig.node[2].cut = 0x3;
	rig.node[0].cut = rig.node[1].cut = 0x4;
	assert_true(await(0x3) < 120 * MS);
	assert_int_equal(call(2, WIRE_GET, "key1", ""), STATUS_NOT_SERVING);
	fill(1, "without");
	assert_int_equal(rig.node[2].restarts, 0);
	memset(&rig.node[2].cut, 0, 1);
	rig.node[0].cut = rig.node[1].cut = 0;
	await(0x7);
	assert_int_equal(rig.node[2].restarts, 1);
	assert_true(rig.node[2].sb[0].incarnation > incarnation);
	assert_int_equal(rig.node[2].sb[0].incarnation, rig.node[2].sb[1].incarnation);
	expect_all(2, "without");
	end_rig();
}

static void a_whole_cluster_starts_again(void **state)
{
	(void)state;
	make_rig(3, 0, 2, false);
	start_all(3);
	await(0x7);
	fill(0, "kept");
	turn(20 * MS);
	for (uint8_t n = 0; n < 3; n++)
		stop(n);
	start_all(3);
	await(0x7);
	for (uint8_t n = 0; n < 3; n++)
		expect_all(n, "kept");
	end_rig();
}

/* M-DATA-ALIVE: worker 0 alone does not keep a node alive whose other worker hangs. */
static void a_worker_that_hangs_costs_the_node_its_place(void **state)
{
	uint8_t hung;

	(void)state;
	make_rig(3, 0, 2, false);
	start_all(3);
	await(0x7);
	hung = (uint8_t)((leader() + 1) % 3);
	rig.node[hung].frozen[1] = true;
	await((uint8_t)(0x7 & ~(1u << hung)));
	fill((uint8_t)((hung + 1) % 3), "without");
	end_rig();
}

/* The disk of either worker fails: the service hears of it, and the others go on without. */
static void a_failed_disk_costs_the_node_its_place(void **state)
{
	(void)state;
	for (uint8_t w = 0; w < WORKERS; w++) {
		uint8_t failed, other;

		make_rig(3, 0, 2, false);
		start_all(3);
		await(0x7);
		fill(0, "before");
		failed = w == 0 ? leader() : (uint8_t)((leader() + 1) % 3);
		other = (uint8_t)((failed + 1) % 3);
		sim_disk_fail_write(rig.node[failed].disk[w], 1, -5);
		(void)call(other, WIRE_PUT, "key1", "x");
		(void)call(other, WIRE_PUT, "key2", "x");
		(void)call(other, WIRE_PUT, "key3", "x");
		assert_true(await((uint8_t)(0x7 & ~(1u << failed))) < 200 * MS);
		fill(other, "without");
		await(0x7); /* left out, it was started again: it was only the cable */
		assert_int_equal(rig.node[failed].restarts, 1);
		expect_all(failed, "without");
		end_rig();
	}
}

/* What cairnd sees and says: status, events, a command and its answer. */
static void an_operator_drains_a_node(void **state)
{
	struct membership_command drain = { .verb = VERB_DRAIN, .node = 2 };
	struct control_region *c = &rig.node[0].control;
	struct control_status status;
	struct control_answer answer;
	struct control_event events[64];
	uint32_t number, count, views = 0;

	(void)state;
	make_rig(3, 0, 2, false);
	start_all(3);
	await(0x7);
	fill(0, "x");
	assert_true(control_status(c, &status));
	assert_int_equal(status.state.members, 0x7);
	assert_int_equal(status.installed.members, 0x7);
	assert_int_equal(status.node, 0);
	assert_int_equal(status.leader, leader());
	assert_in_range(status.lease_ns, 1, 30 * MS);
	assert_true(status.health.progress && !status.health.failed);
	assert_int_equal(status.health.epoch, status.installed.epoch);
	number = control_command(c, &drain);
	assert_false(control_answer(c, number, &answer));
	await(0x3);
	assert_true(control_answer(c, number, &answer));
	assert_int_equal(answer.code, COMMAND_DONE);
	assert_true(answer.index != 0);
	fill(0, "y");
	count = control_events(c, 0, events, ARRAY_LEN(events));
	for (uint32_t i = 0; i < count; i++)
		views += events[i].note == NOTE_VIEW;
	assert_true(views >= 2);
	drain.verb = VERB_UNDRAIN;
	(void)control_command(c, &drain);
	await(0x7);
	expect_all(2, "y");
	end_rig();
}

/*
 * A node is where its slowest worker is: worker 0 has installed a view and given a lease up long
 * before the other has, and may say neither.
 */
static void a_node_is_where_its_slowest_worker_is(void **state)
{
	struct membership_command drain = { .verb = VERB_DRAIN };
	struct node *node = &rig.node[0];
	struct control_status status;
	uint32_t epoch;

	(void)state;
	make_rig(3, 0, 2, false);
	start_all(3);
	await(0x7);
	drain.node = 2;
	epoch = worker_epoch(node->worker[0]);
	assert_int_equal(worker_epoch(node->worker[1]), epoch);
	node->frozen[1] = true;
	(void)control_command(&rig.node[1].control, &drain);
	while (worker_epoch(node->worker[0]) == epoch) {
		turn(TURN_NS);
		assert_true(rig.now_ns < 1000 * MS);
	}
	turn(3 * MS);
	assert_true(control_status(&node->control, &status));
	assert_true(status.installed.epoch > epoch);
	assert_int_equal(status.health.epoch, epoch);
	assert_false(status.health.unleased);
	turn(10 * MS);
	assert_true(control_status(&node->control, &status));
	assert_false(status.health.progress); /* M-DATA-ALIVE */
	assert_false(status.health.unleased);
	node->frozen[1] = false;
	turn(3 * MS);
	assert_true(control_status(&node->control, &status));
	assert_true(status.health.progress);
	assert_int_equal(status.health.epoch, worker_epoch(node->worker[0]));
	assert_int_equal(worker_epoch(node->worker[1]), worker_epoch(node->worker[0]));
	end_rig();
}

/* A node that knows nobody is added, is told who the others are, copies, and becomes a member. */
static void a_node_joins(void **state)
{
	struct membership_command add = { .verb = VERB_ADD, .node = 3, .want = WANT_DATA,
					  .ip = 0x0a000003, .name = "new" };

	(void)state;
	make_rig(3, 0, 2, true);
	start_all(3);
	await(0x7);
	fill(0, "x");
	start(3, 0);
	turn(50 * MS);
	assert_true(settled(0x7));
	(void)control_command(&rig.node[1].control, &add);
	await(0xf);
	expect_all(3, "x");
	stop(3);
	await(0x7);
	start(3, 0);
	await(0xf);
	for (uint8_t n = 0; n < 4; n++)
		stop(n);
	start(3, 0); /* it finds the others from what its log says */
	turn(5 * MS);
	for (uint8_t n = 0; n < 3; n++)
		start(n, 0);
	await(0xf);
	expect_all(3, "x");
	end_rig();
}

/* replace_disk: of a node that is stopped: an empty one, which has everything to be told. */
static void replace_disk(uint8_t n)
{
	for (uint8_t w = 0; w < rig.workers; w++)
		sim_disk_destroy(rig.node[n].disk[w]);
	rig.node[n].disks++;
	make_node(n, SUPERBLOCK_JOINING);
	rig.node[n].cut = 0;
}

static void isolate(uint8_t node, bool on)
{
	for (uint8_t n = 0; n < rig.count; n++) {
		rig.node[n].cut = (uint8_t)(rig.node[n].cut & ~(1u << node));
		rig.node[n].cut |= (uint8_t)((unsigned)on << node);
	}
	rig.node[node].cut = on ? (1u << NODES) - 1 : 0;
}

/* play_kept: frames from before its disk was replaced come to a blank node; it believes none. */
static void play_kept(uint8_t node)
{
	struct worker *w = rig.node[node].worker[0];

	assert_true(rig.kept_count > 100);
	for (uint32_t i = 0; i < rig.kept_count; i++) {
		to_node(node, NODES, &rig.kept[i]);
		free(rig.kept[i].data);
		if (i % 64 == 63)
			turn(TURN_NS);
	}
	rig.kept_count = 0;
	turn(1 * MS);
	assert_int_equal(membership_state(service(node))->revision, 0);
	assert_int_equal(raft_term(membership_raft(service(node))), 0);
	if (rig.engine == ENGINE_RAFT)
		assert_int_equal(raft_term(replica_raft(worker_replica(w, 0))), 0);
	assert_true(rig.node[node].stats[0].drop_other_disk > 0);
}

/*
 * The network keeps what a node was told when it was new, until it has been removed, and its number
 * comes back with another disk: that blank one must not take part in what is long over (R19).
 */
static void a_blank_disk_believes_nothing_old(uint8_t engine)
{
	struct membership_command add = { .verb = VERB_ADD, .node = 3, .want = WANT_DATA,
					  .ip = 0x0a000003, .name = "new" };
	struct membership_command remove = { .verb = VERB_REMOVE, .node = 3 };

	engine_of_rigs = engine;
	make_rig(3, 0, 1, true);
	engine_of_rigs = ENGINE_HERMES;
	start_all(3);
	await(0x7);
	rig.keeps = 3 + 1;
	start(3, 0);
	(void)control_command(&rig.node[1].control, &add);
	await(0xf);
	rig.keeps = 0;
	(void)control_command(&rig.node[1].control, &remove);
	await(0x7);
	turn(100 * MS);
	stop(3);
	replace_disk(3);
	isolate(3, true);
	start(3, 0);
	play_kept(3);
	isolate(3, false);
	(void)control_command(&rig.node[1].control, &add);
	await(0xf);
	fill(3, "x");
	expect_all(0, "x");
	end_rig();
}

static void a_blank_disk_is_another_node(void **state)
{
	(void)state;
	a_blank_disk_believes_nothing_old(ENGINE_HERMES);
	a_blank_disk_believes_nothing_old(ENGINE_RAFT);
}

/* Two copies and a witness: one of them may die. */
static void a_witness_votes_and_holds_nothing(void **state)
{
	(void)state;
	make_rig(3, 0x4, 1, false);
	start_all(3);
	await(0x3);
	assert_null(worker_replica(rig.node[2].worker[0], 0));
	fill(1, "x");
	assert_int_equal(store_usage(worker_store(rig.node[2].worker[0])).keys, 0);
	stop(0);
	assert_true(await(0x2) < 120 * MS);
	expect_all(1, "x");
	fill(1, "y");
	start(0, 0);
	await(0x3);
	expect_all(0, "y");
	end_rig();
}

/* A shard's group survives the death of any node without a new view; all of them serve. */
static void engine_raft_serves_through_deaths(void **state)
{
	(void)state;
	engine_of_rigs = ENGINE_RAFT;
	make_rig(3, 0, 2, false);
	engine_of_rigs = ENGINE_HERMES;
	start_all(3);
	await(0x7);
	turn(50 * MS);
	for (uint8_t n = 0; n < 3; n++) {
		fill(n, "all");
		expect_all((uint8_t)((n + 1) % 3), "all");
	}
	for (uint8_t n = 0; n < 3; n++) {
		uint8_t other = (uint8_t)((n + 1) % 3);

		assert_int_not_equal(rig.node[other].stats[0].leader[0], RAFT_NODE_NONE);
		stop(n);
		turn(60 * MS);
		fill(other, n == 0 ? "without 0" : n == 1 ? "without 1" : "without 2");
		start(n, 0);
		turn(60 * MS);
		expect_all(n, n == 0 ? "without 0" : n == 1 ? "without 1" : "without 2");
	}
	for (uint8_t n = 0; n < 3; n++)
		stop(n);
	start_all(3);
	await(0x7);
	turn(60 * MS);
	expect_all(1, "without 2");
	end_rig();
}

/*
 * CC-26, M-LEASE-GAP: a round that began before a pause reads what came in during it: what it
 * promises counts from after the frames came in.
 */
static void promises_count_from_after_the_frames(void **state)
{
	uint64_t began_ns;
	uint8_t asker, voter;

	(void)state;
	make_rig(3, 0, 1, false);
	start_all(3);
	await(0x7);
	voter = (uint8_t)((leader() + 1) % 3);
	asker = leader();
	began_ns = rig.now_ns;
	rig.node[voter].frozen[0] = true;
	turn(5 * MS);
	rig.ahead_ns = 0;
	worker_poll(rig.node[voter].worker[0], began_ns);
	assert_true(membership_promised_ns(service(voter), asker) >=
		    rig.now_ns + config_of(0).membership.lease_ns);
	end_rig();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cluster_founds_itself),
		cmocka_unit_test(a_dead_node_is_replaced_by_its_next_life),
		cmocka_unit_test(who_was_buried_is_left_out_at_once),
		cmocka_unit_test(a_leader_that_was_buried_is_followed_at_once),
		cmocka_unit_test(a_node_cut_off_comes_back_as_another_life),
		cmocka_unit_test(a_whole_cluster_starts_again),
		cmocka_unit_test(a_worker_that_hangs_costs_the_node_its_place),
		cmocka_unit_test(a_failed_disk_costs_the_node_its_place),
		cmocka_unit_test(an_operator_drains_a_node),
		cmocka_unit_test(a_node_is_where_its_slowest_worker_is),
		cmocka_unit_test(a_node_joins),
		cmocka_unit_test(a_blank_disk_is_another_node),
		cmocka_unit_test(a_witness_votes_and_holds_nothing),
		cmocka_unit_test(engine_raft_serves_through_deaths),
		cmocka_unit_test(promises_count_from_after_the_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
