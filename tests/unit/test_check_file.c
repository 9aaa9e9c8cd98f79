/* SPDX-License-Identifier: Apache-2.0 */
/* Histories as text: what is written reads back the same; what is wrong is named with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/check/check_file.h"

static struct check_file_problem problem;

static int read_text(struct check_file *f, const char *text)
{
	FILE *file = fmemopen((void *)text, strlen(text), "r");
	int rc;

	assert_non_null(file);
	rc = check_file_read(f, file, &problem);
	fclose(file);
	return rc;
}

/* Writes the operations under keys of their own and reads them back. */
static void write_and_read(const struct check_op *ops, uint32_t count, char *text, size_t room,
			   struct check_file *ret_file)
{
	FILE *file = fmemopen(text, room, "w");

	assert_non_null(file);
	fputs(CHECK_FILE_HEAD, file);
	for (uint32_t i = 0; i < count; i++)
		check_file_write_line(file, &ops[i], ops[i].key ? "k\0 %/1" : "-",
				      ops[i].key ? 6 : 1);
	assert_int_equal(fclose(file), 0);
	*ret_file = (struct check_file) { 0 };
	if (read_text(ret_file, text) != 0)
		fail_msg("line %lu: %s", (unsigned long)problem.line, problem.text);
	assert_int_equal(ret_file->count, count);
}

static void test_round_trip(void **state)
{
	uint32_t writer = writer_make(6, INCARNATION_MAX);
	struct check_op ops[] = {
		{ .kind = CHECK_PUT, .value = 0x1234567812345678ull, .version = 2 },
		{ .kind = CHECK_PUT, .value = (uint64_t)INT64_MIN, .is_number = 1, .version = 4 },
		{ .kind = CHECK_GET, .value = INT64_MAX, .is_number = 1, .version = 4 },
		{ .kind = CHECK_GET, .outcome = STATUS_NOT_FOUND, .version = 9 },
		{ .kind = CHECK_GET, .outcome = STATUS_UNKNOWN, .key = 1 },
		{ .kind = CHECK_DEL, .version = UINT64_MAX >> 2, .key = 1 },
		{ .kind = CHECK_CAS, .base = 4, .base_writer = writer, .value = 7, .version = 5 },
		{ .kind = CHECK_CAS, .outcome = STATUS_CONFLICT, .value = 7, .version = 5 },
		{ .kind = CHECK_INCR, .base = (uint64_t)-3, .value = 4, .is_number = 1 },
		{ .kind = CHECK_INCR, .outcome = STATUS_OVERFLOW, .base = 3, .version = 8 },
		{ .kind = CHECK_CASV, .base = 5, .base_is_number = 1, .value = 8, .version = 9 },
		{ .kind = CHECK_CASV, .outcome = STATUS_EVICTED, .base = 5, .value = 8 },
	};
	char text[4096];
	struct check_file f;

	(void)state;
	for (uint32_t i = 0; i < ARRAY_LEN(ops); i++) {
		bool named = ops[i].version && ops[i].outcome == STATUS_OK;

		ops[i].writer = named ? writer : 0;
		ops[i].start_ns = 1000 + i;
		ops[i].end_ns = i % 2 ? UINT64_MAX : 1000 + i;
		ops[i].client = i ? UINT32_MAX - i : 0;
	}
	write_and_read(ops, ARRAY_LEN(ops), text, sizeof(text), &f);
	assert_memory_equal(f.ops, ops, sizeof(ops));
	assert_int_equal(f.key_count, 2);
	assert_string_equal(f.keys[0], "-");
	assert_string_equal(f.keys[1], "k%00%20%25/1");
	assert_non_null(strstr(text, "\n0 put - #1234567812345678 - 2.6.16777215 1000 1000 OK\n"));
	assert_non_null(strstr(text, " incr - -3 4 0.0.0 "));
	assert_non_null(strstr(text, " casv - 5,#0000000000000008 - 9.6.16777215 "));
	check_file_free(&f);
	assert_null(f.ops);
}

/* Two files, one history; thousands of keys. */
static void test_append(void **state)
{
	struct check_file f = { 0 };
	char line[128];

	(void)state;
	for (uint32_t i = 0; i < 5000; i++) {
		snprintf(line, sizeof(line), "# part\r\n\n1\tdel  key%u - - 2.1.1 1 2 OK\r\n",
			 i % 3000);
		assert_int_equal(read_text(&f, line), 0);
	}
	assert_int_equal(f.count, 5000);
	assert_int_equal(f.key_count, 3000);
	assert_true(f.ops[3001].key == f.ops[1].key && f.ops[3000].key != f.ops[1].key);
	assert_string_equal(f.keys[f.ops[4999].key], "key1999");
	check_file_free(&f);
}

static void test_bad_input(void **state)
{
	static const struct {
		const char *line, *text;
	} bad[] = {
		{ "1 get k - - - 1 2\n", "fields '8'" },
		{ "1 get k - - - 1 2 OK x\n", "fields '10'" },
		{ "x get k - - - 1 2 UNKNOWN\n", "client 'x'" },
		{ "4294967296 get k - - - 1 2 UNKNOWN\n", "below 2^32" },
		{ "1 peek k - - - 1 2 OK\n", "op 'peek'" },
		{ "1 get %2 - - - 1 2 BUSY\n", "key '%2'" },
		{ "1 get %61 - - - 1 2 BUSY\n", "key '%61'" },
		{ "1 get a%2f - - - 1 2 BUSY\n", "key 'a%2f'" },
		{ "1 get k 1 - - 1 2 BUSY\n", "argument '1'" },
		{ "1 put k - - 1.1.1 1 2 OK\n", "argument of put" },
		{ "1 put k #123 - 1.1.1 1 2 OK\n", "argument of put" },
		{ "1 put k 9223372036854775808 - 1.1.1 1 2 OK\n", "argument of put" },
		{ "1 cas k 1.1 - 1.1.1 1 2 OK\n", "argument of cas" },
		{ "1 cas k 1.1.1 - 1.1.1 1 2 OK\n", "after the comma" },
		{ "1 casv k ,1 - 1.1.1 1 2 OK\n", "argument of casv" },
		{ "1 incr k #0123456789abcdef 1 1.1.1 1 2 OK\n", "argument of incr" },
		{ "1 incr k 1 #0123456789abcdef 1.1.1 1 2 OK\n", "result of incr" },
		{ "1 get k - - 1.1.1 1 2 OK\n", "result '-'" },
		{ "1 get k - 1 1.1.1 1 2 NOT_FOUND\n", "result '1'" },
		{ "1 get k - 1 - 1 2 OK\n", "version '-'" },
		{ "1 get k - 1 1.256.1 1 2 OK\n", "version '1.256.1'" },
		{ "1 get k - 1 1.1.16777216 1 2 OK\n", "version" },
		{ "1 get k - 1 18446744073709551616.1.1 1 2 OK\n", "version" },
		{ "1 get k - 1 1.1.1 -1 2 OK\n", "start_ns '-1'" },
		{ "1 get k - 1 1.1.1 3 2 OK\n", "end_ns '2'" },
		{ "1 get k - - - 1 2 PERHAPS\n", "outcome 'PERHAPS'" },
		{ "1 get k - - - 1 2 UNKNOWN", "cut off" },
	};
	char text[256];

	(void)state;
	for (uint32_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct check_file f = { 0 };

		snprintf(text, sizeof(text), "%s\n1 del k - - 2.1.1 1 2 OK\n%s", "# head",
			 bad[i].line);
		assert_int_equal(read_text(&f, text), -22);
		assert_int_equal(problem.line, 3);
		assert_int_equal(f.count, 1);
		if (!strstr(problem.text, bad[i].text))
			fail_msg("expected \"%s\" in: %s", bad[i].text, problem.text);
		check_file_free(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_bad_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
