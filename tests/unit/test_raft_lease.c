/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers differ between nodes while they are being changed, one node after the other. A leader's
 * lease rests on what its voters promise, not on what it would promise itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/raft_rig.h"

#define LONG (5 * ELECTION)

static struct raft *core(uint8_t node)
{
	return rig.node[node].raft;
}

/* lead_with: node 0 leads; timers of node 1 and 2 as they are, of node 0 as said. */
static void lead_with(uint64_t election_ns)
{
	const struct raft_conf three = { .voters = 0x07 };

	rig_start(3, &three);
	rig_crash(0);
	rig.node[0].config.election_ns = election_ns;
	rig_restart(0);
	rig_pass(4 * LONG);
	rig_lead(0);
	rig_run(4 * HEARTBEAT);
	assert_int_equal(raft_role(core(0)), RAFT_LEADER);
}

static void a_lease_is_no_longer_than_the_promise(void **state)
{
	(void)state;
	lead_with(LONG);
	assert_true(raft_lease_ns(core(0)) > rig.now_ns);
	assert_true(raft_lease_ns(core(0)) < rig.now_ns + ELECTION);
}

/* Cut off from both: they elect another one, and the old one's lease is over by then. */
static void nobody_leads_beside_a_lease(void **state)
{
	(void)state;
	lead_with(LONG);
	rig_isolate(0);
	while (rig_leader() == 0 || rig_leader() == RAFT_NODE_NONE)
		rig_run(HEARTBEAT);
	assert_true(raft_lease_ns(core(0)) < rig.now_ns);
}

static void a_longer_promise_makes_no_longer_lease(void **state)
{
	(void)state;
	lead_with(ELECTION / 2);
	assert_true(raft_lease_ns(core(0)) > rig.now_ns);
	assert_true(raft_lease_ns(core(0)) < rig.now_ns + ELECTION / 2);
}

static int done(void **state)
{
	(void)state;
	rig_end();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_lease_is_no_longer_than_the_promise, done),
		cmocka_unit_test_teardown(nobody_leads_beside_a_lease, done),
		cmocka_unit_test_teardown(a_longer_promise_makes_no_longer_lease, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
