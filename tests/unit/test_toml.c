/* SPDX-License-Identifier: Apache-2.0 */
/* test_toml.c: what the TOML subset accepts, what it refuses and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mgmt/toml.h"
#include "replication/base.h"

static void accepts_values(void **state)
{
	static const char text[] =
		"\xef\xbb\xbf# head\r\n[a-b_1] # table\n"
		"i = 1_000\nn = -0x1f\nm = +7\no = 0o17\nb = 0b101\n"
		"s = \"q\\\"\\\\\\u00e9\\t\" # end\nl = 'C:\\x'\n"
		"t = true\nf = false\n"
		"[[ peer ]]\nlist = [1,\n  2, # two\n 3,]\nwords = ['x', \"yz\", '']\nnone = []";
	static const int64_t integers[] = { 1000, -31, 7, 15, 5 };
	struct toml_reader r;
	struct toml_item item;

	(void)state;
	toml_init(&r, text, sizeof(text) - 1);
	assert_int_equal(toml_next(&r, &item), 1);
	assert_int_equal(item.kind, TOML_TABLE);
	assert_string_equal(item.name, "a-b_1");
	assert_int_equal(item.pos.line, 2);
	assert_int_equal(item.pos.column, 2);
	for (size_t i = 0; i < ARRAY_LEN(integers); i++) {
		assert_int_equal(toml_next(&r, &item), 1);
		assert_int_equal(item.value.type, TOML_INTEGER);
		assert_true(item.value.integer == integers[i]);
	}
	assert_int_equal(toml_next(&r, &item), 1);
	assert_string_equal(item.value.string, "q\"\\\xc3\xa9\t");
	assert_int_equal(item.value.pos.column, 5);
	assert_int_equal(toml_next(&r, &item), 1);
	assert_string_equal(item.value.string, "C:\\x");
	assert_int_equal(toml_next(&r, &item), 1);
	assert_true(item.value.type == TOML_BOOLEAN && item.value.boolean);
	assert_int_equal(toml_next(&r, &item), 1);
	assert_true(item.value.type == TOML_BOOLEAN && !item.value.boolean);
	assert_int_equal(toml_next(&r, &item), 1);
	assert_int_equal(item.kind, TOML_TABLE_ARRAY);
	assert_int_equal(toml_next(&r, &item), 1);
	assert_int_equal(item.value.count, 3);
	assert_true(item.value.integers[2] == 3);
	assert_int_equal(toml_next(&r, &item), 1);
	assert_int_equal(item.value.count, 3);
	assert_int_equal(item.value.item_type, TOML_STRING);
	assert_memory_equal(item.value.string, "x\0yz\0", 6);
	assert_int_equal(toml_next(&r, &item), 1);
	assert_int_equal(item.value.count, 0);
	assert_int_equal(toml_next(&r, &item), 0);
	assert_int_equal(toml_next(&r, &item), 0);
}

static void refuses(void **state)
{
	static const struct {
		const char *text;
		uint32_t line, column;
		const char *error;
	} cases[] = {
		{ "[a", 1, 3, "expected ']' after the table name, found end of file" },
		{ "[[a]", 1, 4, "expected ']]' after the table name, found ']'" },
		{ "[]", 1, 2, "expected a table name, found ']'" },
		{ "[a.b]", 1, 3, "dotted names are not supported here: use [table] and key" },
		{ "[a] b", 1, 5, "expected the end of the line after a table name, found 'b'" },
		{ "\n\na", 3, 2, "expected '=' after \"a\", found end of file" },
		{ "\"a\" = 1", 1, 1, "quoted key names are not supported here: write it bare" },
		{ "a = ", 1, 5, "expected a value, found end of file" },
		{ "a = \n", 1, 5, "expected a value, found end of line" },
		{ "a = yes", 1, 5, "\"yes\" needs quotes" },
		{ "a = 1.5", 1, 5, "floating-point numbers are not supported here" },
		{ "a = 2026-01-01", 1, 5, "dates and times are not supported here: use a string" },
		{ "a = 64MiB", 1, 5, "not a number (sizes such as \"64MiB\" need quotes)" },
		{ "a = 007", 1, 5, "a decimal number must not start with 0" },
		{ "a = 9223372036854775808", 1, 5, "number does not fit 64 bits" },
		{ "a = 99999999999999999999999", 1, 5, "number does not fit 64 bits" },
		{ "a = 0x", 1, 5, "not a number (sizes such as \"64MiB\" need quotes)" },
		{ "a = {}", 1, 5, "inline tables are not supported here: use [table]" },
		{ "a = \"x", 1, 5, "string is not closed on its line: missing \"" },
		{ "a = 'x\ny'", 1, 5, "string is not closed on its line: missing '" },
		{ "a = \"\"\"x\"\"\"", 1, 5, "multi-line strings are not supported here" },
		{ "a = \"\\q\"", 1, 6, "unknown escape: backslash and 'q'" },
		{ "a = \"\\u12\"", 1, 6, "\\u needs four hex digits" },
		{ "a = \"\\u0000\"", 1, 6, "\\u0000 is not a character" },
		{ "a = \"\x01\"", 1, 6, "control character 0x01 in a string" },
		{ "a = [1, 'x']", 1, 9, "array mixes integers and strings" },
		{ "a = [true]", 1, 6, "arrays hold integers or strings" },
		{ "a = [[1]]", 1, 6, "arrays in arrays are not supported here" },
		{ "a = [1 2]", 1, 8, "expected ',' or ']' in an array, found '2'" },
		{ "a = [1,\n", 2, 1, "expected a value, found end of file" },
		{ "a = 1 b = 2", 1, 7, "expected the end of the line after the value, found 'b'" },
		{ "= 1", 1, 1, "expected a key name, found '='" },
		{ "# \x02", 1, 3, "control character 0x02 in a comment" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct toml_reader r;
		struct toml_item item;
		int rc;

		toml_init(&r, cases[i].text, strlen(cases[i].text));
		while ((rc = toml_next(&r, &item)) > 0)
			;
		assert_true(rc < 0);
		assert_string_equal(r.error, cases[i].error);
		assert_int_equal(r.error_pos.line, cases[i].line);
		assert_int_equal(r.error_pos.column, cases[i].column);
	}
}

/* Lengths at their limits, one below and one above. */
static void holds_limits(void **state)
{
	char text[TOML_STRING_BYTES_MAX + 64], name[TOML_NAME_BYTES_MAX + 2];
	struct toml_reader r;
	struct toml_item item;

	(void)state;
	for (uint32_t extra = 0; extra < 2; extra++) {
		int n = snprintf(text, sizeof(text), "a = '%0*d'",
				 (int)(TOML_STRING_BYTES_MAX + extra), 0);
		toml_init(&r, text, (size_t)n);
		assert_int_equal(toml_next(&r, &item) > 0, extra == 0);
		snprintf(name, sizeof(name), "%0*d", (int)(TOML_NAME_BYTES_MAX + extra), 0);
		n = snprintf(text, sizeof(text), "%s = 1", name);
		toml_init(&r, text, (size_t)n);
		assert_int_equal(toml_next(&r, &item) > 0, extra == 0);
		n = snprintf(text, sizeof(text), "a = [1");
		for (uint32_t i = 1; i < TOML_ARRAY_MAX + extra; i++)
			n += snprintf(text + n, sizeof(text) - (size_t)n, ",1");
		n += snprintf(text + n, sizeof(text) - (size_t)n, "]");
		toml_init(&r, text, (size_t)n);
		assert_int_equal(toml_next(&r, &item) > 0, extra == 0);
	}
}

/* Every prefix of a good text, in memory of exactly its size: sanitizers see any step past its end.
 */
static void survives_truncation(void **state)
{
	static const char text[] =
		"[a]\r\ns = \"x\\u00e9\\n\"\nn = [0x1_f, -2]\n[[p]]\nt = true # c\r\n";

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		char *copy = malloc(n ? n : 1);
		struct toml_reader r;
		struct toml_item item;
		int rc, items = 0;

		assert_non_null(copy);
		memcpy(copy, text, n);
		toml_init(&r, copy, n);
		while ((rc = toml_next(&r, &item)) > 0)
			items++;
		assert_true(items <= 5);
		assert_true(rc == 0 || r.error[0] != 0);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_values),
		cmocka_unit_test(refuses),
		cmocka_unit_test(holds_limits),
		cmocka_unit_test(survives_truncation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
