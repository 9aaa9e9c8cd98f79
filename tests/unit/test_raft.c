/* SPDX-License-Identifier: Apache-2.0 */
/* Raft: elections, the log and what may be promised, in scripts. */
#include "tests/unit/raft_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct raft_conf three = { .voters = 0x07 };

static int done(void **state)
{
	(void)state;
	rig_end();
	return 0;
}

static void elects_and_commits(void **state)
{
	uint64_t index;

	(void)state;
	rig_start(3, &three);
	rig_run(20 * ELECTION);
	assert_int_not_equal(rig_leader(), RAFT_NODE_NONE);
	index = rig_propose(rig_leader(), "hello");
	assert_int_not_equal(index, 0);
	rig_run(2 * HEARTBEAT);
	for (uint8_t i = 0; i < 3; i++) {
		assert_int_equal(raft_commit(rig.node[i].raft), index);
		assert_int_equal(raft_leader(rig.node[i].raft), rig_leader());
		assert_int_equal(raft_term(rig.node[i].raft), raft_term(rig.node[0].raft));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(elects_and_commits, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
