/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the view service must not take: states, reports, grants and commands that are malformed,
 * messages of strangers, and commands that name what is not there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replication/membership_priv.h"
#include "tests/unit/membership_rig.h"

#include <stdlib.h>

#define SECOND (1000 * RIG_MS)

static struct rig *founded(uint32_t data, uint32_t witnesses)
{
	struct rig *r = rig_create(data, witnesses, ENGINE_HERMES);

	assert_true(rig_until(r, rig_members, (1u << data) - 1, 2 * SECOND));
	rig_run(r, 100 * RIG_MS);
	return r;
}

/*
 * One node's timer is changed before the others': it counts no longer than they promise. The rig
 * checks the leases (M-LEASE-GAP).
 */
static void timers_may_differ(void **state)
{
	(void)state;
	for (uint8_t node = 0; node < 3; node++) {
		struct rig *r = founded(3, 0);

		r->node[node].own_lease_ns = 20 * r->config.lease_ns;
		rig_kill(r, node);
		assert_true(rig_until(r, rig_members, 7u & ~(1u << node), SECOND));
		rig_start(r, node);
		assert_true(rig_until(r, rig_members, 7, 8 * SECOND));
		rig_run(r, SECOND);
		for (uint32_t i = 0; i < 500; i++) {
			rig_run(r, RIG_MS);
			assert_true(rig_leased(r, 7));
		}
		rig_isolate(r, node, true);
		assert_true(rig_until(r, rig_members, 7u & ~(1u << node), 2 * SECOND));
		assert_false(rig_leased(r, 1u << node));
		rig_destroy(r);
	}
}

/* One byte differs, and it is no state any more. */
static void states_are_read_with_care(void **state)
{
	static const struct {
		uint32_t at;
		uint8_t value;
	} wrong[] = {
		{ 12, 0x87 }, /* members: there is no such node */
		{ 13, 0x01 }, /* a shadow that is a member */
		{ 14, 0x08 }, /* recovered, and no member */
		{ 15, 2 },    /* no such engine */
		{ 18, 1 },    /* between the fields */
	};
	struct membership_state s = { .revision = 9, .epoch = 9, .members = 7, .recovered = 1,
				      .engine = ENGINE_RAFT, .copies_min = 2 }, out;
	uint8_t good[MEMBERSHIP_STATE_BYTES], bad[MEMBERSHIP_STATE_BYTES];

	(void)state;
	for (uint8_t n = 0; n < 3; n++)
		s.node[n] = (struct membership_node){ .want = WANT_DATA, .incarnation = 1 + n };
	membership_state_encode(good, &s);
	assert_true(membership_state_decode(good, sizeof(good), &out));
	assert_false(membership_state_decode(good, sizeof(good) - 1, &out));
	for (uint32_t i = 0; i < ARRAY_LEN(wrong); i++) {
		memcpy(bad, good, sizeof(bad));
		bad[wrong[i].at] = wrong[i].value;
		assert_false(membership_state_decode(bad, sizeof(bad), &out));
	}
	s.node[1].incarnation = 0; /* a member without one */
	membership_state_encode(bad, &s);
	assert_false(membership_state_decode(bad, sizeof(bad), &out));
	s.node[1] = (struct membership_node){ .want = WANT_DATA, .incarnation = 1, .replaces = 8 };
	membership_state_encode(bad, &s);
	assert_false(membership_state_decode(bad, sizeof(bad), &out));
	s.node[1].replaces = 0;
	memset(s.node[1].name, 'n', sizeof(s.node[1].name));
	membership_state_encode(bad, &s);
	assert_false(membership_state_decode(bad, sizeof(bad), &out));
}

static void messages_are_read_with_care(void **state)
{
	struct membership_grant g = { .seq = 1, .conf.voters = 7 };
	struct membership_report report = { .seq = 1 };
	struct membership_command c = { .verb = VERB_ADD };
	uint8_t bytes[MEMBERSHIP_GRANT_MAX];

	(void)state;
	assert_int_equal(membership_grant_encode(bytes, &g), MEMBERSHIP_GRANT_BYTES);
	assert_true(membership_grant_decode(bytes, MEMBERSHIP_GRANT_BYTES, &g));
	assert_false(membership_grant_decode(bytes, MEMBERSHIP_GRANT_BYTES - 1, &g));
	assert_false(membership_grant_decode(bytes, MEMBERSHIP_GRANT_BYTES + 1, &g));
	bytes[32] = GRANT_STATE; /* and none follows */
	assert_false(membership_grant_decode(bytes, MEMBERSHIP_GRANT_BYTES, &g));
	memset(bytes + 28, 0, RAFT_CONF_BYTES); /* nobody votes */
	assert_false(membership_grant_decode(bytes, MEMBERSHIP_GRANT_BYTES, &g));
	membership_report_encode(bytes, &report);
	assert_true(membership_report_decode(bytes, MEMBERSHIP_REPORT_BYTES, &report));
	assert_false(membership_report_decode(bytes, MEMBERSHIP_REPORT_BYTES + 1, &report));
	memset(c.name, 'n', sizeof(c.name));
	membership_command_encode(bytes, &c);
	assert_false(membership_command_decode(bytes, MEMBERSHIP_COMMAND_BYTES, &c));
	assert_false(membership_command_decode(bytes, MEMBERSHIP_COMMAND_BYTES - 1, &c));
	for (uint32_t code = 0; code < COMMAND_CODE_COUNT; code++)
		assert_true(membership_result_name((enum membership_result_code)code)[0] != 0);
}

/* odd: this node hears that; nothing is written down because of it. */
static void odd(struct rig *r, uint8_t node, uint8_t type, uint8_t *payload, uint32_t bytes,
		uint32_t ident)
{
	static struct membership_actions actions;
	struct raft_message m = { .type = type, .payload = payload,
				  .payload_bytes = (uint16_t)bytes };
	uint8_t from = (uint8_t)((node + 1) % 3);
	struct membership_event ev = {
		.kind = MEMBERSHIP_EVENT_MESSAGE, .from = from, .ident = ident, .message = &m,
		.incarnation = r->node[from].incarnation, .now_ns = r->now_ns,
		.persist_seq_next = r->node[node].seq_next,
	};

	(void)membership_step(r->node[node].service, &ev, &actions);
	for (uint32_t i = 0; i < actions.count; i++)
		assert_int_not_equal(actions.list[i].kind, MEMBERSHIP_ACTION_PERSIST);
	membership_check(r->node[node].service);
}

static void odd_messages_change_nothing(void **state)
{
	struct rig *r = founded(3, 0);
	struct membership_grant g = { .flags = GRANT_STATE, .conf.voters = 7 };
	uint8_t bytes[MEMBERSHIP_GRANT_MAX] = { 0 };
	uint32_t epoch = rig_newest(r)->epoch;
	uint64_t foreign;

	(void)state;
	for (uint8_t n = 0; n < 3; n++) {
		uint32_t ident = r->node[(n + 1) % 3].ident;

		foreign = r->node[n].service->counters.foreign;
		for (uint8_t type = MEMBERSHIP_REPORT; type <= MEMBERSHIP_RESULT; type++)
			for (uint32_t length = 0; length < 80; length += 8)
				odd(r, n, type, bytes, length, ident);
		bytes[16] = COMMAND_CODE_COUNT; /* of a result: no such code */
		odd(r, n, MEMBERSHIP_RESULT, bytes, MEMBERSHIP_RESULT_BYTES, ident);
		bytes[16] = 0; /* of a command that nobody asked for */
		odd(r, n, MEMBERSHIP_RESULT, bytes, MEMBERSHIP_RESULT_BYTES, ident);
		assert_int_equal(r->node[n].service->counters.foreign, foreign);
		odd(r, n, MEMBERSHIP_RESULT + 20, bytes, 8, ident);
		assert_int_equal(r->node[n].service->counters.foreign, ++foreign);
		/* A stranger's: what it asks, and what it says is agreed, but is older. */
		odd(r, n, MEMBERSHIP_REPORT, bytes, MEMBERSHIP_REPORT_BYTES, ident + 1);
		g.state = *rig_newest(r);
		odd(r, n, MEMBERSHIP_GRANT, bytes, membership_grant_encode(bytes, &g), ident + 1);
		memset(bytes, 0, sizeof(bytes));
		odd(r, n, MEMBERSHIP_GRANT, bytes, MEMBERSHIP_GRANT_BYTES, ident + 1);
		assert_int_equal(r->node[n].service->counters.foreign, foreign + 3);
	}
	rig_run(r, SECOND);
	assert_int_equal(rig_newest(r)->epoch, epoch);
	rig_destroy(r);
}

static void what_cannot_be_is_refused(void **state)
{
	const struct membership_command add = { .verb = VERB_ADD, .node = 4, .want = WANT_DATA,
						.ip = 0x0a000077u };
	struct {
		struct membership_command command;
		uint8_t code;
	} tries[] = {
		{ { .verb = VERB_COPIES, .value = 0 }, COMMAND_BAD },
		{ { .verb = VERB_COPIES, .value = 3 }, COMMAND_BAD },
		{ { .verb = VERB_REMOVE, .node = 5 }, COMMAND_NO_SUCH_NODE },
		{ { .verb = VERB_REMOVE, .node = 200 }, COMMAND_NO_SUCH_NODE },
		{ { .verb = VERB_PROMOTE, .node = 0 }, COMMAND_DONE }, /* it is a member */
		{ { .verb = VERB_PROMOTE, .node = 2 }, COMMAND_NOT_READY }, /* the witness */
		{ { .verb = VERB_DRAIN, .node = 2 }, COMMAND_BAD },
		{ { .verb = VERB_UNDRAIN, .node = 1 }, COMMAND_DONE },
		{ { .verb = VERB_TRANSFER, .node = 6 }, COMMAND_NO_SUCH_NODE },
		{ { .verb = VERB_TRANSFER, .node = 2 }, COMMAND_NOT_READY },
		{ { .verb = 99, .node = 0 }, COMMAND_BAD },
		{ add, COMMAND_BAD }, { add, COMMAND_BAD }, { add, COMMAND_BAD },
		{ add, COMMAND_BAD }, { add, COMMAND_NO_SUCH_NODE }, { add, COMMAND_NO_SUCH_NODE },
		{ add, COMMAND_BAD },
	};
	const uint32_t adds = ARRAY_LEN(tries) - 7;
	struct rig *r = founded(2, 1);

	(void)state;
	tries[adds].command.want = WANT_NONE;
	tries[adds + 1].command.ip = 0;
	tries[adds + 2].command.member_flags = MEMBER_DRAINED;
	tries[adds + 3].command.replaces = NODES_MAX + 1;
	tries[adds + 4].command.replaces = 6; /* node 5, which is not there */
	tries[adds + 5].command.replaces = 3; /* the witness, by one that holds data */
	tries[adds + 6].command.node = NODES_MAX;
	for (uint32_t i = 0; i < ARRAY_LEN(tries); i++)
		assert_int_equal(rig_command(r, (uint8_t)(i % 2), tries[i].command),
				 tries[i].code);
	assert_int_equal(rig_newest(r)->members, 3);
	/* Too many at once: the last one is told so; the others, that nobody leads, in the end. */
	rig_kill(r, 0);
	rig_kill(r, 2);
	for (uint64_t id = 1; id <= MEMBERSHIP_COMMANDS + 1; id++) {
		static struct membership_actions actions;
		struct membership_command c = { .id = 1000 + id, .verb = VERB_DRAIN, .node = 1 };
		struct membership_event ev = { .kind = MEMBERSHIP_EVENT_COMMAND, .command = &c,
					       .now_ns = r->now_ns,
					       .persist_seq_next = r->node[1].seq_next };

		(void)membership_step(r->node[1].service, &ev, &actions);
		(void)membership_step(r->node[1].service, &ev, &actions); /* the same again */
		for (uint32_t i = 0; i < actions.count; i++)
			if (actions.list[i].kind == MEMBERSHIP_ACTION_RESULT)
				assert_int_equal(actions.list[i].code, COMMAND_BUSY);
	}
	rig_run(r, 5 * SECOND);
	assert_true(r->node[1].result_code == COMMAND_NO_LEADER ||
		    r->node[1].result_code == COMMAND_UNKNOWN);
	rig_destroy(r);
}

/* A log in which no snapshot got down in time: more than fits into memory when it is read. */
static void reads_more_than_fits(void **state)
{
	struct membership_command c = { .verb = VERB_UNDRAIN, .node = 0 };
	struct rig *r = founded(1, 0);
	struct rig_node *n = &r->node[0];
	uint64_t revision;
	uint32_t kept = 0;

	(void)state;
	for (uint32_t i = 0; i < 3 * MEMBERSHIP_ENTRIES_MAX; i++)
		assert_int_equal(rig_command(r, 0, c), COMMAND_DONE);
	rig_run(r, 100 * RIG_MS);
	revision = rig_newest(r)->revision;
	assert_true(revision > 3 * MEMBERSHIP_ENTRIES_MAX);
	rig_kill(r, 0);
	for (uint32_t i = 0; i < n->records; i++) {
		if (n->record[i].record.kind == RAFT_RECORD_SNAPSHOT && kept != 0)
			continue;
		n->record[kept] = n->record[i];
		if (n->record[kept].record.kind != RAFT_RECORD_HARD)
			n->record[kept].record.entry.data = n->record[kept].data;
		kept++;
	}
	n->records = kept;
	rig_start(r, 0);
	rig_run(r, 2 * SECOND);
	assert_true(rig_members(r, 1));
	assert_true(rig_newest(r)->revision > revision);
	rig_destroy(r);
}

/* Who starts anew runs through the views of its log: what ended long ago is told to nobody. */
static void old_views_are_no_news(void **state)
{
	struct rig *r = founded(3, 0);
	uint32_t told;

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		rig_kill(r, 2);
		assert_true(rig_until(r, rig_members, 3, 5 * SECOND));
		rig_start(r, 2);
		assert_true(rig_until(r, rig_members, 7, 20 * SECOND));
	}
	rig_kill(r, 1);
	told = r->node[1].notes[NOTE_VIEW];
	rig_start(r, 1);
	assert_true(rig_until(r, rig_members, 7, 20 * SECOND));
	told = r->node[1].notes[NOTE_VIEW] - told;
	assert_in_range(told, 1, r->node[1].service->counters.views - 1);
	rig_destroy(r);
}

/*
 * A node that starts again does not know that the last entries of its log are agreed on. But they
 * may be what names the disks: another one, formatted to found, has no vote there (R19, R20).
 */
static void named_by_the_last_entries(void **state)
{
	struct rig *r = rig_create(3, 0, ENGINE_HERMES);

	(void)state;
	assert_true(rig_until(r, rig_members, 7, 2000 * RIG_MS));
	rig_run(r, 100 * RIG_MS);
	for (uint8_t n = 0; n < 3; n++)
		rig_kill(r, n);
	rig_new_disk(r, 2);
	r->node[2].joining = false;
	rig_start(r, 1);
	rig_start(r, 2);
	assert_int_equal(membership_state(r->node[1].service)->node[2].ident, 0);
	assert_false(rig_until(r, rig_led, 0, 5000 * RIG_MS));
	rig_start(r, 0);
	assert_true(rig_until(r, rig_members, 3, 5000 * RIG_MS));
	rig_destroy(r);
}

/*
 * A removed node's disk comes back when its number is another's: it is shown so, instead of asking
 * for ever, and stays out.
 */
static void number_is_another_s(void **state)
{
	struct rig *r = founded(4, 0);
	struct membership_command c = { .verb = VERB_REMOVE, .node = 3 };
	struct membership_command add = { .verb = VERB_ADD, .node = 3, .want = WANT_DATA,
					  .ip = 0x0a4d0004, .name = "node3" };
	struct rig_node former, *n = &r->node[3];

	(void)state;
	rig_kill(r, 3);
	former = *n;
	n->record = NULL;
	n->mem = NULL;
	assert_int_equal(rig_command(r, 1, c), COMMAND_DONE);
	rig_run(r, SECOND);
	rig_new_disk(r, 3);
	rig_start(r, 3);
	assert_int_equal(rig_command(r, 1, add), COMMAND_DONE);
	assert_true(rig_until(r, rig_members, 0xf, 3 * SECOND));
	rig_kill(r, 3);
	free(n->mem);
	free(n->record);
	*n = former;
	rig_start(r, 3);
	rig_run(r, SECOND);
	assert_int_equal(membership_state(n->service)->node[3].ident, former.ident + 100);
	assert_int_equal(n->view.epoch, 0);
	assert_true(rig_until(r, rig_members, 7, SECOND));
	rig_destroy(r);
}

/*
 * A node formatted for the other engine is added: it is told, and stays silent for good, whatever
 * it is to be. Nobody waits for it, and no view is made because of it (M-ENGINE). Formatted as the
 * cluster is, it comes in.
 */
static void other_engine(enum membership_engine engine, enum membership_want want)
{
	struct membership_command add = { .verb = VERB_ADD, .node = 3, .want = (uint8_t)want,
					  .ip = 0x0a4d0004, .name = "node3" };
	struct membership_command remove = { .verb = VERB_REMOVE, .node = 3 };
	struct rig *r = rig_create(3, 0, engine);
	uint8_t leader;
	uint32_t epoch;

	assert_true(rig_until(r, rig_members, 7, 2 * SECOND));
	rig_new_disk(r, 3);
	r->node[3].odd = true;
	rig_start(r, 3);
	assert_int_equal(rig_command(r, 1, add), COMMAND_DONE);
	rig_run(r, SECOND);
	assert_true(membership_is_odd(r->node[3].service));
	epoch = rig_newest(r)->epoch;
	leader = rig_leader(r);
	for (uint32_t life = 0; life < 3; life++) {
		rig_run(r, 5 * SECOND);
		rig_kill(r, 3);
		rig_start(r, 3);
	}
	assert_int_equal(rig_newest(r)->epoch, epoch);
	assert_int_equal(rig_newest(r)->members | rig_newest(r)->shadows, 7);
	assert_int_equal(rig_newest(r)->node[3].ident, 0);
	assert_int_equal(raft_conf(membership_raft(r->node[leader].service))->voters, 7);
	assert_int_equal(rig_command(r, 1, remove), COMMAND_DONE);
	rig_run(r, SECOND);
	rig_kill(r, 3);
	rig_new_disk(r, 3);
	r->node[3].odd = false;
	rig_start(r, 3);
	assert_int_equal(rig_command(r, 1, add), COMMAND_DONE);
	assert_true(rig_until(r, rig_members, want == WANT_DATA ? 15 : 7, 5 * SECOND));
	rig_run(r, SECOND);
	assert_false(membership_is_odd(r->node[3].service));
	leader = rig_leader(r);
	assert_int_equal(raft_conf(membership_raft(r->node[leader].service))->voters, 15);
	rig_destroy(r);
}

static void of_another_engine_is_silent(void **state)
{
	(void)state;
	other_engine(ENGINE_HERMES, WANT_DATA);
	other_engine(ENGINE_HERMES, WANT_WITNESS);
	other_engine(ENGINE_RAFT, WANT_DATA);
	other_engine(ENGINE_RAFT, WANT_WITNESS);
}

/* Engine raft: the dead stay members, and hold no copies for as long as they are dead. */
static void copies_are_counted_alive(void **state)
{
	struct membership_command c = { .verb = VERB_COPIES, .value = 3 };
	struct rig *r = rig_create(3, 0, ENGINE_RAFT);

	(void)state;
	assert_true(rig_until(r, rig_members, 7, 2 * SECOND));
	rig_kill(r, 2);
	rig_run(r, SECOND);
	assert_int_equal(rig_newest(r)->members, 7);
	assert_int_equal(rig_command(r, 0, c), COMMAND_TOO_FEW);
	assert_int_equal(rig_newest(r)->copies_min, 2);
	c.flags = COMMAND_FORCE;
	assert_int_equal(rig_command(r, 0, c), COMMAND_DONE);
	assert_int_equal(rig_newest(r)->copies_min, 3);
	rig_destroy(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_may_differ),
		cmocka_unit_test(states_are_read_with_care),
		cmocka_unit_test(messages_are_read_with_care),
		cmocka_unit_test(odd_messages_change_nothing),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(named_by_the_last_entries),
		cmocka_unit_test(reads_more_than_fits),
		cmocka_unit_test(old_views_are_no_news),
		cmocka_unit_test(number_is_another_s),
		cmocka_unit_test(of_another_engine_is_silent),
		cmocka_unit_test(copies_are_counted_alive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
