/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/config_keys.h"

#include <stdio.h>

#define AT(field) \
	.offset = offsetof(struct config, field), .bytes = sizeof(((struct config *)0)->field)
#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

const struct config_key config_keys[] = {
	{ "node", "name", CONFIG_TEXT, AT(node_name), .value = "\"\"",
	  .help = "Name of this node in logs and status. Empty: \"node<id>\"." },
	{ "node", "id", CONFIG_NUMBER, AT(node_id), .required = true, .max = NODES_MAX - 1,
	  .value = "0",
	  .help = "Number of this node in its cluster: 0, 1, ... without gaps. Fixed at format." },
	{ "node", "data", CONFIG_TEXT, AT(node_data), .required = true,
	  .value = "\"/var/lib/cairn\"",
	  .help = "Folder of the write-ahead log, one file per worker, made by \"cairnutil "
		  "format\"." },
	{ "node", "runtime", CONFIG_TEXT, AT(node_runtime), .value = "\"\"",
	  .help = "Folder of the lock, the counters and the control socket. Empty:\n"
		  "/run/cairn/<name>." },
	{ "node", "witness", CONFIG_FLAG, AT(node_witness), .value = "false",
	  .help = "This node votes on who takes part, and holds no data. Fixed at format." },

	{ "cluster", "id", CONFIG_HEX, AT(cluster_id), .required = true, .min = 1,
	  .max = UINT64_MAX, .value = "\"c0ffee\"",
	  .help = "Number of the cluster, up to 16 hex digits; frames of other clusters are "
		  "dropped.\n"
		  "Fixed at format." },
	{ "cluster", "shards", CONFIG_NUMBER, AT(cluster_shards), .max = SHARDS_MAX, .value = "0",
	  .help = "Shards of the cluster, fixed at format. 0: whatever the data folder was "
		  "formatted\n"
		  "with; another number must agree with it." },
	{ "cluster", "name", CONFIG_TEXT, AT(cluster_name), .value = "\"\"",
	  .help = "Name of the cluster, typed to confirm what could lose data. Empty: \"cairn\"." },
	{ "cluster", "engine", CONFIG_CHOICE, AT(cluster_engine), .value = "\"auto\"",
	  .choices = "auto hermes raft",
	  .help = "How the nodes agree on data; the same everywhere, fixed at format. \"hermes\": "
		  "every\n"
		  "node reads and writes by itself, one round trip. \"raft\": a leader for each "
		  "shard.\n"
		  "\"auto\": whatever the data folder was formatted with." },
	{ "cluster", "copies_min", CONFIG_NUMBER, AT(cluster_copies_min), .max = NODES_MAX,
	  .value = "0",
	  .help = "Members, that is durable copies, below which updates stop. For a new cluster; "
		  "later\n"
		  "\"cairnctl cluster copies\" changes it. 0: the majority of the data nodes; 1 "
		  "for "
		  "two data\n"
		  "nodes and a witness." },

	{ "cpu", "workers", CONFIG_NUMBER, AT(cpu_workers), .min = 1, .max = WORKERS_MAX,
	  .value = "1",
	  .help = "Polling threads. Each owns a part of the shards and one log file. Fixed at "
		  "format." },
	{ "cpu", "idle", CONFIG_CHOICE, AT(cpu_idle), .value = "\"auto\"",
	  .choices = "adaptive spin auto",
	  .help = "What a worker does when there is nothing to do. \"spin\" keeps its core busy: "
		  "fastest,\n"
		  "for cores of its own. \"adaptive\" yields, then sleeps some microseconds. "
		  "\"auto\" spins\n"
		  "only when [cpu] cores names a core for each worker and others remain." },
	{ "cpu", "cores", CONFIG_CORES, AT(cpu_cores), .max = 1023, .value = "[]",
	  .help = "One core number per worker to pin it to. Empty: no pinning." },

	{ "memory", "keys_max", CONFIG_NUMBER, AT(memory_keys_max), .min = 1024, .max = 1u << 31,
	  .value = "1_000_000",
	  .help = "Keys this node can hold, tombstones of deleted ones included. 64 bytes and more "
		  "each,\n"
		  "taken at start." },
	{ "memory", "value_bytes", CONFIG_SIZE, AT(memory_value_bytes), .min = MIB(1),
	  .max = GIB(1024), .value = "\"256MiB\"",
	  .help = "Memory for keys and values, taken at start." },
	{ "memory", "hugepages", CONFIG_CHOICE, AT(memory_hugepages), .value = "\"auto\"",
	  .choices = "auto never",
	  .help = "\"auto\" uses huge pages when enough are free and says in the status when "
		  "not." },

	{ "net", "device", CONFIG_TEXT, AT(net_device), .required = true,
	  .value = "\"af_packet:eth1\"",
	  .help = "Port of the dataplane: \"memif:SOCKET:ID\", \"af_packet:IFNAME\", "
		  "\"af_xdp:IFNAME\" or\n"
		  "\"pci:DDDD:BB:DD.F\" (a NIC bound to vfio-pci or uio_pci_generic)." },
	{ "net", "address", CONFIG_ADDRESS, AT(net_address), .required = true,
	  .value = "\"10.77.0.1/24\"",
	  .help = "IPv4 address of this node on that port. The kernel must not have it too." },
	{ "net", "port", CONFIG_NUMBER, AT(net_port), .min = 1024, .max = 65535 - SHARDS_MAX + 1,
	  .value = "7400",
	  .help = "UDP port of shard 0; shard s is at port + s. The same on every node." },
	{ "net", "join_mib_s", CONFIG_NUMBER, AT(net_join_mib_s), .max = 100000, .value = "64",
	  .help = "A node that joins, or comes back, pulls what it lacks at this rate, in MiB/s; "
		  "of what\n"
		  "it only compares a quarter counts. 0: as fast as it can, whatever that does to "
		  "clients." },

	{ "storage", "wal_bytes", CONFIG_SIZE, AT(storage_wal_bytes), .min = MIB(8),
	  .max = GIB(16384), .value = "\"256MiB\"",
	  .help = "Size of each worker's log file; a multiple of 4096. Used by \"cairnutil "
		  "format\"." },
	{ "storage", "durability", CONFIG_CHOICE, AT(storage_durability), .value = "\"all\"",
	  .choices = "memory quorum all",
	  .help = "When a write is acknowledged. \"all\": when it is on every member's disk; the "
		  "raft engine\n"
		  "makes that a majority of the disks. The others are not available at this "
		  "stage." },

	{ "timers", "retransmit_us", CONFIG_NUMBER, AT(timers_retransmit_us), .min = 20,
	  .max = 10000000, .value = "10000",
	  .help = "A coordinator repeats unanswered messages after this time." },
	{ "timers", "replay_us", CONFIG_NUMBER, AT(timers_replay_us), .min = 20, .max = 10000000,
	  .value = "20000",
	  .help = "A key someone waits for is replayed when its writer is silent for this long." },
	{ "timers", "hello_us", CONFIG_NUMBER, AT(timers_hello_us), .min = 100, .max = 10000000,
	  .value = "50000", .help = "Interval of the messages by which nodes find each other." },
	{ "timers", "heartbeat_us", CONFIG_NUMBER, AT(timers_heartbeat_us), .min = 200,
	  .max = 10000000, .value = "2000",
	  .help = "View service, here and below; the same on every node. Interval of its messages: "
		  "reports\n"
		  "to the voters, requests for leases, and the leader's heartbeats." },
	{ "timers", "election_us", CONFIG_NUMBER, AT(timers_election_us), .min = 1000,
	  .max = 60000000, .value = "20000",
	  .help = "Without word from a leader for one to two of these, a node stands for "
		  "election.\n"
		  "At least 5 heartbeats." },
	{ "timers", "lease_us", CONFIG_NUMBER, AT(timers_lease_us), .min = 2000, .max = 60000000,
	  .value = "40000",
	  .help = "A member serves for so long after a majority last heard it, and is not replaced "
		  "before.\n"
		  "At least 8 heartbeats. No leader is needed for it. To change it while the "
		  "cluster serves,\n"
		  "restart one node after the other; see operating.md, Changing timers." },
	{ "timers", "detect_us", CONFIG_NUMBER, AT(timers_detect_us), .min = 1000, .max = 60000000,
	  .value = "30000",
	  .help = "A node silent for so long is taken for dead. At least 4 heartbeats." },
	{ "timers", "recover_ms", CONFIG_NUMBER, AT(timers_recover_ms), .min = 10, .max = 600000,
	  .value = "1000",
	  .help = "When the whole cluster starts again: how long a majority of the last members "
		  "waits for\n"
		  "the rest. At least one lease." },
	{ "timers", "holddown_ms", CONFIG_NUMBER, AT(timers_holddown_ms), .min = 10, .max = 600000,
	  .value = "2000",
	  .help = "A node that was left out alive, slow or unreachable, stays out for so long; "
		  "longer each\n"
		  "time it happens again, up to 32 times. At least one lease." },
	{ "timers", "slow_ms", CONFIG_NUMBER, AT(timers_slow_ms), .min = 10, .max = 600000,
	  .value = "250",
	  .help = "A member whose disk or link is slower than slow_factor times the others', and "
		  "slower than\n"
		  "slow_floor_us, for so long is left out. At least detect_us." },
	{ "timers", "slow_floor_us", CONFIG_NUMBER, AT(timers_slow_floor_us), .min = 100,
	  .max = 60000000, .value = "1000", .help = "What is faster than this is never slow." },
	{ "timers", "slow_factor", CONFIG_NUMBER, AT(timers_slow_factor), .max = 1000000,
	  .value = "20", .help = "See slow_ms. 0: no member is left out for being slow." },

	{ "control", "socket", CONFIG_TEXT, AT(control_socket), .value = "\"\"",
	  .help = "UNIX socket of cairnd. Empty: <runtime>/cairnd.sock." },
	{ "control", "socket_mode", CONFIG_MODE, AT(control_socket_mode), .max = 0777,
	  .value = "\"0660\"", .help = "Permissions of the socket, octal." },
	{ "control", "listen", CONFIG_ENDPOINT, AT(control_listen), .value = "\"\"",
	  .help = "Address and UDP port, such as \"192.168.1.1:7390\", where cairnd hears from "
		  "the cairnd\n"
		  "of other nodes that their dataplane has ended, and tells them of its own: a "
		  "crash then\n"
		  "costs no lease. A network of the kernel's, trusted, not that of [net]. Empty: "
		  "neither." },
};

const uint32_t config_keys_count = ARRAY_LEN(config_keys);

_Static_assert(ARRAY_LEN(config_keys) <= CONFIG_KEYS_MAX, "room for every key's origin");

const char *config_choice(const char *choices, uint64_t index, char out[32])
{
	const char *word = choices;

	while (index-- > 0 && word) {
		word = strchr(word, ' ');
		word = word ? word + 1 : NULL;
	}
	snprintf(out, 32, "%.*s", word ? (int)strcspn(word, " ") : 0, word ? word : "");
	return out;
}

const char *config_size_text(uint64_t bytes, char out[32])
{
	static const char *const units[] = { "", "KiB", "MiB", "GiB" };
	uint32_t unit = 0;

	while (unit < 3 && bytes != 0 && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	snprintf(out, 32, "%llu%s", (unsigned long long)bytes, units[unit]);
	return out;
}
