/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/ctl_status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/ctl_ask.h"
#include "mgmt/lab_process.h"
#include "replication/base.h"


const char *const ctl_status_columns[] = { "NODE",  "ID",	   "ROLE",    "STATE",
					   "HEARD", "RTT",	   "DISK",    "LAG",
					   "EPOCH", "INCARNATION", "KEYS",    "SPACE",
					   "UP",    "PID",	   "ADDRESS", NULL };

static json_t *group(const json_t *answer, const char *name, const char *field)
{
	return json_object_get(json_object_get(answer, name), field);
}

static void set_text(json_t *row, const char *column, const char *format, uint64_t n)
{
	char text[32];

	snprintf(text, sizeof(text), format, n);
	json_object_set_new(row, column, json_string(text));
}

static void set_us(json_t *row, const char *column, const json_t *us)
{
	uint64_t n = (uint64_t)json_integer_value(us);

	if (json_is_integer(us))
		set_text(row, column, n < 10000 ? "%" PRIu64 "us" : "%" PRIu64 "ms",
			 n < 10000 ? n : n / 1000);
}

static void set_uptime(json_t *row, const json_t *ms)
{
	uint64_t s = (uint64_t)json_integer_value(ms) / 1000;
	char text[32];

	if (s >= 86400)
		snprintf(text, sizeof(text), "%" PRIu64 "d%02" PRIu64 "h", s / 86400,
			 s / 3600 % 24);
	else if (s >= 3600)
		snprintf(text, sizeof(text), "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
	else
		snprintf(text, sizeof(text), "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	json_object_set_new(row, "UP", json_string(text));
}

static bool works(const char *state)
{
	return strcmp(state, CTL_STATE_SERVING) == 0 || strcmp(state, CTL_NODE_VOTING) == 0;
}

/* What only the node itself knows. */
static void add_own(json_t *row, const json_t *answer)
{
	const char *state = ctl_ask_text(answer, CTL_FIELD_STATE, NULL);

	/*
	 * A process that does not run is more than a silence; that it serves, or votes, is for the
	 * others to say: they know when nobody hears it.
	 */
	if (state && (!works(state) || !json_object_get(row, "STATE")))
		json_object_set_new(row, "STATE", json_string(state));
	json_object_set(row, "KEYS", group(answer, CTL_FIELD_STORE, "keys"));
	json_object_set(row, "SPACE", group(answer, CTL_FIELD_STORE, "space"));
	json_object_set(row, "PID", group(answer, CTL_FIELD_DATAPLANE, "pid"));
	set_uptime(row, group(answer, CTL_FIELD_DATAPLANE, "uptime_ms"));
}

static json_t *member_row(const json_t *member, const json_t *own)
{
	json_t *row = json_object();
	const json_t *heard = json_object_get(member, "heard_ms");

	json_object_set(row, "NODE", json_object_get(member, "name"));
	json_object_set(row, "ID", json_object_get(member, "node"));
	json_object_set(row, "ADDRESS", json_object_get(member, "address"));
	json_object_set_new(
		row, "ROLE",
		json_sprintf("%s%s", ctl_ask_text(member, "role", "?"),
			     json_is_true(json_object_get(member, "leader")) ? "*" : ""));
	json_object_set(row, "STATE", json_object_get(member, "state"));
	if (json_is_integer(heard))
		set_text(row, "HEARD", "%" PRIu64 "ms", (uint64_t)json_integer_value(heard));
	set_us(row, "RTT", json_object_get(member, "rtt_us"));
	set_us(row, "DISK", json_object_get(member, "disk_us"));
	json_object_set(row, "LAG", json_object_get(member, "lag"));
	json_object_set(row, "EPOCH", json_object_get(member, "epoch"));
	json_object_set(row, "INCARNATION", json_object_get(member, "incarnation"));
	if (own)
		add_own(row, own);
	return row;
}

/* A node that no cluster knows, or whose cluster nobody knows. */
static json_t *stranger_row(const json_t *answer)
{
	json_t *row = json_object();
	json_t *name = group(answer, CTL_FIELD_NODE, "name");

	json_object_set(row, "NODE", name ? name : json_object_get(answer, "socket"));
	json_object_set(row, "ID", group(answer, CTL_FIELD_NODE, "id"));
	json_object_set(row, "ADDRESS", group(answer, CTL_FIELD_NODE, "address"));
	json_object_set(row, "INCARNATION", group(answer, CTL_FIELD_NODE, "incarnation"));
	if (name)
		add_own(row, answer);
	else
		json_object_set(row, "STATE", json_object_get(answer, CTL_FIELD_STATE));
	return row;
}

static const json_t *answer_of(const json_t *answers, const json_t *id)
{
	const json_t *answer;
	size_t i;

	json_array_foreach((json_t *)answers, i, answer)
	{
		if (json_equal(group(answer, CTL_FIELD_NODE, "id"), (json_t *)id))
			return answer;
	}
	return NULL;
}

static bool is_member(const json_t *members, const json_t *id)
{
	const json_t *member;
	size_t i;

	json_array_foreach((json_t *)members, i, member)
	{
		if (json_equal(json_object_get(member, "node"), (json_t *)id))
			return true;
	}
	return false;
}

json_t *ctl_status_rows(const json_t *answers)
{
	json_t *members = json_object_get(ctl_ask_best(answers), CTL_FIELD_MEMBERS);
	const json_t *member, *answer;
	json_t *rows = json_array();
	size_t i;

	json_array_foreach(members, i, member)
	{
		json_array_append_new(
			rows,
			member_row(member, answer_of(answers, json_object_get(member, "node"))));
	}
	json_array_foreach((json_t *)answers, i, answer)
	{
		const json_t *id = group(answer, CTL_FIELD_NODE, "id");

		if (members && (!id || is_member(members, id)))
			continue;
		json_array_append_new(rows, stranger_row(answer));
	}
	return rows;
}

/* ---- the word ---------------------------------------------------------------------------------
 */

static bool any_warning(const json_t *answers)
{
	const json_t *answer;
	size_t i;

	json_array_foreach((json_t *)answers, i, answer)
	{
		if (json_array_size(json_object_get(answer, CTL_FIELD_WARNINGS)) > 0 ||
		    json_object_get(answer, "reason"))
			return true;
	}
	return false;
}

/* Nobody knows the cluster: the most hopeful state there is. */
static const char *word_of_strangers(const json_t *answers)
{
	static const char *const order[] = { CTL_STATE_RECOVERING, CTL_STATE_STARTING,
					     CTL_STATE_WAITING,	   CTL_STATE_STALLED,
					     CTL_STATE_STOPPING,
					     CTL_STATE_STOPPED,	   CTL_STATE_FAILED,
					     CTL_STATE_DISK_FAILED };
	const json_t *answer;
	size_t i;

	for (size_t o = 0; o < ARRAY_LEN(order); o++)
		json_array_foreach((json_t *)answers, i, answer)
		{
			if (strcmp(ctl_ask_text(answer, CTL_FIELD_STATE, ""), order[o]) == 0)
				return order[o];
		}
	return CTL_ASK_UNREACHABLE;
}

/*
 * unserved: engine raft: some shard has no leader that any of the nodes asked can reach. Data nodes
 * go on SERVING during an election; a witness at work says nothing of shards but whom it follows,
 * and that may be nobody for a moment: asked alone it does not know.
 */
static bool unserved(const json_t *answers)
{
	size_t shards = json_array_size(json_object_get(ctl_ask_best(answers), "leaders")), i;
	const json_t *answer;

	for (size_t s = 0; s < shards; s++) {
		bool served = false, asked = false;

		json_array_foreach((json_t *)answers, i, answer)
		{
			const char *state = ctl_ask_text(answer, CTL_FIELD_STATE, "");

			asked |= strcmp(state, CTL_NODE_VOTING) != 0;
			served |= strcmp(state, CTL_STATE_SERVING) == 0 ||
				  json_is_integer(json_array_get(
					  json_object_get(answer, "leaders"), s));
		}
		if (asked && !served)
			return true;
	}
	return false;
}

/* idle_member: a member that says itself that it does not do its part, before others notice. */
static bool idle_member(const json_t *answers)
{
	const json_t *member, *own;
	const char *role;
	size_t i;

	json_array_foreach(json_object_get(ctl_ask_best(answers), CTL_FIELD_MEMBERS), i, member)
	{
		role = ctl_ask_text(member, "role", "");
		own = answer_of(answers, json_object_get(member, "node"));
		if (own && !works(ctl_ask_text(own, CTL_FIELD_STATE, "")) &&
		    (strcmp(role, "member") == 0 || strcmp(role, "witness") == 0))
			return true;
	}
	return false;
}

/* starved: a node without room is enough: all of them refuse updates then. */
static bool starved(const json_t *answers)
{
	const json_t *answer;
	size_t i;

	json_array_foreach((json_t *)answers, i, answer)
	{
		const char *space = json_string_value(group(answer, CTL_FIELD_STORE, "space"));

		if (space && strcmp(space, "OK") != 0 &&
		    strcmp(ctl_ask_text(answer, CTL_FIELD_STATE, ""), CTL_STATE_SERVING) == 0)
			return true;
	}
	return false;
}

/* other_cluster: an answer of another cluster than the best informed one's; NULL: none. */
static const json_t *other_cluster(const json_t *answers)
{
	const char *own = json_string_value(group(ctl_ask_best(answers), CTL_FIELD_CLUSTER, "id"));
	const json_t *answer;
	size_t i;

	json_array_foreach((json_t *)answers, i, answer)
	{
		const char *id = json_string_value(group(answer, CTL_FIELD_CLUSTER, "id"));

		if (own && id && strcmp(id, own) != 0)
			return answer;
	}
	return NULL;
}

/* None of the cluster's: what it knows of the others counts for nothing. */
static bool is_stranger(const char *state)
{
	return strcmp(state, CTL_NODE_REMOVED) == 0 || strcmp(state, CTL_NODE_OTHER) == 0 ||
	       strcmp(state, CTL_NODE_ENGINE) == 0;
}

/*
 * One word for all the answers: the cluster's, as the best informed knows it. Where one node alone
 * was asked, and does not do its part, its own state.
 */
static const char *overall(const json_t *answers)
{
	const json_t *best = ctl_ask_best(answers);
	const json_t *cluster = json_object_get(best, CTL_FIELD_CLUSTER);
	const char *word = ctl_ask_text(cluster, CTL_FIELD_STATE, "");

	if (!best)
		return word_of_strangers(answers);
	if (json_array_size(answers) == 1 && is_stranger(ctl_ask_text(best, CTL_FIELD_STATE, "")))
		return ctl_ask_text(best, CTL_FIELD_STATE, "");
	if (json_array_size(answers) == 1 && !works(ctl_ask_text(best, CTL_FIELD_STATE, "")) &&
	    strcmp(word, CTL_CLUSTER_NO_QUORUM) != 0 && strcmp(word, CTL_CLUSTER_RECOVERING) != 0)
		return ctl_ask_text(best, CTL_FIELD_STATE, CTL_CLUSTER_UNKNOWN);
	if ((strcmp(word, CTL_CLUSTER_HEALTHY) == 0 || strcmp(word, CTL_CLUSTER_DEGRADED) == 0) &&
	    unserved(answers))
		return CTL_CLUSTER_NO_QUORUM;
	if ((strcmp(word, CTL_CLUSTER_HEALTHY) == 0 || strcmp(word, CTL_CLUSTER_DEGRADED) == 0) &&
	    starved(answers))
		return CTL_CLUSTER_READ_ONLY;
	if (strcmp(word, CTL_CLUSTER_HEALTHY) == 0 && idle_member(answers))
		return CTL_CLUSTER_DEGRADED;
	if (strcmp(word, CTL_CLUSTER_HEALTHY) == 0 &&
	    (any_warning(answers) || other_cluster(answers)))
		return CTL_CLUSTER_WARNINGS;
	return word;
}

/* Said by several nodes, it is printed once. */
static void print_reason(const json_t *answer, const json_t *reason, json_t *said)
{
	const char *text = ctl_ask_text(reason, CTL_FIELD_TEXT, "");
	const char *name = json_string_value(group(answer, CTL_FIELD_NODE, "name"));

	if (json_object_get(said, text))
		return;
	json_object_set_new(said, text, json_true());
	ctl_output_note("%s: %s %s\n  fix: %s", name ? name : "-",
			ctl_ask_text(reason, CTL_FIELD_ID, "-"), text,
			ctl_ask_text(reason, CTL_FIELD_CURE, "-"));
}

static void print_reasons(const json_t *answers)
{
	const json_t *answer, *reason, *best = ctl_ask_best(answers);
	const json_t *other = other_cluster(answers);
	json_t *said = json_object();
	size_t i, j;

	if (other)
		ctl_output_note(
			"%s: CAIRN-0611 nodes of two clusters answer: ids %s and %s\n"
			"  fix: stop the nodes of the one that is not to be, and keep clients off "
			"it",
			ctl_ask_text(json_object_get(other, CTL_FIELD_NODE), "name", "-"),
			json_string_value(group(best, CTL_FIELD_CLUSTER, "id")),
			json_string_value(group(other, CTL_FIELD_CLUSTER, "id")));
	json_array_foreach(json_object_get(best, CTL_FIELD_WARNINGS), j, reason)
	{
		print_reason(best, reason, said);
	}
	json_array_foreach((json_t *)answers, i, answer)
	{
		const char *text = ctl_ask_text(answer, "reason", NULL);
		const char *id;

		if (text)
			ctl_output_note("%s: the daemon does not answer: %s",
					ctl_ask_text(answer, "socket", "?"), text);
		json_array_foreach(json_object_get(answer, CTL_FIELD_WARNINGS), j, reason)
		{
			id = ctl_ask_text(reason, CTL_FIELD_ID, "");
			/* What another node knows less well than the best informed. */
			if (best &&
			    (strcmp(id, "CAIRN-0102") == 0 ||
			     strcmp(id, "CAIRN-0119") == 0 ||
			     (strcmp(id, "CAIRN-0111") >= 0 && strcmp(id, "CAIRN-0116") <= 0)))
				continue;
			print_reason(answer, reason, said);
		}
	}
	json_decref(said);
}

static void print_heading(const json_t *answers)
{
	const json_t *cluster = json_object_get(ctl_ask_best(answers), CTL_FIELD_CLUSTER);

	printf(" %s  %s", ctl_ask_text(cluster, "name", "-"), overall(answers));
	if (cluster)
		printf("   %s   epoch %" JSON_INTEGER_FORMAT "   %s, %" JSON_INTEGER_FORMAT
		       " of %" JSON_INTEGER_FORMAT " voters heard   %" JSON_INTEGER_FORMAT
		       " of %" JSON_INTEGER_FORMAT
		       " members   leader %s, term %" JSON_INTEGER_FORMAT,
		       ctl_ask_text(cluster, "engine", "-"),
		       json_integer_value(json_object_get(cluster, "epoch")),
		       json_is_true(json_object_get(cluster, "quorum")) ? "quorum" : "NO QUORUM",
		       json_integer_value(json_object_get(cluster, "voters_heard")),
		       json_integer_value(json_object_get(cluster, "voters")),
		       json_integer_value(json_object_get(cluster, "members")),
		       json_integer_value(json_object_get(cluster, "members_wanted")),
		       ctl_ask_text(cluster, "leader_name", "none"),
		       json_integer_value(json_object_get(cluster, "term")));
	putchar('\n');
}

static json_t *whole_json(const json_t *answers)
{
	json_t *best = ctl_ask_best(answers);

	return json_pack("{s:s, s:O?, s:O?, s:O}", CTL_FIELD_STATE, overall(answers),
			 CTL_FIELD_CLUSTER, json_object_get(best, CTL_FIELD_CLUSTER),
			 CTL_FIELD_MEMBERS, json_object_get(best, CTL_FIELD_MEMBERS), "nodes",
			 answers);
}

int ctl_status_show(const struct ctl_call *call)
{
	json_t *sockets, *answers, *rows;
	uint32_t answered;
	int rc = ctl_ask_sockets(call, &sockets);

	if (rc)
		return rc;
	answers = ctl_ask_all(sockets, CTL_PATH_STATUS, &answered);
	json_decref(sockets);
	if (call->format == CTL_JSON) {
		rc = ctl_output_json("cairn.cluster-status/1", whole_json(answers));
	} else {
		rows = ctl_status_rows(answers);
		if (call->format == CTL_TABLE && !call->no_header)
			print_heading(answers);
		ctl_output_rows(call->format, call->no_header, ctl_status_columns, rows);
		json_decref(rows);
		rc = ctl_output_flush();
		print_reasons(answers);
	}
	json_decref(answers);
	if (answered > 0)
		return rc;
	return ctl_output_fail(CTL_EXIT_UNREACHABLE, "CAIRN-0602",
			       "cairnctl lab status; cairnctl lab start", "no daemon answers");
}

static int health_exit(const char *word, bool full)
{
	if (strcmp(word, CTL_CLUSTER_HEALTHY) == 0)
		return CTL_EXIT_OK;
	if (strcmp(word, CTL_CLUSTER_WARNINGS) == 0)
		return CTL_EXIT_WARNINGS;
	if (strcmp(word, CTL_CLUSTER_DEGRADED) == 0)
		return full ? CTL_EXIT_FAILED : CTL_EXIT_WARNINGS;
	return strcmp(word, CTL_ASK_UNREACHABLE) == 0 ? CTL_EXIT_UNREACHABLE : CTL_EXIT_FAILED;
}

int ctl_status_health(const struct ctl_call *call)
{
	bool full = ctl_args_option(call, "full") != NULL;
	json_t *sockets, *answers = NULL;
	uint64_t wait_ns = 0, began = lab_process_now_ms(), end;
	uint32_t answered;
	const char *word;
	int rc = ctl_args_duration(call, "wait", (struct ctl_range) { 0, 3600000000000ull },
				   &wait_ns);

	if (!rc)
		rc = ctl_ask_sockets(call, &sockets);
	if (rc)
		return rc;
	end = began + wait_ns / 1000000;
	for (;;) {
		json_decref(answers);
		answers = ctl_ask_all(sockets, CTL_PATH_STATUS, &answered);
		word = overall(answers);
		rc = health_exit(word, full);
		if (rc == CTL_EXIT_OK || rc == CTL_EXIT_WARNINGS || lab_process_now_ms() >= end)
			break;
		lab_process_pause(began);
	}
	json_decref(sockets);
	print_reasons(answers);
	if (call->format == CTL_JSON) {
		ctl_output_json("cairn.cluster-health/1", whole_json(answers));
	} else {
		printf("%s\n", word);
		ctl_output_flush();
	}
	json_decref(answers);
	return rc;
}
