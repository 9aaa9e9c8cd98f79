/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runs.h: what the programs of the model search share: their options, the choice of situations,
 * the processes that search them, the last line.
 */
#ifndef CAIRN_TESTS_MODEL_RUNS_H
#define CAIRN_TESTS_MODEL_RUNS_H

#include <stdbool.h>
#include <stdint.h>

#define RUNS_MAX 64u

struct runs_situation {
	const char *name, *what;
	bool ci; /* the suite searches it */
};

struct runs_options {
	uint64_t states_max, depth_max, secs_max, jobs;
	bool longer;	/* the longer situations, too */
	bool every_ack; /* without the reduction of that name */
};

struct runs_result {
	uint64_t states, depth;
	bool violated;
	bool incomplete; /* and should have been complete */
};

struct runs_program {
	const char *name;
	const char *more_usage; /* lines on --every-ack; NULL: it does not know that */
	const struct runs_situation *situations;
	uint32_t count;
	uint64_t depth_max;
	/* search: one situation; prints what it found. In a process of its own with --jobs. */
	struct runs_result (*search)(uint32_t situation, const struct runs_options *o);
};

/* runs_main: the exit status; ends the program on bad usage. */
int runs_main(int argc, char **argv, const struct runs_program *p);

/* runs_secs: the clock, for showing. */
double runs_secs(void);

/* runs_outcome: a word or three on how a search ended that may be bounded on purpose. */
static inline const char *runs_outcome(bool complete, bool bounded)
{
	return complete ? "complete" : bounded ? "not complete (as intended)" : "not complete";
}

#endif
