/* SPDX-License-Identifier: Apache-2.0 */
/* Retries of the client core (dataplane/client/retry.c), against servers driven by hand. */
#include "tests/unit/client_rig.h"

#include <stdio.h>
#include <stdlib.h>

#define FAILOVER 4000u

static int setup(void **state)
{
	struct rig *r = malloc(sizeof(*r));

	rig_make(r, 1024, 1, FAILOVER);
	r->any = true;
	*state = r;
	return 0;
}

/* from_server: answers in the session and incarnation that server has now. */
static void from_server(struct rig *r, uint8_t server, struct wire_message m)
{
	struct wire_header h = { .kind = WIRE_REPLY, .cluster = CLUSTER,
				 .session = r->sessions[server],
				 .to_incarnation = r->lives[server], .from = server,
				 .to = WIRE_NODE_CLIENT };

	push(r, &h, &m);
}

static void say(struct rig *r, uint8_t server, uint64_t id, enum status status)
{
	from_server(r, server, (struct wire_message){
		.type = WIRE_RESULT, .id = id, .status = (uint8_t)status,
		.durability = DURABILITY_ALL, .ts = { 18, writer_make(server, 3) } });
}

static void say_opened(struct rig *r, uint8_t server)
{
	uint8_t value[WIRE_OPEN_BYTES];
	struct wire_message m;

	r->server = server;
	r->session = r->sessions[server];
	r->incarnation = r->lives[server];
	m = opened(r, value, r->seen[0].id);
	from_server(r, server, m);
}

/* restart: NO_SESSION for what was sent in the session before. */
static void restart(struct rig *r, uint8_t server, uint64_t id)
{
	uint64_t old = r->sessions[server]++;
	struct wire_header h = { .kind = WIRE_REPLY, .cluster = CLUSTER, .session = old,
				 .to_incarnation = ++r->lives[server], .from = server,
				 .to = WIRE_NODE_CLIENT };
	struct wire_message m = { .type = WIRE_RESULT, .id = id, .status = STATUS_NO_SESSION };

	push(r, &h, &m);
}

/*
 * next_request: lets time pass, and opens sessions, until a request reaches a server; which one is
 * in r->server. false: none within so much time.
 */
static bool next_request(struct rig *r, uint64_t within_ns)
{
	for (uint64_t t = 0; t <= within_ns; t += RETRANSMIT / 4) {
		while (pull(r)) {
			if (r->seen[0].type != WIRE_OPEN)
				return true;
			if (r->client)
				assert_true(r->client == r->seen[0].id);
			r->client = r->seen[0].id;
			if (r->dead & 1u << r->server)
				continue;
			r->first = load_u64(r->seen[0].value);
			say_opened(r, r->server);
		}
		tick(r, RETRANSMIT / 4);
	}
	return false;
}

static void expect_request(struct rig *r, uint8_t server, uint64_t id, uint32_t prior)
{
	assert_true(next_request(r, 40 * RETRANSMIT));
	assert_int_equal(r->server, server);
	assert_int_equal(r->count, 1);
	assert_int_equal(r->seen[0].id, id);
	assert_int_equal(r->seen[0].prior, prior);
	assert_int_equal(r->header.session, r->sessions[server]);
}

/* until_retry: an update at server 0 that is silent; returns when it is asked for elsewhere. */
static void until_retry(struct rig *r, enum wire_type type)
{
	uint64_t start_ns;

	submit(r, type, "k", 1);
	expect_request(r, 0, 1, 0);
	assert_int_equal(r->first, 1);
	start_ns = r->now_ns;
	r->dead = 1;
	do {
		assert_true(next_request(r, 40 * RETRANSMIT));
		assert_int_equal(r->seen[0].id, 1);
	} while (r->server == 0);
	assert_true(r->now_ns - start_ns >= FAILOVER);
	assert_int_equal(r->server, 1);
	assert_int_equal(r->seen[0].prior, writer_make(0, 3));
	assert_int_equal(r->first, 2);
	assert_int_equal(counters(r)->retries, 1);
}

/* Mutants 52 (no prior) and 55 (a new request id). */
static void test_retry_elsewhere(void **state)
{
	struct rig *r = *state;
	struct client_completion done;

	until_retry(r, WIRE_INCR);
	assert_int_equal(r->seen[0].value_bytes, 8);
	for (uint32_t i = 0; i < 5; i++) { /* home and retrier in turn */
		say(r, 1, 1, STATUS_WAIT);
		expect_none(r);
		expect_request(r, 0, 1, writer_make(0, 3));
		expect_request(r, 1, 1, writer_make(0, 3));
	}
	from_server(r, 1, (struct wire_message){ .type = WIRE_RESULT, .id = 1, .value_bytes = 8,
						 .value = (const uint8_t *)"\5\0\0\0\0\0\0\0",
						 .ts = { 4, 1 } });
	done = expect(r, 1, STATUS_OK);
	assert_int_equal(done.server, 1);
	assert_int_equal(done.number, 5);
	say(r, 0, 1, STATUS_OK); /* too late */
	expect_none(r);
	assert_false(next_request(r, TIMEOUT));
}

/* An OK of the home counts; that nothing happened is for the retrier to say, and the other way. */
static void test_retry_answer_of_home(void **state)
{
	struct rig *r = *state;

	until_retry(r, WIRE_CAS);
	say(r, 0, 1, STATUS_CONFLICT);
	expect_none(r);
	say(r, 1, 1, STATUS_CONFLICT);
	expect(r, 1, STATUS_CONFLICT);
	submit(r, WIRE_PUT, "k", 2); /* the home was heard: it is not avoided */
	expect_request(r, 0, 2, 0);
	r->dead = 1;
	while (r->server == 0)
		assert_true(next_request(r, 40 * RETRANSMIT));
	assert_int_equal(r->seen[0].prior, writer_make(0, 3));
	say(r, 0, 2, STATUS_OK);
	assert_int_equal(expect(r, 2, STATUS_OK).server, 0);
}

/* A home that answers pings keeps the update for half of its time; then what it says is not all. */
static void test_retry_home_lives(void **state)
{
	struct rig *r = *state;
	uint64_t start_ns = r->now_ns;

	submit(r, WIRE_CAS, "k", 1);
	expect_request(r, 0, 1, 0);
	while (r->server == 0)
		assert_true(next_request(r, 40 * RETRANSMIT));
	assert_true(r->now_ns - start_ns >= TIMEOUT / 2);
	assert_int_equal(counters(r)->sessions_lost, 0);
	say(r, 0, 1, STATUS_CONFLICT);
	expect_none(r);
	say(r, 1, 1, STATUS_WAIT); /* while the home lives nothing more can be found out */
	expect(r, 1, STATUS_UNKNOWN);
	assert_true(r->now_ns - start_ns < TIMEOUT);
}

/* The answer to a ping tells that the node has restarted. */
static void test_retry_ping_finds_restart(void **state)
{
	struct rig *r = *state;

	submit(r, WIRE_PUT, "k", 1);
	expect_request(r, 0, 1, 0);
	r->lives[0]++;
	r->sessions[0]++;
	expect_request(r, 0, 1, writer_make(0, 3));
	assert_int_equal(r->header.to_incarnation, 4);
	assert_int_equal(counters(r)->sessions_lost, 1);
	say(r, 0, 1, STATUS_OK);
	expect(r, 1, STATUS_OK);
}

/* Nobody was asked yet when the home's answer came: it is the only one that can have done it. */
static void test_retry_not_sent_yet(void **state)
{
	struct rig *r = *state;
	uint32_t opens = 0;

	submit(r, WIRE_CAS, "k", 1);
	expect_request(r, 0, 1, 0);
	while (opens == 0) {
		tick(r, RETRANSMIT);
		while (pull(r))
			opens += r->server == 1;
	}
	say(r, 0, 1, STATUS_CONFLICT);
	expect(r, 1, STATUS_CONFLICT);
}

static void test_retry_after_restart(void **state)
{
	struct rig *r = *state;

	r->any = false; /* that node and no other */
	submit(r, WIRE_INCR, "k", 1);
	submit(r, WIRE_GET, "k", 2);
	assert_true(next_request(r, 0));
	assert_int_equal(r->count, 2);
	restart(r, 0, 1);
	assert_true(next_request(r, 0));
	assert_int_equal(r->first, 3);
	assert_int_equal(r->server, 0);
	assert_int_equal(r->header.to_incarnation, 4);
	assert_int_equal(r->count, 2);
	for (uint32_t i = 0; i < 2; i++) {
		bool incr = r->seen[i].type == WIRE_INCR;

		assert_int_equal(r->seen[i].id, incr ? 1 : 2);
		assert_int_equal(r->seen[i].prior, incr ? writer_make(0, 3) : 0);
		assert_int_equal(r->seen[i].flags, incr ? WIRE_OLD : 0); /* from before */
	}
	say(r, 0, 2, STATUS_NOT_FOUND);
	expect(r, 2, STATUS_NOT_FOUND);
	restart(r, 0, 1); /* once more: prior stays that of the first attempt */
	expect_request(r, 0, 1, writer_make(0, 3));
	assert_int_equal(r->header.to_incarnation, 5);
	say(r, 0, 1, STATUS_NOT_A_NUMBER);
	expect(r, 1, STATUS_NOT_A_NUMBER);
	assert_int_equal(counters(r)->outcomes_unknown, 0);
}

/* A retrier that was asked and is silent may have done it: nobody else is asked. */
static void test_retry_silent_retrier(void **state)
{
	struct rig *r = *state;

	until_retry(r, WIRE_PUT);
	while (next_request(r, 40 * RETRANSMIT))
		assert_int_not_equal(r->server, 2);
	expect(r, 1, STATUS_UNKNOWN);
	assert_int_equal(counters(r)->outcomes_unknown, 1);
	assert_int_equal(counters(r)->retries, 1);
}

/* Its restart does not change that. */
static void test_retry_restarted_retrier(void **state)
{
	struct rig *r = *state;

	until_retry(r, WIRE_PUT);
	restart(r, 1, 1);
	assert_true(next_request(r, 40 * RETRANSMIT));
	for (uint32_t i = 0; i < 8; i++) {
		assert_int_not_equal(r->server, 2);
		assert_int_equal(r->seen[0].prior, writer_make(0, 3));
		if (r->server == 1)
			break;
		assert_true(next_request(r, 40 * RETRANSMIT));
	}
	assert_int_equal(r->server, 1);
	assert_int_equal(r->header.to_incarnation, 4);
	say(r, 1, 1, STATUS_OK);
	expect(r, 1, STATUS_OK);
}

/* scatter: the retrier says WAIT so often that another one is asked. */
static void scatter(struct rig *r, enum wire_type type)
{
	r->timeout_ns = 4 * TIMEOUT;
	until_retry(r, type);
	while (r->server != 2) {
		if (r->server == 1)
			say(r, 1, 1, STATUS_WAIT);
		expect_none(r);
		assert_true(next_request(r, 40 * RETRANSMIT));
		assert_int_equal(r->seen[0].prior, writer_make(0, 3));
	}
}

static void test_retry_third_server(void **state)
{
	struct rig *r = *state;

	scatter(r, WIRE_CAS);
	say(r, 1, 1, STATUS_CONFLICT); /* a copy may still be on its way to node 2 */
	expect_none(r);
	say(r, 2, 1, STATUS_CONFLICT); /* or to node 1 */
	expect(r, 1, STATUS_UNKNOWN);
}

static void test_retry_third_server_did_it(void **state)
{
	struct rig *r = *state;

	scatter(r, WIRE_PUT);
	say(r, 2, 1, STATUS_WAIT);
	say(r, 1, 1, STATUS_OK); /* the one asked before: OK is OK */
	expect(r, 1, STATUS_OK);
}

/* S-EVICT. Mutant 54 takes it for "not applied" and sends it as a new one. */
static void test_evicted(void **state)
{
	struct rig *r = *state;

	until_retry(r, WIRE_PUT);
	say(r, 1, 1, STATUS_EVICTED);
	expect(r, 1, STATUS_EVICTED);
	assert_int_equal(counters(r)->outcomes_evicted, 1);
	assert_false(next_request(r, TIMEOUT));
	r->any = false;
	r->dead = 0;
	submit(r, WIRE_PUT, "k", 2); /* node 0 makes room for others, and forgets the session */
	submit(r, WIRE_GET, "k", 3);
	assert_true(next_request(r, 0));
	assert_int_equal(r->count, 2);
	r->lives[0]--;
	restart(r, 0, 2);
	expect(r, 2, STATUS_EVICTED);
	expect_request(r, 0, 3, 0);
	assert_int_equal(counters(r)->outcomes_evicted, 2);
}

/* A node that left the view drops what it has begun; another one knows what became of it. */
static void test_unknown_of_a_node(void **state)
{
	struct rig *r = *state;

	submit(r, WIRE_PUT, "k", 1);
	expect_request(r, 0, 1, 0);
	say(r, 0, 1, STATUS_UNKNOWN);
	expect_none(r);
	expect_request(r, 1, 1, writer_make(0, 3));
	expect_request(r, 1, 1, writer_make(0, 3)); /* the home has told all it knows */
	say(r, 1, 1, STATUS_UNKNOWN);
	expect_none(r);
	expect_request(r, 2, 1, writer_make(0, 3));
	say(r, 2, 1, STATUS_UNKNOWN);
	expect_request(r, 0, 1, writer_make(0, 3)); /* it may be back in another view */
	tick(r, TIMEOUT);
	expect(r, 1, STATUS_UNKNOWN);
	r->any = false;
	submit(r, WIRE_PUT, "k", 2);
	expect_request(r, 0, 2, 0);
	say(r, 0, 2, STATUS_UNKNOWN);
	expect(r, 2, STATUS_UNKNOWN);
}

/* Nobody who is left can tell: that is the answer, and now, not when the time is over. */
static void test_nobody_knows(void **state)
{
	struct rig *r = *state;

	until_retry(r, WIRE_PUT);
	say(r, 1, 1, STATUS_UNKNOWN);
	expect_none(r);
	do
		assert_true(next_request(r, 40 * RETRANSMIT));
	while (r->server == 0);
	assert_int_equal(r->server, 2);
	say(r, 2, 1, STATUS_UNKNOWN);
	expect_none(r);
	for (uint64_t t = 0; t < 3 * FAILOVER; t += RETRANSMIT)
		(void)next_request(r, RETRANSMIT);
	expect(r, 1, STATUS_UNKNOWN);
}

/* What was refused was not executed: it is asked elsewhere as something new. */
static void test_not_serving_moves_on(void **state)
{
	struct rig *r = *state;

	submit(r, WIRE_PUT, "k", 1);
	expect_request(r, 0, 1, 0);
	say(r, 0, 1, STATUS_NOT_SERVING);
	expect_request(r, 1, 2, 0);
	assert_int_equal(r->first, 2);
	say(r, 0, 1, STATUS_OK); /* nobody has that id any more */
	expect_none(r);
	say(r, 1, 2, STATUS_NOT_SERVING);
	expect_request(r, 2, 3, 0);
	say(r, 2, 3, STATUS_NOT_SERVING);
	expect(r, 1, STATUS_NOT_SERVING);
	submit(r, WIRE_GET, "k", 2);
	expect_request(r, 0, 4, 0);
	say(r, 0, 4, STATUS_NOT_SERVING);
	expect_request(r, 1, 4, 0); /* a read keeps its id */
	say(r, 0, 4, STATUS_NOT_SERVING); /* doubled */
	expect_none(r);
	say(r, 1, 4, STATUS_NOT_FOUND);
	expect(r, 2, STATUS_NOT_FOUND);
	submit(r, WIRE_PUT, "k", 3);
	expect_request(r, 0, 5, 0);
	say(r, 0, 5, STATUS_BUSY);
	expect(r, 3, STATUS_BUSY);
	submit(r, WIRE_PUT, "k", 4);
	expect_request(r, 0, 6, 0);
	expect_request(r, 0, 6, 0);
	say(r, 0, 6, STATUS_NOT_SERVING); /* this copy; the one before may be under way */
	expect_request(r, 1, 6, writer_make(0, 3));
	say(r, 1, 6, STATUS_OK);
	expect(r, 4, STATUS_OK);
}

static void test_reads_move_on(void **state)
{
	struct rig *r = *state;
	uint64_t start_ns;

	submit(r, WIRE_GET, "k", 1);
	expect_request(r, 0, 1, 0);
	start_ns = r->now_ns;
	while (r->server == 0)
		assert_true(next_request(r, 40 * RETRANSMIT));
	assert_int_equal(r->server, 1);
	assert_true(r->now_ns - start_ns >= FAILOVER);
	assert_true(r->now_ns - start_ns <= 2 * FAILOVER);
	assert_int_equal(r->seen[0].id, 1);
	say(r, 0, 1, STATUS_NOT_FOUND); /* late, and as good as any */
	assert_int_equal(expect(r, 1, STATUS_NOT_FOUND).server, 0);
	r->any = false;
	submit(r, WIRE_GET, "k", 2);
	while (next_request(r, 40 * RETRANSMIT))
		assert_int_equal(r->server, 0);
	expect(r, 2, STATUS_NOT_SERVING);
}

/* Nobody answers at all: every server is tried, nothing is claimed. */
static void test_nobody_there(void **state)
{
	struct rig *r = *state;
	uint8_t tried = 0;

	submit(r, WIRE_PUT, "k", 1);
	for (uint32_t i = 0; i <= TIMEOUT / RETRANSMIT; i++) {
		while (pull(r)) {
			assert_int_equal(r->seen[0].type, WIRE_OPEN);
			tried |= (uint8_t)(1u << r->server);
		}
		tick(r, RETRANSMIT);
	}
	assert_int_equal(tried, 7);
	expect(r, 1, STATUS_NOT_SERVING);
}

/* While a server is silent new operations go elsewhere; now and then one finds out. */
static void test_silent_server_is_avoided(void **state)
{
	struct rig *r = *state;
	uint32_t probes = 0;

	until_retry(r, WIRE_PUT);
	say(r, 1, 1, STATUS_OK);
	expect(r, 1, STATUS_OK);
	for (uint64_t tag = 2; tag < 40; tag++) {
		submit(r, WIRE_GET, "k", tag);
		assert_true(next_request(r, 0));
		assert_int_equal(r->seen[0].id, tag);
		assert_true(tag > 2 || r->server == 1);
		probes += r->server == 0;
		while (probes == 1 && r->server == 0)
			assert_true(next_request(r, 40 * RETRANSMIT));
		say(r, r->server, tag, STATUS_NOT_FOUND);
		expect(r, tag, STATUS_NOT_FOUND);
		if (r->server == 0)
			break; /* it is back */
		tick(r, FAILOVER);
	}
	assert_int_equal(probes, 2);
	submit(r, WIRE_GET, "k", 50);
	assert_true(next_request(r, 0));
	assert_int_equal(r->server, 0);
}

/* One sequence of ids, one window, one number for all servers. Mutant 53 starts again. */
static void test_ids_are_the_clients(void **state)
{
	struct rig *r = *state;
	uint64_t id = 0;

	r->any = false;
	for (uint64_t tag = 1; tag <= 9; tag++) {
		r->begin = (uint8_t)(tag % SERVERS);
		submit(r, WIRE_PUT, "k", tag);
		expect_request(r, r->begin, ++id, 0);
		if (tag <= SERVERS)
			assert_int_equal(r->first, id);
		say(r, r->begin, id, STATUS_OK);
		expect(r, tag, STATUS_OK);
	}
}

static void test_window_is_shared(void **state)
{
	struct rig *r = *state;
	uint32_t count = 0;

	r->any = false;
	r->window = 8;
	for (uint64_t tag = 1; tag <= 24; tag++) {
		r->begin = (uint8_t)(tag % 2);
		submit(r, WIRE_PUT, "k", tag);
	}
	while (count < 8) {
		assert_true(next_request(r, 0));
		count += r->count;
		for (uint32_t i = 0; i < r->count; i++)
			assert_true(r->seen[i].id <= 8);
	}
	assert_false(pull(r));
	for (uint8_t server = 0; server < 2; server++)
		for (uint64_t id = 1; id <= 8; id++)
			say(r, server, id, STATUS_OK);
	for (count = 0; pull(r); count += r->count)
		;
	assert_int_equal(count, 8); /* of both servers, whichever closed the old ones */
}

/*
 * Rule 5. Node 1 took an OPEN from before request 1, whose session may have been made after it was
 * forgotten there: node 1 cannot vouch for it, node 2 can.
 */
static void test_hole_in_memory(void **state)
{
	struct rig *r = *state;

	r->begin = 1;
	submit(r, WIRE_GET, "k", 1);
	assert_true(pull(r)); /* OPEN to node 1: its answer takes a while */
	assert_int_equal(r->server, 1);
	r->begin = 0;
	submit(r, WIRE_PUT, "k", 2);
	expect_request(r, 0, 1, 0);
	r->seen[0].id = r->client;
	say_opened(r, 1);
	assert_true(next_request(r, 0));
	assert_int_equal(r->server, 1);
	say(r, 1, 2, STATUS_NOT_FOUND);
	expect(r, 1, STATUS_NOT_FOUND);
	r->server = 0;
	while (r->server == 0)
		assert_true(next_request(r, 40 * RETRANSMIT));
	assert_int_equal(r->server, 2);
	assert_int_equal(r->seen[0].prior, writer_make(0, 3));
	say(r, 2, 1, STATUS_OK);
	expect(r, 2, STATUS_OK);
}

static void test_patience(void **state)
{
	static const struct {
		uint64_t timeout_ns;
		uint16_t patience_ms;
	} list[] = { { 1, 1 }, { 999999, 1 }, { 1000000, 1 }, { 1000001, 2 }, { 5000000000, 5000 },
		     { 65535000000, 65535 }, { 65536000000, 65535 }, { UINT64_MAX, 0 } };
	struct rig *r = *state;
	struct client_op op = { .type = WIRE_GET, .key = (const uint8_t *)"k", .key_bytes = 1 };

	submit(r, WIRE_GET, "k", 0);
	expect_request(r, 0, 1, 0);
	for (uint32_t i = 0; i < ARRAY_LEN(list); i++) {
		op.timeout_ns = list[i].timeout_ns;
		assert_int_equal(client_core_submit(r->core, &op, r->now_ns), STATUS_OK);
		assert_true(pull(r));
		assert_int_equal(r->seen[r->count - 1].patience_ms, list[i].patience_ms);
	}
}

/* An OPENED from before a restart comes again. */
static void test_old_opened(void **state)
{
	struct rig *r = *state;

	r->any = false;
	submit(r, WIRE_PUT, "k", 1);
	expect_request(r, 0, 1, 0);
	restart(r, 0, 1);
	assert_true(pull(r));
	r->lives[0] = 3;
	say_opened(r, 0); /* the reopening itself does not know better yet: it has only heard */
	r->lives[0] = 4;
	assert_true(counters(r)->sessions_opened + counters(r)->drop_open >= 2);
	tick(r, RETRANSMIT);
	for (uint32_t i = 0; i < 3; i++) {
		if (!next_request(r, 40 * RETRANSMIT))
			break;
		if (r->header.to_incarnation == 4)
			break;
		restart(r, 0, 1);
		r->lives[0] = 4;
	}
	assert_int_equal(r->seen[0].prior, writer_make(0, 3));
	assert_int_equal(r->seen[0].id, 1);
}

/*
 * A cluster in miniature: servers that lose, double and replay requests, die with updates under way
 * and come back. An update takes effect some time after it was taken up, if its server lives; when
 * that dies, chance says whether it had reached the others. A retry waits until the incarnation
 * before it is gone. Some conflict when they are executed, which only that server remembers. What
 * must hold: no update takes effect twice, none that was said not to have.
 */
#define MINI_OPS 2000u
#define MINI_IDS (8 * MINI_OPS) /* refused ones take a new one */

struct mini {
	struct rig *r;
	uint64_t random;
	uint32_t effects[MINI_OPS]; /* by the tag, which is the request's key */
	bool running[SERVERS][MINI_IDS]; /* by request id */
	bool refused[SERVERS][MINI_IDS]; /* a conflict, as this server remembers in this life */
	uint32_t tag_of[MINI_IDS];
	uint32_t by_id[MINI_IDS]; /* effects: what all replicas know */
	bool down[SERVERS];
	uint8_t old[64][FRAME_PAYLOAD_MAX];
	uint32_t old_bytes[64];
	uint8_t old_server[64];
	uint32_t old_count;
};

static void mini_effect(struct mini *w, uint64_t id)
{
	if (w->by_id[id]++ == 0)
		w->effects[w->tag_of[id]]++;
}

static void mini_reply(struct mini *w, uint8_t server, uint64_t session, uint64_t id,
		       enum status status)
{
	struct wire_header h = { .kind = WIRE_REPLY, .cluster = CLUSTER, .session = session,
				 .to_incarnation = w->r->lives[server], .from = server,
				 .to = WIRE_NODE_CLIENT };
	struct wire_message m = { .type = WIRE_RESULT, .id = id, .status = (uint8_t)status,
				  .ts = { 2, 1 } };

	if (random_next(&w->random) % 8 != 0)
		push(w->r, &h, &m);
}

static void mini_request(struct mini *w, uint8_t server, const struct wire_header *h,
			 const struct wire_message *m)
{
	uint32_t tag = (uint32_t)strtoul((const char *)m->key, NULL, 10);
	uint32_t prior_node = m->prior >> 24;

	assert_true(m->id < MINI_IDS);
	if (h->session != w->r->sessions[server] || h->to_incarnation != w->r->lives[server]) {
		mini_reply(w, server, h->session, m->id, STATUS_NO_SESSION);
		return;
	}
	w->tag_of[m->id] = tag;
	if (w->by_id[m->id]) {
		mini_reply(w, server, h->session, m->id, STATUS_OK);
	} else if (w->refused[server][m->id]) {
		mini_reply(w, server, h->session, m->id, STATUS_CONFLICT);
	} else if (m->prior && w->r->lives[prior_node] == writer_incarnation(m->prior) &&
		   prior_node != server) {
		mini_reply(w, server, h->session, m->id, STATUS_WAIT);
	} else {
		w->running[server][m->id] = true;
	}
}

static void mini_frame(struct mini *w, uint8_t server, const uint8_t *payload, uint32_t bytes)
{
	uint32_t offset = WIRE_HEADER_BYTES;
	struct wire_header h;
	struct wire_message m;

	if (w->down[server])
		return;
	assert_int_equal(wire_header_decode(payload, bytes, &h), WIRE_OK);
	while (offset < bytes) {
		assert_int_equal(wire_message_decode(payload, bytes, WIRE_REQUEST, &offset, &m),
				 WIRE_OK);
		if (m.type == WIRE_OPEN) {
			w->r->seen[0] = m;
			say_opened(w->r, server);
		} else {
			mini_request(w, server, &h, &m);
		}
	}
}

/* mini_run: what is under way takes effect; on a crash only some of it. */
static void mini_run(struct mini *w, uint8_t server, uint32_t percent, bool answer_it)
{
	for (uint64_t id = 1; id < MINI_IDS; id++) {
		if (!w->running[server][id] || random_next(&w->random) % 100 >= percent)
			continue;
		w->running[server][id] = false;
		if (w->by_id[id] == 0 && w->tag_of[id] % 4 == 3 && random_next(&w->random) % 2)
			w->refused[server][id] = true;
		else
			mini_effect(w, id);
		if (answer_it)
			mini_reply(w, server, w->r->sessions[server], id,
				   w->by_id[id] ? STATUS_OK : STATUS_CONFLICT);
	}
}

static void mini_crash(struct mini *w, uint8_t server)
{
	mini_run(w, server, 50, false);
	memset(w->running[server], 0, sizeof(w->running[server]));
	memset(w->refused[server], 0, sizeof(w->refused[server]));
	w->down[server] = true;
}

static void mini_step(struct mini *w)
{
	struct rig *r = w->r;

	while (pull(r)) {
		uint64_t chance = random_next(&w->random) % 16;
		uint32_t slot = (uint32_t)(random_next(&w->random) % 64);

		memcpy(w->old[slot], r->payload, r->bytes);
		w->old_bytes[slot] = r->bytes;
		w->old_server[slot] = r->server;
		for (uint32_t copies = chance == 0 ? 0 : chance == 1 ? 2 : 1; copies > 0; copies--)
			mini_frame(w, w->old_server[slot], w->old[slot], w->old_bytes[slot]);
		r->bytes = 0;
	}
	if (random_next(&w->random) % 8 == 0) {
		uint32_t slot = (uint32_t)(random_next(&w->random) % 64);

		if (w->old_bytes[slot])
			mini_frame(w, w->old_server[slot], w->old[slot], w->old_bytes[slot]);
	}
	for (uint8_t s = 0; s < SERVERS; s++) {
		if (!w->down[s]) {
			mini_run(w, s, 30, true);
			if (random_next(&w->random) % 60 == 0)
				mini_crash(w, s);
		} else if (random_next(&w->random) % (s == 0 ? 400 : 20) == 0) {
			w->down[s] = false;
			r->lives[s]++;
			r->sessions[s] += 1000;
		}
	}
	tick(r, RETRANSMIT / 2);
}

static void test_mini_cluster(void **state)
{
	struct rig *r = *state;
	struct mini *w = calloc(1, sizeof(*w));
	uint32_t finished = 0, next = 0, status_count[STATUS_COUNT] = { 0 };
	uint32_t status_of[MINI_OPS] = { 0 };
	struct client_completion done;
	char key[16];

	w->r = r;
	r->timeout_ns = 4 * TIMEOUT;
	w->random = 20261121;
	while (finished < MINI_OPS) {
		while (next < MINI_OPS && next - finished < 12) {
			snprintf(key, sizeof(key), "%u,", next);
			r->begin = (uint8_t)(next % SERVERS);
			assert_int_equal(submit(r, WIRE_PUT, key, next), STATUS_OK);
			next++;
		}
		mini_step(w);
		while (client_core_complete(r->core, &done)) {
			status_of[done.tag] = done.status;
			status_count[done.status]++;
			finished++;
		}
	}
	for (uint32_t i = 0; i < 2000; i++) /* what is left on the way */
		mini_step(w);
	for (uint32_t tag = 0; tag < MINI_OPS; tag++) {
		if (w->effects[tag] > 1)
			fail_msg("update %u took effect %u times", tag, w->effects[tag]);
		if (status_of[tag] == STATUS_OK && w->effects[tag] != 1)
			fail_msg("update %u is OK and did not take effect", tag);
		if (status_of[tag] != STATUS_OK && status_of[tag] != STATUS_UNKNOWN &&
		    w->effects[tag] != 0)
			fail_msg("update %u is %s and took effect", tag,
				 status_name((enum status)status_of[tag]));
	}
	assert_true(status_count[STATUS_OK] > MINI_OPS * 8 / 10);
	assert_true(status_count[STATUS_CONFLICT] > 100);
	assert_true(counters(r)->retries > 80);
	free(w);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_retry_elsewhere),
		TEST(test_retry_answer_of_home),
		TEST(test_retry_home_lives),
		TEST(test_retry_ping_finds_restart),
		TEST(test_retry_not_sent_yet),
		TEST(test_retry_after_restart),
		TEST(test_retry_silent_retrier),
		TEST(test_retry_restarted_retrier),
		TEST(test_retry_third_server),
		TEST(test_retry_third_server_did_it),
		TEST(test_evicted),
		TEST(test_unknown_of_a_node),
		TEST(test_nobody_knows),
		TEST(test_not_serving_moves_on),
		TEST(test_reads_move_on),
		TEST(test_nobody_there),
		TEST(test_silent_server_is_avoided),
		TEST(test_ids_are_the_clients),
		TEST(test_window_is_shared),
		TEST(test_hole_in_memory),
		TEST(test_patience),
		TEST(test_old_opened),
		TEST(test_mini_cluster),
	};

#ifdef CAIRN_MUTANTS
	if (getenv("CAIRN_MUTANT"))
		mutant_active = (int)strtol(getenv("CAIRN_MUTANT"), NULL, 10);
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
