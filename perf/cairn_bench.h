/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cairn_bench.h: the commands of cairn-bench and what they share. A command gets its own arguments
 * (argv[0] is its name) and returns the exit code: 0 done, 1 failed or a consistency violation,
 * 2 wrong arguments.
 */
#ifndef CAIRN_PERF_CAIRN_BENCH_H
#define CAIRN_PERF_CAIRN_BENCH_H

#include "replication/base.h"

#define BENCH_EXIT_OK	  0
#define BENCH_EXIT_FAILED 1
#define BENCH_EXIT_USAGE  2

int bench_run(int argc, char **argv);	       /* load on a cluster */
int bench_floor(int argc, char **argv);	       /* the bare echo with bare durable writes */
int bench_latency(int argc, char **argv);      /* both in turn, and their ratio */
int bench_floor_switch(int argc, char **argv); /* hidden: a process of the floor */
int bench_floor_node(int argc, char **argv);   /* hidden: a process of the floor */

/* bench_fail: prints "cairn-bench: ..." to stderr and returns code. */
__attribute__((format(printf, 2, 3))) int bench_fail(int code, const char *format, ...);

/* bench_number: a decimal number (suffix k or m allowed) in min..max; false: printed what is wrong.
 */
bool bench_number(const char *option, const char *text, double min, double max, double *ret_value);

/* bench_size: the same for whole numbers. */
bool bench_size(const char *option, const char *text, uint64_t min, uint64_t max,
		uint64_t *ret_value);

#endif
