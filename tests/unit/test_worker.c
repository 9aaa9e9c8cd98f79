/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_worker.c: workers on simulated disks, their netdevs joined by memory, under one virtual
 * clock: what a log brings back, a shadow that begins anew, deletes that are forgotten, and answers
 * to reads that outlived their lease.
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

#define NODES	    3u
#define DISK_BYTES  (8u << 20)
#define CLUSTER	    0xc1u
#define PORT	    4420u
#define TURN_NS	    20000u
#define FRAMES_MAX  512u
#define REPLIES_MAX 512u
#define CLIENT_IP   0x0a0000ffu

/* ---- the network: frames go by the last byte of their MAC ------------------------------------ */

struct netdev {
	uint8_t mac[6];
	bool down; /* its node is not there */
	struct netdev_buf queue[FRAMES_MAX];
	uint32_t head, tail;
	struct netdev_counters counters;
};

struct reply {
	uint64_t id;
	uint64_t session;
	struct op_ts ts;
	uint8_t status;
	uint16_t value_bytes;
	uint8_t value[VALUE_BYTES_MAX];
};

struct node {
	struct netdev net;
	struct blockdev *disk;
	struct superblock sb;
	struct worker_config config;
	struct worker_stats stats;
	struct worker *worker;
	void *mem;
};

static struct rig {
	struct node node[NODES];
	uint8_t count;
	uint64_t now_ns;
	uint64_t ahead_ns; /* what the clock shows beyond now_ns: a thread that was stopped */
	struct reply reply[REPLIES_MAX];
	uint32_t replies, reply_frames;
} rig;

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

	if (to->down || to->tail - to->head == FRAMES_MAX)
		return;
	copy.data = calloc(1, NETDEV_FRAME_MAX);
	memcpy(copy.data, buf->data, buf->bytes);
	to->queue[to->tail++ % FRAMES_MAX] = copy;
}

/* to_client: every frame must be whole: addresses, lengths, checksum, every message. */
static void to_client(const struct netdev_buf *buf)
{
	struct frame_info info;
	struct wire_header h;
	uint32_t offset = WIRE_HEADER_BYTES;

	assert_int_equal(frame_parse(buf->data, buf->bytes, &client_addr, &info), FRAME_UDP);
	assert_int_equal(wire_header_decode(info.payload, info.payload_bytes, &h), WIRE_OK);
	assert_int_equal(h.kind, WIRE_REPLY);
	rig.reply_frames++;
	while (offset < info.payload_bytes) {
		struct reply *r = &rig.reply[rig.replies++];
		struct wire_message m;

		assert_true(rig.replies <= REPLIES_MAX);
		assert_int_equal(wire_message_decode(info.payload, info.payload_bytes, h.kind,
						     &offset, &m),
				 WIRE_OK);
		*r = (struct reply) { .id = m.id, .session = h.session, .ts = m.ts,
				      .status = m.status, .value_bytes = m.value_bytes };
		memcpy(r->value, m.value, m.value_bytes);
	}
}

uint32_t netdev_send(struct netdev *dev, struct netdev_buf *bufs, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint8_t to = bufs[i].data[5];

		for (uint8_t n = 0; n < rig.count; n++)
			if (&rig.node[n].net != dev && (to == n || bufs[i].data[0] == 0xff))
				deliver(&rig.node[n].net, &bufs[i]);
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
	(void)now_ns;
	return !dev->down;
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

static uint8_t engine_of_rigs; /* enum engine; of rigs made from here on */

/* format: a new disk for this node. */
static void format(uint8_t n, uint16_t shards, uint64_t bytes)
{
	struct node *node = &rig.node[n];
	struct superblock sb = { .cluster = CLUSTER,
				 .device_id = 77u + n,
				 .fingerprint = 5,
				 .device_bytes = bytes,
				 .shard_count = shards,
				 .stream_count = 1,
				 .node = n,
				 .node_count = rig.count,
				 .engine = engine_of_rigs };

	if (node->disk)
		sim_disk_destroy(node->disk);
	node->disk = sim_disk_create(bytes, 1u + n, NULL);
	assert_int_equal(superblock_format(node->disk, scratch, &sb), 0);
}

static void make_rig(uint8_t nodes, uint16_t shards, bool views)
{
	memset(&rig, 0, sizeof(rig));
	rig.count = nodes;
	rig.now_ns = 1000000;
	for (uint8_t n = 0; n < nodes; n++) {
		struct node *node = &rig.node[n];

		node->config = (struct worker_config) {
			.seed = 1u + n,
			.retransmit_ns = 1000000,
			.replay_ns = 500000,
			.hello_ns = 1000000,
			.housekeeping_ns = 100000,
			.store = { 256, 1 << 20, 3, 0 },
			.wal = { WORKER_BATCH_BYTES_MIN, 4, 1000000 },
			.ops_max = 256,
			.held_max = 256,
			.sessions_max = 8,
			.session_window = 16,
			.views = views,
			.clock_ns = views ? clock_ns : NULL,
			.clock_context = &rig.now_ns,
			.port_base = PORT,
			.worker_count = 1,
			.space_low_permille = 100,
			.raft = { .heartbeat_ns = 1000000, .election_ns = 10000000,
				  .disk_ns = 100000000, .entries_max = 256,
				  .bytes_max = 1 << 18, .drift_ppm = 100 },
		};
		for (uint8_t p = 0; p < nodes; p++)
			node->config.ip[p] = node_addr(p, 0).ip;
		memcpy(node->net.mac, node_addr(n, 0).mac, 6);
		node->net.down = true;
		format(n, shards, DISK_BYTES);
	}
}

/* start: the next life of a node, as far as its log is read. */
static void start(uint8_t n)
{
	struct node *node = &rig.node[n];
	uint64_t offset, bytes;
	int rc;

	assert_int_equal(superblock_read(node->disk, scratch, &node->sb), 0);
	assert_int_equal(superblock_advance(node->disk, scratch, &node->sb, 0), 0);
	bytes = round_up(worker_size(&node->config, &node->sb), BLOCK_BYTES);
	node->mem = aligned_alloc(BLOCK_BYTES, bytes);
	assert_non_null(node->mem);
	memset(node->mem, 0xa5, bytes);
	node->worker = worker_init(node->mem, &node->config, &node->sb, &node->net, node->disk,
				   &node->stats);
	do /* bit by bit, as the poller's thread does it */
		rc = worker_recover(node->worker, 3, &offset);
	while (rc == 1);
	assert_int_equal(rc, 0);
	node->net.down = false;
}

/* stop: killed, with what its disk had under way. */
static void stop(uint8_t n)
{
	struct node *node = &rig.node[n];
	struct netdev_buf buf;

	while (netdev_receive(&node->net, &buf, 1) == 1)
		netdev_free(&node->net, &buf, 1);
	node->net.down = true;
	sim_disk_crash(node->disk);
	free(node->mem);
	node->mem = NULL;
	node->worker = NULL;
}

static void end_rig(void)
{
	for (uint8_t n = 0; n < rig.count; n++) {
		if (rig.node[n].worker)
			stop(n);
		sim_disk_destroy(rig.node[n].disk);
	}
}

static void turn(uint64_t ns)
{
	for (uint64_t end = rig.now_ns + ns; rig.now_ns < end;) {
		rig.now_ns += TURN_NS;
		for (uint8_t n = 0; n < rig.count; n++) {
			if (!rig.node[n].worker)
				continue;
			sim_disk_advance(rig.node[n].disk, rig.now_ns);
			worker_poll(rig.node[n].worker, rig.now_ns);
		}
	}
}

/* ---- a client -------------------------------------------------------------------------------- */

static void ask(uint8_t n, uint64_t session, const struct wire_message *m, uint32_t count)
{
	const struct frame_addr target = node_addr(n, 0);
	uint8_t data[NETDEV_FRAME_MAX], *payload = data + FRAME_HEADERS_BYTES;
	uint32_t bytes = WIRE_HEADER_BYTES;
	struct wire_header h = { .kind = WIRE_REQUEST,
				 .cluster = CLUSTER,
				 .session = session,
				 .to_incarnation = session ? rig.node[n].sb.incarnation : 0,
				 .from = WIRE_NODE_CLIENT,
				 .to = n };
	struct netdev_buf buf = { .data = data };

	wire_header_encode(payload, &h);
	for (uint32_t i = 0; i < count; i++) {
		assert_true(bytes + wire_message_bytes(&m[i]) <= FRAME_PAYLOAD_MAX);
		wire_message_encode(payload + bytes, &m[i]);
		bytes += wire_message_bytes(&m[i]);
	}
	wire_seal(payload, bytes);
	buf.bytes = frame_udp_finish(data, bytes, &client_addr, &target);
	deliver(&rig.node[n].net, &buf);
}

static struct wire_message message(enum wire_type type, uint64_t id, const char *key,
				   const char *value)
{
	return (struct wire_message) { .type = type,
				       .id = id,
				       .key = (const uint8_t *)key,
				       .key_bytes = (uint16_t)strlen(key),
				       .value = (const uint8_t *)value,
				       .value_bytes = (uint16_t)strlen(value) };
}

/* call: one request, until it is answered; *reply holds the answer. */
static const struct reply *call(uint8_t n, uint64_t session, const struct wire_message *m)
{
	rig.replies = 0;
	for (uint32_t i = 0; i < 5 && rig.replies == 0; i++) {
		ask(n, session, m, 1);
		turn(20000000);
	}
	assert_int_equal(rig.replies, 1);
	assert_true(rig.reply[0].id == m->id);
	return &rig.reply[0];
}

static uint64_t open_session(uint8_t n, uint64_t client, uint64_t first)
{
	uint8_t value[WIRE_OPEN_BYTES] = { 0 };
	struct wire_message m = { .type = WIRE_OPEN, .id = client, .value = value,
				  .value_bytes = sizeof(value) };

	store_u64(value, first);
	assert_int_equal(call(n, 0, &m)->status, STATUS_OK);
	assert_true(rig.reply[0].session != 0);
	return rig.reply[0].session;
}

static void expect_status(uint8_t n, uint64_t session, const struct wire_message *m,
			  enum status status)
{
	assert_int_equal(call(n, session, m)->status, status);
}

static void expect_get(uint8_t n, uint64_t session, const char *key, const char *value)
{
	struct wire_message m = message(WIRE_GET, 999, key, "");
	const struct reply *r = call(n, session, &m);

	assert_int_equal(r->status, value ? STATUS_OK : STATUS_NOT_FOUND);
	assert_int_equal(r->value_bytes, value ? strlen(value) : 0);
	if (value)
		assert_memory_equal(r->value, value, strlen(value));
}

static struct entry *find(uint8_t n, const char *key)
{
	struct store *s = worker_store(rig.node[n].worker);
	uint32_t bytes = (uint32_t)strlen(key);

	return store_find(s, store_hash(s, (const uint8_t *)key, bytes), (const uint8_t *)key,
			  bytes);
}

/* ---- views ----------------------------------------------------------------------------------- */

static struct view view_of(uint32_t epoch, uint8_t members, uint8_t shadows, uint8_t recovered)
{
	struct view v = { .epoch = epoch, .members = members, .shadows = shadows,
			  .recovered = recovered };

	for (uint8_t n = 0; n < rig.count; n++) {
		v.incarnation[n] = rig.node[n].sb.incarnation;
		v.since[n] = 1;
	}
	return v;
}

static void install(const struct view *v)
{
	for (uint8_t n = 0; n < rig.count; n++) {
		struct worker *w = rig.node[n].worker;

		if (!w)
			continue;
		assert_true(worker_install_view(w, v, rig.now_ns));
		assert_int_equal(worker_epoch(w), v->epoch);
		if (v->members & 1u << n)
			assert_true(worker_set_lease(w, v->epoch, UINT64_MAX, rig.now_ns));
	}
	turn(10000000);
}

/* ---- recovery -------------------------------------------------------------------------------- */

/* write_log: a first life of node 0 that wrote exactly these records. */
static void write_log(const struct record *records, uint32_t count)
{
	struct node *node = &rig.node[0];
	struct wal_config config = node->config.wal;
	void *mem = aligned_alloc(BLOCK_BYTES, round_up(wal_size(&config), BLOCK_BYTES));
	struct record r;
	uint64_t offset;
	struct wal *w;

	assert_int_equal(superblock_read(node->disk, scratch, &node->sb), 0);
	assert_int_equal(superblock_advance(node->disk, scratch, &node->sb, 0), 0);
	w = wal_init(mem, &config, node->disk, &node->sb);
	assert_int_equal(wal_recover_next(w, &r, &offset), 0);
	for (uint32_t i = 0; i < count; i++)
		wal_append(w, &records[i]);
	while (wal_poll(w) < count) {
		assert_int_equal(wal_submit(w, rig.now_ns), 0);
		rig.now_ns += 1000000;
		sim_disk_advance(node->disk, rig.now_ns);
	}
	free(mem);
}

static struct record update(uint16_t shard, const char *key, const char *value, uint64_t version)
{
	return (struct record) { .key = (const uint8_t *)key,
				 .value = (const uint8_t *)value,
				 .ts = { version, writer_make(0, 1) },
				 .base = version > 2 ? writer_make(0, 1) : 0,
				 .epoch = EPOCH_STATIC,
				 .key_bytes = (uint16_t)strlen(key),
				 .value_bytes = (uint16_t)strlen(value),
				 .shard = shard };
}

static struct record other(enum record_kind kind, uint16_t shard, const char *key,
			   uint64_t version)
{
	struct record r = update(shard, key, "", version);

	r.kind = (uint8_t)kind;
	r.base = 0;
	r.flags = kind == RECORD_FORGET ? ENTRY_TOMBSTONE : 0;
	if (version == 0)
		r.ts.writer = 0;
	return r;
}

/* Of 4 shards, "a" and "e" are in one, "b" in another (docs: CRC16 of the key). */
static void reset_voids_what_came_before(void **state)
{
	const uint16_t one = slot_shard_of_key((const uint8_t *)"a", 1, 4);
	const uint16_t two = slot_shard_of_key((const uint8_t *)"b", 1, 4);
	struct record log[] = {
		update(one, "a", "old", 2), update(two, "b", "kept", 2),
		other(RECORD_RESET, one, "", 0), update(one, "e{a}", "new", 4),
	};

	(void)state;
	assert_int_not_equal(one, two);
	make_rig(1, 4, false);
	write_log(log, ARRAY_LEN(log));
	start(0);
	assert_null(find(0, "a"));
	assert_non_null(find(0, "b"));
	assert_memory_equal(entry_value(find(0, "e{a}")), "new", 3);
	assert_int_equal(find(0, "e{a}")->base, writer_make(0, 1));
	assert_int_equal(store_usage(worker_store(rig.node[0].worker)).keys, 2);
	assert_int_equal(rig.node[0].stats.recovered_records, 4);
	end_rig();
}

/* CC-24: what a join has found to be void stays so, and nothing is known of clients before it. */
static void what_was_void_stays_so(void **state)
{
	struct record before = update(0, "k", "void", 10), after = update(0, "k", "true", 8);
	struct record log[] = {
		before, update(0, "j", "kept", 4), update(0, "l", "void", 6),
		other(RECORD_RESET, 0, "", RECORD_RESET_CLIENTS),
		other(RECORD_FORGET, 0, "k", 10), after, other(RECORD_FORGET, 0, "l", 6),
	};
	struct wire_message put = message(WIRE_PUT, 9, "k", "again");
	uint64_t session;

	(void)state;
	make_rig(1, 1, false);
	log[0].origin = (struct origin) { 700, 9 };
	log[3].ts.writer = 0;
	log[4].flags = log[6].flags = 0;
	write_log(log, ARRAY_LEN(log));
	start(0);
	turn(5000000);
	session = open_session(0, 700, 10);
	assert_int_equal(call(0, session, &put)->status, STATUS_EVICTED);
	expect_get(0, session, "k", "true");
	assert_true(rig.reply[0].ts.version == 8);
	expect_get(0, session, "j", "kept");
	expect_get(0, session, "l", NULL);
	put = message(WIRE_PUT, 11, "l", "now");
	expect_status(0, session, &put, STATUS_OK);
	assert_true(rig.reply[0].ts.version == 2); /* what never was leaves no floor */
	end_rig();
}

/*
 * S-ONCE over a restart: what took effect is answered, what was acknowledged as stale is UNKNOWN;
 * neither is done again.
 */
static void requests_are_remembered(void **state)
{
	struct record seen = update(0, "k", "second", 6);
	struct record note = other(RECORD_NOTE, 0, "k", 4);
	struct record floor_note = other(RECORD_NOTE, 0, "", 40);
	struct record log[3];
	struct wire_message put = message(WIRE_PUT, 5, "k", "again");
	uint64_t session;

	(void)state;
	make_rig(1, 1, false);
	seen.origin = (struct origin) { 700, 9 };
	note.origin = (struct origin) { 800, 5 };
	floor_note.ts.writer = 0;
	log[0] = seen;
	log[1] = note;
	log[2] = floor_note;
	write_log(log, 3);
	start(0);
	turn(5000000);
	session = open_session(0, 800, 1);
	assert_int_equal(call(0, session, &put)->status, STATUS_UNKNOWN);
	expect_get(0, session, "k", "second");
	session = open_session(0, 700, 1);
	put.id = 9;
	assert_int_equal(call(0, session, &put)->status, STATUS_OK);
	assert_true(rig.reply[0].ts.version == 6);
	expect_get(0, session, "k", "second");
	put.id = 10;
	expect_status(0, session, &put, STATUS_OK);
	expect_get(0, session, "k", "again");
	expect_get(0, session, "never", NULL);
	assert_true(rig.reply[0].ts.version == 0); /* absent; the floor may be another key's */
	put = message(WIRE_PUT, 11, "never", "now");
	expect_status(0, session, &put, STATUS_OK);
	assert_true(rig.reply[0].ts.version == 42);
	end_rig();
}

static void deletes_stay_forgotten(void **state)
{
	struct record gone = update(0, "gone", "", 8), back = update(0, "back", "", 6);
	struct record log[6];
	struct wire_message put = message(WIRE_PUT, 1, "gone", "new");
	uint64_t session;

	(void)state;
	gone.flags = back.flags = ENTRY_TOMBSTONE;
	make_rig(1, 1, false);
	log[0] = update(0, "gone", "x", 6);
	log[1] = gone;
	log[2] = other(RECORD_FORGET, 0, "gone", 8);
	log[3] = back;
	log[4] = update(0, "back", "y", 10);
	log[5] = other(RECORD_FORGET, 0, "back", 6); /* not its newest: nothing is forgotten */
	write_log(log, 6);
	start(0);
	assert_null(find(0, "gone"));
	assert_non_null(find(0, "back"));
	turn(5000000);
	session = open_session(0, 1, 1);
	expect_get(0, session, "back", "y");
	expect_get(0, session, "gone", NULL);
	assert_true(rig.reply[0].ts.version == 0);
	expect_status(0, session, &put, STATUS_OK);
	assert_true(rig.reply[0].ts.version > 8);
	end_rig();
}

/* Compare on value: the room a key gets is that of the larger value, not that of both. */
static void compare_on_value_has_room(void **state)
{
	char both[801], half[401];
	struct wire_message m = message(WIRE_PUT, 1, "k", "1");
	uint64_t session;

	(void)state;
	make_rig(1, 1, false);
	start(0);
	turn(5000000);
	session = open_session(0, 1, 1);
	expect_status(0, session, &m, STATUS_OK);
	memset(half, 'x', sizeof(half));
	half[400] = 0;
	snprintf(both, sizeof(both), "1%s", half);
	m = message(WIRE_CASV, 2, "k", both);
	m.ts.version = 1;
	expect_status(0, session, &m, STATUS_OK);
	expect_get(0, session, "k", half);
	memset(both, 'y', 800);
	memcpy(both, half, 400);
	both[800] = 0;
	m = message(WIRE_CASV, 3, "k", both);
	m.ts.version = 400;
	expect_status(0, session, &m, STATUS_OK);
	expect_get(0, session, "k", both + 400);
	assert_in_range(find(0, "k")->blob_capacity, 401, 500);
	end_rig();
}

/* ---- leases ---------------------------------------------------------------------------------- */

static uint64_t one_member_with_keys(void)
{
	struct wire_message put;
	struct view v;
	uint64_t session;
	char value[VALUE_BYTES_MAX + 1];

	make_rig(1, 1, true);
	start(0);
	v = view_of(1, 1, 0, 1);
	install(&v);
	session = open_session(0, 1, 1);
	memset(value, 'v', sizeof(value));
	value[VALUE_BYTES_MAX] = 0;
	put = message(WIRE_PUT, 1, "large", value);
	expect_status(0, session, &put, STATUS_OK);
	put = message(WIRE_PUT, 2, "small", "s");
	expect_status(0, session, &put, STATUS_OK);
	return session;
}

/* H-READ-VALID, CC-9, CC-26: the clock of after the burst decides, and only about reads. */
static void reads_need_the_lease_at_the_end(void **state)
{
	uint64_t session = one_member_with_keys();
	struct worker *w = rig.node[0].worker;
	struct wire_message put = message(WIRE_PUT, 3, "small", "t");
	struct wire_message get[2] = { message(WIRE_GET, 50, "small", ""),
				       message(WIRE_GET, 51, "large", "") };

	(void)state;
	for (uint32_t stopped = 0; stopped < 2; stopped++) {
		uint64_t lease_ns = rig.now_ns + 50000000;

		assert_true(worker_set_lease(w, 1, lease_ns, rig.now_ns));
		/* The put is on its way to the disk; its answer and the reads' share a frame. */
		put.id = 3u + stopped;
		put.value = (const uint8_t *)(stopped ? "u" : "t");
		ask(0, session, &put, 1);
		turn(TURN_NS);
		sim_disk_advance(rig.node[0].disk, rig.now_ns + 10000000);
		rig.now_ns += 10000000;
		rig.replies = rig.reply_frames = 0;
		ask(0, session, get, 2);
		rig.ahead_ns = stopped ? lease_ns - rig.now_ns : lease_ns - rig.now_ns - 1;
		worker_poll(w, rig.now_ns);
		rig.ahead_ns = 0;
		assert_int_equal(rig.replies, 3);
		assert_true(rig.reply[0].id == put.id && rig.reply[0].status == STATUS_OK);
		assert_true(rig.reply[0].ts.version != 0);
		for (uint32_t i = 1; i < 3; i++) {
			assert_true(rig.reply[i].id == 49 + i);
			assert_int_equal(rig.reply[i].status,
					 stopped ? STATUS_NOT_SERVING : STATUS_OK);
			assert_true((rig.reply[i].ts.version == 0) == (stopped == 1));
		}
		assert_int_equal(rig.reply[1].value_bytes, stopped ? 0 : 1);
		assert_int_equal(rig.reply[2].value_bytes, stopped ? 0 : VALUE_BYTES_MAX);
	}
	end_rig();
}

/* Frames that are full, and bursts that are, leave early: they are checked, too. */
static void early_frames_need_the_lease_too(void **state)
{
	uint64_t session = one_member_with_keys();
	struct worker *w = rig.node[0].worker;
	struct wire_message get[30];
	uint64_t lease_ns = rig.now_ns + 1000000;

	(void)state;
	assert_true(worker_set_lease(w, 1, lease_ns, rig.now_ns));
	for (uint32_t i = 0; i < ARRAY_LEN(get); i++)
		get[i] = message(WIRE_GET, 100 + i, "large", "");
	rig.replies = rig.reply_frames = 0;
	for (uint32_t i = 0; i < 4; i++)
		ask(0, session, get, ARRAY_LEN(get));
	rig.ahead_ns = lease_ns - rig.now_ns;
	worker_poll(w, rig.now_ns);
	rig.ahead_ns = 0;
	assert_int_equal(rig.replies, 4 * ARRAY_LEN(get));
	assert_true(rig.reply_frames > NETDEV_BURST);
	for (uint32_t i = 0; i < rig.replies; i++) {
		assert_int_equal(rig.reply[i].status, STATUS_NOT_SERVING);
		assert_int_equal(rig.reply[i].value_bytes, 0);
	}
	turn(1000000);
	assert_int_equal(rig.node[0].stats.reads_voided, 4 * ARRAY_LEN(get));
	end_rig();
}

/* ---- joining --------------------------------------------------------------------------------- */

/*
 * Node 2 is away while a key is deleted and the delete forgotten. Its disk still has the key. It
 * comes back as a shadow: what it had is void, now and after one more restart.
 */
static void a_shadow_begins_anew(void **state)
{
	struct wire_message m;
	uint64_t session;
	struct view v;
	char key[16];

	(void)state;
	make_rig(3, 1, true);
	for (uint8_t n = 0; n < 3; n++)
		start(n);
	v = view_of(1, 7, 0, 7);
	install(&v);
	session = open_session(0, 1, 1);
	for (uint32_t i = 0; i < 40; i++) {
		snprintf(key, sizeof(key), "key%u", i);
		m = message(WIRE_PUT, 1 + i, key, "first");
		expect_status(0, session, &m, STATUS_OK);
	}
	assert_non_null(find(2, "key7"));
	stop(2);
	v = view_of(2, 3, 0, 0);
	install(&v);
	m = message(WIRE_DEL, 50, "key7", "");
	expect_status(0, session, &m, STATUS_OK);
	m = message(WIRE_PUT, 51, "key8", "second");
	expect_status(0, session, &m, STATUS_OK);
	v = view_of(3, 3, 0, 0);
	install(&v);
	assert_null(find(0, "key7")); /* collected: it was Valid in an earlier view */
	assert_null(find(1, "key7"));
	start(2);
	assert_non_null(find(2, "key7"));
	assert_false(worker_joined(rig.node[2].worker));
	v = view_of(4, 3, 4, 0);
	v.since[2] = 4;
	install(&v);
	turn(50000000);
	assert_true(worker_joined(rig.node[2].worker));
	v = view_of(5, 7, 0, 0);
	v.since[2] = 4;
	install(&v);
	session = open_session(2, 2, 1);
	expect_get(2, session, "key7", NULL);
	expect_get(2, session, "key8", "second");
	expect_get(2, session, "key9", "first");
	assert_int_equal(store_usage(worker_store(rig.node[2].worker)).keys, 39);
	stop(2);
	start(2);
	assert_null(find(2, "key7"));
	assert_memory_equal(entry_value(find(2, "key8")), "second", 6);
	assert_int_equal(store_usage(worker_store(rig.node[2].worker)).keys, 39);
	end_rig();
}

/* A view for a node whose disk failed: it promises nothing, and nothing breaks. */
static void a_failed_disk_takes_views(void **state)
{
	struct wire_message m = message(WIRE_PUT, 1, "k", "v");
	uint64_t session;
	struct view v;

	(void)state;
	make_rig(3, 1, true);
	for (uint8_t n = 0; n < 3; n++)
		start(n);
	v = view_of(1, 7, 0, 7);
	install(&v);
	session = open_session(0, 1, 1);
	expect_status(0, session, &m, STATUS_OK);
	sim_disk_fail_write(rig.node[2].disk, 1, -5);
	m.id = 2;
	rig.replies = 0;
	ask(0, session, &m, 1);
	turn(20000000);
	assert_int_equal(rig.node[2].stats.state, DATAPLANE_DISK_FAILED);
	assert_int_equal(rig.replies, 0);
	v = view_of(2, 3, 4, 0);
	v.since[2] = 2;
	install(&v);
	turn(20000000);
	assert_false(worker_joined(rig.node[2].worker));
	v = view_of(3, 3, 0, 0);
	install(&v);
	turn(20000000);
	assert_int_equal(rig.replies, 1);
	assert_int_equal(rig.reply[0].status, STATUS_OK);
	end_rig();
}

/* fill: so many keys, at node 0. */
static uint64_t fill(uint32_t keys)
{
	uint64_t session = open_session(0, 1, 1);
	char value[VALUE_BYTES_MAX], key[16];
	struct wire_message m;

	memset(value, 'v', sizeof(value));
	value[sizeof(value) - 1] = 0;
	for (uint32_t i = 0; i < keys; i++) {
		snprintf(key, sizeof(key), "key%u", i);
		m = message(WIRE_PUT, 1 + i, key, value);
		expect_status(0, session, &m, STATUS_OK);
	}
	return session;
}

/* join: nodes 0 and 1 hold so many keys; node 2 begins to copy them. Returns a session. */
static uint64_t join(uint32_t keys)
{
	uint64_t session;
	struct view v;

	for (uint8_t n = 0; n < 2; n++)
		start(n);
	v = view_of(1, 3, 0, 3);
	install(&v);
	session = fill(keys);
	start(2);
	v = view_of(2, 3, 4, 0);
	v.since[2] = 2;
	install(&v);
	turn(200000000);
	return session;
}

/* gives_up: it says so, and is left out: updates of the others go on. */
static void gives_up(uint64_t session)
{
	struct wire_message m = message(WIRE_PUT, 200, "key1", "goes on");
	struct view v = view_of(3, 3, 0, 0);

	assert_false(worker_joined(rig.node[2].worker));
	assert_int_equal(rig.node[2].stats.state, DATAPLANE_DISK_FAILED);
	install(&v);
	turn(20000000);
	expect_status(0, session, &m, STATUS_OK);
	end_rig();
}

static void a_joiner_without_room_gives_up(void **state)
{
	(void)state;
	make_rig(3, 1, true);
	format(2, 1, 8ull * WORKER_BATCH_BYTES_MIN / 2 + (128 << 10));
	gives_up(join(180));
}

static void a_joiner_with_a_small_store_gives_up(void **state)
{
	(void)state;
	make_rig(3, 1, true);
	rig.node[2].config.store.keys_max = 128;
	gives_up(join(180));
}

/* Where the members are short of room as well, it is no fault of the joiner's. */
static void a_full_cluster_is_joined(void **state)
{
	struct wire_message del = message(WIRE_DEL, 400, "key1", "");
	uint64_t session;

	(void)state;
	make_rig(3, 1, true);
	rig.node[2].config.store.keys_max = 236;
	session = join(232);
	assert_true(worker_joined(rig.node[2].worker));
	assert_int_equal(rig.node[2].stats.space, SPACE_LOW);
	expect_status(0, session, &del, STATUS_OK); /* the way out, for all of them */
	end_rig();
}

static uint8_t leader_at(uint8_t n)
{
	return rig.node[n].stats.leader[0];
}

/*
 * R28: engine raft: the disk of the node that leads is full. While there is room for what elections
 * need, updates are refused, everywhere; when there is none it says that its disk has failed, leads
 * no more, and the others go on without it. R27: what it has it finds again at its next start.
 */
static void a_full_log_leads_nothing(void **state)
{
	struct wire_message m = message(WIRE_DEL, 1, "absent", "");
	uint64_t session;

	(void)state;
	engine_of_rigs = ENGINE_RAFT;
	make_rig(3, 1, false);
	format(0, 1, 2 << 20);
	engine_of_rigs = ENGINE_HERMES;
	for (uint8_t n = 0; n < 3; n++)
		start(n);
	for (uint32_t i = 0; i < 200 && (leader_at(0) != 0 || leader_at(1) != 0); i++)
		turn(5000000);
	assert_int_equal(leader_at(1), 0);
	session = open_session(1, 1, 1);
	while (call(1, session, &m)->status == STATUS_NOT_FOUND)
		m.id++;
	assert_int_equal(rig.reply[0].status, STATUS_NO_SPACE);
	assert_true(m.id > 100);
	assert_int_equal(leader_at(1), 0);
	expect_get(2, open_session(2, 2, 1), "absent", NULL);
	for (uint32_t i = 0; i < 200 && rig.node[0].stats.state != DATAPLANE_DISK_FAILED; i++) {
		stop(0);
		start(0);
		assert_true(rig.node[0].stats.recovered_records > 100);
		turn(200000000);
	}
	assert_int_equal(rig.node[0].stats.state, DATAPLANE_DISK_FAILED);
	turn(200000000);
	assert_in_range(leader_at(1), 1, 2);
	m.id++;
	expect_status(1, session, &m, STATUS_NOT_FOUND);
	end_rig();
}

/* More new keys at once, at all nodes, than there is room for; with a state: engine raft. */
static void a_store_is_not_overrun(void **state)
{
	struct wire_message put, del = message(WIRE_DEL, 500, "", "");
	uint64_t session[NODES];
	struct entry *e;
	char key[16];

	engine_of_rigs = *state ? ENGINE_RAFT : ENGINE_HERMES;
	make_rig(NODES, 1, !*state);
	engine_of_rigs = ENGINE_HERMES;
	for (uint8_t n = 0; n < NODES; n++) {
		rig.node[n].config.store.keys_max = 64;
		rig.node[n].config.session_window = 256;
		start(n);
	}
	turn(100000000); /* elections */
	if (!*state)
		install((struct view[]) { view_of(1, 7, 0, 7) });
	for (uint8_t n = 0; n < NODES; n++)
		session[n] = open_session(n, 1u + n, 1);
	for (uint32_t i = 0; i < 100 * NODES; i++) {
		snprintf(key, sizeof(key), "key%u", i);
		put = message(WIRE_PUT, 1 + i / NODES, key, "v");
		ask((uint8_t)(i % NODES), session[i % NODES], &put, 1);
	}
	turn(200000000);
	for (uint8_t n = 0; n < NODES; n++)
		assert_in_range(rig.node[n].stats.store_keys, 64 - 6, 64 - 3);
	e = store_entry(worker_store(rig.node[1].worker), 0);
	del.key = e->blob;
	del.key_bytes = e->key_bytes;
	rig.replies = 0;
	ask(1, session[1], &del, 1);
	turn(20000000);
	assert_true(rig.reply[0].id == 500 && rig.reply[0].status == STATUS_OK);
	end_rig();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reset_voids_what_came_before),
		cmocka_unit_test(what_was_void_stays_so),
		cmocka_unit_test(requests_are_remembered),
		cmocka_unit_test(deletes_stay_forgotten),
		cmocka_unit_test(compare_on_value_has_room),
		cmocka_unit_test(reads_need_the_lease_at_the_end),
		cmocka_unit_test(early_frames_need_the_lease_too),
		cmocka_unit_test(a_shadow_begins_anew),
		cmocka_unit_test(a_failed_disk_takes_views),
		cmocka_unit_test(a_joiner_without_room_gives_up),
		cmocka_unit_test(a_joiner_with_a_small_store_gives_up),
		cmocka_unit_test(a_full_cluster_is_joined),
		cmocka_unit_test(a_full_log_leads_nothing),
		cmocka_unit_test(a_store_is_not_overrun),
		cmocka_unit_test_prestate(a_store_is_not_overrun, &rig), /* engine raft */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
