/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toml.h: reads the subset of TOML that a Cairn configuration needs, one item at a time, without
 * allocating: tables, arrays of tables, bare keys, basic and literal one-line strings, integers
 * (decimal, hex, octal, binary, underscores), booleans, arrays of integers or of strings. Floats,
 * dates, inline tables, dotted or quoted keys and multi-line strings are refused by name. Every
 * error has a line and a column, both from 1; columns count bytes, as editors' "go to" does for
 * ASCII. Any bytes may be fed: nothing is read past the end, and nothing is trusted.
 */
#ifndef CAIRN_MGMT_TOML_H
#define CAIRN_MGMT_TOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOML_NAME_BYTES_MAX   63u  /* of a table or key name */
#define TOML_STRING_BYTES_MAX 511u /* of one string value */
#define TOML_ARRAY_MAX	      64u  /* items of one array */
#define TOML_ERROR_BYTES      256u

enum toml_kind {
	TOML_TABLE,	  /* [name] */
	TOML_TABLE_ARRAY, /* [[name]] */
	TOML_KEY,	  /* name = value */
};

enum toml_type { TOML_STRING, TOML_INTEGER, TOML_BOOLEAN, TOML_ARRAY };

struct toml_pos {
	uint32_t line, column;
};

struct toml_value {
	enum toml_type type;
	enum toml_type item_type; /* TOML_ARRAY that is not empty */
	struct toml_pos pos;
	bool boolean;
	int64_t integer;
	uint32_t count;			  /* items of an array */
	int64_t integers[TOML_ARRAY_MAX]; /* items of an integer array */
	char string[TOML_STRING_BYTES_MAX +
		    1]; /* of a string; strings of an array, each with NUL */
};

struct toml_item {
	enum toml_kind kind;
	struct toml_pos pos; /* of the name */
	char name[TOML_NAME_BYTES_MAX + 1];
	struct toml_value value; /* TOML_KEY */
};

struct toml_reader {
	const char *text;
	size_t bytes, offset, line_start;
	uint32_t line;
	struct toml_pos error_pos;
	char error[TOML_ERROR_BYTES]; /* what is wrong and what would be right, no position */
};

/* toml_init: text stays the caller's and must outlive the reader. It needs no NUL at its end. */
void toml_init(struct toml_reader *r, const char *text, size_t bytes);

/*
 * toml_next: the next item. 1: *ret_item filled; 0: end of text; -EINVAL: r->error and
 * r->error_pos say what and where, and the reader is of no further use. *ret_item is scratch.
 */
int toml_next(struct toml_reader *r, struct toml_item *ret_item);

/* toml_type_name: "a string", "an integer", "true or false", "an array". */
const char *toml_type_name(enum toml_type type);

#endif
