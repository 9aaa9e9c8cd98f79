/* SPDX-License-Identifier: Apache-2.0 */
/* ctl_events.c: what happened, as each node saw it, in the order of its time. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mgmt/ctl_ask.h"
#include "mgmt/ctl_http.h"
#include "mgmt/ctl_status.h"
#include "mgmt/lab_process.h"
#include "replication/base.h"

#define ANSWER_MS 3000u
#define FOLLOW_MS 200u

static const char *const columns[] = { "TIME", "AT", "EVENT", "NODE", "VALUE", "TEXT", NULL };

static uint64_t number_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? strtoull(text, NULL, 10) : 0;
}

static int by_time(const void *a, const void *b)
{
	uint64_t x = number_of(*(json_t *const *)a, "unix_ns");
	uint64_t y = number_of(*(json_t *const *)b, "unix_ns");

	return x < y ? -1 : x > y;
}

/* All events of one node after *after, which moves on; as many as it tells. */
static void collect(const char *socket, const json_t *name, uint64_t *after, json_t *events)
{
	char error[CTL_HTTP_ERROR_BYTES], path[64];
	json_t *answer, *event;
	bool more = true;
	long status;
	size_t i;

	while (more) {
		snprintf(path, sizeof(path), CTL_PATH_EVENTS "?after=%" PRIu64, *after);
		if (ctl_http_request(socket, path, false, ANSWER_MS, &status, &answer, error) < 0)
			return;
		json_array_foreach(json_object_get(answer, "events"), i, event)
		{
			json_object_set(event, "at", (json_t *)name);
			json_array_append(events, event);
		}
		*after = number_of(answer, "last");
		more = json_is_true(json_object_get(answer, "more"));
		json_decref(answer);
	}
}

static json_t *sorted(json_t *events, uint64_t since_ns)
{
	size_t count = json_array_size(events);
	json_t **list = calloc(count + 1, sizeof(json_t *));
	json_t *out = json_array();

	for (size_t i = 0; list && i < count; i++)
		list[i] = json_array_get(events, i);
	if (list)
		qsort(list, count, sizeof(json_t *), by_time);
	for (size_t i = 0; list && i < count; i++)
		if (number_of(list[i], "unix_ns") >= since_ns)
			json_array_append(out, list[i]);
	free(list);
	json_decref(events);
	return out;
}

static json_t *event_row(const json_t *event)
{
	json_t *row = json_object();

	json_object_set(row, "TIME", json_object_get(event, "time"));
	json_object_set(row, "AT", json_object_get(event, "at"));
	json_object_set(row, "EVENT", json_object_get(event, "event"));
	json_object_set(row, "NODE", json_object_get(event, "node"));
	json_object_set(row, "VALUE", json_object_get(event, "value"));
	json_object_set(row, "TEXT", json_object_get(event, "text"));
	return row;
}

static int print_events(const struct ctl_call *call, const json_t *events, bool first, bool follow)
{
	json_t *rows = json_array();
	const json_t *event;
	size_t i;

	if (call->format == CTL_JSON && !follow) {
		json_decref(rows);
		return ctl_output_json("cairn.events/1", json_pack("{s:O}", "events", events));
	}
	json_array_foreach((json_t *)events, i, event)
	{
		if (call->format == CTL_JSON) {
			json_dumpf(event, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
			putchar('\n');
		}
		json_array_append_new(rows, event_row(event));
	}
	if (call->format != CTL_JSON && (first || json_array_size(rows) > 0))
		ctl_output_rows(follow ? CTL_PLAIN : call->format, call->no_header || !first,
				columns, rows);
	json_decref(rows);
	return ctl_output_flush();
}

struct sources {
	json_t *sockets;
	uint64_t after[16];
	size_t count;
	uint32_t answered;
};

static json_t *gather(struct sources *s, uint64_t since_ns)
{
	json_t *events = json_array(), *answer, *name;
	json_t *answers = ctl_ask_all(s->sockets, CTL_PATH_STATUS, &s->answered);

	/* Who does not even say its name is not waited for again. */
	for (size_t i = 0; i < s->count; i++) {
		answer = json_array_get(answers, i);
		name = json_object_get(json_object_get(answer, CTL_FIELD_NODE), "name");
		if (name)
			collect(json_string_value(json_array_get(s->sockets, i)), name,
				&s->after[i], events);
	}
	json_decref(answers);
	return sorted(events, since_ns);
}

static uint64_t unix_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int ctl_events_show(const struct ctl_call *call)
{
	bool follow = ctl_args_option(call, "follow") != NULL;
	struct sources s = { 0 };
	uint64_t since_ns = 0;
	json_t *events;
	bool first = true;
	int rc = ctl_args_duration(call, "since", (struct ctl_range) { 0, 1ull << 62 }, &since_ns);

	if (!rc)
		rc = ctl_ask_sockets(call, &s.sockets);
	if (rc)
		return rc;
	if (since_ns)
		since_ns = unix_ns() - since_ns;
	s.count = json_array_size(s.sockets);
	s.count = s.count < ARRAY_LEN(s.after) ? s.count : ARRAY_LEN(s.after);
	do {
		if (!first)
			lab_process_sleep_ms(FOLLOW_MS);
		events = gather(&s, since_ns);
		if (first && s.answered == 0)
			rc = ctl_output_fail(CTL_EXIT_UNREACHABLE, "CAIRN-0602",
					     "cairnctl lab status; cairnctl lab start",
					     "no daemon answers");
		else
			rc = print_events(call, events, first, follow);
		json_decref(events);
		first = false;
	} while (follow && !rc);
	json_decref(s.sockets);
	return rc;
}
