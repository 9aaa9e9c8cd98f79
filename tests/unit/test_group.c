/* SPDX-License-Identifier: Apache-2.0 */
/* The raft engine: whole groups in memory (group_rig.h). */
#include "tests/unit/group_rig.h"

#include <stdlib.h>

static void elects_and_serves(void **state)
{
	(void)state;
	gr_begin(3, 1, 0);
	gr_run(200);
	assert_int_equal(gr_leader() >= 0, 1);
	gr_request(0, WIRE_PUT, 3, 1, "hello", (struct op_ts){ 0, 0 });
	gr_run(5);
	assert_int_equal(gr.results, 1);
	assert_int_equal(gr.result.status, STATUS_OK);
	for (uint8_t n = 0; n < 3; n++) {
		gr_request(n, WIRE_GET, 3, 10u + n, NULL, (struct op_ts){ 0, 0 });
		gr_run(5);
		assert_int_equal(gr.results, 2 + n);
		assert_int_equal(gr.result.status, STATUS_OK);
		assert_memory_equal(gr.result_value, "hello", 5);
	}
	gr_end();
}

static void counts_without_faults(void **state)
{
	(void)state;
	gr_begin(3, 2, 0);
	gr.clients = 8;
	gr_run(3000);
	gr.quiet = true;
	gr_settle(2000);
	gr_check_same();
	gr_check_counts();
	gr_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elects_and_serves),
		cmocka_unit_test(counts_without_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
