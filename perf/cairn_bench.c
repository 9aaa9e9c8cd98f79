/* SPDX-License-Identifier: Apache-2.0 */
/* cairn-bench: load generator and qualification tool. */
#include "perf/cairn_bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn void must_failed(const char *expression, const char *file, int line)
{
	fprintf(stderr, "cairn-bench: %s:%d: must(%s) failed\n", file, line, expression);
	abort();
}

int bench_fail(int code, const char *format, ...)
{
	va_list args;

	fputs("cairn-bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return code;
}

bool bench_number(const char *option, const char *text, double min, double max, double *ret_value)
{
	char *end;
	double v = strtod(text, &end);

	if (end != text && (*end == 'k' || *end == 'm'))
		v *= *end++ == 'k' ? 1e3 : 1e6;
	if (end == text || *end || !(v >= min && v <= max)) {
		bench_fail(0, "--%s '%s': a number from %g to %g (suffix k or m allowed)", option,
			   text, min, max);
		return false;
	}
	*ret_value = v;
	return true;
}

bool bench_size(const char *option, const char *text, uint64_t min, uint64_t max,
		uint64_t *ret_value)
{
	double v;

	if (!bench_number(option, text, (double)min, (double)max, &v))
		return false;
	if (v != (double)(uint64_t)v) {
		bench_fail(0, "--%s '%s': a whole number", option, text);
		return false;
	}
	*ret_value = (uint64_t)v;
	return true;
}

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help; /* NULL: hidden */
};

static const struct command commands[] = {
	{ "run", bench_run, "put load on a cluster, check every reply, report latencies" },
	{ "floor", bench_floor, "what a replicated durable write costs at least on this machine" },
	{ "latency", bench_latency, "durable writes one at a time beside the floor, in turn" },
	{ "floor-switch", bench_floor_switch, NULL },
	{ "floor-node", bench_floor_node, NULL },
};

static void print_help(FILE *out)
{
	fputs("usage: cairn-bench COMMAND [options]\n\n", out);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (commands[i].help)
			fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
	fputs("\ncairn-bench COMMAND --help lists the options of a command.\n", out);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
		print_help(stdout);
		return BENCH_EXIT_OK;
	}
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		puts("cairn-bench " CAIRN_VERSION);
		return BENCH_EXIT_OK;
	}
	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	if (argc > 1)
		bench_fail(0, "'%s' is no command", argv[1]);
	print_help(stderr);
	return BENCH_EXIT_USAGE;
}
