/* SPDX-License-Identifier: Apache-2.0 */
/* test_api.c: the daemon's answers, made from invented nodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mgmt/api.h"
#include "mgmt/ctl_proto.h"
#include "mgmt/events.h"

static const char settings[] =
	"[node]\nid = 1\nname = \"b\"\ndata = \"/d\"\n"
	"[cluster]\nid = \"fedcba9876543210\"\n"
	"[memory]\nhugepages = \"auto\"\n"
	"[net]\ndevice = \"memif:x:1\"\naddress = \"10.77.0.2/24\"\n"
	"[[peer]]\nid = 0\naddr = \"10.77.0.1\"\n"
	"[[peer]]\nid = 2\naddr = \"10.77.0.3\"\n";

static struct config config;
static struct supervisor supervisor;
static struct stats_region region;
static struct control_status service;
static struct api_view view;

/* What the view service of node 1 says: three members, node 2 leads, everybody was just heard. */
static void make_service(void)
{
	memset(&service, 0, sizeof(service));
	service.updated_ns = 8999000000;
	config_founding(&config, ENGINE_HERMES, &service.state);
	service.state.revision = service.state.epoch = 9;
	service.state.members = 7;
	service.installed.epoch = 9;
	service.health.joined = true;
	service.health.epoch = 9;
	service.node = 1;
	service.leader = 2;
	service.term = 4;
	service.incarnation = 5;
	service.lease_ns = 30000000;
	service.conf.voters = 7;
	for (uint8_t n = 0; n < NODES_MAX; n++) {
		service.peer[n] = (struct control_peer) { .age_ns = n < 3 ? 1000000 : CONTROL_NEVER,
							  .raft_age_ns = CONTROL_NEVER,
							  .incarnation = n < 3 ? 5 : 0,
							  .joined = true };
		service.state.node[n].incarnation = n < 3 ? 5 : 0;
	}
}

/* A healthy node with two workers and four shards. */
static int make_node(void **state)
{
	struct problem p;

	(void)state;
	assert_int_equal(config_parse_text(settings, strlen(settings), "f", &config, &p), 0);
	assert_int_equal(config_validate(&config, "f", &p), 0);
	config_finish(&config);
	supervise_init(&supervisor, &config, "/bin/false");
	supervisor.state = SUPERVISOR_RUNNING;
	supervisor.pid = 77;
	memset(&region, 0, sizeof(region));
	region.state = DATAPLANE_SERVING;
	region.incarnation = 5;
	region.shard_count = 4;
	region.worker_count = 2;
	region.memory_huge = 1;
	region.disk_uring = region.disk_direct = 1;
	region.started_ns = 1000000000;
	for (int i = 0; i < 2; i++) {
		struct worker_stats *w = &region.worker[i];
		w->updated_ns = 9000000000 - (uint64_t)i;
		w->shards = 2;
		w->store_keys_max = 1000;
		w->store_blob_bytes = 1 << 20;
		w->wal_device_bytes = w->wal_remaining_bytes = 8 << 20;
		w->replica.reads = 10;
	}
	make_service();
	view = (struct api_view) { &config,    &supervisor, &region, &service, NULL, NULL,
				   NULL,       9000000000, 4000000000, 78,       false };
	return 0;
}

/* The value at a path such as "store.keys". */
static json_t *at(json_t *root, const char *path)
{
	char part[64];

	while (root && *path) {
		size_t n = strcspn(path, ".");
		snprintf(part, sizeof(part), "%.*s", (int)n, path);
		root = json_object_get(root, part);
		path += n + (path[n] == '.');
	}
	return root;
}

static void expect_number(json_t *root, const char *path, json_int_t value)
{
	assert_true(json_is_integer(at(root, path)));
	assert_true(json_integer_value(at(root, path)) == value);
}

static void expect_text(json_t *root, const char *path, const char *value)
{
	assert_true(json_is_string(at(root, path)));
	assert_string_equal(json_string_value(at(root, path)), value);
}

/* The ids of a list of warnings, with blanks between them. */
static void expect_warnings(json_t *list, const char *ids)
{
	char got[256] = "";

	assert_true(json_is_array(list));
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *w = json_array_get(list, i);
		size_t n = strlen(got);
		snprintf(got + n, sizeof(got) - n, "%s%s", i ? " " : "",
			 json_string_value(json_object_get(w, "id")));
		assert_true(json_string_length(json_object_get(w, "text")) > 0);
		assert_true(json_string_length(json_object_get(w, "cure")) > 0);
	}
	assert_string_equal(got, ids);
}

static void status_of_a_healthy_node(void **state)
{
	json_t *s = api_status(&view);

	(void)state;
	expect_text(s, "schema", "cairn.status/1");
	expect_text(s, "state", "SERVING");
	assert_true(json_is_true(at(s, "healthy")));
	expect_number(s, "node.id", 1);
	expect_text(s, "node.name", "b");
	expect_text(s, "node.address", "10.77.0.2");
	expect_number(s, "node.port", 7400);
	expect_text(s, "node.incarnation", "5");
	expect_text(s, "cluster.id", "fedcba9876543210");
	expect_number(s, "cluster.nodes", 3);
	expect_text(s, "cluster.durability", "all");
	expect_text(s, "cluster.state", "HEALTHY");
	expect_text(s, "cluster.engine", "hermes");
	expect_text(s, "cluster.name", "cairn");
	expect_text(s, "cluster.revision", "9");
	expect_text(s, "cluster.leader_name", "node2");
	expect_number(s, "cluster.epoch", 9);
	expect_number(s, "cluster.leader", 2);
	expect_number(s, "cluster.voters_heard", 3);
	expect_number(s, "cluster.members", 3);
	expect_number(s, "cluster.copies_min", 2);
	assert_true(json_is_true(at(s, "cluster.quorum")));
	assert_int_equal(json_array_size(at(s, "members")), 3);
	expect_text(json_array_get(at(s, "members"), 2), "name", "node2");
	expect_text(json_array_get(at(s, "members"), 2), "role", "member");
	expect_text(json_array_get(at(s, "members"), 2), "state", "SERVING");
	assert_true(json_is_true(at(json_array_get(at(s, "members"), 2), "leader")));
	expect_number(s, "dataplane.pid", 77);
	expect_number(s, "dataplane.uptime_ms", 8000);
	expect_number(s, "daemon.uptime_ms", 5000);
	expect_number(s, "peers.count", 2);
	expect_number(s, "peers.linked", 2);
	expect_number(s, "shards.count", 4);
	expect_number(s, "store.keys_max", 2000);
	expect_number(s, "log.bytes", 0);
	expect_number(s, "ops.reads", 20);
	expect_warnings(at(s, "warnings"), "");
	json_decref(s);
}

static void large_numbers_are_strings(void **state)
{
	(void)state;
	region.worker[0].replica.reads = 1ull << 53;
	region.worker[1].replica.reads = 0;
	json_t *s = api_status(&view);
	assert_true(json_is_integer(at(s, "ops.reads")));
	json_decref(s);
	region.worker[1].replica.reads = 1;
	s = api_status(&view);
	expect_text(s, "ops.reads", "9007199254740993");
	json_decref(s);
}

static void warnings_have_their_reasons(void **state)
{
	json_t *h;

	(void)state;
	region.memory_huge = 0;
	service.peer[2].age_ns = 3000000000;
	region.worker[0].store_keys = region.worker[1].store_keys = 990;
	region.worker[0].wal_remaining_bytes = region.worker[1].wal_remaining_bytes = (4 << 20) - 1;
	h = api_health(&view);
	expect_text(h, "schema", "cairn.health/1");
	assert_true(json_is_true(at(h, "healthy"))); /* the other's death is not its failure */
	expect_warnings(at(h, "reasons"), "CAIRN-0102 CAIRN-0103 CAIRN-0104 CAIRN-0101");
	json_decref(h);
	service.peer[2].age_ns = 0;
	region.worker[1].store_keys = 0;
	region.worker[1].wal_remaining_bytes = 8 << 20;
	h = api_health(&view);
	assert_true(json_is_true(at(h, "healthy")));
	expect_warnings(at(h, "reasons"),
			"CAIRN-0103 CAIRN-0104 CAIRN-0101"); /* one worker is enough */
	json_decref(h);
	/* The store refuses, the log does not yet: each says its own. */
	region.worker[0].space = SPACE_LOW;
	h = api_health(&view);
	assert_non_null(strstr(json_string_value(at(json_array_get(at(h, "reasons"), 0), "text")),
			       "except deletes are refused now"));
	assert_non_null(strstr(json_string_value(at(json_array_get(at(h, "reasons"), 1), "text")),
			       "will soon be refused"));
	json_decref(h);
	region.worker[0].space = SPACE_OK;
	service.peer[2].age_ns = CONTROL_NEVER;
	config.memory_hugepages = CONFIG_HUGEPAGES_NEVER;
	region.worker[1].updated_ns = 1;
	h = api_health(&view);
	assert_true(json_is_false(at(h, "healthy")));
	expect_warnings(at(h, "reasons"), "CAIRN-0109 CAIRN-0102 CAIRN-0103 CAIRN-0104");
	json_decref(h);
}

static uint8_t deaf[NODES_MAX];

static void make_more(size_t i)
{
	struct membership_state *s = &service.state;

	if (i == 21) {
		s->node[1].ident = service.ident + 1;
		s->node[1].ip = config.net_address.ip + 9;
		return;
	}
	if (i == 22) {
		s->node[1].ident = service.ident + 1;
		s->node[1].ip = config.net_address.ip;
		return;
	}
	if (i == 24) {
		s->members = 3;
		s->node[2].flags = MEMBER_LEAVING;
		service.peer[0].age_ns = 3000000000;
		return;
	}
	if (i == 23) {
		service.lease_ns = 0;
		service.leader = RAFT_NODE_NONE;
		return;
	}
	/* Cut off from 2; 0 hears it, or does not, either. */
	service.peer[2].age_ns = 3000000000;
	deaf[0] = i == 19 ? 0 : 4;
	s->engine = service.engine = ENGINE_RAFT;
	if (i == 25)
		s->copies_min = 3;
}

/* The situations of words_of_the_cluster, made of a healthy one. */
static void make_situation(size_t i)
{
	struct membership_state *s = &service.state;

	if (i == 1 || i == 2 || i == 8 || i == 9) {
		service.peer[2].age_ns = 3000000000;
		deaf[0] = 4;
	}
	if ((i >= 2 && i <= 7) || i == 9)
		s->members = 3;
	if (i == 3 || i == 7)
		s->shadows = 4;
	s->node[2].flags = i == 4   ? MEMBER_EVICTED
			   : i == 5 ? MEMBER_DRAINED
			   : i == 7 ? MEMBER_LEARNER
				    : 0;
	if (i == 6)
		s->node[2].want = WANT_WITNESS;
	if (i == 8 || i == 9)
		service.peer[0].age_ns = 3000000000;
	if (i == 8) {
		service.lease_ns = 0;
		service.leader = RAFT_NODE_NONE;
	}
	if (i == 9) {
		/* A witness keeps the quorum; one member is left. */
		s->members = 2;
		s->node[3] = (struct membership_node) { .want = WANT_WITNESS };
		service.peer[3].age_ns = 0;
		service.conf.voters = 0x0a;
	}
	if (i == 10)
		s->members = 5;
	if (i == 11) {
		s->members = 0;
		s->shadows = 7;
	}
	if (i == 12) {
		s->members = 5;
		s->node[1].want = WANT_NONE;
	}
	if (i == 13)
		s->revision = 0;
	if (i == 14) {
		s->members = 5;
		s->node[1].flags = MEMBER_LEAVING;
		service.peer[0].age_ns = service.peer[2].age_ns = 3000000000;
		service.lease_ns = 0;
		service.leader = RAFT_NODE_NONE;
	}
	if (i == 15)
		deaf[2] = 1;
	if (i == 16) {
		s->node[1].want = WANT_WITNESS;
		s->members = 5;
		service.peer[0].age_ns = service.peer[2].age_ns = 3000000000;
		service.lease_ns = 0;
		service.leader = RAFT_NODE_NONE;
	}
	view.leaderless = i == 18;
	if (i == 18) {
		s->engine = service.engine = ENGINE_RAFT;
		region.worker[0].leader[0] = RAFT_NODE_NONE;
	}
	if (i >= 19)
		make_more(i);
	if (i == 17)
		region.worker[0].updated_ns = service.updated_ns = 8000000000;
}

static void expect_last(json_t *warnings, const char *part)
{
	json_t *last = json_array_get(warnings, json_array_size(warnings) - 1);

	assert_non_null(strstr(json_string_value(at(last, "text")), part));
}

/* One word for the cluster, one for each node, in every situation. */
static void words_of_the_cluster(void **state)
{
	static const struct {
		const char *what, *cluster, *self, *other; /* other: node 2 */
		const char *reasons;
		bool healthy;
	} cases[] = {
		{ "all well", "HEALTHY", "SERVING", "SERVING", "", true },
		{ "2 silent, still a member", "DEGRADED", "SERVING", "SILENT", "CAIRN-0102", true },
		{ "2 dead", "DEGRADED", "SERVING", "DEAD", "CAIRN-0102", true },
		{ "2 came back, is a shadow", "DEGRADED", "SERVING", "JOINING", "CAIRN-0112",
		  true },
		{ "2 left out", "DEGRADED", "SERVING", "OUT", "CAIRN-0111", true },
		{ "2 drained", "DEGRADED", "SERVING", "DRAINED", "CAIRN-0113", true },
		{ "2 a witness", "HEALTHY", "SERVING", "VOTING", "", true },
		{ "2 a learner", "HEALTHY", "SERVING", "LEARNER", "CAIRN-0112", true },
		{ "cut off", "NO_QUORUM", "WAITING", "SILENT", "CAIRN-0114 CAIRN-0102 CAIRN-0102",
		  false },
		{ "copies_min", "READ_ONLY", "SERVING", "DEAD", "CAIRN-0115 CAIRN-0102 CAIRN-0102",
		  false },
		{ "self left out", "DEGRADED", "OUT", "SERVING", "CAIRN-0111", false },
		{ "no member yet", "RECOVERING", "JOINING", "JOINING",
		  "CAIRN-0116 CAIRN-0112 CAIRN-0112 CAIRN-0112", false },
		{ "self removed", "HEALTHY", "REMOVED", "SERVING", "CAIRN-0120", false },
		{ "never added", "UNKNOWN", "WAITING", NULL, "CAIRN-0117", false },
		{ "removed, and told no more", "NO_QUORUM", "REMOVED", "SILENT", "CAIRN-0120",
		  false },
		{ "2 does not hear 0", "DEGRADED", "SERVING", "SERVING", "CAIRN-0119", true },
		{ "a witness cut off", "NO_QUORUM", "WAITING", "SILENT",
		  "CAIRN-0114 CAIRN-0102 CAIRN-0102", false },
		{ "self hangs", "UNKNOWN", "STALLED", NULL, "CAIRN-0109", false },
		{ "a shard without a leader", "DEGRADED", "WAITING", "SERVING",
		  "CAIRN-0112 CAIRN-0121", false },
		{ "0 alone hears 2", "DEGRADED", "SERVING", "SILENT", "CAIRN-0119", true },
		{ "nobody hears 2", "DEGRADED", "SERVING", "SILENT", "CAIRN-0102", true },
		{ "self removed, its number given away", "HEALTHY", "REMOVED", "SERVING",
		  "CAIRN-0120", false },
		{ "self formatted anew", "HEALTHY", "OTHER_DISK", "SERVING", "CAIRN-0122", false },
		{ "hears all, and nobody counts it", "NO_QUORUM", "WAITING", "SERVING",
		  "CAIRN-0114", false },
		{ "2 leaving, 0 silent", "DEGRADED", "SERVING", "LEAVING", "CAIRN-0102 CAIRN-0112",
		  true },
		{ "2 no copy", "READ_ONLY", "SERVING", "SILENT", "CAIRN-0115 CAIRN-0102", false },
	};
	static const char *const said[ARRAY_LEN(cases)] = {
		[22] = "formatted anew", [23] = "formatted anew", [24] = "voters are silent",
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *status;

		make_node(state);
		memset(deaf, 0, sizeof(deaf));
		view.deaf = deaf;
		make_situation(i);
		status = api_status(&view);
		print_message("%s\n", cases[i].what);
		expect_text(status, "cluster.state", cases[i].cluster);
		expect_text(status, "state", cases[i].self);
		if (cases[i].other)
			expect_text(json_array_get(at(status, "members"), i == 12 ? 1 : 2), "state",
				    cases[i].other);
		expect_warnings(at(status, "warnings"), cases[i].reasons);
		if (said[i])
			expect_last(at(status, "warnings"), said[i]);
		assert_int_equal(json_is_true(at(status, "healthy")), cases[i].healthy);
		json_decref(status);
	}
}

/* Formatted for another engine it takes no part, and says so, until it is removed. */
static void another_engine_is_named(void **state)
{
	static const char *const words[] = { "OTHER_ENGINE", "OTHER_ENGINE", "REMOVED" };
	static const char *const reasons[] = { "CAIRN-0123", "CAIRN-0123", "CAIRN-0120" };
	static const uint8_t wants[] = { WANT_DATA, WANT_WITNESS, WANT_NONE };

	for (size_t i = 0; i < ARRAY_LEN(wants); i++) {
		json_t *status;
		struct problem p;

		make_node(state);
		service.engine = ENGINE_RAFT;
		service.state.members = 5;
		service.state.node[1].want = wants[i];
		service.state.node[1].ident = i == 0 ? 0 : service.ident;
		status = api_status(&view);
		expect_text(status, "state", words[i]);
		expect_warnings(at(status, "warnings"), reasons[i]);
		assert_true(json_is_false(at(status, "healthy")));
		json_decref(status);
		assert_int_equal(api_other_engine(&view, &p), wants[i] != WANT_NONE);
		if (wants[i] == WANT_NONE)
			continue;
		assert_int_equal(p.id, PROBLEM_OTHER_ENGINE);
		assert_non_null(strstr(p.text, "formatted with --engine hermes"));
	}
}

/* A witness that was just added is heard before its vote counts: it is not said to vote. */
static void a_learner_does_not_vote(void **state)
{
	json_t *status;

	(void)state;
	service.state.members = 3;
	service.state.node[2].want = WANT_WITNESS;
	service.conf.voters = 3;
	service.conf.learners = 4;
	status = api_status(&view);
	expect_text(json_array_get(at(status, "members"), 2), "state", "JOINING");
	expect_warnings(at(status, "warnings"), "CAIRN-0112");
	expect_last(at(status, "warnings"), "does not vote yet");
	json_decref(status);
}

static void events_are_sentences(void **state)
{
	static struct events events;
	char text[EVENTS_TEXT_BYTES];
	struct control_event e = { .node = 2, .value = 7000 };

	(void)state;
	for (e.note = 1; e.note < NOTE_COUNT; e.note++) {
		cluster_note_text(&service.state, &e, text, sizeof(text));
		assert_true(strlen(text) > 10 && !strstr(text, "%"));
		assert_string_not_equal(cluster_note_name(e.note), "unknown");
		events_add_note(&events, 1700000000123000000, &service.state, &e);
	}
	e.note = NOTE_DEAD;
	assert_string_equal(cluster_note_text(&service.state, &e, text, sizeof(text)),
			    "node 2 (node2) is dead: incarnation 7000 was reaped");
	e.value = 0;
	assert_string_equal(cluster_note_text(&service.state, &e, text, sizeof(text)),
			    "node 2 (node2) is taken for dead: silent");
	events_add(&events, 0, "x", -1, "bytes \n\xff");
	json_t *list = events_json(&events, NOTE_COUNT - 2);
	assert_int_equal(json_array_size(at(list, "events")), 2);
	json_t *last = json_array_get(at(list, "events"), 1);
	expect_text(last, "text", "bytes ??");
	expect_text(json_array_get(at(list, "events"), 0), "time", "2023-11-14T22:13:20.123Z");
	expect_text(list, "last", json_string_value(at(last, "sequence")));
	json_decref(list);
	for (uint32_t i = 0; i < 2 * EVENTS_MAX; i++)
		events_add(&events, i, "many", 0, "x");
	list = events_json(&events, 1);
	assert_int_equal(json_array_size(at(list, "events")), EVENTS_ANSWER_MAX);
	assert_true(json_is_true(at(list, "more")));
	json_decref(list);
}

static void the_disk_backend_is_told(void **state)
{
	json_t *s = api_status(&view);

	(void)state;
	expect_text(s, "dataplane.disk", "io_uring");
	assert_true(json_is_true(at(s, "dataplane.direct")));
	json_decref(s);
	region.disk_direct = 0;
	s = api_status(&view);
	assert_true(json_is_false(at(s, "dataplane.direct")));
	expect_warnings(at(s, "warnings"), "CAIRN-0110");
	json_decref(s);
	region.disk_direct = 1;
	region.disk_uring = 0;
	s = api_status(&view);
	expect_text(s, "dataplane.disk", "pwritev2");
	assert_true(json_is_true(at(s, "healthy")));
	expect_warnings(at(s, "warnings"), "CAIRN-0110");
	json_decref(s);
}

static void a_failed_disk_is_named(void **state)
{
	(void)state;
	region.state = DATAPLANE_DISK_FAILED;
	region.worker[1].disk_error = -5;
	json_t *h = api_health(&view);
	assert_true(json_is_false(at(h, "healthy")));
	expect_text(h, "state", "DISK_FAILED");
	expect_warnings(at(h, "reasons"), "CAIRN-0105 CAIRN-0111");
	expect_text(json_array_get(at(h, "reasons"), 0), "text",
		    "the log of worker 1 failed: Input/output error");
	json_decref(h);
	struct problem small = { .id = PROBLEM_NONE };
	region.worker[1].state = DATAPLANE_DISK_FAILED;
	assert_false(api_too_small(&view, &small));
	region.worker[1].disk_error = 0; /* no error of the disk: what it copied did not fit */
	region.worker[1].store_keys = 980;
	h = api_health(&view);
	expect_warnings(at(h, "reasons"), "CAIRN-0205 CAIRN-0111 CAIRN-0103");
	json_decref(h);
	/* Its next life says so, too, before it fails in turn. */
	assert_true(api_too_small(&view, &small));
	view.small = &small;
	h = api_health(&view);
	expect_warnings(at(h, "reasons"), "CAIRN-0205 CAIRN-0111 CAIRN-0103");
	json_decref(h);
	region.state = region.worker[1].state = DATAPLANE_SERVING;
	region.worker[1].store_keys = 0;
	assert_false(api_too_small(&view, &small));
	h = api_health(&view);
	expect_warnings(at(h, "reasons"), "CAIRN-0205");
	json_decref(h);
	view.small = NULL;
}

static void a_node_without_dataplane(void **state)
{
	static const struct {
		enum supervisor_state state;
		const char *word, *warnings;
	} cases[] = {
		{ SUPERVISOR_STOPPED, "STOPPED", "CAIRN-0108" },
		{ SUPERVISOR_STOPPING, "STOPPING", "CAIRN-0108" },
		{ SUPERVISOR_RUNNING, "STARTING", "" },
		{ SUPERVISOR_WAITING, "STARTING", "CAIRN-0106" },
		{ SUPERVISOR_FAILED, "FAILED", "CAIRN-0107 CAIRN-0202" },
	};

	(void)state;
	view.region = NULL;
	view.service = NULL;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		supervisor.state = cases[i].state;
		supervisor.failure.id = PROBLEM_NONE;
		if (i >= 3)
			problem_set(&supervisor.failure, PROBLEM_NOT_FORMATTED, "not formatted");
		json_t *s = api_status(&view);
		expect_text(s, "state", cases[i].word);
		assert_true(json_is_false(at(s, "healthy")));
		expect_warnings(at(s, "warnings"), cases[i].warnings);
		expect_text(s, "node.incarnation", "0");
		expect_number(s, "store.keys", 0);
		json_decref(s);
	}
}

static void counters_are_summed(void **state)
{
	(void)state;
	region.worker[0].drop_wire[WIRE_BAD_MAGIC] = 3;
	region.worker[1].drop_wire[WIRE_BAD_MAGIC] = 4;
	region.worker[1].pings_answered = 2;
	region.worker[0].netdev.rx_frames = 1ull << 60;
	region.worker[0].wal.full = 9;
	json_t *c = api_counters(&view);
	json_t *list = at(c, "counters");
	expect_text(c, "schema", "cairn.counters/1");
	expect_number(c, "workers", 2);
	assert_true(json_integer_value(json_object_get(list, "wire.bad_magic")) == 7);
	assert_true(json_integer_value(json_object_get(list, "worker.pings_answered")) == 2);
	assert_true(json_integer_value(json_object_get(list, "protocol.reads")) == 20);
	assert_true(json_integer_value(json_object_get(list, "log.full")) == 9);
	assert_string_equal(json_string_value(json_object_get(list, "port.rx_frames")),
			    "1152921504606846976");
	json_decref(c);
	view.region = NULL;
	c = api_counters(&view);
	assert_int_equal(json_object_size(at(c, "counters")), 0);
	json_decref(c);
}

static void config_and_errors(void **state)
{
	struct problem p;

	(void)state;
	snprintf(config.node_data, sizeof(config.node_data), "/a \"quoted\" \\ path");
	json_t *c = api_config(&view);
	json_t *list = at(c, "settings");
	assert_string_equal(json_string_value(json_object_get(list, "node.data")),
			    "/a \"quoted\" \\ path");
	assert_true(json_integer_value(json_object_get(list, "node.id")) == 1);
	assert_string_equal(json_string_value(json_object_get(list, "memory.value_bytes")),
			    "256MiB");
	assert_true(json_is_array(json_object_get(list, "cpu.cores")));
	assert_int_equal(json_array_size(at(c, "peers")), 2);
	json_decref(c);
	problem_set(&p, PROBLEM_API_METHOD, "bytes \xff that are no text\n");
	c = api_error(&p);
	expect_text(c, "error.id", "CAIRN-0302");
	expect_text(c, "error.text", "(not UTF-8)");
	json_decref(c);
	c = api_action(&view, "stop");
	expect_text(c, "action", "stop");
	expect_text(c, "state", "SERVING");
	json_decref(c);
}

/* A region that another release or another process wrote is not believed. */
static void foreign_regions_are_refused(void **state)
{
	char path[] = "/tmp/cairn-test-api-XXXXXX", file[64];
	static struct stats_region read_back;

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(config.node_runtime, sizeof(config.node_runtime), "%s", path);
	snprintf(file, sizeof(file), "%s/" CTL_FILE_STATS, path);
	assert_false(api_region_read(&config, 77, &read_back));
	region.magic = STATS_MAGIC;
	region.format = STATS_FORMAT;
	region.bytes = sizeof(region);
	region.pid = 77;
	for (int i = 0; i < 5; i++) {
		struct stats_region copy = region;
		copy.magic += i == 1;
		copy.format += i == 2;
		copy.bytes += i == 3;
		FILE *f = fopen(file, "we");
		assert_non_null(f);
		assert_int_equal(fwrite(&copy, sizeof(copy) - (i == 4), 1, f), 1);
		fclose(f);
		assert_true(api_region_read(&config, 77, &read_back) == (i == 0));
		assert_false(api_region_read(&config, 78, &read_back));
	}
	remove(file);
	remove(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(status_of_a_healthy_node, make_node),
		cmocka_unit_test_setup(large_numbers_are_strings, make_node),
		cmocka_unit_test_setup(warnings_have_their_reasons, make_node),
		cmocka_unit_test_setup(words_of_the_cluster, make_node),
		cmocka_unit_test_setup(another_engine_is_named, make_node),
		cmocka_unit_test_setup(a_learner_does_not_vote, make_node),
		cmocka_unit_test_setup(events_are_sentences, make_node),
		cmocka_unit_test_setup(the_disk_backend_is_told, make_node),
		cmocka_unit_test_setup(a_failed_disk_is_named, make_node),
		cmocka_unit_test_setup(a_node_without_dataplane, make_node),
		cmocka_unit_test_setup(counters_are_summed, make_node),
		cmocka_unit_test_setup(config_and_errors, make_node),
		cmocka_unit_test_setup(foreign_regions_are_refused, make_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
