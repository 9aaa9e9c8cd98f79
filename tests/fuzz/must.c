/* SPDX-License-Identifier: Apache-2.0 */
/* must.c: a broken promise under fuzzing: say which, and abort so that the engine keeps the input.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

uint64_t fuzz_accepted;

_Noreturn void must_failed(const char *expression, const char *file, int line)
{
	fprintf(stderr, "%s:%d: must(%s) failed\n", file, line, expression);
	abort();
}
