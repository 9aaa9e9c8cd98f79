/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol by hand: three replicas, one key, messages moved one at a time. One test per rule of
 * docs/protocol.md; the corner cases CC-n by number.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "replication/hermes.h"
#include "replication/replica.h"

#define NODES 3
#define QUEUE 256
#define MS 1000000ull

/* packet: a message on its way, with its own copy of key and value. */
struct packet {
	bool used;
	uint8_t from, to;
	uint32_t from_incarnation, to_incarnation, epoch;
	struct wire_message m;
	uint8_t bytes[KEY_BYTES_MAX + VALUE_BYTES_MAX];
};

struct node {
	void *mem;
	struct replica *r;
	struct entry e;
	uint8_t blob[KEY_BYTES_MAX + VALUE_BYTES_MAX];
	uint64_t persist_next, durable;
	uint64_t session;
	uint32_t incarnation;
};

static struct node nodes[NODES];
static struct packet net[QUEUE];
static struct wire_message results[64]; /* by request id */
static uint8_t result_value[64][VALUE_BYTES_MAX];
static int result_count[64];
static uint64_t now;

static void execute(uint8_t n, const struct actions *a)
{
	for (uint32_t i = 0; i < a->count; i++) {
		const struct action *x = &a->list[i];
		const struct wire_message *m = &x->message;

		if (x->kind == ACTION_PERSIST) {
			assert_int_equal(x->persist_seq, nodes[n].persist_next);
			nodes[n].persist_next++;
		} else if (x->kind == ACTION_REPLY && m->type == WIRE_OPENED) {
			nodes[n].session = load_u64(m->value);
		} else if (x->kind == ACTION_REPLY) {
			results[m->id] = *m;
			if (m->value_bytes)
				memcpy(result_value[m->id], m->value, m->value_bytes);
			result_count[m->id]++;
		} else {
			for (uint8_t to = 0; to < NODES; to++) {
				struct packet *p = net;

				if (!(x->to & 1u << to))
					continue;
				while (p->used)
					p++;
				*p = (struct packet){ .used = true, .from = n, .to = to,
					.from_incarnation = nodes[n].incarnation,
					.to_incarnation = replica_peer_incarnation(nodes[n].r, to),
					.epoch = replica_epoch(nodes[n].r),
					.m = *m };
				if (m->key_bytes)
					memcpy(p->bytes, m->key, m->key_bytes);
				if (m->value_bytes)
					memcpy(p->bytes + m->key_bytes, m->value, m->value_bytes);
			}
		}
	}
}

static void step(uint8_t n, struct event *ev)
{
	struct actions a;
	bool more;

	do {
		ev->now_ns = now;
		ev->persist_seq_next = nodes[n].persist_next;
		more = replica_step(nodes[n].r, ev, &a);
		execute(n, &a);
		ev->kind = EVENT_TICK;
	} while (more);
	replica_check(nodes[n].r);
}

static void tick(uint8_t n, uint64_t ms)
{
	struct event ev = { .kind = EVENT_TICK };

	now += ms * MS;
	step(n, &ev);
}

static void durable(uint8_t n)
{
	struct event ev = { .kind = EVENT_DURABLE, .durable_seq = nodes[n].persist_next - 1 };

	nodes[n].durable = ev.durable_seq;
	step(n, &ev);
}

static void give(struct packet *p)
{
	struct wire_header h = { .kind = WIRE_PEER, .cluster = 77, .epoch = p->epoch,
		.from_incarnation = p->from_incarnation, .to_incarnation = p->to_incarnation,
		.from = p->from, .to = p->to };
	struct event ev = { .kind = EVENT_PEER, .header = &h, .message = &p->m };

	p->m.key = p->bytes;
	p->m.value = p->bytes + p->m.key_bytes;
	if (p->m.key_bytes)
		ev.entry = &nodes[p->to].e;
	step(p->to, &ev);
}

static struct packet *find(enum wire_type type, int from, int to)
{
	for (struct packet *p = net; p < net + QUEUE; p++)
		if (p->used && p->m.type == type && (from < 0 || p->from == from) &&
		    (to < 0 || p->to == to))
			return p;
	return NULL;
}

/* deliver: one message of that kind; fails the test when there is none. */
static void deliver(enum wire_type type, int from, int to)
{
	struct packet *p = find(type, from, to);
	struct packet copy;

	assert_non_null(p);
	copy = *p;
	p->used = false;
	give(&copy);
}

static void drop(enum wire_type type, int from, int to)
{
	struct packet *p = find(type, from, to);

	assert_non_null(p);
	p->used = false;
}

/* settle: everything arrives, every disk finishes, until nothing moves. */
static void settle(void)
{
	for (bool moved = true; moved;) {
		moved = false;
		for (uint8_t n = 0; n < NODES; n++) {
			if (nodes[n].durable + 1 == nodes[n].persist_next)
				continue;
			durable(n);
			moved = true;
		}
		for (int i = 0; i < QUEUE; i++) {
			struct packet copy = net[i];

			if (!copy.used)
				continue;
			net[i].used = false;
			give(&copy);
			moved = true;
		}
	}
}

static void request(uint8_t n, enum wire_type type, uint64_t id, const char *value,
		    struct op_ts expected)
{
	uint8_t delta[8];
	struct wire_header h = { .kind = WIRE_REQUEST, .cluster = 77, .session = nodes[n].session,
		.to_incarnation = nodes[n].incarnation, .from = 0xff, .to = n };
	struct wire_message m = { .type = type, .id = id, .key_bytes = 1,
		.key = (const uint8_t *)"k", .ts = expected };
	struct event ev = { .kind = EVENT_REQUEST, .header = &h, .message = &m,
		.entry = &nodes[n].e };

	if (type == WIRE_INCR) {
		store_u64(delta, (uint64_t)atoll(value));
		m.value = delta;
		m.value_bytes = 8;
	} else if (value) {
		m.value = (const uint8_t *)value;
		m.value_bytes = (uint16_t)strlen(value);
	}
	step(n, &ev);
}

static const struct op_ts none = { 0, 0 };

static void put(uint8_t n, uint64_t id, const char *value)
{
	request(n, WIRE_PUT, id, value, none);
}

static void start(uint8_t n, uint32_t incarnation)
{
	struct replica_config c = { .cluster = 77, .fingerprint = 5, .seed = n + 1u,
		.incarnation = incarnation, .shard_count = 1, .node = n, .node_count = NODES,
		.ops_max = 32, .held_max = 64, .sessions_max = 4, .retransmit_ns = 8 * MS,
		.replay_ns = 10 * MS, .hello_ns = 1000 * MS };

	free(nodes[n].mem);
	nodes[n].mem = aligned_alloc(64, round_up(replica_size(&c), 64));
	nodes[n].r = replica_init(nodes[n].mem, &c);
	nodes[n].incarnation = incarnation;
	nodes[n].persist_next = 1;
	nodes[n].durable = 0;
}

static void open_session(uint8_t n)
{
	static uint8_t zero[WIRE_OPEN_BYTES];
	struct wire_header h = { .kind = WIRE_REQUEST, .cluster = 77, .from = 0xff, .to = n };
	struct wire_message m = { .type = WIRE_OPEN, .id = 1000u + n, .value = zero,
		.value_bytes = WIRE_OPEN_BYTES };
	struct event ev = { .kind = EVENT_REQUEST, .header = &h, .message = &m };

	step(n, &ev);
	assert_int_not_equal(nodes[n].session, 0);
}

static void fresh_entry(uint8_t n)
{
	nodes[n].e = (struct entry){ .blob = nodes[n].blob, .key_bytes = 1,
		.blob_capacity = sizeof(nodes[n].blob), .hash = 0, .op = OP_NONE,
		.wait_first = OP_NONE, .wait_last = OP_NONE };
	nodes[n].blob[0] = 'k';
}

static int world(void **state)
{
	(void)state;
	memset(net, 0, sizeof(net));
	memset(result_count, 0, sizeof(result_count));
	now = 1000 * MS;
	for (uint8_t n = 0; n < NODES; n++) {
		fresh_entry(n);
		start(n, 1);
	}
	for (uint8_t n = 0; n < NODES; n++)
		tick(n, 0);
	settle();
	for (uint8_t n = 0; n < NODES; n++)
		tick(n, 0);
	settle();
	for (uint8_t n = 0; n < NODES; n++) {
		assert_true(replica_linked(nodes[n].r));
		open_session(n);
	}
	return 0;
}

static int unworld(void **state)
{
	(void)state;
	for (uint8_t n = 0; n < NODES; n++) {
		free(nodes[n].mem);
		nodes[n].mem = NULL;
	}
	return 0;
}

static void holds(uint8_t n, enum hermes_state state, uint64_t version, const char *value)
{
	const struct entry *e = &nodes[n].e;

	assert_string_equal(hermes_state_name((enum hermes_state)e->state),
			    hermes_state_name(state));
	assert_int_equal(e->version, version);
	assert_int_equal(e->value_bytes, strlen(value));
	assert_memory_equal(entry_value(e), value, strlen(value));
}

static void answered(uint64_t id, enum status status, uint64_t version)
{
	assert_int_equal(result_count[id], 1);
	assert_string_equal(status_name((enum status)results[id].status), status_name(status));
	assert_int_equal(results[id].ts.version, version);
	assert_int_equal(results[id].durability, DURABILITY_ALL);
}

/* ---- writes ---------------------------------------------------------------------------------- */

static void write_commits_when_all_disks_have_it(void **state)
{
	(void)state;
	put(0, 1, "one");
	holds(0, HERMES_WRITE, 2, "one");
	deliver(WIRE_INV, 0, 1);
	deliver(WIRE_INV, 0, 2);
	holds(1, HERMES_INVALID, 2, "one");
	assert_null(find(WIRE_ACK, 1, 0)); /* not before its record is durable */
	durable(1);
	deliver(WIRE_ACK, 1, 0);
	durable(2);
	deliver(WIRE_ACK, 2, 0);
	assert_int_equal(result_count[1], 0); /* the coordinator's own disk counts too */
	durable(0);
	answered(1, STATUS_OK, 2);
	holds(0, HERMES_VALID, 2, "one");
	deliver(WIRE_VAL, 0, 1);
	holds(1, HERMES_VALID, 2, "one");
	settle();
	for (uint8_t n = 0; n < NODES; n++)
		holds(n, HERMES_VALID, 2, "one");
}

static void reads_wait_while_invalid(void **state)
{
	(void)state;
	put(0, 1, "one");
	deliver(WIRE_INV, 0, 1);
	request(1, WIRE_GET, 2, NULL, none);
	request(0, WIRE_GET, 3, NULL, none);
	assert_int_equal(result_count[2] + result_count[3], 0);
	settle();
	answered(2, STATUS_OK, 2);
	answered(3, STATUS_OK, 2);
	assert_memory_equal(result_value[2], "one", 3);
}

static void two_writers_last_timestamp_wins(void **state)
{
	(void)state;
	put(0, 1, "zero");
	put(2, 2, "two");
	deliver(WIRE_INV, 2, 0);
	holds(0, HERMES_TRANS, 2, "two");
	settle();
	answered(1, STATUS_OK, 2);
	answered(2, STATUS_OK, 2);
	for (uint8_t n = 0; n < NODES; n++)
		holds(n, HERMES_VALID, 2, "two");
}

static void trans_completes_on_the_newer_val(void **state)
{
	(void)state;
	put(0, 1, "zero");
	put(2, 2, "two");
	deliver(WIRE_INV, 2, 0);
	deliver(WIRE_INV, 2, 1);
	for (uint8_t n = 0; n < NODES; n++)
		durable(n);
	deliver(WIRE_ACK, 0, 2);
	deliver(WIRE_ACK, 1, 2);
	answered(2, STATUS_OK, 2);
	deliver(WIRE_VAL, 2, 0); /* its own acks are still missing */
	answered(1, STATUS_OK, 2);
	holds(0, HERMES_VALID, 2, "two");
}

static void stale_inv_acked_only_when_the_newer_is_durable(void **state)
{
	(void)state;
	put(0, 1, "zero");
	put(2, 2, "two");
	deliver(WIRE_INV, 2, 1);
	deliver(WIRE_INV, 0, 1); /* older than what node 1 holds */
	assert_null(find(WIRE_ACK, 1, 0));
	assert_null(find(WIRE_ACK, 1, 2));
	durable(1);
	assert_non_null(find(WIRE_ACK, 1, 0));
	assert_non_null(find(WIRE_ACK, 1, 2));
}

static void delete_leaves_a_tombstone(void **state)
{
	(void)state;
	request(1, WIRE_DEL, 1, NULL, none);
	answered(1, STATUS_NOT_FOUND, 0);
	put(0, 2, "x");
	settle();
	request(1, WIRE_DEL, 3, NULL, none);
	settle();
	answered(3, STATUS_OK, 4);
	request(2, WIRE_GET, 4, NULL, none);
	answered(4, STATUS_NOT_FOUND, 4);
	assert_true(nodes[2].e.flags & ENTRY_TOMBSTONE);
}

/* ---- read-modify-writes ---------------------------------------------------------------------- */

static void cas_compares_versions(void **state)
{
	struct op_ts v;

	(void)state;
	request(0, WIRE_CAS, 1, "a", none); /* put-if-absent */
	settle();
	answered(1, STATUS_OK, 1);
	v = results[1].ts;
	request(1, WIRE_CAS, 2, "b", none);
	answered(2, STATUS_CONFLICT, 1);
	request(1, WIRE_CAS, 3, "b", v);
	settle();
	answered(3, STATUS_OK, 2);
	request(2, WIRE_CAS, 4, "c", v);
	answered(4, STATUS_CONFLICT, 2);
	holds(2, HERMES_VALID, 2, "b");
}

static void incr_counts(void **state)
{
	(void)state;
	request(0, WIRE_INCR, 1, "5", none);
	settle();
	answered(1, STATUS_OK, 1);
	request(2, WIRE_INCR, 2, "-12", none);
	settle();
	assert_int_equal((int64_t)load_u64(result_value[2]), -7);
	holds(1, HERMES_VALID, 2, "-7");
	put(0, 3, "12x");
	settle();
	request(1, WIRE_INCR, 4, "1", none);
	answered(4, STATUS_NOT_A_NUMBER, 4);
	put(0, 5, "9223372036854775807");
	settle();
	request(1, WIRE_INCR, 6, "1", none);
	answered(6, STATUS_OVERFLOW, 6);
}

static void rmw_loses_to_a_write(void **state)
{
	(void)state;
	request(2, WIRE_CAS, 1, "cas", none); /* ts 1 */
	put(0, 2, "put");		      /* ts 2 */
	deliver(WIRE_INV, 2, 0);	      /* refused: node 0 answers with its own INV */
	deliver(WIRE_INV, 0, 2);
	holds(2, HERMES_INVALID, 2, "put");
	assert_int_equal(result_count[1], 0); /* CC-6: not before the winner is committed */
	settle();
	answered(2, STATUS_OK, 2);
	answered(1, STATUS_CONFLICT, 2);
}

static void of_two_rmws_one_commits(void **state)
{
	(void)state;
	request(0, WIRE_INCR, 1, "1", none);
	request(2, WIRE_INCR, 2, "1", none);
	settle();
	/* The loser ran again from the winner's value: both count, on different versions. */
	answered(2, STATUS_OK, 1);
	answered(1, STATUS_OK, 2);
	holds(1, HERMES_VALID, 2, "2");
}

/*
 * Found by the simulator (seed 1011): two writes on one base, the lower commits, an RMW starts from
 * it and gets a timestamp above the higher one, which nobody at its node has seen. Both committed.
 */
static void no_rmw_starts_from_a_value_with_a_rival(void **state)
{
	(void)state;
	put(0, 1, "5");
	put(2, 2, "7"); /* same version, higher writer; its INVs are slow */
	deliver(WIRE_INV, 0, 1);
	deliver(WIRE_INV, 0, 2);
	for (uint8_t n = 0; n < NODES; n++)
		durable(n);
	deliver(WIRE_ACK, 1, 0);
	deliver(WIRE_ACK, 2, 0); /* "I hold something newer" */
	answered(1, STATUS_OK, 2);
	holds(0, HERMES_INVALID, 2, "5");
	assert_null(find(WIRE_VAL, 0, -1));
	request(0, WIRE_INCR, 3, "1", none);
	assert_int_equal(result_count[3], 0);
	tick(0, 30); /* its replay is answered with the rival */
	assert_true(find(WIRE_INV, 0, 2)->m.flags & WIRE_REPLAY);
	deliver(WIRE_INV, 0, 2);
	drop(WIRE_INV, 2, 0);
	deliver(WIRE_INV, 2, 0);
	holds(0, HERMES_INVALID, 2, "7");
	settle();
	answered(2, STATUS_OK, 2);
	answered(3, STATUS_OK, 3);
	holds(1, HERMES_VALID, 3, "8");
}

/* CC-5: what was acknowledged before a member's restart does not count after it. */
static void a_restart_discards_acks(void **state)
{
	(void)state;
	put(0, 1, "one");
	deliver(WIRE_INV, 0, 1);
	durable(0);
	durable(1);
	deliver(WIRE_ACK, 1, 0);
	drop(WIRE_INV, 0, 2);
	start(2, 2);
	tick(2, 0);
	deliver(WIRE_HELLO, 2, 0);
	tick(0, 2);
	assert_non_null(find(WIRE_INV, 0, 1)); /* asked again */
	deliver(WIRE_INV, 0, 1);	       /* node 1 has not heard of the restart */
	assert_null(find(WIRE_ACK, 1, 0));
	for (int i = 0; i < 4; i++) {
		settle();
		for (uint8_t n = 0; n < NODES; n++)
			tick(n, 20);
	}
	settle();
	answered(1, STATUS_OK, 2);
}

static void own_rmw_is_not_acked_to_a_replayer(void **state)
{
	(void)state;
	request(0, WIRE_INCR, 1, "1", none);
	deliver(WIRE_INV, 0, 1);
	durable(0);
	durable(1);
	request(1, WIRE_GET, 2, NULL, none);
	tick(1, 30); /* node 1 replays node 0's update */
	holds(1, HERMES_REPLAY, 1, "1");
	deliver(WIRE_INV, 1, 0);
	assert_null(find(WIRE_ACK, 0, 1));
	settle();
	answered(1, STATUS_OK, 1);
	answered(2, STATUS_OK, 1);
}

/* ---- loss, duplication, reordering ----------------------------------------------------------- */

static void lost_inv_is_sent_again(void **state)
{
	(void)state;
	put(0, 1, "one");
	drop(WIRE_INV, 0, 1);
	settle();
	assert_int_equal(result_count[1], 0);
	tick(0, 20);
	assert_null(find(WIRE_INV, 0, 2)); /* only who has not answered */
	settle();
	answered(1, STATUS_OK, 2);
}

static void cc1_val_before_inv_is_ignored_then_replayed(void **state)
{
	struct packet late;

	(void)state;
	put(0, 1, "one");
	late = *find(WIRE_INV, 0, 1);
	deliver(WIRE_INV, 0, 1);
	settle();
	holds(1, HERMES_VALID, 2, "one");
	/* A second update whose VAL overtakes the INV at node 1. */
	put(0, 2, "two");
	late = *find(WIRE_INV, 0, 1);
	deliver(WIRE_INV, 0, 2);
	fresh_entry(1); /* as if node 1 had never heard of the key */
	{
		struct packet val = { .from = 0, .to = 1, .from_incarnation = 1,
			.to_incarnation = 1, .epoch = replica_epoch(nodes[0].r),
			.m = { .type = WIRE_VAL, .key_bytes = 1, .ts = { 4, writer_make(0, 1) } },
			.bytes = "k" };

		give(&val);
	}
	holds(1, HERMES_VALID, 0, "");
	drop(WIRE_INV, 0, 1);
	give(&late);
	holds(1, HERMES_INVALID, 4, "two");
	request(1, WIRE_GET, 3, NULL, none);
	durable(1);
	tick(1, 30);
	holds(1, HERMES_REPLAY, 4, "two");
	settle();
	answered(3, STATUS_OK, 4);
}

static void cc2_lost_val_is_replayed(void **state)
{
	(void)state;
	put(0, 1, "one");
	deliver(WIRE_INV, 0, 1);
	deliver(WIRE_INV, 0, 2);
	for (uint8_t n = 0; n < NODES; n++)
		durable(n);
	deliver(WIRE_ACK, 1, 0);
	deliver(WIRE_ACK, 2, 0);
	answered(1, STATUS_OK, 2);
	drop(WIRE_VAL, 0, 1);
	drop(WIRE_VAL, 0, 2);
	request(1, WIRE_GET, 2, NULL, none);
	assert_int_equal(result_count[2], 0);
	tick(1, 30);
	holds(1, HERMES_REPLAY, 2, "one");
	settle();
	answered(2, STATUS_OK, 2);
	for (uint8_t n = 0; n < NODES; n++)
		holds(n, HERMES_VALID, 2, "one");
}

static void cc3_duplicate_inv_keeps_the_key_valid(void **state)
{
	struct packet copy;

	(void)state;
	put(0, 1, "one");
	copy = *find(WIRE_INV, 0, 1);
	settle();
	give(&copy);
	holds(1, HERMES_VALID, 2, "one");
	assert_non_null(find(WIRE_ACK, 1, 0));
	settle();
	assert_int_equal(result_count[1], 1);
}

static void cc4_a_replayer_completes_my_write(void **state)
{
	(void)state;
	put(0, 1, "one");
	deliver(WIRE_INV, 0, 1);
	deliver(WIRE_INV, 0, 2);
	for (uint8_t n = 0; n < NODES; n++)
		durable(n);
	drop(WIRE_ACK, 1, 0);
	drop(WIRE_ACK, 2, 0);
	request(1, WIRE_GET, 2, NULL, none);
	tick(1, 30);
	deliver(WIRE_INV, 1, 0); /* my own timestamp comes back */
	holds(0, HERMES_WRITE, 2, "one");
	deliver(WIRE_ACK, 0, 1);
	deliver(WIRE_INV, 1, 2);
	deliver(WIRE_ACK, 2, 1);
	answered(2, STATUS_OK, 2);
	deliver(WIRE_VAL, 1, 0);
	answered(1, STATUS_OK, 2);
}

static void trans_replays_when_the_newer_writer_is_silent(void **state)
{
	(void)state;
	put(0, 1, "zero");
	put(2, 2, "two");
	deliver(WIRE_INV, 2, 0);
	drop(WIRE_INV, 2, 1);
	drop(WIRE_INV, 0, 1);
	drop(WIRE_INV, 0, 2);
	durable(0);
	drop(WIRE_ACK, 0, 2);
	tick(0, 30);
	holds(0, HERMES_REPLAY, 2, "two");
	settle();
	answered(1, STATUS_OK, 2);
	holds(1, HERMES_VALID, 2, "two");
}

static void late_ack_for_a_reused_slot_does_not_count(void **state)
{
	struct packet old;

	(void)state;
	put(0, 1, "one");
	deliver(WIRE_INV, 0, 1);
	durable(1);
	old = *find(WIRE_ACK, 1, 0);
	settle();
	put(0, 2, "two");
	deliver(WIRE_INV, 0, 2);
	durable(0);
	durable(2);
	deliver(WIRE_ACK, 2, 0);
	give(&old); /* CC-8: node 1's ACK of the first write */
	assert_int_equal(result_count[2], 0);
	settle();
	answered(2, STATUS_OK, 4);
}

/* ---- restarts -------------------------------------------------------------------------------- */

static void restart(uint8_t n, uint32_t incarnation)
{
	struct entry *e = &nodes[n].e;

	start(n, incarnation);
	e->state = HERMES_INVALID;
	e->op = e->wait_first = e->wait_last = OP_NONE;
	e->persist_seq = 0;
	for (uint8_t i = 0; i < NODES; i++)
		tick(i, 1000);
	settle();
	for (uint8_t i = 0; i < NODES; i++)
		tick(i, 1000);
	settle();
	open_session(n);
}

static void cc12_a_new_incarnation_makes_new_timestamps(void **state)
{
	struct packet old;

	(void)state;
	put(0, 1, "one");
	deliver(WIRE_INV, 0, 1);
	old = *find(WIRE_INV, 0, 2);
	drop(WIRE_INV, 0, 2);
	fresh_entry(0); /* its record was not durable: the crash took it */
	restart(0, 2);
	nodes[0].e.state = HERMES_VALID;
	put(0, 2, "other");
	assert_int_equal(nodes[0].e.version, 2);
	assert_int_equal(nodes[0].e.writer, writer_make(0, 2));
	give(&old); /* a frame of the dead incarnation */
	holds(2, HERMES_VALID, 0, "");
	settle();
	answered(2, STATUS_OK, 2);
	for (uint8_t n = 0; n < NODES; n++)
		holds(n, HERMES_VALID, 2, "other");
}

static void after_a_restart_keys_are_replayed_on_touch(void **state)
{
	(void)state;
	put(0, 1, "one");
	settle();
	restart(1, 2);
	holds(1, HERMES_INVALID, 2, "one");
	request(1, WIRE_GET, 2, NULL, none);
	assert_int_equal(result_count[2], 0);
	tick(1, 2);
	settle();
	answered(2, STATUS_OK, 2);
	assert_memory_equal(result_value[2], "one", 3);
}

static void acks_to_a_dead_incarnation_are_not_sent(void **state)
{
	(void)state;
	put(0, 1, "one");
	deliver(WIRE_INV, 0, 1); /* its ACK is held for the disk */
	drop(WIRE_INV, 0, 2);
	start(0, 2);
	tick(0, 0);
	deliver(WIRE_HELLO, 0, 1);
	durable(1);
	assert_null(find(WIRE_ACK, 1, 0));
}

/* ---- sessions and refusals ------------------------------------------------------------------- */

static void a_retried_update_takes_effect_once(void **state)
{
	(void)state;
	request(0, WIRE_INCR, 1, "1", none);
	request(0, WIRE_INCR, 1, "1", none); /* under way: dropped */
	settle();
	assert_int_equal(result_count[1], 1);
	request(0, WIRE_INCR, 1, "1", none); /* done: answered from the session */
	assert_int_equal(result_count[1], 2);
	assert_int_equal((int64_t)load_u64(result_value[1]), 1);
	settle();
	holds(1, HERMES_VALID, 1, "1");
}

static void an_unknown_session_is_told_so(void **state)
{
	(void)state;
	nodes[0].session ^= 1ull << 40;
	put(0, 1, "x");
	assert_int_equal(results[1].status, STATUS_NO_SESSION);
	holds(0, HERMES_VALID, 0, "");
}

static void a_client_of_another_cluster_gets_no_session(void **state)
{
	static uint8_t zero[WIRE_OPEN_BYTES];
	struct wire_header h = { .kind = WIRE_REQUEST, .cluster = 78, .from = 0xff, .to = 0 };
	struct wire_message m = { .type = WIRE_OPEN, .id = 5, .value = zero,
		.value_bytes = WIRE_OPEN_BYTES };
	struct event ev = { .kind = EVENT_REQUEST, .header = &h, .message = &m };
	uint64_t session = nodes[0].session;

	(void)state;
	step(0, &ev);
	assert_int_equal(nodes[0].session, 0); /* the answer names none */
	assert_int_equal(replica_counters(nodes[0].r)->foreign_cluster, 1);
	nodes[0].session = session;
}

static void a_silent_peer_fails_updates_fast(void **state)
{
	(void)state;
	now += 60ull * 1000 * MS;
	put(0, 1, "x");
	assert_int_equal(results[1].status, STATUS_NOT_SERVING);
	holds(0, HERMES_VALID, 0, "");
}

static void low_space_keeps_deletes_and_reads(void **state)
{
	(void)state;
	put(0, 1, "x");
	settle();
	replica_set_space(nodes[1].r, SPACE_LOW);
	for (uint8_t n = 0; n < NODES; n++)
		tick(n, 1000);
	settle();
	put(0, 2, "y"); /* the peer's shortage counts as ours */
	assert_int_equal(results[2].status, STATUS_NO_SPACE);
	request(0, WIRE_GET, 3, NULL, none);
	answered(3, STATUS_OK, 2);
	request(0, WIRE_DEL, 4, NULL, none);
	settle();
	answered(4, STATUS_OK, 4);
}

static void a_failed_disk_makes_no_promises(void **state)
{
	(void)state;
	put(0, 1, "x");
	deliver(WIRE_INV, 0, 1);
	replica_fail(nodes[1].r);
	durable(0);
	deliver(WIRE_INV, 0, 2);
	durable(2);
	deliver(WIRE_ACK, 2, 0);
	assert_int_equal(result_count[1], 0);
	request(1, WIRE_GET, 2, NULL, none);
	assert_int_equal(results[2].status, STATUS_NOT_SERVING);
}

static void queue_runs_in_order_and_reads_see_their_version(void **state)
{
	(void)state;
	put(0, 1, "a");
	request(0, WIRE_GET, 2, NULL, none);
	put(0, 3, "b");
	request(0, WIRE_GET, 4, NULL, none);
	settle();
	answered(2, STATUS_OK, 2);
	assert_memory_equal(result_value[2], "a", 1);
	answered(3, STATUS_OK, 4);
	answered(4, STATUS_OK, 4);
	assert_memory_equal(result_value[4], "b", 1);
	assert_int_equal(replica_ops(nodes[0].r), 0);
}

static void moves_are_those_of_the_diagram(void **state)
{
	static const char *const allowed[HERMES_STATE_COUNT] = {
		"-iw--", "v--r-", "vi--t", "vi--t", "vi-r-",
	};

	(void)state;
	for (int from = 0; from < HERMES_STATE_COUNT; from++)
		for (int to = 0; to < HERMES_STATE_COUNT; to++)
			assert_int_equal(hermes_can_move((enum hermes_state)from,
							 (enum hermes_state)to),
					 allowed[from][to] != '-');
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, world, unworld)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(write_commits_when_all_disks_have_it),
		CASE(reads_wait_while_invalid),
		CASE(two_writers_last_timestamp_wins),
		CASE(trans_completes_on_the_newer_val),
		CASE(stale_inv_acked_only_when_the_newer_is_durable),
		CASE(delete_leaves_a_tombstone),
		CASE(cas_compares_versions),
		CASE(incr_counts),
		CASE(rmw_loses_to_a_write),
		CASE(of_two_rmws_one_commits),
		CASE(no_rmw_starts_from_a_value_with_a_rival),
		CASE(a_restart_discards_acks),
		CASE(own_rmw_is_not_acked_to_a_replayer),
		CASE(lost_inv_is_sent_again),
		CASE(cc1_val_before_inv_is_ignored_then_replayed),
		CASE(cc2_lost_val_is_replayed),
		CASE(cc3_duplicate_inv_keeps_the_key_valid),
		CASE(cc4_a_replayer_completes_my_write),
		CASE(trans_replays_when_the_newer_writer_is_silent),
		CASE(late_ack_for_a_reused_slot_does_not_count),
		CASE(cc12_a_new_incarnation_makes_new_timestamps),
		CASE(after_a_restart_keys_are_replayed_on_touch),
		CASE(acks_to_a_dead_incarnation_are_not_sent),
		CASE(a_retried_update_takes_effect_once),
		CASE(an_unknown_session_is_told_so),
		CASE(a_client_of_another_cluster_gets_no_session),
		CASE(a_silent_peer_fails_updates_fast),
		CASE(low_space_keeps_deletes_and_reads),
		CASE(a_failed_disk_makes_no_promises),
		CASE(queue_runs_in_order_and_reads_see_their_version),
		CASE(moves_are_those_of_the_diagram),
	};

	return cmocka_run_group_tests_name("hermes", tests, NULL, NULL);
}
