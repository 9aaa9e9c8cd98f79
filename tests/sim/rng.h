/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rng.h: the simulator's only source of chance. Integers all the way, so that a seed means the same
 * run on every compiler and architecture. Each part of the world draws from a stream of its own,
 * so that a new draw in one part does not reshuffle the others.
 */
#ifndef CAIRN_TESTS_SIM_RNG_H
#define CAIRN_TESTS_SIM_RNG_H

#include "replication/base.h"

struct rng {
	uint64_t state;
};

/* rng_mix: a strong 64-bit mixer (splitmix64's finaliser, public domain). */
static inline uint64_t rng_mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* rng_make: the stream of one part; parts are small numbers. */
static inline struct rng rng_make(uint64_t seed, uint64_t part)
{
	return (struct rng){ rng_mix(seed * 0x9e3779b97f4a7c15ull + 1) ^ rng_mix(part + 77) };
}

static inline uint64_t rng_next(struct rng *r)
{
	return rng_mix(r->state += 0x9e3779b97f4a7c15ull);
}

/* rng_below: 0..n-1, n > 0. The modulo bias of 64 bits over small n does not matter here. */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	return rng_next(r) % n;
}

/* rng_range: low..high, both included. */
static inline uint64_t rng_range(struct rng *r, uint64_t low, uint64_t high)
{
	return low + rng_below(r, high - low + 1);
}

/* rng_chance: true with probability ppm / 1,000,000; draws nothing when that is certain. */
static inline bool rng_chance(struct rng *r, uint32_t ppm)
{
	return ppm != 0 && rng_below(r, 1000000) < ppm;
}

/*
 * rng_exponential: mean times -ln(u), by the leading zeros of u and a straight line between powers
 * of two (within 6 % of the true curve): exponential enough, and the same everywhere.
 */
static inline uint64_t rng_exponential(struct rng *r, uint64_t mean)
{
	uint64_t u = rng_next(r) | 1;
	uint32_t zeros = (uint32_t)__builtin_clzll(u);
	uint64_t fraction = ((u << zeros) >> 47) & 0xffff;
	uint64_t log2_16 = ((uint64_t)zeros << 16) + 65536 - fraction;

	return (mean * ((log2_16 * 45426) >> 16)) >> 16;
}

#endif
