/* SPDX-License-Identifier: Apache-2.0 */
/* report.h: what a load measured, for people and for programs. Everything goes to standard output.
 */
#ifndef CAIRN_PERF_REPORT_H
#define CAIRN_PERF_REPORT_H

#include "perf/load.h"

struct report {
	const struct load_config *load;
	const struct load_result *result;
	const struct client_counters *core;
	const char *transport;
	struct check_result check;
	uint64_t checked;  /* operations judged */
	double check_secs; /* how long judging took */
};

/* report_kind_name: "get", "put", "del", "cas", "incr". */
const char *report_kind_name(enum check_kind kind);

void report_table(const struct report *r);
void report_json(const struct report *r);

/* report_history: every operation, one a line, to a file. 0 or a negative errno, printed. */
int report_history(const struct load *l, const char *path);

#endif
