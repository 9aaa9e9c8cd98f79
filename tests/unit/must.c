/* SPDX-License-Identifier: Apache-2.0 */
/*
 * must.c: what a failed must() does in a unit test: it fails the test, or satisfies
 * expect_assert_failure() when the test provokes it on purpose.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "replication/base.h"

_Noreturn void must_failed(const char *expression, const char *file, int line)
{
	mock_assert(0, expression, file, line);
	abort(); /* reached only when cmocka runs no test */
}
