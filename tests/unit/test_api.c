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
static struct api_view view;

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
		w->linked_peers = 4;
		w->store_keys_max = 1000;
		w->store_blob_bytes = 1 << 20;
		w->wal_device_bytes = w->wal_remaining_bytes = 8 << 20;
		w->replica.reads = 10;
	}
	view = (struct api_view) { &config, &supervisor, &region, 9000000000, 4000000000, 78 };
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
	region.worker[1].linked_peers = 3;
	region.worker[0].store_keys = region.worker[1].store_keys = 990;
	region.worker[0].wal_remaining_bytes = region.worker[1].wal_remaining_bytes = (4 << 20) - 1;
	h = api_health(&view);
	expect_text(h, "schema", "cairn.health/1");
	assert_true(json_is_false(at(h, "healthy"))); /* no update can succeed */
	expect_warnings(at(h, "reasons"), "CAIRN-0102 CAIRN-0103 CAIRN-0104 CAIRN-0101");
	json_decref(h);
	region.worker[1].linked_peers = 4;
	region.worker[1].store_keys = 0;
	region.worker[1].wal_remaining_bytes = 8 << 20;
	h = api_health(&view);
	assert_true(json_is_true(at(h, "healthy")));
	expect_warnings(at(h, "reasons"),
			"CAIRN-0103 CAIRN-0104 CAIRN-0101"); /* one worker is enough */
	json_decref(h);
	region.worker[1].linked_peers = 3;
	config.memory_hugepages = CONFIG_HUGEPAGES_NEVER;
	region.worker[1].updated_ns = 1;
	h = api_health(&view);
	assert_true(json_is_false(at(h, "healthy")));
	expect_warnings(at(h, "reasons"), "CAIRN-0109 CAIRN-0102 CAIRN-0103 CAIRN-0104");
	json_decref(h);
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
	expect_warnings(at(h, "reasons"), "CAIRN-0105");
	expect_text(json_array_get(at(h, "reasons"), 0), "text",
		    "the log of worker 1 failed: Input/output error");
	json_decref(h);
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
		cmocka_unit_test_setup(the_disk_backend_is_told, make_node),
		cmocka_unit_test_setup(a_failed_disk_is_named, make_node),
		cmocka_unit_test_setup(a_node_without_dataplane, make_node),
		cmocka_unit_test_setup(counters_are_summed, make_node),
		cmocka_unit_test_setup(config_and_errors, make_node),
		cmocka_unit_test_setup(foreign_regions_are_refused, make_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
