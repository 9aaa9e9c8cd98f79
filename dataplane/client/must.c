/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a failed must() does inside libcairn: a library does not print, so it stops the program
 * where a debugger finds it. Weak: a program of this tree that links the library statically
 * brings its own.
 */
#include <stdlib.h>

#include "replication/base.h"

__attribute__((weak)) _Noreturn void must_failed(const char *expression, const char *file, int line)
{
	(void)expression;
	(void)file;
	(void)line;
	abort();
}
