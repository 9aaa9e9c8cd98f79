/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: an update takes effect once, however often and wherever its request arrives. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "replication/session.h"

#define COUNT  4u
#define WINDOW 8u
#define HASH   99u /* of some key */

static struct session_table table, other;
static void *table_mem, *other_mem;

static void make_table(struct session_table *t, void **mem, uint32_t count, uint32_t window)
{
	uint64_t bytes = session_table_size(count, window);

	free(*mem);
	*mem = malloc(bytes);
	assert_non_null(*mem);
	memset(*mem, 0xee, bytes); /* it must not count on zeroed memory */
	session_table_init(t, *mem, count, window, 42);
}

static int fresh(void **state)
{
	(void)state;
	make_table(&table, &table_mem, COUNT, WINDOW);
	make_table(&other, &other_mem, COUNT, WINDOW);
	return 0;
}

static int done(void **state)
{
	(void)state;
	free(table_mem);
	free(other_mem);
	table_mem = other_mem = NULL;
	return 0;
}

static struct session *opened(uint64_t client, uint64_t first, uint64_t now_ns)
{
	bool evicted;
	struct session *s = session_open(&table, client, first, now_ns, &evicted);

	assert_non_null(s);
	assert_int_equal(s->client, client);
	assert_ptr_equal(session_of(&table, client), s);
	assert_ptr_equal(session_find(&table, s->id), s);
	return s;
}

static enum session_verdict verdict(struct session *s, uint64_t request)
{
	struct session_outcome *o = NULL;

	return session_check(&table, s, request, &o);
}

/* answer: the request runs here and is answered. */
static struct session_outcome *answer(struct session *s, uint64_t request, enum status status,
				      struct op_ts ts)
{
	struct session_outcome *o = session_begin(&table, s, request);

	o->fate = OUTCOME_DONE;
	o->status = (uint8_t)status;
	o->ts = ts;
	session_stop(s, o);
	return o;
}

static uint32_t seen(struct session_table *t, uint64_t client, uint64_t request, struct op_ts ts,
		     enum outcome_fate fate)
{
	struct origin origin = { client, request };
	struct session_outcome *o;
	uint32_t link = session_seen(t, &origin, HASH, ts, fate, 1, &o);

	assert_int_equal(link == 0, o == NULL);
	return link;
}

/* ---- sessions -------------------------------------------------------------------------------- */

static void open_is_idempotent(void **state)
{
	bool evicted;
	struct session *a = opened(1, 1, 10);
	uint64_t id = a->id;

	(void)state;
	assert_ptr_equal(session_open(&table, 1, 5, 20, &evicted), a);
	assert_int_equal(a->id, id);
	assert_int_equal(a->used_ns, 20);
	assert_false(evicted);
	assert_null(session_find(&table, id ^ 0x10000));
	assert_null(session_find(&table, 0));
	assert_null(session_find(&table, COUNT + 1));
	assert_null(session_of(&table, 2));
}

/*
 * R24: clients that open their sessions again and again, as many as the table holds, do not evict
 * each other: a session that is there is named again, and nothing is forgotten.
 */
static void opening_again_evicts_nobody(void **state)
{
	uint64_t id[COUNT];
	bool evicted;

	(void)state;
	for (uint64_t i = 0; i < COUNT; i++)
		id[i] = opened(i + 1, 1, i)->id;
	for (uint64_t i = 0; i < 10 * COUNT; i++) {
		uint64_t client = i * 3 % COUNT;
		struct session *s = session_open(&table, client + 1, 1 + i, 100 + i, &evicted);

		assert_non_null(s);
		assert_int_equal(s->id, id[client]);
		assert_false(evicted);
	}
	assert_true(table.complete);
}

static void least_recently_used_goes(void **state)
{
	struct session *s[COUNT];
	uint64_t id[COUNT];
	bool evicted;

	(void)state;
	for (uint64_t i = 0; i < COUNT; i++) {
		s[i] = opened(i + 1, 1, 10 - i); /* the last one is the oldest */
		id[i] = s[i]->id;
	}
	assert_true(table.complete);
	session_begin(&table, s[3], 1); /* under way: must stay */
	assert_ptr_equal(session_open(&table, 5, 9, 20, &evicted), s[2]);
	assert_true(evicted);
	assert_false(table.complete);
	assert_null(session_find(&table, id[2]));
	assert_null(session_of(&table, 3));
	assert_ptr_equal(session_find(&table, id[3]), s[3]);
	for (uint64_t i = 0; i < 3; i++)
		session_begin(&table, s[i], 9);
	assert_null(session_open(&table, 6, 1, 30, &evicted));
	assert_false(evicted);
}

/*
 * S-EVICT: once anything was forgotten, a client that comes with a history gets a floor: what it
 * asked below it may have been executed. While nothing was forgotten, unknown means never seen.
 */
static void a_floor_stands_for_what_was_forgotten(void **state)
{
	(void)state;
	assert_int_equal(opened(1, 100, 1)->floor, 0);
	for (uint64_t client = 2; client <= COUNT + 1; client++)
		opened(client, 1, client);
	assert_false(table.complete);
	assert_int_equal(opened(1, 100, 50)->floor, 100);
	session_table_clear(&table, true);
	assert_null(session_of(&table, 1));
	assert_int_equal(opened(1, 100, 60)->floor, 0);
	session_table_clear(&table, false);
	assert_int_equal(opened(1, 100, 70)->floor, 100);
}

/*
 * A copy of an OPEN that the network kept for long: while the session lives it is just named again,
 * with all it remembers. Once it has given way the copy opens another one: requests of the first
 * must never be taken for this one's, which remembers none of their outcomes.
 */
static void open_arrives_late(void **state)
{
	struct session *s = opened(1, 1, 1);
	uint64_t id = s->id;

	(void)state;
	answer(s, 1, STATUS_OK, (struct op_ts){ 2, 3 });
	assert_ptr_equal(opened(1, 1, 2), s);
	assert_int_equal(verdict(s, 1), SESSION_DONE);
	for (uint64_t client = 2; client <= 5; client++)
		opened(client, 1, client + 1);
	assert_null(session_find(&table, id));
	s = opened(1, 1, 9);
	assert_true(s->id != id);
	assert_null(session_find(&table, id));
	assert_int_equal(verdict(s, 1), SESSION_NEW);
}

/* A table that runs nothing and is full keeps answering with the newest clients; all stay found. */
static void the_index_survives_many_clients(void **state)
{
	enum { SLOTS = 64, CLIENTS = 5000 };
	static uint64_t newest[SLOTS]; /* clients in order of use, as the table must have them */
	uint64_t random = 7;
	uint32_t used = 0;

	(void)state;
	make_table(&table, &table_mem, SLOTS, 4);
	for (uint64_t i = 1; i <= CLIENTS; i++) {
		uint64_t client;
		uint32_t at = 0;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		client = 1 + (random >> 33) % 200;
		opened(client, 1, i);
		while (at < used && newest[at] != client)
			at++;
		if (at == used && used < SLOTS)
			used++;
		at = at == used || at == SLOTS ? used - 1 : at;
		memmove(newest + 1, newest, at * sizeof(*newest));
		newest[0] = client;
		for (uint64_t c = 1; c <= 200; c++) {
			struct session *s = session_of(&table, c);
			bool expected = false;

			for (uint32_t k = 0; k < used; k++)
				expected |= newest[k] == c;
			assert_int_equal(s != NULL, expected);
			if (s)
				assert_int_equal(s->client, c);
		}
	}
}

/* ---- outcomes -------------------------------------------------------------------------------- */

static void one_outcome_each(void **state)
{
	struct session_outcome *o = NULL;
	struct session *s = opened(1, 1, 1);

	(void)state;
	assert_int_equal(session_check(&table, s, 7, &o), SESSION_NEW);
	o = session_begin(&table, s, 7);
	assert_int_equal(s->running, 1);
	assert_int_equal(verdict(s, 7), SESSION_RUNNING);
	assert_int_equal(verdict(s, 7 + WINDOW), SESSION_FULL);
	session_stop(s, o);
	assert_int_equal(s->running, 0);
	assert_int_equal(verdict(s, 7), SESSION_KNOWN); /* it ran, and nothing is known about it */
	answer(s, 7, STATUS_CONFLICT, (struct op_ts){ 4, 2 });
	assert_int_equal(session_check(&table, s, 7, &o), SESSION_DONE);
	assert_int_equal(o->status, STATUS_CONFLICT);
	assert_int_equal(o->ts.version, 4);
	assert_int_equal(verdict(s, 7 + WINDOW), SESSION_NEW);
	o = session_begin(&table, s, 7 + WINDOW);
	assert_int_equal(o->fate, OUTCOME_NONE);
	assert_int_equal(o->ts.version, 0);
	assert_int_equal(verdict(s, 7), SESSION_OLD);
}

static void misuse_is_noticed(void **state)
{
	struct session *s = opened(1, 1, 1);
	struct session_outcome *o = session_begin(&table, s, 9);

	(void)state;
	expect_assert_failure(session_begin(&table, s, 9));
	session_stop(s, o);
	expect_assert_failure(session_stop(s, o));
	expect_assert_failure(session_begin(&table, s, 9 - WINDOW));
	expect_assert_failure(session_table_init(&table, table_mem, 0, WINDOW, 1));
	expect_assert_failure(session_table_init(&table, table_mem, SESSIONS_MAX + 1, WINDOW, 1));
	expect_assert_failure(session_table_init(&table, table_mem, COUNT, 2, 1));
	expect_assert_failure(session_table_init(&table, table_mem, COUNT, 12, 1));
	expect_assert_failure(session_table_init(&table, table_mem, COUNT, 2 * SESSION_WINDOW, 1));
}

/* ---- what passes through as somebody's update ------------------------------------------------ */

static void what_a_replica_saw_is_known(void **state)
{
	struct session_outcome *o;
	struct origin origin;
	uint32_t link = seen(&table, 9, 3, (struct op_ts){ 2, 1 }, OUTCOME_SEEN);
	struct session *s = session_of(&table, 9);

	(void)state;
	assert_non_null(s);
	assert_int_equal(s->id, 0); /* the client has not been here: no requests from it */
	assert_int_equal(session_check(&table, s, 3, &o), SESSION_KNOWN);
	assert_int_equal(o->fate, OUTCOME_SEEN);
	assert_ptr_equal(session_at(&table, link), o);
	origin = session_origin(&table, link);
	assert_int_equal(origin.client, 9);
	assert_int_equal(origin.request, 3);
	o = session_begin(&table, s, 3); /* a retry keeps what is known until it is answered */
	assert_int_equal(o->fate, OUTCOME_SEEN);
	assert_int_equal(o->ts.version, 2);
	session_stop(s, o);
}

static void the_newest_try_counts(void **state)
{
	struct session_outcome *o;
	struct origin origin = { 9, 3 };
	uint32_t link = seen(&table, 9, 3, (struct op_ts){ 5, 1 }, OUTCOME_SEEN);

	(void)state;
	session_seen(&table, &origin, HASH, (struct op_ts){ 5, 1 }, OUTCOME_TOOK, 1, &o);
	assert_int_equal(o->fate, OUTCOME_SEEN); /* the same once more */
	session_seen(&table, &origin, HASH, (struct op_ts){ 4, 1 }, OUTCOME_TOOK, 1, &o);
	assert_int_equal(o->ts.version, 5); /* an older try */
	assert_int_equal(link, session_seen(&table, &origin, HASH, (struct op_ts){ 8, 2 },
					    OUTCOME_TOOK, 1, &o));
	assert_int_equal(o->fate, OUTCOME_TOOK);
	assert_int_equal(o->ts.version, 8);
	o->fate = OUTCOME_DONE; /* answered here: stays so */
	session_seen(&table, &origin, HASH, (struct op_ts){ 9, 2 }, OUTCOME_SEEN, 1, &o);
	assert_int_equal(o->fate, OUTCOME_DONE);
}

static void a_window_keeps_the_newest_requests(void **state)
{
	struct session *s;
	struct origin origin;
	uint32_t link = seen(&table, 9, 3, (struct op_ts){ 2, 1 }, OUTCOME_SEEN);

	(void)state;
	s = session_of(&table, 9);
	assert_int_equal(seen(&table, 9, 3 + WINDOW, (struct op_ts){ 4, 1 }, OUTCOME_SEEN), link);
	origin = session_origin(&table, link);
	assert_int_equal(origin.request, 3 + WINDOW); /* the link's owner sees it is another's */
	assert_int_equal(seen(&table, 9, 3, (struct op_ts){ 6, 1 }, OUTCOME_TOOK), 0);
	assert_int_equal(verdict(s, 3), SESSION_OLD);
	session_begin(&table, s, 4);
	assert_int_equal(seen(&table, 9, 4 + WINDOW, (struct op_ts){ 6, 1 }, OUTCOME_SEEN), 0);
	assert_int_not_equal(seen(&table, 9, 4, (struct op_ts){ 6, 1 }, OUTCOME_SEEN), 0);
}

static void links_of_evicted_sessions_lead_elsewhere(void **state)
{
	struct op_ts ts = { 2, 1 };
	uint32_t link = seen(&table, 9, 3, ts, OUTCOME_SEEN);

	(void)state;
	assert_null(session_at(&table, 0));
	assert_int_equal(session_at(&table, link)->key, HASH);
	for (uint64_t client = 1; client <= COUNT; client++)
		opened(client, 1, 10 + client);
	assert_null(session_of(&table, 9));
	assert_false(table.complete);
	/* Whoever follows it compares: key and ts are not those it was made for. */
	assert_int_not_equal(session_origin(&table, link).client, 9);
	assert_int_not_equal(op_ts_compare(session_at(&table, link)->ts, ts), 0);
	link = seen(&table, 2, 3, ts, OUTCOME_SEEN);
	session_table_clear(&table, true);
	assert_int_equal(session_at(&table, link)->request, 0);
	assert_int_not_equal(op_ts_compare(session_at(&table, link)->ts, ts), 0);
}

static void what_cannot_be_kept_makes_the_table_incomplete(void **state)
{
	(void)state;
	for (uint64_t client = 1; client <= COUNT; client++)
		session_begin(&table, opened(client, 1, 1), 1);
	assert_true(table.complete);
	assert_int_equal(seen(&table, 9, 3, (struct op_ts){ 2, 1 }, OUTCOME_SEEN), 0);
	assert_false(table.complete);
}

/* ---- bulk copy ------------------------------------------------------------------------------- */

/* copy_all: every pack of `table` goes to `other`. Returns how many. */
static uint32_t copy_all(void)
{
	uint8_t bytes[SESSION_PACK_BYTES];
	uint32_t cursor = 0, packs = 0, n;

	while ((n = session_pack(&table, &cursor, bytes)) > 0) {
		assert_true(n >= SESSION_PACK_HEAD && n <= SESSION_PACK_BYTES);
		assert_true(session_unpack(&other, bytes, n, 5));
		packs++;
	}
	assert_int_equal(session_pack(&table, &cursor, bytes), 0);
	session_unpacked(&other, table.complete);
	return packs;
}

static const struct session_outcome *copied(uint64_t client, uint64_t request)
{
	struct session *s = session_of(&other, client);
	struct session_outcome *o = NULL;

	assert_non_null(s);
	return session_check(&other, s, request, &o) == SESSION_KNOWN ? o : NULL;
}

static void a_shadow_gets_every_outcome(void **state)
{
	const struct session_outcome *o;
	struct session *s = opened(1, 1, 1);
	struct session_outcome *first = answer(s, 1, STATUS_OK, (struct op_ts){ 10, 7 });

	(void)state;
	first->has_number = true;
	first->number = -5;
	answer(s, 2, STATUS_CONFLICT, (struct op_ts){ 11, 7 });
	seen(&table, 1, 3, (struct op_ts){ 12, 7 }, OUTCOME_SEEN);
	seen(&table, 2, 1, (struct op_ts){ 13, 7 }, OUTCOME_TOOK);
	seen(&table, 2, 2, (struct op_ts){ 14, 7 }, OUTCOME_UNSURE);
	seen(&table, 2, 3, (struct op_ts){ 15, 7 }, OUTCOME_DEAD);
	assert_int_equal(copy_all(), 2);
	assert_true(other.complete);
	o = copied(1, 1);
	assert_non_null(o);
	assert_int_equal(o->fate, OUTCOME_TOOK);
	assert_int_equal(o->ts.version, 10);
	assert_true(o->has_number);
	assert_int_equal(o->number, -5);
	assert_null(copied(1, 2)); /* a refusal did nothing */
	assert_int_equal(copied(1, 3)->fate, OUTCOME_SEEN);
	assert_int_equal(copied(2, 1)->fate, OUTCOME_TOOK);
	assert_int_equal(copied(2, 2)->fate, OUTCOME_UNSURE);
	assert_null(copied(2, 3));
	assert_int_equal(session_of(&other, 1)->id, 0);
}

/* What the shadow saw by itself while the copy was under way is newer than the copy. */
static void a_copy_changes_nothing_newer(void **state)
{
	struct op_ts ts = { 10, 7 }, later = { 20, 7 };

	(void)state;
	seen(&table, 1, 1, ts, OUTCOME_SEEN);
	seen(&table, 1, 2, ts, OUTCOME_SEEN);
	seen(&table, 1, 3, ts, OUTCOME_TOOK);
	seen(&table, 1, 4, ts, OUTCOME_SEEN);
	seen(&other, 1, 1, later, OUTCOME_SEEN);
	seen(&other, 1, 2, ts, OUTCOME_TOOK);
	seen(&other, 1, 3, ts, OUTCOME_SEEN);
	seen(&other, 1, 4 + WINDOW, later, OUTCOME_SEEN);
	copy_all();
	assert_int_equal(copied(1, 1)->ts.version, 20);
	assert_int_equal(copied(1, 2)->fate, OUTCOME_TOOK);
	assert_int_equal(copied(1, 3)->fate, OUTCOME_TOOK); /* the donor knew how it ended */
	assert_int_equal(copied(1, 4 + WINDOW)->ts.version, 20);
}

static void a_long_session_takes_several_packs(void **state)
{
	(void)state;
	make_table(&table, &table_mem, COUNT, 64);
	make_table(&other, &other_mem, COUNT, 64);
	for (uint64_t i = 1; i <= 64; i++)
		seen(&table, 5, i, (struct op_ts){ i, 7 }, OUTCOME_TOOK);
	assert_int_equal(copy_all(), 3);
	for (uint64_t i = 1; i <= 64; i++)
		assert_int_equal(copied(5, i)->ts.version, i);
}

static void floors_and_gaps_are_copied(void **state)
{
	struct session *s;
	bool evicted;

	(void)state;
	for (uint64_t client = 1; client <= COUNT + 1; client++)
		opened(client, 50, client);
	assert_int_equal(copy_all(), COUNT);
	assert_false(other.complete);
	assert_int_equal(session_of(&other, COUNT + 1)->floor, 50);
	assert_int_equal(session_of(&other, COUNT)->floor, 0);
	/* A shadow with no room for all of them knows that it forgets. */
	make_table(&other, &other_mem, 2, WINDOW);
	copy_all();
	assert_false(other.complete);
	assert_int_not_equal(other.dropped, 0);
	make_table(&other, &other_mem, 1, WINDOW);
	s = session_open(&other, 77, 1, 1, &evicted);
	session_begin(&other, s, 1);
	copy_all();
	assert_null(session_of(&other, 1));
	assert_false(other.complete);
}

static void malformed_packs_are_refused(void **state)
{
	uint8_t good[SESSION_PACK_BYTES], bad[SESSION_PACK_BYTES + 8] = { 0 };
	uint32_t cursor = 0, n;

	(void)state;
	seen(&table, 1, 1, (struct op_ts){ 2, 7 }, OUTCOME_TOOK);
	seen(&table, 1, 2, (struct op_ts){ 4, 7 }, OUTCOME_SEEN);
	n = session_pack(&table, &cursor, good);
	assert_int_equal(n, SESSION_PACK_HEAD + 2 * SESSION_PACK_ONE);
	for (uint32_t bytes = 0; bytes < sizeof(bad); bytes++) {
		memcpy(bad, good, n);
		if (bytes != n)
			assert_false(session_unpack(&other, bad, bytes, 1));
	}
	store_u64(bad, 0); /* no client */
	assert_false(session_unpack(&other, bad, n, 1));
	memcpy(bad, good, n);
	store_u64(bad + 16, SESSION_PACK_MAX + 1);
	assert_false(session_unpack(&other, bad, n, 1));
	memcpy(bad, good, n);
	store_u64(bad + 16, UINT64_MAX / SESSION_PACK_ONE + 3); /* wraps round to the right size */
	assert_false(session_unpack(&other, bad, n, 1));
	memcpy(bad, good, n);
	store_u64(bad + SESSION_PACK_HEAD + SESSION_PACK_ONE, 0); /* request 0 */
	assert_false(session_unpack(&other, bad, n, 1));
	for (uint32_t value = 0; value < 256; value++) {
		memcpy(bad, good, n);
		bad[SESSION_PACK_HEAD + SESSION_PACK_ONE + 20] = (uint8_t)value;
		if (value < OUTCOME_SEEN || value > OUTCOME_UNSURE)
			assert_false(session_unpack(&other, bad, n, 1));
	}
	assert_null(session_of(&other, 1)); /* nothing of what was refused has arrived */
	assert_true(session_unpack(&other, good, n, 1));
	assert_int_equal(copied(1, 2)->fate, OUTCOME_SEEN);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(open_is_idempotent),
		CASE(opening_again_evicts_nobody),
		CASE(least_recently_used_goes),
		CASE(a_floor_stands_for_what_was_forgotten),
		CASE(open_arrives_late),
		CASE(the_index_survives_many_clients),
		CASE(one_outcome_each),
		CASE(misuse_is_noticed),
		CASE(what_a_replica_saw_is_known),
		CASE(the_newest_try_counts),
		CASE(a_window_keeps_the_newest_requests),
		CASE(links_of_evicted_sessions_lead_elsewhere),
		CASE(what_cannot_be_kept_makes_the_table_incomplete),
		CASE(a_shadow_gets_every_outcome),
		CASE(a_copy_changes_nothing_newer),
		CASE(a_long_session_takes_several_packs),
		CASE(floors_and_gaps_are_copied),
		CASE(malformed_packs_are_refused),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
