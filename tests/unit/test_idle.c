/* SPDX-License-Identifier: Apache-2.0 */
/* Who polls a shared core offers it to others, also when there is no end of work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/idle.h"

#define NOW_NS 1000000000u

static struct idle idle;

static void who_is_busy_offers_the_core(void **state)
{
	(void)state;
	idle_init(&idle, IDLE_ADAPTIVE);
	idle_offer(&idle, NOW_NS);
	for (uint64_t at_ns = NOW_NS; at_ns < NOW_NS + IDLE_BUSY_NS; at_ns += IDLE_BUSY_NS / 10)
		idle_busy(&idle, at_ns);
	assert_true(idle.given_ns == NOW_NS);
	idle_busy(&idle, NOW_NS + IDLE_BUSY_NS);
	assert_true(idle.given_ns == NOW_NS + IDLE_BUSY_NS);
}

static void waiting_is_an_offer(void **state)
{
	(void)state;
	idle_init(&idle, IDLE_ADAPTIVE);
	idle_wait(&idle, NOW_NS, UINT64_MAX);
	assert_true(idle.given_ns == NOW_NS);
	assert_int_equal(idle.empty_rounds, 1);
	idle_busy(&idle, NOW_NS + 1);
	assert_true(idle.given_ns == NOW_NS);
	assert_int_equal(idle.empty_rounds, 0);
}

static void who_has_a_core_keeps_it(void **state)
{
	(void)state;
	idle_init(&idle, IDLE_SPIN);
	idle_busy(&idle, NOW_NS);
	idle_wait(&idle, NOW_NS, UINT64_MAX);
	idle_busy(&idle, 2 * NOW_NS);
	assert_true(idle.given_ns == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_busy_offers_the_core),
		cmocka_unit_test(waiting_is_an_offer),
		cmocka_unit_test(who_has_a_core_keeps_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
