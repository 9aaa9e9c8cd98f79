/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mutant_main.c: gives a unit test the fault that CAIRN_MUTANT names, without the test knowing: the
 * linker (--wrap=main) calls the main here first.
 */
#include <stdlib.h>

#include "replication/base.h"

int mutant_active;

int __real_main(void);
int __wrap_main(void);

int __wrap_main(void)
{
	const char *mutant = getenv("CAIRN_MUTANT");

	mutant_active = mutant ? (int)strtol(mutant, NULL, 10) : 0;
	return __real_main();
}
