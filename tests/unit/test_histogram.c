/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "perf/histogram.h"

static void test_empty(void **state)
{
	struct histogram h;

	(void)state;
	histogram_init(&h);
	assert_int_equal(histogram_percentile(&h, 50), 0);
	assert_true(histogram_mean(&h) == 0);
}

static void test_small_values_exact(void **state)
{
	struct histogram h;

	(void)state;
	histogram_init(&h);
	for (uint64_t v = 1; v <= 200; v++)
		histogram_record(&h, v);
	assert_int_equal(histogram_percentile(&h, 0), 1);
	assert_int_equal(histogram_percentile(&h, 50), 100);
	assert_int_equal(histogram_percentile(&h, 99), 198);
	assert_int_equal(histogram_percentile(&h, 99.9), 200);
	assert_int_equal(histogram_percentile(&h, 100), 200);
	assert_int_equal(h.min_ns, 1);
	assert_int_equal(h.max_ns, 200);
	assert_true(histogram_mean(&h) == 100.5);
}

/* One value comes back no smaller, and at most one bucket width (1/128) larger. */
static void test_precision(void **state)
{
	struct histogram h;

	(void)state;
	for (uint64_t v = 1; v < 100000000000ull; v = v * 1001 / 1000 + 1) {
		uint64_t got;

		histogram_init(&h);
		histogram_record(&h, v);
		histogram_record(&h, UINT64_C(1) << 36); /* so that max does not round it for us */
		got = histogram_percentile(&h, v < UINT64_C(1) << 36 ? 50 : 100);
		assert_true(got >= v);
		assert_true(got - v <= v / 128);
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void test_against_sorting(void **state)
{
	static const double percents[] = { 1, 10, 50, 90, 99, 99.9, 99.99 };
	enum { N = 100000 };
	uint64_t *values = malloc(N * sizeof(*values)), x = 1;
	struct histogram h, part[2];

	(void)state;
	assert_non_null(values);
	histogram_init(&h);
	histogram_init(&part[0]);
	histogram_init(&part[1]);
	for (uint32_t i = 0; i < N; i++) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		values[i] = (x >> 28) >> (x >> 59);
		histogram_record(&part[i % 2], values[i]);
	}
	histogram_merge(&h, &part[0]);
	histogram_merge(&h, &part[1]);
	qsort(values, N, sizeof(values[0]), compare);
	assert_int_equal(h.count, N);
	assert_int_equal(h.max_ns, values[N - 1]);
	assert_int_equal(h.min_ns, values[0]);
	for (size_t i = 0; i < ARRAY_LEN(percents); i++) {
		uint64_t exact = values[(uint64_t)(percents[i] * N / 100 + 0.999) - 1];
		uint64_t got = histogram_percentile(&h, percents[i]);

		assert_true(got >= exact && got - exact <= exact / 128);
	}
	free(values);
}

static void test_out_of_range(void **state)
{
	struct histogram h;

	(void)state;
	histogram_init(&h);
	histogram_record(&h, UINT64_C(1) << 60);
	histogram_record(&h, 5);
	assert_int_equal(histogram_percentile(&h, 50), 5);
	assert_true(histogram_percentile(&h, 100) == UINT64_C(1) << 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),	     cmocka_unit_test(test_small_values_exact),
		cmocka_unit_test(test_precision),    cmocka_unit_test(test_against_sorting),
		cmocka_unit_test(test_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
