/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const char *log_program = "cairn";
static double log_tokens = LOG_LINES_BURST;
static double log_last;
static unsigned long log_suppressed;

void log_start(const char *program)
{
	log_program = program;
}

static bool allowed(const struct timespec *now)
{
	double t = (double)now->tv_sec + (double)now->tv_nsec / 1e9;

	if (t > log_last)
		log_tokens += (t - log_last) * LOG_LINES_PER_SECOND;
	log_last = t;
	if (log_tokens > LOG_LINES_BURST)
		log_tokens = LOG_LINES_BURST;
	if (log_tokens < 1) {
		log_suppressed++;
		return false;
	}
	log_tokens -= 1;
	return true;
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
	static const char *const names[] = { "info", "warning", "error" };
	char line[1536], when[32], text[1280];
	struct timespec now;
	struct tm tm;
	va_list args;

	clock_gettime(CLOCK_REALTIME, &now);
	if (!allowed(&now))
		return;
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	int n = snprintf(line, sizeof(line), "%s.%03ldZ %s %s[%d] %s%s%s", when,
			 now.tv_nsec / 1000000, names[level], log_program, (int)getpid(), event,
			 text[0] ? " " : "", text);
	if (log_suppressed > 0)
		n += snprintf(line + n, sizeof(line) - (size_t)n, " suppressed=%lu",
			      log_suppressed);
	log_suppressed = 0;
	/* One write per line, so that lines of several processes do not mix. */
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		log_suppressed++;
}

void log_problem(enum log_level level, const char *event, const struct problem *p)
{
	char code[16];

	log_event(level, event, "id=%s problem=%s text=\"%s\" cure=\"%s\"",
		  problem_code(p->id, code), problem_name(p->id), p->text, p->cure);
}
