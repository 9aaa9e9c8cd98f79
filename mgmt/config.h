/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h: the settings of one node. One table (config.c) is parser, default, range and
 * documentation of every key: mgmt/default.toml is printed from it. A file holds only what differs
 * from the defaults. Reading has two steps: config_parse_text turns text into values and knows
 * syntax, names and types; config_validate knows every limit and touches nothing but the struct.
 */
#ifndef CAIRN_MGMT_CONFIG_H
#define CAIRN_MGMT_CONFIG_H

#include "mgmt/problem.h"
#include "mgmt/toml.h"
#include "replication/membership.h"

#define CONFIG_PATH_BYTES     256u
#define CONFIG_NAME_BYTES     MEMBERSHIP_NAME_BYTES
#define CONFIG_DEVICE_BYTES   64u /* as NETDEV_DEVICE_BYTES */
#define CONFIG_KEYS_MAX	      40u
#define CONFIG_FILE_BYTES_MAX (1u << 20)
#define CONFIG_CORES_MAX      WORKERS_MAX

enum config_idle { CONFIG_IDLE_ADAPTIVE = 0, CONFIG_IDLE_SPIN = 1, CONFIG_IDLE_AUTO = 2 };
/* AUTO: what the data folder was formatted with. The others are enum membership_engine, + 1. */
enum config_engine { CONFIG_ENGINE_AUTO = 0, CONFIG_ENGINE_HERMES = 1, CONFIG_ENGINE_RAFT = 2 };
enum config_hugepages { CONFIG_HUGEPAGES_AUTO = 0, CONFIG_HUGEPAGES_NEVER = 1 };

struct config_cores {
	uint32_t count; /* 0: no pinning */
	uint16_t core[CONFIG_CORES_MAX];
};

struct config_net_address {
	uint32_t ip; /* host byte order */
	uint32_t prefix_bits;
};

/* Where a cairnd takes datagrams; port 0: nowhere. */
struct config_endpoint {
	uint32_t ip; /* host byte order */
	uint16_t port;
};

struct config_peer {
	uint64_t id;
	uint32_t ip;
	bool witness;
	struct config_endpoint control; /* of its cairnd */
	char name[CONFIG_NAME_BYTES]; /* "": none given */
	struct toml_pos pos;
};

/* Numbers are 64 bits wide whatever their range: the table reads and checks them all alike. */
struct config {
	char file[CONFIG_PATH_BYTES]; /* where it was read from; "" for text */

	char node_name[CONFIG_NAME_BYTES]; /* after config_finish: never empty */
	uint64_t node_id;
	char node_data[CONFIG_PATH_BYTES];
	char node_runtime[CONFIG_PATH_BYTES]; /* after config_finish: never empty */
	uint64_t node_witness;		      /* 0 or 1 */

	uint64_t cluster_id;
	char cluster_name[CONFIG_NAME_BYTES]; /* after config_finish: never empty */
	uint64_t cluster_shards;	      /* 0: as formatted */
	uint64_t cluster_engine;	      /* enum config_engine */
	uint64_t cluster_copies_min;	      /* 0: see config_founding */

	uint64_t cpu_workers;
	uint64_t cpu_idle; /* enum config_idle */
	struct config_cores cpu_cores;

	uint64_t memory_keys_max; /* of the whole node; the workers share it evenly */
	uint64_t memory_value_bytes;
	uint64_t memory_hugepages; /* enum config_hugepages */

	char net_device[CONFIG_DEVICE_BYTES];
	struct config_net_address net_address;
	uint64_t net_port;
	uint64_t net_join_mib_s; /* of the whole node; 0: no limit */

	uint64_t storage_wal_bytes;  /* of each stream, used by cairnutil format */
	uint64_t storage_durability; /* enum durability */

	uint64_t timers_retransmit_us;
	uint64_t timers_replay_us;
	uint64_t timers_hello_us;
	uint64_t timers_heartbeat_us, timers_election_us, timers_lease_us, timers_detect_us;
	uint64_t timers_recover_ms, timers_holddown_ms;
	uint64_t timers_slow_ms, timers_slow_floor_us, timers_slow_factor;

	char control_socket[CONFIG_PATH_BYTES + 16]; /* after config_finish: never empty */
	uint64_t control_socket_mode;
	struct config_endpoint control_listen;

	uint32_t peer_count; /* [[peer]] blocks */
	struct config_peer peer[NODES_MAX + 1u];

	/* Made by config_finish. */
	uint32_t node_count;	  /* the peers and this node: who founds the cluster */
	uint32_t ip[NODES_MAX];	  /* by node id, host byte order; 0: no such node */
	uint8_t nodes, witnesses; /* bitmaps of them */

	struct toml_pos origin[CONFIG_KEYS_MAX]; /* by key index; line 0: the default */
};

/* config_defaults: every key at its default, no peers. */
void config_defaults(struct config *c);

/*
 * config_parse_text: defaults, then text[0..bytes), which may be any bytes. 0, or -EINVAL with *p
 * filled: its text is "name:line:column: what". name is only for messages. Limits are not checked.
 */
int config_parse_text(const char *text, size_t bytes, const char *name, struct config *ret_config,
		      struct problem *p);

/* config_validate: every limit and every rule between keys. Pure. 0, or -EINVAL and *p. */
int config_validate(const struct config *c, const char *name, struct problem *p);

/* config_name_ok: may be the name of a node or a cluster; "" may. */
bool config_name_ok(const char *name);

/* config_finish: fills what follows from the rest (name, runtime, socket, ip[]); after validate. */
void config_finish(struct config *c);

/*
 * config_founding: the state that every founding node begins with: this node and the [[peer]]s,
 * the same at all of them when their files name the same nodes. copies_min 0 becomes the majority
 * of the data nodes; 1 for two of them and a witness, which is there to go on with one.
 */
void config_founding(const struct config *c, enum membership_engine engine,
		     struct membership_state *ret_state);

/* config_load: reads the file, parses, validates, finishes. 0, or -EINVAL and *p. */
int config_load(const char *path, struct config *ret_config, struct problem *p);

/* config_reference: the commented default file, as a string; returns its length like snprintf. */
size_t config_reference(char *out, size_t bytes);

/*
 * For listings: key i, 0 <= i < config_key_count(). config_key_name: "section.key".
 * config_key_value: its value as TOML text; returns out. config_key_is_default: not set in the
 * file.
 */
uint32_t config_key_count(void);
const char *config_key_name(uint32_t index, char out[64]);
const char *config_key_value(const struct config *c, uint32_t index, char *out, size_t bytes);
bool config_key_is_default(const struct config *c, uint32_t index);

/* config_stream_path: "<data>/stream-<i>.wal". config_runtime_path: "<runtime>/<file>". */
void config_stream_path(const struct config *c, uint32_t stream, char out[CONFIG_PATH_BYTES + 32]);
void config_runtime_path(const struct config *c, const char *file,
			 char out[CONFIG_PATH_BYTES + 32]);

/* config_ip_is_host: false: loopback, multicast, broadcast, reserved, of no network: no node's. */
bool config_ip_is_host(uint32_t ip);

/* config_ip_text: "10.77.0.1". config_endpoint_text: "10.77.0.1:7390", "": none. */
const char *config_ip_text(uint32_t ip, char out[16]);
const char *config_endpoint_text(const struct config_endpoint *e, char out[24]);

#endif
