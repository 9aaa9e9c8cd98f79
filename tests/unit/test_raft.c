/* SPDX-License-Identifier: Apache-2.0 */
/* Raft: elections, the log and what may be promised, in scripts. */
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

/* Every message of a made-up leader is of a new round. */
static uint64_t round_next;

/* hear: a message as if `from` had sent it, with no entry. */
static struct raft_message hear(uint8_t node, uint8_t from, enum raft_type type, uint32_t term,
				uint64_t index, uint32_t log_term)
{
	struct raft_message m = { .type = (uint8_t)type,
				  .term = term,
				  .index = index,
				  .log_term = log_term,
				  .id = ++round_next };

	rig_message(node, from, &m);
	return m;
}

/* entry: APPEND with one entry of `term` behind index/log_term. */
static void entry(uint8_t node, uint8_t from, uint32_t term, uint64_t index, uint32_t log_term,
		  uint32_t entry_term)
{
	struct raft_message m = { .type = RAFT_APPEND,
				  .term = term,
				  .index = index,
				  .log_term = log_term,
				  .id = ++round_next };

	m.entry = (struct raft_entry) { .index = index + 1,
					.term = entry_term,
					.kind = RAFT_ENTRY_DATA,
					.bytes = 3,
					.data = (const uint8_t *)"abc" };
	rig_message(node, from, &m);
}

static void start_three(void)
{
	rig_start(3, &three);
	rig_pass(4 * ELECTION); /* past the silence of the start */
}

static void elects_and_commits(void **state)
{
	uint64_t index;

	(void)state;
	rig_start(3, &three);
	rig_run(20 * ELECTION);
	assert_int_not_equal(rig_leader(), RAFT_NODE_NONE);
	index = rig_propose(rig_leader(), "hello");
	assert_int_not_equal(index, 0);
	rig_run(2 * HEARTBEAT);
	for (uint8_t i = 0; i < 3; i++) {
		assert_int_equal(raft_commit(core(i)), index);
		assert_int_equal(raft_leader(core(i)), rig_leader());
		assert_int_equal(raft_term(core(i)), raft_term(core(0)));
	}
}

/* Followers hear of a commit at once when nothing follows that would tell them. */
static void commit_is_told(void **state)
{
	uint64_t index;

	(void)state;
	start_three();
	rig_lead(0);
	index = rig_propose(0, "x");
	rig_settle();
	assert_int_equal(raft_commit(core(1)), index);
	assert_int_equal(raft_commit(core(2)), index);
}

static void five_survive_two(void **state)
{
	struct raft_conf five = { .voters = 0x1f };
	uint8_t first;
	uint32_t term;

	(void)state;
	rig_start(5, &five);
	rig_run(20 * ELECTION);
	first = rig_leader();
	rig_crash(first);
	rig_run(10 * ELECTION);
	assert_int_not_equal(rig_leader(), RAFT_NODE_NONE);
	rig_crash(rig_leader());
	rig_run(10 * ELECTION);
	assert_int_not_equal(rig_propose(rig_leader(), "still here"), 0);
	rig_run(2 * HEARTBEAT);
	assert_int_equal(raft_commit(core(rig_leader())), raft_last(core(rig_leader())));
	rig_restart(first);
	term = raft_term(core(rig_leader()));
	rig_run(10 * ELECTION);
	assert_int_equal(raft_term(core(rig_leader())), term); /* R-TERM-CALM */
	assert_int_equal(raft_commit(core(first)), raft_commit(core(rig_leader())));
}

/* R15: a group of one commits only after its own write. */
static void alone(void **state)
{
	struct raft_conf one = { .voters = 0x01 };
	uint64_t index;

	(void)state;
	rig_start(1, &one);
	rig_lead(0);
	rig.node[0].slow_disk = true;
	index = rig_propose(0, "x");
	assert_int_equal(raft_commit(core(0)), index - 1);
	rig_disk(0);
	assert_int_equal(raft_commit(core(0)), index);
	rig_read(0, 5);
	assert_int_equal(rig_read_of(0, 5), index);
	assert_true(raft_lease_ns(core(0)) > rig.now_ns);
}

/* A vote, and the request for one, leave only when the record is durable. */
static void votes_wait_for_the_disk(void **state)
{
	(void)state;
	rig_start(3, &three);
	for (uint8_t i = 1; i < 3; i++) {
		rig.node[i].config.passive = true;
		rig_boot(i, true);
	}
	rig_pass(4 * ELECTION);
	rig.node[0].slow_disk = rig.node[1].slow_disk = true;
	rig_tick(0);
	while (rig_find(1, 0, RAFT_PRE_VOTE_ACK) == NULL)
		assert_true(rig_deliver());
	rig_settle();
	assert_int_equal(raft_role(core(0)), RAFT_CANDIDATE);
	assert_int_equal(rig_count(RAFT_VOTE), 0);
	rig_disk(0);
	assert_non_null(rig_find(0, 1, RAFT_VOTE));
	rig_drop(2, RAFT_VOTE);
	rig_settle();
	assert_int_equal(raft_role(core(0)), RAFT_CANDIDATE); /* node 1 has not answered */
	rig_disk(1);
	assert_non_null(rig_find(1, 0, RAFT_VOTE_ACK));
	assert_int_equal(rig_find(1, 0, RAFT_VOTE_ACK)->flags, 0);
	rig_settle();
	assert_int_equal(raft_role(core(0)), RAFT_LEADER);
}

/* R-VOTE-ONCE, across a restart. */
static void one_vote_per_term(void **state)
{
	(void)state;
	start_three();
	hear(2, 0, RAFT_VOTE, 5, 1, 1);
	assert_int_equal(rig_find(2, 0, RAFT_VOTE_ACK)->flags, 0);
	hear(2, 1, RAFT_VOTE, 5, 1, 1);
	assert_int_equal(rig_find(2, 1, RAFT_VOTE_ACK)->flags, RAFT_REJECT);
	rig_crash(2);
	rig_restart(2);
	rig_pass(2 * ELECTION);
	hear(2, 1, RAFT_VOTE, 5, 7, 4);
	assert_int_equal(rig_find(2, 1, RAFT_VOTE_ACK)->flags, RAFT_REJECT);
	assert_int_equal(raft_term(core(2)), 5);
	hear(2, 0, RAFT_VOTE, 5, 1, 1); /* asked again by the one it voted for */
	assert_int_equal(rig_find(2, 0, RAFT_VOTE_ACK)->flags, 0);
}

/* A node that just started may have promised a leader before (6.4.1). */
static void silence_after_start(void **state)
{
	struct raft_message m;

	(void)state;
	rig_start(3, &three);
	hear(0, 1, RAFT_PRE_VOTE, 2, 1, 1);
	hear(0, 1, RAFT_VOTE, 2, 1, 1);
	assert_int_equal(rig.packets_count, 0);
	assert_int_equal(raft_term(core(0)), 1);
	m = (struct raft_message) { .type = RAFT_TIMEOUT_NOW, .term = 1, .id = 9 };
	rig_message(0, 1, &m);
	assert_int_equal(raft_role(core(0)), RAFT_FOLLOWER);
	rig_pass(ELECTION);
	hear(0, 1, RAFT_VOTE, 2, 1, 1);
	assert_int_equal(rig_find(0, 1, RAFT_VOTE_ACK)->flags, 0);
}

/* R02: what is not durable is not advertised. */
static void advertises_what_is_durable(void **state)
{
	(void)state;
	start_three();
	rig_lead(1);
	rig_propose(1, "x");
	rig_settle();
	rig.node[0].slow_disk = true;
	rig_propose(1, "y");
	rig_settle();
	assert_int_equal(raft_last(core(0)), raft_last(core(1)));
	rig_pass(3 * ELECTION);
	rig_tick(0);
	assert_int_equal(rig_find(0, 2, RAFT_PRE_VOTE)->index, raft_last(core(0)) - 1);
}

/* R06, R-PREVOTE-PURE; R07: it mirrors the term that was asked about. */
static void pre_vote_changes_nothing(void **state)
{
	uint32_t records;

	(void)state;
	start_three();
	hear(2, 0, RAFT_VOTE, 3, 1, 1);
	records = rig.node[2].records_count;
	rig_pass(ELECTION);
	hear(2, 1, RAFT_PRE_VOTE, 9, 1, 1);
	assert_int_equal(rig_find(2, 1, RAFT_PRE_VOTE_ACK)->term, 9);
	assert_int_equal(rig_find(2, 1, RAFT_PRE_VOTE_ACK)->flags, 0);
	assert_int_equal(raft_term(core(2)), 3);
	assert_int_equal(rig.node[2].records_count, records);
	hear(2, 1, RAFT_VOTE, 3, 1, 1); /* still node 0's vote */
	assert_int_equal(rig_find(2, 1, RAFT_VOTE_ACK)->flags, RAFT_REJECT);
	hear(2, 1, RAFT_PRE_VOTE, 3, 1, 1); /* not newer: refused, with the own term */
	assert_int_equal(rig_find(2, 1, RAFT_PRE_VOTE_ACK)->flags, RAFT_REJECT);
	hear(2, 1, RAFT_PRE_VOTE, 9, 0, 0); /* nor from a log that is behind */
	assert_int_equal(rig_find(2, 1, RAFT_PRE_VOTE_ACK)->flags, RAFT_REJECT);
}

/* R07: a promise of a vote is no vote. */
static void pre_vote_is_no_vote(void **state)
{
	(void)state;
	start_three();
	rig_tick(0);
	hear(0, 1, RAFT_PRE_VOTE_ACK, 2, 0, 0);
	assert_int_equal(raft_role(core(0)), RAFT_CANDIDATE);
	assert_int_equal(raft_term(core(0)), 2);
	hear(0, 2, RAFT_PRE_VOTE_ACK, 2, 0, 0);
	hear(0, 1, RAFT_PRE_VOTE_ACK, 2, 0, 0);
	hear(0, 1, RAFT_PRE_VOTE_ACK, 3, 0, 0);
	assert_int_equal(raft_role(core(0)), RAFT_CANDIDATE);
	hear(0, 1, RAFT_VOTE_ACK, 2, 0, 0);
	assert_int_equal(raft_role(core(0)), RAFT_LEADER);
}

/* R11: who comes back from a partition does not depose a good leader. */
static void rejoins_quietly(void **state)
{
	uint32_t term;

	(void)state;
	start_three();
	rig_lead(0);
	term = raft_term(core(0));
	rig_isolate(2);
	rig_run(20 * ELECTION);
	assert_int_equal(raft_term(core(2)), term);
	rig_heal();
	rig_run(4 * ELECTION);
	assert_int_equal(raft_role(core(0)), RAFT_LEADER);
	assert_int_equal(raft_term(core(0)), term);
	/* Not even a real vote request of a newer term. */
	hear(1, 2, RAFT_VOTE, term + 5, 99, term);
	hear(0, 2, RAFT_VOTE, term + 5, 99, term);
	assert_int_equal(raft_term(core(1)), term);
	assert_int_equal(raft_role(core(0)), RAFT_LEADER);
}

/* A newer term that really exists does end the old leader: nobody is left behind. */
static void newer_term_is_told(void **state)
{
	(void)state;
	start_three();
	hear(2, 1, RAFT_VOTE, 9, 1, 1); /* node 2 is in term 9 alone */
	rig_drop(RAFT_NODE_ANY, RAFT_VOTE_ACK);
	rig_cut(0, 2);
	rig_cut(1, 2);
	rig_lead(0);
	rig_heal();
	rig_run(20 * ELECTION);
	assert_true(raft_term(core(0)) > 9);
	assert_int_equal(raft_leader(core(2)), rig_leader());
}

/* The network brings old messages of a dead leader again and again: it stays dead. */
static void old_messages_show_no_life(void **state)
{
	struct raft_message beat, append;

	(void)state;
	start_three();
	rig_lead(0);
	rig_run(HEARTBEAT);
	rig_propose(0, "x");
	append = *rig_find(0, 1, RAFT_APPEND);
	append.entry.data = (const uint8_t *)"x";
	rig_settle();
	rig_pass(HEARTBEAT);
	rig_tick(0);
	beat = *rig_find(0, 1, RAFT_HEARTBEAT);
	rig_settle();
	rig_crash(0);
	for (uint32_t i = 0; i < 20 && rig_leader() == RAFT_NODE_NONE; i++) {
		rig_run(HEARTBEAT);
		for (uint8_t to = 1; to < 3; to++) {
			rig_message(to, 0, &beat);
			rig_message(to, 0, &append);
		}
	}
	assert_int_not_equal(rig_leader(), RAFT_NODE_NONE);
}

static void check_quorum(void **state)
{
	(void)state;
	start_three();
	rig_lead(0);
	rig_isolate(0);
	rig_run(ELECTION + 2 * HEARTBEAT);
	assert_int_not_equal(raft_role(core(0)), RAFT_LEADER);
	assert_int_equal(raft_counters(core(0))->quorum_step_downs, 1);
	assert_int_equal(raft_lease_ns(core(0)), 0);
}

/* R01, figure 8: an entry of an older term is not committed by counting. */
static void figure_8(void **state)
{
	struct raft_message m = { .type = RAFT_APPEND_ACK };
	uint64_t index;

	(void)state;
	start_three();
	entry(0, 1, 2, 1, 1, 2); /* of leader 1, term 2, at index 2; nowhere else */
	rig_isolate(0);
	rig_pass(4 * ELECTION);
	rig_tick(0);
	hear(0, 2, RAFT_PRE_VOTE_ACK, 3, 0, 0);
	rig.node[0].slow_disk = true;
	rig_disk(0);
	hear(0, 2, RAFT_VOTE_ACK, 3, 0, 0);
	assert_int_equal(raft_role(core(0)), RAFT_LEADER);
	index = raft_last(core(0));
	assert_int_equal(index, 3); /* its NOOP */
	m.term = 3;
	m.index = 2;
	rig_message(0, 2, &m);
	assert_int_equal(raft_commit(core(0)), 1);
	m.index = 3;
	rig_message(0, 2, &m);
	assert_int_equal(raft_commit(core(0)), 2 - 1); /* its own write is not done */
	rig_disk(0);
	assert_int_equal(raft_commit(core(0)), 3);
}

/* The leader counts itself when its own write is durable, and others may be sooner (10.2.1). */
static void own_write_in_parallel(void **state)
{
	uint64_t index;

	(void)state;
	start_three();
	rig_lead(0);
	rig.node[0].slow_disk = rig.node[2].slow_disk = true;
	index = rig_propose(0, "x");
	assert_non_null(rig_find(0, 1, RAFT_APPEND)); /* does not wait */
	rig_settle();
	assert_int_equal(raft_commit(core(0)), index - 1); /* one of three */
	rig_disk(2);
	rig_settle();
	assert_int_equal(raft_commit(core(0)), index); /* without its own */
	assert_int_equal(raft_match(core(0), 0), index - 1);
}

/* R-DURABLE-ACK; one answer for all that became durable. */
static void acks_wait_for_the_disk(void **state)
{
	uint64_t index;

	(void)state;
	start_three();
	rig_lead(0);
	rig_settle();
	rig.node[1].slow_disk = true;
	rig_propose(0, "x");
	index = rig_propose(0, "y");
	rig_settle();
	assert_int_equal(raft_last(core(1)), index);
	assert_int_equal(raft_match(core(0), 1), index - 2);
	rig_pass(HEARTBEAT);
	rig_tick(0);
	rig_settle(); /* nor do answers to heartbeats promise more */
	assert_int_equal(raft_match(core(0), 1), index - 2);
	rig_disk(1);
	assert_int_equal(rig_count(RAFT_APPEND_ACK), 1);
	assert_int_equal(rig_find(1, 0, RAFT_APPEND_ACK)->index, index);
}

/* R03: the term changed while the disk was writing: no acknowledgement to the old leader. */
static void term_changes_under_a_write(void **state)
{
	(void)state;
	start_three();
	hear(2, 0, RAFT_HEARTBEAT, 2, 0, 0);
	rig.node[2].slow_disk = true;
	entry(2, 0, 2, 1, 1, 2);
	rig_pass(4 * ELECTION);
	assert_int_equal(rig_find(2, 0, RAFT_APPEND_ACK)->index, 1);
	rig_drop(0, RAFT_APPEND_ACK);
	hear(2, 1, RAFT_VOTE, 3, 9, 2);
	rig_disk(2);
	assert_int_equal(rig_count(RAFT_APPEND_ACK), 0);
	assert_int_equal(rig_find(2, 1, RAFT_VOTE_ACK)->term, 3);
}

/* R13: durable, truncated, written again at the same index: what counts is the new record. */
static void append_aba(void **state)
{
	(void)state;
	start_three();
	entry(2, 0, 2, 1, 1, 2);
	entry(2, 0, 2, 2, 2, 2); /* indexes 2, 3 of term 2, durable */
	assert_int_equal(rig_find(2, 0, RAFT_APPEND_ACK)->index, 3);
	rig.packets_count = 0;
	rig.node[2].slow_disk = true;
	hear(2, 1, RAFT_HEARTBEAT, 3, 0, 0);
	rig_disk(2);
	entry(2, 1, 3, 1, 1, 3); /* voids both, with one of term 3 */
	entry(2, 1, 3, 2, 3, 3);
	assert_int_equal(raft_last(core(2)), 3);
	assert_int_equal(rig_find(2, 1, RAFT_APPEND_ACK)->index, 1); /* what is committed */
	rig.packets_count = 0;
	/* A late word of the disk about the records of before says nothing about these. */
	rig_event(2, &(struct raft_event) { .kind = RAFT_EVENT_DURABLE,
					    .durable_seq = rig.node[2].seq_durable });
	assert_null(rig_find(2, 1, RAFT_APPEND_ACK));
	rig_disk(2);
	assert_int_equal(rig_find(2, 1, RAFT_APPEND_ACK)->index, 3);
	assert_int_equal(raft_counters(core(2))->entries_truncated, 2);
}

/* 5.3: whole terms are left out when looking for where logs part. */
static void backtracks_by_terms(void **state)
{
	(void)state;
	start_three();
	for (uint64_t i = 1; i <= 20; i++)
		entry(2, 1, 2, i, i == 1 ? 1 : 2, 2); /* a long tail of term 2 */
	rig.packets_count = 0;
	entry(0, 1, 3, 1, 1, 3); /* node 0 has a newer term's, and so wins */
	rig.packets_count = 0;
	rig_isolate(2);
	rig_lead(0);
	for (uint32_t i = 0; i < 10; i++)
		rig_propose(0, "z");
	rig_settle();
	rig_heal();
	rig_pass(HEARTBEAT);
	rig_tick(0);
	rig_settle();
	assert_int_equal(raft_last(core(2)), raft_last(core(0)));
	assert_int_equal(raft_match(core(0), 2), raft_last(core(0)));
	assert_true(raft_counters(core(2))->appends_rejected <= 3);
}

/*
 * A follower whose disk lied: it comes back with less than it had acknowledged to the leader that
 * leads still. The leader asks it anew, and it is given what it lacks.
 */
static void lost_tail_is_given_again(void **state)
{
	struct rig_node *n = &rig.node[1];

	(void)state;
	start_three();
	rig_lead(0);
	for (uint32_t i = 0; i < 8; i++)
		rig_propose(0, "x");
	rig_run(2 * HEARTBEAT);
	assert_int_equal(raft_match(core(0), 1), raft_last(core(0)));
	rig_crash(1);
	n->records_count -= 5;
	rig_restart(1);
	assert_int_equal(raft_last(core(1)) + 5, raft_last(core(0)));
	rig_run(10 * HEARTBEAT);
	assert_int_equal(rig_leader(), 0);
	assert_int_equal(raft_last(core(1)), raft_last(core(0)));
	assert_int_equal(raft_commit(core(1)), raft_commit(core(0)));
	assert_int_equal(raft_match(core(0), 1), raft_last(core(0)));
}

/*
 * R30: a voter that has lost what its log goes on from elects who has everything; it does not
 * stand, and what it would take is no copy.
 */
static void void_voter_votes(void **state)
{
	uint64_t last;

	(void)state;
	start_three();
	rig_lead(0);
	rig_propose(0, "x");
	rig_run(2 * HEARTBEAT);
	last = raft_last(core(0));
	rig_crash(2);
	raft_set_void(core(1), true);
	rig_crash(0);
	rig_run(4 * ELECTION);
	assert_int_equal(raft_role(core(1)), RAFT_FOLLOWER);
	rig_restart(0);
	rig_run(4 * ELECTION);
	assert_int_equal(raft_role(core(0)), RAFT_LEADER);
	assert_false(raft_ready(core(0)));
	assert_int_equal(raft_match(core(0), 1), 0);
	assert_int_equal(raft_last(core(1)), last);
	raft_set_void(core(1), false);
	rig_run(4 * HEARTBEAT);
	assert_true(raft_ready(core(0)));
	assert_int_equal(raft_match(core(0), 1), raft_last(core(0)));
}

/*
 * 5.4.3: a leader takes a void voter's word for what is committed, in its own term, of an entry
 * that it holds itself; and for nothing that this voter holds.
 */
static void void_voter_tells(void **state)
{
	struct raft_message m = { .type = RAFT_HEARTBEAT_ACK, .flags = RAFT_VOID };
	uint64_t before;

	(void)state;
	start_three();
	rig_lead(0);
	rig_run(2 * HEARTBEAT);
	rig_isolate(0);
	before = raft_commit(core(0));
	rig_propose(0, "x");
	m.term = raft_term(core(0));
	m.index = raft_last(core(0));
	m.log_term = m.term - 1; /* another entry */
	rig_message(0, 1, &m);
	assert_int_equal(raft_commit(core(0)), before);
	m.log_term = m.term;
	m.index++; /* none */
	rig_message(0, 1, &m);
	assert_int_equal(raft_commit(core(0)), before);
	m.index--;
	m.term--; /* before this leader's time */
	rig_message(0, 1, &m);
	assert_int_equal(raft_commit(core(0)), before);
	m.term++;
	rig_message(0, 1, &m);
	assert_int_equal(raft_commit(core(0)), m.index);
	assert_int_equal(raft_match(core(0), 1), before);
}

/* Who stands when it loses what its log goes on from does so no more. */
static void void_candidate_gives_up(void **state)
{
	(void)state;
	start_three();
	rig_isolate(1);
	rig_pass(4 * ELECTION);
	rig_tick(1);
	assert_int_equal(raft_role(core(1)), RAFT_PRE_CANDIDATE);
	raft_set_void(core(1), true);
	assert_int_equal(raft_role(core(1)), RAFT_FOLLOWER);
	rig_tick(1);
	assert_int_equal(raft_role(core(1)), RAFT_FOLLOWER);
}

/* R32: a burst of losses is repaired, and sooner than by waiting for timers one by one. */
static void loss_burst(void **state)
{
	(void)state;
	start_three();
	rig_lead(0);
	for (uint32_t i = 0; i < 8; i++) {
		rig_propose(0, "gone");
		rig_drop(1, RAFT_APPEND);
		rig_settle();
	}
	assert_true(raft_match(core(0), 1) < raft_last(core(0)));
	rig_run(3 * HEARTBEAT);
	assert_int_equal(raft_match(core(0), 1), raft_last(core(0)));
	assert_true(raft_counters(core(0))->retransmits > 0);
}

/* At most inflight_max entries are under way to one follower; the rest follows the answers. */
static void flow_control(void **state)
{
	(void)state;
	start_three();
	rig_lead(0);
	rig.packets_count = 0;
	rig_isolate(1);
	for (uint32_t i = 0; i < 12; i++)
		rig_propose(0, "x");
	assert_int_equal(raft_last(core(0)) - 1 - 12 + 1, raft_commit(core(0)));
	for (uint32_t i = 0, count = 0; i < rig.packets_count; i++) {
		count += rig.packets[i].to == 2 && rig.packets[i].message.type == RAFT_APPEND;
		assert_true(count <= rig.node[0].config.inflight_max);
	}
	rig_settle();
	assert_int_equal(raft_match(core(0), 2), raft_last(core(0)));
}

/* open_max bounds what is uncommitted, and the log what is not compacted. */
static void proposals_are_bounded(void **state)
{
	uint32_t taken = 0;

	(void)state;
	start_three();
	rig_lead(0);
	rig_isolate(0);
	while (raft_can_propose(core(0), 1)) {
		assert_int_not_equal(rig_propose(0, "x"), 0);
		taken++;
	}
	assert_int_equal(taken, rig.node[0].config.open_max);
	assert_int_equal(rig_propose(0, "y"), 0);
	assert_int_equal(raft_counters(core(0))->proposals_refused, 1);
	assert_int_equal(rig_propose(1, "z"), 0); /* nor at a follower */
	rig_heal();
	rig_settle();
	rig_run(3 * HEARTBEAT);
	for (uint32_t i = 0; i < 200 && raft_can_propose(core(0), 1); i++) {
		rig_propose(0, "x");
		rig_settle();
	}
	assert_int_equal(raft_last(core(0)) - raft_base(core(0)), rig.node[0].config.entries_max);
	rig_compact(0, raft_commit(core(0)), "state");
	assert_true(raft_can_propose(core(0), 1));
}

/* A follower without room takes nothing, promises nothing, and goes on when there is room. */
static void follower_without_room(void **state)
{
	struct raft_config *small = &rig.node[1].config;
	uint64_t full;

	(void)state;
	rig_start(3, &three);
	small->entries_max = 32;
	small->open_max = 8;
	rig_boot(1, true);
	full = 1 + small->entries_max;
	rig_pass(4 * ELECTION);
	rig_lead(0);
	for (uint32_t i = 0; i < 50; i++) {
		rig_propose(0, "x");
		rig_settle();
	}
	assert_int_equal(raft_commit(core(0)), raft_last(core(0)));
	rig_run(3 * HEARTBEAT);
	assert_int_equal(raft_last(core(1)), full);
	assert_int_equal(raft_match(core(0), 1), full);
	assert_false(raft_can_propose(core(1), 0));
	rig_compact(1, raft_commit(core(1)), "state");
	rig_run(3 * HEARTBEAT);
	assert_int_equal(raft_last(core(1)), raft_last(core(0)));
	assert_int_equal(raft_base(core(1)), full);
}

/* R12, R28: a leader that cannot write its disk gives up, and another leads. */
static void stuck_disk(void **state)
{
	uint32_t term;

	(void)state;
	start_three();
	rig_lead(0);
	term = raft_term(core(0));
	rig.node[0].slow_disk = true;
	rig_propose(0, "x");
	rig_run(rig.node[0].config.disk_ns - MS);
	assert_int_equal(raft_role(core(0)), RAFT_LEADER);
	rig_run(2 * HEARTBEAT); /* at once: nobody waits for a timeout */
	assert_int_not_equal(raft_role(core(0)), RAFT_LEADER);
	assert_int_equal(raft_counters(core(0))->disk_step_downs, 1);
	assert_int_not_equal(rig_leader(), RAFT_NODE_NONE);
	rig_run(20 * ELECTION);
	assert_int_not_equal(rig_leader(), 0);
	assert_true(raft_term(core(rig_leader())) <= term + 2);
}

static void failed_disk(void **state)
{
	(void)state;
	start_three();
	rig_lead(0);
	rig_read(0, 1);
	rig_event(0, &(struct raft_event) { .kind = RAFT_EVENT_FAIL });
	assert_int_equal(raft_role(core(0)), RAFT_FOLLOWER);
	assert_int_equal(rig_read_of(0, 1), 0);
	rig_read(0, 2);
	assert_int_equal(rig_read_of(0, 2), 0);
	rig_run(2 * HEARTBEAT);
	assert_int_not_equal(rig_leader(), RAFT_NODE_NONE);
	rig.packets_count = 0;
	hear(0, 1, RAFT_VOTE, 99, 99, 98);
	entry(0, 1, 99, 99, 98, 99);
	rig_run(4 * ELECTION);
	assert_int_equal(raft_term(core(0)), 2); /* promises nothing any more */
}

/* A leader killed between its own write and the others': the log of the living wins. */
static void conflict_is_overwritten(void **state)
{
	(void)state;
	start_three();
	rig_lead(0);
	rig_isolate(0);
	rig_propose(0, "lost");
	rig_propose(0, "lost too");
	rig_run(6 * ELECTION);
	assert_int_not_equal(rig_leader(), 0);
	rig_propose(rig_leader(), "kept");
	rig_heal();
	rig_run(6 * ELECTION);
	for (uint8_t i = 0; i < 3; i++)
		assert_int_equal(raft_commit(core(i)), raft_last(core(rig_leader())));
	assert_true(raft_counters(core(0))->entries_truncated >= 2);
}

/* Messages nobody sends on purpose. None may fail a must() or change what is committed. */
static void odd_messages(void **state)
{
	static const uint64_t indexes[] = { 0, 1, 2, 3, 1ull << 40, UINT64_MAX - 1, UINT64_MAX };
	static const uint32_t terms[] = { 0, 1, 2, 3, 0x7fffffffu, UINT32_MAX - 1, UINT32_MAX };
	static const uint8_t conf_bad[4] = { 0xff, 0, 0, 0 };
	uint64_t commit;
	uint32_t term;

	(void)state;
	start_three();
	rig_lead(0);
	commit = raft_commit(core(0));
	for (uint32_t i = 0; i < 14 * 7 * 7 * 7; i++) {
		struct raft_message m = { .type = (uint8_t)(i % 14 + (i % 3 == 0) * 50) };

		m.term = terms[i / 14 % 7] % 0x80000000u;
		m.index = indexes[i / 98 % 7];
		m.log_term = terms[i / 686 % 7];
		m.id = indexes[i % 7];
		m.commit = indexes[i % 5 + 2] % (1ull << 50);
		m.flags = (uint8_t)(i % 4);
		m.payload = conf_bad;
		m.payload_bytes = (uint16_t)(i % 5);
		if (m.type == RAFT_APPEND && i % 2)
			m.entry = (struct raft_entry) { .index = m.index + 1,
							.term = m.term,
							.kind = (uint8_t)(i % 4),
							.bytes = 4,
							.data = conf_bad };
		if (m.term > 3)
			m.term = 2; /* a term of its own ends the leader; see below */
		rig_message(0, (uint8_t)(1 + i % 8), &m);
		rig_message(1, (uint8_t)(2 + i % 8), &m);
		rig.packets_count = 0;
	}
	assert_true(raft_commit(core(0)) >= commit);
	term = raft_term(core(1));
	hear(1, 2, RAFT_HEARTBEAT, UINT32_MAX, 0, 0);
	assert_int_equal(raft_term(core(1)), term);
	hear(1, 2, RAFT_HEARTBEAT, RAFT_TERM_MAX, 0, 0); /* the last one: nobody stands behind it */
	rig_pass(9 * ELECTION);
	rig_tick(1);
	assert_int_equal(raft_role(core(1)), RAFT_FOLLOWER);
}

/* More to say than one step may: the rest comes with the next. */
static void actions_are_bounded(void **state)
{
	struct rig_node *n = &rig.node[0];
	struct raft_event ev = { .kind = RAFT_EVENT_MESSAGE, .from = 1 };
	struct raft_message m = { .type = RAFT_HEARTBEAT_ACK };
	uint32_t sent = 0;
	bool more = true;

	(void)state;
	rig_start(2, &(struct raft_conf) { .voters = 0x03 });
	n->config.open_max = n->config.inflight_max = 256;
	n->config.entries_max = 1024;
	n->config.bytes_max = 1024u * RAFT_ENTRY_BYTES_MAX;
	rig_boot(0, true);
	rig_pass(4 * ELECTION);
	rig_lead(0);
	rig_isolate(1);
	for (uint32_t i = 0; i < 200; i++)
		rig_propose(0, "x");
	rig.packets_count = 0;
	rig_pass(HEARTBEAT);
	rig_tick(0);
	rig.packets_count = 0;
	m.term = raft_term(core(0));
	m.id = core(0)->round;
	m.index = m.commit = raft_commit(core(0)); /* all 200 are lost */
	ev.message = &m;
	for (uint32_t steps = 0; more; steps++) {
		assert_true(steps < 8);
		ev.now_ns = rig.now_ns;
		ev.persist_seq_next = n->seq_next;
		more = raft_step(n->raft, &ev, &n->actions);
		sent += n->actions.count;
		ev.kind = RAFT_EVENT_TICK;
	}
	assert_int_equal(sent, 128); /* the window was halved */
}

/* begun_in_vain: node 0 leads, and is cut off once it has begun, or cannot. */
static void begun_in_vain(bool appends)
{
	uint64_t before = raft_last(core(0));

	rig_heal();
	for (uint32_t i = 0; i < 60 && raft_last(core(0)) == before; i++) {
		while (raft_last(core(0)) == before && rig_deliver())
			if (!appends)
				rig_drop(1, RAFT_APPEND);
		rig.now_ns = max_u64(rig.now_ns, raft_deadline_ns(core(0)));
		rig_tick(0);
		if (!appends)
			rig_drop(1, RAFT_APPEND);
	}
	rig_cut(0, 1);
	rig_settle();
	rig_pass(3 * ELECTION);
	rig_tick(0);
	assert_int_not_equal(raft_role(core(0)), RAFT_LEADER);
}

static void two(void)
{
	struct raft_conf conf = { .voters = 0x03 };

	rig_start(2, &conf);
	rig_pass(4 * ELECTION);
	rig_lead(0);
	rig_settle();
}

/* Leader after leader that reaches nobody: their first entries leave room for those that will. */
static void noops_leave_room(void **state)
{
	(void)state;
	two();
	for (uint32_t i = 0; i < 80; i++)
		begun_in_vain(false);
	assert_in_range(raft_last(core(0)) - raft_commit(core(0)), 20, 40);
	rig_heal();
	rig_run(20 * ELECTION);
	assert_true(raft_ready(core(rig_leader())));
}

/* 5.4.2: where there is little room what every voter holds is committed, whatever its term. */
static void full_log_is_settled(void **state)
{
	(void)state;
	two();
	for (uint32_t i = 0; i < 80; i++)
		begun_in_vain(true);
	rig_heal();
	rig_run(20 * ELECTION);
	for (uint8_t i = 0; i < 2; i++)
		rig_compact(i, raft_commit(core(i)), "settled");
	rig_run(20 * ELECTION);
	assert_int_not_equal(rig_leader(), RAFT_NODE_NONE);
	assert_true(raft_ready(core(rig_leader())));
	assert_int_not_equal(rig_propose(rig_leader(), "room"), 0);
}

/* leads_unheard: this node is elected, and nothing that it sends as leader arrives. */
static void leads_unheard(uint8_t node)
{
	for (uint32_t i = 0; i < 400 && raft_role(core(node)) != RAFT_LEADER; i++) {
		rig.now_ns = max_u64(rig.now_ns, raft_deadline_ns(core(node)));
		rig_tick(node);
		while (raft_role(core(node)) != RAFT_LEADER && rig_deliver())
			;
	}
	rig.packets_count = 0;
}

/*
 * "Every voter" is of the confs in between, too: who voted in one of them may have a newer entry of
 * its own behind that, and lead the others.
 */
static void confs_in_between_count(void **state)
{
	struct raft_conf learns = { .voters = 0x07, .learners = 0x08 }, four = { .voters = 0x0f };
	uint64_t joint;

	(void)state;
	rig_start(4, &three);
	rig_pass(4 * ELECTION);
	rig_lead(0);
	while (raft_last(core(0)) < 54)
		rig_propose(0, "all"), rig_settle();
	rig_configure(0, learns), rig_run(3 * ELECTION);
	rig_configure(0, four), rig_run(3 * HEARTBEAT);
	rig_transfer(0, 1); /* its log was cut for 3, that of 1 goes back to the beginning */
	rig_run(2 * HEARTBEAT);
	joint = rig_configure(1, three); /* everybody has that; what follows, 1 alone */
	do
		while (raft_last(core(1)) > joint && rig_drop(RAFT_NODE_ANY, RAFT_APPEND))
			;
	while (rig_deliver() || rig_propose(1, "alone") != 0);
	assert_int_equal(raft_last(core(1)), 65); /* no room is left for a new leader's first */
	rig_crash(1);
	rig_cut(0, 2);
	rig_pass(ELECTION);
	leads_unheard(3);
	rig_heal();
	rig_isolate(3);
	for (uint8_t i = 0; i < 3; i++) {
		rig_crash(i);
		rig_restart(i);
	}
	leads_unheard(1);
	assert_true(raft_conf_index(core(1)) == joint + 1 && raft_commit(core(1)) < joint);
	for (uint32_t k = 0; k < 4; k++, rig_pass(HEARTBEAT), rig_tick(1))
		while (rig_deliver())
			for (uint32_t i = 0; i < rig.packets_count; i++)
				if (rig.packets[i].message.index == joint && rig.packets[i].to == 1)
					rig.packets[i].to = 3; /* lost: nobody says "up to joint" */
	assert_int_equal(raft_match(core(1), 0), 65);
	assert_int_equal(raft_match(core(1), 2), 65);
	assert_true(raft_commit(core(1)) <= joint); /* 3 leads them, if 1 dies now */
	rig_heal();
	rig_run(20 * ELECTION);
	assert_int_equal(raft_commit(core(3)), 65);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(elects_and_commits, done),
		cmocka_unit_test_teardown(commit_is_told, done),
		cmocka_unit_test_teardown(five_survive_two, done),
		cmocka_unit_test_teardown(alone, done),
		cmocka_unit_test_teardown(votes_wait_for_the_disk, done),
		cmocka_unit_test_teardown(one_vote_per_term, done),
		cmocka_unit_test_teardown(silence_after_start, done),
		cmocka_unit_test_teardown(advertises_what_is_durable, done),
		cmocka_unit_test_teardown(pre_vote_changes_nothing, done),
		cmocka_unit_test_teardown(pre_vote_is_no_vote, done),
		cmocka_unit_test_teardown(rejoins_quietly, done),
		cmocka_unit_test_teardown(newer_term_is_told, done),
		cmocka_unit_test_teardown(old_messages_show_no_life, done),
		cmocka_unit_test_teardown(check_quorum, done),
		cmocka_unit_test_teardown(figure_8, done),
		cmocka_unit_test_teardown(own_write_in_parallel, done),
		cmocka_unit_test_teardown(acks_wait_for_the_disk, done),
		cmocka_unit_test_teardown(term_changes_under_a_write, done),
		cmocka_unit_test_teardown(append_aba, done),
		cmocka_unit_test_teardown(backtracks_by_terms, done),
		cmocka_unit_test_teardown(lost_tail_is_given_again, done),
		cmocka_unit_test_teardown(void_voter_votes, done),
		cmocka_unit_test_teardown(void_voter_tells, done),
		cmocka_unit_test_teardown(void_candidate_gives_up, done),
		cmocka_unit_test_teardown(loss_burst, done),
		cmocka_unit_test_teardown(flow_control, done),
		cmocka_unit_test_teardown(proposals_are_bounded, done),
		cmocka_unit_test_teardown(follower_without_room, done),
		cmocka_unit_test_teardown(stuck_disk, done),
		cmocka_unit_test_teardown(failed_disk, done),
		cmocka_unit_test_teardown(conflict_is_overwritten, done),
		cmocka_unit_test_teardown(odd_messages, done),
		cmocka_unit_test_teardown(actions_are_bounded, done),
		cmocka_unit_test_teardown(noops_leave_room, done),
		cmocka_unit_test_teardown(full_log_is_settled, done),
		cmocka_unit_test_teardown(confs_in_between_count, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
