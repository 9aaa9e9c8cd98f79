/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The raft engine's replicated sessions when there are more clients than sessions (S-ONCE, S-EVICT;
 * docs/raft.md, Entries): what is forgotten is never done again, and nobody else is told so. A node
 * that is a step behind the leader, one that has copied, and clients that come back.
 */
#include "tests/unit/group_rig.h"

#define SESSIONS 6u
#define COUNTER 1u

static void few_sessions(struct replica_config *c)
{
	c->sessions_max = SESSIONS;
}

/* ask: one increment, of this client, at this node, and what became of it within 30 ms. */
static enum status ask(uint8_t n, uint32_t client, uint64_t id)
{
	uint32_t before = gr.results;

	gr.hand = client;
	gr_request(n, WIRE_INCR, COUNTER, id, "1", (struct op_ts){ 0, 0 });
	for (uint32_t ms = 0; ms < 30 && gr.results == before; ms++)
		gr_run(1);
	return gr.results == before ? STATUS_COUNT : (enum status)gr.result.status;
}

/* leader: after a start with a table that is full: clients 0 .. SESSIONS - 1. */
static uint8_t leader(void)
{
	gr_adjust = few_sessions;
	gr_begin(3, 71, 0);
	gr_adjust = NULL;
	gr_run(200);
	assert_true(gr_leader() >= 0);
	for (uint32_t c = 0; c < SESSIONS; c++)
		assert_int_equal(ask((uint8_t)gr_leader(), c, 1), STATUS_OK);
	gr_run(50);
	return (uint8_t)gr_leader();
}

/* deaf: n hears nothing of the leader, but is heard. */
static void deaf(uint8_t from, uint8_t n)
{
	gr.cut[from] |= (uint8_t)(1u << n);
}

/* Every new client takes another one's place: who begins at a node that has not heard is new. */
static void a_node_behind_serves_new_clients(void **state)
{
	uint8_t l = leader(), n = (uint8_t)((l + 1) % 3);

	(void)state;
	deaf(l, n);
	assert_int_equal(ask(l, 7, 1), STATUS_OK);
	gr.hand = 8;
	gr_request(n, WIRE_INCR, COUNTER, 1, "1", (struct op_ts){ 0, 0 });
	gr_run(5);
	gr_heal();
	gr_run(50);
	assert_int_equal(gr.result.status, STATUS_OK);
	assert_int_equal(gr_value(l, COUNTER), SESSIONS + 2);
	gr_end();
}

/*
 * What was executed elsewhere and forgotten, all since the node heard last, is not done again,
 * though the node asks for it: it is in the log twice then.
 */
static void forgotten_stays_forgotten(void **state)
{
	uint8_t l = leader(), n = (uint8_t)((l + 1) % 3);

	(void)state;
	assert_int_equal(ask(n, 9, 1), STATUS_OK);
	gr_run(50);
	deaf(l, n);
	assert_int_equal(ask(l, 9, 2), STATUS_OK);
	for (uint32_t c = 10; c < 10 + SESSIONS; c++)
		assert_int_equal(ask(l, c, 1), STATUS_OK);
	gr.hand = 9;
	gr_request(n, WIRE_INCR, COUNTER, 2, "1", (struct op_ts){ 0, 0 });
	gr_run(5);
	gr_heal();
	gr_run(50);
	assert_int_equal(gr.result.status, STATUS_OK); /* it hears of the first time */
	assert_int_equal(replica_counters(gr.node[l].r)->evicted_requests, 1);
	assert_int_equal(gr_value(l, COUNTER), SESSIONS + 2 + SESSIONS);
	gr_end();
}

/*
 * The replicated session had to make room while the node was cut off, and what it has now came by
 * copy: its client has to open a session anew, or an update from before would be taken for new.
 */
static void forgotten_during_a_copy(void **state)
{
	uint8_t l = leader(), n = (uint8_t)((l + 1) % 3);
	uint64_t joins;

	(void)state;
	assert_int_equal(ask(n, 9, 1), STATUS_OK);
	gr_run(50);
	joins = replica_counters(gr.node[n].r)->joins;
	gr_cut(l, n, true);
	gr_cut((uint8_t)((l + 2) % 3), n, true);
	for (uint32_t i = 0; i < 300; i++)
		assert_int_equal(ask(l, 10 + i % SESSIONS, 1 + i / SESSIONS), STATUS_OK);
	gr_heal();
	gr_run(2000);
	assert_true(replica_counters(gr.node[n].r)->joins > joins);
	assert_int_equal(ask(n, 9, 1), STATUS_NO_SESSION);
	gr.node[n].session[9] = 0;
	gr.client[9].id = 1; /* what it says when it opens its session */
	assert_int_equal(ask(n, 9, 1), STATUS_EVICTED);
	assert_int_equal(ask(n, 9, 2), STATUS_OK);
	assert_int_equal(gr_value(l, COUNTER), SESSIONS + 2 + 300);
	gr_end();
}

/*
 * As before, but the client's next request has made its session again before the copy, unheard by
 * the node that passed it on: the copy does not know its first request, and a late datagram of it
 * is not executed.
 */
static void remade_during_a_copy(void **state)
{
	uint8_t l = leader(), n = (uint8_t)((l + 1) % 3);
	uint64_t joins;
	int64_t sum;

	(void)state;
	assert_int_equal(ask(n, 9, 1), STATUS_OK);
	assert_int_equal(ask(l, 8, 1), STATUS_OK);
	assert_int_equal(ask(l, 7, 1), STATUS_OK);
	gr_run(50);
	sum = gr_value(l, COUNTER);
	joins = replica_counters(gr.node[n].r)->joins;
	deaf(l, n);
	for (uint32_t c = 10; c < 14; c++)
		assert_int_equal(ask(l, c, 1), STATUS_OK);
	gr.hand = 9;
	gr_request(n, WIRE_INCR, COUNTER, 2, "1", (struct op_ts){ 0, 0 });
	gr_run(5);
	sum += 5;
	assert_int_equal(gr_value(l, COUNTER), sum);
	gr_cut(l, n, true);
	gr_cut((uint8_t)((l + 2) % 3), n, true);
	for (uint32_t i = 0; i < 300; i++)
		assert_int_equal(ask(l, 10 + i % 4, 2 + i / 4), STATUS_OK);
	gr_heal();
	gr_run(2000);
	assert_true(replica_counters(gr.node[n].r)->joins > joins);
	assert_int_equal(ask(n, 9, 1), STATUS_NO_SESSION);
	assert_int_equal(gr_value(l, COUNTER), sum + 300);
	gr_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_behind_serves_new_clients),
		cmocka_unit_test(forgotten_stays_forgotten),
		cmocka_unit_test(forgotten_during_a_copy),
		cmocka_unit_test(remade_during_a_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
