/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_file.h: histories as text, for people and for cairn-check. One line per operation:
 *
 *   client op key argument result version start_ns end_ns outcome
 *
 * docs/testing.md, Histories, defines the fields. Lines that begin with # and empty ones mean
 * nothing. Keys appear in struct check_op as numbers: the reader counts the distinct ones.
 */
#ifndef CAIRN_TESTS_CHECK_FILE_H
#define CAIRN_TESTS_CHECK_FILE_H

#include <stdio.h>

#include "tests/check/check.h"

#define CHECK_FILE_HEAD "# client op key argument result version start_ns end_ns outcome\n"

/* check_file_kind_name: "get", "put", "del", "cas", "incr", "casv". Static storage. */
const char *check_file_kind_name(enum check_kind kind);

/*
 * check_file_write_line: appends op, whose key is key_bytes (1..KEY_BYTES_MAX) any bytes at key.
 * Errors show in ferror(file), as with everything written to it.
 */
void check_file_write_line(FILE *file, const struct check_op *op, const void *key,
			   uint32_t key_bytes);

/* What has been read so far; all zero at first. The arrays are its own. */
struct check_file {
	struct check_op *ops;
	uint64_t count, max;
	char **keys; /* keys[op.key]: as in the file, percent-encoded, with a final zero */
	uint64_t key_count, key_max;
	uint64_t *slots; /* hash table of key index + 1 */
	uint64_t slot_count;
};

/* Where the input is wrong, and what to do about it. */
struct check_file_problem {
	uint64_t line;	/* from 1 */
	char text[256]; /* names the field, its value, and the cure */
};

/*
 * check_file_read: appends every operation of the stream; several streams may be read one after
 * the other into one history, if their times are of one clock. 0; -EINVAL: see ret_problem, all
 * lines before are in f; -EIO: reading failed; -ENOMEM.
 */
int check_file_read(struct check_file *f, FILE *file, struct check_file_problem *ret_problem);

/* check_file_free: gives the arrays back; f is all zero again. */
void check_file_free(struct check_file *f);

#endif
