/* SPDX-License-Identifier: Apache-2.0 */
/* The view service: foundation, exclusion, leases, return, cold start, commands, partitions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replication/membership_priv.h"
#include "tests/unit/membership_rig.h"

#define SECOND (1000 * RIG_MS)

static struct rig *founded(uint32_t data, uint32_t witnesses)
{
	struct rig *r = rig_create(data, witnesses, ENGINE_HERMES);

	assert_true(rig_until(r, rig_members, (1u << data) - 1, 2 * SECOND));
	assert_true(rig_until(r, rig_leased, (1u << data) - 1, SECOND));
	return r;
}

static void other_than(const struct rig *r, uint8_t node, uint8_t out[2])
{
	uint32_t count = 0;

	(void)r;
	for (uint8_t n = 0; n < 3; n++)
		if (n != node)
			out[count++] = n;
}

static void test_founding(void **state)
{
	struct rig *r = founded(3, 0);

	(void)state;
	assert_int_equal(rig_newest(r)->recovered, 7);
	/* Within a moment it knows every disk by name. */
	rig_run(r, 100 * RIG_MS);
	for (uint8_t n = 0; n < 3; n++)
		assert_int_equal(rig_newest(r)->node[n].ident, r->node[n].ident);
	/* And then nothing happens any more. */
	uint32_t epoch = rig_newest(r)->epoch;
	rig_run(r, 5 * SECOND);
	assert_int_equal(rig_newest(r)->epoch, epoch);
	assert_true(rig_leased(r, 7));
	rig_destroy(r);
}

static void test_single(void **state)
{
	struct rig *r = founded(1, 0);

	(void)state;
	rig_run(r, SECOND);
	assert_true(rig_leased(r, 1));
	rig_destroy(r);
}

/* The death of a member that does not lead: excluded in time, back as a shadow, then a member. */
static void test_member_dies(void **state)
{
	struct rig *r = founded(3, 0);
	uint8_t leader = rig_leader(r);
	uint8_t others[2];
	uint64_t died_ns;

	(void)state;
	other_than(r, leader, others);
	died_ns = r->now_ns;
	rig_kill(r, others[0]);
	assert_true(rig_until(r, rig_members, 7u & ~(1u << others[0]), SECOND));
	assert_true(r->now_ns - died_ns < 80 * RIG_MS);
	assert_true(rig_leased(r, 7u & ~(1u << others[0])) ||
		    rig_until(r, rig_leased, 7u & ~(1u << others[0]), 10 * RIG_MS));
	rig_start(r, others[0]);
	assert_true(rig_until(r, rig_members, 7, SECOND));
	assert_true(rig_newest(r)->node[others[0]].incarnation == 2);
	assert_int_equal(rig_newest(r)->recovered & 1u << others[0], 0);
	rig_destroy(r);
}

/* The death of the leader: survivors' leases never lapse, and it is excluded soon. */
static void test_leader_dies(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 20; round++) {
		struct rig *r = founded(3, 0);
		uint8_t leader = rig_leader(r);
		uint32_t left = 7u & ~(1u << leader);
		uint64_t died_ns;

		rig_run(r, (100 + round * 7) * RIG_MS);
		died_ns = r->now_ns;
		rig_kill(r, leader);
		while (!rig_members(r, left)) {
			rig_run(r, RIG_MS / 4);
			assert_true(r->now_ns - died_ns < 100 * RIG_MS);
			for (uint8_t n = 0; n < 3; n++)
				assert_true(n == leader || r->node[n].lease_ns > r->now_ns ||
					    r->node[n].view.epoch == rig_newest(r)->epoch);
		}
		rig_destroy(r);
	}
}

/* A quick restart is noticed by the new incarnation, without waiting for any lease (CC-25). */
static void test_quick_restart(void **state)
{
	struct rig *r = founded(3, 0);
	uint8_t others[2];
	uint64_t from_ns;

	(void)state;
	other_than(r, rig_leader(r), others);
	rig_run(r, 100 * RIG_MS);
	from_ns = r->now_ns;
	rig_kill(r, others[1]);
	rig_start(r, others[1]);
	assert_true(rig_until(r, rig_members, 7u & ~(1u << others[1]), SECOND) ||
		    rig_until(r, rig_members, 7, SECOND));
	assert_true(r->now_ns - from_ns < 25 * RIG_MS);
	assert_true(rig_until(r, rig_members, 7, SECOND));
	rig_destroy(r);
}

/* CC-25: a death that its supervisor reports costs no lease and no timeout: a round of the log. */
static void test_buried(void **state)
{
	struct rig *r = founded(3, 0);
	uint8_t others[2];
	uint64_t died_ns;

	(void)state;
	other_than(r, rig_leader(r), others);
	rig_run(r, 100 * RIG_MS);
	died_ns = r->now_ns;
	rig_kill(r, others[0]);
	for (uint8_t n = 0; n < 3; n++)
		if (n != others[0])
			rig_bury(r, others[0], n);
	assert_true(rig_until(r, rig_members, 7u & ~(1u << others[0]), SECOND));
	assert_true(r->now_ns - died_ns < 5 * RIG_MS);
	rig_start(r, others[0]);
	assert_true(rig_until(r, rig_members, 7, SECOND));
	rig_destroy(r);
}

/* A stopped member is excluded only when its lease has run out; it notices, and starts anew. */
static void test_stopped(void **state)
{
	(void)state;
	for (uint8_t node = 0; node < 3; node++) {
		struct rig *r = founded(3, 0);

		rig_run(r, 100 * RIG_MS);
		rig_pause(r, node, 500 * RIG_MS);
		assert_true(rig_until(r, rig_members, 7u & ~(1u << node), 400 * RIG_MS));
		assert_true(rig_until(r, rig_members, 7, 4 * SECOND));
		assert_true(r->node[node].incarnation > 1);
		rig_destroy(r);
	}
}

static void test_isolated(void **state)
{
	(void)state;
	for (uint8_t node = 0; node < 3; node++) {
		struct rig *r = founded(3, 0);

		rig_isolate(r, node, true);
		assert_true(rig_until(r, rig_members, 7u & ~(1u << node), SECOND));
		rig_run(r, SECOND);
		assert_false(rig_leased(r, 1u << node));
		rig_isolate(r, node, false);
		assert_true(rig_until(r, rig_members, 7, 4 * SECOND));
		rig_destroy(r);
	}
}

/* A and B cannot hear each other, both reach C: one of them goes, once, and stays out (M-FLAP). */
static void test_partial_partition(void **state)
{
	(void)state;
	for (uint8_t c = 0; c < 3; c++) {
		struct rig *r = founded(3, 0);
		uint8_t cut[2];
		uint32_t epoch;

		other_than(r, c, cut);
		rig_run(r, 100 * RIG_MS);
		epoch = rig_newest(r)->epoch;
		rig_cut(r, cut[0], cut[1], true);
		rig_run(r, 500 * RIG_MS);
		assert_true(rig_members(r, 7u & ~(1u << cut[0])) ||
			    rig_members(r, 7u & ~(1u << cut[1])));
		assert_true(rig_newest(r)->epoch > epoch);
		epoch = rig_newest(r)->epoch;
		rig_run(r, 10 * SECOND);
		assert_int_equal(rig_newest(r)->epoch, epoch);
		rig_cut(r, cut[0], cut[1], false);
		assert_true(rig_until(r, rig_members, 7, 5 * SECOND));
		rig_destroy(r);
	}
}

/*
 * A voter's log may be done with an entry before the voter has got round to saying that it must
 * wait for a promise: it waits all the same. The rig checks the leases (M-LEASE-GAP).
 */
static void test_durable_before_hold(void **state)
{
	(void)state;
	for (uint8_t c = 0; c < 3; c++) {
		struct rig *r = founded(3, 0);
		uint8_t cut[2];

		r->hasty = true;
		other_than(r, c, cut);
		rig_run(r, 100 * RIG_MS);
		rig_cut(r, cut[0], cut[1], true);
		rig_run(r, 500 * RIG_MS);
		assert_true(rig_members(r, 7u & ~(1u << cut[0])) ||
			    rig_members(r, 7u & ~(1u << cut[1])));
		rig_destroy(r);
	}
}

/* A conf that a voter named once, and whose entry was overwritten, asks for nothing any more. */
static void test_forgotten_conf(void **state)
{
	static struct membership_actions actions;
	struct rig *r = founded(3, 0);
	uint8_t payload[MEMBERSHIP_GRANT_MAX];
	struct membership_grant g = { .flags = GRANT_GIVEN, .conf_index = 1000000,
				      .lease_us = UINT32_MAX,
				      .conf = { .voters = 0x7f, .voters_old = 7 } };
	struct raft_message message = { .type = MEMBERSHIP_GRANT, .payload = payload };
	struct membership_event ev = { .kind = MEMBERSHIP_EVENT_MESSAGE, .message = &message };

	(void)state;
	for (uint8_t from = 1; from < 3; from++) {
		ev.now_ns = g.sent_ns = r->now_ns;
		g.seq = r->node[0].service->report_seq;
		ev.persist_seq_next = r->node[0].seq_next;
		ev.from = from;
		ev.incarnation = r->node[from].incarnation;
		ev.ident = r->node[from].ident;
		message.payload_bytes = (uint16_t)membership_grant_encode(payload, &g);
		membership_step(r->node[0].service, &ev, &actions);
	}
	rig_run(r, SECOND);
	assert_true(rig_leased(r, 7));
	rig_destroy(r);
}

/* Nobody is held down for what it said before it was let in again. */
static void test_no_old_blame(void **state)
{
	(void)state;
	for (uint8_t node = 0; node < 5; node++) {
		struct rig *r = founded(5, 0);
		struct membership_command c = { .verb = VERB_DRAIN, .node = node };
		uint8_t other = node == 0 ? 1 : 0;

		assert_int_equal(rig_command(r, other, c), COMMAND_DONE);
		assert_true(rig_until(r, rig_members, 31u & ~(1u << node), SECOND));
		rig_run(r, SECOND);
		c.verb = VERB_UNDRAIN;
		assert_int_equal(rig_command(r, other, c), COMMAND_DONE);
		assert_true(rig_until(r, rig_members, 31, SECOND));
		c.verb = VERB_TRANSFER;
		assert_int_equal(rig_command(r, other, c), COMMAND_DONE);
		rig_run(r, 100 * RIG_MS);
		assert_int_equal(rig_leader(r), node);
		rig_kill(r, node);
		rig_start(r, node);
		rig_run(r, 200 * RIG_MS);
		assert_true(rig_until(r, rig_members, 31, SECOND));
		assert_int_equal(rig_newest(r)->node[node].evictions, 0);
		rig_destroy(r);
	}
}

static void test_slow_disk(void **state)
{
	(void)state;
	for (uint8_t node = 0; node < 3; node++) {
		struct rig *r = founded(3, 0);
		uint64_t from_ns;

		rig_run(r, SECOND);
		from_ns = r->now_ns;
		r->node[node].disk_ns = 8 * RIG_MS;
		assert_true(rig_until(r, rig_members, 7u & ~(1u << node), SECOND));
		assert_true(r->now_ns - from_ns < 500 * RIG_MS);
		assert_true(rig_newest(r)->node[node].flags & MEMBER_EVICTED);
		rig_run(r, 3 * SECOND);
		assert_true(rig_members(r, 7u & ~(1u << node)));
		r->node[node].disk_ns = 50000;
		assert_true(rig_until(r, rig_members, 7, 5 * SECOND));
		rig_destroy(r);
	}
}

static void test_slow_link(void **state)
{
	(void)state;
	for (uint8_t node = 0; node < 3; node++) {
		struct rig *r = founded(3, 0);

		rig_run(r, SECOND);
		r->slow_ns[node] = 4 * RIG_MS;
		assert_true(rig_until(r, rig_members, 7u & ~(1u << node), SECOND));
		r->slow_ns[node] = 0;
		assert_true(rig_until(r, rig_members, 7, 5 * SECOND));
		rig_destroy(r);
	}
}

/* Its updates wait for somebody whose service answers: the data path alone is dead. */
static void test_stuck(void **state)
{
	struct rig *r = founded(3, 0);

	(void)state;
	rig_run(r, SECOND);
	r->node[0].stuck = r->node[1].stuck = 4;
	assert_true(rig_until(r, rig_members, 3, SECOND));
	r->node[0].stuck = r->node[1].stuck = 0;
	assert_true(rig_until(r, rig_members, 7, 5 * SECOND));
	rig_destroy(r);
}

/* Of two members a witness can tell which one's links are slow. */
static void test_slow_link_of_two(void **state)
{
	(void)state;
	for (uint8_t node = 0; node < 2; node++) {
		struct rig *r = founded(2, 1);

		rig_run(r, SECOND);
		r->slow_ns[node] = 4 * RIG_MS;
		assert_true(rig_until(r, rig_members, 3u & ~(1u << node), SECOND));
		r->slow_ns[node] = 0;
		assert_true(rig_until(r, rig_members, 3, 5 * SECOND));
		rig_destroy(r);
	}
}

/* One waits for another one: it is the other one that goes, also if it leads. */
static void test_awaited(void **state)
{
	(void)state;
	for (uint8_t awaited = 0; awaited < 2; awaited++) {
		struct rig *r = founded(3, 0);

		rig_run(r, SECOND);
		r->node[2].stuck = (uint8_t)(1u << awaited);
		assert_true(rig_until(r, rig_members, 7u & ~(1u << awaited), SECOND));
		r->node[2].stuck = 0;
		assert_true(rig_until(r, rig_members, 7, 5 * SECOND));
		rig_destroy(r);
	}
}

/* All nodes lose power: those of the last view go on with what their disks hold. */
static void test_cold_start(void **state)
{
	struct rig *r = founded(3, 0);

	(void)state;
	rig_run(r, SECOND);
	for (uint8_t n = 0; n < 3; n++)
		rig_kill(r, n);
	rig_run(r, SECOND);
	for (uint8_t n = 0; n < 3; n++)
		rig_start(r, n);
	assert_true(rig_until(r, rig_members, 7, SECOND));
	assert_int_equal(rig_newest(r)->recovered, 7);
	rig_destroy(r);
}

/* The same after the view had shrunk: who was out has nothing to say, even when it starts first. */
static void test_cold_start_shrunk(void **state)
{
	struct rig *r = founded(3, 0);

	(void)state;
	rig_run(r, SECOND);
	rig_kill(r, 2);
	assert_true(rig_until(r, rig_members, 3, SECOND));
	rig_kill(r, 0);
	rig_kill(r, 1);
	rig_start(r, 2);
	rig_run(r, SECOND);
	assert_false(rig_leased(r, 4));
	rig_start(r, 1);
	/* Two of three voters: but node 0 may come back with the same right as node 1. */
	assert_true(rig_until(r, rig_members, 6, 3 * SECOND));
	assert_true(r->node[1].view.epoch != 0);
	rig_start(r, 0);
	assert_true(rig_until(r, rig_members, 7, 3 * SECOND));
	rig_destroy(r);
}

/* A damaged majority of votes cannot be told from a dead one: nothing happens without a quorum. */
static void test_no_quorum(void **state)
{
	struct rig *r = founded(3, 0);
	uint32_t epoch;

	(void)state;
	rig_run(r, SECOND);
	epoch = rig_newest(r)->epoch;
	rig_kill(r, 1);
	rig_kill(r, 2);
	rig_run(r, 2 * SECOND);
	assert_int_equal(rig_newest(r)->epoch, epoch);
	assert_false(rig_leased(r, 1));
	rig_start(r, 1);
	assert_true(rig_until(r, rig_members, 3, 2 * SECOND));
	rig_destroy(r);
}

static void test_witness(void **state)
{
	struct rig *r = founded(2, 1);

	(void)state;
	rig_kill(r, 1);
	assert_true(rig_until(r, rig_members, 1, SECOND));
	assert_true(rig_until(r, rig_leased, 1, SECOND));
	rig_start(r, 1);
	assert_true(rig_until(r, rig_members, 3, SECOND));
	rig_kill(r, 2);
	rig_run(r, SECOND);
	assert_true(rig_members(r, 3));
	assert_true(rig_leased(r, 3));
	rig_destroy(r);
}

/* Fewer members than copies asked for: the view says that updates must stop (M-MIN-SIZE). */
static void test_read_only(void **state)
{
	struct rig *r = founded(3, 0);

	(void)state;
	assert_int_equal(rig_command(r, 0, (struct membership_command){
		.verb = VERB_COPIES, .value = 3 }), COMMAND_DONE);
	rig_kill(r, 2);
	assert_true(rig_until(r, rig_members, 3, SECOND));
	assert_true(r->node[0].view.read_only);
	rig_start(r, 2);
	assert_true(rig_until(r, rig_members, 7, SECOND));
	assert_false(r->node[0].view.read_only);
	/* With fewer left than that, fewer may be asked for, if still more than there are. */
	rig_kill(r, 2);
	assert_true(rig_until(r, rig_members, 3, SECOND));
	rig_kill(r, 1);
	rig_start(r, 1);
	assert_true(rig_until(r, rig_members, 1, SECOND));
	assert_int_equal(rig_command(r, 0, (struct membership_command){
		.verb = VERB_COPIES, .value = 2 }), COMMAND_DONE);
	rig_destroy(r);
}

static void test_drain(void **state)
{
	struct rig *r = founded(3, 0);
	struct membership_command c = { .verb = VERB_DRAIN, .node = 0 };

	(void)state;
	assert_int_equal(rig_command(r, 2, c), COMMAND_DONE);
	assert_true(rig_until(r, rig_members, 6, SECOND));
	rig_run(r, 3 * SECOND);
	assert_true(rig_members(r, 6));
	assert_true(r->node[0].incarnation > 1);
	c.node = 1;
	assert_int_equal(rig_command(r, 2, c), COMMAND_TOO_FEW);
	c.flags = COMMAND_FORCE;
	assert_int_equal(rig_command(r, 2, c), COMMAND_DONE);
	assert_true(rig_until(r, rig_members, 4, SECOND));
	c.node = 2;
	assert_int_equal(rig_command(r, 2, c), COMMAND_LAST_MEMBER);
	c.verb = VERB_UNDRAIN;
	c.node = 0;
	assert_int_equal(rig_command(r, 0, c), COMMAND_DONE);
	assert_true(rig_until(r, rig_members, 5, 3 * SECOND));
	c.node = 6;
	assert_int_equal(rig_command(r, 0, c), COMMAND_NO_SUCH_NODE);
	rig_destroy(r);
}

static bool voters_are(struct rig *r, uint32_t voters)
{
	uint8_t leader = rig_leader(r);
	const struct raft_conf *conf;

	if (leader == RAFT_NODE_NONE)
		return false;
	conf = raft_conf(membership_raft(r->node[leader].service));
	return conf->voters == voters && conf->voters_old == 0 &&
	       !raft_configuring(membership_raft(r->node[leader].service));
}

static struct membership_command add(uint8_t node)
{
	return (struct membership_command){ .verb = VERB_ADD, .node = node, .want = WANT_DATA,
					    .ip = 0x0a000001u + node,
					    .name = { 'n', 'e', 'w', (char)('a' + node) } };
}

static void test_grow_and_shrink(void **state)
{
	struct membership_command same_name = add(6);
	struct rig *r = founded(3, 0);

	(void)state;
	for (uint8_t n = 3; n < 5; n++) {
		rig_new_disk(r, n);
		rig_start(r, n);
		assert_int_equal(rig_command(r, 1, add(n)), COMMAND_DONE);
		assert_int_equal(rig_command(r, 1, add(n)), COMMAND_EXISTS);
		same_name.name[3] = (char)('a' + n);
		assert_int_equal(rig_command(r, 1, same_name), COMMAND_EXISTS);
		assert_true(rig_until(r, rig_members, (2u << n) - 1, 3 * SECOND));
		assert_true(rig_until(r, voters_are, (2u << n) - 1, SECOND));
	}
	for (uint8_t n = 0; n < 2; n++) {
		struct membership_command c = { .verb = VERB_REMOVE, .node = n };

		assert_int_equal(rig_command(r, 4, c), COMMAND_DONE);
		assert_true(rig_until(r, rig_members, 0x1fu & ~((2u << n) - 1), 3 * SECOND));
		assert_true(rig_until(r, voters_are, 0x1fu & ~((2u << n) - 1), 3 * SECOND));
		rig_run(r, SECOND);
		assert_int_equal(rig_newest(r)->node[n].want, WANT_NONE);
		rig_kill(r, n);
	}
	assert_true(rig_leased(r, 0x1c));
	/* The number may be used again, by another disk, in a later incarnation. */
	rig_new_disk(r, 0);
	rig_start(r, 0);
	assert_int_equal(rig_command(r, 4, add(0)), COMMAND_DONE);
	assert_true(rig_until(r, rig_members, 0x1d, 3 * SECOND));
	assert_true(rig_newest(r)->node[0].incarnation > 1);
	rig_destroy(r);
}

/*
 * Raft engine: a number is free only when the shards' groups are known to do without it. Nobody of
 * them being there to say so is no such word.
 */
static void test_groups_count_on_it(void **state)
{
	struct rig *r = rig_create(6, 0, ENGINE_RAFT);
	struct membership_command c = { .verb = VERB_DRAIN, .flags = COMMAND_FORCE };

	(void)state;
	assert_true(rig_until(r, rig_members, 0x3f, 2 * SECOND));
	for (c.node = 0; c.node < 3; c.node++)
		assert_int_equal(rig_command(r, 4, c), COMMAND_DONE);
	assert_true(rig_until(r, rig_members, 0x38, 3 * SECOND));
	r->node[3].groups = r->node[4].groups = 0x38;
	c = (struct membership_command){ .verb = VERB_REMOVE, .node = 5 };
	assert_int_equal(rig_command(r, 0, c), COMMAND_DONE);
	assert_true(rig_until(r, voters_are, 0x1f, 3 * SECOND));
	rig_run(r, SECOND);
	assert_int_equal(rig_newest(r)->node[5].want, WANT_DATA);
	rig_kill(r, 3);
	rig_kill(r, 4);
	rig_run(r, SECOND);
	assert_int_equal(rig_newest(r)->node[5].want, WANT_DATA);
	r->node[3].groups = r->node[4].groups = 0x18;
	rig_start(r, 3);
	rig_run(r, SECOND);
	assert_int_equal(rig_newest(r)->node[5].want, WANT_DATA);
	rig_start(r, 4);
	rig_run(r, SECOND);
	assert_int_equal(rig_newest(r)->node[5].want, WANT_NONE);
	rig_destroy(r);
}

/* What a removed node did after anybody heard it last: its next disk still begins above it. */
static void test_unheard_starts(void **state)
{
	struct rig *r = founded(4, 0);
	struct membership_command c = { .verb = VERB_REMOVE, .node = 3 };
	uint32_t last;

	(void)state;
	rig_isolate(r, 3, true);
	assert_int_equal(rig_command(r, 1, c), COMMAND_DONE);
	for (uint32_t i = 0; i < 20; i++) {
		rig_kill(r, 3);
		rig_start(r, 3);
		rig_run(r, 50 * RIG_MS);
	}
	assert_int_equal(rig_newest(r)->node[3].want, WANT_NONE);
	last = r->node[3].incarnation;
	rig_kill(r, 3);
	rig_new_disk(r, 3);
	rig_start(r, 3);
	rig_isolate(r, 3, false);
	assert_int_equal(rig_command(r, 1, add(3)), COMMAND_DONE);
	assert_true(rig_until(r, rig_members, 0xf, 3 * SECOND));
	assert_true(r->node[3].incarnation > last);
	rig_destroy(r);
}

/* All but one are told to go, in one breath: nobody hands over to who goes, too. */
static void test_remove_two(void **state)
{
	(void)state;
	for (uint8_t stays = 0; stays < 3; stays++) {
		struct rig *r = founded(3, 0);
		uint8_t others[2];
		struct membership_command c = { .verb = VERB_REMOVE, .flags = COMMAND_FORCE };

		other_than(r, stays, others);
		for (uint32_t i = 0; i < 2; i++) {
			c.node = others[i];
			assert_int_equal(rig_command(r, stays, c), COMMAND_DONE);
		}
		assert_true(rig_until(r, rig_members, 1u << stays, 3 * SECOND));
		assert_true(rig_until(r, voters_are, 1u << stays, 3 * SECOND));
		rig_destroy(r);
	}
}

/* A dead node is replaced by one command: the new one in, the old one out of votes and view. */
static void test_replace(void **state)
{
	struct rig *r = founded(3, 0);
	struct membership_command c = add(3);

	(void)state;
	rig_kill(r, 1);
	assert_true(rig_until(r, rig_members, 5, SECOND));
	rig_new_disk(r, 3);
	rig_start(r, 3);
	c.replaces = 2;
	assert_int_equal(rig_command(r, 0, c), COMMAND_DONE);
	assert_true(rig_until(r, rig_members, 0xd, 3 * SECOND));
	assert_true(rig_until(r, voters_are, 0xd, 3 * SECOND));
	rig_run(r, 100 * RIG_MS);
	assert_int_equal(rig_newest(r)->node[1].want, WANT_NONE);
	rig_destroy(r);
}

/* R19, R20: a node that comes back with another disk is not the node that voted. */
static void test_other_disk(void **state)
{
	struct rig *r = founded(3, 0);

	(void)state;
	rig_run(r, 100 * RIG_MS);
	rig_kill(r, 1);
	assert_true(rig_until(r, rig_members, 5, SECOND));
	rig_new_disk(r, 1);
	r->node[1].joining = false; /* formatted as if the cluster were to be founded */
	rig_start(r, 1);
	rig_run(r, 3 * SECOND);
	assert_true(rig_members(r, 5));
	rig_destroy(r);
}

static struct membership_command removal(uint8_t node)
{
	return (struct membership_command){ .verb = VERB_REMOVE, .node = node };
}

/*
 * A number is given anew while the network still has frames of its former disk: it is not named by
 * one of them, and the new disk is told to begin above what was heard of the old one (R19).
 */
static void test_former_disk(void **state)
{
	(void)state;
	for (uint8_t node = 0; node < 3; node++) {
		struct rig *r = founded(3, 0);
		uint8_t other = (uint8_t)((node + 1) % 3);

		rig_run(r, 100 * RIG_MS);
		r->replay = true;
		assert_int_equal(rig_command(r, other, removal(node)), COMMAND_DONE);
		assert_true(rig_until(r, voters_are, 7u & ~(1u << node), 3 * SECOND));
		rig_run(r, SECOND);
		assert_int_equal(rig_newest(r)->node[node].want, WANT_NONE);
		rig_kill(r, node);
		rig_new_disk(r, node);
		assert_int_equal(rig_command(r, other, add(node)), COMMAND_DONE);
		rig_run(r, 50 * RIG_MS); /* only the former one's frames are to be heard */
		assert_int_equal(rig_newest(r)->node[node].ident, 0);
		rig_start(r, node);
		assert_true(rig_until(r, rig_members, 7, 3 * SECOND));
		assert_int_equal(rig_newest(r)->node[node].ident, r->node[node].ident);
		for (uint8_t n = 0; n < 3; n++)
			assert_int_equal(r->node[n].view.first_disk, n != node);
		rig_destroy(r);
	}
}

static void test_remove_refused(void **state)
{
	struct rig *r = founded(3, 0);
	struct membership_command c = { .verb = VERB_REMOVE, .node = 0, .flags = COMMAND_FORCE };

	(void)state;
	rig_kill(r, 2);
	assert_true(rig_until(r, rig_members, 3, SECOND));
	/* Node 0 gone, one of two voters would be dead. */
	assert_int_equal(rig_command(r, 1, c), COMMAND_QUORUM);
	c.node = 2;
	assert_int_equal(rig_command(r, 1, c), COMMAND_DONE);
	assert_true(rig_until(r, voters_are, 3, SECOND));
	rig_destroy(r);
}

/* Engine raft: the dead vote in the shards: nothing may leave those without a living majority. */
static void test_groups_refuse(void **state)
{
	struct rig *r = rig_create(3, 0, ENGINE_RAFT);
	struct membership_command c = { .verb = VERB_DRAIN, .node = 1, .flags = COMMAND_FORCE };

	(void)state;
	assert_true(rig_until(r, rig_members, 7, 2 * SECOND));
	rig_kill(r, 2);
	assert_true(rig_until(r, rig_led, 0, SECOND));
	rig_run(r, SECOND);
	assert_int_equal(rig_command(r, 0, c), COMMAND_QUORUM);
	c.verb = VERB_REMOVE;
	assert_int_equal(rig_command(r, 0, c), COMMAND_QUORUM);
	c.verb = VERB_DRAIN;
	c.node = 2;
	assert_int_equal(rig_command(r, 0, c), COMMAND_DONE);
	rig_destroy(r);
}

static bool led_by(struct rig *r, uint32_t node)
{
	return rig_leader(r) == node;
}

static void test_transfer(void **state)
{
	struct rig *r = founded(3, 0);
	uint8_t others[2];
	struct membership_command c = { .verb = VERB_TRANSFER };

	(void)state;
	other_than(r, rig_leader(r), others);
	rig_run(r, 100 * RIG_MS);
	c.node = others[0];
	assert_int_equal(rig_command(r, others[1], c), COMMAND_DONE);
	assert_true(rig_until(r, led_by, others[0], 100 * RIG_MS));
	rig_run(r, SECOND);
	assert_true(rig_members(r, 7));
	rig_destroy(r);
}

/* Packets of the dead do not keep them alive, those of an earlier life do not hide the next. */
static void test_replayed(void **state)
{
	(void)state;
	for (uint8_t node = 0; node < 3; node++) {
		struct rig *r = founded(3, 0);

		rig_run(r, 100 * RIG_MS);
		r->replay = true;
		rig_run(r, 300 * RIG_MS);
		assert_true(rig_members(r, 7));
		rig_kill(r, node);
		assert_true(rig_until(r, rig_members, 7u & ~(1u << node), SECOND));
		rig_start(r, node);
		assert_true(rig_until(r, rig_members, 7, SECOND));
		rig_run(r, SECOND);
		assert_true(rig_members(r, 7));
		rig_destroy(r);
	}
}

/* M-FLAP: evicted once, out for the hold-down; evicted again, twice as long. */
static void test_hold_down(void **state)
{
	struct rig *r = founded(3, 0);

	(void)state;
	rig_run(r, SECOND);
	for (uint64_t times = 1; times <= 2; times++) {
		uint64_t out_ns;

		r->node[2].disk_ns = 8 * RIG_MS;
		assert_true(rig_until(r, rig_members, 3, SECOND));
		out_ns = r->now_ns;
		r->node[2].disk_ns = 50000;
		assert_true(rig_until(r, rig_members, 7, 10 * SECOND));
		assert_true(r->now_ns - out_ns >= times * 2 * SECOND);
		assert_true(r->now_ns - out_ns < times * 2 * SECOND + SECOND);
	}
	rig_destroy(r);
}

/* A member whose links come and go is left out once per hold-down, not once per flap. */
static void test_flapping(void **state)
{
	struct rig *r = founded(3, 0);
	uint32_t epoch;

	(void)state;
	rig_run(r, SECOND);
	epoch = (uint32_t)r->node[0].service->counters.views;
	for (uint32_t flap = 0; flap < 100; flap++) {
		rig_isolate(r, 2, flap % 2 == 0);
		rig_run(r, 50 * RIG_MS);
	}
	/* Two views for each time it came and went: at 0 s, after 2 s. */
	assert_true(r->node[0].service->counters.views - epoch <= 6);
	assert_true(r->node[0].notes[NOTE_VIEW] <= r->node[0].service->counters.views);
	rig_isolate(r, 2, false);
	assert_true(rig_until(r, rig_members, 7, 20 * SECOND));
	rig_destroy(r);
}

/*
 * New voters know of no promise. Node 0 has a lease of nodes 0 and 1 alone when the voters grow
 * from three to five: 2, 3 and 4 could exclude it, were it not that 1 acknowledges the change only
 * when its promise has run out. The rig checks the lease.
 */
static void test_joint_waits(void **state)
{
	struct rig *r = rig_prepare(3, 0, ENGINE_HERMES);
	struct membership_command drain = { .verb = VERB_DRAIN, .node = 0 };
	struct membership_command lead = { .verb = VERB_TRANSFER, .node = 2 };

	(void)state;
	r->config.detect_ns = 200 * RIG_MS;
	rig_found(r);
	assert_true(rig_until(r, rig_leased, 7, 2 * SECOND));
	rig_command(r, 1, lead);
	assert_true(rig_until(r, led_by, 2, SECOND));
	for (uint8_t n = 3; n < 5; n++) {
		rig_new_disk(r, n);
		rig_start(r, n);
		rig_isolate(r, n, true);
		assert_int_equal(rig_command(r, 2, add(n)), COMMAND_DONE);
	}
	rig_run(r, 100 * RIG_MS); /* what they promised in an earlier life has run out, too */
	rig_cut(r, 0, 2, true);
	rig_run(r, 62 * RIG_MS); /* the promise of node 2 has run out; nobody is evicted yet */
	assert_true(rig_leased(r, 1));
	rig_isolate(r, 3, false);
	rig_isolate(r, 4, false);
	rig_isolate(r, 0, true);
	assert_true(rig_until(r, voters_are, 0x1f, SECOND));
	rig_command(r, 2, drain);
	rig_run(r, 200 * RIG_MS);
	assert_false(rig_newest(r)->members & 1);
	rig_destroy(r);
}

static bool follower_leads(struct rig *r, uint32_t before)
{
	uint8_t leader = rig_leader(r);

	return leader != RAFT_NODE_NONE && leader != before;
}

static bool leader_ready(struct rig *r, uint32_t leader)
{
	return raft_ready(membership_raft(r->node[leader].service));
}

/*
 * The voters change twice, and those who took part restart before they have heard that either
 * change was committed: two entries of their logs wait for promises, while a member that lives asks
 * for new ones.
 */
static void test_two_joints(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 8; round++) {
		struct rig *r = founded(5, 0);
		uint8_t leader = rig_leader(r);
		uint32_t voters = 0x1f;

		for (uint8_t n = 0; n < 5; n++) {
			if (n == leader || raft_bits((uint8_t)voters) == 3)
				continue;
			voters &= ~(1u << n);
			assert_int_equal(rig_command(r, leader, removal(n)), COMMAND_DONE);
			assert_true(rig_until(r, voters_are, voters, SECOND));
			rig_isolate(r, n, true);
		}
		for (uint8_t n = 0; n < 5; n++)
			if (n != leader && (voters >> n & 1))
				rig_kill(r, n);
		rig_pause(r, leader, 400 * RIG_MS);
		rig_run(r, (1 + round) * RIG_MS); /* what it has sent is lost */
		for (uint8_t n = 0; n < 5; n++)
			if (n != leader && (voters >> n & 1))
				rig_start(r, n);
		assert_true(rig_until(r, follower_leads, leader, 300 * RIG_MS));
		r->node[leader].paused_ns = 0;
		assert_true(rig_until(r, leader_ready, rig_leader(r), SECOND));
		rig_run(r, SECOND);
		assert_true(rig_until(r, rig_members, voters, 5 * SECOND));
		rig_destroy(r);
	}
}

/* Loss and copies of old packets, nodes stopped and killed at random: the rig's own checks hold. */
static void test_weather(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct rig *r = rig_create(seed % 3 == 0 ? 5 : 3, seed % 2, ENGINE_HERMES);
		uint32_t nodes = (seed % 3 == 0 ? 5u : 3u) + (uint32_t)(seed % 2);
		uint32_t data = seed % 3 == 0 ? 0x1f : 7;

		r->random ^= seed * 0x9e3779b97f4a7c15ull;
		r->loss_permille = 50;
		r->double_permille = 100;
		for (uint32_t turn = 0; turn < 60; turn++) {
			uint8_t node = (uint8_t)((seed * 7 + turn * 5) % nodes);

			rig_run(r, (10 + turn * 13 % 90) * RIG_MS);
			if (turn % 4 == 0)
				rig_pause(r, node, (turn * 29 % 150) * RIG_MS);
			else if (turn % 4 == 1 && r->node[node].up)
				rig_kill(r, node);
			else if (turn % 4 == 2)
				rig_cut(r, node, (uint8_t)((node + 1) % nodes), turn % 8 == 2);
			for (uint8_t n = 0; n < nodes; n++)
				if (!r->node[n].up && turn % 3 == 0)
					rig_start(r, n);
		}
		r->loss_permille = 0;
		for (uint8_t n = 0; n < nodes; n++) {
			rig_isolate(r, n, false);
			if (!r->node[n].up)
				rig_start(r, n);
		}
		assert_true(rig_until(r, rig_members, data, 80 * SECOND));
		rig_destroy(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_founding),
		cmocka_unit_test(test_single),
		cmocka_unit_test(test_member_dies),
		cmocka_unit_test(test_leader_dies),
		cmocka_unit_test(test_quick_restart),
		cmocka_unit_test(test_buried),
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_isolated),
		cmocka_unit_test(test_partial_partition),
		cmocka_unit_test(test_durable_before_hold),
		cmocka_unit_test(test_forgotten_conf),
		cmocka_unit_test(test_no_old_blame),
		cmocka_unit_test(test_slow_disk),
		cmocka_unit_test(test_slow_link),
		cmocka_unit_test(test_slow_link_of_two),
		cmocka_unit_test(test_stuck),
		cmocka_unit_test(test_awaited),
		cmocka_unit_test(test_cold_start),
		cmocka_unit_test(test_cold_start_shrunk),
		cmocka_unit_test(test_no_quorum),
		cmocka_unit_test(test_witness),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_grow_and_shrink),
		cmocka_unit_test(test_groups_count_on_it),
		cmocka_unit_test(test_unheard_starts),
		cmocka_unit_test(test_remove_two),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_other_disk),
		cmocka_unit_test(test_former_disk),
		cmocka_unit_test(test_remove_refused),
		cmocka_unit_test(test_groups_refuse),
		cmocka_unit_test(test_transfer),
		cmocka_unit_test(test_replayed),
		cmocka_unit_test(test_hold_down),
		cmocka_unit_test(test_flapping),
		cmocka_unit_test(test_joint_waits),
		cmocka_unit_test(test_two_joints),
		cmocka_unit_test(test_weather),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
