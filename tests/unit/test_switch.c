/* SPDX-License-Identifier: Apache-2.0 */
/* The switch, its control commands and the UDP gateway over ports made of two arrays. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/switch.h"
#include "dataplane/switch_control.h"
#include "replication/wire.h"

#define QUEUE 256u
#define PORTS 3u

struct netdev {
	struct netdev_buf in[QUEUE], out[QUEUE];
	uint32_t in_count, out_count;
};

static int buffers_alive; /* every test ends with none */

static struct netdev_buf buffer(void)
{
	buffers_alive++;
	return (struct netdev_buf) { .data = malloc(NETDEV_FRAME_MAX) };
}

uint32_t netdev_receive(struct netdev *dev, struct netdev_buf *bufs, uint32_t max)
{
	uint32_t n = (uint32_t)min_u64(max, dev->in_count);

	memcpy(bufs, dev->in, n * sizeof(bufs[0]));
	dev->in_count -= n;
	memmove(dev->in, dev->in + n, dev->in_count * sizeof(bufs[0]));
	return n;
}

bool netdev_alloc(struct netdev *dev, struct netdev_buf *ret_buf)
{
	(void)dev;
	*ret_buf = buffer();
	return true;
}

uint32_t netdev_send(struct netdev *dev, struct netdev_buf *bufs, uint32_t count)
{
	assert_true(dev->out_count + count <= QUEUE);
	memcpy(dev->out + dev->out_count, bufs, count * sizeof(bufs[0]));
	dev->out_count += count;
	return count;
}

void netdev_free(struct netdev *dev, struct netdev_buf *bufs, uint32_t count)
{
	(void)dev;
	for (uint32_t i = 0; i < count; i++, buffers_alive--)
		free(bufs[i].data);
}

bool netdev_maintain(struct netdev *dev, uint64_t now_ns)
{
	(void)dev, (void)now_ns;
	return true;
}

struct rig {
	struct netdev port[PORTS];
	struct switch_plane *sw;
};

static struct frame_addr host(uint8_t n)
{
	return (struct frame_addr) { { 2, 0xca, 0x1a, 0, 0, n }, 7400, 0x0a4d0000u | n };
}

static struct rig *rig_make(struct gateway_udp *gateway)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct switch_config config = { .port_count = PORTS, .gateway = gateway };

	for (uint32_t i = 0; i < PORTS; i++)
		config.port[i] = &r->port[i];
	r->sw = switch_init(aligned_alloc(64, round_up(switch_size(), 64)), &config);
	return r;
}

/* Takes what went out of a port; returns how many frames. */
static uint32_t taken(struct rig *r, uint32_t port)
{
	uint32_t n = r->port[port].out_count;

	netdev_free(NULL, r->port[port].out, n);
	r->port[port].out_count = 0;
	return n;
}

static void rig_end(struct rig *r)
{
	for (uint32_t i = 0; i < PORTS; i++)
		taken(r, i);
	switch_flush(r->sw);
	assert_int_equal(buffers_alive, 0);
	free(r->sw);
	free(r);
}

/* A UDP frame from host a (behind port a - 1) to host b, carrying `mark`. */
static void put(struct rig *r, uint8_t a, uint8_t b, uint32_t mark)
{
	struct netdev *dev = &r->port[a - 1];
	struct netdev_buf buf = buffer();
	struct frame_addr from = host(a), to = host(b);

	store_u32(buf.data + FRAME_HEADERS_BYTES, mark);
	buf.bytes = frame_udp_finish(buf.data, 64, &from, &to);
	dev->in[dev->in_count++] = buf;
}

static uint32_t mark_of(struct rig *r, uint32_t port, uint32_t i)
{
	return load_u32(r->port[port].out[i].data + FRAME_HEADERS_BYTES);
}

/* Everybody has spoken once: all addresses are learned. */
static struct rig *rig_learned(struct gateway_udp *gateway)
{
	struct rig *r = rig_make(gateway);

	for (uint8_t a = 1; a <= PORTS; a++)
		put(r, a, a == 1 ? 2 : 1, 0);
	switch_poll(r->sw, 1000);
	for (uint32_t i = 0; i < PORTS; i++)
		taken(r, i);
	return r;
}

static void floods_then_learns(void **state)
{
	(void)state;
	struct rig *r = rig_make(NULL);

	put(r, 1, 3, 5);
	assert_int_equal(switch_poll(r->sw, 1000), 1);
	assert_int_equal(r->port[0].out_count, 0);
	assert_int_equal(mark_of(r, 1, 0), 5);
	assert_int_equal(taken(r, 1), 1);
	assert_int_equal(taken(r, 2), 1);
	put(r, 3, 1, 6);
	switch_poll(r->sw, 2000);
	assert_int_equal(taken(r, 1), 0);
	assert_int_equal(taken(r, 0), 1);
	assert_int_equal(switch_counters(r->sw)->flooded, 2);
	assert_int_equal(switch_poll(r->sw, 3000), 0);
	rig_end(r);
}

static void keeps_order_over_many_bursts(void **state)
{
	(void)state;
	struct rig *r = rig_learned(NULL);

	for (uint32_t i = 0; i < 200; i++)
		put(r, 1, 2, i);
	while (switch_poll(r->sw, 2000) > 0)
		;
	assert_int_equal(r->port[1].out_count, 200);
	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(mark_of(r, 1, i), i);
	rig_end(r);
}

static void an_address_moves(void **state)
{
	(void)state;
	struct rig *r = rig_learned(NULL);

	put(r, 2, 1, 1);
	r->port[2].in[r->port[2].in_count++] = r->port[1].in[0]; /* host 2 now behind port 2 */
	r->port[1].in_count = 0;
	switch_poll(r->sw, 2000);
	taken(r, 0);
	put(r, 1, 2, 2);
	switch_poll(r->sw, 3000);
	assert_int_equal(taken(r, 1), 0);
	assert_int_equal(taken(r, 2), 1);
	assert_int_equal(switch_counters(r->sw)->moved, 1);
	rig_end(r);
}

static void malformed_frames_are_dropped(void **state)
{
	(void)state;
	struct rig *r = rig_learned(NULL);
	uint64_t before = switch_counters(r->sw)->dropped;

	put(r, 1, 2, 1);
	r->port[0].in[0].bytes = 13;
	put(r, 1, 2, 1);
	r->port[0].in[1].data[6] = 0xff; /* group address as a source */
	put(r, 1, 1, 1);		 /* back to its own port */
	switch_poll(r->sw, 2000);
	assert_int_equal(switch_counters(r->sw)->dropped - before, 3);
	rig_end(r);
}

static void command(struct rig *r, const char *line, int code, const char *begins)
{
	char reply[SWITCH_CONTROL_REPLY];

	assert_int_equal(switch_control_run(r->sw, line, reply), code);
	assert_true(strlen(reply) < sizeof(reply));
	if (strncmp(reply, begins, strlen(begins)) != 0)
		fail_msg("'%s' got '%s'", line, reply);
}

static void commands(void **state)
{
	(void)state;
	struct rig *r = rig_learned(NULL);
	const char *const bad[] = {
		"",
		"fault",
		"fault ",
		"fault drop=5",
		"partition 0",
		"partition 0|3",
		"partition 0|0",
		"partition |",
		"partition 0|1,",
		"partition 0|1x",
		"block 0",
		"block 0>",
		"block 0>3",
		"nonsense",
		"heal now",
		"partition 99999999999|1",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		command(r, bad[i], -EINVAL, "error ");
	command(r, "fault seed=3,drop=100%", 0, "ok fault seed=3,drop=100%");
	put(r, 1, 2, 1);
	switch_poll(r->sw, 2000);
	assert_int_equal(taken(r, 1), 0);
	command(r, "fault off", 0, "ok fault off");
	command(r, "partition 0|1,2", 0, "ok partition");
	put(r, 1, 2, 1);
	put(r, 2, 1, 1);
	put(r, 2, 3, 1);
	switch_poll(r->sw, 3000);
	assert_int_equal(taken(r, 0), 0);
	assert_int_equal(taken(r, 1), 0);
	assert_int_equal(taken(r, 2), 1);
	command(r, "block 1>2", 0, "ok block");
	command(r, "stats", 0, "ok ports=3 rx_frames=");
	command(r, "heal", 0, "ok heal");
	put(r, 1, 2, 1);
	switch_poll(r->sw, 4000);
	assert_int_equal(taken(r, 1), 1);
	rig_end(r);
}

static void held_frames_come_out_in_due_order(void **state)
{
	(void)state;
	struct rig *r = rig_learned(NULL);
	bool overtaken = false;

	command(r, "fault delay=100%,hold=10-100", 0, "ok");
	for (uint32_t i = 0; i < 60; i++)
		put(r, 1, 2, i);
	switch_poll(r->sw, 10000);
	assert_int_equal(r->port[1].out_count, 0);
	assert_true(switch_deadline_ns(r->sw) >= 20000 && switch_deadline_ns(r->sw) <= 110000);
	uint64_t now_ns = 10000;

	while (r->port[1].out_count < 60) {
		uint64_t due_ns = switch_deadline_ns(r->sw);

		assert_true(due_ns > now_ns && due_ns <= 110000);
		now_ns = due_ns;
		assert_true(switch_poll(r->sw, now_ns) > 0);
	}
	for (uint32_t i = 1; i < 60; i++)
		overtaken |= mark_of(r, 1, i) < mark_of(r, 1, i - 1);
	assert_true(overtaken);
	rig_end(r);
}

static void faults_conserve_buffers(void **state)
{
	(void)state;
	struct rig *r = rig_learned(NULL);

	command(r, "fault drop=10%,dup=30%,delay=30%,hold=1-50,corrupt=20%,truncate=20%,replay=30%",
		0, "ok");
	for (uint32_t round = 0; round < 500; round++) {
		for (uint8_t a = 1; a <= PORTS; a++)
			put(r, a, (uint8_t)(a % PORTS + 1), round);
		switch_poll(r->sw, 2000 + round * 5000ull);
		for (uint32_t i = 0; i < PORTS; i++)
			taken(r, i);
	}
	assert_true(switch_faults(r->sw)->counters.replayed > 50);
	rig_end(r);
}

/* ---- gateway ---- */

static struct gateway_udp *gateway_make(void)
{
	struct gateway_udp_config config = { .node_count = 2, .self = host(250) };
	struct gateway_udp *g = NULL;
	struct netdev_error error;

	config.node[0] = host(1);
	config.node[1] = host(2);
	assert_int_equal(gateway_udp_open(&config, &g, &error), 0);
	return g;
}

static int client_socket(uint16_t *ret_port)
{
	struct sockaddr_in here = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(here);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&here, &size), 0);
	*ret_port = ntohs(here.sin_port);
	return fd;
}

static void send_to(int fd, uint16_t port, const void *data, size_t bytes)
{
	struct sockaddr_in there = { .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	assert_int_equal(sendto(fd, data, bytes, 0, (struct sockaddr *)&there, sizeof(there)),
			 bytes);
}

static void gateway_carries_both_ways(void **state)
{
	(void)state;
	struct gateway_udp *g = gateway_make();
	struct rig *r = rig_learned(g);
	uint8_t payload[100] = { 0 }, answer[200];
	struct frame_info info;
	struct frame_addr node = host(2);
	uint16_t port;
	int fd = client_socket(&port);

	store_u16(payload + 30, 5);
	payload[99] = 77;
	send_to(fd, gateway_udp_port(g, 1), payload, 31); /* too short: refused */
	send_to(fd, gateway_udp_port(g, 1), payload, sizeof(payload));
	/* Loopback delivers before sendto returns. */
	switch_poll(r->sw, 100000);
	assert_int_equal(r->port[1].out_count, 1);
	assert_int_equal(gateway_udp_counters(g)->rx_refused, 1);
	struct netdev_buf *out = &r->port[1].out[0];

	assert_int_equal(frame_parse(out->data, out->bytes, &node, &info), FRAME_UDP);
	assert_int_equal(info.target.port, 7405);
	assert_int_equal(info.source.port, port);
	assert_int_equal(info.source.ip, host(250).ip);
	assert_memory_equal(info.payload, payload, sizeof(payload));
	assert_int_equal(info.payload_bytes, sizeof(payload));
	/* The node's answer, in place. */
	struct netdev_buf back = buffer();

	memcpy(back.data + FRAME_HEADERS_BYTES, "answer", 6);
	back.bytes = frame_udp_finish(back.data, 6, &info.target, &info.source);
	r->port[1].in[r->port[1].in_count++] = back;
	taken(r, 1);
	switch_poll(r->sw, 200000);
	assert_int_equal(recv(fd, answer, sizeof(answer), MSG_DONTWAIT), 6);
	assert_memory_equal(answer, "answer", 6);
	close(fd);
	gateway_udp_close(g, NULL);
	rig_end(r);
}

static void gateway_answers_arp(void **state)
{
	(void)state;
	struct gateway_udp *g = gateway_make();
	struct rig *r = rig_learned(g);
	struct netdev_buf ask = buffer();
	struct frame_addr node = host(1);
	struct frame_info info;

	ask.bytes = frame_arp_request(ask.data, &node, host(250).ip);
	r->port[0].in[r->port[0].in_count++] = ask;
	switch_poll(r->sw, 100000);
	switch_poll(r->sw, 200000);
	assert_int_equal(r->port[0].out_count, 1);
	struct netdev_buf *out = &r->port[0].out[0];

	assert_int_equal(frame_parse(out->data, out->bytes, &node, &info), FRAME_ARP_REPLY);
	assert_memory_equal(info.source.mac, host(250).mac, 6);
	gateway_udp_close(g, NULL);
	rig_end(r);
}

static void gateway_names_a_taken_port(void **state)
{
	(void)state;
	struct gateway_udp_config config = { .node_count = 2, .self = host(250) };
	struct gateway_udp *g = NULL;
	struct netdev_error error = { 0 };
	char number[8];
	uint16_t port;
	int fd = client_socket(&port);

	config.listen_port[1] = port;
	assert_int_equal(gateway_udp_open(&config, &g, &error), -EADDRINUSE);
	assert_int_equal(error.code, -EADDRINUSE);
	snprintf(number, sizeof(number), "%u", port);
	assert_non_null(strstr(error.text, number));
	assert_null(g);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(floods_then_learns),
		cmocka_unit_test(keeps_order_over_many_bursts),
		cmocka_unit_test(an_address_moves),
		cmocka_unit_test(malformed_frames_are_dropped),
		cmocka_unit_test(commands),
		cmocka_unit_test(held_frames_come_out_in_due_order),
		cmocka_unit_test(faults_conserve_buffers),
		cmocka_unit_test(gateway_carries_both_ways),
		cmocka_unit_test(gateway_answers_arp),
		cmocka_unit_test(gateway_names_a_taken_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
