/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/histogram.h"

#define SUB (1u << HISTOGRAM_SUB_BITS)

void histogram_init(struct histogram *h)
{
	memset(h, 0, sizeof(*h));
	h->min_ns = UINT64_MAX;
}

/* Buckets 0..2*SUB-1 hold one value each; then SUB buckets for every further power of two. */
static uint32_t bucket_of(uint64_t v)
{
	uint32_t shift;

	if (v < 2 * SUB)
		return (uint32_t)v;
	shift = 63 - (uint32_t)__builtin_clzll(v) - HISTOGRAM_SUB_BITS;
	if (shift >= HISTOGRAM_VALUE_BITS - HISTOGRAM_SUB_BITS)
		return HISTOGRAM_BUCKETS - 1;
	return shift * SUB + (uint32_t)(v >> shift);
}

static uint64_t bucket_last(uint32_t bucket)
{
	uint32_t shift;

	if (bucket < 2 * SUB)
		return bucket;
	shift = bucket / SUB - 1;
	return ((uint64_t)(bucket - shift * SUB + 1) << shift) - 1;
}

void histogram_record(struct histogram *h, uint64_t value_ns)
{
	h->count++;
	h->sum_ns += value_ns;
	h->min_ns = min_u64(h->min_ns, value_ns);
	h->max_ns = max_u64(h->max_ns, value_ns);
	h->bucket[bucket_of(value_ns)]++;
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
	to->count += from->count;
	to->sum_ns += from->sum_ns;
	to->min_ns = min_u64(to->min_ns, from->min_ns);
	to->max_ns = max_u64(to->max_ns, from->max_ns);
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		to->bucket[i] += from->bucket[i];
}

uint64_t histogram_percentile(const struct histogram *h, double percent)
{
	double exact = percent * (double)h->count / 100 - 1e-4; /* 99.9 is no binary number */
	uint64_t rank = exact > 0 ? (uint64_t)exact : 0, seen = 0;

	if (h->count == 0)
		return 0;
	if ((double)rank < exact)
		rank++;
	rank = max_u64(1, min_u64(rank, h->count));
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		seen += h->bucket[i];
		if (seen >= rank)
			return min_u64(bucket_last(i), h->max_ns);
	}
	return h->max_ns;
}

double histogram_mean(const struct histogram *h)
{
	return h->count ? (double)h->sum_ns / (double)h->count : 0;
}
