/* SPDX-License-Identifier: Apache-2.0 */
/* Who works long at start offers a shared core to others, and keeps one of his own. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/idle.h"

static struct idle idle;

static void work(uint64_t ns)
{
	uint64_t end_ns = idle_clock_ns() + ns;

	while (idle_clock_ns() < end_ns)
		idle_busy(&idle);
}

static void long_work_offers_a_shared_core(void **state)
{
	(void)state;
	idle_init(&idle, IDLE_ADAPTIVE);
	idle_busy(&idle);
	assert_int_equal(idle.sleeps, 1);
	work(2 * IDLE_BUSY_NS);
	assert_true(idle.sleeps >= 2);
}

static void no_more_often_than_needed(void **state)
{
	uint64_t began_ns = idle_clock_ns();

	(void)state;
	idle_init(&idle, IDLE_ADAPTIVE);
	work(20 * IDLE_BUSY_NS);
	assert_true(idle.sleeps <= (idle_clock_ns() - began_ns) / IDLE_BUSY_NS + 1);
}

static void a_core_of_ones_own_is_kept(void **state)
{
	(void)state;
	idle_init(&idle, IDLE_SPIN);
	work(2 * IDLE_BUSY_NS);
	assert_int_equal(idle.sleeps, 0);
}

/* In the background, where the kernel lets us come back; and never on a core of our own. */
static void background_and_back(void **state)
{
	(void)state;
	idle_init(&idle, IDLE_SPIN);
	idle_background(&idle, true);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	idle_init(&idle, IDLE_ADAPTIVE);
	idle_background(&idle, true);
	assert_int_equal(sched_getscheduler(0), idle.background_ns ? SCHED_IDLE : SCHED_OTHER);
	if (idle.background_ns != 0) {
		work(2 * IDLE_BUSY_NS);
		assert_true(idle.sleeps >= 1);
		assert_int_equal(sched_getscheduler(0), SCHED_IDLE);
		idle.background_ns -= 2 * IDLE_BACKGROUND_NS; /* it has not got on */
		work(2 * IDLE_BUSY_NS);
		assert_int_equal(idle.background_ns, 0);
		assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
		idle_background(&idle, true);
	}
	idle_background(&idle, false);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_work_offers_a_shared_core),
		cmocka_unit_test(no_more_often_than_needed),
		cmocka_unit_test(a_core_of_ones_own_is_kept),
		cmocka_unit_test(background_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
