/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checker against hand-written violations, and against an exhaustive search (Wing and Gong) on
 * random small histories, valid by construction and perturbed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "tests/check/check.h"

#define INFINITE UINT64_MAX

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
	expect_violation(ops, 3, "stale read");
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
	expect_violation(ops, 3, "more or fewer increments");
	result = judge(ops, 4);
	assert_true(result.ok);
	assert_int_equal(result.unknown_applied, 2);
	ops[3].start_ns = 7; /* began after its effect was seen */
	expect_violation(ops, 4, "no operation can have written it");
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

/* ---- exhaustive search ---- */

#define SMALL_MAX 8

struct state {
	struct op_ts ts;
	uint64_t value;
	bool present, is_number;
};

struct search {
	struct check_op ops[SMALL_MAX];
	struct op_ts seen[2 * SMALL_MAX];
	uint32_t count, seen_count;
	uint64_t version_max;
};

static bool search(const struct search *s, uint32_t done, struct state now);

static bool is_update(const struct check_op *o)
{
	return o->kind != CHECK_GET && o->outcome == STATUS_OK;
}

static bool is_judged(const struct check_op *o)
{
	return o->outcome == STATUS_OK || o->outcome == STATUS_NOT_FOUND ||
	       (o->outcome == STATUS_CONFLICT && o->kind == CHECK_CAS);
}

static bool same_ts(struct op_ts a, struct op_ts b)
{
	return op_ts_compare(a, b) == 0;
}

static struct op_ts base_of(const struct check_op *o)
{
	return (struct op_ts) { o->base, o->base_writer };
}

/* May the read-modify-write o happen in this state and install ts? */
static bool may_update(const struct check_op *o, const struct state *now, struct op_ts ts)
{
	if (op_ts_compare(ts, now->ts) <= 0)
		return false;
	if (o->kind == CHECK_CAS && !same_ts(base_of(o), (struct op_ts) { 0, 0 }))
		return same_ts(now->ts, base_of(o));
	if (o->kind == CHECK_CAS)
		return !now->present;
	if (o->kind == CHECK_INCR)
		return ts.version == now->ts.version + 1 && (!now->present || now->is_number);
	return true;
}

static struct state updated(const struct check_op *o, const struct state *now, struct op_ts ts)
{
	struct state next = { ts, o->value, o->kind != CHECK_DEL, o->is_number };

	if (o->kind == CHECK_INCR) {
		next.value = (now->present ? now->value : 0) + o->base;
		next.is_number = true;
	}
	return next;
}

static bool may_read(const struct check_op *o, const struct state *now)
{
	struct op_ts ts = { o->version, o->writer };

	if (!same_ts(ts, now->ts))
		return false;
	if (o->outcome == STATUS_CONFLICT)
		return !same_ts(ts, base_of(o)) &&
		       (!same_ts(base_of(o), (struct op_ts) { 0, 0 }) || now->present);
	if (o->outcome == STATUS_NOT_FOUND)
		return !now->present;
	return now->present && now->value == o->value && now->is_number == o->is_number;
}

static bool search_unknown(const struct search *s, uint32_t done, const struct state *now,
			   const struct check_op *o)
{
	for (uint32_t k = 0; k < s->seen_count; k++)
		if (may_update(o, now, s->seen[k]) && search(s, done, updated(o, now, s->seen[k])))
			return true;
	for (uint64_t v = now->ts.version; v <= s->version_max; v++) {
		struct op_ts ts = { v, UINT32_MAX };

		if (may_update(o, now, ts) && search(s, done, updated(o, now, ts)))
			return true;
	}
	return false;
}

static bool search_op(const struct search *s, uint32_t done, const struct state *now, uint32_t i)
{
	const struct check_op *o = &s->ops[i];
	struct op_ts ts = { o->version, o->writer };
	struct state next;

	done |= 1u << i;
	if (o->outcome == STATUS_UNKNOWN)
		return search_unknown(s, done, now, o);
	if (!is_update(o))
		return may_read(o, now) && search(s, done, *now);
	if (!may_update(o, now, ts))
		return false;
	next = updated(o, now, ts);
	if (next.present && (next.value != o->value || next.is_number != o->is_number))
		return false;
	return search(s, done, next);
}

static bool search(const struct search *s, uint32_t done, struct state now)
{
	uint64_t end = INFINITE;

	for (uint32_t i = 0; i < s->count; i++)
		if (!(done & 1u << i) && s->ops[i].end_ns < end)
			end = s->ops[i].end_ns;
	if (end == INFINITE)
		return true; /* only UNKNOWN ones are left: they never happened */
	for (uint32_t i = 0; i < s->count; i++)
		if (!(done & 1u << i) && s->ops[i].start_ns <= end && search_op(s, done, &now, i))
			return true;
	return false;
}

static bool brute_force(const struct check_op *ops, uint32_t count)
{
	struct search s = { .count = 0 };

	for (uint32_t i = 0; i < count; i++) {
		const struct check_op *o = &ops[i];

		if (o->outcome == STATUS_UNKNOWN && o->kind != CHECK_GET) {
			s.ops[s.count] = *o;
			s.ops[s.count++].end_ns = INFINITE;
		}
		if (!is_judged(o))
			continue;
		if (is_update(o) && o->version == 0 && o->writer == 0)
			return false;
		s.ops[s.count++] = *o;
		s.seen[s.seen_count++] = (struct op_ts) { o->version, o->writer };
		if (o->kind == CHECK_CAS && is_update(o) &&
		    !same_ts(base_of(o), (struct op_ts) { 0, 0 }))
			s.seen[s.seen_count++] = base_of(o);
		s.version_max = max_u64(s.version_max, o->version + 1);
	}
	return search(&s, 0, (struct state) { 0 });
}

/* ---- random histories ---- */

static uint64_t random_state;

static uint32_t rnd(uint32_t n)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((random_state >> 33) % n);
}

static struct check_op blank(uint32_t i)
{
	struct check_op o = { .client = i, .kind = (uint8_t)rnd(CHECK_KIND_COUNT) };

	if (o.kind == CHECK_INCR)
		o.base = 1 + rnd(2);
	if (o.kind == CHECK_PUT || o.kind == CHECK_CAS)
		check_number(&o, 10 * (1 + (int64_t)i));
	if (o.kind == CHECK_PUT && rnd(3) == 0)
		o.is_number = 0;
	return o;
}

/* Runs o on a correct register and writes down what it answered. */
static void run_op(struct check_op *o, struct state *now, const struct op_ts *old, uint32_t olds)
{
	uint32_t rmw = o->kind == CHECK_CAS || o->kind == CHECK_INCR;
	struct op_ts ts = { now->ts.version + (rmw ? 1 : 2), 1 + rnd(2) };
	struct op_ts base = rnd(3) ? now->ts : old[rnd(olds)];

	if (!rmw && now->ts.version > 0 && now->ts.writer == 1 && rnd(4) == 0)
		ts = (struct op_ts) { now->ts.version, 2 }; /* two coordinators at once */
	if (o->kind == CHECK_CAS) {
		if (rnd(4) == 0)
			base = (struct op_ts) { 0, 0 };
		o->base = base.version;
		o->base_writer = base.writer;
	}
	o->outcome = STATUS_OK;
	if (o->kind != CHECK_GET && may_update(o, now, ts) && (o->kind != CHECK_DEL || rnd(8))) {
		*now = updated(o, now, ts);
		o->value = now->present ? now->value : 0;
		o->is_number = now->present && now->is_number;
	} else if (o->kind == CHECK_INCR) {
		o->outcome = STATUS_BUSY;
	} else if (o->kind == CHECK_CAS) {
		o->outcome = STATUS_CONFLICT;
	} else {
		o->outcome = now->present ? STATUS_OK : STATUS_NOT_FOUND;
		if (now->present && o->kind == CHECK_GET) {
			o->value = now->value;
			o->is_number = now->is_number;
		} else if (now->present) {
			o->outcome = STATUS_BUSY;
		}
	}
	o->version = now->ts.version;
	o->writer = now->ts.writer;
}

static uint32_t valid_history(struct check_op *ops)
{
	uint32_t count = 2 + rnd(SMALL_MAX - 2), olds = 1;
	struct op_ts old[SMALL_MAX + 1] = { { 0, 0 } };
	struct state now = { 0 };

	for (uint32_t i = 0; i < count; i++) {
		uint64_t moment = 10 * (i + 1), before = rnd(25), after = rnd(25);

		ops[i] = blank(i);
		if (rnd(7) == 0) {
			/* No answer: its effect, or none. */
			struct check_op effect = ops[i];

			if (rnd(3))
				run_op(&effect, &now, old, olds);
			ops[i].base = effect.base;
			ops[i].base_writer = effect.base_writer;
			ops[i].outcome = STATUS_UNKNOWN;
		} else {
			run_op(&ops[i], &now, old, olds);
		}
		/* Only what some reply carried may be expected by a CAS. */
		if (is_judged(&ops[i]))
			old[olds++] = (struct op_ts) { ops[i].version, ops[i].writer };
		ops[i].start_ns = 100 + moment - before;
		ops[i].end_ns = 100 + moment + after;
	}
	return count;
}

static void perturb(struct check_op *ops, uint32_t count)
{
	struct check_op *o = &ops[rnd(count)], *other = &ops[rnd(count)];

	switch (rnd(8)) {
	case 0:
		o->version = other->version;
		o->writer = other->writer;
		break;
	case 1:
		o->value = other->value;
		o->is_number = other->is_number || o->kind == CHECK_INCR;
		break;
	case 2:
		o->start_ns = other->start_ns;
		o->end_ns = max_u64(o->start_ns, o->end_ns);
		break;
	case 3:
		o->end_ns = max_u64(o->start_ns, other->end_ns);
		break;
	case 4:
		o->version += rnd(3);
		break;
	case 5:
		o->writer = 1 + rnd(2);
		break;
	case 6:
		o->outcome = (uint8_t)(rnd(2) ? STATUS_UNKNOWN : STATUS_BUSY);
		break;
	default:
		o->base = other->version;
		break;
	}
}

/* The cases check.h lists as possibly missed: several UNKNOWN updates and an INCR or CAS. */
static bool may_miss(const struct check_op *ops, uint32_t count)
{
	uint32_t unknown = 0, rmw = 0;

	for (uint32_t i = 0; i < count; i++) {
		unknown += ops[i].outcome == STATUS_UNKNOWN && ops[i].kind != CHECK_GET;
		rmw += ops[i].kind == CHECK_INCR || ops[i].kind == CHECK_CAS;
	}
	return unknown > 1 && rmw > 0;
}

static void print_history(const struct check_op *ops, uint32_t count)
{
	static const char *const kinds[] = { "GET", "PUT", "DEL", "CAS", "INCR" };

	for (uint32_t i = 0; i < count; i++)
		print_error("%s %s ts %lu.%u base %lu.%u value %lu%s [%lu, %lu]\n",
			    kinds[ops[i].kind], status_name((enum status)ops[i].outcome),
			    (unsigned long)ops[i].version, ops[i].writer,
			    (unsigned long)ops[i].base, ops[i].base_writer,
			    (unsigned long)ops[i].value, ops[i].is_number ? "" : "#",
			    (unsigned long)ops[i].start_ns, (unsigned long)ops[i].end_ns);
}

/* The checker's verdict equals the search's on one random history; counts what was missed. */
static void compare_one(uint64_t seed, uint32_t totals[3])
{
	struct check_op ops[SMALL_MAX];
	struct check_result result;
	bool truth;
	uint32_t count, changes;

	random_state = seed;
	count = valid_history(ops);
	changes = rnd(2) ? 1 + rnd(2) : 0;
	for (uint32_t i = 0; i < changes; i++)
		perturb(ops, count);
	truth = brute_force(ops, count);
	result = judge(ops, count);
	totals[truth ? 0 : 1]++;
	if (result.ok == truth)
		return;
	if (result.ok && may_miss(ops, count)) {
		totals[2]++;
		return;
	}
	print_history(ops, count);
	fail_msg("seed %lu: search says %d, checker says %d: %s", (unsigned long)seed, truth,
		 result.ok, result.text);
}

static void test_against_search(void **state)
{
	uint32_t totals[3] = { 0 };

	(void)state;
	for (uint64_t seed = 1; seed <= 1000000; seed++)
		compare_one(seed * 0x9e3779b97f4a7c15ull, totals);
	print_message("histories: %u linearizable, %u not, %u of these not decided\n", totals[0],
		      totals[1], totals[2]);
	assert_true(totals[0] > 100000);
	assert_true(totals[1] > 30000);
	assert_true(totals[2] * 100 < totals[1]);
}

/* ---- size ---- */

/* One key, `clients` overlapping clients, every second operation a read. */
static uint64_t judge_large(uint64_t count, uint32_t clients)
{
	struct check_op *ops = calloc(count, sizeof(*ops));
	struct timespec t0, t1;
	uint64_t version = 0;

	assert_non_null(ops);
	for (uint64_t i = 0; i < count; i++) {
		bool put = i % 2 == 0;

		version += put ? 2 : 0;
		ops[i] = at(op(put ? CHECK_PUT : CHECK_GET, STATUS_OK, version, NULL), 10 * i + 10,
			    10 * i + 10 + 10ull * (clients - 1));
		ops[i].client = (uint32_t)(i % clients);
		ops[i].value = version;
	}
	clock_gettime(CLOCK_MONOTONIC, &t0);
	assert_true(judge(ops, count).ok);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	free(ops);
	return (uint64_t)(t1.tv_sec - t0.tv_sec) * 1000 + (uint64_t)(t1.tv_nsec / 1000000) -
	       (uint64_t)(t0.tv_nsec / 1000000);
}

static void test_large(void **state)
{
	const char *count = getenv("CHECK_LARGE_OPS");
	uint64_t ops = count ? strtoull(count, NULL, 10) : 500000;

	(void)state;
	print_message("%lu operations of 256 clients on one key: %lu ms\n", (unsigned long)ops,
		      (unsigned long)judge_large(ops, 256));
}

int main(void)
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
		cmocka_unit_test(test_against_search),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
