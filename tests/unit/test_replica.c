/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door of a replica by hand: refusals, patience, compare on value, numbers, O3, what an INV
 * says about the version before it, more to do than one step has room for. Retries: test_retry.c.
 */
#include "tests/unit/replica_rig.h"

#define KEY    0
#define ALL    0x07u
#define CLIENT 500u /* one client with a session at several nodes */

static const struct op_ts none = { 0, 0 };

static int setup(void **state)
{
	(void)state;
	rig_adjust = NULL;
	rig_views(3, ALL);
	for (uint8_t n = 0; n < 3; n++)
		rig_open(n, CLIENT, 1);
	return 0;
}

static int setup_static(void **state)
{
	(void)state;
	rig_adjust = NULL;
	rig_world(3);
	for (uint8_t n = 0; n < 3; n++)
		rig_open(n, CLIENT, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_adjust = NULL;
	rig_free();
	return 0;
}

/* without: a view without that node at the others. */
static void without(uint8_t gone)
{
	struct view v = *replica_view(rig_nodes[(gone + 1) % 3].r);

	v.epoch++;
	v.recovered = 0;
	v.members &= (uint8_t)~(1u << gone);
	rig_install(&v);
}

static void status_is(uint64_t id, int answers, enum status status)
{
	assert_int_equal(rig_answers[id], answers);
	assert_string_equal(status_name((enum status)rig_result[id].status), status_name(status));
}

/* ---- O3: everybody hears every ACK ----------------------------------------------------------- */

static void broadcast(struct replica_config *c)
{
	c->broadcast_acks = true;
}

static int setup_o3(void **state)
{
	(void)state;
	rig_adjust = broadcast;
	rig_views(3, ALL);
	return 0;
}

static void followers_validate_by_acks(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_settle();
	rig_answered(1, STATUS_OK, 2);
	for (uint8_t n = 0; n < 3; n++) {
		rig_holds(n, KEY, HERMES_VALID, 2, "x");
		assert_int_equal(rig_counters(n)->val_sent, 0);
	}
	assert_int_equal(rig_counters(1)->ack_validated, 1);
	assert_int_equal(rig_counters(2)->ack_validated, 1);
}

/* CC-17: an ACK is lost and no VAL will come: whoever waits replays, and then says VAL. */
static void a_lost_ack_is_made_good_by_a_replay(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_deliver(WIRE_INV, 0, 1);
	rig_deliver(WIRE_INV, 0, 2);
	for (uint8_t n = 0; n < 3; n++)
		rig_durable(n);
	rig_drop(WIRE_ACK, 2, 1);
	rig_get(1, KEY, 2);
	rig_settle();
	rig_answered(1, STATUS_OK, 2);
	rig_holds(1, KEY, HERMES_INVALID, 2, "x");
	assert_int_equal(rig_answers[2], 0);
	rig_run(40);
	rig_answered(2, STATUS_OK, 2);
	assert_int_equal(rig_counters(1)->replays, 1);
	assert_int_equal(rig_counters(1)->val_sent, 1);
}

/* CC-18: an ACK makes no entry; and one of the epoch before does not count (H-ACK-EPOCH). */
static void acks_count_only_for_what_is_there(void **state)
{
	struct rig_packet early;
	struct view v;

	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_deliver(WIRE_INV, 0, 2);
	rig_durable(2);
	rig_durable(0);
	early = *rig_find(WIRE_ACK, 2, 1);
	rig_deliver(WIRE_ACK, 2, 1);
	assert_false(rig_nodes[1].present[KEY]);
	rig_deliver(WIRE_INV, 0, 1);
	rig_deliver(WIRE_ACK, 0, 1);
	early.m.ts.version = 4;
	rig_give(&early); /* of another update */
	rig_holds(1, KEY, HERMES_INVALID, 2, "x");
	early.m.ts.version = 2;
	rig_give(&early);
	v = *replica_view(rig_nodes[0].r);
	v.epoch++;
	v.recovered = 0;
	rig_view(1, &v);
	rig_durable(1); /* its own, the last one missing: but in the new view all count anew */
	rig_holds(1, KEY, HERMES_INVALID, 2, "x");
	rig_install(&v);
	rig_run(60);
	rig_answered(1, STATUS_OK, 2);
}

static void an_overtaken_write_is_completed_by_acks(void **state)
{
	uint8_t hi = rig_newer(0, 2, 2), lo = hi ^ 2;

	(void)state;
	rig_put(lo, KEY, 1, "low");
	rig_put(hi, KEY, 2, "high");
	rig_deliver(WIRE_INV, hi, lo);
	rig_settle();
	rig_run(40);
	rig_answered(1, STATUS_OK, 2);
	rig_answered(2, STATUS_OK, 2);
	for (uint8_t n = 0; n < 3; n++)
		rig_holds(n, KEY, HERMES_VALID, 2, "high");
}

/* ---- CC-16: an INV tells that the version before is committed ------------------------------- */

static void readers_get_the_version_before(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "one");
	rig_deliver(WIRE_INV, 0, 1);
	rig_deliver(WIRE_INV, 0, 2);
	for (uint8_t n = 0; n < 3; n++)
		rig_durable(n);
	rig_deliver(WIRE_ACK, 1, 0);
	rig_deliver(WIRE_ACK, 2, 0);
	rig_drop_all(); /* both VALs */
	rig_get(1, KEY, 2);
	rig_put(1, KEY, 3, "mine");
	assert_int_equal(rig_answers[2], 0);
	rig_put(0, KEY, 4, "two");
	rig_deliver(WIRE_INV, 0, 1);
	rig_answered(2, STATUS_OK, 2);
	assert_memory_equal(rig_value[2], "one", 3);
	assert_int_equal(rig_counters(1)->base_validated, 1);
	rig_run(60);
	rig_answered(3, STATUS_OK, 4); /* it started from there, too */
}

static void another_base_tells_nothing(void **state)
{
	struct rig_packet inv;

	(void)state;
	rig_put(0, KEY, 1, "one");
	rig_deliver(WIRE_INV, 0, 1);
	rig_get(1, KEY, 2);
	inv = *rig_find(WIRE_INV, 0, 2);
	inv.to = 1;
	inv.m.ts.version = 4;
	inv.m.prior = writer_make(2, 1); /* made from (2, node 2), not from (2, node 0) */
	rig_give(&inv);
	assert_int_equal(rig_answers[2], 0);
	assert_int_equal(rig_counters(1)->base_validated, 0);
	inv.m.ts.version = 8; /* a base further on */
	inv.m.prior = writer_make(0, 1);
	rig_give(&inv);
	assert_int_equal(rig_answers[2], 0);
}

/* ---- compare on value ------------------------------------------------------------------------ */

static void casv(uint8_t n, uint64_t id, const char *both, uint64_t expected_bytes)
{
	rig_do(n, WIRE_CASV, KEY, id, both, (struct op_ts){ expected_bytes, 0 });
}

static void casv_compares_values(void **state)
{
	(void)state;
	casv(0, 1, "oldnew", 3); /* there is no key */
	rig_answered(1, STATUS_CONFLICT, 0);
	rig_put(0, KEY, 2, "old");
	rig_settle();
	casv(1, 3, "oldnewer", 3);
	rig_settle();
	rig_answered(3, STATUS_OK, 3);
	rig_holds(2, KEY, HERMES_VALID, 3, "newer");
	casv(1, 4, "oldx", 3);
	rig_answered(4, STATUS_CONFLICT, 3);
	casv(1, 5, "newex", 4);
	rig_answered(5, STATUS_CONFLICT, 3);
	casv(1, 6, "newer", 5); /* to the empty value */
	rig_settle();
	rig_answered(6, STATUS_OK, 4);
	casv(2, 7, "x", 0);
	rig_settle();
	rig_answered(7, STATUS_OK, 5);
	rig_do(0, WIRE_DEL, KEY, 8, NULL, none);
	rig_settle();
	casv(2, 9, "y", 0); /* a tombstone has no value, not the empty one */
	rig_answered(9, STATUS_CONFLICT, 7);
}

/* It waits, is overtaken, runs again: and still knows both values. */
static void casv_runs_again(void **state)
{
	uint8_t hi = rig_newer(0, 2, 3), lo = hi ^ 2;

	(void)state;
	rig_put(0, KEY, 1, "a");
	casv(0, 2, "ab", 1);
	rig_settle();
	rig_answered(2, STATUS_OK, 3);
	rig_put(1, KEY, 3, "a");
	rig_settle();
	hi = rig_newer(0, 2, 6), lo = hi ^ 2;
	casv(lo, 4, "ac", 1);
	rig_do(hi, WIRE_CAS, KEY, 5, "a", entry_ts(rig_entry(hi, KEY)));
	rig_run(60);
	rig_answered(5, STATUS_OK, 6);
	rig_answered(4, STATUS_OK, 7);
	rig_holds(1, KEY, HERMES_VALID, 7, "c");
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void numbers_to_the_last(void **state)
{
	static const char *const bad[] = { "", "-", "1x", "9223372036854775808",
		"-9223372036854775809", "99999999999999999999", "+1", " 1" };

	(void)state;
	for (uint64_t i = 0; i < ARRAY_LEN(bad); i++) {
		rig_put(0, KEY, 1 + 2 * i, bad[i]);
		rig_settle();
		rig_do(0, WIRE_INCR, KEY, 2 + 2 * i, "0", none);
		rig_settle();
		assert_int_equal(rig_result[2 + 2 * i].status, STATUS_NOT_A_NUMBER);
	}
	rig_put(1, KEY, 21, "-9223372036854775807");
	rig_settle();
	rig_do(1, WIRE_INCR, KEY, 22, "-1", none);
	rig_settle();
	assert_memory_equal(rig_entry(0, KEY)->blob + 1, "-9223372036854775808", 20);
	rig_do(1, WIRE_INCR, KEY, 23, "-1", none);
	assert_int_equal(rig_result[23].status, STATUS_OVERFLOW);
	rig_do(1, WIRE_INCR, KEY, 24, "9223372036854775807", none);
	rig_settle();
	assert_int_equal((int64_t)load_u64(rig_value[24]), -1);
}

/* ---- patience, space, tables ----------------------------------------------------------------- */

static void who_has_given_up_is_not_served(void **state)
{
	struct wire_message m = { .type = WIRE_PUT, .id = 2, .patience_ms = 5, .key_bytes = 1,
		.key = (const uint8_t *)"k", .value = (const uint8_t *)"y", .value_bytes = 1 };

	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_request(0, &m);
	m.id = 3;
	m.patience_ms = 50;
	rig_request(0, &m);
	rig_now += 6 * MS;
	rig_settle();
	rig_answered(1, STATUS_OK, 2);
	status_is(2, 1, STATUS_BUSY);
	rig_answered(3, STATUS_OK, 4);
	assert_int_equal(rig_counters(0)->expired, 1);
}

static void no_room_no_update(void **state)
{
	struct wire_message m = { .type = WIRE_PUT, .id = 9, .key_bytes = 1,
		.key = (const uint8_t *)"k", .value = (const uint8_t *)"y", .value_bytes = 1 };
	struct wire_header h = { .kind = WIRE_REQUEST, .cluster = RIG_CLUSTER,
		.session = rig_nodes[0].session, .to_incarnation = 1, .from = 0xff };
	struct event ev = { .kind = EVENT_REQUEST, .header = &h, .message = &m };

	(void)state;
	rig_step(0, &ev); /* the store had no room for the entry */
	status_is(9, 1, STATUS_NO_SPACE);
	rig_put(0, KEY, 1, "x");
	rig_put(0, KEY, 2, "waits");
	replica_set_space(rig_nodes[0].r, SPACE_FULL, 1);
	rig_put(0, KEY, 3, "y");
	status_is(3, 1, STATUS_NO_SPACE);
	rig_do(0, WIRE_DEL, KEY, 4, NULL, none);
	status_is(4, 1, STATUS_NO_SPACE);
	rig_settle();
	rig_answered(1, STATUS_OK, 2);
	status_is(2, 1, STATUS_NO_SPACE);
	assert_true(rig_counters(0)->no_space >= 4);
	replica_set_space(rig_nodes[0].r, SPACE_LOW, 1);
	rig_do(0, WIRE_INCR, KEY, 5, "1", none);
	status_is(5, 1, STATUS_NO_SPACE);
	rig_do(0, WIRE_DEL, KEY, 6, NULL, none);
	rig_settle();
	rig_answered(6, STATUS_OK, 4);
	replica_set_space(rig_nodes[0].r, SPACE_OK, 1);
	rig_put(0, KEY, 7, "z");
	rig_settle();
	rig_answered(7, STATUS_OK, 6);
}

static void what_waits_when_the_disk_fails_is_refused(void **state)
{
	(void)state;
	rig_get(0, 1, 1);
	rig_put(0, KEY, 2, "x");
	rig_put(0, KEY, 3, "waits");
	rig_deliver(WIRE_INV, 0, 1);
	rig_deliver(WIRE_INV, 0, 2);
	for (uint8_t n = 0; n < 3; n++)
		rig_durable(n);
	replica_fail(rig_nodes[0].r);
	rig_settle();
	assert_int_equal(rig_answers[2], 0); /* it hears nothing any more */
	rig_put(0, 1, 4, "x");
	status_is(4, 1, STATUS_NOT_SERVING);
	rig_tick(0, 5000);
	assert_null(rig_find(WIRE_HELLO, 0, -1)); /* it looks dead */
}

static void tiny(struct replica_config *c)
{
	c->ops_max = 2;
	c->held_max = 2;
	c->sessions_max = 2;
}

static void full_tables_say_busy(void **state)
{
	(void)state;
	rig_adjust = tiny;
	rig_views(3, ALL);
	rig_put(0, 0, 1, "x");
	rig_put(0, 1, 2, "x");
	rig_put(0, 2, 3, "x");
	status_is(3, 1, STATUS_BUSY);
	assert_false(replica_can_hold(rig_nodes[0].r));
	rig_open(0, 77, 1);
	assert_int_not_equal(rig_nodes[0].session, 0);
	rig_put(0, 3, 4, "x"); /* no op */
	status_is(4, 1, STATUS_BUSY);
	assert_int_equal(rig_counters(0)->busy, 2);
	rig_run(40);
	rig_answered(1, STATUS_OK, 2);
	rig_answered(2, STATUS_OK, 2);
	/* Room for promises is used up by INVs: an update of its own has to wait, too. */
	rig_put(1, 5, 10, "y");
	rig_put(1, 6, 11, "y");
	rig_deliver(WIRE_INV, 1, 0);
	rig_deliver(WIRE_INV, 1, 0);
	assert_false(replica_can_hold(rig_nodes[0].r));
	rig_put(0, 7, 12, "z");
	status_is(12, 1, STATUS_BUSY);
	rig_run(40);
	rig_answered(10, STATUS_OK, 2);
}

static void all_sessions_busy(void **state)
{
	(void)state;
	rig_adjust = tiny;
	rig_views(3, ALL);
	rig_put(0, 0, 1, "x");
	rig_open(0, 71, 1);
	rig_put(0, 1, 2, "x");
	rig_open(0, 72, 1);
	assert_int_equal(rig_nodes[0].session, 0); /* both run something */
	assert_int_equal(rig_counters(0)->busy, 1);
}

/* ---- more to do than one step has room for --------------------------------------------------- */

static void wide(struct replica_config *c)
{
	c->ops_max = 256;
	c->held_max = 256;
	c->session_window = 256;
}

static void many_acks_and_timers_at_once(void **state)
{
	(void)state;
	rig_adjust = wide;
	rig_views(3, ALL);
	for (uint8_t k = 0; k < RIG_KEYS; k++) {
		rig_put(0, k, 1u + k, "x");
		rig_deliver(WIRE_INV, 0, 1);
		rig_drop(WIRE_INV, 0, 2);
	}
	rig_durable(1); /* RIG_KEYS promises */
	assert_int_equal(rig_flying(WIRE_ACK), RIG_KEYS);
	for (uint8_t k = 0; k < RIG_KEYS; k++)
		rig_get(1, k, 100u + k);
	rig_drop_all();
	rig_tick(0, 20); /* every one is due again */
	assert_int_equal(rig_flying(WIRE_INV), 2 * RIG_KEYS);
	assert_true(replica_deadline_ns(rig_nodes[0].r) > rig_now);
	rig_run(40);
	for (uint8_t k = 0; k < RIG_KEYS; k++) {
		rig_answered(1u + k, STATUS_OK, 2);
		rig_answered(100u + k, STATUS_OK, 2);
	}
}

/* Readers of one key, more than one step answers; an update among them waits for its turn. */
static void many_readers_of_one_key(void **state)
{
	(void)state;
	rig_adjust = wide;
	rig_views(3, ALL);
	rig_put(0, KEY, 1, "x");
	for (uint64_t id = 100; id < 200; id++)
		rig_get(0, KEY, id);
	rig_put(0, KEY, 2, "y");
	for (uint64_t id = 200; id < 250; id++)
		rig_get(0, KEY, id);
	rig_settle();
	rig_answered(2, STATUS_OK, 4);
	for (uint64_t id = 100; id < 250; id++)
		rig_answered(id, STATUS_OK, id < 200 ? 2 : 4);
}

/* ---- three updates of one key ---------------------------------------------------------------- */

/* CC-7: an overtaken write, whose successor is overtaken, too, still owes its client an answer. */
static void a_write_overtaken_twice_still_owes_an_answer(void **state)
{
	uint8_t hi = rig_newer(0, 2, 2), lo = hi ^ 2;
	struct rig_packet inv;

	(void)state;
	rig_put(lo, KEY, 30, "low");
	rig_put(hi, KEY, 31, "high");
	inv = *rig_find(WIRE_INV, hi, lo);
	rig_deliver(WIRE_INV, hi, lo);
	rig_holds(lo, KEY, HERMES_TRANS, 2, "high");
	rig_durable(lo);
	inv.m.ts.version = 4;
	inv.m.prior = writer_make(hi, 1); /* made from it: so it is committed */
	inv.bytes[1] = 'H';
	rig_give(&inv);
	rig_holds(lo, KEY, HERMES_TRANS, 4, "High");
	assert_int_equal(rig_answers[30], 0);
	rig_drop_all();
	without(hi);
	rig_run(100);
	rig_answered(30, STATUS_OK, 2);
	rig_put(1, KEY, 32, "third");
	rig_run(100);
	rig_answered(32, STATUS_OK, 6);
	rig_holds(lo, KEY, HERMES_VALID, 6, "third");
}

/* A replay without a client's write behind it makes way for a newer update. */
static void a_replay_makes_way(void **state)
{
	struct rig_packet inv;

	(void)state;
	rig_put(0, KEY, 1, "one");
	rig_deliver(WIRE_INV, 0, 1);
	inv = *rig_find(WIRE_INV, 0, 2);
	rig_get(1, KEY, 2);
	rig_durable(1);
	rig_tick(1, 40);
	rig_holds(1, KEY, HERMES_REPLAY, 2, "one");
	inv.to = 1;
	inv.from = 2;
	inv.m.ts = (struct op_ts){ 6, writer_make(2, 1) };
	rig_give(&inv);
	rig_holds(1, KEY, HERMES_INVALID, 6, "one");
	rig_drop_all();
	rig_run(100);
	rig_answered(2, STATUS_OK, 6);
}

/* Its replay is answered by ACKs of something newer: committed, but no VAL (rule 2). */
static void a_replay_with_a_rival_validates_nothing(void **state)
{
	uint8_t hi = rig_newer(0, 2, 2), lo = hi ^ 2;
	struct rig_packet ack;

	(void)state;
	rig_put(lo, KEY, 1, "low");
	rig_deliver(WIRE_INV, lo, 1);
	rig_get(1, KEY, 2);
	rig_durable(1);
	rig_tick(1, 40);
	rig_holds(1, KEY, HERMES_REPLAY, 2, "low");
	rig_durable(lo);
	rig_deliver(WIRE_INV, 1, lo);
	ack = *rig_find(WIRE_ACK, lo, 1);
	rig_deliver(WIRE_ACK, lo, 1);
	ack.from = hi;
	ack.m.ts.version = 4;
	rig_give(&ack);
	rig_holds(1, KEY, HERMES_INVALID, 2, "low");
	assert_int_equal(rig_answers[2], 0);
	assert_null(rig_find(WIRE_VAL, 1, -1));
	rig_run(100);
	rig_answered(2, STATUS_OK, 2);
	rig_answered(1, STATUS_OK, 2);
}

static void frames_of_a_donor_that_are_malformed(void **state)
{
	struct view v = *replica_view(rig_nodes[0].r);
	struct rig_packet bad;

	(void)state;
	rig_start(2, 2);
	v.epoch = 2;
	v.recovered = 0;
	v.members = 0x3;
	v.shadows = 0x4;
	v.incarnation[2] = 2;
	v.since[2] = 2;
	rig_install(&v);
	rig_tick(2, 0);
	rig_deliver(WIRE_FETCH, 2, -1); /* no keys: at once the sessions */
	rig_deliver(WIRE_COPIED, -1, 2);
	rig_deliver(WIRE_FETCH, 2, -1);
	bad = *rig_find(WIRE_COPY_SESSION, -1, 2);
	bad.m.value_bytes -= 1;
	rig_drop(WIRE_COPY_SESSION, -1, 2);
	rig_give(&bad);
	assert_int_equal(rig_counters(2)->bad_request, 1);
	bad.m.id += WALK_MAX; /* no such message in a chunk */
	rig_give(&bad);
	bad = *rig_find(WIRE_COPIED, -1, 2);
	store_u32(bad.bytes + 8, WALK_MAX + 1);
	rig_give(&bad);
	assert_false(replica_joined(rig_nodes[2].r));
}

/* ---- what is not for this node, or no request at all ----------------------------------------- */

static void malformed_requests(void **state)
{
	struct wire_message m = { .type = WIRE_GET, .id = 0, .key_bytes = 1,
		.key = (const uint8_t *)"k" };

	(void)state;
	rig_request(0, &m);
	assert_int_equal(rig_counters(0)->bad_request, 1);
	m.id = 1;
	rig_nodes[0].incarnation = 2; /* the client means another life of this node */
	rig_request(0, &m);
	rig_nodes[0].incarnation = 1;
	status_is(1, 1, STATUS_NO_SESSION);
	rig_open(0, 0, 1); /* no client has the number 0 */
	assert_int_equal(rig_nodes[0].session, 0);
}

static void copies_of_requests(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_get(0, KEY, 2);
	rig_get(0, KEY, 2); /* waits already */
	rig_get(0, KEY, 3);
	rig_get(0, KEY, 3);
	rig_put(0, 1, 17, "y"); /* the place of 1, which runs */
	assert_int_equal(rig_answers[17], 0);
	assert_int_equal(rig_counters(0)->duplicate_requests, 3);
	rig_settle();
	rig_answered(2, STATUS_OK, 2);
	rig_answered(3, STATUS_OK, 2);
	rig_put(0, 1, 17, "y");
	rig_settle();
	rig_answered(17, STATUS_OK, 2);
	rig_put(0, KEY, 1, "x"); /* left the window: its client has its answer */
	assert_int_equal(rig_answers[1], 1);
}

/* A refusal that looked at the key is repeated only while the lease of then holds. */
static void refusals_are_resent_with_their_lease(void **state)
{
	struct view v = *replica_view(rig_nodes[0].r);
	struct op_ts wrong = { 50, 1 };

	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_settle();
	rig_do(0, WIRE_CAS, KEY, 2, "y", wrong);
	rig_do(0, WIRE_CAS, KEY, 2, "y", wrong);
	status_is(2, 2, STATUS_CONFLICT);
	assert_true(rig_lease_marked[2]);
	v.epoch = 2;
	v.recovered = 0;
	rig_install(&v);
	rig_do(0, WIRE_CAS, KEY, 2, "y", wrong);
	status_is(2, 3, STATUS_NOT_SERVING);
	rig_put(0, KEY, 1, "x"); /* an OK is for ever */
	status_is(1, 2, STATUS_OK);
}

static void frames_of_others(void **state)
{
	struct wire_header h = { .kind = WIRE_PEER, .cluster = 78, .epoch = 1,
		.from_incarnation = 1, .to_incarnation = 1, .from = 1 };
	struct wire_message m = { .type = WIRE_ACK, .id = UINT64_MAX };
	struct event ev = { .kind = EVENT_PEER, .header = &h, .message = &m };

	(void)state;
	rig_step(0, &ev);
	assert_int_equal(rig_counters(0)->foreign_cluster, 1);
	h.cluster = RIG_CLUSTER;
	rig_step(0, &ev); /* an ACK for an op that never was */
	assert_int_equal(rig_counters(0)->ack_unmatched, 1);
	h.from = 0;
	expect_assert_failure(rig_step(0, &ev));
	h.from = 3;
	expect_assert_failure(rig_step(0, &ev));
	h.from = 1;
	m.type = WIRE_PUT;
	expect_assert_failure(rig_step(0, &ev));
	ev.kind = EVENT_TICK;
	rig_now -= 1; /* time never goes back */
	expect_assert_failure(rig_step(0, &ev));
	rig_now += 1;
}

/* ---- HELLO in a static cluster --------------------------------------------------------------- */

static struct rig_packet hello(uint32_t incarnation)
{
	struct rig_packet p;

	rig_drop_all();
	rig_tick(1, 2000);
	p = *rig_find(WIRE_HELLO, 1, 0);
	rig_drop_all();
	p.from_incarnation = incarnation;
	return p;
}

static void hellos_teach_incarnations(void **state)
{
	struct rig_packet p = hello(1);
	uint32_t epoch = replica_epoch(rig_nodes[0].r);

	(void)state;
	store_u64(p.bytes, 6);
	rig_give(&p);
	assert_int_equal(rig_counters(0)->shape_mismatch, 1);
	p = hello(0);
	rig_give(&p);
	assert_int_equal(rig_counters(0)->stale_incarnation, 1);
	p = hello(1);
	store_u32(p.bytes + 16 + 4 * 2, INCARNATION_MAX + 1);
	store_u32(p.bytes + 16, 99); /* what it says of ourselves is nothing to us */
	rig_give(&p);
	assert_int_equal(replica_epoch(rig_nodes[0].r), epoch);
	p = hello(3);
	store_u32(p.bytes + 16 + 4 * 2, 5);
	rig_give(&p);
	assert_int_equal(replica_peer_incarnation(rig_nodes[0].r, 1), 3);
	assert_int_equal(replica_peer_incarnation(rig_nodes[0].r, 2), 5);
	assert_int_not_equal(replica_epoch(rig_nodes[0].r), epoch);
	rig_tick(0, 0);
	assert_non_null(rig_find(WIRE_HELLO, 0, 1)); /* at once */
	p = hello(2);
	rig_give(&p);
	assert_int_equal(rig_counters(0)->stale_incarnation, 2);
	expect_assert_failure(replica_peer_incarnation(rig_nodes[0].r, 3));
}

static void a_node_alone_is_linked_when_all_are_known(void **state)
{
	(void)state;
	rig_count = 3;
	rig_start(0, 4);
	assert_false(replica_linked(rig_nodes[0].r));
	assert_int_equal(replica_peers_heard(rig_nodes[0].r), 0);
	rig_open(0, 5, 1); /* it has sessions, but no service yet */
	rig_get(0, KEY, 1);
	status_is(1, 1, STATUS_NOT_SERVING);
	rig_world(1); /* a cluster of one */
	rig_put(0, KEY, 1, "x");
	assert_int_equal(rig_answers[1], 0);
	rig_durable(0);
	rig_answered(1, STATUS_OK, 2);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void timers_survive_long_pauses(void **state)
{
	uint64_t deadline;

	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_drop_all();
	deadline = replica_deadline_ns(rig_nodes[0].r);
	assert_true(deadline > rig_now && deadline <= rig_now + 10 * MS);
	rig_tick(0, 20);
	assert_non_null(rig_find(WIRE_INV, 0, 1));
	rig_drop_all();
	rig_tick(0, 600000); /* many turns of the wheel */
	assert_non_null(rig_find(WIRE_INV, 0, 1));
	for (uint8_t n = 0; n < 3; n++)
		rig_tick(n, 0);
	rig_run(20);
	rig_answered(1, STATUS_OK, 2);
	assert_int_equal(replica_ops(rig_nodes[0].r), 0);
}

static void a_blob_may_shrink_when_nothing_counts_on_it(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_settle();
	assert_false(replica_entry_can_shrink(rig_entry(0, KEY)));
	rig_do(0, WIRE_DEL, KEY, 2, NULL, none);
	rig_put(0, KEY, 3, "y");
	assert_false(replica_entry_can_shrink(rig_entry(0, KEY)));
	rig_settle();
	rig_do(0, WIRE_DEL, KEY, 4, NULL, none);
	rig_settle();
	assert_true(replica_entry_can_shrink(rig_entry(0, KEY)));
	assert_true(replica_session_known(rig_nodes[0].r, &(struct wire_header){
		.session = rig_nodes[0].session, .to_incarnation = 1 }));
	assert_false(replica_session_known(rig_nodes[0].r, &(struct wire_header){
		.session = 12345, .to_incarnation = 1 }));
	assert_int_equal(replica_config(rig_nodes[0].r)->node_count, 3);
}

static const struct replica_config good = { .cluster = 1, .incarnation = 1, .shard_count = 1,
	.node_count = 3, .ops_max = 4, .held_max = 4, .sessions_max = 4, .session_window = 16,
	.retransmit_ns = 8000, .replay_ns = 8000, .hello_ns = 8000 };

#define REFUSED(change)                                                                            \
	do {                                                                                       \
		c = good;                                                                          \
		change;                                                                            \
		expect_assert_failure(replica_size(&c));                                           \
	} while (0)

static void impossible_configurations(void **state)
{
	struct replica_config c = good;

	(void)state;
	assert_true(replica_size(&c) > 0);
	REFUSED(c.incarnation = 0);
	REFUSED(c.incarnation = INCARNATION_MAX + 1);
	REFUSED(c.node_count = 0);
	REFUSED(c.node_count = NODES_MAX + 1);
	REFUSED(c.node = 3);
	REFUSED(c.shard_count = 0);
	REFUSED(c.shard_count = SHARDS_MAX + 1);
	REFUSED(c.shard = 1);
	REFUSED(c.ops_max = 0);
	REFUSED(c.ops_max = 65537);
	REFUSED(c.held_max = 1);
	REFUSED(c.held_max = 12);
	REFUSED(c.sessions_max = 0);
	REFUSED(c.sessions_max = SESSIONS_MAX + 1);
	REFUSED(c.retransmit_ns = 7);
	REFUSED(c.replay_ns = 0);
	REFUSED(c.replay_ns = 64001);
	REFUSED(c.hello_ns = 0);
}

static void names(void **state)
{
	(void)state;
	for (int s = 0; s < STATUS_COUNT; s++)
		assert_string_not_equal(status_name((enum status)s), "INVALID");
	assert_string_equal(status_name(STATUS_COUNT), "INVALID");
	assert_string_equal(hermes_state_name(HERMES_STATE_COUNT), "?");
	assert_string_equal(hermes_state_name(HERMES_TRANS), "trans");
}

#define VIEWS(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
#define STATIC(f) cmocka_unit_test_setup_teardown(f, setup_static, teardown)
#define O3(f)	  cmocka_unit_test_setup_teardown(f, setup_o3, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		O3(followers_validate_by_acks),
		O3(a_lost_ack_is_made_good_by_a_replay),
		O3(acks_count_only_for_what_is_there),
		O3(an_overtaken_write_is_completed_by_acks),
		VIEWS(readers_get_the_version_before),
		VIEWS(another_base_tells_nothing),
		VIEWS(casv_compares_values),
		VIEWS(casv_runs_again),
		VIEWS(numbers_to_the_last),
		VIEWS(who_has_given_up_is_not_served),
		VIEWS(no_room_no_update),
		STATIC(what_waits_when_the_disk_fails_is_refused),
		VIEWS(full_tables_say_busy),
		VIEWS(all_sessions_busy),
		VIEWS(many_acks_and_timers_at_once),
		VIEWS(many_readers_of_one_key),
		VIEWS(a_write_overtaken_twice_still_owes_an_answer),
		VIEWS(a_replay_makes_way),
		VIEWS(a_replay_with_a_rival_validates_nothing),
		VIEWS(frames_of_a_donor_that_are_malformed),
		VIEWS(malformed_requests),
		VIEWS(copies_of_requests),
		VIEWS(refusals_are_resent_with_their_lease),
		VIEWS(frames_of_others),
		STATIC(hellos_teach_incarnations),
		STATIC(a_node_alone_is_linked_when_all_are_known),
		STATIC(timers_survive_long_pauses),
		VIEWS(a_blob_may_shrink_when_nothing_counts_on_it),
		VIEWS(impossible_configurations),
		VIEWS(names),
	};

	return cmocka_run_group_tests_name("replica", tests, NULL, NULL);
}
