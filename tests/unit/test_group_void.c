/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node that has dropped its entries for a full copy (COPIED_WHOLE): it has its log still, and
 * votes with it; it does not lead, acknowledges nothing, and asks for nothing in its clients' name.
 */
#include "tests/unit/group_rig.h"

#include <stdlib.h>

#define SEEDS 6u

static bool empty(uint8_t n)
{
	return gr.node[n].r->group->is_void;
}

static enum raft_role role(uint8_t n)
{
	return raft_role(replica_raft(gr.node[n].r));
}

/* begin: a group at work; *ret_away: one that follows. */
static void begin(uint64_t seed, uint8_t *ret_away)
{
	gr_begin(3, seed, 0);
	gr.greedy = true;
	gr.clients = 12;
	gr_run(500);
	*ret_away = (uint8_t)((gr_leader() + 1) % 3);
}

/* drops: it copies over a slow network, and has just dropped its entries; whom from. */
static uint8_t drops(uint8_t away)
{
	struct gr_node *node = &gr.node[away];

	gr.delay_max_us = 3000;
	for (uint32_t ms = 0; node->resets == 0 && ms < 1000; ms++)
		gr_run(1);
	assert_int_equal(node->resets, 1);
	assert_true(empty(away));
	assert_true(gr_leader() >= 0 && gr_leader() != away);
	return (uint8_t)gr_leader();
}

/* come_back: a node that is down starts when the others have forgotten deletes, and drops all. */
static uint8_t come_back(uint8_t away)
{
	gr_run(3000);
	gr_start(away, 0);
	assert_true(raft_last(replica_raft(gr.node[away].r)) > 1);
	return drops(away);
}

/* emptied: a node that came back and has just dropped its entries. *ret_leader: its donor. */
static uint8_t emptied(uint64_t seed, uint8_t *ret_leader)
{
	uint8_t away;

	begin(seed, &away);
	gr_crash(away);
	*ret_leader = come_back(away);
	return away;
}

static void finish(void)
{
	gr.delay_max_us = 100;
	gr_finish();
	gr_end();
}

/* Its log and its conf are there after a start, too, and what the log was applied to is not. */
static void log_outlives_state(void **state)
{
	uint8_t away, leader;
	uint64_t last;

	(void)state;
	away = emptied(6, &leader);
	last = raft_last(replica_raft(gr.node[away].r));
	assert_true(last > 1);
	gr_run(10);
	assert_false(group_joined(gr.node[away].r));
	gr_crash(away);
	gr_start(away, 0);
	assert_int_equal(raft_last(replica_raft(gr.node[away].r)), last);
	assert_int_equal(raft_conf(replica_raft(gr.node[away].r))->voters, 7);
	assert_true(empty(away));
	assert_int_equal(group_applied(gr.node[away].r), 0);
	finish();
}

/*
 * R30: the third node is gone for good, and the one that has everything starts again: it needs the
 * vote of the one that copies from it, which may have started again, too.
 */
static void elects_who_has_everything(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 2 * SEEDS; seed++) {
		uint8_t leader, away = emptied(seed, &leader), third = (uint8_t)(3 - leader - away);
		uint32_t ms = 0;

		gr_crash(third);
		gr.asked = (uint8_t)(1u << leader);
		gr_run(seed % 5);
		gr_crash(leader);
		if (seed % 2 == 0)
			gr_crash(away);
		gr_start(leader, 0);
		if (seed % 2 == 0)
			gr_start(away, 0);
		while (role(leader) != RAFT_LEADER && ms++ < 500)
			gr_run(1);
		assert_int_equal(role(leader), RAFT_LEADER);
		while ((empty(away) || gr_leader() != leader) && ms++ < 2000)
			gr_run(1);
		assert_false(empty(away));
		assert_int_equal(gr_leader(), leader);
		finish();
	}
}

/* What it acknowledged would be taken for a copy; and it has nothing to lead with. */
static void is_no_copy_and_no_leader(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		uint8_t leader, away = emptied(seed, &leader), third = (uint8_t)(3 - leader - away);
		uint64_t commit;

		gr_crash(third);
		gr.asked = (uint8_t)(1u << leader);
		gr_run(20); /* what it acknowledged before */
		for (uint32_t ms = 0; ms < 1000 && empty(away); ms++) {
			commit = raft_commit(replica_raft(gr.node[leader].r));
			gr_run(1);
			if (empty(away))
				assert_int_equal(raft_commit(replica_raft(gr.node[leader].r)),
						 commit);
		}
		finish();
		away = emptied(seed, &leader);
		gr_crash(leader);
		gr_crash((uint8_t)(3 - leader - away));
		gr_run(5);
		gr_crash(away); /* so that it waits for no snapshot either */
		gr_start(away, 0);
		assert_true(empty(away));
		for (uint32_t ms = 0; ms < 300; ms++) {
			gr_run(1);
			assert_int_equal(role(away), RAFT_FOLLOWER);
		}
		finish();
	}
}

/* by_hand: one update, and its answer, which comes within a second. */
static void by_hand(uint8_t n, uint64_t id)
{
	gr.result.id = 0;
	gr_request(n, WIRE_INCR, 0, id, "1", (struct op_ts){ 0, 0 });
	for (uint32_t ms = 0; ms < 1000 && gr.result.id != id; ms++)
		gr_run(1);
	assert_int_equal(gr.result.id, id);
}

/* shortened: a node that is down dropped its log up to this index as the last thing it did. */
static void shortened(uint8_t n, uint64_t index, uint32_t term)
{
	uint8_t conf[RAFT_CONF_BYTES];
	struct raft_record record = { .kind = RAFT_RECORD_SNAPSHOT };

	raft_conf_encode(conf, &(struct raft_conf){ .voters = 7 });
	record.entry = (struct raft_entry){ .index = index, .term = term, .data = conf,
					    .bytes = sizeof(conf) };
	gr_record(n, &record);
}

/* crash_at: what this node wrote behind this entry is not on its disk. */
static void crash_at(uint8_t n, uint64_t index)
{
	struct gr_node *node = &gr.node[n];
	uint32_t keep = 0;

	while (node->log[keep].kind != ACTION_RAFT_PERSIST ||
	       node->log[keep].raft.kind != RAFT_RECORD_ENTRY ||
	       node->log[keep].raft.entry.index <= index)
		keep++;
	assert_true(keep < node->log_durable);
	node->log_durable = keep;
	node->writing = 0;
	gr_crash(n);
}

/*
 * Its log begins above what the only other node left knows to be committed, which can commit
 * nothing without it, and so give it no copy that is new enough: but for what it is told.
 */
static void tells_what_is_committed(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		const struct raft *raft;
		struct raft_entry at;
		uint8_t away, other;
		uint64_t last;

		begin(seed, &away);
		raft = replica_raft(gr.node[away].r);
		last = raft_last(raft);
		raft_entry(raft, raft_commit(raft) - 8, &at);
		gr_crash(away);
		shortened(away, at.index, at.term);
		other = come_back(away);
		gr_run(10);
		gr_wipe((uint8_t)(3 - other - away)); /* it does not come back */
		crash_at(other, last + 1);
		gr_crash(away);
		gr.quiet = true; /* what clients were told since is gone with the disks */
		for (uint32_t c = 0; c < GR_CLIENTS; c++)
			gr.client[c].type = 0;
		gr_start(other, 0);
		gr_start(away, 0);
		assert_true(empty(away));
		raft = replica_raft(gr.node[other].r);
		assert_true(raft_base(replica_raft(gr.node[away].r)) > raft_commit(raft));
		for (uint32_t ms = 0; ms < 2000 && (empty(away) || gr_leader() != other); ms++)
			gr_run(1);
		assert_false(empty(away));
		assert_int_equal(gr_leader(), other);
		by_hand(away, 100000);
		assert_int_equal(gr.result.status, STATUS_OK);
		assert_true(raft_commit(raft) > last);
		gr_end();
	}
}

/*
 * It acknowledges nothing while it copies, and is heard. Others' updates do not wait for it, though
 * the stores have room for few more keys than the log has entries which it lacks.
 */
static void others_go_on(void **state)
{
	uint64_t grown = 0; /* as much as without a limit: 605; held back: 176 */

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		uint8_t leader, away = emptied(seed, &leader);
		uint64_t from, to;

		gr_crash(leader);
		gr_start(leader, 0);
		gr_run(100);
		assert_true(empty(away) && gr_leader() >= 0);
		gr.room = 200;
		from = to = raft_commit(replica_raft(gr.node[gr_leader()].r));
		while (empty(away)) {
			gr_run(1);
			if (gr_leader() >= 0)
				to = raft_commit(replica_raft(gr.node[gr_leader()].r));
		}
		grown += to - from;
		gr.room = 0;
		finish();
	}
	assert_true(grown > 500);
}

/*
 * R09: reads that are under way when it drops its entries, and those that come then, are answered
 * with what is current once the copy is there; word of an index that an earlier read was told says
 * nothing about them.
 */
static void reads_outlive_it(void **state)
{
	uint32_t under_way = 0, reads = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 4 * SEEDS; seed++) {
		uint8_t leader, away = emptied(seed, &leader);
		struct group *g = gr.node[away].r->group;
		struct raft_message ack = { .type = RAFT_READ_ACK, .index = 1,
					    .term = raft_term(replica_raft(gr.node[away].r)) };
		struct wire_header h = { .kind = WIRE_RAFT, .cluster = GR_CLUSTER, .from = leader,
					 .to = away,
					 .from_incarnation = gr.node[leader].incarnation,
					 .to_incarnation = gr.node[away].incarnation };
		uint64_t asked = raft_reads(replica_raft(gr.node[away].r));
		bool open = g->asked.first != OP_NONE;

		under_way += open;
		gr_run(12);
		for (uint64_t i = 0; i + open < asked; i++) {
			struct event ev = { .kind = EVENT_RAFT, .header = &h, .raft = &ack };
			struct actions a;

			ev.now_ns = gr.now;
			ev.persist_seq_next =
				gr.node[away].log_count - gr.node[away].log_start + 1;
			ack.id = (uint64_t)gr.node[away].incarnation << 40 | i;
			(void)replica_step(gr.node[away].r, &ev, &a);
			assert_int_equal(a.count, 0);
		}
		for (uint32_t i = g->ready.first; i != OP_NONE; i = g->asks[i].queue)
			assert_true(g->asks[i].index > 1);
		reads += (uint32_t)asked;
		finish();
	}
	assert_true(under_way > 0 && reads > 0);
}

/*
 * Who knows nothing cannot say up to where it knew its clients (beyond index 2^32 the low half of
 * that would be taken for another index): it takes nothing, and its clients go elsewhere. That
 * nothing became of it this node cannot tell, either.
 */
static void asks_for_nothing(void **state)
{
	uint8_t leader, away;

	(void)state;
	away = emptied(6, &leader);
	gr.quiet = true;
	gr_request(away, WIRE_PUT, 30, 1000, "x", (struct op_ts){ 0, 0 });
	assert_int_equal(gr.result.id, 1000);
	assert_int_equal(gr.result.status, STATUS_UNKNOWN);
	for (uint32_t ms = 0; ms < 2000 && empty(away); ms++)
		gr_run(1);
	assert_false(empty(away));
	gr_request(away, WIRE_PUT, 30, 1001, "x", (struct op_ts){ 0, 0 });
	for (uint32_t ms = 0; ms < 1000 && gr.result.id != 1001; ms++)
		gr_run(1);
	assert_int_equal(gr.result.status, STATUS_OK);
	gr_end();
}

/*
 * S-ONCE: it executed an update whose answer was lost, and dropped its state in the same life: a
 * copy of that request is not told that it was not applied, and nothing more certain than that
 * before this node has applied as much again, whatever else it would refuse it for.
 */
static void denies_nothing_it_may_have_done(void **state)
{
	uint8_t away;
	int64_t sum;

	(void)state;
	begin(6, &away);
	by_hand(away, 1000);
	assert_int_equal(gr.result.status, STATUS_OK);
	sum = (int64_t)load_u64(gr.result_value);
	gr.asked = (uint8_t)(7u & ~(1u << away));
	for (uint8_t n = 0; n < 3; n++)
		gr_cut(away, n, n != away);
	gr_run(3000);
	gr_heal();
	(void)drops(away);
	by_hand(away, 1000);
	assert_int_equal(gr.result.status, STATUS_UNKNOWN);
	by_hand(away, 1001); /* this one it has not seen; it cannot know that */
	assert_int_equal(gr.result.status, STATUS_UNKNOWN);
	for (uint32_t ms = 0; ms < 2000 && empty(away); ms++)
		gr_run(1);
	assert_false(empty(away));
	by_hand(away, 1000);
	assert_int_equal(gr.result.status, STATUS_OK);
	assert_int_equal((int64_t)load_u64(gr.result_value), sum);
	by_hand(away, 1001);
	assert_int_equal(gr.result.status, STATUS_OK);
	/* What came by copy is of before what it had applied itself. */
	gr.node[away].r->group->knew = UINT64_MAX;
	for (uint8_t n = 0; n < 3; n++)
		gr_cut(away, n, n != away);
	gr_run(500);
	by_hand(away, 1002);
	assert_int_equal(gr.result.status, STATUS_UNKNOWN);
	gr_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_outlives_state),
		cmocka_unit_test(elects_who_has_everything),
		cmocka_unit_test(is_no_copy_and_no_leader),
		cmocka_unit_test(tells_what_is_committed),
		cmocka_unit_test(others_go_on),
		cmocka_unit_test(reads_outlive_it),
		cmocka_unit_test(asks_for_nothing),
		cmocka_unit_test(denies_nothing_it_may_have_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
