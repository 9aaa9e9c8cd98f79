/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl_args.h: the command table of cairnctl and what reads it. One static table (ctl.c) is the
 * source of the parser, of every help text and of `cairnctl --dump-commands`. A command is found by
 * its full words; abbreviations are refused, with the nearest command named, so that scripts stay
 * true.
 *
 * Options may stand anywhere after the program name: --name VALUE, --name=VALUE, -x VALUE. "--"
 * ends them; a lone "-" is an argument (standard input), and so is a negative number.
 */
#ifndef CAIRN_MGMT_CTL_ARGS_H
#define CAIRN_MGMT_CTL_ARGS_H

#include <stdio.h>

#include "mgmt/ctl_output.h"

#define CTL_OPTIONS_MAX	  24u /* of one command, the common ones included */
#define CTL_ARGUMENTS_MAX 4u

struct ctl_option {
	const char *name;  /* long name without dashes; NULL ends a list */
	const char *value; /* name of its value in help; NULL: a flag */
	const char *help;
	char letter; /* 0: none */
};

struct ctl_call;

struct ctl_command {
	const char *path;			 /* words with one space between: "kv put" */
	const char *arguments;			 /* as help shows them: "KEY VALUE|-" */
	const char *summary;			 /* one line */
	const char *help;			 /* further lines; NULL: none */
	const struct ctl_option *options;	 /* NULL: only the common ones */
	int (*run)(const struct ctl_call *call); /* returns enum ctl_exit */
	unsigned argument_min, argument_max;
};

/* A parsed command line; everything points into argv. */
struct ctl_call {
	const struct ctl_command *table; /* the whole table, ends with path NULL */
	const struct ctl_command *command;
	const char *argument[CTL_ARGUMENTS_MAX];
	unsigned argument_count;
	enum ctl_format format;
	bool no_header;
	bool help;
	unsigned option_count;
	const struct ctl_option *option[CTL_OPTIONS_MAX];
	const char *value[CTL_OPTIONS_MAX];
};

/*
 * ctl_args_parse: CTL_EXIT_OK and *ret_call filled, or CTL_EXIT_USAGE after an error was printed.
 * A bare group ("kv") parses as help for the group (command NULL, argument[0] the group).
 */
int ctl_args_parse(const struct ctl_command *table, int argc, char **argv,
		   struct ctl_call *ret_call);

/* ctl_args_option: the option's value, "" for a flag that is set, NULL when it was not given. */
const char *ctl_args_option(const struct ctl_call *call, const char *name);

/*
 * ctl_args_number, _bytes, _duration: the option's value as a number (decimal; bytes take KiB, MiB,
 * GiB, KB, MB, GB; durations take us, ms, s, m and come back in ns). Absent: *value keeps what it
 * was. CTL_EXIT_OK, or CTL_EXIT_USAGE after naming the option, the text and the range in an error.
 */
struct ctl_range {
	uint64_t min, max;
};
int ctl_args_number(const struct ctl_call *call, const char *name, struct ctl_range range,
		    uint64_t *value);
int ctl_args_bytes(const struct ctl_call *call, const char *name, struct ctl_range range,
		   uint64_t *value);
int ctl_args_duration(const struct ctl_call *call, const char *name, struct ctl_range range,
		      uint64_t *value_ns);

/* ctl_args_u64: a whole string as an unsigned decimal number; false when it is not one. */
bool ctl_args_u64(const char *text, uint64_t *ret_value);

/* ctl_args_help: prints help for everything, a group or one command; CTL_EXIT_USAGE for an unknown
 * one. */
int ctl_args_help(const struct ctl_command *table, const char *path, FILE *out);

/* ctl_args_dump: the table as JSON (schema 1). */
void ctl_args_dump(const struct ctl_command *table, FILE *out);

#endif
