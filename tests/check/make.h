/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make.h: histories made for testing the checker, each from a seed.
 */
#ifndef CAIRN_TESTS_MAKE_H
#define CAIRN_TESTS_MAKE_H

#include "tests/check/check.h"

#define MAKE_SMALL_MAX 8u

/*
 * make_small: 2..MAKE_SMALL_MAX operations of every kind and outcome on one key: what a correct
 * register answered, often with a few changes, or anything at all. Built to be hard to judge:
 * few values, close versions, ties, collected tombstones, and up to every second one UNKNOWN.
 * Returns how many.
 */
uint32_t make_small(uint64_t seed, struct check_op ops[MAKE_SMALL_MAX]);

/*
 * make_large: linearizable: count operations of `clients` clients (a power of two) on one key, one
 * at a time each, of every kind, in the order in which clients sent them. One in unknown_one_in is
 * UNKNOWN; 0: none.
 */
void make_large(uint64_t seed, struct check_op *ops, uint64_t count, uint32_t clients,
		uint32_t unknown_one_in);

#endif
