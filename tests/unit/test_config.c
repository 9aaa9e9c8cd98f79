/* SPDX-License-Identifier: Apache-2.0 */
/* test_config.c: configuration files that are accepted and refused, the exact messages, the
 * reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mgmt/config.h"

#define BASE_NODE    "[node]\nid = 0\ndata = \"/d\"\n"
#define BASE_CLUSTER "[cluster]\nid = \"c0ffee\"\n"
#define BASE_NET     "[net]\ndevice = \"memif:x:0\"\naddress = \"10.77.0.1/24\"\n"
#define BASE	     BASE_NODE BASE_CLUSTER BASE_NET

static int parse(const char *text, struct config *c, struct problem *p)
{
	int rc = config_parse_text(text, strlen(text), "f", c, p);

	if (rc == 0)
		rc = config_validate(c, "f", p);
	if (rc == 0)
		config_finish(c);
	return rc;
}

static void takes_defaults(void **state)
{
	static struct config c;
	struct problem p;

	(void)state;
	assert_int_equal(parse(BASE, &c, &p), 0);
	assert_string_equal(c.node_name, "node0");
	assert_string_equal(c.node_runtime, "/run/cairn/node0");
	assert_string_equal(c.control_socket, "/run/cairn/node0/cairnd.sock");
	assert_true(c.cluster_id == 0xc0ffee);
	assert_true(c.control_socket_mode == 0660);
	assert_true(c.memory_value_bytes == 256u << 20);
	assert_int_equal(c.storage_durability, DURABILITY_ALL);
	assert_int_equal(c.cpu_idle, CONFIG_IDLE_AUTO);
	assert_int_equal(c.node_count, 1);
	assert_int_equal(c.ip[0], 0x0a4d0001);
	assert_string_equal(c.cluster_name, "cairn");
	assert_int_equal(c.cluster_engine, CONFIG_ENGINE_AUTO);
	assert_int_equal(c.nodes, 1);
	assert_int_equal(c.witnesses, 0);
	assert_true(c.timers_heartbeat_us == 2000 && c.timers_election_us == 20000);
	assert_true(c.timers_lease_us == 40000 && c.timers_detect_us == 30000);
	assert_true(c.timers_recover_ms == 1000 && c.timers_holddown_ms == 2000);
	assert_true(c.timers_slow_ms == 250 && c.timers_slow_floor_us == 1000);
	assert_true(c.timers_slow_factor == 20);
}

#define LISTEN "[control]\nlisten = \"127.0.0.1:7390\"\n"
#define PEER(id, more) "[[peer]]\nid = " #id "\naddr = \"10.77.0.1" #id "\"\n" more

/* The founding state says the same whoever of the founders makes it. */
static void founds_a_cluster(void **state)
{
	static const struct {
		const char *text;
		uint8_t copies_min, wants[4];
	} cases[] = {
		{ BASE, 1, { WANT_DATA } },
		{ BASE PEER(1, ""), 2, { WANT_DATA, WANT_DATA } },
		{ BASE PEER(1, "") PEER(2, ""), 2, { WANT_DATA, WANT_DATA, WANT_DATA } },
		{ BASE PEER(1, "") PEER(2, "witness = true\n"),
		  1,
		  { WANT_DATA, WANT_DATA, WANT_WITNESS } },
		{ BASE PEER(1, "") PEER(3, ""), 2, { WANT_DATA, WANT_DATA, WANT_NONE, WANT_DATA } },
		{ BASE "[timers]\n" PEER(1, "") PEER(2, "") PEER(3, ""),
		  3,
		  { WANT_DATA, WANT_DATA, WANT_DATA, WANT_DATA } },
	};
	static struct config c;
	struct membership_state s, other;
	struct problem p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(parse(cases[i].text, &c, &p), 0);
		config_founding(&c, ENGINE_RAFT, &s);
		assert_true(s.revision == 1 && s.engine == ENGINE_RAFT && s.members == 0);
		assert_int_equal(s.copies_min, cases[i].copies_min);
		for (uint8_t n = 0; n < 4; n++)
			assert_int_equal(s.node[n].want, cases[i].wants[n]);
	}
	assert_int_equal(parse("[node]\nid = 0\ndata = \"/d\"\nname = \"a\"\n" BASE_CLUSTER BASE_NET
			       "[[peer]]\nid = 1\naddr = \"10.77.0.2\"\nwitness = true\n",
			       &c, &p),
			 0);
	config_founding(&c, ENGINE_HERMES, &s);
	assert_int_equal(parse("[node]\nid = 1\nwitness = true\ndata = \"/e\"\n" BASE_CLUSTER
			       "[net]\ndevice = \"memif:x:1\"\naddress = \"10.77.0.2/24\"\n"
			       "[[peer]]\nid = 0\naddr = \"10.77.0.1\"\nname = \"a\"\n",
			       &c, &p),
			 0);
	config_founding(&c, ENGINE_HERMES, &other);
	assert_memory_equal(&s, &other, sizeof(s));
}

static void takes_everything(void **state)
{
	static const char text[] =
		"[node]\nid = 1\nname = \"b.1\"\ndata = \"/d\"\nruntime = \"/r\"\n"
		"[cluster]\nid = \"00000000DEADBEEF\"\nshards = 8\nname = \"lab-west\"\n"
		"engine = \"raft\"\ncopies_min = 2\n"
		"[cpu]\nworkers = 2\nidle = \"spin\"\ncores = [2, 3]\n"
		"[memory]\nkeys_max = 2048\nvalue_bytes = \"1GiB\"\nhugepages = \"never\"\n"
		"[net]\ndevice = \"pci:0000:3b:00.0\"\naddress = \"10.77.0.2\"\nport = 9000\n"
		"[storage]\nwal_bytes = 8388608\ndurability = \"all\"\n"
		"[timers]\nretransmit_us = 20\nreplay_us = 30\nhello_us = 100\n"
		"heartbeat_us = 20000\nelection_us = 100000\nlease_us = 160001\n"
		"detect_us = 80000\nrecover_ms = 161\nholddown_ms = 161\nslow_ms = 80\n"
		"slow_floor_us = 100\nslow_factor = 0\n"
		"[control]\nsocket = \"/r/s\"\nsocket_mode = \"0600\"\nlisten = \"127.0.0.2:1\"\n"
		"[[peer]]\nid = 0\naddr = \"10.77.0.1\"\n[[peer]]\nid = 1\naddr = \"10.77.0.2\"\n"
		"[[peer]]\nwitness = true\naddr = \"10.77.0.3\"\nid = 2\nname = \"w\"\n"
		"control = \"127.0.0.3:65535\"\n";
	static struct config c;
	struct problem p;

	(void)state;
	assert_int_equal(parse(text, &c, &p), 0);
	assert_int_equal(c.node_count, 3);
	assert_int_equal(c.ip[2], 0x0a4d0003);
	assert_int_equal(c.nodes, 7);
	assert_int_equal(c.witnesses, 4);
	assert_string_equal(c.cluster_name, "lab-west");
	assert_int_equal(c.cluster_engine, CONFIG_ENGINE_RAFT);
	assert_true(c.cluster_copies_min == 2 && c.timers_lease_us == 160001);
	assert_int_equal(c.cpu_cores.count, 2);
	assert_int_equal(c.cpu_cores.core[1], 3);
	assert_true(c.cluster_id == 0xdeadbeef);
	assert_true(c.storage_wal_bytes == 8u << 20);
	assert_true(c.memory_value_bytes == 1ull << 30);
	assert_int_equal(c.net_address.prefix_bits, 24);
	assert_int_equal(c.control_socket_mode, 0600);
	assert_string_equal(c.control_socket, "/r/s");
	assert_true(c.control_listen.ip == 0x7f000002 && c.control_listen.port == 1);
	assert_true(c.peer[2].control.ip == 0x7f000003 && c.peer[2].control.port == 65535);
}

static const struct {
	const char *text;
	enum problem_id id;
	const char *message, *cure; /* cure NULL: the table's */
} refused[] = {
	{ "x", PROBLEM_CONFIG_SYNTAX, "f:1:2: expected '=' after \"x\", found end of file", NULL },
	{ "[nod]\n", PROBLEM_CONFIG_UNKNOWN_KEY, "f:1:2: unknown table [nod]",
	  "did you mean [node]?" },
	{ "[[peers]]\n", PROBLEM_CONFIG_UNKNOWN_KEY, "f:1:3: unknown table [peers]",
	  "did you mean [[peer]]?" },
	{ "[peer]\n", PROBLEM_CONFIG_UNKNOWN_KEY, "f:1:2: unknown table [peer]", "write [[peer]]" },
	{ "id = 1\n", PROBLEM_CONFIG_UNKNOWN_KEY, "f:1:1: key \"id\" stands before any table",
	  "put it under its [table]" },
	{ "[net]\nadress = \"\"\n", PROBLEM_CONFIG_UNKNOWN_KEY,
	  "f:2:1: unknown key \"adress\" in [net]", "did you mean \"address\"?" },
	{ "[net]\nwal_bytes = 1\n", PROBLEM_CONFIG_UNKNOWN_KEY,
	  "f:2:1: unknown key \"wal_bytes\" in [net]", "\"wal_bytes\" belongs to [storage]" },
	{ "[net]\nxyzzy = 1\n", PROBLEM_CONFIG_UNKNOWN_KEY, "f:2:1: unknown key \"xyzzy\" in [net]",
	  NULL },
	{ "[[peer]]\nadr = 1\n", PROBLEM_CONFIG_UNKNOWN_KEY, "f:2:1: unknown key \"adr\" in [peer]",
	  "did you mean \"addr\"?" },
	{ "[node]\nid = \"0\"\n", PROBLEM_CONFIG_WRONG_TYPE, "f:2:6: \"id\" is a string",
	  "write an integer, without quotes" },
	{ "[node]\ndata = 7\n", PROBLEM_CONFIG_WRONG_TYPE, "f:2:8: \"data\" is an integer",
	  "write a string in quotes" },
	{ "[cpu]\nidle = \"fast\"\n", PROBLEM_CONFIG_WRONG_TYPE,
	  "f:2:8: \"idle\" = \"fast\" is not one of: adaptive spin auto",
	  "write one of: adaptive spin auto" },
	{ "[memory]\nvalue_bytes = \"12XB\"\n", PROBLEM_CONFIG_WRONG_TYPE,
	  "f:2:15: \"value_bytes\" = \"12XB\" is not a size such as \"64MiB\" (KiB, MiB, GiB)",
	  "write a size such as \"64MiB\" (KiB, MiB, GiB)" },
	{ "[memory]\nvalue_bytes = \"99999999999GiB\"\n", PROBLEM_CONFIG_WRONG_TYPE,
	  "f:2:15: \"value_bytes\" = \"99999999999GiB\" is not a size such as \"64MiB\" (KiB, MiB, "
	  "GiB)",
	  "write a size such as \"64MiB\" (KiB, MiB, GiB)" },
	{ "[cluster]\nid = \"xyz\"\n", PROBLEM_CONFIG_WRONG_TYPE,
	  "f:2:6: \"id\" = \"xyz\" is not 1 to 16 hex digits", "write 1 to 16 hex digits" },
	{ "[net]\naddress = \"10.0.0.256/24\"\n", PROBLEM_CONFIG_WRONG_TYPE,
	  "f:2:11: \"address\" = \"10.0.0.256/24\" is not an IPv4 address such as \"10.77.0.1/24\"",
	  "write an IPv4 address such as \"10.77.0.1/24\"" },
	{ "[cpu]\ncores = [\"a\"]\n", PROBLEM_CONFIG_WRONG_TYPE, "f:2:9: \"cores\" is an array",
	  "write an array of core numbers such as [2, 3]" },
	{ "[control]\nlisten = 7390\n", PROBLEM_CONFIG_WRONG_TYPE,
	  "f:2:10: \"listen\" is an integer", "write a string such as \"192.168.1.1:7390\"" },
	{ "[control]\nlisten = \"127.0.0.1\"\n", PROBLEM_CONFIG_WRONG_TYPE,
	  "f:2:10: \"listen\" = \"127.0.0.1\" is not an IPv4 address and a port:"
	  " \"192.168.1.1:7390\"",
	  "write an IPv4 address and a port: \"192.168.1.1:7390\"" },
	{ "[[peer]]\ncontrol = \"127.0.0.1:65536\"\n", PROBLEM_CONFIG_WRONG_TYPE,
	  "f:2:11: \"control\" = \"127.0.0.1:65536\" is not an IPv4 address and a port:"
	  " \"192.168.1.1:7390\"",
	  "write an IPv4 address and a port: \"192.168.1.1:7390\"" },
	{ BASE "[control]\nlisten = \"0.0.0.0:7390\"\n", PROBLEM_CONFIG_OUT_OF_RANGE,
	  "f:10:10: \"listen\" is no host address",
	  "give the address that the other nodes know this one by" },
	{ BASE PEER(1, "control = \"127.0.0.1:7390\"\n"), PROBLEM_CONFIG_CONFLICT,
	  "f:9:3: [[peer]] with id 1: control is set, but [control] listen is not",
	  "set [control] listen at every node, or control at none" },
	{ BASE LISTEN PEER(1, "control = \"127.0.0.1:7390\"\n"), PROBLEM_CONFIG_CONFLICT,
	  "f:11:3: [[peer]] with id 1: has this node's own control address", NULL },
	{ BASE LISTEN PEER(1, "control = \"127.0.0.2:7390\"\n")
	  PEER(2, "control = \"127.0.0.2:7390\"\n"), PROBLEM_CONFIG_CONFLICT,
	  "f:15:3: [[peer]] with id 2: control is used twice", NULL },
	{ "[[peer]]\ncontrol = \"\"\ncontrol = \"\"\n", PROBLEM_CONFIG_DUPLICATE,
	  "f:3:1: \"control\" is set twice in one [[peer]]", NULL },
	{ "[node]\nid = 0\nid = 1\n", PROBLEM_CONFIG_DUPLICATE,
	  "f:3:1: \"id\" was set already in line 2", NULL },
	{ "[node]\n[node]\n", PROBLEM_CONFIG_DUPLICATE, "f:2:2: table [node] appears twice", NULL },
	{ "[[peer]]\nid = 1\nid = 1\n", PROBLEM_CONFIG_DUPLICATE,
	  "f:3:1: \"id\" is set twice in one [[peer]]", NULL },
	{ "[[peer]]\nid = 1\n[node]\n", PROBLEM_CONFIG_MISSING, "f:1:3: [[peer]] has no \"addr\"",
	  "give each [[peer]] an id and an addr" },
	{ BASE_CLUSTER BASE_NET, PROBLEM_CONFIG_MISSING, "f:1:1: \"id\" in [node] is missing",
	  "add it, for example: id = 0" },
	{ "[node]\nid = -1\n", PROBLEM_CONFIG_OUT_OF_RANGE,
	  "f:2:6: \"id\" = -1 is out of range: 0 to 6", NULL },
	{ "[node]\nid = 7\ndata = \"/d\"\n" BASE_CLUSTER BASE_NET, PROBLEM_CONFIG_OUT_OF_RANGE,
	  "f:2:6: \"id\" = 7 is out of range: 0 to 6", NULL },
	{ BASE "port = 80\n", PROBLEM_CONFIG_OUT_OF_RANGE,
	  "f:9:8: \"port\" = 80 is out of range: 1024 to 65472", NULL },
	{ BASE "[memory]\nvalue_bytes = \"4KiB\"\n", PROBLEM_CONFIG_OUT_OF_RANGE,
	  "f:10:15: \"value_bytes\" = 4KiB is out of range: 1MiB to 1024GiB", NULL },
	{ BASE "[control]\nsocket_mode = \"7777\"\n", PROBLEM_CONFIG_OUT_OF_RANGE,
	  "f:10:15: \"socket_mode\" = 07777 is out of range: 00 to 0777", NULL },
	{ BASE "[storage]\nwal_bytes = 8388609\n", PROBLEM_CONFIG_OUT_OF_RANGE,
	  "f:10:13: \"wal_bytes\" = 8388609 is no multiple of 4096", NULL },
	{ BASE "[storage]\ndurability = \"memory\"\n", PROBLEM_CONFIG_NOT_AVAILABLE,
	  "f:10:14: \"durability\" = \"memory\" is not available at this stage",
	  "write durability = \"all\"" },
	{ BASE "[timers]\nretransmit_us = 1000\nreplay_us = 8001\n", PROBLEM_CONFIG_OUT_OF_RANGE,
	  "f:11:13: \"replay_us\" = 8001 is more than 8 times \"retransmit_us\" = 1000",
	  "lower replay_us or raise retransmit_us" },
	{ BASE "[storage]\ndurability = \"quorum\"\n", PROBLEM_CONFIG_NOT_AVAILABLE,
	  "f:10:14: \"durability\" = \"quorum\" is not available at this stage",
	  "write durability = \"all\"" },
	{ BASE "[cpu]\ncores = [1]\nworkers = 2\n", PROBLEM_CONFIG_CONFLICT,
	  "f:10:9: \"cores\" names 1 cores for 2 workers", "name one core per worker, or none" },
	{ BASE "[cpu]\ncores = [1, 1]\nworkers = 2\n", PROBLEM_CONFIG_CONFLICT,
	  "f:10:9: \"cores\" names core 1 twice", NULL },
	{ BASE_NODE "[cluster]\nid = \"1\"\nshards = 1\n" BASE_NET "[cpu]\nworkers = 2\n",
	  PROBLEM_CONFIG_CONFLICT, "f:11:11: \"workers\" = 2, but only 1 shards",
	  "a worker without a shard is idle: at most one per shard" },
	{ BASE_NODE BASE_CLUSTER "[net]\ndevice = \"eth0\"\naddress = \"10.77.0.1\"\n",
	  PROBLEM_CONFIG_OUT_OF_RANGE, "f:7:10: \"device\" = \"eth0\" names no device",
	  "write memif:SOCKET:ID, af_packet:IFNAME, af_xdp:IFNAME or pci:DDDD:BB:DD.F" },
	{ BASE_NODE BASE_CLUSTER "[net]\ndevice = \"memif:x:0\"\naddress = \"10.77.0.255/24\"\n",
	  PROBLEM_CONFIG_OUT_OF_RANGE,
	  "f:8:11: \"address\" = \"10.77.0.255/24\" is no host address", NULL },
	{ BASE "[[peer]]\nid = 0\naddr = \"10.77.0.1\"\nwitness = true\n", PROBLEM_CONFIG_CONFLICT,
	  "f:9:3: [[peer]] with id 0: is this node, but witness is not [node] witness", NULL },
	{ BASE "[[peer]]\nid = 1\nwitness = 1\n", PROBLEM_CONFIG_WRONG_TYPE,
	  "f:11:11: \"witness\" is an integer", "write true or false, without quotes" },
	{ BASE "[[peer]]\nname = \"x\"\nname = \"y\"\n", PROBLEM_CONFIG_DUPLICATE,
	  "f:11:1: \"name\" is set twice in one [[peer]]", NULL },
	{ BASE PEER(1, "name = \"12\"\n"), PROBLEM_CONFIG_CONFLICT,
	  "f:9:3: [[peer]] with id 1: its name may hold letters, digits, '-', '_' and '.' only, and"
	  " not digits alone",
	  NULL },
	{ BASE PEER(1, "name = \"node0\"\n"), PROBLEM_CONFIG_CONFLICT,
	  "f:1:1: nodes 0 and 1 have the same name \"node0\"", NULL },
	{ "[node]\nid = 0\ndata = \"/d\"\nwitness = true\n" BASE_CLUSTER BASE_NET PEER(
		  1, "witness = true\n"),
	  PROBLEM_CONFIG_CONFLICT, "f:4:11: every node is a witness",
	  "at least one node must hold data" },
	{ BASE_NODE "[cluster]\nid = \"1\"\ncopies_min = 3\n" BASE_NET PEER(1, ""),
	  PROBLEM_CONFIG_CONFLICT, "f:6:14: \"copies_min\" = 3, but only 2 nodes hold data",
	  "no update could ever succeed: lower it, or add nodes" },
	{ BASE "[timers]\nelection_us = 9999\n", PROBLEM_CONFIG_OUT_OF_RANGE,
	  "f:10:15: \"election_us\" is too short: at least 5 times heartbeat_us, 10000 us",
	  "raise election_us, or lower what it is measured against" },
	{ BASE "[timers]\nlease_us = 15999\n", PROBLEM_CONFIG_OUT_OF_RANGE,
	  "f:10:12: \"lease_us\" is too short: at least 8 times heartbeat_us, 16000 us",
	  "raise lease_us, or lower what it is measured against" },
	{ BASE "[timers]\ndetect_us = 7000\n", PROBLEM_CONFIG_OUT_OF_RANGE,
	  "f:10:13: \"detect_us\" is too short: at least 4 times heartbeat_us, 8000 us",
	  "raise detect_us, or lower what it is measured against" },
	{ BASE "[timers]\nholddown_ms = 39\n", PROBLEM_CONFIG_OUT_OF_RANGE,
	  "f:10:15: \"holddown_ms\" is too short: at least lease_us, 40000 us",
	  "raise holddown_ms, or lower what it is measured against" },
	{ BASE "[[peer]]\nid = 0\naddr = \"10.77.0.2\"\n", PROBLEM_CONFIG_CONFLICT,
	  "f:9:3: [[peer]] with id 0: is this node, but addr is not [net] address", NULL },
	{ BASE "[[peer]]\nid = 1\naddr = \"10.77.0.1\"\n", PROBLEM_CONFIG_CONFLICT,
	  "f:9:3: [[peer]] with id 1: has this node's own address", NULL },
	{ BASE "[[peer]]\nid = 1\naddr = \"10.78.0.1\"\n", PROBLEM_CONFIG_CONFLICT,
	  "f:9:3: [[peer]] with id 1: addr is outside the subnet of [net] address",
	  "there is no routing: put all nodes into one subnet" },
	{ BASE "[[peer]]\nid = 1\naddr = \"10.77.0.2\"\n[[peer]]\nid = 1\naddr = \"10.77.0.3\"\n",
	  PROBLEM_CONFIG_CONFLICT, "f:12:3: [[peer]] with id 1: id is used twice", NULL },
};

static void refuses_in_clear_words(void **state)
{
	static struct config c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct problem p = { 0 };

		assert_true(parse(refused[i].text, &c, &p) < 0);
		assert_string_equal(p.text, refused[i].message);
		assert_string_equal(p.cure, refused[i].cure ? refused[i].cure
							    : problem_default_cure(refused[i].id));
		assert_int_equal(p.id, refused[i].id);
	}
}

static void refuses_long_paths(void **state)
{
	static struct config c;
	char text[1024];
	struct problem p;

	(void)state;
	snprintf(text, sizeof(text), "[node]\nid = 0\ndata = \"/%0300d\"\n", 0);
	assert_true(parse(text, &c, &p) < 0);
	assert_string_equal(p.text, "f:3:8: \"data\" is 301 bytes long; at most 255");
	snprintf(text, sizeof(text), BASE "[control]\nsocket = \"/%0120d\"\n", 0);
	assert_true(parse(text, &c, &p) < 0);
	assert_int_equal(p.id, PROBLEM_CONFIG_OUT_OF_RANGE);
	assert_non_null(strstr(p.text, "is longer than 107 bytes"));
}

static void says_why_it_cannot_read(void **state)
{
	static struct config c;
	struct problem p;

	(void)state;
	assert_true(config_load("/nonexistent/node.toml", &c, &p) < 0);
	assert_int_equal(p.id, PROBLEM_CONFIG_UNREADABLE);
	assert_string_equal(p.text,
			    "/nonexistent/node.toml: cannot read: No such file or directory");
	assert_true(config_load("/", &c, &p) < 0);
	assert_string_equal(p.text, "/: cannot read: Is a directory");
	assert_true(config_load("/dev/null", &c, &p) < 0);
	assert_int_equal(p.id, PROBLEM_CONFIG_UNREADABLE);
}

/* The shipped file is the printed reference, is valid, and holds exactly the defaults. */
static void reference_is_true(void **state)
{
	static char printed[16384], shipped[16384];
	static struct config c, defaults;
	char name[64], value[700], other[700];
	struct problem p;

	(void)state;
	size_t n = config_reference(printed, sizeof(printed));
	assert_true(n < sizeof(printed));
	FILE *f = fopen(SOURCE_ROOT "/mgmt/default.toml", "re");
	assert_non_null(f);
	size_t m = fread(shipped, 1, sizeof(shipped), f);
	fclose(f);
	assert_int_equal(n, m);
	assert_memory_equal(printed, shipped, n);
	assert_int_equal(parse(printed, &c, &p), 0);
	assert_int_equal(config_parse_text(BASE, strlen(BASE), "f", &defaults, &p), 0);
	assert_int_equal(config_parse_text(printed, n, "f", &c, &p), 0);
	for (uint32_t i = 0; i < config_key_count(); i++) {
		assert_false(config_key_is_default(&c, i));
		if (!config_key_is_default(&defaults, i))
			continue;
		config_key_name(i, name);
		assert_string_equal(config_key_value(&c, i, value, sizeof(value)),
				    config_key_value(&defaults, i, other, sizeof(other)));
	}
}

/* Damage: every truncation and every single-byte change of the reference ends in a verdict. */
static void survives_damage(void **state)
{
	static char text[16384];
	static struct config c;
	size_t n = config_reference(text, sizeof(text));
	struct problem p;

	(void)state;
	for (size_t i = 0; i < n; i += 7) {
		char *copy = malloc(i ? i : 1);
		assert_non_null(copy);
		memcpy(copy, text, i);
		p.text[0] = 0;
		assert_true(config_parse_text(copy, i, "f", &c, &p) == 0 || p.text[0] != 0);
		free(copy);
	}
	for (size_t i = 0; i < n; i += 3) {
		char kept = text[i];
		text[i] = (char)(kept ^ (char)(1u << i % 8));
		p.text[0] = 0;
		assert_true(config_parse_text(text, n, "f", &c, &p) == 0 || p.text[0] != 0);
		text[i] = kept;
	}
}

/* Every problem id the programs can print is explained in the manual. */
static void manual_lists_every_problem(void **state)
{
	static char manual[131072];
	FILE *f = fopen(SOURCE_ROOT "/docs/operating.md", "re");
	char code[16];

	(void)state;
	assert_non_null(f);
	size_t n = fread(manual, 1, sizeof(manual) - 1, f);
	manual[n] = 0;
	fclose(f);
	for (enum problem_id id = problem_next(PROBLEM_NONE); id != PROBLEM_NONE;
	     id = problem_next(id)) {
		if (!strstr(manual, problem_code(id, code)))
			fail_msg("docs/operating.md does not list %s", code);
		assert_true(problem_default_cure(id)[0] != 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_defaults),
		cmocka_unit_test(takes_everything),
		cmocka_unit_test(founds_a_cluster),
		cmocka_unit_test(refuses_in_clear_words),
		cmocka_unit_test(refuses_long_paths),
		cmocka_unit_test(says_why_it_cannot_read),
		cmocka_unit_test(reference_is_true),
		cmocka_unit_test(survives_damage),
		cmocka_unit_test(manual_lists_every_problem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
