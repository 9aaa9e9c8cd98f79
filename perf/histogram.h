/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histogram.h: latencies in log-linear buckets: exact below 256 ns, then 128 buckets per power of
 * two, so that a bucket is at most 1/128 = 0.8 % wide, up to 2^37 ns (137 s). Fixed size, no
 * allocation; recording costs a few instructions. One owner; merge to combine.
 */
#ifndef CAIRN_PERF_HISTOGRAM_H
#define CAIRN_PERF_HISTOGRAM_H

#include "replication/base.h"

#define HISTOGRAM_SUB_BITS   7u
#define HISTOGRAM_VALUE_BITS 37u
#define HISTOGRAM_BUCKETS    ((HISTOGRAM_VALUE_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
	uint64_t count;
	uint64_t sum_ns;
	uint64_t min_ns, max_ns; /* exact */
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

/* histogram_init: empty. */
void histogram_init(struct histogram *h);

/* histogram_record: one value; above the range it counts in the last bucket (max stays exact). */
void histogram_record(struct histogram *h, uint64_t value_ns);

/* histogram_merge: adds everything in `from` to `to`. */
void histogram_merge(struct histogram *to, const struct histogram *from);

/*
 * histogram_percentile: the smallest recorded value that at least `percent` (0..100) of all values
 * do not exceed, given as the upper end of its bucket and never above the maximum; 0 when empty.
 */
uint64_t histogram_percentile(const struct histogram *h, double percent);

/* histogram_mean: exact; 0 when empty. */
double histogram_mean(const struct histogram *h);

#endif
