/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/events.h"

#include <stdio.h>
#include <time.h>

#include "mgmt/ctl_proto.h"
#include "mgmt/log.h"

static struct events_entry *next(struct events *events)
{
	struct events_entry *e = &events->ring[events->count % EVENTS_MAX];

	*e = (struct events_entry) { .sequence = ++events->count, .node = -1 };
	return e;
}

void events_add(struct events *events, uint64_t unix_ns, const char *name, int node,
		const char *text)
{
	struct events_entry *e = next(events);

	e->unix_ns = unix_ns;
	e->name = name;
	e->node = node;
	snprintf(e->text, sizeof(e->text), "%s", text);
	for (char *at = e->text; *at; at++)
		if ((unsigned char)*at < ' ' || (unsigned char)*at > '~')
			*at = '?';
}

void events_log(const struct events *events)
{
	const struct events_entry *e = &events->ring[(events->count - 1) % EVENTS_MAX];

	must(events->count > 0);
	log_event(LOG_LEVEL_INFO, "event", "name=%s text=\"%s\"", e->name, e->text);
}

void events_add_note(struct events *events, uint64_t unix_ns, const struct membership_state *state,
		     const struct control_event *note)
{
	char text[EVENTS_TEXT_BYTES];

	cluster_note_text(state, note, text, sizeof(text));
	events_add(events, unix_ns, cluster_note_name(note->note),
		   note->node < NODES_MAX ? note->node : -1, text);
	events->ring[(events->count - 1) % EVENTS_MAX].value = note->value;
}

static json_t *number_text(uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	return json_string(text);
}

static json_t *event_json(const struct events_entry *e)
{
	time_t seconds = (time_t)(e->unix_ns / 1000000000u);
	char time_text[48], day[32];
	struct tm utc;

	gmtime_r(&seconds, &utc);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(time_text, sizeof(time_text), "%s.%03uZ", day,
		 (unsigned)(e->unix_ns / 1000000u % 1000u));
	return json_pack("{s:o, s:s, s:o, s:s, s:o, s:o, s:s}", "sequence",
			 number_text(e->sequence), "time", time_text, "unix_ns",
			 number_text(e->unix_ns), "event", e->name, "node",
			 e->node < 0 ? json_null() : json_integer(e->node), "value",
			 number_text(e->value), "text", e->text);
}

json_t *events_json(const struct events *events, uint64_t after)
{
	uint64_t oldest = events->count > EVENTS_MAX ? events->count - EVENTS_MAX : 0;
	uint64_t at = after > events->count ? 0 : max_u64(after, oldest);
	json_t *list = json_array(), *answer;

	must(list != NULL);
	for (uint32_t i = 0; i < EVENTS_ANSWER_MAX && at < events->count; i++, at++)
		json_array_append_new(list, event_json(&events->ring[at % EVENTS_MAX]));
	answer = json_pack("{s:s, s:o, s:o, s:b}", CTL_FIELD_SCHEMA, CTL_SCHEMA_EVENTS, "events",
			   list, "last", number_text(at), "more", at < events->count);
	must(answer != NULL);
	return answer;
}
