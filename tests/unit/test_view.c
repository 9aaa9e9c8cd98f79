/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Views by hand: who takes part, what an epoch change makes void, leases, how a shadow joins, how a
 * whole cluster starts again, when tombstones go. Rules of docs/protocol.md, Views.
 */
#include "tests/unit/replica_rig.h"

#define KEY 0
#define ALL 0x07u
#define FILLED 20u /* more than two chunks of a bulk copy */

static const struct op_ts none = { 0, 0 };

/* The view of the world a test starts with, and the next one, made from it. */
static struct view view_now;

static int views(void **state)
{
	(void)state;
	rig_adjust = NULL;
	rig_views(3, ALL);
	view_now = *replica_view(rig_nodes[0].r);
	view_now.recovered = 0;
	return 0;
}

static int unviews(void **state)
{
	(void)state;
	rig_adjust = NULL;
	rig_free();
	return 0;
}

/* next_view: one epoch later; who was not in the write set is in it since now. */
static struct view next_view(uint8_t members, uint8_t shadows)
{
	uint8_t before = view_write_set(&view_now);

	view_now.epoch++;
	view_now.members = members;
	view_now.shadows = shadows;
	for (uint8_t n = 0; n < rig_count; n++)
		if (view_write_set(&view_now) & ~before & 1u << n)
			view_now.since[n] = view_now.epoch;
	return view_now;
}

/* come_back: the node starts again with what its disk held; next view: a shadow. */
static void come_back(uint8_t n, uint32_t incarnation)
{
	rig_recover(n, incarnation);
	view_now.incarnation[n] = incarnation;
}

static void fill_keys(uint8_t n, uint64_t first_id)
{
	for (uint8_t k = 0; k < FILLED; k++) {
		char value[2] = { (char)('A' + k), 0 };

		rig_put(n, k, first_id + k % 10, value);
		rig_settle();
		if (k == 9)
			first_id += 10;
	}
	rig_settle();
}

static void same_everywhere(uint8_t a, uint8_t b)
{
	for (uint8_t k = 0; k < RIG_KEYS; k++) {
		struct entry *x = rig_entry(a, k), *y = rig_entry(b, k);

		assert_int_equal(op_ts_compare(entry_ts(x), entry_ts(y)), 0);
		assert_int_equal(x->flags, y->flags);
		assert_int_equal(x->value_bytes, y->value_bytes);
		assert_memory_equal(entry_value(x), entry_value(y), x->value_bytes);
	}
}

/* ---- installing ------------------------------------------------------------------------------ */

static void without_a_view_a_node_is_out(void **state)
{
	(void)state;
	rig_start(2, 2);
	assert_int_equal(replica_epoch(rig_nodes[2].r), 0);
	assert_false(replica_linked(rig_nodes[2].r));
	assert_false(replica_joined(rig_nodes[2].r));
	assert_int_equal(replica_lease_ns(rig_nodes[2].r), 0);
	rig_open(2, 5, 1);
	assert_int_equal(rig_nodes[2].session, 0);
	rig_put(0, KEY, 1, "x");
	rig_deliver(WIRE_INV, 0, 2);
	assert_int_equal(rig_entry(2, KEY)->version, 0);
	assert_null(rig_find(WIRE_ACK, 2, -1));
	rig_tick(2, 5000);
	assert_null(rig_find(WIRE_INV, 2, -1));
}

static void only_newer_views_are_installed(void **state)
{
	struct view v = next_view(ALL, 0);

	(void)state;
	rig_view(0, &v);
	assert_int_equal(replica_epoch(rig_nodes[0].r), 2);
	assert_int_equal(rig_counters(0)->views_installed, 2);
	v.members = 1;
	rig_view(0, &v); /* the same once more */
	v.epoch = 1;
	rig_view(0, &v); /* an older one, late */
	assert_int_equal(rig_counters(0)->views_installed, 2);
	assert_int_equal(replica_view(rig_nodes[0].r)->members, ALL);
	v = next_view(ALL, 0);
	v = next_view(ALL, 0); /* one may be left out */
	rig_view(0, &v);
	assert_int_equal(replica_epoch(rig_nodes[0].r), 4);
}

static void impossible_views_are_refused(void **state)
{
	struct view good = next_view(0x3, 0x4), v;

	(void)state;
	v = good, v.members = 0;
	expect_assert_failure(rig_view(0, &v));
	v = good, v.epoch = 0;
	expect_assert_failure(rig_view(0, &v));
	v = good, v.shadows = 0x6;
	expect_assert_failure(rig_view(0, &v));
	v = good, v.members = 0x9;
	expect_assert_failure(rig_view(0, &v));
	v = good, v.recovered = 0x4;
	expect_assert_failure(rig_view(0, &v));
	v = good, v.incarnation[1] = 0;
	expect_assert_failure(rig_view(0, &v));
	v = good, v.incarnation[1] = INCARNATION_MAX + 1;
	expect_assert_failure(rig_view(0, &v));
	v = good, v.since[1] = 0;
	expect_assert_failure(rig_view(0, &v));
	v = good, v.since[1] = v.epoch + 1;
	expect_assert_failure(rig_view(0, &v));
	rig_view(0, &good);
	assert_int_equal(replica_epoch(rig_nodes[0].r), 2);
	rig_start(1, 2);
	good.incarnation[1] = 2;
	good.since[1] = good.epoch; /* it missed views: it must be a shadow first */
	expect_assert_failure(rig_view(1, &good));
}

/* CC-12: who was left out would give its timestamps again: this incarnation is over. */
static void who_was_left_out_is_spent(void **state)
{
	struct view v = next_view(0x3, 0);

	(void)state;
	rig_install(&v);
	rig_view(2, &v);
	assert_true(replica_spent(rig_nodes[2].r));
	assert_false(replica_spent(rig_nodes[0].r));
	v = next_view(0x3, 0x4); /* the same incarnation once more */
	rig_view(2, &v);
	assert_int_equal(rig_nodes[2].resets, 0);
	rig_run(20);
	assert_false(replica_joined(rig_nodes[2].r));
	v = next_view(ALL, 0);
	v.since[1] = v.epoch; /* it did not hear that it was left out, but of its return */
	rig_view(1, &v);
	assert_true(replica_spent(rig_nodes[1].r));
	assert_false(replica_linked(rig_nodes[1].r));
}

static void views_need_the_configuration(void **state)
{
	struct view v = next_view(ALL, 0);

	(void)state;
	rig_world(3);
	expect_assert_failure(rig_view(0, &v));
	expect_assert_failure(rig_lease(0, 1, 5));
}

/* CC-5, H01: an ACK of the old epoch does not count in the new one, for a write or an RMW. */
static void a_view_discards_acks(void **state)
{
	struct rig_packet late;
	struct view v;

	(void)state;
	rig_do(0, WIRE_INCR, KEY, 1, "1", none);
	rig_durable(0);
	rig_deliver(WIRE_INV, 0, 1);
	rig_durable(1);
	late = *rig_find(WIRE_ACK, 1, 0);
	rig_deliver(WIRE_ACK, 1, 0);
	rig_drop(WIRE_INV, 0, 2);
	v = next_view(ALL, 0);
	rig_view(0, &v);
	rig_lease(0, 2, UINT64_MAX);
	rig_give(&late);
	assert_int_equal(rig_counters(0)->stale_epoch, 1);
	rig_tick(0, 2);
	assert_non_null(rig_find(WIRE_INV, 0, 1)); /* asked again */
	rig_deliver(WIRE_INV, 0, 1);		   /* which is not there yet */
	assert_int_equal(rig_counters(1)->stale_epoch, 1);
	assert_null(rig_find(WIRE_ACK, 1, 0));
	rig_run(20);
	assert_int_equal(rig_answers[1], 0); /* nobody follows: no commit */
	rig_view(1, &v);
	rig_view(2, &v);
	rig_run(200);
	rig_answered(1, STATUS_OK, 1);
	assert_int_equal(load_u64(rig_value[1]), 1);
}

static void who_left_is_not_waited_for(void **state)
{
	struct view v;

	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_drop(WIRE_INV, 0, 2); /* it died */
	rig_settle();
	assert_int_equal(rig_answers[1], 0);
	v = next_view(0x3, 0);
	rig_install(&v);
	rig_run(40);
	rig_answered(1, STATUS_OK, 2);
	assert_int_equal(rig_entry(2, KEY)->version, 0);
	assert_int_equal(replica_peer_incarnation(rig_nodes[0].r, 2), 0);
	assert_int_equal(replica_peers_heard(rig_nodes[0].r), 1);
}

/* A member nobody told of its exclusion: it can commit nothing, and its frames are not heard. */
static void who_left_and_does_not_know_is_not_heard(void **state)
{
	struct view v = next_view(0x3, 0);

	(void)state;
	rig_install(&v);
	rig_put(2, KEY, 1, "x");
	rig_run(20);
	assert_int_equal(rig_answers[1], 0);
	assert_int_equal(rig_entry(0, KEY)->version, 0);
	rig_put(0, KEY, 2, "y");
	rig_run(20);
	rig_answered(2, STATUS_OK, 2);
	rig_view(2, &v);
	rig_answered(1, STATUS_UNKNOWN, 0);
}

/* The same epoch, but an incarnation the view does not mean (M-INCARN). */
static void only_the_incarnations_of_the_view_count(void **state)
{
	struct rig_packet p;

	(void)state;
	rig_put(0, KEY, 1, "x");
	p = *rig_find(WIRE_INV, 0, 1);
	p.from_incarnation = 2;
	rig_give(&p);
	p = *rig_find(WIRE_INV, 0, 1);
	p.to_incarnation = 2;
	rig_give(&p);
	assert_int_equal(rig_counters(1)->stale_incarnation, 2);
	assert_int_equal(rig_entry(1, KEY)->version, 0);
	rig_drop_all();
	rig_tick(0, 2000);
	p = *rig_find(WIRE_HELLO, 0, 1);
	p.from_incarnation = 7; /* views come from elsewhere: HELLOs teach nothing */
	rig_give(&p);
	assert_int_equal(rig_counters(1)->stale_incarnation, 3);
	assert_int_equal(replica_peer_incarnation(rig_nodes[1].r, 0), 1);
}

/* ---- too few copies -------------------------------------------------------------------------- */

/* M-MIN-SIZE: Valid keys can be read; no update begins, and none that had begun is finished. */
static void read_only_views_take_no_updates(void **state)
{
	struct view v;

	(void)state;
	rig_put(0, 1, 1, "old");
	rig_settle();
	rig_put(0, KEY, 2, "begun");
	rig_drop(WIRE_INV, 0, 2); /* it died */
	rig_settle();
	v = next_view(0x3, 0);
	v.read_only = true;
	rig_install(&v);
	rig_run(300);
	assert_int_equal(rig_answers[2], 0);
	rig_put(0, 1, 3, "no");
	rig_answered(3, STATUS_NOT_SERVING, 0);
	rig_do(1, WIRE_INCR, 2, 4, "1", none);
	rig_answered(4, STATUS_NOT_SERVING, 0);
	rig_get(1, 1, 5);
	rig_answered(5, STATUS_OK, 2);
	assert_true(replica_linked(rig_nodes[0].r));
	assert_int_equal(replica_view(rig_nodes[0].r)->members, 0x3);
	v = next_view(0x3, 0); /* it was made writable by hand */
	v.read_only = false;
	rig_install(&v);
	rig_run(300);
	rig_answered(2, STATUS_OK, 2);
	rig_put(1, 1, 6, "yes");
	rig_run(20);
	rig_answered(6, STATUS_OK, 4);
}

/* A sole member: its own disk would be enough, if the view allowed it. */
static void one_member_of_a_read_only_view_commits_nothing(void **state)
{
	struct view v = next_view(0x1, 0);

	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_drop_all();
	v.read_only = true;
	rig_install(&v);
	rig_run(300);
	assert_int_equal(rig_answers[1], 0);
	v = next_view(0x1, 0x2);
	v.incarnation[1] = 2;
	v.since[1] = v.epoch;
	v.read_only = true;
	come_back(1, 2);
	rig_install(&v); /* who joins copies what is there, and finishes nothing either */
	rig_run(300);
	assert_true(replica_joined(rig_nodes[1].r));
	assert_int_equal(rig_answers[1], 0);
	v = next_view(0x3, 0);
	v.read_only = false;
	rig_install(&v);
	rig_run(300);
	rig_answered(1, STATUS_OK, 2);
}

/* ---- what the view service is told ----------------------------------------------------------- */

static void silent_peers_are_not_heard(void **state)
{
	struct replica *r = rig_nodes[0].r;
	struct view v;

	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_settle();
	assert_int_equal(replica_heard(r, rig_now, 20 * MS), ALL);
	rig_tick(0, 30);
	rig_drop_all();
	assert_int_equal(replica_heard(r, rig_now, 20 * MS), 0x1);
	rig_put(1, KEY, 2, "y");
	rig_settle();
	assert_int_equal(replica_heard(r, rig_now, 20 * MS), 0x3);
	v = next_view(0x3, 0);
	rig_install(&v);
	assert_int_equal(replica_heard(r, rig_now, 1000000 * MS), 0x3);
}

static void missing_acks_show(void **state)
{
	struct replica *r = rig_nodes[0].r;
	uint64_t older_ns = 4 * replica_config(r)->retransmit_ns;

	(void)state;
	assert_int_equal(replica_stuck(r, older_ns), 0);
	rig_put(0, KEY, 1, "x");
	rig_drop(WIRE_INV, 0, 2);
	rig_settle();
	assert_int_equal(replica_stuck(r, older_ns), 0);
	for (uint32_t i = 0; i < 64 && replica_stuck(r, older_ns) == 0; i++) {
		rig_tick(0, 1);
		while (rig_find(WIRE_INV, 0, 2))
			rig_drop(WIRE_INV, 0, 2);
		rig_settle();
		if (i == 1)
			assert_int_equal(replica_stuck(r, older_ns), 0);
	}
	assert_int_equal(replica_stuck(r, older_ns), 0x4);
	assert_int_equal(replica_stuck(r, older_ns), 0x4); /* and still */
	rig_run(300);
	rig_answered(1, STATUS_OK, 2);
	assert_int_equal(replica_stuck(r, older_ns), 0);
}

/* Its HELLO of the new view came before the view did: nobody waits for the next one. */
static void who_comes_in_counts_as_heard(void **state)
{
	struct view v = next_view(0x3, 0);

	(void)state;
	rig_install(&v);
	rig_tick(0, 60000);
	rig_tick(1, 60000);
	rig_settle();
	come_back(2, 2);
	v = next_view(0x3, 0x4);
	rig_view(2, &v);
	rig_drop_all();
	rig_view(0, &v);
	rig_view(1, &v);
	rig_lease(0, v.epoch, UINT64_MAX);
	rig_put(0, KEY, 1, "x");
	assert_int_equal(rig_answers[1], 0); /* begun, not refused */
	rig_run(300);
	rig_answered(1, STATUS_OK, 2);
}

/* ---- leaving --------------------------------------------------------------------------------- */

static void who_leaves_says_what_it_knows(void **state)
{
	struct view v;

	(void)state;
	rig_put(2, KEY, 1, "x");
	rig_put(2, KEY, 2, "y");
	rig_get(2, KEY, 3);
	rig_drop_all();
	v = next_view(0x3, 0);
	rig_view(2, &v);
	rig_answered(1, STATUS_UNKNOWN, 0);	/* begun: another node may finish it */
	rig_answered(2, STATUS_NOT_SERVING, 0); /* never begun */
	rig_answered(3, STATUS_NOT_SERVING, 0);
	assert_int_equal(replica_ops(rig_nodes[2].r), 0);
	assert_false(replica_linked(rig_nodes[2].r));
	rig_get(2, 1, 4);
	rig_answered(4, STATUS_NOT_SERVING, 0);
	rig_put(2, 1, 5, "z");
	rig_answered(5, STATUS_NOT_SERVING, 0);
	rig_drop_all();
	rig_tick(2, 500);
	assert_null(rig_find(WIRE_INV, 2, -1));
	assert_null(rig_find(WIRE_ACK, 2, -1));
}

static void many_ops(struct replica_config *c)
{
	c->ops_max = 200;
}

static void leaving_with_many_ops_takes_several_steps(void **state)
{
	struct view v;

	(void)state;
	rig_adjust = many_ops;
	rig_views(3, ALL);
	rig_put(2, KEY, 1, "x");
	for (uint64_t id = 10; id < 200; id++)
		rig_get(2, KEY, id);
	assert_int_equal(replica_ops(rig_nodes[2].r), 191);
	view_now = *replica_view(rig_nodes[0].r);
	view_now.recovered = 0;
	v = next_view(0x3, 0);
	rig_view(2, &v);
	assert_int_equal(replica_ops(rig_nodes[2].r), 0);
	rig_answered(1, STATUS_UNKNOWN, 0);
	for (uint64_t id = 10; id < 200; id++)
		rig_answered(id, STATUS_NOT_SERVING, 0);
}

/* A slow member is made a shadow: it acknowledges, serves nobody, and needs no copy (CC-15). */
static void a_member_made_a_shadow_keeps_everything(void **state)
{
	struct view v;

	(void)state;
	rig_put(2, KEY, 1, "x");
	v = next_view(0x3, 0x4);
	rig_install(&v);
	rig_answered(1, STATUS_UNKNOWN, 0);
	assert_int_equal(rig_nodes[2].resets, 0);
	assert_true(replica_joined(rig_nodes[2].r));
	rig_put(0, KEY, 2, "y");
	rig_deliver(WIRE_INV, 0, 1);
	rig_durable(0);
	rig_durable(1);
	rig_deliver(WIRE_ACK, 1, 0);
	assert_int_equal(rig_answers[2], 0); /* the shadow's ACK is needed, too */
	rig_run(40);
	rig_answered(2, STATUS_OK, 2);
	rig_lease(2, v.epoch, UINT64_MAX); /* not for shadows */
	assert_int_equal(replica_lease_ns(rig_nodes[2].r), 0);
	rig_get(2, KEY, 3);
	rig_answered(3, STATUS_NOT_SERVING, 0);
	v = next_view(ALL, 0);
	rig_install(&v);
	rig_get(2, KEY, 4);
	rig_run(60);
	assert_int_equal(rig_answers[4], 1);
	assert_int_equal(rig_result[4].status, STATUS_OK);
	assert_int_equal(rig_nodes[2].resets, 0);
}

/* ---- leases ---------------------------------------------------------------------------------- */

static void reads_need_a_lease(void **state)
{
	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_settle();
	rig_lease(0, 1, rig_now + 10);
	assert_int_equal(replica_lease_ns(rig_nodes[0].r), rig_now + 10);
	rig_now += 9;
	rig_get(0, KEY, 2);
	rig_answered(2, STATUS_OK, 2);
	assert_true(rig_lease_marked[2]);
	rig_now += 1;
	rig_get(0, KEY, 3);
	rig_answered(3, STATUS_NOT_SERVING, 0);
	assert_false(rig_lease_marked[3]);
	rig_get(0, 5, 4); /* absence is a read, too */
	rig_answered(4, STATUS_NOT_SERVING, 0);
	assert_int_equal(rig_counters(0)->lease_refused, 2);
	rig_lease(0, 2, UINT64_MAX); /* of an epoch that is not installed */
	rig_get(0, KEY, 5);
	rig_answered(5, STATUS_NOT_SERVING, 0);
	rig_lease(0, 1, UINT64_MAX);
	rig_get(0, 5, 6);
	rig_answered(6, STATUS_NOT_FOUND, 0);
	assert_true(rig_lease_marked[6]);
	rig_lease(0, 1, 0);
	rig_get(0, KEY, 7);
	rig_answered(7, STATUS_NOT_SERVING, 0);
}

/* CC-11: a write needs ACKs, not a lease; what looks at the key and refuses does need one. */
static void writes_need_no_lease_refusals_do(void **state)
{
	struct op_ts wrong = { 77, writer_make(1, 1) };

	(void)state;
	rig_lease(0, 1, 0);
	rig_put(0, KEY, 1, "x");
	rig_settle();
	rig_answered(1, STATUS_OK, 2);
	assert_false(rig_lease_marked[1]);
	rig_do(0, WIRE_CAS, KEY, 2, "y", wrong);
	rig_answered(2, STATUS_NOT_SERVING, 0);
	rig_lease(0, 1, UINT64_MAX);
	rig_do(0, WIRE_CAS, KEY, 3, "y", wrong);
	rig_answered(3, STATUS_CONFLICT, 2);
	assert_true(rig_lease_marked[3]);
	rig_do(0, WIRE_DEL, 9, 4, NULL, none);
	rig_answered(4, STATUS_NOT_FOUND, 0);
	assert_true(rig_lease_marked[4]);
}

static void a_new_view_ends_the_lease(void **state)
{
	struct view v = next_view(ALL, 0);

	(void)state;
	rig_view(0, &v);
	assert_int_equal(replica_lease_ns(rig_nodes[0].r), 0);
	rig_get(0, KEY, 1);
	rig_answered(1, STATUS_NOT_SERVING, 0);
	rig_lease(0, 1, UINT64_MAX); /* late, of the view before */
	assert_int_equal(replica_lease_ns(rig_nodes[0].r), 0);
	rig_lease(0, 2, UINT64_MAX);
	rig_get(0, KEY, 2);
	rig_answered(2, STATUS_NOT_FOUND, 0);
}

/* ---- joining --------------------------------------------------------------------------------- */

static void joined(uint8_t n)
{
	struct view v = next_view(ALL, 0);

	assert_true(replica_joined(rig_nodes[n].r));
	same_everywhere(0, n);
	rig_install(&v);
	rig_run(20);
	rig_open(n, 3000u + n, 1);
	assert_int_not_equal(rig_nodes[n].session, 0);
	rig_get(n, 19, 200);
	rig_run(20);
	assert_int_equal(rig_result[200].status, STATUS_OK);
	assert_int_equal(rig_value[200][0], 'A' + 19);
}

static void a_shadow_copies_everything(void **state)
{
	struct view v;

	(void)state;
	fill_keys(0, 1);
	come_back(2, 2);
	v = next_view(0x3, 0x4);
	v.since[2] = view_now.since[2] = v.epoch;
	rig_install(&v);
	assert_int_equal(rig_nodes[2].resets, 1);
	assert_false(replica_joined(rig_nodes[2].r));
	rig_run(10);
	assert_int_equal(rig_counters(2)->resets, 1);
	assert_int_equal(rig_counters(2)->joins, 1);
	assert_true(rig_counters(2)->copies_merged >= FILLED);
	joined(2);
	assert_int_equal(rig_nodes[2].resets, 1);
}

/* CC-24: what only the returning node has is void, however new it looks. */
static void its_own_old_data_is_void(void **state)
{
	struct view v;

	(void)state;
	fill_keys(0, 1);
	rig_put(2, 3, 30, "mine");
	rig_drop_all();
	rig_durable(2);
	v = next_view(0x3, 0);
	rig_install(&v);
	come_back(2, 2);
	rig_holds(2, 3, HERMES_INVALID, 4, "mine");
	v = next_view(0x3, 0x4);
	rig_install(&v);
	rig_run(10);
	rig_holds(2, 3, HERMES_VALID, 2, "D");
	joined(2);
}

/* What a shadow copied counts only once it is on its disk. */
static void a_copy_must_be_durable(void **state)
{
	struct view v;

	(void)state;
	fill_keys(0, 1);
	come_back(2, 2);
	v = next_view(0x3, 0x4);
	v.since[2] = view_now.since[2] = v.epoch;
	rig_install(&v);
	for (int i = 0; i < 500; i++) {
		struct rig_packet copy = rig_net[i % 50];

		rig_tick(2, 0);
		if (!copy.used)
			continue;
		rig_net[i % 50].used = false;
		rig_give(&copy);
	}
	assert_int_equal(rig_counters(2)->joins, 1);
	assert_false(replica_joined(rig_nodes[2].r));
	rig_durable(2);
	assert_true(replica_joined(rig_nodes[2].r));
	/* And a crash before that begins anew. */
}

/* lossy_join: the message number `nth` of that type is lost. */
static void lossy_join(enum wire_type type, uint32_t nth)
{
	struct view v;
	uint32_t seen = 0;

	rig_views(3, ALL);
	view_now = *replica_view(rig_nodes[0].r);
	view_now.recovered = 0;
	fill_keys(0, 1);
	come_back(2, 2);
	v = next_view(0x3, 0x4);
	v.since[2] = view_now.since[2] = v.epoch;
	rig_install(&v);
	for (int round = 0; round < 400; round++) {
		for (uint32_t i = 0; i < RIG_QUEUE; i++) {
			struct rig_packet copy = rig_net[i];

			if (!copy.used)
				continue;
			rig_net[i].used = false;
			if (copy.m.type != type || ++seen != nth)
				rig_give(&copy);
		}
		rig_durable(2);
		rig_tick(2, 1);
	}
	assert_true(seen >= nth);
	rig_settle();
	joined(2);
}

static void a_lost_message_costs_one_chunk(void **state)
{
	(void)state;
	for (uint32_t nth = 1; nth <= 4; nth++) {
		lossy_join(WIRE_FETCH, nth);
		lossy_join(WIRE_COPY, nth * 4);
		lossy_join(WIRE_COPIED, nth);
	}
	lossy_join(WIRE_COPY_SESSION, 1);
}

static void a_silent_donor_is_replaced(void **state)
{
	struct view v;
	int first = -1;

	(void)state;
	fill_keys(0, 1);
	come_back(2, 2);
	v = next_view(0x3, 0x4);
	v.since[2] = view_now.since[2] = v.epoch;
	rig_install(&v);
	for (int round = 0; round < 400; round++) { /* it asks less and less often */
		struct rig_packet *p = rig_find(WIRE_FETCH, 2, first);

		if (p && first < 0)
			first = p->to;
		if (p)
			p->used = false;
		rig_tick(2, 9);
		if (first >= 0 && rig_find(WIRE_FETCH, 2, 1 - first))
			break;
	}
	assert_non_null(rig_find(WIRE_FETCH, 2, 1 - first));
	rig_run(20);
	joined(2);
}

static void a_donor_that_leaves_is_replaced(void **state)
{
	struct view v;
	int donor;

	(void)state;
	fill_keys(0, 1);
	come_back(2, 2);
	v = next_view(0x3, 0x4);
	v.since[2] = view_now.since[2] = v.epoch;
	rig_install(&v);
	rig_tick(2, 1);
	assert_non_null(rig_find(WIRE_FETCH, 2, -1));
	donor = rig_find(WIRE_FETCH, 2, -1)->to;
	rig_deliver(WIRE_FETCH, 2, donor);
	rig_deliver(WIRE_COPY, donor, 2);
	v = next_view((uint8_t)(0x3 & ~(1u << donor)), 0x4);
	rig_install(&v);
	rig_run(20);
	assert_int_equal(rig_nodes[2].resets, 1); /* what it has got is not thrown away again */
	assert_true(replica_joined(rig_nodes[2].r));
	same_everywhere(1 - (uint8_t)donor, 2);
}

static void another_view_does_not_begin_the_join_anew(void **state)
{
	struct view v;

	(void)state;
	fill_keys(0, 1);
	come_back(2, 2);
	v = next_view(0x3, 0x4);
	v.since[2] = view_now.since[2] = v.epoch;
	rig_install(&v);
	rig_tick(2, 1);
	rig_deliver(WIRE_FETCH, 2, -1);
	for (int i = 0; i < 8; i++)
		rig_deliver(WIRE_COPY, -1, 2);
	rig_deliver(WIRE_COPIED, -1, 2);
	v = next_view(0x3, 0x4);
	rig_install(&v);
	rig_run(20);
	assert_int_equal(rig_nodes[2].resets, 1);
	assert_true(rig_counters(2)->copies_merged <= FILLED + 8);
	joined(2);
}

/* CC-19, H11: what the shadow got by INV in the meantime is newer than the copy of it. */
static void a_copy_never_undoes_an_update(void **state)
{
	struct rig_packet copies[8];
	struct view v;
	int count = 0;

	(void)state;
	fill_keys(0, 1);
	come_back(2, 2);
	v = next_view(0x3, 0x4);
	v.since[2] = view_now.since[2] = v.epoch;
	rig_install(&v);
	rig_tick(2, 1);
	rig_deliver(WIRE_FETCH, 2, -1);
	for (struct rig_packet *p = rig_find(WIRE_COPY, -1, 2); p; p = rig_find(WIRE_COPY, -1, 2)) {
		copies[count++] = *p;
		p->used = false;
	}
	assert_int_equal(count, 8);
	rig_put(0, KEY, 40, "new");
	rig_run(20);
	for (int i = 0; i < 8; i++)
		rig_give(&copies[i]);
	for (int i = 0; i < 8; i++)
		rig_give(&copies[i]); /* and duplicates of it */
	assert_int_equal(rig_entry(2, KEY)->version, 4);
	rig_run(40);
	rig_holds(2, KEY, HERMES_VALID, 4, "new");
	for (int i = 0; i < 8; i++)
		rig_give(&copies[i]); /* late ones */
	joined(2);
}

/* Only a member answers FETCH, and only to a shadow. */
static void fetches_of_others_are_ignored(void **state)
{
	struct rig_packet fetch = { .from = 1, .to = 0, .from_incarnation = 1,
		.to_incarnation = 1, .epoch = 1, .m = { .type = WIRE_FETCH, .id = 1ull << 32 } };
	struct rig_packet copied = { .from = 1, .to = 0, .from_incarnation = 1,
		.to_incarnation = 1, .epoch = 1,
		.m = { .type = WIRE_COPIED, .value_bytes = WIRE_COPIED_BYTES } };
	struct rig_packet copy = { .from = 1, .to = 0, .from_incarnation = 1,
		.to_incarnation = 1, .epoch = 1,
		.m = { .type = WIRE_COPY, .key_bytes = 1, .ts = { 90, 1 } }, .bytes = "k" };
	struct rig_packet sessions = { .from = 1, .to = 0, .from_incarnation = 1,
		.to_incarnation = 1, .epoch = 1, .m = { .type = WIRE_COPY_SESSION } };

	(void)state;
	fill_keys(0, 1);
	rig_drop_all();
	rig_give(&fetch);
	assert_null(rig_find(WIRE_COPY, 0, -1));
	assert_null(rig_find(WIRE_COPIED, 0, -1));
	rig_give(&copied);
	rig_give(&copy);
	rig_give(&sessions);
	rig_holds(0, KEY, HERMES_VALID, 2, "A");
	assert_int_equal(rig_counters(0)->copies_merged, 0);
}

/* ---- the whole cluster starts again (3.11) --------------------------------------------------- */

static void a_restarted_cluster_merges_what_the_disks_hold(void **state)
{
	struct view v;

	(void)state;
	fill_keys(0, 1);
	rig_put(1, KEY, 30, "late");
	rig_deliver(WIRE_INV, 1, 2);
	rig_durable(2); /* the coordinator's own disk lost it */
	rig_drop_all();
	for (uint8_t n = 0; n < 3; n++) {
		rig_recover(n, 2);
		view_now.incarnation[n] = 2;
	}
	v = next_view(ALL, 0);
	for (uint8_t n = 0; n < 3; n++)
		v.since[n] = v.epoch;
	v.recovered = ALL;
	rig_install(&v);
	for (uint8_t n = 0; n < 3; n++) {
		assert_int_equal(rig_nodes[n].resets, 0);
		rig_open(n, 2000u + n, 1);
		assert_int_equal(rig_entry(n, KEY)->state, HERMES_INVALID);
	}
	rig_get(0, KEY, 50);
	rig_get(0, 5, 51);
	assert_int_equal(rig_answers[50] + rig_answers[51], 0);
	rig_run(60);
	/* Its replay was answered with the newer update, which proves its own committed (CC-16). */
	rig_answered(50, STATUS_OK, 2);
	assert_int_equal(rig_value[50][0], 'A');
	rig_answered(51, STATUS_OK, 2);
	rig_get(0, KEY, 52);
	rig_run(60);
	rig_answered(52, STATUS_OK, 4);
	assert_memory_equal(rig_value[52], "late", 4);
	for (uint8_t n = 0; n < 3; n++)
		rig_holds(n, KEY, HERMES_VALID, 4, "late");
}

/* ---- tombstones (CC-13, H12) ----------------------------------------------------------------- */

static void collect(uint8_t n, uint8_t key)
{
	assert_true(replica_can_collect(rig_nodes[n].r, rig_entry(n, key)));
	replica_collect(rig_nodes[n].r, rig_entry(n, key));
	rig_forget(n, key);
}

static void tombstones_go_one_view_later(void **state)
{
	struct view v;

	(void)state;
	rig_put(0, KEY, 1, "x");
	rig_settle();
	assert_false(replica_can_collect(rig_nodes[0].r, rig_entry(0, KEY))); /* no tombstone */
	rig_do(0, WIRE_DEL, KEY, 2, NULL, none);
	assert_false(replica_can_collect(rig_nodes[0].r, rig_entry(0, KEY))); /* under way */
	rig_settle();
	rig_answered(2, STATUS_OK, 4);
	assert_false(replica_can_collect(rig_nodes[0].r, rig_entry(0, KEY))); /* same view */
	expect_assert_failure(replica_collect(rig_nodes[0].r, rig_entry(0, KEY)));
	v = next_view(ALL, 0);
	rig_install(&v);
	rig_settle();
	for (uint8_t n = 0; n < 3; n++) {
		collect(n, KEY);
		assert_int_equal(replica_floor(rig_nodes[n].r), 4);
		assert_int_equal(rig_counters(n)->collected, 1);
	}
	rig_get(0, KEY, 3);
	rig_answered(3, STATUS_NOT_FOUND, 0); /* the floor is not this key's version */
	rig_do(1, WIRE_CAS, KEY, 5, "again", none);
	rig_settle();
	rig_answered(5, STATUS_OK, 5);
	rig_put(2, 7, 6, "y");
	rig_settle();
	rig_answered(6, STATUS_OK, 6);
	rig_holds(0, KEY, HERMES_VALID, 5, "again");
}

static void a_shadow_learns_the_floor(void **state)
{
	struct view v;

	(void)state;
	fill_keys(0, 1);
	rig_do(0, WIRE_DEL, KEY, 30, NULL, none);
	rig_settle();
	v = next_view(0x3, 0);
	rig_install(&v);
	rig_settle();
	collect(0, KEY);
	collect(1, KEY);
	come_back(2, 2); /* it still has the tombstone, or even the value */
	v = next_view(0x3, 0x4);
	rig_install(&v);
	rig_run(10);
	assert_true(replica_joined(rig_nodes[2].r));
	assert_false(rig_nodes[2].present[KEY]);
	assert_int_equal(replica_floor(rig_nodes[2].r), 4);
	assert_false(replica_can_collect(rig_nodes[2].r, rig_entry(2, 1)));
	/* The floor is in its log: it holds after a restart of everybody. */
	for (uint8_t n = 0; n < 3; n++) {
		rig_recover(n, 3);
		view_now.incarnation[n] = 3;
	}
	assert_true(replica_floor(rig_nodes[2].r) >= 4);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, views, unviews)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(without_a_view_a_node_is_out),
		CASE(only_newer_views_are_installed),
		CASE(impossible_views_are_refused),
		CASE(who_was_left_out_is_spent),
		CASE(views_need_the_configuration),
		CASE(a_view_discards_acks),
		CASE(who_left_is_not_waited_for),
		CASE(who_left_and_does_not_know_is_not_heard),
		CASE(only_the_incarnations_of_the_view_count),
		CASE(read_only_views_take_no_updates),
		CASE(one_member_of_a_read_only_view_commits_nothing),
		CASE(silent_peers_are_not_heard),
		CASE(missing_acks_show),
		CASE(who_comes_in_counts_as_heard),
		CASE(who_leaves_says_what_it_knows),
		CASE(leaving_with_many_ops_takes_several_steps),
		CASE(a_member_made_a_shadow_keeps_everything),
		CASE(reads_need_a_lease),
		CASE(writes_need_no_lease_refusals_do),
		CASE(a_new_view_ends_the_lease),
		CASE(a_shadow_copies_everything),
		CASE(its_own_old_data_is_void),
		CASE(a_copy_must_be_durable),
		CASE(a_lost_message_costs_one_chunk),
		CASE(a_silent_donor_is_replaced),
		CASE(a_donor_that_leaves_is_replaced),
		CASE(another_view_does_not_begin_the_join_anew),
		CASE(a_copy_never_undoes_an_update),
		CASE(fetches_of_others_are_ignored),
		CASE(a_restarted_cluster_merges_what_the_disks_hold),
		CASE(tombstones_go_one_view_later),
		CASE(a_shadow_learns_the_floor),
	};

	return cmocka_run_group_tests_name("view", tests, NULL, NULL);
}
