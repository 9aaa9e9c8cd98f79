/* SPDX-License-Identifier: Apache-2.0 */
/* The raft engine: whole groups in memory (group_rig.h). */
#include "tests/unit/group_rig.h"

#include <stdlib.h>

static void elects_and_serves(void **state)
{
	(void)state;
	gr_begin(3, 1, 0);
	gr_run(200);
	assert_int_equal(gr_leader() >= 0, 1);
	gr_request(0, WIRE_PUT, 3, 1, "hello", (struct op_ts){ 0, 0 });
	gr_run(5);
	assert_int_equal(gr.results, 1);
	assert_int_equal(gr.result.status, STATUS_OK);
	for (uint8_t n = 0; n < 3; n++) {
		gr_request(n, WIRE_GET, 3, 10u + n, NULL, (struct op_ts){ 0, 0 });
		gr_run(5);
		assert_int_equal(gr.results, 2 + n);
		assert_int_equal(gr.result.status, STATUS_OK);
		assert_memory_equal(gr.result_value, "hello", 5);
	}
	gr_end();
}

/* What the view service is told of: nobody is free to go who may still be counted on. */
static void says_who_counts(void **state)
{
	(void)state;
	gr_begin(3, 1, 0);
	gr_run(200);
	for (uint8_t n = 0; n < 3; n++)
		assert_int_equal(replica_groups(gr.node[n].r), 7);
	gr_cut(2, 0, true);
	gr_cut(2, 1, true);
	gr_run(200);
	assert_int_equal(replica_groups(gr.node[2].r), 0xff);
	gr_end();
}

static void counts_without_faults(void **state)
{
	(void)state;
	gr_begin(3, 2, 0);
	gr.clients = 8;
	gr_run(3000);
	gr.quiet = true;
	gr_settle(2000);
	gr_check_same();
	gr_check_counts();
	gr_end();
}

static void leader_dies(void **state)
{
	int leader;

	(void)state;
	gr_begin(3, 3, 0);
	gr.clients = 8;
	gr_run(500);
	leader = gr_leader();
	assert_true(leader >= 0);
	gr_crash((uint8_t)leader);
	gr.asked &= (uint8_t)~(1u << leader);
	gr_run(1000);
	assert_true(gr_leader() >= 0);
	gr_start((uint8_t)leader, 0);
	gr_run(500);
	gr_finish();
	gr_end();
}

/* The log in memory is 256 entries: who was away for longer copies. */
static void copies_what_the_log_lacks(void **state)
{
	uint8_t away;

	(void)state;
	gr_begin(3, 4, 0);
	gr.clients = 12;
	gr_run(500);
	away = (uint8_t)((gr_leader() + 1) % 3);
	gr_crash(away);
	gr.asked &= (uint8_t)~(1u << away);
	gr_run(4000);
	gr_start(away, 0);
	gr_run(1000);
	assert_true(replica_counters(gr.node[away].r)->joins > 0);
	assert_int_equal(gr.node[away].resets, 0);
	gr_finish();
	gr_end();
}

static void third_is_witness(struct replica_config *c)
{
	c->witness = c->node == 2;
	c->witnesses = 4;
	c->founders = 7;
}

/*
 * A witness that got a snapshot and starts again knows where its log begins, though it holds
 * nothing: it takes entries, and lets go of them, for as long as the other one is gone.
 */
static void witness_comes_back(void **state)
{
	uint64_t before = 0;
	int other;

	(void)state;
	gr_adjust = third_is_witness;
	gr_begin(3, 9, 7);
	gr.clients = 12;
	gr.asked = 3;
	gr_run(300);
	gr_crash(2);
	gr_run(4000);
	gr_start(2, 7);
	gr_run(300);
	gr_crash(2);
	gr_start(2, 7);
	gr_run(300);
	assert_in_range(gr_leader(), 0, 1);
	other = 1 - gr_leader();
	gr_crash((uint8_t)other);
	gr.asked = (uint8_t)(1u << gr_leader());
	gr_run(1000);
	before = raft_commit(replica_raft(gr.node[gr_leader()].r));
	gr_run(4000);
	assert_true(raft_commit(replica_raft(gr.node[gr_leader()].r)) > before + 600);
	gr_adjust = NULL;
	gr_end();
}

static void with_views(struct replica_config *c)
{
	c->views = true;
}

static void witness_and_views(struct replica_config *c)
{
	c->views = true;
	c->witness = c->node == 2;
	c->witnesses = 4 & c->founders;
}

/* The voters are never changed to such as could decide nothing: no change would get them out. */
static void no_conf_without_majority(void **state)
{
	struct view v = {
		.epoch = 1, .members = 7, .first_disk = true, .incarnation = { 1, 1, 1 }
	};

	(void)state;
	gr_adjust = with_views;
	gr_begin(3, 10, 7);
	gr_view(&v);
	gr_run(300);
	gr_crash(2);
	gr_run(100);
	v.epoch = 2;
	v.members = 5;
	gr_view(&v);
	gr_run(1000);
	assert_in_range(gr_leader(), 0, 1);
	assert_int_equal(raft_conf(replica_raft(gr.node[gr_leader()].r))->voters, 7);
	assert_int_equal(raft_conf(replica_raft(gr.node[gr_leader()].r))->voters_old, 0);
	gr_start(2, 7);
	gr_view(&v);
	gr_run(2000);
	assert_true(gr_leader() == 0 || gr_leader() == 2);
	assert_int_equal(raft_conf(replica_raft(gr.node[gr_leader()].r))->voters, 5);
	gr_adjust = NULL;
	gr_end();
}

/* The only voter leaves when the others have become voters, not before (seed 2058). */
static void last_voter_leaves(void **state)
{
	struct view v = {
		.epoch = 1, .members = 3, .first_disk = true, .incarnation = { 1, 1 }
	};

	(void)state;
	gr_adjust = with_views;
	gr_begin(2, 14, 3);
	gr_view(&v);
	gr_run(300);
	v.epoch = 2;
	v.members = 1;
	gr_view(&v);
	gr_run(1000);
	assert_int_equal(gr_leader(), 0);
	assert_int_equal(raft_conf(replica_raft(gr.node[0].r))->voters, 1);
	v.epoch = 3;
	v.members = 2;
	gr_view(&v);
	gr_run(3000);
	assert_int_equal(gr_leader(), 1);
	assert_int_equal(raft_conf(replica_raft(gr.node[1].r))->voters, 2);
	gr_adjust = NULL;
	gr_end();
}

/* A witness that the view has let go, and that votes until others can, stays one meanwhile. */
static void witness_stays_one(void **state)
{
	struct view v = { .epoch = 1, .members = 1, .witnesses = 4, .first_disk = true,
			  .incarnation = { 1, 1, 1 } };
	uint32_t kept = 0;

	(void)state;
	gr_adjust = witness_and_views;
	gr_begin(3, 15, 5);
	gr_view(&v);
	gr_run(300);
	gr_start(1, 0);
	v.epoch = 2;
	v.members = 2;
	v.witnesses = 0;
	gr_view(&v);
	for (uint32_t ms = 0; ms < 3000; ms++) {
		const struct raft_conf *c = raft_conf(replica_raft(gr.node[0].r));

		assert_int_equal((c->voters | c->voters_old) & 4 & ~c->witnesses, 0);
		kept += c->voters == 5 && c->learners == 2;
		gr_run(1);
	}
	assert_true(kept > 0);
	assert_int_equal(gr_leader(), 1);
	assert_int_equal(raft_conf(replica_raft(gr.node[1].r))->voters, 2);
	gr_adjust = NULL;
	gr_end();
}

/* R19: an empty disk under a voter's number is told nothing before a view names it. */
static void empty_disk_is_a_stranger(void **state)
{
	struct view v = {
		.epoch = 1, .members = 7, .first_disk = true, .incarnation = { 1, 1, 1 }
	};

	(void)state;
	gr_adjust = with_views;
	gr_begin(3, 12, 7);
	gr.asked = 3;
	gr.clients = 8;
	gr_view(&v);
	gr_run(500);
	gr_wipe(2);
	gr_start(2, 0);
	gr_run(1000);
	assert_int_equal(raft_conf(replica_raft(gr.node[2].r))->voters, 0);
	v.epoch = 2;
	gr_view(&v);
	gr_run(1000);
	assert_int_equal(raft_conf(replica_raft(gr.node[2].r))->voters, 7);
	gr_adjust = NULL;
	gr_end();
}

/* put: until it is acknowledged: whoever leads. */
static void put(uint8_t n, const char *value, uint64_t id)
{
	for (uint32_t i = 0; i < 20; i++) {
		gr_request(n, WIRE_PUT, 3, id + i, value, (struct op_ts){ 0, 0 });
		gr_run(200);
		if (gr.result.status == STATUS_OK)
			return;
	}
	fail();
}

/*
 * R19, R20: the disk of a founder is lost, and formatted as on the first day: it does not vote as
 * if it were the one that acknowledged what the third node lacks, however often it starts.
 */
static void blank_founder_has_no_vote(void **state)
{
	struct view v = {
		.epoch = 1, .members = 7, .first_disk = true, .incarnation = { 1, 1, 1 }
	};

	(void)state;
	gr_adjust = with_views;
	gr_begin(3, 21, 7);
	gr_view(&v);
	gr_run(500);
	gr_cut(1, 0, true);
	gr_cut(0, 1, true);
	gr_cut(1, 2, true);
	gr_cut(2, 1, true);
	put(0, "late", 1);
	gr_crash(0);
	gr_wipe(2);
	gr_heal();
	for (uint32_t i = 0; i < 2; i++) {
		gr_start(2, 7);
		gr_run(2000);
		assert_int_equal(gr_leader(), -1);
		gr_crash(2);
	}
	gr_start(0, 7);
	gr_view(&v);
	gr_run(1000);
	gr_request(gr_leader() == 0 ? 1 : 0, WIRE_GET, 3, 100, NULL, (struct op_ts){ 0, 0 });
	gr_run(100);
	assert_memory_equal(gr.result_value, "late", 4);
	/* Replaced: what it was formatted for makes it no founder. */
	gr_start(2, 7);
	v = (struct view){ .epoch = 2, .members = 3, .shadows = 4 };
	gr_view(&v);
	gr_run(1000);
	assert_int_equal(raft_conf(replica_raft(gr.node[2].r))->learners, 4);
	assert_true(gr.node[2].present[3]);
	gr_adjust = NULL;
	gr_end();
}

/* A cluster that is young: founders start again before there is a view, and one comes late. */
static void founders_come_late(void **state)
{
	struct view v = {
		.epoch = 1, .members = 3, .first_disk = true, .incarnation = { 2, 2 }
	};

	(void)state;
	gr_adjust = with_views;
	gr_begin(3, 22, 7);
	gr_run(300);
	assert_int_equal(gr_leader(), -1); /* nobody knows yet which disks there are */
	for (uint8_t n = 0; n < 3; n++)
		gr_crash(n);
	gr_start(0, 7);
	gr_start(1, 7);
	gr_view(&v);
	gr_run(500);
	put(0, "early", 1);
	gr_start(2, 7);
	gr_run(300);
	assert_int_equal(raft_conf(replica_raft(gr.node[2].r))->voters, 0);
	v.epoch = 2;
	v.shadows = 4;
	gr_view(&v);
	gr_run(1000);
	assert_true(gr.node[2].present[3]);
	v.epoch = 3;
	v.members = 7;
	v.shadows = 0;
	gr_view(&v);
	gr_run(1000);
	for (uint8_t n = 0; n < 3; n++)
		assert_int_equal(raft_conf(replica_raft(gr.node[n].r))->voters, 7);
	gr_crash(0);
	put(1, "later", 100);
	gr_adjust = NULL;
	gr_end();
}

/* R28: a leader that cannot write says so, and who waits at it hears of it at once. */
static void failed_leader_makes_way(void **state)
{
	uint8_t leader;

	(void)state;
	gr_begin(3, 11, 0);
	gr_run(300);
	leader = (uint8_t)gr_leader();
	for (uint8_t n = 0; n < 3; n++)
		gr_cut(leader, n, n != leader);
	gr_request(leader, WIRE_PUT, 3, 1, "one", (struct op_ts){ 0, 0 });
	gr_run(2);
	assert_int_equal(gr.results, 0);
	gr_heal();
	replica_fail(gr.node[leader].r);
	gr_run(20);
	assert_int_equal(gr.results, 1);
	assert_int_equal(gr.result.status, STATUS_UNKNOWN);
	assert_true(gr_leader() >= 0 && gr_leader() != leader);
	gr_end();
}

/* What may be in somebody's log is never said to be in none. */
static void unknown_stays_unknown(void **state)
{
	uint8_t n;

	(void)state;
	gr_begin(3, 5, 0);
	gr_run(300);
	n = (uint8_t)((gr_leader() + 1) % 3);
	for (uint8_t m = 0; m < 3; m++)
		gr_cut(n, m, m != n);
	gr_request(n, WIRE_PUT, 3, 1, "one", (struct op_ts){ 0, 0 });
	gr_run(500);
	assert_int_equal(gr.result.status, STATUS_UNKNOWN);
	gr_request(n, WIRE_PUT, 3, 1, "one", (struct op_ts){ 0, 0 });
	assert_int_equal(gr.results, 2);
	assert_int_equal(gr.result.status, STATUS_UNKNOWN);
	/* One that was never sent is refused for good. */
	gr_request(n, WIRE_PUT, 4, 2, "two", (struct op_ts){ 0, 0 });
	assert_int_equal(gr.result.status, STATUS_NOT_SERVING);
	gr_heal();
	gr_run(300);
	gr_request(n, WIRE_PUT, 4, 2, "two", (struct op_ts){ 0, 0 });
	assert_int_equal(gr.result.status, STATUS_NOT_SERVING);
	gr_request(n, WIRE_PUT, 3, 1, "one", (struct op_ts){ 0, 0 });
	gr_run(50);
	assert_int_equal(gr.result.status, STATUS_OK);
	gr_end();
}

static void few_sessions(struct replica_config *c)
{
	c->sessions_max = 6;
}

static void some_sessions(struct replica_config *c)
{
	c->sessions_max = 20;
}

/*
 * A node without a leader refuses, for good: a copy of the request that names this very node as the
 * one asked first, because its client had heard nothing from it, is not executed afterwards.
 */
static void refused_stays_refused(void **state)
{
	struct op_ts none = { 0, 0 };

	(void)state;
	gr_begin(3, 9, 0);
	gr_run(200);
	gr_request(0, WIRE_INCR, 1, 1, "1", none);
	gr_run(50);
	assert_int_equal(gr.result.status, STATUS_OK);
	gr_crash(1);
	gr_crash(2);
	gr_run(1000);
	gr_request(0, WIRE_INCR, 1, 2, "1", none);
	gr_run(5);
	assert_int_equal(gr.result.status, STATUS_NOT_SERVING);
	gr_start(1, 0);
	gr_start(2, 0);
	gr_run(1000);
	gr.prior = writer_make(0, gr.node[0].incarnation);
	gr_request(0, WIRE_INCR, 1, 2, "1", none);
	gr_run(50);
	assert_int_equal(gr.result.status, STATUS_NOT_SERVING);
	assert_int_equal(gr_value(0, 1), 1);
	gr_end();
}

static void odd_sessions(struct replica_config *c)
{
	c->sessions_max = c->node == 2 ? 20 : 64;
}

/* A node that would forget other sessions than the others would hold another state: it is left. */
static void another_shape_is_refused(void **state)
{
	(void)state;
	gr_adjust = odd_sessions;
	gr_begin(3, 8, 0);
	gr.asked = 3;
	gr.clients = 8;
	gr_run(1000);
	gr_adjust = NULL;
	assert_in_range(gr_leader(), 0, 1);
	assert_true(gr.client[0].done > 0);
	assert_int_equal(raft_commit(replica_raft(gr.node[2].r)), 1);
	for (uint8_t n = 0; n < 3; n++) {
		assert_true(replica_counters(gr.node[n].r)->shape_mismatch > 0);
		assert_true(replica_counters(gr.node[n].r)->unintroduced > 0);
	}
	gr_end();
}

static void one_seed(uint64_t seed)
{
	gr_adjust = seed % 3 == 0 ? few_sessions : NULL;
	gr_begin(3, seed, 0);
	gr.greedy = seed % 2 == 0;
	gr.clients = 4 + (uint32_t)gr_rand(20);
	gr.disk_us = 100 + (uint32_t)gr_rand(3000);
	gr_run(200);
	for (uint32_t i = 0; i < 12; i++) {
		uint8_t n = (uint8_t)gr_rand(3), m = (uint8_t)gr_rand(3);

		gr.loss_permille = gr_rand(3) == 0 ? (uint32_t)gr_rand(200) : 0;
		gr.delay_max_us = 1 + (uint32_t)gr_rand(gr_rand(4) == 0 ? 20000 : 300);
		switch (gr_rand(6)) {
		case 0:
		case 1:
			if (gr.node[n].r)
				gr_crash(n);
			break;
		case 2:
			if (gr.node[n].r)
				gr_pause(n, gr_rand(400));
			break;
		case 3:
			gr_cut(n, m, n != m);
			break;
		case 4:
			gr.cut[n] |= (uint8_t)(1u << m & ~(1u << n));
			break;
		default:
			memset(gr.cut, 0, sizeof(gr.cut));
			break;
		}
		gr_run(gr_rand(600));
		if (!gr.node[m].r)
			gr_start(m, (uint8_t)gr.node[m].founders);
	}
	gr_finish();
	gr_end();
	gr_adjust = NULL;
}

/* One node is away for long, comes back over a slow network, and dies again in its copy. */
static void copy_seed(uint64_t seed)
{
	uint8_t away;

	gr_adjust = seed % 3 == 0 ? few_sessions : seed % 3 == 1 ? some_sessions : NULL;
	gr_begin(3, seed, 0);
	gr.greedy = seed % 2 == 0;
	gr.clients = 14 + (uint32_t)gr_rand(10);
	gr_run(300);
	away = (uint8_t)gr_rand(3);
	for (uint32_t i = 0; i < 4; i++) {
		bool dies = gr_rand(2) != 0;

		gr.delay_max_us = 1 + (uint32_t)gr_rand(300);
		if (dies)
			gr_crash(away);
		for (uint8_t n = 0; n < 3; n++)
			gr_cut(away, n, n != away);
		gr_run(600 + gr_rand(2000));
		gr_heal();
		gr.delay_max_us = 1 + (uint32_t)gr_rand(8000);
		if (dies)
			gr_start(away, 0);
		else
			gr_run(gr_rand(600));
		if (!dies)
			gr_crash(away);
		if (!dies)
			gr_start(away, 0);
		gr_run(gr_rand(gr_rand(2) ? 900 : 300));
	}
	gr_finish();
	gr_end();
	gr_adjust = NULL;
}

/* Builds that check everything take their time. */
#ifdef CAIRN_DEBUG
#define SEEDS 8
#else
#define SEEDS 40
#endif

static void seeds(void **state)
{
	const char *from = getenv("GROUP_SEED"), *count = getenv("GROUP_SEEDS");
	uint64_t first = from ? strtoull(from, NULL, 10) : 1;
	uint64_t end = first + (count ? strtoull(count, NULL, 10) : SEEDS);

	(void)state;
	for (uint64_t seed = first; seed < end; seed++) {
		if (count)
			print_message("seed %llu\n", (unsigned long long)seed);
		one_seed(seed);
		copy_seed(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elects_and_serves),
		cmocka_unit_test(says_who_counts),
		cmocka_unit_test(counts_without_faults),
		cmocka_unit_test(leader_dies),
		cmocka_unit_test(copies_what_the_log_lacks),
		cmocka_unit_test(witness_comes_back),
		cmocka_unit_test(no_conf_without_majority),
		cmocka_unit_test(last_voter_leaves),
		cmocka_unit_test(witness_stays_one),
		cmocka_unit_test(empty_disk_is_a_stranger),
		cmocka_unit_test(blank_founder_has_no_vote),
		cmocka_unit_test(founders_come_late),
		cmocka_unit_test(failed_leader_makes_way),
		cmocka_unit_test(unknown_stays_unknown),
		cmocka_unit_test(refused_stays_refused),
		cmocka_unit_test(another_shape_is_refused),
		cmocka_unit_test(seeds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
