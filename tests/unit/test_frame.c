/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dataplane/frame.h"

#define ROOM 1600u

static const struct frame_addr us = { { 2, 0xca, 0x1a, 0, 0, 1 }, 7400, 0x0a4d0001 };
static const struct frame_addr them = { { 2, 0xca, 0x1a, 0, 0, 2 }, 7403, 0x0a4d0002 };

/* An exact-sized heap copy, so that the sanitizers see every byte read past the end. */
static enum frame_verdict parse_exact(const uint8_t *data, uint32_t bytes, struct frame_info *info)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);

	memcpy(copy, data, bytes);
	enum frame_verdict v = frame_parse(copy, bytes, &us, info);

	if (v == FRAME_UDP && info->payload)
		assert_true(info->payload + info->payload_bytes <= copy + bytes);
	free(copy);
	return v;
}

static uint32_t build(uint8_t *data, uint32_t payload_bytes)
{
	for (uint32_t i = 0; i < payload_bytes; i++)
		data[FRAME_HEADERS_BYTES + i] = (uint8_t)(i * 7 + 1);
	return frame_udp_finish(data, payload_bytes, &them, &us);
}

static uint16_t ones_sum(const uint8_t *p, uint32_t bytes)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < bytes; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void set_ip_checksum(uint8_t *d)
{
	d[24] = d[25] = 0;
	uint16_t sum = (uint16_t)~ones_sum(d + 14, 20);

	d[24] = (uint8_t)(sum >> 8);
	d[25] = (uint8_t)sum;
}

static uint32_t build_ping(uint8_t *d, uint32_t data_bytes)
{
	build(d, data_bytes); /* 8 bytes of ICMP header take the place of the UDP header */
	d[23] = 1;
	set_ip_checksum(d);
	memcpy(d + 34, "\x08\x00\x00\x00\x12\x34\x00\x05", 8);
	uint16_t sum = (uint16_t)~ones_sum(d + 34, 8 + data_bytes);

	d[36] = (uint8_t)(sum >> 8);
	d[37] = (uint8_t)sum;
	return 42 + data_bytes < 60 ? 60 : 42 + data_bytes;
}

static void udp_round_trip(void **state)
{
	(void)state;
	uint8_t d[ROOM];
	struct frame_info info;
	const uint32_t sizes[] = { 0, 1, 17, 18, 19, 64, 65, 1471, FRAME_PAYLOAD_MAX };

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		uint32_t bytes = build(d, sizes[i]);

		assert_int_equal(bytes, sizes[i] < 18 ? 60 : 42 + sizes[i]);
		assert_int_equal(ones_sum(d + 14, 20), 0xffff);
		assert_int_equal(frame_parse(d, bytes, &us, &info), FRAME_UDP);
		assert_int_equal(info.payload_bytes, sizes[i]);
		assert_ptr_equal(info.payload, d + 42);
		assert_memory_equal(info.source.mac, them.mac, 6);
		assert_memory_equal(info.target.mac, us.mac, 6);
		assert_int_equal(info.source.ip, them.ip);
		assert_int_equal(info.source.port, them.port);
		assert_int_equal(info.target.port, us.port);
		for (uint32_t k = 0; k < sizes[i]; k++)
			assert_int_equal(info.payload[k], (uint8_t)(k * 7 + 1));
	}
}

static void every_truncation_is_short(void **state)
{
	(void)state;
	uint8_t d[ROOM];
	struct frame_info info;
	uint32_t bytes = build(d, 300);

	for (uint32_t n = 0; n < bytes; n++)
		assert_int_equal(parse_exact(d, n, &info), FRAME_SHORT);
	assert_int_equal(parse_exact(d, bytes, &info), FRAME_UDP);
	bytes = build_ping(d, 100);
	for (uint32_t n = 0; n < bytes; n++)
		assert_int_equal(parse_exact(d, n, &info), FRAME_SHORT);
	frame_arp_request(d, &them, us.ip);
	for (uint32_t n = 0; n < 42; n++)
		assert_int_equal(parse_exact(d, n, &info), FRAME_SHORT);
	assert_int_equal(parse_exact(d, 42, &info), FRAME_ARP_REQUEST);
}

static void every_flipped_header_bit_is_seen_or_harmless(void **state)
{
	(void)state;
	uint8_t d[ROOM];
	struct frame_info info;
	uint32_t bytes = build(d, 40);

	for (uint32_t bit = 0; bit < 34 * 8; bit++) {
		d[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		enum frame_verdict v = parse_exact(d, bytes, &info);

		/* The sender's MAC is the only header field that nothing protects; a group bit in
		 * it is seen. */
		if (bit / 8 >= 6 && bit / 8 < 12 && bit != 48)
			assert_int_equal(v, FRAME_UDP);
		else
			assert_true(v > FRAME_PING);
		d[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
}

static void bad_headers(void **state)
{
	(void)state;
	const struct {
		uint32_t offset;
		uint8_t value;
		enum frame_verdict verdict;
	} cases[] = {
		{ 14, 0x46, FRAME_BAD_IP },	   { 14, 0x65, FRAME_BAD_IP },
		{ 17, 19, FRAME_BAD_IP },	   { 16, 0x05, FRAME_SHORT },
		{ 20, 0x20, FRAME_FRAGMENT },	   { 21, 0x01, FRAME_FRAGMENT },
		{ 23, 6, FRAME_BAD_PROTOCOL },	   { 33, 9, FRAME_NOT_OURS },
		{ 26, 0, FRAME_BAD_IP },	   { 26, 224, FRAME_BAD_IP },
		{ 39, 7, FRAME_BAD_UDP },	   { 38, 1, FRAME_BAD_UDP },
		{ 12, 0x86, FRAME_BAD_ETHERTYPE }, { 5, 9, FRAME_NOT_OURS },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t d[ROOM];
		struct frame_info info = { .payload_bytes = 12345 };
		uint32_t bytes = build(d, 40);

		d[cases[i].offset] = cases[i].value;
		set_ip_checksum(d);
		assert_int_equal(frame_parse(d, bytes, &us, &info), cases[i].verdict);
		assert_int_equal(info.payload_bytes, 12345);
	}
}

static void udp_length_below_ip_length_is_padding(void **state)
{
	(void)state;
	uint8_t d[ROOM];
	struct frame_info info;
	uint32_t bytes = build(d, 40);

	d[39] = 8 + 10;
	assert_int_equal(parse_exact(d, bytes, &info), FRAME_UDP);
	assert_int_equal(info.payload_bytes, 10);
}

static void ping_is_answered(void **state)
{
	(void)state;
	const uint32_t sizes[] = { 0, 1, 56, 57, 1400 };

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		uint8_t d[ROOM], asked[ROOM];
		struct frame_info info;
		uint32_t bytes = build_ping(d, sizes[i]);

		memcpy(asked, d, sizeof(d));
		assert_int_equal(frame_parse(d, bytes, &us, &info), FRAME_PING);
		assert_int_equal(frame_ping_reply(d, bytes, &us), bytes);
		assert_memory_equal(d, them.mac, 6);
		assert_memory_equal(d + 6, us.mac, 6);
		assert_memory_equal(d + 26, asked + 30, 4);
		assert_memory_equal(d + 30, asked + 26, 4);
		assert_int_equal(ones_sum(d + 14, 20), 0xffff);
		assert_int_equal(d[34], 0);
		assert_int_equal(ones_sum(d + 34, 8 + sizes[i]), 0xffff);
		assert_memory_equal(d + 38, asked + 38, 4 + sizes[i]);
		asked[36] ^= 1;
		assert_int_equal(frame_parse(asked, bytes, &us, &info), FRAME_BAD_PROTOCOL);
	}
}

static void arp_asks_and_answers(void **state)
{
	(void)state;
	uint8_t d[ROOM];
	struct frame_info info;
	uint32_t bytes = frame_arp_request(d, &them, us.ip);

	assert_int_equal(bytes, 60);
	assert_int_equal(frame_parse(d, bytes, &us, &info), FRAME_ARP_REQUEST);
	assert_int_equal(info.source.ip, them.ip);
	assert_memory_equal(info.source.mac, them.mac, 6);
	assert_int_equal(frame_parse(d, bytes, &them, &info), FRAME_NOT_OURS);
	assert_int_equal(frame_arp_reply(d, &us), 60);
	assert_int_equal(frame_parse(d, bytes, &them, &info), FRAME_ARP_REPLY);
	assert_int_equal(info.source.ip, us.ip);
	assert_memory_equal(info.source.mac, us.mac, 6);
	assert_int_equal(frame_parse(d, bytes, &us, &info), FRAME_NOT_OURS);
}

static void bad_arp(void **state)
{
	(void)state;
	const struct {
		uint32_t offset;
		uint8_t value;
	} cases[] = {
		{ 15, 6 }, { 17, 6 }, { 18, 8 }, { 19, 16 }, { 21, 3 }, { 21, 0 }, { 22, 1 }
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t d[ROOM];
		struct frame_info info;
		uint32_t bytes = frame_arp_request(d, &them, us.ip);

		d[cases[i].offset] = cases[i].value;
		assert_int_equal(parse_exact(d, bytes, &info), FRAME_BAD_ARP);
	}
}

static void noise_is_never_fatal(void **state)
{
	(void)state;
	uint64_t seed = 42;
	struct frame_info info;
	uint32_t seen[FRAME_VERDICT_COUNT] = { 0 };

	for (uint32_t round = 0; round < 200000; round++) {
		uint8_t d[ROOM];
		uint32_t bytes = round % 3 == 0	  ? build(d, round % 200)
				 : round % 3 == 1 ? build_ping(d, round % 200)
						  : frame_arp_request(d, &them, us.ip);

		for (uint32_t hits = round % 4; hits > 0; hits--) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			d[(seed >> 33) % bytes] = (uint8_t)(seed >> 20);
		}
		if (round % 2 && bytes > 42)
			set_ip_checksum(d);
		seen[parse_exact(d, bytes - (round % 5 == 0 ? round % 40 : 0), &info)]++;
	}
	for (uint32_t v = 0; v < FRAME_VERDICT_COUNT; v++)
		if (v != FRAME_ARP_REPLY)
			assert_true(seen[v] > 0);
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(frame_verdict_name(FRAME_BAD_UDP), "bad_udp");
	for (int v = 0; v < FRAME_VERDICT_COUNT; v++)
		assert_string_not_equal(frame_verdict_name((enum frame_verdict)v), "invalid");
	assert_string_equal(frame_verdict_name(FRAME_VERDICT_COUNT), "invalid");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(udp_round_trip),
		cmocka_unit_test(every_truncation_is_short),
		cmocka_unit_test(every_flipped_header_bit_is_seen_or_harmless),
		cmocka_unit_test(bad_headers),
		cmocka_unit_test(udp_length_below_ip_length_is_padding),
		cmocka_unit_test(ping_is_answered),
		cmocka_unit_test(arp_asks_and_answers),
		cmocka_unit_test(bad_arp),
		cmocka_unit_test(noise_is_never_fatal),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
