/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz.h: what every fuzz target offers. One entry, called by an engine, or by main.c over a corpus
 * without one. A target aborts on a broken promise; any other input is fine. The rule all targets
 * check: a refused input leaves every output as it was.
 */
#ifndef CAIRN_TESTS_FUZZ_H
#define CAIRN_TESTS_FUZZ_H

#include "replication/base.h"

/* The name is the engine's. Returns 0. data is bytes long and not aligned. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/*
 * fuzz_accepted: how many inputs, or parts of them, a decoder has accepted. main.c fails when the
 * corpus contributes none: a target that refuses everything tests nothing.
 */
extern uint64_t fuzz_accepted;

/* fuzz_untouched: every byte of the object is still the pattern that fuzz_pattern wrote. */
static inline void fuzz_pattern(void *object, size_t bytes)
{
	memset(object, 0xa5, bytes);
}

static inline bool fuzz_untouched(const void *object, size_t bytes)
{
	const uint8_t *p = object;

	for (size_t i = 0; i < bytes; i++) {
		if (p[i] != 0xa5)
			return false;
	}
	return true;
}

#endif
