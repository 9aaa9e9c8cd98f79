/* SPDX-License-Identifier: Apache-2.0 */
#include "replication/number.h"

bool number_parse(const uint8_t *text, uint32_t bytes, int64_t *ret_number)
{
	bool negative = bytes > 0 && text[0] == '-';
	uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
	uint64_t n = 0;
	uint32_t i = negative ? 1 : 0;

	if (i == bytes)
		return false;
	for (; i < bytes; i++) {
		uint64_t digit = (uint64_t)text[i] - '0';

		if (digit > 9 || n > (limit - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*ret_number = negative ? (int64_t)(0 - n) : (int64_t)n;
	return true;
}

uint16_t number_print(uint8_t *out, int64_t number)
{
	uint8_t digits[NUMBER_BYTES_MAX];
	uint64_t n = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
	uint16_t count = 0;
	uint16_t bytes = 0;

	do {
		digits[count++] = (uint8_t)('0' + n % 10);
		n /= 10;
	} while (n != 0);
	if (number < 0)
		out[bytes++] = '-';
	while (count > 0)
		out[bytes++] = digits[--count];
	return bytes;
}
