/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/problem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "replication/base.h"

static const struct {
	enum problem_id id;
	const char *name;
	const char *cure;
} table[] = {
#define PROBLEM_ROW(name, number, cure) { PROBLEM_##name, #name, cure },
	PROBLEMS(PROBLEM_ROW)
#undef PROBLEM_ROW
};

static int find(enum problem_id id)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].id == id)
			return (int)i;
	return -1;
}

/* A message may quote bytes of a file: keep it on one line and harmless to a terminal. */
static void one_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			*text = '?';
}

int problem_set(struct problem *p, enum problem_id id, const char *format, ...)
{
	va_list args;

	p->id = id;
	va_start(args, format);
	vsnprintf(p->text, sizeof(p->text), format, args);
	va_end(args);
	one_line(p->text);
	snprintf(p->cure, sizeof(p->cure), "%s", problem_default_cure(id));
	return -EINVAL;
}

int problem_cure(struct problem *p, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(p->cure, sizeof(p->cure), format, args);
	va_end(args);
	one_line(p->cure);
	return -EINVAL;
}

const char *problem_code(enum problem_id id, char out[16])
{
	snprintf(out, 16, "CAIRN-%04u", (unsigned)id % 10000u);
	return out;
}

const char *problem_name(enum problem_id id)
{
	int i = find(id);

	return i < 0 ? "NONE" : table[i].name;
}

const char *problem_default_cure(enum problem_id id)
{
	int i = find(id);

	return i < 0 ? "" : table[i].cure;
}

enum problem_id problem_next(enum problem_id id)
{
	size_t next = id == PROBLEM_NONE ? 0 : (size_t)(find(id) + 1);

	return next < ARRAY_LEN(table) ? table[next].id : PROBLEM_NONE;
}
