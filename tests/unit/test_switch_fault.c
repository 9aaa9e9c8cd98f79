/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dataplane/switch_fault.h"

#define FRAMES 200000u

static struct switch_fault_spec parse(const char *text)
{
	struct switch_fault_spec spec = { 0 };
	const char *bad;
	uint32_t bytes;

	assert_int_equal(switch_fault_parse(text, &spec, &bad, &bytes), 0);
	return spec;
}

static void specification(void **state)
{
	(void)state;
	struct switch_fault_spec s =
		parse("seed=7,drop=5%,dup=0.25%,reorder=100%,hold=10-20,corrupt=0.0001%,"
		      "truncate=3.5%,replay=0%");

	assert_int_equal(s.seed, 7);
	assert_int_equal(s.drop, 50000);
	assert_int_equal(s.duplicate, 2500);
	assert_int_equal(s.delay, 1000000);
	assert_int_equal(s.hold_min_ns, 10000);
	assert_int_equal(s.hold_max_ns, 20000);
	assert_int_equal(s.corrupt, 1);
	assert_int_equal(s.truncate, 35000);
	assert_int_equal(s.replay, 0);
	s = parse("");
	assert_int_equal(s.drop, 0);
	assert_int_equal(s.hold_max_ns, 500000);
	assert_true(parse("seed=18446744073709551615").seed == UINT64_MAX);
}

static void bad_specification_names_the_part(void **state)
{
	(void)state;
	const char *const bad_parts[] = {
		"drop",
		"drop=",
		"drop=5",
		"drop=101%",
		"drop=100.1%",
		"drop=-1%",
		"drop=1.23456%",
		"drop=5%%",
		"drop=%",
		"drops=5%",
		"hold=5",
		"hold=20-10",
		"hold=1-99999999",
		"port=33",
		"port=x",
		"seed=x",
		"seed=1%",
		"seed=18446744073709551616",
		"=5%",
		"drop=1.%",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad_parts); i++) {
		char text[100];
		struct switch_fault_spec spec = { .drop = 77 };
		const char *bad = NULL;
		uint32_t bytes = 0;

		snprintf(text, sizeof(text), "dup=1%%,%s,seed=3", bad_parts[i]);
		assert_int_equal(switch_fault_parse(text, &spec, &bad, &bytes), -EINVAL);
		assert_ptr_equal(bad, text + 7);
		assert_int_equal(bytes, strlen(bad_parts[i]));
		assert_int_equal(spec.drop, 77);
	}
}

static uint64_t mix(uint64_t digest, uint64_t v)
{
	return (digest ^ v) * 0x100000001b3ull;
}

/* Digest of the fates of frames on link 1 -> 2 while link 0 -> 3 sees `other` frames for each. */
static uint64_t fates(const char *text, uint32_t other)
{
	struct switch_fault *f = calloc(1, sizeof(*f));
	struct switch_fault_spec spec = parse(text);
	uint64_t digest = 0xcbf29ce484222325ull;

	switch_fault_set(f, &spec);
	for (uint32_t i = 0; i < 5000; i++) {
		struct switch_fault_plan p;

		for (uint32_t k = 0; k < other; k++)
			switch_fault_draw(f, 0, 3, 100, &p);
		switch_fault_draw(f, 1, 2, 60 + i % 1400, &p);
		digest = mix(mix(mix(digest, p.copies), p.bytes), (uint64_t)p.flip_bit);
		digest = mix(mix(mix(digest, p.hold_ns[0]), p.hold_ns[1]), p.replay_draw);
	}
	free(f);
	return digest;
}

static void same_seed_same_fates_on_each_link(void **state)
{
	(void)state;
	static const char text[] =
		"seed=9,drop=10%,dup=10%,delay=10%,corrupt=10%,truncate=10%,"
		"replay=10%";

	assert_true(fates(text, 0) == fates(text, 0));
	assert_true(fates(text, 0) == fates(text, 3));
	assert_true(fates(text, 0) != fates("seed=10,drop=10%,dup=10%,delay=10%,corrupt=10%,"
					    "truncate=10%,replay=10%",
					    0));
}

static void assert_rate(uint64_t count, uint64_t of, uint32_t ppm)
{
	uint64_t expected = of * ppm / SWITCH_FAULT_PPM;

	assert_in_range(count, expected - expected / 20, expected + expected / 20);
}

static void rates_and_ranges(void **state)
{
	(void)state;
	struct switch_fault *f = calloc(1, sizeof(*f));
	struct switch_fault_spec spec =
		parse("drop=10%,dup=20%,delay=30%,hold=40-90,corrupt=15%,truncate=12%,replay=8%");
	uint64_t passed = 0, copies = 0, replays = 0;

	switch_fault_set(f, &spec);
	assert_true(f->active);
	for (uint32_t i = 0; i < FRAMES; i++) {
		struct switch_fault_plan p;

		switch_fault_draw(f, 4, 5, 100, &p);
		if (p.copies == 0)
			continue;
		passed++;
		copies += p.copies;
		replays += p.replay;
		assert_in_range(p.bytes, SWITCH_FAULT_BYTES_MIN, 100);
		assert_true(p.flip_bit < (int64_t)p.bytes * 8 && p.flip_bit >= -1);
		for (uint32_t k = 0; k < 2; k++)
			assert_true(p.hold_ns[k] == 0 ||
				    (p.hold_ns[k] >= 40000 && p.hold_ns[k] <= 90000));
	}
	assert_rate(f->counters.dropped, FRAMES, spec.drop);
	assert_rate(f->counters.duplicated, passed, spec.duplicate);
	assert_rate(f->counters.delayed, copies, spec.delay);
	assert_rate(f->counters.corrupted, passed, spec.corrupt);
	assert_rate(f->counters.truncated, passed, spec.truncate);
	assert_rate(replays, passed, spec.replay);
	free(f);
}

static void off_changes_nothing(void **state)
{
	(void)state;
	struct switch_fault *f = calloc(1, sizeof(*f));
	struct switch_fault_spec spec = parse("drop=100%");
	struct switch_fault_plan p;

	assert_false(f->active);
	switch_fault_set(f, &spec);
	switch_fault_draw(f, 0, 1, 60, &p);
	assert_int_equal(p.copies, 0);
	switch_fault_off(f);
	assert_false(f->active);
	switch_fault_draw(f, 0, 1, 60, &p);
	assert_int_equal(p.copies, 1);
	assert_int_equal(p.bytes, 60);
	assert_int_equal(p.flip_bit, -1);
	assert_int_equal(p.hold_ns[0], 0);
	assert_false(p.replay);
	free(f);
}

static bool passes(struct switch_fault *f, uint32_t in, uint32_t out)
{
	struct switch_fault_plan p;

	switch_fault_draw(f, in, out, 60, &p);
	return p.copies == 1;
}

static void one_port_alone(void **state)
{
	(void)state;
	struct switch_fault *f = calloc(1, sizeof(*f));
	struct switch_fault_spec spec = parse("drop=100%,port=0");

	switch_fault_set(f, &spec);
	assert_false(passes(f, 0, 1));
	assert_false(passes(f, 2, 0));
	assert_true(passes(f, 2, 1));
	assert_true(passes(f, 1, 3));
	switch_fault_off(f);
	assert_true(passes(f, 0, 1));
	free(f);
}

static void partitions_are_directed(void **state)
{
	(void)state;
	struct switch_fault *f = calloc(1, sizeof(*f));

	switch_fault_block(f, 1u << 0, 1u << 1 | 1u << 2);
	assert_true(f->active);
	assert_false(passes(f, 0, 1));
	assert_false(passes(f, 0, 2));
	assert_true(passes(f, 1, 0));
	assert_true(passes(f, 0, 3));
	assert_int_equal(f->counters.partitioned, 2);
	switch_fault_off(f);
	assert_false(passes(f, 0, 1));
	switch_fault_heal(f);
	assert_false(f->active);
	assert_true(passes(f, 0, 1));
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(specification),
		cmocka_unit_test(bad_specification_names_the_part),
		cmocka_unit_test(same_seed_same_fates_on_each_link),
		cmocka_unit_test(rates_and_ranges),
		cmocka_unit_test(off_changes_nothing),
		cmocka_unit_test(one_port_alone),
		cmocka_unit_test(partitions_are_directed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
