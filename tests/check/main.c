/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cairn-check: judges histories in files (docs/testing.md, Histories), and measures the checker.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/check/brute.h"
#include "tests/check/check_file.h"
#include "tests/check/make.h"

#define EXIT_LINEARIZABLE 0
#define EXIT_VIOLATION	  1
#define EXIT_BAD_INPUT	  2
#define BENCH_CLIENTS	  256u

static const char usage[] =
	"cairn-check [--log] [--each] FILE...  is the history in these files linearizable?\n"
	"  Several files are parts of one history, their times from one clock; --each: every file\n"
	"  is one of its own. '-' is the standard input. --log: of the raft engine, whose\n"
	"  versions are places in a log.\n"
	"  Exit status: 0 linearizable, 1 not (or undecided), 2 bad input.\n"
	"cairn-check --bench [OPS]             time to judge OPS operations of 256 clients on one\n"
	"                                      key (default 5000000)\n"
	"cairn-check --compare COUNT [FROM]    COUNT random small histories, from seed FROM on,\n"
	"                                      against an exhaustive search; 1: they differ\n";

_Noreturn void must_failed(const char *expression, const char *file, int line)
{
	fprintf(stderr, "%s:%d: must(%s) failed\n", file, line, expression);
	abort();
}

/* ---- files ---- */

static int read_one(struct check_file *f, const char *path)
{
	bool standard = strcmp(path, "-") == 0;
	FILE *file = standard ? stdin : fopen(path, "re");
	struct check_file_problem problem;
	int rc;

	if (!file) {
		fprintf(stderr, "%s: cannot be read: %s\n", path, strerror(errno));
		return EXIT_BAD_INPUT;
	}
	rc = check_file_read(f, file, &problem);
	if (rc == -EINVAL)
		fprintf(stderr, "%s:%" PRIu64 ": %s\n", path, problem.line, problem.text);
	else if (rc != 0)
		fprintf(stderr, "%s: cannot be read: %s\n", path, strerror(-rc));
	if (!standard)
		fclose(file);
	return rc == 0 ? 0 : EXIT_BAD_INPUT;
}

static int judge(const struct check_file *f, const char *name, bool log)
{
	struct check_result r;
	uint64_t unknown = 0;
	int rc = (log ? check_history_log : check_history)(f->ops, f->count, &r);

	if (rc != 0) {
		fprintf(stderr, "%s: cannot be judged: %s\n", name, strerror(-rc));
		return EXIT_BAD_INPUT;
	}
	for (uint64_t i = 0; i < f->count; i++)
		unknown += f->ops[i].outcome == STATUS_UNKNOWN ||
			   f->ops[i].outcome == STATUS_EVICTED;
	if (!r.ok)
		printf("%s: key '%s': %s\n", name, f->keys[r.key], r.text);
	printf("%s: %s: %" PRIu64 " operations (%" PRIu64 " unknown), %" PRIu64 " keys\n", name,
	       r.ok		? "linearizable" :
	       r.undecided != 0 ? "UNDECIDED" :
				  "NOT LINEARIZABLE",
	       f->count, unknown, f->key_count);
	return r.ok ? EXIT_LINEARIZABLE : EXIT_VIOLATION;
}

static int judge_files(char **paths, int count, bool each, bool log)
{
	struct check_file f = { 0 };
	int worst = 0;

	for (int i = 0; i < count; i++) {
		int rc = read_one(&f, paths[i]);

		if (rc == 0 && (each || i + 1 == count))
			rc = judge(&f, each || count == 1 ? paths[i] : "history", log);
		if (each || rc != 0)
			check_file_free(&f);
		worst = rc > worst ? rc : worst;
		if (rc != 0 && !each)
			break;
	}
	check_file_free(&f);
	return worst;
}

/* ---- speed ---- */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int bench_one(struct check_op *ops, uint64_t count, uint32_t unknown_one_in)
{
	struct check_result r;
	double from;
	int rc;

	make_large(1, ops, count, BENCH_CLIENTS, unknown_one_in);
	from = seconds();
	rc = check_history(ops, count, &r);
	if (rc != 0 || !r.ok) {
		fprintf(stderr, "judged wrongly: %s\n", rc ? strerror(-rc) : r.text);
		return EXIT_VIOLATION;
	}
	printf("%" PRIu64 " operations, %u clients, 1 key, %" PRIu64 " versions, %" PRIu64
	       " unknown: %.2f s\n",
	       count, BENCH_CLIENTS, r.versions, r.unknown_applied + r.unknown_dropped,
	       seconds() - from);
	return 0;
}

static int bench(uint64_t count)
{
	struct check_op *ops = calloc(count, sizeof(*ops));
	int rc;

	if (!ops) {
		fprintf(stderr, "no memory for %" PRIu64 " operations: give fewer\n", count);
		return EXIT_BAD_INPUT;
	}
	rc = bench_one(ops, count, 0);
	if (rc == 0)
		rc = bench_one(ops, count, 10000);
	free(ops);
	return rc;
}

/* ---- the checker against the exhaustive search ---- */

static int compare(uint64_t count, uint64_t from)
{
	struct check_op ops[MAKE_SMALL_MAX];
	struct check_result r;
	uint64_t verdicts[2] = { 0 };

	for (uint64_t seed = from; seed < from + count; seed++) {
		uint32_t n = make_small(seed, ops);
		bool truth = brute_check(ops, n);

		verdicts[truth]++;
		if (check_history(ops, n, &r) == 0 && r.ok == truth && r.undecided == 0)
			continue;
		fprintf(stderr, "seed %" PRIu64 ": the search says %s, the checker %s %s\n", seed,
			truth ? "linearizable" : "not", r.ok ? "linearizable" : "not", r.text);
		for (uint32_t i = 0; i < n; i++)
			check_file_write_line(stderr, &ops[i], "key", 3);
		return EXIT_VIOLATION;
	}
	printf("%" PRIu64 " histories: %" PRIu64 " linearizable, %" PRIu64 " not; 0 differ\n",
	       count, verdicts[1], verdicts[0]);
	return 0;
}

static bool parse_count(const char *text, uint64_t *ret_count)
{
	char *end;

	errno = 0;
	*ret_count = strtoull(text, &end, 10);
	return errno == 0 && *text >= '0' && *text <= '9' && *end == 0;
}

int main(int argc, char **argv)
{
	bool log = argc > 1 && strcmp(argv[1], "--log") == 0, each;
	uint64_t count = 5000000, from = 1;
	const char *mode;

	argv += log;
	argc -= log;
	mode = argc > 1 ? argv[1] : "";
	each = strcmp(mode, "--each") == 0;
	if (argc > 1 && strcmp(mode, "--help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc > 2 && mode[0] == '-' && mode[1] == '-' && !each &&
	    (!parse_count(argv[2], &count) || count == 0 || count > INT32_MAX ||
	     (argc > 3 && !parse_count(argv[3], &from)))) {
		fprintf(stderr, "%s '%s': give a number from 1 to %d\n", mode, argv[2], INT32_MAX);
		return EXIT_BAD_INPUT;
	}
	if (strcmp(mode, "--bench") == 0 && argc <= 3)
		return bench(count);
	if (strcmp(mode, "--compare") == 0 && argc > 2 && argc <= 4)
		return compare(count, from);
	if (argc > 1 + each && (each || mode[0] != '-' || mode[1] == 0))
		return judge_files(argv + 1 + each, argc - 1 - each, each, log);
	fputs(usage, stderr);
	return EXIT_BAD_INPUT;
}
