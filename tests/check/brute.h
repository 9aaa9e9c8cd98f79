/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brute.h: the rules of check.h tried out on every order of a small history (Wing and Gong), with
 * every choice of version for each UNKNOWN update. Shares no code with the checker, which it is
 * there to contradict.
 */
#ifndef CAIRN_TESTS_BRUTE_H
#define CAIRN_TESTS_BRUTE_H

#include "tests/check/check.h"

#define BRUTE_OPS_MAX 12u

/* brute_check: true: linearizable. All operations are on one key; version numbers below 2^32. */
bool brute_check(const struct check_op *ops, uint32_t count);

#endif
