/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_init.c: cluster init: formats this node's data folder, by cairnutil, and says what is next.
 */
#include <stdlib.h>

#include "mgmt/ctl_member.h"
#include "mgmt/lab_process.h"

#define ARGUMENTS_MAX 12u

int ctl_cluster_init(const struct ctl_call *call)
{
	const char *config = ctl_args_option(call, "config");
	const char *engine = ctl_args_option(call, "engine");
	const char *argv[ARGUMENTS_MAX] = { NULL, "format", "--config", config };
	struct lab_spawn spawn = { .argv = argv };
	char program[512];
	unsigned n = 4;
	int rc;

	if (!config)
		return ctl_output_fail(
			CTL_EXIT_USAGE, "CAIRN-0609",
			"write one (cairnd --print-config-reference) and give --config",
			"the configuration of this node is not given");
	if (lab_process_sibling("cairnutil", program) != 0)
		return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0514",
				       "install it, or build it, in the folder of cairnctl",
				       "the program 'cairnutil' is not beside cairnctl: '%s'",
				       program);
	argv[0] = program;
	if (engine) {
		argv[n++] = "--engine";
		argv[n++] = engine;
	}
	if (ctl_args_option(call, "join"))
		argv[n++] = "--join";
	if (ctl_args_option(call, "witness"))
		argv[n++] = "--witness";
	argv[n] = NULL;
	spawn.inherit = true;
	rc = lab_process_run(&spawn);
	if (rc == 0)
		ctl_output_note(
			"next, on this node: cairnd --config %s%s", config,
			ctl_args_option(call, "join")
				? "; then, anywhere: cairnctl member add"
				: "; the same on every founding node; then: cairnctl status");
	return rc < 0 ? CTL_EXIT_FAILED : rc;
}
