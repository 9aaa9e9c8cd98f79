/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that come again at another node, by hand, and what the log remembers of them (S-ONCE,
 * H22; Retries in docs/protocol.md).
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

/* ---- retries at another node (H22, S-ONCE) --------------------------------------------------- */

static void a_retry_waits_while_the_first_node_may_act(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_drop_all();
	rig_retry(1, WIRE_PUT, KEY, 1, "x", writer_make(0, 1));
	status_is(1, 1, STATUS_WAIT);
	rig_retry(1, WIRE_PUT, KEY, 1, "x", writer_make(0, 1));
	status_is(1, 2, STATUS_WAIT); /* not final: no outcome was kept */
	assert_int_equal(rig_counters(1)->retries_waiting, 2);
	assert_int_equal(rig_entry(1, KEY)->version, 0);
	/* Seen as node 0's update, it is known without being told. */
	rig_run(20);
	rig_put(1, KEY, 1, "x");
	status_is(1, 4, STATUS_WAIT);
}

static void a_retry_of_what_nobody_saw_is_executed(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_drop_all();
	without(0);
	rig_retry(1, WIRE_PUT, KEY, 1, "x", writer_make(0, 1));
	rig_settle();
	rig_answered(1, STATUS_OK, 1); /* by RMW rules: version + 1 */
	assert_int_equal(rig_result[1].ts.writer, writer_make(1, 1));
	assert_true(rig_entry(2, KEY)->flags & ENTRY_RMW);
	rig_retry(1, WIRE_PUT, KEY, 1, "x", writer_make(0, 1));
	status_is(1, 2, STATUS_OK); /* answered from the session */
	rig_run(20);
	rig_holds(2, KEY, HERMES_VALID, 1, "x");
}

static void a_retry_of_what_took_effect_is_answered(void **state)
{
	(void)state;
	rig_do(0, WIRE_INCR, KEY, 1, "7", none);
	rig_deliver(WIRE_INV, 0, 1);
	rig_drop_all();
	without(0);
	rig_retry(1, WIRE_INCR, KEY, 1, "7", writer_make(0, 1));
	assert_int_equal(rig_answers[1], 0); /* first it must be finished */
	rig_run(60);
	rig_answered(1, STATUS_OK, 1);
	assert_int_equal(rig_result[1].ts.writer, writer_make(0, 1));
	assert_int_equal(load_u64(rig_value[1]), 7);
	rig_holds(2, KEY, HERMES_VALID, 1, "7");
	assert_int_equal(rig_counters(1)->retries_resolved, 1);
	/* Asked at yet another node afterwards, the answer is the same. */
	rig_retry(2, WIRE_INCR, KEY, 1, "7", writer_make(0, 1));
	rig_settle();
	status_is(1, 2, STATUS_OK);
	assert_int_equal(load_u64(rig_value[1]), 7);
}

static void a_write_that_was_built_upon_took_effect(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_deliver(WIRE_INV, 0, 1);
	rig_durable(1);
	rig_settle();
	rig_put(2, KEY, 30, "y");
	rig_settle();
	without(0);
	rig_retry(1, WIRE_PUT, KEY, 1, "x", writer_make(0, 1));
	rig_run(60);
	assert_int_equal(rig_result[1].status, STATUS_OK);
	assert_int_equal(rig_result[1].ts.version, 2);
	rig_holds(1, KEY, HERMES_VALID, 4, "y");
}

/* An RMW that a rival beat for good is executed again, once. */
static void a_retry_of_a_lost_rmw_is_executed(void **state)
{
	(void)state;
	rig_do(0, WIRE_INCR, KEY, 1, "1", none);
	rig_put(2, KEY, 30, "5"); /* version 2, from version 0, too */
	rig_deliver(WIRE_INV, 0, 1);
	rig_deliver(WIRE_INV, 2, 1);
	rig_drop_all();
	without(0);
	rig_run(60);
	status_is(30, 1, STATUS_OK);
	rig_retry(1, WIRE_INCR, KEY, 1, "1", writer_make(0, 1));
	rig_run(20);
	rig_answered(1, STATUS_OK, 3);
	assert_int_equal(load_u64(rig_value[1]), 6);
	rig_holds(2, KEY, HERMES_VALID, 3, "6");
}

/* Overtaken by an update of which nobody knows what it was made from: never a second try. */
static void a_retry_that_cannot_be_decided_is_unknown(void **state)
{
	struct rig_packet inv = { .from = 2, .to = 1, .from_incarnation = 1,
		.to_incarnation = 1, .epoch = 1,
		.m = { .type = WIRE_INV, .key_bytes = 1, .value_bytes = 1, .id = 9,
		       .ts = { 9, writer_make(2, 1) } },
		.bytes = "k8" };

	(void)state;
	rig_do(0, WIRE_INCR, KEY, 1, "1", none);
	rig_deliver(WIRE_INV, 0, 1);
	rig_give(&inv);
	rig_drop_all();
	without(0);
	rig_retry(1, WIRE_INCR, KEY, 1, "1", writer_make(0, 1));
	rig_run(60);
	rig_answered(1, STATUS_UNKNOWN, 0);
	rig_holds(1, KEY, HERMES_VALID, 9, "8");
}

/* A retried PUT goes by RMW rules: a newer write beats it, and it runs again. */
static void a_retried_put_that_loses_runs_again(void **state)
{
	(void)state;
	without(0);
	rig_retry(1, WIRE_PUT, KEY, 1, "again", writer_make(0, 1));
	rig_put(2, KEY, 30, "rival");
	rig_run(60);
	status_is(30, 1, STATUS_OK);
	rig_answered(1, STATUS_OK, 3);
	assert_int_equal(rig_counters(1)->rmw_aborts, 1);
	rig_holds(2, KEY, HERMES_VALID, 3, "again");
}

static void a_retried_delete_of_nothing(void **state)
{
	(void)state;
	without(0);
	rig_retry(1, WIRE_DEL, 5, 1, NULL, writer_make(0, 1));
	rig_answered(1, STATUS_NOT_FOUND, 0);
	rig_put(1, 5, 2, "x");
	rig_settle();
	rig_retry(1, WIRE_DEL, 5, 3, NULL, writer_make(0, 1));
	rig_settle();
	rig_answered(3, STATUS_OK, 3);
	assert_int_equal(rig_entry(2, 5)->flags, ENTRY_TOMBSTONE | ENTRY_RMW);
	/* It took effect at another node, and the key was written since. */
	rig_put(2, 5, 30, "y");
	rig_settle();
	rig_retry(2, WIRE_DEL, 5, 3, NULL, writer_make(1, 1));
	status_is(3, 2, STATUS_WAIT);
}

/* S-EVICT: what a node may have forgotten is never executed again. */
static void a_retry_after_an_eviction_is_refused(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_settle();
	without(0);
	for (uint64_t client = 1; client <= 8; client++) {
		rig_now += 1000;
		rig_open(1, client, 1);
	}
	assert_true(rig_counters(1)->sessions_evicted > 0);
	rig_open(1, CLIENT, 5);
	rig_retry(1, WIRE_PUT, KEY, 1, "x", writer_make(0, 1));
	status_is(1, 2, STATUS_EVICTED);
	assert_int_equal(rig_counters(1)->evicted_requests, 1);
	rig_retry(1, WIRE_PUT, KEY, 5, "new", writer_make(0, 1)); /* above the floor: never used */
	rig_run(20);
	assert_int_equal(rig_result[5].status, STATUS_OK);
}

static void a_node_that_is_out_decides_nothing(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_settle();
	without(0);
	without(1); /* node 1 does not hear of it, but of the next one */
	rig_view(1, replica_view(rig_nodes[2].r));
	rig_retry(1, WIRE_PUT, KEY, 2, "x", writer_make(0, 1));
	status_is(2, 1, STATUS_NOT_SERVING);
}

static void the_same_node_in_the_same_incarnation_is_no_retry(void **state)
{
	(void)state;
	rig_retry(1, WIRE_PUT, KEY, 1, "x", writer_make(1, 1));
	rig_settle();
	rig_answered(1, STATUS_OK, 2);
	assert_int_equal(rig_counters(1)->retries, 0);
}

/*
 * Found by reading: a place in a session's window was taken for that of the request that had it
 * before. Timestamps are unique among those of one key only; here both keys have the same.
 */
static void outcomes_are_not_mixed_up_between_keys(void **state)
{
	(void)state;
	rig_do(0, WIRE_CAS, KEY, 1, "a", none);
	rig_settle();
	rig_answered(1, STATUS_OK, 1);
	rig_do(0, WIRE_CAS, 1, 17, "b", none); /* the window has 16 places */
	rig_put(2, 1, 30, "rival");
	rig_deliver(WIRE_INV, 0, 1); /* node 1 sees request 17 ... */
	rig_put(1, KEY, 31, "c");    /* ... and the first key overtaken ... */
	rig_deliver(WIRE_INV, 2, 1); /* ... and the second, by a rival: 17 is dead */
	rig_drop_all();
	without(0);
	rig_run(60);
	rig_retry(1, WIRE_CAS, 1, 17, "b", writer_make(0, 1));
	rig_run(20);
	rig_answered(17, STATUS_CONFLICT, 2);
	rig_holds(2, 1, HERMES_VALID, 2, "rival");
}

/* ---- what the log remembers ------------------------------------------------------------------ */

static void restart_all(uint32_t incarnation)
{
	for (uint8_t n = 0; n < 3; n++)
		rig_recover(n, incarnation);
	rig_drop_all();
	for (int round = 0; round < 3; round++) {
		for (uint8_t n = 0; n < 3; n++)
			rig_tick(n, 1000);
		rig_settle();
	}
	for (uint8_t n = 0; n < 3; n++)
		rig_open(n, CLIENT, 1);
}

static void outcomes_survive_a_restart(void **state)
{
	(void)state;
	rig_do(0, WIRE_INCR, KEY, 1, "3", none);
	rig_settle();
	rig_put(1, KEY, 30, "50");
	rig_put(0, 2, 2, "stale"); /* one of these is stale at the other two */
	rig_put(1, 2, 31, "stale");
	rig_put(2, 2, 32, "stale");
	rig_settle();
	rig_do(0, WIRE_DEL, 2, 3, NULL, none);
	rig_settle();
	restart_all(2);
	rig_holds(1, KEY, HERMES_INVALID, 3, "50");
	rig_retry(1, WIRE_INCR, KEY, 1, "3", writer_make(0, 1));
	rig_retry(1, WIRE_PUT, 2, 2, "stale", writer_make(0, 1));
	rig_retry(1, WIRE_DEL, 2, 3, NULL, writer_make(0, 1));
	rig_run(60);
	status_is(1, 2, STATUS_OK);
	assert_int_equal(load_u64(rig_value[1]), 3);
	assert_int_equal(rig_result[1].ts.version, 1);
	status_is(2, 2, STATUS_OK);
	assert_int_equal(rig_result[2].ts.version, 2);
	status_is(3, 2, STATUS_OK);
	rig_holds(2, KEY, HERMES_VALID, 3, "50");
}

static void a_stale_write_is_noted_once(void **state)
{
	uint8_t hi = rig_newer(0, 2, 2), lo = hi ^ 2;
	uint32_t notes = 0;

	(void)state;
	rig_put(lo, KEY, 1, "low");
	rig_put(hi, KEY, 30, "high");
	rig_deliver(WIRE_INV, hi, 1);
	rig_durable(1);
	for (int i = 0; i < 2; i++) { /* and a duplicate */
		struct rig_packet copy = *rig_find(WIRE_INV, lo, 1);

		rig_give(&copy);
	}
	for (uint32_t i = 0; i < rig_nodes[1].log_count; i++)
		notes += rig_nodes[1].log[i].kind == ACTION_NOTE;
	assert_int_equal(notes, 1);
	assert_null(rig_find(WIRE_ACK, 1, lo)); /* not before the note is durable */
	rig_durable(1);
	assert_non_null(rig_find(WIRE_ACK, 1, lo));
	rig_settle();
	rig_answered(1, STATUS_OK, 2);
	rig_answered(30, STATUS_OK, 2);
	restart_all(2);
	rig_retry(1, WIRE_PUT, KEY, 1, "low", writer_make(lo, 1));
	rig_run(60);
	status_is(1, 2, STATUS_UNKNOWN); /* and not done again */
	rig_holds(1, KEY, HERMES_VALID, 2, "high");
}

#define VIEWS(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
#define STATIC(f) cmocka_unit_test_setup_teardown(f, setup_static, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VIEWS(a_retry_waits_while_the_first_node_may_act),
		VIEWS(a_retry_of_what_nobody_saw_is_executed),
		VIEWS(a_retry_of_what_took_effect_is_answered),
		VIEWS(a_write_that_was_built_upon_took_effect),
		VIEWS(a_retry_of_a_lost_rmw_is_executed),
		VIEWS(a_retry_that_cannot_be_decided_is_unknown),
		VIEWS(a_retried_put_that_loses_runs_again),
		VIEWS(a_retried_delete_of_nothing),
		VIEWS(a_retry_after_an_eviction_is_refused),
		VIEWS(a_node_that_is_out_decides_nothing),
		VIEWS(the_same_node_in_the_same_incarnation_is_no_retry),
		VIEWS(outcomes_are_not_mixed_up_between_keys),
		STATIC(outcomes_survive_a_restart),
		STATIC(a_stale_write_is_noted_once),
	};

	return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
