/* SPDX-License-Identifier: Apache-2.0 */
/* Raft: who takes part, who leads next, snapshots, recovery, reads and leases, in scripts. */
#include "tests/unit/raft_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct raft_conf three = { .voters = 0x07 };

static int done(void **state)
{
	(void)state;
	rig_end();
	return 0;
}

static struct raft *core(uint8_t node)
{
	return rig.node[node].raft;
}

/* led: a group of that conf, node 0 leads it. Nodes outside are there, blank. */
static void led(uint32_t count, struct raft_conf conf)
{
	rig_start(count, &conf);
	rig_pass(4 * ELECTION);
	rig_lead(0);
	rig_settle();
}

static void more(uint8_t node, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		assert_int_not_equal(rig_propose(node, "more"), 0);
		rig_settle();
	}
}

static bool is_conf(uint8_t node, struct raft_conf conf)
{
	return memcmp(raft_conf(core(node)), &conf, sizeof(conf)) == 0;
}

/* Grow 3 to 5: learners first, then joint consensus, which leaves itself. */
static void grows(void **state)
{
	struct raft_conf learners = { .voters = 0x07, .learners = 0x18 };
	struct raft_conf five = { .voters = 0x1f };

	(void)state;
	led(5, three);
	more(0, 5);
	assert_int_equal(rig_configure(0, five),
			 0); /* blank: they would vote about nothing (R19) */
	assert_int_not_equal(rig_configure(0, learners), 0);
	rig_run(3 * ELECTION);
	assert_int_equal(raft_match(core(0), 3), raft_last(core(0)));
	assert_int_equal(raft_match(core(0), 4), raft_last(core(0)));
	assert_int_equal(raft_role(core(4)), RAFT_FOLLOWER);
	assert_int_not_equal(rig_configure(0, five), 0);
	assert_true(raft_configuring(core(0)));
	assert_int_equal(raft_conf(core(0))->voters_old, 0x07);
	rig_run(3 * HEARTBEAT);
	assert_false(raft_configuring(core(0)));
	for (uint8_t i = 0; i < 5; i++)
		assert_true(is_conf(i, five));
	rig_crash(0);
	rig_crash(1);
	rig_run(10 * ELECTION);
	assert_int_not_equal(rig_leader(), RAFT_NODE_NONE);
}

/* Shrink 5 to 3, the leader among those that go: it leads until that is committed. */
static void shrinks(void **state)
{
	struct raft_conf left = { .voters = 0x1c };

	(void)state;
	led(5, (struct raft_conf) { .voters = 0x1f });
	more(0, 3);
	assert_int_not_equal(rig_configure(0, left), 0);
	rig_run(4 * HEARTBEAT);
	assert_int_not_equal(raft_role(core(0)), RAFT_LEADER);
	assert_int_not_equal(rig_leader(), RAFT_NODE_NONE); /* at once: it was asked to stand */
	assert_true(rig_leader() >= 2);
	rig_run(10 * ELECTION);
	assert_true(is_conf(rig_leader(), left));
	assert_false(raft_configuring(core(rig_leader())));
	assert_int_equal(raft_role(core(0)), RAFT_FOLLOWER);
	assert_int_equal(raft_role(core(1)), RAFT_FOLLOWER);
	rig_crash(0);
	rig_crash(1);
	rig_crash(rig_leader());
	rig_run(10 * ELECTION);
	assert_int_not_equal(rig_leader(), RAFT_NODE_NONE); /* two of three */
}

/* 4.3: a joint configuration needs both majorities, for commits and for elections. */
static void joint_needs_both(void **state)
{
	struct raft_conf both = { .voters = 0x07, .learners = 0x38 };
	uint64_t index;

	(void)state;
	led(6, both);
	for (uint8_t i = 3; i < 6; i++)
		rig_cut(0, i);
	index = rig_configure(0, (struct raft_conf) { .voters = 0x39 });
	assert_int_not_equal(index, 0);
	rig_settle();
	assert_true(raft_commit(core(0)) < index);    /* all of the old, one of the new */
	assert_int_equal(rig_configure(0, three), 0); /* R34: one change at a time */
	led(6, both);
	rig_cut(0, 1);
	rig_cut(0, 2);
	index = rig_configure(0, (struct raft_conf) { .voters = 0x39 });
	rig_run(2 * HEARTBEAT); /* all of the new, one of the old */
	assert_int_equal(raft_match(core(0), 4), index);
	assert_int_equal(raft_commit(core(0)), index - 1);
	for (uint8_t i = 0; i < 3; i++) {
		for (uint8_t j = 3; j < 6; j++)
			rig_cut(i, j);
	}
	rig_run(8 * ELECTION);
	for (uint8_t i = 3; i < 6; i++) /* nor does the new majority elect by itself */
		assert_int_not_equal(raft_role(core(i)), RAFT_LEADER);
	rig_heal();
	rig_run(8 * ELECTION);
	assert_false(raft_configuring(core(rig_leader())));
}

/* R34: no change before an entry of the own term is committed (4.1's bug of 2015). */
static void conf_waits_for_own_term(void **state)
{
	(void)state;
	led(3, three);
	rig_isolate(0);
	rig_pass(2 * ELECTION);
	rig_run(6 * ELECTION);
	rig_heal();
	rig_run(2 * ELECTION);
	for (uint8_t i = 0; i < 3; i++) {
		if (raft_role(core(i)) == RAFT_LEADER)
			assert_true(raft_ready(core(i)));
	}
	rig_start(3, &three);
	rig_pass(4 * ELECTION);
	rig_tick(0);
	for (uint32_t i = 0; raft_role(core(0)) != RAFT_LEADER; i++)
		assert_true(rig_deliver());
	assert_false(raft_ready(core(0)));
	assert_int_equal(rig_configure(0, (struct raft_conf) { .voters = 0x03, .learners = 0x04 }),
			 0);
	rig_settle();
	assert_int_not_equal(
		rig_configure(0, (struct raft_conf) { .voters = 0x03, .learners = 0x04 }), 0);
}

/* start_again: all of these, wanting three copies; one of them leads then. */
static void start_again(uint8_t count)
{
	for (uint8_t i = 0; i < count; i++)
		rig_crash(i);
	for (uint8_t i = 0; i < count; i++) {
		rig_restart(i);
		raft_set_copies(core(i), 3);
	}
	for (uint32_t i = 0; i < 20 && rig_leader() == RAFT_NODE_NONE; i++)
		rig_run(ELECTION);
	assert_int_not_equal(rig_leader(), RAFT_NODE_NONE);
	rig_run(2 * HEARTBEAT);
}

/*
 * What a new leader has of the terms before lacks copies, and the nodes that are to be copies are
 * still to be taken in: they are, though the leader commits nothing until then, and though leaders
 * have come and gone meanwhile. That such a conf is in the log says nothing of what is committed.
 */
static void copies_that_are_to_come(void **state)
{
	struct raft_conf grown = { .voters = 0x03, .learners = 0x04 };
	uint64_t commit;
	uint8_t leader;

	(void)state;
	led(3, (struct raft_conf) { .voters = 0x03 });
	raft_set_copies(core(0), 3);
	raft_set_copies(core(1), 3);
	assert_int_not_equal(rig_propose(0, "wants three"), 0);
	rig_run(2 * HEARTBEAT);
	assert_int_equal(raft_match(core(0), 1), raft_last(core(0)));
	commit = raft_commit(core(0));
	assert_true(commit < raft_last(core(0)));
	while (raft_last(core(0)) - commit <= rig.node[0].config.open_max + 2)
		start_again(2);
	leader = rig_leader();
	assert_false(raft_ready(core(leader)));
	assert_true(raft_settled(core(leader)));
	assert_int_not_equal(rig_configure(leader, grown), 0);
	rig.packets_count = 0;
	rig_disk(leader);
	rig_crash(leader);
	rig_restart(leader);
	assert_true(is_conf(leader, grown));
	assert_true(raft_commit(core(leader)) <= commit);
	start_again(2);
	leader = rig_leader();
	if (!is_conf(leader, grown))
		assert_int_not_equal(rig_configure(leader, grown), 0);
	rig_run(2 * HEARTBEAT);
	assert_true(raft_ready(core(leader)));
}

/* M-MIN-SIZE: a witness is of the quorum, and no copy. Other entries need no copies. */
static void copies_beside_the_quorum(void **state)
{
	uint64_t index;

	(void)state;
	led(4, (struct raft_conf) { .voters = 0x07, .witnesses = 0x04 });
	for (uint8_t i = 0; i < 3; i++)
		raft_set_copies(core(i), 2);
	more(0, 2);
	index = raft_commit(core(0));
	assert_int_equal(index, raft_last(core(0)));
	rig_cut(0, 1);
	assert_int_not_equal(rig_propose(0, "one copy"), 0);
	rig_run(8 * HEARTBEAT);
	assert_int_equal(raft_role(core(0)), RAFT_LEADER);
	assert_int_equal(raft_match(core(0), 2), index + 1);
	assert_int_equal(raft_commit(core(0)), index);
	raft_set_copies(core(0), 1); /* an operator is content with less */
	rig_run(2 * HEARTBEAT);
	assert_int_equal(raft_commit(core(0)), index + 1);
	raft_set_copies(core(0), 2);
	assert_int_not_equal(rig_propose(0, "one copy"), 0);
	rig_run(2 * HEARTBEAT);
	assert_int_equal(raft_commit(core(0)), index + 1);
	assert_int_not_equal(rig_configure(0, (struct raft_conf) { .voters = 0x07,
								    .learners = 0x08,
								    .witnesses = 0x04 }), 0);
	rig_run(2 * HEARTBEAT); /* another node is taken in: it may be the copy that is wanted */
	assert_int_equal(raft_commit(core(0)), raft_last(core(0)));
	rig_cut(0, 3);
	assert_int_not_equal(rig_propose(0, "one copy"), 0);
	rig_run(2 * HEARTBEAT);
	assert_int_equal(raft_commit(core(0)), raft_last(core(0)) - 1);
	rig_heal();
	rig_cut(0, 1);
	rig_run(2 * ELECTION); /* a learner that holds it is one */
	assert_int_equal(raft_role(core(0)), RAFT_LEADER);
	assert_int_equal(raft_commit(core(0)), raft_last(core(0)));
	rig_heal();
	rig_run(2 * ELECTION);
	assert_int_equal(raft_commit(core(0)), raft_last(core(0)));
}

/* R05: a conf that was never committed is rolled back with its entry. */
static void conf_rolls_back(void **state)
{
	(void)state;
	led(4, (struct raft_conf) { .voters = 0x07, .learners = 0x08 });
	rig_isolate(0);
	assert_int_not_equal(rig_configure(0, (struct raft_conf) { .voters = 0x0f }), 0);
	assert_int_equal(raft_conf(core(0))->voters, 0x0f);
	rig_run(6 * ELECTION);
	rig_heal();
	rig_run(6 * ELECTION);
	assert_true(is_conf(0, (struct raft_conf) { .voters = 0x07, .learners = 0x08 }));
	assert_true(raft_conf_index(core(0)) <= raft_commit(core(0)));
}

/* R05: a snapshot carries the conf as of its index, not the newest. */
static void snapshot_has_committed_conf(void **state)
{
	struct raft_conf conf;

	(void)state;
	led(4, (struct raft_conf) { .voters = 0x07, .learners = 0x08 });
	more(0, 3);
	rig_isolate(0);
	rig_configure(0, (struct raft_conf) { .voters = 0x0f });
	rig_compact(0, raft_commit(core(0)), "state");
	assert_true(raft_conf_decode(core(0)->snap, &conf));
	assert_int_equal(conf.voters, 0x07);
	rig_crash(0);
	rig_restart(0);
	assert_int_equal(raft_conf(core(0))->voters, 0x0f); /* still in its log */
	rig_run(6 * ELECTION);
	rig_heal();
	rig_run(6 * ELECTION);
	assert_int_equal(raft_conf(core(0))->voters, 0x07);
}

/* A leader dies in the middle of a change; the next one finishes it. */
static void joint_is_left_by_the_next(void **state)
{
	struct raft_conf next = { .voters = 0x0e };
	uint64_t index;

	(void)state;
	led(4, (struct raft_conf) { .voters = 0x07, .learners = 0x08 });
	index = rig_configure(0, next);
	while (raft_last(core(1)) < index || raft_last(core(2)) < index ||
	       raft_last(core(3)) < index)
		assert_true(rig_deliver());
	rig_crash(0);
	rig.packets_count = 0;
	rig_run(10 * ELECTION);
	assert_int_not_equal(rig_leader(), RAFT_NODE_NONE);
	assert_true(is_conf(rig_leader(), next));
	assert_false(raft_configuring(core(rig_leader())));
}

/* Learners get everything, count for nothing and never stand; nor does a passive node. */
static void learners_do_not_count(void **state)
{
	uint64_t index;

	(void)state;
	led(3, (struct raft_conf) { .voters = 0x03, .learners = 0x04 });
	rig_cut(0, 1);
	index = rig_propose(0, "x");
	rig_settle();
	assert_int_equal(raft_match(core(0), 2), index);
	assert_int_equal(raft_commit(core(0)), index - 1);
	rig_crash(0);
	rig_crash(1);
	rig_run(10 * ELECTION);
	assert_int_equal(raft_role(core(2)), RAFT_FOLLOWER);
	assert_int_equal(raft_counters(core(2))->pre_votes, 0);
	assert_int_equal(raft_leader(core(2)), RAFT_NODE_NONE);
}

/* R19: a wiped node of the old number knows no conf, and votes about nothing. */
static void blank_node_votes_not(void **state)
{
	struct raft_message m = { .type = RAFT_VOTE, .term = 9, .index = 9, .log_term = 8 };

	(void)state;
	led(3, three);
	rig.node[2].records_count = 0;
	rig_boot(2, false);
	rig_pass(2 * ELECTION);
	rig.packets_count = 0;
	rig_message(2, 1, &m);
	m.type = RAFT_PRE_VOTE;
	rig_message(2, 1, &m);
	assert_int_equal(rig.packets_count, 0);
	rig_run(4 * ELECTION);
	assert_true(is_conf(2, three)); /* by snapshot */
}

/* R19: who comes under a number that was another's hears nothing of the other's time. */
static void newcomer_sees_no_history(void **state)
{
	struct raft_conf learner = { .voters = 0x01, .learners = 0x02 };

	(void)state;
	led(2, (struct raft_conf) { .voters = 0x01 }); /* in this conf node 0 decides alone */
	assert_int_not_equal(rig_configure(0, learner), 0);
	rig_run(2 * ELECTION);
	assert_int_not_equal(rig_configure(0, (struct raft_conf) { .voters = 0x03 }), 0);
	rig_run(2 * ELECTION);
	assert_int_not_equal(rig_configure(0, (struct raft_conf) { .voters = 0x02 }), 0);
	rig_run(4 * ELECTION);
	assert_int_equal(raft_role(core(1)), RAFT_LEADER);
	rig_crash(0);
	rig.node[0].records_count = 0; /* another machine */
	rig_boot(0, false);
	assert_int_not_equal(
		rig_configure(1, (struct raft_conf) { .voters = 0x02, .learners = 0x01 }), 0);
	for (uint32_t i = 0; i < 40; i++) {
		rig_pass(HEARTBEAT);
		rig_tick(0);
		rig_tick(1);
		while (rig_deliver()) /* whenever it is cut off, it decides nothing */
			assert_false(raft_conf(core(0))->voters & 0x01);
	}
	assert_int_equal(raft_conf(core(0))->learners, 0x01);
	assert_int_equal(raft_match(core(1), 0), raft_last(core(1)));
}

/* Two with data and a witness: it votes, never leads, and holds no data. */
static void witness(void **state)
{
	struct raft_conf conf = { .voters = 0x07, .witnesses = 0x04 };
	uint64_t index;
	struct raft_entry e;

	(void)state;
	rig_start(3, &conf);
	for (uint8_t i = 0; i < 3; i++) {
		rig.node[i].config.strip = true;
		rig_boot(i, true);
	}
	rig_pass(4 * ELECTION);
	rig_tick(2);
	assert_int_equal(raft_role(core(2)), RAFT_FOLLOWER);
	rig_lead(0);
	rig_settle();
	index = rig_propose(0, "secret");
	for (uint32_t i = 0; i < rig.packets_count; i++) /* while data nodes suffice: not yet */
		assert_false(rig.packets[i].to == 2 && rig.packets[i].message.entry.index == index);
	rig_settle();
	assert_int_equal(raft_last(core(2)), index);
	raft_entry(core(2), index, &e);
	assert_int_equal(e.flags, RAFT_STRIPPED);
	assert_int_equal(e.bytes, 0);
	assert_int_equal(e.kind, RAFT_ENTRY_DATA);
	/* With the other data node gone, the witness counts; but only what is durable goes there.
	 */
	rig_crash(1);
	rig_run(6 * HEARTBEAT);
	rig.node[0].slow_disk = true;
	index = rig_propose(0, "more");
	rig_settle();
	assert_int_equal(raft_last(core(2)), index - 1);
	rig_disk(0);
	rig_settle();
	assert_int_equal(raft_commit(core(0)), index);
	rig.node[0].slow_disk = false;
	rig_restart(1);
	rig_run(4 * ELECTION);
	rig_crash(0);
	rig_run(10 * ELECTION);
	assert_int_equal(raft_role(core(1)), RAFT_LEADER);
	assert_true(raft_ready(core(1)));
}

static void lose_entry(uint8_t to, uint64_t index)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < rig.packets_count; i++)
		if (rig.packets[i].to != to || rig.packets[i].message.entry.index != index)
			rig.packets[kept++] = rig.packets[i];
	rig.packets_count = kept;
}

/* Who led a group that it is not in any more leaves no witness with more than who can lead it. */
static void leaves_no_witness_ahead(void **state)
{
	struct raft_conf left = { .voters = 0x06, .witnesses = 0x04 };
	uint64_t late;

	(void)state;
	led(3, (struct raft_conf) { .voters = 0x07, .witnesses = 0x04 });
	assert_int_not_equal(rig_configure(0, left), 0);
	while (!is_conf(0, left))
		assert_true(rig_deliver());
	late = rig_propose(0, "late");
	assert_int_not_equal(late, 0);
	do
		lose_entry(1, late);
	while (rig_deliver());
	assert_true(raft_role(core(0)) != RAFT_LEADER);
	rig_isolate(0);
	rig_run(20 * ELECTION);
	assert_int_equal(raft_role(core(1)), RAFT_LEADER);
	assert_true(raft_ready(core(1)));
}

/* 3.10: leadership is handed over at once; R31: nobody waits for a timeout. */
static void transfer(void **state)
{
	uint64_t now_ns;

	(void)state;
	led(3, three);
	more(0, 2);
	now_ns = rig.now_ns;
	rig_transfer(0, 2);
	rig_settle();
	assert_int_equal(raft_role(core(2)), RAFT_LEADER);
	assert_true(raft_ready(core(2)));
	assert_int_equal(raft_leader(core(0)), 2);
	assert_int_equal(rig.now_ns, now_ns);
	rig_transfer(2, RAFT_NODE_ANY);
	rig_settle();
	assert_int_not_equal(raft_role(core(2)), RAFT_LEADER);
	assert_int_not_equal(rig_leader(), RAFT_NODE_NONE);
}

/* Only to who has everything; until then it waits, and takes nothing new. */
static void transfer_waits(void **state)
{
	uint64_t index;

	(void)state;
	led(3, three);
	rig.node[2].slow_disk = true;
	index = rig_propose(0, "x");
	rig_settle();
	rig_transfer(0, 2);
	rig_settle();
	assert_int_equal(rig_count(RAFT_TIMEOUT_NOW), 0);
	assert_int_equal(raft_role(core(0)), RAFT_LEADER);
	assert_int_equal(raft_lease_ns(core(0)), 0);
	assert_false(raft_can_propose(core(0), 1));
	rig.node[2].slow_disk = false;
	rig_disk(2);
	rig_settle();
	assert_int_equal(raft_role(core(2)), RAFT_LEADER);
	assert_true(raft_commit(core(2)) > index);
}

/* R10: no lease from before TIMEOUT_NOW until nobody can act on it any more. */
static void transfer_fails(void **state)
{
	struct raft_message late;

	(void)state;
	led(3, three);
	rig_run(2 * HEARTBEAT);
	assert_true(raft_lease_ns(core(0)) > rig.now_ns);
	rig_transfer(0, 2);
	assert_int_equal(raft_lease_ns(core(0)), 0);
	late = *rig_find(0, 2, RAFT_TIMEOUT_NOW);
	rig_drop(2, RAFT_TIMEOUT_NOW);
	for (uint32_t i = 0; i < 2; i++) {
		rig_pass(HEARTBEAT);
		rig_tick(0);
		rig_drop(2, RAFT_TIMEOUT_NOW);
		rig_settle();
		assert_int_equal(raft_lease_ns(core(0)), 0); /* answers, and yet */
	}
	rig_pass(HEARTBEAT);
	rig_tick(0); /* given up: a new round */
	assert_int_equal(raft_counters(core(0))->transfers_failed, 1);
	assert_int_equal(raft_lease_ns(core(0)), 0);
	rig_settle();
	assert_true(raft_lease_ns(core(0)) > rig.now_ns);
	assert_true(raft_can_propose(core(0), 1));
	rig_message(2, 0, &late);
	assert_int_equal(raft_role(core(2)), RAFT_FOLLOWER);
	rig_settle();
	assert_int_equal(raft_role(core(0)), RAFT_LEADER);
}

/* R10: the target did stand, but voters that heard a later round keep their promise. */
static void transfer_vote_is_late(void **state)
{
	struct raft_message vote = { .type = RAFT_VOTE, .flags = RAFT_TRANSFER };

	(void)state;
	led(3, three);
	rig_run(2 * HEARTBEAT);
	vote.term = raft_term(core(0)) + 1;
	vote.index = raft_last(core(0));
	vote.log_term = raft_term(core(0));
	vote.id = core(0)->round;
	rig_run(HEARTBEAT); /* another round */
	rig_message(1, 2, &vote);
	assert_int_equal(raft_term(core(1)), vote.term - 1);
	vote.id = core(0)->round;
	rig_message(1, 2, &vote);
	assert_int_equal(raft_term(core(1)), vote.term);
}

/* A promise to a leader outlives the term it was given in: a lease may still rest on it. */
static void promise_holds_in_newer_terms(void **state)
{
	struct raft_message m = { .type = RAFT_APPEND_ACK, .flags = RAFT_REJECT };

	(void)state;
	led(3, three);
	rig_run(2 * HEARTBEAT);
	rig.packets_count = 0;
	m.term = raft_term(core(0)) + 1; /* word of a newer term, as a candidate sends it */
	rig_message(1, 2, &m);
	assert_int_equal(raft_term(core(1)), m.term);
	m = (struct raft_message) {
		.type = RAFT_VOTE, .term = m.term, .log_term = m.term, .index = 99
	};
	rig_message(1, 2, &m);
	assert_null(rig_find(1, 2, RAFT_VOTE_ACK));
	assert_true(raft_lease_ns(core(0)) > rig.now_ns);
	m.flags = RAFT_TRANSFER; /* unless the leader itself asked for it */
	m.id = core(0)->round;
	rig_message(1, 2, &m);
	assert_int_equal(rig_find(1, 2, RAFT_VOTE_ACK)->flags, 0);
}

static void transfer_refused(void **state)
{
	(void)state;
	led(4, (struct raft_conf) { .voters = 0x07, .learners = 0x08, .witnesses = 0x04 });
	rig_transfer(0, 2);
	rig_transfer(0, 3);
	rig_transfer(0, 0);
	rig_transfer(0, 6);
	rig_transfer(0, RAFT_NODE_NONE);
	assert_int_equal(raft_counters(core(0))->transfers_failed, 5);
	assert_true(raft_can_propose(core(0), 1));
}

/* A follower whose entries are gone gets the snapshot; its answer waits for RESTORED and the disk.
 */
static void snapshot(void **state)
{
	(void)state;
	led(3, three);
	rig_isolate(2);
	more(0, 20);
	rig_compact(0, raft_commit(core(0)) - 2, "twenty");
	rig_heal();
	rig.node[2].no_restore = true;
	rig_run(2 * HEARTBEAT);
	assert_int_equal(rig.node[2].restore, raft_base(core(0)));
	assert_int_equal(core(2)->restore_bytes, RAFT_CONF_BYTES + 6);
	rig_run(6 * ELECTION); /* takes its time: it stays quiet, and hears its leader */
	assert_int_equal(raft_leader(core(2)), 0);
	assert_true(raft_counters(core(0))->snapshots_sent <= 8);
	assert_int_equal(raft_match(core(0), 2), raft_commit(core(2)));
	rig.node[2].slow_disk = true;
	rig_event(2,
		  &(struct raft_event) { .kind = RAFT_EVENT_RESTORED, .index = 3 }); /* not that */
	assert_int_equal(raft_base(core(2)), 1);
	rig_event(2, &(struct raft_event) { .kind = RAFT_EVENT_RESTORED,
					    .index = rig.node[2].restore });
	rig_settle();
	assert_int_equal(raft_base(core(2)), raft_base(core(0)));
	assert_true(raft_match(core(0), 2) < raft_base(core(0)));
	rig_disk(2);
	rig.node[2].slow_disk = false;
	rig_run(2 * HEARTBEAT);
	assert_int_equal(raft_match(core(0), 2), raft_last(core(0)));
	rig_crash(2);
	rig_restart(2);
	assert_int_equal(raft_last(core(2)), raft_last(core(0)));
	assert_int_equal(raft_conf(core(2))->voters, 0x07);
}

/* R04: a new term while a snapshot is taken over; R14: and a newer snapshot behind it. */
static void snapshot_and_new_term(void **state)
{
	(void)state;
	led(3, three);
	rig_isolate(2);
	more(0, 20);
	rig_compact(0, raft_commit(core(0)), "twenty");
	rig_heal();
	rig.node[2].no_restore = true;
	rig_run(2 * HEARTBEAT);
	assert_int_not_equal(rig.node[2].restore, 0);
	rig_transfer(0, 1);
	rig_settle();
	assert_int_equal(raft_role(core(1)), RAFT_LEADER);
	rig_run(2 * HEARTBEAT);
	assert_int_equal(raft_term(core(2)), raft_term(core(1)));
	more(1, 5);
	rig_compact(1, raft_commit(core(1)), "twenty-five");
	rig_run(2 * ELECTION);
	assert_int_equal(rig.node[2].restore, raft_base(core(1))); /* the newer one */
	rig.node[2].no_restore = false;
	rig_tick(2);
	rig_run(2 * ELECTION);
	assert_int_equal(raft_match(core(1), 2), raft_last(core(1)));
	assert_int_equal(raft_counters(core(2))->snapshots_restored, 1);
}

/* R14: what a snapshot holds and the follower has already needs no restoring. */
static void snapshot_of_what_is_there(void **state)
{
	struct raft_message m = { .type = RAFT_SNAPSHOT };
	uint8_t payload[RAFT_CONF_BYTES];

	(void)state;
	led(3, three);
	more(0, 5);
	raft_conf_encode(payload, &three);
	m.term = raft_term(core(0));
	m.index = raft_commit(core(0)) - 1;
	m.log_term = m.term;
	m.payload = payload;
	m.payload_bytes = sizeof(payload);
	rig_message(2, 0, &m);
	assert_int_equal(rig.node[2].restore, 0);
	assert_int_equal(rig_find(2, 0, RAFT_APPEND_ACK)->index, raft_commit(core(2)));
	m.payload_bytes = 3; /* malformed */
	m.index = 999;
	rig_message(2, 0, &m);
	assert_int_equal(rig.node[2].restore, 0);
}

/* R14: after compaction a log goes on where it was, also when the device comes late. */
static void compacts(void **state)
{
	(void)state;
	led(3, three);
	more(0, 10);
	rig_compact(0, raft_commit(core(0)), "ten");
	rig_compact(0, 2, "older: ignored");
	assert_int_equal(raft_base(core(0)), raft_last(core(0)));
	more(0, 3);
	rig.node[1].slow_disk = true;
	more(0, 2);
	rig_run(HEARTBEAT);
	rig_compact(1, raft_commit(core(1)), "not on disk");
	rig_settle();
	assert_int_equal(raft_match(core(0), 1), raft_last(core(0)) - 2);
	rig_crash(1); /* what was not durable is gone, the snapshot with it */
	rig.node[1].slow_disk = false;
	rig_restart(1);
	rig_run(2 * ELECTION);
	assert_int_equal(raft_last(core(1)), raft_last(core(0)));
}

/* A log longer than memory is recovered in pieces. */
static void recovers_more_than_fits(void **state)
{
	(void)state;
	led(1, (struct raft_conf) { .voters = 0x01 });
	for (uint32_t i = 0; i < 300; i++) {
		more(0, 1);
		if (i % 20 == 19) { /* as if the log did not get the snapshot's record */
			rig_compact(0, raft_commit(core(0)) - 8, "x");
			rig.node[0].records_count--;
		}
	}
	rig_crash(0);
	rig_restart(0);
	assert_int_equal(raft_last(core(0)), 302);
	assert_true(raft_commit(core(0)) >= 302 - rig.node[0].config.open_max);
	rig_lead(0);
	assert_int_equal(raft_commit(core(0)), 303);
}

/* The log of a founding member begins with what it was founded from. */
static void bootstrap_is_recorded(void **state)
{
	(void)state;
	rig_start(3, &three);
	assert_int_equal(rig.node[0].records_count, 0);
	rig_pass(4 * ELECTION);
	rig_lead(0);
	for (uint8_t i = 0; i < 3; i++) {
		assert_int_equal(rig.node[i].records[0].record.kind, RAFT_RECORD_SNAPSHOT);
		assert_int_equal(rig.node[i].records[0].record.entry.index, 1);
		assert_int_equal(rig.node[i].records[1].record.kind, RAFT_RECORD_HARD);
	}
	rig.founding = (struct raft_conf) { .voters = 0x01 }; /* the file was changed since */
	rig_crash(0);
	rig_restart(0);
	assert_true(is_conf(0, three));
}

/* R08: a read index needs an entry of the own term; R09: and a round that began after the read. */
static void read_index(void **state)
{
	uint64_t index;

	(void)state;
	led(3, three);
	more(0, 3);
	index = raft_commit(core(0));
	rig_read(0, 7);
	assert_int_equal(rig_read_of(0, 7), UINT64_MAX);
	rig_settle();
	assert_int_equal(rig_read_of(0, 7), index);
	rig_crash(0);
	rig.node[1].slow_disk = rig.node[2].slow_disk = true;
	for (uint32_t i = 0; rig_leader() == RAFT_NODE_NONE; i++) {
		assert_true(i < 100);
		rig_run(HEARTBEAT);
		for (uint8_t j = 1; j < 3; j++) {
			if (raft_role(core(j)) != RAFT_LEADER)
				rig_disk(j);
			rig_settle();
		}
	}
	for (uint32_t i = 0; i < 3; i++)
		rig_settle();
	if (!raft_ready(core(rig_leader()))) {
		rig_read(rig_leader(), 8);
		rig_settle();
		assert_int_equal(rig_read_of(rig_leader(), 8), UINT64_MAX);
		rig_disk(1);
		rig_disk(2);
		rig_settle();
		rig_run(HEARTBEAT);
		assert_true(rig_read_of(rig_leader(), 8) > index);
	}
}

/* R09: answers to older rounds, again and again, say nothing about a newer one. */
static void read_index_not_by_old_answers(void **state)
{
	struct raft_message ack;

	(void)state;
	led(3, three);
	rig_run(2 * HEARTBEAT);
	rig_pass(HEARTBEAT);
	rig_tick(0);
	while (rig_find(1, 0, RAFT_HEARTBEAT_ACK) == NULL)
		assert_true(rig_deliver());
	ack = *rig_find(1, 0, RAFT_HEARTBEAT_ACK);
	rig_settle();
	rig_read(0, 3);
	rig.packets_count = 0; /* the new round gets nowhere */
	for (uint32_t i = 0; i < 5; i++) {
		rig_message(0, 1, &ack);
		rig_message(0, 2, &ack);
	}
	assert_int_equal(rig_read_of(0, 3), UINT64_MAX);
	ack.id = core(0)->round + 1; /* nor one that was never begun */
	rig_message(0, 1, &ack);
	assert_int_equal(rig_read_of(0, 3), UINT64_MAX);
	ack.id = core(0)->round;
	rig_message(0, 1, &ack);
	assert_int_equal(rig_read_of(0, 3), raft_commit(core(0)));
}

/* One round serves all reads that came before it. */
static void reads_share_rounds(void **state)
{
	uint64_t round;

	(void)state;
	led(3, three);
	rig_run(2 * HEARTBEAT);
	round = core(0)->round;
	for (uint64_t i = 1; i <= 10; i++)
		rig_read(0, i);
	rig_settle();
	for (uint64_t i = 1; i <= 10; i++)
		assert_int_equal(rig_read_of(0, i), raft_commit(core(0)));
	assert_true(core(0)->round <= round + 2);
	for (uint64_t i = 11; i <= 30; i++)
		rig_read(0, i); /* the table has 16 places */
	assert_int_equal(rig_read_of(0, 30), 0);
	rig_settle();
	assert_true(rig_read_of(0, 26) > 0);
}

/* A follower asks the leader; lost questions are asked again; late answers are nobody's. */
static void follower_reads(void **state)
{
	struct raft_message ack;

	(void)state;
	led(3, three);
	more(0, 2);
	rig_read(1, 100);
	rig_settle();
	assert_int_equal(rig_read_of(1, 100), raft_commit(core(0)));
	assert_true(raft_commit(core(1)) >= raft_commit(core(0)));
	rig_read(1, 101);
	rig_drop(0, RAFT_READ);
	rig_run(3 * HEARTBEAT);
	assert_int_equal(rig_read_of(1, 101), raft_commit(core(0)));
	rig_read(1, 102);
	while (rig_find(0, 1, RAFT_READ_ACK) == NULL)
		assert_true(rig_deliver());
	ack = *rig_find(0, 1, RAFT_READ_ACK);
	rig_settle();
	rig_read(1, 103);
	rig_message(1, 0, &ack);
	rig_message(1, 2, &ack);
	ack.id++;
	rig_message(1, 2, &ack); /* not from the leader */
	assert_int_equal(rig_read_of(1, 103), UINT64_MAX);
	rig_cut(0, 1);
	rig_cut(0, 2);
	rig_run(3 * ELECTION);
	assert_int_equal(rig_read_of(1, 103), 0); /* the leader is gone: ask again */
	rig_read(0, 104);
	rig_run(4 * ELECTION);
	assert_int_equal(rig_read_of(0, 104), 0);
}

/* 6.4.1: from the beginning of a round that a quorum answered, less the drift; not before ready. */
static void lease(void **state)
{
	uint64_t sent_ns;

	(void)state;
	rig_start(3, &three);
	rig_pass(4 * ELECTION);
	rig_tick(0);
	while (raft_role(core(0)) != RAFT_LEADER)
		assert_true(rig_deliver());
	do { /* heartbeats are answered, nothing is committed */
		rig_drop(RAFT_NODE_ANY, RAFT_APPEND);
	} while (rig_deliver());
	assert_true(core(0)->quorum_round > 0);
	assert_false(raft_ready(core(0)));
	assert_int_equal(raft_lease_ns(core(0)), 0);
	rig_run(3 * HEARTBEAT);
	assert_true(raft_ready(core(0)));
	rig_pass(HEARTBEAT);
	sent_ns = rig.now_ns;
	rig_tick(0);
	rig_pass(5 * MS); /* the answers take their time: that is not gained */
	rig_settle();
	assert_true(raft_lease_ns(core(0)) < sent_ns + ELECTION);
	assert_true(raft_lease_ns(core(0)) >= sent_ns + ELECTION - ELECTION / 2000 - 1);
}

/* R33 and 6.4.1: while a lease may run nobody else is elected, and the next one's is its own. */
static void lease_outlives_no_leader(void **state)
{
	uint64_t lease_ns;
	uint8_t next;

	(void)state;
	led(3, three);
	rig_run(2 * HEARTBEAT);
	lease_ns = raft_lease_ns(core(0));
	rig_isolate(0);
	do {
		rig_run(MS);
		next = raft_role(core(1)) == RAFT_LEADER ? 1 : 2;
	} while (raft_role(core(next)) != RAFT_LEADER);
	assert_true(rig.now_ns >= lease_ns);
	assert_true(raft_lease_ns(core(next)) == 0 || raft_ready(core(next)));
}

/* HOLD: neither acknowledges nor counts what may not be agreed on yet. */
static void hold(void **state)
{
	uint64_t index;

	(void)state;
	led(3, three);
	index = raft_last(core(0)) + 2;
	rig_hold(0, index);
	rig_hold(1, index);
	rig_hold(2, index);
	assert_int_equal(rig_propose(0, "free"), index - 1);
	rig_propose(0, "held");
	rig_settle();
	rig_run(3 * HEARTBEAT);
	assert_int_equal(raft_commit(core(0)), index - 1);
	assert_int_equal(raft_match(core(0), 0), index - 1);
	assert_int_equal(raft_match(core(0), 1), index - 1);
	assert_true(raft_counters(core(0))->appends_sent <
		    40); /* and nothing is sent over and over */
	rig_hold(1, 0);
	rig_settle();
	assert_int_equal(raft_commit(core(0)), index - 1); /* one of three */
	rig_hold(0, 0);
	assert_int_equal(raft_commit(core(0)), index);
	rig_settle();
	rig_run(2 * HEARTBEAT);
	assert_int_equal(raft_match(core(0), 2), index); /* committed anyway */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(grows, done),
		cmocka_unit_test_teardown(shrinks, done),
		cmocka_unit_test_teardown(joint_needs_both, done),
		cmocka_unit_test_teardown(conf_waits_for_own_term, done),
		cmocka_unit_test_teardown(conf_rolls_back, done),
		cmocka_unit_test_teardown(snapshot_has_committed_conf, done),
		cmocka_unit_test_teardown(joint_is_left_by_the_next, done),
		cmocka_unit_test_teardown(learners_do_not_count, done),
		cmocka_unit_test_teardown(blank_node_votes_not, done),
		cmocka_unit_test_teardown(newcomer_sees_no_history, done),
		cmocka_unit_test_teardown(witness, done),
		cmocka_unit_test_teardown(leaves_no_witness_ahead, done),
		cmocka_unit_test_teardown(transfer, done),
		cmocka_unit_test_teardown(transfer_waits, done),
		cmocka_unit_test_teardown(transfer_fails, done),
		cmocka_unit_test_teardown(transfer_vote_is_late, done),
		cmocka_unit_test_teardown(promise_holds_in_newer_terms, done),
		cmocka_unit_test_teardown(transfer_refused, done),
		cmocka_unit_test_teardown(snapshot, done),
		cmocka_unit_test_teardown(snapshot_and_new_term, done),
		cmocka_unit_test_teardown(snapshot_of_what_is_there, done),
		cmocka_unit_test_teardown(compacts, done),
		cmocka_unit_test_teardown(recovers_more_than_fits, done),
		cmocka_unit_test_teardown(bootstrap_is_recorded, done),
		cmocka_unit_test_teardown(read_index, done),
		cmocka_unit_test_teardown(read_index_not_by_old_answers, done),
		cmocka_unit_test_teardown(copies_beside_the_quorum, done),
		cmocka_unit_test_teardown(copies_that_are_to_come, done),
		cmocka_unit_test_teardown(reads_share_rounds, done),
		cmocka_unit_test_teardown(follower_reads, done),
		cmocka_unit_test_teardown(lease, done),
		cmocka_unit_test_teardown(lease_outlives_no_leader, done),
		cmocka_unit_test_teardown(hold, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
