/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench.h: Google Benchmark for C. bench.cc, the only C++ file of the tree, stands between. A
 * benchmark is a function that loops while bench_keep_running() says so; everything the library's
 * command line offers (--benchmark_filter, --benchmark_repetitions, --benchmark_format=json) works.
 *
 *	static void my_case(struct bench_state *state)
 *	{
 *		... set up by bench_arg(state) ...
 *		while (bench_keep_running(state))
 *			bench_keep(work());
 *		bench_items(state, bench_iterations(state));
 *	}
 *	bench_register("my_case", my_case, (const int64_t[]){ 64, 1024 }, 2);
 */
#ifndef CAIRN_PERF_BENCH_H
#define CAIRN_PERF_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bench_state;

/* bench_register: runs fn once for each argument; arg_count 0: once, with argument 0. */
void bench_register(const char *name, void (*fn)(struct bench_state *), const int64_t *args,
		    uint32_t arg_count);

/* bench_run_all: parses the library's options, runs. 0, or 1: an argument nobody knows. */
int bench_run_all(int argc, char **argv);

bool bench_keep_running(struct bench_state *state);
int64_t bench_arg(const struct bench_state *state);

/* bench_iterations: how often the loop has run; after the loop. */
uint64_t bench_iterations(const struct bench_state *state);

/* What the whole loop did; the library shows it per second. */
void bench_bytes(struct bench_state *state, uint64_t bytes);
void bench_items(struct bench_state *state, uint64_t items);

/* bench_counter: a figure of its own, per iteration. bench_label: a word in the result's line. */
void bench_counter(struct bench_state *state, const char *name, double per_iteration);
void bench_label(struct bench_state *state, const char *label);

/* bench_pause, bench_resume: set-up inside the loop that must not count (costs some 100 ns). */
void bench_pause(struct bench_state *state);
void bench_resume(struct bench_state *state);

/* bench_skip: ends this benchmark with an error. */
void bench_skip(struct bench_state *state, const char *why);

/* bench_keep: makes the compiler believe that the value is needed. */
static inline void bench_keep(uint64_t value)
{
	__asm__ volatile("" : : "r"(value) : "memory");
}

#ifdef __cplusplus
}
#endif

#endif
