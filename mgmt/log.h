/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h: one line per event on standard error: UTC time, level, program, event, then key=value
 * pairs. At most LOG_LINES_PER_SECOND on average: what exceeds it is counted and the count printed.
 * Polling threads never log. Used by the daemons; the CLI prints its own way.
 */
#ifndef CAIRN_MGMT_LOG_H
#define CAIRN_MGMT_LOG_H

#include "mgmt/problem.h"

#define LOG_LINES_PER_SECOND 20u
#define LOG_LINES_BURST	     100u

enum log_level { LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/* log_start: program's name, a string that stays. */
void log_start(const char *program);

/* log_event: event is one word; format makes "key=value key=value", or is "". */
void log_event(enum log_level level, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* log_problem: an error line with id, text and cure. */
void log_problem(enum log_level level, const char *event, const struct problem *p);

#endif
