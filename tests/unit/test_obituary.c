/* SPDX-License-Identifier: Apache-2.0 */
/* test_obituary.c: what is said of a dataplane that ended, and what of it is believed (CC-25). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mgmt/obituary.h"

#define CLUSTER 0xc0ffeeull

static const struct config_endpoint one = { 0x7f000001, 7390 }, two = { 0x7f000002, 7390 };

/* Node 0, which knows the cairnd of node 1, and not where that of node 2 is. */
static struct config config_of(void)
{
	struct config c = { .cluster_id = CLUSTER, .node_id = 0, .peer_count = 3 };

	c.control_listen = (struct config_endpoint) { 0x7f000009, 7390 };
	c.peer[0] = (struct config_peer) { .id = 0, .control = c.control_listen };
	c.peer[1] = (struct config_peer) { .id = 1, .control = one };
	c.peer[2] = (struct config_peer) { .id = 2 };
	return c;
}

/* Node 1 lived as incarnation 4 when the view was made, and was heard as incarnation 5. */
static struct control_status status_of(void)
{
	struct control_status s = { .node = 0, .ident = 70, .incarnation = 3 };

	s.state.revision = 9;
	for (uint8_t n = 0; n < 3; n++) {
		s.state.node[n] = (struct membership_node) {
			.want = WANT_DATA, .ident = 70u + n, .incarnation = 3u + n
		};
		s.peer[n].incarnation = n == 1 ? 5 : 3u + n;
	}
	return s;
}

static void any_damage_shows(void **state)
{
	const struct obituary o = { CLUSTER, 71, 5, 1 };
	uint8_t data[OBITUARY_BYTES + 1] = { 0 };
	struct obituary got = { 0 }, same = { 0 };

	(void)state;
	obituary_encode(data, &o);
	assert_true(obituary_decode(data, OBITUARY_BYTES, &got));
	assert_true(got.cluster == o.cluster && got.ident == o.ident &&
		    got.incarnation == o.incarnation && got.node == o.node);
	for (size_t bytes = 0; bytes <= OBITUARY_BYTES + 1; bytes++)
		assert_true(obituary_decode(data, bytes, &same) == (bytes == OBITUARY_BYTES));
	same = (struct obituary) { 0 };
	for (uint32_t bit = 0; bit < 8 * OBITUARY_BYTES; bit++) {
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(obituary_decode(data, OBITUARY_BYTES, &same));
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(same.incarnation == 0 && same.cluster == 0);
}

/* Whole, and yet no node, disk or incarnation there can be. */
static void what_cannot_be_is_refused(void **state)
{
	static const struct obituary wrong[] = {
		{ CLUSTER, 71, 5, NODES_MAX }, { CLUSTER, 0, 5, 1 },
		{ CLUSTER, 71, 0, 1 },	       { CLUSTER, 71, INCARNATION_MAX + 1, 1 },
	};
	uint8_t data[OBITUARY_BYTES];
	struct obituary got;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		obituary_encode(data, &wrong[i]);
		assert_false(obituary_decode(data, sizeof(data), &got));
	}
}

static void believes_what_it_can_know(void **state)
{
	const struct {
		struct obituary o;
		struct config_endpoint source;
		enum obituary_verdict verdict;
	} cases[] = {
		{ { CLUSTER, 71, 4, 1 }, one, OBITUARY_TAKEN },
		{ { CLUSTER, 71, 5, 1 }, one, OBITUARY_TAKEN },
		{ { CLUSTER, 71, 3, 1 }, one, OBITUARY_STALE },
		{ { CLUSTER, 71, 6, 1 }, one, OBITUARY_STALE }, /* it could not begin any more */
		{ { CLUSTER, 71, INCARNATION_MAX, 1 }, one, OBITUARY_STALE },
		{ { CLUSTER, 72, 5, 1 }, one, OBITUARY_STRANGER }, /* its next disk begins anew */
		{ { CLUSTER + 1, 71, 5, 1 }, one, OBITUARY_FOREIGN },
		{ { CLUSTER, 71, 5, 1 }, two, OBITUARY_FOREIGN },
		{ { CLUSTER, 72, 5, 2 }, one, OBITUARY_FOREIGN }, /* node 1 of node 2 */
		{ { CLUSTER, 72, 5, 2 }, { 0, 0 }, OBITUARY_FOREIGN },
		{ { CLUSTER, 70, 3, 0 }, { 0x7f000009, 7390 }, OBITUARY_FOREIGN }, /* oneself */
		{ { CLUSTER, 73, 3, 3 }, one, OBITUARY_FOREIGN },
	};
	const struct config c = config_of();
	struct control_status s = status_of();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(obituary_judge(&c, &s, &cases[i].source, &cases[i].o),
				 cases[i].verdict);
	s.state.node[1].want = WANT_NONE;
	assert_int_equal(obituary_judge(&c, &s, &one, &cases[0].o), OBITUARY_STRANGER);
	s.state.revision = 0;
	assert_int_equal(obituary_judge(&c, &s, &one, &cases[0].o), OBITUARY_STRANGER);
}

static void speaks_of_its_own_only(void **state)
{
	const struct config c = config_of();
	struct control_status s = status_of();
	struct obituary o = { 0 };

	(void)state;
	assert_true(obituary_write(&c, &s, &o));
	assert_true(o.cluster == CLUSTER && o.ident == 70 && o.incarnation == 3 && o.node == 0);
	s.incarnation = 0; /* not recovered yet */
	assert_false(obituary_write(&c, &s, &o));
	s = status_of();
	s.node = 1;
	assert_false(obituary_write(&c, &s, &o));
	s = status_of();
	s.ident = 99; /* not the disk that the cluster agreed on */
	assert_false(obituary_write(&c, &s, &o));
	s = status_of();
	s.state.revision = 0; /* never taken in */
	assert_false(obituary_write(&c, &s, &o));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_damage_shows),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(believes_what_it_can_know),
		cmocka_unit_test(speaks_of_its_own_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
