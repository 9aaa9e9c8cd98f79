/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base.h: the few helpers every folder needs: assertions that stay on, little-endian access,
 * array length. Capped at 150 lines; anything bigger has a better home.
 */
#ifndef CAIRN_REPLICATION_BASE_H
#define CAIRN_REPLICATION_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * must_failed: what a failed must() calls. This folder only declares it; each program supplies it
 * (the daemon logs and aborts, the simulator prints the seed first). Never returns.
 */
_Noreturn void must_failed(const char *expression, const char *file, int line);

/* must: programmer error if false. Always compiled in, evaluated once, independent of NDEBUG. */
#define must(x) ((x) ? (void)0 : must_failed(#x, __FILE__, __LINE__))

/* must_dbg: like must, for per-packet checks that cost; compiled out of release builds. */
#ifdef CAIRN_DEBUG
#define must_dbg(x) must(x)
#else
#define must_dbg(x) ((void)sizeof(x))
#endif

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/*
 * mutant: true when the deliberate fault number n is switched on. Only the mutant rig is built with
 * CAIRN_MUTANTS (tests/meson.build); everywhere else it is the constant false. The faults are
 * listed in tests/mutants.h and docs/testing.md.
 */
#ifdef CAIRN_MUTANTS
extern int mutant_active;
#define mutant(n) (mutant_active == (n))
#else
#define mutant(n) false
#endif

/* The wire and the disk are little-endian, as are both machines we build for. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian machines only");

static inline uint16_t load_u16(const uint8_t *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t load_u32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t load_u64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void store_u16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void store_u32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void store_u64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* round_up: the smallest multiple of unit (a power of two) that is >= n. */
static inline uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) & ~(unit - 1);
}

#endif
