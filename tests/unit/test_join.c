/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a node comes back with what it holds (docs/protocol.md, Join): what still stands is kept,
 * what does not is replaced or goes, whatever happens in between, and for good.
 */
#include "tests/unit/replica_rig.h"

#define KEY 3
#define ALL 0x07u
#define FILLED 29u /* more than one chunk; ids of requests behind */

static struct view view_now;
static uint64_t bytes_per_s;
static uint32_t lanes, places; /* 0: as they are unless configured */

static void with_delta(struct replica_config *c)
{
	c->join_delta = true;
	c->join_bytes_per_s = bytes_per_s;
	c->join_lanes = lanes;
	c->join_places = places;
}

/* next_view: one epoch later; who was not in the write set is in it since now. */
static void next_view(uint8_t members, uint8_t shadows)
{
	uint8_t before = view_write_set(&view_now);

	view_now.epoch++;
	view_now.members = members;
	view_now.shadows = shadows;
	for (uint8_t n = 0; n < rig_count; n++)
		if (view_write_set(&view_now) & ~before & 1u << n)
			view_now.since[n] = view_now.epoch;
	rig_install(&view_now);
}

static int filled(void **state)
{
	(void)state;
	bytes_per_s = 0;
	lanes = places = 0;
	rig_adjust = with_delta;
	rig_views(3, ALL);
	view_now = *replica_view(rig_nodes[0].r);
	view_now.recovered = 0;
	for (uint8_t k = 0; k < FILLED; k++) {
		char value[2] = { (char)('A' + k), 0 };

		rig_put(0, k, k + 1u, value);
		rig_settle();
	}
	return 0;
}

static int done(void **state)
{
	(void)state;
	rig_adjust = NULL;
	rig_free();
	return 0;
}

/* leave: node 2 is dead; the others go on. come_back: as a shadow, with what its disk held. */
static void leave(void)
{
	rig_drop_all();
	rig_durable(2);
	next_view(0x3, 0);
}

static void come_back(uint32_t incarnation)
{
	rig_recover(2, incarnation);
	view_now.incarnation[2] = incarnation;
	view_now.shadows = 0; /* its life before is not in this one */
	next_view(0x3, 0x4);
}

static bool holds_key(uint8_t n, uint8_t key)
{
	return rig_nodes[n].present[key] && rig_nodes[n].e[key].version != 0;
}

static void same(uint8_t a, uint8_t b)
{
	for (uint8_t k = 0; k < RIG_KEYS; k++) {
		struct entry *x = &rig_nodes[a].e[k], *y = &rig_nodes[b].e[k];

		assert_int_equal(holds_key(a, k), holds_key(b, k));
		if (!holds_key(a, k))
			continue;
		assert_int_equal(op_ts_compare(entry_ts(x), entry_ts(y)), 0);
		assert_int_equal(x->flags, y->flags);
		assert_int_equal(x->base, y->base);
		assert_int_equal(x->value_bytes, y->value_bytes);
		assert_memory_equal(entry_value(x), entry_value(y), x->value_bytes);
	}
}

/* joined: node 2 has all that node 0 has, and nothing else; still so after a loss of power. */
static void joined(void)
{
	assert_true(replica_joined(rig_nodes[2].r));
	same(0, 2);
	for (uint8_t k = 0; k < RIG_KEYS; k++)
		assert_true(!holds_key(2, k) || replica_proven(rig_nodes[2].r,
							       &rig_nodes[2].e[k]));
	next_view(view_now.members | 0x4, 0);
	rig_run(20);
	rig_get(0, KEY, 90);
	rig_settle();
	assert_true(rig_result[90].status == STATUS_OK ||
		    rig_result[90].status == STATUS_NOT_FOUND);
	rig_recover(2, 900);
	same(0, 2);
}

/* records: of a kind, in the log of node 2's life. */
static uint32_t records(enum action_kind kind)
{
	const struct rig_node *node = &rig_nodes[2];
	uint32_t lived = (uint32_t)(node->persist_next - 1), count = 0;

	for (uint32_t i = node->log_count - lived; i < node->log_count; i++)
		count += node->log[i].kind == kind;
	return count;
}

/* ---- what stands, what does not -------------------------------------------------------------- */

static void what_stands_is_neither_copied_nor_logged(void **state)
{
	(void)state;
	leave();
	come_back(2);
	rig_run(10);
	assert_int_equal(rig_counters(2)->join_confirmed, FILLED);
	assert_int_equal(rig_counters(2)->join_voided, 0);
	assert_int_equal(rig_counters(0)->copies_sent + rig_counters(1)->copies_sent, 0);
	assert_int_equal(rig_nodes[2].rejoins, 1);
	assert_int_equal(rig_nodes[2].resets, 0);
	assert_int_equal(records(ACTION_PERSIST), 0);
	rig_holds(2, KEY, HERMES_VALID, 2, "D");
	joined();
}

static void what_was_missed_is_copied(void **state)
{
	const struct op_ts none = { 0, 0 };

	(void)state;
	leave();
	rig_put(0, KEY, 30, "new");
	rig_do(0, WIRE_DEL, 5, 31, NULL, none);
	rig_put(0, 40, 32, "more");
	rig_settle();
	come_back(2);
	rig_run(10);
	assert_int_equal(rig_counters(2)->join_confirmed, FILLED - 2);
	assert_int_equal(rig_counters(0)->copies_sent, 3);
	rig_holds(2, KEY, HERMES_VALID, 4, "new");
	assert_true(rig_entry(2, 5)->flags & ENTRY_TOMBSTONE);
	rig_holds(2, 40, HERMES_VALID, 2, "more");
	joined();
}

/* CC-24: it alone has it; its client may have done it again elsewhere. */
static void what_only_it_has_is_replaced(void **state)
{
	(void)state;
	rig_put(2, KEY, 1, "mine");
	leave();
	come_back(2);
	rig_holds(2, KEY, HERMES_INVALID, 4, "mine");
	rig_run(10);
	rig_holds(2, KEY, HERMES_VALID, 2, "D");
	assert_int_equal(records(ACTION_FORGET), 1);
	joined();
}

static void what_nobody_has_goes(void **state)
{
	struct event ev = { .kind = EVENT_DURABLE, .durable_seq = 1 };

	(void)state;
	rig_put(2, 60, 1, "mine");
	leave();
	come_back(2);
	assert_true(holds_key(2, 60));
	for (int i = 0; i < 50; i++) {
		for (uint32_t p = 0; p < RIG_QUEUE; p++) {
			struct rig_packet copy = rig_net[p];

			rig_net[p].used = false;
			if (copy.used)
				rig_give(&copy);
		}
		rig_tick(2, 1);
	}
	assert_false(holds_key(2, 60));
	assert_int_equal(rig_counters(2)->joins, 1);
	assert_int_equal(records(ACTION_FORGET), 1);
	rig_step(2, &ev); /* all but the record that it is gone */
	rig_nodes[2].durable = 1;
	assert_false(replica_joined(rig_nodes[2].r));
	rig_durable(2);
	joined();
}

/* CC-13, CC-24: the others have forgotten the tombstone of what this node still has. */
static void a_forgotten_delete_stays_one(void **state)
{
	const struct op_ts none = { 0, 0 };

	(void)state;
	leave();
	rig_do(0, WIRE_DEL, 5, 30, NULL, none);
	rig_settle();
	next_view(0x3, 0);
	for (uint8_t n = 0; n < 2; n++) {
		replica_collect(rig_nodes[n].r, &rig_nodes[n].e[5]);
		rig_forget(n, 5);
	}
	come_back(2);
	assert_true(holds_key(2, 5));
	rig_run(10);
	assert_false(holds_key(2, 5));
	assert_int_equal(replica_floor(rig_nodes[2].r), 4);
	joined();
}

/* What the donor does not know to be committed this node does not know either. */
static void invalid_there_is_invalid_here(void **state)
{
	(void)state;
	rig_put(0, KEY, 30, "new");
	rig_deliver(WIRE_INV, 0, 2);
	leave();
	come_back(2);
	rig_drop_all();
	rig_tick(2, 40);
	rig_deliver(WIRE_FETCH, 2, 0);
	while (rig_find(WIRE_COPY, 0, 2))
		rig_deliver(WIRE_COPY, 0, 2);
	rig_holds(2, KEY, HERMES_INVALID, 4, "new");
	assert_true(replica_proven(rig_nodes[2].r, rig_entry(2, KEY)));
	rig_holds(2, 4, HERMES_VALID, 2, "E");
	rig_run(60);
	rig_answered(30, STATUS_OK, 4);
	joined();
}

/* ---- meanwhile ------------------------------------------------------------------------------- */

/* An INV of this epoch is measured by nothing from before; nor does a record come back. */
static void an_update_finds_nothing_unproven(void **state)
{
	(void)state;
	rig_put(2, KEY, 1, "mine");
	leave();
	come_back(2);
	rig_tick(2, 1);
	rig_drop_all();
	rig_do(0, WIRE_CAS, KEY, 40, "cas", (struct op_ts){ 2, writer_make(0, 1) });
	rig_deliver(WIRE_INV, 0, 2);
	rig_holds(2, KEY, HERMES_INVALID, 3, "cas");
	assert_null(rig_find(WIRE_INV, 2, -1));
	rig_run(60);
	rig_answered(40, STATUS_OK, 3);
	joined();
}

static void an_update_may_prove_what_is_there(void **state)
{
	(void)state;
	rig_put(0, KEY, 30, "new");
	rig_deliver(WIRE_INV, 0, 2);
	leave();
	come_back(2);
	rig_drop_all();
	rig_tick(2, 1);
	rig_drop_all();
	rig_tick(0, 200); /* the coordinator sends it again */
	rig_deliver(WIRE_INV, 0, 2);
	assert_int_equal(records(ACTION_PERSIST), 0);
	assert_int_equal(rig_counters(2)->join_confirmed, 1);
	assert_null(rig_find(WIRE_ACK, 2, 0)); /* the proof rests on a record, too */
	rig_durable(2);
	assert_non_null(rig_find(WIRE_ACK, 2, 0));
	rig_run(100);
	rig_answered(30, STATUS_OK, 4);
	joined();
}

static void a_val_says_nothing_about_the_unproven(void **state)
{
	struct rig_packet val = { .from = 0, .to = 2, .from_incarnation = 1, .to_incarnation = 2,
		.m = { .type = WIRE_VAL, .key_bytes = 1, .ts = { 2, writer_make(0, 1) } } };

	(void)state;
	leave();
	come_back(2);
	rig_tick(2, 1);
	val.epoch = view_now.epoch;
	val.bytes[0] = rig_entry(2, KEY)->blob[0];
	rig_give(&val);
	rig_holds(2, KEY, HERMES_INVALID, 2, "D");
	assert_false(replica_proven(rig_nodes[2].r, rig_entry(2, KEY)));
	val.m.type = WIRE_INV;
	val.m.flags = WIRE_OVERTAKEN;
	val.m.ts.version = 9;
	rig_give(&val);
	assert_false(replica_proven(rig_nodes[2].r, rig_entry(2, KEY)));
	rig_run(20);
	joined();
}

/* A bitmap of keys means something only while they are the same keys. */
static void a_chunk_may_change_while_it_is_asked_for(void **state)
{
	const struct op_ts none = { 0, 0 };

	(void)state;
	leave();
	rig_do(0, WIRE_DEL, 0, 30, NULL, none);
	rig_put(0, KEY, 31, "new");
	rig_settle();
	come_back(2);
	rig_tick(2, 1);
	rig_deliver(WIRE_FETCH, 2, 0);
	while (rig_find(WIRE_COPY, 0, 2))
		rig_deliver(WIRE_COPY, 0, 2);
	rig_deliver(WIRE_COPIED, 0, 2);
	assert_int_equal(rig_find(WIRE_FETCH, 2, 0)->m.ts.version, WIRE_WALK_SOME);
	assert_int_equal(rig_find(WIRE_FETCH, 2, 0)->m.ts.writer, 1u << 0 | 1u << KEY);
	replica_collect(rig_nodes[0].r, &rig_nodes[0].e[0]);
	rig_forget(0, 0);
	rig_run(20);
	assert_false(holds_key(2, 0));
	rig_holds(2, KEY, HERMES_VALID, 4, "new");
	joined();
}

/* ---- clients --------------------------------------------------------------------------------- */

/*
 * Here an RMW lost against a write that nobody else ever saw; elsewhere it took effect. The donor
 * knows; what this node made of it in the life before would make it happen twice.
 */
static void outcomes_of_before_are_void(void **state)
{
	(void)state;
	rig_do(0, WIRE_CAS, KEY, 30, "cas", (struct op_ts){ 2, writer_make(0, 1) });
	rig_deliver(WIRE_INV, 0, 2);
	rig_put(1, KEY, 1, "rival");
	rig_deliver(WIRE_INV, 1, 2);
	rig_holds(2, KEY, HERMES_INVALID, 4, "rival");
	rig_drop_all();
	rig_durable(2);
	rig_durable(0);
	next_view(0x1, 0);
	rig_run(60);
	rig_answered(30, STATUS_OK, 3);
	rig_recover(2, 2);
	view_now.incarnation[2] = 2;
	next_view(0x1, 0x4);
	rig_run(20);
	assert_true(replica_joined(rig_nodes[2].r));
	same(0, 2);
	next_view(0x5, 0);
	rig_run(20);
	next_view(0x4, 0);
	rig_run(20);
	rig_open(2, 1000, 31);
	rig_answers[30] = 0;
	rig_retry(2, WIRE_CAS, KEY, 30, "cas", writer_make(0, 1));
	rig_run(60);
	rig_answered(30, STATUS_OK, 3);
}

/* ---- faults ---------------------------------------------------------------------------------- */

static void a_crash_of_the_joiner_costs_little(void **state)
{
	(void)state;
	rig_put(2, KEY, 1, "mine");
	leave();
	rig_put(0, 4, 30, "new");
	rig_put(0, 12, 31, "newer");
	rig_settle();
	for (uint32_t steps = 1; steps < 70; steps += 5) {
		come_back(1 + steps);
		for (uint32_t i = 0; i < steps; i++) {
			rig_tick(2, i % 8 == 7);
			for (int from = 0; from < 2; from++)
				if (rig_find(WIRE_COPY, from, 2))
					rig_deliver(WIRE_COPY, from, 2);
				else if (rig_find(WIRE_COPIED, from, 2))
					rig_deliver(WIRE_COPIED, from, 2);
			if (rig_find(WIRE_FETCH, 2, 0))
				rig_deliver(WIRE_FETCH, 2, 0);
			if (i % 4 == 0)
				rig_durable(2);
		}
		rig_drop_all();
		next_view(0x3, 0);
	}
	come_back(50);
	rig_run(20);
	rig_holds(2, KEY, HERMES_VALID, 2, "D");
	/* What was copied before is not copied again. */
	assert_int_equal(rig_counters(2)->join_confirmed, FILLED);
	joined();
}

static void another_donor_goes_on(void **state)
{
	(void)state;
	leave();
	for (uint8_t k = 0; k < 10; k++)
		rig_put(0, k, 30u + k, "new");
	rig_settle();
	come_back(2);
	rig_tick(2, 1);
	for (int i = 0; i < 60; i++) {
		if (rig_find(WIRE_FETCH, 2, 0))
			rig_deliver(WIRE_FETCH, 2, 0);
		if (rig_find(WIRE_COPY, 0, 2))
			rig_deliver(WIRE_COPY, 0, 2);
		else if (rig_find(WIRE_COPIED, 0, 2))
			rig_deliver(WIRE_COPIED, 0, 2);
	}
	rig_drop_all();
	assert_true(rig_counters(0)->copies_sent >= 8);
	next_view(0x2, 0x4);
	rig_run(30);
	assert_true(rig_counters(1)->copies_sent <= 2);
	assert_true(replica_joined(rig_nodes[2].r));
	same(1, 2);
}

static void lossy(enum wire_type type, uint32_t nth)
{
	uint32_t seen = 0;

	filled(NULL);
	lanes = nth % 5;
	places = 3;
	rig_put(2, KEY, 1, "mine");
	rig_put(2, 60, 2, "mine");
	leave();
	rig_put(0, 4, 30, "new");
	rig_put(0, 12, 31, "newer");
	rig_settle();
	come_back(2);
	for (int round = 0; round < 300; round++) {
		for (uint32_t i = 0; i < RIG_QUEUE; i++) {
			struct rig_packet copy = rig_net[i];

			rig_net[i].used = false;
			if (copy.used && (copy.m.type != type || ++seen != nth))
				rig_give(&copy);
		}
		rig_durable(2);
		rig_tick(2, 1);
	}
	assert_true(seen >= nth);
	rig_settle();
	joined();
}

static void a_lost_message_costs_one_chunk(void **state)
{
	(void)state;
	for (uint32_t nth = 1; nth <= 4; nth++) {
		lossy(WIRE_FETCH, nth);
		lossy(WIRE_COPY, nth * 7);
		lossy(WIRE_COPIED, nth);
	}
}

/* ---- whatever comes -------------------------------------------------------------------------- */

static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 33) % below;
}

/* move: one message arrives, is lost, or comes and comes again. */
static void move(void)
{
	uint32_t at = draw(RIG_QUEUE);

	for (uint32_t i = 0; i < RIG_QUEUE; i++, at = (at + 1) % RIG_QUEUE) {
		struct rig_packet copy = rig_net[at];

		if (!copy.used)
			continue;
		rig_net[at].used = draw(10) == 0;
		if (draw(8) != 0)
			rig_give(&copy);
		return;
	}
}

static void request(uint64_t id)
{
	const enum wire_type types[] = { WIRE_PUT, WIRE_PUT, WIRE_DEL, WIRE_CAS };
	uint8_t node = (uint8_t)draw(3), key = (uint8_t)draw(10);
	enum wire_type type = types[draw(4)];
	struct op_ts ts = { 0, 0 };
	char value[2] = { (char)('a' + id % 26), 0 };

	if (!(view_now.members & 1u << node) || rig_nodes[node].session == 0)
		return;
	if (type == WIRE_CAS && rig_nodes[node].present[key])
		ts = entry_ts(&rig_nodes[node].e[key]);
	rig_do(node, type, key, id, type == WIRE_DEL ? NULL : value, ts);
}

/* life: node 2 leaves, comes back, and leaves again, at any moment. */
static void life(uint64_t seed)
{
	uint32_t incarnation = 1;

	random_state = seed * 0x9e3779b97f4a7c15ull + 1;
	filled(NULL);
	lanes = (uint32_t)seed % 5;
	places = lanes ? draw(9) : 0;
	for (uint32_t i = 0; i < 600; i++) {
		uint32_t what = draw(100);

		if (what < 3 && (view_write_set(&view_now) & 0x4)) {
			next_view(0x3, 0);
		} else if (what < 6 && !(view_write_set(&view_now) & 0x4)) {
			come_back(++incarnation);
			rig_nodes[2].session = 0;
		} else if (what < 9 && (view_now.shadows & 0x4) &&
			   replica_joined(rig_nodes[2].r)) {
			next_view(0x7, 0);
			rig_open(2, 1002, 1);
		} else if (what < 30 && i / 5 < RIG_IDS - 60) {
			request(40 + i / 5);
		} else if (what < 45) {
			rig_durable((uint8_t)draw(3));
		} else if (what < 55) {
			rig_tick((uint8_t)draw(3), draw(4));
		} else {
			move();
		}
		if (rig_nodes[2].log_count > RIG_RECORDS - 60)
			break;
	}
	if (view_now.members & 0x4)
		next_view(0x3, 0);
	come_back(++incarnation);
	rig_run(200);
	for (uint8_t k = 0; k < 10; k++) {
		rig_get(0, k, 90); /* what is under way is replayed */
		rig_run(60);
		rig_answers[90] = 0;
	}
	joined();
}

static void many_lives(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 150; seed++)
		life(seed);
}

/* ---- lanes ----------------------------------------------------------------------------------- */

/* answer: node 0's, to the question about this cursor, if that is under way. */
static bool answer(uint32_t cursor)
{
	for (uint32_t i = 0; i < RIG_QUEUE; i++) {
		struct rig_packet copy = rig_net[i];

		if (!copy.used || copy.m.type != WIRE_FETCH || (uint32_t)copy.m.id != cursor)
			continue;
		rig_net[i].used = false;
		rig_give(&copy);
		while (rig_find(WIRE_COPY, 0, 2))
			rig_deliver(WIRE_COPY, 0, 2);
		rig_deliver(WIRE_COPIED, 0, 2);
		rig_tick(2, 0);
		return true;
	}
	return false;
}

static void several_questions_are_under_way(void **state)
{
	(void)state;
	for (uint8_t k = FILLED; k < 70; k++) {
		rig_put(0, k, k + 1u, "more");
		rig_settle();
	}
	leave();
	lanes = 3;
	places = 4;
	come_back(2);
	rig_drop_all();
	rig_tick(2, 20);
	assert_int_equal(rig_flying(WIRE_FETCH), 1);
	assert_true(answer(0)); /* 24 stubs: beyond its range, of which it is not asked again */
	assert_int_equal(rig_flying(WIRE_FETCH), 2);
	assert_true(answer(8));
	assert_int_equal(rig_flying(WIRE_FETCH), 3);
	assert_true(answer(12));
	assert_int_equal(rig_flying(WIRE_FETCH), 3);
	assert_int_equal(replica_deadline_ns(rig_nodes[2].r) > rig_now, 1);
	rig_run(20);
	assert_int_equal(rig_counters(2)->join_confirmed, 70);
	joined();
}

/* asked: how often the question about this cursor is under way. */
static uint32_t asked(uint32_t cursor)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < RIG_QUEUE; i++)
		count += rig_net[i].used && rig_net[i].m.type == WIRE_FETCH &&
			 (uint32_t)rig_net[i].m.id == cursor;
	return count;
}

/*
 * A joiner that was away for longer than its patience, or whose donor is slow, finds one answer,
 * and the others a moment later: what it has asked is not asked again, or all work were done twice.
 */
static void a_slow_answer_is_waited_for(void **state)
{
	(void)state;
	leave();
	lanes = 2;
	places = 16;
	come_back(2);
	rig_drop_all();
	rig_tick(2, 20);
	assert_true(answer(0));
	assert_true(asked(16) == 1 && asked(32) == 1);
	rig_now += 40 * MS;
	assert_true(answer(16));
	assert_int_equal(asked(32), 1);
	rig_now += 5 * MS;
	rig_tick(2, 0);
	assert_int_equal(asked(32), 1);
	rig_run(20);
	assert_int_equal(rig_counters(2)->join_confirmed, FILLED);
	joined();
}

/* What was lost is asked again: when nothing comes any more, or an answer to a later question. */
static void a_lost_question_is_asked_again(void **state)
{
	(void)state;
	for (uint32_t overtaken = 0; overtaken < 2; overtaken++) {
		uint32_t lost = overtaken ? 8 : 16;

		leave();
		lanes = 2;
		places = 8;
		come_back(2 + overtaken);
		rig_drop_all();
		rig_tick(2, 20);
		assert_true(answer(0));
		assert_true(asked(8) == 1 && asked(16) == 1);
		for (uint32_t i = 0; i < RIG_QUEUE; i++)
			rig_net[i].used &= (uint32_t)rig_net[i].m.id != lost;
		rig_now += 6 * MS;
		assert_true(answer(24 - lost));
		rig_tick(2, 3);
		assert_int_equal(asked(lost), overtaken);
		rig_tick(2, 30);
		assert_int_equal(asked(lost), 1 + overtaken);
		rig_run(20);
		joined();
	}
}

/* The end of the store is not the end of the walk: a range before it may not have been seen. */
static void what_is_still_asked_for_stays(void **state)
{
	(void)state;
	leave();
	lanes = 2;
	places = 24;
	come_back(2);
	rig_drop_all();
	rig_tick(2, 20);
	assert_true(answer(0)); /* the two lanes go on at 24 and 48 */
	assert_true(answer(48));
	rig_tick(2, 0);
	rig_tick(2, 0);
	assert_int_equal(rig_counters(2)->join_voided, 0);
	assert_true(holds_key(2, FILLED - 1));
	assert_true(answer(24));
	assert_int_equal(rig_counters(2)->join_confirmed, FILLED);
	rig_run(20);
	joined();
}

/* The places of one store say nothing about those of another. */
static void another_donor_is_asked_from_the_start(void **state)
{
	(void)state;
	leave();
	lanes = 2;
	places = 24;
	rig_put(0, 50, 30, "new");
	rig_put(0, 70, 31, "new");
	rig_settle();
	come_back(2);
	rig_drop_all();
	rig_tick(2, 20);
	assert_true(answer(0));
	rig_drop_all();
	next_view(0x2, 0x4);
	rig_run(40);
	assert_true(replica_joined(rig_nodes[2].r));
	same(1, 2);
}

/* ---- room and rate --------------------------------------------------------------------------- */

static void who_is_short_of_room_begins_with_nothing(void **state)
{
	(void)state;
	leave();
	rig_recover(2, 2);
	replica_set_space(rig_nodes[2].r, SPACE_LOW, 1);
	view_now.incarnation[2] = 2;
	next_view(0x3, 0x4);
	assert_int_equal(rig_nodes[2].resets, 1);
	assert_int_equal(rig_nodes[2].rejoins, 0);
	rig_run(20);
	joined();
}

static void what_is_unproven_makes_room(void **state)
{
	(void)state;
	rig_put(2, 60, 1, "mine");
	leave();
	come_back(2);
	rig_tick(2, 1);
	rig_deliver(WIRE_FETCH, 2, 0);
	for (int i = 0; i < 3; i++)
		rig_deliver(WIRE_COPY, 0, 2);
	replica_set_space(rig_nodes[2].r, SPACE_LOW, 1);
	for (int i = 0; i < 20; i++)
		rig_tick(2, 0);
	assert_int_equal(rig_counters(2)->join_voided, FILLED + 1 - 3);
	assert_false(holds_key(2, 60));
	rig_run(30);
	joined();
}

/* paced_ns: how long node 2 takes to be back, at a limited rate. */
static uint64_t paced_ns(void)
{
	uint64_t began_ns;

	leave();
	bytes_per_s = 20000; /* and so many stubs of about 73 bytes */
	lanes = 4;
	places = 2;
	come_back(2);
	began_ns = rig_now;
	while (!replica_joined(rig_nodes[2].r)) {
		rig_run(2);
		assert_true(rig_now - began_ns < 2000 * MS);
	}
	return rig_now - began_ns;
}

static void the_rate_is_kept(void **state)
{
	uint64_t took_ns = paced_ns();

	(void)state;
	assert_in_range(took_ns, 60 * MS, 1000 * MS);
	joined();
}

/* A value costs memory and time at both nodes when it is compared, though it is not sent. */
static void the_rate_counts_what_is_compared(void **state)
{
	char value[401];

	(void)state;
	memset(value, 'v', 400);
	value[400] = 0;
	for (uint8_t k = 0; k < FILLED; k++) {
		rig_put(0, k, 100u + k, value);
		rig_settle();
	}
	assert_true(paced_ns() > 900 * MS);
	assert_int_equal(rig_counters(2)->join_confirmed, FILLED);
	joined();
}

static bool asks_for_values(void)
{
	const struct rig_packet *p = rig_find(WIRE_FETCH, 2, 0);

	return p && p->m.ts.version == WIRE_WALK_SOME;
}

/*
 * Half of the values of a chunk are asked for. Their answer is late, and what has come of it is all
 * that the rate allows: the rest of it must not make the whole chunk done.
 */
static void a_late_answer_is_not_the_whole_chunk(void **state)
{
	(void)state;
	leave();
	for (uint8_t k = 0; k < FILLED; k++)
		rig_put(0, k, 30u + k, "new");
	rig_run(5);
	bytes_per_s = 5000;
	view_now.members = 0x1;
	come_back(2);
	for (int i = 0; i < 2000 && !asks_for_values(); i++) {
		rig_tick(2, 1);
		if (!asks_for_values())
			rig_settle();
	}
	assert_true(asks_for_values());
	rig_deliver(WIRE_FETCH, 2, 0);
	for (int i = 0; i < 7; i++)
		rig_deliver(WIRE_COPY, 0, 2);
	for (int i = 0; i < 60; i++)
		rig_tick(2, 1);
	rig_deliver(WIRE_COPY, 0, 2);
	rig_deliver(WIRE_COPIED, 0, 2);
	for (int i = 0; i < 200 && !replica_joined(rig_nodes[2].r); i++)
		rig_run(20);
	joined();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, filled, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_stands_is_neither_copied_nor_logged),
		CASE(what_was_missed_is_copied),
		CASE(what_only_it_has_is_replaced),
		CASE(what_nobody_has_goes),
		CASE(a_forgotten_delete_stays_one),
		CASE(invalid_there_is_invalid_here),
		CASE(an_update_finds_nothing_unproven),
		CASE(an_update_may_prove_what_is_there),
		CASE(a_val_says_nothing_about_the_unproven),
		CASE(a_chunk_may_change_while_it_is_asked_for),
		CASE(outcomes_of_before_are_void),
		CASE(a_crash_of_the_joiner_costs_little),
		CASE(another_donor_goes_on),
		CASE(a_lost_message_costs_one_chunk),
		CASE(many_lives),
		CASE(several_questions_are_under_way),
		CASE(a_slow_answer_is_waited_for),
		CASE(a_lost_question_is_asked_again),
		CASE(what_is_still_asked_for_stays),
		CASE(another_donor_is_asked_from_the_start),
		CASE(who_is_short_of_room_begins_with_nothing),
		CASE(what_is_unproven_makes_room),
		CASE(the_rate_is_kept),
		CASE(the_rate_counts_what_is_compared),
		CASE(a_late_answer_is_not_the_whole_chunk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
