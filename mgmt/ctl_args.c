/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/ctl_args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "replication/base.h"

static const struct ctl_option common_options[] = {
	{ "output", "table|json|plain",
	  "format of the data (default: table on a terminal, else plain)", 'o' },
	{ "no-header", NULL, "no heading line", 'H' },
	{ "help", NULL, "this help", 'h' },
	{ 0 },
};

/* Edit distance, for suggestions; words here are short. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[64], left, up, cost;
	size_t a_len = strlen(a), b_len = strlen(b);

	if (a_len >= ARRAY_LEN(row) || b_len >= ARRAY_LEN(row))
		return 100;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		left = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			cost = row[j - 1] + (a[i - 1] != b[j - 1]);
			up = row[j] + 1 < left + 1 ? row[j] + 1 : left + 1;
			row[j - 1] = left;
			left = cost < up ? cost : up;
		}
		row[b_len] = left;
	}
	return row[b_len];
}

static const char *nearest_option(const struct ctl_command *command, const char *name)
{
	const struct ctl_option *lists[] = { command ? command->options : NULL, common_options };
	const char *best = NULL;
	unsigned best_distance = 4, d;

	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		for (const struct ctl_option *o = lists[l]; o && o->name; o++) {
			d = distance(name, o->name);
			if (d < best_distance) {
				best_distance = d;
				best = o->name;
			}
		}
	}
	return best;
}

static const char *nearest_command(const struct ctl_command *table, const char *path)
{
	const char *best = NULL;
	unsigned best_distance = 4, d;

	for (; table->path; table++) {
		d = distance(path, table->path);
		if (d < best_distance) {
			best_distance = d;
			best = table->path;
		}
	}
	return best;
}

static const struct ctl_command *command_find(const struct ctl_command *table, const char *path)
{
	for (; table->path; table++)
		if (strcmp(table->path, path) == 0)
			return table;
	return NULL;
}

static bool group_exists(const struct ctl_command *table, const char *group)
{
	size_t n = strlen(group);

	for (; table->path; table++)
		if (strncmp(table->path, group, n) == 0 && table->path[n] == ' ')
			return true;
	return false;
}

static const struct ctl_option *option_find(const struct ctl_command *command, const char *name,
					    size_t name_bytes, char letter)
{
	const struct ctl_option *lists[] = { command ? command->options : NULL, common_options };

	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		for (const struct ctl_option *o = lists[l]; o && o->name; o++) {
			if (letter ? o->letter == letter
				   : strlen(o->name) == name_bytes &&
					     strncmp(o->name, name, name_bytes) == 0)
				return o;
		}
	}
	return NULL;
}

static int fail_option(const struct ctl_command *command, const char *word)
{
	const char *near = nearest_option(command, word + strspn(word, "-"));
	char cure[160];

	if (near)
		snprintf(cure, sizeof(cure), "did you mean --%s?", near);
	else
		snprintf(cure, sizeof(cure), "cairnctl help%s%s", command ? " " : "",
			 command ? command->path : "");
	return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0702", cure, "unknown option '%s'%s%s", word,
			       command ? " of " : "", command ? command->path : "");
}

static int fail_command(const struct ctl_command *table, const char *path)
{
	const char *near = nearest_command(table, path);
	char cure[160];

	if (near)
		snprintf(cure, sizeof(cure), "did you mean 'cairnctl %s'?", near);
	else
		snprintf(cure, sizeof(cure), "cairnctl help");
	return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0701", cure, "unknown command '%s'", path);
}

/* A word that starts with '-' but is data: "-" itself and negative numbers. */
static bool is_argument(const char *word)
{
	return word[0] != '-' || word[1] == '\0' || (word[1] >= '0' && word[1] <= '9');
}

/* One option at argv[*index]; moves *index past its value. */
static int parse_option(struct ctl_call *call, int argc, char **argv, int *index)
{
	const char *word = argv[*index];
	bool is_long = word[1] == '-';
	const char *name = word + (is_long ? 2 : 1);
	const char *equals = is_long ? strchr(name, '=') : NULL;
	size_t name_bytes = equals ? (size_t)(equals - name) : strlen(name);
	const struct ctl_option *o;
	const char *value = equals ? equals + 1 : NULL;

	o = is_long || name_bytes == 1
		    ? option_find(call->command, name, name_bytes, is_long ? 0 : name[0])
		    : NULL;
	if (!o)
		return fail_option(call->command, word);
	if (o->value && !value && *index + 1 < argc)
		value = argv[++*index];
	if (!o->value == !!value)
		return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0703", NULL, "option --%s %s%s",
				       o->name, o->value ? "needs a value: " : "takes no value",
				       o->value ? o->value : "");
	if (call->option_count == CTL_OPTIONS_MAX)
		return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0703", "give each option once",
				       "more than %u options", CTL_OPTIONS_MAX);
	call->option[call->option_count] = o;
	call->value[call->option_count++] = value ? value : "";
	return CTL_EXIT_OK;
}

/* Finds the command from the leading words; *index is left at the first word after it. */
static int parse_path(struct ctl_call *call, int argc, char **argv, int *index)
{
	static char path[128];
	int i = *index;

	snprintf(path, sizeof(path), "%s", argv[i]);
	if (group_exists(call->table, path)) {
		if (i + 1 >= argc || !is_argument(argv[i + 1])) {
			call->argument[0] = path;
			call->argument_count = 1;
			call->help = i + 1 < argc && strcmp(argv[i + 1], "--help") == 0;
			if (call->help || i + 1 >= argc)
				*index = argc;
			return i + 1 >= argc || call->help ? CTL_EXIT_OK
							   : fail_option(NULL, argv[i + 1]);
		}
		snprintf(path + strlen(path), sizeof(path) - strlen(path), " %s", argv[++i]);
	}
	call->command = command_find(call->table, path);
	*index = i + 1;
	return call->command ? CTL_EXIT_OK : fail_command(call->table, path);
}

static int parse_common(struct ctl_call *call)
{
	const char *output = ctl_args_option(call, "output");

	call->help = call->help || ctl_args_option(call, "help");
	call->no_header = ctl_args_option(call, "no-header") != NULL;
	if (!ctl_output_format(output, &call->format))
		return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0704", "use table, json or plain",
				       "output format '%s' does not exist", output);
	return CTL_EXIT_OK;
}

static int check_count(const struct ctl_call *call, unsigned count)
{
	const struct ctl_command *c = call->command;
	char cure[200];

	if (call->help || (count >= c->argument_min && count <= c->argument_max))
		return CTL_EXIT_OK;
	snprintf(cure, sizeof(cure), "usage: cairnctl %s %s", c->path, c->arguments);
	return ctl_output_fail(
		CTL_EXIT_USAGE, "CAIRN-0705", cure, "%s got %u arguments, wants %u%s%.0u", c->path,
		count, c->argument_min, c->argument_min == c->argument_max ? "" : " or more",
		c->argument_max);
}

int ctl_args_parse(const struct ctl_command *table, int argc, char **argv,
		   struct ctl_call *ret_call)
{
	struct ctl_call *call = ret_call;
	bool options_end = false;
	unsigned count = 0;
	int i = 1, rc;

	memset(call, 0, sizeof(*call));
	call->table = table;
	while (i < argc && !is_argument(argv[i])) {
		rc = parse_option(call, argc, argv, &i);
		if (rc)
			return rc;
		i++;
	}
	if (i < argc) {
		rc = parse_path(call, argc, argv, &i);
		if (rc)
			return rc;
	}
	for (; i < argc; i++) {
		if (!options_end && strcmp(argv[i], "--") == 0) {
			options_end = true;
		} else if (!options_end && !is_argument(argv[i])) {
			rc = parse_option(call, argc, argv, &i);
			if (rc)
				return rc;
		} else {
			if (count < CTL_ARGUMENTS_MAX)
				call->argument[count] = argv[i];
			count++;
		}
	}
	rc = parse_common(call);
	if (rc || !call->command)
		return rc;
	call->argument_count = count < CTL_ARGUMENTS_MAX ? count : CTL_ARGUMENTS_MAX;
	return check_count(call, count);
}

const char *ctl_args_option(const struct ctl_call *call, const char *name)
{
	for (unsigned i = call->option_count; i > 0; i--)
		if (strcmp(call->option[i - 1]->name, name) == 0)
			return call->value[i - 1];
	return NULL;
}

bool ctl_args_u64(const char *text, uint64_t *ret_value)
{
	char *end;
	uint64_t value;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end)
		return false;
	*ret_value = value;
	return true;
}

struct suffix {
	const char *name;
	uint64_t factor;
};

static const struct suffix suffix_none[] = { { "", 1 }, { 0 } };
static const struct suffix suffix_bytes[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "KiB", 1024 },
	{ "MiB", 1024 * 1024 },
	{ "GiB", 1ull << 30 },
	{ "KB", 1000 },
	{ "MB", 1000000 },
	{ "GB", 1000000000 },
	{ 0 },
};
static const struct suffix suffix_time[] = {
	{ "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 }, { "m", 60000000000ull }, { 0 },
};

static bool parse_suffixed(const char *text, const struct suffix *suffixes, uint64_t *ret_value)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t value;

	if (digits == 0 || digits > 19)
		return false;
	errno = 0;
	value = strtoull(text, NULL, 10);
	for (; suffixes->name; suffixes++)
		if (strcmp(text + digits, suffixes->name) == 0)
			return !errno &&
			       !__builtin_mul_overflow(value, suffixes->factor, ret_value);
	return false;
}

static int option_value(const struct ctl_call *call, const char *name, struct ctl_range range,
			const struct suffix *suffixes, uint64_t *value)
{
	const char *text = ctl_args_option(call, name);
	const char *units = suffixes == suffix_bytes  ? " bytes (KiB, MiB, GiB may follow)"
			    : suffixes == suffix_time ? " ns, written with us, ms, s or m"
						      : "";
	uint64_t parsed = 0;

	if (!text)
		return CTL_EXIT_OK;
	if (!parse_suffixed(text, suffixes, &parsed) || parsed < range.min || parsed > range.max)
		return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0706", NULL,
				       "--%s '%s' is not a number from %" PRIu64 " to %" PRIu64
				       "%s",
				       name, text, range.min, range.max, units);
	*value = parsed;
	return CTL_EXIT_OK;
}

int ctl_args_number(const struct ctl_call *call, const char *name, struct ctl_range range,
		    uint64_t *value)
{
	return option_value(call, name, range, suffix_none, value);
}

int ctl_args_bytes(const struct ctl_call *call, const char *name, struct ctl_range range,
		   uint64_t *value)
{
	return option_value(call, name, range, suffix_bytes, value);
}

int ctl_args_duration(const struct ctl_call *call, const char *name, struct ctl_range range,
		      uint64_t *value_ns)
{
	return option_value(call, name, range, suffix_time, value_ns);
}

static void help_options(const struct ctl_option *options, FILE *out)
{
	char left[80];

	for (; options && options->name; options++) {
		snprintf(left, sizeof(left), "--%s%s%s", options->name, options->value ? " " : "",
			 options->value ? options->value : "");
		fprintf(out, "  %c%c %-26s %s\n", options->letter ? '-' : ' ',
			options->letter ? options->letter : ' ', left, options->help);
	}
}

static void help_command(const struct ctl_command *c, FILE *out)
{
	fprintf(out, "usage: cairnctl %s%s%s [OPTIONS]\n\n%s.\n", c->path, *c->arguments ? " " : "",
		c->arguments, c->summary);
	if (c->help)
		fprintf(out, "\n%s\n", c->help);
	fprintf(out, "\noptions:\n");
	help_options(c->options, out);
	help_options(common_options, out);
}

static void help_list(const struct ctl_command *table, const char *group, FILE *out)
{
	size_t n = group ? strlen(group) : 0;
	char left[96];

	for (; table->path; table++) {
		if (group && (strncmp(table->path, group, n) != 0 || table->path[n] != ' '))
			continue;
		snprintf(left, sizeof(left), "%s %s", table->path, table->arguments);
		fprintf(out, "  %-34s %s\n", left, table->summary);
	}
}

int ctl_args_help(const struct ctl_command *table, const char *path, FILE *out)
{
	const struct ctl_command *c = path ? command_find(table, path) : NULL;

	if (c) {
		help_command(c, out);
		return CTL_EXIT_OK;
	}
	if (path && !group_exists(table, path))
		return fail_command(table, path);
	fprintf(out, "usage: cairnctl COMMAND [ARGUMENTS] [OPTIONS]\n\ncommands:\n");
	help_list(table, path, out);
	fprintf(out,
		"\n'cairnctl help COMMAND' tells more. Exit codes: 0 done, 1 failed, 2 usage,\n"
		"3 not found, 4 denied, 5 conflict, 6 unreachable, 7 outcome unknown, "
		"8 warnings.\n");
	return CTL_EXIT_OK;
}

static json_t *dump_options(const struct ctl_option *options)
{
	json_t *list = json_array();
	json_t *o;

	for (; options && options->name; options++) {
		o = json_pack("{s:s, s:s?, s:s}", "name", options->name, "value", options->value,
			      "help", options->help);
		if (options->letter)
			json_object_set_new(o, "letter", json_stringn(&options->letter, 1));
		json_array_append_new(list, o);
	}
	return list;
}

void ctl_args_dump(const struct ctl_command *table, FILE *out)
{
	json_t *commands = json_array();
	json_t *whole;

	for (; table->path; table++)
		json_array_append_new(commands,
				      json_pack("{s:s, s:s, s:s, s:s?, s:o, s:i, s:i}", "path",
						table->path, "arguments", table->arguments,
						"summary", table->summary, "help", table->help,
						"options", dump_options(table->options),
						"argument_min", (int)table->argument_min,
						"argument_max", (int)table->argument_max));
	whole = json_pack("{s:s, s:o, s:o}", "schema", "cairn.commands/1", "commands", commands,
			  "common_options", dump_options(common_options));
	json_dumpf(whole, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(whole);
}
