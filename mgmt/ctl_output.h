/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_output.h: everything cairnctl prints. Data goes to standard output as a table, as JSON or
 * plain (tab separated); errors, notes and progress go to standard error. An error says what failed
 * with which value and what was wanted, then what cures it, and carries a stable id that
 * docs/operating.md lists.
 */
#ifndef CAIRN_MGMT_CTL_OUTPUT_H
#define CAIRN_MGMT_CTL_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "mgmt/ctl_proto.h"

enum ctl_format {
	CTL_TABLE, /* default on a terminal */
	CTL_PLAIN, /* default elsewhere */
	CTL_JSON,
};

/* ctl_output_fail: prints the error, returns code. cure may be NULL. */
int ctl_output_fail(enum ctl_exit code, const char *id, const char *cure, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* ctl_output_note: one line of progress or remark on standard error. */
void ctl_output_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ctl_output_format: the format of "-o text" (NULL: by terminal). false: unknown. */
bool ctl_output_format(const char *text, enum ctl_format *ret_format);

/*
 * ctl_output_rows: an array of flat objects as a table or as plain lines. columns: keys of the
 * objects, also the headings, NULL-terminated. A missing or null member shows as "-".
 */
void ctl_output_rows(enum ctl_format format, bool no_header, const char *const *columns,
		     const json_t *rows);

/*
 * ctl_output_json: prints the object after a "schema" member; takes the reference.
 * CTL_EXIT_OK, or CTL_EXIT_FAILED (with its error) when standard output could not take it.
 */
int ctl_output_json(const char *schema, json_t *object);

/* ctl_output_broken: standard output has refused something; ask soon after a write. */
bool ctl_output_broken(void);

/* ctl_output_flush: CTL_EXIT_OK, or CTL_EXIT_FAILED with an error when standard output is full or
 * closed. */
int ctl_output_flush(void);

#endif
