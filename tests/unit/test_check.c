/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checker against hand-written violations, against an exhaustive search (tests/check/brute.h)
 * on random small histories, and on five million operations. Argument: how many small histories.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/check/brute.h"
#include "tests/check/check.h"
#include "tests/check/make.h"

/* ---- building histories ---- */

static struct check_op op(enum check_kind kind, enum status outcome, uint64_t version,
			  const char *value)
{
	struct check_op o = { .kind = (uint8_t)kind,
			      .outcome = (uint8_t)outcome,
			      .version = version,
			      .writer = version ? 1 : 0 };

	if (value)
		check_value(&o, value, (uint32_t)strlen(value));
	return o;
}

static struct check_op at(struct check_op o, uint64_t start, uint64_t end)
{
	o.start_ns = start;
	o.end_ns = end;
	return o;
}

static struct check_op on(struct check_op o, uint64_t base)
{
	o.base = base;
	o.base_writer = o.kind == CHECK_CAS && base ? 1 : 0;
	return o;
}

static struct check_result judge(const struct check_op *ops, uint64_t count)
{
	struct check_result result;

	assert_int_equal(check_history(ops, count, &result), 0);
	return result;
}

static void expect_violation(const struct check_op *ops, uint64_t count, const char *text)
{
	struct check_result result = judge(ops, count);

	assert_false(result.ok);
	if (!strstr(result.text, text))
		fail_msg("expected \"%s\" in: %s", text, result.text);
}

/* ---- hand-written cases ---- */

static void test_empty_and_simple(void **state)
{
	struct check_op ops[] = {
		at(op(CHECK_GET, STATUS_NOT_FOUND, 0, NULL), 1, 2),
		at(op(CHECK_PUT, STATUS_OK, 2, "a"), 3, 9),
		at(op(CHECK_GET, STATUS_NOT_FOUND, 0, NULL), 4, 5),
		at(op(CHECK_GET, STATUS_OK, 2, "a"), 6, 7),
		at(op(CHECK_PUT, STATUS_BUSY, 0, "lost"), 6, 7),
		at(on(op(CHECK_CAS, STATUS_OK, 3, "b"), 2), 10, 11),
		at(on(op(CHECK_CAS, STATUS_CONFLICT, 3, "c"), 2), 12, 13),
		at(op(CHECK_DEL, STATUS_OK, 5, NULL), 14, 15),
		at(on(op(CHECK_INCR, STATUS_OK, 6, "7"), 7), 16, 17),
		at(op(CHECK_GET, STATUS_OK, 6, "7"), 18, 19),
	};
	struct check_result result = judge(ops, 0);

	(void)state;
	assert_true(result.ok);
	result = judge(ops, ARRAY_LEN(ops));
	if (!result.ok)
		fail_msg("%s", result.text);
	assert_int_equal(result.keys, 1);
	assert_int_equal(result.versions, 4);
	ops[0].kind = CHECK_KIND_COUNT;
	assert_int_equal(check_history(ops, 1, &result), -22);
}

static void test_values(void **state)
{
	static const char *const hashed[] = { "",
					      "-",
					      "-0",
					      "01",
					      "+1",
					      "1 ",
					      "9223372036854775808",
					      "-9223372036854775809",
					      "99999999999999999999" };
	struct check_op o = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(hashed); i++) {
		check_value(&o, hashed[i], (uint32_t)strlen(hashed[i]));
		assert_false(o.is_number);
	}
	check_value(&o, "-9223372036854775808", 20);
	assert_true(o.is_number);
	assert_true(o.value == (uint64_t)1 << 63);
	check_value(&o, "9223372036854775807", 19);
	assert_true(o.is_number && o.value == INT64_MAX);
	check_value(&o, "0", 1);
	assert_true(o.is_number && o.value == 0);
}

static void test_stale_read(void **state)
{
	struct check_op ops[] = {
		at(op(CHECK_PUT, STATUS_OK, 2, "a"), 1, 2),
		at(op(CHECK_PUT, STATUS_OK, 4, "b"), 3, 4),
		at(op(CHECK_GET, STATUS_OK, 2, "a"), 5, 6),
	};

	(void)state;
	expect_violation(ops, 3, "stale read");
	ops[2].start_ns = 4; /* overlaps the second put by an instant */
	assert_true(judge(ops, 3).ok);
	ops[2] = at(op(CHECK_GET, STATUS_NOT_FOUND, 0, NULL), 5, 6);
	expect_violation(ops, 3, "nothing can have deleted it");
}

static void test_read_backwards(void **state)
{
	struct check_op ops[] = {
		at(op(CHECK_PUT, STATUS_OK, 2, "a"), 1, 20),
		at(op(CHECK_PUT, STATUS_OK, 4, "b"), 1, 20),
		at(op(CHECK_GET, STATUS_OK, 4, "b"), 5, 6),
		at(op(CHECK_GET, STATUS_OK, 2, "a"), 7, 8),
	};

	(void)state;
	expect_violation(ops, 4, "stale read");
}

static void test_lost_update(void **state)
{
	struct check_op ops[] = {
		at(op(CHECK_PUT, STATUS_OK, 2, "5"), 1, 2),
		at(on(op(CHECK_INCR, STATUS_OK, 3, "6"), 1), 3, 9),
		at(on(op(CHECK_INCR, STATUS_OK, 4, "6"), 1), 3, 9),
	};

	(void)state;
	expect_violation(ops, 3, "lost update");
	check_value(&ops[2], "7", 1);
	assert_true(judge(ops, 3).ok);
	/* A put between an INCR and its base, with a tied version: Hermes must not let that happen.
	 */
	ops[2] = at(op(CHECK_PUT, STATUS_OK, 2, "100"), 1, 9);
	ops[2].writer = 2;
	expect_violation(ops, 3, "lost update");
}

static void test_resurrected_delete(void **state)
{
	struct check_op ops[] = {
		at(op(CHECK_PUT, STATUS_OK, 2, "a"), 1, 2),
		at(op(CHECK_DEL, STATUS_OK, 4, NULL), 3, 4),
		at(op(CHECK_GET, STATUS_OK, 4, "a"), 5, 6),
	};

	(void)state;
	expect_violation(ops, 3, "two contents under one version");
	ops[2] = at(op(CHECK_GET, STATUS_OK, 2, "a"), 5, 6);
	expect_violation(ops, 3, "stale read");
}

static void test_double_apply(void **state)
{
	struct check_op ops[] = {
		at(op(CHECK_PUT, STATUS_OK, 2, "a"), 1, 9),
		at(op(CHECK_PUT, STATUS_OK, 4, "b"), 1, 2),
		at(op(CHECK_GET, STATUS_OK, 6, "a"), 5, 6),
		at(op(CHECK_GET, STATUS_OK, 8, "a"), 7, 8),
	};

	(void)state;
	expect_violation(ops, 3, "no operation can have written it");
	ops[0].outcome = STATUS_UNKNOWN;
	assert_true(judge(ops, 3).ok);
	expect_violation(ops, 4, "no operation can have written it");
}

static void test_double_incr(void **state)
{
	struct check_op ops[] = {
		at(op(CHECK_PUT, STATUS_OK, 2, "0"), 1, 2),
		at(on(op(CHECK_INCR, STATUS_UNKNOWN, 0, NULL), 1), 3, 4),
		at(on(op(CHECK_INCR, STATUS_OK, 5, "3"), 1), 5, 6),
		at(on(op(CHECK_INCR, STATUS_UNKNOWN, 0, NULL), 1), 3, 4),
	};
	struct check_result result;

	(void)state;
	expect_violation(ops, 3, "lost update");
	result = judge(ops, 4);
	assert_true(result.ok);
	assert_int_equal(result.unknown_applied, 2);
	ops[3].start_ns = 7; /* began after its effect was seen */
	expect_violation(ops, 4, "lost update");
}

static void test_never_written(void **state)
{
	struct check_op ops[] = {
		at(op(CHECK_PUT, STATUS_NO_SPACE, 0, "a"), 1, 2),
		at(op(CHECK_GET, STATUS_OK, 2, "a"), 3, 4),
	};

	(void)state;
	expect_violation(ops, 2, "no operation can have written it");
	ops[0].outcome = STATUS_UNKNOWN;
	assert_true(judge(ops, 2).ok);
	ops[0].start_ns = 5; /* read before it was sent */
	expect_violation(ops, 2, "no operation can have written it");
	ops[1] = at(op(CHECK_GET, STATUS_OK, 0, "a"), 3, 4);
	expect_violation(ops, 2, "two contents under one version");
}

static void test_cas(void **state)
{
	struct check_op ops[] = {
		at(op(CHECK_PUT, STATUS_OK, 2, "a"), 1, 2),
		at(on(op(CHECK_CAS, STATUS_OK, 3, "b"), 2), 3, 9),
		at(on(op(CHECK_CAS, STATUS_OK, 3, "c"), 2), 3, 9),
	};

	(void)state;
	ops[2].writer = 2;
	expect_violation(ops, 3, "not right after the version it expected");
	ops[2] = at(on(op(CHECK_CAS, STATUS_CONFLICT, 2, "c"), 2), 3, 9);
	expect_violation(ops, 3, "conflicted with the very version");
	ops[2] = at(on(op(CHECK_CAS, STATUS_OK, 4, "c"), 0), 10, 11);
	expect_violation(ops, 3, "expected no value");
	ops[2] = at(on(op(CHECK_CAS, STATUS_NOT_FOUND, 3, "c"), 2), 10, 11);
	expect_violation(ops, 3, "two contents under one version");
}

static void test_one_version_twice(void **state)
{
	struct check_op ops[] = {
		at(op(CHECK_PUT, STATUS_OK, 2, "a"), 1, 2),
		at(op(CHECK_PUT, STATUS_OK, 2, "b"), 1, 2),
	};

	(void)state;
	expect_violation(ops, 2, "two updates carry one version");
	ops[1].writer = 3;
	assert_true(judge(ops, 2).ok);
	ops[1] = at(op(CHECK_PUT, STATUS_OK, 4, "b"), 1, 2);
	ops[0] = at(op(CHECK_PUT, STATUS_OK, 6, "a"), 0, 0);
	expect_violation(ops, 2, "too late in version order");
	ops[1].key = 7; /* keys have nothing to do with each other */
	assert_true(judge(ops, 2).ok);
}

/* ---- collected tombstones, compare on value, retries ---- */

static struct check_op absent_at(uint64_t version, uint64_t start, uint64_t end)
{
	struct check_op o = at(op(CHECK_GET, STATUS_NOT_FOUND, version, NULL), start, end);

	o.writer = 0;
	return o;
}

static void test_collected(void **state)
{
	struct check_op ops[] = {
		absent_at(3, 0, 1),
		at(op(CHECK_PUT, STATUS_OK, 5, "a"), 2, 3),
		at(op(CHECK_DEL, STATUS_OK, 7, NULL), 4, 5),
		absent_at(9, 6, 7),
		at(op(CHECK_GET, STATUS_NOT_FOUND, 7, NULL), 8, 9), /* by a node that remembers */
		absent_at(8, 10, 11),
		at(on(op(CHECK_INCR, STATUS_OK, 10, "1"), 1), 12, 13),
	};

	(void)state;
	assert_true(judge(ops, 7).ok);
	ops[6].version = 9; /* not above the absence */
	expect_violation(ops, 7, "came too late in version order");
	ops[6] = at(op(CHECK_PUT, STATUS_OK, 3, "b"), 2, 3);
	expect_violation(ops, 7, "came too late in version order");
	ops[6] = at(op(CHECK_GET, STATUS_OK, 9, "a"), 12, 13);
	ops[6].writer = 0;
	expect_violation(ops, 7, "two contents under one version");
	ops[2].outcome = STATUS_BUSY;
	expect_violation(ops, 4, "nothing can have deleted it");
	ops[2].outcome = STATUS_UNKNOWN;
	assert_true(judge(ops, 4).ok);
	ops[2].start_ns = 8;
	expect_violation(ops, 4, "nothing can have deleted it");
}

/* A read that names no version lies at any absence that time allows. */
static void test_absence_without_version(void **state)
{
	struct check_op ops[] = {
		at(op(CHECK_PUT, STATUS_OK, 2, "a"), 1, 2),
		at(op(CHECK_DEL, STATUS_OK, 4, NULL), 3, 4),
		absent_at(0, 5, 6),
		at(op(CHECK_GET, STATUS_NOT_FOUND, 4, NULL), 7, 8), /* by a node that remembers */
		absent_at(0, 9, 10),
		at(on(op(CHECK_INCR, STATUS_OK, 9, "1"), 1), 11, 12),
		absent_at(0, 0, 1),
	};

	(void)state;
	assert_true(judge(ops, 7).ok);
	ops[6] = absent_at(0, 3, 3); /* while the delete is on its way */
	assert_true(judge(ops, 7).ok);
	ops[1].start_ns = 4;
	expect_violation(ops, 7, "nothing can have deleted it");
	ops[6] = absent_at(0, 13, 14);
	expect_violation(ops, 7, "nothing can have deleted it");
	ops[6] = at(on(op(CHECK_CAS, STATUS_CONFLICT, 0, "b"), 0), 9, 10);
	ops[6].writer = 0;
	expect_violation(ops, 7, "conflicted with the very absence");
}

/* The same, at an absence that nobody saw otherwise. */
static void test_absence_nobody_saw(void **state)
{
	struct check_op ops[] = {
		at(op(CHECK_PUT, STATUS_OK, 2, "5"), 1, 2),
		at(op(CHECK_DEL, STATUS_UNKNOWN, 0, NULL), 3, 4),
		absent_at(0, 5, 8),
		absent_at(0, 9, 10),
		at(op(CHECK_PUT, STATUS_OK, 4, "7"), 7, 20),
		at(op(CHECK_GET, STATUS_OK, 4, "7"), 11, 12),
	};

	(void)state;
	assert_true(judge(ops, 6).ok);
	assert_int_equal(judge(ops, 6).unknown_applied, 1);
	/* The second one began when the put had been seen: it would need a delete of its own. */
	ops[3] = absent_at(0, 13, 14);
	expect_violation(ops, 6, "nothing can have deleted it");
	ops[3].start_ns = 12;
	assert_true(judge(ops, 5).ok);
	/* Nothing may come between a version and the CAS that expected it. */
	ops[3] = absent_at(0, 9, 10);
	ops[4] = at(on(op(CHECK_CAS, STATUS_OK, 3, "7"), 2), 7, 20);
	ops[5].version = 3;
	assert_false(judge(ops, 6).ok);
	ops[3] = absent_at(0, 21, 22);
	ops[2] = absent_at(0, 23, 24);
	assert_true(judge(ops, 6).ok);
}

static struct check_op casv(enum status outcome, uint64_t version, const char *expected,
			    const char *value)
{
	struct check_op o = op(CHECK_CASV, outcome, version, value);

	check_expect(&o, expected, (uint32_t)strlen(expected));
	return o;
}

static void test_casv(void **state)
{
	struct check_op ops[] = {
		at(op(CHECK_PUT, STATUS_OK, 1, "a"), 1, 2), /* a retried put may step by one */
		at(casv(STATUS_OK, 2, "a", "b"), 3, 4),
		at(casv(STATUS_CONFLICT, 2, "a", "c"), 5, 6),
		at(casv(STATUS_OK, 3, "b", "b"), 7, 8),
		at(op(CHECK_DEL, STATUS_OK, 5, NULL), 9, 10),
		at(casv(STATUS_CONFLICT, 5, "b", "c"), 11, 12),
		at(casv(STATUS_CONFLICT, 6, "b", "c"), 11, 12),
	};

	(void)state;
	ops[6].writer = 0;
	assert_true(judge(ops, 7).ok);
	ops[2] = at(casv(STATUS_CONFLICT, 2, "b", "c"), 5, 6);
	expect_violation(ops, 7, "conflicted with the very value");
	ops[2] = at(casv(STATUS_OK, 6, "b", "c"), 11, 12);
	expect_violation(ops, 6, "not right after the value it expected");
	ops[3] = at(casv(STATUS_OK, 4, "b", "b"), 7, 8); /* its number must be one higher */
	expect_violation(ops, 5, "not right after the value it expected");
}

/* A put-if-absent conflicts with a value only, and a compare with something else. */
static void test_wrong_conflict(void **state)
{
	struct check_op ops[] = {
		at(op(CHECK_PUT, STATUS_OK, 2, "1"), 1, 2),
		at(op(CHECK_DEL, STATUS_OK, 4, NULL), 3, 4),
		at(on(op(CHECK_CAS, STATUS_CONFLICT, 4, "a"), 0), 5, 6),
	};

	(void)state;
	expect_violation(ops, 3, "conflicted with the very absence");
	ops[2] = at(on(op(CHECK_INCR, STATUS_OVERFLOW, 2, NULL), 1), 1, 2);
	expect_violation(ops, 3, "two contents under one version");
	check_value(&ops[0], "9223372036854775807", 19);
	assert_true(judge(ops, 3).ok);
	ops[2].outcome = STATUS_NOT_A_NUMBER;
	expect_violation(ops, 3, "two contents under one version");
}

/* Chains of operations that nobody saw, and what competes for them. */
static void test_chains(void **state)
{
	struct check_op ops[] = {
		at(op(CHECK_PUT, STATUS_OK, 2, "a"), 1, 2),
		at(op(CHECK_DEL, STATUS_UNKNOWN, 0, NULL), 3, 4),
		at(on(op(CHECK_INCR, STATUS_UNKNOWN, 0, NULL), 5), 3, 4),
		at(casv(STATUS_UNKNOWN, 0, "5", "7"), 3, 4),
		at(on(op(CHECK_INCR, STATUS_OK, 6, "8"), 1), 5, 6),
		at(on(op(CHECK_CAS, STATUS_OK, 9, "x"), 0), 7, 8),
	};
	struct check_result result = judge(ops, 5);

	(void)state;
	if (!result.ok)
		fail_msg("%s", result.text);
	assert_int_equal(result.unknown_applied, 3);
	assert_int_equal(result.versions, 5);
	/* DEL 3, INCR 4, CASV 5 is the only way; the CAS wants the one DEL, too. */
	expect_violation(ops, 6, "expected no value and succeeded");
	ops[4].version = 4;
	expect_violation(ops, 5, "lost update");
}

/* More ways than can be tried: that is said, and is no success. */
static void test_undecided(void **state)
{
	struct check_op ops[41];
	struct check_result result;

	(void)state;
	for (uint32_t i = 0; i < 40; i++)
		ops[i] = at(on(op(CHECK_INCR, STATUS_UNKNOWN, 0, NULL), 2000 + 2 * i * i), 1, 2);
	ops[40] = at(on(op(CHECK_INCR, STATUS_OK, 21, "50001"), 0), 3, 4);
	result = judge(ops, 41);
	assert_false(result.ok);
	assert_int_equal(result.undecided, 1);
	assert_non_null(strstr(result.text, "undecided"));
}

/* ---- against the exhaustive search ---- */

static void print_history(const struct check_op *ops, uint32_t count)
{
	static const char *const kinds[] = { "GET", "PUT", "DEL", "CAS", "INCR", "CASV" };

	for (uint32_t i = 0; i < count; i++)
		print_error("%s %s ts %lu.%u base %lu.%u value %lu%s [%lu, %lu]\n",
			    kinds[ops[i].kind], status_name((enum status)ops[i].outcome),
			    (unsigned long)ops[i].version, ops[i].writer,
			    (unsigned long)ops[i].base, ops[i].base_writer,
			    (unsigned long)ops[i].value, ops[i].is_number ? "" : "#",
			    (unsigned long)ops[i].start_ns, (unsigned long)ops[i].end_ns);
}

/* The hard ones: several updates without an answer, and a read-modify-write. */
static bool is_hard(const struct check_op *ops, uint32_t count)
{
	uint32_t unknown = 0, rmw = 0;

	for (uint32_t i = 0; i < count; i++) {
		unknown += (ops[i].outcome == STATUS_UNKNOWN || ops[i].outcome == STATUS_EVICTED) &&
			   ops[i].kind != CHECK_GET;
		rmw += ops[i].kind == CHECK_INCR || ops[i].kind == CHECK_CAS ||
		       ops[i].kind == CHECK_CASV;
	}
	return unknown > 1 && rmw > 0;
}

static uint64_t small_count = 1000000;

static void test_against_search(void **state)
{
	uint64_t all[2] = { 0 }, hard[2] = { 0 };
	struct check_op ops[MAKE_SMALL_MAX];

	(void)state;
	for (uint64_t seed = 1; seed <= small_count; seed++) {
		uint32_t count = make_small(seed, ops);
		bool truth = brute_check(ops, count);
		struct check_result result = judge(ops, count);

		all[truth]++;
		hard[truth] += is_hard(ops, count);
		if (result.ok == truth && result.undecided == 0)
			continue;
		print_history(ops, count);
		fail_msg("seed %lu: the search says %d, the checker %d: %s", (unsigned long)seed,
			 truth, result.ok, result.text);
	}
	print_message("%lu histories: %lu linearizable, %lu not; hard ones %lu, %lu\n",
		      (unsigned long)small_count, (unsigned long)all[1], (unsigned long)all[0],
		      (unsigned long)hard[1], (unsigned long)hard[0]);
	for (int i = 0; i < 2; i++) {
		assert_true(all[i] * 10 >= small_count * 3);
		assert_true(hard[i] * 20 >= small_count);
	}
}

/* ---- size ---- */

static void judge_large(uint64_t count, uint32_t unknown_one_in)
{
	struct check_op *ops = calloc(count, sizeof(*ops));
	struct check_result result;
	uint64_t late = count / 2;

	assert_non_null(ops);
	make_large(1, ops, count, 256, unknown_one_in);
	result = judge(ops, count);
	if (!result.ok)
		fail_msg("%s", result.text);
	assert_int_equal(result.keys, 1);
	assert_true(unknown_one_in == 0 || result.unknown_applied > 0);
	/* One read among them that is 256 operations late. */
	while (ops[late].kind != CHECK_GET || ops[late].outcome != STATUS_OK)
		late++;
	ops[late].start_ns += 256 * 20;
	ops[late].end_ns += 256 * 20;
	assert_false(judge(ops, count).ok);
	free(ops);
}

/* How long it takes is for the benchmark to tell (cairn-check --bench). */
static void test_large(void **state)
{
	(void)state;
	judge_large(5 * small_count, 0);
	judge_large(small_count, 1000);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_and_simple),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_stale_read),
		cmocka_unit_test(test_read_backwards),
		cmocka_unit_test(test_lost_update),
		cmocka_unit_test(test_resurrected_delete),
		cmocka_unit_test(test_double_apply),
		cmocka_unit_test(test_double_incr),
		cmocka_unit_test(test_never_written),
		cmocka_unit_test(test_cas),
		cmocka_unit_test(test_one_version_twice),
		cmocka_unit_test(test_collected),
		cmocka_unit_test(test_absence_without_version),
		cmocka_unit_test(test_absence_nobody_saw),
		cmocka_unit_test(test_casv),
		cmocka_unit_test(test_wrong_conflict),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_undecided),
		cmocka_unit_test(test_against_search),
		cmocka_unit_test(test_large),
	};

	if (argc > 1)
		small_count = strtoull(argv[1], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
