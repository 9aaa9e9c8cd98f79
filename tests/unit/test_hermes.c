/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol by hand: three replicas, one key, messages moved one at a time. One test per rule of
 * docs/protocol.md; the corner cases CC-n by number.
 */
#include "tests/unit/replica_rig.h"

#define NODES 3
#define KEY   0

static const struct op_ts none = { 0, 0 };

static int world(void **state)
{
	(void)state;
	rig_world(NODES);
	return 0;
}

static int unworld(void **state)
{
	(void)state;
	rig_free();
	return 0;
}

/* ---- writes ---------------------------------------------------------------------------------- */

static void write_commits_when_all_disks_have_it(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "one");
	rig_holds(0, KEY, HERMES_WRITE, 2, "one");
	rig_deliver(WIRE_INV, 0, 1);
	rig_deliver(WIRE_INV, 0, 2);
	rig_holds(1, KEY, HERMES_INVALID, 2, "one");
	assert_null(rig_find(WIRE_ACK, 1, 0)); /* not before its record is durable */
	rig_durable(1);
	rig_deliver(WIRE_ACK, 1, 0);
	rig_durable(2);
	rig_deliver(WIRE_ACK, 2, 0);
	assert_int_equal(rig_answers[1], 0); /* the coordinator's own disk counts too */
	rig_durable(0);
	rig_answered(1, STATUS_OK, 2);
	rig_holds(0, KEY, HERMES_VALID, 2, "one");
	rig_deliver(WIRE_VAL, 0, 1);
	rig_holds(1, KEY, HERMES_VALID, 2, "one");
	rig_settle();
	for (uint8_t n = 0; n < NODES; n++)
		rig_holds(n, KEY, HERMES_VALID, 2, "one");
}

static void reads_wait_while_invalid(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "one");
	rig_deliver(WIRE_INV, 0, 1);
	rig_get(1, KEY, 2);
	rig_get(0, KEY, 3);
	assert_int_equal(rig_answers[2] + rig_answers[3], 0);
	rig_settle();
	rig_answered(2, STATUS_OK, 2);
	rig_answered(3, STATUS_OK, 2);
	assert_memory_equal(rig_value[2], "one", 3);
}

static void two_writers_last_timestamp_wins(void **state)
{
	uint8_t hi = rig_newer(0, 2, 2), lo = hi ^ 2;

	(void)state;
	rig_put(lo, KEY, 1, "zero");
	rig_put(hi, KEY, 2, "two");
	rig_deliver(WIRE_INV, hi, lo);
	rig_holds(lo, KEY, HERMES_TRANS, 2, "two");
	rig_settle();
	rig_answered(1, STATUS_OK, 2);
	rig_answered(2, STATUS_OK, 2);
	for (uint8_t n = 0; n < NODES; n++)
		rig_holds(n, KEY, HERMES_VALID, 2, "two");
}

/* S-ONCE: should the answer be lost, the client may ask anybody: all must have seen its update. */
static void trans_completes_when_all_have_seen_it(void **state)
{
	uint8_t hi = rig_newer(0, 2, 2), lo = hi ^ 2;

	(void)state;
	rig_put(lo, KEY, 1, "zero");
	rig_put(hi, KEY, 2, "two");
	rig_deliver(WIRE_INV, hi, lo);
	rig_deliver(WIRE_INV, hi, 1);
	for (uint8_t n = 0; n < NODES; n++)
		rig_durable(n);
	rig_deliver(WIRE_ACK, lo, hi);
	rig_deliver(WIRE_ACK, 1, hi);
	rig_answered(2, STATUS_OK, 2);
	rig_deliver(WIRE_VAL, hi, lo); /* its own acks are still missing */
	assert_int_equal(rig_answers[1], 0);
	rig_holds(lo, KEY, HERMES_TRANS, 2, "two");
	rig_get(lo, KEY, 3);
	rig_settle();
	rig_answered(1, STATUS_OK, 2);
	rig_answered(3, STATUS_OK, 2);
	rig_holds(lo, KEY, HERMES_VALID, 2, "two");
}

static void stale_inv_acked_only_when_the_newer_is_durable(void **state)
{
	uint8_t hi = rig_newer(0, 2, 2), lo = hi ^ 2;

	(void)state;
	rig_put(lo, KEY, 1, "zero");
	rig_put(hi, KEY, 2, "two");
	rig_deliver(WIRE_INV, hi, 1);
	rig_deliver(WIRE_INV, lo, 1); /* older than what node 1 holds */
	assert_null(rig_find(WIRE_ACK, 1, lo));
	assert_null(rig_find(WIRE_ACK, 1, hi));
	rig_durable(1);
	assert_non_null(rig_find(WIRE_ACK, 1, lo));
	assert_non_null(rig_find(WIRE_ACK, 1, hi));
}

static void delete_leaves_a_tombstone(void **state)
{
	(void)state;
	rig_do(1, WIRE_DEL, KEY, 1, NULL, none);
	rig_answered(1, STATUS_NOT_FOUND, 0);
	rig_put(0, KEY, 2, "x");
	rig_settle();
	rig_do(1, WIRE_DEL, KEY, 3, NULL, none);
	rig_settle();
	rig_answered(3, STATUS_OK, 4);
	rig_get(2, KEY, 4);
	rig_answered(4, STATUS_NOT_FOUND, 4);
	assert_true(rig_entry(2, KEY)->flags & ENTRY_TOMBSTONE);
}

/* ---- read-modify-writes ---------------------------------------------------------------------- */

static void cas_compares_versions(void **state)
{
	struct op_ts v;

	(void)state;
	rig_do(0, WIRE_CAS, KEY, 1, "a", none); /* put-if-absent */
	rig_settle();
	rig_answered(1, STATUS_OK, 1);
	v = rig_result[1].ts;
	rig_do(1, WIRE_CAS, KEY, 2, "b", none);
	rig_answered(2, STATUS_CONFLICT, 1);
	rig_do(1, WIRE_CAS, KEY, 3, "b", v);
	rig_settle();
	rig_answered(3, STATUS_OK, 2);
	rig_do(2, WIRE_CAS, KEY, 4, "c", v);
	rig_answered(4, STATUS_CONFLICT, 2);
	rig_holds(2, KEY, HERMES_VALID, 2, "b");
}

static void incr_counts(void **state)
{
	(void)state;
	rig_do(0, WIRE_INCR, KEY, 1, "5", none);
	rig_settle();
	rig_answered(1, STATUS_OK, 1);
	rig_do(2, WIRE_INCR, KEY, 2, "-12", none);
	rig_settle();
	assert_int_equal((int64_t)load_u64(rig_value[2]), -7);
	rig_holds(1, KEY, HERMES_VALID, 2, "-7");
	rig_put(0, KEY, 3, "12x");
	rig_settle();
	rig_do(1, WIRE_INCR, KEY, 4, "1", none);
	rig_answered(4, STATUS_NOT_A_NUMBER, 4);
	rig_put(0, KEY, 5, "9223372036854775807");
	rig_settle();
	rig_do(1, WIRE_INCR, KEY, 6, "1", none);
	rig_answered(6, STATUS_OVERFLOW, 6);
}

static void rmw_loses_to_a_write(void **state)
{
	(void)state;
	rig_do(2, WIRE_CAS, KEY, 1, "cas", none); /* ts 1 */
	rig_put(0, KEY, 2, "put");		      /* ts 2 */
	rig_deliver(WIRE_INV, 2, 0);	      /* refused: node 0 answers with its own INV */
	rig_deliver(WIRE_INV, 0, 2);
	rig_holds(2, KEY, HERMES_INVALID, 2, "put");
	assert_int_equal(rig_answers[1], 0); /* CC-6: not before the winner is committed */
	rig_settle();
	rig_answered(2, STATUS_OK, 2);
	rig_answered(1, STATUS_CONFLICT, 2);
}

static void of_two_rmws_one_commits(void **state)
{
	uint8_t hi = rig_newer(0, 2, 1), lo = hi ^ 2;

	(void)state;
	rig_do(lo, WIRE_INCR, KEY, 1, "1", none);
	rig_do(hi, WIRE_INCR, KEY, 2, "1", none);
	rig_settle();
	/* The loser ran again from the winner's value: both count, on different versions. */
	rig_answered(2, STATUS_OK, 1);
	rig_answered(1, STATUS_OK, 2);
	rig_holds(1, KEY, HERMES_VALID, 2, "2");
}

/*
 * Found by the simulator (seed 1011): two writes on one base, the lower commits, an RMW starts from
 * it and gets a timestamp above the higher one, which nobody at its node has seen. Both committed.
 */
static void no_rmw_starts_from_a_value_with_a_rival(void **state)
{
	uint8_t hi = rig_newer(0, 2, 2), lo = hi ^ 2;

	(void)state;
	rig_put(lo, KEY, 1, "5");
	rig_put(hi, KEY, 2, "7"); /* same version, higher writer; its INVs are slow */
	rig_deliver(WIRE_INV, lo, 1);
	rig_deliver(WIRE_INV, lo, hi);
	for (uint8_t n = 0; n < NODES; n++)
		rig_durable(n);
	rig_deliver(WIRE_ACK, 1, lo);
	rig_deliver(WIRE_ACK, hi, lo); /* "I hold something newer" */
	rig_answered(1, STATUS_OK, 2);
	rig_holds(lo, KEY, HERMES_INVALID, 2, "5");
	assert_null(rig_find(WIRE_VAL, lo, -1));
	rig_do(lo, WIRE_INCR, KEY, 3, "1", none);
	assert_int_equal(rig_answers[3], 0);
	rig_tick(lo, 30); /* its replay is answered with the rival */
	assert_true(rig_find(WIRE_INV, lo, hi)->m.flags & WIRE_REPLAY);
	rig_deliver(WIRE_INV, lo, hi);
	rig_drop(WIRE_INV, hi, lo);
	rig_deliver(WIRE_INV, hi, lo);
	rig_holds(lo, KEY, HERMES_INVALID, 2, "7");
	rig_settle();
	rig_answered(2, STATUS_OK, 2);
	rig_answered(3, STATUS_OK, 3);
	rig_holds(1, KEY, HERMES_VALID, 3, "8");
}

/* CC-5: what was acknowledged before a member's restart does not count after it. */
static void a_restart_discards_acks(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "one");
	rig_deliver(WIRE_INV, 0, 1);
	rig_durable(0);
	rig_durable(1);
	rig_deliver(WIRE_ACK, 1, 0);
	rig_drop(WIRE_INV, 0, 2);
	rig_start(2, 2);
	rig_tick(2, 0);
	rig_deliver(WIRE_HELLO, 2, 0);
	rig_tick(0, 2);
	assert_non_null(rig_find(WIRE_INV, 0, 1)); /* asked again */
	rig_deliver(WIRE_INV, 0, 1);	       /* node 1 has not heard of the restart */
	assert_null(rig_find(WIRE_ACK, 1, 0));
	for (int i = 0; i < 4; i++) {
		rig_settle();
		for (uint8_t n = 0; n < NODES; n++)
			rig_tick(n, 20);
	}
	rig_settle();
	rig_answered(1, STATUS_OK, 2);
}

static void own_rmw_is_not_acked_to_a_replayer(void **state)
{
	(void)state;
	rig_do(0, WIRE_INCR, KEY, 1, "1", none);
	rig_deliver(WIRE_INV, 0, 1);
	rig_durable(0);
	rig_durable(1);
	rig_get(1, KEY, 2);
	rig_tick(1, 30); /* node 1 replays node 0's update */
	rig_holds(1, KEY, HERMES_REPLAY, 1, "1");
	rig_deliver(WIRE_INV, 1, 0);
	assert_null(rig_find(WIRE_ACK, 0, 1));
	rig_settle();
	rig_answered(1, STATUS_OK, 1);
	rig_answered(2, STATUS_OK, 1);
}

/* ---- loss, duplication, reordering ----------------------------------------------------------- */

static void lost_inv_is_sent_again(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "one");
	rig_drop(WIRE_INV, 0, 1);
	rig_settle();
	assert_int_equal(rig_answers[1], 0);
	rig_tick(0, 20);
	assert_null(rig_find(WIRE_INV, 0, 2)); /* only who has not answered */
	rig_settle();
	rig_answered(1, STATUS_OK, 2);
}

static void cc1_val_before_inv_is_ignored_then_replayed(void **state)
{
	struct rig_packet late;

	(void)state;
	rig_put(0, KEY, 1, "one");
	late = *rig_find(WIRE_INV, 0, 1);
	rig_deliver(WIRE_INV, 0, 1);
	rig_settle();
	rig_holds(1, KEY, HERMES_VALID, 2, "one");
	/* A second update whose VAL overtakes the INV at node 1. */
	rig_put(0, KEY, 2, "two");
	late = *rig_find(WIRE_INV, 0, 1);
	rig_deliver(WIRE_INV, 0, 2);
	rig_forget(1, KEY); /* as if node 1 had never heard of the key */
	{
		struct rig_packet val = { .from = 0, .to = 1, .from_incarnation = 1,
			.to_incarnation = 1, .epoch = replica_epoch(rig_nodes[0].r),
			.m = { .type = WIRE_VAL, .key_bytes = 1, .ts = { 4, writer_make(0, 1) } },
			.bytes = "k" };

		rig_give(&val);
	}
	rig_holds(1, KEY, HERMES_VALID, 0, "");
	rig_drop(WIRE_INV, 0, 1);
	rig_give(&late);
	rig_holds(1, KEY, HERMES_INVALID, 4, "two");
	rig_get(1, KEY, 3);
	rig_durable(1);
	rig_tick(1, 30);
	rig_holds(1, KEY, HERMES_REPLAY, 4, "two");
	rig_settle();
	rig_answered(3, STATUS_OK, 4);
}

static void cc2_lost_val_is_replayed(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "one");
	rig_deliver(WIRE_INV, 0, 1);
	rig_deliver(WIRE_INV, 0, 2);
	for (uint8_t n = 0; n < NODES; n++)
		rig_durable(n);
	rig_deliver(WIRE_ACK, 1, 0);
	rig_deliver(WIRE_ACK, 2, 0);
	rig_answered(1, STATUS_OK, 2);
	rig_drop(WIRE_VAL, 0, 1);
	rig_drop(WIRE_VAL, 0, 2);
	rig_get(1, KEY, 2);
	assert_int_equal(rig_answers[2], 0);
	rig_tick(1, 30);
	rig_holds(1, KEY, HERMES_REPLAY, 2, "one");
	rig_settle();
	rig_answered(2, STATUS_OK, 2);
	for (uint8_t n = 0; n < NODES; n++)
		rig_holds(n, KEY, HERMES_VALID, 2, "one");
}

static void cc3_duplicate_inv_keeps_the_key_valid(void **state)
{
	struct rig_packet copy;

	(void)state;
	rig_put(0, KEY, 1, "one");
	copy = *rig_find(WIRE_INV, 0, 1);
	rig_settle();
	rig_give(&copy);
	rig_holds(1, KEY, HERMES_VALID, 2, "one");
	assert_non_null(rig_find(WIRE_ACK, 1, 0));
	rig_settle();
	assert_int_equal(rig_answers[1], 1);
}

static void cc4_a_replayer_completes_my_write(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "one");
	rig_deliver(WIRE_INV, 0, 1);
	rig_deliver(WIRE_INV, 0, 2);
	for (uint8_t n = 0; n < NODES; n++)
		rig_durable(n);
	rig_drop(WIRE_ACK, 1, 0);
	rig_drop(WIRE_ACK, 2, 0);
	rig_get(1, KEY, 2);
	rig_tick(1, 30);
	rig_deliver(WIRE_INV, 1, 0); /* my own timestamp comes back */
	rig_holds(0, KEY, HERMES_WRITE, 2, "one");
	rig_deliver(WIRE_ACK, 0, 1);
	rig_deliver(WIRE_INV, 1, 2);
	rig_deliver(WIRE_ACK, 2, 1);
	rig_answered(2, STATUS_OK, 2);
	rig_deliver(WIRE_VAL, 1, 0);
	rig_answered(1, STATUS_OK, 2);
}

static void trans_asks_again_for_its_own_update(void **state)
{
	uint8_t hi = rig_newer(0, 2, 2), lo = hi ^ 2;

	(void)state;
	rig_put(lo, KEY, 1, "zero");
	rig_put(hi, KEY, 2, "two");
	rig_deliver(WIRE_INV, hi, lo);
	rig_drop(WIRE_INV, hi, 1);
	rig_drop(WIRE_INV, lo, 1);
	rig_drop(WIRE_INV, lo, hi);
	rig_durable(lo);
	rig_drop(WIRE_ACK, lo, hi);
	rig_tick(lo, 30);
	rig_holds(lo, KEY, HERMES_TRANS, 2, "two");
	/* First what is newer, then its own, which only who holds the newer one will take. */
	assert_int_equal(rig_find(WIRE_INV, lo, 1)->m.ts.writer, writer_make(hi, 1));
	rig_deliver(WIRE_INV, lo, 1);
	assert_int_equal(rig_find(WIRE_INV, lo, 1)->m.ts.writer, writer_make(lo, 1));
	assert_int_equal(rig_find(WIRE_INV, lo, 1)->m.flags, WIRE_OVERTAKEN);
	assert_memory_equal(rig_find(WIRE_INV, lo, 1)->bytes + 1, "zero", 4);
	rig_settle();
	rig_answered(1, STATUS_OK, 2);
	rig_run(40);
	rig_answered(2, STATUS_OK, 2);
	rig_holds(1, KEY, HERMES_VALID, 2, "two");
}

static void late_ack_for_a_reused_slot_does_not_count(void **state)
{
	struct rig_packet old;

	(void)state;
	rig_put(0, KEY, 1, "one");
	rig_deliver(WIRE_INV, 0, 1);
	rig_durable(1);
	old = *rig_find(WIRE_ACK, 1, 0);
	rig_settle();
	rig_put(0, KEY, 2, "two");
	rig_deliver(WIRE_INV, 0, 2);
	rig_durable(0);
	rig_durable(2);
	rig_deliver(WIRE_ACK, 2, 0);
	rig_give(&old); /* CC-8: node 1's ACK of the first write */
	assert_int_equal(rig_answers[2], 0);
	rig_settle();
	rig_answered(2, STATUS_OK, 4);
}

/* ---- restarts -------------------------------------------------------------------------------- */

/* restart: the disk kept the key, nothing else. */
static void restart(uint8_t n, uint32_t incarnation)
{
	rig_start(n, incarnation);
	if (rig_nodes[n].present[KEY]) {
		struct entry *e = rig_entry(n, KEY);

		e->state = HERMES_INVALID;
		e->op = e->wait = OP_NONE;
		e->persist_seq = 0;
		e->origin = 0;
	}
	for (int round = 0; round < 2; round++) {
		for (uint8_t i = 0; i < NODES; i++)
			rig_tick(i, 1000);
		rig_settle();
	}
	rig_open(n, 2000u + n, 1);
}

static void cc12_a_new_incarnation_makes_new_timestamps(void **state)
{
	struct rig_packet old;

	(void)state;
	rig_put(0, KEY, 1, "one");
	rig_deliver(WIRE_INV, 0, 1);
	old = *rig_find(WIRE_INV, 0, 2);
	rig_drop(WIRE_INV, 0, 2);
	rig_forget(0, KEY); /* its record was not durable: the crash took it */
	restart(0, 2);
	rig_entry(0, KEY)->state = HERMES_VALID;
	rig_put(0, KEY, 2, "other");
	assert_int_equal(rig_entry(0, KEY)->version, 2);
	assert_int_equal(rig_entry(0, KEY)->writer, writer_make(0, 2));
	rig_give(&old); /* a frame of the dead incarnation */
	rig_holds(2, KEY, HERMES_VALID, 0, "");
	rig_settle();
	rig_answered(2, STATUS_OK, 2);
	for (uint8_t n = 0; n < NODES; n++)
		rig_holds(n, KEY, HERMES_VALID, 2, "other");
}

static void after_a_restart_keys_are_replayed_on_touch(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "one");
	rig_settle();
	restart(1, 2);
	rig_holds(1, KEY, HERMES_INVALID, 2, "one");
	rig_get(1, KEY, 2);
	assert_int_equal(rig_answers[2], 0);
	rig_tick(1, 2);
	rig_settle();
	rig_answered(2, STATUS_OK, 2);
	assert_memory_equal(rig_value[2], "one", 3);
}

static void acks_to_a_dead_incarnation_are_not_sent(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "one");
	rig_deliver(WIRE_INV, 0, 1); /* its ACK is held for the disk */
	rig_drop(WIRE_INV, 0, 2);
	rig_start(0, 2);
	rig_tick(0, 0);
	rig_deliver(WIRE_HELLO, 0, 1);
	rig_durable(1);
	assert_null(rig_find(WIRE_ACK, 1, 0));
}

/* ---- sessions and refusals ------------------------------------------------------------------- */

static void a_retried_update_takes_effect_once(void **state)
{
	(void)state;
	rig_do(0, WIRE_INCR, KEY, 1, "1", none);
	rig_do(0, WIRE_INCR, KEY, 1, "1", none); /* under way: dropped */
	rig_settle();
	assert_int_equal(rig_answers[1], 1);
	rig_do(0, WIRE_INCR, KEY, 1, "1", none); /* done: answered from the session */
	assert_int_equal(rig_answers[1], 2);
	assert_int_equal((int64_t)load_u64(rig_value[1]), 1);
	rig_settle();
	rig_holds(1, KEY, HERMES_VALID, 1, "1");
}

static void an_unknown_session_is_told_so(void **state)
{
	(void)state;
	rig_nodes[0].session ^= 1ull << 40;
	rig_put(0, KEY, 1, "x");
	assert_int_equal(rig_result[1].status, STATUS_NO_SESSION);
	rig_holds(0, KEY, HERMES_VALID, 0, "");
}

static void a_client_of_another_cluster_gets_no_session(void **state)
{
	static uint8_t zero[WIRE_OPEN_BYTES];
	struct wire_header h = { .kind = WIRE_REQUEST, .cluster = 78, .from = 0xff, .to = 0 };
	struct wire_message m = { .type = WIRE_OPEN, .id = 5, .value = zero,
		.value_bytes = WIRE_OPEN_BYTES };
	struct event ev = { .kind = EVENT_REQUEST, .header = &h, .message = &m };
	uint64_t session = rig_nodes[0].session;

	(void)state;
	rig_step(0, &ev);
	assert_int_equal(rig_nodes[0].session, 0); /* the answer names none */
	assert_int_equal(replica_counters(rig_nodes[0].r)->foreign_cluster, 1);
	rig_nodes[0].session = session;
}

static void a_silent_peer_fails_updates_fast(void **state)
{
	(void)state;
	rig_now += 60ull * 1000 * MS;
	rig_put(0, KEY, 1, "x");
	assert_int_equal(rig_result[1].status, STATUS_NOT_SERVING);
	rig_holds(0, KEY, HERMES_VALID, 0, "");
}

static void low_space_keeps_deletes_and_reads(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_settle();
	replica_set_space(rig_nodes[1].r, SPACE_LOW, 1);
	for (uint8_t n = 0; n < NODES; n++)
		rig_tick(n, 1000);
	rig_settle();
	rig_put(0, KEY, 2, "y"); /* the peer's shortage counts as ours */
	assert_int_equal(rig_result[2].status, STATUS_NO_SPACE);
	rig_get(0, KEY, 3);
	rig_answered(3, STATUS_OK, 2);
	rig_do(0, WIRE_DEL, KEY, 4, NULL, none);
	rig_settle();
	rig_answered(4, STATUS_OK, 4);
}

static void a_failed_disk_makes_no_promises(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_deliver(WIRE_INV, 0, 1);
	replica_fail(rig_nodes[1].r);
	rig_durable(0);
	rig_deliver(WIRE_INV, 0, 2);
	rig_durable(2);
	rig_deliver(WIRE_ACK, 2, 0);
	assert_int_equal(rig_answers[1], 0);
	rig_get(1, KEY, 2);
	assert_int_equal(rig_result[2].status, STATUS_NOT_SERVING);
}

static void queue_runs_in_order_and_reads_see_their_version(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "a");
	rig_get(0, KEY, 2);
	rig_put(0, KEY, 3, "b");
	rig_get(0, KEY, 4);
	rig_settle();
	rig_answered(2, STATUS_OK, 2);
	assert_memory_equal(rig_value[2], "a", 1);
	rig_answered(3, STATUS_OK, 4);
	rig_answered(4, STATUS_OK, 4);
	assert_memory_equal(rig_value[4], "b", 1);
	assert_int_equal(replica_ops(rig_nodes[0].r), 0);
}

static void moves_are_those_of_the_diagram(void **state)
{
	static const char *const allowed[HERMES_STATE_COUNT] = {
		"-iw--", "v--r-", "vi--t", "vi---", "vi---",
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
		CASE(trans_completes_when_all_have_seen_it),
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
		CASE(trans_asks_again_for_its_own_update),
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
