/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stories of the raft engine, one scenario of docs/testing.md each (R16 to R35): whole groups in
 * memory (group_rig.h), one thing goes wrong, at every moment where that is the point.
 */
#include "tests/unit/group_rig.h"

#include <stdlib.h>

#define KEY 25u	  /* of no counter */
#define OTHER 26u /* takes the load by hand */
#define COPIES 8u /* under load */

static struct op_ts at(uint64_t version)
{
	return (struct op_ts){ version, version ? GROUP_WRITER : 0 };
}

/* asked: one request by hand, repeated at the same node until it is answered; its status. */
static enum status asked(uint8_t n, enum wire_type type, uint8_t key, uint64_t id,
			 const char *value, uint64_t expected)
{
	uint32_t before = gr.results;

	for (uint32_t tries = 0; tries < 400 && gr.results == before; tries++) {
		gr_request(n, type, key, id, value, at(expected));
		for (uint32_t ms = 0; ms < 25 && gr.results == before; ms++)
			gr_run(1);
	}
	assert_int_not_equal(gr.results, before);
	return (enum status)gr.result.status;
}

/* fill: so many updates, one after the other; the log in memory holds 256 entries. */
static uint64_t fill(uint8_t n, uint64_t id, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(asked(n, WIRE_PUT, OTHER, id++, "load", 0), STATUS_OK);
	return id;
}

static uint8_t led(void)
{
	for (uint32_t ms = 0; ms < 2000 && gr_leader() < 0; ms++)
		gr_run(1);
	assert_true(gr_leader() >= 0);
	return (uint8_t)gr_leader();
}

static void finish(void)
{
	gr.delay_max_us = 100;
	gr_finish();
	gr_end();
}

/* behind: a node that lacks more than the log in memory has; it has just been started again. */
static uint8_t behind(uint8_t nodes, uint64_t seed, uint32_t clients)
{
	uint8_t away;

	gr_begin(nodes, seed, 0);
	gr.clients = clients;
	away = (uint8_t)((led() + 1) % nodes);
	gr_run(300);
	gr_crash(away);
	gr.asked &= (uint8_t)~(1u << away);
	gr_run(2500);
	gr.delay_max_us = 4000;
	gr_start(away, 0);
	return away;
}

static const struct pull *pull_of(uint8_t n)
{
	return &gr.node[n].r->group->pull;
}

/* follows: it needs no copy, and is as near to what is committed as the network lets it. */
static bool follows(uint8_t n)
{
	const struct replica *r = gr.node[n].r;
	int leader = gr_leader();

	return leader >= 0 && !pull_of(n)->active && r->group->restore == 0 &&
	       group_applied(r) >= raft_base(replica_raft(r)) &&
	       group_applied(r) + 64 >= group_applied(gr.node[leader].r);
}

static bool copies_keys(uint8_t n)
{
	for (uint32_t ms = 0; ms < 2000; ms++) {
		if (pull_of(n)->active && pull_of(n)->phase == PULL_KEYS)
			return true;
		gr_run(1);
	}
	return false;
}

/*
 * R16: the index that state is said to be of is on the disk after that state, never before: a node
 * that dies at any moment of a copy neither skips what the copy had still to bring, nor does
 * anything twice.
 */
static void state_before_its_index(void **state)
{
	uint32_t moments = 0;
	bool copying = true;

	(void)state;
	for (uint32_t ms = 0; copying; ms++) {
		uint8_t away = behind(3, 16, 12);

		assert_true(copies_keys(away));
		gr_run(ms);
		copying = pull_of(away)->active;
		moments += copying;
		gr_crash(away);
		gr_start(away, 0);
		gr_run(100);
		finish();
	}
	assert_true(moments >= 3);
}

/* told: every node that runs says this version of the key. */
static uint64_t told(uint64_t id, uint64_t version)
{
	for (uint8_t n = 0; n < gr.nodes; n++) {
		assert_int_equal(asked(n, WIRE_GET, KEY, id++, NULL, 0), STATUS_OK);
		assert_int_equal(gr.result.ts.version, version);
	}
	return id;
}

/*
 * R17, R35: a version that a client was told stays, whatever is compacted, copied, killed and
 * started anew, and all later ones are higher, after all nodes began from their disks, too: right
 * after the log was shortened, and at other moments.
 */
static void versions_stay(void **state)
{
	(void)state;
	for (uint32_t more = 0; more < 3; more++) {
		uint64_t id = 1, version, newest, base;
		uint8_t leader, away, n;

		gr_begin(3, 17, 0);
		leader = led();
		away = (uint8_t)((leader + 1) % 3);
		n = (uint8_t)((leader + 2) % 3);
		assert_int_equal(asked(n, WIRE_PUT, KEY, id++, "one", 0), STATUS_OK);
		version = gr.result.ts.version;
		gr_crash(away);
		id = fill(n, id, 400);
		base = raft_base(replica_raft(gr.node[n].r));
		assert_true(base > version);
		gr_start(away, 0);
		for (uint32_t ms = 0; ms < 3000 && !gr_all_applied(); ms++)
			gr_run(1);
		assert_true(replica_counters(gr.node[away].r)->joins > 0);
		id = told(id, version);
		while (raft_base(replica_raft(gr.node[n].r)) == base)
			id = fill(n, id, 1);
		id = fill(n, id, more * 20);
		newest = gr.result.ts.version;
		gr_run(5);
		for (uint8_t i = 0; i < 3; i++)
			gr_crash(i);
		for (uint8_t i = 0; i < 3; i++)
			gr_start(i, 0);
		led();
		id = told(id, version);
		assert_int_equal(asked(n, WIRE_CAS, KEY, id++, "two", version), STATUS_OK);
		assert_true(gr.result.ts.version > newest);
		gr_end();
	}
}

/* force: what `cairnutil recover --unsafe` appends to the log of the node that is left. */
static void force(uint8_t n, uint64_t last, uint64_t to, uint32_t term)
{
	uint8_t floor_dropped[16] = { 0 }, data[RAFT_CONF_BYTES];
	struct raft_conf conf = { .voters = (uint8_t)(1u << n) };
	struct raft_record records[4] = {
		{ .kind = RAFT_RECORD_HARD, .term = term, .vote = RAFT_NODE_NONE },
		{ .kind = RAFT_RECORD_USER,
		  .entry = { .index = last, .term = GROUP_RECORD_BEGIN } },
		{ .kind = RAFT_RECORD_USER,
		  .entry = { .index = to, .term = GROUP_RECORD_END, .data = floor_dropped,
			     .bytes = sizeof(floor_dropped) } },
		{ .kind = RAFT_RECORD_SNAPSHOT,
		  .entry = { .index = to, .term = term, .data = data, .bytes = sizeof(data) } },
	};

	store_u64(floor_dropped + 8, to);
	raft_conf_encode(data, &conf);
	for (uint32_t i = 0; i < ARRAY_LEN(records); i++)
		gr_record(n, &records[i]);
}

/*
 * R35: one node is made the whole group by force, and lacks what the others had acknowledged: what
 * it has stays, versions that the others gave are not given again, and nothing that was asked of
 * the old group is taken for new.
 */
static void no_version_twice(void **state)
{
	uint64_t id = 1, version, lost, last;
	uint32_t term;
	uint8_t n;

	(void)state;
	gr_begin(3, 35, 0);
	n = (uint8_t)((led() + 1) % 3);
	assert_int_equal(asked(n, WIRE_PUT, KEY, id++, "kept", 0), STATUS_OK);
	version = gr.result.ts.version;
	id = fill(n, id, 300);
	last = raft_last(replica_raft(gr.node[n].r));
	term = raft_term(replica_raft(gr.node[n].r));
	gr_crash(n);
	id = fill((uint8_t)((n + 1) % 3), id, 20);
	lost = gr.result.ts.version;
	assert_true(lost > last);
	for (uint8_t i = 0; i < 3; i++)
		gr_crash(i);
	force(n, last, last + (1ull << 40), term + 1);
	gr_start(n, (uint8_t)gr.node[n].founders);
	gr_run(200);
	assert_int_equal(gr_leader(), n);
	gr.client[0].id = id - 1; /* what it says when it opens its session */
	assert_int_equal(asked(n, WIRE_PUT, OTHER, id - 1, "again", 0), STATUS_EVICTED);
	assert_int_equal(asked(n, WIRE_GET, KEY, id++, NULL, 0), STATUS_OK);
	assert_int_equal(gr.result.ts.version, version);
	assert_int_equal(asked(n, WIRE_CAS, OTHER, id++, "no", lost), STATUS_CONFLICT);
	assert_int_equal(asked(n, WIRE_CAS, KEY, id++, "new", version), STATUS_OK);
	assert_true(gr.result.ts.version > lost);
	id = fill(n, id, 300);
	gr_crash(n);
	gr_start(n, (uint8_t)gr.node[n].founders);
	gr_run(200);
	assert_int_equal(asked(n, WIRE_GET, KEY, id++, NULL, 0), STATUS_OK);
	assert_memory_equal(gr.result_value, "new", 3);
	gr_end();
}

/*
 * R18: there are no reads of old versions. What comes nearest is a compare with the version of a
 * deleted key: nodes collect tombstones at different times, so it may not matter whether one is
 * still there: the version of a deleted key equals nothing but "absent", everywhere.
 */
static void a_deleted_key_has_no_version(void **state)
{
	(void)state;
	for (uint32_t collected = 0; collected < 2; collected++) {
		uint64_t id = 1, version, deleted;

		gr_begin(3, 18, 0);
		gr.greedy = collected != 0;
		led();
		assert_int_equal(asked(0, WIRE_PUT, KEY, id++, "x", 0), STATUS_OK);
		version = gr.result.ts.version;
		assert_int_equal(asked(1, WIRE_DEL, KEY, id++, NULL, 0), STATUS_OK);
		deleted = gr.result.ts.version;
		assert_true(deleted > version);
		if (collected)
			gr_run(500);
		gr_run(10);
		for (uint8_t n = 0; n < 3; n++)
			assert_int_equal(gr.node[n].present[KEY], !collected);
		for (uint8_t n = 0; n < 3; n++) {
			assert_int_equal(asked(n, WIRE_CAS, KEY, id++, "y", deleted),
					 STATUS_CONFLICT);
			assert_int_equal(asked(n, WIRE_CAS, KEY, id++, "y", version),
					 STATUS_CONFLICT);
		}
		assert_int_equal(asked(2, WIRE_CAS, KEY, id++, "y", 0), STATUS_OK);
		gr_check_same();
		gr_end();
	}
}

/*
 * R21: the node that a copy comes from dies, or is no longer the one to ask, while everything else
 * changes, too: the copy begins anew with the next one, and ends.
 */
static void a_copy_outlives_its_donor(void **state)
{
	(void)state;
	for (uint32_t ms = 0; ms < 12; ms += 3) {
		uint8_t away = behind(5, 21 + ms, 12), donor;
		uint32_t waited = 0;

		assert_true(copies_keys(away));
		gr_run(ms);
		if (!pull_of(away)->active) {
			gr_end();
			continue;
		}
		donor = pull_of(away)->donor;
		gr_crash(donor);
		gr.asked &= (uint8_t)~(1u << donor);
		while (!follows(away) && waited++ < 5000)
			gr_run(1);
		assert_true(follows(away));
		finish();
	}
}

/*
 * A tombstone that came by copy, from above the copy's start, and was forgotten for want of room,
 * is there again when the entry that made it is applied once more, at the next start: the delete
 * has one outcome everywhere (C-EQUAL, S-CACHE).
 */
static void forgets_after_use(void **state)
{
	uint32_t forgotten = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= COPIES; seed++) {
		uint8_t away = behind(3, seed, GR_CLIENTS);

		gr.greedy = true;
		for (uint32_t ms = 0; ms < 9000 && !follows(away); ms++)
			gr_run(1);
		assert_true(follows(away));
		gr_run(20);
		forgotten += gr.node[away].forgotten;
		gr_crash(away);
		gr_start(away, 0);
		finish();
	}
	assert_true(forgotten >= COPIES);
}

/* slow_copies: the pause between two bursts is longer than a donor remembers who asks nothing. */
static void slow_copies(struct replica_config *c)
{
	c->join_bytes_per_s = 400;
	c->join_lanes = LANES_MAX;
	c->join_places = 8;
}

/* A joiner that keeps to its rate is waited for, as long as it is heard. */
static void a_slow_copy_ends(void **state)
{
	uint8_t away;

	(void)state;
	gr_adjust = slow_copies;
	away = behind(3, 23, 6);
	gr.quiet = true;
	for (uint32_t ms = 0; ms < 60000 && !follows(away); ms += 10)
		gr_run(10);
	assert_true(follows(away));
	assert_int_equal(replica_counters(gr.node[away].r)->joins, 1);
	finish();
	gr_adjust = NULL;
}

/*
 * R22: a node that is behind, over a slow network, under load that does not end: the log is kept
 * from where its copy began, so that one pass is mostly enough, and not the beginning of
 * the next. (The log in memory is small here: it may have to go on without the copy.)
 */
static void a_copy_under_load_ends(void **state)
{
	uint64_t passes = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= COPIES; seed++) {
		uint8_t away = behind(3, seed, GR_CLIENTS);

		gr.delay_max_us = 30000;
		for (uint32_t ms = 0; ms < 9000 && !follows(away); ms++)
			gr_run(1);
		assert_true(follows(away));
		passes += replica_counters(gr.node[away].r)->joins;
		finish();
	}
	assert_true(passes <= 2 * COPIES);
}

/* What is no entry is none, at every replica; numbers, and compares on values. */
static void entries_are_read_with_care(void **state)
{
	static const uint8_t key[] = "k", value[] = "12345678";
	struct command c = { .type = WIRE_INCR, .key = key, .key_bytes = 1, .value = value,
			     .value_bytes = 8, .origin = { 1, 1 } }, out;
	const struct command good = c;
	uint8_t data[RAFT_ENTRY_BYTES_MAX + 1] = { 0 };
	uint32_t bytes = group_encode(data, &c);

	(void)state;
	assert_true(group_decode(data, bytes, &out));
	assert_false(group_decode(data, GROUP_HEAD_BYTES - 1, &out));
	assert_false(group_decode(data, RAFT_ENTRY_BYTES_MAX + 1, &out));
	assert_false(group_decode(data, bytes - 1, &out)); /* not eight bytes to add */
	data[0] |= 0x80;				   /* a flag there is not */
	assert_false(group_decode(data, bytes, &out));
	for (uint8_t type = 0; type < 16; type++) { /* types there are not, and reads */
		data[0] = type;
		(void)group_decode(data, bytes, &out);
		assert_int_equal(type != 0 && WIRE_GET + type <= WIRE_CASV,
				 type == WIRE_DEL - WIRE_GET || group_decode(data, bytes, &out));
	}
	for (uint32_t i = 0; i < 5; i++) {
		c = good;
		c.key_bytes = i == 0 ? 0 : 1;
		c.origin.client = i == 1 ? 0 : 1;
		c.origin.request = i == 2 ? 0 : 1;
		c.type = i == 3 ? WIRE_DEL : i == 4 ? WIRE_CASV : WIRE_INCR;
		c.expected = i == 4 ? 9 : 0; /* longer than the value it is part of */
		assert_false(group_decode(data, group_encode(data, &c), &out));
	}
	store_u16(data + 28, 700); /* a key longer than all of it */
	assert_false(group_decode(data, bytes, &out));
}

static void numbers_and_values(void **state)
{
	uint64_t id = 1;

	(void)state;
	gr_begin(3, 40, 0);
	led();
	assert_int_equal(asked(0, WIRE_PUT, KEY, id++, "text", 0), STATUS_OK);
	assert_int_equal(asked(1, WIRE_INCR, KEY, id++, "1", 0), STATUS_NOT_A_NUMBER);
	assert_int_equal(asked(1, WIRE_CASV, KEY, id++, "texas9", 5), STATUS_CONFLICT);
	assert_int_equal(asked(1, WIRE_CASV, KEY, id++, "textnew", 4), STATUS_OK);
	assert_int_equal(asked(2, WIRE_GET, KEY, id++, NULL, 0), STATUS_OK);
	assert_int_equal(gr.result.value_bytes, 3);
	assert_memory_equal(gr.result_value, "new", 3);
	assert_int_equal(asked(2, WIRE_PUT, KEY, id++, "9223372036854775807", 0), STATUS_OK);
	assert_int_equal(asked(2, WIRE_INCR, KEY, id++, "1", 0), STATUS_OVERFLOW);
	assert_int_equal(asked(2, WIRE_INCR, KEY, id++, "-7", 0), STATUS_OK);
	assert_int_equal(asked(0, WIRE_DEL, OTHER, id++, NULL, 0), STATUS_NOT_FOUND);
	assert_int_equal(asked(0, WIRE_CASV, OTHER, id++, "x", 0), STATUS_CONFLICT);
	gr_check_same();
	gr_end();
}

/* hear: a frame by hand, which may do nothing. */
static void hear(uint8_t n, struct event *ev, uint64_t cluster, uint32_t incarnation)
{
	struct gr_node *node = &gr.node[n];
	uint8_t from = (uint8_t)((n + 1) % 3);
	struct wire_header h = { .kind = ev->kind == EVENT_RAFT ? WIRE_RAFT : WIRE_PEER,
				 .cluster = cluster, .from = from, .to = n,
				 .from_incarnation = incarnation,
				 .to_incarnation = node->incarnation + (incarnation == 9) };
	struct actions a;

	ev->header = &h;
	ev->now_ns = gr.now;
	ev->persist_seq_next = node->log_count - node->log_start + 1;
	(void)replica_step(node->r, ev, &a);
	for (uint32_t i = 0; i < a.count; i++)
		assert_int_equal(a.list[i].kind, ACTION_SEND);
	replica_check(node->r);
}

/* Frames of other clusters, dead lives, for dead lives, and answers to what nobody asked. */
static void odd_frames_do_nothing(void **state)
{
	uint8_t bytes[PACK_BYTES] = { 0 };
	struct raft_message raft = { .type = RAFT_APPEND, .term = 99 };
	const struct replica_counters *c;

	(void)state;
	gr_begin(3, 41, 0);
	led();
	c = replica_counters(gr.node[0].r);
	hear(0, &(struct event){ .kind = EVENT_RAFT, .raft = &raft }, GR_CLUSTER + 1, 1);
	assert_int_equal(c->foreign_cluster, 1);
	hear(0, &(struct event){ .kind = EVENT_RAFT, .raft = &raft }, GR_CLUSTER, 0);
	assert_int_equal(c->stale_incarnation, 1);
	raft.type = RAFT_TYPE_USER + 9;
	hear(0, &(struct event){ .kind = EVENT_RAFT, .raft = &raft }, GR_CLUSTER, 1);
	for (uint8_t type = WIRE_INV; type <= WIRE_COPIED; type++) {
		struct wire_message m = { .type = type, .value = bytes, .value_bytes = 24 };
		struct event ev = { .kind = EVENT_PEER, .message = &m, .walk_next = WALK_END };

		if (type == WIRE_HELLO)
			continue;
		hear(0, &ev, GR_CLUSTER, 1);
	}
	hear(0, &(struct event){ .kind = EVENT_LEASE }, GR_CLUSTER, 1);
	hear(0, &(struct event){ .kind = EVENT_WALK }, GR_CLUSTER, 1);
	assert_int_equal(asked(1, WIRE_PUT, KEY, 1, "x", 0), STATUS_OK);
	gr_run(50);
	gr_check_same();
	gr_end();
}

/* moves: so long, looking every ms: how often another node has come to lead. */
static uint32_t moves(uint32_t length_ms)
{
	static int last = -1;
	uint32_t sum = 0;

	for (uint32_t ms = 0; ms < length_ms; ms++) {
		int now = gr_leader();

		sum += now >= 0 && last >= 0 && now != last;
		last = now >= 0 ? now : last;
		gr_run(1);
	}
	return sum;
}

/* at_home: node 0 leads this shard, and nothing has been wrong for longer than any hold-down. */
static void at_home(uint64_t seed)
{
	gr_begin(3, seed, 0);
	gr_run(1000);
	assert_int_equal(gr_leader(), 0);
	moves(1);
}

/*
 * Partial partition: leader 0 and 1 do not hear each other, 2 hears both. It leads, so that clients
 * of all three are served, in ten HELLOs and an election time; and 0 not before the link was well
 * for the hold-down.
 */
static void who_reaches_all_leads(void **state)
{
	(void)state;
	at_home(41);
	gr_cut(0, 1, true);
	gr_run(10 * 20 + 40);
	assert_int_equal(gr_leader(), 2);
	for (uint8_t n = 0; n < 3; n++) {
		gr_request(n, WIRE_PUT, KEY, n + 1u, "x", at(0));
		gr_run(10);
		assert_int_equal(gr.results, 2u * n + 1);
		assert_int_equal(gr.result.status, STATUS_OK);
		gr_request(n, WIRE_GET, KEY, n + 11u, NULL, at(0));
		gr_run(10);
		assert_int_equal(gr.results, 2u * n + 2);
		assert_int_equal(gr.result.status, STATUS_OK);
	}
	assert_int_equal(moves(5000), 1);
	gr_heal();
	assert_int_equal(moves(700), 0);
	assert_int_equal(moves(1500), 1);
	assert_int_equal(gr_leader(), 0);
	gr_end();
}

/* The same, when the link fails in one direction only. */
static void half_a_link_is_cut(void **state)
{
	(void)state;
	for (uint8_t mute = 0; mute < 2; mute++) {
		at_home(42);
		gr.cut[mute] = (uint8_t)(1u << (1 - mute));
		gr_run(10 * 20 + 40);
		assert_int_equal(gr_leader(), 2);
		assert_int_equal(asked(0, WIRE_PUT, KEY, 1, "x", 0), STATUS_OK);
		assert_int_equal(asked(1, WIRE_PUT, KEY, 2, "y", 0), STATUS_OK);
		gr_end();
	}
}

/* A link that comes and goes moves leaders less and less often (M-FLAP). */
static void flapping_link(void **state)
{
	uint32_t sum = 0;

	(void)state;
	at_home(43);
	for (uint32_t i = 0; i < 12; i++) {
		gr_cut(0, 1, true);
		sum += moves(400);
		gr_cut(0, 1, false);
		sum += moves(1500);
	}
	assert_in_range(sum, 1, 3);
	gr_end();
}

/* Not everybody finds at the same time that a node is dead: no reason to move the lead. */
static void a_death_moves_nothing(void **state)
{
	(void)state;
	for (uint8_t i = 0; i < 20; i++) {
		at_home(44u + i);
		moves(1 + i);
		gr_crash(1);
		assert_int_equal(moves(1500), 0);
		assert_int_equal(gr_leader(), 0);
		gr_end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(state_before_its_index),
		cmocka_unit_test(versions_stay),
		cmocka_unit_test(no_version_twice),
		cmocka_unit_test(a_deleted_key_has_no_version),
		cmocka_unit_test(a_copy_outlives_its_donor),
		cmocka_unit_test(forgets_after_use),
		cmocka_unit_test(a_slow_copy_ends),
		cmocka_unit_test(a_copy_under_load_ends),
		cmocka_unit_test(entries_are_read_with_care),
		cmocka_unit_test(numbers_and_values),
		cmocka_unit_test(odd_frames_do_nothing),
		cmocka_unit_test(who_reaches_all_leads),
		cmocka_unit_test(half_a_link_is_cut),
		cmocka_unit_test(flapping_link),
		cmocka_unit_test(a_death_moves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
