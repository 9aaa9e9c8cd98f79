/* SPDX-License-Identifier: Apache-2.0 */
#include "replication/slot.h"

/* CRC16/XMODEM, a nibble at a time: 32 bytes of table stay in the cache beside everything else. */
static const uint16_t crc16_nibble[16] = {
	0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
	0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef,
};

static uint16_t crc16(const uint8_t *data, uint32_t bytes)
{
	uint16_t crc = 0;

	for (uint32_t i = 0; i < bytes; i++) {
		crc = (uint16_t)(crc << 4) ^ crc16_nibble[(crc >> 12) ^ (data[i] >> 4)];
		crc = (uint16_t)(crc << 4) ^ crc16_nibble[(crc >> 12) ^ (data[i] & 15)];
	}
	return crc;
}

uint16_t slot_of_key(const uint8_t *key, uint32_t key_bytes)
{
	const uint8_t *open = memchr(key, '{', key_bytes);

	if (open) {
		uint32_t rest = key_bytes - (uint32_t)(open + 1 - key);
		const uint8_t *close = memchr(open + 1, '}', rest);

		if (close && close > open + 1)
			return crc16(open + 1, (uint32_t)(close - open - 1)) & (SLOT_COUNT - 1);
	}
	return crc16(key, key_bytes) & (SLOT_COUNT - 1);
}
