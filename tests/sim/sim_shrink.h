/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_shrink.h: makes a failing run short. The run of a seed is recorded as a script (script.h),
 * and run again and again with ever more of its events left out: what comes after the failure,
 * whole keys, kinds of faults, clients, then ever smaller pieces (delta debugging), as long as the
 * same promise is broken.
 */
#ifndef CAIRN_TESTS_SIM_SIM_SHRINK_H
#define CAIRN_TESTS_SIM_SIM_SHRINK_H

#include "tests/sim/sim.h"

struct sim_shrunk {
	uint32_t before; /* events of the whole run */
	uint32_t runs;
	char violation[512]; /* of the short one */
};

/*
 * sim_shrink: of a seed that sim_run found wanting with the same options. False when it does not
 * fail the same way as a script. The work is bounded in runs and in simulated events, not in time,
 * so that it ends the same everywhere.
 */
bool sim_shrink(struct sim *s, uint64_t seed, uint32_t nodes, struct script *ret_script,
		struct sim_shrunk *ret_shrunk);

#endif
