/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcairn against a small server of this process on loopback UDP. The asynchronous calls are
 * tested in one thread, client and server stepped in turn; the blocking ones with a server thread.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/client/cairn.h"
#include "replication/wire.h"

#define KEYS_MAX 32u
#define NS_PER_S 1000000000ull

struct record {
	char key[64];
	uint32_t key_bytes;
	uint8_t value[VALUE_BYTES_MAX];
	uint32_t value_bytes;
	bool exists;
	uint64_t version;
};

/* server: one node of one shard. Enough of one to answer; replies of a datagram go out singly. */
struct server {
	int fd;
	uint16_t port;
	uint8_t node;
	bool mute;	 /* hears, does not answer */
	bool not_serving;
	uint32_t requests;
	uint32_t unanswered; /* requests heard while mute */
	struct record records[KEYS_MAX];
	struct sockaddr_in client;
};

static void server_open(struct server *s, uint8_t node)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(a);

	memset(s, 0, sizeof(*s));
	s->node = node;
	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(s->fd >= 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &size), 0);
	s->port = ntohs(a.sin_port);
}

static void reply(struct server *s, uint64_t session, const struct wire_message *m)
{
	uint8_t out[FRAME_PAYLOAD_MAX];
	uint32_t bytes = WIRE_HEADER_BYTES + wire_message_bytes(m);
	struct wire_header h = { .kind = WIRE_REPLY, .cluster = 77, .session = session,
				 .to_incarnation = 5, .from = s->node, .to = WIRE_NODE_CLIENT };

	wire_header_encode(out, &h);
	wire_message_encode(out + WIRE_HEADER_BYTES, m);
	wire_seal(out, bytes);
	sendto(s->fd, out, bytes, 0, (struct sockaddr *)&s->client, sizeof(s->client));
}

static void reply_opened(struct server *s, const struct wire_message *open)
{
	uint8_t value[WIRE_OPEN_BYTES] = { 0 };
	struct wire_message m = { .type = WIRE_OPENED, .id = open->id, .value = value,
				  .value_bytes = sizeof(value) };

	store_u64(value, 1000u + s->node);
	store_u32(value + 8, 5);
	store_u16(value + 12, 1);
	value[14] = 3;
	value[15] = s->node;
	store_u16(value + 16, SESSION_WINDOW);
	reply(s, 0, &m);
}

static struct record *record_of(struct server *s, const struct wire_message *m)
{
	for (uint32_t i = 0; i < KEYS_MAX; i++) {
		struct record *e = &s->records[i];

		if (e->key_bytes == 0) {
			e->key_bytes = m->key_bytes;
			memcpy(e->key, m->key, m->key_bytes);
		}
		if (e->key_bytes == m->key_bytes && memcmp(e->key, m->key, m->key_bytes) == 0)
			return e;
	}
	fail();
	return NULL;
}

static enum status update(struct record *e, const struct wire_message *m, uint8_t number[8])
{
	if (m->type == WIRE_DEL && !e->exists)
		return STATUS_NOT_FOUND;
	if (m->type == WIRE_CAS && m->ts.version != (e->exists ? e->version : 0))
		return STATUS_CONFLICT;
	if (m->type == WIRE_CASV && (!e->exists || e->value_bytes != m->ts.version ||
				     memcmp(e->value, m->value, e->value_bytes) != 0))
		return STATUS_CONFLICT;
	if (m->type == WIRE_INCR) {
		int64_t sum = (int64_t)load_u64(m->value) +
			      (e->exists ? atoll((char *)e->value) : 0);

		store_u64(number, (uint64_t)sum);
		snprintf((char *)e->value, sizeof(e->value), "%lld", (long long)sum);
		e->value_bytes = (uint32_t)strlen((char *)e->value);
	} else {
		uint32_t compare_bytes = m->type == WIRE_CASV ? (uint32_t)m->ts.version : 0;

		e->value_bytes = m->value_bytes - compare_bytes;
		memcpy(e->value, m->value + compare_bytes, e->value_bytes);
	}
	e->exists = m->type != WIRE_DEL;
	e->version += 2;
	return STATUS_OK;
}

static void serve(struct server *s, uint64_t session, const struct wire_message *m)
{
	struct record *e = record_of(s, m);
	uint8_t number[8];
	struct wire_message r = { .type = WIRE_RESULT, .id = m->id };

	s->requests++;
	if (s->not_serving) {
		r.status = STATUS_NOT_SERVING;
	} else if (m->type == WIRE_GET) {
		r.status = e->exists ? STATUS_OK : STATUS_NOT_FOUND;
		r.value = e->value;
		r.value_bytes = e->exists ? (uint16_t)e->value_bytes : 0;
	} else {
		r.status = (uint8_t)update(e, m, number);
		r.durability = DURABILITY_ALL;
		if (m->type == WIRE_INCR) {
			r.value = number;
			r.value_bytes = 8;
		}
	}
	r.ts = (struct op_ts){ e->version, e->version ? writer_make(s->node, 5) : 0 };
	reply(s, session, &r);
}

/* server_step: one datagram, if there is one; waits for it when block. false: none, or "quit". */
static bool server_step(struct server *s, bool block)
{
	uint8_t in[2048];
	socklen_t size = sizeof(s->client);
	ssize_t bytes = recvfrom(s->fd, in, sizeof(in), block ? 0 : MSG_DONTWAIT,
				 (struct sockaddr *)&s->client, &size);
	uint32_t offset = WIRE_HEADER_BYTES;
	struct wire_header h;
	struct wire_message m;

	if (bytes < 0 || (bytes == 4 && memcmp(in, "quit", 4) == 0))
		return false;
	assert_int_equal(wire_header_decode(in, (uint32_t)bytes, &h), WIRE_OK);
	while (offset < bytes) {
		assert_int_equal(wire_message_decode(in, (uint32_t)bytes, h.kind, &offset, &m),
				 WIRE_OK);
		s->unanswered += s->mute && m.type != WIRE_OPEN;
		if (s->mute)
			continue;
		if (m.type == WIRE_OPEN)
			reply_opened(s, &m);
		else
			serve(s, h.session, &m);
	}
	return true;
}

static struct cairn *connect_to(struct server *s, uint32_t count, const char *prefix,
				uint64_t timeout_ns)
{
	char endpoints[256] = "", error[CAIRN_ERROR_BYTES];
	/* Long: nothing here depends on resends, and machines stall. */
	struct cairn_options o = { .endpoints = endpoints, .timeout_ns = timeout_ns,
				   .retransmit_ns = 10 * NS_PER_S, .operations_max = 16,
				   .error = error };
	struct cairn *c = NULL;
	size_t at = 0;

	for (uint32_t i = 0; i < count; i++)
		at += (size_t)snprintf(endpoints + at, sizeof(endpoints) - at, "%s%s127.0.0.1:%u",
				       i ? "," : "", prefix, s[i].port);
	if (cairn_connect(&o, &c) != 0)
		fail_msg("%s", error);
	return c;
}

/* run: steps client and servers until `want` results are there. Loopback loses nothing. */
static void run(struct cairn *c, struct server *s, uint32_t count, struct cairn_result *results,
		uint32_t want)
{
	uint32_t got = 0;

	for (uint32_t round = 0; got < want; round++) {
		assert_true(round < 100);
		got += cairn_poll(c, results + got, want - got);
		for (uint32_t i = 0; i < count; i++)
			while (server_step(&s[i], false))
				;
	}
}

static void check_async(const char *prefix)
{
	struct server s;
	struct cairn_result r[8];
	struct cairn *c;
	struct pollfd p;

	server_open(&s, 0);
	c = connect_to(&s, 1, prefix, 60 * NS_PER_S);
	assert_int_equal(cairn_cluster(c), 0);
	assert_true(cairn_sleep_ns(c) == UINT64_MAX);
	for (uint64_t i = 0; i < 8; i++) {
		struct cairn_op op = { .kind = i < 4 ? CAIRN_PUT : CAIRN_GET, .tag = i };
		char key[8];

		snprintf(key, sizeof(key), "key%u", (unsigned)i % 4);
		op.key = cairn_text(key);
		op.value = cairn_text("some value");
		assert_int_equal(cairn_submit(c, &op), CAIRN_OK);
	}
	assert_int_equal(cairn_open(c), 8);
	assert_true(cairn_sleep_ns(c) == 0);
	assert_int_equal(cairn_poll(c, r, 8), 0); /* sends OPEN */
	assert_true(server_step(&s, false));
	p = (struct pollfd){ .fd = cairn_fd(c), .events = POLLIN };
	assert_int_equal(poll(&p, 1, 0), 1);
	run(c, &s, 1, r, 8);
	for (uint32_t i = 0; i < 8; i++) {
		assert_int_equal(r[i].status, CAIRN_OK);
		assert_int_equal(r[i].version.number, 2);
		assert_int_equal(r[i].version.incarnation, 5);
		if (r[i].tag < 4)
			continue;
		assert_int_equal(r[i].kind, CAIRN_GET);
		assert_int_equal(r[i].value_bytes, 10);
		assert_memory_equal(r[i].value, "some value", 10);
	}
	assert_int_equal(cairn_open(c), 0);
	assert_int_equal(cairn_cluster(c), 77);
	assert_int_equal(cairn_wait(c, UINT64_MAX), 0);
	cairn_close(c);
	close(s.fd);
}

static void test_async(void **state)
{
	(void)state;
	check_async("gw:");
	check_async("");
}

static void test_submit_refuses(void **state)
{
	char big[CAIRN_VALUE_BYTES_MAX + 1] = "x";
	struct cairn_op op = { .kind = CAIRN_PUT };
	struct server s;
	struct cairn *c;

	(void)state;
	server_open(&s, 0);
	c = connect_to(&s, 1, "gw:", 0);
	assert_int_equal(cairn_submit(c, &op), CAIRN_BAD_REQUEST); /* no key */
	op.key = (struct cairn_bytes){ big, CAIRN_KEY_BYTES_MAX + 1 };
	assert_int_equal(cairn_submit(c, &op), CAIRN_TOO_LARGE);
	op.key.bytes = 1;
	op.value = (struct cairn_bytes){ big, sizeof(big) };
	assert_int_equal(cairn_submit(c, &op), CAIRN_TOO_LARGE);
	op.value.bytes = 0;
	op.server = 1;
	assert_int_equal(cairn_submit(c, &op), CAIRN_BAD_REQUEST);
	op.server = 0;
	op.kind = CAIRN_CAS_VALUE;
	op.value.bytes = op.compare.bytes = CAIRN_VALUE_BYTES_MAX / 2 + 1;
	op.value.data = op.compare.data = big;
	assert_int_equal(cairn_submit(c, &op), CAIRN_TOO_LARGE);
	op.compare.bytes = SIZE_MAX;
	assert_int_equal(cairn_submit(c, &op), CAIRN_TOO_LARGE);
	op.kind = (enum cairn_kind)9;
	assert_int_equal(cairn_submit(c, &op), CAIRN_BAD_REQUEST);
	op.kind = CAIRN_GET;
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(cairn_submit(c, &op), CAIRN_OK);
	assert_int_equal(cairn_submit(c, &op), CAIRN_BUSY);
	cairn_close(c);
	close(s.fd);
}

/* What may go to any server is passed on when one cannot serve. */
static void test_any_server(void **state)
{
	struct cairn_op op = { .kind = CAIRN_GET, .server = CAIRN_ANY_SERVER,
			       .key = cairn_text("k"), .value = cairn_text("v") };
	struct server s[3];
	struct cairn_result r;
	struct cairn *c;

	(void)state;
	for (uint8_t i = 0; i < 3; i++)
		server_open(&s[i], i);
	s[0].not_serving = s[1].not_serving = true;
	c = connect_to(s, 3, "gw:", 60 * NS_PER_S);
	cairn_submit(c, &op);
	run(c, s, 3, &r, 1);
	assert_int_equal(r.status, CAIRN_NOT_FOUND);
	assert_int_equal(r.server, 2);
	assert_int_equal(s[0].requests + s[1].requests + s[2].requests, 3);
	cairn_submit(c, &op); /* begins at the server that answered */
	run(c, s, 3, &r, 1);
	assert_int_equal(s[0].requests + s[1].requests + s[2].requests, 4);
	op.kind = CAIRN_PUT;
	op.server = 1;
	cairn_submit(c, &op);
	run(c, s, 3, &r, 1);
	assert_int_equal(r.status, CAIRN_NOT_SERVING);
	assert_int_equal(r.server, 1);
	s[2].not_serving = true;
	op.server = CAIRN_ANY_SERVER;
	cairn_submit(c, &op); /* nobody serves: asked everywhere, once */
	run(c, s, 3, &r, 1);
	assert_int_equal(r.status, CAIRN_NOT_SERVING);
	assert_int_equal(s[0].requests + s[1].requests + s[2].requests, 8);
	op.kind = CAIRN_GET;
	cairn_submit(c, &op);
	run(c, s, 3, &r, 1);
	assert_int_equal(r.status, CAIRN_NOT_SERVING);
	assert_int_equal(s[0].requests + s[1].requests + s[2].requests, 11);
	s[0].not_serving = false;
	op.kind = CAIRN_PUT;
	cairn_submit(c, &op); /* what was refused everywhere may be tried again */
	run(c, s, 3, &r, 1);
	assert_int_equal(r.status, CAIRN_OK);
	assert_int_equal(r.server, 0);
	cairn_close(c);
	for (uint32_t i = 0; i < 3; i++)
		close(s[i].fd);
}

/* wait_for: the one result that is due, after its deadline at the latest. */
static struct cairn_result wait_for(struct cairn *c)
{
	struct cairn_result r;

	assert_int_equal(cairn_wait(c, UINT64_MAX), 1);
	assert_int_equal(cairn_poll(c, &r, 1), 1);
	return r;
}

/*
 * What a deadline means depends on whether the request was sent before it, which on a machine that
 * stalls is not ours to say: the server tells.
 */
static void test_timeouts(void **state)
{
	struct cairn_op op = { .kind = CAIRN_PUT, .key = cairn_text("k"),
			       .timeout_ns = NS_PER_S / 20 };
	struct server s;
	struct cairn_result r;
	struct cairn *c;

	(void)state;
	server_open(&s, 0);
	c = connect_to(&s, 1, "gw:", 60 * NS_PER_S);
	s.mute = true;
	cairn_submit(c, &op); /* no session: never sent */
	assert_int_equal(wait_for(c).status, CAIRN_NOT_SERVING);
	s.mute = false;
	while (server_step(&s, false))
		;
	op.timeout_ns = 0;
	cairn_submit(c, &op);
	run(c, &s, 1, &r, 1);
	assert_int_equal(r.status, CAIRN_OK);
	s.mute = true;
	op.timeout_ns = NS_PER_S / 20;
	cairn_submit(c, &op);
	r = wait_for(c);
	while (server_step(&s, false))
		;
	assert_int_equal(r.status, s.unanswered ? CAIRN_UNKNOWN : CAIRN_NOT_SERVING);
	op.kind = CAIRN_GET;
	cairn_submit(c, &op);
	assert_int_equal(wait_for(c).status, CAIRN_NOT_SERVING);
	cairn_close(c);
	close(s.fd);
}

static uint64_t counter(const struct cairn *c, const char *wanted)
{
	const char *name;
	uint64_t value;

	for (uint32_t i = 0; (name = cairn_counter(c, i, &value)) != NULL; i++) {
		if (strcmp(name, wanted) == 0)
			return value;
	}
	fail_msg("no counter %s", wanted);
	return 0;
}

static void test_foreign_datagrams(void **state)
{
	static uint8_t junk[4000];
	struct sockaddr_in to = { 0 };
	socklen_t size = sizeof(to);
	struct server s, stranger;
	struct cairn_result r;
	struct cairn *c;

	(void)state;
	server_open(&s, 0);
	server_open(&stranger, 0);
	c = connect_to(&s, 1, "gw:", 60 * NS_PER_S);
	assert_int_equal(getsockname(cairn_fd(c), (struct sockaddr *)&to, &size), 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sendto(stranger.fd, junk, 100, 0, (struct sockaddr *)&to, size);
	sendto(s.fd, junk, sizeof(junk), 0, (struct sockaddr *)&to, size);
	sendto(s.fd, junk, 1472, 0, (struct sockaddr *)&to, size);
	sendto(s.fd, junk, 0, 0, (struct sockaddr *)&to, size);
	assert_int_equal(cairn_poll(c, &r, 1), 0);
	assert_int_equal(counter(c, "drop_foreign_source"), 1);
	assert_int_equal(counter(c, "drop_oversized"), 1);
	assert_int_equal(counter(c, "bad_magic"), 1);
	assert_int_equal(counter(c, "short"), 1);
	assert_int_equal(counter(c, "datagrams_received"), 2);
	cairn_close(c);
	close(s.fd);
	close(stranger.fd);
}

static void *server_thread(void *argument)
{
	while (server_step(argument, true))
		;
	return NULL;
}

static void test_blocking(void **state)
{
	struct cairn_version none = { 0 }, first;
	struct cairn_op op = { .kind = CAIRN_PUT, .key = cairn_text("async"), .tag = 7 };
	struct cairn_result r;
	struct server s;
	struct sockaddr_in to;
	socklen_t size = sizeof(to);
	pthread_t thread;
	struct cairn *c;

	(void)state;
	server_open(&s, 0);
	c = connect_to(&s, 1, "gw:", 60 * NS_PER_S);
	assert_int_equal(pthread_create(&thread, NULL, server_thread, &s), 0);
	assert_int_equal(cairn_get(c, cairn_text("k"), &r), CAIRN_NOT_FOUND);
	assert_int_equal(r.version.number, 0);
	assert_int_equal(cairn_cas(c, cairn_text("k"), none, cairn_text("1"), &r), CAIRN_OK);
	first = r.version;
	assert_int_equal(cairn_cas(c, cairn_text("k"), none, cairn_text("2"), &r), CAIRN_CONFLICT);
	assert_int_equal(cairn_version_compare(r.version, first), 0);
	assert_int_equal(cairn_put_if_absent(c, cairn_text("k"), cairn_text("2"), &r),
			 CAIRN_CONFLICT);
	assert_int_equal(cairn_put_if_absent(c, cairn_text("k2"), cairn_text("2"), &r), CAIRN_OK);
	assert_int_equal(cairn_cas_value(c, cairn_text("k2"), cairn_text("1"), cairn_text("x"), &r),
			 CAIRN_CONFLICT);
	assert_int_equal(cairn_cas_value(c, cairn_text("k2"), cairn_text("2"), cairn_text("345"),
					 &r), CAIRN_OK);
	assert_int_equal(cairn_get(c, cairn_text("k2"), &r), CAIRN_OK);
	assert_int_equal(r.value_bytes, 3);
	assert_memory_equal(r.value, "345", 3);
	assert_int_equal(cairn_submit(c, &op), CAIRN_OK);
	assert_int_equal(cairn_put(c, cairn_text("k"), cairn_text("41"), &r), CAIRN_OK);
	assert_int_equal(r.durability, CAIRN_DURABILITY_ALL);
	assert_true(cairn_version_compare(r.version, first) > 0);
	assert_int_equal(cairn_incr(c, cairn_text("k"), 1, &r), CAIRN_OK);
	assert_int_equal(r.number, 42);
	assert_int_equal(cairn_get(c, cairn_text("k"), &r), CAIRN_OK);
	assert_int_equal(r.value_bytes, 2);
	assert_memory_equal(r.value, "42", 2);
	assert_int_equal(cairn_del(c, cairn_text("k"), &r), CAIRN_OK);
	assert_int_equal(cairn_del(c, cairn_text("k"), &r), CAIRN_NOT_FOUND);
	assert_int_equal(cairn_get(c, cairn_text(""), &r), CAIRN_BAD_REQUEST);
	assert_int_equal(r.status, CAIRN_BAD_REQUEST);
	assert_int_equal(cairn_open(c), 1); /* the asynchronous one was kept */
	assert_int_equal(cairn_wait(c, UINT64_MAX), 1);
	assert_int_equal(cairn_poll(c, &r, 1), 1);
	assert_int_equal(r.tag, 7);
	assert_int_equal(r.status, CAIRN_OK);
	assert_int_equal(getsockname(s.fd, (struct sockaddr *)&to, &size), 0);
	sendto(cairn_fd(c), "quit", 4, 0, (struct sockaddr *)&to, size);
	pthread_join(thread, NULL);
	cairn_close(c);
	close(s.fd);
}

static void test_options(void **state)
{
	static const struct {
		const char *endpoints;
		int status;
		const char *says;
	} bad[] = {
		{ "", -EINVAL, "empty" },
		{ ",,", -EINVAL, "empty" },
		{ "localhost", -EINVAL, "host:port" },
		{ ":7000", -EINVAL, "host:port" },
		{ "127.0.0.1:", -EINVAL, "1..65472" },
		{ "127.0.0.1:0", -EINVAL, "1..65472" },
		{ "127.0.0.1:65473", -EINVAL, "1..65472" },
		{ "127.0.0.1:7x", -EINVAL, "127.0.0.1:7x" },
		{ "gw:127.0.0.1:65536", -EINVAL, "1..65535" },
		{ "gw:7000", -EINVAL, "host:port" },
		{ "0.0.0.0:7000", -EINVAL, "0.0.0.0" },
		{ "127.0.0.1:7000,127.0.0.1:7000", -EINVAL, "twice" },
		{ "10.0.0.1:1,10.0.0.2:1,10.0.0.3:1,10.0.0.4:1,10.0.0.5:1,10.0.0.6:1,10.0.0.7:1,"
		  "10.0.0.8:1", -EINVAL, "more than 7" },
	};
	char error[CAIRN_ERROR_BYTES];
	struct cairn_options o = { .error = error };
	struct cairn *c = NULL;

	(void)state;
	assert_int_equal(cairn_connect(&o, &c), -EINVAL);
	assert_non_null(strstr(error, "missing"));
	for (uint32_t i = 0; i < ARRAY_LEN(bad); i++) {
		o.endpoints = bad[i].endpoints;
		assert_int_equal(cairn_connect(&o, &c), bad[i].status);
		if (!strstr(error, bad[i].says))
			fail_msg("'%s' gives '%s'", bad[i].endpoints, error);
		assert_null(c);
	}
	o.endpoints = ",127.0.0.1:7000";
	assert_int_equal(cairn_connect(&o, &c), -EINVAL);
	assert_non_null(strstr(error, "preferred_server 0"));
	o.preferred_server = 1;
	o.operations_max = CAIRN_OPERATIONS_MAX + 1;
	assert_int_equal(cairn_connect(&o, &c), -EINVAL);
	assert_non_null(strstr(error, "operations_max"));
	o.operations_max = 1;
	assert_int_equal(cairn_connect(&o, &c), 0);
	cairn_close(c);
	cairn_close(NULL);
}

static void test_text(void **state)
{
	static const char *const bad[] = { "", "1", "1.2", "1.2.", "1.2.3.", "1.2.3 ", " 1.2.3",
					   "-1.2.3", "1..3", "1.256.3", "1.2.16777216",
					   "18446744073709551616.0.0", "a.b.c" };
	struct cairn_version v = { 1, 2, 3 };
	char text[CAIRN_VERSION_BYTES];

	(void)state;
	for (uint32_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(cairn_version_parse(bad[i], &v), -EINVAL);
	assert_string_equal(cairn_version_print(v, text), "1.2.3");
	assert_int_equal(cairn_version_parse("18446744073709551615.255.16777215", &v), 0);
	assert_string_equal(cairn_version_print(v, text), "18446744073709551615.255.16777215");
	assert_string_equal(cairn_status_name(CAIRN_UNKNOWN), "UNKNOWN");
	assert_string_equal(cairn_status_name(CAIRN_EVICTED), "EVICTED");
	assert_string_equal(cairn_status_name((enum cairn_status)99), "INVALID");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_async),
		cmocka_unit_test(test_submit_refuses),
		cmocka_unit_test(test_any_server),
		cmocka_unit_test(test_timeouts),
		cmocka_unit_test(test_foreign_datagrams),
		cmocka_unit_test(test_blocking),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
