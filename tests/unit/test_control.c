/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_control.c: what worker 0 shares without locks: the board of a node's workers, and the region
 * cairnd reads. Values come over whole, also while another thread writes them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <pthread.h>

#include <cmocka.h>

#include "dataplane/control.h"
#include "dataplane/view_board.h"

static struct control_region *new_region(void)
{
	struct control_region *c = aligned_alloc(64, round_up(sizeof(*c), 64));

	assert_non_null(c);
	memset(c, 0xff, sizeof(*c));
	assert_false(control_valid(c));
	control_init(c, 77, 1234);
	assert_true(control_valid(c));
	return c;
}

static void status_comes_over_whole(void **state)
{
	struct control_region *c = new_region();
	struct control_status in = { .updated_ns = 5, .term = 9, .leader = RAFT_NODE_NONE };
	struct control_status out;

	(void)state;
	assert_false(control_status(c, &out)); /* none yet */
	in.state.revision = 77;
	in.peer[NODES_MAX - 1].age_ns = CONTROL_NEVER;
	control_publish(c, &in);
	assert_true(control_status(c, &out));
	assert_int_equal(out.updated_ns, 5);
	assert_int_equal(out.state.revision, 77);
	assert_true(out.peer[NODES_MAX - 1].age_ns == CONTROL_NEVER);
	assert_int_equal(out.leader, RAFT_NODE_NONE);
	c->format++;
	assert_false(control_valid(c));
	free(c);
}

static void events_are_a_ring(void **state)
{
	struct control_region *c = new_region();
	struct control_event out[16];

	(void)state;
	assert_int_equal(control_events(c, 0, out, 16), 0);
	for (uint64_t i = 1; i <= 5; i++)
		control_note(c, 100 * i, NOTE_VIEW, (uint8_t)i, i);
	assert_int_equal(control_events(c, 0, out, 16), 5);
	assert_true(out[0].sequence == 1 && out[4].sequence == 5);
	assert_true(out[2].at_ns == 300 && out[2].node == 3 && out[2].value == 3);
	assert_int_equal(out[2].note, NOTE_VIEW);
	assert_int_equal(control_events(c, 3, out, 16), 2);
	assert_true(out[0].sequence == 4);
	assert_int_equal(control_events(c, 5, out, 16), 0);
	assert_int_equal(control_events(c, 0, out, 2), 2);
	assert_true(out[1].sequence == 2);
	for (uint64_t i = 6; i <= 3 * CONTROL_EVENTS; i++)
		control_note(c, i, NOTE_DEAD, 0, i);
	assert_int_equal(control_events(c, 0, out, 16), 16);
	assert_true(out[0].sequence == 2 * CONTROL_EVENTS + 1); /* the rest is lost, and it shows */
	assert_int_equal(control_events(c, 3 * CONTROL_EVENTS - 3, out, 16), 3);
	assert_true(out[2].value == 3 * CONTROL_EVENTS);
	free(c);
}

static void commands_are_answered_by_number(void **state)
{
	struct control_region *c = new_region();
	struct membership_command in = { .verb = VERB_DRAIN, .node = 2 }, out;
	struct control_answer answer = { .index = 40, .code = COMMAND_DONE }, got;
	uint32_t taken = 0, first, second;

	(void)state;
	assert_false(control_take(c, &taken, &out));
	first = control_command(c, &in);
	assert_false(control_answer(c, first, &got));
	assert_true(control_take(c, &taken, &out));
	assert_int_equal(taken, first);
	assert_int_equal(out.verb, VERB_DRAIN);
	assert_int_equal(out.node, 2);
	assert_false(control_take(c, &taken, &out)); /* once */
	answer.number = first;
	control_reply(c, &answer);
	assert_true(control_answer(c, first, &got));
	assert_true(got.index == 40 && got.code == COMMAND_DONE);
	in.verb = VERB_UNDRAIN;
	second = control_command(c, &in);
	assert_int_not_equal(second, first);
	assert_false(control_answer(c, second, &got)); /* the answer there is another's */
	assert_true(control_take(c, &taken, &out));
	assert_int_equal(out.verb, VERB_UNDRAIN);
	answer.number = taken;
	answer.code = COMMAND_BUSY;
	control_reply(c, &answer);
	assert_true(control_answer(c, second, &got));
	assert_int_equal(got.code, COMMAND_BUSY);
	free(c);
}

static void obituaries_come_once(void **state)
{
	struct control_region *c = new_region();
	struct control_obituary o;
	uint64_t sequence = 0;

	(void)state;
	assert_false(control_mourn(c, &sequence, &o));
	control_bury(c, 2, 7);
	control_bury(c, 1, 3);
	assert_true(control_mourn(c, &sequence, &o));
	assert_true(o.node == 2 && o.incarnation == 7);
	assert_true(control_mourn(c, &sequence, &o));
	assert_true(o.node == 1 && o.incarnation == 3);
	assert_false(control_mourn(c, &sequence, &o));
	for (uint32_t i = 1; i <= 2 * CONTROL_OBITUARIES; i++)
		control_bury(c, 0, i);
	assert_true(control_mourn(c, &sequence, &o)); /* the oldest were overwritten */
	assert_int_equal(o.incarnation, CONTROL_OBITUARIES + 1);
	while (control_mourn(c, &sequence, &o))
		continue;
	assert_int_equal(o.incarnation, 2 * CONTROL_OBITUARIES);
	control_bury(c, NODES_MAX, 1);
	assert_false(control_mourn(c, &sequence, &o));
	free(c);
}

static struct view_board board;

static void the_board_tells_orders_and_health(void **state)
{
	struct view_board_order order = { .lease_ns = 99, .lease_epoch = 3 }, got;
	struct view_board_health health = { .epoch = 3, .version = 2, .joined = true }, heard;
	uint32_t version = 0;

	(void)state;
	view_board_init(&board);
	assert_int_equal(view_board_version(&board), 0);
	order.view.epoch = 3;
	order.ip[6] = 0x0a000007;
	version = view_board_post(&board, &order);
	assert_int_equal(view_board_version(&board), version);
	version = 0;
	assert_true(view_board_read(&board, &got, &version));
	assert_int_equal(version, view_board_version(&board));
	assert_memory_equal(&got, &order, sizeof(got));
	assert_true(view_board_health(&board, 5, &heard)); /* nothing told yet: it has no view */
	assert_int_equal(heard.epoch, 0);
	view_board_tell(&board, 5, &health);
	assert_true(view_board_health(&board, 5, &heard));
	assert_true(heard.epoch == 3 && heard.version == 2 && heard.joined);
	atomic_fetch_add(&board.slot[5].seq, 1); /* as in the middle of a write */
	heard.epoch = 8;
	assert_false(view_board_health(&board, 5, &heard));
	assert_int_equal(heard.epoch, 8);
	atomic_fetch_add(&board.seq, 1);
	assert_false(view_board_read(&board, &got, &version));
}

#define POSTS 20000u

static void *poster(void *argument)
{
	struct view_board_order order = { 0 };

	(void)argument;
	for (uint32_t i = 1; i <= POSTS; i++) {
		order.view.epoch = order.lease_epoch = i;
		order.lease_ns = i;
		for (uint32_t n = 0; n < NODES_MAX; n++)
			order.ip[n] = i;
		(void)view_board_post(&board, &order);
	}
	return NULL;
}

/* A reader never sees half an order, and never an older one after a newer one. */
static void orders_are_never_mixed(void **state)
{
	struct view_board_order got;
	uint32_t version, last = 0;
	pthread_t thread;

	(void)state;
	view_board_init(&board);
	assert_int_equal(pthread_create(&thread, NULL, poster, NULL), 0);
	while (last < POSTS) {
		if (!view_board_read(&board, &got, &version))
			continue;
		assert_true(got.view.epoch >= last);
		assert_int_equal(got.view.epoch, version / 2);
		assert_int_equal(got.lease_epoch, got.view.epoch);
		assert_int_equal(got.lease_ns, got.view.epoch);
		assert_int_equal(got.ip[NODES_MAX - 1], got.view.epoch);
		last = got.view.epoch;
	}
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_comes_over_whole),
		cmocka_unit_test(events_are_a_ring),
		cmocka_unit_test(commands_are_answered_by_number),
		cmocka_unit_test(obituaries_come_once),
		cmocka_unit_test(the_board_tells_orders_and_health),
		cmocka_unit_test(orders_are_never_mixed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
