/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/ctl_status.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/lab_process.h"
#include "mgmt/lab_state.h"

#define ANSWER_MS   3000u
#define POLL_MS	    50u
#define UNREACHABLE "UNREACHABLE"

static json_t *host_sockets(void)
{
	json_t *sockets = json_array();
	glob_t found;

	if (glob(CTL_RUNTIME_DEFAULT "/*/" CTL_SOCKET_NAME, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			json_array_append_new(sockets, json_string(found.gl_pathv[i]));
		globfree(&found);
	}
	return sockets;
}

static int find_sockets(const struct ctl_call *call, json_t **ret_sockets)
{
	const char *path = ctl_args_option(call, "socket");
	char dir[LAB_DIR_BYTES];
	struct lab lab;
	json_t *o;
	int rc;

	if (!path)
		path = getenv("CAIRN_SOCKET");
	if (path && *path) {
		*ret_sockets = json_pack("[s]", path);
		return CTL_EXIT_OK;
	}
	rc = lab_state_dir(call, dir);
	if (rc)
		return rc;
	if (lab_state_exists(dir)) {
		rc = lab_state_load(dir, false, &lab);
		if (rc)
			return rc;
		o = lab_state_json(&lab);
		*ret_sockets = json_incref(json_object_get(o, "control"));
		json_decref(o);
		return CTL_EXIT_OK;
	}
	*ret_sockets = host_sockets();
	if (json_array_size(*ret_sockets) > 0)
		return CTL_EXIT_OK;
	json_decref(*ret_sockets);
	return ctl_output_fail(CTL_EXIT_UNREACHABLE, "CAIRN-0601",
			       "cairnctl lab up; or start cairnd; or name its --socket",
			       "no control daemon: no lab in '%s' and no socket in %s", dir,
			       CTL_RUNTIME_DEFAULT);
}

json_t *ctl_status_ask(const json_t *sockets, const char *path, uint32_t *ret_answered)
{
	char error[CTL_HTTP_ERROR_BYTES];
	json_t *answers = json_array(), *answer;
	const json_t *name;
	long status;
	size_t i;

	*ret_answered = 0;
	json_array_foreach((json_t *)sockets, i, name)
	{
		if (ctl_http_request(json_string_value(name), path, false, ANSWER_MS, &status,
				     &answer, error) == 0)
			++*ret_answered;
		else
			answer = json_pack("{s:s, s:s}", CTL_FIELD_STATE, UNREACHABLE, "reason",
					   error);
		json_object_set(answer, "socket", (json_t *)name);
		json_array_append_new(answers, answer);
	}
	return answers;
}

static void set_path(json_t *row, const char *column, const json_t *answer, const char *group,
		     const char *field)
{
	json_t *value = json_object_get(json_object_get(answer, group), field);

	if (value)
		json_object_set(row, column, value);
}

static json_t *status_row(const json_t *answer)
{
	json_t *row = json_object();
	json_t *peers = json_object_get(answer, CTL_FIELD_PEERS);
	char text[48];

	json_object_set(row, "STATE", json_object_get(answer, CTL_FIELD_STATE));
	set_path(row, "NODE", answer, CTL_FIELD_NODE, "name");
	set_path(row, "ADDRESS", answer, CTL_FIELD_NODE, "address");
	set_path(row, "INCARNATION", answer, CTL_FIELD_NODE, "incarnation");
	set_path(row, "PID", answer, CTL_FIELD_DATAPLANE, "pid");
	set_path(row, "RESTARTS", answer, CTL_FIELD_DATAPLANE, "restarts");
	set_path(row, "KEYS", answer, CTL_FIELD_STORE, "keys");
	set_path(row, "SPACE", answer, CTL_FIELD_STORE, "space");
	set_path(row, "READS", answer, CTL_FIELD_OPS, "reads");
	set_path(row, "WRITES", answer, CTL_FIELD_OPS, "writes");
	if (peers) {
		snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT,
			 json_integer_value(json_object_get(peers, "linked")),
			 json_integer_value(json_object_get(peers, "count")));
		json_object_set_new(row, "PEERS", json_string(text));
	}
	if (!json_object_get(row, "NODE"))
		json_object_set(row, "NODE", json_object_get(answer, "socket"));
	return row;
}

/* HEALTHY, WARNINGS, UNHEALTHY or UNREACHABLE over all answers. */
static const char *overall(const json_t *answers, const char *reasons_field)
{
	const json_t *answer;
	size_t i, healthy = 0, reachable = 0, warned = 0;

	json_array_foreach((json_t *)answers, i, answer)
	{
		reachable += json_object_get(answer, CTL_FIELD_HEALTHY) != NULL;
		healthy += json_is_true(json_object_get(answer, CTL_FIELD_HEALTHY));
		warned += json_array_size(json_object_get(answer, reasons_field)) > 0;
	}
	if (reachable == 0)
		return UNREACHABLE;
	if (healthy < json_array_size(answers))
		return "UNHEALTHY";
	return warned ? "WARNINGS" : "HEALTHY";
}

static void print_reasons(const json_t *answers, const char *reasons_field)
{
	const json_t *answer, *reason;
	const char *id, *text, *cure;
	size_t i, j;

	json_array_foreach((json_t *)answers, i, answer)
	{
		text = json_string_value(json_object_get(answer, "reason"));
		if (text)
			ctl_output_note("%s: %s",
					json_string_value(json_object_get(answer, "socket")), text);
		json_array_foreach(json_object_get(answer, reasons_field), j, reason)
		{
			id = json_string_value(json_object_get(reason, CTL_FIELD_ID));
			text = json_string_value(json_object_get(reason, CTL_FIELD_TEXT));
			cure = json_string_value(json_object_get(reason, CTL_FIELD_CURE));
			ctl_output_note("%s: %s %s\n  fix: %s",
					json_string_value(json_object_get(answer, "socket")),
					id ? id : "-", text ? text : "", cure ? cure : "-");
		}
	}
}

int ctl_status_show(const struct ctl_call *call)
{
	static const char *const columns[] = { "NODE", "STATE",	   "ADDRESS",	  "PEERS",
					       "KEYS", "SPACE",	   "READS",	  "WRITES",
					       "PID",  "RESTARTS", "INCARNATION", NULL };
	json_t *sockets, *answers, *rows, *answer;
	uint32_t answered;
	size_t i;
	int rc = find_sockets(call, &sockets);

	if (rc)
		return rc;
	answers = ctl_status_ask(sockets, CTL_PATH_STATUS, &answered);
	json_decref(sockets);
	if (call->format == CTL_JSON) {
		rc = ctl_output_json("cairn.cluster-status/1",
				     json_pack("{s:s, s:O}", CTL_FIELD_STATE,
					       overall(answers, CTL_FIELD_WARNINGS), "nodes",
					       answers));
	} else {
		rows = json_array();
		json_array_foreach(answers, i, answer)
			json_array_append_new(rows, status_row(answer));
		ctl_output_rows(call->format, call->no_header, columns, rows);
		json_decref(rows);
		rc = ctl_output_flush();
		print_reasons(answers, CTL_FIELD_WARNINGS);
	}
	json_decref(answers);
	if (answered > 0)
		return rc;
	return ctl_output_fail(CTL_EXIT_UNREACHABLE, "CAIRN-0602",
			       "cairnctl lab status; cairnctl lab start", "no daemon answers");
}

static int health_exit(const char *word)
{
	if (strcmp(word, "HEALTHY") == 0)
		return CTL_EXIT_OK;
	if (strcmp(word, "WARNINGS") == 0)
		return CTL_EXIT_WARNINGS;
	return strcmp(word, UNREACHABLE) == 0 ? CTL_EXIT_UNREACHABLE : CTL_EXIT_FAILED;
}

int ctl_status_health(const struct ctl_call *call)
{
	json_t *sockets, *answers = NULL;
	uint64_t wait_ns = 0, end;
	uint32_t answered;
	const char *word;
	int rc = ctl_args_duration(call, "wait", (struct ctl_range) { 0, 3600000000000ull },
				   &wait_ns);

	if (!rc)
		rc = find_sockets(call, &sockets);
	if (rc)
		return rc;
	end = lab_process_now_ms() + wait_ns / 1000000;
	for (;;) {
		json_decref(answers);
		answers = ctl_status_ask(sockets, CTL_PATH_HEALTH, &answered);
		word = overall(answers, CTL_FIELD_REASONS);
		rc = health_exit(word);
		if (rc == CTL_EXIT_OK || rc == CTL_EXIT_WARNINGS || lab_process_now_ms() >= end)
			break;
		lab_process_sleep_ms(POLL_MS);
	}
	json_decref(sockets);
	print_reasons(answers, CTL_FIELD_REASONS);
	if (call->format == CTL_JSON) {
		ctl_output_json("cairn.cluster-health/1",
				json_pack("{s:s, s:O}", CTL_FIELD_STATE, word, "nodes", answers));
	} else {
		printf("%s\n", word);
		ctl_output_flush();
	}
	json_decref(answers);
	return rc;
}
