/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h: what cairnd has seen happen, the newest EVENTS_MAX of it, in memory: notes of the view
 * service and what became of the dataplane's process.
 */
#ifndef CAIRN_MGMT_EVENTS_H
#define CAIRN_MGMT_EVENTS_H

#include <jansson.h>

#include "mgmt/cluster.h"

#define EVENTS_MAX	  2048u
#define EVENTS_ANSWER_MAX 128u /* in one answer; more is asked for with the last one's number */
#define EVENTS_TEXT_BYTES 160u

struct events_entry {
	uint64_t sequence; /* 1, 2, ... since cairnd started */
	uint64_t unix_ns;
	const char *name; /* static */
	int node;	  /* -1: none */
	uint64_t value;
	char text[EVENTS_TEXT_BYTES];
};

struct events {
	uint64_t count; /* ever; the newest one's number */
	struct events_entry ring[EVENTS_MAX];
};

/* events_add: name is static; text is cut to its room and made one line. */
void events_add(struct events *events, uint64_t unix_ns, const char *name, int node,
		const char *text);

/* events_add_note: a note of the service at unix_ns. */
void events_add_note(struct events *events, uint64_t unix_ns, const struct membership_state *state,
		     const struct control_event *note);

/* events_log: the newest one, to the log. */
void events_log(const struct events *events);

/* events_json: those after that number, oldest first, as many as one answer takes. */
json_t *events_json(const struct events *events, uint64_t after);

#endif
