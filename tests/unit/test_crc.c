/* SPDX-License-Identifier: Apache-2.0 */
/* test_crc.c: the processor's CRC32C against the polynomial, bit by bit, and published vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replication/crc.h"

static uint32_t crc_bitwise(const uint8_t *p, size_t bytes)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < bytes; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

static void published_vectors(void **state)
{
	uint8_t zeros[32] = { 0 }, ones[32], up[32];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	for (size_t i = 0; i < sizeof(up); i++)
		up[i] = (uint8_t)i;
	assert_int_equal(crc32c("123456789", 9), 0xe3069283u);
	assert_int_equal(crc32c(zeros, 32), 0x8a9136aau);
	assert_int_equal(crc32c(ones, 32), 0x62a8ab43u);
	assert_int_equal(crc32c(up, 32), 0x46dd794eu);
}

static void every_length_and_alignment(void **state)
{
	uint8_t data[128];
	uint32_t x = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++) {
		x = x * 1664525u + 1013904223u;
		data[i] = (uint8_t)(x >> 24);
	}
	for (size_t from = 0; from < 16; from++) {
		for (size_t n = 0; from + n <= sizeof(data); n++)
			assert_int_equal(crc32c(data + from, n), crc_bitwise(data + from, n));
	}
}

static void in_pieces(void **state)
{
	const char *text = "a heap of stones that marks a road";
	size_t n = strlen(text);

	(void)state;
	for (size_t cut = 0; cut <= n; cut++) {
		uint32_t crc = crc32c_update(~0u, text, cut);

		assert_int_equal(~crc32c_update(crc, text + cut, n - cut), crc32c(text, n));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors),
		cmocka_unit_test(every_length_and_alignment),
		cmocka_unit_test(in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
