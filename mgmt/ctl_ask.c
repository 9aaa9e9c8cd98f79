/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/ctl_ask.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/ctl_http.h"
#include "mgmt/lab_process.h"
#include "mgmt/lab_state.h"
#include "replication/base.h"

#define ANSWER_MS  3000u
#define POLL_MS	   5u
#define RETRY_MS   50u
#define KNOWS_MS   1000u
#define COMMAND_NS 10000000000ull

const char *ctl_ask_text(const json_t *object, const char *name, const char *other)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : other;
}

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

int ctl_ask_sockets(const struct ctl_call *call, json_t **ret_sockets)
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

json_t *ctl_ask_all(const json_t *sockets, const char *path, uint32_t *ret_answered)
{
	size_t count = json_array_size(sockets);
	struct ctl_http_question *q = calloc(count + 1, sizeof(*q));
	json_t *answers = json_array();

	must(q != NULL && answers != NULL);
	for (size_t i = 0; i < count; i++) {
		q[i].socket_path = json_string_value(json_array_get(sockets, i));
		q[i].path = path;
		q[i].timeout_ms = ANSWER_MS;
	}
	ctl_http_at_once(q, count);
	*ret_answered = 0;
	for (size_t i = 0; i < count; i++) {
		json_t *answer = q[i].body;

		*ret_answered += answer != NULL;
		if (!answer)
			answer = json_pack("{s:s, s:s}", CTL_FIELD_STATE, CTL_ASK_UNREACHABLE,
					   "reason", q[i].error);
		json_object_set(answer, "socket", json_array_get(sockets, i));
		json_array_append_new(answers, answer);
	}
	free(q);
	return answers;
}

static uint64_t number_of(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	if (json_is_string(value))
		return strtoull(json_string_value(value), NULL, 10);
	return json_is_integer(value) ? (uint64_t)json_integer_value(value) : 0;
}

/* 0: knows nothing of a cluster. */
static uint64_t weight(const json_t *answer)
{
	const json_t *cluster = json_object_get(answer, CTL_FIELD_CLUSTER);
	const json_t *leader = json_object_get(cluster, "leader");
	uint64_t self = number_of(json_object_get(answer, CTL_FIELD_NODE), "id");
	uint64_t revision = number_of(cluster, "revision");

	if (revision == 0)
		return 0;
	return (uint64_t)json_is_true(json_object_get(cluster, "quorum")) << 62 | revision << 1 |
	       (json_is_integer(leader) && (uint64_t)json_integer_value(leader) == self);
}

json_t *ctl_ask_best(const json_t *answers)
{
	json_t *answer, *best = NULL;
	size_t i;

	json_array_foreach((json_t *)answers, i, answer)
	{
		if (weight(answer) > (best ? weight(best) : 0))
			best = answer;
	}
	return best;
}

int ctl_ask_cluster(const struct ctl_call *call, json_t **ret_answer)
{
	json_t *sockets, *answers;
	uint32_t answered;
	int rc = ctl_ask_sockets(call, &sockets);

	if (rc)
		return rc;
	/* A node that is stalled just now knows nothing for a moment. */
	for (uint64_t end_ms = lab_process_now_ms() + KNOWS_MS;;) {
		answers = ctl_ask_all(sockets, CTL_PATH_STATUS, &answered);
		*ret_answer = json_incref(ctl_ask_best(answers));
		json_decref(answers);
		if (*ret_answer || answered == 0 || lab_process_now_ms() > end_ms)
			break;
		lab_process_sleep_ms(RETRY_MS);
	}
	json_decref(sockets);
	if (*ret_answer)
		return CTL_EXIT_OK;
	if (answered == 0)
		return ctl_output_fail(CTL_EXIT_UNREACHABLE, "CAIRN-0602",
				       "cairnctl lab status; cairnctl lab start",
				       "no daemon answers");
	return ctl_output_fail(CTL_EXIT_UNREACHABLE, "CAIRN-0603", "cairnctl status",
			       "no node that answers knows of a cluster");
}

/* ---- commands ---------------------------------------------------------------------------------
 */

static enum ctl_exit exit_of(const char *id)
{
	static const struct {
		const char *id;
		enum ctl_exit code;
	} codes[] = {
		{ "CAIRN-0304", CTL_EXIT_USAGE },	{ "CAIRN-0305", CTL_EXIT_UNREACHABLE },
		{ "CAIRN-0311", CTL_EXIT_UNREACHABLE }, { "CAIRN-0312", CTL_EXIT_UNREACHABLE },
		{ "CAIRN-0313", CTL_EXIT_UNKNOWN },	{ "CAIRN-0314", CTL_EXIT_NOT_FOUND },
		{ "CAIRN-0315", CTL_EXIT_CONFLICT },	{ "CAIRN-0316", CTL_EXIT_CONFLICT },
		{ "CAIRN-0317", CTL_EXIT_CONFLICT },	{ "CAIRN-0318", CTL_EXIT_CONFLICT },
		{ "CAIRN-0319", CTL_EXIT_CONFLICT },	{ "CAIRN-0320", CTL_EXIT_USAGE },
	};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (strcmp(codes[i].id, id) == 0)
			return codes[i].code;
	return CTL_EXIT_FAILED;
}

struct attempt {
	const char *socket;
	uint64_t end_ms;
	json_t *error; /* of the answer, when it was refused */
};

/*
 * One request. CTL_EXIT_OK and *ret_body; FAILED: refused, the error is kept; UNREACHABLE: it was
 * not sent; UNKNOWN: it was, or may have been.
 */
static int request(struct attempt *a, const char *path, bool post, json_t **ret_body)
{
	char error[CTL_HTTP_ERROR_BYTES];
	long status;
	json_t *body;

	int rc = ctl_http_request(a->socket, path, post, ANSWER_MS, &status, &body, error);
	if (rc < 0) {
		json_decref(a->error);
		a->error = json_pack("{s:s, s:s, s:s}", CTL_FIELD_ID, "CAIRN-0602", CTL_FIELD_TEXT,
				     error, CTL_FIELD_CURE, "cairnctl status");
		return rc == -ENOENT || rc == -ECONNREFUSED || rc == -EACCES ? CTL_EXIT_UNREACHABLE
									     : CTL_EXIT_UNKNOWN;
	}
	if (status < 400) {
		*ret_body = body;
		return CTL_EXIT_OK;
	}
	json_decref(a->error);
	a->error = json_incref(json_object_get(body, CTL_FIELD_ERROR));
	json_decref(body);
	return CTL_EXIT_FAILED;
}

/* CTL_EXIT_OK: done. UNREACHABLE: certainly nothing happened. UNKNOWN. FAILED: refused. */
static int try_once(struct attempt *a, const char *arguments)
{
	char path[CTL_ASK_PATH_BYTES + 32];
	json_t *body = NULL;
	int rc;

	snprintf(path, sizeof(path), CTL_PATH_COMMAND "?%s", arguments);
	rc = request(a, path, true, &body);
	if (rc != CTL_EXIT_OK)
		return rc;
	snprintf(path, sizeof(path), CTL_PATH_COMMAND "?command=%s",
		 ctl_ask_text(body, "command", "0"));
	for (;;) {
		bool done = json_is_true(json_object_get(body, "done"));

		json_decref(body);
		body = NULL;
		if (done)
			return CTL_EXIT_OK;
		if (lab_process_now_ms() >= a->end_ms)
			return CTL_EXIT_UNKNOWN;
		lab_process_sleep_ms(POLL_MS);
		rc = request(a, path, false, &body);
		if (rc != CTL_EXIT_OK)
			return rc == CTL_EXIT_UNREACHABLE ? CTL_EXIT_UNKNOWN : rc;
	}
}

/* The service itself waits for a leader; for another command to be done it does not. */
static bool busy(const struct attempt *a)
{
	return strcmp(ctl_ask_text(a->error, CTL_FIELD_ID, ""), "CAIRN-0312") == 0;
}

int ctl_ask_timeout(const struct ctl_call *call, uint64_t *timeout_ns)
{
	return ctl_args_duration(call, "timeout", (struct ctl_range) { 1000000, 3600000000000ull },
				 timeout_ns);
}

int ctl_ask_command(const struct ctl_call *call, const json_t *answer, const char *arguments)
{
	struct attempt a = { .socket = ctl_ask_text(answer, "socket", "") };
	uint64_t timeout_ns = COMMAND_NS;
	const char *id;
	int rc = ctl_ask_timeout(call, &timeout_ns);

	if (rc)
		return rc;
	a.end_ms = lab_process_now_ms() + timeout_ns / 1000000;
	while ((rc = try_once(&a, arguments)) == CTL_EXIT_FAILED && busy(&a) &&
	       lab_process_now_ms() < a.end_ms)
		lab_process_sleep_ms(RETRY_MS);
	id = ctl_ask_text(a.error, CTL_FIELD_ID, "CAIRN-0313");
	if (rc == CTL_EXIT_FAILED)
		rc = exit_of(id);
	if (rc == CTL_EXIT_UNKNOWN)
		ctl_output_fail(CTL_EXIT_UNKNOWN, "CAIRN-0313",
				"cairnctl member list; cairnctl events",
				"no answer in time: it may or may not have been done");
	else if (rc != CTL_EXIT_OK)
		ctl_output_fail((enum ctl_exit)rc, id,
				ctl_ask_text(a.error, CTL_FIELD_CURE, NULL), "%s",
				ctl_ask_text(a.error, CTL_FIELD_TEXT, "refused"));
	json_decref(a.error);
	return rc;
}
