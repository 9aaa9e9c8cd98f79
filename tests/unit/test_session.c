/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: an update takes effect once, however often its request arrives. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/session.h"

static struct session list[4];
static struct session_table table;

static int fresh(void **state)
{
	(void)state;
	session_table_init(&table, list, 4, 42);
	return 0;
}

static void open_is_idempotent(void **state)
{
	bool evicted;
	struct session *a = session_open(&table, 1, 10, &evicted);
	uint64_t id = a->id;

	(void)state;
	assert_ptr_equal(session_open(&table, 1, 20, &evicted), a);
	assert_int_equal(a->id, id);
	assert_false(evicted);
	assert_ptr_equal(session_find(&table, id), a);
	assert_null(session_find(&table, id ^ 0x10000));
	assert_null(session_find(&table, 0));
}

static void least_recently_used_goes(void **state)
{
	struct session *s[4];
	uint64_t id[4];
	bool evicted;

	(void)state;
	for (uint64_t i = 0; i < 4; i++) {
		s[i] = session_open(&table, i + 1, i + 1, &evicted);
		id[i] = s[i]->id;
	}
	session_begin(s[0], 1); /* under way: must stay */
	assert_ptr_equal(session_open(&table, 5, 9, &evicted), s[1]);
	assert_true(evicted);
	assert_null(session_find(&table, id[1]));
	assert_non_null(session_find(&table, id[0]));
	for (int i = 1; i < 4; i++)
		session_begin(s[i], 1);
	assert_null(session_open(&table, 6, 10, &evicted));
}

/*
 * A copy of an OPEN that the network kept for long: while the session lives it is just named again,
 * with all it remembers. Once it has given way the copy opens another one: requests of the first
 * must never be taken for this one's, which remembers none of their outcomes.
 */
static void open_arrives_late(void **state)
{
	struct session_outcome out = { .request = 1, .status = STATUS_OK };
	const struct session_outcome *o = NULL;
	bool evicted;
	struct session *s = session_open(&table, 1, 1, &evicted);
	uint64_t id = s->id;

	(void)state;
	session_begin(s, 1);
	session_finish(s, &out);
	assert_ptr_equal(session_open(&table, 1, 2, &evicted), s);
	assert_int_equal(session_check(s, 1, &o), SESSION_DONE);
	for (uint64_t nonce = 2; nonce <= 5; nonce++)
		session_open(&table, nonce, nonce + 1, &evicted);
	assert_true(evicted);
	assert_null(session_find(&table, id));
	s = session_open(&table, 1, 9, &evicted);
	assert_true(evicted);
	assert_true(s->id != id);
	assert_null(session_find(&table, id));
	assert_ptr_equal(session_find(&table, s->id), s);
	assert_int_equal(session_check(s, 1, &o), SESSION_NEW);
}

static void one_outcome_each(void **state)
{
	const struct session_outcome *o = NULL;
	struct session_outcome out = { .request = 7, .ts = { 4, 2 }, .status = STATUS_CONFLICT };
	bool evicted;
	struct session *s = session_open(&table, 1, 1, &evicted);

	(void)state;
	assert_int_equal(session_check(s, 7, &o), SESSION_NEW);
	session_begin(s, 7);
	assert_int_equal(session_check(s, 7, &o), SESSION_UNDER_WAY);
	assert_int_equal(session_check(s, 7 + SESSION_WINDOW, &o), SESSION_FULL);
	session_finish(s, &out);
	assert_int_equal(session_check(s, 7, &o), SESSION_DONE);
	assert_int_equal(o->status, STATUS_CONFLICT);
	assert_int_equal(o->ts.version, 4);
	assert_int_equal(session_check(s, 7 + SESSION_WINDOW, &o), SESSION_NEW);
	session_begin(s, 7 + SESSION_WINDOW);
	assert_int_equal(session_check(s, 7, &o), SESSION_OLD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(open_is_idempotent, fresh),
		cmocka_unit_test_setup(least_recently_used_goes, fresh),
		cmocka_unit_test_setup(open_arrives_late, fresh),
		cmocka_unit_test_setup(one_outcome_each, fresh),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
