/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crc.h: CRC32C (Castagnoli, RFC 3720 appendix B.4) with the processor's own instruction. We build
 * for x86-64-v2 and armv8-a+crc, so it is always there; tests/unit compares it with a table.
 */
#ifndef CAIRN_REPLICATION_CRC_H
#define CAIRN_REPLICATION_CRC_H

#include "replication/base.h"

static inline uint32_t crc32c_u64(uint32_t crc, uint64_t v)
{
#if defined(__x86_64__)
	return (uint32_t)__builtin_ia32_crc32di(crc, v);
#elif defined(__aarch64__) && defined(__clang__)
	return __builtin_arm_crc32cd(crc, v);
#elif defined(__aarch64__)
	return __builtin_aarch64_crc32cx(crc, v);
#else
#error "no CRC32C instruction for this machine"
#endif
}

static inline uint32_t crc32c_u8(uint32_t crc, uint8_t v)
{
#if defined(__x86_64__)
	return __builtin_ia32_crc32qi(crc, v);
#elif defined(__aarch64__) && defined(__clang__)
	return __builtin_arm_crc32cb(crc, v);
#else
	return __builtin_aarch64_crc32cb(crc, v);
#endif
}

/*
 * crc32c_update: raw register update, no inversion. Chain calls for data in pieces; the usual
 * checksum is ~crc32c_update(~0, data, n).
 */
static inline uint32_t crc32c_update(uint32_t crc, const void *data, size_t bytes)
{
	const uint8_t *p = data;

	while (bytes >= 8) {
		crc = crc32c_u64(crc, load_u64(p));
		p += 8;
		bytes -= 8;
	}
	while (bytes-- > 0)
		crc = crc32c_u8(crc, *p++);
	return crc;
}

static inline uint32_t crc32c(const void *data, size_t bytes)
{
	return ~crc32c_update(~0u, data, bytes);
}

#endif
