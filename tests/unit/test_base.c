/* SPDX-License-Identifier: Apache-2.0 */
/* must() itself: fires when false, evaluates once. And the byte helpers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/types.h"

static void evaluates_once(void **state)
{
	int n = 0;

	(void)state;
	must(++n == 1);
	assert_int_equal(n, 1);
	must(n == 1 || n == 2); /* an unparenthesised argument keeps its meaning */
	if (n == 1)
		must(true);
	else
		must(false);
}

static void fires_when_false(void **state)
{
	volatile int one = 1;

	(void)state;
	expect_assert_failure(must(one == 2));
	must(one == 1);
}

static void bytes(void **state)
{
	uint8_t p[9] = { 0, 1, 2, 3, 4, 5, 6, 7, 8 };

	(void)state;
	assert_int_equal(load_u16(p + 1), 0x0201);
	assert_int_equal(load_u32(p + 1), 0x04030201);
	assert_int_equal(load_u64(p + 1), 0x0807060504030201ull);
	assert_int_equal(round_up(1, 4096), 4096);
	assert_int_equal(round_up(4096, 4096), 4096);
}

static void timestamps_are_ordered(void **state)
{
	struct op_ts a = { 4, writer_make(1, 9) };
	struct op_ts b = { 4, writer_make(2, 1) };

	(void)state;
	assert_int_equal(op_ts_compare(a, a), 0);
	assert_int_not_equal(op_ts_compare(a, b), 0);
	assert_int_equal(op_ts_compare(a, b), -op_ts_compare(b, a));
	a.version = 5;
	assert_true(op_ts_compare(a, b) > 0);
	assert_int_equal(writer_node(b.writer), 2);
	assert_int_equal(writer_incarnation(a.writer), 9);
}

/* O2: at equal versions every writer wins its share, and all agree on who. */
static void ties_are_drawn_by_lot(void **state)
{
	uint32_t wins[NODES_MAX] = { 0 };

	(void)state;
	for (uint64_t version = 1; version <= 7000; version++) {
		struct op_ts best = { version, writer_make(0, 1) };

		for (uint8_t n = 1; n < NODES_MAX; n++) {
			struct op_ts ts = { version, writer_make(n, 1) };

			if (op_ts_compare(ts, best) > 0)
				best = ts;
		}
		for (uint8_t n = 0; n < NODES_MAX; n++) {
			struct op_ts ts = { version, writer_make(n, 1) };

			assert_int_equal(op_ts_compare(ts, best) == 0, ts.writer == best.writer);
			assert_true(op_ts_compare(ts, best) <= 0);
		}
		wins[writer_node(best.writer)]++;
	}
	for (uint8_t n = 0; n < NODES_MAX; n++)
		assert_in_range(wins[n], 800, 1200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(evaluates_once),
		cmocka_unit_test(fires_when_false),
		cmocka_unit_test(bytes),
		cmocka_unit_test(timestamps_are_ordered),
		cmocka_unit_test(ties_are_drawn_by_lot),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
