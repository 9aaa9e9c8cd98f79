/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/ctl_member.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mgmt/config.h"
#include "mgmt/ctl_ask.h"
#include "mgmt/ctl_status.h"
#include "mgmt/lab_process.h"
#include "replication/types.h"

#define WAIT_NS	  600000000000ull
#define HINT_MS	  2000u /* a new node not heard for so long may not have been started */
#define NAME_TEXT 64u

static const json_t *find(const json_t *answer, const char *text)
{
	const json_t *member, *members = json_object_get(answer, CTL_FIELD_MEMBERS);
	uint64_t number = NODES_MAX;
	size_t i;

	ctl_args_u64(text, &number);
	json_array_foreach((json_t *)members, i, member)
	{
		if (strcmp(ctl_ask_text(member, "name", ""), text) == 0 ||
		    (uint64_t)json_integer_value(json_object_get(member, "node")) == number)
			return member;
	}
	return NULL;
}

static uint64_t number_of(const json_t *member)
{
	return (uint64_t)json_integer_value(json_object_get(member, "node"));
}

static int fail_node(const json_t *answer, const char *text)
{
	char names[200] = "";
	const json_t *member;
	size_t i, n = 0;

	json_array_foreach(json_object_get(answer, CTL_FIELD_MEMBERS), i, member)
	{
		if (n < sizeof(names))
			n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s (%u)",
					      i ? ", " : "", ctl_ask_text(member, "name", "?"),
					      (unsigned)number_of(member));
	}
	return ctl_output_fail(CTL_EXIT_NOT_FOUND, "CAIRN-0604", "cairnctl member list",
			       "'%s' is no node of this cluster: it has %s", text, names);
}

/* ---- waiting ----------------------------------------------------------------------------------
 */

struct goal {
	uint64_t node;
	/* true: reached, as the answer shows. */
	bool (*reached)(const struct goal *goal, const json_t *answer);
	uint64_t other;	  /* a second node, NODES_MAX: none */
	const char *hint; /* printed when the node is not heard at hint_ms; NULL */
	uint64_t hint_ms;
	bool alive;	  /* the node was a member that was heard, before */
	uint64_t incarnation;
	/* true: it is still to come; NULL: nothing takes it back. */
	bool (*wanted)(const json_t *member);
	bool seen_wanted; /* in the state of that revision */
	uint64_t revision;
};

static const json_t *member_of(const json_t *answer, uint64_t node)
{
	const json_t *member;
	size_t i;

	json_array_foreach(json_object_get(answer, CTL_FIELD_MEMBERS), i, member)
	{
		if (number_of(member) == node)
			return member;
	}
	return NULL;
}

static bool state_is(const json_t *member, const char *state)
{
	return strcmp(ctl_ask_text(member, CTL_FIELD_STATE, ""), state) == 0;
}

static bool settled(const json_t *answer)
{
	return !json_is_true(
		json_object_get(json_object_get(answer, CTL_FIELD_CLUSTER), "changing"));
}

static bool is_in(const struct goal *goal, const json_t *answer)
{
	const json_t *member = member_of(answer, goal->node);

	if (goal->other < NODES_MAX && member_of(answer, goal->other))
		return false;
	return member && settled(answer) &&
	       (state_is(member, CTL_STATE_SERVING) || state_is(member, CTL_NODE_VOTING) ||
		(state_is(member, CTL_NODE_LEARNER) &&
		 json_is_true(json_object_get(member, "joined"))));
}

static bool is_member(const struct goal *goal, const json_t *answer)
{
	return state_is(member_of(answer, goal->node), CTL_STATE_SERVING);
}

static uint64_t incarnation_of(const json_t *member)
{
	return strtoull(ctl_ask_text(member, "incarnation", "0"), NULL, 10);
}

/*
 * A member that is left out starts anew, and votes again only then: a second drain before that
 * could cost the majority.
 */
static bool is_drained(const struct goal *goal, const json_t *answer)
{
	const json_t *member = member_of(answer, goal->node);

	return member && strcmp(ctl_ask_text(member, "role", ""), "out") == 0 &&
	       (!goal->alive ||
		(state_is(member, CTL_NODE_DRAINED) && incarnation_of(member) > goal->incarnation));
}

static bool is_gone(const struct goal *goal, const json_t *answer)
{
	return !member_of(answer, goal->node) && settled(answer);
}

/* ---- what others take back ---- */

static bool is_to_go_out(const json_t *member)
{
	return member && !state_is(member, CTL_NODE_LEAVING) &&
	       json_is_true(json_object_get(member, "drained"));
}

static bool is_to_come_in(const json_t *member)
{
	return member && !state_is(member, CTL_NODE_LEAVING) &&
	       !json_is_true(json_object_get(member, "drained"));
}

/* A node that is asked may know only what was before the command: a newer state must say so. */
static bool countermanded(struct goal *goal, const json_t *answer)
{
	const char *text = ctl_ask_text(json_object_get(answer, CTL_FIELD_CLUSTER), "revision", "");
	uint64_t revision = strtoull(text, NULL, 10);

	if (!goal->wanted || revision < goal->revision)
		return false;
	bool wanted = goal->wanted(member_of(answer, goal->node));
	if (!wanted)
		return goal->seen_wanted && revision > goal->revision;
	goal->seen_wanted = true;
	goal->revision = revision;
	return false;
}

static bool leads(const struct goal *goal, const json_t *answer)
{
	const json_t *leader =
		json_object_get(json_object_get(answer, CTL_FIELD_CLUSTER), "leader");

	if (!json_is_integer(leader))
		return false;
	uint64_t node = (uint64_t)json_integer_value(leader);
	return goal->node < NODES_MAX ? node == goal->node : node != goal->other;
}

/* Each new state once, on standard error. */
static void progress(const struct goal *goal, const json_t *answer, char last[NAME_TEXT])
{
	const json_t *member = member_of(answer, goal->node);
	char now[NAME_TEXT];

	if (goal->node >= NODES_MAX)
		return;
	snprintf(now, sizeof(now), "%s %s", ctl_ask_text(member, "role", "gone"),
		 ctl_ask_text(member, CTL_FIELD_STATE, ""));
	if (strcmp(now, last) == 0)
		return;
	memcpy(last, now, NAME_TEXT);
	ctl_output_note("node %u (%s): %s, epoch %" JSON_INTEGER_FORMAT, (unsigned)goal->node,
			ctl_ask_text(member, "name", "-"), now,
			json_integer_value(json_object_get(
				json_object_get(answer, CTL_FIELD_CLUSTER), "epoch")));
}

static json_t *look(const json_t *sockets)
{
	uint32_t answered;
	json_t *answers = ctl_ask_all(sockets, CTL_PATH_STATUS, &answered);
	json_t *best = json_incref(ctl_ask_best(answers));

	json_decref(answers);
	return best;
}

enum ended { ENDED_NOT, ENDED_DONE, ENDED_COUNTERMANDED };

static int read_wait(const struct ctl_call *call, uint64_t *patience_ns)
{
	return ctl_args_duration(call, "wait", (struct ctl_range) { 0, 86400000000000ull },
				 patience_ns);
}

int ctl_member_options(const struct ctl_call *call)
{
	uint64_t unused_ns;
	int rc = read_wait(call, &unused_ns);

	return rc ? rc : ctl_ask_timeout(call, &unused_ns);
}

/* look_once: true: there is no more to wait for. */
static bool look_once(const json_t *sockets, struct goal *goal, char last[NAME_TEXT],
		      enum ended *ret_ended)
{
	json_t *answer = look(sockets);

	if (answer) {
		progress(goal, answer, last);
		if (goal->reached(goal, answer))
			*ret_ended = ENDED_DONE;
		else if (countermanded(goal, answer))
			*ret_ended = ENDED_COUNTERMANDED;
		else if (goal->hint && lab_process_now_ms() > goal->hint_ms) {
			if (json_is_false(json_object_get(member_of(answer, goal->node), "heard")))
				ctl_output_note("%s", goal->hint);
			goal->hint = NULL;
		}
	}
	json_decref(answer);
	return *ret_ended != ENDED_NOT;
}

static int await(const struct ctl_call *call, struct goal *goal)
{
	uint64_t patience_ns = WAIT_NS, started = lab_process_now_ms(), end;
	enum ended ended = ENDED_NOT;
	char last[NAME_TEXT] = "";
	json_t *sockets;
	int rc = read_wait(call, &patience_ns);

	if (rc || ctl_args_option(call, "no-wait"))
		return rc;
	rc = ctl_ask_sockets(call, &sockets);
	if (rc)
		return rc;
	end = started + patience_ns / 1000000;
	goal->hint_ms = started + HINT_MS;
	while (!look_once(sockets, goal, last, &ended) && lab_process_now_ms() < end)
		lab_process_pause(started);
	json_decref(sockets);
	if (ended == ENDED_DONE)
		return CTL_EXIT_OK;
	if (ended == ENDED_COUNTERMANDED)
		return ctl_output_fail(
			CTL_EXIT_CONFLICT, "CAIRN-0610", "cairnctl events; cairnctl member list",
			"agreed on, and taken back by a later command before it was done: node %u",
			(unsigned)goal->node);
	return ctl_output_fail(CTL_EXIT_FAILED, "CAIRN-0605", "cairnctl status; cairnctl events",
			       "agreed on, but not done after %" PRIu64
			       " ms: it goes on by itself as soon as it can",
			       lab_process_now_ms() - started);
}

static int report(const struct ctl_call *call, const char *what, uint64_t started_ms)
{
	double seconds = (double)(lab_process_now_ms() - started_ms) / 1000;

	if (ctl_args_option(call, "no-wait"))
		what = "agreed on";
	if (call->format == CTL_JSON)
		return ctl_output_json("cairn.done/1",
				       json_pack("{s:s, s:I}", "done", what, "duration_ms",
						 (json_int_t)(lab_process_now_ms() - started_ms)));
	ctl_output_note("%s, %.1f s", what, seconds);
	return ctl_output_flush();
}

/* ---- confirmation -----------------------------------------------------------------------------
 */

/* What cannot be undone, or may stop the cluster, wants the cluster's name typed. */
static int confirm(const struct ctl_call *call, const json_t *answer, const char *what)
{
	const char *name =
		ctl_ask_text(json_object_get(answer, CTL_FIELD_CLUSTER), "name", "the cluster");
	char line[NAME_TEXT];

	if (ctl_args_option(call, "yes"))
		return CTL_EXIT_OK;
	if (!isatty(STDIN_FILENO))
		return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0606", "add --yes to do it unasked",
				       "%s: not confirmed, and standard input is no terminal",
				       what);
	fprintf(stderr, "%s\ntype the cluster's name, %s: ", what, name);
	if (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		if (strcmp(line, name) == 0)
			return CTL_EXIT_OK;
	}
	return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0606", NULL, "%s: not confirmed", what);
}

/* ---- commands ---------------------------------------------------------------------------------
 */

struct change {
	const char *verb;
	bool (*reached)(const struct goal *goal, const json_t *answer);
	bool (*wanted)(const json_t *member);
	const char *danger; /* "removes %s ...": asks for confirmation; NULL: harmless */
	const char *done;
};

/* refuse_change: what cannot be, said more clearly than the cluster's answer would. */
static int refuse_change(const struct change *change, const json_t *member)
{
	if (strcmp(change->verb, "drain") != 0 ||
	    strcmp(ctl_ask_text(member, "role", ""), "witness") != 0)
		return CTL_EXIT_OK;
	return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0320",
			       "for maintenance just stop it, if all data nodes are well; for good:"
			       " cairnctl member remove NODE",
			       "'%s' is a witness: it holds no data and cannot be drained",
			       ctl_ask_text(member, "name", "?"));
}

/* A command about one node that exists. */
static int change_node(const struct ctl_call *call, const struct change *change)
{
	bool force = ctl_args_option(call, "force") != NULL;
	uint64_t started = lab_process_now_ms();
	char arguments[CTL_ASK_PATH_BYTES], what[160];
	const json_t *member;
	json_t *answer;
	int rc = ctl_member_options(call);

	if (!rc)
		rc = ctl_ask_cluster(call, &answer);
	if (rc)
		return rc;
	member = find(answer, call->argument[0]);
	if (!member)
		rc = fail_node(answer, call->argument[0]);
	else
		rc = refuse_change(change, member);
	snprintf(what, sizeof(what), change->danger ? change->danger : "--force: %s",
		 call->argument[0]);
	if (!rc && (change->danger || force))
		rc = confirm(call, answer, what);
	struct goal goal = { .node = member ? number_of(member) : 0,
			     .reached = change->reached,
			     .wanted = change->wanted,
			     .other = NODES_MAX,
			     .alive = state_is(member, CTL_STATE_SERVING),
			     .incarnation = incarnation_of(member) };
	snprintf(arguments, sizeof(arguments), "verb=%s&node=%u%s", change->verb,
		 (unsigned)goal.node, force ? "&force=1" : "");
	if (!rc)
		rc = ctl_ask_command(call, answer, arguments);
	json_decref(answer);
	if (!rc)
		rc = await(call, &goal);
	return rc ? rc : report(call, change->done, started);
}

int ctl_member_promote(const struct ctl_call *call)
{
	return change_node(
		call, &(struct change) { "promote", is_member, is_to_come_in, NULL, "promoted" });
}

int ctl_member_drain(const struct ctl_call *call)
{
	return change_node(call,
			   &(struct change) { "drain", is_drained, is_to_go_out, NULL, "drained" });
}

int ctl_member_undrain(const struct ctl_call *call)
{
	return change_node(call, &(struct change) { "undrain", is_member, is_to_come_in, NULL,
						    "a member again" });
}

int ctl_member_remove(const struct ctl_call *call)
{
	return change_node(call,
			   &(struct change) { "remove", is_gone, NULL,
					      "node '%s' leaves the cluster for good", "removed" });
}

uint64_t ctl_member_free(const json_t *answer)
{
	uint64_t node = 0;

	while (node < NODES_MAX && member_of(answer, node))
		node++;
	return node;
}

/* check_free: as far as is known here; a lost disk's number and address stay its node's. */
static int check_free(const json_t *answer, uint64_t node, const char *address)
{
	const json_t *member;
	char cure[120];
	size_t i;

	json_array_foreach(json_object_get(answer, CTL_FIELD_MEMBERS), i, member)
	{
		bool same = strcmp(ctl_ask_text(member, "address", ""), address) == 0;

		if (number_of(member) != node && !same)
			continue;
		snprintf(cure, sizeof(cure),
			 "choose another; or, if that node is lost for good, first: cairnctl member"
			 " remove %u",
			 (unsigned)number_of(member));
		return ctl_output_fail(CTL_EXIT_CONFLICT, "CAIRN-0315", cure,
				       "the %s is that of node %u (%s) already",
				       same ? "address" : "number", (unsigned)number_of(member),
				       ctl_ask_text(member, "name", "-"));
	}
	return CTL_EXIT_OK;
}

int ctl_member_add_node(const struct ctl_call *call, const struct ctl_member_add *add)
{
	char arguments[CTL_ASK_PATH_BYTES], hint[480], replaces[24] = "";
	json_t *answer;
	int rc = ctl_ask_cluster(call, &answer);

	if (rc)
		return rc;
	uint64_t node = add->node < NODES_MAX ? add->node : ctl_member_free(answer);
	if (find(answer, add->name))
		rc = ctl_output_fail(CTL_EXIT_CONFLICT, "CAIRN-0315",
				     "choose another name: cairnctl member list",
				     "the cluster has a node of the name '%s'", add->name);
	else if (node == NODES_MAX)
		rc = ctl_output_fail(CTL_EXIT_CONFLICT, "CAIRN-0607", "cairnctl member remove NODE",
				     "the cluster has %u nodes already", NODES_MAX);
	else
		rc = check_free(answer, node, add->address);
	if (add->replaces >= 0)
		snprintf(replaces, sizeof(replaces), "&replaces=%d", add->replaces);
	snprintf(arguments, sizeof(arguments), "verb=add&node=%u&name=%s&address=%s&want=%s%s%s",
		 (unsigned)node, add->name, add->address, add->witness ? "witness" : "data",
		 add->learner ? "&learner=1" : "", replaces);
	snprintf(hint, sizeof(hint),
		 "node %u has not been heard yet. On its machine, with the same [cluster] id and"
		 " [timers]:\n"
		 "  [node] id = %u, name = \"%s\"%s; [net] address = \"%s/..\"; [[peer]]"
		 " for obituaries only\n"
		 "  cairnutil format --config node.toml --join --engine %s; cairnd --config"
		 " node.toml",
		 (unsigned)node, (unsigned)node, add->name, add->witness ? ", witness = true" : "",
		 add->address,
		 ctl_ask_text(json_object_get(answer, CTL_FIELD_CLUSTER), "engine", "E"));
	if (!rc)
		rc = ctl_ask_command(call, answer, arguments);
	json_decref(answer);
	struct goal goal = { .node = node,
			     .reached = is_in,
			     .wanted = is_to_come_in,
			     .other = add->replaces >= 0 ? (uint64_t)add->replaces : NODES_MAX,
			     .hint = hint };
	return rc ? rc : await(call, &goal);
}

static int read_add(const struct ctl_call *call, const char *name, struct ctl_member_add *add)
{
	struct in_addr ip;
	int rc = ctl_member_options(call);

	if (rc)
		return rc;
	*add = (struct ctl_member_add) { .name = name, .node = NODES_MAX, .replaces = -1 };
	rc = ctl_args_number(call, "id", (struct ctl_range) { 0, NODES_MAX - 1 }, &add->node);
	add->address = ctl_args_option(call, "address");
	add->witness = ctl_args_option(call, "witness") != NULL;
	add->learner = ctl_args_option(call, "learner") != NULL;
	if (rc)
		return rc;
	if (!add->address)
		return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0608", "add --address ADDRESS",
				       "the address of node '%s' is not given", name);
	if (inet_pton(AF_INET, add->address, &ip) != 1)
		return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0608", "give it as 10.77.0.4",
				       "--address '%s' is no IPv4 address", add->address);
	if (!config_ip_is_host(ntohl(ip.s_addr)))
		return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0608", "give that of its [net] port",
				       "--address '%s' cannot be a node's", add->address);
	if (!*name || !config_name_ok(name))
		return ctl_output_fail(
			CTL_EXIT_USAGE, "CAIRN-0608",
			"use 1 to 15 letters, digits, '-', '_', '.'; not digits alone",
			"'%s' cannot be the name of a node", name);
	return CTL_EXIT_OK;
}

int ctl_member_add(const struct ctl_call *call)
{
	uint64_t started = lab_process_now_ms();
	struct ctl_member_add add;
	int rc = read_add(call, call->argument[0], &add);

	if (!rc)
		rc = ctl_member_add_node(call, &add);
	return rc ? rc : report(call, "added", started);
}

int ctl_member_replace(const struct ctl_call *call)
{
	uint64_t started = lab_process_now_ms();
	struct ctl_member_add add;
	const json_t *member;
	char what[160];
	json_t *answer;
	int rc = read_add(call, call->argument[1], &add);

	if (!rc)
		rc = ctl_ask_cluster(call, &answer);
	if (rc)
		return rc;
	member = find(answer, call->argument[0]);
	if (!member)
		rc = fail_node(answer, call->argument[0]);
	snprintf(what, sizeof(what), "node '%s' leaves the cluster for good when '%s' is a member",
		 call->argument[0], call->argument[1]);
	if (!rc)
		rc = confirm(call, answer, what);
	add.replaces = member ? (int)number_of(member) : -1;
	add.witness |= strcmp(ctl_ask_text(member, "role", ""), "witness") == 0;
	json_decref(answer);
	if (!rc)
		rc = ctl_member_add_node(call, &add);
	return rc ? rc : report(call, "replaced", started);
}

int ctl_member_list(const struct ctl_call *call)
{
	static const char *const columns[] = { "NODE",	"ID",	       "ROLE",	  "STATE", "HEARD",
					       "EPOCH", "INCARNATION", "ADDRESS", NULL };
	json_t *answer, *one, *rows;
	int rc = ctl_ask_cluster(call, &answer);

	if (rc)
		return rc;
	if (call->format == CTL_JSON) {
		rc = ctl_output_json("cairn.members/1",
				     json_pack("{s:O}", CTL_FIELD_MEMBERS,
					       json_object_get(answer, CTL_FIELD_MEMBERS)));
	} else {
		one = json_pack("[O]", answer);
		rows = ctl_status_rows(one);
		ctl_output_rows(call->format, call->no_header, columns, rows);
		json_decref(rows);
		json_decref(one);
		rc = ctl_output_flush();
	}
	json_decref(answer);
	return rc;
}

int ctl_cluster_info(const struct ctl_call *call)
{
	static const char *const columns[] = { "NAME", "VALUE", NULL };
	json_t *answer, *rows, *value;
	const char *name;
	int rc = ctl_ask_cluster(call, &answer);

	if (rc)
		return rc;
	if (call->format == CTL_JSON) {
		rc = ctl_output_json("cairn.cluster/1",
				     json_pack("{s:O, s:O, s:O*}", CTL_FIELD_CLUSTER,
					       json_object_get(answer, CTL_FIELD_CLUSTER),
					       CTL_FIELD_MEMBERS,
					       json_object_get(answer, CTL_FIELD_MEMBERS),
					       "leaders", json_object_get(answer, "leaders")));
	} else {
		rows = json_array();
		json_object_foreach(json_object_get(answer, CTL_FIELD_CLUSTER), name, value)
		{
			json_array_append_new(
				rows, json_pack("{s:s, s:O}", "NAME", name, "VALUE", value));
		}
		ctl_output_rows(call->format, call->no_header, columns, rows);
		json_decref(rows);
		rc = ctl_output_flush();
	}
	json_decref(answer);
	return rc;
}

int ctl_cluster_copies(const struct ctl_call *call)
{
	uint64_t copies, started = lab_process_now_ms();
	char arguments[64];
	json_t *answer;
	int rc;

	if (!ctl_args_u64(call->argument[0], &copies) || copies < 1 || copies > NODES_MAX)
		return ctl_output_fail(CTL_EXIT_USAGE, "CAIRN-0706", NULL,
				       "'%s' is not a number from 1 to %u", call->argument[0],
				       NODES_MAX);
	rc = ctl_member_options(call);
	if (!rc)
		rc = ctl_ask_cluster(call, &answer);
	if (rc)
		return rc;
	if (ctl_args_option(call, "force"))
		rc = confirm(call, answer, "--force");
	snprintf(arguments, sizeof(arguments), "verb=copies&value=%u%s", (unsigned)copies,
		 ctl_args_option(call, "force") ? "&force=1" : "");
	if (!rc)
		rc = ctl_ask_command(call, answer, arguments);
	json_decref(answer);
	return rc ? rc : report(call, "agreed on", started);
}

int ctl_leader_show(const struct ctl_call *call)
{
	static const char *const columns[] = { "GROUP", "LEADER", "ID", NULL };
	json_t *answer, *rows, *leaders, *id, *row;
	const json_t *member;
	char group[32];
	size_t i;
	int rc = ctl_ask_cluster(call, &answer);

	if (rc)
		return rc;
	id = json_object_get(json_object_get(answer, CTL_FIELD_CLUSTER), "leader");
	leaders = json_object_get(answer, "leaders");
	if (call->format == CTL_JSON) {
		rc = ctl_output_json(
			"cairn.leaders/1",
			json_pack(
				"{s:O, s:O, s:O*}", "view", id, "term",
				json_object_get(json_object_get(answer, CTL_FIELD_CLUSTER), "term"),
				"shards", leaders));
		json_decref(answer);
		return rc;
	}
	rows = json_array();
	for (i = 0; i <= json_array_size(leaders); i++) {
		const json_t *leader = i == 0 ? id : json_array_get(leaders, i - 1);

		snprintf(group, sizeof(group), i == 0 ? "view" : "shard %zu", i - 1);
		member = json_is_integer(leader)
				 ? member_of(answer, (uint64_t)json_integer_value(leader))
				 : NULL;
		row = json_pack("{s:s, s:s}", "GROUP", group, "LEADER",
				ctl_ask_text(member, "name", "none"));
		if (member)
			json_object_set(row, "ID", (json_t *)leader);
		json_array_append_new(rows, row);
	}
	ctl_output_rows(call->format, call->no_header, columns, rows);
	json_decref(rows);
	json_decref(answer);
	return ctl_output_flush();
}

int ctl_leader_transfer(const struct ctl_call *call)
{
	const char *text = call->argument_count ? call->argument[0] : ctl_args_option(call, "to");
	uint64_t started = lab_process_now_ms();
	char arguments[64], number[8] = "any";
	const json_t *member = NULL, *leader;
	json_t *answer;
	int rc = ctl_member_options(call);

	if (!rc)
		rc = ctl_ask_cluster(call, &answer);
	if (rc)
		return rc;
	leader = json_object_get(json_object_get(answer, CTL_FIELD_CLUSTER), "leader");
	struct goal goal = { .node = NODES_MAX,
			     .reached = leads,
			     .other = json_is_integer(leader) ? (uint64_t)json_integer_value(leader)
							      : NODES_MAX };
	member = text ? find(answer, text) : NULL;
	if (text && !member)
		rc = fail_node(answer, text);
	if (member) {
		goal.node = number_of(member);
		snprintf(number, sizeof(number), "%u", (unsigned)goal.node);
	}
	snprintf(arguments, sizeof(arguments), "verb=transfer&node=%s", number);
	if (!rc)
		rc = ctl_ask_command(call, answer, arguments);
	json_decref(answer);
	if (!rc)
		rc = await(call, &goal);
	return rc ? rc : report(call, "transferred", started);
}
