/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/ctl_output.h"

#include <errno.h>
#include <libsmartcols.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int ctl_output_fail(enum ctl_exit code, const char *id, const char *cure, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "cairnctl: error %s: ", id);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	if (cure)
		fprintf(stderr, "  fix: %s\n", cure);
	return code;
}

void ctl_output_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

bool ctl_output_format(const char *text, enum ctl_format *ret_format)
{
	if (!text)
		*ret_format = isatty(STDOUT_FILENO) ? CTL_TABLE : CTL_PLAIN;
	else if (strcmp(text, "table") == 0)
		*ret_format = CTL_TABLE;
	else if (strcmp(text, "plain") == 0)
		*ret_format = CTL_PLAIN;
	else if (strcmp(text, "json") == 0)
		*ret_format = CTL_JSON;
	else
		return false;
	return true;
}

/* The text of one cell: strings as they are, everything else as JSON writes it. */
static const char *cell_text(const json_t *row, const char *column, char *buffer, size_t bytes)
{
	const json_t *value = json_object_get(row, column);

	if (!value || json_is_null(value))
		return "-";
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_boolean(value))
		return json_is_true(value) ? "yes" : "no";
	if (json_is_integer(value))
		snprintf(buffer, bytes, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		snprintf(buffer, bytes, "%.3f", json_number_value(value));
	return buffer;
}

static void rows_plain(bool no_header, const char *const *columns, const json_t *rows)
{
	const json_t *row;
	char buffer[64];
	size_t i, c;

	if (!no_header) {
		for (c = 0; columns[c]; c++)
			printf("%s%s", c ? "\t" : "", columns[c]);
		putchar('\n');
	}
	json_array_foreach((json_t *)rows, i, row)
	{
		for (c = 0; columns[c]; c++)
			printf("%s%s", c ? "\t" : "",
			       cell_text(row, columns[c], buffer, sizeof(buffer)));
		putchar('\n');
	}
}

void ctl_output_rows(enum ctl_format format, bool no_header, const char *const *columns,
		     const json_t *rows)
{
	struct libscols_table *table;
	struct libscols_line *line;
	const json_t *row;
	char buffer[64];
	size_t i, c;

	scols_init_debug(0);
	table = format == CTL_TABLE ? scols_new_table() : NULL;
	if (!table) {
		rows_plain(no_header, columns, rows);
		return;
	}
	scols_table_enable_noheadings(table, no_header);
	for (c = 0; columns[c]; c++)
		scols_table_new_column(table, columns[c], 0, 0);
	json_array_foreach((json_t *)rows, i, row)
	{
		line = scols_table_new_line(table, NULL);
		for (c = 0; line && columns[c]; c++)
			scols_line_set_data(line, c,
					    cell_text(row, columns[c], buffer, sizeof(buffer)));
	}
	scols_print_table(table);
	scols_unref_table(table);
}

static int broken_errno; /* of the first write that failed; later calls overwrite errno */

bool ctl_output_broken(void)
{
	if (ferror(stdout) && broken_errno == 0)
		broken_errno = errno ? errno : EIO;
	return broken_errno != 0;
}

int ctl_output_flush(void)
{
	if (!ctl_output_broken()) {
		errno = 0;
		if (fflush(stdout) == 0 && !ctl_output_broken())
			return CTL_EXIT_OK;
		if (broken_errno == 0)
			broken_errno = errno ? errno : EIO;
	}
	return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0709",
			       "give standard output a place with enough room",
			       "standard output: %s", strerror(broken_errno));
}

int ctl_output_json(const char *schema, json_t *object)
{
	json_t *whole = json_pack("{s:s}", CTL_FIELD_SCHEMA, schema);

	json_object_update(whole, object);
	json_dumpf(whole, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(whole);
	json_decref(object);
	return ctl_output_flush();
}
